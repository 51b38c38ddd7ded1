//! Medians and how numbers are written.

use std::time::Duration;

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that 99 of 100 stay below.
pub fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * 99 / 100).min(values.len() - 1)]
}

/// Milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// `12.3 ms`
pub fn show_ms(value: f64) -> String {
    format!("{value:.1} ms")
}

/// `1.05 x`
pub fn ratio(value: f64, reference: f64) -> String {
    format!("{:.2} x", value / reference)
}
