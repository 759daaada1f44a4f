//! A kernel of your own, on points of your own: how alike two strings are, by the pairs of letters they share.
//!
//! `cargo run -p kernels-core --example own_kernel`
#![allow(clippy::print_stdout, clippy::float_cmp)]

use std::collections::HashMap;

use kernels_core::{Describe, Error, Kernel, Points, gram, kernel_ops};

/// A data set of strings.
struct Words(Vec<String>);

impl Points for Words {
    type Scalar = f64;
    type Point<'a> = &'a str;

    fn len(&self) -> usize {
        self.0.len()
    }
    fn point(&self, i: usize) -> &str {
        &self.0[i]
    }
    fn subset(&self, indices: &[usize]) -> Result<Self, Error> {
        let wrong =
            |&i: &usize| Error::Shape { what: "index of a word (below)", expected: self.len(), given: i };
        indices
            .iter()
            .map(|i| self.0.get(*i).cloned().ok_or_else(|| wrong(i)))
            .collect::<Result<_, _>>()
            .map(Words)
    }
}

/// The inner product of the counts of neighbouring letters.
struct Bigrams;

impl Describe for Bigrams {}

impl Kernel<Words> for Bigrams {
    fn eval(&self, x: &str, y: &str) -> f64 {
        let counts = |word: &str| {
            let letters: Vec<char> = word.chars().collect();
            let mut counts = HashMap::new();
            for pair in letters.windows(2) {
                *counts.entry((pair[0], pair[1])).or_insert(0.0) += 1.0;
            }
            counts
        };
        let (x, y) = (counts(x), counts(y));
        x.iter().map(|(pair, count): (_, &f64)| count * y.get(pair).unwrap_or(&0.0)).sum()
    }
}

// `+`, `*` and a number in front.
kernel_ops! { impl[] Bigrams; }

fn main() -> Result<(), Error> {
    let words = Words(["kernel", "colonel", "journal"].map(String::from).to_vec());
    let k = gram(&(0.5 * Bigrams), &words)?;
    println!("{k}");
    assert_eq!(k[(0, 0)], 2.5);
    assert!(k[(0, 1)] > k[(0, 2)], "kernel is nearer to colonel than to journal");
    Ok(())
}
