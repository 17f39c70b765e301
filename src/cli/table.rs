//! Aligned columns of text.

use std::fmt;

/// Where a cell's text stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows under a header, two spaces between columns.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells that it lacks are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn width(&self, column: usize, header: &str) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).chain([header.chars().count()]).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(column, (name, _))| self.width(column, name)).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let cells = self.columns.iter().zip(&widths).enumerate().map(|(column, ((_, align), &width))| {
                let text = row.get(column).map_or("", String::as_str);
                match align {
                    Align::Left => format!("{text:width$}"),
                    Align::Right => format!("{text:>width$}"),
                }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A number with so many decimals, or a dash where there is none.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("run", Align::Left), ("score", Align::Right)]);
        table.row(["zero-shot".to_owned(), number(Some(0.5), 3)]);
        table.row(["é".to_owned(), number(None, 3)]);
        table.row([]);
        assert_eq!(table.to_string(), "run        score\nzero-shot  0.500\né              -\n\n");
    }
}
