//! Fetches updates and confirms them once they are durable; a delivery that cannot be stored is tried until it can be,
//! so that none is lost.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use teloxide_core::{
    payloads::{GetUpdates, GetUpdatesSetters},
    types::AllowedUpdate,
};
use tokio_util::sync::CancellationToken;

use super::{
    TelegramError,
    api::{Api, Failure},
    backoff,
    intake::Intake,
    parse, sleep_unless_stopped,
};

/// The kinds of updates that are read.
pub(super) const ALLOWED_UPDATES: [AllowedUpdate; 3] =
    [AllowedUpdate::Message, AllowedUpdate::EditedMessage, AllowedUpdate::CallbackQuery];
/// How long Telegram holds a poll open when there is nothing to tell, in seconds.
const LONG_POLL_S: u32 = 25;
/// The poll and some time for the answer to travel.
const POLL_TIMEOUT: Duration = Duration::from_secs(LONG_POLL_S as u64 + 10);
/// Between polls that bring nothing new although they bring something.
const REPEAT_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait between two tries to store a delivery: shoppers are waiting behind it.
const STORE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Fetches the updates of one bot.
pub(super) struct Poller {
    api: Arc<Api>,
    intake: Arc<Intake>,
}

impl Poller {
    pub(super) fn new(api: Arc<Api>, intake: Arc<Intake>) -> Self {
        Self { api, intake }
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
        let mut request = GetUpdates::new().timeout(LONG_POLL_S).allowed_updates(ALLOWED_UPDATES);
        request.offset = offset;
        self.api.call(&request, POLL_TIMEOUT).await
    }

    /// Makes a delivery durable, however long the store takes. Returns the offset that confirms it (none for an empty
    /// one), or `None` when told to stop before.
    async fn accept_all(&self, updates: Vec<Value>, stop: &CancellationToken) -> Option<Option<i32>> {
        let last = updates.iter().filter_map(parse::update_id).max();
        let mut failures = 0;
        while let Err(error) = self.intake.take(updates.clone()).await {
            let wait = backoff(failures).min(STORE_PAUSE_MAX);
            failures += 1;
            tracing::error!(%error, retry_in_s = wait.as_secs(), "Telegram updates cannot be stored");
            if !sleep_unless_stopped(wait, stop).await {
                return None;
            }
        }
        Some(last.and_then(|id| i32::try_from(id.saturating_add(1)).ok()))
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
