//! Networks as lists of layers.

mod check;
#[cfg(feature = "serde")]
mod json;
mod node;
mod text;

use crate::{Activation, Error};
pub(crate) use check::Requirements;

/// How weights are scaled, which changes the tangent kernel but not the NNGP kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Parameterization {
    /// z = (σ_w/√n) W h + σ_b b with W, b standard normal.
    #[default]
    Ntk,
    /// z = W h + b with W ~ N(0, σ_w²/n), b ~ N(0, σ_b²): widths enter the tangent kernel.
    Standard,
}

/// What is beyond the border of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Padding {
    /// Zeros; the output has ⌈n/stride⌉ places.
    #[default]
    Same,
    /// Nothing: the filter stays inside.
    Valid,
    /// The opposite border.
    Circular,
}

/// What a layer with weights has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// σ_w
    pub w_std: f64,
    /// σ_b; `None` means no bias parameter.
    pub b_std: Option<f64>,
    /// Width of the output, which only the standard parameterization and concatenation look at.
    pub width: usize,
    /// Scaling of the weights.
    pub parameterization: Parameterization,
}

impl Weights {
    /// NTK parameterization, width 1.
    pub fn new(w_std: f64, b_std: Option<f64>) -> Self {
        Self { w_std, b_std, width: 1, parameterization: Parameterization::Ntk }
    }

    pub(crate) fn w2(&self) -> f64 {
        self.w_std * self.w_std
    }

    pub(crate) fn b2(&self) -> f64 {
        self.b_std.map_or(0.0, |b| b * b)
    }
}

/// Filter, stride and padding along each spatial axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Size of the filter, one number an axis.
    pub size: Vec<usize>,
    /// Step, one number an axis.
    pub stride: Vec<usize>,
    /// What is beyond the border.
    pub padding: Padding,
}

/// How attention weighs positions by G = ζ(σ_QK K).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mechanism {
    /// Softmax over the positions.
    #[default]
    Softmax,
    /// The scores themselves.
    Identity,
    /// Their absolute values.
    Abs,
    /// Their positive parts.
    Relu,
}

/// A layer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Fully connected, over the channels.
    Dense(Weights),
    /// A function of each coordinate.
    Activation(Activation),
    /// Normalisation to mean square 1, over the channels or over channels and positions.
    LayerNorm {
        /// Added to the mean square.
        eps: f64,
        /// Whether positions are averaged as well.
        all: bool,
    },
    /// A sum of branches; an empty branch is the input itself.
    Sum(Vec<Vec<Layer>>),
    /// Branches side by side, weighted by their widths.
    Concat(Vec<Vec<Layer>>),
    /// The product of branches, coordinate by coordinate.
    Product(Vec<Vec<Layer>>),
    /// Multiplication by a constant.
    Scale(f64),
    /// Dropout while training, with the probability to keep.
    Dropout {
        /// Probability to keep a coordinate.
        keep: f64,
    },
    /// Convolution with shared weights.
    Conv(Weights, Window),
    /// Convolution with weights of its own at every place.
    ConvLocal(Weights, Window),
    /// Transposed convolution.
    ConvTranspose(Weights, Window),
    /// Mean over a window.
    AvgPool {
        /// The window.
        window: Window,
        /// Whether windows over the border divide by what is inside.
        normalize_edges: bool,
    },
    /// Sum over a window.
    SumPool(Window),
    /// Mean over all positions.
    GlobalAvgPool,
    /// Sum over all positions.
    GlobalSumPool,
    /// All positions side by side.
    Flatten,
    /// Self-attention with one set of weights for keys and queries.
    Attention {
        /// σ of keys times σ of queries.
        query_key: f64,
        /// σ of outputs times σ of values.
        output_value: f64,
        /// σ of the bias.
        b_std: Option<f64>,
        /// Scores divided by their number (`true`) or by its square root.
        linear_scaling: bool,
        /// ζ
        mechanism: Mechanism,
    },
}

/// A network: layers in a row, checked to fit together.
///
/// Read from text, `dense(w_std=1.5, b_std=0.1) > relu > dense()`, which is also how it prints; with the feature `serde` from a
/// list of layers in JSON, `[{"t": "dense", "w_std": 1.5, "b_std": 0.1}, {"t": "relu"}, {"t": "dense"}]`.
///
/// ```
/// use kernels_ntk::Net;
/// let net: Net = "dense(w_std=1.5, b_std=0.1) > relu > dense()".parse()?;
/// assert_eq!(net.to_string(), "dense(w_std=1.5, b_std=0.1) > relu > dense()");
/// let wrong = "relu > dense()".parse::<Net>().unwrap_err();
/// assert!(wrong.to_string().contains("layer 1 (relu)"));
/// # Ok::<(), kernels_ntk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Net {
    layers: Vec<Layer>,
    requirements: Requirements,
}

impl Net {
    /// Layers in a row.
    ///
    /// # Errors
    /// [`Error::Network`] when a layer does not fit what comes before it, [`Error::Value`] for a parameter out of its domain.
    pub fn new(layers: Vec<Layer>) -> Result<Self, Error> {
        let requirements = check::check(&layers)?;
        Ok(Self { layers, requirements })
    }

    /// Layers joined by `>`; with the feature `serde` also the name of a file that ends in `.json` and holds a list of layers.
    ///
    /// # Errors
    /// [`Error::Description`] for what cannot be read, and as [`Net::new`].
    ///
    /// ```
    /// use kernels_ntk::Net;
    /// assert_eq!(Net::read("dense() > relu > dense()")?, "dense() > relu > dense()".parse()?);
    /// assert!(Net::read("no_such_file.json").is_err());
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    pub fn read(text: &str) -> Result<Self, Error> {
        if !text.trim_end().ends_with(".json") {
            return text.parse();
        }
        #[cfg(feature = "serde")]
        {
            let path = text.trim();
            let invalid = |message: String| Error::Description { message: format!("{path}: {message}") };
            let content = std::fs::read_to_string(path).map_err(|e| invalid(e.to_string()))?;
            serde_json::from_str(&content).map_err(|e| invalid(e.to_string()))
        }
        #[cfg(not(feature = "serde"))]
        Err(Error::Description {
            message: format!("{text}: networks are read from files with the feature `serde` of kernels-ntk"),
        })
    }

    /// `depth` hidden layers of one activation with equal weights, and a last dense layer.
    ///
    /// # Errors
    /// As [`Net::new`].
    ///
    /// ```
    /// use kernels_ntk::{Activation, Net};
    /// let net = Net::fully_connected(2, Activation::relu(), 2.0_f64.sqrt(), None)?;
    /// assert_eq!(net.layers().len(), 5);
    /// # Ok::<(), kernels_ntk::Error>(())
    /// ```
    pub fn fully_connected(
        depth: usize,
        activation: Activation,
        w_std: f64,
        b_std: Option<f64>,
    ) -> Result<Self, Error> {
        let dense = Layer::Dense(Weights::new(w_std, b_std));
        let mut layers = Vec::with_capacity(2 * depth + 1);
        for _ in 0..depth {
            layers.push(dense.clone());
            layers.push(Layer::Activation(activation.clone()));
        }
        layers.push(dense);
        Self::new(layers)
    }

    /// The layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers, for changes that keep the network valid.
    pub(crate) fn layers_mut(&mut self) -> &mut [Layer] {
        &mut self.layers
    }

    pub(crate) fn requirements(&self) -> Requirements {
        self.requirements
    }

    /// Whether a layer looks at the positions of an image, so that the kernel is one on images and not on vectors.
    pub fn is_spatial(&self) -> bool {
        self.requirements.spatial
    }
}

impl Layer {
    /// Name in the text form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dense(_) => "dense",
            Self::Activation(a) => node::activation_name(a),
            Self::LayerNorm { .. } => "layer_norm",
            Self::Sum(_) => "residual",
            Self::Concat(_) => "concat",
            Self::Product(_) => "prod",
            Self::Scale(_) => "scale",
            Self::Dropout { .. } => "dropout",
            Self::Conv(..) => "conv",
            Self::ConvLocal(..) => "conv_local",
            Self::ConvTranspose(..) => "conv_transpose",
            Self::AvgPool { .. } => "avg_pool",
            Self::SumPool(_) => "sum_pool",
            Self::GlobalAvgPool => "global_avg_pool",
            Self::GlobalSumPool => "global_sum_pool",
            Self::Flatten => "flatten",
            Self::Attention { .. } => "attention",
        }
    }
}
