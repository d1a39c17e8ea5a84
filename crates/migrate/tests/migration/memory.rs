//! The memory of a migration does not grow with the events.

use idmerge_events::Envelope;
use idmerge_migrate::{Gathering, Place};

use crate::run::options;

/// The most bytes in use while this many identity events of one person are gathered, each with an insert ID of its own.
fn peak_bytes(events: u64) -> u64 {
    let gather = || {
        let mut gathering = Gathering::new(options());
        for number in 1..=events {
            let line = format!(
                r#"{{"event":"$identify","properties":{{"$identified_id":"ada","$anon_id":"5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e","time":1700000000,"$insert_id":"i{number}"}}}}"#
            );
            let envelope = Envelope::parse_text(&line).unwrap();
            let event = gathering.options().read(&envelope).unwrap();
            let place = Place {
                file: 0,
                line: number,
            };
            gathering.add(&event, place).unwrap();
        }
        gathering.elect().unwrap();
    };
    allocation_counter::measure(gather).bytes_max
}

/// A set of all fingerprints would take 20 to 40 bytes for each event.
#[test]
fn m_2_an_identity_event_takes_less_than_two_bytes_of_memory() {
    // Enough that the fingerprints do not fit into what is held.
    let [few, many] = [120_000, 240_000].map(peak_bytes);
    let more = many.saturating_sub(few);
    assert!(more < 2 * 120_000, "{more} bytes for 120,000 more events");
}
