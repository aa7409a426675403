//! What pressing a button does at once: it stops spinning, it is marked, a card turns to the next product, a quote opens.
//! Whatever must last (words, a rating) was made durable before.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use super::{
    api::{Api, CALL_TIMEOUT, Failure},
    buttons::{self, Action},
    cards::{self, Card},
    parse::{Press, Pressed},
    photo,
    split::units,
};
use crate::{
    message::{Channel, Citation, Language, Reply},
    storage::{StorageError, Store, StoredMessage},
};

/// Longest notice of `answerCallbackQuery`, in UTF-16 code units.
const NOTICE_UNITS_MAX: usize = 200;
const MESSAGE_UNITS_MAX: usize = 4096;

/// Acts on pressed buttons. Cheap to clone.
#[derive(Clone)]
pub(super) struct Presses {
    pub(super) api: Arc<Api>,
    pub(super) store: Store,
    pub(super) media_dir: PathBuf,
}

impl Presses {
    /// Keeps what a rating said; anything else has nothing to keep.
    pub(super) async fn keep(&self, press: &Press) -> Result<(), StorageError> {
        if let Action::Rate { reply, good } = press.action {
            self.store.rate(Channel::Telegram, &press.chat.1, reply, good).await?;
        }
        Ok(())
    }

    /// Acts. Nothing depends on it, so nobody waits for it.
    pub(super) fn act(&self, press: Box<Press>) {
        let this = self.clone();
        tokio::spawn(async move {
            if let Err(failure) = this.acted(&press).await {
                tracing::debug!(%failure, "a pressed button was not acted upon");
            }
        });
    }

    async fn acted(&self, press: &Press) -> Result<(), Failure> {
        match press.action {
            Action::Say(_) | Action::SayLabel => {
                self.stop_spinning(press, json!({})).await?;
                self.mark(press).await
            }
            Action::Rate { reply, .. } => {
                let thanks = match self.language(press, reply).await {
                    Language::En => "Thank you!",
                    Language::Zh => "谢谢您的评价！",
                };
                self.stop_spinning(press, json!({"text": thanks})).await?;
                self.mark(press).await
            }
            Action::Flip { reply, index } => {
                self.stop_spinning(press, json!({})).await?;
                match self.reply(press, reply).await {
                    Some((message, reply)) => self.flip(press, &message, &reply, index).await,
                    None => Ok(()),
                }
            }
            Action::Quote { reply, index } => match self.reply(press, reply).await {
                Some((_, Reply { citations, .. })) if index < citations.len() => {
                    self.open_quote(press, &citations[index]).await
                }
                _ => self.stop_spinning(press, json!({})).await,
            },
            Action::Nothing => self.stop_spinning(press, json!({})).await,
        }
    }

    /// A pressed button shows that it waits until it is answered.
    async fn stop_spinning(&self, press: &Press, mut answer: Value) -> Result<(), Failure> {
        answer["callback_query_id"] = press.query_id.clone().into();
        self.api.send("answerCallbackQuery", &answer, CALL_TIMEOUT).await
    }

    async fn mark(&self, press: &Press) -> Result<(), Failure> {
        let Some(Pressed { message_id, keyboard: Some(keyboard), .. }) = &press.on else { return Ok(()) };
        let Some(marked) = buttons::marked(keyboard, &press.data) else { return Ok(()) };
        let edit = json!({"chat_id": press.chat.0, "message_id": message_id, "reply_markup": marked});
        self.api.send("editMessageReplyMarkup", &edit, CALL_TIMEOUT).await
    }

    /// The reply that a button belongs to, when it stands in the button's own chat.
    async fn reply(&self, press: &Press, id: i64) -> Option<(StoredMessage, Reply)> {
        let found = self.store.message_in_chat(Channel::Telegram, &press.chat.1, id).await;
        let message = found.inspect_err(|error| tracing::error!(%error, "a reply cannot be read")).ok()??;
        let reply = message.reply.clone()?;
        Some((message, reply))
    }

    async fn language(&self, press: &Press, id: i64) -> Language {
        if let Some((_, reply)) = self.reply(press, id).await {
            return reply.language;
        }
        // Below words of staff, which have no language of their own.
        let conversation = self.store.conversation(Channel::Telegram, &press.chat.1).await.ok().flatten();
        conversation.map_or_else(Language::default, |conversation| conversation.language)
    }

    async fn flip(&self, press: &Press, message: &StoredMessage, reply: &Reply, index: usize) -> Result<(), Failure> {
        let Some(on) = &press.on else { return Ok(()) };
        // What the message is decides, not what it would be if it were sent today.
        let pictured = on.text.is_none();
        let Some(Card { image, text }) = cards::card(message, reply, index, pictured) else { return Ok(()) };
        let keyboard = buttons::flipped(on.keyboard.as_ref(), message.id, index, reply.products.len());
        let mut edit = json!({"chat_id": press.chat.0, "message_id": on.message_id, "reply_markup": keyboard});
        if let Some(image) = image {
            let media = json!({"type": "photo", "caption": text});
            return photo::edit(&self.api, &self.media_dir, &image, media, edit).await;
        }
        edit["text"] = text.into();
        edit["link_preview_options"] = json!({"is_disabled": true});
        self.api.send("editMessageText", &edit, CALL_TIMEOUT).await
    }

    /// A short quote is shown over the chat; a longer one unfolds below the answer.
    async fn open_quote(&self, press: &Press, citation: &Citation) -> Result<(), Failure> {
        let place = match citation.heading.rsplit(" › ").next().unwrap_or_default() {
            "" => citation.document.clone(),
            heading => format!("{} · {heading}", citation.document),
        };
        let quote = format!("“{}”\n{place}", citation.quote.trim());
        if units(&quote) <= NOTICE_UNITS_MAX {
            return self.stop_spinning(press, json!({"text": quote, "show_alert": true})).await;
        }
        let on = press.on.as_ref().and_then(|on| Some((on, on.text.as_ref()?, on.keyboard.as_ref()?)));
        let fits = |text: &str| units(text) + 2 + units(&quote) <= MESSAGE_UNITS_MAX;
        let Some((on, text, keyboard)) = on.filter(|(_, text, _)| fits(text)) else {
            let start: String = quote.chars().take(NOTICE_UNITS_MAX / 2 - 1).chain(['…']).collect();
            return self.stop_spinning(press, json!({"text": start, "show_alert": true})).await;
        };
        self.stop_spinning(press, json!({})).await?;
        let edit = json!({
            "chat_id": press.chat.0,
            "message_id": on.message_id,
            "text": format!("{text}\n\n{quote}"),
            "entities": [{"type": "expandable_blockquote", "offset": units(text) + 2, "length": units(&quote)}],
            "link_preview_options": {"is_disabled": true},
            "reply_markup": buttons::marked(keyboard, &press.data),
        });
        self.api.send("editMessageText", &edit, CALL_TIMEOUT).await
    }
}
