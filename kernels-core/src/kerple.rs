//! Relative position biases of attention from conditionally positive definite kernels.

use nalgebra::DMatrix;

use crate::{Error, describe::positive};

/// A bias b(|i−j|) added to the logits of attention: minus a distance of the positions, conditionally positive definite of order 1.
///
/// With any constant added it is positive definite on sequences of bounded length, and softmax does not see the constant: attention
/// with the bias is attention with a kernel.
///
/// Reference: Chi, Fan, Ramadge & Rudnicky, *KERPLE: kernelized relative positional embedding for length extrapolation* (2022);
/// for [`Bias::alibi`] Press, Smith & Lewis, *Train short, test long* (2022).
///
/// ```
/// use kernels_core::Bias;
/// let bias = Bias::log(2.0, 1.0)?;
/// assert!((bias.at(3) + 2.0 * 4.0_f64.ln()).abs() < 1e-15);
/// let causal = bias.causal_matrix(2);
/// assert_eq!((causal[(0, 1)], causal[(1, 1)]), (f64::NEG_INFINITY, 0.0));
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bias {
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Power { a: f64, p: f64 },
    Log { p: f64, a: f64 },
}

impl Bias {
    /// −a|i−j|ᵖ, `a` > 0, 0 < `p` ≤ 2.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is out of range.
    pub fn power(a: f64, p: f64) -> Result<Self, Error> {
        if p > 2.0 {
            return Err(Error::Parameter { name: "p".into(), value: p, expected: "above 0, at most 2" });
        }
        Ok(Self { form: Form::Power { a: positive("a", a)?, p: positive("p", p)? } })
    }

    /// −p ln(1 + a|i−j|), `p` > 0, `a` > 0.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a parameter is out of range.
    pub fn log(p: f64, a: f64) -> Result<Self, Error> {
        Ok(Self { form: Form::Log { p: positive("p", p)?, a: positive("a", a)? } })
    }

    /// −slope · |i−j|, the linear bias; see [`alibi_slopes`].
    ///
    /// # Errors
    /// [`Error::Parameter`] when the slope is not finite and positive.
    pub fn alibi(slope: f64) -> Result<Self, Error> {
        Self::power(slope, 1.0)
    }

    /// The nearest bias in the range that training keeps to: parameters of 0.01 or above, a power of 2 at most.
    pub fn clamped(self) -> Self {
        let form = match self.form {
            Form::Power { a, p } => Form::Power { a: a.max(0.01), p: p.clamp(0.01, 2.0) },
            Form::Log { p, a } => Form::Log { p: p.max(0.01), a: a.max(0.01) },
        };
        Self { form }
    }

    /// b(distance).
    pub fn at(&self, distance: usize) -> f64 {
        let r = distance as f64;
        match self.form {
            Form::Power { a, p } => -a * r.powf(p),
            Form::Log { p, a } => -p * (a * r).ln_1p(),
        }
    }

    /// b(0), …, b(len − 1): the first column of the Toeplitz matrix.
    pub fn vector(&self, len: usize) -> Vec<f64> {
        (0..len).map(|r| self.at(r)).collect()
    }

    /// b(|i−j|) for a sequence of `len` positions.
    pub fn matrix(&self, len: usize) -> DMatrix<f64> {
        let b = self.vector(len);
        DMatrix::from_fn(len, len, |i, j| b[i.abs_diff(j)])
    }

    /// b(i−j) where position i may look at j ≤ i, −∞ elsewhere: to be added to logits.
    pub fn causal_matrix(&self, len: usize) -> DMatrix<f64> {
        let b = self.vector(len);
        DMatrix::from_fn(len, len, |i, j| if j <= i { b[i - j] } else { f64::NEG_INFINITY })
    }
}

/// Slopes of the linear biases of `heads` attention heads: 2^(−8i/h) for i = 1, …, h when h is a power of two, otherwise those of the
/// power of two below and every second of the power above.
///
/// ```
/// assert_eq!(kernels_core::alibi_slopes(4), vec![0.25, 0.0625, 0.015625, 0.00390625]);
/// ```
pub fn alibi_slopes(heads: usize) -> Vec<f64> {
    let of_power = |h: usize| (1..=h).map(move |i| (-8.0 * i as f64 / h as f64).exp2());
    if heads == 0 {
        return Vec::new();
    }
    let below = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    of_power(below).chain(of_power(2 * below).step_by(2)).take(heads).collect()
}
