//! The two models as the rest of the product sees them: an `Embedder` that turns text into vectors and a
//! `LanguageModel` that continues a chat. One thread owns each local model and takes work from a bounded queue;
//! a full queue is `InferenceError::Overloaded`, and work whose asker has gone is dropped. A chat model on a server keeps
//! to the same rules.

use serde::{Deserialize, Serialize};
pub(crate) use shoptalk_kernels::{TIER_VARIABLE, Tier, dot, dot_bytes};

mod answer;
pub(crate) mod bert;
#[cfg(test)]
mod bert_reference;
mod bert_weights;
#[cfg(any(test, feature = "cuda", feature = "metal"))]
mod candle_chat;
mod chat_batch;
mod chat_states;
mod chat_template;
pub(crate) mod decoder;
mod device;
mod e5_wheel;
mod embedder;
mod embedder_thread;
pub(crate) mod encoder;
mod encoders;
mod generation;
mod gguf_chat;
mod grammar;
mod hashed;
mod language_model;
mod language_model_slot;
mod language_model_thread;
mod prefixes;
mod prompt_lookup;
mod reader;
mod recent;
mod remote;
mod sampler;
mod text_stream;
pub mod threads;

pub use chat_states::ChatStates;
pub use embedder::Embedder;
pub use embedder_thread::LocalEmbedder;
pub(crate) use embedder_thread::embed_tokens;
pub use encoders::{Encoders, QuestionVectors};
pub use generation::{Generation, StopFlag};
pub use grammar::Grammar;
pub use hashed::HashedEmbedder;
pub use language_model::{LanguageModel, Relevance, ScriptedLanguageModel, Unread};
pub use language_model_slot::LanguageModelSlot;
pub use language_model_thread::{Drafts, LocalLanguageModel, LocalOptions};
pub use reader::{Calibration, Network, Reader};
pub use remote::{RemoteError, RemoteLanguageModel};
pub use sampler::Sampling;

/// Why a model gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InferenceError {
    /// The queue is full: answer without the model, or later.
    #[error("the model is busy")]
    Overloaded,
    /// The prompt and the wanted answer do not fit.
    #[error("{tokens} tokens do not fit into the model's context of {context}")]
    ContextOverflow {
        /// Prompt plus wanted tokens.
        tokens: usize,
        /// What fits.
        context: usize,
    },
    /// A grammar that cannot be used.
    #[error("the answer's grammar cannot be used: {0}")]
    Grammar(String),
    /// The answer was cut off before it was what its grammar wants.
    #[error("the answer was cut off after {tokens} tokens, before it was complete")]
    Incomplete {
        /// Tokens that were written.
        tokens: usize,
    },
    /// The model's thread has ended.
    #[error("the model has stopped")]
    Stopped,
    /// The model failed; the text says where.
    #[error("the model failed: {0}")]
    Failed(String),
    /// The model's server gave no answer.
    #[error("the model server at {server} {error}")]
    Remote {
        /// Its address.
        server: String,
        /// Why.
        error: RemoteError,
    },
}

impl InferenceError {
    /// A failure at `step`, with its cause.
    pub(crate) fn failed(step: &str, cause: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{step}: {cause}"))
    }
}

/// Who speaks in a chat prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a chat prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// The words.
    pub content: String,
}

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// The chat so far; the model continues as the assistant.
    pub messages: Vec<ChatMessage>,
    /// Most tokens to generate.
    pub tokens_max: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Generation ends before any of these texts.
    pub stop: Vec<String>,
    /// Seed of the sampler, unused where the likeliest token is taken.
    pub seed: u64,
    /// What the answer has to look like. One that reaches `tokens_max` or a stop text first ends with `Incomplete`. The
    /// scripted model says what its script says.
    pub grammar: Option<Grammar>,
}
