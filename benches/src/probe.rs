//! The limit of the machine: the time of a random read of memory.

use std::hint::black_box;
use std::io;

use memmap2::MmapMut;

use crate::inputs::ids::{scattered, scattered_below};
use crate::measure::nanoseconds_each;

/// The size of a cache line: one read brings one line into the cache.
const LINE_BYTES: usize = 64;

/// The number of timed reads.
const READS: usize = 4_000_000;

/// The size of the memory pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// 4 KiB each.
    Small,
    /// 2 MiB each, if the system has them.
    Huge,
}

impl Pages {
    /// Both sizes.
    pub const ALL: [Self; 2] = [Self::Small, Self::Huge];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "4 KiB pages",
            Self::Huge => "huge pages",
        }
    }
}

/// A block of memory in which each line names the next, in one cycle through all lines.
#[derive(Debug)]
pub struct Probe {
    block: MmapMut,
    lines: usize,
    seed: u64,
}

impl Probe {
    /// A block of this many bytes, rounded up to a whole line.
    ///
    /// # Errors
    ///
    /// The system has no memory for it.
    pub fn new(bytes: usize, pages: Pages) -> io::Result<Self> {
        let lines = bytes.div_ceil(LINE_BYTES).max(2);
        let mut block = MmapMut::map_anon(lines * LINE_BYTES)?;
        advise(&block, pages)?;
        // Sattolo's shuffle: one cycle through all lines.
        let mut order: Vec<u32> = (0..u32::try_from(lines).unwrap_or(u32::MAX)).collect();
        for last in (1..order.len()).rev() {
            let other = scattered_below(last as u64, last as u64);
            order.swap(last, index(other));
        }
        for (line, next) in block.as_chunks_mut::<LINE_BYTES>().0.iter_mut().zip(&order) {
            line[..4].copy_from_slice(&next.to_le_bytes());
        }
        Ok(Self {
            block,
            lines: order.len(),
            seed: 0,
        })
    }

    fn at(&self, line: usize) -> u32 {
        let line = &self.block.as_chunks::<LINE_BYTES>().0[line];
        u32::from_le_bytes([line[0], line[1], line[2], line[3]])
    }

    /// Nanoseconds per read if no read depends on an earlier one, so that many run at the same time.
    pub fn independent_nanoseconds(&mut self) -> f64 {
        self.seed += 1;
        let start = scattered(self.seed);
        nanoseconds_each(READS, || {
            let mut sum = 0_u64;
            for read in 0..READS as u64 {
                let line = scattered_below(start.wrapping_add(read), self.lines as u64);
                sum = sum.wrapping_add(u64::from(self.at(index(line))));
            }
            black_box(sum);
        })
    }

    /// Nanoseconds per read if each read gives the position of the next.
    pub fn dependent_nanoseconds(&mut self) -> f64 {
        self.seed += 1;
        let reads = READS / 4;
        let mut line = index(scattered_below(self.seed, self.lines as u64));
        nanoseconds_each(reads, || {
            for _ in 0..reads {
                line = self.at(line) as usize;
            }
            black_box(line);
        })
    }
}

#[cfg(target_os = "linux")]
fn advise(block: &MmapMut, pages: Pages) -> io::Result<()> {
    block.advise(match pages {
        Pages::Small => memmap2::Advice::NoHugePage,
        Pages::Huge => memmap2::Advice::HugePage,
    })
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &MmapMut, _: Pages) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the value fits a usize")]
fn index(number: u64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circle_goes_through_all_lines() {
        let probe = Probe::new(6_400, Pages::Small).unwrap();
        let (mut line, mut steps) = (0, 0);
        loop {
            line = probe.at(line) as usize;
            steps += 1;
            if line == 0 {
                break;
            }
        }
        assert_eq!(steps, 100);
    }
}
