//! Data sets of strings.

use std::sync::Arc;

use crate::{Error, Points};

/// A data set of strings over some alphabet of symbols: characters of text, nucleotides, tokens.
///
/// ```
/// use kernels_core::{Points, Strings};
/// let words = Strings::new(["cat", "car"]);
/// assert_eq!(words.len(), 2);
/// assert_eq!(words.point(1), &['c' as u32, 'a' as u32, 'r' as u32]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "Vec<Vec<u32>>", into = "Vec<Vec<u32>>"))]
pub struct Strings {
    items: Arc<[Arc<[u32]>]>,
}

impl Strings {
    /// Strings of text: symbols are the Unicode scalar values.
    pub fn new<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self { items: items.into_iter().map(|s| s.as_ref().chars().map(u32::from).collect()).collect() }
    }

    /// Strings of symbols given by numbers: words of a vocabulary, say.
    pub fn from_symbols(items: impl IntoIterator<Item = Vec<u32>>) -> Self {
        Self { items: items.into_iter().map(Arc::from).collect() }
    }

    /// The number of different symbols in all strings.
    pub fn alphabet(&self) -> usize {
        let mut symbols: Vec<u32> = self.items.iter().flat_map(|s| s.iter().copied()).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols.len()
    }
}

impl From<Vec<Vec<u32>>> for Strings {
    fn from(items: Vec<Vec<u32>>) -> Self {
        Self::from_symbols(items)
    }
}

impl From<Strings> for Vec<Vec<u32>> {
    fn from(strings: Strings) -> Self {
        strings.items.iter().map(|s| s.to_vec()).collect()
    }
}

impl Points for Strings {
    type Scalar = f64;
    type Point<'a> = &'a [u32];

    fn len(&self) -> usize {
        self.items.len()
    }

    fn point(&self, i: usize) -> &[u32] {
        &self.items[i]
    }

    fn subset(&self, indices: &[usize]) -> Result<Self, Error> {
        let pick = |&i: &usize| {
            self.items.get(i).cloned().ok_or(Error::Shape {
                what: "index of a string (must be below)",
                expected: self.items.len(),
                given: i,
            })
        };
        Ok(Self { items: indices.iter().map(pick).collect::<Result<_, _>>()? })
    }
}
