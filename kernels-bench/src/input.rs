//! What models are fitted to: rows of a table, series, strings.

use std::fmt;

use kernels_core::{
    DynKernel, Kernel, Normalization, Paths, Points, PositiveDefinite, Rbf, Readable, Rows, Signature,
    Strings,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{cli, error::Error, vocabulary::RowKernel};

/// Points that models are fitted to and stored with.
pub(crate) trait Input:
    Points<Scalar = f64> + Clone + fmt::Debug + Serialize + DeserializeOwned
{
    /// Kernels on them, which are read from text and stored as text.
    type Kernel: Kernel<Self>
        + PositiveDefinite
        + Clone
        + fmt::Debug
        + fmt::Display
        + Serialize
        + DeserializeOwned;

    /// The kernel of this text, or a default for these points.
    fn kernel(text: Option<&str>, xs: &Self) -> Result<Self::Kernel, Error>;

    /// Where a search for hyper-parameters starts.
    fn start(text: Option<&str>, xs: &Self) -> Result<Self::Kernel, Error> {
        Self::kernel(text, xs)
    }

    /// Numbers that a point has, for plans.
    fn numbers(&self) -> usize;

    /// How many of what these are.
    fn told(&self) -> String;
}

/// What the points of a model are, and how files hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// Rows of a table.
    #[default]
    Rows,
    /// Series.
    Paths(Layout),
    /// Lines of text.
    Strings,
}

/// How a file holds series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Layout {
    /// An array (n, length, d), or knots and lengths.
    Array,
    /// Rows of a table are knots, and this column says of which series.
    Column(String),
    /// A row of a table is a series of one channel, a cell a knot, but for the cells of these columns.
    Cells(Vec<String>),
}

impl Input for Rows<f64> {
    type Kernel = RowKernel;

    fn kernel(text: Option<&str>, xs: &Self) -> Result<RowKernel, Error> {
        cli::kernel(text, xs)
    }

    fn start(text: Option<&str>, xs: &Self) -> Result<RowKernel, Error> {
        if text.is_some() {
            return cli::kernel(text, xs);
        }
        let scales = kernels_solvers::median_length_scales(xs);
        Ok(RowKernel::new(1.0 * Rbf::new(scales)?))
    }

    fn numbers(&self) -> usize {
        self.dim()
    }

    fn told(&self) -> String {
        format!("{} rows, {} features", self.len(), self.dim())
    }
}

impl Input for Paths<f64> {
    type Kernel = DynKernel<Self>;

    fn kernel(text: Option<&str>, xs: &Self) -> Result<Self::Kernel, Error> {
        if let Some(text) = text {
            return cli::read_kernel(&Self::vocabulary(), text).map_err(|error| match error {
                Error::Choice(message) => Error::Choice(format!("{message}\n  {ON_PATHS}")),
                other => other,
            });
        }
        // The median distance of knots; time as a channel of length 1.
        let scales = kernels_solvers::median_length_scales(xs.knots());
        let mean = scales.iter().sum::<f64>() / scales.len().max(1) as f64;
        let kernel = Signature::new(Rbf::new(mean)?).normalization(Normalization::Cosine)?.time(true);
        Ok(DynKernel::new(kernel))
    }

    fn start(text: Option<&str>, xs: &Self) -> Result<Self::Kernel, Error> {
        let kernel = Self::kernel(text, xs)?;
        // A variance to be chosen too.
        Ok(if text.is_some() { kernel } else { DynKernel::new(1.0 * kernel) })
    }

    fn numbers(&self) -> usize {
        self.knots().len() / self.len().max(1) * self.dim()
    }

    fn told(&self) -> String {
        format!("{} series, {} channels", self.len(), self.dim())
    }
}

/// What kernels are refused on paths with.
pub(crate) const ON_PATHS: &str =
    "the points are paths; a kernel on rows becomes one on paths by signature(static=…)";

impl Input for Strings {
    type Kernel = DynKernel<Self>;

    fn kernel(text: Option<&str>, _: &Self) -> Result<Self::Kernel, Error> {
        cli::read_kernel(&Self::vocabulary(), text.unwrap_or("normalize(spectrum(k=3))")).map_err(|error| {
            match error {
                Error::Choice(message) => Error::Choice(format!("{message}\n  the points are strings")),
                other => other,
            }
        })
    }

    fn numbers(&self) -> usize {
        let total: usize = (0..self.len()).map(|i| self.point(i).len()).sum();
        total / self.len().max(1)
    }

    fn told(&self) -> String {
        format!("{} strings", self.len())
    }
}
