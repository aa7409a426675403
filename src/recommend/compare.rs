//! Two products side by side: which has more of something, and whether one works with the other.

use super::{
    ProductAnswer, Question, Recommender,
    explain::measured,
    facts::ASKS_WHICH,
    index::{Item, fits},
    list, pick,
    words::{Kind, Token},
};
use crate::message::Language;

const FITTING: &[&str] = &[
    "work with",
    "works with",
    "fit",
    "fits",
    "compatible",
    "go with",
    "goes with",
    "suit",
    "suits",
    "match",
    "matches",
    "use with",
    "used with",
    "charge",
    "适合",
    "兼容",
    "能用",
    "适配",
    "可以用",
    "配",
    "搭配",
    "能配",
    "装得上",
    "能给",
    "用在",
];

impl Recommender {
    /// Yes or no, whether one product works with another.
    pub(super) fn compatibility(&self, question: &Question, named: &[&Item]) -> Option<ProductAnswer> {
        if !question.says(FITTING) {
            return None;
        }
        if question.says(ASKS_WHICH) || named.is_empty() {
            return self.what_it_fits(question, named);
        }
        let second = named.get(1).copied().or_else(|| self.own_product(question, named[0]))?;
        let (first, language) = (named[0], question.language());
        let skus = vec![first.product.sku.clone(), second.product.sku.clone()];
        let listed = fits(&first.product, &second.product.sku) || fits(&second.product, &first.product.sku);
        let lists = [first, second].map(|item| !item.product.compatible_with.is_empty());
        let (accessory, main) = if lists[0] { (first, second) } else { (second, first) };
        let (a, m) = (&accessory.product.title, &main.product.title);
        let text = match (listed, lists) {
            (true, _) if fits(&accessory.product, &main.product.sku) => {
                pick(language, format!("Yes, the {a} is listed as fitting the {m}."), format!("可以，{a}标明适合{m}。"))
            }
            (true, _) => {
                pick(language, format!("Yes, the {m} is listed as fitting the {a}."), format!("可以，{m}标明适合{a}。"))
            }
            (false, [false, false]) => return Some(ProductAnswer::NotAboutProducts),
            (false, _) => {
                let fitting = self.fitted_titles(accessory);
                pick(
                    language,
                    format!("No, the {a} is not listed as fitting the {m}. It fits: {}.", list(language, &fitting)),
                    format!("不可以，{a}没有标明适合{m}。它适合{}。", list(language, &fitting)),
                )
            }
        };
        Some(ProductAnswer::Fact { text, skus })
    }

    fn fitted_titles(&self, accessory: &Item) -> Vec<String> {
        accessory
            .product
            .compatible_with
            .iter()
            .map(|sku| self.item(sku.trim()).map_or_else(|| sku.clone(), |item| item.product.title.clone()))
            .take(8)
            .collect()
    }

    /// "Which phones does this charger fit?"
    fn what_it_fits(&self, question: &Question, named: &[&Item]) -> Option<ProductAnswer> {
        let [accessory] = named else { return None };
        let own: Vec<&Item> = accessory
            .product
            .compatible_with
            .iter()
            .filter_map(|sku| self.item(sku.trim()))
            .filter(|item| {
                let wanted = &question.parsed.wish.categories;
                wanted.is_empty() || wanted.contains(&item.product.category)
            })
            .collect();
        // Something else may fit the named product as well; then that is what a shopper looks for.
        let is_target = self.catalogue.fitting(&accessory.product.sku).next().is_some();
        if own.is_empty() || is_target {
            return None;
        }
        let language = question.language();
        let fitting: Vec<String> = own.iter().map(|item| item.product.title.clone()).collect();
        let title = &accessory.product.title;
        let fitting = list(language, &fitting);
        let text = pick(
            language,
            format!("The {title} is listed as fitting {fitting}."),
            format!("{title}标明适合{fitting}。"),
        );
        let skus = [*accessory].into_iter().chain(own).map(|item| item.product.sku.clone()).collect();
        Some(ProductAnswer::Fact { text, skus })
    }

    /// "my phone": of what the shopper has or talked about, the one of that kind.
    fn own_product(&self, question: &Question, other: &Item) -> Option<&Item> {
        let mut known =
            question.request.owned.iter().chain(question.request.talked_about).filter_map(|sku| self.item(sku));
        let things: Vec<&str> =
            question.parsed.tokens.iter().filter(|t| t.kind == Kind::Thing).map(|t| t.term.as_str()).collect();
        let refers = question.says(&["my", "我的", "it", "它", "mine"]);
        known.find(|item| {
            refers
                && item.product.sku != other.product.sku
                && (things.is_empty() || things.iter().any(|thing| item.mentions(thing)))
                && item.product.category != other.product.category
        })
    }

    pub(super) fn compare(&self, question: &Question, items: &[&Item]) -> ProductAnswer {
        let items = &items[..items.len().min(3)];
        let language = question.language();
        let skus: Vec<String> = items.iter().map(|item| item.product.sku.clone()).collect();
        let asked: Vec<&Token> = question
            .parsed
            .tokens
            .iter()
            .filter(|token| {
                !matches!(token.kind, Kind::Filler | Kind::Service) && !self.is_kind_of_target(token, items)
            })
            .collect();
        for token in &asked {
            let meant = Self::measure_meant(question, items[0], token);
            let fewer = question.says(&["less", "fewer", "least", "更少", "最少"]);
            let low = token.kind == Kind::Low || fewer && token.kind != Kind::High;
            let values: Vec<(f64, String)> =
                items.iter().filter_map(|item| comparable(item, &meant, language)).collect();
            if values.len() == items.len() {
                return ProductAnswer::Fact { text: ranked(items, &values, &meant, low, language), skus };
            }
            let all = items.iter().map(|item| self.property(question, item, token)).collect::<Option<Vec<_>>>();
            if let Some(lines) = all {
                return ProductAnswer::Fact { text: lines.join("\n"), skus };
            }
        }
        if asked.is_empty() {
            return ProductAnswer::Fact { text: table(items, language), skus };
        }
        ProductAnswer::NotAboutProducts
    }
}

/// A measure of a product as a number and as words.
fn comparable(item: &Item, name: &str, language: Language) -> Option<(f64, String)> {
    if name == "price" {
        return Some((item.product.price.units(), item.product.price.to_string()));
    }
    let (value, attribute) = item.measure(Some(name), None)?;
    Some((value, attribute.shown(language)))
}

/// "The Iris M10 has more megapixels: 26 against 20 (Iris Pocket)."
fn ranked(items: &[&Item], values: &[(f64, String)], name: &str, low: bool, language: Language) -> String {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|&a, &b| if low { values[a].0.total_cmp(&values[b].0) } else { values[b].0.total_cmp(&values[a].0) });
    let title = |at: usize| items[at].product.title.as_str();
    let (best, rest) = (order[0], &order[1..]);
    let label = match name {
        "price" => pick(language, "price", "价格"),
        _ => items[best].measure(Some(name), None).map_or_else(|| name.to_owned(), |(_, a)| a.label(language)),
    };
    let value = &values[best].1;
    if rest.iter().all(|&at| (values[at].0 - values[best].0).abs() < 1e-9) {
        let titles: Vec<String> = order.iter().map(|&at| title(at).to_owned()).collect();
        let titles = list(language, &titles);
        return pick(
            language,
            format!("No difference: {titles} have the same {label}, {value}."),
            format!("没有区别：{titles}的{label}都是{value}。"),
        );
    }
    let others: Vec<String> = rest
        .iter()
        .map(|&at| {
            pick(
                language,
                format!("{} (the {})", values[at].1, title(at)),
                format!("{}（{}）", values[at].1, title(at)),
            )
        })
        .collect();
    let others = list(language, &others);
    let graded = matches!(name, "price" | "weight" | "power" | "speed" | "brightness" | "rating");
    let word = match (low, graded) {
        (true, true) => pick(language, "lower", if name == "price" { "更低" } else { "更小" }),
        (false, true) => pick(language, "higher", if name == "price" { "更高" } else { "更大" }),
        (true, false) => pick(language, "smaller", "更小"),
        (false, false) => pick(language, "larger", "更大"),
    };
    let best = title(best);
    let plural = label.ends_with('s') && name != "price";
    if language == Language::En && plural {
        let more = if low { "fewer" } else { "more" };
        return format!("The {best} has more: {value} {label} against {others}.").replacen(
            "has more",
            &format!("has {more}"),
            1,
        );
    }
    pick(
        language,
        format!("The {best} has the {word} {label}: {value}, against {others}."),
        format!("{best}的{label}{word}：{value}，而另一款是{others}。"),
    )
}

/// Price, stock and the attributes of each product, a product a line.
fn table(items: &[&Item], language: Language) -> String {
    let line = |item: &&Item| {
        let mut parts = vec![item.product.price.to_string()];
        parts.extend(item.attributes.iter().filter(|a| !a.key.is_empty()).map(|a| measured(a, language)));
        parts.push(match (item.product.stock, language) {
            (0, Language::En) => "out of stock".into(),
            (0, Language::Zh) => "缺货".into(),
            (_, Language::En) => "in stock".into(),
            (_, Language::Zh) => "有货".into(),
        });
        pick(
            language,
            format!("{}: {}.", item.product.title, parts.join(", ")),
            format!("{}：{}。", item.product.title, parts.join("，")),
        )
    };
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}
