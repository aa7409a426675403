//! What a document was before: each earlier version with what is different from now, and the way back to it; and the
//! date until which a document holds.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::{NaiveDate, Utc};
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    sign_in::deed,
    texts::fill,
};
use crate::{
    knowledge::{
        Chunk,
        difference::{Change, Marked, difference, mark},
        staff_answers::STAFF_ANSWERS,
    },
    storage::{AuditKind, KeptDocument},
};

/// What is different between two versions, as a page shows it.
pub(super) struct Shown {
    pub(super) changes: Vec<ShownChange>,
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) changed: usize,
    pub(super) unchanged: usize,
}

/// One difference.
pub(super) struct ShownChange {
    /// Class of the style and kind of change: `added`, `removed` or `changed`.
    pub(super) kind: &'static str,
    pub(super) heading: String,
    pub(super) before: Option<Piece>,
    pub(super) after: Option<Piece>,
}

/// A passage with the part that is different.
pub(super) struct Piece {
    pub(super) start: String,
    pub(super) part: String,
    pub(super) end: String,
}

/// Compares two versions.
pub(super) fn compared(before: &[Chunk], after: &[Chunk]) -> Shown {
    let difference = difference(before, after);
    let changes: Vec<ShownChange> = difference.changes.into_iter().map(shown).collect();
    let count = |kind: &str| changes.iter().filter(|change| change.kind == kind).count();
    let (added, removed, changed) = (count("added"), count("removed"), count("changed"));
    Shown { changes, added, removed, changed, unchanged: difference.unchanged }
}

fn shown(change: Change) -> ShownChange {
    let whole = |chunk: &Chunk| Piece { start: words(chunk), part: String::new(), end: String::new() };
    match change {
        Change::Added(chunk) => {
            ShownChange { kind: "added", before: None, after: Some(whole(&chunk)), heading: chunk.heading }
        }
        Change::Removed(chunk) => {
            ShownChange { kind: "removed", before: Some(whole(&chunk)), after: None, heading: chunk.heading }
        }
        Change::Changed { before, after } => {
            let (old, new) = (words(&before), words(&after));
            let (old, new) = mark(&old, &new);
            let piece = |marked: Marked<'_>| Piece {
                start: marked.before.to_owned(),
                part: marked.part.to_owned(),
                end: marked.after.to_owned(),
            };
            ShownChange { kind: "changed", before: Some(piece(old)), after: Some(piece(new)), heading: after.heading }
        }
    }
}

/// A passage as a person reads it: a question before its answer.
fn words(chunk: &Chunk) -> String {
    match &chunk.question {
        Some(question) => format!("{question}\n{}", chunk.text),
        None => chunk.text.clone(),
    }
}

#[derive(Template)]
#[template(path = "version.html")]
struct VersionPage {
    l: Layout,
    version: KeptDocument,
    /// The document as it is now; `None` when it is gone.
    document: Option<i64>,
    difference: Shown,
    may_roll_back: bool,
}

/// `GET /console/versions/{id}`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let version = find(&state, id).await?;
    let now = state.store.chunks(Some(&version.name)).await?;
    let now: Vec<Chunk> = now.into_iter().map(|stored| stored.chunk).collect();
    let documents = state.store.documents().await?;
    let l = Layout::for_staff(&state, locale, &staff, Section::Documents, &version.name).await?;
    let page = VersionPage {
        difference: compared(&now, &state.store.kept_chunks(id).await?),
        document: documents.into_iter().find(|document| document.name == version.name).map(|document| document.id),
        may_roll_back: l.may_upload() && version.name != STAFF_ANSWERS,
        l,
        version,
    };
    render(StatusCode::OK, &page)
}

async fn find(state: &ConsoleState, id: i64) -> PageResult<KeptDocument> {
    let kept = state.store.kept_document(id).await?;
    kept.filter(|kept| !kept.is_draft).ok_or(PageError::NotFound)
}

/// `POST /console/versions/{id}`: rolls the document back. What it is now becomes an earlier version in turn.
pub(super) async fn roll_back(
    State(state): State<ConsoleState>,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let version = find(&state, id).await?;
    if version.name == STAFF_ANSWERS {
        // It is made from the corrections, which would bring it back with the next one.
        return Err(PageError::NotFound);
    }
    let noting = state.store.noting(deed(&staff.user, AuditKind::DocumentRolledBack, version.name));
    let document = noting.publish_kept(id, Utc::now()).await?.ok_or(PageError::NotFound)?;
    Ok(Redirect::to(&format!("/console/documents/{document}")).into_response())
}

/// The last day on which a document is quoted; empty for no end.
#[derive(Deserialize)]
pub(super) struct ValidUntilForm {
    until: String,
}

#[derive(Template)]
#[template(path = "error.html")]
struct RefusedPage {
    l: Layout,
    title: &'static str,
    advice: String,
    status: u16,
}

/// `POST /console/documents/{id}/valid-until`
pub(super) async fn set_valid_until(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<ValidUntilForm>,
) -> PageResult<Response> {
    let profile = state.store.shop_profile().await?;
    let until = form.until.trim();
    let end = until.parse::<NaiveDate>().ok().and_then(|day| profile.end_of_day(day));
    if end.is_none() && !until.is_empty() {
        let t = locale.texts();
        let advice = fill(t.valid_until_wrong, &[("date", until)]);
        let l = Layout::for_staff(&state, locale, &staff, Section::Documents, t.valid_until).await?;
        let page = RefusedPage { l, title: t.valid_until, advice, status: 422 };
        return render(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let documents = state.store.documents().await?;
    let document = documents.into_iter().find(|document| document.id == id).ok_or(PageError::NotFound)?;
    let noting = state.store.noting(deed(&staff.user, AuditKind::ValidityChanged, document.name));
    if noting.set_valid_until(id, end, Utc::now()).await? {
        Ok(Redirect::to(&format!("/console/documents/{id}")).into_response())
    } else {
        Err(PageError::NotFound)
    }
}
