//! Waiting for the first of several things: Go's `select`.
//!
//! ```
//! use kettle::select;
//! use kettle::sync::{mpsc, select};
//! use kettle::thread;
//! use std::time::Duration;
//!
//! kettle::run(|| {
//!     let (sender, cups) = mpsc::channel();
//!     let mut kettle = thread::spawn(move || sender.send("tea").is_ok());
//!     let mut poured = Vec::new();
//!     loop {
//!         select! {
//!             cup = select::recv(&cups) => match cup {
//!                 Ok(cup) => poured.push(cup),
//!                 Err(_) => break,
//!             },
//!             _ = select::after(Duration::from_secs(60)) => panic!("no tea"),
//!         }
//!     }
//!     select! {
//!         _ = select::join(&mut kettle) => assert!(kettle.join().unwrap()),
//!     }
//!     assert_eq!(poured, ["tea"]);
//! });
//! ```
//!
//! The arms are made by the functions here. One arm is chosen, and does what it does: it has received its value, or sent it.
//! The others have done nothing and lost nothing: what they were to send lies where it was, and they may be waited for again.
//! The one that was chosen is finished: who wants to receive or to send again makes another one. Among those that are ready the
//! choice is fair; or the first one is chosen, if `biased` is asked for.

mod choice;
mod arm;
mod event;
mod wait;

pub use arm::{Arm, Feed, Looking, Receiving, Sending, Sink, Source, next, recv, send};
pub use choice::seed;
pub use event::{Join, Joining, Readiness, Time, after, at, join, readable, writable};
pub use wait::{Order, try_wait, wait};

use std::fmt;

/// A wait for the first of several arms, whose number need not be known at compile time. Where it is, [`select!`] is shorter.
///
/// ```
/// use kettle::sync::channel;
/// use kettle::sync::select::{self, Select};
///
/// let kettles: Vec<_> = (0..3).map(|_| channel::unbounded()).collect();
/// kettles[2].0.send("it whistles").unwrap();
///
/// let mut arms: Vec<_> = kettles.iter().map(|(_, receiver)| select::recv(receiver)).collect();
/// let mut select = Select::new();
/// for arm in &mut arms {
///     select.add(arm);
/// }
/// let chosen = select.wait();
/// assert_eq!(chosen, 2);
/// assert_eq!(arms.swap_remove(chosen).finish(), Ok("it whistles"));
/// ```
///
/// [`select!`]: crate::select!
#[derive(Default)]
pub struct Select<'a> {
    arms: Vec<(usize, &'a mut dyn Arm)>,
    order: Order,
}

impl<'a> Select<'a> {
    /// No arms.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the first arm that is ready, in the order in which they were added, instead of any.
    pub fn biased(mut self) -> Self {
        self.order = Order::Biased;
        self
    }

    /// Adds an arm, and gives its number: 0 for the first.
    pub fn add(&mut self, arm: &'a mut dyn Arm) -> usize {
        let index = self.arms.len();
        self.arms.push((index, arm));
        index
    }

    /// Waits until an arm is ready, has it do what it does, and gives its number. A checkpoint.
    ///
    /// # Panics
    ///
    /// If there is no arm: it would wait for ever. If an arm that receives or sends has been chosen before: it does that once.
    /// If a descriptor is waited for inside of a future, or in a destructor that runs by unwinding; if a task is waited for
    /// where it could not be joined.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled is unwound, and no arm has done anything. Where panics abort, an arm is chosen as if its other
    /// end had gone.
    #[track_caller]
    pub fn wait(mut self) -> usize {
        wait::wait(&mut self.arms, self.order)
    }

    /// Has an arm do what it does that is ready now, and gives its number. Never waits; no checkpoint.
    ///
    /// # Panics
    ///
    /// If an arm that receives or sends has been chosen before.
    #[track_caller]
    pub fn try_wait(mut self) -> Option<usize> {
        wait::try_wait(&mut self.arms, self.order)
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arms = self.arms.len();
        f.debug_struct("Select").field("arms", &arms).field("order", &self.order).finish()
    }
}

/// Waits for the first of several arms, and runs what belongs to it: sugar for
/// [`sync::select::Select`](crate::sync::select::Select).
///
/// ```
/// use kettle::select;
/// use kettle::sync::{channel, select};
///
/// let (sender, receiver) = channel::bounded(1);
/// let mut cup = Some("tea");
/// let mut drink = || select! {
///     sent = select::send(&sender, &mut cup) => sent.map(|()| "poured").unwrap(),
///     received = select::recv(&receiver) => received.unwrap(),
///     default => "nothing",
/// };
/// assert_eq!([drink(), drink(), drink()], ["poured", "tea", "nothing"]);
/// ```
///
/// Each line is a pattern, an arm, and what is done with what the arm's `finish` gives when it was chosen. With `default`, at
/// the end, it does not wait; with `biased;` at the beginning, the first arm that is ready is chosen. What is done may
/// `break`, `continue`, `return` and use `?`.
///
/// # Panics and cancellation
///
/// As [`sync::select::Select::wait`](crate::sync::select::Select::wait).
#[macro_export]
macro_rules! select {
    (biased; $($arms:tt)+) => { $crate::select!(@arms (Biased) () (0) $($arms)+) };

    (@arms ($order:ident) $known:tt $index:tt default => $default:expr $(,)?) => {
        $crate::select!(@run ($order) $known ($default))
    };
    (@arms ($order:ident) ($($known:tt)*) ($index:expr) $pattern:pat = $arm:expr => $then:block $(,)?) => {
        $crate::select!(@run ($order) ($($known)* (arm, $index, $pattern, $arm, $then)) ())
    };
    (@arms ($order:ident) ($($known:tt)*) ($index:expr) $pattern:pat = $arm:expr => $then:expr $(,)?) => {
        $crate::select!(@run ($order) ($($known)* (arm, $index, $pattern, $arm, $then)) ())
    };
    (@arms ($order:ident) ($($known:tt)*) ($index:expr) $pattern:pat = $arm:expr => $then:block, $($arms:tt)+) => {
        $crate::select!(@arms ($order) ($($known)* (arm, $index, $pattern, $arm, $then)) ($index + 1) $($arms)+)
    };
    (@arms ($order:ident) ($($known:tt)*) ($index:expr) $pattern:pat = $arm:expr => $then:block $($arms:tt)+) => {
        $crate::select!(@arms ($order) ($($known)* (arm, $index, $pattern, $arm, $then)) ($index + 1) $($arms)+)
    };
    (@arms ($order:ident) ($($known:tt)*) ($index:expr) $pattern:pat = $arm:expr => $then:expr, $($arms:tt)+) => {
        $crate::select!(@arms ($order) ($($known)* (arm, $index, $pattern, $arm, $then)) ($index + 1) $($arms)+)
    };

    // Each `arm` is another name: it comes from another expansion.
    (@run ($order:ident) ($(($name:ident, $index:expr, $pattern:pat, $arm:expr, $then:expr))+) ($($default:expr)?)) => {{
        $(let mut $name = $arm;)+
        let chosen = $crate::select!(@choose ($order) [$(($index, &mut $name)),+] ($($default)?));
        $(
            if chosen == ::core::option::Option::Some($index) {
                let $pattern = $name.finish();
                $then
            } else
        )+
        {
            $crate::select!(@otherwise ($($default)?))
        }
    }};
    (@choose ($order:ident) $arms:tt ()) => {
        ::core::option::Option::Some($crate::sync::select::wait(&mut $arms, $crate::sync::select::Order::$order))
    };
    (@choose ($order:ident) $arms:tt ($default:expr)) => {
        $crate::sync::select::try_wait(&mut $arms, $crate::sync::select::Order::$order)
    };
    (@otherwise ()) => { ::core::unreachable!("an arm was chosen") };
    (@otherwise ($default:expr)) => { $default };

    // Otherwise the last rule would take it, for ever.
    (@arms $($rest:tt)*) => {
        ::core::compile_error!("write each line of `select!` as `pattern = arm => what is done`, and `default => …` last")
    };

    ($($arms:tt)+) => { $crate::select!(@arms (Fair) () (0) $($arms)+) };
}
