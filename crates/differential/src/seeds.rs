//! The inputs that a fuzzer starts from: the vectors of the suite, in the form of the fuzz targets.

use std::collections::BTreeMap;

use idmerge_conformance::fuzz::image_bytes;
use idmerge_conformance::vectors::{self, VectorError};
use idmerge_core::IdentityResolverExt;
use idmerge_events::JsonEvent;

use crate::engines;

/// An input of a fuzz target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The name of the target in `fuzz/fuzz_targets`.
    pub target: &'static str,
    /// A name that is unique within the target.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// A seed for each event of each vector, for each state that a vector leads to, and for each pair
/// of claims.
///
/// # Errors
///
/// [`VectorError`] if the vectors cannot be read.
pub fn seeds() -> Result<Vec<Seed>, VectorError> {
    let mut seeds = claim_seeds();
    for (_, case) in vectors::all()? {
        let mut engines = engines(case.settings.max_cluster_ids);
        for (number, step) in case.steps.iter().enumerate() {
            let Some(json) = &step.event else { continue };
            for target in ["event", "splice", "stream"] {
                seeds.push(Seed {
                    target,
                    name: format!("{}-{number}", case.name),
                    bytes: json.clone().into_bytes(),
                });
            }
            let Ok(event) = JsonEvent::parse(json.as_bytes()) else {
                continue;
            };
            for engine in &mut engines {
                // A refused event changes nothing; the state is a seed anyway.
                let _refused = engine.apply_event(&event.event()).is_err();
            }
        }
        for engine in engines {
            let mut bytes = Vec::new();
            if engine.write_snapshot(&mut bytes).is_err() {
                continue;
            }
            let name = format!("{}-{}", case.name, engine.rule_book());
            let mut image = BTreeMap::new();
            if let Ok(true) = engine.write_image(&mut &*bytes, &mut image) {
                seeds.push(Seed {
                    target: "image",
                    name: name.clone(),
                    bytes: image_bytes(&image),
                });
            }
            seeds.push(Seed {
                target: "snapshot",
                name,
                bytes,
            });
        }
    }
    Ok(seeds)
}

/// Every kind of claim after every kind, on three IDs: both claims share one.
fn claim_seeds() -> Vec<Seed> {
    const LIMIT_3: u8 = 3;
    const VERBS: u8 = 4;
    let pairs = (0..VERBS).flat_map(|first| (0..VERBS).map(move |second| [first, second]));
    pairs
        .map(|[first, second]| Seed {
            target: "claims",
            name: format!("{first}-{second}"),
            bytes: vec![LIMIT_3, first, 0x05, second, 0x15],
        })
        .collect()
}
