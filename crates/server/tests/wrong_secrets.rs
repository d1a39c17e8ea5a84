//! Wrong secrets and unknown tokens are counted, logged and slowed down.
//!
//! A program of its own, because it reads the log of its process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking"
)]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use idmerge_engines::Model;
use parking_lot::Mutex;
use support::{PATIENCE, Running, SECRET, project};

const JSON: &str = "application/json";

/// What the servers of the tests logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The log of this process. The tests share it if they run in one process.
    fn start() -> Self {
        static LOG: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_ansi(false);
            subscriber.with_writer(move || writer.clone()).init();
            log
        });
        LOG.clone()
    }

    fn lines_with(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8_lossy(&self.0.lock()).into_owned();
        log.lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }
}

fn wrong(server: &Running, secret: &str) -> u16 {
    server
        .get("/v1/changes", &[("authorization", secret)])
        .status
}

#[test]
fn wrong_secrets_are_counted_and_slowed_and_right_ones_are_not() {
    // An address may send some wrong secrets in each interval.
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.warning_interval = Duration::from_secs(3_600);
    });
    for index in 0..10 {
        assert_eq!(wrong(&server, &format!("Bearer wrong {index}")), 401);
    }
    let started = Instant::now();
    assert_eq!(wrong(&server, "Bearer wrong"), 401);
    assert!(started.elapsed() >= Duration::from_secs(1));
    // Also of /import, by each way to send a secret. Many wait at the same time.
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let form = "application/x-www-form-urlencoded";
                let answer = server.post("/import", form, "data=[]&api_key=wrong");
                assert_eq!(answer.status, 401);
                assert!(started.elapsed() >= Duration::from_secs(1));
            });
        }
        // A right secret of the same address is answered meanwhile, and so are requests without one.
        let right = format!("Bearer {SECRET} of TOK");
        for _ in 0..20 {
            assert_eq!(wrong(&server, &right), 200);
            assert_eq!(server.get("/v1/changes", &[]).status, 401);
            assert_eq!(server.post("/import", JSON, "[]").status, 401);
        }
    });
    let metrics = server.get("/metrics", &[]).body;
    assert!(
        metrics.contains("\nidmerge_wrong_secrets_total 31\n"),
        "{metrics}"
    );
}

#[test]
fn wrong_secrets_are_logged_once_in_the_interval_with_their_address() {
    let log = Log::start();
    let mut server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.warning_interval = Duration::from_millis(50);
    });
    assert_eq!(wrong(&server, "Bearer hidden words"), 401);
    let started = Instant::now();
    // The other test sends more at a time.
    let one = "a wrong secret, from: 127.0.0.1 (1)";
    while log.lines_with(one).is_empty() {
        assert!(started.elapsed() < PATIENCE, "never logged");
        std::thread::sleep(Duration::from_millis(10));
    }
    let lines = log.lines_with(one);
    assert!(lines[0].contains("WARN"), "{lines:?}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    // What is left at the end is logged too.
    assert_eq!(wrong(&server, "Basic !"), 401);
    server.stop();
    assert_eq!(log.lines_with(one).len(), 2);
    assert!(log.lines_with("hidden words").is_empty());
}

#[test]
fn an_unknown_token_is_logged_once() {
    let log = Log::start();
    let server = Running::of(Model::Original);
    let event = |token: &str| {
        let token = serde_json::to_string(token).unwrap();
        format!(r#"{{"event":"A","properties":{{"token":{token},"distinct_id":"x"}}}}"#)
    };
    for _ in 0..3 {
        assert_eq!(server.post("/track", JSON, &event("TOKK")).body, "1");
        let update = r#"{"$token":"KOT","$distinct_id":"x","$set":{"a":1}}"#;
        assert_eq!(server.post("/engage", JSON, update).body, "1");
        let forged = "a\nWARN forged \u{1b}[31m";
        assert_eq!(server.post("/track", JSON, &event(forged)).body, "1");
        server.post("/track", JSON, &event(&"long".repeat(1_000)));
    }
    for (token, count) in [
        ("\"TOKK\"", 1),
        ("\"KOT\"", 1),
        (r"a\nWARN forged \u{1b}", 1),
    ] {
        assert_eq!(log.lines_with(token).len(), count, "{token}");
    }
    let lines = log.lines_with("no project has this token");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().all(|line| line.len() < 400), "{lines:?}");
    let metrics = server.get("/metrics", &[]).body;
    let line = r#"idmerge_records_total{project="",endpoint="track",result="unknown_token"} 9"#;
    assert!(metrics.contains(line), "{metrics}");

    // The log and the memory stay bounded.
    let events: Vec<_> = (0..1_500)
        .map(|index| event(&format!("t{index}")))
        .collect();
    server.post("/track", JSON, &format!("[{}]", events.join(",")));
    assert_eq!(log.lines_with("no project has this token").len(), 1_000);
    assert_eq!(log.lines_with("no more are logged").len(), 1);
}
