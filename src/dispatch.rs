//! Between inbox and engine: takes each waiting update, lets the engine make a turn of it, and commits the turn. One
//! chat's updates are worked in order and one at a time; different chats side by side.

mod burst;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::burst::Burst;
use crate::{
    conversation::Conversation,
    engine::Engine,
    live::{LiveEvent, LiveHub},
    message::{Channel, Inbound},
    storage::{Gathered, StorageError, Store, TurnOutcome},
    telemetry,
};

/// Turns that are worked at the same time.
const CHATS_AT_ONCE: usize = 8;
/// After so many failed tries an update is set aside.
const ATTEMPTS_MAX: i64 = 3;
/// Looks into the inbox without being told, for updates that another process accepted.
const POLL: Duration = Duration::from_secs(2);

/// Accepts updates and works them. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    store: Store,
    engine: Arc<Engine>,
    live: LiveHub,
    wake: Arc<Notify>,
    /// How long a message of a chat is held for the next one to join it.
    burst: Duration,
}

impl Dispatcher {
    /// Wires inbox, engine and watchers.
    pub fn new(store: Store, engine: Arc<Engine>, live: LiveHub) -> Self {
        Self { store, engine, live, wake: Arc::new(Notify::new()), burst: Duration::ZERO }
    }

    /// The same, that answers messages of a Telegram chat within `burst` of each other as one.
    #[must_use]
    pub fn with_burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// Makes an update durable; only then may the channel acknowledge it. `false`: it was there already.
    pub async fn accept(&self, inbound: &Inbound) -> Result<bool, StorageError> {
        let new = self.store.accept(inbound).await?.is_some();
        if new {
            self.wake.notify_one();
        }
        Ok(new)
    }

    /// Works updates until `shutdown`; turns in the making are finished.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut busy: HashSet<(Channel, String)> = HashSet::new();
        let mut turns = JoinSet::new();
        let (done_sender, mut done) = mpsc::unbounded_channel();
        while !shutdown.is_cancelled() {
            let look_in = self.start_turns(&mut busy, &mut turns, &done_sender).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(look_in) => {}
                Some(chat) = done.recv() => { busy.remove(&chat); }
            }
            while let Ok(chat) = done.try_recv() {
                busy.remove(&chat);
            }
            while turns.try_join_next().is_some() {}
        }
        while turns.join_next().await.is_some() {}
    }

    /// Starts the turns that may be made now. Returns when to look again at the latest.
    async fn start_turns(
        &self,
        busy: &mut HashSet<(Channel, String)>,
        turns: &mut JoinSet<()>,
        done: &mpsc::UnboundedSender<(Channel, String)>,
    ) -> Duration {
        let waiting = match self.store.pending_inbound(64 + busy.len() as i64).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::error!(%error, "the inbox cannot be read");
                return POLL;
            }
        };
        let (bursts, look_in) = burst::ripe(waiting, self.burst, chrono::Utc::now());
        for burst in bursts {
            let inbound = &burst.first.inbound;
            let chat = (inbound.channel, inbound.chat.clone());
            if busy.len() >= CHATS_AT_ONCE || !busy.insert(chat.clone()) {
                continue;
            }
            let (this, done) = (self.clone(), done.clone());
            turns.spawn(async move {
                // Told also when the turn panics, so that the chat goes on.
                let _told = scopeguard(move || {
                    let _ = done.send(chat);
                });
                this.work(burst).await;
            });
        }
        look_in.map_or(POLL, |look_in| look_in.min(POLL))
    }

    async fn work(&self, burst: Burst) {
        let id = burst.first.id;
        let (channel, chat) = (burst.first.inbound.channel, burst.first.inbound.chat.clone());
        let turn = tokio::spawn({
            let this = self.clone();
            async move { this.turn(&burst).await }
        });
        let error = match turn.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => format!("the turn panicked: {panic}"),
        };
        tracing::error!(inbox_id = id, %error, "a turn failed");
        telemetry::turn_failed(channel.as_str());
        if let Err(error) = self.store.inbound_failed(id, &error, ATTEMPTS_MAX).await {
            tracing::error!(inbox_id = id, %error, "a failed turn cannot be noted");
        }
        self.live.announce(channel, &chat, LiveEvent::Changed);
        self.wake.notify_one();
    }

    async fn turn(&self, Burst { first, others }: &Burst) -> anyhow::Result<()> {
        let started = Instant::now();
        let inbound = &first.inbound;
        let (channel, chat) = (inbound.channel, inbound.chat.as_str());
        if inbound.origin.edited && self.store.said_lately(channel, chat, &inbound.text).await? {
            // Channels tell of an edit also when a preview or a reaction was added.
            let ids: Vec<i64> = std::iter::once(first.id).chain(others.iter().copied()).collect();
            return Ok(self.store.inbound_settled(&ids).await?);
        }
        let mut conversation =
            self.store.conversation(channel, chat).await?.unwrap_or_else(|| Conversation::new(channel, chat));
        let live = self.live.clone();
        let progress = |event| live.announce(channel, chat, LiveEvent::Progress(event));
        let turn = self.engine.handle(&mut conversation, inbound, &progress).await?;
        let outcome = TurnOutcome {
            inbox_id: first.id,
            conversation: &conversation,
            shopper_text: &turn.shopper_text,
            reply: turn.reply.as_ref(),
            at: turn.at,
        };
        let gathered = Gathered { inbox_ids: others, attachments: &inbound.attachments };
        self.store.commit_gathered_turn(&outcome, &gathered).await?;
        let route = turn.reply.as_ref().map_or("staff", |reply| reply.route.as_str());
        telemetry::turn(channel.as_str(), conversation.language.as_str(), route, started.elapsed());
        self.live.announce(channel, chat, LiveEvent::Changed);
        Ok(())
    }
}

/// Runs `f` when dropped.
fn scopeguard<F: FnOnce()>(f: F) -> impl Drop {
    struct Guard<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Guard<F> {
        fn drop(&mut self) {
            if let Some(f) = self.0.take() {
                f();
            }
        }
    }
    Guard(Some(f))
}
