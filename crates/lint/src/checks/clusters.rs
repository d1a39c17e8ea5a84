//! Mistakes that clusters show: nearly full ones, and those without a user.

use foldhash::HashMap;
use idmerge_core::{DistinctId, RuleBook};
use idmerge_engines::NEAR_CAP_PERCENT;

use super::Checks;
use crate::fold::{Cause, TurnedDown};
use crate::kind::Kind;
use crate::report::{Evidence, Example};

/// A cluster that is nearly full, or without a user.
struct Found {
    /// The number of its canonical ID.
    canonical: u32,
    ids: u64,
    events: u64,
    full_in_ms: Option<i64>,
}

impl Checks<'_> {
    pub(super) fn clusters(&mut self) {
        if self.rule_book == RuleBook::Simplified {
            // There each cluster has a user, and any number of devices (S-10).
            return;
        }
        let limit = self.lint.settings.max_cluster_ids().map(u64::from);
        let over = self.over_cap();
        let (mut near, mut full, mut anonymous) = (Vec::new(), Vec::new(), Vec::new());
        let lint = &*self.lint;
        for cluster in lint.engine.clusters() {
            let Some(canonical) = lint.ids.find(cluster.canonical.id()) else {
                continue;
            };
            let members = cluster.members.iter();
            let members: Vec<u32> = members.filter_map(|id| lint.ids.find(id.id())).collect();
            let ids = cluster.members.len() as u64;
            let is_near = limit.is_some_and(|limit| ids * 100 >= limit * NEAR_CAP_PERCENT);
            let is_over = over.contains_key(&canonical);
            let is_anonymous = members
                .iter()
                .all(|member| lint.ids.row(*member).kind.is_anonymous());
            if !is_near && !is_over && !is_anonymous {
                continue;
            }
            let found = Found {
                canonical,
                ids,
                events: members
                    .iter()
                    .map(|member| lint.ids.row(*member).events)
                    .sum(),
                full_in_ms: limit.and_then(|limit| self.full_in_ms(&members, limit)),
            };
            if is_over {
                full.push((found, members));
            } else if is_near {
                near.push((found, members));
            } else {
                anonymous.push((found, Vec::new()));
            }
        }
        for (_, members) in near.iter().chain(&full) {
            members.iter().for_each(|member| self.report(*member));
        }
        let only = |found: Vec<(Found, Vec<u32>)>| found.into_iter().map(|(found, _)| found);
        self.found_clusters(Kind::ClusterNearCap, only(near).collect(), limit, &over);
        self.found_clusters(Kind::ClusterOverCap, only(full).collect(), limit, &over);
        self.found_clusters(
            Kind::AnonymousCluster,
            only(anonymous).collect(),
            None,
            &over,
        );
    }

    /// The claims that full clusters had no room for, by the canonical ID of the cluster.
    fn over_cap(&self) -> HashMap<u32, TurnedDown> {
        let mut over: HashMap<u32, TurnedDown> = HashMap::default();
        let rejected = self.lint.rejected.iter();
        for ((_, number), found) in rejected.filter(|((cause, _), _)| *cause == Cause::ManyIds) {
            let id = DistinctId::plain(self.lint.ids.id(*number));
            let canonical = self.lint.engine.resolve(id).id();
            let canonical = self.lint.ids.find(canonical).unwrap_or(*number);
            let all = over.entry(canonical).or_insert(TurnedDown {
                events: 0,
                ..*found
            });
            all.events += found.events;
            if found.first.at < all.first.at {
                all.first = found.first;
            }
        }
        over
    }

    /// The time from the last ID that came into a cluster until it is full, if it grows as it did in the later
    /// half of its IDs. `None` if that has no duration, or if it is full.
    fn full_in_ms(&self, members: &[u32], limit: u64) -> Option<i64> {
        let joined = members
            .iter()
            .map(|member| self.lint.ids.row(*member).joined_ms);
        let mut joined: Vec<i64> = joined.filter(|joined_ms| *joined_ms != i64::MIN).collect();
        joined.sort_unstable();
        let room = i64::try_from(limit.checked_sub(members.len() as u64)?).ok()?;
        let (middle, last) = (joined.get(joined.len() / 2)?, joined.last()?);
        let came = i64::try_from(joined.len() - 1 - joined.len() / 2).ok()?;
        let took_ms = last.checked_sub(*middle)?;
        if room == 0 || came == 0 || took_ms == 0 {
            return None;
        }
        Some(took_ms.checked_mul(room)? / came)
    }

    fn found_clusters(
        &mut self,
        kind: Kind,
        found: Vec<Found>,
        limit: Option<u64>,
        over: &HashMap<u32, TurnedDown>,
    ) {
        let mut gathered = self.gathered(kind);
        for (number, cluster) in (0..).zip(&found) {
            let rejected = over.get(&cluster.canonical).map(|over| over.events);
            gathered.add(number, rejected.unwrap_or(cluster.events));
        }
        let ids = &self.lint.ids;
        let users = (kind != Kind::AnonymousCluster).then_some(found.len() as u64);
        let finding = gathered.finish(users, |number, events| {
            let cluster = &found[number as usize];
            let row = ids.row(cluster.canonical);
            let mut what = match limit {
                Some(limit) => format!("{} of {limit} IDs", cluster.ids),
                None => format!("{} IDs", cluster.ids),
            };
            let mut shown: Vec<Evidence> = Vec::new();
            if let Some(over) = over.get(&cluster.canonical) {
                what = format!("{what}, {} rejected", super::counted(over.events, "claim"));
                shown.push(over.first);
            } else {
                shown.extend(row.first_event());
            }
            Example {
                id: ids.text(cluster.canonical),
                what,
                events,
                evidence: shown,
                full_in_ms: cluster.full_in_ms,
            }
        });
        self.findings.extend(finding);
    }
}
