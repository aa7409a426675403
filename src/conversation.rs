//! A conversation as a pure state machine: who has the word (bot, nobody yet, staff), and what the bot remembers.

mod standing;

use serde::{Deserialize, Serialize};

pub use standing::{Holder, LOCK, Locked, Standing, expected_wait_minutes};

use crate::message::{Channel, Language, UnknownName};

/// Who has the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The bot answers.
    Bot,
    /// The shopper waits for a person; the bot stays silent after having said so.
    Waiting,
    /// A person answers; the bot is silent.
    WithStaff,
    /// Ended; the next message opens it again with the bot.
    Closed,
}

impl State {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Waiting => "waiting",
            Self::WithStaff => "with_staff",
            Self::Closed => "closed",
        }
    }
}

impl std::str::FromStr for State {
    type Err = UnknownName;
    fn from_str(value: &str) -> Result<Self, Self::Err> {
        [Self::Bot, Self::Waiting, Self::WithStaff, Self::Closed]
            .into_iter()
            .find(|state| state.as_str() == value)
            .ok_or_else(|| UnknownName { what: "conversation state", value: value.to_owned() })
    }
}

/// Somebody of the staff who acts on a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staff {
    /// Tells people apart: where they work and their number there, such as `console:3` or `telegram:1001`.
    pub id: String,
    /// What shoppers and colleagues read.
    pub name: String,
}

impl Staff {
    /// Somebody at `place`, with their number there.
    pub fn new(place: &str, number: i64, name: impl Into<String>) -> Self {
        Self { id: format!("{place}:{number}"), name: name.into() }
    }
}

impl From<&str> for Staff {
    /// Somebody who is told apart by name alone.
    fn from(name: &str) -> Self {
        Self { id: name.to_owned(), name: name.to_owned() }
    }
}

/// What can happen to a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message from the shopper.
    ShopperWrote,
    /// The bot passed the conversation to a person.
    HandedOver,
    /// The shopper would rather go on with the bot than wait.
    ShopperReturned,
    /// Somebody of the staff writes to the shopper.
    StaffAnswered(Staff),
    /// Somebody of the staff takes the conversation, also from a colleague.
    StaffTook(Staff),
    /// Staff gave it back to the bot.
    HandedBack,
    /// Nobody came, or nobody wrote for as long as the shop allows.
    TimedOut,
    /// Staff closed it.
    Closed,
}

impl State {
    /// The state after `event`. Total: every event is possible in every state, and none is an error.
    #[must_use]
    pub fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Closed, Event::ShopperWrote)
            | (Self::Waiting, Event::ShopperReturned)
            | (Self::Waiting | Self::WithStaff, Event::TimedOut)
            | (_, Event::HandedBack) => Self::Bot,
            (state, Event::ShopperWrote | Event::ShopperReturned | Event::TimedOut) => state,
            (Self::WithStaff, Event::HandedOver) | (_, Event::StaffAnswered(_) | Event::StaffTook(_)) => {
                Self::WithStaff
            }
            (_, Event::HandedOver) => Self::Waiting,
            (_, Event::Closed) => Self::Closed,
        }
    }

    /// Whether the bot answers in this state.
    pub fn bot_answers(self) -> bool {
        matches!(self, Self::Bot)
    }

    /// Whether the shopper waits for a person or talks to one.
    pub fn is_with_people(self) -> bool {
        matches!(self, Self::Waiting | Self::WithStaff)
    }
}

/// One question and its reply, as the next question may refer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The question, complete and masked.
    pub question: String,
    /// What the bot said.
    pub reply: String,
    /// The intent's name.
    pub intent: String,
    /// The bot said that it cannot answer, and offered a person.
    #[serde(default)]
    pub declined: bool,
    /// Ids of the passages that were quoted.
    pub chunks: Vec<String>,
    /// Products that were asked about or shown.
    pub products: Vec<String>,
}

/// An order that the shopper asked about without having proved that it is theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct PendingVerification {
    /// The number they gave, if they gave one.
    pub order_id: Option<String>,
    /// The e-mail or phone they gave before they gave a number.
    pub contact: Option<String>,
    /// Wrong proofs so far.
    pub failures: u32,
    /// What they wanted to know.
    pub question: String,
}

/// What the bot remembers of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and they are stored by name")]
pub struct Memory {
    /// The latest exchanges, oldest first, at most `EXCHANGES_MAX`.
    pub exchanges: Vec<Exchange>,
    /// A proof the bot waits for.
    pub verification: Option<PendingVerification>,
    /// Customer that proved themselves in this conversation.
    pub verified_customer: Option<String>,
    /// The order talked about last; only ever a verified one.
    pub order: Option<String>,
    /// The latest product wish, as the recommender wrote it down, so that "cheaper" can narrow it.
    pub wish: Option<serde_json::Value>,
    /// The language that the shopper chose, whatever they write in.
    pub language: Option<Language>,
    /// The bot has said what it is.
    pub introduced: bool,
    /// The bot has asked whether everything shall be erased.
    pub erasure_asked: bool,
    /// The bot has asked for a rating.
    pub rating_asked: bool,
    /// The bot asked for a message to the staff: the shopper's next words are that message.
    pub message_asked: bool,
    /// The shopper left a message for the staff, or went back to the bot while waiting for them, in this very turn.
    #[serde(skip)]
    pub wish_left: bool,
}

impl Memory {
    /// How many exchanges are kept.
    pub const EXCHANGES_MAX: usize = 4;

    /// Adds an exchange and forgets the oldest beyond the limit.
    pub fn remember(&mut self, exchange: Exchange) {
        self.exchanges.push(exchange);
        let excess = self.exchanges.len().saturating_sub(Self::EXCHANGES_MAX);
        self.exchanges.drain(..excess);
    }

    /// The latest exchange.
    pub fn last(&self) -> Option<&Exchange> {
        self.exchanges.last()
    }
}

/// A conversation as the engine reads and changes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Row id; 0 for one that is not stored.
    pub id: i64,
    /// Where it takes place.
    pub channel: Channel,
    /// The chat within the channel.
    pub chat: String,
    /// Who has the word.
    pub state: State,
    /// The shopper's language so far.
    pub language: Language,
    /// The customer, verified by the channel.
    pub customer: Option<String>,
    /// What the bot remembers.
    pub memory: Memory,
}

impl Conversation {
    /// A new conversation with the bot.
    pub fn new(channel: Channel, chat: impl Into<String>) -> Self {
        Self {
            id: 0,
            channel,
            chat: chat.into(),
            state: State::Bot,
            language: Language::default(),
            customer: None,
            memory: Memory::default(),
        }
    }

    /// The customer whose records may be shown: verified by the channel or by proof in this conversation.
    pub fn verified_customer(&self) -> Option<&str> {
        self.customer.as_deref().or(self.memory.verified_customer.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_keeps_the_latest_exchanges() {
        let mut memory = Memory::default();
        for number in 0..9 {
            let exchange = Exchange {
                question: number.to_string(),
                reply: String::new(),
                intent: String::new(),
                declined: false,
                chunks: vec![],
                products: vec![],
            };
            memory.remember(exchange);
        }
        assert_eq!(memory.exchanges.len(), Memory::EXCHANGES_MAX);
        assert_eq!(memory.last().unwrap().question, "8");
    }
}
