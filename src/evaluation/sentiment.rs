//! Sentiment (or any other label of texts): the same head as for a merchant's intents, without background classes.
//!
//! Where there are few examples their embeddings help; with many, words alone know as much and cost far less time.

use std::path::PathBuf;

use super::{
    EvaluationError, Report, Result,
    data::{Labelled, labelled},
    embeddings::{Role, embed},
    metrics::{auroc, classification},
};
use crate::{
    inference::Embedder,
    intents::merchant::{CrossValidation, Lesson, MerchantIntents, Sample},
};

/// Up to this many training rows are also embedded.
pub const EMBEDDED_ROWS_MAX: usize = 4_000;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Labelled texts to learn from.
    pub train: Vec<PathBuf>,
    /// Labelled texts to judge; without any, the training rows are cross-validated.
    pub test: Vec<PathBuf>,
    /// Column of the text; the first by default.
    pub text: Option<String>,
    /// Column of the label; the second by default.
    pub label: Option<String>,
}

/// Reads the training files.
pub fn examples(input: &Input) -> Result<Vec<Labelled>> {
    if input.train.is_empty() {
        return Err(EvaluationError::Argument("name the texts to learn from with --train FILE".to_owned()));
    }
    labelled(&input.train, input.text.as_deref(), input.label.as_deref())
}

/// Trains a head; `encoder` is `None` where words are enough.
pub async fn train(examples: &[Labelled], encoder: Option<&Embedder>) -> Result<(MerchantIntents, CrossValidation)> {
    let embeddings = vectors(examples, encoder, "embedding examples").await?;
    let samples: Vec<Sample> = examples
        .iter()
        .zip(embeddings)
        .map(|(example, embeddings)| Sample { text: example.text.clone(), label: example.label.clone(), embeddings })
        .collect();
    let encoders: Vec<String> = encoder.iter().map(|encoder| encoder.name().to_owned()).collect();
    let trained = tokio::task::spawn_blocking(move || {
        MerchantIntents::train(&Lesson { samples: &samples, encoders: &encoders, ..Lesson::default() })
    });
    Ok(trained.await.map_err(|error| EvaluationError::Argument(error.to_string()))??)
}

async fn vectors(examples: &[Labelled], encoder: Option<&Embedder>, title: &str) -> Result<Vec<Vec<Vec<f32>>>> {
    let Some(encoder) = encoder else { return Ok(vec![Vec::new(); examples.len()]) };
    let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
    Ok(embed(encoder, &texts, Role::Query, title).await?.into_iter().map(|vector| vec![vector]).collect())
}

/// Runs the suite.
pub async fn run(input: &Input, encoder: Option<&Embedder>) -> Result<Report> {
    let examples = examples(input)?;
    let (head, figures) = train(&examples, encoder).await?;
    let about = |report: Report| {
        report
            .count("train_rows", examples.len())
            .count("classes", head.labels().len())
            .text("encoder", encoder.map_or("words only", Embedder::name))
    };
    if input.test.is_empty() {
        let report = Report::new("sentiment").figure("accuracy", figures.accuracy).text("judged", "cross-validation");
        return Ok(about(report));
    }
    let test = labelled(&input.test, input.text.as_deref(), input.label.as_deref())?;
    let embeddings = vectors(&test, encoder, "embedding test texts").await?;
    let mut truth = Vec::with_capacity(test.len());
    for example in &test {
        truth.push(head.labels().iter().position(|label| *label == example.label).ok_or_else(|| {
            let known = head.labels().join(", ");
            EvaluationError::data(&input.test[0], format!("the label {:?} is not in --train: {known}", example.label))
        })?);
    }
    let probabilities: Vec<Vec<f32>> =
        test.iter().zip(&embeddings).map(|(example, vectors)| head.probabilities(&example.text, vectors)).collect();
    let predicted: Vec<usize> = probabilities
        .iter()
        .map(|row| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0))
        .collect();
    // With two labels the greater one (1, positive) is what is looked for.
    let positive: Vec<bool> = truth.iter().map(|class| *class == 1).collect();
    let scores: Vec<f64> = probabilities.iter().map(|row| f64::from(row[1])).collect();
    let area = if head.labels().len() == 2 { auroc(&scores, &positive) } else { f64::NAN };
    let report = Report::new("sentiment")
        .figure("accuracy", classification::accuracy(&truth, &predicted))
        .figure("macro_f1", classification::macro_f1(&truth, &predicted, head.labels().len()))
        .figure("auroc", area)
        .figure("log_loss", classification::log_loss(&truth, &probabilities))
        .count("test_rows", test.len());
    Ok(about(report))
}
