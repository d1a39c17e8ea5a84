//! A project whose disk fails recovers by itself, shows nothing that is not committed, and neither loses
//! nor doubles a batch.

mod adapted;
mod attempts;
mod closing;
mod growth;
mod scratch;
mod snapshot;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use idmerge_engines::{Model, Settings};
use idmerge_store::{Durable, LastSync, Sharing};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::error::ProjectError;
use crate::open::clock::Clock;
use crate::open::disk::{Disk, Fault};
use crate::open::health::Health;
use crate::open::store::OpenStore;
use crate::options::Options;
use crate::project::Project;
use crate::read::export::ExportQuery;
use crate::workers::{Work, Workers};
use crate::write::batch::{Answer, Batch, Record, Sender};
use crate::write::withdrawal::RetractionTarget;

/// A clock that stands still until a test moves it.
#[derive(Clone, Default)]
struct TestClock(Arc<Mutex<Duration>>);

impl Clock for TestClock {
    fn now(&self) -> Duration {
        *self.0.lock()
    }
}

type Answers = Arc<Mutex<Vec<Result<Answer, ProjectError>>>>;

/// A project without threads of its own on a disk that can fail.
struct Tested {
    project: Project,
    workers: Workers,
    clock: TestClock,
    disk: Disk,
    reports: Arc<Mutex<Vec<Health>>>,
}

impl Tested {
    fn open(model: Model, disk: &Disk) -> Self {
        let settings = Settings::of(model);
        let open = on(disk, &settings);
        Self::open_with(open, settings, disk)
    }

    fn open_with(open: Box<dyn OpenStore>, settings: Settings, disk: &Disk) -> Self {
        let clock = TestClock::default();
        let workers = Workers::new(0, 0).unwrap();
        let options = Options {
            workers: Some(workers.clone()),
            ..Options::default()
        };
        let project = Project::open_at(open, settings, options, Box::new(clock.clone())).unwrap();
        let reports: Arc<Mutex<Vec<Health>>> = Arc::default();
        let kept = reports.clone();
        project.watch(move |health| kept.lock().push(health.clone()));
        Self {
            project,
            workers,
            clock,
            disk: disk.clone(),
            reports,
        }
    }

    fn submit(&self, batch: Batch, answers: &Answers) {
        let answers = answers.clone();
        let kept = answers.clone();
        let taken = self
            .project
            .submit(batch, move |answer| answers.lock().push(answer));
        if let Err(error) = taken {
            kept.lock().push(Err(error));
        }
    }

    /// Submits a batch and runs the writer until the batch is answered.
    fn write(&mut self, batch: Batch) -> Result<Answer, ProjectError> {
        let answers = Answers::default();
        self.submit(batch, &answers);
        while answers.lock().is_empty() {
            self.workers.turn(Work::Write);
        }
        let answer = answers.lock().pop();
        answer.unwrap()
    }

    /// Runs the writer for this long. Returns the time at which the project could write.
    fn run_for(&mut self, time: Duration) -> Option<Duration> {
        let end = self.clock.now() + time;
        while self.workers.turn(Work::Write) {
            if self.project.check().is_err() {
                if self.clock.now() >= end {
                    return None;
                }
                *self.clock.0.lock() += Duration::from_millis(50);
            }
        }
        Some(self.clock.now())
    }

    /// The events, with the canonical IDs, and the profile of `U`.
    fn shown(&self) -> (Vec<String>, Option<String>, u64) {
        let mut events = Vec::new();
        let mut push = |event: crate::read::export::ExportedEvent<'_>| {
            events.push(String::from_utf8(event.json.to_vec()).unwrap());
            Ok(true)
        };
        self.project
            .export(&ExportQuery::default(), &mut push)
            .unwrap();
        let profile = self.project.profile("U").unwrap().map(|found| found.json);
        let sequence = self.project.changes(0, usize::MAX).unwrap();
        (
            events,
            profile,
            sequence.last().map_or(0, |change| change.sequence),
        )
    }
}

/// Opens the store on the disk as it is now.
fn on(disk: &Disk, settings: &Settings) -> Box<dyn OpenStore> {
    let (disk, settings) = (disk.clone(), settings.clone());
    let last_sync = LastSync::default();
    Box::new(move || {
        let options = idmerge_store::Options {
            sharing: Sharing::Nobody,
            last_sync: last_sync.clone(),
            ..idmerge_store::Options::default()
        };
        let settings = settings.clone();
        Durable::open_backend(disk.clone(), move || settings.engine(), options)
    })
}

const FAULTS: [Fault; 4] = [
    Fault::Full,
    Fault::Short,
    Fault::OnceStored,
    Fault::OnceLost,
];
const MODELS: [Model; 2] = [Model::Simplified, Model::Original];

/// Joins a device with the user `U`, and adds to the user's profile. The event has no `insert_id`, so that
/// a batch that is written twice is seen twice.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::new("/import", 1);
    let device = format!("0191d7a5-7a56-4f19-9b1e-{number:012x}");
    let json = format!(
        r#"{{"event":"$identify","properties":{{"$user_id":"U","$device_id":"{device}","$identified_id":"U","$anon_id":"{device}","distinct_id":"U"}}}}"#
    );
    batch.push(&json, Record::event(Some(1), None));
    batch.push(r#"{"$distinct_id":"U","$add":{"n":1}}"#, Record::Update);
    batch
}

fn devices(batches: u64) -> Vec<String> {
    (0..batches)
        .map(|number| format!("0191d7a5-7a56-4f19-9b1e-{number:012x}"))
        .collect()
}

/// What a project shows that wrote these batches on a good disk.
fn expected(
    model: Model,
    batches: impl IntoIterator<Item = u64>,
) -> (Vec<String>, Option<String>, u64) {
    let mut good = Tested::open(model, &Disk::default());
    for number in batches {
        good.write(batch(number)).unwrap();
    }
    good.shown()
}

#[test]
fn a_full_disk_shows_only_what_is_committed_and_there_is_room_again() {
    for (model, fault) in MODELS
        .into_iter()
        .flat_map(|model| [(model, Fault::Full), (model, Fault::Short)])
    {
        let mut tested = Tested::open(model, &Disk::default());
        tested.write(batch(0)).unwrap();
        let waiting = Answers::default();
        tested.disk.break_after(0, fault);
        tested.submit(batch(1), &waiting);
        tested.submit(batch(2), &waiting);
        assert_eq!(tested.run_for(Duration::from_secs(3_600)), None);
        for answer in &*waiting.lock() {
            let error = answer.as_ref().unwrap_err();
            assert!(matches!(error, ProjectError::Failed { .. }), "{error}");
        }
        assert_eq!(waiting.lock().len(), 2);
        let error = tested.project.submit(batch(3), |_| {}).unwrap_err();
        assert!(
            error.to_string().contains("send the request again"),
            "{error}"
        );
        assert!(tested.project.check().is_err());
        assert!(tested.project.figures().failure.is_some());
        assert!(tested.reports.lock().len() <= 2, "{:?}", tested.reports);

        tested.disk.mend();
        let before = tested.clock.now();
        let after = tested.run_for(Duration::from_secs(10)).unwrap();
        assert!(after - before <= Duration::from_secs(5));
        tested.project.check().unwrap();
        assert_eq!(tested.reports.lock().last(), Some(&Health::Recovered));
        assert_eq!(tested.project.figures().recoveries, 1);
        assert_eq!(tested.shown(), expected(model, [0]), "{model:?} {fault:?}");
        let device = devices(2).pop().unwrap();
        assert_eq!(tested.project.identity(&device).unwrap().members.len(), 1);
        for number in [1, 2, 3] {
            tested.write(batch(number)).unwrap();
        }
        assert_eq!(tested.shown(), expected(model, 0..4));
    }
}

#[test]
fn what_is_committed_can_be_read_while_there_is_no_room() {
    /// A disk whose file can be read and changed, with no room for more.
    struct NoRoom(Box<dyn OpenStore>, Arc<Mutex<bool>>);
    impl OpenStore for NoRoom {
        fn open(&mut self) -> Result<Durable<idmerge_engines::Engine>, idmerge_store::StoreError> {
            self.0.open()
        }
        fn check_room(&mut self, _: usize) -> Result<(), idmerge_store::StoreError> {
            if *self.1.lock() {
                return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
            }
            Ok(())
        }
    }
    for model in MODELS {
        let (disk, settings) = (Disk::default(), Settings::of(model));
        let is_full = Arc::new(Mutex::new(true));
        let open = NoRoom(on(&disk, &settings), is_full.clone());
        let mut tested = Tested::open_with(Box::new(open), settings, &disk);
        tested.write(batch(0)).unwrap();
        disk.break_after(0, Fault::OnceLost);
        tested.write(batch(1)).unwrap_err();
        assert_eq!(tested.run_for(Duration::from_secs(60)), None);
        tested.project.check().unwrap_err();
        assert_eq!(tested.shown(), expected(model, [0]));
        *is_full.lock() = false;
        tested.run_for(Duration::from_secs(5)).unwrap();
        tested.write(batch(1)).unwrap();
        assert_eq!(tested.shown(), expected(model, [0, 1]));
    }
}

#[test]
fn a_project_that_fails_again_at_once_is_not_opened_again_and_again() {
    let mut tested = Tested::open(Model::Simplified, &Disk::default());
    let start = tested.clock.now();
    for number in 0..20 {
        tested.disk.break_after(0, Fault::OnceLost);
        drop(tested.write(batch(number)));
        tested.run_for(Duration::from_secs(10)).unwrap();
    }
    assert!(tested.clock.now() - start >= Duration::from_secs(50));
}

#[test]
fn any_operation_of_a_commit_after_a_recovery_can_fail() {
    for model in MODELS {
        let wanted = expected(model, 0..3);
        for fault in FAULTS {
            for operations in 0..24 {
                let mut tested = Tested::open(model, &Disk::default());
                for (number, operations) in [(0, 0), (1, operations), (2, operations)] {
                    tested.disk.break_after(operations, fault);
                    while tested.write(batch(number)).is_err() {
                        tested.disk.mend();
                        tested.run_for(Duration::from_secs(10)).unwrap();
                    }
                    tested.disk.mend();
                    // The failure may come after the commit.
                    tested.run_for(Duration::from_secs(10)).unwrap();
                }
                assert_eq!(tested.shown(), wanted, "{model:?} {fault:?} {operations}");
                let after = Tested::open(model, &tested.disk.crash());
                assert_eq!(after.shown(), wanted, "{model:?} {fault:?} {operations}");
            }
        }
    }
}

impl Tested {
    /// Retracts the entry 1 while the writer runs, which also recovers from failures.
    fn retract(&mut self) -> Result<idmerge_store::Retraction, ProjectError> {
        let (project, workers, clock) = (&self.project, &mut self.workers, &self.clock);
        std::thread::scope(|scope| {
            let target = RetractionTarget::Entry(1);
            let retracting = scope.spawn(|| project.retract(target, "ada", "a tablet"));
            while !retracting.is_finished() {
                workers.turn(Work::Write);
                if project.check().is_err() {
                    *clock.0.lock() += Duration::from_millis(50);
                }
            }
            retracting.join().unwrap()
        })
    }

    /// Whether the claim of entry 1 is withdrawn, and the profile of `B`.
    fn withdrawn(&self) -> (bool, Option<(String, String)>) {
        let last = self.project.history().unwrap().last();
        let profile = self.project.profile("B").unwrap();
        let profile = profile.map(|found| (found.distinct_id, found.json));
        (last > 1, profile)
    }
}

#[test]
fn lg_2_a_retraction_on_a_disk_that_fails_is_there_or_not_and_the_profiles_fit() {
    let event = r#"{"event":"$merge","properties":{"$distinct_ids":["A","B"],"distinct_id":"A"}}"#;
    let under = |id: &str, n: u8| Some((id.to_owned(), format!(r#"{{"n":{n}}}"#)));
    let (mut refused, mut answered) = (0, 0);
    for fault in FAULTS {
        for operations in 0..30 {
            let mut tested = Tested::open(Model::Original, &Disk::default());
            for update in [
                r#"{"$distinct_id":"A","$set":{"n":1}}"#,
                r#"{"$distinct_id":"B","$set":{"n":2}}"#,
            ] {
                let mut batch = Batch::new("/engage", 1);
                batch.push(update, Record::Update);
                tested.write(batch).unwrap();
            }
            let mut batch = Batch::new("/import", 1);
            let merge = Record::Event {
                time_ms: Some(1),
                insert_id: None,
                sender: Sender::Credential,
                layout: None,
            };
            batch.push(event, merge);
            tested.write(batch).unwrap();
            assert_eq!(tested.withdrawn(), (false, under("A", 1)));

            tested.disk.break_after(operations, fault);
            let result = tested.retract();
            tested.disk.mend();
            tested.run_for(Duration::from_secs(10)).unwrap();
            let hint = format!("{fault:?} {operations} {result:?}");
            let (is_withdrawn, profile) = tested.withdrawn();
            match result {
                Ok(_) => {
                    answered += 1;
                    assert!(is_withdrawn, "{hint}");
                }
                Err(_) => refused += 1,
            }
            let fitting = match is_withdrawn {
                true => under("B", 2),
                false => under("A", 1),
            };
            assert_eq!(profile, fitting, "{hint}");
            let after = Tested::open(Model::Original, &tested.disk.crash());
            assert_eq!(after.withdrawn(), (is_withdrawn, fitting), "{hint}");
            // It can be asked for again, whatever the answer was.
            assert_eq!(tested.retract().unwrap().sequence, 2, "{hint}");
            assert_eq!(tested.withdrawn(), (true, under("B", 2)), "{hint}");
        }
    }
    assert!(refused > 0 && answered > 0, "{refused} {answered}");
}

#[test]
fn a_new_reason_why_the_project_cannot_write_is_reported() {
    let (disk, settings) = (Disk::default(), Settings::of(Model::Simplified));
    let mut opened = on(&disk, &settings);
    let mut attempts = 0;
    let open = move || {
        attempts += 1;
        match attempts {
            2 => Err(std::io::Error::other("the disk is gone").into()),
            _ => opened.open(),
        }
    };
    let mut tested = Tested::open_with(Box::new(open), settings, &disk);
    disk.break_after(0, Fault::OnceLost);
    tested.write(batch(0)).unwrap_err();
    tested.run_for(Duration::from_secs(10)).unwrap();
    let reports = tested.reports.lock();
    let [
        Health::Failed { reason: first },
        Health::Failed { reason: second },
        Health::Recovered,
    ] = &**reports
    else {
        panic!("{reports:?}");
    };
    assert!(first.contains("the disk failed"), "{first}");
    assert!(second.contains("the disk is gone"), "{second}");
}

#[test]
fn a_commit_takes_the_time_between_its_start_and_its_end() {
    let mut tested = Tested::open(Model::Simplified, &Disk::default());
    tested.write(batch(0)).unwrap();
    *tested.clock.0.lock() += Duration::from_secs(3_600);
    tested.write(batch(1)).unwrap();
    // The clock of this test does not move during a commit.
    let figures = tested.project.figures();
    assert_eq!((figures.commits, figures.commit_time), (2, Duration::ZERO));
}

#[test]
fn a_retraction_and_batches_that_wait_with_it_are_all_carried_out() {
    let tested = Tested::open(Model::Original, &Disk::default());
    let answers = Answers::default();
    tested.submit(batch(0), &answers);
    while tested.workers.turn(Work::Write) {}
    std::thread::scope(|scope| {
        tested.submit(batch(1), &answers);
        let target = RetractionTarget::Entry(1);
        let retracting = scope.spawn(|| tested.project.retract(target, "ada", "a tablet"));
        while tested.project.figures().queue_batches < 2 && !retracting.is_finished() {
            std::thread::yield_now();
        }
        tested.submit(batch(2), &answers);
        while tested.workers.turn(Work::Write) {}
        assert!(retracting.join().unwrap().unwrap().is_new);
    });
    assert!(answers.lock().iter().all(Result::is_ok));
    assert_eq!(answers.lock().len(), 3);
    // As if the first batch had never come: its device is in no cluster.
    for (device, joined) in devices(3).iter().zip([false, true, true]) {
        let user = tested.project.identity(device).unwrap().canonical;
        assert_eq!(user == "U", joined, "{device}");
    }
    assert_eq!(tested.project.identity("U").unwrap().members.len(), 3);
}

#[test]
fn batches_that_wait_when_a_project_is_dropped_are_answered() {
    let tested = Tested::open(Model::Simplified, &Disk::default());
    let answers = Answers::default();
    tested.submit(batch(0), &answers);
    tested.submit(batch(1), &answers);
    drop(tested);
    let answers = answers.lock();
    assert_eq!(answers.len(), 2);
    for answer in &*answers {
        assert!(matches!(answer, Err(ProjectError::Closed)), "{answer:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Senders send again what was not acknowledged, as SDKs do.
    #[test]
    fn every_batch_is_there_once_whatever_fails(
        is_original in any::<bool>(),
        faults in prop::collection::vec((0u64..40, 0usize..4), 1..5),
        crashes in any::<bool>(),
    ) {
        let model = MODELS[usize::from(is_original)];
        let mut tested = Tested::open(model, &Disk::default());
        let mut number = 0;
        for (operations, fault) in faults {
            let fault = FAULTS[fault];
            tested.disk.break_after(operations, fault);
            let mut tries = 0;
            while tested.write(batch(number)).is_err() {
                tested.disk.mend();
                tested.run_for(Duration::from_secs(10)).unwrap();
                tries += 1;
                prop_assert!(tries < 10);
            }
            tested.disk.mend();
            tested.run_for(Duration::from_secs(10)).unwrap();
            number += 1;
        }
        prop_assert_eq!(tested.shown(), expected(model, 0..number));
        if crashes {
            let after = Tested::open(model, &tested.disk.crash());
            prop_assert_eq!(after.shown(), expected(model, 0..number));
        }
    }
}
