//! Power series of the correlation on pairs.

/// The power series Σ aⱼ bⱼ ρʲ of values and slopes for pairs of rows with one column. `values` and `slopes` hold coefficient
/// j of row i at `j * stride + i`; of odd functions coefficients 1, 3, … of values and 0, 2, … of slopes, the others being 0.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Mehler<'a> {
    pub(in super::super) odd: bool,
    pub(in super::super) stride: usize,
    pub(in super::super) values: &'a [f64],
    pub(in super::super) slopes: &'a [f64],
    pub(in super::super) column: (&'a [f64], &'a [f64]),
}

pub(in super::super) fn mehler(series: Mehler<'_>, rho: &[f64], value: &mut [f64], slope: &mut [f64]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
        fn widest(series: Mehler<'_>, rho: &[f64], value: &mut [f64], slope: &mut [f64]) {
            sum::<true>(series, rho, value, slope);
        }
        #[target_feature(enable = "avx2,fma")]
        fn fused(series: Mehler<'_>, rho: &[f64], value: &mut [f64], slope: &mut [f64]) {
            sum::<true>(series, rho, value, slope);
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { widest(series, rho, value, slope) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has these instructions.
            return unsafe { fused(series, rho, value, slope) };
        }
    }
    sum::<false>(series, rho, value, slope);
}

#[inline(always)]
fn sum<const FUSED: bool>(series: Mehler<'_>, rho: &[f64], value: &mut [f64], slope: &mut [f64]) {
    const GROUP: usize = 16;
    let Mehler { odd, stride, values, slopes, column } = series;
    let (rows, terms) = (rho.len(), column.0.len());
    let add = |sum: f64, x: f64, term: f64| if FUSED { sum.mul_add(x, term) } else { sum * x + term };
    for start in (0..rows).step_by(GROUP) {
        let m = GROUP.min(rows - start);
        let mut r = [0.0_f64; GROUP];
        r[..m].copy_from_slice(&rho[start..start + m]);
        let x = if odd { r.map(|r| r * r) } else { r };
        let (mut v, mut s) = ([0.0_f64; GROUP], [0.0_f64; GROUP]);
        for j in (0..terms).rev() {
            let (bv, bs) = (column.0[j], column.1[j]);
            if m == GROUP {
                let av = &values[j * stride + start..][..GROUP];
                let a_s = &slopes[j * stride + start..][..GROUP];
                for i in 0..GROUP {
                    v[i] = add(v[i], x[i], av[i] * bv);
                    s[i] = add(s[i], x[i], a_s[i] * bs);
                }
            } else {
                for i in 0..m {
                    v[i] = add(v[i], x[i], values[j * stride + start + i] * bv);
                    s[i] = add(s[i], x[i], slopes[j * stride + start + i] * bs);
                }
            }
        }
        if odd {
            v.iter_mut().zip(&r).for_each(|(v, r)| *v *= r);
        }
        value[start..start + m].copy_from_slice(&v[..m]);
        slope[start..start + m].copy_from_slice(&s[..m]);
    }
}
