//! The places where the scenes play: a background above, a ground below.

use crate::lab::canvas::{Canvas, Paint, Placement, UNITS};
use crate::lab::colour::{Colour, WHITE, rgb};
use crate::lab::path::{Path, Point, between};
use crate::random::Random;

/// A kind of ground: the word for it and how the empty place is drawn. `horizon` is where the ground begins.
#[derive(Clone, Copy)]
pub struct PlaceKind {
    pub word: &'static str,
    pub draw: fn(&mut Canvas, f64, &mut Random),
}

/// All the places there are.
pub const PLACES: [PlaceKind; 6] = [
    PlaceKind { word: "grass", draw: draw_grass },
    PlaceKind { word: "snow", draw: draw_snow },
    PlaceKind { word: "sand", draw: draw_sand },
    PlaceKind { word: "water", draw: draw_water },
    PlaceKind { word: "road", draw: draw_road },
    PlaceKind { word: "table", draw: draw_table },
];

/// A colour between two others.
fn tint(random: &mut Random, one: Colour, other: Colour) -> Colour {
    one.mix(other, random.uniform() as f32)
}

fn fill_ground(canvas: &mut Canvas, horizon: f64, far: Colour, near: Colour) {
    canvas.fill(
        &Path::rectangle(0.0, horizon, UNITS, UNITS - horizon),
        Paint::vertical(horizon, far, UNITS, near),
    );
}

fn draw_sky(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    let (top, bottom) = *random.pick(&[
        (rgb(108, 176, 232), rgb(206, 232, 248)),
        (rgb(140, 200, 236), rgb(226, 242, 250)),
        (rgb(166, 190, 210), rgb(224, 232, 238)),
        (rgb(150, 160, 210), rgb(252, 218, 196)),
    ]);
    canvas.fill(&Path::rectangle(0.0, 0.0, UNITS, horizon + 1.0), Paint::vertical(0.0, top, horizon, bottom));
    if random.chance(0.35) {
        let sun: Point = (between(random, 20.0, 204.0), between(random, 18.0, 42.0));
        canvas.fill(&Path::circle(sun, 20.0), Paint::veil(rgb(255, 244, 200), 0.45));
        canvas.fill(&Path::circle(sun, 13.0), rgb(255, 236, 164));
    }
    for _ in 0..random.below(4) {
        draw_cloud(
            canvas,
            (between(random, 10.0, 214.0), between(random, 16.0, 66.0)),
            between(random, 0.7, 1.3),
        );
    }
}

fn draw_cloud(canvas: &mut Canvas, centre: Point, scale: f64) {
    canvas.place(Placement::at(centre).scaled(scale, scale));
    let puffs = Path::circle((-13.0, 0.0), 8.0)
        .and(Path::circle((0.0, -5.0), 11.0))
        .and(Path::circle((14.0, 0.0), 8.5))
        .and(Path::rounded(&[(-20.0, -1.0), (22.0, -1.0), (22.0, 8.0), (-20.0, 8.0)], 4.0));
    canvas.fill(&puffs, Paint::veil(WHITE, 0.85));
    canvas.place(Placement::IDENTITY);
}

/// One or two rows of hills along the horizon.
fn draw_hills(canvas: &mut Canvas, horizon: f64, colour: Colour, random: &mut Random) {
    for row in 0..1 + random.below(2) {
        let shade = colour.mix(rgb(214, 228, 240), 0.45 - 0.3 * row as f32);
        for _ in 0..2 {
            let centre: Point = (between(random, 0.0, UNITS), horizon + 8.0);
            let hill = Path::ellipse(
                centre,
                between(random, 60.0, 110.0),
                between(random, 18.0, 44.0) - 8.0 * row as f64,
            );
            canvas
                .within(&Path::rectangle(0.0, 0.0, UNITS, horizon + 1.0), |canvas| canvas.fill(&hill, shade));
        }
    }
}

fn draw_grass(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    draw_sky(canvas, horizon, random);
    let green = tint(random, rgb(120, 182, 84), rgb(150, 196, 96));
    if random.chance(0.7) {
        draw_hills(canvas, horizon, green.darker(0.15), random);
    }
    fill_ground(canvas, horizon, green.lighter(0.12), green.darker(0.12));
    for _ in 0..26 {
        let (x, y): Point = (between(random, 0.0, UNITS), between(random, horizon + 6.0, UNITS));
        let reach = 3.0 + (y - horizon) / 22.0;
        let blades = Path::polygon(&[(x - reach, y), (x - reach * 0.9, y - reach * 1.8), (x, y)])
            .and(Path::polygon(&[(x - reach * 0.4, y), (x, y - reach * 2.4), (x + reach * 0.5, y)]))
            .and(Path::polygon(&[(x, y), (x + reach, y - reach * 1.7), (x + reach, y)]));
        canvas.fill(&blades, green.darker(0.24));
    }
}

fn draw_snow(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    draw_sky(canvas, horizon, random);
    let snow = tint(random, rgb(226, 234, 244), rgb(236, 240, 246));
    if random.chance(0.8) {
        draw_hills(canvas, horizon, rgb(186, 204, 224), random);
    }
    fill_ground(canvas, horizon, snow.darker(0.05), snow);
    for _ in 0..4 {
        let drift = Path::ellipse(
            (between(random, 0.0, UNITS), between(random, horizon + 14.0, UNITS)),
            between(random, 40.0, 80.0),
            between(random, 5.0, 10.0),
        );
        canvas.fill(&drift, Paint::veil(rgb(190, 206, 228), 0.4));
    }
    for _ in 0..random.below(40) {
        let flake = Path::circle(
            (between(random, 0.0, UNITS), between(random, 0.0, horizon)),
            between(random, 1.0, 2.2),
        );
        canvas.fill(&flake, Paint::veil(WHITE, 0.9));
    }
}

fn draw_sand(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    draw_sky(canvas, horizon, random);
    let sand = tint(random, rgb(238, 212, 154), rgb(228, 200, 146));
    if random.chance(0.5) {
        let sea = Path::rectangle(0.0, horizon - 14.0, UNITS, 15.0);
        canvas.fill(&sea, Paint::vertical(horizon - 14.0, rgb(84, 150, 190), horizon, rgb(140, 196, 212)));
    } else {
        draw_hills(canvas, horizon, sand.darker(0.1), random);
    }
    fill_ground(canvas, horizon, sand.lighter(0.14), sand.darker(0.06));
    for _ in 0..3 {
        let (x, y): Point = (between(random, 0.0, UNITS), between(random, horizon + 14.0, UNITS - 10.0));
        let ripple = Path::arc((x - 50.0, y), (x, y - 12.0), (x + 50.0, y), 2.6);
        canvas.fill(&ripple, Paint::veil(sand.darker(0.3), 0.4));
    }
    for _ in 0..24 {
        let grain = Path::circle(
            (between(random, 0.0, UNITS), between(random, horizon + 4.0, UNITS)),
            between(random, 0.8, 2.0),
        );
        canvas.fill(&grain, sand.darker(0.26));
    }
}

fn draw_water(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    draw_sky(canvas, horizon, random);
    let water = tint(random, rgb(72, 158, 190), rgb(58, 140, 182));
    if random.chance(0.5) {
        draw_hills(canvas, horizon, rgb(112, 158, 132), random);
    }
    fill_ground(canvas, horizon, water.lighter(0.34), water);
    for _ in 0..20 {
        let (x, y): Point = (between(random, 0.0, UNITS), between(random, horizon + 5.0, UNITS));
        let reach = 6.0 + (y - horizon) / 8.0;
        let thickness = 1.4 + (y - horizon) / 60.0;
        let wave = Path::from((x - reach, y))
            .curve((x - reach / 2.0, y - reach * 0.5), (x, y))
            .curve((x + reach / 2.0, y + reach * 0.5), (x + reach, y));
        canvas.fill(&wave.stroke(thickness), Paint::veil(WHITE, 0.45));
    }
}

fn draw_road(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    draw_sky(canvas, horizon, random);
    let asphalt = tint(random, rgb(112, 114, 122), rgb(134, 134, 138));
    let verge = *random.pick(&[rgb(136, 186, 92), rgb(196, 178, 128), rgb(170, 176, 180)]);
    if random.chance(0.6) {
        draw_hills(canvas, horizon, rgb(130, 168, 120), random);
    } else {
        draw_skyline(canvas, horizon, random);
    }
    fill_ground(canvas, horizon, verge.lighter(0.1), verge);
    let kerb = horizon + between(random, 8.0, 16.0);
    fill_ground(canvas, kerb, rgb(206, 204, 200), rgb(206, 204, 200));
    fill_ground(canvas, kerb + 3.0, asphalt.lighter(0.06), asphalt.darker(0.1));
    let middle = between(random, 178.0, 208.0);
    let start = between(random, -30.0, 0.0);
    for dash in 0..6 {
        let x = start + 48.0 * dash as f64;
        canvas.fill(
            &Path::polygon(&[
                (x, middle),
                (x + 28.0, middle),
                (x + 26.0, middle + 5.0),
                (x - 2.0, middle + 5.0),
            ]),
            rgb(242, 236, 214),
        );
    }
}

fn draw_skyline(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    let stone = tint(random, rgb(176, 186, 204), rgb(196, 196, 206));
    let mut x = -10.0;
    while x < UNITS {
        let (width, height) = (between(random, 22.0, 44.0), between(random, 18.0, 56.0));
        let shade = stone.darker(random.uniform() as f32 * 0.14);
        canvas.fill(&Path::rectangle(x, horizon - height, width, height + 1.0), shade);
        for floor in 0..(height as usize / 12) {
            let y = horizon - height + 5.0 + 12.0 * floor as f64;
            let windows =
                Path::rectangle(x + 5.0, y, 4.0, 6.0).and(Path::rectangle(x + width - 9.0, y, 4.0, 6.0));
            canvas.fill(&windows, shade.lighter(0.4));
        }
        x += width + between(random, 0.0, 10.0);
    }
}

fn draw_table(canvas: &mut Canvas, horizon: f64, random: &mut Random) {
    let wall = *random.pick(&[
        rgb(232, 222, 206),
        rgb(206, 220, 222),
        rgb(226, 208, 206),
        rgb(212, 222, 200),
        rgb(216, 212, 228),
        rgb(240, 230, 200),
    ]);
    canvas.fill(
        &Path::rectangle(0.0, 0.0, UNITS, UNITS),
        Paint::vertical(0.0, wall.lighter(0.1), UNITS, wall.darker(0.1)),
    );
    match random.below(3) {
        0 => draw_window(canvas, between(random, 30.0, 150.0)),
        1 => {
            let x = between(random, 24.0, 150.0);
            canvas.fill(&Path::rectangle(x, 18.0, 52.0, 40.0), rgb(120, 92, 72));
            canvas.fill(&Path::rectangle(x + 4.0, 22.0, 44.0, 32.0), rgb(236, 236, 228));
            canvas.fill(
                &Path::polygon(&[(x + 8.0, 54.0), (x + 22.0, 32.0), (x + 40.0, 54.0)]),
                rgb(140, 170, 160),
            );
        }
        _ => {
            for stripe in 0..8 {
                canvas.fill(
                    &Path::rectangle(28.0 * stripe as f64 + 4.0, 0.0, 10.0, UNITS),
                    Paint::veil(WHITE, 0.22),
                );
            }
        }
    }
    let wood = *random.pick(&[rgb(186, 134, 88), rgb(160, 110, 74), rgb(206, 160, 112), rgb(174, 124, 92)]);
    let front = 205.0;
    canvas.fill(
        &Path::polygon(&[(12.0, horizon), (UNITS - 12.0, horizon), (UNITS + 12.0, front), (-12.0, front)]),
        Paint::vertical(horizon, wood.lighter(0.16), front, wood),
    );
    for plank in 1..4 {
        let y = horizon + (front - horizon) * [0.0, 0.22, 0.5, 0.78][plank];
        canvas.fill(&Path::rectangle(-12.0, y, UNITS + 24.0, 1.4), Paint::veil(wood.darker(0.4), 0.5));
    }
    canvas.fill(&Path::rectangle(-12.0, front, UNITS + 24.0, 9.0), wood.darker(0.3));
    canvas
        .fill(&Path::rectangle(-12.0, front + 9.0, UNITS + 24.0, 10.0), Paint::veil(wall.darker(0.6), 0.35));
}

fn draw_window(canvas: &mut Canvas, x: f64) {
    canvas.fill(&Path::rectangle(x - 4.0, 10.0, 64.0, 62.0), rgb(250, 248, 242));
    canvas.fill(
        &Path::rectangle(x, 14.0, 56.0, 54.0),
        Paint::vertical(14.0, rgb(150, 200, 236), 68.0, rgb(222, 240, 248)),
    );
    canvas.fill(
        &Path::rectangle(x + 26.0, 14.0, 4.0, 54.0).and(Path::rectangle(x, 38.0, 56.0, 4.0)),
        rgb(250, 248, 242),
    );
}
