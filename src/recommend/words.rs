//! Words of two languages as one vocabulary: English words are stemmed, Chinese ones are cut by the longest match, and a
//! word of the lexicon becomes its concept (`耳机`, `earphones` and `headphones` are one term).

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::LazyLock,
};

use serde::Deserialize;

use crate::{language::is_han, message::Language};

/// What sort of word a concept is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Says nothing about the product: articles, "do you have", "recommend".
    Filler,
    /// The name of a property: weight, battery.
    Measure,
    /// An adjective for little of the parent measure.
    Low,
    /// An adjective for much of the parent measure.
    High,
    /// A colour.
    Colour,
    /// What something is made of.
    Material,
    /// A property that is there or not.
    Feature,
    /// For whom.
    Person,
    /// What the shop does rather than what it sells.
    Service,
    /// A kind of product.
    Thing,
    /// An occasion or a use.
    Theme,
    /// Not in the lexicon.
    #[serde(skip)]
    Unknown,
}

#[derive(Deserialize)]
struct Row {
    kind: Kind,
    parent: String,
    english: String,
    chinese: String,
}

/// One concept of the lexicon.
#[derive(Debug)]
pub struct Concept {
    /// What sort of word it is.
    pub kind: Kind,
    /// The wider concept, or the measure of an adjective.
    pub parent: Option<String>,
    /// Its usual Chinese word, if it has one.
    pub chinese: Option<String>,
}

/// The general commerce words that the program ships, in English and Chinese.
#[derive(Debug)]
pub struct Lexicon {
    concepts: HashMap<String, Concept>,
    /// Stems joined by a space -> concept.
    english: HashMap<String, String>,
    english_words_max: usize,
    chinese: HashMap<String, String>,
    chinese_chars_max: usize,
}

/// The lexicon, read once.
pub static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::parse(include_str!("lexicon.csv")));

impl Lexicon {
    fn parse(csv_text: &str) -> Self {
        let mut lexicon = Self {
            concepts: HashMap::new(),
            english: HashMap::new(),
            english_words_max: 1,
            chinese: HashMap::new(),
            chinese_chars_max: 1,
        };
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(csv_text.as_bytes());
        for row in reader.deserialize::<Row>().flatten() {
            lexicon.add(&row);
        }
        lexicon
    }

    fn add(&mut self, row: &Row) {
        let chinese: Vec<&str> = row.chinese.split('|').map(str::trim).filter(|word| !word.is_empty()).collect();
        let mut name = row.english.split('|').next().unwrap_or_default().trim().to_owned();
        // Two adjectives may share their first word with a thing or a measure; the concept's name must not.
        if matches!(row.kind, Kind::Low | Kind::High) {
            name = format!("{name} ({})", row.parent);
        }
        for phrase in row.english.split('|') {
            let stems: Vec<String> = latin_words(phrase).iter().map(|(word, _)| stem(word)).collect();
            self.english_words_max = self.english_words_max.max(stems.len());
            self.english.entry(stems.join(" ")).or_insert_with(|| name.clone());
        }
        for word in &chinese {
            self.chinese_chars_max = self.chinese_chars_max.max(word.chars().count());
            self.chinese.entry((*word).to_owned()).or_insert_with(|| name.clone());
        }
        let parent = (!row.parent.is_empty()).then(|| row.parent.clone());
        let chinese = chinese.first().map(|word| (*word).to_owned());
        self.concepts.entry(name).or_insert(Concept { kind: row.kind, parent, chinese });
    }

    /// A concept by its name.
    pub fn concept(&self, name: &str) -> Option<&Concept> {
        self.concepts.get(name)
    }

    /// Whether `narrow` is `wide` or one of its kinds ("earbuds" are "headphones").
    pub fn is_a(&self, narrow: &str, wide: &str) -> bool {
        let mut name = narrow;
        for _ in 0..6 {
            if name == wide {
                return true;
            }
            match self.concepts.get(name).filter(|concept| !matches!(concept.kind, Kind::Low | Kind::High)) {
                Some(Concept { parent: Some(parent), .. }) => name = parent,
                _ => return false,
            }
        }
        false
    }

    /// The word a shopper reads for a concept or, when it is none, the word itself.
    pub fn word<'a>(&'a self, name: &'a str, language: Language) -> &'a str {
        match (language, self.concepts.get(name)) {
            (Language::Zh, Some(Concept { chinese: Some(chinese), .. })) => chinese,
            _ => name,
        }
    }

    fn has_english(&self, stem: &str) -> bool {
        self.english.contains_key(stem)
    }

    fn corrected(&self, word: &str) -> Option<&String> {
        nearest(word, self.english.keys().filter(|key| !key.contains(' '))).and_then(|key| self.english.get(key))
    }
}

/// One word of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// The concept's name, or the stem of a word that the lexicon lacks, or a run of Chinese characters.
    pub term: String,
    /// What sort of word it is.
    pub kind: Kind,
    /// Bytes of the text.
    pub span: Range<usize>,
}

/// Cuts a text into terms. Product texts and questions go through the same cut, so that they meet.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = vec![];
    let mut latin: Vec<(String, Range<usize>)> = vec![];
    let mut position = 0;
    while let Some(c) = text[position..].chars().next() {
        let run = |keep: fn(char) -> bool| text[position..].find(|c| !keep(c)).map_or(text.len(), |end| position + end);
        if is_han(c) {
            push_latin(text, &mut found, &mut latin);
            let end = run(is_han);
            push_han(&mut found, text, position..end);
            position = end;
        } else if is_word(c) {
            let end = run(is_word);
            latin.push((text[position..end].to_lowercase(), position..end));
            position = end;
        } else {
            // A clause ends here: no phrase reaches over it.
            if matches!(c, ',' | ';' | '.' | '?' | '!' | '，' | '。' | '？' | '！' | '、' | '；' | '\n' | '(' | ')')
            {
                push_latin(text, &mut found, &mut latin);
            }
            position += c.len_utf8();
        }
    }
    push_latin(text, &mut found, &mut latin);
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() && !is_han(c)
}

fn push_latin(text: &str, found: &mut Vec<Token>, words: &mut Vec<(String, Range<usize>)>) {
    let words: Vec<(String, Range<usize>)> = merge_apostrophes(text, std::mem::take(words));
    let stems: Vec<String> = words.iter().map(|(word, _)| stem(word)).collect();
    let mut at = 0;
    while at < words.len() {
        let longest = LEXICON.english_words_max.min(words.len() - at);
        let hit = (1..=longest).rev().find_map(|length| {
            let name = LEXICON.english.get(&stems[at..at + length].join(" "))?;
            Some((length, name.clone()))
        });
        let (length, name) = match hit {
            Some((length, name)) => (length, Some(name)),
            None => (1, LEXICON.corrected(&stems[at]).cloned()),
        };
        let kind = name.as_deref().and_then(|name| LEXICON.concept(name)).map_or(Kind::Unknown, |concept| concept.kind);
        let term = name.unwrap_or_else(|| stems[at].clone());
        found.push(Token { term, kind, span: words[at].1.start..words[at + length - 1].1.end });
        at += length;
    }
}

/// "don't" and "men's" arrive as two words; the lexicon has them as one.
fn merge_apostrophes(text: &str, words: Vec<(String, Range<usize>)>) -> Vec<(String, Range<usize>)> {
    let mut merged: Vec<(String, Range<usize>)> = vec![];
    for (word, span) in words {
        match merged.last_mut() {
            Some((last, last_span))
                if matches!(word.as_str(), "t" | "s" | "m" | "re" | "ve" | "ll" | "d")
                    && matches!(&text[last_span.end..span.start], "'" | "’")
                    && (word != "t" || last.ends_with('n')) =>
            {
                if word != "s" {
                    last.push_str(&word);
                }
                last_span.end = span.end;
            }
            _ => merged.push((word, span)),
        }
    }
    merged
}

fn push_han(found: &mut Vec<Token>, text: &str, run: Range<usize>) {
    let mut position = run.start;
    while position < run.end {
        let starts: Vec<usize> = text[position..run.end]
            .char_indices()
            .map(|(at, c)| position + at + c.len_utf8())
            .take(LEXICON.chinese_chars_max)
            .collect();
        let hit = starts.iter().rev().find_map(|end| {
            let name = LEXICON.chinese.get(&text[position..*end])?;
            Some((*end, name.clone()))
        });
        if let Some((end, name)) = hit {
            let kind = LEXICON.concept(&name).map_or(Kind::Unknown, |concept| concept.kind);
            match found.last_mut().filter(|last| is_open_run(last, position) && stands_in_names(kind, end - position)) {
                Some(last) => {
                    last.term.push_str(&text[position..end]);
                    last.span.end = end;
                }
                None => found.push(Token { term: name, kind, span: position..end }),
            }
            position = end;
            continue;
        }
        let end = starts.first().copied().unwrap_or(run.end);
        match found.last_mut() {
            // Characters that no word explains stand together.
            Some(last) if is_open_run(last, position) => {
                last.term.push_str(&text[position..end]);
                last.span.end = end;
            }
            Some(last) if last.span.end == position && stands_in_names(last.kind, last.span.len()) => {
                text[last.span.start..end].clone_into(&mut last.term);
                last.kind = Kind::Unknown;
                last.span.end = end;
            }
            _ => {
                let term = text[position..end].to_owned();
                found.push(Token { term, kind: Kind::Unknown, span: position..end });
            }
        }
        position = end;
    }
}

/// A run of unexplained Chinese that goes on at `position`.
fn is_open_run(last: &Token, position: usize) -> bool {
    last.kind == Kind::Unknown && last.span.end == position && last.term.chars().all(is_han)
}

/// A single character for a colour or an adjective beside unexplained ones is part of a longer word (白 in 明白).
fn stands_in_names(kind: Kind, bytes: usize) -> bool {
    bytes <= '白'.len_utf8() && matches!(kind, Kind::Colour | Kind::Low | Kind::High)
}

/// Latin words and numbers of a text in lower case, with their bytes.
pub fn latin_words(text: &str) -> Vec<(String, Range<usize>)> {
    let mut words: Vec<(String, Range<usize>)> = vec![];
    for (at, c) in text.char_indices() {
        if !is_word(c) {
            continue;
        }
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some((word, span)) if span.end == at => {
                word.extend(c.to_lowercase());
                span.end = end;
            }
            _ => words.push((c.to_lowercase().collect(), at..end)),
        }
    }
    words
}

/// The singular of a regular English plural; other words unchanged.
pub fn stem(word: &str) -> String {
    let long_enough = word.len() > 3 && word.is_ascii();
    if !long_enough || !word.ends_with('s') || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return word.to_owned();
    }
    if let Some(root) = word.strip_suffix("ies")
        && root.len() > 1
    {
        return format!("{root}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    word[..word.len() - 1].to_owned()
}

/// The word among `known` that `word` misspells: one wrong letter from six letters on, two from ten on.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let length = word.chars().count();
    let allowed = match length {
        0..=5 => return None,
        6..=9 => 1,
        _ => 2,
    };
    if !word.chars().all(char::is_alphabetic) || word.chars().any(is_han) {
        return None;
    }
    known
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed && candidate.len() >= 6)
        .filter(|candidate| candidate.chars().next() == word.chars().next())
        // Another ending is another word: to charge is no charger.
        .filter(|candidate| !candidate.starts_with(word) && !word.starts_with(candidate.as_str()))
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance with swaps of neighbours (optimal string alignment), in characters.
pub fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = vec![];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut cost = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left[i - 1] == *b && right[j - 1] == *a {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// A text's terms without fillers, each once.
pub fn terms(text: &str) -> BTreeSet<String> {
    tokens(text).into_iter().filter(|token| token.kind != Kind::Filler).map(|token| token.term).collect()
}

/// Whether the lexicon knows an English word.
pub fn is_common(word: &str) -> bool {
    LEXICON.has_english(&stem(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        tokens(text).into_iter().filter(|token| token.kind != Kind::Filler).map(|token| token.term).collect()
    }

    #[test]
    fn every_row_of_the_lexicon_is_read() {
        let rows = include_str!("lexicon.csv").lines().count() - 1;
        let read = csv::ReaderBuilder::new()
            .delimiter(b';')
            .from_reader(include_str!("lexicon.csv").as_bytes())
            .deserialize::<Row>()
            .flatten()
            .count();
        assert_eq!(read, rows);
    }

    #[test]
    fn both_languages_meet_in_one_concept() {
        assert_eq!(found("Noise-cancelling earphones"), found("降噪耳机"));
        assert_eq!(found("有没有红色的手机壳"), ["red", "phone case"]);
        assert_eq!(found("smartphones for kids"), ["phone", "kid"]);
        assert!(LEXICON.is_a("earbuds", "headphones") && !LEXICON.is_a("headphones", "earbuds"));
    }

    #[test]
    fn typing_mistakes_in_long_words_are_forgiven() {
        assert_eq!(found("wirless headphnoes"), ["wireless", "headphones"]);
        assert_eq!(found("gizmo"), ["gizmo"]);
    }

    #[test]
    fn neighbouring_letters_swapped_count_once() {
        assert_eq!(edit_distance("headphnoes", "headphones"), 1);
        assert_eq!(edit_distance("", "abc"), 3);
    }
}
