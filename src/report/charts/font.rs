//! The embedded font: charts are drawn alike on machines that have no fonts at all.

use std::sync::Once;

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, TextStyle, register_font};

use super::UNIT;
use super::theme::Ink;

/// Inter, licensed under the SIL Open Font License; see `assets/fonts/LICENSE.txt`.
static REGULAR: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.otf");
static SEMI_BOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold.otf");

/// Height of the font's line in its em: Plotters' sizes are line heights, CSS's are ems.
pub const LINE_HEIGHT: f64 = 3408.0 / 2816.0;

/// Height of a capital in the font's line.
pub const CAPITAL_HEIGHT: f64 = 2048.0 / 3408.0;

/// Height of the box that Plotters lays a line of text out in, in the font's line.
pub const BOX_HEIGHT: f64 = 1.0 / 1.24;

/// Text of a size in CSS pixels.
pub fn text(size: f64, ink: Ink) -> TextStyle<'static> {
    style(size, ink, FontStyle::Normal)
}

/// As [`text`], with weight.
pub fn bold(size: f64, ink: Ink) -> TextStyle<'static> {
    style(size, ink, FontStyle::Bold)
}

/// The text placed so that its anchor is at these parts of its box.
pub fn anchored(style: TextStyle<'static>, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    style.pos(Pos::new(horizontal, vertical))
}

fn style(size: f64, ink: Ink, weight: FontStyle) -> TextStyle<'static> {
    register();
    let line_height = size * f64::from(UNIT) * LINE_HEIGHT;
    let mut style = TextStyle::from(FontDesc::new(FontFamily::SansSerif, line_height, weight));
    style.color = ink.rgb().to_backend_color();
    style
}

/// Gives the fonts to Plotters. A font that cannot be read makes drawing fail with a font error.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = register_font("sans-serif", FontStyle::Normal, REGULAR);
        let _ = register_font("sans-serif", FontStyle::Bold, SEMI_BOLD);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_fonts_can_be_read_and_bold_is_wider() {
        let width = |style: TextStyle| style.font.box_size("validation loss 0.123").unwrap().0;
        let (regular, bold) = (width(text(12.0, Ink::Text)), width(bold(12.0, Ink::Text)));
        assert!(regular > 300 && bold > regular, "{regular} {bold}");
    }

    #[test]
    fn every_sign_that_charts_write_is_in_the_font() {
        let style = text(12.0, Ink::Text);
        let width = |sign: char| style.font.box_size(&sign.to_string()).unwrap().0;
        let missing = width('\u{10FFFF}');
        for sign in "0123456789+−×%.,–→≥·()#αé".chars() {
            assert!(width(sign) > 0 && width(sign) != missing, "{sign}");
        }
    }
}
