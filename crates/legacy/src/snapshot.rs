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
use idmerge_state::{Found, SnapshotReader, SnapshotWriter};

use crate::aliases::Aliases;

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
    let mut aliases = Aliases::default();
    for _ in 0..reader.number()? {
        let (stands_for, _) = read_id(&mut reader, &mut aliases, None)?;
        let (alias, is_new) = read_id(&mut reader, &mut aliases, Some(stands_for))?;
        if !is_new && (aliases.is_alias(alias) || alias.owner == stands_for.owner) {
            return Err(damaged("an alias is made twice, or stands for itself"));
        }
        aliases.make(alias, stands_for);
    }
    reader.end()?;
    Ok(aliases)
}

/// Reads an ID, and enters it if it is new: to the cluster of another ID, or to one of its own. The
/// second value is whether it is new.
fn read_id(
    reader: &mut SnapshotReader<'_>,
    aliases: &mut Aliases,
    other: Option<Found>,
) -> Result<(Found, bool), SnapshotError> {
    let number = reader.number()?;
    match u32::try_from(number) {
        Ok(number) if number < aliases.ids.len() => Ok((aliases.ids.found(number), false)),
        Ok(number) if number == aliases.ids.len() && aliases.ids.room() > 0 => {
            let id = aliases.ids.probe(reader.id()?);
            if aliases.ids.find(&id).is_some() {
                return Err(damaged("an ID occurs twice"));
            }
            Ok((aliases.ids.enter(&id, other), true))
        }
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
