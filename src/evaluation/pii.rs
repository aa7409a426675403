//! Personal data: what `privacy` finds against labelled spans.
//!
//! Rows are JSON objects with `text` (or `full_text`) and `spans`, each `[start, end, TYPE]` or an object with
//! `start_position`, `end_position` and `entity_type`; positions count characters. An entity counts as found when what
//! was found covers at least half of both taken together. Its type must fit for `micro_f1`, and need not for
//! `micro_f1_untyped`: masking is the same for every type.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use serde_json::{Map, Value, json};

use super::{
    EvaluationError, Report, Result,
    data::{json_objects, read_text},
    metrics::classification::f_beta,
};
use crate::privacy::{self, PersonalData};

/// A labelled piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    characters: Range<usize>,
    kind: String,
}

/// Counts of one kind of comparison.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    hits: f64,
    found: f64,
    wanted: f64,
}

impl Tally {
    fn f(self, beta: f64) -> f64 {
        f_beta(self.hits, self.found, self.wanted, beta)
    }
}

/// Runs the suite on all `paths`.
pub fn run(paths: &[PathBuf]) -> Result<Report> {
    if paths.is_empty() {
        return Err(EvaluationError::Argument("name the labelled texts with --test FILE".to_owned()));
    }
    let (mut typed, mut untyped, mut characters) = (Tally::default(), Tally::default(), Tally::default());
    let mut by_kind: BTreeMap<String, Tally> = BTreeMap::new();
    let mut rows = 0;
    for path in paths {
        for (at, object) in json_objects(path, &read_text(path)?)?.iter().enumerate() {
            let bad = |problem: &str| EvaluationError::data(path, format!("entry {}: {problem}", at + 1));
            let text = ["text", "full_text"].iter().find_map(|name| object.get(*name)?.as_str());
            let text = text.ok_or_else(|| bad("has no field \"text\""))?;
            let wanted = spans(object).ok_or_else(|| bad("\"spans\" is not a list of [start, end, TYPE]"))?;
            let found = found(text);
            count(&wanted, &found, &mut typed, &mut untyped, &mut by_kind);
            count_characters(text.chars().count(), &wanted, &found, &mut characters);
            rows += 1;
        }
    }
    let recall: Map<String, Value> = by_kind
        .iter()
        .map(|(kind, tally)| (kind.clone(), json!({"recall": tally.hits / tally.wanted, "entities": tally.wanted})))
        .collect();
    Ok(Report::new("pii")
        .figure("micro_f1", typed.f(1.0))
        .figure("micro_f1_untyped", untyped.f(1.0))
        .figure("precision", untyped.hits / untyped.found)
        .figure("recall", untyped.hits / untyped.wanted)
        .figure("character_f1", characters.f(1.0))
        .figure("character_f2", characters.f(2.0))
        .count("texts", rows)
        .count("entities", untyped.wanted as usize)
        .detail("recall_by_type", Value::Object(recall)))
}

fn spans(object: &Map<String, Value>) -> Option<Vec<Span>> {
    let number = |value: &Value| value.as_u64().map(|number| number as usize);
    object
        .get("spans")?
        .as_array()?
        .iter()
        .map(|span| {
            let (start, end, kind) = match span {
                Value::Array(parts) => (parts.first()?, parts.get(1)?, parts.get(2)?),
                Value::Object(fields) => {
                    (fields.get("start_position")?, fields.get("end_position")?, fields.get("entity_type")?)
                }
                _ => return None,
            };
            Some(Span { characters: number(start)?..number(end)?, kind: kind.as_str()?.to_owned() })
        })
        .collect()
}

/// What the product finds, in characters.
fn found(text: &str) -> Vec<(Range<usize>, PersonalData)> {
    let place = |byte: usize| text[..byte].chars().count();
    privacy::find(text)
        .into_iter()
        .map(|finding| (place(finding.range.start)..place(finding.range.end), finding.kind))
        .collect()
}

/// Whether a data set's type names what we call `kind`.
fn fits(label: &str, kind: PersonalData) -> bool {
    let label = label.to_uppercase();
    let names: &[&str] = match kind {
        PersonalData::Email => &["EMAIL"],
        PersonalData::Phone => &["PHONE", "TEL", "MOBILE"],
        PersonalData::Card => &["CARD", "CREDIT"],
        PersonalData::BankAccount => &["IBAN", "BANK", "ACCOUNT"],
        PersonalData::IdentityDocument => &["PASSPORT", "ID", "SSN", "LICEN"],
    };
    match kind {
        // "CREDIT_CARD" is no identity card.
        PersonalData::IdentityDocument => !label.contains("CREDIT") && names.iter().any(|name| label.contains(name)),
        _ => names.iter().any(|name| label.contains(name)),
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> usize {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

/// Half of both together is covered by both.
fn same_place(a: &Range<usize>, b: &Range<usize>) -> bool {
    let common = overlap(a, b);
    common > 0 && 2 * common >= a.len() + b.len() - common
}

fn count(
    wanted: &[Span],
    found: &[(Range<usize>, PersonalData)],
    typed: &mut Tally,
    untyped: &mut Tally,
    by_kind: &mut BTreeMap<String, Tally>,
) {
    for tally in [&mut *typed, &mut *untyped] {
        tally.wanted += wanted.len() as f64;
        tally.found += found.len() as f64;
    }
    for span in wanted {
        let own = by_kind.entry(span.kind.clone()).or_default();
        own.wanted += 1.0;
        if let Some((_, kind)) = found.iter().find(|(range, _)| same_place(range, &span.characters)) {
            own.hits += 1.0;
            untyped.hits += 1.0;
            typed.hits += f64::from(u8::from(fits(&span.kind, *kind)));
        }
    }
}

fn count_characters(length: usize, wanted: &[Span], found: &[(Range<usize>, PersonalData)], tally: &mut Tally) {
    let (mut is_wanted, mut is_found) = (vec![false; length], vec![false; length]);
    for span in wanted {
        let end = span.characters.end.min(length);
        is_wanted[span.characters.start.min(end)..end].fill(true);
    }
    for (range, _) in found {
        is_found[range.clone()].fill(true);
    }
    for (wanted, found) in is_wanted.iter().zip(&is_found) {
        tally.wanted += f64::from(u8::from(*wanted));
        tally.found += f64::from(u8::from(*found));
        tally.hits += f64::from(u8::from(*wanted && *found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_found_when_half_of_both_is_covered() {
        assert!(same_place(&(0..10), &(2..10)));
        assert!(!same_place(&(0..10), &(8..20)));
        assert!(!same_place(&(0..4), &(4..8)));
    }

    #[test]
    fn both_forms_of_spans_are_read_and_characters_counted() {
        let object = json!({"spans": [[2, 18, "EMAIL"], {"start_position": 0, "end_position": 2, "entity_type": "X"}]});
        let spans = spans(object.as_object().unwrap()).unwrap();
        assert_eq!(spans[0], Span { characters: 2..18, kind: "EMAIL".to_owned() });
        assert_eq!(spans[1].characters, 0..2);
        assert_eq!(found("邮箱a@b.example")[0].0, 2..13);
        assert!(fits("CREDIT_CARD", PersonalData::Card) && !fits("CREDIT_CARD", PersonalData::IdentityDocument));
    }
}
