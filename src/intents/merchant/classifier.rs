//! The merchant's head together with the encoders it needs.

use super::{MerchantIntents, Verdict};
use crate::{
    inference::{Embedder, InferenceError},
    intents::HeadError,
};

/// A head that can judge messages as they come.
#[derive(Debug, Clone)]
pub struct MerchantClassifier {
    head: MerchantIntents,
    /// In the order that the head wants.
    encoders: Vec<Embedder>,
}

impl MerchantClassifier {
    /// Brings head and encoders together.
    ///
    /// # Errors
    /// [`HeadError::Stale`] when the encoders are not those that the head was trained with.
    pub fn new(head: MerchantIntents, encoders: Vec<Embedder>) -> Result<Self, HeadError> {
        if encoders.iter().map(Embedder::name).ne(head.encoders().iter().map(String::as_str)) {
            return Err(HeadError::Stale);
        }
        Ok(Self { head, encoders })
    }

    /// Judges a message; `None` while the chat model, where the head wants it, is not there or has no time.
    pub async fn judge(&self, text: &str) -> Result<Option<Verdict>, InferenceError> {
        let mut embeddings = Vec::with_capacity(self.encoders.len());
        for encoder in &self.encoders {
            match encoder.embed_queries(vec![text.to_owned()]).await {
                Ok(vectors) => embeddings.extend(vectors),
                Err(error) if matches!(encoder, Embedder::Chat(_)) => {
                    tracing::debug!(%error, "a message was not judged by the shop's own intents");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(self.head.predict(text, &embeddings)))
    }
}
