//! Whether a text answers a question, read off the chat model's own states.
//!
//! What a language model makes of a question after a passage says more about the two than the words that it would write:
//! a probe (Alain and Bengio 2016) on the state of the middle layers, a network of one hidden layer, tells passages that
//! answer from those that are merely about the same things. Only the layers up to there are computed, and no logits. A probe fits the model
//! that it was trained on and no other, whatever its quantization; other models have none. `shoptalk train reader` makes
//! one.

use std::path::Path;

use half::f16;

use super::InferenceError;

/// Stored probes that come with the program.
const STORED: &[&[u8]] = &[include_bytes!("reader/qwen2.5-coder-0.5b-instruct.reader")];
/// First bytes of a stored probe.
const MAGIC: &[u8; 8] = b"SHOPREAD";

/// A probe on the states after some layer, with what is made of its log odds.
#[derive(Debug, Clone, PartialEq)]
pub struct Reader {
    /// Of the model that it was trained on.
    pub fingerprint: u32,
    /// Layers that are computed.
    pub layers: usize,
    /// From a state to log odds.
    pub network: Network,
    /// From the log odds to the probability that a passage answers.
    pub calibration: Calibration,
}

/// One hidden layer between a state and its log odds.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// `units x inputs`, unit by unit; the inputs are the last token's state and the mean state, one behind the other.
    pub hidden: Vec<f32>,
    /// One a unit.
    pub hidden_bias: Vec<f32>,
    /// One a unit.
    pub output: Vec<f32>,
    /// Log odds of units at nought.
    pub bias: f32,
}

impl Network {
    /// Log odds that the text answers; `state` as `Decoder::states` gives it.
    pub fn log_odds(&self, state: &[f32]) -> f32 {
        let units = self.hidden.chunks_exact(state.len().max(1)).zip(&self.hidden_bias).zip(&self.output);
        self.bias + units.map(|((weights, bias), output)| output * gelu(bias + dot(weights, state))).sum::<f32>()
    }

    fn inputs(&self) -> usize {
        self.hidden.len() / self.output.len().max(1)
    }
}

/// Hendrycks and Gimpel 2016, by the hyperbolic tangent.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + (x * (std::f32::consts::FRAC_2_PI.sqrt() * (1.0 + 0.044_715 * x * x))).tanh())
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Weights of a logistic regression on the log odds and what the ranking knows of a passage beside them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Calibration {
    /// Without anything.
    pub bias: f32,
    /// One for each of [`Calibration::NAMES`].
    pub weights: [f32; Calibration::NAMES.len()],
}

impl Calibration {
    /// What is weighed, in this order.
    pub const NAMES: [&'static str; 10] = [
        "log_odds",
        "value",
        "lead",
        "share",
        "z",
        "heading_z",
        "cosine",
        "english_sentence_cosine",
        "coverage",
        "cross_language",
    ];

    /// The probability, 0 to 1.
    pub fn probability(&self, known: &[f32; Self::NAMES.len()]) -> f32 {
        let logit: f32 = self.weights.iter().zip(known).map(|(weight, value)| weight * value).sum();
        1.0 / (1.0 + (-self.bias - logit).exp())
    }
}

impl Reader {
    /// The probe for the model with this fingerprint, of those that come with the program.
    pub(crate) fn of(fingerprint: u32) -> Option<Self> {
        STORED.iter().filter_map(|bytes| Self::parse(bytes)).find(|reader| reader.fingerprint == fingerprint)
    }

    /// Layers that are computed for the model with this fingerprint by the probe that comes with the program.
    pub fn layers_of(fingerprint: u32) -> Option<usize> {
        Self::of(fingerprint).map(|reader| reader.layers)
    }

    /// Reads a file that `shoptalk train reader` wrote.
    ///
    /// Errors: no such file, or not a probe.
    pub fn load(path: &Path) -> Result<Self, InferenceError> {
        let bytes = std::fs::read(path)
            .map_err(|error| InferenceError::Failed(format!("cannot read the reader {}: {error}", path.display())))?;
        Self::parse(&bytes).ok_or_else(|| {
            InferenceError::Failed(format!(
                "{} is no reader: name a file that `shoptalk train reader` wrote, or leave models.reader out",
                path.display()
            ))
        })
    }

    /// The stored form: fingerprint, layers, units and inputs as little-endian `u32`; calibration, biases and output as
    /// little-endian `f32`; the hidden layer as little-endian `f16`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let network = &self.network;
        let mut bytes = MAGIC.to_vec();
        let sizes = [self.layers, network.output.len(), network.inputs()].map(|size| size as u32);
        for number in std::iter::once(self.fingerprint).chain(sizes) {
            bytes.extend(number.to_le_bytes());
        }
        let calibration = std::iter::once(&self.calibration.bias).chain(&self.calibration.weights);
        let output = std::iter::once(&network.bias).chain(&network.output).chain(&network.hidden_bias);
        for number in calibration.chain(output) {
            bytes.extend(number.to_le_bytes());
        }
        for number in &network.hidden {
            bytes.extend(f16::from_f32(*number).to_le_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, bytes) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<16>()?;
        let sizes: Vec<usize> =
            header.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word) as usize).collect();
        let &[_, layers, units, inputs] = sizes.as_slice() else { return None };
        let (numbers, bytes) = bytes.split_at_checked(4 * (Calibration::NAMES.len() + 2 + units.checked_mul(2)?))?;
        let hidden: Vec<f32> =
            bytes.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect();
        let numbers: Vec<f32> = numbers.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let is_whole = bytes.len() == 2 * units.checked_mul(inputs)?;
        if !is_whole || numbers.iter().chain(&hidden).any(|number| !number.is_finite()) {
            return None;
        }
        let (&[calibration_bias], numbers) = numbers.split_first_chunk::<1>()?;
        let (&weights, numbers) = numbers.split_first_chunk()?;
        let (&[bias], numbers) = numbers.split_first_chunk::<1>()?;
        let (output, hidden_bias) = numbers.split_at_checked(units)?;
        Some(Self {
            fingerprint: u32::from_le_bytes(*header.first_chunk()?),
            layers,
            network: Network { hidden, hidden_bias: hidden_bias.to_vec(), output: output.to_vec(), bias },
            calibration: Calibration { bias: calibration_bias, weights },
        })
    }

    /// Log odds that the text answers; `state` as `Decoder::states` gives it.
    pub(crate) fn log_odds(&self, state: &[f32]) -> f32 {
        self.network.log_odds(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_reader_is_read_back_and_a_damaged_one_is_not() {
        let calibration = Calibration { bias: -1.0, weights: [0.5; 10] };
        let network = Network {
            hidden: vec![1.0, -2.0, 3.0, 4.0, 0.5, 0.25],
            hidden_bias: vec![0.1, -0.1],
            output: vec![2.0, 3.0],
            bias: 0.25,
        };
        let reader = Reader { fingerprint: 7, layers: 3, network, calibration };
        let bytes = reader.to_bytes();
        assert_eq!(Reader::parse(&bytes), Some(reader));
        assert_eq!(Reader::parse(&bytes[..bytes.len() - 2]), None);
        assert_eq!(Reader::parse(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Reader::parse(b"something else"), None);
        assert!(STORED.iter().all(|bytes| Reader::parse(bytes).is_some()));
    }

    #[test]
    fn units_are_weighed() {
        let network = Network {
            hidden: vec![1.0, 0.0, 0.0, 1.0],
            hidden_bias: vec![0.0, 1.0],
            output: vec![2.0, -1.0],
            bias: 0.5,
        };
        // gelu(3) = 2.9964, gelu(0) = 0.
        assert!((network.log_odds(&[3.0, -1.0]) - (0.5 + 2.0 * 2.9964)).abs() < 1e-3);
    }

    #[test]
    fn higher_log_odds_are_more_probable() {
        let mut calibration = Calibration::default();
        calibration.weights[0] = 1.0;
        let of = |log_odds| calibration.probability(&[log_odds, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(of(2.0) > of(-2.0) && (of(0.0) - 0.5).abs() < 1e-6);
    }
}
