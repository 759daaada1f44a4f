use kernels_core::{
    AnyKernel, BSpline, Definiteness, Describe, Differentiable, Error, Kernel, Matern, Points, Rbf, Rows,
    Wendland, White, check_kernel, gram, sparse_cross_gram, sparse_gram,
    testing::{rows, tame_rows},
};
use nalgebra::DMatrix;
use proptest::prelude::*;

use super::{matrix, numbers, read, spread};

fn close(name: &str, r: f64, got: f64, expected: f64, power: f64) {
    // 1 − r has an error of an ulp of r, which the power multiplies.
    let tolerance = 1e-15 * (2.0 + power * r / (1.0 - r).abs().max(1e-300));
    assert!(
        (got - expected).abs() <= tolerance * expected.abs(),
        "{name}({r}): got {got:e}, expected {expected:e}"
    );
}

#[test]
fn reference_values() {
    let file = read(include_str!("../reference/compact_support.json"));
    let r = numbers(&file["wendland_r"]);
    let at = |k: &Wendland, r: f64| k.eval(&[0.0], &[r]);
    for dim in [1, 2, 3, 5] {
        for smoothness in 0..=3 {
            let k = Wendland::new(smoothness, dim, 1.0).unwrap();
            let expected = numbers(&file["wendland"][format!("d{dim}_k{smoothness}")]);
            for (r, e) in r.iter().zip(expected) {
                close("wendland", *r, at(&k, *r), e, (dim / 2) as f64 + 2.0 * f64::from(smoothness) + 1.0);
            }
        }
    }
    for case in file["askey"]["cases"].as_array().unwrap() {
        let power = case["l"].as_f64().unwrap();
        let k = Wendland::askey(power, 1, 1.0).unwrap();
        for (r, e) in numbers(&case["r"]).into_iter().zip(numbers(&case["v"])) {
            close("askey", r, at(&k, r), e, power);
        }
    }
    let k = Wendland::spherical(1.0).unwrap();
    let case = &file["wu_spherical"];
    for (r, e) in numbers(&case["r"]).into_iter().zip(numbers(&case["v"])) {
        close("spherical", r, at(&k, r), e, 2.0);
    }
    let x = numbers(&file["bspline_x"]);
    for order in [2, 4, 6, 3] {
        let values = numbers(&file["bspline_centred_cardinal"][format!("order{order}")]);
        let k = BSpline::new(order, 1.0).unwrap().with_peak(values[0]).unwrap();
        for (x, e) in x.iter().zip(values) {
            let got = k.eval(&[0.0], &[*x]);
            // A sum of terms of order 10 divided by (n−1)!.
            assert!((got - e).abs() <= 1e-14, "order {order} at {x}: got {got:e}, expected {e:e}");
        }
    }
}

/// Derivatives by r of the file, through the gradient by the support: dφ/dℓ = −φ′(r) r/ℓ.
#[test]
fn reference_derivatives() {
    let file = read(include_str!("../reference/compact_support.json"));
    for (name, values) in file["wendland_dr"].as_object().unwrap() {
        let digit = |i: usize| name.as_bytes()[i] - b'0';
        let k = Wendland::new(u32::from(digit(4)), usize::from(digit(1)), 1.0).unwrap();
        for (r, e) in numbers(&file["wendland_dr_at"]).into_iter().zip(numbers(values)) {
            let xs = Rows::from_row_major(vec![0.0, r], 2, 1).unwrap();
            let weights = DMatrix::from_element(2, 2, 1.0);
            let gradient = kernels_core::gram_gradient(&k, &xs, weights.as_view()).unwrap();
            close(name, r, gradient[0], -2.0 * e * r, 9.0);
        }
    }
}

#[test]
fn bezier_kernel_and_its_surface_system() {
    let file = read(include_str!("../reference/nksr.json"));
    let k = BSpline::bezier(1.0).unwrap();
    let b = &file["bezier_1d"];
    let mut gradient = [0.0];
    for ((x, v), d) in numbers(&b["x"]).into_iter().zip(numbers(&b["value"])).zip(numbers(&b["derivative"])) {
        k.gradient(&[x], &[0.0], &mut gradient).unwrap();
        assert!((k.eval(&[x], &[0.0]) - v).abs() < 1e-15 && (gradient[0] - d).abs() < 1e-14, "{x}");
    }
    assert_eq!(k.definiteness(), Definiteness::Indefinite);
    // The linear system of the file: values at points 0, gradients at points the normals.
    let s = &file["system_2d"];
    let width = s["voxel_size"].as_f64().unwrap();
    let k = BSpline::bezier(width).unwrap();
    let (points, normals) = (matrix(&s["points"]), matrix(&s["normals"]));
    let centres = matrix(&s["voxels_ij"]).map(|v| (v + 0.5) * width);
    let (xs, cs) = (Rows::new(&points), Rows::new(&centres));
    let (n, m) = (xs.len(), cs.len());
    let base = sparse_gram(&k, &cs).unwrap().to_dense();
    let g = sparse_cross_gram(&k, &xs, &cs).unwrap();
    let mut q = [DMatrix::zeros(n, m), DMatrix::zeros(n, m)];
    let mut gradient = [0.0; 2];
    for i in 0..n {
        for j in 0..m {
            k.gradient(xs.point(i), cs.point(j), &mut gradient).unwrap();
            (0..2).for_each(|c| q[c][(i, j)] = gradient[c]);
        }
    }
    let g = DMatrix::from_fn(n, m, |i, j| g.get(i, j).copied().unwrap_or(0.0));
    let base = DMatrix::from_fn(m, m, |i, j| base[[i, j]]);
    let smallest = base.clone().symmetric_eigenvalues().min();
    assert!((smallest - s["min_eig_base_gram"].as_f64().unwrap()).abs() < 1e-12);
    let weight = |name: &str| s["weights"][name].as_f64().unwrap();
    let lhs = g.tr_mul(&g) * weight("pos")
        + (q[0].tr_mul(&q[0]) + q[1].tr_mul(&q[1])) * weight("normal")
        + base * weight("reg");
    let rhs = (q[0].tr_mul(&normals.column(0)) + q[1].tr_mul(&normals.column(1))) * weight("normal");
    let solution = lhs.cholesky().unwrap().solve(&rhs);
    for (got, e) in solution.iter().zip(numbers(&s["solution"])) {
        // Condition number of the system about 1e4.
        assert!((got - e).abs() < 1e-10, "{got} {e}");
    }
    // Values and gradients of the surface's function elsewhere, (0, 0) lying outside of all voxels that are kept.
    let query = matrix(&s["query"]);
    let at = Rows::new(&query);
    let (values, slopes) = (numbers(&s["f_query"]), matrix(&s["grad_query"]));
    for i in 0..at.len() {
        let (mut value, mut slope) = (0.0, [0.0; 2]);
        for (j, c) in solution.iter().enumerate() {
            value += c * k.eval(at.point(i), cs.point(j));
            k.gradient(at.point(i), cs.point(j), &mut gradient).unwrap();
            (0..2).for_each(|d| slope[d] += c * gradient[d]);
        }
        assert!((value - values[i]).abs() < 1e-10, "{value} {}", values[i]);
        (0..2).for_each(|d| assert!((slope[d] - slopes[(i, d)]).abs() < 1e-9, "{slope:?}"));
    }
}

fn compact() -> impl Strategy<Value = AnyKernel<f64>> {
    prop::sample::select(vec![
        "wendland(smoothness=0, dim=4, support=1.5)",
        "wendland(smoothness=1, dim=4)",
        "wendland(smoothness=2, dim=5, support=0.7)",
        "wendland(smoothness=3, dim=4, support=3)",
        "askey(power=4, dim=4, support=2)",
        "spherical(support=1.2)",
        "bspline(order=2)",
        "bspline(order=4, length_scale=0.6)",
        "2 * bspline(order=5, length_scale=0.6, peak=0.5) * wendland(dim=4) + white(variance=0.1)",
        "wendland(dim=4) + 0.5 * wendland(smoothness=2, dim=4, support=0.5)",
        "matern(nu=1.5) * wendland(dim=4, support=2)",
    ])
    .prop_map(|text| text.parse().unwrap())
}

check_kernel!(compact_kernels_keep_the_contract, compact(), rows(0..8, 0..5));
check_kernel!(
    gradients,
    prop::sample::select(vec![
        "wendland(smoothness=1, dim=4, support=2.5)",
        "wendland(smoothness=3, dim=4, support=3)",
        "bspline(order=4, length_scale=1.6)",
        "bspline(order=3, length_scale=1.6, peak=2)"
    ])
    .prop_map(|text| text.parse::<AnyKernel<f64>>().unwrap()),
    tame_rows(1..6, 1..4),
    gradients
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The sparse matrix is the dense one, on hostile points; entries it lacks are 0.
    #[test]
    fn sparse_is_dense(kernel in compact(), xs in rows(0..40, 0..5), scale in 0.3_f64..30.0) {
        prop_assume!(kernel.check(&xs).is_ok());
        let xs = Rows::new(&(xs.to_matrix() * scale));
        let (sparse, dense) = (sparse_gram(&kernel, &xs).unwrap(), gram(&kernel, &xs).unwrap());
        prop_assert!(sparse.is_csr());
        for i in 0..xs.len() {
            for j in 0..xs.len() {
                let got = sparse.get(i, j).copied().unwrap_or(0.0);
                // Differences far from the origin, and powers of 1 − r at the edge of the support.
                prop_assert!((got - dense[(i, j)]).abs() <= 1e-12, "({i}, {j}): {got} {}", dense[(i, j)]);
            }
        }
        let cross = sparse_cross_gram(&kernel, &xs, &xs).unwrap();
        for (i, row) in cross.outer_iterator().enumerate() {
            for (j, value) in row.iter() {
                prop_assert!(i == j || sparse.get(i, j) == Some(value));
            }
        }
    }
}

#[test]
fn many_points_few_entries() {
    let n = 20_000;
    let xs = Rows::from_row_major((0..3 * n).map(|i| 20.0 * spread(i)).collect(), n, 3).unwrap();
    let kernel = Wendland::new(1, 3, [1.0, 1.5, 0.8]).unwrap();
    let sparse = sparse_gram(&kernel, &xs).unwrap();
    for i in (0..n).step_by(1999) {
        let row = sparse.outer_view(i).unwrap();
        assert!(row.indices().is_sorted_by(|a, b| a < b));
        let mut dense = vec![0.0; n];
        row.iter().for_each(|(j, value)| dense[j] = *value);
        for (j, got) in dense.iter().enumerate() {
            let value: f64 = kernel.eval(xs.point(i), xs.point(j));
            // Blocks fuse products and sums, one pair does not.
            assert!((got - value).abs() < 1e-14, "({i}, {j}): {got} {value}");
        }
    }
}

#[test]
fn edges() {
    let k = Wendland::new(1, 3, 1.0).unwrap();
    assert_eq!(k.support(), Some(1.0.into()));
    assert_eq!(Describe::support(&(Rbf::new(1.0).unwrap() * k.clone())), Some(1.0.into()));
    assert_eq!(Describe::support(&(Rbf::new(1.0).unwrap() + k.clone())), None);
    let xs = Rows::from_row_major(vec![0.0, f64::NAN], 2, 1).unwrap();
    assert!(matches!(sparse_gram(&k, &xs), Err(Error::NotFinite { row: 1, .. })));
    let one = Rows::from_row_major(vec![0.5], 1, 1).unwrap();
    assert!(matches!(sparse_gram(&Matern::new(1.5, 1.0).unwrap(), &one), Err(Error::NotCompact)));
    assert_eq!(sparse_gram(&k, &one).unwrap().get(0, 0), Some(&1.0));
    assert_eq!(sparse_gram(&White::new(2.0).unwrap(), &one).unwrap().get(0, 0), Some(&2.0));
    let four = Rows::from_row_major(vec![0.0; 8], 2, 4).unwrap();
    assert!(gram(&k, &four).is_err(), "not positive definite in 4 dimensions");
    assert!(Wendland::new(4, 3, 1.0).is_err() && Wendland::new(1, 0, 1.0).is_err());
    assert!(Wendland::new(1, 3, 0.0).is_err() && Wendland::askey(1.0, 3, 1.0).is_err());
    assert!(BSpline::new(1, 1.0).is_err() && BSpline::new(4, -1.0).is_err());
    assert!(k.eval(&[f64::NAN], &[0.0]).is_nan() && k.eval(&[f64::MAX], &[-f64::MAX]) == 0.0);
    let single = Rows::from_row_major(vec![0.0_f32, 0.5], 2, 1).unwrap();
    assert_eq!(sparse_gram(&k, &single).unwrap().get(0, 1), Some(&0.1875_f32));
    let coincident = Rows::from_row_major(vec![3.0; 30], 10, 3).unwrap();
    assert_eq!(sparse_gram(&k, &coincident).unwrap().nnz(), 100);
    let no_features = Rows::from_row_major(Vec::<f64>::new(), 3, 0).unwrap();
    assert_eq!(sparse_gram(&k, &no_features).unwrap().nnz(), 9);
    let parsed: AnyKernel<f64> = "wendland(smoothness=2, support=[1, 2, 3])".parse().unwrap();
    assert_eq!(parsed.to_string(), "wendland(smoothness=2, dim=3, support=[1, 2, 3])");
    assert_eq!(parsed.params()[1].name, "support[1]");
}
