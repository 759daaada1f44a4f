//! `kernels evaluate`.

use std::path::PathBuf;

use clap::Args;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{Data, Run, solving::Solving, training::Training};
use crate::{
    data::{Kind, encode::Target},
    error::Error,
    input::{Input, Origin},
    model::{Model, Solver, origin},
    scores::{Scores, classification, regression},
};

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    data: Data,
    /// A stored model to measure on the whole table, instead of cross-validation.
    #[arg(long)]
    model: Option<PathBuf>,
    #[command(flatten)]
    solving: Solving,
    /// Parts of the cross-validation.
    #[arg(long, default_value_t = 5)]
    folds: usize,
}

impl Evaluate {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        if let Some(path) = &self.model {
            return self.stored(run, path);
        }
        self.solving.check()?;
        match self.data.kind()? {
            Kind::Rows | Kind::Images => self.cross_validate(run, &self.data.read()?),
            Kind::Paths => self.cross_validate(run, &self.data.read_paths()?),
            Kind::Strings => self.cross_validate(run, &self.data.read_strings()?),
        }
    }

    fn cross_validate<P: Input>(&self, run: &Run, training: &Training<P>) -> Result<(), Error> {
        let n = training.xs.len();
        if self.folds < 2 || self.folds > n {
            return Err(Error::Choice(format!(
                "--folds: expected 2 to {n} (the number of rows), got {}",
                self.folds
            )));
        }
        let kernel = self.solving.kernel(&training.xs)?;
        let outputs = match &training.target {
            Target::Classes(_, names) => names.len(),
            Target::Numbers(_) => 1,
        };
        let planned = self.solving.plan(run, n - n / self.folds, training.xs.numbers(), outputs, false)?;
        run.tell(&format!("plan    {}", planned.text));
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(run.shared.seed));
        let mut bar = run.progress("folds");
        let mut parts = Vec::new();
        for fold in 0..self.folds {
            bar.show(fold, self.folds)?;
            let is_test = |i: &usize| i % self.folds == fold;
            let pick = |test: bool| -> Vec<usize> {
                (0..n).filter(|i| is_test(i) == test).map(|i| order[i]).collect()
            };
            let (train, test) = (pick(false), pick(true));
            let (xs, held) = (training.xs.subset(&train)?, training.xs.subset(&test)?);
            let part = select(&training.target, &train);
            let fitted = self.solving.fit(run, &planned, &kernel, &xs, &part, None)?;
            parts.push(measure(&fitted.solver, &held, &part, &select(&training.target, &test))?);
        }
        drop(bar);
        let scores = Scores::mean(&parts);
        let told = training.xs.told();
        let title = format!("{}-fold cross-validation on {told}, kernel {kernel}", self.folds);
        let object = json!({"command": "evaluate", "rows": n, "folds": self.folds, "kernel": kernel.to_string(),
            "method": planned.plan.method.to_string(), "scores": scores.to_json()});
        run.report(&format!("{title}\n{scores}"), object);
        Ok(())
    }

    fn stored(&self, run: &Run, path: &std::path::Path) -> Result<(), Error> {
        match origin(path)? {
            Origin::Rows => {
                let model = Model::read(path)?;
                let held = self.data.read_for(&model)?;
                measured(run, &model, &held)
            }
            Origin::Paths(_) => {
                let model = Model::read(path)?;
                let held = self.data.read_paths_for(&model)?;
                measured(run, &model, &held)
            }
            Origin::Strings => {
                let model = Model::read(path)?;
                let held = self.data.read_strings_for(&model)?;
                measured(run, &model, &held)
            }
        }
    }
}

fn measured<P: Input>(run: &Run, model: &Model<P>, (xs, y): &(P, Target)) -> Result<(), Error> {
    // The baseline of a stored model is that of the data themselves: its training targets are not kept.
    let scores = measure(&model.solver, xs, y, y)?;
    let object =
        json!({"command": "evaluate", "rows": xs.len(), "kernel": model.kernel, "scores": scores.to_json()});
    run.report(&format!("stored model on {}, kernel {}\n{scores}", xs.told(), model.kernel), object);
    Ok(())
}

fn select(target: &Target, rows: &[usize]) -> Target {
    match target {
        Target::Numbers(y) => Target::Numbers(rows.iter().map(|&i| y[i]).collect()),
        Target::Classes(labels, names) => {
            Target::Classes(rows.iter().map(|&i| labels[i]).collect(), names.clone())
        }
    }
}

/// Scores of a fitted solver on held-out rows, beside the trivial baseline of the training rows.
pub(crate) fn measure<P: Input>(
    solver: &Solver<P>,
    xs: &P,
    train: &Target,
    test: &Target,
) -> Result<Scores, Error> {
    let wrong = || Error::Choice("the model and the target are of different kinds (see --task)".to_owned());
    match (train, test) {
        (Target::Numbers(train), Target::Numbers(test)) => {
            Ok(regression(&solver.numbers(xs)?.ok_or_else(wrong)?, test, train))
        }
        (Target::Classes(train, names), Target::Classes(test, _)) => {
            let labels = solver.labels(xs)?.ok_or_else(wrong)?;
            let found = solver.probabilities(xs)?;
            let probabilities = found.as_ref().map(|(p, classes)| (p.clone(), classes.as_slice()));
            Ok(classification(&labels, probabilities, names.len(), test, train))
        }
        _ => Err(wrong()),
    }
}
