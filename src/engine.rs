//! One turn, from a shopper's words to a reply.

use chrono::Utc;

use crate::{
    conversation::Conversation,
    message::{Inbound, LatencyMs, Progress, Reply, Route, Sentiment, Timestamp, Trace},
    storage::Store,
};

/// What the engine made of a message.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The shopper's words as the transcript keeps them.
    pub shopper_text: String,
    /// The reply; `None` while a person has the word.
    pub reply: Option<Reply>,
}

/// Makes turns.
pub struct Engine {
    #[expect(dead_code, reason = "the next step reads orders and products here")]
    store: Store,
}

impl Engine {
    /// An engine over a shop's store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The time by the engine's clock.
    #[expect(clippy::unused_self, reason = "the clock becomes a field")]
    pub fn now(&self) -> Timestamp {
        Utc::now()
    }

    /// Makes one turn and changes what the conversation remembers. `progress` is told what may be shown meanwhile.
    #[expect(clippy::unused_async, reason = "retrieval will be awaited")]
    pub async fn handle(
        &self,
        conversation: &mut Conversation,
        inbound: &Inbound,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> anyhow::Result<Turn> {
        progress(Progress::Typing);
        let reply = Reply {
            text: format!("You said: {}", inbound.text),
            language: conversation.language,
            intent: "other_question".to_owned(),
            intent_confidence: 0.0,
            route: Route::Answer,
            citations: vec![],
            products: vec![],
            handoff: false,
            declined: false,
            sentiment: Sentiment::Neutral,
            generated: false,
            latency_ms: LatencyMs::default(),
            suggestions: vec![],
            trace: Trace::default(),
        };
        Ok(Turn { shopper_text: inbound.text.clone(), reply: Some(reply).filter(|_| conversation.state.bot_answers()) })
    }
}
