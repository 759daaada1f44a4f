//! The text form of networks: `dense(w_std=1.5) > relu > residual(main=relu > dense(), shortcut=identity) > dense()`.

use std::{fmt, str::FromStr};

use super::{
    Net,
    node::{self, Argument, Node, invalid},
};
use crate::Error;

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        self.skip();
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn fail(&self, expected: &str) -> Error {
        let column = self.text[..self.at].chars().count() + 1;
        let found: String = self.rest().chars().take(12).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
        invalid(format!("column {column}: expected {expected}, found {found}"))
    }

    fn word(&mut self) -> Option<String> {
        self.skip();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let starts = rest.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        if end == 0 || !starts {
            return None;
        }
        let word = rest[..end].to_owned();
        self.at += end;
        Some(word)
    }

    fn number(&mut self) -> Option<f64> {
        self.skip();
        let rest = self.rest();
        let mut end = 0;
        let mut before = ' ';
        for c in rest.chars() {
            let sign = (c == '-' || c == '+') && (end == 0 || before == 'e' || before == 'E');
            if !(c.is_ascii_digit() || c == '.' || sign || ((c == 'e' || c == 'E') && end > 0)) {
                break;
            }
            end += c.len_utf8();
            before = c;
        }
        let number = rest[..end].parse().ok()?;
        self.at += end;
        Some(number)
    }

    fn chain(&mut self) -> Result<Vec<Node>, Error> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(invalid("layers are nested more than 100 deep"));
        }
        let mut nodes = vec![self.node()?];
        while self.eat('>') {
            nodes.push(self.node()?);
        }
        self.depth -= 1;
        Ok(nodes)
    }

    fn node(&mut self) -> Result<Node, Error> {
        let Some(name) = self.word() else {
            return Err(self.fail("the name of a layer"));
        };
        let mut node = Node { name, operands: Vec::new(), arguments: Vec::new() };
        if !self.eat('(') || self.eat(')') {
            return Ok(node);
        }
        loop {
            let start = self.at;
            match self.word() {
                Some(key) if self.eat('=') => {
                    let value = self.value()?;
                    if node.arguments.iter().any(|(k, _)| *k == key) {
                        return Err(invalid(format!("`{key}` is given twice to `{}`", node.name)));
                    }
                    node.arguments.push((key, value));
                }
                _ => {
                    self.at = start;
                    node.operands.push(self.value()?);
                }
            }
            if self.eat(')') {
                return Ok(node);
            }
            if !self.eat(',') {
                return Err(self.fail("`,` or `)`"));
            }
        }
    }

    fn value(&mut self) -> Result<Argument, Error> {
        if let Some(x) = self.number() {
            return Ok(Argument::Number(x));
        }
        if self.eat('[') {
            self.depth += 1;
            if self.depth > 100 {
                return Err(invalid("lists are nested more than 100 deep"));
            }
            let mut items = Vec::new();
            if !self.eat(']') {
                loop {
                    items.push(self.value()?);
                    if self.eat(']') {
                        break;
                    }
                    if !self.eat(',') {
                        return Err(self.fail("`,` or `]`"));
                    }
                }
            }
            self.depth -= 1;
            return Ok(Argument::List(items));
        }
        let chain = self.chain()?;
        if let [Node { name, operands, arguments }] = chain.as_slice()
            && operands.is_empty()
            && arguments.is_empty()
        {
            match name.as_str() {
                "true" => return Ok(Argument::Bool(true)),
                "false" => return Ok(Argument::Bool(false)),
                "none" => return Ok(Argument::None),
                _ => {}
            }
        }
        Ok(Argument::Chain(chain))
    }
}

impl FromStr for Net {
    type Err = Error;

    /// Reads layers joined by `>`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut reader = Reader { text, at: 0, depth: 0 };
        let nodes = reader.chain()?;
        reader.skip();
        if !reader.rest().is_empty() {
            return Err(reader.fail("`>` or the end"));
        }
        Self::new(node::layers(&nodes)?)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        chain(f, &node::nodes(self.layers()))
    }
}

fn chain(f: &mut fmt::Formatter<'_>, nodes: &[Node]) -> fmt::Result {
    for (i, node) in nodes.iter().enumerate() {
        if i > 0 {
            f.write_str(" > ")?;
        }
        f.write_str(&node.name)?;
        let weights = matches!(node.name.as_str(), "dense");
        if node.operands.is_empty() && node.arguments.is_empty() && !weights {
            continue;
        }
        f.write_str("(")?;
        let mut first = true;
        for value in &node.operands {
            separator(f, &mut first)?;
            argument(f, value)?;
        }
        for (key, value) in &node.arguments {
            separator(f, &mut first)?;
            write!(f, "{key}=")?;
            argument(f, value)?;
        }
        f.write_str(")")?;
    }
    Ok(())
}

fn separator(f: &mut fmt::Formatter<'_>, first: &mut bool) -> fmt::Result {
    if *first {
        *first = false;
        return Ok(());
    }
    f.write_str(", ")
}

fn argument(f: &mut fmt::Formatter<'_>, value: &Argument) -> fmt::Result {
    match value {
        Argument::Number(x) if x.abs() >= 1e16 || (*x).abs() > 0.0 && x.abs() < 1e-5 => write!(f, "{x:e}"),
        Argument::Number(x) => write!(f, "{x}"),
        Argument::Bool(b) => write!(f, "{b}"),
        Argument::None => f.write_str("none"),
        Argument::Word(w) => f.write_str(w),
        Argument::List(items) => {
            f.write_str("[")?;
            let mut first = true;
            for item in items {
                separator(f, &mut first)?;
                argument(f, item)?;
            }
            f.write_str("]")
        }
        Argument::Chain(nodes) => chain(f, nodes),
    }
}
