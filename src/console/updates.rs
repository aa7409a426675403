//! Live updates: a stream of server-sent events that tells open pages which chat has changed. It carries no words; the
//! page reads itself again, through the same checks as before.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use chrono::Utc;
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tower_sessions::Session;

use super::{ConsoleState, access::Staff, sessions};
use crate::{
    live::{Live, LiveEvent},
    storage::Store,
};

/// A stream ends after so long; the browser opens another, and the session is checked again.
const STREAM_MAX: Duration = Duration::from_mins(10);

/// How often it is looked whether the reader may still read: somebody who is kept out is so within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a page is told.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Update {
    /// This chat has changed.
    Changed { channel: &'static str, chat: String },
    /// The shopper of this chat is writing.
    Writes { channel: &'static str, chat: String },
    /// Some were missed: anything may have changed.
    Missed,
}

/// The stream of one page.
pub(super) async fn stream(
    State(state): State<ConsoleState>,
    staff: Staff,
    session: Session,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let store = state.store.clone();
    let ended = async move {
        tokio::select! {
            () = state.shutdown.cancelled() => {}
            () = revoked(&store, &staff, &session) => {}
            () = tokio::time::sleep(STREAM_MAX) => {}
        }
    };
    let updates = stream::unfold(state.live.watch(), |mut watch| async move {
        next_update(&mut watch).await.map(|update| (update, watch))
    });
    let events = updates.map(|update| Ok(Event::default().json_data(update).unwrap_or_default()));
    Sse::new(events.take_until(Box::pin(ended))).keep_alive(KeepAlive::new().interval(Duration::from_secs(20)))
}

/// Until the session has ended or its owner may do something else than when the stream was opened. The database is asked,
/// because another process may have changed it.
async fn revoked(store: &Store, staff: &Staff, session: &Session) {
    let Some(id) = session.id() else { return };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // A database that does not answer has revoked nothing.
        if let Ok(false) = sessions::still_holds(store, id, &staff.user, Utc::now()).await {
            return;
        }
    }
}

async fn next_update(watch: &mut Receiver<Live>) -> Option<Update> {
    loop {
        match watch.recv().await {
            Ok(Live { channel, chat, event: LiveEvent::Changed }) => {
                return Some(Update::Changed { channel: channel.as_str(), chat });
            }
            Ok(Live { channel, chat, event: LiveEvent::ShopperWrites }) => {
                return Some(Update::Writes { channel: channel.as_str(), chat });
            }
            Ok(Live { event: LiveEvent::Progress(_), .. }) => {}
            Err(RecvError::Lagged(_)) => return Some(Update::Missed),
            Err(RecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        live::LiveHub,
        message::{Channel, Progress},
    };

    #[tokio::test]
    async fn words_in_the_making_are_left_out_and_a_gap_is_told() {
        let hub = LiveHub::default();
        let mut watch = hub.watch();
        hub.announce(Channel::Widget, "a", LiveEvent::Progress(Progress::Typing));
        hub.announce(Channel::Widget, "b", LiveEvent::Changed);
        let expected = Update::Changed { channel: "widget", chat: "b".to_owned() };
        assert_eq!(next_update(&mut watch).await, Some(expected));
        for _ in 0..5000 {
            hub.announce(Channel::Widget, "c", LiveEvent::Changed);
        }
        assert_eq!(next_update(&mut watch).await, Some(Update::Missed));
        drop(hub);
    }
}
