//! From a merchant's files to the store: each file is read, embedded and written in one step, or refused with a
//! sentence that says why. Importing again replaces.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{
    FileKind, ReadError, TOKENS_MAX, chunks, detect_kind, read_document, read_events, read_orders, read_products,
    read_reviews,
    vectors::{embed_chunks, encoder_label},
};
use crate::{
    catalog::Product,
    config::ShopProfile,
    inference::{Encoders, InferenceError},
    message::Timestamp,
    storage::{DocumentRecord, DocumentWrite, StorageError, Store, StoredProduct},
    telemetry,
};

/// Grows when files are read differently: they are then read again although they are unchanged.
const READER: u8 = 2;
/// Setting that holds the shop's profile as JSON.
pub const SHOP_PROFILE: &str = "shop_profile";
/// Currency of prices without one, when the shop has not said.
const CURRENCY: &str = "EUR";
/// Products embedded and written at a time, so that progress shows.
const PRODUCTS_AT_ONCE: usize = 100;

/// Why a file was not imported. Nothing of it is in the store.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file's content.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file cannot be opened.
    #[error("{path} cannot be opened ({source}); check the path and its permissions")]
    Open {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Settings of the shop.
    #[error("{name} needs mending: {reason}")]
    Profile {
        /// Which file.
        name: String,
        /// Line and what was expected.
        reason: String,
    },
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The encoder.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// File name.
    pub name: String,
    /// What it was read as: `documents`, `products`, ...
    pub kind: &'static str,
    /// How many passages or records it holds.
    pub count: usize,
    /// The document was there already, unchanged.
    pub unchanged: bool,
    /// What was left out and why.
    pub notes: Vec<String>,
}

impl FileReport {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let units = if self.kind == "documents" { "passages" } else { self.kind };
        let unit = if self.count == 1 { units.trim_end_matches('s') } else { units };
        let state = if self.unchanged { ", unchanged" } else { "" };
        match self.kind {
            "pictures" => "picture".to_owned(),
            "shop" => "the shop's profile".to_owned(),
            _ => format!("{} {unit}{state}", self.count),
        }
    }
}

/// Imports files. Cheap to clone.
#[derive(Clone)]
pub struct Importer {
    store: Store,
    encoders: Encoders,
    media: Arc<Path>,
    /// Held while the document of the staff's answers is made. tokio's Mutex, because it is held across awaits.
    pub(super) staff_answers: Arc<Mutex<()>>,
}

/// A document as it was read.
enum Read {
    /// The shop has it already.
    Unchanged(DocumentRecord),
    /// It is new, or another version.
    New(DocumentWrite),
}

impl Importer {
    /// An importer into `store`; pictures go to `media`.
    pub fn new(store: Store, encoders: Encoders, media: &Path) -> Self {
        Self { store, encoders, media: Arc::from(media), staff_answers: Arc::default() }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Reads a file from disk and imports it.
    pub async fn import_path(
        &self,
        path: &Path,
        kind: Option<FileKind>,
        at: Timestamp,
    ) -> Result<FileReport, ImportError> {
        let bytes = tokio::fs::read(path)
            .await
            .map_err(|source| ImportError::Open { path: path.display().to_string(), source })?;
        let name =
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        self.import_bytes(&name, bytes, kind, at).await
    }

    /// Imports a file's bytes. Its kind is found from its content when not given.
    pub async fn import_bytes(
        &self,
        name: &str,
        bytes: Vec<u8>,
        kind: Option<FileKind>,
        at: Timestamp,
    ) -> Result<FileReport, ImportError> {
        let report = self.take_in(name, bytes, kind, at).await;
        match &report {
            Ok(report) => telemetry::imported(report.kind, report.count),
            Err(_) => telemetry::import_refused(),
        }
        report
    }

    async fn take_in(
        &self,
        name: &str,
        bytes: Vec<u8>,
        kind: Option<FileKind>,
        at: Timestamp,
    ) -> Result<FileReport, ImportError> {
        if name == "shop.toml" {
            return self.import_profile(name, &bytes).await;
        }
        if is_picture(name) && kind.is_none() {
            return self.keep_picture(name, &bytes);
        }
        let kind = kind.unwrap_or_else(|| detect_kind(name, &bytes));
        let currency = self.currency().await?;
        let report = |kind, count, notes| FileReport { name: name.to_owned(), kind, count, unchanged: false, notes };
        match kind {
            FileKind::Document | FileKind::QuestionsAnswers => self.import_document(name, bytes, at).await,
            FileKind::Products => {
                let records = read_products(name, &bytes, &currency)?;
                let (count, notes) = (records.records.len(), records.notes);
                self.change_products(records.records, &[], at).await?;
                Ok(report("products", count, notes))
            }
            FileKind::Orders => {
                let records = read_orders(name, &bytes, &currency)?;
                self.store.upsert_orders(&records.records).await?;
                Ok(report("orders", records.records.len(), records.notes))
            }
            FileKind::Reviews => {
                let records = read_reviews(name, &bytes)?;
                self.store.insert_reviews(&records.records).await?;
                Ok(report("reviews", records.records.len(), records.notes))
            }
            FileKind::Events => {
                let records = read_events(name, &bytes)?;
                self.store.insert_events(&records.records).await?;
                Ok(report("events", records.records.len(), records.notes))
            }
        }
    }

    async fn import_document(&self, name: &str, bytes: Vec<u8>, at: Timestamp) -> Result<FileReport, ImportError> {
        match self.read(name, bytes, at).await? {
            Read::Unchanged(known) => Ok(document_report(name, known.chunks as usize, true, known.notes)),
            Read::New(write) => {
                self.store.replace_document(&write).await?;
                Ok(document_report(name, write.chunks.len(), false, write.notes))
            }
        }
    }

    /// Reads a file's bytes. A document is kept as a draft, whose row is returned, until somebody publishes it; everything
    /// else is imported.
    pub async fn draft_bytes(
        &self,
        name: &str,
        bytes: Vec<u8>,
        at: Timestamp,
    ) -> Result<(FileReport, Option<i64>), ImportError> {
        let kind = detect_kind(name, &bytes);
        if name == "shop.toml" || is_picture(name) || !matches!(kind, FileKind::Document | FileKind::QuestionsAnswers) {
            return Ok((self.import_bytes(name, bytes, None, at).await?, None));
        }
        match self.read(name, bytes, at).await.inspect_err(|_| telemetry::import_refused())? {
            Read::Unchanged(known) => Ok((document_report(name, known.chunks as usize, true, known.notes), None)),
            Read::New(write) => {
                let draft = self.store.add_draft(&write).await?;
                Ok((document_report(name, write.chunks.len(), false, write.notes), Some(draft)))
            }
        }
    }

    async fn read(&self, name: &str, bytes: Vec<u8>, at: Timestamp) -> Result<Read, ImportError> {
        let checksum = hex::encode(Sha256::new().chain_update([READER]).chain_update(&bytes).finalize());
        let known = self.store.documents().await?.into_iter().find(|document| document.name == name);
        if let Some(known) = known.filter(|known| known.checksum == checksum) {
            return Ok(Read::Unchanged(known));
        }
        let size = bytes.len() as i64;
        let file = name.to_owned();
        // Reading a large PDF takes a while; the server's threads stay free.
        let document =
            tokio::task::spawn_blocking(move || read_document(&file, &bytes)).await.map_err(|_| damaged(name))??;
        let passages = chunks(name, &document, &|text| self.encoders.main.count_tokens(text), TOKENS_MAX);
        let vectors = embed_chunks(&self.encoders, &passages).await?;
        Ok(Read::New(DocumentWrite {
            name: name.to_owned(),
            title: document.title,
            language: document.language,
            checksum,
            bytes: size,
            notes: document.dropped,
            chunks: passages.into_iter().zip(vectors).collect(),
            encoder: encoder_label(&self.encoders),
            at,
        }))
    }

    /// Writes `products`, each in the place of the one with its SKU, and takes those with the SKUs `removed` out of the
    /// catalogue: all of it or nothing.
    pub async fn change_products(
        &self,
        products: Vec<Product>,
        removed: &[String],
        at: Timestamp,
    ) -> Result<(), ImportError> {
        let texts: Vec<String> = products.iter().map(product_text).collect();
        let mut stored = Vec::with_capacity(products.len());
        let mut products = products.into_iter();
        for texts in texts.chunks(PRODUCTS_AT_ONCE) {
            let embeddings = self.encoders.main.embed_passages(texts.to_vec()).await?;
            let encoder = self.encoders.main.name();
            stored.extend(
                products.by_ref().take(texts.len()).zip(embeddings).map(|(product, embedding)| StoredProduct {
                    product,
                    encoder: encoder.to_owned(),
                    embedding,
                }),
            );
        }
        Ok(self.store.change_products(&stored, removed, at).await?)
    }

    async fn import_profile(&self, name: &str, bytes: &[u8]) -> Result<FileReport, ImportError> {
        let invalid = |reason: String| ImportError::Profile { name: name.to_owned(), reason };
        let text = std::str::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
        let profile = ShopProfile::parse(text).map_err(invalid)?;
        let json = serde_json::to_string(&profile).map_err(|error| invalid(error.to_string()))?;
        self.store.set_shop_profile(&json).await?;
        Ok(FileReport { name: name.to_owned(), kind: "shop", count: 1, unchanged: false, notes: vec![] })
    }

    fn keep_picture(&self, name: &str, bytes: &[u8]) -> Result<FileReport, ImportError> {
        let path = self.media.join(name);
        std::fs::create_dir_all(&self.media)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|source| ImportError::Open { path: path.display().to_string(), source })?;
        Ok(FileReport { name: name.to_owned(), kind: "pictures", count: 1, unchanged: false, notes: vec![] })
    }

    /// Currency of prices that name none.
    pub(super) async fn currency(&self) -> Result<String, ImportError> {
        let profile = self.store.setting(SHOP_PROFILE).await?;
        let profile: Option<ShopProfile> = profile.and_then(|json| serde_json::from_str(&json).ok());
        Ok(profile
            .map(|profile| profile.currency)
            .filter(|code| !code.is_empty())
            .unwrap_or_else(|| CURRENCY.to_owned()))
    }
}

fn document_report(name: &str, count: usize, unchanged: bool, notes: Vec<String>) -> FileReport {
    FileReport { name: name.to_owned(), kind: "documents", count, unchanged, notes }
}

pub(super) fn damaged(name: &str) -> ReadError {
    ReadError::Damaged { name: name.to_owned(), format: "another file", detail: "it could not be read".to_owned() }
}

/// What is embedded of a product.
pub fn product_text(product: &Product) -> String {
    let attributes: Vec<String> =
        product.attributes.iter().map(|(key, value)| format!("{}: {value}", key.replace('_', " "))).collect();
    [product.title.as_str(), product.category.as_str(), product.description.as_str(), &attributes.join(", ")]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(". ")
}

fn extension(name: &str) -> String {
    Path::new(name).extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn is_picture(name: &str) -> bool {
    matches!(extension(name).as_str(), "svg" | "png" | "jpg" | "jpeg" | "webp" | "gif")
}

/// Whether `import` takes a file of a folder that was given as a whole.
fn is_importable(name: &str) -> bool {
    let known =
        ["md", "markdown", "txt", "html", "htm", "csv", "tsv", "xlsx", "docx", "pdf", "jsonl", "ndjson", "json"];
    !name.starts_with('.')
        && !name.eq_ignore_ascii_case("readme.md")
        && (name == "shop.toml" || known.contains(&extension(name).as_str()) || is_picture(name))
}

/// The files that paths mean: a file is itself, a folder all that can be imported below it, in a fixed order with the
/// shop's profile first.
pub fn files(paths: &[PathBuf]) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        collect(path, true, &mut found)?;
    }
    found.sort_by_key(|path| (path.file_name().is_none_or(|name| name != "shop.toml"), path.clone()));
    found.dedup();
    Ok(found)
}

fn collect(path: &Path, named: bool, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), false, found)?;
        }
    } else if named || path.file_name().is_some_and(|name| is_importable(&name.to_string_lossy())) {
        found.push(path.to_owned());
    }
    Ok(())
}
