//! One call of the Bot API, and the ways in which it can fail. The token is part of every address, so no error keeps one.

use std::{error::Error, time::Duration};

use reqwest::{StatusCode, Url, multipart::Form};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;
use teloxide_core::requests::Payload;

use super::TelegramError;
use crate::config::{Secret, TelegramConfig};

/// For calls that Telegram answers at once.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// For calls that carry a file.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(1);
/// For files.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const OFFICIAL_API: &str = "https://api.telegram.org";
/// When Telegram asks to wait without saying how long.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);
/// Nobody is kept waiting longer on the server's word alone.
const RETRY_AFTER_MAX_S: u64 = 24 * 60 * 60;
/// Longest text of Telegram's that goes into a log, in characters.
const DESCRIPTION_MAX: usize = 200;

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No answer; whether the call was carried out is unknown.
    #[error("no answer ({0})")]
    Network(String),
    /// The server has trouble of its own.
    #[error("the server answered {0}")]
    Server(StatusCode),
    /// The server said yes, and what came after cannot be read.
    #[error("the server's answer is cut or garbled")]
    Garbled,
    /// Too many requests.
    #[error("too many requests, wait {} s", .0.as_secs())]
    RetryAfter(Duration),
    /// The call was understood and refused.
    #[error("refused with {code}: {description}")]
    Refused {
        /// HTTP status, which is also the `error_code` of the Bot API.
        code: u16,
        /// Telegram's words.
        description: String,
    },
}

impl Failure {
    /// How long the server asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RetryAfter(wait) => Some(*wait),
            _ => None,
        }
    }
}

/// What every answer of the Bot API is wrapped in.
#[derive(Deserialize)]
struct Envelope {
    ok: bool,
    result: Option<Value>,
    #[serde(default)]
    description: String,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

/// A bot at a Bot API server.
pub(super) struct Api {
    client: reqwest::Client,
    url: Url,
    token: Secret,
}

impl Api {
    /// Checks the address; does not call yet.
    pub(super) fn new(config: &TelegramConfig) -> Result<Self, TelegramError> {
        let address = config.api_url.as_deref().unwrap_or(OFFICIAL_API);
        let url = Url::parse(address).map_err(|error| TelegramError::ApiUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TelegramError::ApiUrl(format!("{}:// is not a web address", url.scheme())));
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| TelegramError::Client(describe(error)))?;
        Ok(Self { client, url, token: config.token.clone() })
    }

    /// Calls the payload's method and reads the result as `T`.
    pub(super) async fn call<P: Payload + Serialize, T: DeserializeOwned>(
        &self,
        payload: &P,
        timeout: Duration,
    ) -> Result<T, Failure> {
        self.answer(self.client.post(self.method_url(P::NAME)).timeout(timeout).json(payload)).await
    }

    /// Calls a method for what it does and not for its result: when the status says yes it is done, whatever became of
    /// the rest of the answer.
    pub(super) async fn send(&self, method: &str, parameters: &Value, timeout: Duration) -> Result<(), Failure> {
        done(self.ask::<IgnoredAny>(method, parameters, timeout).await)
    }

    /// The same with files.
    pub(super) async fn send_form(&self, method: &str, form: Form) -> Result<(), Failure> {
        let request = self.client.post(self.method_url(method)).timeout(UPLOAD_TIMEOUT).multipart(form);
        done(self.answer::<IgnoredAny>(request).await)
    }

    /// Calls a method by its name, also one that teloxide does not know, and reads the result as `T`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: &Value,
        timeout: Duration,
    ) -> Result<T, Failure> {
        self.answer(self.client.post(self.method_url(method)).timeout(timeout).json(parameters)).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Failure> {
        let network = |error| Failure::Network(describe(error));
        let response = request.send().await.map_err(network)?;
        let status = response.status();
        if status.is_server_error() {
            return Err(Failure::Server(status));
        }
        let body = response.bytes().await;
        if status.is_success() {
            return body.ok().and_then(|body| read_result(&body)).ok_or(Failure::Garbled);
        }
        Err(self.refusal(status, &body.map_err(network)?))
    }

    /// Fetches a file whose path `getFile` gave; one of more than `bytes_max` is refused.
    pub(super) async fn download(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let network = |error| Failure::Network(describe(error));
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("file").push(&format!("bot{}", self.token.expose())).extend(path.split('/'));
        }
        let mut response = self.client.get(url).timeout(DOWNLOAD_TIMEOUT).send().await.map_err(network)?;
        let status = response.status();
        if status.is_server_error() {
            return Err(Failure::Server(status));
        }
        if !status.is_success() {
            return Err(Failure::Refused { code: status.as_u16(), description: "no such file".to_owned() });
        }
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(network)? {
            if bytes.len() + part.len() > bytes_max {
                return Err(Failure::Refused { code: 400, description: format!("more than {bytes_max} bytes") });
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    fn method_url(&self, method: &str) -> Url {
        let mut url = self.url.clone();
        // Only `mailto:` and its like have no path; `new` lets in http and https alone.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(&format!("bot{}", self.token.expose())).push(method);
        }
        url
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        let envelope = serde_json::from_slice::<Envelope>(body).ok();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let asked = envelope.and_then(|envelope| envelope.parameters?.retry_after);
            return Failure::RetryAfter(
                asked.map_or(RETRY_AFTER_DEFAULT, |s| Duration::from_secs(s.min(RETRY_AFTER_MAX_S))),
            );
        }
        let description = envelope.map_or_else(String::new, |envelope| envelope.description);
        let description = description.replace(self.token.expose(), "<token>").chars().take(DESCRIPTION_MAX).collect();
        Failure::Refused { code: status.as_u16(), description }
    }
}

fn done(answer: Result<IgnoredAny, Failure>) -> Result<(), Failure> {
    match answer {
        Ok(_) | Err(Failure::Garbled) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn read_result<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let envelope: Envelope = serde_json::from_slice(body).ok().filter(|envelope: &Envelope| envelope.ok)?;
    serde_json::from_value(envelope.result?).ok()
}

/// The whole chain of causes, without the address that holds the token.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(url: &str) -> Result<Api, TelegramError> {
        Api::new(&TelegramConfig { api_url: Some(url.to_owned()), ..TelegramConfig::new(Secret::new("12:SECRET")) })
    }

    #[test]
    fn the_address_may_have_a_path_and_a_slash_at_its_end() {
        for (base, expected) in [
            ("https://api.telegram.org", "https://api.telegram.org/bot12:SECRET/GetMe"),
            ("http://127.0.0.1:81/tg/", "http://127.0.0.1:81/tg/bot12:SECRET/GetMe"),
        ] {
            assert_eq!(api(base).unwrap().method_url("GetMe").as_str(), expected);
        }
        for wrong in ["api.telegram.org", "ftp://x", ""] {
            assert!(matches!(api(wrong), Err(TelegramError::ApiUrl(_))), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_is_read_and_never_shows_the_token() {
        let api = api("http://x").unwrap();
        let wait = api.refusal(StatusCode::TOO_MANY_REQUESTS, br#"{"ok":false,"parameters":{"retry_after":7}}"#);
        assert_eq!(wait.retry_after(), Some(Duration::from_secs(7)));
        let unsaid = api.refusal(StatusCode::TOO_MANY_REQUESTS, b"slow down");
        assert_eq!(unsaid.retry_after(), Some(RETRY_AFTER_DEFAULT));
        let refused = api.refusal(StatusCode::FORBIDDEN, br#"{"ok":false,"description":"bot 12:SECRET was blocked"}"#);
        assert_eq!(refused.to_string(), "refused with 403: bot <token> was blocked");
    }

    #[tokio::test]
    async fn a_network_error_does_not_show_the_token() {
        // Port 1 refuses the connection.
        let call = api("http://127.0.0.1:1").unwrap();
        let failure =
            call.call::<_, Value>(&teloxide_core::payloads::GetMe::new(), CALL_TIMEOUT).await.unwrap_err().to_string();
        assert!(!failure.contains("SECRET"), "{failure}");
    }

    #[test]
    fn a_cut_answer_is_not_a_result() {
        assert_eq!(read_result::<bool>(br#"{"ok":true,"result":true}"#), Some(true));
        for garbled in [&br#"{"ok":true,"resu"#[..], br#"{"ok":false,"result":true}"#, br#"{"ok":true}"#, b"<html>"] {
            assert_eq!(read_result::<bool>(garbled), None);
        }
    }
}
