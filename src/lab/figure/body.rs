//! The person without the clothes: pose, limbs, head and hair.
//!
//! Bodies are described around the line x = 0, from the top of the head (y about 14) to the soles ([`SOLES`]).

use super::{Person, Visible};
use crate::lab::canvas::{Canvas, Paint};
use crate::lab::colour::{Colour, INK, WHITE, rgb};
use crate::lab::path::{Path, Point, between};
use crate::random::Random;

/// Height of the ground.
pub const SOLES: f64 = 212.0;
/// Height of the narrowest part of the trunk.
pub const WAIST: f64 = 108.0;

/// Build, pose and looks of a person.
pub struct Body {
    pub person: Person,
    /// Half the width over the shoulders, at the waist and over the hips.
    pub shoulders: f64,
    pub waist: f64,
    pub hips: f64,
    /// Distance of each foot from the middle.
    pub stance: f64,
    /// The arm with x < 0 and the one with x > 0; the second one always hangs down.
    pub arms: [Arm; 2],
    pub skin: Colour,
    pub hair: Colour,
    pub hair_style: usize,
    pub bearded: bool,
}

/// An arm: a quadratic curve from the shoulder to the hand.
#[derive(Clone, Copy)]
pub struct Arm {
    pub shoulder: Point,
    pub elbow: Point,
    pub hand: Point,
}

impl Arm {
    /// The arm from the shoulder to the share `reach` (0 to 1) of it, as a limb of the given width.
    pub fn upto(&self, reach: f64, width: f64) -> Path {
        let control = between_points(self.shoulder, self.elbow, reach);
        Path::arc(self.shoulder, control, self.point(reach), width)
    }

    /// The point at the share `reach` (0 to 1) of the arm.
    pub fn point(&self, reach: f64) -> Point {
        let upper = between_points(self.shoulder, self.elbow, reach);
        let lower = between_points(self.elbow, self.hand, reach);
        between_points(upper, lower, reach)
    }
}

fn between_points(from: Point, to: Point, share: f64) -> Point {
    (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
}

impl Body {
    pub fn choose(person: Person, random: &mut Random) -> Self {
        let (shoulders, waist, hips) = match person {
            Person::Lady => {
                (between(random, 29.0, 32.0), between(random, 20.0, 23.0), between(random, 27.0, 30.0))
            }
            Person::Man => {
                (between(random, 34.0, 37.0), between(random, 25.0, 28.0), between(random, 27.0, 30.0))
            }
        };
        let skin = *random.pick(&[
            rgb(250, 218, 192),
            rgb(240, 198, 164),
            rgb(222, 172, 134),
            rgb(186, 132, 96),
            rgb(136, 92, 66),
            rgb(104, 70, 54),
        ]);
        let hair = *random.pick(&[
            rgb(38, 32, 36),
            rgb(58, 40, 34),
            rgb(96, 62, 42),
            rgb(142, 78, 48),
            rgb(222, 178, 106),
            rgb(168, 164, 164),
        ]);
        let x = shoulders - 7.0;
        let shoulder: Point = (-x, 70.0);
        let raised = match random.below(4) {
            0 => Arm { shoulder, elbow: (-x - 42.0, 106.0), hand: (-hips + 1.0, 120.0) },
            1 => Arm { shoulder, elbow: (-x - 34.0, 96.0), hand: (-x - 30.0, 50.0) },
            _ => Arm { shoulder, elbow: (-x - 20.0, 100.0), hand: (-hips - 13.0, 132.0) },
        };
        let hanging = Arm { shoulder: (x, 70.0), elbow: (x + 20.0, 100.0), hand: (hips + 13.0, 132.0) };
        Self {
            person,
            shoulders,
            waist,
            hips,
            stance: between(random, 12.0, 17.0),
            arms: [raised, hanging],
            skin,
            hair,
            hair_style: random.below(4),
            bearded: person == Person::Man && random.chance(0.35),
        }
    }

    /// What lies behind the trunk: long hair.
    pub fn draw_behind(&self, canvas: &mut Canvas) {
        if self.person == Person::Man {
            return;
        }
        let shade = Paint::vertical(14.0, self.hair, 84.0, self.hair.darker(0.28));
        match self.hair_style {
            0 => {
                let half = |x: f64| [(x * 18.0, 26.0), (x * 23.0, 56.0), (x * 25.0, 86.0), (x * 8.0, 88.0)];
                canvas.fill(&symmetric(&half(1.0), 8.0), shade);
            }
            1 => canvas.fill(&symmetric(&[(19.0, 22.0), (23.0, 52.0), (8.0, 58.0)], 6.0), shade),
            2 => canvas.fill(&Path::circle((0.0, 9.0), 9.0), self.hair.darker(0.1)),
            _ => canvas.fill(
                &Path::from((12.0, 16.0))
                    .curve((36.0, 22.0), (27.0, 64.0))
                    .curve((16.0, 44.0), (10.0, 34.0))
                    .close(),
                shade,
            ),
        }
    }

    /// Legs, shoulders and arms.
    pub fn draw_limbs(&self, canvas: &mut Canvas, shoes: Colour) {
        let skin = Paint::gradient((-30.0, 0.0), self.skin.lighter(0.06), (34.0, 0.0), self.skin.darker(0.1));
        for side in [-1.0, 1.0] {
            let (hip, foot) = (side * 13.0, side * self.stance);
            let leg = [
                (hip - 10.0, 124.0),
                (hip + 10.0, 124.0),
                (foot + 6.5, 164.0),
                (foot + 5.0, 204.0),
                (foot - 5.0, 204.0),
                (foot - 6.5, 164.0),
            ];
            canvas.fill(&Path::rounded(&leg, 4.0), skin);
            let toe = foot + side * 6.0;
            let shoe =
                Path::from((foot - side * 7.0, SOLES)).curve((foot - side * 8.0, 199.0), (foot, 200.0));
            let shoe = shoe.curve((toe + side * 9.0, 203.0), (toe + side * 8.0, SOLES)).close();
            canvas.fill(&shoe, shoes);
            canvas.fill(
                &Path::rectangle((foot - side * 7.0).min(toe + side * 8.0), SOLES - 2.6, 21.0, 2.6),
                shoes.mix(WHITE, 0.55),
            );
        }
        let x = self.shoulders - 1.0;
        canvas.fill(
            &symmetric(
                &[
                    (8.0, 57.0),
                    (x - 6.0, 61.0),
                    (x, 70.0),
                    (x - 7.0, 90.0),
                    (self.waist, WAIST),
                    (self.hips, 128.0),
                ],
                6.0,
            ),
            skin,
        );
        for arm in &self.arms {
            canvas.fill(&arm.upto(1.0, 11.5), skin);
            canvas.fill(&Path::circle(arm.point(1.0), 6.6), skin);
        }
    }

    /// The neck and the shadow of the chin on it.
    pub fn draw_neck(&self, canvas: &mut Canvas) {
        canvas.fill(
            &Path::rounded(&[(-7.0, 42.0), (7.0, 42.0), (8.5, 64.0), (-8.5, 64.0)], 3.0),
            self.skin.darker(0.04),
        );
        canvas.fill(
            &Path::from((-7.2, 46.0)).line((7.2, 46.0)).curve((5.0, 58.0), (-7.2, 55.0)).close(),
            Paint::veil(self.skin.darker(0.5), 0.4),
        );
    }

    pub fn draw_head(&self, canvas: &mut Canvas, visible: &Visible) {
        let face =
            Path::from((-15.5, 30.0)).curve((-15.5, 12.0), (0.0, 12.0)).curve((15.5, 12.0), (15.5, 30.0));
        let face = face
            .curve((15.0, 46.0), (5.0, 52.0))
            .curve((0.0, 54.0), (-5.0, 52.0))
            .curve((-15.0, 46.0), (-15.5, 30.0))
            .close();
        canvas.fill(
            &Path::circle((-15.5, 35.0), 3.6).and(Path::circle((15.5, 35.0), 3.6)),
            self.skin.darker(0.1),
        );
        canvas.fill(
            &face,
            Paint::gradient((-16.0, 0.0), self.skin.lighter(0.08), (18.0, 0.0), self.skin.darker(0.06)),
        );
        canvas.within(&face, |canvas| {
            if self.bearded {
                let beard = Path::from((-16.0, 36.0))
                    .curve((-9.0, 43.0), (0.0, 40.5))
                    .curve((9.0, 43.0), (16.0, 36.0));
                canvas.fill(&beard.line((16.0, 58.0)).line((-16.0, 58.0)).close(), self.hair);
            }
            for x in [-10.0, 10.0] {
                canvas.fill(
                    &Path::circle((x, 41.0), 3.4),
                    Paint::veil(rgb(232, 110, 100), if self.bearded { 0.0 } else { 0.28 }),
                );
            }
        });
        let ink = self.skin.mix(INK, 0.8);
        canvas.fill(&Path::circle((-6.2, 34.0), 1.9).and(Path::circle((6.2, 34.0), 1.9)), rgb(42, 32, 34));
        for x in [-6.2, 6.2] {
            canvas
                .fill(&Path::arc((x - 3.4, 29.6), (x, 27.6), (x + 3.4, 29.6), 1.5), self.hair.mix(ink, 0.4));
        }
        canvas.fill(&Path::arc((0.4, 36.0), (2.4, 40.0), (-0.6, 40.0), 1.1), self.skin.darker(0.3));
        let lips =
            if self.person == Person::Lady { rgb(190, 74, 78) } else { self.skin.mix(rgb(120, 50, 46), 0.7) };
        canvas.fill(&Path::arc((-4.4, 44.4), (0.0, 48.0), (4.4, 44.4), 1.8), lips);
        self.draw_hair(canvas, visible.hat.is_some());
        if visible.glasses {
            draw_glasses(canvas);
        }
    }

    fn draw_hair(&self, canvas: &mut Canvas, hidden_by_hat: bool) {
        let shade =
            Paint::gradient((-14.0, 10.0), self.hair.lighter(0.1), (16.0, 30.0), self.hair.darker(0.1));
        let crown = match (self.person, self.hair_style) {
            (Person::Lady, 0 | 3) => Path::from((-18.0, 36.0))
                .curve((-20.0, 9.0), (0.0, 9.0))
                .curve((20.0, 9.0), (18.0, 36.0))
                .curve((15.0, 22.0), (1.0, 17.0))
                .curve((-13.0, 21.0), (-18.0, 36.0))
                .close(),
            (Person::Lady, 1) => Path::from((-21.0, 48.0))
                .curve((-22.0, 8.0), (0.0, 8.5))
                .curve((22.0, 8.0), (21.0, 48.0))
                .line((14.5, 47.0))
                .curve((17.0, 30.0), (11.0, 24.5))
                .line((-11.0, 24.5))
                .curve((-17.0, 30.0), (-14.5, 47.0))
                .close(),
            (Person::Lady, _) => Path::from((-16.5, 33.0))
                .curve((-19.0, 9.5), (0.0, 9.5))
                .curve((19.0, 9.5), (16.5, 33.0))
                .curve((13.0, 19.0), (0.0, 18.0))
                .curve((-13.0, 19.0), (-16.5, 33.0))
                .close(),
            (Person::Man, 0 | 3) => Path::from((-16.5, 32.0))
                .curve((-20.0, 10.0), (-2.0, 8.0))
                .curve((20.0, 6.0), (16.5, 32.0))
                .curve((15.0, 22.0), (10.0, 20.0))
                .curve((-4.0, 24.0), (-12.0, 19.0))
                .curve((-15.0, 24.0), (-16.5, 32.0))
                .close(),
            (Person::Man, 1) => Path::from((-16.0, 29.0))
                .curve((-17.0, 10.5), (0.0, 10.5))
                .curve((17.0, 10.5), (16.0, 29.0))
                .curve((13.0, 17.0), (0.0, 17.5))
                .curve((-13.0, 17.0), (-16.0, 29.0))
                .close(),
            (Person::Man, _) => [
                (-13.0, 19.0),
                (-6.0, 14.0),
                (2.0, 13.0),
                (9.0, 15.0),
                (14.0, 20.0),
                (-16.0, 25.0),
                (16.0, 26.0),
            ]
            .into_iter()
            .fold(Path::default(), |curls, centre| curls.and(Path::circle(centre, 6.0))),
        };
        if hidden_by_hat {
            let below_hat = Path::rectangle(-40.0, 19.0, 80.0, 60.0);
            canvas.within(&below_hat, |canvas| canvas.fill(&crown, shade));
        } else {
            canvas.fill(&crown, shade);
        }
    }
}

fn draw_glasses(canvas: &mut Canvas) {
    let frame = rgb(30, 28, 36);
    let lens =
        |x: f64| Path::rounded(&[(x - 6.0, 29.5), (x + 6.0, 29.5), (x + 5.0, 39.0), (x - 5.0, 39.0)], 3.5);
    canvas.fill(&lens(-7.2).and(lens(7.2)), frame);
    canvas.fill(&Path::rectangle(-15.0, 30.5, 30.0, 2.0), frame);
    canvas.fill(
        &Path::stroke(&[(-10.0, 36.0), (-6.0, 31.5)], 1.4)
            .and(Path::stroke(&[(4.4, 36.0), (8.4, 31.5)], 1.4)),
        Paint::veil(WHITE, 0.4),
    );
}

/// The outline whose right half has these corners from top to bottom; the left half is its mirror image.
pub fn symmetric(right_half: &[Point], radius: f64) -> Path {
    let left_half = right_half.iter().rev().map(|&(x, y)| (-x, y));
    let corners: Vec<Point> = right_half.iter().copied().chain(left_half).collect();
    Path::rounded(&corners, radius)
}
