//! Owns the queue of those who wait: first come, first served, without an allocation.
//!
//! A [`Node`] lies in the frame of who waits, and [`wait`](Node::wait) does not return before it is out of the queue and
//! nobody else knows it. A queue has no lock of its own: it lies inside its user's [`Lock`], together with what the waiting
//! is for. Each node carries a payload: how much is wanted, or a place for what is handed over.
//!
//! Who takes a node out of the queue gets a [`Notice`], through which he reads and writes the payload; dropping it wakes who
//! waits, and is best done when the lock has been released. Several are collected in [`Notices`].
//!
//! ```text
//!   who waits                                     who notifies
//!   lock; nothing there? insert the node, unlock  lock; notice = queue.pop(), unlock
//!   suspended ── Notified ─────────────────────── notice.0 = …; drop(notice)
//!     │ TimedOut, Cancelled
//!   lock; still in the queue? take it out ──────▶ Ended::GaveUp, with the lock still held
//!     │ no: somebody has its notice
//!   suspended, whatever comes ─────────────────── drop(notice) ──▶ Ended::Notified
//! ```
//!
//! The unsafe code of this module is finding nodes by their addresses.

use super::system::{Lock, LockGuard, Purpose, Wait, Waiter, Woken, shield};
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::process;
use std::ptr::NonNull;
use std::time::Instant;

/// Those who wait, in the order in which they came. Used under its user's [`Lock`].
pub(crate) struct WaitQueue<T> {
    first: Link<T>,
    last: Link<T>,
}

type Link<T> = Option<NonNull<Node<T>>>;

/// One who waits. Made where it is needed, and consumed by waiting.
pub(crate) struct Node<T> {
    waiter: Waiter,
    goes_first: bool,
    /// Its neighbours in the queue. Read and written under the queue's lock; when it is out of the queue, by its notice.
    before: Cell<Link<T>>,
    after: Cell<Link<T>>,
    /// Written and read under the queue's lock.
    is_queued: Cell<bool>,
    /// Whoever has the lock reads it, as long as the node is in the queue; then it belongs to the notice, then to who waited.
    payload: UnsafeCell<T>,
}

/// What a wait is for, and what ends it besides a notice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    purpose: Purpose,
    deadline: Option<Instant>,
    is_shielded: bool,
}

impl Patience {
    /// Nothing but the task's cancellation.
    #[track_caller]
    pub(crate) fn endless(wait: Wait) -> Self {
        Self::until(wait, None)
    }

    /// A time as well, if there is one.
    #[track_caller]
    pub(crate) fn until(wait: Wait, deadline: Option<Instant>) -> Self {
        Self { purpose: Purpose::here(wait), deadline, is_shielded: false }
    }

    /// What the wait is for.
    pub(crate) fn purpose(self) -> Purpose {
        self.purpose
    }

    /// The same without the cancellation: for waits that have to be, and for who was cancelled where panics abort, and goes
    /// on waiting.
    pub(crate) fn shielded(self) -> Self {
        Self { is_shielded: true, ..self }
    }
}

/// How a wait has ended.
pub(crate) enum Ended<'a, Q, T> {
    /// By a notice. If it crossed the end of time or a cancellation, `woken` says so: what was handed over is here all the
    /// same, and who does not want it any more passes it on.
    Notified { payload: T, woken: Woken },
    /// By time or cancellation. It is out of the queue, as of the same moment as what is done under this guard.
    GaveUp {
        #[allow(dead_code, reason = "a lock has no use for it; who sends gets back what nobody took")]
        payload: T,
        woken: Woken,
        guard: LockGuard<'a, Q>,
    },
}

/// Who was taken out of a queue, and is woken when this is dropped. Until then the payload is at hand.
pub(crate) struct Notice<T>(NonNull<Node<T>>);

/// Several of them, woken in their order when this is dropped.
pub(crate) struct Notices<T>(WaitQueue<T>);

impl<T> Node<T> {
    /// A wait of the current task, or of the thread where there is none to suspend.
    #[inline]
    pub(crate) fn new(payload: T) -> Self {
        Self {
            waiter: Waiter::new(),
            goes_first: false,
            before: Cell::new(None),
            after: Cell::new(None),
            is_queued: Cell::new(false),
            payload: UnsafeCell::new(payload),
        }
    }

    /// Whether it blocks its thread, for there is no task to suspend.
    pub(crate) fn blocks_thread(&self) -> bool {
        self.waiter.blocks_thread()
    }

    /// It goes to the front: for who has waited before, and for who keeps a whole thread waiting, others in the queue
    /// included.
    pub(crate) fn first(mut self) -> Self {
        self.goes_first = true;
        self
    }

    /// Waits in a queue of what the guard guards. The lock is released meanwhile.
    pub(crate) fn wait<'a, Q>(
        self,
        lock: &'a Lock<Q>,
        guard: LockGuard<'a, Q>,
        queue: fn(&mut Q) -> &mut WaitQueue<T>,
        patience: Patience,
    ) -> Ended<'a, Q, T> {
        self.wait_after(lock, guard, queue, patience, || ())
    }

    /// The same, with something to be done when it is in the queue and the lock has been released. That must not panic.
    pub(crate) fn wait_after<'a, Q>(
        self,
        lock: &'a Lock<Q>,
        mut guard: LockGuard<'a, Q>,
        queue: fn(&mut Q) -> &mut WaitQueue<T>,
        patience: Patience,
        before_waiting: impl FnOnce(),
    ) -> Ended<'a, Q, T> {
        let node = self;
        let address = NonNull::from(&node);
        let bomb = Bomb;
        // SAFETY: 1. it stays where it is until it is out of the queue and has been notified, for this returns no earlier, and
        // does not unwind. 2. It is in no queue.
        unsafe { queue(&mut guard).insert(address) };
        drop(guard);
        before_waiting();
        let wait = || node.waiter.wait_for(patience.purpose, patience.deadline);
        let woken = if patience.is_shielded { shield(wait) } else { wait() };
        let mut gave_up = None;
        if woken != Woken::Notified {
            let mut guard = lock.lock();
            if node.is_queued.get() {
                // SAFETY: it is in that queue, for it is in one.
                unsafe { queue(&mut guard).remove(address) };
                gave_up = Some(guard);
            } else {
                drop(guard);
                node.waiter.wait_for_notice();
            }
        }
        mem::forget(bomb);
        let payload = node.payload.into_inner();
        match gave_up {
            Some(guard) => Ended::GaveUp { payload, woken, guard },
            None => Ended::Notified { payload, woken },
        }
    }
}

/// A frame that others know must not be left: unwinding out of it ends the process.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        process::abort();
    }
}

impl<T> WaitQueue<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None, last: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The payload of who is next.
    pub(crate) fn first(&self) -> Option<&T> {
        let first = self.first?;
        // SAFETY: a node in the queue is there; taking it out takes `&mut self`.
        let node = unsafe { first.as_ref() };
        // SAFETY: as long as it is in the queue its payload is only read.
        Some(unsafe { &*node.payload.get() })
    }

    /// Takes out who is next.
    pub(crate) fn pop(&mut self) -> Option<Notice<T>> {
        let first = self.first?;
        // SAFETY: it is in this queue.
        unsafe { self.remove(first) };
        Some(Notice(first))
    }

    /// Takes out all.
    pub(crate) fn pop_all(&mut self) -> Notices<T> {
        let mut notices = Notices::new();
        while let Some(notice) = self.pop() {
            notices.add(notice);
        }
        notices
    }

    /// Puts a node where it belongs.
    ///
    /// # Safety
    ///
    /// 1. It stays where it is until it has been taken out, and from then on until it has been notified or it was taken out by
    ///    whoever waits. 2. It is in no queue.
    unsafe fn insert(&mut self, address: NonNull<Node<T>>) {
        // SAFETY: by the obligation.
        let node = unsafe { address.as_ref() };
        let (before, after) = if node.goes_first { (None, self.first) } else { (self.last, None) };
        node.is_queued.set(true);
        self.link(before, Some(address));
        self.link(Some(address), after);
    }

    /// Takes a node out.
    ///
    /// # Safety
    ///
    /// It is in this queue.
    unsafe fn remove(&mut self, address: NonNull<Node<T>>) {
        // SAFETY: by the obligation; what is in the queue is there.
        let node = unsafe { address.as_ref() };
        node.is_queued.set(false);
        self.link(node.before.take(), node.after.take());
    }

    /// Makes two nodes neighbours; where one is missing, the other one is at an end.
    fn link(&mut self, before: Link<T>, after: Link<T>) {
        match before {
            // SAFETY: a node in the queue is there.
            Some(before) => unsafe { before.as_ref() }.after.set(after),
            None => self.first = after,
        }
        match after {
            // SAFETY: as above.
            Some(after) => unsafe { after.as_ref() }.before.set(before),
            None => self.last = before,
        }
    }
}

// SAFETY: what it has of others' frames are nodes, which are used under the queue's lock, and payloads, which may be sent;
// waiters are notified from any thread.
unsafe impl<T: Send> Send for WaitQueue<T> {}

impl<T> fmt::Debug for WaitQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl<T> Deref for Notice<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is there until it is notified, which is when this is dropped.
        let node = unsafe { self.0.as_ref() };
        // SAFETY: out of the queue, the payload is the notice's.
        unsafe { &*node.payload.get() }
    }
}

impl<T> DerefMut for Notice<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        let node = unsafe { self.0.as_ref() };
        // SAFETY: as above.
        unsafe { &mut *node.payload.get() }
    }
}

impl<T> Drop for Notice<T> {
    fn drop(&mut self) {
        // SAFETY: it is there until it is notified.
        let waiter = NonNull::from(unsafe { &self.0.as_ref().waiter });
        // SAFETY: 1. a node is taken out of its queue once, and this is the notice of that. 2. Who waits does not go before.
        unsafe { Waiter::notify(waiter) };
    }
}

impl<T> Notices<T> {
    pub(crate) fn new() -> Self {
        Self(WaitQueue::new())
    }

    pub(crate) fn add(&mut self, notice: Notice<T>) {
        let last = self.0.last;
        // Neighbours here are those of a list, not of the queue: `is_queued` stays as it is.
        self.0.link(last, Some(notice.0));
        self.0.link(Some(notice.0), None);
        mem::forget(notice);
    }
}

impl<T> Drop for Notices<T> {
    fn drop(&mut self) {
        while let Some(first) = self.0.first {
            // SAFETY: it has not been notified, so it is there.
            let after = unsafe { first.as_ref() }.after.take();
            // The next one is at the front now; who was there may go with the next line.
            self.0.link(None, after);
            drop(Notice(first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kettle_rt::{EventLoop, now, scope, yield_now};
    use std::cell::RefCell;
    use std::thread;

    type Queue = Lock<WaitQueue<u32>>;

    /// Waits, and gives the payload and what has woken it; the payload is 0 if it gave up.
    fn wait(lock: &Queue, node: Node<u32>, patience: Patience) -> (u32, Woken) {
        match node.wait(lock, lock.lock(), |queue| queue, patience) {
            Ended::Notified { payload, woken } => (payload, woken),
            Ended::GaveUp { woken, .. } => (0, woken),
        }
    }

    fn run<T>(f: impl FnOnce() -> T) -> T {
        EventLoop::new().expect("a loop").run(f)
    }

    #[test]
    fn who_came_first_is_taken_out_first() {
        run(|| {
            let lock = Queue::new(WaitQueue::new());
            let woken = RefCell::new(Vec::new());
            scope(|s| {
                for n in [1, 2, 3, 4] {
                    let (lock, woken) = (&lock, &woken);
                    s.spawn(move || {
                        let node = Node::new(n);
                        let node = if n == 4 { node.first() } else { node };
                        let (payload, _) = wait(lock, node, Patience::endless(Wait::Notice));
                        woken.borrow_mut().push(payload);
                    });
                }
                yield_now();
                assert_eq!(lock.lock().first(), Some(&4));
                let mut notice = lock.lock().pop().expect("four wait");
                *notice += 10;
                drop(notice);
                drop(lock.lock().pop_all());
                assert!(lock.lock().pop().is_none());
            });
            assert_eq!(woken.into_inner(), [14, 1, 2, 3]);
        });
    }

    #[test]
    fn who_gives_up_is_out_of_the_queue_wherever_he_was() {
        run(|| {
            for leaves in [0, 1, 2] {
                let lock = Queue::new(WaitQueue::new());
                let woken = RefCell::new(Vec::new());
                scope(|s| {
                    let tasks = [0, 1, 2].map(|n| {
                        let (lock, woken) = (&lock, &woken);
                        s.spawn(move || {
                            let (_, how) = wait(lock, Node::new(n), Patience::endless(Wait::Notice));
                            woken.borrow_mut().push((n, how));
                        })
                    });
                    yield_now();
                    tasks[leaves].cancel();
                    yield_now();
                    drop(lock.lock().pop_all());
                });
                let woken = woken.into_inner();
                assert_eq!(woken[0], (leaves as u32, Woken::Cancelled));
                let rest: Vec<_> = [0, 1, 2].into_iter().filter(|n| *n != leaves as u32).collect();
                assert_eq!(woken[1..].iter().map(|(n, _)| *n).collect::<Vec<_>>(), rest);
            }
            let lock = Queue::new(WaitQueue::new());
            assert_eq!(wait(&lock, Node::new(1), Patience::until(Wait::Notice, Some(now()))), (0, Woken::TimedOut));
            assert!(lock.lock().is_empty());
        });
    }

    #[test]
    fn a_notice_that_crosses_a_cancellation_is_waited_for() {
        run(|| {
            let lock = Queue::new(WaitQueue::new());
            scope(|s| {
                let task = s.spawn(|| wait(&lock, Node::new(1), Patience::endless(Wait::Notice)));
                yield_now();
                let mut notice = lock.lock().pop().expect("one waits");
                task.cancel();
                yield_now();
                assert!(!task.is_finished());
                *notice = 2;
                drop(notice);
                assert_eq!(task.join().expect("not unwound"), (2, Woken::Cancelled));
            });
        });
    }

    #[test]
    fn a_shielded_wait_is_not_cancelled_and_has_its_time() {
        run(|| {
            let lock = Queue::new(WaitQueue::new());
            scope(|s| {
                let task = s.spawn(|| {
                    let timed = wait(&lock, Node::new(1), Patience::until(Wait::Notice, Some(now())).shielded());
                    assert_eq!(timed, (0, Woken::TimedOut));
                    wait(&lock, Node::new(2), Patience::endless(Wait::Notice).shielded())
                });
                while lock.lock().first() != Some(&2) {
                    yield_now();
                }
                task.cancel();
                yield_now();
                assert!(!task.is_finished());
                drop(lock.lock().pop_all());
                assert_eq!(task.join().expect("not unwound"), (2, Woken::Notified));
            });
        });
    }

    #[test]
    fn threads_wait_and_notify_as_tasks_do() {
        let lock = Queue::new(WaitQueue::new());
        thread::scope(|s| {
            let plain = s.spawn(|| wait(&lock, Node::new(1), Patience::endless(Wait::Notice)));
            let task = s.spawn(|| run(|| wait(&lock, Node::new(1), Patience::endless(Wait::Notice))));
            let mut notices = Notices::new();
            for n in [7, 7] {
                let mut notice = loop {
                    match lock.lock().pop() {
                        Some(notice) => break notice,
                        None => thread::yield_now(),
                    }
                };
                *notice = n;
                notices.add(notice);
            }
            drop(notices);
            assert_eq!(plain.join().expect("no panic"), (7, Woken::Notified));
            assert_eq!(task.join().expect("no panic"), (7, Woken::Notified));
        });
    }
}
