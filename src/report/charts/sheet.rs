//! A sheet of pictures, each with its name and what is said of it.

use image::RgbImage;
use plotters::prelude::{DrawingBackend, Text};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{RGBColor, TextStyle};

use super::font::{anchored, bold, text};
use super::theme::Ink;
use super::{Area, Chart, Drawn, UNIT, units};

/// Sizes in CSS pixels.
const TILE: u32 = 220;
const GAP: u32 = 20;
const TITLE: f64 = 11.0;
const WORDS: f64 = 11.0;
const LINE: f64 = 15.0;

/// The longest side that a picture takes on the sheet, in its own pixels.
pub const LONGEST_SIDE: u32 = TILE * UNIT;

/// A picture and its words.
#[derive(Debug, Clone)]
pub struct Tile {
    /// Of at most [`LONGEST_SIDE`] a side: it is drawn pixel by pixel.
    pub picture: RgbImage,
    pub title: String,
    pub captions: Vec<String>,
}

/// Tiles in rows, each row as high as its longest words.
pub struct Sheet {
    columns: usize,
    tiles: Vec<Laid>,
}

/// A tile with its words broken into lines.
struct Laid {
    picture: RgbImage,
    title: String,
    lines: Vec<String>,
}

impl Sheet {
    pub fn new(tiles: Vec<Tile>, columns: usize) -> Self {
        let lay = |Tile { picture, title, captions }: Tile| {
            let lines = captions.iter().flat_map(|caption| broken(caption, TILE)).collect();
            let title = broken(&title, TILE).into_iter().next_back().unwrap_or_default();
            Laid { picture, title, lines }
        };
        Self { columns: columns.clamp(1, tiles.len().max(1)), tiles: tiles.into_iter().map(lay).collect() }
    }

    /// Heights of the rows, in CSS pixels.
    fn heights(&self) -> Vec<f64> {
        let height = |tile: &Laid| f64::from(TILE) + LINE * (tile.lines.len() as f64 + 1.5);
        self.tiles.chunks(self.columns).map(|row| row.iter().map(height).fold(0.0, f64::max)).collect()
    }
}

impl Chart for Sheet {
    fn size(&self) -> (u32, u32) {
        let columns = self.columns as u32;
        let heights: f64 = self.heights().iter().map(|height| height + f64::from(GAP)).sum();
        (columns * (TILE + GAP) + GAP, heights.ceil() as u32 + GAP)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let mut top = f64::from(GAP);
        for (row, height) in self.tiles.chunks(self.columns).zip(self.heights()) {
            for (column, tile) in row.iter().enumerate() {
                let left = GAP + column as u32 * (TILE + GAP);
                draw_tile(tile, (units(f64::from(left)), units(top)), area)?;
            }
            top += height + f64::from(GAP);
        }
        Ok(())
    }
}

fn draw_tile<B: DrawingBackend>(tile: &Laid, (left, top): (i32, i32), area: &Area<B>) -> Drawn<B> {
    let side = units(f64::from(TILE));
    let (width, height) = (tile.picture.width() as i32, tile.picture.height() as i32);
    // In the middle of its place, standing on the words.
    let (x, y) = (left + (side - width) / 2, top + side - height);
    for (column, row, pixel) in tile.picture.enumerate_pixels() {
        let [red, green, blue] = pixel.0;
        area.draw_pixel((x + column as i32, y + row as i32), &RGBColor(red, green, blue))?;
    }
    let write = |words: &str, style: TextStyle<'static>, line: f64| {
        let at = (left, top + side + units(line * LINE));
        area.draw(&Text::new(words.to_owned(), at, anchored(style, HPos::Left, VPos::Top)))
    };
    write(&tile.title, bold(TITLE, Ink::Text), 0.3)?;
    for (number, line) in tile.lines.iter().enumerate() {
        write(line, text(WORDS, Ink::Text), number as f64 + 1.3)?;
    }
    Ok(())
}

/// A text in lines of at most so many CSS pixels, broken between words, and within words that are longer.
fn broken(words: &str, width: u32) -> Vec<String> {
    let style = text(WORDS, Ink::Text);
    let fits = |line: &str| style.font.box_size(line).is_ok_and(|(wide, _)| wide <= width * UNIT);
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    let words: String = words.chars().map(clean).collect();
    let mut lines = vec![String::new()];
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let Some(last) = lines.last_mut() else { continue };
        let joined = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
        if fits(&joined) {
            *last = joined;
            continue;
        }
        let mut line = String::new();
        for letter in word.chars() {
            line.push(letter);
            if !fits(&line) {
                line.pop();
                lines.push(std::mem::replace(&mut line, letter.to_string()));
            }
        }
        lines.push(line);
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::charts::png;

    #[test]
    fn words_break_where_the_line_is_full_and_nothing_is_lost() {
        let caption = "The upper clothing has long sleeves, cotton fabric and solid color patterns.";
        let lines = broken(caption, TILE);
        assert!(lines.len() > 1 && lines.join(" ") == caption, "{lines:?}");
        let long = "x".repeat(200);
        let lines = broken(&long, TILE);
        assert!(lines.len() > 3 && lines.concat() == long, "{lines:?}");
        assert_eq!(broken("a\u{1b}[2J\nb", TILE), ["a [2J b"]);
        assert!(broken(" ", TILE).is_empty());
    }

    #[test]
    fn a_sheet_shows_its_pictures_and_grows_with_their_words() {
        let tile = |shade: u8, captions: &[&str]| Tile {
            picture: RgbImage::from_pixel(LONGEST_SIDE, LONGEST_SIDE / 2, image::Rgb([shade, 0, 0])),
            title: format!("{shade}.png"),
            captions: captions.iter().map(|caption| (*caption).to_owned()).collect(),
        };
        let sheet = |tiles: Vec<Tile>| {
            let bytes = png::render(&Sheet::new(tiles, 2)).unwrap();
            image::load_from_memory(&bytes).unwrap().to_rgb8()
        };
        let one = sheet(vec![tile(200, &["red"])]);
        let three = sheet(vec![tile(200, &["red"]), tile(100, &["dark", "very dark"]), tile(50, &[])]);
        assert_eq!(one.dimensions().0 * 2 - 2 * GAP, three.dimensions().0, "columns");
        assert!(three.height() > one.height() + 2 * TILE, "rows");
        let two = sheet(vec![tile(200, &["red"]), tile(100, &["dark", "very dark"])]);
        assert!(two.height() > one.height(), "a row is as high as its longest words");
        let has =
            |sheet: &RgbImage, shade: u8| sheet.pixels().filter(|pixel| pixel.0 == [shade, 0, 0]).count();
        let area = (LONGEST_SIDE / 2 * LONGEST_SIDE / 4) as usize;
        assert_eq!((has(&three, 200), has(&three, 100), has(&three, 50)), (area, area, area));
        assert!(one.pixels().any(|pixel| pixel.0.iter().all(|part| *part < 90)), "words are written");
    }
}
