//! Files that browsers load: the widget's script and style, the demo page's style, product pictures.

use std::{fmt::Write as _, path::Path, sync::LazyLock};

use axum::{
    extract::{Path as UrlPath, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::WidgetState;
use crate::{
    channels::pictures::{find_picture, is_web_address, plain_path},
    config::{Colour, Side, WidgetSettings},
    message::Language,
};

const WIDGET_STYLE: &str = include_str!("assets/widget.css");
const DEMO_STYLE: &str = include_str!("assets/demo.css");

/// The parts of the widget's script, in the order in which they build on one another.
const SCRIPT_PARTS: [&str; 8] = [
    include_str!("assets/texts.js"),
    include_str!("assets/settings.js"),
    include_str!("assets/memory.js"),
    include_str!("assets/connection.js"),
    include_str!("assets/parts.js"),
    include_str!("assets/panel.js"),
    include_str!("assets/preview.js"),
    include_str!("assets/chat.js"),
];

/// The script's parts after its settings.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let style = serde_json::Value::from(WIDGET_STYLE);
    format!("const STYLE = {style};\n{}", SCRIPT_PARTS.join("\n"))
});

/// What the script has to know before it shows anything.
#[derive(Serialize)]
struct Looks<'a> {
    colour: Colour,
    position: Side,
    languages: &'a [Language],
}

/// The script with its style and the merchant's settings inside: one request, and the widget never shows up unstyled or in
/// another colour first.
fn script(settings: &WidgetSettings) -> Asset {
    let WidgetSettings { colour, position, languages, .. } = settings;
    let looks = json!(Looks { colour: *colour, position: *position, languages });
    let text = format!("(() => {{\n\"use strict\";\nconst SETTINGS = {looks};\n{}}})();\n", *SCRIPT);
    Asset::new("text/javascript; charset=utf-8", text)
}

static WIDGET_STYLE_FILE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/css; charset=utf-8", WIDGET_STYLE.into()));
static DEMO_STYLE_FILE: LazyLock<Asset> = LazyLock::new(|| Asset::new("text/css; charset=utf-8", DEMO_STYLE.into()));

struct Asset {
    content_type: HeaderValue,
    etag: HeaderValue,
    text: String,
}

impl Asset {
    fn new(content_type: &'static str, text: String) -> Self {
        let digest = hex::encode(&Sha256::digest(text.as_bytes())[..8]);
        let etag = HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
        Self { content_type: HeaderValue::from_static(content_type), etag, text }
    }

    fn respond(&self, request: &HeaderMap) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.content_type.clone()),
            (header::ETAG, self.etag.clone()),
            // Asked for again each time, answered with "not modified" most times: an update reaches every page at once.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
        ];
        if request.get(header::IF_NONE_MATCH) == Some(&self.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.text.clone()).into_response()
    }
}

pub(super) async fn widget_script(State(state): State<WidgetState>, headers: HeaderMap) -> Response {
    script(&state.settings().await).respond(&headers)
}

pub(super) async fn widget_style(headers: HeaderMap) -> Response {
    WIDGET_STYLE_FILE.respond(&headers)
}

pub(super) async fn demo_style(headers: HeaderMap) -> Response {
    DEMO_STYLE_FILE.respond(&headers)
}

/// `GET /media/...`: pictures of the data directory's `media`, and nothing else.
pub(super) async fn media(State(state): State<WidgetState>, UrlPath(path): UrlPath<String>) -> Response {
    let picture = async {
        let content_type = picture_type(&path)?;
        let file = find_picture(&state.media_dir, &path).await?;
        Some((content_type, tokio::fs::read(file).await.ok()?))
    };
    let Some((content_type, bytes)) = picture.await else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
        // A drawing (SVG) opened by itself must not run anything.
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        ),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
    ];
    (headers, bytes).into_response()
}

/// Whether a picture that the catalogue names can be shown.
pub(super) async fn picture_exists(media_dir: &Path, image: &str) -> bool {
    is_web_address(image) || (picture_type(image).is_some() && find_picture(media_dir, image).await.is_some())
}

/// Where a browser finds a picture: a web address stays as it is, a file is served under `/media`. `None` when the
/// name is neither.
pub(super) fn media_address(image: &str) -> Option<String> {
    if is_web_address(image) {
        return Some(image.to_owned());
    }
    plain_path(image)?;
    let mut address = String::from("/media/");
    for byte in image.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    Some(address)
}

fn picture_type(path: &str) -> Option<&'static str> {
    let extension = path.rsplit_once('.')?.1.to_ascii_lowercase();
    match extension.as_str() {
        "jpg" | "jpeg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        "webp" => Some("image/webp"),
        "gif" => Some("image/gif"),
        "avif" => Some("image/avif"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_web_address_or_a_file_below_media() {
        assert_eq!(media_address("https://cdn.example/a.jpg").unwrap(), "https://cdn.example/a.jpg");
        assert_eq!(media_address("img/a b.jpg").unwrap(), "/media/img/a%20b.jpg");
        for bad in ["javascript:alert(1)", "../shoptalk.db", "/etc/passwd", "img/../../a.jpg", ".env", "", "C:\\a.jpg"]
        {
            assert_eq!(media_address(bad), None, "{bad}");
        }
    }
}
