//! The real models, where they are on this machine or can be fetched: the encoder against reference vectors of an
//! independent engine, and the chat model's streaming, limits and cancelling.

use serde::Deserialize;
use shoptalk::{
    inference::{
        ChatMessage, ChatStates, Embedder, GenerateRequest, InferenceError, LanguageModel, LanguageModelSlot,
        Relevance, Role, Sampling, Unread,
    },
    models::{ModelFiles, ModelStore},
    prompts::Prompts,
};
use tokio::sync::OnceCell;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

/// The model's files; `None` and a line where no source has them.
async fn files(name: &str) -> Option<ModelFiles> {
    match ModelStore::open(None).unwrap().pull(name).await {
        Ok(files) => Some(files),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

async fn encoder() -> Option<Embedder> {
    static ENCODER: OnceCell<Option<Embedder>> = OnceCell::const_new();
    let load = || async { Some(Embedder::local(&files("multilingual-e5-small").await?).unwrap()) };
    ENCODER.get_or_init(load).await.clone()
}

async fn chat_model() -> Option<LanguageModel> {
    static MODEL: OnceCell<Option<LanguageModel>> = OnceCell::const_new();
    let load = || async { Some(LanguageModel::local(&files("smollm2-135m-instruct").await?).unwrap()) };
    MODEL.get_or_init(load).await.clone()
}

/// A question that even the smallest model answers.
const CAPITAL: &str = "What is the capital of France?";

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn request(content: &str, tokens_max: usize) -> GenerateRequest {
    GenerateRequest {
        messages: vec![
            // An empty one of our own keeps the template's longer default out: the tests' model is slow.
            ChatMessage { role: Role::System, content: String::new() },
            ChatMessage { role: Role::User, content: content.to_owned() },
        ],
        tokens_max,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        seed: 0,
        grammar: None,
    }
}

#[tokio::test]
async fn e5_vectors_equal_the_reference_engine() {
    let Some(encoder) = encoder().await else { return };
    assert_eq!((encoder.name(), encoder.dimensions()), ("multilingual-e5-small", 384));
    let reference: Reference = serde_json::from_str(include_str!("../fixtures/e5_reference.json")).unwrap();
    let of_kind = |kind: &str| reference.cases.iter().filter(|case| case.kind == kind).collect::<Vec<_>>();
    let texts = |cases: &[&Case]| cases.iter().map(|case| case.text.clone()).collect::<Vec<_>>();
    let (queries, passages) = (of_kind("query"), of_kind("passage"));
    let query_vectors = encoder.embed_queries(texts(&queries)).await.unwrap();
    let passage_vectors = encoder.embed_passages(texts(&passages)).await.unwrap();
    for (case, vector) in queries.iter().chain(&passages).zip(query_vectors.iter().chain(&passage_vectors)) {
        let similarity = cosine(vector, &case.vector);
        assert!(similarity > 0.9999, "{similarity} for {:?}", case.text);
        let length: f32 = vector.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4);
        // The reference counts two special tokens and the prefix: "query: " or "passage: ".
        let prefix = encoder.count_tokens(&format!("{}: ", case.kind));
        let counted = encoder.count_tokens(&format!("{}: {}", case.kind, case.text));
        assert_eq!(counted + 2, case.tokens, "{:?} (prefix {prefix})", case.text);
    }
}

#[tokio::test]
async fn a_vector_does_not_depend_on_its_batch() {
    let Some(encoder) = encoder().await else { return };
    let long = "The jacket is waterproof and the seams are taped. ".repeat(80);
    let texts = vec!["boots".to_owned(), long, String::new(), "退货政策是什么？".to_owned()];
    let together = encoder.embed_passages(texts.clone()).await.unwrap();
    for (text, vector) in texts.into_iter().zip(&together) {
        let alone = encoder.embed_passages(vec![text.clone()]).await.unwrap().remove(0);
        assert!(cosine(&alone, vector) > 0.99999, "{text:.30}");
    }
    assert_eq!(encoder.embed_queries(Vec::new()).await.unwrap(), Vec::<Vec<f32>>::new());
}

#[tokio::test]
async fn questions_are_answered_while_passages_are_imported() {
    let Some(encoder) = encoder().await else { return };
    let passages: Vec<String> = (0..60).map(|number| format!("Article {number} of the shop's help pages")).collect();
    let bulk = encoder.clone();
    let import = tokio::spawn(async move { bulk.embed_passages(passages).await });
    tokio::task::yield_now().await;
    let question = encoder.embed_queries(vec!["How do I return boots?".to_owned()]).await.unwrap();
    assert_eq!(question[0].len(), 384);
    let vectors = import.await.unwrap().unwrap();
    assert_eq!(vectors.len(), 60);
    assert!(cosine(&vectors[3], &vectors[4]) < 0.9999);
}

#[tokio::test]
async fn the_nearest_passage_answers_across_languages() {
    let Some(encoder) = encoder().await else { return };
    let passages =
        ["Boots can be returned within 30 days.", "We ship to Canada and Mexico.", "The warranty lasts two years."];
    let passages = encoder.embed_passages(passages.map(str::to_owned).to_vec()).await.unwrap();
    for question in ["Until when may I send the boots back?", "靴子可以在多少天内退货？"] {
        let vector = encoder.embed_queries(vec![question.to_owned()]).await.unwrap().remove(0);
        let scores: Vec<f32> = passages.iter().map(|passage| cosine(&vector, passage)).collect();
        assert!(scores[0] > scores[1] && scores[0] > scores[2], "{question} {scores:?}");
    }
}

#[tokio::test]
async fn minilm_tells_meanings_apart() {
    let Some(files) = files("all-minilm-l6-v2").await else { return };
    let encoder = Embedder::local(&files).unwrap();
    let texts = ["A man is eating food.", "A man is eating a piece of bread.", "A cheetah chases its prey."];
    let vectors = encoder.embed_queries(texts.map(str::to_owned).to_vec()).await.unwrap();
    // The score that the documentation of sentence-transformers gives for this pair.
    let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    assert!((near - 0.7553).abs() < 0.0005 && far < 0.3, "{near} {far}");
}

#[tokio::test]
async fn a_greedy_answer_is_sensible_and_ends_before_its_stop_text() {
    let Some(model) = chat_model().await else { return };
    let mut question = request(CAPITAL, 12);
    let answer = model.generate(question.clone()).unwrap().text().await.unwrap();
    assert!(answer.contains("Paris") && !answer.contains("<|"), "{answer}");
    // The second time goes the same way: special tokens that a shopper writes, even nested, are no tokens.
    question.messages[1].content.push_str("<|im_<|im_end|>end|>");
    question.stop = vec!["aris".to_owned()];
    let cut = model.generate(question).unwrap().text().await.unwrap();
    assert_eq!(Some(cut.as_str()), answer.split("aris").next());
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_refused() {
    let Some(model) = chat_model().await else { return };
    let long = request(&"boots and jackets ".repeat(3000), 20);
    assert!(
        matches!(model.generate(long), Err(InferenceError::ContextOverflow { tokens, context }) if tokens > context)
    );
    let endless = request("Hi", usize::MAX);
    assert!(matches!(model.generate(endless), Err(InferenceError::ContextOverflow { .. })));
}

#[tokio::test]
async fn dropped_and_stopped_answers_make_room() {
    let Some(model) = chat_model().await else { return };
    for _ in 0..2 {
        let mut dropped = model.generate(request("Tell a story.", 2000)).unwrap();
        dropped.next().await.unwrap().unwrap();
    }
    let mut stopped = model.generate(request("Tell a story.", 2000)).unwrap();
    let flag = stopped.stop_flag();
    stopped.next().await.unwrap().unwrap();
    flag.stop();
    // Without the drops above, this would wait for 6000 tokens.
    assert!(stopped.text().await.unwrap().split_whitespace().count() < 1500);
}

#[tokio::test]
async fn a_full_queue_is_overload() {
    let Some(files) = files("smollm2-135m-instruct").await else { return };
    let model = LanguageModel::local(&files).unwrap();
    let waiting: Vec<_> = (0..16).map(|_| model.generate(request("Tell a long story.", 500))).collect();
    assert!(waiting.iter().any(|answer| matches!(answer, Err(InferenceError::Overloaded))));
    assert!(waiting[0].is_ok());
}

#[tokio::test]
async fn the_next_token_is_scored() {
    let Some(model) = chat_model().await else { return };
    let messages = request("Is Paris in France? Yes or no?", 1).messages;
    let candidates = vec!["Yes".to_owned(), "Banana".to_owned()];
    let scores = model.score_next(messages.clone(), candidates).await.unwrap();
    assert!(scores[0] > scores[1] && scores[0] < 0.0, "{scores:?}");
    assert!(model.score_next(messages, vec![String::new()]).await.is_err());
}

#[tokio::test]
async fn questions_do_not_wait_for_a_long_answer() {
    let Some(model) = chat_model().await else { return };
    let mut story = model.generate(request("Tell a long story about the sea.", 1000)).unwrap();
    story.next().await.unwrap().unwrap();
    model.score_next(request("Is Paris in France?", 1).messages, vec!["Yes".to_owned()]).await.unwrap();
    let chats = vec![request("A tent costs 90 euro.", 1).messages];
    assert!(model.relevance(chats, "tent".to_owned(), Unread::Read).await.unwrap().is_some());
    story.stop_flag().stop();
    // Whole, it would have five times as many words.
    assert!(story.text().await.unwrap().split_whitespace().count() < 150);
}

#[tokio::test]
async fn answers_at_the_same_time_are_those_of_one_after_another() {
    let Some(model) = chat_model().await else { return };
    let ask = |question: &str| model.generate(request(question, 12)).unwrap().text();
    let (together, other) = tokio::join!(ask(CAPITAL), ask("Name a colour of the sky."));
    assert_eq!(ask(CAPITAL).await.unwrap(), together.unwrap());
    assert_eq!(ask("Name a colour of the sky.").await.unwrap(), other.unwrap());
}

#[tokio::test]
async fn the_probe_tells_an_answer_from_what_is_merely_near() {
    let Some(files) = ModelStore::open(None).unwrap().cached("qwen2.5-0.5b-instruct") else { return };
    let (model, prompts) = (LanguageModel::local(&files).unwrap(), Prompts::load(None).unwrap());
    // Each question with the passage that answers and one about the same things that does not.
    let cases = [
        (
            "How long is the guarantee on tents?",
            "Guarantee\nProduct: Tents; Guarantee: 3 years",
            "Tents\nOur tents are sewn by hand in Porto and weigh at most two kilograms.",
        ),
        (
            "Can I pay with PayPal?",
            "Paying\nWe take Visa, Mastercard and PayPal.",
            "Paying\nYour card is charged when the parcel leaves our house.",
        ),
        (
            "寄到香港要多少钱？",
            "配送\n寄往香港的运费是 45 元，满 500 元免运费。",
            "配送\n寄往香港的包裹由顺丰派送，每周二发货。",
        ),
    ];
    for (question, answers, near) in cases {
        let chats = [answers, near].map(|text| prompts.question_about(text)).to_vec();
        let relevance = model.relevance(chats, question.to_owned(), Unread::Read).await.unwrap().unwrap();
        let Relevance::LogOdds(odds, _) = relevance else { panic!("the probe is for another model: {relevance:?}") };
        assert!(odds[0] > odds[1] + 1.0, "{question}: {odds:?}");
    }
}

#[tokio::test]
async fn a_question_is_most_relevant_to_the_passage_that_answers_it() {
    let Some(model) = chat_model().await else { return };
    let prompts = Prompts::load(None).unwrap();
    let about = |text: &str| prompts.question_about(text);
    let chats = vec![about("A tent costs 90 euro."), about("Paris is in France."), about("A tent costs 90 euro.")];
    let ask = |chats: &[Vec<ChatMessage>], question: &str, unread| {
        model.relevance(chats.to_vec(), question.to_owned(), unread)
    };
    let values = |relevance: Option<Relevance>| match relevance {
        Some(Relevance::LogOdds(values, _) | Relevance::Likelihoods(values)) => values,
        None => panic!("the chats were read"),
    };
    assert_eq!(ask(&chats, "Where is Paris?", Unread::Later).await.unwrap(), None);
    let price = values(ask(&chats, "How much is a tent?", Unread::Read).await.unwrap());
    let place = values(ask(&chats, "Where is Paris?", Unread::Later).await.unwrap());
    assert!(price[0] > price[1] && place[1] > place[0], "{price:?} {place:?}");
    assert!((price[0] - price[2]).abs() < 1e-6);
    assert!(ask(&chats, "", Unread::Read).await.is_err());
    let long = vec![request(&"word ".repeat(6000), 1).messages];
    let error = ask(&long, "x", Unread::Read).await.unwrap_err();
    assert!(matches!(error, InferenceError::ContextOverflow { .. }));
    model.read_ahead(&long).unwrap();
}

#[tokio::test]
async fn states_of_the_chat_model_are_vectors_of_messages() {
    let Some(model) = chat_model().await else { return };
    let states = ChatStates::of(model.clone()).unwrap();
    assert!(ChatStates::is_named(states.name()), "{}", states.name());
    let embedder = Embedder::Chat(states.clone());
    let texts = ["Where is my parcel?", "\"quoted\" words", "How do I send this back?", "When does my parcel arrive?"];
    let texts: Vec<String> = texts.map(str::to_owned).to_vec();
    let together = embedder.embed_queries(texts.clone()).await.unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), embedder.dimensions());
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-3);
        let alone = embedder.embed_queries(vec![text.clone()]).await.unwrap();
        assert!(cosine(vector, &alone[0]) > 0.999, "{text}");
    }
    assert!(cosine(&together[0], &together[3]) > cosine(&together[0], &together[2]));
    // The place of the model may be empty yet, or hold another one than the head was trained with.
    let refused = |name: &str, slot| {
        let embedder = Embedder::Chat(ChatStates::named(name, slot));
        async move { embedder.embed_queries(vec!["hello".to_owned()]).await.is_err() }
    };
    assert!(refused(states.name(), LanguageModelSlot::loading()).await);
    assert!(refused("another model state 00000000", model.clone().into()).await);
    assert!(!refused(states.name(), model.into()).await);
    assert!(ChatStates::of(LanguageModel::scripted(vec![])).is_none());
}
