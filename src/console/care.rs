//! Whose a conversation is, until when it rests, and its tags: what the page shows of it and what staff change.

use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use chrono::{NaiveDateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    conversations::{announce, back_to, find},
    frame::{PageError, PageResult},
    inbox::{Choice, ListQuery},
    layout::{Layout, Locale},
    texts::fill,
};
use crate::{
    message::Timestamp,
    storage::{Role, User},
};

/// Longest tag, in characters.
const TAG_CHARACTERS_MAX: usize = 40;
/// Furthest a conversation may rest.
const SNOOZE_MAX: TimeDelta = TimeDelta::days(366);
/// How long a conversation may rest by one click, in hours.
const SNOOZE_HOURS: [i64; 5] = [1, 4, 24, 72, 168];

/// What the page shows of it.
pub(super) struct CarePane {
    /// Colleagues who answer shoppers, and nobody.
    pub(super) colleagues: Vec<Choice>,
    pub(super) assignee: Option<String>,
    /// It rests until then.
    pub(super) rests_until: Option<Timestamp>,
    /// It has rested, and nobody has done anything with it since.
    pub(super) came_back: bool,
    /// Hours and their name.
    pub(super) spans: Vec<(i64, String)>,
    pub(super) tags: Vec<String>,
    /// Tags that other conversations have.
    pub(super) known_tags: Vec<String>,
}

/// How a conversation is looked after.
pub(super) async fn care_pane(state: &ConsoleState, l: &Layout, id: i64) -> PageResult<CarePane> {
    let (t, at) = (l.t, Utc::now());
    let care = state.store.care(id).await?;
    let colleagues = colleagues(state).await?;
    let nobody = Choice { value: String::new(), name: t.nobody.to_owned(), chosen: care.assignee_id.is_none() };
    let choices = colleagues.iter().map(|user| Choice {
        value: user.id.to_string(),
        name: user.name.clone(),
        chosen: care.assignee_id == Some(user.id),
    });
    let span = |hours: i64| {
        let (text, n) = if hours < 24 { (t.snooze_hours, hours) } else { (t.snooze_days, hours / 24) };
        (hours, l.numbered(text, &n))
    };
    let known = state.store.tags().await?.into_iter().filter(|tag| !care.tags.contains(tag));
    Ok(CarePane {
        assignee: colleagues.iter().find(|user| care.assignee_id == Some(user.id)).map(|user| user.name.clone()),
        colleagues: std::iter::once(nobody).chain(choices).collect(),
        came_back: care.snoozed_until.is_some_and(|until| until <= at),
        rests_until: care.snoozed_until.filter(|until| *until > at),
        spans: SNOOZE_HOURS.map(span).into(),
        known_tags: known.collect(),
        tags: care.tags,
    })
}

async fn colleagues(state: &ConsoleState) -> PageResult<Vec<User>> {
    Ok(state.store.users().await?.into_iter().filter(|user| user.is_active && user.role >= Role::Agent).collect())
}

/// To whom a conversation is given; empty: to nobody.
#[derive(Deserialize)]
pub(super) struct AssignForm {
    user: String,
}

/// `POST /console/conversations/{id}/assign`
pub(super) async fn assign(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Query(query): Query<ListQuery>,
    Form(form): Form<AssignForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    let conversation = find(&state, id).await?;
    let chosen = match form.user.as_str() {
        "" => None,
        user => {
            let found = colleagues(&state).await?.into_iter().find(|colleague| colleague.id.to_string() == user);
            Some(found.ok_or(PageError::NotFound)?)
        }
    };
    let notice = match &chosen {
        Some(colleague) => fill(t.assigned, &[("name", &staff.user.name), ("colleague", &colleague.name)]),
        None => fill(t.assigned_nobody, &[("name", &staff.user.name)]),
    };
    state.store.assign(id, chosen.map(|colleague| colleague.id), &notice, Utc::now()).await?;
    announce(&state, &conversation);
    Ok(back_to(id, &query))
}

/// A tag to add or to remove.
#[derive(Deserialize)]
pub(super) struct TagForm {
    #[serde(default)]
    tag: String,
    #[serde(default)]
    remove: String,
}

/// `POST /console/conversations/{id}/tags`
pub(super) async fn tag(
    State(state): State<ConsoleState>,
    Path(id): Path<i64>,
    Query(query): Query<ListQuery>,
    Form(form): Form<TagForm>,
) -> PageResult<Response> {
    let conversation = find(&state, id).await?;
    let added = clean_tag(&form.tag);
    if !form.remove.is_empty() {
        state.store.remove_tag(id, &form.remove).await?;
    } else if !added.is_empty() {
        state.store.add_tag(id, &added).await?;
    }
    announce(&state, &conversation);
    Ok(back_to(id, &query))
}

/// A tag in lower case with single spaces, so that the same one is not kept twice.
fn clean_tag(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    words.chars().take(TAG_CHARACTERS_MAX).collect::<String>().trim().to_owned()
}

/// Until when a conversation rests.
#[derive(Deserialize)]
pub(super) struct SnoozeForm {
    /// Hours from now; 0 wakes it; empty: `until` says.
    #[serde(default)]
    hours: String,
    /// A date and time as the browser writes it.
    #[serde(default)]
    until: String,
    /// Minutes that the browser's clock is behind UTC.
    #[serde(default)]
    offset: String,
}

impl SnoozeForm {
    /// `None`: at no time that could be meant.
    fn time(&self, at: Timestamp) -> Option<Timestamp> {
        let time = match self.hours.parse::<i64>() {
            Ok(hours) => at.checked_add_signed(TimeDelta::try_hours(hours)?)?,
            Err(_) => {
                let local = NaiveDateTime::parse_from_str(&self.until, "%Y-%m-%dT%H:%M").ok()?.and_utc();
                let offset = self.offset.parse::<i64>().unwrap_or(0).clamp(-1_000, 1_000);
                local.checked_add_signed(TimeDelta::minutes(offset))?
            }
        };
        (time <= at + SNOOZE_MAX).then_some(time)
    }
}

/// `POST /console/conversations/{id}/snooze`
pub(super) async fn snooze(
    State(state): State<ConsoleState>,
    Path(id): Path<i64>,
    Query(query): Query<ListQuery>,
    Form(form): Form<SnoozeForm>,
) -> PageResult<Response> {
    let conversation = find(&state, id).await?;
    let at = Utc::now();
    if let Some(until) = form.time(at) {
        state.store.snooze(id, Some(until).filter(|until| *until > at)).await?;
        announce(&state, &conversation);
    }
    Ok(back_to(id, &query))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(hours: &str, until: &str, offset: &str) -> Option<i64> {
        let form = SnoozeForm { hours: hours.into(), until: until.into(), offset: offset.into() };
        form.time(Timestamp::UNIX_EPOCH).map(|time| time.timestamp() / 60)
    }

    #[test]
    fn a_rest_ends_after_hours_or_at_the_time_on_the_readers_clock() {
        assert_eq!(until("4", "", ""), Some(240));
        assert_eq!(until("0", "", ""), Some(0));
        assert_eq!(until("", "1970-01-01T10:00", ""), Some(600));
        assert_eq!(until("", "1970-01-01T10:00", "-480"), Some(120), "ten o'clock in Shanghai");
        for (hours, time) in [("999999", ""), ("9223372036854775807", ""), ("", "soon"), ("", "1999-01-01T10:00")] {
            assert_eq!(until(hours, time, ""), None, "{hours} {time}");
        }
    }

    #[test]
    fn a_tag_is_kept_in_one_spelling() {
        assert_eq!(clean_tag("  VIP \n customer "), "vip customer");
        assert_eq!(clean_tag(&"退".repeat(50)).chars().count(), 40);
    }
}
