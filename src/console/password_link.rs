//! A new password by a link that works once: the owner makes it, and its owner sets the password.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;

use super::{
    ConsoleState,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale},
    sign_in::{check_password, deed, hash, token_digest},
};
use crate::storage::{AuditKind, User};

/// How long a link works.
pub(super) const VALID_FOR: TimeDelta = TimeDelta::hours(24);

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    l: Layout,
    token: String,
    name: String,
    email: String,
    error: Option<String>,
}

/// Query of the link.
#[derive(Deserialize)]
pub(super) struct LinkQuery {
    #[serde(default)]
    token: String,
}

/// `GET /console/password?token=...`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    Query(query): Query<LinkQuery>,
) -> PageResult<Response> {
    let user = owner(&state, &query.token).await?;
    show(locale, StatusCode::OK, query.token, user, None)
}

async fn owner(state: &ConsoleState, token: &str) -> PageResult<User> {
    let user = state.store.password_link_owner(&token_digest(token), Utc::now()).await?;
    user.ok_or(PageError::PasswordLink)
}

fn show(locale: Locale, status: StatusCode, token: String, user: User, error: Option<String>) -> PageResult<Response> {
    let title = locale.texts().new_password;
    let l = Layout::for_guest(locale, title);
    render(status, &PasswordPage { l, token, name: user.name, email: user.email, error })
}

/// The form with the new password.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    token: String,
    password: String,
    password_again: String,
}

/// `POST /console/password`: sets the password; from then on the link is void and all sessions have ended.
pub(super) async fn set(
    State(state): State<ConsoleState>,
    locale: Locale,
    Form(form): Form<PasswordForm>,
) -> PageResult<Response> {
    let user = owner(&state, &form.token).await?;
    let t = locale.texts();
    let checked = check_password(t, &form.password);
    let problem = checked.err().or_else(|| (form.password != form.password_again).then(|| t.password_mismatch.into()));
    if problem.is_some() {
        return show(locale, StatusCode::UNPROCESSABLE_ENTITY, form.token, user, problem);
    }
    let hash = hash(&state, form.password).await?;
    let noting = state.store.noting(deed(&user, AuditKind::PasswordChanged, &user.email));
    if !noting.use_password_link(&token_digest(&form.token), &hash, Utc::now()).await? {
        return Err(PageError::PasswordLink);
    }
    Ok(Redirect::to("/console/login").into_response())
}
