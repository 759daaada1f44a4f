//! Text to tree. Every piece keeps the column it began at, so that later errors can point there.

use super::{Call, Expr, Value};
use crate::Error;

/// Reads a kernel expression.
///
/// Grammar: terms joined by `+` and `*` with the usual precedence, parentheses, numbers as scales, `name(key=value, …)`. A
/// value is a number, a list `[a, b]`, a word, a string `"…"` or another expression. Names are not looked up here:
/// [`AnyKernel`](crate::AnyKernel) does that.
///
/// # Errors
/// [`Error::Syntax`] with the column of the first character that does not fit.
///
/// ```
/// use kernels_core::parse;
/// let e = parse("1.5*matern( nu = 2.5 ) + white(variance=0.01)")?;
/// assert_eq!(e.to_string(), "1.5 * matern(nu=2.5) + white(variance=0.01)");
/// assert_eq!(parse("rbf(").unwrap_err().to_string(), "column 5: expected an argument or `)`, found the end");
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Expr, Error> {
    Ok(read(text)?.plain())
}

/// A piece of an expression and the column it begins at.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) column: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Sum(Vec<Node>),
    Product(Vec<Node>),
    Scaled(f64, Box<Node>),
    Call { name: String, operands: Vec<Spanned>, arguments: Vec<(usize, String, Spanned)> },
}

/// A value and its column.
#[derive(Debug)]
pub(super) struct Spanned {
    pub(super) column: usize,
    pub(super) value: Given,
}

#[derive(Debug)]
pub(super) enum Given {
    Number(f64),
    List(Vec<Spanned>),
    Word(String),
    Text(String),
    Node(Node),
}

impl Node {
    fn plain(self) -> Expr {
        // The operators flatten sums of sums and products of products, as they do for kernels.
        let fold =
            |nodes: Vec<Node>, join: fn(Expr, Expr) -> Expr| nodes.into_iter().map(Self::plain).reduce(join);
        match self.kind {
            Kind::Sum(terms) => fold(terms, |a, b| a + b).unwrap_or(Expr::Sum(Vec::new())),
            Kind::Product(factors) => fold(factors, |a, b| a * b).unwrap_or(Expr::Product(Vec::new())),
            Kind::Scaled(scale, node) => scale * node.plain(),
            Kind::Call { name, operands, arguments } => Expr::Call(Call {
                name,
                operands: operands.into_iter().map(|o| o.value.plain()).collect(),
                arguments: arguments.into_iter().map(|(_, k, v)| (k, v.value.plain())).collect(),
            }),
        }
    }
}

impl Given {
    pub(super) fn plain(self) -> Value {
        match self {
            Self::Number(number) => Value::Number(number),
            Self::List(items) => Value::List(items.into_iter().map(|i| i.value.plain()).collect()),
            Self::Word(word) => Value::Word(word),
            Self::Text(text) => Value::Text(text),
            Self::Node(node) => Value::Expr(node.plain()),
        }
    }
}

pub(super) fn syntax(column: usize, message: impl Into<String>) -> Error {
    Error::Syntax { column, message: message.into() }
}

pub(super) fn read(text: &str) -> Result<Node, Error> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, depth: 0 };
    let node = reader.sum()?;
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.unexpected("`+`, `*` or the end")),
    }
}

/// Nesting beyond this is refused before it can exhaust the stack.
const DEPTH: usize = 100;

struct Reader {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    /// The next character that is not white space, which is where the reader then stands.
    fn peek(&mut self) -> Option<char> {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.chars.get(self.at).copied()
    }

    fn column(&mut self) -> usize {
        self.peek();
        self.at + 1
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: char, message: &str) -> Result<(), Error> {
        if self.eat(wanted) { Ok(()) } else { Err(self.unexpected(message)) }
    }

    fn unexpected(&mut self, expected: &str) -> Error {
        let found = self.peek().map_or("the end".to_owned(), |c| format!("`{c}`"));
        syntax(self.at + 1, format!("expected {expected}, found {found}"))
    }

    fn nested<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R, Error>) -> Result<R, Error> {
        if self.depth == DEPTH {
            return Err(syntax(self.column(), format!("more than {DEPTH} levels of nesting")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn sum(&mut self) -> Result<Node, Error> {
        let column = self.column();
        let mut terms = vec![self.product()?];
        while self.eat('+') {
            terms.push(self.product()?);
        }
        Ok(one_or(terms, |terms| Node { column, kind: Kind::Sum(terms) }))
    }

    fn product(&mut self) -> Result<Node, Error> {
        let column = self.column();
        let mut scale: Option<f64> = None;
        let mut factors = Vec::new();
        loop {
            match self.peek() {
                Some(c) if starts_number(c) => {
                    let number = self.number()?;
                    scale = Some(scale.map_or(number, |scale| scale * number));
                }
                _ => factors.push(self.factor()?),
            }
            if !self.eat('*') {
                break;
            }
        }
        if factors.is_empty() {
            let message = "a number alone is no kernel: multiply one by it, or write `constant(value=…)`";
            return Err(syntax(column, message));
        }
        let product = one_or(factors, |factors| Node { column, kind: Kind::Product(factors) });
        Ok(match scale {
            None => product,
            Some(scale) if scale.is_finite() && scale >= 0.0 => {
                Node { column, kind: Kind::Scaled(scale, Box::new(product)) }
            }
            Some(scale) => {
                return Err(syntax(
                    column,
                    format!("a scale must be finite, 0 or above; this one is {scale}"),
                ));
            }
        })
    }

    fn factor(&mut self) -> Result<Node, Error> {
        if self.eat('(') {
            let node = self.nested(Self::sum)?;
            self.expect(')', "`+`, `*` or `)`")?;
            return Ok(node);
        }
        let column = self.column();
        let Some(name) = self.name() else {
            return Err(self.unexpected("a kernel, a number or `(`"));
        };
        self.expect('(', &format!("`(` after `{name}`"))?;
        self.nested(|reader| reader.arguments(column, name))
    }

    fn arguments(&mut self, column: usize, name: String) -> Result<Node, Error> {
        let (mut operands, mut arguments) = (Vec::new(), Vec::<(usize, String, Spanned)>::new());
        while !self.eat(')') {
            let start = (self.column(), self.at);
            let key = self.name().filter(|_| self.eat('='));
            if let Some(key) = key {
                if arguments.iter().any(|(_, other, _)| *other == key) {
                    return Err(syntax(start.0, format!("`{key}` is given twice")));
                }
                let value = self.value("a value")?;
                arguments.push((start.0, key, value));
            } else {
                self.at = start.1;
                if !arguments.is_empty() && self.peek().is_some() {
                    return Err(syntax(start.0, "an argument without a name cannot follow one with a name"));
                }
                operands.push(self.value("an argument or `)`")?);
            }
            if self.peek() != Some(')') {
                self.expect(',', "`,` or `)`")?;
            }
        }
        Ok(Node { column, kind: Kind::Call { name, operands, arguments } })
    }

    fn value(&mut self, expected: &str) -> Result<Spanned, Error> {
        let column = self.column();
        let start = self.at;
        let value = match self.peek() {
            Some('[') => {
                self.at += 1;
                Given::List(self.nested(Self::list)?)
            }
            Some('"') => Given::Text(self.text()?),
            Some(c) if starts_number(c) => {
                let number = self.number()?;
                if self.peek() == Some('*') {
                    self.at = start;
                    Given::Node(self.sum()?)
                } else {
                    Given::Number(number)
                }
            }
            Some('(') => Given::Node(self.sum()?),
            _ => match self.name() {
                None => return Err(self.unexpected(expected)),
                Some(word) if self.peek() != Some('(') => Given::Word(word),
                Some(_) => {
                    self.at = start;
                    Given::Node(self.sum()?)
                }
            },
        };
        Ok(Spanned { column, value })
    }

    fn list(&mut self) -> Result<Vec<Spanned>, Error> {
        let mut items = Vec::new();
        while !self.eat(']') {
            items.push(self.value("a value or `]`")?);
            if self.peek() != Some(']') {
                self.expect(',', "`,` or `]`")?;
            }
        }
        Ok(items)
    }

    fn name(&mut self) -> Option<String> {
        self.peek().filter(|c| c.is_ascii_alphabetic() || *c == '_')?;
        let start = self.at;
        while self.chars.get(self.at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_') {
            self.at += 1;
        }
        Some(self.chars[start..self.at].iter().collect())
    }

    fn number(&mut self) -> Result<f64, Error> {
        let column = self.column();
        let start = self.at;
        while let Some(&c) = self.chars.get(self.at) {
            let after_exponent = self.at > start && matches!(self.chars[self.at - 1], 'e' | 'E');
            let sign = matches!(c, '+' | '-') && (self.at == start || after_exponent);
            if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign) {
                break;
            }
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            Ok(_) => Err(syntax(column, format!("`{text}` is too large; numbers must be finite"))),
            Err(_) => Err(syntax(column, format!("`{text}` is not a number"))),
        }
    }

    fn text(&mut self) -> Result<String, Error> {
        let column = self.column();
        self.at += 1;
        let mut text = String::new();
        loop {
            let c = self.chars.get(self.at).copied();
            self.at += 1;
            match c {
                Some('"') => return Ok(text),
                Some('\\') => {
                    let escaped = self.chars.get(self.at).copied().filter(|c| matches!(c, '"' | '\\'));
                    let Some(escaped) = escaped else {
                        return Err(syntax(self.at, "only `\\\"` and `\\\\` can follow a backslash"));
                    };
                    text.push(escaped);
                    self.at += 1;
                }
                Some(c) => text.push(c),
                None => return Err(syntax(column, "this text has no closing `\"`")),
            }
        }
    }
}

fn starts_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.' || c == '-'
}

/// The only node, or one made of all.
fn one_or(mut nodes: Vec<Node>, join: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.swap_remove(0),
        _ => join(nodes),
    }
}
