//! The filters of all runs, in a form in which one lookup asks 64 of them.
//!
//! All filters have the same size, so a fingerprint has the same places in each. For each place there is a word
//! with the bits that up to 64 filters have there. The filters that have a fingerprint are then the bits
//! that all words of its places have in common: a lookup reads [`FINGERPRINT_BITS`] words for 64 filters,
//! and not a line of each.

use super::filter::{FILTER_BITS, FINGERPRINT_BITS, Filter, TimeRange, places_of};

/// The most filters in a group: the bits of a word.
const GROUP_FILTERS: usize = 64;
/// How many filters are added to a group together. A table for fewer would take more memory than they do.
const ADDED_FILTERS: usize = 4;

/// Filters, in the order in which they were added.
#[derive(Default)]
pub(super) struct Filters {
    groups: Vec<Group>,
    /// The range of times of each filter in a group.
    times: Vec<TimeRange>,
    /// The filters after them.
    last: Vec<Filter>,
}

impl Filters {
    pub(super) fn push(&mut self, filter: Filter) {
        self.last.push(filter);
        if self.last.len() < ADDED_FILTERS {
            return;
        }
        for filter in self.last.drain(..) {
            if self.times.len().is_multiple_of(GROUP_FILTERS) {
                self.groups.push(Group::new());
            }
            if let Some(group) = self.groups.last_mut() {
                group.push(&filter);
            }
            self.times.push(filter.times);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.times.len() + self.last.len()
    }

    /// Calls `visit` with the place of each filter that may have the event.
    pub(super) fn find(&self, fingerprint: u128, time_ms: i64, visit: &mut impl FnMut(usize)) {
        let places = places_of(fingerprint);
        for (number, group) in self.groups.iter().enumerate() {
            if !group.times.contains(time_ms) {
                continue;
            }
            let mut found = group.find(&places);
            while found != 0 {
                let filter = number * GROUP_FILTERS + found.trailing_zeros() as usize;
                if self.times[filter].contains(time_ms) {
                    visit(filter);
                }
                found &= found - 1;
            }
        }
        for (number, filter) in self.last.iter().enumerate() {
            if filter.times.contains(time_ms) && filter.may_contain(fingerprint) {
                visit(self.times.len() + number);
            }
        }
    }
}

/// Up to [`GROUP_FILTERS`] filters.
struct Group {
    count: usize,
    /// The range of the times of all filters.
    times: TimeRange,
    /// The length of a word in bytes. It doubles as filters are added, so that a few filters do not take the
    /// memory of 64.
    width: usize,
    /// By place: a word with the bits of the filters, the first filter in the lowest bit.
    words: Vec<u8>,
}

impl Group {
    fn new() -> Self {
        Self {
            count: 0,
            times: TimeRange::EMPTY,
            width: 1,
            words: vec![0; FILTER_BITS],
        }
    }

    fn push(&mut self, filter: &Filter) {
        if self.count == 8 * self.width {
            self.widen();
        }
        let (byte, bit) = (self.count / 8, 1 << (self.count % 8));
        filter.each_place(|place| self.words[place * self.width + byte] |= bit);
        self.count += 1;
        self.times.add(filter.times);
    }

    fn widen(&mut self) {
        let mut words = vec![0; 2 * self.words.len()];
        let wide = words.chunks_exact_mut(2 * self.width);
        for (wide, word) in wide.zip(self.words.chunks_exact(self.width)) {
            wide[..word.len()].copy_from_slice(word);
        }
        self.words = words;
        self.width *= 2;
    }

    /// A bit for each filter that has all these places.
    fn find(&self, places: &[usize; FINGERPRINT_BITS]) -> u64 {
        match self.width {
            1 => self.common(places, |&[byte]: &[u8; 1]| byte.into()),
            2 => self.common(places, |word| u16::from_le_bytes(*word).into()),
            4 => self.common(places, |word| u32::from_le_bytes(*word).into()),
            _ => self.common(places, |word| u64::from_le_bytes(*word)),
        }
    }

    fn common<const WIDTH: usize>(
        &self,
        places: &[usize; FINGERPRINT_BITS],
        word: impl Fn(&[u8; WIDTH]) -> u64,
    ) -> u64 {
        let (words, _) = self.words.as_chunks();
        places
            .iter()
            .fold(u64::MAX, |common, &place| common & word(&words[place]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::fingerprints;
    use super::*;

    #[test]
    fn the_filters_that_may_have_an_event_are_those_that_say_so_alone() {
        let mut all = Filters::default();
        let mut alone = Vec::new();
        for (number, at) in (0..2 * GROUP_FILTERS as u128 + 3).zip(0_i64..) {
            let times = TimeRange::new(at % 7, 100 - at % 11);
            let filter = Filter::new(&fingerprints(number * 600, 900), times);
            all.push(filter.clone());
            alone.push(filter);
            if ![1, 3, 4, 7, 8, 12, 17, 36, 64, 65, 68, 131].contains(&alone.len()) {
                continue;
            }
            assert_eq!(all.len(), alone.len());
            for (time_ms, fingerprint) in (-5..105).cycle().zip(fingerprints(number * 500, 1_000)) {
                let wanted = (0..alone.len()).filter(|&at| {
                    alone[at].times.contains(time_ms) && alone[at].may_contain(fingerprint)
                });
                let wanted: Vec<usize> = wanted.collect();
                let mut found = Vec::new();
                all.find(fingerprint, time_ms, &mut |filter| found.push(filter));
                assert_eq!(found, wanted);
            }
        }
    }
}
