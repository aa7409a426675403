//! From an update of the Bot API to what a shopper said.
//!
//! Only the few fields that matter are read: a field or a kind of message that Telegram adds tomorrow must not cost a
//! shopper's words.

mod address;
mod attachments;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Me,
    buttons::{Action, label_of},
    conversation_key,
};
use crate::message::{Channel, Inbound, Language, Origin, Timestamp};

/// What an update means.
#[derive(Debug, PartialEq)]
pub(super) enum Update {
    /// A shopper wrote, or mended what they wrote.
    Message(Inbound),
    /// A shopper pressed a button.
    Press(Box<Press>),
    /// Nothing that the bot answers, and why.
    Ignored(&'static str),
    /// Nobody knows what it says, and why: it is kept as it came.
    Unreadable(String),
}

/// A pressed button.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Press {
    /// For `answerCallbackQuery`.
    pub(super) query_id: String,
    /// The chat's number and the conversation's key.
    pub(super) chat: (i64, String),
    /// The message that the button hangs on, unless it is gone.
    pub(super) on: Option<Pressed>,
    /// The button's data.
    pub(super) data: String,
    /// What it does.
    pub(super) action: Action,
    /// What it says as the shopper's message, when it says something.
    pub(super) says: Option<Inbound>,
}

/// The message of a pressed button, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pressed {
    /// Its number in the chat.
    pub(super) message_id: i64,
    /// Its words; `None`: they stand below a picture.
    pub(super) text: Option<String>,
    /// Its buttons.
    pub(super) keyboard: Option<Value>,
}

#[derive(Deserialize)]
struct RawUpdate {
    message: Option<RawMessage>,
    edited_message: Option<RawMessage>,
    callback_query: Option<RawButton>,
}

#[derive(Deserialize)]
struct RawMessage {
    #[serde(default)]
    message_id: i64,
    #[serde(default)]
    date: i64,
    chat: RawChat,
    from: Option<RawUser>,
    text: Option<String>,
    caption: Option<String>,
    media_group_id: Option<String>,
    reply_to_message: Option<RawReplied>,
    reply_markup: Option<Value>,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct RawChat {
    id: i64,
    #[serde(rename = "type")]
    kind: String,
}

impl RawChat {
    fn is_private(&self) -> bool {
        self.kind == "private"
    }
}

#[derive(Deserialize)]
struct RawUser {
    id: i64,
    language_code: Option<String>,
}

#[derive(Deserialize)]
struct RawReplied {
    from: Option<RawUser>,
}

#[derive(Deserialize)]
struct RawButton {
    id: String,
    from: RawUser,
    message: Option<RawMessage>,
    data: Option<String>,
}

/// The update's number; `None` when it has none.
pub(super) fn update_id(update: &Value) -> Option<i64> {
    update.get("update_id")?.as_i64()
}

/// Reads an update for the bot `me`.
pub(super) fn parse(update: &Value, update_id: i64, me: &Me, received_at: Timestamp) -> Update {
    match RawUpdate::deserialize(update) {
        Err(error) => Update::Unreadable(format!("it cannot be read: {error}")),
        Ok(RawUpdate { message: Some(message), .. }) => written(message, update_id, me, received_at, false),
        Ok(RawUpdate { edited_message: Some(message), .. }) => written(message, update_id, me, received_at, true),
        Ok(RawUpdate { callback_query: Some(button), .. }) => pressed(button, update_id, me, received_at),
        Ok(_) => Update::Unreadable("its kind is not known".to_owned()),
    }
}

fn written(message: RawMessage, update_id: i64, me: &Me, received_at: Timestamp, edited: bool) -> Update {
    let attachments = attachments::of(&message.other);
    let Some(text) = message.text.as_ref().or(message.caption.as_ref()).cloned().or_else(|| {
        // The rest are notices such as "message pinned".
        (!attachments.is_empty()).then(String::new)
    }) else {
        return Update::Ignored("it is a notice");
    };
    if edited && text.trim().is_empty() {
        return Update::Ignored("it is an edit without words");
    }
    let replies_to_me = message.reply_to_message.as_ref().and_then(|replied| replied.from.as_ref());
    let replies_to_me = replies_to_me.is_some_and(|from| from.id == me.id);
    let Some(text) = address::to_me(&text, &me.username, message.chat.is_private() || replies_to_me) else {
        return Update::Ignored("it is not for the bot");
    };
    let origin = Origin {
        message: Some(message.message_id.to_string()),
        album: message.media_group_id,
        edited,
        pressed: false,
        private_at: private_at(&message.chat, me),
    };
    Update::Message(Inbound {
        channel: Channel::Telegram,
        chat: conversation_key(me.id, message.chat.id),
        update_id: update_id.to_string(),
        text,
        customer: None,
        language_hint: message.from.as_ref().and_then(language_of),
        received_at,
        attachments,
        origin,
    })
}

fn pressed(button: RawButton, update_id: i64, me: &Me, received_at: Timestamp) -> Update {
    let data = button.data.unwrap_or_default();
    // An old message may be gone; a private chat has the number of its user.
    let chat_id = button.message.as_ref().map_or(button.from.id, |message| message.chat.id);
    let private_at = button.message.as_ref().and_then(|message| private_at(&message.chat, me));
    let on = button.message.filter(|message| message.date != 0 || message.reply_markup.is_some());
    let on = on.map(|RawMessage { message_id, text, reply_markup, .. }| Pressed {
        message_id,
        text,
        keyboard: reply_markup,
    });
    let action = Action::parse(&data);
    let text = match &action {
        Action::Say(text) => Some(text.clone()),
        Action::SayLabel => on.as_ref().and_then(|on| label_of(on.keyboard.as_ref()?, &data)),
        _ => None,
    };
    let chat = conversation_key(me.id, chat_id);
    let says = text.map(|text| Inbound {
        channel: Channel::Telegram,
        chat: chat.clone(),
        // Pressed twice before it could be marked, it says its text once.
        update_id: match &on {
            Some(on) if on.keyboard.is_some() => format!("press {} {data}", on.message_id),
            _ => update_id.to_string(),
        },
        text,
        customer: None,
        language_hint: language_of(&button.from),
        received_at,
        attachments: Vec::new(),
        origin: Origin { pressed: true, private_at, ..Origin::default() },
    });
    Update::Press(Box::new(Press { query_id: button.id, chat: (chat_id, chat), on, data, action, says }))
}

fn language_of(user: &RawUser) -> Option<Language> {
    Language::from_tag(user.language_code.as_deref()?)
}

/// Where a shopper of a group can write to the bot alone.
fn private_at(chat: &RawChat, me: &Me) -> Option<String> {
    (!chat.is_private()).then(|| format!("https://t.me/{}", me.username))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::message::AttachmentKind;

    fn read(update: &Value) -> Update {
        parse(update, 5, &Me { id: 7, username: "shop_bot".to_owned() }, DateTime::UNIX_EPOCH)
    }

    fn message(fields: &Value) -> Value {
        let mut message = json!({"message_id": 1, "date": 1, "chat": {"id": 42, "type": "private"},
            "from": {"id": 42, "is_bot": false, "first_name": "A", "language_code": "zh-hans"}});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"update_id": 5, "message": message})
    }

    fn inbound(update: &Value) -> Inbound {
        match read(update) {
            Update::Message(inbound) => inbound,
            Update::Press(press) => press.says.expect("words"),
            Update::Ignored(_) | Update::Unreadable(_) => panic!("not read: {update}"),
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
            attachments: Vec::new(),
            origin: Origin { message: Some("1".to_owned()), ..Origin::default() },
        };
        assert_eq!(read(&message(&json!({"text": "/start ref42"}))), Update::Message(expected));
    }

    #[test]
    fn a_caption_counts_and_a_wordless_message_has_what_was_sent() {
        let photo = json!([{"file_id": "small", "file_size": 1}, {"file_id": "large", "file_size": 9}]);
        let with_caption = inbound(&message(&json!({"photo": photo, "caption": "is it waterproof?"})));
        assert_eq!(with_caption.text, "is it waterproof?");
        assert_eq!(
            (with_caption.attachments[0].file_id.as_str(), with_caption.attachments[0].size),
            ("large", Some(9))
        );
        let voice = inbound(&message(&json!({"voice": {"file_id": "x", "mime_type": "audio/ogg"}})));
        assert_eq!((voice.text.as_str(), voice.attachments[0].kind), ("", AttachmentKind::Voice));
        assert_eq!(read(&message(&json!({"pinned_message": {}}))), Update::Ignored("it is a notice"));
    }

    #[test]
    fn an_edit_and_an_album_say_what_they_are() {
        let mut edited = message(&json!({"text": "blue", "message_id": 9}));
        edited["edited_message"] = edited["message"].take();
        let origin = inbound(&edited).origin;
        assert!(origin.edited && origin.message.as_deref() == Some("9"));
        let album = inbound(&message(&json!({"photo": [], "media_group_id": "9"}))).origin.album;
        assert_eq!(album.as_deref(), Some("9"));
    }

    #[test]
    fn a_button_says_its_text_once() {
        let long = "一".repeat(30);
        let pressed = |data: &str| {
            json!({"update_id": 5, "callback_query": {"id": "q", "from": {"id": 42}, "data": data,
                "message": {"message_id": 3, "date": 1, "chat": {"id": 42, "type": "private"}, "reply_markup":
                    {"inline_keyboard": [[{"text": "site", "url": "https://x"}], [{"text": long, "callback_data": "#1"}]]}}}})
        };
        let said = inbound(&pressed("=Where is my order?"));
        assert_eq!(
            (said.text.as_str(), said.update_id.as_str()),
            ("Where is my order?", "press 3 =Where is my order?")
        );
        assert!(said.origin.pressed);
        assert_eq!(inbound(&pressed("#1")).text, long);
        assert!(matches!(read(&pressed("p:1:2")), Update::Press(press) if press.says.is_none()));
        let gone = json!({"update_id": 5, "callback_query": {"id": "q", "from": {"id": 42}, "data": "=Hi"}});
        assert!(matches!(read(&gone), Update::Press(press) if press.chat.1 == "7:42" && press.query_id == "q"));
    }

    #[test]
    fn in_a_group_only_what_is_for_the_bot_is_read() {
        let group = |fields: &Value| {
            let mut update = message(fields);
            update["message"]["chat"] = json!({"id": -1, "type": "supergroup"});
            update
        };
        assert!(matches!(read(&group(&json!({"text": "hi"}))), Update::Ignored(_)));
        let asked = inbound(&group(&json!({"text": "@Shop_Bot do you ship abroad?"})));
        assert_eq!(asked.text, "do you ship abroad?");
        assert_eq!(asked.origin.private_at.as_deref(), Some("https://t.me/shop_bot"));
        let reply = json!({"text": "and to Spain?", "reply_to_message": {"from": {"id": 7}}});
        assert_eq!(inbound(&group(&reply)).text, "and to Spain?");
    }

    #[test]
    fn what_is_not_for_the_bot_is_ignored() {
        for update in [json!({"poll": {}}), json!({"message": {"chat": 3}}), json!([1]), json!(null)] {
            assert!(matches!(read(&update), Update::Unreadable(_)), "{update}");
        }
        assert_eq!(update_id(&json!({"update_id": "5"})), None);
    }
}
