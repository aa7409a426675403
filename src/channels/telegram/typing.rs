//! "… is typing", from the moment a reply is being made until it goes out. Nothing depends on it: it is left out when
//! Telegram asked to wait, and a failure is no more than noted.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    api::{Api, CALL_TIMEOUT},
    pace::Pace,
};

/// Telegram shows it for five seconds.
const EVERY: Duration = Duration::from_secs(4);
/// A reply that takes longer is not coming; nobody is kept hoping.
const AT_MOST: Duration = Duration::from_mins(2);

/// The chats for which a reply is being made.
pub(super) struct Typing {
    api: Arc<Api>,
    chats: HashMap<i64, Shown>,
}

struct Shown {
    since: Instant,
    next: Instant,
}

impl Typing {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self { api, chats: HashMap::new() }
    }

    /// A reply for `chat` is being made.
    pub(super) fn start(&mut self, chat: i64) {
        let now = Instant::now();
        self.chats.entry(chat).or_insert(Shown { since: now, next: now });
    }

    /// It is made.
    pub(super) fn stop(&mut self, chat: i64) {
        self.chats.remove(&chat);
    }

    /// Nobody knows any more which replies are made.
    pub(super) fn stop_all(&mut self) {
        self.chats.clear();
    }

    /// Waits until it is time to show it somewhere; for ever when it is not.
    pub(super) async fn due(&self) {
        match self.chats.values().map(|shown| shown.next).min() {
            Some(next) => tokio::time::sleep_until(next.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Shows it wherever it is time.
    pub(super) fn show(&mut self, pace: &Pace) {
        let now = Instant::now();
        self.chats.retain(|_, shown| now.duration_since(shown.since) < AT_MOST);
        for (chat, shown) in self.chats.iter_mut().filter(|(_, shown)| shown.next <= now) {
            shown.next = now + EVERY;
            if pace.wait(*chat, now).is_some() {
                continue;
            }
            let (api, chat) = (Arc::clone(&self.api), *chat);
            tokio::spawn(async move {
                let typing = json!({"chat_id": chat, "action": "typing"});
                if let Err(failure) = api.send("sendChatAction", &typing, CALL_TIMEOUT).await {
                    tracing::debug!(%failure, "typing could not be shown");
                }
            });
        }
    }
}
