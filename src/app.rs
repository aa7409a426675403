//! The one place that wires everything, and runs it until it is told to stop.

pub mod ask;
pub mod chat;
pub mod demo;
pub mod eval;
pub mod eval_answers;
mod health;
pub mod import;
pub mod models;
pub mod replay;
pub mod serve;
pub mod train;
pub mod train_reader;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;

use crate::{
    config::Config,
    desk::Desk,
    dispatch::Dispatcher,
    engine::{Clock, Engine},
    inference::{ChatStates, Embedder, Encoders, LanguageModel, LanguageModelSlot, LocalOptions, Reader, Unread},
    intents::{
        self, IntentClassifier,
        merchant::{MerchantClassifier, MerchantIntents},
    },
    knowledge::{import::Importer, meanings::Meanings},
    live::LiveHub,
    models::ModelStore,
    prompts::Prompts,
    storage::Store,
};

/// The encoder's name that stands for no model at all; for tests.
const HASHED: &str = "hashed";
/// Numbers per hashed vector.
const HASHED_DIMENSIONS: usize = 384;
/// Training examples embedded at a time.
const EXAMPLES_AT_ONCE: usize = 32;

/// Everything that channels and pages share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The shop's database.
    pub store: Store,
    /// Makes turns.
    pub engine: Arc<Engine>,
    /// Accepts updates.
    pub dispatcher: Dispatcher,
    /// Does what staff want.
    pub desk: Desk,
    /// Takes in files.
    pub importer: Importer,
    /// Tells which questions ask the same.
    pub meanings: Meanings,
    /// Who watches what happens.
    pub live: LiveHub,
    /// The bot's own words.
    pub prompts: Arc<Prompts>,
    /// The chat model, once it is there.
    pub language_model: LanguageModelSlot,
}

/// What a command needs of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Models {
    /// Encoder and chat model.
    All,
    /// The encoder now, the chat model when `serve` has opened.
    ChatLater,
    /// Only the encoder.
    Encoder,
}

/// The shop's database, as the settings say.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    Ok(match &config.database_url {
        Some(url) => Store::connect(url.expose()).await?,
        None => Store::open(&config.data_dir).await?,
    })
}

/// The downloaded models.
pub fn model_store(config: &Config) -> anyhow::Result<ModelStore> {
    Ok(ModelStore::open(config.models.dir.clone())?)
}

/// The encoder, fetched when it is not there yet.
pub async fn open_embedder(config: &Config) -> anyhow::Result<Embedder> {
    open_encoder(config, &config.models.encoder).await
}

/// An encoder by its name in the list of models.
pub(crate) async fn open_encoder(config: &Config, name: &str) -> anyhow::Result<Embedder> {
    if name == HASHED {
        return Ok(Embedder::hashed(HASHED_DIMENSIONS));
    }
    let files = model_store(config)?.pull(name).await?;
    Ok(tokio::task::spawn_blocking(move || Embedder::local(&files)).await??)
}

/// The encoders that texts are looked up by. Without the English one a shop is found less well and otherwise whole, so
/// that a failure to fetch it is noted and ends nothing.
pub async fn open_encoders(config: &Config) -> anyhow::Result<Encoders> {
    let main = open_embedder(config).await?;
    let name = &config.models.english_encoder;
    if name.is_empty() || name == main.name() || main.name() == HASHED {
        return Ok(Encoders { main, english: None });
    }
    let english = open_encoder(config, name).await.inspect_err(|error| {
        tracing::warn!("English texts are looked up by {} alone: {error:#}", main.name());
    });
    Ok(Encoders { main, english: english.ok() })
}

/// The chat model: on its server, or here, fetched when it is not there yet.
async fn open_language_model(config: &Config) -> anyhow::Result<LanguageModel> {
    if let Some(remote) = &config.models.remote {
        let model = LanguageModel::remote(remote, remote.key()?)?;
        model.check().await;
        return Ok(model);
    }
    let reader = config.models.reader.as_deref().map(Reader::load).transpose()?;
    let files = model_store(config)?.pull(&config.models.chat).await?;
    let options = LocalOptions { reader, device: config.models.device, ..LocalOptions::default() };
    Ok(tokio::task::spawn_blocking(move || LanguageModel::local_with(&files, options)).await??)
}

/// Pictures of the catalogue.
pub fn media_dir(config: &Config) -> PathBuf {
    config.data_dir.join("media")
}

/// The trained intent head, from its cache beside the models, or trained now.
async fn open_classifier(config: &Config, embedder: &Embedder) -> anyhow::Result<IntentClassifier> {
    let examples = intents::builtin_examples()?;
    let cache = model_store(config)?.dir().join(format!("intents-{}.bin", embedder.name()));
    let cached = std::fs::read(&cache).ok();
    if let Some(head) = cached.and_then(|bytes| IntentClassifier::from_bytes(&bytes, &examples, embedder.name()).ok()) {
        return Ok(head);
    }
    let bar = progress_bar(examples.len(), "learning what shoppers ask (once)")?;
    let mut embeddings = Vec::with_capacity(examples.len());
    for step in examples.chunks(EXAMPLES_AT_ONCE) {
        embeddings.extend(embedder.embed_queries(step.iter().map(|example| example.text.clone()).collect()).await?);
        bar.inc(step.len() as u64);
    }
    bar.finish_and_clear();
    let name = embedder.name().to_owned();
    let head = tokio::task::spawn_blocking(move || IntentClassifier::train(&examples, &embeddings, &name)).await??;
    // Kept under another name first, so that a second start never reads half a file. Not keeping it only costs time.
    let part = cache.with_extension(format!("{}.part", std::process::id()));
    if let Err(error) = std::fs::write(&part, head.to_bytes()).and_then(|()| std::fs::rename(&part, &cache)) {
        tracing::warn!(%error, "the trained intent head cannot be kept and will be trained again");
    }
    Ok(head)
}

/// The merchant's own intents, when the settings name their folder.
async fn open_merchant_intents(
    config: &Config,
    shop: &Encoders,
    chat: &LanguageModelSlot,
) -> anyhow::Result<Option<MerchantClassifier>> {
    let Some(dir) = &config.intents.custom else { return Ok(None) };
    let wrong = || format!("the setting `custom` under [intents] names {}", dir.display());
    let head = MerchantIntents::load(dir).with_context(wrong)?;
    let mut encoders = Vec::new();
    for name in head.encoders() {
        let open = std::iter::once(&shop.main).chain(&shop.english).find(|encoder| encoder.name() == name);
        encoders.push(match open {
            Some(encoder) => encoder.clone(),
            None if ChatStates::is_named(name) => Embedder::Chat(ChatStates::named(name, chat.clone())),
            None => open_encoder(config, name).await?,
        });
    }
    Ok(Some(MerchantClassifier::new(head, encoders).with_context(wrong)?))
}

impl App {
    /// Opens the store, loads the models and wires the parts.
    pub async fn open(config: Config, models: Models) -> anyhow::Result<Self> {
        // What the settings name and cannot be used is said before anything is loaded.
        config.models.reader.as_deref().map(Reader::load).transpose()?;
        Self::open_at(config, models, Clock::System).await
    }

    /// The same by another clock, for replays.
    pub async fn open_at(config: Config, models: Models, clock: Clock) -> anyhow::Result<Self> {
        let store = open_store(&config).await?;
        let encoders = open_encoders(&config).await?;
        let classifier = open_classifier(&config, &encoders.main).await?;
        let language_model = match models {
            Models::All | Models::ChatLater if config.models.wants_chat() => LanguageModelSlot::loading(),
            _ => LanguageModelSlot::absent(),
        };
        let merchant = open_merchant_intents(&config, &encoders, &language_model).await?;
        let prompts = Arc::new(Prompts::load(Some(&config.data_dir.join("prompts")))?);
        let qdrant = config.retrieval.qdrant_url.clone().map(|url| (url, config.retrieval.qdrant_collection.clone()));
        let importer = Importer::new(store.clone(), encoders.clone(), &media_dir(&config));
        let meanings = Meanings::new(encoders.clone());
        let live = LiveHub::default();
        let (chat, words) = (language_model.clone(), Arc::clone(&prompts));
        let engine = Engine::open(store.clone(), encoders, chat, classifier, words, clock, qdrant).await?;
        // A command that answers once waits for the chat model; a shop with many shoppers does not.
        let unread = if models == Models::All { Unread::Read } else { Unread::Later };
        let engine = engine.with_merchant_intents(merchant).with_unread(unread);
        let engine = Arc::new(engine);
        let burst = Duration::from_millis(config.telegram.as_ref().map_or(0, |telegram| telegram.burst_ms));
        let dispatcher = Dispatcher::new(store.clone(), Arc::clone(&engine), live.clone()).with_burst(burst);
        let desk = Desk::new(store.clone(), live.clone(), Arc::clone(&prompts), config.handoff.clone());
        let config = Arc::new(config);
        let app = Self { config, store, engine, dispatcher, desk, importer, meanings, live, prompts, language_model };
        if models == Models::All {
            app.load_language_model().await;
        }
        Ok(app)
    }

    /// Brings the chat model to its place, unless the settings name none. A shop without it is slower to translate and
    /// otherwise whole, so that a failure is noted and ends nothing.
    async fn load_language_model(&self) {
        if !self.config.models.wants_chat() {
            return;
        }
        match open_language_model(&self.config).await {
            Ok(model) => {
                // A server that does not answer yet may do so later.
                if model.trouble().is_none() {
                    tracing::info!(model = model.name(), device = model.device(), "the chat model is ready");
                }
                self.language_model.fill(model);
            }
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!("no chat model, replies are the documents' own words: {why}");
                self.language_model.fail(why);
            }
        }
    }
}

/// A bar on a terminal; elsewhere one line, so that a log says what takes its time.
pub(crate) fn progress_bar(steps: usize, what: &'static str) -> anyhow::Result<indicatif::ProgressBar> {
    let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}")?;
    let bar = indicatif::ProgressBar::new(steps as u64).with_style(style).with_message(what);
    if bar.is_hidden() {
        eprintln!("{what} …");
    }
    Ok(bar)
}
