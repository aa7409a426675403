//! What a chat leaves and asks for beside its turns: attachments, a rating, a copy of all that is kept of it, and that all
//! of it goes.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::Row;

use super::{Author, Result, Store, StoredMessage, WriteTransaction, conversations::message_from_row};
use crate::{
    conversation::Conversation,
    message::{Attachment, Channel, Effect, Reply, Timestamp},
};

/// Latest messages of a shopper among which an edited one is looked for.
const RECENT: i64 = 20;

/// What a turn takes in beside its first update and its words.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gathered<'a> {
    /// Further inbox rows that the turn answers.
    pub inbox_ids: &'a [i64],
    /// What came with the words.
    pub attachments: &'a [Attachment],
}

impl Store {
    /// Marks updates as done that need no turn.
    pub async fn inbound_settled(&self, inbox_ids: &[i64]) -> Result<()> {
        let mut tx = self.write().await?;
        for id in inbox_ids {
            tx.mark_done(*id).await?;
        }
        tx.commit().await
    }

    /// Whether the shopper said these words lately, alone or as one of several messages that were taken together.
    pub async fn said_lately(&self, channel: Channel, chat: &str, text: &str) -> Result<bool> {
        let rows = sqlx::query(
            "SELECT messages.text FROM messages JOIN conversations ON conversations.id = messages.conversation_id
             WHERE conversations.channel = $1 AND conversations.chat = $2 AND messages.author = 'shopper'
             ORDER BY messages.id DESC LIMIT $3",
        )
        .bind(channel.as_str())
        .bind(chat)
        .bind(RECENT)
        .fetch_all(&self.pool)
        .await?;
        let text = text.trim();
        for row in rows {
            let said: String = row.try_get("text")?;
            if format!("\n{said}\n").contains(&format!("\n{text}\n")) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A message of the bot or of staff, when it stands in this chat.
    pub async fn message_in_chat(&self, channel: Channel, chat: &str, id: i64) -> Result<Option<StoredMessage>> {
        let row = sqlx::query(
            "SELECT messages.id, author, author_name, text, reply_json, at, rating FROM messages
             JOIN conversations ON conversations.id = messages.conversation_id
             WHERE messages.id = $1 AND channel = $2 AND chat = $3 AND author IN ('bot', 'staff')",
        )
        .bind(id)
        .bind(channel.as_str())
        .bind(chat)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(message_from_row).transpose()
    }

    /// Keeps what the shopper's tap said of a message of this chat. `false`: there is no such message.
    pub async fn rate(&self, channel: Channel, chat: &str, message_id: i64, good: bool) -> Result<bool> {
        let mut tx = self.write().await?;
        let rated = sqlx::query(
            "UPDATE messages SET rating = $4 WHERE id = $1 AND author IN ('bot', 'staff') AND conversation_id IN
                 (SELECT id FROM conversations WHERE channel = $2 AND chat = $3)",
        )
        .bind(message_id)
        .bind(channel.as_str())
        .bind(chat)
        .bind(i64::from(good))
        .execute(&mut *tx.connection)
        .await?;
        tx.note_rating(message_id).await?;
        tx.commit().await?;
        Ok(rated.rows_affected() > 0)
    }

    /// Asks for a rating of what staff did, where the channel has buttons for it and staff did write. `false`: not asked.
    pub async fn ask_rating(&self, conversation: &Conversation, text: &str, at: Timestamp) -> Result<bool> {
        if conversation.channel != Channel::Telegram {
            return Ok(false);
        }
        let mut tx = self.write().await?;
        let row =
            sqlx::query("SELECT COUNT(*) AS written FROM messages WHERE conversation_id = $1 AND author = 'staff'")
                .bind(conversation.id)
                .fetch_one(&mut *tx.connection)
                .await?;
        if row.try_get::<i64, _>("written")? == 0 {
            return Ok(false);
        }
        let reply = Reply::asking_for_rating(text, conversation.language);
        let id = tx.add_message(conversation.id, Author::Bot, None, text, Some(&reply), at).await?;
        tx.queue_delivery(conversation, id).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Everything that is kept of a chat, for the shopper to read: `null` for a chat of which nothing is.
    pub async fn export_chat(&self, channel: Channel, chat: &str) -> Result<Value> {
        let Some(conversation) = self.conversation(channel, chat).await? else { return Ok(Value::Null) };
        let attachments = sqlx::query(
            "SELECT attachments.* FROM attachments JOIN messages ON messages.id = attachments.message_id
             WHERE messages.conversation_id = $1 ORDER BY attachments.id",
        )
        .bind(conversation.id)
        .fetch_all(&self.pool)
        .await?;
        let mut with: HashMap<i64, Vec<Value>> = HashMap::new();
        for row in attachments {
            with.entry(row.try_get("message_id")?).or_default().push(json!({
                "kind": row.try_get::<String, _>("kind")?,
                "file_id": row.try_get::<String, _>("file_id")?,
                "mime": row.try_get::<Option<String>, _>("mime")?,
                "name": row.try_get::<Option<String>, _>("name")?,
                "size": row.try_get::<Option<i64>, _>("size")?,
            }));
        }
        let messages: Vec<Value> = self
            .messages(conversation.id, 0)
            .await?
            .iter()
            .filter(|m| m.author.is_public())
            .map(|m| exported(m, &with))
            .collect();
        Ok(json!({
            "channel": channel.as_str(),
            "chat": chat,
            "state": conversation.state,
            "language": conversation.language,
            "customer": conversation.verified_customer(),
            "remembered": conversation.memory,
            "messages": messages,
        }))
    }
}

fn exported(message: &StoredMessage, attachments: &HashMap<i64, Vec<Value>>) -> Value {
    // An earlier copy of the transcript does not come again within this one.
    let is_copy = message.reply.as_ref().is_some_and(|reply| reply.effect == Some(Effect::Export));
    let text = if is_copy { message.text.lines().next().unwrap_or_default() } else { &message.text };
    let mut value = json!({
        "at": message.at.to_rfc3339(),
        "author": message.author.as_str(),
        "text": text,
    });
    if let Some(reply) = &message.reply {
        value["intent"] = json!(reply.intent);
        value["route"] = json!(reply.route);
    }
    if let Some(good) = message.rating {
        value["rating"] = json!(if good { "good" } else { "bad" });
    }
    if let Some(attachments) = attachments.get(&message.id) {
        value["attachments"] = json!(attachments);
    }
    value
}

impl WriteTransaction<'_> {
    async fn mark_done(&mut self, inbox_id: i64) -> Result<()> {
        sqlx::query("UPDATE inbox SET state = 'done', inbound_json = '{}', error = NULL WHERE id = $1")
            .bind(inbox_id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    pub(super) async fn keep_gathered(&mut self, gathered: &Gathered<'_>, message_id: i64) -> Result<()> {
        for id in gathered.inbox_ids {
            self.mark_done(*id).await?;
            self.note_receipt(*id, message_id).await?;
        }
        for attachment in gathered.attachments {
            sqlx::query(
                "INSERT INTO attachments (message_id, kind, file_id, mime, name, size) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(message_id)
            .bind(attachment.kind.as_str())
            .bind(&attachment.file_id)
            .bind(attachment.mime.as_deref())
            .bind(attachment.name.as_deref())
            .bind(attachment.size.and_then(|size| i64::try_from(size).ok()))
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    /// Deletes a conversation with all that hangs on it. Only the inbox row of the wish itself stays, so that a
    /// redelivery of it is recognised; it holds no words.
    pub(super) async fn erase_chat(&mut self, conversation_id: i64, inbox_id: i64) -> Result<()> {
        sqlx::query(
            "DELETE FROM inbox WHERE id <> $2 AND (channel, chat) IN
                 (SELECT channel, chat FROM conversations WHERE id = $1)",
        )
        .bind(conversation_id)
        .bind(inbox_id)
        .execute(&mut *self.connection)
        .await?;
        for statement in [
            "DELETE FROM outbox WHERE message_id IN (SELECT id FROM messages WHERE conversation_id = $1)",
            "DELETE FROM staff_posts WHERE EXISTS (SELECT 1 FROM staff_topics WHERE conversation_id = $1
                 AND staff_topics.staff_group = staff_posts.staff_group AND staff_topics.topic = staff_posts.topic)",
            "DELETE FROM attachments WHERE message_id IN (SELECT id FROM messages WHERE conversation_id = $1)",
            "DELETE FROM message_texts WHERE conversation_id = $1",
            "DELETE FROM visits WHERE conversation_id = $1",
            "DELETE FROM messages WHERE conversation_id = $1",
            "DELETE FROM conversations WHERE id = $1",
        ] {
            sqlx::query(statement).bind(conversation_id).execute(&mut *self.connection).await?;
        }
        Ok(())
    }
}
