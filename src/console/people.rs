//! The people who may use the console: the owner sees them and adds others.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageResult, page as render},
    layout::{Layout, Locale, Section},
    sign_in::{check_person, deed, hash},
};
use crate::storage::{AuditKind, Role, User};

/// The roles that somebody can be given, lowest first.
pub(super) const ROLES: [Role; 4] = [Role::Viewer, Role::Agent, Role::Merchant, Role::Owner];

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    l: Layout,
    people: Vec<User>,
    roles: [Role; 4],
    name: String,
    email: String,
    role: Role,
    error: Option<String>,
}

/// `GET /console/people`
pub(super) async fn list(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    let blank = PersonForm::default();
    show(&state, locale, &staff, blank, None).await
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    form: PersonForm,
    error: Option<String>,
) -> PageResult<Response> {
    let title = locale.texts().people;
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let people = PeoplePage {
        l: Layout::for_staff(state, locale, staff, Section::People, title).await?,
        people: state.store.users().await?,
        roles: ROLES,
        role: form.role.parse().unwrap_or(Role::Agent),
        name: form.name,
        email: form.email,
        error,
    };
    render(status, &people)
}

/// Somebody to add.
#[derive(Default, Deserialize)]
pub(super) struct PersonForm {
    name: String,
    email: String,
    role: String,
    password: String,
}

/// `POST /console/people`
pub(super) async fn add(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Form(form): Form<PersonForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    let checked = check_person(t, &form.name, &form.email, &form.password)
        .and_then(|()| form.role.parse::<Role>().map_err(|_| t.role_needed.to_owned()));
    let role = match checked {
        Ok(role) => role,
        Err(error) => return show(&state, locale, &staff, form, Some(error)).await,
    };
    let hash = hash(&state, form.password.clone()).await?;
    let noting = state.store.noting(deed(&staff.user, AuditKind::PersonAdded, form.email.trim().to_lowercase()));
    let added = noting.add_user(form.email.trim(), form.name.trim(), role, &hash, Utc::now()).await?;
    if added.is_none() {
        return show(&state, locale, &staff, form, Some(t.email_taken.to_owned())).await;
    }
    Ok(Redirect::to("/console/people").into_response())
}
