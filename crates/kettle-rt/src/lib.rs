//! Tasks as fibers on one event loop: plain sequential code, with ordinary stacks and borrowed buffers, a million at a
//! time. For Linux on x86_64 and aarch64.
//!
//! ```
//! use kettle_rt::{EventLoop, sleep, spawn};
//! use std::time::Duration;
//!
//! let said = EventLoop::new()?.run(|| {
//!     let kettle = spawn(|| {
//!         sleep(Duration::from_millis(2));
//!         "it whistles"
//!     });
//!     // Meanwhile, television.
//!     kettle.join().unwrap()
//! });
//! assert_eq!(said, "it whistles");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A task has a stack of its own and never changes its thread, so what it holds need not be `Send`, and nothing that it
//! shares with others of its loop needs a lock. It runs until it waits. Each place where it may wait is a *checkpoint*, and
//! says so in its documentation; there, a task that was cancelled is unwound.
//!
//! # Modules, in reading order
//!
//! How what is not ours is called (`foreign`); what threads agree by (`atomics`, `gate`), how they leave messages
//! (`mailbox`), what becomes of what runs elsewhere (`outcome`), how its memory comes back (`returns`), who sleeps
//! (`idle`); what a task is unwound with (`cancelled`), what has not begun (`job`), how other threads find a task
//! (`remote`), the memory for tasks (`cells`) and for what others begin (`pool`), what repeats a simulation (`seed`),
//! where a task's own values lie (`locals`), what the loop knows of it (`header`),
//! how a cancellation spreads (`region`), what a timer wakes besides (`alarm`), what a simulation chooses (`order`),
//! what is called what (`tokens`); how a forked child hears of it (`fork`), what workers share (`crew`); the loop
//! itself (`event_loop`), its moments (`instant`), how tasks come into it and leave it (`admission`), are ended early
//! (`cancelling`), and how it ends (`lifetime`), or can't go on (`blocked`); its tasks' wakers (`waker`), a task's own
//! values (`fiber_local`), what runs on the loop (`task`), and what a thread is without it (`outside`), who has a future
//! go on (`driving`); what a task waits for (`lookout`, `wait`, `operation`, `waiter`); how it is named (`thread`),
//! waited for (`join`, `scope`), cancelled (`cancel`) and awaited (`future`), how it meets callbacks (`callback`); tasks
//! that end together (`group_error`, `group`), where their results come (`results`), how others get in (`spawner`), how
//! they are put together beforehand (`prepared`); the face of it all (`run`), who does what (`tree`), several loops at
//! once ([`workers`]), and what tests do with time and order ([`testing`]).
#![warn(missing_debug_implementations)]

mod foreign;
mod atomics;
mod gate;
mod mailbox;
mod outcome;
mod returns;
mod idle;
mod cancelled;
mod job;
mod remote;
mod cells;
mod pool;
mod seed;
mod locals;
mod header;
mod region;
mod alarm;
mod order;
mod tokens;
mod fork;
mod crew;
mod event_loop;
mod instant;
mod admission;
mod cancelling;
mod lifetime;
mod blocked;
mod waker;
mod fiber_local;
mod task;
mod outside;
mod driving;
mod lookout;
mod wait;
mod operation;
mod waiter;
mod thread;
mod join;
mod scope;
mod cancel;
pub mod future;
mod callback;
mod group_error;
mod group;
mod results;
mod spawner;
mod prepared;
mod run;
mod tree;
pub mod workers;
pub mod testing;

pub use blocked::refuse_to_wait;
pub use callback::{Done, Uncalled, callback};
pub use cancel::{CancelScope, cancel_scope, deadline, shield, timeout};
pub use cancelled::{Cancelled, Reason};
pub use event_loop::{choose, now};
pub use fiber_local::{AccessError, FiberKey};
pub use foreign::wake;
pub use future::{in_fiber, spawn_future};
pub use group::{Group, GroupHandle, NoTurns, task_group};
pub use group_error::GroupError;
pub use header::{Purpose, Wait};
pub use instant::Instant;
pub use join::{Builder, Ending, JoinHandle, spawn};
pub use kettle_driver as driver;
pub use lookout::Lookout;
pub use operation::{Outcome, adopt, attempt, cancelled, checkpoint, close, operate, release, simulated};
pub use prepared::{Task, TaskGroup};
pub use results::Results;
pub use run::{DEFAULT_STACK_SIZE, EventLoop, LoopBuilder, ROOT_STACK_SIZE, Root};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawner::{SpawnError, Spawner};
pub use thread::{Thread, ThreadId, current, park, park_timeout};
pub use tree::{TaskInfo, TaskState, Tree, tree};
pub use wait::{is_cancelled, pass, pause, pauses_before_lock, raise_if_cancelled, sleep, sleep_until, yield_now};
pub use waiter::{Waiter, Woken};
