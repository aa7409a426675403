//! A product's attributes as values that can be compared: yes or no, a measure with its unit, or words.

use std::collections::BTreeSet;

use super::{
    quantities::{Counts, quantities},
    units::{Unit, unit},
    words::{Kind, LEXICON, terms, tokens},
};
use crate::{catalog::Product, message::Language};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A number; in the dimension's base unit where a unit is known.
    Number(f64, Option<Unit>),
    /// Words: the terms of each alternative ("red, blue").
    Words(Vec<BTreeSet<String>>),
}

/// One attribute of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// As the shop writes it.
    pub key: String,
    /// Terms of the key without its unit.
    pub names: Vec<String>,
    /// What it says.
    pub value: Value,
    /// As the shop writes it.
    pub written: String,
}

impl Attribute {
    /// Reads `battery_mah` = `4600`, `weight` = `1.2 kg`, `waterproof` = `yes`, `colour` = `red, blue`.
    pub fn read(key: &str, written: &str) -> Self {
        let written = written.trim();
        let (name, key_unit) = split_unit(key);
        let mut names: Vec<String> = tokens(&name).into_iter().map(|token| token.term).collect();
        names.dedup();
        let value = match flag(written) {
            Some(flag) => Value::Flag(flag),
            None => number(written, key_unit).unwrap_or_else(|| Value::Words(alternatives(written))),
        };
        Self { key: key.to_owned(), names, value, written: written.to_owned() }
    }

    /// Whether the key is called `term` (or is a kind of it).
    pub fn is_called(&self, term: &str) -> bool {
        self.names.iter().any(|name| name == term || LEXICON.is_a(name, term))
            || self.names.len() > 1 && self.names.join(" ") == term
    }

    /// Whether one of the alternatives has `term` or a kind of it.
    pub fn says(&self, term: &str) -> bool {
        let Value::Words(alternatives) = &self.value else { return false };
        alternatives.iter().flatten().any(|word| word == term || LEXICON.is_a(word, term))
    }

    /// The key as a person reads it: `battery_mah` is "battery".
    pub fn label(&self, language: Language) -> String {
        let (name, _) = split_unit(&self.key);
        let plain = name.replace(['_', '-'], " ").trim().to_lowercase();
        if language == Language::En {
            return plain;
        }
        let words: Vec<&str> = self.names.iter().map(|name| LEXICON.word(name, language)).collect();
        words.concat()
    }

    /// The value as a person reads it, with its unit.
    pub fn shown(&self, language: Language) -> String {
        match (&self.value, language) {
            (Value::Flag(true), Language::En) => "yes".into(),
            (Value::Flag(false), Language::En) => "no".into(),
            (Value::Flag(true), Language::Zh) => "是".into(),
            (Value::Flag(false), Language::Zh) => "否".into(),
            (Value::Number(_, Some(unit)), _) if self.written.chars().all(|c| c.is_ascii_digit() || c == '.') => {
                let named_by_key = self.names.iter().any(|name| super::units::unit(name) == Some(*unit));
                if named_by_key { self.written.clone() } else { format!("{} {}", self.written, unit.symbol) }
            }
            (Value::Words(alternatives), Language::Zh) => {
                let known = alternatives.iter().all(|terms| {
                    terms.len() == 1
                        && terms.iter().all(|term| {
                            LEXICON.concept(term).is_some_and(|c| matches!(c.kind, Kind::Colour | Kind::Material))
                        })
                });
                if known && !alternatives.is_empty() {
                    let words: Vec<&str> =
                        alternatives.iter().flatten().map(|term| LEXICON.word(term, language)).collect();
                    words.join("、")
                } else {
                    self.written.clone()
                }
            }
            _ => self.written.clone(),
        }
    }
}

/// All attributes of a product, and the quantities that its title states ("Green tea 250 g").
pub fn attributes(product: &Product) -> Vec<Attribute> {
    let mut found: Vec<Attribute> = product
        .attributes
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(k, v)| Attribute::read(k, v))
        .collect();
    for quantity in quantities(&product.title, &[]) {
        let Counts::Measure(unit) = quantity.counts else { continue };
        let stated =
            found.iter().any(|a| matches!(a.value, Value::Number(_, Some(known)) if known.dimension == unit.dimension));
        if let (Some(min), Some(max), false) = (quantity.limits.min, quantity.limits.max, stated) {
            let written = product.title.get(quantity.span.clone()).unwrap_or_default().to_owned();
            let value = Value::Number(f64::midpoint(min, max), Some(unit));
            found.push(Attribute { key: String::new(), names: vec![], value, written });
        }
    }
    found
}

fn flag(written: &str) -> Option<bool> {
    match written.to_lowercase().as_str() {
        "yes" | "true" | "y" | "✓" | "✔" | "是" | "有" | "支持" => Some(true),
        "no" | "false" | "n" | "none" | "✗" | "否" | "无" | "没有" | "不支持" => Some(false),
        _ => None,
    }
}

/// The key without the unit at its end, and the unit.
fn split_unit(key: &str) -> (String, Option<Unit>) {
    let key = key.trim().trim_end_matches(')');
    let Some(at) = key.rfind(['_', ' ', '(', '-']) else {
        return (key.to_owned(), unit(key).filter(|_| key.len() > 4));
    };
    let last = &key[at + 1..];
    match unit(last) {
        Some(unit) if at > 0 => (key[..at].trim_end_matches(['_', ' ', '(', '-']).to_owned(), Some(unit)),
        _ => (key.to_owned(), None),
    }
}

fn number(written: &str, key_unit: Option<Unit>) -> Option<Value> {
    if let Ok(value) = written.parse::<f64>()
        && value.is_finite()
    {
        return Some(Value::Number(value * key_unit.map_or(1.0, |unit| unit.factor), key_unit));
    }
    // "1.2 kg" is a measure; "USB 3 cable" and "14-28 cm" are words.
    let found = quantities(written, &[]);
    let [quantity] = found.as_slice() else { return None };
    let whole = quantity.span == (0..written.len()) && !quantity.compared;
    let Counts::Measure(unit) = quantity.counts else { return None };
    match (quantity.limits.min, quantity.limits.max) {
        (Some(min), Some(max)) if whole => Some(Value::Number(f64::midpoint(min, max), Some(unit))),
        _ => None,
    }
}

fn alternatives(written: &str) -> Vec<BTreeSet<String>> {
    written.split([',', '/', '|', '、', '，', '+', '&']).map(terms).filter(|terms| !terms.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_become_comparable() {
        let battery = Attribute::read("battery_mah", "4600");
        assert_eq!(battery.names, ["battery"]);
        assert_eq!((battery.label(Language::Zh), battery.shown(Language::En)), ("电池".into(), "4600 mAh".into()));
        let light = Attribute::read("weight", "1.2 kg");
        let heavy = Attribute::read("weight_g", "1200");
        assert_eq!(light.value.clone(), Value::Number(1200.0, light_unit(&light)));
        assert!(
            matches!((light.value, heavy.value), (Value::Number(a, _), Value::Number(b, _)) if (a - b).abs() < 1e-6)
        );
        assert_eq!(Attribute::read("防水", "是").value, Value::Flag(true));
        let colour = Attribute::read("color", "navy blue / red");
        assert!(colour.says("blue") && colour.says("red") && !colour.says("green") && colour.is_called("colour"));
        assert_eq!(Attribute::read("megapixels", "26").shown(Language::En), "26");
    }

    fn light_unit(attribute: &Attribute) -> Option<Unit> {
        match attribute.value {
            Value::Number(_, unit) => unit,
            _ => None,
        }
    }

    #[test]
    fn a_range_or_a_name_with_a_number_stays_words() {
        for written in ["36-41", "USB 3 Type C", "4K", "S, M, L"] {
            assert!(matches!(Attribute::read("size", written).value, Value::Words(_)), "{written}");
        }
    }
}
