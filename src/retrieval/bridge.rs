//! A bridge of words between the languages: which words of a text are known in the other language, so that a translation
//! can be checked against its source. Finding passages across languages is the work of `concepts`.

use std::{collections::HashMap, sync::LazyLock};

use super::lexical::{Term, terms};
use crate::{language::is_han, message::Language};

#[derive(Debug, Default)]
struct Bridge {
    /// Chinese word to English words.
    to_english: HashMap<String, Vec<String>>,
    /// Stems of an English word or phrase, joined by spaces, to Chinese words.
    to_chinese: HashMap<String, Vec<String>>,
    chinese_longest: usize,
    english_longest: usize,
}

static BRIDGE: LazyLock<Bridge> = LazyLock::new(|| {
    let mut bridge = Bridge::default();
    for line in include_str!("lexicon.csv").lines().skip(1) {
        let Some((english, chinese)) = line.split_once(';') else { continue };
        let english: Vec<&str> = english.split('|').collect();
        let chinese: Vec<&str> = chinese.split('|').collect();
        for word in &chinese {
            bridge.chinese_longest = bridge.chinese_longest.max(word.chars().count());
            let known = bridge.to_english.entry((*word).to_owned()).or_default();
            known.extend(english.iter().map(|word| (*word).to_owned()));
        }
        for word in &english {
            let stems = stems(word);
            bridge.english_longest = bridge.english_longest.max(stems.len());
            bridge.to_chinese.entry(stems.join(" ")).or_default().extend(chinese.iter().map(|word| (*word).to_owned()));
        }
    }
    bridge
});

fn stems(text: &str) -> Vec<String> {
    terms(text).into_iter().map(|term| term.text).collect()
}

/// The words of the other language for what is known of `text`, as one text; names and numbers are kept. Each word of
/// the result stands for one word of `text`: the alternatives of one word share a group.
pub fn across(text: &str, from: Language) -> Vec<Vec<String>> {
    match from {
        Language::Zh => from_chinese(text),
        Language::En => from_english(text),
    }
}

/// Share of the words of `source` known to the bridge that `translation` says in one of their ways, 0 to 1; 1 when the
/// bridge knows none of them.
pub fn kept_share(source: &str, from: Language, translation: &str) -> f32 {
    let said: Vec<String> = stems(translation);
    let has = |word: &String| said.contains(word) || (from == Language::En && translation.contains(word.as_str()));
    let own: Vec<String> = stems(source);
    let known: Vec<Vec<String>> = across(source, from)
        .into_iter()
        .filter(|group| !group.is_empty() && !group.iter().all(|word| own.contains(word)))
        .collect();
    if known.is_empty() {
        return 1.0;
    }
    known.iter().filter(|group| group.iter().any(has)).count() as f32 / known.len() as f32
}

/// A translation in which words that were left in the language of its source are put into the other one, where the
/// bridge knows them; a run of characters only as a whole.
pub fn completed(translation: &str, to: Language) -> String {
    match to {
        Language::En => completed_in_english(translation),
        Language::Zh => completed_in_chinese(translation),
    }
}

fn completed_in_english(translation: &str) -> String {
    let mut text = String::new();
    let mut rest = translation;
    while let Some(begin) = rest.find(is_han) {
        let (before, from) = rest.split_at(begin);
        let (run, after) = from.split_at(from.find(|c| !is_han(c)).unwrap_or(from.len()));
        text.push_str(before);
        match in_english(run) {
            Some(words) => {
                if text.ends_with(char::is_alphanumeric) {
                    text.push(' ');
                }
                text.push_str(&words);
                if after.starts_with(char::is_alphanumeric) {
                    text.push(' ');
                }
            }
            None => text.push_str(run),
        }
        rest = after;
    }
    text + rest
}

/// `None` when a part of the run is not known.
fn in_english(run: &str) -> Option<String> {
    let characters: Vec<char> = run.chars().collect();
    let mut words: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let longest = BRIDGE.chinese_longest.min(characters.len() - at);
        let (length, english) = (1..=longest).rev().find_map(|length| {
            let word: String = characters[at..at + length].iter().collect();
            BRIDGE.to_english.get(&word).and_then(|ways| ways.first()).map(|way| (length, way))
        })?;
        words.push(english);
        at += length;
    }
    Some(words.join(" "))
}

fn completed_in_chinese(translation: &str) -> String {
    let mut text = String::new();
    for piece in translation.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        let known = BRIDGE.to_chinese.get(&stems(word).join(" ")).and_then(|ways| ways.first());
        match known.filter(|_| word.len() > 2) {
            Some(chinese) => {
                text.truncate(text.trim_end_matches(' ').len());
                text.push_str(chinese);
                text.push_str(piece[word.len()..].trim_start_matches(' '));
            }
            None => text.push_str(piece),
        }
    }
    text
}

/// Whether a Chinese text says an English name in a way that the bridge knows.
pub fn names_place(name: &str, chinese: &str) -> bool {
    let known = BRIDGE.to_chinese.get(&stems(name).join(" "));
    known.is_some_and(|ways| ways.iter().any(|way| chinese.contains(way.as_str())))
}

fn from_chinese(text: &str) -> Vec<Vec<String>> {
    let characters: Vec<char> = text.chars().collect();
    let mut unknown = String::new();
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        if !is_han(characters[at]) {
            unknown.push(' ');
            at += 1;
            continue;
        }
        let longest = BRIDGE.chinese_longest.min(characters.len() - at);
        let known = (1..=longest).rev().find_map(|length| {
            let word: String = characters[at..at + length].iter().collect();
            BRIDGE.to_english.get(&word).map(|english| (length, english))
        });
        match known {
            Some((length, english)) => {
                groups.push(english.iter().flat_map(|word| stems(word)).collect());
                unknown.push(' ');
                at += length;
            }
            None => {
                unknown.push(characters[at]);
                at += 1;
            }
        }
    }
    // What the bridge does not know still counts as said, so that one known word does not cover a whole question.
    groups.extend(
        terms(&unknown)
            .into_iter()
            .filter(|term| !term.stop && !term.text.starts_with('·'))
            .map(|term| vec![term.text]),
    );
    groups.extend(kept(text));
    groups
}

fn from_english(text: &str) -> Vec<Vec<String>> {
    let said = terms(text);
    let words: Vec<String> = said.iter().map(|term| term.text.clone()).collect();
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let longest = BRIDGE.english_longest.min(words.len() - at);
        let known = (1..=longest)
            .rev()
            .find_map(|length| BRIDGE.to_chinese.get(&words[at..at + length].join(" ")).map(|found| (length, found)));
        match known {
            Some((length, chinese)) => {
                groups.push(chinese.iter().flat_map(|word| stems(word)).collect());
                at += length;
            }
            None => {
                if !said[at].stop {
                    groups.push(vec![words[at].clone()]);
                }
                at += 1;
            }
        }
    }
    groups
}

/// Latin names and numbers read the same in both languages.
fn kept(text: &str) -> Vec<Vec<String>> {
    let name = |term: &Term| !term.stop && term.text.is_ascii() && term.text.len() > 1;
    let capital: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.chars().next().is_some_and(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
        .map(str::to_ascii_lowercase)
        .collect();
    let named = |term: &Term| capital.iter().any(|word| word.starts_with(&term.text) || *word == term.text);
    terms(text).into_iter().filter(|term| name(term) && named(term)).map(|term| vec![term.text]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cross_in_both_directions() {
        let words = |groups: Vec<Vec<String>>| groups.concat();
        assert!(words(across("笔记本电脑保修多少个月？", Language::Zh)).contains(&"laptop".to_owned()));
        assert!(words(across("Orbit X配哪个充电器？", Language::Zh)).contains(&"orbit".to_owned()));
        assert!(words(across("Can I pay with Alipay?", Language::En)).contains(&"支付宝".to_owned()));
        let left = "Both the online shop and the store take支付宝 and 微信 payment.";
        assert_eq!(completed(left, Language::En), "Both the online shop and the store take Alipay and WeChat payment.");
        assert_eq!(completed("天气 is fine.", Language::En), "天气 is fine.");
        assert_eq!(completed("门店 Tuesday至周六营业，DHL 送货", Language::Zh), "门店星期二至周六营业，DHL 送货");
        assert!(across("天气", Language::Zh).iter().flatten().all(|word| !word.is_empty()));
    }
}
