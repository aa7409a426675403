//! `shoptalk serve`: listens first, so that a taken port is said at once and the health can be asked from the start;
//! then opens the shop and lets shoppers in; the chat model comes last, while the first questions are answered.

use std::{future::IntoFuture, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use chrono::Utc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{App, Models, ask::BatchLine, health::Door, media_dir};
use crate::{
    channels::{
        telegram::{self, Changes, Imported},
        web_widget,
    },
    config::Config,
    console::{self, AskFn, ConsoleState, Knowledge, TrialFn, UploadFn, UploadReport},
    engine::Engine,
    inference::LanguageModel,
    knowledge::Chunk,
    message::Reply,
    storage::{StorageError, Store},
    telemetry::{self, HealthFn},
};

/// How soon a change of the shop's documents and records reaches the conversations.
const REFRESH: Duration = Duration::from_secs(1);
/// How often measured times are folded into their histograms, so that they do not pile up where nobody asks for them.
const METRICS_UPKEEP: Duration = Duration::from_secs(30);
/// How often log-ins that are over are forgotten, so that a clock which is put back does not bring them back.
const SESSIONS_UPKEEP: Duration = Duration::from_mins(1);
/// How often a model server is looked at.
const MODEL_CHECK: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, with the demo shop when `demo` and the data directory is empty.
pub async fn run(config: Config, demo: bool, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listen = config.server.listen;
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
    let address = listener.local_addr()?;
    let metrics = telemetry::install().context("metrics cannot be kept")?;
    let upkeep = tokio::spawn(keep_metrics(metrics.clone()));
    let door = Door::new(metrics);
    let service = door.router().into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let server = tokio::spawn(server.into_future());
    eprintln!("Shoptalk listens on http://{address}/ and opens the shop …");
    let opened = tokio::select! {
        opened = open(config, demo) => Some(opened?),
        () = shutdown.cancelled() => None,
    };
    if let Some(app) = opened {
        let webhook = telegram::WebhookDoor::default();
        door.open(app.clone(), app.router(&shutdown).merge(webhook.router()));
        app.work(address, webhook, &shutdown).await?;
    }
    server.await??;
    upkeep.abort();
    Ok(())
}

async fn open(config: Config, demo: bool) -> anyhow::Result<App> {
    let app = App::open(config, Models::ChatLater).await?;
    if demo {
        super::demo::import(&app).await?;
    }
    Ok(app)
}

async fn keep_metrics(metrics: metrics_exporter_prometheus::PrometheusHandle) {
    loop {
        tokio::time::sleep(METRICS_UPKEEP).await;
        metrics.run_upkeep();
    }
}

impl App {
    /// Everything beside the pages, until `shutdown`.
    async fn work(
        self,
        address: SocketAddr,
        webhook: telegram::WebhookDoor,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        if let Err(error) = self.store.take_over_leases().await {
            tracing::warn!(%error, "what a killed process was working waits until its lease ends");
        }
        let turns = tokio::spawn({
            let (dispatcher, shutdown) = (self.dispatcher.clone(), shutdown.clone());
            async move { dispatcher.run(shutdown).await }
        });
        // An answer of staff that was let in as the program was killed is published now.
        if let Err(error) = self.importer.publish_staff_answers(self.engine.now()).await {
            tracing::error!(%error, "the answers of staff cannot be published");
        }
        let refresh = tokio::spawn(keep_fresh(Arc::clone(&self.engine), shutdown.clone()));
        let sessions = tokio::spawn(forget_sessions(self.store.clone()));
        let desk = tokio::spawn({
            let (desk, shutdown) = (self.desk.clone(), shutdown.clone());
            async move { desk.run(shutdown).await }
        });
        let telegram = self.start_telegram(webhook, shutdown);
        eprintln!("Shoptalk is ready: http://{address}/");
        if let Some(token) = console::setup_token(&self.store).await? {
            eprintln!("Set up the console once: http://{address}/console/setup?token={token}");
        }
        let chat_model = tokio::spawn({
            let app = self.clone();
            async move {
                app.load_language_model().await;
                app.engine.read_ahead();
                app.watch_model_server().await;
            }
        });
        shutdown.cancelled().await;
        chat_model.abort();
        sessions.abort();
        turns.await?;
        refresh.await?;
        desk.await?;
        telegram.await?;
        Ok(())
    }

    /// Keeps the health of a model server up to date, also while nobody asks. Returns at once where there is none.
    async fn watch_model_server(&self) {
        while let Some(model) = self.language_model.get().filter(LanguageModel::is_remote) {
            tokio::time::sleep(MODEL_CHECK).await;
            model.check().await;
        }
    }

    /// The bot, when there is one. Without it the rest of the shop still works.
    fn start_telegram(&self, webhook: telegram::WebhookDoor, shutdown: &CancellationToken) -> JoinHandle<()> {
        let (app, shutdown) = (self.clone(), shutdown.clone());
        tokio::spawn(async move {
            let Some(config) = &app.config.telegram else { return };
            let (media_dir, import) = (media_dir(&app.config), app.merchant_import());
            let shop = telegram::Shop { store: app.store, dispatcher: app.dispatcher, live: app.live, desk: app.desk };
            let ended = Box::pin(telegram::run(config, shop, &webhook, media_dir, import, shutdown)).await;
            if let Err(error) = ended {
                tracing::error!("Telegram is off: {error}");
            }
        })
    }

    /// Every page and API. Streams that would last for ever end at `shutdown`.
    pub fn router(&self, shutdown: &CancellationToken) -> Router {
        let (store, live) = (self.store.clone(), self.live.clone());
        let knowledge = Knowledge {
            upload: self.upload(),
            ask: self.ask_fn(),
            trial: self.trial_fn(),
            importer: self.importer.clone(),
            meanings: self.meanings.clone(),
        };
        let (desk, health) = (self.desk.clone(), self.health_fn());
        let console = ConsoleState::new(store, live, desk, knowledge, health, shutdown.clone());
        Router::new().merge(web_widget::router(self.widget_state(shutdown))).merge(console::router(console))
    }

    fn widget_state(&self, shutdown: &CancellationToken) -> web_widget::WidgetState {
        let media_dir = media_dir(&self.config);
        let origins = &self.config.server.widget_origins;
        let (store, dispatcher, live) = (self.store.clone(), self.dispatcher.clone(), self.live.clone());
        web_widget::WidgetState::new(store, dispatcher, live, media_dir, origins, shutdown.clone())
    }

    fn health_fn(&self) -> HealthFn {
        let app = self.clone();
        Arc::new(move || {
            let app = app.clone();
            Box::pin(async move { app.health().await })
        })
    }

    /// What the bot does with a document that a merchant sent: what it takes the place of is kept first.
    pub fn merchant_import(&self) -> telegram::ImportFn {
        let (importer, engine, store) = (self.importer.clone(), Arc::clone(&self.engine), self.store.clone());
        Arc::new(move |file, name, bytes| {
            let (importer, engine, store) = (importer.clone(), Arc::clone(&engine), store.clone());
            Box::pin(async move {
                let failed = |error: StorageError| error.to_string();
                store.keep_replaced(file, &name).await.map_err(failed)?;
                let report = importer.import_bytes(&name, bytes, None, engine.now()).await;
                let report = report.map_err(|error| error.to_string())?;
                let mut imported = Imported {
                    kind: report.kind.to_owned(),
                    summary: report.summary(),
                    notes: report.notes.clone(),
                    changes: None,
                    version: None,
                };
                if report.kind == "documents" {
                    let before = store.replaced_chunks(file).await.map_err(failed)?;
                    let now = store.chunks(Some(&name)).await.map_err(failed)?;
                    let now: Vec<Chunk> = now.into_iter().map(|stored| stored.chunk).collect();
                    let documents = store.documents().await.map_err(failed)?;
                    let changes = changes(&before, &now);
                    // A file that changed nothing leaves nothing to undo.
                    let changed = changes.is_new || changes.added + changes.removed > 0;
                    let version = documents.into_iter().find(|document| document.name == name);
                    imported.version = version.map(|document| document.version).filter(|_| changed);
                    imported.changes = Some(changes);
                }
                Ok(imported)
            })
        })
    }

    /// What the console does with an uploaded file: documents wait for being published.
    fn upload(&self) -> UploadFn {
        let (importer, engine) = (self.importer.clone(), Arc::clone(&self.engine));
        Arc::new(move |name, bytes| {
            let (importer, engine) = (importer.clone(), Arc::clone(&engine));
            Box::pin(async move {
                let read = importer.draft_bytes(&name, bytes, engine.now()).await;
                let (report, draft) = read.map_err(|error| error.to_string())?;
                let (summary, kind) = (report.summary(), report.kind.to_owned());
                Ok(UploadReport { name: report.name, kind, summary, notes: report.notes, draft })
            })
        })
    }

    /// How the console asks the bot.
    fn ask_fn(&self) -> AskFn {
        let app = self.clone();
        Arc::new(move |question| {
            let app = app.clone();
            Box::pin(async move {
                // What was published a moment ago counts.
                app.engine.refresh().await.map_err(|error| error.to_string())?;
                app.say_once(question).await
            })
        })
    }

    /// How the console asks what the bot would say once drafts were published.
    fn trial_fn(&self) -> TrialFn {
        let app = self.clone();
        Arc::new(move |drafts| {
            let app = app.clone();
            Box::pin(async move {
                let engine = app.engine.with_drafts(&drafts).await.map_err(|error| error.to_string())?;
                let app = Self { engine: Arc::new(engine), ..app };
                let ask: AskFn = Arc::new(move |question| {
                    let app = app.clone();
                    Box::pin(async move { app.say_once(question).await })
                });
                Ok(ask)
            })
        })
    }

    /// The reply to a first message of nobody's; nothing is kept.
    async fn say_once(&self, question: String) -> Result<Reply, String> {
        let line = BatchLine { id: "console".to_owned(), turns: vec![question], customer: None };
        let mut replies = super::ask::hold(self, &line).await.map_err(|error| format!("{error:#}"))?;
        replies.pop().ok_or_else(|| "there is no reply".to_owned())
    }
}

async fn forget_sessions(store: Store) {
    loop {
        tokio::time::sleep(SESSIONS_UPKEEP).await;
        if let Err(error) = store.delete_expired_sessions(Utc::now()).await {
            tracing::error!(%error, "log-ins that are over cannot be forgotten");
        }
    }
}

/// What a document's passages are now against what they were; both as JSON.
fn changes(before: &[String], now: &[Chunk]) -> Changes {
    let texts = before.iter().filter_map(|json| serde_json::from_str::<Chunk>(json).ok());
    let mut left: Vec<String> = texts.map(|chunk| chunk.search_text).collect();
    let mut unchanged = 0;
    for chunk in now {
        if let Some(at) = left.iter().position(|text| *text == chunk.search_text) {
            left.swap_remove(at);
            unchanged += 1;
        }
    }
    Changes { is_new: before.is_empty(), added: now.len() - unchanged, removed: left.len(), unchanged }
}

/// Brings changes of documents and records into the conversations.
async fn keep_fresh(engine: Arc<Engine>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match engine.refresh().await {
            Ok(true) => {
                tracing::info!("documents and records loaded again");
                engine.read_ahead();
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "documents and records cannot be loaded"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(REFRESH) => {}
        }
    }
}
