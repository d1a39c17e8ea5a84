//! The facts that an oracle of Original stores, taken from its snapshot and put back changed. So a
//! mistake can forget facts that the oracle keeps.

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{Id, IdentityResolver};

use crate::decoy::{id, snapshot_of};

/// The facts about one ID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) id: Id<'static>,
    /// The number of the cluster: the same for all its members.
    pub(crate) cluster: usize,
    pub(crate) identified: bool,
    pub(crate) alias: bool,
}

/// The facts about all IDs, oldest first.
pub(crate) fn all_known(oracle: &OriginalOracle) -> Vec<Known> {
    let bytes = snapshot_of(oracle);
    let text = str::from_utf8(&bytes).expect("a snapshot of an oracle is text");
    let (_, mut rest) = text.split_once('\n').expect("a first line");
    let mut all = Vec::new();
    // An ID may contain any text, so its length tells where it ends: `id 2:U1 0 i-`.
    while let Some(line) = rest.strip_prefix("id ") {
        let (bytes, line) = line.split_once(':').expect("a length");
        let (text, line) = line.split_at(bytes.parse().expect("a number"));
        let (facts, more) = line.split_once('\n').expect("an end of the line");
        let (place, marks) = facts.trim_start().split_once(' ').expect("two facts");
        all.push(Known {
            id: id(text),
            cluster: place.parse().expect("a number"),
            identified: marks.starts_with('i'),
            alias: marks.ends_with('a'),
        });
        rest = more;
    }
    all
}

/// The facts about an ID.
pub(crate) fn known(oracle: &OriginalOracle, id: Id<'_>) -> Option<Known> {
    all_known(oracle).into_iter().find(|known| known.id == id)
}

/// The oldest identified member of the cluster of an ID.
pub(crate) fn holder(oracle: &OriginalOracle, id: Id<'_>) -> Option<Id<'static>> {
    let cluster = known(oracle, id)?.cluster;
    let mut all = all_known(oracle).into_iter();
    let holder = all.find(|known| known.cluster == cluster && known.identified)?;
    Some(holder.id)
}

/// Changes the facts about each ID.
pub(crate) fn change_each(oracle: &mut OriginalOracle, change: impl FnMut(&mut Known)) {
    change_all(oracle, |all| all.iter_mut().for_each(change));
}

/// Changes the facts. The order of the IDs is their age.
pub(crate) fn change_all(oracle: &mut OriginalOracle, change: impl FnOnce(&mut Vec<Known>)) {
    let mut all = all_known(oracle);
    change(&mut all);
    let mut text = "idmerge-oracle 1 original\n".to_owned();
    for known in &all {
        let mut places = all.iter().map(|other| other.cluster);
        let place = places.position(|cluster| cluster == known.cluster);
        let identified = if known.identified { 'i' } else { '-' };
        let alias = if known.alias { 'a' } else { '-' };
        text += &format!(
            "id {}:{} {} {identified}{alias}\n",
            known.id.text().len(),
            known.id,
            place.unwrap_or_default(),
        );
    }
    // FNV-1a, like the oracle.
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    text += &format!("end {sum:016x}\n");
    oracle
        .read_snapshot(&mut text.as_bytes())
        .expect("the facts do not contradict each other");
}
