//! Spectral densities, square roots and samplers against closed forms in 40 digits.

use kernels_core::{
    AnyKernel, Cauchy, CauchyProduct, Exponential, GammaExponential, GeneralizedGaussian,
    InverseMultiquadric, Kernel, Laplacian, Logistic, Matern, RationalQuadratic, Rbf, Rows, Sech, Sinc,
    Spectral, SpectralDensity, SquareRoot, spectral_power, square_root,
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

/// E cos(ω·δ) = k(δ) within 5 standard errors, which are below √(½/n).
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
            let (got, expected) = (sum / draws as f64, kernel.eval(&[0.0, 0.0], &t));
            // Var cos(ω·δ) = (1 + k(2δ))/2 − k(δ)².
            let double = kernel.eval(&[0.0, 0.0], &[2.0 * t[0], 2.0 * t[1]]);
            let deviation = ((0.5 * (1.0 + double) - expected * expected) / draws as f64).sqrt();
            assert!(
                (got - expected).abs() <= 5.0 * deviation + 1e-12,
                "{name}: {got}, {expected}, {deviation}"
            );
        }
    }
    check(&Sinc::new(1.3).unwrap(), "sinc");
    check(&Sech::new(1.3).unwrap(), "sech");
    check(&Logistic::new(0.7).unwrap(), "logistic");
    check(&CauchyProduct::new(1.3).unwrap(), "cauchy product");
    for exponent in [0.6, 1.0, 1.5, 2.0] {
        check(&GeneralizedGaussian::new(exponent, 1.3).unwrap(), "generalised Gaussian");
        check(&GammaExponential::new(exponent, 1.3).unwrap(), "powered exponential");
    }
}
