//! Kernels as text: `"1.5 * matern(nu=2.5, length_scale=[0.3, 2]) + white(variance=0.01)"`.
//!
//! [`Expr`] is the syntax tree: what [`parse`] reads, what a kernel says of itself
//! ([`Describe::expression`](crate::Describe::expression)) and what `Display` prints, so that
//! `parse(&e.to_string())? == e` for every `e` that was parsed or comes from a kernel.

mod any;
mod build;
mod catalogue;
mod families;
mod parser;
mod vocabulary;

use std::{
    fmt,
    ops::{Add, Mul},
};

pub use any::{AnyKernel, DynKernel};
pub use families::{Family, Parameter};
pub use parser::parse;
pub use vocabulary::{Arguments, Build, Readable, Vocabulary, read_call};

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
    /// Arguments without a name, in order: the kernel of `normalize(k)`.
    pub operands: Vec<Value>,
    /// Arguments with a name, in order.
    pub arguments: Vec<(String, Value)>,
}

/// The value of an argument.
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

/// `items` with `separator` between them.
fn join<I: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = I>,
    separator: &str,
) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// A factor of a product: sums and scaled kernels need parentheses there.
struct Factor<'a>(&'a Expr);

impl fmt::Display for Factor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Call(_) => write!(f, "{}", self.0),
            _ => write!(f, "({})", self.0),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum(terms) => join(f, terms, " + "),
            Self::Product(factors) => join(f, factors.iter().map(Factor), " * "),
            Self::Scaled(scale, kernel) => match &**kernel {
                Self::Product(_) => write!(f, "{} * {kernel}", Number(*scale)),
                _ => write!(f, "{} * {}", Number(*scale), Factor(kernel)),
            },
            Self::Call(call) => write!(f, "{call}"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        join(f, &self.operands, ", ")?;
        for (i, (key, value)) in self.arguments.iter().enumerate() {
            let comma = if i + self.operands.len() > 0 { ", " } else { "" };
            write!(f, "{comma}{key}={value}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{}", Number(*number)),
            Self::List(items) => {
                f.write_str("[")?;
                join(f, items, ", ")?;
                f.write_str("]")
            }
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => {
                write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Self::Expr(expr) => write!(f, "{expr}"),
        }
    }
}

/// The shortest text that reads back as the same number.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.0);
        f.write_str(text.strip_suffix(".0").unwrap_or(&text))
    }
}
