//! Answers together against each alone, with drafts and without, on the smallest model.

use std::sync::Arc;

use futures::{FutureExt, executor::block_on};

use super::*;
use crate::{
    inference::{
        ChatMessage, GenerateRequest, Generation, Grammar, Role, Sampling,
        gguf_chat::{self, Loaded},
        language_model_thread::Places,
    },
    models::ModelStore,
};

/// `None` and a line where the model is not on this machine.
fn model() -> Option<(Arc<ChatFormat>, Decoder)> {
    let files = ModelStore::open(None).ok()?.cached("smollm2-135m-instruct");
    if files.is_none() {
        println!("skipped: the model is not on this machine");
    }
    let Loaded { format, decoder, .. } = gguf_chat::load(&files?).ok()?;
    Some((format, decoder))
}

fn request(content: &str, tokens_max: usize) -> GenerateRequest {
    GenerateRequest {
        messages: vec![
            ChatMessage { role: Role::System, content: "Answer from the text.".to_owned() },
            ChatMessage { role: Role::User, content: content.to_owned() },
        ],
        tokens_max,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        seed: 3,
        grammar: None,
    }
}

/// Asks for an answer; it needs no place of its own here.
fn ask(batch: &mut ChatBatch, request: &GenerateRequest) -> Generation {
    let prompt = batch.format.prompt(&request.messages, request.tokens_max).unwrap();
    let (writer, generation) = Generation::channel();
    let constraint = request.grammar.as_ref().map(|grammar| batch.format.constraint(grammar).unwrap());
    batch.add(prompt, Answer::new(request, constraint, writer), Places::new(1).take().unwrap());
    generation
}

/// The text that was written since the last time; `None` at the end.
fn written(generation: &mut Generation) -> Option<String> {
    let mut text = String::new();
    while let Some(piece) = generation.next().now_or_never() {
        match piece {
            Some(piece) => text.push_str(&piece.unwrap()),
            None if text.is_empty() => return None,
            None => break,
        }
    }
    Some(text)
}

/// The answer to one request and the steps that it took.
fn alone(format: &ChatFormat, decoder: &mut Decoder, drafts: Drafts, request: &GenerateRequest) -> (String, usize) {
    let (answer, steps) = attempt(format, decoder, drafts, request);
    (answer.unwrap(), steps)
}

fn attempt(
    format: &ChatFormat,
    decoder: &mut Decoder,
    drafts: Drafts,
    request: &GenerateRequest,
) -> (Result<String, InferenceError>, usize) {
    let (mut batch, mut recent, mut steps) = (ChatBatch::new(format, drafts), Recent::default(), 0);
    let generation = ask(&mut batch, request);
    while !batch.is_empty() {
        batch.step(decoder, &mut recent);
        steps += 1;
    }
    (block_on(generation.text()), steps)
}

const PASSAGE: &str = "Boots can be returned within 30 days if they were not worn outside, and we pay the postage inside \
                       the country.";

#[test]
fn drafts_change_no_answer_and_save_steps_where_it_repeats_the_prompt() {
    let Some((format, mut decoder)) = model() else { return };
    let quoting = request(&format!("Repeat this text word for word: {PASSAGE}"), 40);
    let story = request("Tell a story about a fox.", 40);
    let warm = GenerateRequest { sampling: Sampling::at(0.8), ..quoting.clone() };
    let mut steps = Vec::new();
    for request in [&quoting, &story, &warm] {
        let with = alone(&format, &mut decoder, Drafts::On, request);
        let without = alone(&format, &mut decoder, Drafts::Off, request);
        assert_eq!(with.0, without.0);
        steps.push((with.1, without.1));
    }
    assert!(steps[0].0 * 2 < steps[0].1, "{steps:?}");
    assert!(steps.iter().all(|(with, without)| with <= without), "{steps:?}");
}

#[test]
fn answers_together_are_those_of_each_alone() {
    let Some((format, mut decoder)) = model() else { return };
    let long = request(&format!("{} What does it cost?", PASSAGE.repeat(8)), 12);
    let requests = [
        request(&format!("Repeat this text word for word: {PASSAGE}"), 30),
        long,
        request("Tell a story about a fox.", 25),
        GenerateRequest { sampling: Sampling::at(1.0), ..request("Tell a story about a fox.", 20) },
        GenerateRequest { stop: vec![" the".to_owned()], ..request(&format!("{PASSAGE} Who pays?"), 30) },
        request("Hello", 1),
        request("Hello", 0),
    ];
    let expected: Vec<String> =
        requests.iter().map(|request| alone(&format, &mut decoder, Drafts::Off, request).0).collect();
    let (mut batch, mut recent) = (ChatBatch::new(&format, Drafts::On), Recent::default());
    let mut generations = Vec::new();
    for request in &requests {
        // Each comes while the earlier ones are under way.
        generations.push(ask(&mut batch, request));
        batch.step(&mut decoder, &mut recent);
        batch.step(&mut decoder, &mut recent);
    }
    while !batch.is_empty() {
        batch.step(&mut decoder, &mut recent);
    }
    let texts: Vec<String> = generations.into_iter().map(|generation| block_on(generation.text()).unwrap()).collect();
    assert_eq!(texts, expected);
    assert!(expected[..5].iter().all(|text| !text.is_empty()) && expected[6].is_empty());
}

/// Two questions about a text, each in its own words.
fn questions() -> Grammar {
    Grammar::JsonSchema(serde_json::json!({
        "type": "object",
        "properties": {
            "first question of a customer": {"type": "string", "pattern": "^[A-Z][a-z0-9 ]{4,40}\\?$"},
            "second question of a customer": {"type": "string", "pattern": "^[A-Z][a-z0-9 ]{4,40}\\?$"},
            "语言": {"enum": ["英文", "中文"]},
        },
        "required": ["first question of a customer", "second question of a customer", "语言"],
        "additionalProperties": false,
    }))
}

#[test]
fn answers_fit_their_grammar_whatever_stands_beside_them() {
    let Some((format, mut decoder)) = model() else { return };
    let ask_for = |grammar: Grammar, text: &str| GenerateRequest { grammar: Some(grammar), ..request(text, 120) };
    let about = format!("{PASSAGE} Write two questions about this text in JSON.");
    let pattern = "[a-z]{2,9}( [a-z]{2,9}){3,6}\\.";
    let requests = [
        ask_for(questions(), &about),
        GenerateRequest { sampling: Sampling::at(1.2), ..ask_for(questions(), &about) },
        ask_for(Grammar::Regex(pattern.to_owned()), &format!("Repeat this text word for word: {PASSAGE}")),
        ask_for(Grammar::Regex("(运费|退货)(多少钱|要几天)？".to_owned()), "退货要几天？"),
        request(&format!("Repeat this text word for word: {PASSAGE}"), 30),
    ];
    let (mut expected, mut steps) = (Vec::new(), Vec::new());
    for request in &requests {
        let without = alone(&format, &mut decoder, Drafts::Off, request);
        let with = alone(&format, &mut decoder, Drafts::On, request);
        assert_eq!(with.0, without.0, "drafts change nothing");
        assert!(with.1 <= without.1);
        steps.push(without.1);
        expected.push(with.0);
    }
    for text in &expected[..2] {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        assert!(value["first question of a customer"].as_str().unwrap().ends_with('?'), "{text}");
        assert!(["英文", "中文"].contains(&value["语言"].as_str().unwrap()), "{text}");
    }
    let written = format.encode(&expected[0]).unwrap().len();
    assert!(
        steps[0] + 10 < written,
        "{} steps for {written} tokens, many of which can only be what they are",
        steps[0]
    );
    assert!(regex::Regex::new(&format!("^{pattern}$")).unwrap().is_match(&expected[2]), "{}", expected[2]);
    assert!(expected[3].ends_with('？') && expected[3].chars().count() <= 6, "{}", expected[3]);

    let (mut batch, mut recent) = (ChatBatch::new(&format, Drafts::On), Recent::default());
    let generations: Vec<Generation> = requests
        .iter()
        .map(|request| {
            let generation = ask(&mut batch, request);
            batch.step(&mut decoder, &mut recent);
            generation
        })
        .collect();
    while !batch.is_empty() {
        batch.step(&mut decoder, &mut recent);
    }
    let texts: Vec<String> = generations.into_iter().map(|generation| block_on(generation.text()).unwrap()).collect();
    assert_eq!(texts, expected);
}

#[test]
fn half_a_text_of_a_grammar_is_an_error() {
    let Some((format, mut decoder)) = model() else { return };
    let whole = GenerateRequest { grammar: Some(questions()), ..request(&format!("{PASSAGE} Ask."), 120) };
    let (text, _) = alone(&format, &mut decoder, Drafts::Off, &whole);
    for cut in [
        GenerateRequest { tokens_max: 1, ..whole.clone() },
        GenerateRequest { tokens_max: 12, ..whole.clone() },
        GenerateRequest { stop: vec!["question".to_owned()], ..whole.clone() },
        GenerateRequest { stop: vec!["}".to_owned()], ..whole.clone() },
    ] {
        let (answer, _) = attempt(&format, &mut decoder, Drafts::On, &cut);
        assert!(matches!(answer, Err(InferenceError::Incomplete { tokens }) if tokens <= cut.tokens_max), "{answer:?}");
    }
    let same = GenerateRequest { stop: vec!["never said".to_owned()], ..whole };
    assert_eq!(alone(&format, &mut decoder, Drafts::On, &same).0, text);
    // A text that may end anywhere is whole wherever it is cut.
    let word = GenerateRequest { grammar: Some(Grammar::Regex("[a-z ]+".to_owned())), ..request("Hello", 5) };
    assert!(!alone(&format, &mut decoder, Drafts::On, &word).0.is_empty());
}

#[test]
fn a_long_prompt_does_not_stop_the_words_of_others() {
    let Some((format, mut decoder)) = model() else { return };
    let (mut batch, mut recent) = (ChatBatch::new(&format, Drafts::Off), Recent::default());
    let mut story = ask(&mut batch, &request("Tell a story about a fox.", 60));
    while written(&mut story).unwrap().is_empty() {
        batch.step(&mut decoder, &mut recent);
    }
    let long = request(&PASSAGE.repeat(12), 5);
    let prompt_tokens = format.prompt(&long.messages, 5).unwrap().len();
    let mut answer = ask(&mut batch, &long);
    let (mut steps, mut words) = (0, String::new());
    while written(&mut answer).unwrap().is_empty() {
        batch.step(&mut decoder, &mut recent);
        words.push_str(&written(&mut story).unwrap());
        steps += 1;
    }
    assert!(steps >= prompt_tokens / STEP_TOKENS_BESIDE && steps > 3, "{steps} steps for {prompt_tokens} tokens");
    assert!(words.split_whitespace().count() * 3 > steps, "{words:?} in {steps} steps");
}

#[test]
fn prompts_that_begin_alike_are_read_once() {
    let Some((format, mut decoder)) = model() else { return };
    let about = |question: &str| request(&format!("{} {question}", PASSAGE.repeat(8)), 3);
    let first_word_steps = |batch: &mut ChatBatch, decoder: &mut Decoder, recent: &mut Recent, question: &str| {
        let mut generation = ask(batch, &about(question));
        let mut steps = 0;
        while written(&mut generation).is_some_and(|text| text.is_empty()) {
            batch.step(decoder, recent);
            steps += 1;
        }
        steps
    };
    let (mut batch, mut recent) = (ChatBatch::new(&format, Drafts::Off), Recent::default());
    assert!(first_word_steps(&mut batch, &mut decoder, &mut recent, "Who pays?") > 1);
    while !batch.is_empty() {
        batch.step(&mut decoder, &mut recent);
    }
    assert_eq!(first_word_steps(&mut batch, &mut decoder, &mut recent, "How many days?"), 1);
}

#[test]
fn who_goes_makes_room_for_who_waits() {
    let Some((format, mut decoder)) = model() else { return };
    let places = Places::new(TOGETHER_MAX + 1);
    let (mut batch, mut recent) = (ChatBatch::new(&format, Drafts::On), Recent::default());
    let story = request("Tell a story about a fox.", 50);
    let mut generations: VecDeque<Generation> = (0..=TOGETHER_MAX)
        .map(|_| {
            let (writer, generation) = Generation::channel();
            let answer = Answer::new(&story, None, writer);
            batch.add(format.prompt(&story.messages, 50).unwrap(), answer, places.take().unwrap());
            generation
        })
        .collect();
    batch.step(&mut decoder, &mut recent);
    assert_eq!((batch.tasks.len(), batch.waiting.len()), (TOGETHER_MAX, 1));
    assert!(places.take().is_err());
    drop(generations.pop_front());
    generations[0].stop_flag().stop();
    batch.step(&mut decoder, &mut recent);
    assert_eq!((batch.tasks.len(), batch.waiting.len()), (TOGETHER_MAX - 1, 0));
    let _places = [places.take().unwrap(), places.take().unwrap()];
    generations.clear();
    batch.step(&mut decoder, &mut recent);
    assert!(batch.is_empty());
}
