//! A chat model from a GGUF file: the tokenizer and the chat template that the file carries, and candle's quantized
//! Qwen2 or Llama network.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_core::{
    D, Device, Tensor,
    quantized::{
        gguf_file::{Content, Value},
        tokenizer::TokenizerFromGguf,
    },
};
use candle_transformers::{
    generation::{LogitsProcessor, Sampling},
    models::{quantized_llama, quantized_qwen2},
};
use tokenizers::{
    Tokenizer,
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

use super::{ChatMessage, InferenceError, chat_template::ChatTemplate};
use crate::models::ModelFiles;

/// Longest prompt plus answer, whatever the model could do: 4096 tokens take a minute to read on two cores.
const CONTEXT_TOKENS_MAX: usize = 4096;
/// Prompt tokens of one step; between steps a dropped request ends.
const PREFILL_TOKENS: usize = 64;
/// The sampler draws from the smallest set of tokens with this probability (Holtzman et al. 2019).
const TOP_P: f64 = 0.95;

/// The part that any thread may use: messages to token ids and back.
#[derive(Debug)]
pub(crate) struct ChatFormat {
    template: ChatTemplate,
    tokenizer: Tokenizer,
    special_tokens: Vec<String>,
    ends: Vec<u32>,
    /// Prompt plus answer.
    pub(crate) context_tokens: usize,
}

/// The network with the state of the sequence it is reading.
pub(crate) struct ChatNetwork {
    network: Network,
    position: usize,
}

enum Network {
    Qwen2(quantized_qwen2::ModelWeights),
    Llama(quantized_llama::ModelWeights),
}

/// Loads the file `weights`.
pub(crate) fn load(files: &ModelFiles) -> Result<(Arc<ChatFormat>, ChatNetwork), InferenceError> {
    let path = files.files.get("weights").map(PathBuf::as_path);
    let path = path.ok_or_else(|| InferenceError::Failed(format!("the model {} has no weights", files.name)))?;
    let step = format!("cannot read {}", path.display());
    let (content, mut reader) = open(path).map_err(|error| InferenceError::failed(&step, error))?;
    let format = ChatFormat::load(&content)?;
    let architecture = text(&content, "general.architecture").unwrap_or_default();
    let device = &Device::Cpu;
    let network = match architecture.as_str() {
        "qwen2" => quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, device).map(Network::Qwen2),
        "llama" => quantized_llama::ModelWeights::from_gguf(content, &mut reader, device).map(Network::Llama),
        other => return Err(InferenceError::failed(&step, format!("the architecture {other:?} is not supported"))),
    };
    let network = network.map_err(|error| InferenceError::failed(&step, error))?;
    Ok((Arc::new(format), ChatNetwork { network, position: 0 }))
}

fn open(path: &Path) -> candle_core::Result<(Content, BufReader<File>)> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let content = Content::read(&mut reader)?;
    Ok((content, reader))
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
        let ends = number(content, "tokenizer.ggml.eos_token_id")
            .into_iter()
            .chain(["<|im_end|>", "<|endoftext|>"].iter().filter_map(|end| tokenizer.token_to_id(end)))
            .collect();
        let special_tokens = tokenizer.get_added_tokens_decoder().into_values();
        let special_tokens = special_tokens.filter(|token| token.special).map(|token| token.content).collect();
        let trained = ["qwen2.context_length", "llama.context_length"];
        let trained = trained.iter().find_map(|key| number(content, key)).map_or(2048, |tokens| tokens as usize);
        let context_tokens = trained.min(CONTEXT_TOKENS_MAX);
        Ok(Self { template: ChatTemplate::new(source, bos, eos)?, tokenizer, special_tokens, ends, context_tokens })
    }

    /// Token ids of the prompt. `ContextOverflow` when they and `answer_tokens` more do not fit.
    pub(crate) fn prompt(&self, messages: &[ChatMessage], answer_tokens: usize) -> Result<Vec<u32>, InferenceError> {
        let messages: Vec<ChatMessage> = messages
            .iter()
            .map(|message| ChatMessage { role: message.role, content: self.without_special_tokens(&message.content) })
            .collect();
        let ids = self.encode(&self.template.render(&messages)?)?;
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

    /// A shopper or a document that writes `<|im_start|>system` must not open a message of its own.
    fn without_special_tokens(&self, content: &str) -> String {
        let mut content = content.to_owned();
        while let Some(token) = self.special_tokens.iter().find(|token| content.contains(token.as_str())) {
            content = content.replace(token.as_str(), "");
        }
        content
    }
}

impl ChatNetwork {
    /// Forgets the sequence and its memory.
    pub(crate) fn reset(&mut self) {
        self.position = 0;
        match &mut self.network {
            Network::Qwen2(network) => network.clear_kv_cache(),
            Network::Llama(network) => network.clear_kv_cache(),
        }
    }

    /// Reads `tokens` after those read so far and returns the logits of the next token, shape (vocabulary).
    /// Not-a-number logits are an error.
    pub(crate) fn forward(&mut self, tokens: &[u32]) -> Result<Tensor, InferenceError> {
        let logits = self.step(tokens).map_err(|error| InferenceError::failed("chat model", error))?;
        let sum: f32 = logits
            .sum_all()
            .and_then(|sum| sum.to_scalar())
            .map_err(|error| InferenceError::failed("chat model", error))?;
        if !sum.is_finite() {
            return Err(InferenceError::Failed("the chat model computed logits that are not numbers".to_owned()));
        }
        self.position += tokens.len();
        Ok(logits)
    }

    fn step(&mut self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match &mut self.network {
            Network::Qwen2(network) => network.forward(&input, self.position),
            Network::Llama(network) => network.forward(&input, self.position),
        }?;
        logits.squeeze(0)
    }
}

/// Cuts a prompt into steps of `PREFILL_TOKENS` and then of falling powers of two. candle keeps a mask for each pair
/// of step length and position for ever; these lengths bound the pairs.
pub(crate) fn prefill_steps(tokens: &[u32]) -> Vec<&[u32]> {
    let mut steps = Vec::new();
    let mut rest = tokens;
    let mut length = PREFILL_TOKENS;
    while !rest.is_empty() {
        if length <= rest.len() {
            let (step, after) = rest.split_at(length);
            steps.push(step);
            rest = after;
        } else {
            length /= 2;
        }
    }
    steps
}

/// Draws the next token: the likeliest at temperature 0.
pub(crate) fn sampler(temperature: f32, seed: u64) -> LogitsProcessor {
    let sampling = if temperature > 0.0 {
        Sampling::TopP { p: TOP_P, temperature: f64::from(temperature) }
    } else {
        Sampling::ArgMax
    };
    LogitsProcessor::from_sampling(seed, sampling)
}

/// Natural logarithms of the probabilities of `tokens`.
pub(crate) fn log_probabilities(logits: &Tensor, tokens: &[u32]) -> Result<Vec<f32>, InferenceError> {
    let compute =
        || candle_nn::ops::log_softmax(logits, D::Minus1)?.gather(&Tensor::new(tokens, &Device::Cpu)?, 0)?.to_vec1();
    compute().map_err(|error: candle_core::Error| InferenceError::failed("chat model", error))
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

    #[test]
    fn prefill_steps_cover_the_prompt_in_order() {
        for length in [0, 1, 63, 64, 65, 200, 1000] {
            let tokens: Vec<u32> = (0..length).collect();
            let steps = prefill_steps(&tokens);
            assert_eq!(steps.concat(), tokens);
            assert!(steps.iter().all(|step| step.len().is_power_of_two() && step.len() <= PREFILL_TOKENS));
        }
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let logits = Tensor::new(&[0.0_f32, 1.0, 3.0], &Device::Cpu).unwrap();
        let scores = log_probabilities(&logits, &[2, 0, 1]).unwrap();
        assert!((scores.iter().map(|score| score.exp()).sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(scores[0] > scores[2] && scores[2] > scores[1]);
    }
}
