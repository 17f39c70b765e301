//! Scalar functions that the compiler vectorises, and loops run with the widest instructions there are.
//!
//! None of them fuses a multiplication with an addition, and sums use a fixed number of lanes, so results are
//! the same bits whatever instruction set is found at run time.

use pulp::Arch;

/// Rows that one task works on; fixed, so that sums over chunks do not depend on the number of threads.
pub const CHUNK_ROWS: usize = 32;

const LANES: usize = 16;

/// Runs a loop compiled for the widest vector instructions of this processor.
///
/// It takes the place of a function that is handed a closure: a long closure without this attribute is compiled by itself,
/// for the narrowest instructions that any processor has. Inside, write loops: iterators' own, such as `for_each`, may meet
/// the same fate.
macro_rules! vectorised {
    ($body:expr) => {
        $crate::model::ops::vector::dispatch(
            #[inline(always)]
            || $body,
        )
    };
}
pub(crate) use vectorised;

/// Calls `f`, which must be inlined here, as [`vectorised`] sees to.
#[inline(always)]
pub fn dispatch<T>(f: impl FnOnce() -> T) -> T {
    struct Once<F>(F);
    impl<T, F: FnOnce() -> T> pulp::NullaryFnOnce for Once<F> {
        type Output = T;
        #[inline(always)]
        fn call(self) -> T {
            (self.0)()
        }
    }
    Arch::new().dispatch(Once(f))
}

/// `e^x` with a relative error below 2e-7; inputs below -87 give the smallest normal number, not 0.
///
/// Cody and Waite's reduction to `[-ln 2 / 2, ln 2 / 2]` and the polynomial of Cephes' `expf`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number.
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_4;
    let r = r - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    // The whole number is in the low bits; a conversion would not be vectorised.
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let power = f32::from_bits(exponent << 23);
    y * power
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, with an absolute error below 3e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// The error function with an error below 2e-7, absolute and relative.
///
/// Below 1, `x` times a polynomial in `x^2`; from 1 on, `1 - t e^(-x^2)` times a polynomial in `t = 1 / (1 + x / 2)`.
/// Both polynomials interpolate at Chebyshev's nodes, with errors below 1e-8. Both sides are computed: selecting
/// keeps the loop free of branches.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let a = x.abs().min(4.0);
    let x2 = a * a;
    let mut p = 7.882_497e-5;
    p = p * x2 + -8.018_855e-4;
    p = p * x2 + 5.189_312e-3;
    p = p * x2 + -2.685_432_9e-2;
    p = p * x2 + 1.128_359_7e-1;
    p = p * x2 + -3.761_262_7e-1;
    p = p * x2 + std::f32::consts::FRAC_2_SQRT_PI;
    let t = 1.0 / (1.0 + 0.5 * a);
    let mut q = 9.434_163e-2;
    q = q * t + -3.841_040_3e-1;
    q = q * t + 4.344_719e-1;
    q = q * t + 1.195_269_8e-3;
    q = q * t + 2.971_277_6e-1;
    q = q * t + 2.742_441e-1;
    q = q * t + 2.826_126e-1;
    let size = if a < 1.0 { a * p } else { 1.0 - t * q * exp(-x2) };
    size.copysign(x)
}

/// Sums over slices of one length, in [`LANES`] partial sums. They are cut into arrays of that many values: where slices are
/// indexed, the compiler checks every index and adds value by value.
macro_rules! sums {
    ($(#[$about:meta])* $name:ident($($values:ident),+)) => {
        $(#[$about])*
        #[inline(always)]
        pub fn $name($($values: &[f32]),+, f: impl Fn($(sums!(@value $values)),+) -> f32) -> f32 {
            let mut lanes = [0f32; LANES];
            let n = [$($values.len()),+][0];
            $(let (chunks, rest) = $values[..n].as_chunks::<LANES>(); let $values = (chunks, rest);)+
            for i in 0..n / LANES {
                for lane in 0..LANES {
                    lanes[lane] += f($($values.0[i][lane]),+);
                }
            }
            for lane in 0..n % LANES {
                lanes[lane] += f($($values.1[lane]),+);
            }
            add_lanes(lanes)
        }
    };
    (@value $values:ident) => { f32 };
}
sums!(
    /// Sum of `f(x)`.
    sum(xs)
);
sums!(
    /// Sum of `f(x, y)` over pairs.
    sum_of_pairs(xs, ys)
);
sums!(
    /// Sum of `f(x, y, z)` over triples.
    sum_of_triples(xs, ys, zs)
);

/// Sum of the products of two slices of one length.
#[inline(always)]
pub fn dot(xs: &[f32], ys: &[f32]) -> f32 {
    sum_of_pairs(xs, ys, |x, y| x * y)
}

#[inline(always)]
fn add_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Puts `f(x)` in the place of every value. Two vectors at a time: a long formula is a chain of steps, each of which waits for the
/// one before, and two chains fill each other's gaps.
#[inline(always)]
pub fn replace(values: &mut [f32], f: impl Fn(f32) -> f32) {
    let (pairs, rest) = values.as_chunks_mut::<{ 2 * LANES }>();
    for pair in pairs {
        for value in pair {
            *value = f(*value);
        }
    }
    for value in rest {
        *value = f(*value);
    }
}

/// The largest value; negative infinity for no values.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    rest.iter().chain(&lanes).fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a })
}

/// Turns scores into their softmax, in place; returns the logarithm of the sum of exponentials.
#[inline(always)]
pub fn softmax(scores: &mut [f32]) -> f32 {
    let largest = max(scores);
    replace(scores, |score| exp(score - largest));
    let total = sum(scores, |score| score);
    let scale = 1.0 / total;
    for score in scores.iter_mut() {
        *score *= scale;
    }
    largest + total.ln()
}

/// Adds `partials` (each `width` long) in order.
pub fn add_in_order(partials: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0f32; width];
    for partial in partials {
        for (sum, value) in total.iter_mut().zip(partial) {
            *sum += value;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for i in -8_000..8_000 {
            let x = i as f32 * 0.01;
            let want = (x as f64).exp();
            assert!(((exp(x) as f64 - want) / want).abs() < 2e-7, "exp({x}) = {}", exp(x));
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn erf_agrees_with_a_double_precision_one() {
        for i in -6_000..6_000 {
            let x = i as f32 * 0.001;
            let want = candle_core::cpu::erf::erf_f64(x as f64);
            assert!((erf(x) as f64 - want).abs() <= 2e-7 * want.abs(), "erf({x}) = {}, not {want}", erf(x));
        }
    }

    #[test]
    fn the_gates_functions_agree_with_double_precision_ones() {
        for i in -2_000..2_000 {
            let x = i as f32 * 0.05;
            let (t, s) = ((x as f64).tanh(), 1.0 / (1.0 + (-x as f64).exp()));
            assert!((tanh(x) as f64 - t).abs() < 3e-7, "tanh({x}) = {}, not {t}", tanh(x));
            assert!((sigmoid(x) as f64 - s).abs() < 3e-7, "sigmoid({x}) = {}, not {s}", sigmoid(x));
        }
    }

    #[test]
    fn sums_are_taken_in_lanes_whatever_the_length() {
        for n in [0, 1, 15, 16, 17, 64, 100] {
            let values = |by: f32| (0..n).map(|i| (i as f32 * by).sin()).collect::<Vec<f32>>();
            let (xs, ys, zs) = (values(0.7), values(1.3), values(0.1));
            let mut lanes = [[0f32; LANES]; 3];
            for i in 0..n {
                lanes[0][i % LANES] += xs[i] - 1.0;
                lanes[1][i % LANES] += xs[i] * ys[i];
                lanes[2][i % LANES] += xs[i] * (ys[i] - zs[i]);
            }
            assert_eq!(sum(&xs, |x| x - 1.0), add_lanes(lanes[0]));
            assert_eq!(dot(&xs, &ys), add_lanes(lanes[1]));
            assert_eq!(sum_of_triples(&xs, &ys, &zs, |x, y, z| x * (y - z)), add_lanes(lanes[2]));
        }
    }

    #[test]
    fn softmax_sums_to_one_and_returns_the_log_of_the_sum() {
        let mut scores: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin() * 5.0).collect();
        let want: f64 = scores.iter().map(|&s| (s as f64).exp()).sum::<f64>().ln();
        let log_sum = softmax(&mut scores);
        assert!((log_sum as f64 - want).abs() < 1e-6);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
