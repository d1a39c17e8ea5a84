//! A row of the tables: an engine or a peer.

pub mod engines;
pub mod peers;
pub mod sharing;

use crate::inputs::links::{Links, Texts};

/// An engine or a peer. It takes texts and gives texts, so the conversion of an ID is part of its
/// time.
pub trait Row {
    /// Applies the links in order, one by one.
    fn apply(&mut self, links: &Links);

    /// Applies the links in order, in batches. Returns `false` if the row has no batches.
    fn apply_batch(&mut self, _: &Links) -> bool {
        false
    }

    /// Resolves the IDs one by one, and gives the text of each answer, in order.
    fn resolve(&mut self, ids: &Texts, answer: &mut dyn FnMut(&str));

    /// The same in batches. Returns `false` if the row has no batches.
    fn resolve_batch(&mut self, _: &Texts, _answer: &mut dyn FnMut(&str)) -> bool {
        false
    }
}

/// The name of a row, and a function that makes an empty one.
pub type Entry = (&'static str, fn() -> Box<dyn Row>);

/// Reads the length and the last byte of an answer, so that every row must bring the text into the
/// cache.
pub fn look(text: &str) -> u64 {
    text.len() as u64 + text.as_bytes().last().map_or(0, |&byte| u64::from(byte))
}

/// Checks that a row knows the user of every device, one by one and in batches if it has batches.
///
/// # Errors
///
/// The first wrong answer.
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
            return Err(format!("{name} gives no answer, wanted {user}"));
        }
    }
    Ok(())
}
