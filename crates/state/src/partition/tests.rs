//! Tests of partitions.

use super::*;

/// `a` and `b` are in one cluster, `c` and `d` in another; `e` is alone.
fn partition() -> (Partition<char>, [Found; 5]) {
    let mut ids = Partition::default();
    let mut enter = |text, other| {
        let probe = ids.probe(Id::new(text).unwrap());
        let found = ids.enter(&probe, other);
        *ids.data_mut(found.number) = text.chars().next().unwrap();
        found
    };
    let (a, c) = (enter("a", None), enter("c", None));
    let found = [
        a,
        enter("b", Some(a)),
        c,
        enter("d", Some(c)),
        enter("e", None),
    ];
    (ids, found)
}

fn texts(ids: &Partition<char>, numbers: impl IntoIterator<Item = u32>) -> String {
    let texts = numbers.into_iter().map(|number| *ids.data(number));
    texts.collect()
}

#[test]
fn a_cluster_has_the_canonical_id_that_it_is_given() {
    let (mut ids, [a, b, _, d, e]) = partition();
    assert_eq!(ids.canonical(b), a.number);
    ids.set_canonical(b);
    assert_eq!(ids.canonical(a), b.number);
    let owner = ids.join(a, d, d.number);
    assert_eq!((ids.cluster_ids(ids.found(b.number)), owner), (4, a.owner));
    assert_eq!(ids.canonical(ids.found(b.number)), d.number);
    assert_eq!(ids.canonical(e), e.number);
}

#[test]
fn the_smaller_cluster_gets_the_label_and_a_free_label_is_used_again() {
    let (mut ids, [a, _, _, _, e]) = partition();
    assert_eq!(ids.join(e, a, e.number), a.owner);
    let f = ids.enter(&ids.probe(Id::new("f").unwrap()), None);
    assert_eq!(f.owner, e.owner);
    assert_eq!((ids.cluster_ids(f), ids.canonical(f)), (1, f.number));
}

#[test]
fn a_label_that_a_reader_may_have_is_not_used_again() {
    let (mut ids, [a, _, _, _, e]) = partition();
    let reader = ids.concurrent_reader().clone();
    ids.join(e, a, e.number);
    let f = ids.enter(&ids.probe(Id::new("f").unwrap()), None);
    // A reader that has found the label of `e` before still comes to its cluster.
    assert_ne!(f.owner, e.owner);
    assert_eq!(ids.canonical(e), e.number);
    for (id, canonical) in [("a", "e"), ("b", "e"), ("f", "f"), ("g", "g")] {
        let id = DistinctId::plain(Id::new(id).unwrap());
        reader.resolve(&id, &mut |found| assert_eq!(*found, *canonical));
    }
}

/// Otherwise a thread that resolves `a` would never get an answer.
#[test]
fn what_a_reader_would_look_for_without_end_panics() {
    let panics = |change: fn(&mut Partition<char>, [Found; 5])| {
        let (mut ids, found) = partition();
        let change = std::panic::AssertUnwindSafe(|| change(&mut ids, found));
        std::panic::catch_unwind(change).is_err()
    };
    assert!(panics(
        |ids, [a, ..]| ids.set_canonical(Found { number: 5, ..a })
    ));
    assert!(panics(|ids, [a, _, c, ..]| {
        ids.join(a, c, 5);
    }));
    assert!(panics(|ids, [a, b, ..]| {
        ids.join(a, b, a.number);
    }));
}

#[test]
fn members_are_given_in_the_order_of_their_places() {
    let (mut ids, [a, _, c, ..]) = partition();
    let cluster = Found {
        owner: ids.join(a, c, 0),
        ..a
    };
    let backwards = |number| Some(9 - number);
    let all = ids.first_members(cluster, usize::MAX, backwards);
    assert_eq!(texts(&ids, all), "dbca");
    assert_eq!(texts(&ids, ids.first_members(cluster, 2, backwards)), "db");
    assert_eq!(texts(&ids, ids.first_members(cluster, 0, backwards)), "");
    let odd = |number| (number % 2 == 1).then_some(number);
    assert_eq!(texts(&ids, ids.first_members(cluster, 9, odd)), "cd");
}

#[test]
fn each_cluster_is_given_once_in_the_order_that_is_asked_for() {
    let (ids, _) = partition();
    let first = |numbers: &[u32]| {
        let first = ids.first_of_clusters(numbers.iter().copied());
        texts(&ids, first.map(|found| found.number))
    };
    // By number: a, c, b, d, e.
    assert_eq!(first(&[0, 1, 2, 3, 4]), "ace");
    assert_eq!(first(&[4, 3, 2]), "edb");
}
