//! What an operator sees: `/healthz`, `/readyz` and `/metrics` of the real program.

use serde_json::{Value, json};

use crate::support::{eventually, process::Shop, quoted};

/// A shop with this chat model; the settings live in `dir`.
async fn start(dir: &tempfile::TempDir, chat: &str) -> Shop {
    let config = dir.path().join("shoptalk.toml");
    let data = quoted(&dir.path().join("data"));
    let text = format!("data_dir = {data}\n[models]\nencoder = \"hashed\"\nchat = {chat:?}\n");
    std::fs::write(&config, text).unwrap();
    Shop::start(&config).await
}

async fn readyz(shop: &Shop) -> (u16, Value) {
    let response = reqwest::get(format!("{}/readyz", shop.url())).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_shop_that_wants_no_chat_model_is_ready_and_counts_its_turns() {
    let dir = tempfile::tempdir().unwrap();
    let shop = start(&dir, "").await;
    assert_eq!(reqwest::get(format!("{}/healthz", shop.url())).await.unwrap().text().await.unwrap(), "ok");
    let expected = json!({
        "status": "ready", "database": "ok", "encoder": "hashed", "chat_model": "absent",
        "knowledge_version": 0, "passages": 0, "passages_to_read": 0, "products": 0,
    });
    assert_eq!(readyz(&shop).await, (200, expected));
    let sent = reqwest::Client::new()
        .post(format!("{}/api/widget/messages", shop.url()))
        .header("x-shoptalk-visitor", "0123456789abcdef0123456789abcdef")
        .json(&json!({"id": "m1", "text": "Hello!"}))
        .send();
    assert!(sent.await.unwrap().status().is_success());
    let turns = r#"shoptalk_turns_total{channel="widget",language="en",route="smalltalk"} 1"#;
    let metrics = eventually("the turn is counted", async || {
        let text = reqwest::get(format!("{}/metrics", shop.url())).await.unwrap().text().await.unwrap();
        text.contains(turns).then_some(text)
    })
    .await;
    for line in [
        r#"shoptalk_turn_seconds_count{channel="widget",route="smalltalk"} 1"#,
        "shoptalk_inbox_waiting 0",
        "shoptalk_outbox_waiting 0",
        r#"shoptalk_model_state{model="chat",state="absent"} 1"#,
        r#"shoptalk_model_state{model="chat",state="ready"} 0"#,
    ] {
        assert!(metrics.lines().any(|have| have == line), "no {line} in\n{metrics}");
    }
    let (status, _) = shop.interrupt().await;
    assert!(status.success());
}

#[tokio::test]
async fn a_shop_whose_chat_model_is_missing_answers_and_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let shop = start(&dir, "no-such-model").await;
    let health = eventually("the chat model has failed", async || {
        let (code, health) = readyz(&shop).await;
        assert_eq!(code, 200);
        (health["chat_model"] != "loading").then_some(health)
    })
    .await;
    assert_eq!(health["status"], "degraded");
    let why = health["chat_model"].as_str().unwrap();
    assert!(why.starts_with("failed: ") && why.contains("no-such-model"), "{why}");
    let (status, log) = shop.interrupt().await;
    assert!(status.success() && log.contains("no chat model"), "{log}");
}
