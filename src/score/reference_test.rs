//! Comparison with the Python packages, on the fixtures of `tests/reference/scores.py`.
//!
//! The environment variable `SWEEP_SCORE_FIXTURES` names another folder that the script wrote, with another seed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::porter::stem;
use super::scores::{Item, Scores, score};
use super::tokenize::penn_tokens;
use super::wordnet::synonyms;
use crate::record::recipe::Convention;

#[derive(Deserialize)]
struct Set {
    name: String,
    items: Vec<Pair>,
    original: Expected,
    coco: Expected,
}

#[derive(Deserialize)]
struct Pair {
    caption: String,
    references: Vec<String>,
}

#[derive(Deserialize)]
struct Expected {
    meteor: f64,
    rouge_l: f64,
    cider_d: f64,
    bleu: [f64; 4],
    per_meteor: Vec<f64>,
    per_rouge_l: Vec<f64>,
    per_cider_d: Vec<f64>,
    per_bleu: Vec<[f64; 4]>,
}

fn fixture<T: DeserializeOwned>(name: &str) -> T {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scores");
    let folder = std::env::var_os("SWEEP_SCORE_FIXTURES").map_or_else(|| committed.into(), PathBuf::from);
    let path = folder.join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_reader(GzDecoder::new(file)).unwrap()
}

fn score_set(set: &Set, convention: Convention) -> Scores {
    let items: Vec<Item> =
        set.items.iter().map(|pair| Item { caption: &pair.caption, references: &pair.references }).collect();
    score(convention, &items)
}

/// The largest difference so far, and what must not differ by more than 1e-9.
struct Comparison {
    worst: f64,
}

impl Comparison {
    fn equal(&mut self, what: &str, ours: f64, theirs: f64) {
        let difference = (ours - theirs).abs();
        assert!(difference < 1e-9, "{what}: {ours} instead of {theirs}");
        self.worst = self.worst.max(difference);
    }
}

fn compare(convention: Convention, expected: fn(&Set) -> &Expected) {
    let sets: Vec<Set> = fixture("sets.json.gz");
    let mut comparison = Comparison { worst: 0.0 };
    let mut images = 0;
    for set in &sets {
        let (scores, expected, name) = (score_set(set, convention), expected(set), &set.name);
        assert_eq!((scores.n, scores.per_image.len()), (set.items.len(), expected.per_meteor.len()));
        images += scores.n;
        for (i, image) in scores.per_image.iter().enumerate() {
            let what = |metric: &str| format!("{name}[{i}] {metric} of {:?}", set.items[i].caption);
            comparison.equal(&what("rouge_l"), image.rouge_l, expected.per_rouge_l[i]);
            comparison.equal(&what("cider_d"), image.cider_d, expected.per_cider_d[i]);
            comparison.equal(&what("meteor"), image.meteor, expected.per_meteor[i]);
            for n in 0..4 {
                comparison.equal(&what(&format!("bleu_{}", n + 1)), image.bleu[n], expected.per_bleu[i][n]);
            }
        }
        comparison.equal(&format!("{name} meteor"), scores.meteor, expected.meteor);
        comparison.equal(&format!("{name} rouge_l"), scores.rouge_l, expected.rouge_l);
        comparison.equal(&format!("{name} cider_d"), scores.cider_d, expected.cider_d);
        for n in 0..4 {
            comparison.equal(&format!("{name} bleu_{}", n + 1), scores.bleu[n], expected.bleu[n]);
        }
    }
    assert!(images > 2000, "{images}");
    println!(
        "{convention:?}: {images} images in {} sets, worst difference {:e}",
        sets.len(),
        comparison.worst
    );
}

#[test]
fn the_original_convention_equals_nltk_rouge_score_and_pycocoevalcap() {
    compare(Convention::Original, |set| &set.original);
}

#[test]
fn the_coco_convention_equals_pycocoevalcap_and_nltk_on_stanfords_tokens() {
    compare(Convention::Coco, |set| &set.coco);
}

#[test]
fn stems_equal_nltks() {
    let stems: BTreeMap<String, String> = fixture("stems.json.gz");
    assert!(stems.len() > 4000);
    for (word, expected) in stems {
        assert_eq!(stem(&word), expected, "{word}");
    }
}

#[test]
fn synonyms_equal_nltks() {
    let words: BTreeMap<String, Vec<String>> = fixture("synonyms.json.gz");
    assert!(words.values().filter(|names| !names.is_empty()).count() > 2000);
    for (word, expected) in words {
        assert!(
            synonyms(&word).iter().eq(expected.iter()),
            "{word}: {:?}, not {expected:?}",
            synonyms(&word)
        );
    }
}

#[test]
fn words_of_odd_texts_equal_stanfords() {
    let texts: Vec<(String, String)> = fixture("penn.json.gz");
    assert!(texts.len() > 14_000);
    for (text, expected) in texts {
        assert_eq!(penn_tokens(&text).join(" "), expected, "{text}");
    }
}
