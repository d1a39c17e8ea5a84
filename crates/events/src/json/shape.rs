//! Shapes of JSON texts: what two records of one kind have in common.
//!
//! Most records of a stream differ from an earlier one only in their scalars. The text between the scalars
//! is then the same, and the scalars alone have to be found. Where each key and each container is follows from that.

mod known;
mod learn;
mod literal;
mod node;
mod reader;
mod scalar;
mod trie;

pub use known::Shapes;
pub use reader::ShapedReader;
