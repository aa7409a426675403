//! The one place that wires everything, and runs it until it is told to stop.

use std::sync::Arc;

use anyhow::Context;
use axum::{Router, routing::get};
use tokio_util::sync::CancellationToken;

use crate::{
    channels::web_widget, config::Config, dispatch::Dispatcher, engine::Engine, live::LiveHub, storage::Store,
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
        axum::serve(listener, self.router(&shutdown))
            .with_graceful_shutdown(shutdown.clone().cancelled_owned())
            .await?;
        shutdown.cancel();
        work.await?;
        Ok(())
    }

    /// Every page and API. Streams that would last for ever end at `shutdown`.
    pub fn router(&self, shutdown: &CancellationToken) -> Router {
        Router::new().route("/healthz", get(|| async { "ok" })).merge(web_widget::router(self.widget_state(shutdown)))
    }

    fn widget_state(&self, shutdown: &CancellationToken) -> web_widget::WidgetState {
        let media_dir = self.config.data_dir.join("media");
        let origins = &self.config.server.widget_origins;
        let (store, dispatcher, live) = (self.store.clone(), self.dispatcher.clone(), self.live.clone());
        web_widget::WidgetState::new(store, dispatcher, live, media_dir, origins, shutdown.clone())
    }
}
