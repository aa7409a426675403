//! Between inbox and engine: takes each waiting update, lets the engine make a turn of it, and commits the turn. One
//! chat's updates are worked in order and one at a time, also by several processes; different chats side by side.
//!
//! A turn that fails because the disk is full or the database is away is tried until it succeeds. One that fails for
//! any other reason, a panic included, is tried three times and then set aside for staff, so that its chat goes on.

mod burst;
mod desk;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    burst::{Burst, Gathering},
    desk::{CHATS_AT_ONCE, Chat, Desk, Finished, Outcome, chat_of},
};
use crate::{
    conversation::Conversation,
    engine::{Engine, EngineError},
    live::{LiveEvent, LiveHub},
    message::{Channel, Inbound},
    storage::{Gathered, LEASE, PendingInbound, StorageError, Store, TurnOutcome, UnreadUpdate},
    telemetry,
};

/// Updates that are claimed ahead, so that a long queue is not asked for one by one.
const CLAIMED_MAX: usize = 256;
/// Updates of one chat that are looked at together.
const TOGETHER_MAX: i64 = 100;
/// After so many failed tries an update is set aside.
const ATTEMPTS_MAX: i64 = 3;
/// Looks into the inbox without being told, for updates that another process accepted.
const POLL: Duration = Duration::from_secs(2);
/// Between the tries of a step that waits for the disk or the database.
const PASSING_PAUSE: Duration = Duration::from_millis(500);
const PASSING_PAUSE_MAX: Duration = Duration::from_secs(5);
/// On shutdown, how long turns in the making may take; the next start makes what was not finished.
const FINISH_TIMEOUT: Duration = Duration::from_secs(6);

/// Why a turn was not made.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl TurnError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_passing(),
            Self::Storage(error) => error.is_passing(),
        }
    }
}

/// Accepts updates and works them. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    store: Store,
    engine: Arc<Engine>,
    live: LiveHub,
    wake: Arc<Notify>,
    worker: Arc<str>,
    /// How long a message of a chat is held for the next one to join it.
    burst: Duration,
}

/// Tells the dispatcher on drop, so that it hears also of a panic and the chat goes on.
struct Told {
    done: mpsc::UnboundedSender<Finished>,
    id: i64,
    chat: Chat,
    outcome: Outcome,
}

impl Drop for Told {
    fn drop(&mut self) {
        let (channel, chat) = &self.chat;
        let chat = (*channel, chat.clone());
        let outcome = std::mem::replace(&mut self.outcome, Outcome::NotMade);
        // Nobody listens any more when the program ends.
        let _ = self.done.send(Finished { id: self.id, chat, outcome });
    }
}

impl Dispatcher {
    /// Wires inbox, engine and watchers.
    pub fn new(store: Store, engine: Arc<Engine>, live: LiveHub) -> Self {
        let worker = format!("{:032x}", rand::random::<u128>()).into();
        Self { store, engine, live, wake: Arc::new(Notify::new()), worker, burst: Duration::ZERO }
    }

    /// The same, that answers messages of a Telegram chat within `burst` of each other as one.
    #[must_use]
    pub fn with_burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// The name under which this process claims work.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// Makes an update durable; only then may the channel acknowledge it. `false`: it was there already.
    pub async fn accept(&self, inbound: &Inbound) -> Result<bool, StorageError> {
        Ok(self.accept_all(std::slice::from_ref(inbound), &[]).await? > 0)
    }

    /// Makes a whole delivery durable in one step; only then may the channel acknowledge it. Returns how many of the
    /// updates are new.
    pub async fn accept_all(&self, inbounds: &[Inbound], unread: &[UnreadUpdate]) -> Result<usize, StorageError> {
        let new = self.store.accept_all(inbounds, unread).await?;
        if new > 0 {
            self.wake.notify_one();
        }
        Ok(new)
    }

    /// Works updates until `shutdown`; turns in the making are finished.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut desk = Desk::default();
        let mut turns = JoinSet::new();
        let (done_sender, mut done) = mpsc::unbounded_channel();
        let mut renew = tokio::time::interval(LEASE / 3);
        while !shutdown.is_cancelled() {
            self.claim(&mut desk).await;
            let now = Instant::now();
            while let Some(pending) = desk.next(now) {
                self.start(pending, &mut turns, &done_sender, &shutdown);
            }
            let look_in = desk.next_at(now).map_or(POLL, |at| POLL.min(at - now));
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(look_in) => {}
                _ = renew.tick() => self.renew(&desk).await,
                Some(finished) = done.recv() => desk.finished(finished),
            }
            while let Ok(finished) = done.try_recv() {
                desk.finished(finished);
            }
            while turns.try_join_next().is_some() {}
        }
        let finish = async { while turns.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_TIMEOUT, finish).await.is_err() {
            tracing::warn!("stopped before every turn was made; the next start makes them");
        }
        if let Err(error) = self.store.release_claims(&self.worker).await {
            tracing::warn!(%error, "claimed updates could not be given back; other processes take them when the lease ends");
        }
    }

    /// Fills the desk when little is left on it.
    async fn claim(&self, desk: &mut Desk) {
        let now = Instant::now();
        if desk.ripe(now) >= CHATS_AT_ONCE {
            return;
        }
        let wanted = CLAIMED_MAX.saturating_sub(desk.held()) as i64;
        match self.store.claim_inbound(&self.worker, Utc::now(), wanted).await {
            Ok(claimed) => {
                for pending in claimed {
                    let from = now + burst::wait(&pending, self.burst, Utc::now());
                    desk.put(pending, from);
                }
            }
            Err(error) => tracing::error!(%error, "the inbox cannot be read"),
        }
    }

    async fn renew(&self, desk: &Desk) {
        if desk.held() == 0 {
            return;
        }
        if let Err(error) = self.store.renew_claims(&self.worker, Utc::now()).await {
            tracing::error!(%error, "the lease of claimed updates cannot be renewed");
        }
    }

    fn start(
        &self,
        pending: PendingInbound,
        turns: &mut JoinSet<()>,
        done: &mpsc::UnboundedSender<Finished>,
        shutdown: &CancellationToken,
    ) {
        let (this, done, shutdown) = (self.clone(), done.clone(), shutdown.clone());
        turns.spawn(async move {
            let mut told = Told { done, id: pending.id, chat: chat_of(&pending), outcome: Outcome::NotMade };
            told.outcome = this.work(pending, &shutdown).await;
        });
    }

    /// Makes a turn of the update and of what else the shopper has said since, or notes why not.
    async fn work(&self, pending: PendingInbound, shutdown: &CancellationToken) -> Outcome {
        let (channel, chat) = chat_of(&pending);
        let burst = match self.gathered(&pending, shutdown).await {
            Ok(burst) => Arc::new(burst),
            Err(outcome) => return outcome,
        };
        let id = burst.first.id;
        let mut pause = PASSING_PAUSE;
        let error = loop {
            let turn = tokio::spawn({
                let (this, burst) = (self.clone(), Arc::clone(&burst));
                async move { this.turn(&burst).await }
            });
            match turn.await {
                Ok(Ok(())) if burst.has(pending.id) => return Outcome::Made,
                // An earlier update came after this one was claimed, and had its turn first.
                Ok(Ok(())) => return Outcome::Later(Box::new(pending), Instant::now()),
                Ok(Err(error)) if error.is_passing() => {
                    tracing::error!(inbox_id = id, %error, "a turn waits");
                    if !wait(&mut pause, shutdown).await {
                        return Outcome::NotMade;
                    }
                }
                Ok(Err(error)) => break error.to_string(),
                Err(panic) => break format!("the turn panicked: {panic}"),
            }
        };
        tracing::error!(inbox_id = id, %error, "a turn failed");
        telemetry::turn_failed(channel.as_str());
        while let Err(error) = self.store.inbound_failed(id, &error, ATTEMPTS_MAX).await {
            tracing::error!(inbox_id = id, %error, "a failed turn cannot be noted");
            if !wait(&mut pause, shutdown).await {
                return Outcome::NotMade;
            }
        }
        self.live.announce(channel, &chat, LiveEvent::Changed);
        if id == pending.id { Outcome::NotMade } else { Outcome::Later(Box::new(pending), Instant::now()) }
    }

    /// The update with the others of its chat that belong to it. An error says why there is no turn now.
    async fn gathered(&self, pending: &PendingInbound, shutdown: &CancellationToken) -> Result<Burst, Outcome> {
        if pending.inbound.channel != Channel::Telegram {
            return Ok(Burst { first: pending.clone(), others: Vec::new() });
        }
        let (channel, chat) = chat_of(pending);
        let mut pause = PASSING_PAUSE;
        let rows = loop {
            match self.store.pending_of_chat(channel, &chat, TOGETHER_MAX).await {
                Ok(rows) => break rows,
                Err(error) => {
                    tracing::error!(inbox_id = pending.id, %error, "the inbox cannot be read");
                    if !wait(&mut pause, shutdown).await {
                        return Err(Outcome::NotMade);
                    }
                }
            }
        };
        match burst::gather(rows, self.burst, Utc::now()) {
            Gathering::Complete(burst) => Ok(*burst),
            Gathering::Open(left) => Err(Outcome::Later(Box::new(pending.clone()), Instant::now() + left)),
            // Another process made the turn after this one's lease had ended.
            Gathering::Nothing => Err(Outcome::Made),
        }
    }

    async fn turn(&self, Burst { first, others }: &Burst) -> Result<(), TurnError> {
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
        #[cfg(debug_assertions)]
        panic_on_purpose(&inbound.text);
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

/// Waits, longer each time; `false` when told to stop meanwhile.
async fn wait(pause: &mut Duration, shutdown: &CancellationToken) -> bool {
    let slept = shutdown.run_until_cancelled(tokio::time::sleep(*pause)).await.is_some();
    *pause = (*pause * 2).min(PASSING_PAUSE_MAX);
    slept
}

/// For the fault tests, which drive the real program: a message with the words in `SHOPTALK_FAULT_PANIC` panics.
/// Release builds do not have it.
#[cfg(debug_assertions)]
fn panic_on_purpose(text: &str) {
    static WORDS: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("SHOPTALK_FAULT_PANIC").ok().filter(|words| !words.is_empty()));
    assert!(!WORDS.as_ref().is_some_and(|words| text.contains(words.as_str())), "ordered by SHOPTALK_FAULT_PANIC");
}
