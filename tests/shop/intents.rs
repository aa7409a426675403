//! Intents from the outside: the shipped examples, the rules on public data, the head's round trip.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use shoptalk::intents::{
    HeadError, HeadOptions, Intent, IntentClassifier, LinearHead, builtin_examples,
    merchant::{Lesson, MerchantIntents, Sample},
    parse_examples, rule_intent,
};
use shoptalk::message::Language;

/// Cheap training for tests: few buckets, few epochs, no temperature.
fn quick() -> HeadOptions {
    HeadOptions { buckets: 2048, epochs: 8, folds: 1, ..HeadOptions::default() }
}

#[test]
fn names_are_unique_and_parse_back() {
    let names: HashSet<&str> = Intent::ALL.iter().map(|intent| intent.as_str()).collect();
    assert_eq!(names.len(), Intent::ALL.len());
    for (index, intent) in Intent::ALL.iter().enumerate() {
        assert_eq!(Intent::parse(intent.as_str()), Some(*intent));
        assert_eq!(intent.index(), index);
    }
    assert_eq!(Intent::parse("nothing"), None);
}

#[test]
fn the_shipped_examples_cover_every_intent_in_both_languages() {
    let examples = builtin_examples().unwrap();
    let mut counts: HashMap<(Intent, Language), usize> = HashMap::new();
    let mut seen = HashSet::new();
    for example in &examples {
        *counts.entry((example.intent, example.language)).or_default() += 1;
        assert!(seen.insert(example.text.to_lowercase()), "twice: {}", example.text);
    }
    for intent in Intent::ALL {
        for language in Language::ALL {
            let count = counts.get(&(*intent, language)).copied().unwrap_or(0);
            assert!(count >= 35, "{} has {count} examples in {language}", intent.as_str());
        }
    }
}

#[test]
fn a_bad_examples_file_names_its_line() {
    let error = parse_examples("text,intent,language\nhello,greeting,en\nhello,hullo,en\n").unwrap_err();
    assert!(error.to_string().contains("line: 3"), "{error}");
}

#[test]
fn rules_agree_with_the_shipped_examples() {
    let examples = builtin_examples().unwrap();
    let wrong: Vec<String> = examples
        .iter()
        .filter_map(|example| {
            let (found, _) = rule_intent(&example.text, example.language)?;
            (found != example.intent)
                .then(|| format!("{} -> {}: {}", example.intent.as_str(), found.as_str(), example.text))
        })
        .collect();
    assert!(wrong.len() * 200 <= examples.len(), "{wrong:#?}");
    let missed: Vec<&str> = examples
        .iter()
        .filter(|example| example.intent == Intent::Human)
        .filter(|example| rule_intent(&example.text, example.language).map(|(intent, _)| intent) != Some(Intent::Human))
        .map(|example| example.text.as_str())
        .collect();
    assert!(missed.is_empty(), "wishes for a person that no rule hears: {missed:#?}");
}

#[test]
fn ngrams_alone_tell_most_examples_apart() {
    let examples = builtin_examples().unwrap();
    let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
    let labels: Vec<usize> = examples.iter().map(|example| example.intent.index()).collect();
    let options = HeadOptions { folds: 2, ..quick() };
    let rows = LinearHead::cross_validate(&texts, &[], &labels, Intent::ALL.len(), &options).unwrap();
    let best = |row: &Vec<f32>| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index);
    let right = rows.iter().zip(&labels).filter(|(row, label)| best(row) == Some(**label)).count();
    let accuracy = right as f32 / labels.len() as f32;
    assert!(accuracy > 0.45, "cross-validated accuracy {accuracy}");
}

/// A small set that a head learns perfectly, with two-dimensional embeddings.
fn toy() -> (Vec<&'static str>, Vec<Vec<f32>>, Vec<usize>) {
    let texts =
        vec!["red apple", "red cherry", "red berry", "blue sea", "blue sky", "blue ice", "天空很蓝", "大海很蓝"];
    let labels = vec![0, 0, 0, 1, 1, 1, 1, 1];
    let embeddings = labels.iter().map(|label| if *label == 0 { vec![1.0, 0.0] } else { vec![0.0, 1.0] }).collect();
    (texts, embeddings, labels)
}

#[test]
fn a_head_learns_scores_and_survives_storage() {
    let (texts, embeddings, labels) = toy();
    let options = HeadOptions { buckets: 256, ..HeadOptions::default() };
    let head = LinearHead::train(&texts, &embeddings, &labels, 2, &options).unwrap();
    let probabilities = head.probabilities("red plum", &[1.0, 0.0]);
    assert!(probabilities[0] > 0.8, "{probabilities:?}");
    assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    assert!(head.probabilities("蓝", &[])[1] > 0.5, "n-grams decide without an embedding");
    let read = LinearHead::from_bytes(&head.to_bytes()).unwrap();
    assert_eq!(read, head);
    assert_eq!(read.probabilities("blue plum", &[0.0, 1.0]), head.probabilities("blue plum", &[0.0, 1.0]));
}

#[test]
fn training_is_deterministic() {
    let (texts, embeddings, labels) = toy();
    let train = || LinearHead::train(&texts, &embeddings, &labels, 2, &quick()).unwrap();
    assert_eq!(train().to_bytes(), train().to_bytes());
}

#[test]
fn sets_that_do_not_match_are_refused() {
    let (texts, embeddings, labels) = toy();
    let refused = |texts: &[&str], embeddings: &[Vec<f32>], labels: &[usize], classes: usize| {
        matches!(LinearHead::train(texts, embeddings, labels, classes, &quick()), Err(HeadError::Shape(_)))
    };
    assert!(refused(&[], &[], &[], 2));
    assert!(refused(&texts, &embeddings[1..], &labels, 2));
    assert!(refused(&texts, &embeddings, &labels[1..], 2));
    assert!(refused(&texts, &embeddings, &labels, 1));
    let mut uneven = embeddings.clone();
    uneven[2].push(0.0);
    assert!(refused(&texts, &uneven, &labels, 2));
    let mut not_a_number = embeddings;
    not_a_number[0][0] = f32::NAN;
    assert!(refused(&texts, &not_a_number, &labels, 2));
}

#[test]
fn damaged_or_stale_heads_are_refused() {
    let examples = parse_examples("text,intent,language\nhello,greeting,en\nbye,goodbye,en\n").unwrap();
    let classifier = IntentClassifier::train(&examples, &[vec![1.0, 0.0], vec![0.0, 1.0]], "encoder").unwrap();
    let bytes = classifier.to_bytes();
    assert_eq!(IntentClassifier::from_bytes(&bytes, &examples, "encoder").unwrap(), classifier);
    assert!(matches!(IntentClassifier::from_bytes(&bytes, &examples, "another"), Err(HeadError::Stale)));
    assert!(matches!(IntentClassifier::from_bytes(&bytes, &examples[1..], "encoder"), Err(HeadError::Stale)));
    for length in [0, 7, 31, 32, 40, 60, bytes.len() - 1] {
        assert!(IntentClassifier::from_bytes(&bytes[..length], &examples, "encoder").is_err(), "{length} bytes");
    }
    let mut impossible = bytes;
    impossible[32 + 12..32 + 24].fill(0xff);
    assert!(matches!(IntentClassifier::from_bytes(&impossible, &examples, "encoder"), Err(HeadError::Corrupt(_))));
}

#[test]
fn predictions_are_ranked() {
    let examples =
        parse_examples("text,intent,language\nwhere is my order,order_status,en\nwhat is the price,product_price,en\n")
            .unwrap();
    let classifier = IntentClassifier::train(&examples, &[], "none").unwrap();
    let scores = classifier.predict("where is my order", &[]);
    assert_eq!(scores.ranked.len(), Intent::ALL.len());
    assert_eq!(scores.top().0, Intent::OrderStatus);
    assert!(scores.ranked.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    assert!((scores.probability(Intent::OrderStatus) - scores.top().1).abs() < f32::EPSILON);
}

/// Where the public data lies; the tests that measure with it are skipped without it.
fn data() -> Option<PathBuf> {
    std::env::var_os("SHOPTALK_DATA").map(PathBuf::from).filter(|folder| folder.is_dir())
}

fn is_attack(text: &str) -> bool {
    rule_intent(text, Language::En).is_some_and(|(intent, _)| intent == Intent::PromptAttack)
}

#[test]
fn harmless_look_alikes_of_attacks_are_rarely_refused() {
    let Some(data) = data() else { return };
    let mut reader = csv::Reader::from_path(data.join("notinject/benign.csv")).unwrap();
    let first: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
    let text = std::fs::read_to_string(data.join("safety/notinject/datasets_valid.json")).unwrap();
    let second: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let (hostile, second): (Vec<_>, Vec<_>) = second.into_iter().partition(|entry| entry["label"] == 1);
    let prompt = |entry: &serde_json::Value| entry["prompt"].as_str().unwrap().to_owned();
    let second: Vec<String> = second.iter().map(prompt).collect();
    let caught = hostile.iter().filter(|entry| is_attack(&prompt(entry))).count();
    println!("safety/notinject: {caught} of {} attacks caught", hostile.len());
    let mut reader = csv::Reader::from_path(data.join("deepset_injection/train.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let (attacks, harmless): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| &row[1] == "1");
    let caught = attacks.iter().filter(|row| is_attack(&row[0])).count();
    println!("deepset: {caught} of {} attacks caught", attacks.len());
    for row in attacks.iter().filter(|row| !is_attack(&row[0])) {
        println!("  missed: {:?}", row[0].chars().take(160).collect::<String>());
    }
    let harmless: Vec<String> = harmless.iter().map(|row| row[0].to_owned()).collect();
    for (name, texts) in [("notinject", &first), ("safety/notinject", &second), ("deepset", &harmless)] {
        let refused: Vec<&String> = texts.iter().filter(|text| is_attack(text)).collect();
        println!("{name}: {} of {} harmless texts refused", refused.len(), texts.len());
        for text in &refused {
            println!("  {:?}", text.chars().take(400).collect::<String>());
        }
        assert!(refused.len() * 100 <= 3 * texts.len(), "{name}: {refused:#?}");
    }
}

/// Sixty messages whose words say nothing, of four intents. The first encoder puts half of each two intents in one place; the
/// second one says which is which where it is `telling`, and the same of all where it is not.
fn messages(telling: bool) -> Vec<Sample> {
    let sample = |at: usize| {
        let class = at % 4;
        let mut first = vec![0.0; 4];
        first[if at % 8 < 4 { class } else { class / 2 * 2 }] = 1.0;
        let mut second = vec![0.0; 4];
        second[if telling { class } else { 0 }] = 1.0;
        Sample { text: format!("{at}"), label: format!("intent {class}"), embeddings: vec![first, second] }
    };
    (0..60).map(sample).collect()
}

fn encoders() -> Vec<String> {
    vec!["first".to_owned(), "second".to_owned()]
}

#[test]
fn a_dear_encoder_is_used_only_where_it_pays() {
    let encoders = encoders();
    let train = |telling, last_is_optional| {
        let samples = messages(telling);
        let lesson = Lesson { samples: &samples, encoders: &encoders, last_is_optional, ..Lesson::default() };
        MerchantIntents::train(&lesson).unwrap()
    };
    let (head, figures) = train(true, true);
    assert_eq!(head.encoders(), encoders);
    assert!(figures.accuracy > 0.95, "{figures:?}");
    let (head, figures) = train(false, true);
    assert_eq!(head.encoders(), &encoders[..1]);
    assert!(figures.accuracy < 0.9, "{figures:?}");
    // It judges by the vectors of the encoder that is left.
    let only = messages(false).remove(2);
    assert_eq!(head.predict(&only.text, &only.embeddings[..1]).nearest, "intent 2");
    assert_eq!(train(false, false).0.encoders(), encoders);
}
