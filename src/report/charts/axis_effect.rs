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
    /// Values of the setting, in order.
    pub levels: Vec<String>,
    /// Every run: index of its level and its score.
    pub points: Vec<(usize, f64)>,
    /// The best score at each level.
    pub best: Vec<Option<f64>>,
    /// Whether the line between the levels means something.
    pub is_ordered: bool,
    pub y: Scale,
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
        let x = Scale::places(self.levels.len());
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &self.y,
                x_label: &|place| self.level_label(place.round() as usize),
                y_label: &|value| self.y.label(value),
                x_title: "",
                y_title: "",
                space: [50.0, 14.0, 24.0, 44.0],
                grid: Grid::Horizontal,
            },
        )?;
        let best: Vec<(f64, f64)> =
            self.best.iter().enumerate().filter_map(|(level, best)| Some((level as f64, (*best)?))).collect();
        if self.is_ordered {
            plot.draw_series(LineSeries::new(best.clone(), line(Ink::Blue, 2.0)))?;
        }
        for at in self.spread_points() {
            plot.draw_series(std::iter::once(Circle::new(at, units(3.5), line(Ink::Muted, 1.25))))?;
        }
        for at in best {
            let value = if self.levels.len() <= MAX_LABELS { format!("{:.3}", at.1) } else { String::new() };
            draw_best(&mut plot, at, &value)?;
        }
        Ok(())
    }
}

impl AxisPanel {
    fn level_label(&self, level: usize) -> String {
        let every = self.levels.len().div_ceil(MAX_LABELS).max(1);
        let is_named = level.is_multiple_of(every);
        self.levels.get(level).filter(|_| is_named).cloned().unwrap_or_default()
    }

    /// Points that would lie on each other side by side: in the middle, then right and left of it in turn.
    fn spread_points(&self) -> Vec<(f64, f64)> {
        const STEP: f64 = 0.07;
        let close = (self.y.range.end - self.y.range.start) * 0.05;
        let place = |(index, (level, score)): (usize, &(usize, f64))| {
            let before = self.points.get(..index).unwrap_or_default();
            let neighbours =
                before.iter().filter(|(other, value)| other == level && (value - score).abs() < close);
            let places = neighbours.count();
            let side = if places % 2 == 1 { 1.0 } else { -1.0 };
            let shift = (side * STEP * places.div_ceil(2) as f64).clamp(-0.35, 0.35);
            (*level as f64 + shift, *score)
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
