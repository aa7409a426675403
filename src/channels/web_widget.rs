//! The chat widget on the shop's own pages: one script tag, an API under `/api/widget`, and a demo shop at `/`.
//!
//! A shopper is known by a random secret that their browser keeps and sends in a header. Its SHA-256 is the chat; the
//! secret itself is stored and logged nowhere. A message is acknowledged (202) when it is durable, a message sent again
//! with the same id counts once, and the event stream starts with what the browser has not seen yet.

mod assets;
mod demo;
mod events;
mod limits;
mod origins;
mod wire;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{FromRequestParts, Query, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware,
    routing::{get, post},
};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;

use self::{
    limits::RateLimit,
    origins::OriginRules,
    wire::{ApiError, MessageView, Submission},
};
use crate::{
    config::{PerLanguage, ShopProfile, WidgetSettings},
    conversation::State as ConversationState,
    dispatch::Dispatcher,
    live::{LiveEvent, LiveHub},
    message::{Channel, Inbound, Language, Origin},
    storage::Store,
};

/// Setting under which the shop's profile is kept as JSON.
const PROFILE_SETTING: &str = "shop_profile";
/// Bytes of a request that are a message.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are read before giving up, so that a browser that sends too much still gets to read why it was refused.
const BODY_BYTES_READ: usize = 512 * 1024;
/// Event streams at a time; a browser beyond it is told to come back.
const STREAMS_MAX: usize = 4096;
/// Header with the visitor's secret.
const VISITOR_HEADER: &str = "x-shoptalk-visitor";

/// What the widget's pages and API share. Cheap to clone.
#[derive(Clone)]
pub struct WidgetState {
    store: Store,
    dispatcher: Dispatcher,
    live: LiveHub,
    media_dir: Arc<PathBuf>,
    origins: OriginRules,
    /// std's Mutex: held for a few instructions, never across an await.
    rate: Arc<Mutex<RateLimit>>,
    /// Signs that a shopper is writing are counted apart, so that they take no message's place.
    writing_rate: Arc<Mutex<RateLimit>>,
    streams: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl WidgetState {
    /// `media_dir` holds product pictures, `origins` the web origins that may embed the widget (empty: any). Event
    /// streams end at `shutdown`.
    pub fn new(
        store: Store,
        dispatcher: Dispatcher,
        live: LiveHub,
        media_dir: PathBuf,
        origins: &[String],
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            store,
            dispatcher,
            live,
            media_dir: Arc::new(media_dir),
            origins: OriginRules::new(origins),
            rate: Arc::default(),
            writing_rate: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            shutdown,
        }
    }

    /// The shop's profile; the default one when none is kept or the kept one cannot be read.
    async fn profile(&self) -> ShopProfile {
        let kept = match self.store.setting(PROFILE_SETTING).await {
            Ok(kept) => kept.unwrap_or_else(|| "{}".to_owned()),
            Err(error) => {
                tracing::error!(%error, "the shop's profile cannot be read");
                return ShopProfile::default();
            }
        };
        serde_json::from_str(&kept).unwrap_or_else(|error| {
            tracing::warn!(%error, "the kept shop profile is not valid; the default is used");
            ShopProfile::default()
        })
    }

    /// How the widget looks; as the shop says of itself when what a merchant saved cannot be read.
    async fn settings(&self) -> WidgetSettings {
        match self.store.widget_settings().await {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(%error, "the widget's settings cannot be read; the shop's own are used");
                WidgetSettings::of(&self.profile().await)
            }
        }
    }
}

/// The demo shop, the widget's files and its API.
pub fn router(state: WidgetState) -> Router {
    let api = Router::new()
        .route("/config", get(config))
        .route("/messages", post(post_message).get(get_messages))
        .route("/events", get(events::stream))
        .route("/writing", post(post_writing))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(middleware::from_fn_with_state(state.origins.clone(), origins::cross_origin));
    Router::new()
        .route("/", get(demo::page))
        .route("/demo.css", get(assets::demo_style))
        .route("/widget.js", get(assets::widget_script))
        .route("/widget.css", get(assets::widget_style))
        .route("/media/{*path}", get(assets::media))
        .nest("/api/widget", api)
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .with_state(state)
}

/// Who asks: the chat that belongs to the secret in the header.
struct Visitor {
    chat: String,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let secret = parts.headers.get(VISITOR_HEADER).map_or(&b""[..], HeaderValue::as_bytes);
        if !(32..=64).contains(&secret.len()) || !secret.iter().all(u8::is_ascii_hexdigit) {
            return Err(ApiError::Visitor);
        }
        Ok(Self { chat: hex::encode(Sha256::digest(secret)) })
    }
}

/// What the widget needs to greet a shopper.
#[derive(Serialize)]
struct WidgetConfig {
    name: String,
    greeting: PerLanguage<String>,
    suggested_questions: PerLanguage<Vec<String>>,
    languages: Vec<Language>,
}

async fn config(State(state): State<WidgetState>) -> Json<WidgetConfig> {
    let name = state.profile().await.name;
    let WidgetSettings { greeting, suggested_questions, languages, .. } = state.settings().await;
    Json(WidgetConfig { name, greeting, suggested_questions, languages })
}

/// The answer to a message that is safe now.
#[derive(Serialize)]
struct Accepted {
    id: String,
    /// The message had been accepted before.
    duplicate: bool,
}

async fn post_message(
    State(state): State<WidgetState>,
    visitor: Visitor,
    body: Body,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    state.rate.lock().unwrap_or_else(PoisonError::into_inner).check(&visitor.chat, Instant::now())?;
    let body = to_bytes(body, BODY_BYTES_READ).await.map_err(|_| ApiError::TooLarge)?;
    let Submission { id, text, language } = Submission::parse(&body)?;
    let inbound = Inbound {
        channel: Channel::Widget,
        chat: visitor.chat,
        update_id: id.clone(),
        text,
        customer: None,
        language_hint: language,
        received_at: Utc::now(),
        attachments: Vec::new(),
        origin: Origin::default(),
    };
    let new = state.dispatcher.accept(&inbound).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id, duplicate: !new })))
}

/// The shopper is writing: staff who have the chat open are told. Nothing is kept.
async fn post_writing(State(state): State<WidgetState>, visitor: Visitor) -> Result<StatusCode, ApiError> {
    state.writing_rate.lock().unwrap_or_else(PoisonError::into_inner).check(&visitor.chat, Instant::now())?;
    state.live.announce(Channel::Widget, &visitor.chat, LiveEvent::ShopperWrites);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: i64,
}

/// A transcript's end, for a browser that catches up without a stream.
#[derive(Serialize)]
struct Transcript {
    state: ConversationState,
    messages: Vec<MessageView>,
}

async fn get_messages(
    State(state): State<WidgetState>,
    visitor: Visitor,
    Query(After { after }): Query<After>,
) -> Result<Json<Transcript>, ApiError> {
    let news = events::news(&state.store, &visitor.chat, after).await?;
    Ok(Json(Transcript { state: news.state, messages: news.messages }))
}
