//! Densities on regular grids: linear binning and a convolution by FFT.

use kernels_core::{Points, Rows};
use rustfft::{FftPlanner, num_complex::Complex};

use super::DensityKernel;
use crate::{Error, error};

/// Axes of a grid: first node, last node, number of nodes.
type Axis = (f64, f64, usize);

fn check(axes: &[Axis]) -> Result<usize, Error> {
    let mut total: usize = 1;
    for (index, &(low, high, nodes)) in axes.iter().enumerate() {
        if !(low.is_finite() && high.is_finite() && low < high) {
            let expected = "finite, and below the last node";
            return Err(Error::Value { what: "first node of an axis", index, value: low, expected });
        }
        if nodes < 2 {
            let expected = "at least 2";
            return Err(Error::Count { what: "number of nodes of an axis", given: nodes, expected, limit: 2 });
        }
        total = total.saturating_mul(nodes);
    }
    match Vec::<f64>::new().try_reserve_exact(total) {
        Ok(()) if !axes.is_empty() => Ok(total),
        Ok(()) => Err(kernels_core::Error::TooFewPoints { what: "a grid (axes)", needed: 1, given: 0 }.into()),
        Err(_) => {
            let needed = total.saturating_mul(8);
            Err(kernels_core::Error::Memory { what: "a grid", needed, available: 0 }.into())
        }
    }
}

/// Shares every point's weight among the 2ᵈ nodes around it, linearly in every feature. The last axis runs fastest. Points outside the
/// grid are left out.
///
/// **Errors.** Axes that are not increasing or too short, another number of features, values that are not finite, bad weights.
/// **Complexity.** O(n 2ᵈ).
///
/// ```
/// use kernels_core::Rows;
/// let xs = Rows::from_row_major(vec![0.25], 1, 1)?;
/// assert_eq!(kernels_sample::linear_binning(&xs, None, &[(0.0, 1.0, 2)])?, [0.75, 0.25]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn linear_binning(xs: &Rows<f64>, weights: Option<&[f64]>, axes: &[Axis]) -> Result<Vec<f64>, Error> {
    let total = check(axes)?;
    error::expect("number of features (one an axis)", axes.len(), xs.dim())?;
    xs.check_finite()?;
    let weights = weights.map(|w| error::weights(w, xs.len())).transpose()?;
    let mut out = vec![0.0; total];
    let d = axes.len();
    let mut corner = vec![(0, 0.0); d];
    'points: for i in 0..xs.len() {
        for ((x, &(low, high, nodes)), corner) in xs.point(i).iter().zip(axes).zip(&mut corner) {
            let t = (x - low) / (high - low) * (nodes - 1) as f64;
            if !(0.0..=(nodes - 1) as f64).contains(&t) {
                continue 'points;
            }
            let whole = (t as usize).min(nodes - 2);
            *corner = (whole, t - whole as f64);
        }
        let w = weights.as_ref().map_or(1.0 / xs.len() as f64, |w| w[i]);
        for subset in 0..1_usize << d {
            let (mut place, mut share) = (0, w);
            for (j, &(whole, rest)) in corner.iter().enumerate() {
                let up = subset >> j & 1;
                place = place * axes[j].2 + whole + up;
                share *= if up == 1 { rest } else { 1.0 - rest };
            }
            out[place] += share;
        }
    }
    Ok(out)
}

/// A density on a regular grid in 1 to 3 dimensions, by linear binning and FFT.
///
/// The binning's error falls with the square of the spacing; the convolution itself is exact to rounding, without wrap-around, kernels
/// cut where they have fallen to 10⁻¹⁶ of their peak.
///
/// ```
/// use kernels_core::Rows;
/// use kernels_sample::{DensityKernel, Grid};
/// let xs = Rows::from_row_major(vec![0.0, 1.0], 2, 1)?;
/// let grid = Grid::new(vec![(-5.0, 6.0, 1101)]);
/// let f = grid.density(DensityKernel::Gaussian, &[0.5], &xs, None)?;
/// assert!((f.iter().sum::<f64>() * 0.01 - 1.0).abs() < 1e-9);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    axes: Vec<Axis>,
}

impl Grid {
    /// With an axis (first node, last node, number of nodes) a feature.
    pub fn new(axes: Vec<(f64, f64, usize)>) -> Self {
        Self { axes }
    }

    /// The axes.
    pub fn axes(&self) -> &[(f64, f64, usize)] {
        &self.axes
    }

    /// Spacing of every axis.
    pub fn spacing(&self) -> Vec<f64> {
        self.axes.iter().map(|&(low, high, nodes)| (high - low) / (nodes.max(2) - 1) as f64).collect()
    }

    /// The density at all nodes, the last axis fastest; `scales` are the units of distance of the kernel, one a feature or one for all.
    ///
    /// **Errors.** More than 3 axes, as [`linear_binning`], scales that are not positive. **Complexity.** O(n 2ᵈ + G log G).
    pub fn density(
        &self,
        kernel: DensityKernel,
        scales: &[f64],
        xs: &Rows<f64>,
        weights: Option<&[f64]>,
    ) -> Result<Vec<f64>, Error> {
        let d = self.axes.len();
        if d > 3 {
            return Err(Error::Count { what: "number of axes", given: d, expected: "at most 3", limit: 3 });
        }
        if scales.len() != 1 {
            error::expect("scales of the kernel (one, or one a feature)", d, scales.len())?;
        }
        scales.iter().try_for_each(|&h| error::positive("scale of the kernel", h).map(|_| ()))?;
        let bins = linear_binning(xs, weights, &self.axes)?;
        let scale = |j: usize| scales[j.min(scales.len() - 1)];
        let steps: Vec<f64> = self.spacing().iter().enumerate().map(|(j, dx)| dx / scale(j)).collect();
        let reach: Vec<usize> = steps
            .iter()
            .zip(&self.axes)
            .map(|(dx, axis)| ((kernel.reach() / dx).floor().min(1e9) as usize).min(axis.2 - 1))
            .collect();
        let padded: Vec<usize> =
            self.axes.iter().zip(&reach).map(|(axis, reach)| fast_length(axis.2 + reach)).collect();
        let total: usize = padded.iter().product();
        let ln_norm = kernel.ln_integral(d) + (0..d).map(|j| scale(j).ln()).sum::<f64>();
        let norm = (-ln_norm).exp() / total as f64;
        // One complex transform of bins + i · kernel would mix them; the kernel is even, so that its transform is real, and
        // two transforms are clearer.
        let mut values = vec![Complex::new(0.0, 0.0); total];
        let mut lags = values.clone();
        for (i, b) in bins.iter().enumerate() {
            values[place(i, self.axes.iter().map(|a| a.2), &padded)].re = *b;
        }
        let sizes: Vec<usize> = reach.iter().map(|r| 2 * r + 1).collect();
        for i in 0..sizes.iter().product::<usize>() {
            let (mut rest, mut to, mut stride, mut u2) = (i, 0, 1, 0.0);
            for j in (0..d).rev() {
                let lag = (rest % sizes[j]) as isize - reach[j] as isize;
                rest /= sizes[j];
                to += lag.rem_euclid(padded[j] as isize).cast_unsigned() * stride;
                stride *= padded[j];
                u2 += (lag as f64 * steps[j]).powi(2);
            }
            lags[to].re = kernel.profile(u2.sqrt()) * norm;
        }
        let mut planner = FftPlanner::new();
        transform(&mut values, &padded, &mut planner, false);
        transform(&mut lags, &padded, &mut planner, false);
        values.iter_mut().zip(&lags).for_each(|(v, k)| *v *= k);
        transform(&mut values, &padded, &mut planner, true);
        Ok((0..bins.len())
            .map(|i| values[place(i, self.axes.iter().map(|a| a.2), &padded)].re.max(0.0))
            .collect())
    }
}

/// Where node `i` of a grid lies in a padded one.
fn place(mut i: usize, nodes: impl DoubleEndedIterator<Item = usize>, padded: &[usize]) -> usize {
    let (mut to, mut stride) = (0, 1);
    for (n, p) in nodes.rev().zip(padded.iter().rev()) {
        to += i % n * stride;
        i /= n;
        stride *= p;
    }
    to
}

/// The least length from `n` on whose prime factors are 2, 3 and 5.
fn fast_length(n: usize) -> usize {
    (n.max(1)..)
        .find(|&m| {
            let mut rest = m;
            for p in [2, 3, 5] {
                while rest % p == 0 {
                    rest /= p;
                }
            }
            rest == 1
        })
        .unwrap_or(n)
}

/// In place over all axes, without scaling.
fn transform(values: &mut [Complex<f64>], sizes: &[usize], planner: &mut FftPlanner<f64>, inverse: bool) {
    let mut stride = 1;
    for &size in sizes.iter().rev() {
        let fft = if inverse { planner.plan_fft_inverse(size) } else { planner.plan_fft_forward(size) };
        if stride == 1 {
            fft.process(values);
        } else {
            let mut line = vec![Complex::new(0.0, 0.0); size];
            let mut scratch = vec![Complex::new(0.0, 0.0); fft.get_inplace_scratch_len()];
            for start in (0..values.len()).step_by(size * stride) {
                for offset in start..start + stride {
                    line.iter_mut().enumerate().for_each(|(k, v)| *v = values[offset + k * stride]);
                    fft.process_with_scratch(&mut line, &mut scratch);
                    line.iter().enumerate().for_each(|(k, v)| values[offset + k * stride] = *v);
                }
            }
        }
        stride *= size;
    }
}
