//! Decompression of gzip and zstd, detected by the first bytes.

mod jobs;
mod limits;
mod members;
mod runs;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

pub(crate) use crate::stream::input::decompress::jobs::Helpers;
use crate::stream::input::decompress::limits::Limits;
use crate::stream::input::decompress::members::Members;
use crate::stream::input::table::{self, TableForm};
use crate::stream::progress::Progress;

/// How much compressed data is read at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// Decompresses gzip and zstd, and reads Parquet row by row; anything else is passed through.
///
/// Both passes over the input decompress it. Keeping the decompressed text would need its full size
/// on disk, and writing and reading that takes as long as decompressing again, which other threads
/// overlap with parsing.
pub(super) fn decompressed<'i>(
    mut raw: impl Read + Send + 'i,
    name: &str,
    form: &mut TableForm,
    helpers: &Helpers,
    progress: &Progress,
) -> io::Result<Box<dyn Read + Send + 'i>> {
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let format = Format::of(&magic);
    let is_table = magic == table::MAGIC;
    let raw = io::Cursor::new(magic).chain(raw);
    let buffered = |raw| BufReader::with_capacity(BUFFER_BYTES, raw);
    let decoder: Box<dyn Read + Send + 'i> = match format {
        // Blocks are large reads: a buffer would only copy.
        Format::Plain if is_table => return table::text_of_stream(raw, name, form, progress),
        Format::Plain => return Ok(Box::new(raw)),
        Format::Gzip => {
            let limits = Limits::for_threads(helpers.threads);
            Box::new(Gzip::new(buffered(raw), limits, helpers))
        }
        Format::Zstd => Box::new(zstd::Decoder::with_buffer(buffered(raw))?),
    };
    Ok(Box::new(Decompressed { decoder, format }))
}

/// Gzip. The first member, and all if no other thread can help, are read by one decoder.
enum Gzip<R> {
    First(Box<GzipMembers<BufReader<R>>>, Limits, Helpers),
    Later(Box<Members<R>>),
}

impl<R: Read> Gzip<R> {
    fn new(raw: BufReader<R>, limits: Limits, helpers: &Helpers) -> Self {
        Self::First(Box::new(GzipMembers::new(raw)), limits, helpers.clone())
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::First(members, _, Helpers { threads: ..=1, .. }) => members.read(buffer),
            Self::First(members, limits, helpers) => {
                let bytes = members.read_member(buffer)?;
                if bytes > 0 || buffer.is_empty() {
                    return Ok(bytes);
                }
                let Some(raw) = members.pass_zeros()? else {
                    return Ok(0);
                };
                let members = Members::new(raw, *limits, helpers.clone());
                *self = Self::Later(Box::new(members));
                self.read(buffer)
            }
            Self::Later(members) => members.read(buffer),
        }
    }
}

/// Gzip of several members, also padded with zeros, as tapes and block devices leave them (IN-6).
struct GzipMembers<R> {
    /// `None` only while a member is exchanged for the next, and after an error.
    member: Option<GzDecoder<R>>,
    is_at_end: bool,
}

impl<R: BufRead> GzipMembers<R> {
    fn new(raw: R) -> Self {
        Self {
            member: Some(GzDecoder::new(raw)),
            is_at_end: false,
        }
    }

    /// Reads from one member. Nothing: it has ended, and so may have the data.
    fn read_member(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.member {
            Some(member) if !self.is_at_end => member.read(buffer),
            _ => Ok(0),
        }
    }

    /// Passes the zeros after a member. `None`: no other member follows.
    fn pass_zeros(&mut self) -> io::Result<Option<R>> {
        if self.is_at_end {
            return Ok(None);
        }
        let Some(member) = self.member.take() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut raw = member.into_inner();
        loop {
            let bytes = match raw.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if bytes.is_empty() {
                self.is_at_end = true;
                return Ok(None);
            }
            let is_end_of_zeros = zeros < bytes.len();
            raw.consume(zeros);
            if is_end_of_zeros {
                return Ok(Some(raw));
            }
        }
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let bytes = self.read_member(buffer)?;
            if bytes > 0 || buffer.is_empty() {
                return Ok(bytes);
            }
            let Some(raw) = self.pass_zeros()? else {
                return Ok(0);
            };
            self.member = Some(GzDecoder::new(raw));
        }
    }
}

/// A decoder whose errors name the format.
struct Decompressed<'i> {
    decoder: Box<dyn Read + Send + 'i>,
    format: Format,
}

impl Read for Decompressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        self.decoder.read(buffer).map_err(|error| {
            let kind = error.kind();
            // An error of the operating system is about the file, not about its content.
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
            // A skippable frame, with which some zstd tools begin.
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
