//! The people of a demo: what their programs send to the server.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use idmerge_engines::Model;
use idmerge_workloads::{Demo, DemoMessage, DemoModel};
use serde_json::Value;
use ureq::Agent;

use crate::args::demo::DemoArgs;
use crate::environment::now_ms;
use crate::report::say;

/// How many events are sent in a second at a speed of 1.
const EVENTS_PER_SECOND: f64 = 3.0;

/// The most records of a request.
const RECORDS_MAX: usize = 500;

/// A request to the own machine that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends events until it is dropped.
pub(super) struct Traffic {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    pub(super) fn start(args: &DemoArgs, url: &str, token: &str, secret: &str) -> io::Result<Self> {
        let model = match args.engine {
            Model::Original => DemoModel::Original,
            Model::Legacy => DemoModel::Legacy,
            _ => DemoModel::Simplified,
        };
        let agent = Agent::config_builder()
            // The server is on this machine.
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .build();
        let people = People {
            demo: Demo::new(model, token, now_ms().unsigned_abs()),
            agent: agent.into(),
            url: url.to_owned(),
            authorization: format!("Bearer {secret}"),
            interval: Duration::from_secs_f64(1.0 / (EVENTS_PER_SECOND * args.speed)),
        };
        let (end, is_over) = mpsc::channel();
        let thread = thread::Builder::new().name("people".to_owned());
        let thread = thread.spawn(move || people.live(&is_over))?;
        Ok(Self {
            end: Some(end),
            thread: Some(thread),
        })
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            drop(thread.join());
        }
    }
}

struct People {
    demo: Demo,
    agent: Agent,
    url: String,
    authorization: String,
    interval: Duration,
}

impl People {
    /// Sends what was before the demo, and then an event at a time.
    fn live(mut self, is_over: &mpsc::Receiver<()>) {
        let mut has_failed = false;
        let past = self.demo.past(now_ms());
        let mut sent = self.send_past(&past);
        drop(past);
        while is_over.recv_timeout(self.interval) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = sent
                && !std::mem::replace(&mut has_failed, true)
            {
                say(format_args!(
                    "the people of the demo cannot send: {error:#}"
                ));
            }
            let messages = self.demo.next(now_ms());
            let mut messages = messages.iter();
            sent = messages.try_for_each(|message| self.post(message.path, &message.json));
        }
    }

    fn send_past(&self, past: &[DemoMessage]) -> anyhow::Result<()> {
        for (path, sent_to) in [("/track", "/import?strict=0"), ("/engage", "/engage")] {
            let records = past.iter().filter(|message| message.path == path);
            let records: Vec<_> = records.map(|message| message.json.clone()).collect();
            for records in records.chunks(RECORDS_MAX) {
                self.post(sent_to, &Value::from(records.to_vec()))?;
            }
        }
        Ok(())
    }

    fn post(&self, path: &str, json: &Value) -> anyhow::Result<()> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json");
        // What programs of visitors send has no credential.
        let request = match path.starts_with("/import") {
            true => request.header("authorization", &self.authorization),
            false => request,
        };
        let mut answer = request
            .send(json.to_string())
            .context("the server does not answer")?;
        let answer = answer.body_mut().read_to_string()?;
        // `/track` and `/engage` answer 1 if they have taken a record, and 0 if not.
        if answer == "0" {
            bail!("the server has refused {json}");
        }
        Ok(())
    }
}
