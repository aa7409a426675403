//! The whole program on the demo shop: this binary is started as a process of its own and asked over HTTP, as the
//! widget does it.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::Figures;
use crate::config::Config;

/// Times that each question is asked.
const ROUNDS: usize = 4;
/// Longest wait for anything; the first start of all imports the demo shop.
const PATIENCE: Duration = Duration::from_mins(10);
/// Questions whose answer stands in the demo shop's documents, in the language of the document, so that no chat model is
/// asked.
const QUESTIONS: [&str; 12] = [
    "How long can I return hiking boots?",
    "What does delivery cost?",
    "Which cartridge fits the Pika stove?",
    "Do you deliver to Iceland?",
    "At what times can I phone you?",
    "How long is the warranty on a stove?",
    "How do I wash a down sleeping bag?",
    "Can I pay with a gift card?",
    "茶叶可以直邮中国吗？",
    "退货期限是多久？",
    "可以用支付宝付款吗？",
    "运费是多少？",
];

pub(super) async fn measure(config: &Config, figures: &mut Figures) -> anyhow::Result<()> {
    let dir = temporary_dir()?;
    let result = measure_in(&dir, config, figures).await;
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        tracing::warn!(%error, path = %dir.display(), "the bench's shop cannot be deleted");
    }
    result
}

fn temporary_dir() -> anyhow::Result<std::path::PathBuf> {
    let dir = std::env::temp_dir().join(format!("shoptalk-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

async fn measure_in(dir: &Path, config: &Config, figures: &mut Figures) -> anyhow::Result<()> {
    figures.text("encoder", &config.models.encoder);
    let started = Instant::now();
    Server::start(dir, config, "").await?.stop().await?;
    figures.number("first_start_ms", started.elapsed().as_secs_f64() * 1e3);

    let server = Server::start(dir, config, "").await?;
    figures.number("start_ms", server.start.as_secs_f64() * 1e3);
    let mut times = server.ask_all().await?;
    figures.count("answers", times.len());
    figures.percentiles(&mut times);
    figures.resident_memory("rss_mb", server.process()?);
    server.stop().await?;

    if config.models.chat.is_empty() {
        return Ok(());
    }
    figures.text("chat_model", &config.models.chat);
    let server = Server::start(dir, config, &config.models.chat).await?;
    figures.number("start_with_chat_model_ms", server.start.as_secs_f64() * 1e3);
    let chat_model = server.wait_for_chat_model().await?;
    figures.number("chat_model_ready_ms", chat_model.as_secs_f64() * 1e3);
    // The model is ready a moment before the passages wait for it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.wait_for(|health| health["passages_to_read"] == 0).await?;
    figures.number("passages_read_ms", server.started.elapsed().as_secs_f64() * 1e3);
    let mut times = server.ask_all().await?;
    figures.number("p50_with_chat_model_ms", super::percentile(&mut times, 0.5).as_secs_f64() * 1e3);
    figures.number("p95_with_chat_model_ms", super::percentile(&mut times, 0.95).as_secs_f64() * 1e3);
    figures.resident_memory("rss_with_chat_model_mb", server.process()?);
    server.stop().await
}

/// A running `shoptalk serve --demo`.
struct Server {
    child: Child,
    url: String,
    http: reqwest::Client,
    started: Instant,
    /// From the process's start until `/readyz` says that it answers.
    start: Duration,
}

impl Server {
    async fn start(dir: &Path, config: &Config, chat: &str) -> anyhow::Result<Self> {
        let settings = dir.join("shoptalk.toml");
        let quoted = |text: String| toml::Value::String(text).to_string();
        let models = match &config.models.dir {
            Some(models) => format!("dir = {}\n", quoted(models.display().to_string())),
            None => String::new(),
        };
        let data = quoted(dir.join("data").display().to_string());
        let (encoder, chat) = (quoted(config.models.encoder.clone()), quoted(chat.to_owned()));
        let text = format!("data_dir = {data}\n[models]\n{models}encoder = {encoder}\nchat = {chat}\n");
        std::fs::write(&settings, text)?;
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--config"])
            .arg(&settings)
            .env_remove("TELEGRAM_BOT_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no log")?).lines();
        let mut log = String::new();
        let url = loop {
            let Some(line) = lines.next_line().await? else { anyhow::bail!("the shop did not start: {log}") };
            if let Some((_, rest)) = line.split_once("listens on ") {
                break rest.split('/').take(3).collect::<Vec<_>>().join("/");
            }
            log.push_str(&line);
        };
        // Read on, so that the program never waits for somebody to read its log.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut server = Self { child, url, http, started, start: Duration::ZERO };
        server.wait_for(|health| health["status"] != "starting").await?;
        server.start = started.elapsed();
        Ok(server)
    }

    fn process(&self) -> anyhow::Result<u32> {
        self.child.id().context("the shop has ended")
    }

    async fn wait_for_chat_model(&self) -> anyhow::Result<Duration> {
        let health = self.wait_for(|health| health["chat_model"] != "loading").await?;
        anyhow::ensure!(health["chat_model"] == "ready", "the chat model: {}", health["chat_model"]);
        Ok(self.started.elapsed())
    }

    async fn wait_for(&self, done: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        while self.started.elapsed() < PATIENCE {
            let health = self.http.get(format!("{}/readyz", self.url)).send().await?.json().await?;
            if done(&health) {
                return Ok(health);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::bail!("the shop was not ready in time")
    }

    /// Asks every question some times over, one after the other, each in a chat of its own.
    async fn ask_all(&self) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            for (number, question) in QUESTIONS.iter().enumerate() {
                let visitor = format!("{:08x}{:024x}", self.process()?, round * QUESTIONS.len() + number);
                times.push(self.ask(&visitor, question).await?);
            }
        }
        Ok(times)
    }

    /// From sending the question until the event with the whole reply.
    async fn ask(&self, visitor: &str, question: &str) -> anyhow::Result<Duration> {
        let header = ("x-shoptalk-visitor", visitor);
        let events = self.http.get(format!("{}/api/widget/events", self.url)).header(header.0, header.1);
        let mut events = events.send().await?.error_for_status()?.bytes_stream();
        // The stream first tells the state of the chat; from then on it watches.
        let mut read = String::new();
        while !read.contains("event: state") {
            read.push_str(&String::from_utf8_lossy(&events.next().await.context("the stream ended")??));
        }
        let sent = Instant::now();
        let body = json!({"id": "q", "text": question});
        let post = self.http.post(format!("{}/api/widget/messages", self.url)).header(header.0, header.1);
        post.json(&body).send().await?.error_for_status()?;
        while !read.contains("\"author\":\"bot\"") {
            let piece = tokio::time::timeout(PATIENCE, events.next()).await?;
            read.push_str(&String::from_utf8_lossy(&piece.context("the stream ended")??));
        }
        Ok(sent.elapsed())
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}
