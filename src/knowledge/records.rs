//! Tables of records: products, orders, reviews and events from CSV, XLSX and JSON.

use crate::catalog::{Order, Product, Review, ShopEvent};

use super::ReadError;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Text to answer from.
    Document,
    /// A table of questions and answers; read with `read_document`.
    QuestionsAnswers,
    /// The catalogue.
    Products,
    /// Orders.
    Orders,
    /// Reviews.
    Reviews,
    /// What customers did.
    Events,
}

/// Records read from one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Records<T> {
    /// The records, in file order.
    pub records: Vec<T>,
    /// Reviews that stood inside of product records.
    pub reviews: Vec<Review>,
    /// Lines that hold no record, with the reason.
    pub skipped: Vec<Skipped>,
    /// What the merchant should know, one sentence each.
    pub notes: Vec<String>,
}

/// A line that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Line in the file, from 1 (the header).
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// Finds out what a file holds, from its columns.
pub fn detect_kind(name: &str, bytes: &[u8]) -> FileKind {
    let _ = (name, bytes);
    FileKind::Document
}

/// Reads a catalogue; prices without any currency are in `default_currency` (ISO 4217).
pub fn read_products(name: &str, bytes: &[u8], default_currency: &str) -> Result<Records<Product>, ReadError> {
    let _ = (bytes, default_currency);
    Err(ReadError::Unsupported { name: name.to_owned(), detail: "not implemented yet".to_owned() })
}

/// Reads orders; totals without any currency are in `default_currency` (ISO 4217).
pub fn read_orders(name: &str, bytes: &[u8], default_currency: &str) -> Result<Records<Order>, ReadError> {
    let _ = (bytes, default_currency);
    Err(ReadError::Unsupported { name: name.to_owned(), detail: "not implemented yet".to_owned() })
}

/// Reads reviews.
pub fn read_reviews(name: &str, bytes: &[u8]) -> Result<Records<Review>, ReadError> {
    let _ = bytes;
    Err(ReadError::Unsupported { name: name.to_owned(), detail: "not implemented yet".to_owned() })
}

/// Reads events; times without a zone are in UTC.
pub fn read_events(name: &str, bytes: &[u8]) -> Result<Records<ShopEvent>, ReadError> {
    let _ = bytes;
    Err(ReadError::Unsupported { name: name.to_owned(), detail: "not implemented yet".to_owned() })
}
