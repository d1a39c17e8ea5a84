//! `--to-server`: imports what was written, in the order of M-21.

mod trust;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::args::migrate::MigrateArgs;
use crate::commands::migrate::folder::{Folder, LINKS, PROFILES};
use crate::commands::migrate::upload::trust::{authorities, unreachable};
use crate::environment;
use crate::report::wrong_usage;
use crate::stream::progress::Progress;

/// The variable of the environment with the secret of the new project.
const SECRET: &str = "IDMERGE_SECRET";

/// The variable with its token, which updates of profiles need.
const TOKEN: &str = "IDMERGE_TOKEN";

/// The most records and bytes of a request: the limits that the vendor documents.
const RECORDS_MAX: usize = 2_000;
const BYTES_MAX: usize = 9 * 1024 * 1024;

/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A server that is busy is asked again after 2 s, 4 s and so on, up to a minute.
const TRIES: u32 = 8;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The server to import into.
pub(super) struct Upload {
    agent: Agent,
    url: String,
    authorization: String,
    token: Option<String>,
}

/// What to send, and how.
struct Request<'r> {
    path: &'static str,
    content_type: &'static str,
    body: &'r [u8],
}

impl Upload {
    /// Checks the arguments and the environment before anything is read.
    ///
    /// # Errors
    ///
    /// The URL cannot be used, or a variable is missing.
    pub(super) fn of(args: &MigrateArgs) -> anyhow::Result<Option<Self>> {
        let Some(url) = &args.to_server else {
            return Ok(None);
        };
        let is_secure = url.starts_with("https://");
        if !is_secure && !url.starts_with("http://") {
            return Err(wrong_usage(format_args!(
                "--to-server {url} is not an address: give one such as https://id.example.com"
            )));
        }
        let Some(secret) = environment::text(SECRET)? else {
            return Err(wrong_usage(format_args!(
                "--to-server needs the secret of the new project in the variable {SECRET}"
            )));
        };
        let token = environment::text(TOKEN)?;
        if args.profiles.is_some() && token.is_none() {
            return Err(wrong_usage(format_args!(
                "--to-server with --profiles needs the token of the new project in the variable {TOKEN}"
            )));
        }
        let tls = match is_secure {
            true => authorities()?,
            false => TlsConfig::default(),
        };
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls)
            .build();
        Ok(Some(Self {
            agent: config.into(),
            url: url.trim_end_matches('/').to_owned(),
            authorization: format!("Basic {}", BASE64.encode(format!("{secret}:"))),
            token,
        }))
    }

    /// Sends links, then events, then profiles. Each request is answered before the next one.
    ///
    /// # Errors
    ///
    /// The server refuses a request, or cannot be reached. What it took before stays; sending again adds
    /// nothing twice.
    pub(super) fn send(
        &self,
        folder: &Folder,
        event_files: &[String],
        quiet: bool,
    ) -> anyhow::Result<()> {
        let events = event_files.iter().map(String::as_str);
        let files = || [LINKS].into_iter().chain(events.clone());
        let bytes = files().chain([PROFILES]).map(|name| {
            let file = fs::metadata(folder.path().join(name));
            file.map_or(0, |file| file.len())
        });
        let progress = Progress::of_bytes(Some(bytes.sum()), quiet);
        progress.stage("sending");
        for name in files() {
            let path = folder.path().join(name);
            self.send_file(&path, &progress, |lines| self.import(lines))?;
        }
        let token = self.token.as_deref().unwrap_or_default();
        let profiles = folder.path().join(PROFILES);
        self.send_file(&profiles, &progress, |lines| {
            self.update_profiles(lines, token)
        })?;
        progress.finish();
        Ok(())
    }

    /// Sends a file in requests. An error names the lines.
    fn send_file(
        &self,
        path: &Path,
        progress: &Progress,
        send: impl Fn(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let mut reader = BufReader::new(file);
        let (mut lines, mut count, mut first) = (Vec::new(), 0, 1);
        loop {
            let before = lines.len();
            let bytes = reader
                .read_until(b'\n', &mut lines)
                .with_context(|| format!("cannot read {shown}"))?;
            let is_full = count == RECORDS_MAX || count > 0 && lines.len() > BYTES_MAX;
            if count > 0 && (bytes == 0 || is_full) {
                let last = first + count - 1;
                send(&lines[..before]).with_context(|| {
                    format!(
                        "lines {first} to {last} of {shown} were not imported; those before were, and sending \
                         them again adds nothing twice"
                    )
                })?;
                lines.drain(..before);
                progress.advance(before as u64);
                (first, count) = (last + 1, 0);
            }
            if bytes == 0 {
                return Ok(());
            }
            count += 1;
        }
    }

    fn import(&self, lines: &[u8]) -> anyhow::Result<()> {
        self.request(&Request {
            path: "/import?strict=1",
            content_type: "application/x-ndjson",
            body: lines,
        })
        .map(|_answer| ())
    }

    /// The endpoint of profiles answers 200 also to records that it refuses, and says so in the answer.
    fn update_profiles(&self, lines: &[u8], token: &str) -> anyhow::Result<()> {
        let mut body = vec![b'['];
        for line in lines
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(b"{\"$token\":");
            serde_json::to_writer(&mut body, token)?;
            body.push(b',');
            body.extend_from_slice(line.strip_prefix(b"{").unwrap_or(line));
        }
        body.push(b']');
        let answer = self.request(&Request {
            path: "/engage?verbose=1",
            content_type: "application/json",
            body: &body,
        })?;
        let value: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        match value["error"].as_str() {
            Some(error) if !error.is_empty() => bail!("the server answered: {error}"),
            _ => Ok(()),
        }
    }

    /// Sends a request, and again if the server is busy.
    fn request(&self, request: &Request<'_>) -> anyhow::Result<String> {
        let url = format!("{}{}", self.url, request.path);
        let mut wait = Duration::from_secs(2);
        for attempt in 1..=TRIES {
            let sent = self
                .agent
                .post(&url)
                .header("authorization", &self.authorization)
                .header("content-type", request.content_type)
                .send(request.body);
            let mut answer = sent.map_err(|error| unreachable(&self.url, error))?;
            let status = answer.status().as_u16();
            let text = answer.body_mut().read_to_string();
            let text = text.with_context(|| format!("cannot read the answer of {url}"))?;
            match status {
                200 => return Ok(text),
                429 | 502 | 503 if attempt < TRIES => {
                    thread::sleep(wait);
                    wait = (wait * 2).min(WAIT_MAX);
                }
                _ => {
                    let start = &text[..text.floor_char_boundary(500)];
                    bail!("{url} answered {status}: {start}");
                }
            }
        }
        bail!("{url} was busy {TRIES} times")
    }
}
