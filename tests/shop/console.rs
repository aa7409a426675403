//! The console as browsers meet it: over HTTP, with cookies.

mod access;
mod audit;
mod browser;
mod inbox;
mod knowledge;
mod merchants;
mod outcome;
mod pages;
mod people;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use axum::http::Method;
use chrono::Utc;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    multipart::{Form, Part},
    redirect::Policy,
};
use shoptalk::{
    config::HandoffConfig,
    console::{self, AskFn, ConsoleState, Knowledge, TrialFn, UploadFn, UploadReport},
    conversation::Conversation,
    desk::Desk,
    inference::{Embedder, Encoders},
    knowledge::{Chunk, ChunkKind, import::Importer, meanings::Meanings, vectors::PassageVectors},
    live::LiveHub,
    message::{Channel, Citation, Inbound, Language, LatencyMs, Origin, PassageTrace, Reply, Route, Sentiment, Trace},
    prompts::Prompts,
    storage::{DocumentWrite, Role, Store, TurnOutcome},
    telemetry::{Health, HealthFn, ModelState, Status},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "correct horse battery";
const SCRIPT: &str = "<script>alert('x')</script>";

/// Hashing takes a good part of a second, so everybody has the same password.
static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| console::hash_password(PASSWORD).unwrap());

/// A console on a port of its own, over an empty shop.
struct TestConsole {
    address: SocketAddr,
    store: Store,
    live: LiveHub,
    shutdown: CancellationToken,
    importer: Importer,
    dir: TempDir,
}

impl TestConsole {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let live = LiveHub::default();
        let shutdown = CancellationToken::new();
        let prompts = Arc::new(Prompts::load(None).unwrap());
        let desk = Desk::new(store.clone(), live.clone(), prompts, HandoffConfig::default());
        let encoders = Encoders { main: Embedder::hashed(256), english: None };
        let importer = Importer::new(store.clone(), encoders.clone(), dir.path());
        let meanings = Meanings::new(encoders);
        let trial = fake_trial(&store);
        let knowledge =
            Knowledge { upload: fake_upload(), ask: fake_ask(), trial, importer: importer.clone(), meanings };
        let state = ConsoleState::new(store.clone(), live.clone(), desk, knowledge, fake_health(), shutdown.clone());
        let address = serve(console::router(state)).await;
        Self { address, store, live, shutdown, importer, dir }
    }

    fn visitor(&self) -> Visitor {
        Visitor::to(self.address)
    }

    /// Somebody with this role, logged in.
    async fn logged_in(&self, role: Role) -> Visitor {
        Visitor::logged_in(self.address, &self.store, role).await
    }

    /// One turn in a chat; returns the conversation's id.
    async fn turn(&self, channel: Channel, chat: &str, text: &str, reply: &Reply) -> i64 {
        self.turn_of(&Conversation::new(channel, chat), text, reply).await
    }

    async fn turn_of(&self, conversation: &Conversation, text: &str, reply: &Reply) -> i64 {
        let (channel, chat) = (conversation.channel, conversation.chat.as_str());
        let inbound = inbound(conversation, &format!("{text}{}", reply.text), text);
        let inbox_id = self.store.accept(&inbound).await.unwrap().unwrap();
        let outcome = TurnOutcome { inbox_id, conversation, shopper_text: text, reply: Some(reply), at: Utc::now() };
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
            chunks: vec![(chunk, PassageVectors { whole: vec![1.0, 0.0], parts: vec![] })],
            encoder: "test".to_owned(),
            at: Utc::now(),
        };
        self.store.replace_document(&document).await.unwrap().id
    }
}

fn inbound(conversation: &Conversation, update_id: &str, text: &str) -> Inbound {
    Inbound {
        channel: conversation.channel,
        chat: conversation.chat.clone(),
        update_id: update_id.to_owned(),
        text: text.to_owned(),
        customer: None,
        language_hint: None,
        received_at: Utc::now(),
        attachments: Vec::new(),
        origin: Origin::default(),
    }
}

/// Serves pages on a port of their own.
async fn serve(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// A bot that says how it was asked.
fn fake_ask() -> AskFn {
    Arc::new(|question| Box::pin(async move { Ok(reply(&format!("You asked: {question}"))) }))
}

/// A bot that declines to speak of what none of the drafts says.
fn fake_trial(store: &Store) -> TrialFn {
    let store = store.clone();
    Arc::new(move |drafts| {
        let store = store.clone();
        Box::pin(async move {
            let mut known = String::new();
            for draft in drafts {
                let chunks = store.kept_chunks(draft).await.map_err(|error| error.to_string())?;
                known.extend(chunks.into_iter().map(|chunk| chunk.text));
            }
            let ask: AskFn = Arc::new(move |question| {
                let asked = question.trim_end_matches('?').rsplit(' ').next().unwrap_or_default().to_owned();
                let declined = !known.contains(&asked);
                Box::pin(async move { Ok(Reply { declined, ..reply(&format!("You asked: {question}")) }) })
            });
            Ok(ask)
        })
    })
}

/// A shop whose chat model could not be loaded.
fn fake_health() -> HealthFn {
    let chat_model = ModelState::Failed("the file is <b>short</b>".to_owned());
    let health = Health { status: Status::Degraded, chat_model, encoder: "e5".to_owned(), ..Health::starting() };
    Arc::new(move || {
        let health = health.clone();
        Box::pin(async move { health })
    })
}

/// Takes every file but those called `broken...`.
fn fake_upload() -> UploadFn {
    Arc::new(|name, bytes| {
        Box::pin(async move {
            assert!(!name.starts_with("panic"), "a reader's fault");
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
                draft: None,
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
    fn to(address: SocketAddr) -> Self {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { origin: format!("http://{address}"), client, cookie: String::new() }
    }

    /// Somebody with this role, logged in.
    async fn logged_in(address: SocketAddr, store: &Store, role: Role) -> Self {
        let email = format!("{}@shop.example", role.as_str());
        store.add_user(&email, "Ana", role, &PASSWORD_HASH, Utc::now()).await.unwrap();
        let mut visitor = Self::to(address);
        let response = visitor.log_in(&email, PASSWORD).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        visitor
    }

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
            cookie.to_str().unwrap().split(';').next().unwrap().clone_into(&mut self.cookie);
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
        effect: None,
        trace: Trace {
            merchant_intent: None,
            query: "return boots".to_owned(),
            intents: vec![("return_policy".to_owned(), 0.93)],
            passages: vec![PassageTrace {
                document: "returns.docx".to_owned(),
                heading: "Boots".to_owned(),
                text: "Boots come back within thirty days.".to_owned(),
                cosine: 0.871,
                bm25: 7.25,
                read: Some(2.5),
                score: 0.88,
                ..PassageTrace::default()
            }],
            support: vec!["supported by passage 1".to_owned()],
            encoder: "test-encoder".to_owned(),
            knowledge_version: 1,
            reranked: true,
            queue: None,
            model: Some("test-model".to_owned()),
            prompt: Some("answer v3".to_owned()),
        },
    }
}

fn location(response: &Response) -> &str {
    response.headers().get("location").map_or("", |value| value.to_str().unwrap())
}
