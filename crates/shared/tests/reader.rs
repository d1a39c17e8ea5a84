//! Who resolves does not wait, and sees every change once it is made.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Resolve};
use idmerge_engines::{Model, Overrides, Settings};
use idmerge_shared::Shared;

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

/// A claim of this model that makes `$device:5c7f…4c1e`, or the ID without the prefix, the user `U1` or `U2`.
fn claim(model: Model, user: &str) -> Claim<'_> {
    const ID: &str = "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";
    match model {
        Model::Simplified => Claim::Link {
            device: id(ID),
            user: id(user),
        },
        Model::Original => Claim::Identify {
            identified: id(user),
            anon: id(ID),
        },
        _ => Claim::Alias {
            distinct_id: id(user),
            alias: id(ID),
        },
    }
}

fn resolved<R: Resolve>(engine: &Shared<R>) -> String {
    let device = DistinctId::device(id("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e"));
    engine.resolve(device, |found| found.to_string())
}

fn engine(model: Model) -> Box<dyn IdentityResolver> {
    let settings = Settings::new(model, &Overrides::default()).unwrap();
    settings.engine()
}

#[test]
fn it_does_not_wait_for_a_change_and_sees_claims_at_once() {
    for model in Model::ALL {
        let engine = &Shared::new(engine(model));
        engine.write(|changed| {
            // If it waited, this would never end: the engine is locked until it has answered.
            let before =
                thread::scope(|threads| threads.spawn(|| resolved(engine)).join().unwrap());
            assert!(before.ends_with("4c1e"), "{before}");
            changed.apply(claim(model, "U1")).unwrap();
            let after = thread::scope(|threads| threads.spawn(|| resolved(engine)).join().unwrap());
            assert_eq!(after, "U1");
        });
        assert!(!format!("{engine:?}").is_empty());
    }
}

#[test]
fn another_state_is_seen_once_the_change_has_returned() {
    for model in Model::ALL {
        let shared = Shared::new(engine(model));
        shared.apply(claim(model, "U1"), |_| ()).unwrap();
        let mut other = engine(model);
        other.apply(claim(model, "U2")).unwrap();
        let mut snapshot = Vec::new();
        other.write_snapshot(&mut snapshot).unwrap();

        shared
            .write(|engine| engine.read_snapshot(&mut &*snapshot))
            .unwrap();
        assert_eq!(resolved(&shared), "U2", "{model}: a snapshot");
        shared.write(|engine| *engine = self::engine(model));
        assert!(resolved(&shared).ends_with("4c1e"), "{model}: a new engine");
        let panicked = thread::scope(|threads| {
            let change = || {
                shared.write(|engine| {
                    std::mem::swap(engine, &mut other);
                    std::panic::resume_unwind(Box::new("after the change"));
                })
            };
            threads.spawn(change).join()
        });
        assert!(panicked.is_err());
        assert_eq!(resolved(&shared), "U2", "{model}: a change that panics");
        shared.apply(claim(model, "U2"), |_| ()).unwrap();
        assert_eq!(shared.into_inner().clustered_ids(), 2);
    }
}
