//! Vectors without a model: words and character n-grams, hashed. Similar spelling gives similar vectors, nothing more.

use unicode_normalization::UnicodeNormalization;

/// FNV-1a, which is the same on every machine and in every version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A unit vector; all zero only for an empty text.
pub fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut vector = vec![0f32; dimensions];
    let mut add = |feature: &str, weight: f32| {
        let hash = hash(feature);
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        vector[(hash % dimensions as u64) as usize] += sign * weight;
    };
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add(word, 1.0);
        let characters: Vec<char> = word.chars().collect();
        for size in [2, 3] {
            for gram in characters.windows(size) {
                add(&gram.iter().collect::<String>(), 0.5);
            }
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

/// A rough count: words, and each character of Chinese.
pub fn count_tokens(text: &str) -> usize {
    text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_ascii()).count().max(1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_spelling_is_similar() {
        let dot = |a: &str, b: &str| -> f32 { embed(a, 256).iter().zip(embed(b, 256)).map(|(a, b)| a * b).sum() };
        assert!(dot("returning boots", "return a boot") > dot("returning boots", "opening hours"));
        assert!((dot("退货", "退货") - 1.0).abs() < 1e-5);
    }
}
