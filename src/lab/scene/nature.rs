//! The things in the scenes that grow, fly, swim or shine; see [`super::objects`] for how they are drawn.

use super::objects::{WOOD, trim};
use crate::lab::canvas::{Canvas, Paint};
use crate::lab::colour::{Colour, WHITE, rgb};
use crate::lab::path::{Path, Point};
use crate::random::Random;

const LEAF: Colour = rgb(74, 146, 70);

pub fn draw_tree(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let trunk = [(-8.0, 0.0), (-5.0, -50.0), (5.0, -50.0), (8.0, 0.0)];
    canvas.fill(
        &Path::polygon(&trunk),
        Paint::gradient((-8.0, 0.0), WOOD.lighter(0.1), (8.0, 0.0), WOOD.darker(0.25)),
    );
    if random.chance(0.4) {
        for (level, half) in [(-22.0, 42.0), (-48.0, 34.0), (-72.0, 25.0)] {
            let tier = Path::rounded(&[(-half, level), (0.0, level - 42.0), (half, level)], 5.0);
            canvas.fill(
                &tier,
                Paint::gradient((-half, 0.0), main.lighter(0.1), (half, 0.0), main.darker(0.22)),
            );
        }
        return;
    }
    let leaves = Path::circle((-20.0, -52.0), 24.0)
        .and(Path::circle((21.0, -54.0), 23.0))
        .and(Path::circle((0.0, -78.0), 28.0))
        .and(Path::circle((0.0, -52.0), 20.0));
    canvas
        .fill(&leaves, Paint::gradient((-20.0, -100.0), main.lighter(0.1), (20.0, -36.0), main.darker(0.2)));
    for (x, y, radius) in [(-12.0, -84.0, 8.0), (-26.0, -58.0, 6.0), (12.0, -62.0, 6.0)] {
        canvas.fill(&Path::circle((x, y), radius), Paint::veil(main.lighter(0.4), 0.5));
    }
}

pub fn draw_star(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    /// Corners of a five-pointed star of radius 1, inner radius 0.48, from the top, clockwise.
    const CORNERS: [Point; 10] = [
        (0.0, -1.0),
        (0.282, -0.388),
        (0.951, -0.309),
        (0.457, 0.148),
        (0.588, 0.809),
        (0.0, 0.48),
        (-0.588, 0.809),
        (-0.457, 0.148),
        (-0.951, -0.309),
        (-0.282, -0.388),
    ];
    let corners = |radius: f64| CORNERS.map(|(x, y)| (x * radius, y * radius - 48.0));
    canvas.fill(&Path::rounded(&corners(59.0), 5.0), main.darker(0.28));
    canvas.fill(
        &Path::rounded(&corners(53.0), 5.0),
        Paint::gradient((-20.0, -90.0), main.lighter(0.14), (20.0, -8.0), main.darker(0.08)),
    );
    if random.chance(0.5) {
        canvas.fill(&Path::circle((-9.0, -50.0), 3.4).and(Path::circle((9.0, -50.0), 3.4)), rgb(40, 34, 48));
        canvas.fill(&Path::arc((-7.0, -40.0), (0.0, -32.0), (7.0, -40.0), 2.6), rgb(40, 34, 48));
    } else {
        canvas.fill(&Path::polygon(&[(0.0, -92.0), (0.0, -48.0), (-14.0, -66.0)]), Paint::veil(WHITE, 0.4));
    }
}

pub fn draw_flower(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    canvas.fill(&Path::arc((2.0, 0.0), (-6.0, -30.0), (0.0, -60.0), 6.0), LEAF);
    canvas.fill(
        &Path::from((0.0, -12.0))
            .curve((12.0, -38.0), (36.0, -36.0))
            .curve((26.0, -12.0), (0.0, -12.0))
            .close(),
        LEAF.lighter(0.08),
    );
    canvas.fill(
        &Path::from((0.0, -6.0))
            .curve((-10.0, -30.0), (-32.0, -28.0))
            .curve((-24.0, -6.0), (0.0, -6.0))
            .close(),
        LEAF.darker(0.12),
    );
    /// Directions of the petals, 60 degrees apart.
    const PETALS: [Point; 6] =
        [(0.0, -1.0), (0.866, -0.5), (0.866, 0.5), (0.0, 1.0), (-0.866, 0.5), (-0.866, -0.5)];
    for (i, (x, y)) in PETALS.into_iter().enumerate() {
        let petal = Path::circle((x * 20.0, y * 20.0 - 66.0), 15.0);
        let shade = if i % 2 == 0 { main } else { main.darker(0.12) };
        canvas.fill(&petal, Paint::vertical(-100.0, shade.lighter(0.1), -36.0, shade.darker(0.08)));
    }
    let dark_heart = main.brightness() > 150.0 && random.chance(0.5);
    let heart = if dark_heart { rgb(126, 82, 48) } else { rgb(250, 214, 92) };
    canvas.fill(&Path::circle((0.0, -66.0), 12.0), heart.darker(0.15));
    canvas.fill(&Path::circle((-0.5, -67.0), 10.0), heart);
}

pub fn draw_fish(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let striped = random.chance(0.5);
    canvas.fill(
        &Path::from((-26.0, -36.0)).line((-66.0, -62.0)).curve((-54.0, -36.0), (-66.0, -8.0)).close(),
        main.darker(0.18),
    );
    canvas.fill(
        &Path::from((-14.0, -62.0)).curve((4.0, -88.0), (28.0, -70.0)).line((24.0, -56.0)).close(),
        main.darker(0.18),
    );
    let body =
        Path::from((-44.0, -36.0)).curve((-8.0, -76.0), (32.0, -64.0)).curve((58.0, -54.0), (60.0, -36.0));
    let body = body.curve((56.0, -14.0), (30.0, -6.0)).curve((-8.0, 4.0), (-44.0, -36.0)).close();
    canvas.fill(&body, Paint::vertical(-68.0, main, -2.0, main.lighter(0.3)));
    canvas.within(&body, |canvas| {
        if striped {
            for x in [-16.0, 6.0] {
                canvas.fill(&Path::arc((x, -84.0), (x + 12.0, -36.0), (x, 10.0), 7.0), trim(main));
            }
        }
        canvas.fill(&Path::arc((30.0, -80.0), (20.0, -36.0), (30.0, 6.0), 2.4), main.darker(0.36));
    });
    canvas.fill(
        &Path::from((8.0, -32.0))
            .curve((-16.0, -30.0), (-12.0, -14.0))
            .curve((4.0, -16.0), (8.0, -32.0))
            .close(),
        main.darker(0.22),
    );
    canvas.fill(&Path::circle((43.0, -44.0), 6.0), WHITE);
    canvas.fill(&Path::circle((44.5, -44.0), 3.4), rgb(28, 26, 34));
}

pub fn draw_bird(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let beak = rgb(244, 164, 44);
    for x in [-6.0, 10.0] {
        canvas.fill(
            &Path::stroke(&[(x, -24.0), (x, -3.0)], 3.6)
                .and(Path::stroke(&[(x - 2.0, -2.0), (x + 8.0, -2.0)], 3.4)),
            rgb(208, 126, 52),
        );
    }
    canvas.fill(
        &Path::rounded(&[(-30.0, -48.0), (-66.0, -64.0), (-64.0, -44.0), (-26.0, -30.0)], 4.0),
        main.darker(0.26),
    );
    canvas.fill(&Path::polygon(&[(44.0, -82.0), (62.0, -73.0), (44.0, -68.0)]), beak);
    let head_and_body = Path::circle((30.0, -76.0), 19.0).and(Path::ellipse((2.0, -45.0), 39.0, 27.0));
    canvas.fill(
        &head_and_body.and(Path::polygon(&[(12.0, -80.0), (46.0, -68.0), (38.0, -40.0), (-10.0, -62.0)])),
        Paint::vertical(-95.0, main.lighter(0.08), -18.0, main.darker(0.1)),
    );
    if random.chance(0.6) {
        canvas.fill(&Path::ellipse((14.0, -34.0), 21.0, 13.0), Paint::veil(WHITE, 0.45));
    }
    let wing = Path::from((10.0, -58.0))
        .curve((-20.0, -72.0), (-46.0, -46.0))
        .curve((-14.0, -26.0), (10.0, -58.0))
        .close();
    canvas.fill(&wing, main.darker(0.24));
    canvas.fill(&Path::circle((36.0, -80.0), 4.6), WHITE);
    canvas.fill(&Path::circle((37.0, -80.0), 2.8), rgb(28, 26, 34));
}
