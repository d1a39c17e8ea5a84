//! Finds the values in a JSON text. It knows nothing about events.

mod containers;
mod raw;
mod reader;
mod scanner;
mod shape;
mod special;
mod values;

pub use containers::{ContainerLimits, Excess};
pub use raw::{Pair, PairRun, RawJson, visit_members, visit_pairs};
pub use reader::{JsonReader, Key, ReadJson};
pub use shape::{ShapedReader, Shapes};
pub use special::SpecialBytes;
pub use values::{NotJson, Values};

pub(crate) use containers::{ExcessFinder, Observer};
pub(crate) use raw::{text_between_quotes, unescaped, with_key_text};
pub(crate) use scanner::{Lexeme, Scanner, Span};
pub(crate) use special::is_plain;
