//! Reading data sets: CSV with any of the usual separators, JSON lines, JSON arrays and plain lines, each as it is or
//! compressed with gzip. A file that cannot be used is refused with its name and what to do.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::{EvaluationError, Result};

/// The whole text of a file, uncompressed and without a byte order mark.
pub fn read_text(path: &Path) -> Result<String> {
    let fail = |source| EvaluationError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    BufReader::new(open(path)?).read_to_end(&mut bytes).map_err(fail)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        EvaluationError::data(path, format!("is not UTF-8 text ({}): save it as UTF-8", error.utf8_error()))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The file's content, uncompressed when it begins like a gzip file, whatever its name.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let fail = |source| EvaluationError::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(fail)?);
    let compressed = file.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
    Ok(if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Rows with named columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    path: PathBuf,
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads one file: JSON when it begins with a brace or a bracket, else separated values with a header.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let table = match text.trim_start().chars().next() {
            None => {
                return Err(EvaluationError::data(path, "is empty: give a file with a header and at least one row"));
            }
            Some('{' | '[') => from_json(path, &text)?,
            Some(_) => from_csv(path, &text)?,
        };
        if table.rows.is_empty() {
            return Err(EvaluationError::data(path, "has a header and no rows: give at least one row"));
        }
        Ok(table)
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rows, each as long as the header.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Column names.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Position of the column `name` (case does not matter).
    pub fn column(&self, name: &str) -> Result<usize> {
        let wanted = |header: &&String| header.trim().eq_ignore_ascii_case(name.trim());
        self.headers.iter().position(|header| wanted(&header)).ok_or_else(|| {
            let known = self.headers.join(", ");
            EvaluationError::data(&self.path, format!("has no column {name:?}; its columns are: {known}"))
        })
    }

    /// Position of the column `name`, or of the column at `default` when no name is given.
    pub fn column_or(&self, name: Option<&str>, default: usize, what: &str) -> Result<usize> {
        match name {
            Some(name) => self.column(name),
            None if default < self.headers.len() => Ok(default),
            None => Err(EvaluationError::data(
                &self.path,
                format!("has only {} columns, so none for the {what}: add one with a header", self.headers.len()),
            )),
        }
    }

    /// The number in a cell.
    pub fn number(&self, row: usize, column: usize) -> Result<f64> {
        let cell = self.rows[row][column].trim();
        cell.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| {
            let name = &self.headers[column];
            EvaluationError::data(&self.path, format!("row {}, column {name:?}: {cell:?} is not a number", row + 1))
        })
    }
}

fn from_csv(path: &Path, text: &str) -> Result<Table> {
    let first = text.lines().next().unwrap_or_default();
    let count = |separator: char| first.matches(separator).count();
    let separator = [';', '\t'].into_iter().filter(|c| count(*c) > count(',')).max_by_key(|c| count(*c)).unwrap_or(',');
    let mut reader = csv::ReaderBuilder::new().delimiter(separator as u8).flexible(true).from_reader(text.as_bytes());
    let bad = |error: csv::Error| EvaluationError::data(path, format!("cannot be read as CSV: {error}"));
    let headers: Vec<String> = reader.headers().map_err(bad)?.iter().map(|name| name.trim().to_owned()).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let mut row: Vec<String> = record.map_err(bad)?.iter().map(str::to_owned).collect();
        if row.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        row.resize(headers.len(), String::new());
        rows.push(row);
    }
    Ok(Table { path: path.to_owned(), headers, rows })
}

fn from_json(path: &Path, text: &str) -> Result<Table> {
    let objects = json_objects(path, text)?;
    let mut headers: Vec<String> = Vec::new();
    for name in objects.iter().flat_map(|object| object.keys()) {
        if !headers.iter().any(|known| known == name) {
            headers.push(name.clone());
        }
    }
    let rows = objects
        .iter()
        .map(|object| headers.iter().map(|name| object.get(name).map(plain).unwrap_or_default()).collect())
        .collect();
    Ok(Table { path: path.to_owned(), headers, rows })
}

/// Objects of a JSON array or of JSON lines.
pub fn json_objects(path: &Path, text: &str) -> Result<Vec<serde_json::Map<String, Value>>> {
    let values: Vec<(usize, Value)> = if text.trim_start().starts_with('[') {
        let whole: Vec<Value> = serde_json::from_str(text)
            .map_err(|error| EvaluationError::data(path, format!("is not a list in JSON: {error}")))?;
        whole.into_iter().enumerate().collect()
    } else {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(at, line)| {
                let problem = |error| format!("line {} is not a JSON object: {error}", at + 1);
                serde_json::from_str(line)
                    .map(|value| (at, value))
                    .map_err(|error| EvaluationError::data(path, problem(error)))
            })
            .collect::<Result<_>>()?
    };
    if values.is_empty() {
        return Err(EvaluationError::data(path, "is empty: give at least one JSON object"));
    }
    values
        .into_iter()
        .map(|(at, value)| match value {
            Value::Object(object) => Ok(object),
            _ => Err(EvaluationError::data(path, format!("entry {} is not a JSON object", at + 1))),
        })
        .collect()
}

/// A value as a cell: text without its quotation marks, lists joined by commas.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Words of each line that has any, with the line's number from 1.
pub fn word_lines(path: &Path) -> Result<Vec<(usize, Vec<String>)>> {
    let text = read_text(path)?;
    let lines: Vec<(usize, Vec<String>)> = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()))
        .filter(|(_, words)| !words.is_empty())
        .collect();
    if lines.is_empty() {
        return Err(EvaluationError::data(path, "is empty: give at least one line"));
    }
    Ok(lines)
}

/// A text and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The words.
    pub text: String,
    /// The class, as the file names it.
    pub label: String,
}

/// Rows of all `paths` as labelled texts. Without names, text and label are the first and the second column.
pub fn labelled(paths: &[PathBuf], text: Option<&str>, label: Option<&str>) -> Result<Vec<Labelled>> {
    let mut examples = Vec::new();
    for path in paths {
        let table = Table::read(path)?;
        let (text, label) = (table.column_or(text, 0, "text")?, table.column_or(label, 1, "label")?);
        for (at, row) in table.rows().iter().enumerate() {
            if row[label].trim().is_empty() {
                let name = &table.headers()[label];
                return Err(EvaluationError::data(path, format!("row {}, column {name:?} has no label", at + 1)));
            }
            examples.push(Labelled { text: row[text].trim().to_owned(), label: row[label].trim().to_owned() });
        }
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn table(text: &str) -> Table {
        Table::read(file(text.as_bytes()).path()).unwrap()
    }

    fn refused(text: &[u8]) -> String {
        Table::read(file(text).path()).unwrap_err().to_string()
    }

    #[test]
    fn the_same_rows_come_from_every_form() {
        let expected = [["where is it", "order, late"], ["你好", "hello"]];
        let gzip = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all("text,label\nwhere is it,\"order, late\"\n你好,hello\n".as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        for bytes in [
            "\u{feff}text,label\nwhere is it,\"order, late\"\n\n你好,hello\n".as_bytes(),
            "text;label\nwhere is it;order, late\n你好;hello\n".as_bytes(),
            "text\tlabel\nwhere is it\torder, late\n你好\thello\n".as_bytes(),
            "{\"text\":\"where is it\",\"label\":\"order, late\"}\n{\"label\":\"hello\",\"text\":\"你好\"}\n"
                .as_bytes(),
            "[{\"text\":\"where is it\",\"label\":[\"order\",\"late\"]},{\"text\":\"你好\",\"label\":\"hello\"}]"
                .as_bytes(),
            &gzip,
        ] {
            let table = Table::read(file(bytes).path()).unwrap();
            let (text, label) = (table.column("TEXT").unwrap(), table.column("label").unwrap());
            let rows: Vec<[&str; 2]> =
                table.rows().iter().map(|row| [row[text].as_str(), row[label].as_str()]).collect();
            assert_eq!(rows, expected);
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_with_what_to_do() {
        assert!(refused(b"").contains("is empty"));
        assert!(refused(b"text,label\n").contains("no rows"));
        assert!(refused(b"{\"a\": 1}\n{\"a\": \n").contains("line 2"));
        assert!(refused(&[b't', 0xff, 0xfe, b'\n']).contains("UTF-8"));
        assert!(refused(b"[1]").contains("entry 1"));
        let missing = Table::read(Path::new("/nowhere/at/all.csv")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/at/all.csv"), "{missing}");
        let error = table("a,b\n1,2\n").column("label").unwrap_err().to_string();
        assert!(error.contains("\"label\"") && error.contains("a, b"), "{error}");
        let error = table("a,b\n1,x\n").number(0, 1).unwrap_err().to_string();
        assert!(error.contains("row 1") && error.contains("\"x\""), "{error}");
    }

    #[test]
    fn labels_are_read_by_name_or_position_and_must_be_there() {
        let good = file(b"id,sentence,label\n1,hello,greet\n");
        let paths = [good.path().to_owned()];
        let expected = [Labelled { text: "hello".to_owned(), label: "greet".to_owned() }];
        assert_eq!(labelled(&paths, Some("sentence"), Some("label")).unwrap(), expected);
        assert_eq!(labelled(&paths, None, None).unwrap()[0].label, "hello");
        let bad = file(b"sentence,label\nhello,\n");
        let error = labelled(&[bad.path().to_owned()], None, None).unwrap_err().to_string();
        assert!(error.contains("row 1") && error.contains("no label"), "{error}");
        let narrow = file(b"sentence\nhello\n");
        let error = labelled(&[narrow.path().to_owned()], None, None).unwrap_err().to_string();
        assert!(error.contains("only 1 columns"), "{error}");
    }

    #[test]
    fn plain_lines_keep_their_numbers() {
        let lines = word_lines(file(b"1 2 3\n\n4  5\n").path()).unwrap();
        assert_eq!(lines[1], (3, vec!["4".to_owned(), "5".to_owned()]));
        assert!(word_lines(file(b" \n").path()).unwrap_err().to_string().contains("is empty"));
    }
}
