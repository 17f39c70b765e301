//! What rows of logits say of the next token: which is the likeliest, and how far two models' views are apart. Without a
//! gradient.

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::slices::{is_fused, with_values};
use super::vector::{CHUNK_ROWS, exp, max, sum, sum_of_pairs, vectorised};

/// The likeliest token of each row of `logits` (rows, vocabulary), the first of equals, with the logarithm of its
/// probability.
pub fn likeliest(logits: &Tensor) -> Result<Vec<(u32, f32)>> {
    let (_, vocabulary) = logits.dims2()?;
    if !is_fused(logits) {
        let log_p = candle_nn::ops::log_softmax(logits, D::Minus1)?;
        let (ids, largest) = (log_p.argmax(D::Minus1)?.to_vec1()?, log_p.max(D::Minus1)?.to_vec1()?);
        return Ok(ids.into_iter().zip(largest).collect());
    }
    with_values([logits], |[logits]| {
        let rows = logits.par_chunks(vocabulary.max(1)).with_min_len(CHUNK_ROWS);
        Ok(rows.map(|row| vectorised!(likeliest_of(row))).collect())
    })
}

/// The Kullback-Leibler divergence of each row's next token from the one that the same row of `others` expects, in nats:
/// `sum_j p_j (ln p_j - ln q_j)`. Both are (rows, vocabulary).
pub fn divergence(logits: &Tensor, others: &Tensor) -> Result<Vec<f32>> {
    if !is_fused(logits) || !is_fused(others) {
        let [own, other] = [logits, others].map(|logits| candle_nn::ops::log_softmax(logits, D::Minus1));
        let (own, other) = (own?, other?);
        return (own.exp()? * (own - other)?)?.sum(D::Minus1)?.to_vec1();
    }
    let (_, vocabulary) = logits.dims2()?;
    if logits.dims() != others.dims() {
        candle_core::bail!("logits of the shapes {:?} and {:?}", logits.dims(), others.dims());
    }
    with_values([logits, others], |[own, other]| {
        let width = vocabulary.max(1);
        let rows = own.par_chunks(width).zip(other.par_chunks(width)).with_min_len(CHUNK_ROWS);
        Ok(rows.map(|(own, other)| vectorised!(divergence_of(own, other))).collect())
    })
}

#[inline(always)]
fn likeliest_of(logits: &[f32]) -> (u32, f32) {
    let largest = max(logits);
    let total = sum(logits, |logit| exp(logit - largest));
    let id = logits.iter().position(|logit| *logit == largest).unwrap_or(0);
    (id as u32, -total.ln())
}

#[inline(always)]
fn divergence_of(own: &[f32], other: &[f32]) -> f32 {
    let (largest, other_largest) = (max(own), max(other));
    let total = sum(own, |logit| exp(logit - largest));
    let other_total = sum(other, |logit| exp(logit - other_largest));
    let apart = |own: f32, other: f32| (own - largest) - (other - other_largest);
    let weighted = sum_of_pairs(own, other, |own, other| exp(own - largest) * apart(own, other));
    weighted / total - total.ln() + other_total.ln()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::random::Random;

    fn logits(seed: u64) -> Tensor {
        let mut random = Random::new(seed, "logits", &[]);
        let values: Vec<f32> = (0..70 * 37).map(|_| 3.0 * random.normal() as f32).collect();
        Tensor::from_vec(values, (70, 37), &Device::Cpu).unwrap()
    }

    fn assert_near(found: &[f32], wanted: &Tensor) {
        let wanted = wanted.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 2e-6 * (1.0 + wanted.abs()), "{found}, not {wanted}");
        }
    }

    #[test]
    fn the_likeliest_token_and_its_probability_are_those_of_double_precision() {
        let logits = logits(1);
        let exact = candle_nn::ops::log_softmax(&logits.to_dtype(DType::F64).unwrap(), 1).unwrap();
        let (ids, found): (Vec<u32>, Vec<f32>) = likeliest(&logits).unwrap().into_iter().unzip();
        assert_eq!(ids, exact.argmax(1).unwrap().to_vec1::<u32>().unwrap());
        assert_near(&found, &exact.max(1).unwrap());
        let equal = Tensor::zeros((1, 5), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(likeliest(&equal).unwrap(), [(0, -(5f32.ln()))], "the first of equals");
    }

    #[test]
    fn divergences_are_those_of_double_precision_and_none_from_itself() {
        let (own, other) = (logits(1), logits(2));
        let [p, q] = [&own, &other]
            .map(|logits| candle_nn::ops::log_softmax(&logits.to_dtype(DType::F64).unwrap(), 1).unwrap());
        let exact = (p.exp().unwrap() * (p - q).unwrap()).unwrap().sum(1).unwrap();
        assert_near(&divergence(&own, &other).unwrap(), &exact);
        assert!(divergence(&own, &own).unwrap().iter().all(|value| value.abs() < 1e-6));
        assert!(divergence(&own, &other.narrow(0, 0, 5).unwrap()).is_err());
    }
}
