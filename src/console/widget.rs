//! How the widget looks and what it says first. What is saved shows on every page that has it, without a restart.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    ConsoleState,
    access::{Staff, host, is_loopback},
    frame::{PageResult, page as render},
    layout::{Layout, Locale, Section},
    texts::{Texts, fill},
};
use crate::{
    config::{Colour, PerLanguage, Side, WidgetSettings},
    message::Language,
};

const ADDRESS: &str = "/console/widget";
/// Longest greeting, in characters.
const GREETING_CHARACTERS_MAX: usize = 500;
/// Most suggested questions of a language.
const QUESTIONS_MAX: usize = 6;
/// Longest suggested question, in characters.
const QUESTION_CHARACTERS_MAX: usize = 120;

/// The settings as the form has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WidgetForm {
    colour: String,
    position: String,
    greeting_en: String,
    greeting_zh: String,
    questions_en: String,
    questions_zh: String,
    /// Anything: the language is offered.
    offer_en: String,
    offer_zh: String,
    /// `save`, or `forget` for the shop's own settings.
    action: String,
}

impl WidgetForm {
    fn of(settings: &WidgetSettings) -> Self {
        let offered = |language| if settings.languages.contains(&language) { "1".to_owned() } else { String::new() };
        Self {
            colour: settings.colour.to_string(),
            position: if settings.position == Side::Left { "left" } else { "right" }.to_owned(),
            greeting_en: settings.greeting.en.clone(),
            greeting_zh: settings.greeting.zh.clone(),
            questions_en: settings.suggested_questions.en.join("\n"),
            questions_zh: settings.suggested_questions.zh.join("\n"),
            offer_en: offered(Language::En),
            offer_zh: offered(Language::Zh),
            action: String::new(),
        }
    }

    /// The settings that the form describes, or a sentence for each field that needs mending.
    fn read(&self, t: &Texts) -> Result<WidgetSettings, Vec<String>> {
        let mut errors = Vec::new();
        let colour = self.colour.parse::<Colour>();
        if colour.is_err() {
            errors.push(fill(t.widget_colour_wrong, &[("colour", &self.colour)]));
        }
        let offered = [(Language::En, &self.offer_en), (Language::Zh, &self.offer_zh)];
        let languages: Vec<_> =
            offered.into_iter().filter(|(_, offer)| !offer.is_empty()).map(|(language, _)| language).collect();
        if languages.is_empty() {
            errors.push(t.widget_languages_needed.to_owned());
        }
        let greeting = |text: &String| text.replace("\r\n", "\n").trim().to_owned();
        let greeting = PerLanguage { en: greeting(&self.greeting_en), zh: greeting(&self.greeting_zh) };
        if [&greeting.en, &greeting.zh].iter().any(|text| text.chars().count() > GREETING_CHARACTERS_MAX) {
            errors.push(fill(t.widget_greeting_wrong, &[("max", GREETING_CHARACTERS_MAX.to_string())]));
        }
        let suggested_questions = PerLanguage { en: lines(&self.questions_en), zh: lines(&self.questions_zh) };
        let too_many = |questions: &Vec<String>| {
            let too_long = |question: &String| question.chars().count() > QUESTION_CHARACTERS_MAX;
            questions.len() > QUESTIONS_MAX || questions.iter().any(too_long)
        };
        if too_many(&suggested_questions.en) || too_many(&suggested_questions.zh) {
            let limits = [("n", QUESTIONS_MAX.to_string()), ("max", QUESTION_CHARACTERS_MAX.to_string())];
            errors.push(fill(t.widget_questions_wrong, &limits));
        }
        match colour {
            Ok(colour) if errors.is_empty() => {
                let position = if self.position == "left" { Side::Left } else { Side::Right };
                Ok(WidgetSettings { colour, position, greeting, suggested_questions, languages })
            }
            _ => Err(errors),
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WidgetQuery {
    /// What was done a moment ago: `saved` or `forgotten`.
    done: String,
}

#[derive(Template)]
#[template(path = "widget.html")]
struct WidgetPage {
    l: Layout,
    form: WidgetForm,
    name: String,
    /// The saved colour and what stands on it.
    colour: Colour,
    text_colour: Colour,
    contrast: String,
    questions_max: usize,
    tag: String,
    errors: Vec<String>,
    done: Option<&'static str>,
}

impl WidgetPage {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    fn label(&self, text: &str, language: &Language) -> String {
        fill(text, &[("language", self.l.language_name(language))])
    }
}

/// `GET /console/widget`
pub(super) async fn page(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    Query(query): Query<WidgetQuery>,
    headers: HeaderMap,
    uri: Uri,
) -> PageResult<Response> {
    let t = locale.texts();
    let form = WidgetForm::of(&state.store.widget_settings().await?);
    let done = match query.done.as_str() {
        "saved" => Some(t.widget_saved),
        "forgotten" => Some(t.widget_forgotten),
        _ => None,
    };
    let mut page = prepare(&state, locale, &staff, form, script_tag(&headers, &uri)).await?;
    page.done = done;
    render(StatusCode::OK, &page)
}

async fn prepare(
    state: &ConsoleState,
    locale: Locale,
    staff: &Staff,
    form: WidgetForm,
    tag: String,
) -> PageResult<WidgetPage> {
    let t = locale.texts();
    // Of a form that needs mending the saved colour is shown.
    let colour = match form.colour.parse() {
        Ok(colour) => colour,
        Err(_) => state.store.widget_settings().await?.colour,
    };
    let text_colour = colour.text();
    Ok(WidgetPage {
        l: Layout::for_staff(state, locale, staff, Section::Widget, t.widget).await?,
        name: state.store.shop_profile().await?.name,
        form,
        colour,
        text_colour,
        contrast: says_contrast(t, colour),
        questions_max: QUESTIONS_MAX,
        tag,
        errors: Vec::new(),
        done: None,
    })
}

fn says_contrast(t: &Texts, colour: Colour) -> String {
    let text = colour.text();
    let says = if text == Colour::WHITE { t.widget_text_white } else { t.widget_text_black };
    fill(says, &[("ratio", format!("{:.1}", colour.contrast(text)))])
}

/// The line for the merchant's pages, with this server as the browser reached it.
fn script_tag(headers: &HeaderMap, uri: &Uri) -> String {
    let plain = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let server = host(headers, uri).filter(plain).unwrap_or("your-server.example");
    // The console is reached without TLS only on the machine itself.
    let scheme = if is_loopback(headers, uri) { "http" } else { "https" };
    format!("<script src=\"{scheme}://{server}/widget.js\" defer></script>")
}

/// `POST /console/widget`
pub(super) async fn save(
    State(state): State<ConsoleState>,
    locale: Locale,
    staff: Staff,
    headers: HeaderMap,
    uri: Uri,
    Form(form): Form<WidgetForm>,
) -> PageResult<Response> {
    if form.action == "forget" {
        state.store.set_widget_settings(None).await?;
        return Ok(Redirect::to(&format!("{ADDRESS}?done=forgotten")).into_response());
    }
    match form.read(locale.texts()) {
        Ok(settings) => {
            state.store.set_widget_settings(Some(&settings)).await?;
            Ok(Redirect::to(&format!("{ADDRESS}?done=saved")).into_response())
        }
        Err(errors) => {
            let mut page = prepare(&state, locale, &staff, form, script_tag(&headers, &uri)).await?;
            page.errors = errors;
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_tag_names_this_server_and_nothing_strange() {
        let tag = |host: &'static str| {
            let headers =
                [(axum::http::header::HOST, axum::http::HeaderValue::from_static(host))].into_iter().collect();
            script_tag(&headers, &Uri::from_static("/console/widget"))
        };
        assert!(tag("127.0.0.1:8080").contains("\"http://127.0.0.1:8080/widget.js\""));
        assert!(tag("shop.example").contains("\"https://shop.example/widget.js\""));
        assert!(tag("a\"><b>").contains("your-server.example"));
    }
}
