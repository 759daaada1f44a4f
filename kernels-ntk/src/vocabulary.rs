//! The names `ntk` and `nngp` in kernel expressions.

use kernels_core::{Arguments, DynKernel, Error, Family, Kernel, Parameter, Points, Vocabulary};

use crate::{Limit, Net, NetworkKernel};

const NET: &[Parameter] = &[Parameter {
    name: "net",
    default: "\"dense() > relu > dense()\"",
    meaning: "layers joined by `>`, in quotes",
}];

static NTK: Family = Family {
    name: "ntk",
    summary: "tangent kernel of an infinitely wide network",
    formula: "E ⟨∂f(x)/∂θ, ∂f(y)/∂θ⟩",
    of_kernel: false,
    parameters: NET,
    definiteness: "positive definite",
};

static NNGP: Family = Family {
    name: "nngp",
    summary: "Gaussian process of an infinitely wide network",
    formula: "E f(x) f(y)",
    of_kernel: false,
    parameters: NET,
    definiteness: "positive definite",
};

/// A vocabulary with `ntk(net="…")` and `nngp(net="…")` added.
///
/// ```
/// use kernels_core::{Readable, Rows};
/// let names = kernels_ntk::with_networks(Rows::<f64>::vocabulary());
/// let k = names.read("0.5 * ntk(net=\"dense(w_std=1.5) > relu > dense()\") + white()")?;
/// assert_eq!(k.to_string(), "0.5 * ntk(net=\"dense(w_std=1.5) > relu > dense()\") + white(variance=1)");
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn with_networks<P: Points + 'static>(names: Vocabulary<P>) -> Vocabulary<P>
where
    NetworkKernel: Kernel<P>,
{
    names.with(&NTK, build).with(&NNGP, build)
}

fn build<P: Points + 'static>(given: &mut Arguments<'_, P>) -> Result<DynKernel<P>, Error>
where
    NetworkKernel: Kernel<P>,
{
    let text = given.word("net", "dense() > relu > dense()")?;
    let net: Net = text.parse().map_err(|error: crate::Error| given.error(format!("net: {error}")))?;
    let limit = if given.name() == "ntk" { Limit::Ntk } else { Limit::Nngp };
    Ok(DynKernel::new(NetworkKernel::new(net, limit)))
}
