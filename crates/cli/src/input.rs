//! Where events come from: files and stdin, read once or twice, compressed or not.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::args::wrong_usage;
use crate::progress::Progress;

/// How much compressed data is read at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// One input.
#[derive(Debug)]
pub(crate) struct Input {
    /// As the user named it.
    pub(crate) name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Can be read again: this many bytes from `start` on. What is appended later is not read, so
    /// that both times give the same.
    File {
        origin: Origin,
        identity: Identity,
        start: u64,
        bytes: u64,
    },
    /// Can be read once, unless a copy was kept then.
    Stream { origin: Origin, copy: Option<File> },
}

/// What an input is opened by. That is done when its turn has come: inputs may be more than the
/// files that a process may hold open, and opening a named pipe waits for its writer.
#[derive(Debug)]
enum Origin {
    Path(PathBuf),
    Stdin,
}

/// Whether the input is read once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    No,
}

/// Looks for all inputs before any is read. None means stdin, unless that is the terminal.
pub(crate) fn find_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    if paths.is_empty() {
        if io::IsTerminal::is_terminal(&io::stdin()) {
            wrong_usage(format_args!(
                "there is no INPUT: name a file, or pipe events to stdin"
            ));
        }
        return Ok(vec![Input::find(Path::new("-"))?]);
    }
    if paths.iter().filter(|path| is_dash(path)).count() > 1 {
        wrong_usage(format_args!("stdin can be read once: - stands twice"));
    }
    paths.iter().map(|path| Input::find(path)).collect()
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Input {
    fn find(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let source = Source::find(path).with_context(|| format!("cannot open {name}"))?;
        Ok(Self { name, source })
    }

    /// How many bytes it has, if that is known before it is read.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self.source {
            Source::File { bytes, .. } => Some(bytes),
            Source::Stream { .. } => None,
        }
    }

    /// Reads it from the start, decompressed. Where it is to be read again and cannot be, a copy
    /// is kept in a temporary file.
    pub(crate) fn read<'i>(
        &'i mut self,
        again: Again,
        progress: &'i Progress,
    ) -> anyhow::Result<Box<dyn Read + Send + 'i>> {
        self.source
            .read(again)
            .and_then(|raw| decompressed(progress.watch(raw)))
            .with_context(|| format!("cannot read {}", self.name))
    }
}

impl Source {
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
        // A file that may not be read is found out now.
        let start = origin.open()?.stream_position()?;
        Ok(Self::File {
            origin,
            identity: identity(&metadata),
            start,
            bytes: metadata.len().saturating_sub(start),
        })
    }

    fn read(&mut self, again: Again) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match self {
            Self::File {
                origin,
                identity: before,
                start,
                bytes,
            } => {
                let mut file = origin.open()?;
                if identity(&file.metadata()?) != *before {
                    return Err(io::Error::other("another file has taken its place"));
                }
                file.seek(SeekFrom::Start(*start))?;
                Box::new(file.take(*bytes))
            }
            Self::Stream { origin, copy } => match (copy, again) {
                (Some(copy), _) => {
                    copy.rewind()?;
                    Box::new(copy)
                }
                (copy, Again::Yes) => Box::new(Tee {
                    stream: origin.open()?,
                    copy: copy.insert(tempfile::tempfile().map_err(not_copied)?),
                }),
                (_, Again::No) => Box::new(origin.open()?),
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

/// Keeps a copy of what is read.
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
        "it cannot be kept in {} to be read again: {error}",
        env::temp_dir().display()
    );
    io::Error::new(error.kind(), message)
}

/// Decompresses gzip and zstd, told by their first bytes.
///
/// At both readings: to keep what comes out would take the room of the whole text on a disk, and
/// as long to write and to read as to unpack again, which is done while other threads parse.
fn decompressed<'i>(mut raw: impl Read + Send + 'i) -> io::Result<Box<dyn Read + Send + 'i>> {
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let format = Format::of(&magic);
    let raw = io::Cursor::new(magic).chain(raw);
    let buffered = |raw| BufReader::with_capacity(BUFFER_BYTES, raw);
    let decoder: Box<dyn Read + Send + 'i> = match format {
        // Who reads has a buffer.
        Format::Plain => return Ok(Box::new(raw)),
        Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(raw))),
        Format::Zstd => Box::new(zstd::Decoder::with_buffer(buffered(raw))?),
    };
    Ok(Box::new(Decompressed { decoder, format }))
}

/// Says of an error that it is one of compressed data.
struct Decompressed<'i> {
    decoder: Box<dyn Read + Send + 'i>,
    format: Format,
}

impl Read for Decompressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        self.decoder.read(buffer).map_err(|error| {
            let kind = error.kind();
            // What the system says is about the file, not about what is in it.
            if error.raw_os_error().is_some()
                || !matches!(kind, InvalidData | InvalidInput | Other | UnexpectedEof)
            {
                return error;
            }
            let name = self.format.name();
            let message = format!("its {name} data is damaged, cut off or followed by other data");
            io::Error::new(kind, format!("{message}: {error}"))
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Plain,
    Gzip,
    Zstd,
}

impl Format {
    fn of(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            // A frame to skip, with which some tools begin.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Tells a file from another that takes its name.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (magic, format) in [
            (&b""[..], Format::Plain),
            (b"{", Format::Plain),
            (b"{\"ev", Format::Plain),
            (b"\x1f", Format::Plain),
            (b"\x1f\x8b\x08\x00", Format::Gzip),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x53\x2a\x4d\x18", Format::Zstd),
            (b"\x28\xb5\x2f", Format::Plain),
        ] {
            assert_eq!(Format::of(magic), format, "{magic:?}");
        }
    }
}
