//! The words around products: why each is shown, and why nothing is. Every number comes from a record.

use std::collections::HashSet;

use super::{
    ProductAnswer, Question, Recommender, Test, Wish,
    index::{Item, fits},
    list,
    parse::kind_words,
    pick,
    quantities::Limits,
    rank::z_scores,
    words::{Kind, LEXICON},
};
use crate::{
    language::is_han,
    message::{Language, ProductCard},
};

impl Recommender {
    /// "We do not have a drone", with what comes near where the encoder is sure that something does.
    pub(super) fn not_sold(&self, question: &Question, wish: &Wish) -> String {
        let language = question.language();
        let said = wish.missing.clone().unwrap_or_default();
        let mut text = pick(
            language,
            format!("No, we do not have \"{said}\" in our catalogue."),
            format!("抱歉，我们的商品目录里没有“{said}”。"),
        );
        if let Some(near) = self.near(question, &said) {
            let product = &near.product;
            text += &pick(
                language,
                format!(
                    " The nearest we have is the {} ({}), which is listed under {}.",
                    product.title, product.price, product.category
                ),
                format!("最接近的是{}（{}），属于{}。", product.title, product.price, product.category),
            );
        }
        text
    }

    /// A product that stands out from the whole catalogue as similar, for a word that no lexicon has.
    fn near(&self, question: &Question, said: &str) -> Option<&Item> {
        let known = super::words::tokens(said).iter().any(|token| token.kind == Kind::Thing);
        let query = question.request.query_embedding.filter(|_| !known && self.catalogue.items.len() >= 12)?;
        let scores = z_scores(query, &self.catalogue.items);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let item = &self.catalogue.items[*order.first()?];
        (scores[order[0]] > 3.0 && item.product.stock > 0).then_some(item)
    }

    pub(super) fn cards(
        &self,
        question: &Question,
        wish: Wish,
        found: Vec<&Item>,
        fits_target: Option<&Item>,
    ) -> ProductAnswer {
        let language = question.language();
        let mut seen = HashSet::new();
        let cards: Vec<ProductCard> = found
            .into_iter()
            .filter(|item| seen.insert((item.product.title.to_lowercase(), item.product.price.clone())))
            .take(question.request.limit.max(1))
            .map(|item| card(item, self.reason(question, &wish, item, fits_target)))
            .collect();
        let mut text = match (fits_target, cards.len()) {
            (Some(target), 1) => pick(
                language,
                format!("This fits the {}:", target.product.title),
                format!("这款适合{}：", target.product.title),
            ),
            (Some(target), _) => pick(
                language,
                format!("These fit the {}:", target.product.title),
                format!("以下商品适合{}：", target.product.title),
            ),
            (None, 1) => pick(language, "This one is in stock and meets your wish:", "这款有现货，符合您的要求："),
            (None, _) => pick(language, "These are in stock and meet your wish:", "以下商品有现货，符合您的要求："),
        };
        for card in &cards {
            let stop = if language == Language::En { ": " } else { "：" };
            text.extend(["\n- ", &card.title, stop, &card.reason]);
        }
        if !wish.unchecked.is_empty() {
            let said: Vec<String> = wish.unchecked.iter().map(|said| quoted(said, language)).collect();
            let said = list(language, &said);
            text += &pick(
                language,
                format!("\nI could not check {said}: our product records do not say."),
                format!("\n{said}这一点商品资料中没有写明，我无法确认。"),
            );
        }
        let wish = remembered(wish, &cards);
        ProductAnswer::Cards { text, cards, wish }
    }

    /// Why a product is shown: its price and what of the wish its record states.
    fn reason(&self, question: &Question, wish: &Wish, item: &Item, fits_target: Option<&Item>) -> String {
        let language = question.language();
        let product = &item.product;
        let mut parts = vec![product.price.to_string()];
        for sku in &wish.fits {
            if let Some(target) = self.item(sku).filter(|_| fits(product, sku)) {
                parts.push(pick(
                    language,
                    format!("fits the {}", target.product.title),
                    format!("适合{}", target.product.title),
                ));
            }
        }
        for constraint in &wish.constraints {
            match &constraint.test {
                Test::Has(term) => parts.push(stated(term, &constraint.said, language)),
                Test::HasNot(_) | Test::Size(_) if !constraint.said.is_empty() => parts.push(constraint.said.clone()),
                Test::Measure { name, dimension, .. } => {
                    if let Some((_, attribute)) = item.measure(name.as_deref(), dimension.as_deref()) {
                        parts.push(measured(attribute, language));
                    }
                }
                _ => {}
            }
        }
        if let Some(said) = &wish.price_said {
            parts.push(said.clone());
        }
        if let Some(sort) = wish.sort.as_ref().filter(|sort| sort.by != "price")
            && let Some((_, attribute)) = item.measure(Some(&sort.by), None)
        {
            parts.push(measured(attribute, language));
        }
        if let Some(target) = fits_target.filter(|t| self.habits.bought_together(&t.product.sku, &product.sku) > 0) {
            let title = &target.product.title;
            parts.push(pick(
                language,
                format!("often bought together with the {title}"),
                format!("常与{title}一起购买"),
            ));
        } else if parts.len() == 1 && wish.is_open() {
            parts.extend(self.personal_reason(question, item));
        }
        if parts.len() == 1 {
            parts.push(pick(language, "in stock", "有现货"));
        }
        let mut seen = HashSet::new();
        parts.retain(|part| seen.insert(part.clone()));
        parts.join(if language == Language::En { ", " } else { "，" })
    }

    fn personal_reason(&self, question: &Question, item: &Item) -> Option<String> {
        let language = question.language();
        let sku = &item.product.sku;
        let partner = question.request.owned.iter().find(|owned| self.habits.bought_together(owned, sku) > 0);
        if let Some(partner) = partner.and_then(|sku| self.item(sku)) {
            let title = &partner.product.title;
            return Some(pick(
                language,
                format!("often bought together with the {title}"),
                format!("常与{title}一起购买"),
            ));
        }
        self.habits.is_popular(sku).then(|| pick(language, "popular now", "近期热门"))
    }

    /// Nothing meets the wish: which condition is in the way, and what comes near, in words only.
    pub(super) fn why_nothing(&self, question: &Question, wish: &Wish) -> String {
        if wish.missing.is_some() {
            return self.not_sold(question, wish);
        }
        let language = question.language();
        let kind = kind_words(wish, &self.catalogue, language);
        let mut text = pick(
            language,
            format!("I am sorry, we have no {kind} in stock{}.", conditions(wish, language)),
            format!("抱歉，目前没有{}现货的{kind}。", conditions(wish, language)),
        );
        let sold_out: Vec<String> = self
            .catalogue
            .items
            .iter()
            .filter(|item| item.product.stock == 0 && wish.allows_but_stock(item, &self.catalogue))
            .filter(|item| wish.words.is_empty() || wish.words.iter().any(|word| item.mentions(word)))
            .map(|item| item.product.title.clone())
            .take(2)
            .collect();
        if !sold_out.is_empty() {
            let names = list(language, &sold_out);
            text += &pick(
                language,
                format!(" The {names} would match but is out of stock at the moment."),
                format!("{names}符合要求，但目前缺货。"),
            );
        } else if let Some(near) = self.over_price(wish) {
            let product = &near.product;
            text += &pick(
                language,
                format!(" The closest in price is the {} at {}.", product.title, product.price),
                format!("价格最接近的是{}，{}。", product.title, product.price),
            );
        } else {
            text += &pick(
                language,
                " Our records list none that meets all of this; shall I drop one of the conditions?",
                "商品资料中没有全部符合的，需要放宽其中一个条件吗？",
            );
        }
        text
    }

    /// The product that meets all but the price, nearest to it.
    fn over_price(&self, wish: &Wish) -> Option<&Item> {
        if wish.price == Limits::default() || wish.is_open() {
            return None;
        }
        let relaxed = Wish { price: Limits::default(), ..wish.clone() };
        let goal = wish.price.max.or(wish.price.min)?;
        self.catalogue
            .items
            .iter()
            .filter(|item| relaxed.allows(item, &self.catalogue))
            .filter(|item| wish.words.is_empty() || wish.words.iter().any(|word| item.mentions(word)))
            .min_by(|a, b| (a.product.price.units() - goal).abs().total_cmp(&(b.product.price.units() - goal).abs()))
    }
}

pub(super) fn card(item: &Item, reason: String) -> ProductCard {
    let product = &item.product;
    ProductCard {
        sku: product.sku.clone(),
        title: product.title.clone(),
        price: product.price.clone(),
        stock: product.stock,
        image: product.image.clone(),
        reason,
    }
}

pub(super) fn remembered(mut wish: Wish, cards: &[ProductCard]) -> Wish {
    wish.shown = cards.iter().map(|card| card.sku.clone()).collect();
    wish.unchecked.clear();
    wish
}

fn quoted(said: &str, language: Language) -> String {
    pick(language, format!("\"{said}\""), format!("“{said}”"))
}

/// "screen 5.2 inch", "屏幕 5.2 inch".
pub(super) fn measured(attribute: &super::attributes::Attribute, language: Language) -> String {
    let label = attribute.label(language);
    if label.is_empty() { attribute.written.clone() } else { format!("{label} {}", attribute.shown(language)) }
}

/// A property in the reply's language; the shop's own value where an attribute has it.
fn stated(term: &str, said: &str, language: Language) -> String {
    let concept = LEXICON.concept(term).is_some();
    let same_script = said.chars().any(is_han) == (language == Language::Zh);
    if concept && !same_script {
        return LEXICON.word(term, language).to_owned();
    }
    if language == Language::En { said.to_lowercase() } else { said.trim_end_matches('的').to_owned() }
}

/// " that is waterproof, under 150": the stated conditions in the shopper's own words.
pub(super) fn conditions(wish: &Wish, language: Language) -> String {
    let mut said: Vec<String> =
        wish.constraints.iter().map(|c| c.said.clone()).filter(|said| !said.is_empty()).collect();
    said.extend(wish.price_said.clone());
    let words: Vec<String> = wish.words.iter().filter(|_| wish.categories.is_empty()).cloned().collect();
    said.extend(words);
    if said.is_empty() {
        return String::new();
    }
    let said: Vec<String> = said.iter().map(|said| quoted(said, language)).collect();
    pick(language, format!(" for {}", list(language, &said)), format!("符合{}且有", list(language, &said)))
}
