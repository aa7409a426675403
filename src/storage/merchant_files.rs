//! Documents that merchants send to the bot: what was sent, what it took the place of, and putting that back.

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, millis, parse_language};
use crate::message::{Language, Timestamp};

/// A file as it arrives.
#[derive(Debug, Clone)]
pub struct NewMerchantFile<'a> {
    /// The merchant's chat.
    pub chat: i64,
    /// The merchant's language.
    pub language: Language,
    /// The channel's number of the file.
    pub file_id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its size.
    pub bytes: i64,
    /// What the merchant is told instead of an import, when the file cannot be fetched.
    pub refusal: Option<&'a str>,
}

/// What is to be done for a merchant's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MerchantStep {
    /// Fetch and import it.
    Import,
    /// Tell the merchant what became of it.
    Tell,
    /// Put back what it took the place of.
    Undo,
}

/// A merchant's file for which something is to be done.
#[derive(Debug, Clone)]
pub struct MerchantFile {
    /// Row id.
    pub id: i64,
    /// The merchant's chat.
    pub chat: i64,
    /// The merchant's language.
    pub language: Language,
    /// The channel's number of the file.
    pub file_id: String,
    /// Its name.
    pub name: String,
    /// What is to be done.
    pub step: MerchantStep,
    /// Tries so far.
    pub attempts: i64,
    /// What the merchant is told.
    pub answer: String,
    /// The import can be undone: the answer comes with a button.
    pub can_be_undone: bool,
}

/// What became of an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// The version before is back.
    Restored,
    /// There was none before, so the document is gone.
    Removed,
    /// The document has been changed since; nothing was done.
    TooLate,
}

impl Store {
    /// Keeps a file that a merchant sent; the same update counts once.
    pub async fn add_merchant_file(&self, update: &str, file: &NewMerchantFile<'_>, at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        if !tx.first_time(Some(update), at).await? {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO merchant_files
                 (chat, language, file_id, name, bytes, state, attempts, not_before, answer, received_at)
             VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8)",
        )
        .bind(file.chat)
        .bind(file.language.as_str())
        .bind(file.file_id)
        .bind(file.name)
        .bind(file.bytes)
        .bind(if file.refusal.is_some() { "read" } else { "pending" })
        .bind(file.refusal.unwrap_or_default())
        .bind(millis(at))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// A merchant of this chat wants a file's import undone.
    pub async fn ask_undo(&self, update: &str, file: i64, chat: i64, at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        if !tx.first_time(Some(update), at).await? {
            return Ok(());
        }
        sqlx::query(
            "UPDATE merchant_files SET state = 'undo', attempts = 0, not_before = 0
             WHERE id = $1 AND chat = $2 AND state IN ('read', 'told') AND document_version IS NOT NULL",
        )
        .bind(file)
        .bind(chat)
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// The oldest file for which something is to be done at `now`.
    pub async fn next_merchant_file(&self, now: Timestamp) -> Result<Option<MerchantFile>> {
        let row = sqlx::query(
            "SELECT * FROM merchant_files WHERE state IN ('pending', 'kept', 'read', 'undo', 'undone')
                 AND not_before <= $1 ORDER BY id LIMIT 1",
        )
        .bind(millis(now))
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(file_from_row).transpose()
    }

    /// Keeps what a file will take the place of, once: a second try finds it kept.
    pub async fn keep_replaced(&self, file: i64, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let kept = sqlx::query("UPDATE merchant_files SET state = 'kept' WHERE id = $1 AND state = 'pending'")
            .bind(file)
            .execute(&mut *tx.connection)
            .await?;
        if kept.rows_affected() > 0 {
            sqlx::query(
                "INSERT INTO replaced_documents (file, name, title, language, checksum, bytes, notes_json, imported_at)
                 SELECT $1, name, title, language, checksum, bytes, notes_json, imported_at FROM documents
                 WHERE name = $2",
            )
            .bind(file)
            .bind(name)
            .execute(&mut *tx.connection)
            .await?;
            sqlx::query(
                "INSERT INTO replaced_chunks (file, id, ordinal, chunk_json, encoder, embedding, parts)
                 SELECT $1, chunks.id, ordinal, chunk_json, encoder, embedding, parts
                 FROM chunks JOIN documents ON documents.id = chunks.document_id WHERE documents.name = $2",
            )
            .bind(file)
            .bind(name)
            .execute(&mut *tx.connection)
            .await?;
        }
        tx.commit().await
    }

    /// The passages that a file took the place of, as JSON, in reading order.
    pub async fn replaced_chunks(&self, file: i64) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT chunk_json FROM replaced_chunks WHERE file = $1 ORDER BY ordinal")
            .bind(file)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("chunk_json")?)).collect()
    }

    /// Notes what became of a file. With a document's version the import can be undone as long as that is the latest.
    pub async fn merchant_file_read(&self, file: i64, answer: &str, document_version: Option<i64>) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE merchant_files SET state = 'read', answer = $2, document_version = $3, attempts = 0, not_before = 0
             WHERE id = $1",
        )
        .bind(file)
        .bind(answer)
        .bind(document_version)
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Notes that a merchant was told, unless there is something new to do.
    pub async fn merchant_told(&self, file: i64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE merchant_files SET state = CASE WHEN state = 'undone' THEN 'done' ELSE 'told' END
             WHERE id = $1 AND state IN ('read', 'undone')",
        )
        .bind(file)
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Notes a try that failed: another follows at `retry_at`, or none.
    pub async fn merchant_file_failed(&self, file: i64, retry_at: Option<Timestamp>) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE merchant_files SET attempts = attempts + 1, not_before = $2,
                 state = CASE WHEN $3 = 1 THEN state ELSE 'failed' END WHERE id = $1",
        )
        .bind(file)
        .bind(retry_at.map_or(0, millis))
        .bind(i64::from(retry_at.is_some()))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Puts back what a file took the place of, if nothing has changed the document since. `answer` says it.
    pub async fn undo_import(&self, file: i64, answer: impl Fn(Undone) -> String) -> Result<Undone> {
        let mut tx = self.write().await?;
        let row = sqlx::query(
            "SELECT documents.id AS document, replaced_documents.file AS before FROM merchant_files
             LEFT JOIN documents ON documents.name = merchant_files.name
                 AND documents.version = merchant_files.document_version
             LEFT JOIN replaced_documents ON replaced_documents.file = merchant_files.id
             WHERE merchant_files.id = $1",
        )
        .bind(file)
        .fetch_one(&mut *tx.connection)
        .await?;
        let document: Option<i64> = row.try_get("document")?;
        let had_version: Option<i64> = row.try_get("before")?;
        let undone = match (document, had_version) {
            (None, _) => Undone::TooLate,
            (Some(_), Some(_)) => Undone::Restored,
            (Some(_), None) => Undone::Removed,
        };
        if let Some(document) = document {
            let restore = [
                "DELETE FROM chunks WHERE document_id = $1 AND $2 = $2",
                "UPDATE documents SET version = documents.version + 1,
                     title = (SELECT title FROM replaced_documents WHERE file = $2),
                     language = (SELECT language FROM replaced_documents WHERE file = $2),
                     checksum = (SELECT checksum FROM replaced_documents WHERE file = $2),
                     bytes = (SELECT bytes FROM replaced_documents WHERE file = $2),
                     notes_json = (SELECT notes_json FROM replaced_documents WHERE file = $2),
                     imported_at = (SELECT imported_at FROM replaced_documents WHERE file = $2) WHERE id = $1",
                "INSERT INTO chunks (id, document_id, ordinal, chunk_json, encoder, embedding, parts)
                 SELECT id, $1, ordinal, chunk_json, encoder, embedding, parts FROM replaced_chunks WHERE file = $2",
            ];
            let remove = [restore[0], "DELETE FROM documents WHERE id = $1 AND $2 = $2"];
            let statements: &[&'static str] = if undone == Undone::Restored { &restore } else { &remove };
            for statement in statements {
                sqlx::query(*statement).bind(document).bind(file).execute(&mut *tx.connection).await?;
            }
            tx.knowledge_changed().await?;
        }
        sqlx::query("UPDATE merchant_files SET state = 'undone', answer = $2, document_version = NULL WHERE id = $1")
            .bind(file)
            .bind(answer(undone))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await?;
        Ok(undone)
    }
}

fn file_from_row(row: &AnyRow) -> Result<MerchantFile> {
    let state: String = row.try_get("state")?;
    let step = match state.as_str() {
        "pending" | "kept" => MerchantStep::Import,
        "undo" => MerchantStep::Undo,
        _ => MerchantStep::Tell,
    };
    Ok(MerchantFile {
        id: row.try_get("id")?,
        chat: row.try_get("chat")?,
        language: parse_language(row.try_get("language")?)?,
        file_id: row.try_get("file_id")?,
        name: row.try_get("name")?,
        step,
        attempts: row.try_get("attempts")?,
        answer: row.try_get("answer")?,
        can_be_undone: row.try_get::<Option<i64>, _>("document_version")?.is_some(),
    })
}
