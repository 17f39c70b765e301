//! Cross-attention: all captions of an image ask its keys and values at once.

mod exact;
mod packed;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::columns::Columns;
use super::linear::with_layers;
use super::product::LANES;
use super::said::append_transposed;
use crate::model::ops::product::panels::Format;
use crate::model::ops::product::{View, packed};
use crate::model::ops::slices::with_values;
use crate::model::ops::vector::vectorised;
use crate::model::text::{Attention, TextDecoder};
use exact::Image;

/// Keys and values of one image in one head, as captions look them up.
trait Look: Sync {
    /// Space for the captions of one image in one head.
    type Scratch;

    fn scratch(&self, captions: usize, tokens: usize, head_width: usize) -> Self::Scratch;

    /// What the queries, one a row, find in the image: a row each, filled up to whole vectors.
    fn look_up<'a>(&self, queries: &[f32], scratch: &'a mut Self::Scratch) -> &'a [f32];
}

/// What a layer sees: of each head, each image.
#[derive(Debug)]
pub enum Seen {
    Exact(Vec<Vec<exact::Seen>>),
    Packed(Vec<Vec<packed::Seen>>),
}

/// What each layer of the decoder sees of images (images, tokens, width).
pub fn look_at(decoder: &TextDecoder, image_embeds: &Tensor) -> Result<Vec<Seen>> {
    let layers: Vec<&Attention> = decoder.layers.iter().map(|layer| &layer.crossattention).collect();
    if let Some(format) = packed(decoder.engine().precision) {
        let _shared = decoder.engine().inputs.share(image_embeds);
        return layers.into_iter().map(|attention| packed_of(attention, format, image_embeds)).collect();
    }
    let (_, tokens, width) = image_embeds.dims3()?;
    with_values([image_embeds], |[embeds]| {
        let images: Vec<Image> =
            embeds.par_chunks(tokens * width).map(|rows| Image::new(rows, width)).collect();
        let look = |attention: &&Attention| {
            with_layers([&attention.key, &attention.value], |[key, value]| {
                Ok(Seen::Exact(exact::look_at(&images, key, value, attention.heads)))
            })
        };
        layers.par_iter().map(look).collect()
    })
}

/// What a layer sees, rounded.
fn packed_of(attention: &Attention, format: Format, image_embeds: &Tensor) -> Result<Seen> {
    let (keys, values) = attention.keys_and_values(image_embeds)?;
    let (images, tokens, width) = keys.dims3()?;
    let head_width = width / attention.heads;
    with_values([&keys, &values], |[keys, values]| {
        let of_head = |head: usize| {
            let of_image = |image: usize| {
                let view =
                    |values| View::rows(values, width).from_place(image * tokens * width + head * head_width);
                packed::Seen::new(format, view(keys), view(values), tokens, head_width)
            };
            (0..images).map(of_image).collect()
        };
        Ok(Seen::Packed((0..attention.heads).into_par_iter().map(of_head).collect()))
    })
}

impl Seen {
    /// Puts into `out` what each caption finds in its image, which is `tokens` long. Captions are grouped by image.
    pub fn attend(&self, queries: &Columns, tokens: usize, out: &mut Columns) {
        match self {
            Self::Exact(seen) => attend(queries, seen, tokens, out),
            Self::Packed(seen) => attend(queries, seen, tokens, out),
        }
    }

    /// Keeps these images, in order.
    pub fn keep(&mut self, kept: &[u32]) {
        match self {
            Self::Exact(seen) => seen.iter_mut().for_each(|images| keep(images, kept)),
            Self::Packed(seen) => seen.iter_mut().for_each(|images| keep(images, kept)),
        }
    }
}

fn keep<T>(images: &mut Vec<T>, kept: &[u32]) {
    let mut place = 0;
    images.retain(|_| {
        place += 1;
        kept.contains(&(place - 1))
    });
}

fn attend<S: Look>(queries: &Columns, seen: &[Vec<S>], tokens: usize, out: &mut Columns) {
    let (stride, head_width) = (queries.stride, queries.features / seen.len());
    out.reshape(queries.features, queries.captions);
    let heads = seen.par_iter().zip(out.values.par_chunks_mut(head_width * stride));
    heads.enumerate().for_each(|(head, (images, out))| {
        let mut of_head = Vec::with_capacity(head_width * queries.captions);
        append_transposed(
            queries.rows(head * head_width, head_width),
            stride,
            queries.captions,
            &mut of_head,
        );
        let scale = 1.0 / (head_width as f32).sqrt();
        vectorised!({
            for value in &mut of_head {
                *value *= scale;
            }
        });

        let Some(first) = images.first() else { return };
        let captions = queries.captions / images.len();
        let mut scratch = first.scratch(captions, tokens, head_width);
        for (image, (seen, queries)) in images.iter().zip(of_head.chunks(captions * head_width)).enumerate() {
            let found = seen.look_up(queries, &mut scratch);
            for (caption, found) in found.chunks_exact(head_width.next_multiple_of(LANES)).enumerate() {
                for (column, value) in out.chunks_exact_mut(stride).zip(found) {
                    column[image * captions + caption] = *value;
                }
            }
        }
    });
}
