//! `kernels features`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernels_core::{
    AnyKernel, Call, Cauchy, Describe, Exponential, Expr, FeatureMap, FeatureReport, Laplacian, LengthScale,
    Matern, NystromFeatures, Points, RandomBinning, RandomFourier, RationalQuadratic, Rbf, Rows,
    SpectralQuantile, StructuredFourier, TaylorFeatures, TensorSketch, Value,
};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{Run, human};
use crate::{
    data::{NpyWriter, read_rows},
    error::Error,
    vocabulary,
};

/// Which feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Map {
    /// Cosines and sines of random frequencies: rbf, matern, exponential, rational_quadratic, cauchy, laplacian.
    Fourier,
    /// The same with orthogonal directions: rbf, matern, exponential, rational_quadratic, cauchy.
    Orthogonal,
    /// The same with quasi-random frequencies: rbf, laplacian.
    Quasi,
    /// Products with the Walsh–Hadamard matrix: rbf, matern, exponential, rational_quadratic, cauchy.
    Fastfood,
    /// Structured orthogonal features: rbf.
    Sorf,
    /// Random binning in 8 bins a grid: laplacian.
    Binning,
    /// Random sketch: polynomial.
    Sketch,
    /// All monomials up to the largest degree that fits, not random: rbf.
    Taylor,
    /// Of randomly chosen rows: any positive definite kernel.
    Nystrom,
}

/// Options of `features`.
#[derive(Debug, Args)]
pub(crate) struct Features {
    /// Kernel expression; all maps but `nystrom` need one family, without + or *.
    #[arg(long)]
    kernel: String,
    /// Points: NPY (n, d), or a table of numbers.
    #[arg(long)]
    x: PathBuf,
    /// Which feature map.
    #[arg(long, value_enum, default_value = "fourier")]
    map: Map,
    /// Most features to make.
    #[arg(long, default_value_t = 1024)]
    count: usize,
    /// NPY file to write, (n, features) in C order.
    #[arg(long)]
    out: PathBuf,
    /// Measure the map against the kernel on up to this many random rows.
    #[arg(long, value_name = "ROWS")]
    check: Option<usize>,
    /// Ridge of the spectral error of --check, a row.
    #[arg(long, default_value_t = 1e-3)]
    ridge: f64,
}

type Boxed = Box<dyn FeatureMap<Rows<f64>>>;

impl Features {
    pub(crate) fn run(&self, run: &Run) -> Result<(), Error> {
        let xs = read_rows::<f64>(&self.x)?;
        xs.check_finite()?;
        super::kernel(Some(&self.kernel), &xs)?;
        let kernel = vocabulary::rows::<f64>().read(&self.kernel)?;
        if self.count == 0 {
            return Err(Error::Choice("--count: at least 1 feature".into()));
        }
        let seed = run.shared.seed;
        let map = self.map(&kernel, &xs, seed)?;
        map.check(&xs)?;
        self.write(run, &*map, &xs)?;
        let shape = [xs.len(), map.dim()];
        let mut object = json!({"command": "features", "kernel": kernel.to_string(), "shape": shape,
            "out": self.out.display().to_string()});
        let mut text = format!("features of {kernel}, shape {shape:?}, written to {}", self.out.display());
        if let Some(rows) = self.check.filter(|_| !xs.is_empty()) {
            let rows = rows.clamp(1, xs.len());
            run.require_memory(rows, 4, "a check of features")?;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut chosen = index::sample(&mut rng, xs.len(), rows).into_vec();
            chosen.sort_unstable();
            let report = FeatureReport::new(&kernel, &*map, &xs.subset(&chosen)?, self.ridge * rows as f64)?;
            object["check"] = json!({"rows": rows, "max_error": report.max_error, "mean_error": report.mean_error,
                "relative_error": report.relative_error, "spectral": report.spectral,
                "mean_embedding": report.mean_embedding});
            text += &format!(
                "\non {rows} rows: mean error {:.2e}, largest {:.2e}, relative {:.2e}, spectral {:.2e}",
                report.mean_error, report.max_error, report.relative_error, report.spectral
            );
        }
        run.report(&text, object);
        Ok(())
    }

    /// Bands of rows within the memory budget.
    fn write(&self, run: &Run, map: &dyn FeatureMap<Rows<f64>>, xs: &Rows<f64>) -> Result<(), Error> {
        let (n, m) = (xs.len(), map.dim());
        let band = run.shared.memory / 3 / (8 * m.max(1));
        if band == 0 {
            let (row, memory) = (human(24 * m), human(run.shared.memory));
            return Err(Error::Choice(format!(
                "one row of features needs {row}, but --memory is {memory}; raise it"
            )));
        }
        let band = band.min(4096);
        let mut writer = NpyWriter::create::<f64>(&self.out, &[n, m])?;
        let mut bar = run.progress("rows");
        for start in (0..n).step_by(band) {
            bar.show(start, n)?;
            let rows: Vec<usize> = (start..(start + band).min(n)).collect();
            let z = kernels_core::features(map, &xs.subset(&rows)?)?;
            writer.write(z.transpose().as_slice())?;
        }
        writer.finish()
    }

    fn map(&self, kernel: &AnyKernel<f64>, xs: &Rows<f64>, seed: u64) -> Result<Boxed, Error> {
        let (dim, pairs) = (xs.dim(), self.count.div_ceil(2));
        if self.map == Map::Nystrom {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut chosen = index::sample(&mut rng, xs.len(), self.count.min(xs.len())).into_vec();
            chosen.sort_unstable();
            return Ok(Box::new(NystromFeatures::new(kernel.clone(), xs.subset(&chosen)?)?));
        }
        let Some(Expr::Call(call)) = kernel.expression() else {
            return Err(self.unsuited("an expression with + or *, or a number in front"));
        };
        let given = Given(&call);
        // One of the radial families.
        macro_rules! radial {
            ($make:path) => {
                match call.name.as_str() {
                    "rbf" => Box::new($make(&Rbf::new(given.scale())?, dim, pairs, seed)?) as Boxed,
                    "matern" => {
                        Box::new($make(&Matern::new(given.number("nu"), given.scale())?, dim, pairs, seed)?)
                    }
                    "exponential" => Box::new($make(&Exponential::new(given.scale())?, dim, pairs, seed)?),
                    "rational_quadratic" => Box::new($make(
                        &RationalQuadratic::new(given.number("alpha"), given.scale())?,
                        dim,
                        pairs,
                        seed,
                    )?),
                    "cauchy" => Box::new($make(&Cauchy::new(given.scale())?, dim, pairs, seed)?),
                    other => return Err(self.unsuited(other)),
                }
            };
        }
        let name = call.name.as_str();
        Ok(match (self.map, name) {
            (Map::Fourier, "laplacian") => {
                Box::new(RandomFourier::new(&Laplacian::new(given.scale())?, dim, pairs, seed)?)
            }
            (Map::Fourier, _) => radial!(RandomFourier::new),
            (Map::Orthogonal, _) => radial!(RandomFourier::orthogonal),
            (Map::Fastfood, _) => radial!(StructuredFourier::fastfood),
            (Map::Quasi, "rbf") => quasi(&Rbf::new(given.scale())?, dim, pairs, seed)?,
            (Map::Quasi, "laplacian") => quasi(&Laplacian::new(given.scale())?, dim, pairs, seed)?,
            (Map::Sorf, "rbf") => {
                Box::new(StructuredFourier::sorf(&Rbf::new(given.scale())?, dim, pairs, seed)?)
            }
            (Map::Binning, "laplacian") => {
                let grids = self.count.div_ceil(8);
                Box::new(RandomBinning::new(&Laplacian::new(given.scale())?, dim, grids, 8, seed)?)
            }
            (Map::Sketch, "polynomial") => {
                let (degree, gamma, offset) =
                    (given.number("degree") as usize, given.number("gamma"), given.number("offset"));
                Box::new(TensorSketch::new(degree, gamma, offset, dim, self.count, seed)?)
            }
            (Map::Taylor, "rbf") => {
                let (mut degree, mut count) = (0, 1.0);
                // C(d + T, T) features.
                while degree < 1000 {
                    let next = count * (dim + degree + 1) as f64 / (degree + 1) as f64;
                    if next > self.count as f64 {
                        break;
                    }
                    (degree, count) = (degree + 1, next);
                }
                Box::new(TaylorFeatures::new(&Rbf::new(given.scale())?, dim, degree)?)
            }
            (_, other) => return Err(self.unsuited(other)),
        })
    }

    fn unsuited(&self, given: &str) -> Error {
        let name = self.map.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
        Error::Choice(format!(
            "--map {name} does not know {given}; `kernels features --help` lists the families of each map, and \
             --map nystrom takes any positive definite kernel"
        ))
    }
}

fn quasi(kernel: &impl SpectralQuantile, dim: usize, pairs: usize, seed: u64) -> Result<Boxed, Error> {
    Ok(Box::new(RandomFourier::quasi(kernel, dim, pairs, seed)?))
}

/// Arguments of a kernel that was built: they are there and in range.
struct Given<'a>(&'a Call);

impl Given<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.arguments.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Number(number)) => *number,
            _ => f64::NAN,
        }
    }

    fn scale(&self) -> LengthScale {
        match self.value("length_scale") {
            Some(Value::List(items)) => items
                .iter()
                .map(|item| if let Value::Number(number) = item { *number } else { f64::NAN })
                .collect::<Vec<_>>()
                .into(),
            _ => self.number("length_scale").into(),
        }
    }
}
