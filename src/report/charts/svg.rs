//! SVG for the page: Plotters' drawing calls with the page's colour variables in place of fixed colours.
//!
//! Plotters' own SVG backend writes fixed colours, and line heights as font sizes, which browsers read as ems.
//! This one is made for a page that is light or dark: every colour is an [`Ink`]'s CSS variable.

use std::convert::Infallible;
use std::fmt::Write;

use anyhow::anyhow;
use plotters::prelude::{DrawingBackend, IntoDrawingArea};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, FontStyle, FontTransform,
};

use super::font::{BOX_HEIGHT, CAPITAL_HEIGHT, LINE_HEIGHT};
use super::theme::Ink;
use super::{Chart, UNIT};

/// The chart as an `svg` element, described by `title` for those who do not see it.
pub fn render(chart: &impl Chart, title: &str) -> anyhow::Result<String> {
    let (width, height) = chart.size();
    let mut content = Content::default();
    {
        let backend = SvgBackend { content: &mut content, size: (width * UNIT, height * UNIT) };
        let area = backend.into_drawing_area();
        chart.draw(&area).map_err(|error| anyhow!("chart `{title}`: {error}"))?;
        area.present().map_err(|error| anyhow!("chart `{title}`: {error}"))?;
    }
    content.flush();
    Ok(format!(
        "<svg viewBox=\"0 0 {} {}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">{}</svg>",
        width * UNIT,
        height * UNIT,
        escape(title),
        content.elements
    ))
}

/// What was drawn so far. Strokes of one style that follow each other share an element.
#[derive(Default)]
struct Content {
    elements: String,
    stroke_style: String,
    stroke: String,
}

impl Content {
    fn add(&mut self, element: &str) {
        self.flush();
        self.elements.push_str(element);
    }

    fn add_stroke(&mut self, style: String, path: &str) {
        if style != self.stroke_style {
            self.flush();
            self.stroke_style = style;
        }
        self.stroke.push_str(path);
    }

    fn flush(&mut self) {
        if !self.stroke.is_empty() {
            let _ =
                write!(self.elements, "<path d=\"{}\" fill=\"none\" {}/>", self.stroke, self.stroke_style);
            self.stroke.clear();
        }
    }
}

struct SvgBackend<'a> {
    content: &'a mut Content,
    size: (u32, u32),
}

type Done = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for SvgBackend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Done {
        Ok(())
    }

    fn present(&mut self) -> Done {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Done {
        self.content.add(&format!("<rect x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\" {}/>", fill(color)));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Done {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        filled: bool,
    ) -> Done {
        let (left, top) = (from.0.min(to.0), from.1.min(to.1));
        let (width, height) = (from.0.abs_diff(to.0), from.1.abs_diff(to.1));
        let paint = paint(style, filled);
        self.content
            .add(&format!("<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" {paint}/>"));
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Done {
        if style.color().alpha > 0.0 {
            self.content.add_stroke(stroke(style), &path_data(path));
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        filled: bool,
    ) -> Done {
        self.content.add(&format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {}/>", paint(style, filled)));
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Done {
        self.content.add(&format!("<path d=\"{}Z\" {}/>", path_data(corners), fill(style.color())));
        Ok(())
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, (x, y): BackendCoord) -> Done {
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        let weight = if matches!(style.style(), FontStyle::Bold) { " font-weight=\"600\"" } else { "" };
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(" transform=\"rotate(90 {x} {y})\""),
            FontTransform::Rotate180 => format!(" transform=\"rotate(180 {x} {y})\""),
            FontTransform::Rotate270 => format!(" transform=\"rotate(270 {x} {y})\""),
        };
        let baseline = y + baseline_below_anchor(style.size(), &style.anchor().v_pos);
        self.content.add(&format!(
            "<text x=\"{x}\" y=\"{baseline}\" font-size=\"{:.1}\"{anchor}{weight}{turn} {}>{}</text>",
            style.size() / LINE_HEIGHT,
            fill(style.color()),
            escape(text)
        ));
        Ok(())
    }
}

/// The baseline that puts capitals and figures into the middle of the box that Plotters lays text out in.
fn baseline_below_anchor(size: f64, anchor: &VPos) -> i32 {
    let box_height = size * BOX_HEIGHT;
    let top = match anchor {
        VPos::Top => 0.0,
        VPos::Center => -box_height / 2.0,
        VPos::Bottom => -box_height,
    };
    (top + box_height / 2.0 + size * CAPITAL_HEIGHT / 2.0).round() as i32
}

fn path_data(points: impl IntoIterator<Item = BackendCoord>) -> String {
    let mut data = String::new();
    for (index, (x, y)) in points.into_iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(data, "{command}{x} {y}");
    }
    data
}

fn paint<S: BackendStyle>(style: &S, filled: bool) -> String {
    if filled { fill(style.color()) } else { format!("fill=\"none\" {}", stroke(style)) }
}

fn fill(color: BackendColor) -> String {
    format!("fill=\"{}\"{}", css(color), opacity("fill", color))
}

fn stroke<S: BackendStyle>(style: &S) -> String {
    let color = style.color();
    format!("stroke=\"{}\" stroke-width=\"{}\"{}", css(color), style.stroke_width(), opacity("stroke", color))
}

fn css(color: BackendColor) -> String {
    match Ink::of_rgb(color.rgb) {
        Some(ink) => format!("var(--{})", ink.css_name()),
        None => format!("#{:02x}{:02x}{:02x}", color.rgb.0, color.rgb.1, color.rgb.2),
    }
}

fn opacity(of: &str, color: BackendColor) -> String {
    if color.alpha < 1.0 { format!(" {of}-opacity=\"{:.2}\"", color.alpha) } else { String::new() }
}

/// Text as HTML and SVG have it.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use plotters::prelude::{PathElement, Text};
    use plotters::style::ShapeStyle;

    use super::*;
    use crate::report::charts::{Area, Drawn, font};

    struct Sample;

    impl Chart for Sample {
        fn size(&self) -> (u32, u32) {
            (50, 20)
        }

        fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
            let line = ShapeStyle::from(Ink::Blue.rgb()).stroke_width(4);
            area.draw(&PathElement::new(vec![(0, 0), (9, 9)], line))?;
            area.draw(&PathElement::new(vec![(20, 0), (29, 9)], line))?;
            area.draw(&Text::new("a < b & \"c\"", (40, 40), font::bold(10.0, Ink::Text)))
        }
    }

    #[test]
    fn colours_are_variables_strokes_are_shared_and_text_is_escaped() {
        insta::assert_snapshot!(render(&Sample, "\"title\"").unwrap(), @r##"<svg viewBox="0 0 200 80" width="50" height="20" role="img" aria-label="&quot;title&quot;"><path d="M0 0L9 9M20 0L29 9" fill="none" stroke="var(--blue)" stroke-width="4"/><text x="40" y="74" font-size="40.0" font-weight="600" fill="var(--text)">a &lt; b &amp; &quot;c&quot;</text></svg>"##);
    }
}
