//! Answers as a shop has them written: the first one after a start, one that quotes a passage, and those of several
//! conversations at once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::future::try_join_all;
use serde::Serialize;

use super::{Figures, Peer, peers};
use crate::{
    inference::{ChatMessage, Drafts, GenerateRequest, LanguageModel, LocalOptions, Role, Sampling, threads},
    models::ModelFiles,
};

/// Tokens of the answer that quotes.
const QUOTE_TOKENS: usize = 100;
/// Conversations at the same time, and the tokens of each one's answer.
const CONVERSATIONS: usize = 8;
const CONVERSATION_TOKENS: usize = 48;
/// Times that each is measured; the best counts.
const ROUNDS: usize = 2;

/// What is quoted: more than `QUOTE_TOKENS` tokens.
const PASSAGE: &str = "Boots and shoes can be returned within 30 days of delivery if they were not worn outside and come \
    in their own box. We pay the postage inside the country; from abroad a return costs 9.50 euro. Gift cards, opened \
    food and made-to-measure insoles cannot be returned. Once the parcel has reached our warehouse in Porto, we look it \
    over within two working days, and your money is on its way to the card or account you paid with at most five days \
    later. If a pair was delivered with a fault, write to us first: we send a label and, where we still have your size, \
    a new pair at once.";

/// What a peer has to do, in the tokens of our own prompts.
#[derive(Debug, Serialize)]
pub(super) struct Work {
    quote: Vec<u32>,
    quote_tokens: usize,
    /// One list of prompts a round.
    rounds: Vec<Vec<Vec<u32>>>,
    conversation_tokens: usize,
}

/// Tokens a second, the best round of each.
struct Speed {
    quote: f64,
    together: f64,
}

/// Measures a model whose packed weights are there by now, and llama.cpp beside it where that is asked for.
pub(super) async fn measure(
    files: &ModelFiles,
    peer: Option<(Peer, &Path)>,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let model = load(files, Drafts::On).await?;
    write(&model, chat("Hello", "Answer from the text."), 1).await?;
    figures.number("load_to_first_token_ms", started.elapsed().as_secs_f64() * 1e3);
    let weights = files.files.get("weights").context("the chat model has no weights")?;
    let work = work(&model)?;
    let (speed, quoted) = speed(&model).await?;
    drop(model);
    let plain = load(files, Drafts::Off).await?;
    let (plain_quote, plain_quoted) = quote(&plain).await?;
    anyhow::ensure!(quoted == plain_quoted, "drafts have changed an answer: {quoted:?} is not {plain_quoted:?}");
    drop(plain);
    figures.number("quote_tokens_per_s", speed.quote);
    figures.number("quote_without_drafts_per_s", plain_quote);
    figures.number("eight_at_once_tokens_per_s", speed.together);
    let Some((peer, dir)) = peer else { return Ok(()) };
    let (name, peer) = match peer {
        Peer::LlamaCppServer => {
            let (answers, instructions) = peers::llama_cpp_server(dir, weights, threads::count(), &work).await?;
            figures.text("llama_cpp_server_instructions", instructions);
            ("llama_cpp_server", answers)
        }
        _ => ("llama_cpp", peers::llama_cpp_answers(dir, weights, threads::count(), &work).await?),
    };
    figures.number(format!("{name}_quote"), peer.quote);
    figures.number("quote_ratio", speed.quote / peer.quote);
    figures.number(format!("{name}_quote_with_lookup"), peer.lookup);
    figures.number(format!("{name}_eight_at_once"), peer.together);
    figures.number("eight_at_once_ratio", speed.together / peer.together);
    Ok(())
}

async fn load(files: &ModelFiles, drafts: Drafts) -> anyhow::Result<LanguageModel> {
    let (files, options) = (files.clone(), LocalOptions { drafts, ..LocalOptions::default() });
    Ok(tokio::task::spawn_blocking(move || LanguageModel::local_with(&files, options)).await??)
}

async fn speed(model: &LanguageModel) -> anyhow::Result<(Speed, String)> {
    let mut together = 0.0_f64;
    for round in 0..ROUNDS {
        let started = Instant::now();
        let answers = conversations(round).into_iter().map(|chat| write(model, chat, CONVERSATION_TOKENS));
        let tokens: usize = try_join_all(answers).await?.into_iter().map(|(tokens, _)| tokens).sum();
        together = together.max(rate(tokens, started.elapsed()));
    }
    let (quote, quoted) = quote(model).await?;
    Ok((Speed { quote, together }, quoted))
}

/// Asked several times, so that the prompt is known from the second time on.
async fn quote(model: &LanguageModel) -> anyhow::Result<(f64, String)> {
    let (mut best, mut quoted) = (0.0_f64, String::new());
    for _ in 0..=ROUNDS {
        let started = Instant::now();
        let (tokens, text) = write(model, quoting(), QUOTE_TOKENS).await?;
        (best, quoted) = (best.max(rate(tokens, started.elapsed())), text);
    }
    Ok((best, quoted))
}

fn rate(tokens: usize, time: Duration) -> f64 {
    tokens as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// Has an answer written; its tokens and its text.
async fn write(
    model: &LanguageModel,
    messages: Vec<ChatMessage>,
    tokens_max: usize,
) -> anyhow::Result<(usize, String)> {
    let request =
        GenerateRequest { messages, tokens_max, sampling: Sampling::GREEDY, stop: vec![], seed: 0, grammar: None };
    let text = model.generate(request)?.text().await?;
    Ok((model.count_tokens(&text)?, text))
}

fn work(model: &LanguageModel) -> anyhow::Result<Work> {
    let round = |round| conversations(round).iter().map(|chat| model.prompt(chat)).collect::<Result<Vec<_>, _>>();
    Ok(Work {
        quote: model.prompt(&quoting())?,
        quote_tokens: QUOTE_TOKENS,
        rounds: (0..ROUNDS).map(round).collect::<Result<_, _>>()?,
        conversation_tokens: CONVERSATION_TOKENS,
    })
}

fn chat(question: &str, system: &str) -> Vec<ChatMessage> {
    let message = |role, content: &str| ChatMessage { role, content: content.to_owned() };
    vec![message(Role::System, system), message(Role::User, question)]
}

fn quoting() -> Vec<ChatMessage> {
    chat(&format!("Repeat this text word for word:\n\n{PASSAGE}"), "You answer the questions of a shop's customers.")
}

/// Conversations with the same instructions, each about something else.
fn conversations(round: usize) -> Vec<Vec<ChatMessage>> {
    let question = |number: usize| {
        let (price, weight) = (round * 31 + number * 17 + 40, round * 5 + number * 3 + 2);
        let question = format!(
            "Article {number} of our house is a tent for {weight} people. It costs {price} euro, weighs {weight} kilograms \
             and can be sent back within {price} days; the cloth dries in an hour and is sewn by hand in our workshop. \
             Tell me in a few sentences for whom this tent is a good choice."
        );
        chat(&question, "You answer the questions of a shop's customers. Use only what the text says, and be friendly.")
    };
    (0..CONVERSATIONS).map(question).collect()
}
