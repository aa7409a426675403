//! What a chat shows on a phone, worked out from the calls that a Bot API server carried out: messages with their pictures
//! and buttons, as they are after all edits.

use serde_json::{Value, json};

use super::fake_telegram::{Call, FakeTelegram};

/// A message of the bot as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its number in the chat.
    pub id: i64,
    /// Its words, or those below its picture.
    pub text: String,
    /// Its picture: an address, or the name under which it was uploaded.
    pub photo: Option<String>,
    /// A file's content.
    pub document: Option<String>,
    /// Its buttons.
    pub keyboard: Value,
}

impl Shown {
    /// The labels of its buttons, row by row.
    pub fn labels(&self) -> Vec<Vec<String>> {
        let rows = self.keyboard["inline_keyboard"].as_array().into_iter().flatten();
        let label = |key: &Value| key["text"].as_str().unwrap().to_owned();
        rows.map(|row| row.as_array().into_iter().flatten().map(label).collect()).collect()
    }

    fn data_of(&self, label: &str) -> String {
        let rows = self.keyboard["inline_keyboard"].as_array().into_iter().flatten();
        let mut keys = rows.flat_map(|row| row.as_array().into_iter().flatten());
        let key = keys.find(|key| key["text"] == label).unwrap_or_else(|| panic!("no button {label:?} on {self:?}"));
        key["callback_data"].as_str().unwrap().to_owned()
    }
}

/// Parameters of a form are text: JSON where they hold more than words.
fn parsed(value: &Value) -> Value {
    value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone())
}

fn text_of(params: &Value) -> String {
    params["text"].as_str().or(params["caption"].as_str()).unwrap_or_default().to_owned()
}

fn apply(shown: &mut Vec<Shown>, call: &Call) {
    let params = &call.params;
    let keyboard = parsed(&params["reply_markup"]);
    match call.method.as_str() {
        "sendmessage" | "sendphoto" | "senddocument" => shown.push(Shown {
            id: call.result["message_id"].as_i64().unwrap(),
            text: text_of(params),
            photo: params["photo"].as_str().map(str::to_owned),
            document: params["document"].as_str().map(str::to_owned),
            keyboard,
        }),
        "deletemessage" => shown.retain(|message| json!(message.id) != params["message_id"]),
        method if method.starts_with("editmessage") => {
            let id = parsed(&params["message_id"]);
            let Some(message) = shown.iter_mut().find(|message| json!(message.id) == id) else { return };
            let media = parsed(&params["media"]);
            if media.is_object() {
                message.photo = media["media"].as_str().map(str::to_owned);
                message.text = text_of(&media);
            } else if method == "editmessagetext" {
                message.text = text_of(params);
            }
            // An edit without buttons takes them away.
            message.keyboard = keyboard;
        }
        _ => {}
    }
}

impl FakeTelegram {
    /// The bot's messages in a chat as they are now.
    pub fn screen(&self, chat: i64) -> Vec<Shown> {
        let mut shown = Vec::new();
        let in_chat = |call: &Call| parsed(&call.params["chat_id"]) == json!(chat);
        self.all_calls().iter().filter(|call| call.done && in_chat(call)).for_each(|call| apply(&mut shown, call));
        shown
    }

    /// A shopper presses the button with this label of a message. Returns the query's id.
    pub fn tap(&self, chat: i64, on: &Shown, label: &str) -> String {
        self.tap_data(chat, on, &on.data_of(label))
    }

    /// The same by the button's data, also of a button that is not there any more.
    pub fn tap_data(&self, chat: i64, on: &Shown, data: &str) -> String {
        let query = format!("tap-{}", self.all_calls().len());
        let from = json!({"id": chat, "is_bot": false, "first_name": "Ada", "language_code": "en"});
        let mut message = json!({"message_id": on.id, "date": 1, "chat": {"id": chat, "type": "private"},
            "reply_markup": on.keyboard});
        let words = if on.photo.is_some() { "caption" } else { "text" };
        message[words] = on.text.clone().into();
        let press = json!({"id": query, "from": from, "chat_instance": "1", "message": message, "data": data});
        self.update(&json!({"callback_query": press}));
        query
    }

    /// What answered a pressed button.
    pub fn answer_to(&self, query: &str) -> Option<Value> {
        self.calls("answerCallbackQuery").into_iter().map(|call| call.params).find(|p| p["callback_query_id"] == query)
    }
}
