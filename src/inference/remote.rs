//! A chat model on a server that speaks the OpenAI-compatible chat completions API: vLLM, llama.cpp's server and their
//! like, for a shop that has outgrown its machine. Requests that may pass are tried again until the first words have come;
//! what goes wrong is named, and the shop's own words are said instead.
//!
//! The server only translates and writes trial questions: it does not look at passages a second time, which needs a
//! model's inner states.

mod answer;
mod error;
mod retry;
mod sse;
mod standing;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};

pub use error::RemoteError;

use super::{
    ChatMessage, GenerateRequest, Generation, Grammar, InferenceError, Role, Sampling, generation::GenerationWriter,
    text_stream::TextStream,
};
use crate::{
    config::{RemoteConfig, Secret},
    telemetry,
};
use answer::Answer;
use standing::Standing;

/// Longest wait for the list of models, by which a server that is well is looked at.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that the text of one token has at most, with room to spare: a server that sends more ignores the limit.
const TOKEN_BYTES_MAX: usize = 128;

/// What came of an answer.
enum Written {
    Heard {
        text: String,
        /// By the limit of tokens or a stop text.
        is_cut: bool,
    },
    /// The asker has gone or wants no more.
    Unheard,
}

/// A handle to the server.
pub struct RemoteLanguageModel {
    settings: RemoteConfig,
    /// Only to keep it out of what is said about errors; it is sent by `http`.
    key: Option<Secret>,
    http: Client,
    places: Arc<Semaphore>,
    standing: Standing,
}

impl fmt::Debug for RemoteLanguageModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteLanguageModel")
            .field("server", &self.settings.base_url.as_str())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl RemoteLanguageModel {
    /// A handle to the server that `settings` name; nothing is sent yet.
    pub(crate) fn new(settings: &RemoteConfig, key: Option<Secret>) -> Result<Self, InferenceError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut value = value.map_err(|_| {
                InferenceError::Failed("the key of the model server has characters that cannot be sent".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = Client::builder()
            .user_agent(concat!("shoptalk/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(settings.connect_timeout_s.duration())
            // Followed, one would carry the shop's texts to a place that the settings do not name.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| InferenceError::failed("no client for the model server", error))?;
        let places = Arc::new(Semaphore::new(settings.concurrent_max.get()));
        let standing = Standing::new(settings.base_url.as_str());
        Ok(Self { settings: settings.clone(), key, http, places, standing })
    }

    /// Starts an answer; it is written by a task of its own, which ends when nobody listens any more.
    pub(crate) fn generate(self: &Arc<Self>, request: GenerateRequest) -> Result<Generation, InferenceError> {
        if matches!(request.grammar, Some(Grammar::Regex(_) | Grammar::Lark(_))) {
            return Err(InferenceError::Grammar("a model server takes JSON schemas only".to_owned()));
        }
        let place = self.place()?;
        let (writer, generation) = Generation::channel();
        let model = Arc::clone(self);
        tokio::spawn(async move {
            let written = model.write_in_time(&request, &writer).await;
            // The place is free before the asker sees the end and may ask again.
            drop(place);
            let written = written.map_err(|error| model.failed(error));
            if let Err(error) = written.and_then(|written| model.fits(&request, &written)) {
                writer.fail(error);
            }
        });
        Ok(generation)
    }

    /// Scores by the probabilities of the likeliest next tokens, which not every server tells.
    pub(crate) async fn score_next(
        &self,
        messages: &[ChatMessage],
        candidates: &[String],
    ) -> Result<Vec<f32>, InferenceError> {
        let _place = self.place()?;
        let body = wire::scored(self.name(), messages, &self.settings.extra_body);
        let read = || async { wire::next_tokens(&answer::read(self.ask(&body).await?).await?) };
        let tokens = self.persist(read).await.map_err(|error| self.failed(error))?;
        self.standing.note_answer();
        Ok(wire::scores(&tokens, candidates))
    }

    /// Sees whether the server answers, for `trouble`. One that is well is only asked for its models; one that is not, or was
    /// never asked, has to write a token, which also tells whether address, key and model are right.
    pub(crate) async fn check(&self) {
        if self.standing.is_well() {
            let models = self.send(self.http.get(self.settings.base_url.at("models")));
            match timeout(LOOK_TIMEOUT, models).await {
                // Any other word shows that it is there; not every server has a list of models for everybody.
                Ok(Err(error)) if error.is_passing() => self.note(&error),
                Ok(_) => {}
                Err(_) => self.note(&RemoteError::TimedOut {
                    what: "list of models",
                    setting: "base_url",
                    after: LOOK_TIMEOUT,
                }),
            }
            return;
        }
        let request = GenerateRequest {
            messages: vec![ChatMessage { role: Role::User, content: "Hi".to_owned() }],
            tokens_max: 1,
            sampling: Sampling::GREEDY,
            stop: Vec::new(),
            seed: 0,
            grammar: None,
        };
        let body = wire::streamed(self.name(), &request, &self.settings.extra_body);
        let patience = self.settings.first_token_timeout_s.duration();
        match timeout(patience, self.begin(&body)).await.unwrap_or_else(|_| Err(self.no_first_token())) {
            Ok(_) => self.standing.note_answer(),
            Err(error) => self.note(&error),
        }
    }

    /// Why the server does not answer, as far as is known.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.standing.trouble().map(|error| self.named(error).to_string())
    }

    /// An estimate: four ASCII characters a token, or one other character. The server's own count is not asked for.
    pub(crate) fn count_tokens(text: &str) -> usize {
        let ascii = text.bytes().filter(u8::is_ascii).count();
        ascii.div_ceil(4) + text.chars().filter(|c| !c.is_ascii()).count()
    }

    pub(crate) fn name(&self) -> &str {
        self.settings.model.as_str()
    }

    /// A place among the answers that may be written at the same time, unless the server is known to be away.
    fn place(&self) -> Result<OwnedSemaphorePermit, InferenceError> {
        if let Some(error) = self.standing.away(Instant::now().into_std()) {
            return Err(self.named(error));
        }
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            telemetry::overloaded("chat");
            InferenceError::Overloaded
        })
    }

    async fn write_in_time(
        &self,
        request: &GenerateRequest,
        writer: &GenerationWriter,
    ) -> Result<Written, RemoteError> {
        let after = self.settings.timeout_s.duration();
        let late = |_| Err(RemoteError::TimedOut { what: "whole answer", setting: "timeout_s", after });
        timeout(after, self.write(request, writer)).await.unwrap_or_else(late)
    }

    async fn write(&self, request: &GenerateRequest, writer: &GenerationWriter) -> Result<Written, RemoteError> {
        let body = wire::streamed(self.name(), request, &self.settings.extra_body);
        let begin = self.persist(|| self.begin(&body));
        let Some(begun) = unless_cancelled(writer, begin).await else { return Ok(Written::Unheard) };
        let (mut answer, mut text) = begun?;
        let mut bytes_left = request.tokens_max.saturating_mul(TOKEN_BYTES_MAX);
        let mut stream = TextStream::new(&request.stop);
        let mut whole = String::new();
        while let Some(piece) = text {
            bytes_left = bytes_left
                .checked_sub(piece.len())
                .ok_or_else(|| RemoteError::Malformed("far more text than was asked for".to_owned()))?;
            let certain = stream.release(&piece);
            whole.push_str(&certain);
            if !writer.write(certain) || stream.is_stopped() {
                break;
            }
            let Some(next) = unless_cancelled(writer, self.next_text(&mut answer)).await else { break };
            text = next?;
        }
        self.standing.note_answer();
        let is_cut = answer.is_cut() || stream.is_stopped();
        // Whole characters came in, so that nothing is left to decode.
        let rest = stream.finish(|_| Ok(String::new())).unwrap_or_default();
        whole.push_str(&rest);
        writer.write(rest);
        Ok(if writer.is_cancelled() { Written::Unheard } else { Written::Heard { text: whole, is_cut } })
    }

    /// Whether an answer is JSON where that was asked for; that it keeps to the schema is the server's part.
    fn fits(&self, request: &GenerateRequest, written: &Written) -> Result<(), InferenceError> {
        match written {
            Written::Heard { text, is_cut }
                if request.grammar.is_some() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() =>
            {
                let incomplete = || InferenceError::Incomplete { tokens: Self::count_tokens(text) };
                Err(if *is_cut { incomplete() } else { self.named(RemoteError::NoSchema) })
            }
            _ => Ok(()),
        }
    }

    /// One try, up to the first words.
    async fn begin(&self, body: &Value) -> Result<(Answer, Option<String>), RemoteError> {
        let mut answer = Answer::of(self.ask(body).await?).await?;
        let first = answer.next_text().await?;
        Ok((answer, first))
    }

    async fn next_text(&self, answer: &mut Answer) -> Result<Option<String>, RemoteError> {
        let after = self.settings.next_token_timeout_s.duration();
        match timeout(after, answer.next_text()).await {
            Ok(next) => next,
            Err(_) if answer.is_complete() => Ok(None),
            Err(_) => Err(RemoteError::TimedOut { what: "further word", setting: "next_token_timeout_s", after }),
        }
    }

    /// Tries until it succeeds, or another try is not worth it, or the time for the first words is up.
    async fn persist<T, F: Future<Output = Result<T, RemoteError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, RemoteError> {
        let deadline = Instant::now() + self.settings.first_token_timeout_s.duration();
        for tries in 1.. {
            let error = match timeout_at(deadline, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.no_first_token()),
            };
            match retry::pause(&error, tries, self.settings.retries_max, rand::random()) {
                Some(pause) if Instant::now() + pause < deadline => sleep(pause).await,
                _ => return Err(error),
            }
        }
        Err(self.no_first_token())
    }

    async fn ask(&self, body: &Value) -> Result<Response, RemoteError> {
        self.send(self.http.post(self.settings.base_url.at("chat/completions")).json(body)).await
    }

    /// Sends a request; an answer with an error is one.
    async fn send(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let response = request.send().await.map_err(|error| RemoteError::of_sending(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let header = response.headers().get(RETRY_AFTER).and_then(|header| header.to_str().ok());
        let retry_after = header.and_then(|header| retry::retry_after(header, chrono::Utc::now()));
        let body = answer::read(response).await.unwrap_or_default();
        let reason = if body.trim().is_empty() { status.canonical_reason().unwrap_or("no reason") } else { &body };
        Err(RemoteError::Refused { status: status.as_u16(), message: wire::reason(reason), retry_after })
    }

    fn no_first_token(&self) -> RemoteError {
        let after = self.settings.first_token_timeout_s.duration();
        RemoteError::TimedOut { what: "first word", setting: "first_token_timeout_s", after }
    }

    /// Notes an error and names it.
    fn failed(&self, error: RemoteError) -> InferenceError {
        self.note(&error);
        self.named(error)
    }

    fn note(&self, error: &RemoteError) {
        self.standing
            .note_error(&error.clone().cleaned(self.key.as_ref().map(Secret::expose)), Instant::now().into_std());
    }

    fn named(&self, error: RemoteError) -> InferenceError {
        let error = error.cleaned(self.key.as_ref().map(Secret::expose));
        InferenceError::Remote { server: self.settings.base_url.as_str().to_owned(), error }
    }
}

/// What comes of `work`, or `None` when the asker has gone or wants no more.
async fn unless_cancelled<T>(writer: &GenerationWriter, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = writer.cancelled() => None,
        done = work => Some(done),
    }
}
