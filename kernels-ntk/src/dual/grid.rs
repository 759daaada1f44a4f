//! Hermite series of analytic functions at many variances at once, by the trapezoidal rule: the polynomials are the same for all
//! variances, so that the coefficients of a few of them, side by side, are a product of matrices.

use std::collections::BTreeMap;

use kernels_core::{Simd, Vector, Work, parallel};

use super::series::{FIRST_TERMS, HermiteSeries, MOST_TERMS};
use crate::{Activation, activation::normal_density};

/// Beyond this many standard deviations the density times a polynomial of any degree here is below rounding.
const RANGE: f64 = 12.7;

/// Poles nearer to the real axis than this, in standard deviations, would need too many nodes.
const NEAREST: f64 = 0.2;

/// Spacings are 2^(−level/4).
const LEVELS: f64 = 4.0;

/// Variances that are worked on side by side.
const LANES: usize = 8;

/// Terms of one parity that are summed side by side.
const TERMS: usize = 4;

/// Series at each variance; `None` for functions with kinks or unknown poles, and where poles come too near.
pub(super) fn series(
    activation: &Activation,
    variances: &[f64],
    tolerance: f64,
) -> Vec<Option<HermiteSeries>> {
    let mut out = vec![None; variances.len()];
    let mut by_level: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, &q) in variances.iter().enumerate() {
        if let Some(level) = level(activation, q) {
            by_level.entry(level).or_default().push(i);
        }
    }
    for (level, members) in by_level {
        let grid = Grid::new((-f64::from(level) / LEVELS).exp2());
        let groups: Vec<&[usize]> = members.chunks(LANES).collect();
        let made = parallel::map(groups.len(), |g| {
            // Lanes beyond the end repeat the last variance.
            let q = std::array::from_fn(|lane| variances[groups[g][lane.min(groups[g].len() - 1)]]);
            grid.group(activation, q, tolerance)
        });
        for (group, made) in groups.into_iter().zip(made) {
            group.iter().zip(made).for_each(|(&i, series)| out[i] = series);
        }
    }
    out
}

/// The spacing that variance q needs. On a line at height y below the pole the integrand is at most e^(y²/2 + y √j) times that on
/// the axis, and the rule's error e^(−2πy/h) times it, which shall be e⁻⁴⁰.
fn level(activation: &Activation, q: f64) -> Option<u32> {
    let known = matches!(
        activation,
        Activation::Tanh | Activation::Sigmoid | Activation::Softplus | Activation::Swish | Activation::Mish
    );
    // Near the pole itself the function is large; at √80 the bound is best.
    let y = (0.95 * activation.pole() / q.sqrt()).min(80.0_f64.sqrt());
    if !known || y.is_nan() || y < NEAREST {
        return None;
    }
    let h = 2.0 * std::f64::consts::PI / (40.0 / y + 0.5 * y + (MOST_TERMS as f64).sqrt());
    // h is below 1.
    Some((-h.log2() * LEVELS).ceil() as u32)
}

/// Nodes 0, h, 2h, … with their weights, and the polynomials there: hⱼ at node k is `polynomials[j * nodes + k]`.
struct Grid {
    nodes: Vec<f64>,
    weights: Vec<f64>,
    polynomials: Vec<f64>,
}

impl Grid {
    fn new(h: f64) -> Self {
        let count = (RANGE / h).ceil() as usize + 1;
        let nodes: Vec<f64> = (0..count).map(|k| k as f64 * h).collect();
        // The node 0 is its own mirror image.
        let weight = |(k, z): (usize, &f64)| h * normal_density(*z) * if k == 0 { 0.5 } else { 1.0 };
        let weights = nodes.iter().enumerate().map(weight).collect();
        let mut polynomials = vec![1.0; MOST_TERMS * count];
        polynomials[count..2 * count].copy_from_slice(&nodes);
        for j in 1..MOST_TERMS - 1 {
            let (down, up) = ((j as f64).sqrt(), 1.0 / ((j + 1) as f64).sqrt());
            let (known, new) = polynomials.split_at_mut((j + 1) * count);
            let (before, now) = known[(j - 1) * count..].split_at(count);
            for ((new, z), (now, before)) in new.iter_mut().zip(&nodes).zip(now.iter().zip(before)) {
                *new = (z * now - down * before) * up;
            }
        }
        Self { nodes, weights, polynomials }
    }

    /// Series at a few variances.
    fn group(
        &self,
        activation: &Activation,
        q: [f64; LANES],
        tolerance: f64,
    ) -> [Option<HermiteSeries>; LANES] {
        let n = self.nodes.len();
        // Weighted f(z) ± f(−z), for polynomials of either parity, node by node.
        let zeros = || vec![0.0; n * LANES];
        let (mut values, mut slopes) = ([zeros(), zeros()], [zeros(), zeros()]);
        let (mut second, mut second_slope) = ([0.0; LANES], [0.0; LANES]);
        for (lane, q) in q.iter().enumerate() {
            let scale = q.sqrt();
            for (k, (z, w)) in self.nodes.iter().zip(&self.weights).enumerate() {
                let both = |f: fn(&Activation, f64) -> f64, odd: Option<bool>| {
                    let plus = f(activation, scale * z);
                    let minus = match odd {
                        Some(true) => -plus,
                        Some(false) => plus,
                        None => f(activation, -scale * z),
                    };
                    (plus, minus)
                };
                let odd = activation.is_odd();
                let (f, g) = both(Activation::value, odd.then_some(true));
                let (d, e) = both(Activation::derivative, odd.then_some(false));
                let at = k * LANES + lane;
                (values[0][at], values[1][at]) = (w * (f + g), w * (f - g));
                (slopes[0][at], slopes[1][at]) = (w * (d + e), w * (d - e));
                second[lane] += w * (f * f + g * g);
                second_slope[lane] += w * (d * d + e * e);
            }
        }
        let mut coefficients = [Vec::new(), Vec::new()];
        let mut out = [const { None }; LANES];
        let mut terms = FIRST_TERMS;
        loop {
            for (c, f) in coefficients.iter_mut().zip([&values, &slopes]) {
                let from = c.len() / LANES;
                c.resize(terms * LANES, 0.0);
                f64::dispatch(Sum { grid: self, f, from, out: c });
            }
            for (lane, out) in out.iter_mut().enumerate().filter(|(_, out)| out.is_none()) {
                let [a, b] = coefficients
                    .each_ref()
                    .map(|c| -> Vec<f64> { c.iter().skip(lane).step_by(LANES).copied().collect() });
                *out = HermiteSeries::checked((&a, &b), (second[lane], second_slope[lane]), tolerance);
            }
            if terms >= MOST_TERMS || out.iter().all(Option::is_some) {
                return out;
            }
            terms *= 2;
        }
    }
}

/// Coefficients from term `from` on, variances side by side, of functions by parity.
struct Sum<'a> {
    grid: &'a Grid,
    f: &'a [Vec<f64>; 2],
    from: usize,
    out: &'a mut [f64],
}

impl Work<f64> for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = f64>>(self) {
        let Self { grid, f, from, out } = self;
        let (n, terms) = (grid.nodes.len(), out.len() / LANES);
        for start in (from..terms).step_by(2 * TERMS) {
            for (parity, f) in f.iter().enumerate() {
                let of = |t: usize| &grid.polynomials[(start + parity + 2 * t) * n..][..n];
                let rows: [&[f64]; TERMS] = std::array::from_fn(of);
                for lane in (0..LANES).step_by(V::LANES) {
                    let mut sums = [V::splat(0.0); TERMS];
                    for k in 0..n {
                        let f = V::load(&f[k * LANES + lane..]);
                        for t in 0..TERMS {
                            sums[t] = f.mul_add(V::splat(rows[t][k]), sums[t]);
                        }
                    }
                    for (t, sum) in sums.into_iter().enumerate() {
                        sum.store(&mut out[(start + parity + 2 * t) * LANES + lane..]);
                    }
                }
            }
        }
    }
}
