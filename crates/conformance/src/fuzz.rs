//! Fuzz bodies: properties that hold for any bytes. The fuzz targets call these, and so do plain
//! tests over saved inputs.
//!
//! Each body gets an engine from `make`, and panics if a property does not hold, as a fuzzer expects.

use std::collections::BTreeMap;

use idmerge_core::{IdentityResolver, IdentityResolverExt, ImagePiece, RuleBook};
use idmerge_events::{Envelope, EventShapes, JsonEvent, Resolved};

use crate::check::{Differences, apply, clusters_of, snapshot_of};
use crate::compare::{comparable, same_as_oracle};
use crate::generate::all_ids;
use crate::laws::state_is_consistent;
use crate::oracle::oracle;
use crate::settings::{AnonIdFormat, EngineSettings};
use crate::vectors::{OwnedClaim, show};

/// The pieces of an image.
type Image = BTreeMap<ImagePiece, Vec<u8>>;

/// Reads any bytes as an event: the engine refuses it or reads it exactly like the oracle. A custom
/// rule book has no oracle: there a second reading must be equal to the first.
///
/// # Panics
///
/// Panics if the readings differ.
pub fn event(bytes: &[u8], make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>) {
    let Ok(event) = JsonEvent::parse(bytes) else {
        return;
    };
    let settings = EngineSettings::default();
    let engine = make(&settings);
    let oracle = oracle(engine.rule_book(), &settings).unwrap_or_else(|| make(&settings));
    let event = event.event();
    assert_eq!(
        comparable(oracle.read(&event)),
        comparable(engine.read(&event)),
        "{event:?}"
    );
}

/// Reads any lines as the events of a stream: each is read as it is alone, although one before it may have its shape.
///
/// # Panics
///
/// Panics if that does not hold.
pub fn stream(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut shapes = EventShapes::default();
    // Twice, so that the shape of each event is known.
    for line in text.split('\n').chain(text.split('\n')) {
        let read = shapes.parse_text(line).map_err(|error| error.to_string());
        let alone = JsonEvent::parse_text(line).map_err(|error| error.to_string());
        assert_eq!(read, alone, "{line}");
        let read = shapes
            .parse_envelope(line)
            .map_err(|error| error.to_string());
        let alone = Envelope::parse_text(line).map_err(|error| error.to_string());
        assert_eq!(read, alone, "{line}");
    }
}

/// Reads any bytes as an event and writes the answer onto it: the result is an event with the
/// canonical distinct_id, and writing it once more does not change it (rules W-1 to W-7).
///
/// # Panics
///
/// Panics if that does not hold.
pub fn splice(bytes: &[u8], make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>) {
    let mut engine = make(&EngineSettings::default());
    let Ok(event) = JsonEvent::parse(bytes) else {
        return;
    };
    if engine.apply_event(&event.event()).is_err() {
        return;
    }
    let canonical = written(&event, &*engine, bytes);
    let again = match JsonEvent::parse(&canonical) {
        Ok(again) => again,
        Err(error) => unreachable!("the written bytes are not an event: {error}"),
    };
    // Law 10: read again, the event has the same own ID (IN-5), and so the same answer.
    assert_eq!(
        String::from_utf8_lossy(&written(&again, &*engine, &canonical)),
        String::from_utf8_lossy(&canonical),
    );
}

/// Reads any bytes as claims: outcomes, canonical IDs and clusters equal those of the oracle after
/// each claim. A custom rule book has no oracle: there the clusters and the canonical IDs must agree.
///
/// The first byte is the limit and the form of anonymous IDs. Every two bytes after it are a claim.
///
/// # Panics
///
/// Panics if engine and oracle differ. The message has the case in the syntax of vectors.
pub fn claims(
    bytes: &[u8],
    make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver> + Send + Sync + 'static,
) {
    /// Longer sequences find no further mistakes, and the oracle is slow.
    const CLAIMS_MAX: usize = 64;

    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let formats = [AnonIdFormat::UuidV4, AnonIdFormat::Guid, AnonIdFormat::Sdk];
    let settings = EngineSettings {
        max_cluster_ids: u32::from(first % 8),
        anon_id_format: formats[usize::from(first / 8) % formats.len()],
        ..EngineSettings::default()
    };
    let claims: Vec<OwnedClaim> = rest
        .chunks_exact(2)
        .take(CLAIMS_MAX)
        .map(|bytes| claim_of(bytes[0], bytes[1]))
        .collect();
    let mut engine = make(&settings);
    let rule_book = engine.rule_book();
    let checked = match oracle(rule_book, &settings) {
        Some(mut oracle) => same_as_oracle(&mut *engine, &mut *oracle, &claims),
        None => stays_consistent(&mut *engine, &claims),
    };
    let vector = |what| format!("{what}\n{}", show::as_vector(rule_book, &settings, &claims));
    must(checked.map_err(vector));
}

/// Reads any bytes as a snapshot: they are an error that changes nothing, or a state that keeps the
/// laws, writes exactly these bytes, and takes claims.
///
/// # Panics
///
/// Panics if that does not hold.
pub fn snapshot(bytes: &[u8], make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>) {
    let settings = EngineSettings::default();
    let (mut engine, empty) = (make(&settings), make(&settings));
    let mut rest = bytes;
    let read = engine.read_snapshot(&mut rest);
    let written = must(snapshot_of(&*engine));
    if read.is_err() {
        assert_eq!(clusters_of(&*engine), clusters_of(&*empty));
        return;
    }
    assert_eq!(written, bytes[..bytes.len() - rest.len()]);
    is_a_state(&mut *engine, &mut *make(&settings), &settings);
}

/// Reads any bytes as an image: it is an error that changes nothing, or a state that a snapshot has too, that keeps the
/// laws, and takes claims. The bytes are as [`image_bytes`] writes them. An engine may have no images.
///
/// # Panics
///
/// Panics if that does not hold.
pub fn image(bytes: &[u8], make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>) {
    /// Few images have clusters of the usual limit.
    const LOW_LIMIT: u32 = 3;

    let image = image_of(bytes);
    let usual = EngineSettings::default();
    let low = EngineSettings {
        max_cluster_ids: LOW_LIMIT,
        ..usual.clone()
    };
    for settings in [usual, low] {
        read_image(&image, &settings, &make);
    }
}

fn read_image(
    image: &Image,
    settings: &EngineSettings,
    make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>,
) {
    let mut engine = make(settings);
    let before = claim_of(0, 1);
    assert!(apply(&mut *engine, &before).is_ok(), "{before:?}");
    let before = must(snapshot_of(&*engine));
    if engine.read_image(image).is_err() {
        assert_eq!(must(snapshot_of(&*engine)), before);
        return;
    }
    let after = must(snapshot_of(&*engine));
    let mut loaded = make(settings);
    let read = loaded.read_snapshot(&mut &*after);
    must(read.map_err(|error| format!("a state of an image has a damaged snapshot: {error}")));
    assert_eq!(clusters_of(&*loaded), clusters_of(&*engine));
    let mut image = Image::new();
    let written = engine.write_image(&mut &*after, &mut image);
    must(written.map_err(|error| format!("a state of an image has no image: {error}")));
    must(loaded.read_image(&image).map_err(|error| error.to_string()));
    assert_eq!(must(snapshot_of(&*loaded)), after);
    is_a_state(&mut *engine, &mut *make(settings), settings);
}

/// The bytes of an image for [`image`]: of each piece its part, its number and its length, in 1, 1 and 2 bytes, and then
/// its content. Pieces that are too many or too long for that are left out.
pub fn image_bytes(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (piece, content) in image {
        let len = u16::try_from(content.len());
        if let (Ok(number), Ok(len)) = (u8::try_from(piece.number), len) {
            bytes.extend([piece.part, number]);
            bytes.extend(len.to_le_bytes());
            bytes.extend(content);
        }
    }
    bytes
}

/// The image that these bytes are. A last piece that is cut off is shorter.
fn image_of(mut bytes: &[u8]) -> Image {
    let mut image = Image::new();
    while let Some((&[part, number, low, high], rest)) = bytes.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes([low, high]));
        let (content, rest) = rest.split_at(len.min(rest.len()));
        let number = number.into();
        image.insert(ImagePiece { part, number }, content.to_vec());
        bytes = rest;
    }
    image
}

fn must<T>(done: Result<T, String>) -> T {
    match done {
        Ok(done) => done,
        Err(what) => unreachable!("{what}"),
    }
}

/// The clusters of a state that was read are those of a model, and it takes claims. `empty` is another engine.
fn is_a_state(
    engine: &mut dyn IdentityResolver,
    empty: &mut dyn IdentityResolver,
    settings: &EngineSettings,
) {
    for cluster in engine.clusters() {
        assert!(cluster.members.contains(&cluster.canonical));
        for &member in &cluster.members {
            assert_eq!(engine.resolve(member), cluster.canonical);
        }
        if engine.rule_book() == RuleBook::Original {
            assert!(cluster.members.len() <= settings.max_cluster_ids as usize);
        }
    }
    must(goes_on(engine, empty));
}

/// Applies claims of all kinds that name IDs of this state and new ones. The clusters stay consistent, and are
/// those of a state that is loaded from its snapshot.
fn goes_on(
    engine: &mut dyn IdentityResolver,
    loaded: &mut dyn IdentityResolver,
) -> Result<(), String> {
    const CLUSTERS_MAX: usize = 8;
    const KINDS: [fn(String, String) -> OwnedClaim; 4] = [
        OwnedClaim::Link,
        OwnedClaim::Identify,
        OwnedClaim::Alias,
        OwnedClaim::Merge,
    ];
    let clusters = engine.clusters().take(CLUSTERS_MAX);
    let ends = clusters.flat_map(|cluster| {
        [
            cluster.members.first().copied(),
            cluster.members.last().copied(),
        ]
    });
    let mut ids: Vec<String> = ends
        .flatten()
        .map(|id| id.id().text().into_owned())
        .collect();
    ids.extend(["new", "another"].map(str::to_owned));
    for (pair, kind) in ids.windows(2).zip(KINDS.iter().cycle()) {
        apply(engine, &kind(pair[0].clone(), pair[1].clone()))?;
    }
    let mut differences = Differences::default();
    state_is_consistent(engine, &mut differences);
    let read = loaded.read_snapshot(&mut &*snapshot_of(engine)?);
    differences.expect("reading the snapshot of later", &true, &read.is_ok());
    differences.expect(
        "the clusters of later",
        &clusters_of(engine),
        &clusters_of(loaded),
    );
    differences.into_result()
}

fn stays_consistent(
    engine: &mut dyn IdentityResolver,
    claims: &[OwnedClaim],
) -> Result<(), String> {
    for claim in claims {
        apply(engine, claim)?;
        let mut differences = Differences::default();
        state_is_consistent(engine, &mut differences);
        differences.into_result()?;
    }
    Ok(())
}

fn written(event: &JsonEvent<'_>, engine: &dyn IdentityResolver, bytes: &[u8]) -> Vec<u8> {
    let read = event.event();
    let Ok(reading) = engine.read(&read) else {
        // In Original an identity event may have a valid ID in its own property, and an invalid
        // `distinct_id`.
        return bytes.to_vec();
    };
    let canonical = reading.distinct_id.map(|id| engine.resolve(id));
    let resolved = Resolved {
        rule_book: engine.rule_book(),
        own: reading.distinct_id,
        canonical,
        failure: None,
    };
    let mut line = Vec::new();
    event.write_resolved(&resolved, &mut line);
    let back = JsonEvent::parse(&line).map(|event| format!("{:?}", event.event().distinct_id));
    let text = canonical.map(|id| id.to_string()).unwrap_or_default();
    let want = format!("{:?}", idmerge_core::Value::from(&*text));
    assert_eq!(
        back.ok().as_ref(),
        Some(&want),
        "{}",
        String::from_utf8_lossy(&line)
    );
    line
}

fn claim_of(verb: u8, ids: u8) -> OwnedClaim {
    let all: Vec<&str> = all_ids().collect();
    let id = |number: u8| all[usize::from(number) % all.len()].to_owned();
    let (a, b) = (id(ids >> 4), id(ids & 0xf));
    match verb % 4 {
        0 => OwnedClaim::Link(a, b),
        1 => OwnedClaim::Identify(a, b),
        2 => OwnedClaim::Alias(a, b),
        _ => OwnedClaim::Merge(a, b),
    }
}
