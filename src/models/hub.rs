//! Fetching from the model hub. `hf-hub` knows the addresses, the token and the local hub cache (`HF_ENDPOINT`,
//! `HF_HOME`); the transfer is our own, because it must give up at once when the hub cannot be reached and resume
//! a half file.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::StreamExt;
use hf_hub::{Cache, Repo, api::tokio::ApiBuilder};
use reqwest::{Client, Response, StatusCode, Url, header, redirect};

use super::{
    ModelsError, Notices,
    files::{StoredFile, accept, part_of},
    manifest::{HubFile, HubSource},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence within a transfer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: usize = 5;
/// Attempts at one file, as long as each brings it forward.
const ATTEMPTS_MAX: usize = 5;

/// Where the hub and its local cache are.
#[derive(Debug, Clone)]
pub struct HubAccess {
    endpoint: Option<String>,
    cache: Option<PathBuf>,
}

impl HubAccess {
    /// As the environment says: `HF_ENDPOINT`, `HF_HOME`.
    pub fn from_environment() -> Self {
        Self { endpoint: None, cache: None }
    }

    /// A hub at `endpoint` with its local cache in `cache`.
    pub fn at(endpoint: impl Into<String>, cache: impl Into<PathBuf>) -> Self {
        Self { endpoint: Some(endpoint.into()), cache: Some(cache.into()) }
    }

    fn cache(&self) -> Cache {
        self.cache.clone().map_or_else(Cache::from_env, Cache::new)
    }

    fn url(&self, source: &HubSource, file: &HubFile) -> Result<Url, HubError> {
        let mut builder = ApiBuilder::from_env();
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let api = builder.build().map_err(|error| HubError::Unavailable(format!("hub not usable: {error}")))?;
        let url = api.model(source.repository.clone()).url(&file.path);
        Url::parse(&url).map_err(|error| HubError::Unavailable(format!("hub address {url:?} is wrong: {error}")))
    }
}

/// Why the hub gave no file: another source may be tried, or not.
#[derive(Debug)]
pub(crate) enum HubError {
    /// One line for a person.
    Unavailable(String),
    Fatal(ModelsError),
}

impl From<ModelsError> for HubError {
    fn from(error: ModelsError) -> Self {
        Self::Fatal(error)
    }
}

/// Puts the file into `dir` and returns its record.
pub(crate) async fn fetch(
    access: &HubAccess,
    source: &HubSource,
    file: &HubFile,
    dir: &Path,
    notices: &Notices,
) -> Result<StoredFile, HubError> {
    let path = dir.join(file.file_name());
    let part = part_of(&path);
    let cached = access.cache().repo(Repo::model(source.repository.clone())).get(&file.path);
    let stated = match cached {
        Some(cached) => {
            link_or_copy(&cached, &part)?;
            None
        }
        None => download(access, source, file, &part, notices).await?,
    };
    let expected = file.sha256.clone().or(stated);
    let name = file.file_name().to_owned();
    let stored = tokio::task::spawn_blocking(move || {
        let sha256 = accept(&part, &path, expected.as_deref())?;
        StoredFile::of(&path, &name, sha256)
    });
    Ok(stored.await.map_err(|error| ModelsError::Task(error.to_string()))??)
}

/// The hub's cache links to its blobs; a hard link shares the bytes where both lie on one disk.
fn link_or_copy(cached: &Path, part: &Path) -> Result<(), ModelsError> {
    let real = fs::canonicalize(cached).map_err(|error| ModelsError::io(cached, error))?;
    if part.exists() {
        fs::remove_file(part).map_err(|error| ModelsError::io(part, error))?;
    }
    if fs::hard_link(&real, part).is_err() {
        fs::copy(&real, part).map_err(|error| ModelsError::io(part, error))?;
    }
    Ok(())
}

/// Downloads into `part`, going on where an earlier attempt ended. Returns the SHA-256 that the hub states.
async fn download(
    access: &HubAccess,
    source: &HubSource,
    file: &HubFile,
    part: &Path,
    notices: &Notices,
) -> Result<Option<String>, HubError> {
    let url = access.url(source, file)?;
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| HubError::Unavailable(format!("hub not usable: {error}")))?;
    let token = access.cache().token();
    for _ in 0..ATTEMPTS_MAX {
        let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
        let answer = request(&client, &url, token.as_deref(), have).await?;
        let is_checkable = file.sha256.is_some() || answer.sha256.is_some();
        if have > 0 && (!is_checkable || answer.response.status() == StatusCode::RANGE_NOT_SATISFIABLE) {
            if is_checkable && answer.total == Some(have) {
                return Ok(answer.sha256);
            }
            // Nothing would tell whether the two halves belong together.
            fs::remove_file(part).map_err(|error| ModelsError::io(part, error))?;
            continue;
        }
        let status = answer.response.status();
        if !status.is_success() {
            return Err(HubError::Unavailable(format!("the hub answered {status} for {}", file.path)));
        }
        match receive(answer, part, have, file, notices).await? {
            Received::Complete(sha256) => return Ok(sha256),
            Received::Broken => {
                if fs::metadata(part).map_or(0, |metadata| metadata.len()) <= have {
                    break;
                }
            }
        }
    }
    Err(HubError::Unavailable(format!("the hub broke off while sending {}; the half file is kept", file.path)))
}

/// An answer and what its headers, or those of a redirect before it, say about the file.
struct Answer {
    response: Response,
    sha256: Option<String>,
    /// Length of the whole file in bytes.
    total: Option<u64>,
}

/// Asks for the file from byte `from` on. Follows redirects by hand: the first answer names the checksum, and the
/// token goes to the hub only.
async fn request(client: &Client, url: &Url, token: Option<&str>, from: u64) -> Result<Answer, HubError> {
    let unreachable = |error: reqwest::Error| {
        let reason = if error.is_connect() || error.is_timeout() { "not reachable" } else { "broke the connection" };
        HubError::Unavailable(format!("hub {reason}"))
    };
    let mut target = url.clone();
    let mut sha256 = None;
    for _ in 0..=REDIRECTS_MAX {
        let mut request = client.get(target.clone());
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = token.filter(|_| target.origin() == url.origin()) {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(unreachable)?;
        sha256 = sha256.or_else(|| stated_sha256(&response));
        let location = response.headers().get(header::LOCATION).filter(|_| response.status().is_redirection());
        let Some(location) = location else {
            let total = total_bytes(&response);
            return Ok(Answer { response, sha256, total });
        };
        let next = location.to_str().ok().and_then(|location| target.join(location).ok());
        target = next.ok_or_else(|| HubError::Unavailable("the hub redirects to nowhere".to_owned()))?;
    }
    Err(HubError::Unavailable("the hub redirects in circles".to_owned()))
}

/// For large files the hub's entity tag is the SHA-256 of the content.
fn stated_sha256(response: &Response) -> Option<String> {
    let tag = response.headers().get("x-linked-etag").or_else(|| response.headers().get(header::ETAG))?;
    let tag = tag.to_str().ok()?.trim_start_matches("W/").trim_matches('"');
    (tag.len() == 64 && tag.chars().all(|c| c.is_ascii_hexdigit())).then(|| tag.to_lowercase())
}

fn total_bytes(response: &Response) -> Option<u64> {
    match response.headers().get(header::CONTENT_RANGE) {
        Some(range) => range.to_str().ok()?.rsplit('/').next()?.parse().ok(),
        None => response.content_length(),
    }
}

enum Received {
    Complete(Option<String>),
    Broken,
}

/// Writes the answer's body behind the `have` bytes of `part`, or from the start when the hub sends the whole file.
async fn receive(
    answer: Answer,
    part: &Path,
    have: u64,
    file: &HubFile,
    notices: &Notices,
) -> Result<Received, ModelsError> {
    let resumes = answer.response.status() == StatusCode::PARTIAL_CONTENT;
    let failed = |error| ModelsError::io(part, error);
    let mut output =
        fs::File::options().create(true).write(true).append(resumes).truncate(!resumes).open(part).map_err(failed)?;
    let mut written = if resumes { have } else { 0 };
    let bar = notices.file(file.file_name(), "the hub", answer.total.unwrap_or(file.bytes));
    bar.set_position(written);
    let mut body = answer.response.bytes_stream();
    while let Some(bytes) = body.next().await {
        let Ok(bytes) = bytes else { return Ok(Received::Broken) };
        // Local writes of some kilobytes: moving each to a blocking thread would cost more than it frees.
        output.write_all(&bytes).map_err(failed)?;
        written += bytes.len() as u64;
        bar.set_position(written);
    }
    bar.finish_and_clear();
    output.sync_all().map_err(failed)?;
    let is_short = answer.total.is_some_and(|total| written < total);
    Ok(if is_short { Received::Broken } else { Received::Complete(answer.sha256) })
}
