//! Intents: the head that `shoptalk train intents` makes, judged on a test file, or by cross-validation without one.
//!
//! A test row is out of scope when its label is the one that stands for "none of these", or when no training row has it.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use serde_json::{Value, json};

use super::{
    EvaluationError, Report, Result,
    data::{Labelled, labelled},
    embeddings::{Role, embed},
    metrics::classification::{accuracy, macro_f1, matthews},
};
use crate::{
    inference::Embedder,
    intents::{
        self, Example,
        merchant::{CrossValidation, Lesson, MerchantIntents, Sample},
    },
    language,
    message::Language,
};

/// Weak rows that are shown.
const WORST: usize = 8;

/// Shipped examples for each of the merchant's: many more would drown a small set.
const BACKGROUND_FACTOR: usize = 4;
const BACKGROUND_MIN: usize = 100;

/// Examples beyond which the chat model is not asked for its states: it would read for a good part of an hour, and
/// still more examples tell the intents apart without it.
const STATES_EXAMPLES_MAX: usize = 20_000;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Labelled messages to learn from.
    pub train: Vec<PathBuf>,
    /// Labelled messages to judge; without any, the training rows are cross-validated.
    pub test: Vec<PathBuf>,
    /// Column of the message; the first by default.
    pub text: Option<String>,
    /// Column of the intent; the second by default.
    pub label: Option<String>,
    /// The label of messages that belong to no intent.
    pub out_of_scope: Option<String>,
}

/// A head and how it did on what it had not seen.
#[derive(Debug)]
pub struct Trained {
    /// The head.
    pub head: MerchantIntents,
    /// Cross-validated figures.
    pub figures: CrossValidation,
    /// Examples it was trained on.
    pub examples: usize,
    /// How long training took after embedding.
    pub seconds: f64,
}

/// Whether a second, English encoder is worth its time for these texts.
pub fn is_english(examples: &[Labelled]) -> bool {
    let chinese =
        examples.iter().filter(|example| language::detect_language(&example.text) == Some(Language::Zh)).count();
    chinese * 20 <= examples.len()
}

/// Whether the chat model's states are worth a try.
pub fn wants_states(examples: &[Labelled]) -> bool {
    examples.len() <= STATES_EXAMPLES_MAX
}

/// Reads the training files.
pub fn examples(input: &Input) -> Result<Vec<Labelled>> {
    if input.train.is_empty() {
        return Err(EvaluationError::Argument("name the messages to learn from with --train FILE".to_owned()));
    }
    labelled(&input.train, input.text.as_deref(), input.label.as_deref())
}

/// Trains a head on `examples` with `encoders`, of which the chat model stands last and is used where it pays.
pub async fn train(examples: &[Labelled], out_of_scope: Option<&str>, encoders: &[Embedder]) -> Result<Trained> {
    let english = is_english(examples);
    let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
    let embeddings = embed_each(encoders, &texts, "embedding examples").await?;
    let samples: Vec<Sample> = examples
        .iter()
        .zip(embeddings)
        .map(|(example, embeddings)| Sample { text: example.text.clone(), label: example.label.clone(), embeddings })
        .collect();
    let shipped = intents::builtin_examples()?;
    let wanted = |example: &Example| !english || example.language == Language::En;
    let shipped: Vec<Example> = shipped.into_iter().filter(wanted).chain(intents::noise()).collect();
    let shipped = thinned(shipped, (BACKGROUND_FACTOR * examples.len()).max(BACKGROUND_MIN));
    let texts: Vec<&str> = shipped.iter().map(|example| example.text.as_str()).collect();
    let vectors = embed_each(encoders, &texts, "embedding what else people say").await?;
    let background: Vec<(Example, Vec<Vec<f32>>)> = shipped.into_iter().zip(vectors).collect();
    let encoder_names: Vec<String> = encoders.iter().map(|encoder| encoder.name().to_owned()).collect();
    let last_is_optional = matches!(encoders.last(), Some(Embedder::Chat(_)));
    let out_of_scope = out_of_scope.map(str::to_owned);
    let start = Instant::now();
    let trained = tokio::task::spawn_blocking(move || {
        let lesson = Lesson {
            samples: &samples,
            out_of_scope: out_of_scope.as_deref(),
            background: &background,
            encoders: &encoder_names,
            last_is_optional,
        };
        MerchantIntents::train(&lesson)
    });
    let (head, figures) = trained.await.map_err(|error| EvaluationError::Argument(error.to_string()))??;
    Ok(Trained { head, figures, examples: examples.len(), seconds: start.elapsed().as_secs_f64() })
}

/// At most about `count` of the examples, evenly from all intents, which stand together.
fn thinned(examples: Vec<Example>, count: usize) -> Vec<Example> {
    let step = examples.len().div_ceil(count.max(1)).max(1);
    examples.into_iter().step_by(step).collect()
}

/// Vectors of each text by every encoder.
async fn embed_each(encoders: &[Embedder], texts: &[&str], title: &str) -> Result<Vec<Vec<Vec<f32>>>> {
    let mut all = vec![Vec::with_capacity(encoders.len()); texts.len()];
    for encoder in encoders {
        for (own, vector) in all.iter_mut().zip(embed(encoder, texts, Role::Query, title).await?) {
            own.push(vector);
        }
    }
    Ok(all)
}

/// Runs the suite.
pub async fn run(input: &Input, encoders: &[Embedder]) -> Result<Report> {
    let trained = train(&examples(input)?, input.out_of_scope.as_deref(), encoders).await?;
    let report = if input.test.is_empty() {
        Report::new("intents")
            .figure("accuracy", trained.figures.accuracy)
            .figure("in_scope_accuracy", trained.figures.in_scope_accuracy)
            .figure("out_of_scope_recall", trained.figures.out_of_scope_recall)
            .text("judged", "cross-validation")
            .detail("weakest", worst_rows(&trained.figures))
    } else {
        let test = labelled(&input.test, input.text.as_deref(), input.label.as_deref())?;
        let used = &encoders[..trained.head.encoders().len()];
        judge(&trained.head, &test, input.out_of_scope.as_deref(), used).await?
    };
    Ok(report
        .count("train_rows", trained.examples)
        .count("intents", trained.head.labels().len())
        .figure("threshold", f64::from(trained.head.threshold()))
        .figure("cross_validated_accuracy", trained.figures.accuracy)
        .figure("training_s", (trained.seconds * 10.0).round() / 10.0)
        .text("encoder", trained.head.encoders().join(" + ")))
}

/// The weakest intents of a cross-validation, for people.
pub fn worst_rows(figures: &CrossValidation) -> Value {
    figures.rows.iter().filter(|row| row.accuracy < 1.0).take(WORST).map(|row| json!(row)).collect()
}

async fn judge(
    head: &MerchantIntents,
    test: &[Labelled],
    out_of_scope: Option<&str>,
    encoders: &[Embedder],
) -> Result<Report> {
    let texts: Vec<&str> = test.iter().map(|example| example.text.as_str()).collect();
    let embeddings = embed_each(encoders, &texts, "embedding test messages").await?;
    let labels = head.labels();
    let unknown = labels.len();
    let truth: Vec<usize> = test
        .iter()
        .map(|example| match labels.iter().position(|label| *label == example.label) {
            Some(class) if Some(example.label.as_str()) != out_of_scope => class,
            _ => unknown,
        })
        .collect();
    let mut nearest = Vec::with_capacity(test.len());
    let mut predicted = Vec::with_capacity(test.len());
    for (text, embeddings) in texts.iter().zip(&embeddings) {
        let verdict = head.predict(text, embeddings);
        let class = labels.iter().position(|label| *label == verdict.nearest).unwrap_or(unknown);
        nearest.push(class);
        predicted.push(if verdict.in_scope { class } else { unknown });
    }
    let in_scope: Vec<usize> = (0..test.len()).filter(|at| truth[*at] != unknown).collect();
    let outside: Vec<usize> = (0..test.len()).filter(|at| truth[*at] == unknown).collect();
    let pick = |values: &[usize], rows: &[usize]| rows.iter().map(|at| values[*at]).collect::<Vec<_>>();
    // A set without messages that are out of scope measures intents alone.
    let decided = if outside.is_empty() { &nearest } else { &predicted };
    Ok(Report::new("intents")
        .figure("accuracy", accuracy(&truth, decided))
        .figure("in_scope_accuracy", accuracy(&pick(&truth, &in_scope), &pick(decided, &in_scope)))
        .figure("out_of_scope_recall", accuracy(&pick(&truth, &outside), &pick(&predicted, &outside)))
        .figure("mcc", matthews(&truth, decided, unknown + 1))
        .figure("macro_f1", macro_f1(&truth, decided, unknown + 1))
        .figure("nearest_accuracy", accuracy(&pick(&truth, &in_scope), &pick(&nearest, &in_scope)))
        .figure("in_scope_accuracy_with_threshold", accuracy(&pick(&truth, &in_scope), &pick(&predicted, &in_scope)))
        .count("in_scope_rows", in_scope.len())
        .count("out_of_scope_rows", outside.len())
        .detail("weakest", weakest(labels, &truth, decided)))
}

/// The test's intents with most mistakes.
fn weakest(labels: &[String], truth: &[usize], predicted: &[usize]) -> Value {
    let name = |class: usize| labels.get(class).map_or("(out of scope)", String::as_str);
    let mut wrong: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (truth, predicted) in truth.iter().zip(predicted).filter(|(truth, predicted)| truth != predicted) {
        wrong.entry(*truth).or_default().push(*predicted);
    }
    let mut rows: Vec<(usize, Vec<usize>)> = wrong.into_iter().collect();
    rows.sort_by_key(|(class, guesses)| (std::cmp::Reverse(guesses.len()), *class));
    rows.into_iter()
        .take(WORST)
        .map(|(class, guesses)| {
            let total = truth.iter().filter(|truth| **truth == class).count();
            let most = guesses.iter().max_by_key(|guess| guesses.iter().filter(|other| other == guess).count());
            json!({"intent": name(class), "rows": total, "wrong": guesses.len(), "taken_for": most.map(|class| name(*class))})
        })
        .collect()
}
