use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::buffers::Buffers;
use super::tensors::Tensors;
use crate::model::ops::Precision;
use crate::model::text::TextDecoder;
use crate::model::{Blip, Config, Decoder, Weights};
use crate::random::Random;

const IMAGE_WIDTH: usize = 24;

/// A decoder of random weights.
fn random_model(width: usize, heads: usize, precision: Precision) -> Blip {
    let config = format!(
        r#"{{"vision_config": {{"hidden_size": {IMAGE_WIDTH}, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 8, "patch_size": 4}},
            "text_config": {{"hidden_size": {width}, "intermediate_size": {}, "num_hidden_layers": 2,
            "num_attention_heads": {heads}, "vocab_size": 131, "max_position_embeddings": 12, "bos_token_id": 1,
            "sep_token_id": 2, "pad_token_id": 0}}}}"#,
        2 * width
    );
    let config = Config { precision, ..Config::parse(&config).unwrap() };
    let tensors =
        config.tensor_shapes().into_iter().map(|(name, shape)| (name.clone(), normal(&name, &shape)));
    Blip::new(&config, &Weights::from_tensors(tensors.collect::<BTreeMap<_, _>>())).unwrap()
}

fn bert(model: &Blip) -> &TextDecoder {
    match &model.text_decoder {
        Decoder::Bert(decoder) => decoder,
        Decoder::Small(_) => panic!("a small decoder"),
    }
}

fn normal(name: &str, shape: &[usize]) -> Tensor {
    let mut random = Random::new(5, name, &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32 * 0.3).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// What each row says, where each goes on, and which images stay.
type Step = (&'static [u32], &'static [u32], Option<&'static [u32]>);

fn farthest(xs: &[f32], ys: &[f32]) -> f32 {
    assert_eq!(xs.len(), ys.len());
    xs.iter().zip(ys).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[test]
fn buffers_and_tensors_say_the_same_of_beams_that_part_and_images_that_leave() {
    for (width, heads, image_tokens) in [(32, 4, 5), (24, 2, 100), (40, 5, 33)] {
        let model = random_model(width, heads, Precision::F32);
        let embeds = normal("images", &[3, image_tokens, IMAGE_WIDTH]);
        let decoder = bert(&model);
        let mut buffers = Buffers::begin(decoder, &embeds, 0).unwrap();
        let mut tensors = Tensors::begin(decoder, &embeds).unwrap();
        let steps: [Step; 5] = [
            (&[1, 1, 1], &[0, 0, 1, 1, 2, 2], None),
            (&[5, 9, 17, 30, 90, 130], &[1, 0, 2, 2, 5, 4], None),
            (&[6, 7, 18, 31, 91, 3], &[0, 0, 5, 5], Some(&[0, 2])),
            (&[8, 10, 19, 32], &[3, 2], Some(&[1])),
            (&[20, 21], &[1, 0], None),
        ];
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (step, (ids, rows, images)) in steps.into_iter().enumerate() {
            buffers.step(decoder, ids, &mut ours).unwrap();
            tensors.step(decoder, ids, &mut theirs).unwrap();
            assert_eq!(ours.len(), ids.len() * 131);
            let difference = farthest(&ours, &theirs);
            assert!(difference < 1e-4, "step {step} of width {width}: logits differ by {difference}");
            assert!(farthest(&ours, &vec![0.0; ours.len()]) > 0.1, "the logits say nothing");
            buffers.select(rows, images);
            tensors.select(rows, images).unwrap();
        }
    }
}

#[test]
fn rounded_products_say_nearly_the_same_packed_or_not() {
    let exact = random_model(48, 4, Precision::F32);
    let rounded = random_model(48, 4, Precision::Bf16);
    let embeds = normal("images", &[3, 60, IMAGE_WIDTH]);
    let logits = |model: &Blip| {
        let mut buffers = Buffers::begin(bert(model), &embeds, 0).unwrap();
        let mut logits = Vec::new();
        for ids in [[1, 1, 1], [5, 9, 17], [6, 7, 18]] {
            buffers.step(bert(model), &ids, &mut logits).unwrap();
        }
        logits
    };
    let (exact, unpacked) = (logits(&exact), logits(&rounded));
    let still = rounded.hold_still();
    let packed = logits(&rounded);
    drop(still);
    let size = farthest(&exact, &vec![0.0; exact.len()]);
    for found in [&unpacked, &packed] {
        let difference = farthest(found, &exact);
        assert!(difference < 0.03 * size && difference > 0.0, "{difference} of {size}");
    }
    // Sums are taken in another order, which moves a value that is rounded anew by a 256th at most.
    let difference = farthest(&unpacked, &packed);
    assert!(difference < 0.01 * size, "{difference} of {size}");
}

#[test]
fn a_caption_has_the_same_bits_whatever_it_is_said_beside() {
    for precision in [Precision::F32, Precision::Bf16] {
        has_the_same_bits_beside_others(&random_model(32, 4, precision));
    }
}

fn has_the_same_bits_beside_others(model: &Blip) {
    let decoder = bert(model);
    let embeds = normal("images", &[7, 40, IMAGE_WIDTH]);
    let _still = model.hold_still();
    let said = |embeds: &Tensor| {
        let images = embeds.dim(0).unwrap() as u32;
        let mut buffers = Buffers::begin(decoder, embeds, 0).unwrap();
        let mut logits = Vec::new();
        buffers.step(decoder, &vec![1; images as usize], &mut logits).unwrap();
        let rows: Vec<u32> = (0..images).flat_map(|image| [image; 3]).collect();
        buffers.select(&rows, None);
        let ids: Vec<u32> = (0..3 * images).map(|row| 3 + row % 3).collect();
        buffers.step(decoder, &ids, &mut logits).unwrap();
        logits
    };
    let all = said(&embeds);
    for (image, all) in all.chunks(3 * 131).enumerate() {
        assert_eq!(said(&embeds.narrow(0, image, 1).unwrap()), all, "image {image}");
    }
}

#[test]
fn what_the_model_has_no_embedding_for_is_an_error() {
    let model = random_model(32, 4, Precision::F32);
    let embeds = normal("images", &[1, 5, IMAGE_WIDTH]);
    let mut buffers = Buffers::begin(bert(&model), &embeds, 0).unwrap();
    let mut logits = Vec::new();
    let error = buffers.step(bert(&model), &[131], &mut logits).unwrap_err().to_string();
    assert!(error.contains("token id 131 is beyond the 131 of the model"), "{error}");
    for _ in 0..12 {
        buffers.step(bert(&model), &[1], &mut logits).unwrap();
    }
    let error = buffers.step(bert(&model), &[1], &mut logits).unwrap_err().to_string();
    assert!(error.contains("position 12 is beyond the 12 of the model"), "{error}");
}
