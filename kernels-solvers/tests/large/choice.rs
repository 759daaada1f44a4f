//! Plans, and the choice of a method by them.

use kernels_core::Rbf;
use kernels_solvers::{AutoRegression, Error, InMemory, Krr, Method, plan};

use super::*;

#[test]
fn plans_and_automatic_choice() {
    for method in [
        Method::Exact,
        Method::ConjugateGradients,
        Method::Askotch,
        Method::Svm,
        Method::Falkon { centers: 3000 },
        Method::EigenPro { centers: 3000 },
    ] {
        let (small, large) = (plan(2_000, 10, 1, method), plan(200_000, 10, 1, method));
        assert!(small.bytes < large.bytes && small.flops < large.flops && large.flops.is_finite());
        assert!(plan(usize::MAX, 10, 1, method).flops > 0.0 && plan(0, 0, 0, method).bytes >= 0.0);
    }
    let (xs, y) = smooth(400);
    let truth = Krr::new(Rbf::new(0.8).unwrap()).ridge(0.1).fit(&xs, &y).unwrap().predict(&xs).unwrap();
    // The same data under tighter and tighter budgets.
    let auto = AutoRegression::new(Rbf::new(0.8).unwrap()).ridge(0.1);
    let mut methods = Vec::new();
    for (memory, seconds, bound) in
        [(1e9, 600.0, 1e-10), (1.2e6, 600.0, 1e-6), (2e5, 600.0, 1e-2), (1e9, 1e-3, 1e-2)]
    {
        let (model, report, plan) =
            auto.clone().memory(memory).seconds(seconds).fit(&xs, &y, 2, &mut ()).unwrap();
        let error = (model.predict(&xs).unwrap() - &truth).norm() / truth.norm();
        println!("{} -> error {error:.1e}, {} iterations", plan.reason, report.iterations);
        assert!(error < bound, "{error:e}: {}", plan.reason);
        assert!(plan.reason.contains("bytes"));
        methods.push(plan.method);
    }
    assert_eq!(methods[..3], [Method::Exact, Method::ConjugateGradients, Method::Askotch]);
    assert!(matches!(methods[3], Method::Falkon { .. }));
    assert!(auto.memory(1e3).plan(200_000, 10, 1).is_err());
}

/// The same budget for data that are read in every pass: only methods that read them so.
#[test]
fn plans_of_streamed_data_and_given_methods() {
    let auto = AutoRegression::new(Rbf::new(0.8).unwrap()).ridge(1e-3);
    let plan = auto.clone().streamed(true).plan(300, 2, 1).unwrap();
    assert!(matches!(plan.method, Method::Falkon { centers: 300 }), "{}", plan.reason);
    assert_eq!(plan.method.to_string(), "Falkon on 300 centres");
    assert!(auto.clone().memory(1e9).cost(1_000, 2, 1, plan.method).bytes <= plan.bytes + 64e6);
    let (xs, y) = smooth(300);
    let truth = Krr::new(Rbf::new(0.8).unwrap()).ridge(1e-3).fit(&xs, &y).unwrap().predict(&xs).unwrap();
    for (method, bound) in [
        (Method::Exact, 1e-12),
        (Method::ConjugateGradients, 1e-5),
        (Method::Askotch, 1e-2),
        (Method::Falkon { centers: 150 }, 1e-2),
        (Method::EigenPro { centers: 150 }, 0.2),
    ] {
        let (model, _) = auto.fit_by(method, &xs, &y, &mut ()).unwrap();
        let error = (model.predict(&xs).unwrap() - &truth).norm() / truth.norm();
        assert!(error < bound, "{method}: {error:e}");
        let raised = model.clone().raised(&vec![2.0; y.ncols()]).unwrap();
        let apart = raised.predict(&xs).unwrap() - model.predict(&xs).unwrap();
        assert!(apart.add_scalar(-2.0).amax() < 1e-12);
        assert!(model.raised(&[f64::NAN]).is_err());
    }
    assert!(matches!(auto.fit_by(Method::Svm, &xs, &y, &mut ()), Err(Error::Unsupported { .. })));
}

/// Tolerance, iterations, rank and checkpoint reach the method that is taken.
#[test]
fn settings_reach_the_method() {
    let (xs, y) = smooth(300);
    let auto = AutoRegression::new(Rbf::new(0.8).unwrap()).ridge(1e-3);
    let iterations = |auto: &AutoRegression<Rbf>, method: Method| {
        let (_, report) = auto.fit_by(method, &xs, &y, &mut ()).unwrap();
        report.iterations
    };
    let falkon = Method::Falkon { centers: 60 };
    // Falkon on so few centres has no iterations.
    for method in [Method::ConjugateGradients, Method::Askotch, Method::EigenPro { centers: 60 }] {
        assert_eq!(iterations(&auto.clone().max_iterations(2).tolerance(0.0), method), 2, "{method}");
        assert!(iterations(&auto.clone().tolerance(1e9), method) <= 1, "{method}");
    }
    let cg = Method::ConjugateGradients;
    let (few, many) = (iterations(&auto.clone().rank(2), cg), iterations(&auto.clone().rank(60), cg));
    assert!(many < few, "{many} iterations with 60 columns, {few} with 2");
    let path = std::env::temp_dir().join(format!("kernels-auto-{}", std::process::id()));
    let kept = auto.clone().checkpoint(&path, 1);
    let (first, _) = kept.fit_by(falkon, &xs, &y, &mut ()).unwrap();
    assert!(path.exists());
    assert_eq!(first, kept.fit_by(falkon, &xs, &y, &mut ()).unwrap().0);
    std::fs::remove_file(&path).unwrap();
    let mut source = InMemory::new(xs.clone(), &y).unwrap();
    assert_eq!(first, auto.fit_source_by(falkon, &mut source, &mut ()).unwrap().0);
    assert!(matches!(auto.fit_source_by(cg, &mut source, &mut ()), Err(Error::Unsupported { .. })));
}
