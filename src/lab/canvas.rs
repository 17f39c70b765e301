//! A picture under construction: filled outlines with exact anti-aliasing.
//!
//! Pictures are described on a square of [`UNITS`] units a side and drawn at any size. The coverage of a
//! pixel is the exact area of the outline within it (accumulated signed areas, the method of font-rs), so
//! that a small drawing looks like a large one reduced. Only IEEE 754 `+ - * /` take part: the same bytes
//! on every machine.

use std::ops::Range;

use image::{Rgb, RgbImage};

use super::colour::Colour;
use super::path::{Path, Point, on_unit_circle};

/// Side of every picture in drawing units; also its side in pixels at full size.
pub const UNITS: f64 = 224.0;

/// Where and how a thing is put on the canvas: a similarity, possibly mirrored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    origin: Point,
    x_axis: Point,
    y_axis: Point,
}

impl Placement {
    /// Nothing is moved.
    pub const IDENTITY: Self = Self { origin: (0.0, 0.0), x_axis: (1.0, 0.0), y_axis: (0.0, 1.0) };

    /// The thing's origin comes to `origin`.
    pub fn at(origin: Point) -> Self {
        Self { origin, ..Self::IDENTITY }
    }

    /// Stretched along the thing's own axes.
    pub fn scaled(self, x: f64, y: f64) -> Self {
        let scale = |axis: Point, by: f64| (axis.0 * by, axis.1 * by);
        Self { x_axis: scale(self.x_axis, x), y_axis: scale(self.y_axis, y), ..self }
    }

    /// Turned clockwise about its origin by the angle whose half has the tangent `half_tangent`.
    pub fn turned(self, half_tangent: f64) -> Self {
        let (cosine, sine) = on_unit_circle(half_tangent);
        let (x, y) = (self.x_axis, self.y_axis);
        Self {
            x_axis: (x.0 * cosine + y.0 * sine, x.1 * cosine + y.1 * sine),
            y_axis: (y.0 * cosine - x.0 * sine, y.1 * cosine - x.1 * sine),
            ..self
        }
    }

    fn apply(&self, (x, y): Point) -> Point {
        (
            self.origin.0 + self.x_axis.0 * x + self.y_axis.0 * y,
            self.origin.1 + self.x_axis.1 * x + self.y_axis.1 * y,
        )
    }
}

/// What an outline is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    from: Colour,
    to: Colour,
    start: Point,
    end: Point,
    opacity: f32,
}

impl From<Colour> for Paint {
    fn from(colour: Colour) -> Self {
        Self { from: colour, to: colour, start: (0.0, 0.0), end: (0.0, 0.0), opacity: 1.0 }
    }
}

impl Paint {
    /// Changes evenly from one colour at `start` to another at `end`, and stays constant beyond them.
    pub fn gradient(start: Point, from: Colour, end: Point, to: Colour) -> Self {
        Self { from, to, start, end, opacity: 1.0 }
    }

    /// Changes from the top colour at height `y0` to the bottom colour at `y1`.
    pub fn vertical(y0: f64, top: Colour, y1: f64, bottom: Colour) -> Self {
        Self::gradient((0.0, y0), top, (0.0, y1), bottom)
    }

    /// Lets what lies below shine through; `opacity` is in 0 to 1.
    pub fn veil(colour: Colour, opacity: f32) -> Self {
        Self { opacity, ..Self::from(colour) }
    }
}

/// A square picture that outlines are filled into, one over the other.
pub struct Canvas {
    /// Side in pixels.
    size: usize,
    placement: Placement,
    pixels: Vec<[f32; 3]>,
    /// Limits what later fills show.
    clip: Option<Clip>,
    /// Scratch: changes of coverage from one pixel of a row to the next; all zero between fills.
    changes: Vec<f32>,
}

/// The pixels that an outline can touch.
#[derive(Clone)]
struct Bounds {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Bounds {
    fn meets(&self, other: &Self) -> bool {
        let overlap =
            |one: &Range<usize>, other: &Range<usize>| one.start < other.end && other.start < one.end;
        overlap(&self.rows, &other.rows) && overlap(&self.columns, &other.columns)
    }
}

/// The coverage of an outline that fills are multiplied with.
struct Clip {
    bounds: Bounds,
    /// One value a pixel of the whole canvas; zero outside of the bounds.
    coverage: Vec<f32>,
}

impl Canvas {
    /// A black canvas of `size` by `size` pixels.
    pub fn new(size: u32) -> Self {
        let size = size as usize;
        Self {
            size,
            placement: Placement::IDENTITY,
            pixels: vec![[0.0; 3]; size * size],
            clip: None,
            changes: vec![0.0; size * (size + 2)],
        }
    }

    /// Places everything drawn from now on.
    pub fn place(&mut self, placement: Placement) {
        self.placement = placement;
    }

    /// Fills an outline.
    pub fn fill(&mut self, path: &Path, paint: impl Into<Paint>) {
        let paint = paint.into();
        let (start, end) = (self.to_pixels(paint.start), self.to_pixels(paint.end));
        let (along, across) = (end.0 - start.0, end.1 - start.1);
        let squared = along * along + across * across;
        let Some(bounds) = self.trace(path) else { return };
        let Self { size, pixels, clip, changes, .. } = self;
        each_covered(changes, *size, bounds, |row, column, coverage| {
            let index = row * *size + column;
            let clipped = clip.as_ref().map_or(1.0, |clip| clip.coverage[index]);
            let colour = if squared > 0.0 {
                let (x, y) = (column as f64 + 0.5 - start.0, row as f64 + 0.5 - start.1);
                let share = ((x * along + y * across) / squared).clamp(0.0, 1.0);
                paint.from.mix(paint.to, share as f32)
            } else {
                paint.from
            };
            blend(&mut pixels[index], colour, coverage * clipped * paint.opacity);
        });
    }

    /// Everything that `draw` draws shows only inside the outline.
    pub fn within(&mut self, path: &Path, draw: impl FnOnce(&mut Self)) {
        let Some(bounds) = self.trace(path) else { return };
        let mut coverage = vec![0.0; self.size * self.size];
        let outer = self.clip.take();
        each_covered(&mut self.changes, self.size, bounds.clone(), |row, column, covered| {
            let index = row * self.size + column;
            coverage[index] = covered * outer.as_ref().map_or(1.0, |outer| outer.coverage[index]);
        });
        self.clip = Some(Clip { bounds, coverage });
        draw(self);
        self.clip = outer;
    }

    /// The finished picture.
    pub fn into_image(self) -> RgbImage {
        let byte = |channel: f32| (channel + 0.5).clamp(0.0, 255.0) as u8;
        let (size, pixels) = (self.size, self.pixels);
        RgbImage::from_fn(size as u32, size as u32, |x, y| {
            Rgb(pixels[y as usize * size + x as usize].map(byte))
        })
    }

    fn to_pixels(&self, point: Point) -> Point {
        let scale = self.size as f64 / UNITS;
        let (x, y) = self.placement.apply(point);
        (x * scale, y * scale)
    }

    /// Writes the outline's edges into `changes`; `None` where it can touch no pixel that shows.
    fn trace(&mut self, path: &Path) -> Option<Bounds> {
        let side = self.size as f64;
        let (mut low, mut high) = ((side, side), (0.0_f64, 0.0_f64));
        let contours: Vec<Vec<Point>> = path
            .contours()
            .iter()
            .map(|contour| contour.iter().map(|&point| self.to_pixels(point)).collect())
            .collect();
        for &(x, y) in contours.iter().flatten() {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
        let first = |edge: f64| edge.clamp(0.0, side) as usize;
        let end = |edge: f64| edge.clamp(0.0, side).ceil() as usize;
        let bounds = Bounds { rows: first(low.1)..end(high.1), columns: first(low.0)..end(high.0) };
        let shows = self.clip.as_ref().is_none_or(|clip| clip.bounds.meets(&bounds));
        if bounds.rows.is_empty() || bounds.columns.is_empty() || !shows {
            return None;
        }
        for contour in &contours {
            let Some(&last) = contour.last() else { continue };
            let mut from = last;
            for &to in contour {
                add_edge(&mut self.changes, self.size, from, to);
                from = to;
            }
        }
        Some(bounds)
    }
}

fn blend(pixel: &mut [f32; 3], colour: Colour, opacity: f32) {
    for (channel, over) in pixel.iter_mut().zip([colour.red, colour.green, colour.blue]) {
        *channel += (over - *channel) * opacity;
    }
}

/// Adds one edge: in every row it crosses, the share of each pixel that lies to the right of it.
fn add_edge(changes: &mut [f32], size: usize, from: Point, to: Point) {
    if from.1 == to.1 {
        return;
    }
    let (direction, top, bottom) = if from.1 < to.1 { (1.0, from, to) } else { (-1.0, to, from) };
    let slope = (bottom.0 - top.0) / (bottom.1 - top.1);
    let side = size as f64;
    let (first, end) = (top.1.clamp(0.0, side) as usize, bottom.1.clamp(0.0, side).ceil() as usize);
    for row in first..end {
        let (y0, y1) = (top.1.max(row as f64), bottom.1.min(row as f64 + 1.0));
        let height = direction * (y1 - y0);
        let x0 = (top.0 + (y0 - top.1) * slope).clamp(0.0, side);
        let x1 = (top.0 + (y1 - top.1) * slope).clamp(0.0, side);
        let (left, right) = if x0 < x1 { (x0, x1) } else { (x1, x0) };
        let cells = &mut changes[row * (size + 2)..(row + 1) * (size + 2)];
        for cell in left as usize..=right as usize {
            let (a, b) = (left.max(cell as f64), right.min(cell as f64 + 1.0));
            let part = if right > left { height * (b - a) / (right - left) } else { height };
            let middle = (a + b) / 2.0 - cell as f64;
            cells[cell] += (part * (1.0 - middle)) as f32;
            cells[cell + 1] += (part * middle) as f32;
        }
    }
}

/// Sums the changes of each row up to coverages, hands on those that are not zero, and clears the row.
fn each_covered(changes: &mut [f32], size: usize, bounds: Bounds, mut visit: impl FnMut(usize, usize, f32)) {
    for row in bounds.rows {
        let cells = &mut changes[row * (size + 2)..(row + 1) * (size + 2)];
        let mut covered = 0.0;
        for column in bounds.columns.clone() {
            covered += cells[column];
            let coverage = f32::min(covered.abs(), 1.0);
            if coverage > 1e-4 {
                visit(row, column, coverage);
            }
        }
        cells.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::colour::WHITE;

    fn brightness(image: &RgbImage) -> f64 {
        image.iter().map(|&byte| f64::from(byte)).sum::<f64>() / 255.0 / image.len() as f64
    }

    #[test]
    fn coverage_is_the_area_of_the_outline_at_every_size() {
        let area = std::f64::consts::PI * 50.0 * 50.0 / (UNITS * UNITS);
        for size in [16, 64, 224] {
            let mut canvas = Canvas::new(size);
            canvas.fill(&Path::circle((100.3, 117.7), 50.0), WHITE);
            let covered = brightness(&canvas.into_image());
            assert!((covered - area).abs() < 0.003, "{size}: {covered} instead of {area}");
        }
    }

    #[test]
    fn a_pixel_that_is_half_covered_is_half_bright() {
        let mut canvas = Canvas::new(UNITS as u32);
        canvas.fill(&Path::rectangle(10.5, 10.0, 1.0, 1.0), WHITE);
        let image = canvas.into_image();
        let row: Vec<u8> = (9..14).map(|x| image.get_pixel(x, 10)[0]).collect();
        assert_eq!(row, [0, 128, 128, 0, 0]);
    }

    #[test]
    fn what_lies_beside_the_canvas_leaves_no_trace() {
        let mut canvas = Canvas::new(32);
        for (x, y) in [(-300.0, 20.0), (300.0, 20.0), (20.0, -300.0), (20.0, 300.0)] {
            canvas.fill(&Path::circle((x, y), 40.0), WHITE);
        }
        canvas.fill(&Path::rectangle(0.0, 0.0, 0.0, 0.0), WHITE);
        assert_eq!(brightness(&canvas.into_image()), 0.0);
    }

    #[test]
    fn outlines_that_overlap_the_edges_are_cut_there() {
        let mut canvas = Canvas::new(32);
        canvas.fill(&Path::rectangle(-500.0, -500.0, 500.0 + UNITS / 2.0, 2000.0), WHITE);
        assert_eq!(brightness(&canvas.into_image()), 0.5);
    }

    #[test]
    fn nothing_shows_outside_of_a_clip() {
        let mut canvas = Canvas::new(UNITS as u32);
        canvas.within(&Path::rectangle(20.0, 20.0, 10.0, 10.0), |canvas| {
            canvas.fill(&Path::rectangle(0.0, 25.0, UNITS, UNITS), WHITE);
            canvas.within(&Path::rectangle(0.0, 0.0, 25.0, UNITS), |canvas| {
                canvas.fill(&Path::rectangle(0.0, 0.0, UNITS, UNITS), WHITE);
            });
        });
        let lit = canvas.into_image().pixels().filter(|pixel| pixel[0] == 255).count();
        assert_eq!(lit, 75);
    }

    #[test]
    fn a_placement_scales_turns_and_moves_in_this_order() {
        let placed = Placement::at((10.0, 20.0)).scaled(2.0, 3.0).turned(1.0).apply((1.0, 0.0));
        assert_eq!(placed, (10.0, 23.0), "a quarter turn takes x to y, stretched along the outer y");
    }
}
