//! Parallel coordinates: an upright axis for every setting and one for the score, and a line through them for every run.

use plotters::element::{EmptyElement, PathElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::series::LineSeries;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, line, plot, spread};
use super::font::{anchored, bold, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// Places on an axis run from 0 at its bottom to 1 at its top.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinate {
    pub name: String,
    /// Places that have a name.
    pub ticks: Vec<(f64, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunLine {
    /// Beside its end; empty for none.
    pub label: String,
    /// On each axis.
    pub places: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ParallelCoordinates {
    pub coordinates: Vec<Coordinate>,
    /// Best first.
    pub runs: Vec<RunLine>,
}

const LEAST_WIDTH: f64 = 720.0;
/// Between two axes, with room for their names.
const LEAST_GAP: f64 = 150.0;
const HEIGHT: u32 = 400;
const SPACE: [f64; 4] = [10.0, 6.0, 30.0, 6.0];
const LABEL_SIZE: f64 = 12.0;
/// How faint the worst run is.
const FAINTEST: f64 = 0.25;

impl Chart for ParallelCoordinates {
    fn size(&self) -> (u32, u32) {
        (LEAST_WIDTH.max(LEAST_GAP * self.coordinates.len() as f64) as u32, HEIGHT)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let x = Scale::places(self.coordinates.len());
        let y = Scale { range: 0.0..1.0, ticks: Vec::new() };
        let name = |place: f64| self.coordinates.get(place.round() as usize).map(|axis| axis.name.clone());
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|place| name(place).unwrap_or_default(),
                y_label: &|_| String::new(),
                x_title: "",
                y_title: "",
                space: SPACE,
                grid: Grid::None,
            },
        )?;
        for (index, run) in self.runs.iter().enumerate().rev() {
            let points = run.places.iter().enumerate().map(|(axis, place)| (axis as f64, *place));
            let style = match index {
                0 => line(Ink::Blue, 3.0),
                _ => Ink::Slate.rgb().mix(self.opacity(index)).stroke_width(units(1.5) as u32),
            };
            plot.draw_series(LineSeries::new(points, style))?;
        }
        for (place, axis) in self.coordinates.iter().enumerate() {
            draw_axis(&mut plot, axis, place as f64)?;
        }
        self.draw_labels(&mut plot)
    }
}

impl ParallelCoordinates {
    /// From the second best to the worst, ever fainter.
    fn opacity(&self, index: usize) -> f64 {
        let behind = self.runs.len().saturating_sub(2).max(1) as f64;
        1.0 - (1.0 - FAINTEST) * index.saturating_sub(1) as f64 / behind
    }

    /// Names of runs at the right of the last axis, moved apart.
    fn draw_labels<B: DrawingBackend>(&self, plot: &mut Plot<B>) -> Drawn<B> {
        let last = self.coordinates.len().saturating_sub(1) as f64;
        let named = self.runs.iter().enumerate().filter(|(_, run)| !run.label.is_empty());
        let labels: Vec<(usize, &str, f64)> =
            named.filter_map(|(index, run)| Some((index, run.label.as_str(), *run.places.last()?))).collect();
        let (_, heights) = plot.plotting_area().get_pixel_range();
        let height = f64::from(heights.end - heights.start);
        let wanted: Vec<f64> = labels.iter().map(|label| label.2).collect();
        let placed = spread(&wanted, f64::from(units(LABEL_SIZE * 1.35)) / height, 0.0, 1.0);
        for ((index, label, value), place) in labels.into_iter().zip(placed) {
            let ink = if index == 0 { Ink::Blue } else { Ink::Slate };
            let style = if index == 0 { bold(LABEL_SIZE, ink) } else { text(LABEL_SIZE, ink) };
            let style = anchored(style, HPos::Left, VPos::Center);
            let shift = ((value - place) * height).round() as i32;
            plot.draw_series(std::iter::once(
                EmptyElement::at((last, place))
                    + PathElement::new(vec![(units(3.0), -shift), (units(14.0), 0)], line(ink, 1.0))
                    + Text::new(label.to_owned(), (units(18.0), 0), style),
            ))?;
        }
        Ok(())
    }
}

/// The axis over the lines, and its names at the left, on paper that lets the lines through a little.
fn draw_axis<B: DrawingBackend>(plot: &mut Plot<B>, axis: &Coordinate, x: f64) -> Drawn<B> {
    plot.draw_series(std::iter::once(PathElement::new(vec![(x, 0.0), (x, 1.0)], line(Ink::Muted, 1.25))))?;
    for (place, name) in &axis.ticks {
        let style = anchored(text(LABEL_SIZE, Ink::Text), HPos::Right, VPos::Center);
        let width = style.font.box_size(name).map_or(0, |(width, _)| width as i32);
        let halo = [(-units(10.0) - width, units(-8.0)), (units(-6.0), units(8.0))];
        plot.draw_series(std::iter::once(
            EmptyElement::at((x, *place))
                + Rectangle::new(halo, Ink::Paper.rgb().mix(0.8).filled())
                + PathElement::new(vec![(units(-4.0), 0), (0, 0)], line(Ink::Muted, 1.25))
                + Text::new(name.clone(), (units(-8.0), 0), style),
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::charts::svg;

    fn chart(axes: usize, runs: usize) -> ParallelCoordinates {
        let ticks = vec![(0.1, "low".to_owned()), (0.9, "high".to_owned())];
        let axis = |index: usize| Coordinate { name: format!("axis {index}"), ticks: ticks.clone() };
        let label = |run: usize| if run < 5 { format!("#{}", run + 1) } else { String::new() };
        let run = |run: usize| RunLine {
            label: label(run),
            places: vec![1.0 - run as f64 / runs as f64 * 0.01; axes],
        };
        ParallelCoordinates { coordinates: (0..axes).map(axis).collect(), runs: (0..runs).map(run).collect() }
    }

    #[test]
    fn the_best_line_is_thick_and_blue_and_drawn_over_the_others_that_fade() {
        let drawn = svg::render(&chart(3, 4), "runs").unwrap();
        let best = drawn.find("stroke=\"var(--blue)\" stroke-width=\"12\"").unwrap();
        let others: Vec<usize> = drawn.match_indices("stroke=\"var(--slate)\"").map(|(at, _)| at).collect();
        assert!(others[..3].iter().all(|at| *at < best), "{drawn}");
        assert!(drawn.contains("stroke-opacity=\"0.25\"") && drawn.contains("stroke-opacity=\"0.62\""));
        let opacities: Vec<f64> = (1..4).map(|index| chart(3, 4).opacity(index)).collect();
        assert_eq!(opacities, [1.0, 0.625, 0.25]);
        assert_eq!(chart(3, 2).opacity(1), 1.0);
    }

    #[test]
    fn labels_of_runs_that_end_together_stay_apart_and_many_axes_widen_the_chart() {
        let drawn = svg::render(&chart(3, 9), "runs").unwrap();
        let y_of = |text: String| -> i32 {
            let before = drawn.split(&format!(">{text}<")).next().unwrap();
            before.rsplit(" y=\"").next().unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let heights: Vec<i32> = (1..=5).map(|rank| y_of(format!("#{rank}"))).collect();
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= units(LABEL_SIZE)), "{heights:?}");
        assert_eq!(drawn.matches(">#").count(), 5);
        assert_eq!((chart(3, 2).size().0, chart(7, 2).size().0), (720, 1050));
    }
}
