//! Everything that lasts, and all of the SQL. One `Store` over SQLite (a file in the data directory) or Postgres; the
//! statements are the same for both. Each public method is one step that either happens or does not.

mod accounts;
mod catalogue;
mod audit;
mod chats;
mod conversations;
mod inbox;
mod handover;
mod kept_documents;
mod knowledge;
mod merchant_files;
mod question_set;
mod outcomes;
mod people;
mod records;
mod staff_inbox;
mod staff_answers;
mod topics;
mod widget;
mod visits;

use std::{
    fs::File,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{
    Any, AnyPool, AssertSqlSafe, Row, SqlSafeStr,
    any::{AnyPoolOptions, AnyRow},
    migrate::{Migration, MigrationType, Migrator},
    pool::PoolConnection,
};
use tokio::sync::{Mutex, MutexGuard};

pub use accounts::{ConversationCounts, Role, User};
pub use audit::{AuditEntry, AuditFilter, AuditKind, Deed};
pub use catalogue::CatalogueImport;
pub use chats::Gathered;
pub use conversations::{Author, ConversationSummary, OutboxItem, Receipt, StoredMessage, TurnOutcome};
pub use handover::{Acted, Attended, StaffAct};
pub use inbox::{LEASE, PendingInbound, SetAside, SetAsideKind, UnreadUpdate};
pub use kept_documents::KeptDocument;
pub use knowledge::{DocumentRecord, DocumentWrite, StoredChunk};
pub use merchant_files::{MerchantFile, MerchantStep, NewMerchantFile, Undone};
pub use outcomes::{OutcomeRow, Outcomes, TopicRow};
pub use question_set::{Expects, KeptQuestion};
pub use records::StoredProduct;
pub use staff_answers::{AnswerCheck, AnswerState, DismissedQuestion, JudgedReply, NewStaffAnswer, StaffAnswer};
pub use staff_inbox::{CannedReply, Care, ConversationFilter, InboxView, StoredAttachment, TurnQuality};
pub use topics::{StaffPost, Topic, TopicWork};

use crate::{config::ShopProfile, message::Timestamp};

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The data directory cannot be used.
    #[error("cannot use the data directory {path}: {source}; choose another with --data-dir or mend its permissions")]
    DataDir {
        /// Which directory.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The database refused a statement.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database is of another version.
    #[error("cannot bring the database up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row says something that this version cannot read.
    #[error("a stored {what} cannot be read: {reason}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// Result of a storage step.
pub type Result<T> = std::result::Result<T, StorageError>;

/// The shop's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    /// Begins a transaction that writes.
    begin: &'static str,
    /// SQLite has one writer at a time; queueing for it here keeps a transaction from failing as busy half way.
    /// tokio's Mutex, because it is held across awaits.
    writer: Arc<Mutex<()>>,
    /// Which file the one process locks that works the inbox of a data directory, and the file once it does.
    worker_lock: Option<Arc<Path>>,
    locked: Arc<OnceLock<File>>,
    /// Noted with the next commit (see `noting`).
    deed: Option<Arc<Deed>>,
}

impl Store {
    /// Opens `shoptalk.db` in `data_dir`, making both when missing.
    pub async fn open(data_dir: &Path) -> Result<Self> {
        let unusable = |source| StorageError::DataDir { path: data_dir.display().to_string(), source };
        std::fs::create_dir_all(data_dir).map_err(unusable)?;
        let probe = data_dir.join(".writable");
        std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(unusable)?;
        let path = data_dir.join("shoptalk.db");
        let store = Self::connect(&format!("sqlite://{}?mode=rwc", percent_encode_path(&path))).await?;
        Ok(Self { worker_lock: Some(data_dir.join("shoptalk.lock").into()), ..store })
    }

    /// Connects to a database by its address: `sqlite://...` or `postgres://...`.
    pub async fn connect(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let sqlite = url.starts_with("sqlite:");
        let pool = AnyPoolOptions::new()
            .max_connections(if sqlite { 6 } else { 16 })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        // FULL: what was acknowledged survives a power cut, not only a crash.
                        for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"] {
                            sqlx::query(pragma).execute(&mut *connection).await?;
                        }
                    }
                    Ok(())
                })
            })
            .connect(url)
            .await?;
        // IMMEDIATE: another process that writes is waited for here, not half way.
        let begin = if sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let store = Self { pool, begin, writer: Arc::default(), worker_lock: None, locked: Arc::default(), deed: None };
        store.migrate(sqlite).await?;
        store.note_earlier_turns().await?;
        store.note_earlier_visits().await?;
        Ok(store)
    }

    async fn migrate(&self, sqlite: bool) -> Result<()> {
        let (id, bytes) = if sqlite {
            ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB")
        } else {
            ("BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "BYTEA")
        };
        let migrations = [
            (1, "shop", include_str!("storage/migrations/0001_shop.sql")),
            (2, "parts", include_str!("storage/migrations/0002_parts.sql")),
            (3, "lossless", include_str!("storage/migrations/0003_lossless.sql")),
            (4, "native", include_str!("storage/migrations/0004_native.sql")),
            (5, "people", include_str!("storage/migrations/0005_people.sql")),
            (6, "inbox", include_str!("storage/migrations/0006_inbox.sql")),
            (7, "knowledge", include_str!("storage/migrations/0007_knowledge.sql")),
            (8, "owners", include_str!("storage/migrations/0008_owners.sql")),
            (9, "catalogue", include_str!("storage/migrations/0009_catalogue.sql")),
            (10, "question set", include_str!("storage/migrations/0010_question_set.sql")),
        ];
        let migrations = migrations
            .into_iter()
            .map(|(version, description, sql)| {
                let sql = sql.replace("{id}", id).replace("{bytes}", bytes);
                let sql = AssertSqlSafe(sql).into_sql_str();
                Migration::new(version, description.into(), MigrationType::Simple, sql, false)
            })
            .collect();
        let migrator = Migrator::with_migrations(migrations);
        // Postgres locks while it migrates. SQLite does not: of two processes that make a new database at the same moment
        // one fails as a whole, and finds the work done when it looks again.
        let mut tries_left = if sqlite { MIGRATION_TRIES } else { 1 };
        loop {
            tries_left -= 1;
            match migrator.run(&self.pool).await {
                Ok(()) => return Ok(()),
                Err(error) if tries_left == 0 => return Err(error.into()),
                Err(_) => tokio::time::sleep(MIGRATION_PAUSE).await,
            }
        }
    }

    /// A transaction that may write. Hold it shortly: on SQLite nobody else writes meanwhile.
    async fn write(&self) -> Result<WriteTransaction<'_>> {
        let guard = self.writer.lock().await;
        let connection = self.pool.acquire().await?;
        let mut tx = WriteTransaction { connection, committed: false, deed: self.deed.clone(), _guard: guard };
        sqlx::query(self.begin).execute(&mut *tx.connection).await?;
        Ok(tx)
    }

    /// A setting by name.
    pub async fn setting(&self, key: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT value FROM settings WHERE key = $1").bind(key).fetch_optional(&self.pool).await?;
        row.map(|row| Ok(row.try_get("value")?)).transpose()
    }

    /// Keeps a setting.
    pub async fn set_setting(&self, key: &str, value: &str) -> Result<()> {
        let mut tx = self.write().await?;
        tx.set_setting(key, value).await?;
        tx.commit().await
    }

    /// Who the shop is, as far as it has said.
    pub async fn shop_profile(&self) -> Result<ShopProfile> {
        let profile = self.setting("shop_profile").await?;
        Ok(profile.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
    }

    /// Keeps the shop's profile (JSON), which is part of what is known of the shop.
    pub async fn set_shop_profile(&self, json: &str) -> Result<()> {
        let mut tx = self.write().await?;
        tx.set_setting("shop_profile", json).await?;
        tx.knowledge_changed().await?;
        tx.commit().await
    }

    /// A number that grows with every change of documents or records, so that whoever keeps a copy knows when to reload.
    pub async fn knowledge_version(&self) -> Result<i64> {
        Ok(self.setting(KNOWLEDGE_VERSION).await?.and_then(|value| value.parse().ok()).unwrap_or(0))
    }

    /// How many messages wait for their turn, and how many replies for their delivery.
    pub async fn waiting_counts(&self) -> Result<(i64, i64)> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'pending') AS inbox,
                    (SELECT COUNT(*) FROM outbox WHERE state = 'pending') AS outbox",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((row.try_get("inbox")?, row.try_get("outbox")?))
    }
}

const KNOWLEDGE_VERSION: &str = "knowledge_version";
/// How often and after which pause a migration is tried that another process may be doing too.
const MIGRATION_TRIES: u32 = 5;
const MIGRATION_PAUSE: Duration = Duration::from_millis(200);

/// A transaction on a connection of its own. When its commit fails, nobody can tell what state the connection is in:
/// SQLite has rolled back on some errors and not on others, and sqlx's own transaction, whose rollback then fails too,
/// would give the connection back half way in, so that the next transaction on it commits nothing. Such a connection is
/// closed, which ends whatever was open on it.
struct WriteTransaction<'a> {
    connection: PoolConnection<Any>,
    committed: bool,
    deed: Option<Arc<Deed>>,
    _guard: MutexGuard<'a, ()>,
}

impl Drop for WriteTransaction<'_> {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}

impl WriteTransaction<'_> {
    async fn set_setting(&mut self, key: &str, value: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn knowledge_changed(&mut self) -> Result<()> {
        sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, '1')
             ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(settings.value AS BIGINT) + 1 AS TEXT)",
        )
        .bind(KNOWLEDGE_VERSION)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn commit(mut self) -> Result<()> {
        if let Some(deed) = self.deed.take() {
            self.note(&deed).await?;
        }
        sqlx::query("COMMIT").execute(&mut *self.connection).await?;
        self.committed = true;
        Ok(())
    }
}

/// SQLite's address is a URL: characters with a meaning there are escaped, so that any directory name works.
fn percent_encode_path(path: &Path) -> String {
    let mut encoded = String::new();
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~:\\".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}

fn timestamp(row: &AnyRow, column: &str) -> Result<Timestamp> {
    let millis: i64 = row.try_get(column)?;
    DateTime::<Utc>::from_timestamp_millis(millis)
        .ok_or_else(|| StorageError::Corrupt { what: "time", reason: format!("{millis} ms") })
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StorageError::Corrupt { what: "value", reason: error.to_string() })
}

fn from_json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StorageError::Corrupt { what, reason: error.to_string() })
}

fn parse_name<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StorageError::Corrupt { what, reason: error.to_string() })
}

/// Vectors are kept as little-endian `f32`.
fn embedding_to_bytes(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn embedding_from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

fn parse_language(code: &str) -> Result<crate::message::Language> {
    crate::message::Language::from_tag(code)
        .ok_or_else(|| StorageError::Corrupt { what: "language", reason: code.to_owned() })
}
