//! Elementary functions against tables of an independent implementation, on every kind of vector this processor has.
#![allow(clippy::float_cmp)]

use super::{MAX_LANES, Vector, Work, portable::Lanes};
use crate::Real;

const TABLE: &str = include_str!("../../tests/reference/elementary.json");

fn table(name: &str) -> Vec<(f64, f64)> {
    let all: serde_json::Value = serde_json::from_str(TABLE).unwrap();
    let pairs = all[name].as_array().unwrap().iter();
    pairs.map(|p| (p[0].as_f64().unwrap(), p[1].as_f64().unwrap())).collect()
}

#[derive(Clone, Copy)]
enum Function {
    ExpNeg,
    Ln,
    Ln1p,
    SinPi,
    CosPi,
}

/// One value through a vector.
struct Apply<T>(Function, T);

impl<T: Real> Work<T> for Apply<T> {
    type Output = T;
    #[inline(always)]
    fn run<V: Vector<Scalar = T>>(self) -> T {
        let x = V::broadcast(self.1);
        let y = match self.0 {
            Function::ExpNeg => (-x).exp(),
            Function::Ln => x.ln(),
            Function::Ln1p => x.ln_1p(),
            Function::SinPi => x.sin_cos_pi().0,
            Function::CosPi => x.sin_cos_pi().1,
        };
        let mut lanes = [T::default(); MAX_LANES];
        y.store(&mut lanes);
        assert!(lanes[..V::LANES].iter().all(|l| l.to_f64().to_bits() == lanes[0].to_f64().to_bits()));
        lanes[0]
    }
}

/// With the processor's vectors, and with the portable ones.
fn both<T: Real>(function: Function, x: T) -> [T; 2]
where
    Lanes<T>: Vector<Scalar = T>,
{
    [T::dispatch(Apply(function, x)), Apply(function, x).run::<Lanes<T>>()]
}

/// At most `ulps` units in the last place of the value, or of `floor` where the value is smaller.
fn check<T: Real>(function: Function, name: &str, ulps: f64, floor: f64)
where
    Lanes<T>: Vector<Scalar = T>,
{
    for (x, _) in table(name) {
        let at = T::of(x);
        // In single precision the argument is rounded first, and the reference is that of the rounded one.
        let expected = match name {
            _ if size_of::<T>() == 8 => table(name).iter().find(|p| p.0.to_bits() == x.to_bits()).unwrap().1,
            "exp_neg" => libm::exp(-at.to_f64()),
            "ln" => libm::log(at.to_f64()),
            "ln_1p" => libm::log1p(at.to_f64()),
            "sin_pi" => (std::f64::consts::PI * (at.to_f64() % 2.0)).sin(),
            _ => (std::f64::consts::PI * (at.to_f64() % 2.0)).cos(),
        };
        let limit = if size_of::<T>() == 8 { 1e-307 } else { 2e-38 };
        if !at.is_finite()
            || at.to_f64() == 0.0 && name == "ln"
            || expected.abs() < limit && name == "exp_neg"
        {
            continue;
        }
        for got in both(function, at) {
            let error = (got.to_f64() - expected).abs()
                / (T::EPSILON.to_f64() * expected.abs().max(floor).max(1e-290));
            assert!(error <= ulps, "{name}({x:e}) = {:e}, expected {expected:e}: {error} ulps", got.to_f64());
        }
    }
}

#[test]
fn double_precision() {
    check::<f64>(Function::ExpNeg, "exp_neg", 1.5, 0.0);
    // Subnormal arguments included; near 1 the value itself is small and as accurate.
    check::<f64>(Function::Ln, "ln", 1.5, 0.0);
    check::<f64>(Function::Ln1p, "ln_1p", 2.5, 1e-300);
    // Against the size of a sine, 1: zeros are met within rounding of the reduced argument.
    check::<f64>(Function::SinPi, "sin_pi", 2.0, 1e-300);
    check::<f64>(Function::CosPi, "cos_pi", 2.0, 1.0);
}

#[test]
fn single_precision() {
    check::<f32>(Function::ExpNeg, "exp_neg", 1.5, 0.0);
    check::<f32>(Function::Ln, "ln", 2.0, 0.0);
    check::<f32>(Function::Ln1p, "ln_1p", 2.5, 1e-37);
    check::<f32>(Function::SinPi, "sin_pi", 2.0, 1e-6);
    check::<f32>(Function::CosPi, "cos_pi", 2.0, 1.0);
}

#[test]
fn special_values() {
    let all = |f: Function, x: f64| both(f, x).into_iter().chain(both(f, x as f32).map(f64::from));
    for f in [Function::ExpNeg, Function::Ln, Function::Ln1p, Function::SinPi, Function::CosPi] {
        assert!(all(f, f64::NAN).all(f64::is_nan));
    }
    assert!(all(Function::ExpNeg, 0.0).chain(all(Function::ExpNeg, -0.0)).all(|v| v == 1.0));
    assert!(all(Function::ExpNeg, f64::INFINITY).chain(all(Function::ExpNeg, 1e30)).all(|v| v == 0.0));
    assert!(
        all(Function::ExpNeg, f64::NEG_INFINITY)
            .chain(all(Function::ExpNeg, -1e30))
            .all(|v| v == f64::INFINITY)
    );
    assert!(all(Function::Ln, 0.0).all(|v| v == f64::NEG_INFINITY));
    assert!(
        all(Function::Ln, f64::INFINITY)
            .chain(all(Function::Ln1p, f64::INFINITY))
            .all(|v| v == f64::INFINITY)
    );
    assert!(all(Function::Ln, -1.0).all(f64::is_nan));
    assert!(all(Function::Ln, 1.0).chain(all(Function::Ln1p, 0.0)).all(|v| v == 0.0));
    // Numbers so large that they are even integers.
    assert!(all(Function::SinPi, 1e30).all(|v| v == 0.0) && all(Function::CosPi, 1e30).all(|v| v == 1.0));
    assert!(all(Function::SinPi, f64::INFINITY).all(f64::is_nan));
}

#[test]
fn the_range_of_the_exponential() {
    // Every binade of the argument, both signs: finite where e^x is, within 1.5 ulp of the reference.
    for i in -7080..7090 {
        let x = f64::from(i) / 10.0;
        for got in both(Function::ExpNeg, -x) {
            let expected = libm::exp(x);
            assert!(
                (got - expected).abs() <= 1.5 * f64::EPSILON * expected,
                "exp({x}) = {got:e}, expected {expected:e}"
            );
        }
    }
}
