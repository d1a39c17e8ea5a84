//! What a store answers, whether it is open for writing or for reading.

/// Implements `Resolve` for a store with a field `state`, by the overlay of that.
macro_rules! answers_by_overlay {
    ($store:ident) => {
        const _: () = {
            use std::sync::Arc;

            use idmerge_core::{
                Attribution, Cluster, ConcurrentReader, DistinctId, IdentityResolver, Resolve,
                RuleBook,
            };

            #[deny(
                clippy::missing_trait_methods,
                reason = "a method not forwarded is a method lost"
            )]
            impl<R: IdentityResolver> Resolve for $store<R> {
                fn rule_book(&self) -> RuleBook {
                    self.state.overlay.any().rule_book()
                }

                fn attribution(&self) -> Attribution {
                    self.state.overlay.any().attribution()
                }

                #[inline]
                fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
                    self.state.overlay.resolve(id)
                }

                #[inline]
                fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
                    self.state.overlay.resolve_batch(ids);
                }

                fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
                    self.state.overlay.cluster(id)
                }

                fn cluster_len(&self, id: DistinctId<'_>) -> usize {
                    self.state.overlay.cluster_len(id)
                }

                fn is_clustered(&self, id: DistinctId<'_>) -> bool {
                    self.state.overlay.is_clustered(id)
                }

                fn erased_with<'a>(
                    &'a self,
                    id: DistinctId<'a>,
                ) -> Box<dyn Iterator<Item = DistinctId<'a>> + 'a> {
                    self.state.overlay.erased_with(id)
                }

                fn clustered_ids(&self) -> usize {
                    self.state.overlay.clustered_ids()
                }

                fn members_after<'a>(
                    &'a self,
                    id: DistinctId<'a>,
                    after: Option<DistinctId<'_>>,
                    limit: usize,
                ) -> Option<Vec<DistinctId<'a>>> {
                    self.state.overlay.members_after(id, after, limit)
                }

                fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
                    self.state.overlay.clusters()
                }

                fn cluster_parts(
                    &self,
                    members_max: usize,
                ) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
                    self.state.overlay.cluster_parts(members_max)
                }

                /// That of the engine; `None` while some IDs are resolved by another one, after a
                /// [retraction](crate::Durable::retract).
                fn concurrent_reader(&self) -> Option<&Arc<dyn ConcurrentReader>> {
                    self.state.overlay.whole()?.concurrent_reader()
                }
            }
        };
    };
}

pub(crate) use answers_by_overlay;
