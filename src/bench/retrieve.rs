//! The search, once the question is embedded: vectors, words and fusion over made-up passages. What passages say does
//! not matter here, how often their words occur does: words follow Zipf's law, as those of real texts do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::Figures;
use crate::{
    inference::QuestionVectors,
    knowledge::{
        Chunk, ChunkKind,
        vectors::{PartKind, PartVector, PassageVectors},
    },
    message::Language,
    retrieval::{KnowledgeIndex, Lookup, Question, vector::VectorIndex},
    storage::StoredChunk,
};

/// Passages that are searched.
const PASSAGES: usize = 20_000;
/// Numbers per vector, as the default encoder's.
const DIMENSIONS: usize = 384;
/// Different words in all passages.
const WORDS: usize = 30_000;
/// Searches that are timed.
const SEARCHES: usize = 400;
/// Passages wanted, as in a turn.
const WANTED: usize = 5;

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(20_000);
    let vocabulary = Vocabulary::new();
    let chunks: Vec<StoredChunk> = (0..PASSAGES).map(|number| chunk(number, &vocabulary, &mut random)).collect();
    figures.count("passages", chunks.len());
    let started = Instant::now();
    let index = Arc::new(KnowledgeIndex::build(chunks, VectorIndex::embedded()).await?);
    figures.number("build_ms", started.elapsed().as_secs_f64() * 1e3);
    let lookups: Vec<Lookup> = (0..SEARCHES).map(|_| lookup(&vocabulary, &mut random)).collect();
    let mut times: Vec<Duration> = Vec::with_capacity(SEARCHES);
    // The first ones warm up.
    for lookup in lookups.iter().take(20).chain(&lookups) {
        let question =
            Question { lookups: std::slice::from_ref(lookup), context: None, language: language_of(&lookup.text) };
        let started = Instant::now();
        let found = index.search(&question, WANTED).await?;
        times.push(started.elapsed());
        anyhow::ensure!(found.len() == WANTED, "the search found {} of {WANTED} passages", found.len());
    }
    times.drain(..20);
    figures.percentiles(&mut times);
    figures.resident_memory("rss_mb", std::process::id());
    Ok(())
}

/// Made-up words; a low number is a frequent word.
struct Vocabulary {
    /// Cumulative weight of the words so far.
    weights: Vec<f64>,
}

impl Vocabulary {
    fn new() -> Self {
        let mut sum = 0.0;
        let weights = (1..=WORDS).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self { weights: weights.collect() }
    }

    fn word(&self, random: &mut StdRng) -> String {
        const SYLLABLES: [&str; 16] =
            ["ba", "ke", "lo", "mi", "ru", "sta", "ven", "dor", "pi", "gal", "ho", "tri", "wex", "nu", "zar", "fe"];
        let at = random.random_range(0.0..self.weights[WORDS - 1]);
        let mut rank = self.weights.partition_point(|weight| *weight <= at);
        let mut word = String::new();
        loop {
            word.push_str(SYLLABLES[rank % SYLLABLES.len()]);
            rank /= SYLLABLES.len();
            if rank == 0 {
                return word;
            }
        }
    }

    /// A few Chinese characters, frequent ones first.
    fn characters(&self, random: &mut StdRng) -> String {
        let length = random.random_range(2..4);
        (0..length)
            .filter_map(|_| {
                let at = random.random_range(0.0..self.weights[1499]);
                char::from_u32(0x4E00 + self.weights.partition_point(|weight| *weight <= at) as u32 * 7)
            })
            .collect()
    }

    fn text(&self, words: usize, language: Language, random: &mut StdRng) -> String {
        match language {
            Language::En => (0..words).map(|_| self.word(random)).collect::<Vec<_>>().join(" "),
            Language::Zh => (0..words).map(|_| self.characters(random)).collect(),
        }
    }
}

fn language_of(text: &str) -> Language {
    if text.is_ascii() { Language::En } else { Language::Zh }
}

fn chunk(number: usize, vocabulary: &Vocabulary, random: &mut StdRng) -> StoredChunk {
    let language = if number.is_multiple_of(4) { Language::Zh } else { Language::En };
    let words = random.random_range(12..90);
    let text = vocabulary.text(words, language, random);
    let chunk = Chunk {
        id: format!("chunk {number}"),
        heading: String::new(),
        kind: ChunkKind::Text,
        text: text.clone(),
        question: None,
        cells: vec![],
        caption: None,
        language,
        search_text: text,
    };
    let whole = unit_vector(random);
    let kinds = [PartKind::Heading, PartKind::Sentence, PartKind::Sentence, PartKind::Sentence];
    let english = [PartKind::EnglishWhole, PartKind::EnglishSentence, PartKind::EnglishSentence];
    let english = if language == Language::En { &english[..] } else { &[] };
    let parts = kinds.iter().chain(english).map(|kind| PartVector::new(*kind, &unit_vector(random))).collect();
    let vectors = PassageVectors { whole, parts };
    StoredChunk { document: format!("document {}", number / 50), chunk, encoder: "made-up".to_owned(), vectors }
}

/// A question of six to sixteen words, each third one in Chinese; shoppers also use the words that every text has.
fn lookup(vocabulary: &Vocabulary, random: &mut StdRng) -> Lookup {
    let language = if random.random_ratio(1, 3) { Language::Zh } else { Language::En };
    let words = random.random_range(6..17);
    let mut text = vocabulary.text(words, language, random);
    text.push_str(if language == Language::En { " how long can I return it" } else { "多久可以退货" });
    let english = if language == Language::En { unit_vector(random) } else { Vec::new() };
    Lookup { text, vectors: QuestionVectors { main: unit_vector(random), english } }
}

fn unit_vector(random: &mut StdRng) -> Vec<f32> {
    let mut vector: Vec<f32> = (0..DIMENSIONS).map(|_| random.random_range(-1.0..1.0)).collect();
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    for value in &mut vector {
        *value /= norm;
    }
    vector
}
