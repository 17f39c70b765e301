//! Puts a figure together, from the backdrop to the hat.

use image::RgbImage;

use super::body::{Body, SOLES};
use super::clothes;
use super::{Dye, Visible, backdrop};
use crate::lab::canvas::{Canvas, Placement, UNITS};
use crate::lab::colour::{Colour, rgb};
use crate::lab::path::between;
use crate::random::Random;

/// The person that `visible` describes, in `size` by `size` pixels.
pub fn draw(visible: &Visible, size: u32, random: &mut Random) -> RgbImage {
    let mut canvas = Canvas::new(size);
    backdrop::draw(&mut canvas, random);
    let body = Body::choose(visible.person, random);
    let shades = Shades::choose(visible, random);
    canvas.place(choose_placement(random));
    clothes::draw_shadow(&mut canvas);
    body.draw_behind(&mut canvas);
    body.draw_limbs(&mut canvas, shades.shoes);
    clothes::draw_lower(&mut canvas, &body, visible, shades.lower, random);
    clothes::draw_upper(&mut canvas, &body, visible, shades.upper, random);
    if let Some((outer, shade)) = visible.outer.as_ref().zip(shades.outer) {
        clothes::draw_outer(&mut canvas, &body, outer, shade, random);
    }
    clothes::draw_accessories(&mut canvas, &body, visible, shades.bag);
    body.draw_head(&mut canvas, visible);
    if let Some(shade) = shades.hat {
        clothes::draw_hat(&mut canvas, random.below(3), shade);
    }
    canvas.into_image()
}

/// The shades that this person's clothes have.
struct Shades {
    upper: Colour,
    lower: Colour,
    outer: Option<Colour>,
    hat: Option<Colour>,
    bag: Option<Colour>,
    shoes: Colour,
}

impl Shades {
    fn choose(visible: &Visible, random: &mut Random) -> Self {
        let mut shade = |Dye(named): Dye| named.shade(random);
        Self {
            upper: shade(visible.upper.colour),
            lower: shade(visible.lower.colour),
            outer: visible.outer.map(|outer| shade(outer.colour)),
            hat: visible.hat.map(&mut shade),
            bag: visible.bag.map(&mut shade),
            shoes: *random.pick(&[rgb(44, 42, 50), rgb(112, 72, 50), rgb(236, 234, 228), rgb(150, 54, 52)]),
        }
    }
}

/// A slightly different distance and position each time, and the two sides exchanged in half the cases.
fn choose_placement(random: &mut Random) -> Placement {
    let scale = between(random, 0.93, 1.02);
    let across = if random.chance(0.5) { -scale } else { scale };
    let origin = (UNITS / 2.0 + between(random, -14.0, 14.0), 216.0 - SOLES * scale);
    Placement::at(origin).scaled(across, scale)
}
