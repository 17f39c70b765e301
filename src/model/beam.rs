//! Beam search over one image's captions, as `GenerationMixin._beam_search` of transformers 5 does it.
//!
//! [`BeamSearch`] is plain bookkeeping: it is told the log-probabilities of the next token of each beam and
//! says which beams go on with which tokens. Scores are `f32`, as there. With one beam it is greedy search,
//! where, as in `GenerationMixin._sample`, penalties act on logits instead of log-probabilities.

use super::ops::vector::{exp, max, sum, vectorised};
use crate::record::recipe::BeamStopping;

/// How captions are generated; meanings as in `transformers.GenerationConfig`.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamSettings {
    pub max_length: usize,
    pub min_length: usize,
    pub num_beams: usize,
    pub no_repeat_ngram_size: usize,
    pub length_penalty: f64,
    pub early_stopping: BeamStopping,
    pub repetition_penalty: f64,
    /// What every caption begins with, said before generation begins: the start token, and a prompt.
    pub start: Vec<u32>,
    /// The token that ends a caption.
    pub end: u32,
}

/// A caption, finished or not, with what it begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    pub tokens: Vec<u32>,
    /// Sum of log-probabilities; of a finished caption, divided by its length, without what was given, to the power of
    /// the penalty.
    pub score: f32,
}

/// A beam that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuation {
    /// The beam it continues.
    pub parent: usize,
    pub token: u32,
}

/// The search for one image's caption.
pub struct BeamSearch<'a> {
    settings: &'a BeamSettings,
    open: Vec<Hypothesis>,
    /// Best first, at most `num_beams`.
    finished: Vec<Hypothesis>,
    over: bool,
}

/// Scores that are compared with the worst candidate together.
const SEARCHED_AT_ONCE: usize = 256;

struct Candidate {
    score: f32,
    parent: usize,
    token: u32,
}

impl<'a> BeamSearch<'a> {
    /// A search with one open beam that has said what captions begin with.
    pub fn new(settings: &'a BeamSettings) -> Self {
        let start = Hypothesis { tokens: settings.start.clone(), score: 0.0 };
        let over = settings.max_length <= settings.start.len();
        Self { settings, open: vec![start], finished: Vec::new(), over }
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The best finished caption, or the best open one where none was finished.
    pub fn best(&self) -> Option<&Hypothesis> {
        self.finished.first().or(self.open.first())
    }

    /// Advances by one token. `logits` has one row of `vocabulary` values for each open beam (more are ignored)
    /// and is used as work space. Returns the beams that go on; none when the search is over.
    pub fn advance(&mut self, logits: &mut [f32], vocabulary: usize) -> Vec<Continuation> {
        let settings = self.settings;
        let used = logits.len().min(self.open.len() * vocabulary);
        let logits = &mut logits[..used];
        for (row, beam) in logits.chunks_exact_mut(vocabulary).zip(&self.open) {
            if settings.num_beams > 1 {
                log_softmax(row);
                constrain(row, &beam.tokens, settings);
            } else {
                let mut processed = row.to_vec();
                constrain(&mut processed, &beam.tokens, settings);
                log_softmax(row);
                keep_largest(row, &processed);
            }
            row.iter_mut().for_each(|value| *value += beam.score);
        }
        let beams = settings.num_beams;
        let candidates = best_candidates(logits, vocabulary, 2 * beams);
        let length = self.open.first().map_or(settings.start.len(), |beam| beam.tokens.len()) + 1;
        let mut next = Vec::with_capacity(beams);
        let mut continuations = Vec::with_capacity(beams);
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let Candidate { score, parent, token } = candidate;
            let extended = || {
                let mut tokens = self.open[parent].tokens.clone();
                tokens.push(token);
                tokens
            };
            if token == settings.end || length >= settings.max_length {
                if rank < beams {
                    let said = length - settings.start.len();
                    let score = score / length_divisor(said, settings.length_penalty);
                    finish(&mut self.finished, Hypothesis { tokens: extended(), score }, beams);
                }
            } else if next.len() < beams {
                next.push(Hypothesis { tokens: extended(), score });
                continuations.push(Continuation { parent, token });
            }
        }
        self.over = next.is_empty() || self.cannot_improve(&next, length);
        if !next.is_empty() {
            self.open = next;
        }
        if self.over { Vec::new() } else { continuations }
    }

    /// Whether the finished captions are final, given open beams of `length` tokens, best first.
    fn cannot_improve(&self, open: &[Hypothesis], length: usize) -> bool {
        let settings = self.settings;
        let (Some(worst), Some(best)) = (self.finished.last(), open.first()) else { return false };
        if self.finished.len() < settings.num_beams {
            return false;
        }
        let hypothetical = match settings.early_stopping {
            BeamStopping::Yes => return true,
            BeamStopping::Never if settings.length_penalty > 0.0 => settings.max_length,
            _ => length,
        };
        best.score / length_divisor(hypothetical - settings.start.len(), settings.length_penalty)
            <= worst.score
    }
}

fn length_divisor(length: usize, penalty: f64) -> f32 {
    (length as f64).powf(penalty) as f32
}

/// Puts a finished caption in its place, best first, and keeps the best `beams`.
fn finish(finished: &mut Vec<Hypothesis>, hypothesis: Hypothesis, beams: usize) {
    let place = finished.partition_point(|other| other.score >= hypothesis.score);
    finished.insert(place, hypothesis);
    finished.truncate(beams);
}

/// Turns logits into log-probabilities. The largest logit is taken off first, so that large logits do not
/// coarsen what is left.
fn log_softmax(row: &mut [f32]) {
    vectorised!({
        let largest = max(row);
        let log_sum = sum(row, |score| exp(score - largest)).ln();
        for value in row {
            *value = *value - largest - log_sum;
        }
    });
}

/// Greedy choice: leaves the log-probability of the token with the largest processed logit, bans the others.
fn keep_largest(row: &mut [f32], processed: &[f32]) {
    let mut best = 0;
    for (token, value) in processed.iter().enumerate() {
        if *value > processed[best] {
            best = token;
        }
    }
    let log_probability = row.get(best).copied();
    row.fill(f32::NEG_INFINITY);
    if let (Some(value), Some(log_probability)) = (row.get_mut(best), log_probability) {
        *value = log_probability;
    }
}

/// Applies the repetition penalty, the n-gram ban and the minimum length, in that order.
fn constrain(scores: &mut [f32], said: &[u32], settings: &BeamSettings) {
    let penalty = settings.repetition_penalty as f32;
    if penalty != 1.0 {
        for (i, token) in said.iter().enumerate() {
            if let Some(score) = scores.get_mut(*token as usize)
                && !said[..i].contains(token)
            {
                *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
            }
        }
    }
    for token in repeating(said, settings.no_repeat_ngram_size) {
        ban(scores, token);
    }
    if said.len() < settings.min_length {
        ban(scores, settings.end);
    }
}

fn ban(scores: &mut [f32], token: u32) {
    if let Some(score) = scores.get_mut(token as usize) {
        *score = f32::NEG_INFINITY;
    }
}

/// Tokens that would complete an n-gram of length `n` for the second time; none where `n` is 0.
fn repeating(said: &[u32], n: usize) -> impl Iterator<Item = u32> {
    let tail = said.len().checked_sub(n.wrapping_sub(1)).map(|start| &said[start..]);
    let windows = said.windows(n.max(1));
    windows.filter_map(move |window| match (n, tail) {
        (0, _) | (_, None) => None,
        (_, Some(tail)) => (&window[..n - 1] == tail).then(|| window[n - 1]),
    })
}

/// The largest `count` scores of all beams, best first; of equals the first.
fn best_candidates(scores: &[f32], vocabulary: usize, count: usize) -> Vec<Candidate> {
    let mut best: Vec<Candidate> = Vec::with_capacity(count + 1);
    for (parent, row) in scores.chunks_exact(vocabulary).enumerate() {
        for (first, some) in row.chunks(SEARCHED_AT_ONCE).enumerate() {
            // Nearly always none of so many enters.
            if largest_of(some) <= least(&best, count) {
                continue;
            }
            for (token, &score) in some.iter().enumerate() {
                if score > least(&best, count) {
                    let place = best.partition_point(|other| other.score >= score);
                    let token = (first * SEARCHED_AT_ONCE + token) as u32;
                    best.insert(place, Candidate { score, parent, token });
                    best.truncate(count);
                }
            }
        }
    }
    best
}

/// What a score must exceed to be among the best.
fn least(best: &[Candidate], count: usize) -> f32 {
    best.last().filter(|_| best.len() == count).map_or(f32::NEG_INFINITY, |last| last.score)
}

fn largest_of(scores: &[f32]) -> f32 {
    vectorised!(max(scores))
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u32 = 1;

    fn settings(num_beams: usize) -> BeamSettings {
        BeamSettings {
            max_length: 5,
            min_length: 0,
            num_beams,
            no_repeat_ngram_size: 0,
            length_penalty: 1.0,
            early_stopping: BeamStopping::Yes,
            repetition_penalty: 1.0,
            start: vec![0],
            end: END,
        }
    }

    /// Runs a search over a model that knows only the last token.
    fn search(settings: &BeamSettings, next: impl Fn(u32) -> Vec<f32>) -> Hypothesis {
        let mut search = BeamSearch::new(settings);
        while !search.is_over() {
            let mut logits: Vec<f32> =
                search.open.iter().flat_map(|beam| next(*beam.tokens.last().unwrap())).collect();
            let vocabulary = next(0).len();
            search.advance(&mut logits, vocabulary);
        }
        search.best().unwrap().clone()
    }

    #[test]
    fn greedy_search_follows_the_largest_logit_and_stops_at_the_end_token() {
        let next = |last| match last {
            0 => vec![0.0, 0.0, 3.0, 1.0],
            2 => vec![0.0, 0.0, 0.0, 2.0],
            _ => vec![0.0, 5.0, 0.0, 0.0],
        };
        assert_eq!(search(&settings(1), next).tokens, [0, 2, 3, END]);
    }

    #[test]
    fn a_beam_finds_the_likelier_caption_that_greedy_search_misses() {
        // 2 looks best at first, but what follows 3 is certain.
        let next = |last| match last {
            0 => vec![-9.0, -9.0, 1.0, 0.9],
            2 => vec![0.0, 0.0, 0.0, 0.0],
            _ => vec![-9.0, 9.0, -9.0, -9.0],
        };
        assert_eq!(search(&settings(1), next).tokens[1], 2);
        assert_eq!(search(&settings(3), next).tokens, [0, 3, END]);
    }

    #[test]
    fn no_caption_exceeds_the_maximum_length_or_ends_before_the_minimum() {
        let never_ends = |_| vec![0.0, -9.0, 5.0, 0.0];
        assert_eq!(search(&settings(2), never_ends).tokens.len(), 5);
        let ends_at_once = |_| vec![0.0, 9.0, 0.5, 0.0];
        assert_eq!(search(&settings(2), ends_at_once).tokens, [0, END]);
        let at_least_four = BeamSettings { min_length: 3, ..settings(2) };
        assert_eq!(search(&at_least_four, ends_at_once).tokens.len(), 4);
    }

    #[test]
    fn an_ngram_is_banned_from_coming_twice() {
        assert_eq!(repeating(&[5, 6, 7, 5], 2).collect::<Vec<_>>(), [6]);
        assert_eq!(repeating(&[5, 6, 7, 5, 6], 3).collect::<Vec<_>>(), [7]);
        assert_eq!(repeating(&[5, 6], 1).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(repeating(&[5, 6, 5], 0).count(), 0);
        assert_eq!(repeating(&[5], 3).count(), 0);
    }

    #[test]
    fn the_repetition_penalty_counts_each_token_once() {
        let mut scores = [-1.0, 2.0, 3.0];
        let settings = BeamSettings { repetition_penalty: 2.0, ..settings(1) };
        constrain(&mut scores, &[0, 1, 0, 1], &settings);
        assert_eq!(scores, [-2.0, 1.0, 3.0]);
    }

    #[test]
    fn logits_that_are_not_numbers_end_the_search_without_a_panic() {
        for beams in [1, 3] {
            let caption = search(&settings(beams), |_| vec![f32::NAN; 4]);
            assert_eq!(caption.tokens, [0]);
            let caption = search(&settings(beams), |_| vec![0.0, f32::NAN, f32::INFINITY, 1.0]);
            assert_eq!(caption.tokens[0], 0);
        }
    }

    #[test]
    fn a_maximum_length_of_two_leaves_one_word() {
        for beams in [1, 3] {
            let short = BeamSettings { max_length: 2, ..settings(beams) };
            assert_eq!(search(&short, |_| vec![0.0, 0.5, 0.2, 3.0]).tokens, [0, 3]);
        }
    }

    #[test]
    fn a_search_that_may_say_nothing_more_ends_with_what_it_has() {
        // Every token may occur once and the end not at all: nothing is left after the four others.
        let spent =
            |beams| BeamSettings { max_length: 9, min_length: 9, no_repeat_ngram_size: 1, ..settings(beams) };
        let next = |_| vec![0.1, 0.2, 0.3, 0.4, 0.5];
        assert_eq!(search(&spent(3), next).tokens, [0, 4, 3, 2]);
        // Greedy search goes on with token 0, as torch.argmax does where all are equal.
        assert_eq!(search(&spent(1), next).tokens, [0, 4, 3, 2, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn more_beams_than_words_find_the_best_caption() {
        let many = BeamSettings { early_stopping: BeamStopping::Never, ..settings(50) };
        let next = |last| if last == 2 { vec![-9.0, 4.0, -9.0, 0.0] } else { vec![-9.0, -9.0, 1.0, 1.2] };
        assert_eq!(search(&many, next).tokens, [0, 2, END]);
    }

    #[test]
    fn log_probabilities_stay_exact_where_logits_are_large() {
        let logits: Vec<f32> = (0..1000).map(|i| 300.0 + (i as f32 * 0.37).sin() * 8.0).collect();
        let exact: f64 = logits.iter().map(|logit| (*logit as f64 - 300.0).exp()).sum::<f64>().ln() + 300.0;
        let mut row = logits.clone();
        log_softmax(&mut row);
        for (logit, log_probability) in logits.iter().zip(&row) {
            assert!((*log_probability as f64 - (*logit as f64 - exact)).abs() < 2e-6);
        }
    }
}
