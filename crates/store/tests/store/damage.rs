//! A damaged file gives a clear error or the right state, never a wrong state and never a panic.
//!
//! `IDMERGE_DAMAGES=1000` in the environment tries more places.

use idmerge_core::IdentityResolver;
use idmerge_original::Original;
use idmerge_store::{Durable, Options, StoreError};

use crate::support::disk::Disk;
use crate::support::workload::{Numbers, claims};
use crate::support::{Engine, snapshot_of};

/// The default number of damaged places.
const DAMAGES: u64 = 150;

#[allow(
    clippy::disallowed_methods,
    reason = "a test program has no other way to take an option"
)]
fn damages() -> u64 {
    let damages = std::env::var("IDMERGE_DAMAGES");
    damages.map_or(DAMAGES, |damages| damages.parse().unwrap())
}

fn open(bytes: Vec<u8>, options: Options) -> Result<Durable<Original>, StoreError> {
    Durable::open_backend(Disk::with_bytes(bytes), Original::empty, options)
}

fn with_images() -> Options {
    Options {
        image_from_bytes: 0,
        ..Options::default()
    }
}

fn on_two_threads() -> Options {
    Options {
        threads: 2,
        ..Options::default()
    }
}

fn verifying() -> Options {
    Options {
        verify: true,
        ..Options::default()
    }
}

/// The bytes of a store with snapshots, the last one with an image, after 1,200 and 2,400 of 3,000 claims, and its state after each
/// commit.
fn store() -> (Vec<u8>, Vec<Vec<u8>>) {
    let disk = Disk::default();
    let mut store = Durable::open_backend(disk.clone(), Original::empty, with_images()).unwrap();
    let mut states = vec![snapshot_of(&store)];
    let claims = claims::<Original>(1, 3000, 800);
    for (group, number) in claims.chunks(300).zip(1..) {
        for claim in group {
            store.apply(claim.as_claim()).unwrap();
        }
        store.commit().unwrap();
        states.push(snapshot_of(&store));
        if number % 4 == 0 {
            store.snapshot().unwrap();
            assert!(store.image().unwrap());
        }
    }
    store.close().unwrap();
    (disk.bytes(), states)
}

/// Damages the file at random places. Returns how often the store opened and how often it did not.
fn damage(options: &Options, change: impl Fn(&mut Vec<u8>, &mut Numbers)) -> [u64; 2] {
    let (bytes, states) = store();
    let mut counts = [0; 2];
    for seed in 0..damages() {
        let mut damaged = bytes.clone();
        change(&mut damaged, &mut Numbers::new(seed));
        match open(damaged, options.clone()) {
            // The state of an earlier commit is old but consistent.
            Ok(store) => {
                assert!(states.contains(&snapshot_of(&store)), "damage {seed}");
                counts[0] += 1;
            }
            Err(_) => counts[1] += 1,
        }
    }
    counts
}

fn flip(bytes: &mut [u8], numbers: &mut Numbers) {
    let at = numbers.place(bytes.len());
    bytes[at] ^= 1 << numbers.below(8);
}

fn cut(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    bytes.truncate(numbers.place(bytes.len()));
}

#[test]
fn a_flipped_bit_is_an_error_or_does_no_harm() {
    let [opened, refused] = damage(&Options::default(), |bytes, numbers| flip(bytes, numbers));
    assert!(opened > 0 && refused > 0, "{opened} {refused}");
}

#[test]
fn a_flipped_bit_is_an_error_or_does_no_harm_when_another_thread_reads_the_log() {
    let [opened, refused] = damage(&on_two_threads(), |bytes, numbers| flip(bytes, numbers));
    assert!(opened > 0 && refused > 0, "{opened} {refused}");
}

#[test]
fn a_flipped_bit_is_an_error_or_does_no_harm_when_the_whole_file_is_verified() {
    let [opened, refused] = damage(&verifying(), |bytes, numbers| flip(bytes, numbers));
    assert!(opened > 0 && refused > 0, "{opened} {refused}");
}

#[test]
fn a_file_that_is_cut_off_is_an_error_or_does_no_harm() {
    let [_, refused] = damage(&Options::default(), cut);
    assert!(refused > 0);
}

#[test]
fn a_file_that_is_not_a_store_is_an_error_that_says_so() {
    let error = open(b"not a store".repeat(1000), Options::default()).unwrap_err();
    assert!(matches!(error, StoreError::NotAStore), "{error:?}");
}

/// The last place of these bytes in a file.
fn last_place(bytes: &[u8], searched: &[u8]) -> usize {
    let mut places = bytes.windows(searched.len()).enumerate();
    let last = places.rfind(|(_, window)| *window == searched);
    last.unwrap().0
}

#[test]
fn a_damaged_snapshot_falls_back_to_the_one_before() {
    let (bytes, states) = store();
    let healthy = open(bytes.clone(), Options::default()).unwrap();
    let latest = healthy.opened().snapshot;
    assert!(healthy.opened().damaged.is_empty());
    let state = snapshot_of(&healthy.history().unwrap().as_of(latest).unwrap());

    let mut damaged = bytes;
    let at = last_place(&damaged, &state[..64]);
    damaged[at + 40] ^= 1;
    let store = open(damaged, Options::default()).unwrap();
    assert_eq!(store.opened().damaged.len(), 1);
    assert_eq!(store.opened().damaged[0].0, latest);
    assert!(store.opened().snapshot > 0 && store.opened().snapshot < latest);
    assert_eq!(snapshot_of(&store), *states.last().unwrap());
}

#[test]
fn a_damaged_log_is_an_error_that_names_the_entry() {
    let disk = Disk::default();
    let mut store =
        Durable::open_backend(disk.clone(), Original::empty, Options::default()).unwrap();
    for claim in claims::<Original>(1, 3000, 800) {
        store.apply(claim.as_claim()).unwrap();
    }
    store.commit().unwrap();
    let mut in_the_middle = None;
    let each = &mut |entry: idmerge_store::Entry<'_>| {
        let text = format!("{:?}", entry.what);
        let user = text.split('"').find(|text| text.starts_with("user-"));
        in_the_middle = user.map(|user| (entry.sequence, user.to_owned()));
        Ok(in_the_middle.is_none())
    };
    store.history().unwrap().entries(1000, each).unwrap();
    let (sequence, user) = in_the_middle.unwrap();
    store.close().unwrap();

    let mut damaged = disk.bytes();
    // The user has several entries; every occurrence is in the log.
    let at = last_place(&damaged, user.as_bytes());
    damaged[at] ^= 1;
    let mut places = Vec::new();
    for options in [Options::default(), on_two_threads()] {
        let error = open(damaged.clone(), options).unwrap_err();
        let StoreError::DamagedLog {
            sequence: place, ..
        } = error
        else {
            unreachable!("{error:?}");
        };
        assert!(place > 1, "{place} {sequence}");
        assert!(error.to_string().contains(&place.to_string()), "{error}");
        places.push(place);
    }
    assert_eq!(places[0], places[1]);
}
