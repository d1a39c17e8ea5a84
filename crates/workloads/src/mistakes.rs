//! A stream with mistakes of tracking code planted among its events, and the list of what was planted.

mod mistake;
mod script;
mod scripts;

use std::collections::VecDeque;

use crate::actor::World;
pub use crate::mistakes::mistake::Mistake;
use crate::mistakes::script::Script;
use crate::mistakes::scripts::{Planter, Variety};
use crate::person::Person;
use crate::stream::Stream;
use crate::workload::Workload;

/// The number of scripts that are played at one time, so that their events are mixed.
const ACTIVE_SCRIPTS: usize = 12;

/// The events of a workload, with mistakes of tracking code among them: about one event in five.
///
/// Among the planted events are also some that only look like a mistake, such as a user with the name
/// `null@example.com`; they are not listed. The people of the planted events are not in the truth of the workload.
///
/// ```
/// use idmerge_workloads::{MistakeStream, Workload};
///
/// let mut stream = MistakeStream::new(Workload::WebLogin, 2_000, 1);
/// let mut events = Vec::new();
/// while stream.next_event(&mut events) {}
/// assert_eq!(events.iter().filter(|&&byte| byte == b'\n').count(), 2_000);
/// assert!(stream.mistakes().iter().any(|it| it.mistake == "missing-reset"));
/// ```
#[derive(Debug)]
pub struct MistakeStream {
    base: Stream,
    world: World,
    planter: Planter,
    active: VecDeque<Script>,
    /// How many planted events are left, and how many of them active scripts will write.
    planted_left: u64,
    reserved: u64,
    mistakes: Vec<Mistake>,
}

impl MistakeStream {
    /// A stream of exactly `events` events.
    pub fn new(workload: Workload, events: u64, seed: u64) -> Self {
        let planted = events / 5;
        // Other numbers than those of the workload, and users of other names.
        let mut world = World::of_other_users(!seed);
        Self {
            planter: Planter::new(events, &mut world),
            base: Stream::new(workload, events - planted, seed),
            world,
            active: VecDeque::new(),
            planted_left: planted,
            reserved: 0,
            mistakes: Vec::new(),
        }
    }

    /// Appends the next event, as [`Stream::next_event`] does.
    pub fn next_event(&mut self, line: &mut Vec<u8>) -> bool {
        let left = self.base.events_left() + self.planted_left;
        let is_planted = self.world.rng.below(left) < self.planted_left;
        if !is_planted {
            return self.base.next_event(line);
        }
        self.world.set_now_ms(self.base.now_ms());
        self.planted_left -= 1;
        self.start();
        if self.active.is_empty() {
            self.planter.visit(&mut self.world, line);
            return true;
        }
        let turn = self.world.rng.index(self.active.len());
        self.active.swap(0, turn);
        if let Some(script) = self.active.front_mut() {
            self.reserved -= 1;
            script.write_next(&mut self.world, line);
            if script.is_finished() {
                self.mistakes.append(&mut script.mistakes);
                self.active.pop_front();
            }
        }
        true
    }

    /// As [`Stream::finished`]: the people of the workload, without those of the planted events.
    pub fn finished(&self) -> &[Person] {
        self.base.finished()
    }

    /// The mistakes whose events were all given.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Starts scripts for which there is room.
    fn start(&mut self) {
        let mut tries = 0;
        while self.active.len() < ACTIVE_SCRIPTS && tries < Variety::ALL.len() {
            tries += 1;
            let room = (self.planted_left + 1).saturating_sub(self.reserved);
            let Some(script) = self.planter.next(&mut self.world) else {
                continue;
            };
            let events = script.events_left();
            if events > 0 && events <= room {
                self.reserved += events;
                self.active.push_back(script);
                tries = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn play(events: u64, seed: u64) -> (String, Vec<Mistake>) {
        let mut stream = MistakeStream::new(Workload::WebLogin, events, seed);
        let mut lines = Vec::new();
        while stream.next_event(&mut lines) {}
        (
            String::from_utf8(lines).unwrap(),
            stream.mistakes().to_vec(),
        )
    }

    #[test]
    fn a_stream_is_the_same_each_time_and_has_as_many_events_as_asked_for() {
        for events in [0, 1, 4, 500, 5_000] {
            let (lines, mistakes) = play(events, 3);
            assert_eq!(lines.lines().count() as u64, events);
            assert_eq!((lines, mistakes), play(events, 3));
        }
        assert!(play(500, 3) != play(500, 4));
    }

    #[test]
    fn every_kind_is_planted_and_the_events_name_what_is_listed() {
        let (lines, mistakes) = play(30_000, 1);
        let kinds: BTreeSet<&str> = mistakes.iter().map(|it| it.mistake.as_str()).collect();
        assert_eq!(kinds.len(), 16, "{kinds:?}");
        for mistake in &mistakes {
            assert!(
                mistake.ids.iter().all(|id| lines.contains(id)),
                "{mistake:?}"
            );
            assert!(!mistake.models.is_empty());
        }
        let different: BTreeSet<_> = mistakes.iter().collect();
        assert_eq!(different.len(), mistakes.len(), "a mistake is listed twice");
        for line in lines.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(
                event["event"].is_string() && event["properties"].is_object(),
                "{line}"
            );
        }
    }

    #[test]
    fn the_people_of_the_workload_are_not_those_of_the_mistakes() {
        let mut stream = MistakeStream::new(Workload::WebLogin, 5_000, 1);
        let (mut line, mut people) = (Vec::new(), 0);
        loop {
            let more = stream.next_event(&mut line);
            for person in stream.finished() {
                people += 1;
                for mistake in stream.mistakes() {
                    assert!(
                        !mistake.ids.iter().any(|id| person.ids.contains(id)),
                        "{mistake:?}"
                    );
                }
            }
            if !more {
                break;
            }
        }
        assert!(people > 20, "{people}");
    }
}
