//! Finds the user keys of events that are not in the index yet.

use idmerge_engines::Settings;
use idmerge_events::JsonEvent;

use crate::archive::block::NOT_AN_EVENT;
use crate::archive::directory::Directory;
use crate::archive::reader::ArchiveReader;
use crate::error::ProjectError;
use crate::user_key::{push_id, user_key};

/// Calls `visit` with the user key and the number of each event that has a distinct_id, starting
/// with the event `from`.
pub(crate) fn each_user_key(
    directory: &Directory,
    archive: &ArchiveReader,
    from: u64,
    settings: &Settings,
    visit: &mut dyn FnMut(u64, u64),
) -> Result<(), ProjectError> {
    let mut text = String::new();
    let mut next = from;
    while let Some(head) = directory.block_from(next) {
        archive.block(head.first)?.each(&mut |stored| {
            if stored.number < from || stored.text.is_empty() {
                return Ok(true);
            }
            let event = JsonEvent::parse_text(stored.text)
                .map_err(|_| ProjectError::damaged(stored.number, NOT_AN_EVENT))?;
            let reading = settings.read(&event.event());
            if let Some(own) = reading.ok().and_then(|reading| reading.distinct_id) {
                text.clear();
                push_id(stored.at_arrival(settings, own).unwrap_or(own), &mut text);
                visit(user_key(&text), stored.number);
            }
            Ok(true)
        })?;
        next = head.last + 1;
    }
    Ok(())
}
