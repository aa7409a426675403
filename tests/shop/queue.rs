//! What a shopper is told who wants a person: the place in the queue and the wait in the shop's hours, else when people
//! are back; the same for the wish and for `/human`, and the way back to the bot while waiting.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use shoptalk::{
    app::{self, App, Models},
    config::{Config, ModelsConfig},
    conversation::{Conversation, Staff, State},
    engine::Clock,
    message::{Channel, Inbound, Origin, Reply},
    storage::TurnOutcome,
};
use tempfile::TempDir;

/// The demo shop, whose people answer in London on weekdays from 08:30 to 17:30, at this moment.
async fn shop(dir: &TempDir, now: DateTime<Utc>) -> App {
    let models = ModelsConfig { encoder: "hashed".to_owned(), chat: String::new(), ..ModelsConfig::default() };
    let config = Config { data_dir: dir.path().to_owned(), models, ..Config::default() };
    let app = App::open_at(config, Models::Encoder, Clock::Fixed(now)).await.unwrap();
    app::demo::import(&app).await.unwrap();
    app
}

/// A turn that is stored; `None` while the bot is silent.
async fn say(app: &App, chat: &str, text: &str) -> Option<Reply> {
    static MESSAGES: AtomicU64 = AtomicU64::new(0);
    let at = app.engine.now();
    let known = app.store.conversation(Channel::Widget, chat).await.unwrap();
    let mut conversation = known.unwrap_or_else(|| Conversation::new(Channel::Widget, chat));
    let inbound = Inbound {
        channel: Channel::Widget,
        chat: chat.to_owned(),
        update_id: MESSAGES.fetch_add(1, Ordering::Relaxed).to_string(),
        text: text.to_owned(),
        customer: None,
        language_hint: None,
        received_at: at,
        attachments: Vec::new(),
        origin: Origin::default(),
    };
    let inbox_id = app.store.accept(&inbound).await.unwrap().expect("a new message");
    let turn = app.engine.handle(&mut conversation, &inbound, &|_| {}).await.unwrap();
    let (shopper_text, reply) = (turn.shopper_text.as_str(), turn.reply.as_ref());
    let outcome = TurnOutcome { inbox_id, conversation: &conversation, shopper_text, reply, at };
    app.store.commit_turn(&outcome).await.unwrap().unwrap();
    turn.reply
}

async fn state(app: &App, chat: &str) -> (i64, State) {
    let conversation = app.store.conversation(Channel::Widget, chat).await.unwrap().unwrap();
    (conversation.id, conversation.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_shops_hours_the_place_and_what_is_known_of_the_wait_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let now = Utc.with_ymd_and_hms(2026, 11, 27, 10, 0, 0).unwrap();
    let app = shop(&dir, now).await;
    let first = say(&app, "a", "agent please").await.unwrap();
    assert!(first.text.contains("right here. You are next. You can keep"), "{}", first.text);
    assert_eq!(first.suggestions, ["Carry on with the assistant"]);
    let second = say(&app, "b", "/human").await.unwrap();
    assert!(second.text.contains("You are number 2 in the queue. "), "nothing is promised: {}", second.text);
    say(&app, "c", "is anyone there").await.unwrap();
    assert_eq!(say(&app, "c", "hello?").await.map(|reply| reply.text), None, "the bot is silent");
    for chat in ["a", "b", "c"] {
        let ana = Staff::new("console", 1, "Ana");
        app.store.staff_reply(state(&app, chat).await.0, ana, "Ana here", now + TimeDelta::minutes(4)).await.unwrap();
    }
    let known = say(&app, "d", "real human!!").await.unwrap();
    assert!(known.text.contains("You are next; somebody is usually there within about 5 minutes."), "{}", known.text);
    let chinese = say(&app, "e", "有人吗").await.unwrap();
    assert!(chinese.text.contains("您目前排在第2位，通常约5分钟内会有同事接待。等待期间"), "{}", chinese.text);
    assert_eq!(chinese.suggestions, ["继续问智能助手"]);
    assert_eq!(known.trace.queue.unwrap().wait_minutes, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shoppers_may_have_of_their_data_they_get_also_while_a_person_has_the_conversation() {
    let dir = tempfile::tempdir().unwrap();
    let now = Utc.with_ymd_and_hms(2026, 11, 27, 10, 0, 0).unwrap();
    let app = shop(&dir, now).await;
    say(&app, "a", "agent please").await.unwrap();
    for (has_word, holds) in [(false, State::Waiting), (true, State::WithStaff)] {
        if has_word {
            let ana = Staff::new("console", 1, "Ana");
            app.store.staff_reply(state(&app, "a").await.0, ana, "Ana here", now).await.unwrap();
        }
        for silent in ["Where is my parcel?", "/human", "/start", "English"] {
            assert_eq!(say(&app, "a", silent).await.map(|reply| reply.text), None, "{silent}");
        }
        for (command, part) in [("/privacy", "/forget"), ("/help", "/privacy"), ("/export", "agent please")] {
            let reply = say(&app, "a", command).await.unwrap_or_else(|| panic!("{command} is answered"));
            assert!(reply.text.contains(part), "{command}: {}", reply.text);
        }
        assert_eq!(state(&app, "a").await.1, holds, "and the person keeps the conversation");
    }
    let asked = say(&app, "a", "/forget").await.unwrap();
    let erased = say(&app, "a", &asked.suggestions[0]).await.unwrap();
    assert!(erased.text.contains("I have erased this chat"), "{}", erased.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_hours_the_message_is_kept_and_the_bot_goes_on_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let app = shop(&dir, Utc.with_ymd_and_hms(2026, 11, 28, 20, 0, 0).unwrap()).await;
    let english = say(&app, "a", "operator").await.unwrap();
    let expected =
        "Nobody of our team is here right now; they are back on Monday at 08:30 (London time). Your message is kept";
    assert!(english.text.contains(expected), "{}", english.text);
    let chinese = say(&app, "b", "/human").await.unwrap();
    assert!(chinese.text.contains("back on Monday"), "no words yet, no other language: {}", chinese.text);
    let chinese = say(&app, "c", "转人工客服").await.unwrap();
    assert!(chinese.text.contains("现在同事都不在线，周一08:30（伦敦时间）上班。您的留言已保存"), "{}", chinese.text);
    assert_eq!(state(&app, "c").await.1, State::Waiting);
    let back = say(&app, "c", "继续问智能助手").await.unwrap();
    assert!(back.text.contains("您找人工的要求已保存，周一08:30（伦敦时间）同事上班后会在这里回复您"), "{}", back.text);
    let (id, now) = state(&app, "c").await;
    assert_eq!(now, State::Bot);
    assert!(app.store.has_open_wish(id).await.unwrap());
    assert!(say(&app, "c", "你好").await.is_some());
    // A night of waiting gives nothing back; the morning's half hour does.
    let at = |day, hour, minute| Utc.with_ymd_and_hms(2026, 11, day, hour, minute, 0).unwrap();
    assert_eq!(app.desk.give_back_overdue(at(29, 20, 0)).await.unwrap(), 0);
    assert_eq!(app.desk.give_back_overdue(at(30, 8, 55)).await.unwrap(), 0);
    assert_eq!(app.desk.give_back_overdue(at(30, 9, 1)).await.unwrap(), 2);
    assert_eq!(app.desk.give_back_overdue(at(30, 23, 0)).await.unwrap(), 0, "nothing hands over by itself");
    let (id, now) = state(&app, "a").await;
    assert_eq!(now, State::Bot);
    let last = app.store.messages(id, 0).await.unwrap().pop().unwrap();
    assert!(last.text.contains("Would you like to leave a message") && last.reply.unwrap().suggestions.len() == 2);
}
