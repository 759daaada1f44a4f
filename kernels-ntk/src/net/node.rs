//! A layer as a name with arguments, which text and JSON share, and what it means.

use super::{Layer, Mechanism, Padding, Parameterization, Weights, Window};
use crate::{Activation, Error};

/// A name with arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) operands: Vec<Argument>,
    pub(super) arguments: Vec<(String, Argument)>,
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Argument {
    Number(f64),
    Bool(bool),
    None,
    Word(String),
    List(Vec<Argument>),
    Chain(Vec<Node>),
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::Description { message: message.into() }
}

const NAMES: &str = "dense, conv, conv_local, conv_transpose, avg_pool, sum_pool, global_avg_pool, global_sum_pool, \
                     flatten, layer_norm, residual, concat, prod, scale, dropout, attention, and activations: identity, relu, \
                     leaky_relu, abrelu, abs, maxout, erf, sigmoid_like, sin, cos, rbf, exp, gaussian, gelu, gabor, sign, heaviside, \
                     monomial, rectified_monomial, polynomial, hermite, exp_normalized, tanh, sigmoid, softplus, swish, mish, \
                     elu, selu, hard_tanh";

/// Takes arguments one by one; what is left is unknown.
struct Taker<'n> {
    node: &'n Node,
    taken: Vec<&'static str>,
}

impl<'n> Taker<'n> {
    fn get(&mut self, key: &'static str) -> Option<&'n Argument> {
        self.taken.push(key);
        self.node.arguments.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    fn wrong(&self, key: &str, expected: &str) -> Error {
        invalid(format!("`{key}` of `{}` must be {expected}", self.node.name))
    }

    fn number(&mut self, key: &'static str, default: f64) -> Result<f64, Error> {
        match self.get(key) {
            None => Ok(default),
            Some(Argument::Number(x)) => Ok(*x),
            Some(_) => Err(self.wrong(key, "a number")),
        }
    }

    fn integer(&mut self, key: &'static str, default: usize) -> Result<usize, Error> {
        let value = self.number(key, default as f64)?;
        whole(value).ok_or_else(|| self.wrong(key, "a whole number, 0 or above"))
    }

    fn optional(&mut self, key: &'static str, default: Option<f64>) -> Result<Option<f64>, Error> {
        match self.get(key) {
            None => Ok(default),
            Some(Argument::None) => Ok(None),
            Some(Argument::Number(x)) => Ok(Some(*x)),
            Some(_) => Err(self.wrong(key, "a number or none")),
        }
    }

    fn bool(&mut self, key: &'static str, default: bool) -> Result<bool, Error> {
        match self.get(key) {
            None => Ok(default),
            Some(Argument::Bool(b)) => Ok(*b),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    fn word(&mut self, key: &'static str, default: &str) -> Result<String, Error> {
        match self.get(key) {
            None => Ok(default.to_owned()),
            Some(Argument::Word(w)) => Ok(w.clone()),
            Some(Argument::Chain(nodes)) if nodes.len() == 1 => Ok(nodes[0].name.clone()),
            Some(_) => Err(self.wrong(key, "a word")),
        }
    }

    fn numbers(&mut self, key: &'static str) -> Result<Option<Vec<f64>>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Argument::Number(x)) => Ok(Some(vec![*x])),
            Some(Argument::List(items)) => items
                .iter()
                .map(|item| match item {
                    Argument::Number(x) => Ok(*x),
                    _ => Err(self.wrong(key, "a list of numbers")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(self.wrong(key, "a list of numbers")),
        }
    }

    fn sizes(&mut self, key: &'static str) -> Result<Option<Vec<usize>>, Error> {
        let Some(numbers) = self.numbers(key)? else { return Ok(None) };
        numbers
            .into_iter()
            .map(|x| whole(x).ok_or_else(|| self.wrong(key, "a list of whole numbers")))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn weights(&mut self) -> Result<Weights, Error> {
        let parameterization = match self.word("param", "ntk")?.as_str() {
            "ntk" => Parameterization::Ntk,
            "standard" => Parameterization::Standard,
            other => return Err(invalid(format!("`param` is `{other}`; it must be ntk or standard"))),
        };
        Ok(Weights {
            w_std: self.number("w_std", 1.0)?,
            b_std: self.optional("b_std", None)?,
            width: self.integer("width", 1)?,
            parameterization,
        })
    }

    fn window(&mut self, key: &'static str) -> Result<Window, Error> {
        let size = self.sizes(key)?.ok_or_else(|| invalid(format!("`{}` needs `{key}`", self.node.name)))?;
        let stride = self.sizes("stride")?.unwrap_or_else(|| vec![1; size.len()]);
        let padding = match self.word("padding", "VALID")?.to_ascii_uppercase().as_str() {
            "SAME" => Padding::Same,
            "VALID" => Padding::Valid,
            "CIRCULAR" => Padding::Circular,
            other => {
                return Err(invalid(format!("`padding` is `{other}`; it must be SAME, VALID or CIRCULAR")));
            }
        };
        Ok(Window { size, stride, padding })
    }

    fn chain(&self, argument: &Argument) -> Result<Vec<Layer>, Error> {
        match argument {
            Argument::Chain(nodes) => layers(nodes),
            Argument::List(items) => {
                let mut out = Vec::new();
                for item in items {
                    out.extend(self.chain(item)?);
                }
                Ok(out)
            }
            _ => Err(invalid(format!("branches of `{}` must be layers", self.node.name))),
        }
    }

    fn branches(&mut self) -> Result<Vec<Vec<Layer>>, Error> {
        let mut all: Vec<&Argument> = self.node.operands.iter().collect();
        if let Some(argument) = self.get("branches") {
            match argument {
                Argument::List(items) => all.extend(items),
                other => all.push(other),
            }
        }
        all.into_iter().map(|branch| self.chain(branch)).collect()
    }

    fn finish(&self, takes_operands: bool) -> Result<(), Error> {
        if let Some((key, _)) = self.node.arguments.iter().find(|(k, _)| !self.taken.contains(&k.as_str())) {
            let known =
                if self.taken.is_empty() { "it takes none".to_owned() } else { self.taken.join(", ") };
            return Err(invalid(format!(
                "unknown argument `{key}` of layer `{}`; it has: {known}",
                self.node.name
            )));
        }
        if !takes_operands && !self.node.operands.is_empty() {
            return Err(invalid(format!(
                "layer `{}` takes arguments by name only, such as `w_std=1`",
                self.node.name
            )));
        }
        Ok(())
    }
}

fn whole(value: f64) -> Option<usize> {
    let fits = (0.0..=1e15).contains(&value) && (value - value.trunc()).abs() < f64::MIN_POSITIVE;
    fits.then_some(value as usize)
}

/// Nodes as layers.
pub(super) fn layers(nodes: &[Node]) -> Result<Vec<Layer>, Error> {
    let mut out = Vec::with_capacity(nodes.len());
    for node in nodes {
        // The identity and dropout at test time do nothing.
        if let Some(layer) = layer(node)? {
            out.push(layer);
        }
    }
    Ok(out)
}

fn layer(node: &Node) -> Result<Option<Layer>, Error> {
    let mut t = Taker { node, taken: Vec::new() };
    let mut operands = false;
    let layer = match node.name.as_str() {
        "dense" => Layer::Dense(t.weights()?),
        "conv" => Layer::Conv(t.weights()?, t.window("filter")?),
        "conv_local" => Layer::ConvLocal(t.weights()?, t.window("filter")?),
        "conv_transpose" => Layer::ConvTranspose(t.weights()?, t.window("filter")?),
        "avg_pool" => {
            Layer::AvgPool { window: t.window("window")?, normalize_edges: t.bool("normalize_edges", false)? }
        }
        "sum_pool" => {
            t.bool("normalize_edges", false)?;
            Layer::SumPool(t.window("window")?)
        }
        "global_avg_pool" => Layer::GlobalAvgPool,
        "global_sum_pool" => Layer::GlobalSumPool,
        "flatten" => Layer::Flatten,
        "layer_norm" => {
            let axis = t.numbers("axis")?.unwrap_or_else(|| vec![-1.0]);
            Layer::LayerNorm { eps: t.number("eps", 1e-12)?, all: axis.len() > 1 }
        }
        "residual" => {
            operands = true;
            let mut branches = t.branches()?;
            for key in ["main", "shortcut"] {
                if let Some(argument) = t.get(key) {
                    branches.push(t.chain(argument)?);
                } else if key == "shortcut" && branches.len() == 1 {
                    branches.push(Vec::new());
                }
            }
            Layer::Sum(branches)
        }
        "concat" => {
            operands = true;
            Layer::Concat(t.branches()?)
        }
        "prod" => {
            operands = true;
            Layer::Product(t.branches()?)
        }
        "scale" => Layer::Scale(t.number("by", 1.0)?),
        "dropout" => {
            let keep = t.number("keep", 0.5)?;
            let mode = t.word("mode", "train")?;
            t.finish(false)?;
            return match mode.as_str() {
                "train" => Ok(Some(Layer::Dropout { keep })),
                "test" => Ok(None),
                other => Err(invalid(format!("`mode` of dropout is `{other}`; it must be train or test"))),
            };
        }
        "attention" => {
            for ignored in ["n_chan_out", "n_chan_key", "n_chan_val", "n_heads"] {
                t.get(ignored);
            }
            let mut std = |key| t.number(key, 1.0);
            let query_key = std("W_key_std")? * std("W_query_std")?;
            let output_value = std("W_value_std")? * std("W_out_std")?;
            let mechanism = match t.word("attention_mechanism", "SOFTMAX")?.to_ascii_uppercase().as_str() {
                "SOFTMAX" => Mechanism::Softmax,
                "IDENTITY" => Mechanism::Identity,
                "ABS" => Mechanism::Abs,
                "RELU" => Mechanism::Relu,
                other => {
                    return Err(invalid(format!(
                        "`attention_mechanism` is `{other}`; it must be SOFTMAX, IDENTITY, ABS or RELU"
                    )));
                }
            };
            Layer::Attention {
                query_key,
                output_value,
                b_std: t.optional("b_std", None)?,
                linear_scaling: t.bool("linear_scaling", true)?,
                mechanism,
            }
        }
        "identity" => {
            t.finish(false)?;
            return Ok(None);
        }
        _ => Layer::Activation(activation(&mut t)?),
    };
    t.finish(operands)?;
    Ok(Some(layer))
}

fn activation(t: &mut Taker<'_>) -> Result<Activation, Error> {
    let name = t.node.name.clone();
    Ok(match name.as_str() {
        "identity" => Activation::Identity,
        "relu" => Activation::relu(),
        "leaky_relu" => Activation::leaky_relu(t.number("alpha", 0.01)?),
        "abrelu" => Activation::AbRelu { a: t.number("a", 0.0)?, b: t.number("b", 1.0)? },
        "abs" => Activation::abs(),
        "maxout" => Activation::maxout(),
        "erf" => Activation::Erf { a: t.number("a", 1.0)?, b: t.number("b", 1.0)?, c: t.number("c", 0.0)? },
        "sigmoid_like" => Activation::sigmoid_like(),
        "sin" => Activation::Sin { a: t.number("a", 1.0)?, b: t.number("b", 1.0)?, c: t.number("c", 0.0)? },
        "cos" => Activation::Cos { a: t.number("a", 1.0)?, b: t.number("b", 1.0)?, c: t.number("c", 0.0)? },
        "rbf" => Activation::Rbf { gamma: t.number("gamma", 1.0)? },
        "exp" => Activation::Exp { a: t.number("a", 1.0)?, b: t.number("b", 1.0)? },
        "gaussian" => Activation::Gaussian { a: t.number("a", 1.0)?, b: t.number("b", -1.0)? },
        "gelu" => Activation::Gelu,
        "gabor" => Activation::Gabor,
        "sign" => Activation::Sign,
        "heaviside" => Activation::heaviside(),
        "monomial" => Activation::monomial(t.integer("n", 2)?.min(1000)),
        "rectified_monomial" => Activation::Rectified { power: t.integer("n", 1)?.min(1000) as u32 },
        "polynomial" => Activation::Polynomial(t.numbers("coef")?.unwrap_or_default()),
        "hermite" => match t.numbers("coef")? {
            Some(coefficients) => Activation::Hermite(coefficients),
            None => Activation::hermite(t.integer("n", 2)?.min(1000)),
        },
        "exp_normalized" => {
            Activation::ExpNormalized { gamma: t.number("gamma", 1.0)?, shift: t.number("shift", -1.0)? }
        }
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "softplus" => Activation::Softplus,
        "swish" => Activation::Swish,
        "mish" => Activation::Mish,
        "elu" => Activation::Elu { alpha: t.number("alpha", 1.0)?, scale: t.number("scale", 1.0)? },
        "selu" => Activation::selu(),
        "hard_tanh" => Activation::HardTanh,
        other => return Err(invalid(format!("unknown layer `{other}`; there are: {NAMES}"))),
    })
}

pub(super) fn activation_name(activation: &Activation) -> &'static str {
    match activation {
        Activation::Identity => "identity",
        Activation::AbRelu { .. } if *activation == Activation::relu() => "relu",
        Activation::AbRelu { .. } if *activation == Activation::abs() => "abs",
        Activation::AbRelu { .. } if *activation == Activation::maxout() => "maxout",
        Activation::AbRelu { .. } => "abrelu",
        Activation::Erf { .. } => "erf",
        Activation::Sin { .. } => "sin",
        Activation::Cos { .. } => "cos",
        Activation::Rbf { .. } => "rbf",
        Activation::Exp { .. } => "exp",
        Activation::Gaussian { .. } => "gaussian",
        Activation::Gelu => "gelu",
        Activation::Gabor => "gabor",
        Activation::Sign => "sign",
        Activation::Rectified { .. } => "rectified_monomial",
        Activation::Polynomial(_) => "polynomial",
        Activation::Hermite(_) => "hermite",
        Activation::ExpNormalized { .. } => "exp_normalized",
        Activation::Tanh => "tanh",
        Activation::Sigmoid => "sigmoid",
        Activation::Softplus => "softplus",
        Activation::Swish => "swish",
        Activation::Mish => "mish",
        Activation::Elu { .. } => "elu",
        Activation::HardTanh => "hard_tanh",
        Activation::Custom(_) => "custom",
    }
}

fn list(values: impl IntoIterator<Item = f64>) -> Argument {
    Argument::List(values.into_iter().map(Argument::Number).collect())
}

/// A layer as a node; `identity` for an empty branch.
pub(super) fn node(layer: &Layer) -> Node {
    let mut n = Node { name: layer.name().to_owned(), operands: Vec::new(), arguments: Vec::new() };
    let mut set = |key: &str, value: Argument| n.arguments.push((key.to_owned(), value));
    let number = Argument::Number;
    let word = |w: &str| Argument::Word(w.to_owned());
    let weights = |w: &Weights, set: &mut dyn FnMut(&str, Argument)| {
        if (w.w_std - 1.0).abs() > 0.0 {
            set("w_std", number(w.w_std));
        }
        if let Some(b) = w.b_std {
            set("b_std", number(b));
        }
        if w.width != 1 {
            set("width", number(w.width as f64));
        }
        if w.parameterization == Parameterization::Standard {
            set("param", word("standard"));
        }
    };
    let window = |key: &str, w: &Window, set: &mut dyn FnMut(&str, Argument)| {
        set(key, list(w.size.iter().map(|&x| x as f64)));
        if w.stride.iter().any(|&s| s != 1) {
            set("stride", list(w.stride.iter().map(|&x| x as f64)));
        }
        match w.padding {
            Padding::Valid => {}
            Padding::Same => set("padding", word("SAME")),
            Padding::Circular => set("padding", word("CIRCULAR")),
        }
    };
    match layer {
        Layer::Dense(w) => weights(w, &mut set),
        Layer::Conv(w, at) | Layer::ConvLocal(w, at) | Layer::ConvTranspose(w, at) => {
            window("filter", at, &mut set);
            weights(w, &mut set);
        }
        Layer::AvgPool { window: w, normalize_edges } => {
            window("window", w, &mut set);
            if *normalize_edges {
                set("normalize_edges", Argument::Bool(true));
            }
        }
        Layer::SumPool(w) => window("window", w, &mut set),
        Layer::LayerNorm { eps, all } => {
            if *all {
                set("axis", list([1.0, 2.0, 3.0]));
            }
            if (eps - 1e-12).abs() > 0.0 {
                set("eps", number(*eps));
            }
        }
        Layer::Scale(c) => set("by", number(*c)),
        Layer::Dropout { keep } => set("keep", number(*keep)),
        Layer::Attention { query_key, output_value, b_std, linear_scaling, mechanism } => {
            set("W_key_std", number(*query_key));
            set("W_value_std", number(*output_value));
            if let Some(b) = b_std {
                set("b_std", number(*b));
            }
            if !linear_scaling {
                set("linear_scaling", Argument::Bool(false));
            }
            match mechanism {
                Mechanism::Softmax => {}
                Mechanism::Identity => set("attention_mechanism", word("IDENTITY")),
                Mechanism::Abs => set("attention_mechanism", word("ABS")),
                Mechanism::Relu => set("attention_mechanism", word("RELU")),
            }
        }
        Layer::Activation(a) => match a {
            Activation::AbRelu { a, b } if n.name == "abrelu" => {
                set("a", number(*a));
                set("b", number(*b));
            }
            Activation::Erf { a, b, c } | Activation::Sin { a, b, c } | Activation::Cos { a, b, c } => {
                for (key, value, default) in [("a", a, 1.0), ("b", b, 1.0), ("c", c, 0.0)] {
                    if (value - default).abs() > 0.0 {
                        set(key, number(*value));
                    }
                }
            }
            Activation::Rbf { gamma } => set("gamma", number(*gamma)),
            Activation::Exp { a, b } | Activation::Gaussian { a, b } => {
                set("a", number(*a));
                set("b", number(*b));
            }
            Activation::Rectified { power } => set("n", number(f64::from(*power))),
            Activation::Polynomial(c) | Activation::Hermite(c) => set("coef", list(c.iter().copied())),
            Activation::ExpNormalized { gamma, shift } => {
                set("gamma", number(*gamma));
                set("shift", number(*shift));
            }
            Activation::Elu { alpha, scale } => {
                set("alpha", number(*alpha));
                set("scale", number(*scale));
            }
            _ => {}
        },
        Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
            n.operands = branches.iter().map(|b| Argument::Chain(nodes(b))).collect();
        }
        Layer::GlobalAvgPool | Layer::GlobalSumPool | Layer::Flatten => {}
    }
    n
}

pub(super) fn nodes(layers: &[Layer]) -> Vec<Node> {
    if layers.is_empty() {
        return vec![Node { name: "identity".to_owned(), operands: Vec::new(), arguments: Vec::new() }];
    }
    layers.iter().map(node).collect()
}
