//! What `method: random` draws a setting's value from, by W&B's names for it.

use super::data::{find, only};
use super::draft::Draft;
use super::problem::Problem;
use super::setting::Setting;
use super::yaml::{Content, Entry, Node};
use crate::random::Random;

/// A range of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    form: Form,
    /// Drawn numbers are multiples of this.
    step: Option<f64>,
    /// They are whole numbers, and written as such.
    counts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Every number is as likely.
    Uniform,
    /// Every whole number is as likely.
    Whole,
    /// Every order of magnitude is as likely.
    Log,
}

pub(super) const DISTRIBUTIONS: [&str; 5] =
    ["uniform", "int_uniform", "log_uniform_values", "q_uniform", "q_log_uniform_values"];
/// Different values that a range without a step has, about: more digits would only make tables harder to read.
const VALUES: f64 = 1000.0;

impl Range {
    /// Reads `{min, max, distribution, q}`. Nothing has left a problem.
    pub(super) fn read(
        draft: &mut Draft,
        name: &str,
        setting: &Setting,
        node: &Node,
        entries: &[Entry],
    ) -> Option<Self> {
        only(entries, name, &["min", "max", "distribution", "q"], &mut draft.problems);
        let written = match find(entries, "distribution") {
            None => None,
            Some(node) => Some(named(draft, name, node)?),
        };
        let low = bound(draft, name, setting, node, entries, "min")?;
        let high = bound(draft, name, setting, node, entries, "max")?;
        let counts = setting.counts() && !(low.is_share && high.is_share);
        if counts && (low.is_share || high.is_share) {
            draft.refuse(
                &node.place,
                format!(
                    "`{name}` is drawn from counts or from shares, and one of `min` and `max` is of each"
                ),
            );
            return None;
        }
        let by_default =
            if low.is_written_whole && high.is_written_whole { "int_uniform" } else { "uniform" };
        let (low, high) = (low.number, high.number);
        let distribution = written.unwrap_or(by_default);
        let form = match distribution {
            "int_uniform" => Form::Whole,
            "uniform" | "q_uniform" => Form::Uniform,
            _ => Form::Log,
        };
        if let Some(wrong) = fault(name, low, high, form) {
            draft.refuse(&node.place, wrong);
            return None;
        }
        let step = step(draft, name, distribution, entries)?;
        // A setting that counts takes whole numbers, whatever they are drawn by.
        let step = step.or((counts && form != Form::Whole).then_some(1.0));
        if counts && step.is_some_and(|step| step.fract() != 0.0) {
            draft.refuse(&node.place, format!("`{name}` takes whole numbers; its `q` must be one"));
            return None;
        }
        Some(Self { low, high, form, step, counts })
    }

    /// A number of the range as a sweep file would have it.
    pub(super) fn written(&self, number: f64) -> Content {
        if self.counts { Content::Whole(number as i128) } else { Content::Number(number) }
    }

    /// A number of the range, drawn.
    pub fn draw(&self, random: &mut Random) -> f64 {
        let share = random.uniform();
        let Self { low, high, .. } = *self;
        self.snapped(match self.form {
            Form::Whole => low + random.below((high - low) as usize + 1) as f64,
            Form::Uniform => low + share * (high - low),
            Form::Log => (low.ln() + share * (high.ln() - low.ln())).exp(),
        })
    }

    /// The lowest and the highest number.
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Whether every order of magnitude is as likely, and not every number.
    pub fn is_log(&self) -> bool {
        self.form == Form::Log
    }

    /// What numbers are apart at least, where they are not as near as anyone likes.
    pub fn step(&self) -> Option<f64> {
        self.step.or((self.form == Form::Whole).then_some(1.0))
    }

    pub fn contains(&self, number: f64) -> bool {
        (self.low..=self.high).contains(&number)
    }

    /// The number of the range next to this one. Its digits are as few as tell a thousand values of the range apart.
    pub fn snapped(&self, number: f64) -> f64 {
        let Self { low, high, .. } = *self;
        let number = match (self.step(), self.form) {
            (Some(step), _) => (number / step).round() * step,
            (None, Form::Log) => rounded(number, number * (high / low).ln().min(1.0) / VALUES),
            (None, _) => rounded(number, (high - low) / VALUES),
        };
        // A multiple may lie just outside, and 3 * 0.1 is not 0.3.
        rounded(number, number.abs() * 1e-12).clamp(low, high)
    }
}

/// The name of a distribution.
fn named<'a>(draft: &mut Draft, name: &str, node: &'a Node) -> Option<&'a str> {
    match &node.content {
        Content::Text(text) if DISTRIBUTIONS.contains(&text.as_str()) => return Some(text),
        Content::Text(text) if text == "log_uniform" => {
            let message = format!("`{name}.distribution` is `log_uniform`, whose bounds are exponents");
            let problem = Problem::new(&node.place, message);
            draft.problems.push(problem.hint("write `log_uniform_values`, and the bounds themselves"));
        }
        _ => draft.refuse_word(&format!("{name}.distribution"), node, &DISTRIBUTIONS),
    }
    None
}

/// What is wrong with two bounds.
fn fault(name: &str, low: f64, high: f64, form: Form) -> Option<String> {
    match form {
        _ if low >= high => {
            Some(format!("`{name}` has a `min` of {low}, which is not below its `max` of {high}"))
        }
        Form::Log if low <= 0.0 => {
            Some(format!("`{name}` has a `min` of {low}; on a logarithmic scale it must be above 0"))
        }
        Form::Whole if low.fract() != 0.0 || high.fract() != 0.0 => {
            Some(format!("`{name}` is drawn from whole numbers; its `min` and `max` must be whole"))
        }
        _ => None,
    }
}

/// An end of a range.
struct End {
    number: f64,
    is_written_whole: bool,
    /// Of a setting that counts, it is a share instead.
    is_share: bool,
}

/// An end of the range, which must be a valid value itself.
fn bound(
    draft: &mut Draft,
    name: &str,
    setting: &Setting,
    node: &Node,
    entries: &[Entry],
    key: &str,
) -> Option<End> {
    let Some(bound) = find(entries, key) else {
        draft.refuse(&node.place, format!("`{name}` has no `{key}`"));
        return None;
    };
    match setting.check(bound).map(|value| (value.as_f64(), value.is_f64())) {
        Ok((Some(number), is_f64)) => Some(End {
            number,
            is_written_whole: matches!(bound.content, Content::Whole(_)),
            is_share: setting.counts() && is_f64,
        }),
        Ok((None, _)) => {
            draft.refuse(&bound.place, format!("`{name}` takes no range: it must be {}", setting.valid()));
            None
        }
        Err(message) => {
            draft.refuse(&bound.place, format!("`{name}.{key}` {message}"));
            None
        }
    }
}

/// What `q` says, which only the distributions named after it have.
fn step(draft: &mut Draft, name: &str, distribution: &str, entries: &[Entry]) -> Option<Option<f64>> {
    let has_step = distribution.starts_with("q_");
    let Some(node) = find(entries, "q") else { return Some(has_step.then_some(1.0)) };
    if !has_step {
        let message = format!("`{name}.q` needs the distribution `q_uniform` or `q_log_uniform_values`");
        draft.refuse(&node.place, message);
        return None;
    }
    match node.content {
        Content::Whole(step) if step > 0 => Some(Some(step as f64)),
        Content::Number(step) if step > 0.0 && step.is_finite() => Some(Some(step)),
        _ => {
            draft.refuse(&node.place, format!("`{name}.q` is {}; it must be a number above 0", node.shown()));
            None
        }
    }
}

/// The probabilities of a parameter's values, which sum to 1.
pub(super) fn probabilities(draft: &mut Draft, name: &str, node: &Node, values: usize) -> Option<Vec<f64>> {
    let Content::List(items) = &node.content else {
        draft.refuse(&node.place, format!("`{name}.probabilities` is {}; it must be a list", node.shown()));
        return None;
    };
    let number = |item: &Node| match item.content {
        Content::Whole(number) => Some(number as f64),
        Content::Number(number) => Some(number),
        _ => None,
    };
    let found: Option<Vec<f64>> =
        items.iter().map(number).map(|number| number.filter(|number| (0.0..=1.0).contains(number))).collect();
    match found {
        Some(found) if found.len() == values && (found.iter().sum::<f64>() - 1.0).abs() < 1e-6 => Some(found),
        _ => {
            let message = format!(
                "`{name}.probabilities` must be one number from 0 to 1 for each of the {values} values, 1 in all"
            );
            draft.refuse(&node.place, message);
            None
        }
    }
}

/// The number to a whole multiple of the power of ten at or below `resolution`, as its decimal digits say it.
fn rounded(number: f64, resolution: f64) -> f64 {
    if resolution <= 0.0 || !resolution.is_finite() {
        return number;
    }
    let digits = -resolution.log10().floor() as i32;
    let text = match usize::try_from(digits) {
        Ok(digits) => format!("{number:.digits$}"),
        Err(_) => {
            let unit = 10f64.powi(-digits);
            format!("{}", (number / unit).round() * unit)
        }
    };
    text.parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits_and_stay_what_they_are() {
        assert_eq!(rounded(0.123_456, 1e-4), 0.1235);
        assert_eq!(rounded(3.141_592e-5, 3.1e-8), 3.142e-5);
        assert_eq!(rounded(0.1 * 3.0, 3e-13), 0.3);
        assert_eq!(rounded(12_345.0, 15.0), 12_350.0);
        assert_eq!(rounded(0.5, 0.0), 0.5);
    }

    fn draws(range: Range) -> Vec<f64> {
        (0..20_000).map(|index| range.draw(&mut Random::new(0, "draws", &[index]))).collect()
    }

    fn share_below(draws: &[f64], bound: f64) -> f64 {
        draws.iter().filter(|draw| **draw < bound).count() as f64 / draws.len() as f64
    }

    #[test]
    fn draws_are_spread_as_their_distribution_says() {
        let range = |low, high, form, step| Range { low, high, form, step, counts: false };
        let uniform = draws(range(0.1, 0.5, Form::Uniform, None));
        assert!(uniform.iter().all(|draw| (0.1..=0.5).contains(draw)));
        assert!((share_below(&uniform, 0.2) - 0.25).abs() < 0.02);
        let log = draws(range(1e-6, 1e-2, Form::Log, None));
        assert!(log.iter().all(|draw| (1e-6..=1e-2).contains(draw)));
        assert!((share_below(&log, 1e-5) - 0.25).abs() < 0.02);
        let whole = draws(range(0.0, 3.0, Form::Whole, None));
        assert!(
            (0..=3).all(|n| (share_below(&whole, f64::from(n) + 0.5) - 0.25 * f64::from(n + 1)).abs() < 0.02)
        );
        let steps = draws(range(0.0, 1.0, Form::Uniform, Some(0.1)));
        assert!(steps.iter().all(|draw| draw.to_string().len() <= 3), "multiples of a tenth");
        assert!((share_below(&steps, 0.05) - 0.05).abs() < 0.02);
    }
}
