//! What remains of many figures.

/// The one in the middle; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The value below or at which so many percent are; NaN of none.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// The smallest of all; infinite of none.
pub fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The largest of all; zero of none.
pub fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
pub fn number(count: usize) -> f64 {
    count as f64
}

/// Bytes as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
pub fn bytes(count: u64) -> f64 {
    count as f64
}
