//! `kernels ntk ladder`: accuracy of a network's kernel on growing numbers of training images. `kernels data fetch cifar10` brings
//! those it was made for.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use kernels_core::{Block, Kernel, Points, Workspace, dense::SymmetricEigen};
use kernels_ntk::{Images, Net, NetworkKernel};
use nalgebra::{DMatrix, DMatrixViewMut};
use serde_json::{Value, json};

use crate::{
    cli::Run,
    data::{read_array, read_images},
    error::Error,
};

/// Options of `ntk ladder`.
#[derive(Debug, Args)]
pub(super) struct Ladder {
    /// Training images: NPY (n, height, width, channels), such as cifar10_train_x.npy of `kernels data fetch cifar10`.
    #[arg(long)]
    images: PathBuf,
    /// Their labels: NPY (n), whole numbers from 0.
    #[arg(long)]
    labels: PathBuf,
    /// Test images.
    #[arg(long)]
    test_images: PathBuf,
    /// Their labels.
    #[arg(long)]
    test_labels: PathBuf,
    /// Layers [default: three convolutions of 3 × 3 with rectified units, the mean over all places, a dense layer].
    #[arg(long)]
    net: Option<String>,
    /// The NNGP kernel instead of the tangent kernel.
    #[arg(long)]
    nngp: bool,
    /// Numbers of training images, equally many of each class.
    #[arg(long, value_delimiter = ',', default_values_t = [640, 1280, 2560])]
    sizes: Vec<usize>,
    /// Number of test images, the first ones.
    #[arg(long, default_value_t = 1000)]
    tests: usize,
    /// Means over squares of so many places a side come first; the cost falls with its fourth power.
    #[arg(long, default_value_t = 4)]
    downsample: usize,
    /// Only say what it would cost.
    #[arg(long)]
    plan: bool,
}

const CONVOLUTION: &str = "conv(filter=[3, 3], padding=SAME, w_std=1.4142135623730951, b_std=0.1) > relu > ";

/// Pairs that the plan measures.
const SAMPLE: usize = 6;

fn labels(path: &std::path::Path, n: usize) -> Result<Vec<usize>, Error> {
    let (values, _) = read_array(path)?;
    if values.len() != n {
        return Err(Error::content(path, format!("holds {} labels for {n} images", values.len())));
    }
    let whole = |&v: &f64| {
        if v >= 0.0 && v.fract() <= 0.0 && v < 1e6 {
            Ok(v as usize)
        } else {
            Err(Error::content(path, format!("holds the label {v}; labels are whole numbers from 0")))
        }
    };
    values.iter().map(whole).collect()
}

/// Means over squares of `side` places.
fn smaller(images: &Images<f64>, side: usize) -> Result<Images<f64>, Error> {
    let (height, width, channels) = images.shape();
    if side == 0 || height % side != 0 || width % side != 0 {
        return Err(Error::Choice(format!(
            "--downsample {side} does not divide images of {height} x {width}"
        )));
    }
    let (h, w) = (height / side, width / side);
    let mut out = vec![0.0; images.len() * h * w * channels];
    for (i, to) in out.chunks_exact_mut((h * w * channels).max(1)).enumerate() {
        for (e, value) in images.point(i).values.iter().enumerate() {
            let (place, c) = (e / channels, e % channels);
            let (r, k) = (place / width / side, place % width / side);
            to[(r * w + k) * channels + c] += value / (side * side) as f64;
        }
    }
    Ok(Images::new(out, images.len(), h, w, channels)?)
}

/// Channels shifted and scaled to mean 0 and deviation 1 on the first set.
fn standardised(sets: [Images<f64>; 2]) -> Result<[Images<f64>; 2], Error> {
    let channels = sets[0].shape().2;
    let n = (sets[0].len() * sets[0].shape().0 * sets[0].shape().1).max(1) as f64;
    let (mut sums, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
    for i in 0..sets[0].len() {
        for (e, v) in sets[0].point(i).values.iter().enumerate() {
            sums[e % channels] += v / n;
            squares[e % channels] += v * v / n;
        }
    }
    let scale = |images: &Images<f64>| -> Result<Images<f64>, Error> {
        let (h, w, c) = images.shape();
        let mut values = Vec::with_capacity(images.len() * h * w * c);
        for i in 0..images.len() {
            values.extend(images.point(i).values.iter().enumerate().map(|(e, v)| {
                let k = e % c;
                let deviation = (squares[k] - sums[k] * sums[k]).max(0.0).sqrt();
                (v - sums[k]) / if deviation > 0.0 { deviation } else { 1.0 }
            }));
        }
        Ok(Images::new(values, images.len(), h, w, c)?)
    };
    Ok([scale(&sets[0])?, scale(&sets[1])?])
}

/// Images of all classes in turn, so that every prefix of a multiple of the classes is balanced.
fn balanced(labels: &[usize], classes: usize, count: usize) -> Result<Vec<usize>, Error> {
    let mut of_class = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(i, &l)| of_class[l].push(i));
    let mut out = Vec::with_capacity(count);
    for k in 0..count {
        let found = of_class[k % classes].get(k / classes);
        out.push(*found.ok_or_else(|| {
            Error::Choice(format!(
                "--sizes: there are not {} images of class {}",
                k / classes + 1,
                k % classes
            ))
        })?);
    }
    Ok(out)
}

/// A rung of the ladder.
struct Rung {
    size: usize,
    ridge: f64,
    right: usize,
}

/// One-vs-rest ridge regression on a part of the kernel matrix, the ridge by leave-one-out error.
fn rung(
    kernel: &DMatrix<f64>,
    cross: &DMatrix<f64>,
    size: usize,
    y: &[usize],
    tests: &[usize],
    classes: usize,
) -> Result<Rung, Error> {
    let k = kernel.view((0, 0), (size, size)).into_owned();
    let codes = DMatrix::from_fn(size, classes, |i, c| f64::from(u8::from(y[i] == c)) - 1.0 / classes as f64);
    let scale = k.trace() / size.max(1) as f64;
    let eigen = SymmetricEigen::new(&k)?;
    let turned = eigen.vectors.tr_mul(&codes);
    let mut best: Option<(usize, f64, f64, DMatrix<f64>)> = None;
    for exponent in -14..=2 {
        let ridge = scale * 10.0_f64.powf(f64::from(exponent) / 2.0);
        let inverse: Vec<f64> = eigen.values.iter().map(|l| 1.0 / (l.max(0.0) + ridge)).collect();
        let mut scaled = turned.clone();
        scaled.row_iter_mut().zip(&inverse).for_each(|(mut row, s)| row *= *s);
        let weights = &eigen.vectors * scaled;
        // The prediction without point i is y − α/(K + λ)⁻¹ᵢᵢ.
        let (mut wrong, mut square) = (0, 0.0);
        for i in 0..size {
            let own: f64 = eigen.vectors.row(i).iter().zip(&inverse).map(|(v, s)| v * v * s).sum();
            let left_out = codes.row(i) - weights.row(i) / own;
            wrong += usize::from(left_out.transpose().argmax().0 != y[i]);
            square += weights.row(i).norm_squared() / (own * own);
        }
        let better = best.as_ref().is_none_or(|(w, s, ..)| (wrong, square) < (*w, *s));
        if better {
            best = Some((wrong, square, ridge, weights));
        }
    }
    let Some((_, _, ridge, weights)) = best else { return Err(Error::Choice("no ridge was tried".into())) };
    let predicted = cross.columns(0, size) * weights;
    let right = (0..tests.len()).filter(|&i| predicted.row(i).transpose().argmax().0 == tests[i]).count();
    Ok(Rung { size, ridge: ridge / scale, right })
}

impl Ladder {
    pub(super) fn run(&self, run: &Run) -> Result<(), Error> {
        let text = self.net.clone().unwrap_or_else(|| {
            format!("{}global_avg_pool > dense(w_std=1.4142135623730951)", CONVOLUTION.repeat(3))
        });
        let net = Net::read(&text).map_err(|e| Error::Choice(format!("--net: {e}")))?;
        let kernel = if self.nngp { NetworkKernel::nngp(net) } else { NetworkKernel::ntk(net) };
        let (images, test) = (read_images::<f64>(&self.images)?, read_images::<f64>(&self.test_images)?);
        let (y, y_test) = (labels(&self.labels, images.len())?, labels(&self.test_labels, test.len())?);
        let classes = y.iter().chain(&y_test).max().map_or(0, |l| l + 1);
        let most = self.sizes.iter().copied().max().unwrap_or(0);
        if self.sizes.contains(&0) || most == 0 || classes < 2 {
            return Err(Error::Choice("--sizes: numbers from 1, on images of at least two classes".into()));
        }
        let chosen = balanced(&y, classes, most)?;
        let tests = self.tests.min(test.len());
        let first: Vec<usize> = (0..tests).collect();
        let part = [
            smaller(&images.subset(&chosen)?, self.downsample)?,
            smaller(&test.subset(&first)?, self.downsample)?,
        ];
        let [xs, zs] = standardised(part)?;
        let y: Vec<usize> = chosen.iter().map(|&i| y[i]).collect();
        Kernel::<Images<f64>>::check(&kernel, &xs)?;
        run.require_memory(most.max(tests), 4, "the ladder")?;

        let begin = Instant::now();
        let sample = SAMPLE.min(xs.len());
        let block = Block::within(&xs, 0..sample, 0..sample)?;
        let mut values = vec![0.0; sample * sample];
        kernel.block(&block, DMatrixViewMut::from_slice(&mut values, sample, sample), &mut Workspace::new());
        // A triangle of pairs, and each image with itself once more.
        let each = begin.elapsed().as_secs_f64() / (sample * (sample + 3) / 2) as f64;
        let pairs = most * (most + 1) / 2 + most * tests;
        let planned = each * pairs as f64;
        run.tell(&format!("{pairs} pairs of images, about {planned:.0} s"));
        if self.plan {
            let object = json!({"command": "ntk ladder", "pairs": pairs, "planned_seconds": planned});
            run.report("", object);
            return Ok(());
        }
        let train = panels(run, &kernel, &xs, None)?;
        let cross = panels(run, &kernel, &xs, Some(&zs))?;
        let mut rows: Vec<Value> = Vec::new();
        for &size in &self.sizes {
            run.stopped()?;
            let rung = rung(&train, &cross, size, &y, &y_test[..tests], classes)?;
            let accuracy = rung.right as f64 / tests.max(1) as f64;
            let spread = (accuracy * (1.0 - accuracy) / tests.max(1) as f64).sqrt();
            run.tell(&format!(
                "{:>6} training images  accuracy {accuracy:.4} ± {spread:.4}  ridge {:.1e} of the mean diagonal",
                rung.size, rung.ridge
            ));
            rows.push(json!({"size": rung.size, "accuracy": accuracy, "standard_error": spread, "ridge": rung.ridge}));
        }
        let object = json!({"command": "ntk ladder", "net": kernel.net().to_string(), "tests": tests, "pairs": pairs,
            "planned_seconds": planned, "rungs": rows});
        run.report("", object);
        Ok(())
    }
}

/// The Gram matrix of `xs`, or the matrix of `zs` with `xs`, in panels of rows.
fn panels(
    run: &Run,
    kernel: &NetworkKernel,
    xs: &Images<f64>,
    zs: Option<&Images<f64>>,
) -> Result<DMatrix<f64>, Error> {
    const PANEL: usize = 32;
    let rows = zs.map_or(xs.len(), Points::len);
    let mut out = DMatrix::zeros(rows, xs.len());
    let mut bar = run.progress("pairs of images");
    let mut ws = Workspace::new();
    for start in (0..rows).step_by(PANEL) {
        bar.show(start, rows)?;
        let end = (start + PANEL).min(rows);
        let columns = if zs.is_some() { xs.len() } else { end };
        let block = match zs {
            None => Block::within(xs, start..end, 0..columns)?,
            Some(zs) => Block::between(zs, start..end, xs, 0..columns)?,
        };
        kernel.block(&block, out.view_mut((start, 0), (end - start, columns)), &mut ws);
    }
    if zs.is_none() {
        out.fill_upper_triangle_with_lower_triangle();
    }
    Ok(out)
}
