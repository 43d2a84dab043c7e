//! Owns which workers sleep for want of work, and how one of them hears of some.
//!
//! Who has made work says so ([`Idle::wake_one`]); who wants to sleep says that first ([`Idle::doze`]) and looks for work
//! once more. Between the two steps of each side lies a fence, so one of them sees the other:
//!
//! ```text
//!   who makes work                    who finds none
//!   put the work where all find it    flag: idle
//!   fence                             fence
//!   a flag says idle? then take it    is there work? then not idle
//!   down and notify that worker       sleep, unless notified
//! ```
//!
//! A flag is taken down by one, so no worker is notified twice for one sleep. Who was notified for one piece of work may find
//! another one first; so whoever takes some says so again if there is more, and as many wake as there is work.
//! Each worker's flag lies in a cache line of its own: who works does not disturb who sleeps.
#![forbid(unsafe_code)]

use crate::atomics::{AtomicBool, Ordering, fence};

/// See the module.
#[derive(Debug)]
pub(crate) struct Idle(Box<[Flag]>);

/// Two lines, for processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Flag(AtomicBool);

impl Idle {
    /// So many workers, all of them awake.
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(|_| Flag(AtomicBool::new(false))).collect())
    }

    /// A worker is about to sleep, if there is no work, which this asks. Gives whether there is none: then
    /// [`rouse`](Self::rouse) follows the sleep.
    pub(crate) fn doze(&self, worker: usize, has_work: impl FnOnce() -> bool) -> bool {
        self.0[worker].0.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        let dozes = !has_work();
        if !dozes {
            self.rouse(worker);
        }
        dozes
    }

    /// A worker has slept, or does not. Gives whether somebody has told it of work.
    pub(crate) fn rouse(&self, worker: usize) -> bool {
        !self.0[worker].0.swap(false, Ordering::AcqRel)
    }

    /// There is work, put there before this. Gives a worker that has to be notified, if one sleeps; the next one after this
    /// index is asked first.
    #[inline]
    pub(crate) fn wake_one(&self, after: usize) -> Option<usize> {
        fence(Ordering::SeqCst);
        let count = self.0.len();
        (after + 1..count).chain(0..(after + 1).min(count)).find(|&worker| {
            let flag = &self.0[worker].0;
            flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::AcqRel)
        })
    }
}
