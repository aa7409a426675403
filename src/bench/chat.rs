//! The chat model: tokens a second while it reads a prompt (prefill) and while it writes (decode), and the time to the
//! first words.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::Figures;
use crate::{
    app,
    config::Config,
    inference::{ChatMessage, GenerateRequest, LanguageModel, Role},
};

/// Tokens that an answer may have.
const ANSWER_TOKENS: usize = 48;
/// Answers that are timed.
const ROUNDS: usize = 2;
/// Sentences of the prompt that is read: about 250 tokens.
const SENTENCES: usize = 10;

pub(super) async fn measure(config: &Config, figures: &mut Figures) -> anyhow::Result<()> {
    anyhow::ensure!(!config.models.chat.is_empty(), "the settings name no chat model; set `chat` under [models]");
    let files = app::model_store(config)?.pull(&config.models.chat).await?;
    let started = Instant::now();
    let model = tokio::task::spawn_blocking(move || LanguageModel::local(&files)).await??;
    figures.text("model", model.name());
    figures.number("load_ms", started.elapsed().as_secs_f64() * 1e3);
    let (mut read, mut written) = (Vec::new(), Vec::new());
    let mut first_words = Vec::new();
    // A short one warms up.
    write_answer(&model, 0, 4).await?;
    for round in 1..=ROUNDS {
        read.push(read_prompt(&model, round).await?);
        let (answer, first) = write_answer(&model, round, ANSWER_TOKENS).await?;
        written.push(answer);
        first_words.push(first);
    }
    figures.number("prefill_tokens_per_s", rate(&read));
    figures.number("decode_tokens_per_s", rate(&written));
    figures.count("prompt_tokens", read.iter().map(|(tokens, _)| *tokens).max().unwrap_or_default());
    figures.count("answer_tokens", written.iter().map(|(tokens, _)| *tokens).max().unwrap_or_default());
    figures.number("first_words_ms", super::percentile(&mut first_words, 0.5).as_secs_f64() * 1e3);
    figures.resident_memory("rss_mb", std::process::id());
    Ok(())
}

fn rate(samples: &[(usize, Duration)]) -> f64 {
    let tokens: usize = samples.iter().map(|(tokens, _)| tokens).sum();
    let time: Duration = samples.iter().map(|(_, time)| *time).sum();
    tokens as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// Reads a long prompt and asks for the probability of one next token, so that nothing is written.
async fn read_prompt(model: &LanguageModel, round: usize) -> anyhow::Result<(usize, Duration)> {
    let sentences: Vec<String> = (0..SENTENCES)
        .map(|number| {
            let (days, price) = (number * 7 + round + 3, number * 13 + round + 5);
            format!(
                "Article {number} of the shop may be sent back within {days} days and costs {price}.50 euro to post."
            )
        })
        .collect();
    let messages = vec![
        ChatMessage { role: Role::System, content: "Answer from the text.".to_owned() },
        ChatMessage { role: Role::User, content: sentences.join(" ") },
    ];
    let tokens = model.prompt_tokens(&messages)?;
    let started = Instant::now();
    model.score_next(messages, vec!["Yes".to_owned()]).await?;
    Ok((tokens, started.elapsed()))
}

/// Has an answer written; returns its tokens after the first words with the time they took, and the time to those.
async fn write_answer(
    model: &LanguageModel,
    round: usize,
    tokens_max: usize,
) -> anyhow::Result<((usize, Duration), Duration)> {
    let request = GenerateRequest {
        messages: vec![ChatMessage {
            role: Role::User,
            content: format!("Write a long story about a tent, a stove and {} rainy days.", round + 2),
        }],
        tokens_max,
        temperature: 0.0,
        stop: vec![],
        seed: 0,
    };
    let started = Instant::now();
    let mut generation = model.generate(request)?;
    let first = generation.next().await.context("the model wrote nothing")??;
    let first_at = started.elapsed();
    let mut rest = String::new();
    while let Some(piece) = generation.next().await {
        rest.push_str(&piece?);
    }
    let tokens = model.count_tokens(&format!("{first}{rest}"))? - model.count_tokens(&first)?;
    Ok(((tokens, started.elapsed().saturating_sub(first_at)), first_at))
}
