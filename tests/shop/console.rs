//! The console as browsers meet it: over HTTP, with cookies.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use axum::http::Method;
use chrono::Utc;
use futures::StreamExt;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    multipart::{Form, Part},
    redirect::Policy,
};
use shoptalk::{
    console::{self, Access, ConsoleState, UploadFn, UploadReport},
    conversation::{Conversation, State},
    knowledge::{Chunk, ChunkKind},
    live::{LiveEvent, LiveHub},
    message::{Channel, Citation, Inbound, Language, LatencyMs, PassageTrace, Reply, Route, Sentiment, Trace},
    storage::{Author, DocumentWrite, Role, Store, TurnOutcome},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "correct horse battery";
const SCRIPT: &str = "<script>alert('x')</script>";
const ROLES: [Role; 4] = [Role::Viewer, Role::Agent, Role::Merchant, Role::Owner];

/// Hashing takes a good part of a second, so everybody has the same password.
static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| console::hash_password(PASSWORD).unwrap());

/// A console on a port of its own, over an empty shop.
struct TestConsole {
    address: SocketAddr,
    store: Store,
    live: LiveHub,
    shutdown: CancellationToken,
    dir: TempDir,
}

impl TestConsole {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let live = LiveHub::default();
        let shutdown = CancellationToken::new();
        let state = ConsoleState::new(store.clone(), live.clone(), fake_upload(), shutdown.clone());
        let service = console::router(state).into_make_service_with_connect_info::<SocketAddr>();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, store, live, shutdown, dir }
    }

    fn visitor(&self) -> Visitor {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Visitor { origin: format!("http://{}", self.address), client, cookie: String::new() }
    }

    /// Somebody with this role, logged in.
    async fn logged_in(&self, role: Role) -> Visitor {
        let email = format!("{}@shop.example", role.as_str());
        self.store.add_user(&email, "Ana", role, &PASSWORD_HASH, Utc::now()).await.unwrap();
        let mut visitor = self.visitor();
        let response = visitor.log_in(&email, PASSWORD).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        visitor
    }

    /// One turn in a chat; returns the conversation's id.
    async fn turn(&self, channel: Channel, chat: &str, text: &str, reply: &Reply) -> i64 {
        let inbound = Inbound {
            channel,
            chat: chat.to_owned(),
            update_id: format!("{text}{}", reply.text),
            text: text.to_owned(),
            customer: None,
            language_hint: None,
            received_at: Utc::now(),
        };
        let inbox_id = self.store.accept(&inbound).await.unwrap().unwrap();
        let outcome = TurnOutcome {
            inbox_id,
            conversation: &Conversation::new(channel, chat),
            shopper_text: text,
            reply: Some(reply),
            at: Utc::now(),
        };
        self.store.commit_turn(&outcome).await.unwrap();
        self.store.conversation(channel, chat).await.unwrap().unwrap().id
    }

    async fn document(&self, name: &str, text: &str) -> i64 {
        let chunk = Chunk {
            id: format!("id of {name}"),
            heading: format!("Returns {SCRIPT}"),
            kind: ChunkKind::Row,
            text: text.to_owned(),
            question: None,
            cells: vec![("Boots".to_owned(), format!("30 days {SCRIPT}"))],
            caption: None,
            language: Language::En,
            search_text: text.to_owned(),
        };
        let document = DocumentWrite {
            name: name.to_owned(),
            title: Some(SCRIPT.to_owned()),
            language: Language::En,
            checksum: String::new(),
            bytes: 10,
            notes: vec![SCRIPT.to_owned()],
            chunks: vec![(chunk, vec![1.0, 0.0])],
            encoder: "test".to_owned(),
            at: Utc::now(),
        };
        self.store.replace_document(&document).await.unwrap().id
    }
}

/// Takes every file but those called `broken...`.
fn fake_upload() -> UploadFn {
    Arc::new(|name, bytes| {
        Box::pin(async move {
            if name.starts_with("panic") {
                panic!("a reader's fault");
            }
            if name.starts_with("broken") {
                return Err(format!(
                    "{name} is damaged (no end of file); save it again as PDF and upload it once more"
                ));
            }
            let summary = format!("{} bytes, 2 passages", bytes.len());
            Ok(UploadReport {
                name,
                kind: "document".to_owned(),
                summary,
                notes: vec!["A picture was left out.".to_owned()],
            })
        })
    })
}

/// A browser: keeps its cookie and says where a form came from.
struct Visitor {
    origin: String,
    client: Client,
    cookie: String,
}

impl Visitor {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.origin)).header("cookie", &self.cookie)
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let response =
            self.request(Method::POST, path).header("origin", &self.origin).form(fields).send().await.unwrap();
        if let Some(cookie) = response.headers().get("set-cookie") {
            self.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        response
    }

    async fn log_in(&mut self, email: &str, password: &str) -> Response {
        self.post("/console/login", &[("email", email), ("password", password)]).await
    }

    async fn upload(&self, files: Vec<(&'static str, Vec<u8>)>) -> Response {
        let form = files
            .into_iter()
            .fold(Form::new(), |form, (name, bytes)| form.part("files", Part::bytes(bytes).file_name(name)));
        let request = self.request(Method::POST, "/console/documents").header("origin", &self.origin);
        request.multipart(form).send().await.unwrap()
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
            quote: "within thirty days".to_owned(),
            score: 0.9,
        }],
        products: vec![],
        handoff: false,
        declined: false,
        sentiment: Sentiment::Neutral,
        generated: true,
        latency_ms: LatencyMs { first: 120, total: 840 },
        suggestions: vec![],
        trace: Trace {
            query: "return boots".to_owned(),
            intents: vec![("return_policy".to_owned(), 0.93)],
            passages: vec![PassageTrace {
                document: "returns.docx".to_owned(),
                heading: "Boots".to_owned(),
                text: "Boots come back within thirty days.".to_owned(),
                cosine: 0.871,
                bm25: 7.25,
                score: 0.88,
            }],
            support: vec!["supported by passage 1".to_owned()],
            encoder: "test-encoder".to_owned(),
            model: Some("test-model".to_owned()),
            prompt: Some("answer v3".to_owned()),
        },
    }
}

fn location(response: &Response) -> &str {
    response.headers().get("location").map_or("", |value| value.to_str().unwrap())
}

/// A route's path with its places filled in; nothing has the number 999.
fn example(path: &str) -> String {
    path.replace("{id}", "999").replace("{file}", "console.css").replace("{*rest}", "no/such/page")
}

fn setup_fields(token: &str) -> [(&str, &str); 5] {
    [
        ("token", token),
        ("name", "Ana"),
        ("email", "ana@shop.example"),
        ("password", PASSWORD),
        ("password_again", PASSWORD),
    ]
}

#[tokio::test]
async fn the_set_up_link_makes_one_owner_and_then_is_dead() {
    let shop = TestConsole::start().await;
    let replaced = console::setup_token(&shop.store).await.unwrap().unwrap();
    let token = console::setup_token(&shop.store).await.unwrap().unwrap();
    let mut visitor = shop.visitor();
    for wrong in ["", "x", &replaced] {
        let response = visitor.get(&format!("/console/setup?token={wrong}")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let response = visitor.post("/console/setup", &setup_fields(wrong)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    assert!(visitor.page(&format!("/console/setup?token={token}")).await.contains("Create the owner"));

    let mut mistyped = setup_fields(&token);
    mistyped[4].1 = "another password";
    let response = visitor.post("/console/setup", &mistyped).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let mut short = setup_fields(&token);
    (short[3].1, short[4].1) = ("short", "short");
    let response = visitor.post("/console/setup", &short).await;
    assert!(response.text().await.unwrap().contains("at least 10 characters"));
    assert_eq!(shop.store.user_count().await.unwrap(), 0);

    let response = visitor.post("/console/setup", &setup_fields(&token)).await;
    assert_eq!((response.status(), location(&response)), (StatusCode::SEE_OTHER, "/console"));
    assert!(visitor.page("/console/people").await.contains("ana@shop.example"));

    let mut second = shop.visitor();
    let response = second.get(&format!("/console/setup?token={token}")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let response = second.post("/console/setup", &setup_fields(&token)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(shop.store.user_count().await.unwrap(), 1);
    assert!(console::setup_token(&shop.store).await.unwrap().is_none());
}

#[tokio::test]
async fn a_link_opened_twice_at_once_makes_one_owner() {
    let shop = TestConsole::start().await;
    let token = console::setup_token(&shop.store).await.unwrap().unwrap();
    let mut visitors = [shop.visitor(), shop.visitor()];
    let [first, second] = &mut visitors;
    let mut other = setup_fields(&token);
    other[2].1 = "bo@shop.example";
    let own = setup_fields(&token);
    let (one, two) = tokio::join!(first.post("/console/setup", &own), second.post("/console/setup", &other));
    let mut statuses = [one.status(), two.status()];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::FORBIDDEN]);
    assert_eq!(shop.store.user_count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer_and_soon_a_pause() {
    let shop = TestConsole::start().await;
    shop.store.add_user("ana@shop.example", "Ana", Role::Agent, &PASSWORD_HASH, Utc::now()).await.unwrap();
    let mut visitor = shop.visitor();
    let wrong = visitor.log_in("ana@shop.example", "not the password").await;
    let unknown = visitor.log_in("nobody@shop.example", "not the password").await;
    assert_eq!((wrong.status(), unknown.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert!(wrong.headers().get("set-cookie").is_none());
    let without_name = |page: String, name: &str| page.replace(name, "");
    assert_eq!(
        without_name(wrong.text().await.unwrap(), "ana@shop.example"),
        without_name(unknown.text().await.unwrap(), "nobody@shop.example")
    );
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(visitor.log_in("ana@shop.example", "not the password").await.status());
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    let response = visitor.log_in("ANA@shop.example", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "another spelling is no way around the pause");
}

#[tokio::test]
async fn a_log_in_opens_a_new_session_and_a_log_out_ends_it() {
    let shop = TestConsole::start().await;
    let mut visitor = shop.logged_in(Role::Owner).await;
    let first = visitor.cookie.clone();
    visitor.log_in("owner@shop.example", PASSWORD).await;
    assert_ne!(visitor.cookie, first, "a new id at each log-in");
    let (id, kept) = (visitor.cookie.split('=').nth(1).unwrap(), visitor.cookie.clone());
    assert!(shop.store.session(id, Utc::now()).await.unwrap().is_none(), "the database holds no usable id");
    visitor.page("/console").await;

    visitor.cookie = first;
    assert_eq!(visitor.get("/console").await.status(), StatusCode::SEE_OTHER);
    visitor.cookie.clone_from(&kept);
    visitor.post("/console/logout", &[]).await;
    visitor.cookie = kept;
    assert_eq!(location(&visitor.get("/console").await), "/console/login");
}

#[tokio::test]
async fn the_session_cookie_is_kept_from_scripts_and_other_sites() {
    let shop = TestConsole::start().await;
    shop.store.add_user("ana@shop.example", "Ana", Role::Agent, &PASSWORD_HASH, Utc::now()).await.unwrap();
    let visitor = shop.visitor();
    let log_in = |origin: &'static str, host: &'static str| {
        let request = visitor.request(Method::POST, "/console/login").header("origin", origin).header("host", host);
        request.form(&[("email", "ana@shop.example"), ("password", PASSWORD)]).send()
    };
    let here = log_in("http://localhost:8080", "localhost:8080").await.unwrap();
    let cookie = here.headers()["set-cookie"].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/console"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    let public = log_in("https://shop.example", "shop.example").await.unwrap();
    assert!(public.headers()["set-cookie"].to_str().unwrap().contains("; Secure"));
    let plain = log_in("http://shop.example", "shop.example").await.unwrap();
    assert_eq!(plain.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(plain.text().await.unwrap().contains("over https"));
}

#[tokio::test]
async fn the_log_in_leads_back_to_the_page_but_never_to_another_site() {
    let shop = TestConsole::start().await;
    shop.store.add_user("ana@shop.example", "Ana", Role::Agent, &PASSWORD_HASH, Utc::now()).await.unwrap();
    let mut visitor = shop.visitor();
    let response = visitor.get("/console/conversations?q=a%26b").await;
    assert_eq!(location(&response), "/console/login?next=%2Fconsole%2Fconversations%3Fq%3Da%2526b");
    let mut log_in = async |next: &str| {
        let fields = [("email", "ana@shop.example"), ("password", PASSWORD), ("next", next)];
        location(&visitor.post("/console/login", &fields).await).to_owned()
    };
    assert_eq!(log_in("/console/conversations?q=a%26b").await, "/console/conversations?q=a%26b");
    assert_eq!(log_in("https://evil.example/console").await, "/console");
    assert_eq!(log_in("//evil.example/console/").await, "/console");
}

#[tokio::test]
async fn every_route_but_the_log_in_needs_a_session() {
    let shop = TestConsole::start().await;
    let mut visitor = shop.visitor();
    let public: Vec<_> =
        console::route_table().into_iter().filter(|(_, _, access)| *access == Access::Public).collect();
    let open: Vec<_> = public.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(
        open,
        [
            "GET /console/static/{file}",
            "GET /console/setup",
            "POST /console/setup",
            "GET /console/login",
            "POST /console/login",
            "POST /console/language"
        ]
    );
    for (method, path, access) in console::route_table() {
        if access == Access::Public {
            continue;
        }
        let path = example(path);
        let response = if method == Method::GET { visitor.get(&path).await } else { visitor.post(&path, &[]).await };
        if path == "/console/live" {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        } else {
            assert!(location(&response).starts_with("/console/login"), "{method} {path}: {}", response.status());
        }
    }
}

#[tokio::test]
async fn each_route_lets_in_the_roles_it_names_and_no_others() {
    let shop = TestConsole::start().await;
    for role in ROLES {
        let visitor = shop.logged_in(role).await;
        for (method, path, access) in console::route_table() {
            // The log-out would end the session that the other routes are tried with.
            let Access::AtLeast(least) = access else { continue };
            if path == "/console/logout" {
                continue;
            }
            let request = visitor.request(method.clone(), &example(path)).header("origin", &visitor.origin);
            let status = request.send().await.unwrap().status();
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, role < least, "{role:?} {method} {path}: {status}");
            assert_ne!(status, StatusCode::SEE_OTHER, "{role:?} {method} {path}");
        }
    }
}

#[tokio::test]
async fn the_roles_are_the_ones_that_staff_were_promised() {
    let least = |method: Method, path: &str| {
        console::route_table().into_iter().find(|route| (&route.0, route.1) == (&method, path)).unwrap().2
    };
    for (method, path, role) in [
        (Method::GET, "/console/conversations/{id}", Role::Viewer),
        (Method::POST, "/console/conversations/{id}/reply", Role::Agent),
        (Method::POST, "/console/conversations/{id}/state", Role::Agent),
        (Method::POST, "/console/documents", Role::Merchant),
        (Method::POST, "/console/documents/{id}/delete", Role::Merchant),
        (Method::POST, "/console/people", Role::Owner),
    ] {
        assert_eq!(least(method, path), Access::AtLeast(role), "{path}");
    }
}

#[tokio::test]
async fn somebody_who_is_given_another_password_or_role_is_seen_at_the_next_request() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Owner).await;
    visitor.page("/console/people").await;
    let url = format!("sqlite://{}", shop.dir.path().join("shoptalk.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("UPDATE users SET role = 'viewer'").execute(&pool).await.unwrap();
    assert_eq!(visitor.get("/console/people").await.status(), StatusCode::FORBIDDEN);
    sqlx::query("UPDATE users SET password_hash = 'another'").execute(&pool).await.unwrap();
    assert_eq!(location(&visitor.get("/console").await), "/console/login");
}

#[tokio::test]
async fn a_form_that_another_site_sends_changes_nothing() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Owner).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let path = format!("/console/conversations/{id}/reply");
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[],
    ] {
        let request = visitor.request(Method::POST, &path).form(&[("text", "forged")]);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert!(shop.store.messages(id, 0).await.unwrap().iter().all(|message| message.author != Author::Staff));
}

#[tokio::test]
async fn every_page_has_its_security_headers_and_runs_no_script_of_its_own() {
    let shop = TestConsole::start().await;
    let visitor = shop.logged_in(Role::Owner).await;
    let id = shop.turn(Channel::Widget, "w1", "hello", &reply("Hi")).await;
    let document = shop.document("faq.md", "text").await;
    for path in [
        "/console",
        "/console/login",
        "/console/conversations",
        &format!("/console/conversations/{id}"),
        "/console/documents",
        &format!("/console/documents/{document}"),
        &format!("/console/documents/{document}/delete"),
        "/console/people",
        "/console/no-such-page",
        "/console/conversations/not-a-number",
    ] {
        let response = visitor.get(path).await;
        let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        let policy = header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(header("x-content-type-options").unwrap(), "nosniff", "{path}");
        assert_eq!(header("cache-control").unwrap(), "no-store", "{path}");
        assert!(header("content-type").unwrap().starts_with("text/html"), "{path}");
        let page = response.text().await.unwrap();
        assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick"), "{path}");
        assert_eq!(page.matches("<script").count(), 1, "{path}");
        assert!(page.contains("</html>"), "{path}");
    }
}

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
    let notices: Vec<_> = shop.store.messages(id, 2).await.unwrap().into_iter().map(|message| message.text).collect();
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices[0].starts_with("Ana"), "{notices:?}");
    assert!(agent.post(&path, &[("action", "burn")]).await.status().is_client_error());
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
