//! The names that expressions may use at the command line: those of core and of the crates beside it.

use std::{fmt, ops::Range, str::FromStr};

use kernels_core::{
    AnyKernel, Block, Definiteness, Describe, Error, Expr, Family, Jet, Kernel, Param, Paths,
    PositiveDefinite, Readable, Real, Rows, Strings, Tile, Vocabulary, Workspace,
};
use kernels_graph::{GraphSet, NodeKernel};
use nalgebra::DMatrixView;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Kernels on the rows of a table or matrix.
pub(crate) fn rows<T: Real>() -> Vocabulary<Rows<T>>
where
    Rows<T>: Readable,
{
    kernels_ntk::with_images(kernels_ntk::with_networks(Rows::vocabulary()))
}

/// All families by the kind of points they are for.
pub(crate) fn families() -> Vec<(&'static str, Vec<&'static Family>)> {
    // What every kind of points has is listed once.
    let rows: Vec<&'static Family> = rows::<f64>().families().collect();
    let own = |all: Vec<&'static Family>| -> Vec<&'static Family> {
        all.into_iter().filter(|f| rows.iter().all(|row| row.name != f.name)).collect()
    };
    let paths = own(Paths::<f64>::vocabulary().families().collect());
    let strings = own(Strings::vocabulary().families().collect());
    let graphs = own(GraphSet::vocabulary().families().collect());
    let nodes = NodeKernel::families().iter().collect();
    vec![
        ("rows of numbers", rows),
        ("paths", paths),
        ("strings", strings),
        ("graphs", graphs),
        ("nodes of a graph", nodes),
    ]
}

/// A kernel on rows that is stored as text and read back with the names of this program.
#[derive(Clone, Debug)]
pub(crate) struct RowKernel(AnyKernel<f64>);

impl RowKernel {
    pub(crate) fn new(kernel: impl Kernel<Rows<f64>> + Clone + 'static) -> Self {
        Self(AnyKernel::new(kernel))
    }

    /// The kernel itself.
    pub(crate) fn dynamic(&self) -> &AnyKernel<f64> {
        &self.0
    }
}

impl FromStr for RowKernel {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        rows().read(text).map(Self)
    }
}

impl fmt::Display for RowKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for RowKernel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.expression() {
            Some(expr) => serializer.serialize_str(&expr.to_string()),
            None => Err(ser::Error::custom("this kernel has no text form, so it cannot be stored")),
        }
    }
}

impl<'de> Deserialize<'de> for RowKernel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Describe for RowKernel {
    fn params(&self) -> Vec<Param> {
        self.0.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.0.set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        self.0.definiteness()
    }
    fn expression(&self) -> Option<Expr> {
        self.0.expression()
    }
}

impl Kernel<Rows<f64>> for RowKernel {
    fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
        self.0.eval(x, y)
    }
    fn block(&self, at: &Block<'_, Rows<f64>>, out: Tile<'_, f64>, ws: &mut Workspace<f64>) {
        self.0.block(at, out, ws);
    }
    fn diagonal(&self, xs: &Rows<f64>, rows: Range<usize>, out: &mut [f64]) {
        self.0.diagonal(xs, rows, out);
    }
    fn block_gradient(
        &self,
        at: &Block<'_, Rows<f64>>,
        weights: DMatrixView<'_, f64>,
        gradient: &mut [f64],
        ws: &mut Workspace<f64>,
    ) {
        self.0.block_gradient(at, weights, gradient, ws);
    }
    fn jet(&self, x: &[f64], y: &[f64], jet: &mut Jet<f64>) -> bool {
        self.0.jet(x, y, jet)
    }
    fn check(&self, xs: &Rows<f64>) -> Result<(), Error> {
        self.0.check(xs)
    }
}

impl PositiveDefinite for RowKernel {}
