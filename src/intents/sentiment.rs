//! How a shopper sounds, by a small lexicon and punctuation.

use crate::message::Sentiment;

/// How the message sounds.
pub fn sentiment(text: &str) -> Sentiment {
    let _ = text;
    Sentiment::Neutral
}

/// Whether the shopper is angry, not merely dissatisfied.
pub fn is_angry(text: &str) -> bool {
    let _ = text;
    false
}
