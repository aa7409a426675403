//! Products named in a message: by SKU, by title, by a part of the title that only they have, with typing mistakes.

use std::{collections::HashMap, ops::Range};

use super::{
    index::Catalogue,
    words::{Kind, edit_distance, is_common, stem, tokens},
};
use crate::language::is_han;

/// A place in a message that names one product, or a few that cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The products, the likeliest first.
    pub skus: Vec<String>,
    /// Bytes of the message.
    pub span: Range<usize>,
    /// The title consists of everyday words ("Green Tea"): the shopper may mean any such product.
    pub generic: bool,
}

/// A word of a title or a message: Latin words whole, Chinese characters singly.
type Word = (String, Range<usize>);

/// Where titles are looked up.
#[derive(Debug, Default)]
pub struct Names {
    /// Joined words of a title (and of its shorter forms) -> products.
    full: HashMap<String, Vec<usize>>,
    /// Words of each title.
    titles: Vec<Vec<String>>,
    /// In how many titles a word occurs.
    frequency: HashMap<String, usize>,
    /// First words of titles -> products.
    starts: HashMap<String, Vec<usize>>,
    generic: Vec<bool>,
    words_max: usize,
}

impl Names {
    /// Reads the titles.
    pub fn build(catalogue: &Catalogue) -> Self {
        let mut names = Self::default();
        for (index, item) in catalogue.items.iter().enumerate() {
            let words: Vec<String> = split(&item.product.title).into_iter().map(|(word, _)| word).collect();
            for word in words.iter().collect::<std::collections::BTreeSet<_>>() {
                *names.frequency.entry(word.clone()).or_default() += 1;
            }
            names.words_max = names.words_max.max(words.len() + 1);
            names.generic.push(
                tokens(&item.product.title)
                    .iter()
                    .all(|token| token.kind != Kind::Unknown || token.term.parse::<f64>().is_ok()),
            );
            for form in forms(&words, item.product.attributes.get("brand").map(String::as_str)) {
                let entry = names.full.entry(form.concat()).or_default();
                if !entry.contains(&index) {
                    entry.push(index);
                }
                if let Some(first) = form.first() {
                    let starting = names.starts.entry(first.clone()).or_default();
                    if !starting.contains(&index) {
                        starting.push(index);
                    }
                }
            }
            names.titles.push(words);
        }
        names
    }

    /// The products named in `text`, in the order of the text.
    pub fn find(&self, text: &str, catalogue: &Catalogue) -> Vec<Mention> {
        let words = split(text);
        let mut found = skus(text, catalogue);
        let free = |span: &Range<usize>, found: &[Mention]| {
            found.iter().all(|m| m.span.end <= span.start || span.end <= m.span.start)
        };
        for exact in [true, false] {
            for length in (1..=self.words_max.min(words.len())).rev() {
                for window in words.windows(length) {
                    let span = window[0].1.start..window[length - 1].1.end;
                    if free(&span, &found)
                        && let Some(products) = self.titled(window, exact)
                    {
                        found.push(self.mention(products, text, span, catalogue));
                    }
                }
            }
        }
        for length in (1..=4.min(words.len())).rev() {
            for start in 0..=words.len() - length {
                let window = &words[start..start + length];
                let span = window[0].1.start..window[length - 1].1.end;
                if free(&span, &found)
                    && let Some(products) = self.started(text, &words, start, length)
                {
                    found.push(self.mention(&products, text, span, catalogue));
                }
            }
        }
        found.sort_by_key(|mention| mention.span.start);
        found
    }

    fn mention(&self, products: &[usize], text: &str, span: Range<usize>, catalogue: &Catalogue) -> Mention {
        let everyday = tokens(&text[span.clone()])
            .iter()
            .all(|token| token.kind != Kind::Unknown || token.term.parse::<f64>().is_ok());
        let mut products = products.to_vec();
        // What others fit is meant rather than what fits it; then the shorter title.
        products
            .sort_by_key(|&at| (!catalogue.items[at].product.compatible_with.is_empty(), self.titles[at].len(), at));
        let generic = products.iter().all(|&at| self.generic[at]) || everyday;
        Mention { skus: products.iter().map(|&at| catalogue.items[at].product.sku.clone()).collect(), span, generic }
    }

    /// Products whose whole title (or a shorter form of it) the words are.
    fn titled(&self, window: &[Word], exact: bool) -> Option<&[usize]> {
        let joined: String = window.iter().map(|(word, _)| word.as_str()).collect();
        if exact {
            return self.full.get(&joined).map(Vec::as_slice);
        }
        let length = joined.chars().count();
        let allowed = match length {
            0..=6 => return None,
            7..=13 => 1,
            _ => 2,
        };
        let plain: String = joined.chars().filter(|c| !c.is_ascii_digit()).collect();
        if plain.chars().any(is_han) || window.iter().all(|(word, _)| is_common(word)) {
            return None;
        }
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        self.full
            .iter()
            .filter(|(title, _)| title.len().abs_diff(joined.len()) <= allowed && digits(title) == digits(&joined))
            .map(|(title, products)| (edit_distance(title, &joined), title, products))
            .filter(|(distance, ..)| *distance <= allowed)
            .min()
            .map(|(.., products)| products.as_slice())
    }

    /// Products whose title begins with the words, when these are a name rather than everyday words.
    fn started(&self, text: &str, words: &[Word], start: usize, length: usize) -> Option<Vec<usize>> {
        let window = &words[start..start + length];
        let han = window[0].0.chars().all(is_han);
        if han && length < 3 {
            return None;
        }
        let span = window[0].1.start..window[length - 1].1.end;
        let said = &text[span.clone()];
        let distinctive = if han {
            tokens(said).iter().any(|token| token.kind == Kind::Unknown && token.term.chars().count() >= 2)
        } else {
            window.iter().any(|(word, _)| {
                word.chars().count() >= 3 && !is_common(word) && !word.starts_with(|c: char| c.is_ascii_digit())
            })
        };
        if !distinctive || (length == 1 && !han && !stands_as_name(text, words, start)) {
            return None;
        }
        let products: Vec<usize> =
            self.starts.get(&window[0].0)?.iter().copied().filter(|&at| contains(&self.titles[at], window)).collect();
        let main: Vec<usize> = products.clone();
        (!main.is_empty() && main.len() <= 8).then_some(main)
    }
}

/// A single word of a title counts as a name when it is written or introduced like one.
fn stands_as_name(text: &str, words: &[Word], at: usize) -> bool {
    let (word, span) = &words[at];
    let capital = text[span.clone()].starts_with(char::is_uppercase) && at > 0;
    let before = at.checked_sub(1).map(|before| words[before].0.as_str()).unwrap_or_default();
    let introduced =
        matches!(before, "the" | "my" | "a" | "an" | "this" | "that" | "your" | "of" | "for" | "is" | "are");
    let beside_han = words.get(at + 1).is_some_and(|(next, _)| next.chars().all(is_han)) || before.chars().any(is_han);
    (word.chars().count() >= 3) && (capital || introduced || beside_han || words.len() <= 3)
}

fn contains(title: &[String], window: &[Word]) -> bool {
    title
        .windows(window.len())
        .any(|part| part.iter().zip(window).all(|(title, (word, _))| title == word || stem(title) == stem(word)))
}

/// A title's words and its shorter forms: without the brand, without the size at its end, without everyday words at the
/// end (`RunLoop Sport headphones` is also called `RunLoop Sport`).
fn forms(words: &[String], brand: Option<&str>) -> Vec<Vec<String>> {
    let mut forms = vec![words.to_vec()];
    let brand: Vec<String> = split(brand.unwrap_or_default()).into_iter().map(|(word, _)| word).collect();
    if !brand.is_empty() && words.len() > brand.len() && words.starts_with(&brand) {
        forms.push(words[brand.len()..].to_vec());
    }
    for form in forms.clone() {
        let mut short = form;
        while short.len() > 1 {
            let last = &short[short.len() - 1];
            let unit =
                super::units::unit(last).is_some() && short[short.len() - 2].starts_with(|c: char| c.is_ascii_digit());
            let kind = tokens(last).first().map_or(Kind::Unknown, |token| token.kind);
            let everyday = kind == Kind::Thing && !last.chars().all(is_han);
            let measured = last.starts_with(|c: char| c.is_ascii_digit()) && last.ends_with(char::is_alphabetic);
            if unit {
                short.truncate(short.len() - 2);
            } else if everyday || measured {
                short.pop();
            } else {
                break;
            }
            let named =
                short.iter().any(|word| word.chars().count() >= 3 && !is_common(word) && !word.chars().all(is_han));
            if named && !short.is_empty() {
                forms.push(short.clone());
            }
        }
    }
    forms.retain(|form| !form.is_empty());
    forms
}

fn skus(text: &str, catalogue: &Catalogue) -> Vec<Mention> {
    let mut found = vec![];
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (is_part(c), start) {
            (true, None) => start = Some(at),
            (false, Some(begin)) => {
                start = None;
                let word = text[begin..at].trim_matches(['-', '_']);
                let number = word.len() >= 3 && word.contains(|c: char| c.is_ascii_digit());
                // A bare number is a price or a size more often than a SKU.
                let bare = word.chars().all(|c| c.is_ascii_digit()) && word.len() < 5;
                if number
                    && !bare
                    && let Some(item) = catalogue.item(word)
                {
                    found.push(Mention { skus: vec![item.product.sku.clone()], span: begin..at, generic: false });
                }
            }
            _ => {}
        }
    }
    found
}

fn split(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = vec![];
    for (at, c) in text.char_indices() {
        if !c.is_alphanumeric() {
            continue;
        }
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some((word, span)) if span.end == at && !is_han(c) && !word.chars().all(is_han) => {
                word.extend(c.to_lowercase());
                span.end = end;
            }
            _ => words.push((c.to_lowercase().collect(), at..end)),
        }
    }
    words
}
