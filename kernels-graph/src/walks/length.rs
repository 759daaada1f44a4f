//! How long walks are.

use super::WalkKernel;
use crate::{Error, error::parameter};

/// Distribution of the length of a walk: sₖ = P(length ≥ k).
///
/// Any law with sₖ > 0 where the modulation is not 0 gives unbiased estimates; the variance of a walk grows with 1/sₖ.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LengthLaw {
    /// Before every step the walk halts with this probability, in (0, 1): sₖ = (1 − p)ᵏ.
    Geometric(f64),
    /// s₁, s₂, …, not increasing, in \[0, 1\]; 0 beyond the last.
    Table(Vec<f64>),
    /// sₖ ∝ |fₖ| qₖ, cut at 1, with walks of this many steps on average; qₖ is the growth of the loads. At equal cost its error is about
    /// half of the best geometric one for kernels whose modulation decays fast.
    Auto(f64),
}

impl LengthLaw {
    /// The tables of walks that are to count at every one of `terms` lengths.
    pub(super) fn tables_for_all(
        &self,
        kernel: &WalkKernel,
        terms: usize,
    ) -> Result<(Vec<u32>, Vec<f64>), Error> {
        let f = kernel.modulation();
        let last = f[f.len() - 1].abs();
        let all: Vec<f64> = (0..terms.max(1))
            .map(|k| {
                if matches!(self, Self::Auto(_)) {
                    f.get(k).map_or(last, |f| f.abs()).max(1e-200)
                } else {
                    1.0
                }
            })
            .collect();
        self.tables(kernel, &all)
    }

    /// Probabilities of halting before step k = 1, 2, … as multiples of 2⁻³², and the survival they give, exactly.
    pub(crate) fn tables(
        &self,
        kernel: &WalkKernel,
        modulation: &[f64],
    ) -> Result<(Vec<u32>, Vec<f64>), Error> {
        let terms = modulation.iter().rposition(|f| f.abs() > 0.0).map_or(1, |k| k + 1);
        let wanted: Vec<f64> = match self {
            Self::Geometric(p) => {
                if !(*p > 0.0 && *p < 1.0) {
                    return Err(parameter("halting probability", *p, "above 0 and below 1"));
                }
                (0..terms)
                    .scan(1.0, |s, _| {
                        let out = *s;
                        *s *= 1.0 - p;
                        Some(out)
                    })
                    .collect()
            }
            Self::Table(table) => {
                let all: Vec<f64> = std::iter::once(1.0).chain(table.iter().copied()).take(terms).collect();
                if let Some(at) = all.windows(2).position(|w| !(w[1] <= w[0] && w[1] >= 0.0)) {
                    return Err(parameter("survival", all[at + 1], "not increasing, between 0 and 1"));
                }
                if let Some(k) = (0..terms)
                    .find(|&k| modulation[k].abs() > 0.0 && !(all.get(k).copied().unwrap_or(0.0) > 0.0))
                {
                    return Err(parameter(
                        "survival at a step that counts",
                        k as f64,
                        "above 0, else the estimate is biased",
                    ));
                }
                all
            }
            Self::Auto(steps) => {
                if !(*steps > 0.0 && steps.is_finite()) {
                    return Err(parameter("mean steps", *steps, "a finite number above 0"));
                }
                let growth = kernel.growth(terms);
                let mut shape: Vec<f64> =
                    modulation[..terms].iter().zip(&growth).map(|(f, q)| f.abs() * q.sqrt()).collect();
                for k in (1..terms).rev() {
                    shape[k - 1] = shape[k - 1].max(shape[k]);
                }
                let mean = |scale: f64| shape[1..].iter().map(|s| (scale * s).min(1.0)).sum::<f64>();
                let (mut low, mut high) = (0.0f64, 1.0f64);
                while mean(high) < *steps && high < 1e300 {
                    high *= 2.0;
                }
                for _ in 0..200 {
                    let middle = 0.5 * (low + high);
                    if mean(middle) < *steps { low = middle } else { high = middle }
                }
                std::iter::once(1.0).chain(shape[1..].iter().map(|s| (high * s).min(1.0))).collect()
            }
        };
        // The coin has 32 bits; loads are divided by what it really does.
        let (mut halt, mut survival) = (vec![0u32], vec![1.0f64]);
        for k in 1..wanted.len() {
            let stay = if survival[k - 1] > 0.0 { (wanted[k] / survival[k - 1]).min(1.0) } else { 0.0 };
            let mut coin = ((1.0 - stay) * 4_294_967_296.0).round().min(4_294_967_295.0) as u32;
            if stay <= 0.0 {
                halt.push(u32::MAX);
                survival.push(0.0);
                continue;
            }
            coin = coin.min(u32::MAX - 1);
            halt.push(coin);
            survival.push(survival[k - 1] * (1.0 - f64::from(coin) / 4_294_967_296.0));
        }
        Ok((halt, survival))
    }
}
