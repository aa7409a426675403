//! Transcripts and lists to take away: JSON lines, CSV, and a page to print.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    ConsoleState,
    access::Staff,
    conversations::find,
    frame::{PageError, PageResult, page as render},
    inbox::{ListQuery, shopper_name},
    layout::{Layout, Locale, Section},
    sign_in::deed,
    transcript::{Bubble, bubbles},
};
use crate::{
    message::Channel,
    storage::{AuditKind, ConversationFilter, ConversationSummary, StoredMessage},
};

/// Most conversations in one file.
const ROWS_MAX: i64 = 50_000;

/// Kind of file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// A table with a head.
    Csv,
}

/// Which kind of file is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FormatQuery {
    pub(super) format: Format,
}

/// One line of a file: names and values in order. Every line of a file has the same names.
pub(super) type Line = Map<String, Value>;

/// `GET /console/conversations/export`
pub(super) async fn list(
    State(state): State<ConsoleState>,
    staff: Staff,
    Query(query): Query<ListQuery>,
    Query(FormatQuery { format }): Query<FormatQuery>,
) -> PageResult<Response> {
    let filter = ConversationFilter { limit: ROWS_MAX, ..query.filter(staff.user.id, Utc::now()) };
    let lines = state.store.conversations(&filter).await?.iter().map(conversation_line).collect();
    state.store.note_deed(deed(&staff.user, AuditKind::ListExported, "conversations")).await?;
    file("conversations", format, lines)
}

/// `GET /console/conversations/{id}/export`
pub(super) async fn transcript(
    State(state): State<ConsoleState>,
    staff: Staff,
    Path(id): Path<i64>,
    Query(FormatQuery { format }): Query<FormatQuery>,
) -> PageResult<Response> {
    find(&state, id).await?;
    state.store.note_deed(deed(&staff.user, AuditKind::ShopperExported, format!("conversation {id}"))).await?;
    let lines = state.store.messages(id, 0).await?.iter().map(message_line).collect();
    file(&format!("conversation-{id}"), format, lines)
}

fn conversation_line(summary: &ConversationSummary) -> Line {
    line([
        ("id", json!(summary.id)),
        ("channel", json!(summary.channel.as_str())),
        ("chat", json!(summary.chat)),
        ("state", json!(summary.standing.state.as_str())),
        ("language", json!(summary.language.as_str())),
        ("customer", json!(summary.customer)),
        ("assignee", json!(summary.assignee)),
        ("tags", json!(summary.tags)),
        ("started_at", json!(summary.started_at.to_rfc3339())),
        ("updated_at", json!(summary.updated_at.to_rfc3339())),
        ("messages", json!(summary.messages)),
        ("last_intent", json!(summary.last_intent)),
        ("last_confidence", json!(summary.last_confidence.map(|thousandths| thousandths as f64 / 1000.0))),
        ("last_declined", json!(summary.last_declined)),
        ("last_text", json!(summary.last_text)),
    ])
}

fn message_line(message: &StoredMessage) -> Line {
    let reply = message.reply.as_ref();
    line([
        ("id", json!(message.id)),
        ("at", json!(message.at.to_rfc3339())),
        ("author", json!(message.author.as_str())),
        ("name", json!(message.author_name)),
        ("intent", json!(reply.map(|reply| &reply.intent))),
        ("confidence", json!(reply.map(|reply| (f64::from(reply.intent_confidence) * 1000.0).round() / 1000.0))),
        ("route", json!(reply.map(|reply| reply.route.as_str()))),
        ("declined", json!(reply.map(|reply| reply.declined))),
        ("products", json!(reply.map(|reply| reply.products.iter().map(|card| &card.sku).collect::<Vec<_>>()))),
        ("rating", json!(message.rating.map(|good| if good { "good" } else { "bad" }))),
        ("text", json!(message.text)),
    ])
}

pub(super) fn line<const N: usize>(fields: [(&str, Value); N]) -> Line {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn file(name: &str, format: Format, lines: Vec<Line>) -> PageResult<Response> {
    let (kind, extension, content) = match format {
        Format::Jsonl => ("application/x-ndjson; charset=utf-8", "jsonl", json_lines(lines).into_bytes()),
        Format::Csv => {
            let table = table(&lines).map_err(|error| PageError::Internal(error.to_string()))?;
            ("text/csv; charset=utf-8", "csv", table)
        }
    };
    let disposition = format!("attachment; filename=\"{name}.{extension}\"");
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, content).into_response())
}

fn json_lines(lines: Vec<Line>) -> String {
    lines.into_iter().flat_map(|line| [Value::Object(line).to_string(), "\n".to_owned()]).collect()
}

/// With the mark by which spreadsheets recognise UTF-8.
fn table(lines: &[Line]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    if let Some(first) = lines.first() {
        writer.write_record(first.keys())?;
    }
    for line in lines {
        writer.write_record(line.values().map(cell))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// A value as a cell. A spreadsheet would calculate what begins like a formula, and a shopper may have written it: an
/// apostrophe makes text of it.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether notes and notices are printed too.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PrintQuery {
    notes: String,
}

#[derive(Template)]
#[template(path = "print.html")]
struct PrintPage {
    l: Layout,
    id: i64,
    name: String,
    channel: Channel,
    chat: String,
    with_notes: bool,
    bubbles: Vec<Bubble>,
}

/// `GET /console/conversations/{id}/print`
pub(super) async fn print(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Path(id): Path<i64>,
    Query(query): Query<PrintQuery>,
) -> PageResult<Response> {
    let conversation = find(&state, id).await?;
    let name = shopper_name(locale.texts(), conversation.verified_customer(), &conversation.chat);
    let l = Layout::for_staff(&state, locale, &staff, Section::Conversations, &name).await?;
    let with_notes = !query.notes.is_empty();
    let mut messages = state.store.messages(id, 0).await?;
    messages.retain(|message| with_notes || message.author.is_public());
    let bubbles = bubbles(&l, messages, &state.store.wrong_replies(id).await?);
    let printed =
        PrintPage { l, id, name, channel: conversation.channel, chat: conversation.chat, with_notes, bubbles };
    render(StatusCode::OK, &printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_like_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(cell(&json!(formula)), format!("'{formula}"));
        }
        assert_eq!(cell(&json!(["=a", "b"])), "'=a, b");
        assert_eq!(cell(&json!("a=1")), "a=1");
        assert_eq!(cell(&Value::Null), "");
    }

    #[test]
    fn a_table_has_a_head_and_keeps_line_breaks_and_quotes() {
        let lines = vec![line([("id", json!(1)), ("text", json!("say \"hi\"\nthere"))])];
        let table = String::from_utf8(table(&lines).unwrap()).unwrap();
        assert_eq!(table, "\u{feff}id,text\n1,\"say \"\"hi\"\"\nthere\"\n");
        assert_eq!(json_lines(lines), "{\"id\":1,\"text\":\"say \\\"hi\\\"\\nthere\"}\n");
    }
}
