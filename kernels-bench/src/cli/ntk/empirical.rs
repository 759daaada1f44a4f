//! `kernels ntk empirical`: kernels of Jacobians.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kernels_ntk::{Jacobian, TangentKernel};
use nalgebra::DMatrix;
use serde_json::json;

use super::failed;
use crate::{
    cli::Run,
    data::{read_array, write_matrix},
    error::Error,
};

/// What is made of the derivatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// All points and outputs, (n·o, m·o).
    Full,
    /// Sum over equal outputs.
    #[default]
    Trace,
    /// Cosines of the trace kernel; of one data set.
    Trntk,
    /// Pseudo-NTK, the kernel of the sum of outputs over √o.
    Pntk,
    /// Label-pseudo-NTK; needs labels.
    Lpntk,
    /// Signs with signs, sign gradient descent.
    Signgd,
    /// Signs of the first points with derivatives of the second.
    AsymmetricSigngd,
}

/// Options of `ntk empirical`.
#[derive(Debug, Args)]
pub(super) struct Empirical {
    /// Derivatives of outputs by parameters: NPY (n, outputs, parameters), or (n, parameters) of one output.
    #[arg(long)]
    jacobian: PathBuf,
    /// Those of other points, for the matrix between the two.
    #[arg(long)]
    other: Option<PathBuf>,
    /// The kernel.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Labels of the points, NPY (n), for lpntk.
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Labels of the other points.
    #[arg(long, requires = "other")]
    other_labels: Option<PathBuf>,
    /// Project the derivatives to this many random signs first; the seed is --seed.
    #[arg(long)]
    project: Option<usize>,
    /// NPY file to write.
    #[arg(long)]
    out: PathBuf,
}

fn read(path: &Path) -> Result<Jacobian, Error> {
    let (values, shape) = read_array(path)?;
    let (n, outputs, parameters) = match *shape {
        [n, outputs, parameters] => (n, outputs, parameters),
        [n, parameters] => (n, 1, parameters),
        _ => {
            let message =
                format!("holds an array of shape {shape:?}; a Jacobian is (n, outputs, parameters)");
            return Err(Error::content(path, message));
        }
    };
    if let Some(value) = values.iter().find(|v| !v.is_finite()) {
        return Err(Error::content(path, format!("holds {value}; derivatives must be finite")));
    }
    Jacobian::new(DMatrix::from_row_slice(n * outputs, parameters, &values), outputs).map_err(failed)
}

fn labels(path: Option<&Path>) -> Result<Vec<usize>, Error> {
    let path =
        path.ok_or_else(|| Error::Choice("--kind lpntk needs --labels (and --other-labels)".into()))?;
    let (values, _) = read_array(path)?;
    let whole = |&v: &f64| {
        if v >= 0.0 && v.fract() <= 0.0 && v < 1e9 {
            Ok(v as usize)
        } else {
            Err(Error::content(path, format!("holds the label {v}; labels are whole numbers from 0")))
        }
    };
    values.iter().map(whole).collect()
}

impl Empirical {
    pub(super) fn run(&self, run: &Run) -> Result<(), Error> {
        let prepared = |path: &Path| -> Result<Jacobian, Error> {
            let jacobian = read(path)?;
            match self.project {
                Some(k) => jacobian.projected(k, run.shared.seed).map_err(failed),
                None => Ok(jacobian),
            }
        };
        let first = prepared(&self.jacobian)?;
        let second = self.other.as_deref().map(prepared).transpose()?;
        let other = second.as_ref().unwrap_or(&first);
        run.require_memory(first.matrix().nrows().max(other.matrix().nrows()), 2, "the kernel")?;
        let kernel = |a: &Jacobian, b: &Jacobian| -> Result<TangentKernel, Error> {
            a.cross_kernel(b).map_err(failed)
        };
        let matrix = match self.kind {
            Kind::Full => kernel(&first, other)?.matrix().clone(),
            Kind::Trace => kernel(&first, other)?.trace(),
            Kind::Trntk if second.is_some() => {
                return Err(Error::Choice("--kind trntk is for one data set: leave --other out".into()));
            }
            Kind::Trntk => kernel(&first, other)?.cosines().map_err(failed)?,
            Kind::Pntk => kernel(&first, other)?.pseudo(),
            Kind::Lpntk => {
                let rows = labels(self.labels.as_deref())?;
                let columns =
                    if second.is_some() { labels(self.other_labels.as_deref())? } else { rows.clone() };
                kernel(&first, other)?.label_pseudo(&rows, &columns).map_err(failed)?
            }
            Kind::Signgd => kernel(&first.signs(), &other.signs())?.trace(),
            Kind::AsymmetricSigngd => kernel(&first.signs(), other)?.trace(),
        };
        let shape = [matrix.nrows(), matrix.ncols()];
        write_matrix(&self.out, &shape, matrix.transpose().as_slice())?;
        let name = self.kind.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
        let object = json!({"command": "ntk empirical", "kind": name, "shape": shape,
            "out": self.out.display().to_string()});
        run.report(&format!("{name} kernel of shape {shape:?} written to {}", self.out.display()), object);
        Ok(())
    }
}
