//! What the shop knows: documents become blocks, blocks become chunks that can be found and quoted, and tables become
//! products, orders, reviews and events.
//!
//! Everything here is pure: bytes in, values out. A merchant sees the result of an upload as the number of chunks and
//! records, what was left out and why, or one sentence that says what is wrong with the file and what to do.
//!
//! ```text
//! bytes -> format -> readers::{markdown, html, docx, pdf, ...} -> Document { blocks } -> chunks -> Vec<Chunk>
//!                 -> records::{read_products, read_orders, ...} -> Records<T>
//! ```

mod chunks;
mod records;

use crate::message::Language;

pub use chunks::{Chunk, ChunkKind, HEADING_SEPARATOR, TOKENS_MAX, chunks};
pub use records::{FileKind, Records, Skipped, detect_kind, read_events, read_orders, read_products, read_reviews};

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
    #[error("{name} cannot be read ({detail}); upload Markdown, text, HTML, CSV, XLSX, DOCX or PDF")]
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
    #[error("nothing was imported from {name}: {count} bad values; {first}")]
    BadRows {
        /// The file.
        name: String,
        /// How many values are bad.
        count: usize,
        /// The first five with line, column, value and what is expected.
        first: String,
    },
}

/// Reads a document of any supported format; the content decides where it disagrees with the name's extension.
///
/// Never panics: damaged, hostile or oversized files give a `ReadError`.
pub fn read_document(name: &str, bytes: &[u8]) -> Result<Document, ReadError> {
    let _ = bytes;
    Err(ReadError::Unsupported { name: name.to_owned(), detail: "not implemented yet".to_owned() })
}
