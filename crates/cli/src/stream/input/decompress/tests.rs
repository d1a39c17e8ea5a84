//! Gzip in parallel gives what one decoder gives. The truth is the text that was compressed, and for damaged data
//! `GzipMembers`, which knows no threads, and which the text and `MultiGzDecoder` test.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// So small that a few thousand bytes reach every case.
const SMALL: Limits = Limits {
    run_bytes: 100,
    run_bytes_max: 700,
    begins_long_members: true,
    ahead_bytes: 1_000,
    piece_bytes: 40,
    text_bytes_max: 3_000,
    waste_bytes: 2_000,
};

/// What a reader gives, and the error after it.
type Answer = (Vec<u8>, Option<(io::ErrorKind, String)>);

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A member with the optional fields of its header that `flags` says.
fn member(text: &[u8], level: u32, flags: u8, field: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    if flags & 4 != 0 {
        bytes.extend(u16::try_from(field.len()).unwrap().to_le_bytes());
        bytes.extend(field);
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            bytes.extend(field.iter().filter(|byte| **byte != 0));
            bytes.push(0);
        }
    }
    let mut crc = flate2::Crc::new();
    if flags & 2 != 0 {
        crc.update(&bytes);
        bytes.extend(&crc.sum().to_le_bytes()[..2]);
        crc.reset();
    }
    let mut encoder = DeflateEncoder::new(bytes, Compression::new(level));
    encoder.write_all(text).unwrap();
    let mut bytes = encoder.finish().unwrap();
    crc.update(text);
    bytes.extend(crc.sum().to_le_bytes());
    bytes.extend(crc.amount().to_le_bytes());
    bytes
}

/// Text that compresses about as events do.
fn words(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut word = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("word {} ", (state >> 33) % 997)
    };
    let mut text = Vec::new();
    while text.len() < bytes {
        text.extend(word().into_bytes());
    }
    text.truncate(bytes);
    text
}

fn read_all<R: Read>(reader: &mut R, sizes: &[usize], mut check: impl FnMut(&R)) -> Answer {
    let (mut text, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    for size in sizes.iter().cycle() {
        check(reader);
        match reader.read(&mut buffer[..*size]) {
            Ok(0) => break,
            Ok(bytes) => text.extend(&buffer[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (text, Some((error.kind(), error.to_string()))),
        }
    }
    (text, None)
}

fn by_one_decoder(bytes: &[u8], sizes: &[usize]) -> Answer {
    read_all(&mut GzipMembers::new(bytes), sizes, |_| ())
}

fn parallel<R: Read>(raw: R, limits: Limits, helpers: &Helpers) -> Gzip<R> {
    Gzip::new(BufReader::with_capacity(64, raw), limits, helpers)
}

/// Who decodes runs.
#[derive(Clone, Copy, Debug)]
enum Help {
    /// Always this before it reads on, so that it depends on no other thread which runs are decoded ahead.
    Own,
    /// Two threads that are as fast as they are.
    Threads,
}

/// Ends the threads also if a check fails.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Reads in parallel, and tells how much of the text was decoded ahead.
fn in_parallel(raw: impl Read, limits: Limits, sizes: &[usize], help: Help) -> (Answer, usize) {
    let helpers = Helpers::new(3);
    let mut gzip = parallel(raw, limits, &helpers);
    let check = |gzip: &Gzip<_>| {
        if let Gzip::Later(members) = gzip {
            members.check_bounds();
        }
    };
    let is_over = AtomicBool::new(false);
    let answer = match help {
        Help::Own => read_all(&mut gzip, sizes, |gzip| {
            check(gzip);
            while helpers.help() {}
        }),
        Help::Threads => thread::scope(|scope| {
            let is_over = Over(&is_over);
            for helpers in [helpers.clone(), helpers.clone()] {
                let is_over = is_over.0;
                scope.spawn(move || {
                    while !is_over.load(Relaxed) {
                        if !helpers.help() {
                            thread::yield_now();
                        }
                    }
                });
            }
            read_all(&mut gzip, sizes, check)
        }),
    };
    let ahead = match &gzip {
        Gzip::First(..) => 0,
        Gzip::Later(members) => members.bytes_of_jobs,
    };
    (answer, ahead)
}

/// Gives its bytes in pieces of these sizes, with interruptions.
struct Pieces<'b> {
    bytes: &'b [u8],
    sizes: Vec<usize>,
    reads: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        let size = self.sizes[self.reads % self.sizes.len()];
        if size == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = size.min(buffer.len());
        self.bytes.read(&mut buffer[..size])
    }
}

#[derive(Clone, Debug)]
enum Damage {
    None,
    Cut(prop::sample::Index),
    Flipped(prop::sample::Index, u8),
    Followed(Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Flipped(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Followed(garbage) => bytes.extend(garbage),
        }
    }
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => Just(Damage::None),
        2 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        3 => (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flipped(at, bit)),
        1 => vec(any::<u8>(), 1..200).prop_map(Damage::Followed),
        1 => (0..20_usize).prop_map(|at| Damage::Followed(gzip(b"cut")[..at].to_owned())),
    ]
}

/// Texts of members: short ones, long ones, and ones that have whole members in them.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let long = (0..9_000_usize, any::<u64>()).prop_map(|(bytes, seed)| words(bytes, seed));
    let short = vec(any::<u8>(), 0..40);
    let dense = (0..40_000_usize).prop_map(|bytes| vec![b'a'; bytes]);
    let plain = prop_oneof![3 => long, 6 => short, 1 => dense];
    let nested = vec((plain.clone(), 0..2_u32), 1..6).prop_map(|inner| {
        let members = inner
            .iter()
            .map(|(text, level)| member(text, *level, 0, b""));
        members.flatten().collect()
    });
    prop_oneof![4 => plain, 1 => nested]
}

#[derive(Clone, Debug)]
struct Member {
    text: Vec<u8>,
    /// With the zeros after it.
    bytes: Vec<u8>,
    is_padded: bool,
}

prop_compose! {
    fn members()(
        text in texts(),
        level in prop_oneof![Just(0), Just(1), Just(6)],
        flags in prop_oneof![3 => Just(0), 1 => 0..32_u8],
        field in vec(any::<u8>(), 0..150),
        zeros in prop_oneof![8 => Just(0), 1 => 1..5_usize, 1 => 1..900_usize],
    ) -> Member {
        let mut bytes = member(&text, level, flags, &field);
        bytes.resize(bytes.len() + zeros, 0);
        Member { text, bytes, is_padded: zeros > 0 }
    }
}

prop_compose! {
    fn limits()(
        run_bytes in 1..500_usize,
        longer in 0..2_000_usize,
        begins_long_members in any::<bool>(),
        ahead_bytes in 1..3_000_usize,
        piece_bytes in 1..300_usize,
        text_bytes_max in 1..6_000_usize,
        waste_bytes in prop_oneof![Just(0), Just(2_000), Just(1_000_000)],
    ) -> Limits {
        let run_bytes_max = run_bytes + longer;
        Limits { run_bytes, run_bytes_max, begins_long_members, ahead_bytes, piece_bytes, text_bytes_max, waste_bytes }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn members_in_parallel_are_what_one_decoder_makes_of_them(
        members in vec(members(), 1..14),
        damage in damages(),
        limits in limits(),
        sizes in prop_oneof![Just(vec![1]), vec(1..5_000_usize, 1..4)],
        pieces in vec(0..700_usize, 1..5),
        help in prop_oneof![Just(Help::Own), Just(Help::Threads)],
    ) {
        let mut bytes: Vec<u8> = members.iter().flat_map(|member| member.bytes.clone()).collect();
        let text: Vec<u8> = members.iter().flat_map(|member| member.text.clone()).collect();
        let is_padded = members.iter().any(|member| member.is_padded);
        damage.apply(&mut bytes);
        let pieces = Pieces { bytes: &bytes, sizes: [&pieces[..], &[300]].concat(), reads: 0 };
        let ((read, error), _) = in_parallel(pieces, limits, &sizes, help);
        if let Damage::None = damage {
            prop_assert!(error.is_none(), "{error:?}");
            prop_assert!(read == text);
        }
        let by_one = by_one_decoder(&bytes, &sizes);
        prop_assert_eq!(&error, &by_one.1);
        // A decoder gives nothing of the call in which it fails.
        let lost = error.as_ref().map_or(0, |_| *sizes.iter().max().unwrap());
        let same = read.len().min(by_one.0.len());
        prop_assert!(read[..same] == by_one.0[..same]);
        prop_assert!(read.len().max(by_one.0.len()) - same <= lost);
        if !is_padded && !matches!(damage, Damage::Followed(_)) {
            let by_library = read_all(&mut MultiGzDecoder::new(&bytes[..]), &sizes, |_| ());
            prop_assert!(by_one == by_library);
        }
    }
}

#[test]
fn jobs_make_most_of_the_text() {
    // As `bgzip` writes it, as a log rotator does, and by the thousand in each run.
    for (members, bytes) in [(200, 4_000), (40, 20_000), (20_000, 20)] {
        let texts: Vec<_> = (0..members).map(|seed| words(bytes, seed)).collect();
        let compressed: Vec<_> = texts.iter().flat_map(|text| gzip(text)).collect();
        let limits = Limits {
            run_bytes: 5_000,
            run_bytes_max: 20_000,
            ahead_bytes: 50_000,
            text_bytes_max: 60_000,
            ..SMALL
        };
        let (answer, of_jobs) = in_parallel(&compressed[..], limits, &[1_000], Help::Own);
        assert!(answer == (texts.concat(), None));
        let part = 100 * of_jobs / answer.0.len();
        assert!(part >= 80, "{members} members: {part} %");
    }
}

#[test]
fn a_job_that_ends_early_is_gone_on_with() {
    // Each member is longer than a run, and than a job's text.
    let texts: Vec<_> = (0..20).map(|seed| words(20_000, seed)).collect();
    let compressed: Vec<_> = texts.iter().flat_map(|text| gzip(text)).collect();
    let limits = Limits {
        ahead_bytes: 10_000,
        ..SMALL
    };
    for limits in [
        limits,
        Limits {
            text_bytes_max: 1_000_000,
            ..limits
        },
    ] {
        let (answer, of_jobs) = in_parallel(&compressed[..], limits, &[1_000], Help::Own);
        assert!(answer == (texts.concat(), None));
        assert!(of_jobs >= 19 * 1_500, "{of_jobs}");
    }
    let limits = Limits {
        begins_long_members: false,
        ..limits
    };
    let (answer, of_jobs) = in_parallel(&compressed[..], limits, &[1_000], Help::Own);
    assert!(answer == (texts.concat(), None));
    assert_eq!(of_jobs, 0);
}

#[test]
fn decoding_in_vain_ends() {
    // Members in the text of a stored member begin every run, and each makes as much text as it may.
    let bomb = gzip(&vec![b'a'; 100_000]);
    let inner = bomb.repeat(10_000_usize.div_ceil(bomb.len()) * 40);
    let compressed = [gzip(b"first"), member(&inner, 0, 0, b"")].concat();
    let limits = Limits {
        waste_bytes: 20_000,
        ..SMALL
    };
    let helpers = Helpers::new(3);
    let mut gzip = parallel(&compressed[..], limits, &helpers);
    let answer = read_all(&mut gzip, &[1_000], |gzip| {
        if let Gzip::Later(members) = gzip {
            members.check_bounds();
        }
        while helpers.help() {}
    });
    assert!(answer == ([b"first", &inner[..]].concat(), None));
    let Gzip::Later(members) = &gzip else {
        panic!("there are two members");
    };
    // It was tried, and the bound was reached.
    assert!(members.wasted_bytes >= limits.waste_bytes);
}

#[test]
fn runs_are_decoded_ahead_only_if_it_helps() {
    let texts: Vec<_> = (0..100).map(|seed| words(3_000, seed)).collect();
    let compressed: Vec<_> = texts.iter().flat_map(|text| gzip(text)).collect();
    let waiting = |bytes: &[u8], limits, threads| {
        let helpers = Helpers::new(threads);
        let mut gzip = parallel(bytes, limits, &helpers);
        let mut most = 0;
        let answer = read_all(&mut gzip, &[1_000], |_| most = most.max(helpers.waiting()));
        assert!(answer.1.is_none());
        (matches!(gzip, Gzip::Later(_)), most)
    };
    assert_eq!(waiting(&compressed, SMALL, 1), (false, 0));
    assert_eq!(waiting(&gzip(&texts.concat()), SMALL, 2), (false, 0));
    let two = gzip(&texts[0]).repeat(2);
    assert_eq!(waiting(&two, Limits::for_threads(2), 2), (true, 0));
    // Two for each thread.
    let limits = Limits {
        ahead_bytes: 100_000,
        ..SMALL
    };
    assert_eq!(waiting(&compressed, limits, 3), (true, 6));
}

#[test]
fn what_is_no_longer_needed_is_not_decoded() {
    let compressed: Vec<_> = (0..100)
        .flat_map(|seed| gzip(&words(3_000, seed)))
        .collect();
    let helpers = Helpers::new(3);
    let mut gzip = parallel(&compressed[..], SMALL, &helpers);
    gzip.read_exact(&mut [0; 10_000]).unwrap();
    assert!(helpers.waiting() > 0);
    drop(gzip);
    assert_eq!(helpers.waiting(), 0);
    assert!(!helpers.help());
}

/// Gives its parts one by one, then an error.
struct Parts<'p> {
    parts: Vec<&'p [u8]>,
    /// How many were begun.
    begun: usize,
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.begun == 0 || self.parts[self.begun - 1].is_empty() {
            self.begun += 1;
        }
        match self.parts.get_mut(self.begun - 1) {
            Some(part) => part.read(buffer),
            None => Err(io::Error::other("the disk is gone")),
        }
    }
}

#[test]
fn text_comes_before_the_next_read_of_a_pipe_and_before_an_error() {
    let texts: Vec<_> = (0..60).map(|seed| words(300, seed)).collect();
    let compressed: Vec<_> = texts.iter().map(|text| gzip(text)).collect();
    // What is written at a time is whole members, and not a multiple of what is read at a time.
    let parts: Vec<_> = compressed.chunks(10).map(<[_]>::concat).collect();
    assert!(parts.iter().all(|part| part.len() % SMALL.piece_bytes != 0));
    let raw = Parts {
        parts: parts.iter().map(Vec::as_slice).collect(),
        begun: 0,
    };
    let mut gzip = parallel(raw, SMALL, &Helpers::new(2));
    let mut buffer = vec![0; 3_000];
    for (number, texts) in texts.chunks(10).enumerate() {
        gzip.read_exact(&mut buffer).unwrap();
        assert!(buffer == texts.concat());
        if let Gzip::Later(members) = &gzip {
            assert_eq!(members.raw().begun, number + 1);
        }
    }
    let error = gzip.read(&mut buffer).unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    // It is not taken for the end by a reader that goes on.
    assert!(gzip.read(&mut buffer).is_err());
}

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
