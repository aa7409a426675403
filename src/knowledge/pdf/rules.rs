//! Tables whose cells are parted by ruled lines or boxes.

use crate::knowledge::{tables::Cell, text::join_wrapped};

use super::{
    content::{Glyph, Page, Rule},
    lines::lines,
};

/// Lines this near to one another are one, in points.
const NEAR: f64 = 3.0;
const COLUMNS_MAX: usize = 60;
const ROWS_MAX: usize = 500;

/// A table between ruled lines.
#[derive(Debug)]
pub struct RuledTable {
    /// Upper end.
    pub top: f64,
    /// Where its columns begin, and where the last one ends.
    pub columns: Vec<f64>,
    /// Rows from the top.
    pub rows: Vec<Vec<Cell>>,
}

/// Takes the ruled tables and their characters from a page.
pub fn take_tables(page: &mut Page) -> Vec<RuledTable> {
    let horizontal: Vec<Rule> =
        page.rules.iter().copied().filter(|rule| is_level(rule) && rule.to.0 - rule.from.0 > 8.0).collect();
    let vertical: Vec<Rule> =
        page.rules.iter().copied().filter(|rule| !is_level(rule) && rule.to.1 - rule.from.1 > 4.0).collect();
    let mut tables = Vec::new();
    for (horizontal, vertical) in connected(&horizontal, &vertical) {
        if let Some(grid) = Grid::new(&horizontal, &vertical)
            && let Some(table) = grid.take_table(&mut page.glyphs)
        {
            tables.push(table);
        }
    }
    tables
}

fn is_level(rule: &Rule) -> bool {
    rule.to.1 - rule.from.1 < rule.to.0 - rule.from.0
}

/// Groups of lines that touch one another: each may be a table.
fn connected(horizontal: &[Rule], vertical: &[Rule]) -> Vec<(Vec<Rule>, Vec<Rule>)> {
    if horizontal.len() < 3 || vertical.len() < 3 || horizontal.len() * vertical.len() > 20_000_000 {
        return Vec::new();
    }
    let mut parents: Vec<usize> = (0..horizontal.len() + vertical.len()).collect();
    for (h, level) in horizontal.iter().enumerate() {
        for (v, upright) in vertical.iter().enumerate() {
            let across = level.from.0 - NEAR <= upright.from.0 && upright.from.0 <= level.to.0 + NEAR;
            let along = upright.from.1 - NEAR <= level.from.1 && level.from.1 <= upright.to.1 + NEAR;
            if across && along {
                let (a, b) = (root(&mut parents, h), root(&mut parents, horizontal.len() + v));
                parents[a] = b;
            }
        }
    }
    let mut groups: std::collections::BTreeMap<usize, (Vec<Rule>, Vec<Rule>)> = std::collections::BTreeMap::new();
    for (index, rule) in horizontal.iter().chain(vertical).enumerate() {
        let group = groups.entry(root(&mut parents, index)).or_default();
        if index < horizontal.len() { group.0.push(*rule) } else { group.1.push(*rule) }
    }
    groups.into_values().collect()
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

/// The lines of a table.
struct Grid {
    /// Left to right.
    xs: Vec<f64>,
    /// Top to bottom.
    ys: Vec<f64>,
    /// For each row and inner column edge, whether a line parts the cells there.
    upright: Vec<Vec<bool>>,
    /// For each row and column, whether a line lies above the cell.
    level: Vec<Vec<bool>>,
}

impl Grid {
    fn new(horizontal: &[Rule], vertical: &[Rule]) -> Option<Self> {
        let xs = clusters(vertical.iter().map(|rule| rule.from.0));
        let mut ys = clusters(horizontal.iter().map(|rule| rule.from.1));
        ys.reverse();
        if !(3..=COLUMNS_MAX).contains(&xs.len()) || !(3..=ROWS_MAX).contains(&ys.len()) {
            return None;
        }
        let (rows, columns) = (ys.len() - 1, xs.len() - 1);
        let mut upright = vec![vec![false; columns + 1]; rows];
        for rule in vertical {
            let Some(edge) = xs.iter().position(|x| (x - rule.from.0).abs() <= NEAR) else { continue };
            for row in 0..rows {
                let middle = f64::midpoint(ys[row], ys[row + 1]);
                upright[row][edge] |= rule.from.1 <= middle && middle <= rule.to.1;
            }
        }
        let mut level = vec![vec![false; columns]; rows + 1];
        for rule in horizontal {
            let Some(edge) = ys.iter().position(|y| (y - rule.from.1).abs() <= NEAR) else { continue };
            for column in 0..columns {
                let middle = f64::midpoint(xs[column], xs[column + 1]);
                level[edge][column] |= rule.from.0 <= middle && middle <= rule.to.0;
            }
        }
        Some(Self { xs, ys, upright, level })
    }

    /// The cell that a point lies in, as row and column.
    fn cell_at(&self, x: f64, y: f64) -> Option<(usize, usize)> {
        let column = self.xs.partition_point(|edge| *edge <= x).checked_sub(1)?;
        let row = self.ys.partition_point(|edge| *edge >= y).checked_sub(1)?;
        (column + 1 < self.xs.len() && row + 1 < self.ys.len()).then(|| self.origin(row, column))
    }

    /// The upper left cell of the merged cells that this one belongs to.
    fn origin(&self, mut row: usize, mut column: usize) -> (usize, usize) {
        while column > 0 && !self.upright[row][column] {
            column -= 1;
        }
        while row > 0 && !self.level[row][column] {
            row -= 1;
        }
        (row, column)
    }

    /// Takes the characters inside; `None` when the lines are not those of a table.
    fn take_table(&self, glyphs: &mut Vec<Glyph>) -> Option<RuledTable> {
        let (rows, columns) = (self.ys.len() - 1, self.xs.len() - 1);
        let place = |glyph: &Glyph| self.cell_at(f64::midpoint(glyph.x, glyph.right), glyph.y + 0.3 * glyph.size);
        let mut inside: Vec<Vec<Vec<Glyph>>> = vec![vec![Vec::new(); columns]; rows];
        for glyph in glyphs.iter() {
            if let Some((row, column)) = place(glyph) {
                inside[row][column].push(glyph.clone());
            }
        }
        let mut heights = vec![vec![Vec::new(); columns]; rows];
        let mut cells = vec![vec![Cell::default(); columns]; rows];
        for row in 0..rows {
            for column in 0..columns {
                let lines = lines(std::mem::take(&mut inside[row][column]));
                heights[row][column] = lines.iter().map(|line| line.y.round() as i64).collect();
                let mut text = String::new();
                for line in &lines {
                    join_wrapped(&mut text, &line.text());
                }
                let strong = !lines.is_empty() && lines.iter().all(super::lines::Line::bold);
                cells[row][column] = Cell { text, strong, spanned: false };
            }
        }
        let used = (0..columns).filter(|column| cells.iter().any(|row| !row[*column].text.is_empty())).count();
        if used < 2 || self.rows_without_lines(&heights) {
            return None;
        }
        glyphs.retain(|glyph| place(glyph).is_none());
        let rows = (0..rows)
            .map(|row| {
                (0..columns)
                    .map(|column| {
                        let origin = self.origin(row, column);
                        Cell { spanned: origin.1 < column, ..cells[origin.0][origin.1].clone() }
                    })
                    .collect()
            })
            .collect();
        Some(RuledTable { top: self.ys[0], columns: self.xs.clone(), rows })
    }

    /// Lines around a head and a body only: the rows of the body have to be found by their places.
    fn rows_without_lines(&self, heights: &[Vec<Vec<i64>>]) -> bool {
        self.ys.len() <= 3
            && heights.iter().any(|row| {
                let long: Vec<&Vec<i64>> = row.iter().filter(|lines| lines.len() >= 3).collect();
                long.len() >= 2 && long.windows(2).all(|pair| pair[0] == pair[1])
            })
    }
}

/// Values in ascending order, those near to one another as one.
fn clusters(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let mut found: Vec<f64> = Vec::new();
    for value in values {
        if found.last().is_none_or(|last| value - last > NEAR) {
            found.push(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(x0: f64, y0: f64, x1: f64, y1: f64) -> Rule {
        Rule { from: (x0, y0), to: (x1, y1) }
    }

    #[test]
    fn cells_without_a_line_between_them_are_one() {
        let horizontal = [edge(0.0, 0.0, 100.0, 0.0), edge(50.0, 20.0, 100.0, 20.0), edge(0.0, 40.0, 100.0, 40.0)];
        let vertical = [edge(0.0, 0.0, 0.0, 40.0), edge(50.0, 0.0, 50.0, 40.0), edge(100.0, 0.0, 100.0, 40.0)];
        let grid = Grid::new(&horizontal, &vertical).unwrap();
        assert_eq!(grid.cell_at(10.0, 30.0), Some((0, 0)));
        assert_eq!(grid.cell_at(10.0, 10.0), Some((0, 0)), "the left cell reaches down");
        assert_eq!(grid.cell_at(60.0, 10.0), Some((1, 1)));
        assert_eq!(grid.cell_at(110.0, 10.0), None);
    }

    #[test]
    fn separate_boxes_are_separate() {
        let far = |x: f64| {
            (
                [edge(x, 0.0, x + 20.0, 0.0), edge(x, 9.0, x + 20.0, 9.0)],
                [edge(x, 0.0, x, 9.0), edge(x + 20.0, 0.0, x + 20.0, 9.0)],
            )
        };
        let (a, b) = (far(0.0), far(200.0));
        assert_eq!(connected(&[a.0, b.0].concat(), &[a.1, b.1].concat()).len(), 2);
    }
}
