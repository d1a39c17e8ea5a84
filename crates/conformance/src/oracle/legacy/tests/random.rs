//! Random streams over few IDs, and what must hold on all of them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::generate::for_all;

const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// An event about these IDs in short form, mostly an alias.
fn text() -> impl Strategy<Value = String> {
    let two = || (0..IDS.len(), 0..IDS.len()).prop_map(|(a, b)| (IDS[a], IDS[b]));
    prop_oneof![
        6 => two().prop_map(|(a, x)| format!("alias {a}->{x}")),
        2 => two().prop_map(|(a, _)| format!("View {a}")),
        1 => two().prop_map(|(a, b)| format!("$identify {a}/{b}")),
        1 => two().prop_map(|(a, b)| format!("$merge {a}+{b}")),
    ]
}

fn for_all_streams(holds: impl Fn(&[String]) -> Result<(), String>) -> Result<(), String> {
    let streams = prop::collection::vec(text(), 0..60);
    for_all(
        &streams,
        |stream| holds(stream),
        |stream| format!("after {stream:#?}"),
    )
}

/// The sets of IDs that aliases connect, each alias as a line between two IDs.
fn connected(lines: &[(String, String)]) -> Vec<BTreeSet<&str>> {
    let mut sets: Vec<BTreeSet<&str>> = IDS.map(|id| BTreeSet::from([id])).to_vec();
    for (a, x) in lines {
        let mut joined = BTreeSet::new();
        sets.retain(|set| {
            let touches = set.contains(&**a) || set.contains(&**x);
            if touches {
                joined.extend(set.iter().copied());
            }
            !touches
        });
        sets.push(joined);
    }
    sets
}

/// Follows what an ID stands for, in as many steps as there are IDs.
fn end_of(log: &[Alias], id: &str) -> Option<String> {
    let mut at = id.to_owned();
    for _ in IDS {
        match log.iter().find(|entry| entry.alias == at) {
            Some(entry) => at.clone_from(&entry.stands_for),
            None => return Some(at),
        }
    }
    None
}

#[test]
fn l_7_no_sequence_of_claims_makes_a_circle() {
    for_all_streams(|stream| {
        let mut oracle = LegacyOracle::default();
        for text in stream {
            outcome(&mut oracle, text);
            for id in IDS {
                let end = end_of(&oracle.log, id);
                if end.as_deref() != Some(root(&oracle.log, id)) {
                    return Err(format!("after {text}, {id} stands for {end:?}"));
                }
            }
        }
        Ok(())
    })
    .unwrap();
}

/// The outcome depends on two questions: do the aliases so far connect the IDs, and was A made an
/// alias before? This says L-5 to L-8 without `root`.
#[test]
fn l_5_to_l_8_say_whether_aliases_connect_the_ids() {
    for_all_streams(|stream| {
        let mut oracle = LegacyOracle::default();
        let mut lines: Vec<(String, String)> = Vec::new();
        for text in stream {
            let Some((a, x)) = text
                .strip_prefix("alias ")
                .and_then(|it| it.split_once("->"))
            else {
                continue;
            };
            let sets = connected(&lines);
            let are_one = sets.iter().any(|set| set.contains(a) && set.contains(x));
            let was_made = lines.iter().any(|(alias, _)| alias == a);
            let want = match (a == x, are_one, was_made) {
                (true, ..) => "errSameIDs",
                (_, true, _) => "AlreadyMerged",
                (_, _, true) => "errAliasAlreadyExists",
                _ => "Merged",
            };
            let got = outcome(&mut oracle, text);
            if !got.starts_with(want) {
                return Err(format!("{text}: wanted {want}, got {got}"));
            }
            if want == "Merged" {
                lines.push((a.to_owned(), x.to_owned()));
            }
        }
        the_same_clusters(&oracle, &lines)
    })
    .unwrap();
}

/// L-12: the clusters are the connected IDs, and the canonical one is the one that is no alias.
fn the_same_clusters(oracle: &LegacyOracle, lines: &[(String, String)]) -> Result<(), String> {
    let mut want: Vec<(String, BTreeSet<String>)> = Vec::new();
    for set in connected(lines) {
        let is_alias = |id: &&&str| lines.iter().any(|(alias, _)| alias == **id);
        let roots: Vec<_> = set.iter().filter(|id| !is_alias(id)).collect();
        let [root] = roots[..] else {
            return Err(format!("{set:?} has the roots {roots:?}"));
        };
        if set.len() > 1 {
            let members = set.iter().map(|id| (*id).to_owned()).collect();
            want.push(((*root).to_owned(), members));
        }
    }
    let mut got: Vec<(String, BTreeSet<String>)> = oracle
        .clusters()
        .map(|cluster| {
            let members = cluster.members.iter().map(ToString::to_string).collect();
            (cluster.canonical.to_string(), members)
        })
        .collect();
    want.sort();
    got.sort();
    if want == got {
        Ok(())
    } else {
        Err(format!("wanted the clusters {want:?}, got {got:?}"))
    }
}

/// LG-1: the log needs only the first entry of each claim, whatever its outcome. Any set of
/// withdrawn claims leaves a stream, and on every stream a claim that was made before changes nothing.
#[test]
fn lg_1_a_repeat_of_an_alias_changes_nothing() {
    for_all_streams(|stream| {
        let mut oracle = LegacyOracle::default();
        let mut made = BTreeSet::new();
        for text in stream {
            let before = snapshot_of(&oracle);
            outcome(&mut oracle, text);
            if !made.insert(text) && snapshot_of(&oracle) != before {
                return Err(format!("{text} changes the state the second time"));
            }
        }
        Ok(())
    })
    .unwrap();
}

/// L-3: the answer is the root just before the claim of the event, which is also the root just
/// after it. Later events do not count.
#[test]
fn l_3_an_answer_depends_on_the_events_before_it() {
    for_all_streams(|stream| {
        let texts: Vec<&str> = stream.iter().map(String::as_str).collect();
        let (_, answers) = after(&texts);
        for (n, text) in texts.iter().enumerate() {
            let (before, prefix) = after(&texts[..n]);
            let (just_after, _) = after(&texts[..=n]);
            let event = event(text);
            let own = before.read(&event).unwrap().distinct_id.unwrap();
            let root = before.resolve(own);
            let moved = if own == root {
                root.to_string()
            } else {
                format!("{own} => {root}")
            };
            let answer = answers[n].split(' ').filter(|word| !word.is_empty());
            let answer: Vec<_> = answer.take(moved.split(' ').count()).collect();
            if answer.join(" ") != moved || root != just_after.resolve(own) {
                return Err(format!("{text}: wanted {moved}, got {answer:?}"));
            }
            if prefix != answers[..n] {
                return Err(format!("the answers before {text} changed"));
            }
        }
        Ok(())
    })
    .unwrap();
}
