//! Training and validation loss of one run: a panel among others.

use plotters::element::{Circle, EmptyElement, Text};
use plotters::prelude::DrawingBackend;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, cut_above, line, panel_title, plot};
use super::font::{anchored, bold, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// The panels of a figure share their scales, so that they compare.
#[derive(Debug, Clone, PartialEq)]
pub struct LossPanel {
    pub title: String,
    pub subtitle: String,
    pub train: Vec<(usize, f64)>,
    pub validation: Vec<(usize, f64)>,
    /// The epoch that the run's metric chose.
    pub best_epoch: Option<usize>,
    /// Shown at the end of the validation loss: how far it rose.
    pub rise: Option<String>,
    pub last_epoch: usize,
    pub y: Scale,
}

const SIZE: (u32, u32) = (340, 236);

impl Chart for LossPanel {
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
                space: [46.0, 52.0, 38.0, 36.0],
                grid: Grid::Horizontal,
            },
        )?;
        let inside = |points: &[(usize, f64)]| {
            let points: Vec<(f64, f64)> = points.iter().map(|(epoch, loss)| (*epoch as f64, *loss)).collect();
            cut_above(&points, self.y.range.end)
        };
        let (train, validation) = (inside(&self.train), inside(&self.validation));
        let dashes = DashedLineSeries::new(
            train.clone(),
            units(5.0) as u32,
            units(3.0) as u32,
            line(Ink::Orange, 2.0),
        );
        plot.draw_series(dashes)?;
        plot.draw_series(LineSeries::new(validation.clone(), line(Ink::Blue, 2.0)))?;
        if let Some(at) =
            validation.iter().find(|(epoch, _)| self.best_epoch.is_some_and(|best| best as f64 == *epoch))
        {
            plot.draw_series(std::iter::once(Circle::new(*at, units(5.0), Ink::Paper.rgb().filled())))?;
            plot.draw_series(std::iter::once(Circle::new(*at, units(3.5), Ink::Blue.rgb().filled())))?;
        }
        self.draw_labels(&mut plot, train.last(), validation.last())
    }
}

impl LossPanel {
    fn draw_labels<B: DrawingBackend>(
        &self,
        plot: &mut Plot<B>,
        train: Option<&(f64, f64)>,
        validation: Option<&(f64, f64)>,
    ) -> Drawn<B> {
        let is_above = match (train, validation) {
            (Some(train), Some(validation)) => validation.1 >= train.1,
            _ => true,
        };
        let (_, heights) = plot.plotting_area().get_pixel_range();
        let unit_of_value = f64::from(heights.end - heights.start) / (self.y.range.end - self.y.range.start);
        let distance = match (train, validation) {
            (Some(train), Some(validation)) => (train.1 - validation.1).abs() * unit_of_value,
            _ => f64::INFINITY,
        };
        // Names stand beside where their lines end, moved apart where these are close.
        let shift = if distance < f64::from(units(14.0)) { 6.0 } else { 0.0 };
        let (above, below) = (units(-shift), units(shift));
        if let Some(at) = validation {
            let shift = if is_above { above } else { below };
            label(plot, *at, "valid.", shift, Ink::Blue)?;
            if let Some(rise) = &self.rise {
                let style = anchored(bold(12.0, Ink::Blue), HPos::Left, VPos::Center);
                let place = (units(5.0), shift - units(15.0));
                plot.draw_series(std::iter::once(
                    EmptyElement::at(*at) + Text::new(rise.clone(), place, style),
                ))?;
            }
        }
        if let Some(at) = train {
            label(plot, *at, "train", if is_above { below } else { above }, Ink::Orange)?;
        }
        Ok(())
    }
}

fn label<B: DrawingBackend>(
    plot: &mut Plot<B>,
    at: (f64, f64),
    name: &str,
    shift: i32,
    ink: Ink,
) -> Drawn<B> {
    let style = anchored(text(12.0, ink), HPos::Left, VPos::Center);
    plot.draw_series(std::iter::once(
        EmptyElement::at(at) + Text::new(name.to_owned(), (units(5.0), shift), style),
    ))?;
    Ok(())
}
