//! Pictures on their way to Telegram: an address is named, a file of the shop is uploaded.

use std::path::Path;

use reqwest::multipart::{Form, Part};
use serde_json::Value;

use super::api::{Api, CALL_TIMEOUT, Failure};
use crate::channels::pictures::{find_picture, is_web_address};

/// The name of the uploaded file within the call.
const UPLOAD: &str = "picture";

/// Sends a picture; `parameters` say where to, with which caption and buttons.
pub(super) async fn send(api: &Api, media_dir: &Path, image: &str, mut parameters: Value) -> Result<(), Failure> {
    if is_web_address(image) {
        parameters["photo"] = image.into();
        return api.send("sendPhoto", &parameters, CALL_TIMEOUT).await;
    }
    parameters["photo"] = format!("attach://{UPLOAD}").into();
    let file = upload(media_dir, image).await?;
    api.send_form("sendPhoto", form(&parameters).part(UPLOAD, file)).await
}

/// Changes the picture of a message; `media` has its caption, `parameters` name the message and its buttons.
pub(super) async fn edit(
    api: &Api,
    media_dir: &Path,
    image: &str,
    mut media: Value,
    mut parameters: Value,
) -> Result<(), Failure> {
    if is_web_address(image) {
        media["media"] = image.into();
        parameters["media"] = media;
        return api.send("editMessageMedia", &parameters, CALL_TIMEOUT).await;
    }
    media["media"] = format!("attach://{UPLOAD}").into();
    parameters["media"] = media;
    let file = upload(media_dir, image).await?;
    api.send_form("editMessageMedia", form(&parameters).part(UPLOAD, file)).await
}

/// A file with these words as its content.
pub(super) async fn send_file(
    api: &Api,
    name: &'static str,
    content: String,
    parameters: &Value,
) -> Result<(), Failure> {
    let part = Part::text(content).file_name(name);
    api.send_form("sendDocument", form(parameters).part("document", part)).await
}

async fn upload(media_dir: &Path, image: &str) -> Result<Part, Failure> {
    let gone = || Failure::Refused { code: 400, description: "the picture is not there any more".to_owned() };
    let file = find_picture(media_dir, image).await.ok_or_else(gone)?;
    let bytes = tokio::fs::read(&file).await.map_err(|_| gone())?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Part::bytes(bytes).file_name(name.unwrap_or_else(|| UPLOAD.to_owned())))
}

/// The parameters as fields of a form: words as they are, everything else as JSON.
fn form(parameters: &Value) -> Form {
    let fields = parameters.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    fields.fold(Form::new(), |form, (name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form.text(name.clone(), text)
    })
}
