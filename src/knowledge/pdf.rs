//! PDF: glyphs with their places on the page become lines, lines become headings, paragraphs, lists and tables.
//!
//! ```text
//! bytes -> content: glyphs and ruled lines of each page -> rules: tables inside of ruled lines
//!                                                       -> lines: what is left, line by line
//!                                                       -> unruled: columns and tables known by their places
//!                                                       -> layout: reading order, headings, paragraphs
//! ```

mod content;
mod fonts;
mod layout;
mod lines;
mod rules;
mod unruled;

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use lopdf::{Document as Pdf, Error as PdfError};

use super::{Document, ReadError};

const PAGES_MAX: usize = 2_000;
/// A stream of text operators, unpacked, in bytes.
const STREAM_MAX: u64 = 48 << 20;
/// All such streams of a file.
const STREAMS_MAX: u64 = 192 << 20;

/// Reads a PDF.
pub fn read(name: &str, bytes: &[u8]) -> Result<Document, ReadError> {
    check_streams(name, bytes)?;
    let damaged = |detail: String| ReadError::Damaged { name: name.to_owned(), format: "PDF", detail };
    let encrypted = || ReadError::Encrypted { name: name.to_owned() };
    let pdf = match Pdf::load_mem(bytes) {
        Ok(pdf) => pdf,
        Err(PdfError::InvalidPassword | PdfError::Decryption(_) | PdfError::UnsupportedSecurityHandler(_)) => {
            return Err(encrypted());
        }
        Err(error) => return Err(damaged(error.to_string())),
    };
    if pdf.is_encrypted() {
        return Err(encrypted());
    }
    let ids: Vec<_> = pdf.page_iter().take(PAGES_MAX + 1).collect();
    if ids.len() > PAGES_MAX {
        return Err(ReadError::TooLarge { name: name.to_owned(), detail: format!("more than {PAGES_MAX} pages") });
    }
    if ids.is_empty() {
        return Err(damaged("it has no pages".to_owned()));
    }
    let mut budget = content::Budget::default();
    let pages: Vec<content::Page> = ids.into_iter().map(|id| content::read_page(&pdf, id, &mut budget)).collect();
    let glyphs: usize = pages.iter().map(|page| page.glyphs.len()).sum();
    let unreadable: usize = pages.iter().map(|page| page.unreadable).sum();
    if glyphs == 0 || unreadable > glyphs {
        let hint = if unreadable > 0 {
            "its fonts do not say which letters they show; save it again from the program it was written in"
        } else {
            "it seems to be a scan; recognise the text with a scanning program or upload the original document"
        };
        return Err(ReadError::NoText { name: name.to_owned(), hint: hint.to_owned() });
    }
    let mut document = layout::read(pages, title(&pdf));
    if unreadable > 0 {
        document.dropped.push(format!("{unreadable} characters whose font does not say which letters they are"));
    }
    Ok(document)
}

/// The title in the file's properties; many programs put a file name there, which is none.
fn title(pdf: &Pdf) -> Option<String> {
    let info = pdf.trailer.get_deref(b"Info", pdf).ok()?.as_dict().ok()?;
    let title = lopdf::decode_text_string(info.get_deref(b"Title", pdf).ok()?).ok()?;
    let title = super::builder::squeeze(&title);
    let is_file = title.rsplit_once('.').is_some_and(|(_, extension)| extension.len() <= 5) || title.contains(" - ");
    let unnamed =
        ["untitled", "(anonymous)", "anonymous", "no title", "title"].contains(&title.to_lowercase().as_str());
    (!title.is_empty() && !is_file && !unnamed).then_some(title)
}

/// Unpacks each stream once without keeping it, before a parser does so without a limit.
fn check_streams(name: &str, bytes: &[u8]) -> Result<(), ReadError> {
    let too_large = || ReadError::TooLarge {
        name: name.to_owned(),
        detail: "it unpacks to far more than a document needs".to_owned(),
    };
    let mut total = 0;
    let mut position = 0;
    while let Some(found) = find(&bytes[position..], b"stream") {
        let start = position + found;
        position = start + b"stream".len();
        if bytes[..start].ends_with(b"end") {
            continue;
        }
        let dictionary = &bytes[start.saturating_sub(600)..start];
        let dictionary = &dictionary[rfind(dictionary, b" obj").unwrap_or(0)..];
        if find(dictionary, b"/Image").is_some() || find(dictionary, b"FlateDecode").is_none() {
            continue;
        }
        let filters = &dictionary[find(dictionary, b"FlateDecode").unwrap_or(0) + 1..];
        if find(filters, b"FlateDecode").is_some() {
            return Err(too_large());
        }
        let data = &bytes[position..];
        let data = data.strip_prefix(b"\r\n").or_else(|| data.strip_prefix(b"\n")).unwrap_or(data);
        let unpacked = ZlibDecoder::new(data).take(STREAM_MAX + 1);
        // Damaged streams are counted as far as they go.
        let length = count(unpacked);
        total += length;
        if length > STREAM_MAX || total > STREAMS_MAX {
            return Err(too_large());
        }
    }
    Ok(())
}

fn count(mut reader: impl std::io::Read) -> u64 {
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    while let Ok(read @ 1..) = reader.read(&mut buffer) {
        length += read as u64;
    }
    length
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let mut position = 0;
    while let Some(found) = bytes[position..].iter().position(|byte| *byte == first) {
        position += found;
        if bytes[position..].starts_with(wanted) {
            return Some(position);
        }
        position += 1;
    }
    None
}

fn rfind(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    (0..bytes.len().saturating_sub(wanted.len() - 1)).rev().find(|position| bytes[*position..].starts_with(wanted))
}
