//! Model files: what `fit` and `tune` write and `predict` reads.

use std::{io::BufReader, path::Path};

use kernels_core::Rows;
use kernels_solvers::{
    ClassifierModel, GpModel, KrrModel, ProbabilityScale,
    svm::{SvcModel, SvmModel},
};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Output, encode::Encoder},
    error::Error,
    input::{Input, Origin},
};

/// The file's own mark and version.
const FORMAT: &str = "kernels-model";
const VERSION: u32 = 1;

/// A fitted model with all that is needed to use it on new files.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Model<P: Input = Rows<f64>> {
    format: String,
    version: u32,
    /// What the points are.
    #[serde(default)]
    pub(crate) origin: Origin,
    /// The kernel as text, for readers of the file.
    pub(crate) kernel: String,
    /// Name of the target column.
    pub(crate) target: String,
    /// Names of the classes; empty for regression.
    pub(crate) classes: Vec<String>,
    pub(crate) encoder: Encoder,
    pub(crate) solver: Solver<P>,
}

/// The solver's part.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Solver<P: Input = Rows<f64>> {
    Krr(KrrModel<P, P::Kernel>),
    Gp(Box<GpModel<P, P::Kernel>>),
    Classifier(ClassifierModel<P, P::Kernel>),
    /// A regression on codes of the classes: the largest output wins.
    Codes(KrrModel<P, P::Kernel>),
    Svm(SvcModel<P, P::Kernel>),
    SvmRegression(SvmModel<P, P::Kernel>),
    /// One of `Codes` and `Svm`, and what its scores mean.
    Calibrated(Box<Solver<P>>, ProbabilityScale),
}

impl<P: Input> Solver<P> {
    /// Predicted numbers of a regression; `None` for classifiers.
    pub(crate) fn numbers(&self, xs: &P) -> Result<Option<Vec<f64>>, Error> {
        Ok(Some(match self {
            Self::Krr(model) => model.predict(xs)?.as_slice().to_vec(),
            Self::Gp(model) => model.predict_mean(xs)?.as_slice().to_vec(),
            Self::SvmRegression(model) => model.decision(xs)?,
            Self::Classifier(_) | Self::Codes(_) | Self::Svm(_) | Self::Calibrated(..) => return Ok(None),
        }))
    }

    /// Scores of a classifier, one column a class of `classes`; `None` for regressions. A class that training did not have scores
    /// as one that is clearly not it.
    pub(crate) fn scores(&self, xs: &P, classes: usize) -> Result<Option<DMatrix<f64>>, Error> {
        let (known, scores) = match self {
            Self::Classifier(model) => (model.classes(), model.scores(xs)?),
            Self::Svm(model) => (model.classes(), model.scores(xs)?),
            Self::Codes(model) => return Ok(Some(model.predict(xs)?)),
            Self::Calibrated(scorer, _) => return scorer.scores(xs, classes),
            Self::Krr(_) | Self::Gp(_) | Self::SvmRegression(_) => return Ok(None),
        };
        let mut all = DMatrix::from_element(xs.len(), classes, -1.0);
        for (k, &class) in known.iter().enumerate() {
            all.set_column(class, &scores.column(k));
        }
        Ok(Some(all))
    }

    /// Probabilities, one column for each of these classes; `None` where there are none.
    pub(crate) fn probabilities(&self, xs: &P) -> Result<Option<(DMatrix<f64>, Vec<usize>)>, Error> {
        Ok(match self {
            Self::Classifier(model) => Some((model.predict_probability(xs)?, model.classes().to_vec())),
            Self::Calibrated(scorer, scale) => match scorer.scores(xs, scale.classes())? {
                Some(scores) => Some((scale.probabilities(&scores)?, (0..scores.ncols()).collect())),
                None => None,
            },
            _ => None,
        })
    }

    /// Predicted indices of classes; `None` for regressions.
    pub(crate) fn labels(&self, xs: &P) -> Result<Option<Vec<usize>>, Error> {
        Ok(Some(match self {
            Self::Classifier(model) => model.predict(xs)?,
            Self::Svm(model) => model.predict(xs)?,
            Self::Codes(model) => {
                let codes = model.predict(xs)?;
                let best = |i: usize| codes.row(i).transpose().argmax().0;
                (0..xs.len()).map(best).collect()
            }
            Self::Calibrated(scorer, scale) => match scorer.scores(xs, scale.classes())? {
                Some(scores) => scale.best(&scores)?,
                None => return Ok(None),
            },
            Self::Krr(_) | Self::Gp(_) | Self::SvmRegression(_) => return Ok(None),
        }))
    }

    /// The kernel as text.
    fn kernel(&self) -> String {
        match self {
            Self::Krr(model) | Self::Codes(model) => model.kernel().to_string(),
            Self::Gp(model) => model.kernel().to_string(),
            Self::Classifier(model) => model.regression().kernel().to_string(),
            Self::Svm(model) => {
                model.machines().first().map_or(String::new(), |machine| machine.kernel().to_string())
            }
            Self::SvmRegression(model) => model.kernel().to_string(),
            Self::Calibrated(scorer, _) => scorer.kernel(),
        }
    }
}

/// What can be read of any version.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
    #[serde(default)]
    origin: Origin,
}

/// What the points of a stored model are.
pub(crate) fn origin(path: &Path) -> Result<Origin, Error> {
    Ok(head(path)?.0.origin)
}

/// A model file and what it says of itself, when this program reads it.
fn head(path: &Path) -> Result<(Head, Vec<u8>), Error> {
    let bytes = std::fs::read(path).map_err(|e| Error::file(path, "open", e))?;
    let head: Head = serde_json::from_slice(&bytes).map_err(|e| unreadable(path, &e))?;
    if head.format != FORMAT {
        return Err(Error::content(path, format!("is not a model file (format `{}`)", head.format)));
    }
    if head.version != VERSION {
        return Err(Error::content(
            path,
            format!(
                "has version {}, this program reads version {VERSION}: update the program, or fit again",
                head.version
            ),
        ));
    }
    Ok((head, bytes))
}

fn unreadable(path: &Path, error: &serde_json::Error) -> Error {
    Error::content(path, format!("is not a readable model: {error}; it may be truncated, fit again"))
}

impl<P: Input> Model<P> {
    pub(crate) fn new(
        target: &str,
        classes: Vec<String>,
        (encoder, origin): (Encoder, Origin),
        solver: Solver<P>,
    ) -> Self {
        let kernel = solver.kernel();
        Self {
            format: FORMAT.into(),
            version: VERSION,
            origin,
            kernel,
            target: target.into(),
            classes,
            encoder,
            solver,
        }
    }

    pub(crate) fn write(&self, mut output: Output) -> Result<(), Error> {
        serde_json::to_writer(&mut output, self)
            .map_err(|e| Error::Choice(format!("the model cannot be stored: {e}")))?;
        output.finish()
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let (_, bytes) = head(path)?;
        let wrong = |e: serde_json::Error| unreadable(path, &e);
        let reader = BufReader::new(bytes.as_slice());
        let mut from = serde_json::Deserializer::from_reader(reader);
        let model = Self::deserialize(&mut from).map_err(wrong)?;
        from.end().map_err(wrong)?;
        Ok(model)
    }
}
