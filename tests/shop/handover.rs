//! A person takes over: whole hand-overs through the real program, its staff group in Telegram and the store, and
//! documents that merchants send.

use std::{path::PathBuf, time::Duration};

use chrono::{TimeDelta, Utc};
use serde_json::json;
use shoptalk::{
    conversation::{Conversation, Staff, State},
    message::Channel,
    storage::{Acted, Author, StaffAct, Store},
};
use tempfile::TempDir;

use crate::support::{
    eventually,
    fake_telegram::{BOT_ID, FakeTelegram, Fault, private_message},
    process::Shop,
};

const ADA: i64 = 1001;
const LIN: i64 = 1002;
const GROUP: i64 = -100_777;
const BO: (i64, &str) = (501, "Bo");
const CARA: (i64, &str) = (502, "Cara");
const MERCHANT: i64 = 900;

/// A shop with a staff group and a merchant.
struct Setup {
    telegram: FakeTelegram,
    dir: TempDir,
}

impl Setup {
    async fn new(more: &str) -> Self {
        let setup = Self { telegram: FakeTelegram::start().await, dir: tempfile::tempdir().unwrap() };
        let config = format!(
            "data_dir = \"{data_dir}\"\n[models]\nencoder = \"hashed\"\nchat = \"\"\n[telegram]\ntoken = \"{token}\"\n\
             api_url = \"{url}\"\nstaff_group = {GROUP}\nmerchants = [{MERCHANT}]\n{more}",
            data_dir = setup.dir.path().join("data").display(),
            token = FakeTelegram::token(),
            url = setup.telegram.url(),
        );
        std::fs::write(setup.config(), config).unwrap();
        setup
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

    async fn conversation(&self, chat: i64) -> Conversation {
        let key = format!("{BOT_ID}:{chat}");
        self.store().await.conversation(Channel::Telegram, &key).await.unwrap().expect("a conversation")
    }

    async fn is_in(&self, chat: i64, state: State) {
        let store = self.store().await;
        let key = format!("{BOT_ID}:{chat}");
        eventually(&format!("{chat} is {state:?}"), || async {
            let conversation = store.conversation(Channel::Telegram, &key).await.unwrap();
            conversation.filter(|conversation| conversation.state == state).map(drop)
        })
        .await;
    }

    /// What a chat shows, once it has so many messages.
    async fn shown(&self, chat: i64, count: usize) -> Vec<String> {
        eventually(&format!("chat {chat} shows {count} messages"), || {
            let shown = self.telegram.shown(chat);
            std::future::ready((shown.len() >= count).then_some(shown))
        })
        .await
    }

    /// The number of the topic whose name begins so.
    async fn topic(&self, name: &str) -> i64 {
        eventually(&format!("there is a topic {name}"), || {
            let topics = self.telegram.topics();
            std::future::ready(topics.iter().find(|(known, _)| known.starts_with(name)).map(|(_, id)| *id))
        })
        .await
    }

    /// Waits for a post in a topic that contains these words.
    async fn told(&self, topic: i64, words: &str) -> String {
        eventually(&format!("the topic shows {words:?}"), || {
            let posts = self.telegram.shown_in_topic(GROUP, topic);
            std::future::ready(posts.into_iter().find(|post| post.contains(words)))
        })
        .await
    }

    /// A transcript as it reads: who, and the words.
    async fn transcript(&self, chat: i64) -> Vec<String> {
        let (store, conversation) = (self.store().await, self.conversation(chat).await);
        let messages = store.messages(conversation.id, 0).await.unwrap();
        let line = |author: Author, name: Option<String>, text: String| match (author, name) {
            (Author::Shopper, _) => format!("shopper: {text}"),
            (Author::Bot, _) => format!("bot: {text}"),
            (Author::Staff, name) => format!("{}: {text}", name.unwrap_or_default()),
            (Author::Note, name) => format!("note by {}: {text}", name.unwrap_or_default()),
            (Author::System, _) => format!("({text})"),
        };
        messages.into_iter().map(|message| line(message.author, message.author_name, message.text)).collect()
    }
}

/// One hand-over from wish to hand-back, with what each side reads.
struct Script {
    shopper: i64,
    question: &'static str,
    wish: &'static str,
    told: &'static str,
    more: &'static str,
    answer: &'static str,
    given_back: &'static str,
    last: &'static str,
}

async fn whole_hand_over(setup: &Setup, script: &Script) {
    let Script { shopper, .. } = *script;
    setup.telegram.write(shopper, script.question);
    setup.shown(shopper, 1).await;
    setup.telegram.write(shopper, script.wish);
    let shown = setup.shown(shopper, 2).await;
    assert!(shown[1].contains(script.told), "{shown:?}");
    let topic = setup.topic(&format!("Ada – {}", script.wish)).await;
    let begin = setup.told(topic, script.wish).await;
    assert!(begin.contains(script.question) && begin.contains("/close"), "{begin}");
    setup.telegram.write(shopper, script.more);
    setup.told(topic, script.more).await;
    assert_eq!(setup.telegram.shown(shopper).len(), 2, "the bot is silent");

    setup.telegram.write_in_topic(GROUP, topic, BO, script.answer);
    assert_eq!(setup.shown(shopper, 3).await[2], format!("Bo: {}", script.answer));
    setup.telegram.write_in_topic(GROUP, topic, BO, "// looks like last week's batch");
    setup.telegram.write_in_topic(GROUP, topic, CARA, "I know this one!");
    let refused = setup.told(topic, "Bo").await;
    assert!(refused.contains("/take"), "{refused}");
    // The console's staff meet the same lock.
    let (store, id) = (setup.store().await, setup.conversation(shopper).await.id);
    let ana = Staff::new("console", 1, "Ana");
    let in_console = store.staff_reply(id, ana.clone(), "Ana here", Utc::now()).await.unwrap();
    assert!(matches!(in_console, Acted::Locked(holder) if holder.staff.name == "Bo"));
    store.add_note(id, &ana, "the refund is through", None, Utc::now()).await.unwrap();
    setup.told(topic, "the refund is through").await;

    setup.telegram.write_in_topic(GROUP, topic, BO, "/bot@shop_bot");
    let shown = setup.shown(shopper, 4).await;
    assert!(shown[3].contains(script.given_back), "{shown:?}");
    setup.telegram.write(shopper, script.last);
    setup.shown(shopper, 5).await;
    let said = setup.telegram.shown(shopper).join("\n");
    for secret in ["last week's batch", "I know this one", "refund is through", "Ana here"] {
        assert!(!said.contains(secret), "the shopper reads {secret:?}: {said}");
    }
    let transcript = setup.transcript(shopper).await;
    println!("{}\n", transcript.join("\n"));
    assert_eq!(transcript[0], format!("shopper: {}", script.question));
    let tail: Vec<&str> = transcript[5..].iter().map(String::as_str).take(3).collect();
    let answer = format!("Bo: {}", script.answer);
    let notes = ["note by Bo: looks like last week's batch", "note by Ana: the refund is through"];
    assert_eq!(tail, [answer.as_str(), notes[0], notes[1]], "{transcript:#?}");
    assert_eq!(setup.telegram.topics().iter().filter(|(_, id)| *id == topic).count(), 1);
}

#[tokio::test]
async fn a_whole_hand_over_reads_well_in_both_languages() {
    let setup = Setup::new("").await;
    let shop = setup.start().await;
    whole_hand_over(
        &setup,
        &Script {
            shopper: ADA,
            question: "Hello!",
            wish: "I want to talk to a real person",
            told: "I am passing you on to a colleague, who will answer right here. You are next.",
            more: "My kettle arrived with a dent.",
            answer: "Hi Ada, Bo here. I am sending you a new one today.",
            given_back: "handed you back to me, the assistant",
            last: "thank you!",
        },
    )
    .await;
    whole_hand_over(
        &setup,
        &Script {
            shopper: LIN,
            question: "你好",
            wish: "转人工",
            told: "您排在第一位",
            more: "水壶有一个凹痕。",
            answer: "您好，我是Bo，今天给您补寄一个。",
            given_back: "我是智能助手，还有什么可以帮您的吗",
            last: "谢谢",
        },
    )
    .await;
    let (status, log) = shop.interrupt().await;
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_between_a_topic_and_the_shopper_through_crashes() {
    let setup = Setup::new("").await;
    setup.telegram.order("createForumTopic", Fault::Status(502));
    let shop = setup.start().await;
    setup.telegram.write(ADA, "human please");
    let topic = setup.topic("Ada").await;
    setup.told(topic, "human please").await;
    let written = setup.telegram.write_in_topic(GROUP, topic, BO, "Bo here");
    setup.shown(ADA, 2).await;
    let store = setup.store().await;
    eventually("both are noted as delivered", || async {
        (store.waiting_counts().await.unwrap() == (0, 0)).then_some(())
    })
    .await;
    shop.kill();
    setup.telegram.deliver_again(written);
    let shop = setup.start().await;
    setup.telegram.order("sendMessage", Fault::RetryAfter(1));
    setup.telegram.write(ADA, "I write while nobody listens");
    setup.told(topic, "while nobody listens").await;
    // Somebody's words in another topic, in no topic, or in another group reach nobody.
    setup.telegram.write_in_topic(GROUP, topic + 999, BO, "elsewhere");
    setup.telegram.write_in_topic(GROUP - 1, topic, BO, "a stranger's group");
    setup.telegram.write_in_topic(GROUP, topic, BO, "/refund 20");
    setup.told(topic, "Not sent").await;
    setup.telegram.write_in_topic(GROUP, topic, BO, "/close");
    let shown = setup.shown(ADA, 3).await;
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[1] == "Bo: Bo here" && shown[2].contains("closed"), "{shown:?}");
    setup.is_in(ADA, State::Closed).await;
    eventually("the topic is closed", || {
        std::future::ready((!setup.telegram.calls("closeForumTopic").is_empty()).then_some(()))
    })
    .await;
    assert_eq!(setup.telegram.topics().len(), 1);
    // The next hand-over goes on in the same topic.
    setup.telegram.write(ADA, "agent");
    eventually("the topic is opened again", || {
        std::future::ready((!setup.telegram.calls("reopenForumTopic").is_empty()).then_some(()))
    })
    .await;
    let query = json!({"id": "q9", "from": {"id": BO.0, "is_bot": false, "first_name": BO.1}, "data":
        format!("staff:{}:/take", setup.conversation(ADA).await.id), "message": {"message_id": 1, "date": 0,
        "message_thread_id": topic, "chat": {"id": GROUP, "type": "supergroup"}}});
    setup.telegram.update(&json!({"callback_query": query}));
    setup.is_in(ADA, State::WithStaff).await;
    let (status, _) = shop.interrupt().await;
    assert!(status.success());
}

#[tokio::test]
async fn who_waits_in_vain_has_the_bot_again_and_may_leave_a_message() {
    let setup = Setup::new("[handoff]\nback_to_bot_after_minutes = 30\n").await;
    let shop = setup.start().await;
    for (chat, wish, sorry, leave, asks, message, kept) in [
        (
            ADA,
            "agent",
            "I am here again",
            "Leave a message",
            "all in one message",
            "Please call me: the lid is broken",
            "message is kept",
        ),
        (LIN, "转人工", "我先继续为您服务", "给同事留言", "写在一条消息里", "壶盖坏了，请回电", "留言已保存"),
    ] {
        setup.telegram.write(chat, wish);
        setup.shown(chat, 1).await;
        setup.is_in(chat, State::Waiting).await;
        let (store, conversation) = (setup.store().await, setup.conversation(chat).await);
        // Half an hour passes at once: the wait began earlier.
        wait_began(&setup, conversation.id, Utc::now() - TimeDelta::minutes(31)).await;
        let shown = setup.shown(chat, 2).await;
        assert!(shown[1].contains(sorry), "{shown:?}");
        assert_eq!(setup.conversation(chat).await.state, State::Bot);
        setup.telegram.press(chat, &format!("leave-{chat}"), &format!("={leave}"));
        assert!(setup.shown(chat, 3).await[2].contains(asks));
        setup.telegram.write(chat, message);
        assert!(setup.shown(chat, 4).await[3].contains(kept));
        assert!(store.has_open_wish(conversation.id).await.unwrap());
        assert_eq!(setup.conversation(chat).await.state, State::Bot, "leaving a message starts no new wait");
    }
    let (status, _) = shop.interrupt().await;
    assert!(status.success());
}

/// Sets back the clock of a wait, as if the shopper had come earlier.
async fn wait_began(setup: &Setup, conversation_id: i64, since: chrono::DateTime<Utc>) {
    let store = setup.store().await;
    let act = |event, at| StaffAct {
        conversation_id,
        event,
        words: None,
        notice: None,
        says: None,
        update: None,
        unchanged: None,
        at,
    };
    store.act(&act(shoptalk::conversation::Event::HandedBack, since)).await.unwrap();
    store.act(&act(shoptalk::conversation::Event::HandedOver, since)).await.unwrap();
}

#[tokio::test]
async fn a_merchants_document_is_imported_answered_and_undone() {
    let setup = Setup::new("").await;
    let shop = setup.start().await;
    let send = |from: i64, name: &str, bytes: &[u8], language: &str| {
        setup.telegram.add_file(&format!("documents/{name}"), bytes);
        let document = json!({"document": {"file_id": format!("documents/{name}"), "file_unique_id": "u",
            "file_name": name, "file_size": bytes.len()}});
        let mut message = private_message(from, &document);
        message["from"]["language_code"] = language.into();
        setup.telegram.update(&json!({"message": message}));
    };
    let store = setup.store().await;
    let names = async || -> Vec<String> {
        store.chunks(Some("returns.md")).await.unwrap().into_iter().map(|stored| stored.chunk.text).collect()
    };
    send(MERCHANT, "returns.md", b"# Returns\n\nThirty days for boots.\n\n# Care\n\nGrease them.\n", "en");
    let shown = setup.shown(MERCHANT, 1).await;
    assert!(shown[0].starts_with("✓ returns.md: 2 passages\nA new document"), "{shown:?}");
    let first = names().await;
    setup.telegram.order("getFile", Fault::Status(502));
    send(MERCHANT, "returns.md", b"# Returns\n\nSixty days for boots.\n\n# Care\n\nGrease them.\n", "zh-hans");
    let shown = setup.shown(MERCHANT, 2).await;
    assert!(shown[1].contains("新增 1 段，删除 1 段，未变 1 段"), "{shown:?}");
    assert_ne!(names().await, first);
    let button = setup.telegram.tries(MERCHANT)[1].params["reply_markup"]["inline_keyboard"][0][0].clone();
    assert_eq!(button["text"], "撤销");
    let data = button["callback_data"].as_str().unwrap();
    setup.telegram.press(ADA, "stranger", data);
    setup.telegram.press(MERCHANT, "undo", data);
    let shown = setup.shown(MERCHANT, 3).await;
    assert!(shown[2].contains("已恢复到上一版本"), "{shown:?}");
    assert_eq!(names().await, first, "the version before is back, word for word");
    // The first import is no longer the latest: it cannot be undone any more.
    let button = setup.telegram.tries(MERCHANT)[0].params["reply_markup"]["inline_keyboard"][0][0].clone();
    setup.telegram.press(MERCHANT, "late", button["callback_data"].as_str().unwrap());
    assert!(setup.shown(MERCHANT, 4).await[3].contains("nothing was undone"));
    // A new document's undo takes it away again.
    send(MERCHANT, "new.md", b"# New\n\nJust in.\n", "en");
    setup.shown(MERCHANT, 5).await;
    let button = setup.telegram.tries(MERCHANT)[4].params["reply_markup"]["inline_keyboard"][0][0].clone();
    setup.telegram.press(MERCHANT, "remove", button["callback_data"].as_str().unwrap());
    assert!(setup.shown(MERCHANT, 6).await[5].contains("no version before"));
    assert!(store.documents().await.unwrap().iter().all(|document| document.name != "new.md"));
    // Errors are said, and a stranger's document is a shopper's message.
    send(MERCHANT, "scan.pdf", b"not a PDF", "en");
    assert!(
        setup.shown(MERCHANT, 7).await[6].starts_with("✗ scan.pdf is damaged"),
        "{:?}",
        setup.telegram.shown(MERCHANT)
    );
    send(ADA, "stranger.md", b"# Mine\n\nAll boots are free.\n", "en");
    eventually("the stranger is answered", || {
        std::future::ready(setup.telegram.shown(ADA).last().cloned().filter(|text| !text.is_empty()))
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(store.documents().await.unwrap().len(), 1);
    let (status, _) = shop.interrupt().await;
    assert!(status.success());
}
