//! What a chat leaves and asks for beside its turns, on each database: several updates in one turn, attachments, a
//! rating, a copy of everything, and that everything goes.

use chrono::{DateTime, Utc};
use shoptalk::{
    conversation::Conversation,
    message::{Attachment, AttachmentKind, Channel, Effect, Inbound, Language, Origin, Reply},
    storage::{Author, Gathered, Store, TurnOutcome},
};

use crate::support::databases::{Database, on_each_database};

const CHAT: &str = "7:42";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

async fn accept(store: &Store, chat: &str, update_id: &str) -> i64 {
    let inbound = Inbound {
        channel: Channel::Telegram,
        chat: chat.to_owned(),
        update_id: update_id.to_owned(),
        text: "a secret wish".to_owned(),
        customer: None,
        language_hint: None,
        received_at: at(0),
        attachments: Vec::new(),
        origin: Origin::default(),
    };
    store.accept(&inbound).await.unwrap().unwrap()
}

fn photo() -> Attachment {
    Attachment {
        kind: AttachmentKind::Photo,
        file_id: "file-9".to_owned(),
        mime: Some("image/jpeg".to_owned()),
        name: None,
        size: Some(3),
    }
}

/// A turn over these inbox rows. Returns the bot's message.
async fn turn(store: &Store, chat: &str, rows: &[i64], words: &str, effect: Option<Effect>) -> i64 {
    let conversation = Conversation::new(Channel::Telegram, chat);
    let reply = Reply { effect, ..Reply::asking_for_rating("An answer.", Language::En) };
    let outcome = TurnOutcome {
        inbox_id: rows[0],
        conversation: &conversation,
        shopper_text: words,
        reply: Some(&reply),
        at: at(1),
    };
    let attachments = [photo()];
    let gathered = Gathered { inbox_ids: &rows[1..], attachments: &attachments };
    store.commit_gathered_turn(&outcome, &gathered).await.unwrap().unwrap().1.unwrap()
}

#[tokio::test]
async fn several_updates_are_done_with_their_turn() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let rows = [accept(store, CHAT, "1").await, accept(store, CHAT, "2").await];
        turn(store, CHAT, &rows, "one\ntwo", None).await;
        assert_eq!(store.waiting_counts().await.unwrap(), (0, 1));
        let receipts = store.receipts(Channel::Telegram, CHAT, 0).await.unwrap();
        assert!(receipts.len() == 2 && receipts[0].message_id == receipts[1].message_id, "{receipts:?}");
        for (text, said) in [("two", true), ("one\ntwo", true), ("tw", false), ("three", false)] {
            assert_eq!(store.said_lately(Channel::Telegram, CHAT, text).await.unwrap(), said, "{text}");
        }
        let idle = accept(store, CHAT, "3").await;
        store.inbound_settled(&[idle]).await.unwrap();
        assert_eq!(store.waiting_counts().await.unwrap().0, 0);
    })
    .await;
}

#[tokio::test]
async fn a_rating_is_kept_only_for_a_message_of_the_chat() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let row = accept(store, CHAT, "1").await;
        let answer = turn(store, CHAT, &[row], "hello", None).await;
        assert!(!store.rate(Channel::Telegram, "7:43", answer, true).await.unwrap());
        assert!(store.message_in_chat(Channel::Telegram, "7:43", answer).await.unwrap().is_none());
        assert!(store.rate(Channel::Telegram, CHAT, answer, true).await.unwrap());
        assert!(store.rate(Channel::Telegram, CHAT, answer, false).await.unwrap());
        let message = store.message_in_chat(Channel::Telegram, CHAT, answer).await.unwrap().unwrap();
        assert_eq!((message.author, message.rating), (Author::Bot, Some(false)));
    })
    .await;
}

#[tokio::test]
async fn a_rating_is_asked_for_where_staff_wrote() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let row = accept(store, CHAT, "1").await;
        turn(store, CHAT, &[row], "hello", None).await;
        let conversation = store.conversation(Channel::Telegram, CHAT).await.unwrap().unwrap();
        assert!(!store.ask_rating(&conversation, "Were you well looked after?", at(2)).await.unwrap());
        store.staff_reply(conversation.id, "Ana", "Here I am.", at(2)).await.unwrap();
        assert!(store.ask_rating(&conversation, "Were you well looked after?", at(3)).await.unwrap());
        let asked = store.messages(conversation.id, 0).await.unwrap().pop().unwrap();
        assert_eq!(asked.reply.unwrap().effect, Some(Effect::AskRating));
    })
    .await;
}

#[tokio::test]
async fn a_copy_has_everything_and_erasing_leaves_only_the_farewell() {
    on_each_database(async |database: &Database| {
        let store = &database.store;
        let row = accept(store, CHAT, "1").await;
        turn(store, CHAT, &[row], "a secret wish", None).await;
        let other = accept(store, "7:43", "1").await;
        turn(store, "7:43", &[other], "another's wish", None).await;
        let waiting = accept(store, CHAT, "2").await;
        let copy = store.export_chat(Channel::Telegram, CHAT).await.unwrap();
        assert_eq!(copy["messages"][0]["text"], "a secret wish");
        assert_eq!(copy["messages"][0]["attachments"][0]["file_id"], "file-9");

        let wish = accept(store, CHAT, "3").await;
        turn(store, CHAT, &[wish], "Yes, erase everything", Some(Effect::Erase)).await;
        let copy = store.export_chat(Channel::Telegram, CHAT).await.unwrap();
        let texts: Vec<&str> =
            copy["messages"].as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["Yes, erase everything", "An answer."]);
        let pending = store.pending_inbound(9).await.unwrap();
        assert!(pending.iter().all(|pending| pending.id != waiting), "what waited is gone as well");
        assert_eq!(store.pending_outbox(Channel::Telegram, at(9), 9).await.unwrap().len(), 2, "one reply a chat");
        let others = store.export_chat(Channel::Telegram, "7:43").await.unwrap();
        assert_eq!(others["messages"].as_array().unwrap().len(), 2);
        assert!(store.export_chat(Channel::Telegram, "7:44").await.unwrap().is_null());
    })
    .await;
}
