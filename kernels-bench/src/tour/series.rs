//! A generated problem of series: which of two things happened first, whenever and however fast.

use std::time::Instant;

use kernels_core::{DynKernel, Kernel, Paths, Points, PositiveDefinite, Rbf, Rows};
use kernels_solvers::KernelClassifier;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{error::Error, report::Page};

/// Series of 25 to 60 knots with a rise in each of two channels, at random times, of random steepness and height, and noise.
/// The label says which rise came first.
fn rises(n: usize, seed: u64) -> Result<(Paths<f64>, Vec<usize>), Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut values, mut lengths, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let length = rng.random_range(25..61_usize);
        let early = rng.random_range(0.15..0.55_f64);
        let late = rng.random_range(early + 0.12..0.85);
        let label = i % 2;
        let at = if label == 0 { [early, late] } else { [late, early] };
        let width = [rng.random_range(0.03..0.08), rng.random_range(0.03..0.08_f64)];
        let height = [rng.random_range(0.8..1.2), rng.random_range(0.8..1.2_f64)];
        // Time runs at a speed that changes along the series.
        let bend = rng.random_range(-0.6..0.6_f64);
        for t in 0..length {
            let s = t as f64 / (length - 1) as f64;
            let s = s + bend * s * (1.0 - s);
            for c in 0..2 {
                let noise: f64 = StandardNormal.sample(&mut rng);
                let rise = height[c] / (1.0 + ((at[c] - s) / (0.3 * width[c])).exp());
                values.push(rise + 0.03 * noise);
            }
        }
        lengths.push(length);
        labels.push(label);
    }
    let total = lengths.iter().sum();
    Ok((Paths::new(Rows::from_row_major(values, total, 2)?, &lengths)?, labels))
}

/// The series stretched to 40 knots each, as rows.
fn stretched(paths: &Paths<f64>) -> Result<Rows<f64>, Error> {
    const KNOTS: usize = 40;
    let mut values = Vec::new();
    for i in 0..paths.len() {
        let path = paths.point(i);
        for k in 0..KNOTS {
            let s = k as f64 / (KNOTS - 1) as f64 * (path.len() - 1) as f64;
            let (a, b) = (path.knot(s.floor() as usize), path.knot(s.ceil() as usize));
            values.extend(a.iter().zip(b).map(|(a, b)| a + s.fract() * (b - a)));
        }
    }
    Ok(Rows::from_row_major(values, paths.len(), KNOTS * paths.dim())?)
}

/// Of the kernels, the one of the best leave-one-out likelihood: its text, its share of wrong labels on test points, seconds.
fn best<P: Points + Clone, K: Kernel<P> + PositiveDefinite + Clone>(
    kernels: Vec<(String, K)>,
    (train, y): (&P, &[usize]),
    (test, truth): (&P, &[usize]),
) -> Result<(String, f64, f64), Error> {
    let begin = Instant::now();
    let mut chosen: Option<(f64, String, f64)> = None;
    for (text, kernel) in kernels {
        let ridges: Vec<f64> = (-4..1).map(|e| 10.0_f64.powi(e)).collect();
        let model = KernelClassifier::new(kernel).ridges(ridges).fit(train, y)?;
        let held_out = model.leave_one_out_probability();
        let score: f64 = (0..y.len()).map(|i| held_out[(i, y[i])].max(1e-9).ln()).sum();
        if chosen.as_ref().is_none_or(|(best, ..)| score > *best) {
            let wrong = model.predict(test)?.iter().zip(truth).filter(|(a, b)| a != b).count();
            chosen = Some((score, text, wrong as f64 / truth.len() as f64));
        }
    }
    let (_, text, error) = chosen.ok_or_else(|| Error::Choice("no kernels to choose from".into()))?;
    Ok((text, error, begin.elapsed().as_secs_f64()))
}

/// Rows of the table: kernel, error rate, seconds, tuned; the best first index.
pub(super) fn rows() -> Result<Vec<Vec<String>>, Error> {
    let ((train, y), (test, truth)) = (rises(60, 1)?, rises(200, 2)?);
    let scales = [0.3, 0.6, 1.2, 2.4];
    let mut out = Vec::new();
    let row = |name: &str, (text, error, seconds): (String, f64, f64)| {
        let deviation = (error * (1.0 - error) / truth.len() as f64).sqrt();
        vec![name.to_owned(), format!("{error:.4} ± {deviation:.4}"), format!("{seconds:.2}"), text]
    };
    for (name, text) in [
        ("signature, rbf lift", "signature(static=rbf(length_scale=L), tol=1e-9, normalize=true)"),
        ("signature, linear lift", "signature(static=L * linear(), tol=1e-9, normalize=true)"),
        ("global alignments", "gak(length_scale=L)"),
    ] {
        let texts = scales.iter().map(|l| text.replace('L', &l.to_string()));
        let kernels: Vec<(String, DynKernel<Paths<f64>>)> =
            texts.map(|t| Ok((t.clone(), t.parse()?))).collect::<Result<_, kernels_core::Error>>()?;
        out.push(row(name, best(kernels, (&train, &y), (&test, &truth))?));
    }
    let (rows, held) = (stretched(&train)?, stretched(&test)?);
    let kernels: Vec<(String, Rbf)> = scales
        .iter()
        .map(|l| Ok((format!("rbf(length_scale={})", 4.0 * l), Rbf::new(4.0 * l)?)))
        .collect::<Result<_, kernels_core::Error>>()?;
    out.push(row("rbf of stretched series", best(kernels, (&rows, &y), (&held, &truth))?));
    Ok(out)
}

/// The section of the report.
pub(super) fn section(page: &mut Page) -> Result<(), Error> {
    page.heading("Generated series: which rise came first");
    page.paragraph(
        "60 training and 200 test series of 25 to 60 knots in two channels: a rise in each, at random times, run through at a random \
         speed, with noise. Length scales and ridges are chosen by the leave-one-out likelihood of the training series.",
    );
    let rows = rows()?;
    let error =
        |row: &Vec<String>| row[1].split(' ').next().and_then(|e| e.parse::<f64>().ok()).unwrap_or(1.0);
    let best = (0..rows.len()).min_by(|&a, &b| error(&rows[a]).total_cmp(&error(&rows[b])));
    page.table(&["kernel", "error rate", "seconds", "chosen"], &rows, &best.into_iter().collect::<Vec<_>>());
    Ok(())
}

#[cfg(test)]
mod tests {
    /// Kernels of paths see the order of events; distances of stretched series hardly do.
    #[test]
    fn order_is_seen() {
        let rows = super::rows().unwrap();
        let error = |i: usize| rows[i][1].split(' ').next().unwrap().parse::<f64>().unwrap();
        assert!(error(0) < 0.05, "{rows:?}");
        assert!(error(0) <= error(3), "{rows:?}");
    }
}
