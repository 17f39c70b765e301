//! A first sweep file for data that nobody has trained on yet: from what they look like and what the machine can do.
//!
//! [`groups`] finds pictures that belong together, [`captions`] the limits that fit the captions, [`size`] how many and
//! how long runs fit the time, [`mod@text`] writes it all down with the reasons.

pub mod captions;
pub mod groups;
pub mod size;
pub mod text;

pub use captions::Lengths;
pub use groups::Grouped;
pub use size::{Machine, Size};

use crate::record::recipe::Split;
use crate::spec::Architecture;

/// What was seen of the data.
#[derive(Debug, Clone)]
pub struct Seen {
    pub model: String,
    pub architecture: Architecture,
    pub train: Split,
    pub test: Option<Split>,
    pub images: usize,
    pub test_images: usize,
    pub captions: Lengths,
    pub grouped: Option<Grouped>,
    /// The share of images that validate.
    pub fraction: f64,
}

impl Seen {
    /// Images that are trained on, and those that validate.
    pub fn split(&self) -> (usize, usize) {
        let validation = (self.images as f64 * self.fraction) as usize;
        (self.images - validation, validation)
    }
}

/// More images that validate make epochs longer and decide hardly better between them.
const ENOUGH_TO_VALIDATE: f64 = 500.0;

/// The share that validates: a tenth, more where a tenth would be hardly anything, and less where it would be far more
/// than is needed. `None` where there are too few images for two sides.
pub fn fraction(images: usize) -> Option<f64> {
    match images {
        0 | 1 => None,
        2..=9 => Some(0.5),
        10..=99 => Some(0.2),
        _ => Some((100.0 * ENOUGH_TO_VALIDATE / images as f64).ceil().clamp(1.0, 10.0) / 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::fraction;

    #[test]
    fn what_validates_is_neither_hardly_anything_nor_far_more_than_is_needed() {
        let shares = [1, 4, 50, 200, 5000, 10_880, 600_000].map(fraction);
        let expected = [None, Some(0.5), Some(0.2), Some(0.1), Some(0.1), Some(0.05), Some(0.01)];
        assert_eq!(shares, expected);
    }
}
