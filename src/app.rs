//! The one place that wires everything, and runs it until it is told to stop.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{Router, routing::get};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    console::{self, ConsoleState, UploadFn},
    dispatch::Dispatcher,
    engine::Engine,
    live::LiveHub,
    storage::Store,
};

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
    /// Who watches what happens.
    pub live: LiveHub,
}

impl App {
    /// Opens the store and wires the parts.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let store = match &config.database_url {
            Some(url) => Store::connect(url.expose()).await?,
            None => Store::open(&config.data_dir).await?,
        };
        let live = LiveHub::default();
        let engine = Arc::new(Engine::new(store.clone()));
        let dispatcher = Dispatcher::new(store.clone(), Arc::clone(&engine), live.clone());
        Ok(Self { config: Arc::new(config), store, engine, dispatcher, live })
    }

    /// Serves until `shutdown`.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let listen = self.config.server.listen;
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
        let address = listener.local_addr()?;
        let dispatcher = self.dispatcher.clone();
        let work = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { dispatcher.run(shutdown).await }
        });
        eprintln!("Shoptalk is ready: http://{address}/");
        if let Some(token) = console::setup_token(&self.store).await? {
            eprintln!("Set up the console once: http://{address}/console/setup?token={token}");
        }
        let service = self.router(&shutdown).into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned()).await?;
        shutdown.cancel();
        work.await?;
        Ok(())
    }

    fn router(&self, shutdown: &CancellationToken) -> Router {
        let upload: UploadFn =
            Arc::new(|name, _| Box::pin(async move { Err(format!("{name} cannot be read: files are not read yet")) }));
        let console = ConsoleState::new(self.store.clone(), self.live.clone(), upload, shutdown.clone());
        Router::new().route("/healthz", get(|| async { "ok" })).merge(console::router(console))
    }
}
