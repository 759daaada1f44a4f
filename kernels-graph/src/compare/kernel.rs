//! What a kernel between graphs is, its Gram matrix, and its explicit features.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
    sync::Arc,
};

use kernels_core::{Block, Describe, Points, Tile};
use nalgebra::DMatrix;

use super::{Counts, FeatureId, GraphSet, LabelledGraph};
use crate::{Error, SparseMatrix, graph::compressed};
use kernels_core::parallel;

/// A kernel between graphs: reduce each graph to a form, once, and compare forms.
pub trait GraphKernel: Send + Sync {
    /// What a graph is reduced to.
    type Form: Send + Sync + 'static;

    /// The form of a graph. Depends on nothing else.
    fn form(&self, graph: &LabelledGraph) -> Self::Form;

    /// The kernel of two forms; symmetric.
    fn compare(&self, x: &Self::Form, y: &Self::Form) -> f64;

    /// Whether the kernel is defined on these graphs.
    ///
    /// # Errors
    /// Parameters out of range, missing labels or attributes.
    fn check(&self, graphs: &GraphSet) -> Result<(), Error> {
        let _ = graphs;
        Ok(())
    }

    /// The form as an explicit feature vector with `compare` its inner product, where there is one.
    fn as_counts<'a>(&self, form: &'a Self::Form) -> Option<&'a Counts> {
        let _ = form;
        None
    }
}

/// A kernel that is the inner product of sparse counts.
pub trait ExplicitFeatures: GraphKernel<Form = Counts> {}

impl<K: GraphKernel<Form = Counts>> ExplicitFeatures for K {}

/// Makes kernels between graphs kernels of core: `gram`, solvers, `+`, `*` and `Normalized` take them.
macro_rules! graph_kernels {
    ($($kernel:ty),* $(,)?) => {$(
        impl kernels_core::Describe for $kernel {
            fn expression(&self) -> Option<kernels_core::Expr> {
                $crate::compare::text::Written::written(self)
            }
        }
        impl kernels_core::PositiveDefinite for $kernel {}
        kernels_core::kernel_ops! { impl[] $kernel; }
        $crate::compare::kernel::graph_kernels!(@kernel $kernel);
    )*};
    (@kernel $kernel:ty) => {
        impl kernels_core::Kernel<$crate::GraphSet> for $kernel {
            fn eval(&self, x: &$crate::LabelledGraph, y: &$crate::LabelledGraph) -> f64 {
                use $crate::compare::GraphKernel;
                self.compare(&self.form(x), &self.form(y))
            }
            fn block(
                &self,
                at: &kernels_core::Block<'_, $crate::GraphSet>,
                mut out: kernels_core::Tile<'_, f64>,
                _: &mut kernels_core::Workspace<f64>,
            ) {
                $crate::compare::kernel::fill_block(self, at, &mut out);
            }
            fn diagonal(&self, xs: &$crate::GraphSet, rows: std::ops::Range<usize>, out: &mut [f64]) {
                use $crate::compare::GraphKernel;
                for (out, form) in out.iter_mut().zip($crate::compare::kernel::some_forms(self, xs, rows)) {
                    *out = self.compare(&form, &form);
                }
            }
            fn check(&self, xs: &$crate::GraphSet) -> Result<(), kernels_core::Error> {
                use $crate::compare::GraphKernel;
                GraphKernel::check(self, xs).map_err($crate::compare::kernel::to_core)
            }
        }
    };
}
pub(crate) use graph_kernels;

/// The nearest error of core, for traits of core.
pub(crate) fn to_core(error: Error) -> kernels_core::Error {
    match error {
        Error::Core(error) => error,
        Error::Divergent { given, .. } => kernels_core::Error::Parameter {
            name: "lambda".to_owned(),
            value: given,
            expected: "below the bound of convergence, 1 over the largest product of spectral radii",
        },
        Error::Missing { graph, .. } => kernels_core::Error::Shape {
            what: "labels or attributes of a graph (number)",
            expected: 1,
            given: graph,
        },
        _ => kernels_core::Error::Shape { what: "a set of graphs", expected: 1, given: 0 },
    }
}

/// Forms of some graphs: what the set keeps, where the kernel has a name to keep them by.
pub(crate) fn some_forms<K: GraphKernel + Describe>(
    kernel: &K,
    graphs: &GraphSet,
    which: Range<usize>,
) -> Vec<Arc<K::Form>> {
    match kernel.expression() {
        Some(text) => {
            let name: Arc<str> = text.to_string().into();
            parallel::map(which.len(), |i| graphs.form(which.start + i, &name, |graph| kernel.form(graph)))
        }
        None => parallel::map(which.len(), |i| Arc::new(kernel.form(graphs.point(which.start + i)))),
    }
}

/// The kernel of the graphs of a block; a pair of one set that stands in it twice is compared once.
pub(crate) fn fill_block<K: GraphKernel + Describe>(
    kernel: &K,
    at: &Block<'_, GraphSet>,
    out: &mut Tile<'_, f64>,
) {
    let half = at.is_within() && at.rows() == at.cols();
    let rows = some_forms(kernel, at.xs(), at.rows());
    let other = (!half).then(|| some_forms(kernel, at.ys(), at.cols()));
    let cols = other.as_ref().unwrap_or(&rows);
    let (top, left) = (at.rows().start, at.cols().start);
    let columns = parallel::map(cols.len(), |j| {
        let first = if half { j } else { 0 };
        let value = |i: usize| {
            // A pair of one set is taken as (later, earlier).
            let turned = at.is_within() && top + i < left + j;
            let (x, y) = if turned { (&cols[j], &rows[i]) } else { (&rows[i], &cols[j]) };
            kernel.compare(x, y)
        };
        (first..rows.len()).map(value).collect::<Vec<f64>>()
    });
    for (j, values) in columns.iter().enumerate() {
        let first = if half { j } else { 0 };
        for (i, value) in (first..).zip(values) {
            out[(i, j)] = *value;
            if half {
                out[(j, i)] = *value;
            }
        }
    }
}

fn forms<K: GraphKernel>(kernel: &K, graphs: &GraphSet) -> Vec<K::Form> {
    parallel::map(graphs.len(), |i| kernel.form(graphs.point(i)))
}

/// The Gram matrix of a set: every form is made once, and inner products of counts are summed feature by feature.
///
/// With `normalize`, K_ij/√(K_ii K_jj), where 0/0 is 0. Faster than [`kernels_core::gram`], with the same values.
///
/// # Errors
/// What the kernel says of the graphs.
///
/// ```
/// use kernels_graph::{GraphSet, WeisfeilerLehman, graph_gram, random_labelled_graphs};
/// let graphs = GraphSet::new(random_labelled_graphs(10, 1)?);
/// let k = graph_gram(&WeisfeilerLehman::new(3), &graphs, true)?;
/// assert!((k[(4, 4)] - 1.0).abs() < 1e-15 && k[(0, 1)] < 1.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn graph_gram<K: GraphKernel>(
    kernel: &K,
    graphs: &GraphSet,
    normalize: bool,
) -> Result<DMatrix<f64>, Error> {
    kernel.check(graphs)?;
    let forms = forms(kernel, graphs);
    let n = forms.len();
    let counts: Option<Vec<&Counts>> = forms.iter().map(|form| kernel.as_counts(form)).collect();
    let mut out = DMatrix::zeros(n, n);
    match counts {
        Some(counts) if n > 0 => {
            let features = Vocabulary::of(&counts).matrix(&counts)?;
            let postings = features.transpose_view().to_csr();
            parallel::fill(out.as_mut_slice(), n, |start, column| {
                let (ids, values) = crate::graph::row(&features, start / n);
                for (&id, value) in ids.iter().zip(values) {
                    let (graphs, others) = crate::graph::row(&postings, id as usize);
                    for (&g, other) in graphs.iter().zip(others) {
                        column[g as usize] += value * other;
                    }
                }
            });
        }
        _ => {
            parallel::fill(out.as_mut_slice(), n, |start, column| {
                let j = start / n;
                for (i, out) in column.iter_mut().enumerate().skip(j) {
                    *out = kernel.compare(&forms[i], &forms[j]);
                }
            });
            for j in 0..n {
                for i in 0..j {
                    out[(i, j)] = out[(j, i)];
                }
            }
        }
    }
    if normalize {
        let root: Vec<f64> = out.diagonal().iter().map(|d| d.sqrt()).collect();
        for j in 0..n {
            for i in 0..n {
                let scale = root[i] * root[j];
                out[(i, j)] = if !(scale > 0.0) {
                    0.0
                } else if i == j {
                    1.0
                } else {
                    out[(i, j)] / scale
                };
            }
        }
    }
    Ok(out)
}

/// The matrix between two sets, rows of `xs`, columns of `ys`; normalised by each graph's own value when asked for.
///
/// # Errors
/// What the kernel says of the graphs.
pub fn graph_cross_gram<K: GraphKernel>(
    kernel: &K,
    xs: &GraphSet,
    ys: &GraphSet,
    normalize: bool,
) -> Result<DMatrix<f64>, Error> {
    kernel.check(xs)?;
    kernel.check(ys)?;
    let (rows, columns) = (forms(kernel, xs), forms(kernel, ys));
    let scale = |form: &K::Form| if normalize { kernel.compare(form, form).sqrt() } else { 1.0 };
    let left: Vec<f64> = rows.iter().map(scale).collect();
    let right: Vec<f64> = columns.iter().map(scale).collect();
    let mut out = DMatrix::zeros(rows.len(), columns.len());
    if rows.is_empty() {
        return Ok(out);
    }
    parallel::fill(out.as_mut_slice(), rows.len(), |start, column| {
        let j = start / rows.len();
        for (i, out) in column.iter_mut().enumerate() {
            let scale = left[i] * right[j];
            *out = if scale > 0.0 { kernel.compare(&rows[i], &columns[j]) / scale } else { 0.0 };
        }
    });
    Ok(out)
}

/// The columns of names.
struct Vocabulary {
    ids: HashMap<FeatureId, u32, BuildHasherDefault<Names>>,
}

/// Names are hashes already.
#[derive(Default)]
struct Names(u64);

impl Hasher for Names {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }
    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
    fn write_u128(&mut self, word: u128) {
        self.0 ^= word as u64;
    }
}

impl Vocabulary {
    fn of(counts: &[&Counts]) -> Self {
        let mut all: Vec<FeatureId> = counts.iter().flat_map(|c| c.iter().map(|(id, _)| id)).collect();
        all.sort_unstable();
        all.dedup();
        Self { ids: all.into_iter().zip(0..).collect() }
    }

    /// Rows of known features.
    fn matrix(&self, counts: &[&Counts]) -> Result<SparseMatrix, Error> {
        let (mut indptr, mut indices, mut data) = (vec![0], Vec::new(), Vec::new());
        for counts in counts {
            // Names ascend, and so do their columns.
            for (id, value) in counts.iter() {
                if let Some(&column) = self.ids.get(&id) {
                    indices.push(column);
                    data.push(value);
                }
            }
            indptr.push(indices.len());
        }
        compressed(counts.len(), self.ids.len(), indptr, indices, data)
    }
}

/// Explicit features fitted to a set: the columns are the features that occur there.
///
/// Features of other graphs that do not occur there are left out of their rows and only count in their norms.
pub struct GraphFeatures<K> {
    kernel: K,
    vocabulary: Vocabulary,
}

/// Sparse feature matrix of a set (rows are graphs; inner products are the kernel), and the map that made it.
///
/// # Errors
/// What the kernel says of the graphs.
///
/// ```
/// use kernels_graph::{GraphSet, ShortestPath, explicit_features, random_labelled_graphs};
/// let graphs = random_labelled_graphs(6, 1)?;
/// let (matrix, map) = explicit_features(ShortestPath::new(), &GraphSet::new(graphs[..5].to_vec()))?;
/// let (unseen, norms) = map.transform(&GraphSet::new(graphs[5..].to_vec()))?;
/// assert_eq!((matrix.rows(), unseen.cols()), (5, matrix.cols()));
/// assert!(norms[0] > 0.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn explicit_features<K: ExplicitFeatures>(
    kernel: K,
    graphs: &GraphSet,
) -> Result<(SparseMatrix, GraphFeatures<K>), Error> {
    kernel.check(graphs)?;
    let forms = forms(&kernel, graphs);
    let counts: Vec<&Counts> = forms.iter().collect();
    let vocabulary = Vocabulary::of(&counts);
    Ok((vocabulary.matrix(&counts)?, GraphFeatures { kernel, vocabulary }))
}

impl<K: ExplicitFeatures> GraphFeatures<K> {
    /// Number of features.
    pub fn dim(&self) -> usize {
        self.vocabulary.ids.len()
    }

    /// Rows of other graphs, and √k(g, g) of each, which counts features outside the vocabulary too.
    ///
    /// # Errors
    /// What the kernel says of the graphs.
    pub fn transform(&self, graphs: &GraphSet) -> Result<(SparseMatrix, Vec<f64>), Error> {
        self.kernel.check(graphs)?;
        let forms = forms(&self.kernel, graphs);
        let counts: Vec<&Counts> = forms.iter().collect();
        let norms = forms.iter().map(|form| self.kernel.compare(form, form).sqrt()).collect();
        Ok((self.vocabulary.matrix(&counts)?, norms))
    }
}
