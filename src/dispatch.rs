//! Between inbox and engine: takes each waiting update, lets the engine make a turn of it, and commits the turn. One
//! chat's updates are worked in order and one at a time; different chats side by side.

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

use crate::{
    conversation::Conversation,
    engine::Engine,
    live::{LiveEvent, LiveHub},
    message::{Channel, Inbound},
    storage::{PendingInbound, StorageError, Store, TurnOutcome},
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
}

impl Dispatcher {
    /// Wires inbox, engine and watchers.
    pub fn new(store: Store, engine: Arc<Engine>, live: LiveHub) -> Self {
        Self { store, engine, live, wake: Arc::new(Notify::new()) }
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
            self.start_turns(&mut busy, &mut turns, &done_sender).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(chat) = done.recv() => { busy.remove(&chat); }
            }
            while let Ok(chat) = done.try_recv() {
                busy.remove(&chat);
            }
            while turns.try_join_next().is_some() {}
        }
        while turns.join_next().await.is_some() {}
    }

    async fn start_turns(
        &self,
        busy: &mut HashSet<(Channel, String)>,
        turns: &mut JoinSet<()>,
        done: &mpsc::UnboundedSender<(Channel, String)>,
    ) {
        let waiting = match self.store.pending_inbound(64 + busy.len() as i64).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::error!(%error, "the inbox cannot be read");
                return;
            }
        };
        for pending in waiting {
            let chat = (pending.inbound.channel, pending.inbound.chat.clone());
            if busy.len() >= CHATS_AT_ONCE || !busy.insert(chat.clone()) {
                continue;
            }
            let (this, done) = (self.clone(), done.clone());
            turns.spawn(async move {
                // Told also when the turn panics, so that the chat goes on.
                let _told = scopeguard(move || {
                    let _ = done.send(chat);
                });
                this.work(pending).await;
            });
        }
    }

    async fn work(&self, pending: PendingInbound) {
        let id = pending.id;
        let (channel, chat) = (pending.inbound.channel, pending.inbound.chat.clone());
        let turn = tokio::spawn({
            let this = self.clone();
            async move { this.turn(&pending).await }
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

    async fn turn(&self, pending: &PendingInbound) -> anyhow::Result<()> {
        let started = Instant::now();
        let inbound = &pending.inbound;
        let (channel, chat) = (inbound.channel, inbound.chat.as_str());
        let mut conversation =
            self.store.conversation(channel, chat).await?.unwrap_or_else(|| Conversation::new(channel, chat));
        let live = self.live.clone();
        let progress = |event| live.announce(channel, chat, LiveEvent::Progress(event));
        let turn = self.engine.handle(&mut conversation, inbound, &progress).await?;
        let outcome = TurnOutcome {
            inbox_id: pending.id,
            conversation: &conversation,
            shopper_text: &turn.shopper_text,
            reply: turn.reply.as_ref(),
            at: turn.at,
        };
        self.store.commit_turn(&outcome).await?;
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
