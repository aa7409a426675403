//! The test bench: what the bot would say to a question, and why, without a conversation that is kept.

use askama::Template;
use axum::{Form, extract::State, http::StatusCode, response::Response};
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    transcript::{Passage, Why, why},
};
use crate::message::{Citation, Reply};

/// Longest question, in characters: more the bot does not read.
const QUESTION_MAX: usize = 4_000;

#[derive(Template)]
#[template(path = "test_bench.html")]
struct BenchPage {
    l: Layout,
    question: String,
    question_max: usize,
    outcome: Option<Outcome>,
}

/// What the bot would say.
struct Outcome {
    text: String,
    language: &'static str,
    declined: bool,
    /// The document that is quoted first; empty for none.
    document: String,
    why: Why,
    passages: Vec<Considered>,
}

/// A passage that was considered; what was said of it stands between `before` and `after`.
struct Considered {
    passage: Passage,
    before: String,
    used: String,
    after: String,
}

impl Considered {
    fn new(passage: Passage, citations: &[Citation]) -> Self {
        let cited = citations.iter().filter(|citation| citation.document == passage.document);
        let used = cited.filter_map(|citation| passage.text.split_once(citation.quote.as_str()).zip(Some(citation)));
        let mut used = used.filter(|(_, citation)| !citation.quote.is_empty());
        let (before, used, after) = match used.next() {
            Some(((before, after), citation)) => (before.to_owned(), citation.quote.clone(), after.to_owned()),
            None => (passage.text.clone(), String::new(), String::new()),
        };
        Self { passage, before, used, after }
    }
}

/// `GET /console/test-bench`
pub(super) async fn page(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    show(&state, locale, &staff, String::new(), None).await
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    question: String,
    reply: Option<Reply>,
) -> PageResult<Response> {
    let title = locale.texts().test_bench;
    let l = Layout::for_staff(state, locale, staff, Section::TestBench, title).await?;
    let outcome = reply.map(|reply| {
        let (text, language) = (reply.text.clone(), l.language_name(&reply.language));
        let declined = reply.declined || reply.handoff;
        let document = reply.citations.first().map_or_else(String::new, |citation| citation.document.clone());
        let mut why = why(&l, reply);
        let passages = std::mem::take(&mut why.passages);
        let passages = passages.into_iter().map(|passage| Considered::new(passage, &why.citations)).collect();
        Outcome { text, language, declined, document, why, passages }
    });
    render(StatusCode::OK, &BenchPage { l, question, question_max: QUESTION_MAX, outcome })
}

/// A question to try.
#[derive(Deserialize)]
pub(super) struct AskForm {
    question: String,
}

/// `POST /console/test-bench`
pub(super) async fn ask(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Form(form): Form<AskForm>,
) -> PageResult<Response> {
    let question: String = form.question.trim().chars().take(QUESTION_MAX).collect();
    if question.is_empty() {
        return show(&state, locale, &staff, question, None).await;
    }
    let reply = (state.knowledge.ask)(question.clone()).await.map_err(PageError::Internal)?;
    show(&state, locale, &staff, question, Some(reply)).await
}
