//! Which web pages may talk to the widget's API (CORS). No cookie is involved, so an origin can never act for a shopper
//! whose secret it does not hold; the list keeps other sites from using the shop's bot as their own.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::wire::ApiError;

/// The origins that may embed the widget.
#[derive(Clone)]
pub(super) struct OriginRules {
    /// Lower case, without a slash at the end; empty: any.
    allowed: Arc<[String]>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Not from another page: nothing to say.
    SameOrigin,
    /// May read the answer.
    Allowed(HeaderValue),
    /// May not ask.
    Refused,
}

impl OriginRules {
    pub(super) fn new(origins: &[String]) -> Self {
        Self { allowed: origins.iter().map(|origin| normal(origin)).filter(|origin| !origin.is_empty()).collect() }
    }

    fn judge(&self, headers: &HeaderMap) -> Verdict {
        let Some(origin) = headers.get(header::ORIGIN) else { return Verdict::SameOrigin };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let text = origin.to_str().map(normal).unwrap_or_default();
        // A proxy in front may speak another scheme with the browser, so only host and port are compared.
        if host.is_some_and(|host| text.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host))) {
            return Verdict::SameOrigin;
        }
        match &*self.allowed {
            [] => Verdict::Allowed(HeaderValue::from_static("*")),
            allowed if allowed.contains(&text) => Verdict::Allowed(origin.clone()),
            _ => Verdict::Refused,
        }
    }
}

fn normal(origin: &str) -> String {
    origin.trim().trim_end_matches('/').to_ascii_lowercase()
}

/// Refuses other origins than the allowed ones and answers their browsers' questions before a request.
pub(super) async fn cross_origin(State(rules): State<OriginRules>, request: Request, next: Next) -> Response {
    let verdict = rules.judge(request.headers());
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match verdict {
        Verdict::Refused => ApiError::Origin.into_response(),
        _ if preflight => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Verdict::Allowed(origin) = verdict {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        if preflight {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
            let sent = HeaderValue::from_static("content-type, last-event-id, x-shoptalk-visitor");
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, sent);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(allowed: &[&str], origin: Option<&str>) -> Verdict {
        let rules = OriginRules::new(&allowed.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>());
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("chat.example:8080"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        rules.judge(&headers)
    }

    #[test]
    fn the_list_decides_who_may_embed() {
        let list = ["https://Shop.example/"];
        let allowed = |origin: &'static str| Verdict::Allowed(HeaderValue::from_static(origin));
        assert_eq!(judge(&list, Some("https://shop.example")), allowed("https://shop.example"));
        assert_eq!(judge(&list, Some("https://shop.example.evil.example")), Verdict::Refused);
        assert_eq!(judge(&list, Some("http://shop.example")), Verdict::Refused);
        assert_eq!(judge(&list, Some("null")), Verdict::Refused);
        assert_eq!(judge(&list, Some("https://chat.example:8080")), Verdict::SameOrigin);
        assert_eq!(judge(&list, None), Verdict::SameOrigin);
        assert_eq!(judge(&[], Some("https://any.example")), allowed("*"));
    }
}
