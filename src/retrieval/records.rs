//! Ranking whole records rather than passages: frequent questions with their answers, products with their titles.
//!
//! A record says in its head what it is about and in its body everything else. Words and meaning are brought to one scale
//! for each question and added (late fusion). A frequent question is compared by its head and its body on their own. Of a
//! product each word counts where it says most, in the title or elsewhere, and a product that has every word asked for
//! comes before those that lack one.

use std::collections::{HashMap, HashSet};

use super::{
    lexical::{LexicalIndex, Scores, terms},
    similarity::mean_and_deviation,
    vector::{VectorError, VectorIndex, dot},
};

/// Records that are looked at more closely, from each of words and meaning.
const CANDIDATES: usize = 100;
/// A cosine this many standard deviations above the mean of all records counts like having every word.
const DEVIATIONS_FULL: f32 = 6.0;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its title or its question.
    pub head: String,
    /// Everything else in words, in the order of the fields.
    pub body: String,
}

/// What the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Frequent questions with their answers.
    #[default]
    Questions,
    /// Products.
    Products,
}

/// Weights of a frequent question's words in the head and anywhere, and of the meaning of head and body.
const HEAD_WORDS: f32 = 0.3;
const ALL_WORDS: f32 = 0.2;
const HEAD_MEANING: f32 = 0.3;
const BODY_MEANING: f32 = 0.2;

/// What a word of a product outside the title counts beside one in it.
const ELSEWHERE: f32 = 0.5;
/// What it counts that a product has every word of the question, and its title's meaning, beside the words of the best one.
/// Chosen by cross-validation over the queries of Chorus, where a wide range around them does as well.
const EVERY_WORD: f32 = 0.6;
const TITLE_MEANING: f32 = 0.5;

/// Records that can be ranked.
#[derive(Debug)]
pub struct RecordIndex {
    heads: LexicalIndex,
    all: LexicalIndex,
    head_vectors: VectorIndex,
    head_rows: Vec<Vec<f32>>,
    body_rows: Vec<Vec<f32>>,
}

impl RecordIndex {
    /// Indexes `records` with a unit vector of each head and, where `bodies` is not empty, of each body.
    pub async fn build(records: &[Record], heads: Vec<Vec<f32>>, bodies: Vec<Vec<f32>>) -> Result<Self, VectorError> {
        let whole: Vec<String> = records.iter().map(|record| format!("{}\n{}", record.head, record.body)).collect();
        let ids: Vec<String> = (0..records.len()).map(|row| row.to_string()).collect();
        let rows = ids.iter().map(String::as_str).zip(heads.iter().map(Vec::as_slice));
        Ok(Self {
            heads: LexicalIndex::build(records.iter().map(|record| record.head.as_str())),
            all: LexicalIndex::build(whole.iter().map(String::as_str)),
            head_vectors: VectorIndex::embedded().fill(rows).await?,
            head_rows: heads,
            body_rows: bodies,
        })
    }

    /// Positions of the records with their scores, best first, at most `limit`.
    pub async fn rank(
        &self,
        question: &str,
        vector: &[f32],
        kind: Kind,
        limit: usize,
    ) -> Result<Vec<(u32, f32)>, VectorError> {
        let words = match kind {
            Kind::Questions => relative(&self.all, question),
            Kind::Products => self.product_words(question),
        };
        let mut candidates = self.head_vectors.nearest(vector, CANDIDATES.max(limit)).await?;
        candidates.extend(words.best(CANDIDATES.max(limit)));
        candidates.sort_unstable();
        candidates.dedup();
        let heads = Meaning::new(&self.head_rows, vector);
        let mut ranked: Vec<(u32, f32)> = match kind {
            Kind::Questions => {
                let head_words = relative(&self.heads, question);
                let bodies = Meaning::new(&self.body_rows, vector);
                let score = |row| {
                    let head_meaning = heads.of(row).unwrap_or(0.0);
                    let body_meaning = bodies.of(row).unwrap_or(head_meaning);
                    let words = HEAD_WORDS * head_words.get(row) + ALL_WORDS * words.get(row);
                    words + HEAD_MEANING * head_meaning + BODY_MEANING * body_meaning
                };
                candidates.into_iter().map(|row| (row, score(row))).collect()
            }
            Kind::Products => {
                let score = |row| words.get(row) + TITLE_MEANING * heads.of(row).unwrap_or(0.0);
                candidates.into_iter().map(|row| (row, score(row))).collect()
            }
        };
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// Of each word the most that it says in the title or elsewhere, the sum over the best record's; and the bonus for
    /// every word.
    fn product_words(&self, question: &str) -> Scores {
        let words: HashSet<String> =
            terms(question).into_iter().filter(|term| !term.stop).map(|term| term.text).collect();
        let mut scores = Scores::zero(self.head_rows.len());
        let mut present = vec![0_usize; self.head_rows.len()];
        for word in &words {
            let mut most: HashMap<u32, f32> = HashMap::new();
            let elsewhere = self.all.term_scores(word).map(|(row, score)| (row, ELSEWHERE * score));
            for (row, score) in elsewhere.chain(self.heads.term_scores(word)) {
                let known = most.entry(row).or_default();
                *known = known.max(score);
            }
            for (row, score) in most {
                scores.add(row, score);
                present[row as usize] += 1;
            }
        }
        let mut scores = scores.relative();
        for (row, present) in (0u32..).zip(present) {
            if present == words.len() && present > 0 {
                scores.add(row, EVERY_WORD);
            }
        }
        scores
    }
}

/// BM25 of each record over that of the best record: 1 for the best.
fn relative(index: &LexicalIndex, question: &str) -> Scores {
    index.scores(&index.query(question, 1.0)).relative()
}

/// Cosines of one question with all rows, in standard deviations.
struct Meaning<'a> {
    rows: &'a [Vec<f32>],
    vector: &'a [f32],
    mean: f32,
    deviation: f32,
}

impl<'a> Meaning<'a> {
    fn new(rows: &'a [Vec<f32>], vector: &'a [f32]) -> Self {
        let step = rows.len().div_ceil(super::SPREAD_SAMPLE).max(1);
        let sample: Vec<f32> = rows.iter().step_by(step).map(|row| dot(row, vector)).collect();
        let (mean, deviation) = mean_and_deviation(sample.iter().copied());
        Self { rows, vector, mean, deviation }
    }

    fn of(&self, row: u32) -> Option<f32> {
        let cosine = dot(self.rows.get(row as usize)?, self.vector);
        Some((cosine - self.mean) / self.deviation / DEVIATIONS_FULL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Embedder;

    async fn ranked(question: &str, kind: Kind) -> Vec<u32> {
        let records = [("Red boots", "warm, for winter"), ("Blue hat", "wool, goes with red boots"), ("Lamp", "")]
            .map(|(head, body)| Record { head: head.to_owned(), body: body.to_owned() });
        let embedder = Embedder::hashed(256);
        let vectors = |texts: Vec<String>| embedder.embed_passages(texts);
        let heads = vectors(records.iter().map(|record| record.head.clone()).collect()).await.unwrap();
        let bodies = vectors(records.iter().map(|record| record.body.clone()).collect()).await.unwrap();
        let index = RecordIndex::build(&records, heads, bodies).await.unwrap();
        let vector = vectors(vec![question.to_owned()]).await.unwrap().remove(0);
        index.rank(question, &vector, kind, 2).await.unwrap().into_iter().map(|(row, _)| row).collect()
    }

    #[tokio::test]
    async fn what_a_record_is_comes_before_what_it_mentions() {
        for kind in [Kind::Questions, Kind::Products] {
            assert_eq!(ranked("red boots", kind).await, [0, 1]);
            assert_eq!(ranked("wool", kind).await[0], 1);
            assert_eq!(ranked("lamp", kind).await[0], 2);
        }
    }

    #[tokio::test]
    async fn a_product_with_every_word_comes_first() {
        assert_eq!(ranked("hat for the boots", Kind::Products).await[0], 1);
        assert_eq!(ranked("boots winter", Kind::Products).await[0], 0);
        assert!(!ranked("", Kind::Products).await.is_empty());
    }
}
