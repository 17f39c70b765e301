//! How a parameter's values are spread, as a mixture of one kernel for each value seen and a wide one for those never
//! seen: the Parzen estimator of Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011, in the form that
//! Optuna's `TPESampler` gives it. Agreement with Optuna's is tested on the values of `tests/reference/parzen.py`.

use crate::normal::normal_cdf;
use crate::random::Random;

/// Kernels are no narrower than this share of the range, however near values lie to each other.
const NARROWEST: f64 = 100.0;
/// So many values count in full, older ones the less the older they are.
const RECENT: usize = 25;
/// A kernel's middle is inside of the range and the kernel no wider than it, so that one draw in three is inside too.
const TRIES: usize = 1000;

/// What a parameter's values are, as numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// Places in a list, in no order.
    Choices(usize),
    Numbers {
        low: f64,
        high: f64,
        /// Values are so far apart, where they are not as near as anyone likes.
        step: Option<f64>,
        is_log: bool,
    },
}

impl Domain {
    /// The ends of what values stand for: each for half a step to both sides. On a logarithmic scale their logarithms.
    fn ends(&self) -> (f64, f64) {
        let Self::Numbers { low, high, step, .. } = *self else { return (0.0, 0.0) };
        let half = step.unwrap_or_default() / 2.0;
        // What is half a step below the lowest need not be above zero.
        (
            self.scaled((low - half).max(if self.is_log() { low / 2.0 } else { f64::MIN })),
            self.scaled(high + half),
        )
    }

    fn is_log(&self) -> bool {
        matches!(self, Self::Numbers { is_log: true, .. })
    }

    fn scaled(&self, value: f64) -> f64 {
        if self.is_log() { value.ln() } else { value }
    }
}

/// The density of a parameter's values.
#[derive(Debug, Clone)]
pub struct Parzen {
    domain: Domain,
    kernels: Kernels,
    /// Of each kernel, 1 in all.
    weights: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Kernels {
    /// The probability of each choice.
    Choices(Vec<Vec<f64>>),
    /// Middle and width of normal distributions that are cut off at the ends.
    Normals(Vec<(f64, f64)>),
}

impl Parzen {
    /// The estimate from these values, the oldest first.
    pub fn of(domain: &Domain, values: &[f64]) -> Self {
        let kernels = match domain {
            Domain::Choices(count) => Kernels::Choices(rows(*count, values)),
            Domain::Numbers { .. } => Kernels::Normals(normals(domain, values)),
        };
        Self { domain: domain.clone(), kernels, weights: weights(values.len()) }
    }

    /// The logarithm of the density at a value, or of its probability where values are apart.
    pub fn log_density(&self, value: f64) -> f64 {
        let terms: Vec<f64> = match &self.kernels {
            Kernels::Choices(rows) => {
                rows.iter().map(|row| row.get(value as usize).map_or(f64::NEG_INFINITY, |p| p.ln())).collect()
            }
            Kernels::Normals(normals) => {
                normals.iter().map(|normal| self.log_normal(*normal, value)).collect()
            }
        };
        let terms: Vec<f64> =
            terms.iter().zip(&self.weights).map(|(term, weight)| term + weight.ln()).collect();
        let highest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if highest == f64::NEG_INFINITY {
            return highest;
        }
        highest + terms.iter().map(|term| (term - highest).exp()).sum::<f64>().ln()
    }

    fn log_normal(&self, (middle, width): (f64, f64), value: f64) -> f64 {
        let below = |x: f64| normal_cdf((x - middle) / width);
        let (low, high) = self.domain.ends();
        let inside = (below(high) - below(low)).ln();
        match self.domain {
            Domain::Numbers { step: Some(step), .. } => {
                let (from, to) = (value - step / 2.0, value + step / 2.0);
                let from = if from > 0.0 || !self.domain.is_log() { self.domain.scaled(from) } else { low };
                (below(self.domain.scaled(to).min(high)) - below(from.max(low))).ln() - inside
            }
            _ => {
                let z = (self.domain.scaled(value) - middle) / width;
                -0.5 * z * z - width.ln() - 0.5 * std::f64::consts::TAU.ln() - inside
            }
        }
    }

    /// A value drawn from the estimate, before it is put on a step.
    pub fn draw(&self, random: &mut Random) -> f64 {
        let kernel = pick(&self.weights, random);
        match &self.kernels {
            Kernels::Choices(rows) => pick(&rows[kernel], random) as f64,
            Kernels::Normals(normals) => {
                let (middle, width) = normals[kernel];
                let (low, high) = self.domain.ends();
                let mut draws = (0..TRIES).map(|_| middle + width * random.normal());
                let drawn = draws.find(|drawn| (low..=high).contains(drawn)).unwrap_or(middle);
                if self.domain.is_log() { drawn.exp() } else { drawn }
            }
        }
    }
}

/// The weights of so many values and of what was never seen, which weighs as much as one of them.
fn weights(values: usize) -> Vec<f64> {
    let old = values.saturating_sub(RECENT);
    // From one part in `values` to the whole, evenly.
    let ramp = |index: usize| {
        let first = 1.0 / values as f64;
        if old == 1 { first } else { first + (1.0 - first) * index as f64 / (old - 1) as f64 }
    };
    let mut weights: Vec<f64> = (0..old).map(ramp).collect();
    weights.resize(values + 1, 1.0);
    let all: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / all).collect()
}

/// The probabilities of each of `count` choices, by what was chosen and, last, before anything was.
fn rows(count: usize, values: &[f64]) -> Vec<Vec<f64>> {
    let kernels = values.len() + 1;
    let unseen = 1.0 / kernels as f64;
    let row = |chosen: Option<usize>| {
        let all = count as f64 * unseen + f64::from(u8::from(chosen.is_some()));
        (0..count).map(|choice| (unseen + f64::from(u8::from(chosen == Some(choice)))) / all).collect()
    };
    values.iter().map(|value| row(Some(*value as usize))).chain([row(None)]).collect()
}

/// A kernel at each value, as wide as to its farther neighbour, and one over all the range.
fn normals(domain: &Domain, values: &[f64]) -> Vec<(f64, f64)> {
    let (low, high) = domain.ends();
    let middles: Vec<f64> = values.iter().map(|value| domain.scaled(*value)).collect();
    let mut order: Vec<usize> = (0..middles.len()).collect();
    order.sort_by(|a, b| middles[*a].total_cmp(&middles[*b]));
    let range = high - low;
    let narrowest = range / NARROWEST.min(2.0 + middles.len() as f64);
    let mut normals: Vec<(f64, f64)> = middles.iter().map(|middle| (*middle, range)).collect();
    for (place, &index) in order.iter().enumerate() {
        let middle = middles[index];
        let below = place.checked_sub(1).map(|place| middle - middles[order[place]]);
        let above = order.get(place + 1).map(|next| middles[*next] - middle);
        // The first and the last look at their neighbour alone: the end may be far.
        let width = match (below, above) {
            (Some(below), Some(above)) => below.max(above),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => (middle - low).max(high - middle),
        };
        normals[index].1 = width.clamp(narrowest, range);
    }
    normals.push((0.5 * (low + high), range));
    normals
}

/// A place by its probability.
fn pick(probabilities: &[f64], random: &mut Random) -> usize {
    let mut left = random.uniform();
    let is_reached = |probability: &f64| {
        left -= probability;
        left < 0.0
    };
    probabilities.iter().position(is_reached).unwrap_or(probabilities.len() - 1)
}

#[cfg(test)]
#[path = "parzen_tests.rs"]
mod tests;
