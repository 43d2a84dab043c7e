//! Owns the sequencer: an order for what tasks do in a test, without sleeping.
#![forbid(unsafe_code)]

use crate::thread::{Thread, current, park};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Puts parts of tasks into an order, each by its number: trio's `Sequencer`. Tasks of all loops and threads may use one.
///
/// ```
/// use kettle_rt::testing::Sequencer;
/// use kettle_rt::{EventLoop, scope};
/// use std::cell::RefCell;
///
/// EventLoop::new()?.run(|| {
///     let (order, said) = (Sequencer::new(), RefCell::new(Vec::new()));
///     scope(|s| {
///         s.spawn(|| {
///             let _turn = order.at(1);
///             said.borrow_mut().push("tea");
///         });
///         s.spawn(|| {
///             let _turn = order.at(0);
///             said.borrow_mut().push("water");
///         });
///     });
///     assert_eq!(said.take(), ["water", "tea"]);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Sequencer {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whose turn it is.
    turn: usize,
    /// Whether it is being taken.
    is_taken: bool,
    /// Whether somebody has gone away who had a number.
    is_broken: bool,
    waiting: BTreeMap<usize, Thread>,
}

impl Sequencer {
    /// One whose first number is 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until all turns with lower numbers are over, from 0 on. The turn lasts until what this gives is dropped. A
    /// checkpoint, if it has to wait.
    ///
    /// # Panics
    ///
    /// If this number has had its turn, or somebody waits for it already; if somebody who waited for a turn was unwound:
    /// the order can't be kept then.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled is unwound here, and so is everybody who comes after it.
    #[must_use = "the turn is over when this is dropped"]
    pub fn at(&self, number: usize) -> Turn<'_> {
        let mut waits = Waits { sequencer: self, number, is_over: false };
        loop {
            let mut state = self.lock();
            if state.is_broken {
                drop(state);
                panic!("take turn {number}: the order is broken, somebody before was unwound");
            }
            let is_mine = state.waiting.get(&number).is_some_and(|thread| thread.id() == current().id());
            let is_free = state.turn == number && !state.is_taken;
            if !is_mine
                && (number < state.turn || state.waiting.contains_key(&number) || state.turn == number && !is_free)
            {
                waits.is_over = true;
                drop(state);
                panic!("take turn {number}: somebody has taken it, and each can be taken once");
            }
            if is_free {
                state.waiting.remove(&number);
                state.is_taken = true;
                waits.is_over = true;
                return Turn { sequencer: self };
            }
            state.waiting.insert(number, current());
            drop(state);
            park();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn break_off(&self) {
        let mut state = self.lock();
        state.is_broken = true;
        for thread in std::mem::take(&mut state.waiting).into_values() {
            thread.unpark();
        }
    }
}

/// Somebody waits for a turn.
struct Waits<'a> {
    sequencer: &'a Sequencer,
    number: usize,
    is_over: bool,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.sequencer.lock().waiting.remove(&self.number);
            self.sequencer.break_off();
        }
    }
}

/// A turn of a [`Sequencer`]. It is over when this is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    sequencer: &'a Sequencer,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.sequencer.lock();
        state.is_taken = false;
        state.turn += 1;
        if let Some(thread) = state.waiting.get(&state.turn) {
            thread.unpark();
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("turn", &self.turn).field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
