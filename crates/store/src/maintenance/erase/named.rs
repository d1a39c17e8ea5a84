//! [`NamedIds`]: the IDs that an erasure erases.

use std::collections::HashSet;

use idmerge_core::{AsDistinctId, Claim, DistinctId, DistinctIdBuf, IdForm, Resolve, RuleBook};

use crate::durable::erased::named_ids;
use crate::log::entry::own;

/// The IDs that an erasure erases: the clusters of the IDs that it names, as they are now (E-1).
pub struct NamedIds {
    ids: HashSet<DistinctIdBuf>,
    rule_book: RuleBook,
}

impl NamedIds {
    pub(crate) fn of(state: &impl Resolve, named: &[DistinctIdBuf]) -> Self {
        let rule_book = state.rule_book();
        let mut ids = HashSet::new();
        for named in named {
            let named = own(named.as_id(), rule_book);
            ids.extend(state.erased_with(named).map(DistinctIdBuf::from));
        }
        Self { ids, rule_book }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// How many of them are devices. If the model does not know, those with the form of a UUID.
    pub(crate) fn devices(&self) -> u64 {
        let is_device = |id: &&DistinctIdBuf| match self.rule_book.has_device_namespace() {
            true => id.as_id().is_device(),
            false => matches!(id.as_id().id().form(), IdForm::Uuid(_)),
        };
        self.ids.iter().filter(is_device).count() as u64
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = DistinctId<'_>> {
        self.ids.iter().map(DistinctIdBuf::as_id)
    }

    /// Whether an ID is erased.
    pub fn has(&self, id: DistinctId<'_>) -> bool {
        let id = own(id, self.rule_book);
        self.ids.contains(&id as &dyn AsDistinctId)
    }

    /// Whether a claim names an ID that is erased.
    pub(crate) fn has_named(&self, claim: Claim<'_>) -> bool {
        let ids = named_ids(claim, Some(self.rule_book));
        ids.into_iter().flatten().any(|id| self.has(id))
    }

    /// Whether a text that a person wrote has an erased ID as a word, in any case.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let is_word = |from: usize, word: &str| {
            let is_part = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
            let before = text[..from].chars().next_back();
            let after = text[from + word.len()..].chars().next();
            !is_part(before) && !is_part(after)
        };
        self.iter().any(|id| {
            let word = id.id().text().to_lowercase();
            text.match_indices(&word)
                .any(|(from, _)| is_word(from, &word))
        })
    }
}

impl std::fmt::Debug for NamedIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedIds")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
