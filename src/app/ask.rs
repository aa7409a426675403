//! `shoptalk ask`: questions in, replies out, without a channel; nothing is kept.

use std::{io::BufRead, path::Path};

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

use super::App;
use crate::{
    conversation::{Conversation, Event},
    intents::{self, Intent},
    language::detect_language,
    message::{Channel, Citation, Inbound, LatencyMs, Origin, ProductCard, Reply, Route, Trace},
    prompts::Phrase,
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

/// Conversations of a batch: the lines of a file, or of standard input.
pub struct Batch {
    lines: Box<dyn Iterator<Item = anyhow::Result<BatchLine>>>,
}

impl Batch {
    /// Opens `path`; `-` is standard input. A file is checked as a whole, so that nothing is answered when a line of it
    /// is wrong; standard input is answered line by line, for a program that waits for each reply.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { lines: Box::new(batch_lines("standard input".to_owned(), std::io::stdin().lock())) });
        }
        let name = path.display().to_string();
        let file = std::fs::File::open(path).with_context(|| {
            format!("cannot open {name}; --batch takes a file of JSON lines, or - for standard input")
        })?;
        let lines: Vec<BatchLine> = batch_lines(name, std::io::BufReader::new(file)).collect::<Result<_, _>>()?;
        Ok(Self { lines: Box::new(lines.into_iter().map(Ok)) })
    }
}

/// One conversation a line, empty lines left out; the error names the line.
fn batch_lines(name: String, reader: impl BufRead) -> impl Iterator<Item = anyhow::Result<BatchLine>> {
    let lines = reader.split(b'\n').enumerate();
    lines.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim_ascii().is_empty())).map(move |(at, line)| {
        let line = line.with_context(|| format!("cannot read {name}"))?;
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line);
        serde_json::from_slice(line).map_err(|error| {
            anyhow::anyhow!(
                "{name} line {}: {}; expected {{\"id\": \"q1\", \"turns\": [\"…\"], \"customer\": null}}",
                at + 1,
                reason(&error)
            )
        })
    })
}

/// serde's words without its own line number, which is always 1 here.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line 1 column").map_or(text.clone(), |(reason, column)| format!("{reason} at column{column}"))
}

/// Holds a conversation; exactly one reply a turn.
pub async fn hold(app: &App, line: &BatchLine) -> anyhow::Result<Vec<Reply>> {
    let mut conversation = Conversation::new(Channel::Batch, &line.id);
    let mut replies = Vec::with_capacity(line.turns.len());
    for turn in 0..line.turns.len() {
        replies.push(say(app, &mut conversation, line, turn).await?);
    }
    Ok(replies)
}

/// One turn of a conversation. Nothing is stored, so what a stored turn does to the state is done here.
async fn say(app: &App, conversation: &mut Conversation, line: &BatchLine, turn: usize) -> anyhow::Result<Reply> {
    let inbound = Inbound {
        channel: Channel::Batch,
        chat: line.id.clone(),
        update_id: turn.to_string(),
        text: line.turns[turn].clone(),
        customer: line.customer.clone(),
        language_hint: None,
        received_at: app.engine.now(),
        attachments: Vec::new(),
        origin: Origin::default(),
    };
    let made = app.engine.handle(conversation, &inbound, &|_| {}).await;
    let made = made.with_context(|| format!("conversation {:?}, turn {turn}", line.id))?;
    let reply = made.reply.unwrap_or_else(|| passed_on(app, conversation, &inbound.text));
    if reply.handoff {
        conversation.state = conversation.state.after(&Event::HandedOver);
    }
    Ok(reply)
}

/// What a shopper reads while a person has the word; a channel with staff behind it says nothing here and lets them write.
fn passed_on(app: &App, conversation: &Conversation, text: &str) -> Reply {
    let language = detect_language(text).unwrap_or(conversation.language);
    Reply {
        text: app.prompts.say(language, Phrase::PassedOn, minijinja::context! {}),
        language,
        intent: Intent::Human.as_str().to_owned(),
        intent_confidence: 1.0,
        route: Route::Handoff,
        citations: Vec::new(),
        products: Vec::new(),
        handoff: true,
        declined: false,
        sentiment: intents::sentiment(text),
        generated: false,
        latency_ms: LatencyMs::default(),
        suggestions: Vec::new(),
        effect: None,
        trace: Trace::default(),
    }
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
    for reply in hold(app, &conversation).await? {
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

/// Answers every conversation of a batch, a line per turn.
pub async fn batch(app: &App, batch: Batch, explain: bool) -> anyhow::Result<()> {
    for conversation in batch.lines {
        let conversation = conversation?;
        let mut state = Conversation::new(Channel::Batch, &conversation.id);
        for turn in 0..conversation.turns.len() {
            let reply = say(app, &mut state, &conversation, turn).await?;
            let mut line = line(&conversation.id, turn, &reply);
            if explain {
                line["trace"] = serde_json::to_value(&reply.trace)?;
            }
            println!("{line}");
        }
    }
    Ok(())
}
