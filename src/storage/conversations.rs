//! Transcripts and outbox. A turn is one transaction: inbox row done, both messages, the conversation's new
//! state and the outbox row, all or nothing.

use std::ops::Range;

use sqlx::{Row, any::AnyRow};

use super::{
    Gathered, Result, Store, WriteTransaction, from_json, handover::standing_from_row, millis, parse_language,
    parse_name, staff_inbox::optional_time, timestamp, to_json,
};
use crate::{
    conversation::{Conversation, Event, Memory, Standing, State},
    message::{Channel, Effect, Language, Reply, Timestamp},
};

/// Who wrote a message of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The shopper.
    Shopper,
    /// The bot.
    Bot,
    /// Somebody of the staff.
    Staff,
    /// A notice such as "taken over by Ana".
    System,
    /// Somebody of the staff, for colleagues alone.
    Note,
}

impl Author {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shopper => "shopper",
            Self::Bot => "bot",
            Self::Staff => "staff",
            Self::System => "system",
            Self::Note => "note",
        }
    }

    /// Whether the shopper reads what this author writes; the rest is for staff alone.
    pub fn is_public(self) -> bool {
        matches!(self, Self::Shopper | Self::Bot | Self::Staff)
    }
}

impl std::str::FromStr for Author {
    type Err = crate::message::UnknownName;
    fn from_str(value: &str) -> std::result::Result<Self, Self::Err> {
        [Self::Shopper, Self::Bot, Self::Staff, Self::System, Self::Note]
            .into_iter()
            .find(|author| author.as_str() == value)
            .ok_or_else(|| crate::message::UnknownName { what: "author", value: value.to_owned() })
    }
}

/// What became of an accepted update, for a channel that shows it to the shopper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The channel's own id of the update.
    pub update_id: String,
    /// The shopper's message in the transcript; `None`: the update was set aside after too many failed tries.
    pub message_id: Option<i64>,
}

/// What a turn leaves behind.
#[derive(Debug, Clone)]
pub struct TurnOutcome<'a> {
    /// The inbox row that is now done.
    pub inbox_id: i64,
    /// The conversation with its new memory and language. Its state is not taken from here but from `reply`, because
    /// staff may have changed it meanwhile.
    pub conversation: &'a Conversation,
    /// The shopper's words as the transcript keeps them.
    pub shopper_text: &'a str,
    /// The bot's reply; `None` while a person has the word.
    pub reply: Option<&'a Reply>,
    /// Now.
    pub at: Timestamp,
}

/// One message of a transcript.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Row id; grows with time within a conversation.
    pub id: i64,
    /// Who wrote it.
    pub author: Author,
    /// Name of the staff member.
    pub author_name: Option<String>,
    /// The words.
    pub text: String,
    /// What decided a bot's turn.
    pub reply: Option<Reply>,
    /// When.
    pub at: Timestamp,
    /// What the shopper's tap said of it.
    pub rating: Option<bool>,
}

/// A conversation in a list.
#[derive(Debug, Clone)]
pub struct ConversationSummary {
    /// Row id.
    pub id: i64,
    /// Where it takes place.
    pub channel: Channel,
    /// The chat within the channel.
    pub chat: String,
    /// Who has the word, and since when.
    pub standing: Standing,
    /// A wish for a person that nobody has met yet, and since when.
    pub wish_left_at: Option<Timestamp>,
    /// The shopper's language.
    pub language: Language,
    /// Verified customer.
    pub customer: Option<String>,
    /// Number of messages.
    pub messages: i64,
    /// The latest message, notices left out.
    pub last_text: String,
    /// The latest message that has the words of the search.
    pub matched_text: Option<String>,
    /// Messages of the shopper and notes that the reader has not seen.
    pub unread: i64,
    /// Name of the colleague who looks after it.
    pub assignee: Option<String>,
    /// It rests, or rested, until then.
    pub snoozed_until: Option<Timestamp>,
    /// Intent of the bot's latest turn.
    pub last_intent: Option<String>,
    /// Probability of that intent, in thousandths.
    pub last_confidence: Option<i64>,
    /// The bot's latest turn could not answer.
    pub last_declined: bool,
    /// Its tags, by name.
    pub tags: Vec<String>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A reply that waits to be delivered.
#[derive(Debug, Clone)]
pub struct OutboxItem {
    /// Outbox row.
    pub id: i64,
    /// The chat within the channel.
    pub chat: String,
    /// The message to deliver.
    pub message: StoredMessage,
    /// Tries so far.
    pub attempts: i64,
}

impl Store {
    /// Receipts of a chat: the updates that became messages after the message `after`, and all that were set aside.
    pub async fn receipts(&self, channel: Channel, chat: &str, after: i64) -> Result<Vec<Receipt>> {
        let rows = sqlx::query(
            "SELECT update_id, message_id FROM inbox
             WHERE channel = $1 AND chat = $2 AND (message_id > $3 OR state = 'failed') ORDER BY id",
        )
        .bind(channel.as_str())
        .bind(chat)
        .bind(after)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| Ok(Receipt { update_id: row.try_get("update_id")?, message_id: row.try_get("message_id")? }))
            .collect()
    }

    /// The conversation of a chat.
    pub async fn conversation(&self, channel: Channel, chat: &str) -> Result<Option<Conversation>> {
        let row = sqlx::query("SELECT * FROM conversations WHERE channel = $1 AND chat = $2")
            .bind(channel.as_str())
            .bind(chat)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(conversation_from_row).transpose()
    }

    /// A conversation by its row.
    pub async fn conversation_by_id(&self, id: i64) -> Result<Option<Conversation>> {
        let row = sqlx::query("SELECT * FROM conversations WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(conversation_from_row).transpose()
    }

    /// Commits a turn. Returns the ids of the shopper's and of the bot's message; the latter is `None` when the bot is
    /// silent, also because a person took the word while the reply was being made. Does nothing twice: a row that is
    /// done already gives `None`.
    pub async fn commit_turn(&self, turn: &TurnOutcome<'_>) -> Result<Option<(i64, Option<i64>)>> {
        self.commit_gathered_turn(turn, &Gathered::default()).await
    }

    /// The same for a turn made of several updates or of more than words: all of it is done with the turn, or none.
    pub async fn commit_gathered_turn(
        &self,
        turn: &TurnOutcome<'_>,
        gathered: &Gathered<'_>,
    ) -> Result<Option<(i64, Option<i64>)>> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE inbox SET state = 'done', inbound_json = '{}', error = NULL WHERE id = $1 AND state = 'pending'",
        )
        .bind(turn.inbox_id)
        .execute(&mut *tx.connection)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let (mut conversation_id, state) = tx.touch_conversation(turn.conversation, turn.at).await?;
        let mut state = state.after(&Event::ShopperWrote);
        if turn.reply.is_some_and(|reply| reply.effect == Some(Effect::Erase)) && state.bot_answers() {
            tx.erase_chat(conversation_id, turn.inbox_id).await?;
            (conversation_id, _) = tx.touch_conversation(turn.conversation, turn.at).await?;
        }
        if turn.reply.is_some() && turn.conversation.memory.wish_left {
            state = state.after(&Event::ShopperReturned);
            tx.note_wish_left(conversation_id, turn.at).await?;
        }
        let shopper_id =
            tx.add_message(conversation_id, Author::Shopper, None, turn.shopper_text, None, turn.at).await?;
        tx.note_receipt(turn.inbox_id, shopper_id).await?;
        tx.keep_gathered(gathered, shopper_id).await?;
        let mut bot_id = None;
        if let Some(reply) = turn.reply.filter(|_| state.bot_answers()) {
            let id = tx.add_message(conversation_id, Author::Bot, None, &reply.text, Some(reply), turn.at).await?;
            tx.queue_delivery(turn.conversation, id).await?;
            tx.note_turn(conversation_id, reply).await?;
            bot_id = Some(id);
            if reply.handoff {
                state = state.after(&Event::HandedOver);
            }
        }
        tx.set_state(conversation_id, state, turn.at).await?;
        tx.commit().await?;
        Ok(Some((shopper_id, bot_id)))
    }

    /// Messages of a conversation after the message `after` (0: all), oldest first.
    pub async fn messages(&self, conversation_id: i64, after: i64) -> Result<Vec<StoredMessage>> {
        let rows = sqlx::query(
            "SELECT id, author, author_name, text, reply_json, at, rating FROM messages
             WHERE conversation_id = $1 AND id > $2 ORDER BY id",
        )
        .bind(conversation_id)
        .bind(after)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(message_from_row).collect()
    }

    /// The oldest waiting reply of each chat of `channel` that may be tried at `now`, oldest first. A chat whose oldest
    /// reply has to wait gives none, so that its order is kept. A wait that began after `now` was set by a clock that has
    /// been put back, and is over.
    pub async fn pending_outbox(&self, channel: Channel, now: Timestamp, limit: i64) -> Result<Vec<OutboxItem>> {
        let rows = sqlx::query(
            "SELECT outbox.id AS outbox_id, outbox.chat, outbox.attempts, messages.id, messages.author,
                 messages.author_name, messages.text, messages.reply_json, messages.at, messages.rating
             FROM (SELECT MIN(id) AS id FROM outbox WHERE channel = $1 AND state = 'pending' GROUP BY chat) AS oldest
             JOIN outbox ON outbox.id = oldest.id JOIN messages ON messages.id = outbox.message_id
             WHERE outbox.not_before <= $2 OR outbox.noted_at > $2 ORDER BY outbox.id LIMIT $3",
        )
        .bind(channel.as_str())
        .bind(millis(now))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(OutboxItem {
                    id: row.try_get("outbox_id")?,
                    chat: row.try_get("chat")?,
                    message: message_from_row(row)?,
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    /// Whether something that was said in a chat is not delivered yet.
    pub async fn awaits_delivery(&self, channel: Channel, chat: &str) -> Result<bool> {
        let row =
            sqlx::query("SELECT 1 AS waits FROM outbox WHERE channel = $1 AND chat = $2 AND state = 'pending' LIMIT 1")
                .bind(channel.as_str())
                .bind(chat)
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.is_some())
    }

    /// Notes that replies were delivered.
    pub async fn outbox_sent(&self, outbox_ids: &[i64]) -> Result<()> {
        let mut tx = self.write().await?;
        for id in outbox_ids {
            sqlx::query("UPDATE outbox SET state = 'sent', error = NULL WHERE id = $1")
                .bind(id)
                .execute(&mut *tx.connection)
                .await?;
        }
        tx.commit().await
    }

    /// Notes at `at` that a delivery failed: tried again from `retry_at` on, or given up for good when there is none.
    pub async fn outbox_failed(
        &self,
        outbox_id: i64,
        error: &str,
        at: Timestamp,
        retry_at: Option<Timestamp>,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE outbox SET attempts = attempts + 1, error = $2, not_before = $3, noted_at = $4, state = $5
             WHERE id = $1",
        )
        .bind(outbox_id)
        .bind(error)
        .bind(retry_at.map_or(0, millis))
        .bind(millis(at))
        .bind(if retry_at.is_some() { "pending" } else { "failed" })
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Wrong proofs for an order within `period`, over all chats.
    pub async fn verification_failures(&self, order_id: &str, period: Range<Timestamp>) -> Result<i64> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS failures FROM verification_failures WHERE order_id = $1 AND at >= $2 AND at < $3",
        )
        .bind(order_id)
        .bind(millis(period.start))
        .bind(millis(period.end))
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get("failures")?)
    }

    /// Notes a wrong proof for an order.
    pub async fn add_verification_failure(&self, order_id: &str, at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO verification_failures (order_id, at) VALUES ($1, $2)")
            .bind(order_id)
            .bind(millis(at))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }
}

impl WriteTransaction<'_> {
    /// Makes or refreshes the conversation's row; returns its id and the state it has now.
    async fn touch_conversation(&mut self, conversation: &Conversation, at: Timestamp) -> Result<(i64, State)> {
        let row = sqlx::query(
            "INSERT INTO conversations (channel, chat, state, language, customer, verified_customer, memory_json,
                 turn_noted, started_at, updated_at)
             VALUES ($1, $2, 'bot', $3, $4, $7, $5, 1, $6, $6)
             ON CONFLICT (channel, chat) DO UPDATE SET language = excluded.language, customer = excluded.customer,
                 verified_customer = excluded.verified_customer, memory_json = excluded.memory_json,
                 updated_at = excluded.updated_at
             RETURNING id, state",
        )
        .bind(conversation.channel.as_str())
        .bind(&conversation.chat)
        .bind(conversation.language.as_str())
        .bind(conversation.customer.as_deref())
        .bind(to_json(&conversation.memory)?)
        .bind(millis(at))
        .bind(conversation.verified_customer())
        .fetch_one(&mut *self.connection)
        .await?;
        Ok((row.try_get("id")?, parse_name("state", row.try_get("state")?)?))
    }

    pub(super) async fn add_message(
        &mut self,
        conversation_id: i64,
        author: Author,
        author_name: Option<&str>,
        text: &str,
        reply: Option<&Reply>,
        at: Timestamp,
    ) -> Result<i64> {
        let row = sqlx::query(
            "INSERT INTO messages (conversation_id, author, author_name, text, reply_json, at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(conversation_id)
        .bind(author.as_str())
        .bind(author_name)
        .bind(text)
        .bind(reply.map(to_json).transpose()?)
        .bind(millis(at))
        .fetch_one(&mut *self.connection)
        .await?;
        let id = row.try_get("id")?;
        self.note_words(conversation_id, id, text).await?;
        self.note_visit(conversation_id, author, text, reply, at).await?;
        Ok(id)
    }

    pub(super) async fn note_receipt(&mut self, inbox_id: i64, message_id: i64) -> Result<()> {
        sqlx::query("UPDATE inbox SET message_id = $2 WHERE id = $1")
            .bind(inbox_id)
            .bind(message_id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Telegram has to be called; the widget and the terminal read the transcript itself.
    pub(super) async fn queue_delivery(&mut self, conversation: &Conversation, message_id: i64) -> Result<()> {
        if conversation.channel != Channel::Telegram {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO outbox (channel, chat, message_id, state, attempts, not_before)
             VALUES ($1, $2, $3, 'pending', 0, 0)",
        )
        .bind(conversation.channel.as_str())
        .bind(&conversation.chat)
        .bind(message_id)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn set_state(&mut self, conversation_id: i64, state: State, at: Timestamp) -> Result<()> {
        // In an UPDATE the right-hand sides are the old values. Words of the shopper end a rest.
        sqlx::query(
            "UPDATE conversations SET state = $2, updated_at = $3,
                 assignee_id = CASE WHEN state = 'closed' AND $2 <> 'closed' THEN NULL ELSE assignee_id END,
                 snoozed_until = CASE WHEN snoozed_until > $3 THEN $3 ELSE snoozed_until END,
                 state_since = CASE WHEN state = $2 THEN state_since ELSE $3 END,
                 holder_json = CASE WHEN state = $2 THEN holder_json ELSE NULL END WHERE id = $1",
        )
        .bind(conversation_id)
        .bind(state.as_str())
        .bind(millis(at))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

pub(super) fn conversation_from_row(row: &AnyRow) -> Result<Conversation> {
    Ok(Conversation {
        id: row.try_get("id")?,
        channel: parse_name("channel", row.try_get("channel")?)?,
        chat: row.try_get("chat")?,
        state: parse_name("state", row.try_get("state")?)?,
        language: parse_language(row.try_get("language")?)?,
        customer: row.try_get("customer")?,
        memory: from_json::<Memory>("memory", row.try_get("memory_json")?)?,
    })
}

pub(super) fn message_from_row(row: &AnyRow) -> Result<StoredMessage> {
    let reply: Option<String> = row.try_get("reply_json")?;
    Ok(StoredMessage {
        id: row.try_get("id")?,
        author: parse_name("author", row.try_get("author")?)?,
        author_name: row.try_get("author_name")?,
        text: row.try_get("text")?,
        reply: reply.map(|text| from_json("reply", &text)).transpose()?,
        at: timestamp(row, "at")?,
        rating: row.try_get::<Option<i64>, _>("rating")?.map(|rating| rating > 0),
    })
}

pub(super) fn summary_from_row(row: &AnyRow) -> Result<ConversationSummary> {
    Ok(ConversationSummary {
        id: row.try_get("id")?,
        channel: parse_name("channel", row.try_get("channel")?)?,
        chat: row.try_get("chat")?,
        standing: standing_from_row(row)?,
        wish_left_at: optional_time(row, "wish_left_at")?,
        language: parse_language(row.try_get("language")?)?,
        customer: row.try_get("verified_customer")?,
        messages: row.try_get("message_count")?,
        last_text: row.try_get::<Option<String>, _>("last_text")?.unwrap_or_default(),
        matched_text: row.try_get("matched_text")?,
        unread: row.try_get("unread")?,
        assignee: row.try_get("assignee")?,
        snoozed_until: optional_time(row, "snoozed_until")?,
        last_intent: row.try_get("last_intent")?,
        last_confidence: row.try_get("last_confidence")?,
        last_declined: row.try_get::<i64, _>("last_declined")? > 0,
        tags: Vec::new(),
        started_at: timestamp(row, "started_at")?,
        updated_at: timestamp(row, "updated_at")?,
    })
}
