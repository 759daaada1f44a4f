//! How a kernel model is fitted: the kernel, the ridge and the solver, which `auto` chooses by memory and time.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::Rows;
use kernels_solvers::{
    AutoRegression, BlockSource, Calibration, Criterion, Error as SolverError, Falkon, GaussianProcess,
    InMemory, KernelClassifier, Krr, KrrModel, Method, Plan, ProbabilityScale, RidgePath, SolveReport, svm,
};
use nalgebra::DMatrix;

use super::{Run, human};
use crate::{
    data::{Streamed, encode::Target},
    error::Error,
    input::Input,
    model::Solver,
    vocabulary::RowKernel,
};

/// Which solver is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// The most exact that fits --memory and --seconds; it says which and why before it runs.
    #[default]
    Auto,
    /// Kernel ridge regression by a factorization of the whole matrix.
    #[value(alias = "krr")]
    Exact,
    /// Gaussian process: the ridge is its noise variance, predictions have variances.
    Gp,
    /// Conjugate gradients with a low-rank preconditioner: exact up to a tolerance, n² kernel values an iteration.
    Cg,
    /// Sketch-and-project on blocks: exact up to a tolerance, in memory of a few vectors.
    Askotch,
    /// Ridge regression on --centers points by preconditioned conjugate gradients; reads data from files larger than memory.
    Falkon,
    /// Preconditioned stochastic gradients on --centers points; reads data from files larger than memory.
    Eigenpro,
    /// Support vector machine.
    Svm,
}

/// Options of a fit.
#[derive(Clone, Debug, Args)]
pub(crate) struct Solving {
    /// Kernel expression [default: rbf with the median distance as length scale].
    #[arg(long)]
    kernel: Option<String>,
    /// Ridge, a number above 0, or `auto`: of least leave-one-out error (on 2000 rows where all are too many).
    #[arg(long, default_value = "auto")]
    ridge: String,
    /// Solver.
    #[arg(long, value_enum, default_value_t)]
    solver: Choice,
    /// Seconds that the fit should take: what `auto` plans for, at 10 thousand million operations a second.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
    /// Centres of Falkon and EigenPro [default: as many as memory and time allow, at most 20000].
    #[arg(long)]
    centers: Option<usize>,
    /// Most passes of EigenPro over the data.
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// Relative residual at which an iterative solver ends [default: 1e-8 for cg, 1e-4 for askotch, 1e-7 for falkon, 1e-6 for eigenpro].
    #[arg(long)]
    tolerance: Option<f64>,
    /// Most iterations of cg and falkon, passes of askotch [default: 1000, 20, 200].
    #[arg(long)]
    max_iterations: Option<usize>,
    /// Columns of the preconditioner of cg, rank of that of a block of askotch [default: 2 sqrt(n) up to 1000, 100].
    #[arg(long)]
    rank: Option<usize>,
    /// Probabilities of classes for `predict --proba`: exact models have them at once, Falkon's come from leave-one-out in closed form,
    /// those of the other solvers from five fits more.
    #[arg(long)]
    proba: bool,
    /// Penalty C of a support vector machine's errors.
    #[arg(long, default_value_t = 1.0)]
    cost: f64,
    /// Half-width of the tube of support vector regression, in deviations of the target.
    #[arg(long, default_value_t = 0.1)]
    epsilon: f64,
}

/// A fit that has been planned.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The same in words.
    pub(crate) text: String,
    /// Whether by a Gaussian process, which costs what the exact method costs.
    gp: bool,
}

/// A fitted model and how it went.
pub(crate) struct Fitted<P: Input = Rows<f64>> {
    pub(crate) solver: Solver<P>,
    pub(crate) ridge: Option<f64>,
    pub(crate) report: Option<SolveReport>,
}

impl<P: Input> Fitted<P> {
    /// With what its scores mean, from scores of rows that the scorer had not seen.
    fn calibrated(self, scores: &DMatrix<f64>, labels: &[usize]) -> Result<Self, Error> {
        let scale = ProbabilityScale::fit(scores, labels, Calibration::Platt)?;
        Ok(Self { solver: Solver::Calibrated(Box::new(self.solver), scale), ..self })
    }
}

/// Parts of the rows, each of which is left out once for probabilities.
const FOLDS: usize = 5;

/// Rows on which the ridge is chosen where all are too many.
const SEARCHED: usize = 2000;

impl Solving {
    /// The ridge; `None` is to be chosen.
    fn given_ridge(&self) -> Result<Option<f64>, Error> {
        match self.ridge.parse::<f64>() {
            _ if self.ridge == "auto" => Ok(None),
            Ok(ridge) if ridge.is_finite() && ridge > 0.0 => Ok(Some(ridge)),
            _ => Err(Error::Choice(format!(
                "--ridge: expected a number above 0 or `auto`, got `{}`",
                self.ridge
            ))),
        }
    }

    /// Refuses what is wrong before any data are read.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.given_ridge()?;
        let positive = [("--seconds", self.seconds), ("--cost", self.cost), ("--epsilon", self.epsilon)];
        for (name, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::Choice(format!("{name}: expected a number above 0, got {value}")));
            }
        }
        let counts =
            [("--centers", self.centers), ("--max-iterations", self.max_iterations), ("--rank", self.rank)];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == Some(0)) {
            return Err(Error::Choice(format!("{name}: expected 1 or more, got 0")));
        }
        if let Some(tolerance) = self.tolerance.filter(|t| !(t.is_finite() && *t >= 0.0)) {
            return Err(Error::Choice(format!(
                "--tolerance: expected a number, 0 or above, got {tolerance}"
            )));
        }
        Ok(())
    }

    /// The kernel's expression, or the default for these points.
    pub(crate) fn kernel<P: Input>(&self, xs: &P) -> Result<P::Kernel, Error> {
        P::kernel(self.kernel.as_deref(), xs)
    }

    fn budgeted<K>(&self, run: &Run, kernel: K, streamed: bool) -> AutoRegression<K> {
        AutoRegression::new(kernel)
            .memory(run.shared.memory as f64)
            .seconds(self.seconds)
            .seed(run.shared.seed)
            .streamed(streamed)
            .tolerance(self.tolerance)
            .max_iterations(self.max_iterations)
            .rank(self.rank)
    }

    /// The budgeted fit with this ridge, kept in this file.
    fn resumable<K: Clone>(
        &self,
        run: &Run,
        kernel: &K,
        ridge: f64,
        checkpoint: Option<&PathBuf>,
    ) -> AutoRegression<K> {
        let auto = self.budgeted(run, kernel.clone(), false).ridge(ridge);
        match checkpoint {
            Some(path) => auto.checkpoint(path, 1),
            None => auto,
        }
    }

    /// Which method, at what cost and why: nothing is allocated.
    pub(crate) fn plan(
        &self,
        run: &Run,
        n: usize,
        d: usize,
        outputs: usize,
        streamed: bool,
    ) -> Result<Planned, Error> {
        let auto = self.budgeted(run, (), streamed);
        let refused = |error: SolverError| {
            let memory = human(run.shared.memory);
            Error::Choice(format!(
                "no method fits {n} rows: {error}; --memory is {memory}: raise it, or use fewer rows"
            ))
        };
        let centers = || -> Result<usize, Error> {
            match self.centers {
                Some(centers) => Ok(centers.min(n)),
                None => match auto.clone().streamed(true).plan(n, d, outputs).map_err(refused)?.method {
                    Method::Falkon { centers } => Ok(centers),
                    _ => Ok(n.min(1000)),
                },
            }
        };
        let method = match self.solver {
            Choice::Auto => {
                let mut plan = auto.plan(n, d, outputs).map_err(refused)?;
                if let (Method::Falkon { .. }, Some(given)) = (plan.method, self.centers) {
                    plan = auto.cost(n, d, outputs, Method::Falkon { centers: given.min(n) });
                    plan.reason = format!("{}, as asked for: {}", plan.method, plan.reason);
                }
                let text = format!("auto chose {}", plan.reason);
                return Ok(Planned { plan, text, gp: false });
            }
            Choice::Exact | Choice::Gp => Method::Exact,
            Choice::Cg => Method::ConjugateGradients,
            Choice::Askotch => Method::Askotch,
            Choice::Falkon => Method::Falkon { centers: centers()? },
            Choice::Eigenpro => Method::EigenPro { centers: centers()? },
            Choice::Svm => Method::Svm,
        };
        let plan = auto.cost(n, d, outputs, method);
        if streamed && !matches!(method, Method::Falkon { .. } | Method::EigenPro { .. }) {
            return Err(Error::Choice(format!(
                "{method} needs all rows in memory, but they are read from the file block by block; use --solver falkon or eigenpro, or raise --memory (it is {})",
                human(run.shared.memory)
            )));
        }
        let text = format!("{method}: {} (as asked for)", plan.reason);
        Ok(Planned { plan, text, gp: self.solver == Choice::Gp })
    }

    /// Fits data in memory as planned, with probabilities if they are asked for.
    pub(crate) fn fit<P: Input>(
        &self,
        run: &Run,
        planned: &Planned,
        kernel: &P::Kernel,
        xs: &P,
        target: &Target,
        checkpoint: Option<&PathBuf>,
    ) -> Result<Fitted<P>, Error> {
        let wanted = self.classes_for_probabilities(target)?;
        let fitted = self.fit_scores(run, planned, kernel, xs, target, checkpoint)?;
        match wanted.filter(|_| !matches!(fitted.solver, Solver::Classifier(_))) {
            None => Ok(fitted),
            Some(labels) => {
                let scores = self.unseen_scores(run, planned, kernel, xs, target, &fitted)?;
                fitted.calibrated(&scores, labels)
            }
        }
    }

    /// The classes of all rows if probabilities are asked for.
    fn classes_for_probabilities<'a>(&self, target: &'a Target) -> Result<Option<&'a [usize]>, Error> {
        match target {
            _ if !self.proba => Ok(None),
            Target::Classes(labels, _) => Ok(Some(labels)),
            Target::Numbers(_) => Err(Error::Choice(
                "--proba is for classes, but the target is a number (see --task)".to_owned(),
            )),
        }
    }

    /// What models that have not seen a row say of it: in closed form for regressions on centres, by five folds with equal shares of
    /// the classes for the others.
    fn unseen_scores<P: Input>(
        &self,
        run: &Run,
        planned: &Planned,
        kernel: &P::Kernel,
        xs: &P,
        target: &Target,
        fitted: &Fitted<P>,
    ) -> Result<DMatrix<f64>, Error> {
        let (codes, means) = centred(target);
        if let (Method::Falkon { centers }, Some(ridge)) = (planned.plan.method, fitted.ridge) {
            let mut source = InMemory::new(xs.clone(), &codes)?;
            return self.left_out(run, kernel, (centers, ridge), &mut source, codes, &means);
        }
        let Target::Classes(labels, names) = target else { return Ok(codes) };
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by_key(|&i| labels[i]);
        let ridge = fitted.ridge.map_or(self.ridge.clone(), |ridge| format!("{ridge:e}"));
        let plain = Self { proba: false, ridge, ..self.clone() };
        let mut scores = DMatrix::zeros(labels.len(), names.len());
        let parts = FOLDS.min(labels.len());
        for part in 0..parts {
            let pick = |wanted: bool| -> Vec<usize> {
                (0..order.len()).filter(|k| (k % parts == part) == wanted).map(|k| order[k]).collect()
            };
            let (train, test) = (pick(false), pick(true));
            let of_train = Target::Classes(train.iter().map(|&i| labels[i]).collect(), names.clone());
            let model = plain.fit(run, planned, kernel, &xs.subset(&train)?, &of_train, None)?;
            if let Some(found) = model.solver.scores(&xs.subset(&test)?, names.len())? {
                for (row, &i) in found.row_iter().zip(&test) {
                    scores.set_row(i, &row);
                }
            }
        }
        Ok(scores)
    }

    /// Leave-one-out predictions of a regression on centres.
    fn left_out<S: BlockSource<Points: Input>>(
        &self,
        run: &Run,
        kernel: &<S::Points as Input>::Kernel,
        (centers, ridge): (usize, f64),
        source: &mut S,
        codes: DMatrix<f64>,
        means: &[f64],
    ) -> Result<DMatrix<f64>, Error> {
        let fit = Falkon::new(kernel.clone(), centers)
            .lambda(ridge / source.len() as f64)
            .seed(run.shared.seed)
            .budget((run.shared.memory / 4).clamp(65536, 64 << 20));
        let mut scores = codes - fit.scores(source)?.residuals;
        for (mut column, mean) in scores.column_iter_mut().zip(means) {
            column.add_scalar_mut(*mean);
        }
        Ok(scores)
    }

    fn fit_scores<P: Input>(
        &self,
        run: &Run,
        planned: &Planned,
        kernel: &P::Kernel,
        xs: &P,
        target: &Target,
        checkpoint: Option<&PathBuf>,
    ) -> Result<Fitted<P>, Error> {
        let given = self.given_ridge()?;
        let n = xs.len();
        let direct = |(solver, ridge)| Fitted { solver, ridge: Some(ridge), report: None };
        if planned.gp {
            let Target::Numbers(y) = target else {
                return Err(Error::Choice(
                    "--solver gp fits regressions; for classes use --solver exact".to_owned(),
                ));
            };
            run.require_memory(n, if given.is_some() { 3 } else { 5 }, "fitting")?;
            let gp = GaussianProcess::new(kernel.clone()).noise(given.unwrap_or(1e-2));
            // With a given ridge nothing is left to choose; otherwise the noise alone.
            let gp = if given.is_some() { gp.objective(None) } else { gp.fit_kernel(false) };
            let model = gp.fit(xs, y)?;
            let noise = model.noise();
            return Ok(direct((Solver::Gp(Box::new(model)), noise)));
        }
        match planned.plan.method {
            Method::Svm => return self.machine(run, kernel, xs, target),
            Method::Exact if self.solver == Choice::Exact => {
                run.require_memory(n, if given.is_some() { 3 } else { 5 }, "fitting")?;
                return Ok(direct(fit_target(kernel, given, xs, target)?));
            }
            // The ridge of all rows and probabilities need the inverse as well.
            Method::Exact if n.saturating_mul(n).saturating_mul(40) <= run.shared.memory => {
                return Ok(direct(fit_target(kernel, given, xs, target)?));
            }
            _ => {}
        }
        let (codes, means) = centred(target);
        let ridge = match given {
            Some(ridge) => ridge,
            None if matches!(planned.plan.method, Method::EigenPro { .. }) => 0.0,
            None => {
                let rows = spread(n, SEARCHED);
                best_ridge(kernel, &xs.subset(&rows)?, &codes.select_rows(&rows))?
            }
        };
        let method = planned.plan.method;
        let auto = self.with_epochs(self.resumable(run, kernel, ridge, checkpoint), method);
        let (model, report) = auto.fit_by(method, xs, &codes, &mut run.progress("fitting"))?;
        fitted(model, report, &means, target, (!matches!(method, Method::EigenPro { .. })).then_some(ridge))
    }

    /// Fits data that are read from a file in every pass.
    pub(crate) fn fit_streamed(
        &self,
        run: &Run,
        planned: &Planned,
        kernel: &RowKernel,
        data: &mut Streamed,
        checkpoint: Option<&PathBuf>,
    ) -> Result<Fitted, Error> {
        let (codes, means) = centred(&data.target);
        let method = planned.plan.method;
        let labels = self.classes_for_probabilities(&data.target)?.map(<[usize]>::to_vec);
        if labels.is_some() && matches!(method, Method::EigenPro { .. }) {
            let message = "--proba for rows that are read from the file is for --solver falkon; EigenPro's come from further fits on rows in memory: raise --memory";
            return Err(Error::Choice(message.to_owned()));
        }
        let ridge = match self.given_ridge()? {
            Some(ridge) => ridge,
            None if matches!(method, Method::EigenPro { .. }) => 0.0,
            None => {
                let rows = spread(codes.nrows(), SEARCHED);
                best_ridge(kernel, &data.points(&rows)?, &codes.select_rows(&rows))?
            }
        };
        data.regress_on(codes.clone());
        let auto = self.with_epochs(self.resumable(run, kernel, ridge, checkpoint), method);
        let (model, report) = auto.fit_source_by(method, data, &mut run.progress("fitting"))?;
        let kept = (!matches!(method, Method::EigenPro { .. })).then_some(ridge);
        let all = fitted(model, report, &means, &data.target, kept)?;
        match (labels, method) {
            (Some(labels), Method::Falkon { centers }) => {
                let scores = self.left_out(run, kernel, (centers, ridge), data, codes, &means)?;
                all.calibrated(&scores, &labels)
            }
            _ => Ok(all),
        }
    }

    /// EigenPro counts epochs.
    fn with_epochs<K>(&self, auto: AutoRegression<K>, method: Method) -> AutoRegression<K> {
        if matches!(method, Method::EigenPro { .. }) { auto.max_iterations(self.epochs) } else { auto }
    }

    fn machine<P: Input>(
        &self,
        run: &Run,
        kernel: &P::Kernel,
        xs: &P,
        target: &Target,
    ) -> Result<Fitted<P>, Error> {
        let cache = run.shared.memory / 2;
        let mut bar = run.progress("fitting");
        let solver = match target {
            Target::Classes(labels, _) => {
                let fit = svm::SupportVectorClassifier::new(kernel.clone()).cost(self.cost).cache(cache);
                Solver::Svm(fit.fit_with(xs, labels, &mut bar)?)
            }
            Target::Numbers(y) => {
                let n = y.len() as f64;
                let mean = y.iter().sum::<f64>() / n;
                let deviation = (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
                let epsilon = self.epsilon * if deviation > 0.0 { deviation } else { 1.0 };
                let fit = svm::SupportVectorRegression::new(kernel.clone());
                Solver::SvmRegression(
                    fit.cost(self.cost).epsilon(epsilon).cache(cache).fit_with(xs, y, &mut bar)?,
                )
            }
        };
        Ok(Fitted { solver, ridge: None, report: None })
    }
}

/// Evenly spread indices.
pub(crate) fn spread(n: usize, most: usize) -> Vec<usize> {
    let count = n.min(most);
    (0..count).map(|i| i * n / count).collect()
}

/// What is regressed on: the target, or codes ±1 of the classes (then true).
pub(crate) fn codes(target: &Target) -> (DMatrix<f64>, bool) {
    match target {
        Target::Numbers(y) => (DMatrix::from_column_slice(y.len(), 1, y), false),
        Target::Classes(labels, names) => {
            let code = |i: usize, k: usize| if labels[i] == k { 1.0 } else { -1.0 };
            (DMatrix::from_fn(labels.len(), names.len(), code), true)
        }
    }
}

/// Columns less their means, and these.
pub(crate) fn without_means(mut codes: DMatrix<f64>) -> (DMatrix<f64>, Vec<f64>) {
    let means: Vec<f64> = codes.column_iter().map(|c| c.mean()).collect();
    for (mut column, mean) in codes.column_iter_mut().zip(&means) {
        column.add_scalar_mut(-mean);
    }
    (codes, means)
}

fn centred(target: &Target) -> (DMatrix<f64>, Vec<f64>) {
    without_means(codes(target).0)
}

/// The ridge of least leave-one-out error.
pub(crate) fn best_ridge<P: Input>(kernel: &P::Kernel, xs: &P, codes: &DMatrix<f64>) -> Result<f64, Error> {
    let path = RidgePath::new(kernel.clone(), xs, codes)?;
    let ridges = RidgePath::<P, P::Kernel>::default_ridges();
    Ok(path.best(&ridges, Criterion::LeaveOneOut)?.ridge)
}

fn fitted<P: Input>(
    model: KrrModel<P, P::Kernel>,
    report: SolveReport,
    means: &[f64],
    target: &Target,
    ridge: Option<f64>,
) -> Result<Fitted<P>, Error> {
    let model = model.raised(means)?;
    let solver = match target {
        Target::Numbers(_) => Solver::Krr(model),
        Target::Classes(..) => Solver::Codes(model),
    };
    Ok(Fitted { solver, ridge, report: Some(report) })
}

/// Fits a target exactly: the solver's part of a model, and its ridge.
pub(crate) fn fit_target<P: Input>(
    kernel: &P::Kernel,
    ridge: Option<f64>,
    xs: &P,
    target: &Target,
) -> Result<(Solver<P>, f64), Error> {
    let ridges = RidgePath::<P, P::Kernel>::default_ridges();
    match (target, ridge) {
        (Target::Numbers(y), Some(ridge)) => {
            Ok((Solver::Krr(Krr::new(kernel.clone()).ridge(ridge).intercept(true).fit(xs, y)?), ridge))
        }
        (Target::Numbers(_), None) => {
            // The path has no intercept; the mean is taken off first, which is nearly the same.
            let ridge = best_ridge(kernel, xs, &centred(target).0)?;
            fit_target(kernel, Some(ridge), xs, target)
        }
        (Target::Classes(labels, _), ridge) => {
            let classifier = KernelClassifier::new(kernel.clone());
            let classifier = match ridge {
                Some(ridge) => classifier.ridge(ridge),
                None => classifier.ridges(ridges),
            };
            let model = classifier.fit(xs, labels)?;
            let ridge = model.ridge();
            Ok((Solver::Classifier(model), ridge))
        }
    }
}
