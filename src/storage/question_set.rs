//! Questions that merchants keep to try the bot with before they publish.

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, millis, timestamp};
use crate::message::Timestamp;

/// What a reply to a kept question has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expects {
    /// Answer, from this document when one is named.
    Answer(Option<String>),
    /// Say that the shop's documents do not tell.
    Decline,
}

/// A question that is tried before publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptQuestion {
    /// Row id.
    pub id: i64,
    /// In the shopper's words.
    pub question: String,
    /// What is a right reply.
    pub expects: Expects,
    /// Who kept it.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// Kept questions, in the order in which they were kept.
    pub async fn kept_questions(&self) -> Result<Vec<KeptQuestion>> {
        let rows = sqlx::query("SELECT * FROM kept_questions ORDER BY id").fetch_all(&self.pool).await?;
        rows.iter().map(question_from_row).collect()
    }

    /// Keeps a question; one in the same words takes its place.
    pub async fn keep_question(&self, question: &str, expects: &Expects, author: &str, at: Timestamp) -> Result<()> {
        let (expects, document) = match expects {
            Expects::Answer(document) => ("answer", document.as_deref()),
            Expects::Decline => ("decline", None),
        };
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO kept_questions (question, expects, document, author, at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (question) DO UPDATE SET expects = excluded.expects, document = excluded.document,
                 author = excluded.author, at = excluded.at",
        )
        .bind(question)
        .bind(expects)
        .bind(document)
        .bind(author)
        .bind(millis(at))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Forgets a kept question; whether there was one.
    pub async fn delete_kept_question(&self, id: i64) -> Result<bool> {
        let mut tx = self.write().await?;
        let gone =
            sqlx::query("DELETE FROM kept_questions WHERE id = $1").bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await?;
        Ok(gone.rows_affected() > 0)
    }
}

fn question_from_row(row: &AnyRow) -> Result<KeptQuestion> {
    let expects: String = row.try_get("expects")?;
    Ok(KeptQuestion {
        id: row.try_get("id")?,
        question: row.try_get("question")?,
        expects: if expects == "decline" { Expects::Decline } else { Expects::Answer(row.try_get("document")?) },
        author: row.try_get("author")?,
        at: timestamp(row, "at")?,
    })
}
