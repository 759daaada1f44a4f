//! The one-dimensional heart of a kernel family.

use crate::{
    Definiteness, Error, Jet, Param, Real, Value, Vector, describe,
    simd::{MAX_LANES, Work},
};

/// A function φ of one number: of the squared scaled distance for a [`Radial`](crate::Radial) kernel, of the inner
/// product for a [`DotProduct`](crate::DotProduct) kernel.
///
/// A family is its profile and nothing else; the engine forms the numbers, applies φ while they are in registers,
/// and does the rest.
///
/// ```
/// use kernels_core::{Kernel, Profile, Radial, Rows, Vector};
///
/// /// 1 / (1 + s)²
/// #[derive(Clone, Debug, PartialEq)]
/// struct Student;
/// impl Profile for Student {
///     fn value<V: Vector>(&self, s: V) -> V {
///         let u = V::splat(1.0) + s;
///         V::splat(1.0) / (u * u)
///     }
///     fn slope<V: Vector>(&self, s: V) -> V {
///         let u = V::splat(1.0) + s;
///         V::splat(-2.0) / (u * u * u)
///     }
/// }
/// let k = Radial::with_profile(Student, 2.0)?;
/// assert_eq!(k.eval(&[0.0, 0.0], &[2.0, 0.0]), 0.25);
/// # Ok::<(), kernels_core::Error>(())
/// ```
pub trait Profile: Clone + Send + Sync + 'static {
    /// Whether the length scale is a parameter of the family; families with a width of their own say `false`.
    const SCALED: bool = true;

    /// Name of the length scale in the text form and among the parameters.
    const SCALE: &'static str = "length_scale";

    /// φ(s). Mark implementations `#[inline(always)]`; NaN in, NaN out.
    fn value<V: Vector>(&self, s: V) -> V;

    /// dφ/ds; finite also at s = 0: where the derivative is infinite there, 0.
    fn slope<V: Vector>(&self, s: V) -> V;

    /// d²φ/ds²; finite also at s = 0: where it is infinite there, 0. NaN, as by default, says that it is not known:
    /// the kernel then has no second derivatives.
    fn curvature<V: Vector>(&self, s: V) -> V {
        let _ = s;
        V::splat(f64::NAN)
    }

    /// Derivative of φ(s) by parameter `index` of [`Profile::params`].
    fn shape_slope<V: Vector>(&self, index: usize, s: V) -> V {
        let _ = (index, s);
        V::splat(0.0)
    }

    /// Whether distances must be formed to relative precision, which is slower: where φ changes faster than √s at 0, or vanishes
    /// there, as powers of the distance do.
    fn needs_exact_distances(&self) -> bool {
        false
    }

    /// Parameters of the shape, without the length scale.
    fn params(&self) -> Vec<Param> {
        Vec::new()
    }

    /// Sets them; checks all before it changes any.
    ///
    /// # Errors
    /// As [`Describe::set_params`](crate::Describe::set_params).
    fn set_params(&mut self, values: &[f64]) -> Result<(), Error> {
        describe::expect_count(0, values.len())
    }

    /// Definiteness of the kernel with this profile, in every dimension.
    fn definiteness(&self) -> Definiteness {
        Definiteness::Positive
    }

    /// The s from which on φ is 0, for profiles of compact support.
    fn support(&self) -> Option<f64> {
        None
    }

    /// Whether points may have `dim` features: some profiles are positive definite in few dimensions only.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the largest number of features.
    fn check_dim(&self, dim: usize) -> Result<(), Error> {
        let _ = dim;
        Ok(())
    }

    /// Name and arguments in the text form, without the length scale; `None` when it has none.
    fn text(&self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        None
    }
}

/// φ(s) = s: the number itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity;

impl Profile for Identity {
    #[inline(always)]
    fn value<V: Vector>(&self, s: V) -> V {
        s
    }
    #[inline(always)]
    fn slope<V: Vector>(&self, _: V) -> V {
        V::splat(1.0)
    }
    #[inline(always)]
    fn curvature<V: Vector>(&self, _: V) -> V {
        V::splat(0.0)
    }
}

/// φ, φ′ and φ″ at one number.
pub(crate) fn derivatives<T: Real>(profile: &impl Profile, s: T) -> [T; 3] {
    struct Three<'a, T, F>(T, &'a F);
    impl<T: Real, F: Profile> Work<T> for Three<'_, T, F> {
        type Output = [T; 3];
        #[inline(always)]
        fn run<V: Vector<Scalar = T>>(self) -> [T; 3] {
            let s = V::broadcast(self.0);
            let first = |v: V| {
                let mut lanes = [T::default(); MAX_LANES];
                v.store(&mut lanes);
                lanes[0]
            };
            [first(self.1.value(s)), first(self.1.slope(s)), first(self.1.curvature(s))]
        }
    }
    T::dispatch(Three(s, profile))
}

/// Whether φ″ is wanted but not known: NaN at a number that is none.
pub(crate) fn curvature_missing<T: Real>(jet: &Jet<T>, s: T, curvature: T) -> bool {
    jet.has_second() && curvature.to_f64().is_nan() && s.to_f64().is_finite()
}
