//! Owns news: what a lock guards, and who waits to see it changed. `watch` and `broadcast` are faces of it.
//!
//! Who waits is woken by every change, and looks for itself whether it has come for him.
//!
//! The unsafe code of this module is putting nodes into a list, and taking them out again before their frame goes.

use super::lock::Lock;
use super::model::{Purpose, Wait, Waiter, Woken};
use super::waiting::{List, Node};
use std::cell::UnsafeCell;
use std::task::Waker;
use std::time::Instant;

/// See the module.
pub(crate) struct News<S>(Lock<State<S>>);

struct State<S> {
    state: S,
    waiting: List<()>,
}

impl<S> News<S> {
    pub(crate) fn new(state: S) -> Self {
        Self(Lock::new(State { state, waiting: List::new() }))
    }

    /// Looks at it, or changes what nobody waits for.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        self.0.with(|news| f(&mut news.state))
    }

    /// Changes it, and wakes all who wait.
    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        let (result, all) = self.0.with(|news| (f(&mut news.state), news.waiting.claim_all()));
        drop(all);
        result
    }

    /// Waits until it has what is looked for, or until then. It raises no cancellation.
    #[track_caller]
    pub(crate) fn wait<R>(
        &self,
        mut look: impl FnMut(&mut S) -> Option<R>,
        wait: Wait,
        deadline: Option<Instant>,
    ) -> Result<R, Woken> {
        loop {
            let waiter = Waiter::new();
            let slot = UnsafeCell::new(None);
            let node = Node::new(&waiter, &slot);
            let found = self.0.with(|news| {
                let found = look(&mut news.state);
                if found.is_none() {
                    // SAFETY: 1. it has been claimed and notified, or removed, before this turn ends; nothing panics before
                    // that. 2. Nobody touches the slot. 3. It is this lock's.
                    unsafe { news.waiting.push(&node) };
                }
                found
            });
            if let Some(found) = found {
                return Ok(found);
            }
            let woken = waiter.wait_for(Purpose::here(wait), deadline);
            if woken != Woken::Notified {
                if self.0.with(|news| news.waiting.remove(&node)) {
                    return Err(woken);
                }
                waiter.wait_for_notice();
            }
        }
    }

    /// Waits for a change as one arm of several. Gives whether it does: not if there is what is looked for.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], where it waits, until [`leave`](Self::leave).
    pub(crate) unsafe fn enter(&self, node: &Node<()>, is_there: impl FnOnce(&S) -> bool) -> bool {
        self.0.with(|news| {
            let waits = !is_there(&news.state);
            if waits {
                // SAFETY: passed on.
                unsafe { news.waiting.push(node) };
            }
            waits
        })
    }

    /// Ends that.
    pub(crate) fn leave(&self, node: &Node<()>) {
        self.0.with(|news| news.waiting.remove(node));
    }

    /// Looks, and waits for a change as a future if there is nothing.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], until [`leave`](Self::leave).
    pub(crate) unsafe fn poll<R>(
        &self,
        node: &Node<()>,
        waker: Waker,
        look: impl FnOnce(&mut S) -> Option<R>,
    ) -> Option<R> {
        let (found, _before) = self.0.with(|news| {
            let found = look(&mut news.state);
            if found.is_some() {
                news.waiting.remove(node);
                return (found, Err(waker));
            }
            let before = node.listen(waker);
            if !node.is_queued() {
                // SAFETY: passed on.
                unsafe { news.waiting.push(node) };
            }
            (None, Ok(before))
        });
        found
    }
}
