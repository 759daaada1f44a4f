//! Learned spectra: gradients against differences, and fits.

use kernels_core::{Error, FeatureMap, LearnedFourier, Rows, features};
use nalgebra::DMatrix;

fn xs() -> Rows<f64> {
    Rows::from_row_major((0..36).map(|i| (f64::from(i) * 0.7).sin()).collect(), 12, 3).unwrap()
}

fn weights(n: usize, m: usize) -> DMatrix<f64> {
    DMatrix::from_fn(n, m, |i, j| ((3 * i + 7 * j) as f64).cos())
}

#[test]
fn gradients_are_those_of_differences() {
    for map in
        [LearnedFourier::mixture(3, 2, 5, 0.8, 3).unwrap(), LearnedFourier::fastfood(3, 8, 0.8, 3).unwrap()]
    {
        let m = FeatureMap::<Rows<f64>>::dim(&map.map().unwrap());
        let w = weights(12, m);
        // A loss that is not linear: Σ w z + (Σ w z)²/2.
        let linear = |map: &LearnedFourier| features(&map.map().unwrap(), &xs()).unwrap().dot(&w);
        let value = |map: &LearnedFourier| linear(map) + 0.5 * linear(map).powi(2);
        let gradient = map.gradient(&xs(), &(&w * (1.0 + linear(&map)))).unwrap();
        let parameters = map.parameters().to_vec();
        for (i, slope) in gradient.iter().enumerate() {
            let shifted = |h: f64| {
                let mut p = parameters.clone();
                p[i] += h;
                value(&map.clone().with_parameters(&p).unwrap())
            };
            let h = 1e-5;
            let difference = (shifted(h) - shifted(-h)) / (2.0 * h);
            // Central differences of step 1e-5: rounding of 1e-11, and h² third derivatives.
            assert!((slope - difference).abs() < 1e-7 * (1.0 + slope.abs()), "{i}: {slope} {difference}");
        }
    }
}

/// A kernel fitted to the Gram matrix of one with two frequencies, which no Gaussian has.
#[test]
fn fits_lower_the_loss() {
    let x = xs();
    let target = DMatrix::from_fn(12, 12, |i, j| {
        let delta = |k: usize| x.as_slice()[3 * i + k] - x.as_slice()[3 * j + k];
        0.5 * (2.0 * delta(0)).cos() + 0.5 * (1.5 * delta(1) - delta(2)).cos()
    });
    let loss = |z: &DMatrix<f64>| {
        let error = z * z.transpose() - &target;
        Ok((error.norm_squared(), &error * z * 4.0))
    };
    for map in
        [LearnedFourier::mixture(3, 4, 32, 1.0, 1).unwrap(), LearnedFourier::fastfood(3, 32, 1.0, 1).unwrap()]
    {
        let (fitted, losses) = map.clone().fit(&x, 150, 0.05, loss).unwrap();
        assert_eq!(losses.len(), 150);
        assert!(losses[149] < 0.2 * losses[0], "{} {}", losses[0], losses[149]);
        let z = features(&fitted.map().unwrap(), &x).unwrap();
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(((&z * z.transpose() - &target).norm_squared() - least).abs() < 1e-12 * losses[0]);
        // The same seed, the same bits.
        assert_eq!(map.fit(&x, 150, 0.05, loss).unwrap().1, losses);
    }
}

#[test]
fn refusals() {
    let map = LearnedFourier::mixture(3, 2, 5, 1.0, 0).unwrap();
    assert!(map.clone().with_parameters(&[1.0]).is_err());
    assert!(matches!(map.clone().with_parameters(&[f64::NAN; 12]), Err(Error::NotFinite { .. })));
    assert!(map.gradient(&xs(), &DMatrix::zeros(12, 3)).is_err());
    assert!(map.clone().fit(&xs(), 2, 0.0, |z| Ok((0.0, z.clone()))).is_err());
    assert!(map.clone().fit(&xs(), 2, 0.1, |z| Ok((f64::NAN, z.clone()))).is_err());
    assert!(map.fit(&xs(), 2, 0.1, |_| Err(Error::Cancelled)).is_err());
    assert!(
        LearnedFourier::mixture(3, 0, 5, 1.0, 0).is_err() && LearnedFourier::fastfood(3, 0, 1.0, 0).is_err()
    );
    assert!(LearnedFourier::fastfood(3, 4, -1.0, 0).is_err());
}
