//! A client that sends requests without waiting for their answers gets some of the answers at a pace.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::Running;
use idmerge_engines::Model;

#[test]
fn one_connection_gets_the_metrics_five_hundred_times_a_second_at_most() {
    const REQUESTS: u32 = 60;
    let server = Running::of(Model::Original);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let started = Instant::now();
    for request in 1..=REQUESTS {
        let last = if request == REQUESTS {
            "connection: close\r\n"
        } else {
            ""
        };
        let head = format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(
        answers.matches("HTTP/1.1 200 OK").count(),
        REQUESTS as usize
    );
    // A busy machine takes longer, and no machine is faster.
    assert!(started.elapsed() >= (REQUESTS - 1) * Duration::from_millis(2));
}
