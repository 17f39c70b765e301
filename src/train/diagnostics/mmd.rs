//! How far two sets of images lie apart: maximum mean discrepancy (Gretton et al. 2012).

use super::vectors::{Vectors, products};
use super::{PERMUTATIONS, p_value};
use crate::random::Random;

/// The distance of two sets, and whether it may be chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mmd {
    /// The unbiased estimate of the squared discrepancy (lemma 6): about 0, also a little below, for sets from one
    /// distribution, at most 2. The kernel is Gaussian; its width is the median distance of all pairs of vectors, so that
    /// layers whose features differ in scale compare.
    pub squared: f64,
    /// Share of random divisions of all vectors into two sets that lie as far apart.
    pub p: f64,
}

/// `None` where a set has fewer than two vectors.
pub fn mmd(one: &Vectors, other: &Vectors, random: &mut Random) -> Option<Mmd> {
    if one.len() < 2 || other.len() < 2 {
        return None;
    }
    let kernel = Kernel::new(&one.and(other));
    let mut order: Vec<usize> = (0..kernel.n).collect();
    let squared = kernel.mmd(&order[..one.len()]);
    let as_far = (0..PERMUTATIONS).filter(|_| {
        random.shuffle(&mut order);
        kernel.mmd(&order[..one.len()]) >= squared
    });
    Some(Mmd { squared, p: p_value(as_far.count()) })
}

/// Values of the kernel for all pairs.
struct Kernel {
    n: usize,
    values: Vec<f64>,
    /// Without the diagonal.
    row_sums: Vec<f64>,
}

impl Kernel {
    fn new(vectors: &Vectors) -> Self {
        let n = vectors.len();
        let products = products(vectors, vectors);
        let square = |i: usize, j: usize| {
            (products[i * n + i] + products[j * n + j] - 2.0 * products[i * n + j]).max(0.0)
        };
        let mut squares: Vec<f64> =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| square(i, j)).collect();
        squares.sort_by(f64::total_cmp);
        let middle = squares.len() / 2;
        let median = if squares.len().is_multiple_of(2) {
            (squares[middle - 1].sqrt() + squares[middle].sqrt()) / 2.0
        } else {
            squares[middle].sqrt()
        };
        let width = if median > 0.0 { 2.0 * median * median } else { 1.0 };
        let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let values: Vec<f64> =
            pairs.map(|(i, j)| if i == j { 0.0 } else { (-square(i, j) / width).exp() }).collect();
        let row_sums = values.chunks(n).map(|row| row.iter().sum()).collect();
        Self { n, values, row_sums }
    }

    /// The estimate for these vectors against all others.
    fn mmd(&self, members: &[usize]) -> f64 {
        let all: f64 = self.row_sums.iter().sum();
        let mut within = 0.0;
        for (place, i) in members.iter().enumerate() {
            within += members[..place].iter().map(|j| self.values[i * self.n + j]).sum::<f64>();
        }
        let within = 2.0 * within;
        let across = members.iter().map(|i| self.row_sums[*i]).sum::<f64>() - within;
        let (m, n) = (members.len() as f64, (self.n - members.len()) as f64);
        within / (m * (m - 1.0)) + (all - within - 2.0 * across) / (n * (n - 1.0)) - 2.0 * across / (m * n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::diagnostics::fixtures::{assert_near, cases, random_vectors};

    fn random() -> Random {
        Random::new(0, "permutations", &[])
    }

    #[test]
    fn it_is_what_numpy_and_scikit_learn_find() {
        for case in cases() {
            let found = mmd(&case.target, &case.source, &mut random()).unwrap();
            assert_near(found.squared, case.mmd2, &case.name);
            assert_eq!(found.p < 0.05, case.mmd2 > 0.1, "{}: {found:?}", case.name);
        }
    }

    #[test]
    fn sets_from_one_distribution_seldom_look_like_two() {
        let p = |seed: u64| {
            mmd(&random_vectors(2 * seed, 15, 3), &random_vectors(2 * seed + 1, 15, 3), &mut random())
                .unwrap()
                .p
        };
        let small = (0..100).filter(|seed| p(*seed) <= 0.05).count();
        // Five of a hundred are expected; twelve or more would come once in 250 times.
        assert!((1..12).contains(&small), "{small}");
    }

    #[test]
    fn vectors_that_are_all_the_same_lie_nowhere_apart() {
        let same = Vectors::new(2, vec![1.0; 20]);
        assert_eq!(mmd(&same, &same, &mut random()), Some(Mmd { squared: 0.0, p: 1.0 }));
        assert_eq!(mmd(&same, &same.first(1), &mut random()), None);
    }
}
