//! Spectral densities, square roots and samplers against closed forms in 40 digits.

use kernels_core::{
    AnyKernel, BSpline, Cauchy, CauchyProduct, Exponential, GammaExponential, GeneralizedGaussian,
    InverseMultiquadric, Kernel, Laplacian, Logistic, Matern, Periodic, RandomFourier, RationalQuadratic,
    Rbf, Rows, Sech, Sinc, Spectral, SpectralDensity, SpectralMixture, SquareRoot, features, spectral_power,
    square_root,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::read;

const LENGTH: f64 = 0.8;

#[test]
fn densities() {
    let file = read(include_str!("spectral.json"));
    let omega: Vec<f64> = file["omega"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let check = |name: &str, dim: usize, density: &dyn Fn(&[f64]) -> f64| {
        for (i, w) in omega.iter().enumerate() {
            let Some(expected) = file["density"][name][i].as_f64() else { continue };
            // The density depends on ‖ω‖ alone.
            let each = w / (dim as f64).sqrt();
            let got = density(&vec![each; dim]);
            assert!((got - expected).abs() <= 2e-13 * expected, "{name} at {w}: {got:e}, {expected:e}");
        }
    };
    for dim in [1, 2, 3] {
        let rbf = Rbf::new(LENGTH).unwrap();
        check(&format!("rbf_d{dim}"), dim, &|w| rbf.density(w));
        for nu in [0.5, 1.5, 2.5, 0.8] {
            let matern = Matern::new(nu, LENGTH).unwrap();
            check(&format!("matern{nu}_d{dim}"), dim, &|w| matern.density(w));
        }
        let exponential = Exponential::new(LENGTH).unwrap();
        check(&format!("matern0.5_d{dim}"), dim, &|w| exponential.density(w));
        let quadratic = RationalQuadratic::new(2.0, LENGTH).unwrap();
        check(&format!("rational_quadratic_alpha2_d{dim}"), dim, &|w| quadratic.density(w));
        // A length scale a feature is the same.
        let each = Rbf::new(vec![LENGTH; dim]).unwrap();
        check(&format!("rbf_d{dim}"), dim, &|w| each.density(w));
    }
    let (laplacian, cauchy) = (Laplacian::new(LENGTH).unwrap(), Cauchy::new(LENGTH).unwrap());
    let product = CauchyProduct::new(LENGTH).unwrap();
    check("laplacian_l1_per_dim(gamma=1/l)", 1, &|w| laplacian.density(w));
    check("cauchy_1d (1/(1+t^2/l^2))", 1, &|w| cauchy.density(w));
    check("cauchy_1d (1/(1+t^2/l^2))", 1, &|w| product.density(w));
    let (sech, logistic) = (Sech::new(LENGTH).unwrap(), Logistic::new(LENGTH).unwrap());
    check("sech_1d (sech(t/l))", 1, &|w| sech.density(w));
    check("logistic_1d (sech^2(t/2l))", 1, &|w| logistic.density(w));
    let multiquadric = InverseMultiquadric::new(1.0, 0.5).unwrap();
    check("inverse_multiquadric_c1_beta0.5_d1_unnormalised", 1, &|w| multiquadric.density(w));
    assert!(multiquadric.density(&[0.0]).is_infinite());
    let sinc = Sinc::new(2.0).unwrap();
    assert!((sinc.density(&[1.5]) - 1.0 / std::f64::consts::PI).abs() < 1e-15 && sinc.density(&[1.6]) == 0.0);
}

#[test]
fn roots_and_powers() {
    let file = read(include_str!("spectral.json"));
    for (dim, c) in file["sqrt_kernels"]["gaussian"]["c"].as_object().unwrap() {
        let root = Rbf::new(LENGTH).unwrap().square_root(dim.parse().unwrap()).unwrap();
        assert!((root.scale() - c.as_f64().unwrap()).abs() < 1e-14);
        // exp(−r²/ℓ²) is the Gaussian of ℓ/√2.
        assert!((root.kernel().eval(&[0.0], &[0.8]) - (-1.0_f64).exp()).abs() < 1e-15);
    }
    for case in file["sqrt_kernels"]["matern"]["cases"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let dim = number("d") as usize;
        let root = Matern::new(number("nu"), LENGTH).unwrap().square_root(dim).unwrap();
        assert!((root.scale() - number("amplitude")).abs() < 1e-12 * number("amplitude"), "{case}");
        let nu = root.kernel().profile().nu();
        assert!((nu - number("nu_sqrt")).abs() < 1e-15);
        let rate = (2.0 * nu).sqrt() / root.kernel().length_scale().values()[0];
        assert!((rate - number("gamma")).abs() < 1e-14);
        // As text.
        let kernel: AnyKernel<f64> =
            format!("matern(nu={}, length_scale=0.8)", number("nu")).parse().unwrap();
        let dynamic = square_root(&kernel, dim).unwrap();
        let (x, y) = (vec![0.0; dim], vec![0.3; dim]);
        assert!((dynamic.eval(&x, &y) - root.eval(&x, &y)).abs() < 1e-14);
    }
    for case in file["alpha_power_matern"]["cases"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let kernel = Matern::new(number("nu"), 1.0).unwrap();
        let power = kernel.spectral_power(number("alpha"), number("d") as usize).unwrap();
        assert!((power.profile().nu() - number("nu_alpha")).abs() < 1e-15);
        // Proportional to the density's power: the ratio does not depend on the frequency.
        let ratio = |w: f64| {
            let at = vec![w; number("d") as usize];
            kernel.density(&at).powf(number("alpha")) / power.density(&at)
        };
        assert!((ratio(0.1) / ratio(3.0) - 1.0).abs() < 1e-12);
    }
    assert!(Matern::new(0.5, 1.0).unwrap().square_root(1).is_err());
    assert!(Matern::new(1.5, 1.0).unwrap().spectral_power(0.1, 3).is_err());
    let dynamic = |text: &str| text.parse::<AnyKernel<f64>>().unwrap();
    assert!(
        square_root(&dynamic("cauchy()"), 1).is_err() && square_root(&dynamic("rbf() + rbf()"), 1).is_err()
    );
    let root = square_root(&dynamic("4 * sinc(length_scale=[2, 8])"), 2).unwrap();
    assert!((root.eval(&[0.0, 0.0], &[0.0, 0.0]) - 0.5).abs() < 1e-15);
    let power = spectral_power(&dynamic("rbf(length_scale=[1, 2])"), 0.5, 2).unwrap();
    assert!((power.eval(&[0.0, 0.0], &[1.0, 0.0]) - (-1.0_f64).exp()).abs() < 1e-15);
}

#[test]
fn root_of_a_spline() {
    // ∫ r(x, z) r(z, y) dz by the midpoint rule: exact to its second order where the root is a hat, order 2.
    for (order, tolerance) in [(4, 1e-6), (6, 1e-6), (8, 1e-9), (12, 1e-9)] {
        let kernel = BSpline::new(order, LENGTH).unwrap().with_peak(1.5).unwrap();
        let root = kernel.square_root(1).unwrap();
        let step = 1e-3;
        for y in [0.0, 0.3, 1.1, 2.0] {
            let sum: f64 = (-8000..8000)
                .map(|i| (f64::from(i) + 0.5) * step)
                .map(|z| root.eval(&[0.0], &[z]) * root.eval(&[z], &[y]) * step)
                .sum();
            let expected: f64 = kernel.eval(&[0.0], &[y]);
            assert!((sum - expected).abs() < tolerance, "order {order} at {y}: {sum}, {expected}");
        }
        let text: AnyKernel<f64> =
            format!("bspline(order={order}, length_scale=0.8, peak=1.5)").parse().unwrap();
        let dynamic = square_root(&text, 2).unwrap();
        let direct = kernel.square_root(2).unwrap();
        let (x, y) = ([0.0, 0.1], [0.2, 0.4]);
        let (a, b): (f64, f64) = (dynamic.eval(&x, &y), direct.eval(&x, &y));
        assert!((a - b).abs() < 1e-14);
        assert!(kernel.spectral_power(0.3, 1).is_err());
    }
    assert!(BSpline::new(2, 1.0).unwrap().square_root(1).is_err());
    assert!(BSpline::new(5, 1.0).unwrap().square_root(1).is_err());
}

#[test]
fn turns_of_the_periodic_kernel() {
    let file = read(include_str!("spectral.json"));
    let series = &file["periodic_series"];
    let number = |name: &str| series[name].as_f64().unwrap();
    let kernel = Periodic::new(number("period"), number("lengthscale")).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let draws = 50_000;
    let mut counts = [0_u32; 9];
    for _ in 0..draws {
        let mut frequency = [0.0];
        kernel.draw(&mut frequency, &mut rng);
        let turns = frequency[0] * number("period") / (2.0 * std::f64::consts::PI);
        assert!((turns - turns.round()).abs() < 1e-12);
        if let Some(count) = counts.get_mut(turns.abs().round() as usize) {
            *count += 1;
        }
    }
    for (k, c) in series["coeffs_c_k_k0_8"].as_array().unwrap().iter().enumerate() {
        // c_k are the probabilities of ±k: a binomial count, within 5 deviations and a half.
        let (p, n) = (c.as_f64().unwrap(), f64::from(draws));
        let deviation = (n * p * (1.0 - p)).sqrt();
        assert!((f64::from(counts[k]) - n * p).abs() <= 5.0 * deviation + 0.5, "{k}: {}", counts[k]);
    }
    // Length scales at which no turn, and at which countless ones, are drawn.
    for length_scale in [1e-200, 1e-12, 1e12, 1e200] {
        let mut frequency = [0.0];
        Periodic::new(1.0, length_scale).unwrap().draw(&mut frequency, &mut rng);
        assert!(frequency[0].is_finite());
    }
}

#[test]
fn the_value_at_0_enters_features() {
    let xs = Rows::from_row_major(vec![0.3, 0.1, -0.7, 1.2], 2, 2).unwrap();
    let mixture = SpectralMixture::new(
        &[0.5, 1.5],
        &[vec![0.1, 0.3], vec![0.5, 0.0]],
        &[vec![0.2, 0.1], vec![0.3, 0.2]],
    )
    .unwrap();
    let z = features(&RandomFourier::new(&mixture, 2, 50, 3).unwrap(), &xs).unwrap();
    let squared: f64 = z.row(0).norm_squared();
    assert!((squared - 2.0).abs() < 1e-12);
    assert!(RandomFourier::new(&mixture, 3, 50, 3).is_err());
    let multiquadric = InverseMultiquadric::new(0.5, 1.0).unwrap();
    let z = features(&RandomFourier::orthogonal(&multiquadric, 2, 50, 3).unwrap(), &xs).unwrap();
    assert!((z.row(1).norm_squared() - 4.0).abs() < 1e-12);
}

/// E cos(ω·δ) = k(δ)/k(0) within 5 standard errors, which are below √(½/n).
#[test]
fn samplers_draw_from_the_density() {
    fn check(kernel: &(impl Kernel<Rows<f64>> + Spectral), name: &str) {
        let draws = 20_000;
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut sums = [0.0; 3];
        let places = [[0.2, 0.1], [0.7, -0.4], [1.5, 1.0]];
        let mut frequency = [0.0; 2];
        for _ in 0..draws {
            kernel.draw(&mut frequency, &mut rng);
            for (sum, t) in sums.iter_mut().zip(places) {
                let scale = kernel.scale().values()[0];
                *sum += ((frequency[0] * t[0] + frequency[1] * t[1]) / scale).cos();
            }
        }
        for (sum, t) in sums.into_iter().zip(places) {
            let at = |t: &[f64]| kernel.eval(&[0.0, 0.0], t) / kernel.variance();
            let (got, expected) = (sum / draws as f64, at(&t));
            // Var cos(ω·δ) = (1 + k(2δ))/2 − k(δ)².
            let double = at(&[2.0 * t[0], 2.0 * t[1]]);
            let deviation = ((0.5 * (1.0 + double) - expected * expected) / draws as f64).sqrt();
            assert!(
                (got - expected).abs() <= 5.0 * deviation + 1e-12,
                "{name}: {got}, {expected}, {deviation}"
            );
        }
    }
    check(&InverseMultiquadric::new(0.6, 1.2).unwrap(), "inverse multiquadric");
    check(&Periodic::new(0.9, 0.7).unwrap(), "periodic");
    let (means, scales) = ([vec![0.1, 0.3], vec![0.5, 0.0]], [vec![0.2, 0.1], vec![0.3, 0.0]]);
    check(&SpectralMixture::new(&[0.6, 0.9], &means, &scales).unwrap(), "spectral mixture");
    check(&Sinc::new(1.3).unwrap(), "sinc");
    check(&Sech::new(1.3).unwrap(), "sech");
    check(&Logistic::new(0.7).unwrap(), "logistic");
    check(&CauchyProduct::new(1.3).unwrap(), "cauchy product");
    for exponent in [0.6, 1.0, 1.5, 2.0] {
        check(&GeneralizedGaussian::new(exponent, 1.3).unwrap(), "generalised Gaussian");
        check(&GammaExponential::new(exponent, 1.3).unwrap(), "powered exponential");
    }
}
