use super::*;
use crate::random::Random;

fn values(name: &str, count: usize) -> Vec<f32> {
    let mut random = Random::new(5, name, &[]);
    (0..count).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
}

fn round(value: f32, precision: Precision) -> f64 {
    f64::from(match precision {
        Precision::F32 => value,
        Precision::Bf16 => f32::from_bits(packing::bf16(value) << 16),
        Precision::F16 => packing::f16(value),
    })
}

/// The product in `f64`, of rounded factors.
fn exact((m, k, n): (usize, usize, usize), left: View, right: View, precision: Precision) -> Vec<f64> {
    let of = |view: View, row: usize, column: usize| {
        round(view.values[row * view.row_stride + column * view.column_stride], precision)
    };
    let sum =
        |row: usize, column: usize| (0..k).map(|i| of(left, row, i) * of(right, i, column)).sum::<f64>();
    (0..m * n).map(|place| sum(place / n, place % n)).collect()
}

#[test]
fn products_of_all_shapes_and_layouts_are_those_of_double_precision() {
    let shapes =
        [(1, 1, 1), (13, 7, 31), (14, 64, 32), (15, 65, 33), (3, 400, 70), (120, 833, 290), (1, 768, 300)];
    for (m, k, n) in shapes {
        let (a, b) = (values("left", m * k), values("right", k * n));
        for (left, right) in [
            (View::rows(&a, k), View::rows(&b, n)),
            (View::rows(&a, m).transposed(), View::rows(&b, n)),
            (View::rows(&a, k), View::rows(&b, k).transposed()),
            (View::rows(&a, m).transposed(), View::rows(&b, k).transposed()),
        ] {
            for precision in Precision::ALL {
                let want = exact((m, k, n), left, right, precision);
                let stride = n + 3;
                let mut out = vec![0.25f32; m * stride];
                product((m, k, n), left, right, 0.5, &mut out, stride, true, precision);
                let check = |out: &[f32]| {
                    for (row, want) in out.chunks(stride).zip(want.chunks(n)) {
                        for (got, want) in row.iter().zip(want) {
                            let want = want * 0.5 + 0.25;
                            assert!(
                                (f64::from(*got) - want).abs() < 5e-5,
                                "{m} {k} {n} {precision:?}: {got} {want}"
                            );
                        }
                        assert!(row[n..].iter().all(|rest| *rest == 0.25), "it wrote beside the result");
                    }
                };
                check(&out);
                let mut out = vec![0.25f32; m * stride];
                unpacked((m, k, n), left, right, 0.5, &mut out, stride, true, precision);
                check(&out);
                let bias = values("bias", n);
                let mut before: Vec<f32> = bias.repeat(m);
                product((m, k, n), left, right, 1.0, &mut before, n, true, precision);
                assert_eq!(new_product((m, k, n), left, right, Some(&bias), precision), before);
                product((m, k, n), left, right, 1.0, &mut before, n, false, precision);
                assert_eq!(new_product((m, k, n), left, right, None, precision), before);
                let format = Format::from(precision);
                if kernels::is_available(format) {
                    let (mut of_left, mut of_right) = (Left::new(format), Right::new(format));
                    of_left.fill(left.transposed(), k, m);
                    of_right.fill(right, k, n);
                    let mut out = vec![0.25f32; m * stride];
                    multiply(&of_left, &of_right, 0.5, &mut out, stride, true);
                    check(&out);
                }
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_among_others_and_by_any_number_of_threads() {
    let (m, k, n) = (61, 500, 77);
    let (a, b) = (values("left", m * k), values("right", k * n));
    let of = |rows: std::ops::Range<usize>, threads: usize, precision: Precision| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = vec![0f32; rows.len() * n];
        let left = View::rows(&a[rows.start * k..rows.end * k], k);
        let shape = (rows.len(), k, n);
        pool.install(|| {
            product(shape, left, View::rows(&b, n), 1.0, &mut out, n, false, precision);
        });
        out
    };
    for precision in [Precision::Bf16, Precision::F16] {
        let all = of(0..m, 1, precision);
        assert_eq!(all, of(0..m, 3, precision));
        for row in [0, 13, 14, 60] {
            assert_eq!(all[row * n..][..n], of(row..row + 1, 2, precision));
        }
    }
}

#[test]
fn values_are_rounded_to_the_nearest_with_ties_to_even() {
    let table = [
        (1.0, 1.0),
        (1.0 + 1.0 / 256.0, 1.0),
        (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
        (1.0 + 1.01 / 256.0, 1.0 + 2.0 / 256.0),
        (f32::INFINITY, f32::INFINITY),
        (f32::MAX, f32::INFINITY),
        (-0.0, -0.0),
    ];
    for (value, want) in table {
        assert_eq!(f32::from_bits(packing::bf16(value) << 16).to_bits(), f32::to_bits(want), "{value}");
    }
    assert!(f32::from_bits(packing::bf16(f32::from_bits(0x7fff_ffff)) << 16).is_nan());
}

/// Written by `tests/reference/mixed_precision.py`: bits of values, and of what PyTorch's `half()` makes of them.
fn halves() -> Vec<[f32; 2]> {
    let text = include_str!("../../../../tests/fixtures/mixed_precision/halves.json");
    let pairs: Vec<[u32; 2]> = serde_json::from_str(text).unwrap();
    pairs.into_iter().map(|pair| pair.map(f32::from_bits)).collect()
}

#[test]
fn values_are_rounded_to_f16_as_pytorch_does() {
    let (mut infinite, mut subnormal) = (0, 0);
    for [value, half] in halves() {
        assert_eq!(packing::f16(value).to_bits(), half.to_bits(), "{value:e}");
        infinite += usize::from(half.is_infinite() && value.is_finite());
        subnormal += usize::from(half != 0.0 && half.abs() < 2f32.powi(-14));
    }
    assert!(infinite > 20 && subnormal > 20, "{infinite} {subnormal}");
    assert!(packing::f16(f32::from_bits(0x7fff_ffff)).is_nan() && packing::f16(-f32::NAN).is_nan());
}

#[test]
fn panels_hold_what_pytorch_rounds_to_however_the_matrix_lies() {
    let pairs = halves();
    let values: Vec<f32> = pairs.iter().map(|[value, _]| *value).collect();
    let count = values.len();
    let mut right = Right::new(Format::F16);
    for (matrix, depth, columns) in
        [(View::rows(&values, 1), count, 1), (View::rows(&values, count), 1, count)]
    {
        right.fill(matrix, depth, columns);
        let at = |i: usize| {
            let (row, column) = if columns == 1 { (i, 0) } else { (0, i) };
            let (block, panel) = (row / Format::STEPS, column / COLUMNS);
            right.panel(block, panel)[row % Format::STEPS * COLUMNS + column % COLUMNS]
        };
        for (i, [value, half]) in pairs.iter().enumerate() {
            assert_eq!(at(i), half.to_bits(), "{value:e} of {depth} x {columns}");
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    for precision in Precision::ALL {
        let mut out = vec![0f32; 40];
        let (mut a, b) = (vec![1f32; 40 * 3], [1f32; 3]);
        a[7] = f32::NAN;
        product((40, 3, 1), View::rows(&a, 3), View::rows(&b, 1), 1.0, &mut out, 1, false, precision);
        let is_nan: Vec<usize> = (0..40).filter(|row| out[*row].is_nan()).collect();
        assert_eq!(is_nan, [2], "{precision:?}");
    }
}

#[test]
fn panels_do_not_depend_on_how_the_matrix_lies_in_memory() {
    fn filled<const W: usize>(format: Format, matrix: View, depth: usize, columns: usize) -> Vec<Vec<u32>> {
        let mut panels = panels::Panels::<W>::new(format);
        // What an earlier matrix leaves must not be seen.
        panels.fill(View { values: &[f32::NAN; 1 << 18], row_stride: 1, column_stride: 500 }, 500, 500);
        panels.fill_in_parallel(matrix, depth, columns);
        let places = (0..panels.blocks()).flat_map(|block| (0..panels.panels()).map(move |i| (block, i)));
        places.map(|(block, i)| panels.panel(block, i).to_vec()).collect()
    }
    for (depth, columns) in [(1, 1), (2, 14), (31, 15), (33, 32), (400, 47), (385, 66)] {
        let mut rows = values("matrix", depth * columns);
        rows[depth * columns / 2] = f32::NAN;
        let at = |i: usize, j: usize| rows[i * columns + j];
        let by_columns: Vec<f32> = (0..columns).flat_map(|j| (0..depth).map(move |i| at(i, j))).collect();
        let apart: Vec<f32> = rows.iter().flat_map(|value| [*value, 9.0]).collect();
        let views = [
            View::rows(&rows, columns),
            View::rows(&by_columns, depth).transposed(),
            View { values: &apart, row_stride: 2 * columns, column_stride: 2 },
        ];
        for format in Precision::ALL.map(Format::from) {
            let [one, two, three] = views.map(|view| filled::<ROWS>(format, view, depth, columns));
            assert!(one == three && two == three, "{format:?} {depth} {columns}, left");
            let [one, two, three] = views.map(|view| filled::<COLUMNS>(format, view, depth, columns));
            assert!(one == three && two == three, "{format:?} {depth} {columns}, right");
        }
    }
}
