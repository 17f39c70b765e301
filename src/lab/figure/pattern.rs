//! Patterns of fabrics, coarse enough to be seen at 64 pixels.

use super::Pattern;
use crate::lab::canvas::{Canvas, Paint};
use crate::lab::colour::{Colour, WHITE, rgb};
use crate::lab::path::{Path, Point, between};
use crate::random::Random;

/// The part of the drawing that patterns may have to cover: a figure from head to soles.
const LEFT: f64 = -80.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 216.0;

/// Fills a piece of clothing with its colour, shaded from left to right, and its pattern.
pub fn fill_fabric(canvas: &mut Canvas, piece: &Path, colour: Colour, pattern: Pattern, random: &mut Random) {
    let paint = Paint::gradient((-34.0, 60.0), colour.lighter(0.07), (38.0, 90.0), colour.darker(0.13));
    canvas.fill(piece, paint);
    canvas.within(piece, |canvas| match pattern {
        Pattern::Solid => {}
        Pattern::Striped => draw_stripes(canvas, colour, random),
        Pattern::Dotted => draw_dots(canvas, colour, random),
        Pattern::Checked => draw_checks(canvas, colour, random),
        Pattern::Floral => draw_flowers(canvas, colour, random),
        Pattern::Graphic => draw_print(canvas, colour, random),
    });
}

/// A tone of the same colour that stands out against it.
fn accent(colour: Colour) -> Colour {
    if colour.brightness() > 150.0 { colour.darker(0.62) } else { colour.lighter(0.74) }
}

fn draw_stripes(canvas: &mut Canvas, colour: Colour, random: &mut Random) {
    let (period, thickness) = (between(random, 10.5, 12.5), between(random, 4.2, 5.2));
    let start = between(random, 0.0, period);
    if random.chance(0.7) {
        for stripe in 0..((BOTTOM - TOP) / period) as usize {
            let y = TOP + start + period * stripe as f64;
            canvas.fill(&Path::rectangle(LEFT, y, RIGHT - LEFT, thickness), accent(colour));
        }
    } else {
        for stripe in 0..((RIGHT - LEFT) / period) as usize {
            let x = LEFT + start + period * stripe as f64;
            canvas.fill(&Path::rectangle(x, TOP, thickness * 0.9, BOTTOM - TOP), accent(colour));
        }
    }
}

fn draw_dots(canvas: &mut Canvas, colour: Colour, random: &mut Random) {
    let radius = between(random, 2.7, 3.3);
    for centre in staggered(11.5, random) {
        canvas.fill(&Path::circle(centre, radius), accent(colour));
    }
}

fn draw_checks(canvas: &mut Canvas, colour: Colour, random: &mut Random) {
    let period = between(random, 13.0, 16.0);
    let band = accent(colour);
    for line in 0..((BOTTOM - TOP) / period) as usize {
        let along = period * line as f64;
        canvas.fill(&Path::rectangle(LEFT, TOP + along, RIGHT - LEFT, 6.0), Paint::veil(band, 0.55));
        canvas.fill(&Path::rectangle(LEFT, TOP + along + 9.0, RIGHT - LEFT, 1.2), Paint::veil(WHITE, 0.4));
        canvas.fill(&Path::rectangle(LEFT + along, TOP, 6.0, BOTTOM - TOP), Paint::veil(band, 0.55));
        canvas.fill(&Path::rectangle(LEFT + along + 9.0, TOP, 1.2, BOTTOM - TOP), Paint::veil(WHITE, 0.4));
    }
}

fn draw_flowers(canvas: &mut Canvas, colour: Colour, random: &mut Random) {
    /// Directions of the petals, 72 degrees apart.
    const PETALS: [Point; 5] =
        [(0.0, -1.0), (0.951, -0.309), (0.588, 0.809), (-0.588, 0.809), (-0.951, -0.309)];
    let petal = accent(colour);
    let leaf = if colour.brightness() > 110.0 { rgb(56, 120, 70) } else { rgb(136, 190, 120) };
    for (x, y) in staggered(18.0, random) {
        canvas.fill(&Path::ellipse((x + 7.0, y + 4.5), 4.2, 2.2), leaf);
        for (along, down) in PETALS {
            canvas.fill(&Path::circle((x + along * 3.6, y + down * 3.6), 2.9), petal);
        }
        canvas.fill(&Path::circle((x, y), 2.3), rgb(248, 196, 70));
    }
}

fn draw_print(canvas: &mut Canvas, colour: Colour, random: &mut Random) {
    let print = accent(colour);
    match random.below(3) {
        0 => {
            let heart =
                Path::from((0.0, 108.0)).curve((-17.0, 96.0), (-13.0, 87.0)).curve((-7.0, 79.0), (0.0, 88.0));
            canvas.fill(
                &heart.curve((7.0, 79.0), (13.0, 87.0)).curve((17.0, 96.0), (0.0, 108.0)).close(),
                print,
            );
        }
        1 => {
            canvas.fill(&Path::circle((0.0, 95.0), 13.5), print);
            let peaks = Path::polygon(&[
                (-14.0, 106.0),
                (-4.0, 90.0),
                (2.0, 98.0),
                (6.0, 94.0),
                (14.0, 106.0),
                (0.0, 112.0),
            ]);
            canvas.within(&Path::circle((0.0, 95.0), 13.5), |canvas| canvas.fill(&peaks, colour.darker(0.1)));
        }
        _ => canvas.fill(
            &Path::polygon(&[
                (3.0, 80.0),
                (-11.0, 97.0),
                (-1.0, 97.0),
                (-4.0, 111.0),
                (11.0, 92.0),
                (1.0, 92.0),
            ]),
            print,
        ),
    }
}

/// Points in rows, every second row shifted by half the spacing.
fn staggered(spacing: f64, random: &mut Random) -> Vec<Point> {
    let (x, y) = (between(random, 0.0, spacing), between(random, 0.0, spacing));
    let rows = ((BOTTOM - TOP) / spacing) as usize;
    let columns = ((RIGHT - LEFT) / spacing) as usize;
    let point = |row: usize, column: usize| {
        let shift = if row.is_multiple_of(2) { 0.0 } else { spacing / 2.0 };
        (LEFT + x + shift + spacing * column as f64, TOP + y - spacing + spacing * row as f64)
    };
    (0..=rows).flat_map(|row| (0..=columns).map(move |column| point(row, column))).collect()
}
