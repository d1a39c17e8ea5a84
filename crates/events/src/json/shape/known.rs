//! The shapes that are known.

use super::node::{Node, Shape};
use super::reader::ShapedReader;
use super::trie::{Scalars, Trie};

/// How many shapes are known at most, and how many values they have together. Then all are forgotten.
const SHAPES_MAX: usize = 256;
const NODES_MAX: usize = 32 << 10;

/// How many texts may be learned from at first, and how many texts of known shapes, and texts of others, allow
/// one more: learning takes the time of ten scans, and texts that are all different are not worth it.
const FIRST_LESSONS: u32 = 128;
const KNOWN_A_LESSON: u32 = 64;
const OTHERS_A_LESSON: u32 = 256;

/// Longer texts are rare, and would take memory.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// What an unknown text costs, and what a known one saves. If unknown ones have cost as much as this, only every
/// `TEXTS_A_TRY`-th text is tried.
const COST_OF_UNKNOWN: u32 = 2;
const COST_MAX: u32 = 64;
const TEXTS_A_TRY: u32 = 16;

/// The shapes of texts that were read before. `N` is what the caller notes of each.
///
/// ```
/// use idmerge_events::{ReadJson, Shapes};
///
/// let mut shapes: Shapes = Shapes::default();
/// assert!(shapes.read(r#"{"a":1,"b":"c"}"#).is_none());
/// shapes.learn(r#"{"a":1,"b":"c"}"#);
///
/// let mut reader = shapes.read(r#"{"a":true,"b":"another text"}"#).ok_or("another shape")?;
/// let mut values = Vec::new();
/// reader.members(|reader, _| {
///     values.push(reader.value()?.as_str());
///     Some(())
/// });
/// assert_eq!(values, ["true", "\"another text\""]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shapes<N = ()> {
    trie: Trie,
    shapes: Vec<Known<N>>,
    /// How many values the shapes have.
    nodes: usize,
    /// Of the text that was looked at last.
    scalars: Scalars,
    /// How many texts had a known shape, how many had none, and from how many was learned.
    known: u32,
    others: u32,
    lessons: u32,
    /// What texts without a known shape have cost lately, and how many were not tried since.
    cost: u32,
    untried: u32,
}

/// What is known of a shape.
#[derive(Clone, Debug)]
struct Known<N> {
    nodes: Vec<Node>,
    notes: N,
}

/// What is found out about the shape of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Known(usize),
    Unknown,
    NotTried,
}

impl<N> Default for Shapes<N> {
    fn default() -> Self {
        Self {
            trie: Trie::default(),
            shapes: Vec::new(),
            nodes: 0,
            scalars: Scalars::default(),
            known: 0,
            others: 0,
            lessons: 0,
            cost: 0,
            untried: 0,
        }
    }
}

impl<N: Default> Shapes<N> {
    /// A reader of this text, if its shape is found to be known: it is JSON then. Texts of more than 64 KiB are not
    /// looked at, and only some of the texts that follow many others without a known shape.
    #[inline]
    pub fn read<'s, 't: 's>(&'s mut self, text: &'t str) -> Option<ShapedReader<'t, 's, N>> {
        match self.find(text) {
            Found::Known(shape) => Some(self.reader(shape, text)),
            Found::Unknown | Found::NotTried => None,
        }
    }

    /// As [`read`](Self::read). If the shape of the text is not known, it is learned for the next ones.
    #[inline]
    pub fn read_or_learn<'s, 't: 's>(
        &'s mut self,
        text: &'t str,
    ) -> Option<ShapedReader<'t, 's, N>> {
        match self.find(text) {
            Found::Known(shape) => return Some(self.reader(shape, text)),
            Found::Unknown => self.learn(text),
            Found::NotTried => {}
        }
        None
    }

    /// Learns the shape of a text of at most 64 KiB, unless too few texts have had a known one.
    pub fn learn(&mut self, text: &str) {
        let lessons_max =
            FIRST_LESSONS + self.known / KNOWN_A_LESSON + self.others / OTHERS_A_LESSON;
        if self.lessons >= lessons_max || text.len() > TEXT_BYTES_MAX {
            return;
        }
        self.lessons = self.lessons.saturating_add(1);
        let Some(shape) = Shape::of(text) else {
            return;
        };
        if self.shapes.len() == SHAPES_MAX || self.nodes >= NODES_MAX || self.trie.is_full() {
            self.forget();
        }
        // There are few shapes.
        let number = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
        if self.trie.add(&shape.texts, number).is_some() {
            self.nodes += shape.nodes.len();
            self.shapes.push(Known {
                nodes: shape.nodes,
                notes: N::default(),
            });
        } else {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.trie = Trie::default();
        self.shapes.clear();
        self.nodes = 0;
    }

    /// Looks for the shape of this text.
    #[inline]
    fn find(&mut self, text: &str) -> Found {
        if text.len() > TEXT_BYTES_MAX {
            return Found::NotTried;
        }
        if self.cost >= COST_MAX {
            self.untried += 1;
            if self.untried < TEXTS_A_TRY {
                self.others = self.others.saturating_add(1);
                return Found::NotTried;
            }
            self.untried = 0;
        }
        match self.trie.shape_of(text, &mut self.scalars) {
            Some(shape) => {
                self.cost = self.cost.saturating_sub(1);
                self.known = self.known.saturating_add(1);
                Found::Known(shape as usize)
            }
            None => {
                self.cost = COST_MAX.min(self.cost + COST_OF_UNKNOWN);
                self.others = self.others.saturating_add(1);
                Found::Unknown
            }
        }
    }

    /// A reader of the text whose scalars were found last.
    #[inline]
    fn reader<'s, 't: 's>(&'s self, shape: usize, text: &'t str) -> ShapedReader<'t, 's, N> {
        let shape = &self.shapes[shape];
        let Scalars {
            ends, has_escapes, ..
        } = &self.scalars;
        ShapedReader::new(text, &shape.nodes, ends, &shape.notes, *has_escapes)
    }
}

#[cfg(test)]
mod tests;
