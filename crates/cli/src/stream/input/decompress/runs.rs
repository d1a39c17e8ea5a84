//! Cuts compressed data into runs, which begin where a member of gzip could begin.

use std::io::{self, BufRead, Read};
use std::mem;
use std::sync::Arc;

use memchr::memmem;

use crate::stream::input::decompress::limits::Limits;

/// The bytes of a header that every member has.
const HEADER_BYTES: usize = 10;

/// The magic bytes, and deflate, which is the only method.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Whether a run may end where a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

/// As many buffers as are used at a time, if two threads decode.
const SPARE_MAX: usize = 4;

/// Compressed data on its way to decoders.
#[derive(Debug)]
pub(super) struct Runs<R> {
    raw: R,
    limits: Limits,
    /// What was read and is in no run yet.
    pending: Vec<u8>,
    /// Buffers of runs that are used up. A new one for each run would cost the kernel a twentieth of all the work.
    spare: Vec<Vec<u8>>,
    /// `pending` is searched up to here for the start of the next run.
    searched: usize,
    /// Whether the last read gave less than was asked for: the next one may wait for the writer of a pipe.
    pub(super) is_short: bool,
    is_at_end: bool,
    failed: Option<io::Error>,
}

impl<R: Read> Runs<R> {
    /// Continues after the bytes that were already read.
    pub(super) fn new(pending: Vec<u8>, raw: R, limits: Limits) -> Self {
        Self {
            raw,
            limits,
            pending,
            spare: Vec::new(),
            searched: 0,
            is_short: false,
            is_at_end: false,
            failed: None,
        }
    }

    /// Whether [`Self::read_more`] is of no use any more: at the end, and after an error.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// How much was read and is in no run.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Reads a piece. An error is kept until [`Self::end`], since there is text before it.
    pub(super) fn read_more(&mut self) {
        let filled = self.pending.len();
        self.pending.resize(filled + self.limits.piece_bytes, 0);
        let read = loop {
            match self.raw.read(&mut self.pending[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let bytes = read.unwrap_or_else(|error| {
            self.failed = Some(error);
            0
        });
        self.pending.truncate(filled + bytes);
        self.is_short = bytes < self.limits.piece_bytes;
        self.is_at_end = bytes == 0;
    }

    /// The next run, if the start of the one after it was read, or if it is as long as a run may be. The last member
    /// in it is whole only in the first case.
    pub(super) fn cut(&mut self) -> Option<(Vec<u8>, Whole)> {
        let from = self.searched.max(self.limits.run_bytes);
        let rest = self.pending.get(from..)?;
        let starts = memmem::find_iter(rest, &MAGIC).map(|start| from + start);
        self.searched = from.max(self.pending.len().saturating_sub(MAGIC.len() - 1));
        for start in starts {
            let is_cut_off = start + HEADER_BYTES > self.pending.len();
            if is_cut_off {
                self.searched = start;
                break;
            }
            if could_start_member(&self.pending[start..]) {
                return Some((self.cut_at(start), Whole::Yes));
            }
        }
        let is_long = self.pending.len() >= self.limits.run_bytes_max;
        is_long.then(|| (self.cut_at(self.searched), Whole::No))
    }

    /// Whatever was read and is in no run.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        (!self.pending.is_empty()).then(|| self.cut_at(self.pending.len()))
    }

    fn cut_at(&mut self, end: usize) -> Vec<u8> {
        self.searched = 0;
        let mut rest = self.spare.pop().unwrap_or_default();
        rest.clear();
        rest.extend_from_slice(&self.pending[end..]);
        self.pending.truncate(end);
        mem::replace(&mut self.pending, rest)
    }

    /// Takes back the buffer of a run, if no job has it.
    pub(super) fn recycle(&mut self, run: Arc<Vec<u8>>) {
        if self.spare.len() < SPARE_MAX
            && let Some(run) = Arc::into_inner(run)
        {
            self.spare.push(run);
        }
    }

    #[cfg(test)]
    pub(super) fn raw(&self) -> &R {
        &self.raw
    }

    /// How the data ended.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

/// Whether the bytes look like the start of a member. Only a decoder finds out whether they are.
///
/// All writers that we know fill the flags, the effort and the operating system as RFC 1952 says. Of random bytes,
/// one place in a hundred thousand million passes. The size that BGZF has in its header is not needed.
pub(super) fn could_start_member(bytes: &[u8]) -> bool {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return false;
    };
    let [_, _, _, flags, _, _, _, _, effort, system] = *header;
    header.starts_with(&MAGIC)
        && flags & 0xe0 == 0
        && matches!(effort, 0 | 2 | 4)
        && matches!(system, 0..=13 | 255)
}

/// A run as the input of a decoder. Where it ends and other runs follow, it says `WouldBlock`: the decoder keeps what
/// it has, and goes on with the next run in its place.
#[derive(Debug, Default)]
pub(super) struct Run {
    bytes: Arc<Vec<u8>>,
    at: usize,
    /// Whether the compressed data ends with this run.
    pub(super) is_last: bool,
}

impl Run {
    pub(super) fn new(bytes: Arc<Vec<u8>>) -> Self {
        Self {
            bytes,
            at: 0,
            is_last: false,
        }
    }

    pub(super) fn into_bytes(self) -> Arc<Vec<u8>> {
        self.bytes
    }

    /// Passes the zeros after a member (IN-6). `false`: nothing else follows in this run.
    pub(super) fn pass_zeros(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().take_while(|byte| **byte == 0).count();
        self.at < self.bytes.len()
    }
}

impl BufRead for Run {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &self.bytes[self.at..] {
            [] if !self.is_last => Err(io::ErrorKind::WouldBlock.into()),
            rest => Ok(rest),
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }
}

impl Read for Run {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_start_a_member_has_a_header_as_writers_write_it() {
        let header = *b"\x1f\x8b\x08\0\xff\xff\xff\xff\0\xff";
        assert!(could_start_member(&header));
        assert!(!could_start_member(&header[..9]));
        for (at, byte, could) in [
            (0, 0x1e, false),
            (1, 0x8a, false),
            (2, 7, false),
            (3, 0x1f, true),
            (3, 0x20, false),
            (8, 2, true),
            (8, 4, true),
            (8, 3, false),
            (9, 0, true),
            (9, 13, true),
            (9, 14, false),
        ] {
            let mut header = header;
            header[at] = byte;
            assert_eq!(could_start_member(&header), could, "{at}: {byte}");
        }
    }

    #[test]
    fn runs_begin_at_headers_and_have_all_bytes() {
        let header = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
        let mut bytes = vec![b'-'; 1_000];
        // One is too near to the start; one is at the earliest place, and the last is cut off.
        for start in [40, 100, 150, 250, 995] {
            let end = 1_000.min(start + header.len());
            bytes[start..end].copy_from_slice(&header[..end - start]);
        }
        for piece_bytes in [1, 2, 3, 7, 11, 64, 2_000] {
            let limits = Limits {
                run_bytes: 100,
                run_bytes_max: 400,
                begins_long_members: true,
                ahead_bytes: 1_000,
                piece_bytes,
                text_bytes_max: 1_000,
                waste_bytes: 0,
            };
            let mut runs = Runs::new(bytes[..30].to_owned(), &bytes[30..], limits);
            let mut cut = Vec::new();
            while !runs.is_at_end() {
                runs.read_more();
                cut.extend(std::iter::from_fn(|| runs.cut().map(|(run, _)| run)));
            }
            cut.extend(runs.rest());
            assert!(cut.concat() == bytes);
            assert_eq!(
                cut[..2].iter().map(Vec::len).collect::<Vec<_>>(),
                [100, 150]
            );
            assert!(cut.iter().all(|run| run.len() < 400 + piece_bytes));
        }
    }
}
