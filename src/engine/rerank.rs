//! A second look at candidates that lie close together: the chat model says how likely the question is about each.

use std::time::Duration;

use super::{Asked, Engine};
use crate::{
    inference::{ChatMessage, Unread},
    intents::Intent,
    retrieval::{Found, ranking},
};

/// A candidate below this is declined whatever the chat model says.
const HOPELESS: f32 = 0.1;
/// A shopper does not wait longer for a second look; the first one stands then.
const PATIENCE: Duration = Duration::from_millis(400);

impl Engine {
    /// Ranks `asked.found` again where its order is doubtful and the chat model has time.
    pub(super) async fn rerank(&self, asked: &mut Asked<'_>) {
        let Some(model) = self.language_model.get() else { return };
        let best = asked.found.first().map_or(0.0, |found| found.score);
        // A message of several questions, or one that continues another, is about more than one passage can be.
        let is_one_question = asked.lookups.len() == 1 && asked.context.is_none();
        // Beside the catalogue only the first ranking is calibrated.
        let is_question = !asked.intent.is_smalltalk()
            && !asked.intent.is_product()
            && !matches!(asked.intent, Intent::Human | Intent::PromptAttack | Intent::OffTopic);
        let doubtful = ranking::doubtful(&asked.found);
        if best < HOPELESS || !is_one_question || !is_question || doubtful.len() < 2 {
            return;
        }
        let places: Vec<u32> = doubtful.iter().map(|found| found.place).collect();
        let chats = doubtful.iter().map(|found| self.chat_about(found)).collect();
        let likelihoods = model.likelihoods(chats, asked.text().to_owned(), self.unread);
        let likelihoods = match self.unread {
            Unread::Read => likelihoods.await,
            Unread::Later => tokio::time::timeout(PATIENCE, likelihoods).await.unwrap_or(Ok(None)),
        };
        match likelihoods {
            Ok(Some(likelihoods)) => {
                let likelihoods: Vec<(u32, f32)> = places.into_iter().zip(likelihoods).collect();
                ranking::weigh(&mut asked.found, &likelihoods);
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
