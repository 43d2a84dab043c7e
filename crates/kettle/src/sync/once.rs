//! Owns what happens once: who does it, and who waits until it has been done.

use super::system::{
    AtomicUsize, Lock, LockGuard, Ordering, Wait, Woken, constant, here, raise_if_cancelled, refuse_to_wait,
};
use super::wait_queue::{Ended, Node, Patience, WaitQueue};
use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// It has not been begun.
const NOT_DONE: usize = 0;
/// Who did it has unwound.
const POISONED: usize = 1;
/// Somebody does it. Set and left under the queue's lock, as all states.
const RUNNING: usize = 2;
/// It has been done. Never left.
const DONE: usize = 3;

/// Something that happens once: `std::sync::Once` for tasks.
///
/// ```
/// use kettle::sync::Once;
/// use kettle::thread;
///
/// kettle::run(|| {
///     let (fire, matches) = (Once::new(), std::cell::Cell::new(10));
///     thread::scope(|s| {
///         for _ in 0..3 {
///             s.spawn(|| {
///                 fire.call_once(|| {
///                     thread::yield_now();
///                     matches.set(matches.get() - 1);
///                 });
///                 assert!(fire.is_completed());
///             });
///         }
///     });
///     assert_eq!(matches.get(), 9);
/// });
/// ```
///
/// Who comes while it is being done waits until it has been done. That is a checkpoint; what comes later is one comparison
/// and no checkpoint. A function that calls the same `Once` again waits for itself: a task until it is cancelled, while a
/// thread that no task runs on panics.
///
/// # Poisoning
///
/// As in std: if the function unwinds, and a task that is cancelled unwinds, the `Once` is poisoned, and
/// [`call_once`](Self::call_once) panics from then on.
pub struct Once {
    state: AtomicUsize,
    callers: Lock<Callers>,
}

#[derive(Debug)]
struct Callers {
    /// The thread of who does it, otherwise 0.
    runs_on: usize,
    queue: WaitQueue<()>,
}

/// What a function of [`Once::call_once_force`] is told.
pub struct OnceState {
    is_poisoned: bool,
}

impl OnceState {
    /// Whether a function has unwound before this one.
    ///
    /// ```
    /// use kettle::sync::Once;
    ///
    /// Once::new().call_once_force(|state| assert!(!state.is_poisoned()));
    /// ```
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.is_poisoned()).finish()
    }
}

/// What a caller makes of it if a function has unwound.
#[derive(Clone, Copy, Debug)]
enum IfPoisoned {
    /// With this text. It is std's, which tests and logs may look for.
    Panic(&'static str),
    GoOn,
}

const POISONED_ONCE: &str = "Once instance has previously been poisoned";

#[allow(clippy::new_without_default, reason = "std's has none")]
impl Once {
    constant! {
        /// One that has not happened.
        ///
        /// ```
        /// use kettle::sync::Once;
        ///
        /// static FIRE: Once = Once::new();
        /// assert!(!FIRE.is_completed());
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            let callers = Callers { runs_on: 0, queue: WaitQueue::new() };
            Self { state: AtomicUsize::new(NOT_DONE), callers: Lock::new(callers) }
        }
    }

    /// Calls the function, if none has been called; waits if one is being called. A checkpoint only if it waits.
    ///
    /// ```
    /// use kettle::sync::Once;
    ///
    /// let (fire, mut matches) = (Once::new(), 10);
    /// fire.call_once(|| matches -= 1);
    /// fire.call_once(|| matches -= 1);
    /// assert_eq!(matches, 9);
    /// ```
    ///
    /// # Panics
    ///
    /// With the function's panic; if it is poisoned; and where it would wait for its own thread for ever.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits is unwound. Where panics abort it goes on waiting.
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        self.call_once_or_panic(POISONED_ONCE, f);
    }

    /// The same with a text of its own.
    #[inline]
    #[track_caller]
    pub(crate) fn call_once_or_panic<F: FnOnce()>(&self, text: &'static str, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(IfPoisoned::Panic(text), &mut |_| f.take().map_or((), |f| f()));
        }
    }

    /// The same, also if it is poisoned; the function is told.
    ///
    /// ```
    /// use kettle::sync::Once;
    /// use std::panic;
    ///
    /// let fire = Once::new();
    /// let _ = panic::catch_unwind(|| fire.call_once(|| panic::resume_unwind(Box::new("the match broke"))));
    /// fire.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(fire.is_completed());
    /// ```
    ///
    /// # Panics
    ///
    /// With the function's panic, and where it would wait for its own thread for ever.
    ///
    /// # Cancellation
    ///
    /// As [`call_once`](Self::call_once).
    #[inline]
    #[track_caller]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(IfPoisoned::GoOn, &mut |state| f.take().map_or((), |f| f(state)));
        }
    }

    /// Whether it has been done. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::Once;
    ///
    /// let fire = Once::new();
    /// fire.call_once(|| assert!(!fire.is_completed()));
    /// assert!(fire.is_completed());
    /// ```
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Waits until it has been done. A checkpoint only if it waits.
    ///
    /// ```
    /// use kettle::sync::Once;
    /// use kettle::thread;
    ///
    /// kettle::run(|| {
    ///     let fire = Once::new();
    ///     thread::scope(|s| {
    ///         s.spawn(|| fire.call_once(|| ()));
    ///         fire.wait();
    ///     });
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If it is poisoned.
    ///
    /// # Cancellation
    ///
    /// As [`call_once`](Self::call_once).
    #[track_caller]
    pub fn wait(&self) {
        if !self.is_completed() {
            self.wait_until_done(IfPoisoned::Panic(POISONED_ONCE));
        }
    }

    /// The same; if it is poisoned, it waits until somebody has done it by [`call_once_force`](Self::call_once_force).
    ///
    /// ```
    /// use kettle::sync::Once;
    ///
    /// let fire = Once::new();
    /// fire.call_once(|| ());
    /// fire.wait_force();
    /// ```
    ///
    /// # Cancellation
    ///
    /// As [`call_once`](Self::call_once).
    #[track_caller]
    pub fn wait_force(&self) {
        if !self.is_completed() {
            self.wait_until_done(IfPoisoned::GoOn);
        }
    }

    #[cold]
    #[track_caller]
    fn call(&self, if_poisoned: IfPoisoned, f: &mut dyn FnMut(&OnceState)) {
        let mut patience = Patience::endless(Wait::Once);
        loop {
            let mut callers = self.callers.lock();
            match self.state.load(Ordering::Acquire) {
                DONE => return,
                POISONED if let IfPoisoned::Panic(text) = if_poisoned => {
                    drop(callers);
                    panic!("{text}");
                }
                RUNNING => self.wait_for_change(callers, &mut patience),
                state => {
                    self.state.store(RUNNING, Ordering::Relaxed);
                    callers.runs_on = here();
                    drop(callers);
                    let running = Running { once: self, end: Cell::new(POISONED) };
                    f(&OnceState { is_poisoned: state == POISONED });
                    running.end.set(DONE);
                    return;
                }
            }
        }
    }

    #[cold]
    #[track_caller]
    fn wait_until_done(&self, if_poisoned: IfPoisoned) {
        let mut patience = Patience::endless(Wait::Once);
        loop {
            let callers = self.callers.lock();
            match self.state.load(Ordering::Acquire) {
                DONE => return,
                POISONED if let IfPoisoned::Panic(text) = if_poisoned => {
                    drop(callers);
                    panic!("{text}");
                }
                _ => self.wait_for_change(callers, &mut patience),
            }
        }
    }

    /// Waits until a function has ended.
    #[track_caller]
    fn wait_for_change(&self, callers: LockGuard<'_, Callers>, patience: &mut Patience) {
        let node = Node::new(());
        if node.blocks_thread() && callers.runs_on == here() {
            drop(callers);
            refuse_to_wait(
                patience.purpose(),
                "wait for a `Once` that this thread runs, where no task can be suspended: it would wait for ever",
            );
        }
        let cancelled = match node.wait(&self.callers, callers, |callers| &mut callers.queue, *patience) {
            Ended::Notified { woken, .. } | Ended::GaveUp { woken, .. } => woken == Woken::Cancelled,
        };
        if cancelled {
            raise_if_cancelled();
            // Where panics abort nothing is raised.
            *patience = patience.shielded();
        }
    }
}

/// A function is being called. Dropping it ends that.
struct Running<'a> {
    once: &'a Once,
    end: Cell<usize>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut callers = self.once.callers.lock();
        callers.runs_on = 0;
        self.once.state.store(self.end.get(), Ordering::Release);
        let notices = callers.queue.pop_all();
        drop(callers);
        drop(notices);
    }
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}
