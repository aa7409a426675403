//! Telegram takes texts of at most 4,096 UTF-16 code units; this file cuts longer ones where a reader would pause.

use unicode_segmentation::UnicodeSegmentation;

/// Length as Telegram counts it.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Cuts a text into parts of at most `units_max` UTF-16 code units: after a line, else after a sentence, else after a
/// word, else between two characters as people see them. No part is empty; only white space at a cut is dropped.
pub(super) fn split(text: &str, units_max: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(cut(rest, units_max));
        parts.push(part.trim_end().to_owned());
        rest = after.trim_start();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Where the first part ends, as a byte index above 0.
fn cut(text: &str, units_max: usize) -> usize {
    let window = prefix(text, units_max);
    if window.len() == text.len() {
        return text.len();
    }
    // A cut in the first half would make a short part and more of them.
    let late = |index: &usize| *index > window.len() / 2;
    let after_line = window.rfind('\n').map(|index| index + 1).filter(late);
    let after_sentence = || {
        let end = window.char_indices().rfind(|(index, c)| match c {
            '。' | '！' | '？' | '；' => true,
            '.' | '!' | '?' => text[index + 1..].starts_with(char::is_whitespace),
            _ => false,
        });
        end.map(|(index, c)| index + c.len_utf8()).filter(late)
    };
    let after_word = || {
        let space = window.char_indices().rfind(|(_, c)| c.is_whitespace());
        space.map(|(index, c)| index + c.len_utf8()).filter(late)
    };
    after_line.or_else(after_sentence).or_else(after_word).unwrap_or_else(|| whole_characters(window, text))
}

/// The longest prefix of at most `units_max` UTF-16 code units.
fn prefix(text: &str, units_max: usize) -> &str {
    let mut units = 0;
    let end = text.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > units_max
    });
    end.map_or(text, |(index, _)| &text[..index])
}

/// The end of `window` moved back so that no family emoji or accented letter is torn, where that is possible.
fn whole_characters(window: &str, text: &str) -> usize {
    let boundaries = text.grapheme_indices(true).map(|(index, _)| index);
    boundaries.take_while(|index| *index <= window.len()).last().filter(|index| *index > 0).unwrap_or(window.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_text_is_cut_at_lines_then_sentences_then_words() {
        assert_eq!(split("first line\nsecond one. Third", 16), ["first line", "second one.", "Third"]);
        assert_eq!(split("One sentence. Two more words", 18), ["One sentence.", "Two more words"]);
        assert_eq!(split("alpha beta gamma", 12), ["alpha beta", "gamma"]);
        assert_eq!(split("我要退货。我的订单在哪里？", 8), ["我要退货。", "我的订单在哪里？"]);
        assert_eq!(split("3.14159265358979", 10), ["3.14159265", "358979"]);
    }

    #[test]
    fn an_emoji_is_not_torn() {
        let family = "👨‍👩‍👧";
        assert_eq!(split(&family.repeat(3), 2 * units(family) + 1), [family.repeat(2), family.to_owned()]);
    }

    proptest! {
        #[test]
        fn parts_fit_and_lose_only_white_space(text in "(\\PC|[ \n.。😀]){0,300}", max in 2usize..80) {
            let parts = split(&text, max);
            for part in &parts {
                prop_assert!(units(part) <= max && !part.is_empty(), "{:?}", part);
            }
            let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(visible(&parts.concat()), visible(&text));
        }
    }
}
