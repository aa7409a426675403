//! A reader trained on questions to several shops, and what it is worth on a shop that it has not seen.
//!
//! Each shop is left out in turn: its questions are judged by a probe and a calibration that were fitted on the others.
//! The reader that is kept is fitted on all. The calibration learns from log odds of shops that the probe had not seen.

pub mod logistic;
pub mod network;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::logistic::{Example, Logistic};
use super::{
    Report,
    answers::{Expected, Kind},
    metrics::auroc,
};
use crate::{
    inference::{Calibration, Network, Reader, Relevance},
    retrieval::{Found, Passage, ranking},
};

/// Penalty of the calibration's weights.
const L2_CALIBRATION: f64 = 1.0 / 0.6;
/// How much a question counts for the probe that is just beside the documents, a short one that they do not answer, and a
/// short one that wants a yes or a no; every other counts once.
const NEAR_MISSES: f32 = 4.0;
const SHORT_UNANSWERED: f32 = 3.0;
const SHORT_YES_NO: f32 = 0.6;
/// The same for the calibration.
const NEAR_MISSES_CALIBRATED: f32 = 2.0;
const SHORT_YES_NO_CALIBRATED: f32 = 0.5;
/// The style of the questions that are just beside the documents.
const NEAR_MISS: &str = "near_miss";
/// And of those that want a yes or a no.
const YES_NO: &str = "yes_no";
/// Probabilities, beside the one that is used, for which the report says what would be answered.
const THRESHOLDS: [f32; 4] = [0.3, 0.35, 0.45, 0.5];
/// A passage that is part of the words that answer is right when it holds this share of them.
const PART_MIN: f32 = 0.4;

/// A question to a shop with what was found for it.
#[derive(Debug)]
pub struct Asked {
    /// The shop's name.
    pub shop: String,
    /// From the file of short questions.
    pub is_short: bool,
    /// How it is asked.
    pub style: String,
    /// Whether the documents answer it.
    pub kind: Kind,
    /// Candidates with their first ranking.
    pub found: Vec<Found>,
    /// Those that are read, best first.
    pub read: Vec<Read>,
}

/// A candidate that is read.
#[derive(Debug)]
pub struct Read {
    /// Which one.
    pub place: u32,
    /// It answers.
    pub is_right: bool,
    /// It may answer, in the other language, and nobody has looked.
    pub is_doubtful: bool,
    /// What the model makes of the question after it: `2 x width`.
    pub state: Vec<f32>,
}

impl Asked {
    fn is_near_miss(&self) -> bool {
        self.style == NEAR_MISS
    }

    fn is_short_yes_no(&self) -> bool {
        self.is_short && self.style == YES_NO
    }

    fn weight(&self) -> f32 {
        match self.kind {
            _ if self.is_near_miss() => NEAR_MISSES,
            _ if self.is_short_yes_no() => SHORT_YES_NO,
            Kind::Decline if self.is_short => SHORT_UNANSWERED,
            Kind::Decline | Kind::Answer => 1.0,
        }
    }

    /// For the report.
    fn group(&self) -> String {
        match (self.kind, self.is_short) {
            (Kind::Answer, false) => "full".to_owned(),
            (Kind::Answer, true) => format!("short, {}", self.style),
            (Kind::Decline, false) => format!("declined, {}", self.style),
            (Kind::Decline, true) => format!("declined, short, {}", self.style),
        }
    }

    /// The place of the best one among those read with its value, after these log odds, and what calibrates it.
    fn best(&self, log_odds: &[f32]) -> Option<(u32, [f32; Calibration::NAMES.len()])> {
        let found = self.reranked(log_odds, &Calibration::default());
        let read = found.iter().filter(|found| found.read.is_some());
        let best = read.max_by(|a, b| a.value.total_cmp(&b.value))?;
        Some((best.place, ranking::known(best, &found)?))
    }

    fn reranked(&self, log_odds: &[f32], calibration: &Calibration) -> Vec<Found> {
        let mut found = self.found.clone();
        let places: Vec<u32> = self.read.iter().map(|read| read.place).collect();
        ranking::reread(&mut found, &places, &Relevance::LogOdds(log_odds.to_vec(), *calibration));
        found
    }

    fn is_right(&self, place: u32) -> bool {
        self.read.iter().any(|read| read.place == place && read.is_right)
    }
}

/// Whether a passage is one of those that answer.
pub fn answers(passage: &Passage, expected: &Expected) -> bool {
    let text = squeezed(&passage.chunk.text);
    if !expected.passages.is_empty() {
        return expected.passages.iter().any(|right| squeezed(right) == text);
    }
    let right = squeezed(&expected.gold);
    let is_part = right.contains(&text) && text.len() as f32 >= PART_MIN * right.len() as f32;
    expected.kind == Kind::Answer
        && expected.document.has(&passage.document)
        && !right.is_empty()
        && (text.contains(&right) || is_part)
}

/// Letters without spaces and case.
fn squeezed(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Readers, and what they are worth.
#[derive(Debug)]
pub struct Trained {
    /// Fitted on all shops.
    pub reader: Reader,
    /// For each shop, fitted on the others.
    pub without: BTreeMap<String, Reader>,
    /// Figures of the latter on the shops that they have not seen.
    pub report: Report,
}

/// Trains on `asked`, for the model with `fingerprint`, whose states are those after `layers` layers. `threshold` is the
/// probability from which a passage answers.
///
/// # Errors
/// Fewer than three shops, or questions of which none is answered, or all.
pub fn train(asked: &[Asked], fingerprint: u32, layers: usize, threshold: f32) -> anyhow::Result<Trained> {
    let mut shops: Vec<&str> = asked.iter().map(|asked| asked.shop.as_str()).collect();
    shops.sort_unstable();
    shops.dedup();
    anyhow::ensure!(shops.len() >= 3, "questions to at least three shops are needed: each is left out in turn");
    let mut probes = BTreeMap::new();
    for shop in &shops {
        probes.insert(*shop, probe(asked, Some(shop))?);
    }
    let log_odds: Vec<Vec<f32>> = asked
        .iter()
        .map(|asked| asked.read.iter().map(|read| probes[asked.shop.as_str()].log_odds(&read.state)).collect())
        .collect();
    let reader = |network: Network, calibration| Reader { fingerprint, layers, network, calibration };
    let mut without = BTreeMap::new();
    for (shop, probe) in probes {
        without.insert(shop.to_owned(), reader(probe, calibration(asked, &log_odds, Some(shop))?));
    }
    let kept = calibration(asked, &log_odds, None)?;
    let report = report(asked, &log_odds, &without, &kept, threshold);
    Ok(Trained { reader: reader(probe(asked, None)?, kept), without, report })
}

/// Trained on the pairs of all shops but one.
fn probe(asked: &[Asked], left_out: Option<&str>) -> anyhow::Result<Network> {
    let asked = asked.iter().filter(|asked| Some(asked.shop.as_str()) != left_out);
    let examples: Vec<Example<'_>> = asked
        .flat_map(|asked| asked.read.iter().map(move |read| (asked, read)))
        .filter(|(_, read)| !read.is_doubtful)
        .map(|(asked, read)| Example { features: &read.state, is_positive: read.is_right, weight: asked.weight() })
        .collect();
    network::train(&examples)
}

fn calibration(asked: &[Asked], log_odds: &[Vec<f32>], left_out: Option<&str>) -> anyhow::Result<Calibration> {
    let known: Vec<(&Asked, u32, [f32; Calibration::NAMES.len()])> = asked
        .iter()
        .zip(log_odds)
        .filter(|(asked, _)| Some(asked.shop.as_str()) != left_out)
        .filter_map(|(asked, log_odds)| asked.best(log_odds).map(|(place, known)| (asked, place, known)))
        .collect();
    let examples: Vec<Example<'_>> = known
        .iter()
        .map(|(asked, place, known)| Example {
            features: known,
            is_positive: asked.is_right(*place),
            weight: match asked {
                asked if asked.is_near_miss() => NEAR_MISSES_CALIBRATED,
                asked if asked.is_short_yes_no() => SHORT_YES_NO_CALIBRATED,
                _ => 1.0,
            },
        })
        .collect();
    let fit = Logistic::fit(&examples, L2_CALIBRATION)?;
    let mut calibration = Calibration { bias: fit.bias, ..Calibration::default() };
    calibration.weights.copy_from_slice(&fit.weights);
    Ok(calibration)
}

/// How questions of one group went.
#[derive(Debug, Default)]
struct Group {
    questions: usize,
    /// The right passage stands first.
    first: usize,
    /// The best passage's probability, and whether it is right.
    best: Vec<(f32, bool)>,
}

impl Group {
    /// Right, wrong and declined, as shares.
    fn at(&self, threshold: f32) -> [f64; 3] {
        let share = |count: usize| count as f64 / self.questions.max(1) as f64;
        let of = |right| self.best.iter().filter(|(score, is)| *score >= threshold && *is == right).count();
        let (right, wrong) = (of(true), of(false));
        [share(right), share(wrong), share(self.questions - right - wrong)]
    }
}

fn report(
    asked: &[Asked],
    log_odds: &[Vec<f32>],
    without: &BTreeMap<String, Reader>,
    kept: &Calibration,
    threshold: f32,
) -> Report {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (asked, log_odds) in asked.iter().zip(log_odds) {
        let judged = asked.read.iter().zip(log_odds).filter(|(read, _)| !read.is_doubtful);
        pairs.extend(judged.map(|(read, log_odds)| (f64::from(*log_odds), read.is_right)));
        let group = groups.entry(asked.group()).or_default();
        group.questions += 1;
        if let Some(best) = asked.reranked(log_odds, &without[&asked.shop].calibration).first() {
            group.first += usize::from(asked.is_right(best.place));
            group.best.push((best.score, asked.is_right(best.place)));
        }
    }
    let (scores, right): (Vec<f64>, Vec<bool>) = pairs.into_iter().unzip();
    let mut report = Report::new("train reader")
        .count("questions", asked.len())
        .count("pairs", scores.len())
        .count("shops", without.len())
        .figure("pairs_area_under_curve", auroc(&scores, &right));
    let mut swept = BTreeMap::new();
    for (name, group) in &groups {
        let [right, wrong, declined] = group.at(threshold);
        if name.starts_with("declined") {
            report = report.figure(name, declined);
        } else {
            let first = group.first as f64 / group.questions.max(1) as f64;
            report = report
                .figure(&format!("{name}: right passage first"), first)
                .figure(&format!("{name}: right"), right)
                .figure(&format!("{name}: wrong"), wrong)
                .figure(&format!("{name}: declined"), declined);
        }
        let rows = THRESHOLDS.iter().map(|threshold| (threshold.to_string(), json!(group.at(*threshold))));
        swept.insert(name.clone(), rows.collect::<serde_json::Map<String, Value>>());
    }
    let weights = Calibration::NAMES.iter().zip(kept.weights).map(|(name, weight)| ((*name).to_owned(), json!(weight)));
    report
        .figure("threshold", f64::from(threshold))
        .detail("right_wrong_declined_at", json!(swept))
        .detail("calibration", Value::Object(weights.collect()))
}
