//! Points to test on: hostile ones on purpose.

use std::ops::Range;

use proptest::prelude::*;

use crate::Rows;

/// Rows of n × d values: ordinary ones, duplicates, constant columns, collinear points, values on a coarse grid, near coincident
/// points, data far from the origin, and scales from 10⁻¹⁶⁰ to 10¹⁵⁰.
pub fn rows(n: Range<usize>, dim: Range<usize>) -> impl Strategy<Value = Rows<f64>> {
    (n, dim)
        .prop_flat_map(|(n, dim)| {
            let values = prop::collection::vec(-1.0_f64..1.0, n * dim);
            (Just((n, dim)), values, 0..10_u8, any::<u64>())
        })
        .prop_map(|((n, dim), mut values, kind, bits)| {
            let d = dim.max(1);
            let first: Vec<f64> = values.iter().take(dim).copied().collect();
            match kind {
                // Duplicates of the first row.
                0 => values.chunks_mut(d).filter(|r| r[0] > 0.0).for_each(|r| r.copy_from_slice(&first)),
                // A constant column.
                1 => values.chunks_mut(d).for_each(|r| r[0] = 0.25),
                // On a line.
                2 => values.chunks_mut(d).for_each(|r| {
                    let t = r[0];
                    r.iter_mut().zip(&first).for_each(|(x, f)| *x = t * f);
                }),
                // On a coarse grid: many equal coordinates.
                3 => values.iter_mut().for_each(|x| *x = (2.0 * *x).round() / 2.0),
                // Near the first row.
                4 => values.chunks_mut(d).enumerate().for_each(|(i, r)| {
                    let scale = 10.0_f64.powi(-3 - (i as i32 % 10));
                    r.iter_mut().zip(&first).for_each(|(x, f)| *x = f + scale * *x);
                }),
                // Far from the origin.
                5 => values.iter_mut().for_each(|x| *x += 1e6),
                // Tiny and huge.
                6 => values.iter_mut().for_each(|x| *x *= 1e-160),
                7 => values.iter_mut().for_each(|x| *x *= [1e30, 1e150][(bits % 2) as usize]),
                _ => {}
            }
            Rows::from_parts(values, n, dim)
        })
}

/// Rows of moderate values, some of them equal, for what needs well-behaved points: gradients by differences.
pub fn tame_rows(n: Range<usize>, dim: Range<usize>) -> impl Strategy<Value = Rows<f64>> {
    (n, dim)
        .prop_flat_map(|(n, dim)| {
            (Just((n, dim)), prop::collection::vec(-1.5_f64..1.5, n * dim), any::<bool>())
        })
        .prop_map(|((n, dim), mut values, duplicate)| {
            if duplicate && n > 1 {
                values.copy_within(0..dim, dim);
            }
            Rows::from_parts(values, n, dim)
        })
}
