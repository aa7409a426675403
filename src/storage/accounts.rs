//! People who may use the console, and their sessions.

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, millis, parse_name};
use crate::{
    conversation::State,
    message::{Timestamp, UnknownName},
};

/// What somebody may do in the console. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Answers shoppers.
    Agent,
    /// Keeps documents and catalogue.
    Merchant,
    /// Everything, people included.
    Owner,
}

impl Role {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Agent => "agent",
            Self::Merchant => "merchant",
            Self::Owner => "owner",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownName;
    fn from_str(value: &str) -> std::result::Result<Self, Self::Err> {
        [Self::Viewer, Self::Agent, Self::Merchant, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == value)
            .ok_or_else(|| UnknownName { what: "role", value: value.to_owned() })
    }
}

/// Somebody who may use the console.
#[derive(Debug, Clone)]
pub struct User {
    /// Row id.
    pub id: i64,
    /// Log-in name.
    pub email: String,
    /// Name that colleagues see.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// May log in.
    pub is_active: bool,
}

/// How many conversations there are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConversationCounts {
    /// The bot answers.
    pub bot: i64,
    /// A shopper waits for a person.
    pub waiting: i64,
    /// A person answers.
    pub with_staff: i64,
    /// Ended.
    pub closed: i64,
}

impl ConversationCounts {
    /// All of them.
    pub fn total(&self) -> i64 {
        self.bot + self.waiting + self.with_staff + self.closed
    }
}

/// Setting with the digest of the set-up token.
const SETUP_TOKEN: &str = "console_setup_token_sha256";

impl Store {
    /// Adds somebody; `None` when the e-mail is taken.
    pub async fn add_user(
        &self,
        email: &str,
        name: &str,
        role: Role,
        password_hash: &str,
        at: Timestamp,
    ) -> Result<Option<i64>> {
        let mut tx = self.write().await?;
        let row = sqlx::query(
            "INSERT INTO users (email, name, role, password_hash, created_at) VALUES (LOWER($1), $2, $3, $4, $5)
             ON CONFLICT (email) DO NOTHING RETURNING id",
        )
        .bind(email)
        .bind(name)
        .bind(role.as_str())
        .bind(password_hash)
        .bind(millis(at))
        .fetch_optional(&mut *tx.connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        tx.commit().await?;
        Ok(Some(row.try_get("id")?))
    }

    /// Somebody by e-mail.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        let row =
            sqlx::query("SELECT * FROM users WHERE email = LOWER($1)").bind(email).fetch_optional(&self.pool).await?;
        row.as_ref().map(user_from_row).transpose()
    }

    /// Somebody by row.
    pub async fn user(&self, id: i64) -> Result<Option<User>> {
        let row = sqlx::query("SELECT * FROM users WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(user_from_row).transpose()
    }

    /// How many people there are; with none, the first start asks for an owner.
    pub async fn user_count(&self) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) AS people FROM users").fetch_one(&self.pool).await?;
        Ok(row.try_get("people")?)
    }

    /// Everybody, by name.
    pub async fn users(&self) -> Result<Vec<User>> {
        let rows = sqlx::query("SELECT * FROM users ORDER BY name, id").fetch_all(&self.pool).await?;
        rows.iter().map(user_from_row).collect()
    }

    /// Keeps the digest of the token that lets the first owner in; an earlier one is void.
    pub async fn keep_setup_token(&self, digest: &str) -> Result<()> {
        self.set_setting(SETUP_TOKEN, digest).await
    }

    /// Whether the token with this digest still lets the first owner in.
    pub async fn has_setup_token(&self, digest: &str) -> Result<bool> {
        Ok(self.setting(SETUP_TOKEN).await?.is_some_and(|kept| kept == digest) && self.user_count().await? == 0)
    }

    /// Adds the first owner and voids the token in one step; `None` when the token is void or somebody is there.
    pub async fn add_first_owner(
        &self,
        token_digest: &str,
        email: &str,
        name: &str,
        password_hash: &str,
        at: Timestamp,
    ) -> Result<Option<i64>> {
        let mut tx = self.write().await?;
        let void = sqlx::query("DELETE FROM settings WHERE key = $1 AND value = $2")
            .bind(SETUP_TOKEN)
            .bind(token_digest)
            .execute(&mut *tx.connection)
            .await?;
        let row = sqlx::query("SELECT COUNT(*) AS people FROM users").fetch_one(&mut *tx.connection).await?;
        if void.rows_affected() == 0 || row.try_get::<i64, _>("people")? > 0 {
            return Ok(None);
        }
        let row = sqlx::query(
            "INSERT INTO users (email, name, role, password_hash, created_at) VALUES (LOWER($1), $2, $3, $4, $5)
             RETURNING id",
        )
        .bind(email)
        .bind(name)
        .bind(Role::Owner.as_str())
        .bind(password_hash)
        .bind(millis(at))
        .fetch_one(&mut *tx.connection)
        .await?;
        tx.commit().await?;
        Ok(Some(row.try_get("id")?))
    }

    /// How many conversations there are in each state.
    pub async fn conversation_counts(&self) -> Result<ConversationCounts> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS conversations FROM conversations GROUP BY state")
            .fetch_all(&self.pool)
            .await?;
        let mut counts = ConversationCounts::default();
        for row in &rows {
            let count: i64 = row.try_get("conversations")?;
            match parse_name("state", row.try_get("state")?)? {
                State::Bot => counts.bot = count,
                State::Waiting => counts.waiting = count,
                State::WithStaff => counts.with_staff = count,
                State::Closed => counts.closed = count,
            }
        }
        Ok(counts)
    }

    /// Makes room for a session, until `expires_at`.
    pub async fn add_session(&self, id: &str, expires_at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO sessions (id, record_json, expires_at) VALUES ($1, '{}', $2)")
            .bind(id)
            .bind(millis(expires_at))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// Keeps a session's record, and whose it is, until `expires_at`. One that has been ended meanwhile stays so.
    pub async fn save_session(
        &self,
        id: &str,
        record_json: &str,
        user_id: Option<i64>,
        expires_at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE sessions SET record_json = $2, user_id = $3, expires_at = $4 WHERE id = $1")
            .bind(id)
            .bind(record_json)
            .bind(user_id)
            .bind(millis(expires_at))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await
    }

    /// Takes out the sessions that had expired by `now`.
    pub async fn delete_expired_sessions(&self, now: Timestamp) -> Result<u64> {
        let mut tx = self.write().await?;
        let deleted = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(millis(now))
            .execute(&mut *tx.connection)
            .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected())
    }

    /// A session's record, unless it has expired by `now`. One that has expired is deleted, so that a clock which is put
    /// back does not bring it back.
    pub async fn session(&self, id: &str, now: Timestamp) -> Result<Option<String>> {
        let row = sqlx::query("SELECT record_json, expires_at FROM sessions WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<i64, _>("expires_at")? <= millis(now) {
            self.delete_session(id).await?;
            return Ok(None);
        }
        Ok(Some(row.try_get("record_json")?))
    }

    /// Ends a session.
    pub async fn delete_session(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM sessions WHERE id = $1").bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await
    }
}

pub(super) fn user_from_row(row: &AnyRow) -> Result<User> {
    Ok(User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: parse_name("role", row.try_get("role")?)?,
        password_hash: row.try_get("password_hash")?,
        is_active: row.try_get::<Option<i64>, _>("deactivated_at")?.is_none(),
    })
}
