//! Pictures of thinning and active learning.

use kernels_core::{Matern, Points, Rbf, Rows};
use kernels_sample::{
    BatchMethod, BatchSelection, ClusterWeight, DensityKernel, KernelThinning, MeanShift, mmd2_to_input, random_sample,
};
use kernels_solvers::Krr;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    error::Error,
    report::{
        Page,
        plot::{Axis, ONE, Plot, TWO},
    },
};

/// Earthquakes thinned and their modes; learning curves of batch selection.
pub(super) fn pictures(page: &mut Page, quick: bool) -> Result<(), Error> {
    earthquakes(page)?;
    learning(page, if quick { 3 } else { 20 })
}

fn earthquakes(page: &mut Page) -> Result<(), Error> {
    let places = crate::datasets::earthquakes()?;
    let n = places.len();
    let kernel = Rbf::new(8.0)?;
    let rounds = (n as f64 / 64.0).log2().round().max(0.0) as usize;
    let coreset = KernelThinning::new(kernel.clone()).seed(1).passes(3).thin(&places, rounds)?;
    let drawn = random_sample(n, coreset.len(), 1)?;
    let mmd = |c: &[usize]| mmd2_to_input(&kernel, &places, c).map(|v| v.max(0.0).sqrt());
    let modes = MeanShift::new(DensityKernel::Gaussian, 12.0).fit(&places)?;
    let pairs = |xs: &Rows<f64>| (0..xs.len()).map(|i| (xs.point(i)[0], xs.point(i)[1])).collect::<Vec<_>>();
    let all = pairs(&places);
    let kept = pairs(&places.subset(&coreset)?);
    let (x, y): (Vec<f64>, Vec<f64>) = all.iter().copied().unzip();
    page.heading("Earthquakes: a few that stand for all");
    page.paragraph(&format!(
        "{} of {n} epicentres by kernel thinning: MMD {:.2e} to all, where as many at random have {:.2e}. Mean shift at 12 degrees finds {} modes.",
        coreset.len(),
        mmd(&coreset)?,
        mmd(&drawn)?,
        modes.modes.len()
    ));
    let plot = Plot::new("epicentres and coreset", ("longitude", "latitude"), Axis::over(&x), Axis::over(&y))
        .points("all", ONE, 1.2, &all)
        .points("kernel thinning", TWO, 4.0, &kept)
        .points("modes", "#222", 6.0, &pairs(&modes.modes));
    page.figure(&plot.svg(), "Epicentres (small), the coreset (orange), the modes of their density (dark).");
    Ok(())
}

/// Root mean squared test error against the number of labels, mean and standard error over seeds.
fn learning(page: &mut Page, seeds: u64) -> Result<(), Error> {
    let Some(data) = crate::datasets::all()?.into_iter().find(|d| d.name == "concrete") else { return Ok(()) };
    let (pool, y) = (&data.train.xs, &data.train.y);
    let kernel = Matern::new(2.5, (pool.dim() as f64).sqrt())?;
    let (start, batch, steps) = (20, 20, 6);
    let mut curves: Vec<(&str, Vec<Vec<f64>>)> = Vec::new();
    let methods = [
        ("at random", BatchMethod::Random),
        ("LCMD", BatchMethod::LargestCluster(ClusterWeight::SquaredDistance)),
    ];
    for (name, method) in methods {
        let mut runs = Vec::new();
        for seed in 0..seeds {
            let mut order: Vec<usize> = (0..pool.len()).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            let mut open = order.split_off(start);
            let mut labelled = order;
            let mut errors = Vec::new();
            for step in 0..=steps {
                let targets: Vec<f64> = labelled.iter().map(|&i| y[i]).collect();
                let center = targets.iter().sum::<f64>() / targets.len() as f64;
                let train = pool.subset(&labelled)?;
                let centred: Vec<f64> = targets.iter().map(|t| t - center).collect();
                let model = Krr::new(kernel.clone()).ridge(0.02).fit(&train, &centred)?;
                let predicted: Vec<f64> = model.predict(&data.test.xs)?.iter().map(|p| p + center).collect();
                errors.push(super::rmse(&predicted, &data.test.y).0);
                if step == steps {
                    break;
                }
                let chosen = BatchSelection::new(kernel.clone(), method)
                    .with_train(true)
                    .seed(seed * 100 + step)
                    .select(&pool.subset(&open)?, &train, batch)?;
                labelled.extend(chosen.iter().map(|&c| open[c]));
                let taken: std::collections::HashSet<usize> = labelled.iter().copied().collect();
                open.retain(|i| !taken.contains(i));
            }
            runs.push(errors);
        }
        curves.push((name, runs));
    }
    let counts: Vec<f64> = (0..=steps).map(|s| (start + batch * s as usize) as f64).collect();
    let spread = |runs: &[Vec<f64>], s: usize| {
        let n = runs.len() as f64;
        let mean = runs.iter().map(|r| r[s]).sum::<f64>() / n;
        let variance = runs.iter().map(|r| (r[s] - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        (mean, (variance / n).sqrt())
    };
    let all: Vec<f64> = curves.iter().flat_map(|(_, runs)| runs.iter().flatten().copied()).collect();
    let mut plot = Plot::new(
        "test error against labels",
        ("labels", "RMSE [MPa]"),
        Axis::over(&counts),
        Axis::over(&all),
    );
    for ((name, runs), colour) in curves.iter().zip([TWO, ONE]) {
        let at: Vec<(f64, (f64, f64))> = counts.iter().enumerate().map(|(s, c)| (*c, spread(runs, s))).collect();
        let band: Vec<(f64, f64, f64)> = at.iter().map(|(c, (m, e))| (*c, m - e, m + e)).collect();
        let line: Vec<(f64, f64)> = at.iter().map(|(c, (m, _))| (*c, *m)).collect();
        plot = plot.band(&band).line(name, colour, &line);
    }
    let last = steps as usize;
    let ends: Vec<String> = curves
        .iter()
        .map(|(name, runs)| {
            let (mean, error) = spread(runs, last);
            format!("{name} {mean:.2} ± {error:.2}")
        })
        .collect();
    page.heading("Which concrete to test next");
    page.paragraph(&format!(
        "Batches of {batch} mixtures are chosen for testing, from {start} random ones on; ridge regression with a Matérn kernel, {seeds} seeds. After {} labels: {}.",
        counts[last],
        ends.join(", ")
    ));
    page.figure(&plot.svg(), "Test error against labels, mean and standard error over seeds.");
    Ok(())
}
