//! JSON as a document: names of objects are headings, sentences are text. Identifiers and codes beside sentences are for
//! programs and are left out.

use serde_json::{Map, Value};

use super::{Document, ReadError, builder::Builder};

/// Deeper than this nobody reads a document.
const DEPTH_MAX: u8 = 9;
/// Strings of so many words are sentences; Chinese ones count their characters.
const SENTENCE_WORDS: usize = 4;
/// Less of all text than this in sentences, and the file is data.
const PROSE_MIN: f32 = 0.5;

/// Reads an object. A list at the top is a table of records in a layout that nobody knows, and refused.
pub fn read(name: &str, text: &str) -> Result<Document, ReadError> {
    let damaged = |error: serde_json::Error| ReadError::Damaged {
        name: name.to_owned(),
        format: "JSON",
        detail: error.to_string(),
    };
    let Value::Object(fields) = serde_json::from_str(text).map_err(damaged)? else {
        let detail = "its columns are neither those of products, orders, reviews or events nor questions and answers";
        return Err(ReadError::Unsupported { name: name.to_owned(), detail: detail.to_owned() });
    };
    let (mut prose, mut other) = (0, 0);
    fields.values().for_each(|value| measure(value, &mut prose, &mut other));
    if prose as f32 <= PROSE_MIN * (prose + other) as f32 {
        let hint = "it holds names and numbers, no sentences to answer from".to_owned();
        return Err(ReadError::NoText { name: name.to_owned(), hint });
    }
    let mut builder = Builder::default();
    object(&mut builder, fields, 1);
    Ok(builder.finish())
}

/// Adds the characters in sentences and those in other strings.
fn measure(value: &Value, prose: &mut usize, other: &mut usize) {
    match value {
        Value::String(text) if is_sentence(text) => *prose += text.len(),
        Value::String(text) => *other += text.len(),
        Value::Array(values) => values.iter().for_each(|value| measure(value, prose, other)),
        Value::Object(fields) => fields.values().for_each(|value| measure(value, prose, other)),
        Value::Number(_) | Value::Bool(_) => *other += 4,
        Value::Null => {}
    }
}

fn is_sentence(text: &str) -> bool {
    let words = text.split_whitespace().count();
    words >= SENTENCE_WORDS || text.chars().filter(|&c| crate::language::is_han(c)).count() >= SENTENCE_WORDS
}

fn object(builder: &mut Builder, fields: Map<String, Value>, level: u8) {
    let has_sentences = fields.values().any(|value| matches!(value, Value::String(text) if is_sentence(text)));
    let mut inner = Vec::new();
    for (key, value) in fields {
        match value {
            Value::String(text) if is_sentence(&text) => builder.paragraph(&text),
            // Beside sentences a short string is a name for programs; alone it is what the object says.
            Value::String(text) if !has_sentences && !text.trim().is_empty() => {
                builder.paragraph(&format!("{}: {text}", title(&key)));
            }
            Value::Number(number) => builder.paragraph(&format!("{}: {number}", title(&key))),
            Value::Array(_) | Value::Object(_) => inner.push((key, value)),
            Value::String(_) | Value::Bool(_) | Value::Null => {}
        }
    }
    for (key, value) in inner {
        match value {
            Value::Array(values) => list(builder, &key, values, level),
            // "subflows" and "sections" only say that there are some.
            Value::Object(fields) if !is_named(&key) && fields.values().all(Value::is_object) && level < DEPTH_MAX => {
                object(builder, fields, level);
            }
            Value::Object(fields) if level < DEPTH_MAX => {
                builder.heading(level, &title(&key));
                object(builder, fields, level + 1);
                builder.end_heading(level);
            }
            _ => {}
        }
    }
}

/// Steps and notes belong to the heading above them; only what is named for readers gets a heading of its own.
fn list(builder: &mut Builder, key: &str, values: Vec<Value>, level: u8) {
    let is_named = is_named(key);
    if is_named {
        builder.heading(level, &title(key));
    }
    // Of a list of steps, those without a sentence are buttons and the like.
    let (mut prose, mut other) = (0, 0);
    for value in &values {
        measure(value, &mut prose, &mut other);
    }
    for value in values {
        let (mut sentences, mut rest) = (0, 0);
        measure(&value, &mut sentences, &mut rest);
        if value.is_object() && sentences == 0 && prose > 0 {
            continue;
        }
        match value {
            Value::String(text) if !text.trim().is_empty() => builder.list_item(&text),
            Value::Object(fields) if level < DEPTH_MAX => object(builder, fields, level + 1),
            Value::Array(values) if level < DEPTH_MAX => list(builder, "", values, level + 1),
            _ => {}
        }
    }
    if is_named {
        builder.end_heading(level);
    }
}

/// Whether a key is written for readers.
fn is_named(key: &str) -> bool {
    key.contains(' ') || key.chars().any(|c| c.is_uppercase() || crate::language::is_han(c))
}

/// `return_policy` as a reader would write it.
fn title(key: &str) -> String {
    let words = key.replace(['_', '-'], " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_headings_and_sentences_are_text() {
        let text = r#"{"return_policy": {"description": "You have thirty days to decide.", "kind": "policy_7",
            "Late parcels": {"steps": [{"type": "ask", "text": "Ask the carrier for the parcel first.",
            "notes": ["Weekends do not count", "Islands take longer"]}, {"type": "button", "name": "end"}]},
            "days": 30}, "flows": {"Gift cards": {"text": "They are never given back."}}}"#;
        let document = read("a.json", text).unwrap();
        let said: Vec<(String, &str)> =
            document.blocks.iter().map(|block| (block.heading.join(" > "), block.text.as_str())).collect();
        let expected = [
            ("Return policy".to_owned(), "You have thirty days to decide."),
            ("Return policy".to_owned(), "Days: 30"),
            ("Return policy > Late parcels".to_owned(), "Ask the carrier for the parcel first."),
            ("Return policy > Late parcels".to_owned(), "Weekends do not count"),
            ("Return policy > Late parcels".to_owned(), "Islands take longer"),
            ("Gift cards".to_owned(), "They are never given back."),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn data_without_sentences_is_no_document() {
        let said = |text: &str| read("a.json", text).unwrap_err().to_string();
        assert!(said(r#"{"a": {"b": ["x_1", "y_2"]}, "c": 3}"#).contains("no sentences"));
        assert!(said(r#"[{"a": "You have thirty days to decide."}]"#).contains("columns"));
        assert!(said(r#"{"a": "#).contains("save it again as JSON"));
    }
}
