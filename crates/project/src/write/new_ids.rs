//! The limit on the IDs of a project. Everybody who has the token can send claims, and the IDs of accepted
//! claims stay in memory.

use std::collections::HashSet;

use idmerge_core::Resolve;

use crate::error::ProjectError;
use crate::options::Options;
use crate::write::prepare::PreparedBatch;

/// Checks that there is room for the IDs that a batch adds.
///
/// # Errors
///
/// [`ProjectError::TooManyIds`] if there is none.
pub(crate) fn check_ids(
    batch: &PreparedBatch,
    engine: &impl Resolve,
    options: &Options,
) -> Result<(), ProjectError> {
    let (ids, max_ids) = (engine.clustered_ids(), options.max_ids);
    // Usually there is room even if all of them are new.
    if ids.saturating_add(2 * batch.events.len()) <= max_ids {
        return Ok(());
    }
    let claims = batch.events.iter().filter_map(|event| batch.claim(event));
    let named = claims.flat_map(|claim| claim.ids());
    let new: HashSet<_> = named.filter(|id| !engine.is_clustered(*id)).collect();
    match new.is_empty() || ids.saturating_add(new.len()) <= max_ids {
        true => Ok(()),
        false => Err(ProjectError::TooManyIds { ids, max_ids }),
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Cluster, DistinctId, IdentityResolver, RuleBook};
    use idmerge_engines::{Engine, Model, Settings};

    use super::*;
    use crate::write::batch::{Batch, Record};
    use crate::write::prepare::prepare;

    /// An engine whose clusters are too large to be listed or counted.
    #[derive(Debug)]
    struct Large(Engine);

    #[allow(clippy::panic, reason = "a test fails by panicking")]
    impl Resolve for Large {
        fn rule_book(&self) -> RuleBook {
            self.0.rule_book()
        }

        fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
            self.0.resolve(id)
        }

        fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
            panic!("the cluster of {id} is listed");
        }

        fn is_clustered(&self, id: DistinctId<'_>) -> bool {
            self.0.is_clustered(id)
        }

        fn clustered_ids(&self) -> usize {
            self.0.clustered_ids()
        }

        fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
            panic!("all clusters are listed");
        }
    }

    fn link(user: &str, device: &str) -> String {
        format!(r#"{{"event":"A","properties":{{"$user_id":"{user}","$device_id":"{device}"}}}}"#)
    }

    fn alias(distinct_id: &str, alias: &str) -> String {
        let properties = format!(r#"{{"distinct_id":"{distinct_id}","alias":"{alias}"}}"#);
        format!(r#"{{"event":"$create_alias","properties":{properties}}}"#)
    }

    /// Checks events beside the cluster of `U` and `D`, in a project of at most four IDs.
    fn check(model: Model, events: &[String]) -> Result<(), ProjectError> {
        check_up_to(4, model, events)
    }

    fn check_up_to(max_ids: usize, model: Model, events: &[String]) -> Result<(), ProjectError> {
        let settings = Settings::of(model);
        let options = Options {
            max_ids,
            ..Options::default()
        };
        let prepared = |events: &[String]| {
            let mut batch = Batch::new("/track", 1);
            for event in events {
                batch.push(event, Record::event(Some(1), None));
            }
            prepare(
                batch,
                &settings,
                &options,
                &idmerge_store::ErasedIds::default(),
                &mut |_| Ok(()),
            )
            .unwrap()
        };
        let mut engine = settings.engine();
        let known = prepared(&[match model {
            Model::Simplified => link("U", "D"),
            _ => alias("U", "D"),
        }]);
        let claim = known.claim(&known.events[0]).unwrap();
        engine.apply(claim).unwrap();
        check_ids(&prepared(events), &Large(engine), &options)
    }

    #[test]
    fn each_new_id_of_a_batch_counts_once_and_no_cluster_is_listed() {
        let linked = ["V", "V", "U"].map(|user| link(user, "E"));
        check(Model::Simplified, &linked).unwrap();
        // In this model `$device:E` and `E` are two IDs.
        let more = [link("E", "E"), link("V", "E")];
        assert!(check(Model::Simplified, &more).is_err());
        for model in [Model::Original, Model::Legacy] {
            let aliases = [
                alias("V", "$device:E"),
                alias("$device:V", "E"),
                alias("U", "V"),
            ];
            check(model, &aliases).unwrap();
            assert!(check(model, &[alias("V", "$device:E"), alias("F", "E")]).is_err());
        }
    }

    #[test]
    fn a_batch_may_fill_the_room_with_two_new_ids_for_each_event() {
        let linked = ["A", "B", "C"].map(|id| link(id, &format!("device of {id}")));
        check_up_to(8, Model::Simplified, &linked).unwrap();
        assert!(check_up_to(7, Model::Simplified, &linked).is_err());
    }
}
