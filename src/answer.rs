//! From a passage to a reply: the sentences or cells that answer, quoted literally, with their source; put into the
//! shopper's language by the model where the document is in another one, and only when the check lets it pass.

mod support;

use std::collections::HashSet;

pub use support::{SupportError, check_translation, numbers};

use crate::{
    knowledge::{ChunkKind, HEADING_SEPARATOR},
    language::sentences,
    message::{Citation, Language},
    retrieval::{
        Found, Passage, kinds,
        lexical::{LexicalIndex, terms},
    },
};

/// A passage up to this long is said whole; Chinese characters count twice.
const LENGTH_MAX: usize = 300;
/// A shorter answer to a frequent question, such as "No.", means nothing without its question.
const ANSWER_MIN: usize = 30;
/// What a name that the question has weighs beside its rarity: the hours of one shop are no answer about another.
const NAME: f32 = 6.0;
/// A table row with at most so many cells beside its subject is said whole.
const CELLS_MAX: usize = 5;

/// What a passage says to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Extract {
    /// The words to say.
    pub text: String,
    /// Language of the words.
    pub language: Language,
    /// Where they stand.
    pub citation: Citation,
}

/// The part of a passage that answers a question.
pub fn extract(question: &str, found: &Found, lexical: &LexicalIndex) -> Extract {
    let passage = &found.passage;
    let (text, quote) = match passage.chunk.kind {
        ChunkKind::Row => (say_row(question, passage), passage.chunk.text.clone()),
        ChunkKind::Question => (say_answer(passage), passage.chunk.text.clone()),
        ChunkKind::Text => {
            let span = answering_span(question, &passage.chunk.text, lexical);
            (span.replace('\n', " "), span)
        }
    };
    Extract { text, language: passage.chunk.language, citation: cited(found, quote) }
}

/// The sentences of a passage that say when a shop is open, after the name of their place.
pub fn opening_hours(found: &Found) -> Extract {
    let passage = &found.passage;
    let parts = sentences(&passage.chunk.text);
    let says_hours = |part: &&&str| kinds::has_clock_range(part);
    let first = parts.iter().find(says_hours).copied().unwrap_or(&passage.chunk.text);
    let last = parts.iter().rfind(says_hours).copied().unwrap_or(&passage.chunk.text);
    let quote = span(&passage.chunk.text, first, last);
    let colon = if passage.chunk.language == Language::Zh { "：" } else { ": " };
    let text = format!("{}{colon}{}", place(passage), quote.replace('\n', " "));
    Extract { text, language: passage.chunk.language, citation: cited(found, quote) }
}

fn cited(found: &Found, quote: String) -> Citation {
    Citation {
        document: found.passage.document.clone(),
        heading: found.passage.chunk.heading.clone(),
        quote,
        score: found.score,
    }
}

/// The answer to a frequent question, with the question before it where it says nothing by itself.
fn say_answer(passage: &Passage) -> String {
    let answer = &passage.chunk.text;
    match &passage.chunk.question {
        Some(question) if width(answer) < ANSWER_MIN => format!("{} {answer}", question.trim()),
        _ => answer.clone(),
    }
}

fn width(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// The sentences of a longer passage that have most of the question's words, with what follows them as long as it fits.
fn answering_span(question: &str, text: &str, lexical: &LexicalIndex) -> String {
    if width(text) <= LENGTH_MAX {
        return text.trim().to_owned();
    }
    let asked: HashSet<String> = terms(question).into_iter().filter(|term| !term.stop).map(|term| term.text).collect();
    let named = names(question);
    let parts = sentences(text);
    let weight = |sentence: &str| -> f32 {
        let said: HashSet<String> = terms(sentence).into_iter().map(|term| term.text).collect();
        let name = |term: &String| if named.contains(term) { NAME } else { 0.0 };
        asked.intersection(&said).map(|term| lexical.idf(term) + name(term)).sum()
    };
    let best = parts
        .iter()
        .enumerate()
        .map(|(place, sentence)| (weight(sentence), std::cmp::Reverse(place)))
        .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
        .map_or(0, |(_, place)| place.0);
    let (mut first, mut last) = (best, best);
    let fits =
        |first: usize, last: usize| parts[first..=last].iter().map(|part| width(part)).sum::<usize>() <= LENGTH_MAX;
    while last + 1 < parts.len() && fits(first, last + 1) {
        last += 1;
    }
    while first > 0 && fits(first - 1, last) {
        first -= 1;
    }
    span(text, parts[first], parts[last])
}

/// Terms of words with a capital inside a question: what it is about, and not merely what about it.
fn names(question: &str) -> HashSet<String> {
    let words = question.split_whitespace().skip(1);
    let capital = words.filter(|word| word.starts_with(|c: char| c.is_uppercase()));
    capital.flat_map(terms).filter(|term| !term.stop).map(|term| term.text).collect()
}

/// The part of `text` from the start of one of its slices to the end of another.
fn span(text: &str, first: &str, last: &str) -> String {
    let offset = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    text.get(offset(first)..offset(last) + last.len()).unwrap_or(first).trim().to_owned()
}

/// A table row as words: what it is about, then header and value. Of a long row, only the cells whose header the question names.
fn say_row(question: &str, passage: &Passage) -> String {
    let chinese = passage.chunk.language == Language::Zh;
    let cells: Vec<(&str, &str)> = passage
        .chunk
        .cells
        .iter()
        .map(|(header, value)| (header.trim(), value.trim()))
        .filter(|(_, value)| !matches!(*value, "" | "-" | "–" | "—"))
        .collect();
    let Some((&(_, subject), rest)) = cells.split_first() else { return passage.chunk.text.clone() };
    let asked: HashSet<String> = terms(question).into_iter().filter(|term| !term.stop).map(|term| term.text).collect();
    let overlap = |text: &str| terms(text).iter().any(|term| !term.stop && asked.contains(&term.text));
    // A value that the question names tells which row this is ("to France"). It keeps its header, for without it
    // "not covered: sand" would read as covered.
    let names_row = |value: &str| overlap(value) && !value.contains(char::is_numeric);
    // A short row is said whole, since its other cells are often the condition; of a long one only what was asked.
    let is_whole = rest.len() <= CELLS_MAX || !rest.iter().any(|(header, _)| overlap(header));
    let shown: Vec<_> = rest.iter().filter(|(header, value)| is_whole || overlap(header) || names_row(value)).collect();
    let (colon, semicolon, stop) = if chinese { ("：", "；", "。") } else { (": ", "; ", ".") };
    if shown.is_empty() {
        return format!("{subject}{stop}");
    }
    let facts: Vec<String> = shown
        .into_iter()
        .map(|(header, value)| if header.is_empty() { (*value).to_owned() } else { format!("{header}{colon}{value}") })
        .collect();
    let dash = if chinese { "——" } else { " – " };
    format!("{subject}{dash}{}{stop}", facts.join(semicolon))
}

/// The place of a passage as a person would name it: its innermost heading, else its document.
pub fn place(passage: &Passage) -> &str {
    passage
        .chunk
        .heading
        .rsplit(HEADING_SEPARATOR)
        .next()
        .filter(|heading| !heading.is_empty())
        .or(passage.chunk.question.as_deref())
        .unwrap_or(&passage.document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_about_the_named_shop_are_said() {
        let text = "Perth, 4 Thistlegate Wynd\nMonday to Friday 8:30 to 18:30, Saturday 9:00 to 17:30, Sunday 11:00 to \
                    16:00.\nOban, 1 Herring Steps\nMonday to Friday 9:00 to 17:00, Saturday 9:30 to 15:00, closed on \
                    Sundays. From June to August the Oban shop stays open until 20:00 on Fridays. All shops are closed on \
                    25 and 26 December and on 1 and 2 January.";
        let others = ["Perth has a garden.", "Classes are held in Perth.", "Perth takes returns."];
        let lexical = LexicalIndex::build([text].into_iter().chain(others));
        let said = |question: &str| answering_span(question, text, &lexical);
        assert!(said("When is the Perth shop open on Saturdays?").contains("9:00 to 17:30"));
        let oban = said("When is the Oban shop open on Saturdays?");
        assert!(oban.contains("9:30 to 15:00") && text.contains(&oban), "{oban}");
        assert_eq!(answering_span("Perth?", "Perth is closed.", &lexical), "Perth is closed.");
    }
}
