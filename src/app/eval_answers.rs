//! `shoptalk eval answers`: questions put to a shop, the one in the data directory or one read from a folder for this run
//! alone. The questions come from a file, or the chat model writes them from the shop's own documents: for each passage
//! one near to its words and one in other words, and each of the former again with its document left out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::bail;

use super::{
    App, Models,
    ask::{self, BatchLine},
};
use crate::{
    config::Config,
    evaluation::{
        Report,
        answers::{self, Documents, Expected, Kind, Said},
    },
    inference::LanguageModel,
    knowledge::import::{Importer, files},
    language::detect_language,
    retrieval::Passage,
};

/// Passages that questions are made from, spread over the documents; more would take longer than a merchant waits.
const PASSAGES_MAX: usize = 120;
/// Shorter texts are no questions.
const QUESTION_CHARACTERS_MIN: usize = 4;

/// Folders made by this process, each with a name of its own: the one before may not be closed yet.
static SCRATCHES: AtomicUsize = AtomicUsize::new(0);

/// A folder that is deleted with everything in it when the run ends.
pub(super) struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "{} cannot be deleted", self.0.display());
        }
    }
}

/// A turn with what was expected and said: what the report is made of.
type Turn = (String, String, Expected, Said);

/// Asks every question. `shop` is a folder of a merchant's files, with `questions.jsonl` in it unless `questions` names
/// another file; without `shop` the shop in the data directory is asked. Without a file the questions are made.
pub async fn run(config: &Config, shop: Option<&Path>, questions: Option<&Path>) -> anyhow::Result<Report> {
    let beside = shop.map(|shop| shop.join("questions.jsonl")).filter(|file| file.is_file());
    let file = questions.or(beside.as_deref());
    let questions = file.map(answers::read).transpose()?;
    let mut config = config.clone();
    let _scratch = match shop {
        Some(shop) => Some(open_scratch(&mut config, shop).await?),
        None => None,
    };
    let app = App::open(config, Models::All).await?;
    match questions {
        Some(questions) => Ok(answers::report(&ask_all(&app, questions).await?)),
        None => ask_about_documents(&app).await,
    }
}

async fn ask_all(app: &App, questions: Vec<answers::Questions>) -> anyhow::Result<Vec<Turn>> {
    let bar = super::progress_bar(questions.len(), "asking")?;
    let mut turns = Vec::new();
    for asked in questions {
        let line = BatchLine { id: asked.id.clone(), turns: asked.turns.clone(), customer: None };
        let replies = ask::hold(app, &line).await?;
        for ((question, expected), reply) in asked.turns.into_iter().zip(asked.expect).zip(replies) {
            let (cited, quotes) =
                reply.citations.into_iter().map(|citation| (citation.document, citation.quote)).unzip();
            let said = Said { text: reply.text, declined: reply.declined || reply.handoff, cited, quotes };
            turns.push((asked.id.clone(), question, expected, said));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(turns)
}

/// Makes questions from the documents and asks them with and without the document that answers. Nothing of the shop
/// changes.
///
/// # Errors
/// No chat model, no documents, and whatever keeps the shop from answering.
pub async fn ask_about_documents(app: &App) -> anyhow::Result<Report> {
    let Some(model) = app.language_model.get() else {
        bail!(
            "questions are made by the chat model, and there is none: set models.chat, or name a file of questions with \
             --questions FILE"
        );
    };
    let passages = spread(app.engine.snapshot().knowledge.passages());
    if passages.is_empty() {
        bail!("the shop has no documents to make questions from: import some, or name a folder with --shop DIR");
    }
    let bar = super::progress_bar(passages.len(), "writing questions")?;
    let mut questions = Vec::new();
    let mut without: BTreeMap<&str, Vec<answers::Questions>> = BTreeMap::new();
    for (at, passage) in passages.iter().enumerate() {
        let made = |style: &str, question: &str, kind| answers::Questions {
            id: format!("{}-{at}-{style}", passage.document),
            turns: vec![question.to_owned()],
            expect: vec![Expected {
                kind,
                style: style.to_owned(),
                document: Documents::One(passage.document.clone()),
                gold: String::new(),
                polarity: None,
                facts: Vec::new(),
                passages: if kind == Kind::Answer { vec![passage.chunk.text.clone()] } else { Vec::new() },
            }],
        };
        let plain = question(app, &model, passage, false).await?;
        if let Some(question) = &plain {
            questions.push(made("plain", question, Kind::Answer));
            let left_out = made("document left out", question, Kind::Decline);
            without.entry(passage.document.as_str()).or_default().push(left_out);
        }
        if let Some(question) =
            question(app, &model, passage, true).await?.filter(|other| plain.as_ref() != Some(other))
        {
            questions.push(made("other words", &question, Kind::Answer));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut turns = ask_all(app, questions).await?;
    for (document, questions) in without {
        app.engine.leave_out(Some(document)).await?;
        turns.extend(ask_all(app, questions).await?);
    }
    app.engine.leave_out(None).await?;
    Ok(answers::report(&turns))
}

/// At most `PASSAGES_MAX` passages at equal distances.
fn spread(passages: &[Arc<Passage>]) -> Vec<Arc<Passage>> {
    let step = passages.len().div_ceil(PASSAGES_MAX).max(1);
    passages.iter().step_by(step).cloned().collect()
}

/// A question about a passage in its language; `None` when the model writes none.
async fn question(
    app: &App,
    model: &LanguageModel,
    passage: &Passage,
    other_words: bool,
) -> anyhow::Result<Option<String>> {
    let language = passage.chunk.language;
    let request = app.prompts.asking(&passage.chunk.search_text, language, other_words);
    let text = model.generate(request)?.text().await;
    eprintln!(
        "Q {} {} {text:?}",
        if other_words { "other" } else { "plain" },
        language == crate::message::Language::Zh
    );
    let text = text.unwrap_or_default();
    let text = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) if value.is_object() => value["question"].as_str().unwrap_or_default().to_owned(),
        _ => text,
    };
    let text = text.trim().trim_matches('"').to_owned();
    let is_question = text.chars().count() >= QUESTION_CHARACTERS_MIN && detect_language(&text) == Some(language);
    Ok(is_question.then_some(text))
}

/// Imports a merchant's files into a data directory of this run, leaving the questions out.
pub(super) async fn open_scratch(config: &mut Config, shop: &Path) -> anyhow::Result<Scratch> {
    let documents = shop.join("documents");
    let mut paths = vec![if documents.is_dir() { documents } else { shop.to_owned() }];
    paths.extend(Some(shop.join("shop.toml")).filter(|profile| profile.is_file() && paths[0] != shop));
    let number = SCRATCHES.fetch_add(1, Ordering::Relaxed);
    let scratch = Scratch(std::env::temp_dir().join(format!("shoptalk-eval-{}-{number}", std::process::id())));
    config.data_dir.clone_from(&scratch.0);
    config.database_url = None;
    let (store, encoders) = (super::open_store(config).await?, super::open_encoders(config).await?);
    let importer = Importer::new(store, encoders, &super::media_dir(config));
    for path in files(&paths)? {
        // Nothing of this goes to standard output, where the report is printed.
        importer.import_path(&path, None, chrono::Utc::now()).await?;
    }
    Ok(scratch)
}
