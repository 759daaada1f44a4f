//! C- and ν-classification.

use kernels_core::{Kernel, Points, PositiveDefinite, Progress};
use nalgebra::DMatrix;

use super::{
    Effort, SvmModel, effort_setters,
    smo::{Problem, solve},
};
use crate::{
    Error,
    classify::{classes, largest},
    data::{checked_points, expect, non_negative, positive, within},
};

/// Support vector classification: one machine for two classes, one against the rest for each of more, or one for every pair
/// ([`SupportVectorClassifier::one_versus_one`]).
///
/// C-classification minimises ½‖f‖² + C Σ wᵢ max(0, 1 − yᵢ f(xᵢ)); ν-classification sets the share of margin errors instead.
/// Decision values are compared across classes as they are; for probabilities see
/// [`KernelClassifier`](crate::KernelClassifier).
///
/// Reference: Fan, Chen, Lin, *Working set selection using second order information for training support vector machines*,
/// JMLR 6 (2005); Schölkopf, Smola, Williamson, Bartlett, *New support vector algorithms*, Neural Computation 12 (2000).
#[derive(Clone, Debug)]
pub struct SupportVectorClassifier<K> {
    kernel: K,
    cost: f64,
    nu: Option<f64>,
    weights: Option<Vec<f64>>,
    class_weights: Vec<(usize, f64)>,
    pairwise: bool,
    effort: Effort,
}

impl<K> SupportVectorClassifier<K> {
    /// With C = 1.
    pub fn new(kernel: K) -> Self {
        Self {
            kernel,
            cost: 1.0,
            nu: None,
            weights: None,
            class_weights: Vec::new(),
            pairwise: false,
            effort: Effort::default(),
        }
    }

    /// Sets C > 0.
    pub fn cost(mut self, c: f64) -> Self {
        self.cost = c;
        self
    }

    /// ν-classification with 0 < ν ≤ 1 in place of C: a bound of the share of margin errors from above, and of support vectors
    /// from below. Weights are not used.
    pub fn nu(mut self, nu: impl Into<Option<f64>>) -> Self {
        self.nu = nu.into();
        self
    }

    /// One factor of C a sample, not negative.
    pub fn weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// Multiplies C for the samples of a class.
    pub fn class_weight(mut self, class: usize, weight: f64) -> Self {
        self.class_weights.push((class, weight));
        self
    }

    /// For more than two classes, a machine for every pair of them, fitted to the samples of these two alone; the class with the most
    /// votes is predicted, of equals the one with the larger sum of decision values. As libsvm does it: smaller problems, more of
    /// them.
    pub fn one_versus_one(mut self, pairwise: bool) -> Self {
        self.pairwise = pairwise;
        self
    }

    effort_setters!();

    /// Fits to points and labels, which may be any integers.
    ///
    /// **Errors.** Fewer than two classes, shapes that disagree, values that are not finite, parameters out of range, ν too large
    /// for the smaller class, [`kernels_core::Error::NotConverged`]. **Complexity.** Between n² and n³ as a rule; memory is the
    /// cache.
    pub fn fit<P>(&self, xs: &P, labels: &[usize]) -> Result<SvcModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        self.fit_with(xs, labels, &mut ())
    }

    /// The same with a report every thousand steps, by which it can be cancelled.
    ///
    /// # Errors
    /// As [`SupportVectorClassifier::fit`]; [`kernels_core::Error::Cancelled`].
    pub fn fit_with<P>(
        &self,
        xs: &P,
        labels: &[usize],
        progress: &mut dyn Progress,
    ) -> Result<SvcModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        checked_points("a support vector machine", &self.kernel, xs, 1)?;
        expect("labels (one a sample)", xs.len(), labels.len())?;
        let classes = classes(labels)?;
        let costs = self.costs(labels)?;
        if self.pairwise && classes.len() > 2 {
            return self.pairs(xs, labels, &costs, classes, progress);
        }
        // For two classes the second is the positive side.
        let sides: &[usize] = if classes.len() == 2 { &classes[1..] } else { &classes };
        let machines = sides
            .iter()
            .map(|class| {
                let y: Vec<f64> = labels.iter().map(|l| if l == class { 1.0 } else { -1.0 }).collect();
                self.machine(xs, &y, &costs, progress)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(SvcModel { machines, classes, pairs: Vec::new() })
    }

    /// A machine for every pair of classes, positive for the second.
    fn pairs<P>(
        &self,
        xs: &P,
        labels: &[usize],
        costs: &[f64],
        classes: Vec<usize>,
        progress: &mut dyn Progress,
    ) -> Result<SvcModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        let count = classes.len();
        let pairs: Vec<(usize, usize)> =
            (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
        let machines = pairs
            .iter()
            .map(|&(a, b)| {
                let of = |i: &usize| labels[*i] == classes[a] || labels[*i] == classes[b];
                let rows: Vec<usize> = (0..labels.len()).filter(of).collect();
                let y: Vec<f64> =
                    rows.iter().map(|&i| if labels[i] == classes[b] { 1.0 } else { -1.0 }).collect();
                let costs: Vec<f64> = rows.iter().map(|&i| costs[i]).collect();
                Ok(self.machine(&xs.subset(&rows)?, &y, &costs, progress)?.among(&rows))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(SvcModel { machines, classes, pairs })
    }

    fn costs(&self, labels: &[usize]) -> Result<Vec<f64>, Error> {
        positive("cost", self.cost)?;
        let mut costs = vec![self.cost; labels.len()];
        if let Some(weights) = &self.weights {
            expect("sample weights (one a sample)", labels.len(), weights.len())?;
            for (cost, &weight) in costs.iter_mut().zip(weights) {
                *cost *= non_negative("weight", weight)?;
            }
        }
        for &(class, weight) in &self.class_weights {
            non_negative("class_weight", weight)?;
            costs.iter_mut().zip(labels).filter(|(_, l)| **l == class).for_each(|(c, _)| *c *= weight);
        }
        Ok(costs)
    }

    fn machine<P>(
        &self,
        xs: &P,
        y: &[f64],
        costs: &[f64],
        progress: &mut dyn Progress,
    ) -> Result<SvmModel<P, K>, Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
    {
        let n = y.len();
        let effort = self.effort.checked()?;
        let bounds = |costs: &[f64]| -> (Vec<f64>, Vec<f64>) {
            y.iter().zip(costs).map(|(&y, &c)| if y > 0.0 { (0.0, c) } else { (-c, 0.0) }).unzip()
        };
        let Some(nu) = self.nu else {
            let (lower, upper) = bounds(costs);
            // The linear term −Σa is −yᵀβ.
            let linear = y.iter().map(|y| -y).collect();
            let problem = Problem { layers: 1, linear, lower, upper, start: vec![0.0; n], group: vec![0; n] };
            let solution = solve(&self.kernel, xs, &problem, effort, progress)?;
            return SvmModel::new(
                &self.kernel,
                xs,
                &solution.beta,
                solution.level[0],
                &solution,
                solution.objective,
            );
        };
        within("nu", nu, f64::MIN_POSITIVE, 1.0, "above 0 and at most 1")?;
        // Σa = νn, half in each class, a ≤ 1; scaled to the margin afterwards.
        let (lower, upper) = bounds(&vec![1.0; n]);
        let mut left = [0.5 * nu * n as f64; 2];
        let mut start = vec![0.0; n];
        for (i, &y) in y.iter().enumerate() {
            let side = usize::from(y > 0.0);
            let a = left[side].min(1.0);
            start[i] = y * a;
            left[side] -= a;
        }
        if left[0].max(left[1]) > 1e-9 {
            let smaller = y.iter().filter(|y| **y > 0.0).count().min(y.iter().filter(|y| **y < 0.0).count());
            let expected = "at most twice the share of the smaller class";
            let value = nu.max(2.0 * smaller as f64 / n as f64);
            return Err(kernels_core::Error::Parameter { name: "nu".into(), value, expected }.into());
        }
        let group = y.iter().map(|y| u8::from(*y > 0.0)).collect();
        let problem = Problem { layers: 1, linear: vec![0.0; n], lower, upper, start, group };
        let solution = solve(&self.kernel, xs, &problem, effort, progress)?;
        // −G of free variables is b − yρ.
        let [negative, positive] = solution.level;
        let margin = (0.5 * (positive - negative)).abs().max(f64::MIN_POSITIVE);
        let beta: Vec<f64> = solution.beta.iter().map(|b| b / margin).collect();
        let intercept = 0.5 * (positive + negative) / margin;
        SvmModel::new(&self.kernel, xs, &beta, intercept, &solution, solution.objective / (margin * margin))
    }
}

/// A fitted classifier.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SvcModel<P, K> {
    machines: Vec<SvmModel<P, K>>,
    classes: Vec<usize>,
    /// Places of the classes of every machine; none when each is one against the rest.
    pairs: Vec<(usize, usize)>,
}

impl<P, K> SvcModel<P, K> {
    /// The labels, ascending.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// The machine of two classes, positive for the second; or one a class against the rest; or one a pair of classes, in the order
    /// (0, 1), (0, 2), …, (1, 2), …, positive for the second of the pair.
    pub fn machines(&self) -> &[SvmModel<P, K>] {
        &self.machines
    }
}

impl<P: Points, K: Kernel<P>> SvcModel<P, K> {
    /// Decision values, one column a machine.
    ///
    /// # Errors
    /// As [`SvmModel::decision`].
    pub fn decision(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        let mut out = DMatrix::zeros(xs.len(), self.machines.len());
        for (machine, mut column) in self.machines.iter().zip(out.column_iter_mut()) {
            column.copy_from_slice(&machine.decision(xs)?);
        }
        Ok(out)
    }

    /// Scores, one column a class, the largest of which wins: decision values against the rest, ± that of the only machine of two
    /// classes, or votes of pairs.
    ///
    /// # Errors
    /// As [`SvmModel::decision`].
    pub fn scores(&self, xs: &P) -> Result<DMatrix<f64>, Error> {
        let decision = self.decision(xs)?;
        if !self.pairs.is_empty() {
            let mut scores = DMatrix::zeros(xs.len(), self.classes.len());
            for i in 0..xs.len() {
                for (k, &(a, b)) in self.pairs.iter().enumerate() {
                    // A vote weighs more than any sum of decision values, which are squashed below 1 / (number of machines).
                    let value = decision[(i, k)];
                    let share = value / (3.0 * (value.abs() + 1.0) * self.pairs.len() as f64);
                    scores[(i, if value > 0.0 { b } else { a })] += 1.0;
                    scores[(i, a)] -= share;
                    scores[(i, b)] += share;
                }
            }
            return Ok(scores);
        }
        if self.machines.len() > 1 {
            return Ok(decision);
        }
        Ok(DMatrix::from_fn(xs.len(), 2, |i, k| if k == 1 { decision[(i, 0)] } else { -decision[(i, 0)] }))
    }

    /// The label of the largest decision value, or of the most votes.
    ///
    /// # Errors
    /// As [`SvmModel::decision`].
    pub fn predict(&self, xs: &P) -> Result<Vec<usize>, Error> {
        let scores = self.scores(xs)?;
        Ok(scores.row_iter().map(|row| self.classes[largest(row.iter())]).collect())
    }
}
