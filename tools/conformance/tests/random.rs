//! Judges the tool by a model, on scenarios made from seeds; and the model by CPython, on the stored corpora.
//!
//! `KETTLE_SEED` sets the first seed; a failure prints the seed that it came from. `KETTLE_SCENARIOS` names a file to
//! write the scenarios to, so that CPython can run them.

mod corpora;
mod model;
mod scenarios;
mod tool;

use conformance::parse;
use corpora::{CORPORA, difference, read, traces};
use std::env;
use std::fs;
use tool::BODIES;

/// How many scenarios a run makes.
const SCENARIOS: usize = 6_000;

#[test]
fn model_agrees_with_cpython() {
    for file in CORPORA {
        let corpus = read(file);
        for (line, (id, want)) in corpus.input.lines().zip(&corpus.expected) {
            let scenario = parse::scenario(line.as_bytes()).expect("the corpus is well-formed");
            let trace = model::trace(&scenario).unwrap_or_else(|| panic!("{id} is too long for the model"));
            assert_eq!(difference(&trace, want), None, "{id}");
        }
    }
}

/// A scenario, and its trace by the model.
struct Judged {
    seed: u64,
    line: String,
    trace: Vec<String>,
}

/// The scenarios of the seeds from the first on, without those that are too long.
fn judged() -> Vec<Judged> {
    let first = match env::var("KETTLE_SEED") {
        Ok(seed) => seed.parse().unwrap_or_else(|_| panic!("KETTLE_SEED is not a number: {seed}")),
        Err(_) => 1,
    };
    let judge = |seed| {
        let line = scenarios::scenario(seed);
        let scenario =
            parse::scenario(line.as_bytes()).unwrap_or_else(|reason| panic!("seed {seed}: {reason}: {line}"));
        model::trace(&scenario).map(|trace| Judged { seed, line, trace })
    };
    (first..).filter_map(judge).take(SCENARIOS).collect()
}

#[test]
fn random_scenarios_run_as_in_the_model() {
    let judged = judged();
    let input: String = judged.iter().map(|scenario| format!("{}\n", scenario.line)).collect();
    if let Ok(file) = env::var("KETTLE_SCENARIOS") {
        fs::write(&file, &input).unwrap_or_else(|error| panic!("write {file}: {error}"));
    }
    for bodies in BODIES {
        let traces = traces(bodies, &input);
        assert_eq!(traces.len(), judged.len(), "{bodies}: a trace for each scenario");
        for ((_, trace), Judged { seed, line, trace: want }) in traces.iter().zip(&judged) {
            if let Some(difference) = difference(trace, want) {
                panic!("KETTLE_SEED={seed}, {bodies}: {difference}\n{line}\nwant:\n{}", want.join("\n"));
            }
        }
    }
}

#[test]
fn random_scenarios_show_every_kind_of_event() {
    let judged = judged();
    for event in [
        "= raise RuntimeError:ignored-exit",
        "= raise RuntimeError:stop-raised",
        "= raise TypeError:just-started",
        "~ raise ValueError:already-executing",
        "= raise ValueError:already-executing",
        "= raise AttributeError:no-send",
        "~ raise LookupError:empty-slot",
        "= raise GeneratorExit",
        "= raise E1 ",
        "= closed null",
        "= closed 1",
        "= return 2",
        "= item 3",
        "= end",
        "= break",
        "= state suspended",
        "= state closed",
        "~ state running",
        "~ yield 1",
        "~ closed null",
        "- throw ",
    ] {
        let shows = |scenario: &&Judged| scenario.trace.iter().any(|line| line.starts_with(event));
        let count = judged.iter().filter(shows).count();
        assert!(count >= 3, "{count} of {SCENARIOS} scenarios show `{event}`");
    }
    // A generator that is dropped runs code of its own.
    let drops = |trace: &[String]| trace.windows(2).any(|two| two[0].starts_with("> drop") && two[1].starts_with(". "));
    let count = judged.iter().filter(|scenario| drops(&scenario.trace)).count();
    assert!(count >= SCENARIOS / 50, "{count} of {SCENARIOS} scenarios show that dropping closes");
}
