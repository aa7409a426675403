//! A linear classifier over an embedding and hashed n-grams: trained in seconds, answers in well under a millisecond.
//!
//! Multinomial logistic regression. The embedding is centred by the mean of the training set and scaled (all e5
//! embeddings point roughly the same way; what distinguishes them is what is left without that direction), and joined
//! with the hashed n-grams of the text. Training is mini-batch gradient descent with Nesterov momentum and a decaying
//! step. One temperature, fitted on held-out folds, makes the probabilities honest (Guo et al. 2017).

mod online;
mod training;

use crate::intents::ngrams::{self, SparseFeatures};
pub use online::OnlineOptions;
use training::{TrainingSet, temperature};

/// Changes whenever the features, the training or the stored form change.
pub const FORMAT_VERSION: u32 = 1;

/// First bytes of a stored head.
const MAGIC: &[u8; 8] = b"SHOPHEAD";
/// A stored head claims no more than this many parameters: a damaged header must not exhaust the memory.
const PARAMETERS_MAX: usize = 1 << 28;

/// Why a head cannot be trained or read.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The examples file cannot be read.
    #[error("cannot read the intent examples: {0}")]
    Examples(String),
    /// Texts, labels and embeddings do not match one another.
    #[error("cannot train: {0}")]
    Shape(String),
    /// The tensor library failed.
    #[error("cannot train: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A folder holds no head, or none can be written there.
    #[error("{}: {problem}; train a head with `shoptalk train intents --data FILE --out DIR`", dir.display())]
    Folder {
        /// The folder.
        dir: std::path::PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The stored head was trained from something else.
    #[error("the stored head was trained from other examples or for another encoder: train it again")]
    Stale,
    /// The stored head is damaged.
    #[error("the stored head is damaged ({0}): delete it and train it again")]
    Corrupt(&'static str),
}

/// How a head is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadOptions {
    /// Buckets of the hashed n-grams; 0 uses the embedding alone.
    pub buckets: u32,
    /// Length of the centred embedding relative to the n-grams, whose length is 1.
    pub embedding_scale: f32,
    /// Passes over the examples.
    pub epochs: usize,
    /// Examples per step.
    pub batch: usize,
    /// First step size; it falls to zero over the epochs along a cosine.
    pub learning_rate: f32,
    /// Weight decay: the L2 penalty, per example.
    pub l2: f32,
    /// Folds of the cross-validation that finds the temperature; below 2, the temperature stays 1.
    pub folds: usize,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self { buckets: 1 << 12, embedding_scale: 1.5, epochs: 15, batch: 128, learning_rate: 6.0, l2: 5e-6, folds: 5 }
    }
}

/// Multinomial logistic regression with a calibrated temperature. Labels are indices from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    classes: usize,
    buckets: u32,
    /// Mean embedding of the training set; its length is the embedding's.
    mean: Vec<f32>,
    scale: f32,
    /// `(embedding length + buckets) x classes`, row by row.
    weights: Vec<f32>,
    bias: Vec<f32>,
    temperature: f32,
}

impl LinearHead {
    /// Trains on `texts` with their `labels` (each below `classes`) and fits the temperature. Deterministic.
    ///
    /// `embeddings` holds one vector per text, all of one length; or it is empty, and only the n-grams are used.
    ///
    /// # Errors
    /// [`HeadError::Shape`] when the three do not match.
    pub fn train(
        texts: &[&str],
        embeddings: &[Vec<f32>],
        labels: &[usize],
        classes: usize,
        options: &HeadOptions,
    ) -> Result<Self, HeadError> {
        let set = TrainingSet::new(texts, embeddings, labels, classes, options)?;
        let mut head = set.fit(&(0..texts.len()).collect::<Vec<_>>(), options)?;
        if options.folds >= 2 && texts.len() >= options.folds {
            // One fold is enough for one number, and keeps the first start short.
            head.temperature = temperature(&set.held_out_logits(options, 1)?);
        }
        Ok(head)
    }

    /// Probabilities that each text gets from a head trained without it, in the order of `texts`: for thresholds and
    /// for measuring. Temperature 1.
    ///
    /// # Errors
    /// [`HeadError::Shape`] when texts, labels and embeddings do not match, or with fewer than two folds.
    pub fn cross_validate(
        texts: &[&str],
        embeddings: &[Vec<f32>],
        labels: &[usize],
        classes: usize,
        options: &HeadOptions,
    ) -> Result<Vec<Vec<f32>>, HeadError> {
        if options.folds < 2 || texts.len() < options.folds {
            return Err(HeadError::Shape("cross-validation needs two folds and an example for each".to_owned()));
        }
        let set = TrainingSet::new(texts, embeddings, labels, classes, options)?;
        let mut probabilities = vec![Vec::new(); texts.len()];
        for held_out in set.held_out_logits(options, options.folds)? {
            probabilities[held_out.example] = softmax(&held_out.logits, 1.0);
        }
        Ok(probabilities)
    }

    /// Number of labels.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Calibrated probability of each label, in label order.
    ///
    /// An embedding of another length than in training counts as missing: the n-grams alone then decide.
    pub fn probabilities(&self, text: &str, embedding: &[f32]) -> Vec<f32> {
        softmax(&self.logits(text, embedding), self.temperature)
    }

    /// Scores before the temperature and the softmax, in label order.
    pub fn logits(&self, text: &str, embedding: &[f32]) -> Vec<f32> {
        let dense = centred(embedding, &self.mean, self.scale);
        self.logits_of(&ngrams::features(text, self.buckets), &dense)
    }

    /// `dense` is centred already, or empty.
    fn logits_of(&self, sparse: &SparseFeatures, dense: &[f32]) -> Vec<f32> {
        let offset = self.mean.len();
        let dense = dense.iter().copied().enumerate();
        let sparse = sparse.iter().map(|&(bucket, weight)| (offset + bucket as usize, weight));
        let mut logits = self.bias.clone();
        for (row, value) in dense.chain(sparse) {
            let weights = &self.weights[row * self.classes..(row + 1) * self.classes];
            for (logit, weight) in logits.iter_mut().zip(weights) {
                *logit += value * weight;
            }
        }
        logits
    }

    /// The stored form: a header, then all numbers as little-endian `f32`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [FORMAT_VERSION, self.classes as u32, self.buckets, self.mean.len() as u32] {
            bytes.extend(number.to_le_bytes());
        }
        let numbers = [self.scale, self.temperature];
        for number in numbers.iter().chain(&self.mean).chain(&self.bias).chain(&self.weights) {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`HeadError::Stale`] for another version, [`HeadError::Corrupt`] when the bytes are not a stored head.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeadError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(HeadError::Corrupt("not a stored head"))?;
        let (header, rest) = rest.split_first_chunk::<16>().ok_or(HeadError::Corrupt("too short"))?;
        let header: Vec<u32> = words(header).map(u32::from_le_bytes).collect();
        if header[0] != FORMAT_VERSION {
            return Err(HeadError::Stale);
        }
        let (classes, buckets, dimensions) = (header[1] as usize, header[2], header[3] as usize);
        let parameters = (dimensions + buckets as usize).checked_mul(classes).filter(|count| *count <= PARAMETERS_MAX);
        let parameters = parameters.ok_or(HeadError::Corrupt("impossible size"))?;
        if rest.len() != 4 * (2 + dimensions + classes + parameters) {
            return Err(HeadError::Corrupt("wrong length"));
        }
        let mut numbers = words(rest).map(f32::from_le_bytes);
        let (scale, temperature) = (numbers.next().unwrap_or(f32::NAN), numbers.next().unwrap_or(f32::NAN));
        let mean: Vec<f32> = numbers.by_ref().take(dimensions).collect();
        let bias: Vec<f32> = numbers.by_ref().take(classes).collect();
        let weights: Vec<f32> = numbers.collect();
        let finite = [&mean, &bias, &weights].into_iter().flatten().all(|number| number.is_finite());
        if !(finite && scale.is_finite() && temperature.is_finite() && temperature > 0.0) {
            return Err(HeadError::Corrupt("not a number"));
        }
        Ok(Self { classes, buckets, mean, scale, weights, bias, temperature })
    }
}

/// Four bytes at a time.
fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks::<4>().0.iter().copied()
}

/// The embedding without the training mean, scaled; empty when its length is not the mean's.
fn centred(embedding: &[f32], mean: &[f32], scale: f32) -> Vec<f32> {
    if embedding.len() != mean.len() {
        return Vec::new();
    }
    embedding.iter().zip(mean).map(|(value, mean)| (value - mean) * scale).collect()
}

/// Probabilities of `logits / temperature`.
fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut probabilities: Vec<f32> = logits.iter().map(|logit| ((logit - peak) / temperature).exp()).collect();
    let total: f32 = probabilities.iter().sum();
    for probability in &mut probabilities {
        *probability /= total;
    }
    probabilities
}
