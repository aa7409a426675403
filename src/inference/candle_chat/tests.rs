//! candle's model on the processor against our own decoder: the path that answers take on a graphics device.

use std::time::Duration;

use super::*;
use crate::{
    config::DeviceChoice,
    inference::{
        ChatMessage, GenerateRequest, Grammar, LanguageModel, LocalLanguageModel, LocalOptions, Role, Sampling,
    },
    models::{ModelFiles, ModelStore},
};

/// `None` and a line where the model is not on this machine.
fn files() -> Option<ModelFiles> {
    let files = ModelStore::open(None).ok()?.cached("smollm2-135m-instruct");
    if files.is_none() {
        println!("skipped: the model is not on this machine");
    }
    files
}

/// The smallest model whose answers candle writes: on a graphics device where the tests are built for one and it is
/// there, else on the processor.
fn on_candle(files: &ModelFiles) -> LanguageModel {
    let device = if cfg!(feature = "cuda") { Device::new_cuda(0) } else { Device::new_metal(0) };
    let device = device.unwrap_or(Device::Cpu);
    println!("candle writes on {device:?}");
    LanguageModel::Local(Arc::new(LocalLanguageModel::start_on_candle(files, device).unwrap()))
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

async fn answer(model: &LanguageModel, request: GenerateRequest) -> Result<String, InferenceError> {
    model.generate(request)?.text().await
}

#[test]
fn steps_are_powers_of_two_that_come_to_the_whole() {
    for tokens in 1..3000 {
        let (mut read, mut steps) = (0, 0);
        while read < tokens {
            let step = step(tokens - read);
            assert!(step.is_power_of_two() && step <= STEP_TOKENS_MAX && read % step == 0);
            (read, steps) = (read + step, steps + 1);
        }
        assert!(read == tokens && steps <= tokens / STEP_TOKENS_MAX + 9);
    }
}

#[tokio::test]
async fn candle_and_our_decoder_write_the_same() {
    let Some(files) = files() else { return };
    let (candle, own) = (on_candle(&files), LanguageModel::local(&files).unwrap());
    let passage = "Boots can be returned within 30 days if they were not worn outside, and we pay the postage.";
    let mut prompts: Vec<String> = ["days", "postage", "boots", "time", "money"]
        .iter()
        .map(|word| format!("{passage} What does the text say about {word}?"))
        .collect();
    prompts.push(format!("Repeat this text word for word: {passage}"));
    // Longer than the longest step.
    prompts.push(format!("{} Who pays?", passage.repeat(40)));
    let mut same = 0;
    for prompt in &prompts {
        let texts = (answer(&candle, request(prompt, 8)).await, answer(&own, request(prompt, 8)).await);
        let (by_candle, by_own) = (texts.0.unwrap(), texts.1.unwrap());
        println!("{by_candle:?} / {by_own:?}");
        assert!(!by_candle.is_empty());
        same += usize::from(by_candle == by_own);
    }
    // Both round, each in its own way, and a likeliest token that is hardly likelier than the next may change.
    assert!(same + 2 >= prompts.len(), "{same} of {} answers are the same", prompts.len());
}

#[tokio::test]
async fn answers_on_candle_keep_to_limits_stops_and_grammars() {
    let Some(files) = files() else { return };
    let candle = on_candle(&files);
    let repeat = "Repeat this text word for word: Boots can be returned within 30 days.";
    let whole = answer(&candle, request(repeat, 12)).await.unwrap();
    assert_eq!(answer(&candle, request(repeat, 12)).await.unwrap(), whole, "nothing is left of the answer before");
    let word = whole.split(' ').nth(2).unwrap();
    let stopped = GenerateRequest { stop: vec![word.to_owned()], ..request(repeat, 12) };
    assert_eq!(answer(&candle, stopped).await.unwrap(), whole.split(word).next().unwrap());
    assert_eq!(answer(&candle, request(repeat, 0)).await.unwrap(), "");
    assert!(whole.starts_with(&answer(&candle, request(repeat, 2)).await.unwrap()));

    let error = candle.generate(request(&"boots ".repeat(5000), 5)).unwrap_err();
    assert!(matches!(error, InferenceError::ContextOverflow { .. }), "{error}");

    let schema = serde_json::json!({
        "type": "object",
        "properties": {"days": {"type": "integer", "minimum": 0, "maximum": 99}, "语言": {"enum": ["中文", "英文"]}},
        "required": ["days", "语言"],
        "additionalProperties": false,
    });
    let formed = GenerateRequest { grammar: Some(Grammar::JsonSchema(schema)), ..request(repeat, 60) };
    let text = answer(&candle, formed.clone()).await.unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(value["days"].is_u64() && value["语言"].is_string(), "{text}");
    let cut = GenerateRequest { tokens_max: 4, ..formed };
    assert!(matches!(answer(&candle, cut).await, Err(InferenceError::Incomplete { tokens: 4 })));
}

#[tokio::test]
async fn who_goes_makes_room_on_candle() {
    let Some(files) = files() else { return };
    let candle = on_candle(&files);
    let story = || candle.generate(request("Tell a long story about a fox.", 1500));
    let mut first = story().unwrap();
    let waiting: Vec<_> = std::iter::from_fn(|| story().ok()).take(100).collect();
    assert!(waiting.len() < 100 && matches!(story(), Err(InferenceError::Overloaded)));
    let begin = first.next().await.unwrap().unwrap();
    drop(waiting);
    first.stop_flag().stop();
    let rest = tokio::time::timeout(Duration::from_mins(1), first.text()).await.unwrap().unwrap();
    let stopped = format!("{begin}{rest}");
    assert!(stopped.split_whitespace().count() < 1000, "it was stopped");
    let text = answer(&candle, request("Hello", 3)).await.unwrap();
    assert!(!text.is_empty(), "those who have gone hold nobody up");
}

#[tokio::test]
async fn relevance_is_that_of_the_processor() {
    let Some(files) = files() else { return };
    let (candle, own) = (on_candle(&files), LanguageModel::local(&files).unwrap());
    let chats = || ["Boots cost 30 euro.", "We are closed on Sundays."].map(|text| request(text, 1).messages).to_vec();
    let question = || "What do boots cost?".to_owned();
    let ours = own.relevance(chats(), question(), crate::inference::Unread::Read).await.unwrap();
    assert_eq!(candle.relevance(chats(), question(), crate::inference::Unread::Read).await.unwrap(), ours);
    assert!(ours.is_some());
}

#[tokio::test]
async fn a_device_that_is_not_there_leaves_the_work_to_the_processor() {
    let Some(files) = files() else { return };
    for choice in [DeviceChoice::Cuda, DeviceChoice::Metal] {
        let model =
            LanguageModel::local_with(&files, LocalOptions { device: choice, ..LocalOptions::default() }).unwrap();
        let named = model.device();
        assert!(named == choice.name() || named.starts_with("cpu (") && named.len() > "cpu ()".len(), "{named}");
        assert!(!answer(&model, request("Hello", 3)).await.unwrap().is_empty());
    }
    let cpu = LanguageModel::local(&files).unwrap();
    assert_eq!(cpu.device(), "cpu");
}
