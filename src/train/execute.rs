//! Does what a run says: loads, dispatches by kind, evaluates on the test split.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::before::Before;
use super::evaluate::{self, Speaker, Split};
use super::fine_tune::fine_tune;
use super::material::{Material, Pretrained};
use super::origin::Origin;
use super::preflight::peak_memory_bytes;
use super::shared_states::SharedStates;
use super::{Emit, Session, checkpoint, controls, references, views};
use crate::model::ops::product::kernels;
use crate::model::{Config, Part, Weights};
use crate::record::RunDir;
use crate::record::event::{Ended, Started, Trainable};
use crate::record::recipe::{Kind, Precision, Recipe};
use crate::record::store::remove_file;

/// Everything a run reads, in memory and checked.
pub struct Loaded {
    pub pretrained: Pretrained,
    pub material: Material,
}

impl Loaded {
    /// Loads the model folder and the data of a run.
    pub fn new(session: &Session) -> Result<Self> {
        let prompt = &session.spec.recipe.training.prompt;
        let mut pretrained = Pretrained::load(&session.inputs.model, &session.device)?.with_prompt(prompt)?;
        ensure!(
            pretrained.config.small_decoder.is_none(),
            "{}: its decoder is the small one of a run of this program, not BLIP's\nhint: `model:` takes what that run began \
             with; `sweep caption --model` captions with this one",
            session.inputs.model.display()
        );
        pretrained.config.precision = precision(session)?;
        pretrained.config.gradient_checkpointing = session.spec.recipe.training.gradient_checkpointing;
        let mut material = Material::load(session.inputs, &session.spec.recipe, &pretrained)?;
        if session.spec.recipe.kind == Kind::ShuffledCaptions {
            material.train = controls::dealt_anew(material.train, session.spec.seed)?;
        }
        // The constant caption looks at no picture.
        if let Some(cache) =
            session.cache.as_ref().filter(|_| session.spec.recipe.kind != Kind::ConstantCaption)
        {
            let states = SharedStates::new(cache, &pretrained, &material.images, &session.device)?;
            pretrained.before = Some(Before::new(&states, &pretrained, &session.spec.recipe)?);
            pretrained.states = Some(states);
        }
        Ok(Self { pretrained, material })
    }
}

/// How the run is to compute.
fn precision(session: &Session) -> Result<Precision> {
    let precision = session.spec.recipe.training.precision;
    ensure!(
        precision == Precision::F32 || session.device.is_cpu(),
        "training.precision is {}, which only the CPU computes, and the device is {}\nhint: `precision: f32`, or \
         `--device cpu`",
        precision.name(),
        session.device_name
    );
    ensure!(
        !session.spec.recipe.training.gradient_checkpointing || session.device.is_cpu(),
        "training.gradient_checkpointing is true, which only the CPU does, and the device is {}\nhint: \
         `gradient_checkpointing: false`, or `--device cpu`",
        session.device_name
    );
    Ok(precision)
}

/// Values are rounded wherever it is asked for, so that results compare; only some processors gain by it.
fn precision_note(recipe: &Recipe) -> Option<String> {
    let precision = recipe.training.precision;
    let instructions = match precision {
        Precision::F32 => return None,
        Precision::Bf16 => "AVX512_BF16",
        Precision::F16 => "AVX-512",
    };
    (!kernels::is_available(precision.into())).then(|| {
        format!(
            "this processor has no instructions for {} ({instructions}): values are rounded all the same, but for attention, which \
             takes longer than f32\nhint: `precision: f32`",
            precision.name()
        )
    })
}

/// Executes a run. Emits all its events but the last, whose content it returns.
///
/// # Errors
/// Whatever keeps the run from its result: unreadable input, a full disk, an error from `emit`.
pub fn execute(session: &Session, emit: &mut Emit) -> Result<Ended> {
    session.directory.tidy()?;
    let loaded = Loaded::new(session)?;
    let shared = loaded.pretrained.states.clone();
    let ended = match session.spec.recipe.kind {
        Kind::FineTuned | Kind::ShuffledCaptions | Kind::SmallDecoder => fine_tune(session, loaded, emit),
        Kind::ZeroShot => references::zero_shot(session, loaded, emit),
        Kind::ConstantCaption => references::constant_caption(session, loaded, emit),
        Kind::NearestImage => references::nearest_image(session, loaded, emit),
        Kind::MatchedLength => controls::matched_length(session, loaded, emit),
    };
    if let Some(shared) = &shared {
        shared.tell(session);
    }
    let mut ended = ended?;
    if let Some((read, seconds)) = shared.map(|shared| shared.tally()) {
        (ended.summary.images_read, ended.summary.encode_seconds) = (Some(read), Some(seconds));
    }
    ended.summary.peak_memory_bytes = peak_memory_bytes();
    Ok(ended)
}

/// Removes what only going on with a run needs, once how it ended is recorded.
pub fn forget(directory: &RunDir) -> Result<()> {
    checkpoint::drop_state(&directory.last())?;
    Ok(remove_file(&directory.partial_captions())?)
}

/// Where an attempt goes on from; the default begins anew.
#[derive(Debug, Default)]
pub struct Resumed {
    /// Whole epochs that are done.
    pub epochs: usize,
    pub steps: usize,
    /// What the user should know of it.
    pub notes: Vec<String>,
}

/// What the run found when it began.
pub fn started(
    session: &Session,
    loaded: (&Pretrained, &Material),
    origin: &Origin,
    frozen_digest: &str,
    total_steps: usize,
    resumed: Resumed,
) -> Started {
    let (pretrained, Material { dataset, .. }) = loaded;
    let recipe = &session.spec.recipe;
    Started {
        run: session.spec.id.clone(),
        sweep: session.spec.sweep.clone(),
        program: origin.program.clone(),
        device: session.device_name.clone(),
        threads: session.threads,
        model_digest: origin.model_digest.clone(),
        data_digest: origin.data_digest.clone(),
        train_examples: dataset.train.len(),
        validation_examples: dataset.validation.len(),
        test_examples: dataset.test.len(),
        steps_per_epoch: recipe.training.steps_per_epoch(dataset.train.len()),
        total_steps,
        trainable: trainable(&pretrained.weights),
        frozen_digest: frozen_digest.to_owned(),
        resumed_from_epoch: resumed.epochs,
        resumed_from_step: Some(resumed.steps),
        notes: dropout_note(recipe, &pretrained.config)
            .into_iter()
            .chain(precision_note(recipe))
            .chain(unfreezing_note(recipe, dataset.train.len()))
            .chain(controls::note(recipe))
            .chain(views::note(&recipe.training, &dataset.train).filter(|_| recipe.kind.trains()))
            .chain(resumed.notes)
            .collect(),
    }
}

/// Whoever calls `train()` on this model in PyTorch gets the dropout of its configuration; here the recipe decides.
fn dropout_note(recipe: &Recipe, config: &Config) -> Option<String> {
    let is_left_out = recipe.kind.trains() && recipe.training.dropout == 0.0 && config.dropout > 0.0;
    is_left_out.then(|| {
        let rate = config.dropout;
        format!("the model's config.json asks for a dropout of {rate}, and the recipe for none\nhint: `training.dropout: {rate}` trains with it")
    })
}

/// Layers whose turn never comes.
fn unfreezing_note(recipe: &Recipe, examples: usize) -> Option<String> {
    let training = &recipe.training;
    let epochs = training.epochs_over(examples);
    let layers = 0..training.unfrozen_vision_layers;
    let late = layers.filter(|above| training.unfreezes_in(*above) > epochs).count();
    (recipe.kind.trains() && late > 0).then(|| {
        format!(
            "{late} of {} unfrozen vision layers would begin to train after the last epoch, and never do\nhint: a lower \
             `unfreeze_every`, or more `epochs`",
            training.unfrozen_vision_layers
        )
    })
}

fn trainable(weights: &Weights) -> Trainable {
    let mut trainable = Trainable { tensors: weights.trainable().len(), ..Trainable::default() };
    let is_frozen = |(name, _): &(&String, &Tensor)| !weights.trainable().contains_key(*name);
    let frozen = weights.tensors().iter().filter(is_frozen);
    trainable.frozen = frozen.map(|(_, tensor)| tensor.elem_count()).sum();
    for (name, tensor) in weights.trainable() {
        let part = match Part::of(name) {
            Part::VisionLayer(_) => &mut trainable.vision_layers,
            Part::VisionOther => &mut trainable.vision_other,
            Part::Text => &mut trainable.text,
        };
        *part += tensor.elem_count();
    }
    trainable
}

/// Captions and scores the test split, and adds its rows to the run's files. `None` where there is no test split.
pub fn test(
    session: &Session,
    speaker: &mut Speaker,
    split: &mut Split,
    material: &Material,
) -> Result<Option<BTreeMap<String, f64>>> {
    evaluate::record(session, speaker, split, material, session.spec.recipe.evaluation.test_samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::run::tests::any_run;

    #[test]
    fn layers_whose_turn_never_comes_are_noted() {
        let mut recipe = any_run("r1").recipe;
        let training = &mut recipe.training;
        (training.unfrozen_vision_layers, training.unfreeze_from_epoch, training.epochs) = (4, 2, 6);
        let of = |every| {
            let mut recipe = recipe.clone();
            recipe.training.unfreeze_every = every;
            unfreezing_note(&recipe, 100)
        };
        assert_eq!((of(0), of(1)), (None, None));
        assert!(of(2).unwrap().starts_with("1 of 4 unfrozen vision layers"));
        assert!(of(usize::MAX).unwrap().starts_with("3 of 4"));
    }

    #[test]
    fn a_dropout_that_the_model_asks_for_and_the_recipe_leaves_out_is_noted() {
        let config = |text| Config::parse(text).unwrap();
        let asks =
            config(r#"{"text_config": {"attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0}}"#);
        let asks_in_vision = config(r#"{"vision_config": {"attention_dropout": 0.2}}"#);
        let mut recipe = any_run("r1").recipe;
        let note = dropout_note(&recipe, &asks).unwrap();
        assert!(note.contains("dropout of 0.1") && note.contains("hint: `training.dropout: 0.1`"), "{note}");
        assert!(dropout_note(&recipe, &asks_in_vision).unwrap().contains("0.2"));
        assert_eq!(dropout_note(&recipe, &config("{}")), None);
        recipe.training.dropout = 0.05;
        assert_eq!(dropout_note(&recipe, &asks), None);
        recipe.training.dropout = 0.0;
        recipe.kind = Kind::ZeroShot;
        assert_eq!(dropout_note(&recipe, &asks), None);
    }
}
