//! The normal distribution, which searches and intervals share.

/// The share of a standard normal distribution below `x` (Marsaglia, "Evaluating the Normal Distribution", 2004).
pub fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let (mut term, mut sum) = (x, x);
    let mut odd = 3.0;
    while sum + term != sum {
        term *= x * x / odd;
        sum += term;
        odd += 2.0;
    }
    0.5 + density * sum
}
