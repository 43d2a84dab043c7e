//! Owns the wait itself: trying arms, entering all of them, and leaving them again, whatever ends it.
//!
//! An arm that turns out to be ready when it is entered is not done there, for those that were entered before it may be done
//! by others at that moment: the wait is given up, and all are tried again.
//!
//! The unsafe code of this module is entering arms, and polling descriptors for them by tasks of their own.

use super::arm::Arm;
use super::choice::choose;
use crate::sync::channel::model::{Purpose, Wait, Waiter, Woken};
use crate::sync::channel::waiting::{Entry, Race};
use kettle_rt::driver::Op;
use kettle_rt::{JoinHandle, Outcome, now, operate, pass, raise_if_cancelled, shield, spawn};
use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::rc::Rc;

/// Which of the arms that are ready is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Each as often as the others.
    #[default]
    Fair,
    /// The one that was added first.
    Biased,
}

/// What [`Select::try_wait`](super::Select::try_wait) does, for arms that lie in an array.
#[doc(hidden)]
#[track_caller]
pub fn try_wait(arms: &mut [(usize, &mut dyn Arm)], order: Order) -> Option<usize> {
    // Whatever is chosen, so that the mistake shows every time.
    assert!(
        !arms.iter().any(|(_, arm)| arm.is_done()),
        "select among arms of which one has been chosen before: `finish` it, and make another one"
    );
    if order == Order::Fair {
        // Any order is as likely as any other, so the first one that is ready is any of those that are.
        for last in (1..arms.len()).rev() {
            arms.swap(last, choose(last + 1));
        }
    }
    arms.iter_mut().find_map(|(index, arm)| arm.attempt().then_some(*index))
}

/// What [`Select::wait`](super::Select::wait) does, for arms that lie in an array.
#[doc(hidden)]
#[track_caller]
pub fn wait(arms: &mut [(usize, &mut dyn Arm)], order: Order) -> usize {
    assert!(!arms.is_empty(), "select among no arms: it would wait for ever");
    pass();
    loop {
        if let Some(chosen) = try_wait(arms, order) {
            return chosen;
        }
        let place = if arms.iter().any(|(_, arm)| arm.descriptor().is_some()) {
            wait_polling(arms)
        } else {
            wait_once(arms, &Waiter::new(), &Race::new())
        };
        match place {
            Ok(Some(place)) => return arms[place].0,
            Ok(None) => {}
            Err(Cancelled) => {
                raise_if_cancelled();
                return arms[0].0;
            }
        }
    }
}

/// The task has been cancelled, and no arm has done anything.
struct Cancelled;

/// Arms that have been entered, and are left when this is dropped. After that nobody knows of them.
struct Entered<'a, 'b> {
    arms: &'a mut [(usize, &'b mut dyn Arm)],
    count: usize,
    waiter: &'a Waiter,
    race: &'a Race,
    is_notified: bool,
}

impl Drop for Entered<'_, '_> {
    fn drop(&mut self) {
        // Complete or given up, never both: who has won the race is about to notify.
        if !self.is_notified && !self.race.decide(Race::NOBODY) {
            self.waiter.wait_for_notice();
        }
        for (_, arm) in &mut self.arms[..self.count] {
            arm.leave();
            arm.take_back();
        }
    }
}

/// Enters all arms and waits. Gives the place of the one that has been done; none, if it is worth while to try them again.
#[track_caller]
fn wait_once(arms: &mut [(usize, &mut dyn Arm)], waiter: &Waiter, race: &Race) -> Result<Option<usize>, Cancelled> {
    let mut entered = Entered { arms, count: 0, waiter, race, is_notified: false };
    let mut woken = None;
    let mut deadline = None;
    if entered.enter_all() {
        let arms = &*entered.arms;
        deadline = arms.iter().filter_map(|(_, arm)| arm.deadline()).min();
        woken = waiter.wait_unless(Purpose::here(Wait::Select), deadline, || arms.iter().any(|(_, arm)| arm.is_over()));
        entered.is_notified = woken == Some(Woken::Notified);
    }
    drop(entered);
    match race.winner() {
        Some(place) => Ok(arms[place].1.complete().then_some(place)),
        None if woken == Some(Woken::Cancelled) => Err(Cancelled),
        // Where no time passes, for no task can be suspended, it never comes: the wait ends as if it had.
        None if woken == Some(Woken::TimedOut) && deadline > Some(now()) => {
            Ok(arms.iter().position(|(_, arm)| arm.deadline() == deadline))
        }
        None => Ok(None),
    }
}

impl Entered<'_, '_> {
    /// Gives whether all of them wait.
    fn enter_all(&mut self) -> bool {
        for (place, (_, arm)) in self.arms.iter_mut().enumerate() {
            self.count = place + 1;
            let entry = Entry { waiter: self.waiter, race: self.race, arm: place };
            // SAFETY: 1. an arm is behind a reference that this has. 2. This is dropped before its waiter and its race, which
            // it borrows, and leaves the arms then, when it has been notified or nobody will.
            if !unsafe { arm.enter(&entry) } {
                return false;
            }
        }
        true
    }
}

// --- descriptors ---

/// Tasks that poll descriptors. They are cancelled when this is dropped.
struct Pollers(Vec<JoinHandle<()>>);

impl Pollers {
    /// Waits for their end, cancelled or not: the descriptors may be closed after it.
    fn end(mut self) {
        self.cancel();
        shield(|| {
            for task in self.0.drain(..) {
                // Nothing in there panics.
                _ = task.join();
            }
        });
    }

    fn cancel(&self) {
        self.0.iter().for_each(JoinHandle::cancel);
    }
}

impl Drop for Pollers {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// `wait_once`, with a task for each descriptor.
///
/// # Panics
///
/// Where no task can be suspended: those tasks would not run.
#[track_caller]
fn wait_polling(arms: &mut [(usize, &mut dyn Arm)]) -> Result<Option<usize>, Cancelled> {
    let race = Rc::new((Race::new(), Cell::new(None::<NonNull<Waiter>>)));
    let mut pollers = Pollers(Vec::new());
    for (place, (_, arm)) in arms.iter().enumerate() {
        if let Some((fd, interest)) = arm.descriptor() {
            let (fd, race) = (fd.as_raw_fd(), Rc::clone(&race));
            pollers.0.push(spawn(move || {
                // SAFETY: a poll points to nothing.
                let polled = unsafe { operate(Op::Poll { fd, interest }, None) };
                let (race, waiter) = &*race;
                if matches!(polled, Outcome::Done(_)) && race.decide(place) {
                    let waiter = waiter.get().expect("invariant: it is there before this runs");
                    // SAFETY: 1. a race is decided once. 2. Whoever has lost it waits for this.
                    unsafe { Waiter::notify(waiter) };
                }
            }));
        }
    }
    // Not before: outside of `run` it is by these tasks that the thread becomes one.
    let waiter = Waiter::new();
    assert!(
        !waiter.blocks_thread(),
        "select a descriptor where nothing can wait for it: inside of a future, or in a destructor that runs by unwinding"
    );
    race.1.set(Some(NonNull::from(&waiter)));
    let result = wait_once(arms, &waiter, &race.0);
    pollers.end();
    result
}
