//! A server on a free port, and a client for it.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod backups;
pub(crate) mod live;
pub(crate) mod people;
pub(crate) mod privacy;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use idmerge_engines::{Model, Settings};
use idmerge_server::{Bounds, Config, ProjectConfig, Server, ServiceAccount};
use tempfile::TempDir;
use tokio::sync::oneshot;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

pub(crate) const SECRET: &str = "a long secret";

/// How long a test waits for what a right server does in a second at most. It is so much longer because the
/// machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for a condition that a right server reaches soon.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_reached() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The value of `Authorization` of Basic authentication with this user name and no password.
pub(crate) fn basic(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:")))
}

pub(crate) fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// An event with text that does not compress well, and then white space: a few bytes that decompress to
/// `bytes`. The text takes about half of `noise_bytes`.
pub(crate) fn bomb(noise_bytes: usize, bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let noise: String = (0..noise_bytes)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'a' + u8::try_from(state >> 60).unwrap())
        })
        .collect();
    let text = format!(
        r#"[{{"event":"A","properties":{{"token":"TOK","distinct_id":"U","n":"{noise}"}}}}"#
    );
    gzip(padded(&text, bytes - 1) + "]")
}

/// A text with white space behind it.
pub(crate) fn padded(text: &str, bytes: usize) -> String {
    text.to_owned() + &" ".repeat(bytes - text.len())
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) folder: Option<TempDir>,
    agent: Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// A project with a secret and a service account.
pub(crate) fn project(token: &str, model: Model) -> ProjectConfig {
    let mut project = ProjectConfig::new(token, Settings::of(model));
    project.secret = Some(format!("{SECRET} of {token}"));
    project.service_accounts = vec![ServiceAccount {
        user: format!("{token}-account"),
        secret: format!("account {SECRET}"),
    }];
    project
}

impl Running {
    pub(crate) fn of(model: Model) -> Self {
        Self::with(vec![project("TOK", model)], |_| {})
    }

    pub(crate) fn with(projects: Vec<ProjectConfig>, change: impl FnOnce(&mut Bounds)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), projects, change)
    }

    pub(crate) fn in_folder(
        folder: TempDir,
        projects: Vec<ProjectConfig>,
        change: impl FnOnce(&mut Bounds),
    ) -> Self {
        let mut bounds = Bounds {
            drain_timeout: Duration::from_secs(2),
            metrics_age: Duration::ZERO,
            ..Bounds::STANDARD
        };
        change(&mut bounds);
        let config = Config {
            data: folder.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            projects,
            bounds,
        };
        let (stop, stopped) = oneshot::channel();
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = Server::bind(&config).await.unwrap();
                sender.send(server.address()).unwrap();
                let stopped = async {
                    let _result = stopped.await;
                };
                // A test that fails a project asks what the server says about it.
                let _closed = server.run(stopped).await;
            });
        });
        Self {
            address: receiver.recv().unwrap(),
            folder: Some(folder),
            agent: Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(PATIENCE))
                .build()
                .into(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Stops the server as SIGTERM does, and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Sends a request.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = if method == "GET" {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body).unwrap())
        };
        Self::answer(answer.unwrap_or_else(|error| panic!("{method} {path}: {error}")))
    }

    fn answer(mut answer: Response<Body>) -> Answer {
        let body = answer.body_mut().with_config().limit(u64::MAX);
        let body = body.read_to_vec().unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"")
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &str) -> Answer {
        self.send(
            "POST",
            path,
            &[("content-type", content_type)],
            body.as_bytes(),
        )
    }

    /// The value of a metric, by its name and its labels.
    pub(crate) fn metric(&self, name: &str) -> usize {
        let text = self.get("/metrics", &[]).body;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        text.lines()
            .find_map(value)
            .unwrap_or_else(|| panic!("no {name}: {text}"))
    }

    /// The canonical ID and the members of the cluster of an ID, in the project with this token.
    pub(crate) fn identity(&self, token: &str, id: &str) -> (String, Vec<String>) {
        let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        let secret = format!("Bearer {SECRET} of {token}");
        let answer = self.get(&format!("/v1/ids/{id}"), &[("authorization", &secret)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        let members = json["members"].as_array().unwrap();
        let text = |json: &serde_json::Value| json.as_str().unwrap().to_owned();
        (
            text(&json["distinct_id"]),
            members.iter().map(text).collect(),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server panicked");
        }
    }
}

/// The path of each query, for an ID that exists.
pub(crate) const READING: &[&str] = &[
    "/v1/project",
    "/v1/health",
    "/v1/ids/U1",
    "/v1/ids/U1?explain=true",
    "/v1/changes",
    "/v1/event-names",
    "/v1/search?q=U",
    "/v1/users",
    "/v1/users/U1",
    "/v1/users/U1/ids",
    "/v1/users/U1/events",
    "/v1/funnel?steps=%5B%22A%22%5D",
    "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01",
    "/api/query/engage",
];
