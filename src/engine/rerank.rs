//! A second look at the best candidates: the chat model reads the question after each of them.

use std::time::Duration;

use super::{Asked, Engine};
use crate::{
    inference::{ChatMessage, Unread},
    intents::Intent,
    retrieval::{Found, ranking},
};

/// A candidate below this is declined whatever the chat model makes of it.
const HOPELESS: f32 = 0.02;
const HOPELESS_WITHOUT_PROBE: f32 = 0.1;
/// A shopper does not wait longer for a second look; the first one stands then.
const PATIENCE: Duration = Duration::from_millis(400);

impl Engine {
    /// Ranks `asked.found` again where the chat model has time.
    pub(super) async fn rerank(&self, asked: &mut Asked<'_>) {
        let Some(model) = self.language_model.get() else { return };
        let best = asked.found.first().map_or(0.0, |found| found.score);
        let is_question = !asked.intent.is_smalltalk() && !matches!(asked.intent, Intent::Human | Intent::PromptAttack);
        // A likelihood is fair only between passages that a single question could be about, and not beside the catalogue.
        let is_fit = model.has_probe()
            || asked.lookups.len() == 1 && !asked.intent.is_product() && best >= HOPELESS_WITHOUT_PROBE;
        // What continues a question says little by itself.
        if best < HOPELESS || !is_question || !is_fit || asked.context.is_some() {
            return;
        }
        let read = ranking::to_read(&asked.found, model.has_probe());
        if read.is_empty() {
            return;
        }
        let places: Vec<u32> = read.iter().map(|found| found.place).collect();
        let chats = read.iter().map(|found| self.chat_about(found)).collect();
        let relevance = model.relevance(chats, asked.text().to_owned(), self.unread);
        let relevance = match self.unread {
            Unread::Read => relevance.await,
            Unread::Later => tokio::time::timeout(PATIENCE, relevance).await.unwrap_or(Ok(None)),
        };
        match relevance {
            Ok(Some(relevance)) => {
                ranking::reread(&mut asked.found, &places, &relevance);
                asked.reranked = true;
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the first ranking stands"),
        }
    }

    /// Has the chat model read all passages, so that later questions wait for none.
    pub fn read_ahead(&self) {
        let Some(model) = self.language_model.get() else { return };
        let snapshot = self.snapshot();
        let passages = snapshot.knowledge.passages().iter();
        let chats: Vec<Vec<ChatMessage>> =
            passages.map(|passage| self.prompts.question_about(&passage.chunk.search_text)).collect();
        if let Err(error) = model.read_ahead(&chats) {
            tracing::warn!(%error, "the passages are read when they are asked about");
        }
    }

    fn chat_about(&self, found: &Found) -> Vec<ChatMessage> {
        self.prompts.question_about(&found.passage.chunk.search_text)
    }
}
