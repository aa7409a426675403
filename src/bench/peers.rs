//! Other engines, from their packages, on the same files in the same run. Each is installed once, beside the models.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::process::Command;

use super::chat_answers;

const LLAMA_CPP: &str = include_str!("peers/llama_cpp.mjs");
const LLAMA_CPP_ANSWERS: &str = include_str!("peers/llama_cpp_answers.mjs");
/// The packages that carry llama.cpp for Node.js, without those for graphics cards.
const LLAMA_CPP_PACKAGES: [&str; 2] = ["node-llama-cpp@3.22.1", "@node-llama-cpp/linux-x64@3.22.1"];

/// What a decoder did.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Decoder {
    pub(super) prefill_tokens_per_s: f64,
    pub(super) decode_tokens_per_s: f64,
    pub(super) rss_mb: f64,
}

/// How many tokens of answers are written in a second.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Answers {
    /// One that quotes its prompt.
    pub(super) quote: f64,
    /// The same with the engine's own drafts from the prompt.
    pub(super) lookup: f64,
    /// Several at once, all tokens together, with the time for their prompts.
    pub(super) together: f64,
}

/// What both engines have to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) threads: usize,
    pub(super) prompt_tokens: usize,
    pub(super) answer_tokens: usize,
    pub(super) rounds: usize,
}

/// llama.cpp on a GGUF file; its packages are installed below `models`. Needs Node.js and npm.
pub(super) async fn llama_cpp(models: &Path, file: &Path, work: Work) -> anyhow::Result<Decoder> {
    let script = llama_cpp_script(models, "bench.mjs", LLAMA_CPP).await?;
    let Work { threads, prompt_tokens, answer_tokens, rounds } = work;
    let numbers = [threads, prompt_tokens, answer_tokens, rounds].map(|number| number.to_string());
    figures(Command::new("node").arg(script).arg(file).args(numbers)).await
}

/// The same while it writes answers.
pub(super) async fn llama_cpp_answers(
    models: &Path,
    file: &Path,
    threads: usize,
    work: &chat_answers::Work,
) -> anyhow::Result<Answers> {
    let script = llama_cpp_script(models, "answers.mjs", LLAMA_CPP_ANSWERS).await?;
    let prompts = script.with_file_name("prompts.json");
    std::fs::write(&prompts, serde_json::to_vec(work)?)?;
    figures(Command::new("node").arg(script).arg(file).arg(threads.to_string()).arg(prompts)).await
}

/// The JSON object that a script of llama.cpp prints at its end.
async fn figures<T: DeserializeOwned>(command: &mut Command) -> anyhow::Result<T> {
    let output = output(command).await.context("llama.cpp")?;
    let line = output.lines().rev().find(|line| line.starts_with('{')).context("llama.cpp printed no figures")?;
    Ok(serde_json::from_str(line)?)
}

/// A script beside its packages.
async fn llama_cpp_script(models: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let dir = models.join("peers/llama.cpp");
    let (script, installed) = (dir.join(name), dir.join(LLAMA_CPP_PACKAGES[0]));
    if !installed.exists() {
        std::fs::create_dir_all(&dir)?;
        eprintln!("installing {} to measure against …", LLAMA_CPP_PACKAGES.join(" and "));
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--omit=optional", "--prefix"]).arg(&dir).args(LLAMA_CPP_PACKAGES);
        output(npm.env("NODE_LLAMA_CPP_SKIP_DOWNLOAD", "true")).await.context("npm (comes with Node.js)")?;
        std::fs::write(&installed, "")?;
    }
    std::fs::write(&script, text)?;
    Ok(script)
}

async fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.kill_on_drop(true).output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    anyhow::ensure!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    Ok(text(&output.stdout))
}
