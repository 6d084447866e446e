//! Plots as SVG: axes, lines, points, bands. Colours are classes of the page's style sheet.

use std::fmt::Write;

/// Size of a plot and what its axes take, in the SVG's units.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;

/// One axis: its range, where its ticks are, what it shows and in which unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    step: f64,
    label: String,
}

impl Axis {
    /// An axis of exactly `low..high`, ticks every `step`.
    pub fn new(label: &str, low: f64, high: f64, step: f64) -> Axis {
        Axis { low, high, step, label: label.into() }
    }

    /// An axis that holds `values` and at least `least` of range around them, from tick to tick.
    pub fn around(label: &str, values: impl Iterator<Item = f64>, least: f64) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in values.filter(|v| v.is_finite()) {
            (low, high) = (low.min(v), high.max(v));
        }
        if low > high {
            (low, high) = (0.0, least);
        }
        let missing = (least - (high - low)).max(0.0);
        (low, high) = (low - missing / 2.0, high + missing / 2.0);
        let step = tick_step(high - low);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Axis { low, high, step, label: label.into() }
    }

    /// An axis of exactly `low..high` with round ticks.
    pub fn within(label: &str, low: f64, high: f64) -> Axis {
        Axis { low, high, step: tick_step(high - low), label: label.into() }
    }

    /// Place of `value` between 0 and 1; what lies outside goes to the edge.
    fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let first = (self.low / self.step - 1e-6).ceil();
        let last = (self.high / self.step + 1e-6).floor();
        let n = (last - first).clamp(0.0, 100.0) as usize;
        let step = self.step;
        (0..=n).map(move |i| (first + i as f64) * step)
    }

    fn tick_text(&self, value: f64) -> String {
        let digits = (-(self.step.log10() + 1e-9).floor()).clamp(0.0, 3.0) as usize;
        // No minus before a zero.
        format!("{:.digits$}", value + 0.0).replace('-', "−")
    }
}

/// A step of 1, 2 or 5 times a power of ten, for four to nine ticks.
fn tick_step(range: f64) -> f64 {
    let raw = (range / 5.0).max(1e-9);
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= raw * 0.999);
    factor.unwrap_or(10.0) * power
}

/// A plot in the making; what is drawn later lies above.
pub struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    body: String,
}

impl Plot {
    /// `title` says to those who can't see it what is shown.
    pub fn new(title: &str, x: Axis, y: Axis) -> Plot {
        Plot { title: title.into(), x, y, body: String::new() }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (
            LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT),
            TOP + (1.0 - self.y.share(y)) * (HEIGHT - TOP - BOTTOM),
        )
    }

    /// A dot at each of `points`; those outside the axes lie at the edge.
    pub fn points(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points.filter(is_finite) {
            let (x, y) = self.at(x, y);
            let _ = write!(path, "M{x:.1} {y:.1}h0");
        }
        self.path(&format!("dots {class}"), &path);
    }

    /// A line through `points`.
    pub fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points.filter(is_finite) {
            let (x, y) = self.at(x, y);
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
        }
        self.path(&format!("line {class}"), &path);
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let _ = writeln!(self.body, r#"<path class="{class}" d="{path}"/>"#);
        }
    }

    /// A band over the whole height from `from` to `to`, as strong as `strength` (0..1).
    pub fn band(&mut self, from: f64, to: f64, strength: f64) {
        let ((x0, y0), (x1, y1)) = (self.at(from, self.y.high), self.at(to, self.y.low));
        let _ = writeln!(
            self.body,
            r#"<rect class="band" x="{x0:.1}" y="{y0:.1}" width="{:.1}" height="{:.1}" fill-opacity="{:.2}"/>"#,
            x1 - x0,
            y1 - y0,
            0.22 * strength.clamp(0.0, 1.0)
        );
    }

    /// A vertical line at `x`.
    pub fn vertical(&mut self, class: &str, x: f64) {
        let (low, high) = (self.y.low, self.y.high);
        self.line(class, [(x, low), (x, high)].into_iter());
    }

    /// A horizontal line at `y`, with a word at its right end.
    pub fn horizontal(&mut self, class: &str, y: f64, word: &str) {
        let (low, high) = (self.x.low, self.x.high);
        self.line(class, [(low, y), (high, y)].into_iter());
        let (x, y) = self.at(high, y);
        text(&mut self.body, "word", (x - 4.0, y - 4.0), "end", word);
    }

    /// A small word above a place.
    pub fn word(&mut self, x: f64, y: f64, word: &str) {
        let (x, y) = self.at(x, y);
        text(&mut self.body, "word", (x, (y - 7.0).max(TOP + 9.0)), "middle", word);
    }

    /// The finished picture.
    pub fn svg(&self) -> String {
        let title = escape(&self.title);
        let mut svg =
            format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">"#);
        svg.push('\n');
        self.draw_axes(&mut svg);
        svg + &self.body + "</svg>\n"
    }

    fn draw_axes(&self, svg: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let (mut grid, mut words) = (String::new(), String::new());
        for tick in self.x.ticks() {
            let (x, _) = self.at(tick, self.y.low);
            let _ = write!(grid, "M{x:.1} {TOP}V{bottom}");
            text(&mut words, "tick", (x, bottom + 15.0), "middle", &self.x.tick_text(tick));
        }
        for tick in self.y.ticks() {
            let (_, y) = self.at(self.x.low, tick);
            let _ = write!(grid, "M{LEFT} {y:.1}H{right}");
            text(&mut words, "tick", (LEFT - 6.0, y + 4.0), "end", &self.y.tick_text(tick));
        }
        let _ = writeln!(svg, r#"<path class="grid" d="{grid}"/>"#);
        svg.push_str(&words);
        let middle = (LEFT + right) / 2.0;
        text(svg, "label", (middle, HEIGHT - 8.0), "middle", &self.x.label);
        let middle = (TOP + bottom) / 2.0;
        let label = escape(&self.y.label);
        let _ = writeln!(
            svg,
            r#"<text class="label" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{label}</text>"#
        );
    }
}

fn text(svg: &mut String, class: &str, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = escape(words);
    let _ = writeln!(
        svg,
        r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
    );
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

/// Text as it may stand in HTML and SVG, in attributes as well.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot::new("a", Axis::new("x, s", 0.0, 10.0, 5.0), Axis::new("y, bpm", 0.0, 100.0, 50.0))
    }

    #[test]
    fn points_lie_where_they_belong() {
        let mut plot = plot();
        let points = [(0.0, 0.0), (10.0, 100.0), (5.0, 25.0), (12.0, -3.0), (f64::NAN, 1.0)];
        plot.points("est", points.into_iter());
        // 356 wide from 52 on, 236 high from 12 on; what is outside lies at the edge.
        let expected = "M52.0 248.0h0M408.0 12.0h0M230.0 189.0h0M408.0 248.0h0\"";
        assert!(plot.svg().contains(expected), "{}", plot.svg());
        plot.line("ref", [(0.0, 50.0), (10.0, 50.0)].into_iter());
        assert!(plot.svg().contains("\"M52.0 130.0L408.0 130.0\""));
    }

    #[test]
    fn ticks_are_round_and_hold_the_values() {
        let axis = Axis::around("x", [61.3, 118.9].into_iter(), 10.0);
        assert_eq!((axis.low, axis.high), (60.0, 120.0));
        let ticks: Vec<String> = axis.ticks().map(|t| axis.tick_text(t)).collect();
        assert_eq!(ticks, ["60", "80", "100", "120"]);
        let one = Axis::around("x", [70.0].into_iter(), 10.0);
        assert_eq!((one.low, one.high), (64.0, 76.0));
        let none = Axis::around("x", std::iter::empty(), 1.0);
        assert_eq!(none.ticks().map(|t| none.tick_text(t)).collect::<Vec<_>>().len(), 6);
        assert_eq!(Axis::new("x", -0.5, 0.5, 0.5).tick_text(-0.5), "−0.5");
    }

    #[test]
    fn names_can_do_no_harm() {
        let plot = Plot::new("<b>\"", plot().x, plot().y);
        assert!(plot.svg().contains("aria-label=\"&lt;b&gt;&quot;\""));
        assert_eq!(escape("a'&\n"), "a&#39;&amp; ");
    }
}
