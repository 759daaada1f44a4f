//! `kernels tune`.

use clap::{Args, ValueEnum};
use kernels_solvers::{GaussianProcess, KernelClassifier, Objective};
use nalgebra::DMatrix;
use serde_json::json;

use super::{Data, Out, Run, training::Training};
use crate::{
    data::{Kind, Output, encode::Target},
    error::Error,
    input::Input,
    model::{Model, Solver},
};

/// What hyper-parameters are chosen by.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum By {
    /// Marginal likelihood.
    #[default]
    Likelihood,
    /// Leave-one-out predictive density.
    LooDensity,
    /// Leave-one-out squared error.
    LooError,
}

/// Options of `tune`.
#[derive(Debug, Args)]
pub(crate) struct Tune {
    #[command(flatten)]
    data: Data,
    /// Kernel expression; its numbers are where the search starts [default: rbf with a length scale a feature].
    #[arg(long)]
    kernel: Option<String>,
    /// What hyper-parameters are chosen by (classification always uses the leave-one-out error of its codes).
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Further starts, drawn within the bounds of the parameters.
    #[arg(long, default_value_t = 1)]
    restarts: usize,
    /// Most iterations from each start.
    #[arg(long, default_value_t = 100)]
    iterations: usize,
    /// Most rows to search on, evenly spread; the model is fitted to all.
    #[arg(long, default_value_t = 1500)]
    max_rows: usize,
    #[command(flatten)]
    out: Out,
}

impl Tune {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let output = self.out.out.as_deref().map(Output::create).transpose()?;
        match self.data.kind()? {
            Kind::Rows | Kind::Images => self.search(run, self.data.read()?, output),
            Kind::Paths => self.search(run, self.data.read_paths()?, output),
            Kind::Strings => self.search(run, self.data.read_strings()?, output),
        }
    }

    fn search<P: Input>(
        &self,
        run: &Run,
        training: Training<P>,
        output: Option<Output>,
    ) -> Result<(), Error> {
        let start = P::start(self.kernel.as_deref(), &training.xs)?;
        let n = training.xs.len();
        run.require_memory(n, 4, "fitting")?;
        let searched = n.min(self.max_rows.max(2));
        let indices: Vec<usize> = (0..searched).map(|i| i * n / searched).collect();
        let part = training.xs.subset(&indices)?;
        let mut bar = run.progress("tuning");
        let search = GaussianProcess::new(start)
            .restarts(self.restarts)
            .seed(run.shared.seed)
            .max_iterations(self.iterations);
        let (solver, noise, report) =
            match &training.target {
                Target::Numbers(y) => {
                    let objective = match self.by {
                        By::Likelihood => Objective::MarginalLikelihood,
                        By::LooDensity => Objective::LeaveOneOutDensity,
                        By::LooError => Objective::LeaveOneOutError,
                    };
                    let targets: Vec<f64> = indices.iter().map(|&i| y[i]).collect();
                    let tuned = search.objective(objective).fit_with(&part, &targets, &mut bar)?;
                    let gp =
                        GaussianProcess::new(tuned.kernel().clone()).noise(tuned.noise()).objective(None);
                    let model = gp.fit(&training.xs, y)?;
                    (Solver::Gp(Box::new(model)), tuned.noise(), tuned.report().cloned())
                }
                Target::Classes(labels, names) => {
                    let codes = DMatrix::from_fn(searched, names.len(), |i, k| {
                        if labels[indices[i]] == k { 1.0 } else { -1.0 }
                    });
                    let search = search.objective(Objective::LeaveOneOutError).normalize(false);
                    let tuned = search.fit_with(&part, &codes, &mut bar)?;
                    let classifier = KernelClassifier::new(tuned.kernel().clone()).ridge(tuned.noise());
                    let model = classifier.fit(&training.xs, labels)?;
                    (Solver::Classifier(model), tuned.noise(), tuned.report().cloned())
                }
            };
        drop(bar);
        run.stopped()?;
        let classes = match training.target {
            Target::Classes(_, names) => names,
            Target::Numbers(_) => Vec::new(),
        };
        let model = Model::new(&training.name, classes, (training.encoder, training.origin), solver);
        let kernel = model.kernel.clone();
        if let Some(output) = output {
            model.write(output)?;
        }
        let written = self.out.out.as_ref().map(|p| p.display().to_string());
        let told = training.xs.told();
        let mut text = format!("kernel  {kernel}\nnoise   {noise:.6e}\nsearched on {searched} of {told}\n");
        if let Some(report) = &report {
            text += &format!(
                "objective {:.6}, {} evaluations, stopped by {:?}\n",
                report.objective, report.evaluations, report.stop
            );
            for name in &report.at_bounds {
                text += &format!("note: {name} ended at a bound of its range\n");
            }
        }
        text += &written.as_ref().map_or("(not stored: give --out)".to_owned(), |p| format!("written {p}"));
        let object = json!({"command": "tune", "rows": n, "searched": searched, "kernel": kernel, "noise": noise,
            "report": report, "out": written});
        run.report(&text, object);
        Ok(())
    }
}
