//! From a stored message to what Telegram shows: texts that fit, a card, a file, and buttons below the last of them.

use serde_json::Value;

use super::{
    buttons,
    cards::{self, Card},
    split::split,
};
use crate::{
    message::{Effect, Reply},
    storage::{Author, StoredMessage},
};

/// Longest message, in UTF-16 code units.
const MESSAGE_UNITS_MAX: usize = 4096;
const BUTTONS_MAX: usize = 3;
/// Sources that get a button; two stand side by side.
const SOURCES_MAX: usize = 2;

/// One Telegram message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Words.
    Text(String),
    /// A picture with words below it.
    Photo {
        /// As the catalogue names it.
        image: String,
        /// The words.
        caption: String,
    },
    /// A copy of the chat, as a file.
    Transcript,
}

/// A message as it is sent: the buttons belong to the last part.
#[derive(Debug, PartialEq)]
pub(super) struct Rendered {
    /// In order; empty when there is nothing to show.
    pub(super) parts: Vec<Part>,
    /// What the shopper may press.
    pub(super) buttons: Option<Value>,
}

/// Renders a message of the bot or of staff; products with their pictures when `pictured`.
pub(super) fn render(message: &StoredMessage, pictured: bool) -> Rendered {
    let Some(reply) = &message.reply else { return Rendered { parts: texts(&signed(message)), buttons: None } };
    let card = cards::card(message, reply, 0, pictured);
    let mut parts =
        if card.is_some() && cards::takes_words(message, reply) { vec![] } else { texts(&cards::lead(message, reply)) };
    match card {
        Some(Card { image: Some(image), text }) => parts.push(Part::Photo { image, caption: text }),
        Some(Card { image: None, text }) => parts.extend(texts(&text)),
        None => {}
    }
    if reply.effect == Some(Effect::Export) {
        parts.push(Part::Transcript);
    }
    Rendered { parts, buttons: buttons::keyboard(&rows(message.id, reply)) }
}

fn texts(text: &str) -> Vec<Part> {
    split(text.trim(), MESSAGE_UNITS_MAX).into_iter().map(Part::Text).collect()
}

/// The words, with the name of who of the staff says them.
fn signed(message: &StoredMessage) -> String {
    let text = message.text.trim();
    match message.author_name.as_deref() {
        Some(name) if message.author == Author::Staff && !name.is_empty() => format!("{name}: {text}"),
        _ => text.to_owned(),
    }
}

/// Arrows, what may be said next, where the answer stands, and whether it helped.
fn rows(id: i64, reply: &Reply) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    if reply.products.len() > 1 {
        rows.push(buttons::flipping(id, 0, reply.products.len()));
    }
    let texts = reply.suggestions.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).take(BUTTONS_MAX);
    rows.extend(texts.enumerate().map(|(index, text)| buttons::saying(text, index)));
    let mut sources: Vec<(usize, &str)> = Vec::new();
    for (index, citation) in reply.citations.iter().enumerate() {
        if sources.len() < SOURCES_MAX && !sources.iter().any(|(_, document)| *document == citation.document) {
            sources.push((index, &citation.document));
        }
    }
    if !sources.is_empty() {
        rows.push(sources.into_iter().map(|(index, document)| buttons::quoting(id, index, document)).collect());
    }
    if reply.effect == Some(Effect::AskRating) {
        rows.push(buttons::rating(id));
    }
    rows
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{
        catalog::Money,
        message::{Citation, Language, LatencyMs, ProductCard, Route, Sentiment, Trace},
        storage::Author,
    };

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
            effect: None,
            trace: Trace::default(),
        }
    }

    fn message(reply: Option<Reply>, text: &str) -> StoredMessage {
        let at = DateTime::UNIX_EPOCH;
        StoredMessage { id: 1, author: Author::Bot, author_name: None, text: text.to_owned(), reply, at, rating: None }
    }

    #[test]
    fn a_reply_shows_its_product_and_where_it_stands() {
        let english = render(&message(Some(reply(Language::En)), "Thirty days."), false);
        let expected = "Thirty days.\n\nTrail boot – €129.00 (out of stock)\nWaterproof";
        assert_eq!(english.parts, [Part::Text(expected.to_owned())]);
        let rows = &english.buttons.unwrap()["inline_keyboard"];
        let last = rows.as_array().unwrap().last().unwrap();
        assert_eq!((last.as_array().unwrap().len(), &last[0]["text"]), (1, &"📄 returns.docx".into()));
        let chinese = render(&message(Some(reply(Language::Zh)), "三十天。"), true).parts;
        assert!(matches!(&chinese[..], [Part::Text(text)] if text.contains("（缺货）")), "{chinese:?}");
    }

    #[test]
    fn several_products_are_one_card_with_arrows_and_long_words_stand_before_it() {
        let mut reply = reply(Language::En);
        reply.products[0].image = Some("boot.jpg".to_owned());
        reply.products.push(reply.products[0].clone());
        let short = render(&message(Some(reply.clone()), "Two boots:"), true);
        assert!(matches!(&short.parts[..], [Part::Photo { caption, .. }] if caption.starts_with("Two boots:")));
        assert_eq!(short.buttons.unwrap()["inline_keyboard"][0][1]["text"], "1 / 2");
        let long = render(&message(Some(reply), &"Many words. ".repeat(100)), true);
        assert!(
            matches!(&long.parts[..], [Part::Text(_), Part::Photo { caption, .. }] if caption.starts_with("Trail"))
        );
    }

    #[test]
    fn a_card_does_not_say_again_what_the_list_says() {
        let mut reply = reply(Language::En);
        reply.products[0].reason = "€129.00, waterproof".to_owned();
        let shown =
            render(&message(Some(reply), "These fit:\n- Trail boot: €129.00, waterproof\n- not a product"), false);
        let expected = "These fit:\n- not a product\n\nTrail boot – €129.00 (out of stock)\nwaterproof";
        assert_eq!(shown.parts, [Part::Text(expected.to_owned())]);
    }

    #[test]
    fn suggestions_become_at_most_three_buttons_whose_data_fits() {
        let mut reply = reply(Language::En);
        reply.citations.clear();
        let keyboard = render(&message(Some(reply), "x"), false).buttons.unwrap();
        let data: Vec<&str> =
            (0..3).map(|row| keyboard["inline_keyboard"][row][0]["callback_data"].as_str().unwrap()).collect();
        assert_eq!(data, ["=Yes", "#1", "=c"]);
        assert_eq!(keyboard["inline_keyboard"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_persons_words_bear_their_name() {
        let written = StoredMessage {
            author: Author::Staff,
            author_name: Some("Bo".to_owned()),
            ..message(None, "I am sending a new one.")
        };
        assert_eq!(render(&written, false).parts, [Part::Text("Bo: I am sending a new one.".to_owned())]);
    }

    #[test]
    fn a_message_without_words_has_no_parts() {
        assert_eq!(render(&message(None, " \n "), false), Rendered { parts: vec![], buttons: None });
    }
}
