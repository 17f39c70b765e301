//! Several panels as one picture, for the PNG file; the page arranges them itself, to fit the screen.

use plotters::prelude::DrawingBackend;

use super::{Area, Chart, Drawn, units};

/// Panels in rows, each at its own size, in cells of the largest.
pub struct Panels<'a, C> {
    pub panels: &'a [C],
    pub columns: usize,
}

const MARGIN: u32 = 20;

impl<C: Chart> Panels<'_, C> {
    fn cell(&self) -> (u32, u32) {
        let sizes = || self.panels.iter().map(Chart::size);
        (sizes().map(|size| size.0).max().unwrap_or(1), sizes().map(|size| size.1).max().unwrap_or(1))
    }

    fn columns(&self) -> usize {
        self.columns.min(self.panels.len()).max(1)
    }
}

impl<C: Chart> Chart for Panels<'_, C> {
    fn size(&self) -> (u32, u32) {
        let (width, height) = self.cell();
        let rows = self.panels.len().div_ceil(self.columns()) as u32;
        (self.columns() as u32 * (width + MARGIN) + MARGIN, rows * (height + MARGIN) + MARGIN)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let (width, height) = self.cell();
        for (index, panel) in self.panels.iter().enumerate() {
            let (row, column) = (index / self.columns(), index % self.columns());
            let left = MARGIN + column as u32 * (width + MARGIN);
            let top = MARGIN + row as u32 * (height + MARGIN);
            let (panel_width, panel_height) = panel.size();
            let (left, top) = (units(left.into()), units(top.into()));
            let size = (units(panel_width.into()) as u32, units(panel_height.into()) as u32);
            panel.draw(&area.clone().shrink((left, top), size))?;
        }
        Ok(())
    }
}
