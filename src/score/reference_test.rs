//! Comparison with the Python packages, on the fixtures of `tests/reference/scores.py`.

use serde::Deserialize;
use std::collections::BTreeMap;

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

fn sets() -> Vec<Set> {
    serde_json::from_str(include_str!("../../tests/fixtures/scores/sets.json")).unwrap()
}

fn score_set(set: &Set, convention: Convention) -> Scores {
    let items: Vec<Item> =
        set.items.iter().map(|pair| Item { caption: &pair.caption, references: &pair.references }).collect();
    score(convention, &items)
}

fn assert_equal(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-9, "{what}: {ours} instead of {theirs}");
}

fn compare(convention: Convention, expected: fn(&Set) -> &Expected) {
    for set in sets() {
        let (scores, expected) = (score_set(&set, convention), expected(&set));
        let name = &set.name;
        assert_eq!(scores.n, set.items.len());
        assert_eq!(scores.per_image.len(), expected.per_meteor.len());
        for (i, image) in scores.per_image.iter().enumerate() {
            assert_equal(&format!("{name}[{i}] rouge_l"), image.rouge_l, expected.per_rouge_l[i]);
            assert_equal(&format!("{name}[{i}] cider_d"), image.cider_d, expected.per_cider_d[i]);
            assert_equal(&format!("{name}[{i}] meteor"), image.meteor, expected.per_meteor[i]);
            for n in 0..4 {
                assert_equal(&format!("{name}[{i}] bleu_{}", n + 1), image.bleu[n], expected.per_bleu[i][n]);
            }
        }
        assert_equal(&format!("{name} meteor"), scores.meteor, expected.meteor);
        assert_equal(&format!("{name} rouge_l"), scores.rouge_l, expected.rouge_l);
        assert_equal(&format!("{name} cider_d"), scores.cider_d, expected.cider_d);
        for n in 0..4 {
            assert_equal(&format!("{name} bleu_{}", n + 1), scores.bleu[n], expected.bleu[n]);
        }
    }
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
    let stems: BTreeMap<String, String> =
        serde_json::from_str(include_str!("../../tests/fixtures/scores/stems.json")).unwrap();
    assert!(stems.len() > 1000);
    for (word, expected) in stems {
        assert_eq!(stem(&word), expected, "{word}");
    }
}

#[test]
fn synonyms_equal_nltks() {
    let words: BTreeMap<String, Vec<String>> =
        serde_json::from_str(include_str!("../../tests/fixtures/scores/synonyms.json")).unwrap();
    assert!(words.values().filter(|names| !names.is_empty()).count() > 300);
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
    let texts: Vec<(String, String)> =
        serde_json::from_str(include_str!("../../tests/fixtures/scores/penn.json")).unwrap();
    for (text, expected) in texts {
        assert_eq!(penn_tokens(&text).join(" "), expected, "{text}");
    }
}
