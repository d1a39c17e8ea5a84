//! Laws 1 and 7, for images.

use std::collections::BTreeMap;

use idmerge_core::{IdentityResolver, ImagePiece, RuleBook};
use proptest::prelude::*;

use super::replay::{another_state, compare_continuations};
use crate::check::{Check, Differences, Make, apply, snapshot_of};
use crate::generate::{CLAIMS_MAX, claims, for_all};
use crate::vectors::show;

type Image = BTreeMap<ImagePiece, Vec<u8>>;

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![
        ("1-image", Box::new(move |make| replay(rule_book, make))),
        (
            "7-damaged-image-leaves-no-trace",
            Box::new(move |make| damaged(rule_book, make)),
        ),
    ]
}

/// The image of a snapshot; `None` if the engine has no images.
fn image_of(engine: &dyn IdentityResolver, snapshot: &[u8]) -> Result<Option<Image>, String> {
    let mut image = Image::new();
    let written = engine.write_image(&mut &*snapshot, &mut image);
    let has_images = written.map_err(|error| format!("the image was not written: {error}"))?;
    Ok(has_images.then_some(image))
}

/// Law 1: an image gives the state of its snapshot, whatever the state of the engine that wrote it.
fn replay(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    for_all(
        &(
            claims(rule_book, make, CLAIMS_MAX),
            any::<prop::sample::Index>(),
        ),
        |((settings, claims), at)| {
            let mut one = make(settings);
            let stop = at.index(claims.len() + 1);
            for claim in &claims[..stop] {
                apply(&mut *one, claim)?;
            }
            let snapshot = snapshot_of(&*one)?;
            let mut restored = another_state(settings, make)?;
            let Some(image) = image_of(&*restored, &snapshot)? else {
                return Ok(());
            };
            let mut differences = Differences::default();
            if let Err(error) = restored.read_image(&image) {
                differences.expect("reading an image", &String::new(), &error.to_string());
            }
            differences.expect(
                "the snapshot after an image",
                &snapshot,
                &snapshot_of(&*restored)?,
            );
            compare_continuations(&mut *one, &mut *restored, &claims[stop..], &mut differences)?;
            differences.into_result()
        },
        |((settings, claims), at)| {
            let stop = at.index(claims.len() + 1);
            let vector = show::as_vector(rule_book, settings, claims);
            format!("with an image before claim {stop}, {vector}")
        },
    )
}

/// Three images that are wrong: a byte is another one, a piece is shorter, and a piece is missing.
fn wrong_ones(
    image: &Image,
    place: &prop::sample::Index,
    byte: u8,
    missing: &prop::sample::Index,
) -> [(&'static str, Image); 3] {
    let mut changed = image.clone();
    let mut bytes: Vec<&mut u8> = changed.values_mut().flatten().collect();
    **place.get_mut(&mut bytes) = byte;
    let mut cut = image.clone();
    let mut pieces: Vec<&mut Vec<u8>> = cut.values_mut().collect();
    missing.get_mut(&mut pieces).pop();
    let mut incomplete = image.clone();
    incomplete.remove(*missing.get(&image.keys().collect::<Vec<_>>()));
    [
        ("changed", changed),
        ("cut", cut),
        ("incomplete", incomplete),
    ]
}

/// Law 7, for images: one that is changed anywhere is an error that leaves the state as it was, or gives a state that a
/// snapshot can have.
fn damaged(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    let place = || any::<prop::sample::Index>();
    for_all(
        &(
            claims(rule_book, make, CLAIMS_MAX),
            place(),
            0..=255_u8,
            place(),
        ),
        |((settings, claims), place, byte, missing)| {
            let mut engine = make(settings);
            for claim in claims {
                apply(&mut *engine, claim)?;
            }
            let before = snapshot_of(&*engine)?;
            let Some(image) = image_of(&*engine, &before)? else {
                return Ok(());
            };
            let mut differences = Differences::default();
            for (wrong, image) in wrong_ones(&image, place, *byte, missing) {
                let is_read = engine.read_image(&image).is_ok();
                let after = snapshot_of(&*engine)?;
                if wrong != "changed" {
                    let of = format!("an image that is {wrong} is read");
                    differences.expect(&of, &false, &is_read);
                }
                if !is_read {
                    differences.expect("the state after it", &before, &after);
                    continue;
                }
                let mut loaded = make(settings);
                if let Err(error) = loaded.read_snapshot(&mut &*after) {
                    let of = "reading the state of a forged image";
                    differences.expect(of, &String::new(), &error.to_string());
                }
                compare_continuations(&mut *engine, &mut *loaded, claims, &mut differences)?;
                engine = loaded;
                if engine.read_snapshot(&mut &*before).is_err() {
                    return Err("a snapshot cannot be read".to_owned());
                }
            }
            differences.into_result()
        },
        |((settings, claims), place, byte, missing)| {
            let vector = show::as_vector(rule_book, settings, claims);
            format!("with {byte} at {place:?}, a piece of {missing:?}, {vector}")
        },
    )
}
