//! What owners decide about people: their role, whether they are let in, links for a new password, and their sessions.

use sqlx::Row;

use super::{Result, Role, Store, User, WriteTransaction, accounts::user_from_row, millis};
use crate::message::Timestamp;

impl Store {
    /// Gives somebody another role. `false`: there is nobody, or they are the last owner.
    pub async fn set_role(&self, id: i64, role: Role) -> Result<bool> {
        let mut tx = self.write().await?;
        tx.lock_owners().await?;
        let changed = sqlx::query(
            "UPDATE users SET role = $2 WHERE id = $1 AND ($2 = 'owner' OR role <> 'owner' OR deactivated_at IS NOT NULL
                 OR EXISTS (SELECT 1 FROM users AS others WHERE others.id <> $1 AND others.role = 'owner'
                     AND others.deactivated_at IS NULL))",
        )
        .bind(id)
        .bind(role.as_str())
        .execute(&mut *tx.connection)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Keeps somebody out: their sessions end and their link for a new password is void. `false`: there is nobody, they
    /// are out already, or they are the last owner.
    pub async fn deactivate(&self, id: i64, at: Timestamp) -> Result<bool> {
        let mut tx = self.write().await?;
        tx.lock_owners().await?;
        let changed = sqlx::query(
            "UPDATE users SET deactivated_at = $2 WHERE id = $1 AND deactivated_at IS NULL AND (role <> 'owner'
                 OR EXISTS (SELECT 1 FROM users AS others WHERE others.id <> $1 AND others.role = 'owner'
                     AND others.deactivated_at IS NULL))",
        )
        .bind(id)
        .bind(millis(at))
        .execute(&mut *tx.connection)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        for statement in ["DELETE FROM sessions WHERE user_id = $1", "DELETE FROM password_links WHERE user_id = $1"] {
            sqlx::query(statement).bind(id).execute(&mut *tx.connection).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Lets somebody in again. `false`: nobody was kept out.
    pub async fn activate(&self, id: i64) -> Result<bool> {
        let mut tx = self.write().await?;
        let changed =
            sqlx::query("UPDATE users SET deactivated_at = NULL WHERE id = $1 AND deactivated_at IS NOT NULL")
                .bind(id)
                .execute(&mut *tx.connection)
                .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Keeps the digest of a link for a new password; an earlier one of the same person is void.
    pub async fn keep_password_link(&self, user_id: i64, digest: &str, expires_at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO password_links (user_id, digest, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (user_id) DO UPDATE SET digest = excluded.digest, expires_at = excluded.expires_at",
        )
        .bind(user_id)
        .bind(digest)
        .bind(millis(expires_at))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Whose link this is, unless it is void or over.
    pub async fn password_link_owner(&self, digest: &str, now: Timestamp) -> Result<Option<User>> {
        let row = sqlx::query(
            "SELECT users.* FROM password_links JOIN users ON users.id = password_links.user_id
             WHERE password_links.digest = $1 AND password_links.expires_at > $2 AND users.deactivated_at IS NULL",
        )
        .bind(digest)
        .bind(millis(now))
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(user_from_row).transpose()
    }

    /// Sets a password by a link, which is void from then on; all sessions of its owner end. `false`: it was void.
    pub async fn use_password_link(&self, digest: &str, password_hash: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write().await?;
        let row = sqlx::query("DELETE FROM password_links WHERE digest = $1 AND expires_at > $2 RETURNING user_id")
            .bind(digest)
            .bind(millis(now))
            .fetch_optional(&mut *tx.connection)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let user_id = row.try_get("user_id")?;
        tx.set_password(user_id, password_hash).await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(user_id).execute(&mut *tx.connection).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Sets somebody's password. Sessions that were opened with the old one are over.
    pub async fn set_password(&self, user_id: i64, password_hash: &str) -> Result<()> {
        let mut tx = self.write().await?;
        tx.set_password(user_id, password_hash).await?;
        sqlx::query("DELETE FROM password_links WHERE user_id = $1").bind(user_id).execute(&mut *tx.connection).await?;
        tx.commit().await
    }

    /// Somebody's sessions at `now`, as digest and record.
    pub async fn sessions_of(&self, user_id: i64, now: Timestamp) -> Result<Vec<(String, String)>> {
        let rows =
            sqlx::query("SELECT id, record_json FROM sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY id")
                .bind(user_id)
                .bind(millis(now))
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("record_json")?))).collect()
    }

    /// Ends a session of somebody. `false`: they have none of this id.
    pub async fn end_session(&self, user_id: i64, id: &str) -> Result<bool> {
        let mut tx = self.write().await?;
        let ended = sqlx::query("DELETE FROM sessions WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user_id)
            .execute(&mut *tx.connection)
            .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}

impl WriteTransaction<'_> {
    /// On Postgres two owners could demote each other at the same moment, each seeing the other as owner still.
    async fn lock_owners(&mut self) -> Result<()> {
        sqlx::query("UPDATE users SET role = role WHERE role = 'owner'").execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn set_password(&mut self, user_id: i64, password_hash: &str) -> Result<()> {
        sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
            .bind(user_id)
            .bind(password_hash)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
