//! Training example by example: stochastic gradient descent with a decaying step that touches only the features an
//! example has. Several times faster than whole batches where n-grams are many and classes few, and it fits large sets.

use super::{HeadError, LinearHead, training::SplitMix64};
use crate::intents::ngrams::{self, SparseFeatures};

/// How a head is trained example by example.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineOptions {
    /// Buckets of the hashed n-grams.
    pub buckets: u32,
    /// Factor of the embedding, whose scale is the caller's affair; n-grams have length 1.
    pub embedding_scale: f32,
    /// Passes over the examples.
    pub epochs: usize,
    /// First step size; it falls to zero along a cosine.
    pub learning_rate: f32,
}

/// One example as features.
struct Features {
    dense: Vec<f32>,
    sparse: SparseFeatures,
    label: usize,
}

impl LinearHead {
    /// Trains on `texts` with their `labels`, each below `classes`. `embeddings` holds one vector a text, centred
    /// already, or an empty one for all. The temperature stays 1. Deterministic.
    ///
    /// # Errors
    /// [`HeadError::Shape`] when the three do not match.
    pub fn train_online(
        texts: &[&str],
        embeddings: &[Vec<f32>],
        labels: &[usize],
        classes: usize,
        options: &OnlineOptions,
    ) -> Result<Self, HeadError> {
        super::training::check_shapes(texts, embeddings, labels, classes)?;
        let dimensions = embeddings.first().map_or(0, Vec::len);
        let examples: Vec<Features> = texts
            .iter()
            .enumerate()
            .map(|(at, text)| Features {
                dense: embeddings
                    .get(at)
                    .map(|vector| vector.iter().map(|value| value * options.embedding_scale).collect())
                    .unwrap_or_default(),
                sparse: ngrams::features(text, options.buckets),
                label: labels[at],
            })
            .collect();
        let mut head = Self {
            classes,
            buckets: options.buckets,
            mean: vec![0.0; dimensions],
            scale: options.embedding_scale,
            weights: vec![0.0; (dimensions + options.buckets as usize) * classes],
            bias: vec![0.0; classes],
            temperature: 1.0,
        };
        let mut order: Vec<usize> = (0..examples.len()).collect();
        let mut random = SplitMix64::new();
        let steps = (options.epochs * order.len()).max(1);
        let mut step = 0;
        for _ in 0..options.epochs {
            random.shuffle(&mut order);
            for &at in &order {
                let progress = step as f32 / steps as f32;
                let rate = options.learning_rate * 0.5 * (1.0 + (std::f32::consts::PI * progress).cos());
                head.learn(&examples[at], rate);
                step += 1;
            }
        }
        Ok(head)
    }

    /// One step: `W -= rate * x (softmax(W x) - onehot)`.
    fn learn(&mut self, example: &Features, rate: f32) {
        let mut errors = super::softmax(&self.logits_of(&example.sparse, &example.dense), 1.0);
        errors[example.label] -= 1.0;
        let offset = self.mean.len();
        let dense = example.dense.iter().copied().enumerate();
        let sparse = example.sparse.iter().map(|&(bucket, weight)| (offset + bucket as usize, weight));
        for (row, value) in dense.chain(sparse) {
            let weights = &mut self.weights[row * self.classes..(row + 1) * self.classes];
            for (weight, error) in weights.iter_mut().zip(&errors) {
                *weight -= rate * value * error;
            }
        }
        for (bias, error) in self.bias.iter_mut().zip(&errors) {
            *bias -= rate * error;
        }
    }
}
