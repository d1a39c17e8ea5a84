//! The limit of `idmerge resolve`: it does what each such program must do, and nothing else.
//!
//! A merge is retroactive, so the input is read twice. Two threads take its blocks in turn and find the newlines.
//! The second time they also copy each line, and write the copies in the order of the input. No line is parsed.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this program reads and writes files, to be measured by the benchmark `outside`"
)]

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use flate2::bufread::MultiGzDecoder;

/// The number of threads that read and write. It is the number of cores of the machine of RESULTS.md, and of the
/// threads of the peers.
const THREADS: usize = 2;

/// A block and its copy fit the cache of a core.
const BLOCK_BYTES: usize = 256 << 10;

/// Reads a file twice, finds its newlines, and copies it line by line
#[derive(Debug, Parser)]
struct Args {
    /// The file. If its name ends with `.gz`, it is decompressed each time
    input: PathBuf,
    /// The copy
    #[arg(long)]
    output: PathBuf,
    /// Add as many bytes to each line, for a program whose output is longer than its input
    #[arg(long, default_value_t = 0)]
    pad: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let lines = read(&args.input, |_, block, _| {
        Ok(memchr::memchr_iter(b'\n', block).count())
    })?;
    let output = File::create(&args.output)
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    let output = InOrder::new(output);
    let pad = vec![b' '; args.pad];
    let copied = read(&args.input, |number, block, copy| {
        let lines = copy_lines(block, &pad, copy);
        output.write(number, copy)?;
        Ok(lines)
    })?;
    ensure!(lines == copied, "the file has changed meanwhile");
    Ok(())
}

/// Copies the lines of a block, each with the bytes that it gets more, and counts them.
fn copy_lines(block: &[u8], pad: &[u8], copy: &mut Vec<u8>) -> usize {
    copy.clear();
    let (mut lines, mut start) = (0, 0);
    for end in memchr::memchr_iter(b'\n', block) {
        copy.extend_from_slice(&block[start..end]);
        copy.extend_from_slice(pad);
        copy.push(b'\n');
        lines += 1;
        start = end + 1;
    }
    // The last line goes on in the next block.
    copy.extend_from_slice(&block[start..]);
    lines
}

/// Reads a file in blocks, in several threads, and gives each block with its number and a buffer to `take`, which
/// counts lines. Returns their sum.
fn read(
    input: &Path,
    take: impl Fn(u64, &[u8], &mut Vec<u8>) -> io::Result<usize> + Sync,
) -> Result<usize> {
    let source = Source::open(input).with_context(|| format!("cannot read {}", input.display()))?;
    let run = || -> io::Result<usize> {
        let mut lines = 0;
        let (mut block, mut buffer) = (vec![0; BLOCK_BYTES], Vec::new());
        while let Some((number, length)) = source.next(&mut block)? {
            lines += take(number, &block[..length], &mut buffer)?;
        }
        Ok(lines)
    };
    thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(run));
        let counts = threads.into_iter().map(|thread| match thread.join() {
            Ok(lines) => lines.context("cannot read or write"),
            Err(panic) => panic::resume_unwind(panic),
        });
        counts.sum()
    })
}

/// Where blocks come from. Threads take them in turn.
enum Source {
    /// The threads read at the same time. The number is that of the next block.
    Plain(File, AtomicU64),
    /// One thread decompresses while the other copies.
    Gzip(Box<Mutex<(u64, MultiGzDecoder<BufReader<File>>)>>),
}

impl Source {
    fn open(input: &Path) -> io::Result<Self> {
        let file = File::open(input)?;
        Ok(if input.extension().is_some_and(|ending| ending == "gz") {
            let decoder = MultiGzDecoder::new(BufReader::with_capacity(BLOCK_BYTES, file));
            Self::Gzip(Box::new(Mutex::new((0, decoder))))
        } else {
            Self::Plain(file, AtomicU64::new(0))
        })
    }

    /// Reads the next block. Returns its number and its length, or nothing at the end.
    fn next(&self, block: &mut [u8]) -> io::Result<Option<(u64, usize)>> {
        let (number, length) = match self {
            Self::Plain(file, next) => {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let start = number * BLOCK_BYTES as u64;
                let read = |length| file.read_at(&mut block[length..], start + length as u64);
                (number, fill(read)?)
            }
            Self::Gzip(source) => {
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                let (next, decoder) = &mut *source;
                *next += 1;
                (
                    *next - 1,
                    fill(|length| decoder.read(&mut block[length..]))?,
                )
            }
        };
        Ok((length > 0).then_some((number, length)))
    }
}

/// Reads until a block is full or the input ends. `read` is given the bytes that are there already.
fn fill(mut read: impl FnMut(usize) -> io::Result<usize>) -> io::Result<usize> {
    let mut length = 0;
    loop {
        match read(length)? {
            0 => return Ok(length),
            more => length += more,
        }
    }
}

/// A file to which threads write blocks in the order of their numbers.
struct InOrder {
    output: File,
    /// The number of the next block, or nothing once a write has failed.
    next: Mutex<Option<u64>>,
    is_next: Condvar,
}

impl InOrder {
    fn new(output: File) -> Self {
        Self {
            output,
            next: Mutex::new(Some(0)),
            is_next: Condvar::new(),
        }
    }

    /// Waits for the blocks before this one, and writes it.
    fn write(&self, number: u64, block: &[u8]) -> io::Result<()> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |next: &mut Option<u64>| next.is_some_and(|next| next != number);
        let waited = self.is_next.wait_while(next, waits);
        let mut next = waited.unwrap_or_else(PoisonError::into_inner);
        if next.take().is_none() {
            return Err(io::Error::other("another block could not be written"));
        }
        let written = (&self.output).write_all(block);
        *next = written.is_ok().then_some(number + 1);
        self.is_next.notify_all();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_copied_whole_across_blocks() {
        let mut copy = Vec::new();
        let mut all = Vec::new();
        let lines: usize = ["one\nt", "wo\n", "\nthree"]
            .iter()
            .map(|block| {
                let lines = copy_lines(block.as_bytes(), b"..", &mut copy);
                all.extend_from_slice(&copy);
                lines
            })
            .sum();
        assert_eq!(lines, 3);
        assert_eq!(all, b"one..\ntwo..\n..\nthree");
    }
}
