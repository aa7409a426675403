//! What the shop knows: documents become blocks, blocks become chunks that can be found and quoted, and tables become
//! products, orders, reviews and events.
//!
//! Everything here is pure: bytes in, values out. A merchant sees the result of an upload as the number of chunks and
//! records, what was left out and why, or one sentence that says what is wrong with the file and what to do.
//!
//! ```text
//! bytes -> format -> readers::{markdown, html, json, docx, pdf, ...} -> Document { blocks } -> chunks -> Vec<Chunk>
//!                 -> records::{read_products, read_orders, ...} -> Records<T>
//! ```

mod archive;
mod builder;
pub mod catalogue;
mod chunks;
pub mod contradictions;
pub mod difference;
mod docx;
mod grids;
mod html;
pub mod import;
mod json;
mod markdown;
pub mod meanings;
mod pdf;
mod records;
pub mod staff_answers;
mod styles;
mod tables;
mod text;
pub mod vectors;

use crate::message::Language;

pub use chunks::{Chunk, ChunkKind, HEADING_SEPARATOR, TOKENS_MAX, chunks};
pub use records::{
    BadValue, FileKind, Records, Skipped, detect_kind, read_events, read_orders, read_products, read_products_by_line,
    read_reviews,
};

/// A document as it was read: literal text under its headings, in reading order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The title the document gives itself.
    pub title: Option<String>,
    /// The language most of it is written in.
    pub language: Language,
    /// Its content.
    pub blocks: Vec<Block>,
    /// What was left out and why, one sentence each, for the import report.
    pub dropped: Vec<String>,
}

/// One paragraph, list item, answer or table row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The headings above it, outermost first.
    pub heading: Vec<String>,
    /// What it is.
    pub kind: BlockKind,
    /// Literal text of the document, only white space normalised. Of a question and answer: the answer. Of a table
    /// row: its values in column order, joined by ` | `.
    pub text: String,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockKind {
    /// Running text.
    Paragraph,
    /// One item of a list.
    ListItem,
    /// Preformatted text, line breaks kept.
    Code,
    /// An answer with its question.
    QuestionAnswer {
        /// The question as the document puts it.
        question: String,
    },
    /// A row of a table.
    TableRow {
        /// The table's caption or the sheet's name, empty when it has none.
        caption: String,
        /// Column header and value, in column order; a header may be empty.
        cells: Vec<(String, String)>,
    },
}

/// Why a file was refused. The text is meant for the merchant: what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing in it can be searched, for example a scan.
    #[error("{name} has no text; {hint}")]
    NoText {
        /// The file.
        name: String,
        /// What to do.
        hint: String,
    },
    /// It does not follow its own format.
    #[error("{name} is damaged ({detail}); save it again as {format} and upload it once more")]
    Damaged {
        /// The file.
        name: String,
        /// The format's name, for example `PDF`.
        format: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// It opens only with a password.
    #[error("{name} is protected with a password; save it without the password and upload it once more")]
    Encrypted {
        /// The file.
        name: String,
    },
    /// It exceeds a limit.
    #[error("{name} is too large ({detail}); split it into smaller files")]
    TooLarge {
        /// The file.
        name: String,
        /// Which limit.
        detail: String,
    },
    /// Not a format that is read.
    #[error("{name} cannot be read ({detail}); upload Markdown, text, HTML, CSV, JSON, XLSX, DOCX or PDF")]
    Unsupported {
        /// The file.
        name: String,
        /// What it seems to be.
        detail: String,
    },
    /// A table of records lacks a column.
    #[error("{name} has no column {missing} for {kind}; its columns are {found}; add the column and upload it again")]
    MissingColumn {
        /// The file.
        name: String,
        /// What was to be read, for example `products`.
        kind: &'static str,
        /// The column.
        missing: String,
        /// The columns that are there.
        found: String,
    },
    /// Rows that cannot be taken; none of the file's rows is.
    #[error(
        "nothing was imported from {name}: {count} bad {}; {first}; mend the file and import it again",
        if *count == 1 { "value" } else { "values" }
    )]
    BadRows {
        /// The file.
        name: String,
        /// How many values are bad.
        count: usize,
        /// The first five with line, column, value and what is expected.
        first: String,
    },
}

/// Larger files are refused, in bytes.
pub const FILE_MAX: usize = 50 << 20;
/// HTML and Markdown are parsed into trees many times their size.
const MARKUP_MAX: usize = 10 << 20;
/// Parsers of office formats may nest calls; a thread of our own gives them room whatever the caller has left.
const STACK: usize = 64 << 20;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Markdown,
    Text,
    Html,
    Csv,
    Json,
    Xlsx,
    Docx,
    Pdf,
}

/// Reads a document of any supported format; the content decides where it disagrees with the name's extension.
///
/// Never panics: damaged, hostile or oversized files give a `ReadError`.
pub fn read_document(name: &str, bytes: &[u8]) -> Result<Document, ReadError> {
    let document = guarded(name, || {
        let format = format_of(name, bytes)?;
        read_as(format, name, bytes)
    })?;
    if document.blocks.is_empty() {
        let hint = "check that you chose the right file".to_owned();
        return Err(ReadError::NoText { name: name.to_owned(), hint });
    }
    Ok(document)
}

/// Runs a reader on a stack of its own and turns a panic of a parser into an error.
fn guarded<T: Send>(name: &str, read: impl FnOnce() -> Result<T, ReadError> + Send) -> Result<T, ReadError> {
    let crashed = || ReadError::Damaged {
        name: name.to_owned(),
        format: "a common format",
        detail: "it could not be understood".to_owned(),
    };
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("document reader".to_owned()).stack_size(STACK);
        match reader.spawn_scoped(scope, read) {
            Ok(handle) => handle.join().unwrap_or_else(|_| Err(crashed())),
            Err(error) => Err(ReadError::TooLarge { name: name.to_owned(), detail: error.to_string() }),
        }
    })
}

fn read_as(format: Format, name: &str, bytes: &[u8]) -> Result<Document, ReadError> {
    match format {
        Format::Markdown => markdown::read(name, &text::decode(bytes)),
        Format::Text => text::read(name, &text::decode(bytes)),
        Format::Html => html::read(name, &text::decode_html(bytes)),
        Format::Csv => grids::read_csv(name, &text::decode(bytes)).map(|grid| grids::into_document(vec![grid], &[])),
        Format::Json => json::read(name, &text::decode(bytes)),
        Format::Xlsx => {
            let mut dropped = Vec::new();
            let grids = grids::read_xlsx(name, bytes, &mut dropped)?;
            Ok(grids::into_document(grids, &dropped))
        }
        Format::Docx => docx::read(name, bytes),
        Format::Pdf => pdf::read(name, bytes),
    }
}

fn format_of(name: &str, bytes: &[u8]) -> Result<Format, ReadError> {
    let unsupported = |detail: &str| ReadError::Unsupported { name: name.to_owned(), detail: detail.to_owned() };
    if bytes.len() > FILE_MAX {
        return Err(ReadError::TooLarge { name: name.to_owned(), detail: format!("more than {} MB", FILE_MAX >> 20) });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReadError::NoText { name: name.to_owned(), hint: "the file is empty".to_owned() });
    }
    if let Some(format) = format_of_content(name, bytes)? {
        return Ok(format);
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    let format = match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "csv" | "tsv" => Format::Csv,
        "xlsx" | "xlsm" => return Err(damaged(name, "XLSX")),
        "docx" | "docm" => return Err(damaged(name, "DOCX")),
        "pdf" => return Err(damaged(name, "PDF")),
        "rtf" => return Err(unsupported("RTF; save it as DOCX")),
        "json" => Format::Json,
        "xml" | "jsonl" | "eml" => return Err(unsupported("this kind of data is no document")),
        "" | "txt" | "text" | "rst" | "adoc" | "org" | "log" => Format::Text,
        // "Returns 2.1" has no extension.
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => Format::Text,
        other => return Err(unsupported(&format!("files of the type .{other} are not known"))),
    };
    if matches!(format, Format::Html | Format::Markdown) && bytes.len() > MARKUP_MAX {
        return Err(ReadError::TooLarge {
            name: name.to_owned(),
            detail: format!("more than {} MB", MARKUP_MAX >> 20),
        });
    }
    Ok(format)
}

fn damaged(name: &str, format: &'static str) -> ReadError {
    ReadError::Damaged { name: name.to_owned(), format, detail: "it does not begin like one".to_owned() }
}

/// The format that the first bytes give away.
fn format_of_content(name: &str, bytes: &[u8]) -> Result<Option<Format>, ReadError> {
    let unsupported = |detail: &str| Err(ReadError::Unsupported { name: name.to_owned(), detail: detail.to_owned() });
    let head = &bytes[..bytes.len().min(1024)];
    if head.windows(5).any(|window| window == b"%PDF-") {
        return Ok(Some(Format::Pdf));
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let archive = archive::Archive::open(name, "DOCX or XLSX", bytes)?;
        let mut format = None;
        for part in archive.names().map(|part| part.replace('\\', "/").to_lowercase()) {
            if part.starts_with("word/") {
                format = Some(Format::Docx);
            } else if part.starts_with("xl/") {
                format = Some(Format::Xlsx);
            }
        }
        return match format {
            Some(format) => Ok(Some(format)),
            None => unsupported("an archive or another office format"),
        };
    }
    if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
        // Old office files, and new ones behind a password.
        let encrypted: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        if bytes.windows(encrypted.len()).any(|window| window == encrypted) {
            return Err(ReadError::Encrypted { name: name.to_owned() });
        }
        return unsupported("an old Word, Excel or PowerPoint file; save it as DOCX or XLSX");
    }
    if head.starts_with(b"{\\rtf") {
        return unsupported("RTF; save it as DOCX");
    }
    if head.starts_with(&[0x1F, 0x8B]) {
        return unsupported("a compressed file; unpack it first");
    }
    let start = text::decode(head).trim_start().to_lowercase();
    Ok((start.starts_with("<!doctype html") || start.starts_with("<html")).then_some(Format::Html))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides_about_the_format() {
        assert_eq!(format_of("a.txt", b"%PDF-1.7 ...").unwrap(), Format::Pdf);
        assert_eq!(format_of("a.txt", b"<!DOCTYPE html><p>x").unwrap(), Format::Html);
        assert_eq!(format_of("a.csv", b"a,b").unwrap(), Format::Csv);
        assert_eq!(format_of("README", b"hello").unwrap(), Format::Text);
        assert_eq!(format_of("Returns 2.1", b"hello").unwrap(), Format::Text);
        assert!(matches!(format_of("a.xyz", b"hello"), Err(ReadError::Unsupported { .. })));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let say = |name: &str, bytes: &[u8]| read_document(name, bytes).unwrap_err().to_string();
        assert_eq!(say("a.txt", b" \n"), "a.txt has no text; the file is empty");
        assert!(say("a.docx", b"hello").contains("save it again as DOCX"));
        assert!(say("a.doc", &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]).contains("save it as DOCX"));
        assert!(say("a.pdf", b"%PDF-1.4\ngarbage").contains("save it again as PDF"));
    }

    #[test]
    fn a_panicking_parser_gives_an_error() {
        let result: Result<(), ReadError> = guarded("a.pdf", || panic!("parser"));
        assert!(matches!(result, Err(ReadError::Damaged { .. })));
    }
}
