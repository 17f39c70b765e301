//! The target domain: clothed people with long, structured captions, in the manner of fashion data.
//!
//! A [`Figure`] is a pure function of its seed and index. What it wears comes in two parts: what the picture
//! shows ([`Visible`]) and what only the caption tells ([`Hidden`]). No model can learn the second part from
//! the picture, as in real fashion captions.

mod backdrop;
mod body;
mod caption;
mod clothes;
mod drawing;
mod pattern;
mod wardrobe;

use image::RgbImage;
use serde::Serialize;

use super::canvas::UNITS;
use super::colour::NamedColour;
use crate::random::Random;

/// A drawn person, the caption and what it is made from.
#[derive(Debug, Clone)]
pub struct Figure {
    pub image: RgbImage,
    pub caption: String,
    pub visible: Visible,
    pub hidden: Hidden,
}

/// What the picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Visible {
    pub person: Person,
    pub upper: Upper,
    pub lower: Lower,
    pub outer: Option<Outer>,
    pub hat: Option<Dye>,
    pub glasses: bool,
    pub belt: bool,
    pub bag: Option<Dye>,
    pub necklace: bool,
    /// Only a few pixels large.
    pub wristband: bool,
}

/// What only the caption tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hidden {
    pub upper_fabric: Fabric,
    pub lower_fabric: Fabric,
    /// Present where an outer clothing is worn.
    pub outer_fabric: Option<Fabric>,
    pub ring: bool,
}

/// The shirt, sweater or top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Upper {
    pub sleeves: Sleeves,
    pub neckline: Neckline,
    pub colour: Dye,
    pub pattern: Pattern,
}

/// The trousers, shorts or skirt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lower {
    pub garment: LowerGarment,
    pub length: Length,
    pub colour: Dye,
    pub pattern: Pattern,
}

/// What is worn open over the upper clothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Outer {
    pub garment: OuterGarment,
    pub colour: Dye,
    pub pattern: Pattern,
}

/// The colour of a piece of clothing; written as its word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dye(pub NamedColour);

impl Serialize for Dye {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Person {
    Lady,
    Man,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sleeves {
    Sleeveless,
    Short,
    Long,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Neckline {
    Round,
    VShape,
    Square,
    /// A shirt's collar.
    Lapel,
    /// A turtleneck.
    Stand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    Solid,
    Striped,
    Dotted,
    Checked,
    Floral,
    /// One large print on the chest.
    Graphic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LowerGarment {
    Trousers,
    Shorts,
    Skirt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// Above the knee.
    Short,
    /// To the calf.
    ThreeQuarter,
    /// To the ankle.
    Long,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OuterGarment {
    /// No collar, to the hips.
    Cardigan,
    /// A collar, to the waist.
    Jacket,
    /// A collar, to the knees.
    Coat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fabric {
    Cotton,
    Denim,
    Chiffon,
    Knitted,
    Leather,
    Furry,
}

/// The figure of an index, drawn at full size (224 by 224 pixels).
pub fn figure(seed: u64, index: u64) -> Figure {
    figure_at(seed, index, UNITS as u32)
}

/// The figure of an index, drawn at `size` by `size` pixels: the same figure as at full size.
pub fn figure_at(seed: u64, index: u64, size: u32) -> Figure {
    let mut random = Random::new(seed, "figure", &[index]);
    let (visible, hidden) = wardrobe::choose(&mut random);
    let caption = caption::write(&visible, &hidden, &mut Random::new(seed, "figure caption", &[index]));
    let image = drawing::draw(&visible, size, &mut Random::new(seed, "figure drawing", &[index]));
    Figure { image, caption, visible, hidden }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::lab::colour::COLOURS;

    #[test]
    fn the_bytes_are_the_same_on_every_machine() {
        let mut digest = Sha256::new();
        for index in 0..20 {
            let figure = figure(7, index);
            digest.update(figure.image.as_raw());
            digest.update(figure.caption);
        }
        assert_eq!(format!("{:x}", digest.finalize()), TWENTY_FIGURES);
    }

    const TWENTY_FIGURES: &str = "d43708a5156085d90f42db0182ab3a38d182002a937a17a5064b4240848a4805";

    #[test]
    fn captions_name_the_colours_of_the_clothes() {
        for index in 0..300 {
            let Figure { caption, visible, .. } = figure_at(7, index, 4);
            for Dye(named) in [visible.upper.colour, visible.lower.colour] {
                assert!(caption.contains(named.word), "{} is missing: {caption}", named.word);
            }
        }
    }

    #[test]
    fn every_visible_attribute_changes_the_picture_at_the_size_of_the_model() {
        let (visible, _) = wardrobe::choose(&mut Random::new(7, "figure", &[0]));
        let draw =
            |visible: &Visible| drawing::draw(visible, 64, &mut Random::new(7, "figure drawing", &[0]));
        let hat = Some(Dye(COLOURS[0]));
        let outer = Outer { garment: OuterGarment::Coat, colour: Dye(COLOURS[1]), pattern: Pattern::Solid };
        let plain = Visible {
            upper: Upper {
                sleeves: Sleeves::Short,
                neckline: Neckline::Round,
                pattern: Pattern::Solid,
                ..visible.upper
            },
            lower: Lower { garment: LowerGarment::Trousers, length: Length::Long, ..visible.lower },
            outer: None,
            hat: None,
            glasses: false,
            belt: false,
            bag: None,
            necklace: false,
            wristband: false,
            ..visible
        };
        let with_upper = |upper: Upper| Visible { upper, ..plain };
        let variants = [
            with_upper(Upper { sleeves: Sleeves::Sleeveless, ..plain.upper }),
            with_upper(Upper { sleeves: Sleeves::Long, ..plain.upper }),
            with_upper(Upper { neckline: Neckline::VShape, ..plain.upper }),
            with_upper(Upper { neckline: Neckline::Square, ..plain.upper }),
            with_upper(Upper { neckline: Neckline::Lapel, ..plain.upper }),
            with_upper(Upper { neckline: Neckline::Stand, ..plain.upper }),
            with_upper(Upper { pattern: Pattern::Striped, ..plain.upper }),
            with_upper(Upper { pattern: Pattern::Dotted, ..plain.upper }),
            with_upper(Upper { pattern: Pattern::Checked, ..plain.upper }),
            with_upper(Upper { pattern: Pattern::Floral, ..plain.upper }),
            with_upper(Upper { pattern: Pattern::Graphic, ..plain.upper }),
            Visible { lower: Lower { length: Length::ThreeQuarter, ..plain.lower }, ..plain },
            Visible { lower: Lower { garment: LowerGarment::Skirt, ..plain.lower }, ..plain },
            Visible { outer: Some(outer), ..plain },
            Visible { hat, ..plain },
            Visible { glasses: true, ..plain },
            Visible { belt: true, ..plain },
            Visible { bag: hat, ..plain },
            Visible { necklace: true, ..plain },
            Visible { wristband: true, ..plain },
        ];
        let base = draw(&plain);
        for variant in variants {
            let picture = draw(&variant);
            let changed = base
                .pixels()
                .zip(picture.pixels())
                .filter(|(one, other)| one.0.iter().zip(other.0).any(|(&a, b)| a.abs_diff(b) > 24));
            let changed = changed.count();
            assert!(changed >= 4, "only {changed} pixels: {variant:?}");
        }
    }

    #[test]
    fn clothes_that_touch_differ_in_colour() {
        for index in 0..300 {
            let visible = figure_at(7, index, 4).visible;
            assert_ne!(visible.upper.colour, visible.lower.colour);
        }
    }
}
