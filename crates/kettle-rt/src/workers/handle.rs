//! Owns the handle of a function that a worker is to run.
//!
//! The unsafe code of this module is what of the outcome is the handle's; the result's type.

use super::unit::{self, Head, Sent};
use crate::cancelled::{Cancelled, Reason};
use crate::crew::{Crew, Member};
use crate::event_loop;
use crate::header::{Purpose, Wait};
use crate::job::{Cancel, Job};
use crate::remote::Message;
use crate::wait;
use crate::waiter::{Waiter, Woken};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread;

/// A task of some worker, for who waits for it: `std::thread::JoinHandle` for what runs elsewhere. Dropping it lets the task
/// run on by itself.
///
/// Unlike the handle of a task of this thread it may be sent to any other, and used there.
pub struct JoinHandle<T> {
    head: NonNull<Head>,
    result: PhantomData<fn() -> T>,
}

// SAFETY: the result is `Send`, for `make` makes no other. What other threads look at meanwhile is atomic.
unsafe impl<T> Send for JoinHandle<T> {}
// SAFETY: the same; who only shares it does not get at the result.
unsafe impl<T> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: it is there as long as the handle.
        unsafe { self.head.as_ref() }
    }

    /// Waits for the task to end, and gives what it returned. A checkpoint, unless it has ended. Outside of tasks it blocks the
    /// thread.
    ///
    /// # Errors
    ///
    /// The payload of its panic, or [`Cancelled`]: also if it has not begun when the workers end.
    ///
    /// # Panics
    ///
    /// If the task joins itself; if it has not ended, and this is on the stack of an event loop or in a task that is
    /// unwinding: then the wait might never end.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here is unwound; the one that it waits for runs on.
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        let outcome = &self.head().outcome;
        if !outcome.is_complete() {
            if self.will_not_begin() {
                return Err(Box::new(Cancelled::new(Reason::Shutdown)));
            }
            self.wait_for_end();
        }
        let handle = ManuallyDrop::new(self);
        // SAFETY: it is complete, and so the other side has gone; this is the handle, which is not dropped.
        unsafe { unit::take_result(handle.head) }
    }

    /// Whether the workers end, and it has not begun: then it does not begin. Who asks may be what is dropped before it, so
    /// that it would wait for itself.
    fn will_not_begin(&self) -> bool {
        self.head().crew().is_ending() && self.head().outcome.prevent()
    }

    #[track_caller]
    fn wait_for_end(&self) {
        let may_wait = event_loop::task().is_some() || event_loop::current().is_none();
        assert!(
            may_wait,
            "join a task of a worker from where nothing can wait for it: in a future, or while unwinding"
        );
        let head = self.head();
        assert!(!head.task.is_current(), "join a task from itself: it would wait for its own end");
        wait::raise_if_cancelled();
        let waiter = Waiter::new();
        let address = (&raw const waiter).cast_mut().cast();
        if head.outcome.expect(address) && waiter.wait_for(Purpose::here(Wait::Join), None) != Woken::Notified {
            if cfg!(panic = "unwind") && head.outcome.leave(address) {
                wait::raise_if_cancelled();
            }
            waiter.wait_for_notice();
        }
    }

    /// Has the task end, unless it has: it is unwound where it waits, or where it would wait next, and each time it waits
    /// after that. One that has not begun does not begin. From any thread; no checkpoint: [`join`](Self::join) waits for the
    /// end.
    ///
    /// ```
    /// use kettle_rt::workers::workers;
    /// use kettle_rt::{Cancelled, park};
    ///
    /// workers(2).run(|worker| {
    ///     let kettle = worker.spawn_on(1 - worker.index(), park);
    ///     kettle.cancel();
    ///     assert!(kettle.join().unwrap_err().is::<Cancelled>());
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cancel(&self) {
        let head = self.head();
        if let Some(index) = head.outcome.cancel() {
            let member = event_loop::current().and_then(|current| current.member.get());
            if member.is_some_and(|member| member.is(head.crew(), index)) {
                return head.task.cancel(Reason::Explicit);
            }
            // SAFETY: this is the handle, and has been given an index.
            let sent = unsafe { Sent::new(self.head) };
            head.crew().tell(index, Message::Cancel(Arc::new(sent), Reason::Explicit));
        }
    }

    /// Whether the task has ended, so that [`join`](Self::join) does not wait.
    pub fn is_finished(&self) -> bool {
        self.head().outcome.is_complete()
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if self.head().outcome.abandon() {
            // SAFETY: it is complete, and so the other side has gone; this is the handle.
            drop(unsafe { unit::take_result::<T>(self.head) });
        }
    }
}

/// Makes a job of a function, and its handle. The member is that of the worker that runs, if it is one of the crew.
///
/// # Safety
///
/// The job has been begun or dropped, and what has begun has ended, as long as there is what the function borrows.
#[inline]
pub(super) unsafe fn make<'scope, F, T>(
    crew: &Arc<Crew>,
    member: Option<&Member>,
    function: F,
    spawned_at: &'static Location<'static>,
) -> (Job, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    // SAFETY: 1. by the obligation. 2. It goes with the handle, whose type says what it borrows.
    let (job, head) = unsafe { unit::make(crew, member, function, spawned_at) };
    (job, JoinHandle { head, result: PhantomData })
}

/// As std's.
impl<T> UnwindSafe for JoinHandle<T> {}
/// As std's.
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
mod tests {
    //! Both sides of a function on plain threads, where no loop runs: so Miri looks at the memory that they share.

    use super::*;
    use std::mem;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts how often it is dropped.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Panics when it is dropped.
    struct Spills(#[expect(dead_code, reason = "it is dropped")] Counted);

    impl Drop for Spills {
        fn drop(&mut self) {
            resume_unwind(Box::new("spilled"));
        }
    }

    type Function<T> = Box<dyn FnOnce() -> T + Send>;

    /// What is made of a function, on its way to the thread that has the job.
    struct Made<T> {
        job: Job,
        head: NonNull<Head>,
        result: PhantomData<T>,
    }

    // SAFETY: a job may be sent, and the address of what it begins.
    unsafe impl<T> Send for Made<T> {}

    impl<T: Send + 'static> Made<T> {
        fn new(crew: &Arc<Crew>, member: Option<&Member>, function: Function<T>) -> (Self, JoinHandle<T>) {
            // SAFETY: it borrows nothing.
            let (job, handle) = unsafe { make(crew, member, function, Location::caller()) };
            (Self { job, head: handle.head, result: PhantomData }, handle)
        }

        fn run(self) {
            mem::forget(self.job);
            // SAFETY: of these types, and the job was forgotten.
            unsafe { unit::run_alone::<Function<T>, T>(self.head) };
        }

        fn refuse(self) {
            drop(self.job);
        }
    }

    /// What the side of the handle does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Ends {
        Join,
        Leave,
        CancelAndLeave,
        CancelAndJoin,
        /// The cancellation arrives on a third thread.
        SendAndLeave,
    }

    const ENDS: [Ends; 5] = [Ends::Join, Ends::Leave, Ends::CancelAndLeave, Ends::CancelAndJoin, Ends::SendAndLeave];

    /// Has one side end in this way, while the other one runs the function or drops it.
    fn meet<T: Send + 'static>(is_pooled: bool, runs: bool, ends: Ends, result: impl Fn(Counted) -> T) {
        let (crew, members) = Crew::new(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        let (captured, result) = (Counted(Arc::clone(&dropped)), result(Counted(Arc::clone(&dropped))));
        let function = Box::new(move || {
            drop(captured);
            result
        });
        let (made, handle) = Made::new(&crew, is_pooled.then_some(&members[0]), function);
        let there = thread::spawn(move || if runs { made.run() } else { made.refuse() });
        let mut delivers = None;
        match ends {
            Ends::Join => drop(handle.join()),
            Ends::Leave => drop(handle),
            Ends::CancelAndLeave => {
                handle.cancel();
                drop(handle);
            }
            Ends::CancelAndJoin => {
                handle.cancel();
                drop(handle.join());
            }
            Ends::SendAndLeave => {
                delivers = handle.head().outcome.cancel().map(|_| {
                    // SAFETY: this is the handle, and has been given an index.
                    let sent = unsafe { Sent::new(handle.head) };
                    thread::spawn(move || sent.cancel(Reason::Explicit))
                });
                drop(handle);
            }
        }
        // The owner may go before the last block is back.
        drop(members);
        there.join().unwrap();
        if let Some(delivers) = delivers {
            delivers.join().unwrap();
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 2, "{is_pooled} {runs} {ends:?}");
        assert_eq!(Arc::strong_count(&crew), 1, "{is_pooled} {runs} {ends:?}");
    }

    #[test]
    fn each_value_is_dropped_once_and_the_memory_given_back_however_the_sides_end() {
        for is_pooled in [true, false] {
            for runs in [true, false] {
                for ends in ENDS {
                    meet(is_pooled, runs, ends, |counted| counted);
                    meet(is_pooled, runs, ends, |counted| (counted, [7_u8; 300]));
                }
            }
        }
    }

    #[test]
    fn the_same_if_the_result_is_too_large_or_too_aligned_for_a_block() {
        #[repr(align(128))]
        struct Aligned(#[expect(dead_code, reason = "it is dropped")] Counted);
        for runs in [true, false] {
            for ends in ENDS {
                meet(true, runs, ends, |counted| (counted, [7_u8; 3000]));
                meet(true, runs, ends, Aligned);
            }
        }
    }

    #[test]
    fn a_destructor_that_panics_leaves_nothing() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let spills = || Spills(Counted(Arc::clone(&dropped)));
        let is_spilled = |panic: &Box<dyn std::any::Any + Send>| panic.downcast_ref() == Some(&"spilled");
        let (crew, members) = Crew::new(1);
        for member in [Some(&members[0]), None] {
            // That of a result, on the side that is the last one.
            let result = spills();
            let (made, handle) = Made::new(&crew, member, Box::new(move || result));
            made.run();
            assert!(catch_unwind(AssertUnwindSafe(|| drop(handle))).is_err_and(|panic| is_spilled(&panic)));
            let result = spills();
            let (made, handle) = Made::new(&crew, member, Box::new(move || result));
            drop(handle);
            assert!(catch_unwind(AssertUnwindSafe(|| made.run())).is_err_and(|panic| is_spilled(&panic)));
            // That of a function which does not begin, and of one that was cancelled.
            let captured = spills();
            let (made, handle) = Made::new(&crew, member, Box::new(move || drop(captured)));
            made.refuse();
            assert!(handle.join().is_err_and(|panic| is_spilled(&panic)));
            let captured = spills();
            let (made, handle) = Made::new(&crew, member, Box::new(move || drop(captured)));
            handle.cancel();
            made.run();
            assert!(handle.join().is_err_and(|panic| is_spilled(&panic)));
            // That of what it panics with, where nobody wants that.
            let payload = spills();
            let (made, handle) = Made::new(&crew, member, Box::new(move || resume_unwind(Box::new(payload))));
            drop::<JoinHandle<()>>(handle);
            made.refuse();
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 10);
        drop(members);
        assert_eq!(Arc::strong_count(&crew), 1);
    }

    #[test]
    fn a_cancellation_that_is_delivered_last_gives_the_memory_back() {
        for is_pooled in [true, false] {
            let (crew, members) = Crew::new(1);
            let (send, receive) = std::sync::mpsc::channel::<JoinHandle<()>>();
            let (send_back, back) = std::sync::mpsc::channel();
            // It has begun, so its cancellation is sent; its handle goes, and it ends.
            let function = move || {
                let handle = receive.recv().unwrap();
                assert_eq!(handle.head().outcome.cancel(), Some(0));
                // SAFETY: this is the handle, and has been given an index.
                send_back.send(unsafe { Sent::new(handle.head) }).unwrap();
            };
            let (made, handle) = Made::new(&crew, is_pooled.then_some(&members[0]), Box::new(function));
            send.send(handle).unwrap();
            made.run();
            drop(members);
            let sent = back.recv().unwrap();
            assert_eq!(Arc::strong_count(&crew), 2, "the block is there");
            thread::spawn(move || sent.cancel(Reason::Explicit)).join().unwrap();
            assert_eq!(Arc::strong_count(&crew), 1);
        }
    }

    #[test]
    fn blocks_that_come_back_are_handed_out_again() {
        let (crew, members) = Crew::new(1);
        let (send, receive) = std::sync::mpsc::channel::<(Made<usize>, JoinHandle<usize>)>();
        let there = thread::spawn(move || {
            receive
                .into_iter()
                .map(|(made, handle)| {
                    made.run();
                    handle.join().unwrap()
                })
                .sum::<usize>()
        });
        for n in 0..200_usize {
            send.send(Made::new(&crew, Some(&members[0]), Box::new(move || n))).unwrap();
            if n % 8 == 0 {
                thread::yield_now();
            }
        }
        drop(send);
        assert_eq!(there.join().unwrap(), 199 * 200 / 2);
        drop(members);
        assert_eq!(Arc::strong_count(&crew), 1);
    }

    #[test]
    fn handles_outlive_the_owner_of_their_blocks() {
        let (crew, members) = Crew::new(1);
        let made: Vec<_> = (0..6).map(|n: u8| Made::new(&crew, Some(&members[0]), Box::new(move || vec![n]))).collect();
        let (made, handles): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        made.into_iter().for_each(Made::run);
        drop(members);
        let weak = Arc::downgrade(&crew);
        drop(crew);
        assert_ne!(weak.strong_count(), 0, "the blocks keep it");
        let threads: Vec<_> = handles
            .into_iter()
            .enumerate()
            .map(|(n, handle)| {
                thread::spawn(move || {
                    if n % 2 == 0 {
                        assert_eq!(handle.join().unwrap(), [n as u8]);
                    } else {
                        handle.cancel();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(weak.strong_count(), 0);
    }
}
