//! Where events come from: files and stdin, read once or twice, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::args::wrong_usage;
use crate::progress::Progress;

const BUFFER_BYTES: usize = 1024 * 1024;

/// One input, open.
#[derive(Debug)]
pub(crate) struct Input {
    /// As the user named it.
    pub(crate) name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Can be read again: this many bytes from here on. What is appended later is not read, so
    /// that both times give the same.
    File { file: File, start: u64, bytes: u64 },
    /// Can be read once, unless a copy was kept then.
    Stream { stream: File, copy: Option<File> },
}

/// Whether the input is read once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    No,
}

/// Opens all inputs before any is read. None means stdin, unless that is the terminal.
pub(crate) fn open_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    if paths.is_empty() {
        if io::IsTerminal::is_terminal(&io::stdin()) {
            wrong_usage(format_args!(
                "there is no INPUT: name a file, or pipe events to stdin"
            ));
        }
        return Ok(vec![Input::stdin()?]);
    }
    if paths.iter().filter(|path| is_dash(path)).count() > 1 {
        wrong_usage(format_args!("stdin can be read once: - stands twice"));
    }
    paths.iter().map(|path| Input::open(path)).collect()
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Input {
    fn open(path: &Path) -> anyhow::Result<Self> {
        if is_dash(path) {
            return Self::stdin();
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        Self::new(name, file)
    }

    fn stdin() -> anyhow::Result<Self> {
        let stdin = duplicate_stdin().context("cannot open stdin")?;
        Self::new("-".to_owned(), stdin)
    }

    fn new(name: String, mut file: File) -> anyhow::Result<Self> {
        let metadata = file
            .metadata()
            .with_context(|| format!("cannot look at {name}"))?;
        if metadata.is_dir() {
            bail!("cannot read {name}: it is a directory");
        }
        let source = if metadata.is_file() {
            let start = file
                .stream_position()
                .with_context(|| format!("cannot read {name}"))?;
            Source::File {
                file,
                start,
                bytes: metadata.len().saturating_sub(start),
            }
        } else {
            Source::Stream {
                stream: file,
                copy: None,
            }
        };
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
    ) -> anyhow::Result<Box<dyn BufRead + 'i>> {
        self.source
            .read(again)
            .and_then(|raw| decompressed(progress.watch(raw)))
            .with_context(|| format!("cannot read {}", self.name))
    }
}

impl Source {
    fn read(&mut self, again: Again) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::File { file, start, bytes } => {
                file.seek(SeekFrom::Start(*start))?;
                Box::new(file.take(*bytes))
            }
            Self::Stream { stream, copy } => match (copy, again) {
                (Some(copy), _) => {
                    copy.rewind()?;
                    Box::new(copy)
                }
                (copy, Again::Yes) => Box::new(Tee {
                    stream,
                    copy: copy.insert(tempfile::tempfile()?),
                }),
                (_, Again::No) => Box::new(stream),
            },
        })
    }
}

/// Keeps a copy of what is read.
struct Tee<'i> {
    stream: &'i mut File,
    copy: &'i mut File,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        self.copy.write_all(&buffer[..bytes])?;
        Ok(bytes)
    }
}

/// Decompresses gzip and zstd, told by their first bytes.
fn decompressed<'i>(mut raw: impl Read + 'i) -> io::Result<Box<dyn BufRead + 'i>> {
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let format = Format::of(&magic);
    let raw = BufReader::with_capacity(BUFFER_BYTES, io::Cursor::new(magic).chain(raw));
    Ok(match format {
        Format::Plain => Box::new(raw),
        Format::Gzip => Box::new(BufReader::with_capacity(
            BUFFER_BYTES,
            flate2::bufread::MultiGzDecoder::new(raw),
        )),
        Format::Zstd => Box::new(BufReader::with_capacity(
            BUFFER_BYTES,
            zstd::Decoder::with_buffer(raw)?,
        )),
    })
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
}

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
