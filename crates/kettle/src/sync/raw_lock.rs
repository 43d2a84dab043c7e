//! Owns who has a [`Mutex`](super::Mutex): taking it, waiting for it, handing it over.
//!
//! The word says who: 0, or the number of the holder's thread; its lowest bit says that the queue is not empty. It is set,
//! and cleared, under the queue's lock only. As long as it is not set, taking and giving back are one exchange each.
//!
//! ```text
//!             take                        queue                            give back
//!   0        ───────▶ thread ───────────────────▶ thread | QUEUED ──┬──────────────────▶ QUEUED, and the first is woken
//!            ◀───────                                               └─ it was woken in vain ─▶ its thread | QUEUED
//!            give back
//! ```
//!
//! Who is woken takes it if nobody was faster. If somebody was, he goes back to the front of the queue, and who gives it
//! back next hands it over: so each waits for those before him and for two turns of others at most, and nobody is woken
//! each time for a lock that is used by one who never waits.

use super::system::{
    AtomicUsize, Lock, Ordering, Wait, Woken, constant, here, raise_if_cancelled, refuse_to_wait, spin_loop,
};
use super::wait_queue::{Ended, Node, Patience, WaitQueue};
use std::thread;

/// Nobody has it, and nobody waits.
const FREE: usize = 0;
/// Somebody waits. Beside it, who has it.
const QUEUED: usize = 1;

/// How often a lock that another thread has is looked at before this one queues.
#[cfg(not(loom))]
const SPINS: usize = 40;
#[cfg(loom)]
const SPINS: usize = 0;

/// See the module.
#[derive(Debug)]
pub(crate) struct RawLock {
    word: AtomicUsize,
    queue: Lock<WaitQueue<Wish>>,
}

/// Who waits for it.
#[derive(Clone, Copy, Debug)]
struct Wish {
    thread: usize,
    /// It was woken, and somebody else was faster.
    was_in_vain: bool,
    /// It has the lock. Set by who gave it back.
    is_handed_over: bool,
}

impl RawLock {
    constant! {
        pub(crate) const fn new() -> Self {
            Self { word: AtomicUsize::new(FREE), queue: Lock::new(WaitQueue::new()) }
        }
    }

    /// Takes it, and waits for it if it has to.
    #[inline]
    #[track_caller]
    pub(crate) fn lock(&self) {
        if !self.try_free() {
            self.wait(Patience::endless(Wait::Mutex));
        }
    }

    /// The same, cancelled or not.
    #[inline]
    #[track_caller]
    pub(crate) fn lock_shielded(&self) {
        if !self.try_free() {
            self.wait(Patience::endless(Wait::Mutex).shielded());
        }
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        self.try_free() || self.try_past_queue().is_ok()
    }

    /// Gives it back. It was taken by this thread.
    #[inline]
    pub(crate) fn unlock(&self) {
        if self.word.compare_exchange(here(), FREE, Ordering::Release, Ordering::Relaxed).is_err() {
            self.unlock_for_next();
        }
    }

    #[inline]
    fn try_free(&self) -> bool {
        self.word.compare_exchange(FREE, here(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes it if nobody has it, whether or not somebody waits. Otherwise gives the word.
    fn try_past_queue(&self) -> Result<(), usize> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !QUEUED == FREE {
            match self.word.compare_exchange_weak(word, here() | word, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => word = other,
            }
        }
        Err(word)
    }

    /// Takes it after all, or says in its word that somebody waits, and gives who has it. Called under the queue's lock.
    fn take_or_announce(&self) -> Result<(), usize> {
        loop {
            let word = match self.try_past_queue() {
                Ok(()) => return Ok(()),
                Err(word) => word,
            };
            if word & QUEUED != 0
                || self.word.compare_exchange(word, word | QUEUED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                return Err(word & !QUEUED);
            }
        }
    }

    /// Looks at it for a while: a thread may be about to give it back. A task of this one gives nothing back meanwhile, and
    /// behind others that wait there is nothing to be had soon.
    fn spin(&self) -> bool {
        for _ in 0..SPINS {
            match self.try_past_queue() {
                Ok(()) => return true,
                Err(word) if word & QUEUED != 0 || word == here() => return false,
                Err(_) => spin_loop(),
            }
        }
        false
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn wait(&self, mut patience: Patience) {
        if self.spin() {
            return;
        }
        let mut wish = Wish { thread: here(), was_in_vain: false, is_handed_over: false };
        loop {
            let guard = self.queue.lock();
            let Err(holder) = self.take_or_announce() else { return };
            let node = Node::new(wish);
            if node.blocks_thread() && holder == here() {
                self.clear_announcement(&guard);
                drop(guard);
                refuse_to_wait(
                    patience.purpose(),
                    "lock what this thread has locked already, where no task can be suspended: it would wait for ever",
                );
            }
            // Who keeps a thread from running goes before tasks of that thread, which could not use the lock.
            let node = if wish.was_in_vain || thread::panicking() { node.first() } else { node };
            match node.wait(&self.queue, guard, |queue| queue, patience) {
                Ended::Notified { payload, woken: Woken::Notified } => {
                    if payload.is_handed_over || self.try_past_queue().is_ok() {
                        return;
                    }
                    wish.was_in_vain = true;
                    continue;
                }
                // It came together with the end, and is for somebody else.
                Ended::Notified { payload, .. } if payload.is_handed_over => self.unlock(),
                Ended::Notified { .. } => self.wake_next(),
                Ended::GaveUp { guard, .. } => self.clear_announcement(&guard),
            }
            raise_if_cancelled();
            // Where panics abort nothing is raised, and there is no lock without waiting.
            patience = patience.shielded();
        }
    }

    /// Gives it back to those who wait.
    #[cold]
    #[inline(never)]
    fn unlock_for_next(&self) {
        let mut queue = self.queue.lock();
        let mut notice = queue.pop();
        let rest = if queue.is_empty() { 0 } else { QUEUED };
        let next = match &mut notice {
            Some(wish) if wish.was_in_vain => {
                wish.is_handed_over = true;
                wish.thread
            }
            _ => FREE,
        };
        self.word.store(next | rest, Ordering::Release);
        drop(queue);
        drop(notice);
    }

    /// Whom the lock's last holder has woken does not take it. If nobody else has, it is the next one's turn.
    fn wake_next(&self) {
        let mut queue = self.queue.lock();
        // Whoever has it wakes the next when he gives it back.
        if self.word.load(Ordering::Relaxed) & !QUEUED == FREE {
            let notice = queue.pop();
            self.clear_announcement(&queue);
            drop(queue);
            drop(notice);
        }
    }

    /// Somebody has left the queue.
    fn clear_announcement(&self, queue: &WaitQueue<Wish>) {
        if queue.is_empty() {
            self.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
    }
}
