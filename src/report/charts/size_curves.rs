//! Scores by the number of training images, on a logarithmic axis, with what needs no training as levels.

use plotters::element::{Circle, PathElement};
use plotters::prelude::DrawingBackend;
use plotters::series::LineSeries;
use plotters::style::Color;

use super::axes::{EndLabel, Frame, Grid, Scale, end_labels, line, plot};
use super::levels::{Level, draw_levels, heights};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

/// A line through mean scores.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeCurve {
    pub label: String,
    /// Number of images, and the mean between the ends of its interval.
    pub points: Vec<(usize, [f64; 3])>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SizeCurves {
    pub y_title: String,
    /// The best first.
    pub curves: Vec<SizeCurve>,
    /// That of a small model beside them.
    pub small: Option<SizeCurve>,
    pub levels: Vec<Level>,
}

const SIZE: (u32, u32) = (720, 400);
const LABEL_SPACE: f64 = 170.0;
/// Lines that are told apart by their colour.
const INKS: [Ink; 4] = [Ink::Blue, Ink::Green, Ink::Orange, Ink::Muted];
/// Ticks are at least this share of the axis apart.
const TICK_GAP: f64 = 0.07;

impl SizeCurves {
    /// All lines with their colours, that of the small model last.
    fn inked(&self) -> impl Iterator<Item = (&SizeCurve, Ink)> {
        let inks = INKS.into_iter().chain(std::iter::repeat(Ink::Muted));
        self.curves.iter().zip(inks).chain(self.small.iter().map(|curve| (curve, Ink::Slate)))
    }

    /// The axis of doublings, with a tick at the numbers that there are, as far as they have room.
    fn doublings(&self) -> Scale {
        let points = self.inked().flat_map(|(curve, _)| &curve.points);
        let mut sizes: Vec<usize> = points.map(|(size, _)| *size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let at: Vec<f64> = sizes.iter().map(|size| (*size as f64).log2()).collect();
        let (low, high) = (at.first().copied().unwrap_or(0.0), at.last().copied().unwrap_or(1.0));
        let width = (high - low).max(0.1);
        let mut ticks: Vec<f64> = Vec::new();
        for tick in at {
            if ticks.last().is_none_or(|last| tick - last >= TICK_GAP * width) {
                ticks.push(tick);
            }
        }
        Scale { range: low - 0.05 * width..high + 0.05 * width, ticks }
    }
}

impl Chart for SizeCurves {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let x = self.doublings();
        let values = self.inked().flat_map(|(curve, _)| &curve.points).flat_map(|(_, interval)| *interval);
        let y = Scale::round(values.chain(heights(&self.levels)), 5);
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|doublings| format!("{:.0}", doublings.exp2()),
                y_label: &|value| y.label(value),
                x_title: "training images (every doubling is as wide)",
                y_title: &self.y_title,
                space: [26.0, LABEL_SPACE, 42.0, 52.0],
                grid: Grid::Horizontal,
            },
        )?;
        draw_levels(&mut plot, &self.levels, &x)?;
        let lines: Vec<(&SizeCurve, Ink)> = self.inked().collect();
        // The best is drawn last, above the others.
        for (index, (curve, ink)) in lines.iter().copied().enumerate().rev() {
            // Intervals of several lines at one number stand beside each other.
            let shift = 0.008 * index as f64 * (x.range.end - x.range.start);
            let at = |size: usize| (size as f64).log2() + shift;
            for (size, [_, low, high]) in &curve.points {
                let ends = vec![(at(*size), *low), (at(*size), *high)];
                plot.draw_series(std::iter::once(PathElement::new(ends, line(ink, 1.5))))?;
            }
            let means = curve.points.iter().map(|(size, [mean, ..])| (at(*size), *mean));
            let width = if index == 0 { 2.75 } else { 2.0 };
            plot.draw_series(LineSeries::new(means.clone(), line(ink, width)))?;
            let dots = means.map(|at| Circle::new(at, units(4.0), ink.rgb().filled()));
            plot.draw_series(dots)?;
        }
        let end = |(index, (curve, ink)): (usize, &(&SizeCurve, Ink))| {
            let (_, [value, ..]) = curve.points.last()?;
            Some(EndLabel { value: *value, text: curve.label.clone(), ink: *ink, is_bold: index == 0 })
        };
        let labels =
            lines.iter().enumerate().filter_map(end).chain(self.levels.iter().map(Level::name)).collect();
        end_labels(&mut plot, &x, &y, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::charts::svg;

    fn curves(sizes: &[usize]) -> SizeCurves {
        let point = |size: &usize| (*size, [0.3, 0.28, 0.33]);
        let curve =
            |label: &str| SizeCurve { label: label.to_owned(), points: sizes.iter().map(point).collect() };
        let level = Level { label: "constant caption".to_owned(), value: 0.25, is_floor: true };
        SizeCurves {
            y_title: "score".to_owned(),
            curves: vec![curve("one"), curve("two")],
            small: Some(curve("small")),
            levels: vec![level],
        }
    }

    #[test]
    fn doublings_are_equally_far_apart_and_numbers_without_room_have_no_tick() {
        let scale = curves(&[100, 200, 400]).doublings();
        let gaps: Vec<f64> = scale.ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((gaps[0] - 1.0).abs() < 1e-12 && (gaps[1] - 1.0).abs() < 1e-12, "{gaps:?}");
        assert_eq!(curves(&[100, 102, 400]).doublings().ticks.len(), 2);
        assert!(curves(&[100]).doublings().range.end > curves(&[100]).doublings().range.start);
    }

    #[test]
    fn lines_levels_and_numbers_have_their_names() {
        let drawn = svg::render(&curves(&[80, 160, 320]), "sizes").unwrap();
        for name in ["one", "two", "small", "constant caption", "80", "160", "320"] {
            assert!(drawn.contains(&format!(">{name}<")), "{name}");
        }
        assert_eq!(drawn.matches("<circle").count(), 9);
    }
}
