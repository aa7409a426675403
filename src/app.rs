//! The one place that wires everything, and runs it until it is told to stop.

pub mod ask;
pub mod chat;
pub mod import;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, routing::get};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    channels::telegram,
    config::Config,
    dispatch::Dispatcher,
    engine::{Clock, Engine},
    inference::{Embedder, LanguageModel},
    intents::{self, IntentClassifier},
    knowledge::import::Importer,
    live::LiveHub,
    prompts::Prompts,
    storage::Store,
};

/// How soon a change of the shop's documents and records reaches the conversations.
const REFRESH: Duration = Duration::from_secs(1);

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

/// The encoder, fetched when it is not there yet.
pub async fn open_embedder(config: &Config) -> anyhow::Result<Embedder> {
    if config.models.encoder == "hashed" {
        return Ok(Embedder::hashed(384));
    }
    let dir = PathBuf::from(std::env::var("HOME")?).join(".cache/shoptalk/dev");
    Ok(tokio::task::spawn_blocking(move || Embedder::e5(&dir.join("e5-small-q4.bin"), &dir.join("tokenizer.json")))
        .await??)
}

/// Pictures of the catalogue.
pub fn media_dir(config: &Config) -> PathBuf {
    config.data_dir.join("media")
}

/// The trained intent head, from its cache or trained now.
async fn open_classifier(embedder: &Embedder) -> anyhow::Result<IntentClassifier> {
    let examples = intents::builtin_examples()?;
    let cache =
        PathBuf::from(std::env::var("HOME")?).join(format!(".cache/shoptalk/dev/intents-{}.bin", embedder.name()));
    if let Some(head) = std::fs::read(&cache)
        .ok()
        .and_then(|bytes| IntentClassifier::from_bytes(&bytes, &examples, embedder.name()).ok())
    {
        return Ok(head);
    }
    eprintln!("Training the intent head on {} examples, once …", examples.len());
    let mut embeddings = Vec::with_capacity(examples.len());
    for step in examples.chunks(32) {
        embeddings.extend(embedder.embed_queries(step.iter().map(|example| example.text.clone()).collect()).await?);
    }
    let head = IntentClassifier::train(&examples, &embeddings, embedder.name())?;
    let _ = std::fs::write(&cache, head.to_bytes());
    Ok(head)
}

impl App {
    /// Opens the store, loads the models and wires the parts.
    pub async fn open(config: Config, models: Models) -> anyhow::Result<Self> {
        let store = open_store(&config).await?;
        let embedder = open_embedder(&config).await?;
        let language_model: Option<LanguageModel> = None;
        let _ = models;
        let classifier = open_classifier(&embedder).await?;
        let prompts = Prompts::load(Some(&config.data_dir.join("prompts")))?;
        let qdrant = config.retrieval.qdrant_url.clone().map(|url| (url, config.retrieval.qdrant_collection.clone()));
        let importer = Importer::new(store.clone(), embedder.clone(), &media_dir(&config));
        let live = LiveHub::default();
        let engine =
            Engine::open(store.clone(), embedder, language_model, classifier, prompts, Clock::System, qdrant).await?;
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
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown.clone().cancelled_owned()).await?;
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

    fn router(&self) -> Router {
        Router::new().route("/healthz", get(|| async { "ok" }))
    }
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
