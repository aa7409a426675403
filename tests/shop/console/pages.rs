//! What the pages show and do.

use axum::http::Method;
use chrono::Utc;
use futures::StreamExt;
use reqwest::StatusCode;
use shoptalk::{
    conversation::{Conversation, Staff, State},
    live::LiveEvent,
    message::{Channel, Inbound, Origin, Reply},
    storage::{Author, Role, UnreadUpdate},
};

use super::{PASSWORD, SCRIPT, TestConsole, location, reply};

#[tokio::test]
async fn what_shoppers_and_documents_say_is_shown_as_text() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Owner).await;
    let mut hostile = reply(SCRIPT);
    hostile.intent = SCRIPT.to_owned();
    hostile.citations[0].quote = SCRIPT.to_owned();
    hostile.citations[0].heading = SCRIPT.to_owned();
    hostile.trace.query = SCRIPT.to_owned();
    hostile.trace.passages[0].text = SCRIPT.to_owned();
    hostile.trace.support = vec![SCRIPT.to_owned()];
    let chat = "\"><script>alert(1)</script>";
    let id = shop.turn(Channel::Widget, chat, SCRIPT, &hostile).await;
    let document = shop.document(&format!("{SCRIPT}.md"), SCRIPT).await;
    for path in [
        format!("/console/conversations/{id}"),
        "/console/conversations".to_owned(),
        "/console/conversations?q=%22%3E%3Cscript%3Ealert(1)".to_owned(),
        "/console/documents".to_owned(),
        format!("/console/documents/{document}"),
        format!("/console/documents/{document}/delete"),
        "/console/login?next=%22%3E%3Cscript%3Ealert(1)".to_owned(),
    ] {
        let page = visitor.page(&path).await;
        assert!(!page.contains("<script>"), "{path}");
        assert!(page.contains("script"), "{path} shows the text itself");
    }
}

#[tokio::test]
async fn a_reply_of_staff_reaches_the_shopper_and_silences_the_bot() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Telegram, "7:42", "hello", &reply("Hi")).await;
    let mut watch = shop.live.watch();
    let response =
        agent.post(&format!("/console/conversations/{id}/reply"), &[("text", " I am Ana.\r\nHow can I help? ")]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);

    let messages = shop.store.messages(id, 0).await.unwrap();
    let last = messages.last().unwrap();
    assert_eq!((last.author, last.author_name.as_deref()), (Author::Staff, Some("Ana")));
    assert_eq!(last.text, "I am Ana.\nHow can I help?");
    assert_eq!(shop.store.conversation_by_id(id).await.unwrap().unwrap().state, State::WithStaff);
    // One reply per chat is offered at a time: the bot's comes first.
    let first = shop.store.pending_outbox(Channel::Telegram, Utc::now(), 10).await.unwrap();
    shop.store.outbox_sent(&[first[0].id]).await.unwrap();
    let queued = shop.store.pending_outbox(Channel::Telegram, Utc::now(), 10).await.unwrap();
    assert_eq!(queued.last().map(|item| item.message.text.as_str()), Some("I am Ana.\nHow can I help?"));
    let event = watch.recv().await.unwrap();
    assert_eq!((event.channel, event.chat.as_str(), event.event), (Channel::Telegram, "7:42", LiveEvent::Changed));
    assert!(agent.page(&format!("/console/conversations/{id}")).await.contains("I am Ana."));
}

#[tokio::test]
async fn an_empty_or_too_long_reply_is_refused_and_the_words_are_kept() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let path = format!("/console/conversations/{id}/reply");
    assert_eq!(agent.post(&path, &[("text", " \n ")]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let long = "长".repeat(4001);
    let page = agent.post(&path, &[("text", &long)]).await.text().await.unwrap();
    assert!(page.contains("4001 characters") && page.contains(&long));
    assert_eq!(shop.store.messages(id, 0).await.unwrap().len(), 2);
    assert_eq!(agent.post("/console/conversations/999/reply", &[("text", "x")]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn staff_take_hand_back_and_close_with_one_notice_each() {
    let shop = TestConsole::start().await;
    let mut agent = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let path = format!("/console/conversations/{id}/state");
    for (action, state) in [
        ("take", State::WithStaff),
        ("take", State::WithStaff),
        ("return", State::Bot),
        ("close", State::Closed),
        ("close", State::Closed),
    ] {
        let response = agent.post(&path, &[("action", action)]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(shop.store.conversation_by_id(id).await.unwrap().unwrap().state, state, "{action}");
    }
    let written = shop.store.messages(id, 2).await.unwrap();
    let by = |author: Author| -> Vec<&String> {
        written.iter().filter(|message| message.author == author).map(|message| &message.text).collect()
    };
    let (notices, said) = (by(Author::System), by(Author::Bot));
    assert_eq!((notices.len(), said.len()), (3, 2), "{written:?}");
    assert!(said[0].contains("handed you back") && said[1].contains("closed now"), "{said:?}");
    assert!(notices[0].starts_with("Ana"), "{notices:?}");
    assert!(agent.post(&path, &[("action", "burn")]).await.status().is_client_error());
}

#[tokio::test]
async fn a_second_answer_is_refused_with_who_is_answering_unless_one_takes_over() {
    let shop = TestConsole::start().await;
    let mut ana = shop.logged_in(Role::Agent).await;
    let id = shop.turn(Channel::Widget, "w1", "a person please", &Reply { handoff: true, ..reply("Yes") }).await;
    let (path, page) = (format!("/console/conversations/{id}/reply"), format!("/console/conversations/{id}"));
    assert!(ana.page(&page).await.contains("number 1 in the queue, waiting for 0 min"));
    shop.store.staff_reply(id, Staff::new("telegram", 5, "Bo <b>"), "Bo here", Utc::now()).await.unwrap();
    assert!(ana.page(&page).await.contains("Bo &#60;b&#62; is answering"));
    let refused = ana.post(&path, &[("text", "Ana here, too"), ("as", "reply")]).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let refused = refused.text().await.unwrap();
    assert!(refused.contains("was not sent") && refused.contains("Ana here, too"), "{refused}");
    assert!(refused.contains("Take over anyway"), "{refused}");
    assert_eq!(ana.post(&path, &[("text", "is Bo right?"), ("as", "note")]).await.status(), StatusCode::SEE_OTHER);
    assert!(ana.page(&page).await.contains("Note for colleagues"));
    ana.post(&path, &[("text", "Ana here, too"), ("as", "take_over")]).await;
    let written = shop.store.messages(id, 2).await.unwrap().into_iter().map(|message| (message.author, message.text));
    let expected = [
        (Author::Staff, "Bo here"),
        (Author::Note, "is Bo right?"),
        (Author::System, "Ana took the conversation over."),
        (Author::Staff, "Ana here, too"),
    ];
    assert_eq!(written.collect::<Vec<_>>(), expected.map(|(author, text)| (author, text.to_owned())));
    assert_eq!(shop.store.standing(id).await.unwrap().unwrap().holder.unwrap().staff.name, "Ana");
}

#[tokio::test]
async fn the_list_shows_the_queue_the_hours_and_messages_that_were_left() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Viewer).await;
    let waiting = Reply { handoff: true, ..reply("I pass you on.") };
    shop.turn(Channel::Widget, "first", "a person", &waiting).await;
    shop.turn(Channel::Widget, "second", "a person too", &waiting).await;
    let list = visitor.page("/console/conversations").await;
    let place = |text: &str| list.find(text).unwrap_or_else(|| panic!("{text} is missing: {list}"));
    assert!(place("number 1 in the queue") < place("number 2 in the queue"));
    assert!(!list.contains("class=\"soft desk\""), "a shop without hours");
    let profile =
        "{\"support_hours\": {\"timezone\": \"Asia/Shanghai\", \"days\": [], \"from\": \"09:00\", \"to\": \"18:00\",
        \"other\": {\"mon\": [\"09:00-10:00\"]}, \"holidays\": []}}";
    shop.store.set_shop_profile(profile).await.unwrap();
    let list = visitor.page("/console/conversations").await;
    assert!(list.contains("Outside of your hours") || list.contains("Within your hours"), "{list}");
    let mut left = Conversation::new(Channel::Widget, "third");
    left.memory.wish_left = true;
    shop.turn_of(&left, "please call me", &reply("Kept.")).await;
    let list = visitor.page("/console/conversations").await;
    assert_eq!(list.matches("Kept.").count(), 1);
    assert!(list.contains("Left a message for a person"));
}

#[tokio::test]
async fn waiting_shoppers_stand_first_and_the_list_can_be_searched() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Viewer).await;
    let waiting = Reply { handoff: true, ..reply("I pass you on.") };
    shop.turn(Channel::Telegram, "needs-person", "I want a person", &waiting).await;
    shop.turn(Channel::Widget, "newer-one", "100% wool socks?", &reply("Yes, wool")).await;
    let list = visitor.page("/console/conversations").await;
    let place = |text: &str| list.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(place("I pass you on.") < place("Yes, wool"), "waiting first although the other one is newer");
    assert_eq!(list.matches("I pass you on.").count(), 1);

    let found = visitor.page("/console/conversations?q=100%25+WOOL").await;
    assert!(found.contains("Yes, wool") && !found.contains("I pass you on."));
    let found = visitor.page("/console/conversations?state=waiting").await;
    assert!(!found.contains("Yes, wool") && found.contains("I pass you on."));
    let nothing = visitor.page("/console/conversations?q=%25%25&state=nonsense&page=-3").await;
    assert!(nothing.contains("Nothing found"));
}

#[tokio::test]
async fn the_transcript_says_why_the_bot_answered_so() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Viewer).await;
    let id = shop.turn(Channel::Widget, "w1", "Can I return boots?", &reply("Within thirty days.")).await;
    let page = visitor.page(&format!("/console/conversations/{id}")).await;
    for expected in [
        "return policy (93 %)",
        "answered",
        "within thirty days",
        "returns.docx",
        "cosine 0.871",
        "BM25 7.25",
        "read by the chat model +2.5",
        "88 %",
        "supported by passage 1",
        "test-model",
        "answer v3",
        "120 ms / 840 ms",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    assert!(!page.contains("<textarea"), "a viewer has no reply box");
}

#[tokio::test]
async fn each_file_of_an_upload_gets_its_own_result() {
    let shop = TestConsole::start().await;
    let merchant = shop.logged_in(Role::Merchant).await;
    let files = vec![
        ("folder/returns.md", b"Returns".to_vec()),
        ("broken.pdf", b"%PDF".to_vec()),
        ("panic.docx", b"x".to_vec()),
        ("empty.txt", Vec::new()),
    ];
    let response = merchant.upload(files).await;
    assert_eq!(response.status(), StatusCode::OK);
    let page = response.text().await.unwrap();
    for expected in [
        "<strong>returns.md</strong>",
        "7 bytes, 2 passages",
        "A picture was left out.",
        "broken.pdf is damaged (no end of file); save it again as PDF and upload it once more",
        "because of a fault in the program",
        "The file is empty",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let response = merchant.upload(vec![("broken.pdf", b"%PDF".to_vec())]).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn too_large_and_too_many_files_are_refused_by_name_and_number() {
    let shop = TestConsole::start().await;
    let merchant = shop.logged_in(Role::Merchant).await;
    let page = merchant.upload(vec![("huge.pdf", vec![b'x'; 50 * 1024 * 1024 + 1]), ("small.md", b"x".to_vec())]).await;
    let page = page.text().await.unwrap();
    assert!(page.contains("larger than 50 MB") && page.contains("1 bytes, 2 passages"));
    let page = merchant.upload((0..23).map(|_| ("a.md", b"x".to_vec())).collect()).await.text().await.unwrap();
    assert_eq!(page.matches("1 bytes, 2 passages").count(), 20);
    assert!(page.contains("the other 3"));
    assert!(merchant.upload(vec![("", Vec::new())]).await.text().await.unwrap().contains("No file was chosen"));
}

#[tokio::test]
async fn a_document_shows_what_was_read_and_is_deleted_after_a_question() {
    let shop = TestConsole::start().await;
    let mut merchant = shop.logged_in(Role::Merchant).await;
    let id = shop.document("returns.md", "Boots | 30 days").await;
    let page = merchant.page(&format!("/console/documents/{id}")).await;
    assert!(page.contains("Table row") && page.contains("<th scope=\"row\" dir=\"auto\">Boots</th>"));
    assert!(merchant.page(&format!("/console/documents/{id}/delete")).await.contains("Delete returns.md?"));
    assert_eq!(shop.store.documents().await.unwrap().len(), 1);
    merchant.post(&format!("/console/documents/{id}/delete"), &[]).await;
    assert!(shop.store.documents().await.unwrap().is_empty());
    assert!(merchant.page("/console/documents").await.contains("No documents yet"));
}

#[tokio::test]
async fn the_first_page_says_in_one_line_how_the_program_is() {
    let shop = TestConsole::start().await;
    let page = shop.logged_in(Role::Viewer).await.page("/console").await;
    let line = page.lines().find(|line| line.contains("Encoder: e5")).expect("the line");
    assert!(line.contains("not all of it is there"), "{line}");
    assert!(line.contains("could not be loaded") && !line.contains("<b>"), "{line}");
}

#[tokio::test]
async fn the_owner_adds_people_and_a_taken_address_is_said() {
    let shop = TestConsole::start().await;
    let mut owner = shop.logged_in(Role::Owner).await;
    let fields = [("name", "Bo"), ("email", "Bo@shop.example"), ("role", "agent"), ("password", PASSWORD)];
    assert_eq!(owner.post("/console/people", &fields).await.status(), StatusCode::SEE_OTHER);
    let page = owner.post("/console/people", &fields).await.text().await.unwrap();
    assert!(page.contains("there already"));
    let bo = shop.store.user_by_email("bo@shop.example").await.unwrap().unwrap();
    assert_eq!(bo.role, Role::Agent);
    assert_eq!(shop.visitor().log_in("bo@shop.example", PASSWORD).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_language_is_the_browsers_until_another_is_chosen() {
    let shop = TestConsole::start().await;
    let mut visitor = shop.visitor();
    let chinese = visitor.request(Method::GET, "/console/login").header("accept-language", "zh-CN,en;q=0.5");
    let page = chinese.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("lang=\"zh-CN\"") && page.contains("登录"));
    let response = visitor.post("/console/language", &[("language", "zh"), ("back", "/console/login")]).await;
    assert_eq!(location(&response), "/console/login");
    assert!(visitor.page("/console/login").await.contains("登录"));
    let response = visitor.post("/console/language", &[("language", "en"), ("back", "https://evil.example")]).await;
    assert_eq!(location(&response), "/console");
}

#[tokio::test]
async fn open_pages_are_told_of_changes_and_the_stream_ends_with_the_server() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Viewer).await;
    let response = visitor.get("/console/live").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.bytes_stream();
    shop.live.announce(Channel::Widget, "w1", LiveEvent::Changed);
    let first = events.next().await.unwrap().unwrap();
    let first = String::from_utf8_lossy(&first).into_owned();
    assert!(first.contains(r#"{"type":"changed","channel":"widget","chat":"w1"}"#), "{first}");
    shop.shutdown.cancel();
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn what_was_set_aside_is_shown_with_its_reason_and_can_be_tried_again() {
    let shop = TestConsole::start().await;
    let at = Utc::now();
    let inbound = Inbound {
        channel: Channel::Telegram,
        chat: "7:42".to_owned(),
        update_id: "1".to_owned(),
        text: format!("{SCRIPT} my card is 4111 1111 1111 1111"),
        customer: None,
        language_hint: None,
        received_at: at,
        attachments: Vec::new(),
        origin: Origin::default(),
    };
    let id = shop.store.accept(&inbound).await.unwrap().unwrap();
    let mut agent = shop.logged_in(Role::Agent).await;
    assert!(!agent.page("/console").await.contains("Set aside"), "no entry while there is nothing");
    shop.store.inbound_failed(id, "the encoder is on fire", 1).await.unwrap();
    let unread = UnreadUpdate {
        channel: Channel::Telegram,
        source: "7".to_owned(),
        key: "2".to_owned(),
        raw: "{\"telepathy\":\"hm\"}".to_owned(),
        error: "its kind is not known".to_owned(),
        received_at: at,
    };
    shop.store.accept_all(&[], std::slice::from_ref(&unread)).await.unwrap();

    assert!(agent.page("/console").await.contains("Set aside"));
    let page = agent.page("/console/set-aside").await;
    for words in ["the encoder is on fire", "its kind is not known", "telepathy", "Try again"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("4111 1111") && !page.contains("<script>"), "{page}");
    let message = format!("/console/set-aside/messages/{id}");
    assert_eq!(agent.post(&message, &[]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(agent.post(&message, &[]).await.status(), StatusCode::NOT_FOUND, "it is not set aside any more");
    assert_eq!(shop.store.pending_inbound(10).await.unwrap()[0].attempts, 0);
    assert_eq!(agent.post("/console/set-aside/updates/1", &[]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(shop.store.unread_to_read(Channel::Telegram, "7").await.unwrap(), [(1, unread.raw)]);
    assert_eq!(shop.store.set_aside_count().await.unwrap(), 0);
}
