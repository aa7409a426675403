//! "This was wrong": under each reply of the bot staff write the right answer, a merchant lets it in, and from then on
//! the bot answers so. Each answer that is live is also a question that can be asked again, to see that it still is.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    sign_in::deed,
    texts::{Texts, fill},
    transcript::state_name,
};
use crate::{
    knowledge::staff_answers::says,
    message::{Citation, Language},
    privacy,
    storage::{AnswerCheck, AnswerState, AuditKind, JudgedReply, NewStaffAnswer, Role, StaffAnswer},
};

/// Longest question and answer, in characters.
pub(super) const QUESTION_MAX: usize = 500;
pub(super) const ANSWER_MAX: usize = 2_000;

/// Words of a form, checked.
pub(super) struct Words {
    /// Masked.
    pub(super) question: String,
    pub(super) answer: String,
    pub(super) language: Language,
}

impl Words {
    /// Checks what somebody wrote; the error is a sentence for them.
    pub(super) fn new(t: &Texts, question: &str, answer: &str, language: &str) -> Result<Self, String> {
        let one_line = question.split_whitespace().collect::<Vec<_>>().join(" ");
        let question = privacy::mask(&one_line);
        let answer = answer.replace("\r\n", "\n").trim().to_owned();
        let fits = |text: &str, max| (1..=max).contains(&text.chars().count());
        if !fits(&question, QUESTION_MAX) {
            return Err(fill(t.correct_question_needed, &[("max", QUESTION_MAX.to_string())]));
        }
        if !fits(&answer, ANSWER_MAX) {
            return Err(fill(t.correct_answer_needed, &[("max", ANSWER_MAX.to_string())]));
        }
        Ok(Self { question, answer, language: Language::from_tag(language).unwrap_or_default() })
    }
}

#[derive(Template)]
#[template(path = "correct.html")]
struct CorrectPage {
    l: Layout,
    id: i64,
    conversation_id: i64,
    /// What the shopper wrote, masked.
    asked: String,
    said: String,
    citations: Vec<Citation>,
    question: String,
    answer: String,
    language: Language,
    error: Option<String>,
}

/// `GET /console/replies/{id}/correct`
pub(super) async fn form(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
) -> PageResult<Response> {
    let judged = find(&state, id).await?;
    let question = asked(&judged);
    let language = judged.reply.language;
    show_form(&state, locale, &staff, judged, (question, String::new(), language), None).await
}

async fn show_form(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    judged: JudgedReply,
    (question, answer, language): (String, String, Language),
    error: Option<String>,
) -> PageResult<Response> {
    let title = locale.texts().this_was_wrong;
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = CorrectPage {
        l: Layout::for_staff(state, locale, staff, Section::Conversations, title).await?,
        id: judged.message_id,
        conversation_id: judged.conversation_id,
        asked: privacy::mask(&judged.question),
        said: judged.reply.text,
        citations: judged.reply.citations,
        question,
        answer,
        language,
        error,
    };
    render(status, &page)
}

async fn find(state: &ConsoleState, message_id: i64) -> PageResult<JudgedReply> {
    state.store.judged_reply(message_id).await?.ok_or(PageError::NotFound)
}

/// The question as the bot understood it, which of a follow-up says more than its words; masked.
pub(super) fn asked(judged: &JudgedReply) -> String {
    let query = judged.reply.trace.query.trim();
    privacy::mask(if query.is_empty() { judged.question.trim() } else { query })
}

/// A right answer, or only that the reply was wrong.
#[derive(Deserialize)]
pub(super) struct CorrectForm {
    #[serde(default)]
    action: CorrectAction,
    #[serde(default)]
    question: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    language: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CorrectAction {
    #[default]
    Answer,
    /// Nobody knows the right answer yet: the question goes to the gaps.
    Mark,
}

/// `POST /console/replies/{id}/correct`
pub(super) async fn correct(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<CorrectForm>,
) -> PageResult<Response> {
    let judged = find(&state, id).await?;
    let back = format!("/console/conversations/{}#message-{id}", judged.conversation_id);
    if form.action == CorrectAction::Mark {
        state.store.mark_wrong(id, &staff.user.name, Utc::now()).await?;
        return Ok(Redirect::to(&back).into_response());
    }
    match Words::new(locale.texts(), &form.question, &form.answer, &form.language) {
        Ok(words) => {
            propose(&state, &staff, &words, Some(id)).await?;
            Ok(Redirect::to(&back).into_response())
        }
        Err(error) => {
            let language = Language::from_tag(&form.language).unwrap_or(judged.reply.language);
            show_form(&state, locale, &staff, judged, (form.question, form.answer, language), Some(error)).await
        }
    }
}

/// Keeps an answer; those of merchants are live at once.
pub(super) async fn propose(
    state: &ConsoleState,
    staff: &Staff,
    words: &Words,
    message_id: Option<i64>,
) -> PageResult<()> {
    let may_decide = staff.user.role >= Role::Merchant;
    let new = NewStaffAnswer {
        question: &words.question,
        answer: &words.answer,
        language: words.language,
        state: if may_decide { AnswerState::Live } else { AnswerState::Proposed },
        message_id,
        author: &staff.user.name,
        at: Utc::now(),
    };
    if !may_decide {
        state.store.add_staff_answer(&new).await?;
        return Ok(());
    }
    let subject = message_id.map_or_else(String::new, |id| format!("message {id}"));
    state.store.noting(deed(&staff.user, AuditKind::CorrectionApproved, subject)).add_staff_answer(&new).await?;
    publish(state).await
}

/// In a task of its own, so that it is done also when somebody leaves the page.
async fn publish(state: &ConsoleState) -> PageResult<()> {
    let importer = state.knowledge.importer.clone();
    let published = tokio::spawn(async move { importer.publish_staff_answers(Utc::now()).await }).await;
    match published {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(PageError::Internal(format!("the answers of staff cannot be published: {error}"))),
        Err(error) => Err(PageError::Internal(error.to_string())),
    }
}

#[derive(Template)]
#[template(path = "corrections.html")]
struct ListPage {
    l: Layout,
    error: Option<String>,
    proposed: Vec<StaffAnswer>,
    live: Vec<StaffAnswer>,
    /// Refused, or taken back.
    others: Vec<StaffAnswer>,
    /// How many live answers still come, of those that were asked again.
    checked: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
impl ListPage {
    fn state_name(&self, state: &AnswerState) -> &'static str {
        state_name(&self.l, *state)
    }
}

/// `GET /console/corrections`
pub(super) async fn list(State(state): State<ConsoleState>, locale: Locale, staff: Staff) -> PageResult<Response> {
    show_list(&state, locale, &staff, None).await
}

async fn show_list(state: &ConsoleState, locale: Locale, staff: &Staff, error: Option<String>) -> PageResult<Response> {
    let t = locale.texts();
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (proposed, decided): (Vec<_>, Vec<_>) =
        state.store.staff_answers().await?.into_iter().partition(|answer| answer.state == AnswerState::Proposed);
    let (live, others): (Vec<_>, Vec<_>) = decided.into_iter().partition(|answer| answer.state == AnswerState::Live);
    let checks: Vec<&AnswerCheck> = live.iter().filter_map(|answer| answer.check.as_ref()).collect();
    let right = checks.iter().filter(|check| check.is_right).count();
    let values = [("right", right.to_string()), ("n", checks.len().to_string())];
    let checked = (!checks.is_empty()).then(|| fill(t.corrections_checked, &values));
    let l = Layout::for_staff(state, locale, staff, Section::Corrections, t.corrections).await?;
    render(status, &ListPage { l, error, proposed, live, others, checked })
}

/// What a merchant decides about an answer.
#[derive(Deserialize)]
pub(super) struct DecideForm {
    action: DecideAction,
    #[serde(default)]
    question: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    language: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecideAction {
    /// Lets it in, with the words of the form.
    Approve,
    /// Refuses it.
    Reject,
    /// Changes the words of one that is live.
    Save,
    /// Takes one that is live back.
    Withdraw,
}

impl DecideAction {
    /// What the log calls it.
    fn audited(self) -> AuditKind {
        match self {
            Self::Approve => AuditKind::CorrectionApproved,
            Self::Reject => AuditKind::CorrectionRejected,
            Self::Save => AuditKind::CorrectionChanged,
            Self::Withdraw => AuditKind::CorrectionWithdrawn,
        }
    }

    /// The states that it is possible in, and the one that it leads to.
    fn change(self) -> (&'static [AnswerState], AnswerState) {
        use AnswerState::{Live, Proposed, Rejected, Withdrawn};
        match self {
            Self::Approve => (&[Proposed, Rejected, Withdrawn], Live),
            Self::Reject => (&[Proposed], Rejected),
            Self::Save => (&[Live], Live),
            Self::Withdraw => (&[Live], Withdrawn),
        }
    }
}

/// `POST /console/corrections/{id}`. What a colleague has decided meanwhile stands.
pub(super) async fn decide(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Form(form): Form<DecideForm>,
) -> PageResult<Response> {
    let answers = state.store.staff_answers().await?;
    let answer = answers.into_iter().find(|answer| answer.id == id).ok_or(PageError::NotFound)?;
    let (from, to) = form.action.change();
    let words = if to == AnswerState::Live {
        Words::new(locale.texts(), &form.question, &form.answer, &form.language)
    } else {
        Ok(Words { question: answer.question, answer: answer.answer, language: answer.language })
    };
    let words = match words {
        Ok(words) => words,
        Err(error) => return show_list(&state, locale, &staff, Some(error)).await,
    };
    let (said, by) = ((&*words.question, &*words.answer, words.language), (&*staff.user.name, Utc::now()));
    let noting = state.store.noting(deed(&staff.user, form.action.audited(), format!("correction {id}")));
    let decided = noting.decide_staff_answer(id, from, to, said, by).await?;
    if decided && (to == AnswerState::Live || from.contains(&AnswerState::Live)) {
        publish(&state).await?;
    }
    Ok(Redirect::to(&format!("/console/corrections#answer-{id}")).into_response())
}

/// The button that asks all again.
#[derive(Deserialize)]
pub(super) struct AskAgainForm {
    #[expect(dead_code, reason = "a form without it comes from no page of ours")]
    ask: String,
}

/// `POST /console/corrections`: asks every question whose answer is live again.
pub(super) async fn ask_again(State(state): State<ConsoleState>, Form(_): Form<AskAgainForm>) -> PageResult<Response> {
    // In a task of its own: what has begun is finished also when somebody leaves the page.
    let asking = tokio::spawn(async move {
        for answer in state.store.staff_answers().await?.into_iter().rev() {
            if answer.state != AnswerState::Live {
                continue;
            }
            let reply = (state.knowledge.ask)(answer.question.clone()).await.map_err(PageError::Internal)?;
            let is_right = says(&reply.text, &answer.answer);
            let check = AnswerCheck { at: Utc::now(), is_right, reply: reply.text };
            state.store.note_answer_check(&answer, &check).await?;
        }
        Ok::<(), PageError>(())
    });
    asking.await.map_err(|error| PageError::Internal(error.to_string()))??;
    Ok(Redirect::to("/console/corrections").into_response())
}
