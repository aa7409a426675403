//! Fetches updates and makes them durable. An update that cannot be read is logged and left behind, so that it holds up
//! nobody; one that cannot be stored is tried until it can, so that none is lost.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use serde::de::IgnoredAny;
use serde_json::Value;
use teloxide_core::{
    payloads::{AnswerCallbackQuery, GetUpdates, GetUpdatesSetters},
    types::{AllowedUpdate, CallbackQueryId},
};
use tokio_util::sync::CancellationToken;

use super::{
    TelegramError,
    api::{Api, CALL_TIMEOUT, Failure},
    backoff,
    parse::{self, Update},
    people::People,
    sleep_unless_stopped,
};
use crate::{dispatch::Dispatcher, message::Inbound};

/// How long Telegram holds a poll open when there is nothing to tell, in seconds.
const LONG_POLL_S: u32 = 25;
/// The poll and some time for the answer to travel.
const POLL_TIMEOUT: Duration = Duration::from_secs(LONG_POLL_S as u64 + 10);
/// Between polls that bring nothing new although they bring something.
const REPEAT_PAUSE: Duration = Duration::from_secs(1);

/// Fetches the updates of one bot.
pub(super) struct Poller {
    api: Arc<Api>,
    bot_id: i64,
    dispatcher: Dispatcher,
    people: Arc<People>,
}

impl Poller {
    pub(super) fn new(api: Arc<Api>, bot_id: i64, dispatcher: Dispatcher, people: Arc<People>) -> Self {
        Self { api, bot_id, dispatcher, people }
    }

    /// Polls until `stop`; an error when the token is no longer valid.
    pub(super) async fn run(&self, stop: &CancellationToken) -> Result<(), TelegramError> {
        // Telegram remembers what was confirmed, so a start without offset gets exactly what was not.
        let mut offset = None;
        let mut failures = 0;
        while !stop.is_cancelled() {
            let Some(polled) = stop.run_until_cancelled(self.poll(offset)).await else { break };
            let pause = match polled {
                Ok(updates) => {
                    failures = 0;
                    let quiet = updates.is_empty();
                    let Some(next) = self.accept_all(updates, stop).await else { break };
                    let moved = next > offset;
                    offset = offset.max(next);
                    (!quiet && !moved).then_some(REPEAT_PAUSE)
                }
                Err(Failure::Refused { code: 401, .. }) => return Err(TelegramError::Token),
                Err(failure) => {
                    let wait = failure.retry_after().unwrap_or_else(|| backoff(failures));
                    failures += 1;
                    report(&failure, wait);
                    Some(wait)
                }
            };
            if let Some(pause) = pause {
                sleep_unless_stopped(pause, stop).await;
            }
        }
        Ok(())
    }

    async fn poll(&self, offset: Option<i32>) -> Result<Vec<Value>, Failure> {
        let mut request = GetUpdates::new()
            .timeout(LONG_POLL_S)
            .allowed_updates([AllowedUpdate::Message, AllowedUpdate::CallbackQuery]);
        request.offset = offset;
        self.api.call(&request, POLL_TIMEOUT).await
    }

    /// Makes a batch durable, in the order in which the updates were made. Returns the offset that confirms it (none
    /// for an empty batch), or `None` when told to stop before all were durable.
    async fn accept_all(&self, mut updates: Vec<Value>, stop: &CancellationToken) -> Option<Option<i32>> {
        updates.sort_by_key(parse::update_id);
        let mut next = None;
        for update in &updates {
            let Some(id) = parse::update_id(update) else {
                tracing::warn!("an update without a number was left behind");
                continue;
            };
            let is_theirs = self.take_in(update, id, stop).await?;
            match parse::parse(update, id, self.bot_id, Utc::now()) {
                _ if is_theirs => {}
                Update::Ignored(why) => tracing::debug!(update_id = id, why, "an update is ignored"),
                Update::Message(inbound) => self.accept(&inbound, stop).await?,
                Update::Button { inbound, query_id } => {
                    self.accept(&inbound, stop).await?;
                    self.stop_spinner(query_id);
                }
            }
            next = next.max(i32::try_from(id.saturating_add(1)).ok());
        }
        Some(next)
    }

    /// Whether an update is one of staff or of a merchant; its effect is durable then. `None` when told to stop before.
    async fn take_in(&self, update: &Value, id: i64, stop: &CancellationToken) -> Option<bool> {
        let mut failures = 0;
        loop {
            match self.people.take_in(update, id).await {
                Ok(is_theirs) => return Some(is_theirs),
                Err(error) => {
                    let wait = backoff(failures);
                    failures += 1;
                    tracing::error!(%error, retry_in_s = wait.as_secs(), "an update of staff cannot be stored");
                    if !sleep_unless_stopped(wait, stop).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Makes an update durable, however long the store takes; `None` when told to stop before.
    async fn accept(&self, inbound: &Inbound, stop: &CancellationToken) -> Option<()> {
        let mut failures = 0;
        loop {
            match self.dispatcher.accept(inbound).await {
                Ok(_) => return Some(()),
                Err(error) => {
                    let wait = backoff(failures);
                    failures += 1;
                    tracing::error!(%error, retry_in_s = wait.as_secs(), "a Telegram update cannot be stored");
                    if !sleep_unless_stopped(wait, stop).await {
                        return None;
                    }
                }
            }
        }
    }

    /// A pressed button shows that it waits until it is answered. Nothing depends on it, so nobody waits for it.
    fn stop_spinner(&self, query_id: String) {
        let api = Arc::clone(&self.api);
        tokio::spawn(async move {
            let answer = AnswerCallbackQuery::new(CallbackQueryId(query_id));
            if let Err(failure) = api.call::<_, IgnoredAny>(&answer, CALL_TIMEOUT).await {
                tracing::debug!(%failure, "a pressed button was not answered");
            }
        });
    }
}

fn report(failure: &Failure, wait: Duration) {
    let retry_in_s = wait.as_secs();
    if let Failure::Refused { code: 409, .. } = failure {
        tracing::error!(
            %failure, retry_in_s,
            "another program fetches this bot's updates, or a webhook was set; stop it: only one can get them"
        );
    } else {
        tracing::warn!(%failure, retry_in_s, "updates cannot be fetched from Telegram");
    }
}
