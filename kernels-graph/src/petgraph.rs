//! Conversions to and from `petgraph`.

use petgraph::{Directed, EdgeType, Graph as Other, Undirected, graph::NodeIndex, visit::EdgeRef};

use crate::{Error, Graph, GraphBuilder};

impl Graph {
    /// The graph of a `petgraph` graph, with weights by `weight`; repeated edges are added.
    ///
    /// # Errors
    /// As [`GraphBuilder::build`].
    ///
    /// ```
    /// use petgraph::graph::UnGraph;
    /// let other = UnGraph::<(), f64>::from_edges([(0, 1, 2.0), (1, 2, 0.5)]);
    /// let graph = kernels_graph::Graph::from_petgraph(&other, |w| *w)?;
    /// assert_eq!(graph.to_petgraph_undirected()?.edge_count(), 2);
    /// # Ok::<(), kernels_graph::Error>(())
    /// ```
    pub fn from_petgraph<N, E, Ty: EdgeType>(
        graph: &Other<N, E, Ty>,
        weight: impl Fn(&E) -> f64,
    ) -> Result<Self, Error> {
        GraphBuilder::new(graph.node_count()).directed(graph.is_directed()).build(
            graph.edge_references().map(|e| (e.source().index(), e.target().index(), weight(e.weight()))),
        )
    }

    /// The graph as an undirected `petgraph` graph.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a directed graph.
    pub fn to_petgraph_undirected(&self) -> Result<Other<(), f64, Undirected>, Error> {
        self.need_undirected()?;
        Ok(self.fill(Other::new_undirected()))
    }

    /// The graph as a directed `petgraph` graph; an undirected edge is two arrows.
    pub fn to_petgraph_directed(&self) -> Other<(), f64, Directed> {
        let mut out = Other::new();
        (0..self.nodes()).for_each(|_| {
            out.add_node(());
        });
        for u in 0..self.nodes() {
            for (v, w) in self.neighbours(u) {
                out.add_edge(NodeIndex::new(u), NodeIndex::new(v), w);
            }
        }
        out
    }

    fn fill<Ty: EdgeType>(&self, mut out: Other<(), f64, Ty>) -> Other<(), f64, Ty> {
        (0..self.nodes()).for_each(|_| {
            out.add_node(());
        });
        for (u, v, w) in self.edge_list() {
            out.add_edge(NodeIndex::new(u), NodeIndex::new(v), w);
        }
        out
    }
}
