//! A merchant's own intents: trained from the merchant's examples, with a sense for what is none of them.
//!
//! Messages that belong to no intent are most of what goes wrong in live shops, and merchants rarely have examples of
//! them. So the head also learns the shipped examples (small talk, every usual question to a shop, talk about anything
//! else) as background classes beside the merchant's; background that turns out to be one of the merchant's own
//! intents is found by cross-validation and left out. On top, a threshold on the probability is chosen on folds in which
//! some intents are held back entirely and play what is unknown.
//!
//! Where the last encoder is the chat model, which is dear, it is used only when cross-validation finds that it pays.

mod classifier;
mod folds;
mod storage;

use super::{Example, HeadError, LinearHead, OnlineOptions};
use folds::{Judged, Judgement};

pub use classifier::MerchantClassifier;
pub use folds::{CrossValidation, Row};

/// Examples that are shown in all, at the least and in passes over the set.
const STEPS_MIN: usize = 80_000;
const EPOCHS_MIN: usize = 12;
const EPOCHS_MAX: usize = 60;
/// n-grams collide seldom in so many buckets.
const BUCKETS: u32 = 1 << 15;
/// Length of an embedding beside the n-grams, whose length is 1.
const EMBEDDING_SCALE: f32 = 1.5;
const LEARNING_RATE: f32 = 0.4;

/// A merchant's labelled message with its embedding by each encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What a shopper wrote.
    pub text: String,
    /// The merchant's name for it.
    pub label: String,
    /// One unit vector an encoder, always in the same order.
    pub embeddings: Vec<Vec<f32>>,
}

/// What a merchant's head says about a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The likeliest of the merchant's intents.
    pub nearest: String,
    /// Its probability among everything known, 0 to 1.
    pub confidence: f32,
    /// Whether the probability reaches the threshold; otherwise the message is out of scope.
    pub in_scope: bool,
}

/// How the embeddings of one encoder are brought to a common scale.
#[derive(Debug, Clone, PartialEq)]
struct Block {
    mean: Vec<f32>,
    scale: f32,
}

/// The trained head with everything that predicting needs.
#[derive(Debug, Clone, PartialEq)]
pub struct MerchantIntents {
    /// The merchant's intents; the position is the head's label, background classes follow.
    labels: Vec<String>,
    encoders: Vec<String>,
    blocks: Vec<Block>,
    head: LinearHead,
    threshold: f32,
}

/// What there is to learn from.
#[derive(Debug, Clone, Default)]
pub struct Lesson<'a> {
    /// The merchant's examples.
    pub samples: &'a [Sample],
    /// The label that stands for "none of these", where the merchant has examples of it.
    pub out_of_scope: Option<&'a str>,
    /// Shipped examples with their embeddings: what other messages are like.
    pub background: &'a [(Example, Vec<Vec<f32>>)],
    /// Names of the encoders, in the order of the embeddings.
    pub encoders: &'a [String],
    /// Whether the last encoder has to prove its worth.
    pub last_is_optional: bool,
}

impl MerchantIntents {
    /// Trains and chooses the threshold. Deterministic. Also gives the cross-validated figures.
    ///
    /// # Errors
    /// [`HeadError::Shape`] when there are fewer than two intents, or the embeddings do not match.
    pub fn train(lesson: &Lesson) -> Result<(Self, CrossValidation), HeadError> {
        let (set, judged) = chosen(lesson)?;
        let background = set.background_without(&judged.confused);
        let (threshold, figures) = folds::figures(&set, &judged);
        let head = set.fit(|_| true, &background)?;
        let head = Self {
            labels: set.labels.clone(),
            encoders: lesson.encoders[..set.blocks.len()].to_vec(),
            blocks: set.blocks.clone(),
            head,
            threshold,
        };
        Ok((head, figures))
    }

    /// Judges one message; `embeddings` as in training.
    pub fn predict(&self, text: &str, embeddings: &[Vec<f32>]) -> Verdict {
        let probabilities = self.head.probabilities(text, &joined(&self.blocks, embeddings));
        let Judgement { class, confidence } = folds::best_of(&probabilities, self.labels.len());
        let in_scope = confidence >= self.threshold;
        Verdict { nearest: self.labels[class].clone(), confidence, in_scope }
    }

    /// Probability of each of the merchant's labels among themselves, in their order.
    pub fn probabilities(&self, text: &str, embeddings: &[Vec<f32>]) -> Vec<f32> {
        let mut probabilities = self.head.probabilities(text, &joined(&self.blocks, embeddings));
        probabilities.truncate(self.labels.len());
        let total = probabilities.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        for probability in &mut probabilities {
            *probability /= total;
        }
        probabilities
    }

    /// The merchant's intents.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Names of the encoders whose embeddings are wanted, in order.
    pub fn encoders(&self) -> &[String] {
        &self.encoders
    }

    /// Probability from which a message counts as in scope.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }
}

/// The lesson with all encoders, or without the last one where that has to prove its worth and does not.
fn chosen<'a>(lesson: &Lesson<'a>) -> Result<(LabelledSet<'a>, Judged), HeadError> {
    let all = lesson.encoders.len();
    let with = |encoders: usize| {
        let set = LabelledSet::new(lesson, encoders)?;
        let judged = folds::judge(&set)?;
        Ok::<_, HeadError>((set, judged))
    };
    if !lesson.last_is_optional || all < 2 {
        return with(all);
    }
    let (fewer, more) = (with(all - 1)?, with(all)?);
    Ok(if folds::pays(&fewer.1, &more.1) { more } else { fewer })
}

/// Everything of a lesson as numbers.
struct LabelledSet<'a> {
    labels: Vec<String>,
    texts: Vec<&'a str>,
    /// Joined embeddings of `texts`.
    dense: Vec<Vec<f32>>,
    /// Index into `labels`; `None` for the merchant's examples of "none of these".
    classes: Vec<Option<usize>>,
    background: Vec<(&'a Example, Vec<f32>)>,
    blocks: Vec<Block>,
}

impl<'a> LabelledSet<'a> {
    /// `encoders` is how many of the lesson's encoders are used.
    fn new(lesson: &Lesson<'a>, encoders: usize) -> Result<Self, HeadError> {
        let in_scope = |sample: &&Sample| Some(sample.label.as_str()) != lesson.out_of_scope;
        let mut labels: Vec<String> =
            lesson.samples.iter().filter(in_scope).map(|sample| sample.label.clone()).collect();
        labels.sort();
        labels.dedup();
        if labels.len() < 2 {
            return Err(HeadError::Shape(format!("there are {} intents, two are the least", labels.len())));
        }
        let wrong = |embeddings: &Vec<Vec<f32>>| embeddings.len() != lesson.encoders.len();
        if lesson.samples.iter().any(|sample| wrong(&sample.embeddings))
            || lesson.background.iter().any(|b| wrong(&b.1))
        {
            return Err(HeadError::Shape("an example lacks an embedding".to_owned()));
        }
        let blocks = (0..encoders)
            .map(|encoder| Block::of(lesson.samples.iter().map(|sample| sample.embeddings[encoder].as_slice())))
            .collect::<Vec<_>>();
        let dense = |embeddings: &[Vec<f32>]| joined(&blocks, &embeddings[..encoders]);
        let background = lesson.background.iter().map(|(example, embeddings)| (example, dense(embeddings))).collect();
        Ok(Self {
            texts: lesson.samples.iter().map(|sample| sample.text.as_str()).collect(),
            dense: lesson.samples.iter().map(|sample| dense(&sample.embeddings)).collect(),
            classes: lesson.samples.iter().map(|sample| labels.binary_search(&sample.label).ok()).collect(),
            labels,
            background,
            blocks,
        })
    }

    /// The background without the intents that are the merchant's own under another name.
    fn background_without(&self, confused: &[super::Intent]) -> Vec<&(&'a Example, Vec<f32>)> {
        self.background.iter().filter(|(example, _)| !confused.contains(&example.intent)).collect()
    }

    /// A head trained on the merchant's examples that `keeps` says, and on `background`.
    fn fit(
        &self,
        keeps: impl Fn(usize) -> bool,
        background: &[&(&'a Example, Vec<f32>)],
    ) -> Result<LinearHead, HeadError> {
        let unknown = self.labels.len();
        let (mut texts, mut dense, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for at in (0..self.texts.len()).filter(|at| keeps(*at)) {
            texts.push(self.texts[at]);
            dense.push(self.dense[at].clone());
            labels.push(self.classes[at].unwrap_or(unknown));
        }
        for (example, vector) in background {
            texts.push(example.text.as_str());
            dense.push(vector.clone());
            labels.push(unknown + 1 + example.intent.index());
        }
        let others = if background.is_empty() { 0 } else { super::Intent::ALL.len() };
        let classes = unknown + 1 + others;
        LinearHead::train_online(&texts, &dense, &labels, classes, &options(texts.len()))
    }
}

/// Small sets take more passes, so that the head is trained out; the temperature stays 1, the threshold sees to it.
fn options(examples: usize) -> OnlineOptions {
    let epochs = (STEPS_MIN / examples.max(1)).clamp(EPOCHS_MIN, EPOCHS_MAX);
    OnlineOptions { buckets: BUCKETS, embedding_scale: EMBEDDING_SCALE, epochs, learning_rate: LEARNING_RATE }
}

impl Block {
    /// Mean and the inverse of the spread of some vectors.
    fn of<'a>(vectors: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        let count = vectors.clone().count().max(1) as f32;
        let mut mean = vec![0.0_f32; vectors.clone().next().map_or(0, <[f32]>::len)];
        for vector in vectors.clone() {
            mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value / count);
        }
        let spread: f32 = vectors
            .map(|vector| vector.iter().zip(&mean).map(|(value, mean)| (value - mean).powi(2)).sum::<f32>())
            .sum();
        let spread = (spread / count).sqrt();
        Self { mean, scale: if spread > 0.0 { 1.0 / spread } else { 0.0 } }
    }
}

/// The embeddings of all encoders in one vector, each centred and of like length.
fn joined(blocks: &[Block], embeddings: &[Vec<f32>]) -> Vec<f32> {
    if blocks.iter().map(|block| block.mean.len()).ne(embeddings.iter().map(Vec::len)) {
        return Vec::new();
    }
    let each = blocks
        .iter()
        .zip(embeddings)
        .map(|(block, embedding)| embedding.iter().zip(&block.mean).map(|(value, mean)| (value - mean) * block.scale));
    each.flatten().collect()
}
