//! Lines that cannot be used: written where their owner finds them, or counted and shown.

use std::io::{self, Write};

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::write::EncoderWriter;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::{Output, Place};
use crate::say;

/// How many refused lines are shown where they are not written to a file.
const SHOWN: usize = 5;

/// What becomes of refused lines.
#[derive(Debug)]
pub(crate) struct RefusedLines {
    count: u64,
    file: Option<Output>,
    shown: Vec<String>,
}

/// Why and where a line is refused.
#[derive(Debug)]
pub(crate) struct Reason<'r> {
    pub(crate) file: &'r str,
    pub(crate) line: u64,
    pub(crate) rule: &'static str,
    pub(crate) error: String,
}

impl RefusedLines {
    /// Writes refused lines to `place`, or keeps a few to show.
    pub(crate) fn new(place: Option<Place>) -> anyhow::Result<Self> {
        Ok(Self {
            count: 0,
            file: place.map(Output::create).transpose()?,
            shown: Vec::new(),
        })
    }

    /// How many lines were refused.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// A line that was read whole.
    pub(crate) fn add(&mut self, reason: &Reason<'_>, line: &[u8]) -> anyhow::Result<()> {
        self.note(reason);
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let text = str::from_utf8(line).ok().map(str::trim_ascii);
        let json = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let content = match (json, text) {
            (Some(json), _) => Content::Event(json),
            // Not JSON, so it stands as a string.
            (None, Some(text)) => Content::Text(text),
            (None, None) => Content::Bytes(line),
        };
        file.write_with(|out| content.write(reason, out))
    }

    /// A line that is too long, which `copy` writes.
    pub(crate) fn add_long(
        &mut self,
        reason: &Reason<'_>,
        copy: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.note(reason);
        match &mut self.file {
            Some(file) => file.write_with(|out| write_base64(reason, out, copy)),
            None => Ok(copy(&mut io::sink())?),
        }
    }

    fn note(&mut self, reason: &Reason<'_>) {
        self.count += 1;
        if self.file.is_none() && self.shown.len() < SHOWN {
            let Reason {
                file, line, error, ..
            } = reason;
            self.shown.push(format!("{file}, line {line}: {error}"));
        }
    }

    /// The file appears; or stderr says how many lines were refused, and shows the first.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        if let Some(file) = self.file {
            return file.finish();
        }
        let count = self.count;
        if count > 0 {
            let lines = if count == 1 { "line was" } else { "lines were" };
            say(format_args!("{count} {lines} refused:"));
            for line in &self.shown {
                say(format_args!("  {line}"));
            }
            if count > self.shown.len() as u64 {
                say(format_args!("  … and more"));
            }
            say(format_args!("resolve --refused FILE writes them to a file"));
        }
        Ok(())
    }
}

/// How a refused line stands in the file.
enum Content<'l> {
    Event(&'l RawValue),
    Text(&'l str),
    Bytes(&'l [u8]),
}

/// A line of the file. Of `event` and `text` there is one.
#[derive(Serialize)]
struct Record<'r> {
    line: u64,
    file: &'r str,
    error: &'r str,
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'r str>,
}

impl<'r> Record<'r> {
    fn new(reason: &'r Reason<'_>) -> Self {
        Self {
            line: reason.line,
            file: reason.file,
            error: &reason.error,
            rule: reason.rule,
            event: None,
            text: None,
        }
    }
}

impl Content<'_> {
    fn write(&self, reason: &Reason<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut record = Record::new(reason);
        match self {
            Self::Event(json) => record.event = Some(json),
            Self::Text(text) => record.text = Some(text),
            Self::Bytes(bytes) => {
                return write_base64(reason, out, |encoder| encoder.write_all(bytes));
            }
        }
        serde_json::to_writer(&mut *out, &record)?;
        out.write_all(b"\n")
    }
}

/// A record whose line stands as `base64`, since it is no text or is too long to look at.
fn write_base64(
    reason: &Reason<'_>,
    out: &mut dyn Write,
    write_line: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut head = serde_json::to_string(&Record::new(reason))?;
    head.pop(); // the closing brace
    write!(out, "{head},\"base64\":\"")?;
    let mut encoder = EncoderWriter::new(&mut *out, &BASE64);
    write_line(&mut encoder)?;
    encoder.finish()?;
    drop(encoder);
    out.write_all(b"\"}\n")
}
