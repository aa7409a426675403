//! The way to a person and back: what a shopper is told of the queue and of the hours, a message left for staff, and
//! going on with the bot while a colleague is waited for.

use minijinja::context;

use super::{Asked, Engine, EngineError, Said};
use crate::{
    config::OpenHours,
    conversation::{Conversation, Event, expected_wait_minutes},
    message::{Language, Queue, Route, Timestamp},
    prompts::Phrase,
};

/// As many recent waits make the expected one.
const WAITS: usize = 20;

/// Passes the shopper on with these words.
pub(super) fn hand_over(phrase: Phrase) -> Said {
    Said { handoff: Some(phrase), ..Said::new(Route::Handoff, String::new()) }
}

impl Engine {
    /// A shopper who waits for a person and asks for the bot has it again; the wish for a person is kept.
    pub(super) fn hear_return(&self, conversation: &mut Conversation, text: &str) {
        let after = conversation.state.after(&Event::ShopperReturned);
        conversation.memory.wish_left = after != conversation.state && self.names_bot(text);
        if conversation.memory.wish_left {
            conversation.state = after;
        }
    }

    fn names_bot(&self, text: &str) -> bool {
        text.trim() == "/bot" || self.is_said(text, Phrase::SuggestBot)
    }

    /// Whether the text is this phrase in any language, as a pressed button says it.
    fn is_said(&self, text: &str, phrase: Phrase) -> bool {
        Language::ALL.iter().any(|language| self.prompts.say(*language, phrase, context! {}) == text.trim())
    }

    /// A shopper who leaves a message for staff, or comes back from waiting for them.
    pub(super) fn to_staff(&self, conversation: &mut Conversation, asked: &Asked<'_>) -> Option<Said> {
        let message_asked = std::mem::take(&mut conversation.memory.message_asked);
        if self.names_bot(asked.raw) {
            let phrase = if conversation.memory.wish_left { Phrase::BackByShopper } else { Phrase::Affirm };
            return Some(Said::new(Route::Smalltalk, self.say_back(asked, phrase)));
        }
        if self.is_said(asked.raw, Phrase::SuggestMessage) {
            conversation.memory.message_asked = true;
            return Some(self.plain(asked, Route::Smalltalk, Phrase::AskMessage));
        }
        // "Please call me" is a message then, and no new wish.
        let is_message = !asked.raw.starts_with('/') && !self.is_said(asked.raw, Phrase::SuggestHuman);
        if !message_asked || !is_message {
            return None;
        }
        conversation.memory.wish_left = true;
        Some(Said::new(Route::Smalltalk, self.say_back(asked, Phrase::MessageKept)))
    }

    /// A phrase that says when people are back, in case they are not there.
    fn say_back(&self, asked: &Asked<'_>, phrase: Phrase) -> String {
        let at = self.now();
        let hours = asked.snapshot.profile.open_hours().filter(|hours| !hours.is_open(at));
        let back = hours.and_then(|hours| hours.back(at, asked.language));
        self.prompts.say(asked.language, phrase, context! { shop => self.shop(asked), back })
    }

    /// Says how things stand to somebody who is handed over: in the shop's hours the place in the queue and the wait,
    /// else when people are back.
    pub(super) async fn tell_queue(
        &self,
        asked: &Asked<'_>,
        said: &mut Said,
        at: Timestamp,
    ) -> Result<(), EngineError> {
        let Some(phrase) = said.handoff else { return Ok(()) };
        let hours = asked.snapshot.profile.open_hours();
        let away = hours.as_ref().is_some_and(|hours| !hours.is_open(at));
        let back = hours.as_ref().filter(|_| away).and_then(|hours| hours.back(at, asked.language));
        let queue = match self.clock.replayed() {
            Some(turn) => turn.queue,
            None if away => None,
            None => Some(self.queue(hours.as_ref(), at).await?),
        };
        let queue_words = queue.map_or_else(String::new, |queue| {
            let values = context! { position => queue.position, wait => queue.wait_minutes };
            self.prompts.say(asked.language, Phrase::Queue, values)
        });
        let values = context! { shop => self.shop(asked), away, back, queue => queue_words };
        said.text = self.prompts.say(asked.language, phrase, values);
        said.suggestions = vec![self.say(asked, Phrase::SuggestBot)];
        said.queue = queue;
        Ok(())
    }

    /// The queue as the next shopper finds it.
    async fn queue(&self, hours: Option<&OpenHours>, at: Timestamp) -> Result<Queue, EngineError> {
        let position = self.store.conversation_counts().await?.waiting + 1;
        // A wait that began at night says nothing about the day.
        let waits = self.store.recent_waits(at).await?;
        let by_day = waits.into_iter().filter(|(began_at, _)| hours.is_none_or(|hours| hours.is_open(*began_at)));
        let waits = by_day.take(WAITS).map(|(began_at, ended_at)| ended_at - began_at).collect();
        Ok(Queue { position, wait_minutes: expected_wait_minutes(waits) })
    }
}
