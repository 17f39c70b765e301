//! Colours, and the words that captions have for them.

use crate::random::Random;

/// An sRGB colour; each channel is in `0.0..=255.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour {
    pub red: f32,
    pub green: f32,
    pub blue: f32,
}

/// A colour by its bytes.
pub const fn rgb(red: u8, green: u8, blue: u8) -> Colour {
    Colour { red: red as f32, green: green as f32, blue: blue as f32 }
}

pub const WHITE: Colour = rgb(255, 255, 255);
/// What shadows tend to; a bluish black looks softer than a pure one.
pub const INK: Colour = rgb(24, 20, 36);

impl Colour {
    /// This colour with `share` (0 to 1) of another in it.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let blend = |own: f32, others: f32| own + (others - own) * share;
        Self {
            red: blend(self.red, other.red),
            green: blend(self.green, other.green),
            blue: blend(self.blue, other.blue),
        }
    }

    /// This colour with `share` (0 to 1) of white in it.
    pub fn lighter(self, share: f32) -> Self {
        self.mix(WHITE, share)
    }

    /// This colour with `share` (0 to 1) of shadow in it.
    pub fn darker(self, share: f32) -> Self {
        self.mix(INK, share)
    }

    /// Perceived brightness, 0 (black) to 255 (white), with the weights of ITU-R BT.601.
    pub fn brightness(self) -> f32 {
        0.299 * self.red + 0.587 * self.green + 0.114 * self.blue
    }
}

/// A colour that a caption can name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NamedColour {
    pub word: &'static str,
    pub colour: Colour,
}

const fn named(word: &'static str, red: u8, green: u8, blue: u8) -> NamedColour {
    NamedColour { word, colour: rgb(red, green, blue) }
}

/// The colours of the clothes; the first [`SCENE_COLOURS`] of them are also those of the scenes.
pub const COLOURS: [NamedColour; 12] = [
    named("red", 206, 48, 46),
    named("orange", 240, 138, 34),
    named("yellow", 246, 208, 52),
    named("green", 66, 156, 74),
    named("blue", 50, 100, 200),
    named("purple", 130, 72, 168),
    named("pink", 242, 144, 180),
    named("brown", 132, 84, 52),
    named("black", 40, 40, 46),
    named("white", 245, 244, 240),
    named("gray", 142, 146, 152),
    named("beige", 222, 202, 168),
];

/// How many of [`COLOURS`] the scenes use.
pub const SCENE_COLOURS: usize = 10;

impl NamedColour {
    /// One of the many shades that go by this name.
    pub fn shade(self, random: &mut Random) -> Colour {
        let depth = random.uniform() as f32 * 0.24 - 0.12;
        let shaded = if depth < 0.0 { self.colour.darker(-depth) } else { self.colour.lighter(depth) };
        let mut stray = |channel: f32| (channel + random.uniform() as f32 * 14.0 - 7.0).clamp(0.0, 255.0);
        Colour { red: stray(shaded.red), green: stray(shaded.green), blue: stray(shaded.blue) }
    }
}

/// A thing with its colour: "a red hat", "an orange hat".
pub fn with_article(colour: &str, thing: &str) -> String {
    let article = if colour.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {colour} {thing}")
}
