//! Runs of gzip that threads decode while they wait for the input.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::mem;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::bufread::GzDecoder;

use crate::stream::input::decompress::runs::Run;

/// How much a decoder writes at a time.
const STEP_BYTES: usize = 64 * 1024;

/// Threads that read one input after another in turns. One that would wait for its turn [helps](Self::help) the one
/// that reads. Threads only for decoding would take the cores from those that work on the text.
#[derive(Clone, Debug)]
pub(crate) struct Helpers {
    pub(super) threads: usize,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Job>,
    started: u64,
    /// Buffers that were used: new memory costs the kernel a part of what decoding costs.
    spare: Vec<Text>,
}

#[derive(Debug)]
struct Job {
    number: u64,
    run: Arc<Vec<u8>>,
    text_bytes_max: usize,
    answer: SyncSender<Outcome>,
}

/// A job that a thread may begin, or has begun.
#[derive(Debug)]
pub(super) struct Promise {
    helpers: Helpers,
    number: u64,
    text_bytes_max: usize,
    answer: Receiver<Outcome>,
}

/// What decoding a run gave, if a member starts where the run does.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The run is members as a whole.
    Whole(Text),
    /// The start of the text, and the decoder in the middle of a member. Either the member goes on after the run, or
    /// the text is as long as it may be.
    Part(Text, Box<GzDecoder<Run>>),
    /// Something in the run is damaged or no member, after this many bytes of text.
    Damaged(usize),
    /// Nothing was decoded.
    NotBegun,
}

/// Decoded text. The buffer behind it keeps its length, so that it is filled with zeros only once.
#[derive(Debug, Default)]
pub(super) struct Text {
    buffer: Vec<u8>,
    filled: usize,
    given: usize,
}

impl Helpers {
    /// For as many threads, with the one that reads.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            queue: Arc::default(),
        }
    }

    /// Decodes what comes next in the input. `false`: there is nothing to do.
    pub(crate) fn help(&self) -> bool {
        let (job, spare) = {
            let mut queue = self.lock();
            let Some(job) = queue.waiting.pop_front() else {
                return false;
            };
            (job, queue.spare.pop().unwrap_or_default())
        };
        let outcome = decode(job.run, spare, job.text_bytes_max);
        // Nobody takes the outcome of a run in which no member starts.
        job.answer.send(outcome).unwrap_or_default();
        true
    }

    /// Has a run decoded ahead, if a thread has time for it.
    pub(super) fn start(&self, run: Arc<Vec<u8>>, text_bytes_max: usize) -> Promise {
        let (sender, answer) = mpsc::sync_channel(1);
        let mut queue = self.lock();
        queue.started += 1;
        let number = queue.started;
        queue.waiting.push_back(Job {
            number,
            run,
            text_bytes_max,
            answer: sender,
        });
        Promise {
            helpers: self.clone(),
            number,
            text_bytes_max,
            answer,
        }
    }

    /// Takes back a buffer.
    pub(super) fn recycle(&self, text: Text) {
        let mut queue = self.lock();
        if !text.buffer.is_empty() && queue.spare.len() < self.threads {
            queue.spare.push(text);
        }
    }

    /// Takes a job back, if no thread has begun with it.
    fn cancel(&self, number: u64) -> bool {
        let mut queue = self.lock();
        let place = queue.waiting.iter().position(|job| job.number == number);
        place.is_some_and(|place| queue.waiting.remove(place).is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs while it is locked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }
}

impl Promise {
    /// The outcome. Waits for it if a thread has begun, and decodes other runs meanwhile.
    pub(super) fn finish(&self) -> Outcome {
        if self.helpers.cancel(self.number) {
            return Outcome::NotBegun;
        }
        loop {
            match self.answer.try_recv() {
                Ok(outcome) => return outcome,
                // A thread panicked: if it was for this run, the reader will panic too.
                Err(TryRecvError::Disconnected) => return Outcome::NotBegun,
                Err(TryRecvError::Empty) => {}
            }
            if !self.helpers.help() {
                return self.answer.recv().unwrap_or(Outcome::NotBegun);
            }
        }
    }

    /// Takes the job back, and returns how many bytes it has decoded in vain, or will.
    pub(super) fn abandon(self) -> usize {
        if self.helpers.cancel(self.number) {
            return 0;
        }
        match self.answer.try_recv() {
            Ok(Outcome::Whole(text) | Outcome::Part(text, _)) => {
                let bytes = text.filled;
                self.helpers.recycle(text);
                bytes
            }
            Ok(Outcome::Damaged(bytes)) => bytes,
            Ok(Outcome::NotBegun) => 0,
            Err(_) => self.text_bytes_max,
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        // No thread begins with what is not needed.
        self.helpers.cancel(self.number);
    }
}

fn decode(run: Arc<Vec<u8>>, mut text: Text, text_bytes_max: usize) -> Outcome {
    text.clear();
    let mut decoder = Box::new(GzDecoder::new(Run::new(run)));
    while text.filled < text_bytes_max {
        match decoder.read(text.room(text_bytes_max)) {
            Ok(0) => {
                let mut run = mem::take(decoder.get_mut());
                if !run.pass_zeros() {
                    return Outcome::Whole(text);
                }
                decoder.reset(run);
            }
            Ok(bytes) => text.filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => return Outcome::Damaged(text.filled),
        }
    }
    Outcome::Part(text, decoder)
}

impl Text {
    fn clear(&mut self) {
        (self.filled, self.given) = (0, 0);
    }

    /// Where more text goes. It has room for at least one byte, if there is less than `bytes_max`.
    fn room(&mut self, bytes_max: usize) -> &mut [u8] {
        let end = bytes_max.min(self.filled + STEP_BYTES);
        if self.buffer.len() < end {
            // Doubled, but never beyond what is allowed.
            let bytes = bytes_max.min(end.max(self.buffer.len() * 2));
            self.buffer.reserve_exact(bytes - self.buffer.len());
            self.buffer.resize(bytes, 0);
        }
        &mut self.buffer[self.filled..end]
    }

    #[cfg(test)]
    pub(super) fn filled(&self) -> usize {
        self.filled
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = (&self.buffer[self.given..self.filled]).read(buffer)?;
        self.given += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_panics_leaves_its_run_to_the_reader() {
        // Before the reader looks, and while it waits.
        for panics_before in [true, false] {
            let helpers = Helpers::new(2);
            let promise = helpers.start(Arc::default(), 1);
            let job = helpers.lock().waiting.pop_front().unwrap();
            let thread = thread::spawn(move || {
                let _job = job;
                if !panics_before {
                    thread::sleep(Duration::from_millis(50));
                }
                std::panic::resume_unwind(Box::new("a fault"));
            });
            while panics_before && !thread.is_finished() {
                thread::yield_now();
            }
            assert!(matches!(promise.finish(), Outcome::NotBegun));
            assert!(thread.join().is_err());
        }
    }

    #[test]
    fn a_buffer_is_never_longer_than_the_text_may_be() {
        let mut text = Text::default();
        for bytes_max in [1, 100, STEP_BYTES, 5 * STEP_BYTES / 2] {
            text.clear();
            while text.filled < bytes_max {
                text.filled += text.room(bytes_max).len();
            }
            assert_eq!(text.filled, bytes_max);
            assert!(text.buffer.capacity() <= bytes_max, "{bytes_max}");
        }
    }
}
