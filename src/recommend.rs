//! Products for a shopper: what the catalogue has for a wish, what fits what they own, and what the records say about a
//! product. A `Recommender` is an immutable snapshot; everything is computed from records and nothing is invented:
//! a card meets every constraint that was stated and is in stock, and a fact stands in a record.

mod accessories;
mod attributes;
mod compare;
mod comparisons;
pub mod counts;
mod explain;
mod facts;
mod index;
mod mentions;
mod parse;
mod quantities;
mod rank;
mod search;
pub mod together;
mod units;
mod wish;
mod words;

use std::ops::Range;

pub use mentions::Mention;
pub use quantities::Limits;
pub use wish::{Constraint, Sort, Test, Wish};

use crate::{
    catalog::{Product, ShopEvent},
    message::{Language, ProductCard},
    storage::StoredProduct,
};
use index::{Catalogue, Item};
use mentions::Names;
use parse::Parsed;
use rank::Habits;

/// What the intent classifier takes the message for. A hint: the text decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductWish {
    /// Wants to see products.
    Search,
    /// Wants what goes with a product.
    Accessories,
    /// Compares products.
    Compare,
    /// Asks whether something is there.
    Stock,
    /// Asks what something costs.
    Price,
    /// Asks about a property.
    Property,
}

/// A message with what is known of the shopper.
#[derive(Debug, Clone, Copy)]
pub struct ProductRequest<'a> {
    /// The message.
    pub text: &'a str,
    /// Language of the reply.
    pub language: Language,
    /// What the classifier takes it for.
    pub wish: ProductWish,
    /// Unit vector of the message, from the encoder that embedded the products.
    pub query_embedding: Option<&'a [f32]>,
    /// SKUs of the verified customer's orders, latest first.
    pub owned: &'a [String],
    /// SKUs asked about or shown in earlier turns, latest first.
    pub talked_about: &'a [String],
    /// The wish of an earlier turn.
    pub previous: Option<&'a Wish>,
    /// How many cards at most.
    pub limit: usize,
}

/// What the catalogue says to a message. Texts are complete sentences in the shopper's language.
#[derive(Debug, Clone, PartialEq)]
pub enum ProductAnswer {
    /// Products that meet the wish.
    Cards {
        /// The words above the cards.
        text: String,
        /// The products, best first.
        cards: Vec<ProductCard>,
        /// To be remembered.
        wish: Wish,
    },
    /// Something that a record states.
    Fact {
        /// The statement.
        text: String,
        /// The products it is about.
        skus: Vec<String>,
    },
    /// Nothing in the catalogue meets the wish.
    Nothing {
        /// Says so.
        text: String,
        /// To be remembered.
        wish: Wish,
    },
    /// The wish is too open; one question back.
    AskBack {
        /// The question.
        text: String,
        /// To be remembered.
        wish: Wish,
    },
    /// The records cannot answer this.
    NotAboutProducts,
}

/// A snapshot of the catalogue and of what customers did.
#[derive(Debug)]
pub struct Recommender {
    catalogue: Catalogue,
    names: Names,
    habits: Habits,
    currency: String,
}

/// A request, read.
struct Question<'a> {
    request: &'a ProductRequest<'a>,
    lower: String,
    /// Products named, everyday titles included.
    mentions: Vec<Mention>,
    /// Without everyday titles ("Green Tea").
    parsed: Parsed,
}

impl Recommender {
    /// Reads the catalogue and the events (in any order).
    pub fn build(products: Vec<StoredProduct>, events: &[ShopEvent]) -> Self {
        let catalogue = Catalogue::build(products);
        let names = Names::build(&catalogue);
        let habits = Habits::build(events, &catalogue);
        let currency = most_common(catalogue.items.iter().map(|item| item.product.price.currency.as_str()));
        Self { catalogue, names, habits, currency }
    }

    /// Every product.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.catalogue.items.iter().map(|item| &item.product)
    }

    /// The products named in a message, in its order.
    pub fn mentions(&self, text: &str) -> Vec<Mention> {
        self.names.find(text, &self.catalogue)
    }

    /// What tends to come after `history` (SKUs, oldest first), best first.
    pub fn rank_next(&self, history: &[String], limit: usize) -> Vec<(String, f32)> {
        self.habits.counts.rank_next(history, limit)
    }

    /// Answers a message about products.
    pub fn answer(&self, request: &ProductRequest) -> ProductAnswer {
        let question = self.read(request);
        // A shop without a catalogue cannot say that it does not sell something.
        if question.parsed.service || self.catalogue.items.is_empty() {
            return ProductAnswer::NotAboutProducts;
        }
        if let Some(answer) = self.fact(&question) {
            return answer;
        }
        if let Some(answer) = self.accessories(&question) {
            return answer;
        }
        self.search(&question)
    }

    fn read<'a>(&self, request: &'a ProductRequest<'a>) -> Question<'a> {
        let mentions = self.mentions(request.text);
        let names: Vec<Range<usize>> = mentions.iter().filter(|m| !m.generic).map(|m| m.span.clone()).collect();
        let parsed = parse::parse(request.text, &names, &self.catalogue, &self.currency);
        Question { request, lower: request.text.to_lowercase(), mentions, parsed }
    }

    fn item(&self, sku: &str) -> Option<&Item> {
        self.catalogue.item(sku)
    }
}

impl Question<'_> {
    fn language(&self) -> Language {
        self.request.language
    }

    /// Whether the message has one of the phrases; Latin ones as whole words.
    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| says(&self.lower, phrase))
    }

    /// Named by words that only a product has.
    fn named(&self) -> impl Iterator<Item = &Mention> {
        self.mentions.iter().filter(|mention| !mention.generic)
    }
}

fn says(lower: &str, phrase: &str) -> bool {
    let latin = phrase.starts_with(|c: char| c.is_ascii_alphabetic());
    lower.match_indices(phrase).any(|(at, _)| {
        let before = lower[..at].chars().next_back();
        let after = lower[at + phrase.len()..].chars().next();
        !latin || ![before, after].into_iter().flatten().any(|c| c.is_ascii_alphanumeric())
    })
}

/// The text in the reply's language.
fn pick(language: Language, english: impl Into<String>, chinese: impl Into<String>) -> String {
    match language {
        Language::En => english.into(),
        Language::Zh => chinese.into(),
    }
}

/// "a", "a and b", "a, b and c"; 甲、乙和丙.
fn list(language: Language, parts: &[String]) -> String {
    let (comma, and) = match language {
        Language::En => (", ", " and "),
        Language::Zh => ("、", "和"),
    };
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}{and}{last}", first.join(comma)),
    }
}

fn most_common<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(value, _)| value.to_owned()).unwrap_or_default()
}
