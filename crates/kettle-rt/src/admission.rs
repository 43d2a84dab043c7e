//! Owns how tasks come into a loop and how they leave it: counted, and members of the region that waits for them.
//!
//! A task of a region with a limit comes in twice: when it is made it belongs to the loop, which has it end; when its turn has
//! come, it is put into the ready queue. What is held back meanwhile the region's queue owns as well.
//!
//! The unsafe code of this module is letting go of tasks.

use crate::cancelled::Reason;
use crate::event_loop::{Loop, home_of, refuse_to_go_on};
use crate::foreign::wake;
use crate::header::{Flags, Region, State, TaskRef};
use crate::region;

/// How many lists of members are kept.
const LISTS: usize = 64;

impl Loop {
    /// Takes in a task that was made.
    #[inline]
    pub(crate) fn admit(&self, task: TaskRef) {
        self.count_in(task);
        self.ready.borrow_mut().push_back(task);
    }

    #[inline]
    fn count_in(&self, task: TaskRef) {
        self.live.set(self.live.get() + 1);
        if let Some(order) = &self.order {
            order.admit(task, self.current.get());
        }
        if self.closing.get() {
            task.asked.set(Some(Reason::Shutdown));
            task.set(Flags::CANCELLED);
        }
    }

    /// Takes in a task that was made in a region, which will wait for it.
    pub(crate) fn admit_to(&self, region: &Region, task: TaskRef) {
        if region.members.borrow().capacity() == 0 {
            region.members.replace(self.lists.borrow_mut().pop().unwrap_or_default());
        }
        region::adopt(region, task);
        self.count_in(task);
        // One that is cancelled ends at once, so it needs no turn.
        if task.is(Flags::CANCELLED) || !region::hold(region, task) {
            self.ready.borrow_mut().push_back(task);
        }
    }

    /// Starts tasks that a region has held, as far as it has turns for them.
    pub(crate) fn give_turns(&self, region: &Region) {
        while let Some(task) = region::next_turn(region) {
            if task.is(Flags::HELD) {
                self.give_turn(region, task);
            }
            // SAFETY: the region's queue has owned it. One that was held belongs to the loop as well.
            unsafe { task.let_go() };
        }
    }

    pub(crate) fn give_turn(&self, region: &Region, task: TaskRef) {
        region::release_turn(region, task);
        if let Some(home) = home_of(task) {
            home.ready.borrow_mut().push_back(task);
        }
    }

    /// What follows a task's end.
    pub(crate) fn end(&self, task: TaskRef) {
        if self.is_copy.get() {
            refuse_to_go_on();
        }
        drop(task.stack.take());
        task.state.set(State::Ended);
        self.live.set(self.live.get() - 1);
        if let Some(order) = &self.order {
            order.end(task);
        }
        if task.has_rare() {
            self.end_rare(task);
        }
        if let Some(joiner) = task.joiner.take() {
            self.wake(joiner);
        }
        while let Some(region) = region::abandon(task) {
            self.set_deadline(region, None);
        }
        if let Some((family, is_last)) = region::release(task) {
            if task.is(Flags::PANICKED) {
                family.unheard.set(family.unheard.get() + 1);
                if family.is_group {
                    self.cancel_region(family, Reason::Sibling);
                }
            }
            self.give_turns(family);
            if is_last && let Some(waiter) = family.waiter.take() {
                self.wake(waiter);
            }
        }
        // SAFETY: the loop has owned it until now. (A joiner has a handle.)
        unsafe { task.let_go() };
    }

    /// Tells those of a task's end whom few tasks have.
    #[cold]
    fn end_rare(&self, task: TaskRef) {
        let waker = task.with_rare(|rare| {
            rare.remote.iter().chain(&rare.foreign).for_each(|remote| remote.end());
            rare.waker.take()
        });
        if let Some(waker) = waker {
            wake(waker);
        }
    }

    /// A task leaves a region. Gives whether it is cancelled outside as well.
    pub(crate) fn leave(&self, task: TaskRef, region: &Region) -> bool {
        self.set_deadline(region, None);
        let list = region.members.take();
        if list.capacity() > 0 && self.lists.borrow().len() < LISTS {
            self.lists.borrow_mut().push(list);
        }
        region::leave(task, region)
    }
}
