//! Owns who is compared with whom: of each row a contender of Kettle's, with its main rival and with its best one.
//!
//! Ratios are Kettle's to the other's. Where more is better they are turned round, so that below one is always ahead.

use crate::page::{Figure, Limit, Line, Row};

/// What is measured as a limit that no program could be written with: it is no rival.
const LIMITS: [&str; 2] = ["raw ", "the loop itself"];
/// The same contender again.
const AGAIN: &str = ", default profile";
/// What is counted in these is the better the more there is of it.
const MORE_IS_BETTER: [&str; 1] = ["coroutines"];
/// Differences of less than this part mean nothing.
pub const NOISE: f64 = 0.05;

/// Two contenders, and what Kettle takes of what the other one takes.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Kettle's.
    pub kettle: &'a Line,
    /// The other.
    pub rival: &'a Line,
    /// Of each round; or, where that was not written down, the ratio of the medians, and what no round can have left.
    pub ratio: Figure,
}

/// What a row says about Kettle.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// With the row's first rival, which is the one that it is about.
    pub main: Pair<'a>,
    /// With the rival that takes least, if that is another one.
    pub best: Option<Pair<'a>>,
}

/// Who is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Kettle takes less.
    Ahead,
    /// The difference is noise.
    Even,
    /// Kettle takes more.
    Behind,
}

impl Outcome {
    /// Judges a ratio.
    pub fn of(ratio: f64) -> Self {
        match ratio {
            ratio if ratio < 1.0 - NOISE => Self::Ahead,
            ratio if ratio <= 1.0 + NOISE => Self::Even,
            _ => Self::Behind,
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Even => "even",
            Self::Behind => "behind",
        }
    }
}

/// Whether a contender is Kettle's.
pub fn is_kettle(name: &str) -> bool {
    name.starts_with("kettle") || name.starts_with("kv,")
}

/// Whether a contender is a limit, and no rival.
pub fn is_limit(name: &str) -> bool {
    LIMITS.iter().any(|limit| name.starts_with(limit))
}

/// Whether a contender is a rival of Kettle's.
fn is_rival(name: &str) -> bool {
    !is_kettle(name) && !is_limit(name) && !name.ends_with(AGAIN)
}

/// Compares a row's contenders. `None` if it has no rivals, or none whose figure anything is a multiple of.
pub fn compare(row: &Row) -> Option<Comparison<'_>> {
    let mut rivals: Vec<&Line> = row.lines.iter().filter(|line| is_rival(&line.name)).collect();
    let main = rivals.iter().find_map(|rival| pair(row, rival))?;
    rivals.sort_by(|one, other| cost(row, one).total_cmp(&cost(row, other)));
    let best = rivals.iter().find_map(|rival| pair(row, rival)).filter(|best| best.rival.name != main.rival.name);
    Some(Comparison { main, best })
}

/// A rival, and the contender of Kettle's that is to be compared with it: the first that has a target, or else the first. Not
/// the best one: that may do less, or spin, or be on a driver that nobody gets who does not ask for it.
fn pair<'a>(row: &'a Row, rival: &'a Line) -> Option<Pair<'a>> {
    let same = |line: &&Line| is_kettle(&line.name) && depth(&line.name) == depth(&rival.name);
    let mut own = row.lines.iter().filter(same);
    let first = own.clone().next()?;
    let kettle = own.find(|line| !line.verdicts.is_empty()).unwrap_or(first);
    let ratio = ratio(row, kettle, rival)?;
    Some(Pair { kettle, rival, ratio })
}

/// What a contender takes, or infinitely much if it could not run.
fn cost(row: &Row, line: &Line) -> f64 {
    match line.figure {
        Some(figure) if is_more_better(row) => -figure.median,
        Some(figure) => figure.median,
        None => f64::INFINITY,
    }
}

fn is_more_better(row: &Row) -> bool {
    MORE_IS_BETTER.contains(&row.unit.as_str())
}

/// Contenders that go to different depths do different work.
fn depth(name: &str) -> Option<&str> {
    name.split_once("depth ").map(|(_, depth)| depth)
}

/// What one contender takes of what another one takes.
pub fn ratio(row: &Row, kettle: &Line, rival: &Line) -> Option<Figure> {
    let (own, other) = (kettle.figure?, rival.figure?);
    // Work that the optimiser has folded away has no multiples.
    if own.median <= 0.0 || other.median <= 0.0 || row.lines.first()?.ratio.is_none() {
        return None;
    }
    if is_more_better(row) {
        return Some(quotient(other, own));
    }
    let judged = kettle.verdicts.iter().find_map(|verdict| match &verdict.limit {
        Limit::Times(_, name) if *name == rival.name => verdict.ratio,
        _ => None,
    });
    let to_first = kettle.ratio.filter(|_| row.lines[0].name == rival.name);
    let mut ratio = quotient(own, other);
    if let (Some(own), Some(other)) = (kettle.ratio, rival.ratio) {
        ratio.spread = within(ratio.spread, quotient(own, other).spread);
    }
    if let Some(said) = judged.or(to_first) {
        ratio = Figure { median: said.median, spread: said.spread.or(ratio.spread) };
    }
    // Rounded figures may bound it a little too closely.
    ratio.spread = ratio.spread.map(|(least, greatest)| (least.min(ratio.median), greatest.max(ratio.median)));
    Some(ratio)
}

/// Between what bounds the quotient of any round is, whichever went with which.
fn quotient(own: Figure, other: Figure) -> Figure {
    let spread = match (own.spread, other.spread) {
        (Some((least, greatest)), Some((others_least, others_greatest))) if others_least > 0.0 => {
            Some((least / others_greatest, greatest / others_least))
        }
        _ => None,
    };
    Figure { median: own.median / other.median, spread }
}

/// What both bounds allow.
fn within(one: Option<(f64, f64)>, other: Option<(f64, f64)>) -> Option<(f64, f64)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.max(other.0), one.1.min(other.1))),
        _ => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, figure: [f64; 3], to_first: [f64; 3]) -> Line {
        let [figure, ratio] = [figure, to_first]
            .map(|[least, median, greatest]| Some(Figure { median, spread: Some((least, greatest)) }));
        Line { name: name.to_owned(), figure, ratio, verdicts: Vec::new() }
    }

    fn row(lines: Vec<Line>) -> Row {
        Row { name: "row".to_owned(), work: String::new(), unit: "ns".to_owned(), lines }
    }

    #[test]
    fn the_main_rival_is_the_first_and_the_best_takes_least() {
        let row = row(vec![
            line("raw epoll", [1.0; 3], [1.0; 3]),
            line("kettle", [4.0; 3], [4.0; 3]),
            line("tokio", [5.0; 3], [5.0; 3]),
            line("smol", [2.0; 3], [2.0; 3]),
            line("smol, default profile", [1.0; 3], [1.0; 3]),
        ]);
        let found = compare(&row).map(|Comparison { main, best }| {
            let name = |pair: Pair<'_>| (pair.rival.name.clone(), pair.ratio.median);
            (name(main), best.map(name))
        });
        assert_eq!(found, Some((("tokio".to_owned(), 0.8), Some(("smol".to_owned(), 2.0)))));
    }

    #[test]
    fn who_goes_as_deep_is_compared() {
        let row = row(vec![
            line("kettle, depth 2", [1.0; 3], [1.0; 3]),
            line("kettle, depth 10", [3.0; 3], [3.0; 3]),
            line("gen blocks, depth 10", [6.0; 3], [6.0; 3]),
        ]);
        assert_eq!(compare(&row).map(|found| found.main.ratio.median), Some(0.5));
    }

    #[test]
    fn ratios_of_rounds_come_before_bounds() {
        let mut kettle = line("kettle", [2.0, 4.0, 8.0], [1.0, 2.0, 4.0]);
        let tokio = line("tokio", [2.0, 4.0, 4.0], [2.0, 2.0, 2.0]);
        let first = line("raw", [2.0; 3], [1.0; 3]);
        let bounds = ratio(&row(vec![first.clone(), kettle.clone(), tokio.clone()]), &kettle, &tokio);
        assert_eq!(bounds, Some(Figure { median: 1.0, spread: Some((0.5, 2.0)) }), "what both tables of spreads allow");
        kettle.verdicts.push(crate::page::Verdict {
            target: String::new(),
            limit: Limit::Times(1.0, "tokio".to_owned()),
            measured: String::new(),
            ratio: Some(Figure { median: 0.9, spread: Some((0.8, 1.1)) }),
            met: true,
        });
        let said = ratio(&row(vec![first, kettle.clone(), tokio.clone()]), &kettle, &tokio);
        assert_eq!(said, Some(Figure { median: 0.9, spread: Some((0.8, 1.1)) }));
    }

    #[test]
    fn more_is_better_where_that_is_what_is_counted() {
        let mut row = row(vec![line("kettle", [8.0; 3], [1.0; 3]), line("other", [2.0; 3], [0.25; 3])]);
        "coroutines".clone_into(&mut row.unit);
        let ratio = compare(&row).map(|found| found.main.ratio.median);
        assert_eq!(ratio, Some(0.25));
        assert_eq!(ratio.map(Outcome::of), Some(Outcome::Ahead));
    }

    #[test]
    fn nothing_is_compared_with_folded_work() {
        let mut first = line("by hand", [0.0; 3], [1.0; 3]);
        first.ratio = None;
        assert!(compare(&row(vec![first, line("kettle", [1.0; 3], [1.0; 3])])).is_none());
    }
}
