//! What goes with a product that the shopper names, has or talked about. Only the records' own lists say what fits.

use super::{
    ProductAnswer, Question, Recommender, Test, Wish,
    explain::{card, conditions, remembered},
    index::Item,
    list,
    parse::kind_words,
    pick,
    rank::cosine,
    search::SIMILAR,
    words::{Kind, LEXICON},
};
use crate::message::ProductCard;

pub(super) const FITS: &[&str] = &[
    "go with",
    "goes with",
    "going with",
    "fit",
    "fits",
    "fitting",
    "suit",
    "suits",
    "compatible",
    "work with",
    "works with",
    "accessory",
    "accessories",
    "buy for",
    "get for",
    "add to",
    "use with",
    "together with",
    "match",
    "matches",
    "适合",
    "适配",
    "兼容",
    "配件",
    "搭配",
    "配什么",
    "能用",
    "配套",
    "可以配",
    "配",
];

impl Recommender {
    /// What goes with a product that the shopper names, has or talked about; `None` when that is not asked.
    pub(super) fn accessories(&self, question: &Question) -> Option<ProductAnswer> {
        let target = self.accessory_target(question)?;
        let mut wish = question.parsed.wish.clone();
        // "the phone from my order": the word that picked the product is no category of the accessory.
        wish.categories.retain(|name| *name != target.product.category || self.is_fitted_by_its_own_kind(target));
        wish.fits_category.clear();
        wish.words.clear();
        wish.constraints.retain(|constraint| {
            !matches!(&constraint.test, Test::Has(term) if target.mentions(term) && LEXICON.concept(term).is_some_and(|c| c.kind == Kind::Thing))
        });
        wish.unchecked.retain(|said| !target.product.title.to_lowercase().contains(&said.to_lowercase()));
        if wish.missing.as_deref().is_some_and(says_accessory) {
            wish.missing = None;
        }
        let mut asked = wish.clone();
        asked.fits = vec![target.product.sku.clone()];
        let mut fitting: Vec<&Item> =
            self.catalogue.items.iter().filter(|item| asked.allows(item, &self.catalogue)).collect();
        fitting.retain(|item| item.product.sku != target.product.sku && !self.is_done_with(question, item));
        if !fitting.is_empty() {
            fitting.sort_by(|a, b| self.beside(target, b).total_cmp(&self.beside(target, a)));
            return Some(self.cards(question, asked, fitting, Some(target)));
        }
        let declared = self.catalogue.fitting(&target.product.sku).next().is_some();
        let needs_fit =
            self.catalogue.items.iter().any(|item| {
                wish.categories.contains(&item.product.category) && !item.product.compatible_with.is_empty()
            });
        if declared || needs_fit || wish.missing.is_some() || !wish.constraints.is_empty() {
            return Some(self.nothing_fits(question, asked, target));
        }
        self.bought_with(question, wish, target)
    }

    fn is_fitted_by_its_own_kind(&self, target: &Item) -> bool {
        self.catalogue.fitting(&target.product.sku).any(|item| item.product.category == target.product.category)
    }

    /// The product that something shall fit.
    fn accessory_target<'a>(&'a self, question: &Question) -> Option<&'a Item> {
        let asks = question.says(FITS) || question.says(&["for", "with", "给", "用的"]);
        if question.says(SIMILAR) {
            return None;
        }
        if let Some(mention) = question.named().last() {
            let other_kind = !question.parsed.wish.categories.is_empty() || question.parsed.wish.missing.is_some();
            let item = self.item(mention.skus.first()?)?;
            let before = question.request.text[..mention.span.start].trim_end().to_lowercase();
            let introduced = before.ends_with(" for")
                || before.ends_with("for the")
                || before.ends_with("for my")
                || before.ends_with("with my")
                || before.ends_with("with the");
            return (question.says(FITS) || (asks && introduced) || other_kind).then_some(item);
        }
        let refers = question.says(&["my", "我的", "我买", "我刚买", "刚买", "订单", "order"]);
        let pronoun = question.says(&["it", "that", "this", "them", "它", "这个", "那个", "这款", "那款"]);
        if !(question.says(FITS) || question.says(&["for my", "for it", "for that", "for this", "给它"])) {
            return None;
        }
        let known = question.request.talked_about.iter().filter(|_| pronoun || refers);
        let owned = question.request.owned.iter().filter(|_| refers);
        let mut candidates: Vec<&Item> = if refers {
            owned.chain(known).filter_map(|sku| self.item(sku)).collect()
        } else {
            known.filter_map(|sku| self.item(sku)).collect()
        };
        // "the phone from my order": of what they have, the one that is a phone.
        let kinds: Vec<&str> = question
            .parsed
            .tokens
            .iter()
            .filter(|token| token.kind == Kind::Thing)
            .map(|token| token.term.as_str())
            .collect();
        let wanted = &question.parsed.wish.categories;
        let described = |item: &&&Item| {
            kinds.iter().any(|kind| item.mentions(kind))
                && (!wanted.contains(&item.product.category) || wanted.len() > 1)
                || question.parsed.own_category.contains(&item.product.category)
                || question.parsed.wish.fits_category.contains(&item.product.category)
        };
        if let Some(item) = candidates.iter().find(described) {
            return Some(item);
        }
        candidates.retain(|item| self.catalogue.fitting(&item.product.sku).next().is_some());
        candidates.first().copied()
    }

    fn nothing_fits(&self, question: &Question, wish: Wish, target: &Item) -> ProductAnswer {
        let language = question.language();
        let title = &target.product.title;
        let kind = match &wish.missing {
            Some(said) => said.clone(),
            None if wish.categories.is_empty() => pick(language, "accessory", "配件"),
            None => kind_words(&wish, &self.catalogue, language),
        };
        let sold_out: Vec<String> = self
            .catalogue
            .items
            .iter()
            .filter(|item| item.product.stock == 0 && wish.allows_but_stock(item, &self.catalogue))
            .map(|item| item.product.title.clone())
            .collect();
        let mut text = pick(
            language,
            format!(
                "I am sorry, nothing we have in stock under \"{kind}\" is listed as fitting the {title}{}.",
                conditions(&wish, language)
            ),
            format!("抱歉，目前有货的{kind}中没有标明适合{title}{}的。", conditions(&wish, language)),
        );
        if !sold_out.is_empty() {
            let names = list(language, &sold_out);
            text += &pick(
                language,
                format!(" {names} would fit but is out of stock."),
                format!("{names}适合，但目前缺货。"),
            );
        }
        ProductAnswer::Nothing { text, wish }
    }

    /// Nothing says what fits: what others bought beside it, without claiming more.
    fn bought_with(&self, question: &Question, wish: Wish, target: &Item) -> Option<ProductAnswer> {
        let language = question.language();
        let title = &target.product.title;
        let mut found: Vec<(u32, &Item)> = self
            .catalogue
            .items
            .iter()
            .filter(|item| {
                item.product.sku != target.product.sku
                    && wish.allows(item, &self.catalogue)
                    && !self.is_done_with(question, item)
            })
            .map(|item| (self.habits.bought_together(&item.product.sku, &target.product.sku), item))
            .filter(|(count, _)| *count > 0)
            .collect();
        found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        if found.is_empty() {
            let text = pick(
                language,
                format!("Our catalogue does not say what goes with the {title}, so I would rather not guess."),
                format!("商品目录没有标明什么适合搭配{title}，我不想随意推荐。"),
            );
            return question.says(FITS).then_some(ProductAnswer::Nothing { text, wish });
        }
        let text = pick(
            language,
            format!("Our catalogue does not say what fits the {title}. Customers often bought these together with it:"),
            format!("商品目录没有标明什么适配{title}。不少顾客会一起购买："),
        );
        let cards: Vec<ProductCard> = found
            .iter()
            .take(question.request.limit.max(1))
            .map(|(_, item)| {
                card(
                    item,
                    pick(language, format!("often bought together with the {title}"), format!("常与{title}一起购买")),
                )
            })
            .collect();
        let wish = remembered(wish, &cards);
        Some(ProductAnswer::Cards { text, cards, wish })
    }

    pub(super) fn fits_unknown(&self, question: &Question, wish: Wish, name: &str) -> ProductAnswer {
        let language = question.language();
        let kind = kind_words(&wish, &self.catalogue, language);
        let text = pick(
            language,
            format!("I am sorry, none of our {kind} is listed as fitting \"{name}\"."),
            format!("抱歉，我们的{kind}中没有标明适合“{name}”的。"),
        );
        ProductAnswer::Nothing { text, wish }
    }

    pub(super) fn ask_which(&self, question: &Question, wish: Wish) -> ProductAnswer {
        let language = question.language();
        let own = Wish { categories: question.parsed.own_category.clone(), ..Wish::default() };
        let (wanted, own) = (kind_words(&wish, &self.catalogue, language), kind_words(&own, &self.catalogue, language));
        let text = pick(
            language,
            format!("Which model do you have? We look up which of our {wanted} fit your {own}."),
            format!("请问您的{own}是哪个型号？我帮您查一下适配的{wanted}。"),
        );
        ProductAnswer::AskBack { text, wish }
    }

    /// How well `item` goes beside `target`: bought together, then similar in content.
    fn beside(&self, target: &Item, item: &Item) -> f32 {
        self.habits.bought_together(&target.product.sku, &item.product.sku) as f32
            + self.habits.popularity(&item.product.sku).ln_1p() * 0.1
            + cosine(&target.embedding, &item.embedding)
    }
}

fn says_accessory(said: &str) -> bool {
    super::words::terms(said).contains("accessory")
}
