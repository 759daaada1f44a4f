//! The `kernels` program as its users run it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

mod hostile;
mod matrices;
mod models;
mod session;

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

fn names(at: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
