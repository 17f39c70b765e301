//! Words that captions begin with: given in training and in generation, as transformers has it (fixtures:
//! `tests/reference/prompt.py`).

use std::fs;

use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::Value;
use sweep::data::{TokenBatch, collate};
use sweep::model::blip::targets;
use sweep::model::{Config, Unfrozen, generate};

use crate::end_to_end::json_lines;
use crate::generation::{Settings, beam_settings};
use crate::gradients::{fixtures, tiny};
use crate::toy::{command, prepared, records};

#[derive(Deserialize)]
struct Fixture {
    model: String,
    captions: Vec<Vec<u32>>,
    losses: Vec<Loss>,
    said: Vec<Said>,
}

#[derive(Deserialize)]
struct Loss {
    prompt: Vec<u32>,
    mask_padding: bool,
    loss: f64,
}

#[derive(Deserialize)]
struct Said {
    prompt: Vec<u32>,
    settings: Settings,
    images: Vec<usize>,
    token_ids: Vec<Vec<u32>>,
    sequences_scores: Option<Vec<f64>>,
}

fn fixture() -> Fixture {
    let path = fixtures().parent().unwrap().join("prompt/cases.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Embeddings of so many images, and the model.
fn seen(name: &str, images: usize) -> (Config, sweep::model::Blip, Tensor) {
    let stored =
        candle_core::safetensors::load(fixtures().join("tiny_generate.safetensors"), &Device::Cpu).unwrap();
    let (config, _, model) = tiny(name, Unfrozen::Last { vision_layers: 0, text: false });
    let depth = model.vision_model.depth();
    let pixels = stored["pixel_values"].narrow(0, 0, images).unwrap();
    let hidden = model.vision_model.encode(&pixels, depth).unwrap();
    let image_embeds = model.vision_model.finish(&hidden, depth).unwrap();
    (config, model, image_embeds)
}

fn behind(prompt: &[u32], captions: &[Vec<u32>], config: &Config) -> TokenBatch {
    let rows: Vec<Vec<u32>> =
        captions.iter().map(|row| [&[config.tokens.start], prompt, &row[1..]].concat()).collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    collate(&rows, config.tokens.pad).with_prompt(prompt.len())
}

#[test]
fn losses_behind_a_prompt_are_those_of_transformers() {
    let Fixture { model, captions, losses, .. } = fixture();
    let (config, model, image_embeds) = seen(&model, captions.len());
    assert!(losses.len() >= 6);
    for Loss { prompt, mask_padding, loss } in losses {
        let batch = behind(&prompt, &captions, &config);
        let logits = model.logits(&image_embeds, &batch).unwrap();
        let found = model.mean_loss(&logits, &targets(&batch, !mask_padding), 0.0).unwrap();
        let found = found.to_scalar::<f32>().unwrap() as f64;
        assert!((found / loss - 1.0).abs() < 1e-6, "{prompt:?}, {mask_padding}: {found}, not {loss}");
    }
}

#[test]
fn captions_behind_a_prompt_are_those_of_transformers() {
    let Fixture { model, captions, said, .. } = fixture();
    let (config, model, image_embeds) = seen(&model, captions.len());
    assert!(said.iter().map(|case| case.images.len()).sum::<usize>() > 150);
    for case in said {
        let mut settings = beam_settings(&case.settings, config.tokens.start, config.tokens.end);
        settings.start.extend(&case.prompt);
        let found = generate(&model.text_decoder, &image_embeds, &settings).unwrap();
        for (place, image) in case.images.iter().enumerate() {
            let (found, wanted) = (&found[*image], &case.token_ids[place]);
            assert_eq!(&found.ids, wanted, "image {image} behind {:?}, {:?}", case.prompt, case.settings);
            assert_eq!(found.said(settings.start.len()), &wanted[1 + case.prompt.len()..]);
            if let Some(scores) = &case.sequences_scores {
                let (ours, theirs) = (found.score as f64, scores[place]);
                assert!((ours - theirs).abs() <= 1e-5 * theirs.abs(), "image {image}: {ours}, not {theirs}");
            }
        }
    }
}

#[test]
fn a_run_with_a_prompt_gives_it_everywhere_and_scores_without_it() {
    let work = prepared();
    let text = fs::read_to_string(work.path().join("toy.yaml")).unwrap();
    work.file("toy.yaml", &text.replace("{values: [0, 1]}", "{values: [0]}\n  prompt: ['a red', '']"));
    let seen = work.sweep(&command(1));
    assert!(seen.starts_with("exit 0\n"), "{seen}");
    let runs = work.path().join("runs");
    let all = records(&runs, "toy");
    let prompt_of = |value: &str| {
        let is_it = |run: &&sweep::record::RunRecord| {
            run.spec.recipe.training.prompt == value && run.spec.recipe.kind.trains()
        };
        all.iter().find(is_it).unwrap()
    };
    let said = |id: &str| json_lines(&runs.join("toy").join(id).join("predictions.jsonl"));
    let (with, without) = (said(&prompt_of("a red").spec.id), said(&prompt_of("").spec.id));
    let second = |row: &Value| row["token_ids"][1].clone();
    assert!(with.len() > 3 && with.iter().all(|row| second(row) == second(&with[0])), "{with:?}");
    assert!(without.iter().any(|row| second(row) != second(&with[0])), "no prompt is given");
    for row in &with {
        let caption = row["caption"].as_str().unwrap();
        assert!(!caption.starts_with("a red"), "{caption}");
    }
    // The references have prompts of their own, and the pretrained model is asked with it, too.
    let asked = all.iter().filter(|run| run.spec.recipe.training.prompt == "a red").count();
    assert_eq!(asked, 3, "the zero-shot model, the model of matched length and the trained one");

    // Whoever captions with the checkpoint gets what the run got.
    let best = format!("runs/toy/{}/best", prompt_of("a red").spec.id);
    let test = with.iter().find(|row| row["split"] == "test").unwrap();
    let image = format!("images/{}", test["image"].as_str().unwrap());
    let shown = work.sweep(&format!("caption --model {best} {image} --device cpu"));
    assert!(shown.contains(&format!("{image}\t{}", test["caption"].as_str().unwrap())), "{shown}\n{test}");
    let refused = work.sweep(&format!("caption --model {best} {image} --device cpu --max-length 3"));
    assert!(refused.contains("the prompt \"a red\", which with the start token takes 3 tokens"), "{refused}");
    let refused = work.sweep("run toy.yaml --runs other --no-preflight generation.max_length=3");
    assert!(refused.contains("training.prompt takes 2 tokens and generation.max_length is 3"), "{refused}");
}
