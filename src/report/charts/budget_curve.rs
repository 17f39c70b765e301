//! The expected best score of so many runs: a rising curve with the budgets to look at marked.

use plotters::element::{Circle, EmptyElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::axes::{Frame, Grid, Plot, Scale, line, plot};
use super::font::{anchored, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, units};

#[derive(Debug, Clone, PartialEq)]
pub struct BudgetCurve {
    pub y_title: String,
    /// Of 1, 2, ... runs.
    pub expected: Vec<f64>,
    /// Numbers of runs to look at, ascending, and what to say of them.
    pub marks: Vec<(usize, String)>,
    pub is_higher_better: bool,
}

const SIZE: (u32, u32) = (720, 340);
const SPACE: [f64; 4] = [26.0, 24.0, 42.0, 52.0];
/// Of more runs than this, only the marked ones have a dot.
const MAX_DOTS: usize = 40;
const TEXT_SIZE: f64 = 12.0;

impl Chart for BudgetCurve {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let x = self.runs();
        let y = Scale::round(self.expected.iter().copied(), 5);
        let mut plot = plot(
            area,
            &Frame {
                x: &x,
                y: &y,
                x_label: &|runs| format!("{runs:.0}"),
                y_label: &|value| y.label(value),
                x_title: "runs drawn at random",
                y_title: &self.y_title,
                space: SPACE,
                grid: Grid::Horizontal,
            },
        )?;
        let points: Vec<(f64, f64)> =
            self.expected.iter().enumerate().map(|(index, value)| ((index + 1) as f64, *value)).collect();
        // The corner that the curve leaves free holds the words.
        let edge = if self.is_higher_better { y.range.start } else { y.range.end };
        for (index, (runs, words)) in self.marks.iter().enumerate() {
            if let Some(at) = points.get(runs.saturating_sub(1)) {
                self.draw_mark(&mut plot, *at, edge, index, words)?;
            }
        }
        plot.draw_series(LineSeries::new(points.clone(), line(Ink::Blue, 2.25)))?;
        for (index, at) in points.into_iter().enumerate() {
            let is_marked = self.marks.iter().any(|(runs, _)| *runs == index + 1);
            if is_marked || self.expected.len() <= MAX_DOTS {
                let radius = if is_marked { 4.5 } else { 3.0 };
                plot.draw_series(std::iter::once(Circle::new(at, units(radius), Ink::Blue.rgb().filled())))?;
            }
        }
        Ok(())
    }
}

impl BudgetCurve {
    /// The axis of runs, which begins at one.
    fn runs(&self) -> Scale {
        let last = self.expected.len().max(2);
        let mut ticks = vec![1.0];
        ticks.extend(Scale::epochs(last, 8).ticks.into_iter().filter(|tick| *tick > 1.0));
        Scale { range: 1.0..last as f64, ticks }
    }

    /// A dashed line from a point to the free edge, and words beside it: on a line of their own, and at the side that
    /// has more room.
    fn draw_mark<B: DrawingBackend>(
        &self,
        plot: &mut Plot<B>,
        (x, y): (f64, f64),
        edge: f64,
        index: usize,
        words: &str,
    ) -> Drawn<B> {
        let (dash, gap) = (units(3.0) as u32, units(3.0) as u32);
        plot.draw_series(DashedLineSeries::new([(x, edge), (x, y)], dash, gap, line(Ink::Slate, 1.25)))?;
        let is_left = 2.0 * x > 1.0 + self.expected.len() as f64;
        let (side, anchor) = if is_left { (-1.0, HPos::Right) } else { (1.0, HPos::Left) };
        let up = if self.is_higher_better { -1.0 } else { 1.0 };
        let at = (units(7.0 * side), units(up * (14.0 + 20.0 * index as f64)));
        let style = anchored(text(TEXT_SIZE, Ink::Text), anchor, VPos::Center);
        let width = style.font.box_size(words).map_or(0, |(width, _)| width as i32);
        let far = at.0 + width * side as i32;
        let halo = [(at.0.min(far), at.1 - units(8.0)), (at.0.max(far), at.1 + units(8.0))];
        plot.draw_series(std::iter::once(
            EmptyElement::at((x, edge))
                + Rectangle::new(halo, Ink::Paper.rgb().mix(0.8).filled())
                + Text::new(words.to_owned(), at, style),
        ))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::charts::svg;

    fn curve(runs: usize, is_higher_better: bool) -> BudgetCurve {
        let value = |run: usize| 1.0 - 0.5_f64.powi(run as i32);
        let expected = (1..=runs).map(|run| if is_higher_better { value(run) } else { -value(run) });
        BudgetCurve {
            y_title: "best".to_owned(),
            expected: expected.collect(),
            marks: vec![(2, "near the left".to_owned()), (runs - 1, "near the right".to_owned())],
            is_higher_better,
        }
    }

    #[test]
    fn the_axis_begins_at_one_run_and_ends_at_all() {
        assert_eq!(curve(6, true).runs().ticks, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let long = curve(40, true).runs();
        assert_eq!((long.range, long.ticks[..3].to_vec()), (1.0..40.0, vec![1.0, 5.0, 10.0]));
    }

    #[test]
    fn every_run_of_a_short_curve_has_a_dot_and_only_the_marks_of_a_long_one() {
        let dots = |runs| svg::render(&curve(runs, true), "budget").unwrap().matches("<circle").count();
        assert_eq!((dots(16), dots(200)), (16, 2));
    }

    #[test]
    fn words_stand_where_the_curve_is_not_and_run_towards_the_middle() {
        let words = |is_higher_better| -> Vec<(i32, bool)> {
            let drawn = svg::render(&curve(12, is_higher_better), "budget").unwrap();
            ["near the left", "near the right"]
                .map(|words| {
                    let element = drawn.split(&format!(">{words}<")).next().unwrap().rsplit("<text").next();
                    let element = element.unwrap().to_owned();
                    let y = element.split(" y=\"").nth(1).unwrap().split('"').next().unwrap();
                    (y.parse().unwrap(), element.contains("text-anchor=\"end\""))
                })
                .to_vec()
        };
        let half = units(f64::from(SIZE.1)) / 2;
        let (rising, falling) = (words(true), words(false));
        assert!(rising.iter().all(|(y, _)| *y > half) && falling.iter().all(|(y, _)| *y < half));
        assert_eq!(rising.iter().map(|(_, ends)| *ends).collect::<Vec<_>>(), [false, true]);
        assert!((rising[0].0 - rising[1].0).abs() >= units(TEXT_SIZE), "on lines of their own: {rising:?}");
    }
}
