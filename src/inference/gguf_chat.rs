//! A chat model from a GGUF file: the tokenizer and the chat template that the file carries, and the decoder.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread,
};

use candle_core::quantized::{
    gguf_file::{Content, Value},
    tokenizer::TokenizerFromGguf,
};
use shoptalk_kernels::Processor;
use tokenizers::{
    Tokenizer,
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

use super::{
    ChatMessage, InferenceError,
    chat_template::ChatTemplate,
    decoder::{self, Decoder},
    grammar::{Constraint, Grammar, Grammars},
};
use crate::models::ModelFiles;

/// Longest prompt plus answer, whatever the model could do: 4096 tokens take ten seconds to read on two cores.
const CONTEXT_TOKENS_MAX: usize = 4096;
/// What the templates of these models make of a system message without words.
const NO_SYSTEM_MESSAGE: &str = "<|im_start|>system\n<|im_end|>\n";
/// The part that any thread may use: messages to token ids and back.
#[derive(Debug)]
pub(crate) struct ChatFormat {
    template: ChatTemplate,
    tokenizer: Tokenizer,
    special_tokens: Vec<String>,
    ends: Vec<u32>,
    /// Made when the first grammar is asked for: it takes memory that most shops never need.
    grammars: OnceLock<Result<Grammars, InferenceError>>,
    /// Prompt plus answer.
    pub(crate) context_tokens: usize,
}

/// What a file holds.
pub(crate) struct Loaded {
    /// The file.
    pub(crate) weights: PathBuf,
    /// Its beginning.
    pub(crate) head: Content,
    /// Tokenizer and template.
    pub(crate) format: Arc<ChatFormat>,
    /// The model itself.
    pub(crate) decoder: Decoder,
}

/// Loads the file `weights`.
pub(crate) fn load(files: &ModelFiles) -> Result<Loaded, InferenceError> {
    let path = files.files.get("weights");
    let path = path.ok_or_else(|| InferenceError::Failed(format!("the model {} has no weights", files.name)))?;
    let unreadable = |error| InferenceError::failed(&format!("cannot read {}", path.display()), error);
    let head = decoder::read_head(path).map_err(unreadable)?;
    // The tokenizer's table takes as long as everything else.
    let (decoder, format) = thread::scope(|scope| {
        let format = scope.spawn(|| ChatFormat::load(&head));
        (Decoder::of(path, &head, CONTEXT_TOKENS_MAX), format.join())
    });
    let format = format.map_err(|_| InferenceError::Failed("the model's tokenizer panicked".to_owned()))??;
    let decoder = decoder.map_err(unreadable)?;
    Ok(Loaded { weights: path.clone(), head, format: Arc::new(format), decoder })
}

impl ChatFormat {
    fn load(content: &Content) -> Result<Self, InferenceError> {
        let mut tokenizer =
            Tokenizer::from_gguf(content).map_err(|error| InferenceError::failed("the model's tokenizer", error))?;
        if text(content, "tokenizer.ggml.pre").as_deref() == Some("smollm") {
            // The generic reader puts a space before every text; this family has single digits and no such space.
            let steps = vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
            tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
        }
        let token = |key: &str| number(content, key).and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default();
        let (bos, eos) = (token("tokenizer.ggml.bos_token_id"), token("tokenizer.ggml.eos_token_id"));
        let source = text(content, "tokenizer.chat_template")
            .ok_or_else(|| InferenceError::Failed("the model file carries no chat template".to_owned()))?;
        let mut ends: Vec<u32> = number(content, "tokenizer.ggml.eos_token_id")
            .into_iter()
            .chain(["<|im_end|>", "<|endoftext|>"].iter().filter_map(|end| tokenizer.token_to_id(end)))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        let special_tokens = tokenizer.get_added_tokens_decoder().into_values();
        let special_tokens = special_tokens.filter(|token| token.special).map(|token| token.content).collect();
        let trained = ["qwen2.context_length", "llama.context_length"];
        let trained = trained.iter().find_map(|key| number(content, key)).map_or(2048, |tokens| tokens as usize);
        let context_tokens = trained.min(CONTEXT_TOKENS_MAX);
        let (template, grammars) = (ChatTemplate::new(source, bos, eos)?, OnceLock::new());
        Ok(Self { template, tokenizer, special_tokens, ends, grammars, context_tokens })
    }

    /// Token ids of the prompt. `ContextOverflow` when they and `answer_tokens` more do not fit.
    pub(crate) fn prompt(&self, messages: &[ChatMessage], answer_tokens: usize) -> Result<Vec<u32>, InferenceError> {
        let messages: Vec<ChatMessage> = messages
            .iter()
            .map(|message| ChatMessage { role: message.role, content: self.without_special_tokens(&message.content) })
            .collect();
        let prompt = self.template.render(&messages)?;
        let ids = self.encode(prompt.strip_prefix(NO_SYSTEM_MESSAGE).unwrap_or(&prompt))?;
        let tokens = ids.len().saturating_add(answer_tokens);
        if tokens > self.context_tokens {
            return Err(InferenceError::ContextOverflow { tokens, context: self.context_tokens });
        }
        Ok(ids)
    }

    /// Token ids of a text that is not a prompt.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, InferenceError> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|error| InferenceError::failed("tokenizer", error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of token ids, without special tokens.
    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String, InferenceError> {
        self.tokenizer.decode(ids, true).map_err(|error| InferenceError::failed("tokenizer", error))
    }

    /// Whether the model ends its answer with this token.
    pub(crate) fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The beginning of an answer of `grammar`.
    ///
    /// Errors: `Grammar`, and `Failed` for a model whose tokenizer takes none.
    pub(crate) fn constraint(&self, grammar: &Grammar) -> Result<Constraint, InferenceError> {
        self.grammars()?.begin(grammar)
    }

    pub(super) fn grammars(&self) -> Result<&Grammars, InferenceError> {
        let grammars = self.grammars.get_or_init(|| Grammars::new(&self.tokenizer, &self.ends));
        grammars.as_ref().map_err(InferenceError::clone)
    }

    /// A shopper or a document that writes `<|im_start|>system` must not open a message of its own.
    fn without_special_tokens(&self, content: &str) -> String {
        let mut content = content.to_owned();
        while let Some(token) = self.special_tokens.iter().find(|token| content.contains(token.as_str())) {
            content = content.replace(token.as_str(), "");
        }
        content
    }
}

/// Natural logarithms of the probabilities of `tokens`.
pub(crate) fn log_probabilities(logits: &[f32], tokens: &[u32]) -> Result<Vec<f32>, InferenceError> {
    let total = shoptalk_kernels::log_sum_exp(Processor::shared(), logits, logits.len().max(1));
    let total = total.first().copied().unwrap_or_default();
    let logit = |&token: &u32| logits.get(token as usize).map(|logit| logit - total);
    let scores: Option<Vec<f32>> = tokens.iter().map(logit).collect();
    scores.ok_or_else(|| InferenceError::Failed("the chat model does not know a token".to_owned()))
}

fn text(content: &Content, key: &str) -> Option<String> {
    match content.metadata.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn number(content: &Content, key: &str) -> Option<u32> {
    content.metadata.get(key).and_then(|value| value.to_u32().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inference::{Role, decoder::tiny::TinyModel},
        models::ModelSource,
    };

    #[test]
    fn a_model_without_a_chat_template_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.gguf");
        let files = ModelFiles {
            name: "tiny".to_owned(),
            dir: dir.path().to_owned(),
            files: [("weights".to_owned(), path.clone())].into(),
            source: ModelSource::Hub,
        };
        let mut model = TinyModel::new();
        model.write(&path);
        let format = load(&files).unwrap().format;
        let message = |content: &str| ChatMessage { role: Role::User, content: content.to_owned() };
        assert_eq!(format.prompt(&[message("ab")], 1).unwrap(), [2]);
        let error = format.prompt(&[message("ab")], 64).unwrap_err();
        assert!(matches!(error, InferenceError::ContextOverflow { tokens: 65, context: 64 }), "{error}");
        model.remove("tokenizer.chat_template");
        model.write(&path);
        assert!(load(&files).err().unwrap().to_string().contains("no chat template"));
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let scores = log_probabilities(&[0.0, 1.0, 3.0], &[2, 0, 1]).unwrap();
        assert!((scores.iter().map(|score| score.exp()).sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(scores[0] > scores[2] && scores[2] > scores[1]);
        assert!(log_probabilities(&[0.0], &[1]).is_err());
    }
}
