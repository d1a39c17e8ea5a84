//! The encoding of the state, in the snapshot format of `idmerge-state`. Version 1 of the payload:
//!
//! ```text
//! number of aliases
//! each alias, in the order in which they were made:
//!     the ID that it stands for
//!     the alias
//! each of these IDs: its number; if that is the number of IDs so far, it is a new ID, and its text
//!     follows
//! ```

use std::io;

use idmerge_core::{RuleBook, SnapshotError};
use idmerge_state::{SnapshotReader, SnapshotWriter};

use crate::aliases::{Aliases, AliasesLoader};

const VERSION: u16 = 1;

pub(crate) fn write(aliases: &Aliases, sink: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = SnapshotWriter::begin(sink, RuleBook::Legacy, VERSION)?;
    writer.number(aliases.len().into())?;
    let mut ids = 0;
    for made in aliases.made() {
        for number in [made.stands_for, made.alias] {
            writer.number(number.into())?;
            if number == ids {
                writer.id(aliases.ids.id(number))?;
                ids += 1;
            }
        }
    }
    writer.end()
}

pub(crate) fn read(source: &mut dyn io::Read) -> Result<Aliases, SnapshotError> {
    let mut reader = SnapshotReader::begin(source, RuleBook::Legacy, VERSION)?;
    let mut loader = AliasesLoader::default();
    for _ in 0..reader.number()? {
        let stands_for = read_id(&mut reader, &mut loader)?;
        let alias = read_id(&mut reader, &mut loader)?;
        if !loader.make(alias, stands_for) {
            return Err(damaged("an alias is made twice"));
        }
    }
    reader.end()?;
    loader.finish()
}

/// Reads the number of an ID, and its text if it is new.
fn read_id(
    reader: &mut SnapshotReader<'_>,
    loader: &mut AliasesLoader,
) -> Result<u32, SnapshotError> {
    let number = reader.number()?;
    match u32::try_from(number) {
        Ok(number) if number < loader.ids() => Ok(number),
        Ok(number) if number == loader.ids() => loader.id(reader.id()?),
        _ => Err(damaged("an ID has no number that it can have")),
    }
}

fn damaged(what: &'static str) -> SnapshotError {
    SnapshotError::Damaged { what }
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Claim, Id, IdentityResolver, Resolve};
    use proptest::prelude::*;

    use super::*;
    use crate::Legacy;

    fn apply(engine: &mut Legacy, (alias, distinct_id): (&str, &str)) -> String {
        let claim = Claim::Alias {
            distinct_id: Id::new(distinct_id).unwrap(),
            alias: Id::new(alias).unwrap(),
        };
        format!("{:?}", engine.apply(claim).unwrap())
    }

    fn engine<'a>(aliases: impl IntoIterator<Item = (&'a str, &'a str)>) -> Legacy {
        let mut engine = Legacy::default();
        for alias in aliases {
            apply(&mut engine, alias);
        }
        engine
    }

    fn bytes_of(engine: &Legacy) -> Vec<u8> {
        let mut bytes = Vec::new();
        engine.write_snapshot(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn a_state_comes_back_from_its_bytes(
            aliases in prop::collection::vec(("[a-j]", "[a-j]"), 0..60),
            later in ("[a-l]", "[a-l]"),
        ) {
            let mut engine = engine(aliases.iter().map(|(a, b)| (&**a, &**b)));
            let bytes = bytes_of(&engine);
            let mut back = Legacy::default();
            back.read_snapshot(&mut &bytes[..]).unwrap();
            prop_assert!(engine.clusters().eq(back.clusters()));
            prop_assert_eq!(&bytes_of(&back), &bytes);
            // Both engines answer the next claim alike.
            let later = (&*later.0, &*later.1);
            prop_assert_eq!(apply(&mut engine, later), apply(&mut back, later));
            prop_assert_eq!(bytes_of(&engine), bytes_of(&back));
        }
    }

    #[test]
    fn equal_states_give_equal_bytes_whatever_their_history() {
        // Claims that were rejected, or said what was known, are no part of the state.
        let one = engine([("a", "b"), ("c", "b"), ("d", "a")]);
        let two = engine([("a", "b"), ("b", "a"), ("c", "b"), ("c", "x"), ("d", "a")]);
        assert_eq!(bytes_of(&one), bytes_of(&two));
        // The order of the aliases is part of the state: `cluster` shows it.
        let other = engine([("c", "b"), ("a", "b"), ("d", "a")]);
        assert_ne!(bytes_of(&one), bytes_of(&other));
    }

    /// A well-formed frame around a payload that no engine wrote: numbers, and texts of new IDs.
    fn forged(aliases: u64, ids: &[(u64, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, RuleBook::Legacy, 1).unwrap();
        writer.number(aliases).unwrap();
        for &(number, text) in ids {
            writer.number(number).unwrap();
            if !text.is_empty() {
                writer.id(Id::new(text).unwrap()).unwrap();
            }
        }
        writer.end().unwrap();
        bytes
    }

    /// Reads a snapshot by making one alias after the other, as a second way to the same state.
    fn read_one_by_one(source: &mut dyn io::Read) -> Result<Aliases, SnapshotError> {
        let mut reader = SnapshotReader::begin(source, RuleBook::Legacy, VERSION)?;
        let mut aliases = Aliases::default();
        for _ in 0..reader.number()? {
            let mut other = None;
            for _ in 0..2 {
                let number = u32::try_from(reader.number()?).unwrap();
                let is_new = number == aliases.ids.len();
                let id = if is_new {
                    let id = aliases.ids.probe(reader.id()?);
                    if aliases.ids.find(&id).is_some() {
                        return Err(damaged("twice"));
                    }
                    aliases.ids.enter(&id, other)
                } else if number < aliases.ids.len() {
                    aliases.ids.found(number)
                } else {
                    return Err(damaged("not the next"));
                };
                let Some(stands_for) = other else {
                    other = Some(id);
                    continue;
                };
                if !is_new && (aliases.is_alias(id) || id.owner == stands_for.owner) {
                    return Err(damaged("an alias of itself"));
                }
                aliases.make(id, stands_for);
            }
        }
        reader.end()?;
        Ok(aliases)
    }

    proptest! {
        #[test]
        fn loading_a_state_gives_what_making_aliases_one_by_one_gives(
            aliases in prop::collection::vec([any::<prop::sample::Index>(), any::<prop::sample::Index>()], 0..9),
            twice in prop::option::weighted(0.1, any::<prop::sample::Index>()),
            later in prop::collection::vec(("[a-t]", "[a-t]"), 0..30),
        ) {
            // Numbers of earlier IDs and new ones. Some make an alias twice, or a circle.
            let mut ids = 0;
            let mut rows: Vec<(u64, String)> = Vec::new();
            for number in aliases.iter().flatten() {
                let number = number.index(2 * ids + 1).min(ids);
                let text = char::from(b'a' + u8::try_from(ids).unwrap()).to_string();
                rows.push(if number == ids { (ids as u64, text) } else { (number as u64, String::new()) });
                ids += usize::from(number == ids);
            }
            if let Some(twice) = twice && !rows.is_empty() {
                let row = &mut rows[twice.index(ids.max(1))];
                if !row.1.is_empty() {
                    row.1 = "a".to_owned();
                }
            }
            let rows: Vec<_> = rows.iter().map(|(number, text)| (*number, &**text)).collect();
            let bytes = forged(aliases.len() as u64, &rows);
            let one_by_one = read_one_by_one(&mut &bytes[..]);
            let loaded = read(&mut &bytes[..]);
            prop_assert_eq!(loaded.is_ok(), one_by_one.is_ok());
            let (Ok(loaded), Ok(one_by_one)) = (loaded, one_by_one) else {
                return Ok(());
            };
            let [mut loaded, mut one_by_one] = [loaded, one_by_one].map(|aliases| {
                let mut engine = Legacy::default();
                engine.aliases = aliases;
                engine
            });
            prop_assert_eq!(&bytes_of(&loaded), &bytes);
            prop_assert!(loaded.clusters().eq(one_by_one.clusters()));
            for (a, b) in &later {
                prop_assert_eq!(apply(&mut loaded, (a, b)), apply(&mut one_by_one, (a, b)));
            }
            prop_assert!(loaded.clusters().eq(one_by_one.clusters()));
            prop_assert_eq!(bytes_of(&loaded), bytes_of(&one_by_one));
        }
    }

    #[test]
    fn a_snapshot_that_contradicts_the_rules_is_damaged() {
        assert!(read(&mut &forged(2, &[(0, "a"), (1, "b"), (2, "c"), (0, "")])[..]).is_ok());
        for (wrong, aliases, ids) in [
            ("an alias stands for itself", 1, &[(0, "a"), (0, "")][..]),
            (
                "an alias is made twice",
                2,
                &[(0, "a"), (1, "b"), (2, "c"), (1, "")],
            ),
            ("a cycle", 2, &[(0, "a"), (1, "b"), (1, ""), (0, "")]),
            ("an ID occurs twice", 1, &[(0, "a"), (1, "a")]),
            ("a number is not the next one", 1, &[(1, "a"), (0, "b")]),
            ("a number is too large", 1, &[(0, "a"), (u64::MAX, "b")]),
            ("there are fewer aliases", 2, &[(0, "a"), (1, "b")]),
            ("there are more aliases", 0, &[(0, "a"), (1, "b")]),
        ] {
            let read = read(&mut &forged(aliases, ids)[..]);
            assert!(
                matches!(read, Err(SnapshotError::Damaged { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_damaged_snapshot_leaves_the_state_as_it_was() {
        let mut engine = engine([("a", "b")]);
        let before = bytes_of(&engine);
        let cut = &before[..before.len() - 1];
        assert!(engine.read_snapshot(&mut &*cut).is_err());
        assert_eq!(bytes_of(&engine), before);
    }
}
