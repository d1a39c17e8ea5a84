//! `migrate --to-server https://…`: a server behind TLS, with a certificate of an authority of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::migrate::{MIGRATE, odd_export};
use crate::run::{Done, Folder, run};
use crate::server_store::Server;

/// An authority that signs certificates.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A TLS server with a certificate for this name, which passes requests on to `backend`. Returns its address.
    fn serve(&self, name: &str, backend: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (config, backend) = (Arc::new(config), backend.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that does not trust the certificate ends the connection.
                let _ends = pass_on(StreamOwned::new(connection, stream.unwrap()), &backend);
            }
        });
        address
    }
}

/// Passes one request on, and its answer back.
fn pass_on(
    mut client: StreamOwned<ServerConnection, TcpStream>,
    backend: &str,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 16 * 1024];
    let end = loop {
        let bytes = client.read(&mut piece)?;
        if bytes == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..bytes]);
        let end = request.windows(4).position(|it| it == b"\r\n\r\n");
        if let Some(end) = end {
            break end;
        }
    };
    let head = String::from_utf8(request[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length: usize = header("content-length").unwrap().parse().unwrap();
    while request.len() < end + 4 + length {
        let bytes = client.read(&mut piece)?;
        request.extend_from_slice(&piece[..bytes]);
    }
    let mut server = TcpStream::connect(backend)?;
    // The backend ends the connection after the answer.
    let head_end = head.find("\r\n").unwrap();
    server.write_all(&request[..head_end])?;
    server.write_all(b"\r\nconnection: close")?;
    server.write_all(&request[head_end..])?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}

#[test]
fn m_21_a_server_behind_tls() {
    let folder = Folder::with(&[("in", &odd_export())]);
    let server = Server::start(&folder, "simplified");
    let [own, other] = [Authority::new(), Authority::new()];
    folder.write("own.pem", &own.1);
    folder.write("other.pem", &other.1);
    folder.write("none.pem", "no certificate");
    let right = own.serve("127.0.0.1", server.address());
    let wrong_name = own.serve("id.example.com", server.address());
    let send = |address: &str, authorities: Option<&str>| -> Done {
        let mut command = folder.command(&format!("{MIGRATE} --to-server https://{address}"));
        command
            .env("IDMERGE_SECRET", "secret-of-shop")
            .env_remove("SSL_CERT_FILE");
        if let Some(file) = authorities {
            command.env("SSL_CERT_FILE", file);
        }
        run(command, "")
    };
    let stored = || {
        let all = "GET /api/2.0/export?from_date=1971-01-01&to_date=2100-01-01";
        server.request(all, "").lines().count()
    };
    // An authority that is not trusted, a certificate for another name, a port without TLS.
    let not_trusted = "is not trusted, so nothing was sent to it";
    send(&right, None)
        .code(1)
        .says(not_trusted)
        .says("SSL_CERT_FILE")
        .says("UnknownIssuer");
    send(&right, Some("other.pem")).code(1).says(not_trusted);
    send(&wrong_name, Some("own.pem"))
        .code(1)
        .says(not_trusted)
        .says("id.example.com");
    send(server.address(), Some("own.pem"))
        .code(1)
        .says("does not speak TLS")
        .says("http://");
    send(&right, Some("none.pem"))
        .code(1)
        .says("none.pem")
        .says("has no certificate");
    send(&right, Some("absent.pem")).code(1).says("absent.pem");
    assert_eq!(stored(), 0);

    send(&right, Some("own.pem")).ok();
    let lines = |name: &str| folder.read(name).lines().count();
    assert_eq!(
        stored(),
        lines("new/links.ndjson") + lines("new/events.ndjson")
    );
    server.stop();
}
