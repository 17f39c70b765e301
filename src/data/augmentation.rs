//! Pictures changed at random, so that a model which sees them again and again has something new to see.
//!
//! What is done to a picture is drawn from a stream that the caller keys by image and view, never from the state of a
//! generator. Crop and jitter are those of torchvision's `RandomResizedCrop` and `ColorJitter`, but that values are rounded and
//! cut off once at the end and not after every change; what a turned picture does not cover repeats its edge, since black
//! corners would tell the model what it is not to learn.

use image::{Rgb, RgbImage, imageops};

use crate::random::Random;

/// How pictures are changed; the default does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// The probability that left and right change places.
    pub horizontal_flip: f64,
    /// The least share of the area that is cut out; 1 cuts nothing.
    pub random_resized_crop: f64,
    /// The most degrees that a picture is turned by, either way.
    pub rotation: f64,
    /// By how much brightness, contrast and saturation may differ: factors lie within so much of 1.
    pub color_jitter: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { horizontal_flip: 0.0, random_resized_crop: 1.0, rotation: 0.0, color_jitter: 0.0 }
    }
}

/// What is done to one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    flips: bool,
    /// Left, top, width and height as shares of the picture's.
    crop: Option<[f64; 4]>,
    degrees: f64,
    /// Factors of brightness, contrast and saturation.
    factors: [f64; 3],
}

/// Ratios of width to height of what is cut out, over that of the picture.
const RATIOS: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// Shares of red, green and blue in grey (ITU-R BT.601), as Pillow and torchvision have them.
const GREY: [f64; 3] = [0.299, 0.587, 0.114];

impl Augmentation {
    /// Whether it does anything.
    pub fn is_on(&self) -> bool {
        *self != Self::default()
    }

    /// What is done to a picture. One whose captions speak of left and right may not be mirrored.
    pub fn draw(&self, mut random: Random, may_flip: bool) -> View {
        // Always as many numbers, so that a setting changes nothing but what it is of.
        let [flip, area, ratio, left, top, turn, a, b, c] = std::array::from_fn(|_| random.uniform());
        let factor = |number: f64| 1.0 + self.color_jitter * (2.0 * number - 1.0);
        View {
            flips: may_flip && flip < self.horizontal_flip,
            crop: (self.random_resized_crop < 1.0).then(|| self.crop(area, ratio, left, top)),
            degrees: self.rotation * (2.0 * turn - 1.0),
            factors: [a, b, c].map(factor),
        }
    }

    /// A part with an area and, by its logarithm, a ratio that are uniform within their bounds; as much of it as fits.
    fn crop(&self, area: f64, ratio: f64, left: f64, top: f64) -> [f64; 4] {
        let area = self.random_resized_crop + (1.0 - self.random_resized_crop) * area;
        let [low, high] = RATIOS.map(f64::ln);
        let ratio = (low + (high - low) * ratio).exp();
        let (width, height) = ((area * ratio).sqrt().min(1.0), (area / ratio).sqrt().min(1.0));
        [left * (1.0 - width), top * (1.0 - height), width, height]
    }
}

impl View {
    /// Whether it is the picture as it is.
    pub fn is_plain(&self) -> bool {
        !self.flips && self.crop.is_none() && self.degrees == 0.0 && self.factors == [1.0; 3]
    }

    /// The picture so changed: turned, cut, mirrored, and then in other colours.
    pub fn apply(&self, picture: &RgbImage) -> RgbImage {
        let mut changed = if self.degrees == 0.0 { picture.clone() } else { turned(picture, self.degrees) };
        if let Some(crop) = self.crop {
            changed = cut(&changed, crop);
        }
        if self.flips {
            imageops::flip_horizontal_in_place(&mut changed);
        }
        if self.factors != [1.0; 3] {
            recolour(&mut changed, self.factors);
        }
        changed
    }
}

/// The part of the picture, at least a pixel.
fn cut(picture: &RgbImage, [left, top, width, height]: [f64; 4]) -> RgbImage {
    let [across, down] = [picture.width(), picture.height()];
    let part = |share: f64, of: u32| ((share * f64::from(of)).round() as u32).clamp(1, of.max(1));
    let (width, height) = (part(width, across), part(height, down));
    let place = |share: f64, of: u32, size: u32| {
        ((share * f64::from(of)).round() as u32).min(of.saturating_sub(size))
    };
    let (left, top) = (place(left, across, width), place(top, down, height));
    imageops::crop_imm(picture, left, top, width, height).to_image()
}

/// Turned about its middle, against the clock, in the same size; between pixels, values are bilinear.
fn turned(picture: &RgbImage, degrees: f64) -> RgbImage {
    let (width, height) = picture.dimensions();
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = [f64::from(width) - 1.0, f64::from(height) - 1.0].map(|last| last / 2.0);
    RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (f64::from(x) - middle[0], f64::from(y) - middle[1]);
        between(picture, middle[0] + cos * dx - sin * dy, middle[1] + sin * dx + cos * dy)
    })
}

fn between(picture: &RgbImage, x: f64, y: f64) -> Rgb<u8> {
    let x = x.clamp(0.0, f64::from(picture.width() - 1));
    let y = y.clamp(0.0, f64::from(picture.height() - 1));
    let (left, top) = (x.floor() as u32, y.floor() as u32);
    let (right, bottom) = ((left + 1).min(picture.width() - 1), (top + 1).min(picture.height() - 1));
    let (along, down) = (x - x.floor(), y - y.floor());
    Rgb(std::array::from_fn(|channel| {
        let at = |x, y| f64::from(picture.get_pixel(x, y)[channel]);
        let above = at(left, top) * (1.0 - along) + at(right, top) * along;
        let below = at(left, bottom) * (1.0 - along) + at(right, bottom) * along;
        (above * (1.0 - down) + below * down).round() as u8
    }))
}

fn grey(pixel: &Rgb<u8>) -> f64 {
    pixel.0.iter().zip(GREY).map(|(value, share)| f64::from(*value) * share).sum()
}

/// Brightness is a factor of all values; contrast, of their distance from the picture's mean grey; saturation, of that from
/// the pixel's own.
fn recolour(picture: &mut RgbImage, [brightness, contrast, saturation]: [f64; 3]) {
    let count = picture.pixels().len().max(1) as f64;
    let mean = brightness * picture.pixels().map(grey).sum::<f64>() / count;
    for pixel in picture.pixels_mut() {
        let own = mean + contrast * (brightness * grey(pixel) - mean);
        for value in &mut pixel.0 {
            let contrasted = mean + contrast * (brightness * f64::from(*value) - mean);
            *value = (own + saturation * (contrasted - own)).round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// Whether a caption says where left and right are, so that a mirrored picture would belie it.
pub fn names_sides(caption: &str) -> bool {
    let words = caption.split(|character: char| !character.is_alphanumeric());
    words
        .map(str::to_lowercase)
        .any(|word| matches!(word.as_str(), "left" | "right" | "leftmost" | "rightmost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(24, 16, |x, y| Rgb([(10 * x) as u8, (15 * y) as u8, 90]))
    }

    fn view(change: impl Fn(&mut Augmentation), number: u64) -> View {
        let mut augmentation = Augmentation::default();
        change(&mut augmentation);
        augmentation.draw(Random::new(1, "view", &[number]), true)
    }

    #[test]
    fn nothing_is_done_by_default_and_what_is_done_is_what_was_asked_for() {
        assert!((0..50).all(|number| view(|_| (), number).is_plain()));
        assert_eq!(view(|_| (), 0).apply(&picture()), picture());
        let flips = (0..400).filter(|number| view(|a| a.horizontal_flip = 0.25, *number).flips).count();
        assert!((70..130).contains(&flips), "{flips} of 400");
        let cropped: Vec<[f64; 4]> =
            (0..400).map(|number| view(|a| a.random_resized_crop = 0.5, number).crop.unwrap()).collect();
        assert!(cropped.iter().all(|[left, top, width, height]| {
            let fits =
                *left >= 0.0 && *top >= 0.0 && left + width <= 1.0 + 1e-9 && top + height <= 1.0 + 1e-9;
            fits && width * height >= 0.43
        }));
        assert!(cropped.iter().any(|[_, _, width, height]| width * height < 0.55));
        let turns: Vec<f64> = (0..400).map(|number| view(|a| a.rotation = 10.0, number).degrees).collect();
        assert!(turns.iter().all(|degrees| degrees.abs() <= 10.0) && turns.iter().any(|d| *d < -9.0));
        let factors: Vec<[f64; 3]> =
            (0..400).map(|number| view(|a| a.color_jitter = 0.3, number).factors).collect();
        assert!(factors.iter().flatten().all(|factor| (0.7..=1.3).contains(factor)));
    }

    #[test]
    fn a_setting_changes_nothing_but_what_it_is_of() {
        let all = |a: &mut Augmentation| {
            *a = Augmentation {
                horizontal_flip: 0.5,
                random_resized_crop: 0.5,
                rotation: 9.0,
                color_jitter: 0.2,
            };
        };
        for number in 0..20 {
            let together = view(all, number);
            assert_eq!(together.degrees, view(|a| a.rotation = 9.0, number).degrees);
            assert_eq!(together.crop, view(|a| a.random_resized_crop = 0.5, number).crop);
            assert_eq!(together.flips, view(|a| a.horizontal_flip = 0.5, number).flips);
        }
    }

    #[test]
    fn mirroring_twice_and_a_whole_turn_give_the_picture_back_and_a_half_turn_both_mirrors() {
        let plain = View { flips: false, crop: None, degrees: 0.0, factors: [1.0; 3] };
        let mirror = View { flips: true, ..plain };
        assert_eq!(mirror.apply(&mirror.apply(&picture())), picture());
        assert_eq!(mirror.apply(&picture()).get_pixel(0, 3), picture().get_pixel(23, 3));
        assert_eq!(View { degrees: 360.0, ..plain }.apply(&picture()), picture());
        let half = View { degrees: 180.0, ..plain }.apply(&picture());
        assert_eq!(half, imageops::rotate180(&picture()));
        let quarter = View { crop: Some([0.5, 0.5, 0.5, 0.5]), ..plain }.apply(&picture());
        assert_eq!((quarter.dimensions(), quarter.get_pixel(0, 0)), ((12, 8), picture().get_pixel(12, 8)));
    }

    #[test]
    fn colours_move_as_those_of_torchvision() {
        let one = |factors| {
            let mut picture = RgbImage::from_fn(2, 1, |x, _| Rgb([100 + 100 * x as u8, 50, 0]));
            recolour(&mut picture, factors);
            picture.pixels().map(|pixel| pixel.0).collect::<Vec<_>>()
        };
        assert_eq!(one([1.5, 1.0, 1.0]), [[150, 75, 0], [255, 75, 0]]);
        // Greys of 59.25 and 89.15, and 74.2 of both.
        assert_eq!(one([1.0, 0.5, 1.0]), [[87, 62, 37], [137, 62, 37]]);
        assert_eq!(one([1.0, 1.0, 0.0]), [[59, 59, 59], [89, 89, 89]]);
    }

    #[test]
    fn words_for_sides_are_found_whole_and_in_any_case() {
        for caption in ["A bag on the LEFT.", "the right sleeve", "far-right corner", "the leftmost one"] {
            assert!(names_sides(caption), "{caption}");
        }
        for caption in ["a bright leftover", "the upper clothing has long sleeves", ""] {
            assert!(!names_sides(caption), "{caption}");
        }
    }
}
