//! The audit log: who did what when, for the owner.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::{Days, NaiveDate};
use serde::Deserialize;
use serde_json::json;

use super::{
    ConsoleState,
    access::Staff,
    export::{Format, file, line},
    frame::{PageResult, page as render},
    layout::{Layout, Locale, Section, query_value},
    sign_in::deed,
    texts::Texts,
};
use crate::{
    message::Timestamp,
    storage::{AuditEntry, AuditFilter, AuditKind},
};

/// Entries on a page.
const PAGE_ROWS: i64 = 50;
/// Most entries in one file.
const FILE_ROWS_MAX: i64 = 100_000;
/// No log is longer than so many pages.
const PAGES_MAX: i64 = 1_000_000;

/// What the address says of the list. Everything is optional, and nonsense means "all".
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuditQuery {
    person: String,
    kind: String,
    from: String,
    to: String,
    page: String,
}

impl AuditQuery {
    fn filter(&self, offset: i64, limit: i64) -> AuditFilter {
        let day = |text: &str| text.parse::<NaiveDate>().ok();
        AuditFilter {
            actor_id: Some(self.person.clone()).filter(|person| !person.is_empty()),
            kind: self.kind.parse().ok(),
            from: day(&self.from).and_then(beginning),
            until: day(&self.to).and_then(|day| day.checked_add_days(Days::new(1))).and_then(beginning),
            offset,
            limit,
        }
    }

    fn page(&self) -> i64 {
        self.page.parse().unwrap_or(1).clamp(1, PAGES_MAX)
    }

    /// The query without the page.
    fn address(&self) -> String {
        let pairs = [("person", &self.person), ("kind", &self.kind), ("from", &self.from), ("to", &self.to)];
        let given = pairs.iter().filter(|(_, value)| !value.is_empty());
        given.flat_map(|(name, value)| [*name, "=", &*query_value(value), "&"].map(str::to_owned)).collect()
    }
}

fn beginning(day: NaiveDate) -> Option<Timestamp> {
    day.and_hms_opt(0, 0, 0).map(|at| at.and_utc())
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    l: Layout,
    query: AuditQuery,
    address: String,
    page: i64,
    has_more: bool,
    people: Vec<(String, String)>,
    entries: Vec<AuditEntry>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
impl AuditPage {
    fn kind_name(&self, kind: &AuditKind) -> &'static str {
        kind_name(self.l.t, *kind)
    }
}

fn kind_name(t: &Texts, kind: AuditKind) -> &'static str {
    match kind {
        AuditKind::SignedIn => t.audit_signed_in,
        AuditKind::SignInFailed => t.audit_sign_in_failed,
        AuditKind::SignedOut => t.audit_signed_out,
        AuditKind::PersonAdded => t.audit_person_added,
        AuditKind::RoleChanged => t.audit_role_changed,
        AuditKind::PersonDeactivated => t.audit_person_deactivated,
        AuditKind::PersonActivated => t.audit_person_activated,
        AuditKind::PasswordLinkMade => t.audit_password_link_made,
        AuditKind::PasswordChanged => t.audit_password_changed,
        AuditKind::SessionEnded => t.audit_session_ended,
        AuditKind::FileUploaded => t.audit_file_uploaded,
        AuditKind::DocumentPublished => t.audit_document_published,
        AuditKind::DraftThrownAway => t.audit_draft_thrown_away,
        AuditKind::DocumentRolledBack => t.audit_document_rolled_back,
        AuditKind::DocumentDeleted => t.audit_document_deleted,
        AuditKind::ValidityChanged => t.audit_validity_changed,
        AuditKind::CorrectionApproved => t.audit_correction_approved,
        AuditKind::CorrectionRejected => t.audit_correction_rejected,
        AuditKind::CorrectionChanged => t.audit_correction_changed,
        AuditKind::CorrectionWithdrawn => t.audit_correction_withdrawn,
        AuditKind::ConversationTaken => t.audit_conversation_taken,
        AuditKind::ConversationHandedBack => t.audit_conversation_handed_back,
        AuditKind::ConversationClosed => t.audit_conversation_closed,
        AuditKind::ShopperExported => t.audit_shopper_exported,
        AuditKind::ListExported => t.audit_list_exported,
        AuditKind::SettingChanged => t.audit_setting_changed,
    }
}

/// `GET /console/audit`
pub(super) async fn list(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<AuditQuery>,
) -> PageResult<Response> {
    let page = query.page();
    let mut entries = state.store.audit_entries(&query.filter((page - 1) * PAGE_ROWS, PAGE_ROWS + 1)).await?;
    let has_more = entries.len() > PAGE_ROWS as usize;
    entries.truncate(PAGE_ROWS as usize);
    let title = locale.texts().audit;
    let l = Layout::for_staff(&state, locale, &staff, Section::Audit, title).await?;
    let people = state.store.audit_actors().await?;
    render(StatusCode::OK, &AuditPage { l, address: query.address(), query, page, has_more, people, entries })
}

/// `GET /console/audit/export`
pub(super) async fn export(
    State(state): State<ConsoleState>,
    staff: Staff,
    Query(query): Query<AuditQuery>,
) -> PageResult<Response> {
    state.store.note_deed(deed(&staff.user, AuditKind::ListExported, "audit log")).await?;
    let entries = state.store.audit_entries(&query.filter(0, FILE_ROWS_MAX)).await?;
    let lines = entries.iter().map(|entry| {
        line([
            ("id", json!(entry.id)),
            ("at", json!(entry.at.to_rfc3339())),
            ("person", json!(entry.actor_name)),
            ("person_id", json!(entry.actor_id)),
            ("kind", json!(entry.kind.as_str())),
            ("subject", json!(entry.subject)),
        ])
    });
    file("audit-log", Format::Csv, lines.collect())
}
