//! Are the shop's answers right? Questions with what a right reply has to contain, put to the bot as a shopper would.
//!
//! A line of questions is `{"id", "turns": [...], "expect": [{"kind", "style", "document", "gold", "facts"}]}`: `kind` is
//! `answer` or `decline`, `document` the file (or a list of files) that answers, `facts` what the reply must contain, each
//! with its alternatives separated by `|`; in place of facts, `passages` may hold the texts of which the reply has to
//! quote one.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::json;

use super::{EvaluationError, Report, Result, data::read_text, report::object};

/// A conversation with what is expected of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Questions {
    /// Names it in the report.
    pub id: String,
    /// What the shopper says, turn by turn.
    pub turns: Vec<String>,
    /// What is expected of each turn.
    pub expect: Vec<Expected>,
}

/// What is expected of a turn.
#[derive(Debug, Clone, Deserialize)]
pub struct Expected {
    /// Whether the documents answer it.
    pub kind: Kind,
    /// How it is asked; figures are also given by style.
    #[serde(default)]
    pub style: String,
    /// Files any of which is right to cite.
    #[serde(default)]
    pub document: Documents,
    /// The words of the documents that answer.
    #[serde(default)]
    pub gold: String,
    /// To a question that wants a yes or a no: `yes`, `no` or [`OPEN`].
    #[serde(default)]
    pub polarity: Option<String>,
    /// What a right reply contains; alternatives are separated by `|`.
    #[serde(default)]
    pub facts: Vec<String>,
    /// Passages that answer: a right reply quotes one of them. Empty: nothing is asked of the quotes.
    #[serde(default)]
    pub passages: Vec<String>,
}

/// Whether the documents answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// They do.
    Answer,
    /// They do not, so the bot has to say so.
    Decline,
}

/// The polarity of a question that its passage leaves open.
pub const OPEN: &str = "open";

/// One file or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Documents {
    /// One.
    One(String),
    /// Any of these.
    Any(Vec<String>),
}

impl Default for Documents {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

impl Documents {
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Any(any) => any.iter().any(|one| one == name),
        }
    }
}

/// What the bot said to a turn, as far as it is judged.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The reply.
    pub text: String,
    /// It declined or handed over.
    pub declined: bool,
    /// Files it cited.
    pub cited: Vec<String>,
    /// What it quoted of them.
    pub quotes: Vec<String>,
}

/// How a turn went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Right: answered with every fact, or declined where nothing is known.
    Right,
    /// Declined although the documents answer.
    Declined,
    /// Answered with something else, or answered what the documents do not say.
    Wrong,
}

/// Reads a file of questions.
///
/// # Errors
/// [`EvaluationError`] names the file and the line.
pub fn read(path: &Path) -> Result<Vec<Questions>> {
    let text = read_text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let questions: Vec<Questions> = lines
        .map(|(at, line)| {
            let wrong = |why: String| EvaluationError::data(path, format!("line {}: {why}", at + 1));
            let questions: Questions = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            if questions.turns.len() == questions.expect.len() {
                Ok(questions)
            } else {
                Err(wrong("needs one entry of \"expect\" for each turn".to_owned()))
            }
        })
        .collect::<Result<_>>()?;
    if questions.is_empty() {
        return Err(EvaluationError::data(path, "holds no questions"));
    }
    Ok(questions)
}

/// How a turn went.
pub fn judge(expected: &Expected, said: &Said) -> Verdict {
    match expected.kind {
        Kind::Decline if said.declined => Verdict::Right,
        Kind::Decline => Verdict::Wrong,
        Kind::Answer if said.declined => Verdict::Declined,
        Kind::Answer => {
            let text = said.text.to_lowercase();
            let has = |fact: &String| fact.split('|').any(|way| text.contains(&way.trim().to_lowercase()));
            let quoted = |passage: &String| {
                said.quotes.iter().any(|quote| passage.contains(quote.as_str()) || quote.contains(passage.as_str()))
            };
            let passages = &expected.passages;
            let is_right = expected.facts.iter().all(has) && (passages.is_empty() || passages.iter().any(quoted));
            if is_right { Verdict::Right } else { Verdict::Wrong }
        }
    }
}

/// The figures over all turns, and what a merchant wants to read: which questions went wrong.
pub fn report(turns: &[(String, String, Expected, Said)]) -> Report {
    let judged: Vec<Verdict> = turns.iter().map(|(_, _, expected, said)| judge(expected, said)).collect();
    let share = |of: &dyn Fn(&Expected, &Said) -> bool, is: &dyn Fn(Verdict, &Expected, &Said) -> bool| {
        let (mut all, mut hits) = (0, 0);
        for ((_, _, expected, said), verdict) in turns.iter().zip(&judged) {
            if of(expected, said) {
                all += 1;
                hits += usize::from(is(*verdict, expected, said));
            }
        }
        hits as f64 / f64::from(all)
    };
    let answerable = |expected: &Expected, _: &Said| expected.kind == Kind::Answer;
    let mut by_style: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for ((_, _, expected, _), verdict) in turns.iter().zip(&judged) {
        let (right, all) = by_style.entry(expected.style.as_str()).or_default();
        *right += usize::from(*verdict == Verdict::Right);
        *all += 1;
    }
    let styles: Vec<(&str, f64)> =
        by_style.iter().map(|(style, (right, all))| (*style, *right as f64 / *all as f64)).collect();
    let failed = turns.iter().zip(&judged).filter(|(_, verdict)| **verdict != Verdict::Right);
    let failed = failed.map(|((id, question, expected, said), verdict)| {
        let mut failure = json!({
            "id": id, "verdict": format!("{verdict:?}").to_lowercase(), "question": question, "reply": said.text,
        });
        if let Some(passage) = expected.passages.first() {
            failure["passage"] = json!(passage);
        }
        failure
    });
    Report::new("answers")
        .figure("correct", share(&answerable, &|verdict, _, _| verdict == Verdict::Right))
        .figure("wrong", share(&answerable, &|verdict, _, _| verdict == Verdict::Wrong))
        .figure("wrongly_declined", share(&answerable, &|verdict, _, _| verdict == Verdict::Declined))
        .figure(
            "declined",
            share(&|expected, _| expected.kind == Kind::Decline, &|verdict, _, _| verdict == Verdict::Right),
        )
        .figure(
            "cited",
            share(&|expected, said| answerable(expected, said) && !said.declined, &|_, expected, said| {
                said.cited.iter().any(|document| expected.document.has(document))
            }),
        )
        .count("turns", turns.len())
        .detail("right_by_style", object(&styles))
        .detail("failed", failed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(kind: Kind, facts: &[&str]) -> Expected {
        let facts = facts.iter().map(|fact| (*fact).to_owned()).collect();
        Expected {
            kind,
            style: "plain".to_owned(),
            document: Documents::One("a.md".to_owned()),
            gold: String::new(),
            polarity: None,
            facts,
            passages: Vec::new(),
        }
    }

    fn said(text: &str, declined: bool) -> Said {
        Said {
            text: text.to_owned(),
            declined,
            cited: vec!["a.md".to_owned()],
            quotes: vec!["Twelve days.".to_owned()],
        }
    }

    #[test]
    fn a_reply_is_right_with_every_fact_in_one_of_its_ways() {
        let wanted = expected(Kind::Answer, &["12 days|twelve days", "Free"]);
        assert_eq!(judge(&wanted, &said("Twelve days, free.", false)), Verdict::Right);
        assert_eq!(judge(&wanted, &said("Twelve days.", false)), Verdict::Wrong);
        assert_eq!(judge(&wanted, &said("Twelve days, free.", true)), Verdict::Declined);
        assert_eq!(judge(&expected(Kind::Decline, &[]), &said("We do.", false)), Verdict::Wrong);
        let made_from = |passage: &str| Expected { passages: vec![passage.to_owned()], ..expected(Kind::Answer, &[]) };
        let reply = said("Twelve days.", false);
        assert_eq!(judge(&made_from("Delivery takes a while. Twelve days."), &reply), Verdict::Right);
        assert_eq!(judge(&made_from("Returns are free."), &reply), Verdict::Wrong);
    }

    #[test]
    fn figures_are_shares_of_what_they_speak_of() {
        let turn = |kind, facts: &[&str], reply| ("q".to_owned(), "?".to_owned(), expected(kind, facts), reply);
        let turns = [
            turn(Kind::Answer, &["5"], said("5", false)),
            turn(Kind::Answer, &["5"], said("6", false)),
            turn(Kind::Answer, &["5"], said("", true)),
            turn(Kind::Decline, &[], said("", true)),
        ];
        let report = report(&turns);
        let figure = |name| report.get(name).unwrap();
        assert!((figure("correct") - 1.0 / 3.0).abs() < 1e-6);
        assert!((figure("wrong") - 1.0 / 3.0).abs() < 1e-6);
        assert!((figure("declined") - 1.0).abs() < 1e-6);
        assert!((figure("cited") - 1.0).abs() < 1e-6);
        assert_eq!(report.to_json()["failed"].as_array().unwrap().len(), 2);
    }
}
