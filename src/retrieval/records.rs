//! Ranking whole records (frequent questions with their answers, products with their titles) rather than passages.
//!
//! A record says in its head what it is about and in its body everything else. Words are scored by BM25 in the head
//! and in the whole record, meaning by the cosine with the head and with the body; the four are brought to one scale
//! for each question and added (late fusion). The head is what people ask for, so it is compared on its own.

use super::{
    lexical::{LexicalIndex, Scores},
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

/// How much each kind of evidence counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Words of the head.
    pub head_words: f32,
    /// Words anywhere.
    pub all_words: f32,
    /// Meaning of the head.
    pub head_meaning: f32,
    /// Meaning of the body, or of the head where the body is empty.
    pub body_meaning: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { head_words: 0.3, all_words: 0.2, head_meaning: 0.3, body_meaning: 0.2 }
    }
}

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
        weights: Weights,
        limit: usize,
    ) -> Result<Vec<(u32, f32)>, VectorError> {
        let head_words = relative(&self.heads, question);
        let all_words = relative(&self.all, question);
        let mut candidates = self.head_vectors.nearest(vector, CANDIDATES.max(limit)).await?;
        candidates.extend(all_words.best(CANDIDATES.max(limit)));
        candidates.sort_unstable();
        candidates.dedup();
        let heads = Meaning::new(&self.head_rows, vector);
        let bodies = Meaning::new(&self.body_rows, vector);
        let mut ranked: Vec<(u32, f32)> = candidates
            .into_iter()
            .map(|row| {
                let head_meaning = heads.of(row).unwrap_or(0.0);
                let body_meaning = bodies.of(row).unwrap_or(head_meaning);
                let score = weights.head_words * head_words.get(row)
                    + weights.all_words * all_words.get(row)
                    + weights.head_meaning * head_meaning
                    + weights.body_meaning * body_meaning;
                (row, score)
            })
            .collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(limit);
        Ok(ranked)
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

    async fn ranked(question: &str) -> Vec<u32> {
        let records = [("Red boots", "warm, for winter"), ("Blue hat", "wool, goes with red boots"), ("Lamp", "")]
            .map(|(head, body)| Record { head: head.to_owned(), body: body.to_owned() });
        let embedder = Embedder::hashed(256);
        let vectors = |texts: Vec<String>| embedder.embed_passages(texts);
        let heads = vectors(records.iter().map(|record| record.head.clone()).collect()).await.unwrap();
        let bodies = vectors(records.iter().map(|record| record.body.clone()).collect()).await.unwrap();
        let index = RecordIndex::build(&records, heads, bodies).await.unwrap();
        let vector = vectors(vec![question.to_owned()]).await.unwrap().remove(0);
        index.rank(question, &vector, Weights::default(), 2).await.unwrap().into_iter().map(|(row, _)| row).collect()
    }

    #[tokio::test]
    async fn what_a_record_is_comes_before_what_it_mentions() {
        assert_eq!(ranked("red boots").await, [0, 1]);
        assert_eq!(ranked("wool").await[0], 1);
        assert_eq!(ranked("lamp").await[0], 2);
    }
}
