//! What a fit will cost before it runs, and the choice of a method by it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use kernels_core::{
    Error as CoreError, Kernel, LazyGram, PivotedCholesky, Points, PositiveDefinite, Progress, Real, Shifted,
};
use nalgebra::DVector;

use crate::{
    Askotch, BlockSource, ConjugateGradients, EigenPro, Error, Falkon, InMemory, Krr, KrrModel,
    LowRankPreconditioner, SolveReport, Targets, data::checked, falkon::is_formed, uniform_landmarks,
};

/// A way to fit a kernel regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Cholesky factorization of the whole matrix.
    Exact,
    /// Conjugate gradients with a pivoted Cholesky preconditioner; exact up to its tolerance.
    ConjugateGradients,
    /// Sketch-and-project on blocks; exact up to its tolerance.
    Askotch,
    /// Falkon on this many centres.
    Falkon {
        /// Number of centres.
        centers: usize,
    },
    /// EigenPro 4 on this many centres, 10 epochs.
    EigenPro {
        /// Number of centres.
        centers: usize,
    },
    /// A support vector machine by SMO with a cache of rows.
    Svm,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact Cholesky"),
            Self::ConjugateGradients => f.write_str("conjugate gradients"),
            Self::Askotch => f.write_str("ASkotch"),
            Self::Falkon { centers } => write!(f, "Falkon on {centers} centres"),
            Self::EigenPro { centers } => write!(f, "EigenPro on {centers} centres"),
            Self::Svm => f.write_str("a support vector machine"),
        }
    }
}

/// Estimated cost of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The method.
    pub method: Method,
    /// Peak bytes beside the data.
    pub bytes: f64,
    /// Floating-point operations.
    pub flops: f64,
    /// Why this method, in words.
    pub reason: String,
}

/// Operations of a kernel value's profile, beside the 2d of its distance.
const PROFILE: f64 = 20.0;

/// Estimated cost of fitting n samples of d features and `outputs` outputs in f64: never allocates, so that 200 000 samples give
/// a number and no failure.
///
/// Iterations are assumed: 100 of conjugate gradients, 20 of Falkon where it does not form the normal matrix, 50 passes of ASkotch, 10 epochs of EigenPro, 5n updates of SMO.
///
/// ```
/// use kernels_solvers::{Method, plan};
/// let exact = plan(200_000, 10, 1, Method::Exact);
/// assert!(exact.bytes > 300e9);
/// assert!(plan(200_000, 10, 1, Method::Falkon { centers: 2000 }).bytes < 1e9);
/// ```
pub fn plan(n: usize, d: usize, outputs: usize, method: Method) -> Plan {
    let (n, d, t) = (n as f64, d as f64, outputs.max(1) as f64);
    let value = 2.0 * d + PROFILE;
    let (bytes, flops) = match method {
        Method::Exact => {
            // The matrix, and its factor.
            (16.0 * n * n + 24.0 * n * t, n * n * value / 2.0 + n * n * n / 3.0 + 2.0 * n * n * t)
        }
        Method::ConjugateGradients => {
            let rank = rank(n as usize) as f64;
            (
                8.0 * n * (2.0 * rank + 22.0 * t),
                100.0 * n * n * (value / 2.0 + 2.0 * t) + 4.0 * n * rank * rank,
            )
        }
        Method::Askotch => {
            let b = (n / 100.0).max(32.0);
            (8.0 * (2.0 * b * b + 8.0 * n * t), 50.0 * n * n * (2.0 * value + 2.0 * t))
        }
        Method::Falkon { centers } => {
            let m = (centers as f64).min(n);
            let once = is_formed(m as usize, d as usize, outputs, 20);
            let passes = if once { n * m * (value + 2.0 * m) } else { 22.0 * n * m * (value + 4.0 * t) };
            (8.0 * (8.0 * m * m + 24.0 * m * t + n * t) + WORKING, passes + 2.0 * m * m * m)
        }
        Method::EigenPro { centers } => {
            let (p, s) = ((centers as f64).min(n), n.min(2000.0));
            let epochs = 10.0 * n * (2.0 * p * (value + 2.0 * t) + s * value + p * value / 2.0);
            (8.0 * (4.0 * s * s + 6.0 * p * t + s * p + n * t) + WORKING, epochs + 9.0 * s * s * s)
        }
        Method::Svm => (8.0 * 10.0 * n + 200e6_f64.min(8.0 * n * n), 5.0 * n * n * value),
    };
    Plan { method, bytes, flops, reason: described(bytes, flops) }
}

fn described(bytes: f64, flops: f64) -> String {
    format!("{bytes:.2e} bytes and {flops:.2e} operations")
}

/// Working memory of lazy products.
const WORKING: f64 = (64 << 20) as f64;

/// Rank of the preconditioner: 2√n, within bounds.
fn rank(n: usize) -> usize {
    (2.0 * (n as f64).sqrt()).clamp(10.0, 1000.0) as usize
}

/// A solver with the settings that are given: tolerance, most iterations under the solver's own name for them, checkpoint.
macro_rules! configured {
    ($auto:expr, $solver:expr, $iterations:ident) => {{
        let mut solver = $solver;
        if let Some(tolerance) = $auto.tolerance {
            solver = solver.tolerance(tolerance);
        }
        if let Some(most) = $auto.max_iterations {
            solver = solver.$iterations(most);
        }
        if let Some((path, every)) = &$auto.checkpoint {
            solver = solver.checkpoint(path, *every);
        }
        solver
    }};
}

/// Kernel ridge regression by whatever method fits a memory and a time budget, most exact first; it says why before it runs.
///
/// ```
/// use kernels_core::{Rbf, Rows};
/// use kernels_solvers::{AutoRegression, Method};
/// let auto = AutoRegression::new(Rbf::new(1.0)?).ridge(0.1).memory(1e9).seconds(60.0);
/// assert_eq!(auto.plan(1_000, 5, 1)?.method, Method::Exact);
/// let large = auto.plan(3_000_000, 10, 1)?;
/// assert!(matches!(large.method, Method::Falkon { .. }));
/// println!("{}", large.reason);
/// # Ok::<(), kernels_solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AutoRegression<K> {
    kernel: K,
    ridge: f64,
    memory: f64,
    seconds: f64,
    rate: f64,
    seed: u64,
    streamed: bool,
    tolerance: Option<f64>,
    max_iterations: Option<usize>,
    rank: Option<usize>,
    checkpoint: Option<(PathBuf, usize)>,
}

impl<K> AutoRegression<K> {
    /// α = 1, 2 GB, 600 seconds at 10¹⁰ operations a second.
    pub fn new(kernel: K) -> Self {
        Self {
            kernel,
            ridge: 1.0,
            memory: 2e9,
            seconds: 600.0,
            rate: 1e10,
            seed: 0,
            streamed: false,
            tolerance: None,
            max_iterations: None,
            rank: None,
            checkpoint: None,
        }
    }

    /// Relative residual at which an iterative method ends; that method's own default when not set.
    pub fn tolerance(mut self, tolerance: impl Into<Option<f64>>) -> Self {
        self.tolerance = tolerance.into();
        self
    }

    /// Most iterations (of conjugate gradients and Falkon), passes (of ASkotch) or epochs (of EigenPro); the method's own
    /// default when not set. Plans do not know of it.
    pub fn max_iterations(mut self, iterations: impl Into<Option<usize>>) -> Self {
        self.max_iterations = iterations.into();
        self
    }

    /// Columns of the preconditioner of conjugate gradients (2√n, from 10 to 1000, when not set), and rank of that of a block of
    /// ASkotch (100).
    pub fn rank(mut self, rank: impl Into<Option<usize>>) -> Self {
        self.rank = rank.into();
        self
    }

    /// Keeps the state of an iterative method in a file, as [`Falkon::checkpoint`] does, and goes on from it when it is there.
    pub fn checkpoint(mut self, path: impl AsRef<Path>, every: usize) -> Self {
        self.checkpoint = Some((path.as_ref().to_owned(), every));
        self
    }

    /// Sets α > 0 of (K + αI) c = y; Falkon's λ is α / n.
    pub fn ridge(mut self, alpha: f64) -> Self {
        self.ridge = alpha;
        self
    }

    /// Bytes that the fit may take beside the data.
    pub fn memory(mut self, bytes: f64) -> Self {
        self.memory = bytes;
        self
    }

    /// Seconds that the fit should take.
    pub fn seconds(mut self, seconds: f64) -> Self {
        self.seconds = seconds;
        self
    }

    /// Operations a second of this machine, on all cores.
    pub fn rate(mut self, flops_per_second: f64) -> Self {
        self.rate = flops_per_second;
        self
    }

    /// Seed of what is random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether the data are read from a [`BlockSource`](crate::BlockSource): then methods that need all points at hand are not
    /// considered, and the method found is for [`Falkon::fit_source`].
    pub fn streamed(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }

    /// Working memory of kernel products.
    fn budget(&self) -> usize {
        (self.memory / 4.0).clamp(65536.0, WORKING) as usize
    }

    /// The cost of a given method, with working memory as this memory allows.
    pub fn cost(&self, n: usize, d: usize, outputs: usize, method: Method) -> Plan {
        let mut p = plan(n, d, outputs, method);
        if matches!(method, Method::Falkon { .. } | Method::EigenPro { .. }) {
            p.bytes += self.budget() as f64 - WORKING;
            p.reason = described(p.bytes, p.flops);
        }
        p
    }

    /// The method that [`AutoRegression::fit`] will take, with its cost and the reason. Allocates nothing.
    ///
    /// # Errors
    /// [`CoreError::Memory`] when nothing fits: Falkon on 50 centres is the least.
    pub fn plan(&self, n: usize, d: usize, outputs: usize) -> Result<Plan, Error> {
        let limit = self.seconds * self.rate;
        let mut refused = Vec::new();
        let whole = [Method::Exact, Method::ConjugateGradients, Method::Askotch];
        for method in whole.into_iter().filter(|_| !self.streamed) {
            let p = self.cost(n, d, outputs, method);
            if let Some(why) = self.excess(&p, limit) {
                refused.push(format!("{method} would need {why}"));
            } else {
                return Ok(Self::reasoned(p, &refused));
            }
        }
        if self.streamed {
            refused.push("the data are read from a file in every pass".to_owned());
        }
        let mut centers = n.min(20_000);
        loop {
            let p = self.cost(n, d, outputs, Method::Falkon { centers });
            let fits = p.bytes <= self.memory;
            if fits && (p.flops <= limit || centers <= 50) {
                return Ok(Self::reasoned(p, &refused));
            }
            if centers <= 50 {
                let (needed, available) = (p.bytes as usize, self.memory as usize);
                return Err(CoreError::Memory { what: "the smallest Falkon fit", needed, available }.into());
            }
            centers = (centers * 4 / 5).max(50);
        }
    }

    fn excess(&self, p: &Plan, limit: f64) -> Option<String> {
        if p.bytes > self.memory {
            Some(format!("{:.2} GB of {:.2}", p.bytes / 1e9, self.memory / 1e9))
        } else if p.flops > limit {
            Some(format!("{:.0} s of {:.0}", p.flops / self.rate, self.seconds))
        } else {
            None
        }
    }

    fn reasoned(mut p: Plan, refused: &[String]) -> Plan {
        let mut reason = format!("{}: {}", p.method, p.reason);
        if !refused.is_empty() {
            reason = format!("{reason}; {}", refused.join("; "));
        }
        p.reason = reason;
        p
    }

    /// Fits by [`AutoRegression::plan`]; `features` is d for the cost of a kernel value (0 is fine for other points).
    ///
    /// **Errors.** Those of the method taken. The exact method has no report of iterations: its residual is 0.
    pub fn fit<P, Y>(
        &self,
        xs: &P,
        y: &Y,
        features: usize,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<P, K>, SolveReport, Plan), Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let targets = checked("regression", &self.kernel, xs, y)?;
        let plan = self.plan(xs.len(), features, targets.ncols())?;
        let (model, report) = self.fit_by(plan.method, xs, &targets, progress)?;
        Ok((model, report, plan))
    }

    /// Fits by a given method, within the memory for kernel products that the budget leaves. EigenPro has no ridge: it stops
    /// early instead.
    ///
    /// # Errors
    /// Those of the method; [`Error::Unsupported`] for a support vector machine, which is no kernel ridge regression.
    pub fn fit_by<P, Y>(
        &self,
        method: Method,
        xs: &P,
        y: &Y,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<P, K>, SolveReport), Error>
    where
        P: Points + Clone,
        K: Kernel<P> + PositiveDefinite + Clone,
        Y: Targets + ?Sized,
    {
        let targets = checked("regression", &self.kernel, xs, y)?;
        let (kernel, n) = (self.kernel.clone(), xs.len());
        match method {
            Method::Exact => {
                let model = Krr::new(kernel).ridge(self.ridge).fit(xs, &targets)?;
                Ok((model, SolveReport::direct()))
            }
            Method::ConjugateGradients => {
                let k = LazyGram::new(&self.kernel, xs, self.budget())?;
                let columns = self.rank.unwrap_or_else(|| rank(n));
                let low = PivotedCholesky::new(columns).accelerated(self.seed, 64).run(&k, progress)?;
                let preconditioner = LowRankPreconditioner::new(&low, self.ridge)?;
                let operator = Shifted::new(k, P::Scalar::of(self.ridge));
                let solver = configured!(self, ConjugateGradients::new(), max_iterations);
                let (c, report) = solver.solve(&operator, &targets, &preconditioner, None, progress)?;
                let outputs = c.ncols();
                Ok((KrrModel::new(kernel, xs.clone(), c, DVector::zeros(outputs)), report))
            }
            Method::Askotch => {
                let fit = Askotch::new(kernel).ridge(self.ridge).seed(self.seed).budget(self.budget());
                let fit = if let Some(rank) = self.rank { fit.rank(rank) } else { fit };
                configured!(self, fit, max_passes).fit(xs, &targets, progress)
            }
            Method::Falkon { .. } | Method::EigenPro { .. } => {
                let mut source = InMemory::new(xs.clone(), &targets)?;
                self.fit_source_by(method, &mut source, progress)
            }
            Method::Svm => Err(Error::Unsupported {
                what: "kernel ridge regression by a support vector machine",
                reason: "its loss is another: use svm::SupportVectorRegression",
            }),
        }
    }

    /// The same for data that are read block by block, by Falkon or EigenPro on centres that are drawn uniformly.
    ///
    /// # Errors
    /// Those of the method; [`Error::Unsupported`] for a method that needs all points at hand.
    ///
    /// ```
    /// use kernels_core::{Rbf, Rows};
    /// use kernels_solvers::{AutoRegression, InMemory};
    /// let xs = Rows::from_row_major((0..400).map(|i| f64::from(i) / 100.0).collect(), 400, 1)?;
    /// let y: Vec<f64> = (0..400).map(|i| (f64::from(i) / 100.0).sin()).collect();
    /// let auto = AutoRegression::new(Rbf::new(0.7)?).ridge(1e-4).streamed(true);
    /// let method = auto.plan(400, 1, 1)?.method;
    /// let (model, _) = auto.fit_source_by(method, &mut InMemory::new(xs.clone(), &y)?, &mut ())?;
    /// assert!((model.predict(&xs)?[(150, 0)] - 1.5_f64.sin()).abs() < 1e-3);
    /// # Ok::<(), kernels_solvers::Error>(())
    /// ```
    pub fn fit_source_by<S>(
        &self,
        method: Method,
        source: &mut S,
        progress: &mut dyn Progress,
    ) -> Result<(KrrModel<S::Points, K>, SolveReport), Error>
    where
        S: BlockSource + ?Sized,
        S::Points: Clone,
        K: Kernel<S::Points> + PositiveDefinite + Clone,
    {
        let (kernel, n) = (self.kernel.clone(), source.len());
        match method {
            Method::Falkon { centers } => {
                let fit = Falkon::new(kernel, centers)
                    .lambda(self.ridge / n.max(1) as f64)
                    .seed(self.seed)
                    .budget(self.budget());
                configured!(self, fit, max_iterations).fit_source(source, progress)
            }
            Method::EigenPro { centers } => {
                let chosen = source.select(&uniform_landmarks(n, centers, self.seed))?;
                let fit = EigenPro::new(kernel).seed(self.seed).budget(self.budget());
                configured!(self, fit, epochs).fit_centers(source, &chosen, progress)
            }
            _ => Err(Error::Unsupported {
                what: "reading data block by block for this method",
                reason: "it needs all points at hand: use Falkon or EigenPro, or AutoRegression::fit_by",
            }),
        }
    }
}
