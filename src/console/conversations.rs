//! The inbox: the list beside one transcript and its shopper, and what staff write to a shopper.

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
    care::{CarePane, care_pane},
    frame::{PageError, PageResult, page as render},
    inbox::{ListPane, ListQuery, list_pane, shopper_name, standing, state_name},
    layout::{Layout, Locale, Section},
    shopper::{ShopperPane, shopper_pane},
    texts::fill,
    transcript::{Bubble, bubbles},
};
use crate::{
    conversation::{Conversation, Holder, Staff as Colleague, State as Word},
    desk::Deed,
    live::LiveEvent,
    message::Channel,
    storage::{Acted, CannedReply},
};

/// Longest message to a shopper, in characters: Telegram takes 4,096.
pub(super) const REPLY_CHARACTERS_MAX: usize = 4_000;

#[derive(Template)]
#[template(path = "conversations.html")]
struct ListPage {
    l: Layout,
    pane: ListPane,
}

/// `GET /console/conversations`
pub(super) async fn list(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<ListQuery>,
) -> PageResult<Response> {
    let title = locale.texts().conversations;
    let l = Layout::for_staff(&state, locale, &staff, Section::Conversations, title).await?;
    let pane = list_pane(&state, &l, &staff, query, 0).await?;
    render(StatusCode::OK, &ListPage { l, pane })
}

#[derive(Template)]
#[template(path = "conversation.html")]
struct TranscriptPage {
    l: Layout,
    pane: ListPane,
    shopper: ShopperPane,
    care: CarePane,
    id: i64,
    name: String,
    channel: Channel,
    chat: String,
    conversation: Conversation,
    state: &'static str,
    state_name: &'static str,
    /// Who has it, its place in the queue, or a message left for a person.
    standing: String,
    /// Colleagues who have it open too.
    open_with: Option<String>,
    may_take: bool,
    may_return: bool,
    may_close: bool,
    bubbles: Vec<Bubble>,
    canned: Vec<CannedReply>,
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
    Query(query): Query<ListQuery>,
) -> PageResult<Response> {
    transcript(&state, locale, &staff, id, query, String::new(), None).await
}

async fn transcript(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    id: i64,
    query: ListQuery,
    draft: String,
    unsent: Option<Unsent>,
) -> PageResult<Response> {
    let conversation = find(state, id).await?;
    let standing_now = state.store.standing(id).await?.ok_or(PageError::NotFound)?;
    let messages = state.store.messages(id, 0).await?;
    note_read(state, staff, &conversation, messages.last().map_or(0, |message| message.id)).await?;
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
    let colleagues = state.store.open_with(id, staff.user.id, Utc::now()).await?.join(", ");
    let transcript = TranscriptPage {
        pane: list_pane(state, &l, staff, query, id).await?,
        shopper: shopper_pane(state, &l, &conversation, &messages).await?,
        care: care_pane(state, &l, id).await?,
        bubbles: bubbles(&l, messages, &state.store.wrong_replies(id).await?),
        canned: state.store.canned_replies().await?,
        standing: if state.store.has_open_wish(id).await? {
            t.wish_left.to_owned()
        } else {
            standing(&l, &queue, id, &standing_now)
        },
        open_with: (!colleagues.is_empty()).then(|| l.named(t.open_with, &colleagues)),
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

/// Notes that somebody reads a conversation; colleagues who have it open are told when they begin to.
async fn note_read(state: &ConsoleState, staff: &Staff, conversation: &Conversation, last: i64) -> PageResult<()> {
    if state.store.note_read(staff.user.id, conversation.id, last, Utc::now()).await? {
        announce(state, conversation);
    }
    Ok(())
}

/// Lets open pages read the conversation again.
pub(super) fn announce(state: &ConsoleState, conversation: &Conversation) {
    state.live.announce(conversation.channel, &conversation.chat, LiveEvent::Changed);
}

pub(super) async fn find(state: &ConsoleState, id: i64) -> PageResult<Conversation> {
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
    /// The ready answer that is to be put in.
    #[serde(default)]
    canned: String,
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
    /// Puts a ready answer at the end of the draft.
    Insert,
}

/// `POST /console/conversations/{id}/reply`
pub(super) async fn reply(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Query(query): Query<ListQuery>,
    Form(form): Form<ReplyForm>,
) -> PageResult<Response> {
    let t = locale.texts();
    // Browsers send line breaks of a form as CR LF.
    let text = form.text.replace("\r\n", "\n").trim().to_owned();
    if form.kind == Kind::Insert {
        let ready = state.store.canned_replies().await?.into_iter().find(|ready| ready.id.to_string() == form.canned);
        let parts = [text, ready.map(|ready| ready.text).unwrap_or_default()];
        let draft = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
        return transcript(&state, locale, &staff, id, query, draft, None).await;
    }
    let error = match text.chars().count() {
        0 => Some(t.reply_empty.to_owned()),
        1..=REPLY_CHARACTERS_MAX => None,
        count => Some(fill(t.reply_too_long, &[("n", &count.to_string()), ("max", &REPLY_CHARACTERS_MAX.to_string())])),
    };
    if let Some(error) = error {
        return transcript(&state, locale, &staff, id, query, text, Some(Unsent::Wrong(error))).await;
    }
    if form.kind == Kind::TakeOver {
        perform(&state, &locale, &staff, id, &Deed::Take).await?;
    }
    let deed = match form.kind {
        Kind::Note => Deed::Note(text.clone()),
        Kind::Reply | Kind::TakeOver | Kind::Insert => Deed::Answer(text.clone()),
    };
    match perform(&state, &locale, &staff, id, &deed).await? {
        Acted::Locked(holder) => {
            transcript(&state, locale, &staff, id, query, text, Some(Unsent::Locked(holder))).await
        }
        Acted::Done(_) | Acted::Unchanged | Acted::Missing => Ok(back_to(id, &query)),
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
    Query(query): Query<ListQuery>,
    Form(form): Form<StateForm>,
) -> PageResult<Response> {
    let deed = match form.action {
        Action::Take => Deed::Take,
        Action::Return => Deed::GiveBack,
        Action::Close => Deed::Close,
    };
    perform(&state, &locale, &staff, id, &deed).await?;
    Ok(back_to(id, &query))
}

/// The conversation beside the same list.
pub(super) fn back_to(id: i64, query: &ListQuery) -> Response {
    Redirect::to(&format!("/console/conversations/{id}{}#reply", query.suffix())).into_response()
}
