//! Classification of time series, on data of the UEA archive where they are at hand.

use std::{fs::File, io::Read, path::PathBuf};

use flate2::read::GzDecoder;
use kernels_core::{DynKernel, Paths, Points, Rows, Standardization, gram};
use kernels_solvers::KernelClassifier;
use nalgebra::DMatrix;

/// A folder with data that have no stated licence and so are not part of this project.
fn data() -> Option<PathBuf> {
    let given = std::env::var_os("KERNELS_DATA").map(PathBuf::from);
    let folder = given
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"))
        .join("timeseries");
    folder.is_dir().then_some(folder)
}

/// Lines `series,label,t,c0,c1,…`, sorted by series.
fn read(folder: &std::path::Path, name: &str) -> (Paths<f64>, Vec<usize>) {
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
        eprintln!("{name}: no data; set KERNELS_DATA to the folder that has timeseries/{name}_train.csv.gz");
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
        if std::env::var_os("KERNELS_SHOW").is_some() {
            eprintln!("{name} {text}: {score:.4} held out, ridge {:e}, test {accuracy:.4}", model.ridge());
        }
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
fn explore() {
    for name in ["JapaneseVowels", "BasicMotions"] {
        let Some(data) = load(name) else { return };
        let scales = [0.5, 1.0, 2.0, 4.0, 8.0];
        for text in [
            "signature(static=rbf(length_scale=L), tol=1e-8, normalize=true)",
            "signature(static=rbf(length_scale=L), tol=1e-8, normalize=true, time=true)",
            "signature(static=rbf(length_scale=L), tol=1e-8, normalize=tensor)",
            "signature(static=rbf(length_scale=L), solver=truncated(5, 1), normalize=levels)",
            "signature(static=rbf(length_scale=L), solver=truncated(4, 1), normalize=levels, differences=false)",
            "signature(static=L * linear(), tol=1e-8, normalize=true)",
            "gak(length_scale=L)",
        ] {
            let begin = std::time::Instant::now();
            chosen(name, &with(text, &scales), &data);
            eprintln!("  {:.2} s", begin.elapsed().as_secs_f64());
        }
    }
    let _ = (gram::<Paths<f64>, DynKernel<Paths<f64>>>, DMatrix::<f64>::zeros(0, 0));
}
