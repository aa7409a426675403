//! The one place that wires everything, and runs it until it is told to stop.

pub mod ask;
pub mod chat;
pub mod demo;
pub mod eval;
pub mod import;
pub mod models;
pub mod train;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, routing::get};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    channels::{telegram, web_widget},
    config::Config,
    console::{self, ConsoleState, UploadFn, UploadReport},
    dispatch::Dispatcher,
    engine::{Clock, Engine},
    inference::{Embedder, LanguageModel},
    intents::{
        self, IntentClassifier,
        merchant::{MerchantClassifier, MerchantIntents},
    },
    knowledge::import::Importer,
    live::LiveHub,
    models::ModelStore,
    prompts::Prompts,
    storage::Store,
};

/// How soon a change of the shop's documents and records reaches the conversations.
const REFRESH: Duration = Duration::from_secs(1);
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
    /// Takes in files.
    pub importer: Importer,
    /// Who watches what happens.
    pub live: LiveHub,
}

/// What a command needs of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Models {
    /// Encoder and chat model.
    All,
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
    if config.models.encoder == HASHED {
        return Ok(Embedder::hashed(HASHED_DIMENSIONS));
    }
    let files = model_store(config)?.pull(&config.models.encoder).await?;
    Ok(tokio::task::spawn_blocking(move || Embedder::local(&files)).await??)
}

/// The chat model, fetched when it is not there yet. A shop can do without: it then quotes its documents.
async fn open_language_model(config: &Config) -> anyhow::Result<Option<LanguageModel>> {
    if config.models.chat.is_empty() {
        return Ok(None);
    }
    let files = model_store(config)?.pull(&config.models.chat).await?;
    Ok(Some(tokio::task::spawn_blocking(move || LanguageModel::local(&files)).await??))
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
async fn open_merchant_intents(config: &Config, embedder: &Embedder) -> anyhow::Result<Option<MerchantClassifier>> {
    let Some(dir) = &config.intents.custom else { return Ok(None) };
    let wrong = || format!("the setting `custom` under [intents] names {}", dir.display());
    let head = MerchantIntents::load(dir).with_context(wrong)?;
    let mut encoders = Vec::new();
    for name in head.encoders() {
        if name == embedder.name() {
            encoders.push(embedder.clone());
        } else {
            let mut other = config.clone();
            other.models.encoder.clone_from(name);
            encoders.push(open_embedder(&other).await?);
        }
    }
    Ok(Some(MerchantClassifier::new(head, encoders).with_context(wrong)?))
}

impl App {
    /// Opens the store, loads the models and wires the parts.
    pub async fn open(config: Config, models: Models) -> anyhow::Result<Self> {
        let store = open_store(&config).await?;
        let embedder = open_embedder(&config).await?;
        let classifier = open_classifier(&config, &embedder).await?;
        let merchant = open_merchant_intents(&config, &embedder).await?;
        let language_model = match models {
            // A shop without it is slower to translate and otherwise whole, so it is no reason not to open.
            Models::All => open_language_model(&config).await.unwrap_or_else(|error| {
                tracing::warn!("no chat model, replies are the documents' own words: {error:#}");
                None
            }),
            Models::Encoder => None,
        };
        let prompts = Prompts::load(Some(&config.data_dir.join("prompts")))?;
        let qdrant = config.retrieval.qdrant_url.clone().map(|url| (url, config.retrieval.qdrant_collection.clone()));
        let importer = Importer::new(store.clone(), embedder.clone(), &media_dir(&config));
        let live = LiveHub::default();
        let engine =
            Engine::open(store.clone(), embedder, language_model, classifier, prompts, Clock::System, qdrant).await?;
        let engine = engine.with_merchant_intents(merchant);
        let engine = Arc::new(engine);
        let dispatcher = Dispatcher::new(store.clone(), Arc::clone(&engine), live.clone());
        Ok(Self { config: Arc::new(config), store, engine, dispatcher, importer, live })
    }

    /// Serves until `shutdown`.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let listen = self.config.server.listen;
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
        let address = listener.local_addr()?;
        let work = tokio::spawn({
            let (dispatcher, shutdown) = (self.dispatcher.clone(), shutdown.clone());
            async move { dispatcher.run(shutdown).await }
        });
        let refresh = tokio::spawn(keep_fresh(Arc::clone(&self.engine), shutdown.clone()));
        let telegram = self.start_telegram(&shutdown);
        eprintln!("Shoptalk is ready: http://{address}/");
        if let Some(token) = console::setup_token(&self.store).await? {
            eprintln!("Set up the console once: http://{address}/console/setup?token={token}");
        }
        let service = self.router(&shutdown).into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned()).await?;
        shutdown.cancel();
        work.await?;
        refresh.await?;
        telegram.await?;
        Ok(())
    }

    /// The bot, when there is one. Without it the rest of the shop still works.
    fn start_telegram(&self, shutdown: &CancellationToken) -> JoinHandle<()> {
        let (app, shutdown) = (self.clone(), shutdown.clone());
        tokio::spawn(async move {
            let Some(config) = &app.config.telegram else { return };
            if let Err(error) = telegram::run(config, app.store, app.dispatcher, app.live, shutdown).await {
                tracing::error!("Telegram is off: {error}");
            }
        })
    }

    /// Every page and API. Streams that would last for ever end at `shutdown`.
    pub fn router(&self, shutdown: &CancellationToken) -> Router {
        let console = ConsoleState::new(self.store.clone(), self.live.clone(), self.upload(), shutdown.clone());
        Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .merge(web_widget::router(self.widget_state(shutdown)))
            .merge(console::router(console))
    }

    fn widget_state(&self, shutdown: &CancellationToken) -> web_widget::WidgetState {
        let media_dir = media_dir(&self.config);
        let origins = &self.config.server.widget_origins;
        let (store, dispatcher, live) = (self.store.clone(), self.dispatcher.clone(), self.live.clone());
        web_widget::WidgetState::new(store, dispatcher, live, media_dir, origins, shutdown.clone())
    }

    /// What the console does with an uploaded file.
    fn upload(&self) -> UploadFn {
        let (importer, engine) = (self.importer.clone(), Arc::clone(&self.engine));
        Arc::new(move |name, bytes| {
            let (importer, engine) = (importer.clone(), Arc::clone(&engine));
            Box::pin(async move {
                let report = importer.import_bytes(&name, bytes, None, engine.now()).await;
                let report = report.map_err(|error| error.to_string())?;
                let summary = report.summary();
                Ok(UploadReport { name: report.name, kind: report.kind.to_owned(), summary, notes: report.notes })
            })
        })
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

/// Brings changes of documents and records into the conversations.
async fn keep_fresh(engine: Arc<Engine>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match engine.refresh().await {
            Ok(true) => tracing::info!("documents and records loaded again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "documents and records cannot be loaded"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(REFRESH) => {}
        }
    }
}
