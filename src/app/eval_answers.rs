//! `shoptalk eval answers`: a file of questions put to a shop, the one in the data directory or one read from a folder
//! for this run alone.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{
    App, Models,
    ask::{self, BatchLine},
};
use crate::{
    config::Config,
    evaluation::{
        Report,
        answers::{self, Said},
    },
    knowledge::import::{Importer, files},
};

/// A folder that is deleted with everything in it when the run ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "{} cannot be deleted", self.0.display());
        }
    }
}

/// Asks every question. `shop` is a folder of a merchant's files, with `questions.jsonl` in it unless `questions` names
/// another file; without `shop` the shop in the data directory is asked.
pub async fn run(config: &Config, shop: Option<&Path>, questions: Option<&Path>) -> anyhow::Result<Report> {
    let beside = shop.map(|shop| shop.join("questions.jsonl"));
    let file = questions.or(beside.as_deref()).context("say which questions to ask with --questions FILE")?;
    let questions = answers::read(file)?;
    let mut config = config.clone();
    let _scratch = match shop {
        Some(shop) => Some(open_scratch(&mut config, shop).await?),
        None => None,
    };
    let app = App::open(config, Models::All).await?;
    let bar = super::progress_bar(questions.len(), "asking")?;
    let mut turns = Vec::new();
    for asked in questions {
        let line = BatchLine { id: asked.id.clone(), turns: asked.turns.clone(), customer: None };
        let replies = ask::hold(&app, &line).await?;
        for ((question, expected), reply) in asked.turns.into_iter().zip(asked.expect).zip(replies) {
            let cited = reply.citations.into_iter().map(|citation| citation.document).collect();
            let said = Said { text: reply.text, declined: reply.declined || reply.handoff, cited };
            turns.push((asked.id.clone(), question, expected, said));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(answers::report(&turns))
}

/// Imports a merchant's files into a data directory of this run, leaving the questions out.
async fn open_scratch(config: &mut Config, shop: &Path) -> anyhow::Result<Scratch> {
    let documents = shop.join("documents");
    let mut paths = vec![if documents.is_dir() { documents } else { shop.to_owned() }];
    paths.extend(Some(shop.join("shop.toml")).filter(|profile| profile.is_file() && paths[0] != shop));
    let scratch = Scratch(std::env::temp_dir().join(format!("shoptalk-eval-{}", std::process::id())));
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
