//! How often the store is opened after a failure, how much room is asked for, and what is said meanwhile.

use idmerge_engines::Engine;
use idmerge_store::StoreError;

use super::*;

/// What was asked of the disk, and its answers.
#[derive(Default)]
struct Asked {
    opened: usize,
    /// How many attempts find the earlier store still open.
    in_use: usize,
    room_bytes: Vec<usize>,
    is_full: bool,
}

struct Counting(Box<dyn OpenStore>, Arc<Mutex<Asked>>);

impl OpenStore for Counting {
    fn open(&mut self) -> Result<Durable<Engine>, StoreError> {
        {
            let mut asked = self.1.lock();
            asked.opened += 1;
            if asked.in_use > 0 {
                asked.in_use -= 1;
                return Err(StoreError::InUse);
            }
        }
        self.0.open()
    }

    fn check_room(&mut self, bytes: usize) -> Result<(), StoreError> {
        let mut asked = self.1.lock();
        asked.room_bytes.push(bytes);
        match asked.is_full {
            true => Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into()),
            false => Ok(()),
        }
    }
}

fn counting() -> (Tested, Arc<Mutex<Asked>>) {
    let (disk, settings) = (Disk::default(), Settings::of(Model::Simplified));
    let asked: Arc<Mutex<Asked>> = Arc::default();
    let open = Counting(on(&disk, &settings), asked.clone());
    (Tested::open_with(Box::new(open), settings, &disk), asked)
}

#[test]
fn while_there_is_no_room_for_twice_what_failed_the_store_is_opened_once() {
    let (mut tested, asked) = counting();
    asked.lock().is_full = true;
    let mut large = batch(0);
    let text = "x".repeat(2 << 20);
    let json = format!(r#"{{"event":"A","properties":{{"distinct_id":"U","x":"{text}"}}}}"#);
    large.push(&json, Record::event(Some(1), None));
    tested.disk.break_after(0, Fault::OnceLost);
    let refused = tested.write(large.clone()).unwrap_err();
    assert!(refused.to_string().contains("the disk failed"), "{refused}");
    assert_eq!(tested.run_for(Duration::from_secs(60)), None);
    {
        let asked = asked.lock();
        // At the start and after the failure.
        assert_eq!(asked.opened, 2);
        assert!(asked.room_bytes.len() > 8);
        let wanted = 4 << 20..5 << 20;
        let is_wanted = |bytes: &usize| wanted.contains(bytes);
        assert!(
            asked.room_bytes.iter().all(is_wanted),
            "{:?}",
            asked.room_bytes
        );
    }
    asked.lock().is_full = false;
    tested.run_for(Duration::from_secs(5)).unwrap();
    tested.write(large).unwrap();
    assert_eq!(asked.lock().opened, 2);
}

/// The reasons that are reported if this many attempts find the earlier store still open.
fn reasons(in_use: usize) -> Vec<String> {
    let (mut tested, asked) = counting();
    asked.lock().in_use = in_use;
    tested.disk.break_after(0, Fault::OnceLost);
    tested.write(batch(0)).unwrap_err();
    tested.run_for(Duration::from_secs(60)).unwrap();
    assert_eq!(asked.lock().opened, 1 + in_use + 1);
    let mut reports = tested.reports.lock().clone();
    assert_eq!(reports.pop(), Some(Health::Recovered));
    let reason = |report| match report {
        Health::Failed { reason } => reason,
        other => panic!("{other:?}"),
    };
    reports.into_iter().map(reason).collect()
}

#[test]
fn that_a_query_still_reads_the_earlier_store_is_reported_only_if_it_lasts() {
    let brief = reasons(7);
    assert_eq!(brief.len(), 1, "{brief:?}");
    assert!(brief[0].contains("the disk failed"), "{brief:?}");
    let long = reasons(8);
    assert_eq!(long.len(), 2, "{long:?}");
    assert_eq!(long[0], brief[0]);
    assert!(long[1].contains("in use"), "{long:?}");
}
