//! Tables of records: products, orders, reviews and events from CSV, XLSX and JSON.
//!
//! A file is taken as a whole or not at all: a missing column or a bad value refuses it, and the merchant reads which
//! line to correct.

mod customers;
mod products;
mod shopify;
mod source;
mod values;

use crate::catalog::{Order, Product, Review, ShopEvent};

use super::{ReadError, guarded};
use source::Source;
pub use values::BadValue;

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

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self { records: Vec::new(), reviews: Vec::new(), skipped: Vec::new(), notes: Vec::new() }
    }
}

/// A line that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Line in the file, from 1 (the header).
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// Finds out what a file holds, from its columns: CSV, XLSX and JSON can hold records, everything else is a document.
pub fn detect_kind(name: &str, bytes: &[u8]) -> FileKind {
    if !source::may_hold_records(name) {
        return FileKind::Document;
    }
    let kind = guarded(name, || {
        let sources = source::read_all(name, bytes)?;
        let mut kinds = sources.iter().map(kind_of);
        let first = kinds.next().unwrap_or(FileKind::Document);
        // A workbook whose sheets hold different things is a document.
        Ok(if kinds.all(|other| other == first) { first } else { FileKind::Document })
    });
    kind.unwrap_or(FileKind::Document)
}

/// Names of an article number that nothing else has; an `id` alone may number anything.
const ARTICLE: &[&str] = &["sku", "product_sku", "variant_sku", "article_number", "货号", "商品编号", "商品编码"];
/// Beside an article number, two of these say that rows are products.
const PRODUCT: [&[&str]; 6] =
    [values::TITLE, values::PRICE, values::STOCK, values::CURRENCY, values::CATEGORY, values::COMPATIBLE];
/// Beside the number of an order, one of these says that rows are orders.
const ORDER: [&[&str]; 6] =
    [values::STATUS, values::ITEMS, values::CUSTOMER, values::EMAIL, values::TRACKING, values::TOTAL];

/// What rows are, also where a column is missing that they cannot do without: the reader then names it, while orders
/// that are taken for a document would be quoted to shoppers.
fn kind_of(source: &Source) -> FileKind {
    let has = |names: &[&str]| source.column(names).is_some();
    let described = [values::STOCK, values::CURRENCY, values::CATEGORY, values::DESCRIPTION].into_iter().any(has);
    if shopify::is_shopify(source) {
        FileKind::Products
    } else if super::tables::QuestionColumns::find(source.shown_columns()).is_some() {
        FileKind::QuestionsAnswers
    } else if has(values::EVENT) && (has(values::SKU) && has(values::CUSTOMER) || has(ARTICLE)) {
        FileKind::Events
    } else if has(values::ORDER_ID) && ORDER.into_iter().any(has) {
        FileKind::Orders
    } else if has(values::SKU) && has(values::TITLE) && has(values::PRICE) && described
        || has(ARTICLE) && PRODUCT.into_iter().filter(|names| has(names)).count() >= 2
    {
        FileKind::Products
    } else if has(values::SKU) && has(values::RATING) && has(values::REVIEW_TEXT) || has(ARTICLE) && has(values::RATING)
    {
        FileKind::Reviews
    } else {
        FileKind::Document
    }
}

/// Reads a catalogue; prices without any currency are in `default_currency` (ISO 4217).
pub fn read_products(name: &str, bytes: &[u8], default_currency: &str) -> Result<Records<Product>, ReadError> {
    guarded(name, || {
        let (records, problems) = product_lines(name, bytes, default_currency)?;
        problems.check(name)?;
        Ok(records)
    })
}

/// Reads the lines of a catalogue that can be taken, beside what is wrong with the others.
pub fn read_products_by_line(
    name: &str,
    bytes: &[u8],
    default_currency: &str,
) -> Result<(Records<Product>, Vec<BadValue>), ReadError> {
    guarded(name, || {
        let (records, problems) = product_lines(name, bytes, default_currency)?;
        Ok((records, problems.into_values()))
    })
}

fn product_lines(
    name: &str,
    bytes: &[u8],
    default_currency: &str,
) -> Result<(Records<Product>, values::Problems), ReadError> {
    let source = source::read(name, bytes)?;
    if shopify::is_shopify(&source) {
        Ok(shopify::read_lines(&source, default_currency))
    } else {
        products::read_lines(name, &source, default_currency)
    }
}

/// Reads orders; totals without any currency are in `default_currency` (ISO 4217).
pub fn read_orders(name: &str, bytes: &[u8], default_currency: &str) -> Result<Records<Order>, ReadError> {
    guarded(name, || customers::read_orders(name, &source::read(name, bytes)?, default_currency))
}

/// Reads reviews.
pub fn read_reviews(name: &str, bytes: &[u8]) -> Result<Records<Review>, ReadError> {
    guarded(name, || customers::read_reviews(name, &source::read(name, bytes)?))
}

/// Reads events; times without a zone are in UTC.
pub fn read_events(name: &str, bytes: &[u8]) -> Result<Records<ShopEvent>, ReadError> {
    guarded(name, || customers::read_events(name, &source::read(name, bytes)?))
}

/// Keeps the last record of each key, in file order.
fn last_wins<T>(records: Vec<T>, key: impl Fn(&T) -> String, what: &str, notes: &mut Vec<String>) -> Vec<T> {
    let mut kept: Vec<Option<T>> = Vec::with_capacity(records.len());
    let mut positions = std::collections::HashMap::new();
    let mut repeated = Vec::new();
    for record in records {
        let key = key(&record);
        if let Some(earlier) = positions.insert(key.clone(), kept.len()) {
            kept[earlier] = None;
            repeated.push(key);
        }
        kept.push(Some(record));
    }
    if !repeated.is_empty() {
        let some = repeated.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        notes.push(format!("{} {what} stand more than once ({some}); the last line of each counts", repeated.len()));
    }
    kept.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_found_from_the_columns() {
        for (name, text, kind) in [
            ("a.csv", "Price,SKU,Title,Stock\n", FileKind::Products),
            ("a.csv", "customer_id;sku;event;timestamp\n", FileKind::Events),
            ("a.csv", "order_id,customer_id,status\n", FileKind::Orders),
            ("a.csv", "sku,rating,text\n", FileKind::Reviews),
            ("a.csv", "问题,答案\n", FileKind::QuestionsAnswers),
            ("a.csv", "Product,Price\nScreen,5\n", FileKind::Document),
            ("a.txt", "sku,rating,text\n", FileKind::Document),
            ("a.json", r#"{"products":[{"id":1,"title":"x","price":2,"stock":1}]}"#, FileKind::Products),
            ("a.jsonl", "{\"sku\":\"a\",\"rating\":5,\"text\":\"x\"}\n", FileKind::Reviews),
            ("a.json", "[1,2", FileKind::Document),
        ] {
            assert_eq!(detect_kind(name, text.as_bytes()), kind, "{text}");
        }
    }
}
