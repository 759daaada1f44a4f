//! Data that are read block by block.

use kernels_core::{Matern, Points, Rbf, Rows};
use kernels_solvers::{BlockSource, EigenPro, Error, Falkon, NpyFiles, uniform_landmarks};
use nalgebra::DMatrix;

use super::*;

/// The same rows in small blocks, as a reader of files yields them.
struct Pieces(Rows<f64>, DMatrix<f64>, usize);

impl BlockSource for Pieces {
    type Points = Rows<f64>;
    fn len(&self) -> usize {
        self.0.len()
    }
    fn outputs(&self) -> usize {
        self.1.ncols()
    }
    fn pass(
        &mut self,
        visit: &mut dyn FnMut(&Rows<f64>, &DMatrix<f64>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let all: Vec<usize> = (0..self.0.len()).collect();
        for part in all.chunks(self.2) {
            visit(&self.0.subset(part)?, &self.1.select_rows(part))?;
        }
        Ok(())
    }
    fn select(&mut self, indices: &[usize]) -> Result<Rows<f64>, Error> {
        Ok(self.0.subset(indices)?)
    }
}

#[test]
fn streamed_data_give_the_model_of_data_in_memory() {
    let (xs, y) = smooth(500);
    let falkon = Falkon::new(Rbf::new(0.8).unwrap(), 40).lambda(1e-5).tolerance(1e-12).max_iterations(40);
    let (whole, _) = falkon.fit(&xs, &y, &mut ()).unwrap();
    let (parts, _) = falkon.fit_source(&mut Pieces(xs.clone(), y.clone(), 64), &mut ()).unwrap();
    let (a, b) = (whole.predict(&xs).unwrap(), parts.predict(&xs).unwrap());
    // Sums in another order, times the condition number of the preconditioned system.
    assert!((&a - &b).amax() < 1e-7, "{:e}", (&a - &b).amax());
    let centers = xs.subset(&uniform_landmarks(500, 60, 1)).unwrap();
    let fit = EigenPro::new(Matern::new(0.5, 2.0).unwrap()).sample(200).directions(30).epochs(12);
    let (model, report) =
        fit.fit_centers(&mut Pieces(xs.clone(), y.clone(), 120), &centers, &mut ()).unwrap();
    let error = (model.predict(&xs).unwrap() - &y).norm() / y.norm();
    assert!(error < 0.15, "{error}, {report:?}");
}

/// A file in NumPy's format; `kind` as in its header.
fn npy(path: &std::path::Path, kind: &str, shape: &str, bytes: &[u8]) {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    header += &" ".repeat((10 + header.len() + 1).next_multiple_of(64) - 11 - header.len());
    header.push('\n');
    let mut all = b"\x93NUMPY\x01\x00".to_vec();
    all.extend((header.len() as u16).to_le_bytes());
    all.extend(header.as_bytes());
    all.extend(bytes);
    std::fs::write(path, all).unwrap();
}

/// Files give what the same rows in blocks of the same size give, bit by bit, whatever their type; damaged ones say what they are.
#[test]
fn files_of_numpy() {
    let folder = std::env::temp_dir().join(format!("kernels-npy-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (px, py) = (folder.join("x.npy"), folder.join("y.npy"));
    let (xs, y) = smooth(300);
    let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let by_rows = |m: &DMatrix<f64>| bytes(m.transpose().as_slice());
    npy(&px, "<f8", "(300, 2)", &bytes(xs.as_slice()));
    npy(&py, "<f8", "(300, 2)", &by_rows(&y));
    let mut files = NpyFiles::<f64>::open(&px, &py).unwrap().block(64);
    assert_eq!((files.len(), files.outputs()), (300, 2));
    assert_eq!(files.select(&[7, 299, 7]).unwrap(), xs.subset(&[7, 299, 7]).unwrap());
    assert!(files.select(&[300]).is_err());
    let falkon = Falkon::new(Rbf::new(0.8).unwrap(), 40).lambda(1e-5);
    let (a, _) = falkon.fit_source(&mut files, &mut ()).unwrap();
    let (b, _) = falkon.fit_source(&mut Pieces(xs.clone(), y.clone(), 64), &mut ()).unwrap();
    assert_eq!(a, b);
    // Single precision, whole numbers, bytes, and a vector of targets.
    let narrow: Vec<u8> = xs.as_slice().iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
    npy(&px, "<f4", "(300, 2)", &narrow);
    npy(&py, "<f8", "(300,)", &bytes(y.column(0).as_slice()));
    let mut files = NpyFiles::<f32>::open(&px, &py).unwrap();
    assert_eq!((files.outputs(), files.select(&[3]).unwrap().as_slice()[1]), (1, xs.as_slice()[7] as f32));
    for (kind, bytes) in [("<i4", (-7_i32).to_le_bytes().to_vec()), ("<i8", (-7_i64).to_le_bytes().to_vec())]
    {
        npy(&px, kind, "(1, 1)", &bytes);
        npy(&py, "|u1", "(1,)", &[200]);
        let mut files = NpyFiles::<f64>::open(&px, &py).unwrap();
        let mut seen = Vec::new();
        let mut look = |x: &Rows<f64>, y: &DMatrix<f64>| {
            seen.push((x.as_slice()[0], y[0]));
            Ok(())
        };
        files.pass(&mut look).unwrap();
        assert_eq!(seen, [(-7.0, 200.0)]);
    }
    // An empty file is a data set without samples.
    npy(&px, "<f8", "(0, 2)", &[]);
    npy(&py, "<f8", "(0,)", &[]);
    let mut none = NpyFiles::<f64>::open(&px, &py).unwrap();
    assert!(none.is_empty() && falkon.fit_source(&mut none, &mut ()).is_err());
    let says = |message: &str| {
        let error = NpyFiles::<f64>::open(&px, &py).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    npy(&px, "<f8", "(3, 2)", &[0; 40]);
    says("ends before the 3 x 2 values");
    npy(&px, "<f8", "(99999999999999, 99999999999999)", &[0; 40]);
    says("ends before");
    npy(&px, "<c16", "(1, 1)", &[0; 16]);
    says("type `<c16`");
    npy(&px, "<f8", "(1, 1, 1)", &[0; 8]);
    says("no matrix");
    npy(&px, "<f8", "(1, 1)", &[0; 8]);
    says("expected 1, got 0");
    std::fs::write(&px, b"x,y\n1,2\n3,4\n5,6\n").unwrap();
    says("no NPY file");
    std::fs::write(&px, b"").unwrap();
    says("cannot be read");
    std::fs::remove_dir_all(&folder).unwrap();
}
