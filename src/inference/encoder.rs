//! A text encoder: tokenizer, the prefixes its model was trained with, and the BERT network.

use std::{path::Path, sync::Arc};

use serde::Deserialize;
use tokenizers::Tokenizer;

use super::{InferenceError, bert::Bert, bert_weights::BertWeights};
use crate::models::ModelFiles;

/// Text beyond this many characters a token cannot reach the model and is not tokenized.
const CHARACTERS_A_TOKEN_MAX: usize = 16;

/// What a text is to the model: e5 was trained to tell the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    Query,
    Passage,
}

/// An encoder that is ready to run.
#[derive(Debug)]
pub(crate) struct Encoder {
    bert: Bert,
    tokenizer: Arc<Tokenizer>,
    has_prefixes: bool,
}

#[derive(Default, Deserialize)]
struct Config {
    num_attention_heads: Option<usize>,
    layer_norm_eps: Option<f32>,
}

impl Encoder {
    /// Loads the files `weights`, `tokenizer` and, where there is one, `config`.
    pub(crate) fn load(files: &ModelFiles) -> Result<Self, InferenceError> {
        let config = match files.files.get("config") {
            Some(path) => read_config(path)?,
            None => Config::default(),
        };
        let weights = BertWeights::open(file(files, "weights")?)?;
        let bert = Bert::load(weights, config.num_attention_heads, config.layer_norm_eps)?;
        let path = file(files, "tokenizer")?;
        let step = format!("cannot read {}", path.display());
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| InferenceError::failed(&step, error))?;
        // Some checkpoints carry the padding of their training; batches here are padded to their longest text.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| InferenceError::failed(&step, error))?;
        let has_prefixes = files.name.contains("e5");
        Ok(Self { bert, tokenizer: Arc::new(tokenizer), has_prefixes })
    }

    /// Length of every vector.
    pub(crate) fn dimensions(&self) -> usize {
        self.bert.hidden()
    }

    /// The tokenizer, for counting on other threads.
    pub(crate) fn tokenizer(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.tokenizer)
    }

    /// Token ids of a text with prefix and special tokens, cut to the model's length. Never empty.
    pub(crate) fn tokenize(&self, text: &str, kind: TextKind) -> Result<Vec<u32>, InferenceError> {
        let tokens_max = self.bert.tokens_max();
        let end = text.char_indices().nth(tokens_max * CHARACTERS_A_TOKEN_MAX).map_or(text.len(), |(end, _)| end);
        let text = match (self.has_prefixes, kind) {
            (false, _) => text[..end].to_owned(),
            (true, TextKind::Query) => format!("query: {}", &text[..end]),
            (true, TextKind::Passage) => format!("passage: {}", &text[..end]),
        };
        let encoding =
            self.tokenizer.encode_fast(text, true).map_err(|error| InferenceError::failed("tokenizer", error))?;
        let ids = encoding.get_ids();
        match ids.last() {
            // The closing token stays when the text is cut.
            Some(&end) if ids.len() > tokens_max => {
                Ok(ids[..tokens_max - 1].iter().copied().chain(std::iter::once(end)).collect())
            }
            Some(_) => Ok(ids.to_vec()),
            None => Err(InferenceError::failed("tokenizer", "gave no tokens")),
        }
    }

    /// The network, for engines that run the same one.
    pub(crate) fn bert(&self) -> &Bert {
        &self.bert
    }

    /// Unit vectors of a batch of token lists.
    pub(crate) fn embed(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.bert.embed(batch)
    }
}

fn file<'a>(files: &'a ModelFiles, role: &str) -> Result<&'a Path, InferenceError> {
    let path = files.files.get(role);
    path.map(std::path::PathBuf::as_path)
        .ok_or_else(|| InferenceError::Failed(format!("the model {} has no file {role:?}", files.name)))
}

fn read_config(path: &Path) -> Result<Config, InferenceError> {
    let step = format!("cannot read {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| InferenceError::failed(&step, error))?;
    serde_json::from_str(&text).map_err(|error| InferenceError::failed(&step, error))
}
