//! What an operator sees of the running program: metrics in Prometheus' text format at `/metrics`, and its health at
//! `/readyz` and on the console's first page. Each metric has one function here, so that its name and its labels stand
//! in one place; without a recorder (every command but `serve`) the functions do nothing.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Serialize, Serializer};

const TURNS: &str = "shoptalk_turns_total";
const TURN_SECONDS: &str = "shoptalk_turn_seconds";
const TURNS_FAILED: &str = "shoptalk_turns_failed_total";
const OVERLOADED: &str = "shoptalk_model_overloaded_total";
const FILES: &str = "shoptalk_import_files_total";
const ITEMS: &str = "shoptalk_import_items_total";
const INBOX: &str = "shoptalk_inbox_waiting";
const OUTBOX: &str = "shoptalk_outbox_waiting";
const SET_ASIDE: &str = "shoptalk_set_aside";
const MODEL: &str = "shoptalk_model_state";
const PASSAGES: &str = "shoptalk_passages";
const PRODUCTS: &str = "shoptalk_products";
const KNOWLEDGE: &str = "shoptalk_knowledge_version";

/// Upper bounds of the latency histogram: an extractive answer takes tens of milliseconds, a translated one seconds.
const TURN_SECONDS_BOUNDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Keeps metrics from now on. Once a process; a second call is an error.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new();
    let handle = builder
        .set_buckets_for_metric(Matcher::Full(TURN_SECONDS.to_owned()), &TURN_SECONDS_BOUNDS)?
        .install_recorder()?;
    describe_counter!(TURNS, "Turns by channel, language and route; route is staff while a person has the word.");
    describe_histogram!(
        TURN_SECONDS,
        Unit::Seconds,
        "Time from taking a message out of the inbox to its stored reply."
    );
    describe_counter!(TURNS_FAILED, "Tries of a turn that failed, by channel.");
    describe_counter!(OVERLOADED, "Requests that a model's full queue turned away.");
    describe_counter!(FILES, "Files imported or refused, by kind.");
    describe_counter!(ITEMS, "Passages and records imported, by kind.");
    describe_gauge!(INBOX, "Messages that wait for their turn.");
    describe_gauge!(OUTBOX, "Replies that wait for their delivery.");
    describe_gauge!(SET_ASIDE, "Messages that could not be read or answered and wait for staff.");
    describe_gauge!(MODEL, "1 for the state that the model is in.");
    describe_gauge!(PASSAGES, "Passages that are searched.");
    describe_gauge!(PRODUCTS, "Products in the catalogue.");
    describe_gauge!(KNOWLEDGE, "Version of documents and records that the conversations use.");
    Ok(handle)
}

/// A turn was made and stored.
pub fn turn(channel: &'static str, language: &'static str, route: &'static str, took: Duration) {
    counter!(TURNS, "channel" => channel, "language" => language, "route" => route).increment(1);
    histogram!(TURN_SECONDS, "channel" => channel, "route" => route).record(took.as_secs_f64());
}

/// A try of a turn failed.
pub fn turn_failed(channel: &'static str) {
    counter!(TURNS_FAILED, "channel" => channel).increment(1);
}

/// A model's queue was full.
pub fn overloaded(model: &'static str) {
    counter!(OVERLOADED, "model" => model).increment(1);
}

/// A file went in with so many passages or records.
pub fn imported(kind: &'static str, items: usize) {
    counter!(FILES, "kind" => kind, "outcome" => "imported").increment(1);
    counter!(ITEMS, "kind" => kind).increment(items as u64);
}

/// A file was refused.
pub fn import_refused() {
    counter!(FILES, "kind" => "unknown", "outcome" => "refused").increment(1);
}

/// How many messages and replies wait.
pub fn waiting(inbox: i64, outbox: i64) {
    gauge!(INBOX).set(inbox as f64);
    gauge!(OUTBOX).set(outbox as f64);
}

/// How the program is, as gauges.
pub fn health(health: &Health) {
    for state in ["ready", "loading", "absent", "failed", "unreachable"] {
        gauge!(MODEL, "model" => "chat", "state" => state).set(f64::from(health.chat_model.name() == state));
    }
    gauge!(SET_ASIDE).set(health.set_aside as f64);
    gauge!(PASSAGES).set(health.passages as f64);
    gauge!(PRODUCTS).set(health.products as f64);
    gauge!(KNOWLEDGE).set(health.knowledge_version as f64);
}

/// Where a model stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelState {
    /// It answers.
    Ready,
    /// It is being fetched or loaded.
    Loading,
    /// The settings name none.
    Absent,
    /// It could not be loaded, and why.
    Failed(String),
    /// Its server does not answer, and why.
    Unreachable(String),
}

impl ModelState {
    /// The state's name, without the reason.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Loading => "loading",
            Self::Absent => "absent",
            Self::Failed(_) => "failed",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

impl fmt::Display for ModelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) | Self::Unreachable(why) => write!(f, "{}: {why}", self.name()),
            other => f.write_str(other.name()),
        }
    }
}

impl Serialize for ModelState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether shoppers get answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The shop is being opened.
    Starting,
    /// Everything that the settings ask for is there, or on its way.
    Ready,
    /// Shoppers get answers, but something that the settings ask for is missing.
    Degraded,
    /// Shoppers get no answers.
    Unavailable,
}

impl Status {
    /// Whether shoppers get answers.
    pub fn answers(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

/// How the program is, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether shoppers get answers.
    pub status: Status,
    /// `ok`, `opening` or `failed: why`.
    pub database: String,
    /// Name of the encoder; `loading` before it is there.
    pub encoder: String,
    /// The chat model.
    pub chat_model: ModelState,
    /// Where it writes, once it is there: `cpu`, `cuda`, `metal` or `server`; with the reason where the settings ask for
    /// another device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_device: Option<String>,
    /// Passages that the chat model has not read yet; until then the first ranking of their answers stands.
    pub passages_to_read: usize,
    /// Version of documents and records that the conversations use.
    pub knowledge_version: i64,
    /// Passages that are searched.
    pub passages: usize,
    /// Products in the catalogue.
    pub products: usize,
    /// Messages that could not be read or answered and wait for staff.
    #[serde(skip_serializing_if = "is_zero")]
    pub set_aside: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Health {
    /// Before the shop is open.
    pub fn starting() -> Self {
        Self {
            status: Status::Starting,
            database: "opening".to_owned(),
            encoder: "loading".to_owned(),
            chat_model: ModelState::Loading,
            chat_device: None,
            passages_to_read: 0,
            knowledge_version: 0,
            passages: 0,
            products: 0,
            set_aside: 0,
        }
    }
}

/// Looks how the program is.
pub type HealthFn = Arc<dyn Fn() -> BoxFuture<'static, Health> + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_model_says_why() {
        let health = Health { chat_model: ModelState::Failed("disk full".to_owned()), ..Health::starting() };
        let json = serde_json::to_value(&health).unwrap();
        assert_eq!(json["chat_model"], "failed: disk full");
        assert_eq!(json["status"], "starting");
    }
}
