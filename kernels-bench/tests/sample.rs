//! The commands of thinning, testing, densities, modes and selection as their users run them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use parquet::{
    data_type::DoubleType,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::Value;
use tempfile::TempDir;

fn kernels(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kernels")).current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let output = kernels(folder, &all);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Expects failure; what was said.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = kernels(folder, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    text(&output.stderr)
}

/// The values of an NPY file of f64 in C order.
fn npy(path: PathBuf) -> Vec<f64> {
    let bytes = fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[start..].chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Writes rows of two values to a Parquet file, in groups of 700 rows.
fn parquet(path: &Path, values: &[f64]) {
    let schema = Arc::new(parse_message_type("message t { required double a; required double b; }").unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties).unwrap();
    for part in values.chunks(1400) {
        let mut group = writer.next_row_group().unwrap();
        for j in 0..2 {
            let column: Vec<f64> = part.iter().skip(j).step_by(2).copied().collect();
            let mut w = group.next_column().unwrap().unwrap();
            w.typed::<DoubleType>().write_batch(&column, None, None).unwrap();
            w.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Two groups of points in the plane that alternate, 300 of them; their scores as if they were standard normal.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (mut points, mut moved, mut scores, mut weights) =
        ("a,b\n".to_owned(), "a,b\n".to_owned(), "a,b\n".to_owned(), "w\n".to_owned());
    for i in 0..300 {
        let (x, y) = ((f64::from(i) * 0.618).fract() * 2.0, (f64::from(i) * 0.414).fract() * 2.0);
        let side = f64::from(i % 2) * 8.0;
        points += &format!("{},{y}\n", x + side);
        moved += &format!("{},{}\n", x + side + 1.0, y + 1.0);
        scores += &format!("{},{}\n", -(x + side), -y);
        weights += &format!("{}\n", i % 2);
    }
    fs::write(path("p.csv"), points).unwrap();
    fs::write(path("q.csv"), moved).unwrap();
    fs::write(path("s.csv"), scores).unwrap();
    fs::write(path("w.csv"), weights).unwrap();
    folder
}

#[test]
fn thin() {
    let folder = folder();
    let at = folder.path();
    let kernel = ["--kernel", "rbf(length_scale=2)"];
    let thin = |more: &[&str]| json(at, &[&["thin", "--x", "p.csv"][..], &kernel, more].concat());
    let random = thin(&["--method", "random", "--size", "16"])["mmd"].as_f64().unwrap();
    for method in ["kernel-thinning", "compress", "herding"] {
        let found = thin(&["--method", method, "--size", "16"]);
        assert!(found["mmd"].as_f64().unwrap() < 0.5 * random, "{method}: {found}");
    }
    for split in ["root", "plus"] {
        assert!(thin(&["--split", split, "--size", "16"])["mmd"].as_f64().unwrap() < 0.5 * random, "{split}");
    }
    assert_eq!(thin(&["--method", "stein", "--scores", "s.csv", "--size", "9"])["size"], 9);
    // All the weight on the points at odd places.
    let weighted = thin(&["--weights", "w.csv", "--size", "18", "--out", "k.npy"]);
    assert!(weighted["indices"].as_array().unwrap().iter().all(|i| i.as_u64().unwrap() % 2 == 1));
    assert_eq!(npy(at.join("k.npy")).len(), 2 * weighted["size"].as_u64().unwrap() as usize);
    assert!(
        refused(at, &["thin", "--x", "p.csv", "--weights", "w.csv", "--method", "herding"])
            .contains("--weights")
    );

    // Streams keep what the whole keeps: from a text table, an array and a columnar table in row groups.
    json(at, &["density", "--x", "p.csv", "--sample", "5000", "--out", "many.npy"]);
    parquet(&at.join("many.parquet"), &npy(at.join("many.npy")));
    for x in ["p.csv", "many.npy", "many.parquet"] {
        for method in ["compress", "standard", "random"] {
            let arguments = ["thin", "--x", x, "--method", method, "--oversampling", "1", "--no-mmd"];
            let whole = json(at, &[&arguments[..], &kernel].concat());
            let stream = json(at, &[&arguments[..], &kernel, &["--stream", "--out", "kept.npy"]].concat());
            assert_eq!(whole["indices"], stream["indices"], "{x} {method}");
            assert_eq!(npy(at.join("kept.npy")).len(), 2 * stream["size"].as_u64().unwrap() as usize);
        }
    }
    assert!(refused(at, &["thin", "--x", "p.csv", "--stream"]).contains("--stream"));
    fs::write(at.join("bad.csv"), "a,b\n1,2\n3,x\n").unwrap();
    let said = refused(at, &["thin", "--x", "bad.csv", "--stream", "--method", "random"]);
    assert!(said.contains("row 2, column 2"), "{said}");
}

/// A stream does not hold the points: 48 MB as numbers alone.
#[cfg(target_os = "linux")]
#[test]
fn streams_take_little_memory() {
    let folder = folder();
    let at = folder.path();
    json(at, &["density", "--x", "p.csv", "--sample", "3000000", "--out", "many.npy"]);
    let arguments = ["thin", "--x", "many.npy", "--method", "compress", "--oversampling", "0", "--no-mmd"];
    let arguments = [&arguments[..], &["--kernel", "rbf(length_scale=2)"]].concat();
    let whole = json(at, &arguments);
    let stream = json(at, &[&arguments[..], &["--stream"]].concat());
    assert_eq!((&stream["size"], &stream["indices"]), (&1024.into(), &whole["indices"]));
    let peak = |found: &Value| found["peak_memory_bytes"].as_f64().unwrap();
    assert!(peak(&stream) < peak(&whole) - 48e6, "{} {}", peak(&stream), peak(&whole));
}

#[test]
fn test() {
    let folder = folder();
    let at = folder.path();
    for hypothesis in ["same", "same-compressed"] {
        let p = |y: &str| {
            let arguments =
                ["test", "--x", "p.csv", "--y", y, "--hypothesis", hypothesis, "--permutations", "99"];
            json(at, &arguments)["p_value"].as_f64().unwrap()
        };
        assert!(p("q.csv") <= 0.05 && p("p.csv") > 0.5, "{hypothesis}");
    }
    let any = |y: &str| {
        let found = json(
            at,
            &["test", "--x", "p.csv", "--y", y, "--hypothesis", "same-any-scale", "--permutations", "99"],
        );
        assert_eq!(found["statistics"].as_array().unwrap().len(), 5);
        found["rejected"].as_bool().unwrap()
    };
    assert!(any("q.csv") && !any("p.csv"));
    let arguments =
        ["test", "--x", "p.csv", "--y", "q.csv", "--hypothesis", "independent", "--permutations", "99"];
    assert_eq!(json(at, &arguments)["p_value"], 0.01);
    // Two groups eight apart are not standard normal.
    let arguments =
        ["test", "--x", "p.csv", "--scores", "s.csv", "--hypothesis", "fits", "--permutations", "99"];
    assert_eq!(json(at, &arguments)["p_value"], 0.01);
    assert!(
        refused(at, &["test", "--x", "p.csv", "--y", "q.csv", "--hypothesis", "fits"]).contains("--scores")
    );
    assert!(refused(at, &["test", "--x", "p.csv", "--scores", "s.csv"]).contains("--y"));
}

#[test]
fn density() {
    let folder = folder();
    let at = folder.path();
    let values = |more: &[&str]| {
        json(at, &[&["density", "--x", "p.csv", "--out", "f.npy"][..], more].concat());
        npy(at.join("f.npy"))
    };
    let exact = values(&["--bandwidth", "0.5"]);
    let peak = exact.iter().copied().fold(0.0, f64::max);
    for (f, g) in exact.iter().zip(values(&["--bandwidth", "0.5", "--tolerance", "1e-6"])) {
        assert!((f - g).abs() <= 1.1e-6 * f);
    }
    for (f, g) in exact.iter().zip(values(&["--bandwidth", "0.5", "--features", "20000"])) {
        assert!((f - g).abs() < 0.2 * peak);
    }
    for (f, g) in exact.iter().zip(values(&["--bandwidth", "0.5", "--log"])) {
        assert!((f.ln() - g).abs() < 1e-9);
    }
    for more in [&["--bandwidth", "likelihood"][..], &["--bandwidth", "least-squares"], &["--adaptive"]] {
        assert!(values(more).iter().all(|f| *f > 0.0));
    }
    for shape in ["exponential", "epanechnikov", "cosine"] {
        assert_eq!(values(&["--shape", shape]).len(), 300);
    }
    assert_eq!(values(&["--sample", "7"]).len(), 14);
    assert!(
        refused(at, &["density", "--x", "p.csv", "--bandwidth", "x", "--out", "n.npy"])
            .contains("least-squares")
    );
    assert!(
        refused(at, &["density", "--x", "p.csv", "--bandwidth", "isj", "--out", "n.npy"])
            .contains("features")
    );
}

#[test]
fn modes() {
    let folder = folder();
    let at = folder.path();
    for more in [
        &["--bandwidth", "1"][..],
        &["--bandwidth", "1", "--accelerated"],
        &["--bandwidth", "0.3", "--least-prominence", "0.8"],
        &["--bandwidth", "2", "--flat"],
        &["--bandwidth", "2", "--flat", "--bin-seeding", "5"],
        &["--bandwidth", "1.5", "--shape", "biweight"],
    ] {
        let found = json(at, &[&["modes", "--x", "p.csv", "--out", "labels.npy"][..], more].concat());
        assert_eq!(found["modes"].as_array().unwrap().len(), 2, "{more:?}: {found}");
        assert!(npy(at.join("labels.npy")).chunks(2).all(|l| l[0] != l[1]), "{more:?}");
    }
    let tree = json(at, &["modes", "--x", "p.csv", "--tree", "1,2,9", "--out", "labels.npy"]);
    assert_eq!(tree["counts"], serde_json::json!([2, 2, 1]));
    assert_eq!(tree["parents"].as_array().unwrap().len(), 2);
    assert!(refused(at, &["modes", "--x", "p.csv", "--tree", "2,1"]).contains("bandwidth"));
    assert!(
        refused(at, &["modes", "--x", "p.csv", "--shape", "box", "--bandwidth", "1"])
            .contains("FlatMeanShift")
    );
}

#[test]
fn select() {
    let folder = folder();
    let at = folder.path();
    for method in [
        "lcmd",
        "maxdet",
        "maxdist",
        "bait",
        "bait-backward",
        "frank-wolfe",
        "kmeans",
        "dpp",
        "dpp-sample",
        "facility",
        "saturated",
        "graph-cut",
        "medoids",
        "random",
    ] {
        let found =
            json(at, &["select", "--x", "p.csv", "--size", "4", "--method", method, "--out", "c.npy"]);
        let mut chosen: Vec<u64> =
            found["indices"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!((chosen.len(), npy(at.join("c.npy")).len()), (4, 8), "{method}");
        // What looks for diversity takes from both groups.
        if method != "random" {
            assert!(chosen.iter().any(|i| i % 2 == 0) && chosen.iter().any(|i| i % 2 == 1), "{method}");
        }
    }
    let near =
        json(at, &["select", "--x", "p.csv", "--targets", "q.csv", "--size", "3", "--method", "targets"]);
    assert_eq!(near["indices"].as_array().unwrap().len(), 3);
    assert!(
        refused(at, &["select", "--x", "p.csv", "--size", "3", "--method", "targets"]).contains("--targets")
    );
    let away = json(at, &["select", "--x", "p.csv", "--train", "q.csv", "--size", "3"]);
    assert_eq!(away["size"], 3);
}

#[test]
fn transform() {
    let folder = folder();
    let at = folder.path();
    json(at, &["transform", "--x", "p.csv", "--out", "t.npy"]);
    let t = npy(at.join("t.npy"));
    assert!(t.iter().all(|t| (-1e-9..=1.0 + 1e-9).contains(t)));
    json(at, &["transform", "--x", "p.csv", "--at", "t.npy", "--inverse", "--out", "back.npy"]);
    assert!(npy(at.join("back.npy"))[0].abs() < 1e-6);
    // Normal scores, there and back.
    json(at, &["transform", "--x", "p.csv", "--normal", "--out", "z.npy"]);
    let z = npy(at.join("z.npy"));
    assert!(z.iter().zip(&t).all(|(z, t)| (*z > 0.0) == (*t > 0.5)));
    json(at, &["transform", "--x", "p.csv", "--at", "z.npy", "--normal", "--inverse", "--out", "back.npy"]);
    assert!((npy(at.join("back.npy"))[2] - 9.236).abs() < 1e-6);
    // Large factors are min-max scaling.
    json(at, &["transform", "--x", "p.csv", "--factor", "1e4", "--out", "m.npy"]);
    let column: Vec<f64> = npy(at.join("m.npy")).iter().step_by(2).copied().collect();
    assert!((column[1] - column[0] - 0.8).abs() < 0.3);
    assert!(
        refused(at, &["transform", "--x", "p.csv", "--factor", "0", "--out", "n.npy"]).contains("factor")
    );
}
