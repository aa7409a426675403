//! Words that make a number a limit: "under", "or more", 以内.

use super::words::{Kind, tokens};

/// Words before a number, with what they make of it.
const BEFORE: &[(&str, Comparison)] = &[
    ("no more than", Comparison::AtMost),
    ("not more than", Comparison::AtMost),
    ("no less than", Comparison::AtLeast),
    ("not less than", Comparison::AtLeast),
    ("no higher than", Comparison::AtMost),
    ("not over", Comparison::AtMost),
    ("not above", Comparison::AtMost),
    ("not exceeding", Comparison::AtMost),
    ("does not exceed", Comparison::AtMost),
    ("less than", Comparison::Below),
    ("lower than", Comparison::Below),
    ("cheaper than", Comparison::Below),
    ("lighter than", Comparison::Below),
    ("smaller than", Comparison::Below),
    ("shorter than", Comparison::Below),
    ("thinner than", Comparison::Below),
    ("narrower than", Comparison::Below),
    ("more than", Comparison::Above),
    ("higher than", Comparison::Above),
    ("bigger than", Comparison::Above),
    ("larger than", Comparison::Above),
    ("greater than", Comparison::Above),
    ("longer than", Comparison::Above),
    ("heavier than", Comparison::Above),
    ("at most", Comparison::AtMost),
    ("at least", Comparison::AtLeast),
    ("minimum", Comparison::AtLeast),
    ("maximum", Comparison::AtMost),
    ("up to", Comparison::AtMost),
    ("under", Comparison::Below),
    ("below", Comparison::Below),
    ("beneath", Comparison::Below),
    ("within", Comparison::AtMost),
    ("max", Comparison::AtMost),
    ("max.", Comparison::AtMost),
    ("min", Comparison::AtLeast),
    ("budget", Comparison::AtMost),
    ("spend", Comparison::AtMost),
    ("limit", Comparison::AtMost),
    ("over", Comparison::Above),
    ("above", Comparison::Above),
    ("exceeding", Comparison::Above),
    ("starting at", Comparison::AtLeast),
    ("from", Comparison::AtLeast),
    ("around", Comparison::Around),
    ("about", Comparison::Around),
    ("roughly", Comparison::Around),
    ("approximately", Comparison::Around),
    ("circa", Comparison::Around),
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Below),
    (">", Comparison::Above),
    ("~", Comparison::Around),
    ("不超过", Comparison::AtMost),
    ("不高于", Comparison::AtMost),
    ("不大于", Comparison::AtMost),
    ("不要超过", Comparison::AtMost),
    ("别超过", Comparison::AtMost),
    ("最多", Comparison::AtMost),
    ("至多", Comparison::AtMost),
    ("最高", Comparison::AtMost),
    ("预算", Comparison::AtMost),
    ("低于", Comparison::Below),
    ("少于", Comparison::Below),
    ("小于", Comparison::Below),
    ("轻于", Comparison::Below),
    ("不到", Comparison::Below),
    ("不足", Comparison::Below),
    ("至少", Comparison::AtLeast),
    ("最少", Comparison::AtLeast),
    ("起码", Comparison::AtLeast),
    ("不低于", Comparison::AtLeast),
    ("不少于", Comparison::AtLeast),
    ("不小于", Comparison::AtLeast),
    ("超过", Comparison::Above),
    ("高于", Comparison::Above),
    ("大于", Comparison::Above),
    ("多于", Comparison::Above),
    ("大约", Comparison::Around),
    ("大概", Comparison::Around),
    ("差不多", Comparison::Around),
];

/// Words after a number.
const AFTER: &[(&str, Comparison)] = &[
    ("or less", Comparison::AtMost),
    ("or fewer", Comparison::AtMost),
    ("or under", Comparison::AtMost),
    ("or below", Comparison::AtMost),
    ("or cheaper", Comparison::AtMost),
    ("or lighter", Comparison::AtMost),
    ("or smaller", Comparison::AtMost),
    ("or shorter", Comparison::AtMost),
    ("and below", Comparison::AtMost),
    ("and under", Comparison::AtMost),
    ("at most", Comparison::AtMost),
    ("maximum", Comparison::AtMost),
    ("max", Comparison::AtMost),
    ("tops", Comparison::AtMost),
    ("or more", Comparison::AtLeast),
    ("or bigger", Comparison::AtLeast),
    ("or larger", Comparison::AtLeast),
    ("or above", Comparison::AtLeast),
    ("or over", Comparison::AtLeast),
    ("or higher", Comparison::AtLeast),
    ("or longer", Comparison::AtLeast),
    ("or better", Comparison::AtLeast),
    ("or heavier", Comparison::AtLeast),
    ("and up", Comparison::AtLeast),
    ("and more", Comparison::AtLeast),
    ("and above", Comparison::AtLeast),
    ("upwards", Comparison::AtLeast),
    ("up", Comparison::AtLeast),
    ("at least", Comparison::AtLeast),
    ("minimum", Comparison::AtLeast),
    ("plus", Comparison::AtLeast),
    ("+", Comparison::AtLeast),
    ("以下", Comparison::AtMost),
    ("以内", Comparison::AtMost),
    ("之内", Comparison::AtMost),
    ("之下", Comparison::AtMost),
    ("封顶", Comparison::AtMost),
    ("内", Comparison::AtMost),
    ("以上", Comparison::AtLeast),
    ("之上", Comparison::AtLeast),
    ("往上", Comparison::AtLeast),
    ("或更", Comparison::AtLeast),
    ("起", Comparison::AtLeast),
    ("左右", Comparison::Around),
    ("上下", Comparison::Around),
];

/// Which side of a number is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Comparison {
    /// Strictly less.
    Below,
    /// The number itself or less.
    AtMost,
    /// The number itself or more.
    AtLeast,
    /// Strictly more.
    Above,
    /// A fifth either way.
    Around,
}

/// The comparison said last in `before`, at most four words away; with its start.
pub fn comparison_before(before: &str) -> Option<(Comparison, usize)> {
    if let Some(found) = adjective_than(before) {
        return Some(found);
    }
    BEFORE
        .iter()
        .filter_map(|&(phrase, comparison)| {
            let at = before.rfind(phrase)?;
            let end = at + phrase.len();
            let latin = phrase.starts_with(|c: char| c.is_ascii_alphabetic());
            let starts_word = !before[..at].ends_with(char::is_alphanumeric);
            let ends_word = !before[end..].starts_with(char::is_alphanumeric);
            let rest = &before[end..];
            let near = rest.split_whitespace().count() <= 3 && rest.chars().count() <= 20;
            let same_clause = !rest.contains([',', '，', ';', '；', '?', '？', '!']);
            (near && same_clause && (!latin || (starts_word && ends_word))).then_some((
                end,
                phrase.len(),
                comparison,
                at,
            ))
        })
        .max_by_key(|&(end, length, ..)| (end, length))
        .map(|(.., comparison, at)| (comparison, at))
}

/// "wider than", "no heavier than": any adjective of the lexicon compares.
fn adjective_than(before: &str) -> Option<(Comparison, usize)> {
    let adjective = before.trim_end().strip_suffix("than")?.trim_end();
    let start = adjective.rfind(' ').map_or(0, |at| at + 1);
    let kind = tokens(&adjective[start..]).first()?.kind;
    let denied = adjective[..start].trim_end();
    let denied = denied.ends_with("no") || denied.ends_with("not") || denied.ends_with("n't");
    let comparison = match (kind, denied) {
        (Kind::Low, false) => Comparison::Below,
        (Kind::Low, true) => Comparison::AtLeast,
        (Kind::High, false) => Comparison::Above,
        (Kind::High, true) => Comparison::AtMost,
        _ => return None,
    };
    Some((comparison, start))
}

/// The comparison right after a number, or after one more word ("5000 mAh battery or bigger"); with its end.
pub fn comparison_after(after: &str) -> Option<(Comparison, usize)> {
    let start = after.len() - after.trim_start().len();
    let word = after[start..].find(' ').map(|end| start + end + 1);
    let starts = [Some(start), word.filter(|&at| !after[start..at].starts_with(|c: char| c.is_ascii_punctuation()))];
    starts.into_iter().flatten().find_map(|at| {
        AFTER
            .iter()
            .filter(|(phrase, _)| after[at..].starts_with(phrase))
            .filter(|(phrase, _)| {
                let latin = phrase.ends_with(|c: char| c.is_ascii_alphabetic());
                !latin || !after[at + phrase.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
            })
            // A bare "up", "+" or "起" belongs to the number only when it stands right beside it.
            .find(|(phrase, _)| at == start || phrase.len() > 3)
            .map(|&(phrase, comparison)| (comparison, at + phrase.len()))
    })
}
