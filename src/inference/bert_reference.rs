//! The encoder once more, on candle's f32 matrix product: what the tests hold the quantized one against.

use candle_core::{D, Device, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};

use super::{
    InferenceError,
    bert::{DEFAULT_EPSILON, HEAD_DIMENSIONS, WORD_TABLE, layer_count},
    bert_weights::BertWeights,
};

/// Added to the scores of padding before softmax.
const MASKED: f32 = -1e9;

/// Weights and sizes of one encoder.
#[derive(Debug)]
pub(crate) struct BertReference {
    weights: BertWeights,
    /// Position vectors plus the vector of token type 0, shape (positions, hidden).
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    hidden: usize,
}

#[derive(Debug)]
struct Layer {
    /// Query, key and value side by side; the query is already divided by the root of the head size.
    qkv: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    widen: Linear,
    narrow: Linear,
    output_norm: Norm,
}

impl BertReference {
    /// Reads everything but the word table into memory.
    pub(crate) fn load(
        weights: BertWeights,
        heads: Option<usize>,
        epsilon: Option<f32>,
    ) -> Result<Self, InferenceError> {
        let Some(&[_, hidden]) = weights.shape(WORD_TABLE) else {
            return Err(InferenceError::failed(WORD_TABLE, "is missing in the weights"));
        };
        let epsilon = weights.layer_norm_epsilon.or(epsilon).unwrap_or(DEFAULT_EPSILON);
        let heads = weights.heads.or(heads).unwrap_or(hidden / HEAD_DIMENSIONS);
        if heads == 0 || hidden % heads != 0 {
            return Err(InferenceError::Failed(format!("{heads} attention heads do not divide {hidden} dimensions")));
        }
        let layers = (0..layer_count(&weights))
            .map(|layer| Layer::load(&weights, layer, heads, epsilon))
            .collect::<Result<Vec<_>, _>>()?;
        let types = weights.tensor("embeddings.token_type_embeddings.weight")?;
        let positions = weights.tensor("embeddings.position_embeddings.weight")?;
        if !matches!(positions.dims(), &[rows, _] if rows >= 2) {
            return Err(InferenceError::failed("position vectors", "there are too few of them"));
        }
        let positions = types
            .narrow(0, 0, 1)
            .and_then(|first| positions.broadcast_add(&first))
            .map_err(|error| InferenceError::failed("position vectors", error))?;
        let norm = Norm::load(&weights, "embeddings.LayerNorm", epsilon)?;
        Ok(Self { weights, positions, norm, layers, heads, hidden })
    }

    /// Unit vectors of `texts`, each a list of 1 to `tokens_max` token ids.
    pub(crate) fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let length = texts.iter().map(|ids| ids.len()).max().unwrap_or(0);
        if length == 0 {
            return Ok(texts.iter().map(|_| vec![0.0; self.hidden]).collect());
        }
        let padded: Vec<u32> = texts
            .iter()
            .flat_map(|ids| ids.iter().copied().chain(std::iter::repeat_n(0, length - ids.len())))
            .collect();
        let words =
            Tensor::from_vec(self.weights.rows(WORD_TABLE, &padded)?, (padded.len(), self.hidden), &Device::Cpu)
                .map_err(|error| InferenceError::failed(WORD_TABLE, error))?;
        let mask: Vec<f32> = texts
            .iter()
            .flat_map(|ids| (0..length).map(|position| if position < ids.len() { 1.0 } else { 0.0 }))
            .collect();
        self.forward(&words, &mask, texts.len(), length).map_err(|error| InferenceError::failed("encoder", error))
    }

    /// `words` is (batch * length, hidden); `mask` holds 1 for a token and 0 for padding.
    fn forward(&self, words: &Tensor, mask: &[f32], batch: usize, length: usize) -> candle_core::Result<Vec<Vec<f32>>> {
        let mask = Tensor::from_slice(mask, (batch, length), &Device::Cpu)?;
        // A batch without padding needs no mask in attention.
        let scores_mask = if batch == 1 {
            None
        } else {
            Some(mask.affine(f64::from(-MASKED), f64::from(MASKED))?.reshape((batch, 1, 1, length))?)
        };
        let positions = self.positions.narrow(0, 0, length)?;
        let x = words.reshape((batch, length, self.hidden))?.broadcast_add(&positions)?;
        let mut x = self.norm.forward(&x.reshape((batch * length, self.hidden))?)?;
        for layer in &self.layers {
            x = layer.forward(&x, scores_mask.as_ref(), [batch, length, self.heads])?;
        }
        // The length of the sum does not matter: the vector is scaled to length 1.
        let pooled = mask.unsqueeze(1)?.matmul(&x.reshape((batch, length, self.hidden))?)?.squeeze(1)?;
        let norms = pooled.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        pooled.broadcast_div(&norms)?.to_vec2()
    }
}

impl Layer {
    fn load(weights: &BertWeights, layer: usize, heads: usize, epsilon: f32) -> Result<Self, InferenceError> {
        let prefix = format!("encoder.layer.{layer}");
        let linear = |name: &str| Linear::load(weights, &format!("{prefix}.{name}"));
        let norm = |name: &str| Norm::load(weights, &format!("{prefix}.{name}"), epsilon);
        let (query, key, value) =
            (linear("attention.self.query")?, linear("attention.self.key")?, linear("attention.self.value")?);
        Ok(Self {
            qkv: Linear::fuse(&query, &key, &value, heads).map_err(|error| InferenceError::failed(&prefix, error))?,
            attention_output: linear("attention.output.dense")?,
            attention_norm: norm("attention.output.LayerNorm")?,
            widen: linear("intermediate.dense")?,
            narrow: linear("output.dense")?,
            output_norm: norm("output.LayerNorm")?,
        })
    }

    /// `x` is (batch * length, hidden), and so is the result.
    fn forward(&self, x: &Tensor, mask: Option<&Tensor>, sizes: [usize; 3]) -> candle_core::Result<Tensor> {
        let attention = self.attention_output.forward(&self.attend(x, mask, sizes)?)?;
        let x = self.attention_norm.forward(&(attention + x)?)?;
        let wide = self.widen.forward(&x)?.gelu_erf()?;
        self.output_norm.forward(&(self.narrow.forward(&wide)? + x)?)
    }

    fn attend(&self, x: &Tensor, mask: Option<&Tensor>, sizes: [usize; 3]) -> candle_core::Result<Tensor> {
        let [batch, length, heads] = sizes;
        let (rows, hidden) = x.dims2()?;
        let qkv = self.qkv.forward(x)?.reshape((batch, length, 3, heads, hidden / heads))?;
        let qkv = qkv.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let (query, key, value) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let mut scores = query.matmul(&key.t()?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        softmax_last_dim(&scores)?.matmul(&value)?.transpose(1, 2)?.contiguous()?.reshape((rows, hidden))
    }
}

/// `y = x w + b` with `w` of shape (inputs, outputs).
#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn load(weights: &BertWeights, name: &str) -> Result<Self, InferenceError> {
        let weight = weights.tensor(&format!("{name}.weight"))?;
        let weight = weight.t().map_err(|error| InferenceError::failed(name, error))?;
        Ok(Self { weight, bias: weights.tensor(&format!("{name}.bias"))? })
    }

    fn fuse(query: &Self, key: &Self, value: &Self, heads: usize) -> candle_core::Result<Self> {
        let scale = 1.0 / (query.weight.dim(1)? as f64 / heads as f64).sqrt();
        let (weight, bias) = ((&query.weight * scale)?, (&query.bias * scale)?);
        Ok(Self {
            weight: Tensor::cat(&[&weight, &key.weight, &value.weight], 1)?,
            bias: Tensor::cat(&[&bias, &key.bias, &value.bias], 0)?,
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

#[derive(Debug)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
}

impl Norm {
    fn load(weights: &BertWeights, name: &str, epsilon: f32) -> Result<Self, InferenceError> {
        let (weight, bias) = (weights.tensor(&format!("{name}.weight"))?, weights.tensor(&format!("{name}.bias"))?);
        Ok(Self { weight, bias, epsilon })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        layer_norm(x, &self.weight, &self.bias, self.epsilon)
    }
}
