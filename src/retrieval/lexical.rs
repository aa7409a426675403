//! Words: how a text is cut into terms in English and Chinese, and BM25 over them with tolerance for typing errors.

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use jieba_rs::Jieba;
use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

use crate::language::is_han;

static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

/// English words that say nothing about what a text is about.
const STOP_WORDS: &[&str] = &[
    "a", "an", "the", "and", "or", "but", "if", "then", "so", "as", "of", "at", "by", "for", "with", "about", "into",
    "to", "from", "in", "on", "up", "out", "over", "under", "again", "is", "am", "are", "was", "were", "be", "been",
    "being", "do", "does", "did", "doing", "have", "has", "had", "having", "can", "could", "will", "would", "shall",
    "should", "may", "might", "must", "i", "me", "my", "mine", "we", "us", "our", "ours", "you", "your", "yours", "he",
    "him", "his", "she", "her", "it", "its", "they", "them", "their", "this", "that", "these", "those", "what",
    "which", "who", "whom", "when", "where", "why", "how", "there", "here", "just", "also", "too", "very", "please",
    "pls", "thanks", "thank", "hi", "hello", "hey", "dear", "ok", "okay", "s", "t", "d", "ll", "m", "re", "ve", "don",
    "get", "got", "want", "like", "need", "tell", "know", "let", "one", "some", "any", "all", "much", "many", "than",
    "because", "am", "im", "id", "ive", "now", "still", "even", "ever", "really", "actually", "anyway", "sorry",
    "well",
];

/// Chinese words of the same kind.
const STOP_WORDS_ZH: &[&str] = &[
    "的", "了", "吗", "呢", "啊", "吧", "呀", "嘛", "我", "你", "您", "他", "她", "它", "我们", "你们", "他们", "是",
    "在", "有", "和", "与", "或", "就", "都", "也", "还", "很", "把", "被", "给", "让", "到", "从", "对", "为", "这",
    "那", "这个", "那个", "什么", "怎么", "怎样", "多少", "几", "哪", "哪个", "哪里", "哪些", "谁", "请", "请问",
    "一下", "一个", "个", "可以", "能", "能够", "会", "要", "想", "吗", "么", "没", "没有", "不", "上", "下", "里",
    "中", "后", "前", "时", "时候", "之", "以", "及", "如果", "因为", "所以", "但是", "麻烦", "你好", "您好", "谢谢",
];

/// Whether an English word says nothing about what a text is about.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// A term of a text: what is compared, and how much it says about the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    /// Stem, word or pair of characters.
    pub text: String,
    /// A function word, which matters only when nothing else matches.
    pub stop: bool,
}

/// Cuts `text` into terms: English words by stem, Chinese words and pairs of characters, numbers as they are.
pub fn terms(text: &str) -> Vec<Term> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let stemmer = Stemmer::create(Algorithm::English);
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let run_of = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let length = if is_han(first) {
            let length = run_of(is_han);
            chinese_terms(&rest[..length], &mut found);
            length
        } else if first.is_alphanumeric() {
            let length = run_of(|c| !is_han(c) && (c.is_alphanumeric() || matches!(c, '\'' | '’' | '.' | ',')));
            for word in split_numbers(&rest[..length]) {
                latin_term(&stemmer, word, &mut found);
            }
            length
        } else {
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

fn latin_term(stemmer: &Stemmer, word: &str, found: &mut Vec<Term>) {
    let word = word.trim_end_matches("'s").trim_end_matches("’s");
    let plain: String = word.chars().filter(|c| !matches!(c, '\'' | '’')).collect();
    if plain.is_empty() {
        return;
    }
    let stop = STOP_WORDS.contains(&plain.as_str());
    let text =
        if stop || plain.chars().any(|c| c.is_ascii_digit()) { plain } else { stemmer.stem(&plain).into_owned() };
    found.push(Term { text, stop });
}

/// `1,200.50` stays whole, `end.Next` does not, and trailing points go.
fn split_numbers(run: &str) -> Vec<&str> {
    let whole = run.trim_matches(['.', ',', '\'', '’']);
    if whole.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',')) {
        return vec![whole];
    }
    run.split(['.', ',']).filter(|part| !part.is_empty()).collect()
}

fn chinese_terms(run: &str, found: &mut Vec<Term>) {
    for token in JIEBA.cut_for_search(run, false) {
        found.push(Term { text: token.word.to_owned(), stop: STOP_WORDS_ZH.contains(&token.word) });
    }
    // Pairs of characters survive a wrong segmentation and half of a typing error.
    let characters: Vec<char> = run.chars().collect();
    for pair in characters.windows(2) {
        let text: String = std::iter::once('·').chain(pair.iter().copied()).collect();
        found.push(Term { text, stop: false });
    }
}

/// Where the words of `text` that say something stand: Latin words whole, Chinese ones as they are segmented.
pub fn content_words(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let run =
            |belongs: &dyn Fn(char) -> bool| text[at..].find(|c: char| !belongs(c)).map_or(text.len(), |n| at + n);
        if is_han(first) {
            let end = run(&is_han);
            for token in JIEBA.cut(&text[at..end], false) {
                let word = token.word;
                if !STOP_WORDS_ZH.contains(&word) {
                    found.push(at..at + word.len());
                }
                at += word.len();
            }
        } else if first.is_alphanumeric() {
            let end = run(&|c| !is_han(c) && (c.is_alphanumeric() || matches!(c, '\'' | '’' | '-')));
            if !STOP_WORDS.contains(&text[at..end].to_lowercase().as_str()) {
                found.push(at..end);
            }
            at = end;
        } else {
            at += first.len_utf8();
        }
    }
    found
}

/// BM25 (Robertson and Zaragoza 2009) over a fixed set of passages.
#[derive(Debug, Default)]
pub struct LexicalIndex {
    /// Latin words as the passages spell them, with how often they do.
    surfaces: HashMap<String, u32>,
    postings: HashMap<String, Vec<(u32, f32)>>,
    lengths: Vec<f32>,
    length_mean: f32,
}

/// Saturation of repeated terms.
const K1: f32 = 1.2;
/// How much a long passage is held back.
const B: f32 = 0.6;
/// Weight of numbers: what a shopper believes ("free from 40, right?") must not decide which passage is found.
const NUMBER_WEIGHT: f32 = 0.5;
/// Weight of function words.
const STOP_WEIGHT: f32 = 0.1;

/// A question's terms, matched to the words the passages use.
#[derive(Debug, Clone)]
pub struct LexicalQuery {
    /// Term as the passages spell it, and its weight.
    terms: Vec<(String, f32)>,
}

impl LexicalIndex {
    /// Indexes passages in their order.
    pub fn build<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        for (passage, text) in texts.enumerate() {
            let mut counts: HashMap<String, f32> = HashMap::new();
            let mut length = 0.0;
            for term in terms(text) {
                length += 1.0;
                *counts.entry(term.text).or_default() += 1.0;
            }
            for word in text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() >= 3) {
                *index.surfaces.entry(word.to_ascii_lowercase()).or_default() += 1;
            }
            for (term, count) in counts {
                index.postings.entry(term).or_default().push((passage as u32, count));
            }
            index.lengths.push(length);
        }
        index.length_mean = (index.lengths.iter().sum::<f32>() / index.lengths.len().max(1) as f32).max(1.0);
        index
    }

    /// Inverse document frequency; a term that no passage has counts as the rarest.
    pub fn idf(&self, term: &str) -> f32 {
        let passages = self.lengths.len() as f32;
        let with = self.postings.get(term).map_or(0.0, |postings| postings.len() as f32);
        (1.0 + (passages - with + 0.5) / (with + 0.5)).ln()
    }

    /// Whether any passage uses the term.
    pub fn knows(&self, term: &str) -> bool {
        self.postings.contains_key(term)
    }

    /// A question's terms with their weights.
    pub fn query(&self, text: &str, weight: f32) -> LexicalQuery {
        let weigh = |term: Term| {
            let number = term.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let share = if term.stop {
                STOP_WEIGHT
            } else if number {
                NUMBER_WEIGHT
            } else {
                1.0
            };
            (term.text, weight * share)
        };
        LexicalQuery { terms: terms(text).into_iter().map(weigh).collect() }
    }

    /// `text` with typing errors mended: a word that neither the passages nor `is_word` know becomes the nearest word
    /// of the passages, or the nearest function word, within one or two errors.
    pub fn respell(&self, text: &str, is_word: &dyn Fn(&str) -> bool) -> String {
        let mut mended = String::with_capacity(text.len());
        for part in text.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
            let end = part.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(part.len());
            let (word, rest) = part.split_at(end);
            match self.mend(word, is_word) {
                Some(better) => mended.push_str(&better),
                None => mended.push_str(word),
            }
            mended.push_str(rest);
        }
        mended
    }

    fn mend(&self, word: &str, is_word: &dyn Fn(&str) -> bool) -> Option<String> {
        let lower = word.to_ascii_lowercase();
        // Names are written with a capital and are nobody's typing error.
        let name = word.chars().next().is_some_and(char::is_uppercase);
        if lower.len() < 3 || name || self.surfaces.contains_key(&lower) || STOP_WORDS.contains(&lower.as_str()) {
            return None;
        }
        let stem = Stemmer::create(Algorithm::English).stem(&lower).into_owned();
        if self.knows(&stem) || is_word(&lower) || is_word(&stem) {
            return None;
        }
        let errors_max = if lower.len() < 7 { 1 } else { 2 };
        let known = self.surfaces.keys().map(String::as_str).filter(|known| known.len() >= 4 && lower.len() >= 4);
        known
            .chain(STOP_WORDS.iter().copied().filter(|known| known.len() >= 3))
            .filter(|known| known.len().abs_diff(lower.len()) <= errors_max)
            .filter_map(|known| {
                let errors = edit_distance(lower.as_bytes(), known.as_bytes(), errors_max)?;
                let other_start = known.as_bytes()[0] != lower.as_bytes()[0];
                let rarity = std::cmp::Reverse(self.surfaces.get(known).copied().unwrap_or(0));
                Some((errors, other_start, rarity, known))
            })
            .min()
            .map(|(_, _, _, known)| known.to_owned())
    }

    /// BM25 of every passage that has a term of the question.
    pub fn scores(&self, query: &LexicalQuery) -> Scores {
        let mut scores = Scores { by_passage: vec![0.0; self.lengths.len()] };
        for (term, weight) in &query.terms {
            for (passage, score) in self.term_scores(term) {
                scores.by_passage[passage as usize] += weight * score;
            }
        }
        scores
    }

    /// BM25 of one term, for each passage that has it.
    pub fn term_scores(&self, term: &str) -> impl Iterator<Item = (u32, f32)> {
        let idf = self.idf(term);
        self.postings.get(term).into_iter().flatten().map(move |&(passage, count)| {
            let length = self.lengths[passage as usize] / self.length_mean;
            (passage, idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length)))
        })
    }

    /// Share of the question's weight (IDF) that a passage's words cover, 0 to 1.
    pub fn coverage(&self, query: &LexicalQuery, passage: u32) -> f32 {
        let (mut covered, mut total) = (0.0, 0.0);
        for (term, weight) in &query.terms {
            let weight = weight * self.idf(term);
            total += weight;
            let has = self
                .postings
                .get(term)
                .is_some_and(|postings| postings.binary_search_by_key(&passage, |posting| posting.0).is_ok());
            if has {
                covered += weight;
            }
        }
        if total > 0.0 { covered / total } else { 0.0 }
    }
}

/// BM25 of passages for one question. A frequent word stands in thousands of them, so there is a place for each rather
/// than a map.
#[derive(Debug, Clone)]
pub struct Scores {
    by_passage: Vec<f32>,
}

impl Scores {
    /// Nothing for each of `passages`.
    pub(super) fn zero(passages: usize) -> Self {
        Self { by_passage: vec![0.0; passages] }
    }

    /// Adds to a passage's score.
    pub(super) fn add(&mut self, passage: u32, score: f32) {
        if let Some(sum) = self.by_passage.get_mut(passage as usize) {
            *sum += score;
        }
    }

    /// A passage's score, 0 when it has no term of the question.
    pub fn get(&self, passage: u32) -> f32 {
        self.by_passage.get(passage as usize).copied().unwrap_or(0.0)
    }

    /// Every score over the highest one, so that the best passage has 1.
    #[must_use]
    pub fn relative(mut self) -> Self {
        let best = self.by_passage.iter().copied().fold(f32::EPSILON, f32::max);
        for score in &mut self.by_passage {
            *score /= best;
        }
        self
    }

    /// The passages with the highest scores, best first and the earlier one first among equals, at most `limit`; those
    /// without any term are left out.
    pub fn best(&self, limit: usize) -> Vec<u32> {
        let better = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let scored = (0u32..).zip(self.by_passage.iter().copied()).filter(|(_, score)| *score > 0.0);
        let mut scored: Vec<(u32, f32)> = scored.collect();
        if limit < scored.len() {
            scored.select_nth_unstable_by(limit, better);
            scored.truncate(limit);
        }
        scored.sort_unstable_by(better);
        scored.into_iter().map(|(passage, _)| passage).collect()
    }
}

impl LexicalQuery {
    /// The most that BM25 could give: each term at its saturation.
    pub fn weight(&self, index: &LexicalIndex) -> f32 {
        self.terms.iter().map(|(term, weight)| weight * index.idf(term)).sum()
    }

    /// Both questions together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self
    }
}

/// Damerau-Levenshtein distance (adjacent letters swapped count once); `None` above `limit`.
pub fn edit_distance(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        if row.iter().min().is_some_and(|best| *best > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    Some(last[b.len()]).filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(index: &LexicalIndex, question: &str) -> Option<u32> {
        index.scores(&index.query(question, 1.0)).best(1).first().copied()
    }

    #[test]
    fn words_are_found_by_stem_and_through_typing_errors() {
        let texts =
            ["Boots can be returned within 30 days", "The warranty on laptops is 24 months", "Shipping is free"];
        let index = LexicalIndex::build(texts.into_iter());
        assert_eq!(best(&index, "returning a boot"), Some(0));
        let mended = index.respell("hwo long is warrnty on lapotps? ok", &|word| word == "ok");
        assert_eq!(mended, "how long is warranty on laptops? ok");
        assert_eq!(best(&index, &mended), Some(1));
        assert_eq!(index.respell("rent a boot from Lapotps", &|word| word == "rent"), "rent a boot from Lapotps");
        assert_eq!(best(&index, "giraffe"), None);
    }

    #[test]
    fn chinese_is_found_by_word_and_by_pair() {
        let index = LexicalIndex::build(["退货需要七天", "保修期为两年", "免费送货"].into_iter());
        assert_eq!(best(&index, "保修多久"), Some(1));
        assert_eq!(best(&index, "怎么退货"), Some(0));
    }

    #[test]
    fn coverage_is_the_share_of_what_the_question_says() {
        let index = LexicalIndex::build(["red boots", "blue hats"].into_iter());
        let query = index.query("red boots", 1.0);
        assert!((index.coverage(&query, 0) - 1.0).abs() < 1e-6);
        assert!(index.coverage(&query, 1).abs() < 1e-6);
    }

    #[test]
    fn distance_counts_swapped_letters_once() {
        assert_eq!(edit_distance(b"hwo", b"how", 2), Some(1));
        assert_eq!(edit_distance(b"warranty", b"warrnty", 2), Some(1));
        assert_eq!(edit_distance(b"cat", b"horse", 2), None);
    }
}
