//! `shoptalk eval`: runs a suite and prints what it found.

use std::path::PathBuf;

use anyhow::bail;

use crate::{
    config::Config,
    evaluation::{
        Report, baskets, data::Labelled, forecast, intents, pii, recommend, retrieval, sentiment, similarity,
    },
    inference::{ChatStates, Embedder},
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
    /// How a text sounds, or any other label of texts.
    Sentiment,
    /// Which personal data a text holds.
    Pii,
    /// What a customer comes to next.
    Recommend,
    /// What completes a basket.
    Baskets,
    /// What will be sold.
    Forecast,
    /// Whether a shop's answers are right.
    Answers,
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
    /// First day that is judged, such as 2011-10-01 (baskets).
    #[arg(long, value_name = "DATE")]
    pub cut: Option<String>,
    /// Steps to forecast (forecast).
    #[arg(long, value_name = "STEPS")]
    pub horizon: Option<usize>,
    /// Steps in a season, 52 for weeks (forecast).
    #[arg(long, value_name = "STEPS")]
    pub season: Option<usize>,
    /// With --test, fit on each user's last item of --train too (recommend).
    #[arg(long)]
    pub refit: bool,
    /// Folder of a shop's files, asked in this run alone (answers; default: the shop in --data-dir).
    #[arg(long, value_name = "DIR")]
    pub shop: Option<PathBuf>,
    /// Questions as JSON lines with what a right reply contains (answers; default: questions.jsonl in --shop, else
    /// questions that the chat model writes from the documents).
    #[arg(long, value_name = "FILE")]
    pub questions: Option<PathBuf>,
    /// A reader that `shoptalk train reader` wrote, in place of the one that is used (answers).
    #[arg(long, value_name = "FILE")]
    pub reader: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Runs `suite` and prints its report.
pub async fn run(config: &Config, suite: Suite, options: &Options) -> anyhow::Result<()> {
    let report = Box::pin(report(config, suite, options)).await?;
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
            let encoders = intent_encoders(config, &intents::examples(&input)?).await?;
            intents::run(&input, &encoders).await?
        }
        Suite::Retrieval => {
            let input = retrieval::Input { documents: options.documents.clone(), test };
            retrieval::run(&input, &super::open_encoders(config).await?).await?
        }
        Suite::Similarity => {
            let input = similarity::Input { train, test, text, label };
            if input.test.is_empty() {
                bail!("name the pairs to judge with --test FILE");
            }
            similarity::run(&input, &super::open_embedder(config).await?).await?
        }
        Suite::Sentiment => {
            let input = sentiment::Input { train, test, text, label };
            let few = sentiment::examples(&input)?.len() <= sentiment::EMBEDDED_ROWS_MAX;
            let encoder = if few { Some(super::open_embedder(config).await?) } else { None };
            sentiment::run(&input, encoder.as_ref()).await?
        }
        Suite::Pii => pii::run(&test)?,
        Suite::Recommend => recommend::run(&recommend::Input { train, test, refit: options.refit })?,
        Suite::Baskets => baskets::run(&baskets::Input { train, test, cut: options.cut.clone() })?,
        Suite::Forecast => {
            let Options { horizon, season, .. } = *options;
            forecast::run(&forecast::Input { train, test, horizon, season })?
        }
        Suite::Answers => {
            let mut config = config.clone();
            config.models.reader = options.reader.clone().or(config.models.reader);
            Box::pin(super::eval_answers::run(&config, options.shop.as_deref(), options.questions.as_deref())).await?
        }
    })
}

/// The shop's encoder, for examples in English the English one beside it, and for few examples the chat model, where
/// there is one on this machine.
pub(super) async fn intent_encoders(config: &Config, examples: &[Labelled]) -> anyhow::Result<Vec<Embedder>> {
    let own = super::open_embedder(config).await?;
    if own.name() == super::HASHED {
        return Ok(vec![own]);
    }
    let mut encoders = vec![own];
    if intents::is_english(examples) && encoders[0].name() != ENGLISH_ENCODER {
        encoders.push(super::open_encoder(config, ENGLISH_ENCODER).await?);
    }
    if intents::wants_states(examples) && config.models.remote.is_none() && config.models.wants_chat() {
        match super::open_language_model(config).await {
            Ok(model) => encoders.extend(ChatStates::of(model).map(Embedder::Chat)),
            Err(error) => tracing::warn!("the intents are learned without the chat model: {error:#}"),
        }
    }
    Ok(encoders)
}
