//! `shoptalk bench`: how fast this machine runs the product, and how much memory it takes. Each suite prints its
//! figures; times are wall-clock, rates count the tokens or sentences of one request after the other, and memory is the
//! resident set of the process.

mod chat;
mod chat_answers;
mod embed;
mod embed_beside;
mod peers;
mod retrieve;
mod serve;

use std::{borrow::Cow, fmt, time::Duration};

use anyhow::Context;
use serde_json::{Map, Value};

use crate::{
    config::Config,
    inference::{TIER_VARIABLE, Tier},
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// The chat model: reading a prompt and writing an answer.
    Chat,
    /// The encoder: many passages, and one question at a time.
    Embed,
    /// The search over 20,000 passages, once the question is embedded.
    Retrieve,
    /// The whole program on the demo shop, over HTTP.
    Serve,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embed => "embed",
            Self::Retrieve => "retrieve",
            Self::Serve => "serve",
        }
    }
}

/// Another engine to measure beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// llama.cpp, for the chat model.
    LlamaCpp,
    /// The server of llama.cpp, for the answers of the chat model.
    LlamaCppServer,
    /// onnxruntime, for the encoder.
    OnnxRuntime,
}

/// Named figures, in the order in which they were measured.
#[derive(Debug, Default)]
pub struct Figures {
    entries: Vec<(Cow<'static, str>, Value)>,
}

impl Figures {
    fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.entries.push((name.into(), Value::from(value.into())));
    }

    fn count(&mut self, name: &'static str, value: usize) {
        self.entries.push((name.into(), Value::from(value)));
    }

    /// A measured number, with three digits after the point.
    fn number(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        self.entries.push((name.into(), Value::from((value * 1e3).round() / 1e3)));
    }

    fn percentiles(&mut self, times: &mut [Duration]) {
        for (name, share) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
            self.number(name, percentile(times, share).as_secs_f64() * 1e3);
        }
    }

    fn resident_memory(&mut self, name: &'static str, process: u32) {
        if let Some(megabytes) = rss_mb(process) {
            self.number(name, megabytes);
        }
    }

    fn into_json(self) -> Value {
        Value::Object(self.entries.into_iter().map(|(name, value)| (name.into_owned(), value)).collect::<Map<_, _>>())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.entries {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(f, "{name:28}{value}")?;
        }
        Ok(())
    }
}

/// Measures and prints: a line per figure, or one JSON object.
pub async fn run(config: Config, suite: Suite, against: Option<Peer>, json: bool) -> anyhow::Result<()> {
    let is_compared = matches!(
        (suite, against),
        (_, None)
            | (Suite::Chat, Some(Peer::LlamaCpp | Peer::LlamaCppServer))
            | (Suite::Embed, Some(Peer::OnnxRuntime))
    );
    anyhow::ensure!(
        is_compared,
        "there are `bench chat --against llama.cpp`, `bench chat --against llama.cpp-server` and \
         `bench embed --against onnxruntime`, but no others"
    );
    let tier = Tier::chosen().context(TIER_VARIABLE)?;
    anyhow::ensure!(
        config.models.remote.is_none() || (suite != Suite::Serve && against.is_none()),
        "only local models are measured so; take [models.remote] out of the settings for that"
    );
    let mut figures = Figures::default();
    figures.text("suite", suite.name());
    figures.count("threads", crate::inference::threads::count());
    figures.text("instructions", tier.name());
    match suite {
        Suite::Chat => chat::measure(&config, &mut figures, against).await?,
        Suite::Embed => embed::measure(&config, &mut figures, against).await?,
        Suite::Retrieve => retrieve::measure(&mut figures).await?,
        Suite::Serve => serve::measure(&config, &mut figures).await?,
    }
    if json {
        println!("{}", figures.into_json());
    } else {
        print!("{figures}");
    }
    Ok(())
}

/// The time that `share` of all times do not exceed (nearest rank).
fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let rank = (share * times.len() as f64).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Resident memory of a process in megabytes (10^6 bytes); `None` where the system does not tell.
fn rss_mb(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut times: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 0.5), Duration::from_millis(10));
        assert_eq!(percentile(&mut times, 0.95), Duration::from_millis(19));
        assert_eq!(percentile(&mut times, 0.99), Duration::from_millis(20));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
