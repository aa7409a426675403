//! The decoder once more, on candle's f32 operations with dequantized weights: what the quantized one is held against,
//! in tests.

use std::{fs::File, io::BufReader, path::Path};

use candle_core::{DType, Device, Result, Tensor, quantized::gguf_file::Content};
use candle_nn::{
    ops::{rms_norm, silu, softmax_last_dim},
    rotary_emb::{rope, rope_i},
};

use super::{
    ModelFileError,
    rope::Pairs,
    weights::{Sizes, WORD_TABLE},
};

/// Weights as f32: four to eight times the file's size.
#[derive(Debug)]
pub struct Reference {
    sizes: Sizes,
    words: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Tensor,
    /// Cosines and sines, shape (context, head size / 2).
    turns: (Tensor, Tensor),
}

/// Weight and bias.
type Linear = (Tensor, Option<Tensor>);

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    output_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Reference {
    /// Reads a GGUF file that `Decoder::load` reads.
    pub fn load(path: &Path, context_tokens_max: usize) -> std::result::Result<Self, ModelFileError> {
        let unreadable = |error: candle_core::Error| ModelFileError::Unreadable(error.to_string());
        let file = File::open(path).map_err(|error| ModelFileError::Unreadable(error.to_string()))?;
        let mut reader = BufReader::new(file);
        let content = Content::read(&mut reader).map_err(unreadable)?;
        let sizes = Sizes::read(&content, context_tokens_max)?;
        Self::read(sizes, &content, &mut reader).map_err(unreadable)
    }

    fn read(sizes: Sizes, content: &Content, reader: &mut BufReader<File>) -> Result<Self> {
        let mut tensor = |name: &str| content.tensor(reader, name, &Device::Cpu)?.dequantize(&Device::Cpu);
        let words = tensor(WORD_TABLE)?;
        let output = tensor("output.weight").unwrap_or_else(|_| words.clone());
        let norm = tensor("output_norm.weight")?;
        let factors = tensor("rope_freqs.weight").ok();
        let mut layers = Vec::with_capacity(sizes.layers);
        for layer in 0..sizes.layers {
            let name = |part: &str, kind: &str| format!("blk.{layer}.{part}.{kind}");
            let mut linear = |part: &str| -> Result<Linear> {
                Ok((tensor(&name(part, "weight"))?, tensor(&name(part, "bias")).ok()))
            };
            layers.push(Layer {
                attention_norm: linear("attn_norm")?.0,
                query: linear("attn_q")?,
                key: linear("attn_k")?,
                value: linear("attn_v")?,
                attention_output: linear("attn_output")?,
                output_norm: linear("ffn_norm")?.0,
                gate: linear("ffn_gate")?,
                up: linear("ffn_up")?,
                down: linear("ffn_down")?,
            });
        }
        let half = sizes.head_size / 2;
        let pairs = Tensor::arange(0, half as u32, &Device::Cpu)?.to_dtype(DType::F32)?;
        let exponents = (pairs * (-2.0 / sizes.head_size as f64))?;
        let mut angles = (exponents * f64::from(sizes.rope_base).ln())?.exp()?;
        if let Some(factors) = factors {
            angles = angles.div(&factors)?;
        }
        let positions = Tensor::arange(0, sizes.context as u32, &Device::Cpu)?.to_dtype(DType::F32)?;
        let angles = positions.unsqueeze(1)?.matmul(&angles.unsqueeze(0)?)?;
        let turns = (angles.cos()?, angles.sin()?);
        Ok(Self { sizes, words, layers, norm, output, turns })
    }

    /// Logits after each of `tokens`, shape (tokens, vocabulary).
    ///
    /// Errors: unknown tokens, or more than the context holds.
    pub fn logits(&self, tokens: &[u32]) -> Result<Tensor> {
        let Sizes { heads, key_heads, head_size, epsilon, .. } = self.sizes;
        let count = tokens.len();
        let mut rows = self.words.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)?;
        let hidden: Vec<f32> =
            (0..count * count).map(|at| if at % count > at / count { f32::NEG_INFINITY } else { 0.0 }).collect();
        let hidden = Tensor::from_vec(hidden, (count, count), &Device::Cpu)?;
        let turns = (self.turns.0.narrow(0, 0, count)?, self.turns.1.narrow(0, 0, count)?);
        for layer in &self.layers {
            let input = rms_norm(&rows, &layer.attention_norm, epsilon)?;
            let by_head = |part: &Linear, heads: usize| -> Result<Tensor> {
                linear(&input, part)?.reshape((count, heads, head_size))?.transpose(0, 1)?.contiguous()
            };
            let turned = |states: Tensor| -> Result<Tensor> {
                let states = states.unsqueeze(0)?;
                let turn = if self.sizes.pairs == Pairs::Halves { rope } else { rope_i };
                turn(&states, &turns.0, &turns.1)?.squeeze(0)
            };
            let repeated = |states: Tensor| -> Result<Tensor> {
                let group = heads / key_heads;
                let shape = (key_heads, group, count, head_size);
                states.unsqueeze(1)?.broadcast_as(shape)?.reshape((heads, count, head_size))?.contiguous()
            };
            let query = turned(by_head(&layer.query, heads)?)?;
            let key = repeated(turned(by_head(&layer.key, key_heads)?)?)?;
            let value = repeated(by_head(&layer.value, key_heads)?)?;
            let scores = (query.matmul(&key.t()?)? / (head_size as f64).sqrt())?.broadcast_add(&hidden)?;
            let attended = softmax_last_dim(&scores)?.matmul(&value)?;
            let attended = attended.transpose(0, 1)?.reshape((count, heads * head_size))?;
            rows = (rows + linear(&attended, &layer.attention_output)?)?;
            let input = rms_norm(&rows, &layer.output_norm, epsilon)?;
            let gated = (silu(&linear(&input, &layer.gate)?)? * linear(&input, &layer.up)?)?;
            rows = (rows + linear(&gated, &layer.down)?)?;
        }
        rms_norm(&rows, &self.norm, epsilon)?.matmul(&self.output.t()?)
    }
}

fn linear(input: &Tensor, (weight, bias): &Linear) -> Result<Tensor> {
    let output = input.matmul(&weight.t()?)?;
    bias.as_ref().map_or(Ok(output.clone()), |bias| output.broadcast_add(bias))
}
