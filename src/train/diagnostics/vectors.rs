//! Feature vectors, one an image, in double precision.

/// Vectors of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    width: usize,
    values: Vec<f64>,
}

impl Vectors {
    /// From rows one behind the other. What does not fill a row is left out.
    pub fn new(width: usize, mut values: Vec<f64>) -> Self {
        let width = width.max(1);
        values.truncate(values.len() / width * width);
        Self { width, values }
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.width)
    }

    /// A vector for each feature, with its values over these vectors.
    pub fn transposed(&self) -> Self {
        let values = (0..self.width).flat_map(|j| self.rows().map(move |row| row[j])).collect();
        Self { width: self.len().max(1), values }
    }

    /// The first `count` vectors.
    pub fn first(&self, count: usize) -> Self {
        let count = count.min(self.len());
        Self { width: self.width, values: self.values[..count * self.width].to_vec() }
    }

    /// These vectors and then the others.
    pub fn and(&self, others: &Self) -> Self {
        Self { width: self.width, values: [self.values.as_slice(), &others.values].concat() }
    }

    /// The vectors at `indices`, in that order.
    pub fn at(&self, indices: &[usize]) -> Self {
        Self { width: self.width, values: indices.iter().flat_map(|i| self.row(*i)).copied().collect() }
    }

    /// Each feature with mean 0 over these vectors.
    pub fn centred(&self) -> Self {
        let n = self.len() as f64;
        let mut means = vec![0.0; self.width];
        for row in self.rows() {
            means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / n);
        }
        let values = self.rows().flat_map(|row| row.iter().zip(&means)).map(|(value, mean)| value - mean);
        Self { width: self.width, values: values.collect() }
    }

    /// Each feature with mean 0 and variance 1 over these vectors, and `others` on the same scale. A feature that
    /// never varies keeps its scale.
    pub fn standardised(&self, others: &Self) -> (Self, Self) {
        let n = self.len().max(1) as f64;
        let column = |j: usize| (0..self.len()).map(move |i| self.row(i)[j]);
        let scales: Vec<(f64, f64)> = (0..self.width)
            .map(|j| {
                let mean = column(j).sum::<f64>() / n;
                let deviation = (column(j).map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
                // What is left of a constant by rounding is no deviation.
                let varies = deviation > 10.0 * f64::EPSILON * mean.abs();
                (mean, if varies { deviation } else { 1.0 })
            })
            .collect();
        let scaled = |vectors: &Self| {
            let values = vectors.values.chunks(self.width).flat_map(|row| {
                row.iter().zip(&scales).map(|(value, (mean, deviation))| (value - mean) / deviation)
            });
            Self { width: self.width, values: values.collect() }
        };
        (scaled(self), scaled(others))
    }
}

/// The scalar products of all pairs, row by row: `others.len()` columns.
pub fn products(vectors: &Vectors, others: &Vectors) -> Vec<f64> {
    let pairs = (0..vectors.len()).flat_map(|i| (0..others.len()).map(move |j| (i, j)));
    pairs.map(|(i, j)| dot(vectors.row(i), others.row(j))).collect()
}

/// In four interleaved sums: the same on every machine, and quick.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    for (a, b) in a.chunks(4).zip(b.chunks(4)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}
