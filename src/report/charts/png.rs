//! PNG files: charts drawn on white paper, at twice the size in CSS pixels.

use anyhow::anyhow;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use plotters::prelude::{BitMapBackend, DrawingBackend, IntoDrawingArea};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};

use super::font::{BOX_HEIGHT, CAPITAL_HEIGHT};
use super::theme::Ink;
use super::{Chart, UNIT};

/// Bytes of a pixel.
const CHANNELS: usize = 3;

/// The chart as a PNG file.
///
/// It is drawn at [`UNIT`] times its size and averaged down by two: Plotters draws wide lines without
/// smoothing.
pub fn render(chart: &impl Chart) -> anyhow::Result<Vec<u8>> {
    let (width, height) = chart.size();
    let size = (width * UNIT, height * UNIT);
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * CHANNELS];
    {
        let area = Canvas(BitMapBackend::with_buffer(&mut pixels, size)).into_drawing_area();
        area.fill(&Ink::Paper.rgb()).map_err(|error| anyhow!("{error}"))?;
        chart.draw(&area).map_err(|error| anyhow!("{error}"))?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    encode(&halved(&pixels, size.0 as usize), (size.0 / 2, size.1 / 2))
}

/// Plotters' bitmap with its text put right: it draws the baseline in the middle of the line, which leaves
/// text too high in its box.
struct Canvas<'a>(BitMapBackend<'a>);

type CanvasError = <BitMapBackend<'static> as DrawingBackend>::ErrorType;
type Done = Result<(), DrawingErrorKind<CanvasError>>;

impl DrawingBackend for Canvas<'_> {
    type ErrorType = CanvasError;

    fn get_size(&self) -> (u32, u32) {
        self.0.get_size()
    }

    fn ensure_prepared(&mut self) -> Done {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Done {
        self.0.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Done {
        self.0.draw_pixel(at, color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Done {
        self.0.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        filled: bool,
    ) -> Done {
        if filled || style.stroke_width() <= 1 {
            return self.0.draw_rect(from, to, style, filled);
        }
        // The bitmap's own outlines are a pixel wide, whatever the style says.
        let (left, top, right, bottom) = (from.0, from.1, to.0, to.1);
        self.draw_path([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], style)
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, (x, y): BackendCoord) -> Done {
        let middle_to_baseline = (BOX_HEIGHT + CAPITAL_HEIGHT) / 2.0;
        let drop = style.size() * (middle_to_baseline - 0.5);
        self.0.draw_text(text, style, (x, y + drop.round() as i32))
    }
}

/// Each two by two pixels averaged. The height is even, as [`UNIT`] is.
fn halved(pixels: &[u8], width: usize) -> Vec<u8> {
    let row_bytes = width * CHANNELS;
    let mut halved = Vec::with_capacity(pixels.len() / 4);
    for rows in pixels.chunks_exact(2 * row_bytes) {
        let (upper, lower) = rows.split_at(row_bytes);
        for (above, below) in upper.chunks_exact(2 * CHANNELS).zip(lower.chunks_exact(2 * CHANNELS)) {
            for channel in 0..CHANNELS {
                let four =
                    [above[channel], above[channel + CHANNELS], below[channel], below[channel + CHANNELS]];
                halved.push((four.map(u32::from).iter().sum::<u32>() / 4) as u8);
            }
        }
    }
    halved
}

fn encode(pixels: &[u8], (width, height): (u32, u32)) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    encoder.write_image(pixels, width, height, ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_averages_each_channel_of_four_pixels() {
        let upper = [10, 0, 0, 20, 100, 4, 1, 1, 1, 1, 1, 1];
        let lower = [30, 0, 0, 40, 100, 8, 3, 3, 3, 3, 3, 3];
        assert_eq!(halved(&[upper, lower].concat(), 4), [25, 50, 3, 2, 2, 2]);
    }
}
