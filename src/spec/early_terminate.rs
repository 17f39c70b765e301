//! `early_terminate`: when points of a sweep are stopped in favour of better ones. It changes no run, only which are done.

use super::data::{find, only};
use super::draft::{Draft, metric_named};
use super::problem::Problem;
use super::setting::METRICS;
use super::yaml::{Content, Entry, Node};
use crate::record::recipe::MetricName;

/// What is decided after which epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyTerminate {
    pub rule: Rule,
    /// Nothing is stopped before the end of this epoch, the first rung.
    pub min_iter: usize,
    /// A point is stopped only where it is worse than the last that goes on by more than so many standard errors of their
    /// difference on the same images.
    pub noise: f64,
    /// What points are compared by, where that is named; the plan says what else.
    pub metric: Option<MetricName>,
}

/// By chance alone a difference is beyond it once in forty times.
const NOISE: f64 = 2.0;

/// How many points go on beyond a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// One of `eta`, and rungs are that many times further apart each time: successive halving (Jamieson and Talwalkar
    /// 2016), a bracket of Hyperband (Li et al. 2018).
    Halving { eta: usize },
    /// Those not below the median, every so many epochs (Golovin et al. 2017, section 3.2.2).
    Median { interval: usize },
    /// The best `k`, decided once.
    TopK { k: usize },
}

impl EarlyTerminate {
    /// The words for the rules; W&B's, Optuna's, and one for what people do by hand.
    pub const TYPES: [&'static str; 3] = ["hyperband", "median", "top_k"];

    /// The epochs after which points are compared, where the longest run has so many.
    pub fn rungs(&self, epochs: usize) -> Vec<usize> {
        let next = |epoch: usize| match self.rule {
            Rule::Halving { eta } => epoch.checked_mul(eta),
            Rule::Median { interval } => epoch.checked_add(interval),
            Rule::TopK { .. } => None,
        };
        std::iter::successors(Some(self.min_iter), |epoch| next(*epoch))
            .take_while(|epoch| *epoch < epochs)
            .collect()
    }

    /// The rule in words.
    pub fn in_words(&self, epochs: usize) -> String {
        let rungs: Vec<String> = self.rungs(epochs).iter().map(ToString::to_string).collect();
        let who = match self.rule {
            Rule::Halving { eta } => format!("one in {eta} goes on"),
            Rule::Median { .. } => "those not below the median go on".to_owned(),
            Rule::TopK { k } => format!("the best {k} go on"),
        };
        match rungs.as_slice() {
            [] => "no run has so many epochs that any would be stopped".to_owned(),
            [one] => format!("after epoch {one} {who}"),
            [some @ .., last] => format!("after epochs {} and {last} {who}", some.join(", ")),
        }
    }
}

impl Draft {
    /// Reads `{type: hyperband, min_iter: 1, eta: 3}`, or `none`.
    pub fn read_early_terminate(&mut self, node: &Node) {
        let entries = match &node.content {
            Content::Map(entries) => entries,
            Content::Null => return self.early_terminate = Some(None),
            Content::Text(word) if word == "none" => return self.early_terminate = Some(None),
            _ => {
                let message =
                    format!("`early_terminate` is {}; it must be a mapping or `none`", node.shown());
                let problem = Problem::new(&node.place, message);
                return self
                    .problems
                    .push(problem.hint("`early_terminate: {type: hyperband, min_iter: 1, eta: 3}`"));
            }
        };
        let Some(kind) = find(entries, "type") else {
            return self.refuse(&node.place, "`early_terminate` has no `type`");
        };
        let own = match &kind.content {
            Content::Text(word) if word == "hyperband" => "eta",
            Content::Text(word) if word == "median" => "interval",
            Content::Text(word) if word == "top_k" => "k",
            _ => return self.refuse_word("early_terminate.type", kind, &EarlyTerminate::TYPES),
        };
        only(entries, "early_terminate", &["type", "min_iter", "noise", "metric", own], &mut self.problems);
        let before = self.problems.len();
        let min_iter = self.number_of(entries, "min_iter", 1).unwrap_or(1);
        let noise = self.noise(entries);
        let metric = find(entries, "metric").and_then(|node| self.metric_of_rungs(node));
        let rule = match own {
            "eta" => Some(Rule::Halving { eta: self.number_of(entries, own, 2).unwrap_or(3) }),
            "interval" => Some(Rule::Median { interval: self.number_of(entries, own, 1).unwrap_or(1) }),
            _ => match self.number_of(entries, own, 1) {
                Some(k) => Some(Rule::TopK { k }),
                None if find(entries, own).is_none() => {
                    self.refuse(&node.place, "`early_terminate` of type `top_k` needs `k`, how many go on");
                    None
                }
                None => None,
            },
        };
        if let (Some(rule), true) = (rule, self.problems.len() == before) {
            self.early_terminate = Some(Some(EarlyTerminate { rule, min_iter, noise, metric }));
        }
    }

    fn number_of(&mut self, entries: &[Entry], key: &str, least: usize) -> Option<usize> {
        self.read_whole(&format!("early_terminate.{key}"), find(entries, key)?, least)
    }

    fn metric_of_rungs(&mut self, node: &Node) -> Option<MetricName> {
        let name = match &node.content {
            Content::Text(name) => metric_named(name),
            _ => None,
        };
        if name.is_none() {
            self.refuse_word("early_terminate.metric", node, METRICS);
        }
        name
    }

    fn noise(&mut self, entries: &[Entry]) -> f64 {
        let Some(node) = find(entries, "noise") else { return NOISE };
        let noise = match node.content {
            Content::Whole(number) => number as f64,
            Content::Number(number) => number,
            _ => f64::NAN,
        };
        if !(0.0..=10.0).contains(&noise) {
            let message =
                format!("`early_terminate.noise` is {}; it must be a number from 0 to 10", node.shown());
            self.refuse(&node.place, message);
        }
        noise
    }
}

#[cfg(test)]
mod tests {
    use super::super::sweep::parse;
    use super::*;

    fn read(text: &str) -> Result<Option<EarlyTerminate>, String> {
        let text = format!("model: lab\nearly_terminate: {text}\n");
        parse(&text, "study.yaml", &[]).map(|spec| spec.early_terminate).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_have_their_usual_values_where_none_are_written() {
        let with = |rule| Ok(Some(EarlyTerminate { rule, min_iter: 1, noise: 2.0, metric: None }));
        assert_eq!(read("{type: hyperband}"), with(Rule::Halving { eta: 3 }));
        assert_eq!(read("{type: median}"), with(Rule::Median { interval: 1 }));
        assert_eq!(read("{type: top_k, k: 4}"), with(Rule::TopK { k: 4 }));
        let metric = Some(MetricName::ValNll);
        let all = EarlyTerminate { rule: Rule::Halving { eta: 4 }, min_iter: 2, noise: 0.5, metric };
        assert_eq!(
            read("{type: hyperband, eta: 4, min_iter: 2, noise: 0.5, metric: val_nll}"),
            Ok(Some(all))
        );
        assert_eq!((read("none"), read("")), (Ok(None), Ok(None)));
    }

    #[test]
    fn the_command_line_sets_and_unsets_it() {
        let text = "model: lab\nearly_terminate: {type: median}\n";
        let with = |text: &str, word: &str| {
            parse(text, "study.yaml", &[format!("early_terminate={word}")]).unwrap().early_terminate
        };
        assert_eq!(with(text, "none"), None);
        assert_eq!(with("model: lab", "{type: top_k, k: 2}").unwrap().rule, Rule::TopK { k: 2 });
    }

    #[test]
    fn rungs_lie_before_the_last_epoch() {
        let rungs = |rule, min_iter, epochs| {
            EarlyTerminate { rule, min_iter, noise: 1.0, metric: None }.rungs(epochs)
        };
        assert_eq!(rungs(Rule::Halving { eta: 3 }, 1, 27), [1, 3, 9]);
        assert_eq!(rungs(Rule::Halving { eta: 2 }, 3, 13), [3, 6, 12]);
        assert_eq!(rungs(Rule::Median { interval: 2 }, 3, 8), [3, 5, 7]);
        assert_eq!(rungs(Rule::TopK { k: 2 }, 2, 8), [2]);
        assert!(rungs(Rule::TopK { k: 2 }, 8, 8).is_empty());
        assert_eq!(rungs(Rule::Halving { eta: usize::MAX }, 2, usize::MAX), [2]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        insta::assert_snapshot!(read("5").unwrap_err(), @"
        study.yaml:2:18: `early_terminate` is 5; it must be a mapping or `none`
        hint: `early_terminate: {type: hyperband, min_iter: 1, eta: 3}`
        ");
        insta::assert_snapshot!(read("{min_iter: 1}").unwrap_err(), @"study.yaml:2:18: `early_terminate` has no `type`");
        insta::assert_snapshot!(read("{type: hyperbnd}").unwrap_err(), @"study.yaml:2:25: `early_terminate.type` is the text `hyperbnd`; it must be `hyperband`, `median` or `top_k`; did you mean `hyperband`?");
        insta::assert_snapshot!(read("{type: median, eta: 3, interval: 0, noise: -1, min_iter: 0.5}").unwrap_err(), @"
        study.yaml:2:33: unknown key `eta` in `early_terminate`; there are `type`, `min_iter`, `noise`, `metric` and `interval`
        study.yaml:2:51: `early_terminate.interval` is 0; it must be a whole number of at least 1
        study.yaml:2:61: `early_terminate.noise` is -1; it must be a number from 0 to 10
        study.yaml:2:75: `early_terminate.min_iter` is 0.5; it must be a whole number of at least 1
        ");
        insta::assert_snapshot!(read("{type: top_k}").unwrap_err(), @"study.yaml:2:18: `early_terminate` of type `top_k` needs `k`, how many go on");
        insta::assert_snapshot!(read("{type: hyperband, eta: 1, metric: loss}").unwrap_err(), @"
        study.yaml:2:41: `early_terminate.eta` is 1; it must be a whole number of at least 2
        study.yaml:2:52: `early_terminate.metric` is the text `loss`; it must be `score`, `meteor`, `rouge_l`, `cider_d`, `val_loss` or `val_nll`
        ");
    }

    #[test]
    fn runs_that_count_steps_have_no_rungs() {
        let text = "model: lab\nearly_terminate: {type: top_k, k: 2}\nparameters: {max_steps: [0, 70]}\n";
        insta::assert_snapshot!(parse(text, "study.yaml", &[]).unwrap_err(), @"study.yaml:3:29: `max_steps` is 70, and `early_terminate` compares runs after epochs: say how many `epochs` they have");
        assert!(parse(&text.replace("[0, 70]", "0"), "study.yaml", &[]).is_ok());
    }
}
