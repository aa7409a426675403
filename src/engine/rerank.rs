//! A second look at the best candidates: the chat model reads the question after each of them.

use std::time::Duration;

use super::{ANSWERS_READ, Asked, Engine};
use crate::{
    inference::{ChatMessage, Unread},
    intents::Intent,
    retrieval::{Found, ranking},
};

/// A candidate below this is declined whatever the chat model makes of it.
const HOPELESS: f32 = 0.02;
const HOPELESS_WITHOUT_PROBE: f32 = 0.1;
/// From this probability on, before a second look, a passage answers a short message by itself.
const STANDS_ALONE: f32 = 0.6;
/// A shopper does not wait longer for a second look; the first one stands then.
const PATIENCE: Duration = Duration::from_millis(400);

impl Engine {
    /// Ranks `asked.found` again where the chat model has time, and decides whether a short message continues the
    /// question before it.
    pub(super) async fn look_again(&self, asked: &mut Asked<'_>) {
        let mut found = std::mem::take(&mut asked.found);
        asked.reranked = self.reread(asked, &mut found, asked.question()).await;
        asked.found = found;
        let Some(mut alone) = asked.alone.take() else { return };
        let first = alone.first().map_or(0.0, |found| found.score);
        let is_reread = self.reread(asked, &mut alone, asked.text().to_owned()).await;
        let (Some(best), continued) = (alone.first(), asked.found.first()) else { return };
        let needed = if best.read.is_some() { ANSWERS_READ } else { STANDS_ALONE };
        if best.score >= needed && continued.is_none_or(|continued| best.score > continued.score) {
            asked.first = first;
            (asked.found, asked.context, asked.reranked) = (alone, None, is_reread);
        }
    }

    /// Ranks `found` again by what the chat model makes of `question`; `false` where it has no say.
    async fn reread(&self, asked: &Asked<'_>, found: &mut [Found], question: String) -> bool {
        let Some(model) = self.language_model.get() else { return false };
        if self.clock.replayed().is_some_and(|turn| !turn.reranked) {
            return false;
        }
        let best = found.first().map_or(0.0, |found| found.score);
        let is_question = !asked.intent.is_smalltalk() && !matches!(asked.intent, Intent::Human | Intent::PromptAttack);
        // A likelihood is fair only between passages that a single question could be about, and not beside the catalogue.
        let is_fit = model.has_probe()
            || asked.lookups.len() == 1
                && asked.context.is_none()
                && !asked.intent.is_product()
                && best >= HOPELESS_WITHOUT_PROBE;
        if best < HOPELESS || !is_question || !is_fit {
            return false;
        }
        let read = ranking::to_read(found, model.has_probe());
        if read.is_empty() {
            return false;
        }
        let places: Vec<u32> = read.iter().map(|found| found.place).collect();
        let chats = read.iter().map(|found| self.chat_about(found)).collect();
        let relevance = model.relevance(chats, question, self.unread);
        let relevance = match self.unread {
            Unread::Read => relevance.await,
            Unread::Later => tokio::time::timeout(PATIENCE, relevance).await.unwrap_or(Ok(None)),
        };
        match relevance {
            Ok(Some(relevance)) => {
                ranking::reread(found, &places, &relevance);
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(%error, "the first ranking stands");
                false
            }
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
