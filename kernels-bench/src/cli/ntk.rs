//! `kernels ntk`.

mod empirical;
mod ladder;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use kernels_core::{Points, Rows, cross_gram, gram};
use kernels_ntk::{
    Activation, GradientFlow, Layer, Net, NetworkKernel, Propagation, Ridge, Universality, descend,
    edge_of_chaos, posterior, preserving_variance, universality,
};
use nalgebra::DMatrix;
use serde_json::json;

use super::Run;
use crate::{
    data::{read_rows, write_matrix},
    error::Error,
};

/// Options of `ntk`.
#[derive(Debug, Args)]
pub(crate) struct Ntk {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How signals go through many layers of an activation: the edge of chaos, slopes, initialisation constants.
    Criticality(Criticality),
    /// What infinitely wide networks predict at a time of their training, with standard deviations of an ensemble.
    Predict(Predict),
    /// Tangent kernels of finite networks from their Jacobians.
    Empirical(empirical::Empirical),
    /// Accuracy of a network's kernel on growing numbers of training images.
    Ladder(ladder::Ladder),
}

#[derive(Debug, Args)]
struct Criticality {
    /// Activation, such as relu, tanh or "erf(b=0.8)".
    activation: String,
    /// Standard deviation of the biases.
    #[arg(long, default_value_t = 0.0)]
    b_std: f64,
    /// Standard deviation of the weights, to see its phase [default: the edge of chaos].
    #[arg(long)]
    w_std: Option<f64>,
}

/// A loss by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LossChoice {
    /// Half the mean square.
    #[default]
    Squares,
    /// Cross-entropy of a softmax, mean over points.
    CrossEntropy,
}

impl LossChoice {
    fn gradient(self, f: &DMatrix<f64>, targets: &DMatrix<f64>) -> DMatrix<f64> {
        match self {
            Self::Squares => (f - targets) / f.len().max(1) as f64,
            Self::CrossEntropy => {
                let mut p = f.clone();
                for mut row in p.row_iter_mut() {
                    let largest = row.max();
                    row.apply(|v| *v = (*v - largest).exp());
                    let sum = row.sum();
                    row /= sum;
                }
                (p - targets) / f.nrows().max(1) as f64
            }
        }
    }
}

#[derive(Debug, Args)]
struct Predict {
    /// Layers, such as "dense(w_std=1.5) > relu > dense()", or a .json file with a list of layers.
    #[arg(long)]
    net: String,
    /// Training points: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Targets: NPY (n, outputs), or a table of numbers.
    #[arg(long)]
    y: PathBuf,
    /// Points to predict.
    #[arg(long)]
    test: PathBuf,
    /// Time of gradient descent [default: the end].
    #[arg(long)]
    time: Option<f64>,
    /// Learning rate.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Loss that training descends on; with cross-entropy the targets are probabilities of classes, and a time is needed.
    #[arg(long, value_enum, default_value_t)]
    loss: LossChoice,
    /// Momentum of the heavy ball, from 0 to below 1; a time is needed.
    #[arg(long, requires = "time")]
    momentum: Option<f64>,
    /// Ridge, relative to the mean of the kernel's diagonal.
    #[arg(long, default_value_t = 0.0)]
    ridge: f64,
    /// The Bayesian network (NNGP posterior) instead of the trained ensemble.
    #[arg(long, conflicts_with = "time")]
    bayesian: bool,
    /// NPY file for the means, (m, outputs).
    #[arg(long)]
    out: PathBuf,
    /// NPY file for the standard deviations, (m).
    #[arg(long)]
    deviations: Option<PathBuf>,
}

impl Ntk {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        match &self.what {
            What::Criticality(command) => command.run(run),
            What::Predict(command) => command.run(run),
            What::Empirical(command) => command.run(run),
            What::Ladder(command) => command.run(run),
        }
    }
}

fn failed(error: kernels_ntk::Error) -> Error {
    Error::Choice(error.to_string())
}

fn activation(text: &str) -> Result<Activation, Error> {
    let net: Net = format!("dense() > {text} > dense()").parse().map_err(failed)?;
    match net.layers() {
        [_, Layer::Activation(activation), _] => Ok(activation.clone()),
        [_, _] => Ok(Activation::Identity),
        _ => Err(Error::Choice(format!("`{text}` is not one activation"))),
    }
}

impl Criticality {
    fn run(&self, run: &Run) -> Result<(), Error> {
        let phi = activation(&self.activation)?;
        let edge = edge_of_chaos(&phi, self.b_std).ok();
        let class = universality(&phi).map_err(failed)?;
        let constant = preserving_variance(&phi, 1.0).map_err(failed)?;
        let mut text = format!("activation           {}\n", self.activation);
        match edge {
            Some((w, q)) => {
                text += &format!("edge of chaos        w_std = {w} at b_std = {}, variance {q}\n", self.b_std)
            }
            None => text += &format!("edge of chaos        none at b_std = {}\n", self.b_std),
        }
        text += &match class {
            Universality::ScaleInvariant { w2 } => {
                format!("class                scale invariant: critical at w_std = {}\n", w2.sqrt())
            }
            Universality::ZeroVariance { w2, decay } => format!(
                "class                variance 0: critical at w_std = {}; variance of layer l tends to 1/({decay:.6} l)\n",
                w2.sqrt()
            ),
            Universality::HalfStable { variance, w2, b2 } => format!(
                "class                half-stable: critical at w_std = {}, b_std = {}, variance {variance}\n",
                w2.sqrt(),
                b2.sqrt()
            ),
            _ => "class                none\n".to_owned(),
        };
        text += &format!("variance preserving  Var W = {constant} / fan-in\n");
        let mut object = json!({"command": "ntk criticality", "activation": self.activation,
            "edge_w_std": edge.map(|e| e.0), "edge_variance": edge.map(|e| e.1),
            "preserving_variance": constant, "class": format!("{class:?}")});
        if let Some(w_std) = self.w_std {
            let layer = Propagation::new(phi, w_std, self.b_std).map_err(failed)?;
            let q = layer.fixed_variance(1.0).map_err(failed)?;
            let slopes = layer.slopes(q).map_err(failed)?;
            let phase = layer.phase(1.0).map_err(failed)?;
            text += &format!(
                "at w_std = {w_std}       {phase:?}: variance {q}, slopes {} (parallel) {} (perpendicular)\n",
                slopes.parallel, slopes.perpendicular
            );
            object["phase"] = json!(format!("{phase:?}"));
            object["variance"] = json!(q);
            object["parallel"] = json!(slopes.parallel);
            object["perpendicular"] = json!(slopes.perpendicular);
        }
        run.report(&text, object);
        Ok(())
    }
}

impl Predict {
    fn run(&self, run: &Run) -> Result<(), Error> {
        let net = Net::read(&self.net).map_err(|e| Error::Choice(format!("--net: {e}")))?;
        let (x, y, test) =
            (read_rows::<f64>(&self.x)?, read_rows::<f64>(&self.y)?, read_rows::<f64>(&self.test)?);
        run.require_memory(x.len().max(test.len()), 6, "predicting")?;
        let targets = y.to_matrix();
        let kernels = |kernel: &NetworkKernel| -> Result<[DMatrix<f64>; 3], Error> {
            let whole = |xs: &Rows<f64>| gram(kernel, xs);
            Ok([whole(&x)?, cross_gram(kernel, &test, &x)?, whole(&test)?])
        };
        let [q, q_cross, q_test] = kernels(&NetworkKernel::nngp(net.clone()))?;
        let ridge = Ridge::Relative(self.ridge);
        let descends = self.loss != LossChoice::Squares || self.momentum.is_some();
        let mut largest = None;
        let (mean, covariance) = if descends {
            let Some(time) = self.time.filter(|_| self.deviations.is_none() && !self.bayesian) else {
                let message = "--loss cross-entropy and --momentum need --time, and know no --deviations and no --bayesian";
                return Err(Error::Choice(message.into()));
            };
            let kernel = NetworkKernel::ntk(net.clone());
            let (theta, cross) = (gram(&kernel, &x)?, cross_gram(&kernel, &test, &x)?);
            let zeros = |n: usize| DMatrix::zeros(n, targets.ncols());
            let loss = |f: &DMatrix<f64>| self.loss.gradient(f, &targets);
            let start = (&zeros(x.len()), &zeros(test.len()));
            let (_, mean) =
                descend(&theta, &cross, &loss, start, self.rate, self.momentum, time).map_err(failed)?;
            (mean, DMatrix::zeros(0, 0))
        } else if self.bayesian {
            posterior(&q, &q_cross, &q_test, &targets, ridge).map_err(failed)?
        } else {
            let kernel = NetworkKernel::ntk(net.clone());
            let (theta, cross) = (gram(&kernel, &x)?, cross_gram(&kernel, &test, &x)?);
            let flow = GradientFlow::new(&theta, &targets, ridge, self.rate).map_err(failed)?;
            largest = flow.largest_learning_rate(0.0).ok();
            flow.ensemble(&cross, (&q, &q_cross, &q_test), self.time).map_err(failed)?
        };
        let rows: Vec<f64> = mean.transpose().as_slice().to_vec();
        write_matrix(&self.out, &[mean.nrows(), mean.ncols()], &rows)?;
        if let Some(path) = &self.deviations {
            let values: Vec<f64> = covariance.diagonal().iter().map(|v| v.max(0.0).sqrt()).collect();
            write_matrix(path, &[values.len()], &values)?;
        }
        let object = json!({"command": "ntk predict", "net": net.to_string(),
            "largest_learning_rate": largest,
            "shape": [mean.nrows(), mean.ncols()], "out": self.out.display().to_string()});
        run.report(
            &format!("predictions of shape {:?} written to {}", mean.shape(), self.out.display()),
            object,
        );
        Ok(())
    }
}
