//! Keys and values of an image in full precision, in the order in which products read them.

use rayon::prelude::*;

use super::Look;
use crate::model::decode::linear::Layer;
use crate::model::decode::product::{LANES, Product, Start};
use crate::model::ops::vector::{softmax, vectorised};

/// Most keys in a block: the columns that a product takes at once.
const BLOCK: usize = 5 * LANES;

/// An image's embeddings, as rows and as columns.
pub struct Image<'a> {
    rows: &'a [f32],
    /// Blocks of columns, each stored feature by feature.
    columns: Vec<f32>,
    width: usize,
}

/// Keys and values of an image in one head of a layer, stored in the order in which they are read.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Blocks of keys, each stored feature by feature.
    keys: Vec<f32>,
    /// A row for each key, filled up to whole vectors.
    values: Vec<f32>,
}

/// First key and width of each block of `keys` keys; the last one is filled up to whole vectors.
fn blocks(keys: usize) -> impl Iterator<Item = (usize, usize)> {
    let (vectors, count) = (keys.div_ceil(LANES), keys.div_ceil(BLOCK));
    let start = move |block: usize| block * vectors / count * LANES;
    (0..count).map(move |block| (start(block), start(block + 1) - start(block)))
}

impl<'a> Image<'a> {
    /// `rows` are (image tokens, width).
    pub fn new(rows: &'a [f32], width: usize) -> Self {
        let tokens = rows.len() / width;
        let mut columns = Vec::with_capacity(tokens.next_multiple_of(LANES) * width);
        for (first, block) in blocks(tokens) {
            for feature in 0..width {
                let value = |token: usize| rows.get(token * width + feature).copied().unwrap_or(0.0);
                columns.extend((first..first + block).map(value));
            }
        }
        Self { rows, columns, width }
    }

    /// The keys of each head. A block is used for all heads while it is in the cache.
    fn keys(&self, layers: &[Layer]) -> Vec<Vec<f32>> {
        let tokens = self.rows.len() / self.width;
        let empty = |layer: &Layer| vec![0f32; tokens.next_multiple_of(LANES) * layer.bias.len()];
        let mut heads: Vec<Vec<f32>> = layers.iter().map(empty).collect();
        for (first, block) in blocks(tokens) {
            for (layer, keys) in layers.iter().zip(&mut heads) {
                let head_width = layer.bias.len();
                let product = Product {
                    left: layer.weight,
                    left_stride: self.width,
                    depth: self.width,
                    right: &self.columns[first * self.width..],
                    right_stride: block,
                    columns: block,
                    start: Start::Rows(layer.bias),
                };
                product.compute(head_width, &mut keys[first * head_width..], block);
            }
        }
        heads
    }

    /// The values of one head.
    fn values(&self, layer: &Turned) -> Vec<f32> {
        let (tokens, columns) = (self.rows.len() / self.width, layer.bias.len());
        let mut values = vec![0f32; tokens * columns];
        let product = Product {
            left: self.rows,
            left_stride: self.width,
            depth: self.width,
            right: &layer.weight,
            right_stride: columns,
            columns,
            start: Start::Columns(&layer.bias),
        };
        product.compute(tokens, &mut values, columns);
        values
    }
}

/// A layer as the right operand of a product: a column for each of its features, filled up to whole vectors.
struct Turned {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Turned {
    fn new(layer: Layer) -> Self {
        let columns = layer.bias.len().next_multiple_of(LANES);
        let depth = layer.weight.len() / layer.bias.len();
        let mut weight = vec![0f32; depth * columns];
        for (column, row) in layer.weight.chunks_exact(depth).enumerate() {
            weight.iter_mut().skip(column).step_by(columns).zip(row).for_each(|(to, from)| *to = *from);
        }
        let mut bias = layer.bias.to_vec();
        bias.resize(columns, 0.0);
        Self { weight, bias }
    }
}

/// Keys and values of `images` in each head of a layer.
pub fn look_at(images: &[Image], key: Layer, value: Layer, heads: usize) -> Vec<Vec<Seen>> {
    let head_width = key.bias.len() / heads;
    let keys: Vec<Layer> = (0..heads).map(|head| key.head(head, head_width)).collect();
    let values: Vec<Turned> =
        (0..heads).into_par_iter().map(|head| Turned::new(value.head(head, head_width))).collect();
    let look = |image: &Image| -> Vec<Seen> {
        let values = values.iter().map(|layer| image.values(layer));
        image.keys(&keys).into_iter().zip(values).map(|(keys, values)| Seen { keys, values }).collect()
    };
    let mut seen = vec![Vec::with_capacity(images.len()); heads];
    for image in images.par_iter().map(look).collect::<Vec<_>>() {
        seen.iter_mut().zip(image).for_each(|(head, seen)| head.push(seen));
    }
    seen
}

/// Space for the captions of one image in one head.
pub struct Scratch {
    captions: usize,
    tokens: usize,
    head_width: usize,
    probabilities: Vec<f32>,
    found: Vec<f32>,
}

impl Look for Seen {
    type Scratch = Scratch;

    fn scratch(&self, captions: usize, tokens: usize, head_width: usize) -> Scratch {
        let probabilities = vec![0f32; captions * tokens.next_multiple_of(LANES)];
        let found = vec![0f32; captions * head_width.next_multiple_of(LANES)];
        Scratch { captions, tokens, head_width, probabilities, found }
    }

    fn look_up<'a>(&self, queries: &[f32], scratch: &'a mut Scratch) -> &'a [f32] {
        let (width, padded) = (scratch.head_width, scratch.tokens.next_multiple_of(LANES));
        for (first, block) in blocks(scratch.tokens) {
            let product = Product {
                left: queries,
                left_stride: width,
                depth: width,
                right: &self.keys[first * width..],
                right_stride: block,
                columns: block,
                start: Start::Zero,
            };
            product.compute(scratch.captions, &mut scratch.probabilities[first..], padded);
        }
        vectorised!({
            for row in scratch.probabilities.chunks_exact_mut(padded) {
                softmax(&mut row[..scratch.tokens]);
            }
        });
        let columns = width.next_multiple_of(LANES);
        let product = Product {
            left: &scratch.probabilities,
            left_stride: padded,
            depth: scratch.tokens,
            right: &self.values,
            right_stride: columns,
            columns,
            start: Start::Zero,
        };
        product.compute(scratch.captions, &mut scratch.found, columns);
        &scratch.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_keys_in_whole_vectors_and_none_is_wider_than_a_product_takes_at_once() {
        for keys in 1..700 {
            let mut next = 0;
            for (first, width) in blocks(keys) {
                assert_eq!(first, next);
                assert!((LANES..=BLOCK).contains(&width) && width.is_multiple_of(LANES), "{keys}: {width}");
                next = first + width;
            }
            assert_eq!(next, keys.next_multiple_of(LANES));
        }
    }
}
