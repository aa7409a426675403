//! A Bot API server for tests. It keeps updates until an offset confirms them, as Telegram does, records every call with
//! its time, and has the faults that are ordered from it or that come by chance, from a seed.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::{
    Form, Json, Router,
    body::Body,
    extract::{FromRequest as _, Multipart, Query, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{Html, IntoResponse as _, Response},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Map, Value, json};

/// The bot's id, which is also the first half of its token.
pub const BOT_ID: i64 = 7_000_000_001;
/// The second half of the token: must never show up anywhere.
pub const TOKEN_SECRET: &str = "AAsecretSECRETsecretSECRET";

/// Something that goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing, so that a later call meets the next fault.
    None,
    /// 429 with this `retry_after`, in seconds.
    RetryAfter(u64),
    /// A 5xx with an HTML page, as proxies answer.
    Status(u16),
    /// Understood and refused with these words.
    Refuse(&'static str),
    /// Not carried out, and never answered.
    HangBefore,
    /// Carried out, and never answered.
    HangAfter,
    /// Carried out and answered with half of the JSON.
    Cut,
}

/// One call that arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// In lower case.
    pub method: String,
    /// Its parameters, however they were sent.
    pub params: Value,
    /// When it arrived.
    pub at: Instant,
    /// Whether it was carried out: neither refused nor kept from it by a fault.
    pub done: bool,
    /// What it gave.
    pub result: Value,
}

/// Faults by chance. Each is a probability unless it says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Chaos {
    /// The same seed gives the same faults for the same calls.
    pub seed: u64,
    /// Of `sendMessage` to the chats whose number this divides: 429 for 1 s to `retry_after_max_s`.
    pub retry_after: f64,
    /// The longest asked wait.
    pub retry_after_max_s: u64,
    /// Of the same calls: 5xx.
    pub server: f64,
    /// Not carried out, and never answered.
    pub hang_before: f64,
    /// Carried out, and never answered.
    pub hang_after: f64,
    /// Carried out, and the answer is cut.
    pub cut: f64,
    /// Which chats have these; 1: all.
    pub chats: i64,
    /// Of `getUpdates`: 5xx or a cut answer, half each.
    pub poll: f64,
    /// Updates that come again, in one of the deliveries that follow.
    pub duplicates: f64,
    /// Updates that come late, after up to so many later ones.
    pub late: f64,
    /// The longest delay, in updates.
    pub window: i64,
    /// Deliveries are shuffled.
    pub shuffle: bool,
}

/// What is known of calls by chance.
struct Chance {
    rng: StdRng,
    chaos: Chaos,
    /// Updates that wait to come late or again: the number that the next update has to reach, and the update.
    later: Vec<(i64, Value)>,
    /// Those of `later` that were delivered and may not have arrived.
    delivered_late: Vec<Value>,
    /// The highest number in the last delivery.
    last_delivered: i64,
}

/// A message of the bot as a chat shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its words.
    pub text: String,
    /// When it was taken.
    pub at: Instant,
}

#[derive(Default)]
struct Inner {
    chance: Option<Chance>,
    /// What each chat shows of the bot's texts, in order.
    shown: HashMap<i64, Vec<Shown>>,
    /// Until when a chat was told to wait.
    told_to_wait: HashMap<i64, Instant>,
    /// Messages that came before an asked wait was over.
    early: usize,
    /// Calls by chance are too many to be kept.
    keeps_no_calls: bool,
    updates: BTreeMap<i64, Value>,
    delivered: BTreeMap<i64, Value>,
    again: Vec<Value>,
    reverse: bool,
    /// The offset that was asked for last.
    offset: i64,
    polls: u64,
    next_id: i64,
    faults: VecDeque<(String, Fault)>,
    blocked: HashSet<i64>,
    has_drafts: bool,
    webhook: String,
    webhook_secret: String,
    /// Deliveries to the webhook that were answered otherwise than with 200.
    repeated: usize,
    files: HashMap<String, Vec<u8>>,
    topics: Vec<(String, i64)>,
    calls: Vec<Call>,
}

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub struct FakeTelegram {
    address: std::net::SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

/// What a method gives: its result, or an error code with a description.
type Outcome = Result<Value, (u16, &'static str)>;

impl FakeTelegram {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner { next_id: 100, ..Inner::default() };
        let fake = Self { address: listener.local_addr().unwrap(), inner: Arc::new(Mutex::new(inner)) };
        let router = Router::new().fallback(handle).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    /// For `api_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token that is accepted.
    pub fn token() -> String {
        format!("{BOT_ID}:{TOKEN_SECRET}")
    }

    /// A shopper writes. Returns the update's id.
    pub fn write(&self, chat: i64, text: &str) -> i64 {
        self.update(&json!({"message": private_message(chat, &json!({"text": text}))}))
    }

    /// A shopper presses a button of the bot's message.
    pub fn press(&self, chat: i64, query_id: &str, data: &str) -> i64 {
        let message = private_message(chat, &json!({"text": "Choose"}));
        let from = json!({"id": chat, "is_bot": false, "first_name": "Ada"});
        let query = json!({"id": query_id, "from": from, "chat_instance": "1", "message": message, "data": data});
        self.update(&json!({"callback_query": query}))
    }

    /// Any update; its id is set here.
    pub fn update(&self, update: &Value) -> i64 {
        let mut inner = self.lock();
        inner.next_id += 1;
        let id = inner.next_id;
        let mut update = update.clone();
        update["update_id"] = id.into();
        if inner.comes_late(id, &update) {
            return id;
        }
        inner.updates.insert(id, update);
        id
    }

    /// Delivers an update again although it was confirmed.
    pub fn deliver_again(&self, id: i64) {
        let mut inner = self.lock();
        let update = inner.delivered[&id].clone();
        inner.again.push(update);
    }

    /// From now on batches come in the wrong order.
    pub fn reverse_batches(&self) {
        self.lock().reverse = true;
    }

    /// From now on faults come by chance, and single calls are not recorded.
    pub fn let_chaos_reign(&self, chaos: Chaos) {
        let mut inner = self.lock();
        inner.keeps_no_calls = true;
        inner.chance = Some(Chance {
            rng: StdRng::seed_from_u64(chaos.seed),
            chaos,
            later: Vec::new(),
            delivered_late: Vec::new(),
            last_delivered: 0,
        });
    }

    /// Ends all faults; what was to come late or again comes now.
    pub fn let_chaos_end(&self) {
        if let Some(chance) = &mut self.lock().chance {
            chance.chaos = Chaos::default();
            chance.later.iter_mut().for_each(|(due, _)| *due = 0);
        }
    }

    /// Messages to chats that had been told to wait longer.
    pub fn early(&self) -> usize {
        self.lock().early
    }

    /// Whether every update was confirmed, late and repeated ones included.
    pub fn all_confirmed(&self) -> bool {
        let inner = self.lock();
        let late =
            inner.chance.as_ref().is_some_and(|chance| !chance.later.is_empty() || !chance.delivered_late.is_empty());
        !late && inner.updates.range(inner.offset..).next().is_none()
    }

    /// Whether the webhook has taken everything.
    pub fn all_delivered(&self) -> bool {
        self.lock().updates.is_empty()
    }

    /// What a chat shows of the bot's texts, with the times.
    pub fn shown_with_times(&self, chat: i64) -> Vec<Shown> {
        self.lock().shown.get(&chat).cloned().unwrap_or_default()
    }

    /// Every chat that shows something.
    pub fn chats(&self) -> Vec<i64> {
        self.lock().shown.keys().copied().collect()
    }

    /// Lets the next call of a method that has no earlier fault waiting go wrong.
    pub fn order(&self, method: &str, fault: Fault) {
        self.lock().faults.push_back((method.to_lowercase(), fault));
    }

    /// From now on the server knows `sendMessageDraft`.
    pub fn with_drafts(&self) {
        self.lock().has_drafts = true;
    }

    /// All calls so far, in order.
    pub fn all_calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The shopper blocks the bot.
    pub fn block(&self, chat: i64) {
        self.lock().blocked.insert(chat);
    }

    /// A file for `getFile` and for download.
    pub fn add_file(&self, path: &str, bytes: &[u8]) {
        self.lock().files.insert(path.to_owned(), bytes.to_owned());
    }

    /// All updates below this were confirmed.
    pub fn offset(&self) -> i64 {
        self.lock().offset
    }

    /// The calls of a method so far.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        let method = method.to_lowercase();
        self.lock().calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    /// The calls of `sendMessage` to a chat, also those that went wrong.
    pub fn tries(&self, chat: i64) -> Vec<Call> {
        self.calls("sendMessage").into_iter().filter(|call| int(&call.params, "chat_id") == Some(chat)).collect()
    }

    /// What a chat shows of the bot's messages.
    pub fn shown(&self, chat: i64) -> Vec<String> {
        let tries = self.tries(chat).into_iter();
        tries.filter(|call| call.done).map(|call| call.params["text"].as_str().unwrap().to_owned()).collect()
    }

    /// A member of a group with topics writes.
    pub fn write_in_topic(&self, group: i64, topic: i64, member: (i64, &str), text: &str) -> i64 {
        let (id, name) = member;
        self.update(&json!({"message": {"message_id": 1, "date": 0, "message_thread_id": topic,
            "is_topic_message": true, "chat": {"id": group, "type": "supergroup", "title": "Staff", "is_forum": true},
            "from": {"id": id, "is_bot": false, "first_name": name}, "text": text}}))
    }

    /// What a topic of a group shows of the bot's messages.
    pub fn shown_in_topic(&self, group: i64, topic: i64) -> Vec<String> {
        let tries = self.tries(group).into_iter();
        let shown = tries.filter(|call| call.done && int(&call.params, "message_thread_id") == Some(topic));
        shown.map(|call| call.params["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Names and numbers of the topics that were made.
    pub fn topics(&self) -> Vec<(String, i64)> {
        self.lock().topics.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    async fn call(&self, method: &str, params: Value) -> Response {
        let (index, fault) = self.arrived(method, &params);
        match fault {
            Some(Fault::RetryAfter(seconds)) => {
                if let Some(chat) = int(&params, "chat_id") {
                    let until = Instant::now() + Duration::from_secs(seconds);
                    self.lock().told_to_wait.insert(chat, until);
                }
                let body = json!({"ok": false, "error_code": 429, "description": "Too Many Requests",
                    "parameters": {"retry_after": seconds}});
                return (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
            }
            Some(Fault::Status(status)) => {
                return (StatusCode::from_u16(status).unwrap(), Html("<h1>Bad gateway</h1>")).into_response();
            }
            Some(Fault::Refuse(why)) => {
                let body = json!({"ok": false, "error_code": 400, "description": why});
                return (StatusCode::BAD_REQUEST, Json(body)).into_response();
            }
            Some(Fault::HangBefore) => return std::future::pending().await,
            Some(Fault::None | Fault::HangAfter | Fault::Cut) | None => {}
        }
        let outcome = self.carry_out(method, &params).await;
        if let Some(index) = index {
            let call = &mut self.lock().calls[index];
            call.done = outcome.is_ok();
            call.result = outcome.clone().unwrap_or_default();
        }
        if fault == Some(Fault::HangAfter) {
            return std::future::pending().await;
        }
        if fault == Some(Fault::Cut) && method == "getupdates" {
            self.lock().confirm_late(0);
        }
        let (status, body) = match outcome {
            Ok(result) => (200, json!({"ok": true, "result": result})),
            Err((code, description)) => (code, json!({"ok": false, "error_code": code, "description": description})),
        };
        let mut body = body.to_string();
        if fault == Some(Fault::Cut) {
            body.truncate(10);
        }
        (StatusCode::from_u16(status).unwrap(), [(CONTENT_TYPE, "application/json")], body).into_response()
    }

    /// Records a call and takes the fault that was ordered for it.
    fn arrived(&self, method: &str, params: &Value) -> (Option<usize>, Option<Fault>) {
        let mut inner = self.lock();
        let now = Instant::now();
        if method == "sendmessage"
            && let Some(chat) = int(params, "chat_id")
        {
            inner.early += usize::from(inner.told_to_wait.get(&chat).is_some_and(|until| now < *until));
        }
        if !inner.keeps_no_calls {
            let call =
                Call { method: method.to_owned(), params: params.clone(), at: now, done: false, result: Value::Null };
            inner.calls.push(call);
        }
        let waiting = inner.faults.iter().position(|(of, _)| of == method);
        let fault = waiting.and_then(|index| inner.faults.remove(index)).map(|(_, fault)| fault);
        let fault = fault.or_else(|| inner.chance.as_mut()?.fault(method, int(params, "chat_id")));
        (inner.calls.len().checked_sub(1).filter(|_| !inner.keeps_no_calls), fault)
    }

    async fn carry_out(&self, method: &str, params: &Value) -> Outcome {
        match method {
            "getme" => Ok(json!({"id": BOT_ID, "is_bot": true, "first_name": "Shop", "username": "shop_bot",
                "can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false,
                "can_connect_to_business": false, "has_main_web_app": false})),
            "getwebhookinfo" => Ok(json!({"url": self.lock().webhook, "has_custom_certificate": false,
                "pending_update_count": self.lock().updates.len()})),
            "setwebhook" => {
                let mut inner = self.lock();
                params["url"].as_str().unwrap_or_default().clone_into(&mut inner.webhook);
                params["secret_token"].as_str().unwrap_or_default().clone_into(&mut inner.webhook_secret);
                drop(inner);
                tokio::spawn(self.clone().deliver());
                Ok(json!(true))
            }
            "deletewebhook" => {
                self.lock().webhook.clear();
                Ok(json!(true))
            }
            "getupdates" => self.get_updates(params).await,
            "sendmessage" | "editmessagetext" => self.send(params, text_problem(params)),
            "sendphoto" => self.send(params, params.get("photo").is_none().then_some("there is no photo")),
            "senddocument" => self.send(params, params.get("document").is_none().then_some("there is no document")),
            "editmessagereplymarkup"
            | "editmessagemedia"
            | "editmessagecaption"
            | "deletemessage"
            | "closeforumtopic"
            | "reopenforumtopic"
            | "sendchataction"
            | "answercallbackquery"
            | "setmycommands"
            | "setmydescription"
            | "setmyshortdescription" => Ok(json!(true)),
            "sendmessagedraft" if self.lock().has_drafts => Ok(json!(true)),
            "createforumtopic" => {
                let mut inner = self.lock();
                inner.next_id += 1;
                let (name, id) = (params["name"].as_str().unwrap_or_default().to_owned(), inner.next_id);
                inner.topics.push((name.clone(), id));
                Ok(json!({"message_thread_id": id, "name": name, "icon_color": 7_322_096}))
            }
            "getchat" => Ok(json!({"id": params["chat_id"], "type": "private", "first_name": "Ada"})),
            "getfile" => {
                let path = params["file_id"].as_str().unwrap_or_default();
                let size = self.lock().files.get(path).map(Vec::len).ok_or((400, "Bad Request: wrong file id"))?;
                Ok(json!({"file_id": path, "file_unique_id": path, "file_size": size, "file_path": path}))
            }
            _ => Err((404, "Not Found: method not found")),
        }
    }

    /// Delivers to the webhook what waits, several at a time, and again what was not answered with 200, until another
    /// webhook is set.
    async fn deliver(self) {
        const AT_ONCE: usize = 20;
        let url = self.lock().webhook.clone();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        while !url.is_empty() && self.lock().webhook == url {
            let waiting: Vec<(i64, Value)> =
                self.lock().updates.iter().take(AT_ONCE).map(|(id, update)| (*id, update.clone())).collect();
            let secret = self.lock().webhook_secret.clone();
            let deliveries = waiting.iter().map(|(id, update)| {
                let request = client.post(&url).header("X-Telegram-Bot-Api-Secret-Token", &secret).json(update);
                let request = request.timeout(Duration::from_secs(5)).send();
                async move { (*id, request.await.is_ok_and(|response| response.status() == 200)) }
            });
            for (id, taken) in futures::future::join_all(deliveries).await {
                let mut inner = self.lock();
                if taken {
                    inner.updates.remove(&id);
                } else {
                    inner.repeated += 1;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Deliveries that were not answered with 200.
    pub fn repeated(&self) -> usize {
        self.lock().repeated
    }

    /// Holds the call open until there is something, as long as `timeout` says.
    async fn get_updates(&self, params: &Value) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(int(params, "timeout").unwrap_or(0).cast_unsigned());
        let limit = int(params, "limit").unwrap_or(100) as usize;
        let poll = {
            let mut inner = self.lock();
            if !inner.webhook.is_empty() {
                return Err((409, "Conflict: can't use getUpdates method while webhook is active"));
            }
            let offset = int(params, "offset").unwrap_or(0);
            inner.updates.retain(|id, _| *id >= offset);
            inner.confirm_late(offset);
            inner.offset = inner.offset.max(offset);
            inner.polls += 1;
            inner.polls
        };
        loop {
            {
                let mut inner = self.lock();
                if inner.polls != poll {
                    return Err((409, "Conflict: terminated by other getUpdates request"));
                }
                let mut batch: Vec<Value> = inner.again.drain(..).collect();
                let waiting: Vec<(i64, Value)> =
                    inner.updates.iter().take(limit).map(|(id, update)| (*id, update.clone())).collect();
                batch.extend(waiting.iter().map(|(_, update)| update.clone()));
                if !inner.keeps_no_calls {
                    inner.delivered.extend(waiting);
                }
                // Behind a full delivery more wait, which an offset above them would confirm unseen.
                if batch.len() < limit {
                    inner.add_by_chance(&mut batch);
                }
                if inner.reverse {
                    batch.reverse();
                }
                if !batch.is_empty() || Instant::now() >= deadline {
                    return Ok(batch.into());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn send(&self, params: &Value, problem: Option<&'static str>) -> Outcome {
        let chat = int(params, "chat_id").ok_or((400, "Bad Request: chat_id is empty"))?;
        let mut inner = self.lock();
        if inner.blocked.contains(&chat) {
            return Err((403, "Forbidden: bot was blocked by the user"));
        }
        if let Some(problem) = problem {
            return Err((400, problem));
        }
        inner.next_id += 1;
        if let Some(text) = params["text"].as_str() {
            inner.shown.entry(chat).or_default().push(Shown { text: text.to_owned(), at: Instant::now() });
        }
        Ok(json!({"message_id": inner.next_id, "date": 0, "chat": {"id": chat, "type": "private", "first_name": "Ada"},
            "text": params["text"]}))
    }

    fn download(&self, path: &str) -> Response {
        match self.lock().files.get(path) {
            Some(bytes) => bytes.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

impl Chance {
    /// What goes wrong with a call.
    fn fault(&mut self, method: &str, chat: Option<i64>) -> Option<Fault> {
        let Chaos { retry_after, server, hang_before, hang_after, cut, .. } = self.chaos;
        if method == "getupdates" {
            return self
                .rng
                .random_bool(self.chaos.poll)
                .then(|| if self.rng.random_bool(0.5) { Fault::Status(502) } else { Fault::Cut });
        }
        if method != "sendmessage" || chat.is_none_or(|chat| self.chaos.chats == 0 || chat % self.chaos.chats != 0) {
            return None;
        }
        let mut left = self.rng.random::<f64>();
        let mut falls = |probability: f64| {
            let hit = left < probability;
            left -= probability;
            hit
        };
        if falls(retry_after) {
            Some(Fault::RetryAfter(self.rng.random_range(1..=self.chaos.retry_after_max_s.max(1))))
        } else if falls(server) {
            Some(Fault::Status(502))
        } else if falls(hang_before) {
            Some(Fault::HangBefore)
        } else if falls(hang_after) {
            Some(Fault::HangAfter)
        } else {
            falls(cut).then_some(Fault::Cut)
        }
    }
}

impl Inner {
    /// Draws whether an update comes late, and whether it comes again.
    fn comes_late(&mut self, id: i64, update: &Value) -> bool {
        let Some(Chance { rng, chaos, later, .. }) = &mut self.chance else { return false };
        if rng.random_bool(chaos.duplicates) {
            later.push((id + rng.random_range(1..=chaos.window.max(1)), update.clone()));
        }
        let late = rng.random_bool(chaos.late);
        if late {
            later.push((id + rng.random_range(1..=chaos.window.max(1)), update.clone()));
        }
        late
    }

    /// Late updates have lower numbers than the offset; what was delivered before the offset moved has arrived.
    fn confirm_late(&mut self, offset: i64) {
        if let Some(chance) = &mut self.chance {
            let delivered = std::mem::take(&mut chance.delivered_late);
            if offset <= chance.last_delivered {
                chance.later.extend(delivered.into_iter().map(|update| (0, update)));
            }
        }
    }

    /// Adds what comes late or again to a delivery, and shuffles it.
    fn add_by_chance(&mut self, batch: &mut Vec<Value>) {
        let Some(chance) = &mut self.chance else { return };
        let (due, later): (Vec<_>, Vec<_>) = chance.later.drain(..).partition(|(due, _)| *due <= self.next_id);
        chance.later = later;
        chance.delivered_late.extend(due.iter().map(|(_, update)| update.clone()));
        batch.extend(due.into_iter().map(|(_, update)| update));
        chance.last_delivered = batch.iter().filter_map(|update| update["update_id"].as_i64()).max().unwrap_or(0);
        if chance.chaos.shuffle {
            batch.shuffle(&mut chance.rng);
        }
    }
}

async fn handle(State(fake): State<FakeTelegram>, request: Request) -> Response {
    let path = percent_decoded(request.uri().path());
    let bot = format!("/bot{}/", FakeTelegram::token());
    if let Some(file) = path.strip_prefix(&format!("/file{bot}")) {
        return fake.download(file);
    }
    let Some(method) = path.strip_prefix(&bot).map(str::to_lowercase) else {
        let body = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    };
    let params = params(request).await;
    fake.call(&method, params).await
}

/// The parameters as one object: from the address, and from a body of any of the three kinds the Bot API takes.
async fn params(request: Request<Body>) -> Value {
    let query = Query::<HashMap<String, String>>::try_from_uri(request.uri()).unwrap();
    let mut params: Map<String, Value> = query.0.into_iter().map(|(name, value)| (name, value.into())).collect();
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    if kind.starts_with("application/json") {
        let Json(body) = Json::<Map<String, Value>>::from_request(request, &()).await.unwrap();
        params.extend(body);
    } else if kind.starts_with("multipart/form-data") {
        let mut fields = Multipart::from_request(request, &()).await.unwrap();
        while let Some(field) = fields.next_field().await.unwrap() {
            let name = field.name().unwrap_or_default().to_owned();
            let value = String::from_utf8_lossy(&field.bytes().await.unwrap()).into_owned();
            params.insert(name, value.into());
        }
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        let Form(body) = Form::<HashMap<String, String>>::from_request(request, &()).await.unwrap();
        params.extend(body.into_iter().map(|(name, value)| (name, value.into())));
    }
    params.into()
}

/// Why Telegram would refuse a text.
fn text_problem(params: &Value) -> Option<&'static str> {
    let text = params["text"].as_str().unwrap_or_default();
    let buttons = params["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten();
    let data_fits = |button: &Value| (1..=64).contains(&button["callback_data"].as_str().map_or(1, str::len));
    if text.trim().is_empty() {
        Some("Bad Request: message text is empty")
    } else if text.encode_utf16().count() > 4096 {
        Some("Bad Request: message is too long")
    } else if !buttons.flat_map(|row| row.as_array().into_iter().flatten()).all(data_fits) {
        Some("Bad Request: BUTTON_DATA_INVALID")
    } else {
        None
    }
}

/// A message of a private chat, whose number is the shopper's.
pub fn private_message(chat: i64, fields: &Value) -> Value {
    let mut message = json!({"message_id": 1, "date": 0, "chat": {"id": chat, "type": "private", "first_name": "Ada"},
        "from": {"id": chat, "is_bot": false, "first_name": "Ada", "language_code": "en"}});
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    message
}

fn int(params: &Value, name: &str) -> Option<i64> {
    let value = params.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let hex: Option<String> = (byte == b'%').then(|| rest.by_ref().take(2).map(char::from).collect());
        bytes.push(hex.map_or(byte, |hex| u8::from_str_radix(&hex, 16).unwrap()));
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn it_behaves_like_a_bot_api_server() {
    let fake = FakeTelegram::start().await;
    fake.add_file("documents/a b.pdf", b"%PDF");
    let base = fake.url();
    let bot = format!("bot{}", FakeTelegram::token());
    let get = async |path: String| reqwest::get(format!("{base}/{path}")).await.unwrap();

    assert_eq!(get("bot1:wrong/getMe".to_owned()).await.status(), 401);
    assert_eq!(get(format!("{bot}/GETME")).await.status(), 200);
    assert_eq!(get(format!("{bot}/makeCoffee")).await.status(), 404);
    let file: Value = get(format!("{bot}/getFile?file_id=documents%2Fa%20b.pdf")).await.json().await.unwrap();
    assert_eq!(file["result"]["file_path"], "documents/a b.pdf");
    assert_eq!(get(format!("file/{bot}/documents%2Fa%20b.pdf")).await.text().await.unwrap(), "%PDF");

    let first = fake.write(1, "one");
    let second = fake.write(1, "two");
    let ids = async |offset: i64| {
        let batch: Value = get(format!("{bot}/getUpdates?offset={offset}")).await.json().await.unwrap();
        batch["result"].as_array().unwrap().iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
    };
    let both: Vec<i64> = ids(0).await;
    assert_eq!(both, [first, second]);
    let unconfirmed: Vec<i64> = ids(second).await;
    assert_eq!(unconfirmed, [second]);
    let forgotten: Vec<i64> = ids(0).await;
    assert_eq!(forgotten, [second]);

    let form = reqwest::multipart::Form::new().text("chat_id", "1").text("photo", "bytes");
    let sent = reqwest::Client::new().post(format!("{base}/{bot}/sendPhoto")).multipart(form).send().await.unwrap();
    assert_eq!(sent.status(), 200);
}
