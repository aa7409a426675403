//! Random texts of grammars: whatever a model makes of them, they fit. With the tokenizer of the smallest model, and a
//! model that is drawn by lot.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use regex::Regex;
use serde_json::json;

use super::*;
use crate::{
    inference::{
        GenerateRequest, Generation, Sampling,
        answer::Answer,
        gguf_chat::{self, ChatFormat, Loaded},
    },
    models::ModelStore,
};

type Chat = (Arc<ChatFormat>, usize);

/// A model's tokens and the number of its logits; `None` and a line where the model is not on this machine.
fn chat(name: &str) -> Option<Chat> {
    let files = ModelStore::open(None).ok()?.cached(name);
    if files.is_none() {
        println!("skipped: the model {name} is not on this machine");
    }
    let Loaded { format, decoder, .. } = gguf_chat::load(&files?).ok()?;
    Some((format, decoder.vocabulary()))
}

static SMALLEST: LazyLock<Option<Chat>> = LazyLock::new(|| chat("smollm2-135m-instruct"));

fn request(grammar: Grammar, tokens_max: usize, seed: u64) -> GenerateRequest {
    let sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };
    GenerateRequest { messages: vec![], tokens_max, sampling, stop: vec![], seed, grammar: Some(grammar) }
}

/// Has random logits write an answer; they are drawn anew for every eighth token, and shifted for the others.
fn write_by_lot((format, vocabulary): &Chat, request: &GenerateRequest) -> Result<(String, usize), InferenceError> {
    let constraint = format.constraint(request.grammar.as_ref().unwrap())?;
    let (writer, generation) = Generation::channel();
    let mut answer = Answer::new(request, Some(constraint), writer);
    let (mut random, mut tokens) = (StdRng::seed_from_u64(request.seed), Vec::new());
    let mut logits: Vec<f32> = Vec::new();
    loop {
        if answer.written().is_multiple_of(8) {
            logits = (0..*vocabulary).map(|_| random.random_range(-4.0..4.0)).collect();
        }
        logits.rotate_right(7);
        let is_complete = answer
            .choose(&logits, &mut tokens, format)
            .and_then(|is_complete| if is_complete { Ok(true) } else { answer.take_forced(&mut tokens, format) });
        match is_complete {
            Ok(false) => {}
            Ok(true) => break answer.finish(format),
            Err(error) => break answer.fail(error),
        }
    }
    Ok((futures::executor::block_on(generation.text())?, tokens.len()))
}

fn product() -> Value {
    json!({
        "type": "object",
        "properties": {
            "question": {"type": "string", "minLength": 4, "maxLength": 40},
            "language": {"enum": ["en", "zh", "中文"]},
            "days": {"type": "integer", "minimum": 0, "maximum": 90},
            "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        },
        "required": ["question", "language", "days"],
        "additionalProperties": false,
    })
}

/// Whether `text` is what `product` describes.
fn is_product(text: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let Some(object) = value.as_object() else { return false };
    let question = object["question"].as_str().map_or(0, |text| text.chars().count());
    let tags = object.get("tags").map_or(Some(0), |tags| tags.as_array().map(Vec::len));
    object.keys().all(|key| ["question", "language", "days", "tags"].contains(&key.as_str()))
        && (4..=40).contains(&question)
        && ["en", "zh", "中文"].map(Value::from).contains(&object["language"])
        && object["days"].as_i64().is_some_and(|days| (0..=90).contains(&days))
        && tags.is_some_and(|tags| tags <= 3)
}

const PATTERNS: &[&str] = &[
    r"[A-Z][a-z]{1,8}( [a-z]{1,8}){0,5}\?",
    r"[\p{Han}]{3,12}(，[\p{Han}]{1,8})?？",
    r"(yes|no|也许|🙂)",
    r"[0-9]{1,3}(\.[0-9]{2})? (euro|欧元)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn texts_fit_their_regular_expression(pattern in 0..PATTERNS.len(), seed in any::<u64>()) {
        let Some(chat) = &*SMALLEST else { return Ok(()) };
        let whole = Regex::new(&format!("^(?:{})$", PATTERNS[pattern])).unwrap();
        let (text, _) = write_by_lot(chat, &request(Grammar::Regex(PATTERNS[pattern].to_owned()), 120, seed)).unwrap();
        prop_assert!(whole.is_match(&text), "{:?} is not {}", text, PATTERNS[pattern]);
    }

    #[test]
    fn texts_fit_their_schema_or_are_errors(tokens_max in 10..400_usize, seed in any::<u64>()) {
        let Some(chat) = &*SMALLEST else { return Ok(()) };
        match write_by_lot(chat, &request(Grammar::JsonSchema(product()), tokens_max, seed)) {
            Ok((text, tokens)) => prop_assert!(is_product(&text) && tokens <= tokens_max, "{}", text),
            Err(InferenceError::Incomplete { tokens }) => prop_assert_eq!(tokens, tokens_max),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn what_fits_of_a_draft_may_be_written(
        draft in prop::collection::vec(0..49_000_u32, 1..12), begin in "[a-z]{0,3}", seed in any::<u64>(),
    ) {
        let Some((format, vocabulary)) = &*SMALLEST else { return Ok(()) };
        let mut constraint = format.constraint(&Grammar::Regex("[a-z ]{1,30}".to_owned())).unwrap();
        let text = format!("{begin} some words of a text {seed}");
        for draft in [draft, format.encode(&text).unwrap()] {
            let fitting = constraint.fitting(&draft).unwrap();
            let mut step = constraint.matcher.deep_clone();
            prop_assert_eq!(step.try_consume_tokens(&draft).unwrap(), fitting);
            let logits = vec![1.0; *vocabulary];
            if let Some(first) = draft.first() {
                let is_allowed = constraint.restrict(&logits).unwrap()[*first as usize] > 0.0;
                prop_assert_eq!(is_allowed, fitting > 0);
            }
        }
    }
}

#[test]
fn a_context_free_grammar_nests() {
    let Some(chat) = &*SMALLEST else { return };
    let rules = "start: pair\npair: \"(\" (pair | WORD) \")\"\nWORD: /[a-z]{1,4}/";
    let (text, _) = write_by_lot(chat, &request(Grammar::Lark(rules.to_owned()), 200, 4)).unwrap();
    let depth = text.chars().take_while(|c| *c == '(').count();
    assert!(depth > 0 && text.ends_with(&")".repeat(depth)) && text.matches(')').count() == depth, "{text}");
}

#[test]
fn what_can_only_go_on_one_way_is_not_asked_for() {
    let Some((format, vocabulary)) = &*SMALLEST else { return };
    let grammar = Grammar::Regex("Delivery within (2|3) working days to all islands".to_owned());
    let mut constraint = format.constraint(&grammar).unwrap();
    let text = format.decode(&constraint.forced()).unwrap();
    // What comes last might yet become one token with what the model chooses.
    assert!(text.starts_with("Delivery") && "Delivery within ".starts_with(&text), "{text:?}");
    let request = request(grammar, 60, 1);
    let (text, tokens) = write_by_lot(&(Arc::clone(format), *vocabulary), &request).unwrap();
    assert!(text.ends_with("working days to all islands") && tokens > 5, "{text}");
}

#[test]
fn grammars_without_sense_are_named() {
    let Some((format, _)) = &*SMALLEST else { return };
    for grammar in [
        Grammar::Regex("(unclosed".to_owned()),
        Grammar::Regex("[b&&a]".to_owned()),
        Grammar::Lark("start: missing".to_owned()),
        Grammar::JsonSchema(json!({"type": "colour"})),
        Grammar::JsonSchema(json!({"type": "string", "minLength": 5, "maxLength": 2})),
        Grammar::JsonSchema(json!({"type": "integer", "minimum": 5, "maximum": 2})),
        Grammar::JsonSchema(json!({"$ref": "http://example.com/schema"})),
        Grammar::JsonSchema(json!(false)),
        Grammar::JsonSchema(json!("string")),
    ] {
        let error = format.constraint(&grammar).err().unwrap_or_else(|| panic!("{grammar:?} is taken"));
        assert!(matches!(error, InferenceError::Grammar(_)), "{grammar:?}: {error:?}");
        println!("{error}");
    }
}

#[test]
fn kept_grammars_begin_anew() {
    let Some((format, _)) = &*SMALLEST else { return };
    let grammar = |number: usize| Grammar::Regex(format!("[a-z]{{1,{}}}", number + 1));
    for number in (0..2 * KEPT_MAX).chain([0]) {
        let mut constraint = format.constraint(&grammar(number)).unwrap();
        let word = format.encode("abcdefgh").unwrap();
        assert_eq!(constraint.fitting(&word).unwrap() == word.len(), number + 1 >= 8, "{number}");
        if number + 1 >= 8 {
            for token in word {
                constraint.accept(token).unwrap();
            }
        }
    }
    let grammars = format.grammars().unwrap();
    assert_eq!(grammars.kept.lock().unwrap().len(), KEPT_MAX);
}

#[test]
#[ignore = "a measurement: `cargo test --lib grammar::tests::cost -- --ignored --nocapture` prints what a step costs"]
fn cost() {
    let Some((format, vocabulary)) = chat("qwen2.5-0.5b-instruct") else { return };
    let started = Instant::now();
    format.constraint(&Grammar::Regex("a".to_owned())).unwrap();
    println!("vocabulary of {vocabulary} prepared in {:?}", started.elapsed());
    for grammar in
        [Grammar::JsonSchema(product()), Grammar::Regex(PATTERNS[0].to_owned()), Grammar::Regex(".{1,80}".to_owned())]
    {
        let started = Instant::now();
        format.constraint(&grammar).unwrap();
        let compiled = started.elapsed();
        let (mut times, logits) = (Vec::new(), vec![0.0; vocabulary]);
        for seed in 0..20 {
            let (mut constraint, mut random) = (format.constraint(&grammar).unwrap(), StdRng::seed_from_u64(seed));
            while !constraint.is_complete() {
                let started = Instant::now();
                let allowed = constraint.restrict(&logits).unwrap();
                times.push(started.elapsed());
                let begin = random.random_range(0..allowed.len());
                let next = (begin..allowed.len()).chain(0..begin).find(|token| allowed[*token] == 0.0).unwrap() as u32;
                if format.is_end(next) {
                    break;
                }
                constraint.accept(next).unwrap();
            }
        }
        times.sort_unstable();
        let mean = times.iter().sum::<Duration>() / times.len() as u32;
        println!(
            "{grammar:?}: compiled in {compiled:?}; a mask takes {:?} (median), {mean:?} (mean), {:?} (longest) over {} steps",
            times[times.len() / 2],
            times[times.len() - 1],
            times.len()
        );
    }
}
