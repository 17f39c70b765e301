//! The score of every run over its epochs, with the reference runs as levels.

use plotters::element::Circle;
use plotters::prelude::DrawingBackend;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::Color;

use super::axes::{EndLabel, Frame, Grid, Plot, Scale, end_labels, line, plot};
use super::levels::{Level, draw_levels, heights};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// How a run's line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Best,
    Median,
    Worst,
    /// Context for the others; has no label.
    Other,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    pub label: String,
    pub role: Role,
    /// Epoch and value.
    pub points: Vec<(usize, f64)>,
    pub best_epoch: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ScoreCurves {
    pub y_title: String,
    pub curves: Vec<Curve>,
    pub levels: Vec<Level>,
}

const SIZE: (u32, u32) = (720, 400);
const LABEL_SPACE: f64 = 150.0;

impl Chart for ScoreCurves {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let last = self.curves.iter().flat_map(|curve| &curve.points).map(|(epoch, _)| *epoch).max();
        let x = Scale::epochs(last.unwrap_or(1), 8);
        let values = self.curves.iter().flat_map(|curve| &curve.points).map(|(_, value)| *value);
        let y = Scale::round(values.chain(heights(&self.levels)), 5);
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|epoch| format!("{epoch:.0}"),
                y_label: &|value| y.label(value),
                x_title: "epoch (0 is the model before training)",
                y_title: &self.y_title,
                space: [26.0, LABEL_SPACE, 42.0, 46.0],
                grid: Grid::Horizontal,
            },
        )?;
        draw_levels(&mut plot, &self.levels, &x)?;
        let mut curves: Vec<&Curve> = self.curves.iter().collect();
        curves.sort_by_key(|curve| curve.role == Role::Best);
        curves.sort_by_key(|curve| curve.role != Role::Other);
        for curve in curves {
            draw_curve(&mut plot, curve)?;
        }
        self.draw_labels(&mut plot, &x, &y)
    }
}

impl ScoreCurves {
    /// Names at the right of the plot, beside where each line ends.
    fn draw_labels<B: DrawingBackend>(&self, plot: &mut Plot<B>, x: &Scale, y: &Scale) -> Drawn<B> {
        let named = self.curves.iter().filter(|curve| curve.role != Role::Other);
        let curves = named.filter_map(|curve| {
            let (_, value) = curve.points.last()?;
            let (ink, is_bold) = (ink_of(curve.role), curve.role == Role::Best);
            Some(EndLabel { value: *value, text: curve.label.clone(), ink, is_bold })
        });
        let labels: Vec<EndLabel> = self.levels.iter().map(Level::name).chain(curves).collect();
        end_labels(plot, x, y, labels)
    }
}

fn draw_curve<B: DrawingBackend>(plot: &mut Plot<B>, curve: &Curve) -> Drawn<B> {
    let points: Vec<(f64, f64)> = curve.points.iter().map(|(epoch, value)| (*epoch as f64, *value)).collect();
    let width = match curve.role {
        Role::Best => 2.75,
        Role::Median | Role::Worst => 2.0,
        Role::Other => 1.25,
    };
    let ink = ink_of(curve.role);
    let style = line(ink, width);
    match curve.role {
        Role::Median => {
            plot.draw_series(DashedLineSeries::new(points, units(10.0) as u32, units(3.0) as u32, style))?;
        }
        Role::Worst => {
            plot.draw_series(DashedLineSeries::new(points, units(3.0) as u32, units(3.0) as u32, style))?;
        }
        Role::Best | Role::Other => {
            plot.draw_series(LineSeries::new(points, style))?;
        }
    }
    let is_best = |(epoch, _): &&(usize, f64)| Some(*epoch) == curve.best_epoch;
    if let Some((epoch, value)) = curve.points.iter().find(is_best).filter(|_| curve.role != Role::Other) {
        let at = (*epoch as f64, *value);
        plot.draw_series(std::iter::once(Circle::new(at, units(5.5), Ink::Paper.rgb().filled())))?;
        plot.draw_series(std::iter::once(Circle::new(at, units(4.0), ink.rgb().filled())))?;
    }
    Ok(())
}

fn ink_of(role: Role) -> Ink {
    match role {
        Role::Best => Ink::Blue,
        Role::Median => Ink::Green,
        Role::Worst => Ink::Orange,
        Role::Other => Ink::Faint,
    }
}
