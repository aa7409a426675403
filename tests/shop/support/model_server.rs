//! A model server for tests: it says what is ordered from it, in the pieces and with the faults that are ordered, and
//! remembers what it was asked.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

/// What comes after the last piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// The stream ends in order.
    Ends,
    /// The connection breaks.
    Breaks,
    /// Nothing more comes, and the connection stays open.
    Hangs,
    /// The last piece comes again and again.
    Repeats,
}

/// One answer.
#[derive(Debug, Clone)]
pub enum Say {
    /// These bytes of an event stream, a piece at a time.
    Stream(Vec<Vec<u8>>, End),
    /// A status with headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Never anything, not even a header.
    Nothing,
}

impl Say {
    /// These words, an event each, as a server in good health says them.
    pub fn words(words: &[&str]) -> Self {
        let mut pieces: Vec<Vec<u8>> = words.iter().map(|words| event(words).into_bytes()).collect();
        pieces.push(b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_vec());
        pieces.push(b"data: [DONE]\n\n".to_vec());
        Self::Stream(pieces, End::Ends)
    }

    /// A stream of these pieces of text, with this end.
    pub fn stream(pieces: &[&str], end: End) -> Self {
        Self::Stream(pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect(), end)
    }

    /// An error as servers say it.
    pub fn error(status: u16, message: &str) -> Self {
        Self::Status(status, vec![], json!({"error": {"message": message}}).to_string())
    }

    /// A whole answer as JSON.
    pub fn json(body: &Value) -> Self {
        Self::Status(200, vec![("content-type", "application/json".to_owned())], body.to_string())
    }
}

/// An event with some words of an answer.
pub fn event(words: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": null}]}))
}

/// One request for an answer.
#[derive(Debug, Clone)]
pub struct Asked {
    pub body: Value,
    pub authorization: Option<String>,
}

#[derive(Default)]
struct Inner {
    ordered: VecDeque<Say>,
    usual: Option<Say>,
    asked: Vec<Asked>,
    looked: usize,
}

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub struct ModelServer {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    /// Held by every answer in the making.
    open: Arc<()>,
}

impl ModelServer {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), inner: Arc::default(), open: Arc::default() };
        // The state holds no `open`, so that only answers are counted.
        let state = (Arc::clone(&server.inner), Arc::downgrade(&server.open));
        let router = Router::new().fallback(handle).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    /// For `base_url`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it says next.
    pub fn order(&self, say: Say) {
        self.lock().ordered.push_back(say);
    }

    /// What it says when nothing is ordered, also to who looks whether it is there.
    pub fn usually(&self, say: Say) {
        self.lock().usual = Some(say);
    }

    /// The requests for answers so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// How often somebody looked for its models.
    pub fn looked(&self) -> usize {
        self.lock().looked
    }

    /// Answers in the making, whose askers still listen.
    pub fn open(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

async fn handle(State((inner, open)): State<(Arc<Mutex<Inner>>, std::sync::Weak<()>)>, request: Request) -> Response {
    let held = open.upgrade();
    if request.uri().path() == "/v1/models" {
        let mut inner = inner.lock().unwrap();
        inner.looked += 1;
        return match &inner.usual {
            Some(Say::Status(status, ..)) => StatusCode::from_u16(*status).unwrap().into_response(),
            _ => axum::Json(json!({"object": "list", "data": []})).into_response(),
        };
    }
    if request.uri().path() != "/v1/chat/completions" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let say = {
        let mut inner = inner.lock().unwrap();
        inner.asked.push(Asked { body: serde_json::from_slice(&body).unwrap(), authorization: header });
        inner
            .ordered
            .pop_front()
            .or_else(|| inner.usual.clone())
            .unwrap_or_else(|| Say::words(&["Nothing ", "was ordered."]))
    };
    match say {
        Say::Nothing => {
            let never = std::future::pending().await;
            drop(held);
            never
        }
        Say::Status(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Say::Stream(pieces, end) => {
            let stream = async_stream::stream! {
                for piece in &pieces {
                    yield Ok(Bytes::from(piece.clone()));
                    // Each piece travels on its own.
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                match end {
                    End::Ends => {}
                    End::Breaks => yield Err(std::io::Error::other("ordered")),
                    End::Hangs => std::future::pending().await,
                    End::Repeats => loop {
                        yield Ok(Bytes::from(pieces.last().unwrap().clone()));
                        tokio::time::sleep(Duration::from_millis(3)).await;
                    },
                }
                drop(held);
            };
            ([(CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::from_stream(stream)).into_response()
        }
    }
}
