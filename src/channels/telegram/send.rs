//! Delivers the outbox. The oldest waiting message of each chat is sent; the next one follows when it is delivered or
//! given up, so that a chat's order is kept through failures and restarts.
//!
//! One process at a time sends for a bot, so that its pace and the order of its chats hold over all processes: it has the
//! bot's lease. What it read from the outbox is kept in memory until it is sent or the outbox is read again.
//!
//! A message is noted as sent after Telegram took it: a crash between the two sends it again, and nothing else does but
//! a call whose answer never came.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use teloxide_core::types::LinkPreviewOptions;
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    api::{Api, CALL_TIMEOUT, Failure},
    backoff, cards, chat_of, conversation_key,
    pace::Pace,
    photo,
    render::{Part, Rendered, render},
    stream::{self, Earlier, StreamEvent, Streams},
    typing::Typing,
};
use crate::{
    live::{Live, LiveEvent, LiveHub},
    message::{Channel, Progress, Timestamp},
    storage::{LEASE, OutboxItem, Store},
};

/// Looks into the outbox without being told, for replies that another process wrote.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// While there is still something to send, the next look waits so many times as long as the last one took: looks then
/// take a tenth of the time, and a short outbox is looked at often.
const LOOK_PAUSE: u32 = 10;
/// Chats that are looked at together; more than can be under way, so that hanging calls do not hide the others.
const CHATS_MAX: i64 = 500;
/// Calls under way at the same time. A call that hangs takes fifteen seconds, and others must not wait for it.
const SENDS_AT_ONCE: usize = 256;
/// On shutdown, how long answers are awaited so that what was sent is noted.
pub(super) const FINISH_TIMEOUT: Duration = Duration::from_secs(4);

/// The bot whose replies are sent.
pub(super) struct Bot {
    /// Its number.
    pub(super) id: i64,
    /// The name of this process.
    pub(super) worker: String,
    /// Most messages in a second.
    pub(super) per_second_max: NonZeroU32,
    /// Where pictures lie.
    pub(super) media_dir: PathBuf,
}

/// Sends the replies of one bot.
pub(super) struct Sender {
    api: Arc<Api>,
    bot_id: i64,
    store: Store,
    live: LiveHub,
    pace: Pace,
    worker: String,
    /// Until when this process is sure to be the only one that sends; `None`: it may not send.
    leased_until: Option<Instant>,
    /// What the last look into the outbox found and is not begun, oldest first.
    waiting: Vec<OutboxItem>,
    /// The soonest next look while something is left of the last one.
    look_after: Option<Instant>,
    /// Delivered, and not yet noted in the outbox.
    delivered: Vec<i64>,
    /// What each running task delivers.
    under_way: HashMap<tokio::task::Id, Delivery>,
    /// Parts of long messages that Telegram has, by outbox row, so that a retry goes on after them.
    parts_sent: HashMap<i64, usize>,
    /// Outbox rows whose pictures Telegram did not take: they go out as words.
    without_pictures: HashSet<i64>,
    typing: Typing,
    streams: Streams,
    media_dir: PathBuf,
}

/// One part of a message on its way.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    outbox_id: i64,
    attempts: i64,
    chat: i64,
    is_last_part: bool,
    is_photo: bool,
}

type Sends = JoinSet<Result<(), Failure>>;
type Joined = Result<(tokio::task::Id, Result<(), Failure>), JoinError>;

impl Sender {
    pub(super) fn new(api: Arc<Api>, bot: Bot, store: Store, live: LiveHub) -> Self {
        let Bot { id: bot_id, worker, per_second_max, media_dir } = bot;
        Self {
            typing: Typing::new(Arc::clone(&api)),
            streams: Streams::new(Arc::clone(&api)),
            api,
            bot_id,
            store,
            live,
            pace: Pace::new(per_second_max),
            worker,
            leased_until: None,
            waiting: Vec::new(),
            look_after: None,
            delivered: Vec::new(),
            under_way: HashMap::new(),
            parts_sent: HashMap::new(),
            without_pictures: HashSet::new(),
            media_dir,
        }
    }

    /// Sends until `stop`; what is under way then is finished.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let mut live = self.live.watch();
        let mut sends = Sends::new();
        let mut look_at = tokio::time::Instant::now();
        while !stop.is_cancelled() {
            let look = tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(look_at) => true,
                Some(joined) = sends.join_next_with_id() => {
                    self.note(joined).await;
                    while let Some(joined) = sends.try_join_next_with_id() {
                        self.note(joined).await;
                    }
                    self.note_delivered().await;
                    true
                }
                event = live.recv() => self.hear(event),
                () = self.typing.due() => {
                    self.typing.show(&self.pace);
                    false
                }
                event = self.streams.event() => {
                    // Words that were heard late may belong to a reply that is made, and delivered, by now.
                    let is_made = self.catch_up(&mut live);
                    self.streamed(event).await || is_made
                }
            };
            if look {
                look_at = tokio::time::Instant::now() + self.start_due(&mut sends).await;
            }
        }
        let finish = async {
            while let Some(joined) = sends.join_next_with_id().await {
                self.note(joined).await;
                self.note_delivered().await;
            }
        };
        if tokio::time::timeout(FINISH_TIMEOUT, finish).await.is_err() {
            tracing::warn!("stopped while Telegram had not answered; a reply may be sent again at the next start");
        }
        if let Err(error) = self.store.release_lease(&self.lease(), &self.worker).await {
            tracing::warn!(%error, "the right to send could not be given back; another process has it when the lease ends");
        }
    }

    fn lease(&self) -> String {
        format!("telegram sender {}", self.bot_id)
    }

    /// Whether this process may send now: it has the bot's lease, which is renewed when a third of it is over.
    async fn may_send(&mut self, now: Instant) -> bool {
        if self.leased_until.is_some_and(|until| until > now + LEASE * 2 / 3) {
            return true;
        }
        match self.store.hold_lease(&self.lease(), &self.worker, Utc::now()).await {
            Ok(true) => self.leased_until = Some(now + LEASE),
            Ok(false) => self.leased_until = None,
            Err(error) => tracing::error!(%error, "the right to send cannot be renewed"),
        }
        self.leased_until.is_some_and(|until| until > now)
    }

    /// Reads the outbox again when nothing is left of what was read, or after a while. Returns how soon to do so again
    /// when it was too early now.
    async fn look(&mut self, now: Instant) -> Option<Duration> {
        let soonest = self.look_after.filter(|_| !self.waiting.is_empty());
        if let Some(early) = soonest.and_then(|at| at.checked_duration_since(now)).filter(|early| !early.is_zero()) {
            return Some(early);
        }
        let began = Instant::now();
        match self.store.pending_outbox(Channel::Telegram, Utc::now(), CHATS_MAX).await {
            Ok(waiting) => {
                self.waiting = waiting;
                // What was delivered and could not be noted is still there.
                self.waiting.retain(|item| !self.delivered.contains(&item.id));
                let done = Instant::now();
                self.look_after = Some(done + (done - began) * LOOK_PAUSE);
            }
            Err(error) => tracing::error!(%error, "the outbox cannot be read"),
        }
        None
    }

    /// Starts what may be sent now. Returns when to look again at the latest.
    async fn start_due(&mut self, sends: &mut Sends) -> Duration {
        let now = Instant::now();
        if !self.may_send(now).await {
            return LOOK_EVERY;
        }
        if !self.delivered.is_empty() {
            self.note_delivered().await;
        }
        let mut look_in = self.look(now).await.unwrap_or(LOOK_EVERY);
        for item in std::mem::take(&mut self.waiting) {
            let Some(chat) = chat_of(self.bot_id, &item.chat) else {
                self.give_up(item.id, "the conversation belongs to another bot").await;
                continue;
            };
            if self.under_way.values().any(|delivery| delivery.chat == chat) {
                continue;
            }
            match self.pace.wait(chat, now) {
                Some(wait) => look_in = look_in.min(wait),
                None if self.under_way.len() < SENDS_AT_ONCE => {
                    self.start(&item, chat, now, sends).await;
                    continue;
                }
                None => {}
            }
            self.waiting.push(item);
        }
        look_in
    }

    /// Sends the next part of a message.
    async fn start(&mut self, item: &OutboxItem, chat: i64, now: Instant, sends: &mut Sends) {
        let Rendered { mut parts, buttons } = self.rendered(item).await;
        let part = self.parts_sent.get(&item.id).copied().unwrap_or(0);
        if part >= parts.len() {
            // Nothing to show, or all of it was sent and the store could not note it.
            self.delivered.push(item.id);
            return;
        }
        let is_last_part = part + 1 == parts.len();
        let part = parts.swap_remove(part);
        let mut to = json!({"chat_id": chat});
        if let Some(buttons) = buttons.filter(|_| is_last_part) {
            to["reply_markup"] = buttons;
        }
        let is_photo = matches!(part, Part::Photo { .. });
        let earlier = self.streams.earlier(chat);
        if earlier == Earlier::UnderWay {
            return;
        }
        self.pace.sent(chat, now);
        let (api, store) = (Arc::clone(&self.api), self.store.clone());
        let (media_dir, key) = (self.media_dir.clone(), item.chat.clone());
        let task = sends.spawn(async move {
            if let Earlier::Message { id, text: shown } = earlier
                && stream::complete(&api, id, &shown, &part, &to).await
            {
                return Ok(());
            }
            match part {
                Part::Text(text) => send_text(&api, &text, to).await,
                Part::Photo { image, caption } => {
                    to["caption"] = caption.into();
                    photo::send(&api, &media_dir, &image, to).await
                }
                Part::Transcript => send_transcript(&api, &store, &key, &to).await,
            }
        });
        let delivery = Delivery { outbox_id: item.id, attempts: item.attempts, chat, is_last_part, is_photo };
        self.under_way.insert(task.id(), delivery);
    }

    async fn rendered(&self, item: &OutboxItem) -> Rendered {
        let pictured = match &item.message.reply {
            Some(reply) if !self.without_pictures.contains(&item.id) => {
                cards::has_pictures(&self.media_dir, reply).await
            }
            _ => false,
        };
        render(&item.message, pictured)
    }

    /// Shows more of a reply in the making, or notes how that went; `true` when a delivery may have waited for it.
    async fn streamed(&mut self, event: StreamEvent) -> bool {
        match event {
            StreamEvent::Due => {
                // While an earlier reply may still be sent, once more perhaps, nothing of the next one stands before it.
                for chat in self.streams.first_due() {
                    let key = conversation_key(self.bot_id, chat);
                    if self.store.awaits_delivery(Channel::Telegram, &key).await.unwrap_or(true) {
                        self.streams.hold(chat);
                    }
                }
                self.streams.show(&mut self.pace);
                false
            }
            StreamEvent::Ended { chat, retry_after } => {
                if let Some(wait) = retry_after {
                    self.pace.refused(chat, Instant::now(), wait);
                }
                true
            }
        }
    }

    /// Notes how a delivery went.
    async fn note(&mut self, joined: Joined) {
        let (id, outcome) = match joined {
            Ok(finished) => finished,
            Err(panic) => {
                tracing::error!(%panic, "a delivery to Telegram panicked");
                (panic.id(), Err(Failure::Network("the delivery panicked".to_owned())))
            }
        };
        let Some(delivery) = self.under_way.remove(&id) else { return };
        match outcome {
            Ok(()) => {
                self.pace.taken();
                *self.parts_sent.entry(delivery.outbox_id).or_default() += 1;
                if delivery.is_last_part {
                    self.delivered.push(delivery.outbox_id);
                }
            }
            Err(failure) => self.note_failed(delivery, &failure).await,
        }
    }

    /// Notes in one step all that was delivered.
    async fn note_delivered(&mut self) {
        match self.store.outbox_sent(&self.delivered).await {
            Ok(()) => {
                for id in self.delivered.drain(..) {
                    self.parts_sent.remove(&id);
                    self.without_pictures.remove(&id);
                }
            }
            // They stay on the list, so that the next look notes them and sends nothing.
            Err(error) => tracing::error!(replies = self.delivered.len(), %error, "sent replies cannot be noted"),
        }
    }

    async fn note_failed(&mut self, delivery: Delivery, failure: &Failure) {
        let Delivery { outbox_id, attempts, chat, is_photo, .. } = delivery;
        if is_photo && matches!(failure, Failure::Refused { code: 400, .. }) {
            // The words matter more than a picture that Telegram cannot fetch or read.
            tracing::warn!(outbox_id, %failure, "a picture is left out");
            self.without_pictures.insert(outbox_id);
            return;
        }
        let Some(wait) = retry_in(failure, attempts) else {
            self.give_up(outbox_id, &failure.to_string()).await;
            return;
        };
        if let Some(retry_after) = failure.retry_after() {
            self.pace.refused(chat, Instant::now(), retry_after);
        }
        tracing::warn!(outbox_id, %failure, retry_in_s = wait.as_secs(), "a reply was not delivered");
        if let Err(error) =
            self.store.outbox_failed(outbox_id, &failure.to_string(), Utc::now(), Some(later(wait))).await
        {
            tracing::error!(outbox_id, %error, "a failed delivery cannot be noted");
        }
    }

    async fn give_up(&mut self, outbox_id: i64, why: &str) {
        tracing::warn!(outbox_id, why, "a reply is given up");
        self.parts_sent.remove(&outbox_id);
        if let Err(error) = self.store.outbox_failed(outbox_id, why, Utc::now(), None).await {
            tracing::error!(outbox_id, %error, "a reply that is given up cannot be noted");
        }
    }

    /// Hears everything that was announced by now; `true` when the outbox may have changed.
    fn catch_up(&mut self, live: &mut Receiver<Live>) -> bool {
        let mut is_changed = false;
        loop {
            is_changed |= match live.try_recv() {
                Ok(event) => self.hear(Ok(event)),
                Err(TryRecvError::Lagged(missed)) => self.hear(Err(RecvError::Lagged(missed))),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return is_changed,
            };
        }
    }

    /// Shows "typing" while a reply is made; `true` when the outbox may have changed.
    fn hear(&mut self, event: Result<Live, RecvError>) -> bool {
        let (chat, event) = match event {
            Ok(Live { channel: Channel::Telegram, chat, event }) => (chat_of(self.bot_id, &chat), event),
            Ok(_) => return false,
            Err(RecvError::Lagged(_) | RecvError::Closed) => {
                self.typing.stop_all();
                self.streams.end_all();
                return true;
            }
        };
        match (event, chat) {
            (LiveEvent::Changed, Some(chat)) => {
                self.typing.stop(chat);
                self.streams.end(chat);
                true
            }
            (LiveEvent::Changed, None) => true,
            (LiveEvent::Progress(progress), Some(chat)) => {
                self.typing.start(chat);
                self.typing.show(&self.pace);
                match progress {
                    Progress::Typing => self.streams.begin(chat),
                    Progress::Words { text } => self.streams.add(chat, &text),
                }
                false
            }
            (LiveEvent::Progress(_), None) | (LiveEvent::ShopperWrites, _) => false,
        }
    }
}

/// A document's name such as `faq.md` looks like an address to Telegram, which would show a stranger's page.
async fn send_text(api: &Api, text: &str, mut to: Value) -> Result<(), Failure> {
    to["text"] = text.into();
    to["link_preview_options"] = json!({"is_disabled": true});
    api.send("sendMessage", &to, CALL_TIMEOUT).await
}

/// The copy is as new as its sending.
async fn send_transcript(api: &Api, store: &Store, chat: &str, to: &Value) -> Result<(), Failure> {
    let copy = store.export_chat(Channel::Telegram, chat).await;
    let copy = copy.map_err(|error| Failure::Network(format!("the chat cannot be read: {error}")))?;
    photo::send_file(api, "chat.json", format!("{copy:#}"), to).await
}

/// When to try again after `attempts` earlier failures; `None` when no try can succeed: the shopper blocked the bot,
/// the chat is gone, the message is refused as it is.
fn retry_in(failure: &Failure, attempts: i64) -> Option<Duration> {
    match failure {
        Failure::RetryAfter(wait) => Some(*wait),
        // The token was changed or the server is not the right one: an owner can mend that.
        Failure::Refused { code: 401 | 404, .. } | Failure::Network(_) | Failure::Server(_) | Failure::Garbled => {
            Some(backoff(u32::try_from(attempts).unwrap_or(u32::MAX)))
        }
        Failure::Refused { .. } => None,
    }
}

pub(super) fn later(wait: Duration) -> Timestamp {
    let now = Utc::now();
    TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(now)
}

/// A document's name such as `faq.md` looks like an address to Telegram, which would show a stranger's page.
pub(super) fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn what_cannot_succeed_is_given_up_and_the_rest_tried_again() {
        let refused = |code| Failure::Refused { code, description: String::new() };
        assert_eq!(retry_in(&refused(403), 0), None);
        assert_eq!(retry_in(&refused(400), 0), None);
        assert_eq!(retry_in(&refused(401), 0), Some(Duration::from_secs(1)));
        assert_eq!(retry_in(&Failure::Server(StatusCode::BAD_GATEWAY), 3), Some(Duration::from_secs(8)));
        assert_eq!(retry_in(&Failure::RetryAfter(Duration::from_secs(40)), 9), Some(Duration::from_secs(40)));
    }
}
