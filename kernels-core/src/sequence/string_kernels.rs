//! Kernels on strings: common pieces, with gaps and mistakes allowed or not.
//!
//! All count; [`Normalized`](crate::Normalized) makes them cosines. A string too short for a kernel has kernel 0 with all.

use std::collections::HashMap;

use super::{
    Strings,
    signature::{entries, place},
};
use crate::{
    Block, Describe, Error, Expr, Kernel, Param, Points, PositiveDefinite, Tile, Workspace,
    describe::{expect_count, positive},
    engine::map_tasks,
    kernel_ops,
};

fn at_least_one(name: &str, value: usize) -> Result<usize, Error> {
    if (1..=1000).contains(&value) {
        Ok(value)
    } else {
        let expected = "an integer from 1 to 1000";
        Err(Error::Parameter { name: name.to_owned(), value: value as f64, expected })
    }
}

/// Fills a block with a function of the numbers of two points, each pair of one data set once.
fn fill(at: &Block<'_, Strings>, mut out: Tile<'_, f64>, value: impl Fn(usize, usize) -> f64 + Send + Sync) {
    const PIECE: usize = 64;
    let pairs = entries(at);
    let pieces = map_tasks::<f64, _>(pairs.len().div_ceil(PIECE), |task, _| {
        let piece = &pairs[task * PIECE..((task + 1) * PIECE).min(pairs.len())];
        piece.iter().map(|&(i, j)| value(i, j)).collect::<Vec<f64>>()
    });
    for (&pair, value) in pairs.iter().zip(pieces.into_iter().flatten()) {
        place(at, pair, value, &mut out);
    }
}

/// Number of occurrences of every substring of length k, by the substrings' numbers in some order.
struct Counts {
    of: Vec<Vec<(u32, f64)>>,
}

/// The substrings of length k that occur in the strings of a block, and their counts in rows and columns.
fn counts<'a>(at: &Block<'a, Strings>, k: usize) -> (Vec<&'a [u32]>, Counts, Counts) {
    let mut numbers: HashMap<&'a [u32], u32> = HashMap::new();
    let mut words: Vec<&'a [u32]> = Vec::new();
    let mut count = |s: &'a [u32]| {
        let mut own: Vec<u32> = Vec::new();
        for word in s.windows(k) {
            own.push(*numbers.entry(word).or_insert_with(|| {
                words.push(word);
                (words.len() - 1) as u32
            }));
        }
        own.sort_unstable();
        let mut counted: Vec<(u32, f64)> = Vec::new();
        for id in own {
            match counted.last_mut() {
                Some((last, n)) if *last == id => *n += 1.0,
                _ => counted.push((id, 1.0)),
            }
        }
        counted
    };
    let mut side = |strings: &'a Strings, range: std::ops::Range<usize>| {
        let mut of = vec![Vec::new(); strings.len()];
        for i in range {
            of[i] = count(strings.point(i));
        }
        of
    };
    let mut rows = side(at.xs(), at.rows());
    let mut cols = side(at.ys(), at.cols());
    if at.is_within() {
        // Pairs may be turned around: both lists know all.
        for i in 0..rows.len() {
            if rows[i].is_empty() {
                rows[i].clone_from(&cols[i]);
            } else if cols[i].is_empty() {
                cols[i].clone_from(&rows[i]);
            }
        }
    }
    (words, Counts { of: rows }, Counts { of: cols })
}

/// Σ over common substrings of the product of counts.
fn common(a: &[(u32, f64)], b: &[(u32, f64)]) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.len() && j < b.len() {
        match a[i].0.cmp(&b[j].0) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                sum += a[i].1 * b[j].1;
                i += 1;
                j += 1;
            }
        }
    }
    sum
}

/// Hamming distance of two strings of the same length.
fn differing(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

fn binomial(n: usize, k: usize) -> f64 {
    if k > n {
        return 0.0;
    }
    // Exact: every partial product is a binomial coefficient.
    (0..k).fold(1.0, |b, i| b * (n - i) as f64 / (i + 1) as f64).round()
}

/// k(s, t) of two strings from a block of their own.
fn alone(kernel: &impl Kernel<Strings>, x: &[u32], y: &[u32]) -> f64 {
    let strings = Strings::from_symbols([x.to_vec(), y.to_vec()]);
    let mut out = [0.0];
    if let Ok(at) = Block::within(&strings, 0..1, 1..2) {
        kernel.block(&at, Tile::from_slice(&mut out, 1, 1), &mut Workspace::new());
    }
    out[0]
}

/// The spectrum kernel Σᵤ c_u(s) c_u(t): counts of all common substrings u of length k. Time O(|s| + |t|) a pair after the substrings
/// were numbered.
///
/// Reference: Leslie, Eskin, Noble, *The spectrum kernel* (2002).
///
/// ```
/// use kernels_core::{Spectrum, Strings, gram};
/// let k = gram(&Spectrum::new(2)?, &Strings::new(["banana", "ananas"]))?;
/// assert_eq!(k[(0, 1)], 8.0); // an twice and na twice in both
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    k: usize,
}

impl Spectrum {
    /// Of substrings of length `k`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a length of 0 or above 1000.
    pub fn new(k: usize) -> Result<Self, Error> {
        Ok(Self { k: at_least_one("k", k)? })
    }
}

impl Describe for Spectrum {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("spectrum", [("k", (self.k as f64).into())]))
    }
}

impl Kernel<Strings> for Spectrum {
    fn eval(&self, x: &[u32], y: &[u32]) -> f64 {
        alone(self, x, y)
    }
    fn block(&self, at: &Block<'_, Strings>, out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        let (_, rows, cols) = counts(at, self.k);
        fill(at, out, |i, j| common(&rows.of[i], &cols.of[j]));
    }
}

/// The (k, m)-mismatch kernel: as the spectrum, but a substring counts for every string of length k that differs from it in at most m
/// places. Time O(u_s u_t k) a pair with u different substrings.
///
/// Reference: Leslie, Eskin, Cohen, Weston, Noble, *Mismatch string kernels for discriminative protein classification* (2004).
///
/// ```
/// use kernels_core::{Mismatch, Strings, gram};
/// let k = gram(&Mismatch::new(2, 1, 4)?, &Strings::new(["cat", "car"]))?;
/// assert_eq!(k[(0, 1)], 15.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    k: usize,
    m: usize,
    alphabet: usize,
}

impl Mismatch {
    /// Substrings of length `k` with up to `m` places changed, over an alphabet of that many symbols.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a length or an alphabet of 0, or `m` above `k`.
    pub fn new(k: usize, m: usize, alphabet: usize) -> Result<Self, Error> {
        if m > k {
            let expected = "an integer from 0 to k";
            return Err(Error::Parameter { name: "m".to_owned(), value: m as f64, expected });
        }
        if alphabet == 0 {
            let expected = "an integer, 1 or above";
            return Err(Error::Parameter { name: "alphabet".to_owned(), value: 0.0, expected });
        }
        Ok(Self { k: at_least_one("k", k)?, m, alphabet })
    }

    /// For every distance h of two strings of length k, the number of strings within m of both.
    fn neighbours(&self) -> Vec<f64> {
        let (k, m, a) = (self.k, self.m, self.alphabet as f64);
        let count = |h: usize| {
            let mut sum = 0.0;
            // e changes where the two agree; of the h other places, i as in the first and j as in the second.
            for e in 0..=m.min(k - h) {
                for i in 0..=h {
                    for j in 0..=h - i {
                        if e + h - i <= m && e + h - j <= m {
                            let free = (h - i - j) as i32;
                            sum += binomial(k - h, e)
                                * (a - 1.0).powi(e as i32)
                                * binomial(h, i)
                                * binomial(h - i, j)
                                * (a - 2.0).powi(free);
                        }
                    }
                }
            }
            sum
        };
        (0..=k.min(2 * m)).map(count).collect()
    }
}

impl Describe for Mismatch {
    fn expression(&self) -> Option<Expr> {
        let arguments = [("k", self.k), ("m", self.m), ("alphabet", self.alphabet)];
        Some(Expr::call("mismatch", arguments.map(|(name, value)| (name, (value as f64).into()))))
    }
}

impl Kernel<Strings> for Mismatch {
    fn eval(&self, x: &[u32], y: &[u32]) -> f64 {
        alone(self, x, y)
    }
    fn block(&self, at: &Block<'_, Strings>, out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        let (words, rows, cols) = counts(at, self.k);
        let neighbours = self.neighbours();
        fill(at, out, |i, j| {
            let mut sum = 0.0;
            for &(a, ca) in &rows.of[i] {
                for &(b, cb) in &cols.of[j] {
                    let h = differing(words[a as usize], words[b as usize]);
                    sum += ca * cb * neighbours.get(h).copied().unwrap_or(0.0);
                }
            }
            sum
        });
    }
    fn check(&self, xs: &Strings) -> Result<(), Error> {
        let given = xs.alphabet();
        if given <= self.alphabet {
            Ok(())
        } else {
            let what = "symbols of the strings (at most `alphabet` different ones)";
            Err(Error::Shape { what, expected: self.alphabet, given })
        }
    }
}

/// The gapped k-mer kernel: Σ over windows of length g of both strings of the number of sets of k places in which they agree.
///
/// Reference: Ghandi, Lee, Mohammad-Noori, Beer, *Enhanced regulatory sequence prediction using gapped k-mer features* (2014).
#[derive(Clone, Debug, PartialEq)]
pub struct Gapped {
    g: usize,
    k: usize,
}

impl Gapped {
    /// `k` places of windows of length `g`.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless 1 ≤ k ≤ g.
    pub fn new(g: usize, k: usize) -> Result<Self, Error> {
        if k > g {
            let expected = "an integer from 1 to g";
            return Err(Error::Parameter { name: "k".to_owned(), value: k as f64, expected });
        }
        Ok(Self { g: at_least_one("g", g)?, k: at_least_one("k", k)? })
    }
}

impl Describe for Gapped {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("gapped", [("g", (self.g as f64).into()), ("k", (self.k as f64).into())]))
    }
}

impl Kernel<Strings> for Gapped {
    fn eval(&self, x: &[u32], y: &[u32]) -> f64 {
        alone(self, x, y)
    }
    fn block(&self, at: &Block<'_, Strings>, out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        let (words, rows, cols) = counts(at, self.g);
        let agreeing: Vec<f64> = (0..=self.g).map(|h| binomial(self.g - h, self.k)).collect();
        fill(at, out, |i, j| {
            let mut sum = 0.0;
            for &(a, ca) in &rows.of[i] {
                for &(b, cb) in &cols.of[j] {
                    sum += ca * cb * agreeing[differing(words[a as usize], words[b as usize])];
                }
            }
            sum
        });
    }
}

/// The subsequence kernel Σᵤ Σᵢ Σⱼ λ^(l(i) + l(j)) over all occurrences, with gaps, of all strings u of n symbols in both strings; l is the
/// length an occurrence spans. Time O(n |s| |t|) a pair, memory O(|t|).
///
/// Reference: Lodhi, Saunders, Shawe-Taylor, Cristianini, Watkins, *Text classification using string kernels* (2002).
///
/// ```
/// use kernels_core::{Kernel, Strings, Points, Subsequence};
/// let words = Strings::new(["cat", "car"]);
/// let k = Subsequence::new(2, 0.5)?;
/// assert_eq!(k.eval(words.point(0), words.point(1)), 0.5_f64.powi(4)); // only "ca"
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Subsequence {
    n: usize,
    decay: f64,
}

impl Subsequence {
    /// Subsequences of `n` symbols, with the factor `decay` λ for every symbol they span.
    ///
    /// # Errors
    /// [`Error::Parameter`] for n = 0 or a decay not in (0, 1].
    pub fn new(n: usize, decay: f64) -> Result<Self, Error> {
        if positive("decay", decay)? > 1.0 {
            let expected = "a number above 0, at most 1";
            return Err(Error::Parameter { name: "decay".to_owned(), value: decay, expected });
        }
        Ok(Self { n: at_least_one("n", n)?, decay })
    }
}

impl Describe for Subsequence {
    fn params(&self) -> Vec<Param> {
        vec![Param { bounds: (1e-3, 1.0), fixed: true, ..Param::positive("decay", self.decay) }]
    }
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        expect_count(1, values.len())?;
        *self = Self::new(self.n, values[0])?;
        Ok(())
    }
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("subsequence", [("n", (self.n as f64).into()), ("decay", self.decay.into())]))
    }
}

impl Kernel<Strings> for Subsequence {
    fn eval(&self, x: &[u32], y: &[u32]) -> f64 {
        let (s, t) = if x <= y { (x, y) } else { (y, x) };
        let decay = self.decay;
        // `inner[a][b]`: the sum over subsequences of i symbols of the first a and b symbols, weighted to their ends.
        let mut inner = vec![1.0; (s.len() + 1) * (t.len() + 1)];
        let width = t.len() + 1;
        for _ in 1..self.n {
            let mut next = vec![0.0; inner.len()];
            for (a, x) in s.iter().enumerate() {
                let mut along = 0.0;
                for (b, y) in t.iter().enumerate() {
                    let matched = if x == y { decay * inner[a * width + b] } else { 0.0 };
                    along = decay * (along + matched);
                    next[(a + 1) * width + b + 1] = decay * next[a * width + b + 1] + along;
                }
            }
            inner = next;
        }
        let mut sum = 0.0;
        for (a, x) in s.iter().enumerate() {
            for (b, y) in t.iter().enumerate() {
                if x == y {
                    sum += inner[a * width + b];
                }
            }
        }
        decay * decay * sum
    }
    fn block(&self, at: &Block<'_, Strings>, out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        fill(at, out, |i, j| self.eval(at.xs().point(i), at.ys().point(j)));
    }
}

/// The number of pairs of equal subsequences, with gaps and of any length, the empty one included. Time O(|s| |t|) a pair.
///
/// Reference: Shawe-Taylor & Cristianini, *Kernel methods for pattern analysis* (2004), chapter 11.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllSubsequences;

impl Describe for AllSubsequences {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("all_subsequences", []))
    }
}

impl Kernel<Strings> for AllSubsequences {
    fn eval(&self, x: &[u32], y: &[u32]) -> f64 {
        let (s, t) = if x <= y { (x, y) } else { (y, x) };
        let mut row = vec![1.0; t.len() + 1];
        for x in s {
            let (mut matched, mut before) = (0.0, row[0]);
            for (b, y) in t.iter().enumerate() {
                if x == y {
                    matched += before;
                }
                before = row[b + 1];
                row[b + 1] += matched;
            }
        }
        row[t.len()]
    }
    fn block(&self, at: &Block<'_, Strings>, out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        fill(at, out, |i, j| self.eval(at.xs().point(i), at.ys().point(j)));
    }
}

/// The weighted degree kernel Σ_{d ≤ D} 2(D − d + 1)/(D(D + 1)) · number of places where both strings have the same d symbols: for aligned
/// strings.
///
/// Reference: Rätsch & Sonnenburg, *Accurate splice site detection for Caenorhabditis elegans* (2004).
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedDegree {
    degree: usize,
}

impl WeightedDegree {
    /// Pieces of up to `degree` symbols.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a degree of 0.
    pub fn new(degree: usize) -> Result<Self, Error> {
        Ok(Self { degree: at_least_one("degree", degree)? })
    }
}

impl Describe for WeightedDegree {
    fn expression(&self) -> Option<Expr> {
        Some(Expr::call("weighted_degree", [("degree", (self.degree as f64).into())]))
    }
}

impl Kernel<Strings> for WeightedDegree {
    fn eval(&self, x: &[u32], y: &[u32]) -> f64 {
        let top = self.degree as f64;
        // A place that ends a run of r equal symbols ends one piece of each of 1, …, min(r, D) symbols.
        let (mut run, mut sum) = (0_usize, 0.0);
        for (a, b) in x.iter().zip(y) {
            run = if a == b { run + 1 } else { 0 };
            let r = run.min(self.degree) as f64;
            sum += r * (2.0 * top - r + 1.0) / (top * (top + 1.0));
        }
        sum
    }
    fn block(&self, at: &Block<'_, Strings>, out: Tile<'_, f64>, _: &mut Workspace<f64>) {
        fill(at, out, |i, j| self.eval(at.xs().point(i), at.ys().point(j)));
    }
}

macro_rules! positive_definite {
    ($($kernel:ty),*) => {$(impl PositiveDefinite for $kernel {})*};
}
positive_definite!(Spectrum, Mismatch, Gapped, Subsequence, AllSubsequences, WeightedDegree);
kernel_ops! {
    impl[] Spectrum;
    impl[] Mismatch;
    impl[] Gapped;
    impl[] Subsequence;
    impl[] AllSubsequences;
    impl[] WeightedDegree;
}
