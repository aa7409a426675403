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
    texts::{Texts, fill, texts},
    transcript::{Bubble, bubbles},
};
use crate::{
    conversation::{Conversation, Event, State as Word},
    live::LiveEvent,
    message::Channel,
    storage::{ConversationFilter, ConversationSummary},
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
    waiting: Vec<Row>,
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
}

impl Row {
    fn new(t: &Texts, summary: ConversationSummary) -> Self {
        Self {
            name: shopper_name(t, summary.customer.as_deref(), &summary.chat),
            state: summary.state.as_str(),
            state_name: state_name(t, summary.state),
            summary,
        }
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
    let filter = |state, limit, offset| ConversationFilter { state, search: Some(search.clone()), limit, offset };
    let mut found = state.store.conversations(&filter(chosen, PAGE_ROWS + 1, number * PAGE_ROWS)).await?;
    let more = found.len() as i64 > PAGE_ROWS;
    found.truncate(PAGE_ROWS as usize);
    let mut waiting = Vec::new();
    if chosen.is_none() {
        // Those stand in a list of their own, longest wait first, so that none is pushed to another page.
        found.retain(|summary| summary.state != Word::Waiting);
        if number == 0 {
            waiting = state.store.conversations(&filter(Some(Word::Waiting), PAGE_ROWS, 0)).await?;
            waiting.reverse();
        }
    }
    let address = |page: i64| {
        let state = chosen.map_or("", Word::as_str);
        format!("/console/conversations?state={state}&q={}&page={page}", query_value(&search))
    };
    let list = ListPage {
        states: state_options(t, chosen),
        filtered: chosen.is_some() || !search.is_empty(),
        waiting: waiting.into_iter().map(|summary| Row::new(t, summary)).collect(),
        rows: found.into_iter().map(|summary| Row::new(t, summary)).collect(),
        previous: (number > 0).then(|| address(number - 1)),
        following: more.then(|| address(number + 1)),
        l: Layout::for_staff(&state, locale, &staff, Section::Conversations, t.conversations).await?,
        search,
    };
    render(StatusCode::OK, &list)
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
    may_take: bool,
    may_return: bool,
    may_close: bool,
    bubbles: Vec<Bubble>,
    draft: String,
    error: Option<String>,
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
    error: Option<String>,
) -> PageResult<Response> {
    let conversation = find(state, id).await?;
    let t = locale.texts();
    let name = shopper_name(t, conversation.verified_customer(), &conversation.chat);
    let l = Layout::for_staff(state, locale, staff, Section::Conversations, &name).await?;
    let word = conversation.state;
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let transcript = TranscriptPage {
        bubbles: bubbles(&l, state.store.messages(id, 0).await?),
        l,
        id,
        name,
        channel: conversation.channel,
        chat: conversation.chat.clone(),
        state: word.as_str(),
        state_name: state_name(t, word),
        may_take: word != Word::WithStaff,
        may_return: matches!(word, Word::Waiting | Word::WithStaff),
        may_close: word != Word::Closed,
        conversation,
        draft,
        error,
    };
    render(status, &transcript)
}

async fn find(state: &ConsoleState, id: i64) -> PageResult<Conversation> {
    state.store.conversation_by_id(id).await?.ok_or(PageError::NotFound)
}

/// A message to the shopper.
#[derive(Deserialize)]
pub(super) struct ReplyForm {
    text: String,
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
    if error.is_some() {
        return transcript(&state, locale, &staff, id, text, error).await;
    }
    let conversation = find(&state, id).await?;
    state.store.staff_reply(id, &staff.user.name, &text, Utc::now()).await?;
    Ok(changed(&state, &conversation))
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

/// `POST /console/conversations/{id}/state`
pub(super) async fn change_state(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<StateForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    let conversation = find(&state, id).await?;
    let (event, notice) = match form.action {
        Action::Take => (Event::StaffJoined, t.notice_taken),
        Action::Return => (Event::HandedBack, t.notice_returned),
        Action::Close => (Event::Closed, t.notice_closed),
    };
    // A second click, or a colleague's, changes nothing and leaves no second notice.
    if conversation.state.after(event) != conversation.state {
        let notice = fill(notice, &[("name", &staff.user.name)]);
        state.store.conversation_event(id, event, &notice, Utc::now()).await?;
        if event == Event::Closed {
            state.store.ask_rating(&conversation, texts(conversation.language).ask_rating, Utc::now()).await?;
        }
    }
    Ok(changed(&state, &conversation))
}

fn changed(state: &ConsoleState, conversation: &Conversation) -> Response {
    state.live.announce(conversation.channel, &conversation.chat, LiveEvent::Changed);
    Redirect::to(&format!("/console/conversations/{}#reply", conversation.id)).into_response()
}
