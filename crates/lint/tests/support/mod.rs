//! Runs the lint over generated events.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic too")]

use idmerge_core::InvalidEvent;
use idmerge_engines::Settings;
use idmerge_events::{Envelope, TimeRange};
use idmerge_lint::{Evidence, Fold as _, Lint, Reader, Report};

/// Adds one line after the other.
pub(crate) struct Linting {
    settings: Settings,
    reader: Reader,
    lint: Lint,
    line: u64,
}

impl Linting {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            reader: Reader::new(&settings),
            lint: Lint::new(&settings),
            settings,
            line: 0,
        }
    }

    pub(crate) fn add(&mut self, line: &[u8]) {
        self.line += 1;
        let envelope = Envelope::parse(line).unwrap();
        let event = envelope.json_event().event();
        let found = Evidence {
            time_ms: envelope.time(TimeRange::Year9999).ms(),
            ..Evidence::of_line(self.line)
        };
        let reading: Result<_, InvalidEvent> = self.settings.read(&event);
        match reading {
            Ok(reading) => {
                let facts = self.reader.read(&event, &reading);
                self.lint.add(&facts, event.name, true, found).unwrap();
            }
            Err(error) => self.lint.add_refused(&event, &error, found),
        }
    }

    pub(crate) fn finish(self) -> Report {
        self.lint.finish(usize::MAX)
    }
}
