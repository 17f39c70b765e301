//! Charts: plain data, one drawing function each, written as SVG into the page and as PNG beside it.
//!
//! A [`Chart`] draws with Plotters onto any backend, in drawing units of which [`UNIT`] make a CSS pixel:
//! backends take whole numbers, and the finer grid keeps curves smooth. [`svg::render`] and [`png::render`] run
//! the same function. Colours are [`theme::Ink`]s, which the page shows light or dark.

pub mod axes;
pub mod axis_effect;
pub mod epoch_lines;
pub mod budget_curve;
pub mod font;
pub mod footed;
pub mod heat_map;
pub mod levels;
pub mod losses;
pub mod metric_bars;
pub mod panels;
pub mod parallel;
pub mod png;
pub mod score_curves;
pub mod search_curve;
pub mod size_curves;
pub mod share_bars;
pub mod sheet;
pub mod svg;
pub mod theme;
pub mod waterfall;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::prelude::DrawingBackend;

/// Drawing units in a CSS pixel.
pub const UNIT: u32 = 4;

/// A part of the canvas, in drawing units.
pub type Area<B> = DrawingArea<B, Shift>;

/// Whether drawing went well on this backend.
pub type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Something that can be drawn.
pub trait Chart {
    /// Width and height in CSS pixels.
    fn size(&self) -> (u32, u32);

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B>;
}

/// CSS pixels in drawing units.
fn units(pixels: f64) -> i32 {
    (pixels * f64::from(UNIT)).round() as i32
}
