//! The staff's inbox: which conversations a list shows, whose they are, until when they rest, their tags, how far each
//! person has read, and the ready answers that staff keep.

use std::collections::HashMap;

use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, Row, any::AnyRow};

use super::{
    Author, Result, Store, WriteTransaction,
    conversations::{ConversationSummary, summary_from_row},
    from_json, millis,
};
use crate::{
    catalog::Product,
    conversation::{Conversation, Event, Memory, State},
    message::{Channel, Effect, Language, Reply, Timestamp},
};

/// A bot's turn whose intent is less probable than so many thousandths is an unsure one.
const UNSURE_BELOW: i64 = 500;
/// Somebody whose page has not been read again for so long has left it: an open one is read every 30 seconds.
const OPEN_FOR: TimeDelta = TimeDelta::seconds(45);
/// A page that is read again within so long, and shows nothing new, needs no note.
const NOTE_EVERY: TimeDelta = TimeDelta::seconds(15);
/// Conversations from before the inbox that are read in one step.
const EARLIER_AT_ONCE: i64 = 500;
/// Values in one statement.
const PLACES_MAX: usize = 500;

/// Which part of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum InboxView {
    /// Every conversation.
    #[default]
    All,
    /// Those of the reader that are not closed and do not rest.
    Mine,
    /// Those that want a person and have none.
    Unassigned,
    /// Those whose shopper waits for a person.
    Waiting,
    /// Those that rest until a time.
    Snoozed,
}

impl InboxView {
    /// Every view, in the order in which pages list them.
    pub const EACH: [Self; 5] = [Self::Mine, Self::Unassigned, Self::Waiting, Self::Snoozed, Self::All];

    /// The name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Mine => "mine",
            Self::Unassigned => "unassigned",
            Self::Waiting => "waiting",
            Self::Snoozed => "snoozed",
        }
    }
}

/// How the bot's latest turn went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnQuality {
    /// It could not answer.
    Declined,
    /// It was not sure of the intent.
    Unsure,
}

impl TurnQuality {
    /// The name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Unsure => "unsure",
        }
    }
}

/// Which conversations to list.
#[derive(Debug, Clone)]
pub struct ConversationFilter {
    /// The part of the inbox.
    pub view: InboxView,
    /// Who reads the list: whose conversations are theirs, and what is unread. 0: nobody.
    pub reader: i64,
    /// Now, which decides what rests.
    pub at: Timestamp,
    /// Only in this state.
    pub state: Option<State>,
    /// Only those whose shopper left a wish for a person that nobody has met yet.
    pub wish_left: bool,
    /// Only with this text in a message.
    pub search: Option<String>,
    /// Only of this channel.
    pub channel: Option<Channel>,
    /// Only in this language.
    pub language: Option<Language>,
    /// Only with this intent in the bot's latest turn.
    pub intent: Option<String>,
    /// Only where the bot's latest turn went like this.
    pub quality: Option<TurnQuality>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only of this verified customer.
    pub customer: Option<String>,
    /// Only changed at this time or later.
    pub from: Option<Timestamp>,
    /// Only changed before this time.
    pub until: Option<Timestamp>,
    /// Most rows.
    pub limit: i64,
    /// Rows to leave out first.
    pub offset: i64,
}

impl Default for ConversationFilter {
    fn default() -> Self {
        Self {
            view: InboxView::All,
            reader: 0,
            at: Timestamp::UNIX_EPOCH,
            state: None,
            wish_left: false,
            search: None,
            channel: None,
            language: None,
            intent: None,
            quality: None,
            tag: None,
            customer: None,
            from: None,
            until: None,
            limit: 50,
            offset: 0,
        }
    }
}

/// An answer that staff keep ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannedReply {
    /// Row id.
    pub id: i64,
    /// By which it is called.
    pub name: String,
    /// The words.
    pub text: String,
}

/// What a shopper sent beside words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttachment {
    /// The message that it came with.
    pub message_id: i64,
    /// The stored name of its kind, such as `photo`.
    pub kind: String,
    /// File name, as the sender's device said.
    pub name: Option<String>,
    /// Bytes.
    pub size: Option<i64>,
}

/// Whose a conversation is and until when it rests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Care {
    /// The colleague who looks after it.
    pub assignee_id: Option<i64>,
    /// It rests, or rested, until then.
    pub snoozed_until: Option<Timestamp>,
    /// Its tags, by name.
    pub tags: Vec<String>,
}

impl Store {
    /// Conversations, latest first.
    pub async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<ConversationSummary>> {
        let search = filter.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let pattern = search.map_or_else(String::new, |text| format!("%{}%", escape_like(&fold(text))));
        let rows = sqlx::query(
            "SELECT found.*, users.name AS assignee,
                 (SELECT COUNT(*) FROM messages WHERE conversation_id = found.id) AS message_count,
                 (SELECT text FROM messages WHERE conversation_id = found.id AND author <> 'system'
                     ORDER BY id DESC LIMIT 1) AS last_text,
                 (SELECT text FROM messages WHERE $2 <> '' AND id = (SELECT MAX(message_id) FROM message_texts
                     WHERE conversation_id = found.id AND folded LIKE $2 ESCAPE '\\')) AS matched_text,
                 (SELECT COUNT(*) FROM messages WHERE conversation_id = found.id AND author IN ('shopper', 'note')
                     AND id > COALESCE((SELECT message_id FROM conversation_reads
                         WHERE conversation_id = found.id AND user_id = $14), 0)) AS unread
             FROM (SELECT * FROM conversations
                 WHERE ($1 = '' OR state = $1)
                   AND ($2 = '' OR id IN (SELECT conversation_id FROM message_texts WHERE folded LIKE $2 ESCAPE '\\'))
                   AND ($5 = 0 OR (wish_left_at IS NOT NULL AND state = 'bot'))
                   AND ($6 = '' OR channel = $6) AND ($7 = '' OR language = $7) AND ($8 = '' OR last_intent = $8)
                   AND ($9 <> 'declined' OR last_declined = 1) AND ($9 <> 'unsure' OR last_confidence < $16)
                   AND ($10 = '' OR id IN (SELECT conversation_id FROM conversation_tags WHERE tag = $10))
                   AND ($17 = '' OR verified_customer = $17)
                   AND updated_at >= $11 AND updated_at < $12
                   AND ($13 = 'all'
                     OR ($13 = 'snoozed' AND COALESCE(snoozed_until, 0) > $15)
                     OR (COALESCE(snoozed_until, 0) <= $15 AND (
                         ($13 = 'mine' AND assignee_id = $14 AND state <> 'closed')
                         OR ($13 = 'waiting' AND state = 'waiting')
                         OR ($13 = 'unassigned' AND assignee_id IS NULL AND (state = 'waiting'
                             OR (state = 'bot' AND wish_left_at IS NOT NULL) OR snoozed_until IS NOT NULL)))))
                 ORDER BY updated_at DESC, id DESC LIMIT $3 OFFSET $4) AS found
             LEFT JOIN users ON users.id = found.assignee_id
             ORDER BY found.updated_at DESC, found.id DESC",
        )
        .bind(filter.state.map_or("", State::as_str))
        .bind(pattern)
        .bind(filter.limit)
        .bind(filter.offset)
        .bind(i64::from(filter.wish_left))
        .bind(filter.channel.map_or("", Channel::as_str))
        .bind(filter.language.map_or("", Language::as_str))
        .bind(filter.intent.as_deref().unwrap_or_default())
        .bind(filter.quality.map_or("", TurnQuality::as_str))
        .bind(filter.tag.as_deref().unwrap_or_default())
        .bind(filter.from.map_or(0, millis))
        .bind(filter.until.map_or(i64::MAX, millis))
        .bind(filter.view.as_str())
        .bind(filter.reader)
        .bind(millis(filter.at))
        .bind(UNSURE_BELOW)
        .bind(filter.customer.as_deref().unwrap_or_default())
        .fetch_all(&self.pool)
        .await?;
        let mut found = rows.iter().map(summary_from_row).collect::<Result<Vec<_>>>()?;
        let ids: Vec<i64> = found.iter().map(|summary| summary.id).collect();
        let mut tags = self.tags_of(&ids).await?;
        for summary in &mut found {
            summary.tags = tags.remove(&summary.id).unwrap_or_default();
        }
        Ok(found)
    }

    /// How many conversations each view has for a reader.
    pub async fn inbox_counts(&self, reader: i64, at: Timestamp) -> Result<HashMap<InboxView, i64>> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS in_all,
                 COUNT(CASE WHEN COALESCE(snoozed_until, 0) > $2 THEN 1 END) AS in_snoozed,
                 COUNT(CASE WHEN COALESCE(snoozed_until, 0) <= $2 AND assignee_id = $1 AND state <> 'closed'
                     THEN 1 END) AS in_mine,
                 COUNT(CASE WHEN COALESCE(snoozed_until, 0) <= $2 AND state = 'waiting' THEN 1 END) AS in_waiting,
                 COUNT(CASE WHEN COALESCE(snoozed_until, 0) <= $2 AND assignee_id IS NULL AND (state = 'waiting'
                     OR (state = 'bot' AND wish_left_at IS NOT NULL) OR snoozed_until IS NOT NULL)
                     THEN 1 END) AS in_unassigned
             FROM conversations",
        )
        .bind(reader)
        .bind(millis(at))
        .fetch_one(&self.pool)
        .await?;
        let count = |view: InboxView| Ok((view, row.try_get(format!("in_{}", view.as_str()).as_str())?));
        InboxView::EACH.into_iter().map(count).collect()
    }

    /// The intents that the bot's latest turns had, by name.
    pub async fn latest_intents(&self) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT DISTINCT last_intent FROM conversations WHERE last_intent IS NOT NULL ORDER BY last_intent",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(row.try_get("last_intent")?)).collect()
    }

    /// Every tag that some conversation has, by name.
    pub async fn tags(&self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT DISTINCT tag FROM conversation_tags ORDER BY tag").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get("tag")?)).collect()
    }

    async fn tags_of(&self, ids: &[i64]) -> Result<HashMap<i64, Vec<String>>> {
        let mut tags: HashMap<i64, Vec<String>> = HashMap::new();
        for ids in ids.chunks(PLACES_MAX) {
            let sql = format!(
                "SELECT conversation_id, tag FROM conversation_tags WHERE conversation_id IN ({}) ORDER BY tag",
                places(ids.len())
            );
            let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(*id));
            for row in query.fetch_all(&self.pool).await? {
                tags.entry(row.try_get("conversation_id")?).or_default().push(row.try_get("tag")?);
            }
        }
        Ok(tags)
    }

    /// Whose a conversation is, until when it rests, and its tags.
    pub async fn care(&self, conversation_id: i64) -> Result<Care> {
        let row = sqlx::query("SELECT assignee_id, snoozed_until FROM conversations WHERE id = $1")
            .bind(conversation_id)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(Care::default()) };
        Ok(Care {
            assignee_id: row.try_get("assignee_id")?,
            snoozed_until: optional_time(&row, "snoozed_until")?,
            tags: self.tags_of(&[conversation_id]).await?.remove(&conversation_id).unwrap_or_default(),
        })
    }

    /// Gives a conversation to a colleague, or to nobody, with a notice in the transcript. `false`: it was so already, or
    /// there is no such conversation.
    pub async fn assign(
        &self,
        conversation_id: i64,
        user_id: Option<i64>,
        notice: &str,
        at: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        let changed = sqlx::query(
            "UPDATE conversations SET assignee_id = $2 WHERE id = $1 AND COALESCE(assignee_id, 0) <> COALESCE($2, 0)",
        )
        .bind(conversation_id)
        .bind(user_id)
        .execute(&mut *tx.connection)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        tx.add_message(conversation_id, Author::System, None, notice, None, at).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lets a conversation rest until a time, or wakes it. `false`: there is none.
    pub async fn snooze(&self, conversation_id: i64, until: Option<Timestamp>) -> Result<bool> {
        let mut tx = self.write().await?;
        let changed = sqlx::query("UPDATE conversations SET snoozed_until = $2 WHERE id = $1")
            .bind(conversation_id)
            .bind(until.map(millis))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Adds a tag; one that is there already is left alone.
    pub async fn add_tag(&self, conversation_id: i64, tag: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO conversation_tags (conversation_id, tag) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(conversation_id)
            .bind(tag)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// Removes a tag.
    pub async fn remove_tag(&self, conversation_id: i64, tag: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM conversation_tags WHERE conversation_id = $1 AND tag = $2")
            .bind(conversation_id)
            .bind(tag)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// Notes that somebody has a conversation open and has read it up to a message. `true`: they have just opened it.
    pub async fn note_read(&self, user_id: i64, conversation_id: i64, message_id: i64, at: Timestamp) -> Result<bool> {
        let row = sqlx::query(
            "SELECT message_id, opened_at FROM conversation_reads WHERE conversation_id = $1 AND user_id = $2",
        )
        .bind(conversation_id)
        .bind(user_id)
        .fetch_optional(&self.pool)
        .await?;
        let (mut read, mut opened_at) = (0, 0);
        if let Some(row) = row {
            (read, opened_at) = (row.try_get("message_id")?, row.try_get("opened_at")?);
        }
        if read >= message_id && opened_at > millis(at - NOTE_EVERY) {
            return Ok(false);
        }
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO conversation_reads (conversation_id, user_id, message_id, opened_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (conversation_id, user_id) DO UPDATE SET opened_at = excluded.opened_at,
                 message_id = CASE WHEN excluded.message_id > conversation_reads.message_id
                     THEN excluded.message_id ELSE conversation_reads.message_id END",
        )
        .bind(conversation_id)
        .bind(user_id)
        .bind(message_id)
        .bind(millis(at))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await?;
        Ok(opened_at <= millis(at - OPEN_FOR))
    }

    /// Names of the colleagues who have a conversation open, `user_id` left out.
    pub async fn open_with(&self, conversation_id: i64, user_id: i64, at: Timestamp) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT users.name FROM conversation_reads JOIN users ON users.id = conversation_reads.user_id
             WHERE conversation_id = $1 AND user_id <> $2 AND opened_at > $3 ORDER BY users.name",
        )
        .bind(conversation_id)
        .bind(user_id)
        .bind(millis(at - OPEN_FOR))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(row.try_get("name")?)).collect()
    }

    /// What the shopper of a conversation sent beside words, oldest first.
    pub async fn attachments(&self, conversation_id: i64) -> Result<Vec<StoredAttachment>> {
        let rows = sqlx::query(
            "SELECT attachments.* FROM attachments JOIN messages ON messages.id = attachments.message_id
             WHERE messages.conversation_id = $1 ORDER BY attachments.id",
        )
        .bind(conversation_id)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredAttachment {
                    message_id: row.try_get("message_id")?,
                    kind: row.try_get("kind")?,
                    name: row.try_get("name")?,
                    size: row.try_get("size")?,
                })
            })
            .collect()
    }

    /// The products with these numbers that the catalogue has now.
    pub async fn products_by_sku(&self, skus: &[String]) -> Result<Vec<Product>> {
        if skus.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT record_json FROM products WHERE sku IN ({})", places(skus.len()));
        let query = skus.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, sku| query.bind(sku.as_str()));
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().map(|row| from_json("product", row.try_get("record_json")?)).collect()
    }

    /// The ready answers, by name.
    pub async fn canned_replies(&self) -> Result<Vec<CannedReply>> {
        let rows = sqlx::query("SELECT id, name, text FROM canned_replies ORDER BY name").fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(CannedReply { id: row.try_get("id")?, name: row.try_get("name")?, text: row.try_get("text")? })
            })
            .collect()
    }

    /// Keeps a ready answer; one of the same name is replaced.
    pub async fn keep_canned_reply(&self, name: &str, text: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO canned_replies (name, text) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET text = excluded.text",
        )
        .bind(name)
        .bind(text)
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Deletes a ready answer. `false`: there is none.
    pub async fn delete_canned_reply(&self, id: i64) -> Result<bool> {
        let mut tx = self.write().await?;
        let deleted =
            sqlx::query("DELETE FROM canned_replies WHERE id = $1").bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Reads conversations that are older than the inbox once, so that its filters find them too.
    pub(super) async fn note_earlier_turns(&self) -> Result<()> {
        loop {
            let rows = sqlx::query(
                "SELECT id, customer, memory_json, (SELECT reply_json FROM messages
                     WHERE conversation_id = conversations.id AND author = 'bot' AND reply_json IS NOT NULL
                     ORDER BY id DESC LIMIT 1) AS reply_json
                 FROM conversations WHERE turn_noted = 0 ORDER BY id LIMIT $1",
            )
            .bind(EARLIER_AT_ONCE)
            .fetch_all(&self.pool)
            .await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut tx = self.write().await?;
            for row in &rows {
                tx.note_earlier_turn(row).await?;
            }
            tx.commit().await?;
        }
    }
}

impl WriteTransaction<'_> {
    /// A row that cannot be read is left without its turn: that must not keep the shop from being opened.
    async fn note_earlier_turn(&mut self, row: &AnyRow) -> Result<()> {
        let id = row.try_get("id")?;
        let customer: Option<String> = row.try_get("customer")?;
        let memory: Option<Memory> = serde_json::from_str(row.try_get("memory_json")?).ok();
        let reply: Option<String> = row.try_get("reply_json")?;
        let reply: Option<Reply> = reply.and_then(|json| serde_json::from_str(&json).ok());
        sqlx::query("UPDATE conversations SET verified_customer = $2, turn_noted = 1 WHERE id = $1")
            .bind(id)
            .bind(customer.or(memory.and_then(|memory| memory.verified_customer)))
            .execute(&mut *self.connection)
            .await?;
        match reply.filter(|reply| reply.effect != Some(Effect::AskRating)) {
            Some(reply) => self.note_turn(id, &reply).await,
            None => Ok(()),
        }
    }

    /// Notes what the lists show and filter of a bot's turn.
    pub(super) async fn note_turn(&mut self, conversation_id: i64, reply: &Reply) -> Result<()> {
        sqlx::query(
            "UPDATE conversations SET last_intent = $2, last_confidence = $3, last_declined = $4 WHERE id = $1",
        )
        .bind(conversation_id)
        .bind(&reply.intent)
        .bind((reply.intent_confidence * 1000.0) as i64)
        .bind(i64::from(reply.declined))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Keeps the words of a message for the search.
    pub(super) async fn note_words(&mut self, conversation_id: i64, message_id: i64, text: &str) -> Result<()> {
        sqlx::query("INSERT INTO message_texts (message_id, conversation_id, folded) VALUES ($1, $2, $3)")
            .bind(message_id)
            .bind(conversation_id)
            .bind(fold(text))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Whose a conversation is after an act: theirs who took or answered it in the console, nobody's when it was given
    /// back. Whatever staff do ends its rest; that nobody came does not.
    pub(super) async fn note_care(&mut self, conversation: &Conversation, event: &Event) -> Result<()> {
        let assignee = match event {
            Event::StaffAnswered(staff) | Event::StaffTook(staff) => {
                staff.id.strip_prefix("console:").and_then(|number| number.parse::<i64>().ok())
            }
            Event::HandedBack => None,
            Event::Closed => {
                sqlx::query("UPDATE conversations SET snoozed_until = NULL WHERE id = $1")
                    .bind(conversation.id)
                    .execute(&mut *self.connection)
                    .await?;
                return Ok(());
            }
            Event::ShopperWrote | Event::HandedOver | Event::ShopperReturned | Event::TimedOut => return Ok(()),
        };
        sqlx::query("UPDATE conversations SET assignee_id = $2, snoozed_until = NULL WHERE id = $1")
            .bind(conversation.id)
            .bind(assignee)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}

pub(super) fn optional_time(row: &AnyRow, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.and_then(Timestamp::from_timestamp_millis))
}

/// Words as they are searched: SQLite knows the lower case of ASCII alone, so it is made here.
fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// `$1, $2, $3` for a list of values.
fn places(count: usize) -> String {
    (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
