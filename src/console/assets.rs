//! The console's own style, script and icon, compiled into the program.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::frame::{PageError, PageResult};

const STYLE: &str = include_str!("static/console.css");
const SCRIPT: &str = include_str!("static/console.js");
const ICON: &str = include_str!("static/icon.svg");

/// Address of the style; it changes with the content, so that browsers may keep the file.
pub(super) fn style_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| versioned("console.css", STYLE));
    &PATH
}

/// Address of the script.
pub(super) fn script_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| versioned("console.js", SCRIPT));
    &PATH
}

fn versioned(file: &str, content: &str) -> String {
    format!("/console/static/{file}?v={}", hex::encode(&Sha256::digest(content)[..6]))
}

/// One of the files.
pub(super) async fn serve(Path(file): Path<String>) -> PageResult<Response> {
    let (kind, content) = match file.as_str() {
        "console.css" => ("text/css; charset=utf-8", STYLE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return Err(PageError::NotFound),
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=86400")], content).into_response())
}
