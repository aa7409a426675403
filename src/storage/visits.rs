//! Visits: what a shopper wrote in one go and what came of it, noted message by message, so that the outcome of thousands
//! of conversations is read from one short row each.

use sqlx::Row;

use super::{Author, Result, Store, WriteTransaction, millis};
use crate::message::{Effect, Reply, Route, Timestamp};

/// After so long without a word the shopper's next message begins another visit, ms.
const PAUSE_MS: i64 = 30 * 60 * 1000;
/// Longest message that is taken for thanks, in characters.
const THANKS_CHARACTERS_MAX: usize = 40;
/// Conversations that are read at the same time when a database has no visits yet.
const EARLIER_AT_ONCE: i64 = 100;
/// A day, ms.
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a reply of the bot means for the visit: the latest of these is kept.
fn standing(reply: &Reply) -> Option<&'static str> {
    if reply.handoff {
        return Some("handed_over");
    }
    if reply.declined {
        return Some("declined");
    }
    match reply.route {
        Route::Answer | Route::Recommend | Route::OrderStatus | Route::Smalltalk => Some("answered"),
        Route::Decline => Some("declined"),
        Route::VerifyIdentity => Some("asked"),
        // What the bot says when a person has gone: it settles nothing.
        Route::Handoff => None,
    }
}

/// Whether a message only says thanks.
fn is_thanks(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    text.chars().count() <= THANKS_CHARACTERS_MAX
        && !text.contains(['?', '？'])
        && ["thank", "thx", "谢"].iter().any(|word| text.contains(word))
}

impl WriteTransaction<'_> {
    /// Notes what a message means for its visit.
    pub(super) async fn note_visit(
        &mut self,
        conversation_id: i64,
        author: Author,
        text: &str,
        reply: Option<&Reply>,
        at: Timestamp,
    ) -> Result<()> {
        match (author, reply) {
            (Author::Shopper, _) => self.shopper_visits(conversation_id, is_thanks(text), millis(at)).await,
            (Author::Bot, Some(reply)) if reply.effect != Some(Effect::AskRating) => {
                self.bot_answers(conversation_id, reply, millis(at)).await
            }
            (Author::Staff, _) => {
                sqlx::query(
                    "UPDATE visits SET ended_at = $2, handed_over = 1, last_reply = 'handed_over',
                         first_answer_ms = COALESCE(first_answer_ms, $2 - began_at)
                     WHERE id = (SELECT MAX(id) FROM visits WHERE conversation_id = $1)",
                )
                .bind(conversation_id)
                .bind(millis(at))
                .execute(&mut *self.connection)
                .await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn shopper_visits(&mut self, conversation_id: i64, thanks: bool, at: i64) -> Result<()> {
        let went_on = sqlx::query(
            "UPDATE visits SET ended_at = $2, thanked = CASE WHEN last_reply = 'none' THEN thanked ELSE $3 END
             WHERE id = (SELECT MAX(id) FROM visits WHERE conversation_id = $1) AND ended_at >= $4",
        )
        .bind(conversation_id)
        .bind(at)
        .bind(i64::from(thanks))
        .bind(at - PAUSE_MS)
        .execute(&mut *self.connection)
        .await?;
        if went_on.rows_affected() > 0 {
            return Ok(());
        }
        sqlx::query(
            "UPDATE visits SET next_at = $2 WHERE id = (SELECT MAX(id) FROM visits WHERE conversation_id = $1)",
        )
        .bind(conversation_id)
        .bind(at)
        .execute(&mut *self.connection)
        .await?;
        sqlx::query(
            "INSERT INTO visits (conversation_id, channel, language, began_at, ended_at)
             SELECT id, channel, language, $2, $2 FROM conversations WHERE id = $1",
        )
        .bind(conversation_id)
        .bind(at)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn bot_answers(&mut self, conversation_id: i64, reply: &Reply, at: i64) -> Result<()> {
        let Some(standing) = standing(reply) else { return Ok(()) };
        let latency = if reply.latency_ms.first > 0 { reply.latency_ms.first } else { reply.latency_ms.total };
        // Small talk answers nothing that was asked.
        let answered = standing == "answered" && reply.route != Route::Smalltalk;
        sqlx::query(
            "UPDATE visits SET ended_at = $2, last_reply = $3, language = $4, answered = answered + $5,
                 declined = declined + $6, handed_over = CASE WHEN $7 = 1 THEN 1 ELSE handed_over END,
                 first_answer_ms = COALESCE(first_answer_ms, $8)
             WHERE id = (SELECT MAX(id) FROM visits WHERE conversation_id = $1)",
        )
        .bind(conversation_id)
        .bind(at)
        .bind(standing)
        .bind(reply.language.as_str())
        .bind(i64::from(answered))
        .bind(i64::from(standing == "declined"))
        .bind(i64::from(standing == "handed_over"))
        .bind(i64::try_from(latency).unwrap_or(i64::MAX))
        .execute(&mut *self.connection)
        .await?;
        if reply.route == Route::Smalltalk {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO asked_topics (day, channel, language, intent, asked, declined)
             SELECT $2, channel, $3, $4, 1, $5 FROM conversations WHERE id = $1
             ON CONFLICT (day, channel, language, intent) DO UPDATE SET asked = asked_topics.asked + 1,
                 declined = asked_topics.declined + excluded.declined",
        )
        .bind(conversation_id)
        .bind(at.div_euclid(DAY_MS))
        .bind(reply.language.as_str())
        .bind(&reply.intent)
        .bind(i64::from(standing == "declined"))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Counts the ratings of a message's visit anew: a tap may change an earlier one.
    pub(super) async fn note_rating(&mut self, message_id: i64) -> Result<()> {
        sqlx::query(
            "UPDATE visits SET
                 good = (SELECT COUNT(*) FROM messages AS rated WHERE rated.conversation_id = visits.conversation_id
                     AND rated.rating = 1 AND rated.at >= visits.began_at
                     AND rated.at < COALESCE(visits.next_at, 9223372036854775807)),
                 bad = (SELECT COUNT(*) FROM messages AS rated WHERE rated.conversation_id = visits.conversation_id
                     AND rated.rating = 0 AND rated.at >= visits.began_at
                     AND rated.at < COALESCE(visits.next_at, 9223372036854775807))
             WHERE id = (SELECT MAX(earlier.id) FROM visits AS earlier JOIN messages ON messages.id = $1
                 WHERE earlier.conversation_id = messages.conversation_id AND earlier.began_at <= messages.at)",
        )
        .bind(message_id)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn note_earlier_messages(&mut self, conversation_id: i64) -> Result<()> {
        let rows = sqlx::query(
            "SELECT id, author, text, reply_json, at, rating FROM messages WHERE conversation_id = $1 ORDER BY id",
        )
        .bind(conversation_id)
        .fetch_all(&mut *self.connection)
        .await?;
        for row in &rows {
            let author = super::parse_name("author", row.try_get("author")?)?;
            let reply: Option<String> = row.try_get("reply_json")?;
            // A reply that cannot be read leaves its visit without it: that must not keep the shop from being opened.
            let reply: Option<Reply> = reply.and_then(|json| serde_json::from_str(&json).ok());
            let at = super::timestamp(row, "at")?;
            self.note_visit(conversation_id, author, row.try_get("text")?, reply.as_ref(), at).await?;
            if row.try_get::<Option<i64>, _>("rating")?.is_some() {
                self.note_rating(row.try_get("id")?).await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Reads conversations that are older than the visits once.
    pub(super) async fn note_earlier_visits(&self) -> Result<()> {
        const WITHOUT: &str = "SELECT id FROM conversations
             WHERE NOT EXISTS (SELECT 1 FROM visits WHERE conversation_id = conversations.id)
             AND EXISTS (SELECT 1 FROM messages WHERE conversation_id = conversations.id AND author = 'shopper')
             ORDER BY id LIMIT $1";
        while sqlx::query(WITHOUT).bind(1_i64).fetch_optional(&self.pool).await?.is_some() {
            let mut tx = self.write().await?;
            let rows = sqlx::query(WITHOUT).bind(EARLIER_AT_ONCE).fetch_all(&mut *tx.connection).await?;
            for row in &rows {
                tx.note_earlier_messages(row.try_get("id")?).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_thanks;

    #[test]
    fn thanks_are_short_and_ask_nothing() {
        for text in ["Thanks!", "ok thank you so much", "谢谢", "thx"] {
            assert!(is_thanks(text), "{text}");
        }
        for text in ["Thanks, and is it free?", "谢谢，几天能到？", "ok", &"thank you ".repeat(9)] {
            assert!(!is_thanks(text), "{text}");
        }
    }
}
