//! Runs that train nothing as levels across a plot of scores.

use plotters::prelude::DrawingBackend;
use plotters::series::DashedLineSeries;

use super::axes::{EndLabel, Plot, Scale, line};
use super::theme::Ink;
use super::{Drawn, units};

/// A reference run.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    pub label: String,
    pub value: f64,
    pub is_floor: bool,
}

impl Level {
    /// Its name, beside where its line ends.
    pub fn name(&self) -> EndLabel {
        EndLabel { value: self.value, text: self.label.clone(), ink: self.ink(), is_bold: false }
    }

    fn ink(&self) -> Ink {
        if self.is_floor { Ink::Slate } else { Ink::Purple }
    }
}

/// The values that an axis has to reach.
pub fn heights(levels: &[Level]) -> impl Iterator<Item = f64> {
    levels.iter().map(|level| level.value)
}

/// Lines across the plot.
pub fn draw_levels<B: DrawingBackend>(plot: &mut Plot<B>, levels: &[Level], x: &Scale) -> Drawn<B> {
    for level in levels {
        let (dash, gap) = if level.is_floor { (3.0, 4.0) } else { (9.0, 5.0) };
        plot.draw_series(DashedLineSeries::new(
            [(x.range.start, level.value), (x.range.end, level.value)],
            units(dash) as u32,
            units(gap) as u32,
            line(level.ink(), 1.5),
        ))?;
    }
    Ok(())
}
