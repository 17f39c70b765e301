//! What stands behind the figures: mostly a studio, sometimes a room or a street.

use crate::lab::canvas::{Canvas, Paint, UNITS};
use crate::lab::colour::{Colour, WHITE, rgb};
use crate::lab::path::{Path, between};
use crate::random::Random;

/// Fills the whole canvas.
pub fn draw(canvas: &mut Canvas, random: &mut Random) {
    let tone = *random.pick(&[
        rgb(232, 232, 234),
        rgb(238, 230, 220),
        rgb(220, 228, 234),
        rgb(238, 224, 224),
        rgb(222, 232, 222),
        rgb(228, 224, 238),
        rgb(244, 236, 208),
    ]);
    match random.below(10) {
        0..=4 => draw_studio(canvas, tone),
        5 | 6 => draw_arch(canvas, tone, random),
        7 | 8 => draw_room(canvas, tone, random),
        _ => draw_street(canvas, random),
    }
}

fn draw_studio(canvas: &mut Canvas, tone: Colour) {
    canvas
        .fill(&Path::rectangle(0.0, 0.0, UNITS, UNITS), Paint::vertical(0.0, tone.lighter(0.3), 190.0, tone));
    canvas.fill(
        &Path::rectangle(0.0, 184.0, UNITS, UNITS),
        Paint::vertical(184.0, tone, UNITS, tone.darker(0.1)),
    );
}

/// A large round shape behind the figure, in a stronger tone.
fn draw_arch(canvas: &mut Canvas, tone: Colour, random: &mut Random) {
    let accent = tone.mix(
        *random.pick(&[rgb(226, 150, 120), rgb(120, 170, 180), rgb(150, 170, 120), rgb(190, 150, 190)]),
        0.45,
    );
    draw_studio(canvas, tone);
    let x = 112.0 + between(random, -8.0, 8.0);
    if random.chance(0.5) {
        canvas.fill(&Path::large_circle((x, 100.0), 84.0), accent);
    } else {
        let arch = Path::from((x - 66.0, 200.0)).line((x - 66.0, 88.0)).curve((x - 66.0, 24.0), (x, 24.0));
        canvas.fill(&arch.curve((x + 66.0, 24.0), (x + 66.0, 88.0)).line((x + 66.0, 200.0)).close(), accent);
        canvas.fill(&Path::rectangle(0.0, 200.0, UNITS, 2.0), Paint::veil(accent.darker(0.3), 0.4));
    }
}

fn draw_room(canvas: &mut Canvas, tone: Colour, random: &mut Random) {
    canvas
        .fill(&Path::rectangle(0.0, 0.0, UNITS, 190.0), Paint::vertical(0.0, tone.lighter(0.2), 190.0, tone));
    let floor = *random.pick(&[rgb(196, 158, 122), rgb(176, 136, 106), rgb(208, 196, 184)]);
    canvas.fill(
        &Path::rectangle(0.0, 186.0, UNITS, UNITS),
        Paint::vertical(186.0, floor, UNITS, floor.lighter(0.14)),
    );
    canvas.fill(&Path::rectangle(0.0, 180.0, UNITS, 6.0), WHITE);
    let window = if random.chance(0.5) { 10.0 } else { 162.0 };
    if random.chance(0.6) {
        canvas.fill(&Path::rectangle(window, 34.0, 52.0, 76.0), WHITE);
        canvas.fill(
            &Path::rectangle(window + 4.0, 38.0, 44.0, 68.0),
            Paint::vertical(38.0, rgb(160, 206, 236), 106.0, rgb(226, 242, 248)),
        );
        canvas.fill(
            &Path::rectangle(window + 24.0, 38.0, 4.0, 68.0).and(Path::rectangle(
                window + 4.0,
                68.0,
                44.0,
                4.0,
            )),
            WHITE,
        );
    }
    if random.chance(0.6) {
        draw_plant(canvas, if window < 100.0 { 196.0 } else { 28.0 });
    }
}

fn draw_plant(canvas: &mut Canvas, x: f64) {
    let leaf = rgb(92, 148, 96);
    for (i, (reach, top)) in
        [(-24.0, 120.0), (24.0, 126.0), (-12.0, 104.0), (13.0, 108.0), (0.0, 98.0)].into_iter().enumerate()
    {
        let blade = Path::from((x, 176.0))
            .curve((x + reach * 0.2 - 9.0, 136.0), (x + reach, top))
            .curve((x + reach * 0.4 + 9.0, 150.0), (x, 176.0));
        canvas.fill(&blade.close(), if i % 2 == 0 { leaf } else { leaf.darker(0.16) });
    }
    canvas.fill(
        &Path::rounded(&[(x - 14.0, 168.0), (x + 14.0, 168.0), (x + 10.0, 196.0), (x - 10.0, 196.0)], 3.0),
        rgb(206, 128, 96),
    );
    canvas.fill(
        &Path::rounded(&[(x - 16.0, 164.0), (x + 16.0, 164.0), (x + 16.0, 172.0), (x - 16.0, 172.0)], 2.5),
        rgb(188, 110, 82),
    );
}

fn draw_street(canvas: &mut Canvas, random: &mut Random) {
    canvas.fill(
        &Path::rectangle(0.0, 0.0, UNITS, UNITS),
        Paint::vertical(0.0, rgb(164, 206, 234), 150.0, rgb(230, 240, 244)),
    );
    let mut x = -12.0;
    while x < UNITS {
        let (width, top) = (between(random, 34.0, 58.0), between(random, 36.0, 96.0));
        let wall = rgb(206, 200, 196)
            .mix(*random.pick(&[rgb(214, 176, 150), rgb(170, 184, 200), rgb(220, 206, 170)]), 0.5)
            .lighter(0.2);
        canvas.fill(&Path::rectangle(x, top, width, 190.0 - top), wall);
        for row in 0..((176.0 - top) / 22.0) as usize {
            let y = top + 10.0 + 22.0 * row as f64;
            let windows =
                Path::rectangle(x + 7.0, y, 8.0, 12.0).and(Path::rectangle(x + width - 15.0, y, 8.0, 12.0));
            canvas.fill(&windows, wall.darker(0.16));
        }
        x += width;
    }
    canvas.fill(
        &Path::rectangle(0.0, 184.0, UNITS, 40.0),
        Paint::vertical(184.0, rgb(190, 190, 194), UNITS, rgb(206, 206, 208)),
    );
    canvas.fill(&Path::rectangle(0.0, 182.0, UNITS, 3.0), rgb(160, 160, 168));
}
