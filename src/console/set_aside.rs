//! Messages that could not be read or answered: what the shopper said, what went wrong, and a button to try again.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
};
use crate::{
    privacy,
    storage::{SetAside, SetAsideKind},
};

/// The latest of each kind that the page shows.
const SHOWN_MAX: i64 = 100;
/// Longest text of one that the page shows, in characters.
const CONTENT_MAX: usize = 2_000;

#[derive(Template)]
#[template(path = "set_aside.html")]
struct SetAsidePage {
    l: Layout,
    updates: Vec<SetAside>,
}

#[expect(
    clippy::unused_self,
    clippy::trivially_copy_pass_by_ref,
    reason = "templates call methods and pass references"
)]
impl SetAsidePage {
    /// Where the button of an update posts to.
    fn action(&self, kind: &SetAsideKind, id: &i64) -> String {
        match kind {
            SetAsideKind::Message => format!("/console/set-aside/messages/{id}"),
            SetAsideKind::Unread => format!("/console/set-aside/updates/{id}"),
        }
    }

    fn is_unread(&self, kind: &SetAsideKind) -> bool {
        *kind == SetAsideKind::Unread
    }
}

/// `GET /console/set-aside`
pub(super) async fn list(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    let title = locale.texts().set_aside;
    let mut updates = state.store.set_aside(SHOWN_MAX).await?;
    for update in &mut updates {
        update.content = privacy::mask_secrets(&update.content).chars().take(CONTENT_MAX).collect();
    }
    let l = Layout::for_staff(&state, locale, &staff, Section::SetAside, title).await?;
    render(StatusCode::OK, &SetAsidePage { l, updates })
}

/// `POST /console/set-aside/messages/{id}`
pub(super) async fn try_message(State(state): State<ConsoleState>, Path(id): Path<i64>) -> PageResult<Response> {
    try_again(&state, SetAsideKind::Message, id).await
}

/// `POST /console/set-aside/updates/{id}`
pub(super) async fn try_update(State(state): State<ConsoleState>, Path(id): Path<i64>) -> PageResult<Response> {
    try_again(&state, SetAsideKind::Unread, id).await
}

async fn try_again(state: &ConsoleState, kind: SetAsideKind, id: i64) -> PageResult<Response> {
    if state.store.try_again(kind, id).await? {
        Ok(Redirect::to("/console/set-aside").into_response())
    } else {
        Err(PageError::NotFound)
    }
}
