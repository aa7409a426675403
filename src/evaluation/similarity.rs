//! Do two texts say the same? The cosine of their embeddings against a label (1: same, 0: not, or a grade).
//!
//! The default columns are the first, the second and the third. Accuracy needs a threshold: it is chosen on the train
//! file where there is one, else two-fold (each half is judged with the other half's threshold).

use std::path::PathBuf;

use super::{
    EvaluationError, Report, Result,
    data::Table,
    embeddings::{Role, embed},
    metrics::{auroc, mean, spearman},
};
use crate::inference::Embedder;
use crate::retrieval::vector::dot;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Pairs that the threshold is chosen on.
    pub train: Vec<PathBuf>,
    /// Pairs that are judged.
    pub test: Vec<PathBuf>,
    /// Column of the first text.
    pub text: Option<String>,
    /// Column of the label.
    pub label: Option<String>,
}

/// Two texts and how alike they are.
#[derive(Debug)]
struct Pair {
    texts: [String; 2],
    alike: f64,
}

/// Runs the suite.
pub async fn run(input: &Input, embedder: &Embedder) -> Result<Report> {
    let test = pairs(&input.test, input)?;
    if test.is_empty() {
        return Err(EvaluationError::Argument("name the pairs to judge with --test FILE".to_owned()));
    }
    let scores = cosines(&test, embedder).await?;
    let alike: Vec<f64> = test.iter().map(|pair| pair.alike).collect();
    let positive: Vec<bool> = alike.iter().map(|alike| *alike >= 0.5).collect();
    let right = if input.train.is_empty() {
        two_fold(&scores, &positive)
    } else {
        let train = pairs(&input.train, input)?;
        let known = cosines(&train, embedder).await?;
        let threshold = best_threshold(&known, &train.iter().map(|pair| pair.alike >= 0.5).collect::<Vec<_>>());
        hits(&scores, &positive, threshold)
    };
    Ok(Report::new("similarity")
        .figure("spearman", spearman(&scores, &alike))
        .figure("accuracy", mean(right.into_iter().map(|right| f64::from(u8::from(right)))))
        .figure("auroc", auroc(&scores, &positive))
        .count("pairs", test.len())
        .text("encoder", embedder.name()))
}

fn pairs(paths: &[PathBuf], input: &Input) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for path in paths {
        let table = Table::read(path)?;
        let first = table.column_or(input.text.as_deref(), 0, "first text")?;
        let label = table.column_or(input.label.as_deref(), 2, "label")?;
        let second = (0..table.headers().len())
            .find(|at| *at > first && *at != label)
            .ok_or_else(|| EvaluationError::data(path, "has no column for the second text: put it after the first"))?;
        for (at, row) in table.rows().iter().enumerate() {
            pairs.push(Pair { texts: [row[first].clone(), row[second].clone()], alike: table.number(at, label)? });
        }
    }
    Ok(pairs)
}

async fn cosines(pairs: &[Pair], embedder: &Embedder) -> Result<Vec<f64>> {
    let texts: Vec<&str> = pairs.iter().flat_map(|pair| pair.texts.iter().map(String::as_str)).collect();
    let vectors = embed(embedder, &texts, Role::Query, "embedding pairs").await?;
    Ok(vectors.chunks_exact(2).map(|pair| f64::from(dot(&pair[0], &pair[1]))).collect())
}

/// Each half judged with the threshold of the other.
fn two_fold(scores: &[f64], positive: &[bool]) -> Vec<bool> {
    let half = |odd: usize| -> (Vec<f64>, Vec<bool>) {
        scores.iter().copied().zip(positive.iter().copied()).skip(odd).step_by(2).unzip()
    };
    let mut right = Vec::with_capacity(scores.len());
    for odd in [0, 1] {
        let ((known, known_positive), (judged, judged_positive)) = (half(1 - odd), half(odd));
        right.extend(hits(&judged, &judged_positive, best_threshold(&known, &known_positive)));
    }
    right
}

fn hits(scores: &[f64], positive: &[bool], threshold: f64) -> Vec<bool> {
    scores.iter().zip(positive).map(|(score, positive)| (*score >= threshold) == *positive).collect()
}

/// The threshold with the most right decisions, scores at or above it counting as positive.
pub(super) fn best_threshold(scores: &[f64], positive: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    // Above everything, all negatives are right.
    let mut right = positive.iter().filter(|is| !**is).count();
    let (mut best, mut threshold) = (right, f64::INFINITY);
    for (place, &at) in order.iter().enumerate() {
        if positive[at] {
            right += 1;
        } else {
            right -= 1;
        }
        let next = order.get(place + 1).map(|&next| scores[next]);
        if right > best && next.is_none_or(|next| next < scores[at]) {
            best = right;
            threshold = next.map_or(scores[at], |next| f64::midpoint(next, scores[at]));
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_with_most_right_decisions() {
        let scores = [0.9, 0.8, 0.7, 0.6, 0.2];
        let positive = [true, false, true, true, false];
        let threshold = best_threshold(&scores, &positive);
        assert_eq!(hits(&scores, &positive, threshold), [true, false, true, true, true]);
        assert!((threshold - 0.4).abs() < 1e-9);
        assert!(best_threshold(&[0.5], &[false]).is_infinite());
    }

    #[test]
    fn each_half_is_judged_by_the_other() {
        // Within each half a threshold separates, but the halves disagree, so that nothing is right by luck.
        let right = two_fold(&[0.9, 0.3, 0.8, 0.2], &[true, true, false, false]);
        assert_eq!(right.len(), 4);
        assert!(right.iter().any(|right| !right));
    }
}
