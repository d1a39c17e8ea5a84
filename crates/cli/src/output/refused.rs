//! Refused lines: written to a file with the reason, or counted and the first of them shown.

use std::io::{self, Write};

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::write::EncoderWriter;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::destination::{Destination, Output};
use crate::report::say;
use crate::stream::block::Unit;
use crate::stream::events::RefusedLine;
use crate::stream::pipeline::{BlockPosition, Refusal};

/// How many refused lines are shown on stderr if they are not written to a file.
const SHOWN: usize = 5;

/// The result of too many refused lines for a command that writes at the end.
pub(crate) const NOTHING_WRITTEN: &str = "nothing was written";

/// How many lines may be refused before the command fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxRefused {
    Any,
    /// None: `--strict`.
    Strict,
    /// This many: `--max-refused`.
    Lines(u64),
}

impl MaxRefused {
    /// The number, if there is one.
    pub(crate) fn lines(self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Strict => Some(0),
            Self::Lines(lines) => Some(lines),
        }
    }
}

/// Takes refused lines.
#[derive(Debug)]
pub(crate) struct RefusedWriter {
    count: u64,
    max: MaxRefused,
    /// The first refused line, with its error.
    first: Option<String>,
    /// Records if there are any; a line is one as well.
    unit: Unit,
    file: Option<Output>,
    shown: Vec<String>,
    is_silent: bool,
}

impl RefusedWriter {
    /// Writes refused lines to `destination`. Without one, keeps a few to show.
    pub(crate) fn new(destination: Option<Destination>, max: MaxRefused) -> anyhow::Result<Self> {
        Ok(Self {
            count: 0,
            max,
            first: None,
            unit: Unit::Line,
            file: destination.map(Output::create).transpose()?,
            shown: Vec::new(),
            is_silent: false,
        })
    }

    /// Shows nothing on stderr.
    pub(crate) fn silence(&mut self) {
        self.is_silent = true;
    }

    /// The first refused line, with its error.
    pub(crate) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// How many lines were refused.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds the refused lines of a block.
    pub(crate) fn add_all(
        &mut self,
        block: BlockPosition<'_>,
        refused: Vec<RefusedLine<'_>>,
    ) -> anyhow::Result<()> {
        for RefusedLine { line, rule, error } in refused {
            let refusal = Refusal {
                position: block.line(line.number),
                rule,
                error,
            };
            if line.is_too_long {
                self.write_long(&refusal, |out| out.write_all(line.bytes))?;
            } else {
                self.write(&refusal, line.bytes)?;
            }
        }
        Ok(())
    }

    /// Adds a row of a table, as the line of JSON that it is.
    #[cfg(feature = "tables")]
    pub(crate) fn add_row(&mut self, refusal: &Refusal<'_>, line: &[u8]) -> anyhow::Result<()> {
        self.write(refusal, line)
    }

    /// Adds a line that is refused unread, and not held in memory; `copy` writes it.
    pub(crate) fn add_unread(
        &mut self,
        refusal: &Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.write_long(refusal, copy)
    }

    /// The error of more refused lines than are allowed; `result` says what became of the output.
    pub(crate) fn excess(&self, result: &str) -> anyhow::Result<()> {
        let count = self.count;
        if self.max.lines().is_none_or(|max| count <= max) {
            return Ok(());
        }
        let were = self.were();
        let option = match self.max {
            MaxRefused::Lines(max) => format!("--max-refused {max}"),
            _ => "--strict".to_owned(),
        };
        let first = self.first.as_deref().unwrap_or_default();
        Err(anyhow::anyhow!(
            "{count} {were} refused, so {result} ({option}); the first: {first}"
        ))
    }

    /// Finishes the file. Without one, says on stderr how many lines were refused, and shows the
    /// first.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(file) = self.file.take() {
            return file.finish();
        }
        let count = self.count;
        if count > 0 && !self.is_silent {
            say(format_args!("{count} {} refused:", self.were()));
            for line in &self.shown {
                say(format_args!("  {line}"));
            }
            if count > self.shown.len() as u64 {
                say(format_args!("  … and more"));
            }
            say(format_args!(
                "`--refused FILE` writes them to a file; `idmerge help rules` prints the rules"
            ));
        }
        Ok(())
    }

    /// The unit of the count, with its verb.
    fn were(&self) -> String {
        let unit = self.unit;
        match self.count {
            1 => format!("{unit} was"),
            _ => format!("{unit}s were"),
        }
    }

    fn write(&mut self, refusal: &Refusal<'_>, line: &[u8]) -> anyhow::Result<()> {
        self.note(refusal);
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let text = str::from_utf8(line).ok().map(str::trim_ascii);
        let json = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let content = match (json, text) {
            (Some(json), _) => Content::Event(json),
            (None, Some(text)) => Content::Text(text),
            (None, None) => Content::Bytes(line),
        };
        file.write_with(|out| content.write(refusal, out))
    }

    fn write_long(
        &mut self,
        refusal: &Refusal<'_>,
        copy: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.note(refusal);
        match &mut self.file {
            Some(file) => file.write_with(|out| write_base64(refusal, out, copy)),
            None => Ok(copy(&mut io::sink())?),
        }
    }

    fn note(&mut self, refusal: &Refusal<'_>) {
        self.count += 1;
        if refusal.position.record.is_some() {
            self.unit = Unit::Record;
        }
        let is_shown = self.file.is_none() && self.shown.len() < SHOWN;
        if !is_shown && self.first.is_some() {
            return;
        }
        let Refusal {
            position, error, ..
        } = refusal;
        let line = format!("{}, {position}: {error}", position.file);
        self.first.get_or_insert_with(|| line.clone());
        if is_shown {
            self.shown.push(line);
        }
    }
}

/// A refused line, as it is written to the file.
enum Content<'l> {
    /// JSON, unchanged.
    Event(&'l RawValue),
    /// Text that is not JSON, as a string.
    Text(&'l str),
    /// Bytes that are not UTF-8, as base64.
    Bytes(&'l [u8]),
}

/// A line of the file. It has `event` or `text`, or `base64` is added at the end.
#[derive(Serialize)]
struct Record<'r> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
    file: &'r str,
    error: &'r str,
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'r str>,
}

impl<'r> Record<'r> {
    fn new(refusal: &'r Refusal<'_>) -> Self {
        Self {
            line: refusal.position.line,
            record: refusal.position.record,
            file: refusal.position.file,
            error: &refusal.error,
            rule: refusal.rule,
            event: None,
            text: None,
        }
    }
}

impl Content<'_> {
    fn write(&self, refusal: &Refusal<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut record = Record::new(refusal);
        match self {
            Self::Event(json) => record.event = Some(json),
            Self::Text(text) => record.text = Some(text),
            Self::Bytes(bytes) => {
                return write_base64(refusal, out, |encoder| encoder.write_all(bytes));
            }
        }
        serde_json::to_writer(&mut *out, &record)?;
        out.write_all(b"\n")
    }
}

/// Writes a record with the line in base64, because it is not text or too long to be examined.
fn write_base64(
    refusal: &Refusal<'_>,
    out: &mut dyn Write,
    write_line: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut head = serde_json::to_string(&Record::new(refusal))?;
    head.pop(); // the closing brace
    write!(out, "{head},\"base64\":\"")?;
    let mut encoder = EncoderWriter::new(&mut *out, &BASE64);
    write_line(&mut encoder)?;
    encoder.finish()?;
    drop(encoder);
    out.write_all(b"\"}\n")
}
