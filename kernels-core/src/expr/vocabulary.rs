//! From a tree to a kernel: names are looked up in a vocabulary, and wrong ones answered with what exists.

use std::ops::RangeInclusive;

use super::{
    Value,
    any::DynKernel,
    build,
    families::Family,
    parser::{self, Given, Kind, Node, Spanned, syntax},
};
use crate::{Error, LengthScale, Points, Rows, Scaled};

/// Points whose kernels can be written as text.
pub trait Readable: Points + Sized + 'static {
    /// The names that exist.
    fn vocabulary() -> Vocabulary<Self>;
}

/// Makes a kernel of its arguments; [`Arguments::name`] tells which.
pub type Build<P> = fn(&mut Arguments<'_, P>) -> Result<DynKernel<P>, Error>;

/// The names that expressions for kernels on `P` may use, and what they make.
///
/// A crate with kernels of its own adds them to the vocabulary of its points, and its users read with that:
///
/// ```
/// use kernels_core::{DynKernel, Family, Linear, Parameter, Readable, Rows, Scaled, Vocabulary};
///
/// static BY: [Parameter; 1] = [Parameter::new("by", "2", "above 0")];
/// static TWICE: Family = Family::new("twice", "a multiple of the linear kernel", "by ⟨x,y⟩", &BY);
/// let vocabulary: Vocabulary<Rows<f64>> = Rows::vocabulary().with(&TWICE, |given| {
///     let by = given.number("by", 2.0)?;
///     Ok(DynKernel::new(Scaled::new(by, Linear::new(0.0)?)))
/// });
/// let k = vocabulary.read("rbf() + twice(by=3)")?;
/// assert!(vocabulary.read("twise()").unwrap_err().to_string().contains("did you mean `twice`?"));
/// # Ok::<(), kernels_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vocabulary<P: Points> {
    entries: Vec<(&'static Family, Build<P>)>,
}

impl<P: Points + 'static> Vocabulary<P> {
    /// What every kind of points has: `white`, `constant`, `normalize`, `power_of`, `exp_of`.
    pub fn new() -> Self {
        let entries = super::families::common().iter().map(|f| (f, build::common::<P> as Build<P>));
        Self { entries: entries.collect() }
    }

    /// With another name; it takes the place of a family of the same name.
    pub fn with(mut self, family: &'static Family, build: Build<P>) -> Self {
        self.entries.retain(|(old, _)| old.name != family.name);
        self.entries.push((family, build));
        self
    }

    /// The families, in the order in which they were added.
    pub fn families(&self) -> impl Iterator<Item = &'static Family> + Clone + '_ {
        self.entries.iter().map(|(family, _)| *family)
    }

    /// Reads an expression.
    ///
    /// # Errors
    /// [`Error::Syntax`] that points at the column of what cannot be read, and lists what exists.
    pub fn read(&self, text: &str) -> Result<DynKernel<P>, Error> {
        self.build(parser::read(text)?)
    }

    fn build(&self, node: Node) -> Result<DynKernel<P>, Error> {
        let column = node.column;
        match node.kind {
            Kind::Sum(nodes) => self.fold(column, nodes, |a, b| DynKernel::new(a + b)),
            Kind::Product(nodes) => self.fold(column, nodes, |a, b| DynKernel::new(a * b)),
            Kind::Scaled(scale, node) => Ok(DynKernel::new(Scaled::new(scale, self.build(*node)?))),
            Kind::Call { name, operands, arguments } => {
                if name == "center" {
                    let message = "`center` needs the data set whose mean it takes: it is not available from text; \
                                   regressions have an intercept instead";
                    return Err(syntax(column, message));
                }
                let Some((family, build)) = self.entries.iter().find(|(family, _)| family.name == name)
                else {
                    return Err(unknown(column, "kernel", &name, self.families().map(|family| family.name)));
                };
                let given = Arguments { vocabulary: self, column, family, operands, named: arguments };
                // A value out of range is the fault of some argument of this call.
                given.all(*build, |error| match error {
                    Error::Syntax { .. } => error,
                    other => syntax(column, other.to_string()),
                })
            }
        }
    }

    fn fold(
        &self,
        column: usize,
        nodes: Vec<Node>,
        join: impl Fn(DynKernel<P>, DynKernel<P>) -> DynKernel<P>,
    ) -> Result<DynKernel<P>, Error> {
        let mut kernels = nodes.into_iter().map(|node| self.build(node));
        let first = kernels.next().unwrap_or_else(|| Err(syntax(column, "an empty sum or product")))?;
        kernels.try_fold(first, |all, next| Ok(join(all, next?)))
    }
}

impl<P: Points + 'static> Default for Vocabulary<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads one call, `name(key=value, …)`, of something that is no kernel on points but is written like one.
///
/// # Errors
/// [`Error::Syntax`] that points at the column of what cannot be read, and lists what exists; what `build` says.
///
/// ```
/// use kernels_core::{Error, Family, Parameter, read_call};
/// static LENGTH: [Parameter; 1] = [Parameter::new("length", "1", "a whole number")];
/// static PLANS: [Family; 1] = [Family::new("plan", "a plan", "", &LENGTH)];
/// let length: usize = read_call("plan(length=3)", "plan", &PLANS, |given| given.whole("length", 1))?;
/// assert_eq!(length, 3);
/// # Ok::<(), Error>(())
/// ```
pub fn read_call<T, E: From<Error>>(
    text: &str,
    what: &str,
    families: &'static [Family],
    build: impl FnOnce(&mut Arguments<'_, Rows<f64>>) -> Result<T, E>,
) -> Result<T, E> {
    let node = parser::read(text)?;
    let column = node.column;
    let Kind::Call { name, operands, arguments } = node.kind else {
        let message =
            format!("a {what} is one call, name(key=value, …): no sums, products or numbers in front");
        return Err(syntax(column, message).into());
    };
    let Some(family) = families.iter().find(|family| family.name == name) else {
        return Err(unknown(column, what, &name, families.iter().map(|family| family.name)).into());
    };
    let vocabulary = Vocabulary { entries: Vec::new() };
    Arguments { vocabulary: &vocabulary, column, family, operands, named: arguments }
        .all(build, |error| error)
}

/// The arguments of a call, taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub struct Arguments<'v, P: Points> {
    vocabulary: &'v Vocabulary<P>,
    column: usize,
    family: &'static Family,
    operands: Vec<Spanned>,
    named: Vec<(usize, String, Spanned)>,
}

impl<P: Points + 'static> Arguments<'_, P> {
    /// Name of the family that is called.
    pub fn name(&self) -> &'static str {
        self.family.name
    }

    /// Column of the call, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// An error about this call.
    pub fn error(&self, message: impl Into<String>) -> Error {
        syntax(self.column, message)
    }

    /// The argument of this name, or else the next one without a name (never the first of a family of a kernel).
    pub(super) fn take(&mut self, name: &str) -> Option<Spanned> {
        if let Some(i) = self.named.iter().position(|(_, key, _)| key == name) {
            return Some(self.named.remove(i).2);
        }
        let next = self.operands.first()?;
        (self.family.of_kernel && !matches!(next.value, Given::Node(_))).then(|| self.operands.remove(0))
    }

    /// The kernel inside, which is the first argument and has no name.
    ///
    /// # Errors
    /// [`Error::Syntax`], here and below, for an argument of another kind.
    pub fn kernel(&mut self) -> Result<DynKernel<P>, Error> {
        let name = self.family.name;
        if self.operands.is_empty() {
            return Err(syntax(self.column, format!("`{name}` needs a kernel: `{name}(rbf())`")));
        }
        let first = self.operands.remove(0);
        match first.value {
            Given::Node(node) => self.vocabulary.build(node),
            _ => Err(syntax(first.column, format!("the first argument of `{name}` must be a kernel"))),
        }
    }

    /// A kernel on other points, by the name of the argument: the lift of a signature kernel.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn kernel_on<Q: Readable>(&mut self, name: &str) -> Result<Option<DynKernel<Q>>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Spanned { value: Given::Node(node), .. }) => Q::vocabulary().build(node).map(Some),
            Some(other) => Err(syntax(other.column, format!("`{name}` must be a kernel"))),
        }
    }

    /// An argument of any kind, with its column.
    pub fn value(&mut self, name: &str) -> Option<(usize, Value)> {
        self.take(name).map(|given| (given.column, given.value.plain()))
    }

    /// What `build` makes of the arguments. Names that do not exist are said first, as what else is wrong may come of them; what
    /// nobody took is said last.
    fn all<T, E: From<Error>>(
        mut self,
        build: impl FnOnce(&mut Self) -> Result<T, E>,
        error: impl FnOnce(E) -> E,
    ) -> Result<T, E> {
        let made = build(&mut self);
        let exists = |key: &str| self.family.parameters.iter().any(|parameter| parameter.name == key);
        if let Some((column, key, _)) = self.named.iter().find(|(_, key, _)| !exists(key)) {
            return Err(self.unknown_parameter(*column, key).into());
        }
        let made = made.map_err(error)?;
        self.finish()?;
        Ok(made)
    }

    fn unknown_parameter(&self, column: usize, key: &str) -> Error {
        let keys = self.family.parameters.iter().map(|parameter| parameter.name);
        unknown(column, &format!("parameter of `{}`", self.family.name), key, keys)
    }

    /// A word or text argument, such as `auto` or `"file.json"`.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn word(&mut self, name: &str, default: &str) -> Result<String, Error> {
        match self.take(name) {
            None => Ok(default.to_owned()),
            Some(Spanned { value: Given::Word(word) | Given::Text(word), .. }) => Ok(word),
            Some(other) => Err(syntax(other.column, format!("`{name}` must be a word"))),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn flag(&mut self, name: &str, default: bool) -> Result<bool, Error> {
        match self.take(name) {
            None => Ok(default),
            Some(Spanned { value: Given::Word(word), .. }) if word == "true" => Ok(true),
            Some(Spanned { value: Given::Word(word), .. }) if word == "false" => Ok(false),
            Some(other) => Err(syntax(other.column, format!("`{name}` must be true or false"))),
        }
    }

    /// A list of numbers.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn numbers(&mut self, name: &str) -> Result<Option<Vec<f64>>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Spanned { value: Given::List(items), .. }) => {
                items.into_iter().map(|item| number_of(item, name)).collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(syntax(other.column, format!("`{name}` must be a list of numbers"))),
        }
    }

    /// One of some words; the first is the default.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn choice(&mut self, name: &str, words: &[&'static str]) -> Result<&'static str, Error> {
        let (column, given) = match self.take(name) {
            None => return Ok(words.first().copied().unwrap_or_default()),
            Some(given) => (given.column, given.value.plain()),
        };
        let known = words.iter().find(|word| matches!(&given, Value::Word(given) if given == *word));
        known.copied().ok_or_else(|| {
            syntax(column, format!("`{name}` must be one of {}, not {given}", words.join(", ")))
        })
    }

    /// A number, or `inf`.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn number(&mut self, name: &str, default: f64) -> Result<f64, Error> {
        match self.take(name) {
            None => Ok(default),
            Some(Spanned { value: Given::Number(number), .. }) => Ok(number),
            Some(Spanned { value: Given::Word(word), .. }) if word == "inf" => Ok(f64::INFINITY),
            Some(other) => Err(syntax(other.column, format!("`{name}` must be a number"))),
        }
    }

    /// An integer of 1 or above.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn count(&mut self, name: &str, default: u32) -> Result<u32, Error> {
        let integer = self.integer(name, 1.0..=1e6, "an integer from 1 to 1000000")?;
        Ok(integer.map_or(default, |value| value as u32))
    }

    /// A whole number, 0 or above; below 10¹⁵, so that it is written as it is.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn whole(&mut self, name: &str, default: usize) -> Result<usize, Error> {
        let integer = self.integer(name, 0.0..=1e15, "a whole number")?;
        Ok(integer.map_or(default, |value| value as usize))
    }

    fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<f64>,
        expected: &str,
    ) -> Result<Option<f64>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Spanned { value: Given::Number(v), .. }) if v.fract() == 0.0 && range.contains(&v) => {
                Ok(Some(v))
            }
            Some(given) => {
                let value = given.value.plain();
                Err(syntax(given.column, format!("`{name}` must be {expected}, not {value}")))
            }
        }
    }

    /// The argument `length_scale`, 1 when it is not given.
    ///
    /// # Errors
    /// As [`Arguments::kernel`].
    pub fn length_scale(&mut self) -> Result<LengthScale, Error> {
        self.scale("length_scale")
    }

    /// The same under another name.
    pub(super) fn scale(&mut self, name: &str) -> Result<LengthScale, Error> {
        match self.take(name) {
            None => Ok(1.0.into()),
            Some(Spanned { value: Given::Number(number), .. }) => Ok(number.into()),
            Some(Spanned { value: Given::List(items), .. }) => {
                Ok(items.into_iter().map(|item| number_of(item, name)).collect::<Result<Vec<_>, _>>()?.into())
            }
            Some(other) => {
                Err(syntax(other.column, format!("`{name}` must be a number, or a list with one a feature")))
            }
        }
    }

    /// Whether all arguments were used.
    fn finish(self) -> Result<(), Error> {
        let name = self.family.name;
        if let Some((column, key, _)) = self.named.first() {
            return Err(syntax(*column, format!("`{key}` says nothing in this `{name}`")));
        }
        match self.operands.first() {
            Some(extra) => Err(syntax(
                extra.column,
                format!("`{name}` has no room for this; name the argument: key=value"),
            )),
            None => Ok(()),
        }
    }
}

pub(super) fn number_of(item: Spanned, name: &str) -> Result<f64, Error> {
    match item.value {
        Given::Number(number) => Ok(number),
        _ => Err(syntax(item.column, format!("`{name}` is a list of numbers"))),
    }
}

pub(super) fn unknown(
    column: usize,
    what: &str,
    given: &str,
    existing: impl Iterator<Item = &'static str> + Clone,
) -> Error {
    let near = existing.clone().min_by_key(|name| distance(name, given));
    let near = near.filter(|name| distance(name, given) <= 1 + given.len() / 3);
    let hint = near.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    let all: Vec<&str> = existing.collect();
    let all =
        if all.is_empty() { "there are none".to_owned() } else { format!("there are: {}", all.join(", ")) };
    syntax(column, format!("unknown {what} `{given}`{hint}; {all}"))
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
