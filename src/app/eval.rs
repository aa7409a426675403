//! `shoptalk eval`: runs a suite and prints what it found.

use std::path::PathBuf;

use anyhow::bail;

use crate::{
    config::Config,
    evaluation::{Report, intents, retrieval, similarity},
    inference::Embedder,
};

/// The encoder that is added for texts in English.
const ENGLISH_ENCODER: &str = "all-minilm-l6-v2";

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Which intent a message has, and whether it has any.
    Intents,
    /// Which documents answer a query.
    Retrieval,
    /// Whether two texts say the same.
    Similarity,
}

/// Where the data are and how to read them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Data to learn from; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub train: Vec<PathBuf>,
    /// Data to judge; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub test: Vec<PathBuf>,
    /// Documents as JSON lines with an id and text fields (retrieval).
    #[arg(long, value_name = "FILE")]
    pub documents: Vec<PathBuf>,
    /// Column of the text (default: the first).
    #[arg(long, value_name = "COLUMN")]
    pub text: Option<String>,
    /// Column of the label (default: the second).
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// The label that stands for "none of these" (intents).
    #[arg(long, value_name = "LABEL")]
    pub out_of_scope: Option<String>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Runs `suite` and prints its report.
pub async fn run(config: &Config, suite: Suite, options: &Options) -> anyhow::Result<()> {
    let report = report(config, suite, options).await?;
    if options.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn report(config: &Config, suite: Suite, options: &Options) -> anyhow::Result<Report> {
    let Options { train, test, text, label, .. } = options.clone();
    Ok(match suite {
        Suite::Intents => {
            let input = intents::Input { train, test, text, label, out_of_scope: options.out_of_scope.clone() };
            let english = intents::is_english(&intents::examples(&input)?);
            intents::run(&input, &encoders(config, english).await?).await?
        }
        Suite::Retrieval => {
            let input = retrieval::Input { documents: options.documents.clone(), test };
            retrieval::run(&input, &super::open_embedder(config).await?).await?
        }
        Suite::Similarity => {
            let input = similarity::Input { train, test, text, label };
            if input.test.is_empty() {
                bail!("name the pairs to judge with --test FILE");
            }
            similarity::run(&input, &super::open_embedder(config).await?).await?
        }
    })
}

/// The shop's encoder and, for texts in English, the English one beside it.
pub(super) async fn encoders(config: &Config, english: bool) -> anyhow::Result<Vec<Embedder>> {
    let own = super::open_embedder(config).await?;
    if !english || own.name() == super::HASHED || own.name() == ENGLISH_ENCODER {
        return Ok(vec![own]);
    }
    let mut with = config.clone();
    with.models.encoder = ENGLISH_ENCODER.to_owned();
    Ok(vec![own, super::open_embedder(&with).await?])
}
