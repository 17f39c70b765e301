//! How alike two models see the same images: linear centred kernel alignment (Kornblith et al. 2019).

use super::vectors::{Vectors, products};

/// Linear CKA of the same images' features in two models, by the unbiased estimator of HSIC (Song et al. 2012,
/// equation 5; used so by Nguyen et al. 2021): with few images the plain estimator finds likeness in anything.
///
/// 1 where one is a rotation and scaling of the other; about 0, also a little below, where they have nothing in common.
/// `None` for fewer than four images, and where the features of a model do not vary.
pub fn linear_cka(one: &Vectors, other: &Vectors) -> Option<f64> {
    if one.len() != other.len() || one.len() < 4 {
        return None;
    }
    let (k, l) = (Kernel::new(one), Kernel::new(other));
    let scale = (k.hsic(&k) * l.hsic(&l)).sqrt();
    (scale.is_finite() && scale > 0.0).then(|| k.hsic(&l) / scale)
}

/// The scalar products of all pairs with zeros on the diagonal.
struct Kernel {
    n: usize,
    values: Vec<f64>,
    row_sums: Vec<f64>,
}

impl Kernel {
    fn new(vectors: &Vectors) -> Self {
        let n = vectors.len();
        // Centring changes nothing in exact numbers and spares digits where the mean is large.
        let (mut values, centred) = (Vec::new(), vectors.centred());
        values.extend(products(&centred, &centred));
        values.iter_mut().step_by(n + 1).for_each(|value| *value = 0.0);
        let row_sums = values.chunks(n).map(|row| row.iter().sum()).collect();
        Self { n, values, row_sums }
    }

    fn sum(&self) -> f64 {
        self.row_sums.iter().sum()
    }

    fn hsic(&self, other: &Self) -> f64 {
        let n = self.n as f64;
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let of_pairs = product(&self.values, &other.values);
        let of_sums = self.sum() * other.sum() / ((n - 1.0) * (n - 2.0));
        let of_rows = 2.0 / (n - 2.0) * product(&self.row_sums, &other.row_sums);
        (of_pairs + of_sums - of_rows) / (n * (n - 3.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::diagnostics::fixtures::{assert_near, cases, random_vectors};

    #[test]
    fn it_is_what_numpy_finds() {
        for case in cases() {
            assert_near(linear_cka(&case.target, &case.turned).unwrap(), case.cka_turned, &case.name);
            assert_near(linear_cka(&case.target, &case.source).unwrap(), case.cka_source, &case.name);
        }
    }

    #[test]
    fn features_are_exactly_like_themselves_and_like_nothing_else_drawn_by_chance() {
        let (one, other) = (random_vectors(0, 60, 40), random_vectors(1, 60, 40));
        assert_eq!(linear_cka(&one, &one), Some(1.0));
        assert!(linear_cka(&one, &other).unwrap().abs() < 0.1);
        let larger =
            Vectors::new(40, (0..60).flat_map(|i| one.row(i).to_vec()).map(|x| 3.0 * x + 7.0).collect());
        assert_near(linear_cka(&one, &larger).unwrap(), 1.0, "scaled and moved");
    }

    #[test]
    fn what_cannot_be_compared_has_none() {
        let constant = Vectors::new(2, vec![1.0; 20]);
        assert_eq!(linear_cka(&constant, &random_vectors(0, 10, 2)), None);
        assert_eq!(linear_cka(&random_vectors(0, 3, 2), &random_vectors(1, 3, 2)), None);
        assert_eq!(linear_cka(&random_vectors(0, 5, 2), &random_vectors(1, 6, 2)), None);
    }
}
