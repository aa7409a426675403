//! The topics of a staff group: which conversation each belongs to, and how far its transcript is shown there. The
//! transcript is the queue: what lies after `mirrored` is still to be shown, so nothing of it can be lost.

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, millis, parse_language, parse_name};
use crate::{
    conversation::State,
    message::{Channel, Language, Timestamp},
};

/// A conversation that the staff group may have to see something of.
#[derive(Debug, Clone)]
pub struct TopicWork {
    /// The conversation's row.
    pub conversation_id: i64,
    /// Where it takes place.
    pub channel: Channel,
    /// The chat within the channel.
    pub chat: String,
    /// The shopper's language.
    pub language: Language,
    /// Verified customer.
    pub customer: Option<String>,
    /// Who has the word.
    pub state: State,
    /// The bot goes on, but a wish for a person is unmet.
    pub wish_left: bool,
    /// The conversation's latest message.
    pub newest: i64,
    /// Its topic, when it has one.
    pub topic: Option<Topic>,
}

/// A topic of the staff group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Telegram's number of it.
    pub id: i64,
    /// The conversation is shown in it right now.
    pub is_open: bool,
    /// The last message of the transcript that it shows.
    pub mirrored: i64,
}

/// Words to staff that are in no transcript.
#[derive(Debug, Clone)]
pub struct StaffPost {
    /// Row id.
    pub id: i64,
    /// The topic.
    pub topic: i64,
    /// The words.
    pub text: String,
}

impl Store {
    /// Conversations with people, and those whose topic is still open.
    pub async fn topic_work(&self, staff_group: i64) -> Result<Vec<TopicWork>> {
        let rows = sqlx::query(
            "SELECT conversations.*, staff_topics.topic, staff_topics.is_open, staff_topics.mirrored,
                 (SELECT MAX(id) FROM messages WHERE conversation_id = conversations.id) AS newest
             FROM conversations
             LEFT JOIN staff_topics ON staff_topics.conversation_id = conversations.id AND staff_topics.staff_group = $1
             WHERE conversations.state IN ('waiting', 'with_staff') OR staff_topics.is_open = 1
             ORDER BY COALESCE(state_since, started_at), conversations.id",
        )
        .bind(staff_group)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(work_from_row).collect()
    }

    /// Notes the topic that was made for a conversation.
    pub async fn topic_made(&self, conversation_id: i64, staff_group: i64, topic: i64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO staff_topics (conversation_id, staff_group, topic, is_open, mirrored) VALUES ($1, $2, $3, 0, 0)
             ON CONFLICT (conversation_id) DO UPDATE SET staff_group = excluded.staff_group, topic = excluded.topic,
                 is_open = 0, mirrored = 0",
        )
        .bind(conversation_id)
        .bind(staff_group)
        .bind(topic)
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Notes how far a topic shows its transcript, and whether it goes on doing so.
    pub async fn topic_shows(&self, conversation_id: i64, mirrored: i64, is_open: bool) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE staff_topics SET mirrored = $2, is_open = $3 WHERE conversation_id = $1")
            .bind(conversation_id)
            .bind(mirrored)
            .bind(i64::from(is_open))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// Forgets a topic that somebody deleted, so that another is made.
    pub async fn topic_gone(&self, conversation_id: i64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM staff_topics WHERE conversation_id = $1")
            .bind(conversation_id)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// The conversation of a topic.
    pub async fn conversation_of_topic(&self, staff_group: i64, topic: i64) -> Result<Option<i64>> {
        let row = sqlx::query("SELECT conversation_id FROM staff_topics WHERE staff_group = $1 AND topic = $2")
            .bind(staff_group)
            .bind(topic)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(row.try_get("conversation_id")?)).transpose()
    }

    /// Words for a topic, as the effect of an update: the same update has it once.
    pub async fn post_to_topic(
        &self,
        update: &str,
        staff_group: i64,
        topic: i64,
        text: &str,
        at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        if !tx.first_time(Some(update), at).await? {
            return Ok(());
        }
        sqlx::query("INSERT INTO staff_posts (staff_group, topic, text) VALUES ($1, $2, $3)")
            .bind(staff_group)
            .bind(topic)
            .bind(text)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// The oldest words that no topic shows yet.
    pub async fn next_staff_post(&self, staff_group: i64) -> Result<Option<StaffPost>> {
        let row = sqlx::query("SELECT id, topic, text FROM staff_posts WHERE staff_group = $1 ORDER BY id LIMIT 1")
            .bind(staff_group)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            Ok(StaffPost { id: row.try_get("id")?, topic: row.try_get("topic")?, text: row.try_get("text")? })
        })
        .transpose()
    }

    /// Forgets words that a topic shows, or never will.
    pub async fn staff_post_done(&self, id: i64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM staff_posts WHERE id = $1").bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await
    }

    /// Forgets which updates had their effect before `before`: Telegram keeps an update for a day.
    pub async fn forget_staff_updates(&self, before: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM staff_updates WHERE at < $1")
            .bind(millis(before))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }
}

fn work_from_row(row: &AnyRow) -> Result<TopicWork> {
    let state: State = parse_name("state", row.try_get("state")?)?;
    let wish_left = state == State::Bot && row.try_get::<Option<i64>, _>("wish_left_at")?.is_some();
    let topic = match row.try_get::<Option<i64>, _>("topic")? {
        None => None,
        Some(id) => {
            Some(Topic { id, is_open: row.try_get::<i64, _>("is_open")? != 0, mirrored: row.try_get("mirrored")? })
        }
    };
    Ok(TopicWork {
        conversation_id: row.try_get("id")?,
        channel: parse_name("channel", row.try_get("channel")?)?,
        chat: row.try_get("chat")?,
        language: parse_language(row.try_get("language")?)?,
        customer: row.try_get("customer")?,
        state,
        wish_left,
        newest: row.try_get::<Option<i64>, _>("newest")?.unwrap_or(0),
        topic,
    })
}
