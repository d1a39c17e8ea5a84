//! How many long bodies are decoded at the same time, and how much memory the text of compressed ones
//! may occupy.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use idmerge_wire::{decompressed_within, is_compressed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::config::Bounds;
use crate::http::body::SMALL_BODY_BYTES;

/// How long a body waits for its turn. It occupies memory meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of one permit of memory.
const UNIT_BYTES: usize = 1 << 10;

/// The turns in which long bodies are decoded, one for each core. A body that waits needs no thread, and the
/// first to come is the first to be decoded.
#[derive(Debug)]
pub(crate) struct Decoding {
    turns: Semaphore,
    /// One permit for each KiB that decompressed text may occupy. It is no part of the memory for
    /// bodies as they were sent: bodies that wait for their turn could occupy all of that, and none
    /// could be decompressed to make room.
    text: Arc<Semaphore>,
    /// The permits for the largest text.
    max_units: u32,
}

/// What it takes to decode a body.
pub(super) enum Cost {
    /// It is small, also when it is decompressed. It is decoded at once.
    Short {
        body: Vec<u8>,
        is_decompressed: bool,
    },
    /// It has more bytes, as sent or decompressed, and waits for its turn.
    Long { body: Vec<u8>, is_compressed: bool },
}

impl Cost {
    /// Decompresses the beginning of a body to find out: a few bytes can be a long text.
    pub(super) fn of(body: Vec<u8>) -> Self {
        let is_compressed = is_compressed(&body);
        if body.len() > SMALL_BODY_BYTES {
            return Self::Long {
                body,
                is_compressed,
            };
        }
        if !is_compressed {
            return Self::Short {
                body,
                is_decompressed: false,
            };
        }
        match decompressed_within(&body, SMALL_BODY_BYTES) {
            Some(text) => Self::Short {
                body: text,
                is_decompressed: true,
            },
            None => Self::Long {
                body,
                is_compressed,
            },
        }
    }
}

/// The right to decode a long body.
pub(super) struct Turn<'d> {
    _turn: SemaphorePermit<'d>,
    text: Option<OwnedSemaphorePermit>,
}

impl Turn<'_> {
    /// Ends the turn. The memory of the text is kept until the returned permit is dropped.
    pub(super) fn keep(self, text_bytes: usize) -> Option<OwnedSemaphorePermit> {
        let mut text = self.text?;
        text.split(text_bytes.div_ceil(UNIT_BYTES).min(text.num_permits()))
    }
}

impl Decoding {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let units = |bytes: usize| {
            let units = bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
            u32::try_from(units).unwrap_or(u32::MAX)
        };
        let max_units = units(bounds.limits.max_body_bytes);
        let all_units = units(bounds.max_body_bytes_in_memory / 4).max(max_units);
        Self {
            turns: Semaphore::new(available_parallelism().map_or(1, usize::from)),
            text: Arc::new(Semaphore::new(all_units as usize)),
            max_units,
        }
    }

    /// Lets no long body be decoded any more.
    pub(crate) fn close(&self) {
        self.turns.close();
        self.text.close();
    }

    /// Whether the server is stopping.
    pub(super) fn is_closed(&self) -> bool {
        self.turns.is_closed()
    }

    /// Waits until a long body may be decoded. `None` if that takes too long, or if the server is stopping.
    pub(super) async fn turn(&self, is_compressed: bool) -> Option<Turn<'_>> {
        let turn = async {
            // The turn comes first. Those that have memory and no turn wait only for the disk.
            let turn = self.turns.acquire().await.ok()?;
            let text = match is_compressed {
                true => {
                    let text = Arc::clone(&self.text).acquire_many_owned(self.max_units);
                    Some(text.await.ok()?)
                }
                false => None,
            };
            Some(Turn { _turn: turn, text })
        };
        tokio::time::timeout(PATIENCE, turn).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn is_waiting<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        future.poll(&mut context).is_pending()
    }

    #[test]
    fn a_few_bytes_that_decompress_to_many_are_a_long_body() {
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 16 << 10);
        let long = |body: &[u8]| match Cost::of(body.to_vec()) {
            Cost::Long { is_compressed, .. } => Some(is_compressed),
            Cost::Short { .. } => None,
        };
        assert_eq!(long(&bomb), Some(true));
        assert_eq!(long(&gzip(&vec![b' '; SMALL_BODY_BYTES + 1])), Some(true));
        assert_eq!(long(&vec![b' '; SMALL_BODY_BYTES + 1]), Some(false));
        assert_eq!(long(&gzip(&vec![b' '; SMALL_BODY_BYTES])), None);
        assert_eq!(long(&vec![b' '; SMALL_BODY_BYTES]), None);
    }

    #[tokio::test]
    async fn long_bodies_wait_for_a_turn_and_compressed_ones_also_for_memory() {
        let bounds = Bounds {
            max_body_bytes_in_memory: 4 * Bounds::STANDARD.limits.max_body_bytes,
            ..Bounds::STANDARD
        };
        let decoding = Decoding::new(&bounds);
        let turns = decoding.turns.available_permits();
        let mut taken = Vec::new();
        for _ in 0..turns {
            taken.push(decoding.turn(false).await.unwrap());
        }
        let mut next = pin!(decoding.turn(true));
        assert!(is_waiting(next.as_mut()));
        taken.clear();
        let first = next.await.unwrap();
        // The text of a full body is kept, so the next one has no memory although its turn has come.
        let text = first.keep(bounds.limits.max_body_bytes).unwrap();
        let mut second = pin!(decoding.turn(true));
        assert!(is_waiting(second.as_mut()));
        drop(text);
        // Nothing was stored, so nothing is kept.
        let nothing = second.await.unwrap().keep(0);
        assert!(decoding.turn(true).await.is_some());
        drop(nothing);
        assert_eq!(decoding.turns.available_permits(), turns);
    }
}
