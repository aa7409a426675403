//! Stub until the chat model is merged.

use super::{GenerateRequest, InferenceError};

/// A model that continues a chat.
pub enum LanguageModel {
    /// Fixed answers, for tests.
    Scripted(Vec<(String, String)>),
}

/// Text in the making.
pub struct Generation(Result<String, InferenceError>);

impl Generation {
    /// The whole text.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn text(self) -> Result<String, InferenceError> {
        self.0
    }
}

impl LanguageModel {
    /// The model's name.
    pub fn name(&self) -> &str {
        "scripted"
    }

    /// Starts to generate.
    pub fn generate(&self, request: GenerateRequest) -> Result<Generation, InferenceError> {
        let Self::Scripted(script) = self;
        let last = request.messages.last().map(|message| message.content.clone()).unwrap_or_default();
        let text = script.iter().find(|(needle, _)| last.contains(needle)).map(|(_, answer)| answer.clone());
        Ok(Generation(text.ok_or_else(|| InferenceError::Failed("no script".to_owned()))))
    }
}
