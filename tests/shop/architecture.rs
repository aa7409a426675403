//! The parts of the house and which of them may know which: read from the sources themselves, so that an import in the
//! wrong direction fails here with its file and line.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each part and the parts it may name. `storage` and `knowledge` know each other: chunks are what is stored, and
/// `knowledge::import` is the one way in which they get there.
const ALLOWED: &[(&str, &str)] = &[
    ("message", "catalog"),
    ("catalog", "message"),
    ("config", "message"),
    ("language", "message"),
    ("conversation", "message catalog"),
    ("live", "message"),
    ("privacy", "message"),
    ("telemetry", ""),
    ("models", "config"),
    ("inference", "config models telemetry"),
    ("intents", "message inference"),
    ("prompts", "inference message"),
    ("storage", "message catalog conversation config knowledge"),
    ("knowledge", "catalog config inference language message storage telemetry"),
    ("retrieval", "config inference knowledge language message storage"),
    ("answer", "catalog conversation inference knowledge language message prompts retrieval"),
    ("orders", "catalog message privacy storage"),
    ("recommend", "catalog inference language message storage"),
    (
        "engine",
        "answer catalog config conversation inference intents knowledge language message orders privacy prompts \
         recommend retrieval storage",
    ),
    ("dispatch", "conversation engine live message storage telemetry"),
    ("desk", "config conversation live message prompts storage"),
    ("channels", "catalog config conversation desk dispatch engine live message storage"),
    ("bench", "app config inference knowledge message models retrieval storage"),
    ("forecast", ""),
    ("evaluation", "forecast inference intents language message privacy recommend retrieval"),
    ("console", "catalog config conversation desk knowledge live message privacy storage telemetry"),
];

/// Words that only the files of one part may contain.
const OWNED: &[(&str, &[&str])] = &[
    ("teloxide", &["channels/telegram"]),
    ("qdrant_client", &["retrieval/vector"]),
    ("sqlx::", &["storage"]),
    ("shoptalk_kernels", &["inference"]),
    // The trained intent head and the reader's network are small models of their own.
    ("candle_", &["inference", "models", "intents/head", "evaluation/reader"]),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Code without comments and strings of documentation; line numbers are kept.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The parts that a file names by `crate::`, with the line of each.
fn named_parts(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(heads(group).into_iter().map(|head| (line, head)));
        } else {
            found.push((line, word(rest)));
        }
    }
    found
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first word of each member of an import group, nested groups left out.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// What is wrong with a file; `path` is relative to `src`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let part = path.split('/').next().unwrap().trim_end_matches(".rs");
    let allowed: BTreeMap<&str, Vec<&str>> =
        ALLOWED.iter().map(|(part, parts)| (*part, parts.split_whitespace().collect())).collect();
    let mut wrong = Vec::new();
    if let Some(allowed) = allowed.get(part) {
        for (line, named) in named_parts(&code) {
            if named != part && !allowed.contains(&named.as_str()) {
                wrong.push(format!("src/{path}:{line}: {part} must not name {named}"));
            }
        }
    } else if !matches!(part, "app" | "main" | "lib") {
        wrong.push(format!("src/{path}: the part {part} has no row in ALLOWED"));
    }
    for (owned, owners) in OWNED {
        if code.contains(owned) && !owners.iter().any(|owner| path.starts_with(owner)) {
            wrong.push(format!("src/{path}: only {owners:?} may name {owned}"));
        }
    }
    wrong
}

#[test]
fn every_import_goes_in_the_direction_of_the_design() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "the sources were not found");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            violations(&path, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_planted_violation_is_found_with_its_line() {
    let planted = "//! Purpose.\nuse crate::{\n    message::{Channel, Reply},\n    engine::Engine,\n};\n";
    assert_eq!(violations("console/pages.rs", planted), ["src/console/pages.rs:2: console must not name engine"]);
    assert_eq!(violations("console.rs", "fn f() -> crate::engine::Turn {}").len(), 1);
    assert_eq!(violations("engine.rs", "use sqlx::Row;"), ["src/engine.rs: only [\"storage\"] may name sqlx::"]);
    assert_eq!(violations("newcomer.rs", "").len(), 1);
}

#[test]
fn the_example_settings_are_accepted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shoptalk.example.toml");
    let config = shoptalk::config::Config::load(Some(&path)).unwrap();
    assert_eq!(config.models.encoder, shoptalk::config::Config::default().models.encoder);
}
