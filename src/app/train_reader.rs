//! `shoptalk train reader`: learns from questions to several shops when a passage answers, on the chat model's own
//! states. Writes the reader, and for each shop one that has not seen it, so that `shoptalk eval answers --shop DIR
//! --reader FILE` judges whole replies without having learned from them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{App, Models, eval_answers};
use crate::{
    config::Config,
    engine::ANSWERS_READ,
    evaluation::{
        answers::{self, Expected, Kind},
        reader::{self, Asked, Read},
    },
    inference::LanguageModel,
    language::detect_language,
    retrieval::ranking,
};

/// The files of questions in a shop's folder; the second may be missing.
const FULL: &str = "questions.jsonl";
const SHORT: &str = "short_questions.jsonl";
/// Questions that are read at a time after a passage.
const AT_ONCE: usize = 64;

/// Trains on the shops in `folders`, prints the figures and writes the readers to `out`.
///
/// # Errors
/// No chat model on this machine, no questions, a folder that is none.
pub async fn run(
    config: &Config,
    folders: &[PathBuf],
    out: &Path,
    layers: Option<usize>,
    json: bool,
) -> anyhow::Result<()> {
    let shops = shops(folders)?;
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}: name another with --out DIR", out.display()))?;
    let (mut asked, mut model) = (Vec::new(), None);
    for (number, shop) in shops.iter().enumerate() {
        eprintln!("{} ({} of {})", shop.display(), number + 1, shops.len());
        let (fingerprint, depth) = Box::pin(ask(config, shop, layers, &mut asked)).await?;
        model = Some((fingerprint, depth));
    }
    let (fingerprint, layers) = model.context("no shop")?;
    eprintln!("fitting, each shop left out in turn …");
    let trained =
        tokio::task::spawn_blocking(move || reader::train(&asked, fingerprint, layers, ANSWERS_READ)).await??;
    let write = |name: &str, reader: &crate::inference::Reader| {
        let path = out.join(format!("{name}.reader"));
        std::fs::write(&path, reader.to_bytes()).with_context(|| format!("cannot write {}", path.display()))
    };
    write("all", &trained.reader)?;
    for (shop, reader) in &trained.without {
        write(&format!("without-{shop}"), reader)?;
    }
    let report = trained.report.count("layers", layers).text("out", out.display().to_string());
    if json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
        println!(
            "Switch it on in the settings:\n\n[models]\nreader = {:?}",
            out.join("all.reader").display().to_string()
        );
    }
    Ok(())
}

/// The folders that hold questions: the given ones, or those in them.
fn shops(folders: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut shops = Vec::new();
    for folder in folders {
        if folder.join(FULL).is_file() {
            shops.push(folder.clone());
            continue;
        }
        let entries = std::fs::read_dir(folder).with_context(|| {
            format!("{} is no folder: name one of a shop's files with {FULL} in it", folder.display())
        })?;
        let inside = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join(FULL).is_file());
        let before = shops.len();
        shops.extend(inside);
        if shops.len() == before {
            bail!("neither {} nor a folder in it holds a {FULL}", folder.display());
        }
    }
    shops.sort();
    Ok(shops)
}

/// Looks up a shop's questions and has the model read them after their best passages. Gives the model's fingerprint and
/// the layers that were computed.
async fn ask(
    config: &Config,
    shop: &Path,
    layers: Option<usize>,
    asked: &mut Vec<Asked>,
) -> anyhow::Result<(u32, usize)> {
    let mut config = config.clone();
    let _scratch = eval_answers::open_scratch(&mut config, shop).await?;
    let app = App::open(config, Models::All).await?;
    let model = app
        .language_model
        .get()
        .context("the reader reads the chat model's states, and there is none: set models.chat")?;
    let (fingerprint, depth) = model.fingerprint()?;
    let known = crate::inference::Reader::layers_of(fingerprint);
    let layers = layers.or(known).unwrap_or(depth / 2 + 1);
    if layers == 0 || layers > depth {
        bail!("the model {} has {depth} layers: give --layers from 1 to {depth}", model.name());
    }
    let name = shop.file_name().map_or_else(|| shop.display().to_string(), |name| name.to_string_lossy().into_owned());
    let first = asked.len();
    let mut texts = Vec::new();
    for (file, is_short) in [(FULL, false), (SHORT, true)] {
        let path = shop.join(file);
        if !path.is_file() {
            continue;
        }
        for questions in answers::read(&path)? {
            // What follows a turn depends on what was said to it.
            let (Some(text), Some(expected)) = (questions.turns.first(), questions.expect.first()) else { continue };
            if expected.polarity.as_deref() == Some(answers::OPEN) {
                continue;
            }
            let (text, found) = app.engine.candidates(text).await?;
            let read = ranking::to_read(&found, true).into_iter().map(|found| judged(found, expected, &text, is_short));
            asked.push(Asked {
                shop: name.clone(),
                is_short,
                style: expected.style.clone(),
                kind: expected.kind,
                read: read.collect(),
                found,
            });
            texts.push(text);
        }
    }
    read_all(&app, &model, layers, &texts, &mut asked[first..]).await?;
    Ok((fingerprint, layers))
}

fn judged(found: &crate::retrieval::Found, expected: &Expected, text: &str, is_short: bool) -> Read {
    let is_right = reader::answers(&found.passage, expected);
    let is_across = detect_language(text).is_some_and(|language| language != found.passage.chunk.language);
    // Only one language's passages were named for the short questions.
    let is_doubtful = !is_right && is_short && expected.kind == Kind::Answer && is_across;
    Read { place: found.place, is_right, is_doubtful, state: Vec::new() }
}

/// Passage by passage, so that each is read once.
async fn read_all(
    app: &App,
    model: &LanguageModel,
    layers: usize,
    texts: &[String],
    asked: &mut [Asked],
) -> anyhow::Result<()> {
    let snapshot = app.engine.snapshot();
    let passages = snapshot.knowledge.passages();
    let bar = super::progress_bar(passages.len(), "reading")?;
    for (place, passage) in (0..).zip(passages.iter()) {
        let mut after: Vec<(usize, usize)> = Vec::new();
        for (question, asked) in asked.iter().enumerate() {
            after.extend(asked.read.iter().position(|read| read.place == place).map(|read| (question, read)));
        }
        let chat = app.prompts.question_about(&passage.chunk.search_text);
        for some in after.chunks(AT_ONCE) {
            let questions: Vec<String> = some.iter().map(|(question, _)| texts[*question].clone()).collect();
            let states = model.states_after(&chat, &questions, layers).await?;
            for ((question, read), state) in some.iter().zip(states) {
                asked[*question].read[*read].state = state;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}
