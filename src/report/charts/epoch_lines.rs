//! A few numbers of one run over its epochs: a panel among others.

use plotters::element::{Circle, PathElement, Text};
use plotters::prelude::DrawingBackend;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, cut_above, line, panel_title, plot, spread};
use super::font::{anchored, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// A number over epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochLine {
    /// Stands where the line ends; may be empty.
    pub label: &'static str,
    pub ink: Ink,
    pub is_dashed: bool,
    pub points: Vec<(usize, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EpochLines {
    pub title: String,
    pub subtitle: String,
    pub lines: Vec<EpochLine>,
    /// The epoch that is kept; the first line has a dot there.
    pub best_epoch: Option<usize>,
    /// Marked by a line down the panel.
    pub onset: Option<usize>,
    pub last_epoch: usize,
    pub y: Scale,
}

const SIZE: (u32, u32) = (340, 236);
const LABEL_SIZE: f64 = 12.0;

impl Chart for EpochLines {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        panel_title(area, &self.title, &self.subtitle)?;
        let x = Scale::epochs(self.last_epoch, 5);
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &self.y,
                x_label: &|epoch| format!("{epoch:.0}"),
                y_label: &|value| self.y.label(value),
                x_title: "epoch",
                y_title: "",
                space: [58.0, 74.0, 38.0, 44.0],
                grid: Grid::Horizontal,
            },
        )?;
        self.draw_onset(&mut plot)?;
        let curves: Vec<Vec<(f64, f64)>> = self.lines.iter().map(|line| self.inside(&line.points)).collect();
        for (drawn, points) in self.lines.iter().zip(&curves) {
            draw_line(&mut plot, drawn, points)?;
        }
        let best = self.best_epoch.map(|epoch| epoch as f64);
        if let Some(at) =
            curves.first().and_then(|points| points.iter().find(|(epoch, _)| best == Some(*epoch)))
        {
            plot.draw_series([Circle::new(*at, units(5.0), Ink::Paper.rgb().filled())])?;
            plot.draw_series([Circle::new(*at, units(3.5), self.lines[0].ink.rgb().filled())])?;
        }
        self.draw_labels(area, &plot, &curves)
    }
}

impl EpochLines {
    fn inside(&self, points: &[(usize, f64)]) -> Vec<(f64, f64)> {
        let points: Vec<(f64, f64)> = points.iter().map(|(epoch, value)| (*epoch as f64, *value)).collect();
        cut_above(&points, self.y.range.end)
    }

    fn draw_onset<B: DrawingBackend>(&self, plot: &mut Plot<B>) -> Drawn<B> {
        let Some(onset) = self.onset.map(|epoch| epoch as f64) else { return Ok(()) };
        let (low, high) = (self.y.range.start, self.y.range.end);
        plot.draw_series([PathElement::new(vec![(onset, low), (onset, high)], line(Ink::Faint, 1.5))])?;
        let style = anchored(text(LABEL_SIZE, Ink::Muted), HPos::Center, VPos::Bottom);
        plot.draw_series([Text::new("onset".to_owned(), (onset, high), style)])?;
        Ok(())
    }

    /// Names beside where the lines end, moved apart where these are close.
    fn draw_labels<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        plot: &Plot<B>,
        curves: &[Vec<(f64, f64)>],
    ) -> Drawn<B> {
        let ends: Vec<(&EpochLine, (i32, i32))> = self
            .lines
            .iter()
            .zip(curves)
            .filter_map(|(line, points)| Some((line, plot.backend_coord(points.last()?))))
            .collect();
        let (left, top) = area.get_base_pixel();
        let heights: Vec<f64> = ends.iter().map(|(_, (_, y))| f64::from(*y)).collect();
        let (_, height) = area.dim_in_pixel();
        let (first, last) = (f64::from(top), f64::from(top) + f64::from(height));
        let heights = spread(&heights, f64::from(units(14.0)), first, last);
        for ((line, (x, _)), y) in ends.iter().zip(heights) {
            let style = anchored(text(LABEL_SIZE, line.ink), HPos::Left, VPos::Center);
            let place = (x - left + units(6.0), y.round() as i32 - top);
            area.draw(&Text::new(line.label.to_owned(), place, style))?;
        }
        Ok(())
    }
}

fn draw_line<B: DrawingBackend>(plot: &mut Plot<B>, drawn: &EpochLine, points: &[(f64, f64)]) -> Drawn<B> {
    let style = line(drawn.ink, 2.0);
    if drawn.is_dashed {
        let dashes = DashedLineSeries::new(points.to_vec(), units(5.0) as u32, units(3.0) as u32, style);
        plot.draw_series(dashes)?;
    } else {
        plot.draw_series(LineSeries::new(points.to_vec(), style))?;
    }
    Ok(())
}
