//! Generation, token by token: what each caption has said is kept as keys and values, and so is what its image shows.
//!
//! [`Decoding`] has two forms that a test holds to agree. In buffers on the CPU, all captions of a step go through a layer
//! in one product that reads the weights where they lie, a head's keys and values are computed and used by the same task,
//! and beams that part share their past. Composed of tensor operations, it runs everywhere else.

mod buffers;
mod columns;
mod product;
mod said;
mod seen;
mod tensors;

#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

use super::ops::slices::is_fused;
use super::text::TextDecoder;
use buffers::Buffers;
use tensors::Tensors;

/// Captions that are being said, the same number for every image and grouped by image.
pub struct Decoding<'a> {
    decoder: &'a TextDecoder,
    form: Form,
}

enum Form {
    Buffers(Box<Buffers>),
    Tensors(Tensors),
}

impl<'a> Decoding<'a> {
    /// One caption an image, of which nothing is said. `places` is how many tokens all captions together will say at most:
    /// room is made for so many.
    pub fn begin(decoder: &'a TextDecoder, image_embeds: &Tensor, places: usize) -> Result<Self> {
        let form = if is_fused(image_embeds) && buffers::knows(decoder.activation()) {
            Form::Buffers(Box::new(Buffers::begin(decoder, image_embeds, places)?))
        } else {
            Form::Tensors(Tensors::begin(decoder, image_embeds)?)
        };
        Ok(Self { decoder, form })
    }

    /// Puts the logits (rows, vocabulary) of what follows when `ids` says the next token of each row into `logits`.
    pub fn step(&mut self, ids: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        match &mut self.form {
            // Tasks are shared out faster from within the pool.
            Form::Buffers(buffers) => rayon::scope(|_| buffers.step(self.decoder, ids, logits)),
            Form::Tensors(tensors) => tensors.step(self.decoder, ids, logits),
        }
    }

    /// Continues with the captions at `rows`, in that order; `images` keeps the images they belong to, in order.
    pub fn select(&mut self, rows: &[u32], images: Option<&[u32]>) -> Result<()> {
        match &mut self.form {
            Form::Buffers(buffers) => {
                buffers.select(rows, images);
                Ok(())
            }
            Form::Tensors(tensors) => tensors.select(rows, images),
        }
    }
}
