//! Live updates: a stream of server-sent events that tells open pages which chat has changed. It carries no words; the
//! page reads itself again, through the same checks as before.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::ConsoleState;
use crate::live::{Live, LiveEvent};

/// A stream ends after so long; the browser opens another, and the session is checked again.
const STREAM_MAX: Duration = Duration::from_mins(10);

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
pub(super) async fn stream(State(state): State<ConsoleState>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ended = async move {
        tokio::select! {
            () = state.shutdown.cancelled() => {}
            () = tokio::time::sleep(STREAM_MAX) => {}
        }
    };
    let updates = stream::unfold(state.live.watch(), |mut watch| async move {
        next_update(&mut watch).await.map(|update| (update, watch))
    });
    let events = updates.map(|update| Ok(Event::default().json_data(update).unwrap_or_default()));
    Sse::new(events.take_until(Box::pin(ended))).keep_alive(KeepAlive::new().interval(Duration::from_secs(20)))
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
