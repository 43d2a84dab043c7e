//! Owns the rows: which work is measured, who does it, and what is to be reached.

mod values;
mod send;
mod lexer;
mod delegation;
mod tree;
mod switch;
mod memory;
mod tasks;
mod futures;
mod locks;
mod channels;
mod workers;

use crate::measure::Row;
use crate::outside::Programs;

pub use futures::sleep_as_futures;
pub use memory::{count_until_refused, suspend};
pub use tasks::sleep;

/// How much work there is.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Small ones that show that it works.
    pub quick: bool,
    /// The programs that other contenders need.
    pub programs: Programs,
}

impl Sizes {
    /// A full-size number, or a fiftieth of it.
    fn of(&self, full: u64) -> u64 {
        if self.quick { full / 50 } else { full }
    }

    /// The same for what is ten times as slow.
    fn of_slow(&self, full: u64) -> u64 {
        self.of(full) / 10
    }
}

/// All rows. Nothing is set up before its contender runs.
pub fn all(sizes: &Sizes) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(values::rows(sizes));
    rows.push(send::row(sizes));
    rows.push(lexer::row(sizes));
    rows.extend(delegation::rows(sizes));
    rows.extend(tree::rows(sizes));
    rows.extend(switch::rows(sizes));
    rows.extend(memory::rows(sizes));
    rows.extend(tasks::rows(sizes));
    rows.extend(futures::rows(sizes));
    rows.extend(locks::rows(sizes));
    rows.extend(channels::rows(sizes));
    rows.push(workers::row(sizes));
    rows
}
