//! What became of the conversations over a span of days: how they ended, how fast an answer came, what was asked.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::Utc;
use serde_json::json;

use super::{
    ConsoleState,
    access::Staff,
    export::{Format, Line, file, line},
    frame::{PageError, PageResult, page as render},
    layout::{Layout, Locale, Section},
    outcome_figures::{CHART_HEIGHT, Group, Piece, SPANS, Share, Span, SpanQuery, bars, by_day, duration, grouped},
    sign_in::deed,
    texts::{Texts, fill},
};
use crate::{
    message::{Channel, Language},
    storage::{AuditKind, OutcomeRow, Outcomes, TopicRow},
};

/// What was asked about most: so many on the page, and in the file.
const TOPICS_SHOWN: i64 = 15;
const TOPICS_IN_FILE: i64 = 1_000;

/// One way in which conversations end.
struct Ending {
    name: &'static str,
    definition: &'static str,
    share: Share,
    /// Is a part of the one above it.
    is_part: bool,
}

/// A table of outcomes by something.
struct GroupTable {
    id: &'static str,
    title: &'static str,
    column: &'static str,
    groups: Vec<Group>,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage {
    l: Layout,
    span: Span,
    total: i64,
    endings: Vec<Ending>,
    satisfied: Share,
    /// Visits with an answer, and the median and the 95th percentile of the time to it.
    answers: i64,
    median: Option<String>,
    p95: Option<String>,
    pieces: Vec<Piece>,
    width: f64,
    /// What the chart says, in words.
    description: String,
    tables: Vec<GroupTable>,
    topics: Vec<TopicRow>,
}

#[expect(clippy::unused_self, reason = "templates call methods of a value they hold")]
impl OutcomePage {
    fn declined(&self, topic: &TopicRow) -> Share {
        Share::new(topic.declined, topic.asked)
    }
}

/// `GET /console/outcome`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<SpanQuery>,
) -> PageResult<Response> {
    let t = locale.texts();
    let span = query.span(Utc::now().date_naive());
    let rows = state.store.outcomes(&span.range()).await?;
    let all = added_up(&rows);
    let (answers, times) = state.store.first_answer_ms(&span.range(), &[0.5, 0.95]).await?;
    let l = Layout::for_staff(&state, locale, &staff, Section::Outcome, t.outcome).await?;
    let days = by_day(&rows, &span);
    let (pieces, width) = bars(&days);
    let page = OutcomePage {
        total: all.total(),
        endings: endings(t, &all),
        satisfied: Share::new(all.satisfied, all.rated),
        answers,
        median: times.first().map(|ms| duration(*ms)),
        p95: times.get(1).map(|ms| duration(*ms)),
        pieces,
        width,
        description: description(t, &all, &days),
        topics: state.store.top_topics(&span.range(), TOPICS_SHOWN).await?,
        tables: vec![
            GroupTable { id: "days", title: t.outcome_by_day, column: t.outcome_day, groups: days },
            GroupTable {
                id: "channels",
                title: t.outcome_by_channel,
                column: t.channel,
                groups: by_channel(&l, &rows),
            },
            GroupTable {
                id: "languages",
                title: t.outcome_by_language,
                column: t.language,
                groups: by_language(&l, &rows),
            },
        ],
        span,
        l,
    };
    render(StatusCode::OK, &page)
}

fn added_up(rows: &[OutcomeRow]) -> Outcomes {
    rows.iter().fold(Outcomes::default(), |mut all, row| {
        all += row.outcomes;
        all
    })
}

fn by_channel(l: &Layout, rows: &[OutcomeRow]) -> Vec<Group> {
    let name = |channel: &&str| channel.parse::<Channel>().map_or("", |channel| l.channel_name(&channel)).to_owned();
    grouped(rows, |row| row.channel.as_str(), name)
}

fn by_language(l: &Layout, rows: &[OutcomeRow]) -> Vec<Group> {
    grouped(rows, |row| row.language, |language: &Language| l.language_name(language).to_owned())
}

fn endings(t: &Texts, all: &Outcomes) -> Vec<Ending> {
    let ending = |name, definition, count, is_part| {
        let share = Share::new(count, all.total());
        Ending { name, definition, share, is_part }
    };
    vec![
        ending(t.ending_answered, t.ending_answered_is, all.answered(), false),
        ending(t.ending_confirmed, t.ending_confirmed_is, all.confirmed, true),
        ending(t.ending_assumed, t.ending_assumed_is, all.assumed, true),
        ending(t.ending_reopened, t.ending_reopened_is, all.reopened, true),
        ending(t.ending_abandoned, t.ending_abandoned_is, all.abandoned, false),
        ending(t.ending_declined, t.ending_declined_is, all.declined, false),
        ending(t.ending_handed_over, t.ending_handed_over_is, all.handed_over, false),
    ]
}

fn description(t: &Texts, all: &Outcomes, days: &[Group]) -> String {
    let highest = days.iter().max_by_key(|day| day.outcomes.total());
    let values = [
        ("n", all.total().to_string()),
        ("days", days.len().to_string()),
        ("most", highest.map_or(0, |day| day.outcomes.total()).to_string()),
        ("day", highest.map_or_else(String::new, |day| day.name.clone())),
    ];
    fill(t.outcome_chart_says, &values)
}

/// `GET /console/outcome/{table}`: one of the page's tables as CSV.
pub(super) async fn file_of(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(table): Path<String>,
    Query(query): Query<SpanQuery>,
) -> PageResult<Response> {
    let span = query.span(Utc::now().date_naive());
    let rows = state.store.outcomes(&span.range()).await?;
    let lines = match table.as_str() {
        "endings" => endings(locale.texts(), &added_up(&rows)).iter().map(ending_line).collect(),
        "days" => by_day(&rows, &span).iter().map(group_line).collect(),
        "channels" => grouped(&rows, |row| row.channel.as_str(), ToString::to_string).iter().map(group_line).collect(),
        "languages" => {
            grouped(&rows, |row| row.language.as_str(), ToString::to_string).iter().map(group_line).collect()
        }
        "topics" => state.store.top_topics(&span.range(), TOPICS_IN_FILE).await?.iter().map(topic_line).collect(),
        _ => return Err(PageError::NotFound),
    };
    state.store.note_deed(deed(&staff.user, AuditKind::ListExported, format!("outcome: {table}"))).await?;
    file(&format!("outcome-{table}-{}-{}", span.first, span.last), Format::Csv, lines)
}

fn ending_line(ending: &Ending) -> Line {
    let share = ending.share;
    line([
        ("ending", json!(ending.name)),
        ("conversations", json!(share.count)),
        ("of", json!(share.of)),
        ("share", json!(share.value().map(rounded))),
        ("share_low_95", json!(rounded(share.low))),
        ("share_high_95", json!(rounded(share.high))),
        ("definition", json!(ending.definition)),
    ])
}

fn group_line(group: &Group) -> Line {
    let (o, answered, satisfied) = (group.outcomes, group.answered(), group.satisfied());
    line([
        ("name", json!(group.name)),
        ("conversations", json!(o.total())),
        ("answered", json!(o.answered())),
        ("answered_share", json!(answered.value().map(rounded))),
        ("answered_low_95", json!(rounded(answered.low))),
        ("answered_high_95", json!(rounded(answered.high))),
        ("confirmed", json!(o.confirmed)),
        ("assumed", json!(o.assumed)),
        ("reopened", json!(o.reopened)),
        ("abandoned", json!(o.abandoned)),
        ("declined", json!(o.declined)),
        ("handed_over", json!(o.handed_over)),
        ("satisfied", json!(o.satisfied)),
        ("rated", json!(o.rated)),
        ("satisfied_share", json!(satisfied.value().map(rounded))),
    ])
}

fn topic_line(topic: &TopicRow) -> Line {
    let declined = Share::new(topic.declined, topic.asked);
    line([
        ("intent", json!(topic.intent)),
        ("asked", json!(topic.asked)),
        ("declined", json!(topic.declined)),
        ("declined_share", json!(declined.value().map(rounded))),
        ("declined_low_95", json!(rounded(declined.low))),
        ("declined_high_95", json!(rounded(declined.high))),
    ])
}

fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}
