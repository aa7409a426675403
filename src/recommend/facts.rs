//! What the records state about products that the shopper names: stock, price, properties, comparison, compatibility.

use super::{
    ProductAnswer, ProductWish, Question, Recommender,
    attributes::{Attribute, Value},
    explain::measured,
    index::{Evidence, Item},
    pick,
    words::{Kind, LEXICON, Token},
};
use crate::message::Language;

const STOCK: &[&str] = &[
    "in stock",
    "available",
    "availability",
    "sold out",
    "out of stock",
    "left",
    "back in",
    "do you have",
    "have you got",
    "do you sell",
    "do you carry",
    "can i get",
    "can i buy",
    "有货",
    "现货",
    "库存",
    "缺货",
    "到货",
    "补货",
    "断货",
    "还有",
    "有没有",
    "卖",
];
const WHEN: &[&str] = &["when", "how soon", "back in", "again", "什么时候", "何时", "多久", "到货", "补货"];
const PRICE: &[&str] =
    &["how much", "price", "cost", "costs", "priced", "多少钱", "价格", "售价", "价钱", "几钱", "怎么卖", "贵不贵"];
const COMPARE: &[&str] = &[
    "or",
    "versus",
    "vs",
    "which",
    "difference",
    "differences",
    "compare",
    "compared",
    "comparison",
    "better",
    "than",
    "between",
    "比",
    "哪个",
    "哪款",
    "对比",
    "区别",
    "还是",
    "差别",
    "哪一个",
];
pub(super) const ASKS_WHICH: &[&str] = &["which", "what", "哪", "什么", "recommend", "推荐", "show me", "any"];
const PRONOUNS: &[&str] =
    &["it", "its", "that one", "this one", "this", "they", "them", "它", "这个", "这款", "那款", "那个", "该"];
const OF_THEM: &[&str] =
    &["which one", "which of", "the two", "both", "which is", "which has", "哪个", "哪款", "哪一个", "两款", "两个"];

impl Recommender {
    /// A statement from the records; `None` when the message asks for products instead.
    pub(super) fn fact(&self, question: &Question) -> Option<ProductAnswer> {
        let named: Vec<&Item> = self.named_items(question);
        let mut all = named.clone();
        if !question.says(ASKS_WHICH) {
            let generic = question.mentions.iter().filter(|m| m.generic).filter_map(|m| self.item(m.skus.first()?));
            all.extend(generic);
        }
        if let Some(answer) = self.compatibility(question, &all) {
            return Some(answer);
        }
        if question.says(super::accessories::FITS) || question.says(super::search::SIMILAR) {
            return None;
        }
        let targets = self.targets(question, &named);
        if targets.len() >= 2 && (question.says(COMPARE) || question.request.wish == ProductWish::Compare) {
            return Some(self.compare(question, &targets));
        }
        if targets.is_empty() || (named.is_empty() && Self::asks_for_products(question)) {
            return None;
        }
        // "case for the Nova 5": the product is named, another kind is wanted.
        let other_kind =
            question.parsed.wish.categories.iter().any(|c| targets.iter().all(|item| item.product.category != *c));
        if other_kind || question.parsed.wish.missing.is_some() && question.says(&["for", "给"]) {
            return None;
        }
        if question.parsed.wish.sort.as_ref().is_some_and(|sort| sort.by == "price")
            && question.says(&["cheaper", "更便宜", "便宜"])
        {
            return None;
        }
        Some(self.about_targets(question, &targets))
    }

    fn about_targets(&self, question: &Question, targets: &[&Item]) -> ProductAnswer {
        // "What is the warranty on it?", where the record states one.
        let stated =
            |token: &Token| targets.iter().any(|item| item.attributes.iter().any(|a| a.is_called(&token.term)));
        let asked: Vec<&Token> = question
            .parsed
            .tokens
            .iter()
            .filter(|token| token.kind != Kind::Filler && (token.kind != Kind::Service || stated(token)))
            .filter(|token| token.term != "price" && !self.is_kind_of_target(token, targets))
            .collect();
        // "how long does the battery last": the adjective belongs to the measure.
        let measure = asked.iter().any(|token| token.kind == Kind::Measure);
        let asked: Vec<&Token> =
            asked.into_iter().filter(|token| !(measure && matches!(token.kind, Kind::Low | Kind::High))).collect();
        if question.says(PRICE) && asked.is_empty() {
            return fact(targets, |item| price(item, question.language()));
        }
        if !asked.is_empty() {
            return self.properties(question, targets, &asked);
        }
        if question.says(STOCK) || question.request.wish == ProductWish::Stock {
            let when = question.says(WHEN);
            return fact(targets, |item| stock(item, when, question.language()));
        }
        let skus: Vec<String> = targets.iter().map(|item| item.product.sku.clone()).collect();
        self.about(question, &skus)
    }

    /// What the record says of products by name alone.
    pub(super) fn about(&self, question: &Question, skus: &[String]) -> ProductAnswer {
        let language = question.language();
        let items: Vec<&Item> = skus.iter().filter_map(|sku| self.item(sku)).take(3).collect();
        fact(&items, |item| {
            let product = &item.product;
            let facts: Vec<String> =
                item.attributes.iter().filter(|a| !a.key.is_empty()).map(|a| measured(a, language)).collect();
            let mut text = pick(
                language,
                format!("{}: {}.", product.title, product.price),
                format!("{}：{}。", product.title, product.price),
            );
            if !product.description.is_empty() && product.language == language {
                text += &pick(language, format!(" {}", product.description), product.description.clone());
            }
            if !facts.is_empty() {
                let facts = facts.join(if language == Language::En { ", " } else { "，" });
                text += &pick(language, format!(" {facts}."), format!("{facts}。"));
            }
            text + &stock_note(item, language)
        })
    }

    fn named_items<'a>(&'a self, question: &Question) -> Vec<&'a Item> {
        let mut items: Vec<&Item> = vec![];
        for mention in question.named() {
            for item in mention.skus.iter().filter_map(|sku| self.item(sku)).take(3) {
                if !items.iter().any(|known| known.product.sku == item.product.sku) {
                    items.push(item);
                }
            }
        }
        items
    }

    fn targets<'a>(&'a self, question: &Question, named: &[&'a Item]) -> Vec<&'a Item> {
        if !named.is_empty() {
            // "is it lighter than the Hush 300": the named one against the one talked about.
            let mut items = named.to_vec();
            if items.len() == 1 && question.says(&["than", "比"]) && question.says(PRONOUNS) {
                items.extend(question.request.talked_about.first().and_then(|sku| self.item(sku)));
            }
            return items;
        }
        let generic: Vec<&Item> = question
            .mentions
            .iter()
            .filter_map(|mention| mention.skus.first())
            .filter_map(|sku| self.item(sku))
            .collect();
        let asks_fact =
            question.says(PRICE) || question.says(&["in stock", "有货", "现货", "库存", "how", "is the", "does the"]);
        if !generic.is_empty() && (asks_fact || generic.len() >= 2) {
            return generic;
        }
        let known = question.request.talked_about.iter().filter_map(|sku| self.item(sku));
        if question.says(OF_THEM)
            && (question.request.wish == ProductWish::Compare || !Self::asks_for_products(question))
        {
            return known.take(3).collect();
        }
        let hint = matches!(question.request.wish, ProductWish::Stock | ProductWish::Price | ProductWish::Property);
        let asks = question.says(&["how", "what", "is", "does", "has", "多", "吗", "什么", "几"]);
        if question.says(PRONOUNS) && asks || hint && asks && !Self::asks_for_products(question) {
            return known.take(1).collect();
        }
        vec![]
    }

    /// A category, limit or missing thing was said: a wish for products rather than a question about one.
    fn asks_for_products(question: &Question) -> bool {
        let wish = &question.parsed.wish;
        let generic_fact = !question.mentions.is_empty();
        !generic_fact
            && (!wish.categories.is_empty() || wish.price != super::Limits::default() || wish.missing.is_some())
    }

    /// "the Hush 300 headphones": the word says what the product is.
    pub(super) fn is_kind_of_target(&self, token: &Token, targets: &[&Item]) -> bool {
        let heads =
            self.catalogue.categories.iter().filter(|c| targets.iter().any(|item| item.product.category == c.name));
        let mut heads = heads.flat_map(|category| category.heads.iter().chain(&category.modifiers));
        matches!(token.kind, Kind::Thing | Kind::Unknown)
            && (heads
                .any(|head| *head == token.term || LEXICON.is_a(head, &token.term) || LEXICON.is_a(&token.term, head))
                || targets.iter().all(|item| item.title.contains(&token.term)))
            && !targets.iter().any(|item| item.attributes.iter().any(|a| a.is_called(&token.term)))
    }

    /// Statements on every property that was asked for. A word that no record explains makes it a question for the
    /// documents: half an answer would pass for a whole one.
    fn properties(&self, question: &Question, targets: &[&Item], asked: &[&Token]) -> ProductAnswer {
        let mut lines = vec![];
        for item in targets {
            let stated: Option<Vec<String>> = asked.iter().map(|token| self.property(question, item, token)).collect();
            let Some(mut stated) = stated else { return ProductAnswer::NotAboutProducts };
            stated.dedup();
            if question.says(PRICE) {
                stated.push(price(item, question.language()));
            } else if question.says(STOCK) && !stated.is_empty() {
                stated.push(stock_note(item, question.language()).trim().to_owned());
            }
            lines.push(stated.join(if question.language() == Language::En { " " } else { "" }));
        }
        let skus = targets.iter().map(|item| item.product.sku.clone()).collect();
        ProductAnswer::Fact { text: lines.join("\n"), skus }
    }

    /// What the record says about one word of a question.
    pub(super) fn property(&self, question: &Question, item: &Item, token: &Token) -> Option<String> {
        let language = question.language();
        let title = &item.product.title;
        let term = Self::measure_meant(question, item, token);
        if term == "price" {
            return Some(price(item, language));
        }
        let asks_value = matches!(token.kind, Kind::Measure | Kind::Low | Kind::High | Kind::Service)
            || question.says(&["which", "what", "how", "哪", "什么", "多"]);
        let attribute = item.attributes.iter().find(|attribute| attribute.is_called(&term));
        if let Some(attribute) = attribute {
            return Some(match attribute.value {
                Value::Flag(flag) => answer(language, flag, title, attribute),
                _ if asks_value || matches!(attribute.value, Value::Number(..)) => pick(
                    language,
                    format!("The {title} is listed with {}: {}.", attribute.label(language), attribute.shown(language)),
                    format!("{title}的{}：{}。", attribute.label(language), attribute.shown(language)),
                ),
                _ => answer(language, true, title, attribute),
            });
        }
        if matches!(token.kind, Kind::Low | Kind::High | Kind::Measure) {
            return None;
        }
        match item.evidence(&term, &self.catalogue) {
            Evidence::Unknown => None,
            evidence => {
                let yes = evidence == Evidence::Yes;
                let by = item.attributes.iter().find(|a| a.says(&term)).or_else(|| self.contrary(item, &term));
                if let Some(attribute) = by {
                    return Some(answer(language, yes, title, attribute));
                }
                let description = item.product.description.trim_end_matches(['.', '。']);
                let said = if yes { pick(language, "Yes", "是的") } else { pick(language, "No", "不是") };
                Some(pick(
                    language,
                    format!("{said}, the record of the {title} says: \"{description}\"."),
                    format!("{said}，{title}的商品说明写着：“{description}”。"),
                ))
            }
        }
    }

    /// The attribute whose other value speaks against `term`.
    fn contrary<'a>(&self, item: &'a Item, term: &str) -> Option<&'a Attribute> {
        let keys = self.catalogue.keys_with_value(term).map(str::to_owned).collect::<Vec<_>>();
        item.attributes.iter().find(|attribute| keys.contains(&attribute.key))
    }

    /// The attribute that a word asks for: "how heavy" asks for the weight, "how big" for whichever size is recorded.
    pub(super) fn measure_meant(question: &Question, item: &Item, token: &Token) -> String {
        let parent = match token.kind {
            Kind::Low | Kind::High => LEXICON.concept(&token.term).and_then(|concept| concept.parent.clone()),
            _ => None,
        };
        let name = parent.unwrap_or_else(|| token.term.clone());
        let has = |name: &&&str| item.attributes.iter().any(|attribute| attribute.is_called(name));
        match name.as_str() {
            // How long a battery lasts is not its charge.
            "battery" if question.says(&["how long", "last", "lasts", "多久", "多长时间"]) => {
                "battery life".into()
            }
            "size" => ["size", "screen", "diameter", "length", "width", "height", "capacity"]
                .iter()
                .find(has)
                .map_or(name, |name| (*name).to_owned()),
            _ => name,
        }
    }
}

fn answer(language: Language, yes: bool, title: &str, attribute: &Attribute) -> String {
    let (label, value) = (attribute.label(language), attribute.shown(language));
    let said = if yes { pick(language, "Yes", "是的") } else { pick(language, "No", "不是") };
    if matches!(attribute.value, Value::Flag(_)) {
        return if yes {
            pick(
                language,
                format!("{said}, the {title} is listed with {label}: {value}."),
                format!("{said}，{title}标明：{label}，{value}。"),
            )
        } else {
            pick(
                language,
                format!("{said}, the {title} is listed with {label}: {value}."),
                format!("没有，{title}标明：{label}，{value}。"),
            )
        };
    }
    pick(
        language,
        format!("{said}, the {title} is listed with {label}: {value}."),
        format!("{said}，{title}的{label}：{value}。"),
    )
}

fn price(item: &Item, language: Language) -> String {
    let (title, price) = (&item.product.title, &item.product.price);
    let mut text = pick(language, format!("The {title} costs {price}."), format!("{title}的价格是{price}。"));
    if item.product.stock == 0 {
        text += &stock_note(item, language);
    }
    text
}

fn stock(item: &Item, when: bool, language: Language) -> String {
    let (title, price, pieces) = (&item.product.title, &item.product.price, item.product.stock);
    match (pieces, when) {
        (0, true) => pick(
            language,
            format!("The {title} is out of stock at the moment, and I have no date for when it will be back."),
            format!("{title}目前缺货，我没有到货日期。"),
        ),
        (0, false) => pick(
            language,
            format!("No, the {title} is out of stock at the moment; I have no date for when it will be back."),
            format!("没有，{title}目前缺货，我没有到货日期。"),
        ),
        _ => pick(
            language,
            format!("Yes, the {title} is in stock ({pieces} left) for {price}."),
            format!("有的，{title}有现货（{pieces}件），价格{price}。"),
        ),
    }
}

/// A closing sentence on the stock.
fn stock_note(item: &Item, language: Language) -> String {
    match item.product.stock {
        0 => pick(language, " It is out of stock at the moment.", "目前缺货。"),
        pieces => pick(language, format!(" In stock: {pieces}."), format!("现货{pieces}件。")),
    }
}

fn fact(items: &[&Item], say: impl Fn(&Item) -> String) -> ProductAnswer {
    let text: Vec<String> = items.iter().map(|item| say(item)).collect();
    ProductAnswer::Fact { text: text.join("\n"), skus: items.iter().map(|item| item.product.sku.clone()).collect() }
}
