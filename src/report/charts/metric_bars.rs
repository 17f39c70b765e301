//! One metric of several systems, as bars with intervals: a panel among others.

use plotters::element::{EmptyElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, line, panel_title, plot, whisker};
use super::font::{anchored, bold, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// What a bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    FineTuned,
    ZeroShot,
    Floor,
    /// Read from a file.
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub label: String,
    pub system: System,
    pub value: f64,
    /// 95 % interval of the mean over images, where it is known.
    pub interval: Option<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricPanel {
    pub title: String,
    pub subtitle: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

const WIDTH: u32 = 340;
const ROW: f64 = 32.0;
const SPACE: [f64; 4] = [44.0, 56.0, 24.0, 126.0];

impl Chart for MetricPanel {
    fn size(&self) -> (u32, u32) {
        (WIDTH, (SPACE[0] + SPACE[2] + ROW * self.bars.len() as f64) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        panel_title(area, &self.title, &self.subtitle)?;
        let highest = |bar: &Bar| bar.interval.map_or(bar.value, |(_, high)| high.max(bar.value));
        let x = Scale::round(self.bars.iter().map(highest).chain([0.0]), 3);
        let y = Scale::places(self.bars.len());
        let bar_at = |place: f64| self.bars.iter().rev().nth(place.round() as usize);
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|value| x.label(value),
                y_label: &|place| bar_at(place).map(|bar| bar.label.clone()).unwrap_or_default(),
                x_title: "",
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

fn draw_bar<B: DrawingBackend>(plot: &mut Plot<B>, bar: &Bar, place: f64) -> Drawn<B> {
    let ink = match bar.system {
        System::FineTuned => Ink::Blue,
        System::ZeroShot => Ink::Purple,
        System::Floor => Ink::Slate,
        System::Other => Ink::Orange,
    };
    let corners = [(0.0, place + 0.3), (bar.value, place - 0.3)];
    match bar.system {
        // The winner is solid, the others are outlined: they differ without colour as well.
        System::FineTuned => {
            plot.draw_series(std::iter::once(Rectangle::new(corners, ink.rgb().filled())))?
        }
        System::ZeroShot | System::Floor | System::Other => {
            plot.draw_series(std::iter::once(Rectangle::new(corners, ink.rgb().mix(0.18).filled())))?;
            plot.draw_series(std::iter::once(Rectangle::new(corners, line(ink, 1.25))))?
        }
    };
    let mut end = bar.value;
    if let Some(interval) = bar.interval {
        plot.draw_series(whisker(interval, place))?;
        end = end.max(interval.1);
    }
    let style = if bar.system == System::FineTuned { bold(12.0, Ink::Text) } else { text(12.0, Ink::Text) };
    let style = anchored(style, HPos::Left, VPos::Center);
    let number =
        EmptyElement::at((end, place)) + Text::new(format!("{:.3}", bar.value), (units(6.0), 0), style);
    plot.draw_series(std::iter::once(number))?;
    Ok(())
}
