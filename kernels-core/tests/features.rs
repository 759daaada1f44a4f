//! Feature maps: reference numbers, unbiasedness, variances, rates.

mod feature_maps;
