//! From a shopper's words to a `Wish`. The catalogue is the vocabulary; what neither it nor the lexicon explains is kept
//! and said, never dropped.

use std::{collections::BTreeSet, ops::Range};

use super::{
    attributes::Value,
    index::{Catalogue, Category, Evidence, Item, is_denied},
    quantities::{Counts, Quantity, quantities},
    wish::{Constraint, Sort, Test, Wish},
    words::{Kind, LEXICON, Token, tokens},
};
use crate::{language::is_han, message::Language};

/// A message, read.
#[derive(Debug, Default)]
pub struct Parsed {
    /// What is wanted.
    pub wish: Wish,
    /// Every token outside product names, fillers included.
    pub tokens: Vec<Token>,
    /// Words about what the shop does (delivery, returns), which the catalogue does not sell.
    pub service: bool,
    /// A name that something shall fit and that the catalogue does not know.
    pub unknown_target: Option<String>,
    /// Words that neither the lexicon nor the catalogue has.
    pub unknown: usize,
    /// The shopper speaks of a product of their own ("my phone has not arrived").
    pub own: bool,
    /// A kind of product was said that the owner of "my ..." may have ("a case for my phone").
    pub own_category: Vec<String>,
}

/// Words beside a kind of product that make it a taste ("a gift for a tea lover").
const TASTE_AFTER: [&str; 7] = ["lover", "fan", "enthusiast", "drinker", "addict", "person", "爱好者"];
const TASTE_BEFORE: [&str; 4] = ["爱喝", "爱吃", "喜欢", "爱"];

/// Reads a message. Bytes in `names` are product names and were understood already.
pub fn parse(text: &str, names: &[Range<usize>], catalogue: &Catalogue, currency: &str) -> Parsed {
    let mut parser = Parser::new(text, names, catalogue);
    parser.find_categories();
    parser.read_quantities(currency);
    parser.read_size();
    parser.read_adjectives();
    parser.read_properties();
    parser.read_rest();
    parser.finish()
}

struct Parser<'a> {
    text: &'a str,
    catalogue: &'a Catalogue,
    tokens: Vec<Token>,
    used: BTreeSet<usize>,
    quantities: Vec<Quantity>,
    parsed: Parsed,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, names: &[Range<usize>], catalogue: &'a Catalogue) -> Self {
        let free = |span: &Range<usize>| names.iter().all(|name| name.end <= span.start || span.end <= name.start);
        let mut tokens: Vec<Token> = tokens(text).into_iter().filter(|token| free(&token.span)).collect();
        for token in tokens.iter_mut().filter(|token| token.kind == Kind::Unknown && !catalogue.knows(&token.term)) {
            if let Some(term) = catalogue.corrected(&token.term) {
                token.term.clone_from(term);
            }
        }
        let tokens = tokens.into_iter().flat_map(|token| split_by_catalogue(text, token, catalogue)).collect();
        let quantities = quantities(text, names);
        Self { text, catalogue, tokens, used: BTreeSet::new(), quantities, parsed: Parsed::default() }
    }

    fn said(&self, at: usize) -> String {
        self.text[self.tokens[at].span.clone()].to_owned()
    }

    fn open(&self, at: usize) -> bool {
        !self.used.contains(&at) && self.tokens[at].kind != Kind::Filler
    }

    /// The tokens before "for" / "with" / "给..用": what is wanted; later things are whom or what it is for.
    fn find_categories(&mut self) {
        let split = self.purpose_start();
        let tokens = self.without_tastes();
        let (wanted, at) = self.catalogue.categories_named(&tokens[..split]);
        let kind_said = tokens[..split].iter().any(|token| token.kind == Kind::Thing);
        let (wanted, at) = match (wanted.is_empty(), kind_said) {
            (false, _) => (wanted, at),
            (true, false) => self.catalogue.categories_named(&tokens),
            (true, true) => {
                // "a lens for my camera": the camera is what it shall fit.
                self.fitting_categories(&(0..split).collect::<Vec<_>>());
                return;
            }
        };
        let (wanted, at) = self.without_modifiers(wanted, at);
        let (wanted, at) = self.without_targets(wanted, at);
        if wanted.is_empty() {
            return;
        }
        let denied = at.iter().all(|&at| is_denied(self.text, &self.tokens[at]));
        if denied {
            return;
        }
        self.parsed.wish.categories = wanted.iter().map(|category| category.name.clone()).collect();
        for &position in &at {
            let term = self.tokens[position].term.clone();
            let head = wanted.iter().any(|c| c.heads.contains(&term) || c.modifiers.contains(&term));
            let wider = wanted.iter().any(|c| c.heads.iter().any(|head| LEXICON.is_a(head, &term)));
            self.used.insert(position);
            // "earbuds" in a category of headphones: narrower than the category.
            if !head && !wider && !term.chars().all(is_han) {
                self.narrow(position, &term);
            } else if head && wanted.iter().any(|c| c.heads.len() > 1) {
                // "Phones & Tablets" asked for phones: those that say so, if any do.
                self.prefer(&term);
            }
        }
        self.fitting_categories(&at);
    }

    /// The tokens with tastes ("a tea lover") made silent.
    fn without_tastes(&self) -> Vec<Token> {
        let lower = self.text.to_lowercase();
        let lower = if lower.len() == self.text.len() { lower.as_str() } else { self.text };
        let taste = |token: &Token| {
            if token.kind == Kind::Filler {
                return false;
            }
            let after = lower.get(token.span.end..).unwrap_or_default().trim_start();
            let before = lower.get(..token.span.start).unwrap_or_default();
            TASTE_AFTER.iter().any(|word| after.starts_with(word))
                || TASTE_BEFORE.iter().any(|word| before.ends_with(word))
        };
        let silent = |token: &Token| Token { term: String::new(), kind: Kind::Filler, span: token.span.clone() };
        self.tokens.iter().map(|token| if taste(token) { silent(token) } else { token.clone() }).collect()
    }

    /// "laptop charger" names chargers: of two kinds side by side the last one is wanted.
    fn without_modifiers(&self, wanted: Vec<&'a Category>, at: Vec<usize>) -> (Vec<&'a Category>, Vec<usize>) {
        let beside = |first: &usize, second: &usize| {
            let gap = self.text[self.tokens[*first].span.end..self.tokens[*second].span.start].trim();
            first + 1 == *second && matches!(gap, "" | "的") || first + 2 == *second && gap == "的"
        };
        let modifying: Vec<usize> =
            at.windows(2).filter(|pair| beside(&pair[0], &pair[1])).map(|pair| pair[0]).collect();
        let said: Vec<Token> =
            at.iter().filter(|at| !modifying.contains(at)).map(|&at| self.tokens[at].clone()).collect();
        let (kept, _) = self.catalogue.categories_named(&said);
        let kept: Vec<&Category> = wanted.iter().copied().filter(|c| kept.iter().any(|k| k.name == c.name)).collect();
        // "camera accessories" is one category: its own words do not modify each other.
        let whole =
            |category: &&Category| modifying.iter().any(|&at| category.modifiers.contains(&self.tokens[at].term));
        if modifying.is_empty() || kept.is_empty() || wanted.iter().any(whole) {
            return (wanted, at);
        }
        (kept, at.into_iter().filter(|at| !modifying.contains(at)).collect())
    }

    /// "which case fits my phone" wants cases: of two kinds of which one fits the other, the one that fits.
    fn without_targets(&self, wanted: Vec<&'a Category>, at: Vec<usize>) -> (Vec<&'a Category>, Vec<usize>) {
        let lower = self.text.to_lowercase();
        if wanted.len() < 2 || !super::accessories::FITS.iter().any(|phrase| super::says(&lower, phrase)) {
            return (wanted, at);
        }
        let fitted = |target: &&Category| {
            let wish = Wish { fits_category: vec![target.name.clone()], ..Wish::default() };
            wanted.iter().filter(|category| category.name != target.name).any(|category| {
                let name = std::slice::from_ref(&category.name);
                self.catalogue.in_categories(name).any(|item| wish.allows_but_stock(item, self.catalogue))
            })
        };
        let kept: Vec<&Category> = wanted.iter().copied().filter(|category| !fitted(category)).collect();
        if kept.is_empty() || kept.len() == wanted.len() {
            return (wanted, at);
        }
        let (named, positions) = self
            .catalogue
            .categories_named(&self.tokens.iter().map(|token| self.silenced_unless(token, &kept)).collect::<Vec<_>>());
        let kept = kept.into_iter().filter(|category| named.iter().any(|n| n.name == category.name)).collect();
        (kept, positions)
    }

    fn silenced_unless(&self, token: &Token, kept: &[&Category]) -> Token {
        let (named, _) = self.catalogue.categories_named(std::slice::from_ref(token));
        if named.iter().any(|category| kept.iter().any(|k| k.name == category.name)) {
            return token.clone();
        }
        Token { term: String::new(), kind: Kind::Filler, span: token.span.clone() }
    }

    /// A combined category is narrowed to the products that use the word, where some do.
    fn prefer(&mut self, term: &str) {
        let own = |item: &Item| {
            item.title.iter().chain(&item.text).any(|word| {
                (word == term || LEXICON.is_a(word, term))
                    && !item.product.category.to_lowercase().contains(word.as_str())
            }) || item.title.contains(term)
        };
        let says =
            |item: &&Item| item.title.contains(term) || own(item) || item.attributes.iter().any(|a| a.says(term));
        let categories = self.parsed.wish.categories.clone();
        let count = self.catalogue.in_categories(&categories).filter(says).count();
        if count > 0 {
            self.parsed.wish.words.push(term.to_owned());
        }
    }

    fn narrow(&mut self, position: usize, term: &str) {
        let said = self.said(position);
        let categories = self.parsed.wish.categories.clone();
        if self.catalogue.in_categories(&categories).any(|item| item.evidence(term, self.catalogue) == Evidence::Yes) {
            self.parsed.wish.constraints.push(Constraint { said, test: Test::Has(term.to_owned()) });
            return;
        }
        // "phone case": the first word may be a category that cases are made for.
        let first = term.rsplit_once(' ').map(|(first, _)| tokens(first)).unwrap_or_default();
        if self.fit_categories(&first) {
            return;
        }
        self.parsed.wish.missing = Some(said);
    }

    /// "laptop charger", "case for a phone": products of the category that fit something of the other category.
    fn fitting_categories(&mut self, understood: &[usize]) {
        let things: Vec<usize> = (0..self.tokens.len())
            .filter(|at| !understood.contains(at) && self.tokens[*at].kind == Kind::Thing)
            .collect();
        for at in things {
            let thing = self.tokens[at].clone();
            let own = self.owned_by_shopper(at);
            if self.fit_categories(std::slice::from_ref(&thing)) {
                self.used.insert(at);
                if own {
                    self.parsed.own_category.clone_from(&self.parsed.wish.fits_category);
                }
            }
        }
    }

    fn fit_categories(&mut self, said: &[Token]) -> bool {
        let (targets, _) = self.catalogue.categories_named(said);
        let targets: Vec<String> = targets.iter().map(|category| category.name.clone()).collect();
        let wish = Wish { fits_category: targets.clone(), ..Wish::default() };
        let categories = self.parsed.wish.categories.clone();
        let any = !targets.is_empty()
            && self.catalogue.in_categories(&categories).any(|item| wish.allows_but_stock(item, self.catalogue));
        if any {
            self.parsed.wish.fits_category = targets;
        }
        any
    }

    fn owned_by_shopper(&self, at: usize) -> bool {
        let before = self.text[..self.tokens[at].span.start].trim_end().to_lowercase();
        let before = before.trim_end_matches(['新', '的', '旧']).trim_end_matches(" new").trim_end_matches(" old");
        let after = self.text[self.tokens[at].span.end..].trim_start().to_lowercase();
        let after_en = ["from my", "in my order", "of my order", "i bought", "i ordered", "i got", "i have"];
        let before_zh = ["我", "订单里", "订单中", "我买", "我刚买"];
        before.ends_with(" my")
            || before == "my"
            || before_zh.iter().any(|word| before.ends_with(word))
            || after_en.iter().any(|word| after.starts_with(word))
    }

    fn purpose_start(&self) -> usize {
        let purpose = |token: &Token| {
            let word = self.text[token.span.clone()].to_lowercase();
            matches!(word.as_str(), "for" | "with" | "without" | "from" | "that" | "which")
        };
        let first = self.tokens.iter().position(|token| token.kind != Kind::Filler).unwrap_or(0);
        let found = self.tokens.iter().skip(first + 1).position(purpose);
        found.map_or(self.tokens.len(), |at| at + first + 1)
    }

    fn scope(&self) -> Vec<&'a Item> {
        let categories = &self.parsed.wish.categories;
        let inside = |item: &&Item| categories.is_empty() || categories.contains(&item.product.category);
        self.catalogue.items.iter().filter(inside).collect()
    }

    fn read_quantities(&mut self, currency: &str) {
        for quantity in std::mem::take(&mut self.quantities) {
            let inside: Vec<usize> = (0..self.tokens.len())
                .filter(|&at| {
                    self.tokens[at].span.start < quantity.span.end && quantity.span.start < self.tokens[at].span.end
                })
                .collect();
            let said = self.text.get(quantity.span.clone()).unwrap_or_default().trim().to_owned();
            let near = self.measure_near(&quantity.span, &inside);
            self.used.extend(inside);
            match quantity.counts {
                Counts::Money(code) if code.is_empty() || code == currency => self.limit_price(&quantity, said),
                // Another currency's sign is mostly a habit; the reply says how it was taken.
                Counts::Money(_) => self.limit_price(&quantity, format!("{said} ({currency})")),
                Counts::Measure(unit) => {
                    self.limit_measure(near, Some(unit.dimension), &quantity, said);
                }
                Counts::Bare => match near {
                    Some(at) if self.tokens[at].term == "price" => self.limit_price(&quantity, said),
                    Some(at) if self.tokens[at].term == "size" => {}
                    Some(at) => self.limit_measure(Some(at), None, &quantity, said),
                    None if quantity.compared => self.limit_price(&quantity, said),
                    None => {}
                },
            }
        }
    }

    fn limit_price(&mut self, quantity: &Quantity, said: String) {
        let mut limits = quantity.limits;
        if !quantity.compared {
            // "a phone for 300 euro" is what may be spent.
            limits.min = None;
            limits.max = limits.max.map(|max| max / 1.025);
        }
        self.parsed.wish.price = self.parsed.wish.price.narrowed(limits);
        let said = if quantity.compared { said } else { said.trim().to_owned() };
        self.parsed.wish.price_said = Some(match self.parsed.wish.price_said.take() {
            Some(before) => format!("{before}, {said}"),
            None => said,
        });
    }

    /// The name of a measure within three words of a number.
    fn measure_near(&self, span: &Range<usize>, inside: &[usize]) -> Option<usize> {
        let is_measure = |at: &usize| {
            let token = &self.tokens[*at];
            let numeric = || self.catalogue.items.iter().any(|item| item.measure(Some(&token.term), None).is_some());
            let adjective = matches!(token.kind, Kind::Low | Kind::High) && self.measure_of(*at) != "price";
            token.kind == Kind::Measure || adjective || matches!(token.kind, Kind::Unknown | Kind::Thing) && numeric()
        };
        if let Some(at) = inside.iter().find(|at| is_measure(at)) {
            return Some(*at);
        }
        let before = (0..self.tokens.len()).rev().filter(|&at| self.tokens[at].span.end <= span.start).take(3);
        let after = (0..self.tokens.len()).filter(|&at| self.tokens[at].span.start >= span.end).take(2);
        let after: Vec<usize> = after.collect();
        let weighs = |at: &usize| {
            matches!(
                self.text[self.tokens[*at].span.clone()].to_lowercase().as_str(),
                "weighs" | "weigh" | "weighing" | "重"
            )
        };
        after.iter().copied().find(is_measure).or_else(|| before.into_iter().find(|at| is_measure(at) && !weighs(at)))
    }

    /// The measure that a token names; an adjective names the one it grades.
    fn measure_of(&self, at: usize) -> String {
        let token = &self.tokens[at];
        let graded = matches!(token.kind, Kind::Low | Kind::High);
        let parent = LEXICON.concept(&token.term).filter(|_| graded).and_then(|concept| concept.parent.clone());
        parent.unwrap_or_else(|| token.term.clone())
    }

    fn limit_measure(&mut self, near: Option<usize>, dimension: Option<&str>, quantity: &Quantity, said: String) {
        let name = near.map(|at| self.measure_of(at));
        let scope = self.scope();
        let exists = |name: Option<&str>, dimension: Option<&str>| {
            let keys: BTreeSet<&[String]> = scope
                .iter()
                .filter_map(|item| item.measure(name, dimension))
                .map(|(_, a)| a.names.as_slice())
                .collect();
            keys.len()
        };
        let (name, known) = match name {
            Some(name) if exists(Some(&name), dimension) > 0 => (Some(name), true),
            _ => {
                // Without the attribute's name the unit must point to one attribute only.
                let unique = dimension.is_some() && exists(None, dimension) == 1;
                let by_title =
                    dimension.is_some() && exists(None, dimension) > 1 && exists(Some("size"), dimension) == 1;
                (by_title.then(|| "size".to_owned()), unique || by_title)
            }
        };
        if let Some(at) = near {
            self.used.insert(at);
        }
        if known {
            let dimension = dimension.map(str::to_owned);
            let test = Test::Measure { name, dimension, limits: quantity.limits };
            self.parsed.wish.constraints.push(Constraint { said, test });
        } else {
            self.parsed.wish.unchecked.push(said);
        }
    }

    /// "size 42", "in size M", "42码".
    fn read_size(&mut self) {
        let is_size = |at: &usize| {
            let said = self.text[self.tokens[*at].span.clone()].to_lowercase();
            self.tokens[*at].term == "size" && matches!(said.as_str(), "size" | "尺码" | "码数") || said == "码"
        };
        let Some(at) = (0..self.tokens.len()).find(is_size) else { return };
        let plausible = |word: &str| {
            word.parse::<f64>().is_ok()
                || (word.len() <= 4 && word.chars().all(|c| "xsml0123456789".contains(c.to_ascii_lowercase())))
        };
        for neighbour in
            [at.checked_add(1), at.checked_sub(1)].into_iter().flatten().filter(|&at| at < self.tokens.len())
        {
            let word = self.said(neighbour);
            if !word.is_empty() && plausible(&word) {
                self.used.extend([at, neighbour]);
                self.parsed.wish.constraints.push(Constraint { said: format!("size {word}"), test: Test::Size(word) });
                return;
            }
        }
    }

    /// "light", "cheapest", "long battery": an order rather than a limit.
    fn read_adjectives(&mut self) {
        for at in 0..self.tokens.len() {
            let kind = self.tokens[at].kind;
            if !self.open(at) || !matches!(kind, Kind::Low | Kind::High) {
                continue;
            }
            self.used.insert(at);
            let said = self.said(at);
            let Some(parent) = LEXICON.concept(&self.tokens[at].term).and_then(|concept| concept.parent.clone()) else {
                continue;
            };
            let beside = (at + 1 < self.tokens.len() && self.tokens[at + 1].kind == Kind::Measure).then_some(at + 1);
            let measure = beside.map(|at| self.tokens[at].term.clone());
            let ascending = (kind == Kind::Low) != is_denied(self.text, &self.tokens[at]);
            let Some(by) = self.sortable(measure.as_deref().unwrap_or(&parent)) else {
                self.loose_adjective(at, said);
                continue;
            };
            if let Some(beside) = beside {
                self.used.insert(beside);
            }
            let lower = said.to_lowercase();
            let more = self.text[..self.tokens[at].span.start].trim_end().ends_with("more");
            let relative = more
                || (lower.ends_with("er") && !lower.ends_with("longer lasting"))
                || lower.ends_with('点')
                || lower.starts_with('更')
                || lower.ends_with("一点")
                || lower.ends_with('些');
            self.parsed.wish.sort = Some(Sort { by, ascending, relative: relative && lower != "slimmer fit" });
        }
    }

    /// An adjective without a number behind it still holds where descriptions use it.
    fn loose_adjective(&mut self, at: usize, said: String) {
        let term = self.tokens[at].term.clone();
        if self.scope().iter().any(|item| item.mentions(&term)) {
            self.parsed.wish.words.push(term);
        } else {
            self.parsed.wish.unchecked.push(said);
        }
    }

    /// The attribute by which products in scope can be ordered when `measure` is meant.
    pub fn sortable(&self, measure: &str) -> Option<String> {
        if measure == "price" {
            return Some("price".into());
        }
        let related: &[&str] = match measure {
            "size" => &["size", "screen", "length", "height", "width", "diameter", "capacity", "weight"],
            "battery" => &["battery", "battery life"],
            "battery life" => &["battery life", "battery"],
            "capacity" => &["capacity", "storage"],
            other => return self.has_number(other).then(|| other.to_owned()),
        };
        related.iter().find(|name| self.has_number(name)).map(|name| (*name).to_owned())
    }

    fn has_number(&self, name: &str) -> bool {
        !self.parsed.wish.categories.is_empty()
            && self.scope().iter().any(|item| item.measure(Some(name), None).is_some())
    }

    /// Colours, materials, features, and values of attributes.
    fn read_properties(&mut self) {
        for at in 0..self.tokens.len() {
            if !self.open(at) {
                continue;
            }
            let Token { term, kind, .. } = self.tokens[at].clone();
            let flag = self
                .scope()
                .iter()
                .any(|item| item.attributes.iter().any(|a| a.is_called(&term) && matches!(a.value, Value::Flag(_))));
            let value = self.scope().iter().any(|item| item.attributes.iter().any(|a| a.says(&term)));
            let property = matches!(kind, Kind::Colour | Kind::Material | Kind::Feature);
            if !(flag || property || (value && !self.parsed.wish.categories.is_empty() && kind != Kind::Service)) {
                continue;
            }
            self.used.insert(at);
            let denied = is_denied(self.text, &self.tokens[at]);
            let said = self.said(at);
            if denied {
                self.deny(term, &said);
            } else {
                self.parsed.wish.constraints.push(Constraint { said, test: Test::Has(term) });
            }
        }
    }

    /// "not leather": a condition where records speak of it at all.
    fn deny(&mut self, term: String, said: &str) {
        let han = said.chars().any(is_han);
        let said = if han { format!("非{}", LEXICON.word(&term, Language::Zh)) } else { format!("not {said}") };
        let spoken = self.scope().iter().any(|item| item.evidence(&term, self.catalogue) != Evidence::Unknown);
        if spoken {
            self.parsed.wish.constraints.push(Constraint { said, test: Test::HasNot(term) });
        } else {
            self.parsed.wish.unchecked.push(said);
        }
    }

    /// What is left: things, themes, people and words of the shop's own.
    fn read_rest(&mut self) {
        let purpose = self.purpose_start();
        let tastes: Vec<bool> = self.without_tastes().iter().map(|token| token.term.is_empty()).collect();
        for (at, taste) in tastes.into_iter().enumerate() {
            if !self.open(at) {
                continue;
            }
            let Token { term, kind, span } = self.tokens[at].clone();
            let said = self.text[span].to_owned();
            if kind == Kind::Service {
                self.parsed.service |= !self.catalogue.knows(&term);
                continue;
            }
            if kind == Kind::Measure || said.chars().all(|c| c.is_ascii_digit()) {
                continue;
            }
            let supported: Vec<&Item> =
                self.scope().into_iter().filter(|i| i.evidence(&term, self.catalogue) == Evidence::Yes).collect();
            let denied = is_denied(self.text, &self.tokens[at]);
            let named =
                kind == Kind::Thing || kind == Kind::Unknown && supported.iter().any(|item| item.title.contains(&term));
            let unknown_target = supported.is_empty() && kind == Kind::Unknown && self.names_a_model(at, purpose);
            if denied {
                self.deny(term, &said);
                continue;
            }
            let wish = &mut self.parsed.wish;
            if unknown_target {
                self.parsed.unknown_target.get_or_insert(said);
            } else if !supported.is_empty() && !taste && (named && at < purpose || !wish.categories.is_empty()) {
                wish.constraints.push(Constraint { said, test: Test::Has(term) });
            } else if !supported.is_empty() {
                wish.words.push(term);
            } else if kind == Kind::Thing && wish.categories.is_empty() && wish.missing.is_none() && at < purpose {
                wish.missing = Some(said);
            } else {
                wish.unchecked.push(said);
            }
        }
    }

    /// A name that the catalogue lacks, beside a category whose products are made for certain others ("iPhone case").
    fn names_a_model(&self, at: usize, purpose: usize) -> bool {
        let said = &self.text[self.tokens[at].span.clone()];
        let written_as_name = said.contains(|c: char| c.is_uppercase() || c.is_ascii_digit());
        let categories = &self.parsed.wish.categories;
        let (made, all) = self
            .catalogue
            .in_categories(categories)
            .fold((0, 0), |(made, all), item| (made + usize::from(!item.product.compatible_with.is_empty()), all + 1));
        (at > purpose || written_as_name && at > 0) && !categories.is_empty() && made * 2 > all
    }

    fn finish(mut self) -> Parsed {
        let said: Vec<String> = self.parsed.wish.unchecked.clone();
        self.parsed.unknown = (0..self.tokens.len())
            .filter(|&at| self.tokens[at].kind == Kind::Unknown && said.contains(&self.said(at)))
            .count();
        self.parsed.own =
            (0..self.tokens.len()).any(|at| self.tokens[at].kind == Kind::Thing && self.owned_by_shopper(at));
        let wish = &mut self.parsed.wish;
        wish.words.sort();
        wish.words.dedup();
        self.parsed.tokens = self.tokens;
        self.parsed
    }
}

/// A run of Chinese that the lexicon does not explain, cut into the longest pieces that the catalogue has.
fn split_by_catalogue(text: &str, token: Token, catalogue: &Catalogue) -> Vec<Token> {
    let long = token.kind == Kind::Unknown && token.term.chars().all(is_han) && token.term.chars().count() > 2;
    if !long || catalogue.knows(&token.term) {
        return vec![token];
    }
    let ends: Vec<usize> = token.term.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    let mut pieces: Vec<Token> = vec![];
    let mut start = 0;
    let mut unknown_from = 0;
    let push_unknown = |pieces: &mut Vec<Token>, range: Range<usize>| {
        if !range.is_empty() {
            let span = token.span.start + range.start..token.span.start + range.end;
            pieces.push(Token { term: text[span.clone()].to_owned(), kind: Kind::Unknown, span });
        }
    };
    while start < token.term.len() {
        let hit = ends
            .iter()
            .rev()
            .filter(|&&end| end > start && token.term[start..end].chars().count() >= 2)
            .find(|&&end| catalogue.knows(&token.term[start..end]));
        if let Some(&end) = hit {
            push_unknown(&mut pieces, unknown_from..start);
            push_unknown(&mut pieces, start..end);
            (start, unknown_from) = (end, end);
        } else {
            start = ends.iter().copied().find(|&end| end > start).unwrap_or(token.term.len());
        }
    }
    push_unknown(&mut pieces, unknown_from..token.term.len());
    pieces
}

fn name_is_foreign(name: &str, language: Language) -> bool {
    name.chars().any(is_han) != (language == Language::Zh)
}

/// The wish's kind of product in the shopper's language, for sentences: "phones", "手机".
pub fn kind_words(wish: &Wish, catalogue: &Catalogue, language: Language) -> String {
    let name = |category: &String| -> String {
        let foreign = name_is_foreign(category, language);
        if foreign
            && let Some(entry) = catalogue.categories.iter().find(|entry| entry.name == *category)
            && let [head] = entry.heads.as_slice()
        {
            let modifiers: String = entry.modifiers.iter().map(|word| LEXICON.word(word, language)).collect();
            let joined = if language == Language::En {
                format!("{modifiers} {head}")
            } else {
                format!("{modifiers}{}", LEXICON.word(head, language))
            };
            return joined.trim().to_owned();
        }
        category.replace(['-', '_'], " ").to_lowercase()
    };
    match (wish.categories.as_slice(), language) {
        ([], Language::En) => "products".into(),
        ([], Language::Zh) => "商品".into(),
        (names, Language::En) => names.iter().take(3).map(name).collect::<Vec<_>>().join(" or "),
        (names, Language::Zh) => names.iter().take(3).map(name).collect::<Vec<_>>().join("、"),
    }
}
