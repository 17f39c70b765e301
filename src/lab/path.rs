//! Outlines: closed polygons and the curves that become polygons.
//!
//! Everything is computed with `+ - * /` and `sqrt`, which IEEE 754 defines to the last bit, so that an
//! outline has the same points on every machine; sines and cosines do not have that property.

use crate::random::Random;

/// A position; x grows to the right and y downwards.
pub type Point = (f64, f64);

/// A region: the union of closed contours, all of the same orientation.
#[derive(Debug, Clone, Default)]
pub struct Path {
    contours: Vec<Vec<Point>>,
}

/// Straight pieces that a quarter of an ellipse becomes.
const QUARTER_PIECES: usize = 8;
/// Straight pieces that a Bézier curve becomes.
const CURVE_PIECES: usize = 10;

impl Path {
    /// The region inside a polygon.
    pub fn polygon(points: &[Point]) -> Self {
        let mut path = Self::default();
        path.push(points.to_vec());
        path
    }

    /// An axis-parallel rectangle by its upper left corner, width and height.
    pub fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self::polygon(&[(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
    }

    /// An axis-parallel ellipse.
    pub fn ellipse(centre: Point, x_radius: f64, y_radius: f64) -> Self {
        Self::ellipse_in_pieces(centre, x_radius, y_radius, QUARTER_PIECES)
    }

    /// A circle.
    pub fn circle(centre: Point, radius: f64) -> Self {
        Self::ellipse(centre, radius, radius)
    }

    /// A circle as large as the picture, in pieces so small that it has no visible corners.
    pub fn large_circle(centre: Point, radius: f64) -> Self {
        Self::ellipse_in_pieces(centre, radius, radius, 4 * QUARTER_PIECES)
    }

    fn ellipse_in_pieces(centre: Point, x_radius: f64, y_radius: f64, quarter_pieces: usize) -> Self {
        let mut points = Vec::with_capacity(4 * quarter_pieces);
        for quarter in 0..4 {
            for piece in 0..quarter_pieces {
                let (x, y) = on_unit_circle(piece as f64 / quarter_pieces as f64);
                let (x, y) = match quarter {
                    0 => (x, y),
                    1 => (-y, x),
                    2 => (-x, -y),
                    _ => (y, -x),
                };
                points.push((centre.0 + x_radius * x, centre.1 + y_radius * y));
            }
        }
        Self::polygon(&points)
    }

    /// A polygon whose corners are rounded off, starting `radius` before each corner (less on short sides).
    pub fn rounded(corners: &[Point], radius: f64) -> Self {
        let count = corners.len();
        let mut points = Vec::with_capacity(count * 5);
        for (i, &corner) in corners.iter().enumerate() {
            let before = towards(corner, corners[(i + count - 1) % count], radius);
            let after = towards(corner, corners[(i + 1) % count], radius);
            points.push(before);
            append_quadratic(&mut points, before, corner, after, 4);
        }
        Self::polygon(&points)
    }

    /// A line of the given width along some points, with round ends.
    pub fn stroke(line: &[Point], width: f64) -> Self {
        let half = width / 2.0;
        let mut left = Vec::with_capacity(2 * line.len() + 12);
        let mut right = Vec::with_capacity(line.len());
        for i in 0..line.len() {
            let before = line[i.saturating_sub(1)];
            let after = line[(i + 1).min(line.len() - 1)];
            let (x, y) = unit((after.0 - before.0, after.1 - before.1));
            left.push((line[i].0 + half * y, line[i].1 - half * x));
            right.push((line[i].0 - half * y, line[i].1 + half * x));
        }
        if let ([.., end], [start, ..]) = (line, line) {
            let (left_end, left_start) = (left[left.len() - 1], left[0]);
            append_cap(&mut left, *end, left_end);
            left.extend(right.into_iter().rev());
            let opposite = (2.0 * start.0 - left_start.0, 2.0 * start.1 - left_start.1);
            append_cap(&mut left, *start, opposite);
        }
        Self::polygon(&left)
    }

    /// A stroke along a quadratic Bézier curve.
    pub fn arc(from: Point, control: Point, to: Point, width: f64) -> Self {
        let mut points = vec![from];
        append_quadratic(&mut points, from, control, to, CURVE_PIECES);
        Self::stroke(&points, width)
    }

    /// Begins an outline of lines and curves.
    pub fn from(start: Point) -> Outline {
        Outline { points: vec![start] }
    }

    /// This region and another one.
    pub fn and(mut self, other: Self) -> Self {
        self.contours.extend(other.contours);
        self
    }

    /// The mirror image at the vertical line through `x`.
    pub fn mirrored(&self, x: f64) -> Self {
        let mut path = Self::default();
        for contour in &self.contours {
            path.push(contour.iter().map(|point| (2.0 * x - point.0, point.1)).collect());
        }
        path
    }

    /// The contours' points; the last one is joined to the first.
    pub fn contours(&self) -> &[Vec<Point>] {
        &self.contours
    }

    /// Adds a contour, turned so that all have the same orientation: where two overlap, coverage then adds up.
    fn push(&mut self, mut contour: Vec<Point>) {
        let next = contour.iter().cycle().skip(1);
        let doubled_area: f64 = contour.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
        if doubled_area < 0.0 {
            contour.reverse();
        }
        self.contours.push(contour);
    }
}

/// An outline under construction.
#[derive(Debug, Clone)]
pub struct Outline {
    points: Vec<Point>,
}

impl Outline {
    /// A straight line to `to`.
    pub fn line(mut self, to: Point) -> Self {
        self.points.push(to);
        self
    }

    /// A quadratic Bézier curve to `to`.
    pub fn curve(mut self, control: Point, to: Point) -> Self {
        if let Some(&from) = self.points.last() {
            append_quadratic(&mut self.points, from, control, to, CURVE_PIECES);
        }
        self
    }

    /// Joins the end to the start.
    pub fn close(self) -> Path {
        Path::polygon(&self.points)
    }

    /// A line of the given width along the outline, left open.
    pub fn stroke(self, width: f64) -> Path {
        Path::stroke(&self.points, width)
    }
}

/// A measure in `low..high`, drawn at random.
pub fn between(random: &mut Random, low: f64, high: f64) -> f64 {
    low + (high - low) * random.uniform()
}

/// The point of the unit circle whose angle has half the tangent `t`; `t` from 0 to 1 is the first quarter.
pub fn on_unit_circle(t: f64) -> Point {
    let scale = 1.0 + t * t;
    ((1.0 - t * t) / scale, 2.0 * t / scale)
}

fn append_quadratic(points: &mut Vec<Point>, from: Point, control: Point, to: Point, pieces: usize) {
    for piece in 1..=pieces {
        let t = piece as f64 / pieces as f64;
        let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
        points.push((a * from.0 + b * control.0 + c * to.0, a * from.1 + b * control.1 + c * to.1));
    }
}

/// A half circle around `centre` from `start` to the opposite point, clockwise on the screen.
fn append_cap(points: &mut Vec<Point>, centre: Point, start: Point) {
    let (x, y) = (start.0 - centre.0, start.1 - centre.1);
    for piece in 1..8 {
        let (cosine, sine) = match piece {
            1..4 => on_unit_circle(piece as f64 / 4.0),
            _ => {
                let (cosine, sine) = on_unit_circle((piece - 4) as f64 / 4.0);
                (-sine, cosine)
            }
        };
        points.push((centre.0 + x * cosine - y * sine, centre.1 + x * sine + y * cosine));
    }
}

fn unit((x, y): Point) -> Point {
    let length = (x * x + y * y).sqrt();
    if length > 0.0 { (x / length, y / length) } else { (1.0, 0.0) }
}

/// The point `distance` from `from` on the way to `to`, but at most half way.
fn towards(from: Point, to: Point, distance: f64) -> Point {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let length = (x * x + y * y).sqrt();
    let share = if length > 2.0 * distance { distance / length } else { 0.5 };
    (from.0 + x * share, from.1 + y * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(path: &Path) -> f64 {
        let doubled = |contour: &Vec<Point>| -> f64 {
            let next = contour.iter().cycle().skip(1);
            contour.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum()
        };
        path.contours().iter().map(|contour| doubled(contour) / 2.0).sum()
    }

    #[test]
    fn outlines_have_the_areas_of_their_shapes() {
        let close = |path: Path, expected: f64| {
            let found = area(&path);
            assert!((found / expected - 1.0).abs() < 0.02, "{found} instead of {expected}");
        };
        let pi = std::f64::consts::PI;
        close(Path::ellipse((5.0, 6.0), 10.0, 20.0), pi * 200.0);
        close(Path::stroke(&[(0.0, 0.0), (30.0, 40.0)], 10.0), 500.0 + pi * 25.0);
        close(
            Path::rounded(&[(0.0, 0.0), (40.0, 0.0), (40.0, 40.0), (0.0, 40.0)], 5.0),
            1600.0 - 100.0 / 6.0,
        );
        close(Path::from((0.0, 0.0)).curve((15.0, 30.0), (30.0, 0.0)).close(), 300.0);
    }

    #[test]
    fn every_contour_has_the_same_orientation_whichever_way_it_was_given() {
        let clockwise = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
        let mut other_way = clockwise;
        other_way.reverse();
        assert_eq!(area(&Path::polygon(&clockwise)), area(&Path::polygon(&other_way)));
        let both = Path::polygon(&clockwise).and(Path::polygon(&clockwise).mirrored(4.0));
        assert_eq!(area(&both), 2.0);
    }

    #[test]
    fn strokes_of_no_or_one_point_are_no_cause_for_panic() {
        assert_eq!(area(&Path::stroke(&[], 3.0)), 0.0);
        assert!(area(&Path::stroke(&[(1.0, 1.0)], 3.0)) >= 0.0);
    }
}
