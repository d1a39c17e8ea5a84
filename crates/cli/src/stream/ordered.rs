//! An ordered critical section: threads enter one at a time, in the order of their tickets.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A value that threads change one at a time, in the order of their tickets.
#[derive(Debug)]
pub(crate) struct Ordered<T> {
    turns: Mutex<Turns<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Turns<T> {
    /// The ticket that may enter.
    next: u64,
    /// No ticket may enter any more.
    is_stopped: bool,
    value: T,
}

/// The right to one turn. A ticket that is dropped unused, as by a panic, stops everything:
/// otherwise later tickets would wait for ever.
#[derive(Debug)]
pub(crate) struct Ticket<'t, T> {
    ordered: &'t Ordered<T>,
    number: u64,
    is_used: bool,
}

/// A turn: access to the value. The next turn begins when this one is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t, T> {
    ordered: &'t Ordered<T>,
    turns: MutexGuard<'t, Turns<T>>,
}

impl<T> Ordered<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            turns: Mutex::new(Turns {
                next: 0,
                is_stopped: false,
                value,
            }),
            changed: Condvar::new(),
        }
    }

    /// The ticket with this number. Numbers count from 0; each must be handed out once.
    pub(crate) fn ticket(&self, number: u64) -> Ticket<'_, T> {
        Ticket {
            ordered: self,
            number,
            is_used: false,
        }
    }

    /// Whether no turn comes any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    pub(crate) fn into_inner(self) -> T {
        let turns = self.turns.into_inner();
        turns.unwrap_or_else(PoisonError::into_inner).value
    }

    fn lock(&self) -> MutexGuard<'_, Turns<T>> {
        // A panic in a turn sets `is_stopped`; nothing else is read after it.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, mut turns: MutexGuard<'_, Turns<T>>) {
        turns.is_stopped = true;
        self.changed.notify_all();
    }
}

impl<'t, T> Ticket<'t, T> {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Waits until all earlier turns are over. `None` if they were stopped.
    pub(crate) fn wait(mut self) -> Option<Turn<'t, T>> {
        self.is_used = true;
        let ordered = self.ordered;
        let is_early = |turns: &mut Turns<T>| turns.next != self.number && !turns.is_stopped;
        let turns = ordered.changed.wait_while(ordered.lock(), is_early);
        let turns = turns.unwrap_or_else(PoisonError::into_inner);
        (!turns.is_stopped).then_some(Turn { ordered, turns })
    }
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        if !self.is_used {
            self.ordered.stop(self.ordered.lock());
        }
    }
}

impl<T> Turn<'_, T> {
    /// Makes this turn the last one.
    pub(crate) fn stop(mut self) {
        self.turns.is_stopped = true;
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.turns.value
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.turns.value
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.turns.next += 1;
        self.turns.is_stopped |= thread::panicking();
        self.ordered.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn turns_come_in_the_order_of_tickets() {
        let ordered = Ordered::new(Vec::new());
        let tickets = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let number @ 0..1_000 = tickets.fetch_add(1, Ordering::Relaxed) {
                        ordered.ticket(number).wait().unwrap().push(number);
                    }
                });
            }
        });
        assert_eq!(ordered.into_inner(), Vec::from_iter(0..1_000));
    }

    /// Whether ticket 1 gets its turn after `use_ticket_0`.
    fn ticket_1_enters(use_ticket_0: impl FnOnce(Ticket<'_, ()>)) -> bool {
        let ordered = Ordered::new(());
        thread::scope(|scope| {
            let (ticket_0, ticket_1) = (ordered.ticket(0), ordered.ticket(1));
            let waiting = scope.spawn(|| ticket_1.wait().is_some());
            use_ticket_0(ticket_0);
            let has_turn = waiting.join().unwrap();
            assert_eq!(ordered.is_stopped(), !has_turn);
            has_turn
        })
    }

    #[test]
    fn a_thread_does_not_wait_for_a_turn_that_never_comes() {
        assert!(ticket_1_enters(|ticket| drop(ticket.wait())));
        assert!(!ticket_1_enters(|ticket| ticket.wait().unwrap().stop()));
        assert!(!ticket_1_enters(|ticket| {
            let _dropped_unused = ticket;
        }));
        assert!(!ticket_1_enters(|ticket| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _turn = ticket.wait();
                unreachable!("in a turn");
            }));
            assert!(panicked.is_err());
        }));
    }
}
