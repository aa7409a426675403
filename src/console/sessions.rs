//! Sessions: kept in the shop's database under a digest of their id, so that a stolen copy of it opens nothing.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::http::{HeaderMap, header};
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
/// Longest name of a browser that is kept, in characters.
const BROWSER_CHARACTERS_MAX: usize = 300;
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
    /// What the browser calls itself.
    #[serde(default)]
    browser: String,
}

/// An open session, as an owner sees it.
#[derive(Debug, Clone)]
pub(super) struct OpenSession {
    /// Digest of its id: enough to end it, and useless for anything else.
    pub(super) id: String,
    pub(super) since: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) browser: String,
    pub(super) is_this: bool,
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
pub(super) async fn sign_in(
    store: &Store,
    session: &Session,
    user: &User,
    headers: &HeaderMap,
    now: Timestamp,
) -> PageResult<()> {
    store.delete_expired_sessions(now).await?;
    session.cycle_id().await?;
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let browser = agent.chars().take(BROWSER_CHARACTERS_MAX).collect();
    let signed_in =
        SignedIn { user_id: user.id, password: digest(&user.password_hash), since: now, seen: now, browser };
    Ok(session.insert(SIGNED_IN, signed_in).await?)
}

/// Keeps this session open after its owner has set another password; the others that were opened with the old one end.
pub(super) async fn keep_open(session: &Session, password_hash: &str) -> PageResult<()> {
    if let Some(signed_in) = session.get::<SignedIn>(SIGNED_IN).await? {
        session.insert(SIGNED_IN, SignedIn { password: digest(password_hash), ..signed_in }).await?;
    }
    Ok(())
}

/// Somebody's open sessions at `now`, the one that was used last first. `this` is the session that asks.
pub(super) async fn open_sessions(
    store: &Store,
    user: &User,
    this: &Session,
    now: Timestamp,
) -> PageResult<Vec<OpenSession>> {
    let this = this.id().map(|id| digest(&id.to_string()));
    let password = digest(&user.password_hash);
    let mut open = Vec::new();
    for (id, json) in store.sessions_of(user.id, now).await? {
        let Some(signed_in) = read(&json).filter(|signed_in| signed_in.password == password) else { continue };
        if !signed_in.is_over(now) {
            let SignedIn { since, seen, browser, .. } = signed_in;
            open.push(OpenSession { is_this: this.as_ref() == Some(&id), id, since, seen, browser });
        }
    }
    open.sort_by_key(|session| std::cmp::Reverse(session.seen));
    Ok(open)
}

/// Whether this session is still open for `user` as they were when it was looked at: in, with this role and password.
pub(super) async fn still_holds(store: &Store, session_id: Id, user: &User, now: Timestamp) -> PageResult<bool> {
    if store.session(&digest(&session_id.to_string()), now).await?.is_none() {
        return Ok(false);
    }
    let today = store.user(user.id).await?.filter(|today| today.is_active);
    Ok(today.is_some_and(|today| today.role == user.role && today.password_hash == user.password_hash))
}

/// What a session's record remembers.
fn read(json: &str) -> Option<SignedIn> {
    let mut record: HashMap<String, serde_json::Value> = serde_json::from_str(json).ok()?;
    serde_json::from_value(record.remove(SIGNED_IN)?).ok()
}

impl SignedIn {
    fn is_over(&self, now: Timestamp) -> bool {
        now - self.since > LIFETIME || now - self.seen > IDLE
    }
}

/// Who this session belongs to; `None` when nobody has logged in or the session is over.
pub(super) async fn signed_in(store: &Store, session: &Session, now: Timestamp) -> PageResult<Option<User>> {
    let Some(mut signed_in) = session.get::<SignedIn>(SIGNED_IN).await? else { return Ok(None) };
    let user = store.user(signed_in.user_id).await?;
    let user = user.filter(|user| user.is_active && digest(&user.password_hash) == signed_in.password);
    let Some(user) = user.filter(|_| !signed_in.is_over(now)) else {
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

fn ends_at(record: &Record) -> session_store::Result<Timestamp> {
    DateTime::<Utc>::from_timestamp(record.expiry_date.unix_timestamp(), 0)
        .ok_or_else(|| Error::Encode("the session ends beyond time".to_owned()))
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        while self.load(&record.id).await?.is_some() {
            record.id = Id::default();
        }
        self.store.add_session(&digest(&record.id.to_string()), ends_at(record)?).await.map_err(backend)?;
        self.save(record).await
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let json = serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
        let owner = read(&json).map(|signed_in| signed_in.user_id);
        let id = digest(&record.id.to_string());
        self.store.save_session(&id, &json, owner, ends_at(record)?).await.map_err(backend)
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
