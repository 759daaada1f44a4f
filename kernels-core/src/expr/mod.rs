//! Kernels as text: `"1.5 * matern(nu=2.5, length_scale=[0.3, 2]) + white(variance=0.01)"`.
//!
//! [`Expr`] is the syntax tree: what [`parse`] reads, what a kernel says of itself
//! ([`Describe::expression`](crate::Describe::expression)) and what `Display` prints, so that
//! `parse(&e.to_string()) == e`.

use std::ops::{Add, Mul};

/// A kernel expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `a + b + …`, two or more terms.
    Sum(Vec<Expr>),
    /// `a * b * …`, two or more factors.
    Product(Vec<Expr>),
    /// A number in front: `1.5 * k`.
    Scaled(f64, Box<Expr>),
    /// A family with its arguments: `matern(nu=2.5)`.
    Call(Call),
}

/// A family's name with the arguments given to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Name of the family.
    pub name: String,
    /// Positional arguments (`normalize(k)`), in order.
    pub operands: Vec<Expr>,
    /// Named arguments, in order.
    pub arguments: Vec<(String, Value)>,
}

/// The value of a named argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `2.5`
    Number(f64),
    /// `[0.3, 2]`, also nested
    List(Vec<Value>),
    /// `auto`, `true`
    Word(String),
    /// `"file.json"`
    Text(String),
    /// another expression
    Expr(Expr),
}

impl Expr {
    /// A family with named arguments.
    pub fn call(name: &str, arguments: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let arguments = arguments.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Self::Call(Call { name: name.to_owned(), operands: Vec::new(), arguments })
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&[f64]> for Value {
    fn from(values: &[f64]) -> Self {
        Self::List(values.iter().copied().map(Self::Number).collect())
    }
}

impl Add for Expr {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        let mut terms = match self {
            Self::Sum(terms) => terms,
            other => vec![other],
        };
        match rhs {
            Self::Sum(more) => terms.extend(more),
            other => terms.push(other),
        }
        Self::Sum(terms)
    }
}

impl Mul for Expr {
    type Output = Self;
    fn mul(self, rhs: Self) -> Self {
        let mut factors = match self {
            Self::Product(factors) => factors,
            other => vec![other],
        };
        match rhs {
            Self::Product(more) => factors.extend(more),
            other => factors.push(other),
        }
        Self::Product(factors)
    }
}

impl Mul<Expr> for f64 {
    type Output = Expr;
    fn mul(self, rhs: Expr) -> Expr {
        Expr::Scaled(self, Box::new(rhs))
    }
}
