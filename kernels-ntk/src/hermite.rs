//! Normalised Hermite polynomials hⱼ = Heⱼ/√j!, orthonormal under the normal distribution.

/// Σ cⱼ hⱼ(z).
pub(crate) fn sum(c: &[f64], z: f64) -> f64 {
    let (mut before, mut now, mut total) = (0.0, 1.0, 0.0);
    for (j, c) in c.iter().enumerate() {
        total += c * now;
        (before, now) = (now, next(j, z, now, before));
    }
    total
}

/// hⱼ₊₁(z) from hⱼ and hⱼ₋₁.
#[inline]
pub(crate) fn next(j: usize, z: f64, now: f64, before: f64) -> f64 {
    (z * now - (j as f64).sqrt() * before) / ((j + 1) as f64).sqrt()
}

/// Coefficients of the derivative: hⱼ′ = √j hⱼ₋₁.
pub(crate) fn derivative(c: &[f64]) -> Vec<f64> {
    if c.len() < 2 {
        return vec![0.0];
    }
    c.iter().enumerate().skip(1).map(|(j, c)| (j as f64).sqrt() * c).collect()
}

/// Normalised Hermite series of a polynomial Σ cᵢ (sz)ⁱ of a standard normal z.
pub(crate) fn of_polynomial(c: &[f64], scale: f64) -> Vec<f64> {
    let n = c.len();
    let mut out = vec![0.0; n];
    // zⁱ = Σ_m i!/(2ᵐ m! (i−2m)!) He_{i−2m}, He_l = √l! h_l; the factor is built up from m = 0.
    let mut power = 1.0;
    for (i, c) in c.iter().enumerate() {
        let mut weight = (2..=i).fold(1.0, |w, k| w * (k as f64).sqrt());
        let mut l = i;
        let mut m = 0;
        loop {
            out[l] += c * power * weight;
            if l < 2 {
                break;
            }
            m += 1;
            // i!/(2ᵐ m! l!) √l! changes by √(l(l−1))/(2m) when l loses 2.
            weight *= ((l * (l - 1)) as f64).sqrt() / (2 * m) as f64;
            l -= 2;
        }
        power *= scale;
    }
    out
}

/// Normalised Hermite series in z of Σ cᵢ hᵢ(√q z).
pub(crate) fn rescaled(c: &[f64], q: f64) -> Vec<f64> {
    let scale = q.sqrt();
    let mut out = vec![0.0; c.len()];
    // hᵢ(γz) = Σ_m √(i!/l!)/(2ᵐ m!) γˡ (γ²−1)ᵐ h_l(z), l = i − 2m.
    for (i, c) in c.iter().enumerate() {
        let (mut weight, mut l, mut m) = (1.0, i, 0);
        loop {
            out[l] += c * weight * scale.powi(l as i32);
            if l < 2 {
                break;
            }
            m += 1;
            weight *= ((l * (l - 1)) as f64).sqrt() / (2 * m) as f64 * (q - 1.0);
            l -= 2;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn rescaling() {
        let c = [0.3, -1.0, 0.5, 0.25, 0.1];
        for q in [0.0, 0.4, 1.0, 3.0] {
            let scaled = super::rescaled(&c, q);
            for z in [-1.2, 0.0, 0.7, 2.0] {
                assert!((super::sum(&scaled, z) - super::sum(&c, f64::sqrt(q) * z)).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn powers_in_hermite_form() {
        // z³ = He₃ + 3 He₁, z⁴ = He₄ + 6 He₂ + 3
        let c = super::of_polynomial(&[0.0, 0.0, 0.0, 1.0], 1.0);
        assert!((c[1] - 3.0).abs() < 1e-15 && (c[3] - 6.0_f64.sqrt()).abs() < 1e-15);
        let c = super::of_polynomial(&[0.0, 0.0, 0.0, 0.0, 1.0], 1.0);
        assert!((c[0] - 3.0).abs() < 1e-15 && (c[2] - 6.0 * 2.0_f64.sqrt()).abs() < 1e-14);
        for z in [-1.7, 0.0, 0.3, 2.5] {
            assert!((super::sum(&c, z) - f64::powi(z, 4)).abs() < 1e-13 * (1.0 + f64::powi(z, 4)));
        }
    }
}
