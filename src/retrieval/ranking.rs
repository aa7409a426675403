//! From features to an order and a probability. Two steps: a linear ranking puts the candidates in order (a conditional
//! logit model, one set of weights within a language and one across), then a logistic regression over the ranking
//! value, the lead and the features says how probable it is that a passage answers at all.
//!
//! Both were fitted on 1,832 questions to eight made-up shops in English and Chinese: plain and paraphrased questions,
//! typing errors, stories, false premises, questions in the other language, and questions that the documents do not
//! answer; weights were chosen with each shop left out in turn. The demo shop and every measured shop are not among them.

use std::cmp::Ordering;

use super::{Features, Found};
use crate::inference::{Calibration, Relevance};

/// Log odds for a quantity inside the range of a table row, and against one outside; chosen by hand.
const IN_RANGE: f32 = 2.5;
/// The same for a passage that states opening hours where those are asked for; twice, for the order and for the
/// probability, since a list of days and times is hardly ever about anything else.
const STATES_HOURS: f32 = 2.5;

/// From this share of the probability on, likelihoods do not look at the best candidate again.
const DOUBT_BELOW: f32 = 0.8;
/// Candidates whose likelihood is worth the time.
const LIKELIHOODS: usize = 4;
/// Weight of a difference of log-likelihoods, and what a passage in the other language gains, since a question is less
/// likely after a text in another language. Fitted on the same questions as the rest: with each shop left out, the right
/// passage then stands first for .816 of them instead of .789.
const LIKELIHOOD: f32 = 0.16;
const OTHER_LANGUAGE: f32 = 0.5;

/// Candidates that the chat model's probe looks at.
const READ: usize = 6;
/// Weight of the probe's log odds beside the ranking value: with each shop left out of the fits, the right passage then
/// stands first for .851 of the questions (`shoptalk train reader`).
const READ_WEIGHT: f32 = 2.5;

/// The candidates that the chat model is to read, best first. Without a probe that is only worth the time where the best
/// one does not lead clearly.
pub fn to_read(found: &[Found], has_probe: bool) -> Vec<&Found> {
    let mut order: Vec<&Found> = found.iter().collect();
    order.sort_by(|a, b| b.value.total_cmp(&a.value));
    let leads = order.first().is_some_and(|best| share(best, found) >= DOUBT_BELOW);
    order.truncate(match (has_probe, leads) {
        (true, _) => READ,
        (false, false) => LIKELIHOODS,
        (false, true) => 0,
    });
    order
}

/// Ranks again with what a model makes of the question after some of the passages; `places` says after which.
pub fn reread(found: &mut [Found], places: &[u32], relevance: &Relevance) {
    match relevance {
        Relevance::LogOdds(log_odds, calibration) => weigh_log_odds(found, places, log_odds, calibration),
        Relevance::Likelihoods(likelihoods) => weigh_likelihoods(found, places, likelihoods),
    }
}

/// The probe decides between the candidates that were read, and how probable it is that one answers; the others come
/// after them.
fn weigh_log_odds(found: &mut [Found], places: &[u32], log_odds: &[f32], calibration: &Calibration) {
    let Some(least) = log_odds.iter().copied().reduce(f32::min) else { return };
    for candidate in found.iter_mut() {
        candidate.read = places.iter().position(|place| *place == candidate.place).map(|at| log_odds[at]);
        candidate.value = candidate.first + READ_WEIGHT * candidate.read.unwrap_or(least);
    }
    set_scores(found, Some(calibration));
    found.sort_by(|a, b| {
        (b.read.is_some(), b.score).partial_cmp(&(a.read.is_some(), a.score)).unwrap_or(Ordering::Equal)
    });
}

/// Likelihoods decide between candidates that lie close together (Sachan et al. 2022).
fn weigh_likelihoods(found: &mut [Found], places: &[u32], likelihoods: &[f32]) {
    let mut gains: Vec<(usize, f32)> = Vec::with_capacity(likelihoods.len());
    for (place, likelihood) in places.iter().zip(likelihoods) {
        let Some(at) = found.iter().position(|candidate| candidate.place == *place) else { continue };
        let across = if found[at].features.cross_language { OTHER_LANGUAGE } else { 0.0 };
        gains.push((at, LIKELIHOOD * likelihood + across));
    }
    // Only differences count: beside the other candidates the average stays where it was.
    let mean = gains.iter().map(|(_, gain)| gain).sum::<f32>() / gains.len().max(1) as f32;
    for (at, gain) in gains {
        found[at].first += gain - mean;
        found[at].value = found[at].first;
    }
    set_scores(found, None);
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// Sets each candidate's ranking value and its probability of answering.
pub(super) fn rank(candidates: &mut [Found]) {
    for found in candidates.iter_mut() {
        found.first = value(&found.features);
        found.value = found.first;
    }
    set_scores(candidates, None);
}

fn set_scores(candidates: &mut [Found], calibration: Option<&Calibration>) {
    let scores: Vec<f32> = candidates.iter().map(|found| score(found, candidates, calibration)).collect();
    for (found, score) in candidates.iter_mut().zip(scores) {
        found.score = score;
    }
}

/// The probability of one among all. Rows of its own table are no rivals: "what does delivery cost?" is answered by
/// every row of the price list, and none of them makes another less true.
fn score(found: &Found, candidates: &[Found], calibration: Option<&Calibration>) -> f32 {
    let probability = match (known(found, candidates), calibration) {
        (Some(known), Some(calibration)) => calibration.probability(&known),
        _ => probability(&found.features, found.value, lead(found, candidates), share(found, candidates)),
    };
    if found.features.states_hours {
        let odds = STATES_HOURS.exp() * probability / (1.0 - probability).max(f32::EPSILON);
        return odds / (1.0 + odds);
    }
    probability
}

/// What a reader's calibration weighs of a candidate that was read, in the order of `Calibration::NAMES`.
pub fn known(found: &Found, candidates: &[Found]) -> Option<[f32; Calibration::NAMES.len()]> {
    let features = &found.features;
    Some([
        found.read?,
        found.value,
        lead(found, candidates),
        share(found, candidates),
        features.z,
        features.heading_z,
        features.cosine,
        features.english_sentence_cosine,
        features.coverage,
        f32::from(u8::from(features.cross_language)),
    ])
}

/// A candidate's ranking value over its best rival's; alone among all passages it leads by what it has over nothing.
fn lead(found: &Found, candidates: &[Found]) -> f32 {
    found.value - rivals(found, candidates).map(|rival| rival.value).reduce(f32::max).unwrap_or(0.0)
}

/// A candidate's part of the softmax of its own and its rivals' ranking values.
fn share(found: &Found, candidates: &[Found]) -> f32 {
    let mass: f32 = rivals(found, candidates).map(|rival| (rival.value - found.value).exp()).sum();
    1.0 / (1.0 + mass)
}

fn rivals<'a>(found: &'a Found, candidates: &'a [Found]) -> impl Iterator<Item = &'a Found> {
    candidates.iter().filter(|other| other.place != found.place && !other.passage.shares_table(&found.passage))
}

/// The ranking value of a candidate: higher is likelier to be the passage meant.
fn value(features: &Features) -> f32 {
    let kind = if features.kind_fits == Some(false) { -0.548 } else { 0.0 };
    let range = match features.in_range {
        Some(true) => IN_RANGE,
        Some(false) => -IN_RANGE,
        None => 0.0,
    };
    let linear = if features.cross_language {
        0.232
            + 1.193 * features.z
            + 1.344 * features.sentence_z
            + 0.388 * features.heading_z
            + 6.2 * features.cosine
            // Words match across languages only where they are names, which the fit saw too seldom to weigh: by hand.
            + features.coverage
            + features.bm25
            + 3.017 * features.concepts
            + 3.345 * features.concept_weight
    } else {
        0.486 * features.z
            + 0.953 * features.sentence_z
            + 0.267 * features.heading_z
            + 4.1 * features.cosine
            + 6.22 * features.sentence_cosine
            + 0.536 * features.english_z
            + 1.011 * features.english_sentence_z
            - 5.27 * features.english_cosine
            - 2.0 * features.english_sentence_cosine
            + 1.017 * features.coverage
            + 0.747 * features.bm25
            + 1.367 * features.concepts
            + 2.155 * features.concept_weight
    };
    let hours = if features.states_hours { STATES_HOURS } else { 0.0 };
    linear + kind + range + hours
}

/// Probability, 0 to 1, that a candidate answers; `lead` is its ranking value over the best of the others, `share` its
/// part of the softmax of its own and its rivals' ranking values.
fn probability(features: &Features, value: f32, lead: f32, share: f32) -> f32 {
    let across = if features.cross_language { 2.882 } else { 0.0 };
    let logit = -34.779 + 0.159 * value + 0.235 * lead + 1.914 * share
        - 0.618 * features.z
        - 0.202 * features.sentence_z
        - 0.351 * features.heading_z
        + 37.9 * features.cosine
        - 0.078 * features.english_z
        + 0.14 * features.english_cosine
        + 2.59 * features.english_sentence_cosine
        + 0.655 * features.coverage
        - 1.351 * features.bm25
        + 0.543 * features.concepts
        - 0.345 * features.concept_weight
        + across;
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        knowledge::{Chunk, ChunkKind, vectors::PassageVectors},
        message::Language,
        retrieval::Passage,
    };

    fn features(z: f32, coverage: f32) -> Features {
        Features { z, sentence_z: z, cosine: 0.85, coverage, concepts: coverage, ..Features::default() }
    }

    #[test]
    fn more_shared_words_and_a_larger_lead_are_more_probable() {
        let (strong, weak) = (features(3.0, 0.8), features(1.0, 0.1));
        assert!(value(&strong) > value(&weak));
        let of = |lead| probability(&strong, value(&strong), lead, 0.5);
        assert!(of(3.0) > of(0.1));
        assert!((0.0..=1.0).contains(&of(3.0)));
    }

    #[test]
    fn a_quantity_outside_the_range_of_a_row_counts_against_it() {
        let row = features(2.0, 0.5);
        let inside = Features { in_range: Some(true), ..row };
        let outside = Features { in_range: Some(false), ..row };
        assert!(value(&inside) > value(&row) && value(&row) > value(&outside));
    }

    fn found(place: u32, value: f32) -> Found {
        let chunk = Chunk {
            id: place.to_string(),
            heading: String::new(),
            kind: ChunkKind::Text,
            text: String::new(),
            question: None,
            cells: vec![],
            caption: None,
            language: Language::En,
            search_text: String::new(),
        };
        let passage = Passage { document: "a.md".to_owned(), chunk, vectors: PassageVectors::default() };
        let features = features(2.0, 0.5);
        Found {
            passage: passage.into(),
            place,
            cosine: 0.85,
            bm25: 0.0,
            features,
            first: value,
            value,
            read: None,
            score: 0.0,
        }
    }

    fn places(found: &[Found]) -> Vec<u32> {
        found.iter().map(|found| found.place).collect()
    }

    #[test]
    fn likelihoods_decide_only_between_candidates_that_lie_close_together() {
        let clear = [found(0, 9.0), found(1, 2.0)];
        assert!(to_read(&clear, false).is_empty() && to_read(&clear, true).len() == 2);
        let mut close = vec![found(0, 5.0), found(1, 4.8), found(2, 1.0)];
        assert_eq!(to_read(&close, false).len(), 3);
        reread(&mut close, &[0, 1, 2], &Relevance::Likelihoods(vec![-40.0, -30.0, -41.0]));
        assert_eq!(places(&close), [1, 0, 2]);
        let sum: f32 = close.iter().map(|found| found.value).sum();
        assert!((sum - 10.8).abs() < 1e-4, "the average stays");
    }

    #[test]
    fn what_was_read_comes_before_what_was_not() {
        let mut calibration = Calibration::default();
        calibration.weights[1] = 0.2;
        assert!(to_read(&[], true).is_empty());
        let mut all: Vec<Found> = (0..8).map(|place| found(place, 9.0 - place as f32)).collect();
        let read: Vec<u32> = to_read(&all, true).iter().map(|found| found.place).collect();
        assert_eq!(read, [0, 1, 2, 3, 4, 5]);
        reread(&mut all, &read, &Relevance::LogOdds(vec![-2.0, -3.0, 2.0, -4.0, -4.0, -4.0], calibration));
        assert_eq!(all[0].place, 2);
        assert_eq!(all.iter().map(|found| found.read.is_some()).collect::<Vec<_>>()[5..], [true, false, false]);
        let sure = all[0].score;
        reread(&mut all, &read, &Relevance::LogOdds(vec![-4.0; 6], calibration));
        assert!(all[0].score < sure, "what the probe thinks little of is less probable");
        reread(&mut all, &[], &Relevance::LogOdds(vec![], calibration));
    }
}
