//! The updates that this process has claimed, and which of them may be begun.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Instant,
};

use crate::{message::Channel, storage::PendingInbound};

/// Turns that are worked at the same time.
pub(super) const CHATS_AT_ONCE: usize = 8;

/// A chat, as a key.
pub(super) type Chat = (Channel, String);

/// The chat that an update belongs to.
pub(super) fn chat_of(pending: &PendingInbound) -> Chat {
    (pending.inbound.channel, pending.inbound.chat.clone())
}

/// What this process has claimed.
#[derive(Default)]
pub(super) struct Desk {
    /// Claimed and not begun, oldest first, each with the moment from which it may be.
    waiting: VecDeque<(PendingInbound, Instant)>,
    /// Rows that are claimed, begun ones included.
    held: HashSet<i64>,
    /// Claimed once more while it was held, because its turn had just failed or the clock jumped ahead.
    again: HashMap<i64, PendingInbound>,
    /// Chats whose turn is being made.
    busy: HashSet<Chat>,
}

/// What became of an update.
pub(super) struct Finished {
    /// Its inbox row.
    pub(super) id: i64,
    /// Its chat.
    pub(super) chat: Chat,
    /// How it went.
    pub(super) outcome: Outcome,
}

/// How it went with an update.
pub(super) enum Outcome {
    /// The turn was made and stored.
    Made,
    /// It was not, whatever the reason.
    NotMade,
    /// It waits for more of the shopper's words.
    Later(Box<PendingInbound>, Instant),
}

impl Desk {
    /// The next update that may be begun.
    pub(super) fn next(&mut self, now: Instant) -> Option<PendingInbound> {
        if self.busy.len() >= CHATS_AT_ONCE {
            return None;
        }
        let may_begin =
            |(pending, from): &(PendingInbound, Instant)| *from <= now && !self.busy.contains(&chat_of(pending));
        let at = self.waiting.iter().position(may_begin)?;
        let (pending, _) = self.waiting.remove(at)?;
        self.busy.insert(chat_of(&pending));
        Some(pending)
    }

    /// Puts a claimed update down, to be begun at `from` or later.
    pub(super) fn put(&mut self, pending: PendingInbound, from: Instant) {
        if self.held.insert(pending.id) {
            self.waiting.push_back((pending, from));
        } else {
            self.again.insert(pending.id, pending);
        }
    }

    /// How many updates are claimed.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many could be begun if there were hands for them.
    pub(super) fn ripe(&self, now: Instant) -> usize {
        self.waiting.iter().filter(|(_, from)| *from <= now).count()
    }

    /// When the next one may be begun that may not yet.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        self.waiting.iter().map(|(_, from)| *from).filter(|from| *from > now).min()
    }

    /// Takes note of what became of an update.
    pub(super) fn finished(&mut self, Finished { id, chat, outcome }: Finished) {
        self.held.remove(&id);
        self.busy.remove(&chat);
        let again = self.again.remove(&id);
        match outcome {
            Outcome::Made => {}
            Outcome::NotMade => {
                if let Some(pending) = again {
                    self.put(pending, Instant::now());
                }
            }
            Outcome::Later(pending, from) => self.put(*pending, from),
        }
    }
}
