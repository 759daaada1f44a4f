//! Length scales: one for all features, or one a feature.

use crate::{Error, Param, Value, describe};

/// The unit of distance of a kernel on ℝᵈ: one number, or one a feature (automatic relevance determination, ARD).
///
/// ```
/// use kernels_core::{LengthScale, Rbf};
/// let one = Rbf::new(0.5)?;
/// let each = Rbf::new([0.5, 2.0])?;
/// assert_eq!(each.length_scale(), &LengthScale::PerFeature(vec![0.5, 2.0]));
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum LengthScale {
    /// The same in every direction.
    Isotropic(f64),
    /// One value a feature.
    PerFeature(Vec<f64>),
}

impl LengthScale {
    /// 1 in every direction.
    pub(crate) const UNIT: Self = Self::Isotropic(1.0);

    /// The values: one, or one a feature.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::Isotropic(value) => std::slice::from_ref(value),
            Self::PerFeature(values) => values,
        }
    }

    /// The value of a feature.
    #[inline(always)]
    pub(crate) fn of(&self, feature: usize) -> f64 {
        match self {
            Self::Isotropic(value) => *value,
            // Kernels check the number of features before they meet points.
            Self::PerFeature(values) => values.get(feature).copied().unwrap_or(f64::NAN),
        }
    }

    /// All values times a factor.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Isotropic(value) => Self::Isotropic(factor * value),
            Self::PerFeature(values) => Self::PerFeature(values.iter().map(|v| factor * v).collect()),
        }
    }

    /// Entry by entry, the number `choose` makes of two; an isotropic one is repeated. Lengths that differ leave the first.
    pub(crate) fn combined(self, other: Self, choose: impl Fn(f64, f64) -> f64) -> Self {
        let at = |values: &[f64], i: usize| values[i.min(values.len() - 1)];
        match (&self, &other) {
            (Self::Isotropic(a), Self::Isotropic(b)) => Self::Isotropic(choose(*a, *b)),
            (Self::PerFeature(a), Self::PerFeature(b)) if a.len() != b.len() => self,
            _ => {
                let n = self.values().len().max(other.values().len());
                Self::PerFeature(
                    (0..n).map(|i| choose(at(self.values(), i), at(other.values(), i))).collect(),
                )
            }
        }
    }

    /// All values finite and positive, and at least one of them.
    pub(crate) fn validated(self) -> Result<Self, Error> {
        for &value in self.values() {
            describe::positive("length_scale", value)?;
        }
        match self.values() {
            [] => Err(Error::Shape { what: "number of length scales (at least)", expected: 1, given: 0 }),
            _ => Ok(self),
        }
    }

    /// Whether points of `dim` features can be measured.
    pub(crate) fn check(&self, dim: usize) -> Result<(), Error> {
        match self {
            Self::PerFeature(values) if values.len() != dim => Err(Error::Shape {
                what: "number of features (one length scale each)",
                expected: values.len(),
                given: dim,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn params(&self) -> Vec<Param> {
        match self {
            Self::Isotropic(value) => vec![Param::positive("length_scale", *value)],
            Self::PerFeature(values) => values
                .iter()
                .enumerate()
                .map(|(i, &value)| Param::positive(format!("length_scale[{i}]"), value))
                .collect(),
        }
    }

    /// Of the same kind, with other values.
    pub(crate) fn with_values(&self, values: &[f64]) -> Result<Self, Error> {
        describe::expect_count(self.values().len(), values.len())?;
        match self {
            Self::Isotropic(_) => Self::Isotropic(values[0]).validated(),
            Self::PerFeature(_) => Self::PerFeature(values.to_vec()).validated(),
        }
    }

    pub(crate) fn argument(&self) -> Value {
        match self {
            Self::Isotropic(value) => (*value).into(),
            Self::PerFeature(values) => values.as_slice().into(),
        }
    }
}

impl From<f64> for LengthScale {
    fn from(value: f64) -> Self {
        Self::Isotropic(value)
    }
}

impl From<&[f64]> for LengthScale {
    fn from(values: &[f64]) -> Self {
        Self::PerFeature(values.to_vec())
    }
}

impl From<Vec<f64>> for LengthScale {
    fn from(values: Vec<f64>) -> Self {
        Self::PerFeature(values)
    }
}

impl<const N: usize> From<[f64; N]> for LengthScale {
    fn from(values: [f64; N]) -> Self {
        Self::PerFeature(values.to_vec())
    }
}
