//! Points to rows of a matrix whose inner products are, or estimate, a kernel.

mod attention;
mod binning;
mod fourier;
mod hadamard;
mod learned;
mod low_discrepancy;
#[cfg(feature = "dense")]
mod nystrom;
mod orthogonal;
#[cfg(feature = "dense")]
mod report;
mod sketch;
mod softmax;
mod spectral;
mod sphere;
mod taylor;
mod trigonometric;
mod universal;

use std::ops::Range;

use nalgebra::DMatrix;

use crate::{
    Error, Points, Tile, Workspace,
    engine::{allocate, for_each_rows},
};

pub use attention::{exact_attention, linear_attention};
pub use binning::RandomBinning;
pub use fourier::RandomFourier;
pub use hadamard::StructuredFourier;
pub use learned::LearnedFourier;
#[cfg(feature = "dense")]
pub use nystrom::NystromFeatures;
#[cfg(feature = "dense")]
pub use report::FeatureReport;
pub use sketch::TensorSketch;
pub use softmax::SoftmaxFeatures;
pub use spectral::{Spectral, SpectralQuantile};
pub use sphere::{GegenbauerFeatures, sphere_eigenvalues};
pub use taylor::TaylorFeatures;
pub use trigonometric::TrigonometricFeatures;
pub use universal::UniversalFeatures;

/// A map φ of points to vectors: k(x, y) = ⟨φ(x), φ(y)⟩ exactly, or on average over the map's randomness.
pub trait FeatureMap<P: Points + ?Sized>: Send + Sync {
    /// Number m of features.
    fn dim(&self) -> usize;

    /// Overwrites `out[(i, j)]` with feature j of point `rows.start + i`. A row depends on its point alone.
    ///
    /// The shape of `out` must be (`rows.len()`, [`FeatureMap::dim`]); [`features`] sees to that.
    fn features(&self, xs: &P, rows: Range<usize>, out: Tile<'_, P::Scalar>, ws: &mut Workspace<P::Scalar>);

    /// Whether these points can be mapped.
    ///
    /// # Errors
    /// [`Error::Shape`] when they have another number of features than the map was made for, say.
    fn check(&self, xs: &P) -> Result<(), Error> {
        let _ = xs;
        Ok(())
    }
}

/// The feature matrix of a data set, n × m.
///
/// **Errors.** What [`FeatureMap::check`] says; [`Error::Memory`]. The bits do not depend on the number of threads.
///
/// ```
/// use kernels_core::{Kernel, RandomFourier, Rbf, Rows, features};
/// let kernel = Rbf::new(1.0)?;
/// let map = RandomFourier::new(&kernel, 2, 2000, 7)?;
/// let xs = Rows::from_row_major(vec![0.0, 0.0, 1.0, 0.5], 2, 2)?;
/// let z = features(&map, &xs)?;
/// let (estimate, exact): (f64, f64) = (z.row(0).dot(&z.row(1)), kernel.eval(&[0.0, 0.0], &[1.0, 0.5]));
/// assert!((estimate - exact).abs() < 0.1);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn features<P: Points + ?Sized>(
    map: &(impl FeatureMap<P> + ?Sized),
    xs: &P,
) -> Result<DMatrix<P::Scalar>, Error> {
    map.check(xs)?;
    let mut out = allocate(xs.len(), map.dim())?;
    for_each_rows(out.as_view_mut(), |rows, out, ws| map.features(xs, rows, out, ws));
    Ok(out)
}

/// The check of maps made for rows of `expected` features.
pub(crate) fn check_dim(expected: usize, given: usize) -> Result<(), Error> {
    if expected == given {
        Ok(())
    } else {
        Err(Error::Shape { what: "number of features of the points", expected, given })
    }
}

/// The check of maps made of random draws.
pub(crate) fn check_count(what: &'static str, given: usize) -> Result<(), Error> {
    if given > 0 { Ok(()) } else { Err(Error::TooFewPoints { what, needed: 1, given }) }
}

/// The random stream of item `item`.
pub(crate) fn stream(seed: u64, item: u64) -> rand_chacha::ChaCha8Rng {
    use rand::SeedableRng;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(item);
    rng
}
