//! The conversations: the list with those that wait for a person first, one transcript, and what staff do with it.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section, query_value},
    texts::{Texts, fill},
    transcript::{Bubble, bubbles},
};
use crate::{
    conversation::{Conversation, Holder, Staff as Colleague, Standing, State as Word},
    desk::Deed,
    message::Channel,
    storage::{Acted, Attended, ConversationFilter, ConversationSummary},
};

/// Conversations on one page of the list.
const PAGE_ROWS: i64 = 50;
/// Longest message to a shopper, in characters: Telegram takes 4,096.
const REPLY_CHARACTERS_MAX: usize = 4_000;

/// An id of so many characters is shown whole; of a longer one the last `ID_END`.
const SHORT_ID: usize = 10;
const ID_END: usize = 6;

/// Query of the list. Everything is optional, and nonsense means "all".
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
}

#[derive(Template)]
#[template(path = "conversations.html")]
struct ListPage {
    l: Layout,
    states: Vec<StateOption>,
    search: String,
    filtered: bool,
    /// What shoppers are told of the hours, where the shop has some.
    desk: Option<String>,
    waiting: Vec<Row>,
    wishes: Vec<Row>,
    rows: Vec<Row>,
    previous: Option<String>,
    following: Option<String>,
}

/// One entry of the filter by state.
struct StateOption {
    value: &'static str,
    name: &'static str,
    chosen: bool,
}

/// One conversation in the list.
struct Row {
    summary: ConversationSummary,
    name: String,
    state: &'static str,
    state_name: &'static str,
    /// Who has it, or how long it has waited.
    standing: String,
}

impl Row {
    fn new(l: &Layout, queue: &[Attended], summary: ConversationSummary) -> Self {
        Self {
            name: shopper_name(l.t, summary.customer.as_deref(), &summary.chat),
            state: summary.standing.state.as_str(),
            state_name: state_name(l.t, summary.standing.state),
            standing: standing(l, queue, summary.id, &summary.standing),
            summary,
        }
    }
}

/// Who has a conversation, or its place in the queue; empty when the bot has it.
fn standing(l: &Layout, queue: &[Attended], id: i64, standing: &Standing) -> String {
    if let Some(holder) = &standing.holder {
        return fill(l.t.answers_now, &[("name", &holder.staff.name)]);
    }
    let mut waiting = queue.iter().filter(|attended| attended.standing.state == Word::Waiting);
    match waiting.position(|attended| attended.id == id) {
        Some(at) => fill(l.t.waits_since, &[("n", (at + 1).to_string()), ("time", l.lasting(&standing.since))]),
        None => String::new(),
    }
}

/// `GET /console/conversations`
pub(super) async fn list(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<ListQuery>,
) -> PageResult<Response> {
    let t = locale.texts();
    let chosen = query.state.parse::<Word>().ok();
    let search = query.q.trim().chars().take(200).collect::<String>();
    let number = query.page.parse::<i64>().unwrap_or(0).clamp(0, 100_000);
    let filter = |state, limit, offset| ConversationFilter {
        state,
        search: Some(search.clone()),
        limit,
        offset,
        ..ConversationFilter::default()
    };
    let mut found = state.store.conversations(&filter(chosen, PAGE_ROWS + 1, number * PAGE_ROWS)).await?;
    let more = found.len() as i64 > PAGE_ROWS;
    found.truncate(PAGE_ROWS as usize);
    let (mut waiting, mut wishes) = (Vec::new(), Vec::new());
    if chosen.is_none() {
        // Those stand in lists of their own, longest wait first, so that none is pushed to another page.
        found.retain(|summary| summary.standing.state != Word::Waiting && !has_open_wish(summary));
        if number == 0 {
            waiting = state.store.conversations(&filter(Some(Word::Waiting), PAGE_ROWS, 0)).await?;
            waiting.sort_by_key(|summary| (summary.standing.since, summary.id));
            let left = ConversationFilter { wish_left: true, ..filter(None, PAGE_ROWS, 0) };
            wishes = state.store.conversations(&left).await?;
            wishes.sort_by_key(|summary| (summary.wish_left_at, summary.id));
        }
    }
    let queue = state.store.attended().await?;
    let l = Layout::for_staff(&state, locale, &staff, Section::Conversations, t.conversations).await?;
    let rows = |summaries: Vec<_>| -> Vec<Row> {
        summaries.into_iter().map(|summary| Row::new(&l, &queue, summary)).collect()
    };
    let address = |page: i64| {
        let state = chosen.map_or("", Word::as_str);
        format!("/console/conversations?state={state}&q={}&page={page}", query_value(&search))
    };
    let list = ListPage {
        states: state_options(t, chosen),
        filtered: chosen.is_some() || !search.is_empty(),
        desk: desk_line(&state, &l).await?,
        waiting: rows(waiting),
        wishes: rows(wishes),
        rows: rows(found),
        previous: (number > 0).then(|| address(number - 1)),
        following: more.then(|| address(number + 1)),
        l,
        search,
    };
    render(StatusCode::OK, &list)
}

fn has_open_wish(summary: &ConversationSummary) -> bool {
    summary.wish_left_at.is_some() && summary.standing.state == Word::Bot
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

fn state_options(t: &'static Texts, chosen: Option<Word>) -> Vec<StateOption> {
    let all = StateOption { value: "", name: t.state_all, chosen: chosen.is_none() };
    let states = [Word::Waiting, Word::WithStaff, Word::Bot, Word::Closed];
    let options = states.map(|state| StateOption {
        value: state.as_str(),
        name: state_name(t, state),
        chosen: chosen == Some(state),
    });
    std::iter::once(all).chain(options).collect()
}

fn state_name(t: &Texts, state: Word) -> &'static str {
    match state {
        Word::Bot => t.state_bot,
        Word::Waiting => t.state_waiting,
        Word::WithStaff => t.state_with_staff,
        Word::Closed => t.state_closed,
    }
}

/// The verified customer, or as much of the chat's id as tells shoppers apart.
fn shopper_name(t: &Texts, customer: Option<&str>, chat: &str) -> String {
    if let Some(customer) = customer {
        return customer.to_owned();
    }
    let length = chat.chars().count();
    let skipped = if length <= SHORT_ID { 0 } else { length - ID_END };
    fill(t.shopper_named, &[("id", &chat.chars().skip(skipped).collect::<String>())])
}

#[derive(Template)]
#[template(path = "conversation.html")]
struct TranscriptPage {
    l: Layout,
    id: i64,
    name: String,
    channel: Channel,
    chat: String,
    conversation: Conversation,
    state: &'static str,
    state_name: &'static str,
    /// Who has it, its place in the queue, or a message left for a person.
    standing: String,
    may_take: bool,
    may_return: bool,
    may_close: bool,
    bubbles: Vec<Bubble>,
    draft: String,
    refusal: Option<Refusal>,
}

/// Why a draft was not sent, as the page says it.
struct Refusal {
    text: String,
    /// A colleague is answering: the draft may be sent by taking over.
    may_take_over: bool,
}

/// Why a draft was not sent.
enum Unsent {
    /// There is something to mend.
    Wrong(String),
    /// A colleague is answering.
    Locked(Holder),
}

/// `GET /console/conversations/{id}`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    transcript(&state, locale, &staff, id, String::new(), None).await
}

async fn transcript(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    id: i64,
    draft: String,
    unsent: Option<Unsent>,
) -> PageResult<Response> {
    let conversation = find(state, id).await?;
    let standing_now = state.store.standing(id).await?.ok_or(PageError::NotFound)?;
    let queue = state.store.attended().await?;
    let t = locale.texts();
    let name = shopper_name(t, conversation.verified_customer(), &conversation.chat);
    let l = Layout::for_staff(state, locale, staff, Section::Conversations, &name).await?;
    let word = conversation.state;
    let (status, refusal) = match unsent {
        None => (StatusCode::OK, None),
        Some(Unsent::Wrong(text)) => (StatusCode::UNPROCESSABLE_ENTITY, Some(Refusal { text, may_take_over: false })),
        Some(Unsent::Locked(holder)) => {
            let values = [("name", holder.staff.name.clone()), ("time", l.ago(&holder.active_at))];
            let refusal = Refusal { text: fill(t.locked, &values), may_take_over: true };
            (StatusCode::CONFLICT, Some(refusal))
        }
    };
    let transcript = TranscriptPage {
        bubbles: bubbles(&l, state.store.messages(id, 0).await?, &state.store.wrong_replies(id).await?),
        standing: if state.store.has_open_wish(id).await? {
            t.wish_left.to_owned()
        } else {
            standing(&l, &queue, id, &standing_now)
        },
        l,
        id,
        name,
        channel: conversation.channel,
        chat: conversation.chat.clone(),
        state: word.as_str(),
        state_name: state_name(t, word),
        // Also from a colleague.
        may_take: standing_now.holder.is_none_or(|holder| holder.staff != as_staff(staff)),
        may_return: matches!(word, Word::Waiting | Word::WithStaff),
        may_close: word != Word::Closed,
        conversation,
        draft,
        refusal,
    };
    render(status, &transcript)
}

async fn find(state: &ConsoleState, id: i64) -> PageResult<Conversation> {
    state.store.conversation_by_id(id).await?.ok_or(PageError::NotFound)
}

/// Somebody who has logged in, as colleagues see them.
fn as_staff(staff: &Staff) -> Colleague {
    Colleague::new("console", staff.user.id, staff.user.name.clone())
}

/// A message to the shopper, or a note for colleagues.
#[derive(Deserialize)]
pub(super) struct ReplyForm {
    text: String,
    #[serde(default, rename = "as")]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Reply,
    /// Takes over from whoever is answering.
    TakeOver,
    Note,
}

/// `POST /console/conversations/{id}/reply`
pub(super) async fn reply(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<ReplyForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    // Browsers send line breaks of a form as CR LF.
    let text = form.text.replace("\r\n", "\n").trim().to_owned();
    let error = match text.chars().count() {
        0 => Some(t.reply_empty.to_owned()),
        1..=REPLY_CHARACTERS_MAX => None,
        count => Some(fill(t.reply_too_long, &[("n", &count.to_string()), ("max", &REPLY_CHARACTERS_MAX.to_string())])),
    };
    if let Some(error) = error {
        return transcript(&state, locale, &staff, id, text, Some(Unsent::Wrong(error))).await;
    }
    if form.kind == Kind::TakeOver {
        perform(&state, &locale, &staff, id, &Deed::Take).await?;
    }
    let deed = match form.kind {
        Kind::Note => Deed::Note(text.clone()),
        Kind::Reply | Kind::TakeOver => Deed::Answer(text.clone()),
    };
    match perform(&state, &locale, &staff, id, &deed).await? {
        Acted::Locked(holder) => transcript(&state, locale, &staff, id, text, Some(Unsent::Locked(holder))).await,
        Acted::Done(_) | Acted::Unchanged | Acted::Missing => Ok(back_to(id)),
    }
}

async fn perform(state: &ConsoleState, locale: &Locale, staff: &Staff, id: i64, deed: &Deed) -> PageResult<Acted> {
    match state.desk.perform(id, &as_staff(staff), deed, locale.language, None, Utc::now()).await? {
        Acted::Missing => Err(PageError::NotFound),
        acted => Ok(acted),
    }
}

/// What staff do with a conversation.
#[derive(Deserialize)]
pub(super) struct StateForm {
    action: Action,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Take,
    Return,
    Close,
}

/// `POST /console/conversations/{id}/state`. A second click, or a colleague's, changes nothing and leaves no second
/// notice.
pub(super) async fn change_state(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<StateForm>,
) -> PageResult<Response> {
    let deed = match form.action {
        Action::Take => Deed::Take,
        Action::Return => Deed::GiveBack,
        Action::Close => Deed::Close,
    };
    perform(&state, &locale, &staff, id, &deed).await?;
    Ok(back_to(id))
}

fn back_to(id: i64) -> Response {
    Redirect::to(&format!("/console/conversations/{id}#reply")).into_response()
}
