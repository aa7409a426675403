//! Columns of text and tables without ruled lines, known by the places of their parts alone.

use crate::{
    knowledge::{tables::Cell, text::join_wrapped},
    language::is_han,
};

use super::{
    layout::PlacedTable,
    lines::{Fragment, Line},
};

/// Lines that are read from top to bottom.
#[derive(Debug, Default)]
pub struct Block {
    /// The lines.
    pub lines: Vec<Line>,
    /// Right end of a column, `None` where the lines use the page's whole width.
    pub right: Option<f64>,
}

impl Block {
    fn column(lines: Vec<Line>) -> Self {
        let right = lines.iter().map(Line::right).fold(0.0, f64::max);
        Self { lines, right: Some(right) }
    }
}

/// Where many lines in a row leave the same gap in the middle and have long texts on both sides, the page is set in two
/// columns.
pub fn split_columns(lines: &[Line]) -> Vec<Block> {
    let mut blocks = vec![Block::default()];
    let mut position = 0;
    while position < lines.len() {
        let Some((length, gutter)) = column_block(&lines[position..]) else {
            if let Some(block) = blocks.last_mut() {
                block.lines.push(lines[position].clone());
            }
            position += 1;
            continue;
        };
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for line in &lines[position..position + length] {
            let (a, b): (Vec<Fragment>, Vec<Fragment>) =
                line.fragments.iter().cloned().partition(|fragment| fragment.right <= gutter);
            for (side, fragments) in [(&mut left, a), (&mut right, b)] {
                if !fragments.is_empty() {
                    side.push(Line { fragments, ..*line });
                }
            }
        }
        blocks.extend([Block::column(left), Block::column(right), Block::default()]);
        position += length;
    }
    blocks
}

/// How many lines from the first are set in two columns, and where the gap between these lies.
///
/// The columns need not share their baselines: then a line of the one stands between two of the other.
fn column_block(lines: &[Line]) -> Option<(usize, f64)> {
    let (mut left, mut right) = first_gap(lines)?;
    let mut length = 0;
    let mut sides = [(0usize, 0usize); 2];
    for (index, line) in lines.iter().enumerate() {
        let far = index > 0 && lines[index - 1].y - line.y > 2.2 * line.size;
        let (mut new_left, mut new_right) = (left, right);
        for fragment in &line.fragments {
            if fragment.x < f64::midpoint(left, right) {
                new_left = new_left.max(fragment.right);
            } else {
                new_right = new_right.min(fragment.x);
            }
        }
        if far || new_right - new_left < 0.5 * line.size || line.fragments.len() > 2 {
            break;
        }
        (left, right) = (new_left, new_right);
        length += 1;
        for fragment in &line.fragments {
            let side = &mut sides[usize::from(fragment.x > left)];
            *side = (side.0 + 1, side.1 + width_in_letters(&fragment.text));
        }
    }
    let is_column = |(lines, letters): &(usize, usize)| *lines >= 5 && letters / lines >= 24;
    sides.iter().all(is_column).then(|| (length, f64::midpoint(left, right)))
}

/// The gap between the first two fragments, when they stand beside one another.
fn first_gap(lines: &[Line]) -> Option<(f64, f64)> {
    let first = lines.first()?;
    let beside = match first.fragments.as_slice() {
        [one, other] => [one, other],
        [one] => {
            let next = lines.get(1).filter(|next| next.fragments.len() == 1 && first.y - next.y < 0.97 * first.size)?;
            [one, &next.fragments[0]]
        }
        _ => return None,
    };
    let [a, b] = if beside[0].x <= beside[1].x { beside } else { [beside[1], beside[0]] };
    (a.right < b.x).then_some((a.right, b.x))
}

/// How wide a text is: a Chinese character is as wide as two letters.
pub fn width_in_letters(text: &str) -> usize {
    text.chars().map(|c| if is_han(c) { 2 } else { 1 }).sum()
}

/// A table at the beginning of these lines and how many lines it takes.
pub fn unruled_table(lines: &[Line]) -> Option<(PlacedTable, usize)> {
    if lines.first()?.fragments.len() < 2 {
        return None;
    }
    let near = |a: &Line, b: &Line| a.y - b.y <= 3.2 * a.size.max(b.size);
    let mut length = 1;
    while length < lines.len() && length < 2_000 && near(&lines[length - 1], &lines[length]) {
        length += 1;
    }
    // Columns are what the lines with several parts leave free between them.
    let mut columns: Vec<(f64, f64)> = Vec::new();
    let mut end = 0;
    for (index, line) in lines[..length].iter().enumerate() {
        let merged = merge_columns(&columns, &line.fragments);
        let fits = if line.fragments.len() >= 2 {
            merged.len() >= 2 && (columns.is_empty() || merged.len() >= columns.len().min(2))
        } else {
            merged.len() == columns.len()
        };
        let loses = merged.len() < columns.len();
        if !fits || loses {
            break;
        }
        if line.fragments.len() == 1 && !continues(&lines[..=index], &columns) {
            break;
        }
        columns = merged;
        end = index + 1;
    }
    let several = lines[..end].iter().filter(|line| line.fragments.len() >= 2).count();
    if several < 2 || columns.len() < 2 || !has_aligned_starts(&lines[..end], &columns) {
        return None;
    }
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for line in &lines[..end] {
        add_row(&mut rows, line, &columns);
    }
    let mut edges: Vec<f64> = columns.iter().map(|(left, _)| *left).collect();
    edges.extend(columns.last().map(|(_, right)| *right));
    Some((PlacedTable { columns: edges, rows }, end))
}

/// The columns widened by the parts of a further line; columns that a part bridges become one.
fn merge_columns(columns: &[(f64, f64)], fragments: &[Fragment]) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64)> = columns.to_vec();
    all.extend(fragments.iter().map(|fragment| (fragment.x, fragment.right)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (left, right) in all {
        match merged.last_mut() {
            Some(last) if left < last.1 + 2.0 => last.1 = last.1.max(right),
            _ => merged.push((left, right)),
        }
    }
    merged
}

/// A line with a single part goes on with the row above when it is nearer to it than rows are to one another, or when it
/// stands in a column other than the first.
fn continues(lines: &[Line], columns: &[(f64, f64)]) -> bool {
    let [.., above, line] = lines else { return false };
    let in_first = line.fragments[0].x < columns.first().map_or(0.0, |column| column.1);
    let rows: Vec<&Line> = lines.iter().filter(|line| line.fragments.len() >= 2).collect();
    let row_gap = rows.windows(2).map(|pair| pair[0].y - pair[1].y).fold(0.0, f64::max);
    let gap = above.y - line.y;
    if in_first { gap < 0.8 * row_gap } else { gap <= 1.6 * line.size }
}

/// In most lines the parts begin, end or are centred where those of the other lines do.
fn has_aligned_starts(lines: &[Line], columns: &[(f64, f64)]) -> bool {
    let rows: Vec<&Line> = lines.iter().filter(|line| line.fragments.len() >= 2).collect();
    let aligned = columns.iter().filter(|(left, right)| {
        let inside: Vec<&Fragment> = rows
            .iter()
            .flat_map(|line| &line.fragments)
            .filter(|fragment| fragment.x >= left - 1.0 && fragment.right <= right + 1.0)
            .collect();
        let near = |place: fn(&Fragment, (f64, f64)) -> f64| {
            inside.iter().filter(|fragment| place(fragment, (*left, *right)).abs() < 6.0).count() * 3
                >= inside.len() * 2
        };
        near(|fragment, column| fragment.x - column.0)
            || near(|fragment, column| fragment.right - column.1)
            || near(|fragment, column| f64::midpoint(fragment.x, fragment.right) - f64::midpoint(column.0, column.1))
    });
    aligned.count() >= 2
}

fn add_row(rows: &mut Vec<Vec<Cell>>, line: &Line, columns: &[(f64, f64)]) {
    let column_of = |fragment: &Fragment| columns.iter().rposition(|(left, _)| *left <= fragment.x + 1.0).unwrap_or(0);
    let starts_row =
        line.fragments.len() >= 2 && line.fragments.first().is_some_and(|fragment| column_of(fragment) == 0);
    if starts_row || rows.is_empty() {
        rows.push(vec![Cell::default(); columns.len()]);
    }
    let Some(row) = rows.last_mut() else { return };
    for fragment in &line.fragments {
        let cell = &mut row[column_of(fragment)];
        cell.strong = fragment.bold && (cell.strong || cell.text.is_empty());
        join_wrapped(&mut cell.text, &fragment.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(y: f64, parts: &[(f64, &str)]) -> Line {
        let fragments = parts
            .iter()
            .map(|(x, text)| Fragment {
                x: *x,
                right: x + 5.0 * text.chars().count() as f64,
                bold: false,
                text: (*text).to_owned(),
            })
            .collect();
        Line { y, size: 10.0, fragments }
    }

    #[test]
    fn aligned_parts_are_a_table_and_wrapped_cells_stay_in_their_row() {
        let lines = [
            line(700.0, &[(50.0, "Product"), (200.0, "Time")]),
            line(680.0, &[(50.0, "Cases"), (200.0, "8 months")]),
            line(668.0, &[(200.0, "from sale")]),
            line(648.0, &[(50.0, "Phones"), (200.0, "33 months")]),
            line(610.0, &[(50.0, "After the table there is a paragraph.")]),
        ];
        let (table, length) = unruled_table(&lines).unwrap();
        assert_eq!(length, 4);
        assert_eq!(table.rows.len(), 3);
        assert_eq!(table.rows[1][1].text, "8 months from sale");
    }

    #[test]
    fn two_columns_are_read_one_after_the_other() {
        let text = "a line of text that fills its column";
        let lines: Vec<Line> =
            (0..8).map(|n| line(700.0 - 12.0 * f64::from(n), &[(50.0, text), (320.0, text)])).collect();
        let blocks = split_columns(&lines);
        assert_eq!(blocks.iter().map(|block| block.lines.len()).collect::<Vec<_>>(), [0, 8, 8, 0]);
    }

    #[test]
    fn columns_need_not_share_their_baselines() {
        let text = "a line of text that fills its column";
        let lines: Vec<Line> = (0..12)
            .map(|n| line(700.0 - 6.0 * f64::from(n), &[(if n % 2 == 0 { 320.0 } else { 50.0 }, text)]))
            .collect();
        let blocks = split_columns(&lines);
        assert_eq!(blocks.iter().map(|block| block.lines.len()).collect::<Vec<_>>(), [0, 6, 6, 0]);
    }
}
