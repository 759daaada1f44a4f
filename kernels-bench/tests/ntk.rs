//! Kernels of networks at the command line: files of networks, images, Jacobians, criticality, predictions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use kernels_core::{Rows, cross_gram, gram};
use kernels_ntk::{GradientFlow, Images, Jacobian, Net, NetworkKernel, Ridge, edge_of_chaos, posterior};
use nalgebra::DMatrix;
use serde_json::Value;

fn kernels(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kernels")).current_dir(folder).args(arguments).output().unwrap()
}

#[track_caller]
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_kernels"))
        .current_dir(folder)
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = kernels(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(path: PathBuf, shape: &[usize], values: &[f64]) {
    let shape: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}", shape.join(" "));
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(length - 1 - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// Values of an NPY matrix of f64 in C order.
fn read(path: PathBuf, rows: usize) -> DMatrix<f64> {
    let bytes = fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let values: Vec<f64> =
        bytes[start..].chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
    DMatrix::from_row_slice(rows, values.len() / rows.max(1), &values)
}

fn values(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0).collect()
}

const CNN: &str =
    "conv(filter=[3, 3], padding=SAME, w_std=1.4, b_std=0.1) > relu > global_avg_pool > dense()";

#[test]
fn networks_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let layers = r#"[{"t": "dense", "w_std": 1.5, "b_std": 0.1}, {"t": "relu"}, {"t": "dense"}]"#;
    fs::write(at.join("net.json"), layers).unwrap();
    write(at.join("x.npy"), &[5, 3], &values(15));
    let told = json(at, &["gram", "--kernel", "ntk(net=\"net.json\")", "--x", "x.npy", "--out", "k.npy"]);
    let text = "dense(w_std=1.5, b_std=0.1) > relu > dense()";
    assert_eq!(told["kernel"], format!("ntk(net=\"{text}\")"));
    let net: Net = text.parse().unwrap();
    let xs = Rows::from_row_major(values(15), 5, 3).unwrap();
    assert_eq!(read(at.join("k.npy"), 5), gram(&NetworkKernel::ntk(net), &xs).unwrap());
    fs::write(at.join("wrong.json"), r#"[{"t": "dens"}]"#).unwrap();
    let said =
        refused(at, &["gram", "--kernel", "ntk(net=\"wrong.json\")", "--x", "x.npy", "--out", "k.npy"]);
    assert!(said.contains("wrong.json") && said.contains("dens"), "{said}");
    let said = refused(at, &["gram", "--kernel", "ntk(net=\"none.json\")", "--x", "x.npy", "--out", "k.npy"]);
    assert!(said.contains("none.json"), "{said}");
}

#[test]
fn images_into_gram_and_fit() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // Images whose brightness tells their class.
    let n = 24;
    let mut pixels = values(n * 32);
    for (i, image) in pixels.chunks_exact_mut(32).enumerate() {
        image.iter_mut().for_each(|p| *p = 0.2 * *p + if i % 2 == 0 { 1.0 } else { -1.0 });
    }
    write(at.join("x.npy"), &[n, 4, 4, 2], &pixels);
    let kernel = format!("ntk(net=\"{CNN}\")");
    json(at, &["gram", "--kernel", &kernel, "--x", "x.npy", "--out", "k.npy"]);
    let images = Images::new(pixels, n, 4, 4, 2).unwrap();
    let exact = gram(&NetworkKernel::ntk(CNN.parse().unwrap()), &images).unwrap();
    assert!((read(at.join("k.npy"), n) - &exact).amax() < 1e-12 * exact.amax());
    let said = refused(at, &["gram", "--kernel", "rbf()", "--x", "x.npy", "--out", "k.npy"]);
    assert!(said.contains("images"), "{said}");

    let classes: String = (0..n).map(|i| if i % 2 == 0 { "light\n" } else { "dark\n" }).collect();
    fs::write(at.join("y.csv"), format!("kind\n{classes}")).unwrap();
    let on_rows = format!("images(of={kernel}, height=4, width=4)");
    let fit =
        ["fit", "x.npy", "--targets", "y.csv", "--kernel", &on_rows, "--no-standardise", "--out", "m.json"];
    let fitted = json(at, &fit);
    assert_eq!((&fitted["task"], &fitted["features"]), (&"classification".into(), &32.into()));
    let predicted = kernels(at, &["predict", "m.json", "x.npy"]);
    let predicted = String::from_utf8_lossy(&predicted.stdout).into_owned();
    let right = predicted.lines().skip(1).zip(classes.lines()).filter(|(p, c)| p == c).count();
    assert_eq!(right, n, "{predicted}");
    // Hyper-parameters move.
    let tuned = json(
        at,
        &[
            "tune",
            "x.npy",
            "--targets",
            "y.csv",
            "--kernel",
            &on_rows,
            "--iterations",
            "3",
            "--restarts",
            "0",
        ],
    );
    assert!(tuned["kernel"].as_str().unwrap().starts_with("images(of=ntk("), "{tuned}");
    let short = refused(at, &["fit", "x.npy", "--targets", "m.csv", "--kernel", &on_rows]);
    assert!(short.contains("m.csv"), "{short}");
}

#[test]
fn tuning_moves_standard_deviations() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let table: String = (0..40)
        .map(|i| f64::from(i) / 10.0)
        .map(|t| format!("{t},{}\n", (2.0 * t).sin() + 0.3 * t))
        .collect();
    fs::write(at.join("t.csv"), format!("t,y\n{table}")).unwrap();
    let start = "ntk(net=\"dense(w_std=1, b_std=1) > erf > dense(w_std=1, b_std=0.1)\")";
    let tuned = json(at, &["tune", "t.csv", "--kernel", start, "--restarts", "0", "--iterations", "15"]);
    let text = tuned["kernel"].as_str().unwrap();
    assert!(text.starts_with("ntk(net=") && text != start, "{text}");
}

#[test]
fn kernels_of_jacobians() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (n, outputs, parameters) = (4, 2, 6);
    write(at.join("j.npy"), &[n, outputs, parameters], &values(n * outputs * parameters));
    write(at.join("z.npy"), &[2, outputs, parameters], &values(24));
    write(at.join("y.npy"), &[n], &[0.0, 1.0, 1.0, 0.0]);
    write(at.join("yz.npy"), &[2], &[1.0, 0.0]);
    let matrix = |n: usize, v: Vec<f64>| DMatrix::from_row_slice(n * outputs, parameters, &v);
    let jacobian = Jacobian::new(matrix(n, values(48)), outputs).unwrap();
    let other = Jacobian::new(matrix(2, values(24)), outputs).unwrap();
    let theta = jacobian.kernel().unwrap();
    let cross = jacobian.cross_kernel(&other).unwrap();
    let (y, yz) = ([0, 1, 1, 0], [1, 0]);
    let within: [(&str, DMatrix<f64>); 7] = [
        ("full", theta.matrix().clone()),
        ("trace", theta.trace()),
        ("trntk", theta.cosines().unwrap()),
        ("pntk", theta.pseudo()),
        ("lpntk", theta.label_pseudo(&y, &y).unwrap()),
        ("signgd", jacobian.signs().kernel().unwrap().trace()),
        ("asymmetric-signgd", jacobian.signs().cross_kernel(&jacobian).unwrap().trace()),
    ];
    for (kind, expected) in within {
        json(
            at,
            &[
                "ntk",
                "empirical",
                "--jacobian",
                "j.npy",
                "--labels",
                "y.npy",
                "--kind",
                kind,
                "--out",
                "k.npy",
            ],
        );
        assert_eq!(read(at.join("k.npy"), expected.nrows()), expected, "{kind}");
    }
    json(
        at,
        &[
            "ntk",
            "empirical",
            "--jacobian",
            "j.npy",
            "--other",
            "z.npy",
            "--labels",
            "y.npy",
            "--other-labels",
            "yz.npy",
            "--kind",
            "lpntk",
            "--out",
            "k.npy",
        ],
    );
    assert_eq!(read(at.join("k.npy"), n), cross.label_pseudo(&y, &yz).unwrap());
    json(at, &["ntk", "empirical", "--jacobian", "j.npy", "--project", "3", "--seed", "5", "--out", "k.npy"]);
    let projected = jacobian.projected(3, 5).unwrap().kernel().unwrap().trace();
    assert_eq!(read(at.join("k.npy"), n), projected);
    let said = refused(
        at,
        &["ntk", "empirical", "--jacobian", "j.npy", "--other", "z.npy", "--kind", "trntk", "--out", "k.npy"],
    );
    assert!(said.contains("--other"), "{said}");
    let said = refused(at, &["ntk", "empirical", "--jacobian", "y.npy", "--out", "k.npy"]);
    assert!(said.contains("(n, outputs, parameters)"), "{said}");
}

#[test]
fn criticality() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let tanh = json(at, &["ntk", "criticality", "tanh"]);
    assert!((tanh["edge_w_std"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{tanh}");
    let relu = json(at, &["ntk", "criticality", "relu", "--w-std", "1.2"]);
    assert!((relu["edge_w_std"].as_f64().unwrap() - 2.0_f64.sqrt()).abs() < 1e-12);
    assert!((relu["preserving_variance"].as_f64().unwrap() - 2.0).abs() < 1e-12);
    assert_eq!(relu["phase"], "Ordered");
    let erf = json(at, &["ntk", "criticality", "erf(b=0.8)", "--b-std", "0.3", "--w-std", "3"]);
    let exact = edge_of_chaos(&kernels_ntk::Activation::Erf { a: 1.0, b: 0.8, c: 0.0 }, 0.3).unwrap();
    assert_eq!(erf["edge_w_std"].as_f64().unwrap(), exact.0);
    assert_eq!(erf["phase"], "Chaotic");
    let said = refused(at, &["ntk", "criticality", "tanhh"]);
    assert!(said.contains("tanhh"), "{said}");
}

#[test]
fn predictions() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at.join("x.npy"), &[6, 2], &values(12));
    write(at.join("y.npy"), &[6, 1], &values(6));
    write(at.join("t.npy"), &[3, 2], &values(20)[14..]);
    let text = "dense(w_std=1.5, b_std=0.3) > erf > dense(w_std=1.2)";
    let net: Net = text.parse().unwrap();
    let rows = |v: &[f64], n| Rows::from_row_major(v.to_vec(), n, 2).unwrap();
    let (x, t) = (rows(&values(12), 6), rows(&values(20)[14..], 3));
    let y = DMatrix::from_column_slice(6, 1, &values(6));
    let of = |k: &NetworkKernel| (gram(k, &x).unwrap(), cross_gram(k, &t, &x).unwrap(), gram(k, &t).unwrap());
    let (q, qc, qt) = of(&NetworkKernel::nngp(net.clone()));
    let (theta, cross, _) = of(&NetworkKernel::ntk(net));
    let call = |more: &[&str]| {
        let all = [
            "ntk",
            "predict",
            "--net",
            text,
            "--x",
            "x.npy",
            "--y",
            "y.npy",
            "--test",
            "t.npy",
            "--out",
            "m.npy",
            "--deviations",
            "s.npy",
            "--ridge",
            "0.001",
        ];
        json(at, &[&all, more].concat());
        (read(at.join("m.npy"), 3), read(at.join("s.npy"), 3))
    };
    let flow = GradientFlow::new(&theta, &y, Ridge::Relative(0.001), 0.5).unwrap();
    for time in [Some(2.0), None] {
        let (mean, covariance) = flow.ensemble(&cross, (&q, &qc, &qt), time).unwrap();
        let text = time.map(|t: f64| t.to_string());
        let mut more = vec!["--rate", "0.5"];
        if let Some(text) = &text {
            more.extend(["--time", text]);
        }
        let (m, s) = call(&more);
        assert!((m - mean).amax() < 1e-12);
        for i in 0..3 {
            assert!((s[i] * s[i] - covariance[(i, i)]).abs() < 1e-12);
        }
    }
    let (mean, covariance) = posterior(&q, &qc, &qt, &y, Ridge::Relative(0.001)).unwrap();
    let (m, s) = call(&["--bayesian"]);
    assert!((m - mean).amax() < 1e-12 && (s[1] * s[1] - covariance[(1, 1)]).abs() < 1e-12);
    let said = refused(
        at,
        &[
            "ntk", "predict", "--net", "dens()", "--x", "x.npy", "--y", "y.npy", "--test", "t.npy", "--out",
            "m.npy",
        ],
    );
    assert!(said.contains("dens"), "{said}");
}

#[test]
fn descent_on_other_losses() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at.join("x.npy"), &[4, 2], &values(8));
    write(at.join("y.npy"), &[4, 2], &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
    let text = "dense(w_std=1.5, b_std=0.3) > relu > dense()";
    let call = |more: &[&str]| {
        let all = [
            "ntk", "predict", "--net", text, "--x", "x.npy", "--y", "y.npy", "--test", "x.npy", "--out",
            "m.npy",
        ];
        json(at, &[&all, more].concat());
        read(at.join("m.npy"), 4)
    };
    // Momentum 0 at a small rate follows the flow on squares; cross-entropy sorts the classes of the training points.
    let f = call(&["--loss", "cross-entropy", "--time", "200"]);
    for (i, class) in [0, 1, 1, 0].into_iter().enumerate() {
        assert!(f[(i, class)] > f[(i, 1 - class)], "{f}");
    }
    let late = call(&["--momentum", "0.9", "--time", "3000"]);
    let y = read(at.join("y.npy"), 4);
    assert!((late - y).amax() < 0.1);
    let all = [
        "ntk", "predict", "--net", text, "--x", "x.npy", "--y", "y.npy", "--test", "x.npy", "--out", "m.npy",
    ];
    let said = refused(at, &[&all[..], &["--loss", "cross-entropy"]].concat());
    assert!(said.contains("--time"), "{said}");
}

#[test]
fn a_ladder_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // Stripes across or along, of random strength: brightness tells nothing.
    let image = |i: usize| -> Vec<f64> {
        let noise = values(1000);
        (0..64)
            .map(|p| {
                let phase = if i.is_multiple_of(2) { p / 8 } else { p % 8 } / 2 % 2;
                (phase as f64 - 0.5) * (1.0 + 0.3 * noise[i]) + 0.3 * noise[(i * 64 + p * 7) % 1000]
            })
            .collect()
    };
    let set = |from: usize, n: usize| (from..from + n).flat_map(image).collect::<Vec<f64>>();
    let labels = |from: usize, n: usize| (from..from + n).map(|i| (i % 2) as f64).collect::<Vec<f64>>();
    write(at.join("x.npy"), &[40, 8, 8, 1], &set(0, 40));
    write(at.join("y.npy"), &[40], &labels(0, 40));
    write(at.join("t.npy"), &[20, 8, 8, 1], &set(100, 20));
    write(at.join("ty.npy"), &[20], &labels(100, 20));
    let call = [
        "ntk",
        "ladder",
        "--images",
        "x.npy",
        "--labels",
        "y.npy",
        "--test-images",
        "t.npy",
        "--test-labels",
        "ty.npy",
    ];
    let told = json(at, &[&call[..], &["--sizes", "8,32", "--tests", "20", "--downsample", "2"]].concat());
    let rungs = told["rungs"].as_array().unwrap();
    assert_eq!((rungs.len(), &rungs[1]["size"]), (2, &32.into()));
    assert!(rungs[1]["accuracy"].as_f64().unwrap() > 0.9, "{told}");
    let plan = json(at, &[&call[..], &["--sizes", "32", "--tests", "20", "--plan"]].concat());
    assert_eq!(plan["pairs"], 32 * 33 / 2 + 32 * 20);
    let said = refused(at, &[&call[..], &["--sizes", "100"]].concat());
    assert!(said.contains("not 21 images of class 0"), "{said}");
    let said = refused(at, &[&call[..], &["--downsample", "3"]].concat());
    assert!(said.contains("--sizes") || said.contains("--downsample"), "{said}");
}
