//! The chat model: tokens a second while it reads a prompt (prefill) and while it writes (decode), and the time to the
//! first words; then whole answers.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{
    Figures, Peer, chat_answers,
    peers::{self, Work},
};
use crate::{
    app,
    config::{Config, DeviceChoice},
    inference::{
        ChatMessage, Drafts, GenerateRequest, LanguageModel, LocalOptions, Role, Sampling,
        decoder::{Decoder, Part, STEP_TOKENS, Wanted},
        threads,
    },
    models::ModelFiles,
};

/// Tokens that an answer may have.
const ANSWER_TOKENS: usize = 48;
/// Answers that are timed.
const ROUNDS: usize = 2;
/// Sentences of the prompt that is read: about 250 tokens.
const SENTENCES: usize = 10;

pub(super) async fn measure(config: &Config, figures: &mut Figures, against: Option<Peer>) -> anyhow::Result<()> {
    if let Some(remote) = &config.models.remote {
        let model = LanguageModel::remote(remote, remote.key()?)?;
        figures.text("model", model.name());
        figures.text("device", model.device());
        return beside(&model, figures).await;
    }
    anyhow::ensure!(!config.models.chat.is_empty(), "the settings name no chat model; set `chat` under [models]");
    let store = app::model_store(config)?;
    let files = store.pull(&config.models.chat).await?;
    let weights = files.files.get("weights").cloned().context("the chat model has no weights")?;
    let started = Instant::now();
    let own_files = files.clone();
    let model = tokio::task::spawn_blocking(move || LanguageModel::local(&own_files)).await??;
    figures.text("model", model.name());
    figures.number("load_ms", started.elapsed().as_secs_f64() * 1e3);
    let (mut read, mut written) = (Vec::new(), Vec::new());
    let mut first_words = Vec::new();
    // A short one warms up.
    write(&model, story(0), 4).await?;
    for round in 1..=ROUNDS {
        read.push(read_prompt(&model, round).await?);
        let (answer, first) = write(&model, story(round), ANSWER_TOKENS).await?;
        written.push(answer);
        first_words.push(first);
    }
    figures.number("prefill_tokens_per_s", rate(&read));
    figures.number("decode_tokens_per_s", rate(&written));
    figures.count("prompt_tokens", read.iter().map(|(tokens, _)| *tokens).max().unwrap_or_default());
    figures.count("answer_tokens", written.iter().map(|(tokens, _)| *tokens).max().unwrap_or_default());
    figures.number("first_words_ms", super::percentile(&mut first_words, 0.5).as_secs_f64() * 1e3);
    figures.resident_memory("rss_mb", std::process::id());
    drop(model);
    on_device(&files, config.models.device, figures).await?;
    chat_answers::measure(&files, against.map(|peer| (peer, store.dir())), figures).await?;
    if against == Some(Peer::LlamaCpp) {
        beside_llama_cpp(store.dir(), weights, figures).await?;
    }
    Ok(())
}

/// The same weights on the device that the settings ask for, where it is another one than the processor.
async fn on_device(files: &ModelFiles, device: DeviceChoice, figures: &mut Figures) -> anyhow::Result<()> {
    if device == DeviceChoice::Cpu {
        return Ok(());
    }
    let (files, options) = (files.clone(), LocalOptions { device, drafts: Drafts::Off, ..LocalOptions::default() });
    let model = tokio::task::spawn_blocking(move || LanguageModel::local_with(&files, options)).await??;
    figures.text("device", model.device());
    if model.device().starts_with(DeviceChoice::Cpu.name()) {
        return Ok(());
    }
    // The whole prompt is read until the first word comes.
    let mut read = Vec::new();
    for round in 0..=ROUNDS {
        let messages = long_prompt(round);
        let tokens = model.prompt(&messages)?.len();
        let (_, first) = write(&model, messages, 1).await?;
        // The first one warms up.
        read.extend((round > 0).then_some((tokens, first)));
    }
    figures.number("device_prefill_tokens_per_s", rate(&read));
    beside(&model, figures).await
}

/// A model whose tokens come from elsewhere, one with each piece of text: a device or a server.
async fn beside(model: &LanguageModel, figures: &mut Figures) -> anyhow::Result<()> {
    let (mut written, mut first_words) = (Vec::new(), Vec::new());
    write(model, story(0), 4).await?;
    for round in 1..=ROUNDS {
        let (answer, first) = write(model, story(round), ANSWER_TOKENS).await?;
        written.push(answer);
        first_words.push(first);
    }
    figures.number("device_decode_tokens_per_s", rate(&written));
    figures.number("device_first_words_ms", super::percentile(&mut first_words, 0.5).as_secs_f64() * 1e3);
    Ok(())
}

/// Both engines read the same tokens and go on with the same ones; the peer is measured before and after, and its better
/// run counts.
async fn beside_llama_cpp(dir: &Path, weights: PathBuf, figures: &mut Figures) -> anyhow::Result<()> {
    let work = Work { threads: threads::count(), prompt_tokens: 500, answer_tokens: 48, rounds: 4 };
    let before = peers::llama_cpp(dir, &weights, work).await?;
    let file = weights.clone();
    let (prefill, decode) = tokio::task::spawn_blocking(move || decode(&file, work)).await??;
    let after = peers::llama_cpp(dir, &weights, work).await?;
    let peer_prefill = before.prefill_tokens_per_s.max(after.prefill_tokens_per_s);
    let peer_decode = before.decode_tokens_per_s.max(after.decode_tokens_per_s);
    figures.number("prefill_500_tokens_per_s", prefill);
    figures.number("llama_cpp_prefill_500", peer_prefill);
    figures.number("prefill_ratio", prefill / peer_prefill);
    figures.number("decode_at_500_tokens_per_s", decode);
    figures.number("llama_cpp_decode_at_500", peer_decode);
    figures.number("decode_ratio", decode / peer_decode);
    figures.number("llama_cpp_rss_mb", before.rss_mb);
    Ok(())
}

/// Tokens a second while reading and while writing, the best round of each.
fn decode(weights: &Path, work: Work) -> anyhow::Result<(f64, f64)> {
    let mut decoder = Decoder::load(weights, work.prompt_tokens + work.answer_tokens + 8)?;
    let prompt: Vec<u32> = (0..work.prompt_tokens as u32).map(|index| 300 + index * 7 % 5000).collect();
    let (mut prefill, mut written) = (0.0_f64, 0.0_f64);
    for _ in 0..work.rounds {
        let mut sequence = decoder.sequence(None, work.prompt_tokens + work.answer_tokens);
        let started = Instant::now();
        let (last, first) = prompt.split_last().context("an empty prompt")?;
        for step in first.chunks(STEP_TOKENS) {
            decoder.extend(&mut sequence, step)?;
        }
        decoder.read(&mut sequence, &[*last])?;
        prefill = prefill.max(work.prompt_tokens as f64 / started.elapsed().as_secs_f64());
        let started = Instant::now();
        for index in 0..work.answer_tokens as u32 {
            let (tokens, wanted) = (&[300 + index], Wanted::Likeliest);
            decoder.step(&mut [Part { sequence: &mut sequence, tokens, logits: 1, wanted }])?;
        }
        written = written.max(work.answer_tokens as f64 / started.elapsed().as_secs_f64());
    }
    Ok((prefill, written))
}

fn rate(samples: &[(usize, Duration)]) -> f64 {
    let tokens: usize = samples.iter().map(|(tokens, _)| tokens).sum();
    let time: Duration = samples.iter().map(|(_, time)| *time).sum();
    tokens as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// Reads a long prompt and asks for the probability of one next token, so that nothing is written.
async fn read_prompt(model: &LanguageModel, round: usize) -> anyhow::Result<(usize, Duration)> {
    let messages = long_prompt(round);
    let tokens = model.prompt(&messages)?.len();
    let started = Instant::now();
    model.score_next(messages, vec!["Yes".to_owned()]).await?;
    Ok((tokens, started.elapsed()))
}

fn long_prompt(round: usize) -> Vec<ChatMessage> {
    let sentences: Vec<String> = (0..SENTENCES)
        .map(|number| {
            let (days, price) = (number * 7 + round + 3, number * 13 + round + 5);
            format!(
                "Article {number} of the shop may be sent back within {days} days and costs {price}.50 euro to post."
            )
        })
        .collect();
    vec![
        ChatMessage { role: Role::System, content: "Answer from the text.".to_owned() },
        ChatMessage { role: Role::User, content: sentences.join(" ") },
    ]
}

fn story(round: usize) -> Vec<ChatMessage> {
    let content = format!("Write a long story about a tent, a stove and {} rainy days.", round + 2);
    vec![ChatMessage { role: Role::User, content }]
}

/// Has an answer written; returns its tokens after the first words with the time they took, and the time to those.
async fn write(
    model: &LanguageModel,
    messages: Vec<ChatMessage>,
    tokens_max: usize,
) -> anyhow::Result<((usize, Duration), Duration)> {
    let request =
        GenerateRequest { messages, tokens_max, sampling: Sampling::GREEDY, stop: vec![], seed: 0, grammar: None };
    let started = Instant::now();
    let mut generation = model.generate(request)?;
    let first = generation.next().await.context("the model wrote nothing")??;
    let first_at = started.elapsed();
    let (mut rest, mut pieces) = (String::new(), 0);
    while let Some(piece) = generation.next().await {
        rest.push_str(&piece?);
        pieces += 1;
    }
    // Servers do not show their tokens, but mostly send one at a time.
    let tokens = if model.is_remote() {
        pieces
    } else {
        model.count_tokens(&format!("{first}{rest}"))? - model.count_tokens(&first)?
    };
    Ok(((tokens, started.elapsed().saturating_sub(first_at)), first_at))
}
