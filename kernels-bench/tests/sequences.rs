//! Sequences: the command line's Gram matrices, and classification of series of the UEA archive where they are at hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, clippy::print_stdout)]

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use kernels_core::{DynKernel, Paths, Points, Rbf, Rows, Standardization};
use kernels_solvers::KernelClassifier;

/// A folder with data that have no stated licence and so are not part of this project.
fn data() -> Option<PathBuf> {
    // The folder with `data/` and `reference/`.
    let given = std::env::var_os("KERNELS_DATA").map(PathBuf::from);
    let folder = given
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"))
        .join("data/timeseries");
    folder.is_dir().then_some(folder)
}

/// Lines `series,label,t,c0,c1,…`, sorted by series.
fn read(folder: &Path, name: &str) -> (Paths<f64>, Vec<usize>) {
    let mut text = String::new();
    let file = File::open(folder.join(format!("{name}.csv.gz"))).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let (mut values, mut lengths, mut labels) = (Vec::new(), Vec::<usize>::new(), Vec::new());
    let (mut last, mut names) = (None, Vec::<String>::new());
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if last.as_deref() != Some(cells[0]) {
            last = Some(cells[0].to_owned());
            lengths.push(0);
            let label = names.iter().position(|n| n == cells[1]).unwrap_or_else(|| {
                names.push(cells[1].to_owned());
                names.len() - 1
            });
            labels.push(label);
        }
        *lengths.last_mut().unwrap() += 1;
        values.extend(cells[3..].iter().map(|c| c.parse::<f64>().unwrap()));
    }
    let total = lengths.iter().sum::<usize>();
    let dim = values.len() / total;
    (Paths::new(Rows::from_row_major(values, total, dim).unwrap(), &lengths).unwrap(), labels)
}

/// Labels that differ between files would be counted as errors: both files list classes in the same order.
fn load(name: &str) -> Option<[(Paths<f64>, Vec<usize>); 2]> {
    let Some(folder) = data() else {
        eprintln!(
            "{name}: no data; set KERNELS_DATA to the folder that has data/timeseries/{name}_train.csv.gz"
        );
        return None;
    };
    let (train, y) = read(&folder, &format!("{name}_train"));
    let (test, y_test) = read(&folder, &format!("{name}_test"));
    let standard = Standardization::fit(&train).unwrap();
    Some([(standard.apply(&train).unwrap(), y), (standard.apply(&test).unwrap(), y_test)])
}

/// Of the kernels, the one whose classifier does best on training series it was not fitted to; its test accuracy.
fn chosen(name: &str, texts: &[String], data: &[(Paths<f64>, Vec<usize>); 2]) -> f64 {
    let [(train, y), (test, y_test)] = data;
    let mut best: Option<(f64, f64, String)> = None;
    for text in texts {
        let kernel: DynKernel<Paths<f64>> = text.parse().unwrap();
        let ridges: Vec<f64> = (-7..1).map(|e| 10.0_f64.powi(e)).collect();
        let model = KernelClassifier::new(kernel).ridges(ridges).fit(train, y).unwrap();
        let held_out = model.leave_one_out_probability();
        let own: Vec<f64> = (0..y.len()).map(|i| held_out[(i, y[i])].max(1e-9).ln()).collect();
        let score = own.iter().sum::<f64>() / y.len() as f64;
        let right = model.predict(test).unwrap().iter().zip(y_test).filter(|(a, b)| a == b).count();
        let accuracy = right as f64 / y_test.len() as f64;
        if best.as_ref().is_none_or(|b| score > b.0) {
            best = Some((score, accuracy, text.clone()));
        }
    }
    let (score, accuracy, text) = best.unwrap();
    println!("{name}: {text}, log likelihood {score:.3} held out, accuracy {accuracy:.4} on test series");
    accuracy
}

fn with(text: &str, values: &[f64]) -> Vec<String> {
    values.iter().map(|v| text.replace('L', &v.to_string())).collect()
}

#[test]
fn japanese_vowels() {
    let Some(data) = load("JapaneseVowels") else { return };
    let scales = [1.0, 2.0, 4.0, 8.0];
    let signature = with("signature(static=rbf(length_scale=L), tol=1e-8, normalize=true)", &scales);
    let accuracy = chosen("JapaneseVowels", &signature, &data);
    assert!(accuracy >= 0.97, "{accuracy}");
}

#[test]
fn basic_motions() {
    let Some(data) = load("BasicMotions") else { return };
    let signature = with("signature(static=rbf(length_scale=L), tol=1e-6, normalize=true)", &[2.0, 8.0]);
    let alignments = with("gak(length_scale=L)", &[4.0, 16.0]);
    for texts in [signature, alignments] {
        let accuracy = chosen("BasicMotions", &texts, &data);
        assert!(accuracy >= 0.9, "{accuracy}");
    }
}

/// A row with the means of all channels and the last minus the first knot: what a kernel on rows can be given of series
/// of unequal lengths.
fn summaries(paths: &Paths<f64>) -> Rows<f64> {
    let d = paths.dim();
    let mut values = Vec::new();
    for i in 0..paths.len() {
        let path = paths.point(i);
        let last = path.len() - 1;
        values.extend((0..d).map(|c| (0..=last).map(|t| path.knot(t)[c]).sum::<f64>() / (last + 1) as f64));
        values.extend((0..d).map(|c| path.knot(last)[c] - path.knot(0)[c]));
    }
    Rows::from_row_major(values, paths.len(), 2 * d).unwrap()
}

#[test]
fn beside_alignments_and_rows() {
    let Some(data) = load("JapaneseVowels") else { return };
    let alignments = chosen("JapaneseVowels", &with("gak(length_scale=L)", &[4.0, 8.0, 16.0]), &data);
    assert!(alignments >= 0.9, "{alignments}");
    let [(train, y), (test, y_test)] = &data;
    let model = KernelClassifier::new(Rbf::new(4.0).unwrap())
        .ridges((-5..1).map(|e| 10.0_f64.powi(e)).collect::<Vec<_>>())
        .fit(&summaries(train), y)
        .unwrap();
    let predicted = model.predict(&summaries(test)).unwrap();
    let right = predicted.iter().zip(y_test).filter(|(a, b)| a == b).count();
    let accuracy = right as f64 / y_test.len() as f64;
    println!("JapaneseVowels: rbf of means and differences, accuracy {accuracy:.4}");
    assert!(accuracy >= 0.85, "{accuracy}");
}

/// An NPY file of f64 in C order.
fn write_npy(path: &Path, shape: &str, values: &[f64]) {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(length - 1 - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

fn gram_command(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kernels"))
        .current_dir(folder)
        .arg("gram")
        .args(arguments)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The last values of a file of f64.
fn tail(path: &Path, n: usize) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap();
    let values = bytes[bytes.len() - 8 * n..].chunks_exact(8);
    values.map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn grams_of_paths_and_strings_at_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_npy(&at.join("x.npy"), "2, 3, 1", &[0.0, 0.7, 1.0, 0.0, 0.2, 1.0]);
    let signature = ["--kernel", "signature()", "--x", "x.npy", "--out", "k.npy"];
    let (fine, message) = gram_command(at, &signature);
    assert!(fine, "{message}");
    // I₀(2), whatever the speed.
    assert!(tail(&at.join("k.npy"), 4).iter().all(|k| (k - 2.279_585_302_336_067).abs() < 1e-11));
    write_npy(&at.join("ragged.npy"), "5, 1", &[0.0, 0.7, 1.0, 0.0, 1.0]);
    write_npy(&at.join("lengths.npy"), "2,", &[3.0, 2.0]);
    let ragged =
        ["--kernel", "gak()", "--x", "ragged.npy", "--lengths", "lengths.npy", "--out", "g.npy", "--diag"];
    let (fine, message) = gram_command(at, &ragged);
    assert!(fine, "{message}");
    assert_eq!(tail(&at.join("g.npy"), 2), [1.0, 1.0]);
    std::fs::write(at.join("words.txt"), "cat\ncar\n").unwrap();
    let words = ["--kernel", "subsequence(n=2, decay=0.5)", "--x", "words.txt", "--out", "s.npy"];
    let (fine, message) = gram_command(at, &words);
    assert!(fine, "{message}");
    assert_eq!(tail(&at.join("s.npy"), 4)[1], 0.5_f64.powi(4));
    let (fine, message) =
        gram_command(at, &["--kernel", "signature(solver=euler())", "--x", "x.npy", "--out", "k.npy"]);
    assert!(!fine && message.contains("unknown solver `euler`"), "{message}");
    let wrong = ["--kernel", "gak()", "--x", "ragged.npy", "--lengths", "x.npy", "--out", "w.npy"];
    assert!(!gram_command(at, &wrong).0);
}

fn kernels(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kernels"));
    let output = command.current_dir(folder).args(arguments).arg("--quiet").output().unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn fine(folder: &Path, arguments: &[&str]) -> String {
    let (fine, text) = kernels(folder, arguments);
    assert!(fine, "{arguments:?}: {text}");
    text
}

/// Of two channels one rises first, which is the label; at any time, in 8 to 13 knots. The other target is the height.
fn rising(series: usize) -> Vec<(usize, f64, Vec<[f64; 2]>)> {
    let fraction = |i: usize, step: f64| (i as f64 * step).fract();
    (0..series)
        .map(|i| {
            let (length, label) = (8 + i % 6, i * 7 % 2);
            let height = 1.0 + fraction(i, 0.618_033_988_749_894_9);
            let first = 0.2 + 0.2 * fraction(i, 0.754_877_666_246_692_7);
            let times = if label == 0 { [first, first + 0.4] } else { [first + 0.4, first] };
            let knot = |t: usize| {
                let s = t as f64 / (length - 1) as f64;
                times.map(|time| height / (1.0 + (-20.0 * (s - time)).exp()))
            };
            (label, height, (0..length).map(knot).collect())
        })
        .collect()
}

/// A row a knot, the rows of two series at a time in turns.
fn table(at: &Path, name: &str, series: &[(usize, f64, Vec<[f64; 2]>)]) {
    let mut text = "run,a,b,height,first\n".to_owned();
    for (pair, both) in series.chunks(2).enumerate() {
        for t in 0..13 {
            for (k, (label, height, knots)) in both.iter().enumerate() {
                if let Some([a, b]) = knots.get(t) {
                    let first = if *label == 0 { "a" } else { "b" };
                    text += &format!("run {},{a},{b},{height},{first}\n", 2 * pair + k);
                }
            }
        }
    }
    std::fs::write(at.join(name), text).unwrap();
}

#[test]
fn series_of_a_table_are_fitted_predicted_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let all = rising(44);
    table(at, "train.csv", &all[..30]);
    table(at, "test.csv", &all[30..]);
    let of = ["--series", "run", "--drop", "height"];
    let said = fine(at, &[&["fit", "train.csv", "--out", "model.json"], &of[..]].concat());
    assert!(said.contains("classification of `first` on 30 series, 2 channels"), "{said}");
    fine(at, &["predict", "model.json", "test.csv", "--proba", "--out", "predicted.csv"]);
    let predicted = std::fs::read_to_string(at.join("predicted.csv")).unwrap();
    let mut lines = predicted.lines();
    assert_eq!(lines.next().unwrap(), "run,first,p_a,p_b");
    for (i, (line, (label, ..))) in lines.zip(&all[30..]).enumerate() {
        let expected = if *label == 0 { "a" } else { "b" };
        assert!(line.starts_with(&format!("run {i},{expected},")), "{line}");
    }
    let stored: serde_json::Value = serde_json::from_str(&fine(
        at,
        &[&["evaluate", "test.csv", "--model", "model.json", "--json"], &of[..]].concat(),
    ))
    .unwrap();
    assert_eq!(stored["scores"]["accuracy"], 1.0, "{stored}");
    // Every solver, and hyper-parameters chosen by a likelihood, on the other target.
    let heights = ["--series", "run", "--target", "height", "--drop", "first"];
    let lift = "signature(static=rbf(length_scale=2), time=true, normalize=true)";
    for more in [&["--solver", "gp"][..], &["--solver", "svm"], &["--solver", "cg"], &["--solver", "falkon"]]
    {
        let fit = [&["fit", "train.csv", "--kernel", lift, "--out", "m.json"], &heights[..], more].concat();
        fine(at, &fit);
        let measured =
            fine(at, &[&["evaluate", "test.csv", "--model", "m.json", "--json"], &heights[..]].concat());
        let scores: serde_json::Value = serde_json::from_str(&measured).unwrap();
        assert!(scores["scores"]["r2"].as_f64().unwrap() > 0.8, "{more:?}: {measured}");
    }
    let tune =
        ["tune", "train.csv", "--kernel", lift, "--restarts", "0", "--iterations", "5", "--out", "t.json"];
    let said = fine(at, &[&tune[..], &heights[..]].concat());
    assert!(said.contains("searched on 30 of 30 series, 2 channels"), "{said}");
    let with_variance = fine(at, &["predict", "t.json", "test.csv", "--variance"]);
    assert!(with_variance.starts_with("run,height,height_sd\nrun 0,"), "{with_variance}");
    let validated = fine(
        at,
        &[&["evaluate", "train.csv", "--kernel", "gak(length_scale=2)", "--folds", "3"], &of[..]].concat(),
    );
    assert!(validated.contains("3-fold cross-validation on 30 series"), "{validated}");

    let (fits, message) = kernels(at, &["fit", "train.csv", "--series", "run", "--target", "a"]);
    assert!(!fits && message.contains("has the targets `"), "{message}");
    let (fits, message) = kernels(at, &[&["fit", "train.csv", "--kernel", "rbf()"], &of[..]].concat());
    assert!(
        !fits && message.contains("a kernel on rows becomes one on paths by signature(static=…)"),
        "{message}"
    );
    let (fits, message) = kernels(at, &["fit", "train.csv", "--series", "runs"]);
    assert!(!fits && message.contains("there is no column `runs`"), "{message}");
}

#[test]
fn series_of_arrays_and_of_rows_and_strings() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let all = rising(30);
    let values: Vec<f64> = all.iter().flat_map(|(.., knots)| knots.concat()).collect();
    let lengths: Vec<f64> = all.iter().map(|(.., knots)| knots.len() as f64).collect();
    write_npy(&at.join("knots.npy"), &format!("{}, 2", values.len() / 2), &values);
    write_npy(&at.join("lengths.npy"), "30,", &lengths);
    let labels: Vec<String> = all.iter().map(|(label, ..)| label.to_string()).collect();
    std::fs::write(at.join("y.csv"), format!("label\n{}\n", labels.join("\n"))).unwrap();
    let array = ["knots.npy", "--lengths", "lengths.npy"];
    let fit = [&["fit"], &array[..], &["--targets", "y.csv", "--solver", "svm", "--out", "m.json"]].concat();
    assert!(fine(at, &fit).contains("30 series, 2 channels"));
    let said = fine(at, &[&["predict", "m.json"], &array[..]].concat());
    assert_eq!(said.lines().skip(1).collect::<Vec<_>>(), labels);
    let (fits, message) = kernels(at, &[&["fit"], &array[..]].concat());
    assert!(!fits && message.contains("--targets"), "{message}");

    // Rows of a table: the first channel alone, empty cells after the end.
    let row = |(label, _, knots): &(usize, f64, Vec<[f64; 2]>)| {
        let cells: Vec<String> =
            (0..13).map(|t| knots.get(t).map_or(String::new(), |k| k[0].to_string())).collect();
        format!("{},{}", cells.join(","), if *label == 0 { "early" } else { "late" })
    };
    let head: Vec<String> = (0..13).map(|t| format!("t{t}")).collect();
    let rows: Vec<String> = all.iter().map(row).collect();
    std::fs::write(at.join("rows.csv"), format!("{},when\n{}\n", head.join(","), rows.join("\n"))).unwrap();
    let said = fine(at, &["fit", "rows.csv", "--points", "paths", "--out", "r.json"]);
    assert!(said.contains("classification of `when` on 30 series, 1 channels"), "{said}");
    let said = fine(at, &["predict", "r.json", "rows.csv"]);
    let right =
        said.lines().skip(1).zip(&all).filter(|(line, (label, ..))| (*line == "early") == (*label == 0));
    assert!(right.count() >= 28, "{said}");

    // Strings, one a line: do they hold `ab`?
    let words: Vec<String> =
        (0..24_usize).map(|i| format!("{}{}", ["xab", "xba"][i % 2], "xy".repeat(1 + i % 3))).collect();
    std::fs::write(at.join("words.txt"), words.join("\n")).unwrap();
    let labels: Vec<&str> = (0..24_usize).map(|i| ["yes", "no"][i % 2]).collect();
    std::fs::write(at.join("labels.csv"), format!("holds\n{}\n", labels.join("\n"))).unwrap();
    let kernel = "normalize(spectrum(k=2))";
    fine(at, &["fit", "words.txt", "--targets", "labels.csv", "--kernel", kernel, "--out", "s.json"]);
    let said = fine(at, &["predict", "s.json", "words.txt"]);
    assert_eq!(said.lines().skip(1).collect::<Vec<_>>(), labels);
    let said = fine(at, &["evaluate", "words.txt", "--targets", "labels.csv", "--kernel", kernel]);
    assert!(said.contains("cross-validation on 24 strings"), "{said}");
}
