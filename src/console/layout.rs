//! What all pages share: language, navigation, and how times, sizes and scores are written.

use std::fmt::{Display, Write};

use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::Utc;

use super::{
    ConsoleState,
    access::Staff,
    assets,
    frame::{PageError, PageResult},
    texts::{Texts, fill, texts},
};
use crate::{
    knowledge::ChunkKind,
    message::{Channel, Language, Timestamp},
    storage::{Role, User},
};

/// Language and address of the request, put there by `frame`.
#[derive(Debug, Clone)]
pub(super) struct Locale {
    pub(super) language: Language,
    /// Path and query, to come back to after the language was changed.
    pub(super) target: String,
}

impl Locale {
    pub(super) fn texts(&self) -> &'static Texts {
        texts(self.language)
    }
}

impl<S: Sync> FromRequestParts<S> for Locale {
    type Rejection = PageError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(PageError::Internal("the frame is missing".to_owned()))
    }
}

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Conversations,
    SetAside,
    Documents,
    Catalogue,
    Widget,
    Corrections,
    Gaps,
    TestBench,
    Outcome,
    People,
    Audit,
    Account,
    None,
}

/// What the base template shows around a page.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) t: &'static Texts,
    pub(super) language: Language,
    pub(super) title: String,
    pub(super) target: String,
    pub(super) section: Section,
    pub(super) user: Option<User>,
    /// Conversations that wait for a person.
    pub(super) waiting: i64,
    /// Messages that could not be read or answered.
    pub(super) set_aside: i64,
    /// Answers of staff that wait for a merchant's decision.
    pub(super) proposed: i64,
}

impl Layout {
    /// For somebody who has not logged in.
    pub(super) fn for_guest(locale: Locale, title: &str) -> Self {
        Self {
            t: locale.texts(),
            language: locale.language,
            title: title.to_owned(),
            target: locale.target,
            section: Section::None,
            user: None,
            waiting: 0,
            set_aside: 0,
            proposed: 0,
        }
    }

    /// For somebody who has.
    pub(super) async fn for_staff(
        state: &ConsoleState,
        locale: Locale,
        staff: &Staff,
        section: Section,
        title: &str,
    ) -> PageResult<Self> {
        let waiting = state.store.conversation_counts().await?.waiting;
        let set_aside = state.store.set_aside_count().await?;
        let proposed = state.store.proposed_count().await?;
        let user = Some(staff.user.clone());
        Ok(Self { section, user, waiting, set_aside, proposed, ..Self::for_guest(locale, title) })
    }

    pub(super) fn is(&self, section: Section) -> bool {
        self.section == section
    }

    pub(super) fn may_reply(&self) -> bool {
        self.has_role(Role::Agent)
    }

    pub(super) fn may_upload(&self) -> bool {
        self.has_role(Role::Merchant)
    }

    pub(super) fn may_manage_people(&self) -> bool {
        self.has_role(Role::Owner)
    }

    fn has_role(&self, role: Role) -> bool {
        self.user.as_ref().is_some_and(|user| user.role >= role)
    }
}

#[expect(
    clippy::unused_self,
    clippy::trivially_copy_pass_by_ref,
    reason = "templates call methods of a value they hold, and pass references"
)]
impl Layout {
    pub(super) fn role_name(&self, role: &Role) -> &'static str {
        match role {
            Role::Viewer => self.t.role_viewer,
            Role::Agent => self.t.role_agent,
            Role::Merchant => self.t.role_merchant,
            Role::Owner => self.t.role_owner,
        }
    }

    pub(super) fn kind_name(&self, kind: &ChunkKind) -> &'static str {
        match kind {
            ChunkKind::Text => self.t.kind_text,
            ChunkKind::Question => self.t.kind_question,
            ChunkKind::Row => self.t.kind_row,
        }
    }

    /// BCP 47 tag of the page.
    pub(super) fn tag(&self) -> &'static str {
        match self.language {
            Language::En => "en",
            Language::Zh => "zh-CN",
        }
    }

    pub(super) fn style(&self) -> &'static str {
        assets::style_path()
    }

    pub(super) fn script(&self) -> &'static str {
        assets::script_path()
    }

    /// How long ago, as `5 min ago`.
    pub(super) fn ago(&self, at: &Timestamp) -> String {
        ago(self.t, Utc::now(), *at)
    }

    /// A span of time as `5 min`.
    pub(super) fn lasting(&self, since: &Timestamp) -> String {
        let minutes = (Utc::now() - *since).num_minutes().max(0);
        let (text, n) = if minutes < 120 { (self.t.minutes, minutes) } else { (self.t.hours, minutes / 60) };
        self.numbered(text, &n)
    }

    /// Date and time for a `datetime` attribute; the script shows it in the reader's time zone.
    pub(super) fn iso(&self, at: &Timestamp) -> String {
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Date and time as it reads without the script.
    pub(super) fn utc(&self, at: &Timestamp) -> String {
        at.format("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// A file's size as `34 KB`.
    pub(super) fn size(&self, bytes: &i64) -> String {
        match *bytes {
            ..1_000 => format!("{bytes} B"),
            1_000..1_000_000 => format!("{} KB", bytes / 1_000),
            _ => format!("{:.1} MB", *bytes as f64 / 1e6),
        }
    }

    /// `text` with its `{n}` filled in.
    pub(super) fn numbered(&self, text: &str, n: &impl Display) -> String {
        fill(text, &[("n", n.to_string())])
    }

    /// `text` with its `{name}` filled in.
    pub(super) fn named(&self, text: &str, name: &str) -> String {
        fill(text, &[("name", name)])
    }

    pub(super) fn channel_name(&self, channel: &Channel) -> &'static str {
        match channel {
            Channel::Telegram => "Telegram",
            Channel::Widget => self.t.channel_widget,
            Channel::Terminal => self.t.channel_terminal,
            Channel::Batch => self.t.channel_batch,
        }
    }

    pub(super) fn language_name(&self, language: &Language) -> &'static str {
        match language {
            Language::En => self.t.language_en,
            Language::Zh => self.t.language_zh,
        }
    }
}

fn ago(t: &Texts, now: Timestamp, at: Timestamp) -> String {
    let minutes = (now - at).num_minutes();
    let number = |text: &str, n: i64| fill(text, &[("n", &n.to_string())]);
    match minutes {
        ..1 => t.ago_now.to_owned(),
        1..60 => number(t.ago_minutes, minutes),
        60..1440 => number(t.ago_hours, minutes / 60),
        1440..10080 => number(t.ago_days, minutes / 1440),
        _ => at.format("%Y-%m-%d").to_string(),
    }
}

/// A probability as `93 %`.
pub(super) fn percent(probability: f32) -> String {
    if probability.is_finite() { format!("{:.0} %", probability.clamp(0.0, 1.0) * 100.0) } else { "–".to_owned() }
}

/// Escapes text for the value of a query parameter.
pub(super) fn query_value(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// An address of the console to go to, from a form or a query: anything else leads to the overview.
pub(super) fn inside_console(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let inside = path == "/console" || path.starts_with("/console/");
    let plain = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if inside && plain { target } else { "/console" }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_target_never_leaves_the_console() {
        for target in ["/console", "/console/conversations?q=a%20b", "/console/documents/1"] {
            assert_eq!(inside_console(target), target);
        }
        for target in
            ["https://evil.example/console/", "//evil.example", "/consolex", "/console\\..", "/console/\r\nx: y", ""]
        {
            assert_eq!(inside_console(target), "/console", "{target:?}");
        }
    }

    #[test]
    fn times_read_as_a_person_would_say_them() {
        let t = texts(Language::En);
        let now = Utc::now();
        let read = |delta| ago(t, now, now - delta);
        assert_eq!(read(TimeDelta::seconds(20)), "just now");
        assert_eq!(read(TimeDelta::seconds(-20)), "just now");
        assert_eq!(read(TimeDelta::minutes(59)), "59 min ago");
        assert_eq!(read(TimeDelta::hours(5)), "5 h ago");
        assert_eq!(read(TimeDelta::days(6)), "6 d ago");
        assert!(read(TimeDelta::days(60)).starts_with("20"));
    }

    #[test]
    fn a_score_that_is_no_number_shows_as_a_dash() {
        assert_eq!(percent(0.934), "93 %");
        assert_eq!(percent(f32::NAN), "–");
    }
}
