//! The few distributions that intervals are made of: normal, Student's t, F and noncentral F, with real degrees of
//! freedom. Agreement with SciPy is tested on the values of `tests/reference/statistical.py`.

/// Terms after which a series or a continued fraction is given up; the largest arguments here need a few thousand.
const TERMS: usize = 20_000;

pub use crate::normal::normal_cdf;

/// The share of Student's t distribution below `t`.
pub fn t_cdf(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    // The share between 0 and t, from whichever of the two is small: the other would have lost it to rounding.
    let within = if square < freedom {
        0.5 * beta_share(square / (freedom + square), 0.5, freedom / 2.0)
    } else {
        0.5 - 0.5 * beta_share(freedom / (freedom + square), freedom / 2.0, 0.5)
    };
    0.5 + within.copysign(t)
}

/// The `t` below which a `share` of Student's t distribution lies. `share` must lie strictly between 0 and 1.
pub fn t_quantile(share: f64, freedom: f64) -> f64 {
    if share < 0.5 {
        return -t_quantile(1.0 - share, freedom);
    }
    let mut high = 1.0;
    while t_cdf(high, freedom) < share && high < 1e12 {
        high *= 2.0;
    }
    // Newton's steps, and halving where one leads out of what is left.
    let density = t_density(freedom);
    let (mut low, mut t) = (0.0, 0.5 * high);
    for _ in 0..100 {
        let excess = t_cdf(t, freedom) - share;
        if excess >= 0.0 {
            high = t
        } else {
            low = t
        }
        let newton = t - excess / density(t);
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        // Nearer than the distribution can be told, steps go back and forth.
        if (next - t).abs() <= 16.0 * f64::EPSILON * t {
            return next;
        }
        t = next;
    }
    t
}

/// The density of Student's t distribution by `t`.
fn t_density(freedom: f64) -> impl Fn(f64) -> f64 {
    let half = 0.5 * (freedom + 1.0);
    let at_zero = ln_gamma(half) - ln_gamma(0.5 * freedom) - 0.5 * (freedom * std::f64::consts::PI).ln();
    move |t| (at_zero - half * (t * t / freedom).ln_1p()).exp()
}

/// The share of an F distribution below `f`.
pub fn f_cdf(f: f64, freedom: f64, rest: f64) -> f64 {
    beta_share(freedom * f / (freedom * f + rest), freedom / 2.0, rest / 2.0)
}

/// The share of a noncentral F distribution below `f`: central ones, weighted by Poisson's distribution with mean
/// `noncentrality / 2` (Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions* 2, 1995, ch. 30).
///
/// Above a noncentrality of 10,000, where that would be long, the numerator is a scaled central one with its mean and
/// variance (Patnaik 1949), at most 10^6 degrees of freedom of which are told from infinitely many.
pub fn noncentral_f_cdf(f: f64, freedom: f64, rest: f64, noncentrality: f64) -> f64 {
    if noncentrality > 1e4 {
        let mean = freedom + noncentrality;
        let alike = (mean * mean / (freedom + 2.0 * noncentrality)).min(1e6);
        return f_cdf(f * freedom / mean, alike, rest);
    }
    if noncentrality <= 0.0 {
        return f_cdf(f, freedom, rest);
    }
    let x = freedom * f / (freedom * f + rest);
    poisson_mixture(x, freedom / 2.0, rest / 2.0, noncentrality / 2.0)
}

/// Incomplete beta functions of `a + j` and `b`, each times the Poisson probability of `j`, added from the largest `j`
/// that weighs anything downwards: so each is the last one and something positive.
fn poisson_mixture(x: f64, a: f64, b: f64, mean: f64) -> f64 {
    let spread = 9.0 * mean.sqrt() + 30.0;
    let first = (mean - spread).max(0.0).floor() as usize;
    let last = (mean + spread).ceil() as usize;
    let from = |j: usize| a + j as f64;
    // By how much the function of `j` exceeds that of `j + 1`.
    let excess = |j: usize| {
        let beta = ln_gamma(from(j) + b) - ln_gamma(from(j) + 1.0) - ln_gamma(b);
        (beta + from(j) * x.ln() + b * (-x).ln_1p()).exp()
    };
    let mut weight = (last as f64 * mean.ln() - mean - ln_gamma(last as f64 + 1.0)).exp();
    let (mut share, mut step, mut sum) = (beta_share(x, from(last), b), 0.0, 0.0);
    for j in (first..=last).rev() {
        sum += weight * share;
        weight *= j as f64 / mean;
        if j > 0 {
            // What was too small for a number once is begun anew.
            step = if step > 1e-290 { step * from(j) / (x * (from(j) + b - 1.0)) } else { excess(j - 1) };
            share += step;
        }
    }
    sum
}

/// Where a condition that holds from some point on begins, by halving; `high` where it holds nowhere below.
pub fn crossing(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) { high = middle } else { low = middle }
    }
    high
}

/// The regularised incomplete beta function (Press et al., *Numerical Recipes*, 2007, 6.4).
fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(x, a, b) / a
    } else {
        1.0 - front * continued_fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function, from the front (Lentz 1976).
fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / kept(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..TERMS {
        let m = m as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for factor in [even, odd] {
            d = 1.0 / kept(1.0 + factor * d);
            c = kept(1.0 + factor / c);
            fraction *= c * d;
        }
        if (fraction / before - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// The logarithm of the gamma function of a number above 0: raised to at least 10, then Stirling's series.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 10.0 {
        product *= x;
        x += 1.0;
    }
    const SERIES: [f64; 6] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    let series = SERIES.iter().rev().fold(0.0, |sum, term| sum / (x * x) + term) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9 * (1.0 + wanted.abs()), "{found}, not {wanted}");
    }

    #[test]
    fn the_well_known_quantiles_are_found() {
        assert_near(normal_cdf(1.959963984540054), 0.975);
        assert_near(normal_cdf(-1.0) + normal_cdf(1.0), 1.0);
        assert_near(t_quantile(0.975, 2.0), 4.302652729749462);
        assert_near(t_quantile(0.025, 10.0), -2.228138851986274);
        assert_near(f_cdf(4.964602743730711, 1.0, 10.0), 0.95);
    }

    #[test]
    fn special_cases_agree_with_each_other() {
        // Student's t with one degree of freedom is Cauchy's, its square is F, and many degrees are the normal one.
        assert_near(t_cdf(3.0, 1.0), 0.5 + 3_f64.atan() / std::f64::consts::PI);
        assert_near(2.0 * t_cdf(1.7, 6.5) - 1.0, f_cdf(1.7 * 1.7, 1.0, 6.5));
        assert!((t_cdf(1.3, 1e7) - normal_cdf(1.3)).abs() < 1e-7);
        assert_near(noncentral_f_cdf(2.0, 3.0, 20.0, 0.0), f_cdf(2.0, 3.0, 20.0));
    }

    #[test]
    fn the_two_ways_to_a_noncentral_share_meet() {
        // With so many degrees in the denominator it is the numerator that scatters.
        let [sum, alike] = [9_999.9, 10_000.1].map(|lambda| noncentral_f_cdf(5100.0, 2.0, 1e5, lambda));
        assert!((sum - alike).abs() < 1e-3, "{sum} and {alike}");
    }
}
