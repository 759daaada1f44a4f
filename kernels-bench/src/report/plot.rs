//! Plots as SVG: axes with round ticks, points, lines, bands, bars, and a grid of shaded cells.

use super::escape;

/// The two colours of series, as the page's style defines them.
pub(crate) const ONE: &str = "var(--one)";
/// The second.
pub(crate) const TWO: &str = "var(--two)";

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 15.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 50.0;

/// A plot with two axes.
pub(crate) struct Plot {
    title: String,
    labels: (String, String),
    x: Axis,
    y: Axis,
    marks: String,
    legend: Vec<(String, &'static str)>,
}

/// An axis: its range, on a logarithmic scale or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// Covers all finite values with a small margin.
    pub(crate) fn over<'a>(values: impl IntoIterator<Item = &'a f64>) -> Self {
        Self::covering(values, false)
    }

    /// The same on a logarithmic scale, of the positive values.
    pub(crate) fn log_over<'a>(values: impl IntoIterator<Item = &'a f64>) -> Self {
        Self::covering(values, true)
    }

    fn covering<'a>(values: impl IntoIterator<Item = &'a f64>, log: bool) -> Self {
        let on_scale = |v: f64| if log { v.log10() } else { v };
        let fit = values.into_iter().map(|v| on_scale(*v)).filter(|v| v.is_finite());
        let (low, high) = fit.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let margin = if high > low { 0.04 * (high - low) } else { 0.5 * low.abs().max(1.0) };
        Self { low: low - margin, high: high + margin, log }
    }

    /// The place of a value between 0 and 1; none for what is not finite.
    fn place(self, value: f64) -> Option<f64> {
        let value = if self.log { value.log10() } else { value };
        let place = (value - self.low) / (self.high - self.low);
        place.is_finite().then(|| place.clamp(-0.02, 1.02))
    }

    /// Round values with their text.
    fn ticks(self) -> Vec<(f64, String)> {
        if self.log {
            let step = ((self.high - self.low) / 6.0).ceil().max(1.0);
            let first = (self.low / step).ceil() * step;
            let exponents = (0..20).map(|i| first + f64::from(i) * step).take_while(|e| *e <= self.high);
            return exponents.map(|e| (10.0_f64.powf(e), format!("1e{e}"))).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * power).find(|s| *s >= rough).unwrap_or(rough);
        let digits = usize::try_from((-step.log10().floor()) as i64).unwrap_or(0).min(8);
        let first = (self.low / step).ceil();
        let values = (0..20).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= self.high);
        values.map(|v| (v, format!("{v:.digits$}"))).collect()
    }
}

impl Plot {
    pub(crate) fn new(title: &str, labels: (&str, &str), x: Axis, y: Axis) -> Self {
        let labels = (escape(labels.0), escape(labels.1));
        Self { title: escape(title), labels, x, y, marks: String::new(), legend: Vec::new() }
    }

    fn at(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let across = LEFT + self.x.place(x)? * (WIDTH - LEFT - RIGHT);
        let up = HEIGHT - BOTTOM - self.y.place(y)? * (HEIGHT - TOP - BOTTOM);
        Some((across, up))
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let places: Vec<String> = points
            .iter()
            .filter_map(|&(x, y)| self.at(x, y))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        places.join(" ")
    }

    fn note(&mut self, name: &str, colour: &'static str) {
        if !name.is_empty() {
            self.legend.push((escape(name), colour));
        }
    }

    pub(crate) fn points(
        mut self,
        name: &str,
        colour: &'static str,
        radius: f64,
        points: &[(f64, f64)],
    ) -> Self {
        self.note(name, colour);
        for &(x, y) in points {
            if let Some((x, y)) = self.at(x, y) {
                let dot = format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" fill-opacity=\".65\"/>"
                );
                self.marks += &dot;
            }
        }
        self
    }

    pub(crate) fn line(mut self, name: &str, colour: &'static str, points: &[(f64, f64)]) -> Self {
        self.note(name, colour);
        let path = self.path(points);
        self.marks +=
            &format!("<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.7\"/>");
        self
    }

    /// The area between two curves (x, low, high).
    pub(crate) fn band(mut self, points: &[(f64, f64, f64)]) -> Self {
        let mut outline: Vec<(f64, f64)> = points.iter().map(|&(x, low, _)| (x, low)).collect();
        outline.extend(points.iter().rev().map(|&(x, _, high)| (x, high)));
        let path = self.path(&outline);
        self.marks += &format!("<polygon points=\"{path}\" fill=\"var(--band)\"/>");
        self
    }

    /// The whole picture.
    pub(crate) fn svg(self) -> String {
        let mut out = open(&self.title, WIDTH, HEIGHT);
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (value, text) in self.x.ticks() {
            if let Some(place) = self.x.place(value) {
                let x = LEFT + place * (WIDTH - LEFT - RIGHT);
                out += &format!(
                    "<path class=\"axis\" d=\"M{x:.1} {TOP}V{bottom}\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                    bottom + 16.0
                );
            }
        }
        for (value, text) in self.y.ticks() {
            if let Some(place) = self.y.place(value) {
                let y = bottom - place * (HEIGHT - TOP - BOTTOM);
                out += &format!(
                    "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                    LEFT - 6.0,
                    y + 4.0
                );
            }
        }
        out += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">{}</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 12.0,
            self.labels.0,
            (TOP + bottom) / 2.0,
            (TOP + bottom) / 2.0,
            self.labels.1
        );
        out += &self.marks;
        for (i, (name, colour)) in self.legend.iter().enumerate() {
            let x = LEFT + 5.0 + 190.0 * i as f64;
            out += &format!(
                "<circle cx=\"{x:.1}\" cy=\"15\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"19\">{name}</text>",
                x + 9.0
            );
        }
        out + "</svg>"
    }
}

fn open(title: &str, width: f64, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\" xmlns=\"http://www.w3.org/2000/svg\"><title>{title}</title>"
    )
}

/// Horizontal bars, one a name, from 0.
pub(crate) fn bars(title: &str, unit: &str, values: &[(String, f64)]) -> String {
    let height = 24.0 * values.len() as f64 + 34.0;
    let most = values.iter().map(|v| v.1).filter(|v| v.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let mut out = open(&escape(title), WIDTH, height);
    for (i, (name, value)) in values.iter().enumerate() {
        let y = 24.0 * i as f64 + 4.0;
        let width = if value.is_finite() { (value / most * 380.0).max(0.0) } else { 0.0 };
        out += &format!(
            "<text x=\"190\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"200\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"16\" fill=\"{ONE}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\">{value:.3}</text>",
            y + 13.0,
            escape(name),
            206.0 + width,
            y + 13.0
        );
    }
    out += &format!("<text class=\"soft\" x=\"200\" y=\"{:.1}\">{}</text></svg>", height - 8.0, escape(unit));
    out
}

/// Dots on rows: for every name a few values, the first series in the first colour, `marked` in the second.
pub(crate) fn dots(title: &str, unit: &str, rows: &[(String, Vec<f64>, f64)]) -> String {
    let height = 26.0 * rows.len() as f64 + 60.0;
    let axis = Axis::over(rows.iter().flat_map(|r| r.1.iter()).chain(&[0.0, 1.0]));
    let mut out = open(&escape(title), WIDTH, height);
    let place = |v: f64| axis.place(v).map(|p| 150.0 + p * (WIDTH - 170.0));
    let bottom = 26.0 * rows.len() as f64 + 10.0;
    for (value, text) in axis.ticks() {
        if let Some(x) = place(value) {
            out += &format!(
                "<path class=\"axis\" d=\"M{x:.1} 6V{bottom}\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 16.0
            );
        }
    }
    for (i, (name, values, marked)) in rows.iter().enumerate() {
        let y = 26.0 * i as f64 + 20.0;
        out += &format!("<text x=\"140\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", y + 4.0, escape(name));
        let dots = values.iter().map(|v| (*v, ONE, 4.0)).chain([(*marked, TWO, 5.5)]);
        for (value, colour, radius) in dots {
            if let Some(x) = place(value) {
                out += &format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" fill-opacity=\".7\"/>"
                );
            }
        }
    }
    out += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></svg>",
        (150.0 + WIDTH) / 2.0,
        bottom + 38.0,
        escape(unit)
    );
    out
}

/// A square of counts, rows are the truth.
pub(crate) fn matrix(title: &str, names: &[String], counts: &[Vec<usize>]) -> String {
    let (n, size) = (names.len(), 32.0);
    let side = size * n as f64;
    let mut out = open(&escape(title), side + 150.0, side + 60.0);
    for (i, row) in counts.iter().enumerate() {
        let total = row.iter().sum::<usize>().max(1) as f64;
        let y = 40.0 + size * i as f64;
        out +=
            &format!("<text x=\"90\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", y + 20.0, escape(&names[i]));
        out += &format!(
            "<text x=\"{:.1}\" y=\"32\" text-anchor=\"middle\">{}</text>",
            116.0 + size * i as f64,
            escape(&names[i])
        );
        for (j, count) in row.iter().enumerate() {
            let (x, colour) = (100.0 + size * j as f64, if i == j { ONE } else { TWO });
            let share = (*count as f64 / total).sqrt();
            out += &format!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"31\" height=\"31\" fill=\"{colour}\" fill-opacity=\"{share:.2}\"/>"
            );
            if *count > 0 {
                out += &format!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
                    x + 15.5,
                    y + 20.0
                );
            }
        }
    }
    out += "<text class=\"soft\" x=\"100\" y=\"14\">predicted (columns), true (rows)</text></svg>";
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_no_numbers_that_are_none() {
        let wild = [(0.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, 1e308), (-1e308, 0.0), (0.5, 0.5)];
        let values: Vec<f64> = wild.iter().map(|p| p.1).collect();
        let plot = Plot::new("a < b & \"c\"", ("x", "y"), Axis::over(&values), Axis::log_over(&values));
        let svg = plot.points("p", ONE, 2.0, &wild).line("l", TWO, &wild).band(&[(0.0, 0.0, 1.0)]).svg();
        let others = [
            bars("bars", "unit", &[("<x>".into(), f64::NAN), ("y".into(), 2.0)]),
            dots("dots", "unit", &[("r".into(), vec![f64::NAN, 1.0], 0.5)]),
            matrix("m", &["a".into(), "b".into()], &[vec![1, 0], vec![0, 0]]),
        ];
        for svg in others.iter().chain([&svg]) {
            for attribute in ["=\"NaN", "=\"inf", "=\"-inf", ",NaN", "a < b"] {
                assert!(!svg.contains(attribute), "{attribute} in {svg}");
            }
            assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
            assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = Axis::over(&[0.0, 97.3]).ticks();
        let texts: Vec<&str> = ticks.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(texts, ["0", "20", "40", "60", "80", "100"]);
        assert!(Axis::over(&[5.0]).ticks().len() > 1, "one value has an axis as well");
        assert!(Axis::log_over(&[1e-8, 1e2]).ticks().iter().any(|t| t.1 == "1e-2"));
    }
}
