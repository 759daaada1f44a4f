//! Contract tests for kernels, operators and feature maps: run them on yours.
//!
//! A kernel that is not symmetric, not as definite as it says, or whose blocks disagree with its pairs gives wrong models without
//! an error. [`check_kernel!`](crate::check_kernel) writes a property test that looks for all of this on hostile points;
//! [`kernel_contract`] is the check behind it, for points of any kind.
//!
//! ```
//! use kernels_core::{Describe, Kernel, Rows, check_kernel, testing};
//!
//! #[derive(Clone)]
//! struct Overlap;
//! impl Describe for Overlap {}
//! impl Kernel<Rows<f64>> for Overlap {
//!     fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
//!         x.iter().zip(y).filter(|(a, b)| a == b).count() as f64
//!     }
//! }
//! // In a test module: check_kernel!(overlap_keeps_the_contract, testing::just(Overlap), testing::rows(0..8, 0..4));
//! let xs = Rows::from_row_major(vec![1.0, 2.0, 1.0, 3.0], 2, 2)?;
//! testing::kernel_contract(&Overlap, &xs)?;
//!
//! /// A "kernel" that is not symmetric is found out.
//! #[derive(Clone)]
//! struct Wrong;
//! impl Describe for Wrong {}
//! impl Kernel<Rows<f64>> for Wrong {
//!     fn eval(&self, x: &[f64], y: &[f64]) -> f64 { x[1] - y[1] + 5.0 }
//! }
//! assert!(testing::kernel_contract(&Wrong, &xs).unwrap_err().to_string().contains("not symmetric"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod derivative;
mod kernel;
mod operator;
mod strategies;

pub use derivative::derivative_contract;
pub use kernel::{gradient_contract, kernel_contract};
pub use operator::{feature_map_contract, operator_contract};
pub use proptest;
pub use proptest::strategy::Just as just;
pub use strategies::{rows, tame_rows};

/// What a contract test found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl From<crate::Error> for Violation {
    fn from(error: crate::Error) -> Self {
        Self(error.to_string())
    }
}

/// `Err` with the message unless the condition holds.
fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(message())) }
}

/// Equal up to rounding relative to `scale`, or both beyond the range of numbers.
fn alike(a: f64, b: f64, tolerance: f64, scale: f64) -> bool {
    let beyond = |v: f64| !v.is_finite() || v.abs() > 1e290;
    (a - b).abs() <= tolerance * scale.max(a.abs()).max(b.abs()) || beyond(a) && beyond(b)
}

/// Writes a property test of [`kernel_contract`](crate::testing::kernel_contract): name, a strategy of kernels, a
/// strategy of points. `check_kernel!(name, kernels, points, gradients)` tests
/// [`gradient_contract`](crate::testing::gradient_contract) instead, `check_kernel!(…, derivatives)`
/// [`derivative_contract`](crate::testing::derivative_contract); points must not be hostile for these two.
#[macro_export]
macro_rules! check_kernel {
    ($name:ident, $kernels:expr, $points:expr) => {
        $crate::check_kernel!(@ $name, $kernels, $points, kernel_contract);
    };
    ($name:ident, $kernels:expr, $points:expr, gradients) => {
        $crate::check_kernel!(@ $name, $kernels, $points, gradient_contract);
    };
    ($name:ident, $kernels:expr, $points:expr, derivatives) => {
        $crate::check_kernel!(@ $name, $kernels, $points, derivative_contract);
    };
    (@ $name:ident, $kernels:expr, $points:expr, $contract:ident) => {
        #[test]
        fn $name() {
            use $crate::testing::proptest::{prelude::*, test_runner::TestRunner};
            let outcome = TestRunner::default().run(&($kernels, $points), |(kernel, points)| {
                $crate::testing::$contract(&kernel, &points).map_err(|e| TestCaseError::fail(e.to_string()))
            });
            if let Err(error) = outcome {
                panic!("{error}");
            }
        }
    };
}

/// Writes a test of [`operator_contract`](crate::testing::operator_contract): name, an expression of an operator.
#[macro_export]
macro_rules! check_operator {
    ($name:ident, $operator:expr) => {
        #[test]
        fn $name() {
            let operator = $operator;
            if let Err(error) = $crate::testing::operator_contract(&operator) {
                panic!("{error}");
            }
        }
    };
}

/// Writes a property test of [`feature_map_contract`](crate::testing::feature_map_contract): name, an expression of a
/// map, a strategy of points it can map.
#[macro_export]
macro_rules! check_feature_map {
    ($name:ident, $map:expr, $points:expr) => {
        #[test]
        fn $name() {
            use $crate::testing::proptest::{prelude::*, test_runner::TestRunner};
            let map = $map;
            let outcome = TestRunner::default().run(&$points, |points| {
                $crate::testing::feature_map_contract(&map, &points)
                    .map_err(|e| TestCaseError::fail(e.to_string()))
            });
            if let Err(error) = outcome {
                panic!("{error}");
            }
        }
    };
}
