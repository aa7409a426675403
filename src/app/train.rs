//! `shoptalk train`: heads of a merchant's own, from labelled examples; and the reader.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::train_reader;
use crate::{
    config::Config,
    evaluation::{Report, intents, sentiment},
};

/// What can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// The merchant's own intents. Prints cross-validated figures; the head is switched on by naming its folder in the
    /// settings: [intents] custom = "DIR"
    Intents,
    /// How texts sound, or any other label of them.
    Sentiment,
    /// When a passage answers a question, from the questions to several shops, on the chat model's states. Prints figures
    /// with each shop left out in turn
    Reader,
}

/// Where the examples are and where the head goes.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Labelled examples, CSV or JSON lines; for the reader folders of shops with their files and questions.jsonl. May be
    /// given more than once.
    #[arg(long, value_name = "FILE", required = true)]
    pub data: Vec<PathBuf>,
    /// Folder for what is trained.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Column of the text (default: the first).
    #[arg(long, value_name = "COLUMN")]
    pub text: Option<String>,
    /// Column of the label (default: the second).
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// The label that stands for "none of these".
    #[arg(long, value_name = "LABEL")]
    pub out_of_scope: Option<String>,
    /// Layers of the chat model that are computed (reader; default: those of the reader that comes with the program, else
    /// half of the model's).
    #[arg(long, value_name = "NUMBER")]
    pub layers: Option<usize>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Trains, prints the cross-validated figures and writes the head.
pub async fn run(config: &Config, subject: Subject, options: &Options) -> anyhow::Result<()> {
    match subject {
        Subject::Intents => train_intents(config, options).await,
        Subject::Sentiment => train_sentiment(config, options).await,
        Subject::Reader => {
            refuse_file(&options.out)?;
            Box::pin(train_reader::run(config, &options.data, &options.out, options.layers, options.json)).await
        }
    }
}

async fn train_intents(config: &Config, options: &Options) -> anyhow::Result<()> {
    let input = intents::Input {
        train: options.data.clone(),
        text: options.text.clone(),
        label: options.label.clone(),
        out_of_scope: options.out_of_scope.clone(),
        ..intents::Input::default()
    };
    refuse_file(&options.out)?;
    let examples = intents::examples(&input)?;
    let encoders = super::eval::intent_encoders(config, &examples).await?;
    let trained = intents::train(&examples, input.out_of_scope.as_deref(), &encoders).await?;
    trained.head.save(&options.out, &trained.figures)?;
    let figures = &trained.figures;
    let report = Report::new("train intents")
        .figure("accuracy", figures.accuracy)
        .figure("in_scope_accuracy", figures.in_scope_accuracy)
        .figure("out_of_scope_recall", figures.out_of_scope_recall)
        .figure("threshold", f64::from(figures.threshold))
        .count("examples", trained.examples)
        .count("intents", trained.head.labels().len())
        .text("encoder", trained.head.encoders().join(" + "))
        .text("out", options.out.display().to_string())
        .detail("weakest", intents::worst_rows(figures));
    if options.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
        println!("Switch it on in the settings:\n\n[intents]\ncustom = {:?}", options.out.display().to_string());
    }
    Ok(())
}

async fn train_sentiment(config: &Config, options: &Options) -> anyhow::Result<()> {
    let input = sentiment::Input {
        train: options.data.clone(),
        text: options.text.clone(),
        label: options.label.clone(),
        ..sentiment::Input::default()
    };
    refuse_file(&options.out)?;
    let examples = sentiment::examples(&input)?;
    let few = examples.len() <= sentiment::EMBEDDED_ROWS_MAX;
    let encoder = if few { Some(super::open_embedder(config).await?) } else { None };
    let (head, figures) = sentiment::train(&examples, encoder.as_ref()).await?;
    head.save(&options.out, &figures)?;
    let report = Report::new("train sentiment")
        .figure("accuracy", figures.accuracy)
        .count("examples", examples.len())
        .count("classes", head.labels().len())
        .text("out", options.out.display().to_string());
    if options.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}

fn refuse_file(out: &Path) -> anyhow::Result<()> {
    if out.is_file() {
        bail!("{} is a file: name a folder for the head with --out DIR", out.display());
    }
    Ok(())
}
