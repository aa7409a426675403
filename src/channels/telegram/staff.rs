//! Staff in a Telegram group: one topic a conversation. What a shopper writes is shown in its topic, and what a member
//! writes there reaches the shopper. `/close`, `/bot` and `/take` do what they say; `/note` or `//` is for colleagues.
//!
//! What comes in has its effect in one transaction that also notes the update. What goes out is read from the transcript
//! itself, from the last message that the topic shows on: an answer of Telegram's that never came may show it again,
//! and nothing is lost.

mod show;
mod words;

use std::sync::Arc;

use chrono::Utc;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use teloxide_core::{payloads::AnswerCallbackQuery, types::CallbackQueryId};

use self::words::{Command, read_command};
use super::api::{Api, CALL_TIMEOUT};
use crate::{
    conversation::Staff,
    desk::{Deed, Desk},
    live::LiveHub,
    storage::{Acted, StorageError, Store},
};

/// Begins the data of the topic's buttons.
const BUTTON: &str = "staff:";

/// The staff's group of one bot.
pub(super) struct StaffGroup {
    api: Arc<Api>,
    bot_id: i64,
    group: i64,
    store: Store,
    desk: Desk,
    live: LiveHub,
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
    sender_chat: Option<RawChat>,
    message_thread_id: Option<i64>,
    text: Option<String>,
    caption: Option<String>,
    photo: Option<IgnoredAny>,
    document: Option<IgnoredAny>,
    voice: Option<IgnoredAny>,
    video: Option<IgnoredAny>,
    sticker: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawChat {
    id: i64,
}

#[derive(Deserialize)]
struct RawUser {
    id: i64,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    first_name: String,
}

#[derive(Deserialize)]
struct RawButton {
    id: String,
    from: RawUser,
    message: Option<RawMessage>,
    data: Option<String>,
}

impl StaffGroup {
    pub(super) fn new(api: Arc<Api>, bot_id: i64, group: i64, store: Store, desk: Desk, live: LiveHub) -> Self {
        Self { api, bot_id, group, store, desk, live }
    }

    /// Takes in an update of the group; `false` when it belongs elsewhere. Its effect is durable then.
    pub(super) async fn take_in(&self, update: &Value, update_id: i64) -> Result<bool, StorageError> {
        let Ok(update) = RawUpdate::deserialize(update) else { return Ok(false) };
        let key = format!("{}:{update_id}", self.bot_id);
        match update {
            RawUpdate { message: Some(message), .. } if message.chat.id == self.group => {
                self.hear(&message, &key).await?;
                Ok(true)
            }
            RawUpdate { callback_query: Some(button), .. }
                if button.message.as_ref().is_some_and(|message| message.chat.id == self.group) =>
            {
                self.press(&button, &key).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// A member wrote. Only what stands in the topic of a conversation is for the bot.
    async fn hear(&self, message: &RawMessage, key: &str) -> Result<(), StorageError> {
        let (Some(staff), Some(topic)) = (self.writer(message), message.message_thread_id) else { return Ok(()) };
        let Some(conversation) = self.store.conversation_of_topic(self.group, topic).await? else { return Ok(()) };
        let language = self.desk.language();
        let post = async |text: &str| self.store.post_to_topic(key, self.group, topic, text, Utc::now()).await;
        let has_picture = [&message.photo, &message.document, &message.voice, &message.video, &message.sticker];
        if has_picture.iter().any(|part| part.is_some()) {
            return post(words::only_text(language)).await;
        }
        let Some(text) = message.text.as_ref().or(message.caption.as_ref()) else { return Ok(()) };
        match read_command(text) {
            Command::Deed(deed) => self.perform(conversation, topic, &staff, &deed, key).await,
            Command::Unknown => post(words::help(language)).await,
        }
    }

    /// A member pressed a button of a topic.
    async fn press(&self, button: &RawButton, key: &str) -> Result<(), StorageError> {
        self.stop_spinner(&button.id);
        let Some((name, conversation)) = button.data.as_deref().and_then(read_button) else { return Ok(()) };
        let topic = button.message.as_ref().and_then(|message| message.message_thread_id);
        let (Some(topic), Command::Deed(deed)) = (topic, read_command(name)) else { return Ok(()) };
        let staff = Staff::new("telegram", button.from.id, button.from.first_name.clone());
        self.perform(conversation, topic, &staff, &deed, key).await
    }

    /// Who wrote: a member, or the group itself for administrators who do not show who they are.
    fn writer(&self, message: &RawMessage) -> Option<Staff> {
        let from = message.from.as_ref()?;
        if message.sender_chat.as_ref().is_some_and(|chat| chat.id == self.group) {
            return Some(Staff::new("telegram", self.group, words::team(self.desk.language())));
        }
        (!from.is_bot).then(|| Staff::new("telegram", from.id, from.first_name.clone()))
    }

    async fn perform(
        &self,
        conversation: i64,
        topic: i64,
        staff: &Staff,
        deed: &Deed,
        key: &str,
    ) -> Result<(), StorageError> {
        let (at, language) = (Utc::now(), self.desk.language());
        let said = match self.desk.perform(conversation, staff, deed, language, Some(key), at).await? {
            Acted::Done(_) => return Ok(()),
            Acted::Unchanged => words::unchanged(language).to_owned(),
            Acted::Locked(holder) => words::locked(&holder, at, language),
            Acted::Missing => words::missing(language).to_owned(),
        };
        // A repeated update finds its key and says nothing.
        self.store.post_to_topic(key, self.group, topic, &said, at).await
    }

    fn stop_spinner(&self, query_id: &str) {
        let (api, answer) = (Arc::clone(&self.api), AnswerCallbackQuery::new(CallbackQueryId(query_id.to_owned())));
        tokio::spawn(async move {
            if let Err(failure) = api.call::<_, IgnoredAny>(&answer, CALL_TIMEOUT).await {
                tracing::debug!(%failure, "a button of staff was not answered");
            }
        });
    }
}

/// Command and conversation of a topic's button.
fn read_button(data: &str) -> Option<(&str, i64)> {
    let (conversation, command) = data.strip_prefix(BUTTON)?.split_once(':')?;
    Some((command, conversation.parse().ok()?))
}
