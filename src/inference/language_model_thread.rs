//! The thread that owns the chat model: one answer at a time, a short queue before it, and no work for an asker who
//! has gone.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread,
};

use tokio::sync::oneshot;

use super::{
    ChatMessage, GenerateRequest, Generation, InferenceError,
    decoder::STEP_TOKENS,
    generation::GenerationWriter,
    gguf_chat::{self, ChatFormat, ChatNetwork, Sampler},
    language_model::{Relevance, Unread},
    prefixes::Prefixes,
    text_stream::TextStream,
    threads,
};
use crate::{models::ModelFiles, telemetry};

/// Requests that may wait; an answer takes seconds, so a longer queue would only make people wait in vain.
const WAITING_MAX: usize = 4;

/// One number for each thing asked about.
type Reply = oneshot::Sender<Result<Vec<f32>, InferenceError>>;
type RelevanceReply = oneshot::Sender<Result<Option<Relevance>, InferenceError>>;

enum Job {
    Generate { prompt: Vec<u32>, request: GenerateRequest, writer: GenerationWriter },
    Score { prompt: Vec<u32>, tokens: Vec<u32>, reply: Reply },
    Relevance { prompts: Vec<Vec<u32>>, question: Vec<u32>, unread: Unread, reply: RelevanceReply },
    ReadAhead { prompts: Vec<Vec<u32>> },
}

/// A handle to the chat model's thread, which ends when the handle is dropped.
pub struct LocalLanguageModel {
    name: String,
    format: Arc<ChatFormat>,
    jobs: SyncSender<Job>,
    /// Chats that still have to be read ahead.
    to_read: Arc<AtomicUsize>,
    has_probe: bool,
}

impl fmt::Debug for LocalLanguageModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalLanguageModel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LocalLanguageModel {
    /// Loads the model and moves it onto its thread.
    pub(crate) fn start(files: &ModelFiles) -> Result<Self, InferenceError> {
        let (format, network) = gguf_chat::load(files)?;
        let (jobs, queue) = sync_channel(WAITING_MAX);
        let to_read = Arc::new(AtomicUsize::new(0));
        let (thread_format, thread_to_read) = (Arc::clone(&format), Arc::clone(&to_read));
        let prefixes = Prefixes::new(&network.decoder);
        let has_probe = prefixes.has_probe();
        thread::Builder::new()
            .name("chat-model".to_owned())
            .spawn(move || run(&thread_format, network, prefixes, &queue, &thread_to_read))
            .map_err(|error| InferenceError::failed("cannot start the chat model's thread", error))?;
        Ok(Self { name: files.name.clone(), format, jobs, to_read, has_probe })
    }

    pub(crate) fn generate(&self, request: GenerateRequest) -> Result<Generation, InferenceError> {
        let prompt = self.format.prompt(&request.messages, request.tokens_max)?;
        let (writer, generation) = Generation::channel();
        self.submit(Job::Generate { prompt, request, writer })?;
        Ok(generation)
    }

    pub(crate) async fn score_next(
        &self,
        messages: Vec<ChatMessage>,
        candidates: Vec<String>,
    ) -> Result<Vec<f32>, InferenceError> {
        let prompt = self.format.prompt(&messages, 1)?;
        let first_token = |candidate: &String| {
            let ids = self.format.encode(candidate)?;
            ids.first().copied().ok_or_else(|| InferenceError::Failed(format!("{candidate:?} has no token")))
        };
        let tokens = candidates.iter().map(first_token).collect::<Result<Vec<u32>, _>>()?;
        let (reply, scores) = oneshot::channel();
        self.submit(Job::Score { prompt, tokens, reply })?;
        scores.await.unwrap_or(Err(InferenceError::Stopped))
    }

    pub(crate) async fn relevance(
        &self,
        chats: &[Vec<ChatMessage>],
        question: &str,
        unread: Unread,
    ) -> Result<Option<Relevance>, InferenceError> {
        let question = self.format.encode(question)?;
        if question.is_empty() {
            return Err(InferenceError::Failed("the question has no token".to_owned()));
        }
        let prompt = |chat: &Vec<ChatMessage>| self.format.prompt(chat, question.len());
        let prompts = chats.iter().map(prompt).collect::<Result<Vec<_>, _>>()?;
        let (reply, relevance) = oneshot::channel();
        self.submit(Job::Relevance { prompts, question, unread, reply })?;
        relevance.await.unwrap_or(Err(InferenceError::Stopped))
    }

    pub(crate) fn read_ahead(&self, chats: &[Vec<ChatMessage>]) -> Result<(), InferenceError> {
        // A passage that is too long is left out: whoever asks about it gets the error.
        let prompts: Vec<Vec<u32>> = chats.iter().filter_map(|chat| self.format.prompt(chat, 1).ok()).collect();
        self.to_read.fetch_add(prompts.len(), Ordering::Relaxed);
        self.submit(Job::ReadAhead { prompts })
    }

    pub(crate) fn has_probe(&self) -> bool {
        self.has_probe
    }

    pub(crate) fn to_read(&self) -> usize {
        self.to_read.load(Ordering::Relaxed)
    }

    pub(crate) fn prompt_tokens(&self, messages: &[ChatMessage]) -> Result<usize, InferenceError> {
        Ok(self.format.prompt(messages, 0)?.len())
    }

    pub(crate) fn count_tokens(&self, text: &str) -> Result<usize, InferenceError> {
        Ok(self.format.encode(text)?.len())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn submit(&self, job: Job) -> Result<(), InferenceError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                telemetry::overloaded("chat");
                InferenceError::Overloaded
            }
            TrySendError::Disconnected(_) => InferenceError::Stopped,
        })
    }
}

fn run(
    format: &ChatFormat,
    mut network: ChatNetwork,
    mut prefixes: Prefixes,
    queue: &Receiver<Job>,
    to_read: &AtomicUsize,
) {
    loop {
        to_read.store(prefixes.waiting(), Ordering::Relaxed);
        let job = if prefixes.has_work() {
            match queue.try_recv() {
                Ok(job) => job,
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    threads::let_questions_pass();
                    prefixes.read_a_step(&mut network.decoder);
                    continue;
                }
            }
        } else {
            let Ok(job) = queue.recv() else { return };
            job
        };
        serve(format, &mut network, &mut prefixes, job);
    }
}

fn serve(format: &ChatFormat, network: &mut ChatNetwork, prefixes: &mut Prefixes, job: Job) {
    match job {
        Job::Generate { prompt, request, writer } => {
            if let Err(error) = generate(format, network, &prompt, &request, &writer) {
                writer.fail(error);
            }
        }
        // The asker may have gone while the model worked; then there is nobody to reply to.
        Job::Score { prompt, tokens, reply } => {
            let scores = read_prompt(network, &prompt, || reply.is_closed()).and_then(|logits| {
                logits.map_or(Ok(Vec::new()), |logits| gguf_chat::log_probabilities(&logits, &tokens))
            });
            let _ = reply.send(scores);
        }
        Job::Relevance { prompts, question, unread, reply } => {
            if unread == Unread::Later && !prefixes.have(&prompts) {
                prefixes.queue_first(prompts);
                let _ = reply.send(Ok(None));
                return;
            }
            let relevance = prefixes.relevance(&mut network.decoder, &prompts, &question, || reply.is_closed());
            let _ = reply.send(relevance.map(Some));
        }
        Job::ReadAhead { prompts } => prefixes.queue(prompts),
    }
}

/// Logits after the prompt, or `None` when the work was cancelled on the way.
fn read_prompt(
    network: &mut ChatNetwork,
    prompt: &[u32],
    is_cancelled: impl Fn() -> bool,
) -> Result<Option<Vec<f32>>, InferenceError> {
    let mut logits = None;
    for step in network.begin(prompt).chunks(STEP_TOKENS) {
        threads::let_questions_pass();
        if is_cancelled() {
            return Ok(None);
        }
        logits = Some(network.forward(step)?.to_vec());
    }
    Ok(logits)
}

fn generate(
    format: &ChatFormat,
    network: &mut ChatNetwork,
    prompt: &[u32],
    request: &GenerateRequest,
    writer: &GenerationWriter,
) -> Result<(), InferenceError> {
    let mut sampler = Sampler::new(request.temperature, request.seed);
    let mut stream = TextStream::new(&request.stop);
    let decode = |ids: &[u32]| format.decode(ids);
    let Some(mut logits) = read_prompt(network, prompt, || writer.is_cancelled())? else { return Ok(()) };
    for written in 1..=request.tokens_max {
        let token = sampler.sample(&logits)?;
        if format.is_end(token) {
            break;
        }
        let piece = stream.push(token, decode)?;
        if !writer.write(piece) || stream.is_stopped() || writer.is_cancelled() || written == request.tokens_max {
            break;
        }
        threads::let_questions_pass();
        logits.copy_from_slice(network.forward(&[token])?);
    }
    writer.write(stream.finish(decode)?);
    Ok(())
}
