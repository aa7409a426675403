//! From inbox to outbox, on each database that the shop can keep: every message gets its turn once and in order, and
//! one that cannot be answered holds nobody up.

use chrono::Utc;
use shoptalk::{
    app::{App, Models},
    config::{Config, ModelsConfig, Secret},
    conversation::Conversation,
    message::{Channel, Inbound, Origin},
    storage::{Author, Store},
};
use sqlx::Executor;
use tokio_util::sync::CancellationToken;

use crate::support::{
    databases::{Database, on_each_database},
    eventually,
};

/// The shop over a database, as one process runs it.
async fn open(database: &Database) -> App {
    let models = ModelsConfig { encoder: "hashed".to_owned(), chat: String::new(), ..ModelsConfig::default() };
    let config = Config {
        data_dir: database.dir.path().to_owned(),
        database_url: Some(Secret::new(&database.url)),
        models,
        ..Config::default()
    };
    // A large future, and the tests hold two at a time.
    Box::pin(App::open(config, Models::Encoder)).await.unwrap()
}

fn inbound(chat: &str, number: usize) -> Inbound {
    Inbound {
        channel: Channel::Telegram,
        chat: chat.to_owned(),
        update_id: number.to_string(),
        text: format!("Do you sell hats number {number}?"),
        customer: None,
        language_hint: None,
        received_at: Utc::now(),
        attachments: Vec::new(),
        origin: Origin::default(),
    }
}

/// Runs dispatchers over the same database until nothing waits.
async fn work_all(apps: &[&App]) {
    let shutdown = CancellationToken::new();
    let work: Vec<_> = apps
        .iter()
        .map(|app| {
            let (dispatcher, shutdown) = (app.dispatcher.clone(), shutdown.clone());
            tokio::spawn(async move { dispatcher.run(shutdown).await })
        })
        .collect();
    eventually("the inbox is empty", async || {
        let (inbox, _) = apps[0].store.waiting_counts().await.unwrap();
        (inbox == 0).then_some(())
    })
    .await;
    shutdown.cancel();
    for work in work {
        work.await.unwrap();
    }
}

async fn transcript(store: &Store, chat: &str) -> Vec<(Author, String)> {
    let conversation = store.conversation(Channel::Telegram, chat).await.unwrap().expect("a conversation");
    let messages = store.messages(conversation.id, 0).await.unwrap();
    messages.into_iter().map(|message| (message.author, message.text)).collect()
}

/// Each message in the order in which it came, each with a reply behind it, and each reply in the outbox.
async fn assert_answered_in_order(store: &Store, chat: &str, count: usize) {
    let transcript = transcript(store, chat).await;
    let asked: Vec<String> =
        transcript.iter().filter(|(author, _)| *author == Author::Shopper).map(|(_, text)| text.clone()).collect();
    let sent: Vec<String> = (0..count).map(|number| inbound(chat, number).text).collect();
    assert_eq!(asked, sent, "{chat}");
    let turns: Vec<Author> = transcript.iter().map(|(author, _)| *author).collect();
    assert_eq!(turns, [Author::Shopper, Author::Bot].repeat(count), "{chat}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_chat_is_answered_in_order_and_once() {
    on_each_database(async |database: &Database| {
        let app = open(database).await;
        for number in 0..5 {
            for chat in ["a", "b", "c"] {
                assert!(app.dispatcher.accept(&inbound(chat, number)).await.unwrap());
                assert!(!app.dispatcher.accept(&inbound(chat, number)).await.unwrap(), "delivered twice");
            }
        }
        work_all(&[&app]).await;
        for chat in ["a", "b", "c"] {
            assert_answered_in_order(&app.store, chat, 5).await;
        }
        assert_eq!(app.store.waiting_counts().await.unwrap(), (0, 15));
        let due = app.store.pending_outbox(Channel::Telegram, Utc::now(), 10).await.unwrap();
        assert_eq!(due.len(), 3, "the oldest of each chat");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_over_one_database_answer_once_and_in_order() {
    on_each_database(async |database: &Database| {
        let (one, two) = (open(database).await, open(database).await);
        for number in 0..6 {
            for chat in ["a", "b", "c", "d"] {
                one.store.accept(&inbound(chat, number)).await.unwrap();
            }
        }
        work_all(&[&one, &two]).await;
        for chat in ["a", "b", "c", "d"] {
            assert_answered_in_order(&two.store, chat, 6).await;
        }
        assert_eq!(one.store.waiting_counts().await.unwrap(), (0, 24));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_when_the_program_ended_is_answered_by_the_next_one() {
    on_each_database(async |database: &Database| {
        // Accepted, acknowledged, and then the power went.
        database.store.accept(&inbound("a", 0)).await.unwrap();
        let app = open(database).await;
        work_all(&[&app]).await;
        assert_answered_in_order(&app.store, "a", 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_answered_is_set_aside_and_the_others_go_on() {
    on_each_database(async |database: &Database| {
        let app = open(database).await;
        app.store.accept(&inbound("broken", 0)).await.unwrap();
        work_all(&[&app]).await;
        // What the bot remembers of this chat cannot be read any more.
        let pool = sqlx::AnyPool::connect(&database.url).await.unwrap();
        pool.execute("UPDATE conversations SET memory_json = 'nonsense'").await.unwrap();
        app.store.accept(&inbound("broken", 1)).await.unwrap();
        app.store.accept(&inbound("other", 0)).await.unwrap();
        work_all(&[&app]).await;
        assert_answered_in_order(&app.store, "other", 1).await;
        let receipts = app.store.receipts(Channel::Telegram, "broken", i64::MAX - 1).await.unwrap();
        assert_eq!((receipts.len(), receipts[0].message_id), (1, None), "set aside");
        // Once mended, the chat goes on.
        let memory = serde_json::to_string(&Conversation::new(Channel::Telegram, "x").memory).unwrap();
        sqlx::query("UPDATE conversations SET memory_json = $1").bind(memory).execute(&pool).await.unwrap();
        app.store.accept(&inbound("broken", 2)).await.unwrap();
        work_all(&[&app]).await;
        let words = transcript(&app.store, "broken").await;
        assert_eq!(words.len(), 4, "{words:?}");
        pool.close().await;
    })
    .await;
}
