//! The list at the left of the inbox: its views with their counts, its filters, which all stand in the address, and its
//! rows.

use chrono::{Days, NaiveDate, Utc};
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    excerpt::{Excerpt, excerpt},
    frame::PageResult,
    layout::{Layout, query_value},
    texts::{Texts, fill},
};
use crate::{
    conversation::{Standing, State as Word},
    message::{Channel, Language, Timestamp},
    storage::{Attended, ConversationFilter, ConversationSummary, InboxView, TurnQuality},
};

/// Conversations on one page of the list.
const PAGE_ROWS: i64 = 50;
/// Longest search, in characters.
const SEARCH_CHARACTERS_MAX: usize = 200;
/// An id of so many characters is shown whole; of a longer one the last `ID_END`.
const SHORT_ID: usize = 10;
const ID_END: usize = 6;

/// What the address says of the list. Everything is optional, and nonsense means "all".
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    pub(super) view: String,
    pub(super) q: String,
    pub(super) state: String,
    pub(super) channel: String,
    pub(super) language: String,
    pub(super) intent: String,
    pub(super) quality: String,
    pub(super) tag: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) page: String,
}

impl ListQuery {
    fn pairs(&self) -> [(&'static str, &str); 11] {
        [
            ("view", &self.view),
            ("q", &self.q),
            ("state", &self.state),
            ("channel", &self.channel),
            ("language", &self.language),
            ("intent", &self.intent),
            ("quality", &self.quality),
            ("tag", &self.tag),
            ("from", &self.from),
            ("to", &self.to),
            ("page", &self.page),
        ]
    }

    /// As the end of an address, `?view=mine&q=wool`; empty for the whole list.
    pub(super) fn suffix(&self) -> String {
        let said = self.pairs().into_iter().filter(|(_, value)| !value.is_empty());
        let parts: Vec<String> = said.map(|(name, value)| format!("{name}={}", query_value(value))).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    /// The address of the list.
    pub(super) fn address(&self) -> String {
        format!("/console/conversations{}", self.suffix())
    }

    /// Whether something beside the view narrows the list.
    fn is_filtered(&self) -> bool {
        self.pairs().into_iter().any(|(name, value)| !matches!(name, "view" | "page") && !value.is_empty())
    }

    /// Whether the folded filters are in use.
    fn has_folded_filters(&self) -> bool {
        self.pairs().into_iter().any(|(name, value)| !matches!(name, "view" | "page" | "q") && !value.is_empty())
    }

    fn view(&self) -> InboxView {
        InboxView::EACH.into_iter().find(|view| view.as_str() == self.view).unwrap_or_default()
    }

    fn page(&self) -> i64 {
        self.page.parse().unwrap_or(0).clamp(0, 100_000)
    }

    /// What the store is asked for.
    pub(super) fn filter(&self, reader: i64, at: Timestamp) -> ConversationFilter {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let qualities = [TurnQuality::Declined, TurnQuality::Unsure];
        ConversationFilter {
            view: self.view(),
            reader,
            at,
            state: self.state.parse().ok(),
            wish_left: false,
            search: some(&self.q.chars().take(SEARCH_CHARACTERS_MAX).collect::<String>()),
            channel: self.channel.parse().ok(),
            language: Language::ALL.into_iter().find(|language| language.as_str() == self.language),
            intent: some(&self.intent),
            quality: qualities.into_iter().find(|quality| quality.as_str() == self.quality),
            tag: some(&self.tag),
            customer: None,
            from: day(&self.from).map(begin_of),
            until: day(&self.to).and_then(|day| day.checked_add_days(Days::new(1))).map(begin_of),
            limit: PAGE_ROWS,
            offset: 0,
        }
    }
}

fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

fn begin_of(day: NaiveDate) -> Timestamp {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

/// One view of the inbox.
pub(super) struct ViewLink {
    pub(super) address: String,
    pub(super) name: &'static str,
    pub(super) count: i64,
    pub(super) is_open: bool,
}

/// One entry of a select.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) chosen: bool,
}

/// One conversation in the list.
pub(super) struct Row {
    pub(super) summary: ConversationSummary,
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) state_name: &'static str,
    /// Who has it, how long it has waited, or until when it rests.
    pub(super) standing: String,
    /// The line that has the words of the search.
    pub(super) matched: Option<Excerpt>,
    pub(super) is_open: bool,
}

/// The list with everything around it.
pub(super) struct ListPane {
    pub(super) query: ListQuery,
    pub(super) suffix: String,
    pub(super) filtered: bool,
    pub(super) folded_filters: bool,
    pub(super) views: Vec<ViewLink>,
    pub(super) states: Vec<Choice>,
    pub(super) channels: Vec<Choice>,
    pub(super) languages: Vec<Choice>,
    pub(super) intents: Vec<Choice>,
    pub(super) qualities: Vec<Choice>,
    pub(super) tags: Vec<Choice>,
    /// What shoppers are told of the hours, where the shop has some.
    pub(super) desk: Option<String>,
    pub(super) waiting: Vec<Row>,
    pub(super) wishes: Vec<Row>,
    pub(super) rows: Vec<Row>,
    pub(super) previous: Option<String>,
    pub(super) following: Option<String>,
}

/// The list as `staff` see it beside the open conversation (0: none).
pub(super) async fn list_pane(
    state: &ConsoleState,
    l: &Layout,
    staff: &Staff,
    query: ListQuery,
    open: i64,
) -> PageResult<ListPane> {
    let (t, at, reader) = (l.t, Utc::now(), staff.user.id);
    let filter = query.filter(reader, at);
    let number = query.page();
    let asked = ConversationFilter { limit: PAGE_ROWS + 1, offset: number * PAGE_ROWS, ..filter.clone() };
    let mut found = state.store.conversations(&asked).await?;
    let more = found.len() as i64 > PAGE_ROWS;
    found.truncate(PAGE_ROWS as usize);
    let (mut waiting, mut wishes) = (Vec::new(), Vec::new());
    if filter.view == InboxView::All && filter.state.is_none() {
        // Those stand in lists of their own, longest wait first, so that none is pushed to another page.
        found.retain(|summary| summary.standing.state != Word::Waiting && !has_open_wish(summary));
        if number == 0 {
            let waits = ConversationFilter { state: Some(Word::Waiting), ..filter.clone() };
            waiting = state.store.conversations(&waits).await?;
            let left = ConversationFilter { wish_left: true, ..filter.clone() };
            wishes = state.store.conversations(&left).await?;
            wishes.sort_by_key(|summary| (summary.wish_left_at, summary.id));
        }
    } else if filter.view == InboxView::Waiting {
        found.sort_by_key(|summary| (summary.standing.since, summary.id));
    }
    waiting.sort_by_key(|summary| (summary.standing.since, summary.id));
    let queue = state.store.attended().await?;
    let rows = |summaries: Vec<ConversationSummary>| -> Vec<Row> {
        summaries.into_iter().map(|summary| row(l, &queue, &query.q, at, open, summary)).collect()
    };
    let turn_to = |page: i64| ListQuery { page: page.to_string(), ..query.clone() }.address();
    Ok(ListPane {
        suffix: query.suffix(),
        filtered: query.is_filtered(),
        folded_filters: query.has_folded_filters(),
        views: view_links(state, t, &query, reader, at).await?,
        states: state_choices(t, filter.state),
        channels: channel_choices(l, filter.channel),
        languages: language_choices(l, filter.language),
        intents: named_choices(t.any_intent, state.store.latest_intents().await?, &query.intent),
        qualities: quality_choices(t, filter.quality),
        tags: named_choices(t.any_tag, state.store.tags().await?, &query.tag),
        desk: desk_line(state, l).await?,
        waiting: rows(waiting),
        wishes: rows(wishes),
        rows: rows(found),
        previous: (number > 0).then(|| turn_to(number - 1)),
        following: more.then(|| turn_to(number + 1)),
        query,
    })
}

fn has_open_wish(summary: &ConversationSummary) -> bool {
    summary.wish_left_at.is_some() && summary.standing.state == Word::Bot
}

fn row(l: &Layout, queue: &[Attended], search: &str, at: Timestamp, open: i64, summary: ConversationSummary) -> Row {
    let snoozed = summary.snoozed_until.filter(|until| *until > at);
    Row {
        name: shopper_name(l.t, summary.customer.as_deref(), &summary.chat),
        state: summary.standing.state.as_str(),
        state_name: state_name(l.t, summary.standing.state),
        standing: match snoozed {
            Some(until) => fill(l.t.snoozed_until, &[("time", l.utc(&until))]),
            None => standing(l, queue, summary.id, &summary.standing),
        },
        matched: summary.matched_text.as_deref().and_then(|text| excerpt(text, search)),
        is_open: summary.id == open,
        summary,
    }
}

/// Who has a conversation, or its place in the queue; empty when the bot has it.
pub(super) fn standing(l: &Layout, queue: &[Attended], id: i64, standing: &Standing) -> String {
    if let Some(holder) = &standing.holder {
        return fill(l.t.answers_now, &[("name", &holder.staff.name)]);
    }
    let mut waiting = queue.iter().filter(|attended| attended.standing.state == Word::Waiting);
    match waiting.position(|attended| attended.id == id) {
        Some(at) => fill(l.t.waits_since, &[("n", (at + 1).to_string()), ("time", l.lasting(&standing.since))]),
        None => String::new(),
    }
}

/// What shoppers who want a person are told right now.
async fn desk_line(state: &ConsoleState, l: &Layout) -> PageResult<Option<String>> {
    let at = Utc::now();
    let Some(hours) = state.store.shop_profile().await?.open_hours() else { return Ok(None) };
    if hours.is_open(at) {
        return Ok(Some(l.t.desk_open.to_owned()));
    }
    Ok(hours.back(at, l.language).map(|time| fill(l.t.desk_closed, &[("time", &time)])))
}

async fn view_links(
    state: &ConsoleState,
    t: &'static Texts,
    query: &ListQuery,
    reader: i64,
    at: Timestamp,
) -> PageResult<Vec<ViewLink>> {
    let counts = state.store.inbox_counts(reader, at).await?;
    let links = InboxView::EACH.into_iter().map(|view| {
        let name = if view == InboxView::All { String::new() } else { view.as_str().to_owned() };
        ViewLink {
            address: ListQuery { view: name, page: String::new(), ..query.clone() }.address(),
            name: match view {
                InboxView::All => t.view_all,
                InboxView::Mine => t.view_mine,
                InboxView::Unassigned => t.view_unassigned,
                InboxView::Waiting => t.view_waiting,
                InboxView::Snoozed => t.view_snoozed,
            },
            count: counts.get(&view).copied().unwrap_or(0),
            is_open: query.view() == view,
        }
    });
    Ok(links.collect())
}

/// A select whose first entry means any.
fn choices(any: &str, entries: impl IntoIterator<Item = (String, String)>, chosen: &str) -> Vec<Choice> {
    let any = Choice { value: String::new(), name: any.to_owned(), chosen: chosen.is_empty() };
    let entries =
        entries.into_iter().map(|(value, name)| Choice { chosen: value == chosen && !value.is_empty(), value, name });
    std::iter::once(any).chain(entries).collect()
}

fn state_choices(t: &'static Texts, chosen: Option<Word>) -> Vec<Choice> {
    let states = [Word::Waiting, Word::WithStaff, Word::Bot, Word::Closed];
    let entries = states.map(|state| (state.as_str().to_owned(), state_name(t, state).to_owned()));
    choices(t.state_all, entries, chosen.map_or("", Word::as_str))
}

fn channel_choices(l: &Layout, chosen: Option<Channel>) -> Vec<Choice> {
    let channels = [Channel::Widget, Channel::Telegram, Channel::Terminal];
    let entries = channels.map(|channel| (channel.as_str().to_owned(), l.channel_name(&channel).to_owned()));
    choices(l.t.any_channel, entries, chosen.map_or("", Channel::as_str))
}

fn language_choices(l: &Layout, chosen: Option<Language>) -> Vec<Choice> {
    let entries = Language::ALL.map(|language| (language.as_str().to_owned(), l.language_name(&language).to_owned()));
    choices(l.t.any_language, entries, chosen.map_or("", Language::as_str))
}

fn quality_choices(t: &'static Texts, chosen: Option<TurnQuality>) -> Vec<Choice> {
    let entries = [(TurnQuality::Declined, t.quality_declined), (TurnQuality::Unsure, t.quality_unsure)];
    let entries = entries.map(|(quality, name)| (quality.as_str().to_owned(), name.to_owned()));
    choices(t.any_quality, entries, chosen.map_or("", TurnQuality::as_str))
}

/// Names of the shop's own, as intents and tags are.
fn named_choices(any: &str, names: Vec<String>, chosen: &str) -> Vec<Choice> {
    choices(any, names.into_iter().map(|name| (name.clone(), name.replace('_', " "))), chosen)
}

pub(super) fn state_name(t: &Texts, state: Word) -> &'static str {
    match state {
        Word::Bot => t.state_bot,
        Word::Waiting => t.state_waiting,
        Word::WithStaff => t.state_with_staff,
        Word::Closed => t.state_closed,
    }
}

/// The verified customer, or as much of the chat's id as tells shoppers apart.
pub(super) fn shopper_name(t: &Texts, customer: Option<&str>, chat: &str) -> String {
    if let Some(customer) = customer {
        return customer.to_owned();
    }
    let length = chat.chars().count();
    let skipped = if length <= SHORT_ID { 0 } else { length - ID_END };
    fill(t.shopper_named, &[("id", &chat.chars().skip(skipped).collect::<String>())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_what_was_asked_and_nothing_else() {
        let query = ListQuery { view: "mine".into(), q: "a&b 退货".into(), page: "2".into(), ..ListQuery::default() };
        assert_eq!(query.suffix(), "?view=mine&q=a%26b%20%E9%80%80%E8%B4%A7&page=2");
        assert_eq!(ListQuery::default().address(), "/console/conversations");
    }

    #[test]
    fn a_day_counts_whole_and_nonsense_means_all() {
        let query = ListQuery { from: "2026-11-01".into(), to: "2026-11-01".into(), ..ListQuery::default() };
        let filter = query.filter(1, Timestamp::UNIX_EPOCH);
        assert_eq!((filter.until.unwrap() - filter.from.unwrap()).num_hours(), 24);
        let nonsense = ListQuery {
            view: "x".into(),
            state: "x".into(),
            channel: "x".into(),
            quality: "x".into(),
            from: "x".into(),
            page: "-1".into(),
            ..ListQuery::default()
        };
        let filter = nonsense.filter(1, Timestamp::UNIX_EPOCH);
        assert_eq!((filter.view, filter.state, filter.channel, filter.from), (InboxView::All, None, None, None));
        assert!(filter.quality.is_none() && nonsense.page() == 0);
    }
}
