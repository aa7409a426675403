//! Sessions: kept in the shop's database under a digest of their id, so that a stolen copy of it opens nothing.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::{SameSite, time},
    session::{Id, Record},
    session_store::{self, Error},
};

use super::frame::PageResult;
use crate::{
    message::Timestamp,
    storage::{StorageError, Store, User},
};

/// A session ends after so long without a page being opened.
const IDLE: TimeDelta = TimeDelta::hours(12);
/// A session ends so long after the log-in, whatever happens.
const LIFETIME: TimeDelta = TimeDelta::days(7);
/// An open session is written again after so long, not at every request.
const RENEW: TimeDelta = TimeDelta::minutes(10);
/// Key of `SignedIn` in the session.
const SIGNED_IN: &str = "signed_in";

/// What a session remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SignedIn {
    user_id: i64,
    /// Digest of the password's hash: another password ends the sessions that were opened with the old one.
    password: String,
    since: Timestamp,
    seen: Timestamp,
}

/// The layer that gives each request its session.
pub(super) fn layer(store: Store) -> SessionManagerLayer<Sessions> {
    SessionManagerLayer::new(Sessions { store })
        .with_name("shoptalk_console")
        .with_path("/console")
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        // Set per response by `frame`, which knows the name that the browser asked for.
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(time::Duration::seconds(IDLE.num_seconds())))
}

/// Opens a session for `user`, under a new id. Sessions that are over are swept out on the way.
pub(super) async fn sign_in(store: &Store, session: &Session, user: &User, now: Timestamp) -> PageResult<()> {
    store.delete_expired_sessions(now).await?;
    session.cycle_id().await?;
    let signed_in = SignedIn { user_id: user.id, password: digest(&user.password_hash), since: now, seen: now };
    Ok(session.insert(SIGNED_IN, signed_in).await?)
}

/// Who this session belongs to; `None` when nobody has logged in or the session is over.
pub(super) async fn signed_in(store: &Store, session: &Session, now: Timestamp) -> PageResult<Option<User>> {
    let Some(mut signed_in) = session.get::<SignedIn>(SIGNED_IN).await? else { return Ok(None) };
    let over = now - signed_in.since > LIFETIME || now - signed_in.seen > IDLE;
    let user = store.user(signed_in.user_id).await?.filter(|user| digest(&user.password_hash) == signed_in.password);
    let Some(user) = user.filter(|_| !over) else {
        session.flush().await?;
        return Ok(None);
    };
    if now - signed_in.seen > RENEW {
        signed_in.seen = now;
        session.insert(SIGNED_IN, signed_in).await?;
    }
    Ok(Some(user))
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Sessions in the shop's database.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    store: Store,
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn backend(error: StorageError) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        while self.load(&record.id).await?.is_some() {
            record.id = Id::default();
        }
        self.save(record).await
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let json = serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
        let expires_at = DateTime::<Utc>::from_timestamp(record.expiry_date.unix_timestamp(), 0)
            .ok_or_else(|| Error::Encode("the session ends beyond time".to_owned()))?;
        self.store.save_session(&digest(&record.id.to_string()), &json, expires_at).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let now = Utc::now();
        let json = self.store.session(&digest(&id.to_string()), now).await.map_err(backend)?;
        json.map(|json| {
            let data = serde_json::from_str(&json).map_err(|error| Error::Decode(error.to_string()))?;
            let expiry_date = time::OffsetDateTime::now_utc() + time::Duration::seconds(IDLE.num_seconds());
            Ok(Record { id: *id, data, expiry_date })
        })
        .transpose()
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.store.delete_session(&digest(&id.to_string())).await.map_err(backend)
    }
}
