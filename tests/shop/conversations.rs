//! The golden conversations of `tests/conversations`, held with the demo shop and the real encoder, without a chat
//! model. `cargo test --test shop conversations -- --nocapture` prints the table.
//!
//! A turn that fails today says so in its file (`known_failure = "why"`). The test fails when another turn fails, and
//! also when a marked one passes: then the mark goes, so that the list of what fails can only become shorter. A reply
//! that instruction sets round to either side of a threshold says `wavers = "why"` instead.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{TimeZone, Utc};
use serde::Deserialize;
use shoptalk::{
    app::{self, App, Models, ask::BatchLine},
    config::Config,
    engine::Clock,
    inference::LanguageModel,
    message::{Channel, Language, Reply, Route},
    models::ModelStore,
};

/// A file of conversations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversations {
    conversation: Vec<Golden>,
}

/// What a shopper says, turn by turn, and what has to hold of each reply.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// Unique in its file.
    name: String,
    /// A customer that the channel has verified.
    customer: Option<String>,
    turn: Vec<Turn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    say: String,
    /// The way the turn has to go, or several of which each is right.
    route: OneOrMore<Route>,
    /// Words that the reply has; in each text, `|` stands between alternatives. Case does not matter.
    #[serde(default)]
    reply_has: Vec<String>,
    /// Words that the reply must not have.
    #[serde(default)]
    reply_lacks: Vec<String>,
    /// A document that is cited.
    cites: Option<String>,
    /// The reply's language.
    language: Option<Language>,
    /// At least one of these products is shown.
    #[serde(default)]
    products_any: Vec<String>,
    /// None of these products is shown.
    #[serde(default)]
    products_none: Vec<String>,
    /// Why this turn fails today.
    known_failure: Option<String>,
    /// Why the turn may go either way: the reply lies at a threshold, within what instruction sets round differently.
    wavers: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// What is wrong with a reply, one phrase each; empty when it is as it should be.
fn wrong(turn: &Turn, reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    let routes = turn.route.as_slice();
    if !routes.contains(&reply.route) {
        let wanted: Vec<&str> = routes.iter().map(|route| route.as_str()).collect();
        wrong.push(format!("route is {}, not {}", reply.route.as_str(), wanted.join(" or ")));
    }
    let text = reply.text.to_lowercase();
    let has = |words: &str| text.contains(&words.to_lowercase());
    for words in turn.reply_has.iter().filter(|words| !words.split('|').any(has)) {
        wrong.push(format!("lacks {words:?}"));
    }
    for words in turn.reply_lacks.iter().filter(|words| has(words)) {
        wrong.push(format!("must not say {words:?}"));
    }
    if let Some(document) = &turn.cites
        && !reply.citations.iter().any(|citation| citation.document == *document)
    {
        let cited: Vec<&str> = reply.citations.iter().map(|citation| citation.document.as_str()).collect();
        wrong.push(format!("cites [{}], not {document}", cited.join(", ")));
    }
    if let Some(language) = turn.language.filter(|language| *language != reply.language) {
        wrong.push(format!("language is {}, not {language}", reply.language));
    }
    let shown: Vec<&str> = reply.products.iter().map(|card| card.sku.as_str()).collect();
    let is_shown = |sku: &String| shown.contains(&sku.as_str());
    if !turn.products_any.is_empty() && !turn.products_any.iter().any(is_shown) {
        wrong.push(format!("shows [{}], none of [{}]", shown.join(", "), turn.products_any.join(", ")));
    }
    for sku in turn.products_none.iter().filter(|sku| is_shown(sku)) {
        wrong.push(format!("must not show {sku}"));
    }
    wrong
}

/// What became of the turns of one file.
#[derive(Default)]
struct Tally {
    turns: usize,
    passed: usize,
    known: usize,
    /// What the test fails for.
    surprises: usize,
    report: String,
}

impl Tally {
    fn note(&mut self, place: &str, turn: &Turn, reply: &Reply) {
        self.turns += 1;
        let wrong = wrong(turn, reply);
        let verdict = match (wrong.is_empty(), turn.known_failure.as_ref().or(turn.wavers.as_ref())) {
            (true, None) => {
                self.passed += 1;
                return;
            }
            (true, Some(_)) if turn.wavers.is_some() => {
                self.passed += 1;
                return;
            }
            (true, Some(_)) => {
                self.passed += 1;
                self.surprises += 1;
                "PASSES NOW: take its known_failure out".to_owned()
            }
            (false, Some(why)) => {
                self.known += 1;
                format!("known ({why})")
            }
            (false, None) => {
                self.surprises += 1;
                "FAILS".to_owned()
            }
        };
        let _ = writeln!(self.report, "  {verdict}: {place}\n      › {}\n      ‹ {}", turn.say, one_line(&reply.text));
        for wrong in wrong {
            let _ = writeln!(self.report, "      ✗ {wrong}");
        }
    }
}

/// The first words of a text, on one line.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 200 { line.chars().take(200).chain(['…']).collect() } else { line }
}

/// The demo shop as of a fixed day, in a directory of its own; `None` and a line where the encoder is not cached.
pub async fn demo_shop(dir: &Path) -> Option<App> {
    let config = Config { data_dir: dir.to_owned(), ..Config::default() };
    let models = ModelStore::open(None).unwrap();
    for encoder in [&config.models.encoder, &config.models.english_encoder] {
        if models.cached(encoder).is_none() {
            println!("skipped: the encoder {encoder} is not in the cache; `shoptalk models pull` fetches it");
            return None;
        }
    }
    let clock = Clock::Fixed(Utc.with_ymd_and_hms(2026, 11, 27, 10, 0, 0).unwrap());
    let app = App::open_at(config, Models::Encoder, clock).await.unwrap();
    app::demo::import(&app).await.unwrap();
    Some(app)
}

fn conversation_files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

async fn hold_all(app: &App, path: &Path) -> Tally {
    let file = path.file_name().unwrap().to_string_lossy();
    let text = std::fs::read_to_string(path).unwrap();
    let golden: Conversations = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut tally = Tally::default();
    for (at, golden) in golden.conversation.iter().enumerate() {
        let line = BatchLine {
            id: format!("{}-{file}-{at}", Channel::Batch.as_str()),
            turns: golden.turn.iter().map(|turn| turn.say.clone()).collect(),
            customer: golden.customer.clone(),
        };
        let replies = app::ask::hold(app, &line).await.unwrap();
        assert_eq!(replies.len(), golden.turn.len(), "{file}: {:?}", golden.name);
        for (number, (turn, reply)) in golden.turn.iter().zip(&replies).enumerate() {
            tally.note(&format!("{file}, {:?}, turn {}", golden.name, number + 1), turn, reply);
        }
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_conversations_go_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let Some(app) = demo_shop(dir.path()).await else { return };
    let files = conversation_files();
    assert!(files.len() >= 12, "the conversations were not found");
    let mut table = format!("{:24}{:>7}{:>8}{:>8}{:>12}\n", "file", "turns", "passed", "known", "surprises");
    let mut reports = String::new();
    let mut row = |name: &str, tally: &Tally| {
        let Tally { turns, passed, known, surprises, .. } = tally;
        let _ = writeln!(table, "{name:24}{turns:>7}{passed:>8}{known:>8}{surprises:>12}");
    };
    let mut all = Tally::default();
    for path in files {
        let tally = hold_all(&app, &path).await;
        let name = path.file_name().unwrap().to_string_lossy();
        row(&name, &tally);
        if !tally.report.is_empty() {
            let _ = writeln!(reports, "{name}\n{}", tally.report);
        }
        all.turns += tally.turns;
        all.passed += tally.passed;
        all.known += tally.known;
        all.surprises += tally.surprises;
    }
    row("all", &all);
    println!("{reports}{table}");
    assert!(all.surprises == 0, "{} turns went otherwise than their file says; see above", all.surprises);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_model_takes_a_second_look_where_passages_lie_close_together() {
    let dir = tempfile::tempdir().unwrap();
    let Some(app) = demo_shop(dir.path()).await else { return };
    app.language_model.fill(LanguageModel::scripted(vec![]));
    let prompt = async |say: &str| {
        let line = BatchLine { id: say.to_owned(), turns: vec![say.to_owned()], customer: None };
        app::ask::hold(&app, &line).await.unwrap().remove(0).trace.prompt
    };
    assert_eq!(prompt("When do you take the money from my Visa?").await.as_deref(), Some("question v1"));
    assert_eq!(prompt("How much is home delivery in mainland Great Britain?").await, None, "one passage leads clearly");
    assert_eq!(prompt("Hello!").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_finds_what_other_words_ask_and_declines_what_is_merely_near() {
    let dir = tempfile::tempdir().unwrap();
    let Some(files) = ModelStore::open(None).unwrap().cached("qwen2.5-0.5b-instruct") else { return };
    let Some(app) = demo_shop(dir.path()).await else { return };
    app.language_model.fill(LanguageModel::local(&files).unwrap());
    let ask = async |say: &str| {
        let line = BatchLine { id: say.to_owned(), turns: vec![say.to_owned()], customer: None };
        // Nobody waits for passages that the model has not read yet.
        for _ in 0..600 {
            let reply = app::ask::hold(&app, &line).await.unwrap().remove(0);
            if reply.trace.passages.first().is_some_and(|passage| passage.read.is_some()) {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the passages of {say:?} were not read");
    };
    let card = ask("amex ok?").await;
    assert!(card.route == Route::Answer && card.text.contains("American Express"), "{}", card.text);
    assert!(card.trace.passages[0].read.unwrap() > card.trace.passages[1].read.unwrap());
    let parcel = ask("How long does a parcel to Hong Kong take?").await;
    assert!(parcel.route == Route::Answer && parcel.text.contains("香港"), "{}", parcel.text);
    let near = ask("How many people work in your warehouse?").await;
    assert!(near.declined, "{}", near.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_made_from_the_documents_are_asked_with_and_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let Some(app) = demo_shop(dir.path()).await else { return };
    assert!(app::eval_answers::ask_about_documents(&app).await.is_err(), "nobody writes questions");
    // What is too short to be a question is left out, and the same words are no other words.
    let script = [("We accept Visa", "Do you accept Visa and Mastercard?"), ("", "Hm")];
    let script = script.map(|(passage, question)| (passage.to_owned(), question.to_owned())).to_vec();
    app.language_model.fill(LanguageModel::scripted(script));
    let before = app.engine.snapshot().knowledge.passages().len();
    let report = app::eval_answers::ask_about_documents(&app).await.unwrap();
    let json = report.to_json();
    assert_eq!((&json["turns"], &json["correct"], &json["cited"]), (&2.into(), &1.0.into(), &1.0.into()), "{json}");
    let styles = json["right_by_style"].as_object().unwrap();
    assert!(styles.contains_key("plain") && styles.contains_key("document left out"), "{json}");
    for failure in json["failed"].as_array().unwrap() {
        assert!(!failure["reply"].as_str().unwrap().contains("We accept Visa"), "its document was left out: {failure}");
    }
    assert_eq!(app.engine.snapshot().knowledge.passages().len(), before, "the shop is as it was");
}

#[test]
fn a_reply_that_is_not_as_written_is_found_out() {
    let turn = |rest: &str| toml::from_str::<Turn>(&format!("say = \"?\"\nroute = \"answer\"\n{rest}")).unwrap();
    let reply: Reply = serde_json::from_value(serde_json::json!({
        "reply": "30 Days", "language": "en", "intent": "return_policy", "intent_confidence": 0.9, "route": "answer",
        "citations": [{"document": "returns.docx", "heading": "", "quote": "30 days", "score": 0.9}],
        "products": [], "handoff": false, "declined": false, "sentiment": "neutral", "generated": false,
        "latency_ms": {"first": 1, "total": 1},
    }))
    .unwrap();
    assert!(
        wrong(&turn("reply_has = [\"45 days|30 days\"]\ncites = \"returns.docx\"\nlanguage = \"en\""), &reply)
            .is_empty()
    );
    for rest in [
        "reply_has = [\"45\"]",
        "reply_lacks = [\"30 days\"]",
        "cites = \"faq.csv\"",
        "language = \"zh\"",
        "products_any = [\"A\"]",
    ] {
        assert_eq!(wrong(&turn(rest), &reply).len(), 1, "{rest}");
    }
    let smalltalk = toml::from_str::<Turn>("say = \"?\"\nroute = [\"smalltalk\", \"handoff\"]").unwrap();
    assert_eq!(wrong(&smalltalk, &reply), ["route is answer, not smalltalk or handoff"]);
}
