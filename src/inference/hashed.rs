//! An encoder without a model: words and character trigrams hashed into a fixed number of signed buckets
//! (feature hashing, Weinberger et al. 2009). Texts that share words or spellings lie close together, which is all
//! that tests of ranking and storage need; it knows no synonyms and no second language.

use sha2::{Digest, Sha256};
use unicode_segmentation::UnicodeSegmentation;

/// Words weigh more than the trigrams inside them, so that a shared word beats a shared ending.
const WORD_WEIGHT: f32 = 1.0;
const TRIGRAM_WEIGHT: f32 = 0.4;

/// Deterministic vectors of `dimensions` floats, unit length.
#[derive(Debug, Clone)]
pub struct HashedEmbedder {
    dimensions: usize,
}

impl HashedEmbedder {
    /// An encoder of `dimensions` buckets, at least one.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions: dimensions.max(1) }
    }

    /// Length of every vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The vector of `text`, of length 1; a text without letters or digits gets a fixed vector of its own.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        let lower = text.to_lowercase();
        for word in lower.unicode_words() {
            self.add(&mut vector, word, WORD_WEIGHT);
            let letters: Vec<char> = format!("^{word}$").chars().collect();
            for trigram in letters.windows(3) {
                self.add(&mut vector, &trigram.iter().collect::<String>(), TRIGRAM_WEIGHT);
            }
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            for value in &mut vector {
                *value /= length;
            }
        } else {
            vector[0] = 1.0;
        }
        vector
    }

    /// Words of `text`: the tests' unit of length.
    pub fn count_tokens(&self, text: &str) -> usize {
        text.unicode_words().count()
    }

    fn add(&self, vector: &mut [f32], feature: &str, weight: f32) {
        let digest = Sha256::digest(feature.as_bytes());
        let hash = digest.iter().take(8).fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
        let sign = if digest[8] & 1 == 0 { 1.0 } else { -1.0 };
        vector[(hash % self.dimensions as u64) as usize] += sign * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn vectors_have_unit_length_and_are_repeatable() {
        let encoder = HashedEmbedder::new(64);
        for text in ["Can I return boots?", "我可以退货吗", "", "!!"] {
            let vector = encoder.embed(text);
            assert_eq!(vector.len(), 64);
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5, "{text:?}");
            assert_eq!(vector, encoder.embed(text));
        }
    }

    #[test]
    fn similar_texts_lie_closer_than_others() {
        let encoder = HashedEmbedder::new(384);
        let question = encoder.embed("How do I return my boots?");
        let near = encoder.embed("Returning boots: how to return them");
        let far = encoder.embed("Our shop opens at nine on Monday");
        assert!(cosine(&question, &near) > cosine(&question, &far) + 0.2);
        let chinese = encoder.embed("怎么退货");
        assert!(cosine(&chinese, &encoder.embed("退货流程")) > cosine(&chinese, &encoder.embed("营业时间")));
    }
}
