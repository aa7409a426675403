//! Office files are ZIP archives of XML: opening them without being blown up by what they unpack to.

use std::io::{Cursor, Read};

use zip::{ZipArchive, result::ZipError};

use super::{ReadError, text};

/// All parts of an office file unpacked, in bytes.
const UNPACKED_MAX: u64 = 128 << 20;
/// Real documents shrink to a thirtieth at best; bombs to a thousandth.
const RATIO_MAX: u64 = 200;
/// Below this size the ratio does not matter.
const RATIO_FROM: u64 = 16 << 20;
const ENTRIES_MAX: usize = 20_000;

/// An office file.
pub struct Archive<'a> {
    name: &'a str,
    format: &'static str,
    zip: ZipArchive<Cursor<&'a [u8]>>,
    packed: u64,
    unpacked: u64,
}

impl<'a> Archive<'a> {
    /// Opens the archive; `format` is named in errors.
    pub fn open(name: &'a str, format: &'static str, bytes: &'a [u8]) -> Result<Self, ReadError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(name, format, &error.to_string()))?;
        if zip.len() > ENTRIES_MAX {
            return Err(too_large(name, "it has too many parts"));
        }
        Ok(Self { name, format, zip, packed: bytes.len() as u64, unpacked: 0 })
    }

    /// The names of its parts; those that cannot be read are left out.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.zip.file_names().flatten().map(std::borrow::Cow::into_owned)
    }

    /// A part as text, `None` when the archive has none of this name.
    pub fn part(&mut self, path: &str) -> Result<Option<String>, ReadError> {
        let (name, format) = (self.name, self.format);
        let limit = self.limit();
        let mut part = match self.zip.by_name(path) {
            Ok(part) => part.take(limit + 1),
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::InvalidPassword | ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                return Err(ReadError::Encrypted { name: name.to_owned() });
            }
            Err(error) => return Err(damaged(name, format, &error.to_string())),
        };
        let mut bytes = Vec::new();
        let read = part.read_to_end(&mut bytes);
        drop(part);
        self.count(bytes.len() as u64)?;
        read.map_err(|error| damaged(name, format, &error.to_string()))?;
        Ok(Some(text::decode(&bytes)))
    }

    /// Unpacks every part once without keeping it and refuses the file when that is too much.
    pub fn check_contents(&mut self) -> Result<(), ReadError> {
        for index in 0..self.zip.len() {
            let limit = self.limit();
            let Ok(part) = self.zip.by_index(index) else { continue };
            // A damaged part is reported by whoever needs it.
            let length = std::io::copy(&mut part.take(limit + 1), &mut std::io::sink()).unwrap_or(0);
            self.count(length)?;
        }
        self.unpacked = 0;
        Ok(())
    }

    fn limit(&self) -> u64 {
        UNPACKED_MAX.min(RATIO_FROM.max(self.packed.saturating_mul(RATIO_MAX))).saturating_sub(self.unpacked)
    }

    fn count(&mut self, length: u64) -> Result<(), ReadError> {
        if length > self.limit() {
            return Err(too_large(self.name, "it unpacks to far more than a document needs"));
        }
        self.unpacked += length;
        Ok(())
    }
}

fn damaged(name: &str, format: &'static str, detail: &str) -> ReadError {
    ReadError::Damaged { name: name.to_owned(), format, detail: detail.to_owned() }
}

fn too_large(name: &str, detail: &str) -> ReadError {
    ReadError::TooLarge { name: name.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_bomb_is_refused() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).unwrap();
        let zeros = vec![b' '; 1 << 20];
        for _ in 0..40 {
            writer.write_all(&zeros).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        let mut archive = Archive::open("a.docx", "DOCX", &bytes).unwrap();
        assert!(matches!(archive.part("word/document.xml"), Err(ReadError::TooLarge { .. })));
        assert!(matches!(archive.check_contents(), Err(ReadError::TooLarge { .. })));
    }
}
