//! Updates that Telegram delivers to the webhook: with the secret only, acknowledged when durable, also through crashes.

use std::time::Duration;

use serde_json::json;

use super::harness::{FIRST_CHAT, Run};
use crate::support::{eventually, fake_telegram::FakeTelegram, process::Shop};

const SECRET: &str = "a_secret-of-the-shop";

/// A free port that a shop can listen on again after a crash, as behind a proxy.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn with_webhook(secret: Option<&str>) -> (Run, u16) {
    let (run, port) = (Run::new(1_000).await, port());
    let mut config = std::fs::read_to_string(run.config()).unwrap();
    config.push_str(&format!("[telegram.webhook]\nurl = \"http://127.0.0.1:{port}/telegram/webhook\"\n"));
    if let Some(secret) = secret {
        config.push_str(&format!("secret = \"{secret}\"\n"));
    }
    std::fs::write(run.config(), config).unwrap();
    (run, port)
}

async fn start(run: &Run, port: u16) -> Shop {
    Shop::start_at(&run.config(), &format!("127.0.0.1:{port}"), &[]).await
}

async fn until_delivered(run: &Run) {
    eventually("all is delivered", || std::future::ready(run.telegram.all_delivered().then_some(()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_takes_updates_with_the_secret_and_kills_lose_none() {
    let (mut run, port) = with_webhook(None).await;
    for _ in 0..3 {
        let shop = start(&run, port).await;
        run.write_for(60, 10, 60).await;
        shop.kill();
        run.write(FIRST_CHAT);
    }
    let shop = start(&run, port).await;
    until_delivered(&run).await;
    run.late = true;
    assert!(run.telegram.repeated() > 0, "nothing was delivered to a dead shop");
    run.settle().await;
    println!("{}, {} deliveries repeated", run.finish(shop).await, run.telegram.repeated());
    assert_eq!(run.telegram.calls("getUpdates").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_deliver_and_what_cannot_be_read_is_kept() {
    let (run, port) = with_webhook(Some(SECRET)).await;
    let shop = start(&run, port).await;
    eventually("the webhook is set", || {
        std::future::ready((!run.telegram.calls("setWebhook").is_empty()).then_some(()))
    })
    .await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}/telegram/webhook");
    let post = async |secret: Option<&str>, body: String| {
        let request = client.post(&url).body(body);
        let request = match secret {
            Some(secret) => request.header("X-Telegram-Bot-Api-Secret-Token", secret),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    let update = json!({"update_id": 1, "message": "hm"}).to_string();
    assert_eq!(post(None, update.clone()).await, 403);
    assert_eq!(post(Some("another"), update.clone()).await, 403);
    assert_eq!(run.store().await.set_aside_count().await.unwrap(), 0);
    // Twice the same, and something that is not even JSON: kept once each, so that Telegram need not repeat them.
    assert_eq!(post(Some(SECRET), update.clone()).await, 200);
    assert_eq!(post(Some(SECRET), update).await, 200);
    assert_eq!(post(Some(SECRET), "not JSON".to_owned()).await, 200);
    assert_eq!(post(Some(SECRET), "x".repeat(2 << 20)).await, 413);
    let kept = run.store().await.set_aside(10).await.unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let set = run.telegram.calls("setWebhook").remove(0).params;
    assert_eq!((set["url"].as_str(), set["secret_token"].as_str()), (Some(url.as_str()), Some(SECRET)));
    let (_, log) = shop.interrupt().await;
    assert!(!log.contains(SECRET), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn back_to_fetching_says_what_to_do() {
    let (run, port) = with_webhook(Some(SECRET)).await;
    let shop = start(&run, port).await;
    eventually("the webhook is set", || {
        std::future::ready((!run.telegram.calls("setWebhook").is_empty()).then_some(()))
    })
    .await;
    shop.kill();
    let config = std::fs::read_to_string(run.config()).unwrap();
    std::fs::write(run.config(), config.split("[telegram.webhook]").next().unwrap()).unwrap();
    let shop = run.start().await;
    eventually("the log says what to do", || {
        std::future::ready(shop.log().contains("put [telegram.webhook] back").then_some(()))
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (_, log) = shop.interrupt().await;
    assert!(log.contains("deleteWebhook") && !log.contains(&FakeTelegram::token()), "{log}");
}
