//! What travels between browser and server: a message in, messages out, and errors that the widget can show.
//! Scores, intents and traces are for staff and never leave here.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{BODY_BYTES_MAX, assets::media_address};
use crate::{
    message::{Citation, Language, ProductCard, Reply, Route, Timestamp},
    storage::{StorageError, StoredMessage},
};

/// Characters of a message.
const TEXT_CHARS_MAX: usize = 8_000;
/// Characters of a message's id.
const ID_CHARS_MAX: usize = 64;

/// Why a request was refused. The widget shows its own words for each code.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("the header X-Shoptalk-Visitor must hold the visitor's id: 32 to 64 hexadecimal digits")]
    Visitor,
    #[error("the body must be JSON like {{\"id\": \"m1\", \"text\": \"Where is my order?\"}}: {0}")]
    NotJson(String),
    #[error("id must be 1 to 64 letters, digits, - or _")]
    MessageId,
    #[error("the message is empty")]
    Empty,
    #[error("the message has {chars} characters; at most 8000 are read")]
    TooLong { chars: usize },
    #[error("the message holds control characters; send plain text")]
    Binary,
    #[error("the request is too large; at most 64 kB are read")]
    TooLarge,
    #[error("too many messages in a short time; wait a moment")]
    TooFast { wait: Duration },
    #[error("too many shoppers at once; try again in a minute")]
    Busy,
    #[error("this web page may not use the chat; its origin is not in server.widget_origins")]
    Origin,
    #[error("the message could not be stored; try again")]
    Storage(#[from] StorageError),
}

impl ApiError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Visitor => (StatusCode::BAD_REQUEST, "visitor"),
            Self::NotJson(_) => (StatusCode::BAD_REQUEST, "not_json"),
            Self::MessageId => (StatusCode::BAD_REQUEST, "message_id"),
            Self::Empty => (StatusCode::BAD_REQUEST, "empty"),
            Self::TooLong { .. } => (StatusCode::BAD_REQUEST, "too_long"),
            Self::Binary => (StatusCode::BAD_REQUEST, "binary"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_long"),
            Self::TooFast { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_fast"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Self::Origin => (StatusCode::FORBIDDEN, "origin"),
            Self::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage"),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooFast { wait } => Some(wait.as_secs_f64().ceil() as u64),
            Self::Busy => Some(60),
            Self::Storage(_) => Some(5),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Storage(error) = &self {
            tracing::error!(%error, "the widget's request failed");
        }
        let (status, code) = self.status_and_code();
        let body = serde_json::json!({ "error": { "code": code, "message": self.to_string() } });
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A message as a browser sends it, checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Submission {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) language: Option<Language>,
}

#[derive(Deserialize)]
struct RawSubmission {
    id: String,
    text: String,
    #[serde(default)]
    language: Option<String>,
}

impl Submission {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(ApiError::TooLarge);
        }
        let RawSubmission { id, text, language } =
            serde_json::from_slice(body).map_err(|error| ApiError::NotJson(error.to_string()))?;
        let id_is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if id.is_empty() || id.len() > ID_CHARS_MAX || !id_is_plain {
            return Err(ApiError::MessageId);
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(ApiError::Binary);
        }
        if text.trim().is_empty() {
            return Err(ApiError::Empty);
        }
        let chars = text.chars().count();
        if chars > TEXT_CHARS_MAX {
            return Err(ApiError::TooLong { chars });
        }
        Ok(Self { id, text, language: language.as_deref().and_then(Language::from_tag) })
    }
}

/// A message as a shopper sees it.
#[derive(Debug, Serialize)]
pub(super) struct MessageView {
    /// Row id; grows within a chat.
    pub(super) id: i64,
    author: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_name: Option<String>,
    /// The id that the browser gave to its own message.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    text: String,
    at: Timestamp,
    #[serde(flatten)]
    reply: Option<ReplyView>,
}

#[derive(Debug, Serialize)]
struct ReplyView {
    language: Language,
    route: Route,
    handoff: bool,
    citations: Vec<CitationView>,
    products: Vec<ProductView>,
    suggestions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CitationView {
    document: String,
    heading: String,
    quote: String,
}

#[derive(Debug, Serialize)]
struct ProductView {
    sku: String,
    title: String,
    price: String,
    stock: u32,
    image: Option<String>,
    reason: String,
}

impl MessageView {
    /// `None` for what is for staff alone.
    pub(super) fn new(message: StoredMessage, client_id: Option<String>) -> Option<Self> {
        if !message.author.is_public() {
            return None;
        }
        Some(Self {
            id: message.id,
            author: message.author.as_str(),
            author_name: message.author_name,
            client_id,
            text: message.text,
            at: message.at,
            reply: message.reply.map(ReplyView::from),
        })
    }
}

impl From<Reply> for ReplyView {
    fn from(reply: Reply) -> Self {
        Self {
            language: reply.language,
            route: reply.route,
            handoff: reply.handoff,
            citations: reply.citations.into_iter().map(CitationView::from).collect(),
            products: reply.products.into_iter().map(ProductView::from).collect(),
            suggestions: reply.suggestions,
        }
    }
}

impl From<Citation> for CitationView {
    fn from(Citation { document, heading, quote, .. }: Citation) -> Self {
        Self { document, heading, quote }
    }
}

impl From<ProductCard> for ProductView {
    fn from(card: ProductCard) -> Self {
        let image = card.image.as_deref().and_then(media_address);
        let ProductCard { sku, title, price, stock, reason, .. } = card;
        Self { sku, title, price: price.to_string(), stock, image, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> &'static str {
        Submission::parse(body.as_bytes()).unwrap_err().status_and_code().1
    }

    #[test]
    fn a_message_is_checked_at_the_edge() {
        let message = Submission::parse(r#"{"id":"m-1","text":"hi\nthere","language":"zh-CN"}"#.as_bytes()).unwrap();
        assert_eq!((message.text.as_str(), message.language), ("hi\nthere", Some(Language::Zh)));
        assert_eq!(code("not json"), "not_json");
        assert_eq!(code(r#"{"id":"a","text":7}"#), "not_json");
        assert_eq!(code(r#"{"id":"../a","text":"hi"}"#), "message_id");
        assert_eq!(code(r#"{"id":"","text":"hi"}"#), "message_id");
        assert_eq!(code(r#"{"id":"a","text":" \n "}"#), "empty");
        assert_eq!(code(r#"{"id":"a","text":"a\u0000b"}"#), "binary");
        assert_eq!(code(&format!(r#"{{"id":"a","text":"{}"}}"#, "长".repeat(8_001))), "too_long");
        assert!(Submission::parse(format!(r#"{{"id":"a","text":"{}"}}"#, "长".repeat(8_000)).as_bytes()).is_ok());
    }
}
