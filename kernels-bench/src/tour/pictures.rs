//! The pictures of the tour's report.

use kernels_core::{Describe, Points, Rows};
use kernels_solvers::{GaussianProcess, RidgePath};

use super::{Comparison, Fitted, fit_regression, searched, start};
use crate::{
    error::Error,
    report::{
        Page,
        plot::{Axis, ONE, Plot, TWO, bars, matrix},
    },
    vocabulary::RowKernel,
};

/// What a data set has to show: for `concrete` and `diabetes` the regression's pictures, for `digits` and `penguins` the
/// classification's.
pub(super) fn of_comparison(page: &mut Page, c: &Comparison) -> Result<(), Error> {
    let best = &c.rows[c.best()];
    match &best.model {
        Fitted::Regression(model) if ["concrete", "diabetes"].contains(&c.data.name) => {
            let predicted = model.predict_mean(&c.data.test.xs)?;
            let points: Vec<(f64, f64)> =
                c.data.test.y.iter().copied().zip(predicted.iter().copied()).collect();
            let axis = Axis::over(&c.data.test.y);
            let ends: Vec<(f64, f64)> = [f64::MIN, f64::MAX]
                .iter()
                .map(|e| {
                    c.data.test.y.iter().fold(0.0_f64, |m, v| if *e < 0.0 { m.min(*v) } else { m.max(*v) })
                })
                .map(|v| (v, v))
                .collect();
            let plot = Plot::new(
                &format!("predicted against true {}", c.data.unit),
                (&format!("true {}", c.data.unit), "predicted"),
                axis,
                Axis::over(c.data.test.y.iter().chain(predicted.iter())),
            );
            let plot = plot.line("", TWO, &ends).points("test rows", ONE, 3.0, &points);
            page.figure(
                &plot.svg(),
                &format!(
                    "{}, {}: predictions of held-out rows; the line is perfection.",
                    c.data.name, best.kernel
                ),
            );
            ridge_path(page, c)?;
            relevance(page, c)?;
        }
        Fitted::Classes(model) if ["digits", "penguins"].contains(&c.data.name) => {
            let classes = c.data.classes.unwrap_or_default();
            let truth = c.data.test.labels();
            let predicted = model.predict(&c.data.test.xs)?;
            let mut counts = vec![vec![0; classes.len()]; classes.len()];
            for (t, p) in truth.iter().zip(&predicted) {
                counts[*t][*p] += 1;
            }
            let names: Vec<String> = classes.iter().map(|c| (*c).to_owned()).collect();
            let caption =
                format!("{}, {}: held-out rows by true and predicted class.", c.data.name, best.kernel);
            page.figure(&matrix("confusion matrix", &names, &counts), &caption);

            let p = model.predict_probability(&c.data.test.xs)?;
            let mut bins = [(0.0_f64, 0.0_f64, 0.0_f64); 10];
            for (i, &t) in truth.iter().enumerate() {
                for k in 0..classes.len() {
                    let bin = &mut bins[((p[(i, k)] * 10.0) as usize).min(9)];
                    *bin = (bin.0 + p[(i, k)], bin.1 + f64::from(u8::from(t == k)), bin.2 + 1.0);
                }
            }
            let points: Vec<(f64, f64)> =
                bins.iter().filter(|b| b.2 >= 5.0).map(|b| (b.0 / b.2, b.1 / b.2)).collect();
            let unit = Axis::over(&[0.0, 1.0]);
            let plot = Plot::new("calibration", ("predicted probability", "observed share"), unit, unit);
            let plot = plot.line("", TWO, &[(0.0, 0.0), (1.0, 1.0)]).line("", ONE, &points).points(
                "bins of ten percent",
                ONE,
                4.0,
                &points,
            );
            page.figure(&plot.svg(), &format!("{}: of the cases given a probability, the share that was so. Bins with fewer than 5 cases are left out.", c.data.name));
        }
        _ => {}
    }
    Ok(())
}

fn ridge_path(page: &mut Page, c: &Comparison) -> Result<(), Error> {
    let kernel = start("rbf(length_scale=L)", c.data.train.xs.dim())?;
    let mean = c.data.train.y.iter().sum::<f64>() / c.data.train.y.len() as f64;
    let y: Vec<f64> = c.data.train.y.iter().map(|v| v - mean).collect();
    let path = RidgePath::new(kernel, &c.data.train.xs, &y)?;
    let points = path.evaluate_all(&RidgePath::<Rows<f64>, RowKernel>::default_ridges())?;
    let curve = |f: fn(&kernels_solvers::PathPoint) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|p| (p.ridge, f(p).sqrt())).collect()
    };
    let (loo, gcv) = (curve(|p| p.loo_mse), curve(|p| p.gcv));
    let plot = Plot::new(
        "leave-one-out error against the ridge",
        ("ridge", "root mean squared error"),
        Axis::log_over(points.iter().map(|p| &p.ridge)),
        Axis::over(loo.iter().chain(&gcv).map(|p| &p.1)),
    );
    let plot = plot.line("leave-one-out", ONE, &loo).line("GCV", TWO, &gcv);
    page.figure(
        &plot.svg(),
        &format!(
            "{}: 30 ridges of a Gaussian kernel from one eigendecomposition; training rows only.",
            c.data.name
        ),
    );
    Ok(())
}

fn relevance(page: &mut Page, c: &Comparison) -> Result<(), Error> {
    let dim = c.data.train.xs.dim();
    let kernel = RowKernel::new(1.0 * kernels_core::Rbf::new(vec![(dim as f64).sqrt(); dim])?);
    let model = fit_regression(kernel, &c.data.train.xs, &c.data.train.y)?;
    let scales = model.kernel().params().into_iter().filter(|p| p.name.contains("length_scale"));
    let mut values: Vec<(String, f64)> =
        c.data.features.iter().cloned().zip(scales.map(|p| 1.0 / p.value)).collect();
    values.sort_by(|a, b| b.1.total_cmp(&a.1));
    let svg =
        bars("relevance of features", "1 / length scale, in standard deviations of the feature", &values);
    let rows = searched(c.data.train.xs.len()).len();
    page.figure(&svg, &format!("{}: a Gaussian kernel with a length scale a feature, tuned on {rows} rows: the longer the bar, the faster the prediction changes with the feature.", c.data.name));
    Ok(())
}

/// Weekly CO₂: a sum of kernels for trend, season and noise, and its forecast.
pub(super) fn co2(page: &mut Page, quick: bool) -> Result<(), Error> {
    let (years, ppm) = crate::datasets::co2()?;
    let thin = if quick { 16 } else { 6 };
    let last_seen = 1990.0;
    let train: Vec<usize> = (0..years.len()).step_by(thin).filter(|&i| years[i] < last_seen).collect();
    let kernel: RowKernel =
        "20 * rbf(length_scale=50) + 0.05 * periodic(period=1, length_scale=1.3) * rbf(length_scale=90) \
                                  + 0.01 * rational_quadratic(alpha=1, length_scale=1)"
            .replace("  ", " ")
            .parse()?;
    let points =
        |rows: &[usize]| Rows::from_row_major(rows.iter().map(|&i| years[i]).collect(), rows.len(), 1);
    let y: Vec<f64> = train.iter().map(|&i| ppm[i]).collect();
    let model = GaussianProcess::new(kernel)
        .noise(1e-3)
        .max_iterations(if quick { 5 } else { 30 })
        .fit(&points(&train)?, &y)?;
    let at: Vec<f64> = (0..400).map(|i| 1975.0 + 27.0 * f64::from(i) / 400.0).collect();
    let p = model.predict_observation(&Rows::from_row_major(at.clone(), at.len(), 1)?)?;
    let band: Vec<(f64, f64, f64)> = at
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let (mean, sd) = (p.mean[(i, 0)], p.variance[(i, 0)].sqrt());
            (*x, mean - 1.96 * sd, mean + 1.96 * sd)
        })
        .collect();
    let line: Vec<(f64, f64)> = at.iter().copied().zip(p.mean.iter().copied()).collect();
    let part = |seen: bool| -> Vec<(f64, f64)> {
        let wanted = |i: &usize| years[*i] >= 1975.0 && (years[*i] < last_seen) == seen;
        (0..years.len()).step_by(thin / 2).filter(wanted).map(|i| (years[i], ppm[i])).collect()
    };
    let held: Vec<usize> = (0..years.len()).filter(|&i| years[i] >= last_seen).collect();
    let forecast = model.predict_observation(&points(&held)?)?;
    let inside = held.iter().enumerate().filter(|(k, i)| {
        (ppm[**i] - forecast.mean[(*k, 0)]).abs() <= 1.96 * forecast.variance[(*k, 0)].sqrt()
    });
    let covered = inside.count() as f64 / held.len() as f64;
    let truth: Vec<f64> = held.iter().map(|&i| ppm[i]).collect();
    let (rmse, _) = super::rmse(forecast.mean.as_slice(), &truth);

    page.heading("CO₂ at Mauna Loa: a Gaussian process looks ahead");
    page.paragraph(&format!(
        "Trained on {} weeks before 1990, asked for the {} weeks after: RMSE {rmse:.2} ppm, and {:.0} % of them inside the 95 % band. Kernel: {}",
        train.len(),
        held.len(),
        100.0 * covered,
        super::short(model.kernel())
    ));
    let values =
        band.iter().flat_map(|b| [b.1, b.2]).chain(ppm.iter().copied().skip(800)).collect::<Vec<_>>();
    let plot =
        Plot::new("weekly CO2 with forecast", ("year", "CO₂ [ppm]"), Axis::over(&at), Axis::over(&values));
    let plot = plot
        .band(&band)
        .points("seen", ONE, 1.6, &part(true))
        .points("not seen", TWO, 1.6, &part(false))
        .line("", ONE, &line);
    page.figure(
        &plot.svg(),
        "Mean and 95 % band of new observations. Everything right of 1990 is a forecast.",
    );
    Ok(())
}
