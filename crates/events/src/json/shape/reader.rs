//! Reads a text whose shape is known.

use super::node::{Kind, Node};
use crate::json::reader::{Key, ReadJson};
use crate::json::scanner::{Lexeme, Span};
use crate::json::{Pair, RawJson};

/// Reads a JSON text whose shape is known, without a scan.
#[derive(Debug)]
pub struct ShapedReader<'t, 's, N = ()> {
    text: &'t str,
    nodes: &'s [Node],
    /// Where the scalars of the text end, and its start in front of them.
    ends: &'s [usize],
    notes: &'s N,
    has_escapes: bool,
    /// The value that comes next.
    at: usize,
}

impl<N> Clone for ShapedReader<'_, '_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for ShapedReader<'_, '_, N> {}

impl<'t, 's, N> ShapedReader<'t, 's, N> {
    #[inline]
    pub(super) fn new(
        text: &'t str,
        nodes: &'s [Node],
        ends: &'s [usize],
        notes: &'s N,
        has_escapes: bool,
    ) -> Self {
        Self {
            text,
            nodes,
            ends,
            notes,
            has_escapes,
            at: 0,
        }
    }

    /// Whether a scalar of the text has escapes. Keys have none.
    #[inline]
    pub(crate) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Where the value with this number is.
    #[inline(always)]
    pub(crate) fn span_of(&self, number: usize) -> Option<Span> {
        Some(self.span(self.nodes.get(number)?))
    }

    /// What was noted of the shape.
    #[inline]
    pub fn notes(&self) -> &'s N {
        self.notes
    }

    /// How many values the text has. Each has a number below that, the same in each text of the shape.
    #[inline]
    pub fn values(&self) -> usize {
        self.nodes.len()
    }

    /// The number of the value that comes next.
    #[inline]
    pub fn number(&self) -> usize {
        self.at
    }

    /// Goes to the value with this number.
    #[inline]
    pub fn go_to(&mut self, number: usize) {
        self.at = number;
    }

    /// Passes the value that comes next. Without one, nothing.
    #[inline]
    pub fn skip(&mut self) {
        if let Some(node) = self.nodes.get(self.at) {
            self.at = usize::from(node.next);
        }
    }

    /// The member of an object whose value has this number. `None` if that is no member.
    #[inline]
    pub fn pair_at(&self, number: usize) -> Option<Pair<'t>> {
        let node = self.nodes.get(number)?;
        (node.key_bytes > 0).then(|| Pair::new(self.text, self.key(node), self.span(node)))
    }

    /// The members from the first to the last of these, as they are in the text.
    #[inline]
    pub fn run(&self, first: usize, last: usize) -> Option<&'t str> {
        let (first, last) = (self.nodes.get(first)?, self.nodes.get(last)?);
        self.text
            .get(first.key.offset(self.ends)..last.end.offset(self.ends))
    }

    /// The value with this number.
    #[inline]
    pub fn value_at(&self, number: usize) -> Option<RawJson<'t>> {
        let Span { start, end } = self.span_of(number)?;
        Some(RawJson::new(self.text.get(start..end)?))
    }

    #[inline(always)]
    fn key(&self, node: &Node) -> Lexeme {
        let start = node.key.offset(self.ends);
        let end = start + usize::from(node.key_bytes);
        let span = Span { start, end };
        Lexeme {
            span,
            is_escaped: false,
        }
    }

    #[inline(always)]
    fn is_at(&self, kind: Kind) -> bool {
        self.nodes
            .get(self.at)
            .is_some_and(|node| node.kind == kind)
    }

    /// Passes the value that comes next.
    #[inline(always)]
    fn pass(&mut self) -> Option<Span> {
        let node = self.nodes.get(self.at)?;
        self.at = usize::from(node.next);
        Some(self.span(node))
    }

    #[inline(always)]
    fn span(&self, node: &Node) -> Span {
        Span {
            start: node.start.offset(self.ends),
            end: node.end.offset(self.ends),
        }
    }

    /// Visits the values in the container that comes next.
    #[inline(always)]
    fn each_in(
        &mut self,
        kind: Kind,
        mut visit: impl FnMut(&mut Self, &Node) -> Option<()>,
    ) -> Option<()> {
        let nodes = self.nodes;
        let container = nodes.get(self.at).filter(|node| node.kind == kind)?;
        self.at += 1;
        while self.at < usize::from(container.next) {
            let node = &nodes[self.at];
            visit(self, node)?;
            if self.at != usize::from(node.next) {
                return None;
            }
        }
        Some(())
    }
}

impl<'t, N> ReadJson<'t> for ShapedReader<'t, '_, N> {
    #[inline(always)]
    fn is_at_object(&mut self) -> bool {
        self.is_at(Kind::Object)
    }

    #[inline(always)]
    fn is_at_array(&mut self) -> bool {
        self.is_at(Kind::Array)
    }

    #[inline(always)]
    fn members(&mut self, mut visit: impl FnMut(&mut Self, Key<'t>) -> Option<()>) -> Option<()> {
        self.each_in(Kind::Object, |reader, node| {
            let key = Key::new(reader.text, reader.key(node));
            visit(reader, key)
        })
    }

    #[inline(always)]
    fn elements(&mut self, mut visit: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.each_in(Kind::Array, |reader, _| visit(reader))
    }

    #[inline(always)]
    fn value(&mut self) -> Option<RawJson<'t>> {
        let Span { start, end } = self.pass()?;
        Some(RawJson::new(self.text.get(start..end)?))
    }

    #[inline(always)]
    fn pair(&mut self, key: Key<'t>) -> Option<Pair<'t>> {
        let value = self.pass()?;
        Some(Pair::new(self.text, key.lexeme(), value))
    }

    #[inline(always)]
    fn within(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<RawJson<'t>> {
        let Span { start, end } = self.span(self.nodes.get(self.at)?);
        read(self)?;
        Some(RawJson::new(self.text.get(start..end)?))
    }

    #[inline]
    fn end(&mut self) -> Option<()> {
        (self.at == self.nodes.len()).then_some(())
    }
}
