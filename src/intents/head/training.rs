//! Training of the head: shapes checked, features computed once, mini-batches, the temperature.

use candle_core::{D, DType, Device, Tensor};

use super::{HeadError, HeadOptions, LinearHead, centred};
use crate::intents::ngrams::{self, SparseFeatures};

/// Nesterov momentum.
const MOMENTUM: f64 = 0.9;

/// The temperature with the least log loss, by golden-section search in log space. 1 without examples.
pub(super) fn temperature(held_out: &[HeldOut]) -> f32 {
    const GOLDEN: f32 = 0.618_034;
    if held_out.is_empty() {
        return 1.0;
    }
    let loss = |log_temperature: f32| -> f64 {
        let temperature = log_temperature.exp();
        let losses = held_out.iter().map(|HeldOut { label, logits, .. }| {
            let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = logits.iter().map(|logit| ((logit - peak) / temperature).exp()).sum();
            f64::from(total.ln() - (logits[*label] - peak) / temperature)
        });
        losses.sum()
    };
    let (mut low, mut high) = (0.2_f32.ln(), 5.0_f32.ln());
    for _ in 0..16 {
        let (left, right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        if loss(left) < loss(right) {
            high = right;
        } else {
            low = left;
        }
    }
    f32::midpoint(low, high).exp()
}

/// Scores of an example by a head that has not seen it.
pub(super) struct HeldOut {
    pub(super) example: usize,
    label: usize,
    pub(super) logits: Vec<f32>,
}

/// Features and labels of the whole set, computed once and shared by all folds.
pub(super) struct TrainingSet<'a> {
    sparse: Vec<SparseFeatures>,
    /// Centred embeddings; each empty when there are none.
    dense: Vec<Vec<f32>>,
    labels: &'a [usize],
    classes: usize,
    mean: Vec<f32>,
    scale: f32,
}

impl<'a> TrainingSet<'a> {
    pub(super) fn new(
        texts: &[&str],
        embeddings: &[Vec<f32>],
        labels: &'a [usize],
        classes: usize,
        options: &HeadOptions,
    ) -> Result<Self, HeadError> {
        check_shapes(texts, embeddings, labels, classes)?;
        let mean = mean_of(embeddings);
        let spread = embeddings.iter().map(|embedding| squared_distance(embedding, &mean)).sum::<f32>();
        let spread = (spread / embeddings.len().max(1) as f32).sqrt();
        let scale = if spread > 0.0 { options.embedding_scale / spread } else { 0.0 };
        let dense = match embeddings {
            [] => vec![Vec::new(); texts.len()],
            _ => embeddings.iter().map(|embedding| centred(embedding, &mean, scale)).collect(),
        };
        let sparse = texts.iter().map(|text| ngrams::features(text, options.buckets)).collect();
        Ok(Self { sparse, dense, labels, classes, mean, scale })
    }

    /// Logits of the examples of the first `folds_used` folds, each from a head that has not seen it. The examples of
    /// a class are dealt out to the folds in turn.
    pub(super) fn held_out_logits(&self, options: &HeadOptions, folds_used: usize) -> Result<Vec<HeldOut>, HeadError> {
        let mut dealt = vec![0_usize; self.classes];
        let fold_of: Vec<usize> = self
            .labels
            .iter()
            .map(|&label| {
                dealt[label] += 1;
                dealt[label] % options.folds
            })
            .collect();
        let mut logits = Vec::with_capacity(self.labels.len());
        for fold in 0..folds_used {
            let (held_out, kept): (Vec<usize>, Vec<usize>) =
                (0..self.labels.len()).partition(|&example| fold_of[example] == fold);
            let head = self.fit(&kept, options)?;
            logits.extend(held_out.into_iter().map(|example| HeldOut {
                example,
                label: self.labels[example],
                logits: head.logits_of(&self.sparse[example], &self.dense[example]),
            }));
        }
        Ok(logits)
    }

    /// Trains on the examples in `members`.
    pub(super) fn fit(&self, members: &[usize], options: &HeadOptions) -> Result<LinearHead, HeadError> {
        let device = Device::Cpu;
        let columns = self.mean.len() + options.buckets as usize;
        let mut weights = Tensor::zeros((columns + 1, self.classes), DType::F32, &device)?;
        let mut velocity = weights.clone();
        let mut order = members.to_vec();
        let mut random = SplitMix64::new();
        let batch = options.batch.max(1);
        let steps_total = options.epochs * order.len().div_ceil(batch);
        let mut step = 0;
        for _ in 0..options.epochs {
            random.shuffle(&mut order);
            for members in order.chunks(batch) {
                let progress = step as f32 / steps_total as f32;
                let rate = f64::from(options.learning_rate * 0.5 * (1.0 + (std::f32::consts::PI * progress).cos()));
                let inputs = self.inputs(members, columns, &device)?;
                let gradient = self.gradient(&inputs, &weights, members, &device)?;
                let gradient = (gradient + (&weights * f64::from(options.l2))?)?;
                velocity = ((velocity * MOMENTUM)? - (&gradient * rate)?)?;
                weights = ((weights + (&velocity * MOMENTUM)?)? - (gradient * rate)?)?;
                step += 1;
            }
        }
        let mut weights: Vec<f32> = weights.flatten_all()?.to_vec1()?;
        let bias = weights.split_off(columns * self.classes);
        Ok(LinearHead {
            classes: self.classes,
            buckets: options.buckets,
            mean: self.mean.clone(),
            scale: self.scale,
            weights,
            bias,
            temperature: 1.0,
        })
    }

    /// Feature rows of one batch, `members x (columns + 1)`; the last column is one, for the bias.
    fn inputs(&self, members: &[usize], columns: usize, device: &Device) -> Result<Tensor, HeadError> {
        let offset = self.mean.len();
        let width = columns + 1;
        let mut rows = vec![0.0_f32; members.len() * width];
        for (row, &example) in rows.chunks_exact_mut(width).zip(members) {
            row[..offset].copy_from_slice(&self.dense[example]);
            for &(bucket, weight) in &self.sparse[example] {
                row[offset + bucket as usize] = weight;
            }
            row[columns] = 1.0;
        }
        Ok(Tensor::from_vec(rows, (members.len(), width), device)?)
    }

    /// Gradient of the mean log loss: `inputs^T (softmax(inputs weights) - onehot) / batch`.
    fn gradient(
        &self,
        inputs: &Tensor,
        weights: &Tensor,
        members: &[usize],
        device: &Device,
    ) -> Result<Tensor, HeadError> {
        let logits = inputs.matmul(weights)?;
        let exponents = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
        let probabilities = exponents.broadcast_div(&exponents.sum_keepdim(D::Minus1)?)?;
        let mut targets = vec![0.0_f32; members.len() * self.classes];
        for (row, &example) in targets.chunks_exact_mut(self.classes).zip(members) {
            row[self.labels[example]] = 1.0;
        }
        let targets = Tensor::from_vec(targets, (members.len(), self.classes), device)?;
        let errors = ((probabilities - targets)? / members.len() as f64)?;
        Ok(inputs.t()?.matmul(&errors)?)
    }
}

/// Refuses sets that do not belong together.
pub(super) fn check_shapes(
    texts: &[&str],
    embeddings: &[Vec<f32>],
    labels: &[usize],
    classes: usize,
) -> Result<(), HeadError> {
    let shape = |problem: String| Err(HeadError::Shape(problem));
    if texts.is_empty() {
        return shape("there are no examples".to_owned());
    }
    if texts.len() != labels.len() {
        return shape(format!("{} texts have {} labels", texts.len(), labels.len()));
    }
    if !embeddings.is_empty() && embeddings.len() != texts.len() {
        return shape(format!("{} texts have {} embeddings", texts.len(), embeddings.len()));
    }
    if let Some(label) = labels.iter().find(|label| **label >= classes) {
        return shape(format!("label {label} is not below the number of classes, {classes}"));
    }
    let length = embeddings.first().map_or(0, Vec::len);
    if embeddings.iter().any(|embedding| embedding.len() != length) {
        return shape("the embeddings have different lengths".to_owned());
    }
    if embeddings.iter().flatten().any(|value| !value.is_finite()) {
        return shape("an embedding holds a value that is not a number".to_owned());
    }
    Ok(())
}

/// Mean of the embeddings; empty without any.
fn mean_of(embeddings: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0_f32; embeddings.first().map_or(0, Vec::len)];
    for embedding in embeddings {
        mean.iter_mut().zip(embedding).for_each(|(sum, value)| *sum += value);
    }
    for sum in &mut mean {
        *sum /= embeddings.len() as f32;
    }
    mean
}

fn squared_distance(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).powi(2)).sum()
}

/// A small fixed generator (Steele et al. 2014): the same order of examples on every machine.
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    /// Always the same order.
    pub(super) fn new() -> Self {
        Self(0x5eed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Fisher-Yates.
    pub(super) fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}
