//! The engines as rows.

use idmerge_core::{Claim, DistinctId, Id, IdBuffer, IdentityResolver, Outcome};
use idmerge_original::Original;
use idmerge_simplified::Simplified;

use crate::inputs::ids::Spelling;
use crate::inputs::links::{Link, Links, Texts};
use crate::rows::Row;

/// The number of claims or IDs in a batch: enough to hide the cost of the call, and few enough to stay
/// in the nearest caches.
pub const BATCH: usize = 512;

/// An engine, and the claim with which its rule book links a device to a user.
pub trait LinkEngine: IdentityResolver + Default {
    /// The claim of a link.
    fn claim<'a>(link: &Link<'a>) -> Claim<'a>;

    /// The distinct_id of a device.
    fn distinct_id(device: &str) -> DistinctId<'_>;
}

impl LinkEngine for Simplified {
    fn claim<'a>(link: &Link<'a>) -> Claim<'a> {
        Claim::Link {
            device: id(link.device),
            user: id(link.user),
        }
    }

    fn distinct_id(device: &str) -> DistinctId<'_> {
        DistinctId::device(id(device))
    }
}

impl LinkEngine for Original {
    /// Three devices arrive by `$identify`, and the last by `$merge`: both kinds of claim have a share,
    /// and the oldest identified ID (rule O-15) is that of the user.
    fn claim<'a>(link: &Link<'a>) -> Claim<'a> {
        let (user, device) = (id(link.user), id(link.device));
        // `$identify` accepts no other form of anonymous ID (rule O-8).
        if link.is_last || link.spelling != Spelling::Uuid {
            Claim::Merge {
                first: user,
                second: device,
            }
        } else {
            Claim::Identify {
                identified: user,
                anon: device,
            }
        }
    }

    fn distinct_id(device: &str) -> DistinctId<'_> {
        DistinctId::plain(id(device))
    }
}

/// An engine as a row. `Id::new` is part of the time.
#[derive(Debug, Default)]
pub struct EngineRow<E> {
    /// The engine.
    pub engine: E,
}

impl<E: LinkEngine> Row for EngineRow<E> {
    fn apply(&mut self, links: &Links) {
        for link in links.iter() {
            match self.engine.apply(E::claim(&link)) {
                Ok(outcome) => assert_eq!(outcome, Outcome::Merged),
                Err(error) => unreachable!("the engine has room: {error}"),
            }
        }
    }

    fn apply_batch(&mut self, links: &Links) -> bool {
        let mut claims = Vec::with_capacity(BATCH);
        let mut links = links.iter();
        loop {
            claims.clear();
            claims.extend(links.by_ref().take(BATCH).map(|link| E::claim(&link)));
            if claims.is_empty() {
                return true;
            }
            let merged = &mut |outcome: Outcome<'_>| assert_eq!(outcome, Outcome::Merged);
            if let Err(error) = self.engine.apply_batch(&claims, merged) {
                unreachable!("the engine has room: {error}");
            }
        }
    }

    fn resolve(&mut self, ids: &Texts, answer: &mut dyn FnMut(&str)) {
        let mut buffer = IdBuffer::new();
        for id in ids.iter() {
            let canonical = self.engine.resolve(E::distinct_id(id));
            answer(canonical.id().text_in(&mut buffer));
        }
    }

    fn resolve_batch(&mut self, ids: &Texts, answer: &mut dyn FnMut(&str)) -> bool {
        let mut buffer = IdBuffer::new();
        let mut batch = Vec::with_capacity(BATCH);
        let mut ids = ids.iter();
        loop {
            batch.clear();
            batch.extend(ids.by_ref().take(BATCH).map(E::distinct_id));
            if batch.is_empty() {
                return true;
            }
            self.engine.resolve_batch(&mut batch);
            for canonical in &batch {
                answer(canonical.id().text_in(&mut buffer));
            }
        }
    }
}

fn id(text: &str) -> Id<'_> {
    match Id::new(text) {
        Ok(id) => id,
        Err(error) => unreachable!("{error}"),
    }
}
