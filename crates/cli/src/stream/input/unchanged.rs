//! Notices that an input file changes while it is read.

use std::error::Error;
use std::fmt;
use std::fs::Metadata;
use std::hash::Hasher;
use std::io::{self, Read};
use std::time::SystemTime;

use twox_hash::XxHash3_64;

/// Shows that a file has changed, without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: Identity,
    bytes: u64,
    modified: Option<SystemTime>,
    inode_changed: InodeTime,
}

/// An input changed while a command read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputChanged {
    input: String,
    change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Another file has its name.
    Replaced,
    /// No file has its name.
    Removed,
    Size {
        before: u64,
        now: u64,
    },
    Time,
    Content,
}

/// How often an input is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Once. A file that only grows is read as it was at the start.
    Once,
    /// For the first time of two.
    First,
    /// Again. The first time, the text had this hash.
    Again { hash: u64 },
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            identity: identity(metadata),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            inode_changed: inode_changed(metadata),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Why the file cannot be read on, if it now has this stamp.
    pub(super) fn change(&self, now: &Self, reading: Reading) -> Option<Change> {
        if !self.is_same_file(now) {
            return Some(Change::Replaced);
        }
        if now.bytes > self.bytes && reading == Reading::Once {
            return None;
        }
        if now.bytes != self.bytes {
            let (before, now) = (self.bytes, now.bytes);
            return Some(Change::Size { before, now });
        }
        (now.modified != self.modified).then_some(Change::Time)
    }

    /// Whether the content may have changed, though size and time have not: a program can set the
    /// time of modification back, but not this one. It also changes with the name and the
    /// permissions of a file, so it does not prove a change.
    pub(super) fn may_hide_a_change(&self, now: &Self) -> bool {
        self.inode_changed != now.inode_changed
    }
}

impl InputChanged {
    pub(super) fn new(input: &str, change: Change) -> Self {
        Self {
            input: input.to_owned(),
            change,
        }
    }

    /// The content of this input has changed.
    pub(crate) fn content(input: &str) -> Self {
        Self::new(input, Change::Content)
    }

    /// The change that this error of reading is about, if any.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<InputChanged> for io::Error {
    fn from(changed: InputChanged) -> Self {
        Self::other(changed)
    }
}

impl fmt::Display for InputChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changed while idmerge read it: ", self.input)?;
        match self.change {
            Change::Replaced => f.write_str("another file has its name now"),
            Change::Removed => f.write_str("the file was removed or renamed"),
            Change::Size { before, now } => {
                write!(f, "its size in bytes was {before}, and is {now} now")
            }
            Change::Time => f.write_str("its modification time has changed"),
            Change::Content => f.write_str("its content is not the same"),
        }?;
        f.write_str("; copy the file, and run idmerge on the copy")
    }
}

impl Error for InputChanged {}

/// Reads the text of a file, and checks at its end that the file has not changed.
pub(super) struct Unchanged<'i> {
    text: Box<dyn Read + Send + 'i>,
    input: &'i str,
    reading: Reading,
    before: &'i Stamp,
    /// The stamp of the open file.
    now: Box<dyn Fn() -> io::Result<Stamp> + Send + 'i>,
    hasher: XxHash3_64,
    /// Receives the hash of the text at its end.
    hash: &'i mut Option<u64>,
}

impl<'i> Unchanged<'i> {
    pub(super) fn new(
        text: Box<dyn Read + Send + 'i>,
        input: &'i str,
        reading: Reading,
        before: &'i Stamp,
        now: impl Fn() -> io::Result<Stamp> + Send + 'i,
        hash: &'i mut Option<u64>,
    ) -> Self {
        Self {
            text,
            input,
            reading,
            before,
            now: Box::new(now),
            hasher: XxHash3_64::new(),
            hash,
        }
    }

    fn changed(&self, change: Change) -> io::Error {
        InputChanged::new(self.input, change).into()
    }

    fn check_stamp(&self) -> io::Result<()> {
        match self.before.change(&(self.now)()?, self.reading) {
            Some(change) => Err(self.changed(change)),
            None => Ok(()),
        }
    }

    fn check_end(&mut self) -> io::Result<()> {
        self.check_stamp()?;
        let hash = self.hasher.finish();
        match self.reading {
            Reading::Once => {}
            Reading::First => *self.hash = Some(hash),
            Reading::Again { hash: first } if hash == first => {}
            Reading::Again { .. } => return Err(self.changed(Change::Content)),
        }
        Ok(())
    }
}

impl Read for Unchanged<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = match self.text.read(buffer) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            // A file that has changed can also look damaged.
            Err(error) => return Err(self.check_stamp().err().unwrap_or(error)),
        };
        if self.reading != Reading::Once {
            self.hasher.write(&buffer[..bytes]);
        }
        if bytes == 0 && !buffer.is_empty() {
            self.check_end()?;
        }
        Ok(bytes)
    }
}

/// Reads the bytes that a file had at the start: no more, and it is an error if there are fewer.
pub(super) struct Exact<R> {
    file: R,
    missing: u64,
}

impl<R> Exact<R> {
    pub(super) fn new(file: R, bytes: u64) -> Self {
        Self {
            file,
            missing: bytes,
        }
    }
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.missing).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let bytes = self.file.read(&mut buffer[..most])?;
        if bytes == 0 && most > 0 {
            let message = format!("its end is missing; missing bytes: {}", self.missing);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.missing -= bytes as u64;
        Ok(bytes)
    }
}

/// Tells a file from another one that has taken its name.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

/// When the content of a file, its name or its permissions last changed.
#[cfg(unix)]
type InodeTime = (i64, i64);
#[cfg(not(unix))]
type InodeTime = ();

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}

#[cfg(unix)]
fn inode_changed(metadata: &Metadata) -> InodeTime {
    use std::os::unix::fs::MetadataExt;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn inode_changed(_: &Metadata) -> InodeTime {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::stream::input::{self, Reread};
    use crate::stream::progress::Progress;

    #[test]
    fn a_file_that_is_cut_while_it_is_read_is_an_error() {
        for reread in [Reread::Yes, Reread::No] {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), [b'x'; 1_000]).unwrap();
            let mut inputs = input::find_all(&[file.path().to_owned()]).unwrap();
            let progress = Progress::of_bytes(None, true);
            let mut text = inputs[0].read(reread, &progress).unwrap();
            text.read_exact(&mut [0; 500]).unwrap();
            file.as_file().set_len(600).unwrap();
            let error = text.read_to_end(&mut Vec::new()).unwrap_err();
            let changed = InputChanged::of(&error).unwrap().to_string();
            let wanted = "its size in bytes was 1000, and is 600 now";
            assert!(changed.contains(wanted), "{changed}");
        }
    }

    #[test]
    fn a_file_that_only_grows_is_read_once_as_it_was_but_not_twice() {
        for (reread, is_error) in [(Reread::No, false), (Reread::Yes, true)] {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), "before").unwrap();
            let mut inputs = input::find_all(&[file.path().to_owned()]).unwrap();
            let progress = Progress::of_bytes(None, true);
            let mut text = inputs[0].read(reread, &progress).unwrap();
            fs::write(file.path(), "before, after").unwrap();
            let mut all = String::new();
            assert_eq!(text.read_to_string(&mut all).is_err(), is_error);
            if !is_error {
                assert_eq!(all, "before");
            }
        }
    }
}
