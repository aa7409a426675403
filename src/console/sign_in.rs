//! Log-in, log-out, the choice of a language, and the first owner by a link that works once.

use std::{net::SocketAddr, sync::Arc};

use askama::Template;
use axum::{
    Extension, Form,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Utc;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tower_sessions::{Session, cookie::time};

use super::{
    ConsoleState,
    access::{is_loopback, is_plain_http},
    frame::{LANGUAGE_COOKIE, PageError, PageResult, page},
    layout::{Layout, Locale, inside_console},
    passwords::{BYTES_MAX, CHARACTERS_MIN, hash_password, verify_password},
    sessions,
    texts::{Texts, fill},
};
use crate::{
    conversation::Staff,
    message::Language,
    storage::{AuditKind, Deed, StorageError, Store, User},
};

/// The one-time token for the set-up page, when the shop has no people yet; an earlier one no longer works. Only its
/// digest is kept. The program prints `http://.../console/setup?token=...` with it.
pub async fn setup_token(store: &Store) -> Result<Option<String>, StorageError> {
    if store.user_count().await? > 0 {
        return Ok(None);
    }
    let token = new_token();
    store.keep_setup_token(&token_digest(&token)).await?;
    Ok(Some(token))
}

pub(super) fn token_digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

/// A token for a link that works once; only its digest is kept.
pub(super) fn new_token() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    l: Layout,
    token: String,
    name: String,
    email: String,
    error: Option<String>,
}

/// Query of the set-up link.
#[derive(Deserialize)]
pub(super) struct SetupQuery {
    #[serde(default)]
    token: String,
}

/// `GET /console/setup?token=...`
pub(super) async fn setup_page(
    State(state): State<ConsoleState>,
    locale: Locale,
    Query(query): Query<SetupQuery>,
) -> PageResult<Response> {
    if !state.store.has_setup_token(&token_digest(&query.token)).await? {
        return Err(PageError::SetupLink);
    }
    // Choosing a language leads back here, and the form keeps the token.
    let title = locale.texts().setup;
    let l = Layout::for_guest(locale, title);
    let form = SetupPage { l, token: query.token, name: String::new(), email: String::new(), error: None };
    page(StatusCode::OK, &form)
}

/// The owner's form.
#[derive(Deserialize)]
pub(super) struct SetupForm {
    token: String,
    name: String,
    email: String,
    password: String,
    password_again: String,
}

/// `POST /console/setup`: makes the owner and logs them in.
pub(super) async fn set_up(
    State(state): State<ConsoleState>,
    locale: Locale,
    session: Session,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    uri: Uri,
    Form(form): Form<SetupForm>,
) -> PageResult<Response> {
    let digest = token_digest(&form.token);
    if !state.store.has_setup_token(&digest).await? {
        return Err(PageError::SetupLink);
    }
    let t = locale.texts();
    let problem = cookies_would_be_lost(t, &headers, &uri)
        .or_else(|| check_person(t, &form.name, &form.email, &form.password).err())
        .or_else(|| (form.password != form.password_again).then(|| t.password_mismatch.to_owned()));
    if let Some(error) = problem {
        let l = Layout::for_guest(locale, t.setup);
        let again = SetupPage { l, token: form.token, name: form.name, email: form.email, error: Some(error) };
        return page(StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    let hash = hash(&state, form.password).await?;
    let (email, name) = (form.email.trim(), form.name.trim());
    let added = Deed { actor: None, kind: AuditKind::PersonAdded, subject: email.to_lowercase(), at: Utc::now() };
    let Some(id) = state.store.noting(added).add_first_owner(&digest, email, name, &hash, Utc::now()).await? else {
        return Err(PageError::SetupLink);
    };
    let user = state.store.user(id).await?.ok_or(PageError::Internal("the new owner is gone".to_owned()))?;
    sessions::sign_in(&state.store, &session, &user, &headers, Utc::now()).await?;
    state.store.note_deed(deed(&user, AuditKind::SignedIn, address_of(address.as_ref()))).await?;
    Ok(Redirect::to("/console").into_response())
}

/// Checks the fields of a new person; the error is for the person who fills in the form.
pub(super) fn check_person(t: &Texts, name: &str, email: &str, password: &str) -> Result<(), String> {
    let (name, email) = (name.trim(), email.trim());
    let address = email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if name.is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
        Err(t.name_needed.to_owned())
    } else if !address || email.len() > 254 || email.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(t.email_needed.to_owned())
    } else {
        check_password(t, password)
    }
}

/// Checks a new password; the error is for the person who fills in the form.
pub(super) fn check_password(t: &Texts, password: &str) -> Result<(), String> {
    if password.chars().count() < CHARACTERS_MIN || password.len() > BYTES_MAX {
        Err(fill(t.password_needed, &[("n", &CHARACTERS_MIN.to_string())]))
    } else {
        Ok(())
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    l: Layout,
    next: String,
    email: String,
    error: Option<String>,
    nobody_yet: bool,
}

/// Query of the log-in page.
#[derive(Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    next: String,
}

/// `GET /console/login`
pub(super) async fn login_page(
    State(state): State<ConsoleState>,
    locale: Locale,
    Query(query): Query<LoginQuery>,
) -> PageResult<Response> {
    login_form(&state, locale, StatusCode::OK, query.next, String::new(), None).await
}

async fn login_form(
    state: &ConsoleState,
    locale: Locale,
    status: StatusCode,
    next: String,
    email: String,
    error: Option<String>,
) -> PageResult<Response> {
    let title = locale.texts().log_in;
    let nobody_yet = state.store.user_count().await? == 0;
    page(status, &LoginPage { l: Layout::for_guest(locale, title), next, email, error, nobody_yet })
}

/// The log-in form.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    email: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /console/login`
pub(super) async fn log_in(
    State(state): State<ConsoleState>,
    mut locale: Locale,
    session: Session,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    uri: Uri,
    Form(form): Form<LoginForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    let target = inside_console(&form.next).to_owned();
    "/console/login".clone_into(&mut locale.target);
    let address = address_of(address.as_ref());
    let outcome = match cookies_would_be_lost(t, &headers, &uri) {
        Some(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, error)),
        None => check_log_in(&state, t, &form.email, &form.password, &address).await?,
    };
    match outcome {
        Ok(user) => {
            sessions::sign_in(&state.store, &session, &user, &headers, Utc::now()).await?;
            state.store.note_deed(deed(&user, AuditKind::SignedIn, address)).await?;
            Ok(Redirect::to(&target).into_response())
        }
        Err((status, error)) => login_form(&state, locale, status, form.next, form.email, Some(error)).await,
    }
}

/// Where a request comes from, as far as it is known.
pub(super) fn address_of(address: Option<&Extension<ConnectInfo<SocketAddr>>>) -> String {
    address.map(|Extension(ConnectInfo(address))| address.ip().to_string()).unwrap_or_default()
}

/// What `user` does, for the log.
pub(super) fn deed(user: &User, kind: AuditKind, subject: impl Into<String>) -> Deed {
    let actor = Some(Staff::new("console", user.id, &user.name));
    Deed { actor, kind, subject: subject.into(), at: Utc::now() }
}

pub(super) type LogInOutcome = Result<User, (StatusCode, String)>;

/// The answer does not tell a wrong password from an unknown name, neither in words nor in time.
pub(super) async fn check_log_in(
    state: &ConsoleState,
    t: &Texts,
    email: &str,
    password: &str,
    address: &str,
) -> PageResult<LogInOutcome> {
    let account = email.trim().to_lowercase();
    let wrong = (StatusCode::UNAUTHORIZED, t.wrong_password.to_owned());
    if account.len() > 254 || password.len() > BYTES_MAX {
        return Ok(Err(wrong));
    }
    if let Some(seconds) = lock(&state.attempts).pause_seconds(&account, address, Utc::now()) {
        let error = fill(t.too_many_tries, &[("n", &seconds.to_string())]);
        return Ok(Err((StatusCode::TOO_MANY_REQUESTS, error)));
    }
    // Counted before the check, so that tries sent at the same time are counted too.
    lock(&state.attempts).failed(&account, address, Utc::now());
    let user = state.store.user_by_email(&account).await?.filter(|user| user.is_active);
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let password = password.to_owned();
    let right = with_password_slot(state, move || verify_password(&password, stored.as_deref())).await?;
    if !right {
        // What was typed as a name may be a password; only names of people who are there are noted.
        let actor = user.map(|user| Staff::new("console", user.id, user.name));
        let failed = Deed { actor, kind: AuditKind::SignInFailed, subject: address.to_owned(), at: Utc::now() };
        state.store.note_deed(failed).await?;
        return Ok(Err(wrong));
    }
    lock(&state.attempts).succeeded(&account, address);
    Ok(user.ok_or(wrong))
}

fn lock(attempts: &std::sync::Mutex<super::Attempts>) -> std::sync::MutexGuard<'_, super::Attempts> {
    attempts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Hashes a new password.
pub(super) async fn hash(state: &ConsoleState, password: String) -> PageResult<String> {
    with_password_slot(state, move || hash_password(&password)).await?.map_err(PageError::Internal)
}

/// Runs slow password work beside the server's threads, a few at a time.
async fn with_password_slot<T: Send + 'static>(
    state: &ConsoleState,
    work: impl FnOnce() -> T + Send + 'static,
) -> PageResult<T> {
    let _place = state.password_queue.try_acquire().map_err(|_| PageError::Busy)?;
    let permit = Arc::clone(&state.password_checks).acquire_owned().await.map_err(|_| PageError::Busy)?;
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    done.await.map_err(|error| PageError::Internal(error.to_string()))
}

/// Over plain HTTP from another machine the browser would drop the session's cookie, and the log-in would lead nowhere.
fn cookies_would_be_lost(t: &Texts, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    (is_plain_http(headers) && !is_loopback(headers, uri)).then(|| t.needs_https.to_owned())
}

/// `POST /console/logout`
pub(super) async fn log_out(
    State(state): State<ConsoleState>,
    staff: super::access::Staff,
    session: Session,
) -> PageResult<Redirect> {
    session.flush().await?;
    state.store.note_deed(deed(&staff.user, AuditKind::SignedOut, "")).await?;
    Ok(Redirect::to("/console/login"))
}

/// The choice of a language.
#[derive(Deserialize)]
pub(super) struct LanguageForm {
    language: String,
    #[serde(default)]
    back: String,
}

/// `POST /console/language`
pub(super) async fn choose_language(Form(form): Form<LanguageForm>) -> (CookieJar, Redirect) {
    let language = Language::from_tag(&form.language).unwrap_or_default();
    let cookie = Cookie::build((LANGUAGE_COOKIE, language.as_str()))
        .path("/console")
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(time::Duration::days(365));
    (CookieJar::new().add(cookie), Redirect::to(inside_console(&form.back)))
}
