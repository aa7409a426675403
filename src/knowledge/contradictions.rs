//! Documents that say different numbers about the same: "14 days" in one and "30 days" in the other. What a sentence is
//! about is told by its vectors, which are stored already; what it says, by its quantities.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::{
    Chunk, ChunkKind,
    vectors::{PartVector, PassageVectors, sentences_with_vectors},
};
use crate::{message::Language, storage::StoredChunk};

/// Most contradictions that are told.
const TOLD_MAX: usize = 50;
/// From this cosine on, two sentences are about the same.
const ALIKE: f32 = 0.89;
/// The same by the English encoder, where it has read both.
const ALIKE_ENGLISH: f32 = 0.76;

/// Two sentences that contradict each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Contradiction {
    /// As one document has it.
    pub one: Statement,
    /// As another one has it.
    pub other: Statement,
    /// How sure it is that both are about the same.
    pub cosine: f32,
}

/// A sentence of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// File name of the document.
    pub document: String,
    /// Headings above it.
    pub heading: String,
    /// The sentence, after its question where it answers one.
    pub text: String,
}

/// A quantity: its unit and its number.
type Quantity = (&'static str, String);

struct Stated<'a> {
    document: &'a str,
    language: Language,
    heading: &'a str,
    text: String,
    quantities: BTreeSet<Quantity>,
    /// Names in it: a rule for France is none for Spain.
    names: BTreeSet<String>,
    main: PartVector,
    english: Option<PartVector>,
}

/// The contradictions between documents, surest first.
pub fn contradictions(chunks: &[StoredChunk]) -> Vec<Contradiction> {
    let stated: Vec<Stated<'_>> =
        chunks.iter().flat_map(|stored| statements(&stored.document, &stored.chunk, &stored.vectors)).collect();
    let mut found = Vec::new();
    for (at, one) in stated.iter().enumerate() {
        for other in &stated[at + 1..] {
            if one.document != other.document
                && one.language == other.language
                && differ(&one.quantities, &other.quantities)
                && one.names == other.names
                && let Some(cosine) = alike(one, other)
            {
                found.push(Contradiction { one: one.told(), other: other.told(), cosine });
            }
        }
    }
    found.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    found.truncate(TOLD_MAX);
    found
}

impl Stated<'_> {
    fn told(&self) -> Statement {
        Statement { document: self.document.to_owned(), heading: self.heading.to_owned(), text: self.text.clone() }
    }
}

fn statements<'a>(document: &'a str, chunk: &'a Chunk, vectors: &PassageVectors) -> Vec<Stated<'a>> {
    // What a row is about stands in its headers, and other rows of the table say other numbers by right.
    if chunk.kind == ChunkKind::Row {
        return Vec::new();
    }
    let stated = sentences_with_vectors(chunk, vectors).into_iter().map(|(sentence, main, english)| {
        let (said, text) = match &chunk.question {
            Some(question) => (chunk.text.clone(), format!("{question} {}", chunk.text)),
            None => (sentence.clone(), sentence),
        };
        Stated {
            document,
            language: chunk.language,
            heading: &chunk.heading,
            quantities: quantities(&said),
            names: names(&text),
            text,
            main,
            english,
        }
    });
    stated.filter(|stated| !stated.quantities.is_empty()).collect()
}

/// The cosine of two sentences that are about the same.
fn alike(one: &Stated<'_>, other: &Stated<'_>) -> Option<f32> {
    let cosine = one.main.likeness(&other.main);
    let both = one.english.as_ref().zip(other.english.as_ref());
    let in_english = both.is_none_or(|(a, b)| a.likeness(b) >= ALIKE_ENGLISH);
    (cosine >= ALIKE && in_english).then_some(cosine)
}

/// Whether both have quantities of a unit and none in common.
fn differ(one: &BTreeSet<Quantity>, other: &BTreeSet<Quantity>) -> bool {
    let units: BTreeSet<&str> = one.iter().map(|(unit, _)| *unit).collect();
    units.into_iter().any(|unit| {
        let of = |all: &BTreeSet<Quantity>| -> BTreeSet<String> {
            all.iter().filter(|(other, _)| *other == unit).map(|(_, number)| number.clone()).collect()
        };
        let (one, other) = (of(one), of(other));
        !other.is_empty() && one.is_disjoint(&other)
    })
}

/// Units as they are written, each with the name under which numbers are compared.
const UNITS: [(&str, &str); 15] = [
    (r"(?:working|business) days?|个?工作日", "working day"),
    (r"days?|天", "day"),
    (r"weeks?|周|个?星期", "week"),
    (r"months?|个月", "month"),
    (r"years?|年", "year"),
    (r"hours?|个?小时", "hour"),
    (r"minutes?|分钟", "minute"),
    (r"%|percent|per cent", "percent"),
    (r"€|eur\b|euros?|欧元", "euro"),
    (r"£|gbp\b|pounds?|英镑", "pound"),
    (r"\$|usd\b|dollars?|美元", "dollar"),
    (r"元|人民币", "yuan"),
    (r"kg\b|kilos?|公斤|千克", "kilogram"),
    (r"points?|积分", "point"),
    (r"cm\b|厘米", "centimetre"),
];
const WORDS: [(&str, &str); 18] = [
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("twelve", "12"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("twenty-one", "21"),
    ("twenty-eight", "28"),
    ("thirty", "30"),
    ("sixty", "60"),
];

/// A number before its unit, and a currency's sign before its number.
static QUANTITIES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let words = WORDS.map(|(word, _)| word).join("|");
    let number = format!(r"([0-9]+(?:[.,][0-9]+)?|\b(?:{words})\b)");
    let after = UNITS.map(|(pattern, unit)| (format!(r"(?i){number}[\s-]?(?:{pattern})"), unit));
    let before = [("€", "euro"), ("£", "pound"), (r"\$", "dollar"), ("¥", "yuan")];
    let before = before.map(|(sign, unit)| (format!(r"{sign}\s?([0-9]+(?:[.,][0-9]+)?)"), unit));
    let all = after.into_iter().chain(before);
    all.map(|(pattern, unit)| (Regex::new(&pattern).expect("a literal pattern"), unit)).collect()
});

fn quantities(text: &str) -> BTreeSet<Quantity> {
    let found = QUANTITIES.iter().flat_map(|(pattern, unit)| {
        pattern.captures_iter(text).filter_map(|captures| Some((*unit, normalised(captures.get(1)?.as_str()))))
    });
    found.collect()
}

/// `9,90` and `9.90` are one number, and so are `thirty` and `30`.
fn normalised(number: &str) -> String {
    let number = number.to_lowercase().replace(',', ".");
    let digits = WORDS.iter().find(|(word, _)| *word == number).map_or(number.as_str(), |(_, digits)| digits);
    let without_zeros = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    without_zeros.to_owned()
}

/// Words with a capital inside a sentence.
fn names(text: &str) -> BTreeSet<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let inside = words.windows(2).filter(|pair| !pair[0].ends_with(['.', '!', '?', ':', '•'])).map(|pair| pair[1]);
    let letters = inside.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let names = letters.filter(|word| word.starts_with(char::is_uppercase) && !matches!(*word, "I" | "EUR" | "GBP"));
    names.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_compared_by_unit_whatever_they_are_written_like() {
        let of = |text: &str| {
            quantities(text).into_iter().map(|(unit, number)| format!("{number} {unit}")).collect::<Vec<_>>()
        };
        assert_eq!(of("Within thirty days, or 2 weeks."), ["30 day", "2 week"]);
        assert_eq!(of("It costs €9.90 or 9,90 EUR."), ["9.9 euro"]);
        assert_eq!(of("3 working days"), ["3 working day"]);
        assert_eq!(of("30天内，运费5欧元"), ["30 day", "5 euro"]);
        let differ = |one: &str, other: &str| differ(&quantities(one), &quantities(other));
        assert!(differ("You have 14 days.", "You have 30 days, for 5 €."));
        assert!(!differ("You have 14 days.", "You have 14 days, in winter 30 days."));
        assert!(!differ("You have 14 days.", "It costs 30 euros."));
    }
}
