//! From a stored message to what Telegram shows: plain text in parts that fit, and buttons.

use std::fmt::Write as _;

use teloxide_core::types::{InlineKeyboardButton, InlineKeyboardMarkup};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    message::{Language, ProductCard, Reply},
    storage::{Author, StoredMessage},
};

/// Longest message, in UTF-16 code units.
const MESSAGE_UNITS_MAX: usize = 4096;
/// Longest data of a button, in bytes.
const BUTTON_DATA_BYTES_MAX: usize = 64;
const BUTTONS_MAX: usize = 3;
const SOURCES_MAX: usize = 3;
/// Begins a button's data when the rest of it is the button's text.
pub(super) const BUTTON_TEXT_PREFIX: char = '=';

/// A message as it is sent: each part is one Telegram message; the buttons belong to the last.
#[derive(Debug, PartialEq)]
pub(super) struct Rendered {
    /// In order; empty when there is nothing to show.
    pub(super) parts: Vec<String>,
    /// What the shopper may press.
    pub(super) buttons: Option<InlineKeyboardMarkup>,
}

/// Renders a message of the bot or of staff.
pub(super) fn render(message: &StoredMessage) -> Rendered {
    let mut text = signed(message);
    let mut buttons = None;
    if let Some(reply) = &message.reply {
        for product in &reply.products {
            text.push_str("\n\n");
            text.push_str(&product_lines(product, reply.language));
        }
        if let Some(sources) = sources_line(reply) {
            text.push_str("\n\n");
            text.push_str(&sources);
        }
        buttons = keyboard(&reply.suggestions);
    }
    Rendered { parts: split(text.trim(), MESSAGE_UNITS_MAX), buttons }
}

/// The words, with the name of who of the staff says them.
fn signed(message: &StoredMessage) -> String {
    let text = message.text.trim();
    match message.author_name.as_deref() {
        Some(name) if message.author == Author::Staff && !name.is_empty() => format!("{name}: {text}"),
        _ => text.to_owned(),
    }
}

fn product_lines(product: &ProductCard, language: Language) -> String {
    let mut lines = format!("• {} – {}", product.title, product.price);
    if product.stock == 0 {
        lines.push_str(match language {
            Language::En => " (out of stock)",
            Language::Zh => "（缺货）",
        });
    }
    if !product.reason.is_empty() {
        let _ = write!(lines, "\n  {}", product.reason);
    }
    lines
}

/// `Source: returns.docx, Boots`: the document and the heading nearest to the passage.
fn sources_line(reply: &Reply) -> Option<String> {
    let (one, many, comma, semicolon) = match reply.language {
        Language::En => ("Source: ", "Sources: ", ", ", "; "),
        Language::Zh => ("来源：", "来源：", "，", "；"),
    };
    let mut sources: Vec<String> = Vec::new();
    for citation in &reply.citations {
        let heading = citation.heading.rsplit(" › ").next().unwrap_or_default();
        let source = match heading {
            "" => citation.document.clone(),
            heading => format!("{}{comma}{heading}", citation.document),
        };
        if sources.len() < SOURCES_MAX && !sources.contains(&source) {
            sources.push(source);
        }
    }
    let label = if sources.len() > 1 { many } else { one };
    (!sources.is_empty()).then(|| format!("{label}{}", sources.join(semicolon)))
}

/// One button a line. A text too long for a button's data is found again by its number.
fn keyboard(suggestions: &[String]) -> Option<InlineKeyboardMarkup> {
    let texts = suggestions.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).take(BUTTONS_MAX);
    let rows: Vec<_> = texts
        .enumerate()
        .map(|(index, text)| {
            let data = Some(format!("{BUTTON_TEXT_PREFIX}{text}")).filter(|data| data.len() <= BUTTON_DATA_BYTES_MAX);
            [InlineKeyboardButton::callback(text, data.unwrap_or_else(|| format!("#{index}")))]
        })
        .collect();
    (!rows.is_empty()).then(|| InlineKeyboardMarkup::new(rows))
}

/// Cuts a text into parts of at most `units_max` UTF-16 code units: after a line, else after a sentence, else after a
/// word, else between two characters as people see them. No part is empty; only white space at a cut is dropped.
fn split(text: &str, units_max: usize) -> Vec<String> {
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
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        catalog::Money,
        message::{Citation, LatencyMs, Route, Sentiment, Trace},
        storage::Author,
    };

    fn units(text: &str) -> usize {
        text.encode_utf16().count()
    }

    fn reply(language: Language) -> Reply {
        let citation = |heading: &str| Citation {
            document: "returns.docx".to_owned(),
            heading: heading.to_owned(),
            quote: "q".to_owned(),
            score: 0.9,
        };
        Reply {
            text: "Thirty days.".to_owned(),
            language,
            intent: "return_policy".to_owned(),
            intent_confidence: 0.9,
            route: Route::Answer,
            citations: vec![citation("Returns › Boots"), citation("Returns › Boots"), citation("")],
            products: vec![ProductCard {
                sku: "A-1".to_owned(),
                title: "Trail boot".to_owned(),
                price: Money { minor: 12_900, currency: "EUR".to_owned() },
                stock: 0,
                image: None,
                reason: "Waterproof".to_owned(),
            }],
            handoff: false,
            declined: false,
            sentiment: Sentiment::Neutral,
            generated: false,
            latency_ms: LatencyMs::default(),
            suggestions: vec!["Yes".to_owned(), "  ".to_owned(), "一".repeat(30), "c".to_owned(), "d".to_owned()],
            trace: Trace::default(),
        }
    }

    fn message(reply: Option<Reply>, text: &str) -> StoredMessage {
        let at = DateTime::UNIX_EPOCH;
        StoredMessage { id: 1, author: Author::Bot, author_name: None, text: text.to_owned(), reply, at }
    }

    #[test]
    fn a_reply_shows_products_and_sources_in_its_language() {
        let english = render(&message(Some(reply(Language::En)), "Thirty days."));
        let expected = "Thirty days.\n\n• Trail boot – €129.00 (out of stock)\n  Waterproof\n\n\
                        Sources: returns.docx, Boots; returns.docx";
        assert_eq!(english.parts, [expected]);
        let chinese = render(&message(Some(reply(Language::Zh)), "三十天。")).parts.concat();
        assert!(
            chinese.contains("（缺货）") && chinese.ends_with("来源：returns.docx，Boots；returns.docx"),
            "{chinese}"
        );
    }

    #[test]
    fn suggestions_become_at_most_three_buttons_whose_data_fits() {
        let keyboard = render(&message(Some(reply(Language::En)), "x")).buttons.unwrap();
        let json = serde_json::to_value(&keyboard).unwrap();
        let data: Vec<&str> =
            (0..3).map(|row| json["inline_keyboard"][row][0]["callback_data"].as_str().unwrap()).collect();
        assert_eq!(data, ["=Yes", "#1", "=c"]);
        assert_eq!(json["inline_keyboard"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_persons_words_bear_their_name() {
        let written = StoredMessage {
            author: Author::Staff,
            author_name: Some("Bo".to_owned()),
            ..message(None, "I am sending a new one.")
        };
        assert_eq!(render(&written).parts, ["Bo: I am sending a new one."]);
    }

    #[test]
    fn a_message_without_words_has_no_parts() {
        assert_eq!(render(&message(None, " \n ")), Rendered { parts: vec![], buttons: None });
    }

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
