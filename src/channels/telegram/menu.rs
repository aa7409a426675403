//! What Telegram shows of the bot before anybody writes: its commands beside the input line, and who it is.

use serde_json::json;

use super::api::{Api, CALL_TIMEOUT};
use crate::message::Language;

/// The bot's commands, in the order of the menu.
pub(super) const COMMANDS: [&str; 8] = ["start", "help", "orders", "human", "language", "privacy", "export", "forget"];

/// What each command does, in the order of `COMMANDS`.
fn descriptions(language: Language) -> [&'static str; 8] {
    match language {
        Language::En => [
            "Start",
            "What I can do",
            "Your orders",
            "Talk to a person",
            "English or 中文",
            "What is kept of this chat",
            "Get a copy of this chat",
            "Erase this chat",
        ],
        Language::Zh => [
            "开始",
            "我能做什么",
            "我的订单",
            "转人工客服",
            "中文或 English",
            "保存了哪些信息",
            "导出聊天记录",
            "删除聊天记录",
        ],
    }
}

/// Who the bot is: in an empty chat (at most 512 characters), and on its page (at most 120).
fn about(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::En => (
            "I am this shop’s chatbot. Ask me about products, delivery, returns or your order, day and night. If you \
             would rather talk to a person, just say so.",
            "The shop’s chatbot: products, delivery, returns, orders. A person is one word away.",
        ),
        Language::Zh => (
            "我是本店的聊天机器人。商品、配送、退换货、订单的问题，随时都可以问我；想找人工客服，说一声就好。",
            "本店聊天机器人：商品、配送、退换货、订单，也可随时转人工。",
        ),
    }
}

/// Sets all of it in each language. The bot works without it.
pub(super) async fn set(api: &Api) {
    for language in Language::ALL {
        let commands = COMMANDS.iter().zip(descriptions(language));
        let commands: Vec<_> = commands.map(|(name, text)| json!({"command": name, "description": text})).collect();
        let (long, short) = about(language);
        for (method, mut parameters) in [
            ("setMyCommands", json!({"commands": commands})),
            ("setMyDescription", json!({"description": long})),
            ("setMyShortDescription", json!({"short_description": short})),
        ] {
            // Without a code it is for everybody whose language has none of its own.
            if language != Language::default() {
                parameters["language_code"] = language.as_str().into();
            }
            if let Err(failure) = api.send(method, &parameters, CALL_TIMEOUT).await {
                tracing::warn!(%failure, method, language = language.as_str(), "the bot's menu could not be set");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_short_enough_for_telegram() {
        for language in Language::ALL {
            let (long, short) = about(language);
            assert!(long.chars().count() <= 512 && short.chars().count() <= 120);
            assert!(descriptions(language).iter().all(|text| (1..=256).contains(&text.chars().count())));
        }
    }
}
