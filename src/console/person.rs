//! One of the people, for the owner: another role, kept out or let in, a link for a new password, and open sessions.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;
use tower_sessions::Session;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    password_link::VALID_FOR,
    people::ROLES,
    sessions::{OpenSession, open_sessions},
    sign_in::{deed, new_token, token_digest},
};
use crate::storage::{AuditKind, Role, User};

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    l: Layout,
    person: User,
    roles: [Role; 4],
    sessions: Vec<OpenSession>,
    /// The link that was just made; it is shown once.
    link: Option<String>,
    error: Option<&'static str>,
}

/// What a page about somebody is made for.
struct Asked<'a> {
    state: &'a ConsoleState,
    locale: Locale,
    staff: &'a Staff,
    session: &'a Session,
}

impl Asked<'_> {
    async fn show(self, person: User, link: Option<String>, error: Option<&'static str>) -> PageResult<Response> {
        let status = if error.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
        let sessions = open_sessions(&self.state.store, &person, self.session, Utc::now()).await?;
        let l = Layout::for_staff(self.state, self.locale, self.staff, Section::People, &person.name).await?;
        render(status, &PersonPage { l, person, roles: ROLES, sessions, link, error })
    }
}

async fn find(state: &ConsoleState, id: i64) -> PageResult<User> {
    state.store.user(id).await?.ok_or(PageError::NotFound)
}

fn back_to(id: i64) -> Response {
    Redirect::to(&format!("/console/people/{id}")).into_response()
}

/// `GET /console/people/{id}`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    session: Session,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let person = find(&state, id).await?;
    Asked { state: &state, locale, staff: &staff, session: &session }.show(person, None, None).await
}

/// Another role.
#[derive(Deserialize)]
pub(super) struct RoleForm {
    role: String,
}

/// `POST /console/people/{id}/role`
pub(super) async fn change_role(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    session: Session,
    Path(id): Path<i64>,
    Form(form): Form<RoleForm>,
) -> PageResult<Response> {
    let person = find(&state, id).await?;
    let t = locale.texts();
    let asked = Asked { state: &state, locale, staff: &staff, session: &session };
    let Ok(role) = form.role.parse::<Role>() else {
        return asked.show(person, None, Some(t.role_needed)).await;
    };
    if role != person.role {
        let subject = format!("{}: {} → {}", person.email, person.role.as_str(), role.as_str());
        let noting = state.store.noting(deed(&staff.user, AuditKind::RoleChanged, subject));
        if !noting.set_role(id, role).await? {
            return asked.show(person, None, Some(t.last_owner)).await;
        }
    }
    Ok(back_to(id))
}

/// In or out.
#[derive(Deserialize)]
pub(super) struct AccessForm {
    action: AccessAction,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AccessAction {
    Deactivate,
    Activate,
}

/// `POST /console/people/{id}/access`
pub(super) async fn change_access(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    session: Session,
    Path(id): Path<i64>,
    Form(form): Form<AccessForm>,
) -> PageResult<Response> {
    let person = find(&state, id).await?;
    match form.action {
        AccessAction::Activate => {
            state.store.noting(deed(&staff.user, AuditKind::PersonActivated, &person.email)).activate(id).await?;
        }
        AccessAction::Deactivate if person.is_active => {
            let noting = state.store.noting(deed(&staff.user, AuditKind::PersonDeactivated, &person.email));
            if !noting.deactivate(id, Utc::now()).await? {
                let error = locale.texts().last_owner;
                let asked = Asked { state: &state, locale, staff: &staff, session: &session };
                return asked.show(person, None, Some(error)).await;
            }
        }
        AccessAction::Deactivate => {}
    }
    Ok(back_to(id))
}

/// `POST /console/people/{id}/link`: makes a link for a new password and shows it once.
pub(super) async fn make_link(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let person = find(&state, id).await?;
    if !person.is_active {
        return Ok(back_to(id));
    }
    let token = new_token();
    let noting = state.store.noting(deed(&staff.user, AuditKind::PasswordLinkMade, &person.email));
    noting.keep_password_link(id, &token_digest(&token), Utc::now() + VALID_FOR).await?;
    // The origin of our own form: `same_origin` has held it against the host.
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let link = format!("{origin}/console/password?token={token}");
    Asked { state: &state, locale, staff: &staff, session: &session }.show(person, Some(link), None).await
}

/// A session to end.
#[derive(Deserialize)]
pub(super) struct SessionForm {
    session: String,
}

/// `POST /console/people/{id}/sessions`
pub(super) async fn end_session(
    State(state): State<ConsoleState>,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<SessionForm>,
) -> PageResult<Response> {
    let person = find(&state, id).await?;
    let noting = state.store.noting(deed(&staff.user, AuditKind::SessionEnded, person.email));
    // One that is over already is as it was wanted.
    noting.end_session(id, &form.session).await?;
    Ok(back_to(id))
}
