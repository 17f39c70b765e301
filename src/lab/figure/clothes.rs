//! The clothes and accessories on a body.

use super::body::{Body, SOLES, WAIST, symmetric};
use super::pattern::fill_fabric;
use super::{Length, LowerGarment, Neckline, Outer, OuterGarment, Sleeves, Visible};
use crate::lab::canvas::{Canvas, Paint};
use crate::lab::colour::{Colour, INK, WHITE, rgb};
use crate::lab::path::{Path, Point};
use crate::random::Random;

const GOLD: Colour = rgb(232, 188, 78);

/// Trousers, shorts or a skirt.
pub fn draw_lower(canvas: &mut Canvas, body: &Body, visible: &Visible, shade: Colour, random: &mut Random) {
    let (waist, hips, stance) = (body.waist + 1.5, body.hips + 1.0, body.stance);
    let end = match visible.lower.length {
        Length::Short => 156.0,
        Length::ThreeQuarter => 178.0,
        Length::Long => 203.0,
    };
    let piece = match visible.lower.garment {
        LowerGarment::Skirt => {
            let flare = hips + (end - 124.0) * 0.2 + 3.0;
            Path::from((-waist, WAIST - 2.0))
                .line((waist, WAIST - 2.0))
                .curve((hips + 1.0, 122.0), (flare, end - 3.0))
                .curve((0.0, end + 6.0), (-flare, end - 3.0))
                .curve((-hips - 1.0, 122.0), (-waist, WAIST - 2.0))
                .close()
        }
        LowerGarment::Trousers | LowerGarment::Shorts => {
            let (outside, inside) = match visible.lower.garment {
                LowerGarment::Shorts => (stance + 14.0, 2.5),
                _ => (stance + 9.5, stance - 7.5),
            };
            symmetric(
                &[(waist, WAIST - 2.0), (hips, 130.0), (outside, end), (inside, end), (0.8, 141.0)],
                3.0,
            )
        }
    };
    fill_fabric(canvas, &piece, shade, visible.lower.pattern, random);
    let fold = Paint::veil(shade.darker(0.55), 0.35);
    canvas.within(&piece, |canvas| match visible.lower.garment {
        LowerGarment::Skirt => {
            for (top, bottom) in [(-8.0, -19.0), (3.0, 3.0), (13.0, 25.0)] {
                canvas.fill(&Path::stroke(&[(top, 122.0), (bottom, end + 6.0)], 1.6), fold);
            }
            canvas.fill(&Path::rectangle(-60.0, WAIST - 3.0, 120.0, 6.0), fold);
        }
        LowerGarment::Trousers | LowerGarment::Shorts => {
            canvas.fill(&Path::stroke(&[(0.0, 112.0), (0.0, 142.0)], 1.6), fold);
            canvas.fill(
                &Path::arc((-waist - 2.0, 124.0), (-waist + 8.0, 124.0), (-waist + 10.0, 112.0), 1.4),
                fold,
            );
            canvas.fill(
                &Path::arc((waist + 2.0, 124.0), (waist - 8.0, 124.0), (waist - 10.0, 112.0), 1.4),
                fold,
            );
            canvas.fill(&Path::rectangle(-60.0, end - 3.6, 120.0, 1.4), fold);
        }
    });
}

/// Shirt, sweater or top, with its sleeves and neckline, and the neck that comes out of it.
pub fn draw_upper(canvas: &mut Canvas, body: &Body, visible: &Visible, shade: Colour, random: &mut Random) {
    let upper = &visible.upper;
    let x = body.shoulders;
    let tucked = visible.belt || visible.lower.garment == LowerGarment::Skirt;
    let hem = if tucked { (body.waist + 1.5, 110.0) } else { (body.hips + 1.5, 126.0) };
    let mut half: Vec<Point> = match upper.sleeves {
        Sleeves::Sleeveless => vec![(10.0, 57.0), (20.5, 60.0), (20.5, 75.0), (x - 6.5, 86.0)],
        _ => vec![(9.0, 57.0), (x - 6.0, 61.0), (x - 3.0, 72.0), (x - 6.0, 90.0)],
    };
    half.extend([(body.waist + 1.8, WAIST - 1.0), hem]);
    let mut piece = symmetric(&half, 4.0);
    for arm in &body.arms {
        piece = match upper.sleeves {
            Sleeves::Sleeveless => piece,
            Sleeves::Short => piece.and(arm.upto(0.36, 18.0)),
            Sleeves::Long => piece.and(arm.upto(0.88, 15.0)),
        };
    }
    fill_fabric(canvas, &piece, shade, upper.pattern, random);
    let fold = Paint::veil(shade.darker(0.6), 0.4);
    if upper.sleeves != Sleeves::Sleeveless {
        for side in [-1.0, 1.0] {
            canvas.fill(
                &Path::arc((side * (x - 8.0), 77.0), (side * (x - 8.5), 84.0), (side * (x - 6.5), 92.0), 1.6),
                fold,
            );
        }
    }
    canvas.within(&piece, |canvas| canvas.fill(&Path::rectangle(-60.0, hem.1 - 3.4, 120.0, 1.4), fold));
    draw_neckline(canvas, body, upper.neckline, &piece, shade);
}

fn draw_neckline(canvas: &mut Canvas, body: &Body, neckline: Neckline, piece: &Path, shade: Colour) {
    let edge = if shade.brightness() > 90.0 { shade.darker(0.34) } else { shade.lighter(0.3) };
    let opening = match neckline {
        Neckline::Round => {
            Path::from((-13.5, 56.0)).curve((-11.0, 73.0), (0.0, 73.0)).curve((11.0, 73.0), (13.5, 56.0))
        }
        Neckline::VShape => Path::from((-13.5, 56.0)).line((0.0, 87.0)).line((13.5, 56.0)),
        Neckline::Square => {
            Path::from((-15.5, 56.0)).line((-14.5, 75.5)).line((14.5, 75.5)).line((15.5, 56.0))
        }
        Neckline::Lapel => Path::from((-11.0, 56.0)).line((0.0, 78.0)).line((11.0, 56.0)),
        Neckline::Stand => Path::from((-9.0, 56.0)).line((9.0, 56.0)),
    };
    let skin = body.skin.darker(0.02);
    if neckline != Neckline::Stand {
        canvas.within(piece, |canvas| {
            canvas.fill(&opening.clone().stroke(4.4), edge);
            canvas.fill(&opening.close(), skin);
        });
    }
    body.draw_neck(canvas);
    match neckline {
        Neckline::Lapel => {
            for side in [-1.0, 1.0] {
                let flap = [(side * 7.5, 53.0), (side * 16.5, 59.0), (side * 13.0, 76.0), (side * 0.5, 78.0)];
                canvas.fill(&Path::rounded(&flap, 1.5), edge);
                let face = [(side * 8.0, 55.0), (side * 15.0, 60.0), (side * 12.0, 73.5), (side * 2.4, 75.5)];
                canvas.fill(&Path::rounded(&face, 1.0), shade.lighter(0.22));
            }
            canvas.fill(&Path::rectangle(-0.8, 78.0, 1.6, 31.0), edge);
            for y in [86.0, 95.0, 104.0] {
                canvas.fill(&Path::circle((2.8, y), 1.5), edge);
            }
        }
        Neckline::Stand => {
            let band = Path::rounded(&[(-9.5, 46.5), (9.5, 46.5), (11.5, 62.0), (-11.5, 62.0)], 3.0);
            canvas.fill(
                &band,
                Paint::gradient((-10.0, 0.0), shade.lighter(0.1), (10.0, 0.0), shade.darker(0.12)),
            );
            canvas.fill(&Path::arc((-10.5, 54.0), (0.0, 57.5), (10.5, 54.0), 1.5), edge);
            canvas.fill(&Path::arc((-11.5, 62.0), (0.0, 66.5), (11.5, 62.0), 1.5), edge);
        }
        _ => {}
    }
}

/// What is worn open over the rest.
pub fn draw_outer(canvas: &mut Canvas, body: &Body, outer: &Outer, shade: Colour, random: &mut Random) {
    let x = body.shoulders;
    let (hem, collar) = match outer.garment {
        OuterGarment::Cardigan => (138.0, false),
        OuterGarment::Jacket => (118.0, true),
        OuterGarment::Coat => (170.0, true),
    };
    let panel = [
        (9.5, 55.0),
        (x - 5.0, 60.0),
        (x - 1.5, 70.0),
        (x - 3.0, 92.0),
        (body.hips + 3.0, 114.0),
        (body.hips + 5.0, hem),
        (12.0, hem),
        (10.0, 90.0),
    ];
    let panel = Path::rounded(&panel, 3.0);
    let sleeves = body.arms.iter().fold(Path::default(), |sleeves, arm| sleeves.and(arm.upto(0.88, 17.5)));
    let piece = panel.clone().and(panel.mirrored(0.0)).and(sleeves);
    canvas.within(&Path::rectangle(-12.0, 56.0, 24.0, hem - 56.0), |canvas| {
        let shadow = Path::stroke(&[(-10.5, 60.0), (-12.0, hem)], 6.0)
            .and(Path::stroke(&[(10.5, 60.0), (12.0, hem)], 6.0));
        canvas.fill(&shadow, Paint::veil(INK, 0.22));
    });
    fill_fabric(canvas, &piece, shade, outer.pattern, random);
    let edge = if shade.brightness() > 90.0 { shade.darker(0.34) } else { shade.lighter(0.26) };
    for side in [-1.0, 1.0] {
        canvas.fill(
            &Path::arc((side * (x - 7.0), 76.0), (side * (x - 6.5), 88.0), (side * (x - 4.0), 104.0), 1.8),
            Paint::veil(shade.darker(0.6), 0.4),
        );
        canvas.fill(
            &Path::stroke(&[(side * 10.4, 60.0), (side * 10.8, 90.0), (side * 12.6, hem - 1.0)], 1.8),
            edge,
        );
        if collar {
            let lapel = [(side * 8.5, 54.0), (side * 18.0, 60.0), (side * 21.0, 76.0), (side * 10.5, 96.0)];
            canvas.fill(&Path::rounded(&lapel, 1.5), edge);
            let face = [(side * 9.6, 57.0), (side * 16.8, 61.5), (side * 19.2, 75.5), (side * 11.0, 91.0)];
            canvas.fill(&Path::rounded(&face, 1.0), shade.lighter(0.1));
        }
        let pocket = Path::stroke(&[(side * 17.0, hem - 12.0), (side * 25.0, hem - 13.0)], 1.8);
        canvas.fill(&pocket, edge);
    }
    if !collar {
        for y in [98.0, 112.0, 126.0] {
            canvas.fill(&Path::circle((14.5, y), 1.7), edge);
        }
    }
}

/// Belt, necklace, wristband and bag.
pub fn draw_accessories(canvas: &mut Canvas, body: &Body, visible: &Visible, bag: Option<Colour>) {
    if visible.belt {
        let x = body.waist + 1.8;
        canvas.fill(
            &Path::rounded(&[(-x, 106.5), (x, 106.5), (x + 0.8, 114.0), (-x - 0.8, 114.0)], 1.5),
            rgb(74, 46, 34),
        );
        canvas.fill(&Path::rounded(&[(-5.5, 105.5), (5.5, 105.5), (5.5, 115.0), (-5.5, 115.0)], 1.5), GOLD);
        canvas.fill(&Path::rectangle(-3.0, 108.0, 6.0, 4.6), rgb(74, 46, 34));
    }
    if visible.necklace {
        canvas.fill(&Path::arc((-9.5, 57.0), (0.0, 92.0), (9.5, 57.0), 2.2), GOLD.darker(0.08));
        canvas.fill(&Path::circle((0.0, 77.0), 4.2), GOLD.darker(0.25));
        canvas.fill(&Path::circle((0.0, 76.6), 3.2), GOLD.lighter(0.2));
    }
    if visible.wristband {
        // At the wrist the arm runs steeply down, so that a level line lies across it.
        let (x, y) = body.arms[1].point(0.9);
        let band = Path::stroke(&[(x - 6.0, y - 0.8), (x + 6.0, y + 0.8)], 4.0);
        canvas.fill(&band, GOLD.darker(0.12));
    }
    if let Some(bag) = bag {
        let (x, y) = body.arms[1].hand;
        canvas.fill(
            &Path::from((x - 9.0, y + 17.0))
                .curve((x - 6.0, y - 4.0), (x + 1.0, y + 2.0))
                .curve((x + 9.0, y), (x + 11.0, y + 17.0))
                .stroke(2.6),
            bag.darker(0.3),
        );
        let body = [(x - 14.0, y + 15.0), (x + 16.0, y + 15.0), (x + 18.0, y + 39.0), (x - 16.0, y + 39.0)];
        canvas.fill(
            &Path::rounded(&body, 5.0),
            Paint::vertical(y + 15.0, bag.lighter(0.06), y + 39.0, bag.darker(0.16)),
        );
        canvas.fill(
            &Path::rounded(
                &[(x - 14.0, y + 15.0), (x + 16.0, y + 15.0), (x + 12.0, y + 25.0), (x - 10.0, y + 25.0)],
                4.0,
            ),
            bag.darker(0.22),
        );
        canvas.fill(&Path::circle((x + 1.0, y + 25.0), 2.2), GOLD);
    }
}

/// A hat with a brim, a woollen one or a cap.
pub fn draw_hat(canvas: &mut Canvas, style: usize, shade: Colour) {
    let crown =
        Path::from((-17.0, 22.0)).curve((-18.0, 0.0), (0.0, 0.0)).curve((18.0, 0.0), (17.0, 22.0)).close();
    let paint = Paint::gradient((-14.0, 2.0), shade.lighter(0.1), (16.0, 22.0), shade.darker(0.14));
    match style {
        0 => {
            let crown = Path::from((-14.5, 20.0))
                .curve((-14.0, -2.0), (-7.0, 0.0))
                .line((7.0, 0.0))
                .curve((14.0, -2.0), (14.5, 20.0))
                .close();
            canvas.fill(&Path::ellipse((0.0, 20.5), 29.0, 6.0), shade.darker(0.12));
            canvas.fill(&crown, paint);
            canvas.fill(
                &Path::from((-14.5, 14.0))
                    .line((14.5, 14.0))
                    .line((14.6, 20.0))
                    .curve((0.0, 24.5), (-14.6, 20.0))
                    .close(),
                shade.darker(0.42),
            );
        }
        1 => {
            canvas.fill(&crown, paint);
            canvas.fill(
                &Path::rounded(&[(-18.5, 16.0), (18.5, 16.0), (18.0, 24.5), (-18.0, 24.5)], 3.5),
                shade.darker(0.2),
            );
            canvas.fill(&Path::circle((0.0, -1.0), 5.5), shade.mix(WHITE, 0.4));
        }
        _ => {
            canvas.fill(&crown, paint);
            canvas.fill(
                &Path::from((-4.0, 20.0))
                    .curve((22.0, 15.0), (32.0, 24.0))
                    .curve((16.0, 26.0), (-4.0, 24.0))
                    .close(),
                shade.darker(0.26),
            );
            canvas.fill(&Path::circle((0.0, 1.0), 2.0), shade.darker(0.3));
        }
    }
}

/// The shadow of the person on the ground.
pub fn draw_shadow(canvas: &mut Canvas) {
    canvas.fill(&Path::ellipse((3.0, SOLES), 42.0, 5.5), Paint::veil(INK, 0.14));
    canvas.fill(&Path::ellipse((3.0, SOLES), 30.0, 3.6), Paint::veil(INK, 0.18));
}
