//! Updates that Telegram delivers itself. It repeats a delivery until it is answered with 200, which it is when the
//! update is durable, and proves with a secret in a header that it is Telegram.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::intake::Intake;

/// Path of the route; a proxy in front passes the address of `url` under `[telegram.webhook]` on to it.
pub const WEBHOOK_PATH: &str = "/telegram/webhook";
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Updates are a few kilobytes.
const UPDATE_BYTES_MAX: usize = 1 << 20;

/// Stands between the web server, which is there first, and the bot. Cheap to clone.
#[derive(Clone, Default)]
pub struct WebhookDoor {
    open: Arc<OnceLock<Open>>,
}

struct Open {
    intake: Arc<Intake>,
    /// SHA-256 of the secret.
    secret: [u8; 32],
}

impl WebhookDoor {
    /// Lets updates in. Until then they are answered with 503, so that Telegram repeats them.
    pub(super) fn open(&self, intake: Arc<Intake>, secret: &str) {
        let _ = self.open.set(Open { intake, secret: Sha256::digest(secret).into() });
    }

    /// The route of the webhook.
    pub fn router(&self) -> Router {
        Router::new()
            .route(WEBHOOK_PATH, post(deliver))
            .layer(DefaultBodyLimit::max(UPDATE_BYTES_MAX))
            .with_state(self.clone())
    }
}

async fn deliver(State(door): State<WebhookDoor>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Some(open) = door.open.get() else { return StatusCode::SERVICE_UNAVAILABLE };
    let given = headers.get(SECRET_HEADER).map_or(&b""[..], axum::http::HeaderValue::as_bytes);
    if !same_digest(&Sha256::digest(given).into(), &open.secret) {
        return StatusCode::FORBIDDEN;
    }
    // What is not JSON is kept as well, as a text.
    let update = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    match open.intake.take(vec![update]).await {
        Ok(()) => StatusCode::OK,
        Err(error) => {
            tracing::error!(%error, "a Telegram update cannot be stored; Telegram will repeat it");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// Takes the same time whatever differs; digests are compared, so that the lengths of the secrets do not show either.
fn same_digest(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_digests_are_the_same() {
        let digest = |text: &str| Sha256::digest(text).into();
        assert!(same_digest(&digest("a"), &digest("a")));
        assert!(!same_digest(&digest("a"), &digest("b")));
        assert!(!same_digest(&digest(""), &digest("a")));
    }
}
