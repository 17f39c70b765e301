//! Generation, token by token: what each caption has said is kept as keys and values, and so is what its image shows.
//!
//! [`Decoding`] has two forms that a test holds to agree. In buffers on the CPU, all captions of a step go through a layer
//! in one product that reads the weights where they lie, a head's keys and values are computed and used by the same task,
//! and beams that part share their past. Composed of tensor operations, it runs everywhere else. A small decoder has a form of
//! its own.

mod buffers;
mod columns;
mod linear;
mod product;
mod said;
mod seen;
mod tensors;

#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

use super::decoder::Decoder;
use super::ops::slices::is_fused;
use super::small_decoder::{Memory, SmallDecoder};
use super::text::TextDecoder;
use buffers::Buffers;
use tensors::Tensors;

/// Captions that are being said, the same number for every image and grouped by image.
pub enum Decoding<'a> {
    Buffers(&'a TextDecoder, Box<Buffers>),
    Tensors(&'a TextDecoder, Tensors),
    Small(&'a SmallDecoder, Memory),
}

impl<'a> Decoding<'a> {
    /// One caption an image, of which nothing is said. `places` is how many tokens all captions together will say at most:
    /// room is made for so many.
    pub fn begin(decoder: &'a Decoder, image_embeds: &Tensor, places: usize) -> Result<Self> {
        Ok(match decoder {
            Decoder::Small(decoder) => Self::Small(decoder, decoder.look_at(image_embeds)?),
            Decoder::Bert(decoder) if is_fused(image_embeds) && buffers::knows(decoder.activation()) => {
                Self::Buffers(decoder, Box::new(Buffers::begin(decoder, image_embeds, places)?))
            }
            Decoder::Bert(decoder) => Self::Tensors(decoder, Tensors::begin(decoder, image_embeds)?),
        })
    }

    /// Puts the logits (rows, vocabulary) of what follows when `ids` says the next token of each row into `logits`.
    pub fn step(&mut self, ids: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        match self {
            // Tasks are shared out faster from within the pool.
            Self::Buffers(decoder, buffers) => rayon::scope(|_| buffers.step(decoder, ids, logits)),
            Self::Tensors(decoder, tensors) => tensors.step(decoder, ids, logits),
            Self::Small(decoder, memory) => decoder.decode(memory, ids, logits),
        }
    }

    /// Continues with the captions at `rows`, in that order; `images` keeps the images they belong to, in order.
    pub fn select(&mut self, rows: &[u32], images: Option<&[u32]>) -> Result<()> {
        match self {
            Self::Buffers(_, buffers) => {
                buffers.select(rows, images);
                Ok(())
            }
            Self::Tensors(_, tensors) => tensors.select(rows, images),
            Self::Small(_, memory) => memory.select(rows, images),
        }
    }
}
