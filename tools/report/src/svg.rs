//! Owns how a picture is written: lines, marks and texts in a coordinate system, and scales that put figures there.
//!
//! Invariant: every element is closed, and what is text is escaped, whatever a contender is called. Colours and fonts are the
//! page's, by classes.

use std::fmt::Write as _;

/// A picture that grows by an element at a time.
pub struct Svg {
    text: String,
    open: Vec<&'static str>,
}

/// How a place is marked: what it says must not depend on colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A circle.
    Circle,
    /// A square on its corner.
    Diamond,
    /// A triangle that points to the right.
    Triangle,
    /// An upright bar.
    Bar,
}

/// Where a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its begin.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

impl Svg {
    /// An empty picture of this size, with what those are told who can't see it.
    pub fn new(width: f64, height: f64, description: &str) -> Self {
        let label = escaped(description);
        let text = format!("<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{label}\">\n");
        Self { text, open: vec!["svg"] }
    }

    /// What follows belongs together, and says this when it is pointed at. Ends with [`Svg::close`].
    pub fn group(&mut self, class: &str, title: &str) {
        let _ = writeln!(self.text, "<g class=\"{}\"><title>{}</title>", escaped(class), escaped(title));
        self.open.push("g");
    }

    /// What follows leads there. Ends with [`Svg::close`].
    pub fn link(&mut self, target: &str) {
        let _ = write!(self.text, "<a href=\"{}\">", escaped(target));
        self.open.push("a");
    }

    /// Ends the group or the link that began last.
    pub fn close(&mut self) {
        if let Some(tag) = self.open.pop() {
            let _ = writeln!(self.text, "</{tag}>");
        }
    }

    /// A straight line.
    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) {
        let class = escaped(class);
        let _ = writeln!(self.text, "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
    }

    /// A filled area.
    pub fn area(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], class: &str) {
        let class = escaped(class);
        let _ = writeln!(
            self.text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    /// A mark with its middle there.
    pub fn mark(&mut self, shape: Shape, [x, y]: [f64; 2], size: f64, class: &str) {
        let class = escaped(class);
        let _ = match shape {
            Shape::Circle => {
                writeln!(self.text, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size:.1}\"/>")
            }
            Shape::Diamond => {
                let [left, right, top, bottom] = [x - size, x + size, y - size, y + size].map(|at| format!("{at:.1}"));
                let path = format!("M{left} {y:.1}L{x:.1} {top}L{right} {y:.1}L{x:.1} {bottom}Z");
                writeln!(self.text, "<path class=\"{class}\" d=\"{path}\"/>")
            }
            Shape::Triangle => {
                let [left, right, top, bottom] = [x - size, x + size, y - size, y + size].map(|at| format!("{at:.1}"));
                writeln!(self.text, "<path class=\"{class}\" d=\"M{left} {top}L{right} {y:.1}L{left} {bottom}Z\"/>")
            }
            Shape::Bar => {
                let [top, bottom] = [y - size, y + size].map(|at| format!("{at:.1}"));
                writeln!(self.text, "<path class=\"{class}\" d=\"M{x:.1} {top}L{x:.1} {bottom}\"/>")
            }
        };
    }

    /// A line of text; `y` is where its letters stand.
    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let class = match anchor {
            Anchor::Start => class.to_owned(),
            Anchor::Middle => format!("middle {class}"),
            Anchor::End => format!("end {class}"),
        };
        let (class, text) = (escaped(class.trim()), escaped(text));
        let _ = writeln!(self.text, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    /// The whole picture.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }
}

/// Text as it stands in HTML and SVG, between tags and in attributes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Puts figures on a horizontal line.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The least and the greatest figure.
    range: [f64; 2],
    /// Where they are.
    places: [f64; 2],
    logarithmic: bool,
}

impl Scale {
    /// Equal differences are equally wide.
    pub fn linear(range: [f64; 2], places: [f64; 2]) -> Self {
        Self { range, places, logarithmic: false }
    }

    /// Equal ratios are equally wide.
    pub fn logarithmic(range: [f64; 2], places: [f64; 2]) -> Self {
        Self { range, places, logarithmic: true }
    }

    /// Whether equal ratios are equally wide.
    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Where a figure is; at the edge if it is beyond.
    pub fn at(&self, figure: f64) -> f64 {
        let [least, greatest] = self.range;
        let figure = figure.clamp(least, greatest);
        let part = if self.logarithmic {
            (figure / least).ln() / (greatest / least).ln()
        } else {
            (figure - least) / (greatest - least)
        };
        self.places[0] + part * (self.places[1] - self.places[0])
    }

    /// Whether a figure is within the range.
    pub fn holds(&self, figure: f64) -> bool {
        (self.range[0]..=self.range[1]).contains(&figure)
    }

    /// Round figures to be written on the axis, at most nine or so.
    pub fn ticks(&self) -> Vec<f64> {
        let [least, greatest] = self.range;
        if self.logarithmic {
            let decades = (greatest / least).log10();
            let steps: &[f64] = match decades {
                decades if decades < 1.7 => &[1.0, 2.0, 5.0],
                decades if decades < 3.5 => &[1.0, 3.0],
                _ => &[1.0],
            };
            let exponents = least.log10().floor() as i32..=greatest.log10().ceil() as i32;
            let all = exponents.flat_map(|exponent| steps.iter().map(move |step| step * 10_f64.powi(exponent)));
            return all.filter(|tick| self.holds(*tick)).collect();
        }
        let rough = (greatest - least) / 6.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * magnitude).find(|step| *step >= rough);
        let step = step.unwrap_or(magnitude);
        (0..)
            .map(|count| f64::from(count) * step)
            .skip_while(|tick| *tick < least)
            .take_while(|tick| *tick <= greatest)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_open_is_closed() {
        let mut svg = Svg::new(10.0, 10.0, "a \"picture\"");
        svg.group("own", "x < y");
        svg.link("#x&y");
        svg.text([1.0, 2.0], Anchor::End, "", "Box<dyn Iterator> & 'more'");
        let text = svg.finish();
        assert!(
            text.starts_with("<svg viewBox=\"0 0 10 10\" role=\"img\" aria-label=\"a &quot;picture&quot;\">"),
            "{text}"
        );
        assert!(text.contains("<title>x &lt; y</title>"), "{text}");
        assert!(text.contains(">Box&lt;dyn Iterator&gt; &amp; &#39;more&#39;</text>"), "{text}");
        assert!(text.contains("href=\"#x&amp;y\""), "{text}");
        let closed: String = text.split_inclusive('\n').rev().take(3).collect();
        assert_eq!(closed, "</svg>\n</g>\n</a>\n", "{text}");
    }

    #[test]
    fn a_scale_has_its_ends_at_its_ends() {
        for scale in [Scale::linear([0.0, 8.0], [100.0, 200.0]), Scale::logarithmic([0.5, 8.0], [100.0, 200.0])] {
            let [least, greatest] = scale.range;
            assert_eq!([scale.at(least), scale.at(greatest)], [100.0, 200.0]);
            assert_eq!(
                [scale.at(least / 2.0 - 1.0), scale.at(greatest * 2.0)],
                [100.0, 200.0],
                "what is beyond stays at the edge"
            );
        }
        assert_eq!(Scale::linear([0.0, 8.0], [100.0, 200.0]).at(2.0), 125.0);
        assert_eq!(Scale::logarithmic([0.5, 8.0], [100.0, 200.0]).at(2.0), 150.0);
    }

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!(Scale::linear([0.0, 23.0], [0.0, 1.0]).ticks(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(Scale::logarithmic([0.8, 40.0], [0.0, 1.0]).ticks(), [1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(Scale::logarithmic([4.0, 30_000.0], [0.0, 1.0]).ticks(), [10.0, 100.0, 1000.0, 10_000.0]);
    }
}
