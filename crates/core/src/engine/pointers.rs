//! A pointer to what resolves resolves, and a pointer to an engine is an engine.

use std::io;
use std::sync::Arc;

use super::{Cluster, ConcurrentReader, EngineError, IdentityResolver, Resolve, SnapshotError};
use crate::{
    Attribution, Claim, DistinctId, Event, ImageSink, ImageSource, InvalidEvent, Outcome, Reading,
    RuleBook,
};

/// Forwards `Resolve` through a pointer.
macro_rules! forward_resolve {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods, reason = "a method not forwarded is a method lost")]
        impl<R: Resolve + ?Sized> Resolve for $pointer {
            fn rule_book(&self) -> RuleBook {
                (**self).rule_book()
            }
            fn attribution(&self) -> Attribution {
                (**self).attribution()
            }
            fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
                (**self).resolve(id)
            }
            fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
                (**self).resolve_batch(ids);
            }
            fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
                (**self).cluster(id)
            }
            fn cluster_len(&self, id: DistinctId<'_>) -> usize {
                (**self).cluster_len(id)
            }
            fn is_clustered(&self, id: DistinctId<'_>) -> bool {
                (**self).is_clustered(id)
            }
            fn erased_with<'a>(
                &'a self,
                id: DistinctId<'a>,
            ) -> Box<dyn Iterator<Item = DistinctId<'a>> + 'a> {
                (**self).erased_with(id)
            }
            fn clustered_ids(&self) -> usize {
                (**self).clustered_ids()
            }
            fn members_after<'a>(
                &'a self,
                id: DistinctId<'a>,
                after: Option<DistinctId<'_>>,
                limit: usize,
            ) -> Option<Vec<DistinctId<'a>>> {
                (**self).members_after(id, after, limit)
            }
            fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
                (**self).clusters()
            }
            fn cluster_parts(
                &self,
                members_max: usize,
            ) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
                (**self).cluster_parts(members_max)
            }
            fn concurrent_reader(&self) -> Option<&Arc<dyn ConcurrentReader>> {
                (**self).concurrent_reader()
            }
        }
    )*};
}

forward_resolve!(Box<R>, &mut R, &R, Arc<R>);

/// Forwards `IdentityResolver` through a pointer: a boxed or borrowed engine is an engine.
macro_rules! forward_identity_resolver {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods, reason = "a method not forwarded is a method lost")]
        impl<R: IdentityResolver + ?Sized> IdentityResolver for $pointer {
            fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
                (**self).read(event)
            }
            fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
                (**self).apply(claim)
            }
            fn apply_batch(
                &mut self,
                claims: &[Claim<'_>],
                outcome: &mut dyn FnMut(Outcome<'_>),
            ) -> Result<(), EngineError> {
                (**self).apply_batch(claims, outcome)
            }
            fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
                (**self).write_snapshot(sink)
            }
            fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
                (**self).read_snapshot(source)
            }
            fn write_image(
                &self,
                snapshot: &mut dyn io::Read,
                sink: &mut dyn ImageSink,
            ) -> Result<bool, SnapshotError> {
                (**self).write_image(snapshot, sink)
            }
            fn read_image(&mut self, image: &dyn ImageSource) -> Result<(), SnapshotError> {
                (**self).read_image(image)
            }
        }
    )*};
}

forward_identity_resolver!(Box<R>, &mut R);
