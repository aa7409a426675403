//! What the outcome page says of conversations, each number against turns that were really made.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use shoptalk::{
    conversation::Conversation,
    message::{Channel, Language, LatencyMs, Reply, Route},
    storage::{Role, TurnOutcome},
};

use super::{TestConsole, Visitor, inbound, reply};

/// A turn at a time of the test's choice; returns the bot's message.
async fn turn_at(shop: &TestConsole, chat: &Conversation, text: &str, reply: &Reply, at: DateTime<Utc>) -> i64 {
    let inbox_id = shop.store.accept(&inbound(chat, &format!("{text}{at}"), text)).await.unwrap().unwrap();
    let outcome = TurnOutcome { inbox_id, conversation: chat, shopper_text: text, reply: Some(reply), at };
    shop.store.commit_turn(&outcome).await.unwrap().unwrap().1.unwrap()
}

fn declined() -> Reply {
    Reply { declined: true, route: Route::Decline, intent: "other".to_owned(), ..reply("I do not know.") }
}

/// The cells of a table's line, by the name in its first cell.
async fn line(visitor: &Visitor, table: &str, name: &str) -> Vec<String> {
    let file = visitor.page(&format!("/console/outcome/{table}?days=90")).await;
    let line = file.lines().find(|line| line.trim_start_matches('\u{feff}').starts_with(&format!("{name},")));
    line.unwrap_or_else(|| panic!("no {name} in {file}")).split(',').map(str::to_owned).collect()
}

async fn count(visitor: &Visitor, ending: &str) -> (String, String) {
    let line = line(visitor, "endings", ending).await;
    (line[1].clone(), line[2].clone())
}

#[tokio::test]
async fn every_conversation_is_counted_once_by_how_it_ended() {
    let shop = TestConsole::start().await;
    let viewer = shop.logged_in(Role::Viewer).await;
    assert!(viewer.page("/console/outcome").await.contains("Nobody wrote in these days"));
    let begin = Utc::now() - TimeDelta::days(5);
    let after = |minutes| begin + TimeDelta::minutes(minutes);
    let widget = |name: &str| Conversation::new(Channel::Widget, name);
    let chinese = Conversation { language: Language::Zh, ..Conversation::new(Channel::Telegram, "zh") };
    let slow = |ms| Reply { latency_ms: LatencyMs { first: ms, total: ms }, ..reply("Yes") };

    // Confirmed: rated as helpful; thanked. The rating that was taken back is none.
    let rated = turn_at(&shop, &widget("rated"), "returns?", &slow(100), begin).await;
    shop.store.rate(Channel::Widget, "rated", rated, false).await.unwrap();
    shop.store.rate(Channel::Widget, "rated", rated, true).await.unwrap();
    turn_at(&shop, &widget("thanks"), "returns?", &slow(200), begin).await;
    let welcome = Reply { route: Route::Smalltalk, intent: "smalltalk".to_owned(), ..reply("Welcome") };
    turn_at(&shop, &widget("thanks"), "thank you", &welcome, after(1)).await;
    // Assumed: nothing more; or back after more than 72 hours.
    turn_at(&shop, &widget("quiet"), "returns?", &slow(300), begin).await;
    // Two messages with a short pause are one conversation.
    turn_at(&shop, &widget("quiet"), "boots?", &slow(9_000), after(29)).await;
    // Reopened, and then declined.
    turn_at(&shop, &chinese, "退货？", &Reply { language: Language::Zh, ..slow(400) }, begin).await;
    turn_at(&shop, &chinese, "退货？？", &Reply { language: Language::Zh, ..declined() }, after(31)).await;
    // Abandoned: rated as not helpful; left when asked for proof.
    let bad = turn_at(&shop, &widget("bad"), "returns?", &slow(500), begin).await;
    shop.store.rate(Channel::Widget, "bad", bad, false).await.unwrap();
    let proof = Reply { route: Route::VerifyIdentity, ..reply("Which e-mail?") };
    turn_at(&shop, &widget("proof"), "my order?", &proof, begin).await;
    // Declined at last, although something was answered before.
    turn_at(&shop, &widget("declined"), "returns?", &slow(600), begin).await;
    turn_at(&shop, &widget("declined"), "the moon?", &declined(), after(2)).await;
    // Handed over.
    turn_at(&shop, &widget("person"), "a person!", &Reply { handoff: true, ..slow(700) }, begin).await;

    for (ending, expected) in [
        ("Answered", "4"),
        ("Confirmed", "2"),
        ("Assumed", "1"),
        ("Reopened", "1"),
        ("Abandoned", "2"),
        ("Declined", "2"),
        ("Handed over", "1"),
    ] {
        assert_eq!(count(&viewer, ending).await, (expected.to_owned(), "9".to_owned()), "{ending}");
    }
    let telegram = line(&viewer, "channels", "telegram").await;
    assert_eq!((&*telegram[1], &*telegram[2], &*telegram[10]), ("2", "1", "1"), "{telegram:?}");
    assert_eq!(line(&viewer, "languages", "zh").await[1], "2");
    assert_eq!(line(&viewer, "languages", "en").await[1], "7");
    assert_eq!(line(&viewer, "days", &begin.date_naive().to_string()).await[1], "9");
    let topic = line(&viewer, "topics", "return_policy").await;
    assert_eq!((&*topic[1], &*topic[2]), ("9", "0"), "small talk is not counted");
    assert_eq!(line(&viewer, "topics", "other").await[2], "2");
    let page = viewer.page("/console/outcome?days=7").await;
    // Of 100, 200, 300, 400, 120 (declined), 500, 120 (proof), 600, 700: the fifth and the ninth.
    assert!(page.contains("<dd>300 ms</dd>") && page.contains("<dd>700 ms</dd>"), "{page}");
    assert!(page.contains("50 % <span class=\"interval\">"), "one of two ratings");
    assert!(page.contains("role=\"img\"") && page.contains("<desc") && page.contains("most on"));
    let before = begin.date_naive() - TimeDelta::days(1);
    let earlier = viewer.page(&format!("/console/outcome?from={before}&to={before}")).await;
    assert!(earlier.contains("Nobody wrote in these days"));
    assert_eq!(viewer.get("/console/outcome/passwords").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reply_of_staff_hands_over_and_an_erased_chat_is_counted_no_more() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &declined()).await;
    assert_eq!(count(&agent, "Declined").await.0, "1");
    agent.post(&format!("/console/conversations/{id}/reply"), &[("text", "Here I am.")]).await;
    assert_eq!(count(&agent, "Handed over").await, ("1".to_owned(), "1".to_owned()));
    let erase = Reply { effect: Some(shoptalk::message::Effect::Erase), ..reply("Erased") };
    agent.post(&format!("/console/conversations/{id}/state"), &[("action", "return")]).await;
    shop.turn(Channel::Widget, "w1", "erase me", &erase).await;
    assert_eq!(count(&agent, "Handed over").await, ("0".to_owned(), "1".to_owned()), "only the last turn is left");
}

#[tokio::test]
async fn conversations_from_before_the_visits_are_read_once() {
    let shop = TestConsole::start().await;
    let viewer = shop.logged_in(Role::Viewer).await;
    let rated = turn_at(&shop, &Conversation::new(Channel::Widget, "w1"), "returns?", &reply("Yes"), Utc::now()).await;
    shop.store.rate(Channel::Widget, "w1", rated, true).await.unwrap();
    let url = format!("sqlite://{}", shop.dir.path().join("shoptalk.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    for statement in ["DELETE FROM visits", "DELETE FROM asked_topics"] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    for _ in 0..2 {
        shoptalk::storage::Store::connect(&url).await.unwrap();
        assert_eq!(count(&viewer, "Confirmed").await, ("1".to_owned(), "1".to_owned()));
        assert_eq!(line(&viewer, "topics", "return_policy").await[1], "1");
    }
}

/// The page over 10,000 conversations with 200,000 messages. The bound leaves room for a build without optimisation on a
/// busy machine; the measured time is printed.
#[tokio::test]
async fn the_page_is_fast_with_many_conversations() {
    let shop = TestConsole::start().await;
    let viewer = shop.logged_in(Role::Viewer).await;
    let url = format!("sqlite://{}", shop.dir.path().join("shoptalk.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let now = Utc::now().timestamp_millis();
    let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 200000)";
    for statement in [
        format!(
            "INSERT INTO conversations (channel, chat, state, language, memory_json, turn_noted, started_at, updated_at)
             {numbers} SELECT 'widget', 'w' || n, 'bot', 'en', '{{}}', 1, {now} - n * 700000, {now} - n * 700000
             FROM numbers WHERE n <= 10000"
        ),
        format!(
            "INSERT INTO messages (conversation_id, author, text, reply_json, at)
             {numbers} SELECT 1 + n % 10000, CASE n % 2 WHEN 0 THEN 'bot' ELSE 'shopper' END, 'words of a message', NULL,
                 {now} - n FROM numbers"
        ),
        "INSERT INTO visits (conversation_id, channel, language, began_at, ended_at, first_answer_ms, last_reply, answered)
         SELECT id, CASE id % 2 WHEN 0 THEN 'widget' ELSE 'telegram' END, CASE id % 3 WHEN 0 THEN 'zh' ELSE 'en' END,
             started_at, started_at, id, CASE id % 5 WHEN 0 THEN 'declined' ELSE 'answered' END, 1 FROM conversations"
            .to_owned(),
        "INSERT INTO asked_topics (day, channel, language, intent, asked, declined)
         SELECT began_at / 86400000, channel, language, 'intent ' || (id % 40), COUNT(*), 1 FROM visits
         GROUP BY 1, 2, 3, 4"
            .to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        assert!(viewer.page("/console/outcome?days=90").await.contains("intent 1<"));
        times.push(began.elapsed());
    }
    times.sort();
    println!("the outcome page: median {:?}, p95 {:?}", times[10], times[18]);
    assert!(times[18] < Duration::from_millis(500), "{times:?}");
}
