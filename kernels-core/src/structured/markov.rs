//! Matérn processes in time as stochastic differential equations: exact regression and likelihood in O(n).

use nalgebra::{SMatrix, SVector};

use crate::{
    Error,
    describe::{non_negative, positive},
};

/// A Gaussian process in time with covariance `variance` · Matérn(ν) and white observation noise, for ν = ½, 3/2, 5/2: as a linear
/// stochastic differential equation, whose Kalman filter gives the same likelihood and predictions as the n × n matrix, in O(n).
///
/// Times may come in any order and repeat.
///
/// Reference: Hartikainen & Särkkä, *Kalman filtering and smoothing solutions to temporal Gaussian process regression models* (2010);
/// Bierman, *Fixed interval smoothing with discrete measurements* (1973) for the smoother, which inverts no covariance.
///
/// ```
/// use kernels_core::structured::MaternProcess;
/// let process = MaternProcess::new(1.5, 0.7, 1.0, 0.01)?;
/// let (times, y) = ([0.0, 0.3, 1.0], [0.1, 0.4, -0.2]);
/// let (mean, variance) = process.predict(&times, &y, &[0.3, 100.0])?;
/// assert!((mean[0] - 0.4).abs() < 0.02 && variance[0] < 0.01);
/// assert!(mean[1].abs() < 1e-12 && (variance[1] - 1.0).abs() < 1e-12);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MaternProcess {
    /// Order of the equation, ν + ½.
    order: usize,
    /// √(2ν)/ℓ.
    rate: f64,
    variance: f64,
    noise: f64,
}

impl MaternProcess {
    /// The process with these parameters; `noise` is the variance of observations about the process.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a ν other than ½, 3/2, 5/2, a length scale or variance that is not finite and positive, or a noise that is
    /// negative or not finite.
    pub fn new(nu: f64, length_scale: f64, variance: f64, noise: f64) -> Result<Self, Error> {
        let order = [0.5, 1.5, 2.5].iter().position(|v| *v == nu).ok_or_else(|| Error::Parameter {
            name: "nu".into(),
            value: nu,
            expected: "0.5, 1.5 or 2.5",
        })?;
        Ok(Self {
            order: order + 1,
            rate: (2.0 * nu).sqrt() / positive("length_scale", length_scale)?,
            variance: positive("variance", variance)?,
            noise: non_negative("noise", noise)?,
        })
    }

    /// ln p(y) of observations `y` at `times`. O(n log n) for the sort, O(n) for the rest.
    ///
    /// # Errors
    /// [`Error::Shape`] when the lengths differ, [`Error::NotFinite`], [`Error::NotPositiveDefinite`] when without noise an observation
    /// has no variance of its own (times that repeat).
    pub fn log_likelihood(&self, times: &[f64], y: &[f64]) -> Result<f64, Error> {
        let events = events(times, y, &[])?;
        match self.order {
            1 => self.filter::<1>(&events).map(|f| f.0),
            2 => self.filter::<2>(&events).map(|f| f.0),
            _ => self.filter::<3>(&events).map(|f| f.0),
        }
    }

    /// Mean and variance of the process (without noise) at the times `at`, given observations.
    ///
    /// # Errors
    /// As [`MaternProcess::log_likelihood`].
    pub fn predict(&self, times: &[f64], y: &[f64], at: &[f64]) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let events = events(times, y, at)?;
        match self.order {
            1 => self.smooth::<1>(&events, at.len()),
            2 => self.smooth::<2>(&events, at.len()),
            _ => self.smooth::<3>(&events, at.len()),
        }
    }

    /// Covariance of the stationary state (value and derivatives by rate · time) over the variance.
    fn stationary<const N: usize>() -> SMatrix<f64, N, N> {
        let full = match N {
            1 => [[1.0, 0.0, 0.0], [0.0; 3], [0.0; 3]],
            2 => [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0; 3]],
            _ => [[1.0, 0.0, -1.0 / 3.0], [0.0, 1.0 / 3.0, 0.0], [-1.0 / 3.0, 0.0, 1.0]],
        };
        SMatrix::from_fn(|i, j| full[i][j])
    }

    /// exp(F t) = e^(−t) Σ (N t)ᵏ/k! with the nilpotent N = F + I of the companion matrix F of (s + 1)ᴺ, t in units of 1/rate.
    fn transition<const N: usize>(t: f64) -> SMatrix<f64, N, N> {
        let decay = (-t).exp();
        let full = match N {
            1 => [[1.0, 0.0, 0.0], [0.0; 3], [0.0; 3]],
            2 => [[1.0 + t, t, 0.0], [-t, 1.0 - t, 0.0], [0.0; 3]],
            _ => {
                let h = 0.5 * t * t;
                [
                    [1.0 + t + h, t + 2.0 * h, h],
                    [-h, 1.0 + t - 2.0 * h, t - h],
                    [h - t, 2.0 * h - 3.0 * t, 1.0 - 2.0 * t + h],
                ]
            }
        };
        // Far apart, the polynomial may be infinite where the product is 0.
        SMatrix::from_fn(|i, j| if decay == 0.0 { 0.0 } else { decay * full[i][j] })
    }

    /// The likelihood and what the smoother needs of each event.
    fn filter<const N: usize>(&self, events: &[Event]) -> Result<(f64, Vec<Step<N>>), Error> {
        let stationary = Self::stationary::<N>() * self.variance;
        let mut steps = Vec::with_capacity(events.len());
        let (mut mean, mut known) = (SVector::<f64, N>::zeros(), SMatrix::<f64, N, N>::zeros());
        let (mut likelihood, mut before) = (0.0, f64::NEG_INFINITY);
        for (i, event) in events.iter().enumerate() {
            let transition = Self::transition::<N>((event.time - before) * self.rate);
            before = event.time;
            mean = transition * mean;
            // `known` is what observations have taken from the stationary covariance; it decays, and no process noise is
            // needed, whose small entries would have no digits.
            known = transition * known * transition.transpose();
            let covariance = stationary - known;
            let mut step = Step { transition, mean, covariance, innovation: 0.0, spread: 0.0 };
            if let Some(y) = event.observation {
                let spread = covariance[(0, 0)] + self.noise;
                if spread <= f64::EPSILON * self.variance {
                    return Err(Error::NotPositiveDefinite {
                        pivot: i,
                        n: events.len(),
                        value: spread,
                        suggested: 100.0 * f64::EPSILON * self.variance,
                    });
                }
                let innovation = y - mean[0];
                let gain = covariance.column(0) / spread;
                mean += gain * innovation;
                known += gain * gain.transpose() * spread;
                likelihood -=
                    0.5 * ((2.0 * std::f64::consts::PI * spread).ln() + innovation * innovation / spread);
                step = Step { innovation, spread, ..step };
            }
            steps.push(step);
        }
        Ok((likelihood, steps))
    }

    fn smooth<const N: usize>(&self, events: &[Event], count: usize) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let (_, steps) = self.filter::<N>(events)?;
        let (mut means, mut variances) = (vec![0.0; count], vec![0.0; count]);
        let (mut vector, mut matrix) = (SVector::<f64, N>::zeros(), SMatrix::<f64, N, N>::zeros());
        for (event, step) in events.iter().zip(&steps).rev() {
            if event.observation.is_some() {
                let gain = step.covariance.column(0) / step.spread;
                let mut keep = SMatrix::<f64, N, N>::identity();
                keep.column_mut(0).iter_mut().zip(gain.iter()).for_each(|(k, g)| *k -= g);
                vector = keep.transpose() * vector;
                vector[0] -= step.innovation / step.spread;
                matrix = keep.transpose() * matrix * keep;
                matrix[(0, 0)] += 1.0 / step.spread;
            }
            // The adjoint at this event before its observation, on the prediction of the filter.
            if let Some(k) = event.query {
                let column = step.covariance.column(0);
                means[k] = step.mean[0] - column.dot(&vector);
                variances[k] = (step.covariance[(0, 0)] - column.dot(&(matrix * column))).max(0.0);
            }
            vector = step.transition.transpose() * vector;
            matrix = step.transition.transpose() * matrix * step.transition;
        }
        Ok((means, variances))
    }
}

/// Filter's prediction at an event, and what its observation said.
struct Step<const N: usize> {
    transition: SMatrix<f64, N, N>,
    mean: SVector<f64, N>,
    covariance: SMatrix<f64, N, N>,
    innovation: f64,
    spread: f64,
}

/// An observation, or a time of interest with its number.
struct Event {
    time: f64,
    observation: Option<f64>,
    query: Option<usize>,
}

fn events(times: &[f64], y: &[f64], at: &[f64]) -> Result<Vec<Event>, Error> {
    if times.len() != y.len() {
        return Err(Error::Shape {
            what: "observations (one a time)",
            expected: times.len(),
            given: y.len(),
        });
    }
    for (column, values) in [times, y, at].into_iter().enumerate() {
        if let Some(row) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::NotFinite { row, column, value: values[row] });
        }
    }
    let observed = times.iter().zip(y).map(|(&time, &y)| Event { time, observation: Some(y), query: None });
    let asked = at.iter().enumerate().map(|(k, &time)| Event { time, observation: None, query: Some(k) });
    let mut all: Vec<Event> = observed.chain(asked).collect();
    all.sort_by(|a, b| a.time.total_cmp(&b.time));
    Ok(all)
}
