//! Whether a text answers a question, read off the chat model's own states.
//!
//! What a language model makes of a question after a passage says more about the two than the words that it would write:
//! a linear probe (Alain and Bengio 2016) on the state of the middle layers tells passages that answer from those that
//! are merely about the same things. Only the layers up to there are computed, and no logits. A probe fits the model
//! that it was trained on and no other, whatever its quantization; other models have none.

/// Bytes of a stored probe: a header of three little-endian `u32` (fingerprint of the model, layers, width), then the
/// bias and two rows of `width` little-endian `f32`, for the last token's state and the mean state.
const STORED: &[&[u8]] = &[include_bytes!("reader/qwen2.5-coder-0.5b-instruct.bin")];

/// A linear probe on the states after some layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reader {
    /// Layers that are computed.
    pub(crate) layers: usize,
    bias: f32,
    weights: Vec<f32>,
}

impl Reader {
    /// The probe for the model with this fingerprint.
    pub(crate) fn of(fingerprint: u32) -> Option<Self> {
        STORED.iter().find_map(|bytes| Self::parse(bytes, fingerprint))
    }

    fn parse(bytes: &[u8], fingerprint: u32) -> Option<Self> {
        let words = bytes.as_chunks::<4>().0;
        let (header, numbers) = words.split_first_chunk::<3>()?;
        let [model, layers, width] = header.map(u32::from_le_bytes);
        let mut numbers = numbers.iter().map(|word| f32::from_le_bytes(*word));
        let (bias, weights) = (numbers.next()?, numbers.collect::<Vec<f32>>());
        (model == fingerprint && weights.len() == 2 * width as usize).then_some(Self {
            layers: layers as usize,
            bias,
            weights,
        })
    }

    /// Log odds that the text answers; `state` as `Decoder::states` gives it.
    pub(crate) fn log_odds(&self, state: &[f32]) -> f32 {
        self.bias + self.weights.iter().zip(state).map(|(weight, value)| weight * value).sum::<f32>()
    }
}
