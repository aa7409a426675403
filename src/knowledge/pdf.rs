//! PDF.
use super::{Document, ReadError};

/// Reads a PDF.
pub fn read(name: &str, _bytes: &[u8]) -> Result<Document, ReadError> {
    Err(ReadError::Damaged { name: name.to_owned(), format: "PDF", detail: "not implemented yet".to_owned() })
}
