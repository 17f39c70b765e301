//! The colours of charts, by what they mean.
//!
//! An [`Ink`] has one fixed colour, used in PNG files, and a CSS variable, which the page sets for light and
//! dark. The hues are told apart under the common kinds of colour blindness; no chart relies on them alone.

use plotters::style::RGBColor;

/// What a mark is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Paper,
    Text,
    Muted,
    Grid,
    /// Lines that give context to others.
    Faint,
    /// The best fine-tuned run, and validation.
    Blue,
    /// Training, and the worst run.
    Orange,
    /// The median run.
    Green,
    /// The model before training.
    Purple,
    /// Floors.
    Slate,
    /// Steps of a scale from low (0) to high (6).
    Heat(usize),
    /// Text on the lower steps of the scale.
    OnLowHeat,
    /// Text on the upper steps of the scale.
    OnHighHeat,
}

/// Steps of the scale of [`Ink::Heat`].
pub const HEAT_STEPS: usize = 7;

const HEAT: [RGBColor; HEAT_STEPS] = [
    RGBColor(0xEF, 0xF4, 0xFA),
    RGBColor(0xD3, 0xE3, 0xF3),
    RGBColor(0xB0, 0xCE, 0xE9),
    RGBColor(0x85, 0xB4, 0xDD),
    RGBColor(0x55, 0x94, 0xCB),
    RGBColor(0x2E, 0x72, 0xB2),
    RGBColor(0x17, 0x4F, 0x87),
];

impl Ink {
    pub const ALL: [Self; 19] = [
        Self::Paper,
        Self::Text,
        Self::Muted,
        Self::Grid,
        Self::Faint,
        Self::Blue,
        Self::Orange,
        Self::Green,
        Self::Purple,
        Self::Slate,
        Self::Heat(0),
        Self::Heat(1),
        Self::Heat(2),
        Self::Heat(3),
        Self::Heat(4),
        Self::Heat(5),
        Self::Heat(6),
        Self::OnLowHeat,
        Self::OnHighHeat,
    ];

    /// The colour on white paper. No two inks share one, so that a backend can tell them apart.
    pub fn rgb(self) -> RGBColor {
        match self {
            Self::Paper => RGBColor(0xFF, 0xFF, 0xFF),
            Self::Text => RGBColor(0x1B, 0x1F, 0x24),
            Self::Muted => RGBColor(0x56, 0x5F, 0x6B),
            Self::Grid => RGBColor(0xE2, 0xE6, 0xEB),
            Self::Faint => RGBColor(0xB3, 0xBB, 0xC5),
            Self::Blue => RGBColor(0x1A, 0x62, 0xAF),
            Self::Orange => RGBColor(0xC2, 0x53, 0x06),
            Self::Green => RGBColor(0x0B, 0x7A, 0x5E),
            Self::Purple => RGBColor(0x8A, 0x46, 0xA3),
            Self::Slate => RGBColor(0x6C, 0x75, 0x81),
            Self::Heat(step) => HEAT[step.min(HEAT_STEPS - 1)],
            Self::OnLowHeat => RGBColor(0x1B, 0x1F, 0x25),
            Self::OnHighHeat => RGBColor(0xFE, 0xFE, 0xFE),
        }
    }

    /// The CSS variable of the page, without the two hyphens.
    pub fn css_name(self) -> String {
        match self {
            Self::Paper => "paper".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Muted => "muted".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Faint => "faint".to_owned(),
            Self::Blue => "blue".to_owned(),
            Self::Orange => "orange".to_owned(),
            Self::Green => "green".to_owned(),
            Self::Purple => "purple".to_owned(),
            Self::Slate => "slate".to_owned(),
            Self::Heat(step) => format!("heat-{step}"),
            Self::OnLowHeat => "on-low-heat".to_owned(),
            Self::OnHighHeat => "on-high-heat".to_owned(),
        }
    }

    /// The ink of a colour that a backend is given.
    pub fn of_rgb((red, green, blue): (u8, u8, u8)) -> Option<Self> {
        Self::ALL.into_iter().find(|ink| ink.rgb() == RGBColor(red, green, blue))
    }

    /// The ink of text on a step of the scale.
    pub fn on_heat(step: usize) -> Self {
        if step < 4 { Self::OnLowHeat } else { Self::OnHighHeat }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG 2.1 defines it.
    fn luminance(ink: Ink) -> f64 {
        let channel = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let RGBColor(red, green, blue) = ink.rgb();
        0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue)
    }

    fn contrast(a: Ink, b: Ink) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_leads_back_to_its_ink() {
        for ink in Ink::ALL {
            let RGBColor(red, green, blue) = ink.rgb();
            assert_eq!(Ink::of_rgb((red, green, blue)), Some(ink));
        }
        assert_eq!(Ink::of_rgb((1, 2, 3)), None);
    }

    #[test]
    fn text_stands_out_from_what_it_is_written_on() {
        for ink in [Ink::Text, Ink::Muted, Ink::Blue, Ink::Orange, Ink::Green, Ink::Purple, Ink::Slate] {
            assert!(contrast(ink, Ink::Paper) >= 4.5, "{ink:?}: {}", contrast(ink, Ink::Paper));
        }
        for step in 0..HEAT_STEPS {
            let found = contrast(Ink::on_heat(step), Ink::Heat(step));
            assert!(found >= 3.0, "step {step}: {found}");
        }
    }
}
