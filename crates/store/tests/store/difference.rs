//! What a comparison of two engines counts as one user.

use idmerge_core::{Claim, Id, IdentityResolver as _};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::Difference;

#[test]
fn o_1_an_id_with_a_cluster_is_not_looked_up_as_a_device() {
    let [phone, ann, bob] = ["phone", "ann", "bob"].map(|text| Id::new(text).unwrap());
    // In Simplified `ann` is a user, and some device has the same text as its ID.
    let mut simplified = Simplified::default();
    for (device, user) in [(phone, ann), (ann, bob)] {
        simplified.apply(Claim::Link { device, user }).unwrap();
    }
    let mut original = Original::default();
    let (first, second) = (phone, ann);
    original.apply(Claim::Merge { first, second }).unwrap();
    let difference = Difference::between(&original, &simplified, 3);
    assert_eq!((difference.split, difference.split_examples.len()), (0, 0));
}
