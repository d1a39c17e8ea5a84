//! Decompresses the members of a gzip file in parallel.
//!
//! Where a member begins is only known when the one before it has ended. So the compressed data is cut into
//! [runs](super::runs) at places that look like the start of a member, and threads that wait for the input
//! [decode them](super::jobs) ahead. The reader takes what they made of a run only if a member has ended where the run
//! begins. Otherwise it decodes the run itself, from the place where it is, as it does if a run is damaged: then the
//! text and the error are those of one decoder.
//!
//! A job that ends in the middle of a member keeps its decoder, and the reader goes on with that, so no text of a right
//! guess is decoded twice. A member of more than [`Limits::text_bytes_max`] is decoded ahead up to there: what is
//! beyond would have to be kept in memory until the text before it is read.
//!
//! Of libraries, `noodles-bgzf` and `gzp` know only members that have their size in the header, and `rapidgzip-core`
//! needs an input in which it can seek, and refuses zeros after a member.
//!
//! **Bounds.** In memory are, for each thread, three texts of at most [`Limits::text_bytes_max`] (two of jobs ahead, and
//! one that it may be busy with in vain) and 3 MiB of compressed data. Text that is decoded in vain is at most an eighth
//! of the text that was read, and [`Limits::waste_bytes`], and that of the jobs that are ahead: beyond that, no job is
//! started.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::mem;
use std::sync::Arc;

use flate2::bufread::GzDecoder;

use crate::stream::input::decompress::jobs::{Helpers, Outcome, Promise, Text};
use crate::stream::input::decompress::limits::Limits;
use crate::stream::input::decompress::runs::{Run, Runs, Whole, could_start_member};

/// The second and later members of gzip, and the zeros after them (IN-6).
#[derive(Debug)]
pub(super) struct Members<R> {
    runs: Runs<R>,
    limits: Limits,
    /// What was read and not reached, in order.
    ahead: VecDeque<Ahead>,
    ahead_bytes: usize,
    helpers: Helpers,
    /// Text that a job made. It comes before that of the decoder.
    text: Text,
    decoder: GzDecoder<Run>,
    place: Place,
    read_bytes: u64,
    pub(super) wasted_bytes: u64,
    #[cfg(test)]
    pub(super) bytes_of_jobs: usize,
}

/// Where the decoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    InMember,
    BetweenMembers,
    End,
    Failed,
}

#[derive(Debug)]
struct Ahead {
    run: Arc<Vec<u8>>,
    promise: Option<Promise>,
}

impl<R: Read> Members<R> {
    /// Continues at the start of a member.
    pub(super) fn new(raw: BufReader<R>, limits: Limits, helpers: Helpers) -> Self {
        let runs = Runs::new(raw.buffer().to_owned(), raw.into_inner(), limits);
        Self {
            runs,
            limits,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            helpers,
            text: Text::default(),
            decoder: GzDecoder::new(Run::default()),
            place: Place::BetweenMembers,
            read_bytes: 0,
            wasted_bytes: 0,
            #[cfg(test)]
            bytes_of_jobs: 0,
        }
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let bytes = self.text.read(buffer)?;
            if bytes > 0 {
                return Ok(bytes);
            }
            match self.place {
                Place::InMember => match self.decoder.read(buffer) {
                    Ok(0) => self.place = Place::BetweenMembers,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        match self.next_run()? {
                            Some(ahead) => {
                                let run = self.without_job(ahead);
                                self.go_on_with(run);
                            }
                            None => self.decoder.get_mut().is_last = true,
                        }
                    }
                    read => return read,
                },
                Place::BetweenMembers => {
                    if self.decoder.get_mut().pass_zeros() {
                        let run = mem::take(self.decoder.get_mut());
                        self.decoder.reset(run);
                        self.place = Place::InMember;
                    } else {
                        match self.next_run()? {
                            Some(ahead) => self.take_outcome(ahead),
                            None => self.place = Place::End,
                        }
                    }
                }
                Place::End => return Ok(0),
                Place::Failed => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Takes what a job made of the run that begins where a member has ended.
    fn take_outcome(&mut self, mut ahead: Ahead) {
        let outcome = match ahead.promise.take() {
            Some(promise) => promise.finish(),
            None => Outcome::NotBegun,
        };
        let text = match outcome {
            Outcome::Whole(text) => {
                self.runs.recycle(ahead.run);
                text
            }
            Outcome::Part(text, decoder) => {
                let last = mem::replace(&mut self.decoder, *decoder);
                self.runs.recycle(last.into_inner().into_bytes());
                self.place = Place::InMember;
                text
            }
            Outcome::Damaged(_) | Outcome::NotBegun => {
                self.go_on_with(Run::new(ahead.run));
                return;
            }
        };
        #[cfg(test)]
        {
            self.bytes_of_jobs += text.filled();
        }
        self.helpers.recycle(mem::replace(&mut self.text, text));
    }

    /// Gives the decoder the next run.
    fn go_on_with(&mut self, run: Run) {
        let last = mem::replace(self.decoder.get_mut(), run);
        self.runs.recycle(last.into_bytes());
    }

    /// The bytes of a run in which the decoder already is: what a job made of them is not the text.
    fn without_job(&mut self, ahead: Ahead) -> Run {
        if let Some(promise) = ahead.promise {
            self.wasted_bytes += promise.abandon() as u64;
        }
        Run::new(ahead.run)
    }

    fn next_run(&mut self) -> io::Result<Option<Ahead>> {
        self.read_ahead();
        loop {
            if let Some(next) = self.ahead.pop_front() {
                self.ahead_bytes -= next.run.len();
                return Ok(Some(next));
            }
            if let Some(run) = self.runs.rest() {
                let (run, promise) = (Arc::new(run), None);
                return Ok(Some(Ahead { run, promise }));
            }
            if self.runs.is_at_end() {
                return self.runs.end().map(|()| None);
            }
            self.runs.is_short = false;
            self.read_ahead();
        }
    }

    /// Reads until there is work for all threads. After a read that gave less than was asked for, the text of what was
    /// read comes first: the next read may wait for the writer of a pipe.
    fn read_ahead(&mut self) {
        let ahead_bytes_max = self.helpers.threads * self.limits.ahead_bytes;
        while self.jobs_ahead() < 2 * self.helpers.threads
            && self.ahead_bytes + self.runs.pending_bytes() < ahead_bytes_max
        {
            if let Some((run, whole)) = self.runs.cut() {
                self.ahead_bytes += run.len();
                let run = Arc::new(run);
                let promise = self.start_job(&run, whole);
                self.ahead.push_back(Ahead { run, promise });
            } else if self.runs.is_short || self.runs.is_at_end() {
                return;
            } else {
                self.runs.read_more();
            }
        }
    }

    fn start_job(&mut self, run: &Arc<Vec<u8>>, whole: Whole) -> Option<Promise> {
        let is_too_wasteful = self.wasted_bytes > self.read_bytes / 8 + self.limits.waste_bytes;
        let is_too_long = whole == Whole::No && !self.limits.begins_long_members;
        (!is_too_wasteful && !is_too_long && could_start_member(run)).then(|| {
            let text_bytes_max = self.limits.text_bytes_max;
            self.helpers.start(Arc::clone(run), text_bytes_max)
        })
    }

    fn jobs_ahead(&self) -> usize {
        let has_job = |ahead: &&Ahead| ahead.promise.is_some();
        self.ahead.iter().filter(has_job).count()
    }
}

#[cfg(test)]
impl<R: Read> Members<R> {
    /// Asserts what the top of this file says about what is in memory and what is in vain.
    pub(super) fn check_bounds(&self) {
        let Helpers { threads, .. } = self.helpers;
        let jobs_max = 2 * threads;
        assert!(self.jobs_ahead() <= jobs_max);
        let pending_bytes = self.runs.pending_bytes();
        let longest_bytes = self.limits.run_bytes_max + self.limits.piece_bytes;
        let ahead_bytes_max = threads * self.limits.ahead_bytes + longest_bytes;
        assert!(self.ahead_bytes + pending_bytes <= ahead_bytes_max);
        let runs = self.ahead.iter().map(|ahead| ahead.run.len());
        assert_eq!(runs.sum::<usize>(), self.ahead_bytes);
        assert!(self.text.filled() <= self.limits.text_bytes_max);
        let of_jobs = (jobs_max * self.limits.text_bytes_max) as u64;
        assert!(self.wasted_bytes <= self.read_bytes / 8 + self.limits.waste_bytes + of_jobs);
    }

    pub(super) fn raw(&self) -> &R {
        self.runs.raw()
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.read_on(buffer);
        match &read {
            Ok(bytes) => self.read_bytes += *bytes as u64,
            Err(_) => self.place = Place::Failed,
        }
        read
    }
}
