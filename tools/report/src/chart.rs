//! Owns the charts: all rows at a glance, and one row with all its contenders.
//!
//! Marks are medians, thin lines go from the least to the greatest. Who is ahead is told by shape, colour and figure.

use crate::page::{Figure, Limit, Line, Part, Row};
use crate::pairs::{Comparison, NOISE, Outcome, Pair, compare, is_kettle, is_limit};
use crate::svg::{Anchor, Scale, Shape, Svg};

/// All pictures are so wide; the page scales them.
const WIDTH: f64 = 960.0;

/// From one row of the overview to the next.
const PITCH: f64 = 21.0;
/// The overview's plot.
const PLOT: [f64; 2] = [165.0, 490.0];
/// Where its two columns of words begin.
const WORDS: [f64; 2] = [506.0, 730.0];
/// Ratios that are still told apart by their place: as many on the side of losses as on that of wins.
const RATIOS: [f64; 2] = [0.1, 10.0];
const RATIO_TICKS: [f64; 9] = [0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0];

/// A ratio as it is written.
pub fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 99.95 => grouped(&format!("{ratio:.0}")),
        ratio if ratio >= 9.995 => format!("{ratio:.1}"),
        ratio if ratio >= 0.095 => format!("{ratio:.2}"),
        ratio => format!("{ratio:.3}"),
    }
}

/// A figure as it is written, three digits of it.
pub fn amount(figure: f64) -> String {
    match figure {
        figure if figure >= 99.95 => grouped(&format!("{figure:.0}")),
        figure if figure >= 9.995 => format!("{figure:.1}"),
        0.0 => "0".to_owned(),
        figure => format!("{figure:.2}"),
    }
}

/// Digits in threes.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// All rows with rivals: what Kettle takes of what the main rival takes, and of what the best one takes.
pub fn overview(parts: &[Part]) -> String {
    let parts: Vec<(&str, Vec<(&Row, Comparison<'_>)>)> =
        parts.iter().map(|part| (part.source.title, compared(part))).collect();
    let rows: usize = parts.iter().map(|(_, rows)| rows.len()).sum();
    let height = 64.0 + rows as f64 * PITCH + parts.len() as f64 * 30.0;
    let mut svg =
        Svg::new(WIDTH, height, "Each row's ratio of Kettle's figure to its rivals'; the table below has all of them");
    let scale = Scale::logarithmic(RATIOS, PLOT);
    let (top, bottom) = (34.0, height - 26.0);
    let noise = [1.0 - NOISE, 1.0 + NOISE].map(|ratio| scale.at(ratio));
    svg.area([noise[0], top], [noise[1] - noise[0], bottom - top], "noise");
    for tick in RATIO_TICKS {
        let x = scale.at(tick);
        svg.line([x, top], [x, bottom], if tick == 1.0 { "one" } else { "grid" });
        for y in [top - 5.0, bottom + 13.0] {
            svg.text([x, y], Anchor::Middle, "small", &format!("{tick}"));
        }
    }
    svg.text([PLOT[0], 12.0], Anchor::Start, "small", "\u{2190} Kettle takes less");
    svg.text([PLOT[1], 12.0], Anchor::End, "small", "Kettle takes more \u{2192}");
    svg.text([WORDS[0], top - 5.0], Anchor::Start, "small", "of the main rival");
    svg.text([WORDS[1], top - 5.0], Anchor::Start, "small", "of the best, if another");
    let mut y = top;
    for (title, rows) in parts {
        y += 22.0;
        svg.text([0.0, y + 4.0], Anchor::Start, "part", title);
        y += 8.0;
        for (row, comparison) in rows {
            y += PITCH;
            glance(&mut svg, &scale, y - PITCH / 2.0 + 2.0, row, &comparison);
        }
    }
    svg.finish()
}

/// The rows that can be compared, those where Kettle is ahead by most first.
fn compared(part: &Part) -> Vec<(&Row, Comparison<'_>)> {
    let mut rows: Vec<_> = part.rows.iter().filter_map(|row| Some((row, compare(row)?))).collect();
    rows.sort_by(|(_, one), (_, other)| one.main.ratio.median.total_cmp(&other.main.ratio.median));
    rows
}

/// A line of the overview.
fn glance(svg: &mut Svg, scale: &Scale, y: f64, row: &Row, comparison: &Comparison<'_>) {
    let Comparison { main, best } = comparison;
    svg.link(&format!("#{}", row.name));
    svg.text([PLOT[0] - 12.0, y + 4.0], Anchor::End, "", &row.name);
    svg.close();
    // The two marks stand a little apart, so that one does not hide the other.
    let apart = if best.is_some() { 3.5 } else { 0.0 };
    if let Some(best) = best {
        ratio(svg, scale, y + apart, row, best, "hollow");
        word(svg, [WORDS[1], y + 4.0], best);
    }
    ratio(svg, scale, y - apart, row, main, "");
    word(svg, [WORDS[0], y + 4.0], main);
}

fn ratio(svg: &mut Svg, scale: &Scale, y: f64, row: &Row, pair: &Pair<'_>, class: &str) {
    let Pair { kettle, rival, ratio } = pair;
    let outcome = Outcome::of(ratio.median);
    let mut title = format!("{}: {} takes {} of {}", row.name, kettle.name, times(ratio.median), rival.name);
    if let Some((least, greatest)) = ratio.spread {
        title += &format!(", {} to {}", times(least), times(greatest));
    }
    svg.group(&format!("{} {class}", outcome.word()), &title);
    whisker(svg, scale, y, *ratio);
    let at = [scale.at(ratio.median), y];
    if scale.holds(ratio.median) {
        svg.mark(shape(outcome), at, 3.6, "mark");
    } else {
        svg.text([at[0], y + 4.0], Anchor::Middle, "beyond", if ratio.median < 1.0 { "\u{25c2}" } else { "\u{25b8}" });
    }
    svg.close();
}

fn word(svg: &mut Svg, at: [f64; 2], pair: &Pair<'_>) {
    let outcome = Outcome::of(pair.ratio.median);
    let name = pair.rival.name.split(", ").next().unwrap_or_default();
    let sign = match outcome {
        Outcome::Ahead => '\u{25cf}',
        Outcome::Even => '\u{25c6}',
        Outcome::Behind => '\u{25b6}',
    };
    let text = format!("{sign} {} {name}", times(pair.ratio.median));
    svg.text(at, Anchor::Start, outcome.word(), &text);
}

/// How an outcome is marked.
pub fn shape(outcome: Outcome) -> Shape {
    match outcome {
        Outcome::Ahead => Shape::Circle,
        Outcome::Even => Shape::Diamond,
        Outcome::Behind => Shape::Triangle,
    }
}

fn whisker(svg: &mut Svg, scale: &Scale, y: f64, figure: Figure) {
    if let Some((least, greatest)) = figure.spread {
        svg.line([scale.at(least), y], [scale.at(greatest), y], "whisker");
    }
}

/// Where a row's chart has its plot, and its two columns of figures.
const FIELD: [f64; 2] = [285.0, 745.0];
const FIGURES: f64 = 840.0;
const FACTORS: f64 = 925.0;
/// From one contender to the next.
const STEP: f64 = 18.0;
/// If the greatest figure is more than so many times the least, equal ratios are equally wide.
const WIDE: f64 = 12.0;

/// A row with all its contenders.
pub fn row(row: &Row) -> String {
    let top = 20.0;
    let bottom = top + row.lines.len() as f64 * STEP + 4.0;
    let description = format!("{}: {} The table below has the figures.", row.name, row.work);
    let mut svg = Svg::new(WIDTH, bottom + 20.0, &description);
    let scale = scale(row);
    for tick in scale.ticks() {
        let x = scale.at(tick);
        svg.line([x, top], [x, bottom], "grid");
        svg.text([x, bottom + 13.0], Anchor::Middle, "small", &tick_text(tick));
    }
    if scale.is_logarithmic() {
        svg.text([FIELD[0] - 12.0, bottom + 13.0], Anchor::End, "small", "logarithmic");
    }
    svg.text([FIGURES, top - 6.0], Anchor::End, "small", &row.unit);
    svg.text([FACTORS, top - 6.0], Anchor::End, "small", "ratio");
    if let Some(first) = row.lines.first().and_then(|line| line.figure) {
        let x = scale.at(first.median);
        svg.line([x, top], [x, bottom], "one");
    }
    for (index, line) in row.lines.iter().enumerate() {
        contender(&mut svg, &scale, top + (index as f64 + 0.5) * STEP + 2.0, row, line);
    }
    svg.finish()
}

fn contender(svg: &mut Svg, scale: &Scale, y: f64, row: &Row, line: &Line) {
    let class = match line.name.as_str() {
        name if is_kettle(name) => "own",
        name if is_limit(name) => "other hollow",
        _ => "other",
    };
    let figure = line.figure.map_or("none".to_owned(), |figure| amount(figure.median));
    let mut title = format!("{}: {figure} {}", line.name, row.unit);
    if let Some((least, greatest)) = line.figure.and_then(|figure| figure.spread) {
        title += &format!(", {} to {}", amount(least), amount(greatest));
    }
    svg.group(class, &title);
    svg.text([FIELD[0] - 12.0, y + 4.0], Anchor::End, "name", &line.name);
    svg.text([FIGURES, y + 4.0], Anchor::End, "", &figure);
    let factor = line.ratio.map_or("\u{2013}".to_owned(), |ratio| times(ratio.median));
    svg.text([FACTORS, y + 4.0], Anchor::End, "", &factor);
    if let Some(figure) = line.figure {
        for verdict in &line.verdicts {
            let limit = match &verdict.limit {
                Limit::Figure(figure) => Some(*figure),
                Limit::Times(times, name) => {
                    row.line(name).and_then(|other| other.figure).map(|other| times * other.median)
                }
            };
            let Some(limit) = limit else { continue };
            let class = if verdict.met { "limit met" } else { "limit missed" };
            if !verdict.met {
                svg.line([scale.at(limit), y], [scale.at(figure.median), y], class);
            }
            svg.mark(Shape::Bar, [scale.at(limit), y], 7.0, class);
        }
        whisker(svg, scale, y, figure);
        svg.mark(Shape::Circle, [scale.at(figure.median), y], 3.6, "mark");
    }
    svg.close();
}

/// A scale that holds all of a row's figures, from nothing if they are near enough to each other.
fn scale(row: &Row) -> Scale {
    let figures = || row.lines.iter().filter_map(|line| line.figure);
    let ends =
        figures().flat_map(|figure| figure.spread.map_or([figure.median; 2], |(least, greatest)| [least, greatest]));
    let greatest = ends.clone().fold(0.0, f64::max);
    let least = ends.filter(|end| *end > 0.0).fold(f64::INFINITY, f64::min);
    let has_nothing = figures().any(|figure| figure.median <= 0.0);
    if greatest <= 0.0 {
        Scale::linear([0.0, 1.0], FIELD)
    } else if greatest / least <= WIDE || has_nothing {
        Scale::linear([0.0, greatest * 1.03], FIELD)
    } else {
        Scale::logarithmic([least / 1.15, greatest * 1.15], FIELD)
    }
}

fn tick_text(tick: f64) -> String {
    if tick >= 1000.0 { grouped(&format!("{tick:.0}")) } else { format!("{}", (tick * 1e6).round() / 1e6) }
}
