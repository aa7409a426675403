//! What every response has: security headers, a language, and a styled page in place of a bare error.
//!
//! A handler fails with a `PageError`. What a person reads says what is wrong and what to do; the cause goes to the log.

use askama::Template;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use axum_extra::extract::CookieJar;

use super::{
    access::{is_https, is_loopback},
    layout::{Layout, Locale},
    texts::texts,
};
use crate::{message::Language, storage::StorageError};

/// Scripts, styles and pictures come from our own files alone; nobody may frame a page or send our forms elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same for the one page that our own pages show inside of themselves; it has no forms and no requests to make.
const FRAMED_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Carried by a response that our own pages may show in a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framed;

/// Name of the cookie that keeps the chosen language.
pub(super) const LANGUAGE_COOKIE: &str = "shoptalk_console_language";

/// Result of a handler.
pub(super) type PageResult<T> = Result<T, PageError>;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("there is no such page")]
    NotFound,
    #[error("the role does not allow this")]
    Forbidden,
    #[error("the request came from another site")]
    CrossOrigin,
    #[error("the set-up link is not valid")]
    SetupLink,
    #[error("the link for a new password is not valid")]
    PasswordLink,
    #[error("too many passwords are being checked")]
    Busy,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Session(#[from] tower_sessions::session::Error),
    #[error("a page cannot be rendered: {0}")]
    Template(#[from] askama::Error),
    #[error("{0}")]
    Internal(String),
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::CrossOrigin | Self::SetupLink | Self::PasswordLink => StatusCode::FORBIDDEN,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Storage(_) | Self::Session(_) | Self::Template(_) | Self::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn advice(&self, language: Language) -> Option<&'static str> {
        let t = texts(language);
        match self {
            Self::CrossOrigin => Some(t.error_cross_origin),
            Self::SetupLink => Some(t.error_setup_link),
            Self::PasswordLink => Some(t.error_password_link),
            Self::Busy => Some(t.error_busy),
            _ => None,
        }
    }
}

/// Carried by a bare response up to `frame`, which knows the language.
#[derive(Debug, Clone, Copy)]
struct Advice {
    en: &'static str,
    zh: &'static str,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = %self, "the console cannot show a page");
        }
        let mut response = status.into_response();
        if let (Some(en), Some(zh)) = (self.advice(Language::En), self.advice(Language::Zh)) {
            response.extensions_mut().insert(Advice { en, zh });
        }
        response
    }
}

/// For addresses that no route has.
pub(super) async fn not_found() -> PageError {
    PageError::NotFound
}

/// Renders a template.
pub(super) fn page(status: StatusCode, template: &impl Template) -> PageResult<Response> {
    Ok((status, Html(template.render()?)).into_response())
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    l: Layout,
    title: &'static str,
    advice: &'static str,
    status: u16,
}

/// Gives a request its language and its response everything that all responses have.
pub(super) async fn frame(mut request: Request, next: Next) -> Response {
    let secure = is_https(request.headers()) || !is_loopback(request.headers(), request.uri());
    let target = request.uri().path_and_query().map_or("/console", |target| target.as_str()).to_owned();
    let locale = Locale { language: language_of(request.headers()), target };
    request.extensions_mut().insert(locale.clone());
    let mut response = next.run(request).await;
    if needs_a_page(&response) {
        response = dress(response, locale);
    }
    let framed = response.extensions().get::<Framed>().is_some();
    add_headers(response.headers_mut(), secure, framed);
    response
}

/// An error that has no page yet: our own `PageError`, or what axum refuses by itself.
fn needs_a_page(response: &Response) -> bool {
    let html =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    (response.status().is_client_error() || response.status().is_server_error()) && !html
}

fn dress(response: Response, locale: Locale) -> Response {
    let status = response.status();
    let language = locale.language;
    let t = texts(language);
    let (title, advice) = match status {
        StatusCode::NOT_FOUND => (t.error_not_found, t.error_not_found_advice),
        StatusCode::FORBIDDEN => (t.error_forbidden, t.error_forbidden_advice),
        StatusCode::PAYLOAD_TOO_LARGE => (t.error_too_large, t.error_too_large_advice),
        status if status.is_client_error() => (t.error_request, t.error_request_advice),
        _ => (t.error_internal, t.error_internal_advice),
    };
    let advice = response.extensions().get::<Advice>().map_or(advice, |advice| match language {
        Language::En => advice.en,
        Language::Zh => advice.zh,
    });
    let error_page = ErrorPage { l: Layout::for_guest(locale, title), title, advice, status: status.as_u16() };
    let (parts, _) = response.into_parts();
    let mut dressed = page(status, &error_page).unwrap_or_else(|_| status.into_response());
    for cookie in parts.headers.get_all(header::SET_COOKIE) {
        dressed.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    dressed
}

fn add_headers(headers: &mut HeaderMap, secure: bool, framed: bool) {
    let (policy, framing) =
        if framed { (FRAMED_SECURITY_POLICY, "SAMEORIGIN") } else { (CONTENT_SECURITY_POLICY, "DENY") };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, framing),
        // Not `no-referrer`: browsers would then send no origin with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure {
        let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
        headers.remove(header::SET_COOKIE);
        for cookie in cookies {
            let marked = [cookie.as_bytes(), b"; Secure"].concat();
            headers.append(header::SET_COOKIE, HeaderValue::from_bytes(&marked).unwrap_or(cookie));
        }
    }
}

/// The chosen language, or the first one of the browser's that the product speaks.
fn language_of(headers: &HeaderMap) -> Language {
    let chosen = CookieJar::from_headers(headers).get(LANGUAGE_COOKIE).and_then(|c| Language::from_tag(c.value()));
    chosen.unwrap_or_else(|| {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut tags = accepted.split(',').filter_map(|entry| entry.split(';').next());
        tags.find_map(|tag| Language::from_tag(tag.trim())).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_wins_over_the_browser_and_english_over_nothing() {
        let language = |pairs: &[(header::HeaderName, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
            language_of(&headers)
        };
        assert_eq!(language(&[]), Language::En);
        assert_eq!(language(&[(header::ACCEPT_LANGUAGE, "fr, zh-CN;q=0.9, en;q=0.8")]), Language::Zh);
        let cookie = (header::COOKIE, "shoptalk_console_language=en");
        assert_eq!(language(&[(header::ACCEPT_LANGUAGE, "zh-CN"), cookie]), Language::En);
    }
}
