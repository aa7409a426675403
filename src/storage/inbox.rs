//! The inbox: updates are durable before a channel acknowledges them, and each is worked by one process at a time.
//!
//! A process claims a chat's oldest waiting update for the time of a lease and renews the lease while it works. Nobody
//! can claim a later update of that chat meanwhile, so that the order of a chat holds over any number of processes. A
//! lease only spares double work: what makes a turn happen once is that its commit finds the update still waiting.

use std::{fs::File, time::Duration};

use sqlx::{Row, any::AnyRow};

use super::{Result, StorageError, Store, WriteTransaction, from_json, millis, parse_name, timestamp, to_json};
use crate::message::{Channel, Inbound, Timestamp};

/// How long a claim holds without being renewed. After a crash on Postgres another process goes on after that time;
/// clocks of processes over one database may differ by less than that.
pub const LEASE: Duration = Duration::from_secs(30);

/// An update that waits for its turn.
#[derive(Debug, Clone)]
pub struct PendingInbound {
    /// Inbox row.
    pub id: i64,
    /// The message.
    pub inbound: Inbound,
    /// Tries so far.
    pub attempts: i64,
}

/// An update that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadUpdate {
    /// Where it came from.
    pub channel: Channel,
    /// The bot that got it.
    pub source: String,
    /// The channel's own id of it, or a digest where it has none, so that a redelivery is kept once.
    pub key: String,
    /// As it came.
    pub raw: String,
    /// Why it could not be read.
    pub error: String,
    /// When.
    pub received_at: Timestamp,
}

/// What staff see of updates that were set aside.
#[derive(Debug, Clone)]
pub struct SetAside {
    /// What it is, and its row.
    pub kind: SetAsideKind,
    /// Row id within its kind.
    pub id: i64,
    /// Where it came from.
    pub channel: Channel,
    /// The conversation it belongs to, when there is one.
    pub conversation_id: Option<i64>,
    /// The shopper's words as sent, or the update as it came.
    pub content: String,
    /// Why.
    pub error: String,
    /// When it was received.
    pub received_at: Timestamp,
}

/// The two ways to be set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAsideKind {
    /// Its turn failed too often.
    Message,
    /// It could not be read.
    Unread,
}

impl Store {
    /// Keeps an update for its turn. `None`: it had been kept before, so there is nothing to do but acknowledge it.
    pub async fn accept(&self, inbound: &Inbound) -> Result<Option<i64>> {
        let mut tx = self.write().await?;
        let id = tx.accept(inbound).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Keeps a whole delivery in one step. Returns how many of the updates are new.
    pub async fn accept_all(&self, inbounds: &[Inbound], unread: &[UnreadUpdate]) -> Result<usize> {
        if inbounds.is_empty() && unread.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let mut new = 0;
        for inbound in inbounds {
            new += usize::from(tx.accept(inbound).await?.is_some());
        }
        for update in unread {
            tx.keep_unread(update).await?;
        }
        tx.commit().await?;
        Ok(new)
    }

    /// Updates that wait, oldest first, whoever works them.
    pub async fn pending_inbound(&self, limit: i64) -> Result<Vec<PendingInbound>> {
        let rows =
            sqlx::query("SELECT id, inbound_json, attempts FROM inbox WHERE state = 'pending' ORDER BY id LIMIT $1")
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(pending_from_row).collect()
    }

    /// Updates of one chat that wait, in its order, at most `limit`.
    pub async fn pending_of_chat(&self, channel: Channel, chat: &str, limit: i64) -> Result<Vec<PendingInbound>> {
        let rows = sqlx::query(
            "SELECT id, inbound_json, attempts FROM inbox
             WHERE state = 'pending' AND channel = $1 AND chat = $2 ORDER BY sequence, id LIMIT $3",
        )
        .bind(channel.as_str())
        .bind(chat)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(pending_from_row).collect()
    }

    /// Claims the oldest waiting update of each of up to `limit` chats in which nobody works, for the time of a lease.
    pub async fn claim_inbound(&self, worker: &str, now: Timestamp, limit: i64) -> Result<Vec<PendingInbound>> {
        let mut tx = self.write().await?;
        // A lease that ends later than one taken now was taken by a clock that has been put back since.
        let rows = sqlx::query(
            "UPDATE inbox SET worker = $1, leased_until = $3
             WHERE state = 'pending' AND (leased_until <= $2 OR leased_until > $3) AND id IN (
                 SELECT id FROM inbox AS oldest
                 WHERE state = 'pending' AND (leased_until <= $2 OR leased_until > $3) AND NOT EXISTS (
                     SELECT 1 FROM inbox AS other
                     WHERE other.state = 'pending' AND other.channel = oldest.channel AND other.chat = oldest.chat
                       AND (other.sequence < oldest.sequence
                            OR (other.sequence = oldest.sequence AND other.id < oldest.id)
                            OR (other.leased_until > $2 AND other.leased_until <= $3)))
                 ORDER BY id LIMIT $4)
             RETURNING id, inbound_json, attempts",
        )
        .bind(worker)
        .bind(millis(now))
        .bind(millis(now + LEASE))
        .bind(limit)
        .fetch_all(&mut *tx.connection)
        .await?;
        tx.commit().await?;
        let mut claimed: Vec<PendingInbound> = rows.iter().map(pending_from_row).collect::<Result<_>>()?;
        claimed.sort_by_key(|pending| pending.id);
        Ok(claimed)
    }

    /// Makes the leases of `worker` hold for another while.
    pub async fn renew_claims(&self, worker: &str, now: Timestamp) -> Result<()> {
        self.set_claims(worker, millis(now + LEASE)).await
    }

    /// Gives back what `worker` has claimed and not done.
    pub async fn release_claims(&self, worker: &str) -> Result<()> {
        self.set_claims(worker, 0).await
    }

    async fn set_claims(&self, worker: &str, leased_until: i64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE inbox SET leased_until = $2 WHERE state = 'pending' AND worker = $1 AND leased_until > 0")
            .bind(worker)
            .bind(leased_until)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// Takes or renews the lease `name`; `false` while another worker has it.
    pub async fn hold_lease(&self, name: &str, worker: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write().await?;
        let held = sqlx::query(
            "INSERT INTO leases (name, worker, leased_until) VALUES ($1, $2, $4)
             ON CONFLICT (name) DO UPDATE SET worker = excluded.worker, leased_until = excluded.leased_until
             WHERE leases.worker = excluded.worker OR leases.leased_until <= $3 OR leases.leased_until > $4",
        )
        .bind(name)
        .bind(worker)
        .bind(millis(now))
        .bind(millis(now + LEASE))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await?;
        Ok(held.rows_affected() > 0)
    }

    /// Gives the lease `name` back.
    pub async fn release_lease(&self, name: &str, worker: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM leases WHERE name = $1 AND worker = $2")
            .bind(name)
            .bind(worker)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// To be called once by a process that is going to work the inbox. On SQLite a lock beside the database tells
    /// whether another process works it: if none does, leases of a process that was killed end here and now.
    pub async fn take_over_leases(&self) -> Result<()> {
        let Some(path) = &self.worker_lock else { return Ok(()) };
        let locked = File::options().create(true).truncate(false).write(true).open(path.as_ref());
        let Some(file) = locked.ok().filter(|file| file.try_lock().is_ok()) else { return Ok(()) };
        if self.locked.set(file).is_err() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        for sql in ["UPDATE inbox SET leased_until = 0 WHERE state = 'pending'", "DELETE FROM leases"] {
            sqlx::query(sql).execute(&mut *tx.connection).await?;
        }
        tx.commit().await
    }

    /// Notes that a turn failed; after `attempts_max` tries the update is set aside for staff to see.
    pub async fn inbound_failed(&self, inbox_id: i64, error: &str, attempts_max: i64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE inbox SET attempts = attempts + 1, error = $2, leased_until = 0,
                 state = CASE WHEN attempts + 1 >= $3 THEN 'failed' ELSE 'pending' END
             WHERE id = $1 AND state = 'pending'",
        )
        .bind(inbox_id)
        .bind(error)
        .bind(attempts_max)
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// How many updates are set aside.
    pub async fn set_aside_count(&self) -> Result<i64> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'failed')
                  + (SELECT COUNT(*) FROM unread_updates WHERE state = 'failed') AS set_aside",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get("set_aside")?)
    }

    /// Updates that are set aside, latest first, at most `limit` of each kind.
    pub async fn set_aside(&self, limit: i64) -> Result<Vec<SetAside>> {
        let messages = sqlx::query(
            "SELECT inbox.id, inbox.channel, inbox.inbound_json, inbox.error, inbox.received_at,
                 conversations.id AS conversation_id
             FROM inbox LEFT JOIN conversations
                 ON conversations.channel = inbox.channel AND conversations.chat = inbox.chat
             WHERE inbox.state = 'failed' ORDER BY inbox.id DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let unread = sqlx::query(
            "SELECT id, channel, raw, error, received_at FROM unread_updates
             WHERE state = 'failed' ORDER BY id DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let messages = messages.iter().map(|row| {
            let inbound: Inbound = from_json("inbound message", row.try_get("inbound_json")?)?;
            Ok(SetAside {
                kind: SetAsideKind::Message,
                conversation_id: row.try_get("conversation_id")?,
                content: inbound.text,
                ..set_aside_from_row(row)?
            })
        });
        let unread = unread.iter().map(|row| Ok(SetAside { content: row.try_get("raw")?, ..set_aside_from_row(row)? }));
        let mut found: Vec<SetAside> = messages.chain(unread).collect::<Result<_>>()?;
        found.sort_by_key(|update| std::cmp::Reverse(update.received_at));
        Ok(found)
    }

    /// Lets an update that is set aside wait for its turn again; `false` when it is not set aside any more.
    pub async fn try_again(&self, kind: SetAsideKind, id: i64) -> Result<bool> {
        let sql = match kind {
            SetAsideKind::Message => {
                "UPDATE inbox SET state = 'pending', attempts = 0, leased_until = 0 WHERE id = $1 AND state = 'failed'"
            }
            SetAsideKind::Unread => "UPDATE unread_updates SET state = 'pending' WHERE id = $1 AND state = 'failed'",
        };
        let mut tx = self.write().await?;
        let changed = sqlx::query(sql).bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Updates of a bot that are to be read again, oldest first, with their rows.
    pub async fn unread_to_read(&self, channel: Channel, source: &str) -> Result<Vec<(i64, String)>> {
        let rows = sqlx::query(
            "SELECT id, raw FROM unread_updates WHERE channel = $1 AND source = $2 AND state = 'pending' ORDER BY id",
        )
        .bind(channel.as_str())
        .bind(source)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("raw")?))).collect()
    }

    /// Forgets an update that could be read and is in the inbox now.
    pub async fn unread_was_read(&self, id: i64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM unread_updates WHERE id = $1").bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await
    }

    /// Notes that an update could not be read again.
    pub async fn unread_failed(&self, id: i64, error: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE unread_updates SET state = 'failed', error = $2 WHERE id = $1")
            .bind(id)
            .bind(error)
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }
}

impl WriteTransaction<'_> {
    async fn accept(&mut self, inbound: &Inbound) -> Result<Option<i64>> {
        let row = sqlx::query(
            "INSERT INTO inbox (channel, chat, update_id, sequence, inbound_json, state, attempts, received_at)
             VALUES ($1, $2, $3, $4, $5, 'pending', 0, $6)
             ON CONFLICT (channel, chat, update_id) DO NOTHING RETURNING id",
        )
        .bind(inbound.channel.as_str())
        .bind(&inbound.chat)
        .bind(&inbound.update_id)
        .bind(sequence(inbound))
        .bind(to_json(inbound)?)
        .bind(millis(inbound.received_at))
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.map(|row| row.try_get("id")).transpose()?)
    }

    async fn keep_unread(&mut self, update: &UnreadUpdate) -> Result<()> {
        sqlx::query(
            "INSERT INTO unread_updates (channel, source, update_key, raw, error, state, received_at)
             VALUES ($1, $2, $3, $4, $5, 'failed', $6) ON CONFLICT (channel, source, update_key) DO NOTHING",
        )
        .bind(update.channel.as_str())
        .bind(&update.source)
        .bind(&update.key)
        .bind(&update.raw)
        .bind(&update.error)
        .bind(millis(update.received_at))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

/// Telegram numbers its updates; a webhook may bring them in another order. The other channels have none but ours.
fn sequence(inbound: &Inbound) -> i64 {
    match inbound.channel {
        Channel::Telegram => inbound.update_id.parse().unwrap_or(0),
        Channel::Widget | Channel::Terminal | Channel::Batch => 0,
    }
}

fn pending_from_row(row: &AnyRow) -> Result<PendingInbound> {
    Ok(PendingInbound {
        id: row.try_get("id")?,
        inbound: from_json("inbound message", row.try_get("inbound_json")?)?,
        attempts: row.try_get("attempts")?,
    })
}

/// What both kinds have in common.
fn set_aside_from_row(row: &AnyRow) -> Result<SetAside> {
    Ok(SetAside {
        kind: SetAsideKind::Unread,
        id: row.try_get("id")?,
        channel: parse_name("channel", row.try_get("channel")?)?,
        conversation_id: None,
        content: String::new(),
        error: row.try_get::<Option<String>, _>("error")?.unwrap_or_default(),
        received_at: timestamp(row, "received_at")?,
    })
}

impl StorageError {
    /// Whether the same step may succeed later: the disk is full or read-only, the database is away or busy. What the
    /// database says of the values themselves does not pass.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::DataDir { .. } => true,
            Self::Database(sqlx::Error::Database(error)) => error.code().is_none_or(|code| is_passing_code(&code)),
            Self::Database(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            ),
            Self::Migration(_) | Self::Corrupt { .. } => false,
        }
    }
}

/// SQLite's result codes are numbers, with the main one in the low byte; Postgres' have five characters, with the class
/// in the first two.
fn is_passing_code(code: &str) -> bool {
    const PASSING_SQLITE: [u32; 9] = [5, 6, 7, 8, 9, 10, 13, 14, 15];
    const PASSING_POSTGRES: [&str; 6] = ["08", "25", "40", "53", "57", "58"];
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => PASSING_SQLITE.contains(&(number & 0xff)),
        _ => PASSING_POSTGRES.iter().any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_passes_and_a_broken_rule_does_not() {
        for code in ["13", "10", "778", "8", "5", "53100", "25006", "57P01", "40001"] {
            assert!(is_passing_code(code), "{code}");
        }
        for code in ["19", "2067", "1", "23505", "22021", "42601"] {
            assert!(!is_passing_code(code), "{code}");
        }
    }
}
