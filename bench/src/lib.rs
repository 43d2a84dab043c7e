//! Benchmarks of Kettle's generators and coroutines against their rivals, side by side in one run.
//!
//! ```text
//! cargo run --release                      # everything: ten minutes; nine rounds
//! cargo run --release -- --quick           # small sizes, three rounds: shows that it works, not how fast
//! cargo run --release -- --filter lexer    # rows whose name contains the word
//! cargo run --release -- --markdown ../BENCHMARKS.md
//! cargo run --release -- --instructions    # counted under valgrind, held against instructions.txt
//! ```
//!
//! Machines are noisy, so a row's contenders take turns: each round runs every one of them once, in an order that
//! rotates, and what counts is the ratio to the row's baseline in the same round, the median of all rounds.
//!
//! All contenders of a row do the same work, whose body is written once, as a macro, and must come to the same result.
//! What another compiler or language runs is another process, started once a round, that times itself.
//!
//! Modules in reading order, bottom-up.

pub mod machine;
pub mod measure;
pub mod report;
pub mod outside;
pub mod work;
pub mod raw_stack;
pub mod rows;
pub mod hot_paths;
pub mod instructions;
