//! Predictions among classes of a metric space, and which classes to observe.

use nalgebra::DMatrix;

use crate::{Error, access, error};

fn check(distances: &DMatrix<f64>, observed: &[usize]) -> Result<usize, Error> {
    let c = distances.nrows();
    error::expect("columns of the distances of classes", c, distances.ncols())?;
    error::finite("distance", distances.as_slice())?;
    if let Some(&given) = observed.iter().find(|i| **i >= c) {
        let expected = "below the number of classes";
        return Err(Error::Count { what: "index of a class", given, expected, limit: c });
    }
    Ok(c)
}

/// Classifies among all classes of a metric space from the probabilities of a few observed ones: the class nearest in mean square
/// (the Fréchet mean) argmin_v Σ_c p_c d(c, v)². A classifier of k classes so predicts all C of them.
///
/// `probabilities` is m × k, a row a query, columns as `observed`. Lowest index on ties.
///
/// **Errors.** Distances that are not square or not finite, indices out of range, another number of columns.
///
/// Reference: Roberts et al., *Geometry-aware adaptation for pretrained models* (2023).
///
/// ```
/// use nalgebra::DMatrix;
/// // Three classes on a line; only the outer two were observed.
/// let d = DMatrix::from_fn(3, 3, |i, j| (i as f64 - j as f64).abs());
/// let p = DMatrix::from_row_slice(2, 2, &[0.5, 0.5, 0.9, 0.1]);
/// assert_eq!(kernels_sample::frechet_classes(&d, &[0, 2], &p)?, [1, 0]);
/// # Ok::<(), kernels_sample::Error>(())
/// ```
pub fn frechet_classes(
    distances: &DMatrix<f64>,
    observed: &[usize],
    probabilities: &DMatrix<f64>,
) -> Result<Vec<usize>, Error> {
    let variances = frechet_variances(distances, observed, probabilities)?;
    Ok(variances
        .row_iter()
        .map(|row| {
            let row: Vec<f64> = row.iter().copied().collect();
            access::argmin(&row, |_| true).unwrap_or(0)
        })
        .collect())
}

/// Σ_c p_c d(c, v)² for every query (rows) and class v (columns): what [`frechet_classes`] minimises.
///
/// **Errors.** As [`frechet_classes`].
pub fn frechet_variances(
    distances: &DMatrix<f64>,
    observed: &[usize],
    probabilities: &DMatrix<f64>,
) -> Result<DMatrix<f64>, Error> {
    let c = check(distances, observed)?;
    error::at_least("observed classes", 1, observed.len())?;
    error::expect(
        "columns of the probabilities (one an observed class)",
        observed.len(),
        probabilities.ncols(),
    )?;
    error::finite("probability", probabilities.as_slice())?;
    let squares = DMatrix::from_fn(observed.len(), c, |k, v| distances[(observed[k], v)].powi(2));
    Ok(probabilities * squares)
}

/// Which classes of a tree to observe next: again and again the one farthest from the locus, the union of the paths between those
/// observed so far. `distances` are lengths of paths in the tree, all its nodes; `observed` holds at least one.
///
/// The distance of v from the path between a and b is (d(v, a) + d(v, b) − d(a, b))/2. New classes only; it ends early when the
/// locus has reached every class. Lowest index on ties.
///
/// **Errors.** As [`frechet_classes`]; no observed class. **Complexity.** O(C) for every pair of classes observed.
pub fn farthest_classes(
    distances: &DMatrix<f64>,
    observed: &[usize],
    size: usize,
) -> Result<Vec<usize>, Error> {
    let c = check(distances, observed)?;
    error::at_least("observed classes", 1, observed.len())?;
    let mut apart = vec![f64::INFINITY; c];
    let mut known: Vec<usize> = Vec::new();
    let mut add = |s: usize, apart: &mut [f64]| {
        known.push(s);
        for &a in &known {
            for (v, apart) in apart.iter_mut().enumerate() {
                let d = 0.5 * (distances[(v, a)] + distances[(v, s)] - distances[(a, s)]);
                *apart = apart.min(d.max(0.0));
            }
        }
    };
    observed.iter().for_each(|&s| add(s, &mut apart));
    let largest = distances.amax();
    let mut out = Vec::new();
    while out.len() < size {
        // What is on the locus is there but for rounding.
        let Some(next) = access::argmax(&apart, |_| true).filter(|&v| apart[v] > 1e-12 * largest) else {
            break;
        };
        add(next, &mut apart);
        out.push(next);
    }
    Ok(out)
}
