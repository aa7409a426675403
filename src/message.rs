//! What travels: an `Inbound` message from a shopper, and the `Reply` that goes back.
//!
//! Every channel parses its updates into `Inbound` at its edge; nothing behind it knows Telegram, HTTP or a terminal.

mod attachment;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use attachment::{Attachment, AttachmentKind, Origin};

use crate::catalog::Money;

/// A moment in UTC. Stored as milliseconds since 1970.
pub type Timestamp = DateTime<Utc>;

/// Where a shopper writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A Telegram chat with the shop's bot.
    Telegram,
    /// The chat widget on the shop's pages.
    Widget,
    /// `shoptalk chat`.
    Terminal,
    /// `shoptalk ask`: one process, many conversations, nothing kept.
    Batch,
}

impl Channel {
    /// The name used in the database, in metrics and in the console.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Widget => "widget",
            Self::Terminal => "terminal",
            Self::Batch => "batch",
        }
    }
}

/// A stored name that no variant has: the database was written by a newer version or by hand.
#[derive(Debug, thiserror::Error)]
#[error("unknown {what} {value:?}")]
pub struct UnknownName {
    /// Which closed set was meant.
    pub what: &'static str,
    /// What was found.
    pub value: String,
}

impl FromStr for Channel {
    type Err = UnknownName;
    fn from_str(value: &str) -> Result<Self, Self::Err> {
        [Self::Telegram, Self::Widget, Self::Terminal, Self::Batch]
            .into_iter()
            .find(|channel| channel.as_str() == value)
            .ok_or_else(|| UnknownName { what: "channel", value: value.to_owned() })
    }
}

/// A language the product speaks. Everything that a shopper reads exists in each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese, simplified.
    Zh,
}

impl Language {
    /// Every language, in the order in which pages list them.
    pub const ALL: [Self; 2] = [Self::En, Self::Zh];

    /// ISO 639-1 code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// From an ISO 639-1 code or a BCP 47 tag such as `zh-CN`; `None` for a language the product does not speak.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.as_str() == primary)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message from a shopper, parsed at the channel's edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Where it came from.
    pub channel: Channel,
    /// The chat within the channel: one chat is one conversation (Telegram `bot:chat`, widget visitor id).
    pub chat: String,
    /// The channel's own id of this update; unique per channel and chat, so that a redelivery is recognised.
    pub update_id: String,
    /// What the shopper wrote, as sent.
    pub text: String,
    /// A customer the channel has already verified (the shop's own login), never something the shopper merely claims.
    pub customer: Option<String>,
    /// What the channel knows of the shopper's language; the text decides where it can.
    pub language_hint: Option<Language>,
    /// When the channel received it.
    pub received_at: Timestamp,
    /// What came with the words, or without any.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// What the channel knows of how it was said.
    #[serde(default)]
    pub origin: Origin,
}

/// Which way a turn went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Answered from the shop's documents or records.
    Answer,
    /// Said that the answer is not known, or that the wish is outside of what the bot does.
    Decline,
    /// Showed products.
    Recommend,
    /// Told a verified customer about an order.
    OrderStatus,
    /// Asked for proof of who is asking.
    VerifyIdentity,
    /// Passed the conversation to a person.
    Handoff,
    /// Greeted, thanked, chatted.
    Smalltalk,
}

impl Route {
    /// The contract's name of the route.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Decline => "decline",
            Self::Recommend => "recommend",
            Self::OrderStatus => "order_status",
            Self::VerifyIdentity => "verify_identity",
            Self::Handoff => "handoff",
            Self::Smalltalk => "smalltalk",
        }
    }
}

/// How the shopper sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    /// Angry, sad or let down.
    Negative,
    /// Neither.
    #[default]
    Neutral,
    /// Pleased.
    Positive,
}

/// The passage that a statement rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The document's file name.
    pub document: String,
    /// The heading above the passage, outermost first, joined by ` › `; empty at the top of a document.
    pub heading: String,
    /// Literally in the document.
    pub quote: String,
    /// Calibrated probability that the passage answers the question, 0 to 1.
    pub score: f32,
}

/// A product shown in a reply. Price and stock come from the record at the time of the reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductCard {
    /// The product's stock-keeping unit.
    pub sku: String,
    /// Its title.
    pub title: String,
    /// Its price now.
    pub price: Money,
    /// Pieces in stock now.
    pub stock: u32,
    /// Picture, as the catalogue names it.
    pub image: Option<String>,
    /// Why it is shown, in the shopper's language; true of this shopper and this product.
    pub reason: String,
}

/// Time spent on a reply, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct LatencyMs {
    /// Until the first words could be shown.
    pub first: u64,
    /// Until the reply was complete.
    pub total: u64,
}

/// What a reply does beside being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The shopper gets everything that is kept of the chat; as a file where the channel has files.
    Export,
    /// Everything that is kept of the chat is deleted with the turn.
    Erase,
    /// The shopper may say with one tap whether the reply was good.
    AskRating,
}

/// What the bot says in one turn, with everything that a channel, the console or an evaluation needs to know about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The words the shopper reads: plain text, line breaks allowed.
    #[serde(rename = "reply")]
    pub text: String,
    /// The reply's language.
    pub language: Language,
    /// The intent's name, for example `return_policy`.
    pub intent: String,
    /// Calibrated probability of the intent, 0 to 1.
    pub intent_confidence: f32,
    /// Which way the turn went.
    pub route: Route,
    /// The passages the words rest on.
    pub citations: Vec<Citation>,
    /// Products shown as cards.
    pub products: Vec<ProductCard>,
    /// The conversation now waits for a person.
    pub handoff: bool,
    /// The bot said that it cannot answer.
    pub declined: bool,
    /// How the shopper sounds.
    pub sentiment: Sentiment,
    /// A language model wrote or rephrased the words (and they passed the support check).
    pub generated: bool,
    /// Time spent.
    pub latency_ms: LatencyMs,
    /// Short texts a channel may offer as buttons; each is sent as the shopper's next message when chosen.
    #[serde(default)]
    pub suggestions: Vec<String>,
    /// What it does beside being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What decided this turn, for the console and for `ask --explain`.
    #[serde(default)]
    pub trace: Trace,
}

impl Reply {
    /// A question for a rating, which no turn has made.
    pub fn asking_for_rating(text: &str, language: Language) -> Self {
        Self {
            text: text.to_owned(),
            language,
            intent: "rating".to_owned(),
            intent_confidence: 1.0,
            route: Route::Smalltalk,
            citations: Vec::new(),
            products: Vec::new(),
            handoff: false,
            declined: false,
            sentiment: Sentiment::Neutral,
            generated: false,
            latency_ms: LatencyMs::default(),
            suggestions: Vec::new(),
            effect: Some(Effect::AskRating),
            trace: Trace::default(),
        }
    }
}

/// What decided a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Trace {
    /// The question as it was looked up, after masking and after a follow-up was completed.
    pub query: String,
    /// The likeliest intents with their probabilities, best first.
    pub intents: Vec<(String, f32)>,
    /// The merchant's own intent with its probability, where the merchant trained a head; no name: none of them.
    #[serde(default)]
    pub merchant_intent: Option<(Option<String>, f32)>,
    /// The passages found, best first.
    pub passages: Vec<PassageTrace>,
    /// The chat model had a second look at the passages.
    #[serde(default)]
    pub reranked: bool,
    /// What a shopper who was handed over was told of the queue.
    #[serde(default)]
    pub queue: Option<Queue>,
    /// Why each sentence of a generated reply was kept or the reply refused.
    pub support: Vec<String>,
    /// Version of the documents and records that the reply was made from; grows with every import.
    #[serde(default)]
    pub knowledge_version: i64,
    /// Name of the encoder.
    pub encoder: String,
    /// Name of the language model, when one wrote something.
    pub model: Option<String>,
    /// Name and version of the prompt, when one was used.
    pub prompt: Option<String>,
}

/// The queue for a person, as a shopper who joins it finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// The shopper's place, from 1 on.
    pub position: i64,
    /// How long it usually takes, where that is known.
    pub wait_minutes: Option<i64>,
}

/// One passage that was considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct PassageTrace {
    /// The document's file name.
    pub document: String,
    /// Headings above it.
    pub heading: String,
    /// Its text.
    pub text: String,
    /// Cosine similarity of question and passage.
    pub cosine: f32,
    /// BM25 score.
    pub bm25: f32,
    /// Standard deviations by which the cosine stands out from the shop's other passages.
    #[serde(default)]
    pub z: f32,
    /// Share of the question's weighted words that the passage has, 0 to 1.
    #[serde(default)]
    pub coverage: f32,
    /// BM25 over the most it could be.
    #[serde(default)]
    pub bm25_share: f32,
    /// Share of the question's concepts that the passage has, 0 to about 1.
    #[serde(default)]
    pub concepts: f32,
    /// Question and passage are in different languages.
    #[serde(default)]
    pub cross_language: bool,
    /// Log odds by the chat model's probe that it answers, where the model read it.
    #[serde(default)]
    pub read: Option<f32>,
    /// Calibrated probability that it answers.
    pub score: f32,
}

/// Something a channel may show while a reply is being made. Never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Progress {
    /// The bot is working.
    Typing,
    /// Checked words that will stand in the reply, to be appended to what was shown so far.
    Words {
        /// The words to append.
        text: String,
    },
}
