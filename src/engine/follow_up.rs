//! Whether a message continues the question before it ("and for boots?", "关税谁出？"), so that both are looked up.

use crate::{conversation::Exchange, language::is_han, retrieval::lexical::terms};

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
    let short = content <= if chinese { 4 } else { 3 };
    let is_certain = opens || (points && content <= 6);
    (is_certain || short).then_some(FollowUp { question: &last.question, is_certain })
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
        let certain = |text| follow_up(text, Some(&last)).is_some_and(|follow_up| follow_up.is_certain);
        assert!(certain("and for boots?") && !certain("Do you take PayPal?"));
    }
}
