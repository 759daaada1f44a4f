//! The `kernels` program as its users run it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

fn kernels(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kernels")).current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it, expects success, and returns standard output.
#[track_caller]
fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = kernels(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&run(folder, &all)).unwrap()
}

/// A folder with a table of numbers and a category, a table of classes, and matrices.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut table = "size,rooms,town,price\n".to_owned();
    let mut classes = "x,y,kind\n".to_owned();
    for i in 0..60 {
        let t = f64::from(i) / 10.0;
        let town = ["Aalen", "Bonn", "Celle"][i as usize % 3];
        table += &format!("{t},{},{town},{}\n", i % 7, 3.0 * t.sin() + f64::from(i % 7) + f64::from(i % 3));
        classes += &format!("{},{},{}\n", t.cos(), t.sin(), if t.cos() > 0.0 { "right" } else { "left" });
    }
    fs::write(path("table.csv"), table).unwrap();
    fs::write(path("classes.csv"), classes).unwrap();
    fs::write(path("x.csv"), "a,b\n0,0\n1,2\n3,-1\n").unwrap();
    fs::write(path("y.csv"), "a,b\n1,1\n0.5,2\n").unwrap();
    folder
}

/// The values of an NPY file of f64 in C order.
fn npy(path: PathBuf) -> Vec<f64> {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(start % 64, 0);
    bytes[start..].chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

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

#[test]
fn lists_completions_and_manual() {
    let folder = folder();
    let at = folder.path();
    assert!(run(at, &["kernels"]).contains("matern"));
    let one = run(at, &["kernels", "matern"]);
    assert!(
        one.contains("nu = 2.5")
            && one.contains("positive definite")
            && one.contains("matern(nu=2.5, length_scale=1)")
    );
    assert!(json(at, &["kernels"])["families"].as_array().unwrap().len() >= 28);
    assert!(run(at, &["completions", "bash"]).contains("kernels") && run(at, &["man"]).contains(".TH"));
    let help = run(at, &["--help"]);
    assert!(help.contains("A FIRST SESSION") && help.contains("EXIT CODES"));
}

#[test]
fn the_tour_writes_a_report_that_stands_alone() {
    let folder = folder();
    let at = folder.path();
    let out = run(at, &["tour", "--quick", "--out", "report.html"]);
    assert!(out.contains("baseline") && out.contains("matern 5/2"));
    let report = fs::read_to_string(at.join("report.html")).unwrap();
    for part in [
        "All data sets",
        "diabetes",
        "iris",
        "penguins",
        "calibration",
        "confusion matrix",
        "leave-one-out",
        "CO₂",
        "relevance",
    ] {
        assert!(report.contains(part), "{part}");
    }
    let without_names = report.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !without_names.contains("http") && !without_names.contains("src=") && !without_names.contains("NaN")
    );
    assert_eq!(report.matches("<svg").count(), report.matches("</svg>").count());
}

/// Input, arguments, exit code, and what the message must hold.
type Hostile = (&'static str, &'static [&'static str], i32, &'static str);

/// Files are made by `hostile_files`; `{name}` of a file stands for itself.
const HOSTILE: &[Hostile] = &[
    ("empty file", &["fit", "empty.csv"], 1, "is empty"),
    ("header only", &["fit", "header.csv"], 1, "no rows"),
    ("one row", &["fit", "one_row.csv"], 1, "at least 2"),
    ("ragged rows", &["fit", "ragged.csv"], 1, "line 3 has 1 values, but the header line has 2"),
    ("missing value", &["fit", "missing.csv"], 1, "line 3: column `a` has no value"),
    ("missing target", &["fit", "missing_target.csv"], 1, "line 3: the target `y` has no value"),
    ("infinite value", &["fit", "infinite.csv"], 1, "line 2: column `a` is infinite"),
    ("no header", &["fit", "no_header.csv"], 1, "expected a header line"),
    ("column twice", &["fit", "twice.csv"], 1, "names `a` twice"),
    ("not UTF-8", &["fit", "latin1.csv"], 1, "UTF-8"),
    ("no such file", &["fit", "nowhere.csv"], 1, "cannot open"),
    (
        "no such target",
        &["fit", "table.csv", "--target", "cost"],
        1,
        "there is no column `cost`; there are: size, rooms",
    ),
    ("text as numbers", &["fit", "table.csv", "--target", "town", "--task", "regression"], 1, "holds text"),
    ("no features left", &["fit", "table.csv", "--drop", "size,rooms,town"], 1, "no feature columns"),
    ("one class", &["fit", "one_class.csv"], 1, "only the class `x`"),
    ("unknown kernel", &["fit", "table.csv", "--kernel", "rfb()"], 1, "did you mean `rbf`?"),
    (
        "misspelt parameter",
        &["fit", "table.csv", "--kernel", "rbf(lengthscale=1)"],
        1,
        "did you mean `length_scale`?",
    ),
    ("negative length scale", &["fit", "table.csv", "--kernel", "rbf(length_scale=-1)"], 1, "above 0"),
    ("unfinished kernel", &["fit", "table.csv", "--kernel", "rbf("], 1, "column 5"),
    (
        "indefinite kernel",
        &["fit", "table.csv", "--kernel", "sigmoid()"],
        1,
        "needs a positive definite kernel, but this one is indefinite",
    ),
    (
        "wrong number of length scales",
        &["fit", "table.csv", "--kernel", "rbf(length_scale=[1,2])"],
        1,
        "one length scale each",
    ),
    ("ridge of no sense", &["fit", "table.csv", "--ridge", "-3"], 2, "unexpected argument"),
    ("ridge below 0", &["fit", "table.csv", "--ridge=-3"], 1, "above 0 or `auto`"),
    ("folder as output", &["fit", "table.csv", "--out", "."], 1, "is a folder"),
    ("unwritable output", &["fit", "table.csv", "--out", "no/such/folder/model.json"], 1, "cannot write"),
    (
        "unseen category",
        &["predict", "model.json", "unseen.csv"],
        1,
        "is `Dachau`, which training has not seen (known: Aalen, Bonn, Celle)",
    ),
    (
        "missing column at predict",
        &["predict", "model.json", "x.csv"],
        1,
        "no column `size`; the model needs: size, rooms, town",
    ),
    ("text where numbers were", &["predict", "model.json", "text.csv"], 1, "holds the text `big`"),
    (
        "model of a newer version",
        &["predict", "newer.json", "table.csv"],
        1,
        "has version 999, this program reads version 1",
    ),
    ("truncated model", &["predict", "truncated.json", "table.csv"], 1, "may be truncated"),
    ("not a model", &["predict", "other.json", "table.csv"], 1, "is not a"),
    ("table as model", &["predict", "table.csv", "table.csv"], 1, "not a readable model"),
    (
        "variance of a ridge regression",
        &["predict", "model.json", "table.csv", "--variance"],
        1,
        "need a Gaussian process",
    ),
    (
        "probabilities of a regression",
        &["predict", "model.json", "table.csv", "--proba"],
        1,
        "needs a classification model",
    ),
    (
        "interval of no sense",
        &["predict", "model.json", "table.csv", "--interval", "1.5"],
        1,
        "between 0 and 1",
    ),
    (
        "not an NPY file",
        &["gram", "--kernel", "rbf()", "--x", "bad.npy", "--out", "k.npy"],
        1,
        "not a readable NPY file",
    ),
    (
        "truncated NPY file",
        &["gram", "--kernel", "rbf()", "--x", "short.npy", "--out", "k.npy"],
        1,
        "ends too early",
    ),
    (
        "NPY of objects",
        &["gram", "--kernel", "rbf()", "--x", "object.npy", "--out", "k.npy"],
        1,
        "object.npy",
    ),
    (
        "NPY with too many dimensions",
        &["gram", "--kernel", "rbf()", "--x", "tesseract.npy", "--out", "k.npy"],
        1,
        "a matrix (n, d) is expected",
    ),
    (
        "a kernel on rows for paths",
        &["gram", "--kernel", "rbf()", "--x", "cube.npy", "--out", "k.npy"],
        1,
        "the points are paths",
    ),
    (
        "NPY that promises too much",
        &["gram", "--kernel", "rbf()", "--x", "promise.npy", "--out", "k.npy"],
        1,
        "promise.npy",
    ),
    ("not a Parquet file", &["fit", "bad.parquet"], 1, "not a readable Parquet file"),
    (
        "dimensions that differ",
        &["gram", "--kernel", "rbf()", "--x", "x.csv", "--y", "three.csv", "--out", "k.npy"],
        1,
        "number of features",
    ),
    (
        "text in a matrix",
        &["gram", "--kernel", "rbf()", "--x", "classes.csv", "--out", "k.npy"],
        1,
        "holds text",
    ),
    ("too little memory", &["fit", "table.csv", "--memory", "10KiB"], 1, "--memory is 10.0 KiB"),
    (
        "memory for no row",
        &["gram", "--kernel", "rbf()", "--x", "x.csv", "--out", "k.npy", "--memory", "10"],
        1,
        "one row of the matrix",
    ),
    ("no threads", &["fit", "table.csv", "--threads", "0"], 2, "0 is not in 1.."),
    ("memory without sense", &["fit", "table.csv", "--memory", "lots"], 2, "no unit of memory"),
    ("too many folds", &["evaluate", "table.csv", "--folds", "99"], 1, "expected 2 to 60"),
    (
        "unknown family",
        &["kernels", "nothing"],
        1,
        "there is no kernel `nothing`; there are: white, constant",
    ),
    (
        "unknown task of bench",
        &["bench", "--tasks", "nothing"],
        1,
        "there is no `nothing`; there are: foundation, rbf_gram",
    ),
    ("no command", &[], 2, "Usage"),
];

/// Odd input that has a right answer: no error.
const ODD_BUT_RIGHT: &[&[&str]] = &[
    &["fit", "constant.csv"],
    &["fit", "constant_target.csv", "--task", "regression"],
    &["fit", "huge.csv", "--task", "regression"],
    &["fit", "duplicates.csv", "--task", "regression", "--ridge", "0.1"],
    &["fit", "missing.csv", "--missing", "drop", "--task", "regression"],
    &["fit", "missing.csv", "--missing", "mean", "--task", "regression"],
    &["predict", "unseen_ok.json", "unseen.csv"],
];

fn hostile_files(at: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(at.join(name), bytes).unwrap();
    let many = |row: &dyn Fn(usize) -> String| -> String { (0..30).map(row).collect() };
    write("empty.csv", b"");
    write("header.csv", b"a,y\n");
    write("one_row.csv", b"a,y\n1,2\n");
    write("ragged.csv", b"a,y\n1,2\n3\n");
    write("missing.csv", format!("a,y\n1,2\n,3\n{}", many(&|i| format!("{i},{}.5\n", i % 4))).as_bytes());
    write("missing_target.csv", b"a,y\n1,2\n2,\n3,4.5\n");
    write("infinite.csv", b"a,y\ninf,2\n2,3\n");
    write("no_header.csv", b"1,2\n3,4\n");
    write("twice.csv", b"a,a\n1,2\n");
    write("latin1.csv", b"a,y\ncaf\xe9,2\n");
    write("one_class.csv", b"a,y\n1,x\n2,x\n3,x\n");
    write("unseen.csv", b"size,rooms,town\n1,2,Dachau\n");
    write("text.csv", b"size,rooms,town\nbig,2,Bonn\n");
    write("three.csv", b"a,b,c\n1,2,3\n");
    write("constant.csv", format!("a,b,y\n{}", many(&|i| format!("5,{i},{}.25\n", i % 3))).as_bytes());
    write("constant_target.csv", format!("a,y\n{}", many(&|i| format!("{i},7\n"))).as_bytes());
    write(
        "huge.csv",
        format!("a,y\n{}", many(&|i| format!("{}e308,{}.5\n", i as f64 / 30.0, i % 5))).as_bytes(),
    );
    write("duplicates.csv", format!("a,y\n{}", many(&|i| format!("1,{}.5\n", i % 2))).as_bytes());
    write("bad.npy", b"not numpy");
    write("bad.parquet", b"PAR1garbagePAR1");
    write("other.json", br#"{"format": "something", "version": 1}"#);
    let header = |descr: &str, shape: &str| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16 + 1).to_le_bytes());
        bytes.extend(text.bytes().chain([b'\n']));
        bytes
    };
    write("short.npy", &[header("<f8", "(4, 2)"), vec![0; 40]].concat());
    write("object.npy", &[header("|O", "(2, 2)"), vec![0; 32]].concat());
    write("cube.npy", &[header("<f8", "(2, 2, 2)"), vec![0; 64]].concat());
    write("tesseract.npy", &[header("<f8", "(2, 2, 2, 1, 1)"), vec![0; 64]].concat());
    write("promise.npy", &[header("<f8", "(9999999999, 9999999999)"), vec![0; 64]].concat());
    run(at, &["fit", "table.csv", "--out", "model.json"]);
    run(at, &["fit", "table.csv", "--unseen", "ignore", "--out", "unseen_ok.json"]);
    let model = fs::read_to_string(at.join("model.json")).unwrap();
    write("truncated.json", &model.as_bytes()[..model.len() / 2]);
    write("newer.json", model.replacen("\"version\":1", "\"version\":999", 1).as_bytes());
}

#[test]
fn hostile_input_gets_a_clear_answer() {
    let folder = folder();
    let at = folder.path();
    hostile_files(at);
    let before = names(at);
    for (what, arguments, code, words) in HOSTILE {
        let output = kernels(at, arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{what}: {message}");
        assert!(message.contains(words), "{what}: {message}");
        assert!(!message.contains("panicked") && !message.contains("RUST_BACKTRACE"), "{what}: {message}");
    }
    assert_eq!(names(at), before, "an error left a file behind");
    for arguments in ODD_BUT_RIGHT {
        let output = kernels(at, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
}

fn names(at: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Ctrl-C in the middle of writing a matrix: code 130, no output, nothing left behind.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = folder();
    let at = folder.path();
    let rows: String =
        (0..12_000).map(|i| format!("{},{}\n", f64::from(i).sin(), f64::from(i).cos())).collect();
    fs::write(at.join("many.csv"), format!("a,b\n{rows}")).unwrap();
    let before = names(at);
    // Small panels and slow values (a library call for every entry), so that there is a middle to interrupt.
    let mut child = Command::new(env!("CARGO_BIN_EXE_kernels"))
        .current_dir(at)
        .args([
            "gram",
            "--kernel",
            "sigmoid() * sigmoid() + sigmoid()",
            "--x",
            "many.csv",
            "--out",
            "k.npy",
            "--memory",
            "20MiB",
            "--threads",
            "1",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Wait until it writes.
    let begun = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        names(at) != before
    });
    assert!(begun);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(names(at), before);
}

/// Thinning, tests, densities, modes, selection and transformation of one table.
#[test]
fn samples() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut table = "a,b\n".to_owned();
    let mut moved = "a,b\n".to_owned();
    for i in 0..256 {
        let (x, y) = ((f64::from(i) * 0.618).fract(), (f64::from(i) * 0.414).fract());
        let side = f64::from(i % 2) * 8.0;
        table += &format!("{},{y}\n", x + side);
        moved += &format!("{},{}\n", x + side + 1.0, y + 1.0);
    }
    fs::write(at.join("p.csv"), table).unwrap();
    fs::write(at.join("q.csv"), moved).unwrap();

    let thinned = json(at, &["thin", "--x", "p.csv", "--out", "kept.npy"]);
    assert_eq!((&thinned["size"], npy(at.join("kept.npy")).len()), (&16.into(), 32));
    assert!(thinned["mmd"].as_f64().unwrap() < 0.05);
    let random = json(at, &["thin", "--x", "p.csv", "--method", "random", "--size", "16"]);
    assert!(random["mmd"].as_f64() > thinned["mmd"].as_f64());
    let pressed = json(at, &["thin", "--x", "p.csv", "--method", "compress"]);
    assert_eq!(pressed["size"], 16);
    let error = text(&kernels(at, &["thin", "--x", "p.csv", "--method", "stein"]).stderr);
    assert!(error.contains("--scores"), "{error}");

    let different = json(at, &["test", "--x", "p.csv", "--y", "q.csv", "--permutations", "99"]);
    assert_eq!(different["p_value"], 0.01);
    let same = json(at, &["test", "--x", "p.csv", "--y", "p.csv", "--permutations", "99"]);
    assert!(same["p_value"].as_f64().unwrap() > 0.9);

    json(at, &["density", "--x", "p.csv", "--bandwidth", "0.5", "--out", "f.npy"]);
    json(at, &["density", "--x", "p.csv", "--bandwidth", "0.5", "--tolerance", "1e-6", "--out", "g.npy"]);
    for (f, g) in npy(at.join("f.npy")).iter().zip(npy(at.join("g.npy"))) {
        assert!((f - g).abs() <= 1.1e-6 * f);
    }
    json(at, &["density", "--x", "p.csv", "--sample", "7", "--out", "s.npy"]);
    assert_eq!(npy(at.join("s.npy")).len(), 14);
    let error = text(&kernels(at, &["density", "--x", "p.csv", "--bandwidth", "x", "--out", "n.npy"]).stderr);
    assert!(error.contains("scott"), "{error}");

    let modes = json(at, &["modes", "--x", "p.csv", "--bandwidth", "1", "--out", "labels.npy"]);
    assert_eq!(modes["modes"].as_array().unwrap().len(), 2);
    assert!(npy(at.join("labels.npy")).chunks(2).all(|l| l[0] != l[1]));

    for method in ["lcmd", "maxdet", "maxdist", "bait", "frank-wolfe", "kmeans", "dpp", "facility", "random"]
    {
        let chosen = json(at, &["select", "--x", "p.csv", "--size", "5", "--method", method]);
        assert_eq!(chosen["size"], 5, "{method}");
    }
    let near =
        json(at, &["select", "--x", "p.csv", "--targets", "q.csv", "--size", "3", "--method", "targets"]);
    assert_eq!(near["indices"].as_array().unwrap().len(), 3);

    json(at, &["transform", "--x", "p.csv", "--out", "t.npy"]);
    assert!(npy(at.join("t.npy")).iter().all(|t| (-1e-9..=1.0 + 1e-9).contains(t)));
    json(at, &["transform", "--x", "p.csv", "--at", "t.npy", "--inverse", "--out", "back.npy"]);
    assert!((npy(at.join("back.npy"))[0]).abs() < 1e-6);
}
