//! The traits of an engine, and their types.

mod concurrent_reader;
mod image;
mod pointers;
mod resolver;
mod rule_book;
mod snapshot;

pub use concurrent_reader::ConcurrentReader;
pub use image::{ImagePiece, ImageSink, ImageSource};
pub use resolver::{
    ApplyEventError, Cluster, EngineError, IdentityResolver, IdentityResolverExt, Resolve,
    ResolveExt,
};
pub use rule_book::{Attribution, RuleBook, UnknownRuleBook};
pub use snapshot::SnapshotError;
