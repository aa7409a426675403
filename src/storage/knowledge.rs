//! Documents and their chunks.

use sqlx::{Row, any::AnyRow};

use super::{
    Result, Store, embedding_from_bytes, embedding_to_bytes, from_json, millis, parse_language, timestamp, to_json,
};
use crate::{
    knowledge::{
        Chunk,
        vectors::{PassageVectors, parts_from_bytes, parts_to_bytes},
    },
    message::{Language, Timestamp},
};

/// A document as it goes in, read and embedded.
#[derive(Debug, Clone)]
pub struct DocumentWrite {
    /// File name; a document of the same name is replaced.
    pub name: String,
    /// Title found in it.
    pub title: Option<String>,
    /// Its main language.
    pub language: Language,
    /// SHA-256 of the file, hexadecimal.
    pub checksum: String,
    /// Size of the file.
    pub bytes: i64,
    /// What was left out and why.
    pub notes: Vec<String>,
    /// Chunks in reading order, each with its vectors.
    pub chunks: Vec<(Chunk, PassageVectors)>,
    /// Label of the encoders that made the vectors.
    pub encoder: String,
    /// Now.
    pub at: Timestamp,
}

/// A document in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRecord {
    /// Row id.
    pub id: i64,
    /// File name.
    pub name: String,
    /// Title found in it.
    pub title: Option<String>,
    /// Its main language.
    pub language: Language,
    /// SHA-256 of the file, hexadecimal.
    pub checksum: String,
    /// 1 for the first import, one more for each changed one.
    pub version: i64,
    /// Size of the file.
    pub bytes: i64,
    /// What was left out and why.
    pub notes: Vec<String>,
    /// Number of chunks.
    pub chunks: i64,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// From then on it is not quoted.
    pub valid_until: Option<Timestamp>,
    /// That has come.
    pub expired: bool,
}

/// A chunk in the store.
#[derive(Debug, Clone)]
pub struct StoredChunk {
    /// File name of its document.
    pub document: String,
    /// The chunk.
    pub chunk: Chunk,
    /// Label of the encoders that made the vectors.
    pub encoder: String,
    /// What it is found by.
    pub vectors: PassageVectors,
}

impl Store {
    /// Puts a document in the place of the one of the same name, which is kept as an earlier version; passages that it no
    /// longer has are gone. A date until which it is valid stays, unless it has come.
    pub async fn replace_document(&self, document: &DocumentWrite) -> Result<DocumentRecord> {
        let mut tx = self.write().await?;
        tx.keep_version(&document.name).await?;
        tx.forget_old_versions(&document.name).await?;
        let row = sqlx::query(
            "INSERT INTO documents (name, title, language, checksum, version, bytes, notes_json, imported_at)
             VALUES ($1, $2, $3, $4, 1, $5, $6, $7)
             ON CONFLICT (name) DO UPDATE SET title = excluded.title, language = excluded.language,
                 checksum = excluded.checksum, version = documents.version + 1, bytes = excluded.bytes,
                 notes_json = excluded.notes_json, imported_at = excluded.imported_at,
                 valid_until = CASE WHEN documents.expired = 1 THEN NULL ELSE documents.valid_until END, expired = 0
             RETURNING id, version, valid_until",
        )
        .bind(&document.name)
        .bind(document.title.as_deref())
        .bind(document.language.as_str())
        .bind(&document.checksum)
        .bind(document.bytes)
        .bind(to_json(&document.notes)?)
        .bind(millis(document.at))
        .fetch_one(&mut *tx.connection)
        .await?;
        let (id, version): (i64, i64) = (row.try_get("id")?, row.try_get("version")?);
        sqlx::query("DELETE FROM chunks WHERE document_id = $1").bind(id).execute(&mut *tx.connection).await?;
        for (ordinal, (chunk, vectors)) in document.chunks.iter().enumerate() {
            sqlx::query(
                "INSERT INTO chunks (id, document_id, ordinal, chunk_json, encoder, embedding, parts)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(&chunk.id)
            .bind(id)
            .bind(ordinal as i64)
            .bind(to_json(chunk)?)
            .bind(&document.encoder)
            .bind(embedding_to_bytes(&vectors.whole))
            .bind(parts_to_bytes(&vectors.parts))
            .execute(&mut *tx.connection)
            .await?;
        }
        tx.knowledge_changed().await?;
        tx.commit().await?;
        Ok(DocumentRecord {
            id,
            name: document.name.clone(),
            title: document.title.clone(),
            language: document.language,
            checksum: document.checksum.clone(),
            version,
            bytes: document.bytes,
            notes: document.notes.clone(),
            chunks: document.chunks.len() as i64,
            imported_at: document.at,
            valid_until: valid_until(&row)?,
            expired: false,
        })
    }

    /// Puts other encoders' vectors in the place of those that chunks have. Chunks that were imported anew meanwhile
    /// keep theirs, and what is known of the shop does not change by it.
    pub async fn replace_vectors(&self, chunks: impl Iterator<Item = &StoredChunk>) -> Result<()> {
        let mut tx = self.write().await?;
        for stored in chunks {
            sqlx::query("UPDATE chunks SET encoder = $2, embedding = $3, parts = $4 WHERE id = $1 AND encoder <> $2")
                .bind(&stored.chunk.id)
                .bind(&stored.encoder)
                .bind(embedding_to_bytes(&stored.vectors.whole))
                .bind(parts_to_bytes(&stored.vectors.parts))
                .execute(&mut *tx.connection)
                .await?;
        }
        tx.commit().await
    }

    /// Says until when a document is quoted; `None`: without end. `false` when there is no such document.
    pub async fn set_valid_until(&self, id: i64, until: Option<Timestamp>, now: Timestamp) -> Result<bool> {
        let mut tx = self.write().await?;
        let changed = sqlx::query("UPDATE documents SET valid_until = $2, expired = $3 WHERE id = $1")
            .bind(id)
            .bind(until.map(millis))
            .bind(i64::from(until.is_some_and(|until| until <= now)))
            .execute(&mut *tx.connection)
            .await?;
        tx.knowledge_changed().await?;
        tx.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Notes which documents are not valid any more at `now`. Nothing is written where none has become so.
    pub async fn expire_documents(&self, now: Timestamp) -> Result<()> {
        let due = sqlx::query("SELECT COUNT(*) AS due FROM documents WHERE valid_until <= $1 AND expired = 0")
            .bind(millis(now))
            .fetch_one(&self.pool)
            .await?;
        if due.try_get::<i64, _>("due")? == 0 {
            return Ok(());
        }
        let mut tx = self.write().await?;
        sqlx::query("UPDATE documents SET expired = 1 WHERE valid_until <= $1")
            .bind(millis(now))
            .execute(&mut *tx.connection)
            .await?;
        tx.knowledge_changed().await?;
        tx.commit().await
    }

    /// Takes a document out with its earlier versions; `false` when there is none of this name.
    pub async fn delete_document(&self, name: &str) -> Result<bool> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM kept_documents WHERE name = $1 AND state = 'version'")
            .bind(name)
            .execute(&mut *tx.connection)
            .await?;
        sqlx::query("DELETE FROM chunks WHERE document_id IN (SELECT id FROM documents WHERE name = $1)")
            .bind(name)
            .execute(&mut *tx.connection)
            .await?;
        let deleted =
            sqlx::query("DELETE FROM documents WHERE name = $1").bind(name).execute(&mut *tx.connection).await?;
        tx.knowledge_changed().await?;
        tx.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// All documents by name.
    pub async fn documents(&self) -> Result<Vec<DocumentRecord>> {
        let rows = sqlx::query(
            "SELECT documents.*, (SELECT COUNT(*) FROM chunks WHERE document_id = documents.id) AS chunk_count
             FROM documents ORDER BY name",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(DocumentRecord {
                    id: row.try_get("id")?,
                    name: row.try_get("name")?,
                    title: row.try_get("title")?,
                    language: parse_language(row.try_get("language")?)?,
                    checksum: row.try_get("checksum")?,
                    version: row.try_get("version")?,
                    bytes: row.try_get("bytes")?,
                    notes: from_json("note", row.try_get("notes_json")?)?,
                    chunks: row.try_get("chunk_count")?,
                    imported_at: timestamp(row, "imported_at")?,
                    valid_until: valid_until(row)?,
                    expired: row.try_get::<i64, _>("expired")? == 1,
                })
            })
            .collect()
    }

    /// The chunks of one document in reading order, or all that may be quoted, document by document: those of documents
    /// that are not valid any more are left out.
    pub async fn chunks(&self, document: Option<&str>) -> Result<Vec<StoredChunk>> {
        let rows = sqlx::query(
            "SELECT documents.name, chunks.chunk_json, chunks.encoder, chunks.embedding, chunks.parts
             FROM chunks JOIN documents ON documents.id = chunks.document_id
             WHERE ($1 = '' AND documents.expired = 0) OR documents.name = $1
             ORDER BY documents.id, chunks.ordinal",
        )
        .bind(document.unwrap_or_default())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(chunk_from_row).collect()
    }
}

/// A passage with its document's name.
pub(super) fn chunk_from_row(row: &AnyRow) -> Result<StoredChunk> {
    let parts: Option<Vec<u8>> = row.try_get("parts")?;
    Ok(StoredChunk {
        document: row.try_get("name")?,
        chunk: from_json("chunk", row.try_get("chunk_json")?)?,
        encoder: row.try_get("encoder")?,
        vectors: PassageVectors {
            whole: embedding_from_bytes(row.try_get("embedding")?),
            parts: parts_from_bytes(parts.as_deref().unwrap_or_default()),
        },
    })
}

fn valid_until(row: &AnyRow) -> Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>("valid_until")?.and_then(Timestamp::from_timestamp_millis))
}
