//! CSV and XLSX as grids of text: what a person sees in each cell. Documents and records are both read from these.

use std::{collections::BTreeMap, io::Cursor};

use calamine::{DataRef, ExcelDateTime, Reader as _, SheetVisible, Xlsx, XlsxError};

use super::{
    Document, ReadError,
    archive::Archive,
    builder::{Builder, squeeze},
    tables::{Cell, Table},
};

/// More rows than this are not a document that somebody wrote.
pub const ROWS_MAX: usize = 200_000;
/// Cells further to the right are left out.
const COLUMNS_MAX: usize = 256;
const CELLS_MAX: usize = 4_000_000;

/// A sheet or a CSV file.
#[derive(Debug, Default)]
pub struct Grid {
    /// The sheet's name, empty for CSV.
    pub name: String,
    /// The rows that hold text, from the top.
    pub rows: Vec<Row>,
}

/// A row of a grid.
#[derive(Debug, Default)]
pub struct Row {
    /// Its line or row number, from 1.
    pub line: usize,
    /// Its cells from the left.
    pub cells: Vec<Cell>,
}

impl Row {
    fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.text.is_empty())
    }

    fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.text.is_empty()).count()
    }
}

/// Reads CSV with the delimiter that it uses (`,`, `;`, tab or `|`).
pub fn read_csv(name: &str, text: &str) -> Result<Grid, ReadError> {
    if super::text::is_binary(text) {
        return Err(ReadError::Unsupported { name: name.to_owned(), detail: "it is not text".to_owned() });
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let mut grid = Grid::default();
    let mut cells = 0;
    for record in reader.records() {
        let record = record.map_err(|error| ReadError::Damaged {
            name: name.to_owned(),
            format: "CSV",
            detail: error.to_string(),
        })?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        let row = Row { line, cells: record.iter().take(COLUMNS_MAX).map(Cell::new).collect() };
        cells += row.cells.len();
        if !row.is_empty() {
            grid.rows.push(row);
        }
        check_size(name, grid.rows.len(), cells)?;
    }
    Ok(grid)
}

fn check_size(name: &str, rows: usize, cells: usize) -> Result<(), ReadError> {
    if rows > ROWS_MAX || cells > CELLS_MAX {
        let detail = format!("more than {ROWS_MAX} rows or {CELLS_MAX} cells");
        return Err(ReadError::TooLarge { name: name.to_owned(), detail });
    }
    Ok(())
}

/// The delimiter that cuts the first lines into the same number of columns, and into the most of them.
pub fn delimiter(text: &str) -> u8 {
    let end = text.char_indices().nth(64 * 1024).map_or(text.len(), |(position, _)| position);
    let sample = &text[..end];
    let score = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(sample.as_bytes());
        let widths: Vec<usize> = reader.records().take(30).flatten().map(|record| record.len()).collect();
        let header = widths.first().copied().unwrap_or(0);
        let alike = widths.iter().filter(|width| **width == header).count();
        if header < 2 { (0, 0) } else { (alike * 100 / widths.len(), header) }
    };
    // The first of equals wins, and the comma stands first.
    let mut best = (b',', score(b','));
    for other in [b';', b'\t', b'|'] {
        let score = score(other);
        if score.0 > best.1.0.max(60) || (score.0 >= 60 && score.0 == best.1.0 && score.1 > best.1.1) {
            best = (other, score);
        }
    }
    best.0
}

/// Reads the visible sheets of a workbook as a person sees them; what is left out is added to `dropped`.
pub fn read_xlsx(name: &str, bytes: &[u8], dropped: &mut Vec<String>) -> Result<Vec<Grid>, ReadError> {
    read_workbook(name, bytes, dropped, shown)
}

/// Reads the visible sheets of a workbook with numbers as they are stored, so that no price is rounded.
pub fn read_xlsx_values(name: &str, bytes: &[u8], dropped: &mut Vec<String>) -> Result<Vec<Grid>, ReadError> {
    read_workbook(name, bytes, dropped, stored)
}

/// Turns a value and its number format into text.
type Show = fn(&DataRef<'_>, &str) -> String;

fn read_workbook(name: &str, bytes: &[u8], dropped: &mut Vec<String>, show: Show) -> Result<Vec<Grid>, ReadError> {
    Archive::open(name, "XLSX", bytes)?.check_contents()?;
    let refuse = |error: XlsxError| match error {
        XlsxError::Password => ReadError::Encrypted { name: name.to_owned() },
        other => ReadError::Damaged { name: name.to_owned(), format: "XLSX", detail: other.to_string() },
    };
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(refuse)?;
    let sheets: Vec<_> = workbook.sheets_metadata().to_vec();
    let mut grids = Vec::new();
    let (mut rows, mut cells) = (0, 0);
    for sheet in sheets.into_iter().take(500) {
        if sheet.visible != SheetVisible::Visible {
            dropped.push(format!("the hidden sheet {:?}", sheet.name));
            continue;
        }
        let mut grid = match read_sheet(name, &mut workbook, &sheet.name, &mut cells, show) {
            Ok(grid) => grid,
            Err(SheetError::Refused(error)) => return Err(error),
            Err(SheetError::Xlsx(XlsxError::NotAWorksheet(_) | XlsxError::WorksheetNotFound(_))) => continue,
            Err(SheetError::Xlsx(error)) => return Err(refuse(error)),
        };
        if let Ok(merged) = workbook.merge_cells_by_sheet_name(&sheet.name) {
            fill_merged(&mut grid, &merged);
        }
        rows += grid.rows.len();
        check_size(name, rows, cells)?;
        grids.push(grid);
    }
    Ok(grids)
}

enum SheetError {
    Refused(ReadError),
    Xlsx(XlsxError),
}

impl From<XlsxError> for SheetError {
    fn from(error: XlsxError) -> Self {
        Self::Xlsx(error)
    }
}

fn read_sheet(
    name: &str,
    workbook: &mut Xlsx<Cursor<&[u8]>>,
    sheet: &str,
    cells: &mut usize,
    show: Show,
) -> Result<Grid, SheetError> {
    let mut reader = workbook.worksheet_cells_reader(sheet)?;
    let mut rows: BTreeMap<u32, Vec<Cell>> = BTreeMap::new();
    while let Some((cell, style)) = reader.next_cell_with_style_id()? {
        let (row, column) = cell.get_position();
        let column = column as usize;
        let style = reader.styles().get(style);
        let format =
            style.and_then(|style| style.number_format.as_ref()).map_or("General", |format| &format.format_code);
        let text = squeeze(&show(cell.get_value(), format));
        if text.is_empty() || column >= COLUMNS_MAX {
            continue;
        }
        let strong = style.and_then(|style| style.font.as_ref()).is_some_and(calamine::Font::is_bold);
        let row = rows.entry(row).or_default();
        if row.len() <= column {
            *cells += column + 1 - row.len();
            row.resize(column + 1, Cell::default());
        }
        row[column] = Cell { text, strong, spanned: false };
        check_size(name, rows.len(), *cells).map_err(SheetError::Refused)?;
    }
    let rows = rows.into_iter().map(|(row, cells)| Row { line: row as usize + 1, cells }).collect();
    Ok(Grid { name: sheet.to_owned(), rows })
}

/// A merged cell's text holds for each of its cells.
fn fill_merged(grid: &mut Grid, merged: &[calamine::Dimensions]) {
    for area in merged.iter().take(10_000) {
        let (top, left) = (area.start.0 as usize + 1, area.start.1 as usize);
        let (bottom, right) = (area.end.0 as usize + 1, (area.end.1 as usize).min(COLUMNS_MAX - 1));
        let first = grid.rows.partition_point(|row| row.line < top);
        let Some(text) =
            grid.rows.get(first).filter(|row| row.line == top).and_then(|row| row.cells.get(left)).cloned()
        else {
            continue;
        };
        // A title across the whole table stays one cell.
        if top == bottom && right > left {
            continue;
        }
        for row in grid.rows[first..].iter_mut().take_while(|row| row.line <= bottom).take(1_000) {
            if row.cells.len() <= right {
                row.cells.resize(right + 1, Cell::default());
            }
            for (column, cell) in row.cells[left..=right].iter_mut().enumerate() {
                *cell = Cell { spanned: column > 0, ..text.clone() };
            }
        }
    }
}

/// A cell's value as its number format shows it.
fn shown(value: &DataRef<'_>, format: &str) -> String {
    match value {
        DataRef::Int(value) => format_number(*value as f64, format),
        DataRef::Float(value) => format_number(*value, format),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
        DataRef::DateTime(value) => format_date(*value),
        DataRef::Error(_) | DataRef::Empty => String::new(),
    }
}

/// A cell's value as it is stored; a currency sign in its format is kept.
fn stored(value: &DataRef<'_>, format: &str) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => {
            let sign = format_number(*number, format).chars().find(|c| "€$£¥￥₹₩".contains(*c));
            format!("{}{}", sign.map(String::from).unwrap_or_default(), general(*number))
        }
        other => shown(other, format),
    }
}

fn format_date(value: ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
    let serial = value.as_f64();
    let time =
        if second == 0 { format!("{hour:02}:{minute:02}") } else { format!("{hour:02}:{minute:02}:{second:02}") };
    if value.is_duration() {
        let minutes = (serial * 24.0 * 60.0).round() as i64;
        format!("{}:{:02}", minutes / 60, minutes % 60)
    } else if serial < 1.0 {
        time
    } else if serial.fract() == 0.0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02} {time}")
    }
}

/// The parts of a number format that matter to a reader: text before and after, decimals, thousands, per cent.
fn format_number(value: f64, format: &str) -> String {
    let section = format.split(';').next().unwrap_or(format);
    let (mut before, mut after, mut pattern) = (String::new(), String::new(), String::new());
    let mut chars = section.chars().peekable();
    while let Some(c) = chars.next() {
        let mut literal = String::new();
        match c {
            '0' | '#' | '?' | '.' | ',' => {
                // A comma or point after the digits belongs to the pattern only between digits.
                pattern.push(c);
                continue;
            }
            '"' => literal.extend(chars.by_ref().take_while(|c| *c != '"')),
            '\\' => literal.extend(chars.next()),
            '_' | '*' => {
                chars.next();
            }
            '[' => {
                let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                if let Some(currency) = inside.strip_prefix('$') {
                    literal.push_str(currency.split('-').next().unwrap_or(""));
                }
            }
            'E' | 'G' | '@' => return general(value),
            other => literal.push(other),
        }
        if pattern.is_empty() { before.push_str(&literal) } else { after.push_str(&literal) }
    }
    if pattern.is_empty() {
        return general(value);
    }
    let percent = before.contains('%') || after.contains('%');
    let value = if percent { value * 100.0 } else { value };
    let (whole, fraction) = pattern.split_once('.').unwrap_or((&pattern, ""));
    let fixed = fraction.chars().filter(|c| *c == '0').count();
    let most = fraction.chars().filter(|c| matches!(c, '0' | '#' | '?')).count();
    let mut digits = format!("{:.most$}", value.abs());
    while most > 0 && digits.ends_with('0') && digits.len() - digits.find('.').unwrap_or(0) - 1 > fixed {
        digits.pop();
    }
    let digits = digits.trim_end_matches('.');
    let digits = if whole.contains(',') { with_thousands(digits) } else { digits.to_owned() };
    format!("{}{before}{digits}{after}", if value < 0.0 { "-" } else { "" })
}

fn with_thousands(digits: &str) -> String {
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = String::new();
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or(grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

/// Ten significant digits and no zeros behind them, so that sums of decimals look as in a spreadsheet.
fn general(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let decimals = (9 - value.abs().log10().floor() as i32).clamp(0, 15) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Turns grids into a document: each sheet is a heading and the caption of its tables.
pub fn into_document(grids: Vec<Grid>, dropped: &[String]) -> Document {
    let mut builder = Builder::default();
    for what in dropped {
        builder.dropped(what);
    }
    for grid in grids.into_iter().filter(|grid| !grid.rows.is_empty()) {
        let unnamed = is_default_name(&grid.name);
        let caption = if unnamed { String::new() } else { grid.name.clone() };
        if unnamed {
            builder.end_heading(1);
        } else {
            builder.heading(1, &grid.name);
        }
        for part in split_tables(grid.rows) {
            add_part(&mut builder, part, &caption);
        }
    }
    builder.finish()
}

fn is_default_name(name: &str) -> bool {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
    matches!(
        digits.to_lowercase().as_str(),
        "" | "sheet" | "工作表" | "表" | "tabelle" | "feuil" | "blad" | "hoja" | "foglio"
    )
}

/// Empty rows part tables, unless what follows has no header of its own (a gap within one table).
fn split_tables(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut parts: Vec<Vec<Row>> = Vec::new();
    let mut last_line = None;
    for row in rows {
        let gap = last_line.is_none_or(|last| row.line > last + 1);
        last_line = Some(row.line);
        let new_table = gap
            && parts.last().is_none_or(|part| {
                let strong = row.cells.iter().all(|cell| cell.strong || cell.text.is_empty());
                let width = part.iter().map(Row::filled).max().unwrap_or(0);
                strong || row.filled() != width
            });
        match parts.last_mut() {
            Some(part) if !new_table => part.push(row),
            _ => parts.push(vec![row]),
        }
    }
    parts
}

fn add_part(builder: &mut Builder, rows: Vec<Row>, caption: &str) {
    let width = rows.iter().map(Row::filled).max().unwrap_or(0);
    if width <= 1 {
        for row in rows {
            for cell in row.cells {
                builder.paragraph(&cell.text);
            }
        }
        return;
    }
    // Lines with a single cell above the table are its title and remarks.
    let mut caption = caption.to_owned();
    let mut rows = rows.into_iter().peekable();
    while let Some(row) = rows.next_if(|row| row.filled() == 1) {
        let Some(cell) = row.cells.into_iter().find(|cell| !cell.text.is_empty()) else { continue };
        if cell.strong || cell.text.chars().count() <= 40 {
            caption.clone_from(&cell.text);
        } else {
            builder.paragraph(&cell.text);
        }
    }
    let rows: Vec<Vec<Cell>> = rows.map(|row| row.cells).collect();
    builder.table(Table { caption, rows, first_row_is_header: false });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found() {
        assert_eq!(delimiter("a,b\n1,2\n"), b',');
        assert_eq!(delimiter("a;b;c\n1,5;2;3\n"), b';');
        assert_eq!(delimiter("a\tb\n1, 2, 3\t2\n"), b'\t');
        assert_eq!(delimiter("question\nx, y\n"), b',');
        assert_eq!(delimiter("Title;Text\nA;one, two, three\nB;four, five\n"), b';');
    }

    #[test]
    fn numbers_look_as_in_the_spreadsheet() {
        for (value, format, seen) in [
            (45.0, "General", "45"),
            (0.1 + 0.2, "General", "0.3"),
            (0.15, "0%", "15%"),
            (0.155, "0.0%", "15.5%"),
            (12.5, "\"€\"0.00", "€12.50"),
            (1234.5, "#,##0.00 [$€-407]", "1,234.50 €"),
            (1200.0, "[$$-409]#,##0", "$1,200"),
            (7.0, "0\" days\"", "7 days"),
            (-3.0, "0.0", "-3.0"),
            (2.5, "0.##", "2.5"),
        ] {
            assert_eq!(format_number(value, format), seen, "{value} as {format}");
        }
    }

    #[test]
    fn quoted_cells_keep_their_commas() {
        let grid = read_csv("a.csv", "q,a\n\"one, two\",\"say \"\"hi\"\"\"\n\n,\nx,y\n").unwrap();
        assert_eq!(grid.rows.len(), 3);
        assert_eq!(grid.rows[1].cells[1].text, "say \"hi\"");
        assert_eq!((grid.rows[1].line, grid.rows[2].line), (2, 5));
    }
}
