//! From lines to a document: reading order, headings by size and weight, wrapped lines joined to paragraphs, tables
//! found by the places of their cells, page headers and footers left out.

use std::collections::HashMap;

use crate::{
    knowledge::{
        Document,
        builder::{Builder, INNER_HEADING, is_bold_heading},
        tables::{Cell, Table},
        text::{join_wrapped, list_item},
    },
    language::is_han,
};

use super::{
    content::Page,
    lines::{Line, lines},
    rules::{RuledTable, take_tables},
    unruled::{split_columns, unruled_table, width_in_letters},
};

/// A part of a page in reading order.
#[derive(Debug)]
enum Part {
    /// A line, and the right end of the column that it stands in, if it stands in one.
    Line(Line, Option<f64>),
    Table(PlacedTable),
}

/// A table and the places of its columns, by which its continuation on the next page is known.
#[derive(Debug)]
pub struct PlacedTable {
    /// Where its columns begin, and where the last one ends.
    pub columns: Vec<f64>,
    /// Rows from the top.
    pub rows: Vec<Vec<Cell>>,
}

/// Puts the pages together; `title` is what the file's properties say.
pub fn read(pages: Vec<Page>, title: Option<String>) -> Document {
    let body_size = body_size(&pages);
    let mut builder = Builder::default();
    if let Some(title) = title {
        builder.title(&title);
    }
    let mut sheets = Vec::new();
    for mut page in pages {
        let tables = take_tables(&mut page);
        sheets.push((page.size.1, lines(page.glyphs), tables));
    }
    if drop_running_lines(&mut sheets) {
        builder.dropped("page headers, footers and numbers");
    }
    let mut parts = Vec::new();
    for (_, lines, tables) in sheets {
        append_page(&mut parts, page_parts(lines, tables));
    }
    let mut writer = Writer::new(builder, body_size, &parts);
    for part in parts {
        writer.part(part);
    }
    writer.flush();
    writer.builder.finish()
}

/// The size of most characters.
fn body_size(pages: &[Page]) -> f64 {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for glyph in pages.iter().flat_map(|page| &page.glyphs) {
        *counts.entry(half_points(glyph.size)).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(size, count)| (*count, -*size)).map_or(10.0, |(size, _)| size as f64 / 2.0)
}

fn half_points(size: f64) -> i64 {
    (size * 2.0).round() as i64
}

/// Removes page numbers, and what stands at the same end of several pages; its first appearance at the top stays, for
/// it may be the title. True when there was any.
fn drop_running_lines(sheets: &mut [(f64, Vec<Line>, Vec<RuledTable>)]) -> bool {
    let key = |line: &Line, top: bool| {
        let text: String = line.text().chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        (text, top)
    };
    let edge = |height: f64, line: &Line| {
        if line.y > height * 0.88 { Some(true) } else { (line.y < height * 0.10).then_some(false) }
    };
    let mut seen: HashMap<(String, bool), usize> = HashMap::new();
    for (height, lines, _) in sheets.iter() {
        for line in lines {
            if let Some(top) = edge(*height, line) {
                *seen.entry(key(line, top)).or_default() += 1;
            }
        }
    }
    let pages = sheets.len();
    let mut first: HashMap<(String, bool), bool> = HashMap::new();
    let mut dropped = false;
    for (height, lines, _) in sheets.iter_mut() {
        lines.retain(|line| {
            let Some(top) = edge(*height, line) else { return true };
            if is_page_number(&line.text()) {
                dropped = true;
                return false;
            }
            let key = key(line, top);
            let repeated = seen.get(&key).is_some_and(|count| *count >= 2 && *count * 2 >= pages);
            let is_first = first.insert(key, true).is_none();
            let stays = !repeated || (top && is_first);
            dropped |= !stays;
            stays
        });
    }
    dropped
}

fn is_page_number(text: &str) -> bool {
    let rest: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_digit()).collect();
    let words: Vec<&str> =
        rest.split(|c: char| c.is_whitespace() || "-–—/|·.".contains(c)).filter(|word| !word.is_empty()).collect();
    text.bytes().any(|byte| byte.is_ascii_digit())
        && text.chars().count() <= 24
        && words.iter().all(|word| {
            matches!(*word, "page" | "of" | "p" | "第" | "页" | "共" | "第页" | "共页" | "页共" | "seite" | "von")
        })
}

/// A table that goes on at the top of a page is one with that on the page before.
fn append_page(parts: &mut Vec<Part>, page: Vec<Part>) {
    let mut page = page.into_iter().peekable();
    if let (Some(Part::Table(last)), Some(Part::Table(next))) = (parts.last_mut(), page.peek_mut())
        && same_columns(&last.columns, &next.columns)
    {
        let mut rows = std::mem::take(&mut next.rows);
        let same_header = match (last.rows.first(), rows.first()) {
            (Some(a), Some(b)) => a.iter().map(|cell| &cell.text).eq(b.iter().map(|cell| &cell.text)),
            _ => false,
        };
        rows.drain(..usize::from(same_header));
        last.rows.extend(rows);
        page.next();
    }
    parts.extend(page);
}

fn same_columns(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 6.0)
}

fn page_parts(page_lines: Vec<Line>, ruled: Vec<RuledTable>) -> Vec<Part> {
    let mut ruled = ruled;
    ruled.sort_by(|a, b| b.top.total_cmp(&a.top));
    let mut parts = Vec::new();
    let mut rest = page_lines.into_iter().peekable();
    for table in ruled {
        let mut above = Vec::new();
        while let Some(line) = rest.next_if(|line| line.y > table.top) {
            above.push(line);
        }
        parts.extend(line_parts(&above));
        parts.push(Part::Table(PlacedTable { columns: table.columns, rows: table.rows }));
    }
    parts.extend(line_parts(&rest.collect::<Vec<_>>()));
    parts
}

/// Columns of text one after the other, then tables among the lines.
fn line_parts(lines: &[Line]) -> Vec<Part> {
    let mut parts = Vec::new();
    for block in split_columns(lines) {
        let mut position = 0;
        while position < block.lines.len() {
            if let Some((table, length)) = unruled_table(&block.lines[position..]) {
                parts.push(Part::Table(table));
                position += length;
            } else {
                parts.push(Part::Line(block.lines[position].clone(), block.right));
                position += 1;
            }
        }
    }
    parts
}

/// Writes parts into a document.
struct Writer {
    builder: Builder,
    body_size: f64,
    /// Sizes of headings in half points, largest first.
    heading_sizes: Vec<i64>,
    /// Usual distance of two lines in units of their size.
    spacing: f64,
    /// Right end of the widest lines, and that of the column that is being read.
    page_right: f64,
    right: f64,
    text: String,
    last: Option<Line>,
    /// A heading may take several lines.
    heading: String,
    level: u8,
    last_heading: Option<(i64, f64, bool)>,
}

impl Writer {
    fn new(builder: Builder, body_size: f64, parts: &[Part]) -> Self {
        let lines: Vec<&Line> =
            parts.iter().filter_map(|part| if let Part::Line(line, _) = part { Some(line) } else { None }).collect();
        let mut heading_sizes: Vec<i64> =
            lines.iter().filter(|line| line.size > body_size * 1.1).map(|line| half_points(line.size)).collect();
        heading_sizes.sort_unstable_by(|a, b| b.cmp(a));
        heading_sizes.dedup();
        let mut gaps: Vec<f64> = lines
            .windows(2)
            .filter(|pair| half_points(pair[0].size) == half_points(pair[1].size))
            .map(|pair| (pair[0].y - pair[1].y) / pair[0].size.max(1.0))
            .filter(|gap| (0.8..2.6).contains(gap))
            .collect();
        gaps.sort_by(f64::total_cmp);
        let spacing = gaps.get(gaps.len() / 3).copied().unwrap_or(1.4);
        let right = lines.iter().map(|line| line.right()).fold(0.0, f64::max);
        Self {
            builder,
            body_size,
            heading_sizes,
            spacing,
            page_right: right,
            right,
            text: String::new(),
            last: None,
            heading: String::new(),
            level: 1,
            last_heading: None,
        }
    }

    fn part(&mut self, part: Part) {
        match part {
            Part::Line(line, column) => {
                self.right = column.unwrap_or(self.page_right);
                self.line(line);
            }
            Part::Table(table) => {
                self.flush();
                let caption = self.builder.take_caption().unwrap_or_default();
                self.builder.table(Table { caption, rows: table.rows, first_row_is_header: false });
            }
        }
    }

    fn line(&mut self, line: Line) {
        let text = line.text();
        if let Some(level) = self.heading_level(&line, &text) {
            self.heading_line(&line, &text, level);
            return;
        }
        self.flush_heading();
        let item = list_item(&text).is_some() || is_numbered(&text);
        if item || self.last.as_ref().is_some_and(|last| self.breaks(last, &line)) {
            self.flush_text();
        }
        join_wrapped(&mut self.text, &text);
        self.last = Some(line);
    }

    /// The level of a heading: by size, or below all of these when it is bold or numbered like a chapter.
    fn heading_level(&self, line: &Line, text: &str) -> Option<u8> {
        let inner = self.heading_sizes.len().min(6) as u8 + 1;
        if line.size > self.body_size * 1.1 && text.chars().count() <= 120 && !ends_paragraph(text) {
            let position = self.heading_sizes.iter().position(|size| *size == half_points(line.size))?;
            return Some(position.min(6) as u8 + 1);
        }
        // Bold words within a paragraph can fill a line: a heading does not begin in the middle of a sentence.
        let after_sentence =
            self.last.as_ref().is_none_or(|last| ends_paragraph(&last.text()) || self.breaks(last, line));
        if line.bold() && is_bold_heading(text) && after_sentence && list_item(text).is_none() {
            return Some(inner);
        }
        (is_chapter(text) && after_sentence).then_some(inner)
    }

    fn heading_line(&mut self, line: &Line, text: &str, level: u8) {
        self.flush_text();
        let key = (half_points(line.size), line.y, line.bold());
        let goes_on = self.last_heading.is_some_and(|(size, y, bold)| {
            size == key.0 && bold == key.2 && (0.0..1.5 * line.size).contains(&(y - line.y)) && level <= 6
        });
        if !goes_on {
            self.flush_heading();
        }
        join_wrapped(&mut self.heading, text);
        self.level = if level > 7 { INNER_HEADING } else { level };
        self.last_heading = Some(key);
    }

    /// Whether a new paragraph begins between two lines.
    fn breaks(&self, last: &Line, line: &Line) -> bool {
        let gap = last.y - line.y;
        if half_points(last.size) != half_points(line.size) {
            return true;
        }
        let text = line.text();
        if gap <= 0.0 {
            // Next column or page: the sentence goes on.
            return ends_paragraph(&last.text()) || last.right() < self.right * 0.7;
        }
        if gap > (self.spacing * 1.3 + 0.05) * line.size {
            return true;
        }
        let indented = line.x() - last.x() > 0.8 * line.size && ends_paragraph(&last.text());
        // The next word had room, so the line was ended on purpose.
        let letters: usize = text.split_whitespace().next().map_or(0, |word| width_in_letters(word).min(14));
        let letters = if text.chars().next().is_some_and(is_han) { 6 } else { letters };
        let room = self.right - last.right();
        indented || room > (letters as f64 * 0.5 + 1.0) * line.size
    }

    fn flush_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.last = None;
        match list_item(&text) {
            Some(item) => self.builder.list_item(item),
            None if is_numbered(&text) => self.builder.list_item(&text),
            None => self.builder.paragraph(&text),
        }
    }

    fn flush_heading(&mut self) {
        let heading = std::mem::take(&mut self.heading);
        self.builder.heading(self.level, &heading);
        self.last_heading = None;
    }

    fn flush(&mut self) {
        self.flush_text();
        self.flush_heading();
    }
}

fn ends_paragraph(text: &str) -> bool {
    text.ends_with(['.', '!', '?', ':', '。', '！', '？', '：', ';', '；'])
}

/// `1. Unpack`, `2) Plug in`, `3、开机`.
fn is_numbered(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[digits..];
    (1..=2).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") ") || rest.starts_with('、'))
}

/// `第三条 退货`, `二、保修`.
fn is_chapter(text: &str) -> bool {
    let numeral = |c: char| "一二三四五六七八九十百".contains(c);
    let rest = text.trim_start_matches('第');
    let after = rest.trim_start_matches(numeral);
    let marked = after.len() < rest.len()
        && after.starts_with(if text.starts_with('第') { &['条', '章', '节'][..] } else { &['、'][..] });
    marked && text.chars().count() <= 24 && !ends_paragraph(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_numbers_are_known() {
        for text in ["3", "Page 2 of 9", "- 4 -", "第 1 页 共 3 页", "2/7"] {
            assert!(is_page_number(text), "{text}");
        }
        assert!(!is_page_number("30 days") && !is_page_number("Page"));
    }
}
