//! What the points of a search came to, in their order, and the best so far.

use plotters::element::{Circle, EmptyElement, Text};
use plotters::prelude::DrawingBackend;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{EndLabel, Frame, Grid, Plot, Scale, end_labels, line, plot};
use super::font::{anchored, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

#[derive(Debug, Clone, PartialEq)]
pub struct SearchCurve {
    pub y_title: String,
    /// Of the points in their order; nothing where one came to nothing.
    pub values: Vec<Option<f64>>,
    /// How many of them were drawn before there was anything to learn from.
    pub drawn: usize,
    /// The expected best of 1, 2, ... of these.
    pub expected: Vec<f64>,
    pub is_higher_better: bool,
}

const SIZE: (u32, u32) = (720, 360);
const SPACE: [f64; 4] = [26.0, 92.0, 42.0, 52.0];
const TEXT_SIZE: f64 = 12.0;
/// Left of the border there is room for words beside the title of the axis from this share of the width.
const ROOM: f64 = 0.35;

impl SearchCurve {
    /// The best of the points up to each, from the first that came to something.
    pub fn best_so_far(&self) -> Vec<(usize, f64)> {
        let is_better = |a: f64, b: f64| if self.is_higher_better { a > b } else { a < b };
        let mut best: Option<f64> = None;
        let mut curve = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            best = match (best, value) {
                (Some(best), Some(value)) if !is_better(*value, best) => Some(best),
                (best, value) => value.or(best),
            };
            curve.extend(best.map(|best| (index + 1, best)));
        }
        curve
    }
}

impl Chart for SearchCurve {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let last = self.values.len().max(2);
        let mut ticks = vec![1.0];
        ticks.extend(Scale::epochs(last, 8).ticks.into_iter().filter(|tick| *tick > 1.0));
        let x = Scale { range: 0.5..last as f64 + 0.5, ticks };
        let y = Scale::round(self.values.iter().flatten().copied(), 5);
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|point| format!("{point:.0}"),
                y_label: &|value| y.label(value),
                x_title: "points, in their order",
                y_title: &self.y_title,
                space: SPACE,
                grid: Grid::Horizontal,
            },
        )?;
        self.draw_border(&mut plot, &y)?;
        let expected = self.expected.iter().enumerate().map(|(index, value)| ((index + 1) as f64, *value));
        let (dash, gap) = (units(3.0) as u32, units(3.0) as u32);
        plot.draw_series(DashedLineSeries::new(expected, dash, gap, line(Ink::Slate, 1.5)))?;
        let best = self.best_so_far();
        plot.draw_series(LineSeries::new(steps(&best), line(Ink::Blue, 2.25)))?;
        for (index, value) in self.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let is_new_best = best.iter().any(|(point, best)| *point == index + 1 && best == value)
                && !best.iter().any(|(point, best)| *point == index && best == value);
            let (ink, radius) = if is_new_best { (Ink::Blue, 4.0) } else { (Ink::Muted, 3.0) };
            let at = ((index + 1) as f64, *value);
            plot.draw_series(std::iter::once(Circle::new(at, units(radius), ink.rgb().filled())))?;
        }
        let label = |(_, value): &(usize, f64)| EndLabel {
            value: *value,
            text: "best so far".to_owned(),
            ink: Ink::Blue,
            is_bold: true,
        };
        end_labels(&mut plot, &x, &y, best.last().map(label).into_iter().collect())
    }
}

impl SearchCurve {
    /// Between what was drawn and what was chosen, with words on both sides where the curve is not.
    fn draw_border<B: DrawingBackend>(&self, plot: &mut Plot<B>, y: &Scale) -> Drawn<B> {
        if self.drawn == 0 || self.drawn >= self.values.len() {
            return Ok(());
        }
        let x = self.drawn as f64 + 0.5;
        let ends = [(x, y.range.start), (x, y.range.end)];
        plot.draw_series(LineSeries::new(ends, line(Ink::Faint, 1.25)))?;
        // Above the plot nothing is drawn but the title.
        let has_room = self.drawn as f64 >= ROOM * self.values.len() as f64;
        let at = (x, y.range.end);
        let left = has_room.then_some(("drawn at random", -1.0, HPos::Right));
        for (words, side, anchor) in left.into_iter().chain([("chosen by results", 1.0, HPos::Left)]) {
            let style = anchored(text(TEXT_SIZE, Ink::Muted), anchor, VPos::Bottom);
            let words = Text::new(words.to_owned(), (units(6.0 * side), units(-4.0)), style);
            plot.draw_series(std::iter::once(EmptyElement::at(at) + words))?;
        }
        Ok(())
    }
}

/// A line that keeps its height up to the next point.
fn steps(points: &[(usize, f64)]) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for (point, value) in points {
        line.extend(line.last().map(|(_, before)| (*point as f64, *before)));
        line.push((*point as f64, *value));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::charts::svg;

    fn curve(is_higher_better: bool) -> SearchCurve {
        SearchCurve {
            y_title: "score".to_owned(),
            values: vec![None, Some(0.2), Some(0.1), None, Some(0.4)],
            drawn: 3,
            expected: vec![0.15, 0.2],
            is_higher_better,
        }
    }

    #[test]
    fn the_best_so_far_begins_at_the_first_point_that_came_to_something_and_never_gets_worse() {
        assert_eq!(curve(true).best_so_far(), [(2, 0.2), (3, 0.2), (4, 0.2), (5, 0.4)]);
        assert_eq!(curve(false).best_so_far(), [(2, 0.2), (3, 0.1), (4, 0.1), (5, 0.1)]);
        assert_eq!(steps(&[(2, 0.2), (5, 0.4)]), [(2.0, 0.2), (5.0, 0.2), (5.0, 0.4)]);
    }

    #[test]
    fn every_point_that_came_to_something_has_a_dot_and_drawn_ones_are_told_from_chosen_ones() {
        let drawn = svg::render(&curve(true), "search").unwrap();
        assert_eq!(drawn.matches("<circle").count(), 3);
        assert!(drawn.contains(">drawn at random<") && drawn.contains(">chosen by results<"));
        let few = SearchCurve { drawn: 1, ..curve(true) };
        let few = svg::render(&few, "search").unwrap();
        assert!(few.contains(">chosen by results<") && !few.contains(">drawn at random<"), "no room");
        let all_drawn = svg::render(&SearchCurve { drawn: 5, ..curve(true) }, "search").unwrap();
        assert!(!all_drawn.contains("chosen by results"));
    }
}
