//! A linear classifier over an embedding and hashed n-grams: trained in seconds, answers in well under a millisecond.
//!
//! Multinomial logistic regression. The embedding is centred by the mean of the training set and scaled (all e5
//! embeddings point roughly the same way; what distinguishes them is what is left without that direction), and joined
//! with the hashed n-grams of the text. Training is mini-batch gradient descent with Nesterov momentum and a decaying
//! step. One temperature, fitted on held-out folds, makes the probabilities honest (Guo et al. 2017).

use candle_core::{D, Device, Tensor};

use crate::intents::ngrams::{self, SparseFeatures};

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
        Self { buckets: 1 << 13, embedding_scale: 1.5, epochs: 20, batch: 64, learning_rate: 2.0, l2: 2e-5, folds: 2 }
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
            head.temperature = temperature(&set.held_out_logits(options)?, labels);
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
        let logits = set.held_out_logits(options)?;
        Ok(logits.into_iter().map(|row| softmax(&row, 1.0)).collect())
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
    probabilities.iter_mut().for_each(|probability| *probability /= total);
    probabilities
}

/// The temperature with the least log loss over `logits`, by golden-section search in log space.
fn temperature(logits: &[Vec<f32>], labels: &[usize]) -> f32 {
    let loss = |log_temperature: f32| -> f64 {
        let temperature = log_temperature.exp();
        let losses = logits.iter().zip(labels).map(|(row, &label)| {
            let peak = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = row.iter().map(|logit| ((logit - peak) / temperature).exp()).sum();
            f64::from(total.ln() - (row[label] - peak) / temperature)
        });
        losses.sum()
    };
    const GOLDEN: f32 = 0.618_034;
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

/// Features and labels of the whole set, computed once and shared by all folds.
struct TrainingSet<'a> {
    sparse: Vec<SparseFeatures>,
    /// Centred embeddings; each empty when there are none.
    dense: Vec<Vec<f32>>,
    labels: &'a [usize],
    classes: usize,
    mean: Vec<f32>,
    scale: f32,
}

impl<'a> TrainingSet<'a> {
    fn new(
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

    /// Logits of each example from a head that has not seen it. Example `i` is in fold `i % folds` of its class.
    fn held_out_logits(&self, options: &HeadOptions) -> Result<Vec<Vec<f32>>, HeadError> {
        let mut seen = vec![0_usize; self.classes];
        let fold_of: Vec<usize> = self
            .labels
            .iter()
            .map(|&label| {
                seen[label] += 1;
                seen[label] % options.folds
            })
            .collect();
        let mut logits = vec![Vec::new(); self.labels.len()];
        for fold in 0..options.folds {
            let (held_out, kept): (Vec<usize>, Vec<usize>) =
                (0..self.labels.len()).partition(|&example| fold_of[example] == fold);
            let head = self.fit(&kept, options)?;
            for example in held_out {
                logits[example] = head.logits_of(&self.sparse[example], &self.dense[example]);
            }
        }
        Ok(logits)
    }

    /// Trains on the examples in `members`.
    fn fit(&self, members: &[usize], options: &HeadOptions) -> Result<LinearHead, HeadError> {
        let device = Device::Cpu;
        let columns = self.mean.len() + options.buckets as usize;
        let mut weights = Tensor::zeros((columns + 1, self.classes), candle_core::DType::F32, &device)?;
        let mut velocity = weights.clone();
        let mut order = members.to_vec();
        let mut random = SplitMix64(0x5eed);
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
        Ok(inputs.t()?.contiguous()?.matmul(&errors)?)
    }
}

/// Nesterov momentum.
const MOMENTUM: f64 = 0.9;

/// Refuses sets that do not belong together.
fn check_shapes(texts: &[&str], embeddings: &[Vec<f32>], labels: &[usize], classes: usize) -> Result<(), HeadError> {
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
    mean.iter_mut().for_each(|sum| *sum /= embeddings.len() as f32);
    mean
}

fn squared_distance(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).powi(2)).sum()
}

/// A small fixed generator (Steele et al. 2014): the same order of examples on every machine.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Fisher-Yates.
    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}
