//! The names of the fields that an adapter reads.

use idmerge_events::Key;

/// How many slots the names are in.
const SLOTS: usize = 64;

/// The names of the fields that an adapter reads. A record has many other fields, and most of them are told
/// apart by their slots.
#[derive(Debug)]
pub(crate) struct FieldNames<'n, const N: usize> {
    names: [&'n str; N],
    /// For each slot the names that have it, one bit each.
    of_slot: [u32; SLOTS],
    are_static: bool,
}

impl<'n, const N: usize> FieldNames<'n, N> {
    /// Names for a static, whose address tells it from others. Those that the caller chooses are no static.
    pub(crate) const fn new(names: [&'n str; N]) -> Self {
        let mut all = [None; N];
        let mut index = 0;
        while index < N {
            all[index] = Some(names[index]);
            index += 1;
        }
        let mut names = Self::of_some(all);
        names.are_static = true;
        names
    }

    /// The names that are there. An index without a name is never found.
    pub(crate) const fn of_some(some: [Option<&'n str>; N]) -> Self {
        assert!(N <= u32::BITS as usize, "one bit for each name");
        let (mut names, mut of_slot) = ([""; N], [0; SLOTS]);
        let mut index = 0;
        while index < N {
            if let Some(name) = some[index] {
                names[index] = name;
                of_slot[slot(name.as_bytes())] |= 1 << index;
            }
            index += 1;
        }
        Self {
            names,
            of_slot,
            are_static: false,
        }
    }

    /// Whether they are a static.
    #[inline(always)]
    pub(crate) fn are_static(&self) -> bool {
        self.are_static
    }

    /// The index of the name that a key is.
    #[inline(always)]
    pub(crate) fn of_key(&self, key: Key<'_>) -> Option<usize> {
        match key.plain() {
            Some(name) => self.find(name),
            None => self.find(key.json().string()?.as_bytes()),
        }
    }

    /// The index of a name: the first one, if it is there several times.
    #[inline(always)]
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        let mut candidates = self.of_slot[slot(name)];
        while candidates != 0 {
            let index = candidates.trailing_zeros() as usize;
            if is_same(self.names[index].as_bytes(), name) {
                return Some(index);
            }
            candidates &= candidates - 1;
        }
        None
    }
}

/// The slot of a name, by its length, its first and its last byte. The factors give most names of a product a slot of
/// their own.
#[inline(always)]
const fn slot(name: &[u8]) -> usize {
    let ends = match name {
        [] => 0,
        [first, .., last] => *first as usize * 13 + *last as usize * 23,
        [only] => *only as usize * 36,
    };
    (name.len() * 7 + ends) % SLOTS
}

/// Whether two texts are equal. Names are short: a call of the C library takes longer.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        return one_end == other_end
            && one.first_chunk::<8>() == other.first_chunk::<8>()
            && (one.len() <= 16 || one == other);
    }
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<4>(), other.last_chunk::<4>()) {
        return one_end == other_end && one.first_chunk::<4>() == other.first_chunk::<4>();
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// Whether a key is this name.
#[inline]
pub(crate) fn is_key(key: Key<'_>, name: &str) -> bool {
    match key.plain() {
        Some(plain) => is_same(plain, name.as_bytes()),
        None => key.json().string().as_deref() == Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_2_a_missing_name_is_not_found_and_of_two_the_first() {
        let names = FieldNames::of_some([None, Some("a"), Some(""), Some("a")]);
        assert_eq!(
            [b"a", &b""[..]].map(|name| names.find(name)),
            [Some(1), Some(2)]
        );
        assert_eq!(FieldNames::of_some([None]).find(b""), None);
    }

    #[test]
    fn a_2_names_of_any_length_are_compared_as_a_whole() {
        for length in 0..40 {
            let mut other = vec![b'n'; length];
            let one = other.clone();
            assert!(is_same(&one, &other));
            for at in 0..length {
                other[at] = b'N';
                assert!(!is_same(&one, &other), "{at} of {length}");
                other[at] = b'n';
            }
        }
    }

    #[test]
    fn a_2_each_name_is_found_and_no_other_one() {
        let long = ["x", "y", "z"].map(|last| "x".repeat(31) + last);
        let names = ["a", "bb", "", "cc", "dd", &long[0], &long[1]];
        let names = FieldNames::new(names);
        for (index, name) in names.names.iter().enumerate() {
            assert_eq!(names.find(name.as_bytes()), Some(index));
        }
        for other in [
            "b",
            "ab",
            "ddd",
            &"x".repeat(31),
            &long[2],
            &"x".repeat(100),
        ] {
            assert_eq!(names.find(other.as_bytes()), None, "{other}");
        }
    }
}
