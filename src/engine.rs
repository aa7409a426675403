//! One turn, from a shopper's words to a reply. `Engine::handle` tells the story; each way a turn can go is one short
//! function beside it. Code decides what happens; no model and no document can.

mod commands;
mod follow_up;
mod manners;
mod people;
mod products;
mod rerank;
mod snapshot;
mod taught;
mod verification;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Instant,
};

use minijinja::context;

use people::hand_over;
pub use snapshot::{Snapshot, SnapshotError};

use crate::{
    answer::{self, Extract},
    conversation::{Conversation, Event, Exchange},
    inference::{Encoders, InferenceError, LanguageModelSlot, QuestionVectors, Unread},
    intents::{self, Intent, IntentClassifier, IntentScores, merchant::MerchantClassifier},
    language::{detect_language, sentences},
    message::{
        Channel, Citation, Effect, Inbound, Language, LatencyMs, PassageTrace, ProductCard, Progress, Queue, Reply,
        Route, Timestamp, Trace,
    },
    privacy,
    prompts::{Phrase, Prompts},
    retrieval::{
        Found, Lookup, Question, bridge,
        lexical::{Term, terms},
        vector::dot,
    },
    storage::{StorageError, Store, StoredChunk},
};

/// Longest message that is read, in characters.
const TEXT_MAX: usize = 4_000;
/// From this probability on, a passage answers. On shops left out of the fit, 89 in 100 replies to answerable questions
/// are then right, a sixth of those questions is declined, and of questions just beside the documents one in three is.
const ANSWERS: f32 = 0.37;
/// The same after a second look by a chat model without a probe.
const ANSWERS_RERANKED: f32 = 0.42;
/// The same after one with the probe: of the same questions 78 in 100 are then answered right and 6 wrong, and
/// of those just beside the documents two in three are declined (`shoptalk train reader`).
pub(crate) const ANSWERS_READ: f32 = 0.38;
/// From this probability on, a passage answers even though the message sounds like nothing a shop is asked, or like a
/// wish for a discount.
const ANSWERS_OFF_TOPIC: f32 = 0.6;
/// A second passage this close to the first, in probability, is said as well: of every eight answers one then has two
/// passages, and a fifth of the wrong ones has the right passage beside it.
const SECOND_WITHIN: f32 = 0.3;
/// The least that a second passage needs.
const SECOND: f32 = 0.25;
/// Rows of one table are said together when their ranking values before the second look lie this close to the best one's.
const ROW_WITHIN: f32 = 1.2;
/// And when the probe's log odds do, where both were read.
const ROW_READ_WITHIN: f32 = 2.5;
/// Most rows that are said together.
const ROWS_MAX: usize = 8;
/// Passages that state opening hours are said together when their ranking values before the second look lie this close to
/// the best one's.
const HOURS_WITHIN: f32 = 3.0;
/// Stems of words that name no place by themselves.
const PLACE_WORDS: [&str; 7] = ["shop", "store", "branch", "open", "hour", "time", "close"];
/// Most places whose opening hours are said together.
const HOURS_MAX: usize = 5;
/// More rows are not translated: a shopper would wait for seconds, mostly in vain.
const ROWS_TRANSLATED_MAX: usize = 3;
/// From this probability on, a passage is near enough to be quoted when declining.
const NEAREST: f32 = 0.25;
/// Passages that are looked at for the reply.
const FOUND: usize = 24;
/// Passages that are kept in the trace.
const TRACED: usize = 5;
/// An intent with less is not acted upon.
const SURE: f32 = 0.5;
/// An intent with more is acted upon even where the documents have an answer.
const CERTAIN: f32 = 0.9;
/// Single questions of a message that are looked up on their own.
const QUESTIONS_MAX: usize = 3;

/// Why no turn could be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The encoder.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The vector index.
    #[error(transparent)]
    Vector(#[from] crate::retrieval::vector::VectorError),
}

impl EngineError {
    /// Whether the same turn may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_passing(),
            Self::Inference(error) => matches!(error, InferenceError::Overloaded),
            Self::Vector(error) => error.is_passing(),
        }
    }
}

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's.
    System,
    /// Always the same, for tests.
    Fixed(Timestamp),
    /// That of the stored turn which is made again.
    Replay(Arc<Mutex<StoredTurn>>),
}

/// What a turn that is made again has to know of the stored one.
#[derive(Debug, Clone, Copy)]
pub struct StoredTurn {
    /// When it was made.
    pub at: Timestamp,
    /// The chat model had a second look at the passages then.
    pub reranked: bool,
    /// What the shopper was told of the queue for a person then.
    pub queue: Option<Queue>,
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => chrono::Utc::now(),
            Self::Fixed(at) => *at,
            Self::Replay(turn) => turn.lock().unwrap_or_else(PoisonError::into_inner).at,
        }
    }

    /// The stored turn, when it is made again: nothing is written then.
    fn replayed(&self) -> Option<StoredTurn> {
        match self {
            Self::Replay(turn) => Some(*turn.lock().unwrap_or_else(PoisonError::into_inner)),
            Self::System | Self::Fixed(_) => None,
        }
    }
}

/// What the engine made of a message.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The shopper's words as the transcript keeps them.
    pub shopper_text: String,
    /// The reply; `None` while a person has the word.
    pub reply: Option<Reply>,
    /// When the turn began, by the engine's clock.
    pub at: Timestamp,
}

/// Makes turns.
pub struct Engine {
    store: Store,
    encoders: Encoders,
    language_model: LanguageModelSlot,
    classifier: IntentClassifier,
    /// The merchant's own intents: they go into the trace and decide nothing.
    merchant: Option<MerchantClassifier>,
    prompts: Arc<Prompts>,
    clock: Clock,
    unread: Unread,
    // std's lock: held only to clone or replace the Arc, never across an await.
    snapshot: RwLock<Arc<Snapshot>>,
}

/// What the ways a turn can go have in common.
struct Asked<'a> {
    /// The words, masked: the whole message first, then its single questions.
    lookups: Vec<Lookup>,
    /// Passages of the documents, best first.
    found: Vec<Found>,
    /// The words as sent: only for order numbers and proofs.
    raw: &'a str,
    language: Language,
    scores: IntentScores,
    intent: Intent,
    /// The merchant's own intent, `None` inside for none of them.
    merchant: Option<(Option<String>, f32)>,
    snapshot: Arc<Snapshot>,
    /// The earlier question, when this one continues it.
    context: Option<Lookup>,
    /// Passages for the message by itself, where it is only short and does not say that it continues a question.
    alone: Option<Vec<Found>>,
    /// Probability of the best passage before the second look.
    first: f32,
    /// The chat model has had a second look at `found`.
    reranked: bool,
    /// Several people read along; this is where the shopper can write alone.
    private_at: Option<String>,
}

impl Asked<'_> {
    /// Whether a passage answers.
    fn answerable(&self) -> bool {
        self.found.first().is_some_and(|found| found.score >= self.threshold())
    }

    /// The probability from which a passage answers.
    fn threshold(&self) -> f32 {
        match self.found.first() {
            Some(found) if found.read.is_some() => ANSWERS_READ,
            _ if self.reranked => ANSWERS_RERANKED,
            _ => ANSWERS,
        }
    }

    /// The words, masked.
    fn text(&self) -> &str {
        self.lookups.first().map_or("", |lookup| lookup.text.as_str())
    }

    /// The words, masked, after those of the question that they continue.
    fn question(&self) -> String {
        match &self.context {
            Some(context) => format!("{} {}", context.text, self.text()),
            None => self.text().to_owned(),
        }
    }
}

/// What a way a turn can go gives back; `Engine::handle` makes a `Reply` of it.
#[derive(Debug, Default)]
struct Said {
    text: String,
    route: Option<Route>,
    citations: Vec<Citation>,
    products: Vec<ProductCard>,
    chunks: Vec<String>,
    /// The words with which the shopper is handed over to a person; `Engine::tell_queue` puts them into `text`.
    handoff: Option<Phrase>,
    queue: Option<Queue>,
    declined: bool,
    generated: bool,
    suggestions: Vec<String>,
    support: Vec<String>,
    prompt: Option<String>,
    /// Products named in a question about records.
    about: Vec<String>,
    effect: Option<Effect>,
    /// What the conversation remembers as the question where the words do not say it.
    question: Option<String>,
}

impl Said {
    fn new(route: Route, text: String) -> Self {
        Self { text, route: Some(route), ..Self::default() }
    }
}

impl Engine {
    /// An engine over a shop's store.
    pub async fn open(
        store: Store,
        encoders: Encoders,
        language_model: LanguageModelSlot,
        classifier: IntentClassifier,
        prompts: Arc<Prompts>,
        clock: Clock,
        qdrant: Option<(String, String)>,
    ) -> Result<Self, SnapshotError> {
        if clock.replayed().is_none() {
            store.expire_documents(clock.now()).await?;
        }
        let snapshot = Snapshot::load(&store, &encoders, qdrant).await?;
        let snapshot = RwLock::new(Arc::new(snapshot));
        let (merchant, unread) = (None, Unread::Later);
        Ok(Self { store, encoders, language_model, classifier, merchant, prompts, clock, unread, snapshot })
    }

    /// The same engine, with a merchant's own intents in its traces.
    #[must_use]
    pub fn with_merchant_intents(mut self, merchant: Option<MerchantClassifier>) -> Self {
        self.merchant = merchant;
        self
    }

    /// The same engine, that does `unread` about passages which the chat model has not read.
    #[must_use]
    pub fn with_unread(mut self, unread: Unread) -> Self {
        self.unread = unread;
        self
    }

    /// The time by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Names of the encoders.
    pub fn encoder(&self) -> String {
        self.encoders.name()
    }

    /// What the engine knows of the shop right now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads documents and records again when they have changed, or when a document is not valid any more. Turns meanwhile
    /// use what was known before.
    pub async fn refresh(&self) -> Result<bool, SnapshotError> {
        self.store.expire_documents(self.now()).await?;
        let current = self.snapshot();
        if self.store.knowledge_version().await? == current.version {
            return Ok(false);
        }
        let fresh = Snapshot::load(&self.store, &self.encoders, current.qdrant.clone()).await?;
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(true)
    }

    /// Forgets one document until the next call, to see what the others say without it. For measuring only: the
    /// documents are searched in memory then, whatever the settings say.
    pub async fn leave_out(&self, document: Option<&str>) -> Result<(), SnapshotError> {
        let left = |chunks: &mut Vec<StoredChunk>| chunks.retain(|chunk| Some(chunk.document.as_str()) != document);
        let fresh = Snapshot::load_changed(left, &self.store, &self.encoders, None).await?;
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    /// An engine that knows drafts in the place of the documents of their names: what it would say if they were published.
    ///
    /// # Errors
    /// The database, the encoder.
    pub async fn with_drafts(&self, drafts: &[i64]) -> Result<Self, SnapshotError> {
        let snapshot = Snapshot::load_with_drafts(drafts, &self.store, &self.encoders).await?;
        Ok(Self {
            store: self.store.clone(),
            encoders: self.encoders.clone(),
            language_model: self.language_model.clone(),
            classifier: self.classifier.clone(),
            merchant: self.merchant.clone(),
            prompts: Arc::clone(&self.prompts),
            clock: self.clock.clone(),
            unread: self.unread,
            snapshot: RwLock::new(Arc::new(snapshot)),
        })
    }

    /// The masked words of a first message and the passages found for them, best first, before any second look: for
    /// training and measuring.
    ///
    /// # Errors
    /// The encoder and the vector index.
    pub async fn candidates(&self, text: &str) -> Result<(String, Vec<Found>), EngineError> {
        let text = cleaned(text);
        let mut conversation = Conversation::new(Channel::Batch, "");
        conversation.language = detect_language(&words_only(&text)).unwrap_or_default();
        let asked = self.understand(&conversation, &text).await?;
        Ok((asked.question(), asked.found))
    }

    /// Makes one turn and changes what the conversation remembers. `progress` is told what may be shown meanwhile.
    pub async fn handle(
        &self,
        conversation: &mut Conversation,
        inbound: &Inbound,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Turn, EngineError> {
        let (started, at) = (Instant::now(), self.now());
        let shopper_text = manners::transcribed(&privacy::mask_secrets(&cleaned(&inbound.text)), &inbound.attachments);
        conversation.customer = inbound.customer.clone().or(conversation.customer.take());
        conversation.state = conversation.state.after(&Event::ShopperWrote);
        self.hear_return(conversation, &inbound.text);
        let to_the_bot = conversation.state.bot_answers() || self.is_for_the_bot(conversation, &inbound.text);
        if !to_the_bot {
            return Ok(Turn { shopper_text, reply: None, at });
        }
        progress(Progress::Typing);
        let text = cleaned(&inbound.text);
        conversation.language = manners::heard_language(conversation, inbound, &text);
        let mut asked = self.understand(conversation, &text).await?;
        // What is said is understood in its own language and answered in the one that the shopper chose.
        conversation.language = conversation.memory.language.unwrap_or(conversation.language);
        asked.language = conversation.language;
        asked.private_at.clone_from(&inbound.origin.private_at);
        self.look_again(&mut asked).await;
        let mut said = match self.wordless(&asked, &inbound.attachments) {
            Some(said) => said,
            None => self.decide(conversation, &asked).await?,
        };
        self.tell_queue(&asked, &mut said, at).await?;
        let said = self.with_manners(conversation, &asked, inbound, said);
        progress(Progress::Words { text: said.text.clone() });
        let total = started.elapsed().as_millis() as u64;
        let reply = self.finish(conversation, &asked, said, LatencyMs { first: total, total });
        Ok(Turn { shopper_text, reply: Some(reply), at })
    }

    /// Masks, completes a follow-up, embeds, and finds the intent: rules first, then the trained head.
    async fn understand<'a>(&self, conversation: &Conversation, text: &'a str) -> Result<Asked<'a>, EngineError> {
        let language = conversation.language;
        let snapshot = self.snapshot();
        let masked = with_emoji_names(&privacy::mask(text));
        // The encoder has a token of its own for every usual word of its languages; pieces speak for a typing error.
        let encoders = [Some(&self.encoders.main), self.encoders.english.as_ref()];
        let is_word = |word: &str| encoders.iter().flatten().any(|encoder| encoder.count_tokens(word) <= 1);
        let masked = snapshot.knowledge.lexical().respell(&masked, &is_word);
        let last = conversation.memory.last();
        let completed = self.completed(&masked, last, language).await?;
        let before = if completed.is_some() { None } else { follow_up::follow_up(&masked, last) };
        let is_completed = completed.is_some();
        let masked = completed.unwrap_or(masked);
        let mut texts = single_questions(&masked);
        texts.extend(before.map(|before| before.question.to_owned()));
        let vectors = self.encoders.embed_questions(texts.clone(), language == Language::En).await?;
        let mut lookups: Vec<Lookup> =
            texts.into_iter().zip(vectors).map(|(text, vectors)| Lookup { text, vectors }).collect();
        let mut context = if before.is_some() { lookups.pop() } else { None };
        let embedding = lookups.first().map(|lookup| lookup.vectors.main.clone()).unwrap_or_default();
        let mut scores = self.classifier.predict(&masked, &embedding);
        if let Some((intent, probability)) = intents::rule_intent(&masked, language) {
            scores.ranked.retain(|(other, _)| *other != intent);
            scores.ranked.insert(0, (intent, probability));
        }
        let about_order =
            conversation.memory.order.is_some() && last.is_some_and(|last| last.intent == Intent::OrderStatus.as_str());
        let (heard, probability) = scores.top();
        let other_matter = probability >= CERTAIN && last.is_some_and(|last| last.intent != heard.as_str());
        if before.is_some_and(|before| !before.is_certain) && other_matter && !about_order {
            // "Do you take PayPal?" after a question about the guarantee is short, and a question of its own.
            context = None;
        }
        if context.is_some() && about_order && !scores.top().0.is_smalltalk() && scores.top().0 != Intent::Human {
            // "What did I pay for them?" after an order was told is about that order.
            scores.ranked.insert(0, (Intent::OrderStatus, SURE));
        } else if (context.is_some() || is_completed) && scores.top().0 == Intent::OffTopic {
            // A continuation has too few words of its own to be judged as off topic.
            scores.ranked.rotate_left(1);
        }
        let intent = scores.top().0;
        let question = Question { lookups: &lookups, context: context.as_ref(), language };
        let found = snapshot.knowledge.search(&question, FOUND).await?;
        let alone = match before {
            Some(before) if context.is_some() && !before.is_certain => {
                let question = Question { context: None, ..question };
                Some(snapshot.knowledge.search(&question, FOUND).await?)
            }
            _ => None,
        };
        let merchant = match &self.merchant {
            Some(merchant) => {
                let verdict = merchant.judge(&masked).await?;
                verdict.map(|verdict| (verdict.in_scope.then_some(verdict.nearest), verdict.confidence))
            }
            None => None,
        };
        let first = found.first().map_or(0.0, |found| found.score);
        Ok(Asked {
            lookups,
            found,
            raw: text,
            language,
            scores,
            intent,
            merchant,
            snapshot,
            context,
            alone,
            first,
            reranked: false,
            private_at: None,
        })
    }

    /// "And a tent?" as the question before it, asked about tents: the new thing takes the place of what is most like it,
    /// or is added where the question was about nothing in particular; whichever the documents know more of. Only after
    /// an answer from the documents; what follows products is the recommender's to understand.
    async fn completed(
        &self,
        text: &str,
        last: Option<&Exchange>,
        language: Language,
    ) -> Result<Option<String>, EngineError> {
        let Some(last) = last.filter(|last| !last.chunks.is_empty() && last.products.is_empty()) else {
            return Ok(None);
        };
        let Some(thing) = follow_up::other_thing(text) else { return Ok(None) };
        let places = follow_up::places(&last.question);
        let texts = places.iter().map(|place| last.question[place.clone()].to_owned());
        let texts: Vec<String> = std::iter::once(thing.to_owned()).chain(texts).collect();
        let is_english = detect_language(thing) == Some(Language::En);
        // The English encoder tells single words apart far better.
        let vector = |vectors: QuestionVectors| {
            if vectors.english.is_empty() { vectors.main } else { vectors.english }
        };
        let vectors = self.encoders.embed_questions(texts, is_english).await?;
        let vectors: Vec<Vec<f32>> = vectors.into_iter().map(vector).collect();
        let Some((wanted, vectors)) = vectors.split_first() else { return Ok(None) };
        let likeness = |vector: &Vec<f32>| dot(vector, wanted);
        let likest = places.iter().zip(vectors).max_by(|a, b| likeness(a.1).total_cmp(&likeness(b.1)));
        let replaced = likest.map(|(place, _)| follow_up::completed(&last.question, place, thing));
        let texts: Vec<String> = replaced.into_iter().chain([follow_up::about(&last.question, thing)]).collect();
        let vectors = self.encoders.embed_questions(texts.clone(), language == Language::En).await?;
        let snapshot = self.snapshot();
        let (mut best, mut most) = (None, f32::MIN);
        for (text, vectors) in texts.into_iter().zip(vectors) {
            let lookups = [Lookup { text: text.clone(), vectors }];
            let question = Question { lookups: &lookups, context: None, language };
            let score = snapshot.knowledge.search(&question, 1).await?.first().map_or(0.0, |found| found.score);
            if score > most {
                (best, most) = (Some(text), score);
            }
        }
        Ok(best)
    }

    /// Which way the turn goes.
    async fn decide(&self, conversation: &mut Conversation, asked: &Asked<'_>) -> Result<Said, EngineError> {
        let (intent, probability) = asked.scores.top();
        if asked.raw.chars().count() > TEXT_MAX {
            return Ok(Said::new(Route::Decline, self.say(asked, Phrase::TooLong)));
        }
        if let Some(said) = self.to_staff(conversation, asked) {
            return Ok(said);
        }
        if let Some(said) = self.command(conversation, asked).await? {
            return Ok(said);
        }
        if intent == Intent::Human {
            return Ok(hand_over(Phrase::Handoff));
        }
        if intent == Intent::PromptAttack && probability >= SURE {
            return Ok(Said { declined: true, ..self.plain(asked, Route::Decline, Phrase::DeclineAttack) });
        }
        if let Some(said) = self.not_among_others(asked) {
            return Ok(said);
        }
        if let Some(said) = self.verify(conversation, asked).await? {
            return Ok(said);
        }
        if let Some(found) = taught::taught(asked) {
            return Ok(self.quote(asked, std::slice::from_ref(found)).await);
        }
        match intent {
            // "How long do you look for a lost parcel?" sounds like an order and is a rule.
            Intent::OrderStatus
                if probability >= CERTAIN || !asked.answerable() || conversation.verified_customer().is_some() =>
            {
                self.order_status(conversation, asked, &[]).await
            }
            Intent::Greeting if probability >= SURE => Ok(self.greet(asked)),
            Intent::Thanks if probability >= SURE => Ok(self.plain(asked, Route::Smalltalk, Phrase::Thanks)),
            Intent::Goodbye if probability >= SURE => Ok(self.plain(asked, Route::Smalltalk, Phrase::Goodbye)),
            Intent::Chitchat if probability >= SURE => Ok(self.plain(asked, Route::Smalltalk, Phrase::Chitchat)),
            Intent::Affirm if probability >= SURE => Ok(self.agree(conversation, asked)),
            Intent::Deny if probability >= SURE => Ok(self.plain(asked, Route::Smalltalk, Phrase::Deny)),
            Intent::Complaint if probability >= SURE => Ok(hand_over(Phrase::HandoffSorry)),
            _ => match self.products(conversation, asked).await? {
                Some(said) => Ok(said),
                None => Ok(self.answer(asked).await),
            },
        }
    }

    /// Answers from documents, or declines and shows the nearest passage.
    async fn answer(&self, asked: &Asked<'_>) -> Said {
        let best = asked.found.first().map_or(0.0, |found| found.score);
        let off_topic = matches!(asked.intent, Intent::OffTopic | Intent::DiscountRequest | Intent::PromptAttack)
            && asked.scores.top().1 >= SURE;
        let threshold = if off_topic { ANSWERS_OFF_TOPIC } else { asked.threshold() };
        if best >= threshold {
            self.quote(asked, &asked.found).await
        } else {
            self.decline(asked, asked.found.first().filter(|found| found.score >= NEAREST && !off_topic))
        }
    }

    /// Says what the best passages say.
    async fn quote(&self, asked: &Asked<'_>, found: &[Found]) -> Said {
        let lexical = asked.snapshot.knowledge.lexical();
        let question = asked.question();
        let mut said = Said { route: Some(Route::Answer), ..Said::default() };
        let mut rows = rows_together(found);
        if rows.len() > 1 {
            let more = rows.len() > ROWS_MAX;
            rows.truncate(ROWS_MAX);
            let extracts = rows.iter().map(|found| answer::extract(&question, found, lexical)).collect();
            self.list(asked, &rows, extracts, &mut said).await;
            if more {
                let place = answer::place(&rows[0].passage);
                let words = self.prompts.say(asked.language, Phrase::MoreRows, context! { place });
                said.text = format!("{}\n{words}", said.text);
            }
            return said;
        }
        let hours = if taught::leads(found) { Vec::new() } else { hours_together(&question, found) };
        if hours.len() > 1 {
            let extracts = hours.iter().map(|found| answer::opening_hours(found)).collect();
            self.list(asked, &hours, extracts, &mut said).await;
            return said;
        }
        let mut parts: Vec<String> = Vec::new();
        for found in best_two(found, asked.language) {
            let extract = answer::extract(&question, found, lexical);
            said.chunks.push(found.passage.chunk.id.clone());
            let text = self.in_language(asked, &extract.text, extract.language, &mut said).await;
            if !parts.contains(&text) {
                parts.push(text);
                said.citations.push(extract.citation);
            }
        }
        said.text = parts.join("\n\n");
        said
    }

    /// Says passages that answer together, one a line.
    async fn list(&self, asked: &Asked<'_>, found: &[&Found], extracts: Vec<Extract>, said: &mut Said) {
        said.chunks = found.iter().map(|found| found.passage.chunk.id.clone()).collect();
        let list: Vec<String> = extracts.iter().map(|extract| format!("• {}", extract.text)).collect();
        let list = list.join("\n");
        let language = extracts.first().map_or(asked.language, |extract| extract.language);
        said.text = if extracts.len() > ROWS_TRANSLATED_MAX && language != asked.language {
            self.in_original(asked, &list)
        } else {
            self.in_language(asked, &list, language, said).await
        };
        said.citations = extracts.into_iter().map(|extract| extract.citation).collect();
    }

    /// The words of a passage in the shopper's language: translated and checked, or quoted with a word of explanation.
    async fn in_language(&self, asked: &Asked<'_>, words: &str, language: Language, said: &mut Said) -> String {
        if language == asked.language {
            return words.to_owned();
        }
        if let Some(model) = self.language_model.get() {
            let request = self.prompts.translation(words, language, asked.language);
            said.prompt = Some(self.prompts.translate.label());
            let translated = match model.generate(request) {
                Ok(generation) => generation.text().await,
                Err(error) => Err(error),
            };
            match translated {
                Ok(text) => {
                    let text = bridge::completed(text.trim(), asked.language);
                    match answer::check_translation(words, &text, asked.language) {
                        Ok(()) => {
                            said.generated = true;
                            said.support.push(format!("kept: {text}"));
                            let original = list_or_words(words);
                            let values = context! { text, original };
                            return self.prompts.say(asked.language, Phrase::Translated, values);
                        }
                        Err(error) => said.support.push(format!("refused ({error}): {text}")),
                    }
                }
                Err(error) => said.support.push(format!("no translation: {error}")),
            }
        }
        self.in_original(asked, words)
    }

    /// The words of a passage in its own language, with a word of explanation.
    fn in_original(&self, asked: &Asked<'_>, words: &str) -> String {
        let text = list_or_words(words);
        self.prompts.say(asked.language, Phrase::DeclineOtherLanguage, context! { text })
    }

    fn decline(&self, asked: &Asked<'_>, nearest: Option<&Found>) -> Said {
        let phrase = match asked.intent {
            Intent::OffTopic if asked.scores.top().1 >= SURE => Phrase::DeclineOffTopic,
            Intent::PromptAttack if asked.scores.top().1 >= SURE => Phrase::DeclineAttack,
            Intent::DiscountRequest => Phrase::DeclineDiscount,
            Intent::CancelOrder | Intent::ChangeOrder => Phrase::DeclineAction,
            _ => Phrase::Decline,
        };
        let nearest =
            nearest.filter(|found| found.passage.chunk.language == asked.language && phrase == Phrase::Decline);
        let extract = nearest.map(|found| answer::extract(asked.text(), found, asked.snapshot.knowledge.lexical()));
        let quoted = extract.as_ref().map(|extract| extract.text.as_str());
        let place = nearest.map(|found| answer::place(&found.passage));
        let words = context! { shop => self.shop(asked), nearest => quoted, place };
        let text = self.prompts.say(asked.language, phrase, words);
        let suggestions = vec![self.say(asked, Phrase::SuggestHuman)];
        let citations = extract.map(|extract| extract.citation).into_iter().collect();
        Said { declined: true, suggestions, citations, ..Said::new(Route::Decline, text) }
    }

    fn greet(&self, asked: &Asked<'_>) -> Said {
        let profile = &asked.snapshot.profile;
        let own = profile.greeting.get(asked.language);
        let text = if own.is_empty() { self.say(asked, Phrase::Greeting) } else { own.clone() };
        let suggestions = profile.suggested_questions.get(asked.language).iter().take(3).cloned().collect();
        Said { suggestions, ..Said::new(Route::Smalltalk, text) }
    }

    /// "Yes please" after the bot offered a person means that person.
    fn agree(&self, conversation: &Conversation, asked: &Asked<'_>) -> Said {
        let offered = conversation.memory.last().is_some_and(|exchange| exchange.declined);
        if offered { hand_over(Phrase::Handoff) } else { self.plain(asked, Route::Smalltalk, Phrase::Affirm) }
    }

    fn plain(&self, asked: &Asked<'_>, route: Route, phrase: Phrase) -> Said {
        Said::new(route, self.say(asked, phrase))
    }

    fn say(&self, asked: &Asked<'_>, phrase: Phrase) -> String {
        self.prompts.say(asked.language, phrase, context! { shop => self.shop(asked), nearest => "", place => "" })
    }

    fn shop(&self, asked: &Asked<'_>) -> String {
        let name = &asked.snapshot.profile.name;
        if name.is_empty() { self.prompts.say(asked.language, Phrase::OurShop, context! {}) } else { name.clone() }
    }

    /// Makes the reply and remembers the exchange.
    fn finish(&self, conversation: &mut Conversation, asked: &Asked<'_>, said: Said, latency_ms: LatencyMs) -> Reply {
        let route = said.route.unwrap_or(Route::Decline);
        let question = asked.question();
        let mut products = said.about;
        products.extend(said.products.iter().map(|card| card.sku.clone()));
        if route != Route::Smalltalk {
            conversation.memory.remember(Exchange {
                question: said.question.unwrap_or_else(|| asked.text().to_owned()),
                reply: privacy::mask(&said.text),
                intent: asked.intent.as_str().to_owned(),
                declined: said.declined,
                chunks: said.chunks,
                products,
            });
        }
        let prompt = said.prompt.or_else(|| asked.reranked.then(|| self.prompts.question.label()));
        let model = self.language_model.get().filter(|_| prompt.is_some());
        let intents = asked.scores.ranked.iter().take(3).map(|(intent, p)| (intent.as_str().to_owned(), *p)).collect();
        Reply {
            text: said.text,
            // A command may just have chosen another one.
            language: conversation.language,
            intent: asked.intent.as_str().to_owned(),
            intent_confidence: asked.scores.top().1,
            route,
            citations: said.citations,
            products: said.products,
            handoff: said.handoff.is_some(),
            declined: said.declined,
            sentiment: intents::sentiment(asked.text()),
            generated: said.generated,
            latency_ms,
            suggestions: said.suggestions,
            effect: said.effect,
            trace: Trace {
                query: question,
                intents,
                merchant_intent: asked.merchant.clone(),
                passages: asked.found.iter().take(TRACED).map(traced).collect(),
                reranked: asked.reranked,
                queue: said.queue,
                support: said.support,
                knowledge_version: asked.snapshot.version,
                encoder: self.encoders.name(),
                model: model.map(|model| model.name().to_owned()),
                prompt,
            },
        }
    }
}

/// A list begins on a line of its own.
fn list_or_words(words: &str) -> String {
    if words.starts_with('•') { format!("\n{words}") } else { words.to_owned() }
}

/// Without control characters; what is invisible decides nothing.
fn cleaned(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    kept.filter(
        |c| !matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'),
    )
    .collect::<String>()
    .trim()
    .to_owned()
}

/// Without e-mail addresses, numbers and order numbers: a shopper who sends only those has not changed the language.
fn words_only(text: &str) -> String {
    text.split_whitespace().filter(|word| !word.contains('@') && !is_code(word)).collect::<Vec<_>>().join(" ")
}

/// An order number or the like: no Chinese, and at least one digit.
fn is_code(word: &str) -> bool {
    word.is_ascii() && word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Emoji as their names, so that "📦?" can be looked up.
fn with_emoji_names(text: &str) -> String {
    use unicode_segmentation::UnicodeSegmentation;
    text.graphemes(true)
        .map(|grapheme| match emojis::get(grapheme) {
            Some(emoji) if !grapheme.is_ascii() => format!(" {} ", emoji.name().trim_start_matches("flag: ")),
            _ => grapheme.to_owned(),
        })
        .collect()
}

/// The whole text first; of a longer story also the sentences that ask, since the rest only dilutes them.
fn single_questions(text: &str) -> Vec<String> {
    let parts = sentences(text);
    let mut texts = vec![text.to_owned()];
    if parts.len() > 1 {
        let asks = |part: &&&str| part.contains(['?', '？']);
        let asking: Vec<&&str> = parts.iter().filter(asks).collect();
        let chosen = if asking.is_empty() { parts.iter().rev().take(1).collect() } else { asking };
        texts.extend(chosen.into_iter().rev().take(QUESTIONS_MAX).map(|part| part.trim().to_owned()));
    }
    texts
}

/// The best passage, and a second one in the shopper's language that is nearly as probable.
fn best_two(found: &[Found], language: Language) -> Vec<&Found> {
    let best = found.first().map_or(0.0, |found| found.score);
    let readable = |found: &Found| found.passage.chunk.language == language;
    let alone = taught::leads(found);
    // What staff wrote answers its own question and adds nothing to others.
    let fits = |found: &Found| !alone && !taught::is_by_staff(found);
    let second =
        |found: &&Found| fits(found) && found.score >= SECOND && best - found.score <= SECOND_WITHIN && readable(found);
    found.iter().take(1).chain(found.iter().skip(1).take(1).filter(second)).collect()
}

/// The rows of the best passage's table that are about as likely meant, in their order: a question that names no row
/// is about all of them. Fewer than two where the best passage is no row or stands out.
fn rows_together(found: &[Found]) -> Vec<&Found> {
    let Some(best) = found.first() else { return Vec::new() };
    let read_alike = |other: &Found| match (best.read, other.read) {
        (Some(best), Some(other)) => best - other <= ROW_READ_WITHIN,
        _ => true,
    };
    let together = |other: &&Found| {
        other.place == best.place
            || (best.first - other.first <= ROW_WITHIN
                && read_alike(other)
                && other.passage.shares_table(&best.passage))
    };
    let mut rows: Vec<&Found> = found.iter().filter(together).collect();
    rows.sort_by_key(|found| found.place);
    rows
}

/// When a shop is open, each place has its own hours: of the passages of the best one's language that state some, those
/// whose place the question names, or else all that are about as likely. Empty where hours are not what was asked.
fn hours_together<'a>(question: &str, found: &'a [Found]) -> Vec<&'a Found> {
    let Some(best) = found.first().filter(|found| found.features.states_hours) else { return Vec::new() };
    let language = best.passage.chunk.language;
    let stating: Vec<&Found> = found
        .iter()
        .filter(|other| other.features.states_hours && other.passage.chunk.language == language)
        .filter(|other| best.first - other.first <= HOURS_WITHIN)
        .take(HOURS_MAX)
        .collect();
    let asked: HashSet<String> = terms(question).into_iter().filter(|term| !term.stop).map(|term| term.text).collect();
    // "Is the Leeds shop open?" names no place of "Aberfeldy (warehouse shop)".
    let names = |term: &Term| asked.contains(&term.text) && !PLACE_WORDS.contains(&term.text.as_str());
    let is_named = |found: &&&Found| terms(answer::place(&found.passage)).iter().any(names);
    let named: Vec<&Found> = stating.iter().filter(is_named).copied().collect();
    let mut together = if named.is_empty() { stating } else { named };
    together.sort_by_key(|found| found.place);
    together
}

fn traced(found: &Found) -> PassageTrace {
    PassageTrace {
        document: found.passage.document.clone(),
        heading: found.passage.chunk.heading.clone(),
        text: found.passage.chunk.text.clone(),
        cosine: found.cosine,
        bm25: found.bm25,
        z: found.features.z,
        coverage: found.features.coverage,
        bm25_share: found.features.bm25,
        concepts: found.features.concepts,
        cross_language: found.features.cross_language,
        read: found.read,
        score: found.score,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_number_alone_has_no_language() {
        assert_eq!(detect_language(&words_only("chen.jing@example.com KC-70478")), None);
        assert_eq!(detect_language(&words_only("订单KC-70478到哪了")), Some(Language::Zh));
    }

    #[test]
    fn invisible_characters_go_and_emoji_speak() {
        assert_eq!(cleaned(" a\u{202E}b\u{7}\n c "), "ab\n c");
        assert_eq!(with_emoji_names("📦?"), " package ?");
        assert_eq!(with_emoji_names("3#"), "3#");
    }
}
