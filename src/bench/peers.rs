//! Other engines, from their packages, on the same files in the same run. Each is installed once, beside the models.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::process::Command;

use super::{chat_answers, embed_beside};
use crate::inference::Tier;

const LLAMA_CPP: &str = include_str!("peers/llama_cpp.mjs");
const LLAMA_CPP_ANSWERS: &str = include_str!("peers/llama_cpp_answers.mjs");
/// The packages that carry llama.cpp for Node.js, without those for graphics cards.
const LLAMA_CPP_PACKAGES: [&str; 2] = ["node-llama-cpp@3.22.1", "@node-llama-cpp/linux-x64@3.22.1"];
/// Its part for processors that have AVX2 and nothing beyond.
const LLAMA_CPP_AVX2: &str = "libggml-cpu-haswell.so";
const LLAMA_CPP_SERVER: &str = include_str!("peers/llama_cpp_server.py");
const LLAMA_CPP_SERVER_PACKAGES: [&str; 1] = ["xllamacpp==2026.10.11549"];
const ONNXRUNTIME: &str = include_str!("peers/onnxruntime_encoder.py");
const ONNXRUNTIME_PACKAGES: [&str; 4] = ["onnxruntime==1.32.0", "onnx==1.23.2", "numpy==2.4.6", "safetensors==0.8.0"];

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

/// What the server's script prints.
#[derive(Debug, Deserialize)]
struct ServerAnswers {
    quote: f64,
    together: f64,
    instructions: String,
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
    figures(Command::new("node").arg(script).arg(file).args(numbers)).await.context("llama.cpp")
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
    figures(Command::new("node").arg(script).arg(file).arg(threads.to_string()).arg(prompts)).await.context("llama.cpp")
}

/// The server of llama.cpp while it writes answers, and the instructions that its package was built for. Needs Python.
pub(super) async fn llama_cpp_server(
    models: &Path,
    file: &Path,
    threads: usize,
    work: &chat_answers::Work,
) -> anyhow::Result<(Answers, String)> {
    let dir = models.join("peers/llama.cpp-server");
    let python = python(&dir, &LLAMA_CPP_SERVER_PACKAGES).await?;
    let (script, prompts) = (dir.join("server.py"), dir.join("prompts.json"));
    std::fs::write(&script, LLAMA_CPP_SERVER)?;
    std::fs::write(&prompts, serde_json::to_vec(work)?)?;
    let run = async |mode: &str| -> anyhow::Result<ServerAnswers> {
        let mut command = Command::new(&python);
        figures(command.arg(&script).arg(file).arg(threads.to_string()).arg(&prompts).arg(mode)).await
    };
    let context = "the server of llama.cpp";
    let (cache, lookup) = (run("cache").await.context(context)?, run("lookup").await.context(context)?);
    Ok((Answers { quote: cache.quote, lookup: lookup.quote, together: cache.together }, cache.instructions))
}

/// onnxruntime on the weights and the work that lie in `folder`; its packages are installed below `models`. Needs Python.
pub(super) async fn onnxruntime(
    models: &Path,
    folder: &Path,
    threads: usize,
) -> anyhow::Result<embed_beside::PeerVectors> {
    let python = python(&models.join("peers/onnxruntime"), &ONNXRUNTIME_PACKAGES).await?;
    let script = folder.join("encoder.py");
    std::fs::write(&script, ONNXRUNTIME)?;
    figures(Command::new(python).arg(script).arg(folder).arg(threads.to_string())).await.context("onnxruntime")
}

/// The JSON object that a script prints at its end.
async fn figures<T: DeserializeOwned>(command: &mut Command) -> anyhow::Result<T> {
    let output = output(command).await?;
    let line = output.lines().rev().find(|line| line.starts_with('{')).context("no figures were printed")?;
    Ok(serde_json::from_str(line)?)
}

/// The interpreter of an environment in `dir` that has `packages`.
async fn python(dir: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let (python, installed) = (dir.join("venv/bin/python"), dir.join(packages[0]));
    if !installed.exists() {
        std::fs::create_dir_all(dir)?;
        eprintln!("installing {} to measure against …", packages.join(", "));
        output(Command::new("python3").args(["-m", "venv"]).arg(dir.join("venv"))).await.context("Python's venv")?;
        output(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages)).await.context("pip")?;
        std::fs::write(&installed, "")?;
    }
    Ok(python)
}

/// A script beside its packages; where our own kernels are held to AVX2, beside packages that have no other part either.
async fn llama_cpp_script(models: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let is_avx2 = Tier::chosen()? == Tier::Avx2;
    let dir = models.join(if is_avx2 { "peers/llama.cpp-avx2" } else { "peers/llama.cpp" });
    let (script, installed) = (dir.join(name), dir.join(LLAMA_CPP_PACKAGES[0]));
    if !installed.exists() {
        std::fs::create_dir_all(&dir)?;
        eprintln!("installing {} to measure against …", LLAMA_CPP_PACKAGES.join(" and "));
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--omit=optional", "--prefix"]).arg(&dir).args(LLAMA_CPP_PACKAGES);
        output(npm.env("NODE_LLAMA_CPP_SKIP_DOWNLOAD", "true")).await.context("npm (comes with Node.js)")?;
        if is_avx2 {
            remove_all_but_avx2(&dir.join("node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"))?;
        }
        std::fs::write(&installed, "")?;
    }
    std::fs::write(&script, text)?;
    Ok(script)
}

/// llama.cpp takes the best of its parts that the processor can run.
fn remove_all_but_avx2(dir: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("libggml-cpu-") && name != LLAMA_CPP_AVX2 {
            std::fs::remove_file(entry.path())?;
        }
    }
    anyhow::ensure!(dir.join(LLAMA_CPP_AVX2).exists(), "{} has no {LLAMA_CPP_AVX2}", dir.display());
    Ok(())
}

async fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.kill_on_drop(true).output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    anyhow::ensure!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    Ok(text(&output.stdout))
}
