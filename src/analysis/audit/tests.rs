//! Faults planted one by one in a data set and recipe that have none.

use std::path::Path;

use image::RgbImage;

use super::corpus::Captioned;
use super::*;
use crate::data::{CaptionTokenizer, DifferenceHash};
use crate::random::Random;
use crate::record::pairing::Pairing;
use crate::record::recipe::{Convention, Recipe, StartToken};
use crate::record::run::tests::any_run;

const WORDS: &str = "[PAD] [UNK] [CLS] [SEP] [MASK] the upper lower clothing has long short sleeves cotton denim fabric and \
                     solid floral color patterns its neckline is round square this lady wears a hat belt red green blue . , - \
                     three point quarter lapel";

fn tokenizer(folder: &Path) -> CaptionTokenizer {
    let vocabulary: Vec<&str> = WORDS.split_whitespace().collect();
    std::fs::write(folder.join("vocab.txt"), vocabulary.join("\n")).unwrap();
    CaptionTokenizer::load(folder).unwrap()
}

/// A caption like those of the original study: sentences of a template that say the same pairs of words again.
fn caption(random: &mut Random) -> String {
    let colors = ["red", "green", "blue"];
    let mut text = String::new();
    for part in ["upper", "lower"].into_iter().take(1 + random.below(2)) {
        text.push_str(&format!(
            "The {part} clothing has {} sleeves, {} fabric and {} color patterns. ",
            random.pick(&["long", "short", "three-point"]),
            random.pick(&["cotton", "denim"]),
            random.pick(&["solid", "floral"]),
        ));
    }
    let (first, second) = (*random.pick(&colors), *random.pick(&colors));
    text + &format!("This lady wears a {first} {} and a {second} belt.", random.pick(&["hat", "lapel"]))
}

fn examples(tokenizer: &CaptionTokenizer, split: &str, count: usize, seed: u64) -> Vec<Captioned> {
    let example = |index: usize| {
        let text = caption(&mut Random::new(seed, split, &[index as u64]));
        Captioned {
            image: format!("{split}_{index}.png"),
            path: format!("{split}_{index}.png").into(),
            tokens: vec![tokenizer.encode(&text, usize::MAX).unwrap()],
            captions: vec![text],
        }
    };
    (0..count).map(example).collect()
}

fn corpus(tokenizer: &CaptionTokenizer, seed: u64) -> Corpus<'_> {
    Corpus {
        model: "lab".to_owned(),
        tokenizer,
        train: examples(tokenizer, "train", 400, seed),
        validation: examples(tokenizer, "validation", 60, seed),
        test: examples(tokenizer, "test", 80, seed),
        source: Vec::new(),
        pictures: None,
    }
}

/// What an audit finds that is no mere note, in a plan of one run.
fn serious(corpus: &Corpus, change: impl FnOnce(&mut Recipe)) -> Vec<FindingKind> {
    let mut run = any_run("r1");
    change(&mut run.recipe);
    let audit = audit(&[run], std::slice::from_ref(corpus)).unwrap();
    let serious = audit.findings.iter().filter(|finding| finding.severity != Severity::Note);
    // Captions of a template are the same by chance: the templates here have a few hundred forms.
    serious
        .map(|finding| finding.kind)
        .filter(|kind| ![FindingKind::SharedCaptions, FindingKind::DuplicateCaptions].contains(kind))
        .collect()
}

#[test]
fn a_sound_recipe_on_sound_data_is_left_in_peace() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    for seed in 0..10 {
        assert_eq!(serious(&corpus(&tokenizer, seed), |_| {}), [], "seed {seed}");
    }
}

#[test]
fn every_planted_fault_is_found_and_no_other() {
    use FindingKind::*;
    type Change = fn(&mut Recipe);
    let faults: [(FindingKind, Change); 26] = [
        (CutInTraining, |recipe| recipe.training.max_length = 30),
        (CutInTraining, |recipe| recipe.training.max_length = 34),
        (CutInGeneration, |recipe| recipe.generation.max_length = 30),
        (CutInGeneration, |recipe| recipe.generation.max_length = 33),
        (ForbiddenRepeats, |recipe| recipe.generation.no_repeat_ngram_size = 2),
        (ForbiddenRepeats, |recipe| recipe.generation.no_repeat_ngram_size = 3),
        (StartToken, |recipe| recipe.training.start_token = self::StartToken::Cls),
        (PaddingInLoss, |recipe| recipe.training.mask_padding = false),
        (ScoringConvention, |recipe| recipe.evaluation.convention = Convention::Original),
        (WarmUp, |recipe| recipe.training.warmup_steps = 2000),
        (WarmUp, |recipe| recipe.training.warmup_steps = 400),
        (MinLength, |recipe| recipe.generation.min_length = 30),
        (RepetitionPenalty, |recipe| recipe.generation.repetition_penalty = 0.7),
        (LabelSmoothing, |recipe| recipe.training.label_smoothing = 0.4),
        (WeightDecay, |recipe| recipe.training.weight_decay = 10.0),
        (Dropout, |recipe| recipe.training.dropout = 0.5),
        (VisionRate, |recipe| recipe.training.vision_lr_multiplier = 100.0),
        (FrozenDecoder, |recipe| recipe.training.train_text_decoder = false),
        (FrozenDecoder, |recipe| recipe.training.text_lr_multiplier = 0.0),
        (Clipping, |recipe| recipe.training.max_grad_norm = 1e-3),
        (FixedOrder, |recipe| recipe.training.shuffle = false),
        (LengthPenalty, |recipe| recipe.generation.length_penalty = -1.0),
        (LengthPenalty, |recipe| recipe.generation.length_penalty = 5.0),
        (FewImagesScored, |recipe| recipe.evaluation.samples = 5),
        (LeastGain, |recipe| {
            (recipe.early_stopping.patience, recipe.early_stopping.min_delta) = (3, 0.2);
        }),
        (WarmUp, |recipe| recipe.training.warmup_steps = 100_000),
    ];
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    for seed in 0..2 {
        let corpus = corpus(&tokenizer, seed);
        for (kind, change) in faults {
            assert_eq!(serious(&corpus, change), [kind], "seed {seed}");
        }
        let two = |recipe: &mut Recipe| {
            recipe.training.start_token = self::StartToken::Cls;
            recipe.generation.no_repeat_ngram_size = 2;
        };
        assert_eq!(serious(&corpus, two), [ForbiddenRepeats, StartToken], "seed {seed}");
    }
}

#[test]
fn faults_of_the_data_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let mut few = corpus(&tokenizer, 0);
    few.train.truncate(100);
    assert_eq!(serious(&few, |_| {}), [FindingKind::FewTrainingImages]);

    let mut few = corpus(&tokenizer, 0);
    few.validation.truncate(8);
    assert_eq!(serious(&few, |_| {}), [FindingKind::FewValidationImages]);

    let mut shortened = corpus(&tokenizer, 0);
    for example in &mut shortened.train {
        let words: Vec<&str> = example.captions[0].split(' ').collect();
        let shorter = words[..words.len() / 2].join(" ");
        example.tokens[0] = tokenizer.encode(&shorter, usize::MAX).unwrap();
        example.captions[0] = shorter;
    }
    assert_eq!(serious(&shortened, |_| {}), [FindingKind::OtherStyle]);

    let mut unknown = corpus(&tokenizer, 0);
    for example in unknown.train.iter_mut().step_by(3) {
        example.captions[0].push_str(" Zebra.");
        example.tokens[0] = tokenizer.encode(&example.captions[0], usize::MAX).unwrap();
    }
    assert_eq!(serious(&unknown, |_| {}), [FindingKind::UnknownWords]);

    let mut grouped = corpus(&tokenizer, 0);
    let name = |kind: &str, example: &mut Captioned| {
        example.image = format!("{kind}-{}", example.image.replace("_", "0"))
    };
    grouped
        .train
        .iter_mut()
        .enumerate()
        .for_each(|(i, one)| name(if i % 10 == 0 { "men" } else { "women" }, one));
    grouped
        .test
        .iter_mut()
        .enumerate()
        .for_each(|(i, one)| name(if i % 10 == 0 { "women" } else { "men" }, one));
    for example in grouped.train.iter_mut().chain(&mut grouped.test) {
        example.image = example.image.replace("train", "").replace("test", "");
    }
    assert_eq!(serious(&grouped, |_| {}), [FindingKind::UnbalancedGroups]);
}

#[test]
fn the_same_bytes_in_two_splits_are_a_leak_whatever_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let mut corpus = corpus(&tokenizer, 0);
    for (split, examples) in
        [("a", &mut corpus.train), ("b", &mut corpus.validation), ("c", &mut corpus.test)]
    {
        for (index, example) in examples.iter_mut().enumerate() {
            example.path = folder.path().join(&example.image);
            std::fs::write(&example.path, format!("{split} {index:04}")).unwrap();
        }
    }
    assert_eq!(serious(&corpus, |_| {}), [], "all files are of one size, and differ");
    std::fs::copy(&corpus.train[7].path, &corpus.test[3].path).unwrap();
    let found = audit(&[any_run("r1")], &[corpus]).unwrap();
    let leak = found.findings.iter().find(|finding| finding.kind == FindingKind::SharedImages).unwrap();
    assert_eq!((leak.severity, leak.number), (Severity::Warning, 1.0 / 140.0));
    assert!(leak.meaning.contains("test_3.png"), "{}", leak.meaning);
}

/// As many pictures as the corpus has, none like another.
fn pictures(corpus: &Corpus) -> Pictures {
    let picture = |split: &str, index: usize| {
        let mut random = Random::new(0, split, &[index as u64]);
        let noise = RgbImage::from_fn(17, 16, |_, _| image::Rgb([random.below(256) as u8; 3]));
        // As features of one domain do, all point in much the same direction.
        let direction = (0..32).map(|_| 1.0 + 0.02 * random.normal() as f32).collect();
        Picture { hash: DifferenceHash::of(&noise), direction, nearest: index }
    };
    let of = |split, count| (0..count).map(|index| picture(split, index)).collect();
    Pictures {
        train: of("train", corpus.train.len()),
        validation: of("validation", corpus.validation.len()),
        test: of("test", corpus.test.len()),
        pairing: None,
    }
}

/// Which images are said to be there twice, among the pictures after a change.
fn twice(change: impl FnOnce(&mut Pictures)) -> Vec<(FindingKind, Severity, f64, String)> {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let mut corpus = corpus(&tokenizer, 0);
    let mut seen = pictures(&corpus);
    change(&mut seen);
    corpus.pictures = Some(seen);
    let found = audit(&[any_run("r1")], &[corpus]).unwrap().findings.into_iter();
    found
        .filter(|found| [FindingKind::SharedImages, FindingKind::DuplicateImages].contains(&found.kind))
        .map(|found| (found.kind, found.severity, found.number, found.meaning))
        .collect()
}

#[test]
fn two_pictures_are_one_where_hash_and_features_agree_and_not_by_one_of_them() {
    assert_eq!(twice(|_| {}), []);
    assert_eq!(twice(|seen| seen.test[3].hash = seen.train[7].hash), []);
    assert_eq!(twice(|seen| seen.test[3].direction = seen.train[7].direction.clone()), []);
    let found = twice(|seen| seen.test[3] = seen.train[7].clone());
    let [(FindingKind::SharedImages, Severity::Warning, share, meaning)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(*share, 1.0 / 140.0);
    assert!(meaning.contains("(0 of validation, 1 of test, such as test_3.png of train_7.png)"), "{meaning}");
    let found = twice(|seen| (0..2).for_each(|i| seen.validation[i] = seen.train[i].clone()));
    assert_eq!(found[0].1, Severity::Severe, "one scored image of a hundred");
}

#[test]
fn pictures_that_are_there_twice_in_one_split_are_no_leak() {
    let found = twice(|seen| {
        seen.train[9] = seen.train[8].clone();
        seen.train[10] = seen.train[8].clone();
        seen.test[5] = seen.validation[2].clone();
    });
    let [(FindingKind::DuplicateImages, Severity::Note, share, meaning)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(*share, 3.0 / 540.0);
    assert!(
        meaning.contains("(2 of training, 0 of validation, 1 of test, such as train_9.png of train_8.png"),
        "{meaning}"
    );
    let found = twice(|seen| (1..40).for_each(|i| seen.train[i] = seen.train[0].clone()));
    assert_eq!(found[0].1, Severity::Warning, "one image of twenty");
}

#[test]
fn pairs_that_are_wrong_by_features_are_severe_unless_training_captions_are_written_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let mut corpus = corpus(&tokenizer, 0);
    let pairing = Pairing {
        v: 1,
        train_images: 400,
        unseen_images: 140,
        share: 0.5,
        error: 0.1,
        z: 4.0,
        least_fitting: Vec::new(),
    };
    corpus.pictures = Some(Pictures { pairing: Some(pairing), ..pictures(&corpus) });
    let of = |corpus: &Corpus| serious(corpus, |_| {});
    assert_eq!(of(&corpus), [FindingKind::WrongPairs]);
    for example in &mut corpus.train {
        example.captions[0].truncate(12);
        example.tokens[0] = tokenizer.encode(&example.captions[0], usize::MAX).unwrap();
    }
    assert!(!of(&corpus).contains(&FindingKind::WrongPairs), "{:?}", of(&corpus));
}

#[test]
fn the_floor_of_the_nearest_image_says_the_caption_of_the_nearest_training_image() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let mut corpus = corpus(&tokenizer, 0);
    let run = any_run("r1");
    let rouge_l = |corpus: &Corpus| {
        let found = audit(std::slice::from_ref(&run), std::slice::from_ref(corpus)).unwrap();
        range_of(&found, &run, "test").unwrap().metrics["rouge_l"].nearest
    };
    assert_eq!(rouge_l(&corpus), None);
    let mut seen = pictures(&corpus);
    for (index, example) in corpus.test.iter().enumerate() {
        corpus.train[399 - index].captions = example.captions.clone();
        seen.test[index].nearest = 399 - index;
    }
    corpus.pictures = Some(seen);
    assert!((rouge_l(&corpus).unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn the_ceiling_is_a_bound_only_where_the_reference_itself_can_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let mut corpus = corpus(&tokenizer, 0);
    for example in corpus.validation.iter_mut().chain(&mut corpus.test) {
        example.captions[0] = example.captions[0].replace("three-point", "long");
        example.tokens[0] = tokenizer.encode(&example.captions[0], usize::MAX).unwrap();
    }
    let score = |change: fn(&mut Recipe)| {
        let mut run = any_run("r1");
        change(&mut run.recipe);
        let found = audit(std::slice::from_ref(&run), std::slice::from_ref(&corpus)).unwrap();
        range_of(&found, &run, "test").unwrap().metrics.clone()
    };
    let free = score(|_| {});
    assert!(free.values().all(|range| range.is_bound), "{free:?}");
    assert!((free["cider_d"].ceiling - 10.0).abs() < 1e-6 && (free["rouge_l"].ceiling - 1.0).abs() < 1e-9);
    let blocked = score(|recipe| recipe.generation.no_repeat_ngram_size = 2);
    assert!(blocked["cider_d"].ceiling < 9.9 && !blocked["cider_d"].is_bound, "{blocked:?}");
    let cut = score(|recipe| recipe.training.max_length = 12);
    assert!(cut["rouge_l"].ceiling < blocked["rouge_l"].ceiling, "{cut:?}");
    for range in free.values().chain(blocked.values()) {
        assert!(range.random < range.ceiling && range.constant < range.ceiling, "{range:?}");
    }
}

#[test]
fn runs_that_differ_in_what_an_audit_does_not_see_share_their_findings() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let corpus = corpus(&tokenizer, 0);
    let with = |id: &str, rate: f64, start_token: StartToken| {
        let mut run = any_run(id);
        run.recipe.training.learning_rate = rate;
        run.recipe.training.start_token = start_token;
        run
    };
    let plan = [
        with("r1", 1e-4, StartToken::Dec),
        with("r2", 2e-4, StartToken::Dec),
        with("r3", 1e-4, StartToken::Cls),
        with("r4", 2e-4, StartToken::Cls),
    ];
    let found = audit(&plan, &[corpus]).unwrap();
    let start = found.findings.iter().find(|finding| finding.kind == FindingKind::StartToken).unwrap();
    assert_eq!(start.runs, ["r3", "r4"]);
    assert_eq!(found.ranges.len(), 2, "one for each split");
    assert_eq!(found.ranges[0].runs, ["r1", "r2", "r3", "r4"]);
}
