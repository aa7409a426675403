//! The encoder: passages a second in bulk, as an import makes them, and the time of one question.

use std::time::{Duration, Instant};

use super::{Figures, Peer, embed_beside};
use crate::{app, config::Config};

/// Passages embedded in bulk.
const PASSAGES: usize = 256;
/// Passages for the comparison with another engine.
const PASSAGES_BESIDE: usize = 128;
/// Questions embedded one after the other.
const QUESTIONS: usize = 100;

pub(super) async fn measure(config: &Config, figures: &mut Figures, against: Option<Peer>) -> anyhow::Result<()> {
    let started = Instant::now();
    let embedder = app::open_embedder(config).await?;
    figures.text("model", embedder.name());
    figures.count("dimensions", embedder.dimensions());
    figures.number("load_ms", started.elapsed().as_secs_f64() * 1e3);
    // The first call warms up.
    embedder.embed_passages((0..8).map(passage).collect()).await?;
    let texts: Vec<String> = (0..PASSAGES).map(passage).collect();
    let tokens: usize = texts.iter().map(|text| embedder.count_tokens(text)).sum();
    let started = Instant::now();
    embedder.embed_passages(texts).await?;
    let took = started.elapsed().as_secs_f64();
    figures.number("sentences_per_s", PASSAGES as f64 / took);
    figures.number("tokens_per_s", tokens as f64 / took);
    let mut times: Vec<Duration> = Vec::with_capacity(QUESTIONS);
    for number in 0..QUESTIONS {
        let started = Instant::now();
        embedder.embed_queries(vec![question(number)]).await?;
        times.push(started.elapsed());
    }
    figures.percentiles(&mut times);
    figures.resident_memory("rss_mb", std::process::id());
    if against.is_some() {
        embed_beside::measure(config, (0..PASSAGES_BESIDE).map(passage).collect(), figures).await?;
    }
    Ok(())
}

/// Made-up passages of one to four sentences, in both languages.
fn passage(number: usize) -> String {
    let (days, price) = (number % 60 + 7, number % 90 + 3);
    let english = format!("Model {number} is posted within {days} working days; posting it costs {price}.40 euro.");
    let chinese = format!("第{number}号商品在{days}个工作日内发货，运费为{price}.40欧元。");
    let mut sentences = vec![if number.is_multiple_of(3) { chinese } else { english }];
    sentences.extend((0..number % 4).map(|part| {
        format!("Part {part} of it can be washed at {} degrees and is made of recycled fibre.", 30 + part * 10)
    }));
    sentences.join(" ")
}

fn question(number: usize) -> String {
    match number % 3 {
        0 => format!("How long does it take until model {number} is here?"),
        1 => format!("第{number}号商品的运费是多少？"),
        _ => format!("can i wash model {number} and send it back later"),
    }
}
