//! Learns the shape of a text.

use super::node::{Kind, Node, Place, Shape};
use crate::json::scanner::Scanner;

/// The most scalars and the most values of a text that has a shape, the most bytes between its scalars, and how
/// deeply its containers may be nested: no text takes much memory or stack.
pub(super) const SCALARS_MAX: usize = 256;
const NODES_MAX: usize = 1_024;
const LITERAL_BYTES_MAX: usize = 8_192;
const DEPTH_MAX: usize = 16;

impl Shape {
    /// The shape of a text. `None` if it is not JSON, or is not of a kind that many others are of.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut learner = Learner {
            scanner: Scanner::new(text),
            shape: Self {
                texts: Vec::new(),
                nodes: Vec::new(),
            },
            passed: 0,
            literal_bytes: 0,
        };
        learner.value(None, 0)?;
        if !learner.scanner.is_at_end() {
            return None;
        }
        learner.pass(text.len(), text.len())?;
        Some(learner.shape)
    }
}

struct Learner<'t> {
    scanner: Scanner<'t>,
    shape: Shape,
    /// Where the last scalar ends.
    passed: usize,
    literal_bytes: usize,
}

impl Learner<'_> {
    fn value(&mut self, key: Option<(Place, u16)>, depth: usize) -> Option<()> {
        let kind = match self.scanner.peek() {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            _ => Kind::Scalar,
        };
        let start = self.scanner.at();
        let at = self.shape.nodes.len();
        if at == NODES_MAX || depth == DEPTH_MAX {
            return None;
        }
        let (key, key_bytes) = key.unwrap_or_default();
        self.shape.nodes.push(Node {
            kind,
            key,
            key_bytes,
            start: self.place(start)?,
            end: Place::default(),
            next: 0,
        });
        match kind {
            Kind::Scalar => {
                let span = self.scanner.value()?.span;
                self.pass(span.start, span.end)?;
            }
            Kind::Object => self.members(depth)?,
            Kind::Array => self.elements(depth)?,
        }
        let end = self.place(self.scanner.at())?;
        let next = u16::try_from(self.shape.nodes.len()).ok()?;
        let node = &mut self.shape.nodes[at];
        (node.end, node.next) = (end, next);
        Some(())
    }

    fn members(&mut self, depth: usize) -> Option<()> {
        let mut has_more = self.scanner.has_members()?;
        while has_more {
            let key = self.scanner.key()?;
            if key.is_escaped {
                return None;
            }
            let bytes = u16::try_from(key.span.end - key.span.start).ok()?;
            let place = self.place(key.span.start)?;
            self.value(Some((place, bytes)), depth + 1)?;
            has_more = self.scanner.has_more_members()?;
        }
        Some(())
    }

    fn elements(&mut self, depth: usize) -> Option<()> {
        let mut has_more = self.scanner.has_elements()?;
        while has_more {
            self.value(None, depth + 1)?;
            has_more = self.scanner.has_more_elements()?;
        }
        Some(())
    }

    fn place(&self, offset: usize) -> Option<Place> {
        Some(Place {
            scalars: u16::try_from(self.shape.texts.len()).ok()?,
            bytes: u16::try_from(offset - self.passed).ok()?,
        })
    }

    /// Passes a scalar, and the text in front of it.
    fn pass(&mut self, start: usize, end: usize) -> Option<()> {
        let text = self.scanner.whole_text().as_bytes();
        let literal = &text[self.passed..start];
        self.literal_bytes += literal.len();
        let texts = &mut self.shape.texts;
        if texts.len() > SCALARS_MAX || self.literal_bytes > LITERAL_BYTES_MAX {
            return None;
        }
        texts.push(literal.into());
        self.passed = end;
        Some(())
    }
}
