//! Which language a text is in, and where its sentences end. Both work on single messages and on documents.

use crate::message::Language;

/// Chinese when there are more Han characters than Latin words, English otherwise; `None` without any letters.
pub fn detect_language(text: &str) -> Option<Language> {
    let mut han = 0usize;
    let mut words = 0usize;
    let mut in_word = false;
    for c in text.chars() {
        if is_han(c) {
            han += 1;
            in_word = false;
        } else if c.is_alphabetic() {
            words += usize::from(!in_word);
            in_word = true;
        } else if !matches!(c, '\'' | '’' | '-' | '0'..='9' | '_' | '@' | '.') {
            in_word = false;
        }
    }
    match (han, words) {
        (0, 0) => None,
        (han, words) if han > words => Some(Language::Zh),
        _ => Some(Language::En),
    }
}

/// A Chinese character (CJK ideographs with their extensions).
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}' | '〇')
}

/// Abbreviations after which a sentence goes on, whatever follows.
const ABBREVIATIONS: [&str; 44] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "e.g", "i.e", "eg", "ie", "vs", "cf", "ca", "approx", "fig", "figs", "art",
    "sec", "para", "tel", "ext", "dept", "nr", "min", "max", "incl", "excl", "est", "jan", "feb", "mar", "apr", "jun",
    "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "wed", "thu",
];

/// Abbreviations that may also end a sentence: they do before a capital letter.
const CLOSING_ABBREVIATIONS: [&str; 9] = ["etc", "a.m", "p.m", "inc", "ltd", "co", "corp", "u.s", "bros"];

/// Abbreviations that stand before a number.
const NUMBER_ABBREVIATIONS: [&str; 6] = ["no", "nos", "p", "pp", "vol", "ch"];

/// The sentences of a text, in order; together they cover it but for white space between them.
///
/// A sentence ends at `。！？；…`, at `!` and `?`, at a full stop that is neither part of a number, address or
/// abbreviation, and at a line break.
pub fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut position = 0;
    while let Some(c) = text[position..].chars().next() {
        let after = position + c.len_utf8();
        let end = match c {
            '\n' => Some(after),
            '。' | '！' | '？' | '；' | '…' => Some(skip_closers(text, after)),
            '!' | '?' => Some(skip_closers(text, after)).filter(|&end| at_break(text, end)),
            '.' => {
                let end = skip_closers(text, after);
                (at_break(text, end) && full_stop_ends(&text[start..position], &text[end..])).then_some(end)
            }
            _ => None,
        };
        position = end.unwrap_or(after);
        if let Some(end) = end {
            push_trimmed(&mut found, &text[start..end]);
            start = end;
        }
    }
    push_trimmed(&mut found, &text[start..]);
    found
}

fn push_trimmed<'a>(found: &mut Vec<&'a str>, sentence: &'a str) {
    let sentence = sentence.trim();
    if !sentence.is_empty() {
        found.push(sentence);
    }
}

/// Further stops and closing quotes belong to the sentence they follow.
fn skip_closers(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    let closer = |c: char| {
        matches!(
            c,
            '.' | '!'
                | '?'
                | '。'
                | '！'
                | '？'
                | '…'
                | '"'
                | '”'
                | '’'
                | '\''
                | ')'
                | '）'
                | '」'
                | '』'
                | ']'
                | '】'
        )
    };
    from + rest.find(|c| !closer(c)).unwrap_or(rest.len())
}

fn at_break(text: &str, position: usize) -> bool {
    text[position..].chars().next().is_none_or(|c| c.is_whitespace() || is_han(c))
}

/// Whether a full stop after `before` (the sentence so far) and followed by `rest` ends the sentence.
fn full_stop_ends(before: &str, rest: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '（' | '"' | '“')).next().unwrap_or("");
    let name = word.to_lowercase();
    let next = rest.trim_start().chars().next();
    if next.is_none() {
        return true;
    }
    if NUMBER_ABBREVIATIONS.contains(&name.as_str()) {
        return !next.is_some_and(|c| c.is_ascii_digit());
    }
    if CLOSING_ABBREVIATIONS.contains(&name.as_str()) {
        return next.is_some_and(char::is_uppercase);
    }
    if ABBREVIATIONS.contains(&name.as_str()) {
        return false;
    }
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let numbering = before.trim() == word && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    !initial && !numbering
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_that_of_most_of_the_text() {
        assert_eq!(detect_language("Orbit X配哪个充电器？"), Some(Language::Zh));
        assert_eq!(detect_language("What does 云雀 mean?"), Some(Language::En));
        assert_eq!(detect_language("我的订单BR-51040到哪了"), Some(Language::Zh));
        assert_eq!(detect_language("Größe & Café"), Some(Language::En));
        assert_eq!(detect_language("12:30 €5 👍"), None);
        assert_eq!(detect_language(""), None);
    }

    #[test]
    fn sentences_end_where_a_reader_stops() {
        assert_eq!(
            sentences("It costs €1.5. No returns! Really? Yes."),
            ["It costs €1.5.", "No returns!", "Really?", "Yes."]
        );
        assert_eq!(sentences("可以退货。请出示收据！谢谢；再见"), ["可以退货。", "请出示收据！", "谢谢；", "再见"]);
        assert_eq!(sentences("他说“好的。”然后走了。"), ["他说“好的。”", "然后走了。"]);
        assert_eq!(sentences("(See the list.) Then go on."), ["(See the list.)", "Then go on."]);
    }

    #[test]
    fn abbreviations_numbers_and_addresses_do_not_end_a_sentence() {
        for whole in [
            "Small items, e.g. Cables, travel free.",
            "See No. 5 on the list.",
            "We open at 9 a.m. on weekdays.",
            "Ask J. Smith at www.shop.example or mail a.b@shop.example today.",
            "Version 2.5.1 is out.",
            "1. Unpack the device.",
        ] {
            assert_eq!(sentences(whole), [whole]);
        }
        assert_eq!(sentences("We close at 6 p.m. Orders wait.").len(), 2);
        assert_eq!(sentences("The answer is no. Ask again.").len(), 2);
    }

    #[test]
    fn nothing_gets_lost_between_sentences() {
        let text = "One line\nsecond line. third…  “Fourth!” 第五。sixth";
        let joined: String = sentences(text).concat().split_whitespace().collect();
        assert_eq!(joined, text.split_whitespace().collect::<String>());
    }
}
