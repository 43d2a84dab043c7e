//! `std::sync`'s channels for tasks, and those that std lacks.
//!
//! ```
//! use kettle::sync::mpsc;
//! use kettle::thread;
//!
//! kettle::run(|| {
//!     let (sender, receiver) = mpsc::channel();
//!     thread::spawn(move || sender.send("the water boils"));
//!     assert_eq!(receiver.recv(), Ok("the water boils"));
//! });
//! ```
//!
//! All of it works between tasks of one event loop, tasks of loops on different threads, and threads without one, in any
//! mix: who waits in a task suspends the task, who waits elsewhere blocks the thread.
//!
//! | module | values go |
//! |---|---|
//! | [`mpsc`] | from many to one: std's, by std's names |
//! | [`channel`] | from many to many, each to one |
//! | [`oneshot`] | once, from one to one |
//! | [`watch`] | the latest one, to everybody who looks |
//! | [`broadcast`] | from many to many, each to everybody |
//!
//! [`select`] waits for the first of several of these, for times, tasks and descriptors.
//!
//! # Cancellation
//!
//! What waits here is a checkpoint, also where it need not wait, unless it says otherwise. A wait is cancelled or complete,
//! never both: a value that has been received is given to whoever waits, although it has been cancelled meanwhile. Where
//! panics abort, a task can't be unwound: waits of one that is cancelled end early, as if the other end had gone.

pub mod channel;
pub mod mpsc;
pub mod oneshot;
pub mod watch;
pub mod broadcast;
pub mod select;
