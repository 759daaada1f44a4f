//! `kernels fit`.

use std::path::PathBuf;

use clap::Args;
use kernels_solvers::Ended;
use serde_json::json;

use super::{
    Data, Out, Run, human,
    solving::{Fitted, Planned, Solving},
    training::Training,
};
use crate::{
    data::{
        Kind, Output, bytes_in_memory,
        encode::{Encoder, Target},
    },
    error::Error,
    input::{Input, Origin},
    model::Model,
};

/// Options of `fit`.
#[derive(Debug, Args)]
pub(crate) struct Fit {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    solving: Solving,
    /// Only say which method would be used, what it would take and why.
    #[arg(long)]
    plan: bool,
    /// Keep the state of an iterative solver in this file, and go on from it: a fit that was killed ends with the same bits.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Read the rows from the file (NPY or Parquet) block by block in every pass [default: when they do not fit in memory].
    #[arg(long)]
    stream: bool,
    #[command(flatten)]
    out: Out,
}

/// What is known of the data before the fit.
struct Known {
    n: usize,
    /// Features, or numbers a point.
    d: usize,
    /// Number and kind of points.
    told: String,
    target: String,
    classes: Vec<String>,
    streamed: bool,
}

impl Known {
    fn new((n, d): (usize, usize), told: String, target: &str, values: &Target, streamed: bool) -> Self {
        let classes = match values {
            Target::Classes(_, names) => names.clone(),
            Target::Numbers(_) => Vec::new(),
        };
        Self { n, d, told, target: target.to_owned(), classes, streamed }
    }

    fn task(&self) -> &'static str {
        if self.classes.is_empty() { "regression" } else { "classification" }
    }
}

impl Fit {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        self.solving.check()?;
        let output = self.out.out.as_deref().filter(|_| !self.plan).map(Output::create).transpose()?;
        let kind = self.data.kind()?;
        if self.stream && matches!(kind, Kind::Paths | Kind::Strings) {
            let message = "--stream reads rows of a table; paths and strings are held in memory";
            return Err(Error::Choice(message.to_owned()));
        }
        match kind {
            Kind::Paths => return self.in_memory(run, self.data.read_paths()?, output),
            Kind::Strings => return self.in_memory(run, self.data.read_strings()?, output),
            Kind::Rows | Kind::Images => {}
        }
        let memory = run.shared.memory;
        let streamed = self.stream
            || bytes_in_memory(self.data.path())?.is_some_and(|bytes| bytes > memory.saturating_mul(3) / 4);
        if !streamed {
            return self.in_memory(run, self.data.read()?, output);
        }
        let mut data = self.data.stream((memory / 8).min(64 << 20))?;
        let (n, d) = (kernels_solvers::BlockSource::len(&data), data.encoder.names().len());
        let told = format!("{n} rows, {d} features");
        let known = Known::new((n, d), told, &data.name, &data.target, true);
        let planned = self.solving.plan(run, n, d, known.classes.len().max(1), true)?;
        if self.told(run, &known, &planned) {
            return Ok(());
        }
        let some: Vec<usize> = (0..n.min(1000)).map(|i| i * n / n.min(1000)).collect();
        let kernel = self.solving.kernel(&data.points(&some)?)?;
        let fitted =
            self.solving.fit_streamed(run, &planned, &kernel, &mut data, self.checkpoint.as_ref())?;
        self.finish(run, &known, &planned, (data.encoder, Origin::Rows), fitted, output)
    }

    fn in_memory<P: Input>(
        &self,
        run: &Run,
        training: Training<P>,
        output: Option<Output>,
    ) -> Result<(), Error> {
        let (xs, target) = (&training.xs, &training.target);
        let known = Known::new((xs.len(), xs.numbers()), xs.told(), &training.name, target, false);
        let planned = self.solving.plan(run, known.n, known.d, known.classes.len().max(1), false)?;
        if self.told(run, &known, &planned) {
            return Ok(());
        }
        let kernel = self.solving.kernel(xs)?;
        let fitted = self.solving.fit(run, &planned, &kernel, xs, target, self.checkpoint.as_ref())?;
        self.finish(run, &known, &planned, (training.encoder, training.origin), fitted, output)
    }

    /// Stores and reports a fit.
    fn finish<P: Input>(
        &self,
        run: &Run,
        known: &Known,
        planned: &Planned,
        read: (Encoder, Origin),
        fitted: Fitted<P>,
        output: Option<Output>,
    ) -> Result<(), Error> {
        run.stopped()?;
        let model = Model::new(&known.target, known.classes.clone(), read, fitted.solver);
        let kernel = model.kernel.clone();
        if let Some(output) = output {
            model.write(output)?;
        }
        let written = self.out.out.as_ref().map(|p| p.display().to_string());
        let mut text =
            format!("{} of `{}` on {}\nkernel  {kernel}\n", known.task(), known.target, known.told);
        if let Some(ridge) = fitted.ridge {
            text += &format!("ridge   {ridge:.6e}\n");
        }
        let mut object = json!({"command": "fit", "task": known.task(), "target": known.target, "rows": known.n,
            "features": known.d, "kernel": kernel, "ridge": fitted.ridge, "out": written, "streamed": known.streamed,
            "method": planned.plan.method.to_string(), "plan": planned.text});
        if let Some(report) = fitted.report.filter(|r| r.iterations > 0) {
            text += &format!("iterations {}, relative residual {:.1e}", report.iterations, report.residual);
            text += match report.ended {
                Ended::Converged => "\n",
                Ended::Iterations => ": stopped by the most iterations, not by the tolerance\n",
                Ended::Stagnated => ": stopped where rounding leaves no further progress\n",
            };
            object["iterations"] = json!(report.iterations);
            object["residual"] = json!(report.residual);
            object["converged"] = json!(report.ended == Ended::Converged);
        }
        text += &written.map_or("(not stored: give --out)".to_owned(), |p| format!("written {p}"));
        run.report(&text, object);
        Ok(())
    }

    /// Says the plan before the work; whether that was all that was asked for.
    fn told(&self, run: &Run, known: &Known, planned: &Planned) -> bool {
        let plan = &planned.plan;
        if !self.plan {
            run.tell(&format!("plan    {}", planned.text));
            return false;
        }
        let Known { n, d, told, streamed, .. } = known;
        let bytes = human(plan.bytes as usize);
        let text = format!(
            "method  {}\nmemory  {bytes} beside the data\nwork    {:.1e} operations\nwhy     {}\ndata    {told}{}",
            plan.method,
            plan.flops,
            planned.text,
            if *streamed { ", read from the file in every pass" } else { "" }
        );
        let object = json!({"command": "fit", "method": plan.method.to_string(), "bytes": plan.bytes,
            "flops": plan.flops, "plan": planned.text, "rows": n, "features": d, "streamed": streamed});
        run.report(&text, object);
        true
    }
}
