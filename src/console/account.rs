//! One's own account: everybody may set another password for themselves.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Extension, Form,
    extract::{ConnectInfo, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use tower_sessions::Session;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageResult, page as render},
    layout::{Layout, Locale, Section},
    sessions,
    sign_in::{address_of, check_log_in, check_password, deed, hash},
};
use crate::storage::AuditKind;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    l: Layout,
    email: String,
    changed: bool,
    error: Option<String>,
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    outcome: Result<bool, (StatusCode, String)>,
) -> PageResult<Response> {
    let title = locale.texts().account;
    let l = Layout::for_staff(state, locale, staff, Section::Account, title).await?;
    let email = staff.user.email.clone();
    match outcome {
        Ok(changed) => render(StatusCode::OK, &AccountPage { l, email, changed, error: None }),
        Err((status, error)) => render(status, &AccountPage { l, email, changed: false, error: Some(error) }),
    }
}

/// `GET /console/account`
pub(super) async fn page(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    show(&state, locale, &staff, Ok(false)).await
}

/// The old password and the new one.
#[derive(Deserialize)]
pub(super) struct OwnPasswordForm {
    old_password: String,
    password: String,
    password_again: String,
}

/// `POST /console/account`: sets another password. This session stays, all others of its owner end.
pub(super) async fn change_password(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    session: Session,
    address: Option<Extension<ConnectInfo<SocketAddr>>>,
    Form(form): Form<OwnPasswordForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    let checked = check_password(t, &form.password);
    let problem = checked.err().or_else(|| (form.password != form.password_again).then(|| t.password_mismatch.into()));
    if let Some(error) = problem {
        return show(&state, locale, &staff, Err((StatusCode::UNPROCESSABLE_ENTITY, error))).await;
    }
    // With the same pause after wrong ones as the log-in: an open session must not be a way to guess.
    let address = address_of(address.as_ref());
    let user = match check_log_in(&state, t, &staff.user.email, &form.old_password, &address).await? {
        Ok(user) => user,
        Err((StatusCode::UNAUTHORIZED, _)) => {
            let error = (StatusCode::UNPROCESSABLE_ENTITY, t.old_password_wrong.to_owned());
            return show(&state, locale, &staff, Err(error)).await;
        }
        Err(error) => return show(&state, locale, &staff, Err(error)).await,
    };
    let hash = hash(&state, form.password).await?;
    state.store.noting(deed(&user, AuditKind::PasswordChanged, &user.email)).set_password(user.id, &hash).await?;
    sessions::keep_open(&session, &hash).await?;
    show(&state, locale, &staff, Ok(true)).await
}
