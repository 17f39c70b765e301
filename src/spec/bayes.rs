//! `method: bayes`: a search that learns from its results. What it may choose from, and in which rounds it does.

use serde_json::Value;

use super::data::{find, only};
use super::distribution::Range;
use super::draft::Draft;
use super::parameter::Choice;
use super::problem::{Place, Problem};
use super::search::Source;
use super::setting::Setting;
use super::sweep::Method;
use super::yaml::{Content, Node};

/// Points drawn before there is anything to learn from, where the file says nothing else.
const STARTUP: usize = 10;
/// Points decided at a time: enough to keep a few slots at work, few enough to learn often.
const ROUND: usize = 4;

/// The search of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Bayes {
    pub seed: u64,
    /// Points in all.
    pub points: usize,
    pub rounds: Rounds,
    /// What a point has a value of each of.
    pub space: Vec<Dimension>,
}

/// How many points are decided at a time. It does not depend on how many run at a time, so that the points are the same
/// on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// Points of the first round: those that `method: random` would draw.
    pub startup: usize,
    /// Points of every other round.
    pub round: usize,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { startup: STARTUP, round: ROUND }
    }
}

/// A setting and what its values are chosen from.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    pub setting: &'static Setting,
    pub values: Values,
}

/// What values are chosen from.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// These, in no order.
    Listed(Vec<Value>),
    Range(Range),
}

impl Dimension {
    /// The value as a number: its place in the list, or itself. Nothing for what is not of the dimension.
    pub fn number(&self, value: &Value) -> Option<f64> {
        match &self.values {
            Values::Listed(values) => Some(values.iter().position(|other| other == value)? as f64),
            Values::Range(range) => value.as_f64().filter(|number| range.contains(*number)),
        }
    }

    /// The value that a number stands for.
    pub fn value(&self, number: f64) -> Option<Value> {
        match &self.values {
            Values::Listed(values) => values.get(number as usize).cloned(),
            Values::Range(range) => {
                let content = range.written(range.snapped(number));
                self.setting.check(&Node { content, place: Place::FILE }).ok()
            }
        }
    }
}

/// Reads `bayes: {startup: 10, round: 4}`.
pub(super) fn read(draft: &mut Draft, node: &Node) {
    let Content::Map(entries) = &node.content else {
        let problem = Problem::new(&node.place, format!("`bayes` is {}; it must be a mapping", node.shown()));
        return draft.problems.push(problem.hint("`bayes: {startup: 10, round: 4}`"));
    };
    only(entries, "bayes", &["startup", "round"], &mut draft.problems);
    let mut number = |key: &str, default: usize| match find(entries, key) {
        Some(node) => draft.read_whole(&format!("bayes.{key}"), node, 1).unwrap_or(default),
        None => default,
    };
    let rounds = Rounds { startup: number("startup", STARTUP), round: number("round", ROUND) };
    draft.bayes = Some(rounds);
}

/// Refuses what says otherwise how points are made.
pub(super) fn refuse_others(draft: &mut Draft) {
    let Some((Method::Bayes, place)) = draft.method.clone() else { return };
    let others = [
        ("exclude", draft.exclude.as_ref().is_some_and(|lines| !lines.is_empty())),
        ("include", draft.include.as_ref().is_some_and(|lines| !lines.is_empty())),
        ("early_terminate", draft.early_terminate.flatten().is_some()),
    ];
    for (key, is_there) in others {
        if is_there {
            let message =
                format!("`method: bayes` chooses the points by itself and does not go with `{key}`");
            let problem = Problem::new(&place, message);
            draft.problems.push(problem.hint(format!("take `{key}` away, or search by `method: random`")));
        }
    }
    let conditional: Vec<Problem> = draft.settings.iter().filter_map(refused).collect();
    draft.problems.extend(conditional);
}

/// What a search cannot make of a parameter.
fn refused(choice: &Choice) -> Option<Problem> {
    let name = choice.setting.short_name();
    let of = |place: &Place, what: &str| {
        Some(Problem::new(place, format!("`{name}` {what}, which `method: bayes` does not search over")))
    };
    if let Some(when) = &choice.when {
        return of(&when.place, "varies by `when`");
    }
    match &choice.source {
        Source::Weighted(_) => of(&choice.place, "has `probabilities`"),
        _ if choice.varies() && choice.setting.path.starts_with("evaluation.") => {
            of(&choice.place, "changes what scores mean")
        }
        _ => None,
    }
}

/// The dimensions of what varies. A value that is listed twice counts once.
pub(super) fn space(varying: &[Choice]) -> Vec<Dimension> {
    let dimension = |choice: &Choice| {
        let values = match &choice.source {
            Source::Range(range) => Values::Range(range.clone()),
            _ => {
                let mut listed: Vec<Value> = Vec::new();
                for (value, _) in &choice.values {
                    if !listed.contains(value) {
                        listed.push(value.clone());
                    }
                }
                Values::Listed(listed)
            }
        };
        Dimension { setting: choice.setting, values }
    };
    varying.iter().map(dimension).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sweep::{SweepSpec, parse};
    use super::*;

    const SEARCH: &str = "\
model: lab
method: bayes
run_cap: 20
bayes: {startup: 6}
search_seed: 3
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1.0e-4, max: 1.0e-2}
  unfrozen_vision_layers: {min: 0, max: 6}
  label_smoothing: [0.0, 0.1, 0.0]
training: {epochs: 2}
";

    fn spec(text: &str, overrides: &[&str]) -> SweepSpec {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse(text, "study.yaml", &overrides).unwrap()
    }

    fn refused(text: &str) -> String {
        parse(text, "study.yaml", &[]).unwrap_err().to_string()
    }

    #[test]
    fn the_first_round_is_what_random_search_would_draw() {
        let bayes = spec(SEARCH, &[]);
        let random = spec(&SEARCH.replace("bayes: {startup: 6}\n", ""), &["method=random", "run_cap=6"]);
        assert_eq!((bayes.points.len(), &bayes.points), (6, &random.points));
        let search = bayes.search.unwrap();
        assert_eq!((search.seed, search.points), (3, 20));
        assert_eq!(search.rounds, Rounds { startup: 6, round: ROUND });
        assert_eq!(search.space.len(), 3);
        assert_eq!(spec(SEARCH, &["run_cap=4"]).points, random.points[..4]);
    }

    #[test]
    fn values_are_numbers_and_numbers_are_values_of_their_dimension() {
        let space = spec(SEARCH, &[]).search.unwrap().space;
        assert_eq!(space[2].values, Values::Listed(vec![json!(0.0), json!(0.1)]));
        assert_eq!((space[2].number(&json!(0.1)), space[2].value(1.0)), (Some(1.0), Some(json!(0.1))));
        assert_eq!(space[1].value(2.7), Some(json!(3)));
        assert_eq!((space[1].number(&json!(7)), space[2].number(&json!(0.2))), (None, None));
        assert_eq!(space[0].value(1.234_567e-3), Some(json!(1.235e-3)));
        assert_eq!(space[0].value(7.0), Some(json!(1e-2)), "beyond the end is the end");
    }

    #[test]
    fn what_a_search_does_not_go_with_is_refused_at_its_place() {
        insta::assert_snapshot!(refused("\
model: lab
method: bayes
bayes: {startup: 0, rounds: 3}
zip: [epochs, num_beams]
exclude: [{epochs: 2}]
early_terminate: {type: median}
parameters:
  epochs: [1, 2]
  num_beams: [1, 3]
  label_smoothing: {values: [0.0, 0.1], probabilities: [0.5, 0.5]}
  convention: [coco, original]
  weight_decay: {min: 0.0, max: 0.1, when: {epochs: 2}}
"), @"
        study.yaml:2:9: `method: bayes` chooses the points by itself and does not go with `exclude`
        hint: take `exclude` away, or search by `method: random`
        study.yaml:2:9: `method: bayes` chooses the points by itself and does not go with `early_terminate`
        hint: take `early_terminate` away, or search by `method: random`
        study.yaml:2:9: `method: bayes` needs `run_cap`, the number of points to draw
        hint: `run_cap: 20`
        study.yaml:3:18: `bayes.startup` is 0; it must be a whole number of at least 1
        study.yaml:3:21: unknown key `rounds` in `bayes`; did you mean `round`?
        study.yaml:4:6: `zip` pairs the values of a grid; `method: bayes` chooses each by itself
        study.yaml:10:3: `label_smoothing` has `probabilities`, which `method: bayes` does not search over
        study.yaml:11:3: `convention` changes what scores mean, which `method: bayes` does not search over
        study.yaml:12:44: `weight_decay` varies by `when`, which `method: bayes` does not search over
        ");
        insta::assert_snapshot!(refused("model: lab\nmethod: bayes\nrun_cap: 5"), @"study.yaml:2:9: `method: bayes` needs a parameter with several values or a range");
        insta::assert_snapshot!(refused("model: lab\nmethod: bayes\nrun_cap: 3\nbayes: 4\nparameters: {epochs: [1, 2]}"), @"
        study.yaml:4:8: `bayes` is 4; it must be a mapping
        hint: `bayes: {startup: 10, round: 4}`
        ");
    }

    #[test]
    fn settings_that_could_meet_where_they_do_not_go_together_are_refused() {
        let text = "model: lab\nmethod: bayes\nrun_cap: 1\nparameters: {epochs: {min: 2, max: 9}, unfreeze_from_epoch: {min: 1, max: 3}}";
        insta::assert_snapshot!(refused(text), @"study.yaml:4:75: `unfreeze_from_epoch` is 3, but there are 2 `epochs`: no vision layer would train");
        assert!(parse(&text.replace("max: 3", "max: 2"), "study.yaml", &[]).is_ok());
    }
}
