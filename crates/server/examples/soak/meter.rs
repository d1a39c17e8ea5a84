//! Measures latencies, and the memory, threads and files of the server.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::stored::Stored;

/// The seconds between two samples of the server.
const SAMPLE_SECONDS: u64 = 5;
/// The share of the time after which memory must not grow.
const WARM_UP: f64 = 1.0 / 3.0;
/// The growth of memory that counts as none: the noise of an allocator, in percent and in KiB.
const NOISE_PERCENT: u64 = 10;
const NOISE_KIB: u64 = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Track,
    Import,
    Engage,
    Read,
}

/// The server at one moment.
struct Sample {
    at: Duration,
    memory_kib: u64,
    threads: u64,
    files: usize,
    stored: Stored,
}

impl Sample {
    /// The memory without what grows with the stored events, IDs and claims.
    fn rest_kib(&self) -> u64 {
        self.memory_kib.saturating_sub(self.stored.memory_kib())
    }
}

#[derive(Default)]
struct Contents {
    samples: Vec<Sample>,
    /// Latencies since the last row of the table.
    row: BTreeMap<Kind, Vec<Duration>>,
    /// All latencies.
    all: BTreeMap<Kind, Vec<Duration>>,
    busy: u64,
    attacks: BTreeMap<&'static str, u64>,
}

pub(crate) struct Meter {
    address: String,
    process: u32,
    started: Instant,
    whole: Duration,
    contents: Mutex<Contents>,
}

impl Meter {
    pub(crate) fn new(address: &str, process: u32, whole: Duration) -> Self {
        println!(
            " minute  memory MiB  of events, IDs, claims      events     IDs   claims  threads  files   \
             /track p50, p99, max       answers"
        );
        Self {
            address: address.to_owned(),
            process,
            started: Instant::now(),
            whole,
            contents: Mutex::default(),
        }
    }

    pub(crate) fn took(&self, kind: Kind, took: Duration) {
        if let Ok(mut contents) = self.contents.lock() {
            contents.row.entry(kind).or_default().push(took);
            contents.all.entry(kind).or_default().push(took);
        }
    }

    /// A reader was asked to come later.
    pub(crate) fn busy(&self) {
        if let Ok(mut contents) = self.contents.lock() {
            contents.busy += 1;
        }
    }

    pub(crate) fn attacked(&self, name: &'static str) {
        if let Ok(mut contents) = self.contents.lock() {
            *contents.attacks.entry(name).or_default() += 1;
        }
    }

    /// Looks at the server, and prints a row each minute.
    pub(crate) fn sample(&self) {
        let Ok(mut contents) = self.contents.lock() else {
            return;
        };
        let at = self.started.elapsed();
        let due = contents.samples.len() as u64 * SAMPLE_SECONDS;
        if at.as_secs() < due {
            return;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process));
        let status = status.unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0)
        };
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.process));
        // An attacker may keep this client out for a moment.
        let last = contents.samples.last();
        let last = last.map_or_else(Stored::default, |sample| sample.stored);
        let sample = Sample {
            stored: Stored::read(&self.address).unwrap_or(last),
            at,
            memory_kib: value("VmRSS:"),
            threads: value("Threads:"),
            files: files.map_or(0, Iterator::count),
        };
        if contents.samples.len().is_multiple_of(12) {
            let mut row = std::mem::take(&mut contents.row);
            let answers: usize = row.values().map(Vec::len).sum();
            println!(
                "{:7.1} {:11} {:23} {:11} {:7} {:8} {:8} {:6}   {:26} {answers:7}",
                at.as_secs_f64() / 60.0,
                sample.memory_kib >> 10,
                sample.stored.memory_kib() >> 10,
                sample.stored.events,
                sample.stored.ids,
                sample.stored.claims,
                sample.threads,
                sample.files,
                latencies(row.entry(Kind::Track).or_default()),
            );
        }
        contents.samples.push(sample);
    }

    pub(crate) fn print(&self) {
        let Ok(mut contents) = self.contents.lock() else {
            return;
        };
        for (kind, all) in &mut contents.all {
            let count = all.len();
            println!(
                "{kind:?}: {count} answers, p50, p99, max: {}",
                latencies(all)
            );
        }
        println!("{} reads were asked to come later", contents.busy);
        let attacks = contents
            .attacks
            .iter()
            .map(|(name, count)| format!("{count} {name}"));
        let attacks = attacks.collect::<Vec<_>>().join(", ");
        println!("attacks: {attacks}");
    }

    /// Why the memory of the server is not flat after the warm-up, if it is not: the mean of the last
    /// third of the samples is above the mean of the third before, without what the stored events, IDs and
    /// claims take.
    pub(crate) fn growth(&self) -> Option<String> {
        let contents = self.contents.lock().ok()?;
        let warm = self.whole.mul_f64(WARM_UP);
        let late = self.whole.mul_f64(1.0 - WARM_UP);
        let mean = |from: Duration, to: Duration, kib: fn(&Sample) -> u64| {
            let within = contents
                .samples
                .iter()
                .filter(|s| from <= s.at && s.at < to);
            let kib: Vec<u64> = within.map(kib).collect();
            kib.iter().sum::<u64>() / (kib.len() as u64).max(1)
        };
        let thirds = |kib| [mean(warm, late, kib), mean(late, Duration::MAX, kib)];
        let all = thirds(|sample| sample.memory_kib);
        let [middle, end] = thirds(Sample::rest_kib);
        let peak = contents
            .samples
            .iter()
            .map(|sample| sample.memory_kib)
            .max()?;
        println!(
            "memory: {} MiB in the middle third, {} MiB in the last, at most {} MiB; \
             without that of events, IDs and claims: {} and {} MiB",
            all[0] >> 10,
            all[1] >> 10,
            peak >> 10,
            middle >> 10,
            end >> 10,
        );
        let allowed = middle + (middle * NOISE_PERCENT / 100).max(NOISE_KIB);
        (end > allowed).then(|| "the memory of the server grew after the warm-up".to_owned())
    }
}

/// The median, the 99th percentile and the maximum, in milliseconds.
fn latencies(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let Some(last) = took.len().checked_sub(1) else {
        return "-".to_owned();
    };
    let at = |percent: usize| took[last * percent / 100].as_secs_f64() * 1e3;
    format!("{:.1}, {:.1}, {:.0} ms", at(50), at(99), at(100))
}
