//! What tasks of this thread are doing.
//!
//! ```
//! use kettle::{task, thread};
//!
//! kettle::run(|| {
//!     thread::spawn(|| thread::park());
//!     thread::yield_now();
//!     let tree = task::tree().to_string();
//!     assert_eq!(tree.lines().count(), 2);
//!     assert!(tree.contains("waits to be unparked"));
//! });
//! ```

pub use kettle_rt::{TaskInfo, TaskState, Tree, Wait, tree};
