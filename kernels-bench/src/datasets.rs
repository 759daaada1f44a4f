//! Real data that the program carries with it; sources and licences are in `data/README.md`.

use std::io::Read;

use kernels_core::Rows;

use crate::{data::Table, data::Values, error::Error};

/// A data set with its held-out split: row i is for testing when i % 5 is 4.
pub(crate) struct Dataset {
    pub(crate) name: &'static str,
    pub(crate) features: Vec<String>,
    /// Unit of the target, for the axes of plots.
    pub(crate) unit: &'static str,
    pub(crate) classes: Option<&'static [&'static str]>,
    pub(crate) train: Part,
    pub(crate) test: Part,
}

/// Points, standardised by the training rows (a constant column has deviation 1), and targets.
pub(crate) struct Part {
    pub(crate) xs: Rows<f64>,
    pub(crate) y: Vec<f64>,
}

impl Part {
    pub(crate) fn labels(&self) -> Vec<usize> {
        self.y.iter().map(|y| *y as usize).collect()
    }
}

/// Name, bytes, unit of the target and names of classes.
type Source = (&'static str, &'static [u8], &'static str, Option<&'static [&'static str]>);

const SOURCES: [Source; 8] = [
    ("diabetes", include_bytes!("../data/diabetes.csv"), "disease progression", None),
    ("concrete", include_bytes!("../data/concrete.csv"), "compressive strength [MPa]", None),
    ("winequality_red", include_bytes!("../data/winequality_red.csv"), "quality [0-10]", None),
    ("iris", include_bytes!("../data/iris.csv"), "class", Some(&["setosa", "versicolor", "virginica"])),
    ("wine", include_bytes!("../data/wine.csv"), "class", Some(&["class 0", "class 1", "class 2"])),
    ("penguins", include_bytes!("../data/penguins.csv"), "class", Some(&["Adelie", "Chinstrap", "Gentoo"])),
    ("breast_cancer", include_bytes!("../data/breast_cancer.csv"), "class", Some(&["malignant", "benign"])),
    (
        "digits",
        include_bytes!("../data/digits.csv.gz"),
        "digit",
        Some(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
    ),
];

/// All data sets, in the order of the tour.
pub(crate) fn all() -> Result<Vec<Dataset>, Error> {
    SOURCES.iter().map(load).collect()
}

fn table(name: &str, bytes: &[u8]) -> Result<Table, Error> {
    let mut text = Vec::new();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        let read = flate2::read::GzDecoder::new(bytes).read_to_end(&mut text);
        read.map_err(|source| Error::File { path: name.to_owned(), action: "read", source })?;
        text.as_slice()
    } else {
        bytes
    };
    crate::data::parse_separated(bytes).map_err(|message| Error::Content { path: name.to_owned(), message })
}

fn load(&(name, bytes, unit, classes): &Source) -> Result<Dataset, Error> {
    let table = table(name, bytes)?;
    let features: Vec<String> =
        table.columns[..table.columns.len() - 1].iter().map(|c| c.name.clone()).collect();
    let columns: Vec<Vec<f64>> = table.columns.iter().map(|c| numbers(&c.values)).collect();
    let (x, y) = columns.split_at(columns.len() - 1);
    let is_test = |i: &usize| i % 5 == 4;
    let rows = |test: bool| (0..table.rows).filter(move |i| is_test(i) == test);
    let n = rows(false).count() as f64;
    let scaled: Vec<(f64, f64)> = x
        .iter()
        .map(|c| {
            let mean = rows(false).map(|i| c[i]).sum::<f64>() / n;
            let sd = (rows(false).map(|i| (c[i] - mean).powi(2)).sum::<f64>() / n).sqrt();
            (mean, if sd > 0.0 { sd } else { 1.0 })
        })
        .collect();
    let part = |test: bool| -> Result<Part, Error> {
        let indices: Vec<usize> = rows(test).collect();
        let values =
            indices.iter().flat_map(|&i| x.iter().zip(&scaled).map(move |(c, (m, s))| (c[i] - m) / s));
        let xs = Rows::from_row_major(values.collect(), indices.len(), x.len())?;
        Ok(Part { xs, y: indices.iter().map(|&i| y[0][i]).collect() })
    };
    Ok(Dataset { name, features, unit, classes, train: part(false)?, test: part(true)? })
}

fn numbers(values: &Values) -> Vec<f64> {
    match values {
        Values::Numbers(numbers) => numbers.iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
        Values::Words(words) => vec![f64::NAN; words.len()],
    }
}

/// Weekly CO₂ at Mauna Loa: years and ppm.
pub(crate) fn co2() -> Result<(Vec<f64>, Vec<f64>), Error> {
    let table = table("co2_weekly", include_bytes!("../data/co2_weekly.csv"))?;
    let columns: Vec<Vec<f64>> = table.columns.iter().map(|c| numbers(&c.values)).collect();
    Ok((columns[0].clone(), columns[1].clone()))
}

/// Epicentres of earthquakes: longitude and latitude in degrees.
pub(crate) fn earthquakes() -> Result<Rows<f64>, Error> {
    let table = table("earthquakes_usgs", include_bytes!("../data/earthquakes_usgs.csv"))?;
    let columns: Vec<Vec<f64>> = table.columns[..2].iter().map(|c| numbers(&c.values)).collect();
    let values = columns[0].iter().zip(&columns[1]).flat_map(|(x, y)| [*x, *y]).collect();
    Ok(Rows::from_row_major(values, table.rows, 2)?)
}

#[cfg(test)]
mod tests {
    use kernels_core::{Points, Rbf};
    use kernels_solvers::Krr;
    use nalgebra::DMatrix;

    use super::*;

    /// Counts of errors and RMSE of an independent implementation (numpy, direct Cholesky): Gaussian kernel with ℓ² = d, ridge
    /// 0.1, targets (one-hot codes) less their training mean. Counts are met exactly; RMSE within 1e-8, which is what the
    /// condition number of about 1e4 leaves of two solvers' rounding, with room.
    #[test]
    fn baselines_of_an_independent_implementation() {
        let expected = [
            ("diabetes", 60.02606445161608),
            ("concrete", 6.848976197958327),
            ("winequality_red", 0.6465539051541843),
            ("iris", 1.0),
            ("wine", 0.0),
            ("penguins", 2.0),
            ("breast_cancer", 2.0),
            ("digits", 5.0),
        ];
        for (data, (name, expected)) in all().unwrap().iter().zip(expected) {
            assert_eq!(data.name, name);
            let n = data.train.y.len();
            let targets = match data.classes {
                None => DMatrix::from_column_slice(n, 1, &data.train.y),
                Some(classes) => DMatrix::from_fn(n, classes.len(), |i, k| {
                    f64::from(u8::from(data.train.labels()[i] == k))
                }),
            };
            let means = targets.row_mean();
            let mut centred = targets;
            for mut row in centred.row_iter_mut() {
                row -= &means;
            }
            let kernel = Rbf::new((data.train.xs.dim() as f64).sqrt()).unwrap();
            let model = Krr::new(kernel).ridge(0.1).fit(&data.train.xs, &centred).unwrap();
            let mut predicted = model.predict(&data.test.xs).unwrap();
            for mut row in predicted.row_iter_mut() {
                row += &means;
            }
            let m = data.test.xs.len();
            let got = match data.classes {
                None => {
                    let squares = predicted.iter().zip(&data.test.y).map(|(p, t)| (p - t) * (p - t));
                    (squares.sum::<f64>() / m as f64).sqrt()
                }
                Some(_) => {
                    let wrong =
                        |i: &usize| predicted.row(*i).transpose().argmax().0 != data.test.labels()[*i];
                    (0..m).filter(wrong).count() as f64
                }
            };
            assert!((got - expected).abs() <= 1e-8 * expected, "{name}: {got} against {expected}");
        }
    }
}
