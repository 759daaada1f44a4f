//! Information of a set of labelled items on a graph of labels.

use nalgebra::DMatrix;

use crate::{
    Error, Graph, SparseMatrix,
    error::{parameter, positive, shape},
    graph::{compressed, row},
    laplacian::inverse,
};

/// How information of a label grows with what has been gathered of it: concave, 0 at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Growth {
    /// (x + a)ᵇ − aᵇ.
    Power {
        /// a, above 0.
        offset: f64,
        /// b, above 0, at most 1.
        exponent: f64,
    },
    /// 1 − exp(−αx).
    Exponential {
        /// α, above 0.
        rate: f64,
    },
}

impl Default for Growth {
    fn default() -> Self {
        Self::Power { offset: 1e-6, exponent: 0.8 }
    }
}

impl Growth {
    fn check(self) -> Result<Self, Error> {
        match self {
            Self::Power { offset, exponent } => {
                positive("offset", offset)?;
                if !(exponent > 0.0 && exponent <= 1.0) {
                    return Err(parameter("exponent", exponent, "above 0, at most 1"));
                }
            }
            Self::Exponential { rate } => {
                positive("rate", rate)?;
            }
        }
        Ok(self)
    }

    fn value(self, x: f64) -> f64 {
        match self {
            Self::Power { offset, exponent } => (x + offset).powf(exponent) - offset.powf(exponent),
            Self::Exponential { rate } => -(-rate * x).exp_m1(),
        }
    }

    fn slope(self, x: f64) -> f64 {
        match self {
            Self::Power { offset, exponent } => exponent * (x + offset).powf(exponent - 1.0),
            Self::Exponential { rate } => rate * (-rate * x).exp(),
        }
    }
}

/// The information Σₗ φ((Σᵢ vᵢP)ₗ) of items whose qualities lie on labels: what an item has on a label spreads to similar labels by P, and information of a
/// label grows concavely. Monotone and submodular in the set of items.
///
/// P has the entries Wₗₗ and αWₗₘ of a similarity graph W of the labels, every column scaled to sum 1.
///
/// Reference: Chen et al., *MIG: automatic data selection for instruction tuning by maximizing information gain in semantic space* (2025).
///
/// ```
/// use kernels_graph::{Graph, LabelInformation};
/// // Labels 0 and 1 are alike, 2 is not.
/// let labels = Graph::undirected(3, [(0, 0, 1.0), (1, 1, 1.0), (2, 2, 1.0), (0, 1, 0.95)])?;
/// let measure = LabelInformation::new(&labels, 1.0)?;
/// let items = measure.spread(&[vec![0], vec![1], vec![2]], &[1.0, 0.9, 0.8], false)?;
/// assert_eq!(measure.select(&items, 2)?, [0, 2]);
/// assert!(measure.information(&items, &[0, 2])? > measure.information(&items, &[0, 1])?);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LabelInformation {
    spread: SparseMatrix,
    growth: Growth,
}

impl LabelInformation {
    /// The measure of a similarity graph of labels, a label's loop its similarity to itself; `alpha` weighs other labels.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] unless `alpha` is finite and not negative; a directed graph.
    pub fn new(labels: &Graph, alpha: f64) -> Result<Self, Error> {
        labels.need_undirected()?;
        if !(alpha >= 0.0 && alpha.is_finite()) {
            return Err(parameter("alpha", alpha, "a finite number, 0 or above"));
        }
        let n = labels.nodes();
        let factor = |i: usize, j: usize| if i == j { 1.0 } else { alpha };
        // W is symmetric: sums of its columns are sums of its rows.
        let sums: Vec<f64> =
            (0..n).map(|j| labels.neighbours(j).map(|(i, w)| factor(i, j) * w).sum()).collect();
        let mut spread = labels.adjacency().clone();
        let starts = spread.indptr().into_raw_storage().to_vec();
        let columns = spread.indices().to_vec();
        for i in 0..n {
            for at in starts[i]..starts[i + 1] {
                let j = columns[at] as usize;
                spread.data_mut()[at] *= factor(i, j) * inverse(sums[j]);
            }
        }
        Ok(Self { spread, growth: Growth::default() })
    }

    /// The measure of embeddings of labels, one row a label: W = cosines, those below `threshold` set to 0.
    ///
    /// # Errors
    /// As [`LabelInformation::new`]; values that are not finite, a threshold that is not above 0.
    pub fn of_embeddings(embeddings: &DMatrix<f64>, threshold: f64, alpha: f64) -> Result<Self, Error> {
        positive("threshold", threshold)?;
        let n = embeddings.nrows();
        let norms: Vec<f64> = embeddings.row_iter().map(|row| row.norm()).collect();
        let across = embeddings.transpose();
        let mut edges = Vec::new();
        for i in 0..n {
            for j in i..n {
                let cosine = across.column(i).dot(&across.column(j)) * inverse(norms[i] * norms[j]);
                if cosine >= threshold || !cosine.is_finite() {
                    edges.push((i, j, cosine));
                }
            }
        }
        Self::new(&Graph::undirected(n, edges)?, alpha)
    }

    /// How information grows.
    ///
    /// # Errors
    /// [`kernels_core::Error::Parameter`] out of range.
    pub fn growth(mut self, growth: Growth) -> Result<Self, Error> {
        self.growth = growth.check()?;
        Ok(self)
    }

    /// vᵢP, a row an item: its quality on each of its labels, divided by their number when `shared`, and spread.
    ///
    /// # Errors
    /// Shapes, labels out of range, qualities that are negative or not finite.
    pub fn spread(&self, items: &[Vec<usize>], quality: &[f64], shared: bool) -> Result<SparseMatrix, Error> {
        shape("qualities", items.len(), quality.len())?;
        let n = self.spread.rows();
        let (mut indptr, mut indices, mut data) = (vec![0], Vec::new(), Vec::new());
        let mut sums: Vec<(u32, f64)> = Vec::new();
        for (labels, &quality) in items.iter().zip(quality) {
            if !(quality >= 0.0 && quality.is_finite()) {
                return Err(parameter("quality", quality, "a finite number, 0 or above"));
            }
            let share = if shared { quality * inverse(labels.len() as f64) } else { quality };
            sums.clear();
            for &label in labels {
                if label >= n {
                    return Err(Error::Node { what: "the labels of an item", node: label, nodes: n });
                }
                let (columns, values) = row(&self.spread, label);
                sums.extend(columns.iter().zip(values).map(|(&j, p)| (j, share * p)));
            }
            sums.sort_by_key(|entry| entry.0);
            for equal in sums.chunk_by(|a, b| a.0 == b.0) {
                indices.push(equal[0].0);
                data.push(equal.iter().map(|entry| entry.1).sum());
            }
            indptr.push(indices.len());
        }
        compressed(items.len(), n, indptr, indices, data)
    }

    /// The information of some items, rows of [`LabelInformation::spread`].
    ///
    /// # Errors
    /// Shapes, items out of range.
    pub fn information(&self, items: &SparseMatrix, chosen: &[usize]) -> Result<f64, Error> {
        shape("labels of the items", self.spread.rows(), items.cols())?;
        let mut gathered = vec![0.0; items.cols()];
        for &item in chosen {
            if item >= items.rows() {
                return Err(Error::Node { what: "the chosen items", node: item, nodes: items.rows() });
            }
            let (columns, values) = row(items, item);
            columns.iter().zip(values).for_each(|(&j, v)| gathered[j as usize] += v);
        }
        Ok(gathered.iter().map(|x| self.growth.value(*x)).sum())
    }

    /// `count` items one after another, each with the largest first-order gain (vᵢP)·φ'(gathered); ties go to the lower index. O(entries) an item.
    ///
    /// # Errors
    /// Shapes; [`kernels_core::Error::TooFewPoints`] for more items than there are.
    pub fn select(&self, items: &SparseMatrix, count: usize) -> Result<Vec<usize>, Error> {
        shape("labels of the items", self.spread.rows(), items.cols())?;
        if count > items.rows() {
            let (what, needed, given) = ("a choice of items", count, items.rows());
            return Err(kernels_core::Error::TooFewPoints { what, needed, given }.into());
        }
        let mut gathered = vec![0.0; items.cols()];
        let mut slope: Vec<f64> = gathered.iter().map(|x| self.growth.slope(*x)).collect();
        let mut open = vec![true; items.rows()];
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count {
            let mut best = (0, f64::NEG_INFINITY);
            for item in (0..items.rows()).filter(|item| open[*item]) {
                let (columns, values) = row(items, item);
                let gain = columns.iter().zip(values).map(|(&j, v)| v * slope[j as usize]).sum();
                if gain > best.1 {
                    best = (item, gain);
                }
            }
            open[best.0] = false;
            chosen.push(best.0);
            let (columns, values) = row(items, best.0);
            for (&j, v) in columns.iter().zip(values) {
                gathered[j as usize] += v;
                slope[j as usize] = self.growth.slope(gathered[j as usize]);
            }
        }
        Ok(chosen)
    }
}
