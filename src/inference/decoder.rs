//! The decoder of Qwen2 and Llama models on the quantized kernels: tokens of one or several sequences in, logits out
//! where they are asked for.
//!
//! A sequence is an optional `Prefix`, computed once and shared by any number of sequences, and the tokens after it,
//! whose keys and values the sequence owns and can take back.

use std::path::Path;

use candle_core::quantized::gguf_file::Content;
use shoptalk_kernels::{Activations, Attention, KeyValues, Processor, Queries, attend, linear, rms_norm, silu_times};

use super::InferenceError;

mod packed_file;
#[cfg(test)]
mod reference;
mod rope;
mod scoring;
mod sequence;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tiny;
mod weights;

use rope::Rope;
use weights::{Layer, Sizes, Weights};

pub use sequence::{Prefix, Sequence};
pub use weights::{ModelFileError, read_head};

/// Tokens of one step of a long text; between steps other work goes first and dropped requests end.
pub const STEP_TOKENS: usize = 128;
/// Rows of logits that are in memory at once.
pub const LOGITS_ROWS: usize = 32;

/// A loaded model with the memory of one step.
#[derive(Debug)]
pub struct Decoder {
    weights: Weights,
    rope: Rope,
    processor: &'static Processor,
    step: Step,
}

/// What a step needs; kept so that no token allocates.
#[derive(Debug, Default)]
struct Step {
    input: Activations,
    /// One row of the model's width a token.
    rows: Vec<f32>,
    normal: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    delta: Vec<f32>,
    logits: Vec<f32>,
}

/// What a step reads for one sequence.
#[derive(Debug)]
pub struct Part<'a> {
    /// What was read before.
    pub sequence: &'a mut Sequence,
    /// What is read now, at least one token.
    pub tokens: &'a [u32],
    /// After how many of the last of `tokens` logits are wanted.
    pub logits: usize,
    /// What those have to be good for; `All` of one part is `All` of the step.
    pub wanted: Wanted,
}

/// What logits have to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Each for itself.
    All,
    /// The largest one is what `All` would give, and the others are smaller, but may be off by some tenths. The table of
    /// outputs is the largest matrix of a small model, and this reads half of it.
    Likeliest,
}

/// Where the tokens of one sequence lie among the rows of a step.
struct Span {
    first_row: usize,
    tokens: usize,
    /// Position of the first token.
    position: usize,
}

impl Decoder {
    /// Loads a GGUF file; `context_tokens_max` bounds what the file says of its context.
    pub fn load(path: &Path, context_tokens_max: usize) -> Result<Self, ModelFileError> {
        Self::of(path, &read_head(path)?, context_tokens_max)
    }

    /// The same for a file whose beginning was read.
    pub fn of(path: &Path, content: &Content, context_tokens_max: usize) -> Result<Self, ModelFileError> {
        let weights = Weights::load(path, content, context_tokens_max)?;
        let rope = Rope::new(&weights.sizes, weights.rope_factors.as_deref());
        Ok(Self { weights, rope, processor: Processor::shared(), step: Step::default() })
    }

    /// Most tokens of a sequence.
    pub fn context_tokens(&self) -> usize {
        self.weights.sizes.context
    }

    /// Number of tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.weights.output.outputs()
    }

    /// Tells models apart whatever their quantization, by the bits of their norms (FNV-1a).
    pub fn fingerprint(&self) -> u32 {
        let norms = self.weights.layers.iter().flat_map(|layer| &layer.attention_norm);
        let bytes = norms.flat_map(|value| value.to_le_bytes());
        bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    /// Floats in a state.
    pub fn width(&self) -> usize {
        self.weights.sizes.width
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.weights.sizes.layers
    }

    /// An empty sequence with room for `tokens` after `prefix`.
    pub fn sequence(&self, prefix: Option<Prefix>, tokens: usize) -> Sequence {
        self.shallow_sequence(self.layers(), prefix, tokens)
    }

    /// The same for which only the first `depth` layers are computed, or as many as `prefix` has: its states can be
    /// asked for, its logits not.
    pub fn shallow_sequence(&self, depth: usize, prefix: Option<Prefix>, tokens: usize) -> Sequence {
        Sequence::new(prefix, &self.weights.sizes, depth, tokens)
    }

    /// Reads `tokens` after those of `sequence` and returns the logits of the next token, `vocabulary()` floats.
    ///
    /// Errors: no tokens, tokens that the model does not know, an overflow of the context, logits that are not numbers.
    pub fn read(&mut self, sequence: &mut Sequence, tokens: &[u32]) -> Result<&[f32], InferenceError> {
        self.forward(&mut [(sequence, tokens)])?;
        self.whole(sequence.depth())?;
        let width = self.weights.sizes.width;
        let last = self.step.rows[self.step.rows.len() - width..].to_vec();
        self.logits(&last, Wanted::All)
    }

    /// Reads `tokens` into a prefix of `depth` layers that other sequences can begin with; calls `pause` before each
    /// step of `STEP_TOKENS`.
    ///
    /// Errors: as for `read`.
    pub fn prefix(&mut self, tokens: &[u32], depth: usize, pause: impl Fn()) -> Result<Prefix, InferenceError> {
        let mut sequence = self.shallow_sequence(depth, None, tokens.len());
        for step in tokens.chunks(STEP_TOKENS) {
            pause();
            self.extend(&mut sequence, step)?;
        }
        sequence.into_prefix()
    }

    /// Reads `tokens` without computing logits.
    ///
    /// Errors: as for `read`.
    pub fn extend(&mut self, sequence: &mut Sequence, tokens: &[u32]) -> Result<(), InferenceError> {
        self.forward(&mut [(sequence, tokens)])
    }

    /// Reads the tokens of several sequences in one step, which takes little longer than for one of them. Returns the
    /// logits that are wanted, part by part, `vocabulary()` floats for each token; at most `LOGITS_ROWS` rows fit. What a
    /// sequence gets does not depend on the others.
    ///
    /// Errors: as for `read`; then it is not known what the sequences hold.
    pub fn step(&mut self, parts: &mut [Part]) -> Result<&[f32], InferenceError> {
        parts.iter().try_for_each(|part| self.whole(part.sequence.depth()))?;
        let wanted: usize = parts.iter().map(|part| part.logits).sum();
        if wanted > LOGITS_ROWS || parts.iter().any(|part| part.logits > part.tokens.len()) {
            return Err(InferenceError::Failed(format!("{wanted} rows of logits are too many")));
        }
        let all = parts.iter().any(|part| part.logits > 0 && part.wanted == Wanted::All);
        let mut pairs: Vec<_> = parts.iter_mut().map(|part| (&mut *part.sequence, part.tokens)).collect();
        self.forward(&mut pairs)?;
        let width = self.weights.sizes.width;
        let (mut rows, mut end) = (Vec::with_capacity(wanted * width), 0);
        for part in parts {
            end += part.tokens.len() * width;
            rows.extend_from_slice(&self.step.rows[end - part.logits * width..end]);
        }
        if rows.is_empty() { Ok(&[]) } else { self.logits(&rows, if all { Wanted::All } else { Wanted::Likeliest }) }
    }

    /// Logits need all layers.
    fn whole(&self, depth: usize) -> Result<(), InferenceError> {
        if depth == self.layers() {
            return Ok(());
        }
        Err(InferenceError::Failed("the text was not read through all layers".to_owned()))
    }

    /// One step for several sequences of the same depth. Afterwards `step.rows` holds the rows after the last layer of
    /// that depth, not yet normalized.
    fn forward(&mut self, parts: &mut [(&mut Sequence, &[u32])]) -> Result<(), InferenceError> {
        let depth = parts.first().map_or(0, |(sequence, _)| sequence.depth());
        let spans = self.begin(parts)?;
        let Self { weights, rope, processor, step } = self;
        for (index, layer) in weights.layers.iter().take(depth).enumerate() {
            step.attend_in(processor, &weights.sizes, layer, index > 0);
            for (span, (sequence, _)) in spans.iter().zip(parts.iter_mut()) {
                step.store(rope, &weights.sizes, span, &mut sequence.own[index]);
            }
            let sequences: Vec<(&Sequence, &Span)> = parts.iter().map(|(s, _)| &**s).zip(&spans).collect();
            step.attend(processor, &weights.sizes, index, &sequences);
            step.attend_out(processor, &weights.sizes, layer);
        }
        let last = step.delta.chunks_exact(weights.sizes.width);
        for (row, delta) in step.rows.chunks_exact_mut(weights.sizes.width).zip(last) {
            row.iter_mut().zip(delta).for_each(|(value, delta)| *value += delta);
        }
        for (span, (sequence, _)) in spans.iter().zip(parts.iter_mut()) {
            let end = (span.first_row + span.tokens) * weights.sizes.width;
            sequence.last.clear();
            sequence.last.extend_from_slice(&step.rows[end - weights.sizes.width..end]);
        }
        Ok(())
    }

    /// Checks a step and fills `step.rows` with the vectors of its tokens.
    fn begin(&mut self, parts: &[(&mut Sequence, &[u32])]) -> Result<Vec<Span>, InferenceError> {
        let mut spans = Vec::with_capacity(parts.len());
        self.step.rows.clear();
        for (sequence, tokens) in parts {
            let position = sequence.len();
            if sequence.depth() != parts[0].0.depth() {
                return Err(InferenceError::Failed("sequences of one step need the same number of layers".to_owned()));
            }
            let context = self.context_tokens();
            if tokens.is_empty() {
                return Err(InferenceError::Failed("the model was given no tokens".to_owned()));
            }
            if position + tokens.len() > context || sequence.room() < tokens.len() {
                let context = context.min(position + sequence.room());
                return Err(InferenceError::ContextOverflow { tokens: position + tokens.len(), context });
            }
            let first_row = self.step.rows.len() / self.weights.sizes.width;
            self.weights.embed(tokens, &mut self.step.rows)?;
            self.rope.grow(position + tokens.len());
            spans.push(Span { first_row, tokens: tokens.len(), position });
        }
        Ok(spans)
    }

    /// Logits of `rows`, vectors of the model's width from the last layer.
    fn logits(&mut self, rows: &[f32], wanted: Wanted) -> Result<&[f32], InferenceError> {
        let Self { weights, processor, step, .. } = self;
        let width = weights.sizes.width;
        let (mut rows, count) = (rows.to_vec(), rows.len() / width);
        step.normal.resize(rows.len(), 0.0);
        rms_norm(processor, &mut rows, None, &weights.norm, weights.sizes.epsilon, &mut step.normal);
        let size = count * weights.output.outputs();
        step.logits.resize(2 * size, 0.0);
        match &weights.screen {
            Some(screen) if wanted == Wanted::Likeliest => {
                screen.largest(processor, &weights.output, &step.normal, &mut step.input, &mut step.logits);
            }
            _ => {
                step.input.quantize(processor, &step.normal, width);
                // Every error here shows in the next token, and reading the table takes longer than multiplying it twice.
                step.input.refine(processor, &step.normal);
                linear(processor, &step.input, &mut [(&weights.output, &mut step.logits[..])]);
                let (logits, rest) = step.logits.split_at_mut(size);
                logits.iter_mut().zip(rest).for_each(|(logit, rest)| *logit += *rest);
            }
        }
        step.logits.truncate(size);
        if step.logits.iter().fold(true, |finite, logit| finite & logit.is_finite()) {
            return Ok(&step.logits);
        }
        Err(InferenceError::Failed("the chat model computed logits that are not numbers".to_owned()))
    }
}

impl Step {
    /// Queries, keys and values of all rows, after the sum of what the layer before left.
    fn attend_in(&mut self, processor: &Processor, sizes: &Sizes, layer: &Layer, has_delta: bool) {
        let rows = self.rows.len() / sizes.width;
        self.normal.resize(self.rows.len(), 0.0);
        let delta = has_delta.then_some(&self.delta[..]);
        rms_norm(processor, &mut self.rows, delta, &layer.attention_norm, sizes.epsilon, &mut self.normal);
        self.input.quantize(processor, &self.normal, sizes.width);
        self.query.resize(rows * layer.query.outputs(), 0.0);
        self.key.resize(rows * layer.key.outputs(), 0.0);
        self.value.resize(rows * layer.value.outputs(), 0.0);
        let mut outputs =
            [(&layer.query, &mut self.query[..]), (&layer.key, &mut self.key[..]), (&layer.value, &mut self.value[..])];
        linear(processor, &self.input, &mut outputs);
    }

    /// Turns queries and keys of a span by their positions and keeps its keys and values.
    fn store(&mut self, rope: &Rope, sizes: &Sizes, span: &Span, to: &mut KeyValues) {
        let (query_size, key_size) = (sizes.heads * sizes.head_size, sizes.key_heads * sizes.head_size);
        for index in 0..span.tokens {
            let (row, position) = (span.first_row + index, span.position + index);
            rope.turn(position, &mut self.query[row * query_size..][..query_size]);
            rope.turn(position, &mut self.key[row * key_size..][..key_size]);
        }
        let rows = span.first_row * key_size..(span.first_row + span.tokens) * key_size;
        to.extend(&self.key[rows.clone()], &self.value[rows]);
    }

    fn attend(&mut self, processor: &Processor, sizes: &Sizes, layer: usize, sequences: &[(&Sequence, &Span)]) {
        let (size, group) = (sizes.head_size, sizes.heads / sizes.key_heads);
        let mut tasks = Vec::with_capacity(self.query.len() / (size * group));
        for (sequence, span) in sequences {
            let own = &sequence.own[layer];
            let before = own.len() - span.tokens;
            let shared = sequence.prefix.as_ref().map_or((own, 0), |prefix| (&prefix.layers[layer], prefix.len()));
            for index in 0..span.tokens {
                for head in 0..sizes.key_heads {
                    let begin = ((span.first_row + index) * sizes.heads + head * group) * size;
                    let queries = Queries { begin, stride: size, count: group };
                    tasks.push(Attention { queries, runs: [shared, (own, before + index + 1)], head });
                }
            }
        }
        self.attended.resize(self.query.len(), 0.0);
        attend(processor, &self.query, &mut self.attended, &tasks, 1.0 / (size as f32).sqrt());
    }

    /// The rest of a layer; leaves in `delta` what the next one has to add.
    fn attend_out(&mut self, processor: &Processor, sizes: &Sizes, layer: &Layer) {
        let rows = self.rows.len() / sizes.width;
        self.input.quantize(processor, &self.attended, layer.attention_output.inputs());
        self.delta.resize(self.rows.len(), 0.0);
        linear(processor, &self.input, &mut [(&layer.attention_output, &mut self.delta[..])]);
        let delta = Some(&self.delta[..]);
        rms_norm(processor, &mut self.rows, delta, &layer.output_norm, sizes.epsilon, &mut self.normal);
        self.input.quantize(processor, &self.normal, sizes.width);
        self.gate.resize(rows * layer.gate.outputs(), 0.0);
        self.up.resize(rows * layer.up.outputs(), 0.0);
        linear(processor, &self.input, &mut [(&layer.gate, &mut self.gate[..]), (&layer.up, &mut self.up[..])]);
        silu_times(processor, &mut self.gate, &self.up);
        self.input.quantize(processor, &self.gate, layer.down.inputs());
        linear(processor, &self.input, &mut [(&layer.down, &mut self.delta[..])]);
    }
}

/// The index of the largest logit, the first of equals.
pub fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best as u32
}
