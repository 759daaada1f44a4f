//! Invariants on hostile points, limits of finite networks, derivatives against differences.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::needless_range_loop,
    clippy::type_complexity
)]

#[path = "property_cases/learning.rs"]
mod learning;

use kernels_core::{Kernel, Points, Rows, check_kernel, cross_gram, gram, testing};
use kernels_ntk::{
    Activation, Cnn, Images, JacobianSource, Mlp, Net, NetFeatures, NetworkKernel, Parameterization, Phase,
    Propagation, edge_of_chaos,
};
use nalgebra::DMatrix;

fn kernel(text: &str) -> NetworkKernel {
    NetworkKernel::ntk(text.parse().unwrap())
}

fn nngp(text: &str) -> NetworkKernel {
    NetworkKernel::nngp(text.parse().unwrap())
}

check_kernel!(
    relu_keeps_the_contract,
    testing::just(kernel(
        "dense(w_std=1.4142135623730951, b_std=0.1) > relu > dense(w_std=1.2) > relu > dense(b_std=0.3)"
    )),
    testing::rows(0..8, 0..4)
);
check_kernel!(
    erf_keeps_the_contract,
    testing::just(kernel("dense(w_std=1.5) > erf(c=0.2) > dense(w_std=1.1, b_std=0.2)")),
    // At 1e30 the angle of two points needs more digits than there are.
    testing::tame_rows(0..8, 1..4)
);
check_kernel!(
    gelu_residual_keeps_the_contract,
    testing::just(kernel(
        "dense(w_std=1.1, b_std=0.1) > residual(main=gelu > dense(), shortcut=identity) > relu > dense()"
    )),
    testing::tame_rows(0..7, 1..4)
);
#[test]
fn tanh_keeps_the_contract() {
    testing::kernel_contract(&nngp("dense(w_std=1.2, b_std=0.1) > tanh > dense()"), &data(4, 2)).unwrap();
}

check_kernel!(
    layer_norm_keeps_the_contract,
    testing::just(kernel("dense(w_std=1.1, b_std=0.1) > layer_norm > relu > dense()")),
    testing::tame_rows(0..7, 1..4)
);

fn data(n: usize, d: usize) -> Rows<f64> {
    let value = |i: usize| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0;
    Rows::from_row_major((0..n * d).map(value).collect(), n, d).unwrap()
}

fn images(n: usize) -> Images<f64> {
    let value = |i: usize| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0;
    Images::new((0..n * 32).map(value).collect(), n, 4, 4, 2).unwrap()
}

const CNN: &str = "conv(filter=[3, 3], padding=SAME, w_std=1.4, b_std=0.1) > relu > \
                   conv(filter=[3, 3], padding=SAME, w_std=1.4) > erf > global_avg_pool > dense()";

#[test]
fn image_kernels_keep_the_contract() {
    for text in [
        CNN,
        "conv(filter=[2, 2]) > tanh > flatten > dense()",
        "conv(filter=[3, 3]) > relu > flatten > dense()",
    ] {
        testing::kernel_contract(&kernel(text), &images(5)).unwrap();
        testing::kernel_contract(&nngp(text), &images(0)).unwrap();
    }
    let whole = gram(&kernel(CNN), &images(4)).unwrap();
    let across = cross_gram(&kernel(CNN), &images(4), &images(4)).unwrap();
    // Sums over places in another order.
    assert!((whole - across).amax() < 1e-13);
}

#[test]
fn a_network_for_images_refuses_vectors_and_the_reverse() {
    assert!(gram(&kernel(CNN), &data(3, 32)).is_err());
    assert!(gram(&kernel("dense() > relu > dense()"), &images(2)).is_err());
    assert!("conv(filter=[3, 3]) > relu".parse::<Net>().is_err());
    assert!("dense() > relu > relu".parse::<Net>().is_err());
    assert!("dense(w_st=1)".parse::<Net>().unwrap_err().to_string().contains("w_std"));
    assert!("dense() > rleu".parse::<Net>().unwrap_err().to_string().contains("relu"));
    for text in
        ["", "dense(", "dense() >", "dense(w_std=)", "dense(w_std=[1)", "dense() dense()", "dense(w_std=-1)"]
    {
        assert!(text.parse::<Net>().is_err(), "{text}");
    }
    let deep = "residual(".repeat(5000);
    assert!(deep.parse::<Net>().is_err());
}

#[test]
fn nan_in_nan_out_and_no_points() {
    let k = kernel("dense() > relu > dense(b_std=1)");
    let xs = Rows::from_row_major(vec![1.0, f64::NAN, 0.5, 2.0], 2, 2).unwrap();
    let g = gram(&k, &xs).unwrap();
    assert!(g[(0, 0)].is_nan() && g[(0, 1)].is_nan() && g[(1, 1)].is_finite());
    assert_eq!(gram(&k, &data(0, 3)).unwrap().shape(), (0, 0));
    // Points without features only have the biases.
    assert!(gram(&k, &data(2, 0)).unwrap().iter().all(|v| v.is_finite()));
}

/// The tangent kernel is at least the NNGP kernel, in the NTK parameterization; both are positive semidefinite.
#[test]
fn tangent_kernel_dominates() {
    for text in ["dense() > relu > dense(w_std=1.3, b_std=0.2) > relu > dense()", "dense() > tanh > dense()"]
    {
        let xs = data(12, 3);
        let (q, t) = (gram(&nngp(text), &xs).unwrap(), gram(&kernel(text), &xs).unwrap());
        let floor = -1e-12 * t.amax();
        assert!(q.clone().symmetric_eigenvalues().min() > floor);
        assert!((t - q).symmetric_eigenvalues().min() > floor);
    }
}

/// Averages over random networks of growing width: noise and bias fall at least like width^(-1/2), within 5 deviations.
#[test]
fn finite_networks_tend_to_the_kernel() {
    let xs = data(4, 3);
    let net = Net::fully_connected(1, Activation::relu(), 1.3, Some(0.2)).unwrap();
    let exact = gram(&NetworkKernel::ntk(net), &xs).unwrap();
    let mut errors = Vec::new();
    for width in [16, 256] {
        let runs = 64;
        let mut mean = DMatrix::zeros(4, 4);
        let mut square: DMatrix<f64> = DMatrix::zeros(4, 4);
        for seed in 0..runs {
            let net =
                Mlp::random(&[3, width, 1], Activation::relu(), 1.3, Some(0.2), Parameterization::Ntk, seed)
                    .unwrap();
            let k = net.tangent_kernel(&xs, &xs).unwrap().matrix().clone();
            square += k.component_mul(&k);
            mean += k;
        }
        let n = runs as f64;
        mean /= n;
        let deviation = (square / n - mean.component_mul(&mean)).map(|v| v.max(0.0).sqrt());
        for (e, m) in mean.iter().enumerate() {
            // One hidden layer is unbiased at every width.
            assert!(
                (m - exact[e]).abs() < 5.0 * deviation[e] / n.sqrt() + 1e-12,
                "width {width}: {m} {}",
                exact[e]
            );
        }
        errors.push(deviation.norm());
    }
    // 16 times the width, a quarter of the noise; its own estimate is good to 1/√(2·64), 5 of which are 44%.
    let ratio = errors[0] / errors[1];
    assert!(ratio > 4.0 / 1.6 && ratio < 4.0 * 1.6, "{ratio}");
}

#[test]
fn random_features_estimate_the_nngp_kernel() {
    let xs = data(4, 3);
    let net: Net = "dense(w_std=1.2, b_std=0.3) > erf > dense(w_std=1.1, b_std=0.2)".parse().unwrap();
    let exact = gram(&NetworkKernel::nngp(net.clone()), &xs).unwrap();
    let runs = 200;
    let (mut sum, mut square) = (DMatrix::zeros(4, 4), DMatrix::<f64>::zeros(4, 4));
    for seed in 0..runs {
        let z = kernels_core::features(&NetFeatures::new(&net, 3, 20, seed).unwrap(), &xs).unwrap();
        let k = &z * z.transpose();
        square += k.component_mul(&k);
        sum += k;
    }
    let mean = sum / runs as f64;
    let deviation =
        (square / runs as f64 - mean.component_mul(&mean)).map(|v| (v.max(0.0) / runs as f64).sqrt());
    for e in 0..16 {
        assert!((mean[e] - exact[e]).abs() < 5.0 * deviation[e] + 1e-12);
    }
}

#[test]
fn jacobians_against_differences() {
    let net =
        Mlp::random(&[3, 5, 4, 2], Activation::Gelu, 1.2, Some(0.3), Parameterization::Standard, 3).unwrap();
    let xs = data(3, 3);
    let jacobian = net.jacobian(&xs).unwrap();
    let theta = net.flat_parameters();
    let h = 1e-6;
    for p in (0..theta.len()).step_by(3) {
        let moved = |sign: f64| {
            let mut t = theta.clone();
            t[p] += sign * h;
            net.with_parameters(&t).unwrap().outputs(&xs).unwrap()
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * h);
        for i in 0..3 {
            for o in 0..2 {
                assert!((slope[(i, o)] - jacobian.matrix()[(i * 2 + o, p)]).abs() < 1e-8);
            }
        }
    }
    let net = Cnn::random((3, 4), &[2, 3, 2], 3, 2, Activation::Tanh, 11).unwrap();
    let xs = data(2, 24);
    let jacobian = net.jacobian(&xs).unwrap();
    let theta = net.flat_parameters();
    for p in 0..theta.len() {
        let moved = |sign: f64| {
            let mut t = theta.clone();
            t[p] += sign * h;
            net.with_parameters(&t).unwrap().outputs(&xs).unwrap()
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * h);
        for i in 0..2 {
            for o in 0..2 {
                assert!((slope[(i, o)] - jacobian.matrix()[(i * 2 + o, p)]).abs() < 1e-8, "parameter {p}");
            }
        }
    }
}

/// Projections are unbiased with the variance their documentation states: a z-test over 400 seeds, 5 deviations.
#[test]
fn projections_are_unbiased() {
    let net = Mlp::random(&[2, 3, 1], Activation::Tanh, 1.2, None, Parameterization::Ntk, 5).unwrap();
    let jacobian = net.jacobian(&data(2, 2)).unwrap();
    let exact = jacobian.kernel().unwrap().matrix()[(0, 1)];
    let (a, b) = (jacobian.matrix().row(0), jacobian.matrix().row(1));
    let fourth: f64 = a.iter().zip(b.iter()).map(|(a, b)| a * a * b * b).sum();
    let k = 8;
    let variance = (a.norm_squared() * b.norm_squared() + exact * exact - 2.0 * fourth) / f64::from(k);
    let runs = 400;
    let mean: f64 = (0..runs)
        .map(|s| jacobian.projected(k as usize, s).unwrap().kernel().unwrap().matrix()[(0, 1)])
        .sum::<f64>()
        / runs as f64;
    assert!((mean - exact).abs() < 5.0 * (variance / runs as f64).sqrt(), "{mean} {exact}");
}

#[test]
fn phases() {
    let at = |w: f64| Propagation::new(Activation::Tanh, w, 0.3).unwrap();
    let (edge, variance) = edge_of_chaos(&Activation::Tanh, 0.3).unwrap();
    assert!(edge > 1.0 && variance > 0.0);
    assert_eq!(at(0.8 * edge).phase(1.0).unwrap(), Phase::Ordered);
    assert_eq!(at(1.2 * edge).phase(1.0).unwrap(), Phase::Chaotic);
    assert!((at(edge).slopes(variance).unwrap().perpendicular - 1.0).abs() < 1e-12);
    // erf: σ_w² = 1/φ′(0)² = π/4 without bias.
    let (edge, _) = edge_of_chaos(&Activation::erf(), 0.0).unwrap();
    assert!((edge * edge - std::f64::consts::FRAC_PI_4).abs() < 1e-12);
}

/// Bits do not depend on the number of threads.
#[test]
fn any_number_of_threads() {
    let k = kernel("dense(w_std=1.4) > relu > dense(w_std=1.4) > relu > dense()");
    let xs = data(600, 5);
    let bits = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| gram(&k, &xs).unwrap().map(f64::to_bits))
    };
    assert_eq!(bits(1), bits(3));
    let pair: f64 = Kernel::<Rows<f64>>::eval(&k, xs.point(3), xs.point(7));
    // One pair sums its inner product in another order than a block.
    assert!((pair - gram(&k, &xs).unwrap()[(3, 7)]).abs() < 1e-13 * pair.abs().max(1.0));
}

/// Gradients by standard deviations of weights and biases against differences: all kinds of layers and duals.
#[test]
fn gradients_of_networks_on_vectors() {
    for text in [
        "dense(w_std=1.4, b_std=0.1) > relu > dense(w_std=1.2) > leaky_relu(alpha=0.2) > dense(b_std=0.3)",
        "dense(w_std=1.5, b_std=0.4) > erf(b=0.8, c=0.2) > dense(w_std=1.1, b_std=0.2)",
        "dense(w_std=1.2, b_std=0.1) > tanh > dense(w_std=1.3)",
        "dense(w_std=1.2, b_std=0.5) > hard_tanh > dense(w_std=1.3)",
        "dense(w_std=1.1, b_std=0.1) > residual(gelu > dense(w_std=0.9, b_std=0.2), identity) > sin > dense()",
        "dense(w_std=1.1, b_std=0.1) > layer_norm(eps=0.1) > relu > dense()",
        "dense(w_std=1.1, width=3, param=standard) > rbf(gamma=0.3) > dense(w_std=1.2, b_std=0.2, param=standard)",
        "prod(dense(w_std=1.1) > gabor, dense(w_std=0.9, b_std=0.2) > cos) > dense(w_std=1.2)",
        "concat(dense(w_std=1.1, width=2) > exp(a=0.5, b=0.3), dense(w_std=0.9, b_std=0.2, width=5) > gaussian(a=1, b=-0.4)) \
         > dense(w_std=1.2)",
        "dense(w_std=1.1) > dropout(keep=0.7) > polynomial(coef=[0.2, 1, 0.3]) > scale(by=0.6) > dense(w_std=1.2)",
    ] {
        for k in [kernel(text), nngp(text)] {
            testing::gradient_contract(&k, &data(6, 3)).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }
    let names: Vec<String> =
        kernels_core::Describe::params(&kernel("dense(b_std=0.1) > residual(relu > dense()) > dense()"))
            .into_iter()
            .map(|p| p.name)
            .collect();
    assert_eq!(names, ["net[0].w_std", "net[0].b_std", "net[1][0][1].w_std", "net[2].w_std"]);
}

#[test]
fn gradients_of_networks_on_images() {
    for text in [
        CNN,
        "conv(filter=[2, 2], w_std=1.2, b_std=0.1) > tanh > flatten > dense()",
        "conv(filter=[3, 3], padding=CIRCULAR, w_std=1.2) > relu > avg_pool(window=[2, 2], stride=[2, 2]) > \
         conv(filter=[2, 2], w_std=1.1, b_std=0.2) > gelu > global_sum_pool > dense(w_std=0.7)",
        "conv_local(filter=[2, 2], w_std=1.2, b_std=0.1) > erf > flatten > dense(b_std=0.2)",
        "conv(filter=[2, 2], w_std=1.2, b_std=0.1) > attention(W_key_std=0.8, b_std=0.1) > relu > flatten > dense()",
        "conv(filter=[2, 2], w_std=0.5) > attention(linear_scaling=false, attention_mechanism=IDENTITY) > flatten > dense()",
        "conv(filter=[2, 2], w_std=1.2, b_std=0.1) > layer_norm(axis=[1, 2, 3]) > relu > flatten > dense(w_std=1.1)",
        "conv_transpose(filter=[2, 2], stride=[2, 2], w_std=1.2) > sin > sum_pool(window=[2, 2]) > flatten > dense()",
        "residual(conv(filter=[3, 3], padding=SAME, b_std=0.1) > relu > conv(filter=[1, 1]), conv(filter=[1, 1])) > \
         global_avg_pool > dense()",
    ] {
        for k in [kernel(text), nngp(text)] {
            testing::gradient_contract(&k, &images(4)).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }
}

#[test]
fn images_as_rows() {
    let (k, xs) = (kernel(CNN), images(4));
    let on_rows = kernels_ntk::OnImages::new(k.clone(), 4, 4).unwrap();
    let values: Vec<f64> = (0..4).flat_map(|i| xs.point(i).values.to_vec()).collect();
    let rows = Rows::from_row_major(values, 4, 32).unwrap();
    assert_eq!(gram(&on_rows, &rows).unwrap(), gram(&k, &xs).unwrap());
    testing::kernel_contract(&on_rows, &rows).unwrap();
    testing::gradient_contract(&on_rows, &rows).unwrap();
    assert!(gram(&on_rows, &data(3, 31)).is_err());
}

/// Pairs at all angles: those that blocks take through all layers at once, and those whose gaps are carried along as single pairs
/// always have them, agree to rounding; symmetric blocks of many panels and blocks of two data sets as well.
#[test]
fn pairs_far_apart_and_pairs_with_gaps_agree() {
    for text in [
        "dense(w_std=1.4, b_std=0.1) > relu > dense(w_std=1.4, b_std=0.1) > relu > dense(w_std=1.4, b_std=0.1)",
        "dense(w_std=1.4) > abs > dense(w_std=1.3, width=5, param=standard, b_std=0.2) > relu > dense()",
        "dense(w_std=2.5, b_std=0.1) > erf > dense(w_std=1.4, b_std=0.1) > erf(c=0.3) > dense(w_std=1.2) > relu > dense()",
        "dense(w_std=1.1) > tanh > dense(b_std=0.1)",
    ] {
        // Without a closed form near pairs take long.
        let n: usize = if text.contains("tanh") { 14 } else { 301 };
        let circle = |k: usize| {
            let angle = std::f64::consts::PI * k as f64 / (n - 1) as f64;
            let radius = 1.0 + 0.3 * (k % 7) as f64;
            [radius * angle.cos(), radius * angle.sin(), 0.25]
        };
        let xs = Rows::from_row_major((0..n).flat_map(circle).collect(), n, 3).unwrap();
        for kernel in [kernel(text), nngp(text)] {
            let all: DMatrix<f64> = gram(&kernel, &xs).unwrap();
            let between = cross_gram(&kernel, &xs, &xs).unwrap();
            let scale = |i: usize, j: usize| (all[(i, i)] * all[(j, j)]).sqrt();
            for i in (0..n).step_by(3) {
                for j in (0..=i).step_by(2) {
                    let pair = Kernel::<Rows<f64>>::eval(&kernel, xs.point(i), xs.point(j));
                    let tolerance = 2e-14 * scale(i, j);
                    assert_eq!(all[(i, j)], all[(j, i)]);
                    assert!(
                        (all[(i, j)] - pair).abs() <= tolerance,
                        "{text} {i} {j}: {} {pair}",
                        all[(i, j)]
                    );
                    assert!((all[(i, j)] - between[(i, j)]).abs() <= tolerance, "{text} {i} {j}");
                }
            }
        }
    }
}
