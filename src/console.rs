//! The console at `/console`: where staff read transcripts and take over, and where merchants upload documents.
//!
//! Every page is rendered on the server and works without JavaScript; a small script of our own refreshes what is
//! marked as live. What keeps it safe, each thing in one place:
//!
//! - `routes` is the only list of routes, and each entry states who may use it (`Access`), so that nothing can be
//!   reached by having been forgotten;
//! - `frame` gives every response its security headers and turns every error into a styled page;
//! - `same_origin` refuses a POST that another site's page has sent;
//! - templates escape everything they print.

mod access;
mod account;
mod assets;
mod audit;
mod canned;
mod care;
mod catalogue;
mod catalogue_import;
mod conversations;
mod corrections;
mod documents;
mod drafts;
mod excerpt;
mod export;
mod frame;
mod gaps;
mod inbox;
mod layout;
mod outcome;
mod outcome_figures;
mod overview;
mod password_link;
mod passwords;
mod people;
mod question_set;
mod product;
mod person;
mod sessions;
mod set_aside;
mod shopper;
mod sign_in;
mod test_bench;
mod texts;
mod transcript;
mod updates;
mod versions;
mod widget;
mod widget_preview;

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    http::Method,
    middleware,
    routing::{MethodRouter, get, post},
};
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use access::Access;
pub use passwords::hash_password;
pub use sign_in::setup_token;

use crate::{
    desk::Desk,
    knowledge::{contradictions::Contradiction, import::Importer, meanings::Meanings},
    live::LiveHub,
    message::Reply,
    storage::{Role, Store},
    telemetry::HealthFn,
};
use passwords::Attempts;

/// Files that are read at the same time, over all merchants; the next upload waits.
const UPLOADS_AT_ONCE: usize = 2;
/// Passwords that are checked at the same time: each check takes 64 MiB.
const PASSWORD_CHECKS_AT_ONCE: usize = 2;
/// Password checks that run or wait for their turn; more are turned away.
const PASSWORD_QUEUE_MAX: usize = 32;

/// Reads one uploaded file (its name and its bytes) into the shop's knowledge. The error is one sentence for the
/// merchant: what is wrong with the file and what to do.
pub type UploadFn = Arc<dyn Fn(String, Vec<u8>) -> BoxFuture<'static, Result<UploadReport, String>> + Send + Sync>;

/// What was read from an uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadReport {
    /// File name.
    pub name: String,
    /// What the file holds, for example `document` or `products`.
    pub kind: String,
    /// How much was read, for example `34 passages, 2 tables`.
    pub summary: String,
    /// What was left out and why, one sentence each.
    pub notes: Vec<String>,
    /// Where it waits for being published, when it is a document.
    pub draft: Option<i64>,
}

/// Says what the bot would say to a question, without keeping anything. The error is for the log.
pub type AskFn = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Reply, String>> + Send + Sync>;

/// Makes a bot that knows drafts, by their rows, in the place of the documents of their names. The error is for the log.
pub type TrialFn = Arc<dyn Fn(Vec<i64>) -> BoxFuture<'static, Result<AskFn, String>> + Send + Sync>;

/// What the pages about the bot's knowledge work with. Cheap to clone.
#[derive(Clone)]
pub struct Knowledge {
    /// Reads uploaded files.
    pub upload: UploadFn,
    /// Asks the bot.
    pub ask: AskFn,
    /// Makes a bot that knows drafts.
    pub trial: TrialFn,
    /// Makes a document of what staff answered.
    pub importer: Importer,
    /// Tells which questions ask the same.
    pub meanings: Meanings,
}

/// A version of the knowledge and its contradictions, once they have been looked for.
type Contradictions = Option<(i64, Arc<Vec<Contradiction>>)>;

/// What the pages need. Cheap to clone.
#[derive(Clone)]
pub struct ConsoleState {
    store: Store,
    live: LiveHub,
    desk: Desk,
    knowledge: Knowledge,
    health: HealthFn,
    shutdown: CancellationToken,
    /// std's Mutex: it is never held across an await.
    attempts: Arc<Mutex<Attempts>>,
    password_checks: Arc<Semaphore>,
    password_queue: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    /// Those of a version of the knowledge. std's Mutex: it is never held across an await.
    contradictions: Arc<Mutex<Contradictions>>,
    /// The latest check of the question set. std's Mutex: it is never held across an await.
    check: Arc<Mutex<Option<question_set::Check>>>,
}

impl ConsoleState {
    /// The console over a shop's store. `desk` does what staff want, `knowledge` what they do about what the bot knows,
    /// `health` tells how the program is, `shutdown` ends the streams of live updates, which would otherwise keep the
    /// server from stopping.
    pub fn new(
        store: Store,
        live: LiveHub,
        desk: Desk,
        knowledge: Knowledge,
        health: HealthFn,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            store,
            live,
            desk,
            knowledge,
            health,
            shutdown,
            attempts: Arc::default(),
            password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_AT_ONCE)),
            password_queue: Arc::new(Semaphore::new(PASSWORD_QUEUE_MAX)),
            uploads: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
            contradictions: Arc::default(),
            check: Arc::default(),
        }
    }
}

/// One route and who may use it.
struct Route {
    method: Method,
    path: &'static str,
    access: Access,
    handler: MethodRouter<ConsoleState>,
}

/// Every route of the console.
fn routes() -> Vec<Route> {
    let viewer = Access::AtLeast(Role::Viewer);
    let agent = Access::AtLeast(Role::Agent);
    let merchant = Access::AtLeast(Role::Merchant);
    let owner = Access::AtLeast(Role::Owner);
    let read = |path, access, handler| Route { method: Method::GET, path, access, handler };
    let write = |path, access, handler| Route { method: Method::POST, path, access, handler };
    vec![
        read("/console/static/{file}", Access::Public, get(assets::serve)),
        read("/console/setup", Access::Public, get(sign_in::setup_page)),
        write("/console/setup", Access::Public, post(sign_in::set_up)),
        read("/console/login", Access::Public, get(sign_in::login_page)),
        write("/console/login", Access::Public, post(sign_in::log_in)),
        read("/console/password", Access::Public, get(password_link::page)),
        write("/console/password", Access::Public, post(password_link::set)),
        write("/console/language", Access::Public, post(sign_in::choose_language)),
        write("/console/logout", viewer, post(sign_in::log_out)),
        read("/console", viewer, get(overview::page)),
        read("/console/", viewer, get(overview::page)),
        read("/console/live", viewer, get(updates::stream)),
        read("/console/conversations", viewer, get(conversations::list)),
        read("/console/conversations/export", agent, get(export::list)),
        read("/console/conversations/{id}", viewer, get(conversations::page)),
        write("/console/conversations/{id}/reply", agent, post(conversations::reply)),
        write("/console/conversations/{id}/state", agent, post(conversations::change_state)),
        write("/console/conversations/{id}/assign", agent, post(care::assign)),
        write("/console/conversations/{id}/tags", agent, post(care::tag)),
        write("/console/conversations/{id}/snooze", agent, post(care::snooze)),
        read("/console/conversations/{id}/export", agent, get(export::transcript)),
        read("/console/conversations/{id}/print", viewer, get(export::print)),
        read("/console/replies", agent, get(canned::list)),
        write("/console/replies", agent, post(canned::keep)),
        write("/console/replies/{id}/delete", agent, post(canned::delete)),
        read("/console/set-aside", viewer, get(set_aside::list)),
        write("/console/set-aside/messages/{id}", agent, post(set_aside::try_message)),
        write("/console/set-aside/updates/{id}", agent, post(set_aside::try_update)),
        read("/console/documents", viewer, get(documents::list)),
        write("/console/documents", merchant, post(documents::upload).layer(documents::body_limit())),
        read("/console/documents/{id}", viewer, get(documents::page)),
        read("/console/documents/{id}/delete", merchant, get(documents::confirm_deletion)),
        write("/console/documents/{id}/delete", merchant, post(documents::delete)),
        write("/console/documents/{id}/valid-until", merchant, post(versions::set_valid_until)),
        read("/console/drafts/{id}", merchant, get(drafts::page)),
        write("/console/drafts/{id}", merchant, post(drafts::decide)),
        write("/console/drafts", merchant, post(drafts::publish_all)),
        read("/console/versions/{id}", viewer, get(versions::page)),
        write("/console/versions/{id}", merchant, post(versions::roll_back)),
        read("/console/replies/{id}/correct", agent, get(corrections::form)),
        write("/console/replies/{id}/correct", agent, post(corrections::correct)),
        read("/console/corrections", viewer, get(corrections::list)),
        write("/console/corrections", merchant, post(corrections::ask_again)),
        write("/console/corrections/{id}", merchant, post(corrections::decide)),
        read("/console/gaps", viewer, get(gaps::list)),
        write("/console/gaps", agent, post(gaps::act)),
        read("/console/test-bench", agent, get(test_bench::page)),
        write("/console/test-bench", agent, post(test_bench::ask)),
        read("/console/questions", agent, get(question_set::page)),
        write("/console/questions", merchant, post(question_set::act)),
        read("/console/catalogue", merchant, get(catalogue::list)),
        read("/console/catalogue/product", merchant, get(product::page)),
        write("/console/catalogue/product", merchant, post(product::save)),
        read("/console/catalogue/import", merchant, get(catalogue_import::form)),
        write(
            "/console/catalogue/import",
            merchant,
            post(catalogue_import::upload).layer(catalogue_import::body_limit()),
        ),
        read("/console/catalogue/imports/{id}", merchant, get(catalogue_import::page)),
        write("/console/catalogue/imports/{id}", merchant, post(catalogue_import::decide)),
        read("/console/widget", merchant, get(widget::page)),
        write("/console/widget", merchant, post(widget::save)),
        read("/console/widget/preview", merchant, get(widget_preview::page)),
        read("/console/people", owner, get(people::list)),
        write("/console/people", owner, post(people::add)),
        read("/console/people/{id}", owner, get(person::page)),
        write("/console/people/{id}/role", owner, post(person::change_role)),
        write("/console/people/{id}/access", owner, post(person::change_access)),
        write("/console/people/{id}/link", owner, post(person::make_link)),
        write("/console/people/{id}/sessions", owner, post(person::end_session)),
        read("/console/account", viewer, get(account::page)),
        write("/console/account", viewer, post(account::change_password)),
        read("/console/outcome", viewer, get(outcome::page)),
        read("/console/outcome/{table}", viewer, get(outcome::file_of)),
        read("/console/audit", owner, get(audit::list)),
        read("/console/audit/export", owner, get(audit::export)),
        read("/console/{*rest}", viewer, get(frame::not_found)),
    ]
}

/// Every route with who may use it, for checks that none is open by mistake.
pub fn route_table() -> Vec<(Method, &'static str, Access)> {
    routes().into_iter().map(|route| (route.method, route.path, route.access)).collect()
}

/// The pages, with their full paths under `/console`; merge it into the server's router. Serve that with connection
/// information (`into_make_service_with_connect_info::<SocketAddr>`), so that failed log-ins are counted per address.
pub fn router(state: ConsoleState) -> Router {
    let sessions = sessions::layer(state.store.clone());
    routes()
        .into_iter()
        .fold(Router::new(), |router, route| {
            let gate = access::Gate { state: state.clone(), access: route.access };
            router.route(route.path, route.handler.layer(middleware::from_fn_with_state(gate, access::guard)))
        })
        .layer(sessions)
        .layer(middleware::from_fn(access::same_origin))
        .layer(middleware::from_fn(frame::frame))
        .with_state(state)
}
