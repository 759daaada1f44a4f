//! The report of `reproduce large`.

use kernels_core::Points;
use serde_json::{Value, json};

use super::{Measured, Set};
use crate::{
    peers::slope,
    report::{Page, plot},
};

pub(super) fn object(m: &Measured) -> Value {
    json!({"method": m.method, "rows": m.rows, "centers": m.size, "seconds": m.seconds, "error": m.error})
}

pub(super) fn section(page: &mut Page, set: &Set, measured: &[Measured]) {
    let what = if set.classes { "share of wrong classes" } else { "root mean square error" };
    page.heading(&format!("{}: {what}", set.name));
    page.paragraph(&format!(
        "{} training rows, {} test rows, {} features. Length scale {:.3}, ridge {:.1e}.",
        set.train.len(),
        set.test.len(),
        set.train.dim(),
        set.length_scale,
        set.ridge
    ));
    let cells: Vec<Vec<String>> = measured
        .iter()
        .map(|m| {
            vec![
                m.method.to_owned(),
                m.rows.to_string(),
                m.size.to_string(),
                format!("{:.2}", m.seconds),
                format!("{:.4}", m.error),
            ]
        })
        .collect();
    let by_error = |a: &usize, b: &usize| measured[*a].error.total_cmp(&measured[*b].error);
    let best: Vec<usize> = (0..measured.len()).min_by(by_error).into_iter().collect();
    page.table(&["method", "rows", "centres", "seconds", "error"], &cells, &best);
    let n = set.train.len();
    let series = |method: &str, value: fn(&Measured) -> f64| -> Vec<(f64, f64)> {
        let fits = measured.iter().filter(|m| m.method == method && (m.rows == n || method == "exact"));
        fits.map(|m| (m.size as f64, value(m))).collect()
    };
    for (title, value) in [
        ("seconds by model size", (|m: &Measured| m.seconds) as fn(&Measured) -> f64),
        ("error by model size", |m: &Measured| m.error),
    ] {
        let (x, y): (Vec<f64>, Vec<f64>) = measured.iter().map(|m| (m.size as f64, value(m))).unzip();
        let svg = plot::Plot::new(
            title,
            ("centres", title.split(' ').next().unwrap_or_default()),
            plot::Axis::log_over(&x),
            plot::Axis::log_over(&y),
        )
        .line("Falkon", plot::ONE, &series("Falkon", value))
        .line("EigenPro 3", plot::TWO, &series("EigenPro 3", value))
        .points("exact, on as many rows", plot::ONE, 4.0, &series("exact", value))
        .points("scikit-learn", plot::TWO, 4.0, &series("scikit-learn", value))
        .svg();
        page.figure(&svg, "Both axes are logarithmic. Falkon and EigenPro see all rows.");
    }
    let pairs = equals(set, measured);
    if !pairs.is_empty() {
        page.paragraph(
            "At equal accuracy: the fastest fit of ours that errs no more than scikit-learn's, up to half a point in a thousand rows or \
             half a percent of the error.",
        );
        let row = |(theirs, ours): &(&Measured, &Measured)| {
            vec![
                theirs.size.to_string(),
                format!("{:.4}", theirs.error),
                format!("{:.2}", theirs.seconds),
                format!("{} on {}", ours.method, ours.size),
                format!("{:.4}", ours.error),
                format!("{:.2}", ours.seconds),
                format!("{:.2}", theirs.seconds / ours.seconds),
            ]
        };
        let cells: Vec<Vec<String>> = pairs.iter().map(row).collect();
        let titles =
            ["their centres", "their error", "their seconds", "ours", "error", "seconds", "times as fast"];
        page.table(&titles, &cells, &[]);
    }
    growth(page, measured, n);
}

/// Seconds by rows at one number of centres, and exponents.
fn growth(page: &mut Page, measured: &[Measured], n: usize) {
    let Some(size) = measured.iter().find(|m| m.method == "Falkon" && m.rows < n).map(|m| m.size) else {
        return;
    };
    let by_rows = |method: &str| -> Vec<(f64, f64)> {
        let mut fits: Vec<&Measured> =
            measured.iter().filter(|m| m.method == method && m.size == size).collect();
        fits.sort_by_key(|m| m.rows);
        fits.iter().map(|m| (m.rows as f64, m.seconds)).collect()
    };
    let (one, two) = (by_rows("Falkon"), by_rows("EigenPro 3"));
    let (x, y): (Vec<f64>, Vec<f64>) = one.iter().chain(&two).copied().unzip();
    let axes = (plot::Axis::log_over(&x), plot::Axis::log_over(&y));
    let svg = plot::Plot::new("seconds by rows", ("rows", "seconds"), axes.0, axes.1)
        .line("Falkon", plot::ONE, &one)
        .line("EigenPro 3", plot::TWO, &two)
        .svg();
    page.figure(&svg, &format!("On {size} centres. Both axes are logarithmic."));
    let by_size = |method: &str| -> Vec<(f64, f64)> {
        let whole = |m: &&Measured| m.method == method && (m.rows == n || method == "exact");
        measured.iter().filter(whole).map(|m| (m.size as f64, m.seconds)).collect()
    };
    let mut said = Vec::new();
    for (name, points, variable) in [
        ("Falkon", &one, "rows"),
        ("EigenPro 3", &two, "rows"),
        ("Falkon", &by_size("Falkon"), "centres"),
        ("EigenPro 3", &by_size("EigenPro 3"), "centres"),
        ("scikit-learn", &by_size("scikit-learn"), "centres"),
        ("exact regression", &by_size("exact"), "rows"),
    ] {
        if points.len() > 1 {
            let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
            said.push(format!("{name}: {variable} to the power {:.2}", slope(&logs)));
        }
    }
    page.paragraph(&format!("Seconds grow with powers, fitted: {}.", said.join("; ")));
}

/// Every fit of scikit-learn beside the fastest of ours that errs no more: up to half a point in a thousand rows, or half a
/// percent of the error.
pub(super) fn equals<'a>(set: &Set, measured: &'a [Measured]) -> Vec<(&'a Measured, &'a Measured)> {
    let theirs = measured.iter().filter(|m| m.method == "scikit-learn");
    let fastest = |t: &Measured| {
        let bound = if set.classes { t.error + 5e-4 } else { t.error * 1.005 };
        let ours = measured.iter().filter(|m| m.method != "scikit-learn" && m.error <= bound);
        ours.min_by(|a, b| a.seconds.total_cmp(&b.seconds))
    };
    theirs.filter_map(|t| fastest(t).map(|o| (t, o))).collect()
}

pub(super) fn compared((theirs, ours): &(&Measured, &Measured)) -> Value {
    json!({"theirs": object(theirs), "ours": object(ours), "ratio": theirs.seconds / ours.seconds})
}
