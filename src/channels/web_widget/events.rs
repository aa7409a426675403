//! The event stream of one chat: first what the browser has not seen, then what happens. A watcher is there before the
//! transcript is read, and each message is sent by its row id, so that nothing is lost or doubled over a reconnect.

use std::{collections::HashSet, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures::Stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::{
    Visitor, WidgetState,
    wire::{ApiError, MessageView},
};
use crate::{
    conversation::State as ConversationState,
    live::{Live, LiveEvent},
    message::{Channel, Progress},
    storage::{StorageError, Store},
};

/// A sign of life this often; the transcript is read again then too, in case another process wrote to it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Messages of a long transcript that a browser without any gets.
const HISTORY_MAX: usize = 200;

/// What a browser that has seen everything up to a message does not know yet.
pub(super) struct News {
    pub(super) state: ConversationState,
    pub(super) messages: Vec<MessageView>,
    /// Ids of messages that were set aside after too many failed tries.
    failed: Vec<String>,
}

/// Reads what happened in a chat after the message `after`.
pub(super) async fn news(store: &Store, chat: &str, after: i64) -> Result<News, StorageError> {
    let (mut failed, mut client_ids) = (Vec::new(), Vec::new());
    let conversation = store.conversation(Channel::Widget, chat).await?;
    let stored = match &conversation {
        Some(conversation) => store.messages(conversation.id, after).await?,
        None => Vec::new(),
    };
    // Read after the messages: then no message lacks its receipt.
    for receipt in store.receipts(Channel::Widget, chat, after).await? {
        match receipt.message_id {
            Some(message_id) => client_ids.push((message_id, receipt.update_id)),
            None => failed.push(receipt.update_id),
        }
    }
    let client_id = |id| client_ids.iter().find(|(message_id, _)| *message_id == id).map(|(_, id)| id.clone());
    let skipped = stored.len().saturating_sub(HISTORY_MAX);
    let messages = stored.into_iter().skip(skipped).filter_map(|message| {
        let id = message.id;
        MessageView::new(message, client_id(id))
    });
    let state = conversation.map_or(ConversationState::Bot, |conversation| conversation.state);
    Ok(News { state, messages: messages.collect(), failed })
}

/// `GET /api/widget/events`.
pub(super) async fn stream(
    State(state): State<WidgetState>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let permit = state.streams.clone().try_acquire_owned().map_err(|_| ApiError::Busy)?;
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    let events = Sse::new(chat_events(state, visitor.chat, after, permit));
    // nginx would otherwise collect events before it passes them on.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok((StatusCode::OK, [unbuffered], events).into_response())
}

fn chat_events(
    state: WidgetState,
    chat: String,
    mut after: i64,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let _permit = permit;
        let mut watch = state.live.watch();
        let mut told_state = None;
        let mut told_failed = HashSet::new();
        loop {
            let news = match news(&state.store, &chat, after).await {
                Ok(news) => news,
                Err(error) => {
                    tracing::error!(%error, "a transcript cannot be read for the widget");
                    return;
                }
            };
            for message in news.messages {
                after = message.id;
                yield Ok(json_event("message", &message).id(after.to_string()));
            }
            for id in news.failed {
                if told_failed.insert(id.clone()) {
                    yield Ok(json_event("failed", &serde_json::json!({ "client_id": id })));
                }
            }
            if told_state.replace(news.state) != Some(news.state) {
                yield Ok(json_event("state", &serde_json::json!({ "state": news.state })));
            }
            loop {
                match next(&state, &mut watch, &chat).await {
                    Next::Progress(progress) => yield Ok(json_event("progress", &progress)),
                    Next::Read => break,
                    Next::Quiet => {
                        yield Ok(Event::default().comment("here"));
                        break;
                    }
                    Next::End => return,
                }
            }
        }
    }
}

enum Next {
    Progress(Progress),
    /// Something was written, or events were missed.
    Read,
    Quiet,
    End,
}

async fn next(state: &WidgetState, watch: &mut broadcast::Receiver<Live>, chat: &str) -> Next {
    let quiet = tokio::time::sleep(KEEP_ALIVE);
    tokio::pin!(quiet);
    loop {
        let live = tokio::select! {
            () = state.shutdown.cancelled() => return Next::End,
            () = &mut quiet => return Next::Quiet,
            live = watch.recv() => live,
        };
        match live {
            Ok(live) if live.channel != Channel::Widget || live.chat != chat => {}
            Ok(Live { event: LiveEvent::ShopperWrites, .. }) => {}
            Ok(Live { event: LiveEvent::Progress(progress), .. }) => return Next::Progress(progress),
            Ok(Live { event: LiveEvent::Changed, .. }) | Err(broadcast::error::RecvError::Lagged(_)) => {
                return Next::Read;
            }
            Err(broadcast::error::RecvError::Closed) => return Next::End,
        }
    }
}

fn json_event<T: Serialize>(name: &str, value: &T) -> Event {
    let event = Event::default().event(name);
    match serde_json::to_string(value) {
        Ok(json) => event.data(json),
        Err(error) => {
            tracing::error!(%error, name, "an event cannot be written");
            event.data("{}")
        }
    }
}
