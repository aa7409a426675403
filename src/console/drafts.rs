//! Documents that were uploaded and wait for being published: what was read of each, what would change, and the two
//! buttons. Until it is published, nobody is told anything from a draft.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    question_set,
    sign_in::deed,
    versions::{Shown, compared},
};
use crate::{
    knowledge::{Chunk, ChunkKind},
    storage::{AuditKind, KeptDocument},
};

#[derive(Template)]
#[template(path = "draft.html")]
struct DraftPage {
    l: Layout,
    draft: KeptDocument,
    /// Against what is published now; `None` for a document that is new.
    difference: Option<Shown>,
    chunks: Vec<Chunk>,
    /// Kind of passage and how many there are.
    counts: Vec<(&'static str, usize)>,
}

/// `GET /console/drafts/{id}`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let draft = find(&state, id).await?;
    let l = Layout::for_staff(&state, locale, &staff, Section::Documents, &draft.name).await?;
    let chunks = state.store.kept_chunks(id).await?;
    let published = state.store.documents().await?.into_iter().any(|document| document.name == draft.name);
    let difference = if published {
        let now = state.store.chunks(Some(&draft.name)).await?;
        let now: Vec<Chunk> = now.into_iter().map(|stored| stored.chunk).collect();
        Some(compared(&now, &chunks))
    } else {
        None
    };
    let count = |kind: ChunkKind| chunks.iter().filter(|chunk| chunk.kind == kind).count();
    let kinds = [ChunkKind::Text, ChunkKind::Question, ChunkKind::Row];
    let counts = kinds.map(|kind| (l.kind_name(&kind), count(kind)));
    let counts = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    render(StatusCode::OK, &DraftPage { l, draft, difference, chunks, counts })
}

async fn find(state: &ConsoleState, id: i64) -> PageResult<KeptDocument> {
    let kept = state.store.kept_document(id).await?;
    kept.filter(|kept| kept.is_draft).ok_or(PageError::NotFound)
}

/// What becomes of a draft.
#[derive(Deserialize)]
pub(super) struct DecideForm {
    action: Action,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Publish,
    ThrowAway,
}

/// `POST /console/drafts/{id}`: publishes at once where no questions are kept, and after trying them where some are.
pub(super) async fn decide(
    State(state): State<ConsoleState>,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<DecideForm>,
) -> PageResult<Response> {
    let draft = find(&state, id).await?;
    match form.action {
        Action::Publish => {
            if question_set::check_first(&state, vec![draft.clone()], &staff.user).await? {
                return Ok(Redirect::to(question_set::ADDRESS).into_response());
            }
            let noting = state.store.noting(deed(&staff.user, AuditKind::DocumentPublished, draft.name));
            let document = noting.publish_kept(id, Utc::now()).await?.ok_or(PageError::NotFound)?;
            Ok(Redirect::to(&format!("/console/documents/{document}")).into_response())
        }
        Action::ThrowAway => {
            let noting = state.store.noting(deed(&staff.user, AuditKind::DraftThrownAway, draft.name));
            noting.delete_draft(id).await?;
            Ok(Redirect::to("/console/documents").into_response())
        }
    }
}

/// The button that publishes all.
#[derive(Deserialize)]
pub(super) struct PublishAllForm {
    #[expect(dead_code, reason = "a form without it comes from no page of ours")]
    publish: String,
}

/// `POST /console/drafts`
pub(super) async fn publish_all(
    State(state): State<ConsoleState>,
    staff: Staff,
    Form(_): Form<PublishAllForm>,
) -> PageResult<Response> {
    let drafts = state.store.drafts().await?;
    if !drafts.is_empty() && question_set::check_first(&state, drafts.clone(), &staff.user).await? {
        return Ok(Redirect::to(question_set::ADDRESS).into_response());
    }
    for draft in drafts {
        let noting = state.store.noting(deed(&staff.user, AuditKind::DocumentPublished, draft.name));
        noting.publish_kept(draft.id, Utc::now()).await?;
    }
    Ok(Redirect::to("/console/documents").into_response())
}
