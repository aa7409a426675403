//! Personal data in a shopper's words: found by form, and masked before the words reach a prompt, a log or the index.
//!
//! Masking is idempotent: what stands in brackets, such as `[email]`, is never found again.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

/// What kind of personal data was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PersonalData {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A payment card's number (Luhn-checked).
    Card,
    /// A bank account (IBAN).
    BankAccount,
    /// A passport or identity card number.
    IdentityDocument,
}

impl PersonalData {
    /// What stands in its place.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
            Self::BankAccount => "[account]",
            Self::IdentityDocument => "[identity number]",
        }
    }

    /// What nobody should send in a chat, and no transcript keeps.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Card | Self::BankAccount | Self::IdentityDocument)
    }
}

/// Personal data at a place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: PersonalData,
    /// Where, in bytes.
    pub range: Range<usize>,
}

static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)[a-z0-9._%+'-]+@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*\.[a-z]{2,24}"));
static CARD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9](?:[ -]?[0-9]){12,18}"));
static IBAN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"));
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\+[0-9](?:[ ().-]{0,2}[0-9]){7,14}|\(?\b0[0-9](?:[ ()/.-]{0,2}[0-9]){7,11}|1[3-9][0-9](?:[ -]?[0-9]{4}){2}",
    )
});
static IDENTITY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:passport|护照|identity card|id card|id number|身份证)(?:\s*(?:no\.?|number|号码|号|is|是|[:：#]))*\s*([a-z]{0,3}[0-9][0-9a-z]{5,17})|([1-9][0-9]{16}[0-9xX])",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a literal pattern")
}

/// Personal data in `text`, in order and without overlaps.
pub fn find(text: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut add = |kind, range: Range<usize>| {
        if !findings.iter().any(|found| found.range.start < range.end && range.start < found.range.end) {
            findings.push(Finding { kind, range });
        }
    };
    for found in EMAIL.find_iter(text) {
        add(PersonalData::Email, found.range());
    }
    for found in IDENTITY.captures_iter(text) {
        if let Some(number) = found.get(1).or(found.get(2)) {
            add(PersonalData::IdentityDocument, number.range());
        }
    }
    for found in IBAN.find_iter(text) {
        add(PersonalData::BankAccount, found.range());
    }
    for found in CARD.find_iter(text).filter(|found| stands_alone(text, found.range()) && luhn(found.as_str())) {
        add(PersonalData::Card, found.range());
    }
    for found in PHONE.find_iter(text).filter(|found| stands_alone(text, found.range())) {
        add(PersonalData::Phone, found.range());
    }
    findings.sort_by_key(|found| found.range.start);
    findings
}

/// Digits or letters around a number make it part of something else, such as an order or tracking number.
fn stands_alone(text: &str, range: Range<usize>) -> bool {
    let joined = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text[..range.start].chars().next_back().is_some_and(joined)
        && !text[range.end..].chars().next().is_some_and(joined)
}

/// The check digit rule of payment cards (ISO/IEC 7812, Luhn).
fn luhn(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(position, digit)| if position % 2 == 0 { *digit } else { (digit * 2) / 10 + (digit * 2) % 10 })
        .sum();
    digits.len() >= 13 && sum.is_multiple_of(10)
}

/// `text` with all personal data masked.
pub fn mask(text: &str) -> String {
    replace(text, |_| true)
}

/// `text` with card, account and identity numbers masked: what a transcript keeps, so that staff can still call back.
pub fn mask_secrets(text: &str) -> String {
    replace(text, PersonalData::is_secret)
}

fn replace(text: &str, chosen: impl Fn(PersonalData) -> bool) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for finding in find(text).into_iter().filter(|finding| chosen(finding.kind)) {
        masked.push_str(&text[end..finding.range.start]);
        masked.push_str(finding.kind.placeholder());
        end = finding.range.end;
    }
    masked.push_str(&text[end..]);
    masked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_is_masked() {
        for (text, masked) in [
            ("write to anna.b@shop.example please", "write to [email] please"),
            ("邮箱anna@shop.example，电话13812345678。", "邮箱[email]，电话[phone]。"),
            ("call +32 475 55 01 13 or 03 555 01 87", "call [phone] or [phone]"),
            ("card 4111 1111 1111 1111 exp 08/29", "card [card] exp 08/29"),
            ("IBAN BE68 5390 0754 7034", "IBAN [account]"),
            ("passport no. EK221907, hi", "passport no. [identity number], hi"),
            ("护照号E12345678，住根特", "护照号[identity number]，住根特"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }

    #[test]
    fn numbers_of_the_shop_stay() {
        for text in
            ["BR-51040", "order 10482", "tracking KP7305518842", "€1,200.00", "2026-11-24 10:00", "1234 5678 9012 3456"]
        {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn a_transcript_keeps_how_to_reach_the_shopper_but_no_card() {
        let text = "a@b.example 4111111111111111";
        assert_eq!(mask_secrets(text), "a@b.example [card]");
    }

    proptest! {
        #[test]
        fn masking_twice_changes_nothing(text in "[a-z0-9@.+ ()\\-A-Z护照号]{0,60}") {
            let once = mask(&text);
            prop_assert_eq!(mask(&once), once);
        }
    }
}
