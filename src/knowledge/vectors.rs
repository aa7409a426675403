//! The vectors that a passage is found by: of the whole and of its parts. A question is mostly about one sentence, and
//! the mean over a long passage blurs it; a heading says what a table is about where its rows do not.

use std::collections::HashMap;

use super::{Chunk, ChunkKind, HEADING_SEPARATOR};
use crate::{
    inference::{Embedder, Encoders, InferenceError, dot_bytes},
    language::sentences,
    message::Language,
};

/// Changes when passages are cut into other parts, so that stored vectors are made anew.
const VERSION: u32 = 1;
/// A sentence with fewer letters says nothing by itself.
const SENTENCE_MIN: usize = 4;

/// What a part is, and which encoder made its vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// The innermost heading.
    Heading,
    /// The question of a question-answer pair.
    Question,
    /// A sentence under its heading.
    Sentence,
    /// The whole passage, by the English encoder.
    EnglishWhole,
    /// A sentence or question, by the English encoder.
    EnglishSentence,
}

impl PartKind {
    const ALL: [Self; 5] = [Self::Heading, Self::Question, Self::Sentence, Self::EnglishWhole, Self::EnglishSentence];

    fn is_english(self) -> bool {
        matches!(self, Self::EnglishWhole | Self::EnglishSentence)
    }
}

/// The vector of a part, eight bits a number: parts outnumber passages many times, and ranks barely change.
#[derive(Debug, Clone, PartialEq)]
pub struct PartVector {
    /// What it is of.
    pub kind: PartKind,
    scale: f32,
    values: Vec<i8>,
}

impl PartVector {
    /// Rounds a unit vector.
    pub fn new(kind: PartKind, vector: &[f32]) -> Self {
        let largest = vector.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        Self { kind, scale, values: vector.iter().map(|value| (value / scale).round() as i8).collect() }
    }

    /// Dot product with a vector of the same encoder; 0 where lengths differ.
    pub fn dot(&self, vector: &[f32]) -> f32 {
        if vector.len() != self.values.len() {
            return 0.0;
        }
        dot_bytes(&self.values, vector) * self.scale
    }

    /// Dot product of two parts by the same encoder; 0 where lengths differ.
    pub fn likeness(&self, other: &Self) -> f32 {
        if self.values.len() != other.values.len() {
            return 0.0;
        }
        let products = self.values.iter().zip(&other.values).map(|(a, b)| i32::from(*a) * i32::from(*b));
        products.sum::<i32>() as f32 * self.scale * other.scale
    }
}

/// The vectors of a passage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PassageVectors {
    /// Unit vector of the whole, by the main encoder.
    pub whole: Vec<f32>,
    /// Vectors of its parts.
    pub parts: Vec<PartVector>,
}

/// The label that stored vectors carry: the models, and the way passages are cut.
pub fn encoder_label(encoders: &Encoders) -> String {
    format!("{}, parts {VERSION}", encoders.name())
}

/// Embeds passages, in order. A text that occurs often, such as a heading, is embedded once.
pub async fn embed_chunks(encoders: &Encoders, chunks: &[Chunk]) -> Result<Vec<PassageVectors>, InferenceError> {
    let parts: Vec<Vec<(PartKind, String)>> =
        chunks.iter().map(|chunk| parts_of(chunk, encoders.english.is_some())).collect();
    let of = |english: bool| parts.iter().flatten().filter(move |(kind, _)| kind.is_english() == english);
    let whole = chunks.iter().map(|chunk| chunk.search_text.as_str());
    let main = embed_distinct(&encoders.main, whole.chain(of(false).map(|(_, text)| text.as_str()))).await?;
    let english = match &encoders.english {
        Some(encoder) => embed_distinct(encoder, of(true).map(|(_, text)| text.as_str())).await?,
        None => HashMap::new(),
    };
    let vector = |kind: PartKind, text: &str| if kind.is_english() { english.get(text) } else { main.get(text) };
    let together = chunks.iter().zip(&parts).map(|(chunk, parts)| PassageVectors {
        whole: main.get(chunk.search_text.as_str()).cloned().unwrap_or_default(),
        parts: parts.iter().filter_map(|(kind, text)| Some(PartVector::new(*kind, vector(*kind, text)?))).collect(),
    });
    Ok(together.collect())
}

async fn embed_distinct<'a>(
    encoder: &Embedder,
    texts: impl Iterator<Item = &'a str>,
) -> Result<HashMap<&'a str, Vec<f32>>, InferenceError> {
    let mut distinct: Vec<&str> = texts.collect();
    distinct.sort_unstable();
    distinct.dedup();
    let vectors = encoder.embed_passages(distinct.iter().map(|&text| text.to_owned()).collect()).await?;
    Ok(distinct.into_iter().zip(vectors).collect())
}

fn parts_of(chunk: &Chunk, with_english: bool) -> Vec<(PartKind, String)> {
    let heading = chunk.heading.rsplit(HEADING_SEPARATOR).next().unwrap_or_default().trim();
    let mut parts = Vec::new();
    if !heading.is_empty() {
        parts.push((PartKind::Heading, heading.to_owned()));
    }
    let mut said: Vec<(PartKind, String)> = Vec::new();
    if let Some(question) = &chunk.question {
        said.push((PartKind::Question, question.clone()));
    }
    let single = sentences(&chunk.text);
    if chunk.kind == ChunkKind::Text && single.len() > 1 {
        let under =
            |sentence: &str| if heading.is_empty() { sentence.to_owned() } else { format!("{heading}: {sentence}") };
        let long = single.into_iter().filter(|sentence| sentence.chars().count() >= SENTENCE_MIN);
        said.extend(long.map(|sentence| (PartKind::Sentence, under(sentence))));
    }
    if with_english && chunk.language == Language::En {
        parts.push((PartKind::EnglishWhole, chunk.search_text.clone()));
        parts.extend(said.iter().map(|(_, text)| (PartKind::EnglishSentence, text.clone())));
    }
    parts.extend(said);
    parts
}

/// The sentences of a passage, or its question, each with its vector by the main and by the English encoder. Empty where the
/// vectors were made from other words.
pub(super) fn sentences_with_vectors(
    chunk: &Chunk,
    vectors: &PassageVectors,
) -> Vec<(String, PartVector, Option<PartVector>)> {
    let with_english = vectors.parts.iter().any(|part| part.kind.is_english());
    let texts = parts_of(chunk, with_english);
    if !texts.iter().map(|(kind, _)| *kind).eq(vectors.parts.iter().map(|part| part.kind)) {
        return Vec::new();
    }
    let of = |kinds: &'static [PartKind]| vectors.parts.iter().filter(move |part| kinds.contains(&part.kind));
    let heading = chunk.heading.rsplit(HEADING_SEPARATOR).next().unwrap_or_default().trim();
    let said = texts.iter().filter(|(kind, _)| matches!(kind, PartKind::Question | PartKind::Sentence));
    let said = said.map(|(_, text)| text.strip_prefix(&format!("{heading}: ")).unwrap_or(text).to_owned());
    let mut english = of(&[PartKind::EnglishSentence]).cloned();
    let each: Vec<_> = said
        .zip(of(&[PartKind::Question, PartKind::Sentence]))
        .map(|(text, main)| (text, main.clone(), english.next()))
        .collect();
    if !each.is_empty() {
        return each;
    }
    let whole = PartVector::new(PartKind::Sentence, &vectors.whole);
    vec![(chunk.text.clone(), whole, of(&[PartKind::EnglishWhole]).next().cloned())]
}

/// Part vectors as they are stored: for each its kind, its length, its scale and its numbers, little-endian.
pub fn parts_to_bytes(parts: &[PartVector]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.values.len() + 7).sum());
    for part in parts {
        let kind = PartKind::ALL.iter().position(|kind| *kind == part.kind).unwrap_or_default();
        bytes.push(kind as u8);
        bytes.extend((part.values.len() as u16).to_le_bytes());
        bytes.extend(part.scale.to_le_bytes());
        bytes.extend(part.values.iter().map(|value| value.to_le_bytes()[0]));
    }
    bytes
}

/// The reverse of `parts_to_bytes`; what is cut off or unknown is left out.
pub fn parts_from_bytes(mut bytes: &[u8]) -> Vec<PartVector> {
    let mut parts = Vec::new();
    while let [kind, l0, l1, s0, s1, s2, s3, rest @ ..] = bytes {
        let length = usize::from(u16::from_le_bytes([*l0, *l1]));
        let (Some(&kind), Some(values)) = (PartKind::ALL.get(usize::from(*kind)), rest.get(..length)) else { break };
        let values = values.iter().map(|byte| i8::from_le_bytes([*byte])).collect();
        parts.push(PartVector { kind, scale: f32::from_le_bytes([*s0, *s1, *s2, *s3]), values });
        bytes = &rest[length..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str, question: Option<&str>) -> Chunk {
        Chunk {
            id: "1".to_owned(),
            heading: format!("Returns{HEADING_SEPARATOR}Boots"),
            kind: if question.is_some() { ChunkKind::Question } else { ChunkKind::Text },
            text: text.to_owned(),
            question: question.map(str::to_owned),
            cells: vec![],
            caption: None,
            language: Language::En,
            search_text: format!("Boots\n{text}"),
        }
    }

    #[test]
    fn a_passage_is_cut_into_heading_question_and_sentences() {
        let kinds = |chunk: &Chunk, english| parts_of(chunk, english).into_iter().collect::<Vec<_>>();
        let text = chunk("Worn indoors only. Soles must be clean.", None);
        let parts = kinds(&text, false);
        assert_eq!(parts[0], (PartKind::Heading, "Boots".to_owned()));
        assert_eq!(parts[2], (PartKind::Sentence, "Boots: Soles must be clean.".to_owned()));
        assert_eq!(kinds(&text, true).len(), 6, "whole and both sentences once more in English");
        let pair = kinds(&chunk("Yes.", Some("May I?")), false);
        assert_eq!(pair[1], (PartKind::Question, "May I?".to_owned()));
        assert_eq!(pair.len(), 2);
    }

    #[test]
    fn part_vectors_survive_storage_and_stay_near() {
        let vector: Vec<f32> = (0..20u8).map(|at| (f32::from(at) - 7.0) / 30.0).collect();
        let part = PartVector::new(PartKind::Sentence, &vector);
        let exact: f32 = vector.iter().map(|value| value * value).sum();
        assert!((part.dot(&vector) - exact).abs() < 0.01);
        assert!(part.dot(&[1.0]).abs() < f32::EPSILON);
        let parts = vec![part, PartVector::new(PartKind::EnglishWhole, &[0.0, 0.0])];
        let bytes = parts_to_bytes(&parts);
        assert_eq!(parts_from_bytes(&bytes), parts);
        assert_eq!(parts_from_bytes(&bytes[..bytes.len() - 1]), parts[..1]);
        assert_eq!(parts_from_bytes(&[]), []);
    }

    #[tokio::test]
    async fn equal_texts_are_embedded_once_and_each_passage_has_its_own() {
        let encoders = Encoders { main: Embedder::hashed(32), english: Some(Embedder::hashed(16)) };
        let chunks = [chunk("One. Two and three.", None), chunk("Two and three.", None)];
        let vectors = embed_chunks(&encoders, &chunks).await.unwrap();
        assert_eq!(
            vectors[0].whole,
            encoders.main.embed_passages(vec![chunks[0].search_text.clone()]).await.unwrap()[0]
        );
        assert_eq!(vectors[0].parts[0], vectors[1].parts[0], "the heading");
        assert_ne!(vectors[0].whole, vectors[1].whole);
    }
}
