//! The page inside of the widget's settings: the real widget, as it is saved, on an empty page. The console's script then
//! shows it what the merchant types.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    ConsoleState,
    frame::{Framed, PageResult, page as render},
    layout::Locale,
};
use crate::{config::WidgetSettings, message::Language};

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PreviewQuery {
    language: String,
}

#[derive(Template)]
#[template(path = "widget_preview.html")]
struct PreviewPage {
    title: &'static str,
    language: &'static str,
    /// JSON for the widget.
    settings: String,
}

/// `GET /console/widget/preview`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    Query(query): Query<PreviewQuery>,
) -> PageResult<Response> {
    let language = Language::from_tag(&query.language).unwrap_or(locale.language);
    let WidgetSettings { colour, position, greeting, suggested_questions, .. } = state.store.widget_settings().await?;
    let settings = json!({
        "name": state.store.shop_profile().await?.name,
        "colour": colour,
        "position": position,
        "greeting": greeting.get(language),
        "questions": suggested_questions.get(language),
    });
    let title = locale.texts().widget_preview;
    let shown = PreviewPage { title, language: language.as_str(), settings: settings.to_string() };
    let mut response = render(StatusCode::OK, &shown)?;
    response.extensions_mut().insert(Framed);
    Ok(response)
}
