//! Rules P-2 and P-3: the profiles of two clusters that merge.

use idmerge_core::RuleBook;

/// How a merge treats the profile that does not remain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileMerge {
    /// As the vendor does it: rules P-2 and P-3.
    #[default]
    Vendor,
    /// The profile that remains takes the properties that it lacks from the other one, which is
    /// hidden, in both models.
    Fill,
}

impl ProfileMerge {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Vendor, Self::Fill];

    /// The name, as options and configuration files spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Fill => "fill",
        }
    }

    /// The value with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}

/// One of two clusters that a claim has merged, as it was before the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Whether its canonical ID is also that of the merged cluster.
    pub is_canonical: bool,
    /// Whether the canonical ID of the merged cluster was one of its members.
    pub has_canonical: bool,
    /// Whether it had a profile.
    pub has_profile: bool,
}

/// What happens to a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is already under the canonical ID, and stays there.
    Stays,
    /// It moves to the canonical ID of the merged cluster.
    Moves,
    /// It stays under its ID, which is no longer canonical, and is not returned any more.
    Hidden,
    /// It is deleted.
    Gone,
}

/// What happens to the profiles of two clusters that a claim has merged, in the order of the sides.
/// Ignore the result of a side without a profile.
///
/// - Simplified (P-2): the profile of a device is deleted when the device is linked.
/// - Original (P-3): of two profiles, that of the new canonical ID stays and the other is hidden. A
///   single profile moves to the new canonical ID. If the new canonical ID was not canonical before,
///   the profile of its cluster counts as its own *(decided here)*.
/// - Legacy (LP-2): the profile of an alias is hidden, also if the other ID has none.
/// - Custom rule books: as Original.
///
/// ```
/// use idmerge_core::RuleBook;
/// use idmerge_profiles::{Fate, Side, after_merge};
///
/// let user = Side { is_canonical: true, has_canonical: true, has_profile: false };
/// let visitor = Side { is_canonical: false, has_canonical: false, has_profile: true };
/// assert_eq!(after_merge(RuleBook::Original, [user, visitor])[1], Fate::Moves);
/// assert_eq!(after_merge(RuleBook::Simplified, [user, visitor])[1], Fate::Gone);
/// assert_eq!(after_merge(RuleBook::Legacy, [user, visitor])[1], Fate::Hidden);
/// ```
pub fn after_merge(rule_book: RuleBook, sides: [Side; 2]) -> [Fate; 2] {
    let [first, second] = sides;
    [(first, second), (second, first)].map(|(side, other)| {
        if side.is_canonical {
            return Fate::Stays;
        }
        match rule_book {
            RuleBook::Simplified => Fate::Gone,
            RuleBook::Legacy => Fate::Hidden,
            _ if side.has_canonical || !other.has_profile => Fate::Moves,
            _ => Fate::Hidden,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(is_canonical: bool, has_canonical: bool, has_profile: bool) -> Side {
        Side {
            is_canonical,
            has_canonical,
            has_profile,
        }
    }

    #[test]
    fn p_2_the_profile_of_a_linked_device_is_deleted() {
        for has_profile in [false, true] {
            let user = side(true, true, has_profile);
            let fates = after_merge(RuleBook::Simplified, [side(false, false, true), user]);
            assert_eq!(fates, [Fate::Gone, Fate::Stays]);
        }
    }

    #[test]
    fn p_3_of_two_profiles_the_one_of_the_canonical_id_stays() {
        let fates = after_merge(
            RuleBook::Original,
            [side(true, true, true), side(false, false, true)],
        );
        assert_eq!(fates, [Fate::Stays, Fate::Hidden]);
        let fates = after_merge(
            RuleBook::Original,
            [side(false, false, true), side(true, true, true)],
        );
        assert_eq!(fates, [Fate::Hidden, Fate::Stays]);
    }

    #[test]
    fn p_3_a_single_profile_moves_to_the_canonical_id() {
        let fates = after_merge(
            RuleBook::Original,
            [side(true, true, false), side(false, false, true)],
        );
        assert_eq!(fates[1], Fate::Moves);
    }

    #[test]
    fn p_3_an_id_that_becomes_canonical_takes_the_profile_of_its_cluster() {
        let fates = after_merge(
            RuleBook::Original,
            [side(false, true, true), side(false, false, true)],
        );
        assert_eq!(fates, [Fate::Moves, Fate::Hidden]);
        let fates = after_merge(
            RuleBook::Original,
            [side(false, true, false), side(false, false, true)],
        );
        assert_eq!(fates[1], Fate::Moves);
    }
}
