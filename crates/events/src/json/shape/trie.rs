//! The shapes that are known, as a tree: shapes that begin alike have their first literals in common.

use super::learn::SCALARS_MAX;
use super::literal::{LITERAL_BYTES, Literal, SCALAR_BYTES, WINDOW_BYTES, Window};
use super::scalar::{scanned, usual_bytes};

/// How many literals the tree has at most, and how many may follow the same one: a text is compared with each of these.
const STEPS_MAX: usize = 4_096;
const CHOICES_MAX: usize = 32;

/// Stands for no step.
const NONE: u32 = u32::MAX;

/// The tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    steps: Vec<Step>,
    /// What a text may begin with.
    first: Next,
}

/// A literal, and what follows it.
#[derive(Clone, Debug)]
struct Step {
    literal: Literal,
    then: Then,
    next: Next,
    /// Another step that may stand in place of this one. At most one of them fits a text.
    other: u32,
}

/// What follows a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// A scalar.
    Scalar,
    /// The next literal: this one is only a part of the text in front of a scalar. It has [`LITERAL_BYTES`], and no other
    /// one has.
    Literal,
    /// The end of a text that has the shape with this number.
    End(u32),
}

/// The steps that may follow.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// The one of the last text.
    usual: u32,
    /// The first of all.
    first: u32,
}

impl Default for Next {
    fn default() -> Self {
        Self {
            usual: NONE,
            first: NONE,
        }
    }
}

/// The scalars of a text that is compared with shapes.
#[derive(Clone, Debug, Default)]
pub(super) struct Scalars {
    /// The text, with zeros after it: no JSON has zeros, and so no end of the text has to be looked for.
    padded: Vec<u8>,
    text_bytes: usize,
    /// Where the scalars end, and the start of the text in front of them.
    pub(super) ends: Vec<usize>,
    /// Whether one of them has escapes.
    pub(super) has_escapes: bool,
}

/// How far a text was passed.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// The last step. [`NONE`] at the start.
    step: u32,
    /// What of the text.
    bytes: usize,
    /// How many scalars.
    scalars: usize,
}

impl Trie {
    /// Adds a shape with this number, and the texts in front of its scalars and after them. `None` if too many literals
    /// would follow one. The first ones may have been added then, which does no harm.
    pub(super) fn add(&mut self, texts: &[Box<[u8]>], shape: u32) -> Option<()> {
        let (last, texts) = texts.split_last()?;
        let mut parent = NONE;
        for text in texts {
            parent = self.add_text(parent, text, Then::Scalar)?;
        }
        self.add_text(parent, last, Then::End(shape))?;
        Some(())
    }

    /// Whether the literals of another shape may be too many.
    pub(super) fn is_full(&self) -> bool {
        self.steps.len() >= STEPS_MAX
    }

    /// Adds a text after a step. Returns its last step.
    fn add_text(&mut self, mut parent: u32, mut text: &[u8], then: Then) -> Option<u32> {
        // A text that is as long as a literal has an empty one after it, so that of the steps that may stand in place of
        // each other only one fits: after that many bytes, another text may go on with a container.
        while let Some((part, rest)) = text.split_at_checked(LITERAL_BYTES) {
            parent = self.add_step(parent, part, Then::Literal)?;
            text = rest;
        }
        self.add_step(parent, text, then)
    }

    fn add_step(&mut self, parent: u32, text: &[u8], then: Then) -> Option<u32> {
        let literal = Literal::new(text)?;
        let (mut last, mut choice) = (NONE, self.next(parent).first);
        for _ in 0..CHOICES_MAX {
            let Some(step) = self.steps.get(choice as usize) else {
                let new = u32::try_from(self.steps.len()).ok()?;
                self.steps.push(Step {
                    literal,
                    then,
                    next: Next::default(),
                    other: NONE,
                });
                match self.steps.get_mut(last as usize) {
                    Some(last) => last.other = new,
                    None => self.next_mut(parent).first = new,
                }
                self.next_mut(parent).usual = new;
                return Some(new);
            };
            let is_same = match (step.then, then) {
                (Then::End(_), Then::End(_)) => true,
                (there, then) => there == then,
            };
            if is_same && step.literal == literal {
                return Some(choice);
            }
            (last, choice) = (choice, step.other);
        }
        None
    }

    fn next(&self, parent: u32) -> Next {
        let parent = self.steps.get(parent as usize);
        parent.map_or(self.first, |parent| parent.next)
    }

    fn next_mut(&mut self, parent: u32) -> &mut Next {
        match self.steps.get_mut(parent as usize) {
            Some(parent) => &mut parent.next,
            None => &mut self.first,
        }
    }

    /// The number of the shape of this text.
    #[inline]
    pub(super) fn shape_of(&mut self, text: &str, found: &mut Scalars) -> Option<u32> {
        found.start(text);
        let mut passed = Passed {
            step: NONE,
            bytes: 0,
            scalars: 0,
        };
        let mut usual = self.first.usual;
        loop {
            if let Some(shape) = pass_usual(&self.steps, usual, found, &mut passed) {
                return Some(shape);
            }
            if let Then::End(shape) = self.step(text, found, &mut passed)? {
                return Some(shape);
            }
            usual = self.steps.get(passed.step as usize)?.next.usual;
        }
    }

    /// Passes the next step, and the scalar after it if there is one. Returns what came after the literal.
    #[inline(never)]
    fn step(&mut self, text: &str, found: &mut Scalars, passed: &mut Passed) -> Option<Then> {
        let window = found.padded.get(passed.bytes..)?.first_chunk()?;
        let mut choice = self.next(passed.step).first;
        loop {
            let step = self.steps.get(choice as usize)?;
            if let Some(bytes) = step.bytes_in(window, text, passed.bytes, &mut found.has_escapes) {
                let then = step.then;
                self.next_mut(passed.step).usual = choice;
                passed.step = choice;
                passed.bytes += bytes;
                if then == Then::Scalar {
                    passed.scalars += 1;
                    *found.ends.get_mut(passed.scalars)? = passed.bytes;
                }
                return Some(then);
            }
            choice = step.other;
        }
    }
}

impl Step {
    /// The length of this step and of the scalar after it in a text from `at`. `None` if the text does not go on with it.
    fn bytes_in(
        &self,
        window: &Window,
        text: &str,
        at: usize,
        has_escapes: &mut bool,
    ) -> Option<usize> {
        let bytes = self.literal.bytes();
        if !self.literal.begins(window) {
            return None;
        }
        match self.then {
            Then::Literal => Some(bytes),
            Then::End(_) => (at + bytes == text.len()).then_some(bytes),
            Then::Scalar => {
                let scalar = window.get(bytes..)?.first_chunk()?;
                if let Some(scalar) = usual_bytes(scalar) {
                    return Some(bytes + scalar);
                }
                let (scalar, is_escaped) = scanned(text, at + bytes)?;
                *has_escapes |= is_escaped;
                Some(bytes + scalar)
            }
        }
    }
}

impl Scalars {
    fn start(&mut self, text: &str) {
        self.text_bytes = text.len();
        self.padded.clear();
        self.padded.reserve(text.len() + WINDOW_BYTES);
        self.padded.extend_from_slice(text.as_bytes());
        self.padded.extend_from_slice(&[0; WINDOW_BYTES]);
        self.ends.resize(SCALARS_MAX + 1, 0);
        self.has_escapes = false;
    }
}

/// Passes steps, each with the scalar after it, as long as the text goes on as the last one did, and the scalars are usual.
/// Returns the shape if the text has ended.
///
/// Everything that is rare is left to the caller, so that this needs few registers.
#[inline(never)]
fn pass_usual(
    steps: &[Step],
    mut usual: u32,
    found: &mut Scalars,
    passed: &mut Passed,
) -> Option<u32> {
    let Passed {
        mut step,
        mut bytes,
        mut scalars,
    } = *passed;
    let (padded, ends) = (&*found.padded, &mut *found.ends);
    let shape = loop {
        let Some(next) = steps.get(usual as usize) else {
            break None;
        };
        let Some(window) = padded.get(bytes..).and_then(<[_]>::first_chunk) else {
            break None;
        };
        if !next.literal.begins(window) {
            break None;
        }
        let start = next.literal.bytes();
        match next.then {
            Then::Scalar => {
                let scalar = window.get(start..start + SCALAR_BYTES);
                let scalar = scalar.and_then(|scalar| usual_bytes(scalar.first_chunk()?));
                let (Some(scalar), Some(end)) = (scalar, ends.get_mut(scalars + 1)) else {
                    break None;
                };
                bytes += start + scalar;
                scalars += 1;
                *end = bytes;
            }
            Then::Literal => bytes += start,
            Then::End(shape) => break (bytes + start == found.text_bytes).then_some(shape),
        }
        step = usual;
        usual = next.next.usual;
    };
    *passed = Passed {
        step,
        bytes,
        scalars,
    };
    shape
}
