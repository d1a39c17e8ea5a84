//! Decompression of gzip and zstd, detected by the first bytes.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

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
        Format::Gzip => Box::new(GzipMembers::new(buffered(raw))),
        Format::Zstd => Box::new(zstd::Decoder::with_buffer(buffered(raw))?),
    };
    Ok(Box::new(Decompressed { decoder, format }))
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

    /// Passes the zeros after a member, and starts the next one.
    fn next_member(&mut self) -> io::Result<()> {
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
                break;
            }
            if zeros < bytes.len() {
                raw.consume(zeros);
                break;
            }
            raw.consume(zeros);
        }
        self.member = Some(GzDecoder::new(raw));
        Ok(())
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.is_at_end && !buffer.is_empty() {
            if let Some(member) = &mut self.member {
                let bytes = member.read(buffer)?;
                if bytes > 0 {
                    return Ok(bytes);
                }
            }
            self.next_member()?;
        }
        Ok(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_detected_by_their_first_bytes() {
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
