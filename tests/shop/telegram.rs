//! The Telegram bot as shoppers meet it: the real program against a Bot API server that has bad days.

mod native;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use chrono::Utc;
use serde_json::json;
use shoptalk::{
    conversation::Conversation,
    message::{Channel, Inbound, Origin},
    storage::{Author, Store, TurnOutcome},
};
use tempfile::TempDir;

use crate::support::{
    eventually,
    fake_telegram::{BOT_ID, FakeTelegram, Fault, TOKEN_SECRET, private_message},
    process::Shop,
};

const ADA: i64 = 1001;
const BOB: i64 = 1002;

/// A data directory, settings, and the Telegram they point at.
struct Setup {
    telegram: FakeTelegram,
    dir: TempDir,
}

impl Setup {
    async fn new() -> Self {
        let setup = Self { telegram: FakeTelegram::start().await, dir: tempfile::tempdir().unwrap() };
        setup.write_config(&FakeTelegram::token());
        setup
    }

    fn write_config(&self, token: &str) {
        let config = format!(
            "data_dir = \"{data_dir}\"\n[models]\nencoder = \"hashed\"\nchat = \"\"\n[telegram]\ntoken = \"{token}\"\napi_url = \"{url}\"\nburst_ms = 0\n",
            data_dir = self.dir.path().join("data").display(),
            url = self.telegram.url(),
        );
        std::fs::write(self.config(), config).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("shoptalk.toml")
    }

    async fn start(&self) -> Shop {
        Shop::start(&self.config()).await
    }

    async fn store(&self) -> Store {
        Store::open(&self.dir.path().join("data")).await.unwrap()
    }

    /// What a chat's transcript holds, as author and words.
    async fn transcript(&self, chat: i64) -> Vec<(Author, String)> {
        let store = self.store().await;
        let conversation = store.conversation(Channel::Telegram, &key(chat)).await.unwrap().expect("a conversation");
        let messages = store.messages(conversation.id, 0).await.unwrap();
        messages.into_iter().map(|message| (message.author, message.text)).collect()
    }

    /// Puts a shopper's message into the transcript and these answers of a person into the outbox.
    async fn staff_wrote(&self, chat: i64, texts: &[&str]) {
        let (store, at) = (self.store().await, Utc::now());
        let conversation = Conversation::new(Channel::Telegram, key(chat));
        let inbound = Inbound {
            channel: Channel::Telegram,
            chat: key(chat),
            update_id: "seed".to_owned(),
            text: "hello".to_owned(),
            customer: None,
            language_hint: None,
            received_at: at,
            attachments: Vec::new(),
            origin: Origin::default(),
        };
        let inbox_id = store.accept(&inbound).await.unwrap().unwrap();
        let turn = TurnOutcome { inbox_id, conversation: &conversation, shopper_text: "hello", reply: None, at };
        store.commit_turn(&turn).await.unwrap().unwrap();
        let id = store.conversation(Channel::Telegram, &key(chat)).await.unwrap().unwrap().id;
        for text in texts {
            // Without a name nothing stands before the words.
            store.staff_reply(id, "", text, at).await.unwrap();
        }
    }

    async fn wait_for_shown(&self, chat: i64, count: usize) -> Vec<String> {
        eventually(&format!("chat {chat} shows {count} messages"), || {
            let shown = self.telegram.shown(chat);
            std::future::ready((shown.len() >= count).then_some(shown))
        })
        .await
    }

    /// The words that were sent to a chat, also those that Telegram did not take, in order.
    fn tried(&self, chat: i64) -> Vec<String> {
        let tries = self.telegram.tries(chat).into_iter();
        tries.map(|call| call.params["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Has another shopper served, so that whatever else was under way had its time; then ends the program and checks
    /// that it ended well and kept the token to itself.
    async fn finish(&self, shop: Shop) -> String {
        self.telegram.write(9_999, "Good morning");
        self.wait_for_shown(9_999, 1).await;
        let (status, log) = shop.interrupt().await;
        assert!(status.success(), "{status}: {log}");
        assert!(!log.contains(TOKEN_SECRET), "{log}");
        log
    }
}

fn key(chat: i64) -> String {
    format!("{BOT_ID}:{chat}")
}

/// The words a shopper sent, by a transcript.
fn asked(transcript: &[(Author, String)]) -> Vec<&str> {
    transcript.iter().filter(|(author, _)| *author == Author::Shopper).map(|(_, text)| text.as_str()).collect()
}

#[tokio::test]
async fn a_message_is_answered_in_its_chat() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.telegram.write(ADA, "/start");
    setup.telegram.write(BOB, "你好，我想退货");
    let shown = setup.wait_for_shown(ADA, 1).await;
    setup.wait_for_shown(BOB, 1).await;
    setup.finish(shop).await;

    assert_eq!(setup.telegram.shown(ADA), shown);
    let ada = setup.transcript(ADA).await;
    assert_eq!(asked(&ada), ["/start"]);
    assert!(shown[0].starts_with(ada[1].1.trim()), "{shown:?} against {ada:?}");
    assert_eq!(asked(&setup.transcript(BOB).await), ["你好，我想退货"]);
    let menus: Vec<_> = setup.telegram.calls("setMyCommands").into_iter().map(|call| call.params).collect();
    assert_eq!(menus.len(), 2);
    assert!(menus.iter().any(|menu| menu["language_code"] == "zh") && menus[0]["commands"][0]["command"] == "start");
    let typing = setup.telegram.calls("sendChatAction");
    assert!(typing.iter().any(|call| call.params == json!({"chat_id": ADA, "action": "typing"})), "{typing:?}");
}

#[tokio::test]
async fn a_pressed_button_says_its_text() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.telegram.press(ADA, "query-1", "=Where is my order?");
    setup.wait_for_shown(ADA, 1).await;
    setup.finish(shop).await;

    assert_eq!(asked(&setup.transcript(ADA).await), ["Where is my order?"]);
    let answered = setup.telegram.calls("answerCallbackQuery");
    assert_eq!(answered.iter().map(|call| &call.params["callback_query_id"]).collect::<Vec<_>>(), ["query-1"]);
}

/// Prints how long people see their button spin: from the press until its acknowledgement has reached Telegram.
#[tokio::test]
async fn every_pressed_button_is_acknowledged_once_while_others_are_answered() {
    const PRESSES: i64 = 60;
    let setup = Setup::new().await;
    let shop = setup.start().await;
    let mut pressed = Vec::new();
    for press in 0..PRESSES {
        pressed.push(Instant::now());
        setup.telegram.press(ADA + 1_000 + press % 20, &format!("query-{press}"), "=Where is my order?");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let answered = eventually("every button is acknowledged", || {
        let calls = setup.telegram.calls("answerCallbackQuery");
        std::future::ready((calls.len() >= PRESSES as usize).then_some(calls))
    })
    .await;
    setup.finish(shop).await;
    assert_eq!(setup.telegram.calls("answerCallbackQuery").len(), PRESSES as usize);
    let mut waits: Vec<Duration> = (0..PRESSES as usize)
        .map(|press| {
            let id = format!("query-{press}");
            let call = answered.iter().find(|call| call.params["callback_query_id"] == id);
            call.unwrap_or_else(|| panic!("{id} is acknowledged")).at - pressed[press]
        })
        .collect();
    waits.sort_unstable();
    let [half, most] = [waits.len() / 2, waits.len() * 95 / 100].map(|at| waits[at].as_millis());
    println!("buttons are acknowledged after {half} ms (p50), {most} ms (p95)");
}

#[tokio::test]
async fn a_message_without_words_is_answered_and_a_group_is_not() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup
        .telegram
        .update(&json!({"message": private_message(ADA, &json!({"voice": {"file_id": "v", "duration": 2}}))}));
    let group =
        json!({"message_id": 1, "date": 0, "chat": {"id": -5, "type": "supergroup", "title": "g"}, "text": "hi"});
    setup.telegram.update(&json!({"message": group}));
    setup.wait_for_shown(ADA, 1).await;
    setup.finish(shop).await;
    assert_eq!(setup.telegram.tries(-5).len(), 0);
}

#[tokio::test]
async fn a_crash_between_update_and_reply_loses_and_doubles_nothing() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.telegram.order("sendMessage", Fault::HangBefore);
    let update = setup.telegram.write(ADA, "Do you ship abroad?");
    eventually("the reply is on its way and the update confirmed", || {
        let confirmed = setup.telegram.offset() > update;
        std::future::ready((confirmed && setup.telegram.tries(ADA).len() == 1).then_some(()))
    })
    .await;
    shop.kill();

    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 1).await;
    setup.finish(shop).await;
    assert_eq!(setup.telegram.shown(ADA).len(), 1);
    let transcript = setup.transcript(ADA).await;
    assert_eq!(transcript.iter().map(|(author, _)| *author).collect::<Vec<_>>(), [Author::Shopper, Author::Bot]);
}

#[tokio::test]
async fn thirty_updates_survive_crash_after_crash() {
    const CRASHES: i64 = 3;
    const SENDS_AT_ONCE: usize = 16;
    let setup = Setup::new().await;
    let chats = 2000..2030;
    for crash in 0..CRASHES {
        let shop = setup.start().await;
        for chat in chats.clone().skip(crash as usize * 10).take(10) {
            setup.telegram.write(chat, &format!("Question number {chat}"));
        }
        let answered_max = crash * 10 + 3;
        eventually("some are answered", || {
            let answered = chats.clone().filter(|chat| !setup.telegram.shown(*chat).is_empty()).count();
            std::future::ready((answered as i64 >= answered_max).then_some(()))
        })
        .await;
        shop.kill();
    }
    let shop = setup.start().await;
    for chat in chats.clone() {
        setup.wait_for_shown(chat, 1).await;
    }
    setup.finish(shop).await;

    let mut repeated = 0;
    for chat in chats {
        let transcript = setup.transcript(chat).await;
        assert_eq!(asked(&transcript), [format!("Question number {chat}")]);
        assert_eq!(transcript.len(), 2, "{transcript:?}");
        let mut shown = setup.telegram.shown(chat);
        repeated += shown.len() - 1;
        shown.dedup();
        assert_eq!(shown.len(), 1, "only the same reply may come again");
    }
    // Only what Telegram took and the killed program could not note may come again.
    assert!(repeated <= CRASHES as usize * SENDS_AT_ONCE, "{repeated} replies came again");
}

#[tokio::test]
async fn repeated_and_disordered_updates_are_worked_once_and_in_order() {
    let setup = Setup::new().await;
    setup.telegram.reverse_batches();
    let first = setup.telegram.write(ADA, "First question");
    let second = setup.telegram.write(ADA, "Second question");
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 2).await;
    setup.telegram.deliver_again(first);
    setup.telegram.deliver_again(second);
    setup.telegram.deliver_again(first);
    setup.telegram.write(ADA, "Third question");
    setup.wait_for_shown(ADA, 3).await;
    setup.finish(shop).await;

    assert_eq!(asked(&setup.transcript(ADA).await), ["First question", "Second question", "Third question"]);
    assert_eq!(setup.telegram.shown(ADA).len(), 3);
}

#[tokio::test]
async fn an_asked_wait_is_kept_and_so_is_the_order() {
    const RETRY_AFTER_S: u64 = 3;
    let setup = Setup::new().await;
    setup.staff_wrote(ADA, &["one", "two"]).await;
    setup.telegram.order("sendMessage", Fault::RetryAfter(RETRY_AFTER_S));
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 2).await;
    setup.finish(shop).await;

    let tries = setup.telegram.tries(ADA);
    assert_eq!(setup.tried(ADA), ["one", "one", "two"]);
    assert!(tries[1].at - tries[0].at >= Duration::from_secs(RETRY_AFTER_S), "sent before the wait was over");
}

#[tokio::test]
async fn a_failing_server_delays_a_chat_but_keeps_its_order() {
    let setup = Setup::new().await;
    setup.staff_wrote(ADA, &["one", "two", "three"]).await;
    setup.telegram.order("getMe", Fault::Status(502));
    setup.telegram.order("getUpdates", Fault::Status(500));
    setup.telegram.order("sendMessage", Fault::Status(502));
    setup.telegram.order("sendMessage", Fault::Status(503));
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 3).await;
    setup.finish(shop).await;
    assert_eq!(setup.tried(ADA), ["one", "one", "one", "two", "three"]);
}

#[tokio::test]
async fn a_send_that_was_not_carried_out_is_tried_again() {
    let setup = Setup::new().await;
    setup.staff_wrote(ADA, &["one", "two"]).await;
    setup.telegram.order("sendMessage", Fault::HangBefore);
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 2).await;
    setup.finish(shop).await;
    assert_eq!(setup.tried(ADA), ["one", "one", "two"]);
}

#[tokio::test]
async fn a_send_that_was_carried_out_and_never_answered_is_tried_again() {
    let setup = Setup::new().await;
    setup.staff_wrote(ADA, &["one", "two"]).await;
    setup.telegram.order("sendMessage", Fault::HangAfter);
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 3).await;
    setup.finish(shop).await;
    // Nobody can know that it had arrived: said twice is better than never.
    assert_eq!(setup.telegram.shown(ADA), ["one", "one", "two"]);
}

#[tokio::test]
async fn a_cut_answer_does_not_double_a_reply() {
    let setup = Setup::new().await;
    setup.staff_wrote(ADA, &["one", "two"]).await;
    setup.telegram.order("sendMessage", Fault::Cut);
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 2).await;
    setup.finish(shop).await;
    assert_eq!(setup.tried(ADA), ["one", "two"]);
}

#[tokio::test]
async fn a_long_reply_is_split_and_goes_on_where_it_failed() {
    let setup = Setup::new().await;
    let long = "您可以在三十天内退货，请保留包装和收据。".repeat(300);
    setup.staff_wrote(ADA, &[&long]).await;
    setup.telegram.order("sendMessage", Fault::None);
    setup.telegram.order("sendMessage", Fault::Status(502));
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 2).await;
    setup.finish(shop).await;

    let parts = setup.telegram.shown(ADA);
    assert_eq!(parts.len(), 2);
    assert!(parts.concat() == long, "words were lost");
    assert!(parts[0].ends_with('。'));
    assert_eq!(setup.telegram.tries(ADA).len(), 3);
}

#[tokio::test]
async fn a_blocked_chat_is_given_up_and_others_go_on() {
    let setup = Setup::new().await;
    setup.staff_wrote(ADA, &["to nobody", "nor this"]).await;
    setup.staff_wrote(BOB, &["to Bob"]).await;
    setup.telegram.block(ADA);
    let shop = setup.start().await;
    setup.wait_for_shown(BOB, 1).await;
    eventually("the second is tried", || std::future::ready((setup.tried(ADA).len() > 1).then_some(()))).await;
    let log = setup.finish(shop).await;
    assert_eq!(setup.tried(ADA), ["to nobody", "nor this"]);
    assert!(log.contains("given up") && !log.contains("to nobody"), "{log}");
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nobody() {
    let setup = Setup::new().await;
    setup.telegram.order("getUpdates", Fault::Cut);
    setup.telegram.update(&json!({"telepathy": {"thought": "hm"}}));
    setup.telegram.update(&json!({"message": {"chat": "not a chat"}}));
    let last = setup.telegram.write(ADA, "Is anybody there?");
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 1).await;
    let store = setup.store().await;
    let kept = store.set_aside(10).await.unwrap();
    assert!(kept.len() == 2 && kept.iter().any(|update| update.content.contains("telepathy")), "{kept:?}");
    // It is read again when staff want that, and set aside again while nobody knows what it says.
    assert!(store.try_again(kept[0].kind, kept[0].id).await.unwrap());
    assert_eq!(store.set_aside_count().await.unwrap(), 1);
    eventually("it is set aside again", async || (store.set_aside_count().await.unwrap() == 2).then_some(())).await;
    let log = setup.finish(shop).await;
    assert!(!log.contains("not a chat"), "{log}");
    assert!(setup.telegram.offset() > last);
}

#[tokio::test]
async fn a_wrong_token_is_said_clearly_and_the_shop_stays_open() {
    let setup = Setup::new().await;
    setup.write_config("123:WRONG-but-secret");
    let shop = setup.start().await;
    eventually("the log says what is wrong", || {
        std::future::ready(shop.log().contains("Telegram is off").then_some(()))
    })
    .await;
    let health = reqwest::get(format!("{}/healthz", shop.url())).await.unwrap();
    assert!(health.status().is_success());
    let (status, log) = shop.interrupt().await;
    assert!(status.success());
    assert!(log.contains("`token` under [telegram]") && !log.contains("WRONG-but-secret"), "{log}");
}

#[tokio::test]
async fn a_webhook_that_would_swallow_updates_is_named() {
    let setup = Setup::new().await;
    let url = format!("{}/bot{}/setWebhook", setup.telegram.url(), FakeTelegram::token());
    let body = json!({"url": "https://hooks.example/very-secret-path"});
    reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    let shop = setup.start().await;
    eventually("the log names it", || std::future::ready(shop.log().contains("hooks.example").then_some(()))).await;
    let (_, log) = shop.interrupt().await;
    assert!(log.contains("deleteWebhook") && !log.contains("very-secret-path"), "{log}");
    assert_eq!(setup.telegram.calls("getUpdates").len(), 0);
}
