//! Decoys: engines with one mistake each. The suite must reject every decoy; otherwise it would not
//! notice the same mistake in a real engine.
//!
//! A decoy is a correct engine behind one mistake. The correct engines pass every trial, which is
//! tested here too, so a trial that rejects a decoy has found its mistake.
//!
//! `--nocapture` shows the trials that caught each decoy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it saw"
)]

mod custom;
mod decoy;
mod events;
mod legacy;
mod memory;
mod original;
mod simplified;

use idmerge_conformance::{Suite, Trial};

use decoy::{Decoy, Mistake};

const CLAIMS: &str = "oracle::claims";
const READING: &str = "oracle::reading";
const VECTORS: &str = "vector::";
const SHORT: &str = "exhaustive::";
const LAW_1: &str = "law::1-";
const IMAGE: &str = "law::1-image";
const LAW_2: &str = "law::2-";
const LAW_3: &str = "law::3-";
const LAW_4: &str = "law::4-";
const LAW_5: &str = "law::5-";
const LAW_6: &str = "law::6-";
const LAW_7: &str = "law::7-rejected";
const DAMAGED: &str = "law::7-damaged";
const DAMAGED_IMAGE: &str = "law::7-damaged-image";
const LAW_8: &str = "law::8-";
const LAW_9: &str = "law::9-";
const LAW_10: &str = "law::10-";
const MARK: &str = "law::marked-";
const BATCH: &str = "law::batch-";
const LAW_0: &str = "law::0-";
const OUTCOME: &str = "law::outcome-";
const PURE: &str = "law::reading-";

/// The table of decoys: a name, the mistake, and the trials that must catch it, by the first part of
/// their names. Each row is a test.
macro_rules! decoys {
    ($($name:ident: $mistake:path => [$($trial:expr),+ $(,)?];)*) => {
        $(
            #[test]
            fn $name() {
                must_be_caught::<$mistake>(stringify!($name), &[$($trial),+]);
            }
        )*
    };
}

decoys! {
    custom_already_merged: custom::mistakes::AlwaysAlreadyMerged => [OUTCOME];
    custom_batch_last_first: custom::mistakes::BatchLastFirst => [BATCH];
    custom_batch_resolves_all_but_last: custom::mistakes::ResolvesAllButLast => [BATCH];
    custom_canonical_is_a_number: custom::mistakes::CanonicalIsANumber => [LAW_4];
    custom_counts_rejections: custom::mistakes::CountsRejections => [LAW_7];
    custom_damaged_is_empty: custom::mistakes::DamagedIsEmpty => [DAMAGED];
    custom_first_reading_differs: custom::mistakes::FirstReadingDiffers => [PURE];
    custom_hermit: custom::mistakes::Hermit => [OUTCOME];
    custom_hides_large_clusters: custom::mistakes::HidesLargeClusters => [LAW_4];
    custom_ignores_all: custom::mistakes::IgnoresAll => [LAW_0];
    custom_last_user_wins: custom::mistakes::LastUserWins => [LAW_3];
    custom_reads_canonical: custom::mistakes::ReadsCanonical => [PURE];
    custom_reads_no_claim: custom::mistakes::ReadsNoClaim => [LAW_0];
    custom_reads_only_distinct_id: custom::mistakes::ReadsOnlyDistinctId => [LAW_10];
    custom_rejects_repetitions: custom::mistakes::RejectsRepetitions => [LAW_2];
    custom_seeded: custom::mistakes::Seeded => [LAW_1, LAW_2];
    custom_snapshot_adds_up: custom::mistakes::SnapshotAddsUp => [LAW_1];
    custom_three_persons: custom::mistakes::ThreePersons => [LAW_9];
    custom_weighs_marked: custom::mistakes::WeighsMarked => [MARK];
    legacy_accepts_second_alias: legacy::AcceptsSecondAlias => [CLAIMS];
    legacy_identify_links: legacy::IdentifyLinks => [READING];
    legacy_merge_is_of_its_second: legacy::MergeIsOfItsSecond => [READING];
    legacy_moves_the_past: legacy::MovesThePast => [VECTORS];
    legacy_rejects_cycles: legacy::RejectsCycles => [CLAIMS];
    legacy_rejects_repeats: legacy::RejectsRepeats => [CLAIMS, LAW_2];
    legacy_rejects_used_ids: legacy::RejectsUsedIds => [VECTORS];
    original_batch_answers_last_first: original::batches::AnswersLastFirst => [BATCH];
    original_batch_drops_repeats: original::batches::DropsRepeats => [BATCH];
    original_batch_resolves_all_but_last: original::batches::ResolvesAllButLast => [BATCH];
    original_batch_resolves_to_neighbour: original::batches::ResolvesToNeighbour => [BATCH];
    original_batch_weighs_against_before: original::batches::WeighsAgainstBefore => [BATCH];
    original_batch_weighs_last_first: original::batches::WeighsLastFirst => [BATCH];
    original_alias_only_once: original::checks::AliasOnlyOnce => [CLAIMS, LAW_2];
    original_alias_twice: original::checks::AliasTwice => [CLAIMS];
    original_any_anon_id: original::checks::AnyAnonId => [CLAIMS];
    original_asks_one_id_alone: original::checks::AsksOneIdAlone => [CLAIMS];
    original_assigned_before_merged: original::checks::AssignedBeforeMerged => [CLAIMS, LAW_2];
    original_form_before_same: original::checks::FormBeforeSame => [CLAIMS];
    original_guards_merge_too: original::checks::GuardsMergeToo => [CLAIMS];
    original_hermit: original::checks::Hermit => [CLAIMS, LAW_8];
    original_limit_before_alias: original::checks::LimitBeforeAlias => [CLAIMS];
    original_limit_before_assigned: original::checks::LimitBeforeAssigned => [CLAIMS];
    original_lower_case_uuids: original::checks::LowerCaseUuids => [CLAIMS];
    original_uuid_in_braces: original::checks::UuidInBraces => [VECTORS];
    original_uuid_of_any_variant: original::checks::UuidOfAnyVariant => [VECTORS];
    original_uuid_of_any_version: original::checks::UuidOfAnyVersion => [CLAIMS];
    original_uuid_without_hyphens: original::checks::UuidWithoutHyphens => [VECTORS];
    original_before_is_a_fallback: original::exports::BeforeIsAFallback => [READING, LAW_10];
    original_before_is_identified: original::exports::BeforeIsIdentified => [READING];
    original_heeds_mark_of_merge_only: original::exports::HeedsMarkOfMergeOnly => [READING, MARK];
    original_marked_is_nobodys: original::exports::MarkedIsNobodys => [READING, MARK];
    original_no_before_for_aliases: original::exports::NoBeforeForAliases => [READING, LAW_10];
    original_no_before_for_identify: original::exports::NoBeforeForIdentify => [READING, LAW_10];
    original_reads_before_with_two_prefixes: original::exports::ReadsBeforeWithTwoPrefixes => [READING];
    original_reads_invalid_before: original::exports::ReadsInvalidBefore => [READING];
    original_weighs_marked: original::exports::WeighsMarked => [READING, MARK];
    original_counts_one_cluster_twice: original::limits::CountsOneClusterTwice => [CLAIMS, LAW_2];
    original_limit_built_in: original::limits::LimitBuiltIn => [CLAIMS, LAW_5];
    original_limit_too_high: original::limits::LimitTooHigh => [CLAIMS, LAW_5];
    original_limit_too_low: original::limits::LimitTooLow => [CLAIMS];
    original_one_limit_for_all: original::limits::OneLimitForAll => [CLAIMS, LAW_9];
    original_snapshot_over_limit: original::limits::SnapshotOverLimit => [DAMAGED];
    original_forgets_identified: original::marks::ForgetsIdentified => [CLAIMS];
    original_loses_marks_on_merge: original::marks::LosesMarksOnMerge => [CLAIMS];
    original_marks_both: original::marks::MarksBoth => [CLAIMS];
    original_marks_rejected_alias: original::marks::MarksRejectedAlias => [CLAIMS, LAW_7];
    original_no_mark_on_already_merged: original::marks::NoMarkOnAlreadyMerged => [CLAIMS];
    original_rejected_gives_age: original::marks::RejectedGivesAge => [CLAIMS];
    original_repeat_makes_oldest: original::marks::RepeatMakesOldest => [CLAIMS, LAW_2];
    original_second_enters_first: original::marks::SecondEntersFirst => [CLAIMS];
    original_browser_spelling_first: original::reading::BrowserSpellingFirst => [READING];
    original_cuts_long_ids: original::reading::CutsLongIds => [READING];
    original_falls_back: original::reading::FallsBack => [READING];
    original_keeps_prefix: original::reading::KeepsPrefix => [READING, LAW_8];
    original_ordinary_merges: original::reading::OrdinaryMerges => [READING];
    original_own_is_anon: original::reading::OwnIsAnon => [READING];
    original_removes_all_prefixes: original::reading::RemovesAllPrefixes => [READING];
    original_trims_ids: original::reading::TrimsIds => [READING];
    original_user_id_first: original::reading::UserIdFirst => [READING];
    original_canonical_is_first_identified: original::showing::CanonicalIsFirstIdentified => [CLAIMS, LAW_1];
    original_canonical_is_oldest: original::showing::CanonicalIsOldest => [CLAIMS];
    original_clusters_by_text: original::showing::ClustersByText => [CLAIMS];
    original_counts_clusters: original::showing::CountsClusters => [LAW_4];
    original_knows_everybody: original::showing::KnowsEverybody => [LAW_4];
    original_counts_others: original::showing::CountsOthers => [LAW_4];
    original_counts_strangers: original::showing::CountsStrangers => [LAW_4];
    original_folds_case: original::showing::FoldsCase => [CLAIMS, LAW_9];
    original_marked_is_another: original::showing::MarkedIsAnother => [CLAIMS];
    original_members_by_text: original::showing::MembersByText => [CLAIMS];
    original_resolves_one_step: original::showing::ResolvesOneStep => [CLAIMS, LAW_4];
    original_counts_accepted: original::snapshots::CountsAccepted => [LAW_2];
    original_counts_changes: original::snapshots::CountsChanges => [SHORT];
    original_counts_rejections: original::snapshots::CountsRejections => [LAW_7];
    original_damaged_image_is_empty: original::snapshots::DamagedImageIsEmpty => [DAMAGED_IMAGE];
    original_images_change_nothing: original::snapshots::ImagesChangeNothing => [IMAGE];
    original_damaged_is_empty: original::snapshots::DamagedIsEmpty => [DAMAGED];
    original_damaged_loses_state: original::snapshots::DamagedLosesState => [DAMAGED];
    original_damaged_panics: original::snapshots::DamagedPanics => [DAMAGED];
    original_reads_past_the_end: original::snapshots::ReadsPastTheEnd => [LAW_1];
    original_seeded: original::snapshots::Seeded => [LAW_1, LAW_2];
    original_snapshot_adds_up: original::snapshots::SnapshotAddsUp => [LAW_1];
    original_snapshot_without_aliases: original::snapshots::SnapshotWithoutAliases => [LAW_1];
    simplified_batch_of_few: simplified::batches::BatchOfFew => [BATCH];
    simplified_batch_resolves_without_mark: simplified::batches::ResolvesWithoutMark => [BATCH];
    simplified_batch_sorted: simplified::batches::Sorted => [BATCH];
    simplified_before_first: simplified::exports::BeforeFirst => [READING];
    simplified_before_is_a_fallback: simplified::exports::BeforeIsAFallback => [READING];
    simplified_no_before: simplified::exports::NoBefore => [READING];
    simplified_reads_invalid_before: simplified::exports::ReadsInvalidBefore => [READING];
    simplified_weighs_marked: simplified::exports::WeighsMarked => [READING, MARK];
    simplified_hermit: simplified::linking::Hermit => [CLAIMS, LAW_8];
    simplified_knows_the_other_book: simplified::linking::KnowsTheOtherBook => [CLAIMS, LAW_9];
    simplified_last_user_wins: simplified::linking::LastUserWins => [CLAIMS, LAW_3, LAW_6, LAW_7];
    simplified_panics: simplified::linking::Panics => [CLAIMS, LAW_1];
    simplified_snapshot_says_who_was_last: simplified::linking::SnapshotSaysWhoWasLast => [SHORT];
    simplified_users_of_one_device_merge: simplified::linking::UsersOfOneDeviceMerge => [CLAIMS, LAW_1];
    simplified_blocked_built_in: simplified::reading::BlockedBuiltIn => [VECTORS];
    simplified_blocks_one_case: simplified::reading::BlocksOneCase => [READING];
    simplified_counts_characters: simplified::reading::CountsCharacters => [READING];
    simplified_distinct_id_first: simplified::reading::DistinctIdFirst => [READING];
    simplified_distinct_id_is_user: simplified::reading::DistinctIdIsUser => [READING];
    simplified_identify_links: simplified::reading::IdentifyLinks => [READING];
    simplified_identity_events_are_nobodys: simplified::reading::IdentityEventsAreNobodys => [READING];
    simplified_keeps_prefix: simplified::reading::KeepsPrefix => [READING];
    simplified_limit_too_high: simplified::reading::LimitTooHigh => [READING];
    simplified_marked_is_user: simplified::reading::MarkedIsUser => [READING];
    simplified_removes_all_prefixes: simplified::reading::RemovesAllPrefixes => [READING];
    simplified_spares_invalid_device: simplified::reading::SparesInvalidDevice => [READING];
    simplified_canonical_is_device: simplified::showing::CanonicalIsDevice => [CLAIMS, LAW_8];
    simplified_clusters_by_user: simplified::showing::ClustersByUser => [CLAIMS];
    simplified_devices_by_text: simplified::showing::DevicesByText => [CLAIMS];
    simplified_one_namespace: simplified::showing::OneNamespace => [CLAIMS, LAW_3];
    simplified_stranger_has_cluster: simplified::showing::StrangerHasCluster => [CLAIMS];
}

/// The trials whose names begin with this text.
fn beginning<'t>(trials: &'t [Trial], beginning: &str) -> Vec<&'t Trial> {
    let found: Vec<_> = trials
        .iter()
        .filter(|trial| trial.name.starts_with(beginning))
        .collect();
    assert!(!found.is_empty(), "no trial's name begins with {beginning}");
    found
}

fn suite<M: Mistake>() -> Suite {
    Suite::new(|settings| Box::new(Decoy::<M>::new(settings)))
}

/// For each of the beginnings, runs the trials with it until one catches the decoy.
fn must_be_caught<M: Mistake>(name: &str, by: &[&str]) {
    let trials = suite::<M>().trials();
    let mut missed = Vec::new();
    for prefix in by {
        let trials = beginning(&trials, prefix);
        let caught = trials.into_iter().find(|trial| trial.run().is_err());
        match caught {
            Some(trial) => println!("{name} is caught by {}", trial.name),
            None => missed.push(*prefix),
        }
    }
    assert!(missed.is_empty(), "{name} passes {missed:?}");
}

/// Without a mistake all trials pass, so a decoy fails because of its mistake.
fn all_must_pass<M: Mistake>() {
    let failed: Vec<String> = suite::<M>()
        .trials()
        .iter()
        .filter_map(|trial| Some(format!("{}: {}", trial.name, trial.run().err()?)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn custom_without_a_mistake_passes_all_trials() {
    all_must_pass::<custom::mistakes::NoMistake>();
}

#[test]
fn legacy_without_a_mistake_passes_all_trials() {
    all_must_pass::<legacy::NoMistake>();
}

#[test]
fn original_without_a_mistake_passes_all_trials() {
    all_must_pass::<original::NoMistake>();
}

#[test]
fn simplified_without_a_mistake_passes_all_trials() {
    all_must_pass::<simplified::NoMistake>();
}
