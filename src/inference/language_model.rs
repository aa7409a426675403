//! `LanguageModel`: a chat in, text out piece by piece. The local model runs on a thread of its own, the remote one on a
//! server; the scripted one answers from a list, for tests.

use std::sync::Arc;

use super::{
    Calibration, ChatMessage, GenerateRequest, Generation, InferenceError, LocalLanguageModel, LocalOptions,
    RemoteLanguageModel,
};
use crate::{
    config::{RemoteConfig, Secret},
    models::ModelFiles,
};

/// Continues a chat as the assistant. Cheap to clone.
#[derive(Debug, Clone)]
pub enum LanguageModel {
    /// A quantized model on this machine.
    Local(Arc<LocalLanguageModel>),
    /// A model on a server.
    Remote(Arc<RemoteLanguageModel>),
    /// Answers from a list: for tests.
    Scripted(Arc<ScriptedLanguageModel>),
}

impl LanguageModel {
    /// Loads the GGUF model whose files lie in `files` and starts its thread. Takes some seconds.
    pub fn local(files: &ModelFiles) -> Result<Self, InferenceError> {
        Self::local_with(files, LocalOptions::default())
    }

    /// The same, not as it is shipped. Errors: also a reader that was trained for another model.
    pub fn local_with(files: &ModelFiles, options: LocalOptions) -> Result<Self, InferenceError> {
        Ok(Self::Local(Arc::new(LocalLanguageModel::start(files, options)?)))
    }

    /// The model on the server that `settings` name. Nothing is sent before it is asked something.
    pub fn remote(settings: &RemoteConfig, key: Option<Secret>) -> Result<Self, InferenceError> {
        Ok(Self::Remote(Arc::new(RemoteLanguageModel::new(settings, key)?)))
    }

    /// A model that answers with the text of the first entry whose needle occurs in the last message.
    pub fn scripted(script: Vec<(String, String)>) -> Self {
        Self::Scripted(Arc::new(ScriptedLanguageModel { script }))
    }

    /// Starts an answer. `Overloaded` when too many wait; everything later arrives through the `Generation`. To be called
    /// within tokio's runtime.
    pub fn generate(&self, request: GenerateRequest) -> Result<Generation, InferenceError> {
        match self {
            Self::Local(local) => local.generate(request),
            Self::Remote(remote) => remote.generate(request),
            Self::Scripted(scripted) => scripted.generate(&request),
        }
    }

    /// For each candidate the natural logarithm of the probability that the assistant's next token is the
    /// candidate's first one. Two candidates that begin with the same token get the same value. A server tells only its
    /// likeliest tokens; a candidate beyond them gets the value of the last.
    ///
    /// Errors: also `Remote` with `NoLogProbs` from a server that tells none.
    pub async fn score_next(
        &self,
        messages: Vec<ChatMessage>,
        candidates: Vec<String>,
    ) -> Result<Vec<f32>, InferenceError> {
        match self {
            Self::Local(local) => local.score_next(messages, candidates).await,
            Self::Remote(remote) => remote.score_next(&messages, &candidates).await,
            Self::Scripted(scripted) => scripted.score_next(&messages, &candidates),
        }
    }

    /// What the model makes of `question` as the assistant's next words in each of `chats`, which ask for a question that
    /// a passage answers. What the model has read of the chats is kept, as far as memory for it goes, so that asking
    /// again costs little. `None` when one of them was not read before and `unread` says not to wait for it, and always
    /// from a server, which keeps no such state.
    ///
    /// Errors: `Overloaded`, `ContextOverflow`, and `Failed` for a question without tokens.
    pub async fn relevance(
        &self,
        chats: Vec<Vec<ChatMessage>>,
        question: String,
        unread: Unread,
    ) -> Result<Option<Relevance>, InferenceError> {
        match self {
            Self::Local(local) => local.relevance(&chats, &question, unread).await,
            Self::Remote(_) => Ok(None),
            Self::Scripted(_) => {
                let likelihoods = chats.iter().map(|chat| -missing_words(chat, &question)).collect();
                Ok(Some(Relevance::Likelihoods(likelihoods)))
            }
        }
    }

    /// Whether `relevance` gives log odds: a probe was trained for this model.
    pub fn has_probe(&self) -> bool {
        match self {
            Self::Local(local) => local.has_probe(),
            Self::Remote(_) | Self::Scripted(_) => false,
        }
    }

    /// What the first `layers` layers make of each of `questions` as the assistant's next words in `chat`: the state of
    /// the last token and the mean state of all, one behind the other, `2 x width` numbers a question. What a `Reader`
    /// is trained on.
    ///
    /// Errors: those of `relevance`, and `Failed` for a model that is not on this machine or has fewer layers.
    pub async fn states_after(
        &self,
        chat: &[ChatMessage],
        questions: &[String],
        layers: usize,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.as_local()?.states_after(chat, questions, layers).await
    }

    /// What tells the model from others, and how many layers it has. Errors: `Failed` for one that is not on this machine.
    pub fn fingerprint(&self) -> Result<(u32, usize), InferenceError> {
        let local = self.as_local()?;
        Ok((local.fingerprint(), local.layers()))
    }

    fn as_local(&self) -> Result<&LocalLanguageModel, InferenceError> {
        match self {
            Self::Local(local) => Ok(local),
            Self::Remote(_) | Self::Scripted(_) => {
                Err(InferenceError::Failed("only a model on this machine shows its states".to_owned()))
            }
        }
    }

    /// Has chats read ahead of `relevance`, whenever the model has nothing else to do, until the memory for them is
    /// full. `Overloaded` when too much waits already.
    pub fn read_ahead(&self, chats: &[Vec<ChatMessage>]) -> Result<(), InferenceError> {
        match self {
            Self::Local(local) => local.read_ahead(chats),
            Self::Remote(_) | Self::Scripted(_) => Ok(()),
        }
    }

    /// How many chats wait to be read ahead.
    pub fn to_read(&self) -> usize {
        match self {
            Self::Local(local) => local.to_read(),
            Self::Remote(_) | Self::Scripted(_) => 0,
        }
    }

    /// A chat as the model reads it, as tokens, its template included; for a scripted model one for each word.
    pub fn prompt(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, InferenceError> {
        match self {
            Self::Local(local) => local.prompt(messages),
            Self::Remote(_) => Err(InferenceError::Failed("a model on a server does not show its tokens".to_owned())),
            Self::Scripted(_) => {
                let words = messages.iter().flat_map(|message| message.content.split_whitespace());
                Ok((0..).zip(words).map(|(number, _)| number).collect())
            }
        }
    }

    /// Tokens of a text; of a remote model an estimate.
    pub fn count_tokens(&self, text: &str) -> Result<usize, InferenceError> {
        match self {
            Self::Local(local) => local.count_tokens(text),
            Self::Remote(_) => Ok(RemoteLanguageModel::count_tokens(text)),
            Self::Scripted(_) => Ok(text.split_whitespace().count()),
        }
    }

    /// Whether it works on a server, which has to be looked after by `check`.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Sees whether a server answers; `trouble` tells what came of it.
    pub async fn check(&self) {
        if let Self::Remote(remote) = self {
            remote.check().await;
        }
    }

    /// Why a server does not answer; `None` when it does or was not asked yet, and for a model that is on no server.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Remote(remote) => remote.trouble(),
            Self::Local(_) | Self::Scripted(_) => None,
        }
    }

    /// Where answers are written: `cpu`, `cuda`, `metal`, with the reason where another device was asked for; `server`
    /// or `script` elsewhere.
    pub fn device(&self) -> &str {
        match self {
            Self::Local(local) => local.device(),
            Self::Remote(_) => "server",
            Self::Scripted(_) => "script",
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Local(local) => local.name(),
            Self::Remote(remote) => remote.name(),
            Self::Scripted(_) => "scripted",
        }
    }
}

/// What a model makes of a question after each of several passages.
#[derive(Debug, Clone, PartialEq)]
pub enum Relevance {
    /// Log odds that the passage answers the question, by the probe that was trained for the model, and what to make of
    /// them.
    LogOdds(Vec<f32>, Calibration),
    /// Natural logarithms of the probability of the question, from a model without a probe.
    Likelihoods(Vec<f32>),
}

/// What to do about chats that the model has not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Reads them now, which takes seconds.
    Read,
    /// Has them read when there is time, and does without.
    Later,
}

/// Number of words of `continuation` that `chat` lacks.
fn missing_words(chat: &[ChatMessage], continuation: &str) -> f32 {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    let known: Vec<String> = chat.iter().flat_map(|message| words(&message.content)).collect();
    words(continuation).iter().filter(|word| !known.contains(word)).count() as f32
}

/// Pairs of needle and answer.
#[derive(Debug, Clone)]
pub struct ScriptedLanguageModel {
    script: Vec<(String, String)>,
}

impl ScriptedLanguageModel {
    fn answer(&self, messages: &[ChatMessage]) -> Result<&str, InferenceError> {
        let question = messages.last().map_or("", |message| message.content.as_str());
        let entry = self.script.iter().find(|(needle, _)| question.contains(needle.as_str()));
        entry
            .map(|(_, answer)| answer.as_str())
            .ok_or_else(|| InferenceError::Failed(format!("the script has no entry for the message {question:?}")))
    }

    /// Sends the answer word by word, cut at `tokens_max` words and before a stop text.
    fn generate(&self, request: &GenerateRequest) -> Result<Generation, InferenceError> {
        let answer = self.answer(&request.messages)?;
        let stops = request.stop.iter().filter(|stop| !stop.is_empty());
        let end = stops.filter_map(|stop| answer.find(stop.as_str())).min().unwrap_or(answer.len());
        let (writer, generation) = Generation::channel();
        for piece in answer[..end].split_inclusive(' ').take(request.tokens_max) {
            writer.write(piece.to_owned());
        }
        Ok(generation)
    }

    /// Nearly all probability goes to the candidate with which the scripted answer begins.
    fn score_next(&self, messages: &[ChatMessage], candidates: &[String]) -> Result<Vec<f32>, InferenceError> {
        let answer = self.answer(messages)?;
        let begins = |candidate: &String| answer.to_lowercase().starts_with(&candidate.to_lowercase());
        Ok(candidates.iter().map(|candidate| if begins(candidate) { -0.05 } else { -5.0 }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{Role, Sampling};

    fn request(content: &str, stop: &[&str]) -> GenerateRequest {
        GenerateRequest {
            messages: vec![ChatMessage { role: Role::User, content: content.to_owned() }],
            tokens_max: 20,
            sampling: Sampling::GREEDY,
            stop: stop.iter().map(|&stop| stop.to_owned()).collect(),
            seed: 0,
            grammar: None,
        }
    }

    #[tokio::test]
    async fn the_first_matching_entry_answers() {
        let model = LanguageModel::scripted(vec![
            ("boots".to_owned(), "You have 30 days. END more".to_owned()),
            ("days".to_owned(), "Never".to_owned()),
        ]);
        let answer = model.generate(request("How many days for boots?", &["END"])).unwrap();
        assert_eq!(answer.text().await.unwrap(), "You have 30 days. ");
        assert!(matches!(model.generate(request("hello", &[])), Err(InferenceError::Failed(_))));
        let scores = model.score_next(request("days?", &[]).messages, vec!["never".into(), "yes".into()]).await;
        let scores = scores.unwrap();
        assert!(scores[0] > scores[1]);
    }

    #[tokio::test]
    async fn scripted_likelihoods_count_missing_words() {
        let model = LanguageModel::scripted(vec![]);
        let chats = ["Boots cost 30 euro", "Returns"].map(|content| request(content, &[]).messages).to_vec();
        model.read_ahead(&chats).unwrap();
        let relevance = model.relevance(chats, "boots returns".to_owned(), Unread::Later).await.unwrap();
        assert_eq!(relevance, Some(Relevance::Likelihoods(vec![-1.0, -1.0])));
    }
}
