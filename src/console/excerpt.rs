//! The part of a message around the words of a search.

/// Characters shown on each side of the words.
const BESIDE_MAX: usize = 40;

/// A line with the words that were found in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) before: String,
    pub(super) hit: String,
    pub(super) after: String,
}

/// The first place of `search` in a text, upper and lower case alike; `None` when it is not there.
pub(super) fn excerpt(text: &str, search: &str) -> Option<Excerpt> {
    let search: Vec<char> = search.trim().to_lowercase().chars().collect();
    // One character may become several in lower case; each keeps the place of the one that it comes from.
    let (mut lower, mut places) = (Vec::new(), Vec::new());
    for (at, c) in text.chars().enumerate() {
        for low in c.to_lowercase() {
            lower.push(low);
            places.push(at);
        }
    }
    if search.is_empty() {
        return None;
    }
    let at = lower.windows(search.len()).position(|window| window == search)?;
    let (begin, end) = (places[at], places[at + search.len() - 1] + 1);
    let chars: Vec<char> = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let from = begin.saturating_sub(BESIDE_MAX);
    let to = (end + BESIDE_MAX).min(chars.len());
    let part = |range: std::ops::Range<usize>| chars[range].iter().collect::<String>();
    Some(Excerpt {
        before: format!("{}{}", if from > 0 { "…" } else { "" }, part(from..begin)),
        hit: part(begin..end),
        after: format!("{}{}", part(end..to), if to < chars.len() { "…" } else { "" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_found_in_either_case_and_in_chinese() {
        let found = excerpt("Is it 100% WOOL?\nYes.", "% wool").unwrap();
        assert_eq!(
            (found.before.as_str(), found.hit.as_str(), found.after.as_str()),
            ("Is it 100", "% WOOL", "? Yes.")
        );
        let found = excerpt("您好，我想退货可以吗", "退货").unwrap();
        assert_eq!((found.before.as_str(), found.hit.as_str(), found.after.as_str()), ("您好，我想", "退货", "可以吗"));
        assert_eq!(excerpt("wool", "silk"), None);
        assert_eq!(excerpt("İstanbul", "stan").unwrap().hit, "stan");
    }

    #[test]
    fn a_long_line_is_cut_on_both_sides() {
        let text = format!("{}here{}", "a".repeat(90), "b".repeat(90));
        let found = excerpt(&text, "HERE").unwrap();
        assert_eq!(found.before, format!("…{}", "a".repeat(40)));
        assert_eq!(found.after, format!("{}…", "b".repeat(40)));
    }
}
