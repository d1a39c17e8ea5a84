//! The names of the fields that an adapter reads.

/// Longer names cannot be looked for.
const LENGTHS: usize = 32;

/// The names of the fields that an adapter reads. A record has many other fields, and most of them are told
/// apart by the length of their names.
#[derive(Debug)]
pub(crate) struct FieldNames<const N: usize> {
    names: [&'static str; N],
    /// For each length the names that have it, one bit each.
    of_length: [u32; LENGTHS],
}

impl<const N: usize> FieldNames<N> {
    pub(crate) const fn new(names: [&'static str; N]) -> Self {
        assert!(N <= u32::BITS as usize, "one bit for each name");
        let mut of_length = [0; LENGTHS];
        let mut index = 0;
        while index < N {
            of_length[names[index].len()] |= 1 << index;
            index += 1;
        }
        Self { names, of_length }
    }

    /// The index of a name.
    #[inline(always)]
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        let mut candidates = *self.of_length.get(name.len())?;
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

/// Whether two texts of the same length are equal. Names are short: a call of the C library takes longer.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        let (one, _) = one.as_chunks::<8>();
        let (other, _) = other.as_chunks::<8>();
        return one_end == other_end && one.iter().zip(other).all(|(one, other)| one == other);
    }
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<4>(), other.last_chunk::<4>()) {
        return one_end == other_end && one.first_chunk::<4>() == other.first_chunk::<4>();
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_2_names_of_any_length_are_compared_as_a_whole() {
        for length in 0..LENGTHS {
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
        const NAMES: FieldNames<5> = FieldNames::new(["a", "bb", "", "cc", "dd"]);
        for (index, name) in NAMES.names.iter().enumerate() {
            assert_eq!(NAMES.find(name.as_bytes()), Some(index));
        }
        for other in [
            "b",
            "ab",
            "ddd",
            &"x".repeat(31),
            &"x".repeat(32),
            &"x".repeat(100),
        ] {
            assert_eq!(NAMES.find(other.as_bytes()), None, "{other}");
        }
    }
}
