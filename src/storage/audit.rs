//! Who did what, and when. An entry is written in the transaction of its deed: a `Store` made by `noting` adds the entry
//! to whatever it commits, so that neither is there without the other. Subjects are references, never shoppers' words.

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, WriteTransaction, millis, parse_name, timestamp};
use crate::{
    conversation::Staff,
    message::{Timestamp, UnknownName},
};

macro_rules! audit_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum AuditKind { $($(#[$doc])* $name,)* }

        impl AuditKind {
            /// All of them, in the order in which they are offered.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stored name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

audit_kinds! {
    /// Logged in.
    SignedIn = "signed_in";
    /// Tried to with a wrong password or name.
    SignInFailed = "sign_in_failed";
    /// Logged out.
    SignedOut = "signed_out";
    /// Added somebody.
    PersonAdded = "person_added";
    /// Gave somebody another role.
    RoleChanged = "role_changed";
    /// Keeps somebody out.
    PersonDeactivated = "person_deactivated";
    /// Lets somebody in again.
    PersonActivated = "person_activated";
    /// Made a link for a new password.
    PasswordLinkMade = "password_link_made";
    /// Set a password.
    PasswordChanged = "password_changed";
    /// Ended a session.
    SessionEnded = "session_ended";
    /// Uploaded a file.
    FileUploaded = "file_uploaded";
    /// Published a document.
    DocumentPublished = "document_published";
    /// Threw a draft away.
    DraftThrownAway = "draft_thrown_away";
    /// Rolled a document back.
    DocumentRolledBack = "document_rolled_back";
    /// Deleted a document.
    DocumentDeleted = "document_deleted";
    /// Said until when a document is valid.
    ValidityChanged = "validity_changed";
    /// Let an answer of staff in.
    CorrectionApproved = "correction_approved";
    /// Refused an answer of staff.
    CorrectionRejected = "correction_rejected";
    /// Changed an answer of staff that is live.
    CorrectionChanged = "correction_changed";
    /// Took an answer of staff back.
    CorrectionWithdrawn = "correction_withdrawn";
    /// Took a conversation over.
    ConversationTaken = "conversation_taken";
    /// Gave a conversation back to the bot.
    ConversationHandedBack = "conversation_handed_back";
    /// Ended a conversation.
    ConversationClosed = "conversation_closed";
    /// Took a shopper's conversation away as a file.
    ShopperExported = "shopper_exported";
    /// Took a list away as a file.
    ListExported = "list_exported";
    /// Changed what the shop's console is set to.
    SettingChanged = "setting_changed";
}

impl std::str::FromStr for AuditKind {
    type Err = UnknownName;
    fn from_str(value: &str) -> std::result::Result<Self, Self::Err> {
        let kind = Self::ALL.iter().copied().find(|kind| kind.as_str() == value);
        kind.ok_or_else(|| UnknownName { what: "kind of deed", value: value.to_owned() })
    }
}

/// An entry as it goes in.
#[derive(Debug, Clone)]
pub struct Deed {
    /// Who; `None` where nobody is known by the name that was tried.
    pub actor: Option<Staff>,
    /// What.
    pub kind: AuditKind,
    /// To what.
    pub subject: String,
    /// When.
    pub at: Timestamp,
}

/// One entry of the log.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Row id.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who, such as `console:3`.
    pub actor_id: Option<String>,
    /// Their name at that time.
    pub actor_name: String,
    /// What.
    pub kind: AuditKind,
    /// To what.
    pub subject: String,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this person alone.
    pub actor_id: Option<String>,
    /// Of this kind alone.
    pub kind: Option<AuditKind>,
    /// From then on.
    pub from: Option<Timestamp>,
    /// Until before then.
    pub until: Option<Timestamp>,
    /// So many are passed over.
    pub offset: i64,
    /// At most so many.
    pub limit: i64,
}

impl Store {
    /// The same store, whose next commit notes `deed` too. For one deed: a step that commits twice would note it twice.
    #[must_use]
    pub fn noting(&self, deed: Deed) -> Self {
        Self { deed: Some(deed.into()), ..self.clone() }
    }

    /// Notes a deed that changed nothing in the database, or whose change is committed elsewhere.
    pub async fn note_deed(&self, deed: Deed) -> Result<()> {
        self.noting(deed).write().await?.commit().await
    }

    /// Entries of the log, latest first.
    pub async fn audit_entries(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>> {
        // Empty and zero stand for "any": a NULL would have no type on Postgres.
        let rows = sqlx::query(
            "SELECT id, at, actor_id, actor_name, kind, subject FROM audit_log
             WHERE at >= $1 AND at < $2 AND ($3 = '' OR actor_id = $3) AND ($4 = '' OR kind = $4)
             ORDER BY at DESC, id DESC LIMIT $5 OFFSET $6",
        )
        .bind(filter.from.map_or(i64::MIN, millis))
        .bind(filter.until.map_or(i64::MAX, millis))
        .bind(filter.actor_id.as_deref().unwrap_or_default())
        .bind(filter.kind.map_or("", AuditKind::as_str))
        .bind(filter.limit)
        .bind(filter.offset)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(entry_from_row).collect()
    }

    /// Everybody who has done something, as id and latest name, by name.
    pub async fn audit_actors(&self) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query(
            "SELECT actor_id, actor_name FROM audit_log
             WHERE id IN (SELECT MAX(id) FROM audit_log WHERE actor_id IS NOT NULL GROUP BY actor_id)
             ORDER BY actor_name, actor_id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("actor_id")?, row.try_get("actor_name")?))).collect()
    }
}

impl WriteTransaction<'_> {
    pub(super) async fn note(&mut self, deed: &Deed) -> Result<()> {
        sqlx::query("INSERT INTO audit_log (at, actor_id, actor_name, kind, subject) VALUES ($1, $2, $3, $4, $5)")
            .bind(millis(deed.at))
            .bind(deed.actor.as_ref().map(|actor| actor.id.as_str()))
            .bind(deed.actor.as_ref().map_or("", |actor| actor.name.as_str()))
            .bind(deed.kind.as_str())
            .bind(&deed.subject)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}

fn entry_from_row(row: &AnyRow) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: timestamp(row, "at")?,
        actor_id: row.try_get("actor_id")?,
        actor_name: row.try_get("actor_name")?,
        kind: parse_name("kind of deed", row.try_get("kind")?)?,
        subject: row.try_get("subject")?,
    })
}
