//! The ready answers that staff keep and put into their replies by `/` and a short name.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    conversations::REPLY_CHARACTERS_MAX,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    sign_in::deed,
};
use crate::storage::{AuditKind, CannedReply};

const ADDRESS: &str = "/console/replies";
/// Longest short name, in characters.
const NAME_CHARACTERS_MAX: usize = 30;

#[derive(Template)]
#[template(path = "canned.html")]
struct CannedPage {
    l: Layout,
    replies: Vec<CannedReply>,
    name: String,
    text: String,
    error: Option<&'static str>,
}

/// `GET /console/replies`
pub(super) async fn list(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    show(&state, locale, &staff, CannedForm::default(), None).await
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    form: CannedForm,
    error: Option<&'static str>,
) -> PageResult<Response> {
    let title = locale.texts().canned;
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let l = Layout::for_staff(state, locale, staff, Section::Conversations, title).await?;
    let replies = state.store.canned_replies().await?;
    render(status, &CannedPage { l, replies, name: form.name, text: form.text, error })
}

/// A ready answer to keep.
#[derive(Default, Deserialize)]
pub(super) struct CannedForm {
    name: String,
    text: String,
}

/// `POST /console/replies`
pub(super) async fn keep(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Form(form): Form<CannedForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    let name = form.name.trim().trim_start_matches('/').to_lowercase();
    let text = form.text.replace("\r\n", "\n").trim().to_owned();
    if !is_short_name(&name) {
        return show(&state, locale, &staff, form, Some(t.canned_name_needed)).await;
    }
    if text.is_empty() || text.chars().count() > REPLY_CHARACTERS_MAX {
        return show(&state, locale, &staff, form, Some(t.canned_text_needed)).await;
    }
    let noting = state.store.noting(deed(&staff.user, AuditKind::SettingChanged, format!("/{name}")));
    noting.keep_canned_reply(&name, &text).await?;
    Ok(Redirect::to(ADDRESS).into_response())
}

/// One word of letters, digits and hyphens, in any script.
fn is_short_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=NAME_CHARACTERS_MAX).contains(&length) && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

/// `POST /console/replies/{id}/delete`
pub(super) async fn delete(
    State(state): State<ConsoleState>,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let replies = state.store.canned_replies().await?;
    let reply = replies.into_iter().find(|reply| reply.id == id).ok_or(PageError::NotFound)?;
    let noting = state.store.noting(deed(&staff.user, AuditKind::SettingChanged, format!("/{}", reply.name)));
    if noting.delete_canned_reply(id).await? {
        Ok(Redirect::to(ADDRESS).into_response())
    } else {
        Err(PageError::NotFound)
    }
}
