//! A turn about products: the recommender reads the wish and the records; this file decides when it is asked, and makes
//! a reply of what it says.

use super::{Asked, Engine, EngineError, Said};
use crate::{
    conversation::Conversation,
    intents::Intent,
    message::Route,
    prompts::Phrase,
    recommend::{ProductAnswer, ProductRequest, ProductWish, Wish},
    retrieval::Found,
};

/// Cards shown at once.
const CARDS: usize = 4;
/// From this probability on, the documents are asked before the catalogue, whatever the message sounds like.
const DOCUMENTS_FIRST: f32 = 0.5;
/// The same for a message that asks to be shown products.
const DOCUMENTS_BEFORE_SEARCH: f32 = 0.75;
/// The same for a message that asks what goes with a named product, or narrows what was just shown.
const DOCUMENTS_ONLY_ABOVE: f32 = 0.9;

impl Engine {
    /// The turn, if it is about products and the records have something to say.
    pub(super) async fn products(
        &self,
        conversation: &mut Conversation,
        asked: &Asked<'_>,
    ) -> Result<Option<Said>, EngineError> {
        let Some(wish) = product_wish(conversation, asked) else { return Ok(None) };
        let owned = match conversation.verified_customer() {
            Some(customer) => self.store.orders_of(customer).await?,
            None => Vec::new(),
        };
        let owned: Vec<String> = owned.into_iter().flat_map(|order| order.items).map(|item| item.sku).collect();
        let exchanges = conversation.memory.exchanges.iter().rev();
        let talked_about: Vec<String> = exchanges.flat_map(|exchange| exchange.products.clone()).collect();
        let previous: Option<Wish> = conversation
            .memory
            .wish
            .clone()
            .filter(|_| asked.context.is_some())
            .and_then(|wish| serde_json::from_value(wish).ok());
        let request = ProductRequest {
            text: asked.text(),
            language: asked.language,
            wish,
            query_embedding: asked.lookups.first().map(|lookup| lookup.vectors.main.as_slice()),
            owned: &owned,
            talked_about: &talked_about,
            previous: previous.as_ref(),
            limit: CARDS,
        };
        let answer = asked.snapshot.recommender.answer(&request);
        Ok(self.say_products(conversation, asked, answer))
    }

    fn say_products(&self, conversation: &mut Conversation, asked: &Asked<'_>, answer: ProductAnswer) -> Option<Said> {
        let mut keep = |wish: &Wish| conversation.memory.wish = serde_json::to_value(wish).ok();
        match answer {
            ProductAnswer::Cards { text, cards, wish } => {
                keep(&wish);
                Some(Said { products: cards, ..Said::new(Route::Recommend, text) })
            }
            ProductAnswer::Fact { text, skus } => Some(Said { about: skus, ..Said::new(Route::Answer, text) }),
            ProductAnswer::AskBack { text, wish } => {
                keep(&wish);
                Some(Said::new(Route::Recommend, text))
            }
            ProductAnswer::Nothing { .. } if asked.answerable() => None,
            ProductAnswer::Nothing { text, wish } => {
                keep(&wish);
                let suggestions = vec![self.say(asked, Phrase::SuggestHuman)];
                Some(Said { declined: true, suggestions, ..Said::new(Route::Decline, text) })
            }
            ProductAnswer::NotAboutProducts => None,
        }
    }
}

/// Whether the catalogue is asked, and for what.
fn product_wish(conversation: &Conversation, asked: &Asked<'_>) -> Option<ProductWish> {
    // A passage without an amount is no answer to a question for a price, however near it is.
    let fits = |found: &&Found| found.features.kind_fits != Some(false);
    // The limits beside the catalogue were found by the first ranking; the second look may only object to a passage.
    let stands = |found: &Found| {
        if found.score >= asked.threshold() { asked.first } else { found.score.min(asked.first) }
    };
    let documents = asked.found.first().filter(fits).map_or(0.0, stands);
    let last = conversation.memory.last().filter(|_| asked.context.is_some());
    let wish = match asked.intent {
        Intent::ProductSearch => Some(ProductWish::Search),
        Intent::ProductAccessories => Some(ProductWish::Accessories),
        Intent::ProductCompare => Some(ProductWish::Compare),
        Intent::ProductStock => Some(ProductWish::Stock),
        Intent::ProductPrice => Some(ProductWish::Price),
        Intent::ProductQuestion => Some(ProductWish::Property),
        _ => None,
    };
    // "And in red?" after cards; "under 80 pounds please" is a limit and hardly ever a question to the documents.
    let narrows = last.is_some_and(|last| !last.products.is_empty() && last.chunks.is_empty());
    let limits = narrows && asked.text().chars().any(|c| c.is_ascii_digit());
    let Some(wish) = wish else {
        // "Orbit X: waterproof?" when no passage answers.
        let named = || !asked.snapshot.recommender.mentions(asked.text()).is_empty();
        let open = documents < asked.threshold() && !asked.intent.is_smalltalk() && asked.intent != Intent::OffTopic;
        let limit = if limits { DOCUMENTS_ONLY_ABOVE } else { DOCUMENTS_FIRST };
        return (documents < limit && narrows || open && named()).then_some(ProductWish::Property);
    };
    let continues_policy = last.is_some_and(|last| !last.chunks.is_empty() && last.products.is_empty());
    let named = asked.snapshot.recommender.mentions(asked.text()).iter().any(|mention| !mention.generic);
    let limit = match wish {
        ProductWish::Search if limits => f32::INFINITY,
        _ if continues_policy => asked.threshold(),
        // What fits a product and how two differ stands in their records; a document only tells the rest.
        ProductWish::Accessories | ProductWish::Compare if named => DOCUMENTS_ONLY_ABOVE,
        ProductWish::Property if named => DOCUMENTS_FIRST,
        _ if limits => DOCUMENTS_ONLY_ABOVE,
        ProductWish::Price | ProductWish::Property if !named => asked.threshold(),
        ProductWish::Stock if !named => DOCUMENTS_FIRST,
        _ => DOCUMENTS_BEFORE_SEARCH,
    };
    (documents < limit).then_some(wish)
}
