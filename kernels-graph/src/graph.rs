//! Weighted graphs, directed or not, as sparse adjacency matrices.

use sprs::CsMatI;

use crate::Error;

/// Sparse matrices of this crate: compressed rows, 32-bit column indices.
pub type SparseMatrix = CsMatI<f64, u32, usize>;

/// What to do with an edge that is listed more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// Add the weights.
    #[default]
    Sum,
    /// Keep the largest weight.
    Max,
    /// Refuse.
    Error,
}

/// How a directed graph becomes an undirected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symmetrize {
    /// Refuse a graph whose adjacency is not symmetric.
    #[default]
    Error,
    /// (A + Aᵀ)/2.
    Average,
    /// A + Aᵀ.
    Sum,
    /// The larger of A and Aᵀ, entry by entry.
    Max,
}

/// A graph of nodes 0, …, n − 1 with weights A ≥ 0, kept as the compressed rows of A with ascending columns.
///
/// An undirected edge is stored in both rows, a self-loop once; it counts once in the degree. Cloning copies.
///
/// ```
/// use kernels_graph::Graph;
/// let path = Graph::undirected(3, [(0, 1, 1.0), (1, 2, 2.0)])?;
/// assert_eq!((path.nodes(), path.edges()), (3, 2));
/// assert_eq!(path.degrees(), [1.0, 3.0, 2.0]);
/// assert_eq!(path.neighbours(1).collect::<Vec<_>>(), [(0, 1.0), (2, 2.0)]);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    adjacency: SparseMatrix,
    directed: bool,
}

/// Options for making a [`Graph`] of edges.
///
/// ```
/// use kernels_graph::{Duplicates, GraphBuilder};
/// let graph = GraphBuilder::new(2).duplicates(Duplicates::Max).build([(0, 1, 1.0), (1, 0, 3.0)])?;
/// assert_eq!(graph.degrees(), [3.0, 3.0]);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GraphBuilder {
    nodes: usize,
    directed: bool,
    duplicates: Duplicates,
}

impl GraphBuilder {
    /// An undirected graph of `nodes` nodes; weights of repeated edges are added.
    pub fn new(nodes: usize) -> Self {
        Self { nodes, directed: false, duplicates: Duplicates::Sum }
    }

    /// Whether (u, v, w) means u → v only.
    pub fn directed(mut self, directed: bool) -> Self {
        self.directed = directed;
        self
    }

    /// What to do with repeated edges.
    pub fn duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// The graph of edges (u, v, weight). Edges of weight 0 are left out. O(n + m log d).
    ///
    /// # Errors
    /// [`Error::Node`], [`Error::Weight`] for a weight that is negative or not finite, [`Error::DuplicateEdge`] when asked for,
    /// [`Error::TooLarge`].
    pub fn build(self, edges: impl IntoIterator<Item = (usize, usize, f64)>) -> Result<Graph, Error> {
        let n = self.nodes;
        check_size(n)?;
        let mut list = Vec::new();
        for (from, to, weight) in edges {
            for node in [from, to] {
                if node >= n {
                    return Err(Error::Node { what: "an edge", node, nodes: n });
                }
            }
            check_weight(from, to, weight)?;
            if weight > 0.0 {
                list.push((from as u32, to as u32, weight));
            }
        }
        let mut starts = vec![0usize; n + 1];
        let both = |from: u32, to: u32| !self.directed && from != to;
        for &(from, to, _) in &list {
            starts[from as usize + 1] += 1;
            if both(from, to) {
                starts[to as usize + 1] += 1;
            }
        }
        for i in 0..n {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0u32, 0.0f64); starts[n]];
        let mut put = |row: u32, column: u32, weight: f64| {
            let at = &mut next[row as usize];
            entries[*at] = (column, weight);
            *at += 1;
        };
        for &(from, to, weight) in &list {
            put(from, to, weight);
            if both(from, to) {
                put(to, from, weight);
            }
        }
        drop(list);
        let (mut indptr, mut indices, mut weights) =
            (Vec::with_capacity(n + 1), Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        indptr.push(0);
        for row in 0..n {
            let entries = &mut entries[starts[row]..starts[row + 1]];
            // Stable, so that sums of duplicates do not depend on anything but the order of the list.
            entries.sort_by_key(|entry| entry.0);
            let first = indices.len();
            for &(column, weight) in entries.iter() {
                match weights.last_mut() {
                    Some(last) if indices.len() > first && indices.last() == Some(&column) => match self.duplicates {
                        Duplicates::Sum => *last += weight,
                        Duplicates::Max => *last = f64::max(*last, weight),
                        Duplicates::Error => {
                            return Err(Error::DuplicateEdge { from: row, to: column as usize });
                        }
                    },
                    _ => {
                        indices.push(column);
                        weights.push(weight);
                    }
                }
            }
            indptr.push(indices.len());
        }
        if let Some(at) = weights.iter().position(|w| !w.is_finite()) {
            let row = indptr.partition_point(|start| *start <= at) - 1;
            check_weight(row, indices[at] as usize, weights[at])?;
        }
        Ok(Graph { adjacency: compressed(n, n, indptr, indices, weights)?, directed: self.directed })
    }
}

fn check_size(n: usize) -> Result<(), Error> {
    if n > u32::MAX as usize { Err(Error::TooLarge { nodes: n }) } else { Ok(()) }
}

fn check_weight(from: usize, to: usize, weight: f64) -> Result<(), Error> {
    if weight.is_finite() && weight >= 0.0 {
        Ok(())
    } else {
        Err(Error::Weight { from, to, weight, expected: "finite and not negative" })
    }
}

/// A sparse matrix of its parts.
pub(crate) fn compressed(
    rows: usize,
    columns: usize,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    data: Vec<f64>,
) -> Result<SparseMatrix, Error> {
    SparseMatrix::try_new((rows, columns), indptr, indices, data).map_err(|(_, _, _, error)| Error::Parse {
        line: 0,
        message: format!("not a compressed sparse matrix: {error}"),
    })
}

/// Columns and values of a row.
pub(crate) fn row(matrix: &SparseMatrix, i: usize) -> (&[u32], &[f64]) {
    let range = matrix.indptr().outer_inds_sz(i);
    (&matrix.indices()[range.clone()], &matrix.data()[range])
}

impl Graph {
    /// An undirected graph; each edge is listed once, in either direction, and repeated edges are added.
    ///
    /// # Errors
    /// As [`GraphBuilder::build`].
    pub fn undirected(nodes: usize, edges: impl IntoIterator<Item = (usize, usize, f64)>) -> Result<Self, Error> {
        GraphBuilder::new(nodes).build(edges)
    }

    /// A directed graph: (u, v, w) is u → v.
    ///
    /// # Errors
    /// As [`GraphBuilder::build`].
    pub fn directed(nodes: usize, edges: impl IntoIterator<Item = (usize, usize, f64)>) -> Result<Self, Error> {
        GraphBuilder::new(nodes).directed(true).build(edges)
    }

    /// The graph of an adjacency matrix: undirected when `directed` is false, and then it must be symmetric.
    ///
    /// # Errors
    /// [`Error::Weight`], [`Error::Asymmetric`] with the first pair, [`kernels_core::Error::Shape`] when it is not square.
    pub fn from_adjacency(adjacency: SparseMatrix, directed: bool) -> Result<Self, Error> {
        crate::error::shape("columns of an adjacency matrix", adjacency.rows(), adjacency.cols())?;
        let adjacency = if adjacency.is_csr() { adjacency } else { adjacency.to_csr() };
        for (i, row) in adjacency.outer_iterator().enumerate() {
            for (j, &weight) in row.iter() {
                check_weight(i, j, weight)?;
            }
        }
        let graph = Self { adjacency, directed };
        if directed { Ok(graph) } else { graph.check_symmetric("pass directed = true, or symmetrize").map(|()| graph) }
    }

    fn check_symmetric(&self, hint: &'static str) -> Result<(), Error> {
        for i in 0..self.nodes() {
            for (j, forward) in self.neighbours(i) {
                let backward = self.weight(j, i);
                if forward.to_bits() != backward.to_bits() {
                    return Err(Error::Asymmetric { from: i, to: j, forward, backward, hint });
                }
            }
        }
        Ok(())
    }

    /// Number of nodes, n.
    pub fn nodes(&self) -> usize {
        self.adjacency.rows()
    }

    /// Number of edges, m: pairs for an undirected graph, arrows for a directed one.
    pub fn edges(&self) -> usize {
        if self.directed {
            return self.adjacency.nnz();
        }
        let loops = (0..self.nodes()).filter(|&i| self.row(i).0.binary_search(&(i as u32)).is_ok()).count();
        (self.adjacency.nnz() - loops) / 2 + loops
    }

    /// Whether edges have a direction.
    pub fn is_directed(&self) -> bool {
        self.directed
    }

    /// The adjacency matrix A: row u holds the weights of u → v.
    pub fn adjacency(&self) -> &SparseMatrix {
        &self.adjacency
    }

    pub(crate) fn row(&self, node: usize) -> (&[u32], &[f64]) {
        row(&self.adjacency, node)
    }

    /// The neighbours of a node in ascending order, with weights: those it points to. Empty beyond the last node.
    pub fn neighbours(&self, node: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let (indices, weights) = if node < self.nodes() { self.row(node) } else { (&[][..], &[][..]) };
        indices.iter().zip(weights).map(|(&v, &w)| (v as usize, w))
    }

    /// A[u, v]; 0 without an edge.
    pub fn weight(&self, from: usize, to: usize) -> f64 {
        if from >= self.nodes() {
            return 0.0;
        }
        let (indices, weights) = self.row(from);
        indices.binary_search(&(to as u32)).map_or(0.0, |at| weights[at])
    }

    /// Edges (u, v, w): u ≤ v for an undirected graph.
    pub fn edge_list(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        (0..self.nodes()).flat_map(move |u| {
            self.neighbours(u).filter(move |(v, _)| self.directed || u <= *v).map(move |(v, w)| (u, v, w))
        })
    }

    /// Degrees dᵢ = Σⱼ Aᵢⱼ, a self-loop counted once; out-degrees of a directed graph.
    pub fn degrees(&self) -> Vec<f64> {
        (0..self.nodes()).map(|i| self.row(i).1.iter().sum()).collect()
    }

    /// Connected component of every node, numbered in the order of their first nodes, and their number. Directions do
    /// not matter. O(n + m).
    pub fn components(&self) -> (Vec<usize>, usize) {
        let reversed = self.directed.then(|| self.adjacency.transpose_view().to_csr());
        let mut of = vec![usize::MAX; self.nodes()];
        let (mut count, mut stack) = (0, Vec::new());
        for start in 0..self.nodes() {
            if of[start] != usize::MAX {
                continue;
            }
            of[start] = count;
            stack.push(start);
            while let Some(u) = stack.pop() {
                let back = reversed.as_ref().map_or(&[][..], |m| row(m, u).0);
                for &v in self.row(u).0.iter().chain(back) {
                    if of[v as usize] == usize::MAX {
                        of[v as usize] = count;
                        stack.push(v as usize);
                    }
                }
            }
            count += 1;
        }
        (of, count)
    }

    /// An undirected graph of this one; an undirected graph is returned as it is.
    ///
    /// # Errors
    /// [`Error::Asymmetric`] for [`Symmetrize::Error`] when A is not symmetric.
    ///
    /// ```
    /// use kernels_graph::{Graph, Symmetrize};
    /// let arrow = Graph::directed(2, [(0, 1, 1.0)])?;
    /// assert_eq!(arrow.symmetrize(Symmetrize::Average)?.weight(1, 0), 0.5);
    /// assert!(arrow.symmetrize(Symmetrize::Error).is_err());
    /// # Ok::<(), kernels_graph::Error>(())
    /// ```
    pub fn symmetrize(&self, how: Symmetrize) -> Result<Self, Error> {
        if !self.directed {
            return Ok(self.clone());
        }
        if how == Symmetrize::Error {
            self.check_symmetric("choose how to symmetrize: average, sum or max")?;
            return Ok(Self { adjacency: self.adjacency.clone(), directed: false });
        }
        let duplicates = if how == Symmetrize::Max { Duplicates::Max } else { Duplicates::Sum };
        let scale = if how == Symmetrize::Average { 0.5 } else { 1.0 };
        // A loop is its own mirror image: it appears once in the list, so it is doubled where A + Aᵀ doubles it.
        let double = |u: usize, v: usize, w: f64| if u == v && how != Symmetrize::Max { 2.0 * w } else { w };
        GraphBuilder::new(self.nodes())
            .duplicates(duplicates)
            .build(self.edge_list().map(|(u, v, w)| (u, v, scale * double(u, v, w))))
    }

    /// The subgraph of some nodes, numbered in the order given; a node may be given once.
    ///
    /// # Errors
    /// [`Error::Node`] for an unknown or repeated node.
    pub fn subgraph(&self, nodes: &[usize]) -> Result<Self, Error> {
        let mut to = vec![usize::MAX; self.nodes()];
        for (i, &node) in nodes.iter().enumerate() {
            if node >= self.nodes() || to[node] != usize::MAX {
                return Err(Error::Node { what: "a subgraph (below n, each once)", node, nodes: self.nodes() });
            }
            to[node] = i;
        }
        let edges = self.edge_list().filter(|&(u, v, _)| to[u] != usize::MAX && to[v] != usize::MAX);
        GraphBuilder::new(nodes.len()).directed(self.directed).build(edges.map(|(u, v, w)| (to[u], to[v], w)))
    }

    /// The graph with every node renamed: node i becomes `order[i]`.
    ///
    /// # Errors
    /// [`Error::Node`] when `order` is not a permutation.
    pub fn relabel(&self, order: &[usize]) -> Result<Self, Error> {
        crate::error::shape("a permutation of the nodes", self.nodes(), order.len())?;
        let mut seen = vec![false; self.nodes()];
        for &node in order {
            if node >= self.nodes() || std::mem::replace(&mut seen[node], true) {
                return Err(Error::Node { what: "a permutation", node, nodes: self.nodes() });
            }
        }
        GraphBuilder::new(self.nodes())
            .directed(self.directed)
            .build(self.edge_list().map(|(u, v, w)| (order[u], order[v], w)))
    }
}
