//! What the chat model makes of a message when it is asked what the customer wants, as a vector: an encoder beside the
//! encoders. The state of the middle layers says more than the words that the model would write, and costs only these
//! layers for a few tokens.

use super::{ChatMessage, InferenceError, LanguageModel, LanguageModelSlot, Role, gguf_chat::ChatFormat};

/// Comes before the message. A head fits these words and no others.
const QUESTION: &str = "What does this customer want? Name the intent.";
/// How the model begins to answer: the state is that of the last token.
const BEGINNING: &str = "The intent is";
/// The rest of a longer message is left out, in characters.
const MESSAGE_MAX: usize = 800;

/// The chat model as an encoder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChatStates {
    name: String,
    model: LanguageModelSlot,
}

impl ChatStates {
    /// The states of `model`; `None` of a model on a server, which does not show any.
    pub fn of(model: LanguageModel) -> Option<Self> {
        let name = Self::name_of(&model)?;
        Some(Self { name, model: model.into() })
    }

    /// The states that `name` names, of the model that `model` holds or will hold. Asking is an error while it holds none
    /// or another one.
    pub fn named(name: &str, model: LanguageModelSlot) -> Self {
        Self { name: name.to_owned(), model }
    }

    /// Whether `name` names states of a chat model rather than an encoder.
    pub fn is_named(name: &str) -> bool {
        name.contains(" state ")
    }

    /// The model's name and what tells it apart from others of that name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn name_of(model: &LanguageModel) -> Option<String> {
        let LanguageModel::Local(local) = model else { return None };
        Some(format!("{} state {:08x}", local.name(), local.fingerprint()))
    }

    fn model(&self) -> Result<LanguageModel, InferenceError> {
        let model = self.model.get().ok_or_else(|| InferenceError::Failed("the chat model is not there".to_owned()))?;
        if Self::name_of(&model).as_ref() == Some(&self.name) {
            return Ok(model);
        }
        Err(InferenceError::Failed(format!("the chat model is not {}", self.name)))
    }

    pub(crate) async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, InferenceError> {
        match self.model()? {
            LanguageModel::Local(local) => local.states(texts).await,
            LanguageModel::Remote(_) | LanguageModel::Scripted(_) => Err(InferenceError::Stopped),
        }
    }

    pub(crate) fn dimensions(&self) -> usize {
        match self.model.get() {
            Some(LanguageModel::Local(local)) => local.width(),
            _ => 0,
        }
    }

    pub(crate) fn count_tokens(&self, text: &str) -> usize {
        self.model.get().and_then(|model| model.count_tokens(text).ok()).unwrap_or(0)
    }
}

/// Layers that are computed of a model with `layers`: the states a little beyond the middle tell intents apart best (15 of
/// 24, measured on the 0.5B model).
pub(crate) fn depth(layers: usize) -> usize {
    (layers * 5 / 8).max(1)
}

/// The tokens of the prompt for `text`.
pub(crate) fn prompt(format: &ChatFormat, text: &str) -> Result<Vec<u32>, InferenceError> {
    let text: String = text.chars().take(MESSAGE_MAX).collect();
    let beginning = format.encode(BEGINNING)?;
    let message = ChatMessage { role: Role::User, content: format!("{QUESTION}\n\"{text}\"") };
    let mut tokens = format.prompt(&[message], beginning.len())?;
    tokens.extend(beginning);
    Ok(tokens)
}

/// The tokens with which the prompts for most messages begin.
pub(crate) fn shared_beginning(format: &ChatFormat) -> Result<Vec<u32>, InferenceError> {
    let (one, other) = (prompt(format, "1")?, prompt(format, "a")?);
    Ok(one.into_iter().zip(other).take_while(|(one, other)| one == other).map(|(token, _)| token).collect())
}
