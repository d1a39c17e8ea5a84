//! [`Shape`] and [`Node`]: what is known of a text.

/// What a text has in common with others: everything but its scalars.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The text in front of each scalar, and that after the last one.
    pub(super) texts: Vec<Box<[u8]>>,
    /// Each value, before those in it.
    pub(super) nodes: Vec<Node>,
}

/// A value of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The key, with its quotation marks. An element of an array, and the whole text, have none.
    pub(super) key: Place,
    pub(super) key_bytes: u16,
    pub(super) start: Place,
    pub(super) end: Place,
    /// The node that follows this one and those in it.
    pub(super) next: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Object,
    Array,
}

/// A place in each text of a shape.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// How many scalars end before it.
    pub(super) scalars: u16,
    /// The bytes from the end of the last one of these, or from the start of the text.
    pub(super) bytes: u16,
}

impl Place {
    /// The offset in a text whose scalars end at `ends`. The first of these is 0: the start of the text.
    #[inline(always)]
    pub(super) fn offset(self, ends: &[usize]) -> usize {
        ends[usize::from(self.scalars)] + usize::from(self.bytes)
    }
}
