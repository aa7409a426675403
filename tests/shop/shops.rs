//! The made-up shops that passages are measured on: every answer that their questions name stands in a passage that is
//! read out of the documents, whatever the format.

use std::{fs, path::Path};

use serde::Deserialize;
use shoptalk::knowledge::{TOKENS_MAX, chunks, read_document};

#[derive(Deserialize)]
struct Line {
    id: String,
    turns: Vec<String>,
    expect: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    kind: String,
    #[serde(default)]
    document: Documents,
    #[serde(default)]
    gold: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Documents {
    One(String),
    Any(Vec<String>),
}

impl Default for Documents {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

impl Documents {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Any(any) => any.iter().any(|one| one == name),
        }
    }
}

/// Without white space, since readers normalise it.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn every_answer_of_the_made_up_shops_stands_in_a_passage() {
    let shops = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shops");
    let mut answers = 0;
    for shop in fs::read_dir(shops).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let passages: Vec<(String, String)> = fs::read_dir(shop.join("documents"))
            .unwrap()
            .flat_map(|file| {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let document = read_document(&name, &fs::read(&path).unwrap()).unwrap();
                let passages = chunks(&name, &document, &|text| text.split_whitespace().count(), TOKENS_MAX);
                passages.into_iter().map(move |passage| (name.clone(), squeezed(&passage.text)))
            })
            .collect();
        for line in fs::read_to_string(shop.join("questions.jsonl")).unwrap().lines() {
            let line: Line = serde_json::from_str(line).unwrap();
            assert_eq!(line.turns.len(), line.expect.len(), "{}", line.id);
            for expected in line.expect.iter().filter(|expected| expected.kind == "answer") {
                let gold = squeezed(&expected.gold);
                assert!(!gold.is_empty(), "{}", line.id);
                let stands = |(document, text): &(String, String)| {
                    expected.document.has(document) && (text.contains(&gold) || gold.contains(text.as_str()))
                };
                assert!(passages.iter().any(stands), "{}: {} is not read", line.id, expected.gold);
                answers += 1;
            }
        }
    }
    assert!(answers > 1_400, "only {answers} answers");
}
