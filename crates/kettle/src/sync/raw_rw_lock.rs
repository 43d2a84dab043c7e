//! Owns who has an [`RwLock`](super::RwLock): any number of readers, or one writer.
//!
//! The word counts the readers, in steps of `READER`; `WRITER` says that a writer has it, and `QUEUED` that the queue is not
//! empty. `QUEUED` is set and cleared under the queue's lock only. While it is set, nobody takes the lock but from the queue:
//! whoever gives it back hands it over, to the writer at the front or to all readers there. So those who wait are served in
//! the order in which they came, and neither readers nor writers keep the others away.
//!
//! Who is about to hand something over has the queue's lock. Meanwhile others do no more than give back: a reader who was the
//! last finds `QUEUED`, and waits for the queue's lock in his turn.

use super::system::{
    AtomicUsize, Lock, LockGuard, Ordering, Wait, Woken, constant, here, raise_if_cancelled, refuse_to_wait,
};
use super::wait_queue::{Ended, Node, Notices, Patience, WaitQueue};
use std::thread;

/// Somebody waits. Never without somebody who has it, but for the moment in which it is handed over.
const QUEUED: usize = 1;
/// A writer has it. Never together with readers.
const WRITER: usize = 2;
/// One reader. As many as fit into the rest of the word.
const READER: usize = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct RawRwLock {
    word: AtomicUsize,
    /// The thread of the writer that has it, otherwise 0. Each thread clears its own number before it gives the lock back, so
    /// who reads his own knows that his thread has it.
    writer: AtomicUsize,
    queue: Lock<WaitQueue<Wish>>,
}

/// Who waits for it. Who is taken out of the queue has it.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Read,
    /// On this thread.
    Write(usize),
}

impl RawRwLock {
    constant! {
        pub(crate) const fn new() -> Self {
            Self { word: AtomicUsize::new(0), writer: AtomicUsize::new(0), queue: Lock::new(WaitQueue::new()) }
        }
    }

    #[inline]
    #[track_caller]
    pub(crate) fn read(&self) {
        if !self.try_read() {
            self.wait(Wish::Read);
        }
    }

    #[inline]
    #[track_caller]
    pub(crate) fn write(&self) {
        if !self.try_write() {
            self.wait(Wish::Write(here()));
        }
    }

    /// Takes it for a reader, unless a writer has it or somebody waits.
    #[inline]
    pub(crate) fn try_read(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WRITER | QUEUED) == 0 {
            match self.word.compare_exchange_weak(word, word + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
        false
    }

    /// Takes it for a writer, if nobody has it.
    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        let taken = self.word.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            self.writer.store(here(), Ordering::Relaxed);
        }
        taken
    }

    #[inline]
    pub(crate) fn unlock_read(&self) {
        // It acquires what other readers did before, for the writer that it is handed over to.
        if self.word.fetch_sub(READER, Ordering::AcqRel) - READER == QUEUED {
            self.hand_over();
        }
    }

    #[inline]
    pub(crate) fn unlock_write(&self) {
        self.writer.store(0, Ordering::Relaxed);
        if self.word.compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.word.fetch_and(!WRITER, Ordering::Release);
            self.hand_over();
        }
    }

    /// Makes a reader of the writer that has it; readers at the front of the queue join him.
    pub(crate) fn downgrade(&self) {
        self.writer.store(0, Ordering::Relaxed);
        let word = self.word.fetch_add(READER - WRITER, Ordering::Release);
        if word & QUEUED != 0 {
            self.hand_over();
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn wait(&self, wish: Wish) {
        let mut patience = Patience::endless(match wish {
            Wish::Read => Wait::ReadLock,
            Wish::Write(_) => Wait::WriteLock,
        });
        loop {
            let queue = self.queue.lock();
            let node = Node::new(wish);
            // Who keeps a thread from running goes before tasks of that thread, which could not use the lock.
            let goes_first = thread::panicking();
            if self.take_or_announce(wish, goes_first || queue.is_empty()) {
                return;
            }
            if node.blocks_thread() && self.writer.load(Ordering::Relaxed) == here() {
                self.settle(queue);
                refuse_to_wait(
                    patience.purpose(),
                    "lock what this thread has locked already, where no task can be suspended: it would wait for ever",
                );
            }
            let node = if goes_first { node.first() } else { node };
            match node.wait(&self.queue, queue, |queue| queue, patience) {
                Ended::Notified { woken: Woken::Cancelled, .. } => match wish {
                    Wish::Read => self.unlock_read(),
                    Wish::Write(_) => self.unlock_write(),
                },
                Ended::Notified { .. } => return,
                // Others may have waited for this one only.
                Ended::GaveUp { guard, .. } => self.settle(guard),
            }
            raise_if_cancelled();
            // Where panics abort nothing is raised, and there is no lock without waiting.
            patience = patience.shielded();
        }
    }

    /// Takes it after all, if it is this one's turn, or says in the word that somebody waits. Called under the queue's lock.
    fn take_or_announce(&self, wish: Wish, is_next: bool) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let taken = match wish {
                Wish::Read if is_next && word & WRITER == 0 => Some(word + READER),
                Wish::Write(_) if is_next && word & !QUEUED == 0 => Some(word | WRITER),
                _ => None,
            };
            let next = taken.unwrap_or(word | QUEUED);
            match self.word.compare_exchange_weak(word, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    if let (Some(_), Wish::Write(thread)) = (taken, wish) {
                        self.writer.store(thread, Ordering::Relaxed);
                    }
                    return taken.is_some();
                }
                Err(other) => word = other,
            }
        }
    }

    /// Somebody has given something back, and somebody waits.
    #[cold]
    #[inline(never)]
    fn hand_over(&self) {
        self.settle(self.queue.lock());
    }

    /// Hands over what there is to hand over, and corrects the word.
    fn settle(&self, mut queue: LockGuard<'_, WaitQueue<Wish>>) {
        let mut notices = Notices::new();
        while let Some(wish) = queue.first() {
            let wish = *wish;
            let word = self.word.load(Ordering::Relaxed);
            let next = match wish {
                Wish::Read if word & WRITER == 0 => word + READER,
                Wish::Write(_) if word & !QUEUED == 0 => word | WRITER,
                _ => break,
            };
            // A reader may have given it back meanwhile; then look again.
            if self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            if let Wish::Write(thread) = wish {
                self.writer.store(thread, Ordering::Relaxed);
            }
            notices.add(queue.pop().expect("invariant: somebody is at the front"));
        }
        if queue.is_empty() {
            self.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        drop(queue);
        drop(notices);
    }
}
