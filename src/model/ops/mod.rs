//! Differentiable operations with a hand-written backward.
//!
//! candle's own layer norm and softmax cut the gradient without an error, and its composed forms are slow on
//! CPU. Each operation here has two forms that tests hold to agree: a fused one for `f32` on CPU, whose gradients are found by
//! the [`tape`], and one composed of candle's differentiable tensor operations for every other device and type. Reductions work in
//! chunks of fixed size that are added in a fixed order, so results do not depend on the number of threads.
//! [`product`] has the matrix products below them.

pub mod additive_attention;
pub mod arrange;
pub mod attention;
mod buffer;
pub mod cross_entropy;
pub mod dropout;
pub mod embedding;
pub mod gelu;
pub mod gru;
pub mod head;
pub mod layer_norm;
pub mod linear;
pub mod next_token;
pub mod patch_tokens;
pub mod product;
pub mod shared_input;
pub mod slices;
pub mod still;
pub mod tape;
pub mod vector;

#[cfg(test)]
mod tests;

pub use additive_attention::additive_attention;
pub use arrange::{in_turn, spread};
pub use attention::{Mask, attention, packed_attention};
pub use cross_entropy::{Targets, cross_entropy};
pub use dropout::{Dropout, Drops, dropout};
pub use embedding::embedding;
pub use gelu::gelu;
pub use gru::gru_cell;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use patch_tokens::patch_tokens;
pub use product::Precision;
pub use tape::{Engine, add, by_candle, reshape};
