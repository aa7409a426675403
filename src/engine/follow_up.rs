//! Whether a message continues the question before it ("and for boots?", "关税谁出？"), so that both are looked up.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use crate::{
    conversation::Exchange,
    language::is_han,
    retrieval::lexical::{content_words, terms},
};

/// A question with more words than this is not completed by putting another thing into it.
const COMPLETED_WORDS_MAX: usize = 24;
/// A message of more words than this says what it is about.
const SHORT_WORDS_MAX: usize = 6;
/// Words that a mere name of another thing does not have.
const ASKS_EN: &[&str] = &[
    "is", "are", "was", "do", "does", "did", "can", "could", "will", "would", "should", "may", "must", "have", "has",
    "how", "what", "when", "where", "which", "who", "why", "if", "much", "many", "long", "i", "you", "it", "that",
    "this", "them", "they", "there", "one", "ones", "cheaper", "more", "less", "please", "thanks", "yes", "no", "not",
];

/// Ways to begin that point back.
const OPENERS_EN: &[&str] = &[
    "and ",
    "what about",
    "how about",
    "also ",
    "or ",
    "but ",
    "then ",
    "so ",
    "only ",
    "just ",
    "ok and",
    "okay and",
    "thanks, and",
    "thanks and",
    "what if",
    "same for",
    "for ",
];
const OPENERS_ZH: &[&str] =
    &["那", "还有", "另外", "如果", "那么", "只要", "可是", "但是", "换成", "再", "从哪", "到哪"];
/// Words that stand for something said before.
const POINTERS_EN: &[&str] =
    &["it", "its", "that", "this", "these", "those", "they", "them", "there", "one", "ones", "same", "instead", "else"];
const POINTERS_ZH: &[&str] = &["它", "这个", "那个", "这种", "那种", "这些", "那些", "其中", "同样", "呢"];

/// The earlier question that a message continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowUp<'a> {
    /// What was asked before.
    pub question: &'a str,
    /// The message says so itself, by pointing back or by how it begins; else it is only short.
    pub is_certain: bool,
}

/// The earlier question that `text` continues, if it does.
///
/// A message that points back or begins as a continuation does; so does a very short one, which mostly names nothing of
/// its own.
pub fn follow_up<'a>(text: &str, last: Option<&'a Exchange>) -> Option<FollowUp<'a>> {
    let last = last?;
    let lower = text.trim().to_lowercase();
    let content = terms(&lower).into_iter().filter(|term| !term.stop && !term.text.starts_with('·')).count();
    let chinese = lower.chars().any(is_han);
    let opens = OPENERS_EN.iter().any(|opener| lower.starts_with(opener))
        || OPENERS_ZH.iter().any(|opener| lower.starts_with(opener));
    let mut words = lower.split(|c: char| !c.is_alphanumeric() && c != '\'');
    let points = words.any(|word| POINTERS_EN.contains(&word)) || POINTERS_ZH.iter().any(|word| lower.contains(word));
    let short = content <= if chinese { 4 } else { 3 } && lower.split_whitespace().count() <= SHORT_WORDS_MAX;
    let is_certain = opens || (points && content <= 6);
    (is_certain || short).then_some(FollowUp { question: &last.question, is_certain })
}

/// The other thing that a message asks the same about: "a tent" of "and for a tent?", "茶叶" of "那茶叶呢？".
pub fn other_thing(text: &str) -> Option<&str> {
    static EN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix)^\s*(?:(?:ok|okay|thanks|thank\ you|great)[,.!]?\s+)?
            (?:(?:and|but|or|then|so)\s+(?:(?:what|how)\ about\s+|(?:for|to|in|with|on|from|of)\s+)?|(?:what|how)\ about\s+|same\ for\s+)
            (?:(?:for|to|in|with|on|from)\s+)?(?:(?:the|an?|my|your|some)\s+)?(?P<thing>[\w'’\-]+(?:\s+[\w'’\-]+){0,2})\s*[?.!]*\s*$",
        )
        .expect("a regex")
    });
    static ZH: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*(?:那么?|还有|换成|另外)?(?P<thing>[\p{Han}A-Za-z0-9]{1,8}?)呢\s*[？?。]*\s*$")
            .expect("a regex")
    });
    let thing = if text.chars().any(is_han) { ZH.captures(text) } else { EN.captures(text) }?.name("thing")?.as_str();
    let asks = thing.split_whitespace().any(|word| ASKS_EN.contains(&word.to_lowercase().as_str()));
    (!asks && !content_words(thing).is_empty()).then_some(thing)
}

/// The parts of a question in whose place another thing could be asked about: its words that say something, and pairs
/// of them. None for a question that is too long to be about one thing.
pub fn places(question: &str) -> Vec<Range<usize>> {
    let mut words = content_words(question);
    // "How long is the guarantee?" about rucksacks is not "How rucksacks is the guarantee?".
    words.retain(|word| !ASKS_EN.contains(&question[word.clone()].to_lowercase().as_str()));
    if words.len() > COMPLETED_WORDS_MAX {
        return Vec::new();
    }
    let pairs = words.windows(2).filter(|pair| question[pair[0].end..pair[1].start].trim().is_empty());
    let pairs = pairs.map(|pair| pair[0].start..pair[1].end).collect::<Vec<_>>();
    words.into_iter().chain(pairs).collect()
}

/// `question` about `thing` where it named nothing.
pub fn about(question: &str, thing: &str) -> String {
    if question.chars().any(is_han) {
        return format!("{thing}{question}");
    }
    let asked = question.trim_end_matches(['?', '.', '!', ' ']);
    format!("{asked} for {thing}?")
}

/// `question` about `thing` instead of what stands at `place`.
pub fn completed(question: &str, place: &Range<usize>, thing: &str) -> String {
    format!("{}{thing}{}", &question[..place.start], &question[place.end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(question: &str) -> Exchange {
        Exchange {
            question: question.to_owned(),
            reply: String::new(),
            intent: String::new(),
            declined: false,
            chunks: vec![],
            products: vec![],
        }
    }

    #[test]
    fn continuations_are_seen_in_both_languages() {
        let last = after("How long can I return shoes?");
        for text in ["and for boots?", "Do I pay for the label?", "what about sale items", "那靴子呢？", "关税谁出？"]
        {
            assert!(follow_up(text, Some(&last)).is_some(), "{text}");
        }
    }

    #[test]
    fn a_question_of_its_own_stands_alone() {
        let last = after("How long can I return shoes?");
        for text in
            ["Which payment methods do you accept in your Paris store?", "你们的巴黎门店支持哪些付款方式和优惠券"]
        {
            assert_eq!(follow_up(text, Some(&last)), None, "{text}");
        }
        assert_eq!(follow_up("and for boots?", None), None);
        assert_eq!(follow_up("When do you take the money from my Visa?", Some(&last)), None);
        let certain = |text| follow_up(text, Some(&last)).is_some_and(|follow_up| follow_up.is_certain);
        assert!(certain("and for boots?") && !certain("Do you take PayPal?"));
    }

    #[test]
    fn the_other_thing_is_found_and_put_in_its_place() {
        let things = [
            ("and a tent?", "tent"),
            ("And for sleeping bags?", "sleeping bags"),
            ("what about France", "France"),
            ("Ok, and to Keswick?", "Keswick"),
            ("那茶叶呢？", "茶叶"),
            ("帐篷呢", "帐篷"),
        ];
        for (text, thing) in things {
            assert_eq!(other_thing(text), Some(thing), "{text}");
        }
        for text in
            ["and how many nights at most?", "and is it free?", "thanks", "Do you take PayPal?", "那要几天能到？"]
        {
            assert_eq!(other_thing(text), None, "{text}");
        }
        let question = "How long can I return hiking boots?";
        let shown: Vec<&str> = places(question).into_iter().map(|place| &question[place]).collect();
        assert!(shown.contains(&"hiking boots") && shown.contains(&"boots") && !shown.contains(&"can"), "{shown:?}");
        assert!(places("How long is the guarantee?").iter().all(|place| place.start > 4), "no question word goes");
        assert_eq!(completed(question, &(22..34), "tent"), "How long can I return tent?");
        assert_eq!(about("What is the return period?", "tents"), "What is the return period for tents?");
        assert_eq!(about("退货期限是多久？", "帐篷"), "帐篷退货期限是多久？");
    }
}
