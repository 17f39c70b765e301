//! Tables of finished text.

use askama::Template;

/// A table; every row has as many cells as there are columns.
#[derive(Debug, Clone, Default, PartialEq, Template)]
#[template(path = "table.html")]
pub struct Table {
    /// Headings over several columns; none where no column has any.
    pub groups: Vec<Group>,
    pub columns: Vec<Heading>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub text: String,
    pub span: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Heading {
    pub text: String,
    /// The column holds numbers.
    pub is_number: bool,
}

/// The first cell names the row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    pub class: &'static str,
    pub cells: Vec<Cell>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    pub text: String,
    pub class: &'static str,
}

/// Rows that a page shows; whoever needs more opens the files beside it.
const MAX_ROWS: usize = 500;

impl Table {
    fn shown(&self) -> &[Row] {
        self.rows.get(..MAX_ROWS).unwrap_or(&self.rows)
    }

    /// Rows that the page does not show.
    fn left_out(&self) -> usize {
        self.rows.len() - self.shown().len()
    }

    /// A table with these columns; names that begin with `#` are columns of numbers.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|name| heading(name)).collect(), ..Self::default() }
    }

    pub fn add_column(&mut self, text: String) {
        self.columns.push(Heading { text, is_number: true });
    }

    pub fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Row { class: "", cells: cells.into_iter().map(Cell::plain).collect() });
    }
}

impl Cell {
    pub fn plain(text: String) -> Self {
        Self { text, class: "" }
    }

    pub fn marked(text: String, class: &'static str) -> Self {
        Self { text, class }
    }
}

fn heading(name: &str) -> Heading {
    match name.strip_prefix('#') {
        Some(name) => Heading { text: name.to_owned(), is_number: true },
        None => Heading { text: name.to_owned(), is_number: false },
    }
}
