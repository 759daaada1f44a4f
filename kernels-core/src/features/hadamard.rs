//! Random Fourier features whose frequencies are products of diagonal and Walsh–Hadamard matrices.

use std::{f64::consts::PI, ops::Range};

use rand::{Rng, RngExt, seq::SliceRandom};
use rand_distr::{Distribution, StandardNormal};

use super::{FeatureMap, Spectral, check_count, check_dim, orthogonal::norm, stream};
use crate::{
    Error, LengthScale, Points, Profile, Radial, Rbf, Real, Rows, Tile, Vector, Workspace,
    simd::{Work, load_some, store_some},
};

/// Random Fourier features in O(D log d) a point instead of O(D d): frequencies are the rows of products of diagonal matrices and the
/// Walsh–Hadamard matrix H, applied by its fast transform. Points are filled up with zeros to p, the next power of two.
///
/// - [`StructuredFourier::fastfood`]: (1/√p) S H G Π H B with random signs B, a permutation Π, normal G and lengths S
///   drawn from the kernel's spectrum. Every frequency has the right distribution, so that estimates are unbiased.
/// - [`StructuredFourier::sorf`]: √p H D₁ H D₂ H D₃ with normalised H and random signs: nearly orthogonal directions of equal length, whose
///   bias falls with 1/√p.
///
/// Reference: Le, Sarlós & Smola, *Fastfood* (2013); Yu et al., *Orthogonal random features* (2016).
///
/// ```
/// use kernels_core::{FeatureMap, Rbf, Rows, StructuredFourier, features};
/// let map = StructuredFourier::fastfood(&Rbf::new(1.0)?, 3, 50, 7)?;
/// let xs = Rows::from_row_major(vec![0.0_f64, 0.1, 0.2], 1, 3)?;
/// let z = features(&map, &xs)?;
/// assert_eq!(z.ncols(), 100);
/// assert!((z.norm() - 1.0).abs() < 1e-12);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StructuredFourier {
    chains: Vec<Chain>,
    /// The next power of two of `dim`.
    padded: usize,
    count: usize,
    dim: usize,
    /// k(0).
    variance: f64,
}

/// One p × p product: multiply, then (permute, multiply) after each transform but the last, which only multiplies.
#[derive(Clone, Debug, PartialEq)]
struct Chain {
    multipliers: Vec<Vec<f64>>,
    /// Applied after the first transform when not empty: entry i comes from `permutation[i]`.
    permutation: Vec<usize>,
}

impl StructuredFourier {
    /// Fastfood features of a radial kernel, of `frequencies` frequencies for points of `dim` features.
    ///
    /// # Errors
    /// [`Error::Shape`] when the kernel has another number of length scales, [`Error::TooFewPoints`] for no frequencies.
    pub fn fastfood<F: Profile>(
        kernel: &Radial<F>,
        dim: usize,
        frequencies: usize,
        seed: u64,
    ) -> Result<Self, Error>
    where
        Radial<F>: Spectral,
    {
        Self::build(kernel, dim, frequencies, |p, item| {
            let mut rng = stream(seed, item);
            let signs = signs(p, &mut rng);
            let normal: Vec<f64> = (0..p).map(|_| StandardNormal.sample(&mut rng)).collect();
            let mut permutation: Vec<usize> = (0..p).collect();
            permutation.shuffle(&mut rng);
            let mut draw = vec![0.0; p];
            let lengths = (0..p)
                .map(|_| {
                    kernel.draw(&mut draw, &mut rng);
                    norm(&draw)
                })
                .collect();
            Self::fastfood_chain(signs, normal, permutation, lengths)
        })
    }

    /// Structured orthogonal random features of a Gaussian kernel.
    ///
    /// # Errors
    /// As [`StructuredFourier::fastfood`].
    pub fn sorf(kernel: &Rbf, dim: usize, frequencies: usize, seed: u64) -> Result<Self, Error> {
        Self::build(kernel, dim, frequencies, |p, item| {
            let mut rng = stream(seed, item);
            Self::sorf_chain([signs(p, &mut rng), signs(p, &mut rng), signs(p, &mut rng)])
        })
    }

    /// (1/√p) S H G Π H B with S = `lengths` / ‖G‖, by its parts, each of length p.
    fn fastfood_chain(
        signs: Vec<f64>,
        normal: Vec<f64>,
        permutation: Vec<usize>,
        mut lengths: Vec<f64>,
    ) -> Chain {
        let scale = norm(&normal) * (signs.len() as f64).sqrt();
        lengths.iter_mut().for_each(|s| *s /= scale);
        Chain { multipliers: vec![signs, normal, lengths], permutation }
    }

    /// √p H D₁ H D₂ H D₃ with normalised H, that is 1/p of the same with entries ±1; signs in the order they are applied.
    fn sorf_chain(signs: [Vec<f64>; 3]) -> Chain {
        let p = signs[0].len();
        let mut multipliers = signs.to_vec();
        multipliers.push(vec![1.0 / p as f64; p]);
        Chain { multipliers, permutation: Vec::new() }
    }

    fn build(
        kernel: &impl Spectral,
        dim: usize,
        count: usize,
        chain: impl Fn(usize, u64) -> Chain,
    ) -> Result<Self, Error> {
        check_count("a random Fourier map (frequencies)", count)?;
        kernel.scale().check(dim)?;
        let padded = dim.max(1).next_power_of_two();
        let chains = (0..count.div_ceil(padded)).map(|item| chain(padded, item as u64)).collect();
        let map = Self::from_chains(chains, kernel.scale(), (padded, count, dim));
        Ok(Self { variance: kernel.variance(), ..map })
    }

    /// Length scales enter the first multipliers, 1/π of half turns the last.
    fn from_chains(
        mut chains: Vec<Chain>,
        scale: &LengthScale,
        (padded, count, dim): (usize, usize, usize),
    ) -> Self {
        let lengths = scale.values();
        for chain in &mut chains {
            for (k, first) in chain.multipliers[0].iter_mut().enumerate() {
                *first /= lengths[k.min(lengths.len() - 1)];
            }
            if let Some(last) = chain.multipliers.last_mut() {
                last.iter_mut().for_each(|s| *s /= PI);
            }
        }
        Self { chains, padded, count, dim, variance: 1.0 }
    }

    /// Number D of frequencies.
    pub fn n_frequencies(&self) -> usize {
        self.count
    }
}

fn signs(p: usize, rng: &mut impl Rng) -> Vec<f64> {
    (0..p).map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect()
}

/// H v of the Walsh–Hadamard matrix in Sylvester's order, entries ±1, in place; `values` holds p vectors of LANES points.
/// p log₂ p additions.
#[inline(always)]
fn transform<V: Vector>(values: &mut [V::Scalar]) {
    let mut half = V::LANES;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.chunks_exact_mut(V::LANES).zip(high.chunks_exact_mut(V::LANES)) {
                let (x, y) = (V::load(a), V::load(b));
                (x + y).store(a);
                (x - y).store(b);
            }
        }
        half *= 2;
    }
}

struct Transform<'a, T: Real> {
    map: &'a StructuredFourier,
    xs: &'a Rows<T>,
    rows: Range<usize>,
    out: Tile<'a, T>,
    ws: &'a mut Workspace<T>,
}

impl<T: Real> Work<T> for Transform<'_, T> {
    type Output = ();

    /// As many points at a time as a vector has lanes: every step is a vector operation, and lanes never meet.
    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) {
        let Self { map, xs, rows, mut out, ws } = self;
        let (p, lanes) = (map.padded, V::LANES);
        let amplitude = V::splat((map.variance / map.count as f64).sqrt());
        let (mut points, mut work, mut other) = (ws.take(p * lanes), ws.take(p * lanes), ws.take(p * lanes));
        let n = rows.len();
        for first in (0..n).step_by(lanes) {
            let last = (first + lanes).min(n);
            points.fill(T::default());
            for i in first..last {
                for (k, &x) in xs.point(rows.start + i).iter().enumerate() {
                    points[k * lanes + i - first] = x;
                }
            }
            for (c, chain) in map.chains.iter().enumerate() {
                work.copy_from_slice(&points);
                for (step, multipliers) in chain.multipliers.iter().enumerate() {
                    if step > 0 {
                        transform::<V>(&mut work);
                    }
                    if step == 1 && !chain.permutation.is_empty() {
                        for (to, from) in other.chunks_exact_mut(lanes).zip(&chain.permutation) {
                            to.copy_from_slice(&work[from * lanes..][..lanes]);
                        }
                        std::mem::swap(&mut work, &mut other);
                    }
                    for (values, &m) in work.chunks_exact_mut(lanes).zip(multipliers) {
                        (V::load(values) * V::splat(m)).store(values);
                    }
                }
                for (j, angle) in (c * p..map.count).zip(work.chunks_exact(lanes)) {
                    let (sine, cosine) = load_some::<V>(angle).sin_cos_pi();
                    store_some(cosine * amplitude, &mut out.column_mut(j).as_mut_slice()[first..last]);
                    store_some(
                        sine * amplitude,
                        &mut out.column_mut(map.count + j).as_mut_slice()[first..last],
                    );
                }
            }
        }
        ws.give(points);
        ws.give(work);
        ws.give(other);
    }
}

impl<T: Real> FeatureMap<Rows<T>> for StructuredFourier {
    fn dim(&self) -> usize {
        2 * self.count
    }

    fn features(&self, xs: &Rows<T>, rows: Range<usize>, out: Tile<'_, T>, ws: &mut Workspace<T>) {
        T::dispatch(Transform { map: self, xs, rows, out, ws });
    }

    fn check(&self, xs: &Rows<T>) -> Result<(), Error> {
        check_dim(self.dim, xs.dim())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::features;

    fn numbers(v: &Value) -> Vec<f64> {
        v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    /// The features of one point against cosine and sine of products that numpy made with explicit Hadamard matrices.
    fn check(chain: Chain, x: &[f64], expected: &[f64]) {
        let p = expected.len();
        let map = StructuredFourier::from_chains(vec![chain], &1.0.into(), (p, p, x.len()));
        let z = features(&map, &Rows::from_row_major(x.to_vec(), 1, x.len()).unwrap()).unwrap();
        let scale = (p as f64).sqrt();
        for (j, angle) in expected.iter().enumerate() {
            // A few roundings of angles up to 10.
            assert!((z[(0, j)] * scale - angle.cos()).abs() < 1e-14, "{j}");
            assert!((z[(0, p + j)] * scale - angle.sin()).abs() < 1e-14, "{j}");
        }
    }

    #[test]
    fn reference_products() {
        let core: Value =
            serde_json::from_str(include_str!("../../tests/reference/random_features.json")).unwrap();
        let solvers: Value =
            serde_json::from_str(include_str!("../../tests/reference/random_features_sklearn.json")).unwrap();
        for (file, x) in [(&core, "x"), (&solvers, "x_padded")] {
            let r = &file["sorf"];
            let chain =
                StructuredFourier::sorf_chain([numbers(&r["D3"]), numbers(&r["D2"]), numbers(&r["D1"])]);
            check(chain, &numbers(&r[x]), &numbers(&r["Wx"]));
        }
        let permutation = |r: &Value| numbers(&r["perm"]).iter().map(|v| *v as usize).collect::<Vec<_>>();
        // The solvers' file gives the lengths, this crate's divides S by nothing: multiply by what the chain divides by.
        let r = &solvers["fastfood"];
        let chain = StructuredFourier::fastfood_chain(
            numbers(&r["B"]),
            numbers(&r["G"]),
            permutation(r),
            numbers(&r["chi"]),
        );
        check(chain, &numbers(&solvers["sorf"]["x_padded"]), &numbers(&r["Vx"]));
        let r = &core["fastfood"];
        let g = numbers(&r["G"]);
        let lengths = numbers(&r["S"]).iter().map(|s| s * norm(&g)).collect();
        let chain = StructuredFourier::fastfood_chain(numbers(&r["B"]), g, permutation(r), lengths);
        check(chain, &numbers(&r["x"]), &numbers(&r["Vx"]));
    }
}
