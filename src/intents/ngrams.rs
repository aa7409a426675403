//! Hashed n-gram features: what the letters of a message say, beside what its embedding means.
//!
//! Words and pairs of words, runs of three and four letters within words (they survive typos), and runs of one to
//! three characters for Chinese, which has no spaces. Each feature is hashed into one of a fixed number of buckets
//! (feature hashing, Weinberger et al. 2009), so there is no vocabulary to store or to keep in step.

use unicode_normalization::UnicodeNormalization;

/// Sparse features of one text: bucket and weight, sorted by bucket, of length 1 in the Euclidean norm.
pub type SparseFeatures = Vec<(u32, f32)>;

/// A run of text that is treated alike.
enum Token {
    /// A word of an alphabetic script, or a number.
    Word(String),
    /// An unbroken run of Chinese characters.
    Han(Vec<char>),
    /// A question or exclamation mark or another sign, such as an emoji.
    Sign(char),
}

/// Features of `text` over `buckets` buckets.
///
/// A text without any letter, digit or sign has none.
pub fn features(text: &str, buckets: u32) -> SparseFeatures {
    if buckets == 0 {
        return Vec::new();
    }
    let tokens = tokenize(text);
    let mut hashes = Vec::new();
    let mut previous: Option<&str> = None;
    for token in &tokens {
        match token {
            Token::Word(word) => {
                hashes.push(hash(b'w', word.chars()));
                let before = previous.unwrap_or("^");
                hashes.push(hash(b'p', before.chars().chain([' ']).chain(word.chars())));
                push_letter_runs(word, &mut hashes);
                previous = Some(word);
            }
            Token::Han(characters) => {
                push_runs(characters, 1..=3, b'h', &mut hashes);
                previous = None;
            }
            Token::Sign(sign) => hashes.push(hash(b's', [*sign])),
        }
    }
    weigh(&hashes, buckets)
}

/// Lower-cased, width-folded words, Chinese runs and signs.
fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut open = false;
    for character in text.nfkc().flat_map(char::to_lowercase) {
        if is_han(character) {
            match tokens.last_mut() {
                Some(Token::Han(run)) if open => run.push(character),
                _ => tokens.push(Token::Han(vec![character])),
            }
            open = true;
        } else if character.is_alphanumeric() {
            // A figure matters as a figure, not by its value: order numbers would only be noise.
            let character = if character.is_numeric() { '0' } else { character };
            match tokens.last_mut() {
                Some(Token::Word(word)) if open => word.push(character),
                _ => tokens.push(Token::Word(character.to_string())),
            }
            open = true;
        } else if matches!(character, '\'' | '\u{2019}') {
            // "what's" and "whats" are one word.
        } else {
            open = false;
            if !character.is_whitespace() && !matches!(character, ',' | '.' | '-' | '"' | '\u{fe0f}') {
                tokens.push(Token::Sign(character));
            }
        }
    }
    tokens
}

/// CJK unified ideographs.
fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Runs of three and four letters of a word with its borders marked.
fn push_letter_runs(word: &str, hashes: &mut Vec<u64>) {
    let bordered: Vec<char> = ['<'].into_iter().chain(word.chars().take(24)).chain(['>']).collect();
    push_runs(&bordered, 3..=4, b'c', hashes);
}

/// All runs of the given lengths.
fn push_runs(characters: &[char], lengths: std::ops::RangeInclusive<usize>, kind: u8, hashes: &mut Vec<u64>) {
    for length in lengths {
        hashes.extend(characters.windows(length).map(|run| hash(kind, run.iter().copied())));
    }
}

/// 64-bit FNV-1a over the kind of feature and its characters, mixed so that the low bits are good.
fn hash(kind: u8, characters: impl IntoIterator<Item = char>) -> u64 {
    let step = |state: u64, value: u64| (state ^ value).wrapping_mul(0x0000_0100_0000_01b3);
    let state = characters.into_iter().fold(step(0xcbf2_9ce4_8422_2325, u64::from(kind)), |state, character| {
        step(state, u64::from(u32::from(character)))
    });
    state ^ (state >> 29)
}

/// Counts per bucket with the hash's sign, damped by a square root, then scaled to length one.
fn weigh(hashes: &[u64], buckets: u32) -> SparseFeatures {
    let mut signed: Vec<(u32, f32)> = hashes
        .iter()
        .map(|hash| ((hash % u64::from(buckets)) as u32, if hash >> 63 == 0 { 1.0 } else { -1.0 }))
        .collect();
    signed.sort_unstable_by_key(|(bucket, _)| *bucket);
    let mut merged: SparseFeatures = Vec::with_capacity(signed.len());
    for (bucket, sign) in signed {
        match merged.last_mut() {
            Some((last, weight)) if *last == bucket => *weight += sign,
            _ => merged.push((bucket, sign)),
        }
    }
    for (_, weight) in &mut merged {
        *weight = weight.signum() * weight.abs().sqrt();
    }
    let norm = merged.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    merged.retain(|(_, weight)| *weight != 0.0);
    if norm > 0.0 {
        for (_, weight) in &mut merged {
            *weight /= norm;
        }
    }
    merged
}
