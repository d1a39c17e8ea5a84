//! The shapes that are known.

use super::learn::SCALARS_MAX;
use super::literal::CHUNK_BYTES;
use super::node::Shape;
use super::reader::ShapedReader;
use super::scalar::end_of_scalar;

/// How many shapes are known at most. Records of a product have one for each kind of event.
const SHAPES_MAX: usize = 64;

/// How many texts may be learned from at first, and how many texts of known shapes, and texts of others, allow
/// one more: texts that are all different are not worth learning from.
const FIRST_LESSONS: u32 = 128;
const KNOWN_A_LESSON: u32 = 8;
const OTHERS_A_LESSON: u32 = 256;

/// Longer texts are rare, and would take memory.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// After `UNKNOWN_MAX` unknown texts in a row, only every `UNKNOWN_A_TRY`-th text is tried.
const UNKNOWN_MAX: u32 = 64;
const UNKNOWN_A_TRY: u32 = 16;

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
    shapes: Vec<Shape>,
    notes: Vec<N>,
    /// For each two shapes, how many literals they begin with in common.
    common: Vec<[u16; SHAPES_MAX]>,
    /// The shape of the last text.
    last: usize,
    /// The shape that is forgotten next, if there are too many.
    oldest: usize,
    /// Where the scalars of a text end, and its start in front of them.
    ends: Vec<usize>,
    /// The text, with zeros after it: no JSON has zeros, and so no end of the text has to be looked for.
    padded: Vec<u8>,
    /// How many texts had a known shape, how many had none, and from how many was learned.
    known: u32,
    others: u32,
    lessons: u32,
    /// How many texts in a row had none.
    unknown: u32,
}

/// What is found out about the shape of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Known,
    Unknown,
    NotTried,
}

impl<N> Default for Shapes<N> {
    fn default() -> Self {
        Self {
            shapes: Vec::new(),
            notes: Vec::new(),
            common: Vec::new(),
            last: 0,
            oldest: 0,
            ends: Vec::new(),
            padded: Vec::new(),
            known: 0,
            others: 0,
            lessons: 0,
            unknown: 0,
        }
    }
}

impl<N: Default> Shapes<N> {
    /// A reader of this text, if its shape is found to be known: it is JSON then. Texts of more than 64 KiB are not
    /// looked at, and only some of the texts that follow many others without a known shape.
    #[inline]
    pub fn read<'s, 't: 's>(&'s mut self, text: &'t str) -> Option<ShapedReader<'t, 's, N>> {
        (self.find(text) == Found::Known).then(|| self.reader(text))
    }

    /// As [`read`](Self::read). If the shape of the text is not known, it is learned for the next ones.
    #[inline]
    pub fn read_or_learn<'s, 't: 's>(
        &'s mut self,
        text: &'t str,
    ) -> Option<ShapedReader<'t, 's, N>> {
        match self.find(text) {
            Found::Known => return Some(self.reader(text)),
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
        let at = if self.shapes.len() < SHAPES_MAX {
            self.shapes.push(shape);
            self.notes.push(N::default());
            self.common.push([0; SHAPES_MAX]);
            self.shapes.len() - 1
        } else {
            let at = self.oldest;
            self.oldest = (at + 1) % SHAPES_MAX;
            (self.shapes[at], self.notes[at]) = (shape, N::default());
            at
        };
        for other in 0..self.shapes.len() {
            let [literals, others] = [at, other].map(|shape| &self.shapes[shape].literals);
            let same = literals.iter().zip(others).take_while(|(a, b)| a == b);
            // A shape has no more literals than fit.
            let same = u16::try_from(same.count()).unwrap_or(u16::MAX);
            (self.common[at][other], self.common[other][at]) = (same, same);
        }
        self.last = at;
    }

    /// Looks for the shape of this text. If it is known, it is the last one then.
    #[inline]
    fn find(&mut self, text: &str) -> Found {
        if text.len() > TEXT_BYTES_MAX {
            return Found::NotTried;
        }
        let is_tried = self.unknown < UNKNOWN_MAX || self.unknown.is_multiple_of(UNKNOWN_A_TRY);
        let shape = is_tried.then(|| self.shape_of(text)).flatten();
        let Some(shape) = shape else {
            self.unknown = self.unknown.saturating_add(1);
            self.others = self.others.saturating_add(1);
            return if is_tried {
                Found::Unknown
            } else {
                Found::NotTried
            };
        };
        (self.last, self.unknown) = (shape, 0);
        self.known = self.known.saturating_add(1);
        Found::Known
    }

    /// A reader of the text whose scalars were found last.
    #[inline]
    fn reader<'s, 't: 's>(&'s self, text: &'t str) -> ShapedReader<'t, 's, N> {
        ShapedReader::new(
            text,
            &self.shapes[self.last].nodes,
            &self.ends,
            &self.notes[self.last],
        )
    }

    /// The shape of this text.
    #[inline]
    fn shape_of(&mut self, text: &str) -> Option<usize> {
        self.padded.clear();
        self.padded.extend_from_slice(text.as_bytes());
        self.padded.extend_from_slice(&[0; CHUNK_BYTES]);
        let padded = &self.padded;
        let (mut shape, mut passed) = (self.last, 0);
        self.ends.resize(SCALARS_MAX + 1, 0);
        loop {
            let known = self.shapes.get(shape)?;
            // Most texts are of the last shape.
            let before = passed;
            passed = match known.pass(passed, text, padded, &mut self.ends) {
                Ok(()) => return Some(shape),
                // A shape that went on like the text until here. The text has no valid scalar there.
                Err(passed) if passed == before && shape != self.last => return None,
                Err(passed) => passed,
            };
            let common = &self.common[shape];
            let others = self.shapes.iter().enumerate();
            // A shape that is the same until here goes on.
            shape = others
                .filter(|(other, _)| usize::from(common[*other]) == passed)
                .find(|(_, other)| other.goes_on(passed, padded, self.ends[passed]))?
                .0;
        }
    }
}

impl Shape {
    /// Continues in a text after its first `passed` scalars. `ends` are the ends of its scalars, after a 0. An error is the
    /// number of scalars after which the text has something else.
    #[inline(never)]
    fn pass(
        &self,
        passed: usize,
        text: &str,
        padded: &[u8],
        ends: &mut [usize],
    ) -> Result<(), usize> {
        let (Some((last, literals)), Some((start, ends))) =
            (self.literals.split_last(), ends[passed..].split_first_mut())
        else {
            return Err(passed);
        };
        let mut at = *start;
        let steps = literals[passed..].iter().zip(ends);
        for (step, (literal, end)) in steps.enumerate() {
            let scalar = literal
                .end_in(padded, at)
                .and_then(|start| end_of_scalar(text, padded, start));
            let Some(scalar) = scalar else {
                return Err(passed + step);
            };
            at = scalar;
            *end = at;
        }
        match last.end_in(padded, at) == Some(text.len()) {
            true => Ok(()),
            false => Err(literals.len()),
        }
    }

    /// Whether a text goes on at `at` with the literal that this shape has after `passed` scalars, and then with a scalar.
    /// It goes on so by only one of the shapes that differ here.
    fn goes_on(&self, passed: usize, padded: &[u8], at: usize) -> bool {
        let end = self
            .literals
            .get(passed)
            .and_then(|literal| literal.end_in(padded, at));
        end.is_some_and(|end| match passed + 1 == self.literals.len() {
            true => padded.get(end) == Some(&0),
            false => !matches!(padded.get(end), None | Some(b'{' | b'[')),
        })
    }
}

#[cfg(test)]
mod tests;
