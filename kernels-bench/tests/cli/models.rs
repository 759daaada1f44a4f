//! Models: fit, tune, predict, evaluate.

use super::*;

#[test]
fn fit_and_predict_a_regression() {
    let folder = folder();
    let at = folder.path();
    let fitted = json(at, &["fit", "table.csv", "--out", "model.json"]);
    assert_eq!(
        (&fitted["task"], &fitted["rows"], &fitted["features"]),
        (&"regression".into(), &60.into(), &5.into())
    );
    assert!(
        fitted["peak_memory_bytes"].as_u64().is_none_or(|b| b > 1_000_000)
            && fitted["threads"].as_u64().unwrap() > 0
    );
    let predicted = run(at, &["predict", "model.json", "table.csv"]);
    let lines: Vec<&str> = predicted.lines().collect();
    assert_eq!((lines[0], lines.len()), ("price", 61));
    // The data follow a smooth law: the model finds it.
    let table = fs::read_to_string(at.join("table.csv")).unwrap();
    for (line, got) in table.lines().skip(1).zip(&lines[1..]) {
        let (expected, got): (f64, f64) =
            (line.rsplit(',').next().unwrap().parse().unwrap(), got.parse().unwrap());
        assert!((expected - got).abs() < 0.2, "{expected} against {got}");
    }
    // Bitwise the same when predicted again, alone, and to a file.
    fs::write(
        at.join("one.csv"),
        format!("{}\n{}\n", table.lines().next().unwrap(), table.lines().nth(9).unwrap()),
    )
    .unwrap();
    assert_eq!(run(at, &["predict", "model.json", "one.csv"]).lines().nth(1), Some(lines[9]));
    run(at, &["predict", "model.json", "table.csv", "--out", "p.csv", "--threads", "1"]);
    assert_eq!(fs::read_to_string(at.join("p.csv")).unwrap().trim(), predicted.trim());
}

#[test]
fn tune_predict_with_variance_and_evaluate() {
    let folder = folder();
    let at = folder.path();
    let arguments = [
        "tune",
        "table.csv",
        "--kernel",
        "1 * rbf(length_scale=1)",
        "--out",
        "gp.json",
        "--iterations",
        "20",
    ];
    let tuned = json(at, &arguments);
    let kernel = tuned["kernel"].as_str().unwrap();
    assert!(kernel.contains("rbf(length_scale=") && !kernel.contains("length_scale=1)"), "{kernel}");
    // Same seed, same result, for any number of threads.
    assert_eq!(json(at, &[&arguments[..], &["--threads", "1"]].concat())["kernel"], tuned["kernel"]);
    let predicted = run(at, &["predict", "gp.json", "table.csv", "--variance", "--interval", "0.05"]);
    assert_eq!(predicted.lines().next(), Some("price,price_sd,price_lower,price_upper"));
    let row: Vec<f64> = predicted.lines().nth(5).unwrap().split(',').map(|v| v.parse().unwrap()).collect();
    assert!(row[1] > 0.0 && (row[3] - row[0] - 1.959963984540054 * row[1]).abs() < 1e-9, "{row:?}");
    let scores = &json(at, &["evaluate", "table.csv"])["scores"];
    assert!(scores["rmse"].as_f64().unwrap() < 0.5 * scores["baseline_rmse"].as_f64().unwrap(), "{scores}");
    let stored = &json(at, &["evaluate", "table.csv", "--model", "gp.json"])["scores"];
    assert!(stored["r2"].as_f64().unwrap() > 0.9, "{stored}");
}

#[test]
fn classes_by_name_with_probabilities() {
    let folder = folder();
    let at = folder.path();
    run(at, &["fit", "classes.csv", "--target", "kind", "--out", "model.json"]);
    let predicted = run(at, &["predict", "model.json", "classes.csv", "--proba"]);
    assert_eq!(predicted.lines().next(), Some("kind,p_left,p_right"));
    let table = fs::read_to_string(at.join("classes.csv")).unwrap();
    let pairs = predicted.lines().zip(table.lines()).skip(1);
    let hits = pairs.filter(|(p, t)| p.split(',').next() == t.rsplit(',').next()).count();
    assert!(hits >= 57, "{hits} of 60");
    for line in predicted.lines().skip(1) {
        let p: Vec<f64> = line.split(',').skip(1).map(|v| v.parse().unwrap()).collect();
        assert!((p[0] + p[1] - 1.0).abs() < 1e-12);
    }
    run(at, &["tune", "classes.csv", "--out", "tuned.json", "--iterations", "5"]);
    let scores = &json(at, &["evaluate", "classes.csv"])["scores"];
    assert!(scores["accuracy"].as_f64().unwrap() > 0.9, "{scores}");
}
