//! A pipeline: each stage is a generator that takes from the one before it. Nothing is collected in between: one value
//! at a time goes through, and only when the end of the pipeline asks for it.
//! Run it: `cargo run -p kettle --example pipeline`

use kettle::generator;
use std::cell::Cell;

/// The lines of a log, one at a time. Counts how many were read.
fn lines<'a>(log: &'a str, read: &'a Cell<usize>) -> impl Iterator<Item = &'a str> {
    generator(async move |y| {
        for line in log.lines() {
            read.set(read.get() + 1);
            y.yield_(line).await;
        }
    })
}

/// Joins each line that is indented to the one before it.
fn records<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    generator(async move |y| {
        let mut record = String::new();
        for line in lines {
            match line.strip_prefix("  ") {
                Some(rest) => {
                    record.push(' ');
                    record.push_str(rest);
                }
                None => {
                    let complete = std::mem::replace(&mut record, line.to_string());
                    if !complete.is_empty() {
                        y.yield_(complete).await;
                    }
                }
            }
        }
        if !record.is_empty() {
            y.yield_(record).await;
        }
    })
}

/// Gives the records that tell of an error, each with its number.
fn errors(records: impl Iterator<Item = String>) -> impl Iterator<Item = (usize, String)> {
    generator(async move |y| {
        for (number, record) in (1..).zip(records) {
            if record.starts_with("error") {
                y.yield_((number, record)).await;
            }
        }
    })
}

fn main() {
    let log = "info: kettle filled\n\
               error: fire is out\n  lit it again\n\
               info: warm\n\
               error: no cup\n\
               info: whistles\n\
               info: tea\n";
    let read = Cell::new(0);
    let mut errors = errors(records(lines(log, &read)));
    assert_eq!(read.get(), 0, "nothing runs before it is asked for");

    let first = errors.next();
    assert_eq!(first, Some((2, "error: fire is out lit it again".to_string())));
    // The record ends where the next one begins, so that line was read and no more.
    assert_eq!(read.get(), 4);
    println!("{first:?} after {} lines", read.get());

    let rest: Vec<_> = errors.collect();
    assert_eq!(rest, [(4, "error: no cup".to_string())]);
    println!("{rest:?} after {} lines", read.get());
}
