//! Who may do what: the check of the session and the role before each handler, and of a POST's origin.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use chrono::Utc;
use tower_sessions::Session;

use super::{
    ConsoleState,
    frame::{PageError, PageResult},
    layout::query_value,
    sessions,
};
use crate::storage::{Role, User};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: the log-in itself.
    Public,
    /// People with this role or a higher one.
    AtLeast(Role),
}

/// What the guard of one route knows.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) state: ConsoleState,
    pub(super) access: Access,
}

/// Somebody who has logged in and may use this route. Only the guard makes one.
#[derive(Debug, Clone)]
pub(super) struct Staff {
    pub(super) user: User,
}

impl<S: Sync> FromRequestParts<S> for Staff {
    type Rejection = PageError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(PageError::Forbidden)
    }
}

/// Lets a request through to its handler, or sends it to the log-in.
pub(super) async fn guard(
    State(gate): State<Gate>,
    session: Session,
    mut request: Request,
    next: Next,
) -> PageResult<Response> {
    let Access::AtLeast(role) = gate.access else {
        return Ok(next.run(request).await);
    };
    match sessions::signed_in(&gate.state.store, &session, Utc::now()).await? {
        None => Ok(to_login(&request)),
        Some(user) if user.role < role => Err(PageError::Forbidden),
        Some(user) => {
            request.extensions_mut().insert(Staff { user });
            Ok(next.run(request).await)
        }
    }
}

/// A page is asked for again after the log-in; anything else cannot be repeated, so it starts at the overview.
fn to_login(request: &Request) -> Response {
    if request.uri().path() == "/console/live" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let target = request.uri().path_and_query().map_or("/console", |target| target.as_str());
    if *request.method() == Method::GET && target.trim_end_matches('/') != "/console" {
        Redirect::to(&format!("/console/login?next={}", query_value(target))).into_response()
    } else {
        Redirect::to("/console/login").into_response()
    }
}

/// Refuses a POST that does not come from one of our own pages: the browser says where it comes from, and no page can
/// make it say otherwise. A request that says nothing is refused too.
pub(super) async fn same_origin(request: Request, next: Next) -> PageResult<Response> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || comes_from_our_page(request.headers(), request.uri()) {
        Ok(next.run(request).await)
    } else {
        Err(PageError::CrossOrigin)
    }
}

fn comes_from_our_page(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, authority)| host(headers, uri).is_some_and(|host| host.eq_ignore_ascii_case(authority)))
}

/// The name and port that the browser asked for.
pub(super) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

/// Whether the browser talks to its own machine, where cookies need no TLS.
pub(super) fn is_loopback(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(host) = host(headers, uri) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the browser says that it shows our page without TLS.
pub(super) fn is_plain_http(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"http://"))
}

/// Whether the browser says that it shows our page over TLS.
pub(super) fn is_https(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().expect("a header value")))
            .collect()
    }

    #[test]
    fn only_our_own_pages_may_post() {
        let uri = Uri::from_static("/console/logout");
        for (expected, pairs) in [
            (true, &[("sec-fetch-site", "same-origin"), ("host", "a.example")][..]),
            (false, &[("sec-fetch-site", "cross-site"), ("host", "a.example"), ("origin", "https://a.example")]),
            (false, &[("sec-fetch-site", "same-site"), ("host", "a.example")]),
            (true, &[("origin", "https://a.example"), ("host", "a.example")]),
            (false, &[("origin", "https://a.example:8443"), ("host", "a.example")]),
            (false, &[("origin", "https://evil.example"), ("host", "a.example")]),
            (false, &[("origin", "null"), ("host", "a.example")]),
            (false, &[("host", "a.example")]),
        ] {
            assert_eq!(comes_from_our_page(&headers(pairs), &uri), expected, "{pairs:?}");
        }
    }

    #[test]
    fn loopback_names_are_recognised_with_and_without_a_port() {
        let uri = Uri::from_static("/");
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "a.localhost:1"] {
            assert!(is_loopback(&headers(&[("host", host)]), &uri), "{host}");
        }
        for host in ["shop.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.168.1.2"] {
            assert!(!is_loopback(&headers(&[("host", host)]), &uri), "{host}");
        }
    }
}
