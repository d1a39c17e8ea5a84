//! Orders of the claims of a component.

/// All orders of `0..len`, one after the other: Heap's algorithm, in which two claims change places each time.
pub(super) fn each_order<E>(
    len: usize,
    visit: &mut dyn FnMut(&[usize]) -> Result<(), E>,
) -> Result<(), E> {
    let mut order: Vec<usize> = (0..len).collect();
    let mut counts = vec![0; len];
    visit(&order)?;
    let mut at = 1;
    while at < len {
        if counts[at] < at {
            let other = if at % 2 == 0 { 0 } else { counts[at] };
            order.swap(other, at);
            visit(&order)?;
            counts[at] += 1;
            at = 1;
        } else {
            counts[at] = 0;
            at += 1;
        }
    }
    Ok(())
}

/// The arrival order with one claim moved directly before an earlier one.
pub(super) fn moved(len: usize, from: usize, to: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order[to..=from].rotate_right(1);
    order
}

/// Random numbers that are the same each time: `SplitMix64`.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        usize::try_from(bits % end.max(1) as u64).unwrap_or(0)
    }

    pub(super) fn shuffle(&mut self, order: &mut [usize]) {
        for at in (1..order.len()).rev() {
            order.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_order_comes_once() {
        for (len, count) in [(1, 1), (2, 2), (3, 6), (5, 120), (7, 5_040)] {
            let (mut seen, mut visits) = (BTreeSet::new(), 0);
            let visited: Result<(), ()> = each_order(len, &mut |order| {
                visits += 1;
                seen.insert(order.to_vec());
                Ok(())
            });
            assert_eq!((visited, visits, seen.len()), (Ok(()), count, count));
        }
    }

    #[test]
    fn a_claim_is_moved_before_another() {
        assert_eq!(moved(4, 3, 1), [0, 3, 1, 2]);
        assert_eq!(moved(4, 2, 0), [2, 0, 1, 3]);
    }
}
