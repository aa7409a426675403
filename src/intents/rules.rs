//! What is decided by wording alone, before any model is asked.
//!
//! Three things must never depend on a model: a wish for a person is always heard, an attack on the bot's instructions
//! is always recognised by its usual wordings, and small talk that is nothing else costs nothing. Each part first
//! removes the look-alikes ("am I talking to a human?", "ignore my last e-mail") and then looks for its patterns.

mod attack;
mod person;
mod smalltalk;

use regex::{Regex, RegexSet, RegexSetBuilder};
use unicode_normalization::UnicodeNormalization;

use crate::intents::Intent;
use crate::message::Language;

/// How sure a rule is. Not 1: a rule may be wrong, and probabilities are compared with the head's.
const SURE: f32 = 0.98;
/// Small talk and wishes for a person are short; what is longer than this is judged by its beginning and its end.
const CHARACTERS_MAX: usize = 4_000;

/// The intent that the wording alone decides, with its probability; `None` leaves the decision to the trained head.
///
/// `language` is that of the conversation. It decides only what letters cannot: in a Chinese one, "88" is a farewell
/// and "zhuan rengong" a wish for a person.
pub fn rule_intent(text: &str, language: Language) -> Option<(Intent, f32)> {
    let folded = fold(text);
    if attack::is_attack(text, &folded) {
        return Some((Intent::PromptAttack, SURE));
    }
    if person::demands_consequences(&folded) {
        return Some((Intent::Complaint, SURE));
    }
    if person::wants_person(&folded, language) {
        return Some((Intent::Human, SURE));
    }
    smalltalk::smalltalk(&folded, language).map(|intent| (intent, SURE))
}

/// Lower case, full-width letters narrowed, invisible characters removed, white space and quotes made simple.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in shortened(text).nfkc().flat_map(char::to_lowercase) {
        match character {
            '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}' | '\u{fe0f}' => {}
            '\u{2018}' | '\u{2019}' | '`' => folded.push('\''),
            character if character.is_whitespace() => {
                if !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            character => folded.push(character),
        }
    }
    folded.trim().to_owned()
}

/// The beginning and the end of a text that is too long.
fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= CHARACTERS_MAX {
        return text.to_owned();
    }
    let half = CHARACTERS_MAX / 2;
    text.chars().take(half).chain([' ']).chain(text.chars().skip(count - half)).collect()
}

/// Compiles patterns that are part of the program; a test compiles each of them.
fn patterns(patterns: &[&str]) -> RegexSet {
    RegexSetBuilder::new(patterns).size_limit(1 << 26).build().expect("the patterns are fixed and tested")
}

/// Compiles one pattern that is part of the program; a test compiles each of them.
fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and tested")
}

#[cfg(test)]
mod tests;
