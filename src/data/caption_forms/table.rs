//! Tables of captions: comma-separated values by RFC 4180, or with tabs, semicolons or bars between the cells.

use super::gathered::Gathered;
use super::records::lacks;
use super::{Columns, Fault};
use crate::data::captions::CaptionsFile;

/// What may stand between cells; the one that the first line has most of does.
const SEPARATORS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// A row has no more cells than this; others are no table of captions.
const MOST_CELLS: usize = 10_000;

/// Captions by image: a row is an image with a caption, and an empty cell is none.
pub fn parse(text: &[u8], columns: &Columns) -> Result<CaptionsFile, Fault> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        Fault::at_line(1 + before.iter().filter(|byte| **byte == b'\n').count(), "it is not UTF-8")
    })?;
    let mut rows = Rows::of(text);
    let (_, header) = rows.next().unwrap_or_else(|| Err(Fault::of_file("the table is empty")))?;
    let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let column = |what: &str, names: Vec<&str>| {
        let place =
            names.iter().find_map(|name| header.iter().position(|other| other.eq_ignore_ascii_case(name)));
        place.ok_or_else(|| Fault::at_line(1, lacks(what, &names, &header)))
    };
    let (image, caption) = (column("image", columns.images())?, column("caption", columns.captions())?);
    let mut gathered = Gathered::default();
    for row in rows {
        let (line, mut cells) = row?;
        if cells.len() != header.len() {
            let (count, all) = (cells.len(), header.len());
            let message = format!(
                "the row has {count} cells and the first row {all}; a caption with a comma or a line break stands in quotes"
            );
            return Err(Fault::at_line(line, message));
        }
        let mut take = |place: usize| cells.get_mut(place).map(std::mem::take).unwrap_or_default();
        let (image, caption) = (take(image).trim().to_owned(), take(caption));
        if image.is_empty() {
            return Err(Fault::at_line(line, "the row names no image"));
        }
        let captions = if caption.is_empty() { Vec::new() } else { vec![caption] };
        gathered.add(image, captions).map_err(|message| Fault::at_line(line, message))?;
    }
    Ok(gathered.into_file())
}

/// The rows of a table, each with the number of its first line. Lines without anything are passed over.
struct Rows<'a> {
    rest: &'a str,
    line: usize,
    separator: u8,
}

impl<'a> Rows<'a> {
    fn of(text: &'a str) -> Self {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let count = |separator: &u8| first.bytes().filter(|byte| byte == separator).count();
        // Of several that it has equally many of, the first.
        let separator = SEPARATORS.iter().rev().max_by_key(|separator| count(separator)).copied();
        Self { rest: text, line: 1, separator: separator.unwrap_or(b',') }
    }

    /// Takes the next cell and what ends it: a separator, a line break or the end of the text.
    fn cell(&mut self) -> Result<(String, Option<u8>), Fault> {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            return self.quoted_cell(quoted);
        }
        let end = self.rest.bytes().position(|byte| byte == self.separator || byte == b'\n');
        let end = end.unwrap_or(self.rest.len());
        let cell = self.rest[..end].trim_end_matches('\r').to_owned();
        Ok((cell, self.pass(end)))
    }

    /// A cell in quotes, from behind the first of them; within it two of them stand for one.
    fn quoted_cell(&mut self, mut text: &'a str) -> Result<(String, Option<u8>), Fault> {
        let (began, mut cell) = (self.line, String::new());
        loop {
            let Some(quote) = text.find('"') else {
                return Err(Fault::at_line(began, "a cell begins with a quote that nothing closes"));
            };
            self.line += text[..quote].matches('\n').count();
            cell.push_str(&text[..quote]);
            text = &text[quote + 1..];
            match text.strip_prefix('"') {
                Some(behind) => {
                    cell.push('"');
                    text = behind;
                }
                None => break,
            }
        }
        let text = text.strip_prefix('\r').filter(|rest| rest.starts_with('\n')).unwrap_or(text);
        self.rest = text;
        match text.bytes().next() {
            Some(byte) if byte != self.separator && byte != b'\n' => {
                let message = "text follows a cell in quotes; a quote within one is written twice";
                Err(Fault::at_line(self.line, message))
            }
            _ => Ok((cell, self.pass(0))),
        }
    }

    /// Goes on behind the byte at `end`, which is returned.
    fn pass(&mut self, end: usize) -> Option<u8> {
        let byte = self.rest.as_bytes().get(end).copied();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        byte
    }

    fn row(&mut self) -> Result<(usize, Vec<String>), Fault> {
        let (first, mut cells) = (self.line, Vec::new());
        loop {
            let (cell, end) = self.cell()?;
            cells.push(cell);
            if end != Some(self.separator) {
                self.line += 1;
                return Ok((first, cells));
            }
            if cells.len() == MOST_CELLS {
                return Err(Fault::at_line(self.line, format!("the row has more than {MOST_CELLS} cells")));
            }
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<(usize, Vec<String>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.row() {
                Ok((_, cells)) if cells.len() == 1 && cells[0].trim().is_empty() => {}
                row => {
                    if row.is_err() {
                        self.rest = "";
                    }
                    return Some(row);
                }
            }
        }
        None
    }
}
