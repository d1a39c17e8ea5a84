//! Turns: what threads make beside each other is put together one after another, in order.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What one thread at a time may touch, in the order of tickets.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// The ticket whose turn it is.
    next: u64,
    /// Nobody's turn comes any more.
    is_stopped: bool,
    in_order: T,
}

/// The right to a turn. Where it is thrown away unused, as by a panic, all stop: the turns after it
/// would never come.
#[derive(Debug)]
pub(crate) struct Ticket<'t, T> {
    turns: &'t Turns<T>,
    number: u64,
    is_used: bool,
}

/// A turn; the next one begins when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t, T> {
    turns: &'t Turns<T>,
    state: MutexGuard<'t, State<T>>,
}

impl<T> Turns<T> {
    pub(crate) fn new(in_order: T) -> Self {
        Self {
            state: Mutex::new(State {
                next: 0,
                is_stopped: false,
                in_order,
            }),
            changed: Condvar::new(),
        }
    }

    /// The ticket with this number. They count from 0, and each is given to somebody.
    pub(crate) fn ticket(&self, number: u64) -> Ticket<'_, T> {
        Ticket {
            turns: self,
            number,
            is_used: false,
        }
    }

    /// Whether no turn comes any more.
    pub(crate) fn are_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    pub(crate) fn into_inner(self) -> T {
        let state = self.state.into_inner();
        state.unwrap_or_else(PoisonError::into_inner).in_order
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // After a panic in a turn they are stopped, which is all that is looked at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, mut state: MutexGuard<'_, State<T>>) {
        state.is_stopped = true;
        self.changed.notify_all();
    }
}

impl<'t, T> Ticket<'t, T> {
    /// Which one it is.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Waits until all turns before it are over. `None` where they were stopped.
    pub(crate) fn wait(mut self) -> Option<Turn<'t, T>> {
        self.is_used = true;
        let turns = self.turns;
        let is_early = |state: &mut State<T>| state.next != self.number && !state.is_stopped;
        let state = turns.changed.wait_while(turns.lock(), is_early);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        (!state.is_stopped).then_some(Turn { turns, state })
    }
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        if !self.is_used {
            self.turns.stop(self.turns.lock());
        }
    }
}

impl<T> Turn<'_, T> {
    /// Nobody's turn comes after this one.
    pub(crate) fn stop(mut self) {
        self.state.is_stopped = true;
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state.in_order
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state.in_order
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.state.next += 1;
        self.state.is_stopped |= thread::panicking();
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn turns_come_in_the_order_of_tickets() {
        let turns = Turns::new(Vec::new());
        let tickets = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let number @ 0..1_000 = tickets.fetch_add(1, Ordering::Relaxed) {
                        turns.ticket(number).wait().unwrap().push(number);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), Vec::from_iter(0..1_000));
    }

    /// Ticket 1 waits; then something becomes of ticket 0.
    fn waiting(of_ticket_0: impl FnOnce(Ticket<'_, ()>)) -> bool {
        let turns = Turns::new(());
        thread::scope(|scope| {
            let (ticket_0, ticket_1) = (turns.ticket(0), turns.ticket(1));
            let waiting = scope.spawn(|| ticket_1.wait().is_some());
            of_ticket_0(ticket_0);
            let has_turn = waiting.join().unwrap();
            assert_eq!(turns.are_stopped(), !has_turn);
            has_turn
        })
    }

    #[test]
    fn nobody_waits_for_a_turn_that_never_comes() {
        assert!(waiting(|ticket| drop(ticket.wait())));
        assert!(!waiting(|ticket| ticket.wait().unwrap().stop()));
        assert!(!waiting(|ticket| {
            let _thrown_away = ticket;
        }));
        assert!(!waiting(|ticket| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _turn = ticket.wait();
                unreachable!("in a turn");
            }));
            assert!(panicked.is_err());
        }));
    }
}
