//! The thread that owns the encoder. Questions go first and together; bulk work is done in small batches between
//! them, so that a question waits for one such batch at most.

use std::{fmt, sync::Arc, thread};

use futures::executor::block_on;
use tokenizers::Tokenizer;
use tokio::sync::{mpsc, oneshot};

use super::{
    InferenceError,
    encoder::{Encoder, TextKind},
    threads::{self, QuestionTurn},
};
use crate::telemetry;

/// Requests that may wait; the next question is refused, the next bulk request waits for a place.
const QUESTIONS_WAITING_MAX: usize = 64;
const BULK_WAITING_MAX: usize = 4;
/// Questions answered in one go.
const QUESTIONS_TOGETHER_MAX: usize = 32;
/// Tokens of one batch for each thread: large enough for the matrix product, small enough that a question hardly waits
/// for a bulk batch.
const THREAD_TOKENS_MAX: usize = 192;
/// Bulk texts that are tokenized together.
const BULK_WINDOW: usize = 32;

type Vectors = Result<Vec<Vec<f32>>, InferenceError>;

/// A request to the thread; dropping the other end of `reply` cancels it.
struct Request {
    texts: Vec<String>,
    reply: oneshot::Sender<Vectors>,
}

/// A handle to the encoder's thread, which ends when the handle is dropped.
pub struct LocalEmbedder {
    name: String,
    dimensions: usize,
    tokenizer: Arc<Tokenizer>,
    questions: mpsc::Sender<Request>,
    bulk: mpsc::Sender<Request>,
}

impl fmt::Debug for LocalEmbedder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalEmbedder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LocalEmbedder {
    /// Moves the encoder onto its thread.
    pub(crate) fn start(name: &str, encoder: Encoder) -> Result<Self, InferenceError> {
        let (questions, question_requests) = mpsc::channel(QUESTIONS_WAITING_MAX);
        let (bulk, bulk_requests) = mpsc::channel(BULK_WAITING_MAX);
        let (dimensions, tokenizer) = (encoder.dimensions(), encoder.tokenizer());
        thread::Builder::new()
            .name("encoder".to_owned())
            .spawn(move || run(&encoder, question_requests, bulk_requests))
            .map_err(|error| InferenceError::failed("cannot start the encoder's thread", error))?;
        Ok(Self { name: name.to_owned(), dimensions, tokenizer, questions, bulk })
    }

    pub(crate) async fn embed_queries(&self, texts: Vec<String>) -> Vectors {
        let (reply, vectors) = oneshot::channel();
        self.questions.try_send(Request { texts, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                telemetry::overloaded("encoder");
                InferenceError::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => InferenceError::Stopped,
        })?;
        vectors.await.unwrap_or(Err(InferenceError::Stopped))
    }

    pub(crate) async fn embed_passages(&self, texts: Vec<String>) -> Vectors {
        let (reply, vectors) = oneshot::channel();
        self.bulk.send(Request { texts, reply }).await.map_err(|_| InferenceError::Stopped)?;
        vectors.await.unwrap_or(Err(InferenceError::Stopped))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(crate) fn count_tokens(&self, text: &str) -> usize {
        // A text that the tokenizer refuses has no tokens that could reach the model.
        self.tokenizer.encode_fast(text, false).map_or(0, |encoding| encoding.len())
    }
}

fn run(encoder: &Encoder, mut questions: mpsc::Receiver<Request>, mut bulk: mpsc::Receiver<Request>) {
    let mut job: Option<BulkJob> = None;
    loop {
        let waiting = take_questions(&mut questions, Vec::new());
        if !waiting.is_empty() {
            answer_questions(encoder, waiting);
        } else if let Some(unfinished) = job.take() {
            job = unfinished.step(encoder);
        } else {
            let next = block_on(async {
                tokio::select! {
                    biased;
                    question = questions.recv() => question.map(|request| (request, TextKind::Query)),
                    passages = bulk.recv() => passages.map(|request| (request, TextKind::Passage)),
                }
            });
            match next {
                Some((request, TextKind::Query)) => {
                    answer_questions(encoder, take_questions(&mut questions, vec![request]));
                }
                Some((request, TextKind::Passage)) => job = Some(BulkJob::new(request)),
                None => return,
            }
        }
    }
}

/// Adds the requests that wait already, up to a batch; requests whose asker has gone are dropped.
fn take_questions(queue: &mut mpsc::Receiver<Request>, mut waiting: Vec<Request>) -> Vec<Request> {
    while waiting.iter().map(|request| request.texts.len()).sum::<usize>() < QUESTIONS_TOGETHER_MAX {
        let Ok(request) = queue.try_recv() else { break };
        waiting.push(request);
    }
    waiting.retain(|request| !request.reply.is_closed());
    waiting
}

fn answer_questions(encoder: &Encoder, waiting: Vec<Request>) {
    let _turn = QuestionTurn::begin();
    let texts = waiting.iter().flat_map(|request| &request.texts);
    match embed_all(encoder, texts) {
        Ok(vectors) => {
            let mut vectors = vectors.into_iter();
            for request in waiting {
                let own = vectors.by_ref().take(request.texts.len()).collect();
                // The asker may have gone while the model worked.
                let _ = request.reply.send(Ok(own));
            }
        }
        Err(error) => {
            for request in waiting {
                let _ = request.reply.send(Err(error.clone()));
            }
        }
    }
}

fn embed_all<'a>(encoder: &Encoder, texts: impl Iterator<Item = &'a String>) -> Vectors {
    let tokens =
        texts.map(|text| encoder.tokenize(text, TextKind::Query)).collect::<Result<Vec<Vec<u32>>, InferenceError>>()?;
    embed_tokens(encoder, &tokens)
}

/// Unit vectors of token lists, in batches that a question would have to wait for.
pub(crate) fn embed_tokens(encoder: &Encoder, tokens: &[Vec<u32>]) -> Vectors {
    let mut vectors = vec![Vec::new(); tokens.len()];
    for batch in plan_batches(&tokens.iter().map(Vec::len).collect::<Vec<_>>(), batch_tokens_max()) {
        embed_batch(encoder, tokens, &batch, &mut vectors)?;
    }
    Ok(vectors)
}

/// Embeds the texts `batch` of `tokens` into their places in `vectors`.
fn embed_batch(
    encoder: &Encoder,
    tokens: &[Vec<u32>],
    batch: &[usize],
    vectors: &mut [Vec<f32>],
) -> Result<(), InferenceError> {
    let ids: Vec<&[u32]> = batch.iter().map(|&index| tokens[index].as_slice()).collect();
    for (&index, vector) in batch.iter().zip(encoder.embed(&ids)?) {
        vectors[index] = vector;
    }
    Ok(())
}

/// Tokens of one batch for all threads.
fn batch_tokens_max() -> usize {
    THREAD_TOKENS_MAX * threads::count()
}

/// Groups texts in their order, so that the tokens of a group stay within `tokens_max`. A longer text is a group
/// of its own. Returns indices into `lengths`.
fn plan_batches(lengths: &[usize], tokens_max: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for (index, &length) in lengths.iter().enumerate() {
        tokens += length;
        match batches.last_mut() {
            Some(batch) if tokens <= tokens_max => batch.push(index),
            _ => {
                batches.push(vec![index]);
                tokens = length;
            }
        }
    }
    batches
}

/// A bulk request on its way: a window of its texts is tokenized and planned, one batch is done a step.
struct BulkJob {
    request: Request,
    vectors: Vec<Vec<f32>>,
    window: Vec<Vec<u32>>,
    batches: Vec<Vec<usize>>,
}

impl BulkJob {
    fn new(request: Request) -> Self {
        Self { request, vectors: Vec::new(), window: Vec::new(), batches: Vec::new() }
    }

    /// Does one batch; `None` when the request is answered or its asker has gone.
    fn step(mut self, encoder: &Encoder) -> Option<Self> {
        if self.request.reply.is_closed() {
            return None;
        }
        match self.advance(encoder) {
            Ok(false) => Some(self),
            Ok(true) => {
                // The asker may have gone while the model worked.
                let _ = self.request.reply.send(Ok(self.vectors));
                None
            }
            Err(error) => {
                let _ = self.request.reply.send(Err(error));
                None
            }
        }
    }

    /// True when every text has its vector.
    fn advance(&mut self, encoder: &Encoder) -> Result<bool, InferenceError> {
        if self.batches.is_empty() {
            let begin = self.vectors.len();
            let texts = self.request.texts.iter().skip(begin).take(BULK_WINDOW);
            self.window = texts.map(|text| encoder.tokenize(text, TextKind::Passage)).collect::<Result<Vec<_>, _>>()?;
            self.batches = plan_batches(&self.window.iter().map(Vec::len).collect::<Vec<_>>(), batch_tokens_max());
            self.vectors.resize(begin + self.window.len(), Vec::new());
        }
        if let Some(batch) = self.batches.pop() {
            let begin = self.vectors.len() - self.window.len();
            embed_batch(encoder, &self.window, &batch, &mut self.vectors[begin..])?;
        }
        Ok(self.batches.is_empty() && self.vectors.len() == self.request.texts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_stay_small() {
        let lengths = [3, 500, 40, 40, 12, 7, 255, 1, 64, 64, 64, 64];
        let batches = plan_batches(&lengths, 192);
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
        for batch in &batches {
            let tokens: usize = batch.iter().map(|&index| lengths[index]).sum();
            assert!(batch.len() == 1 || tokens <= 192, "{batch:?}");
        }
        assert!(plan_batches(&[], 192).is_empty());
        assert_eq!(plan_batches(&[64; 7], 192).len(), 3);
    }
}
