//! `method: random`: points drawn from the parameters' values and ranges, as if they had been written out; and the first
//! ones of `method: bayes`.

use super::bayes::{self, Bayes};
use super::distribution::Range;
use super::draft::Draft;
use super::parameter::Choice;
use super::problem::Problem;
use super::sweep::Method;
use super::yaml::Node;
use crate::random::Random;

/// What a parameter's values are drawn from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Source {
    /// The values, each as likely.
    #[default]
    Values,
    /// The values by these probabilities.
    Weighted(Vec<f64>),
    /// A range, whose ends stand as the values.
    Range(Range),
}

/// A plan has no more combinations.
const MOST_POINTS: usize = 100_000;
/// What a search learns from grows with its points.
const MOST_SEARCHED: usize = 10_000;

/// What was drawn.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pub points: Vec<Vec<Choice>>,
    /// What varies.
    pub varying: Vec<Choice>,
    /// How the points after these are found, where they follow from results.
    pub search: Option<Bayes>,
}

/// Takes the parameters that vary out of the draft and draws so many points of theirs. A point is a pure function of the
/// search's seed and its number, and of a setting's name and values: more points, or another parameter, change none of
/// those that there are.
pub(super) fn points(draft: &mut Draft) -> Drawn {
    let Some((method @ (Method::Random | Method::Bayes), place)) = draft.method.clone() else {
        refuse_drawn(draft);
        return Drawn::default();
    };
    let (name, most) = match method {
        Method::Bayes => ("bayes", MOST_SEARCHED),
        _ => ("random", MOST_POINTS),
    };
    let Some(count) = draft.run_cap else {
        let problem =
            Problem::new(&place, format!("`method: {name}` needs `run_cap`, the number of points to draw"));
        draft.problems.push(problem.hint("`run_cap: 20`"));
        return Drawn::default();
    };
    if count > most {
        draft.refuse(&place, format!("`run_cap` is {count}; at most {most} points are drawn"));
        return Drawn::default();
    }
    let seed = draft.search_seed.unwrap_or_default();
    let is_drawn = Choice::varies;
    let (varying, fixed) = std::mem::take(&mut draft.settings).into_iter().partition(is_drawn);
    draft.settings = fixed;
    let varying: Vec<Choice> = varying;
    if varying.is_empty() {
        let message = format!("`method: {name}` needs a parameter with several values or a range");
        draft.refuse(&place, message);
        return Drawn::default();
    }
    let rounds = draft.bayes.unwrap_or_default();
    let search = (method == Method::Bayes).then(|| Bayes {
        seed,
        points: count,
        rounds,
        space: bayes::space(&varying),
    });
    let first = search.as_ref().map_or(count, |_| count.min(rounds.startup));
    let point = |point: usize| varying.iter().filter_map(|choice| draw(choice, seed, point as u64)).collect();
    Drawn { points: (0..first).map(point).collect(), varying, search }
}

/// Without drawing there is nothing to do with a range.
fn refuse_drawn(draft: &mut Draft) {
    let drawn = draft.settings.iter().filter(|choice| choice.source != Source::Values);
    let problems: Vec<Problem> = drawn
        .map(|choice| {
            let message = format!("`{}` is drawn from a range or by probabilities", choice.setting.path);
            Problem::new(&choice.place, message)
                .hint("`method: random` draws; a grid takes a list: `{values: [...]}`")
        })
        .collect();
    draft.problems.extend(problems);
}

fn draw(choice: &Choice, seed: u64, point: u64) -> Option<Choice> {
    let random = &mut Random::new(seed, choice.setting.path, &[point]);
    let values = &choice.values;
    let (value, place) = match &choice.source {
        Source::Values => random.pick(values).clone(),
        Source::Weighted(weights) => {
            let mut left = random.uniform();
            let is_reached = |weight: &f64| {
                left -= weight;
                left < 0.0
            };
            let last = weights.iter().rposition(|weight| *weight > 0.0)?;
            values.get(weights.iter().position(is_reached).unwrap_or(last))?.clone()
        }
        Source::Range(range) => {
            let (_, place) = values.first()?;
            let node = Node { content: range.written(range.draw(random)), place: place.clone() };
            (choice.setting.check(&node).ok()?, place.clone())
        }
    };
    Some(Choice { values: vec![(value, place)], source: Source::Values, ..choice.clone() })
}
