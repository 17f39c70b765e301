//! The losses of the model before training: the same in every run of a sweep that counts them alike, so they are taken
//! once and kept in the feature cache.

use sha2::{Digest, Sha256};

use super::calibration::Calibration;
use super::evaluate::Losses;
use super::shared_states::{SharedStates, of_parts};
use crate::data::TokenBatch;
use crate::data::feature_cache::{ImageDigest, Key};

/// Losses of a model that has not been trained yet.
#[derive(Clone)]
pub struct SharedLosses {
    states: SharedStates,
    /// Of all that they depend on beside pictures and captions.
    key: Key,
}

/// What the losses of some pictures and captions lie under.
pub struct Place {
    key: Key,
    images: usize,
}

impl SharedLosses {
    /// Those of the model whose frozen part and decoder have these digests; `form` says how they are counted.
    pub fn new(states: &SharedStates, text: &str, form: &str) -> Self {
        let key = of_parts(&[b"losses", form.as_bytes(), &states.key_of_finished(), text.as_bytes()]);
        Self { states: states.clone(), key }
    }

    /// Where those of these batches lie; nowhere where a picture has no digest.
    pub fn place(
        &self,
        images: &[Option<ImageDigest>],
        batches: impl Iterator<Item = TokenBatch>,
    ) -> Option<Place> {
        let mut hash = Sha256::new();
        hash.update(self.key);
        for image in images {
            hash.update((*image)?);
        }
        for TokenBatch { ids, lengths, columns, given, .. } in batches {
            let sizes = [ids.len(), columns, given].into_iter().chain(lengths).map(|size| size as u64);
            sizes.for_each(|size| hash.update(size.to_le_bytes()));
            ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        }
        Some(Place { key: hash.finalize().into(), images: images.len() })
    }

    /// What lies there.
    pub fn found(&self, place: &Place) -> Option<Losses> {
        unpacked(&self.states.read_under(&place.key, values(place.images), &place.key)?)
    }

    /// Puts losses there.
    pub fn keep(&self, place: &Place, losses: &Losses) {
        let packed = packed(losses);
        if packed.len() == values(place.images) {
            self.states.write_under(&place.key, &[(place.key, packed)]);
        }
    }
}

/// Numbers beside those of the images.
const TOTALS: usize = 6;

/// Values of the losses of so many images.
fn values(images: usize) -> usize {
    2 * (TOTALS + images)
}

/// Every number in two values, which are its bits. No calibration is not a number.
fn packed(losses: &Losses) -> Vec<f32> {
    let Losses { loss, nll, per_image, of_first_batches, calibration } = losses;
    let none = Calibration { ece: f64::NAN, confidence: f64::NAN, accuracy: f64::NAN };
    let Calibration { ece, confidence, accuracy } = calibration.unwrap_or(none);
    let totals = [*loss, *nll, *of_first_batches, ece, confidence, accuracy];
    let bits = totals.iter().chain(per_image).map(|number| number.to_bits());
    bits.flat_map(|bits| [bits as u32, (bits >> 32) as u32]).map(f32::from_bits).collect()
}

fn unpacked(values: &[f32]) -> Option<Losses> {
    let (pairs, _) = values.as_chunks::<2>();
    let number =
        |[low, high]: &[f32; 2]| f64::from_bits(u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32);
    let numbers: Vec<f64> = pairs.iter().map(number).collect();
    let ([loss, nll, of_first_batches, ece, confidence, accuracy], per_image) =
        numbers.split_first_chunk()?;
    let calibration = Calibration { ece: *ece, confidence: *confidence, accuracy: *accuracy };
    Some(Losses {
        loss: *loss,
        nll: *nll,
        per_image: per_image.to_vec(),
        of_first_batches: *of_first_batches,
        calibration: Some(calibration).filter(|calibration| !calibration.ece.is_nan()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_come_back_to_the_bit() {
        let calibration = Some(Calibration { ece: 0.1, confidence: 1.0 / 3.0, accuracy: 0.0 });
        let whole = Losses {
            loss: 10.466_074_981_520_661,
            nll: f64::MIN_POSITIVE,
            per_image: vec![1.0 / 3.0, f64::INFINITY, -0.0],
            of_first_batches: 1e300,
            calibration,
        };
        for losses in [whole, Losses::default()] {
            let values = packed(&losses);
            assert_eq!(values.len(), super::values(losses.per_image.len()));
            assert_eq!(unpacked(&values), Some(losses));
        }
        assert_eq!(unpacked(&[0.0; 11]), None, "fewer numbers than there are totals");
    }
}
