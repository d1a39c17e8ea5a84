//! All short sequences of claims: the claims with an entry give the same states as all claims.
//!
//! `IDMERGE_SEQUENCES=5` in the environment tries longer ones.

use idmerge_core::{ClaimKind, Id, IdentityResolver};
use idmerge_original::Original;
use idmerge_simplified::Simplified;

use super::*;

/// Two IDs that `$identify` accepts as anonymous (O-8), and one that it does not.
const IDS: [&str; 3] = [
    "aaaaaaaa-0000-4000-8000-000000000000",
    "bbbbbbbb-0000-4000-8000-000000000000",
    "U",
];

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn identify<'a>(identified: &'a str, anon: &'a str) -> Claim<'a> {
    Claim::Identify {
        identified: id(identified),
        anon: id(anon),
    }
}

fn link<'a>(device: &'a str, user: &'a str) -> Claim<'a> {
    Claim::Link {
        device: id(device),
        user: id(user),
    }
}

/// Every claim of these kinds that names two of the IDs.
fn all_claims(kinds: &[ClaimKind]) -> Vec<Claim<'static>> {
    let mut claims = Vec::new();
    for &kind in kinds {
        for first in IDS {
            let others = IDS.iter().filter(|second| **second != first);
            claims.extend(others.map(|second| Claim::new(kind, [id(first), id(second)])));
        }
    }
    claims
}

/// Which of these claims get an entry.
fn logged(
    rule_book: RuleBook,
    engine: &mut dyn IdentityResolver,
    claims: &[Claim<'_>],
) -> Vec<bool> {
    let mut seen = SeenClaims::new(rule_book);
    let mut next = 1;
    let each = |claim: &Claim<'_>| {
        let is_news = seen.is_news(*claim, engine.apply(*claim).unwrap(), next);
        next += u64::from(is_news);
        is_news
    };
    claims.iter().map(each).collect()
}

/// The state after these claims.
fn state<'c>(
    fresh: &dyn Fn() -> Box<dyn IdentityResolver>,
    claims: impl Iterator<Item = Claim<'c>>,
) -> Vec<u8> {
    let mut engine = fresh();
    for claim in claims {
        engine.apply(claim).unwrap();
    }
    let mut bytes = Vec::new();
    engine.write_snapshot(&mut bytes).unwrap();
    bytes
}

/// Checks a sequence with nothing, one claim and two claims withdrawn. Returns how often.
fn check(
    rule_book: RuleBook,
    fresh: &dyn Fn() -> Box<dyn IdentityResolver>,
    claims: &[Claim<'_>],
) -> u64 {
    let logged = logged(rule_book, &mut *fresh(), claims);
    if logged.iter().all(|is_logged| *is_logged) {
        return 0;
    }
    let mut withdrawn: Vec<Vec<Claim<'_>>> = vec![Vec::new()];
    for (at, first) in claims.iter().enumerate() {
        withdrawn.extend(claims[at..].iter().map(|second| vec![*first, *second]));
    }
    let mut checks = 0;
    for withdrawn in withdrawn {
        let all = claims.iter().zip(&logged);
        let all = all.filter(|(claim, _)| !withdrawn.contains(claim));
        let entries = all.clone().filter(|(_, is_logged)| **is_logged);
        if entries.clone().count() == all.clone().count() {
            continue;
        }
        let entries = state(fresh, entries.map(|(claim, _)| *claim));
        let all = state(fresh, all.map(|(claim, _)| *claim));
        assert_eq!(entries, all, "{claims:?} without {withdrawn:?}");
        checks += 1;
    }
    checks
}

/// Checks all sequences of this length. Returns how many states were compared.
fn check_all(
    rule_book: RuleBook,
    fresh: &dyn Fn() -> Box<dyn IdentityResolver>,
    claims: &[Claim<'static>],
    length: u32,
) -> u64 {
    let sequences = claims.len().pow(length);
    let mut checks = 0;
    for number in 0..sequences {
        let mut rest = number;
        let sequence: Vec<_> = (0..length)
            .map(|_| {
                let claim = claims[rest % claims.len()];
                rest /= claims.len();
                claim
            })
            .collect();
        checks += check(rule_book, fresh, &sequence);
    }
    checks
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test program has no other way to take an option"
)]
fn length() -> u32 {
    let length = std::env::var("IDMERGE_SEQUENCES");
    length.map_or(4, |length| length.parse().unwrap())
}

const KINDS: [ClaimKind; 3] = [ClaimKind::Identify, ClaimKind::Alias, ClaimKind::Merge];

#[test]
fn lg_1_the_entries_of_all_short_sequences_are_enough_in_original() {
    let mut checks = 0;
    for (kinds, max_cluster_ids, length) in [
        (&[ClaimKind::Identify, ClaimKind::Merge][..], 500, length()),
        (&[ClaimKind::Identify, ClaimKind::Alias], 500, length()),
        (&KINDS, 2, length() - 1),
    ] {
        let fresh = || -> Box<dyn IdentityResolver> {
            Box::new(Original::new(idmerge_original::Settings {
                max_cluster_ids,
                ..idmerge_original::Settings::default()
            }))
        };
        checks += check_all(RuleBook::Original, &fresh, &all_claims(kinds), length);
    }
    println!("{checks} states");
    assert!(checks > 50_000, "{checks}");
}

#[test]
fn lg_1_the_entries_of_all_short_sequences_are_enough_in_simplified() {
    let claims = all_claims(&[ClaimKind::Link]);
    let fresh = || -> Box<dyn IdentityResolver> { Box::new(Simplified::default()) };
    let checks = check_all(RuleBook::Simplified, &fresh, &claims, length());
    println!("{checks} states");
    assert!(checks > 3_000, "{checks}");
}

/// Of a custom rule book only the laws 2 and 9 are known. Both engines keep them.
#[test]
fn the_entries_of_a_custom_rule_book_are_enough() {
    let custom = RuleBook::Custom("custom");
    let claims = all_claims(&KINDS);
    let original = || -> Box<dyn IdentityResolver> { Box::new(Original::default()) };
    assert!(check_all(custom, &original, &claims, 3) > 1_000);
    let claims = all_claims(&[ClaimKind::Link]);
    let simplified = || -> Box<dyn IdentityResolver> { Box::new(Simplified::default()) };
    assert!(check_all(custom, &simplified, &claims, 4) > 1_000);
}

#[test]
fn o_13_only_an_identify_of_several_users_is_news_again() {
    let [a, b, _] = IDS;
    let of = |claims: &[Claim<'_>]| logged(RuleBook::Original, &mut Original::default(), claims);
    // One user with two devices, and logins in turn.
    let [first, second] = [identify("U", a), identify("U", b)];
    assert_eq!(
        of(&[first, second, first, second, first]),
        [true, true, false, false, false]
    );
    // Two users of one device: once more, because the second might have joined the two users.
    let other = identify("V", a);
    assert_eq!(
        of(&[first, other, first, other, first, other]),
        [true, true, true, false, false, false]
    );
    // The mark of V is made by the repeat.
    let merge = Claim::Merge {
        first: id("U"),
        second: id("V"),
    };
    assert_eq!(
        of(&[first, other, merge, other, merge, other]),
        [true, true, true, true, false, false]
    );
}

#[test]
fn s_6_a_repeated_link_is_no_news() {
    let claims = [
        link("D", "U"),
        link("D", "V"),
        link("D", "U"),
        link("D", "V"),
    ];
    let mut engine = Simplified::default();
    let logged = logged(RuleBook::Simplified, &mut engine, &claims);
    assert_eq!(logged, [true, true, false, false]);
    let mut seen = SeenClaims::new(RuleBook::Simplified);
    assert!(seen.is_news(claims[0], Outcome::Merged, 1));
    assert!(
        seen.fingerprints.is_empty(),
        "an accepted link costs nothing"
    );
}

#[test]
fn lg_2_a_withdrawn_claim_is_news_once_more() {
    for rule_book in RuleBook::BUILT_IN {
        let mut seen = SeenClaims::new(rule_book);
        let claim = link("D", "U");
        assert!(seen.is_news(claim, Outcome::Merged, 1));
        seen.withdraw(claim);
        let mut seen = read_again(&seen);
        assert!(seen.is_news(claim, Outcome::AlreadyMerged, 3));
        assert!(!seen.is_news(claim, Outcome::AlreadyMerged, 4));
    }
}

fn read_again(seen: &SeenClaims) -> SeenClaims {
    let mut bytes = Vec::new();
    seen.write(&mut bytes).unwrap();
    let mut source = &*bytes;
    let head = Head::read(&mut source).unwrap();
    assert_eq!(head, Head::SeenClaims(source.len() as u64));
    let mut skipped = source;
    head.skip(&mut skipped).unwrap();
    assert!(skipped.is_empty());
    assert!(head.skip(&mut &source[1..]).is_err());
    let mut again = SeenClaims::new(seen.rule_book);
    again.read(&mut source).unwrap();
    assert!(source.is_empty());
    let mut bytes_again = Vec::new();
    again.write(&mut bytes_again).unwrap();
    assert_eq!(bytes_again, bytes);
    again
}

#[test]
fn a_snapshot_has_everything_that_decides() {
    let [a, b, _] = IDS;
    let claims = [
        identify("U", a),
        identify("V", a),
        identify("V", b),
        link("D", "U"),
        identify("W", "X"),
    ];
    let mut engine = Original::default();
    let mut seen = SeenClaims::new(RuleBook::Original);
    for (claim, next) in claims.into_iter().zip(1..) {
        assert!(seen.is_news(claim, engine.apply(claim).unwrap(), next));
    }
    let mut again = read_again(&seen);
    for (at, is_news) in [(0, true), (1, true), (2, false), (3, false), (4, false)] {
        let outcome = engine.apply(claims[at]).unwrap();
        assert_eq!(seen.is_news(claims[at], outcome, 6), is_news, "{at}");
        assert_eq!(again.is_news(claims[at], outcome, 6), is_news, "{at}");
    }
}

#[test]
fn a_head_that_is_not_valid_is_an_error() {
    let mut seen = SeenClaims::new(RuleBook::Original);
    let mut read = |parts: [&[u8]; 5]| {
        let length = |part: &[u8]| (part.len() as u64).to_le_bytes();
        let bytes = parts.map(|part| [&length(part), part].concat()).concat();
        seen.read(&mut &*bytes)
    };
    assert!(read([&[], &[], &[], &[9, 0, 0, 0, 8, 0, 0, 0], &[]]).is_ok());
    // A way that leads to the ID itself would never end.
    assert!(read([&[], &[], &[], &[9, 0, 0, 0, 9, 0, 0, 0], &[]]).is_err());
    assert!(read([&[1; 15], &[], &[], &[], &[]]).is_err());
    assert!(seen.read(&mut &[1; 15][..]).is_err());
    let version_1 = Head::read(&mut &2_u64.to_le_bytes()[..]).unwrap();
    assert_eq!(version_1, Head::Version1(32));
    assert!(Head::read(&mut &(u64::MAX - 1).to_le_bytes()[..]).is_err());
}

#[test]
fn the_clusters_of_a_loaded_state_are_connected() {
    let [a, b, _] = IDS;
    let mut engine = Original::default();
    for claim in [identify("U", a), identify("V", b)] {
        engine.apply(claim).unwrap();
    }
    let mut seen = SeenClaims::new(RuleBook::Original);
    seen.start_over(&engine);
    // O-11 rejects it because of a mark that is in no entry.
    let claims = [
        identify("W", a),
        Claim::Merge {
            first: id("W"),
            second: id("U"),
        },
        identify("W", a),
        identify("W", a),
    ];
    let news = claims.map(|claim| {
        let outcome = engine.apply(claim).unwrap();
        seen.is_news(claim, outcome, seen.fingerprints.len() as u64 + 1)
    });
    assert_eq!(news, [true, true, true, false]);
}
