//! The source domain: everyday scenes with short captions, such as "a red ball on the grass".
//!
//! A [`Scene`] is a pure function of its seed and index. Its caption names exactly what is to be seen:
//! every thing with its colour, from left to right, and the place.

mod nature;
mod objects;
mod places;

use image::RgbImage;

use self::objects::{OBJECTS, ObjectKind};
use self::places::{PLACES, PlaceKind};
use super::canvas::{Canvas, Paint, Placement, UNITS};
use super::colour::{COLOURS, Colour, INK, SCENE_COLOURS, WHITE, rgb, with_article};
use super::path::{Path, Point, between};
use crate::random::Random;

/// A drawn scene, its caption and what it shows.
#[derive(Debug, Clone)]
pub struct Scene {
    pub image: RgbImage,
    pub caption: String,
    /// One or two things, from left to right.
    pub objects: Vec<SceneObject>,
    pub place: &'static str,
}

/// A thing in a scene, by the words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct SceneObject {
    pub object: &'static str,
    pub colour: &'static str,
}

/// The scene of an index, drawn at full size (224 by 224 pixels).
pub fn scene(seed: u64, index: u64) -> Scene {
    scene_at(seed, index, UNITS as u32)
}

/// The scene of an index, drawn at `size` by `size` pixels: the same scene as at full size.
pub fn scene_at(seed: u64, index: u64, size: u32) -> Scene {
    let mut random = Random::new(seed, "scene", &[index]);
    let layout = Layout::choose(&mut random);
    let objects: Vec<_> = layout.things.iter().map(Thing::words).collect();
    let caption = write_caption(&objects, layout.place.word);
    Scene { image: layout.draw(size, &mut random), caption, objects, place: layout.place.word }
}

fn write_caption(objects: &[SceneObject], place: &str) -> String {
    let named: Vec<_> = objects.iter().map(|thing| with_article(thing.colour, thing.object)).collect();
    format!("{} on the {place}", named.join(" and "))
}

/// What a scene shows and where.
struct Layout {
    place: PlaceKind,
    horizon: f64,
    things: Vec<Thing>,
}

/// A thing and where it stands.
struct Thing {
    kind: ObjectKind,
    colour_word: &'static str,
    colour: Colour,
    foot: Point,
    /// Height in drawing units.
    height: f64,
    mirrored: bool,
    half_tangent: f64,
}

impl Layout {
    fn choose(random: &mut Random) -> Self {
        let place = *random.pick(&PLACES);
        let horizon = between(random, 92.0, 132.0);
        let mut kinds = OBJECTS;
        random.shuffle(&mut kinds);
        let things = if random.chance(0.5) {
            let x = between(random, 78.0, 146.0);
            vec![Thing::choose(kinds[0], x, between(random, 88.0, 140.0), random)]
        } else {
            let (left, right) = (between(random, 46.0, 68.0), between(random, 154.0, 178.0));
            let (one, other) = (between(random, 66.0, 92.0), between(random, 66.0, 92.0));
            vec![Thing::choose(kinds[0], left, one, random), Thing::choose(kinds[1], right, other, random)]
        };
        Self { place, horizon, things }
    }

    fn draw(&self, size: u32, random: &mut Random) -> RgbImage {
        let mut canvas = Canvas::new(size);
        (self.place.draw)(&mut canvas, self.horizon, random);
        let mut nearest_last: Vec<_> = self.things.iter().collect();
        nearest_last.sort_by(|one, other| one.foot.1.total_cmp(&other.foot.1));
        for thing in nearest_last {
            thing.draw(&mut canvas, self.place.word == "water", random);
        }
        canvas.into_image()
    }
}

impl Thing {
    fn choose(kind: ObjectKind, x: f64, height: f64, random: &mut Random) -> Self {
        let named = *random.pick(&COLOURS[..SCENE_COLOURS]);
        Self {
            kind,
            colour_word: named.word,
            colour: named.shade(random),
            foot: (x, between(random, 164.0, 194.0)),
            height,
            mirrored: random.chance(0.5),
            half_tangent: between(random, -0.035, 0.035),
        }
    }

    fn words(&self) -> SceneObject {
        SceneObject { object: self.kind.word, colour: self.colour_word }
    }

    fn draw(&self, canvas: &mut Canvas, afloat: bool, random: &mut Random) {
        let scale = self.height / 100.0;
        let upright = Placement::at(self.foot).scaled(scale, scale);
        canvas.place(upright);
        if !afloat {
            canvas.fill(&Path::ellipse((2.0, -1.0), 56.0, 9.0), Paint::veil(INK, 0.13));
            canvas.fill(&Path::ellipse((2.0, -1.0), 42.0, 6.0), Paint::veil(INK, 0.17));
        }
        let across = if self.mirrored { -scale } else { scale };
        canvas.place(Placement::at(self.foot).scaled(across, scale).turned(self.half_tangent));
        (self.kind.draw)(canvas, self.colour, random);
        if afloat {
            canvas.place(upright);
            draw_ripples(canvas);
        }
        canvas.place(Placement::IDENTITY);
    }
}

/// Water closes around the foot of a thing.
fn draw_ripples(canvas: &mut Canvas) {
    let water =
        Path::from((-62.0, -2.0)).curve((-46.0, -10.0), (-30.0, -4.0)).curve((-14.0, -10.0), (0.0, -4.0));
    let water = water
        .curve((16.0, -10.0), (30.0, -4.0))
        .curve((46.0, -10.0), (62.0, -2.0))
        .curve((0.0, 16.0), (-62.0, -2.0));
    canvas.fill(&water.close(), rgb(78, 158, 192));
    for (x, y, reach) in [(-30.0, 0.0, 18.0), (24.0, 2.0, 20.0)] {
        canvas.fill(&Path::arc((x - reach, y), (x, y + 5.0), (x + reach, y), 2.2), Paint::veil(WHITE, 0.5));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_bytes_are_the_same_on_every_machine() {
        let mut digest = Sha256::new();
        for index in 0..20 {
            digest.update(scene(7, index).image.as_raw());
        }
        assert_eq!(format!("{:x}", digest.finalize()), TWENTY_SCENES);
    }

    const TWENTY_SCENES: &str = "fbb01a8950e3f920e3a8ac626890fcc67e771f15ccf9d66ed49ef7cafc76512c";

    #[test]
    fn captions_name_every_thing_and_the_place_and_nothing_else() {
        for index in 0..300 {
            let scene = scene_at(7, index, 4);
            let words: Vec<&str> =
                scene.caption.split(' ').filter(|word| !["a", "an"].contains(word)).collect();
            let named = scene.objects.iter().flat_map(|thing| [thing.colour, thing.object, "and"]);
            let mut expected: Vec<&str> = named.collect();
            expected.pop();
            expected.extend(["on", "the", scene.place]);
            assert_eq!(words, expected, "{}", scene.caption);
        }
    }

    #[test]
    fn all_things_colours_and_places_occur() {
        let scenes: Vec<_> = (0..400).map(|index| scene_at(7, index, 4)).collect();
        let objects: BTreeSet<_> =
            scenes.iter().flat_map(|scene| &scene.objects).map(|thing| thing.object).collect();
        let colours: BTreeSet<_> =
            scenes.iter().flat_map(|scene| &scene.objects).map(|thing| thing.colour).collect();
        let places: BTreeSet<_> = scenes.iter().map(|scene| scene.place).collect();
        assert_eq!(
            (objects.len(), colours.len(), places.len()),
            (OBJECTS.len(), SCENE_COLOURS, PLACES.len())
        );
    }

    #[test]
    fn the_named_colour_is_in_the_picture() {
        for index in 0..100 {
            let scene = scene_at(7, index, 64);
            for thing in &scene.objects {
                let named = COLOURS.iter().find(|named| named.word == thing.colour).unwrap().colour;
                let apart = |pixel: &image::Rgb<u8>| {
                    let [red, green, blue] = pixel.0.map(f32::from);
                    (red - named.red).abs().max((green - named.green).abs()).max((blue - named.blue).abs())
                };
                let share = scene.image.pixels().filter(|pixel| apart(pixel) < 45.0).count() as f64 / 4096.0;
                assert!(share > 0.01, "{index}: {share:.3} of the picture of {}", scene.caption);
            }
        }
    }

    #[test]
    fn a_small_drawing_is_the_large_one_reduced() {
        for index in 0..20 {
            let (small, large) = (scene_at(7, index, 64).image, scene(7, index).image);
            let difference = mean_difference(&small, &reduced(&large));
            assert!(difference < 2.0, "{index}: {difference} of 255");
        }
    }

    fn reduced(image: &RgbImage) -> RgbImage {
        image::imageops::resize(image, 64, 64, image::imageops::FilterType::CatmullRom)
    }

    fn mean_difference(one: &RgbImage, other: &RgbImage) -> f64 {
        let sum: f64 = one.iter().zip(other.iter()).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs()).sum();
        sum / one.len() as f64
    }
}
