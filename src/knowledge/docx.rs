//! DOCX: headings by style, paragraphs, lists, tables and footnotes in document order, as the reader of the final text
//! sees them: tracked deletions, hidden text, field codes and tables of contents are left out.

use std::collections::HashMap;

use quick_xml::{
    Reader as XmlReader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};

use super::{
    Document, ReadError,
    archive::Archive,
    builder::{Builder, INNER_HEADING, is_bold_heading, squeeze},
    styles::{Role, Styles},
    tables::{Cell, Table},
    text::list_item,
};

/// Merged cells may not claim more columns than this.
const SPAN_MAX: usize = 64;

/// Reads a Word document.
pub fn read(name: &str, bytes: &[u8]) -> Result<Document, ReadError> {
    let mut archive = Archive::open(name, "DOCX", bytes)?;
    let path = archive
        .names()
        .find(|path| path.strip_suffix(".xml").is_some_and(|path| path.starts_with("word/document")))
        .unwrap_or_else(|| "word/document.xml".to_owned());
    let Some(body) = archive.part(&path)? else {
        return Err(damaged(name, "it has no text part"));
    };
    let styles = archive.part("word/styles.xml")?.map(|xml| Styles::read(&xml)).unwrap_or_default();
    let footnotes = match archive.part("word/footnotes.xml")? {
        Some(xml) => read_footnotes(&xml),
        None => HashMap::new(),
    };
    let mut reader = Reader { styles, footnotes, ..Reader::default() };
    reader.read(&body).map_err(|error| damaged(name, &error.to_string()))?;
    Ok(reader.builder.finish())
}

fn damaged(name: &str, detail: &str) -> ReadError {
    ReadError::Damaged { name: name.to_owned(), format: "DOCX", detail: detail.to_owned() }
}

/// Value of an attribute by its full name, for example `w:val`.
pub fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok()??;
    attribute.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}

/// Whether an on-off property is on: it is unless its value says no.
pub fn is_on(element: &BytesStart<'_>) -> bool {
    !attribute(element, "w:val").is_some_and(|value| matches!(value.as_str(), "0" | "false" | "off" | "none"))
}

/// The character of a reference such as `&amp;` or `&#8364;`; entities that a document defines itself are not expanded.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    match &*reference.xml10_content() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// The texts of the footnotes by their ids.
fn read_footnotes(xml: &str) -> HashMap<String, String> {
    let mut notes = HashMap::new();
    let mut reader = XmlReader::from_str(xml);
    let (mut id, mut text, mut in_text) = (String::new(), String::new(), false);
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) => match element.name().as_ref() {
                "w:footnote" => {
                    id = attribute(&element, "w:id").unwrap_or_default();
                    text.clear();
                }
                "w:t" => in_text = true,
                _ => {}
            },
            Event::End(element) => match element.name().as_ref() {
                "w:footnote" => {
                    notes.insert(std::mem::take(&mut id), squeeze(&text));
                }
                "w:t" => in_text = false,
                "w:p" => text.push('\n'),
                _ => {}
            },
            Event::Text(part) if in_text => text.push_str(&part.xml10_content()),
            Event::GeneralRef(part) if in_text => text.extend(resolve(&part)),
            Event::Eof => break,
            _ => {}
        }
    }
    notes
}

/// A paragraph that is being read; text boxes put one inside of another.
#[derive(Default)]
struct Paragraph {
    text: String,
    bold_length: usize,
    role: Role,
    list: bool,
    notes: Vec<String>,
}

/// The run that is being read.
#[derive(Default, Clone, Copy)]
struct Run {
    hidden: bool,
    struck: bool,
    bold: bool,
}

#[derive(Default)]
struct OpenTable {
    rows: Vec<Vec<Cell>>,
    header_marked: bool,
    text: String,
    bold: bool,
    span: usize,
    /// The cell continues the one above.
    merged: bool,
}

#[derive(Default)]
struct Reader {
    styles: Styles,
    footnotes: HashMap<String, String>,
    builder: Builder,
    paragraphs: Vec<Paragraph>,
    tables: Vec<OpenTable>,
    run: Run,
    /// Inside of run or paragraph properties.
    in_run_properties: bool,
    in_text: bool,
    /// How many elements deep inside of something that is left out.
    skipped: usize,
    /// Footnotes of a table stand below it.
    table_notes: Vec<String>,
}

impl Reader {
    fn read(&mut self, xml: &str) -> Result<(), quick_xml::Error> {
        let mut reader = XmlReader::from_str(xml);
        loop {
            match reader.read_event()? {
                Event::Start(element) => {
                    if self.skipped > 0 || self.is_left_out(&element) {
                        self.skipped += 1;
                    } else {
                        self.start(&element);
                        self.property(&element);
                    }
                }
                Event::Empty(element) if self.skipped == 0 => self.empty(&element),
                Event::End(element) => {
                    if self.skipped > 0 {
                        self.skipped -= 1;
                    } else {
                        self.end(element.name().as_ref());
                    }
                }
                Event::Text(text) if self.skipped == 0 && self.in_text => self.push(&text.xml10_content()),
                Event::CData(text) if self.skipped == 0 && self.in_text => self.push(&text.xml10_content()),
                Event::GeneralRef(reference) if self.skipped == 0 && self.in_text => {
                    if let Some(c) = resolve(&reference) {
                        self.push(c.encode_utf8(&mut [0; 4]));
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        while !self.paragraphs.is_empty() {
            self.end_paragraph();
        }
        Ok(())
    }

    fn is_left_out(&mut self, element: &BytesStart<'_>) -> bool {
        match element.name().as_ref() {
            "w:del" | "w:moveFrom" => {
                self.builder.dropped("text deleted in the tracked changes");
                true
            }
            "mc:Fallback" | "w:instrText" | "w:delText" | "w:delInstrText" | "w:rPrChange" | "w:pPrChange"
            | "w:tcPrChange" | "w:trPrChange" | "w:tblPrChange" | "w:sectPrChange" | "w:sdtPr" | "w:tblPrEx" => true,
            _ => false,
        }
    }

    fn start(&mut self, element: &BytesStart<'_>) {
        match element.name().as_ref() {
            "w:p" => self.paragraphs.push(Paragraph::default()),
            "w:r" => self.run = Run::default(),
            "w:rPr" => self.in_run_properties = true,
            "w:t" => self.in_text = true,
            "w:tbl" => self.tables.push(OpenTable::default()),
            "w:tr" => {
                if let Some(table) = self.tables.last_mut() {
                    table.rows.push(Vec::new());
                }
            }
            "w:tc" => {
                if let Some(table) = self.tables.last_mut() {
                    (table.span, table.merged, table.bold) = (1, false, true);
                    table.text.clear();
                }
            }
            _ => {}
        }
    }

    fn empty(&mut self, element: &BytesStart<'_>) {
        match element.name().as_ref() {
            "w:br" | "w:cr" => self.push("\n"),
            "w:tab" | "w:ptab" if !self.in_run_properties => self.push("\t"),
            "w:noBreakHyphen" => self.push("-"),
            "w:footnoteReference" => {
                let note = attribute(element, "w:id").and_then(|id| self.footnotes.get(&id).cloned());
                if let (Some(note), Some(paragraph)) = (note, self.paragraphs.last_mut()) {
                    paragraph.notes.push(note);
                }
            }
            "w:p" => {
                self.paragraphs.push(Paragraph::default());
                self.end_paragraph();
            }
            "w:tc" => {
                if let Some(row) = self.tables.last_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(Cell::default());
                }
            }
            _ => self.property(element),
        }
    }

    /// Properties of runs, paragraphs and cells stand in elements of their own.
    fn property(&mut self, element: &BytesStart<'_>) {
        let value = || attribute(element, "w:val");
        match element.name().as_ref() {
            "w:vanish" | "w:webHidden" | "w:specVanish" if self.in_run_properties => self.run.hidden |= is_on(element),
            "w:sz" if self.in_run_properties => {
                self.run.hidden |= value().and_then(|size| size.parse::<f64>().ok()).is_some_and(|size| size <= 4.0);
            }
            "w:strike" | "w:dstrike" if self.in_run_properties => self.run.struck |= is_on(element),
            "w:b" if self.in_run_properties => self.run.bold = is_on(element),
            "w:pStyle" => {
                let role = value().map(|id| self.styles.role(&id)).unwrap_or_default();
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.list |= role == Role::List;
                    paragraph.role = role;
                }
            }
            "w:outlineLvl" => {
                let level = value().and_then(|level| level.parse::<u8>().ok()).filter(|level| *level < 9);
                if let (Some(level), Some(paragraph)) = (level, self.paragraphs.last_mut()) {
                    paragraph.role = Role::Heading(level + 1);
                }
            }
            "w:numId" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.list = value().is_some_and(|id| id != "0");
                }
            }
            "w:gridSpan" => {
                if let Some(table) = self.tables.last_mut() {
                    table.span = value().and_then(|span| span.parse().ok()).unwrap_or(1).clamp(1, SPAN_MAX);
                }
            }
            "w:vMerge" => {
                if let Some(table) = self.tables.last_mut() {
                    table.merged = value().as_deref() != Some("restart");
                }
            }
            "w:tblHeader" => {
                if let Some(table) = self.tables.last_mut() {
                    table.header_marked |= table.rows.len() == 1 && is_on(element);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "w:p" => self.end_paragraph(),
            "w:rPr" => self.in_run_properties = false,
            "w:t" => self.in_text = false,
            "w:r" => self.run = Run::default(),
            "w:tc" => {
                if let Some(table) = self.tables.last_mut() {
                    table.end_cell();
                }
            }
            "w:tbl" => self.end_table(),
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        if self.run.hidden {
            self.builder.dropped("hidden text");
        } else if self.run.struck {
            self.builder.dropped("struck-out text");
        } else if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
            if self.run.bold {
                paragraph.bold_length += text.len();
            }
        }
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraphs.pop() else { return };
        let text = paragraph.text.trim();
        let all_bold = !text.is_empty() && paragraph.bold_length >= text.len();
        if let Some(table) = self.tables.last_mut() {
            if !text.is_empty() {
                if !table.text.is_empty() {
                    table.text.push('\n');
                }
                table.text.push_str(text);
                table.bold &= all_bold;
            }
            self.table_notes.extend(paragraph.notes);
            return;
        }
        match paragraph.role {
            Role::Contents => self.builder.dropped("table of contents"),
            Role::Title => {
                self.builder.title(text);
                self.builder.heading(1, text);
            }
            // The title is outermost, so every heading stands below it.
            Role::Heading(level) => self.builder.heading(level + 1, text),
            Role::Code => self.builder.code(text),
            Role::Text | Role::List if paragraph.list => self.builder.list_item(text),
            Role::Text | Role::List if all_bold && is_bold_heading(text) && !looks_like_caption(text) => {
                self.builder.heading(INNER_HEADING, text.trim_end_matches([':', '：']));
            }
            Role::Text | Role::List => match list_item(text) {
                Some(item) => self.builder.list_item(item),
                None => self.builder.paragraph(text),
            },
        }
        paragraph.notes.iter().for_each(|note| self.builder.paragraph(note));
    }

    fn end_table(&mut self) {
        let Some(table) = self.tables.pop() else { return };
        if let Some(outer) = self.tables.last_mut() {
            // A table inside of a cell is part of the cell's text.
            for row in table.rows {
                for cell in row.into_iter().filter(|cell| !cell.spanned && !cell.text.is_empty()) {
                    outer.text.push('\n');
                    outer.text.push_str(&cell.text);
                }
            }
            return;
        }
        let only_cell = table.rows.len() == 1 && table.rows[0].len() == 1;
        if only_cell {
            // A frame around a remark.
            self.builder.paragraph(&table.rows[0][0].text);
        } else {
            let caption = self.builder.take_caption().unwrap_or_default();
            self.builder.table(Table { caption, rows: table.rows, first_row_is_header: table.header_marked });
        }
        for note in std::mem::take(&mut self.table_notes) {
            self.builder.paragraph(&note);
        }
    }
}

fn looks_like_caption(text: &str) -> bool {
    text.starts_with("Table ") || text.starts_with('表')
}

impl OpenTable {
    fn end_cell(&mut self) {
        let mut cell = Cell { strong: self.bold && !self.text.is_empty(), ..Cell::new(&self.text) };
        self.text.clear();
        let column = self.rows.last().map_or(0, Vec::len);
        if self.merged && cell.text.is_empty() {
            let above = self.rows.len().checked_sub(2).and_then(|row| self.rows[row].get(column));
            cell = above.cloned().unwrap_or_default();
        }
        if let Some(row) = self.rows.last_mut() {
            for spanned in 0..self.span {
                row.push(Cell { spanned: spanned > 0, ..cell.clone() });
            }
        }
    }
}
