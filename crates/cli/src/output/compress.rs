//! Compression of output, which the name of the file chooses.

use std::fmt;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::thread;

use flate2::write::GzEncoder;

/// More threads would wait for the lines: `resolve` does not write faster than four of them compress.
const ZSTD_THREADS_MAX: u32 = 4;

/// How an output is compressed. The levels are the defaults of `gzip` and `zstd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Endings of names that promise a form that is not written. Without an error, the file would have lines of JSON, and
/// what opens it by its name could not read it.
const OTHER_FORMS: &[&str] = &[
    "bz2", "zip", "xz", "lzma", "7z", "rar", "tar", "tgz", "lz4", "br", "sz", "snappy", "tsv",
    "xls", "xlsx", "avro", "orc", "feather", "arrow",
];

/// The ending of a name that promises a form that is not written, as in `.bz2` and `.tsv.gz`.
pub(super) fn ending_of_other_form(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let uncompressed = [".gz", ".zst"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    let (_, ending) = uncompressed.unwrap_or(&name).rsplit_once('.')?;
    OTHER_FORMS.iter().copied().find(|other| *other == ending)
}

/// A writer that compresses what it passes on.
pub(super) enum Compressor<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl Compression {
    /// By the end of the name, in upper case or lower case.
    pub(super) fn of(path: &Path) -> Self {
        let ends_with = |end| {
            let extension = path.extension();
            extension.is_some_and(|extension| extension.eq_ignore_ascii_case(end))
        };
        if ends_with("gz") {
            Self::Gzip
        } else if ends_with("zst") {
            Self::Zstd
        } else {
            Self::None
        }
    }

    pub(super) fn start<W: Write>(self, to: W) -> io::Result<Compressor<W>> {
        Ok(match self {
            Self::None => Compressor::None(to),
            Self::Gzip => Compressor::Gzip(GzEncoder::new(to, flate2::Compression::default())),
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                // The number of threads does not change the bytes.
                let threads = thread::available_parallelism().map_or(1, NonZero::get);
                let threads = u32::try_from(threads).unwrap_or(ZSTD_THREADS_MAX);
                encoder.multithread(threads.min(ZSTD_THREADS_MAX))?;
                Compressor::Zstd(encoder)
            }
        })
    }
}

impl<W: Write> Compressor<W> {
    pub(super) fn inner(&self) -> &W {
        match self {
            Self::None(inner) => inner,
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    /// Writes the end of the compressed data.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(inner) => Ok(inner),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(inner) => inner.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(inner) => inner.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

impl<W: Write> fmt::Debug for Compressor<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::None(_) => "None",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}
