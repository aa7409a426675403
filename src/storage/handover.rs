//! What staff do with conversations. An act is one transaction: the conversation's new standing, the words to the
//! shopper with their delivery, the notice in the transcript, and the update that asked for it.

use chrono::TimeDelta;
use sqlx::{Row, any::AnyRow};

use super::{
    Author, Result, Store, StoredMessage, WriteTransaction,
    conversations::{conversation_from_row, message_from_row},
    from_json, millis, parse_language, parse_name, timestamp, to_json,
};
use crate::{
    conversation::{Event, Holder, Locked, Staff, Standing, State},
    message::{Channel, Language, Reply, Timestamp},
};

/// Waits that the expected one is made from, and how old they may be.
const RECENT_WAITS: i64 = 50;
const RECENT: TimeDelta = TimeDelta::days(14);

/// Something that staff do, or time does, to a conversation.
#[derive(Debug, Clone)]
pub struct StaffAct<'a> {
    /// Which conversation.
    pub conversation_id: i64,
    /// What happens.
    pub event: Event,
    /// What a person says to the shopper.
    pub words: Option<&'a str>,
    /// What the transcript says of it to staff.
    pub notice: Option<&'a str>,
    /// What the bot says of it to the shopper.
    pub says: Option<&'a Reply>,
    /// The channel's update that asked for it: the same one does nothing twice.
    pub update: Option<&'a str>,
    /// Only if nothing was written or done since this moment, which is when the conversation was seen to change last.
    pub unchanged: Option<Timestamp>,
    /// Now.
    pub at: Timestamp,
}

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It is done; the person's message, where there is one.
    Done(Option<i64>),
    /// It had no effect: the conversation was in that state already.
    Unchanged,
    /// A colleague is answering; nothing was said.
    Locked(Holder),
    /// There is no such conversation.
    Missing,
}

/// A conversation that waits for a person or has one.
#[derive(Debug, Clone)]
pub struct Attended {
    /// Row id.
    pub id: i64,
    /// Where it takes place.
    pub channel: Channel,
    /// The chat within the channel.
    pub chat: String,
    /// The shopper's language.
    pub language: Language,
    /// Who has it, and since when.
    pub standing: Standing,
    /// When the latest message was written.
    pub updated_at: Timestamp,
}

impl Store {
    /// Does what staff want, or says why not.
    pub async fn act(&self, act: &StaffAct<'_>) -> Result<Acted> {
        let mut tx = self.write().await?;
        if !tx.first_time(act.update, act.at).await? {
            return Ok(Acted::Unchanged);
        }
        let row = sqlx::query("SELECT * FROM conversations WHERE id = $1")
            .bind(act.conversation_id)
            .fetch_optional(&mut *tx.connection)
            .await?;
        let Some(row) = row else { return Ok(Acted::Missing) };
        let (conversation, before) = (conversation_from_row(&row)?, standing_from_row(&row)?);
        let changed_at = timestamp(&row, "updated_at")?;
        if act.unchanged.is_some_and(|seen| seen != changed_at) {
            return Ok(Acted::Unchanged);
        }
        let after = match before.after(&act.event, act.at) {
            Ok(after) => after,
            Err(Locked(holder)) => return Ok(Acted::Locked(holder)),
        };
        let same_holder =
            after.holder.as_ref().map(|holder| &holder.staff) == before.holder.as_ref().map(|holder| &holder.staff);
        if act.words.is_none() && after.state == before.state && same_holder {
            return Ok(Acted::Unchanged);
        }
        if let Some(notice) = act.notice {
            tx.add_message(conversation.id, Author::System, None, notice, None, act.at).await?;
        }
        let mut message = None;
        if let (Some(words), Event::StaffAnswered(staff)) = (act.words, &act.event) {
            let id = tx.add_message(conversation.id, Author::Staff, Some(&staff.name), words, None, act.at).await?;
            tx.note_writer(id, staff).await?;
            tx.queue_delivery(&conversation, id).await?;
            message = Some(id);
        }
        if let Some(reply) = act.says {
            let id = tx.add_message(conversation.id, Author::Bot, None, &reply.text, Some(reply), act.at).await?;
            tx.queue_delivery(&conversation, id).await?;
        }
        if before.state == State::Waiting && after.state == State::WithStaff {
            tx.note_wait(before.since, act.at).await?;
        }
        let wish_left = match act.event {
            Event::TimedOut if before.state == State::Waiting => Some(act.at),
            Event::StaffAnswered(_) | Event::StaffTook(_) | Event::Closed => None,
            _ => row.try_get::<Option<i64>, _>("wish_left_at")?.and_then(Timestamp::from_timestamp_millis),
        };
        tx.set_standing(conversation.id, &after, wish_left, act.at).await?;
        tx.note_care(&conversation, &act.event).await?;
        tx.commit().await?;
        Ok(Acted::Done(message))
    }

    /// A message of staff to the shopper; the bot falls silent. `Locked`: a colleague is answering.
    pub async fn staff_reply(
        &self,
        conversation_id: i64,
        staff: impl Into<Staff>,
        text: &str,
        at: Timestamp,
    ) -> Result<Acted> {
        let event = Event::StaffAnswered(staff.into());
        let (words, notice, says, update, unchanged) = (Some(text), None, None, None, None);
        self.act(&StaffAct { conversation_id, event, words, notice, says, update, unchanged, at }).await
    }

    /// A note for colleagues, which the shopper never gets.
    pub async fn add_note(
        &self,
        conversation_id: i64,
        staff: &Staff,
        text: &str,
        update: Option<&str>,
        at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        if !tx.first_time(update, at).await? {
            return Ok(());
        }
        let id = tx.add_message(conversation_id, Author::Note, Some(&staff.name), text, None, at).await?;
        tx.note_writer(id, staff).await?;
        tx.commit().await
    }

    /// Who has a conversation, and since when.
    pub async fn standing(&self, conversation_id: i64) -> Result<Option<Standing>> {
        let row = sqlx::query("SELECT * FROM conversations WHERE id = $1")
            .bind(conversation_id)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(standing_from_row).transpose()
    }

    /// Whether the bot has a conversation whose wish for a person nobody has met yet.
    pub async fn has_open_wish(&self, conversation_id: i64) -> Result<bool> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS wishes FROM conversations WHERE id = $1 AND wish_left_at IS NOT NULL AND state = 'bot'",
        )
        .bind(conversation_id)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get::<i64, _>("wishes")? > 0)
    }

    /// Conversations that wait for a person or have one, those first that came first.
    pub async fn attended(&self) -> Result<Vec<Attended>> {
        let rows = sqlx::query(
            "SELECT * FROM conversations WHERE state IN ('waiting', 'with_staff')
             ORDER BY COALESCE(state_since, started_at), id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Attended {
                    id: row.try_get("id")?,
                    channel: parse_name("channel", row.try_get("channel")?)?,
                    chat: row.try_get("chat")?,
                    language: parse_language(row.try_get("language")?)?,
                    standing: standing_from_row(row)?,
                    updated_at: timestamp(row, "updated_at")?,
                })
            })
            .collect()
    }

    /// Begin and end of the latest waits that ended with a person, latest first.
    pub async fn recent_waits(&self, at: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>> {
        let rows = sqlx::query("SELECT began_at, ended_at FROM waits WHERE ended_at > $1 ORDER BY id DESC LIMIT $2")
            .bind(millis(at - RECENT))
            .bind(RECENT_WAITS)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((timestamp(row, "began_at")?, timestamp(row, "ended_at")?))).collect()
    }

    /// Messages of a conversation after the message `after`, oldest first, each with the id of the staff who wrote it.
    pub async fn messages_with_writers(
        &self,
        conversation_id: i64,
        after: i64,
    ) -> Result<Vec<(StoredMessage, Option<String>)>> {
        let rows = sqlx::query(
            "SELECT id, author, author_name, text, reply_json, at, rating, staff_id FROM messages
             WHERE conversation_id = $1 AND id > $2 ORDER BY id",
        )
        .bind(conversation_id)
        .bind(after)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((message_from_row(row)?, row.try_get("staff_id")?))).collect()
    }
}

impl WriteTransaction<'_> {
    /// Notes an update; `false` when its effect is there already.
    pub(super) async fn first_time(&mut self, update: Option<&str>, at: Timestamp) -> Result<bool> {
        let Some(update) = update else { return Ok(true) };
        let noted = sqlx::query("INSERT INTO staff_updates (update_key, at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(update)
            .bind(millis(at))
            .execute(&mut *self.connection)
            .await?;
        Ok(noted.rows_affected() > 0)
    }

    async fn note_writer(&mut self, message_id: i64, staff: &Staff) -> Result<()> {
        sqlx::query("UPDATE messages SET staff_id = $2 WHERE id = $1")
            .bind(message_id)
            .bind(&staff.id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn note_wait(&mut self, began_at: Timestamp, ended_at: Timestamp) -> Result<()> {
        sqlx::query("INSERT INTO waits (began_at, ended_at) VALUES ($1, $2)")
            .bind(millis(began_at))
            .bind(millis(ended_at))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn set_standing(
        &mut self,
        conversation_id: i64,
        standing: &Standing,
        wish_left_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE conversations SET state = $2, state_since = $3, holder_json = $4, wish_left_at = $5, updated_at = $6
             WHERE id = $1",
        )
        .bind(conversation_id)
        .bind(standing.state.as_str())
        .bind(millis(standing.since))
        .bind(standing.holder.as_ref().map(to_json).transpose()?)
        .bind(wish_left_at.map(millis))
        .bind(millis(at))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Notes a wish for a person that waits although the bot goes on.
    pub(super) async fn note_wish_left(&mut self, conversation_id: i64, at: Timestamp) -> Result<()> {
        sqlx::query("UPDATE conversations SET wish_left_at = $2 WHERE id = $1")
            .bind(conversation_id)
            .bind(millis(at))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}

pub(super) fn standing_from_row(row: &AnyRow) -> Result<Standing> {
    let since: Option<i64> = row.try_get("state_since")?;
    let holder: Option<String> = row.try_get("holder_json")?;
    Ok(Standing {
        state: parse_name("state", row.try_get("state")?)?,
        since: match since.and_then(Timestamp::from_timestamp_millis) {
            Some(since) => since,
            None => timestamp(row, "started_at")?,
        },
        holder: holder.map(|json| from_json("staff", &json)).transpose()?,
    })
}
