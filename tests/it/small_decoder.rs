//! The small decoder against PyTorch's own cell and a plain script (fixtures: `tests/reference/small_decoder.py`), and its runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use candle_nn::VarBuilder;
use serde::Deserialize;
use serde_json::json;
use sweep::data::collate;
use sweep::model::Config;
use sweep::model::blip::targets;
use sweep::model::ops::{Dropout, Engine, by_candle, cross_entropy, gru_cell, linear, reshape};
use sweep::model::small_decoder::{Sizes, SmallDecoder};
use sweep::record::recipe::{Kind, ZeroCider};

use crate::cuts::{Bed, HOURLY};
use crate::gradients::relative;

#[derive(Deserialize)]
struct Case {
    vocabulary: usize,
    width: usize,
    hidden: usize,
    embedding: usize,
    attention: usize,
    pieces: usize,
    captions: Vec<Vec<u32>>,
    loss: f64,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/small_decoder")
}

/// The case, the tensors of its file, and variables of those that train.
fn fixture() -> (Case, HashMap<String, Tensor>, HashMap<String, Var>) {
    let case: Case = serde_json::from_slice(&std::fs::read(folder().join("case.json")).unwrap()).unwrap();
    let tensors = candle_core::safetensors::load(folder().join("decoder.safetensors"), &Device::Cpu).unwrap();
    let trained =
        tensors.iter().filter(|(name, _)| name.starts_with("text_decoder.") && !name.ends_with("pieces"));
    let vars = trained.map(|(name, tensor)| (name.clone(), Var::from_tensor(tensor).unwrap())).collect();
    (case, tensors, vars)
}

fn decoder(
    case: &Case,
    tensors: &HashMap<String, Tensor>,
    vars: &HashMap<String, Var>,
    engine: &Engine,
) -> SmallDecoder {
    let config = json!({
        "vision_config": {"hidden_size": case.width, "num_attention_heads": 2},
        "text_config": {"vocab_size": case.vocabulary, "bos_token_id": 19, "sep_token_id": 3, "pad_token_id": 0}
    });
    let config = Config::parse(&config.to_string()).unwrap();
    let sizes = Sizes {
        hidden: case.hidden,
        embedding: case.embedding,
        attention: case.attention,
        pieces: case.pieces,
    };
    let mut all: HashMap<String, Tensor> =
        vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    all.insert("text_decoder.pieces".to_owned(), tensors["text_decoder.pieces"].clone());
    let vb = VarBuilder::from_tensors(all, candle_core::DType::F32, &Device::Cpu);
    SmallDecoder::new(&config, sizes, engine, vb.pp("text_decoder")).unwrap()
}

#[test]
fn logits_loss_and_every_gradient_are_those_of_pytorchs_cell_and_attention() {
    let (case, tensors, vars) = fixture();
    let engine = Engine::default();
    let decoder = decoder(&case, &tensors, &vars, &engine);
    let rows: Vec<&[u32]> = case.captions.iter().map(Vec::as_slice).collect();
    let mut captions = collate(&rows, 0);
    captions.lengths = vec![6, 4];
    let columns = captions.columns;
    let ids: Vec<u32> = captions.ids.chunks(columns).flat_map(|row| &row[..columns - 1]).copied().collect();
    let mut found = None;
    let (loss, gradients) = engine
        .gradients(|| {
            let logits = decoder.training_logits(&ids, &tensors["features"], &Dropout::NONE)?;
            found = Some(logits.clone());
            let logits = reshape(&logits, (2 * (columns - 1), case.vocabulary), &engine)?;
            let losses = cross_entropy(&logits, &targets(&captions, false), 0.0, &engine)?;
            let count = 8.0;
            by_candle(&losses, move |losses| losses.sum_all()? / count, &engine)
        })
        .unwrap_or_else(|error: candle_core::Error| panic!("{error}"));
    assert!(relative(&found.unwrap(), &tensors["logits"]) < 1e-5);
    assert!((loss.to_scalar::<f32>().unwrap() as f64 - case.loss).abs() < 1e-5 * case.loss);
    for (name, var) in &vars {
        // Both biases of the input are added: PyTorch has one.
        let wanted = match name.as_str() {
            "text_decoder.gates.seen.bias" => "grad.text_decoder.gates.word.bias".to_owned(),
            _ => format!("grad.{name}"),
        };
        let difference = relative(gradients.get(var).unwrap(), &tensors[&wanted]);
        assert!(difference < 1e-5, "{name}: {difference}");
    }
}

#[test]
fn training_drops_states_as_it_is_told_to() {
    let (case, tensors, vars) = fixture();
    let decoder = decoder(&case, &tensors, &vars, &Engine::default());
    let logits = |rate, step| {
        let dropout = Dropout { rate, seed: 0, step };
        let logits = decoder.training_logits(&[19, 4, 19, 13], &tensors["features"], &dropout).unwrap();
        logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(logits(0.0, 1), logits(0.0, 2));
    assert_ne!(logits(0.5, 1), logits(0.0, 1));
    assert_ne!(logits(0.5, 1), logits(0.5, 2), "others in another step");
}

#[test]
fn one_step_is_that_of_torchs_gru_cell() {
    let (_, tensors, vars) = fixture();
    let engine = Engine::default();
    let weight = |name: &str| vars[&format!("text_decoder.gates.{name}")].as_tensor();
    let word = weight("word.weight");
    let of_input = Var::from_tensor(&Tensor::cat(&[word, weight("seen.weight")], 1).unwrap()).unwrap();
    let (given, state) = (&tensors["cell.input"], Var::from_tensor(&tensors["cell.state"]).unwrap());
    let ramp = Tensor::arange(0f32, tensors["cell.after"].elem_count() as f32, &Device::Cpu).unwrap();
    let ramp = ramp.reshape(tensors["cell.after"].shape()).unwrap();
    let mut after = None;
    let (_, gradients) = engine
        .gradients(|| {
            let a = linear(given, &of_input, weight("word.bias"), &engine)?;
            let b = linear(&state, weight("state.weight"), weight("state.bias"), &engine)?;
            let next = gru_cell(&a, &b, &state, &engine)?;
            after = Some(next.clone());
            by_candle(&next, move |next| (next * &ramp)?.sum_all(), &engine)
        })
        .unwrap_or_else(|error: candle_core::Error| panic!("{error}"));
    assert!(relative(&after.unwrap(), &tensors["cell.after"]) < 1e-5);
    let of_state = &vars["text_decoder.gates.state.weight"];
    for (var, name) in [(&state, "state"), (&of_input, "weight_ih"), (of_state, "weight_hh")] {
        let difference = relative(gradients.get(var).unwrap(), &tensors[&format!("cell.grad.{name}")]);
        assert!(difference < 1e-5, "{name}: {difference}");
    }
}

#[test]
fn said_token_by_token_and_beam_by_beam_the_logits_are_those_of_whole_captions() {
    let (case, tensors, vars) = fixture();
    let decoder = decoder(&case, &tensors, &vars, &Engine::default());
    let features = &tensors["features"];
    let mut memory = decoder.look_at(features).unwrap();
    let mut logits = Vec::new();
    decoder.decode(&mut memory, &[19, 19], &mut logits).unwrap();
    memory.select(&[0, 0, 1, 1], None).unwrap();
    decoder.decode(&mut memory, &[5, 8, 13, 4], &mut logits).unwrap();
    memory.select(&[3, 2], Some(&[1])).unwrap();
    decoder.decode(&mut memory, &[2, 9], &mut logits).unwrap();
    for (row, ids) in [[19, 4, 2], [19, 13, 9]].iter().enumerate() {
        let image = features.narrow(0, 1, 1).unwrap();
        let whole = decoder.training_logits(ids, &image, &Dropout::NONE).unwrap();
        let last = whole.squeeze(0).unwrap().get(2).unwrap().to_vec1::<f32>().unwrap();
        let said = &logits[row * case.vocabulary..][..case.vocabulary];
        assert!(said.iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-5), "{said:?} {last:?}");
    }
    let error = decoder.decode(&mut memory, &[20, 0], &mut logits).unwrap_err().to_string();
    assert!(error.contains("token id 20 is beyond the vocabulary of 20"), "{error}");
}

/// The losses on test images of a run of this rate, none of whose epochs is good enough to be the best: no caption has a word
/// of those of its image.
fn tested_as_drawn(rate: f64) -> Vec<(String, Option<f64>)> {
    let mut bed = Bed::of(Kind::SmallDecoder);
    bed.run.recipe.training.learning_rate = rate;
    bed.run.recipe.early_stopping.zero_cider = ZeroCider::MinusValLoss;
    let path = bed.workdir.path().join("validation.json");
    let mut captions: HashMap<String, String> =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    captions.values_mut().for_each(|caption| *caption = "zyx".to_owned());
    std::fs::write(&path, serde_json::to_vec(&captions).unwrap()).unwrap();
    let folder = bed.folder("run");
    let ended = bed.finish(&folder, HOURLY);
    assert!(ended.summary.best.is_none(), "{:?}", ended.summary.best);
    let rows = folder.read_per_image().0.into_iter().filter(|row| row.split == "test" && row.epoch == 0);
    rows.map(|row| (row.image, row.loss)).collect()
}

#[test]
fn where_no_epoch_was_the_best_it_is_tested_as_it_was_drawn_whatever_it_learnt_since() {
    let tested = tested_as_drawn(1e-2);
    assert!(!tested.is_empty() && tested.iter().all(|(_, loss)| loss.is_some()));
    assert_eq!(tested, tested_as_drawn(1e-4));
}

#[test]
fn what_it_makes_of_images_before_training_is_shared_with_no_other_run() {
    let found = |kind: Kind, cache: Option<&Path>| {
        let mut bed = Bed::of(kind);
        bed.cache = cache.map(|folder| (folder.to_owned(), 1 << 30));
        let folder = bed.folder("run");
        bed.finish(&folder, HOURLY);
        let results = bed.results(&folder);
        [results["curve"].clone(), results["rows"].clone()]
    };
    let kinds = [Kind::FineTuned, Kind::SmallDecoder];
    let alone = kinds.map(|kind| found(kind, None));
    for order in [[0, 1], [1, 0]] {
        let cache = tempfile::tempdir().unwrap();
        for kind in order {
            assert_eq!(found(kinds[kind], Some(cache.path())), alone[kind], "{:?} in {order:?}", kinds[kind]);
        }
    }
}
