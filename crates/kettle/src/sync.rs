//! `std::sync` for tasks: the same names, with std's meaning, for what tasks of one loop, of several loops and plain threads
//! share.
//!
//! ```
//! use kettle::sync::Mutex; // instead of std::sync::Mutex
//! use kettle::thread;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! kettle::run(|| {
//!     let tea = Arc::new(Mutex::new(Vec::new()));
//!     let cook = thread::spawn({
//!         let tea = Arc::clone(&tea);
//!         move || {
//!             let mut tea = tea.lock().unwrap();
//!             // The lock is kept while it boils; the loop goes on.
//!             thread::sleep(Duration::from_millis(2));
//!             tea.push("tea");
//!         }
//!     });
//!     thread::yield_now();
//!     // Waits for the cook, and its thread does not.
//!     assert_eq!(*tea.lock().unwrap(), ["tea"]);
//!     cook.join().unwrap();
//! });
//! ```
//!
//! Another `use` line is the whole migration. What waits here suspends its task, and the thread runs others; outside of
//! tasks, and in a destructor that runs by unwinding, it blocks the thread, as std's does.
//!
//! | here | is |
//! |---|---|
//! | [`Mutex`], [`RwLock`] | data that one at a time has, or many read |
//! | [`Condvar`], [`Barrier`] | waiting for each other |
//! | [`Once`], [`OnceLock`], [`LazyLock`] | what happens once |
//! | [`Semaphore`] | so many at a time; std has none |
//! | [`mpsc`] | values go from many to one: std's, by std's names |
//! | [`channel`] | from many to many, each to one |
//! | [`oneshot`] | once, from one to one |
//! | [`watch`] | the latest one, to everybody who looks |
//! | [`broadcast`] | from many to many, each to everybody |
//! | [`select`] | waiting for the first of several of these, of times, tasks and descriptors |
//!
//! # When std's own is right
//!
//! A `std::sync::Mutex` that is never held across a checkpoint is as good: whoever has it gives it back before another task
//! of the thread runs. (Held across one, it blocks the whole loop when a second task wants it, and that for ever if the first
//! is a task of the same loop.) Among the tasks of one loop that hold nothing across a checkpoint, a `RefCell` will do: they
//! never run at the same time. `std::sync::Arc` and atomics have nothing to wait for; there is one kind of them.
//!
//! # What locks promise
//!
//! - *Who need not wait is not suspended*: then a call is no checkpoint, and costs what std's costs.
//! - *First come, first served* among those that wait. [`Mutex`] says where it lets others go first.
//! - *A wait is cancelled or complete, never both.* A task that is cancelled while it waits leaves the queue and is
//!   unwound; what crosses that goes to the next. One that has been given what it waits for (a lock, a notice, permits)
//!   before it hears of its cancellation has it, goes on, and is unwound at its next checkpoint. What it has then
//!   poisons as in std, for it unwinds.
//! - *Where panics abort* there is nothing to unwind a cancelled task with, and std's signatures have no error for it: it
//!   goes on waiting. (The loop ends when it has got what it waits for.)
//! - *Time* is given by [`timeout`](crate::timeout) around any of them; [`Condvar`] has std's own forms.
//! - *No allocation*: who waits stands in the queue with his own frame. Ten thousand may.
//!
//! # What channels promise
//!
//! Sending and receiving is a checkpoint, also where it need not wait, unless it says otherwise. A wait is cancelled or complete,
//! never both: a value that has been received is given to whoever waits, although it has been cancelled meanwhile. Where
//! panics abort, a task can't be unwound: waits of one that is cancelled end early, as if the other end had gone.
//!
//! What has no stack to suspend awaits the same: `recv_async`, `send_async`, `changed_async`, and a `oneshot`'s receiver itself.
//! These futures allocate nothing, go to any runtime and thread, and lose no value when they are dropped.

#[cfg(loom)]
#[doc(hidden)]
pub mod model;
mod system;
mod wait_queue;
mod poison;
mod raw_lock;
mod mutex;
mod raw_rw_lock;
mod rw_lock;
mod condvar;
mod barrier;
mod once;
mod once_lock;
mod lazy_lock;
mod semaphore;
pub mod channel;
pub mod mpsc;
pub mod oneshot;
pub mod watch;
pub mod broadcast;
pub mod select;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy_lock::LazyLock;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
pub use rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{OwnedPermit, Permit, Semaphore, SemaphoreError};
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
