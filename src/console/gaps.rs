//! What the bot could not answer: questions that were declined, answered without much confidence or answered wrongly,
//! those that ask the same together. Each is answered in place, or dismissed as none of the shop's.

use std::collections::{BTreeSet, HashSet};

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use serde::Deserialize;

use super::{
    ConsoleState,
    access::Staff,
    corrections::{ANSWER_MAX, QUESTION_MAX, Words, asked, propose},
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
};
use crate::{
    message::{Language, Route, Timestamp},
    privacy,
    storage::{AnswerState, DismissedQuestion, JudgedReply},
};

/// Latest replies that are looked at.
const REPLIES_MAX: i64 = 2_000;
/// Questions of those that are grouped, latest first: each is embedded once.
const QUESTIONS_MAX: usize = 500;
/// Groups on the page.
const GROUPS_MAX: usize = 100;
/// Examples of one group.
const EXAMPLES_MAX: usize = 5;
/// An answer whose best passage is less probable than this was given without much confidence.
const UNSURE: f32 = 0.5;

/// Why a question is a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// The bot said that it cannot answer.
    Declined,
    /// The bot was not sure.
    Unsure,
    /// Staff called the answer wrong.
    Wrong,
    /// The shopper called it not helpful.
    NotHelpful,
}

impl Reason {
    /// `None` where the question was answered.
    fn of(judged: &JudgedReply) -> Option<Self> {
        let reply = &judged.reply;
        let best = reply.trace.passages.first().map(|passage| passage.score);
        if judged.is_wrong {
            Some(Self::Wrong)
        } else if judged.rating == Some(false) {
            Some(Self::NotHelpful)
        } else if reply.declined && reply.intent != "prompt_attack" {
            Some(Self::Declined)
        } else if reply.route == Route::Answer && best.is_some_and(|score| score < UNSURE) {
            Some(Self::Unsure)
        } else {
            None
        }
    }
}

/// A question that was asked and not answered.
struct Example {
    question: String,
    conversation_id: i64,
    message_id: i64,
    reason: Reason,
    at: Timestamp,
}

/// Questions that ask the same.
struct Gap {
    language: Language,
    reasons: BTreeSet<Reason>,
    /// Latest first.
    examples: Vec<Example>,
}

impl Gap {
    fn latest(&self) -> Option<&Example> {
        self.examples.first()
    }

    fn shown(&self) -> &[Example] {
        &self.examples[..self.examples.len().min(EXAMPLES_MAX)]
    }
}

/// The order of the groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Frequent,
    Recent,
}

/// Query of the page; nonsense means the usual order.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    order: String,
}

#[derive(Template)]
#[template(path = "gaps.html")]
struct GapsPage {
    l: Layout,
    error: Option<String>,
    is_recent: bool,
    gaps: Vec<Gap>,
    dismissed: Vec<DismissedQuestion>,
    question_max: usize,
    answer_max: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
impl GapsPage {
    fn reason_name(&self, reason: &Reason) -> &'static str {
        match reason {
            Reason::Declined => self.l.t.gap_declined,
            Reason::Unsure => self.l.t.gap_unsure,
            Reason::Wrong => self.l.t.wrong_marked,
            Reason::NotHelpful => self.l.t.rated_bad,
        }
    }
}

/// `GET /console/gaps`
pub(super) async fn list(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<ListQuery>,
) -> PageResult<Response> {
    let order = if query.order == "recent" { Order::Recent } else { Order::Frequent };
    show(&state, locale, &staff, order, None).await
}

async fn show(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    order: Order,
    error: Option<String>,
) -> PageResult<Response> {
    let title = locale.texts().gaps;
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut gaps = find(state).await?;
    // They come latest first, and equals stay in order.
    if order == Order::Frequent {
        gaps.sort_by_key(|gap| std::cmp::Reverse(gap.examples.len()));
    }
    gaps.truncate(GROUPS_MAX);
    let page = GapsPage {
        l: Layout::for_staff(state, locale, staff, Section::Gaps, title).await?,
        error,
        is_recent: order == Order::Recent,
        gaps,
        dismissed: state.store.dismissed_questions().await?,
        question_max: QUESTION_MAX,
        answer_max: ANSWER_MAX,
    };
    render(status, &page)
}

/// The gaps, latest first: what has been answered since, or dismissed, is none.
async fn find(state: &ConsoleState) -> PageResult<Vec<Gap>> {
    let replies = state.store.judged_replies(REPLIES_MAX).await?;
    let dismissed = state.store.dismissed_questions().await?;
    let mut answers = state.store.staff_answers().await?;
    answers.retain(|answer| matches!(answer.state, AnswerState::Proposed | AnswerState::Live));
    let answered: HashSet<i64> = answers.iter().filter_map(|answer| answer.message_id).collect();
    let open = replies.into_iter().filter(|judged| !answered.contains(&judged.message_id));
    let open = open.filter_map(|judged| Some((Reason::of(&judged)?, judged)));
    let examples: Vec<(Language, Example)> = open
        .map(|(reason, judged)| {
            let question = asked(&judged);
            let (conversation_id, message_id) = (judged.conversation_id, judged.message_id);
            (judged.reply.language, Example { question, conversation_id, message_id, reason, at: judged.at })
        })
        .filter(|(_, example)| !example.question.is_empty())
        .take(QUESTIONS_MAX)
        .collect();

    // What is settled comes first, so that a question joins it where it asks the same.
    let settled = dismissed.iter().map(|dismissed| (dismissed.language, dismissed.question.clone()));
    let settled = settled.chain(answers.iter().map(|answer| (answer.language, answer.question.clone())));
    let asked = examples.iter().map(|(language, example)| (*language, example.question.clone()));
    let questions: Vec<(Language, String)> = settled.chain(asked).collect();
    let groups = state.knowledge.meanings.group(&questions).await;
    let groups = groups.map_err(|error| PageError::Internal(format!("questions cannot be compared: {error}")))?;
    let (of_dismissed, rest) = groups.split_at(dismissed.len());
    let (of_answers, of_examples) = rest.split_at(answers.len());
    let is_settled = |group: usize, at: Timestamp| {
        let mut answers = of_answers.iter().zip(&answers).filter(|(of_answer, _)| **of_answer == group);
        of_dismissed.contains(&group) || answers.any(|(_, answer)| answer.decided_at.unwrap_or(answer.created_at) >= at)
    };

    let mut gaps: Vec<(usize, Gap)> = Vec::new();
    for (&group, (language, example)) in of_examples.iter().zip(examples) {
        if is_settled(group, example.at) {
            continue;
        }
        match gaps.iter_mut().find(|(number, _)| *number == group) {
            Some((_, gap)) => {
                gap.reasons.insert(example.reason);
                gap.examples.push(example);
            }
            None => {
                let reasons = BTreeSet::from([example.reason]);
                gaps.push((group, Gap { language, reasons, examples: vec![example] }));
            }
        }
    }
    Ok(gaps.into_iter().map(|(_, gap)| gap).collect())
}

/// What is done about a gap.
#[derive(Deserialize)]
pub(super) struct ActForm {
    action: Action,
    /// The latest reply of the group, or the dismissed question.
    id: i64,
    #[serde(default)]
    question: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    language: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Keeps an answer.
    Answer,
    /// It is none of the shop's.
    Dismiss,
    /// It is one all the same.
    Restore,
}

/// `POST /console/gaps`
pub(super) async fn act(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Form(form): Form<ActForm>,
) -> PageResult<Response> {
    match form.action {
        Action::Answer => match Words::new(locale.texts(), &form.question, &form.answer, &form.language) {
            Ok(words) => {
                state.store.judged_reply(form.id).await?.ok_or(PageError::NotFound)?;
                propose(&state, &staff, &words, Some(form.id)).await?;
            }
            Err(error) => return show(&state, locale, &staff, Order::default(), Some(error)).await,
        },
        Action::Dismiss => {
            let gaps = find(&state).await?;
            let is_meant = |gap: &&Gap| gap.examples.iter().any(|example| example.message_id == form.id);
            let gap = gaps.iter().find(is_meant).ok_or(PageError::NotFound)?;
            let questions: BTreeSet<&str> = gap.examples.iter().map(|example| example.question.as_str()).collect();
            for question in questions {
                let question = privacy::mask(question);
                state.store.dismiss_question(&question, gap.language, &staff.user.name, Utc::now()).await?;
            }
        }
        Action::Restore => {
            if !state.store.restore_question(form.id).await? {
                return Err(PageError::NotFound);
            }
        }
    }
    Ok(Redirect::to("/console/gaps").into_response())
}
