//! The stream: its active actors, and their turns.

use std::mem;

use crate::actor::{Actor, Next, World};
use crate::person::Person;
use crate::workload::Workload;

/// The number of events before one more household becomes active, until all places are taken. So a
/// short stream has few people with many events, and not many people with one event each.
const EVENTS_PER_ARRIVAL: u64 = 16;

/// The events of a workload, in order, and the people behind them.
///
/// Two streams that differ only in the number of events are equal, except for the last line of the
/// shorter one.
#[derive(Debug)]
pub struct Stream {
    workload: Workload,
    world: World,
    active: Vec<Box<dyn Actor>>,
    /// The actor of the next event, if it is fixed.
    turn: Option<usize>,
    lines_left: u64,
    lines_until_arrival: u64,
    finished: Vec<Person>,
}

impl Stream {
    /// A stream of exactly `events` events. Any seed is as good as another.
    pub fn new(workload: Workload, events: u64, seed: u64) -> Self {
        Self {
            workload,
            world: World::new(seed),
            active: Vec::new(),
            turn: None,
            lines_left: events,
            lines_until_arrival: 0,
            finished: Vec::new(),
        }
    }

    /// The number of events that are left.
    pub fn events_left(&self) -> u64 {
        self.lines_left
    }

    /// The time of the last event, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    /// Appends the next event to `line`: one JSON object and a line feed. After the last event it
    /// appends nothing and returns `false`.
    pub fn next_event(&mut self, line: &mut Vec<u8>) -> bool {
        self.finished.clear();
        let Some(lines_left) = self.lines_left.checked_sub(1) else {
            for actor in mem::take(&mut self.active) {
                actor.leave(&mut self.world, &mut self.finished);
            }
            return false;
        };
        self.lines_left = lines_left;
        self.world.tick();
        self.let_in();

        let turn = match self.turn.take() {
            Some(turn) => turn,
            None => self.world.rng.index(self.active.len()),
        };
        // In bounds: `let_in` has added an actor, and no place is ever removed.
        match self.active[turn].act(&mut self.world, lines_left, line) {
            Next::Anyone => {}
            Next::Same => self.turn = Some(turn),
            Next::Done => {
                let newcomer = self.workload.newcomer(&mut self.world);
                let done = mem::replace(&mut self.active[turn], newcomer);
                done.leave(&mut self.world, &mut self.finished);
            }
        }
        true
    }

    /// The people whose last event came from the last call of [`next_event`](Self::next_event).
    /// After that call has returned `false` for the first time: all who were still active. The next
    /// call forgets them.
    pub fn finished(&self) -> &[Person] {
        &self.finished
    }

    fn let_in(&mut self) {
        if self.lines_until_arrival == 0 && self.active.len() < self.workload.active_households() {
            let newcomer = self.workload.newcomer(&mut self.world);
            self.active.push(newcomer);
            self.lines_until_arrival = EVENTS_PER_ARRIVAL;
        }
        self.lines_until_arrival = self.lines_until_arrival.saturating_sub(1);
    }
}
