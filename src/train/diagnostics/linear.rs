//! Symmetric systems of linear equations.

/// The lower factor of a symmetric matrix, row by row; `None` where it is not positive.
pub fn cholesky(mut matrix: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - sum;
            matrix[i * n + j] = if i == j { rest.sqrt() } else { rest / matrix[j * n + j] };
        }
        let pivot = matrix[i * n + i];
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
    }
    Some(matrix)
}

/// Puts the solution of `factor factor' x = row` in the place of `row`.
pub fn solve(factor: &[f64], row: &mut [f64]) {
    let n = row.len();
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| factor[i * n + k] * row[k]).sum();
        row[i] = (row[i] - sum) / factor[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| factor[k * n + i] * row[k]).sum();
        row[i] = (row[i] - sum) / factor[i * n + i];
    }
}
