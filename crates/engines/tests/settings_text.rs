//! Any settings come back from their canonical text.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use idmerge_core::IdRules;
use idmerge_engines::{AnonIdFormat, BlockedIds, Model, Overrides, Settings};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn overrides(model: Model) -> impl Strategy<Value = Overrides> {
    // Any text, and texts that differ in case alone.
    let id = prop_oneof![
        ".{0,8}",
        "[aAbBßſ]{1,2}",
        select(&["null", "\\#", "\u{feff}"][..]).prop_map(String::from)
    ];
    let blocked_ids = proptest::option::of((vec(id, 0..12), any::<bool>()).prop_map(
        |(ids, replaces_default)| match replaces_default {
            true => BlockedIds::only(ids),
            false => BlockedIds::besides_default(ids),
        },
    ));
    let of_original = move |max: Option<u32>, format| match model {
        Model::Original => (max, format),
        _ => (None, None),
    };
    const FORMATS: [AnonIdFormat; 3] =
        [AnonIdFormat::UuidV4, AnonIdFormat::Guid, AnonIdFormat::Sdk];
    (
        blocked_ids,
        proptest::option::of(1..=u16::MAX),
        proptest::option::of(1..=u32::MAX),
        proptest::option::of(select(&FORMATS[..])),
    )
        .prop_map(move |(blocked_ids, max_id_bytes, max, format)| {
            let (max_cluster_ids, anon_id_format) = of_original(max, format);
            Overrides {
                max_cluster_ids,
                anon_id_format,
                max_id_bytes,
                blocked_ids,
            }
        })
}

proptest! {
    #[test]
    fn settings_come_back_from_their_text(
        (model, overrides) in select(&Model::ALL[..])
            .prop_flat_map(|model| (Just(model), overrides(model))),
        texts in vec(".{1,3}|[aAbBßſ]{1,2}", 20),
    ) {
        let settings = Settings::new(model, &overrides).unwrap();
        let text = settings.to_string();
        let read: Settings = text.parse().unwrap();
        prop_assert_eq!(&read, &settings);
        prop_assert_eq!(read.to_string(), &*text);
        prop_assert_eq!(read.difference_from(&settings), "");
        let of_store = Settings::of_store(settings.rule_book(), &text).unwrap();
        prop_assert_eq!(&of_store, &settings);
        // Equal settings answer alike.
        for id in &texts {
            prop_assert_eq!(read.read_id(id), settings.read_id(id));
        }
    }

    #[test]
    fn a_list_of_blocked_ids_is_a_set_without_case(
        ids in vec(".{0,4}|[aAbB]{1,2}", 0..12),
        at in any::<Index>(),
    ) {
        let settings = |ids: &[String]| {
            Settings::of(Model::Simplified).with_id_rules(IdRules::new(255, ids))
        };
        let mut other: Vec<_> = ids.iter().map(|id| id.to_ascii_uppercase()).collect();
        other.reverse();
        if !other.is_empty() {
            other.push(at.get(&ids).clone());
        }
        let [first, second] = [settings(&ids), settings(&other)];
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(first.to_string(), second.to_string());
    }
}
