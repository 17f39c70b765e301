//! Runs that train nothing: the pretrained model as it is, and two floors that no model should stay below.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};

use super::diagnostics::{self, Observer};
use super::evaluate::{self, Speaker, Split};
use super::execute::{Loaded, Resumed, started, test};
use super::features::{BUDGET_BYTES, Features};
use super::material::Pretrained;
use super::nearest::{directions, nearest};
use super::origin::Origin;
use super::partial::Partial;
use super::{Emit, Session, Stopped, observed};
use crate::data::Example;
use crate::model::Blip;
use crate::record::diagnostics::{Source, VERSION};
use crate::record::event::{Ended, Evaluated, Event, Status, Summary};
use crate::record::recipe::Kind;
use crate::record::run::Prediction;
use crate::score::medoid;

/// Evaluates the pretrained model with the run's settings.
pub fn zero_shot(session: &Session, loaded: Loaded, emit: &mut Emit) -> Result<Ended> {
    let began = Instant::now();
    let mut partial = begin(session, &loaded, emit)?;
    let model = Blip::new(&loaded.pretrained.config, &loaded.pretrained.weights)?;
    let mut speaker = Speaker::new(&model, 0, &loaded.pretrained, &mut partial);
    let ended = evaluate_whole(session, &loaded, &mut speaker, began, emit);
    if ended.as_ref().is_err_and(|error| error.is::<Stopped>()) {
        partial.keep()?;
    }
    ended
}

/// Evaluates a model on all splits.
fn evaluate_whole(
    session: &Session,
    loaded: &Loaded,
    speaker: &mut Speaker,
    began: Instant,
    emit: &mut Emit,
) -> Result<Ended> {
    let Loaded { pretrained, material, .. } = loaded;
    let recipe = &session.spec.recipe;
    let [mut validation, mut test_split] = splits(session, loaded);
    let mut train =
        observed::training_split(session, material, features(session, pretrained, &material.dataset.train));
    let losses = evaluate::losses(session, speaker, &mut validation, material)?;
    let said = evaluate::captions(session, speaker, &mut validation, recipe.evaluation.samples)?;
    let scores = evaluate::scores(recipe, &said);
    let directory = session.directory;
    directory.append_per_image(&evaluate::per_image(0, &validation, Some(&losses), Some(&scores)))?;
    directory.write_predictions(&said)?;
    let seen = evaluate::losses(session, speaker, &mut train, material)?;
    let evaluated = Evaluated {
        train_nll: Some(seen.nll),
        seconds: began.elapsed().as_secs_f64(),
        ..evaluate::evaluated(recipe, Some(&losses), &scores)
    };
    emit(Event::Evaluated(Box::new(evaluated.clone())))?;
    let test = test(session, speaker, &mut test_split, material)?;
    let train_scores = observed::caption_training(session, speaker, &mut train, material)?;
    let images_encoded = [&validation, &test_split, &train].map(|split| split.features.encoded).iter().sum();
    if recipe.kind == Kind::ZeroShot {
        diagnose(session, loaded, speaker, losses.nll)?;
    }
    let mut ended = finished(evaluated, test, images_encoded, began);
    ended.summary.train = train_scores;
    Ok(ended)
}

/// Compares the domain with the one that the model came from, where its data are given.
fn diagnose(session: &Session, loaded: &Loaded, speaker: &mut Speaker, target_nll: f64) -> Result<()> {
    let Loaded { pretrained, material, .. } = loaded;
    let observer = Observer::new(session, pretrained, material);
    if !observer.has_source() {
        return Ok(());
    }
    let mut source = observer.source_split(material, features(session, pretrained, &material.dataset.source));
    let before = diagnostics::source_scores(session, speaker, &mut source, material)?;
    let source_nll = before.get("nll").copied().unwrap_or(f64::NAN);
    session.directory.write_diagnostic(&observer.domain(speaker.model, target_nll, source_nll)?)?;
    let images = source.observed.len();
    Ok(session.directory.write_diagnostic(&Source { v: VERSION, images, before, after: None })?)
}

/// Says one caption for every image: the training caption most like the others.
pub fn constant_caption(session: &Session, loaded: Loaded, emit: &mut Emit) -> Result<Ended> {
    begin(session, &loaded, emit)?;
    let captions: Vec<&str> = first_captions(&loaded.material.dataset.train).collect();
    let chosen = medoid(&captions).and_then(|index| captions.get(index));
    let chosen = chosen.context("there is no training caption to choose from")?;
    without_model(session, &loaded, emit, |split, count| {
        Ok(evaluate::given(split, count, |_| (*chosen).to_owned()))
    })
}

/// Says of every image what was said of the training image whose frozen features are nearest, as [`super::nearest`]
/// has it.
pub fn nearest_image(session: &Session, loaded: Loaded, emit: &mut Emit) -> Result<Ended> {
    begin(session, &loaded, emit)?;
    let pretrained = &loaded.pretrained;
    let model = Blip::new(&pretrained.config, &pretrained.weights)?;
    let train = &loaded.material.dataset.train;
    let captions: Vec<&str> = first_captions(train).collect();
    let heed = &mut |_| Ok(session.go_on()?);
    let all = |examples: &[Example]| (0..examples.len()).collect::<Vec<_>>();
    let mut of_train = features(session, pretrained, train);
    of_train.prepare(session, &model, &all(train))?;
    let known = directions(&model, &mut of_train, train.len(), heed)?;
    let mut ended = without_model(session, &loaded, emit, |split, count| {
        split.features.prepare(session, &model, &all(split.examples))?;
        let wanted = directions(&model, &mut split.features, split.examples.len(), heed)?;
        let nearest = nearest(&wanted, &known)?;
        Ok(evaluate::given(split, count, |i| {
            nearest.get(i).and_then(|n| captions.get(*n)).map_or(String::new(), |c| (*c).to_owned())
        }))
    })?;
    ended.summary.images_encoded += of_train.encoded;
    Ok(ended)
}

fn first_captions(examples: &[Example]) -> impl Iterator<Item = &str> {
    examples.iter().filter_map(|example| example.captions.first()).map(String::as_str)
}

/// Begins anew, but for captions that were said before.
fn begin(session: &Session, loaded: &Loaded, emit: &mut Emit) -> Result<Partial> {
    let origin = Origin::of(session, loaded)?;
    session.directory.remove_results()?;
    let Loaded { pretrained, material, .. } = loaded;
    let digest = origin.model_digest.clone();
    let started = started(session, (pretrained, material), &origin, &digest, 0, Resumed::default());
    emit(Event::Started(Box::new(started)))?;
    let mut partial = Partial::new(session, &origin);
    partial.take_up(0)?;
    Ok(partial)
}

fn splits<'a>(session: &Session, loaded: &'a Loaded) -> [Split<'a>; 2] {
    let Loaded { pretrained, material, .. } = loaded;
    let dataset = &material.dataset;
    let parts =
        [("validation", &dataset.validation, &material.validation), ("test", &dataset.test, &material.test)];
    parts.map(|(name, examples, tokens)| {
        Split::whole(name, examples, tokens, features(session, pretrained, examples))
    })
}

/// What the whole vision model makes of the images.
fn features<'a>(session: &Session, pretrained: &'a Pretrained, examples: &'a [Example]) -> Features<'a> {
    let depth = pretrained.config.vision.num_hidden_layers;
    Features::new(examples, pretrained, &session.device, depth, BUDGET_BYTES / 3)
}

/// Scores captions that need no decoder on both splits.
fn without_model(
    session: &Session,
    loaded: &Loaded,
    emit: &mut Emit,
    mut say: impl FnMut(&mut Split, usize) -> Result<Vec<Prediction>>,
) -> Result<Ended> {
    let began = Instant::now();
    let recipe = &session.spec.recipe;
    let [mut validation, mut test] = splits(session, loaded);
    let mut predictions = say(&mut validation, recipe.evaluation.samples)?;
    let scores = evaluate::scores(recipe, &predictions);
    session.directory.append_per_image(&evaluate::per_image(0, &validation, None, Some(&scores)))?;
    let evaluated = evaluate::evaluated(recipe, None, &scores);
    let evaluated = Evaluated { seconds: began.elapsed().as_secs_f64(), ..evaluated };
    emit(Event::Evaluated(Box::new(evaluated.clone())))?;
    let mut summary = None;
    if !test.examples.is_empty() {
        let tested = say(&mut test, recipe.evaluation.test_samples)?;
        let scores = evaluate::scores(recipe, &tested);
        session.directory.append_per_image(&evaluate::per_image(0, &test, None, Some(&scores)))?;
        summary = Some(evaluate::summary_of(recipe, None, &scores));
        predictions.extend(tested);
    }
    session.directory.write_predictions(&predictions)?;
    Ok(finished(evaluated, summary, validation.features.encoded + test.features.encoded, began))
}

fn finished(
    evaluated: Evaluated,
    test: Option<BTreeMap<String, f64>>,
    images_encoded: usize,
    began: Instant,
) -> Ended {
    let summary = Summary {
        seconds: began.elapsed().as_secs_f64(),
        initial: Some(evaluated.clone()),
        best: Some(evaluated.clone()),
        last: Some(evaluated),
        test,
        images_encoded,
        ..Summary::default()
    };
    Ended { status: Status::Finished, reason: None, summary }
}
