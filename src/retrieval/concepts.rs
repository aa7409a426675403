//! Concepts: what people mean, whichever of its words they use and in which of the two languages. "The box never turned
//! up", "parcel not arrived" and "没收到" share a concept, so a question finds a passage that shares no word with it.
//!
//! The lexicon is written by hand: a line is a concept, with the ways to say it in English and in Chinese. Only for
//! finding; nothing a shopper reads comes from it.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

use super::{kinds, lexical::is_stop_word};
use crate::language::is_han;

/// The rarest concept counts no more than this, in units of inverse document frequency.
const IDF_MAX: f32 = 6.0;
/// Divides the summed weight of the shared concepts, so that it is of the size of the other features.
const WEIGHT_SCALE: f32 = 10.0;

#[derive(Debug, Default)]
struct Lexicon {
    /// Stems of an English word or phrase to the lines it stands on.
    english: HashMap<Vec<String>, Vec<u32>>,
    /// Chinese word to the lines it stands on.
    chinese: HashMap<String, Vec<u32>>,
    english_longest: usize,
    chinese_longest: usize,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon::default();
    let stemmer = Stemmer::create(Algorithm::English);
    let files = [include_str!("concepts.csv"), include_str!("lexicon.csv")];
    for (line, text) in (0u32..).zip(files.into_iter().flat_map(|file| file.lines().skip(1))) {
        let Some((english, chinese)) = text.split_once(';') else { continue };
        for way in english.split('|') {
            let stems = stems(&stemmer, &way.to_lowercase());
            let meaningful = match stems.as_slice() {
                // A function word alone means nothing.
                [word] => !is_stop_word(word),
                words => !words.is_empty(),
            };
            if meaningful {
                lexicon.english_longest = lexicon.english_longest.max(stems.len());
                lexicon.english.entry(stems).or_default().push(line);
            }
        }
        for way in chinese.split('|').filter(|way| !way.is_empty()) {
            lexicon.chinese_longest = lexicon.chinese_longest.max(way.chars().count());
            lexicon.chinese.entry(way.to_owned()).or_default().push(line);
        }
    }
    lexicon
});

fn stems(stemmer: &Stemmer, text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .map(|word| stemmer.stem(word).into_owned())
        .collect()
}

/// The concepts of a text in order, longest match first. A word with several meanings gives all of them as one group.
fn concepts(text: &str) -> Vec<&'static [u32]> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let stemmer = Stemmer::create(Algorithm::English);
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let han = is_han(first);
        let end = rest.find(|c| is_han(c) != han).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if han {
            chinese_concepts(run, &mut found);
        } else {
            english_concepts(&stems(&stemmer, run), &mut found);
        }
        rest = after;
    }
    found
}

/// What a passage is about without saying so: "Monday to Friday 9:00 – 18:00" are opening hours.
fn implied(text: &str) -> Option<&'static [u32]> {
    if !kinds::has_clock_range(text) {
        return None;
    }
    let words = stems(&Stemmer::create(Algorithm::English), "opening hours");
    LEXICON.english.get(&words).map(Vec::as_slice)
}

fn chinese_concepts(run: &str, found: &mut Vec<&'static [u32]>) {
    let characters: Vec<char> = run.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        let longest = LEXICON.chinese_longest.min(characters.len() - at);
        let known = (1..=longest).rev().find_map(|length| {
            let word: String = characters[at..at + length].iter().collect();
            LEXICON.chinese.get(&word).map(|lines| (length, lines))
        });
        at += known.map_or(1, |(length, lines)| {
            found.push(lines);
            length
        });
    }
}

fn english_concepts(words: &[String], found: &mut Vec<&'static [u32]>) {
    let mut at = 0;
    while at < words.len() {
        let longest = LEXICON.english_longest.min(words.len() - at);
        let known = (1..=longest)
            .rev()
            .find_map(|length| LEXICON.english.get(&words[at..at + length]).map(|lines| (length, lines)));
        at += known.map_or(1, |(length, lines)| {
            found.push(lines);
            length
        });
    }
}

/// The concepts of a fixed set of passages.
#[derive(Debug, Default)]
pub struct ConceptIndex {
    /// Concept to the passages that have it, ascending.
    postings: HashMap<u32, Vec<u32>>,
    passages: usize,
}

/// What a question shares with each passage, by passage.
#[derive(Debug, Default)]
pub struct ConceptScores {
    shared: Vec<f32>,
    total: f32,
}

impl ConceptIndex {
    /// Indexes passages in their order.
    pub fn build<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        for (passage, text) in (0u32..).zip(texts) {
            let found: HashSet<u32> = concepts(text).into_iter().chain(implied(text)).flatten().copied().collect();
            for concept in found {
                index.postings.entry(concept).or_default().push(passage);
            }
            index.passages += 1;
        }
        index
    }

    fn idf(&self, concept: u32) -> f32 {
        let with = self.postings.get(&concept).map_or(0.0, |passages| passages.len() as f32);
        (1.0 + (self.passages as f32 - with + 0.5) / (with + 0.5)).ln()
    }

    /// Adds up, for each passage, the weights of the concepts that it shares with `text`. Of a word with several
    /// meanings the rarest one that a passage has counts.
    pub fn add(&self, text: &str, weight: f32, scores: &mut ConceptScores) {
        scores.shared.resize(self.passages, 0.0);
        let mut best: HashMap<u32, f32> = HashMap::new();
        for group in concepts(text) {
            let weigh = |concept: &u32| self.idf(*concept);
            let present = group.iter().filter(|concept| self.postings.contains_key(concept)).map(weigh);
            let rarest = present.reduce(f32::max).or_else(|| group.iter().map(weigh).reduce(f32::max));
            scores.total += weight * rarest.unwrap_or(0.0).min(IDF_MAX);
            best.clear();
            for concept in group {
                let idf = self.idf(*concept);
                for passage in self.postings.get(concept).into_iter().flatten() {
                    let known = best.entry(*passage).or_default();
                    *known = known.max(idf);
                }
            }
            for (passage, idf) in &best {
                scores.shared[*passage as usize] += weight * idf;
            }
        }
    }
}

impl ConceptScores {
    /// Share of the question's concepts that a passage has, by weight, 0 to about 1.
    pub fn coverage(&self, passage: u32) -> f32 {
        if self.total > 0.0 { self.shared(passage) / self.total } else { 0.0 }
    }

    /// Summed weight of the concepts that a passage shares with the question, in tens.
    pub fn weight(&self, passage: u32) -> f32 {
        self.shared(passage) / WEIGHT_SCALE
    }

    fn shared(&self, passage: u32) -> f32 {
        self.shared.get(passage as usize).copied().unwrap_or(0.0)
    }

    /// The passages that share most, best first, at most `limit`.
    pub fn best(&self, limit: usize) -> Vec<u32> {
        let mut ranked: Vec<(u32, f32)> = (0u32..).zip(self.shared.iter().copied()).filter(|(_, s)| *s > 0.0).collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.into_iter().take(limit).map(|(passage, _)| passage).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(index: &ConceptIndex, question: &str) -> Option<u32> {
        let mut scores = ConceptScores::default();
        index.add(question, 1.0, &mut scores);
        scores.best(1).first().copied()
    }

    #[test]
    fn a_concept_is_found_under_another_of_its_words() {
        let texts = ["The warranty on lamps is two years", "We refund within five days", "The parcel has not arrived"];
        let index = ConceptIndex::build(texts.into_iter());
        assert_eq!(best(&index, "When do I get my money back?"), Some(1));
        assert_eq!(best(&index, "the box never turned up"), Some(2));
        assert_eq!(best(&index, "保修多久"), Some(0));
        assert_eq!(best(&index, "zzz"), None);
        let texts =
            ["An account may be opened from 16", "Our shop in Ghent. Monday to Friday 9:30 - 18:00", "Open the box"];
        let index = ConceptIndex::build(texts.into_iter());
        assert_eq!(best(&index, "What are your opening hours?"), Some(1));
        assert_eq!(best(&index, "几点开门？"), Some(1));
    }

    #[test]
    fn every_line_of_the_lexicon_has_both_languages() {
        for file in [include_str!("concepts.csv"), include_str!("lexicon.csv")] {
            for line in file.lines().skip(1) {
                let sides: Vec<&str> = line.split(';').collect();
                assert_eq!(sides.len(), 2, "{line}");
                assert!(sides.iter().all(|side| side.split('|').all(|way| !way.trim().is_empty())), "{line}");
                assert!(sides[1].chars().any(|c| is_han(c) || c.is_ascii_alphanumeric()), "{line}");
            }
        }
    }
}
