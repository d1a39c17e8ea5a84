//! The blocks that are kept while a batch replaces earlier events.

use idmerge_engines::Model;
use idmerge_store::backends::InMemoryBackend;
use idmerge_store::{Durable, Sharing};

use super::*;
use crate::archive::block::StoredEvent;
use crate::open::state::WriterState;
use crate::options::Options;

fn settings() -> Settings {
    Settings::of(Model::Simplified)
}

/// A store with an event of each of these lengths, each in a block of its own, and a block that grows.
fn with_events(lengths: &[usize]) -> WriterState {
    let options = idmerge_store::Options {
        sharing: Sharing::Nobody,
        ..idmerge_store::Options::default()
    };
    let fresh = || settings().engine();
    let store = Durable::open_backend(InMemoryBackend::new(), fresh, options).unwrap();
    let mut state = WriterState::read(store, &settings(), &Options::default()).unwrap();
    for &bytes in lengths.iter().chain(&[1]) {
        let event = StoredEvent {
            number: 0,
            time_ms: 1,
            received_ms: 1,
            source: "/track",
            failure: None,
            attributed: None,
            text: &"x".repeat(bytes),
        };
        state.appender.push(&event, None).unwrap();
    }
    let mut heads = Vec::new();
    let WriterState {
        shared, appender, ..
    } = &mut state;
    let written = shared.store.read().commit_with::<ProjectError>(|write| {
        heads = appender.write(write)?;
        Ok(())
    });
    written.unwrap();
    shared.directory.write().add_blocks(&heads);
    assert_eq!(heads.len(), lengths.len() + 1);
    state
}

#[test]
fn blocks_are_kept_up_to_a_number_of_bytes() {
    let lengths = [KEPT_BYTES_MAX / 2, KEPT_BYTES_MAX / 2, 1_000_000];
    let state = with_events(&lengths);
    let (settings, read) = (settings(), state.shared.store.read().begin_read().unwrap());
    let mut stored = StoredEvents::new(&settings, &state.shared, &read, &state.appender);
    for (number, kept) in [
        (1_u64, &[1_u64][..]),
        (2, &[1, 2]),
        (1, &[1, 2]),
        // There is no room for it beside the others.
        (3, &[3]),
        (1, &[1, 3]),
    ] {
        let length = |number: u64| lengths[usize::try_from(number).unwrap() - 1];
        let found = stored.find(number, &mut |text, _| Ok(text.len()));
        assert_eq!(found.unwrap(), length(number));
        let mut blocks: Vec<u64> = stored.blocks.keys().copied().collect();
        blocks.sort_unstable();
        assert_eq!(blocks, kept, "after {number}");
        let bytes: usize = kept.iter().map(|number| length(*number)).sum();
        assert_eq!(stored.kept_bytes, bytes, "after {number}");
    }
}
