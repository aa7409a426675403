//! The thread that owns the chat model: several answers at once, a short queue before them, questions to the model
//! between their steps, and no work for an asker who has gone.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread,
};

use candle_core::quantized::gguf_file::Content;
use tokio::sync::oneshot;

use super::{
    ChatMessage, GenerateRequest, Generation, InferenceError,
    answer::Answer,
    chat_batch::{ChatBatch, TOGETHER_MAX},
    chat_states,
    decoder::{Decoder, Prefix, STEP_TOKENS},
    device::{self, Writer},
    gguf_chat::{self, ChatFormat, Loaded},
    language_model::{Relevance, Unread},
    prefixes::{self, Prefixes},
    reader::Reader,
    recent::Recent,
    threads,
};
use crate::{config::DeviceChoice, models::ModelFiles, telemetry};

/// Answers that may wait for a place among those that are written: each takes seconds, so a longer queue would only make
/// people wait in vain.
const WAITING_MAX: usize = 4;
/// Questions to the model, the one that it is working on included.
const QUESTIONS_MAX: usize = 5;
/// Prompts whose states are computed in one step.
const STATES_TOGETHER: usize = 8;

/// One number for each thing asked about.
type Reply = oneshot::Sender<Result<Vec<f32>, InferenceError>>;
type RelevanceReply = oneshot::Sender<Result<Option<Relevance>, InferenceError>>;
/// One vector for each prompt.
type StatesReply = oneshot::Sender<Result<Vec<Vec<f32>>, InferenceError>>;

/// Whether answers that repeat their prompt are written several tokens at a time; what they say is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drafts {
    /// As they should be.
    #[default]
    On,
    /// One token after another, for measurements.
    Off,
}

/// How a model runs.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Where answers are written.
    pub device: DeviceChoice,
    /// For measurements.
    pub drafts: Drafts,
    /// In place of the reader that comes with the program.
    pub reader: Option<Reader>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { device: DeviceChoice::Cpu, drafts: Drafts::On, reader: None }
    }
}

enum Job {
    Write(Box<Writing>),
    Ask(Question, Place),
}

/// An answer to write.
pub(super) struct Writing {
    pub(super) prompt: Vec<u32>,
    pub(super) answer: Answer,
    pub(super) place: Place,
}

/// What is answered at once, between two steps of the answers.
enum Question {
    Score { prompt: Vec<u32>, tokens: Vec<u32>, reply: Reply },
    Relevance { prompts: Vec<Vec<u32>>, question: Vec<u32>, unread: Unread, reply: RelevanceReply },
    ReadAhead { prompts: Vec<Vec<u32>> },
    StatesAfter { prompt: Vec<u32>, questions: Vec<Vec<u32>>, layers: usize, reply: StatesReply },
    States { beginning: Vec<u32>, prompts: Vec<Vec<u32>>, reply: StatesReply },
}

/// The thread that writes answers.
enum Desk {
    Decoder(Sender<Job>),
    Device(Sender<Writing>),
}

impl Desk {
    /// Hands an answer over; one that nobody takes any more ends with `Stopped`.
    fn give(&self, writing: Writing) {
        let refused = match self {
            Self::Decoder(jobs) => jobs.send(Job::Write(Box::new(writing))).err().and_then(|refused| match refused.0 {
                Job::Write(writing) => Some(*writing),
                Job::Ask(..) => None,
            }),
            Self::Device(jobs) => jobs.send(writing).err().map(|refused| refused.0),
        };
        if let Some(writing) = refused {
            writing.answer.fail(InferenceError::Stopped);
        }
    }
}

/// A limited number of places for jobs of one kind: the bound of the queue.
#[derive(Debug)]
pub(crate) struct Places {
    taken: Arc<AtomicUsize>,
    max: usize,
}

/// One of the places, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn new(max: usize) -> Self {
        Self { taken: Arc::default(), max }
    }

    /// `Overloaded` when all are taken.
    pub(crate) fn take(&self) -> Result<Place, InferenceError> {
        let more = |taken| (taken < self.max).then_some(taken + 1);
        match self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Place(Arc::clone(&self.taken))),
            Err(_) => {
                telemetry::overloaded("chat");
                Err(InferenceError::Overloaded)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handle to the chat model's thread, which ends when the handle is dropped and all answers are written.
pub struct LocalLanguageModel {
    name: String,
    format: Arc<ChatFormat>,
    jobs: Sender<Job>,
    /// Where answers are written.
    writer: Writer,
    answers: Places,
    questions: Places,
    /// Chats that still have to be read ahead.
    to_read: Arc<AtomicUsize>,
    has_probe: bool,
    fingerprint: u32,
    layers: usize,
    width: usize,
}

impl fmt::Debug for LocalLanguageModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalLanguageModel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LocalLanguageModel {
    /// Loads the model and moves it onto its thread.
    pub(crate) fn start(files: &ModelFiles, options: LocalOptions) -> Result<Self, InferenceError> {
        let device = options.device;
        Self::start_with(files, options, |weights, head, format| Ok(device::start(device, &weights, head, format)))
    }

    /// The same with answers written by candle on any of its devices.
    #[cfg(test)]
    pub(super) fn start_on_candle(files: &ModelFiles, device: candle_core::Device) -> Result<Self, InferenceError> {
        let options = LocalOptions { drafts: Drafts::Off, ..LocalOptions::default() };
        Self::start_with(files, options, |weights, head, format| {
            let jobs = super::candle_chat::start(device, &weights, head, Arc::clone(format))?;
            Ok(Writer { jobs: Some(jobs), name: "candle".to_owned() })
        })
    }

    fn start_with(
        files: &ModelFiles,
        options: LocalOptions,
        writer: impl FnOnce(PathBuf, Content, &Arc<ChatFormat>) -> Result<Writer, InferenceError>,
    ) -> Result<Self, InferenceError> {
        let Loaded { weights, head, format, decoder } = gguf_chat::load(files)?;
        let writer = writer(weights, head, &format)?;
        // Unbounded, because every job has a place of a limited number.
        let (jobs, queue) = channel();
        let to_read = Arc::new(AtomicUsize::new(0));
        let (thread_format, thread_to_read) = (Arc::clone(&format), Arc::clone(&to_read));
        let (fingerprint, layers, width) = (decoder.fingerprint(), decoder.layers(), decoder.width());
        if options.reader.as_ref().is_some_and(|reader| reader.fingerprint != fingerprint) {
            return Err(InferenceError::Failed(format!(
                "the reader that models.reader names was trained for another model than {}: train one with `shoptalk \
                 train reader`, or leave the setting out",
                files.name
            )));
        }
        let prefixes = Prefixes::new(options.reader.or_else(|| Reader::of(fingerprint)));
        let has_probe = prefixes.has_probe();
        let owner = Owner { decoder, prefixes, recent: Recent::default(), beginning: None };
        thread::Builder::new()
            .name("chat-model".to_owned())
            .spawn(move || owner.run(ChatBatch::new(&thread_format, options.drafts), &queue, &thread_to_read))
            .map_err(|error| InferenceError::failed("cannot start the chat model's thread", error))?;
        let (answers, questions) = (Places::new(TOGETHER_MAX + WAITING_MAX), Places::new(QUESTIONS_MAX));
        Ok(Self {
            name: files.name.clone(),
            format,
            jobs,
            writer,
            answers,
            questions,
            to_read,
            has_probe,
            fingerprint,
            layers,
            width,
        })
    }

    /// A grammar is compiled on a thread for such work: the first one takes a while to prepare for.
    pub(crate) fn generate(&self, request: GenerateRequest) -> Result<Generation, InferenceError> {
        let prompt = self.format.prompt(&request.messages, request.tokens_max)?;
        let place = self.answers.take()?;
        let (writer, generation) = Generation::channel();
        let desk = self.writer.jobs.clone().map_or_else(|| Desk::Decoder(self.jobs.clone()), Desk::Device);
        let Some(grammar) = request.grammar.clone() else {
            desk.give(Writing { prompt, answer: Answer::new(&request, None, writer), place });
            return Ok(generation);
        };
        let format = Arc::clone(&self.format);
        tokio::task::spawn_blocking(move || match format.constraint(&grammar) {
            Ok(constraint) => {
                let answer = Answer::new(&request, Some(constraint), writer);
                desk.give(Writing { prompt, answer, place });
            }
            Err(error) => writer.fail(error),
        });
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
        self.ask(Question::Score { prompt, tokens, reply })?;
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
        self.ask(Question::Relevance { prompts, question, unread, reply })?;
        relevance.await.unwrap_or(Err(InferenceError::Stopped))
    }

    pub(crate) async fn states_after(
        &self,
        chat: &[ChatMessage],
        questions: &[String],
        layers: usize,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let questions = questions.iter().map(|question| self.format.encode(question)).collect::<Result<Vec<_>, _>>()?;
        let longest = questions.iter().map(Vec::len).max().unwrap_or(0);
        let prompt = self.format.prompt(chat, longest)?;
        let (reply, states) = oneshot::channel();
        self.ask(Question::StatesAfter { prompt, questions, layers, reply })?;
        states.await.unwrap_or(Err(InferenceError::Stopped))
    }

    pub(crate) fn read_ahead(&self, chats: &[Vec<ChatMessage>]) -> Result<(), InferenceError> {
        // A passage that is too long is left out: whoever asks about it gets the error.
        let prompts: Vec<Vec<u32>> = chats.iter().filter_map(|chat| self.format.prompt(chat, 1).ok()).collect();
        self.to_read.fetch_add(prompts.len(), Ordering::Relaxed);
        self.ask(Question::ReadAhead { prompts })
    }

    /// Unit vectors of the states that `chat_states` describes, one a text.
    pub(crate) async fn states(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let beginning = chat_states::shared_beginning(&self.format)?;
        let prompts = texts.iter().map(|text| chat_states::prompt(&self.format, text)).collect::<Result<_, _>>()?;
        let (reply, states) = oneshot::channel();
        self.ask(Question::States { beginning, prompts, reply })?;
        states.await.unwrap_or(Err(InferenceError::Stopped))
    }

    pub(crate) fn has_probe(&self) -> bool {
        self.has_probe
    }

    /// Tells models of the same name apart.
    pub(crate) fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// Length of a state.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn to_read(&self) -> usize {
        self.to_read.load(Ordering::Relaxed)
    }

    pub(crate) fn prompt(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, InferenceError> {
        self.format.prompt(messages, 0)
    }

    pub(crate) fn count_tokens(&self, text: &str) -> Result<usize, InferenceError> {
        Ok(self.format.encode(text)?.len())
    }

    pub(crate) fn device(&self) -> &str {
        &self.writer.name
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn ask(&self, question: Question) -> Result<(), InferenceError> {
        let place = self.questions.take()?;
        self.submit(Job::Ask(question, place))
    }

    fn submit(&self, job: Job) -> Result<(), InferenceError> {
        self.jobs.send(job).map_err(|_| InferenceError::Stopped)
    }
}

/// What the thread owns.
struct Owner {
    decoder: Decoder,
    prefixes: Prefixes,
    recent: Recent,
    /// What was read of the prompts for states.
    beginning: Option<(Vec<u32>, Prefix)>,
}

impl Owner {
    /// Between two steps of the answers, one question is answered; prompts are read ahead when there is nothing else.
    fn run(mut self, mut batch: ChatBatch, queue: &Receiver<Job>, to_read: &AtomicUsize) {
        loop {
            to_read.store(self.prefixes.waiting(), Ordering::Relaxed);
            let job = if batch.is_empty() && !self.prefixes.has_work() {
                queue.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                queue.try_recv()
            };
            match job {
                Ok(Job::Write(writing)) => {
                    let Writing { prompt, answer, place } = *writing;
                    batch.add(prompt, answer, place);
                    // Others may have come at the same time.
                    continue;
                }
                Ok(Job::Ask(question, _place)) => self.answer(question, &batch),
                Err(TryRecvError::Disconnected) if batch.is_empty() => return,
                Err(TryRecvError::Disconnected | TryRecvError::Empty) => {}
            }
            threads::let_questions_pass();
            if !batch.is_empty() {
                batch.step(&mut self.decoder, &mut self.recent);
            } else if self.prefixes.has_work() {
                self.prefixes.read_a_step(&mut self.decoder);
            }
        }
    }

    fn answer(&mut self, question: Question, batch: &ChatBatch) {
        // The asker may have gone while the model worked; then there is nobody to reply to.
        match question {
            Question::Score { prompt, tokens, reply } => {
                let scores = self.score(prompt, &tokens, batch, || reply.is_closed());
                let _ = reply.send(scores);
            }
            Question::Relevance { prompts, question, unread, reply } => {
                if unread == Unread::Later && !self.prefixes.have(&prompts) {
                    self.prefixes.queue_first(prompts);
                    let _ = reply.send(Ok(None));
                    return;
                }
                let relevance = self.prefixes.relevance(&mut self.decoder, &prompts, &question, || reply.is_closed());
                let _ = reply.send(relevance.map(Some));
            }
            Question::ReadAhead { prompts } => self.prefixes.queue(prompts),
            Question::StatesAfter { prompt, questions, layers, reply } => {
                let _ = reply.send(self.states_after(&prompt, &questions, layers));
            }
            Question::States { beginning, prompts, reply } => {
                let states = self.states(&beginning, &prompts, || reply.is_closed());
                let _ = reply.send(states);
            }
        }
    }

    fn states_after(
        &mut self,
        prompt: &[u32],
        questions: &[Vec<u32>],
        layers: usize,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let prefix = self.decoder.prefix(prompt, layers, threads::let_questions_pass)?;
        let longest = questions.iter().map(Vec::len).max().unwrap_or(0);
        let mut states = Vec::with_capacity(questions.len());
        for some in questions.chunks(prefixes::together(longest)) {
            threads::let_questions_pass();
            let items: Vec<(&Prefix, &[u32])> = some.iter().map(|question| (&prefix, question.as_slice())).collect();
            states.extend(self.decoder.states(&items)?);
        }
        Ok(states)
    }

    /// The state of the last token of each prompt, of length 1; empty when cancelled on the way.
    fn states(
        &mut self,
        beginning: &[u32],
        prompts: &[Vec<u32>],
        is_cancelled: impl Fn() -> bool,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let shared = self.beginning(beginning)?;
        let depth = shared.depth();
        let mut states = Vec::with_capacity(prompts.len());
        for some in prompts.chunks(STATES_TOGETHER) {
            threads::let_questions_pass();
            if is_cancelled() {
                return Ok(Vec::new());
            }
            let mut parts = Vec::with_capacity(some.len());
            for prompt in some {
                parts.push(match prompt.strip_prefix(beginning) {
                    Some(rest) => (shared.clone(), rest),
                    // A message whose first letters share a token with the quotation mark before them.
                    None => (self.decoder.prefix(&prompt[..1], depth, threads::let_questions_pass)?, &prompt[1..]),
                });
            }
            let items: Vec<(&Prefix, &[u32])> = parts.iter().map(|(prefix, rest)| (prefix, *rest)).collect();
            let width = self.decoder.width();
            states.extend(self.decoder.states(&items)?.iter().map(|both| unit(&both[..width])));
        }
        Ok(states)
    }

    fn beginning(&mut self, tokens: &[u32]) -> Result<Prefix, InferenceError> {
        if let Some((known, prefix)) = &self.beginning
            && known == tokens
        {
            return Ok(prefix.clone());
        }
        let depth = chat_states::depth(self.decoder.layers());
        let prefix = self.decoder.prefix(tokens, depth, threads::let_questions_pass)?;
        self.beginning = Some((tokens.to_vec(), prefix.clone()));
        Ok(prefix)
    }

    /// Logarithms of the probabilities of `tokens` after the prompt; empty when cancelled on the way.
    fn score(
        &mut self,
        prompt: Vec<u32>,
        tokens: &[u32],
        batch: &ChatBatch,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<Vec<f32>, InferenceError> {
        let mut sequence = self.recent.begin(&self.decoder, batch.sequences(), &prompt, prompt.len());
        let unread = prompt.len() - sequence.len();
        let (whole, last) = prompt[sequence.len()..].split_at(unread.saturating_sub(1) / STEP_TOKENS * STEP_TOKENS);
        for step in whole.chunks(STEP_TOKENS) {
            threads::let_questions_pass();
            if is_cancelled() {
                return Ok(Vec::new());
            }
            self.decoder.extend(&mut sequence, step)?;
        }
        threads::let_questions_pass();
        let scores = gguf_chat::log_probabilities(self.decoder.read(&mut sequence, last)?, tokens)?;
        self.recent.keep(prompt, sequence);
        Ok(scores)
    }
}

/// `vector` at length 1.
fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter().map(|value| value / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let places = Places::new(2);
        let first = places.take().unwrap();
        let _second = places.take().unwrap();
        assert!(matches!(places.take(), Err(InferenceError::Overloaded)));
        drop(first);
        let _third = places.take().unwrap();
        assert!(places.take().is_err());
    }
}
