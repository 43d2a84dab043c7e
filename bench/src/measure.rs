//! Owns how a row is measured: its contenders take turns, and each round gives one ratio.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// One kind of work, and those who do it.
pub struct Row {
    /// Short, for `--filter`.
    pub name: &'static str,
    /// What is done, for whoever reads the table.
    pub work: String,
    /// What the numbers are.
    pub unit: &'static str,
    /// The first one is the baseline.
    pub contenders: Vec<Contender>,
}

/// Somebody who does a row's work.
pub struct Contender {
    /// Its name in the table.
    pub name: String,
    /// What it is to reach.
    pub targets: Vec<Target>,
    run: Box<dyn FnMut() -> Option<Sample>>,
}

/// What one run of a contender gives.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// In the row's unit.
    pub figure: f64,
    /// What the work came to, the same for all contenders that say it.
    pub result: Option<u64>,
}

/// What a contender is to reach.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// At most so many times the figure of another contender of the row.
    Times(f64, &'static str),
    /// Less than another contender of the row.
    LessThan(&'static str),
    /// At most this figure.
    AtMost(f64),
}

impl Row {
    /// A row whose figures are nanoseconds.
    pub fn new(name: &'static str, work: impl Into<String>) -> Self {
        Self { name, work: work.into(), unit: "ns", contenders: Vec::new() }
    }

    /// Adds a contender.
    pub fn with(mut self, contender: Contender) -> Self {
        self.contenders.push(contender);
        self
    }

    /// Leaves out the targets against contenders that could not be had here: they can't be missed.
    pub fn against_who_is_there(mut self) -> Self {
        let present: Vec<String> = self.contenders.iter().map(|contender| contender.name.clone()).collect();
        for contender in &mut self.contenders {
            contender.targets.retain(|target| match target {
                Target::Times(_, other) | Target::LessThan(other) => present.iter().any(|name| name == other),
                Target::AtMost(_) => true,
            });
        }
        self
    }

    /// Adds a contender, if there is one.
    pub fn with_any(mut self, contender: Option<Contender>) -> Self {
        self.contenders.extend(contender);
        self
    }
}

impl Contender {
    /// One that does `operations` in each run, timed as a whole.
    pub fn timed(name: impl Into<String>, operations: u64, mut work: impl FnMut() -> u64 + 'static) -> Self {
        Self::sampled(name, move || {
            let start = Instant::now();
            let result = black_box(work());
            Some(Sample::per_operation(start.elapsed(), operations, result))
        })
    }

    /// One that takes its own sample; `None` if it could not.
    pub fn sampled(name: impl Into<String>, run: impl FnMut() -> Option<Sample> + 'static) -> Self {
        Self { name: name.into(), targets: Vec::new(), run: Box::new(run) }
    }

    /// Gives it another name.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// One whose result is not that of the others, because it does less of the same work.
    pub fn unchecked(mut self) -> Self {
        Self {
            run: Box::new(move || Some(Sample::figure((self.run)()?.figure))),
            name: self.name,
            targets: self.targets,
        }
    }

    /// Says what it is to reach.
    pub fn to_reach(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Runs it once.
    pub fn run(&mut self) -> Option<Sample> {
        (self.run)()
    }
}

impl Sample {
    /// What an operation took.
    pub fn per_operation(elapsed: Duration, operations: u64, result: u64) -> Self {
        Self { figure: elapsed.as_nanos() as f64 / operations as f64, result: Some(result) }
    }

    /// A figure without a result.
    pub fn figure(figure: f64) -> Self {
        Self { figure, result: None }
    }
}

/// A row after all rounds.
pub struct Measured {
    /// See [`Row::name`].
    pub name: &'static str,
    /// See [`Row::work`].
    pub work: String,
    /// See [`Row::unit`].
    pub unit: &'static str,
    /// In the row's order.
    pub lines: Vec<Line>,
}

/// A contender after all rounds.
pub struct Line {
    /// See [`Contender::name`].
    pub name: String,
    /// The middle one of its figures.
    pub median: f64,
    /// The least of its figures.
    pub least: f64,
    /// The greatest of its figures.
    pub greatest: f64,
    /// Its ratios to the baseline in the same round; `None` if that was too fast to compare with.
    pub ratio: Option<Ratio>,
    /// What it was to reach.
    pub verdicts: Vec<Verdict>,
}

/// What one contender's figures are of another's, round by round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

/// Whether a target was met.
pub struct Verdict {
    /// The target in words.
    pub target: String,
    /// What was measured: `0.98 x (0.95..1.02)`, or a figure.
    pub measured: String,
    /// Whether that is good enough.
    pub met: bool,
}

/// Below this many nanoseconds an operation the work was folded away: nothing is a multiple of that.
const FOLDED: f64 = 0.02;

/// Runs a row's contenders in turns.
///
/// # Panics
///
/// If two contenders come to different results.
pub fn measure(mut row: Row, rounds: usize) -> Measured {
    let count = row.contenders.len();
    let mut figures = vec![Vec::new(); count];
    let mut result = None;
    // The first round warms up and is thrown away.
    for round in 0..=rounds {
        for turn in 0..count {
            let index = (turn + round) % count;
            let contender = &mut row.contenders[index];
            let sample = contender.run();
            if let Some(found) = sample.and_then(|sample| sample.result) {
                let expected = *result.get_or_insert(found);
                assert_eq!(found, expected, "{}: {} came to another result", row.name, contender.name);
            }
            if round > 0 {
                figures[index].push(sample.map_or(f64::NAN, |sample| sample.figure));
            }
        }
    }
    let lines = (0..count).map(|index| line(&row, &figures, index)).collect();
    Measured { name: row.name, work: row.work, unit: row.unit, lines }
}

fn line(row: &Row, figures: &[Vec<f64>], index: usize) -> Line {
    let own = &figures[index];
    let contender = &row.contenders[index];
    let verdicts = contender.targets.iter().map(|target| verdict(row, figures, index, *target)).collect();
    Line {
        name: contender.name.clone(),
        median: median(own.clone()),
        least: least(own),
        greatest: greatest(own),
        ratio: ratio(own, &figures[0]),
        verdicts,
    }
}

fn verdict(row: &Row, figures: &[Vec<f64>], index: usize, target: Target) -> Verdict {
    let against = |name: &str| {
        let other = row.contenders.iter().position(|contender| contender.name == name)?;
        ratio(&figures[index], &figures[other])
    };
    let said = |ratio: Option<Ratio>| {
        let times = |Ratio { median, least, greatest }| format!("{median:.2} x ({least:.2}..{greatest:.2})");
        ratio.map_or("not comparable".to_owned(), times)
    };
    match target {
        Target::Times(times, name) => {
            let ratio = against(name);
            Verdict {
                target: format!("<= {times:.2} x {name}"),
                measured: said(ratio),
                met: ratio.is_some_and(|ratio| ratio.median <= times),
            }
        }
        Target::LessThan(name) => {
            let ratio = against(name);
            Verdict {
                target: format!("faster than {name}"),
                measured: said(ratio),
                met: ratio.is_some_and(|ratio| ratio.median < 1.0),
            }
        }
        Target::AtMost(most) => {
            let median = median(figures[index].clone());
            Verdict { target: format!("<= {most} {}", row.unit), measured: format!("{median:.2}"), met: median <= most }
        }
    }
}

/// The ratios of each round.
fn ratio(own: &[f64], other: &[f64]) -> Option<Ratio> {
    if median(other.to_vec()) < FOLDED {
        return None;
    }
    let ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| own / other).collect();
    let ratio = Ratio { median: median(ratios.clone()), least: least(&ratios), greatest: greatest(&ratios) };
    (!ratio.median.is_nan()).then_some(ratio)
}

/// The least one; rounds without a figure do not count.
fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The greatest one; rounds without a figure do not count.
fn greatest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The middle one; of rounds without a figure, none.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.retain(|figure| !figure.is_nan());
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => figures[count / 2],
        count => (figures[count / 2 - 1] + figures[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(name: &str, figure: f64) -> Contender {
        Contender::sampled(name, move || Some(Sample::figure(figure)))
    }

    #[test]
    fn the_ratio_is_that_of_the_same_round() {
        // The machine gets slower from round to round; the ratio does not.
        let slowing = |name, factor: f64| {
            let mut round = 0.0;
            Contender::sampled(name, move || {
                round += 1.0;
                Some(Sample::figure(factor * round))
            })
        };
        let row = Row::new("row", "work").with(slowing("one", 1.0)).with(slowing("two", 3.0));
        let measured = measure(row, 5);
        assert_eq!(measured.lines[1].ratio, Some(Ratio { median: 3.0, least: 3.0, greatest: 3.0 }));
        assert_eq!((measured.lines[0].least, measured.lines[0].greatest), (2.0, 6.0), "without the first");
    }

    #[test]
    fn ratios_have_a_spread() {
        let mut round = 0.0;
        let uneven = Contender::sampled("two", move || {
            round += 1.0;
            Some(Sample::figure(round))
        });
        let row = Row::new("row", "work").with(steady("one", 2.0)).with(uneven.to_reach(Target::Times(1.0, "one")));
        let line = &measure(row, 3).lines[1];
        assert_eq!(line.ratio, Some(Ratio { median: 1.5, least: 1.0, greatest: 2.0 }), "of rounds two to four");
        assert_eq!(line.verdicts[0].measured, "1.50 x (1.00..2.00)");
    }

    #[test]
    fn targets_are_judged() {
        let met = |target| {
            let row = Row::new("row", "work").with(steady("one", 1.0)).with(steady("two", 1.5).to_reach(target));
            measure(row, 1).lines[1].verdicts[0].met
        };
        assert!(met(Target::Times(1.5, "one")));
        assert!(!met(Target::Times(1.4, "one")));
        assert!(!met(Target::LessThan("one")));
        assert!(met(Target::AtMost(1.5)));
        assert!(!met(Target::LessThan("nobody")));
    }

    #[test]
    fn who_is_not_there_is_no_target() {
        let two = steady("two", 2.0).to_reach(Target::LessThan("nobody")).to_reach(Target::LessThan("one"));
        let two = two.to_reach(Target::Times(1.0, "nobody")).to_reach(Target::AtMost(1.0));
        let row = Row::new("row", "work").with(steady("one", 1.0)).with(two).against_who_is_there();
        let targets: Vec<_> = measure(row, 1).lines[1].verdicts.iter().map(|verdict| verdict.target.clone()).collect();
        assert_eq!(targets, ["faster than one", "<= 1 ns"]);
    }

    #[test]
    #[should_panic(expected = "another result")]
    fn contenders_come_to_the_same_result() {
        let result = |name, result| Contender::timed(name, 1, move || result);
        measure(Row::new("row", "work").with(result("one", 1)).with(result("two", 2)), 1);
    }

    #[test]
    fn nothing_is_compared_with_folded_work() {
        let row = Row::new("row", "work").with(steady("one", 0.0)).with(steady("two", 1.0));
        assert_eq!(measure(row, 1).lines[1].ratio, None);
    }
}
