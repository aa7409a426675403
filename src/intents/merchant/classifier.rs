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

    /// Judges a message.
    pub async fn judge(&self, text: &str) -> Result<Verdict, InferenceError> {
        let mut embeddings = Vec::with_capacity(self.encoders.len());
        for encoder in &self.encoders {
            embeddings.extend(encoder.embed_queries(vec![text.to_owned()]).await?);
        }
        Ok(self.head.predict(text, &embeddings))
    }
}
