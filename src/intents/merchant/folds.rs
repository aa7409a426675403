//! Judging a merchant's head on what it has not seen. In each fold a part of the examples of every intent is held out,
//! and a part of the intents is held back entirely: messages of these must be recognised as none of the others.

use std::collections::BTreeMap;

use super::{HeadError, LabelledSet};
use crate::intents::Intent;

const FOLDS: usize = 4;
/// The threshold where nothing is there to choose it on.
const EVEN_ODDS: f32 = 0.5;
/// How much finding a message out of scope counts beside finding the right intent: the share of messages that are none of
/// the intents, estimated as Witten and Bell (1991) estimate what was never seen, kinds / (examples + kinds), with each kind
/// counted so many times. 15 examples an intent give 1 in 5, 100 give 1 in 26: less than the share in live chats (30 to 50
/// percent), for intents that are held back are nearer to the known ones than most of what is out of scope there.
const UNSEEN: f64 = 4.0;
/// A background intent is the merchant's own under another name when it attracts this share of one of the merchant's
/// intents.
const CONFUSED_SHARE: f64 = 0.15;

/// The best of the merchant's classes.
pub(super) struct Judgement {
    pub(super) class: usize,
    pub(super) confidence: f32,
}

/// The best of the first `classes` probabilities.
pub(super) fn best_of(probabilities: &[f32], classes: usize) -> Judgement {
    let best = (0..classes).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0);
    Judgement { class: best, confidence: probabilities[best] }
}

/// An example judged by a head that has not seen it.
pub(super) struct HeldOut {
    /// The right class; `None` when the head could not know it.
    truth: Option<usize>,
    judgement: Judgement,
}

/// What the folds found.
pub(super) struct Judged {
    held_out: Vec<HeldOut>,
    /// Background intents that are the merchant's own.
    pub(super) confused: Vec<Intent>,
}

/// Figures of one intent.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// The merchant's name for it.
    pub intent: String,
    /// Examples of it.
    pub examples: usize,
    /// Share of them that was recognised when held out, whatever the threshold.
    pub accuracy: f64,
    /// What they were most often taken for instead.
    pub taken_for: Option<String>,
}

/// Cross-validated figures.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CrossValidation {
    /// Share of held-out messages whose intent was right, before the threshold.
    pub accuracy: f64,
    /// The same with the threshold: right, and found in scope.
    pub in_scope_accuracy: f64,
    /// Share of messages of unknown intents that were found out of scope.
    pub out_of_scope_recall: f64,
    /// The threshold that was chosen.
    pub threshold: f32,
    /// Every intent, the weakest first.
    pub rows: Vec<Row>,
}

/// Whether the second way is right so much more often on the examples held out that it is no chance: by more than one
/// standard error of the difference (Breiman et al. 1984), both having judged the same examples.
pub(super) fn pays(plain: &Judged, dear: &Judged) -> bool {
    let right = |held_out: &HeldOut| held_out.truth == Some(held_out.judgement.class);
    let pairs = plain.held_out.iter().zip(&dear.held_out).filter(|(held_out, _)| held_out.truth.is_some());
    let (mut gained, mut lost) = (0.0_f64, 0.0_f64);
    for (plain, dear) in pairs {
        gained += f64::from(u8::from(right(dear) && !right(plain)));
        lost += f64::from(u8::from(right(plain) && !right(dear)));
    }
    gained - lost > (gained + lost).sqrt()
}

/// The fold of each example: the examples of a class are dealt out in turn.
fn fold_of(classes: &[Option<usize>]) -> Vec<usize> {
    let mut dealt: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    classes
        .iter()
        .map(|class| {
            let count = dealt.entry(*class).or_default();
            *count += 1;
            *count % FOLDS
        })
        .collect()
}

/// Trains a head a fold and judges what it has not seen.
pub(super) fn judge(set: &LabelledSet) -> Result<Judged, HeadError> {
    let fold_of = fold_of(&set.classes);
    let mut judged = Judged { held_out: Vec::new(), confused: Vec::new() };
    if !set.background.is_empty() {
        let everything: Vec<_> = set.background.iter().collect();
        judged.confused = confused(set, &set.fit(|at| fold_of[at] != 0, &everything)?, &fold_of);
    }
    let background = set.background_without(&judged.confused);
    for fold in 0..FOLDS {
        // With few intents none is held back: the head would lose too much of what there is to tell apart.
        let held_back = |class: usize| set.labels.len() >= 2 * FOLDS && class % FOLDS == fold;
        let keeps = |at: usize| fold_of[at] != fold && !set.classes[at].is_some_and(held_back);
        let head = set.fit(keeps, &background)?;
        for at in (0..set.texts.len()).filter(|at| !keeps(*at)) {
            let unknown = set.classes[at].is_none_or(held_back);
            if unknown && set.classes[at].is_none() && fold_of[at] != fold {
                continue;
            }
            let probabilities = head.probabilities(set.texts[at], &set.dense[at]);
            let truth = set.classes[at].filter(|_| !unknown);
            judged.held_out.push(HeldOut { truth, judgement: best_of(&probabilities, set.labels.len()) });
        }
    }
    Ok(judged)
}

/// Background intents that attract the held-out examples of one of the merchant's intents.
fn confused(set: &LabelledSet, head: &super::LinearHead, fold_of: &[usize]) -> Vec<Intent> {
    let first = set.labels.len() + 1;
    let mut attracted = vec![vec![0.0; Intent::ALL.len()]; set.labels.len()];
    let mut totals = vec![0.0; set.labels.len()];
    for at in (0..set.texts.len()).filter(|at| fold_of[*at] == 0) {
        let Some(class) = set.classes[at] else { continue };
        let probabilities = head.probabilities(set.texts[at], &set.dense[at]);
        totals[class] += 1.0;
        for (intent, probability) in probabilities[first..].iter().enumerate() {
            attracted[class][intent] += f64::from(*probability);
        }
    }
    let is_own = |intent: &Intent| {
        attracted.iter().zip(&totals).any(|(row, total)| *total > 0.0 && row[intent.index()] / total >= CONFUSED_SHARE)
    };
    // Scraps of talk that ask for nothing are nobody's intent.
    Intent::ALL.iter().copied().filter(|intent| *intent != Intent::OffTopic && is_own(intent)).collect()
}

/// The threshold and what it leads to.
pub(super) fn figures(set: &LabelledSet, judged: &Judged) -> (f32, CrossValidation) {
    let known: Vec<&HeldOut> = judged.held_out.iter().filter(|held_out| held_out.truth.is_some()).collect();
    let unknown: Vec<f32> = judged
        .held_out
        .iter()
        .filter(|held_out| held_out.truth.is_none())
        .map(|held_out| held_out.judgement.confidence)
        .collect();
    let right = |held_out: &&&HeldOut| held_out.truth == Some(held_out.judgement.class);
    let right_confidences: Vec<f32> =
        known.iter().filter(right).map(|held_out| held_out.judgement.confidence).collect();
    let share = |confidences: &[f32], of: usize, threshold: f32| {
        confidences.iter().filter(|confidence| **confidence >= threshold).count() as f64 / of.max(1) as f64
    };
    let kinds = UNSEEN * set.labels.len() as f64;
    let out_of_scope_share = kinds / (kinds + set.texts.len() as f64);
    let score = |threshold: f32| {
        let accuracy = share(&right_confidences, known.len(), threshold);
        let recall = 1.0 - share(&unknown, unknown.len(), threshold);
        (1.0 - out_of_scope_share) * accuracy + out_of_scope_share * recall
    };
    let mut candidates: Vec<f32> = (1..100).map(|step| step as f32 / 100.0).collect();
    candidates.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.total_cmp(b)));
    let threshold = match (unknown.is_empty(), set.background.is_empty()) {
        (false, _) => candidates[0],
        // Too few intents to hold any back: likelier than all of the background together.
        (true, false) => EVEN_ODDS,
        (true, true) => 0.0,
    };
    let figures = CrossValidation {
        accuracy: right_confidences.len() as f64 / known.len().max(1) as f64,
        in_scope_accuracy: share(&right_confidences, known.len(), threshold),
        out_of_scope_recall: 1.0 - share(&unknown, unknown.len(), threshold),
        threshold,
        rows: rows(set, &known),
    };
    (threshold, figures)
}

fn rows(set: &LabelledSet, known: &[&HeldOut]) -> Vec<Row> {
    let mut rows: Vec<Row> = set
        .labels
        .iter()
        .enumerate()
        .map(|(class, intent)| {
            let own: Vec<usize> =
                known.iter().filter(|held| held.truth == Some(class)).map(|held| held.judgement.class).collect();
            let mut wrong: BTreeMap<usize, usize> = BTreeMap::new();
            for guess in own.iter().filter(|guess| **guess != class) {
                *wrong.entry(*guess).or_default() += 1;
            }
            let right = own.iter().filter(|guess| **guess == class).count();
            let taken_for =
                wrong.into_iter().max_by_key(|(_, count)| *count).map(|(guess, _)| set.labels[guess].clone());
            let examples = set.classes.iter().filter(|own| **own == Some(class)).count();
            Row { intent: intent.clone(), examples, accuracy: right as f64 / own.len().max(1) as f64, taken_for }
        })
        .collect();
    rows.sort_by(|a, b| a.accuracy.total_cmp(&b.accuracy).then_with(|| a.intent.cmp(&b.intent)));
    rows
}
