//! What is different between two versions of a document, passage by passage, as a person would tell it.

use std::collections::HashSet;

use super::{Chunk, ChunkKind};

/// Passages that share so many of their words are one passage that was changed.
const ALIKE: f32 = 0.5;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A passage that was not there.
    Added(Chunk),
    /// A passage that is gone.
    Removed(Chunk),
    /// A passage with other words.
    Changed {
        /// As it was.
        before: Chunk,
        /// As it is.
        after: Chunk,
    },
}

/// What is different between two versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the order of the later version; what is gone stands last.
    pub changes: Vec<Change>,
    /// Passages that are the same.
    pub unchanged: usize,
}

/// Compares the passages of two versions.
pub fn difference(before: &[Chunk], after: &[Chunk]) -> Difference {
    let mut left: Vec<Option<&Chunk>> = before.iter().map(Some).collect();
    let mut unchanged = 0;
    let mut other = Vec::new();
    for chunk in after {
        let same = left.iter_mut().find(|old| old.is_some_and(|old| old.search_text == chunk.search_text));
        match same {
            Some(old) => {
                *old = None;
                unchanged += 1;
            }
            None => other.push(chunk),
        }
    }
    let mut changes = Vec::new();
    for chunk in other {
        let likeness = |old: Option<&Chunk>| old.map_or(0.0, |old| likeness(old, chunk));
        let likest = left.iter_mut().max_by(|a, b| likeness(**a).total_cmp(&likeness(**b)));
        let likest = likest.filter(|old| likeness(**old) >= ALIKE).and_then(Option::take);
        changes.push(match likest {
            Some(old) => Change::Changed { before: old.clone(), after: chunk.clone() },
            None => Change::Added(chunk.clone()),
        });
    }
    changes.extend(left.into_iter().flatten().cloned().map(Change::Removed));
    Difference { changes, unchanged }
}

/// How much two passages have in common, 0 to 1. The same question, or the same row of a table, is enough.
fn likeness(one: &Chunk, other: &Chunk) -> f32 {
    if one.kind != other.kind {
        return 0.0;
    }
    let subject = |chunk: &Chunk| match chunk.kind {
        ChunkKind::Question => chunk.question.clone(),
        ChunkKind::Row => chunk.cells.first().map(|(_, value)| value.clone()),
        ChunkKind::Text => None,
    };
    if subject(one).is_some_and(|subject_of_one| Some(subject_of_one) == subject(other)) && one.heading == other.heading
    {
        return 1.0;
    }
    let (one, other) = (words(&one.text), words(&other.text));
    let shared = one.intersection(&other).count();
    2.0 * shared as f32 / (one.len() + other.len()).max(1) as f32
}

fn words(text: &str) -> HashSet<String> {
    pieces(text).into_iter().filter(|piece| piece.chars().any(char::is_alphanumeric)).map(str::to_lowercase).collect()
}

/// A text with the part that another version has otherwise: what stands before it, the part, and what stands after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked<'a> {
    /// The same in both.
    pub before: &'a str,
    /// Different.
    pub part: &'a str,
    /// The same in both.
    pub after: &'a str,
}

/// Two texts with the part of each in which they differ, in whole words.
pub fn mark<'a>(one: &'a str, other: &'a str) -> (Marked<'a>, Marked<'a>) {
    let (a, b) = (pieces(one), pieces(other));
    let start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let most = a.len().min(b.len()) - start;
    let end = a.iter().rev().zip(b.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    (marked(one, &a, start, end), marked(other, &b, start, end))
}

fn marked<'a>(text: &'a str, pieces: &[&str], start: usize, end: usize) -> Marked<'a> {
    let length = |pieces: &[&str]| pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let (from, to) = (length(&pieces[..start]), text.len() - length(&pieces[pieces.len() - end..]));
    Marked { before: &text[..from], part: &text[from..to], after: &text[to..] }
}

/// Words, and everything between them character by character; Chinese has a piece a character.
fn pieces(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() && !crate::language::is_han(c);
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let joins = text[start..at].chars().next_back().is_some_and(is_word) && is_word(c);
        if at > start && !joins {
            pieces.push(&text[start..at]);
            start = at;
        }
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::{TOKENS_MAX, chunks, read_document};

    fn read(text: &str) -> Vec<Chunk> {
        let document = read_document("a.md", text.as_bytes()).unwrap();
        chunks("a.md", &document, &|text| text.split_whitespace().count(), TOKENS_MAX)
    }

    #[test]
    fn passages_are_added_removed_changed_or_the_same() {
        let before =
            read("# Returns\nYou have 14 days to send it back.\n# Gifts\nWe wrap gifts.\n# Old\nThe fax is 12.");
        let after =
            read("# Returns\nYou have 30 days to send it back.\n# Gifts\nWe wrap gifts.\n# New\nWe ship to Malta now.");
        let difference = difference(&before, &after);
        assert_eq!(difference.unchanged, 1);
        let told: Vec<String> = difference
            .changes
            .iter()
            .map(|change| match change {
                Change::Added(chunk) => format!("+{}", chunk.text),
                Change::Removed(chunk) => format!("-{}", chunk.text),
                Change::Changed { before, after } => {
                    let (before, after) = mark(&before.text, &after.text);
                    format!("{}[{}>{}]{}", before.before, before.part, after.part, before.after)
                }
            })
            .collect();
        assert_eq!(told, ["You have [14>30] days to send it back.", "+We ship to Malta now.", "-The fax is 12."]);
    }

    #[test]
    fn what_differs_is_marked_in_whole_words_and_nothing_is_lost() {
        for (one, other) in [("退货期为14天。", "退货期为30天。"), ("a a", "a a a"), ("", "x"), ("same", "same")]
        {
            let (a, b) = mark(one, other);
            assert_eq!(
                (format!("{}{}{}", a.before, a.part, a.after), format!("{}{}{}", b.before, b.part, b.after)),
                (one.to_owned(), other.to_owned())
            );
            assert_eq!((a.before, a.after), (b.before, b.after));
        }
        assert_eq!(mark("退货期为14天。", "退货期为30天。").0.part, "14");
    }
}
