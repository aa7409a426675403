//! What can go wrong with a model server, in words that an operator can act on. None of them holds the key.

use std::{error::Error as _, time::Duration};

/// Characters of a server's own words that are worth repeating.
const WORDS_MAX: usize = 300;

/// Why a model server gave no answer. Each reads on after "the model server at …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// There is no connection.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with an error.
    #[error("answered {status}: {message}{}", hint(*status))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's words, shortened.
        message: String,
        /// When to come back, where the server says so.
        retry_after: Option<Duration>,
    },
    /// It was silent for too long.
    #[error("sent no {what} within {} s; see {setting} under [models.remote]", after.as_secs_f32())]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// The setting that says for how long.
        setting: &'static str,
        /// For how long.
        after: Duration,
    },
    /// The connection broke off in the middle of an answer.
    #[error("broke off: {0}")]
    BrokeOff(String),
    /// It reported an error in the middle of an answer.
    #[error("reports: {0}")]
    Reported(String),
    /// What it sent is no chat completion.
    #[error(
        "sent something else than a chat completion ({0}); check base_url under [models.remote], which mostly ends in /v1"
    )]
    Malformed(String),
    /// It was given a JSON schema and wrote something else than JSON.
    #[error("does not keep to a JSON schema (response_format)")]
    NoSchema,
    /// It does not tell how probable its tokens are.
    #[error("gives no probabilities of tokens (logprobs)")]
    NoLogProbs,
}

impl RemoteError {
    /// Of a request that got no answer.
    pub(super) fn of_sending(error: &reqwest::Error) -> Self {
        if error.is_connect() { Self::Unreachable(cause(error)) } else { Self::BrokeOff(cause(error)) }
    }

    /// Of an answer that did not come to its end.
    pub(super) fn of_reading(error: &reqwest::Error) -> Self {
        Self::BrokeOff(cause(error))
    }

    /// Whether another try may help: nothing was wrong with the request itself.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::BrokeOff(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Whether it says something about the server, rather than about one request.
    pub(super) fn is_trouble(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::BrokeOff(_) | Self::TimedOut { .. } | Self::Malformed(_) => true,
            Self::Refused { status, .. } => matches!(status, 300..=399 | 401..=405 | 500..),
            Self::Reported(_) | Self::NoSchema | Self::NoLogProbs => false,
        }
    }

    /// The same with the server's words on one line, shortened, and without the key where they repeat it.
    pub(super) fn cleaned(self, key: Option<&str>) -> Self {
        let words = |text: String| words(&text, key);
        match self {
            Self::Unreachable(why) => Self::Unreachable(words(why)),
            Self::Refused { status, message, retry_after } => {
                Self::Refused { status, message: words(message), retry_after }
            }
            Self::BrokeOff(why) => Self::BrokeOff(words(why)),
            Self::Reported(message) => Self::Reported(words(message)),
            Self::Malformed(what) => Self::Malformed(words(what)),
            other @ (Self::TimedOut { .. } | Self::NoSchema | Self::NoLogProbs) => other,
        }
    }

    /// When the server wants to be asked again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What an operator looks at first.
fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => "; base_url under [models.remote] has to name the place itself, redirects are not followed",
        401 | 403 => "; check the key in the variable that key_env under [models.remote] names",
        404 | 405 => "; check base_url and model under [models.remote]",
        _ => "",
    }
}

/// The innermost cause, which says what happened; the outer ones say where, and the address is known.
fn cause(error: &reqwest::Error) -> String {
    if error.is_connect() && error.is_timeout() {
        return "no connection in time; see connect_timeout_s under [models.remote]".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.source().is_none() { "the request failed".to_owned() } else { innermost.to_string() }
}

fn words(text: &str, key: Option<&str>) -> String {
    let text = key.map_or_else(|| text.to_owned(), |key| text.replace(key, "<secret>"));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() > WORDS_MAX { line.chars().take(WORDS_MAX).chain(['…']).collect() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_one_short_line_without_the_key() {
        let said = format!("Incorrect API key\n\tprovided: sk-1234\u{1b}[31m {}", "x".repeat(900));
        let RemoteError::Reported(words) = RemoteError::Reported(said).cleaned(Some("sk-1234")) else { unreachable!() };
        assert!(words.starts_with("Incorrect API key provided: <secret> [31m xxx"), "{words}");
        assert_eq!(words.chars().count(), WORDS_MAX + 1);
    }
}
