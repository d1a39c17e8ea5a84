//! Input files and stdin, read once or twice.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::report::wrong_usage;
use crate::stream::decompress::decompressed;
use crate::stream::progress::Progress;

/// One input.
#[derive(Debug)]
pub(crate) struct Input {
    /// As the user named it.
    pub(crate) name: String,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    /// A file: can be read again. Only these `bytes` from `start` on are read, so that both passes
    /// see the same even if the file grows.
    File {
        origin: Origin,
        identity: Identity,
        start: u64,
        bytes: u64,
    },
    /// A pipe: can be read once, and again only from a copy.
    Stream { origin: Origin, copy: Option<File> },
}

/// What to open. An input is opened only when it is read: there may be more inputs than a process
/// may hold open, and opening a named pipe waits for its writer.
#[derive(Debug)]
enum Origin {
    Path(PathBuf),
    Stdin,
}

/// Whether the input will be read another time after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reread {
    Yes,
    No,
}

/// Finds all inputs before any is read. No path means stdin, unless stdin is the terminal.
///
/// # Errors
///
/// An input is missing or may not be read, or stdin is named twice.
pub(crate) fn find_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    if paths.is_empty() {
        if io::IsTerminal::is_terminal(&io::stdin()) {
            return Err(wrong_usage(format_args!(
                "there is no INPUT: name a file, or pipe events to stdin"
            )));
        }
        return Ok(vec![Input::find(Path::new("-"))?]);
    }
    if paths.iter().filter(|path| is_dash(path)).count() > 1 {
        return Err(wrong_usage(format_args!(
            "stdin can be read only once, but - is given twice"
        )));
    }
    paths.iter().map(|path| Input::find(path)).collect()
}

/// The size of all inputs together, if all are files.
pub(crate) fn total_bytes(inputs: &[Input]) -> Option<u64> {
    inputs.iter().map(Input::bytes).sum()
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Input {
    fn find(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let contents = Contents::find(path).with_context(|| format!("cannot open {name}"))?;
        Ok(Self { name, contents })
    }

    fn bytes(&self) -> Option<u64> {
        match self.contents {
            Contents::File { bytes, .. } => Some(bytes),
            Contents::Stream { .. } => None,
        }
    }

    /// Reads the input from its start, decompressed. A stream that will be read again is copied to a
    /// temporary file on the way.
    pub(crate) fn read<'i>(
        &'i mut self,
        reread: Reread,
        progress: &'i Progress,
    ) -> anyhow::Result<Box<dyn Read + Send + 'i>> {
        self.contents
            .read(reread)
            .and_then(|raw| decompressed(progress.watch(raw)))
            .with_context(|| format!("cannot read {}", self.name))
    }
}

impl Contents {
    fn find(path: &Path) -> io::Result<Self> {
        let (origin, metadata) = if is_dash(path) {
            (Origin::Stdin, duplicate_stdin()?.metadata()?)
        } else {
            (Origin::Path(path.to_owned()), fs::metadata(path)?)
        };
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Ok(Self::Stream { origin, copy: None });
        }
        // Opening it here reports a missing permission before anything is read.
        let start = origin.open()?.stream_position()?;
        Ok(Self::File {
            origin,
            identity: identity(&metadata),
            start,
            bytes: metadata.len().saturating_sub(start),
        })
    }

    fn read(&mut self, reread: Reread) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match self {
            Self::File {
                origin,
                identity: before,
                start,
                bytes,
            } => {
                let mut file = origin.open()?;
                if identity(&file.metadata()?) != *before {
                    return Err(io::Error::other(
                        "it was replaced by another file while idmerge ran; run idmerge again",
                    ));
                }
                file.seek(SeekFrom::Start(*start))?;
                Box::new(file.take(*bytes))
            }
            Self::Stream { origin, copy } => match (copy, reread) {
                (Some(copy), _) => {
                    copy.rewind()?;
                    Box::new(copy)
                }
                (copy, Reread::Yes) => Box::new(Tee {
                    stream: origin.open()?,
                    copy: copy.insert(tempfile::tempfile().map_err(not_copied)?),
                }),
                (_, Reread::No) => Box::new(origin.open()?),
            },
        })
    }
}

impl Origin {
    fn open(&self) -> io::Result<File> {
        match self {
            Self::Path(path) => File::open(path),
            Self::Stdin => duplicate_stdin(),
        }
    }
}

/// A reader that copies what is read.
struct Tee<'i> {
    stream: File,
    copy: &'i mut File,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        self.copy.write_all(&buffer[..bytes]).map_err(not_copied)?;
        Ok(bytes)
    }
}

fn not_copied(error: io::Error) -> io::Error {
    let message = format!(
        "it must be read twice, and its copy cannot be written to {}: {error} (TMPDIR sets another \
         folder)",
        env::temp_dir().display()
    );
    io::Error::new(error.kind(), message)
}

/// Tells a file from another one that has taken its name.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Identity {}

#[cfg(unix)]
fn duplicate_stdin() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn duplicate_stdin() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}
