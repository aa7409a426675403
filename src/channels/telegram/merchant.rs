//! Documents that merchants named in the settings send to the bot: each is fetched, imported as `shoptalk import` does,
//! and answered with what was read, what changed, and a button that puts the version before back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::future::BoxFuture;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use teloxide_core::{
    payloads::{AnswerCallbackQuery, GetFile, SendMessage, SendMessageSetters},
    types::{CallbackQueryId, ChatId, FileId, InlineKeyboardButton, InlineKeyboardMarkup},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    api::{Api, CALL_TIMEOUT, Failure},
    backoff,
    send::{later, no_preview},
    sleep_unless_stopped, unless_stopped_for_long,
};
use crate::{
    message::Language,
    storage::{MerchantFile, MerchantStep, NewMerchantFile, StorageError, Store, Undone},
};

/// Bots may fetch files of up to 20 MB.
const FILE_BYTES_MAX: usize = 20 << 20;
/// Looks for files without being told.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that cannot be fetched is given up after so many tries; an answer is tried longer.
const FETCHES_MAX: i64 = 6;
const TELLS_MAX: i64 = 20;
/// Longest answer, in characters, so that it is one message.
const ANSWER_MAX: usize = 3_500;
/// Notes of the reader that are told.
const NOTES_MAX: usize = 8;
/// Longest name of a file, in characters.
const NAME_MAX: usize = 200;
/// Begins the data of the button.
const UNDO: &str = "undo:";

/// Imports a file: its number among those that merchants sent, its name and its bytes. The error is one sentence for
/// the merchant.
pub type ImportFn = Arc<dyn Fn(i64, String, Vec<u8>) -> BoxFuture<'static, Result<Imported, String>> + Send + Sync>;

/// What was read from a merchant's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What it holds, for example `documents` or `products`.
    pub kind: String,
    /// How much was read, for example `34 passages`.
    pub summary: String,
    /// What was left out and why, one sentence each.
    pub notes: Vec<String>,
    /// What is different from the version before, for documents that changed.
    pub changes: Option<Changes>,
    /// The document's version now, for documents that changed.
    pub version: Option<i64>,
}

/// Passages of a document against the version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// The document is new.
    pub is_new: bool,
    /// New passages.
    pub added: usize,
    /// Passages that are gone.
    pub removed: usize,
    /// The same as before.
    pub unchanged: usize,
}

/// The merchants of one bot.
pub(super) struct Merchants {
    api: Arc<Api>,
    bot_id: i64,
    ids: Vec<i64>,
    store: Store,
    import: ImportFn,
    wake: Notify,
}

#[derive(Deserialize)]
struct RawUpdate {
    message: Option<RawMessage>,
    callback_query: Option<RawButton>,
}

#[derive(Deserialize)]
struct RawMessage {
    chat: RawChat,
    from: Option<RawUser>,
    document: Option<RawDocument>,
}

#[derive(Deserialize)]
struct RawChat {
    id: i64,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct RawUser {
    id: i64,
    language_code: Option<String>,
}

#[derive(Deserialize)]
struct RawDocument {
    #[serde(rename = "file_id")]
    id: String,
    #[serde(rename = "file_name")]
    name: Option<String>,
    #[serde(rename = "file_size")]
    bytes: Option<i64>,
}

#[derive(Deserialize)]
struct RawButton {
    id: String,
    from: RawUser,
    data: Option<String>,
}

#[derive(Deserialize)]
struct RemoteFile {
    file_path: Option<String>,
}

impl Merchants {
    pub(super) fn new(api: Arc<Api>, bot_id: i64, ids: Vec<i64>, store: Store, import: ImportFn) -> Self {
        Self { api, bot_id, ids, store, import, wake: Notify::new() }
    }

    /// Takes in a document or a pressed button of a merchant; `false` for everything else, and for everybody else.
    pub(super) async fn take_in(&self, update: &Value, update_id: i64) -> Result<bool, StorageError> {
        let Ok(update) = RawUpdate::deserialize(update) else { return Ok(false) };
        let (key, at) = (format!("{}:{update_id}", self.bot_id), Utc::now());
        match update {
            RawUpdate { message: Some(RawMessage { chat, from: Some(from), document: Some(document) }), .. }
                if chat.kind == "private" && self.ids.contains(&from.id) =>
            {
                let language = language(&from);
                let name = document.name.as_deref().map(base_name).filter(|name| !name.is_empty());
                let name = name.unwrap_or_else(|| "document.txt".to_owned());
                let bytes = document.bytes.unwrap_or(0);
                let refusal = (bytes > FILE_BYTES_MAX as i64).then(|| too_large(&name, language));
                let (file_id, refusal) = (document.id.as_str(), refusal.as_deref());
                let file = NewMerchantFile { chat: chat.id, language, file_id, name: &name, bytes, refusal };
                self.store.add_merchant_file(&key, &file, at).await?;
            }
            RawUpdate { callback_query: Some(RawButton { id, from, data: Some(data) }), .. }
                if self.ids.contains(&from.id) && data.starts_with(UNDO) =>
            {
                if let Ok(file) = data[UNDO.len()..].parse() {
                    // In a private chat the chat has its user's number.
                    self.store.ask_undo(&key, file, from.id, at).await?;
                }
                self.stop_spinner(id);
            }
            _ => return Ok(false),
        }
        self.wake.notify_one();
        Ok(true)
    }

    fn stop_spinner(&self, query_id: String) {
        let api = Arc::clone(&self.api);
        tokio::spawn(async move {
            let answer = AnswerCallbackQuery::new(CallbackQueryId(query_id));
            if let Err(failure) = api.call::<_, IgnoredAny>(&answer, CALL_TIMEOUT).await {
                tracing::debug!(%failure, "a merchant's button was not answered");
            }
        });
    }

    /// Imports, tells and undoes until `stop`, one file after the other.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.store.next_merchant_file(Utc::now()).await {
                Ok(Some(file)) => {
                    // A file that is being read when the program stops is read again at the next start.
                    if let Some(Err(error)) = unless_stopped_for_long(self.work(&file), stop).await {
                        tracing::error!(file = file.id, %error, "a merchant's file waits for the database");
                        sleep_unless_stopped(LOOK_EVERY, stop).await;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the merchants' files cannot be read"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn work(&self, file: &MerchantFile) -> Result<(), StorageError> {
        match file.step {
            MerchantStep::Import => self.import(file).await,
            MerchantStep::Tell => self.tell(file).await,
            MerchantStep::Undo => {
                let undone = self.store.undo_import(file.id, |undone| undo_answer(undone, file)).await?;
                tracing::info!(file = file.id, ?undone, "a merchant's import was undone");
                Ok(())
            }
        }
    }

    async fn import(&self, file: &MerchantFile) -> Result<(), StorageError> {
        let started = Instant::now();
        let bytes = match self.fetch(file).await {
            Ok(bytes) => bytes,
            Err(failure) => {
                tracing::warn!(file = file.id, %failure, "a merchant's file could not be fetched");
                let hopeless = matches!(failure, Failure::Refused { code: 400, .. });
                if file.attempts + 1 < FETCHES_MAX && !hopeless {
                    return self.again(file, &failure).await;
                }
                let answer = match file.language {
                    Language::En => {
                        format!("✗ {} could not be fetched from Telegram; please send it once more.", file.name)
                    }
                    Language::Zh => format!("✗ 无法从 Telegram 获取 {}，请再发一次。", file.name),
                };
                return self.store.merchant_file_read(file.id, &answer, None).await;
            }
        };
        // In a task of its own, so that a panic in a reader costs one file.
        let imported = tokio::spawn((self.import)(file.id, file.name.clone(), bytes)).await;
        let imported = imported.unwrap_or_else(|error| {
            tracing::error!(file = file.id, %error, "reading a merchant's file failed");
            Err(match file.language {
                Language::En => format!("{} could not be read because of a fault in the program.", file.name),
                Language::Zh => format!("程序出错，无法读取 {}。", file.name),
            })
        });
        tracing::info!(
            file = file.id,
            ok = imported.is_ok(),
            seconds = started.elapsed().as_secs(),
            "a merchant's file was read"
        );
        let (answer, version) = match imported {
            Ok(imported) => (answer(file, &imported), imported.version),
            Err(why) => (format!("✗ {why}"), None),
        };
        self.store.merchant_file_read(file.id, &answer, version).await
    }

    async fn fetch(&self, file: &MerchantFile) -> Result<Vec<u8>, Failure> {
        let remote: RemoteFile = self.api.call(&GetFile::new(FileId(file.file_id.clone())), CALL_TIMEOUT).await?;
        let path = remote.file_path.ok_or(Failure::Garbled)?;
        self.api.download(&path, FILE_BYTES_MAX).await
    }

    async fn tell(&self, file: &MerchantFile) -> Result<(), StorageError> {
        let mut message = SendMessage::new(ChatId(file.chat), &file.answer).link_preview_options(no_preview());
        if file.can_be_undone {
            let text = match file.language {
                Language::En => "Undo",
                Language::Zh => "撤销",
            };
            let button = InlineKeyboardButton::callback(text, format!("{UNDO}{}", file.id));
            message.reply_markup = Some(InlineKeyboardMarkup::new([[button]]).into());
        }
        match self.api.call::<_, IgnoredAny>(&message, CALL_TIMEOUT).await {
            // The status said yes: the message is there, whatever became of the rest of the answer.
            Ok(_) | Err(Failure::Garbled) => self.store.merchant_told(file.id).await,
            Err(failure) => {
                tracing::warn!(file = file.id, %failure, "a merchant could not be told");
                self.again(file, &failure).await
            }
        }
    }

    async fn again(&self, file: &MerchantFile, failure: &Failure) -> Result<(), StorageError> {
        let attempts = u32::try_from(file.attempts).unwrap_or(u32::MAX);
        let wait = failure.retry_after().unwrap_or_else(|| backoff(attempts));
        let hopeless = matches!(failure, Failure::Refused { code: 400 | 403, .. }) || file.attempts >= TELLS_MAX;
        self.store.merchant_file_failed(file.id, (!hopeless).then(|| later(wait))).await
    }
}

fn language(user: &RawUser) -> Language {
    user.language_code.as_deref().and_then(Language::from_tag).unwrap_or_default()
}

/// The last part of a name, without control characters.
fn base_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect::<String>().trim().to_owned()
}

fn too_large(name: &str, language: Language) -> String {
    let mb = FILE_BYTES_MAX >> 20;
    match language {
        Language::En => format!("✗ {name} is larger than {mb} MB, which bots cannot fetch; upload it in the console."),
        Language::Zh => format!("✗ {name} 超过 {mb} MB，机器人无法获取；请在控制台上传。"),
    }
}

/// What was read and what changed.
fn answer(file: &MerchantFile, imported: &Imported) -> String {
    let mut lines = vec![format!("✓ {}: {}", file.name, imported.summary)];
    lines.extend(imported.changes.map(|changes| changes_line(changes, file.language)));
    lines.extend(imported.notes.iter().take(NOTES_MAX).map(|note| format!("– {note}")));
    let more = imported.notes.len().saturating_sub(NOTES_MAX);
    if more > 0 {
        lines.push(match file.language {
            Language::En => format!("– and {more} more notes; the console shows all of them"),
            Language::Zh => format!("– 还有 {more} 条说明，可在控制台查看"),
        });
    }
    lines.join("\n").chars().take(ANSWER_MAX).collect()
}

fn changes_line(changes: Changes, language: Language) -> String {
    let Changes { is_new, added, removed, unchanged } = changes;
    match (is_new, language) {
        (true, Language::En) => "A new document; the bot answers from it now.".to_owned(),
        (true, Language::Zh) => "新资料，机器人现在会据此回答。".to_owned(),
        (false, Language::En) => {
            format!("Against the version before: {added} passages added, {removed} removed, {unchanged} unchanged.")
        }
        (false, Language::Zh) => format!("与上一版本相比：新增 {added} 段，删除 {removed} 段，未变 {unchanged} 段。"),
    }
}

fn undo_answer(undone: Undone, file: &MerchantFile) -> String {
    let name = &file.name;
    match (undone, file.language) {
        (Undone::Restored, Language::En) => format!("✓ {name} is again as it was before."),
        (Undone::Restored, Language::Zh) => format!("✓ {name} 已恢复到上一版本。"),
        (Undone::Removed, Language::En) => format!("✓ {name} is gone; there was no version before."),
        (Undone::Removed, Language::Zh) => format!("✓ {name} 已删除，之前没有旧版本。"),
        (Undone::TooLate, Language::En) => {
            format!("✗ {name} has been changed since, so nothing was undone; send the version that you want.")
        }
        (Undone::TooLate, Language::Zh) => format!("✗ {name} 之后又有改动，没有撤销；请发送您需要的版本。"),
    }
}
