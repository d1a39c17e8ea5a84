//! A well-behaved client: it sends again what the server could not take.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::Request;

use crate::Result;

/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client tries before it reports that the server is stalled.
const PATIENCE: Duration = Duration::from_secs(180);

/// A client of one project.
pub(crate) struct Client {
    agent: Agent,
    url: String,
    secret: String,
}

impl Client {
    pub(crate) fn new(address: &str, token: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self {
            agent: agent.into(),
            url: format!("http://{address}"),
            secret: format!("Bearer secret-of-{token}"),
        }
    }

    /// Posts a body until the server answers that it has taken it. Returns how long the last attempt
    /// took.
    pub(crate) fn post(&self, path: &str, has_secret: bool, body: &str) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let mut request = Request::post(format!("{}{path}", self.url))
                .header("content-type", "application/json");
            if has_secret {
                request = request.header("authorization", &self.secret);
            }
            let started = Instant::now();
            let failure = match self.agent.run(request.body(body)?) {
                Ok(mut answer) => {
                    let text = answer.body_mut().read_to_string()?;
                    match answer.status().as_u16() {
                        200 => return Ok(started.elapsed()),
                        // The request was fine, and the server asks to send it again.
                        408 | 429 | 500..=599 => text,
                        status => return Err(format!("{path}: {status} {text}").into()),
                    }
                }
                Err(error) => error.to_string(),
            };
            if began.elapsed() > PATIENCE {
                return Err(format!("{path}: not taken for {PATIENCE:?}: {failure}").into());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Gets an answer. Returns its status, its text and how long it took.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, String, Duration)> {
        let request = Request::get(format!("{}{path}", self.url));
        let started = Instant::now();
        let mut answer = self
            .agent
            .run(request.header("authorization", &self.secret).body(())?)?;
        let text = answer.body_mut().read_to_string()?;
        Ok((answer.status().as_u16(), text, started.elapsed()))
    }

    /// Gets an answer that is too long for the memory.
    pub(crate) fn stream(&self, path: &str) -> Result<impl Read + use<>> {
        let request = Request::get(format!("{}{path}", self.url));
        let request = request.header("authorization", &self.secret).body(())?;
        let no_limit = self.agent.configure_request(request);
        let answer = self.agent.run(no_limit.timeout_global(None).build())?;
        if answer.status() != 200 {
            return Err(format!("{path}: {}", answer.status()).into());
        }
        Ok(answer.into_body().into_reader())
    }
}
