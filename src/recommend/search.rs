//! Products for a wish: search, what fits what, personal suggestions; and plain words when there is nothing.

use std::collections::HashSet;

use super::{
    ProductAnswer, Question, Recommender, Sort, Test, Wish,
    index::{Item, fits},
    list,
    parse::kind_words,
    pick,
    quantities::Limits,
    rank::{cosine, z_scores},
    words::{Kind, LEXICON},
};
use crate::{
    language::is_han,
    message::{Language, ProductCard},
};

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
const OTHERS: &[&str] = &[
    "another",
    "other",
    "others",
    "more",
    "else",
    "different",
    "alternatives",
    "另外",
    "别的",
    "其他",
    "其它",
    "还有",
    "换",
];
const PERSONAL: &[&str] = &[
    "for me",
    "i'd like",
    "i would like",
    "i might like",
    "id like",
    "like me",
    "适合我",
    "给我推荐",
    "我会喜欢",
    "为我",
];
pub(super) const SIMILAR: &[&str] =
    &["similar", "like the", "alternative", "alternatives", "instead of", "类似", "替代", "差不多的", "同类"];

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

    /// Products for the wish of a message, on its own or with what was asked before.
    pub(super) fn search(&self, question: &Question) -> ProductAnswer {
        let request = question.request;
        let mut wish = question.parsed.wish.clone();
        if let Some(answer) = self.similar(question, &mut wish) {
            return answer;
        }
        if let Some(mention) = question.mentions.first()
            && wish.is_open()
        {
            if !wish.unchecked.is_empty() {
                return ProductAnswer::NotAboutProducts;
            }
            return self.about(question, &mention.skus.clone());
        }
        if is_beyond_records(question, &wish) {
            return ProductAnswer::NotAboutProducts;
        }
        let mut follows = false;
        if let Some(previous) = request.previous {
            let only_names = !wish.names_kind() && previous.names_kind();
            let narrows = wish.price != Limits::default()
                || !wish.constraints.is_empty()
                || wish.sort.is_some()
                || question.says(OTHERS);
            if only_names && narrows {
                if question.says(OTHERS) {
                    wish.hidden.extend(previous.shown.clone());
                }
                let adjectives = self.follow_up_sort(question, previous);
                wish.sort = wish.sort.or(adjectives);
                wish = previous.narrowed(wish);
                follows = true;
            }
        }
        if let Some(relative) = wish.sort.clone().filter(|sort| sort.relative && follows)
            && let Some(answer) = self.relative(question, &mut wish, &relative)
        {
            return answer;
        }
        if let Some(name) = question.parsed.unknown_target.clone() {
            return self.fits_unknown(question, wish, &name);
        }
        if wish.missing.is_none() && !question.parsed.own_category.is_empty() && request.owned.is_empty() {
            return self.ask_which(question, wish);
        }
        if wish.is_open() {
            return self.open_wish(question, wish);
        }
        self.best(question, wish)
    }

    fn follow_up_sort(&self, question: &Question, previous: &Wish) -> Option<Sort> {
        let token = question.parsed.tokens.iter().find(|token| matches!(token.kind, Kind::Low | Kind::High))?;
        let parent = LEXICON.concept(&token.term)?.parent.clone()?;
        let related = match parent.as_str() {
            "size" => vec!["size", "screen", "length", "height", "width", "capacity"],
            other => vec![other],
        };
        let by = related.into_iter().find(|name| {
            self.catalogue.in_categories(&previous.categories).any(|item| item.measure(Some(name), None).is_some())
        })?;
        Some(Sort { by: by.to_owned(), ascending: token.kind == Kind::Low, relative: true })
    }

    /// "cheaper", "bigger" after products were shown: beyond all of these.
    fn relative(&self, question: &Question, wish: &mut Wish, sort: &Sort) -> Option<ProductAnswer> {
        let value = |item: &Item| sort_value(item, sort);
        let shown: Vec<&Item> = wish.shown.iter().filter_map(|sku| self.item(sku)).collect();
        let values = shown.iter().filter_map(|item| value(item).map(|v| (v, *item)));
        let (edge, extreme) = if sort.ascending {
            values.min_by(|a, b| a.0.total_cmp(&b.0))?
        } else {
            values.max_by(|a, b| a.0.total_cmp(&b.0))?
        };
        let limits = if sort.ascending {
            Limits { max: Some(edge), below: true, ..Limits::default() }
        } else {
            Limits { min: Some(edge), above: true, ..Limits::default() }
        };
        let beyond = |item: &&Item| wish.allows(item, &self.catalogue) && value(item).is_some_and(|v| limits.allow(v));
        if self.catalogue.items.iter().any(|item| beyond(&item)) {
            if sort.by == "price" {
                wish.price = wish.price.narrowed(limits);
            } else {
                let test = Test::Measure { name: Some(sort.by.clone()), dimension: None, limits };
                wish.constraints.push(super::Constraint { said: String::new(), test });
            }
            return None;
        }
        let language = question.language();
        let product = &extreme.product;
        let word = match (sort.by.as_str(), sort.ascending) {
            ("price", true) => pick(language, "cheaper", "更便宜"),
            ("price", false) => pick(language, "more expensive", "更贵"),
            (by, true) => pick(language, format!("with less {by}"), format!("{}更小", LEXICON.word(by, language))),
            (by, false) => pick(language, format!("with more {by}"), format!("{}更大", LEXICON.word(by, language))),
        };
        let text = pick(
            language,
            format!(
                "We have nothing {word} in stock for this wish; that was the {} at {}.",
                product.title, product.price
            ),
            format!("没有{word}的现货了，最合适的就是{}，{}。", product.title, product.price),
        );
        Some(ProductAnswer::Nothing { text, wish: wish.clone() })
    }

    /// "something like the Hush 700, but cheaper".
    fn similar(&self, question: &Question, wish: &mut Wish) -> Option<ProductAnswer> {
        let mention = question.named().next()?;
        let cheaper = wish.sort.as_ref().is_some_and(|sort| sort.by == "price" && sort.ascending);
        if !(question.says(SIMILAR) || cheaper) {
            return None;
        }
        let item = self.item(mention.skus.first()?)?;
        wish.categories = vec![item.product.category.clone()];
        wish.hidden.push(item.product.sku.clone());
        wish.similar_to = Some(item.product.sku.clone());
        if cheaper {
            let below = Limits { max: Some(item.product.price.units()), below: true, ..Limits::default() };
            wish.price = wish.price.narrowed(below);
            let than = pick(
                question.language(),
                format!("cheaper than {}", item.product.price),
                format!("低于{}", item.product.price),
            );
            wish.price_said.get_or_insert(than);
        }
        Some(self.best(question, wish.clone()))
    }

    fn fits_unknown(&self, question: &Question, wish: Wish, name: &str) -> ProductAnswer {
        let language = question.language();
        let kind = kind_words(&wish, &self.catalogue, language);
        let text = pick(
            language,
            format!("I am sorry, none of our {kind} is listed as fitting \"{name}\"."),
            format!("抱歉，我们的{kind}中没有标明适合“{name}”的。"),
        );
        ProductAnswer::Nothing { text, wish }
    }

    fn ask_which(&self, question: &Question, wish: Wish) -> ProductAnswer {
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

    /// No category and no property was said: personal suggestions where asked for, else a question back.
    fn open_wish(&self, question: &Question, wish: Wish) -> ProductAnswer {
        let request = question.request;
        let history: Vec<String> = request.owned.iter().chain(request.talked_about).rev().cloned().collect();
        let personal = question.says(PERSONAL) || (!request.owned.is_empty() && wish.unchecked.is_empty());
        let limited = wish.price != Limits::default();
        if personal && !history.is_empty() {
            let next = self.rank_next(&history, 50);
            let found: Vec<&Item> = next
                .iter()
                .filter_map(|(sku, _)| self.item(sku))
                .filter(|item| wish.allows(item, &self.catalogue) && !self.is_done_with(question, item))
                .collect();
            if !found.is_empty() {
                return self.cards(question, wish, found, None);
            }
        }
        if limited
            || wish.sort.is_some()
            || question.says(&[
                "popular",
                "best seller",
                "bestseller",
                "best sellers",
                "bestsellers",
                "热门",
                "热销",
                "畅销",
            ])
        {
            return self.best(question, wish);
        }
        let themes_only = question.parsed.tokens.iter().all(|t| !matches!(t.kind, Kind::Thing | Kind::Unknown));
        if !wish.unchecked.is_empty() && !themes_only {
            return self.unknown_wish(question, wish);
        }
        let language = question.language();
        let names: Vec<String> = self
            .catalogue
            .categories
            .iter()
            .map(|category| {
                kind_words(
                    &Wish { categories: vec![category.name.clone()], ..Wish::default() },
                    &self.catalogue,
                    language,
                )
            })
            .take(6)
            .collect();
        if names.is_empty() {
            return ProductAnswer::NotAboutProducts;
        }
        let names = list(language, &names);
        let text = pick(
            language,
            format!("Gladly. What are you looking for, and is there a budget? We have, for example, {names}."),
            format!("好的。请问您想找哪一类商品，预算大概多少？我们有{names}等。"),
        );
        ProductAnswer::AskBack { text, wish }
    }

    /// Words that neither the lexicon nor the catalogue explains.
    fn unknown_wish(&self, question: &Question, mut wish: Wish) -> ProductAnswer {
        let asks = question.says(&[
            "do you have",
            "have you got",
            "do you sell",
            "do you carry",
            "do you stock",
            "looking for",
            "i need",
            "i want",
            "any",
            "show me",
            "buy",
            "有没有",
            "有",
            "卖",
            "想买",
            "想要",
            "找",
        ]);
        if !asks {
            return ProductAnswer::NotAboutProducts;
        }
        let language = question.language();
        let said = wish.unchecked.join(if language == Language::En { " " } else { "" });
        wish.missing = Some(said);
        wish.unchecked.clear();
        ProductAnswer::Nothing { text: self.not_sold(question, &wish), wish }
    }

    /// "We do not have a drone", with what comes near where the encoder is sure that something does.
    fn not_sold(&self, question: &Question, wish: &Wish) -> String {
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

    /// The products that meet the wish, best first; or why there are none.
    fn best(&self, question: &Question, mut wish: Wish) -> ProductAnswer {
        let mut found: Vec<&Item> =
            self.catalogue.items.iter().filter(|item| wish.allows(item, &self.catalogue)).collect();
        if !wish.words.is_empty() {
            let saying: Vec<&Item> =
                found.iter().copied().filter(|item| wish.words.iter().any(|word| item.says_itself(word))).collect();
            if !saying.is_empty() {
                found = saying;
            } else if wish.categories.is_empty() && wish.constraints.is_empty() {
                found.clear();
            }
        }
        let fresh: Vec<&Item> = found.iter().copied().filter(|item| !self.is_done_with(question, item)).collect();
        if !fresh.is_empty() {
            found = fresh;
        }
        if found.is_empty() {
            let text = self.why_nothing(question, &wish);
            return ProductAnswer::Nothing { text, wish };
        }
        let scores = self.scores(question, &wish);
        let score = |item: &Item| scores.get(item.product.sku.as_str()).copied().unwrap_or(0.0);
        found.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.product.sku.cmp(&b.product.sku)));
        if let Some(sort) = &wish.sort {
            found.retain(|item| sort_value(item, sort).is_some());
            found.sort_by(|a, b| {
                let (a, b) = (sort_value(a, sort).unwrap_or(0.0), sort_value(b, sort).unwrap_or(0.0));
                if sort.ascending { a.total_cmp(&b) } else { b.total_cmp(&a) }
            });
            // "a small phone" is none of the large ones.
            if !sort.relative {
                found.truncate(found.len().div_ceil(2));
            }
        }
        if found.is_empty() {
            let text = self.why_nothing(question, &wish);
            return ProductAnswer::Nothing { text, wish };
        }
        wish.shown.clear();
        self.cards(question, wish, found, None)
    }

    fn scores(&self, question: &Question, wish: &Wish) -> std::collections::HashMap<&str, f32> {
        let like = wish.similar_to.as_deref().and_then(|sku| self.item(sku)).map(|item| item.embedding.as_slice());
        let query = like.or(question.request.query_embedding);
        let meaning = query.map(|query| z_scores(query, &self.catalogue.items));
        let terms: Vec<&str> = wish
            .words
            .iter()
            .map(String::as_str)
            .chain(question.parsed.tokens.iter().filter(|t| t.kind != Kind::Filler).map(|t| t.term.as_str()))
            .collect();
        let score = |(at, item): (usize, &Item)| {
            let lexical: f32 = terms
                .iter()
                .map(|term| {
                    if item.title.contains(*term) {
                        1.0
                    } else if item.mentions(term) {
                        0.5
                    } else {
                        0.0
                    }
                })
                .sum();
            let popular = self.habits.popularity(&item.product.sku).ln_1p();
            lexical + meaning.as_ref().map_or(0.0, |z| z[at]) + 0.2 * popular
        };
        self.catalogue.items.iter().enumerate().map(|pair| (pair.1.product.sku.as_str(), score(pair))).collect()
    }

    /// Bought already and nothing that is bought again.
    fn is_done_with(&self, question: &Question, item: &Item) -> bool {
        question.request.owned.contains(&item.product.sku) && !self.habits.is_consumable(item)
    }

    /// How well `item` goes beside `target`: bought together, then similar in content.
    fn beside(&self, target: &Item, item: &Item) -> f32 {
        self.habits.bought_together(&target.product.sku, &item.product.sku) as f32
            + self.habits.popularity(&item.product.sku).ln_1p() * 0.1
            + cosine(&target.embedding, &item.embedding)
    }

    fn cards(&self, question: &Question, wish: Wish, found: Vec<&Item>, fits_target: Option<&Item>) -> ProductAnswer {
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
            text += &format!("\n- {}{stop}{}", card.title, card.reason);
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
                Test::Has(term) => parts.push(stated(item, term, &constraint.said, language)),
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
    fn why_nothing(&self, question: &Question, wish: &Wish) -> String {
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

const WANTS: &[&str] = &[
    "do you have",
    "have you got",
    "do you sell",
    "do you carry",
    "do you stock",
    "looking for",
    "i need",
    "i want",
    "i would like",
    "i'd like",
    "show me",
    "recommend",
    "suggest",
    "can i buy",
    "can i get",
    "please",
    "有没有",
    "推荐",
    "想买",
    "想找",
    "想要",
    "卖",
    "要一",
    "来一",
    "求",
];
const CIRCUMSTANCE: &[&str] = &[
    "when",
    "where",
    "why",
    "who",
    "how do",
    "how can",
    "how long",
    "how far",
    "arrive",
    "arrived",
    "什么时候",
    "为什么",
    "怎么",
    "哪里",
    "到了吗",
    "会到",
    "多久",
];
const ASKS: &[&str] = &[
    "what", "how", "can", "may", "could", "is", "are", "does", "do", "will", "must", "should", "吗", "能", "多少",
    "什么", "可以", "会",
];

/// A question that merely touches a kind of product ("what is the deposit for a loan phone"): its decisive words are in
/// no record, so the documents may know.
fn is_beyond_records(question: &Question, wish: &Wish) -> bool {
    if question.says(WANTS) || question.parsed.unknown_target.is_some() {
        return false;
    }
    let fits = question.says(FITS);
    let own = question.parsed.own && !fits;
    let asks = question.says(ASKS) && question.parsed.unknown >= 1;
    let only_words = wish.categories.is_empty() && wish.constraints.is_empty() && wish.missing.is_none();
    let stray = only_words && !wish.words.is_empty() && !wish.unchecked.is_empty();
    let bare_measure = only_measures(wish);
    question.parsed.unknown >= 2
        || asks
        || own
        || stray
        || bare_measure && question.request.previous.is_none()
        || question.says(CIRCUMSTANCE)
}

/// A number with a unit and no kind of product.
fn only_measures(wish: &Wish) -> bool {
    let measure = |constraint: &super::Constraint| matches!(constraint.test, Test::Measure { .. });
    wish.categories.is_empty() && !wish.constraints.is_empty() && wish.constraints.iter().all(measure)
}

fn says_accessory(said: &str) -> bool {
    super::words::terms(said).contains("accessory")
}

fn card(item: &Item, reason: String) -> ProductCard {
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

fn remembered(mut wish: Wish, cards: &[ProductCard]) -> Wish {
    wish.shown = cards.iter().map(|card| card.sku.clone()).collect();
    wish.unchecked.clear();
    wish
}

fn sort_value(item: &Item, sort: &Sort) -> Option<f64> {
    if sort.by == "price" {
        return Some(item.product.price.units());
    }
    item.measure(Some(&sort.by), None).map(|(value, _)| value)
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
fn stated(item: &Item, term: &str, said: &str, language: Language) -> String {
    let concept = LEXICON.concept(term).is_some();
    let same_script = said.chars().any(is_han) == (language == Language::Zh);
    if concept && !same_script {
        return LEXICON.word(term, language).to_owned();
    }
    let _ = item;
    if language == Language::En { said.to_lowercase() } else { said.trim_end_matches('的').to_owned() }
}

/// " that is waterproof, under 150": the stated conditions in the shopper's own words.
fn conditions(wish: &Wish, language: Language) -> String {
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
