//! Words of a reply while it is still being made: as a draft where the server has drafts (`sendMessageDraft`), else as a
//! message that grows by edits and becomes the reply itself. The outbox stays the truth: what is shown here is never
//! noted, and a failure costs nothing but the show.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    api::{Api, CALL_TIMEOUT, Failure},
    pace::Pace,
    render::Part,
    split::split,
};

/// Words are first shown this long after they came: most replies are there by then.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two edits of a chat.
const EVERY: Duration = Duration::from_millis(1_100);
/// So many characters are worth showing although no sentence has ended.
const ENOUGH: usize = 60;
/// Longest text that is shown, in UTF-16 code units.
const UNITS_MAX: usize = 4_000;

/// What of a reply is on the shopper's screen already when the reply is to be delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// Nothing that stays.
    Nothing,
    /// A call is still under way.
    UnderWay,
    /// This message, with the reply's first words.
    Message { id: i64, text: String },
}

/// What happens to the replies that are shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum StreamEvent {
    /// There are words to show.
    Due,
    /// A call ended; Telegram may have asked to wait.
    Ended { chat: i64, retry_after: Option<Duration> },
}

/// The replies of one bot that are shown while they are made.
pub(super) struct Streams {
    api: Arc<Api>,
    chats: HashMap<i64, Stream>,
    calls: JoinSet<(i64, Result<Outcome, Failure>)>,
    /// Until the server says that it has none.
    has_drafts: bool,
    next_draft: i64,
}

struct Stream {
    draft: i64,
    text: String,
    /// Bytes of `text` that are on the screen.
    shown: usize,
    next: Instant,
    message: Option<i64>,
    under_way: bool,
    /// The reply is made.
    ended: bool,
}

enum Outcome {
    Shown,
    Sent(i64),
    NoDrafts,
}

impl Streams {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self { api, chats: HashMap::new(), calls: JoinSet::new(), has_drafts: true, next_draft: 1 }
    }

    /// A reply to `chat` is begun, perhaps anew because what was made of it could not be stored.
    pub(super) fn begin(&mut self, chat: i64) {
        if let Some(stream) = self.chats.get_mut(&chat).filter(|stream| !stream.ended) {
            stream.text.clear();
            stream.shown = 0;
        }
    }

    /// More words of the reply to `chat`.
    pub(super) fn add(&mut self, chat: i64, words: &str) {
        let draft = self.next_draft;
        let stream = self.chats.entry(chat).or_insert_with(|| Stream {
            draft,
            text: String::new(),
            shown: 0,
            next: Instant::now() + PATIENCE,
            message: None,
            under_way: false,
            ended: false,
        });
        if stream.ended {
            // The reply before this one is not delivered yet; these words will come with their own.
            return;
        }
        self.next_draft += 1;
        stream.text.push_str(words);
    }

    /// The reply to `chat` is made.
    pub(super) fn end(&mut self, chat: i64) {
        if let Some(stream) = self.chats.get_mut(&chat) {
            stream.ended = true;
            if stream.message.is_none() && !stream.under_way {
                self.chats.remove(&chat);
            }
        }
    }

    /// Nobody knows any more which replies are made.
    pub(super) fn end_all(&mut self) {
        let chats: Vec<i64> = self.chats.keys().copied().collect();
        for chat in chats {
            self.end(chat);
        }
    }

    /// What the shopper sees of the reply that is now delivered to `chat`; it is the caller's from here on.
    pub(super) fn earlier(&mut self, chat: i64) -> Earlier {
        match self.chats.get(&chat) {
            // Whether the end of the reply was heard of does not matter: nothing is shown while an earlier one waits.
            Some(Stream { under_way: true, .. }) => Earlier::UnderWay,
            Some(Stream { message: Some(id), text, shown, .. }) => {
                let earlier = Earlier::Message { id: *id, text: text[..*shown].to_owned() };
                self.chats.remove(&chat);
                earlier
            }
            _ => Earlier::Nothing,
        }
    }

    /// Waits for the next thing to happen; for ever when nothing can.
    pub(super) async fn event(&mut self) -> StreamEvent {
        let due = self.chats.values().filter(|stream| stream.wants_showing()).map(|stream| stream.next).min();
        let sleep = async {
            match due {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        let joined = tokio::select! {
            () = sleep => return StreamEvent::Due,
            Some(joined) = self.calls.join_next() => joined,
            else => return std::future::pending().await,
        };
        match joined {
            Ok((chat, outcome)) => self.note(chat, outcome),
            // The next words are tried anew.
            Err(_) => StreamEvent::Due,
        }
    }

    /// Chats in which the first words of a reply are due.
    pub(super) fn first_due(&self) -> Vec<i64> {
        let now = Instant::now();
        let is_due = |stream: &Stream| stream.shown == 0 && stream.wants_showing() && stream.next <= now;
        self.chats.iter().filter(|(_, stream)| is_due(stream)).map(|(chat, _)| *chat).collect()
    }

    /// Shows nothing of the reply to `chat` for a while.
    pub(super) fn hold(&mut self, chat: i64) {
        if let Some(stream) = self.chats.get_mut(&chat) {
            stream.next = Instant::now() + EVERY;
        }
    }

    /// Shows what is due, as far as the pace allows.
    pub(super) fn show(&mut self, pace: &mut Pace) {
        let now = Instant::now();
        for (chat, stream) in &mut self.chats {
            if !stream.wants_showing() || stream.next > now {
                continue;
            }
            stream.next = now + EVERY;
            if pace.wait(*chat, now).is_some() {
                continue;
            }
            pace.sent(*chat, now);
            stream.under_way = true;
            stream.shown = stream.text.len();
            let text = split(stream.text.trim(), UNITS_MAX).into_iter().next().unwrap_or_default();
            // Only a private chat has drafts; a group's number is below zero.
            let draft = (self.has_drafts && *chat > 0 && stream.message.is_none()).then_some(stream.draft);
            let (api, chat, message) = (Arc::clone(&self.api), *chat, stream.message);
            self.calls.spawn(async move { (chat, call(&api, chat, &text, draft, message).await) });
        }
    }

    fn note(&mut self, chat: i64, outcome: Result<Outcome, Failure>) -> StreamEvent {
        let mut retry_after = None;
        if let Some(stream) = self.chats.get_mut(&chat) {
            stream.under_way = false;
            match outcome {
                Ok(Outcome::Shown) => {}
                Ok(Outcome::Sent(id)) => stream.message = Some(id),
                Ok(Outcome::NoDrafts) => {
                    self.has_drafts = false;
                    (stream.shown, stream.next) = (0, Instant::now());
                }
                Err(failure) => {
                    tracing::debug!(%failure, "the words of a reply could not be shown");
                    retry_after = failure.retry_after();
                }
            }
            if stream.ended && stream.message.is_none() {
                self.chats.remove(&chat);
            }
        }
        StreamEvent::Ended { chat, retry_after }
    }
}

impl Stream {
    fn wants_showing(&self) -> bool {
        let fresh = self.text[self.shown..].trim();
        let sentence = fresh.ends_with(['.', '!', '?', '。', '！', '？', '\n']) || fresh.chars().count() >= ENOUGH;
        !self.ended && !self.under_way && !fresh.is_empty() && (self.shown > 0 || sentence)
    }
}

async fn call(api: &Api, chat: i64, text: &str, draft: Option<i64>, message: Option<i64>) -> Result<Outcome, Failure> {
    let mut parameters = json!({"chat_id": chat, "text": text, "link_preview_options": {"is_disabled": true}});
    if let Some(draft) = draft {
        let parameters = json!({"chat_id": chat, "draft_id": draft, "text": text});
        return match api.send("sendMessageDraft", &parameters, CALL_TIMEOUT).await {
            Ok(()) => Ok(Outcome::Shown),
            Err(Failure::Refused { .. }) => Ok(Outcome::NoDrafts),
            Err(failure) => Err(failure),
        };
    }
    if let Some(message) = message {
        parameters["message_id"] = message.into();
        return api.send("editMessageText", &parameters, CALL_TIMEOUT).await.map(|()| Outcome::Shown);
    }
    let sent: Value = api.ask("sendMessage", &parameters, CALL_TIMEOUT).await?;
    sent["message_id"].as_i64().map(Outcome::Sent).ok_or(Failure::Garbled)
}

/// Makes the message that has a reply's first words the whole of its first part. `false`: it could not be, and is taken
/// back as far as that was possible, so that the part has to be sent.
pub(super) async fn complete(api: &Api, id: i64, shown: &str, part: &Part, to: &Value) -> bool {
    if let Part::Text(text) = part
        && text.starts_with(shown.trim())
    {
        let mut edit = to.clone();
        edit["message_id"] = id.into();
        edit["text"] = text.as_str().into();
        edit["link_preview_options"] = json!({"is_disabled": true});
        match api.send("editMessageText", &edit, CALL_TIMEOUT).await {
            Ok(()) => return true,
            // It had all of the words already.
            Err(Failure::Refused { description, .. }) if description.contains("not modified") => return true,
            Err(failure) => tracing::debug!(%failure, "a reply could not be completed"),
        }
    }
    let message = json!({"chat_id": to["chat_id"], "message_id": id});
    if let Err(failure) = api.send("deleteMessage", &message, CALL_TIMEOUT).await {
        tracing::debug!(%failure, "the first words of a reply could not be taken back");
    }
    false
}
