//! What workers agree by, under loom: meetings of two or three threads, in every order that the memory model allows. The
//! modules are those of the crate, by their files.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p kettle-rt --test loom_workers`
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../src/atomics.rs"]
mod atomics;
#[path = "../src/gate.rs"]
mod gate;
#[path = "../src/idle.rs"]
mod idle;
#[path = "../src/outcome.rs"]
mod outcome;
#[path = "../src/returns.rs"]
mod returns;

use atomics::UnsafeCell;
use gate::Gate;
use idle::Idle;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use outcome::{Completed, Outcome};
use returns::{List, Returned, Returns};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// Runs a meeting in every order, but for those that take more than three preemptions.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// A value that says when it is used after its end.
struct Alive(AtomicBool);

impl Alive {
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    fn check(&self) {
        assert!(self.0.load(Ordering::Relaxed));
    }
}

#[test]
fn nobody_is_inside_when_the_value_is_taken_away() {
    model(|| {
        let gate = Arc::new(Gate::new(Alive::new()));
        let threads = [(); 2].map(|()| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                if let Some(inside) = gate.enter() {
                    inside.check();
                    inside.check();
                }
            })
        });
        if let Some(alive) = gate.close() {
            alive.0.store(false, Ordering::Relaxed);
        }
        assert!(gate.enter().is_none());
        assert!(gate.close().is_none());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Work, and who sleeps until a bell rings: the driver's.
struct Place {
    idle: Idle,
    work: AtomicUsize,
    bells: [Bell; 2],
}

/// A driver's: a notice is kept until the next sleep.
struct Bell(Mutex<bool>, Condvar);

impl Bell {
    fn new() -> Self {
        Self(Mutex::new(false), Condvar::new())
    }

    fn notify(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }

    fn wait(&self) {
        let mut is_notified = self.0.lock().unwrap();
        while !*is_notified {
            is_notified = self.1.wait(is_notified).unwrap();
        }
        *is_notified = false;
    }
}

impl Place {
    fn new() -> Arc<Self> {
        Arc::new(Self { idle: Idle::new(2), work: AtomicUsize::new(0), bells: [Bell::new(), Bell::new()] })
    }

    fn put(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
        self.tell(0);
    }

    fn tell(&self, after: usize) {
        if let Some(worker) = self.idle.wake_one(after) {
            self.bells[worker].notify();
        }
    }

    fn has_work(&self) -> bool {
        self.work.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        self.work.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |work| work.checked_sub(1)).is_ok()
    }

    /// Works until it has done so much.
    fn work(&self, worker: usize, mut count: usize) {
        while count > 0 {
            if self.take() {
                count -= 1;
                if self.has_work() {
                    self.tell(worker);
                }
            } else if self.idle.doze(worker, || self.has_work()) {
                self.bells[worker].wait();
                self.idle.rouse(worker);
            } else {
                // What it has seen may be gone.
                thread::yield_now();
            }
        }
    }
}

#[test]
fn no_worker_sleeps_beside_work() {
    model(|| {
        let place = Place::new();
        let worker = Arc::clone(&place);
        let worker = thread::spawn(move || worker.work(1, 2));
        place.put();
        place.put();
        worker.join().unwrap();
    });
}

#[test]
fn two_that_put_work_wake_two() {
    model(|| {
        let place = Place::new();
        let workers = [0, 1].map(|index| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.work(index, 1))
        });
        place.put();
        place.put();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// What a function's two sides share: its outcome, and the place of its result. Whoever frees it says so, and whoever uses it
/// before that looks whether that happened: loom tells if nothing puts the two in order.
struct Unit {
    outcome: Outcome,
    place: UnsafeCell<Option<Box<u32>>>,
    is_freed: UnsafeCell<bool>,
    is_notified: AtomicBool,
}

impl Unit {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            outcome: Outcome::new(),
            place: UnsafeCell::new(None),
            is_freed: UnsafeCell::new(false),
            is_notified: AtomicBool::new(false),
        })
    }

    /// The outcome, for somebody who has not left.
    fn outcome(&self) -> &Outcome {
        // SAFETY: loom looks whether somebody writes it meanwhile.
        assert!(!self.is_freed.with(|is_freed| unsafe { *is_freed }), "used when it has been freed");
        &self.outcome
    }

    fn free(&self) {
        // SAFETY: loom looks whether somebody uses it meanwhile.
        let was_freed = self.is_freed.with_mut(|is_freed| unsafe { is_freed.replace(true) });
        assert!(!was_freed, "freed twice");
        // SAFETY: the same.
        assert_eq!(self.place.with_mut(|place| unsafe { (*place).take() }), None, "freed with its result");
    }

    /// An address for the waiter.
    fn waiter(&self) -> *mut () {
        ptr::from_ref(&self.is_notified).cast_mut().cast()
    }

    /// Waits to be notified. (A waiter lies in a frame, not in what is freed.)
    fn wait(&self) {
        while !self.is_notified.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }

    /// Ends it with a result, for the side that has the job.
    fn complete(&self) {
        // SAFETY: loom looks whether somebody looks at it meanwhile.
        self.place.with_mut(|place| unsafe { *place = Some(Box::new(17)) });
        match self.outcome().complete() {
            Completed::Awaited(at) => {
                assert_eq!(at, self.waiter());
                self.is_notified.store(true, Ordering::Release);
            }
            Completed::Quietly => {}
            Completed::Unwanted => self.take_result(),
        }
    }

    /// Takes the result, for the second one.
    fn take_result(&self) {
        // SAFETY: loom looks whether somebody uses it meanwhile.
        assert_eq!(self.place.with_mut(|place| unsafe { (*place).take() }), Some(Box::new(17)));
        if self.outcome().leave_both() {
            self.free();
        }
    }

    /// Drops the handle.
    fn abandon(&self) {
        if self.outcome().abandon() {
            self.take_result();
        }
    }

    fn is_freed(&self) -> bool {
        // SAFETY: loom looks whether somebody writes it meanwhile.
        self.is_freed.with(|is_freed| unsafe { *is_freed })
    }
}

/// Cancels it, and delivers that on another thread if somebody is to be told.
fn cancel(unit: &Arc<Unit>) -> Option<thread::JoinHandle<()>> {
    let index = unit.outcome().cancel()?;
    assert_eq!(index, 0);
    unit.outcome().send();
    let sent = Arc::clone(unit);
    Some(thread::spawn(move || {
        if sent.outcome().deliver() {
            sent.free();
        }
    }))
}

#[test]
fn who_waits_for_a_result_is_told_and_takes_it() {
    model(|| {
        let unit = Unit::new();
        let there = Arc::clone(&unit);
        let thread = thread::spawn(move || there.complete());
        if unit.outcome().expect(unit.waiter()) {
            unit.wait();
        }
        assert!(unit.outcome().is_complete());
        unit.take_result();
        thread.join().unwrap();
        assert!(unit.is_freed());
    });
}

#[test]
fn who_leaves_is_not_told_or_waits_for_the_notice() {
    model(|| {
        let unit = Unit::new();
        let there = Arc::clone(&unit);
        let thread = thread::spawn(move || there.complete());
        if unit.outcome().expect(unit.waiter()) {
            if unit.outcome().leave(unit.waiter()) {
                assert!(!unit.is_notified.load(Ordering::Relaxed));
            } else {
                unit.wait();
            }
        }
        unit.abandon();
        thread.join().unwrap();
        assert!(unit.is_freed());
    });
}

#[test]
fn a_result_is_taken_by_one_side_which_frees_it() {
    model(|| {
        let unit = Unit::new();
        let there = Arc::clone(&unit);
        let thread = thread::spawn(move || there.complete());
        unit.abandon();
        thread.join().unwrap();
        assert!(unit.is_freed());
    });
}

#[test]
fn what_is_cancelled_while_it_begins_is_told_once_and_freed_when_that_was_delivered() {
    model(|| {
        let unit = Unit::new();
        let there = Arc::clone(&unit);
        let thread = thread::spawn(move || {
            let is_cancelled = there.outcome().begin(0);
            there.complete();
            is_cancelled
        });
        let sent = cancel(&unit);
        unit.abandon();
        let (was_cancelled, is_told) = (thread.join().unwrap(), sent.is_some());
        assert_ne!(was_cancelled, is_told, "either it has seen it when it began, or it is told");
        if let Some(sent) = sent {
            sent.join().unwrap();
        }
        assert!(unit.is_freed());
    });
}

#[test]
fn of_two_that_cancel_one_tells() {
    model(|| {
        let unit = Unit::new();
        assert!(!unit.outcome().begin(0));
        let other = Arc::clone(&unit);
        let other = thread::spawn(move || cancel(&other));
        let sent = [cancel(&unit), other.join().unwrap()];
        assert_eq!(sent.iter().flatten().count(), 1);
        unit.complete();
        unit.take_result();
        sent.into_iter().flatten().for_each(|sent| sent.join().unwrap());
        assert!(unit.is_freed());
    });
}

#[test]
fn what_is_prevented_does_not_begin_uncancelled() {
    model(|| {
        let unit = Unit::new();
        let there = Arc::clone(&unit);
        let thread = thread::spawn(move || {
            let is_cancelled = there.outcome().begin(0);
            there.complete();
            is_cancelled
        });
        let is_prevented = unit.outcome().prevent();
        unit.abandon();
        assert_eq!(thread.join().unwrap(), is_prevented);
        assert!(unit.is_freed());
    });
}

/// A block that is handed out, with room for its way back.
#[repr(C)]
struct Block {
    link: MaybeUninit<Returned<u8>>,
    /// Loom tells if two have it.
    content: UnsafeCell<()>,
}

/// Two blocks, and how they come back.
struct Owned {
    returns: Returns<u8>,
    blocks: [Box<Block>; 2],
    is_freed: UnsafeCell<bool>,
}

// SAFETY: what is written into blocks is what is to be checked.
unsafe impl Sync for Owned {}
// SAFETY: the same.
unsafe impl Send for Owned {}

impl Owned {
    fn new() -> Arc<Self> {
        let block = || Box::new(Block { link: MaybeUninit::uninit(), content: UnsafeCell::new(()) });
        Arc::new(Self { returns: Returns::new(), blocks: [block(), block()], is_freed: UnsafeCell::new(false) })
    }

    /// Gives one back.
    fn give(&self, index: usize) {
        // SAFETY: loom looks.
        assert!(!self.is_freed.with(|is_freed| unsafe { *is_freed }), "a block is out");
        self.blocks[index].content.with_mut(|_| {});
        let block = NonNull::from(&*self.blocks[index]).cast();
        // SAFETY: it begins with the room for that.
        if unsafe { self.returns.give(block, index as u8) } {
            self.free();
        }
    }

    fn free(&self) {
        // SAFETY: loom looks.
        let was_freed = self.is_freed.with_mut(|is_freed| unsafe { is_freed.replace(true) });
        assert!(!was_freed, "freed twice");
        self.blocks.iter().for_each(|block| block.content.with_mut(|_| {}));
    }

    /// What has come back can be used again.
    fn count(&self, list: List<u8>) -> usize {
        list.map(|(block, index)| {
            let expected = &self.blocks[usize::from(index)];
            assert_eq!(block, NonNull::from(&**expected).cast());
            expected.content.with_mut(|_| {});
        })
        .count()
    }

    /// What the owner does at its end, when so many are out.
    fn end(&self, out: usize) {
        let missing = out - self.count(self.returns.close());
        if self.returns.miss(missing) {
            self.free();
        }
    }
}

#[test]
fn blocks_come_back_and_the_last_one_frees_them_all() {
    model(|| {
        let owned = Owned::new();
        let threads = [0, 1].map(|index| {
            let owned = Arc::clone(&owned);
            thread::spawn(move || owned.give(index))
        });
        let back = owned.count(owned.returns.take());
        owned.end(2 - back);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // SAFETY: nobody else has it.
        assert!(owned.is_freed.with(|is_freed| unsafe { *is_freed }));
    });
}

#[test]
fn a_block_that_is_handed_out_again_comes_back_again() {
    model(|| {
        let owned = Owned::new();
        let threads = [0, 1].map(|index| {
            let owned = Arc::clone(&owned);
            thread::spawn(move || owned.give(index))
        });
        // If it has the first one by now, that goes out again, and comes back while the other one may be on its way: with the
        // head of the list that the other one has seen.
        let mut list = owned.returns.take();
        let first = list.next();
        let back = usize::from(first.is_some()) + owned.count(list);
        let again = first.map(|(_, index)| {
            let owned = Arc::clone(&owned);
            thread::spawn(move || owned.give(usize::from(index)))
        });
        owned.end(2 - back + usize::from(again.is_some()));
        threads.into_iter().chain(again).for_each(|thread| thread.join().unwrap());
        // SAFETY: nobody else has it.
        assert!(owned.is_freed.with(|is_freed| unsafe { *is_freed }));
    });
}
