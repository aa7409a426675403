//! `/healthz`, `/readyz` and `/metrics`: answered from the moment the program listens, also while the shop behind them
//! is still being opened.

use std::sync::{Arc, OnceLock};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceExt;

use super::App;
use crate::telemetry::{self, Health, ModelState, Status};

impl App {
    /// How the shop is right now.
    pub async fn health(&self) -> Health {
        let snapshot = self.engine.snapshot();
        let chat_model = self.language_model.state();
        let wants_chat = self.config.models.wants_chat();
        let (database, set_aside) = match self.store.set_aside_count().await {
            Ok(set_aside) => ("ok".to_owned(), set_aside),
            Err(error) => (format!("failed: {error}"), 0),
        };
        let status = match chat_model {
            _ if database != "ok" => Status::Unavailable,
            ModelState::Failed(_) | ModelState::Unreachable(_) => Status::Degraded,
            ModelState::Absent if wants_chat => Status::Degraded,
            _ => Status::Ready,
        };
        Health {
            status,
            database,
            encoder: self.engine.encoder(),
            chat_model,
            chat_device: self.language_model.get().map(|model| model.device().to_owned()),
            passages_to_read: self.language_model.get().map_or(0, |model| model.to_read()),
            knowledge_version: snapshot.version,
            passages: snapshot.knowledge.passages().len(),
            products: snapshot.titles.len(),
            set_aside,
        }
    }
}

/// The shop once it is open, with all its pages.
struct Shop {
    app: App,
    pages: Router,
}

/// What stands before the shop: health at once, pages as soon as the shop is open. Cheap to clone.
#[derive(Clone)]
pub(super) struct Door {
    shop: Arc<OnceLock<Shop>>,
    metrics: PrometheusHandle,
}

impl Door {
    pub(super) fn new(metrics: PrometheusHandle) -> Self {
        Self { shop: Arc::default(), metrics }
    }

    /// Lets shoppers in.
    pub(super) fn open(&self, app: App, pages: Router) {
        let _ = self.shop.set(Shop { app, pages });
    }

    pub(super) fn router(&self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .fallback(pages)
            .with_state(self.clone())
    }

    async fn health(&self) -> Health {
        match self.shop.get() {
            Some(shop) => shop.app.health().await,
            None => Health::starting(),
        }
    }
}

async fn readyz(State(door): State<Door>) -> Response {
    let health = door.health().await;
    let code = if health.status.answers() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

async fn metrics(State(door): State<Door>) -> Response {
    telemetry::health(&door.health().await);
    if let Some(shop) = door.shop.get() {
        match shop.app.store.waiting_counts().await {
            Ok((inbox, outbox)) => telemetry::waiting(inbox, outbox),
            Err(error) => tracing::error!(%error, "inbox and outbox cannot be counted"),
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], door.metrics.render()).into_response()
}

async fn pages(State(door): State<Door>, request: Request) -> Response {
    match door.shop.get() {
        Some(shop) => match shop.pages.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], "The shop is being opened.\n")
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[tokio::test]
    async fn before_the_shop_is_open_its_health_can_be_asked_and_nothing_else() {
        let door = Door::new(PrometheusBuilder::new().build_recorder().handle());
        let get = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = door.router().oneshot(request).await.unwrap();
            let status = response.status();
            let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(get("/healthz").await, (StatusCode::OK, "ok".to_owned()));
        let (status, body) = get("/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("\"status\":\"starting\""), "{body}");
        assert_eq!(get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get("/metrics").await.0, StatusCode::OK);
    }
}
