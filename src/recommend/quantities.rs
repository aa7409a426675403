//! Numbers in a shopper's words: amounts, measures and their limits ("under 150", "四百欧以下", "5000 mAh or bigger").

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    comparisons::{Comparison, comparison_after, comparison_before},
    units::{CURRENCIES, Unit, unit},
};
use crate::language::is_han;

/// A range of numbers, each end open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Lower end.
    pub min: Option<f64>,
    /// The lower end itself is outside.
    #[serde(default)]
    pub above: bool,
    /// Upper end.
    pub max: Option<f64>,
    /// The upper end itself is outside.
    #[serde(default)]
    pub below: bool,
}

impl Limits {
    /// Whether `value` lies inside.
    pub fn allow(&self, value: f64) -> bool {
        let slack = value.abs() * 1e-9;
        let low = self.min.is_none_or(|min| if self.above { value > min + slack } else { value >= min - slack });
        let high = self.max.is_none_or(|max| if self.below { value < max - slack } else { value <= max + slack });
        low && high
    }

    /// Both limits hold.
    #[must_use]
    pub fn narrowed(self, other: Self) -> Self {
        let mut limits = self;
        if let Some(min) = other.min
            && limits.min.is_none_or(|old| min >= old)
        {
            (limits.min, limits.above) = (Some(min), other.above);
        }
        if let Some(max) = other.max
            && limits.max.is_none_or(|old| max <= old)
        {
            (limits.max, limits.below) = (Some(max), other.below);
        }
        limits
    }

    fn scaled(self, factor: f64) -> Self {
        Self { min: self.min.map(|min| min * factor), max: self.max.map(|max| max * factor), ..self }
    }
}

/// What a number counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Counts {
    /// Money; the ISO 4217 code, empty where the word fits any currency.
    Money(&'static str),
    /// A measure; the limits are in the dimension's base unit.
    Measure(Unit),
    /// Nothing that was said beside it.
    Bare,
}

/// A number with what was said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// Which values are meant.
    pub limits: Limits,
    /// A word of comparison was said ("under", "以上"); without one the limits allow 2.5 % either way.
    pub compared: bool,
    /// What is counted.
    pub counts: Counts,
    /// Bytes of number, unit and the words of comparison beside it.
    pub span: Range<usize>,
}

struct Number {
    value: f64,
    counts: Counts,
    span: Range<usize>,
}

/// Every quantity of a text. Bytes in `ignored` (product names) are passed over.
pub fn quantities(text: &str, ignored: &[Range<usize>]) -> Vec<Quantity> {
    // ASCII only: bytes must stay those of the text.
    let lower = text.to_ascii_lowercase();
    let text = lower.as_str();
    let mut numbers = numbers(text, ignored);
    let mut found = vec![];
    let mut from = 0;
    let mut index = 0;
    while index < numbers.len() {
        let pair = numbers.get(index + 1).is_some_and(|second| {
            let between = text[numbers[index].span.end..second.span.start].trim();
            let joined = matches!(between, "-" | "–" | "—" | "to" | "~" | "～" | "到" | "至" | "till" | "up to");
            let before = &text[from..numbers[index].span.start];
            joined
                || (matches!(between, "and" | "和" | "与") && (before.contains("between") || before.contains("介于")))
        });
        if pair {
            let second = numbers.remove(index + 1);
            let first = &numbers[index];
            let counts = if second.counts == Counts::Bare { first.counts.clone() } else { second.counts };
            let limits = Limits {
                min: Some(first.value.min(second.value)),
                max: Some(first.value.max(second.value)),
                ..Limits::default()
            };
            let limits = if let Counts::Measure(unit) = counts { limits.scaled(unit.factor) } else { limits };
            let before = text[from..first.span.start].trim_end();
            let opening = ["between", "from", "介于", "从"].into_iter().find(|word| before.ends_with(word));
            let start = opening.map_or(first.span.start, |word| from + before.len() - word.len());
            let span = start..second.span.end;
            found.push(Quantity { limits, compared: true, counts, span });
            from = numbers[index].span.end.max(second.span.end);
        } else {
            let quantity = compared(text, from, &numbers[index], numbers.get(index + 1).map(|next| next.span.start));
            from = quantity.span.end;
            found.push(quantity);
        }
        index += 1;
    }
    found
}

fn compared(text: &str, from: usize, number: &Number, next: Option<usize>) -> Quantity {
    let after_text = &text[number.span.end..next.unwrap_or(text.len())];
    let after = comparison_after(after_text).map(|(comparison, length)| (comparison, number.span.end + length));
    let before = comparison_before(&text[from..number.span.start]).map(|(c, at)| (c, from + at));
    let (comparison, span) = match (after, before) {
        (Some((comparison, end)), _) => (Some(comparison), number.span.start..end),
        (None, Some((comparison, start))) => (Some(comparison), start..number.span.end),
        (None, None) => (None, number.span.clone()),
    };
    let value = number.value;
    let limits = match comparison {
        Some(Comparison::Below) => Limits { max: Some(value), below: true, ..Limits::default() },
        Some(Comparison::AtMost) => Limits { max: Some(value), ..Limits::default() },
        Some(Comparison::AtLeast) => Limits { min: Some(value), ..Limits::default() },
        Some(Comparison::Above) => Limits { min: Some(value), above: true, ..Limits::default() },
        Some(Comparison::Around) => Limits { min: Some(value * 0.8), max: Some(value * 1.2), ..Limits::default() },
        None => Limits { min: Some(value * 0.975), max: Some(value * 1.025), ..Limits::default() },
    };
    let limits = if let Counts::Measure(unit) = number.counts { limits.scaled(unit.factor) } else { limits };
    Quantity { limits, compared: comparison.is_some(), counts: number.counts.clone(), span }
}

fn numbers(text: &str, ignored: &[Range<usize>]) -> Vec<Number> {
    let mut found: Vec<Number> = vec![];
    let mut position = 0;
    while position < text.len() {
        let Some(c) = text[position..].chars().next() else { break };
        let inside = ignored.iter().find(|range| range.contains(&position));
        if let Some(range) = inside {
            position = range.end.max(position + c.len_utf8());
            continue;
        }
        let glued = text[..position].ends_with(|c: char| c.is_alphanumeric() && !is_han(c));
        let read = if c.is_ascii_digit() && !glued {
            digits(text, position)
        } else if HAN_DIGITS.contains(c) {
            han_number(text, position)
        } else if c.is_ascii_alphabetic() && !glued {
            word_number(text, position)
        } else {
            None
        };
        match read {
            Some((value, end)) => {
                if let Some(number) = with_unit(text, value, position..end) {
                    position = number.span.end.max(end);
                    found.push(number);
                } else {
                    position = end;
                }
            }
            None if c.is_ascii_digit() => position += text[position..].find(|c: char| !c.is_ascii_digit()).unwrap_or(1),
            None => position += c.len_utf8(),
        }
    }
    found
}

/// Completes a number with the currency or unit around it; `None` when it turns out to be part of a name ("4K", "2nd").
fn with_unit(text: &str, value: f64, span: Range<usize>) -> Option<Number> {
    let before = text[..span.start].trim_end();
    let sign =
        CURRENCIES.iter().find(|(name, _)| !name.starts_with(|c: char| c.is_alphanumeric()) && before.ends_with(name));
    if let Some((name, code)) = sign {
        let start = before.len() - name.len();
        return Some(Number { value, counts: Counts::Money(code), span: start..span.end });
    }
    let rest = &text[span.end..];
    let gap = rest.len() - rest.trim_start_matches([' ', '-', '\u{a0}']).len();
    let rest = &rest[gap..];
    let Some(first) = rest.chars().next() else {
        return Some(Number { value, counts: Counts::Bare, span });
    };
    let word_end = if is_han(first) {
        rest.find(|c: char| !is_han(c)).unwrap_or(rest.len())
    } else if first.is_alphabetic() || first == '°' {
        rest.find(|c: char| !(c.is_alphabetic() || c == '°') || is_han(c)).unwrap_or(rest.len())
    } else {
        first.len_utf8()
    };
    let word = &rest[..word_end];
    let prefixes: Vec<&str> = if is_han(first) {
        word.char_indices().map(|(at, c)| &word[..at + c.len_utf8()]).take(4).collect()
    } else {
        vec![word]
    };
    for name in prefixes.iter().rev() {
        let end = span.end + gap + name.len();
        if let Some((_, code)) = CURRENCIES.iter().find(|(currency, _)| currency == name) {
            return Some(Number { value, counts: Counts::Money(code), span: span.start..end });
        }
        if *name == "像素" && value >= 1e5 {
            let counts = Counts::Measure(unit("mp")?);
            return Some(Number { value: value / 1e6, counts, span: span.start..end });
        }
        // "2 in stock" is no length.
        let preposition = *name == "in" && gap > 0;
        if let Some(unit) = unit(name).filter(|_| !preposition) {
            return Some(Number { value, counts: Counts::Measure(unit), span: span.start..end });
        }
    }
    let part_of_name = gap == 0 && first.is_alphabetic() && !is_han(first);
    (!part_of_name).then_some(Number { value, counts: Counts::Bare, span })
}

/// Reads `1299`, `1,299.00`, `1.299,00`, `1,5` and `3千`.
fn digits(text: &str, start: usize) -> Option<(f64, usize)> {
    let rest = &text[start..];
    let mut end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(rest.len());
    end = rest[..end].trim_end_matches(['.', ',']).len();
    let raw = &rest[..end];
    let last = raw.rfind(['.', ',']);
    let kinds = (raw.contains('.'), raw.contains(','));
    let plain = match (last, kinds) {
        (Some(at), (true, true)) => format!("{}.{}", raw[..at].replace(['.', ','], ""), &raw[at + 1..]),
        (Some(at), _) if raw.matches(['.', ',']).count() > 1 || (raw.as_bytes()[at] == b',' && raw.len() - at == 4) => {
            raw.replace(['.', ','], "")
        }
        _ => raw.replace(',', "."),
    };
    let mut value: f64 = plain.parse().ok()?;
    let mut end = start + end;
    if let Some(multiplier) = text[end..].chars().next().and_then(han_multiplier)
        && multiplier >= 100.0
        && !text[end..].starts_with("千克")
    {
        value *= multiplier;
        end += '万'.len_utf8();
    }
    Some((value, end))
}

const HAN_DIGITS: &str = "零〇一二两三四五六七八九十百千万";

fn han_digit(c: char) -> Option<f64> {
    let digit = match c {
        '零' | '〇' => 0.0,
        '一' => 1.0,
        '二' | '两' => 2.0,
        '三' => 3.0,
        '四' => 4.0,
        '五' => 5.0,
        '六' => 6.0,
        '七' => 7.0,
        '八' => 8.0,
        '九' => 9.0,
        _ => return None,
    };
    Some(digit)
}

fn han_multiplier(c: char) -> Option<f64> {
    match c {
        '十' => Some(10.0),
        '百' => Some(100.0),
        '千' => Some(1000.0),
        '万' => Some(10_000.0),
        _ => None,
    }
}

/// Reads 四百, 一千五, 两百五十 and, before a unit or a currency, a single digit.
fn han_number(text: &str, start: usize) -> Option<(f64, usize)> {
    let rest = &text[start..];
    let end = rest.find(|c| !HAN_DIGITS.contains(c)).unwrap_or(rest.len());
    let raw: Vec<char> = rest[..end].chars().collect();
    let (mut total, mut digit, mut last_multiplier) = (0.0, None, 1.0);
    for &c in &raw {
        if let Some(value) = han_digit(c) {
            digit = Some(value);
        } else {
            let multiplier = han_multiplier(c)?;
            if multiplier >= 10_000.0 {
                total = (total + digit.take().unwrap_or(0.0)) * multiplier;
            } else {
                total += digit.take().unwrap_or(1.0) * multiplier;
            }
            last_multiplier = multiplier;
        }
    }
    if let Some(value) = digit {
        let zero_before = raw.len() >= 2 && matches!(raw[raw.len() - 2], '零' | '〇' | '十');
        let step = if zero_before || last_multiplier < 100.0 { 1.0 } else { last_multiplier / 10.0 };
        total += value * step;
    }
    let has_multiplier = raw.iter().any(|&c| han_multiplier(c).is_some());
    let end = start + end;
    let counted = with_unit(text, total, start..end).is_some_and(|number| number.counts != Counts::Bare);
    ((has_multiplier && raw.len() >= 2) || counted).then_some((total, end))
}

/// Reads "twenty", "three hundred", "a hundred and fifty".
fn word_number(text: &str, start: usize) -> Option<(f64, usize)> {
    const WORDS: &[(&str, f64)] = &[
        ("ten", 10.0),
        ("fifteen", 15.0),
        ("twenty", 20.0),
        ("thirty", 30.0),
        ("forty", 40.0),
        ("fifty", 50.0),
        ("sixty", 60.0),
        ("seventy", 70.0),
        ("eighty", 80.0),
        ("ninety", 90.0),
    ];
    const SMALL: [&str; 10] = ["a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let mut end = start;
    let (mut total, mut current, mut large) = (0.0, 0.0, false);
    let mut position = start;
    for word in text[start..].split([' ', '-']).take(6) {
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        let small = SMALL.iter().position(|name| *name == bare).map(|value| value.max(1) as f64);
        if let Some(value) = WORDS.iter().find(|(name, _)| *name == bare).map(|(_, value)| *value) {
            current += value;
            large = true;
        } else if bare == "hundred" {
            current = f64::max(current, 1.0) * 100.0;
            large = true;
        } else if bare == "thousand" {
            total += f64::max(current, 1.0) * 1000.0;
            current = 0.0;
            large = true;
        } else if let Some(value) = small {
            current += value;
        } else if bare != "and" || end == start {
            break;
        }
        if bare != "and" {
            end = position + bare.len();
        }
        if bare.len() != word.len() {
            break;
        }
        position += word.len() + 1;
    }
    large.then_some((total + current, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (Option<f64>, Option<f64>) {
        let found = quantities(text, &[]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        (found[0].limits.min, found[0].limits.max)
    }

    #[test]
    fn limits_are_read_in_both_languages() {
        for text in [
            "under 150",
            "no more than 150 euro",
            "at most €150",
            "150 or less",
            "不超过150",
            "一百五以下",
            "150元以内",
        ] {
            assert_eq!(one(text), (None, Some(150.0)), "{text}");
        }
        for text in ["from 100 up", "at least 100", "100 euro or more", "一百元以上", "至少100块"] {
            assert_eq!(one(text), (Some(100.0), None), "{text}");
        }
        for text in ["between 20 and 50", "from 20 to 50 euro", "20-50€", "20到50之间", "二十到五十元"] {
            assert_eq!(one(text), (Some(20.0), Some(50.0)), "{text}");
        }
        assert_eq!(one("around 50"), (Some(40.0), Some(60.0)));
        assert_eq!(one("less than three hundred euros"), (None, Some(300.0)));
    }

    #[test]
    fn below_is_strict_and_at_most_is_not() {
        assert!(!quantities("under 150", &[])[0].limits.allow(150.0));
        assert!(quantities("at most 150", &[])[0].limits.allow(150.0));
    }

    #[test]
    fn units_are_brought_to_one_base() {
        assert_eq!(one("lighter than 1.3 kg"), one("weighs less than 1300 grams"));
        assert_eq!(one("at least 1.5 l"), (Some(1500.0), None));
        assert_eq!(one("two tents under 2 hours"), (None, Some(120.0)));
        let screen = one("5.5寸以内").1.unwrap();
        assert!((screen - 139.7).abs() < 1e-6);
        assert_eq!(one("5000 mAh battery or bigger"), (Some(5000.0), None));
        assert_eq!(one("两千万像素以上"), (Some(20.0), None));
    }

    #[test]
    fn chinese_numerals_and_separators() {
        for (text, value) in [("四百欧以下", 400.0), ("一千五以下", 1500.0), ("两百零五元以下", 205.0)]
        {
            let found = quantities(text, &[]);
            assert_eq!(found[0].limits.max, Some(value), "{text}");
        }
        assert_eq!(one("under 1,299.00 euro"), (None, Some(1299.0)));
        assert_eq!(one("3千元以下"), (None, Some(3000.0)));
    }

    #[test]
    fn names_and_counting_words_are_no_quantities() {
        for text in ["4K video", "the M10", "一个红色的", "2nd"] {
            assert!(quantities(text, &[]).is_empty(), "{text}: {:?}", quantities(text, &[]));
        }
        assert!(quantities("Nova 5 please", std::slice::from_ref(&(0..6))).is_empty());
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        for text in
            ["€", "1.", "...1,,2", "between", "£¥$", "一万万万", "\u{130}5 KG under", "½ 3", "1e400", "a hundred-"]
        {
            let _ = quantities(text, &[]);
        }
    }
}
