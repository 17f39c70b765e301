//! What share each setting has in the scatter of the scores: bars that lie, with whiskers.

use plotters::element::{EmptyElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, line, plot, whisker};
use super::font::{anchored, bold, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

#[derive(Debug, Clone, PartialEq)]
pub struct ShareBar {
    pub label: String,
    /// From 0 to 1, with its interval.
    pub share: f64,
    pub interval: (f64, f64),
    /// Stands at the end of the bar.
    pub note: String,
    /// Told from chance: solid, where the others are outlined.
    pub is_clear: bool,
}

/// The bars from top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareBars {
    pub x_title: String,
    pub bars: Vec<ShareBar>,
}

const WIDTH: u32 = 640;
const ROW: f64 = 34.0;
/// Room for the names at the left and the notes at the right.
const SPACE: [f64; 4] = [8.0, 122.0, 42.0, 158.0];

impl Chart for ShareBars {
    fn size(&self) -> (u32, u32) {
        (WIDTH, (SPACE[0] + SPACE[2] + ROW * self.bars.len().max(1) as f64) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let x = self.scale();
        let y = Scale::places(self.bars.len());
        let label =
            |place: f64| self.bars.iter().rev().nth(place.round() as usize).map(|bar| bar.label.clone());
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|share| format!("{:.0} %", share * 100.0),
                y_label: &|place| label(place).unwrap_or_default(),
                x_title: &self.x_title,
                y_title: "",
                space: SPACE,
                grid: Grid::Vertical,
            },
        )?;
        for (place, bar) in self.bars.iter().rev().enumerate() {
            draw_bar(&mut plot, bar, place as f64)?;
        }
        Ok(())
    }
}

impl ShareBars {
    /// From 0, in steps of whole percents.
    fn scale(&self) -> Scale {
        let highest = self.bars.iter().map(|bar| bar.interval.1.max(bar.share)).fold(0.04, f64::max);
        Scale::round([0.0, highest], 4)
    }
}

fn draw_bar<B: DrawingBackend>(plot: &mut Plot<B>, bar: &ShareBar, place: f64) -> Drawn<B> {
    let corners = [(0.0, place + 0.3), (bar.share, place - 0.3)];
    if bar.is_clear {
        plot.draw_series(std::iter::once(Rectangle::new(corners, Ink::Blue.rgb().filled())))?;
    } else {
        plot.draw_series(std::iter::once(Rectangle::new(corners, Ink::Slate.rgb().mix(0.18).filled())))?;
        plot.draw_series(std::iter::once(Rectangle::new(corners, line(Ink::Slate, 1.25))))?;
    }
    plot.draw_series(whisker(bar.interval, place))?;
    let style = if bar.is_clear { bold(12.0, Ink::Text) } else { text(12.0, Ink::Text) };
    let style = anchored(style, HPos::Left, VPos::Center);
    let end = (bar.share.max(bar.interval.1), place);
    plot.draw_series(std::iter::once(
        EmptyElement::at(end) + Text::new(bar.note.clone(), (units(8.0), 0), style),
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::charts::svg;

    fn bar(label: &str, share: f64, high: f64, is_clear: bool) -> ShareBar {
        let note = format!("{label} note");
        ShareBar { label: label.to_owned(), share, interval: (0.0, high), note, is_clear }
    }

    #[test]
    fn the_first_bar_is_on_top_and_only_clear_ones_are_solid() {
        let bars = vec![bar("rate", 0.5, 0.75, true), bar("decay", 0.1, 0.25, false)];
        let drawn = svg::render(&ShareBars { x_title: "share".to_owned(), bars }, "shares").unwrap();
        let y_of = |text: &str| -> i32 {
            let before = drawn.split(&format!(">{text}<")).next().unwrap();
            before.rsplit(" y=\"").next().unwrap().split('"').next().unwrap().parse().unwrap()
        };
        assert!(y_of("rate") < y_of("decay") && y_of("rate") == y_of("rate note"), "{drawn}");
        let solid = drawn.matches("fill=\"var(--blue)\"").count();
        let outlined = drawn.matches("<rect").count() - solid;
        assert_eq!((solid, outlined), (1, 2), "an outlined bar is a light one and its outline: {drawn}");
    }

    #[test]
    fn the_scale_begins_at_0_holds_the_whiskers_and_has_whole_percents() {
        let chart = |bars| ShareBars { x_title: String::new(), bars };
        assert_eq!(chart(vec![bar("a", 0.3, 0.7, true)]).scale().range, 0.0..0.8);
        let none = chart(vec![bar("a", 0.0, 0.0, false)]).scale();
        assert!(none.ticks.iter().all(|tick| (tick * 100.0).fract().abs() < 1e-9), "{none:?}");
    }
}
