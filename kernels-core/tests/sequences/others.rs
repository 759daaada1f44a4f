//! Transforms, discrepancies, alignments and strings.

use super::*;
use kernels_core::{
    AllSubsequences, Gapped, GlobalAlignment, Kernel, Linear, Mismatch, Rbf, Spectrum, Strings, Subsequence,
    WeightedDegree, kernel_scores, mmd_squared,
};

#[test]
fn path_transforms() {
    let file = read(include_str!("../reference/signature/path_transforms.json"));
    let (x, y) = (one(&file["x"]), one(&file["y"]));
    let cases = [
        ("time_aug_end1", x.with_time(1.0)),
        ("time_aug_end2.5", x.with_time(2.5)),
        ("lead_lag", x.lead_lag()),
        ("sigkernel_leadlag", x.lead_lag()),
        ("lead_lag_time", x.lead_lag().with_time(1.0)),
        ("basepoint_zero", x.with_base_point()),
        ("sigkernel_penoff", x.with_pen_off()),
    ];
    for (name, got) in cases {
        let (expected, dim) = path(&file[name]);
        assert_eq!(got.dim(), dim, "{name}");
        let got = got.point(0).as_slice();
        assert_eq!(got.len(), expected.len(), "{name}");
        for (g, e) in got.iter().zip(expected) {
            close(*g, e, 1e-15, name);
        }
    }
    let linear = Signature::new(lift("linear"));
    close(value(&linear.clone().time(true), &x, &y), number(&file["kernel_exact_time"]), 1e-12, "time");
    let both = value(&linear.clone().lead_lag(true).time(true), &x, &y);
    close(both, number(&file["kernel_exact_both"]), 1e-12, "lead, lag and time");
    let lead_lag = value(&linear.lead_lag(true), &x, &y);
    close(lead_lag, number(&file["kernel_exact_leadlag"]), 1e-12, "lead and lag");
}

/// The solution at the knots is the kernel of the paths up to there.
#[test]
fn the_kernel_of_parts_of_paths() {
    let file = read(include_str!("../reference/signature/sigkernel_pde.json"));
    let pair = &file["paths"][file["grid"]["paths"].as_str().unwrap()];
    let (x, y) = (one(&pair["x"]), one(&pair["y"]));
    let exact = Signature::new(lift("linear"));
    let halved = exact.clone().solver(fd(1, FiniteDifferences::Second)).unwrap();
    let grids = [("exact_vertex_grid", 1, exact, 1e-11), ("second_order_grid", 2, halved, 1e-11)];
    for (name, step, kernel, tolerance) in grids {
        let grid = file["grid"][name].as_array().unwrap();
        for i in 1..x.point(0).len() {
            for j in 1..y.point(0).len() {
                let part = |paths: &Paths<f64>, last: usize| {
                    let (values, dim) = (paths.point(0).as_slice(), paths.dim());
                    Paths::from_array(values[..(last + 1) * dim].to_vec(), 1, last + 1, dim).unwrap()
                };
                let expected = number(&grid[step * i][step * j]);
                close(value(&kernel, &part(&x, i), &part(&y, j)), expected, tolerance, name);
            }
        }
    }
}

#[test]
fn discrepancies() {
    let file = read(include_str!("../reference/signature/sig_mmd.json"));
    let (xs, ys, y) = (paths(&file["X"]), paths(&file["Y"]), one(&file["y"]));
    let rbf = Rbf::new(0.8).unwrap();
    for (name, lift) in
        [("linear", AnyKernel::new(Linear::new(0.0).unwrap())), ("rbf0.8", AnyKernel::new(rbf))]
    {
        let exact = Signature::new(lift);
        let halved = exact.clone().solver(fd(1, FiniteDifferences::Second)).unwrap();
        for (solver, kernel) in [("fd_d1", halved), ("exact", exact)] {
            let expected = &file[name][solver];
            let check = |got: f64, what: &str| {
                if let Some(e) = expected.get(what) {
                    close(got, number(e), 1e-11, &format!("{name} {solver} {what}"));
                }
            };
            check(mmd_squared(&kernel, &xs, &ys, false).unwrap(), "mmd2_unbiased");
            check(mmd_squared(&kernel, &xs, &ys, true).unwrap(), "mmd2_biased");
            check(kernel_scores(&kernel, &xs, &y, 1.0).unwrap()[0], "score");
            check(kernel_scores(&kernel, &xs, &y, 0.3).unwrap()[0], "score_lam0.3");
            let scores = kernel_scores(&kernel, &xs, &ys, 1.0).unwrap();
            check(scores.iter().sum::<f64>() / scores.len() as f64, "expected_score");
        }
    }
}

#[test]
fn alignments() {
    let file = read(include_str!("../reference/signature/gak_dtw.json"));
    let check = |x: &Paths<f64>, y: &Paths<f64>, case: &Value| {
        let kernel = GlobalAlignment::new(number(&case["sigma"])).unwrap();
        let log = kernel.scaled(x.point(0), y.point(0)).unwrap().ln_abs();
        close(log, number(&case["log_gak_unnormalised"]), 1e-12, "logarithm");
        let e = number(&case["gak_normalised"]);
        let got = kernel.eval(x.point(0), y.point(0));
        // Relative: values are as small as 1e-17.
        assert!((got - e).abs() <= 1e-10 * e, "got {got:e}, expected {e:e}");
    };
    for case in file["cases"].as_array().unwrap() {
        check(&one(&case["x"]), &one(&case["y"]), case);
    }
    let series = |n: i32, f: &dyn Fn(f64) -> f64| {
        Paths::from_array((0..n).map(|i| f(f64::from(i))).collect(), 1, n as usize, 1).unwrap()
    };
    let (x, y) = (series(600, &|i| (0.05 * i).sin()), series(500, &|j| (0.06 * j).cos()));
    check(&x, &y, &file["long_overflow_case"]);
}

#[test]
fn far_series_do_not_underflow() {
    // κ is about e^−5000 on every cell: in plain numbers the table is 0.
    let series = |shift: f64| Paths::from_array(vec![shift, shift + 0.1, shift], 1, 3, 1).unwrap();
    let (x, y) = (series(0.0), series(100.0));
    let log = GlobalAlignment::new(1.0).unwrap().scaled(x.point(0), y.point(0)).unwrap().ln_abs();
    assert!(log < 0.0, "{log}");
    let near = GlobalAlignment::new(20.0).unwrap();
    assert!(near.eval(x.point(0), y.point(0)) > 0.0);
}

#[test]
fn strings() {
    let file = read(include_str!("../reference/signature/string_kernels.json"));
    for case in file["cases"].as_array().unwrap() {
        let (s, t) = (case["s"].as_str().unwrap(), case["t"].as_str().unwrap());
        let pair = Strings::new([s, t]);
        let alphabet = case["alphabet"].as_str().unwrap().chars().count();
        let check = |kernel: &dyn Kernel<Strings>, expected: &Value, what: &str| {
            close(
                kernel.eval(pair.point(0), pair.point(1)),
                number(expected),
                1e-12,
                &format!("{s} {t} {what}"),
            );
            close(
                kernel.eval(pair.point(1), pair.point(0)),
                number(expected),
                1e-12,
                &format!("{t} {s} {what}"),
            );
        };
        let each = |key: &str| -> Vec<(Vec<f64>, Value)> {
            case[key]
                .as_object()
                .unwrap()
                .iter()
                .map(|(k, v)| (k.split(',').map(|n| n.parse().unwrap()).collect(), v.clone()))
                .collect()
        };
        for (k, e) in each("spectrum") {
            check(&Spectrum::new(k[0] as usize).unwrap(), &e, "spectrum");
        }
        for (k, e) in each("mismatch") {
            check(&Mismatch::new(k[0] as usize, k[1] as usize, alphabet).unwrap(), &e, "mismatch");
        }
        for (k, e) in each("ssk_lodhi") {
            check(&Subsequence::new(k[0] as usize, k[1]).unwrap(), &e, "subsequence");
        }
        for (k, e) in each("gap_weighted_gaps_only") {
            // Without the symbols themselves, a power of λ for each occurrence.
            let kernel = Subsequence::new(k[0] as usize, k[1]).unwrap();
            let got = kernel.eval(pair.point(0), pair.point(1)) / k[1].powi(2 * k[0] as i32);
            close(got, number(&e), 1e-12, "gaps only");
        }
        for (k, e) in each("weighted_degree") {
            check(&WeightedDegree::new(k[0] as usize).unwrap(), &e, "weighted degree");
        }
        for (k, e) in each("gapped_kmer") {
            check(&Gapped::new(k[0] as usize, k[1] as usize).unwrap(), &e, "gapped");
        }
        check(&AllSubsequences, &case["all_subsequences"], "all subsequences");
    }
}
