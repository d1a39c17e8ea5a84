//! Inputs without one usable event, and what such an input looks like (IN-6).

use std::fmt::Write;
use std::sync::Arc;

use idmerge_adapters::{Detected, Format, detect, is_rudderstack_call};
use idmerge_core::quote;
use idmerge_events::visit_members;

use super::text::{after_space, first_records, valid_text};
use super::wrapped::{array_of_records, jq_filter};
use crate::stream::adapt::table::Table;
use crate::stream::block::Block;
use crate::stream::input::table;
use crate::stream::pipeline::BlockPosition;

/// How many lines and events a block has.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Blank and refused lines included.
    pub(crate) lines: u64,
    /// How many events can be used.
    pub(crate) events: u64,
    /// How many of those have a distinct_id.
    pub(crate) with_id: u64,
    /// The number of the first refused line in the block, and the error.
    pub(crate) first_refused: Option<(u64, String)>,
}

/// Counts the events of an input that can be used.
#[derive(Debug, Default)]
pub(crate) struct UsableEvents {
    head: Vec<u8>,
    events: u64,
    with_id: u64,
    first_error: Option<String>,
    /// Whether its records were turned into events before.
    is_adapted: bool,
    /// Whether it is a table whose rows are records: the name of the form is no news then.
    is_table: bool,
}

impl Tally {
    /// Of a block with this many lines that an earlier pass has checked.
    pub(crate) fn checked(lines: u64) -> Self {
        Self {
            lines,
            with_id: lines,
            ..Self::default()
        }
    }
}

impl UsableEvents {
    /// Starts an input that begins with this block. A part that was read before was usable.
    pub(crate) fn start(&mut self, block: &Block, is_adapted: bool) {
        let is_named = |table: &Arc<Table>| table.is_named() || block.adapted.is_some();
        *self = Self {
            head: block.head.clone(),
            with_id: block.passed.is_some().into(),
            is_adapted,
            is_table: block.table.as_ref().is_some_and(is_named),
            ..Self::default()
        };
    }

    /// Of a table that begins with these lines, without an event that has an ID.
    #[cfg(feature = "tables")]
    pub(crate) fn of_table(head: Vec<u8>, events: u64, first_error: Option<String>) -> Self {
        Self {
            head,
            events,
            first_error,
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, tally: Tally, position: &BlockPosition<'_>) {
        self.events += tally.events;
        self.with_id += tally.with_id;
        if let (None, Some((number, error))) = (&self.first_error, tally.first_refused) {
            self.first_error = Some(format!("{}: {error}", position.line(number)));
        }
    }

    /// Why an input that begins so is an error, whatever its lines are: an archive can hold files uncompressed,
    /// and the first event of each file is then on one line with the archive's own bytes.
    pub(crate) fn archive(&self) -> Option<String> {
        let name = archive(&self.head)?;
        Some(format!("{NONE}: it looks like {name}"))
    }

    /// Why the input is an error: none of its events can be used, or none has an ID where it is read.
    pub(crate) fn error(&self) -> Option<String> {
        if self.with_id > 0 {
            return None;
        }
        let sender = (!self.is_adapted).then(|| Sender::of(&self.head)).flatten();
        if self.events == 0 {
            let first = self.first_error.as_ref()?;
            let mut error = NONE.to_owned();
            if let Some(name) = looks_like(&self.head).filter(|_| !self.is_table) {
                let _infallible = write!(error, ": it looks like {name}");
            } else if let Some(format) = sender.and_then(|sender| sender.format) {
                let _infallible = write!(error, ": it looks like {}", from(format));
            } else if let Some(wrapped) = looks_wrapped(&self.head) {
                let _infallible = write!(error, ": {wrapped}");
            } else if let Some(failure) = failed_response(&self.head) {
                let _infallible = write!(
                    error,
                    ": it is the response to a request that failed, with the error {failure}"
                );
            } else {
                let _infallible = write!(error, "; {first}");
            }
            return Some(error);
        }
        let sender = sender?;
        let mut error = format!(
            "no event of it has an ID where idmerge reads it, but \"{}\" is at the top of a record (IN-6)",
            sender.key
        );
        if let Some(format) = sender.format {
            let _infallible = write!(error, ": it looks like {}", from(format));
        }
        Some(error)
    }
}

const NONE: &str = "none of its events can be used (IN-6)";

/// The advice for JSON of another sender.
fn from(format: Format) -> String {
    let product = format.product();
    format!("{product} JSON: read it with `--from {format}`")
}

/// The error in a response, which an export that failed writes in place of events.
fn failed_response(head: &[u8]) -> Option<String> {
    let text = valid_text(after_space(head));
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    let response = values.next()?.ok()?;
    let error = response.get("error")?.as_str()?;
    response.get("event").is_none().then(|| quote(error))
}

/// Describes an input that has its records in an array of one object.
fn looks_wrapped(head: &[u8]) -> Option<String> {
    let text = valid_text(after_space(head));
    let (key, array) = array_of_records(text)?;
    let wrapped = format!("its records are in the array \"{key}\" of an object");
    let sender = Sender::of(array.as_bytes()).and_then(|sender| sender.format);
    Some(match sender {
        Some(format) => format!("{wrapped}, and look like {}", from(format)),
        None => format!(
            "{wrapped}: take them out, as with `jq -c '{}'`",
            jq_filter(&key)
        ),
    })
}

/// Names by first bytes.
const MAGIC: &[(&[u8], &str)] = &[
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (b"PK\x05\x06", "a zip archive, and an empty one"),
    (
        b"\xfd7zXZ\0",
        "data compressed with xz: unpack it with `xz -d`",
    ),
    (
        b"\x5d\0\0",
        "data compressed with lzma: unpack it with `xz -d`",
    ),
    (
        b"\x1f\x9d",
        "data compressed with compress: unpack it with `gzip -d`",
    ),
    (
        b"\xff\x06\0\0sNaPpY",
        "data compressed with Snappy: unpack it",
    ),
    (
        b"BZh",
        "data compressed with bzip2: unpack it with `bzip2 -d`",
    ),
    (
        b"\x04\x22\x4d\x18",
        "data compressed with lz4: unpack it with `lz4 -d`",
    ),
    (
        table::MAGIC,
        "Parquet that is compressed as a whole: decompress it",
    ),
    (b"Obj\x01", "Avro, which idmerge cannot read"),
    (b"ORC", "ORC, which idmerge cannot read"),
    (b"SQLite format 3\0", "a SQLite database"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an Excel workbook, which idmerge cannot read",
    ),
    (b"\x1f\x8b", "gzip within gzip or zstd: unpack it once"),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd within gzip or zstd: unpack it once",
    ),
];

const UTF_32: &str = "UTF-32 text: convert it to UTF-8, as with `iconv -f UTF-32 -t UTF-8`";
const UTF_16: &str = "UTF-16 text: convert it to UTF-8, as with `iconv -f UTF-16 -t UTF-8`";

/// Text in UTF-16 or UTF-32 without a byte order mark, by the zeros of its first characters in ASCII.
fn looks_like_wide_text(head: &[u8]) -> Option<&'static str> {
    let zeros: [bool; 8] = std::array::from_fn(|at| head.get(at) == Some(&0));
    match zeros {
        [false, true, true, true, false, true, true, true] => {
            Some("UTF-32 text: convert it to UTF-8, as with `iconv -f UTF-32LE -t UTF-8`")
        }
        [true, true, true, false, true, true, true, false] => {
            Some("UTF-32 text: convert it to UTF-8, as with `iconv -f UTF-32BE -t UTF-8`")
        }
        [false, true, false, true, ..] => {
            Some("UTF-16 text: convert it to UTF-8, as with `iconv -f UTF-16LE -t UTF-8`")
        }
        [true, false, true, false, ..] => {
            Some("UTF-16 text: convert it to UTF-8, as with `iconv -f UTF-16BE -t UTF-8`")
        }
        _ => None,
    }
}

/// The archive that an input is, which can hold any text.
fn archive(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"PK\x03\x04") {
        return Some("a zip archive: unpack it");
    }
    if head.starts_with(b"7z\xbc\xaf\x27\x1c") {
        return Some("a 7z archive: unpack it");
    }
    // Text can have "mustard" at this place, but not the zeros that fill the fields before it.
    let is_tar = head.get(257..262) == Some(b"ustar") && head[..257].contains(&0);
    is_tar.then_some("a tar archive: unpack it")
}

/// What the first bytes of an input look like, if it is not JSON.
fn looks_like(head: &[u8]) -> Option<&'static str> {
    let magic = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    if let Some((_, name)) = magic {
        return Some(name);
    }
    if let Some(name) = looks_like_wide_text(head) {
        return Some(name);
    }
    let text = after_space(head);
    if text.starts_with(b"<") {
        return Some("HTML or XML");
    }
    let ends_with_cr = !head.contains(&b'\n') && head.trim_ascii_end().contains(&b'\r');
    if text.starts_with(b"{") && ends_with_cr {
        return Some("JSON whose lines end with CR alone: make it LF, as with `tr '\\r' '\\n'`");
    }
    is_csv(text).then_some(
        "CSV: name its columns, as in `--from csv --map user=email,device=cookie,event=event`",
    )
}

/// Whether the first two lines have the same separator.
fn is_csv(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next().unwrap_or_default();
    let second = lines.next().filter(|line| !line.is_empty());
    let is_text = str::from_utf8(first).is_ok_and(|line| !line.contains(['\0', '{', '[']));
    is_text
        && [b',', b';', b'\t'].iter().any(|separator| {
            first.contains(separator) && second.is_none_or(|line| line.contains(separator))
        })
}

/// Who sends JSON with IDs at the top of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sender {
    key: String,
    format: Option<Format>,
}

/// Keys at the top of a record that hold an ID. Those with a format are of one sender.
const ID_KEYS: &[(&str, Option<Format>)] = &[
    ("amplitude_id", Some(Format::Amplitude)),
    ("event_type", Some(Format::Amplitude)),
    ("messageId", Some(Format::Segment)),
    ("anonymousId", Some(Format::Segment)),
    ("userId", Some(Format::Segment)),
    ("user_pseudo_id", Some(Format::Ga4)),
    ("domain_userid", Some(Format::Snowplow)),
    ("mpid", Some(Format::MParticle)),
    ("anonymous_id", None),
    ("distinct_id", None),
    ("distinctId", None),
    ("$distinct_id", None),
    ("user_id", None),
    ("device_id", None),
    ("deviceId", None),
    ("$user_id", None),
    ("$device_id", None),
    ("user", None),
    ("uid", None),
];

impl Sender {
    /// By the first records. The one that was cut off is read as far as it goes.
    fn of(head: &[u8]) -> Option<Self> {
        let text = valid_text(head);
        let mut keys = Vec::new();
        let first = text.find('{').map(|start| &text[start..]);
        let others = text.lines().skip(1).filter(|line| line.starts_with('{'));
        for record in first.into_iter().chain(others).take(20) {
            visit_members(record, |key, _| keys.push(key.to_vec()));
        }
        let is_there = |key: &str| keys.iter().any(|there| there == key.as_bytes());
        let (key, format) = ID_KEYS.iter().find(|(key, _)| is_there(key))?;
        // That key alone is no ID.
        let key = match *key {
            "event_type" | "messageId" => {
                let ids = ["user_id", "device_id", "userId", "anonymousId"];
                ids.into_iter().find(|id| is_there(id)).unwrap_or(key)
            }
            key => key,
        };
        Some(Self {
            key: key.to_owned(),
            format: format_of(head, *format),
        })
    }
}

/// The format that `--from auto` would choose. If the records lack what it goes by, the one that a key shows.
fn format_of(head: &[u8], by_key: Option<Format>) -> Option<Format> {
    let records = first_records(head);
    match detect(records.iter().map(String::as_str)) {
        Detected::Format(format) => Some(format),
        Detected::Several(_) => None,
        Detected::Mixpanel if records.iter().any(|record| is_rudderstack_call(record)) => by_key
            .map(|format| match format {
                Format::Segment => Format::RudderStack,
                format => format,
            }),
        Detected::Mixpanel => by_key,
    }
}
