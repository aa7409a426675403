//! `shoptalk replay`: makes the turns of a stored conversation again, with the time and the memory they had, and compares
//! every byte of the replies. What differs was changed since: documents, records, models or the program.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use serde_json::{Value, json};

use super::{App, Models, open_store};
use crate::{
    config::Config,
    conversation::Conversation,
    engine::{Clock, StoredTurn},
    message::{Inbound, LatencyMs, Origin, Reply},
    storage::{Author, StoredMessage},
};

/// One turn as it was and as it is now.
#[derive(Debug)]
pub struct Replayed {
    /// What the shopper wrote.
    pub question: String,
    /// The stored reply.
    pub before: Reply,
    /// The reply made now.
    pub now: Reply,
}

impl Replayed {
    /// Names of the parts that differ, those of the trace with `trace.` before; times are left out, and so is the
    /// version of the knowledge, which alone changes no reply.
    pub fn differences(&self) -> Vec<String> {
        let (before, now) = (comparable(&self.before), comparable(&self.now));
        differing("", &before, &now)
    }
}

fn comparable(reply: &Reply) -> Value {
    let mut reply = reply.clone();
    reply.latency_ms = LatencyMs::default();
    reply.trace.knowledge_version = 0;
    serde_json::to_value(reply).unwrap_or_default()
}

fn differing(path: &str, before: &Value, now: &Value) -> Vec<String> {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) if path.is_empty() || path == "trace." => now
            .iter()
            .flat_map(|(key, value)| match key.as_str() {
                "trace" => differing("trace.", before.get(key).unwrap_or(&Value::Null), value),
                _ if before.get(key) == Some(value) => Vec::new(),
                _ => vec![format!("{path}{key}")],
            })
            .collect(),
        _ if before == now => Vec::new(),
        _ => vec![path.trim_end_matches('.').to_owned()],
    }
}

/// Makes the bot's turns of a conversation again, in order; nothing is written. `turn` is the one that `app`'s clock shows.
///
/// Errors: no such conversation, and whatever a turn can fail with.
pub async fn replay(app: &App, turn: &Mutex<StoredTurn>, conversation_id: i64) -> anyhow::Result<Vec<Replayed>> {
    let stored = app.store.conversation_by_id(conversation_id).await?;
    let stored = stored.with_context(|| {
        format!("there is no conversation {conversation_id}; the number stands in its address in the console")
    })?;
    let messages = app.store.messages(conversation_id, 0).await?;
    let mut conversation = Conversation { id: stored.id, ..Conversation::new(stored.channel, stored.chat.clone()) };
    let mut replayed = Vec::new();
    for (question, before, reply) in turns(&messages) {
        *turn.lock().unwrap_or_else(PoisonError::into_inner) =
            StoredTurn { at: before.at, reranked: reply.trace.reranked, queue: reply.trace.queue };
        let inbound = Inbound {
            channel: stored.channel,
            chat: stored.chat.clone(),
            update_id: question.id.to_string(),
            text: question.text.clone(),
            customer: stored.customer.clone(),
            language_hint: Some(reply.language),
            received_at: before.at,
            attachments: Vec::new(),
            origin: Origin::default(),
        };
        let made = app.engine.handle(&mut conversation, &inbound, &|_| {}).await?;
        let now = made.reply.context("the bot was silent in a turn that it had answered")?;
        replayed.push(Replayed { question: question.text.clone(), before: reply.clone(), now });
    }
    Ok(replayed)
}

/// Each message of the shopper that the bot answered, with the answer.
fn turns(messages: &[StoredMessage]) -> impl Iterator<Item = (&StoredMessage, &StoredMessage, &Reply)> {
    messages.windows(2).filter_map(|pair| match (pair[0].author, pair[1].author, &pair[1].reply) {
        (Author::Shopper, Author::Bot, Some(reply)) => Some((&pair[0], &pair[1], reply)),
        _ => None,
    })
}

/// The command. `false` when a reply differs.
pub async fn run(config: Config, conversation_id: i64, json: bool) -> anyhow::Result<bool> {
    if open_store(&config).await?.conversation_by_id(conversation_id).await?.is_none() {
        anyhow::bail!("there is no conversation {conversation_id}; the number stands in its address in the console");
    }
    let turn = Arc::new(Mutex::new(StoredTurn { at: chrono::Utc::now(), reranked: false, queue: None }));
    let app = App::open_at(config, Models::All, Clock::Replay(Arc::clone(&turn))).await?;
    let replayed = replay(&app, &turn, conversation_id).await?;
    let mut same = 0;
    for (number, turn) in (1..).zip(&replayed) {
        let differences = turn.differences();
        same += usize::from(differences.is_empty());
        if json {
            let versions = [turn.before.trace.knowledge_version, turn.now.trace.knowledge_version];
            println!(
                "{}",
                json!({"turn": number, "question": turn.question, "differences": differences, "before": turn.before.text,
                    "now": turn.now.text, "knowledge_versions": versions})
            );
            continue;
        }
        show(number, turn, &differences);
    }
    if !json {
        println!("{same} of {} replies are the same, byte for byte", replayed.len());
    }
    Ok(same == replayed.len())
}

fn show(number: usize, turn: &Replayed, differences: &[String]) {
    println!("{number}. {}", turn.question);
    if differences.is_empty() {
        println!("   same: {}", turn.now.text.replace('\n', "\n   "));
        return;
    }
    println!("   before: {}", turn.before.text.replace('\n', "\n   "));
    println!("   now:    {}", turn.now.text.replace('\n', "\n   "));
    println!("   differs in {}", differences.join(", "));
    let (before, now) = (turn.before.trace.knowledge_version, turn.now.trace.knowledge_version);
    if before == 0 {
        println!("   the reply was made by an earlier version of the program");
    } else if before != now {
        println!("   the shop's documents and records have changed since (version {before}, now {now})");
    }
}
