//! The encoder beside onnxruntime. Both get the same token lists, so that nobody's tokenizer counts: one text at a time,
//! and 32 at a time, sorted by length so that onnxruntime, which pads, has little to pad. Its model is made of our
//! weights and quantized to eight bits by its own tools.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Figures, peers};
use crate::{
    app,
    config::Config,
    inference::{
        bert::BertSizes,
        embed_tokens,
        encoder::{Encoder, TextKind},
        threads,
    },
};

/// Times that each batch is measured; the best counts, so that other work on the machine hardly does.
const ROUNDS: usize = 6;
/// How both get the texts, by the name of the figure, and how many at a time.
const BATCHES: [(&str, usize); 2] = [("batch_1", 1), ("batch_32", 32)];

/// What a peer has to do: batches of token lists.
#[derive(Debug, Serialize)]
struct Work {
    #[serde(flatten)]
    sizes: BertSizes,
    rounds: usize,
    batches: BTreeMap<&'static str, Vec<Vec<Vec<u32>>>>,
}

/// What a peer did.
#[derive(Debug, Deserialize)]
pub(super) struct PeerVectors {
    /// By the name of the batches.
    texts_per_s: BTreeMap<String, f64>,
    /// The vectors of the first batches, in order.
    vectors: Vec<Vec<f32>>,
}

/// Measures both on `texts`; the peer is measured before and after, and its better run counts.
pub(super) async fn measure(config: &Config, texts: Vec<String>, figures: &mut Figures) -> anyhow::Result<()> {
    let store = app::model_store(config)?;
    let files = store.pull(&config.models.encoder).await?;
    let encoder = tokio::task::spawn_blocking(move || Encoder::load(&files)).await??;
    let mut tokens =
        texts.iter().map(|text| encoder.tokenize(text, TextKind::Passage)).collect::<Result<Vec<_>, _>>()?;
    tokens.sort_by_key(Vec::len);
    let batches = BATCHES.map(|(name, texts)| (name, tokens.chunks(texts).map(<[_]>::to_vec).collect()));
    let work = Work { sizes: encoder.bert().sizes(), rounds: ROUNDS, batches: batches.into() };

    // The model for the peer takes a gigabyte for a moment and is made anew each time, so that it is always the same one.
    let folder = store.dir().join("peers/onnxruntime/model");
    if folder.exists() {
        // A run that was stopped has left it.
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let beside = beside(store.dir(), &folder, encoder, &work, figures).await;
    fs::remove_dir_all(&folder)?;
    beside
}

async fn beside(
    models: &Path,
    folder: &Path,
    encoder: Encoder,
    work: &Work,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    encoder.bert().export(&folder.join("weights.safetensors"))?;
    fs::write(folder.join("work.json"), serde_json::to_vec(work)?)?;
    let before = peers::onnxruntime(models, folder, threads::count()).await?;
    let own = BATCHES.map(|(name, _)| name).map(|name| speed(&encoder, &work.batches[name]));
    let after = peers::onnxruntime(models, folder, threads::count()).await?;
    let mut lowest = 1.0_f32;
    for ((name, _), own) in BATCHES.into_iter().zip(own) {
        let (speed, vectors) = own?;
        let peer = |run: &PeerVectors| run.texts_per_s.get(name).copied().context("a figure of onnxruntime is missing");
        let peer = peer(&before)?.max(peer(&after)?);
        anyhow::ensure!(vectors.len() == before.vectors.len(), "onnxruntime gave another number of vectors");
        let cosines = vectors.iter().zip(&before.vectors).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum());
        lowest = cosines.fold(lowest, f32::min);
        figures.number(format!("{name}_texts_per_s"), speed);
        figures.number(format!("onnxruntime_{name}"), peer);
        figures.number(format!("{name}_ratio"), speed / peer);
    }
    figures.number("lowest_cosine", f64::from(lowest));
    Ok(())
}

/// Texts a second, from the best time of each batch, and the vectors.
fn speed(encoder: &Encoder, batches: &[Vec<Vec<u32>>]) -> anyhow::Result<(f64, Vec<Vec<f32>>)> {
    let (mut best, mut vectors) = (vec![Duration::MAX; batches.len()], Vec::new());
    for _ in 0..ROUNDS {
        vectors.clear();
        for (batch, best) in batches.iter().zip(&mut best) {
            let started = Instant::now();
            vectors.extend(embed_tokens(encoder, batch)?);
            *best = started.elapsed().min(*best);
        }
    }
    Ok((vectors.len() as f64 / best.iter().sum::<Duration>().as_secs_f64(), vectors))
}
