//! A chart with a line of words below it, for the PNG file: it is seen without the page around it.

use plotters::element::Text;
use plotters::prelude::DrawingBackend;
use plotters::style::TextStyle;
use plotters::style::text_anchor::{HPos, VPos};

use super::font::{anchored, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, UNIT, units};

/// The chart and the words.
pub struct Footed<'a, C> {
    pub chart: &'a C,
    pub words: &'a str,
}

const HEIGHT: u32 = 24;
const MARGIN: f64 = 22.0;
const SIZE: f64 = 11.0;

impl<C> Footed<'_, C> {
    fn style(&self) -> TextStyle<'static> {
        anchored(text(SIZE, Ink::Muted), HPos::Left, VPos::Top)
    }

    /// Width of the words and their margins in CSS pixels; a font that cannot be read fails when drawing.
    fn width(&self) -> u32 {
        let words = self.style().font.box_size(self.words).map_or(0, |(width, _)| width);
        words.div_ceil(UNIT) + 2 * MARGIN as u32
    }
}

impl<C: Chart> Chart for Footed<'_, C> {
    fn size(&self) -> (u32, u32) {
        let (width, height) = self.chart.size();
        (width.max(self.width()), height + HEIGHT)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let (width, height) = self.chart.size();
        let size = (units(width.into()) as u32, units(height.into()) as u32);
        self.chart.draw(&area.clone().shrink((0, 0), size))?;
        let at = (units(MARGIN), units(height.into()));
        area.draw(&Text::new(self.words.to_owned(), at, self.style()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::charts::heat_map::HeatMap;
    use crate::report::charts::png;

    #[test]
    fn long_words_widen_the_picture_instead_of_being_cut() {
        let chart = HeatMap {
            x_title: "rate".to_owned(),
            y_title: "layers".to_owned(),
            columns: vec!["1".to_owned()],
            rows: vec!["2".to_owned()],
            cells: vec![vec![Some(0.5)]],
            is_higher_better: true,
        };
        let words = "scores: convention coco; ".repeat(4);
        let footed = Footed { chart: &chart, words: &words };
        let picture = image::load_from_memory(&png::render(&footed).unwrap()).unwrap().to_luma8();
        assert!(footed.size().0 > chart.size().0, "{:?}", footed.size());
        let last_ink =
            picture.enumerate_pixels().filter(|(_, _, ink)| ink.0[0] < 200).map(|(x, _, _)| x).max();
        let right = picture.width() - last_ink.unwrap();
        assert!((30..60).contains(&right), "{right} of {} are free", picture.width());
    }
}
