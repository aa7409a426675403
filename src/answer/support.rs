//! The check between the language model and the shopper: what it wrote must say the same numbers and names as the
//! passage, in the language that was asked for, or it is not sent.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use crate::{
    language::{detect_language, is_han},
    message::Language,
    retrieval::bridge,
};

/// Why a text was not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupportError {
    /// It has a number that the source lacks, or lacks one that the source has.
    #[error("number {0} differs from the source")]
    Number(String),
    /// It has a name that the source lacks.
    #[error("{0:?} does not stand in the source")]
    Name(String),
    /// It is in another language than was asked for.
    #[error("not in the language that was asked for")]
    Language,
    /// It leaves out or changes words whose translation is known.
    #[error("says only {0} % of the known words of the source")]
    Words(u32),
    /// It promises something else: a refund is no replacement.
    #[error("{0} stands on one side only")]
    Term(&'static str),
    /// It is empty or far longer than its source.
    #[error("length does not fit the source")]
    Length,
    /// It says no where the source does not, or the other way round.
    #[error("says yes where the source says no, or the other way round")]
    Negation,
}

/// Digits, and numbers in words where a unit follows, in their plain form: `1,200.50` is `1200.5`.
pub fn numbers(text: &str) -> BTreeSet<String> {
    let text: String = text.nfkc().collect();
    let mut found = BTreeSet::new();
    let mut number = String::new();
    let characters: Vec<char> = text.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        let next_is_digit = characters.get(at + 1).is_some_and(char::is_ascii_digit);
        if c.is_ascii_digit() || (matches!(c, '.' | ',') && !number.is_empty() && next_is_digit) {
            number.push(c);
        } else if !number.is_empty() {
            found.insert(plain(&number));
            number.clear();
        }
    }
    if !number.is_empty() {
        found.insert(plain(&number));
    }
    found
}

/// Thousands separators go, trailing zeros of decimals go.
fn plain(number: &str) -> String {
    let grouped = number
        .split(',')
        .enumerate()
        .all(|(place, group)| place == 0 || group.split('.').next().is_some_and(|digits| digits.len() == 3));
    let number = if grouped { number.replace(',', "") } else { number.replace(',', ".") };
    let number = if number.matches('.').count() == 1 && number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        number
    };
    let whole = number.trim_start_matches('0');
    if whole.is_empty() || whole.starts_with('.') { format!("0{whole}") } else { whole.to_owned() }
}

/// Share of the known words that a translation has to say.
const WORDS_KEPT_MIN: f32 = 0.6;

const NEGATION_EN: &[&str] = &[
    "not", "no", "never", "cannot", "can't", "don't", "doesn't", "isn't", "aren't", "without", "nothing", "none",
    "only", "except", "excluded", "neither", "nor", "won't", "unable", "free", "unless",
];
const NEGATION_ZH: &[&str] = &["不", "没", "无", "未", "勿", "非", "免", "仅", "只", "除", "禁", "别", "否"];

/// What a shop promises, in English and in Chinese words; each has to stand in both texts or in neither. `*` stands for any
/// ending of a word.
const PROMISES: &[(&[&str], &[&str])] = &[
    (&["refund*", "money back", "reimburs*"], &["退款", "退钱", "退还", "退回货款", "退费", "退税"]),
    (&["return*", "send back", "sent back"], &["退", "寄回", "送回", "归还", "返回", "返还"]),
    (&["exchang*", "swap*"], &["换"]),
    (
        &["replac*", "resen*", "re-sen*", "send again", "sent again", "new one"],
        &["补寄", "补发", "重寄", "重发", "更换", "换", "替代"],
    ),
    (&["repair*", "fix", "fixes", "mend", "mends"], &["修"]),
    (&["warrant*", "guarante*"], &["保修", "质保", "保证", "担保", "保固"]),
    (&["discount*", "% off", "cheaper", "coupon*", "voucher*"], &["折", "优惠", "减价", "便宜", "券"]),
    (&["cancel*"], &["取消"]),
    (&["tax", "taxes", "vat", "duty", "duties", "customs"], &["税", "海关", "清关", "报关"]),
];

/// The first promise that only one of an English and a Chinese text makes.
fn lone_promise(english: &str, chinese: &str) -> Option<&'static str> {
    let english = english.to_lowercase();
    let words: Vec<&str> = english.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
    let says = |promise: &&str| match promise.strip_suffix('*') {
        Some(stem) => words.iter().any(|word| word.starts_with(stem)),
        None if promise.contains(' ') => english.contains(promise),
        None => words.contains(promise),
    };
    let lone = |(ways, own): &&(&'static [&'static str], &'static [&'static str])| {
        ways.iter().any(says) != own.iter().any(|word| chinese.contains(word))
    };
    PROMISES.iter().find(lone).map(|(ways, _)| ways[0].trim_end_matches('*'))
}

fn negates(text: &str) -> bool {
    let lower = text.to_lowercase().replace('’', "'");
    lower.split(|c: char| !(c.is_alphabetic() || c == '\'')).any(|word| NEGATION_EN.contains(&word))
        || NEGATION_ZH.iter().any(|word| text.contains(word))
}

/// Whether `translation` says what `source` says, as far as code can tell: same numbers, no new Latin name, the language
/// asked for, the same polarity and a fitting length.
pub fn check_translation(source: &str, translation: &str, to: Language) -> Result<(), SupportError> {
    if detect_language(translation) != Some(to) || (to == Language::En && translation.chars().any(is_han)) {
        return Err(SupportError::Language);
    }
    let (here, there) = (numbers(source), numbers(translation));
    if let Some(number) = here.symmetric_difference(&there).next() {
        return Err(SupportError::Number(number.clone()));
    }
    if to == Language::Zh {
        let lower = source.to_lowercase();
        let words = translation.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 1);
        for word in words.filter(|word| word.chars().any(|c| c.is_ascii_alphabetic())) {
            // Names stay as they are; a plain word that was left in English shows that the translation failed.
            let plain = word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase());
            if plain || !lower.contains(&word.to_lowercase()) {
                return Err(SupportError::Name(word.to_owned()));
            }
        }
        if let Some(name) =
            names(source).find(|name| !translation.contains(name) && !bridge::names_place(name, translation))
        {
            return Err(SupportError::Name(name.to_owned()));
        }
    }
    let from = match to {
        Language::En => Language::Zh,
        Language::Zh => Language::En,
    };
    let kept = bridge::kept_share(source, from, translation);
    if kept < WORDS_KEPT_MIN {
        return Err(SupportError::Words((kept * 100.0) as u32));
    }
    let (english, chinese) = if to == Language::En { (translation, source) } else { (source, translation) };
    if let Some(term) = lone_promise(english, chinese) {
        return Err(SupportError::Term(term));
    }
    if negates(source) != negates(translation) {
        return Err(SupportError::Negation);
    }
    let (from, into) = (size(source), size(translation));
    if into * 4 < from || into > from * 4 + 12 { Err(SupportError::Length) } else { Ok(()) }
}

/// Names in an English text: words with a capital that do not begin a sentence or a cell.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut before = '.';
    text.split_whitespace().filter_map(move |word| {
        let begins = matches!(before, '.' | '!' | '?' | ':' | ';' | '–' | '|' | '\n');
        before = word.chars().next_back().unwrap_or('.');
        let name = word.trim_matches(|c: char| !c.is_alphanumeric());
        let capital = name.chars().next().is_some_and(|c| c.is_ascii_uppercase());
        (!begins && capital && name.len() > 1 && name.chars().any(|c| c.is_ascii_lowercase())).then_some(name)
    })
}

/// Rough number of words: a Chinese character carries about half an English word.
fn size(text: &str) -> usize {
    let han = text.chars().filter(|c| is_han(*c)).count();
    han / 2 + text.split_whitespace().filter(|word| word.chars().any(|c| c.is_ascii_alphanumeric())).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_compared_in_plain_form() {
        assert_eq!(numbers("€1,200.50 and 3.0, 08:30"), ["1200.5", "3", "30", "8"].map(str::to_owned).into());
        assert_eq!(numbers("9,30 欧元"), ["9.3"].map(str::to_owned).into());
    }

    #[test]
    fn a_translation_passes_only_with_the_same_facts() {
        let source = "Home delivery to France costs €8.20 and takes 3-6 working days.";
        let check = |text| check_translation(source, text, Language::Zh);
        assert_eq!(check("送货到法国的费用为8.20欧元，需要3-6个工作日。"), Ok(()));
        assert_eq!(check("送货到法国的费用为8.20欧元，需要3个工作日。"), Err(SupportError::Number("6".into())));
        assert_eq!(check("Home delivery costs 8.20, 3-6 days."), Err(SupportError::Language));
        assert_eq!(check("由DHL送货到法国，8.20欧元，3-6个工作日。"), Err(SupportError::Name("DHL".into())));
        assert_eq!(check("上门送货到 france，8.20欧元，3-6个工作日。"), Err(SupportError::Name("france".into())));
        assert_eq!(check("送到英国的费用是8.20欧元，3-6个工作日。"), Err(SupportError::Name("France".into())));
        let source = "直邮包裹超过25个工作日没有动静，可以申请补寄。";
        let check_english = |text| check_translation(source, text, Language::En);
        let refund =
            "A direct parcel that shows no movement for more than 25 working days: you can apply for a refund.";
        assert_eq!(check_english(refund), Err(SupportError::Term("refund")));
        assert_eq!(check_english(&refund.replace("a refund", "a replacement")), Ok(()));
        let source = "Fixed prices hold for private buyers: 5 euro each.";
        let fixed = check_translation(source, "固定价格适用于私人买家：每件5欧元，与关系无关。", Language::Zh);
        assert_ne!(fixed, Err(SupportError::Term("repair")), "parts of words promise nothing");
        assert_ne!(fixed, Err(SupportError::Term("tax")));
        assert_eq!(check("不能送到法国，费用8.20欧元，3-6个工作日。"), Err(SupportError::Negation));
    }

    proptest! {
        #[test]
        fn a_number_that_is_not_in_the_source_never_passes(number in 1000u32..999_999) {
            let source = "Laptops have a warranty of 40 months.";
            let translation = format!("笔记本电脑保修40个月，编号{number}。");
            prop_assert!(check_translation(source, &translation, Language::Zh).is_err());
        }
    }
}
