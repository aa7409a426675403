//! Finding the passages that answer a question: vectors, words and concepts, fused into one calibrated probability.
//!
//! e5 similarities all lie close together, so a cosine alone says little: what counts is how far a passage stands out
//! from all others of this shop (its z-score), how much of the question its words and concepts cover, and all together.

pub mod bridge;
pub mod concepts;
pub(crate) mod kinds;
pub mod lexical;
pub mod ranking;
pub mod records;
mod similarity;
pub mod vector;

use std::sync::Arc;

use crate::{
    inference::QuestionVectors,
    knowledge::{Chunk, ChunkKind, vectors::PassageVectors},
    language::detect_language,
    message::Language,
    storage::StoredChunk,
};
use concepts::{ConceptIndex, ConceptScores};
use kinds::AnswerKind;
use lexical::LexicalIndex;
use similarity::{Similarities, Spread};
use vector::{VectorError, VectorIndex, dot};

/// Passages that are looked at more closely.
const CANDIDATES: usize = 24;
/// Weight of the earlier question's words and vector when a follow-up is looked up.
const CONTEXT_WEIGHT: f32 = 0.45;
/// Most passages that the spread of similarities is measured on.
const SPREAD_SAMPLE: usize = 1024;

/// A passage of the shop's documents.
#[derive(Debug, Clone)]
pub struct Passage {
    /// File name of its document.
    pub document: String,
    /// The chunk.
    pub chunk: Chunk,
    vectors: PassageVectors,
}

impl Passage {
    /// Whether both are rows of one table: they answer together, so one is no argument against the other.
    pub fn shares_table(&self, other: &Self) -> bool {
        self.chunk.kind == ChunkKind::Row
            && other.chunk.kind == ChunkKind::Row
            && self.document == other.document
            && self.chunk.heading == other.chunk.heading
            && self.chunk.cells.iter().map(|cell| &cell.0).eq(other.chunk.cells.iter().map(|cell| &cell.0))
    }
}

/// A text to look up, with its vectors.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// The words.
    pub text: String,
    /// What the encoders make of them.
    pub vectors: QuestionVectors,
}

/// A question to look up.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// What was asked: the whole message, and its single questions where it has more than one sentence.
    pub lookups: &'a [Lookup],
    /// The earlier question that this one continues.
    pub context: Option<&'a Lookup>,
    /// Language of the question.
    pub language: Language,
}

/// A passage that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The passage.
    pub passage: Arc<Passage>,
    /// Its place among all passages, document by document in reading order.
    pub place: u32,
    /// Cosine of question and passage.
    pub cosine: f32,
    /// BM25 of the question's words.
    pub bm25: f32,
    /// What the probability was made of.
    pub features: Features,
    /// What the candidates were ordered by: the log odds, up to a constant, of being the passage meant.
    pub value: f32,
    /// The same before the chat model's probe had its say.
    pub first: f32,
    /// Log odds by the chat model's probe that the passage answers, where it was read.
    pub read: Option<f32>,
    /// Calibrated probability that the passage answers the question, 0 to 1.
    pub score: f32,
}

/// What is known of a question and a passage before deciding. A `z` says how many standard deviations a similarity lies
/// above the mean of the shop's passages in the same language.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Features {
    /// How far the cosine stands out.
    pub z: f32,
    /// Cosine of question and passage.
    pub cosine: f32,
    /// How far the best sentence stands out.
    pub sentence_z: f32,
    /// Cosine of the question and the sentence of the passage that is nearest, or the whole where that is nearer.
    pub sentence_cosine: f32,
    /// How far the heading stands out.
    pub heading_z: f32,
    /// How far the whole stands out by the English encoder.
    pub english_z: f32,
    /// How far the best sentence stands out by the English encoder.
    pub english_sentence_z: f32,
    /// Cosine by the English encoder; 0 without one, as all that it says.
    pub english_cosine: f32,
    /// Cosine of the nearest sentence by the English encoder.
    pub english_sentence_cosine: f32,
    /// Share of the question's weighted words that the passage has, 0 to 1.
    pub coverage: f32,
    /// BM25 over the most it could be, 0 to 1 or a little above.
    pub bm25: f32,
    /// Share of the question's concepts that the passage has, 0 to about 1.
    pub concepts: f32,
    /// Summed weight of those concepts, in tens.
    pub concept_weight: f32,
    /// Question and passage are in different languages; only names and concepts can then match.
    pub cross_language: bool,
    /// The passage has the kind of answer that the question wants (an amount, a time); `None` when none is wanted.
    pub kind_fits: Option<bool>,
    /// The question asks when a shop is open and the passage says so.
    pub states_hours: bool,
    /// A quantity in the question lies in the range that the table row is for.
    pub in_range: Option<bool>,
}

/// Everything that can be looked up, ready in memory; made anew when the knowledge changes.
#[derive(Debug)]
pub struct KnowledgeIndex {
    passages: Vec<Arc<Passage>>,
    lexical: LexicalIndex,
    concepts: ConceptIndex,
    vectors: VectorIndex,
}

impl KnowledgeIndex {
    /// Indexes the shop's chunks.
    pub async fn build(chunks: Vec<StoredChunk>, vectors: VectorIndex) -> Result<Self, VectorError> {
        let passages: Vec<Arc<Passage>> = chunks
            .into_iter()
            .map(|stored| Passage { document: stored.document, chunk: stored.chunk, vectors: stored.vectors })
            .map(Arc::new)
            .collect();
        let lexical = LexicalIndex::build(passages.iter().map(|passage| passage.chunk.search_text.as_str()));
        let concepts = ConceptIndex::build(passages.iter().map(|passage| passage.chunk.search_text.as_str()));
        let vectors = vectors
            .fill(passages.iter().map(|passage| (passage.chunk.id.as_str(), passage.vectors.whole.as_slice())))
            .await?;
        Ok(Self { passages, lexical, concepts, vectors })
    }

    /// All passages, document by document in reading order.
    pub fn passages(&self) -> &[Arc<Passage>] {
        &self.passages
    }

    /// The words of the passages.
    pub fn lexical(&self) -> &LexicalIndex {
        &self.lexical
    }

    /// The passages that most probably answer, best first, at most `limit`.
    pub async fn search(&self, question: &Question<'_>, limit: usize) -> Result<Vec<Found>, VectorError> {
        let mut best: Vec<Found> = Vec::new();
        for lookup in question.lookups {
            for found in self.search_one(lookup, question).await? {
                match best.iter_mut().find(|known| Arc::ptr_eq(&known.passage, &found.passage)) {
                    Some(known) if known.score < found.score => *known = found,
                    Some(_) => {}
                    None => best.push(found),
                }
            }
        }
        best.sort_by(|a, b| b.score.total_cmp(&a.score));
        best.truncate(limit);
        Ok(best)
    }

    async fn search_one(&self, lookup: &Lookup, question: &Question<'_>) -> Result<Vec<Found>, VectorError> {
        let vectors = blend(lookup, question.context);
        let mut query = self.lexical.query(&lookup.text, 1.0);
        if let Some(context) = question.context {
            query = query.and(self.lexical.query(&context.text, CONTEXT_WEIGHT));
        }
        let words = self.lexical.scores(&query);
        let weight_max = query.weight(&self.lexical).max(f32::EPSILON);
        let mut concepts = ConceptScores::default();
        self.concepts.add(&lookup.text, 1.0, &mut concepts);
        if let Some(context) = question.context {
            self.concepts.add(&context.text, CONTEXT_WEIGHT, &mut concepts);
        }
        let wanted = kinds::wanted(&lookup.text);
        let spread = self.spread(&vectors);
        let mut candidates: Vec<u32> = self.vectors.nearest(&vectors.main, CANDIDATES).await?;
        candidates.extend(&spread.nearest);
        candidates.extend(words.best(CANDIDATES));
        candidates.extend(concepts.best(CANDIDATES));
        candidates.sort_unstable();
        candidates.dedup();
        let found = candidates.into_iter().filter_map(|id| Some((id, self.passages.get(id as usize)?)));
        let mut found: Vec<Found> = found
            .map(|(id, passage)| {
                let similarity = Similarities::of(&vectors, passage);
                let bm25 = words.get(id);
                let first_cell = passage.chunk.cells.first().map(|(_, value)| value.as_str());
                let kind_fits = wanted.map(|kind| kinds::has(kind, &passage.chunk.text));
                let mut features = Features {
                    coverage: self.lexical.coverage(&query, id),
                    bm25: bm25 / weight_max,
                    concepts: concepts.coverage(id),
                    concept_weight: concepts.weight(id),
                    cross_language: passage.chunk.language != question.language,
                    kind_fits,
                    states_hours: wanted == Some(AnswerKind::OpeningHours) && kind_fits == Some(true),
                    in_range: first_cell.and_then(|cell| kinds::in_range(&lookup.text, cell)),
                    ..Features::default()
                };
                spread.stand_out(&similarity, passage.chunk.language, &mut features);
                let cosine = features.cosine;
                Found {
                    passage: Arc::clone(passage),
                    place: id,
                    cosine,
                    bm25,
                    features,
                    value: 0.0,
                    first: 0.0,
                    read: None,
                    score: 0.0,
                }
            })
            .collect();
        ranking::rank(&mut found);
        Ok(found)
    }

    /// What the question's similarity to this shop's passages usually is.
    fn spread(&self, vectors: &QuestionVectors) -> Spread {
        let step = self.passages.len().div_ceil(SPREAD_SAMPLE).max(1);
        let sample = (0u32..).step_by(step).zip(self.passages.iter().step_by(step));
        Spread::new(sample.map(|(id, passage)| (id, passage.chunk.language, Similarities::of(vectors, passage))))
    }
}

/// A follow-up stands mostly for itself and a little for the question before it.
fn blend(lookup: &Lookup, context: Option<&Lookup>) -> QuestionVectors {
    let Some(context) = context else { return lookup.vectors.clone() };
    QuestionVectors {
        main: blend_vectors(&lookup.vectors.main, &context.vectors.main),
        english: blend_vectors(&lookup.vectors.english, &context.vectors.english),
    }
}

fn blend_vectors(now: &[f32], before: &[f32]) -> Vec<f32> {
    let mut vector: Vec<f32> = now.iter().zip(before).map(|(now, before)| now + CONTEXT_WEIGHT * before).collect();
    let norm = dot(&vector, &vector).sqrt().max(f32::EPSILON);
    for value in &mut vector {
        *value /= norm;
    }
    vector
}

/// Language of a text, or `otherwise` when it has no letters.
pub fn language_or(text: &str, otherwise: Language) -> Language {
    detect_language(text).unwrap_or(otherwise)
}
