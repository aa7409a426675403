//! People who may use the console, and their sessions.

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, millis, parse_name};
use crate::message::{Timestamp, UnknownName};

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
}

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
        .fetch_optional(&mut *tx.transaction)
        .await?;
        let id = row.map(|row| row.try_get("id")).transpose()?;
        tx.commit().await?;
        Ok(id)
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

    /// Keeps a session's record until `expires_at`.
    pub async fn save_session(&self, id: &str, record_json: &str, expires_at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO sessions (id, record_json, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET record_json = excluded.record_json, expires_at = excluded.expires_at",
        )
        .bind(id)
        .bind(record_json)
        .bind(millis(expires_at))
        .execute(&mut *tx.transaction)
        .await?;
        tx.commit().await
    }

    /// A session's record, unless it has expired by `now`.
    pub async fn session(&self, id: &str, now: Timestamp) -> Result<Option<String>> {
        let row = sqlx::query("SELECT record_json FROM sessions WHERE id = $1 AND expires_at > $2")
            .bind(id)
            .bind(millis(now))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(row.try_get("record_json")?)).transpose()
    }

    /// Ends a session.
    pub async fn delete_session(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM sessions WHERE id = $1").bind(id).execute(&mut *tx.transaction).await?;
        tx.commit().await
    }
}

fn user_from_row(row: &AnyRow) -> Result<User> {
    Ok(User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: parse_name("role", row.try_get("role")?)?,
        password_hash: row.try_get("password_hash")?,
    })
}
