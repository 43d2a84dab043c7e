//! Runs every scenario of the corpora with every kind of body, and compares the traces with CPython's.

mod corpora;
mod tool;

use corpora::{CORPORA, difference, read, traces};
use std::io::{self, Write};
use tool::BODIES;

/// Compares one corpus, and says how it went.
fn judge(file: &str, expected: usize) {
    let corpus = read(file);
    assert_eq!(corpus.expected.len(), expected, "{file} is complete");
    for bodies in BODIES {
        let traces = traces(bodies, &corpus.input);
        assert_eq!(traces.len(), corpus.expected.len(), "{file}, {bodies}: a trace for each scenario");
        let mut wrong = Vec::new();
        for ((id, trace), (name, want)) in traces.iter().zip(&corpus.expected) {
            assert_eq!(id, name, "{file}, {bodies}: the scenarios' order");
            wrong.extend(difference(trace, want).map(|difference| format!("{id}: {difference}")));
        }
        // Not `println!`: the counts are to be seen when all is well, too.
        let count = writeln!(io::stdout(), "{file}, {bodies}: {} scenarios, {} wrong", traces.len(), wrong.len());
        count.expect("the counts can be printed");
        assert!(
            wrong.is_empty(),
            "{file}, {bodies}: {} wrong:\n{}",
            wrong.len(),
            wrong[..wrong.len().min(5)].join("\n")
        );
    }
}

#[test]
fn scenarios_written_by_hand_run_as_on_cpython() {
    judge(CORPORA[0], 174);
}

#[test]
fn listings_of_the_tutorial_run_as_on_cpython() {
    judge(CORPORA[1], 40);
}

#[test]
fn random_scenarios_run_as_on_cpython() {
    judge(CORPORA[2], 2_000);
}

#[test]
fn every_short_script_runs_as_on_cpython() {
    judge(CORPORA[3], 30_576);
}

#[test]
fn scenarios_that_once_went_wrong_run_as_on_cpython() {
    judge(CORPORA[4], 2);
}
