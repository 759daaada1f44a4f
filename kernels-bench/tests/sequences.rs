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
