//! What the charts share: scales with round ticks, a plot with quiet axes, and labels that do not overlap.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{EmptyElement, PathElement};
use plotters::prelude::{Cartesian2d, DrawingBackend, Text};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, ShapeStyle, TRANSPARENT};

use super::font::{anchored, bold, text};
use super::theme::Ink;
use super::{Area, Drawn, units};

/// A range of values with the ticks to label.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    pub range: Range<f64>,
    pub ticks: Vec<f64>,
}

impl Scale {
    /// Holds all values, ends on round numbers and has about `count` ticks.
    pub fn round(values: impl IntoIterator<Item = f64>, count: usize) -> Self {
        let (low, high) = values
            .into_iter()
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self { range: 0.0..1.0, ticks: vec![0.0, 1.0] };
        }
        let widened = if high - low > 1e-9 { (low, high) } else { (low - 0.05, high + 0.05) };
        let step = round_step((widened.1 - widened.0) / count.max(1) as f64);
        let first = (widened.0 / step + 1e-9).floor() as i64;
        let last = (widened.1 / step - 1e-9).ceil() as i64;
        let ticks: Vec<f64> = (first..=last).map(|index| index as f64 * step).collect();
        Self { range: first as f64 * step..last as f64 * step, ticks }
    }

    /// Whole numbers from 0, every one of them labelled where there are few.
    pub fn epochs(last: usize, count: usize) -> Self {
        let last = last.max(1);
        let step = round_step(last as f64 / count.max(1) as f64).max(1.0) as usize;
        let ticks = (0..=last).step_by(step).map(|epoch| epoch as f64).collect();
        Self { range: 0.0..last as f64, ticks }
    }

    /// A place for each of `count` names.
    pub fn places(count: usize) -> Self {
        Self { range: -0.5..count as f64 - 0.5, ticks: (0..count).map(|index| index as f64).collect() }
    }

    /// As many decimals as tell neighbouring ticks apart.
    pub fn label(&self, value: f64) -> String {
        let step = match self.ticks.as_slice() {
            [first, second, ..] => second - first,
            _ => 1.0,
        };
        let is_whole = |decimals: &i32| {
            let scaled = step * 10_f64.powi(*decimals);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.abs()
        };
        let decimals = (0..6).find(is_whole).unwrap_or(6) as usize;
        let rounded = format!("{value:.decimals$}");
        rounded.strip_prefix('-').map_or(rounded.clone(), |rest| format!("−{rest}"))
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// The next of 1, 2, 2.5 and 5 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let factor =
        [1.0, 2.0, 2.5, 5.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// A plot that can be drawn on in its own values.
pub type Plot<'a, B> = ChartContext<'a, B, Cartesian2d<Scale, Scale>>;

/// How a plot's frame looks; sizes in CSS pixels.
pub struct Frame<'a> {
    pub x: &'a Scale,
    pub y: &'a Scale,
    pub x_label: &'a dyn Fn(f64) -> String,
    pub y_label: &'a dyn Fn(f64) -> String,
    pub x_title: &'a str,
    pub y_title: &'a str,
    /// Space kept on each side for labels and direct marks: top, right, bottom, left.
    pub space: [f64; 4],
    /// Lines across the plot at the ticks of y, or of x.
    pub grid: Grid,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    Horizontal,
    Vertical,
    None,
}

const TICK_SIZE: f64 = 12.0;

/// Draws axes and grid and returns the plot.
pub fn plot<'a, B: DrawingBackend + 'a>(
    area: &'a Area<B>,
    frame: &Frame,
) -> Result<Plot<'a, B>, DrawingAreaErrorKind<B::ErrorType>> {
    let [top, right, bottom, left] = frame.space.map(units);
    let mut plot = ChartBuilder::on(area)
        .margin_top(top)
        .margin_right(right)
        .x_label_area_size(bottom)
        .y_label_area_size(left)
        .build_cartesian_2d(frame.x.clone(), frame.y.clone())?;
    let grid = Ink::Grid.rgb().stroke_width(units(1.0) as u32);
    let axis = if frame.grid == Grid::None { ShapeStyle::from(TRANSPARENT) } else { line(Ink::Faint, 1.0) };
    let (x_label, y_label) = (|x: &f64| (frame.x_label)(*x), |y: &f64| (frame.y_label)(*y));
    let mut mesh = plot.configure_mesh();
    mesh.bold_line_style(grid)
        .light_line_style(TRANSPARENT)
        .axis_style(axis)
        .x_labels(frame.x.ticks.len())
        .y_labels(frame.y.ticks.len())
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label)
        .label_style(text(TICK_SIZE, Ink::Muted))
        .set_all_tick_mark_size(units(4.0));
    if frame.grid != Grid::Vertical {
        mesh.disable_x_mesh();
    }
    if frame.grid != Grid::Horizontal {
        mesh.disable_y_mesh();
    }
    mesh.draw()?;
    axis_titles(area, frame)?;
    Ok(plot)
}

/// The x title below the middle of the plot, the y title above its upper left corner, where it reads level.
fn axis_titles<B: DrawingBackend>(area: &Area<B>, frame: &Frame) -> Drawn<B> {
    let (width, height) = area.dim_in_pixel();
    let [top, right, _, left] = frame.space.map(units);
    let middle = (left + width as i32 - right) / 2;
    let x_style = anchored(text(TICK_SIZE, Ink::Muted), HPos::Center, VPos::Bottom);
    area.draw(&Text::new(frame.x_title.to_owned(), (middle, height as i32 - units(2.0)), x_style))?;
    let y_style = anchored(text(TICK_SIZE, Ink::Muted), HPos::Left, VPos::Bottom);
    area.draw(&Text::new(frame.y_title.to_owned(), (units(2.0), top - units(9.0)), y_style))
}

/// A chart's own title, for panels among others.
pub fn panel_title<B: DrawingBackend>(area: &DrawingArea<B, Shift>, title: &str, subtitle: &str) -> Drawn<B> {
    let at = |y: f64| (units(2.0), units(y));
    let title_style = anchored(bold(13.0, Ink::Text), HPos::Left, VPos::Top);
    area.draw(&Text::new(title.to_owned(), at(3.0), title_style))?;
    let subtitle_style = anchored(text(12.0, Ink::Muted), HPos::Left, VPos::Top);
    area.draw(&Text::new(subtitle.to_owned(), at(21.0), subtitle_style))
}

/// A line of a width in CSS pixels.
pub fn line(ink: Ink, width: f64) -> ShapeStyle {
    ink.rgb().stroke_width(units(width) as u32)
}

/// The strokes of an interval that lies at a place of y.
pub fn whisker((low, high): (f64, f64), place: f64) -> [PathElement<(f64, f64)>; 3] {
    let stroke = |from, to| PathElement::new(vec![from, to], line(Ink::Text, 1.5));
    let end = |value| stroke((value, place - 0.14), (value, place + 0.14));
    [stroke((low, place), (high, place)), end(low), end(high)]
}

/// The part of a curve below `top`, cut where it crosses: a run that diverged must not flatten the others.
pub fn cut_above(points: &[(f64, f64)], top: f64) -> Vec<(f64, f64)> {
    let mut inside: Vec<(f64, f64)> = Vec::new();
    let mut before: Option<(f64, f64)> = None;
    for &(x, y) in points {
        if let Some((x0, y0)) = before
            && (y0 > top) != (y > top)
        {
            inside.push((x0 + (x - x0) * (top - y0) / (y - y0), top));
        }
        if y <= top {
            inside.push((x, y));
        }
        before = Some((x, y));
    }
    inside
}

/// A name at the right of a plot.
pub struct EndLabel {
    /// Where what it names ends.
    pub value: f64,
    pub text: String,
    pub ink: Ink,
    pub is_bold: bool,
}

/// Names at the right of the plot, beside where each line ends.
pub fn end_labels<B: DrawingBackend>(
    plot: &mut Plot<B>,
    x: &Scale,
    y: &Scale,
    labels: Vec<EndLabel>,
) -> Drawn<B> {
    let (_, heights) = plot.plotting_area().get_pixel_range();
    let value_of_unit = (y.range.end - y.range.start) / f64::from(heights.end - heights.start);
    let wanted: Vec<f64> = labels.iter().map(|label| label.value).collect();
    let gap = f64::from(units(TICK_SIZE * 1.35)) * value_of_unit;
    let placed = spread(&wanted, gap, y.range.start, y.range.end);
    for (EndLabel { value, text: name, ink, is_bold }, place) in labels.into_iter().zip(placed) {
        let style = if is_bold { bold(TICK_SIZE, ink) } else { text(TICK_SIZE, ink) };
        let style = anchored(style, HPos::Left, VPos::Center);
        plot.draw_series(std::iter::once(
            EmptyElement::at((x.range.end, place)) + Text::new(name, (units(16.0), 0), style),
        ))?;
        let shift = ((value - place) / value_of_unit).round() as i32;
        plot.draw_series(std::iter::once(
            EmptyElement::at((x.range.end, place))
                + PathElement::new(vec![(units(4.0), -shift), (units(13.0), 0)], line(ink, 1.0)),
        ))?;
    }
    Ok(())
}

/// Moves positions apart until neighbours are at least `gap` from each other, within `low..=high` where they
/// fit; the order is kept.
pub fn spread(positions: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.sort_by(|a, b| positions[*a].total_cmp(&positions[*b]));
    let mut spread = positions.to_vec();
    let mut floor = low;
    for &index in &order {
        spread[index] = spread[index].max(floor);
        floor = spread[index] + gap;
    }
    let mut ceiling = high;
    for &index in order.iter().rev() {
        spread[index] = spread[index].min(ceiling);
        ceiling = spread[index] - gap;
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_their_values_and_end_on_round_numbers() {
        let scale = Scale::round([0.12, 0.47], 4);
        assert_eq!(scale.range, 0.1..0.5);
        let labels: Vec<String> = scale.ticks.iter().map(|tick| scale.label(*tick)).collect();
        assert_eq!(labels, ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        let quarters = Scale::round([0.0, 0.7], 3);
        assert_eq!(
            quarters.ticks.iter().map(|tick| quarters.label(*tick)).collect::<Vec<_>>(),
            ["0.00", "0.25", "0.50", "0.75"]
        );
        let negative = Scale::round([-0.03, 0.02], 3);
        assert_eq!(negative.label(negative.ticks[0]), "−0.04");
    }

    #[test]
    fn scales_of_one_value_or_none_are_scales() {
        let one = Scale::round([0.5], 4);
        assert!(one.range.start < 0.5 && one.range.end > 0.5 && one.ticks.len() >= 2, "{one:?}");
        let large = Scale::round([7e8], 4);
        assert!(large.range.start < 7e8 && large.range.end > 7e8 && large.ticks.len() < 20, "{large:?}");
        assert_eq!(Scale::round([f64::NAN], 4).range, 0.0..1.0);
        assert_eq!(Scale::epochs(0, 5).ticks, [0.0, 1.0]);
        assert_eq!(Scale::epochs(20, 5).ticks, [0.0, 5.0, 10.0, 15.0, 20.0]);
    }

    #[test]
    fn curves_are_cut_where_they_cross_the_top() {
        let curve = [(1.0, 4.0), (2.0, 2.0), (3.0, 1.0), (4.0, 5.0)];
        assert_eq!(cut_above(&curve, 3.0), [(1.5, 3.0), (2.0, 2.0), (3.0, 1.0), (3.5, 3.0)]);
        assert_eq!(cut_above(&curve, 9.0), curve);
        assert!(cut_above(&curve, 0.5).is_empty());
    }

    #[test]
    fn labels_that_would_overlap_are_moved_apart_and_stay_inside() {
        assert_eq!(spread(&[0.0, 1.0, 50.0], 10.0, 0.0, 100.0), [0.0, 10.0, 50.0]);
        assert_eq!(spread(&[99.0, 98.0], 10.0, 0.0, 100.0), [100.0, 90.0]);
        assert_eq!(spread(&[], 10.0, 0.0, 100.0), [0.0; 0]);
    }
}
