//! A shop whose chat model is on a server: its settings, its answers and its health, while the server is well and while it
//! is not.

use std::path::Path;

use serde_json::{Value, json};
use shoptalk::{
    app::{self, ask::BatchLine},
    config::Config,
    inference::LanguageModel,
    models::ModelStore,
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    conversations::demo_shop,
    support::{
        eventually,
        model_server::{ModelServer, Say},
        process, quoted,
    },
};

const KEY_VARIABLE: &str = "SHOPTALK_TEST_REMOTE_KEY";
const KEY: &str = "sk-SECRETsecretSECRET";
/// In a Chinese document of the demo shop.
const ALIPAY: &str = "Can I pay with Alipay, and is there a limit?";
const ALIPAY_ANSWER: &str = "Yes, Alipay and WeChat Pay are both supported, up to 800 pounds per payment.";

fn write_settings(dir: &TempDir, encoder: &str, remote: &str) -> std::path::PathBuf {
    let config = dir.path().join("shoptalk.toml");
    let data = quoted(&dir.path().join("data"));
    let text = format!("data_dir = {data}\n[models]\n{encoder}\n[models.remote]\nmodel = \"big-model\"\n{remote}\n");
    std::fs::write(&config, text).unwrap();
    config
}

/// Runs the program to its end; what it wrote to standard output and to standard error.
async fn run(config: &Path, args: &[&str], key: Option<&str>) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoptalk"));
    command.args(args).arg("--config").arg(config).env_remove("RUST_LOG").env_remove(KEY_VARIABLE);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    if let Some(key) = key {
        command.env(KEY_VARIABLE, key);
    }
    let output = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_line_asks_the_server_that_the_settings_name() {
    for encoder in ["multilingual-e5-small", "all-minilm-l6-v2"] {
        if ModelStore::open(None).unwrap().cached(encoder).is_none() {
            println!("skipped: the encoder {encoder} is not in the cache; `shoptalk models pull` fetches it");
            return;
        }
    }
    let (dir, server) = (tempfile::tempdir().unwrap(), ModelServer::start().await);
    let remote = format!("base_url = {:?}\nkey_env = {KEY_VARIABLE:?}\nretries_max = 0", server.url());
    let config = write_settings(&dir, "", &remote);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("knowledge/demo-shop/faq/常见问题.csv");
    let (imported, _, log) = run(&config, &["import", document.to_str().unwrap()], None).await;
    assert!(imported, "{log}");
    let ask = async |key| {
        let (_, line, log) = run(&config, &["ask", ALIPAY, "--json"], key).await;
        assert!(!line.contains("SECRET") && !log.contains("SECRET"), "{line}{log}");
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{log}"));
        (line, log)
    };
    // The first request sees whether the server answers.
    server.order(Say::words(&["Hi"]));
    server.order(Say::words(&["Yes, Alipay and WeChat Pay are both ", "supported, up to 800 pounds per payment."]));
    let (line, _) = ask(Some(KEY)).await;
    assert_eq!((&line["route"], &line["generated"]), (&json!("answer"), &json!(true)), "{line}");
    assert!(line["reply"].as_str().unwrap().contains(ALIPAY_ANSWER), "{line}");
    let asked = server.asked();
    assert_eq!((asked.len(), &asked[1].body["model"]), (2, &json!("big-model")));
    assert_eq!(asked[1].authorization.as_deref(), Some(&*format!("Bearer {KEY}")));
    let sent = asked[1].body["messages"].to_string();
    assert!(sent.contains("支付宝") && !sent.contains("limit"), "the shop's words, not the shopper's: {sent}");
    // Without the server, and without its key, the shop's own words are said.
    server.usually(Say::error(401, &format!("{KEY} is no key")));
    for (key, words) in [(Some(KEY), "answered 401: <secret> is no key"), (None, KEY_VARIABLE)] {
        let (line, log) = ask(key).await;
        assert_eq!((&line["route"], &line["generated"]), (&json!("answer"), &json!(false)), "{line}");
        assert!(line["reply"].as_str().unwrap().contains("单笔最高800英镑"), "{line}");
        assert!(log.contains(words), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_changes_no_ranking_and_is_asked_only_for_translations() {
    let dir = tempfile::tempdir().unwrap();
    let Some(app) = demo_shop(dir.path()).await else { return };
    let hold = async |say: &str| {
        let line = BatchLine { id: say.to_owned(), turns: vec![say.to_owned()], customer: None };
        let reply = app::ask::hold(&app, &line).await.unwrap().remove(0);
        let scores: Vec<f32> = reply.trace.passages.iter().map(|passage| passage.score).collect();
        (reply.text, reply.route, reply.trace.prompt, scores)
    };
    // The first of these has a second look by a model without a probe.
    let questions = ["When do you take the money from my Visa?", "How long can I return hiking boots?", "运费是多少？"];
    let mut without = Vec::new();
    for question in questions {
        without.push(hold(question).await);
    }
    let server = ModelServer::start().await;
    let text = format!("[models.remote]\nbase_url = {:?}\nmodel = \"m\"", server.url());
    let settings = toml::from_str::<Config>(&text).unwrap().models.remote.unwrap();
    app.language_model.fill(LanguageModel::remote(&settings, None).unwrap());
    app.engine.read_ahead();
    for (question, without) in questions.iter().zip(without) {
        assert_eq!(hold(question).await, without, "{question}");
    }
    assert_eq!(server.asked().len(), 0);
    server.order(Say::words(&[ALIPAY_ANSWER]));
    let (text, _, prompt, _) = hold(ALIPAY).await;
    assert!(text.contains(ALIPAY_ANSWER) && prompt.is_some(), "{text}");
    // What the server invents is not said.
    server.order(Say::words(&["Yes, up to 900 pounds per payment."]));
    let (text, ..) = hold(ALIPAY).await;
    assert!(text.contains("单笔最高800英镑") && !text.contains("900"), "{text}");
}

#[tokio::test]
async fn the_health_says_when_the_server_goes_and_when_it_is_back() {
    let (dir, server) = (tempfile::tempdir().unwrap(), ModelServer::start().await);
    let config = write_settings(&dir, "encoder = \"hashed\"", &format!("base_url = {:?}", server.url()));
    let shop = process::Shop::start(&config).await;
    let readyz = async || -> Value {
        let response = reqwest::get(format!("{}/readyz", shop.url())).await.unwrap();
        assert_eq!(response.status(), 200, "shoppers are answered all the time");
        response.json().await.unwrap()
    };
    let wait_for = async |status: &str, chat_model: &str| {
        eventually(chat_model, async || {
            let health = readyz().await;
            let state = health["chat_model"].as_str().unwrap();
            (health["status"] == status && state.starts_with(chat_model)).then(|| state.to_owned())
        })
        .await
    };
    assert_eq!(wait_for("ready", "ready").await, "ready");
    server.usually(Say::error(503, "out of memory"));
    let state = wait_for("degraded", "unreachable: ").await;
    assert!(state.contains(&server.url()) && state.contains("503"), "{state}");
    let metrics = reqwest::get(format!("{}/metrics", shop.url())).await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"shoptalk_model_state{model="chat",state="unreachable"} 1"#), "{metrics}");
    server.usually(Say::words(&["Here again"]));
    wait_for("ready", "ready").await;
    let (status, log) = shop.interrupt().await;
    assert!(status.success() && log.contains("answers again"), "{log}");
}
