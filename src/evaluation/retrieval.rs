//! Finding records: products of a catalogue, or entries of a list of frequent questions, against rated queries.
//!
//! Documents are JSON lines with an id (`id`, `docid`, `doc_id`, `_id` or `sku`), a head (`title`, `question` or
//! `name`) and other fields; queries are rows `query,docid,rating`. Documents that nobody rated count as 0.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{
    EvaluationError, Report, Result,
    data::{Table, json_objects, read_text},
    embeddings::{Role, embed, progress},
    metrics::{mean, ranking},
};
use crate::{
    inference::{Embedder, Encoders},
    language::detect_language,
    message::Language,
    retrieval::records::{Kind, Record, RecordIndex},
};

const ID_FIELDS: &[&str] = &["id", "docid", "doc_id", "_id", "sku"];
const HEAD_FIELDS: &[&str] = &["title", "question", "name", "heading"];
/// Fields that describe in sentences; they are read before the others.
const BODY_FIELDS: &[&str] = &["answer", "short_description", "description", "text", "body", "long_description"];
/// Ratings from here on are what recall wants to see.
const RELEVANT: f64 = 2.0;
const RECALL_DEPTH: usize = 50;
const NDCG_DEPTH: usize = 10;
/// Characters of a body that its vector stands for: what comes first says what the record is.
const BODY_CHARACTERS: usize = 400;
/// Characters of a body in a large catalogue, where every vector costs.
const BODY_CHARACTERS_LARGE: usize = 120;
const LARGE: usize = 5_000;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// JSON lines.
    pub documents: Vec<PathBuf>,
    /// Rated queries.
    pub test: Vec<PathBuf>,
}

/// A query with its ratings by document.
type Queries = BTreeMap<String, HashMap<String, f64>>;

/// Runs the suite. Products that are asked for in English are found by the English encoder, which tells their titles
/// apart better; everything else by the one for all languages.
pub async fn run(input: &Input, encoders: &Encoders) -> Result<Report> {
    if input.documents.is_empty() || input.test.is_empty() {
        let needs = "retrieval needs --documents FILE (JSON lines) and --test FILE (query,docid,rating)";
        return Err(EvaluationError::Argument(needs.to_owned()));
    }
    let (ids, records, kind) = documents(&input.documents)?;
    let queries = queries(&input.test)?;
    let in_english = queries.keys().all(|query| detect_language(query).is_none_or(|language| language == Language::En));
    let english = encoders.english.as_ref().filter(|_| in_english && kind == Kind::Products);
    let embedder = english.unwrap_or(&encoders.main);
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let index = index(&records, kind, embedder).await?;
    let texts: Vec<&str> = queries.keys().map(String::as_str).collect();
    let vectors = embed(embedder, &texts, Role::Query, "embedding queries").await?;
    let bar = progress(texts.len(), "searching");
    let mut judged = Judged::default();
    for ((query, ratings), vector) in queries.iter().zip(&vectors) {
        let everything = index.rank(query, vector, kind, records.len().min(DEPTH_MAX)).await;
        let everything = everything.map_err(|error| EvaluationError::Argument(error.to_string()))?;
        let ranked: Vec<&str> = everything.iter().map(|(row, _)| ids[*row as usize].as_str()).collect();
        judged.add(&ranked, ratings);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let unknown = queries.values().flat_map(HashMap::keys).filter(|id| !places.contains_key(id.as_str())).count();
    Ok(Report::new("retrieval")
        .figure("ndcg_at_10", mean(judged.ndcg_of_all))
        .figure("ndcg_at_10_judged", mean(judged.ndcg_of_rated))
        .figure("recall_at_50", mean(judged.recall))
        .count("queries", queries.len())
        .count("documents", records.len())
        .count("ratings_of_unknown_documents", unknown)
        .text("encoder", embedder.name()))
}

/// Results that are looked through for rated documents.
const DEPTH_MAX: usize = 1_000;

/// Figures of each query that has anything to find.
#[derive(Default)]
struct Judged {
    ndcg_of_all: Vec<f64>,
    ndcg_of_rated: Vec<f64>,
    recall: Vec<f64>,
}

impl Judged {
    fn add(&mut self, ranked: &[&str], ratings: &HashMap<String, f64>) {
        let all: Vec<f64> = ratings.values().copied().collect();
        let of = |id: &&str| ratings.get(*id).copied();
        let full: Vec<f64> = ranked.iter().map(|id| of(id).unwrap_or(0.0)).collect();
        let only_judged: Vec<f64> = ranked.iter().filter_map(of).collect();
        self.ndcg_of_all.extend(ranking::ndcg(&full, &all, NDCG_DEPTH));
        self.ndcg_of_rated.extend(ranking::ndcg(&only_judged, &all, NDCG_DEPTH));
        let wanted: Vec<&str> =
            ratings.iter().filter(|(_, rating)| **rating >= RELEVANT).map(|(id, _)| id.as_str()).collect();
        self.recall.extend(ranking::recall(ranked, &wanted, RECALL_DEPTH));
    }
}

async fn index(records: &[Record], kind: Kind, embedder: &Embedder) -> Result<RecordIndex> {
    let heads: Vec<&str> = records.iter().map(|record| record.head.as_str()).collect();
    let heads = embed(embedder, &heads, Role::Passage, "embedding titles").await?;
    if kind == Kind::Products {
        // Their texts are found by their words.
        let index = RecordIndex::build(records, heads, Vec::new()).await;
        return index.map_err(|error| EvaluationError::Argument(error.to_string()));
    }
    let limit = if records.len() > LARGE { BODY_CHARACTERS_LARGE } else { BODY_CHARACTERS };
    let bodies: Vec<String> = records
        .iter()
        .map(|record| {
            let body = if record.body.trim().is_empty() { &record.head } else { &record.body };
            body.chars().take(limit).collect()
        })
        .collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let bodies = embed(embedder, &bodies, Role::Passage, "embedding texts").await?;
    RecordIndex::build(records, heads, bodies).await.map_err(|error| EvaluationError::Argument(error.to_string()))
}

/// Ids and records, which are products when all have a price.
fn documents(paths: &[PathBuf]) -> Result<(Vec<String>, Vec<Record>, Kind)> {
    let (mut ids, mut records, mut kind) = (Vec::new(), Vec::new(), Kind::Products);
    for path in paths {
        for (at, object) in json_objects(path, &read_text(path)?)?.iter().enumerate() {
            let id = ID_FIELDS.iter().find_map(|name| object.get(*name)).and_then(scalar).ok_or_else(|| {
                let names = ID_FIELDS.join(", ");
                EvaluationError::data(path, format!("document {} has no id: name it in one of {names}", at + 1))
            })?;
            ids.push(id);
            records.push(record(path, at, object)?);
            if !object.contains_key("price") {
                kind = Kind::Questions;
            }
        }
    }
    Ok((ids, records, kind))
}

fn record(path: &Path, at: usize, object: &Map<String, Value>) -> Result<Record> {
    let text = |name: &&str| object.get(*name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let head = HEAD_FIELDS.iter().find_map(text).or_else(|| BODY_FIELDS.iter().find_map(text)).ok_or_else(|| {
        let names = HEAD_FIELDS.join(", ");
        EvaluationError::data(path, format!("document {} has no text: name it in one of {names}", at + 1))
    })?;
    let mut body: Vec<&str> = BODY_FIELDS.iter().filter_map(text).filter(|text| *text != head).collect();
    let told = |name: &str| {
        ID_FIELDS.contains(&name)
            || BODY_FIELDS.contains(&name)
            || object.get(name).and_then(Value::as_str) == Some(head)
    };
    // Links and dates say nothing in words.
    let worded = |text: &&str| !text.starts_with("http") && text.chars().any(char::is_alphabetic);
    let others = object.iter().filter(|(name, _)| !told(name) && !name.starts_with("date"));
    body.extend(others.filter_map(|(_, value)| value.as_str()).filter(worded));
    Ok(Record { head: head.to_owned(), body: body.join("\n") })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn queries(paths: &[PathBuf]) -> Result<Queries> {
    let mut queries = Queries::new();
    for path in paths {
        let table = Table::read(path)?;
        let (query, document) = (table.column("query")?, table.column("docid")?);
        let rating = table.column("rating")?;
        for (at, row) in table.rows().iter().enumerate() {
            let rating = table.number(at, rating)?;
            queries.entry(row[query].clone()).or_default().insert(row[document].trim().to_owned(), rating);
        }
    }
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unjudged_documents_count_as_nothing_or_not_at_all() {
        let ratings: HashMap<String, f64> = [("a".to_owned(), 3.0), ("b".to_owned(), 0.0)].into();
        let mut judged = Judged::default();
        judged.add(&["x", "a", "b"], &ratings);
        assert!((judged.ndcg_of_all[0] - 1.0 / 3_f64.log2()).abs() < 1e-12);
        assert!((judged.ndcg_of_rated[0] - 1.0).abs() < 1e-12);
        assert_eq!(judged.recall, [1.0]);
    }

    #[test]
    fn a_record_has_a_head_and_the_rest_without_links() {
        let object: Value = serde_json::json!({
            "id": 7, "title": "Xerox toner", "short_description": "black", "img": "http://x", "colour": "Black ink",
            "date_released": "2009-12-10T00:00:00Z", "price": 12
        });
        let record = record(Path::new("d"), 0, object.as_object().unwrap()).unwrap();
        assert_eq!(record.head, "Xerox toner");
        assert_eq!(record.body, "black\nBlack ink");
    }
}
