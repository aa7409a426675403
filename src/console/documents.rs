//! The documents: what the shop has uploaded, what was read from each, uploading and deleting.

use std::sync::{Arc, PoisonError};

use askama::Template;
use axum::{
    extract::{DefaultBodyLimit, Multipart, Path, State, multipart::Field},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;

use super::{
    ConsoleState, UploadReport,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    sign_in::deed,
    texts::{Texts, fill},
};
use crate::{
    knowledge::{
        Chunk,
        contradictions::{self, Contradiction},
        staff_answers::STAFF_ANSWERS,
    },
    storage::{AuditKind, DocumentRecord, KeptDocument},
};

/// Largest file.
const FILE_BYTES_MAX: usize = 50 * 1024 * 1024;
/// Most files of one upload.
const FILES_MAX: usize = 20;
/// Longest file name, in characters.
const NAME_CHARACTERS_MAX: usize = 200;

/// Limit of a whole upload. One file at a time is held in memory.
pub(super) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(FILES_MAX * FILE_BYTES_MAX + 1024 * 1024)
}

#[derive(Template)]
#[template(path = "documents.html")]
struct ListPage {
    l: Layout,
    documents: Vec<DocumentRecord>,
    /// Read and not published yet.
    drafts: Vec<KeptDocument>,
    /// Documents that say different numbers about the same.
    contradictions: Arc<Vec<Contradiction>>,
    results: Vec<FileResult>,
    limits: String,
}

/// What became of one file.
struct FileResult {
    name: String,
    outcome: Result<UploadReport, String>,
}

/// `GET /console/documents`
pub(super) async fn list(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    show_list(&state, locale, &staff, Vec::new()).await
}

async fn show_list(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    results: Vec<FileResult>,
) -> PageResult<Response> {
    let t = locale.texts();
    let failed = !results.is_empty() && results.iter().all(|result| result.outcome.is_err());
    let status = if failed { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let list = ListPage {
        l: Layout::for_staff(state, locale, staff, Section::Documents, t.documents).await?,
        documents: state.store.documents().await?,
        drafts: state.store.drafts().await?,
        contradictions: contradictions(state).await?,
        results,
        limits: fill(t.upload_limits, &limits()),
    };
    render(status, &list)
}

/// The contradictions of what is published, looked for once a version.
async fn contradictions(state: &ConsoleState) -> PageResult<Arc<Vec<Contradiction>>> {
    let version = state.store.knowledge_version().await?;
    let known = state.contradictions.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((_, known)) = known.filter(|(of, _)| *of == version) {
        return Ok(known);
    }
    let chunks = state.store.chunks(None).await?;
    let found = tokio::task::spawn_blocking(move || contradictions::contradictions(&chunks)).await;
    let found = Arc::new(found.map_err(|error| PageError::Internal(error.to_string()))?);
    *state.contradictions.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, Arc::clone(&found)));
    Ok(found)
}

fn limits() -> [(&'static str, String); 2] {
    [("n", FILES_MAX.to_string()), ("mb", (FILE_BYTES_MAX / 1024 / 1024).to_string())]
}

/// `POST /console/documents`: reads the files one after the other; a bad one does not keep the others out.
pub(super) async fn upload(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    mut form: Multipart,
) -> PageResult<Response> {
    let t = locale.texts();
    let mut results = Vec::new();
    let mut excess = 0usize;
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(error) => {
                tracing::info!(%error, "an upload ended early");
                results.push(FileResult { name: String::new(), outcome: Err(t.upload_broken.to_owned()) });
                break;
            }
        };
        let Some(name) = field.file_name().map(base_name).filter(|name| !name.is_empty()) else { continue };
        if results.len() >= FILES_MAX {
            excess += 1;
            continue;
        }
        let outcome = read_file(&state, t, &name, field).await;
        if outcome.is_ok() {
            state.store.note_deed(deed(&staff.user, AuditKind::FileUploaded, &name)).await?;
        }
        results.push(FileResult { name, outcome });
    }
    if excess > 0 {
        let error = fill(t.upload_too_many, &[("n", FILES_MAX.to_string()), ("excess", excess.to_string())]);
        results.push(FileResult { name: String::new(), outcome: Err(error) });
    }
    if results.is_empty() {
        results.push(FileResult { name: String::new(), outcome: Err(t.upload_nothing.to_owned()) });
    }
    show_list(&state, locale, &staff, results).await
}

/// The last part of what the browser calls the file, without control characters.
pub(super) fn base_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS_MAX).collect::<String>().trim().to_owned()
}

async fn read_file(state: &ConsoleState, t: &Texts, name: &str, mut field: Field<'_>) -> Result<UploadReport, String> {
    // One place is one file in memory.
    let _place = state.uploads.acquire().await.map_err(|_| t.upload_broken.to_owned())?;
    let mut bytes = Vec::new();
    while let Some(part) = field.chunk().await.map_err(|_| t.upload_broken.to_owned())? {
        if bytes.len() + part.len() > FILE_BYTES_MAX {
            return Err(fill(t.upload_too_large, &limits()));
        }
        bytes.extend_from_slice(&part);
    }
    if bytes.is_empty() {
        return Err(t.upload_empty_file.to_owned());
    }
    // In a task of its own: a file that is being stored is stored also when the merchant leaves the page, and a panic
    // in a reader costs one file.
    let reading = tokio::spawn((state.knowledge.upload)(name.to_owned(), bytes));
    reading.await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading an uploaded file failed");
        Err(t.upload_failed.to_owned())
    })
}

#[derive(Template)]
#[template(path = "document.html")]
struct DocumentPage {
    l: Layout,
    document: DocumentRecord,
    chunks: Vec<Chunk>,
    /// Earlier versions, latest first.
    versions: Vec<KeptDocument>,
    /// The last day on which it is quoted, as a date field takes it.
    until: String,
}

/// `GET /console/documents/{id}`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let document = find(&state, id).await?;
    let chunks = state.store.chunks(Some(&document.name)).await?;
    let profile = state.store.shop_profile().await?;
    let shown = DocumentPage {
        versions: state.store.versions(&document.name).await?,
        until: document.valid_until.map_or_else(String::new, |end| profile.day_ending_at(end).to_string()),
        l: Layout::for_staff(&state, locale, &staff, Section::Documents, &document.name).await?,
        chunks: chunks.into_iter().map(|stored| stored.chunk).collect(),
        document,
    };
    render(StatusCode::OK, &shown)
}

async fn find(state: &ConsoleState, id: i64) -> PageResult<DocumentRecord> {
    let documents = state.store.documents().await?;
    documents.into_iter().find(|document| document.id == id).ok_or(PageError::NotFound)
}

#[derive(Template)]
#[template(path = "document_delete.html")]
struct DeletePage {
    l: Layout,
    document: DocumentRecord,
}

/// `GET /console/documents/{id}/delete`
pub(super) async fn confirm_deletion(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let document = find(&state, id).await?;
    let title = locale.texts().document_delete;
    let l = Layout::for_staff(&state, locale, &staff, Section::Documents, title).await?;
    render(StatusCode::OK, &DeletePage { l, document })
}

/// `POST /console/documents/{id}/delete`
pub(super) async fn delete(
    State(state): State<ConsoleState>,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let document = find(&state, id).await?;
    if document.name == STAFF_ANSWERS {
        // The next correction would bring them all back.
        state.store.withdraw_staff_answers(&staff.user.name, Utc::now()).await?;
    }
    let noting = state.store.noting(deed(&staff.user, AuditKind::DocumentDeleted, &document.name));
    noting.delete_document(&document.name).await?;
    Ok(Redirect::to("/console/documents").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_the_last_part_of_its_name() {
        assert_eq!(base_name("C:\\shop\\faq.md"), "faq.md");
        assert_eq!(base_name("../../etc/passwd"), "passwd");
        assert_eq!(base_name(" 退货\u{0}政策.docx "), "退货政策.docx");
        assert_eq!(base_name("folder/"), "");
        assert_eq!(base_name(&"x".repeat(500)).len(), NAME_CHARACTERS_MAX);
    }
}
