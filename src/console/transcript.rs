//! A transcript as bubbles, and under each of the bot's the reasons for it.

use std::collections::HashMap;

use super::layout::{Layout, percent};
use crate::{
    message::{Citation, Reply, Sentiment, Timestamp},
    storage::{AnswerState, Author, StoredMessage},
};

/// One message as the page shows it.
pub(super) struct Bubble {
    pub(super) id: i64,
    /// Class of the style: `shopper`, `bot`, `staff`, `note` or `system`.
    pub(super) side: &'static str,
    pub(super) who: String,
    pub(super) text: String,
    pub(super) at: Timestamp,
    pub(super) products: Vec<Product>,
    /// Sign and name of what the shopper's tap said.
    pub(super) rating: Option<(&'static str, &'static str)>,
    pub(super) why: Option<Why>,
    /// Staff called it wrong: what became of that.
    pub(super) wrong: Option<&'static str>,
}

/// A product that was shown.
pub(super) struct Product {
    pub(super) title: String,
    pub(super) sku: String,
    pub(super) price: String,
    pub(super) reason: String,
}

/// What decided a turn of the bot.
pub(super) struct Why {
    /// One line that sums it up.
    pub(super) summary: String,
    /// Name and value.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Intents with their probability, 0 to 1 and as text.
    pub(super) intents: Vec<(String, f32, String)>,
    pub(super) citations: Vec<Citation>,
    pub(super) passages: Vec<Passage>,
    pub(super) support: Vec<String>,
}

/// A passage that was considered.
pub(super) struct Passage {
    pub(super) document: String,
    pub(super) heading: String,
    pub(super) text: String,
    /// Calibrated probability, 0 to 1.
    pub(super) score: f32,
    pub(super) percent: String,
    pub(super) cosine: String,
    pub(super) bm25: String,
    /// Log odds by the chat model's probe.
    pub(super) read: Option<String>,
}

/// The messages of a transcript, in order; `wrong` are those that staff called wrong.
pub(super) fn bubbles(
    l: &Layout,
    messages: Vec<StoredMessage>,
    wrong: &HashMap<i64, Option<AnswerState>>,
) -> Vec<Bubble> {
    let with_state = |mut bubble: Bubble| {
        bubble.wrong = wrong.get(&bubble.id).map(|state| state.map_or(l.t.wrong_marked, |state| state_name(l, state)));
        bubble
    };
    messages.into_iter().map(|message| with_state(bubble(l, message))).collect()
}

/// What became of an answer of staff.
pub(super) fn state_name(l: &Layout, state: AnswerState) -> &'static str {
    match state {
        AnswerState::Proposed => l.t.answer_proposed,
        AnswerState::Live => l.t.answer_live,
        AnswerState::Rejected => l.t.answer_rejected,
        AnswerState::Withdrawn => l.t.answer_withdrawn,
    }
}

fn bubble(l: &Layout, message: StoredMessage) -> Bubble {
    let who = match (message.author, message.author_name) {
        (Author::Staff | Author::Note, Some(name)) => name,
        (Author::Staff | Author::Note, None) => l.t.author_staff.to_owned(),
        (Author::Shopper, _) => l.t.author_shopper.to_owned(),
        (Author::Bot, _) => l.t.author_bot.to_owned(),
        (Author::System, _) => String::new(),
    };
    Bubble {
        id: message.id,
        side: message.author.as_str(),
        who,
        text: message.text,
        at: message.at,
        rating: message.rating.map(|good| if good { ("👍", l.t.rated_good) } else { ("👎", l.t.rated_bad) }),
        products: message.reply.iter().flat_map(products).collect(),
        why: message.reply.map(|reply| why(l, reply)),
        wrong: None,
    }
}

fn products(reply: &Reply) -> Vec<Product> {
    let cards = reply.products.iter().map(|card| Product {
        title: card.title.clone(),
        sku: card.sku.clone(),
        price: card.price.to_string(),
        reason: card.reason.clone(),
    });
    cards.collect()
}

pub(super) fn why(l: &Layout, reply: Reply) -> Why {
    let summary = format!("{} · {}", readable(&reply.intent), route_name(l, &reply));
    let facts = facts(l, &reply);
    let trace = reply.trace;
    let passages = trace.passages.into_iter().map(|passage| Passage {
        document: passage.document,
        heading: passage.heading,
        text: passage.text,
        score: unit(passage.score),
        percent: percent(passage.score),
        cosine: format!("{:.3}", passage.cosine),
        bm25: format!("{:.2}", passage.bm25),
        read: passage.read.map(|read| format!("{read:+.1}")),
    });
    Why {
        summary,
        facts,
        intents: trace.intents.iter().map(|(name, p)| (readable(name), unit(*p), percent(*p))).collect(),
        citations: reply.citations,
        passages: passages.collect(),
        support: trace.support,
    }
}

fn facts(l: &Layout, reply: &Reply) -> Vec<(&'static str, String)> {
    let t = l.t;
    let trace = &reply.trace;
    let sentiment = match reply.sentiment {
        Sentiment::Negative => t.sentiment_negative,
        Sentiment::Neutral => t.sentiment_neutral,
        Sentiment::Positive => t.sentiment_positive,
    };
    let written = if reply.generated { t.written_by_model } else { t.written_literally };
    let mut facts = vec![
        (t.why_intent, format!("{} ({})", readable(&reply.intent), percent(reply.intent_confidence))),
        (t.why_route, route_name(l, reply).to_owned()),
        (t.why_query, trace.query.clone()),
        (t.why_sentiment, sentiment.to_owned()),
        (t.why_words, written.to_owned()),
        (t.why_model, trace.model.clone().unwrap_or_default()),
        (t.why_prompt, trace.prompt.clone().unwrap_or_default()),
        (t.why_encoder, trace.encoder.clone()),
        (t.why_latency, format!("{} ms / {} ms", reply.latency_ms.first, reply.latency_ms.total)),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn route_name(l: &Layout, reply: &Reply) -> &'static str {
    use crate::message::Route;
    match reply.route {
        Route::Answer => l.t.route_answer,
        Route::Decline => l.t.route_decline,
        Route::Recommend => l.t.route_recommend,
        Route::OrderStatus => l.t.route_order_status,
        Route::VerifyIdentity => l.t.route_verify_identity,
        Route::Handoff => l.t.route_handoff,
        Route::Smalltalk => l.t.route_smalltalk,
    }
}

/// `return_policy` as `return policy`.
fn readable(name: &str) -> String {
    name.replace('_', " ")
}

/// A probability as a meter takes it.
fn unit(value: f32) -> f32 {
    if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 }
}
