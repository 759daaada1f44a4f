//! Nodes as points, and a kernel on them that has been computed.

use std::{ops::Range, sync::Arc};

use kernels_core::{Block, Definiteness, Describe, Kernel, Points, PositiveDefinite, Tile, Workspace, kernel_ops};
use nalgebra::DMatrix;

/// Some nodes of a graph of `of` nodes: the points of kernels on nodes.
///
/// ```
/// use kernels_core::Points;
/// use kernels_graph::Nodes;
/// let labelled = Nodes::new(vec![4, 0], 5)?;
/// assert_eq!((labelled.len(), labelled.point(0)), (2, 4));
/// assert_eq!(Nodes::all(5).subset(&[4, 0])?, labelled);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    ids: Arc<[usize]>,
    of: usize,
}

impl Nodes {
    /// The given nodes of a graph of `of` nodes, in that order.
    ///
    /// # Errors
    /// [`crate::Error::Node`] for one that is not below `of`.
    pub fn new(ids: Vec<usize>, of: usize) -> Result<Self, crate::Error> {
        match ids.iter().find(|id| **id >= of) {
            Some(&node) => Err(crate::Error::Node { what: "a list of nodes", node, nodes: of }),
            None => Ok(Self { ids: ids.into(), of }),
        }
    }

    /// All nodes of a graph of `of` nodes.
    pub fn all(of: usize) -> Self {
        Self { ids: (0..of).collect(), of }
    }

    /// The nodes.
    pub fn ids(&self) -> &[usize] {
        &self.ids
    }

    /// Number of nodes of the graph.
    pub fn of(&self) -> usize {
        self.of
    }
}

impl Points for Nodes {
    type Scalar = f64;
    type Point<'a> = usize;

    fn len(&self) -> usize {
        self.ids.len()
    }
    fn point(&self, i: usize) -> usize {
        self.ids[i]
    }
    fn subset(&self, indices: &[usize]) -> Result<Self, kernels_core::Error> {
        let ids = indices.iter().map(|&i| {
            self.ids.get(i).copied().ok_or(kernels_core::Error::Shape {
                what: "index of a point (below)",
                expected: self.len(),
                given: i,
            })
        });
        Ok(Self { ids: ids.collect::<Result<_, _>>()?, of: self.of })
    }
    fn check_compatible(&self, other: &Self) -> Result<(), kernels_core::Error> {
        same_graph(self.of, other.of)
    }
}

pub(crate) fn same_graph(expected: usize, given: usize) -> Result<(), kernels_core::Error> {
    if expected == given {
        Ok(())
    } else {
        Err(kernels_core::Error::Shape { what: "nodes of the graph", expected, given })
    }
}

/// A kernel on the nodes of one graph as its matrix: every solver and sampler for kernels takes it.
///
/// ```
/// use kernels_core::gram;
/// use kernels_graph::{Graph, NodeKernel, Nodes};
/// let graph = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?;
/// let kernel = NodeKernel::diffusion(0.5).on(&graph)?;
/// let k = gram(&kernel, &Nodes::new(vec![2, 0], 3)?)?;
/// assert_eq!(k[(0, 1)], kernel.matrix()[(2, 0)]);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NodeGram(Arc<DMatrix<f64>>);

impl NodeGram {
    /// The kernel whose value at nodes (i, j) is entry (i, j) of a symmetric positive semidefinite matrix.
    ///
    /// # Errors
    /// [`kernels_core::Error::Shape`] when it is not square, [`kernels_core::Error::NotFinite`].
    pub fn new(matrix: DMatrix<f64>) -> Result<Self, crate::Error> {
        crate::error::shape("columns of a kernel matrix", matrix.nrows(), matrix.ncols())?;
        if let Some(at) = matrix.iter().position(|v| !v.is_finite()) {
            let (row, column) = (at % matrix.nrows(), at / matrix.nrows());
            return Err(kernels_core::Error::NotFinite { row, column, value: matrix[at] }.into());
        }
        Ok(Self(Arc::new(matrix)))
    }

    /// The matrix, n × n.
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.0
    }
}

impl Describe for NodeGram {
    fn definiteness(&self) -> Definiteness {
        Definiteness::Positive
    }
}

impl PositiveDefinite for NodeGram {}

kernel_ops! { impl[] NodeGram; }

impl Kernel<Nodes> for NodeGram {
    fn eval(&self, x: usize, y: usize) -> f64 {
        self.0[(x, y)]
    }
    fn block(&self, at: &Block<'_, Nodes>, mut out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        let rows = &at.xs().ids()[at.rows()];
        for (j, &y) in at.ys().ids()[at.cols()].iter().enumerate() {
            let column = self.0.column(y);
            for (out, &x) in out.column_mut(j).iter_mut().zip(rows) {
                *out = column[x];
            }
        }
    }
    fn diagonal(&self, xs: &Nodes, rows: Range<usize>, out: &mut [f64]) {
        for (out, &x) in out.iter_mut().zip(&xs.ids()[rows]) {
            *out = self.0[(x, x)];
        }
    }
    fn check(&self, xs: &Nodes) -> Result<(), kernels_core::Error> {
        same_graph(self.0.nrows(), xs.of)
    }
}
