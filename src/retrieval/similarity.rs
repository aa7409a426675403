//! How near a question is to a passage by each of its vectors, and how far that stands out among all passages.
//! Questions are nearer to all passages of their own language, whatever these say, so each language has its own mean.

use std::collections::HashMap;

use super::{Features, Passage, vector::dot};
use crate::{inference::QuestionVectors, knowledge::vectors::PartKind, message::Language};

/// Deviations below this come from too few passages to tell.
const DEVIATION_MIN: f32 = 0.012;
/// What a heading counts at least, below the whole: many passages have none of their own.
const HEADING_BELOW_WHOLE: f32 = 0.05;
/// Passages that are candidates for their best sentence, by each encoder.
const NEAREST: usize = 12;
/// Similarities of a question and a passage.
const KINDS: usize = 5;
const WHOLE: usize = 0;
const SENTENCE: usize = 1;
const HEADING: usize = 2;
const ENGLISH_WHOLE: usize = 3;
const ENGLISH_SENTENCE: usize = 4;

/// Cosines of a question and a passage, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Similarities([f32; KINDS]);

impl Similarities {
    pub(super) fn of(question: &QuestionVectors, passage: &Passage) -> Self {
        let whole = if question.main.len() == passage.vectors.whole.len() {
            dot(&question.main, &passage.vectors.whole)
        } else {
            0.0
        };
        let mut all = [whole, whole, whole - HEADING_BELOW_WHOLE, 0.0, 0.0];
        for part in &passage.vectors.parts {
            let (kind, vector) = match part.kind {
                PartKind::Heading => (HEADING, &question.main),
                PartKind::Question | PartKind::Sentence => (SENTENCE, &question.main),
                PartKind::EnglishWhole => (ENGLISH_WHOLE, &question.english),
                PartKind::EnglishSentence => (ENGLISH_SENTENCE, &question.english),
            };
            if !vector.is_empty() {
                all[kind] = all[kind].max(part.dot(vector));
            }
        }
        all[ENGLISH_SENTENCE] = all[ENGLISH_SENTENCE].max(all[ENGLISH_WHOLE]);
        Self(all)
    }
}

/// Mean and standard deviation of each similarity, for each language of the passages.
#[derive(Debug, Default)]
pub(super) struct Spread {
    languages: HashMap<Language, [(f32, f32); KINDS]>,
    /// The passages of the sample whose best sentence is nearest.
    pub(super) nearest: Vec<u32>,
}

impl Spread {
    /// Of a sample of the passages, each with its number.
    pub(super) fn new(sample: impl Iterator<Item = (u32, Language, Similarities)>) -> Self {
        let sample: Vec<(u32, Language, Similarities)> = sample.collect();
        let mut by_language: HashMap<Language, Vec<&Similarities>> = HashMap::new();
        for (_, language, similarities) in &sample {
            by_language.entry(*language).or_default().push(similarities);
        }
        let languages = by_language
            .into_iter()
            .map(|(language, sample)| {
                let of = |kind: usize| mean_and_deviation(sample.iter().map(|similarities| similarities.0[kind]));
                (language, std::array::from_fn(of))
            })
            .collect();
        let mut nearest = nearest(&sample, SENTENCE);
        nearest.extend(self::nearest(&sample, ENGLISH_SENTENCE));
        Self { languages, nearest }
    }

    /// Sets the features that tell how far a passage stands out.
    pub(super) fn stand_out(&self, similarities: &Similarities, language: Language, features: &mut Features) {
        let all = &similarities.0;
        let z = |kind: usize| {
            let spread = self.languages.get(&language).map(|kinds| kinds[kind]);
            spread.map_or(0.0, |(mean, deviation)| (all[kind] - mean) / deviation)
        };
        features.cosine = all[WHOLE];
        features.z = z(WHOLE);
        features.sentence_cosine = all[SENTENCE];
        features.sentence_z = z(SENTENCE);
        features.heading_z = z(HEADING);
        features.english_cosine = all[ENGLISH_WHOLE];
        features.english_z = z(ENGLISH_WHOLE);
        features.english_sentence_cosine = all[ENGLISH_SENTENCE];
        features.english_sentence_z = z(ENGLISH_SENTENCE);
    }
}

fn nearest(sample: &[(u32, Language, Similarities)], kind: usize) -> Vec<u32> {
    let mut ranked: Vec<(f32, u32)> = sample
        .iter()
        .map(|(id, _, similarities)| (similarities.0[kind], *id))
        .filter(|(value, _)| *value > 0.0)
        .collect();
    let nearer = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if ranked.len() > NEAREST {
        ranked.select_nth_unstable_by(NEAREST, nearer);
        ranked.truncate(NEAREST);
    }
    ranked.into_iter().map(|(_, id)| id).collect()
}

pub(super) fn mean_and_deviation(sample: impl ExactSizeIterator<Item = f32> + Clone) -> (f32, f32) {
    let count = sample.len().max(1) as f32;
    let mean = sample.clone().sum::<f32>() / count;
    let variance = sample.map(|value| (value - mean).powi(2)).sum::<f32>() / count;
    (mean, variance.sqrt().max(DEVIATION_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_stands_out_among_those_of_its_language_alone() {
        let sample = [(0, Language::En, 0.9), (1, Language::En, 0.7), (2, Language::Zh, 0.5), (3, Language::Zh, 0.5)];
        let spread =
            Spread::new(sample.into_iter().map(|(id, language, value)| (id, language, Similarities([value; KINDS]))));
        let mut features = Features::default();
        spread.stand_out(&Similarities([0.9; KINDS]), Language::En, &mut features);
        assert!((features.z - 1.0).abs() < 1e-3 && (features.heading_z - 1.0).abs() < 1e-3, "{features:?}");
        spread.stand_out(&Similarities([0.5; KINDS]), Language::Zh, &mut features);
        assert!(features.z.abs() < 1e-3);
        assert_eq!(spread.nearest.first(), Some(&0));
    }
}
