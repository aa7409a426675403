//! Rows with named columns from CSV, XLSX and JSON.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::knowledge::{FILE_MAX, ReadError, grids, text};

/// A table of records.
#[derive(Debug, Default)]
pub struct Source {
    /// Column names as the file writes them.
    columns: Vec<String>,
    /// The same in lower case with `_`.
    names: Vec<String>,
    /// The rows.
    pub rows: Vec<SourceRow>,
    /// A `;` file: its numbers may use decimal commas.
    pub semicolons: bool,
    /// What the reader has to tell.
    pub notes: Vec<String>,
}

/// A row.
#[derive(Debug, Default)]
pub struct SourceRow {
    /// Line, row or position in the file, from 1.
    pub line: usize,
    /// Values by column.
    values: Vec<String>,
    /// Reviews inside of a JSON record.
    pub reviews: Vec<Value>,
}

impl SourceRow {
    /// The value in a column, empty when there is none.
    pub fn get(&self, column: Option<usize>) -> &str {
        column.and_then(|column| self.values.get(column)).map_or("", String::as_str)
    }
}

impl Source {
    /// Position of the first of these names that is a column.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|other| other == name))
    }

    /// Position of a column that the records cannot do without.
    pub fn required(&self, name: &str, kind: &'static str, names: &[&str]) -> Result<Option<usize>, ReadError> {
        self.column(names).map(Some).ok_or_else(|| ReadError::MissingColumn {
            name: name.to_owned(),
            kind,
            missing: names[0].to_owned(),
            found: if self.columns.is_empty() { "none".to_owned() } else { self.columns.join(", ") },
        })
    }

    /// Column names as the file writes them.
    pub fn shown_columns(&self) -> &[String] {
        &self.columns
    }

    /// Column names in lower case with `_`, and their positions.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.names.iter().map(String::as_str).enumerate()
    }
}

/// `Variant SKU`, `variantSku` and `variant-sku` are one name.
fn normalise(name: &str) -> String {
    let mut normal = String::new();
    let mut last_lower = false;
    for c in name.trim().chars() {
        if c.is_uppercase() && last_lower {
            normal.push('_');
        }
        last_lower = c.is_lowercase() || c.is_ascii_digit();
        if c.is_alphanumeric() || c == '.' {
            normal.extend(c.to_lowercase());
        } else if !normal.ends_with('_') && !normal.is_empty() {
            normal.push('_');
        }
    }
    normal.trim_end_matches('_').to_owned()
}

/// Whether a file of this name can hold records at all.
pub fn may_hold_records(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    matches!(extension.as_str(), "csv" | "tsv" | "xlsx" | "xlsm" | "json" | "jsonl" | "ndjson")
}

/// The first table of a file; further sheets are mentioned in its notes.
pub fn read(name: &str, bytes: &[u8]) -> Result<Source, ReadError> {
    let mut sources = read_all(name, bytes)?.into_iter();
    let Some(mut source) = sources.next() else {
        let hint = "check that you chose the right file".to_owned();
        return Err(ReadError::NoText { name: name.to_owned(), hint });
    };
    for other in sources {
        if other.names == source.names {
            source.rows.extend(other.rows);
        } else {
            source.notes.push("a further sheet with other columns was left out".to_owned());
        }
    }
    Ok(source)
}

/// All tables of a file: the sheets of a workbook, or one.
pub fn read_all(name: &str, bytes: &[u8]) -> Result<Vec<Source>, ReadError> {
    if bytes.len() > FILE_MAX {
        return Err(ReadError::TooLarge { name: name.to_owned(), detail: format!("more than {} MB", FILE_MAX >> 20) });
    }
    if bytes.starts_with(b"PK\x03\x04") {
        let grids = grids::read_xlsx_values(name, bytes, &mut Vec::new())?;
        return Ok(grids.into_iter().filter(|grid| !grid.rows.is_empty()).map(from_grid).collect());
    }
    let text = text::decode(bytes);
    if text.trim_start().starts_with(['{', '[']) {
        return from_json(name, &text).map(|source| vec![source]);
    }
    let mut source = from_grid(grids::read_csv(name, &text)?);
    source.semicolons = grids::delimiter(&text) == b';';
    Ok(vec![source])
}

fn from_grid(grid: grids::Grid) -> Source {
    let mut rows = grid.rows.into_iter().peekable();
    // Titles above the header of a sheet.
    let mut skipped = 0;
    while skipped < 5
        && rows.peek().is_some_and(|row| row.cells.iter().filter(|cell| !cell.text.is_empty()).count() == 1)
    {
        let Some(title) = rows.next() else { break };
        skipped += 1;
        if rows.peek().is_none() {
            let columns: Vec<String> = title.cells.into_iter().map(|cell| cell.text).collect();
            let names = columns.iter().map(|name| normalise(name)).collect();
            return Source { columns, names, ..Source::default() };
        }
    }
    let columns: Vec<String> =
        rows.next().map(|row| row.cells.into_iter().map(|cell| cell.text).collect()).unwrap_or_default();
    let names = columns.iter().map(|name| normalise(name)).collect();
    let rows = rows
        .map(|row| SourceRow {
            line: row.line,
            values: row.cells.into_iter().map(|cell| cell.text).collect(),
            reviews: Vec::new(),
        })
        .collect();
    Source { columns, names, rows, ..Source::default() }
}

fn from_json(name: &str, text: &str) -> Result<Source, ReadError> {
    let damaged = |error: serde_json::Error, line: Option<usize>| {
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        ReadError::Damaged { name: name.to_owned(), format: "JSON", detail: format!("{place}{error}") }
    };
    let records: Vec<(usize, Value)> = match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(records)) => records.into_iter().enumerate().map(|(index, value)| (index + 1, value)).collect(),
        Ok(Value::Object(fields)) => match list_field(&fields) {
            Some(key) => match fields.into_iter().find(|(name, _)| *name == key) {
                Some((_, Value::Array(records))) => {
                    records.into_iter().enumerate().map(|(index, value)| (index + 1, value)).collect()
                }
                _ => Vec::new(),
            },
            None => vec![(1, Value::Object(fields))],
        },
        Ok(_) => Vec::new(),
        Err(whole)
            if text.lines().filter(|line| !line.trim().is_empty()).count() < 2
                || text.trim_start().starts_with('[') =>
        {
            return Err(damaged(whole, None));
        }
        Err(_) => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            lines
                .map(|(index, line)| {
                    let value = serde_json::from_str(line).map_err(|error| damaged(error, Some(index + 1)))?;
                    Ok((index + 1, value))
                })
                .collect::<Result<_, ReadError>>()?
        }
    };
    if records.len() > grids::ROWS_MAX {
        return Err(ReadError::TooLarge {
            name: name.to_owned(),
            detail: format!("more than {} records", grids::ROWS_MAX),
        });
    }
    Ok(from_objects(records))
}

/// The field that holds the records of `{"products": [...], "total": 30}`.
fn list_field(fields: &Map<String, Value>) -> Option<String> {
    let is_list =
        |value: &Value| value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_object));
    let usual = ["products", "items", "orders", "reviews", "events", "data", "results", "questions", "faq"];
    if fields.contains_key("sku") || (fields.contains_key("title") && fields.contains_key("price")) {
        return None;
    }
    usual.iter().find(|key| fields.get(**key).is_some_and(is_list)).map(|key| (*key).to_owned())
}

fn from_objects(records: Vec<(usize, Value)>) -> Source {
    let mut source = Source::default();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for (line, record) in records {
        let Value::Object(fields) = record else { continue };
        let mut row = SourceRow { line, ..SourceRow::default() };
        let mut flat = Vec::new();
        for (key, value) in fields {
            match value {
                Value::Array(reviews) if key == "reviews" => row.reviews = reviews,
                value => flatten(key, value, &mut flat, 0),
            }
        }
        for (key, value) in flat {
            let normal = normalise(&key);
            let position = *positions.entry(normal.clone()).or_insert_with(|| {
                source.columns.push(key);
                source.names.push(normal);
                source.names.len() - 1
            });
            if row.values.len() <= position {
                row.values.resize(position + 1, String::new());
            }
            row.values[position] = value;
        }
        source.rows.push(row);
    }
    source
}

/// `dimensions: {width: 3}` becomes `dimensions.width`, lists become `a;b`.
fn flatten(key: String, value: Value, flat: &mut Vec<(String, String)>, depth: usize) {
    if flat.len() >= 200 {
        return;
    }
    match value {
        Value::Null => flat.push((key, String::new())),
        Value::String(text) => flat.push((key, text)),
        Value::Bool(value) => flat.push((key, if value { "yes" } else { "no" }.to_owned())),
        Value::Number(number) => flat.push((key, number.to_string())),
        Value::Object(fields) if key == "attributes" => {
            let pairs = fields.into_iter().map(|(name, value)| format!("{name}={}", plain(&value)));
            flat.push((key, pairs.collect::<Vec<_>>().join(";")));
        }
        Value::Object(fields) if depth < 2 => {
            for (inner, value) in fields {
                flatten(format!("{key}.{inner}"), value, flat, depth + 1);
            }
        }
        Value::Array(values) => {
            let items: Vec<String> = values.iter().map(item).filter(|text| !text.is_empty()).collect();
            flat.push((key, items.join(";")));
        }
        Value::Object(_) => {}
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Object(_) | Value::Array(_) => String::new(),
        other => other.to_string(),
    }
}

/// An element of a list; order lines `{"sku": "A", "quantity": 2}` become `A x2`.
fn item(value: &Value) -> String {
    let Value::Object(fields) = value else { return plain(value) };
    let field = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).map(plain);
    match field(&["sku", "item_id", "product_id", "id"]) {
        Some(sku) => format!("{sku} x{}", field(&["quantity", "qty", "count"]).unwrap_or_else(|| "1".to_owned())),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_however_they_are_written() {
        for name in ["Variant SKU", "variantSku", "variant-sku", " VARIANT_SKU "] {
            assert_eq!(normalise(name), "variant_sku", "{name}");
        }
        assert_eq!(normalise("Body (HTML)"), "body_html");
        assert_eq!(normalise("商品 编号"), "商品_编号");
    }

    #[test]
    fn json_records_become_rows() {
        let text = r#"{"total":1,"products":[{"sku":"A","dims":{"w":3},"tags":["x","y"],"reviews":[{"rating":5}]}]}"#;
        let source = from_json("a.json", text).unwrap();
        assert_eq!(source.rows[0].get(source.column(&["dims.w"])), "3");
        assert_eq!(source.rows[0].get(source.column(&["tags"])), "x;y");
        assert_eq!(source.rows[0].reviews.len(), 1);
        let lines = from_json("a.jsonl", "{\"a\":1}\n\n{\"a\":2}\n").unwrap();
        assert_eq!((lines.rows.len(), lines.rows[1].line), (2, 3));
        let error = from_json("a.jsonl", "{\"a\":1}\n{\"a\":\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
