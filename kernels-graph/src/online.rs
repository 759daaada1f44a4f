//! Labels of nodes one after another: online relaxation with columns by local push.

use nalgebra::DMatrix;

use crate::{
    Error, Graph, Laplacian,
    error::positive,
    laplacian::dense,
    push::{Push, Pusher},
};

/// The kernel M = (K⁻¹/(2λ) + I/(2n))⁻¹ of the online predictor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OnlineKernel {
    /// K⁻¹ = L.
    #[default]
    Laplacian,
    /// K⁻¹ = D^(−½) L D^(−½).
    Symmetric,
    /// K⁻¹ = I − (λ/n) S.
    Smoothed,
    /// 2λ D^(−½)(I + D − A)⁻¹D^½, a heuristic that is not symmetric.
    Heuristic,
}

/// Where columns of M come from.
#[derive(Clone, Debug)]
enum Columns<'a> {
    Push(Box<Pusher<'a>>, f64),
    Exact(DMatrix<f64>),
}

/// Predicts the class of nodes in the order they are asked for, learning from each answer: the cost of a query does not depend on the size of the graph.
///
/// Reference: Zhou, Sun & Babanezhad Harikandeh, *Fast online node labeling for very large graphs* (2023); Rakhlin & Sridharan, *Efficient
/// online multiclass prediction on graphs via surrogate losses* (2017).
///
/// ```
/// use kernels_graph::{Graph, OnlineKernel, OnlineLabels};
/// let two = Graph::undirected(6, [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0), (3, 4, 1.0), (4, 5, 1.0), (3, 5, 1.0)])?;
/// let mut online = OnlineLabels::new(&two, 2, OnlineKernel::Laplacian, 0.5, 1e-6)?;
/// let truth = [0, 0, 0, 1, 1, 1];
/// for node in [0, 3, 1, 4, 2, 5] {
///     online.predict(node)?;
///     online.observe(node, truth[node])?;
/// }
/// assert!(online.mistakes() <= 2);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnlineLabels<'a> {
    columns: Columns<'a>,
    kernel: OnlineKernel,
    lambda: f64,
    nodes: usize,
    classes: usize,
    /// G, a row of `classes` values a node.
    gradients: Vec<f64>,
    energy: f64,
    remaining: f64,
    mistakes: usize,
    loss: f64,
    answered: usize,
    last: Option<(usize, usize, Round)>,
}

/// What a prediction leaves for its answer.
#[derive(Clone, Debug)]
struct Round {
    column: Vec<(usize, f64)>,
    inner: Vec<f64>,
    psi: Vec<f64>,
    support: Vec<usize>,
}

impl<'a> OnlineLabels<'a> {
    /// A predictor of `classes` classes with λ = `lambda_over_n` · n, columns pushed to residuals of ε d. `remaining` begins at 2n².
    ///
    /// # Errors
    /// Parameters out of range, fewer than two classes, a directed graph.
    pub fn new(
        graph: &'a Graph,
        classes: usize,
        kernel: OnlineKernel,
        lambda_over_n: f64,
        epsilon: f64,
    ) -> Result<Self, Error> {
        positive("epsilon", epsilon)?;
        Self::with_columns(
            graph,
            classes,
            kernel,
            lambda_over_n,
            Columns::Push(Box::new(Pusher::new(graph)?), epsilon),
        )
    }

    /// The same with exact columns, from one dense inverse. O(n³) once, O(n) a query. Not always better.
    ///
    /// # Errors
    /// As [`OnlineLabels::new`].
    pub fn exact(
        graph: &'a Graph,
        classes: usize,
        kernel: OnlineKernel,
        lambda_over_n: f64,
    ) -> Result<Self, Error> {
        positive("lambda", lambda_over_n)?;
        let m = exact_matrix(graph, kernel, lambda_over_n)?;
        Self::with_columns(graph, classes, kernel, lambda_over_n, Columns::Exact(m))
    }

    fn with_columns(
        graph: &Graph,
        classes: usize,
        kernel: OnlineKernel,
        lambda_over_n: f64,
        columns: Columns<'a>,
    ) -> Result<Self, Error> {
        positive("lambda", lambda_over_n)?;
        if classes < 2 {
            return Err(crate::error::parameter("classes", classes as f64, "at least 2"));
        }
        let n = graph.nodes();
        Ok(Self {
            columns,
            kernel,
            lambda: lambda_over_n * n as f64,
            nodes: n,
            classes,
            gradients: vec![0.0; n * classes],
            energy: 0.0,
            remaining: 2.0 * (n as f64) * (n as f64),
            mistakes: 0,
            loss: 0.0,
            answered: 0,
            last: None,
        })
    }

    /// Begins with the trace of M in place of 2n²; exact columns only.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for pushed columns.
    pub fn begin_with_trace(mut self) -> Result<Self, Error> {
        match &self.columns {
            Columns::Exact(m) => self.remaining = m.trace(),
            Columns::Push(..) => {
                return Err(Error::Unsupported {
                    what: "the trace of pushed columns",
                    hint: "use exact columns",
                });
            }
        }
        Ok(self)
    }

    /// Column `node` of M, sparse.
    fn column(&mut self, node: usize) -> Result<Vec<(usize, f64)>, Error> {
        let (n, lambda) = (self.nodes as f64, self.lambda);
        let (pusher, epsilon) = match &mut self.columns {
            Columns::Exact(m) => return Ok(m.column(node).iter().copied().enumerate().collect()),
            Columns::Push(pusher, epsilon) => (pusher, *epsilon),
        };
        let (what, scale) = match self.kernel {
            OnlineKernel::Laplacian => (Push::Laplacian { alpha: lambda / n }, 2.0 * lambda),
            OnlineKernel::Symmetric => (Push::PageRank { alpha: lambda / (n + lambda) }, 2.0 * n),
            OnlineKernel::Smoothed => (Push::PageRank { alpha: n / (n + lambda) }, 2.0 * lambda),
            OnlineKernel::Heuristic => (Push::Laplacian { alpha: 1.0 }, 2.0 * lambda),
        };
        let mut values = pusher.column(what, node, epsilon)?.values;
        let own = pusher.degree(node);
        for (v, value) in &mut values {
            *value *= scale;
            if self.kernel != OnlineKernel::Laplacian && own > 0.0 {
                *value *= own.sqrt() / pusher.degree(*v).sqrt();
            }
        }
        Ok(values)
    }

    /// The class predicted for a node; the lowest one on ties.
    ///
    /// # Errors
    /// [`Error::Node`].
    pub fn predict(&mut self, node: usize) -> Result<usize, Error> {
        if node >= self.nodes {
            return Err(Error::Node { what: "a query", node, nodes: self.nodes });
        }
        let (k, column) = (self.classes, self.column(node)?);
        let mut inner = vec![0.0; k];
        for &(v, c) in &column {
            for (inner, g) in inner.iter_mut().zip(&self.gradients[v * k..(v + 1) * k]) {
                *inner += c * g;
            }
        }
        let scale = (self.energy + k as f64 * self.remaining).max(f64::MIN_POSITIVE).sqrt();
        let psi: Vec<f64> = inner.iter().map(|v| -v / scale).collect();
        // Water filling: the threshold τ with Σ (ψ − τ)₊ = 1.
        let mut sorted = psi.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let (mut sum, mut threshold) = (0.0, f64::NEG_INFINITY);
        for (i, value) in sorted.iter().enumerate() {
            sum += value;
            let candidate = (sum - 1.0) / (i + 1) as f64;
            if *value >= candidate {
                threshold = candidate;
            }
        }
        let support = (0..k).filter(|&i| psi[i] >= threshold).collect();
        let mut best = 0;
        for i in 1..k {
            if (psi[i] - threshold).max(0.0) > (psi[best] - threshold).max(0.0) {
                best = i;
            }
        }
        self.last = Some((node, best, Round { column, inner, psi, support }));
        Ok(best)
    }

    /// Tells the class of a node; it is predicted first unless it just was. Returns whether the prediction was right.
    ///
    /// # Errors
    /// [`Error::Node`]; a class that does not exist.
    pub fn observe(&mut self, node: usize, class: usize) -> Result<bool, Error> {
        if class >= self.classes {
            return Err(crate::error::parameter("class", class as f64, "below the number of classes"));
        }
        if self.last.as_ref().is_none_or(|(asked, _, _)| *asked != node) {
            self.predict(node)?;
        }
        let Some((_, predicted, Round { column, inner, psi, support })) = self.last.take() else {
            return Ok(false);
        };
        let k = self.classes;
        let mut g = vec![0.0; k];
        let share = 1.0 / support.len().max(1) as f64;
        if support.contains(&class) {
            support.iter().for_each(|&i| g[i] = share);
            g[class] -= 1.0;
            let total: f64 = support.iter().map(|&i| psi[i]).sum();
            self.loss += 1.0 - psi[class] + (total - 1.0) * share;
        } else {
            let mut rival = usize::from(class == 0);
            for i in 0..k {
                if i != class && psi[i] > psi[rival] {
                    rival = i;
                }
            }
            let f = 1.0 / (1.0 + share);
            g[rival] = f;
            g[class] = -f;
            self.loss += (1.0 + psi[rival] - psi[class]) * f;
        }
        let own = column.iter().find(|(v, _)| *v == node).map_or(0.0, |(_, c)| *c);
        let cross: f64 = g.iter().zip(&inner).map(|(g, v)| g * v).sum();
        self.energy += 2.0 * cross + own * g.iter().map(|g| g * g).sum::<f64>();
        self.remaining -= own;
        self.gradients[node * k..(node + 1) * k].copy_from_slice(&g);
        self.answered += 1;
        self.mistakes += usize::from(predicted != class);
        Ok(predicted == class)
    }

    /// Wrong predictions so far.
    pub fn mistakes(&self) -> usize {
        self.mistakes
    }

    /// Answers so far.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// Sum of the surrogate losses.
    pub fn loss(&self) -> f64 {
        self.loss
    }
}

fn exact_matrix(graph: &Graph, kernel: OnlineKernel, lambda_over_n: f64) -> Result<DMatrix<f64>, Error> {
    let n = graph.nodes();
    let lambda = lambda_over_n * n as f64;
    let identity = DMatrix::<f64>::identity(n, n);
    let a = match kernel {
        OnlineKernel::Laplacian => {
            dense(&graph.laplacian(Laplacian::Combinatorial)?) + &identity * lambda_over_n
        }
        OnlineKernel::Symmetric => dense(&graph.laplacian(Laplacian::Symmetric)?) + &identity * lambda_over_n,
        OnlineKernel::Smoothed => {
            &identity * (1.0 + lambda_over_n) - dense(&graph.normalized_adjacency()) * lambda_over_n
        }
        OnlineKernel::Heuristic => dense(&graph.laplacian(Laplacian::Combinatorial)?) + &identity,
    };
    let mut out = kernels_core::dense::Cholesky::new(a)?.inverse()? * (2.0 * lambda);
    if kernel == OnlineKernel::Heuristic {
        let degrees = graph.degrees();
        for j in 0..n {
            for i in 0..n {
                if degrees[i] > 0.0 && degrees[j] > 0.0 {
                    out[(i, j)] *= (degrees[j] / degrees[i]).sqrt();
                }
            }
        }
    }
    Ok(out)
}
