//! The widget's API as a browser uses it: what is accepted, what comes back, and that nothing is lost or doubled.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use chrono::Utc;
use futures::StreamExt;
use serde_json::{Value, json};
use shoptalk::{
    app::{App, Models},
    catalog::{Money, Product},
    config::{Config, ModelsConfig, ServerConfig},
    conversation::{Conversation, Event},
    live::LiveEvent,
    message::{
        Channel, Citation, Language, LatencyMs, PassageTrace, ProductCard, Progress, Reply, Route, Sentiment, Trace,
    },
    storage::{StaffAct, StoredProduct, TurnOutcome},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const ANA: &str = "0123456789abcdef0123456789abcdef";
const BEN: &str = "fedcba9876543210fedcba9876543210";

/// A shop whose turns the test makes itself, so that it says when what happens.
struct Shop {
    app: App,
    router: Router,
    shutdown: CancellationToken,
    dir: tempfile::TempDir,
}

impl Shop {
    async fn open(widget_origins: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let widget_origins = widget_origins.iter().map(|&origin| origin.to_owned()).collect();
        let server = ServerConfig { widget_origins, ..ServerConfig::default() };
        let models = ModelsConfig { encoder: "hashed".to_owned(), chat: String::new(), ..ModelsConfig::default() };
        let config = Config { data_dir: dir.path().to_owned(), server, models, ..Config::default() };
        let app = App::open(config, Models::Encoder).await.unwrap();
        let shutdown = CancellationToken::new();
        Self { router: app.router(&shutdown), app, shutdown, dir }
    }

    async fn request(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn send(&self, visitor: &str, id: &str, text: &str) -> (StatusCode, Value) {
        self.send_body(visitor, json!({ "id": id, "text": text }).to_string()).await
    }

    async fn send_body(&self, visitor: &str, body: String) -> (StatusCode, Value) {
        let request = Request::post("/api/widget/messages").header("x-shoptalk-visitor", visitor);
        let response = self.request(request.body(Body::from(body)).unwrap()).await;
        (response.status(), body_json(response).await)
    }

    async fn get(&self, path: &str, visitor: &str) -> Response<Body> {
        self.request(Request::get(path).header("x-shoptalk-visitor", visitor).body(Body::empty()).unwrap()).await
    }

    async fn transcript(&self, visitor: &str, after: i64) -> Value {
        body_json(self.get(&format!("/api/widget/messages?after={after}"), visitor).await).await
    }

    /// Commits a turn for each waiting message, as the dispatcher would.
    async fn answer_all(&self, reply: &Reply) {
        for pending in self.app.store.pending_inbound(100).await.unwrap() {
            let chat = pending.inbound.chat.clone();
            let conversation = Conversation::new(Channel::Widget, chat.as_str());
            let outcome = TurnOutcome {
                inbox_id: pending.id,
                conversation: &conversation,
                shopper_text: &pending.inbound.text,
                reply: Some(reply),
                at: Utc::now(),
            };
            self.app.store.commit_turn(&outcome).await.unwrap();
            self.app.live.announce(Channel::Widget, &chat, LiveEvent::Changed);
        }
    }

    /// The chat under which a visitor's only message waits.
    async fn waiting_chat(&self) -> String {
        self.app.store.pending_inbound(1).await.unwrap()[0].inbound.chat.clone()
    }

    async fn events(&self, visitor: &str, last_event_id: i64) -> EventReader {
        let request = Request::get("/api/widget/events")
            .header("x-shoptalk-visitor", visitor)
            .header("last-event-id", last_event_id)
            .body(Body::empty())
            .unwrap();
        let response = self.request(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        EventReader { body: response.into_body().into_data_stream(), buffer: String::new() }
    }
}

async fn body_json(response: Response<Body>) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

async fn body_text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

struct EventReader {
    body: axum::body::BodyDataStream,
    buffer: String,
}

impl EventReader {
    /// The next event's name and data; `None` when the stream ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
                let Some(data) = field("data: ") else { continue };
                return Some((field("event: ").unwrap().to_owned(), serde_json::from_str(data).unwrap()));
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.body.next()).await.expect("an event")?;
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// Texts of the messages up to the state event that ends what was missed.
    async fn missed(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some((name, data)) = self.next().await {
            match name.as_str() {
                "message" => texts.push(data["text"].as_str().unwrap().to_owned()),
                "state" => break,
                _ => {}
            }
        }
        texts
    }
}

fn reply(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        language: Language::En,
        intent: "return_policy".to_owned(),
        intent_confidence: 0.93,
        route: Route::Answer,
        citations: vec![Citation {
            document: "returns.docx".to_owned(),
            heading: "Boots".to_owned(),
            quote: "30 days".to_owned(),
            score: 0.87,
        }],
        products: vec![ProductCard {
            sku: "B-1".to_owned(),
            title: "Boot".to_owned(),
            price: Money { minor: 12_950, currency: "EUR".to_owned() },
            stock: 3,
            image: Some("img/b 1.jpg".to_owned()),
            reason: "Warm".to_owned(),
        }],
        handoff: false,
        declined: false,
        sentiment: Sentiment::Neutral,
        generated: false,
        latency_ms: LatencyMs::default(),
        suggestions: vec!["And gloves?".to_owned()],
        effect: None,
        trace: Trace {
            merchant_intent: None,
            query: "secret query".to_owned(),
            passages: vec![PassageTrace {
                document: "other.docx".to_owned(),
                heading: String::new(),
                text: "not shown".to_owned(),
                cosine: 0.8,
                bm25: 4.0,
                read: None,
                score: 0.2,
                ..PassageTrace::default()
            }],
            ..Trace::default()
        },
    }
}

#[tokio::test]
async fn a_message_sent_again_counts_once() {
    let shop = Shop::open(&[]).await;
    let (status, body) = shop.send(ANA, "m-1", "Can I return boots?").await;
    assert_eq!((status, &body["duplicate"]), (StatusCode::ACCEPTED, &json!(false)));
    assert_eq!(shop.app.store.pending_inbound(10).await.unwrap().len(), 1, "durable when it is acknowledged");
    let (status, body) = shop.send(ANA, "m-1", "Can I return boots?").await;
    assert_eq!((status, &body["duplicate"]), (StatusCode::ACCEPTED, &json!(true)));
    shop.answer_all(&reply("Yes.")).await;
    shop.send(ANA, "m-1", "Can I return boots?").await;
    shop.answer_all(&reply("Yes.")).await;
    let transcript = shop.transcript(ANA, 0).await;
    let messages = transcript["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["client_id"], "m-1");
}

#[tokio::test]
async fn the_secret_is_not_kept_and_chats_are_apart() {
    let shop = Shop::open(&[]).await;
    shop.send(ANA, "m-1", "mine").await;
    assert!(!shop.waiting_chat().await.contains(ANA));
    // Two visitors may choose the same message id.
    assert_eq!(shop.send(BEN, "m-1", "his").await.1["duplicate"], false);
    let mut ben = shop.events(BEN, 0).await;
    ben.missed().await;
    shop.answer_all(&reply("ok")).await;
    assert_eq!(ben.next().await.unwrap().1["text"], "his");
    assert_eq!(ben.next().await.unwrap().1["text"], "ok");
    assert_eq!(shop.transcript(ANA, 0).await["messages"][0]["text"], "mine");
    assert_eq!(shop.transcript(&"0".repeat(32), 0).await["messages"], json!([]));
}

#[tokio::test]
async fn a_shopper_sees_the_source_and_the_products_but_no_scores() {
    let shop = Shop::open(&[]).await;
    shop.send(ANA, "m-1", "boots?").await;
    shop.answer_all(&reply("Within 30 days.")).await;
    let transcript = shop.transcript(ANA, 0).await;
    let bot = &transcript["messages"][1];
    assert_eq!(bot["citations"], json!([{ "document": "returns.docx", "heading": "Boots", "quote": "30 days" }]));
    assert_eq!(bot["products"][0]["price"], "€129.50");
    assert_eq!(bot["products"][0]["image"], "/media/img/b%201.jpg");
    assert_eq!(bot["suggestions"], json!(["And gloves?"]));
    let text = transcript.to_string();
    for hidden in ["secret query", "not shown", "score", "confidence", "trace", "sentiment", "latency"] {
        assert!(!text.contains(hidden), "{hidden} is not for shoppers: {text}");
    }
}

#[tokio::test]
async fn a_reconnect_loses_and_doubles_nothing() {
    let shop = Shop::open(&[]).await;
    shop.send(ANA, "m-1", "one").await;
    shop.answer_all(&reply("first")).await;
    let mut stream = shop.events(ANA, 0).await;
    assert_eq!(stream.missed().await, ["one", "first"]);
    shop.send(ANA, "m-2", "two").await;
    shop.answer_all(&reply("second")).await;
    let last_seen = stream.next().await.unwrap().1["id"].as_i64().unwrap();
    drop(stream);
    // While nobody listens, the conversation goes on.
    shop.send(ANA, "m-3", "three").await;
    shop.answer_all(&reply("third")).await;
    let mut again = shop.events(ANA, last_seen).await;
    assert_eq!(again.missed().await, ["second", "three", "third"]);
    shop.send(ANA, "m-4", "four").await;
    shop.answer_all(&reply("fourth")).await;
    assert_eq!(again.next().await.unwrap().1["client_id"], "m-4");
    assert_eq!(again.next().await.unwrap().1["text"], "fourth");
}

#[tokio::test]
async fn a_watcher_that_was_overrun_reads_the_transcript_again() {
    let shop = Shop::open(&[]).await;
    shop.send(ANA, "m-1", "one").await;
    let chat = shop.waiting_chat().await;
    let mut stream = shop.events(ANA, 0).await;
    assert_eq!(stream.missed().await, Vec::<String>::new());
    shop.answer_all(&reply("first")).await;
    for _ in 0..5_000 {
        shop.app.live.announce(Channel::Widget, &chat, LiveEvent::Progress(Progress::Typing));
    }
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let (name, data) = stream.next().await.unwrap();
        if name == "message" {
            texts.push(data["text"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(texts, ["one", "first"]);
}

#[tokio::test]
async fn staff_hear_that_a_shopper_is_writing_and_a_flood_of_signs_takes_no_message_away() {
    let shop = Shop::open(&[]).await;
    let mut watch = shop.app.live.watch();
    let writes = async |visitor: &str| {
        let request = Request::post("/api/widget/writing").header("x-shoptalk-visitor", visitor);
        shop.request(request.body(Body::empty()).unwrap()).await.status()
    };
    assert_eq!(writes(ANA).await, StatusCode::NO_CONTENT);
    let live = watch.recv().await.unwrap();
    assert_eq!((live.channel, live.event), (Channel::Widget, LiveEvent::ShopperWrites));
    assert_eq!(writes("no secret").await, StatusCode::BAD_REQUEST);
    let mut refused = false;
    for _ in 0..30 {
        refused |= writes(ANA).await == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(refused);
    assert_eq!(shop.send(ANA, "m-1", "hello").await.0, StatusCode::ACCEPTED);
    assert_eq!(shop.waiting_chat().await, live.chat);
}

#[tokio::test]
async fn words_state_and_staff_reach_the_shopper_and_notices_for_staff_do_not() {
    let shop = Shop::open(&[]).await;
    shop.send(ANA, "m-1", "a person please").await;
    let chat = shop.waiting_chat().await;
    let mut stream = shop.events(ANA, 0).await;
    assert_eq!(stream.next().await.unwrap(), ("state".to_owned(), json!({ "state": "bot" })));
    let words = Progress::Words { text: "One mo".to_owned() };
    shop.app.live.announce(Channel::Widget, &chat, LiveEvent::Progress(words));
    let progress = json!({ "type": "words", "text": "One mo" });
    assert_eq!(stream.next().await.unwrap(), ("progress".to_owned(), progress));
    shop.answer_all(&Reply { handoff: true, route: Route::Handoff, ..reply("I pass you on.") }).await;
    stream.next().await.unwrap();
    assert_eq!(stream.next().await.unwrap().1["handoff"], true);
    assert_eq!(stream.next().await.unwrap(), ("state".to_owned(), json!({ "state": "waiting" })));
    let store = &shop.app.store;
    let conversation = store.conversation(Channel::Widget, &chat).await.unwrap().unwrap();
    let taken = StaffAct {
        conversation_id: conversation.id,
        event: Event::StaffTook("Ana".into()),
        words: None,
        notice: Some("taken by Ana"),
        says: None,
        update: None,
        unchanged: None,
        at: Utc::now(),
    };
    store.act(&taken).await.unwrap();
    store.add_note(conversation.id, &"Ana".into(), "a note for Bo", None, Utc::now()).await.unwrap();
    store.staff_reply(conversation.id, "Ana", "Hello, Ana here.", Utc::now()).await.unwrap();
    shop.app.live.announce(Channel::Widget, &chat, LiveEvent::Changed);
    let (_, staff) = stream.next().await.unwrap();
    assert_eq!((&staff["author"], &staff["author_name"]), (&json!("staff"), &json!("Ana")));
    assert_eq!(stream.next().await.unwrap(), ("state".to_owned(), json!({ "state": "with_staff" })));
    let transcript = shop.transcript(ANA, 0).await.to_string();
    assert!(!transcript.contains("taken by Ana") && !transcript.contains("a note for Bo"), "{transcript}");
}

#[tokio::test]
async fn a_message_that_was_set_aside_is_told_to_its_sender() {
    let shop = Shop::open(&[]).await;
    shop.send(ANA, "m-1", "boom").await;
    let pending = shop.app.store.pending_inbound(1).await.unwrap().remove(0);
    let mut stream = shop.events(ANA, 0).await;
    stream.missed().await;
    shop.app.store.inbound_failed(pending.id, "boom", 1).await.unwrap();
    shop.app.live.announce(Channel::Widget, &pending.inbound.chat, LiveEvent::Changed);
    assert_eq!(stream.next().await.unwrap(), ("failed".to_owned(), json!({ "client_id": "m-1" })));
}

#[tokio::test]
async fn streams_end_when_the_program_stops() {
    let shop = Shop::open(&[]).await;
    let mut stream = shop.events(ANA, 0).await;
    stream.missed().await;
    shop.shutdown.cancel();
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn bad_messages_get_a_clear_error() {
    let shop = Shop::open(&[]).await;
    let body = |text: &str| json!({ "id": "m-1", "text": text }).to_string();
    let cases = [
        (body(""), 400, "empty"),
        (body(&"x".repeat(8_001)), 400, "too_long"),
        (body("\u{0}\u{1}"), 400, "binary"),
        ("{".to_owned(), 400, "not_json"),
        (body(&"x".repeat(100_000)), 413, "too_long"),
        (body(&"x".repeat(1_000_000)), 413, "too_long"),
    ];
    for (body, status, code) in cases {
        let (got, answer) = shop.send_body(ANA, body).await;
        assert_eq!((got.as_u16(), &answer["error"]["code"]), (status, &json!(code)));
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    for visitor in ["", "short", &"x".repeat(32), &"a".repeat(65)] {
        assert_eq!(shop.send(visitor, "m-1", "hi").await.1["error"]["code"], "visitor");
        assert_eq!(shop.get("/api/widget/events", visitor).await.status(), StatusCode::BAD_REQUEST);
    }
    assert!(shop.app.store.pending_inbound(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_writes_too_fast_is_told_when_to_go_on() {
    let shop = Shop::open(&[]).await;
    let mut refused = None;
    for number in 0..40 {
        let request = Request::post("/api/widget/messages").header("x-shoptalk-visitor", ANA);
        let body = json!({ "id": format!("m-{number}"), "text": "hi" }).to_string();
        let response = shop.request(request.body(Body::from(body)).unwrap()).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("40 messages at once are too many");
    let wait: u64 = refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(shop.send(BEN, "m-1", "hi").await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn only_the_merchants_pages_may_ask() {
    let shop = Shop::open(&["https://shop.example"]).await;
    let ask = async |method: &str, origin: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/api/widget/messages")
            .header(header::ORIGIN, origin)
            .header(header::HOST, "chat.example")
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header("x-shoptalk-visitor", ANA)
            .body(Body::from(json!({ "id": "m-1", "text": "hi" }).to_string()))
            .unwrap();
        shop.request(request).await
    };
    let preflight = ask("OPTIONS", "https://shop.example").await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
    let allowed = preflight.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
    assert!(allowed.contains("x-shoptalk-visitor") && allowed.contains("last-event-id"));
    assert!(!preflight.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));

    let refused = ask("POST", "https://evil.example").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(!refused.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    assert_eq!(body_json(refused).await["error"]["code"], "origin");
    assert!(shop.app.store.pending_inbound(10).await.unwrap().is_empty());

    assert_eq!(ask("POST", "https://chat.example").await.status(), StatusCode::ACCEPTED);
    assert_eq!(ask("POST", "https://shop.example").await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_demo_page_shows_the_catalogue_and_escapes_it() {
    let shop = Shop::open(&[]).await;
    let profile = json!({ "name": "Nord & Fjord", "greeting": { "en": "Hi <there>", "zh": "你好" } });
    shop.app.store.set_setting("shop_profile", &profile.to_string()).await.unwrap();
    let product = Product {
        sku: "B-1".to_owned(),
        title: "<b>Boot</b>".to_owned(),
        description: String::new(),
        category: "Boots".to_owned(),
        price: Money { minor: 12_950, currency: "EUR".to_owned() },
        stock: 3,
        attributes: std::collections::BTreeMap::new(),
        image: Some("img/b.png".to_owned()),
        compatible_with: vec![],
        language: Language::En,
    };
    let stored = StoredProduct { product, encoder: "none".to_owned(), embedding: vec![] };
    shop.app.store.upsert_products(&[stored], Utc::now()).await.unwrap();

    let page = shop.get("/", ANA).await;
    assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let html = body_text(page).await;
    assert!(html.contains("Nord &#38; Fjord") && html.contains("€129.50") && html.contains("href=\"/console\""));
    assert!(html.contains("<script src=\"/widget.js\"") && html.contains("/widget.js\" defer&gt;"));
    assert!(!html.contains("<b>Boot</b>") && !html.contains("Hi <there>"));
    assert!(!html.contains("/media/"), "a picture that is missing gets a placeholder");

    std::fs::create_dir_all(shop.dir.path().join("media")).unwrap();
    std::fs::write(shop.dir.path().join("media/b.png"), b"picture").unwrap();
    assert!(body_text(shop.get("/", ANA).await).await.contains("src=\"/media/img/b.png\""));
    let picture = shop.get("/media/img/b.png", ANA).await;
    assert_eq!(
        (picture.status(), &picture.headers()[header::CONTENT_TYPE]),
        (StatusCode::OK, &"image/png".parse().unwrap())
    );
    for path in ["/media/../shoptalk.db", "/media/..%2Fshoptalk.db", "/media/none.png", "/media/b.txt"] {
        assert_eq!(shop.get(path, ANA).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_script_is_one_file_that_browsers_keep() {
    let shop = Shop::open(&[]).await;
    let script = shop.get("/widget.js", ANA).await;
    let etag = script.headers()[header::ETAG].clone();
    let text = body_text(script).await;
    assert!(text.contains("attachShadow") && text.contains(".launcher"), "the style is inside");
    assert!(!text.contains("innerHTML"));
    let request = Request::get("/widget.js").header(header::IF_NONE_MATCH, etag).body(Body::empty()).unwrap();
    assert_eq!(shop.request(request).await.status(), StatusCode::NOT_MODIFIED);
}
