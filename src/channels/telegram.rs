//! The Telegram bot: shoppers write to it in a private chat, or by its name in a group, and read their replies there.
//!
//! Updates are fetched by long polling, or delivered to a webhook where the settings name one. Telegram forgets an update
//! once a later offset is asked for, or its delivery is answered with 200: both only happen when the update is durable in
//! the inbox. Replies are read from the outbox and sent at Telegram's pace.
//!
//! The Bot API is called directly, with teloxide's types for what is said: teloxide's own client sleeps ten seconds
//! over each 5xx, hides the HTTP status and shows the token in its errors.

mod api;
mod buttons;
mod cards;
mod intake;
mod menu;
mod merchant;
mod pace;
mod people;
mod parse;
mod photo;
mod poll;
mod press;
mod render;
mod send;
mod split;
mod staff;
mod stream;
mod typing;
mod webhook;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use teloxide_core::{
    payloads::{GetMe, GetWebhookInfo, SetWebhook, SetWebhookSetters},
    requests::Payload,
};
use tokio_util::sync::CancellationToken;

pub use self::{
    merchant::{Changes, ImportFn, Imported},
    webhook::{WEBHOOK_PATH, WebhookDoor},
};

use self::{
    api::{Api, Failure},
    intake::Intake,
    people::People,
};
use crate::{
    config::{TelegramConfig, WebhookConfig},
    desk::Desk,
    dispatch::Dispatcher,
    live::LiveHub,
    storage::{StorageError, Store},
};

/// Longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// Why the bot cannot work at all. Everything else is tried again.
#[derive(Debug, thiserror::Error)]
pub enum TelegramError {
    /// Telegram does not know the token.
    #[error(
        "Telegram does not accept the bot's token; mend `token` under [telegram] in the settings file, or the \
         environment variable TELEGRAM_BOT_TOKEN (@BotFather shows the right one)"
    )]
    Token,
    /// The server does not want this bot for another reason.
    #[error("Telegram refuses the bot; check `api_url` and `token` under [telegram] in the settings file: {0}")]
    Refused(String),
    /// Updates go to a webhook, so that polling gets none.
    #[error(
        "the bot's updates are delivered to a webhook at {host}, so Shoptalk would never see them; if that is this shop, \
         put [telegram.webhook] back into the settings file; if nothing needs that webhook any more, remove it \
         (deleteWebhook of the Bot API) and start again"
    )]
    Webhook {
        /// The webhook's host; its path may hold a secret.
        host: String,
    },
    /// The address of the Bot API cannot be used.
    #[error("`api_url` under [telegram] (or TELEGRAM_API_URL) must be an address like https://api.telegram.org: {0}")]
    ApiUrl(String),
    /// The address of the webhook cannot be used.
    #[error("`url` under [telegram.webhook] must be an https address such as https://shop.example{WEBHOOK_PATH}: {0}")]
    WebhookUrl(String),
    /// Telegram does not take the webhook.
    #[error("Telegram does not take the webhook; check `url` and `secret` under [telegram.webhook]: {0}")]
    WebhookRefused(String),
    /// The webhook's secret can be neither read nor kept.
    #[error("the secret of the webhook cannot be kept: {0}")]
    Storage(#[from] StorageError),
    /// There can be no HTTPS client on this machine.
    #[error("cannot set up HTTPS for Telegram: {0}")]
    Client(String),
}

/// What Telegram says of the bot itself.
#[derive(Debug, Clone, Deserialize)]
struct Me {
    id: i64,
    #[serde(default)]
    username: String,
}

#[derive(Debug, Deserialize)]
struct WebhookInfo {
    #[serde(default)]
    url: String,
}

/// The parts of the shop that the bot works with.
pub struct Shop {
    /// The database.
    pub store: Store,
    /// Makes turns of what shoppers write.
    pub dispatcher: Dispatcher,
    /// Tells of changes.
    pub live: LiveHub,
    /// Does what staff want who write in a group.
    pub desk: Desk,
}

/// Runs the bot until `shutdown`. Network trouble is waited out; an error means that an owner has to change something.
///
/// `door` lets in updates that Telegram delivers, `media_dir` holds the catalogue's pictures, and `import` takes in
/// documents that merchants send.
pub async fn run(
    config: &TelegramConfig,
    shop: Shop,
    door: &WebhookDoor,
    media_dir: PathBuf,
    import: ImportFn,
    shutdown: CancellationToken,
) -> Result<(), TelegramError> {
    let api = Arc::new(Api::new(config)?);
    let Some(me) = introduce(&api, &shutdown).await? else { return Ok(()) };
    menu::set(&api).await;

    let stop = shutdown.child_token();
    let Shop { store, dispatcher, live, desk } = shop;
    let worker = dispatcher.worker().to_owned();
    let presses = press::Presses { api: Arc::clone(&api), store: store.clone(), media_dir: media_dir.clone() };
    let bot = send::Bot { id: me.id, worker, per_second_max: config.per_second, media_dir };
    let sender = send::Sender::new(Arc::clone(&api), bot, store.clone(), live.clone());
    let people = Arc::new(People::new(config, &api, me.id, &store, desk, &live, import));
    let intake = Arc::new(Intake::new(me.clone(), store.clone(), dispatcher, presses, Arc::clone(&people)));
    let receiving = async {
        let ended = match &config.webhook {
            Some(webhook) => {
                door.open(Arc::clone(&intake), &webhook_secret(webhook, &store).await?);
                deliver_to(config, webhook, &api, &store, &stop).await
            }
            None => match check_no_webhook(&api, &stop).await {
                Ok(()) => poll::Poller::new(Arc::clone(&api), Arc::clone(&intake)).run(&stop).await,
                wrong => wrong,
            },
        };
        stop.cancel();
        ended
    };
    tracing::info!(bot = me.username, "Telegram is connected");
    tokio::join!(receiving, sender.run(&stop), intake.read_again(&stop), people.run(&stop)).0
}

/// Checks the token. `None`: told to stop before Telegram answered.
async fn introduce(api: &Api, shutdown: &CancellationToken) -> Result<Option<Me>, TelegramError> {
    match until_answered(api, &GetMe::new(), shutdown).await {
        None => Ok(None),
        Some(Ok(me)) => Ok(Some(me)),
        Some(Err(Failure::Refused { code: 401 | 404, .. })) => Err(TelegramError::Token),
        Some(Err(failure)) => Err(TelegramError::Refused(failure.to_string())),
    }
}

/// Checks that updates are there to be polled.
async fn check_no_webhook(api: &Api, stop: &CancellationToken) -> Result<(), TelegramError> {
    match until_answered(api, &GetWebhookInfo::new(), stop).await {
        Some(Ok(WebhookInfo { url })) if !url.is_empty() => {
            let host = reqwest::Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
            Err(TelegramError::Webhook { host: host.unwrap_or_else(|| "an unreadable address".to_owned()) })
        }
        None | Some(Ok(_)) => Ok(()),
        Some(Err(failure)) => {
            tracing::warn!(%failure, "Telegram does not say whether a webhook is set");
            Ok(())
        }
    }
}

/// Has updates delivered to the webhook until `stop`. It stays set after that: Telegram then keeps what it cannot
/// deliver until the next start.
async fn deliver_to(
    config: &TelegramConfig,
    webhook: &WebhookConfig,
    api: &Api,
    store: &Store,
    stop: &CancellationToken,
) -> Result<(), TelegramError> {
    let url = reqwest::Url::parse(&webhook.url).map_err(|error| TelegramError::WebhookUrl(error.to_string()))?;
    // Only a Bot API server of one's own delivers without TLS.
    if url.scheme() != "https" && config.api_url.is_none() {
        return Err(TelegramError::WebhookUrl(format!("{}:// is not https://", url.scheme())));
    }
    let request =
        SetWebhook::new(url).secret_token(webhook_secret(webhook, store).await?).allowed_updates(poll::ALLOWED_UPDATES);
    match until_answered::<_, IgnoredAny>(api, &request, stop).await {
        None => return Ok(()),
        Some(Ok(_)) => {}
        Some(Err(failure)) => return Err(TelegramError::WebhookRefused(failure.to_string())),
    }
    stop.cancelled().await;
    Ok(())
}

/// The secret of the settings, or one that is made up once and kept.
async fn webhook_secret(webhook: &WebhookConfig, store: &Store) -> Result<String, StorageError> {
    const SETTING: &str = "telegram_webhook_secret";
    if let Some(secret) = &webhook.secret {
        return Ok(secret.expose().to_owned());
    }
    if let Some(kept) = store.setting(SETTING).await? {
        return Ok(kept);
    }
    store.set_setting(SETTING, &hex::encode(rand::random::<[u8; 32]>())).await?;
    // Another process may have kept one at the same moment: the last one counts for both.
    Ok(store.setting(SETTING).await?.unwrap_or_default())
}

/// Repeats a call until it succeeds or Telegram refuses it; `None` on shutdown.
async fn until_answered<P: Payload + Serialize, T: DeserializeOwned>(
    api: &Api,
    payload: &P,
    shutdown: &CancellationToken,
) -> Option<Result<T, Failure>> {
    let mut failures = 0;
    loop {
        let failure = tokio::select! {
            () = shutdown.cancelled() => return None,
            answer = api.call(payload, api::CALL_TIMEOUT) => match answer {
                Err(failure) if !matches!(failure, Failure::Refused { .. }) => failure,
                answer => return Some(answer),
            }
        };
        let wait = failure.retry_after().unwrap_or_else(|| backoff(failures));
        failures += 1;
        tracing::warn!(method = P::NAME, %failure, retry_in_s = wait.as_secs(), "Telegram cannot be reached");
        if !sleep_unless_stopped(wait, shutdown).await {
            return None;
        }
    }
}

/// The wait after `failures` earlier failures: 1 s, 2 s, 4 s ... `BACKOFF_MAX`.
fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(10)).min(BACKOFF_MAX)
}

/// `false` when told to stop meanwhile.
async fn sleep_unless_stopped(wait: Duration, shutdown: &CancellationToken) -> bool {
    shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
}

/// What is under way at `shutdown` is given some time, so that what Telegram took is noted; `None` when that is over.
async fn unless_stopped_for_long<F: Future>(work: F, shutdown: &CancellationToken) -> Option<F::Output> {
    let stopped = async {
        shutdown.cancelled().await;
        tokio::time::sleep(send::FINISH_TIMEOUT).await;
    };
    tokio::select! {
        output = work => Some(output),
        () = stopped => None,
    }
}

/// One chat is one conversation of one bot, so that another bot of the same shop does not continue it.
fn conversation_key(bot_id: i64, chat_id: i64) -> String {
    format!("{bot_id}:{chat_id}")
}

/// The chat of a conversation with this bot; `None` for another bot's.
fn chat_of(bot_id: i64, key: &str) -> Option<i64> {
    let (bot, chat) = key.split_once(':')?;
    (bot.parse() == Ok(bot_id)).then(|| chat.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute() {
        let waits: Vec<u64> = (0..8).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }

    #[test]
    fn a_conversation_belongs_to_one_bot() {
        let key = conversation_key(7, -42);
        assert_eq!(chat_of(7, &key), Some(-42));
        assert_eq!(chat_of(8, &key), None);
        assert_eq!(chat_of(7, "7"), None);
    }
}
