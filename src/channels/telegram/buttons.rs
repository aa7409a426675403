//! Buttons below a message: what each one's data says, and how a pressed one is marked.

use serde_json::{Value, json};

/// Longest data of a button, in bytes.
const DATA_BYTES_MAX: usize = 64;
/// Longest label, in characters: more is cut off on a phone.
const LABEL_MAX: usize = 28;
/// Data of a button that does nothing any more.
const SPENT: &str = "-";

/// What pressing a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Says this as the shopper's message.
    Say(String),
    /// Says the button's own label, which is too long for its data.
    SayLabel,
    /// Shows the product at this place of a reply.
    Flip { reply: i64, index: usize },
    /// Shows the quote behind a reply.
    Quote { reply: i64, index: usize },
    /// Says whether a reply was good.
    Rate { reply: i64, good: bool },
    /// Nothing: it was pressed before, or a newer version made it.
    Nothing,
}

impl Action {
    /// Reads a button's data.
    pub(super) fn parse(data: &str) -> Self {
        if let Some(text) = data.strip_prefix('=') {
            return Self::Say(text.to_owned());
        }
        if data.starts_with('#') {
            return Self::SayLabel;
        }
        let mut parts = data.split(':');
        let (kind, reply, last) = (parts.next(), parts.next(), parts.next());
        let number = |part: Option<&str>| part.and_then(|part| part.parse().ok());
        match (kind, number(reply), number(last)) {
            (Some("p"), Some(reply), Some(index)) => Self::Flip { reply, index: index.unsigned_abs() as usize },
            (Some("s"), Some(reply), Some(index)) => Self::Quote { reply, index: index.unsigned_abs() as usize },
            (Some("r"), Some(reply), Some(good)) => Self::Rate { reply, good: good > 0 },
            _ => Self::Nothing,
        }
    }
}

fn key(label: &str, data: &str) -> Value {
    json!({"text": label, "callback_data": data})
}

/// A row that says `text`; a text too long for a button's data is found again by its number.
pub(super) fn saying(text: &str, index: usize) -> Vec<Value> {
    let data = Some(format!("={text}")).filter(|data| data.len() <= DATA_BYTES_MAX);
    vec![key(text, &data.unwrap_or_else(|| format!("#{index}")))]
}

/// ◀ 2 / 4 ▶
pub(super) fn flipping(reply: i64, index: usize, count: usize) -> Vec<Value> {
    let to = |index: usize| format!("p:{reply}:{index}");
    let place = key(&format!("{} / {count}", index + 1), SPENT);
    vec![key("◀", &to((index + count - 1) % count)), place, key("▶", &to((index + 1) % count))]
}

/// Opens the quote behind a reply; the label names where it stands.
pub(super) fn quoting(reply: i64, index: usize, document: &str) -> Value {
    let mut label: String = document.chars().take(LABEL_MAX).collect();
    if label.len() < document.len() {
        label.push('…');
    }
    key(&format!("📄 {label}"), &format!("s:{reply}:{index}"))
}

/// 👍 👎
pub(super) fn rating(reply: i64) -> Vec<Value> {
    vec![key("👍", &format!("r:{reply}:1")), key("👎", &format!("r:{reply}:0"))]
}

/// Rows as a keyboard; none: no keyboard.
pub(super) fn keyboard(rows: &[Vec<Value>]) -> Option<Value> {
    (!rows.is_empty()).then(|| json!({"inline_keyboard": rows}))
}

/// The keyboard with the button of `data` marked and spent; the other half of a rating goes.
pub(super) fn marked(keyboard: &Value, data: &str) -> Option<Value> {
    let rating = matches!(Action::parse(data), Action::Rate { .. });
    let rows = keyboard["inline_keyboard"].as_array()?.iter().map(|row| {
        let keys = row.as_array().into_iter().flatten().filter_map(|key| {
            let other = key["callback_data"].as_str().unwrap_or_default();
            if other == data {
                let label = key["text"].as_str().unwrap_or_default();
                Some(self::key(&format!("✓ {label}"), SPENT))
            } else {
                (!rating || !matches!(Action::parse(other), Action::Rate { .. })).then(|| key.clone())
            }
        });
        keys.collect()
    });
    self::keyboard(&rows.collect::<Vec<_>>())
}

/// The keyboard with its arrows leading on from the product at `index`.
pub(super) fn flipped(keyboard: Option<&Value>, reply: i64, index: usize, count: usize) -> Option<Value> {
    let rows = keyboard.and_then(|keyboard| keyboard["inline_keyboard"].as_array()).into_iter().flatten();
    let is_arrows = |row: &Vec<Value>| {
        let datas = row.iter().filter_map(|key| key["callback_data"].as_str());
        datas.map(Action::parse).any(|action| matches!(action, Action::Flip { .. }))
    };
    let others = rows.filter_map(|row| row.as_array().cloned()).filter(|row| !is_arrows(row));
    self::keyboard(&std::iter::once(flipping(reply, index, count)).chain(others).collect::<Vec<_>>())
}

/// The label of the button with this data.
pub(super) fn label_of(keyboard: &Value, data: &str) -> Option<String> {
    let mut keys = keyboard["inline_keyboard"].as_array()?.iter().filter_map(Value::as_array).flatten();
    Some(keys.find(|key| key["callback_data"] == data)?["text"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_button_is_read_as_what_it_does() {
        let data = |key: &Value| Action::parse(key["callback_data"].as_str().unwrap());
        assert_eq!(data(&saying("Yes", 0)[0]), Action::Say("Yes".to_owned()));
        assert_eq!(data(&saying(&"一".repeat(30), 1)[0]), Action::SayLabel);
        assert_eq!(data(&flipping(7, 0, 3)[0]), Action::Flip { reply: 7, index: 2 });
        assert_eq!(data(&flipping(7, 2, 3)[2]), Action::Flip { reply: 7, index: 0 });
        assert_eq!(data(&quoting(7, 1, "a.pdf")), Action::Quote { reply: 7, index: 1 });
        assert_eq!(data(&rating(7)[1]), Action::Rate { reply: 7, good: false });
        for strange in ["", "-", "p:x:1", "p:1", "z:1:1"] {
            assert_eq!(Action::parse(strange), Action::Nothing, "{strange}");
        }
    }

    #[test]
    fn a_pressed_button_is_marked_and_spent() {
        let board = keyboard(&[saying("Yes", 0), saying("No", 1), rating(7)]).unwrap();
        let once = marked(&board, "=Yes").unwrap();
        assert_eq!(once["inline_keyboard"][0][0], json!({"text": "✓ Yes", "callback_data": "-"}));
        assert_eq!(once["inline_keyboard"][1], board["inline_keyboard"][1]);
        let rated = marked(&once, "r:7:0").unwrap();
        assert_eq!(rated["inline_keyboard"][2], json!([{"text": "✓ 👎", "callback_data": "-"}]));
    }

    #[test]
    fn flipping_keeps_the_other_buttons() {
        let board = keyboard(&[flipping(7, 0, 3), saying("Yes", 0)]).unwrap();
        let next = flipped(Some(&board), 7, 1, 3).unwrap();
        assert_eq!(next["inline_keyboard"][0][1]["text"], "2 / 3");
        assert_eq!(next["inline_keyboard"][1], board["inline_keyboard"][1]);
        assert_eq!(next["inline_keyboard"].as_array().unwrap().len(), 2);
    }
}
