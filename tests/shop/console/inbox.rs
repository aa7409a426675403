//! The inbox: what staff see beside a transcript, and what they do with conversations.

use chrono::{TimeDelta, Utc};
use futures::StreamExt;
use reqwest::StatusCode;
use shoptalk::{
    catalog::{Money, Order, OrderItem, OrderStatus},
    conversation::{Conversation, Exchange, Staff, State},
    live::LiveEvent,
    message::{Channel, ProductCard, Reply},
    storage::{Author, Role},
};

use super::{PASSWORD, PASSWORD_HASH, SCRIPT, TestConsole, Visitor, location, reply};

impl TestConsole {
    /// A colleague of the one who is logged in, with their row.
    async fn colleague(&self, name: &str) -> (i64, Visitor) {
        let email = format!("{name}@shop.example");
        let id = self.store.add_user(&email, name, Role::Agent, &PASSWORD_HASH, Utc::now()).await.unwrap().unwrap();
        let mut visitor = self.visitor();
        assert_eq!(visitor.log_in(&email, PASSWORD).await.status(), StatusCode::SEE_OTHER);
        (id, visitor)
    }
}

fn waiting(text: &str) -> Reply {
    Reply { handoff: true, ..reply(text) }
}

/// The numbers beside the views, in their order: mine, unassigned, waiting, snoozed, all.
fn counts(page: &str) -> Vec<i64> {
    let views = page.split("class=\"views\"").nth(1).unwrap().split("</nav>").next().unwrap();
    let numbers = views.split("<span class=\"number\">").skip(1);
    numbers.map(|part| part.split('<').next().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn the_list_stays_beside_an_open_conversation_with_its_view_and_filters() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let open = shop.turn(Channel::Widget, "w1", "wool socks?", &reply("Yes, wool")).await;
    shop.turn(Channel::Widget, "w2", "cotton?", &reply("Yes, cotton")).await;
    let page = agent.page(&format!("/console/conversations/{open}?view=all&q=wool")).await;
    assert!(
        page.contains(&format!("href=\"/console/conversations/{open}?view=all&#38;q=wool\" aria-current=\"true\""))
    );
    assert!(page.contains("id=\"transcript\"") && page.contains("id=\"shopper\"") && !page.contains("Yes, cotton"));
    let path = format!("/console/conversations/{open}/state?view=all&q=wool");
    let response = agent.post(&path, &[("action", "take")]).await;
    assert_eq!(location(&response), format!("/console/conversations/{open}?view=all&q=wool#reply"));
}

#[tokio::test]
async fn each_view_has_its_count_and_its_conversations() {
    let shop = TestConsole::start().await;
    let mut ana = shop.logged_in(Role::Agent).await;
    let (bo, bos) = shop.colleague("bo").await;
    let first = shop.turn(Channel::Widget, "w1", "a person", &waiting("First waits")).await;
    shop.turn(Channel::Widget, "w2", "a person", &waiting("Second waits")).await;
    shop.turn(Channel::Widget, "w3", "hello", &reply("Third talks")).await;
    assert_eq!(counts(&ana.page("/console/conversations").await), [0, 2, 2, 0, 3]);

    let path = format!("/console/conversations/{first}/assign");
    assert_eq!(ana.post(&path, &[("user", &bo.to_string())]).await.status(), StatusCode::SEE_OTHER);
    ana.post(&path, &[("user", &bo.to_string())]).await;
    assert_eq!(counts(&ana.page("/console/conversations").await), [0, 1, 2, 0, 3]);
    let mine = bos.page("/console/conversations?view=mine").await;
    assert_eq!(counts(&mine), [1, 1, 2, 0, 3]);
    assert!(mine.contains("First waits") && !mine.contains("Second waits"));
    let unassigned = bos.page("/console/conversations?view=unassigned").await;
    assert!(!unassigned.contains("First waits") && unassigned.contains("Second waits"));
    assert!(!unassigned.contains("Third talks"), "the bot looks after it");
    let notices = shop.store.messages(first, 2).await.unwrap();
    let notices: Vec<_> = notices.iter().map(|message| (message.author, message.text.as_str())).collect();
    assert_eq!(notices, [(Author::System, "Ana assigned the conversation to bo.")], "once");
    assert_eq!(ana.post(&path, &[("user", "999")]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_answers_looks_after_it_until_it_is_given_back_or_begins_anew() {
    let shop = TestConsole::start().await;
    let mut ana = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "a person", &waiting("I pass you on")).await;
    ana.post(&format!("/console/conversations/{id}/reply"), &[("text", "Ana here")]).await;
    assert_eq!(counts(&ana.page("/console/conversations").await), [1, 0, 0, 0, 1]);
    ana.post(&format!("/console/conversations/{id}/state"), &[("action", "return")]).await;
    assert_eq!(counts(&ana.page("/console/conversations").await), [0, 0, 0, 0, 1]);
    for action in ["take", "close"] {
        ana.post(&format!("/console/conversations/{id}/state"), &[("action", action)]).await;
    }
    assert!(shop.store.care(id).await.unwrap().assignee_id.is_some());
    shop.turn(Channel::Widget, "w1", "one more thing", &reply("Yes?")).await;
    assert_eq!(shop.store.care(id).await.unwrap().assignee_id, None, "a new beginning with the bot");
    shop.store.staff_reply(id, Staff::new("telegram", 5, "Bo"), "Bo here", Utc::now()).await.unwrap();
    assert_eq!(shop.store.care(id).await.unwrap().assignee_id, None, "Telegram knows other people");
}

#[tokio::test]
async fn filters_narrow_the_list_by_what_the_address_says() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let declined = Reply { declined: true, intent: "other".into(), intent_confidence: 0.31, ..reply("No idea") };
    let id = shop.turn(Channel::Telegram, "t1", "why?", &declined).await;
    shop.turn(Channel::Widget, "w1", "returns?", &reply("Thirty days")).await;
    agent.post(&format!("/console/conversations/{id}/tags"), &[("tag", " Strange  One ")]).await;
    let yesterday = (Utc::now() - TimeDelta::days(1)).format("%Y-%m-%d").to_string();
    let viewer = shop.logged_in(Role::Viewer).await;
    let found = async |query: &str| {
        let page = viewer.page(&format!("/console/conversations?{query}")).await;
        (page.contains("No idea"), page.contains("Thirty days"))
    };
    for query in ["channel=telegram", "intent=other", "quality=declined", "quality=unsure", "tag=strange%20one"] {
        assert_eq!(found(query).await, (true, false), "{query}");
    }
    for query in ["channel=widget", "intent=return_policy"] {
        assert_eq!(found(query).await, (false, true), "{query}");
    }
    for query in ["language=en".to_owned(), format!("from={yesterday}"), "channel=nonsense".to_owned()] {
        assert_eq!(found(&query).await, (true, true), "{query}");
    }
    for query in ["language=zh".to_owned(), format!("to={yesterday}")] {
        assert_eq!(found(&query).await, (false, false), "{query}");
    }
    let page = viewer.page("/console/conversations").await;
    assert!(page.contains("<option value=\"return_policy\">return policy</option>"), "{page}");
    agent.post(&format!("/console/conversations/{id}/tags"), &[("remove", "strange one")]).await;
    assert_eq!(found("tag=strange%20one").await, (false, false));
}

#[tokio::test]
async fn the_list_shows_the_line_that_was_found_in_both_languages() {
    let shop = TestConsole::start().await;
    let viewer = shop.logged_in(Role::Viewer).await;
    shop.turn(Channel::Widget, "w1", "您好，我想退货可以吗", &reply("可以。")).await;
    shop.turn(Channel::Widget, "w2", "Are they waterproof <b>?", &reply("Yes.")).await;
    let page = viewer.page("/console/conversations?q=%E9%80%80%E8%B4%A7").await;
    assert!(page.contains("您好，我想<mark>退货</mark>可以吗"), "{page}");
    let page = viewer.page("/console/conversations?q=ERPROOF").await;
    assert!(page.contains("Are they wat<mark>erproof</mark> &#60;b&#62;?") && !page.contains("退货"), "{page}");
}

#[tokio::test]
async fn what_came_after_the_last_look_is_unread_for_each_person() {
    let shop = TestConsole::start().await;
    let ana = shop.logged_in(Role::Agent).await;
    let (_, bos) = shop.colleague("bo").await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let unread = async |visitor: &Visitor| {
        let page = visitor.page("/console/conversations").await;
        page.split("class=\"new-count\" title=\"").nth(1).map(|rest| rest.split(' ').next().unwrap().to_owned())
    };
    assert_eq!(unread(&ana).await.as_deref(), Some("1"));
    ana.page(&format!("/console/conversations/{id}")).await;
    assert_eq!((unread(&ana).await, unread(&bos).await.as_deref()), (None, Some("1")));
    shop.turn(Channel::Widget, "w1", "anybody?", &reply("Yes")).await;
    assert_eq!((unread(&ana).await.as_deref(), unread(&bos).await.as_deref()), (Some("1"), Some("2")));
}

#[tokio::test]
async fn a_colleague_on_the_same_page_is_named_and_told_at_once() {
    let shop = TestConsole::start().await;
    let ana = shop.logged_in(Role::Agent).await;
    let (_, bos) = shop.colleague("bo").await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let path = format!("/console/conversations/{id}");
    assert!(!ana.page(&path).await.contains("has this conversation open"));
    let mut watch = shop.live.watch();
    assert!(bos.page(&path).await.contains("Ana has this conversation open too."));
    assert_eq!(watch.recv().await.unwrap().event, LiveEvent::Changed);
    assert!(ana.page(&path).await.contains("bo has this conversation open too."));
    assert!(watch.try_recv().is_err(), "a page that is read again is no news");
}

#[tokio::test]
async fn a_snoozed_conversation_rests_and_comes_back_by_itself_or_by_words_of_the_shopper() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "a person", &waiting("I pass you on")).await;
    let talk = shop.turn(Channel::Widget, "w2", "hello", &reply("Hi")).await;
    let snooze = format!("/console/conversations/{id}/snooze");
    assert_eq!(agent.post(&snooze, &[("hours", "4")]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(counts(&agent.page("/console/conversations").await), [0, 0, 0, 1, 2]);
    assert!(agent.page("/console/conversations?view=snoozed").await.contains("Snoozed until"));
    agent.post(&snooze, &[("hours", "0")]).await;
    assert_eq!(counts(&agent.page("/console/conversations").await), [0, 1, 1, 0, 2]);

    // The time has come.
    shop.store.snooze(talk, Some(Utc::now() - TimeDelta::seconds(1))).await.unwrap();
    assert_eq!(counts(&agent.page("/console/conversations").await), [0, 2, 1, 0, 2]);
    // The shopper writes before it.
    shop.store.snooze(talk, Some(Utc::now() + TimeDelta::hours(9))).await.unwrap();
    assert_eq!(counts(&agent.page("/console/conversations").await), [0, 1, 1, 1, 2]);
    shop.turn(Channel::Widget, "w2", "I cannot wait", &reply("Sorry")).await;
    assert_eq!(counts(&agent.page("/console/conversations").await), [0, 2, 1, 0, 2]);
    assert!(agent.page(&format!("/console/conversations/{talk}")).await.contains("Back from its snooze"));
    agent.post(&format!("/console/conversations/{talk}/state"), &[("action", "close")]).await;
    assert_eq!(counts(&agent.page("/console/conversations").await), [0, 1, 1, 0, 2], "done with");
}

#[tokio::test]
async fn ready_answers_are_kept_and_put_into_a_draft() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let keep = async |agent: &mut Visitor, name: &str, text: &str| {
        agent.post("/console/replies", &[("name", name), ("text", text)]).await.status()
    };
    assert_eq!(keep(&mut agent, "/Returns", "Thirty\r\ndays.").await, StatusCode::SEE_OTHER);
    assert_eq!(keep(&mut agent, "returns", "Thirty days, unworn.").await, StatusCode::SEE_OTHER, "replaced");
    assert_eq!(keep(&mut agent, "退货", SCRIPT).await, StatusCode::SEE_OTHER);
    for (name, text) in [("two words", "x"), ("", "x"), ("x", " ")] {
        assert_eq!(keep(&mut agent, name, text).await, StatusCode::UNPROCESSABLE_ENTITY, "{name:?} {text:?}");
    }
    let page = agent.page("/console/replies").await;
    assert!(page.contains("/returns") && page.contains("unworn") && !page.contains("<script>alert"), "{page}");
    let ready = shop.store.canned_replies().await.unwrap();
    assert_eq!(ready.len(), 2);
    let canned = ready[0].id.to_string();
    let fields = [("text", "Dear Bo,"), ("as", "insert"), ("canned", canned.as_str())];
    let response = agent.post(&format!("/console/conversations/{id}/reply"), &fields).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.text().await.unwrap().contains("Dear Bo,\nThirty days, unworn.</textarea>"));
    assert_eq!(shop.store.messages(id, 0).await.unwrap().len(), 2, "nothing was sent");
    let delete = format!("/console/replies/{canned}/delete");
    assert_eq!(agent.post(&delete, &[]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(agent.post(&delete, &[]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_shoppers_pane_shows_what_the_shop_knows_of_a_verified_customer() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let order = Order {
        order_id: "TC-100".into(),
        customer_id: "ada".into(),
        email: None,
        phone: None,
        placed_at: "2026-11-01".into(),
        status: OrderStatus::OutForDelivery,
        items: vec![OrderItem { sku: "BOOT-1".into(), quantity: 2 }],
        carrier: Some("DHL".into()),
        tracking: Some("00340".into()),
        eta: None,
        total: Some(Money { minor: 12_900, currency: "EUR".into() }),
    };
    shop.store.upsert_orders(&[order]).await.unwrap();
    let stranger = shop.turn(Channel::Widget, "w0", "hello", &reply("Hi")).await;
    let mut earlier = Conversation::new(Channel::Telegram, "t1");
    earlier.customer = Some("ada".into());
    let earlier = shop.turn_of(&earlier, "long ago", &reply("It was")).await;
    let mut conversation = Conversation::new(Channel::Widget, "w1");
    conversation.memory.verified_customer = Some("ada".into());
    conversation.memory.exchanges.push(Exchange {
        question: "caps?".into(),
        reply: "Yes".into(),
        intent: "product_info".into(),
        declined: false,
        chunks: vec![],
        products: vec!["CAP-9".into()],
    });
    let card = ProductCard {
        sku: "BOOT-1".into(),
        title: "Boots".into(),
        price: Money { minor: 6_450, currency: "EUR".into() },
        stock: 3,
        image: None,
        reason: "warm".into(),
    };
    let id = shop.turn_of(&conversation, "boots?", &Reply { products: vec![card], ..reply("These") }).await;
    agent.post(&format!("/console/conversations/{id}/reply"), &[("text", "a good customer"), ("as", "note")]).await;

    let page = agent.page(&format!("/console/conversations/{id}")).await;
    let pane = page.split("id=\"about\"").nth(1).unwrap();
    for expected in ["TC-100", "out for delivery", "€129.00", "2 × BOOT-1", "DHL 00340", "a good customer"] {
        assert!(pane.contains(expected), "{expected}: {pane}");
    }
    assert!(pane.find("BOOT-1</span>").unwrap() < pane.find("CAP-9</span>").unwrap());
    assert!(pane.contains("shown") && pane.contains("asked about"));
    assert!(pane.contains(&format!("/console/conversations/{earlier}\"")) && pane.contains("It was"));
    let page = agent.page(&format!("/console/conversations/{stranger}")).await;
    assert!(page.contains("Not verified") && !page.contains("TC-100"));
}

#[tokio::test]
async fn transcripts_and_lists_are_exported_without_formulas() {
    let shop = TestConsole::start().await;
    let agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Telegram, "7:42", "=HYPERLINK(\"evil\")", &reply("+1 \"yes\"")).await;
    shop.turn(Channel::Widget, "w1", "other", &reply("@other")).await;
    let file = async |path: &str, kind: &str, name: &str| {
        let response = agent.get(path).await;
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        assert!(response.headers()["content-disposition"].to_str().unwrap().contains(name), "{path}");
        response.text().await.unwrap()
    };
    let path = format!("/console/conversations/{id}/export");
    let csv = file(&format!("{path}?format=csv"), "text/csv", &format!("conversation-{id}.csv")).await;
    assert!(csv.contains(",\"'=HYPERLINK(\"\"evil\"\")\"\n") && csv.contains(",\"'+1 \"\"yes\"\"\"\n"), "{csv}");
    let jsonl = file(&path, "application/x-ndjson", ".jsonl").await;
    let lines: Vec<serde_json::Value> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["text"], &lines[0]["author"]), (&"=HYPERLINK(\"evil\")".into(), &"shopper".into()));
    assert_eq!((&lines[1]["intent"], &lines[1]["confidence"]), (&"return_policy".into(), &0.93.into()));
    let list = file("/console/conversations/export?channel=telegram&format=csv", "text/csv", "conversations.csv").await;
    assert!(list.lines().count() == 2 && list.contains("7:42") && !list.contains("other"), "{list}");
    let list = file("/console/conversations/export?format=jsonl", "application/x-ndjson", "conversations.jsonl").await;
    assert_eq!(list.lines().count(), 2);
    let viewer = shop.logged_in(Role::Viewer).await;
    assert_eq!(viewer.get(&path).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_print_view_leaves_notes_out_unless_they_are_asked_for() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "hello there", &reply("Hi")).await;
    agent.post(&format!("/console/conversations/{id}/reply"), &[("text", "for us alone"), ("as", "note")]).await;
    let path = format!("/console/conversations/{id}/print");
    let page = agent.page(&path).await;
    assert!(page.contains("hello there") && !page.contains("for us alone"));
    assert!(agent.page(&format!("{path}?notes=1")).await.contains("for us alone"));
    assert_eq!(agent.get("/console/conversations/999/print").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_viewer_reads_everything_and_changes_nothing() {
    let shop = TestConsole::start().await;
    let mut viewer = shop.logged_in(Role::Viewer).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &waiting("I pass you on")).await;
    let page = viewer.page(&format!("/console/conversations/{id}")).await;
    for action in ["assign", "tags", "snooze", "reply"] {
        assert!(!page.contains(&format!("/{id}/{action}")), "{action}");
        let path = format!("/console/conversations/{id}/{action}");
        assert_eq!(viewer.post(&path, &[("user", ""), ("tag", "x")]).await.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(shop.store.conversation_by_id(id).await.unwrap().unwrap().state, State::Waiting);
}

#[tokio::test]
async fn open_pages_hear_that_a_shopper_is_writing() {
    let shop = TestConsole::start().await;
    let viewer = shop.logged_in(Role::Viewer).await;
    let mut events = viewer.get("/console/live").await.bytes_stream();
    shop.live.announce(Channel::Widget, "w1", LiveEvent::ShopperWrites);
    let first = String::from_utf8_lossy(&events.next().await.unwrap().unwrap()).into_owned();
    assert!(first.contains(r#"{"type":"writes","channel":"widget","chat":"w1"}"#), "{first}");
}
