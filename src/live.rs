//! What happens right now, for whoever watches: words of a reply in the making, and the news that a transcript has
//! grown. Nothing here lasts or is relied on; who missed something reads the transcript.

use tokio::sync::broadcast;

use crate::message::{Channel, Progress};

/// Events kept for a slow watcher before it loses the oldest.
const BACKLOG: usize = 1024;

/// One thing that happened in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Where.
    pub channel: Channel,
    /// In which chat.
    pub chat: String,
    /// What.
    pub event: LiveEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEvent {
    /// A reply is being made.
    Progress(Progress),
    /// The transcript or the state changed; read it from the store.
    Changed,
    /// The shopper is writing.
    ShopperWrites,
}

/// Where events are announced and watched. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LiveHub {
    sender: broadcast::Sender<Live>,
}

impl Default for LiveHub {
    fn default() -> Self {
        Self { sender: broadcast::channel(BACKLOG).0 }
    }
}

impl LiveHub {
    /// Tells everybody who watches; nobody watching is fine.
    pub fn announce(&self, channel: Channel, chat: &str, event: LiveEvent) {
        let _ = self.sender.send(Live { channel, chat: chat.to_owned(), event });
    }

    /// Watches all chats from now on. `RecvError::Lagged` means: read the transcript again.
    pub fn watch(&self) -> broadcast::Receiver<Live> {
        self.sender.subscribe()
    }
}
