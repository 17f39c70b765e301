//! The effect of one setting: every run as a dot at its value, and the best over all other settings as a line
//! (the isolation plot of the deep learning tuning playbook).

use plotters::element::{Circle, EmptyElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::series::LineSeries;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, line, panel_title, plot};
use super::font::{anchored, bold};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// The panels of a figure share their scale, so that they compare.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisPanel {
    pub title: String,
    pub subtitle: String,
    /// Where values of the setting lie, and what they are called.
    pub x: Axis,
    /// Every run: its place and its score.
    pub points: Vec<(f64, f64)>,
    /// The best score at each value, by place.
    pub best: Vec<(f64, f64)>,
    /// Whether the line between the values means something.
    pub is_ordered: bool,
    pub y: Scale,
}

/// An axis with names at its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub scale: Scale,
    /// One for each tick.
    pub names: Vec<String>,
}

impl Axis {
    /// A place for each of the names, from 0.
    pub fn of_names(names: Vec<String>) -> Self {
        Self { scale: Scale::places(names.len()), names }
    }

    /// The name of a tick; of more than [`MAX_LABELS`], only some are named.
    fn label(&self, place: f64) -> String {
        let is_here = |tick: &f64| (tick - place).abs() < 1e-9;
        let every = self.names.len().div_ceil(MAX_LABELS).max(1);
        let tick = self.scale.ticks.iter().position(is_here).filter(|tick| tick.is_multiple_of(every));
        tick.and_then(|tick| self.names.get(tick)).cloned().unwrap_or_default()
    }
}

/// Of more levels than this, only some are named.
const MAX_LABELS: usize = 7;

const SIZE: (u32, u32) = (340, 236);

impl Chart for AxisPanel {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        panel_title(area, &self.title, &self.subtitle)?;
        let mut plot = plot(
            area,
            &Frame {
                x: &self.x.scale,
                y: &self.y,
                x_label: &|place| self.x.label(place),
                y_label: &|value| self.y.label(value),
                x_title: "",
                y_title: "",
                space: [50.0, 14.0, 24.0, 44.0],
                grid: Grid::Horizontal,
            },
        )?;
        if self.is_ordered {
            plot.draw_series(LineSeries::new(self.best.clone(), line(Ink::Blue, 2.0)))?;
        }
        for at in self.spread_points() {
            plot.draw_series(std::iter::once(Circle::new(at, units(3.5), line(Ink::Muted, 1.25))))?;
        }
        for at in &self.best {
            let value = if self.best.len() <= MAX_LABELS { format!("{:.3}", at.1) } else { String::new() };
            draw_best(&mut plot, *at, &value)?;
        }
        Ok(())
    }
}

impl AxisPanel {
    /// Points that would lie on each other side by side: in the middle, then right and left of it in turn.
    fn spread_points(&self) -> Vec<(f64, f64)> {
        const STEP: f64 = 0.07;
        let close = (self.y.range.end - self.y.range.start) * 0.05;
        let place = |(index, (at, score)): (usize, &(f64, f64))| {
            let before = self.points.get(..index).unwrap_or_default();
            let neighbours =
                before.iter().filter(|(other, value)| other == at && (value - score).abs() < close);
            let places = neighbours.count();
            let side = if places % 2 == 1 { 1.0 } else { -1.0 };
            let shift = (side * STEP * places.div_ceil(2) as f64).clamp(-0.35, 0.35);
            (at + shift, *score)
        };
        self.points.iter().enumerate().map(place).collect()
    }
}

fn draw_best<B: DrawingBackend>(plot: &mut Plot<B>, at: (f64, f64), value: &str) -> Drawn<B> {
    plot.draw_series(std::iter::once(Circle::new(at, units(5.0), Ink::Paper.rgb().filled())))?;
    plot.draw_series(std::iter::once(Circle::new(at, units(4.0), Ink::Blue.rgb().filled())))?;
    if value.is_empty() {
        return Ok(());
    }
    let halo = [(units(-17.0), units(-22.0)), (units(17.0), units(-7.0))];
    plot.draw_series(std::iter::once(
        EmptyElement::at(at) + Rectangle::new(halo, Ink::Paper.rgb().mix(0.8).filled()),
    ))?;
    let style = anchored(bold(12.0, Ink::Blue), HPos::Center, VPos::Bottom);
    plot.draw_series(std::iter::once(
        EmptyElement::at(at) + Text::new(value.to_owned(), (0, units(-7.0)), style),
    ))?;
    Ok(())
}
