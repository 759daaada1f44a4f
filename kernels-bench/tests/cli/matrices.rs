//! Matrices: kernels, features, alignment.

use super::*;

#[test]
fn gram_matrices_in_npy() {
    let folder = folder();
    let at = folder.path();
    let kernel = "2 * rbf(length_scale=2) + white(variance=0.5)";
    run(at, &["gram", "--kernel", kernel, "--x", "x.csv", "--out", "k.npy"]);
    let k = npy(at.join("k.npy"));
    let entry = |s: f64| 2.0 * (-s / 8.0).exp();
    for (got, expected) in k.iter().zip([
        2.5,
        entry(5.0),
        entry(10.0),
        entry(5.0),
        2.5,
        entry(13.0),
        entry(10.0),
        entry(13.0),
        2.5,
    ]) {
        assert!((got - expected).abs() < 1e-14);
    }
    run(at, &["gram", "--kernel", kernel, "--x", "x.csv", "--y", "y.csv", "--out", "c.npy"]);
    let c = npy(at.join("c.npy"));
    for (got, s) in c.iter().zip([2.0, 4.25, 1.0, 0.25, 8.0, 15.25]) {
        assert!((got - entry(s)).abs() < 1e-14, "{c:?}");
    }
    run(at, &["gram", "--kernel", kernel, "--x", "x.csv", "--diag", "--out", "d.npy"]);
    assert_eq!(npy(at.join("d.npy")), [2.5; 3]);
    // What it wrote, it reads; and rows at a time within little memory give the same bits.
    run(at, &["gram", "--kernel", "linear()", "--x", "k.npy", "--out", "l.npy"]);
    run(at, &["gram", "--kernel", "linear()", "--x", "k.npy", "--out", "m.npy", "--memory", "100"]);
    assert_eq!(fs::read(at.join("l.npy")).unwrap(), fs::read(at.join("m.npy")).unwrap());
    run(at, &["gram", "--kernel", "linear()", "--x", "x.csv", "--out", "f.npy", "--dtype", "f32"]);
    assert!(text(&fs::read(at.join("f.npy")).unwrap()).contains("'<f4'"));
}

#[test]
fn features_whose_products_are_the_kernel() {
    let folder = folder();
    let at = folder.path();
    let rbf = "rbf(length_scale=2)";
    let exact = run(at, &["gram", "--kernel", rbf, "--x", "x.csv", "--out", "K.npy"]);
    assert!(exact.contains("K.npy"));
    let k = npy(at.join("K.npy"));
    for (map, kernel, tolerance) in [
        ("fourier", rbf, 0.1),
        ("orthogonal", rbf, 0.1),
        ("quasi", rbf, 0.1),
        ("fastfood", rbf, 0.15),
        ("sorf", rbf, 0.5),
        ("taylor", rbf, 1e-6),
        ("nystrom", rbf, 1e-8),
    ] {
        let arguments = [
            "features", "--kernel", kernel, "--x", "x.csv", "--map", map, "--count", "2000", "--out", "Z.npy",
        ];
        let object = json(at, &[&arguments[..], &["--check", "3"]].concat());
        let m = object["shape"][1].as_u64().unwrap() as usize;
        let z = npy(at.join("Z.npy"));
        assert_eq!(z.len(), 3 * m, "{map}");
        for (e, value) in k.iter().enumerate() {
            let (a, b) = (&z[e / 3 * m..][..m], &z[e % 3 * m..][..m]);
            let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            assert!((dot - value).abs() < tolerance, "{map} {e}: {dot} {value}");
        }
        assert!(object["check"]["max_error"].as_f64().unwrap() < tolerance);
    }
    for (map, kernel) in [
        ("fourier", "matern(nu=1.5, length_scale=[1, 2])"),
        ("binning", "laplacian()"),
        ("sketch", "polynomial()"),
    ] {
        run(at, &["features", "--kernel", kernel, "--x", "x.csv", "--map", map, "--out", "Z.npy"]);
    }
    let wrong =
        kernels(at, &["features", "--kernel", "linear()", "--x", "x.csv", "--map", "sorf", "--out", "W.npy"]);
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("--map sorf does not know linear"));
    assert!(!at.join("W.npy").exists());
}

#[test]
fn alignment_of_kernels() {
    let folder = folder();
    let at = folder.path();
    let x: String =
        (0..30).map(|i| format!("{},{}\n", (0.7 * f64::from(i)).sin(), (0.3 * f64::from(i)).cos())).collect();
    fs::write(at.join("a.csv"), format!("a,b\n{x}")).unwrap();
    let object =
        json(at, &["align", "--kernel", "rbf()", "--x", "a.csv", "--other", "rbf(length_scale=1.2)"]);
    let value = |name: &str| object[name].as_f64().unwrap();
    assert!(value("cka") > 0.95 && value("cka") <= 1.0 && value("alignment") > 0.95);
    assert!(value("effective_dimension") > 1.0 && value("numerical_rank") >= value("entropy_rank"));
    let same = json(at, &["align", "--kernel", "rbf()", "--x", "a.csv", "--y", "a.csv", "--batch", "10"]);
    assert!((same["cka_debiased"].as_f64().unwrap() - 1.0).abs() < 1e-12);
    assert!(run(at, &["align", "--kernel", "rbf()", "--x", "a.csv"]).contains("effective dimension"));
    assert!(!kernels(at, &["align", "--kernel", "rbf()", "--x", "a.csv", "--batch", "10"]).status.success());
}
