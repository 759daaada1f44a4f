//! Names of features: 128-bit hashes, so that no vocabulary has to be kept.

/// Name of a feature: a hash of 128 bits of what the feature is. Among N different features two share a name with probability below N²/2¹²⁹:
/// 10⁻²⁰ for a thousand million of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureId(pub u128);

/// Two lanes of 64 bits, absorbed word by word with different multipliers.
#[derive(Clone, Copy)]
pub(crate) struct Absorb(u64, u64);

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Absorb {
    /// A hash for one purpose: different domains never agree but by chance.
    pub(crate) fn new(domain: u64) -> Self {
        Self(mix(domain ^ 0x243F_6A88_85A3_08D3), mix(domain ^ 0x1319_8A2E_0370_7344))
    }
    pub(crate) fn word(self, word: u64) -> Self {
        Self(
            mix(self.0.rotate_left(5) ^ word.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            mix(self.1.wrapping_add(word ^ 0xA409_3822_299F_31D0).wrapping_mul(0xD134_2543_DE82_EF95)),
        )
    }
    pub(crate) fn id(self, id: FeatureId) -> Self {
        self.word(id.0 as u64).word((id.0 >> 64) as u64)
    }
    pub(crate) fn finish(self) -> FeatureId {
        FeatureId(u128::from(self.0) << 64 | u128::from(mix(self.1 ^ self.0.rotate_left(32))))
    }
}

/// A sparse vector of features by name, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    ids: Vec<FeatureId>,
    values: Vec<f64>,
}

impl Counts {
    /// How often each name occurs.
    pub fn of(mut names: Vec<FeatureId>) -> Self {
        names.sort_unstable();
        let mut out = Self::default();
        for id in names {
            out.add(id, 1.0);
        }
        out
    }

    /// The sum of weights of each name.
    pub fn weighted(mut pairs: Vec<(FeatureId, f64)>) -> Self {
        pairs.sort_by_key(|pair| pair.0);
        let mut out = Self::default();
        for (id, value) in pairs {
            out.add(id, value);
        }
        out
    }

    fn add(&mut self, id: FeatureId, value: f64) {
        match (self.ids.last(), self.values.last_mut()) {
            (Some(last), Some(sum)) if *last == id => *sum += value,
            _ => {
                self.ids.push(id);
                self.values.push(value);
            }
        }
    }

    /// Names and values, by ascending name.
    pub fn iter(&self) -> impl Iterator<Item = (FeatureId, f64)> + '_ {
        self.ids.iter().copied().zip(self.values.iter().copied())
    }

    /// Number of features that are not 0.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Σ xy over common names.
    pub fn dot(&self, other: &Self) -> f64 {
        self.common(other, |a, b| a * b)
    }

    /// Σ min(x, y) over common names.
    pub fn intersection(&self, other: &Self) -> f64 {
        self.common(other, f64::min)
    }

    /// Σ |x − y| over all names.
    pub fn distance(&self, other: &Self) -> f64 {
        let (mut a, mut b, mut sum) = (0, 0, 0.0);
        while a < self.ids.len() || b < other.ids.len() {
            let (x, y) = (self.ids.get(a), other.ids.get(b));
            let (left, right) = (y.is_none_or(|y| x.is_some_and(|x| x <= y)), x.is_none_or(|x| y.is_some_and(|y| y <= x)));
            let value = if left { self.values[a] } else { 0.0 } - if right { other.values[b] } else { 0.0 };
            sum += value.abs();
            a += usize::from(left);
            b += usize::from(right);
        }
        sum
    }

    /// All values times a number.
    pub(crate) fn scaled(mut self, by: f64) -> Self {
        self.values.iter_mut().for_each(|v| *v *= by);
        self
    }

    fn common(&self, other: &Self, value: impl Fn(f64, f64) -> f64) -> f64 {
        let (mut a, mut b, mut sum) = (0, 0, 0.0);
        while a < self.ids.len() && b < other.ids.len() {
            let (x, y) = (self.ids[a], other.ids[b]);
            if x == y {
                sum += value(self.values[a], other.values[b]);
            }
            a += usize::from(x <= y);
            b += usize::from(y <= x);
        }
        sum
    }
}
