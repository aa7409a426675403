//! What staff answered to a question. They wrote it because everything else was wrong or missing, so that it comes before
//! whatever the question sounds like, and nothing is said beside it.

use super::Asked;
use crate::{
    knowledge::staff_answers::{STAFF_ANSWERS, same_words},
    retrieval::Found,
};

/// From this cosine on, a question is the one that staff answered.
const ALIKE: f32 = 0.93;

/// The staff's answer to this very question, in the same or nearly the same words.
pub(super) fn taught<'a>(asked: &'a Asked<'_>) -> Option<&'a Found> {
    let by_staff = |found: &&Found| is_by_staff(found) && found.passage.chunk.language == asked.language;
    let (text, completed) = (asked.text(), asked.question());
    let is_the_same = |found: &&Found| {
        let question = found.passage.chunk.question.as_deref().unwrap_or_default();
        same_words(question, text) || same_words(question, &completed)
    };
    // Answers of staff to one question in two languages are rivals: the one in the shopper's language is meant.
    let is_probable = |found: &&Found| found.score >= asked.threshold() || leads(&asked.found);
    let is_alike = |found: &&Found| found.features.sentence_cosine >= ALIKE && is_probable(found);
    let answers = || asked.found.iter().filter(by_staff);
    answers().find(is_the_same).or_else(|| answers().find(is_alike))
}

/// Whether the best passage is an answer of staff.
pub(super) fn leads(found: &[Found]) -> bool {
    found.first().is_some_and(is_by_staff)
}

/// Whether staff wrote the passage as an answer to a question.
pub(super) fn is_by_staff(found: &Found) -> bool {
    found.passage.document == STAFF_ANSWERS
}
