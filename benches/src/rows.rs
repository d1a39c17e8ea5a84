//! What an engine and a peer have in common: a row of the tables.

pub mod engines;
pub mod peers;
pub mod sharing;

use crate::inputs::links::{Links, Texts};

/// An engine or a peer. It takes texts and gives texts: whatever it makes of an id in between is
/// part of its time.
pub trait Row {
    /// Applies the links in order, one by one.
    fn apply(&mut self, links: &Links);

    /// Applies the links in order, in batches. `false`: it has no batches.
    fn apply_batch(&mut self, _: &Links) -> bool {
        false
    }

    /// Resolves the ids one by one, and gives the text of each answer, in order.
    fn resolve(&mut self, ids: &Texts, answer: &mut dyn FnMut(&str));

    /// The same in batches. `false`: it has no batches.
    fn resolve_batch(&mut self, _: &Texts, _answer: &mut dyn FnMut(&str)) -> bool {
        false
    }
}

/// A row by name, and how to make an empty one.
pub type Entry = (&'static str, fn() -> Box<dyn Row>);

/// What is looked at of each answer, for all rows alike: its length and its last byte, for which
/// the text has to be in the cache.
pub fn look(text: &str) -> u64 {
    text.len() as u64 + text.as_bytes().last().map_or(0, |&byte| u64::from(byte))
}

/// Whether a row knows the user of every device: in both ways of asking, where it has both.
///
/// # Errors
///
/// The first answer that is wrong.
pub fn check(name: &str, row: &mut dyn Row, links: &Links) -> Result<(), String> {
    for in_batches in [false, true] {
        let mut wanted = links.users().iter();
        let mut wrong = None;
        let mut answer = |found: &str| {
            let wanted = wanted.next();
            if wanted != Some(found) && wrong.is_none() {
                wrong = Some(format!("{name} answers {found}, wanted {wanted:?}"));
            }
        };
        if in_batches {
            if !row.resolve_batch(links.devices(), &mut answer) {
                return Ok(());
            }
        } else {
            row.resolve(links.devices(), &mut answer);
        }
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        if let Some(user) = wanted.next() {
            return Err(format!("{name} gives no answer where {user} is wanted"));
        }
    }
    Ok(())
}
