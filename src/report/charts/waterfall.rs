//! Steps from one score to another, each beginning where the one before ended.

use plotters::element::{EmptyElement, PathElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, line, plot};
use super::font::{anchored, bold};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// A bar; the first stands on 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub label: String,
    /// Where it ends.
    pub score: f64,
    /// 95 % interval of its height.
    pub interval: Option<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Waterfall {
    pub y_title: String,
    pub bars: Vec<Bar>,
}

const SIZE: (u32, u32) = (760, 320);
const HALF_WIDTH: f64 = 0.32;

impl Chart for Waterfall {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let x = Scale::places(self.bars.len());
        let y = Scale::round(self.reach().chain([0.0]), 4);
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|place| {
                    self.bars.get(place.round() as usize).map(|bar| bar.label.clone()).unwrap_or_default()
                },
                y_label: &|value| y.label(value),
                x_title: "",
                y_title: &self.y_title,
                space: [34.0, 14.0, 26.0, 44.0],
                grid: Grid::Horizontal,
            },
        )?;
        let mut from = 0.0;
        for (place, bar) in self.bars.iter().enumerate() {
            draw_bar(&mut plot, place, from, bar)?;
            if place + 1 < self.bars.len() {
                let ends = [place as f64 + HALF_WIDTH, place as f64 + 1.0 - HALF_WIDTH];
                let level = ends.map(|end| (end, bar.score)).to_vec();
                plot.draw_series(std::iter::once(PathElement::new(level, line(Ink::Faint, 1.0))))?;
            }
            from = bar.score;
        }
        Ok(())
    }
}

impl Waterfall {
    /// All that must be seen, with room for a number above it.
    fn reach(&self) -> impl Iterator<Item = f64> {
        let highest = |bar: &Bar| bar.interval.map_or(bar.score, |(_, high)| high.max(bar.score));
        let top = self.bars.iter().map(highest).fold(0.0, f64::max);
        self.bars
            .iter()
            .flat_map(|bar| [Some(bar.score), bar.interval.map(|(low, _)| low)])
            .flatten()
            .chain([top * 1.08])
    }
}

/// What rises is filled, what falls is outlined; the number has its sign.
fn draw_bar<B: DrawingBackend>(plot: &mut Plot<B>, place: usize, from: f64, bar: &Bar) -> Drawn<B> {
    let at = place as f64;
    let corners = [(at - HALF_WIDTH, from), (at + HALF_WIDTH, bar.score)];
    let ink = match place {
        0 => Ink::Purple,
        _ if bar.score >= from => Ink::Blue,
        _ => Ink::Orange,
    };
    let is_filled = place > 0 && bar.score >= from;
    let strength = if is_filled { 1.0 } else { 0.18 };
    plot.draw_series(std::iter::once(Rectangle::new(corners, ink.rgb().mix(strength).filled())))?;
    plot.draw_series(std::iter::once(Rectangle::new(corners, line(ink, 1.25))))?;
    let mut top = from.max(bar.score);
    if let Some((low, high)) = bar.interval {
        let whisker = |from, to| PathElement::new(vec![from, to], line(Ink::Text, 1.5));
        plot.draw_series([
            whisker((at, low), (at, high)),
            whisker((at - 0.06, low), (at + 0.06, low)),
            whisker((at - 0.06, high), (at + 0.06, high)),
        ])?;
        top = top.max(high);
    }
    let number = match place {
        0 => format!("{:.3}", bar.score),
        _ => format!("{:+.3} → {:.3}", bar.score - from, bar.score).replace('-', "−"),
    };
    let style = anchored(bold(12.0, Ink::Text), HPos::Center, VPos::Bottom);
    let number = EmptyElement::at((at, top)) + Text::new(number, (0, units(-5.0)), style);
    plot.draw_series(std::iter::once(number))?;
    Ok(())
}
