//! Products for a wish: search, similar ones, narrowing what was shown, personal suggestions.

use super::{
    ProductAnswer, Question, Recommender, Sort, Test, Wish,
    accessories::FITS,
    index::Item,
    list,
    parse::kind_words,
    pick,
    quantities::Limits,
    rank::z_scores,
    words::{Kind, LEXICON},
};
use crate::message::Language;

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
    pub(super) fn is_done_with(&self, question: &Question, item: &Item) -> bool {
        question.request.owned.contains(&item.product.sku) && !self.habits.is_consumable(item)
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
    let own = question.parsed.own && !fits && question.parsed.own_category.is_empty();
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

fn sort_value(item: &Item, sort: &Sort) -> Option<f64> {
    if sort.by == "price" {
        return Some(item.product.price.units());
    }
    item.measure(Some(&sort.by), None).map(|(value, _)| value)
}
