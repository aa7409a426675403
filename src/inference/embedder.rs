//! `Embedder`: texts in, unit vectors out. The local encoder runs on a thread of its own; the hashed one is for tests.

use std::sync::Arc;

use super::{ChatStates, HashedEmbedder, InferenceError, LocalEmbedder, encoder::Encoder};
use crate::models::ModelFiles;

/// Turns texts into vectors of unit length, so that a dot product is the cosine. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Embedder {
    /// A BERT-family encoder on this machine.
    Local(Arc<LocalEmbedder>),
    /// Hashed words and trigrams: no model, for tests.
    Hashed(Arc<HashedEmbedder>),
    /// States of the chat model, for intents alone: they tell apart what people want, not what texts are about.
    Chat(ChatStates),
}

impl Embedder {
    /// Loads the encoder whose files lie in `files` and starts its thread. Takes about a second.
    pub fn local(files: &ModelFiles) -> Result<Self, InferenceError> {
        Ok(Self::Local(Arc::new(LocalEmbedder::start(&files.name, Encoder::load(files)?)?)))
    }

    /// The hashed encoder of `dimensions` dimensions.
    pub fn hashed(dimensions: usize) -> Self {
        Self::Hashed(Arc::new(HashedEmbedder::new(dimensions)))
    }

    /// One vector of `dimensions()` floats for each question a person asked, in order.
    /// Goes before any bulk work; `Overloaded` when too many questions wait.
    pub async fn embed_queries(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        match self {
            Self::Local(local) => local.embed_queries(texts).await,
            Self::Hashed(hashed) => Ok(texts.iter().map(|text| hashed.embed(text)).collect()),
            Self::Chat(states) => states.embed(&texts).await,
        }
    }

    /// One vector of `dimensions()` floats for each stored passage, in order.
    /// Bulk work: waits for a place instead of failing, and lets questions pass.
    pub async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        match self {
            Self::Local(local) => local.embed_passages(texts).await,
            Self::Hashed(hashed) => Ok(texts.iter().map(|text| hashed.embed(text)).collect()),
            Self::Chat(states) => states.embed(&texts).await,
        }
    }

    /// The model's name: vectors of two names must not be compared.
    pub fn name(&self) -> &str {
        match self {
            Self::Local(local) => local.name(),
            Self::Hashed(_) => "hashed",
            Self::Chat(states) => states.name(),
        }
    }

    /// Length of every vector; 0 for a chat model that is not there.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Local(local) => local.dimensions(),
            Self::Hashed(hashed) => hashed.dimensions(),
            Self::Chat(states) => states.dimensions(),
        }
    }

    /// Tokens of `text` as the encoder counts them, without prefix and special tokens and without a limit.
    pub fn count_tokens(&self, text: &str) -> usize {
        match self {
            Self::Local(local) => local.count_tokens(text),
            Self::Hashed(hashed) => hashed.count_tokens(text),
            Self::Chat(states) => states.count_tokens(text),
        }
    }
}
