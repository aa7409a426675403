//! What a shopper wants: rules for what must never be missed, then a trained head for everything else.
//!
//! A message gets exactly one [`Intent`] with a calibrated probability. [`rule_intent`] decides first: a wish for a
//! person, a pure greeting and an attack on the bot's instructions are recognised by their wording alone, so that
//! neither a missing model nor an unlucky embedding can lose them. Everything else is scored by [`IntentClassifier`], a
//! multinomial logistic regression over the encoder's embedding and hashed n-grams, trained once from `examples.csv`.

pub mod head;
pub mod merchant;
pub mod ngrams;
pub mod rules;
pub mod sentiment;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::message::Language;

pub use head::{HeadError, HeadOptions, LinearHead, OnlineOptions};
pub use rules::rule_intent;
pub use sentiment::{is_angry, sentiment};

/// Declares the closed set once, so that names, parsing and `ALL` cannot drift apart.
macro_rules! intents {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)+) => {
        /// What a message is about. The names are part of the command line's contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Intent { $($(#[$doc])* $variant,)+ }

        impl Intent {
            /// Every intent; the position is the label index of the trained head.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in `examples.csv`, in replies and in metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

intents! {
    /// "Hi", "good morning".
    Greeting => "greeting",
    /// "Thanks, that helps", praise for the shop or the bot.
    Thanks => "thanks",
    /// "Bye", "talk to you later".
    Goodbye => "goodbye",
    /// "How are you", "are you a bot", "what can you do".
    Chitchat => "chitchat",
    /// "Yes please", "go ahead".
    Affirm => "affirm",
    /// "No thanks", "not that one".
    Deny => "deny",
    /// A wish to be connected to a person.
    Human => "human",
    /// Anger that demands consequences: a manager, a formal complaint, a lawyer.
    Complaint => "complaint",
    /// Where an existing order is, what is in it, what was paid, what is still to do for it.
    OrderStatus => "order_status",
    /// A wish to cancel an existing order.
    CancelOrder => "cancel_order",
    /// A wish to change an existing order: address, items, delivery date.
    ChangeOrder => "change_order",
    /// Looking for products, with or without constraints; gift ideas.
    ProductSearch => "product_search",
    /// What goes with, fits or protects a product.
    ProductAccessories => "product_accessories",
    /// One product against another.
    ProductCompare => "product_compare",
    /// Whether a product is available now, or when it will be again.
    ProductStock => "product_stock",
    /// What a product costs.
    ProductPrice => "product_price",
    /// A property of a product: size, material, battery, whether it works with something.
    ProductQuestion => "product_question",
    /// Rules for returning and exchanging goods.
    ReturnPolicy => "return_policy",
    /// How and when money comes back.
    Refund => "refund",
    /// An article arrived damaged, wrong or incomplete: what to do.
    DeliveryProblem => "delivery_problem",
    /// Cost, speed and ways of delivery.
    Shipping => "shipping",
    /// Delivery abroad, customs and duties.
    ShippingInternational => "shipping_international",
    /// Ways to pay, instalments, failed payments.
    Payment => "payment",
    /// Invoices, receipts and tax.
    Invoice => "invoice",
    /// Warranty, guarantee, repair and spare parts service.
    WarrantyRepair => "warranty_repair",
    /// Addresses, opening hours, contact details and services of the shops.
    StoreInfo => "store_info",
    /// Loyalty points, club, gift cards and vouchers.
    Membership => "membership",
    /// Which reductions exist: students, newsletter, bulk, price match, sales.
    DiscountPolicy => "discount_policy",
    /// Haggling: give me a discount, a free gift.
    DiscountRequest => "discount_request",
    /// Personal data, account, password, newsletter settings.
    PrivacyAccount => "privacy_account",
    /// How ordering works: placing, pre-orders, minimum, gift wrap, business orders.
    Ordering => "ordering",
    /// An attempt to turn the bot against its instructions or to make it confirm something false.
    PromptAttack => "prompt_attack",
    /// Nothing to do with the shop.
    OffTopic => "off_topic",
    /// Anything else about the shop: jobs, sustainability, history.
    OtherQuestion => "other_question",
}

impl Intent {
    /// The intent with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|intent| intent.as_str() == name)
    }

    /// The label index of the trained head: the position in [`Intent::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Greeting, thanks, farewell and talk about the bot itself.
    pub fn is_smalltalk(self) -> bool {
        matches!(self, Self::Greeting | Self::Thanks | Self::Goodbye | Self::Chitchat)
    }

    /// About products: answered from the catalogue before the documents.
    pub fn is_product(self) -> bool {
        matches!(
            self,
            Self::ProductSearch
                | Self::ProductAccessories
                | Self::ProductCompare
                | Self::ProductStock
                | Self::ProductPrice
                | Self::ProductQuestion
        )
    }

    /// About the shop's rules and services: answered from the documents.
    pub fn is_policy(self) -> bool {
        matches!(
            self,
            Self::ReturnPolicy
                | Self::Refund
                | Self::DeliveryProblem
                | Self::Shipping
                | Self::ShippingInternational
                | Self::Payment
                | Self::Invoice
                | Self::WarrantyRepair
                | Self::StoreInfo
                | Self::Membership
                | Self::DiscountPolicy
                | Self::PrivacyAccount
                | Self::Ordering
                | Self::OtherQuestion
        )
    }
}

/// One labelled message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Example {
    /// What a shopper wrote.
    pub text: String,
    /// What it is about.
    pub intent: Intent,
    /// The language it is written in.
    pub language: Language,
}

/// The examples that ship with the product.
///
/// # Errors
/// [`HeadError::Examples`] names the line that cannot be read.
pub fn builtin_examples() -> Result<Vec<Example>, HeadError> {
    parse_examples(include_str!("intents/examples.csv"))
}

/// Scraps that people type to a chat and that ask for nothing: numbers, single words, keyboard mashing.
pub fn noise() -> impl Iterator<Item = Example> {
    let example = |text: &str| Example { text: text.to_owned(), intent: Intent::OffTopic, language: Language::En };
    include_str!("intents/noise.txt").lines().map(example)
}

/// Reads examples from CSV with the columns `text,intent,language`.
///
/// # Errors
/// [`HeadError::Examples`] names the line that cannot be read.
pub fn parse_examples(csv_text: &str) -> Result<Vec<Example>, HeadError> {
    csv::Reader::from_reader(csv_text.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| HeadError::Examples(error.to_string()))
}

/// Intents of one message, likeliest first. The probabilities sum to one.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentScores {
    /// Every intent with its calibrated probability, best first.
    pub ranked: Vec<(Intent, f32)>,
}

impl IntentScores {
    /// The likeliest intent and its probability.
    pub fn top(&self) -> (Intent, f32) {
        self.ranked.first().copied().unwrap_or((Intent::OtherQuestion, 0.0))
    }

    /// Calibrated probability of one intent.
    pub fn probability(&self, intent: Intent) -> f32 {
        self.ranked.iter().find(|(candidate, _)| *candidate == intent).map_or(0.0, |(_, probability)| *probability)
    }
}

/// The trained head with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentClassifier {
    head: LinearHead,
    fingerprint: [u8; 32],
}

impl IntentClassifier {
    /// Trains from labelled messages and their embeddings (`query: text`, unit length, one per example).
    ///
    /// `encoder` names the embedder; a head is only valid for the encoder it was trained with. Deterministic.
    ///
    /// # Errors
    /// [`HeadError`] when the embeddings do not match the examples.
    pub fn train(examples: &[Example], embeddings: &[Vec<f32>], encoder: &str) -> Result<Self, HeadError> {
        let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
        let labels: Vec<usize> = examples.iter().map(|example| example.intent.index()).collect();
        let head = LinearHead::train(&texts, embeddings, &labels, Intent::ALL.len(), &HeadOptions::default())?;
        Ok(Self { head, fingerprint: fingerprint(examples, encoder) })
    }

    /// Scores one message. `embedding` is the embedding of `query: text`, of the length used in training.
    ///
    /// An embedding of another length counts as missing: the n-grams alone then decide.
    pub fn predict(&self, text: &str, embedding: &[f32]) -> IntentScores {
        let probabilities = self.head.probabilities(text, embedding);
        let mut ranked: Vec<(Intent, f32)> = Intent::ALL.iter().copied().zip(probabilities).collect();
        ranked.sort_by(|left, right| right.1.total_cmp(&left.1));
        IntentScores { ranked }
    }

    /// For the cache beside the models: the fingerprint of the examples and the encoder, then the head.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.fingerprint.to_vec();
        bytes.extend(self.head.to_bytes());
        bytes
    }

    /// Reads what [`IntentClassifier::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`HeadError::Stale`] when it was trained from other examples, by another version or for another encoder, and
    /// [`HeadError::Corrupt`] when the bytes are damaged: train again in both cases.
    pub fn from_bytes(bytes: &[u8], examples: &[Example], encoder: &str) -> Result<Self, HeadError> {
        let expected = fingerprint(examples, encoder);
        let (found, head) = bytes.split_at_checked(expected.len()).ok_or(HeadError::Corrupt("too short"))?;
        if found != expected {
            return Err(HeadError::Stale);
        }
        let head = LinearHead::from_bytes(head)?;
        if head.classes() != Intent::ALL.len() {
            return Err(HeadError::Stale);
        }
        Ok(Self { head, fingerprint: expected })
    }
}

/// SHA-256 over everything that training depends on. A change to any of it makes a cached head stale.
fn fingerprint(examples: &[Example], encoder: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(encoder);
    part(&format!("{:?}", HeadOptions::default()));
    part(&head::FORMAT_VERSION.to_string());
    for intent in Intent::ALL {
        part(intent.as_str());
    }
    for example in examples {
        part(&example.text);
        part(example.intent.as_str());
    }
    hasher.finalize().into()
}
