//! From an update of the Bot API to what a shopper said.
//!
//! Only the few fields that matter are read: a field or a kind of message that Telegram adds tomorrow must not cost a
//! shopper's words.

use serde::Deserialize;
use serde_json::Value;

use super::{conversation_key, render::BUTTON_TEXT_PREFIX};
use crate::message::{Channel, Inbound, Language, Timestamp};

/// What an update means.
#[derive(Debug, PartialEq)]
pub(super) enum Update {
    /// A shopper wrote.
    Message(Inbound),
    /// A shopper pressed a button, which says its text.
    Button {
        /// The button's text as a message.
        inbound: Inbound,
        /// For `answerCallbackQuery`.
        query_id: String,
    },
    /// Nothing that the bot answers, and why.
    Ignored(&'static str),
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
    text: Option<String>,
    caption: Option<String>,
    media_group_id: Option<String>,
    reply_markup: Option<RawKeyboard>,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
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
struct RawKeyboard {
    #[serde(default)]
    inline_keyboard: Vec<Vec<RawKey>>,
}

#[derive(Deserialize)]
struct RawKey {
    text: String,
    callback_data: Option<String>,
}

#[derive(Deserialize)]
struct RawButton {
    id: String,
    from: RawUser,
    message: Option<RawMessage>,
    data: Option<String>,
}

/// Messages in which a shopper said something without words; the rest are notices such as "message pinned".
const WORDLESS: [&str; 16] = [
    "animation",
    "audio",
    "checklist",
    "contact",
    "dice",
    "document",
    "game",
    "location",
    "paid_media",
    "photo",
    "poll",
    "sticker",
    "venue",
    "video",
    "video_note",
    "voice",
];

/// The update's number; `None` when it has none.
pub(super) fn update_id(update: &Value) -> Option<i64> {
    update.get("update_id")?.as_i64()
}

/// Reads an update for the bot `bot_id`.
pub(super) fn parse(update: &Value, update_id: i64, bot_id: i64, received_at: Timestamp) -> Update {
    let inbound = |chat_id, from: Option<&RawUser>, update_id, text| Inbound {
        channel: Channel::Telegram,
        chat: conversation_key(bot_id, chat_id),
        update_id,
        text,
        customer: None,
        language_hint: from.and_then(|user| Language::from_tag(user.language_code.as_deref()?)),
        received_at,
        attachments: Vec::new(),
        origin: crate::message::Origin::default(),
    };
    match RawUpdate::deserialize(update) {
        Err(_) => Update::Ignored("it cannot be read"),
        Ok(RawUpdate { message: Some(message), .. }) if message.chat.kind != "private" => {
            Update::Ignored("the chat is not private")
        }
        Ok(RawUpdate { message: Some(message), .. }) => match words(&message) {
            None => Update::Ignored("it is a notice"),
            Some(text) => {
                let key = inbox_key(&message, &text, update_id);
                Update::Message(inbound(message.chat.id, message.from.as_ref(), key, text))
            }
        },
        Ok(RawUpdate { callback_query: Some(button), .. }) => {
            // An old message may be gone; a private chat has the number of its user.
            let chat_id = button.message.as_ref().map_or(button.from.id, |message| message.chat.id);
            if button.message.as_ref().is_some_and(|message| message.chat.kind != "private") {
                return Update::Ignored("the chat is not private");
            }
            let text = pressed_text(&button);
            Update::Button {
                inbound: inbound(chat_id, Some(&button.from), update_id.to_string(), text),
                query_id: button.id,
            }
        }
        Ok(_) => Update::Ignored("its kind is not known"),
    }
}

/// The words of a message, empty for one without; `None` for a notice.
fn words(message: &RawMessage) -> Option<String> {
    let said = message.text.as_ref().or(message.caption.as_ref());
    said.cloned().or_else(|| WORDLESS.iter().any(|kind| message.other.contains_key(*kind)).then(String::new))
}

/// An album arrives as one update for each picture; those without words share a key, so that the shopper is asked to
/// use words once and not ten times.
fn inbox_key(message: &RawMessage, text: &str, update_id: i64) -> String {
    match &message.media_group_id {
        Some(album) if text.is_empty() => format!("album {album}"),
        _ => update_id.to_string(),
    }
}

/// What a pressed button says: its data holds the text when that is short, else the keyboard shows it.
fn pressed_text(button: &RawButton) -> String {
    let Some(data) = &button.data else { return String::new() };
    if let Some(text) = data.strip_prefix(BUTTON_TEXT_PREFIX) {
        return text.to_owned();
    }
    let keyboard = button.message.as_ref().and_then(|message| message.reply_markup.as_ref());
    let mut keys = keyboard.iter().flat_map(|keyboard| keyboard.inline_keyboard.iter().flatten());
    keys.find(|key| key.callback_data.as_ref() == Some(data)).map_or_else(String::new, |key| key.text.clone())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    fn read(update: &Value) -> Update {
        parse(update, 5, 7, DateTime::UNIX_EPOCH)
    }

    fn message(fields: &Value) -> Value {
        let mut message = json!({"message_id": 1, "date": 0, "chat": {"id": 42, "type": "private"},
            "from": {"id": 42, "is_bot": false, "first_name": "A", "language_code": "zh-hans"}});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"update_id": 5, "message": message})
    }

    fn text_of(update: &Value) -> String {
        match read(update) {
            Update::Message(inbound) | Update::Button { inbound, .. } => inbound.text,
            Update::Ignored(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_text_becomes_a_message_of_its_chat() {
        let expected = Inbound {
            channel: Channel::Telegram,
            chat: "7:42".to_owned(),
            update_id: "5".to_owned(),
            text: "/start ref42".to_owned(),
            customer: None,
            language_hint: Some(Language::Zh),
            received_at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(read(&message(&json!({"text": "/start ref42"}))), Update::Message(expected));
    }

    #[test]
    fn a_caption_counts_and_a_wordless_message_is_empty() {
        assert_eq!(text_of(&message(&json!({"photo": [], "caption": "is it waterproof?"}))), "is it waterproof?");
        assert_eq!(text_of(&message(&json!({"voice": {"file_id": "x"}}))), "");
        assert_eq!(read(&message(&json!({"pinned_message": {}}))), Update::Ignored("it is a notice"));
    }

    #[test]
    fn the_wordless_pictures_of_an_album_share_one_key() {
        let key = |fields: Value| match read(&message(&fields)) {
            Update::Message(inbound) => inbound.update_id,
            other => panic!("{other:?}"),
        };
        assert_eq!(key(json!({"photo": [], "media_group_id": "9"})), "album 9");
        assert_eq!(key(json!({"photo": [], "media_group_id": "9", "caption": "red?"})), "5");
    }

    #[test]
    fn a_button_says_its_text() {
        let long = "一".repeat(30);
        let pressed = |data: &str| {
            json!({"update_id": 5, "callback_query": {"id": "q", "from": {"id": 42}, "data": data,
                "message": {"chat": {"id": 42, "type": "private"}, "reply_markup": {"inline_keyboard":
                    [[{"text": "site", "url": "https://x"}], [{"text": long, "callback_data": "#1"}]]}}}})
        };
        assert_eq!(text_of(&pressed("=Where is my order?")), "Where is my order?");
        assert_eq!(text_of(&pressed("#1")), long);
        assert_eq!(text_of(&pressed("#2")), "");
        let gone = json!({"update_id": 5, "callback_query": {"id": "q", "from": {"id": 42}, "data": "=Hi"}});
        assert!(
            matches!(read(&gone), Update::Button { inbound, query_id } if inbound.chat == "7:42" && query_id == "q")
        );
    }

    #[test]
    fn what_is_not_for_the_bot_is_ignored() {
        let group = json!({"message": {"chat": {"id": -1, "type": "group"}, "text": "hi"}});
        for update in [group, json!({"poll": {}}), json!({"message": {"chat": 3}}), json!([1]), json!(null)] {
            assert!(matches!(read(&update), Update::Ignored(_)), "{update}");
        }
        assert_eq!(update_id(&json!({"update_id": "5"})), None);
    }
}
