//! The chat model on a graphics device, by candle's quantized models: a thread that owns it and writes one answer after
//! the other. candle keeps one sequence's keys and values a model, so that answers are not written together and nothing
//! is shared between prompts; a device is fast enough without.

use std::{
    fs::File,
    io::BufReader,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use candle_core::{DType, Device, Tensor, quantized::gguf_file::Content};
use candle_transformers::models::{quantized_llama, quantized_qwen2};

use super::{InferenceError, answer::Answer, gguf_chat::ChatFormat, language_model_thread::Writing};

#[cfg(test)]
mod tests;

/// Most tokens of one step of a prompt. Steps are powers of two: the models keep a mask for each length of a step and
/// place where it begins, and so these stay few.
const STEP_TOKENS_MAX: usize = 512;

/// Loads the model onto `device` and starts its thread, which ends when the sender is dropped.
pub(super) fn start(
    device: Device,
    weights: &Path,
    head: Content,
    format: Arc<ChatFormat>,
) -> Result<Sender<Writing>, InferenceError> {
    let mut model = CandleChat::load(device, weights, head)?;
    // The first use compiles kernels and takes memory; what goes wrong there shall be known before somebody asks.
    model.read(&[0], 0)?;
    // Unbounded, because every job has a place of a limited number.
    let (jobs, queue) = channel();
    thread::Builder::new()
        .name("chat-device".to_owned())
        .spawn(move || model.run(&queue, &format))
        .map_err(|error| InferenceError::failed("cannot start the device's thread", error))?;
    Ok(jobs)
}

enum Model {
    Qwen2(quantized_qwen2::ModelWeights),
    Llama(quantized_llama::ModelWeights),
}

/// A loaded model and the keys and values of one sequence.
struct CandleChat {
    model: Model,
    device: Device,
}

impl CandleChat {
    fn load(device: Device, weights: &Path, head: Content) -> Result<Self, InferenceError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            InferenceError::Failed(format!("cannot load {} onto the device: {error}", weights.display()))
        };
        let mut reader = BufReader::new(File::open(weights).map_err(|error| unreadable(&error))?);
        let architecture = head.metadata.get("general.architecture").and_then(|name| name.to_string().ok().cloned());
        let model = match architecture.as_deref() {
            Some("qwen2") => quantized_qwen2::ModelWeights::from_gguf(head, &mut reader, &device).map(Model::Qwen2),
            Some("llama") => quantized_llama::ModelWeights::from_gguf(head, &mut reader, &device).map(Model::Llama),
            _ => return Err(unreadable(&"its architecture is not supported there")),
        };
        Ok(Self { model: model.map_err(|error| unreadable(&error))?, device })
    }

    fn run(mut self, queue: &Receiver<Writing>, format: &ChatFormat) {
        while let Ok(Writing { prompt, mut answer, place }) = queue.recv() {
            let written = self.write(prompt, &mut answer, format);
            // The place is free before the asker sees the end and may ask again.
            drop(place);
            match written {
                Ok(()) => answer.finish(format),
                Err(error) => answer.fail(error),
            }
        }
    }

    /// Reads the prompt and writes until the answer is complete or nobody waits for it.
    fn write(&mut self, mut tokens: Vec<u32>, answer: &mut Answer, format: &ChatFormat) -> Result<(), InferenceError> {
        if tokens.is_empty() {
            return Err(InferenceError::Failed("the prompt has no token".to_owned()));
        }
        let mut read = 0;
        while answer.left() > 0 && !answer.is_cancelled() {
            let end = read + step(tokens.len() - read);
            let logits = self.read(&tokens[read..end], read)?;
            read = end;
            if read == tokens.len()
                && (answer.choose(&logits, &mut tokens, format)? || answer.take_forced(&mut tokens, format)?)
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads `tokens` after the `position` that were read before, and returns the logits of the next one. At the
    /// position 0 begins a new sequence.
    fn read(&mut self, tokens: &[u32], position: usize) -> Result<Vec<f32>, InferenceError> {
        let logits = Tensor::new(tokens, &self.device)
            .and_then(|tokens| tokens.unsqueeze(0))
            .and_then(|tokens| match &mut self.model {
                Model::Qwen2(model) => model.forward(&tokens, position),
                Model::Llama(model) => model.forward(&tokens, position),
            })
            .and_then(|logits| logits.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>())
            .map_err(|error| InferenceError::failed("the device", error))?;
        if logits.iter().all(|logit| logit.is_finite()) {
            return Ok(logits);
        }
        Err(InferenceError::Failed("the device computed logits that are not numbers".to_owned()))
    }
}

/// Tokens that are read in one step of `unread` ones: the largest power of two that is not too many.
fn step(unread: usize) -> usize {
    let most = unread.clamp(1, STEP_TOKENS_MAX);
    1 << most.ilog2()
}
