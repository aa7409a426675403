//! The Telegram bot: shoppers write to it in a private chat, and read their replies there.
//!
//! Updates are fetched by long polling. Telegram forgets an update once a later offset is asked for, so the offset moves
//! on only when the update is durable in the inbox. Replies are read from the outbox and sent at Telegram's pace.
//!
//! The Bot API is called directly, with teloxide's types for what is said: teloxide's own client sleeps ten seconds
//! over each 5xx, hides the HTTP status and shows the token in its errors.

mod api;
mod merchant;
mod pace;
mod people;
mod parse;
mod poll;
mod render;
mod send;
mod staff;

use std::{sync::Arc, time::Duration};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use teloxide_core::{
    payloads::{GetMe, GetWebhookInfo, SetMyCommands, SetMyCommandsSetters},
    requests::Payload,
    types::BotCommand,
};
use tokio_util::sync::CancellationToken;

pub use self::merchant::{Changes, ImportFn, Imported};
use self::{
    api::{Api, Failure},
    people::People,
};
use crate::{
    config::TelegramConfig, desk::Desk, dispatch::Dispatcher, live::LiveHub, message::Language, storage::Store,
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
        "the bot's updates are delivered to a webhook at {host}, so Shoptalk would never see them; if nothing needs \
         that webhook any more, remove it (deleteWebhook of the Bot API) and start again"
    )]
    Webhook {
        /// The webhook's host; its path may hold a secret.
        host: String,
    },
    /// The address of the Bot API cannot be used.
    #[error("`api_url` under [telegram] (or TELEGRAM_API_URL) must be an address like https://api.telegram.org: {0}")]
    ApiUrl(String),
    /// There can be no HTTPS client on this machine.
    #[error("cannot set up HTTPS for Telegram: {0}")]
    Client(String),
}

/// What Telegram says of the bot itself.
#[derive(Debug, Deserialize)]
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

/// Runs the bot until `shutdown`. Network trouble is waited out; an error means that an owner has to change something.
///
/// `desk` does what staff want who write in a group, `import` takes in documents that merchants send.
pub async fn run(
    config: &TelegramConfig,
    store: Store,
    dispatcher: Dispatcher,
    live: LiveHub,
    desk: Desk,
    import: ImportFn,
    shutdown: CancellationToken,
) -> Result<(), TelegramError> {
    let api = Arc::new(Api::new(config)?);
    let Some(me) = introduce(&api, &shutdown).await? else { return Ok(()) };
    set_commands(&api).await;
    tracing::info!(bot = me.username, "Telegram is connected");

    let stop = shutdown.child_token();
    let people = Arc::new(People::new(config, &api, me.id, &store, desk, &live, import));
    let sender = send::Sender::new(Arc::clone(&api), me.id, store, live);
    let poller = poll::Poller::new(api, me.id, dispatcher, Arc::clone(&people));
    let polling = async {
        let ended = poller.run(&stop).await;
        stop.cancel();
        ended
    };
    tokio::join!(polling, sender.run(&stop), people.run(&stop)).0
}

/// Checks the token and that updates are there to be polled. `None`: told to stop before Telegram answered.
async fn introduce(api: &Api, shutdown: &CancellationToken) -> Result<Option<Me>, TelegramError> {
    let me: Me = match until_answered(api, &GetMe::new(), shutdown).await {
        None => return Ok(None),
        Some(Ok(me)) => me,
        Some(Err(Failure::Refused { code: 401 | 404, .. })) => return Err(TelegramError::Token),
        Some(Err(failure)) => return Err(TelegramError::Refused(failure.to_string())),
    };
    match until_answered(api, &GetWebhookInfo::new(), shutdown).await {
        None => Ok(None),
        Some(Ok(WebhookInfo { url })) if !url.is_empty() => {
            let host = reqwest::Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
            Err(TelegramError::Webhook { host: host.unwrap_or_else(|| "an unreadable address".to_owned()) })
        }
        Some(Ok(_)) => Ok(Some(me)),
        Some(Err(failure)) => {
            tracing::warn!(%failure, "Telegram does not say whether a webhook is set");
            Ok(Some(me))
        }
    }
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

/// The menu beside the shopper's input line. The bot works without it.
async fn set_commands(api: &Api) {
    for language in Language::ALL {
        let described = match language {
            Language::En => [("start", "Start"), ("help", "What I can do"), ("human", "Talk to a person")],
            Language::Zh => [("start", "开始"), ("help", "我能做什么"), ("human", "转人工客服")],
        };
        let mut commands = SetMyCommands::new(described.map(|(name, text)| BotCommand::new(name, text)));
        if language != Language::default() {
            commands = commands.language_code(language.as_str());
        }
        if let Err(failure) = api.call::<_, IgnoredAny>(&commands, api::CALL_TIMEOUT).await {
            tracing::warn!(%failure, language = language.as_str(), "the bot's menu of commands could not be set");
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
