//! The question set: questions that a merchant keeps, with what a right reply does. They are put to the bot as it is and
//! to one that knows the drafts before these are published; a change that makes a reply wrong is not published.

use std::sync::PoisonError;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;

use super::{
    AskFn, ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    sign_in::deed,
};
use crate::{
    message::{Reply, Timestamp},
    storage::{AuditKind, Expects, KeptDocument, KeptQuestion, User},
};

pub(super) const ADDRESS: &str = "/console/questions";
/// Longest question, in characters.
const QUESTION_MAX: usize = 500;
/// Most questions: trying them all has to end while somebody waits for it.
const QUESTIONS_MAX: usize = 200;

/// A run of the question set.
#[derive(Debug, Clone)]
pub(super) struct Check {
    /// What is to be published when all goes well; empty when the bot is tried as it is.
    drafts: Vec<KeptDocument>,
    by: User,
    at: Timestamp,
    total: usize,
    tried: Vec<Tried>,
    state: CheckState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckState {
    Running,
    /// Nothing was to be published.
    Done,
    Published,
    /// A reply would become wrong.
    Blocked,
    /// Published although a reply becomes wrong.
    Forced,
    Failed,
}

/// A question with the replies to it.
#[derive(Debug, Clone)]
struct Tried {
    question: KeptQuestion,
    now: Judged,
    /// With the drafts.
    then: Option<Judged>,
}

/// A reply, as far as it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Judged {
    text: String,
    documents: Vec<String>,
    is_right: bool,
}

impl Judged {
    fn new(expects: &Expects, reply: Reply) -> Self {
        let documents: Vec<String> = reply.citations.into_iter().map(|citation| citation.document).collect();
        let declined = reply.declined || reply.handoff;
        let is_right = match expects {
            Expects::Decline => declined,
            Expects::Answer(document) => {
                !declined && document.as_ref().is_none_or(|document| documents.contains(document))
            }
        };
        Self { text: reply.text, documents, is_right }
    }
}

impl Tried {
    /// Right as the bot is, and wrong with the drafts.
    fn is_worse(&self) -> bool {
        self.now.is_right && self.then.as_ref().is_some_and(|then| !then.is_right)
    }

    fn is_wrong(&self) -> bool {
        !self.then.as_ref().unwrap_or(&self.now).is_right
    }

    /// Right before and after, in other words.
    fn is_changed(&self) -> bool {
        self.then.as_ref().is_some_and(|then| then.text != self.now.text)
    }

    /// What is looked at first.
    fn rank(&self) -> u8 {
        if self.is_worse() {
            0
        } else if self.is_wrong() {
            1
        } else {
            2 + u8::from(!self.is_changed())
        }
    }
}

impl Check {
    fn worse(&self) -> usize {
        self.tried.iter().filter(|tried| tried.is_worse()).count()
    }

    fn right(&self) -> usize {
        self.tried.iter().filter(|tried| !tried.is_wrong()).count()
    }

    fn is(&self, state: CheckState) -> bool {
        self.state == state
    }
}

#[derive(Template)]
#[template(path = "question_set.html")]
struct SetPage {
    l: Layout,
    questions: Vec<KeptQuestion>,
    check: Option<Check>,
    documents: Vec<String>,
    question: String,
    question_max: usize,
    error: Option<&'static str>,
}

/// `GET /console/questions`
pub(super) async fn page(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    show(&state, locale, &staff, String::new(), None).await
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    question: String,
    error: Option<&'static str>,
) -> PageResult<Response> {
    let title = locale.texts().question_set;
    let l = Layout::for_staff(state, locale, staff, Section::TestBench, title).await?;
    let questions = state.store.kept_questions().await?;
    let documents = state.store.documents().await?.into_iter().map(|document| document.name).collect();
    let mut check = state.check.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(check) = &mut check {
        check.tried.sort_by_key(Tried::rank);
    }
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    render(status, &SetPage { l, questions, check, documents, question, question_max: QUESTION_MAX, error })
}

/// What is done about the set.
#[derive(Deserialize)]
pub(super) struct ActForm {
    action: Action,
    #[serde(default)]
    id: i64,
    #[serde(default)]
    question: String,
    /// `decline`, or `answer` from any document.
    #[serde(default)]
    expects: String,
    /// The document that is to be quoted; empty for any.
    #[serde(default)]
    document: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Keep,
    Forget,
    Check,
    PublishAnyway,
}

/// `POST /console/questions`
pub(super) async fn act(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Form(form): Form<ActForm>,
) -> PageResult<Response> {
    match form.action {
        Action::Keep => return keep(&state, locale, &staff, form).await,
        Action::Forget => {
            if !state.store.delete_kept_question(form.id).await? {
                return Err(PageError::NotFound);
            }
        }
        Action::Check => {
            check_first(&state, Vec::new(), &staff.user).await?;
        }
        Action::PublishAnyway => publish_anyway(&state, &staff.user).await?,
    }
    Ok(Redirect::to(ADDRESS).into_response())
}

async fn keep(state: &ConsoleState, locale: Locale, staff: &Staff, form: ActForm) -> PageResult<Response> {
    let t = locale.texts();
    let question = form.question.trim().to_owned();
    if question.is_empty() || question.chars().count() > QUESTION_MAX {
        return show(state, locale, staff, form.question, Some(t.question_needed)).await;
    }
    let kept = state.store.kept_questions().await?;
    if kept.len() >= QUESTIONS_MAX && kept.iter().all(|other| other.question != question) {
        return show(state, locale, staff, form.question, Some(t.questions_full)).await;
    }
    let document = Some(form.document).filter(|document| !document.is_empty());
    let expects = if form.expects == "decline" { Expects::Decline } else { Expects::Answer(document) };
    state.store.keep_question(&question, &expects, &staff.user.name, Utc::now()).await?;
    Ok(Redirect::to(ADDRESS).into_response())
}

async fn publish_anyway(state: &ConsoleState, by: &User) -> PageResult<()> {
    let drafts = {
        let mut check = state.check.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(check) = check.as_mut().filter(|check| check.is(CheckState::Blocked)) else {
            return Err(PageError::NotFound);
        };
        check.state = CheckState::Forced;
        check.drafts.clone()
    };
    publish(state, &drafts, by).await.map_err(PageError::from)
}

async fn publish(state: &ConsoleState, drafts: &[KeptDocument], by: &User) -> Result<(), crate::storage::StorageError> {
    for draft in drafts {
        // One that was thrown away meanwhile stays away.
        let noting = state.store.noting(deed(by, AuditKind::DocumentPublished, draft.name.clone()));
        noting.publish_kept(draft.id, Utc::now()).await?;
    }
    Ok(())
}

/// Begins to try the kept questions and publishes `drafts` afterwards, unless a reply becomes wrong. Says whether
/// somebody has to wait: not where no questions are kept. A check that runs is not begun anew.
pub(super) async fn check_first(state: &ConsoleState, drafts: Vec<KeptDocument>, by: &User) -> PageResult<bool> {
    let questions = state.store.kept_questions().await?;
    if questions.is_empty() {
        return Ok(false);
    }
    {
        let mut check = state.check.lock().unwrap_or_else(PoisonError::into_inner);
        if check.as_ref().is_some_and(|check| check.is(CheckState::Running)) {
            return Ok(true);
        }
        *check = Some(Check {
            drafts: drafts.clone(),
            by: by.clone(),
            at: Utc::now(),
            total: questions.len(),
            tried: Vec::new(),
            state: CheckState::Running,
        });
    }
    let (state, by) = (state.clone(), by.clone());
    tokio::spawn(async move {
        let tried = tokio::select! {
            tried = try_all(&state, &drafts, questions) => tried,
            () = state.shutdown.cancelled() => return,
        };
        let ended = match tried {
            Ok(()) => end(&state, &drafts, &by).await,
            Err(error) => Err(error),
        };
        let ended = ended.unwrap_or_else(|error| {
            tracing::error!(error, "the question set could not be tried");
            CheckState::Failed
        });
        if let Some(check) = state.check.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            check.state = ended;
        }
    });
    Ok(true)
}

async fn try_all(state: &ConsoleState, drafts: &[KeptDocument], questions: Vec<KeptQuestion>) -> Result<(), String> {
    let ids: Vec<i64> = drafts.iter().map(|draft| draft.id).collect();
    let then: Option<AskFn> = if ids.is_empty() { None } else { Some((state.knowledge.trial)(ids).await?) };
    for question in questions {
        let now = (state.knowledge.ask)(question.question.clone()).await?;
        let now = Judged::new(&question.expects, now);
        let then = match &then {
            Some(ask) => Some(Judged::new(&question.expects, ask(question.question.clone()).await?)),
            None => None,
        };
        if let Some(check) = state.check.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            check.tried.push(Tried { question, now, then });
        }
    }
    Ok(())
}

async fn end(state: &ConsoleState, drafts: &[KeptDocument], by: &User) -> Result<CheckState, String> {
    if drafts.is_empty() {
        return Ok(CheckState::Done);
    }
    let worse = state.check.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Check::worse);
    if worse > 0 {
        return Ok(CheckState::Blocked);
    }
    publish(state, drafts, by).await.map_err(|error| error.to_string())?;
    Ok(CheckState::Published)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, is_right: bool) -> Judged {
        Judged { text: text.to_owned(), documents: Vec::new(), is_right }
    }

    fn tried(now: bool, then: Option<bool>) -> Tried {
        let question = KeptQuestion {
            id: 1,
            question: "May I return boots?".to_owned(),
            expects: Expects::Answer(None),
            author: "Ana".to_owned(),
            at: Utc::now(),
        };
        Tried { question, now: judged("a", now), then: then.map(|right| judged("b", right)) }
    }

    #[test]
    fn only_a_reply_that_was_right_can_become_worse() {
        assert!(tried(true, Some(false)).is_worse());
        assert!(!tried(false, Some(false)).is_worse() && tried(false, Some(false)).is_wrong());
        assert!(!tried(true, Some(true)).is_worse() && tried(true, Some(true)).is_changed());
        assert!(!tried(true, None).is_worse() && !tried(true, None).is_changed());
        assert!(tried(false, None).is_wrong() && !tried(false, Some(true)).is_wrong());
        assert!(tried(true, Some(false)).rank() < tried(false, Some(false)).rank());
    }
}
