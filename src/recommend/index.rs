//! The catalogue as the vocabulary: every product's terms and attributes, and the categories with the words they go by.

use std::collections::{BTreeSet, HashMap};

use super::{
    attributes::{Attribute, Value, attributes},
    words::{Kind, LEXICON, Token, nearest, tokens},
};
use crate::{catalog::Product, language::is_han, storage::StoredProduct};

/// Whether a record says that a product has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It says so.
    Yes,
    /// It says the opposite.
    No,
    /// It does not say.
    Unknown,
}

/// A product with everything that is looked up in it.
#[derive(Debug)]
pub struct Item {
    /// The record.
    pub product: Product,
    /// Its attributes, readable.
    pub attributes: Vec<Attribute>,
    /// Terms of the title.
    pub title: BTreeSet<String>,
    /// Terms of title and description.
    pub text: BTreeSet<String>,
    /// Terms of the category.
    kind: BTreeSet<String>,
    /// Terms that the description denies ("no sugar").
    denied: BTreeSet<String>,
    /// Title, description, category and attributes in lower case, for Chinese words that no lexicon has.
    raw: String,
    /// Unit vector.
    pub embedding: Vec<f32>,
}

impl Item {
    fn new(stored: StoredProduct) -> Self {
        let StoredProduct { product, embedding, .. } = stored;
        let title: BTreeSet<String> = content(&tokens(&product.title)).map(|token| token.term.clone()).collect();
        let mut text = title.clone();
        let mut denied = BTreeSet::new();
        let description = tokens(&product.description);
        for token in content(&description) {
            if is_denied(&product.description, token) {
                denied.insert(token.term.clone());
            } else {
                text.insert(token.term.clone());
            }
        }
        let kind = content(&tokens(&product.category)).map(|token| token.term.clone()).collect();
        let values: Vec<&str> = product.attributes.values().map(String::as_str).collect();
        let raw = [&product.title, &product.description, &product.category, &values.join(" ")]
            .map(|part| part.to_lowercase())
            .join("\n");
        Self { attributes: attributes(&product), title, text, kind, denied, raw, embedding, product }
    }

    /// Whether title, description or category mention `term` or a kind of it.
    pub fn mentions(&self, term: &str) -> bool {
        let plain =
            |words: &BTreeSet<String>| words.contains(term) || words.iter().any(|word| LEXICON.is_a(word, term));
        plain(&self.text) || plain(&self.kind) || (term.chars().all(is_han) && self.raw.contains(term))
    }

    /// Whether the title has `term`, also as a part of a longer term ("down" in "down jacket").
    pub fn names_itself(&self, term: &str) -> bool {
        self.title.iter().any(|word| word == term || word.split(' ').any(|part| part == term))
    }

    /// Whether title or description say `term` themselves, also within a longer word (茶 in 茶具, "tea" in "tea set").
    pub fn says_itself(&self, term: &str) -> bool {
        let within =
            |word: &String| word == term || LEXICON.is_a(word, term) || word.split(' ').any(|part| part == term);
        let chinese = LEXICON.concept(term).and_then(|concept| concept.chinese.as_deref()).unwrap_or(term);
        self.text.iter().any(within) || (chinese.chars().all(is_han) && self.raw.contains(chinese))
    }

    /// What the record says about `term`: attributes first, the words of the description where they are silent.
    pub fn evidence(&self, term: &str, catalogue: &Catalogue) -> Evidence {
        if let Some(attribute) = self.attributes.iter().find(|attribute| attribute.is_called(term)) {
            return match attribute.value {
                Value::Flag(false) | Value::Number(0.0, _) => Evidence::No,
                _ => Evidence::Yes,
            };
        }
        if self.attributes.iter().any(|attribute| attribute.says(term)) {
            return Evidence::Yes;
        }
        // The attribute that elsewhere has this value has another one here.
        let states_otherwise = catalogue.keys_with_value(term).any(|key| {
            self.attributes.iter().any(|a| a.key == key && matches!(a.value, Value::Words(_) | Value::Flag(_)))
        });
        if states_otherwise || self.denied.contains(term) {
            return Evidence::No;
        }
        if self.mentions(term) { Evidence::Yes } else { Evidence::Unknown }
    }

    /// The number that a product states for a measure, in base units. `name` and `dimension` must both agree where given.
    pub fn measure(&self, name: Option<&str>, dimension: Option<&str>) -> Option<(f64, &Attribute)> {
        self.attributes.iter().find_map(|attribute| {
            let Value::Number(value, unit) = attribute.value else { return None };
            let named = name.is_none_or(|name| attribute.is_called(name));
            let measured = dimension.is_none_or(|dimension| unit.is_some_and(|unit| unit.dimension == dimension));
            (named && measured).then_some((value, attribute))
        })
    }
}

/// A category with the words that mean it.
#[derive(Debug)]
pub struct Category {
    /// As the shop writes it.
    pub name: String,
    /// Terms any of which names it: "Phones & Tablets" has two.
    pub heads: Vec<String>,
    /// Further terms ("camera" of "Camera accessories").
    pub modifiers: Vec<String>,
}

/// The catalogue, indexed.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Every product.
    pub items: Vec<Item>,
    by_sku: HashMap<String, usize>,
    /// Every category that has a product.
    pub categories: Vec<Category>,
    /// In how many products a term occurs.
    frequency: HashMap<String, usize>,
    /// Attribute keys in which a term is a value.
    value_keys: HashMap<String, BTreeSet<String>>,
}

impl Catalogue {
    /// Indexes the products.
    pub fn build(products: Vec<StoredProduct>) -> Self {
        let mut catalogue = Self { items: products.into_iter().map(Item::new).collect(), ..Self::default() };
        let mut names = BTreeSet::new();
        for (index, item) in catalogue.items.iter().enumerate() {
            catalogue.by_sku.insert(item.product.sku.to_lowercase(), index);
            let mut all: BTreeSet<String> = item.text.union(&item.kind).cloned().collect();
            for attribute in &item.attributes {
                all.extend(attribute.names.iter().cloned());
                if let Value::Words(alternatives) = &attribute.value {
                    for term in alternatives.iter().flatten() {
                        all.insert(term.clone());
                        catalogue.value_keys.entry(term.clone()).or_default().insert(attribute.key.clone());
                    }
                }
            }
            for term in all {
                *catalogue.frequency.entry(term).or_default() += 1;
            }
            names.insert(item.product.category.clone());
        }
        catalogue.categories = names.into_iter().filter(|name| !name.trim().is_empty()).map(category).collect();
        catalogue
    }

    /// A product by its SKU, whatever its case.
    pub fn item(&self, sku: &str) -> Option<&Item> {
        self.by_sku.get(&sku.to_lowercase()).map(|&index| &self.items[index])
    }

    /// In how many products a term occurs.
    pub fn frequency(&self, term: &str) -> usize {
        self.frequency.get(term).copied().unwrap_or(0)
    }

    /// Whether any record knows the term, or a kind of it.
    pub fn knows(&self, term: &str) -> bool {
        self.frequency.contains_key(term) || self.items.iter().any(|item| item.mentions(term))
    }

    /// The catalogue's word that `word` misspells.
    pub fn corrected(&self, word: &str) -> Option<&String> {
        nearest(word, self.frequency.keys())
    }

    /// Attribute keys that state `term`, or would if a product had it.
    pub fn keys_with_value(&self, term: &str) -> impl Iterator<Item = &str> {
        // A colour or a material is stated by its own attribute even if no product has this value.
        let own = LEXICON.concept(term).and_then(|concept| match concept.kind {
            Kind::Colour => Some("colour"),
            Kind::Material => Some("material"),
            _ => None,
        });
        let of_kind = own.into_iter().flat_map(|own| {
            self.items
                .iter()
                .flat_map(|item| &item.attributes)
                .filter(move |a| a.is_called(own))
                .map(|a| a.key.as_str())
        });
        self.value_keys.get(term).into_iter().flatten().map(String::as_str).chain(of_kind.collect::<BTreeSet<_>>())
    }

    /// The categories that the tokens name: those whose head is said, the ones with most further words said first.
    /// Returned with the positions of the tokens that named them.
    pub fn categories_named(&self, said: &[Token]) -> (Vec<&Category>, Vec<usize>) {
        let exact: Vec<bool> =
            said.iter().map(|token| self.categories.iter().any(|category| names_head(token, category, true))).collect();
        let mut named: Vec<(usize, &Category, Vec<usize>)> = vec![];
        for category in &self.categories {
            let heads: Vec<usize> = (0..said.len()).filter(|&at| names_head(&said[at], category, exact[at])).collect();
            if heads.is_empty() {
                continue;
            }
            let modifiers: Vec<usize> = (0..said.len())
                .filter(|&at| {
                    category.modifiers.contains(&said[at].term)
                        || !said[at].term.is_empty()
                            && said[at].term.chars().all(is_han)
                            && category.name.contains(&said[at].term)
                })
                .filter(|at| !heads.contains(at))
                .collect();
            let matched = modifiers.len();
            named.push((matched, category, heads.into_iter().chain(modifiers).collect()));
        }
        // "camera accessories" does not also mean the cameras.
        let covered: Vec<Vec<usize>> = named.iter().map(|(.., at)| at.clone()).collect();
        named.retain(|(.., at)| {
            !covered.iter().any(|other| other.len() > at.len() && at.iter().all(|position| other.contains(position)))
        });
        let positions: BTreeSet<usize> = named.iter().flat_map(|(.., at)| at.iter().copied()).collect();
        (named.into_iter().map(|(_, category, _)| category).collect(), positions.into_iter().collect())
    }

    /// Products of any of the categories.
    pub fn in_categories<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Item> {
        self.items.iter().filter(move |item| names.contains(&item.product.category))
    }

    /// Products that fit `sku` by their own list.
    pub fn fitting<'a>(&'a self, sku: &'a str) -> impl Iterator<Item = &'a Item> {
        self.items.iter().filter(move |item| fits(&item.product, sku))
    }
}

/// Whether the record of `accessory` names `sku`.
pub fn fits(accessory: &Product, sku: &str) -> bool {
    accessory.compatible_with.iter().any(|fitting| fitting.trim().eq_ignore_ascii_case(sku))
}

/// `exact`: only the category itself or a narrower one ("perfume" does not mean all of "Beauty" where a category
/// "Perfumes" is there).
fn names_head(token: &Token, category: &Category, exact: bool) -> bool {
    if token.term.is_empty() {
        return false;
    }
    if token.term.chars().all(is_han) {
        return token.term.chars().count() >= 2 && category.name.contains(&token.term);
    }
    category.heads.iter().any(|head| {
        *head == token.term
            || token.kind == Kind::Thing
                && (LEXICON.is_a(head, &token.term) || !exact && LEXICON.is_a(&token.term, head))
    })
}

fn category(name: String) -> Category {
    let (mut heads, mut modifiers) = (vec![], vec![]);
    let plain = name.replace(" and ", "&").replace(['和', '与', '/', '>', ',', '、', '›', '|'], "&");
    for part in plain.split('&') {
        let said = tokens(part);
        let words: Vec<&Token> = content(&said).collect();
        let head = words.iter().rposition(|token| token.kind == Kind::Thing).or(words.len().checked_sub(1));
        for (at, token) in words.iter().enumerate() {
            if Some(at) == head { heads.push(token.term.clone()) } else { modifiers.push(token.term.clone()) }
        }
    }
    Category { name, heads, modifiers }
}

/// The tokens that say something.
pub fn content(said: &[Token]) -> impl Iterator<Item = &Token> {
    said.iter().filter(|token| token.kind != Kind::Filler)
}

const DENIES_ZH: [&str; 15] =
    ["不要", "不是", "不带", "没有", "不含", "不想要", "无", "非", "别要", "不用", "除了", "除", "不能", "不", "没"];
const BETWEEN_ZH: [char; 5] = ['有', '要', '用', '的', ' '];

/// Whether the words before (or right after) a token deny it: "without sugar", "not leather", "sugar-free", "不带线".
pub fn is_denied(text: &str, token: &Token) -> bool {
    let before = text[..token.span.start].to_lowercase();
    let after = text[token.span.end..].to_lowercase();
    if after.starts_with("-free") || after.starts_with(" free ") || after.trim() == "free" {
        return true;
    }
    let han = before.trim_end_matches(BETWEEN_ZH);
    let question = ["有没有", "是不是", "能不能", "要不要", "会不会", "有没", "是不", "能不"];
    let asks = question.iter().any(|asks| before.ends_with(asks) || han.ends_with(asks));
    if !asks && DENIES_ZH.iter().any(|word| before.ends_with(word) || (han.ends_with(word) && *word != "没")) {
        return true;
    }
    let passed =
        ["a", "an", "any", "the", "be", "made", "of", "in", "too", "very", "want", "need", "like", "it", "with"];
    let mut words =
        before.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’')).rev().filter(|w| !w.is_empty());
    let deciding = words.find(|word| !passed.contains(word)).unwrap_or_default();
    // A comma between closes what the denial reaches.
    let same_clause = before
        .rfind([',', '.', ';', '，', '。', '?', '？'])
        .is_none_or(|comma| before.rfind(deciding).is_some_and(|at| at > comma));
    let denies = matches!(deciding, "not" | "no" | "without" | "non" | "except" | "excluding" | "never" | "w/o");
    same_clause && (denies || deciding.ends_with("n't") || deciding.ends_with("n’t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(text: &str, term: &str) -> bool {
        let said = tokens(text);
        is_denied(text, said.iter().find(|token| token.term == term).unwrap())
    }

    #[test]
    fn denials_reach_their_word_only() {
        assert!(denied("a bag, but not leather", "leather"));
        assert!(denied("headphones without a cable please", "cable"));
        assert!(denied("I don't want red", "red"));
        assert!(denied("a soy-free sauce", "soy"));
        assert!(denied("不要皮的包", "leather"));
        assert!(!denied("not leather, red", "red"));
        assert!(!denied("有没有红色的包", "red"));
        assert!(!denied("no, a blue one", "blue"));
    }

    #[test]
    fn categories_go_by_their_head() {
        let accessories = category("Camera accessories".into());
        assert_eq!((accessories.heads, accessories.modifiers), (vec!["accessory".into()], vec!["camera".into()]));
        assert_eq!(category("Phones & Tablets".into()).heads, ["phone", "tablet"]);
        assert_eq!(category("mens-shirts".into()).modifiers, ["kid", "man"][1..]);
    }
}
