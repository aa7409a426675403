//! `shoptalk ask`: questions in, replies out, without a channel; nothing is kept.

use std::{io::BufRead, path::Path};

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

use super::App;
use crate::{
    conversation::Conversation,
    message::{Channel, Citation, Inbound, ProductCard, Reply},
};

/// A conversation to hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchLine {
    /// Its id, repeated in each line of output.
    pub id: String,
    /// What the shopper says, turn by turn.
    pub turns: Vec<String>,
    /// A customer that is verified already.
    #[serde(default)]
    pub customer: Option<String>,
}

/// Reads a batch file; the error names the line.
pub fn read_batch(path: &Path) -> anyhow::Result<Vec<BatchLine>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    std::io::BufReader::new(file)
        .lines()
        .enumerate()
        .filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()))
        .map(|(at, line)| {
            serde_json::from_str(line?.trim_start_matches('\u{feff}')).with_context(|| {
                format!("{} line {}: expected {{\"id\": …, \"turns\": […], \"customer\": …}}", path.display(), at + 1)
            })
        })
        .collect()
}

/// Holds a conversation; one reply a turn, `None` once a person has been given the word.
pub async fn hold(app: &App, line: &BatchLine) -> anyhow::Result<Vec<Option<Reply>>> {
    let mut conversation = Conversation::new(Channel::Batch, &line.id);
    let mut replies = Vec::with_capacity(line.turns.len());
    for (turn, text) in line.turns.iter().enumerate() {
        let inbound = Inbound {
            channel: Channel::Batch,
            chat: line.id.clone(),
            update_id: turn.to_string(),
            text: text.clone(),
            customer: line.customer.clone(),
            language_hint: None,
            received_at: app.engine.now(),
        };
        replies.push(app.engine.handle(&mut conversation, &inbound, &|_| {}).await?.reply);
    }
    Ok(replies)
}

/// A turn as the command line's contract writes it.
pub fn line(id: &str, turn: usize, reply: &Reply) -> serde_json::Value {
    let citation = |citation: &Citation| json!({"document": citation.document, "heading": citation.heading, "quote": citation.quote});
    let product = |card: &ProductCard| json!({"sku": card.sku, "reason": card.reason});
    json!({
        "id": id,
        "turn": turn,
        "reply": reply.text,
        "language": reply.language,
        "intent": reply.intent,
        "intent_confidence": (f64::from(reply.intent_confidence) * 1e4).round() / 1e4,
        "route": reply.route,
        "citations": reply.citations.iter().map(citation).collect::<Vec<_>>(),
        "products": reply.products.iter().map(product).collect::<Vec<_>>(),
        "handoff": reply.handoff,
        "declined": reply.declined,
        "sentiment": reply.sentiment,
        "generated": reply.generated,
        "latency_ms": reply.latency_ms,
    })
}

/// Answers one question.
pub async fn once(app: &App, question: String, json: bool, explain: bool) -> anyhow::Result<()> {
    let conversation = BatchLine { id: "q1".to_owned(), turns: vec![question], customer: None };
    for reply in hold(app, &conversation).await?.into_iter().flatten() {
        if json {
            println!("{}", line(&conversation.id, 0, &reply));
            continue;
        }
        anstream::println!("{}", reply.text);
        super::chat::show_sources(&reply);
        if explain {
            println!("{}", serde_json::to_string_pretty(&reply.trace)?);
        }
    }
    Ok(())
}

/// Answers every conversation of a batch file, a line per turn.
pub async fn batch(app: &App, path: &Path, explain: bool) -> anyhow::Result<()> {
    for conversation in read_batch(path)? {
        for (turn, reply) in hold(app, &conversation).await?.iter().enumerate() {
            let Some(reply) = reply else { continue };
            let mut line = line(&conversation.id, turn, reply);
            if explain {
                line["trace"] = serde_json::to_value(&reply.trace)?;
            }
            println!("{line}");
        }
    }
    Ok(())
}
