//! A stored conversation made again: the same bytes while nothing has changed, the difference named when something has,
//! and nothing written either way.

use std::sync::{Arc, Mutex};

use chrono::{TimeDelta, Utc};
use shoptalk::{
    app::{App, Models, demo, replay::replay},
    catalog::OrderStatus,
    config::{Config, ModelsConfig},
    engine::{Clock, StoredTurn},
    message::{Channel, Inbound, Origin, Route},
};
use tokio_util::sync::CancellationToken;

use crate::support::eventually;

const CHAT: &str = "visitor";
const SAID: &[&str] = &[
    "How long can I return hiking boots?",
    "and a tent?",
    "Where is my order KC-70440?",
    "my mail is yang.liu@example.com",
    "oh sorry, liu.yang@example.org",
    "运费多少钱？",
];

fn config(dir: &tempfile::TempDir) -> Config {
    let models = ModelsConfig { encoder: "hashed".to_owned(), chat: String::new(), ..ModelsConfig::default() };
    Config { data_dir: dir.path().to_owned(), models, ..Config::default() }
}

/// Has the shop answer `SAID` as a channel would.
async fn converse(app: &App) {
    for (number, text) in SAID.iter().enumerate() {
        let inbound = Inbound {
            channel: Channel::Widget,
            chat: CHAT.to_owned(),
            update_id: number.to_string(),
            text: (*text).to_owned(),
            customer: None,
            language_hint: None,
            received_at: Utc::now(),
            attachments: Vec::new(),
            origin: Origin::default(),
        };
        assert!(app.dispatcher.accept(&inbound).await.unwrap());
    }
    let shutdown = CancellationToken::new();
    let work = tokio::spawn({
        let (dispatcher, shutdown) = (app.dispatcher.clone(), shutdown.clone());
        async move { dispatcher.run(shutdown).await }
    });
    eventually("every message is answered", async || {
        let (inbox, _) = app.store.waiting_counts().await.unwrap();
        (inbox == 0).then_some(())
    })
    .await;
    shutdown.cancel();
    work.await.unwrap();
}

async fn replayed(dir: &tempfile::TempDir, conversation: i64) -> Vec<shoptalk::app::replay::Replayed> {
    let turn = Arc::new(Mutex::new(StoredTurn { at: Utc::now(), reranked: false, queue: None }));
    let app = App::open_at(config(dir), Models::All, Clock::Replay(Arc::clone(&turn))).await.unwrap();
    replay(&app, &turn, conversation).await.unwrap()
}

#[tokio::test]
async fn a_conversation_is_made_again_byte_for_byte_until_something_changes() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::open(config(&dir), Models::Encoder).await.unwrap();
    demo::import(&app).await.unwrap();
    converse(&app).await;
    let conversation = app.store.conversation(Channel::Widget, CHAT).await.unwrap().unwrap();
    let hour = TimeDelta::hours(1);
    let failures = async || app.store.verification_failures("KC-70440", Utc::now() - hour..Utc::now() + hour).await;
    assert_eq!(failures().await.unwrap(), 1);

    let same = replayed(&dir, conversation.id).await;
    assert_eq!(same.iter().map(|turn| turn.question.as_str()).collect::<Vec<_>>(), SAID);
    for turn in &same {
        assert_eq!(turn.differences(), Vec::<String>::new(), "{}", turn.question);
    }
    assert!(same.iter().any(|turn| turn.now.route == Route::OrderStatus), "the proof is remembered");
    assert_eq!(failures().await.unwrap(), 1, "a replay tries nobody's order");
    let messages = app.store.messages(conversation.id, 0).await.unwrap();
    assert_eq!(messages.len(), 2 * SAID.len(), "a replay writes no message");

    let mut order = app.store.order("KC-70440").await.unwrap().unwrap();
    order.status = OrderStatus::Cancelled;
    app.store.upsert_orders(&[order]).await.unwrap();
    assert!(app.store.delete_document("returns.docx").await.unwrap());
    let changed = replayed(&dir, conversation.id).await;
    assert_eq!(changed[0].differences(), ["trace.passages"], "another passage is nearest");
    assert!(changed[4].differences().contains(&"reply".to_owned()), "the order has moved on");
    assert!(changed[0].before.trace.knowledge_version < changed[0].now.trace.knowledge_version);
}

#[tokio::test]
async fn a_conversation_that_does_not_exist_is_named() {
    let dir = tempfile::tempdir().unwrap();
    App::open(config(&dir), Models::Encoder).await.unwrap();
    let error = shoptalk::app::replay::run(config(&dir), 12, false).await.unwrap_err().to_string();
    assert!(error.contains("no conversation 12") && error.contains("console"), "{error}");
}
