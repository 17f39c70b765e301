//! The things that stand in the scenes: the list of all, and those that people make.
//!
//! Each is drawn with its foot at the origin, about 100 units high, in a main colour that a caption can
//! name; the rest of its colours are its own.

use super::nature;
use crate::lab::canvas::{Canvas, Paint};
use crate::lab::colour::{Colour, WHITE, rgb};
use crate::lab::path::{Path, Point};
use crate::random::Random;

/// A kind of thing: the word for it and how it is drawn.
#[derive(Clone, Copy)]
pub struct ObjectKind {
    pub word: &'static str,
    pub draw: fn(&mut Canvas, Colour, &mut Random),
}

/// All the things there are.
pub const OBJECTS: [ObjectKind; 12] = [
    ObjectKind { word: "ball", draw: draw_ball },
    ObjectKind { word: "car", draw: draw_car },
    ObjectKind { word: "house", draw: draw_house },
    ObjectKind { word: "tree", draw: nature::draw_tree },
    ObjectKind { word: "boat", draw: draw_boat },
    ObjectKind { word: "cup", draw: draw_cup },
    ObjectKind { word: "star", draw: nature::draw_star },
    ObjectKind { word: "flower", draw: nature::draw_flower },
    ObjectKind { word: "fish", draw: nature::draw_fish },
    ObjectKind { word: "kite", draw: draw_kite },
    ObjectKind { word: "chair", draw: draw_chair },
    ObjectKind { word: "bird", draw: nature::draw_bird },
];

pub const WOOD: Colour = rgb(122, 82, 54);
const GLASS: Colour = rgb(188, 222, 240);
const RUBBER: Colour = rgb(46, 46, 54);
const CREAM: Colour = rgb(250, 244, 228);

/// A trim that stands out against the main colour.
pub fn trim(main: Colour) -> Colour {
    if main.brightness() > 190.0 { main.darker(0.28) } else { main.mix(WHITE, 0.45) }
}

fn draw_ball(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let (centre, radius) = ((0.0, -42.0), 42.0);
    let disc = Path::circle(centre, radius);
    canvas.fill(&disc, Paint::gradient((-22.0, -78.0), main.lighter(0.12), (26.0, -8.0), main.darker(0.2)));
    let seamed = random.chance(0.5);
    canvas.within(&disc, |canvas| {
        if seamed {
            let seam = main.darker(0.34);
            canvas.fill(&Path::arc((-46.0, -58.0), (0.0, -34.0), (46.0, -58.0), 3.0), seam);
            canvas.fill(&Path::arc((-46.0, -22.0), (0.0, -48.0), (46.0, -22.0), 3.0), seam);
            canvas.fill(&Path::arc((0.0, -88.0), (10.0, -42.0), (0.0, 4.0), 3.0), seam);
        } else {
            let band = Path::from((-50.0, -58.0)).curve((0.0, -36.0), (50.0, -58.0)).line((50.0, -44.0));
            canvas.fill(&band.curve((0.0, -20.0), (-50.0, -44.0)).close(), trim(main));
        }
    });
    canvas.fill(&Path::ellipse((-15.0, -61.0), 11.0, 7.0), Paint::veil(WHITE, 0.55));
}

fn draw_car(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let cabin = if random.chance(0.5) {
        [(-44.0, -34.0), (-30.0, -64.0), (22.0, -64.0), (44.0, -34.0)]
    } else {
        [(-52.0, -34.0), (-48.0, -66.0), (16.0, -66.0), (36.0, -34.0)]
    };
    canvas.fill(&Path::rounded(&cabin, 9.0), main.darker(0.1));
    let pane = |a: f64, b: f64, c: f64, d: f64| {
        Path::rounded(&[(a, -37.0), (b, -58.0), (c, -58.0), (d, -37.0)], 4.0)
    };
    canvas.fill(&pane(-39.0, -34.0, -8.0, -8.0), GLASS);
    canvas.fill(&pane(-2.0, -2.0, 16.0, 29.0), GLASS);
    let body: [Point; 6] =
        [(-68.0, -10.0), (-68.0, -34.0), (-56.0, -40.0), (44.0, -40.0), (68.0, -30.0), (68.0, -10.0)];
    canvas.fill(
        &Path::rounded(&body, 9.0),
        Paint::vertical(-40.0, main.lighter(0.06), -10.0, main.darker(0.16)),
    );
    canvas.fill(&Path::rectangle(-66.0, -18.0, 132.0, 3.0), main.darker(0.32));
    canvas.fill(&Path::ellipse((62.0, -28.0), 4.5, 4.0), rgb(255, 240, 176));
    canvas.fill(&Path::rectangle(-68.0, -31.0, 5.0, 7.0), rgb(226, 84, 66));
    for x in [-38.0, 38.0] {
        canvas.fill(&Path::circle((x, -13.0), 14.0), RUBBER);
        canvas.fill(&Path::circle((x, -13.0), 6.5), rgb(196, 200, 206));
    }
}

fn draw_house(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let roof = *random.pick(&[rgb(112, 70, 58), rgb(92, 96, 112), rgb(138, 82, 62), rgb(78, 68, 76)]);
    let glowing = random.chance(0.4);
    let door_left = random.chance(0.5);
    canvas.fill(&Path::rectangle(20.0, -102.0, 12.0, 30.0), roof.darker(0.2));
    let walls = Path::rectangle(-42.0, -60.0, 84.0, 60.0);
    canvas.fill(&walls, Paint::vertical(-60.0, main, 0.0, main.darker(0.14)));
    canvas.fill(&Path::rectangle(-42.0, -60.0, 84.0, 7.0), main.darker(0.3));
    canvas.fill(&Path::rounded(&[(-54.0, -57.0), (0.0, -104.0), (54.0, -57.0)], 4.0), roof);
    let side = if door_left { -1.0 } else { 1.0 };
    let door: [Point; 4] = [
        (side * 20.0 - 10.0, 0.0),
        (side * 20.0 - 10.0, -36.0),
        (side * 20.0 + 10.0, -36.0),
        (side * 20.0 + 10.0, 0.0),
    ];
    canvas.fill(&Path::rounded(&door, 3.0), roof.darker(0.25));
    canvas.fill(&Path::circle((side * 20.0 + 6.0, -17.0), 1.8), rgb(240, 208, 110));
    let glass = if glowing { rgb(255, 232, 150) } else { GLASS };
    let x = -side * 18.0;
    canvas.fill(&Path::rectangle(x - 14.0, -42.0, 28.0, 24.0), CREAM);
    canvas.fill(&Path::rectangle(x - 11.0, -39.0, 22.0, 18.0), glass);
    canvas.fill(
        &Path::rectangle(x - 1.2, -39.0, 2.4, 18.0).and(Path::rectangle(x - 11.0, -31.2, 22.0, 2.4)),
        CREAM,
    );
}

fn draw_boat(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let both_sails = random.chance(0.6);
    let sail = CREAM.mix(rgb(236, 222, 196), random.uniform() as f32);
    canvas.fill(&Path::rectangle(-2.0, -100.0, 4.0, 76.0), WOOD);
    canvas
        .fill(&Path::from((5.0, -98.0)).curve((44.0, -62.0), (46.0, -34.0)).line((5.0, -34.0)).close(), sail);
    if both_sails {
        let jib = Path::from((-5.0, -90.0)).curve((-28.0, -62.0), (-36.0, -34.0)).line((-5.0, -34.0));
        canvas.fill(&jib.close(), sail.darker(0.1));
    }
    let hull =
        Path::from((-58.0, -26.0)).line((60.0, -26.0)).curve((52.0, 2.0), (34.0, 2.0)).line((-34.0, 2.0));
    let hull = hull.curve((-52.0, 0.0), (-58.0, -26.0)).close();
    canvas.fill(&hull, Paint::vertical(-26.0, main, 2.0, main.darker(0.26)));
    canvas.within(&hull, |canvas| canvas.fill(&Path::rectangle(-70.0, -27.0, 140.0, 6.0), trim(main)));
}

fn draw_cup(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let spotted = random.chance(0.4);
    canvas.fill(
        &Path::from((26.0, -60.0))
            .curve((60.0, -62.0), (56.0, -38.0))
            .curve((50.0, -20.0), (26.0, -20.0))
            .stroke(9.0),
        main.darker(0.16),
    );
    let sides =
        Path::from((-36.0, -76.0)).line((36.0, -76.0)).curve((34.0, 0.0), (20.0, 0.0)).line((-20.0, 0.0));
    let sides = sides.curve((-34.0, 0.0), (-36.0, -76.0)).close();
    canvas.fill(&sides, Paint::gradient((-36.0, 0.0), main.lighter(0.1), (36.0, 0.0), main.darker(0.2)));
    canvas.within(&sides, |canvas| {
        if spotted {
            for (x, y) in [(-20.0, -44.0), (2.0, -30.0), (20.0, -48.0), (-12.0, -12.0), (22.0, -16.0)] {
                canvas.fill(&Path::circle((x, y), 5.5), trim(main));
            }
        } else {
            canvas.fill(&Path::rectangle(-50.0, -46.0, 100.0, 9.0), trim(main));
        }
    });
    canvas.fill(&Path::ellipse((0.0, -76.0), 36.0, 10.0), main.lighter(0.3));
    canvas.fill(&Path::ellipse((0.0, -75.0), 31.0, 7.5), rgb(92, 58, 40));
}

fn draw_kite(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let (top, right, bottom, left): (Point, Point, Point, Point) =
        ((6.0, -104.0), (40.0, -66.0), (2.0, -16.0), (-36.0, -66.0));
    let heart: Point = (5.0, -66.0);
    canvas.fill(
        &Path::from(bottom)
            .curve((-12.0, -8.0), (-24.0, -8.0))
            .curve((-36.0, -6.0), (-52.0, 0.0))
            .stroke(2.4),
        rgb(96, 86, 92),
    );
    let bow = if random.chance(0.5) { main.darker(0.2) } else { rgb(238, 226, 204) };
    for (x, y) in [(-16.0, -8.5), (-34.0, -6.0), (-50.0, -0.5)] {
        let knot = (x, y);
        let [a, b, c, d] = [(x - 7.0, y - 5.0), (x + 7.0, y - 5.0), (x + 7.0, y + 5.0), (x - 7.0, y + 5.0)];
        canvas.fill(&Path::polygon(&[a, knot, b]).and(Path::polygon(&[c, knot, d])), bow);
        canvas.fill(&Path::polygon(&[a, knot, d]).and(Path::polygon(&[b, knot, c])), bow);
    }
    for (panel, paint) in [
        ([top, right, heart], main.lighter(0.06)),
        ([right, bottom, heart], main.darker(0.22)),
        ([bottom, left, heart], main.darker(0.08)),
        ([left, top, heart], main.lighter(0.2)),
    ] {
        canvas.fill(&Path::polygon(&panel), paint);
    }
    canvas.fill(&Path::stroke(&[top, bottom], 2.0).and(Path::stroke(&[left, right], 2.0)), main.darker(0.45));
}

fn draw_chair(canvas: &mut Canvas, main: Colour, random: &mut Random) {
    let slatted = random.chance(0.5);
    for (foot, head) in [((-22.0, -6.0), (-20.0, -46.0)), ((32.0, -6.0), (28.0, -46.0))] {
        canvas.fill(&Path::stroke(&[head, foot], 6.0), main.darker(0.34));
    }
    for (foot, head) in [((-34.0, -3.0), (-32.0, -100.0)), ((20.0, -3.0), (20.0, -42.0))] {
        canvas.fill(&Path::stroke(&[head, foot], 8.0), main.darker(0.16));
    }
    canvas.fill(&Path::stroke(&[(14.0, -98.0), (14.0, -48.0)], 8.0), main.darker(0.16));
    if slatted {
        for y in [-92.0, -77.0, -62.0] {
            canvas.fill(
                &Path::rounded(&[(-34.0, y - 5.0), (16.0, y - 5.0), (16.0, y + 5.0), (-34.0, y + 5.0)], 3.0),
                main,
            );
        }
    } else {
        let back = [(-36.0, -102.0), (18.0, -102.0), (18.0, -60.0), (-36.0, -60.0)];
        canvas.fill(&Path::rounded(&back, 8.0), Paint::vertical(-102.0, main.lighter(0.08), -60.0, main));
    }
    let seat = [(-38.0, -40.0), (-24.0, -53.0), (36.0, -53.0), (26.0, -40.0)];
    canvas.fill(&Path::rounded(&seat, 4.0), main.lighter(0.1));
    canvas.fill(
        &Path::rounded(&[(-38.0, -42.0), (27.0, -42.0), (27.0, -33.0), (-38.0, -33.0)], 3.0),
        main.darker(0.06),
    );
}
