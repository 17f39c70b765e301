use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::buffers::Buffers;
use super::columns::Columns;
use super::seen::look_at;
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

/// Three captions of each of two images ask in every head with the key of a token of the image, as loud as makes it stand out.
/// Beside what they ask, what they are to find: the means of values by the softmax of products with keys.
fn asked_and_found(keys: &Tensor, values: &Tensor, heads: usize) -> [Vec<f32>; 2] {
    let (_, tokens, width) = keys.dims3().unwrap();
    let head_width = width / heads;
    let [keys, values] = [keys, values].map(|seen| seen.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    let (mut asked, mut found) = (Vec::new(), Vec::new());
    for (caption, head) in (0..6).flat_map(|caption| (0..heads).map(move |head| (caption, head))) {
        let part = |seen: &[f32], token: usize| {
            let first = (caption / 3 * tokens + token) * width + head * head_width;
            seen[first..first + head_width].to_vec()
        };
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let root = (head_width as f32).sqrt();
        let wanted = part(&keys, (7 * caption + 3 * head) % tokens);
        let loud = 6.0 * root / product(&wanted, &wanted);
        let query: Vec<f32> = wanted.iter().map(|value| value * loud).collect();
        let weights: Vec<f32> =
            (0..tokens).map(|token| (product(&query, &part(&keys, token)) / root).exp()).collect();
        let sum: f32 = weights.iter().sum();
        found.extend((0..head_width).map(|place| {
            (0..tokens).map(|token| weights[token] / sum * part(&values, token)[place]).sum::<f32>()
        }));
        asked.extend(query);
    }
    [asked, found]
}

#[test]
fn every_head_finds_in_an_image_what_its_own_keys_and_values_say_rounded_or_not() {
    let (width, heads, tokens) = (48, 4, 20);
    let embeds = normal("images", &[2, tokens, IMAGE_WIDTH]);
    for (precision, bound) in [(Precision::F32, 1e-4), (Precision::Bf16, 0.05)] {
        let model = random_model(width, heads, precision);
        let decoder = bert(&model);
        let (keys, values) = decoder.layers[0].crossattention.keys_and_values(&embeds).unwrap();
        let [asked, wanted] = asked_and_found(&keys, &values, heads);
        let mut queries = Columns::default();
        queries.reshape(width, 6);
        queries.put(&asked);
        let mut out = Columns::default();
        look_at(decoder, &embeds).unwrap()[0].attend(&queries, tokens, &mut out);
        let found: Vec<f32> = (0..6)
            .flat_map(|caption| (0..width).map(move |feature| (caption, feature)))
            .map(|(caption, feature)| out.values[feature * out.stride + caption])
            .collect();
        let (difference, size) = (farthest(&found, &wanted), farthest(&wanted, &vec![0.0; wanted.len()]));
        assert!(difference < bound * size, "{precision:?}: {difference} of {size}");
    }
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
