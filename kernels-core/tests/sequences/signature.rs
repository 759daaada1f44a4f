//! The signature kernel.

use super::*;
use kernels_core::{cross_gram, gram};

const PDE: &str = include_str!("../reference/signature/sigkernel_pde.json");

#[test]
fn finite_differences() {
    let file = read(PDE);
    for case in file["fd"].as_array().unwrap() {
        let (pair, name) = (case["paths"].as_str().unwrap(), case["static"].as_str().unwrap());
        let (x, y) = (one(&file["paths"][pair]["x"]), one(&file["paths"][pair]["y"]));
        for (key, scheme) in
            [("second_order", FiniteDifferences::Second), ("naive", FiniteDifferences::Trapezoid)]
        {
            for (dyadic, expected) in case[key].as_object().unwrap() {
                let (a, b) = dyadic.split_once(',').unwrap();
                if a != b {
                    continue; // one number of halvings in this interface
                }
                let kernel = Signature::new(lift(name)).solver(fd(a.parse().unwrap(), scheme)).unwrap();
                let got = value(&kernel, &x, &y);
                let e = number(expected);
                // Second differences of the static kernel lose what its own rounding (1 ulp of 1) is to them, and the
                // square root in Matérn 1/2 loses half of the digits near coincident knots.
                let tolerance = if name == "matern12" { 1e-9 } else { 1e-11 };
                close(got, e, tolerance, &format!("{pair} {name} {key} {dyadic}"));
            }
        }
    }
}

#[test]
fn exact_values() {
    let file = read(PDE);
    for case in file["exact"].as_array().unwrap() {
        let (pair, name) = (case["paths"].as_str().unwrap(), case["static"].as_str().unwrap());
        let (x, y) = (one(&file["paths"][pair]["x"]), one(&file["paths"][pair]["y"]));
        let expected = number(&case["exact"]);
        let kernel = Signature::new(lift(name));
        // The tolerance is relative to the largest value on the way.
        let largest = ["x", "y"]
            .map(|k| one(&file["paths"][pair][k]))
            .map(|p| value(&kernel, &p, &p))
            .iter()
            .fold(1.0_f64, |m, &v| m.max(v));
        let got = value(&kernel, &x, &y);
        assert!(
            (got - expected).abs() <= 1e-12 * largest,
            "{pair} {name}: got {got:e}, expected {expected:e}, largest {largest:e}"
        );
        if let Some(normalized) = case.get("normalized").filter(|v| !v.is_null()) {
            let cosine = kernel.clone().normalization(Normalization::Cosine).unwrap();
            close(value(&cosine, &x, &y), number(normalized), 1e-12, &format!("{pair} {name} cosine"));
        }
        let Some(by_order) = case["pysiglib_polynomial"].as_object() else { continue };
        for (order, expected) in by_order {
            let solver = Solver::Polynomial { order: order.parse().unwrap() };
            let kernel = Signature::new(lift(name)).solver(solver).unwrap();
            close(value(&kernel, &x, &y), number(expected), 1e-11, &format!("{pair} {name} degree {order}"));
        }
    }
}

#[test]
fn grams() {
    let file = &read(PDE)["gram"];
    let (xs, ys) = (paths(&file["X"]), paths(&file["Y"]));
    let linear = || Signature::new(lift("linear"));
    let second = |d| linear().solver(fd(d, FiniteDifferences::Second)).unwrap();
    let cosine = linear().normalization(Normalization::Cosine).unwrap();
    let cases = [
        ("K_xy_fd_d1", cross_gram(&second(1), &xs, &ys).unwrap()),
        ("K_xx_fd_d0", gram(&second(0), &xs).unwrap()),
        ("K_xx_exact", gram(&linear(), &xs).unwrap()),
        ("K_xy_exact", cross_gram(&linear(), &xs, &ys).unwrap()),
        ("K_xx_normalized_exact", gram(&cosine, &xs).unwrap()),
        ("K_xy_rbf0.8_exact", cross_gram(&Signature::new(lift("rbf")), &xs, &ys).unwrap()),
    ];
    for (name, got) in cases {
        for (i, row) in file[name].as_array().unwrap().iter().enumerate() {
            for (j, expected) in numbers(row).into_iter().enumerate() {
                close(got[(i, j)], expected, 1e-12, &format!("{name}[{i}, {j}]"));
            }
        }
    }
}

#[test]
fn long_paths() {
    for case in read(PDE)["long"].as_array().unwrap() {
        let (x, y) = (one(&case["x"]), one(&case["y"]));
        let with = |solver| value(&Signature::new(lift("linear")).solver(solver).unwrap(), &x, &y);
        close(with(Solver::Auto { tolerance: 1e-13 }), number(&case["exact_f64"]), 1e-12, "exact");
        close(with(fd(0, FiniteDifferences::Second)), number(&case["fd_d0"]), 1e-11, "halved 0 times");
        close(with(fd(2, FiniteDifferences::Second)), number(&case["fd_d2"]), 1e-11, "halved 2 times");
        close(with(Solver::Polynomial { order: 4 }), number(&case["poly4"]), 1e-11, "degree 4");
        close(with(Solver::Polynomial { order: 8 }), number(&case["poly8"]), 1e-11, "degree 8");
    }
}

#[test]
fn truncated_levels() {
    let file = read(include_str!("../reference/signature/sigkernel_truncated.json"));
    let levels = |case: &Value, differences: bool| {
        let (pair, name) = (case["paths"].as_str().unwrap(), case["static"].as_str().unwrap());
        let (x, y) = (one(&file["paths"][pair]["x"]), one(&file["paths"][pair]["y"]));
        let n = case["n_levels"].as_u64().unwrap() as usize;
        let check = |n: usize, order: usize, expected: &Value| {
            let solver = Solver::Truncated { levels: n, order };
            let kernel = Signature::new(lift(name)).differences(differences).solver(solver).unwrap();
            let got = kernel.levels(x.point(0), y.point(0)).unwrap();
            for (l, e) in numbers(expected).into_iter().enumerate() {
                close(got[l], e, 1e-11, &format!("{pair} {name}, order {order}, level {l}"));
            }
        };
        for (order, expected) in case["levels_by_order"].as_object().unwrap() {
            check(n, order.parse().unwrap(), expected);
        }
        if let Some(exact) = case.get("exact_levels_0_12") {
            check(12, 12, exact);
        }
    };
    for case in file["levels"].as_array().unwrap() {
        levels(case, true);
    }
    levels(&file["no_difference"], false);
    let grams = &file["levelwise_normalised_gram"];
    let xs = paths(&grams["X"]);
    for (name, expected) in grams["K"].as_object().unwrap() {
        let (order, lifted) = name.strip_prefix("order").unwrap().split_once('_').unwrap();
        let solver = Solver::Truncated { levels: 4, order: order.parse().unwrap() };
        let kernel = Signature::new(lift(lifted)).solver(solver).unwrap();
        let k = gram(&kernel.normalization(Normalization::Levels).unwrap(), &xs).unwrap();
        for (i, row) in expected.as_array().unwrap().iter().enumerate() {
            for (j, e) in numbers(row).into_iter().enumerate() {
                close(k[(i, j)], e, 1e-11, &format!("{name}[{i}, {j}]"));
            }
        }
    }
}

#[test]
fn values_beyond_the_range() {
    let scaled = |kernel: &Signature<AnyKernel<f64>>, x: &Paths<f64>, y: &Paths<f64>| {
        kernel.scaled(x.point(0), y.point(0)).unwrap()
    };
    let kernel = Signature::new(lift("linear"));
    let cosine = kernel.clone().normalization(Normalization::Cosine).unwrap();
    for case in
        read(include_str!("../reference/signature/sigkernel_log_scale.json"))["cases"].as_array().unwrap()
    {
        if case["kind"] == "dim1" {
            let segments = |total: &Value| {
                let step = number(total) / 20.0;
                Paths::from_array((0..21).map(|i| step * f64::from(i)).collect(), 1, 21, 1).unwrap()
            };
            let (x, y) = (segments(&case["x_total"]), segments(&case["y_total"]));
            if number(&case["x_total"]) * number(&case["y_total"]) < 0.0 {
                // J₀(2 √1200), the end of oscillations that reach e^40 on the way for a solver by series: the tolerance is
                // relative to the largest value on the grid, which is 1.
                let got = scaled(&kernel, &x, &y);
                close(got.value(), number(&case["log_abs_k"]).exp(), 1e-9, "Bessel J");
                continue;
            }
            let got = scaled(&kernel, &x, &y);
            // An accuracy of 1e-12 of a value is one of 1e-12 of its logarithm; inputs round at 1e-16 · ln k.
            close(got.ln_abs(), number(&case["log_abs_k"]), 1e-11, "logarithm");
            assert!((got.sign() - number(&case["sign"])).abs() < 0.5);
        } else {
            let (x, y) = (one(&case["x"]), one(&case["y"]));
            for (a, b, name) in [(&x, &x, "xx"), (&y, &y, "yy"), (&x, &y, "xy")] {
                let got = scaled(&kernel, a, b);
                close(got.ln_abs(), number(&case[format!("log_abs_k_{name}")]), 1e-10, name);
                assert!((got.sign() - number(&case[format!("sign_{name}")])).abs() < 0.5);
            }
            close(value(&cosine, &x, &y), number(&case["normalised_xy"]), 1e-9, "cosine");
        }
    }
}

#[test]
fn tensor_normalization() {
    let file = read(include_str!("../reference/signature/sigkernel_robust.json"));
    for case in file["cases"].as_array().unwrap() {
        let pair = &file["paths"][case["paths"].as_str().unwrap()];
        let (x, y) = (one(&pair["x"]), one(&pair["y"]));
        for (name, expected) in case.as_object().unwrap() {
            let normalization = match name.split(':').next().unwrap() {
                "log" => Normalization::TensorLog,
                "chevyrev_oberhauser a=1 C=4" => Normalization::Tensor { bound: 4.0, exponent: 1.0 },
                _ => continue,
            };
            let kernel = Signature::new(lift("linear")).normalization(normalization).unwrap();
            close(value(&kernel, &x, &y), number(&expected["k_xy"]), 1e-10, &format!("{name} xy"));
            close(value(&kernel, &x, &x), number(&expected["k_xx"]), 1e-10, &format!("{name} xx"));
        }
    }
}
