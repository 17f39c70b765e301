//! The best score at each combination of two settings.

use plotters::element::{EmptyElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, line, plot};
use super::font::{anchored, bold, text};
use super::theme::{HEAT_STEPS, Ink};
use super::{Area, Chart, Drawn, units};

#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    pub x_title: String,
    pub y_title: String,
    pub columns: Vec<String>,
    pub rows: Vec<String>,
    /// `cells[row][column]`; nothing where no run has a score.
    pub cells: Vec<Vec<Option<f64>>>,
    pub is_higher_better: bool,
}

const CELL: (f64, f64) = (92.0, 52.0);
const SPACE: [f64; 4] = [26.0, 8.0, 44.0, 56.0];

impl Chart for HeatMap {
    fn size(&self) -> (u32, u32) {
        let [top, right, bottom, left] = SPACE;
        let width = left + right + CELL.0 * self.columns.len().max(2) as f64;
        let height = top + bottom + CELL.1 * self.rows.len().max(1) as f64;
        (width as u32, height as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let (x, y) = (Scale::places(self.columns.len()), Scale::places(self.rows.len()));
        let name =
            |names: &[String], place: f64| names.get(place.round() as usize).cloned().unwrap_or_default();
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|place| name(&self.columns, place),
                y_label: &|place| name(&self.rows, place),
                x_title: &self.x_title,
                y_title: &self.y_title,
                space: SPACE,
                grid: Grid::None,
            },
        )?;
        let best = self.best();
        for (row, cells) in self.cells.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                let at = (column as f64, row as f64);
                match cell {
                    Some(value) => {
                        draw_cell(&mut plot, at, *value, self.step_of(*value), best == Some(*value))?
                    }
                    None => draw_missing(&mut plot, at)?,
                }
            }
        }
        Ok(())
    }
}

impl HeatMap {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.cells.iter().flatten().flatten().copied()
    }

    fn best(&self) -> Option<f64> {
        if self.is_higher_better {
            self.values().max_by(f64::total_cmp)
        } else {
            self.values().min_by(f64::total_cmp)
        }
    }

    /// The step of the colour scale, from the worst to the best value of the map.
    fn step_of(&self, value: f64) -> usize {
        let low = self.values().fold(f64::INFINITY, f64::min);
        let high = self.values().fold(f64::NEG_INFINITY, f64::max);
        if high - low < 1e-9 {
            return HEAT_STEPS / 2;
        }
        let share = (value - low) / (high - low);
        let share = if self.is_higher_better { share } else { 1.0 - share };
        ((share * HEAT_STEPS as f64) as usize).min(HEAT_STEPS - 1)
    }
}

/// The cell's corners, a little inside so that neighbours stay apart.
fn corners((column, row): (f64, f64)) -> [(f64, f64); 2] {
    [(column - 0.485, row + 0.475), (column + 0.485, row - 0.475)]
}

fn draw_cell<B: DrawingBackend>(
    plot: &mut Plot<B>,
    at: (f64, f64),
    value: f64,
    step: usize,
    is_best: bool,
) -> Drawn<B> {
    plot.draw_series(std::iter::once(Rectangle::new(corners(at), Ink::Heat(step).rgb().filled())))?;
    let ink = Ink::on_heat(step);
    let style = if is_best { bold(15.0, ink) } else { text(15.0, ink) };
    let style = anchored(style, HPos::Center, VPos::Center);
    let number = EmptyElement::at(at)
        + Text::new(format!("{value:.3}"), (0, if is_best { units(-7.0) } else { 0 }), style);
    plot.draw_series(std::iter::once(number))?;
    if is_best {
        let style = anchored(text(11.5, ink), HPos::Center, VPos::Center);
        let mark = EmptyElement::at(at) + Text::new("best".to_owned(), (0, units(10.0)), style);
        plot.draw_series(std::iter::once(mark))?;
    }
    Ok(())
}

fn draw_missing<B: DrawingBackend>(plot: &mut Plot<B>, at: (f64, f64)) -> Drawn<B> {
    plot.draw_series(std::iter::once(Rectangle::new(corners(at), line(Ink::Grid, 1.5))))?;
    let style = anchored(text(12.0, Ink::Muted), HPos::Center, VPos::Center);
    plot.draw_series(std::iter::once(EmptyElement::at(at) + Text::new("no run".to_owned(), (0, 0), style)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colour_scale_runs_from_the_worst_to_the_best_value() {
        let map = |cells: Vec<Option<f64>>| HeatMap {
            x_title: String::new(),
            y_title: String::new(),
            columns: vec![String::new(); cells.len()],
            rows: vec![String::new()],
            cells: vec![cells],
            is_higher_better: true,
        };
        let three = map(vec![Some(0.2), None, Some(0.3), Some(0.4)]);
        assert_eq!([0.2, 0.3, 0.4].map(|value| three.step_of(value)), [0, 3, HEAT_STEPS - 1]);
        assert_eq!(map(vec![Some(0.2)]).step_of(0.2), HEAT_STEPS / 2);
        assert_eq!(map(vec![None]).best(), None);
    }
}
