//! The names `ntk`, `nngp` and `images` in kernel expressions.

use kernels_core::{
    Arguments, DynKernel, Error, Family, Kernel, Parameter, Points, Readable, Real, Rows, Vocabulary,
};

use crate::{Images, Limit, Net, NetworkKernel, OnImages};

const NET: &[Parameter] = &[Parameter {
    name: "net",
    default: "\"dense() > relu > dense()\"",
    meaning: "layers joined by `>`, or the name of a .json file with a list of layers, in quotes",
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
    let net = Net::read(&text).map_err(|error| given.error(format!("net: {error}")))?;
    let limit = if given.name() == "ntk" { Limit::Ntk } else { Limit::Nngp };
    Ok(DynKernel::new(NetworkKernel::new(net, limit)))
}

static IMAGES: Family = Family {
    name: "images",
    summary: "a kernel on images, for rows that hold their values place by place",
    formula: "k(image of x, image of y)",
    of_kernel: false,
    parameters: &[
        Parameter {
            name: "of",
            default: "(none)",
            meaning: "a kernel on images, such as ntk(net=\"conv(filter=[3, 3]) > relu > flatten > dense()\")",
        },
        Parameter { name: "height", default: "1", meaning: "rows of an image" },
        Parameter { name: "width", default: "1", meaning: "columns of an image; what is left are channels" },
    ],
    definiteness: "that of the kernel inside",
};

/// A vocabulary of rows with `images(of=…, height=…, width=…)` added: kernels on images for rows of a table.
///
/// ```
/// use kernels_core::{Readable, Rows, gram};
/// let names = kernels_ntk::with_images(Rows::<f64>::vocabulary());
/// let net = "conv(filter=[2, 2]) > relu > global_avg_pool > dense()";
/// let k = names.read(&format!("images(of=ntk(net=\"{net}\"), height=2, width=2)"))?;
/// let xs = Rows::from_row_major(vec![0.1, 0.5, -0.3, 0.8, 1.0, 0.2, 0.4, -0.6], 2, 4)?;
/// assert!(gram(&k, &xs)?[(0, 0)] > 0.0);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub fn with_images<T: Real>(names: Vocabulary<Rows<T>>) -> Vocabulary<Rows<T>> {
    names.with(&IMAGES, |given| {
        let Some(kernel) = given.kernel_on::<Images<T>>("of")? else {
            return Err(given.error("`images` needs a kernel on images: `of=ntk(net=\"…\")`"));
        };
        let mut side = |name| {
            let value = given.number(name, 1.0)?;
            let whole = (1.0..=1e6).contains(&value) && value.fract().abs() < f64::MIN_POSITIVE;
            if whole {
                Ok(value as usize)
            } else {
                Err(given.error(format!("`{name}` must be a whole number from 1")))
            }
        };
        let (height, width) = (side("height")?, side("width")?);
        Ok(DynKernel::new(OnImages::new(kernel, height, width)?))
    })
}

/// Kernels on images: `ntk`, `nngp` and what every kind of points has.
impl<T: Real> Readable for Images<T> {
    fn vocabulary() -> Vocabulary<Self> {
        with_networks(Vocabulary::new())
    }
}
