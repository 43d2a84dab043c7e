//! Owns looking out: what a thread does that would sleep, but expects another thread to end that at once. Sleeping and being
//! woken takes two system calls and, where a processor has gone to sleep, tens of microseconds; the answer of a thread that
//! is at work takes less than one.
//!
//! Whoever looks out keeps its processor, and its loop from hearing of the kernel. So it does so for a microsecond; after that
//! only as long as nothing comes for this loop: it lets others have the processor a few times, and if it has just woken another
//! thread, which is on its way then, it looks for some more microseconds. Nobody looks out while another task is ready, nor in
//! a simulation, where other threads are not waited for. A [`Lookout`] remembers whether it was of any use.
#![forbid(unsafe_code)]

use crate::event_loop;
use std::cell::Cell;
use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a thread that works is looked for, with pauses in between, each twice as long as the one before.
const SPINS: u32 = 5;

/// How often after that, with pauses in which another thread may have this processor: the one that is looked for, perhaps.
const YIELDS: u32 = 4;

/// How long it takes until a thread that has been woken runs, if nothing else has its processor.
const WAKING: Duration = Duration::from_micros(60);

/// How many rounds of a spin loop there are between two looks for that thread.
const PAUSE: u32 = 16;

/// How often in a row it looks out in vain before it does so less often.
const PATIENCE: u32 = 4;

/// How many waits there are for each that looks out, after that.
const SELDOM: u32 = 32;

thread_local! {
    /// When this thread last woke another one.
    static HAS_WOKEN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Says that this thread has woken another one.
pub(crate) fn has_woken() {
    HAS_WOKEN.set(Some(Instant::now()));
}

/// Whether it pays to look out before a wait, as far as is known: a guess by what came of the last ones.
///
/// ```
/// use kettle_rt::Lookout;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::thread;
///
/// let boils = AtomicBool::new(false);
/// let lookout = Lookout::new();
/// thread::scope(|scope| {
///     scope.spawn(|| boils.store(true, Ordering::Release));
///     let look = || boils.load(Ordering::Acquire).then_some("it boils");
///     // Where it is not seen, it is time to wait.
///     assert!(lookout.look(look).is_none_or(|seen| seen == "it boils"));
/// });
/// ```
#[derive(Debug, Default)]
pub struct Lookout {
    /// How many waits in a row it was of no use for.
    vain: AtomicU32,
}

impl Lookout {
    /// One that hopes.
    pub const fn new() -> Self {
        Self { vain: AtomicU32::new(0) }
    }

    /// Looks for what another thread is about to do, several times in a few microseconds, if this thread has nothing else to do
    /// and it has been of use. Gives what was found. It never suspends.
    #[inline]
    pub fn look<R>(&self, look: impl FnMut() -> Option<R>) -> Option<R> {
        if event_loop::would_sleep() { self.look_out(look) } else { None }
    }

    /// Lets another thread have a moment, of so many rounds of a spin loop, where [`look`](Self::look) would look out.
    pub fn pause(&self, rounds: u32) {
        if self.expects() && event_loop::would_sleep() {
            spin(rounds);
        }
    }

    /// Whether the next wait is worth it.
    fn expects(&self) -> bool {
        let vain = self.vain.load(Ordering::Relaxed);
        vain < PATIENCE || vain.is_multiple_of(SELDOM)
    }

    #[cold]
    fn look_out<R>(&self, mut look: impl FnMut() -> Option<R>) -> Option<R> {
        let found = look();
        if found.is_some() {
            return found;
        }
        let found = if self.expects() { look_for_a_while(look) } else { None };
        let vain = if found.is_some() { 0 } else { self.vain.load(Ordering::Relaxed).wrapping_add(1) };
        self.vain.store(vain, Ordering::Relaxed);
        found
    }
}

fn look_for_a_while<R>(mut look: impl FnMut() -> Option<R>) -> Option<R> {
    for step in 0..SPINS + YIELDS {
        if step < SPINS {
            spin(1 << step);
        } else if event_loop::is_wanted() {
            // Nobody knows when the processor would come back.
            return None;
        } else {
            thread::yield_now();
        }
        let found = look();
        if found.is_some() {
            return found;
        }
    }
    let is_on_its_way = HAS_WOKEN.take()?;
    while is_on_its_way.elapsed() < WAKING && !event_loop::is_wanted() {
        spin(PAUSE);
        let found = look();
        if found.is_some() {
            return found;
        }
    }
    None
}

fn spin(times: u32) {
    (0..times).for_each(|_| hint::spin_loop());
}
