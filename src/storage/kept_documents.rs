//! Documents that are not quoted: drafts, which were read and not published yet, and what documents were before.

use sqlx::{Row, any::AnyRow};

use super::knowledge::chunk_from_row;
use super::{
    DocumentWrite, Result, Store, StoredChunk, WriteTransaction, embedding_to_bytes, from_json, millis, parse_language,
    timestamp, to_json,
};
use crate::{
    knowledge::{Chunk, vectors::parts_to_bytes},
    message::{Language, Timestamp},
};

/// Earlier versions of one document that are kept; older ones go.
const VERSIONS_MAX: i64 = 20;

/// A document that is kept and not quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDocument {
    /// Row id.
    pub id: i64,
    /// It was read and waits for being published; otherwise it is an earlier version.
    pub is_draft: bool,
    /// File name.
    pub name: String,
    /// Title found in it.
    pub title: Option<String>,
    /// Its main language.
    pub language: Language,
    /// Its version; 0 for a draft.
    pub version: i64,
    /// Size of the file.
    pub bytes: i64,
    /// What was left out and why.
    pub notes: Vec<String>,
    /// Number of chunks.
    pub chunks: i64,
    /// When it was read.
    pub imported_at: Timestamp,
}

/// Columns of a kept document.
const KEPT: &str = "SELECT kept_documents.*,
     (SELECT COUNT(*) FROM kept_chunks WHERE kept = kept_documents.id) AS chunk_count FROM kept_documents";

impl Store {
    /// Keeps a document that was read, without publishing it; an earlier draft of the same name goes.
    pub async fn add_draft(&self, document: &DocumentWrite) -> Result<i64> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM kept_documents WHERE name = $1 AND state = 'draft'")
            .bind(&document.name)
            .execute(&mut *tx.connection)
            .await?;
        let row = sqlx::query(
            "INSERT INTO kept_documents
                 (state, name, title, language, checksum, version, bytes, notes_json, imported_at)
             VALUES ('draft', $1, $2, $3, $4, 0, $5, $6, $7) RETURNING id",
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
        let id: i64 = row.try_get("id")?;
        for (ordinal, (chunk, vectors)) in document.chunks.iter().enumerate() {
            sqlx::query(
                "INSERT INTO kept_chunks (kept, id, ordinal, chunk_json, encoder, embedding, parts)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(id)
            .bind(&chunk.id)
            .bind(ordinal as i64)
            .bind(to_json(chunk)?)
            .bind(&document.encoder)
            .bind(embedding_to_bytes(&vectors.whole))
            .bind(parts_to_bytes(&vectors.parts))
            .execute(&mut *tx.connection)
            .await?;
        }
        tx.commit().await?;
        Ok(id)
    }

    /// Drafts by name.
    pub async fn drafts(&self) -> Result<Vec<KeptDocument>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{KEPT} WHERE state = 'draft' ORDER BY name")))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(kept_from_row).collect()
    }

    /// Earlier versions of a document, latest first.
    pub async fn versions(&self, name: &str) -> Result<Vec<KeptDocument>> {
        let statement = format!("{KEPT} WHERE state = 'version' AND name = $1 ORDER BY kept_documents.id DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(name).fetch_all(&self.pool).await?;
        rows.iter().map(kept_from_row).collect()
    }

    /// A kept document by its row.
    pub async fn kept_document(&self, id: i64) -> Result<Option<KeptDocument>> {
        let statement = format!("{KEPT} WHERE kept_documents.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(kept_from_row).transpose()
    }

    /// The passages of a kept document, in reading order.
    pub async fn kept_chunks(&self, id: i64) -> Result<Vec<Chunk>> {
        let rows = sqlx::query("SELECT chunk_json FROM kept_chunks WHERE kept = $1 ORDER BY ordinal")
            .bind(id)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| from_json("chunk", row.try_get("chunk_json")?)).collect()
    }

    /// The same as they would be quoted, with their vectors.
    pub async fn kept_passages(&self, id: i64) -> Result<Vec<StoredChunk>> {
        let rows = sqlx::query(
            "SELECT kept_documents.name, chunk_json, encoder, embedding, parts
             FROM kept_chunks JOIN kept_documents ON kept_documents.id = kept WHERE kept = $1 ORDER BY ordinal",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(chunk_from_row).collect()
    }

    /// Puts a kept document in the place of the one of the same name, which is kept in turn. A draft is then no draft any
    /// more; a version stays in the list of versions. Returns the document's row; `None` when nothing is kept there.
    pub async fn publish_kept(&self, id: i64, at: Timestamp) -> Result<Option<i64>> {
        let mut tx = self.write().await?;
        let kept = sqlx::query("SELECT name FROM kept_documents WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *tx.connection)
            .await?;
        let Some(kept) = kept else { return Ok(None) };
        let name: String = kept.try_get("name")?;
        tx.keep_version(&name).await?;
        let row = sqlx::query(
            "INSERT INTO documents (name, title, language, checksum, version, bytes, notes_json, imported_at)
             SELECT name, title, language, checksum, 1, bytes, notes_json, $2 FROM kept_documents WHERE id = $1
             ON CONFLICT (name) DO UPDATE SET title = excluded.title, language = excluded.language,
                 checksum = excluded.checksum, version = documents.version + 1, bytes = excluded.bytes,
                 notes_json = excluded.notes_json, imported_at = excluded.imported_at,
                 valid_until = CASE WHEN documents.expired = 1 THEN NULL ELSE documents.valid_until END, expired = 0
             RETURNING id",
        )
        .bind(id)
        .bind(millis(at))
        .fetch_one(&mut *tx.connection)
        .await?;
        let document: i64 = row.try_get("id")?;
        sqlx::query("DELETE FROM chunks WHERE document_id = $1").bind(document).execute(&mut *tx.connection).await?;
        sqlx::query(
            "INSERT INTO chunks (id, document_id, ordinal, chunk_json, encoder, embedding, parts)
             SELECT id, $1, ordinal, chunk_json, encoder, embedding, parts FROM kept_chunks WHERE kept = $2",
        )
        .bind(document)
        .bind(id)
        .execute(&mut *tx.connection)
        .await?;
        sqlx::query("DELETE FROM kept_documents WHERE id = $1 AND state = 'draft'")
            .bind(id)
            .execute(&mut *tx.connection)
            .await?;
        tx.forget_old_versions(&name).await?;
        tx.knowledge_changed().await?;
        tx.commit().await?;
        Ok(Some(document))
    }

    /// Throws a draft away; `false` when there is none.
    pub async fn delete_draft(&self, id: i64) -> Result<bool> {
        let mut tx = self.write().await?;
        let deleted = sqlx::query("DELETE FROM kept_documents WHERE id = $1 AND state = 'draft'")
            .bind(id)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }
}

impl WriteTransaction<'_> {
    /// Keeps what a document is now, before something takes its place.
    pub(super) async fn keep_version(&mut self, name: &str) -> Result<()> {
        let row = sqlx::query(
            "INSERT INTO kept_documents
                 (state, name, title, language, checksum, version, bytes, notes_json, imported_at)
             SELECT 'version', name, title, language, checksum, version, bytes, notes_json, imported_at
             FROM documents WHERE name = $1 RETURNING id",
        )
        .bind(name)
        .fetch_optional(&mut *self.connection)
        .await?;
        let Some(row) = row else { return Ok(()) };
        sqlx::query(
            "INSERT INTO kept_chunks (kept, id, ordinal, chunk_json, encoder, embedding, parts)
             SELECT $1, chunks.id, ordinal, chunk_json, encoder, embedding, parts
             FROM chunks JOIN documents ON documents.id = chunks.document_id WHERE documents.name = $2",
        )
        .bind(row.try_get::<i64, _>("id")?)
        .bind(name)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Forgets all but the latest versions of a document.
    pub(super) async fn forget_old_versions(&mut self, name: &str) -> Result<()> {
        sqlx::query(
            "DELETE FROM kept_documents WHERE name = $1 AND state = 'version' AND id NOT IN
                 (SELECT id FROM kept_documents WHERE name = $1 AND state = 'version' ORDER BY id DESC LIMIT $2)",
        )
        .bind(name)
        .bind(VERSIONS_MAX)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

fn kept_from_row(row: &AnyRow) -> Result<KeptDocument> {
    Ok(KeptDocument {
        id: row.try_get("id")?,
        is_draft: row.try_get::<String, _>("state")? == "draft",
        name: row.try_get("name")?,
        title: row.try_get("title")?,
        language: parse_language(row.try_get("language")?)?,
        version: row.try_get("version")?,
        bytes: row.try_get("bytes")?,
        notes: from_json("note", row.try_get("notes_json")?)?,
        chunks: row.try_get("chunk_count")?,
        imported_at: timestamp(row, "imported_at")?,
    })
}
