//! The bot as one of the chats on a shopper's phone: bursts, edits, pictures, commands, cards, buttons, groups.

mod cards;
mod streaming;
mod whole;

use serde_json::{Value, json};
use shoptalk::{
    catalog::Money,
    message::{Citation, Effect, Language, ProductCard, Reply, Route},
};

use super::*;
use crate::support::telegram_screen::Shown;

/// The smallest PNG: one pixel.
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1F, 0x15, 0xC4, 0x89,
];
const PRODUCTS: &str = "sku,title,description,category,price,currency,stock,image,language\n\
    KET-1,Copper kettle,A kettle for two cups.,kettles,39.00,EUR,4,kettle.png,en\n\
    CUP.2,Blue cup,A cup.,cups,9.00,EUR,0,https://cdn.example/cup.jpg,en\n";

impl Setup {
    /// Messages of a chat within `ms` are one.
    fn set_burst(&self, ms: u64) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), config.replace("burst_ms = 0", &format!("burst_ms = {ms}"))).unwrap();
    }

    /// Puts products and a picture into the shop before it is started.
    async fn stock(&self) {
        let config = shoptalk::config::Config::load(Some(&self.config())).unwrap();
        let app = shoptalk::app::App::open(config, shoptalk::app::Models::Encoder).await.unwrap();
        for (name, bytes) in [("products.csv", PRODUCTS.as_bytes()), ("kettle.png", PIXEL)] {
            app.importer.import_bytes(name, bytes.to_vec(), None, Utc::now()).await.unwrap();
        }
    }

    /// Puts a reply of the bot into transcript and outbox.
    async fn bot_said(&self, chat: i64, reply: &Reply) {
        let (store, at) = (self.store().await, Utc::now());
        let mut conversation = Conversation::new(Channel::Telegram, key(chat));
        conversation.memory.introduced = true;
        conversation.language = reply.language;
        let inbound = Inbound {
            channel: Channel::Telegram,
            chat: key(chat),
            update_id: "seed".to_owned(),
            text: "a question".to_owned(),
            customer: None,
            language_hint: None,
            received_at: at,
            attachments: Vec::new(),
            origin: Origin::default(),
        };
        let inbox_id = store.accept(&inbound).await.unwrap().unwrap();
        let turn =
            TurnOutcome { inbox_id, conversation: &conversation, shopper_text: "a question", reply: Some(reply), at };
        store.commit_turn(&turn).await.unwrap().unwrap();
    }

    async fn wait_for_screen(&self, chat: i64, what: &str, is: impl Fn(&[Shown]) -> bool) -> Vec<Shown> {
        eventually(&format!("chat {chat} shows {what}"), || {
            let screen = self.telegram.screen(chat);
            std::future::ready(is(&screen).then_some(screen))
        })
        .await
    }

    /// Waits until the chat's latest message, of at least `count`, is there.
    async fn latest(&self, chat: i64, count: usize) -> Shown {
        let screen = self.wait_for_screen(chat, &format!("{count} messages"), |screen| screen.len() >= count).await;
        screen.last().unwrap().clone()
    }

    async fn wait_for_answer(&self, query: &str) -> Value {
        eventually("the button is answered", || std::future::ready(self.telegram.answer_to(query))).await
    }

    /// Delivers a message of a private chat with these fields.
    fn message(&self, chat: i64, fields: &Value) -> i64 {
        self.telegram.update(&json!({"message": private_message(chat, fields)}))
    }

    /// The same from a shopper whose phone speaks Chinese.
    fn chinese(&self, chat: i64, fields: &Value) -> i64 {
        let mut message = private_message(chat, fields);
        message["from"]["language_code"] = "zh-hans".into();
        self.telegram.update(&json!({"message": message}))
    }
}

fn reply(text: &str, language: Language) -> Reply {
    Reply { route: Route::Answer, effect: None, ..Reply::asking_for_rating(text, language) }
}

#[tokio::test]
async fn messages_close_together_are_one_turn_even_when_the_program_dies_meanwhile() {
    let setup = Setup::new().await;
    setup.set_burst(60_000);
    let shop = setup.start().await;
    setup.telegram.write(ADA, "hello");
    let last = setup.telegram.write(ADA, "do you sell kettles");
    eventually("both are confirmed", || std::future::ready((setup.telegram.offset() > last).then_some(()))).await;
    assert_eq!(setup.store().await.waiting_counts().await.unwrap().0, 2, "each is kept by itself");
    shop.kill();

    let config = std::fs::read_to_string(setup.config()).unwrap().replace("burst_ms = 60000", "burst_ms = 300");
    std::fs::write(setup.config(), config).unwrap();
    let shop = setup.start().await;
    setup.wait_for_shown(ADA, 1).await;
    setup.telegram.write(BOB, "hi");
    setup.telegram.write(BOB, "/help");
    setup.wait_for_shown(BOB, 2).await;
    setup.finish(shop).await;
    assert_eq!(asked(&setup.transcript(ADA).await), ["hello\ndo you sell kettles"]);
    assert_eq!(asked(&setup.transcript(BOB).await), ["hi", "/help"], "a command is for itself");
}

#[tokio::test]
async fn an_album_is_one_turn_and_a_caption_is_answered() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    let picture = |id: &str, more: Value| {
        let mut fields = json!({"photo": [{"file_id": id}], "media_group_id": "album"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        setup.message(ADA, &fields);
    };
    picture("one", json!({"message_id": 11}));
    picture("two", json!({"message_id": 12, "caption": "Talk to a person please"}));
    picture("three", json!({"message_id": 13}));
    let shown = setup.latest(ADA, 1).await;
    setup.finish(shop).await;
    assert!(
        shown.text.contains("a colleague") && shown.text.contains("I cannot look at pictures yet"),
        "{}",
        shown.text
    );
    assert_eq!(asked(&setup.transcript(ADA).await), ["Talk to a person please\n📷\n📷\n📷"]);
    let copy = setup.store().await.export_chat(Channel::Telegram, &key(ADA)).await.unwrap();
    assert_eq!(copy["messages"][0]["attachments"][2]["file_id"], "three");
}

#[tokio::test]
async fn what_comes_without_words_gets_a_clear_sentence_in_both_languages() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    let kinds = [
        (json!({"photo": [{"file_id": "p"}]}), "picture", "图片"),
        (json!({"voice": {"file_id": "v", "duration": 2}}), "recordings", "语音"),
        (json!({"video_note": {"file_id": "v"}}), "videos", "视频"),
        (json!({"document": {"file_id": "d", "file_name": "a.pdf"}}), "files", "文件"),
        (json!({"dice": {"value": 3}}), "in words", "文字"),
    ];
    for (chat, (fields, english, chinese)) in (3000..).step_by(2).zip(kinds) {
        setup.message(chat, &fields);
        setup.chinese(chat + 1, &fields);
        let (one, other) = (setup.latest(chat, 1).await.text, setup.latest(chat + 1, 1).await.text);
        assert!(one.contains(english), "{one}");
        assert!(other.contains(chinese), "{other}");
    }
    setup.finish(shop).await;
}

#[tokio::test]
async fn an_edit_revises_what_waits_and_asks_anew_after_an_answer() {
    let setup = Setup::new().await;
    setup.set_burst(600);
    let shop = setup.start().await;
    let edit = |text: &str| {
        let message = private_message(ADA, &json!({"message_id": 21, "text": text, "edit_date": 1}));
        setup.telegram.update(&json!({"edited_message": message}));
    };
    setup.message(ADA, &json!({"message_id": 21, "text": "do you have blue hats"}));
    edit("do you have red hats");
    setup.latest(ADA, 1).await;
    edit("do you have red hats");
    edit("do you have green hats");
    setup.latest(ADA, 2).await;
    setup.finish(shop).await;
    assert_eq!(asked(&setup.transcript(ADA).await), ["do you have red hats", "do you have green hats"]);
    let poll = &setup.telegram.calls("getUpdates")[0].params;
    assert!(poll["allowed_updates"].as_array().unwrap().contains(&json!("edited_message")), "{poll}");
}

#[tokio::test]
async fn menu_and_description_are_there_in_each_language() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.finish(shop).await;
    for (method, field) in [
        ("setMyCommands", "commands"),
        ("setMyDescription", "description"),
        ("setMyShortDescription", "short_description"),
    ] {
        let calls = setup.telegram.calls(method);
        assert_eq!(calls.len(), 2, "{method}");
        assert!(calls[0].params.get("language_code").is_none() && calls[1].params["language_code"] == "zh");
        assert_ne!(calls[0].params[field], calls[1].params[field]);
    }
    let commands = &setup.telegram.calls("setMyCommands")[0].params["commands"];
    let names: Vec<&str> = commands.as_array().unwrap().iter().map(|c| c["command"].as_str().unwrap()).collect();
    assert_eq!(names, ["start", "help", "orders", "human", "language", "privacy", "export", "forget"]);
}

#[tokio::test]
async fn the_first_contact_says_that_it_is_a_bot_and_says_it_once() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.telegram.write(ADA, "do you sell kettles");
    setup.chinese(BOB, &json!({"text": "/start"}));
    let first = setup.latest(ADA, 1).await.text;
    assert!(first.starts_with("I am the chatbot of our shop, not a person."), "{first}");
    let greeting = setup.latest(BOB, 1).await.text;
    assert!(greeting.contains("聊天机器人"), "{greeting}");
    setup.telegram.write(ADA, "and cups");
    let second = setup.latest(ADA, 2).await.text;
    assert!(!second.contains("chatbot"), "{second}");
    setup.finish(shop).await;
}

#[tokio::test]
async fn a_chosen_language_stays_until_another_is_chosen() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.telegram.write(ADA, "/language");
    let question = setup.latest(ADA, 1).await;
    assert_eq!(question.labels(), [["English"], ["中文"]]);
    setup.telegram.tap(ADA, &question, "中文");
    let set = setup.latest(ADA, 2).await.text;
    assert!(set.contains("之后我都用中文回复您"), "{set}");
    setup.telegram.write(ADA, "thank you very much");
    let chinese = setup.latest(ADA, 3).await.text;
    assert!(!chinese.is_ascii(), "{chinese}");
    setup.telegram.write(ADA, "/language en");
    setup.latest(ADA, 4).await;
    setup.telegram.write(ADA, "/privacy");
    let privacy = setup.latest(ADA, 5).await.text;
    assert!(privacy.contains("/export sends you a copy"), "{privacy}");
    setup.finish(shop).await;
}

#[tokio::test]
async fn orders_ask_for_proof_and_help_lists_the_commands() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.telegram.write(ADA, "/orders");
    setup.chinese(BOB, &json!({"text": "/help@shop_bot"}));
    let proof = setup.latest(ADA, 1).await.text;
    assert!(proof.contains("order number"), "{proof}");
    let help = setup.latest(BOB, 1).await.text;
    assert!(help.contains("/forget – 删除聊天记录"), "{help}");
    setup.finish(shop).await;
}

#[tokio::test]
async fn a_copy_comes_as_a_file_and_erasing_leaves_nothing() {
    let setup = Setup::new().await;
    let shop = setup.start().await;
    setup.telegram.write(ADA, "do you sell kettles");
    setup.latest(ADA, 1).await;
    setup.telegram.write(ADA, "/export");
    let file = setup.latest(ADA, 3).await.document.expect("a file");
    let copy: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(copy["messages"][0]["text"], "do you sell kettles");
    assert_eq!(copy["chat"], key(ADA));

    setup.telegram.write(ADA, "/forget");
    let question = setup.latest(ADA, 4).await;
    assert_eq!(question.labels(), [["Yes, erase everything"], ["No, keep it"]]);
    setup.telegram.tap(ADA, &question, "No, keep it");
    setup.latest(ADA, 5).await;
    setup.telegram.tap(ADA, &question, "Yes, erase everything");
    let question = setup.latest(ADA, 6).await;
    assert!(question.text.contains("cannot be undone"), "a late press asks again: {}", question.text);
    setup.telegram.tap(ADA, &question, "Yes, erase everything");
    let done = setup.latest(ADA, 7).await.text;
    assert!(done.contains("remember nothing"), "{done}");
    let transcript = setup.transcript(ADA).await;
    assert_eq!(transcript.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["Yes, erase everything", &done]);
    let copy = setup.store().await.export_chat(Channel::Telegram, &key(ADA)).await.unwrap().to_string();
    assert!(!copy.contains("kettles"), "{copy}");
    setup.finish(shop).await;
}

#[tokio::test]
async fn in_a_group_the_bot_answers_when_it_is_meant_and_tells_nothing_personal() {
    const GROUP: i64 = -500;
    let setup = Setup::new().await;
    let shop = setup.start().await;
    let group = |fields: Value| {
        let mut message = private_message(ADA, &fields);
        message["chat"] = json!({"id": GROUP, "type": "supergroup", "title": "Friends"});
        setup.telegram.update(&json!({"message": message}));
    };
    group(json!({"text": "what a nice day"}));
    group(json!({"text": "/help@other_bot"}));
    group(json!({"photo": [{"file_id": "p"}]}));
    group(json!({"text": "/help@shop_bot"}));
    setup.latest(GROUP, 1).await;
    group(json!({"text": "@shop_bot /orders"}));
    group(json!({"text": "/orders"}));
    let private = setup.latest(GROUP, 3).await.text;
    assert!(private.contains("https://t.me/shop_bot"), "{private}");
    group(json!({"text": "我的订单在哪里", "reply_to_message": {"from": {"id": BOT_ID}}}));
    let private = setup.latest(GROUP, 4).await.text;
    assert!(private.contains("私聊") && private.contains("https://t.me/shop_bot"), "{private}");
    setup.finish(shop).await;
    assert_eq!(asked(&setup.transcript(GROUP).await).len(), 4);
}
