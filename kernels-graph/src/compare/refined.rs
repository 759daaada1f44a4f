//! Weisfeiler–Lehman refinement over any kernel.

use std::{ops::Range, sync::Arc};

use kernels_core::{
    Block, Call, Definiteness, Describe, Error, Expr, Kernel, Param, Points, PositiveDefinite, Tile, Value,
    Workspace, kernel_ops,
};

use super::{GraphSet, LabelledGraph, set::Member, wl::refine};

/// Σₜ k(Gₜ, G'ₜ) over levels t = 0, …, h: a kernel k on the graphs whose labels are the refined labels of level t.
///
/// With [`crate::VertexHistogram`] inside it is [`crate::WeisfeilerLehman`]; with [`crate::ShortestPath`], pairs of nodes count when their
/// neighbourhoods agree too. Refined labels are cut to 64 bits: two of N different ones agree with a probability below N²/2⁶⁵.
///
/// Reference: Shervashidze et al., *Weisfeiler–Lehman graph kernels* (2011), section 3.
///
/// ```
/// use kernels_core::Kernel;
/// use kernels_graph::{Graph, LabelledGraph, Refined, VertexHistogram, WeisfeilerLehman};
/// let path = LabelledGraph::new(Graph::undirected(3, [(0, 1, 1.0), (1, 2, 1.0)])?);
/// let subtree = WeisfeilerLehman::new(2).eval(&path, &path);
/// assert_eq!(Refined::new(VertexHistogram, 2).eval(&path, &path), subtree);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Refined<K> {
    kernel: K,
    iterations: usize,
    edge_labels: bool,
}

impl<K> Refined<K> {
    /// h refinements.
    pub fn new(kernel: K, iterations: usize) -> Self {
        Self { kernel, iterations, edge_labels: false }
    }

    /// Whether labels of edges take part in the refinement.
    pub fn edge_labels(mut self, on: bool) -> Self {
        self.edge_labels = on;
        self
    }

    /// The graph at all levels.
    fn levels(&self, graph: &LabelledGraph) -> Vec<LabelledGraph> {
        let refined = refine(graph, self.iterations, self.edge_labels).into_iter().skip(1);
        let with = |names: Vec<super::FeatureId>| {
            graph.with_labels(names.iter().map(|name| name.0 as u64 as i64).collect())
        };
        std::iter::once(graph.clone()).chain(refined.map(with)).collect()
    }

    /// Some graphs of a set at all levels, which the set keeps.
    fn sets(&self, graphs: &GraphSet, which: Range<usize>) -> Vec<GraphSet> {
        let name: Arc<str> = format!("levels {} {}", self.iterations, self.edge_labels).into();
        let mut out = vec![Vec::new(); self.iterations + 1];
        for i in which {
            let make = |graph: &LabelledGraph| -> Vec<_> {
                self.levels(graph).into_iter().map(Member::new).collect()
            };
            for (level, member) in out.iter_mut().zip(&*graphs.form(i, &name, make)) {
                level.push(member.clone());
            }
        }
        out.into_iter().map(GraphSet::of).collect()
    }
}

impl<K: Describe> Describe for Refined<K> {
    fn params(&self) -> Vec<Param> {
        self.kernel.params()
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        self.kernel.set_params(values)
    }
    fn definiteness(&self) -> Definiteness {
        self.kernel.definiteness()
    }
    fn expression(&self) -> Option<Expr> {
        let inner = Value::Expr(self.kernel.expression()?);
        let arguments = vec![
            ("iterations".to_owned(), Value::Number(self.iterations as f64)),
            ("edge_labels".to_owned(), Value::Word(self.edge_labels.to_string())),
        ];
        Some(Expr::Call(Call { name: "refined".to_owned(), operands: vec![inner], arguments }))
    }
}

impl<K: PositiveDefinite> PositiveDefinite for Refined<K> {}

kernel_ops! { impl[K] Refined<K>; }

impl<K: Kernel<GraphSet>> Kernel<GraphSet> for Refined<K> {
    fn eval(&self, x: &LabelledGraph, y: &LabelledGraph) -> f64 {
        self.levels(x).iter().zip(&self.levels(y)).map(|(x, y)| self.kernel.eval(x, y)).sum()
    }

    fn block(&self, at: &Block<'_, GraphSet>, mut out: Tile<'_, f64>, ws: &mut Workspace<f64>) {
        let (rows, cols) = (at.rows(), at.cols());
        out.fill(0.0);
        let mut part = vec![0.0; rows.len() * cols.len()];
        let (n, m) = at.shape();
        let add = |at: Result<Block<'_, GraphSet>, Error>, part: &mut [f64], ws: &mut Workspace<f64>| {
            if let Ok(at) = at {
                self.kernel.block(&at, Tile::from_slice(part, n, m), ws);
            }
        };
        // One set for rows and columns that overlap, so that the kernel inside sees which points are the same occurrence.
        if at.is_within() && rows.start < cols.end && cols.start < rows.end {
            let span = rows.start.min(cols.start)..rows.end.max(cols.end);
            let shifted = |range: &Range<usize>| range.start - span.start..range.end - span.start;
            for set in self.sets(at.xs(), span.clone()) {
                add(Block::within(&set, shifted(&rows), shifted(&cols)), &mut part, ws);
                out.iter_mut().zip(&part).for_each(|(out, part)| *out += part);
            }
            return;
        }
        let left = self.sets(at.xs(), rows.clone());
        let right = self.sets(at.ys(), cols.clone());
        for (xs, ys) in left.iter().zip(&right) {
            add(Block::between(xs, 0..n, ys, 0..m), &mut part, ws);
            out.iter_mut().zip(&part).for_each(|(out, part)| *out += part);
        }
    }

    fn diagonal(&self, xs: &GraphSet, rows: Range<usize>, out: &mut [f64]) {
        let mut part = vec![0.0; out.len()];
        out.fill(0.0);
        for set in self.sets(xs, rows) {
            self.kernel.diagonal(&set, 0..set.len(), &mut part);
            out.iter_mut().zip(&part).for_each(|(out, part)| *out += part);
        }
    }

    fn check(&self, xs: &GraphSet) -> Result<(), Error> {
        self.kernel.check(xs)
    }
}
