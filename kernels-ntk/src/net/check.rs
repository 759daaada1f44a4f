//! What layers need of what comes before them.

use super::{Layer, Weights, Window};
use crate::{Error, error::within};

/// What a network asks of its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Some layer looks at positions.
    pub(crate) spatial: bool,
    /// Covariances between different positions are needed.
    pub(crate) all_pairs: bool,
}

struct Checker {
    position: usize,
    requirements: Requirements,
}

/// Whether values are normal (after a layer with weights), and whether positions are gone.
#[derive(Clone, Copy)]
struct State {
    normal: bool,
    pooled: bool,
    input: bool,
}

pub(super) fn check(layers: &[Layer]) -> Result<Requirements, Error> {
    let mut checker = Checker { position: 0, requirements: Requirements { spatial: false, all_pairs: false } };
    let state = State { normal: false, pooled: false, input: true };
    let end = checker.chain(layers, state)?;
    if checker.requirements.spatial && !end.pooled {
        return Err(Error::Network {
            position: checker.position,
            layer: layers.last().map_or("network", Layer::name),
            problem: "a network on images must end its positions with flatten, global_avg_pool or global_sum_pool",
        });
    }
    Ok(checker.requirements)
}

impl Checker {
    fn fail(&self, layer: &Layer, problem: &'static str) -> Error {
        Error::Network { position: self.position, layer: layer.name(), problem }
    }

    fn chain(&mut self, layers: &[Layer], mut state: State) -> Result<State, Error> {
        for layer in layers {
            self.position += 1;
            state = self.layer(layer, state)?;
        }
        Ok(state)
    }

    fn spatial(&mut self, layer: &Layer, state: State, all_pairs: bool) -> Result<(), Error> {
        if state.pooled {
            return Err(self.fail(layer, "positions were pooled or flattened before; use dense"));
        }
        self.requirements.spatial = true;
        self.requirements.all_pairs |= all_pairs;
        Ok(())
    }

    fn layer(&mut self, layer: &Layer, state: State) -> Result<State, Error> {
        let needs_normal = "must come after a layer with weights (dense, conv, attention)";
        let after = |normal, pooled| State { normal, pooled, input: false };
        match layer {
            Layer::Dense(weights) => {
                weights.check()?;
                Ok(after(true, state.pooled))
            }
            Layer::Activation(activation) => {
                activation.check()?;
                if matches!(activation, crate::Activation::Identity) {
                    return Ok(state);
                }
                if !state.normal {
                    return Err(self.fail(layer, needs_normal));
                }
                Ok(after(false, state.pooled))
            }
            Layer::LayerNorm { eps, all } => {
                within("eps", *eps, *eps >= 0.0, "a finite number, 0 or above")?;
                if !state.normal {
                    return Err(self.fail(layer, needs_normal));
                }
                if *all {
                    self.spatial(layer, state, false)?;
                }
                Ok(state)
            }
            Layer::Sum(branches) | Layer::Concat(branches) | Layer::Product(branches) => {
                if branches.is_empty() {
                    return Err(self.fail(layer, "needs at least one branch"));
                }
                let mut ends = Vec::new();
                for branch in branches {
                    ends.push(self.chain(branch, state)?);
                }
                let shortcuts = branches.iter().filter(|b| !b.iter().any(Layer::has_weights)).count();
                if shortcuts > 1 {
                    return Err(self.fail(
                        layer,
                        "all branches but one need weights of their own, otherwise they are not independent",
                    ));
                }
                let normal = match layer {
                    Layer::Product(_) => false,
                    _ => ends.iter().all(|e| e.normal),
                };
                let pooled = ends.iter().all(|e| e.pooled);
                if !pooled && ends.iter().any(|e| e.pooled) {
                    return Err(self.fail(layer, "all branches must pool their positions, or none"));
                }
                Ok(after(normal, pooled))
            }
            Layer::Scale(c) => {
                within("scale", *c, true, "a finite number")?;
                Ok(state)
            }
            Layer::Dropout { keep } => {
                within("keep", *keep, *keep > 0.0 && *keep <= 1.0, "above 0 and at most 1")?;
                if state.input {
                    return Err(self.fail(layer, "cannot be the first layer"));
                }
                Ok(state)
            }
            Layer::Conv(weights, window) | Layer::ConvTranspose(weights, window) => {
                weights.check()?;
                window.check()?;
                self.spatial(layer, state, false)?;
                Ok(after(true, false))
            }
            Layer::ConvLocal(weights, window) => {
                weights.check()?;
                window.check()?;
                self.spatial(layer, state, false)?;
                Ok(after(true, false))
            }
            Layer::AvgPool { window, .. } | Layer::SumPool(window) => {
                window.check()?;
                self.spatial(layer, state, true)?;
                Ok(state)
            }
            Layer::GlobalAvgPool | Layer::GlobalSumPool => {
                self.spatial(layer, state, true)?;
                Ok(State { pooled: true, ..state })
            }
            Layer::Flatten => {
                self.spatial(layer, state, false)?;
                Ok(after(false, true))
            }
            Layer::Attention { query_key, output_value, b_std, linear_scaling, mechanism } => {
                for value in [*query_key, *output_value, b_std.unwrap_or(0.0)] {
                    within("attention weights", value, true, "a finite number")?;
                }
                if !linear_scaling && *mechanism != super::Mechanism::Identity {
                    return Err(
                        self.fail(layer, "square root scaling has a limit only for the identity mechanism")
                    );
                }
                self.spatial(layer, state, true)?;
                Ok(after(true, false))
            }
        }
    }
}

impl Layer {
    pub(crate) fn has_weights(&self) -> bool {
        match self {
            Self::Dense(_)
            | Self::Conv(..)
            | Self::ConvLocal(..)
            | Self::ConvTranspose(..)
            | Self::Attention { .. } => true,
            Self::Sum(branches) | Self::Concat(branches) | Self::Product(branches) => {
                branches.iter().any(|b| b.iter().any(Layer::has_weights))
            }
            _ => false,
        }
    }
}

impl Weights {
    fn check(&self) -> Result<(), Error> {
        within("w_std", self.w_std, self.w_std >= 0.0, "a finite number, 0 or above")?;
        let b = self.b_std.unwrap_or(0.0);
        within("b_std", b, b >= 0.0, "a finite number, 0 or above")?;
        within("width", self.width as f64, self.width > 0, "an integer, 1 or above").map(|_| ())
    }
}

impl Window {
    fn check(&self) -> Result<(), Error> {
        crate::error::same("strides of a window (one an axis)", self.size.len(), self.stride.len())?;
        let axes = self.size.len();
        within("spatial axes of a window", axes as f64, axes == 1 || axes == 2, "1 or 2")?;
        let least = self.size.iter().chain(&self.stride).copied().min().unwrap_or(0);
        within("filter or stride", least as f64, least > 0, "an integer, 1 or above").map(|_| ())
    }
}
