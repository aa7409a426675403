//! What stands in the topics of the staff's group, and what members write there.

use crate::{
    conversation::Holder,
    desk::Deed,
    message::{Channel, Language, Timestamp},
    storage::{Author, StoredMessage, TopicWork},
};

/// Longest name of a topic, in characters.
const TOPIC_NAME_MAX: usize = 128;
/// Of these the shopper's words.
const REASON_MAX: usize = 60;
/// Longest post, in UTF-16 code units; Telegram takes 4,096.
const POST_UNITS_MAX: usize = 4_000;
/// Longest message of a hand-over's beginning, in characters.
const SHOWN_MAX: usize = 400;
/// Digits of a chat's number that tell shoppers apart.
const NUMBER_END: usize = 6;

/// What a member means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Something to do with the conversation.
    Deed(Deed),
    /// A command that does not exist.
    Unknown,
}

/// Reads a member's words: a command, a note, or words for the shopper.
pub(super) fn read_command(text: &str) -> Command {
    let text = text.trim();
    if let Some(note) = text.strip_prefix("//") {
        return note_or_unknown(note);
    }
    let Some(command) = text.strip_prefix('/') else { return Command::Deed(Deed::Answer(text.to_owned())) };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    // In groups Telegram adds the bot's name.
    match name.split('@').next().unwrap_or_default() {
        "take" => Command::Deed(Deed::Take),
        "bot" => Command::Deed(Deed::GiveBack),
        "close" => Command::Deed(Deed::Close),
        "note" => note_or_unknown(rest),
        _ => Command::Unknown,
    }
}

fn note_or_unknown(note: &str) -> Command {
    match note.trim() {
        "" => Command::Unknown,
        note => Command::Deed(Deed::Note(note.to_owned())),
    }
}

/// Commands of the buttons below a hand-over, and what they say.
pub(super) fn buttons(language: Language) -> [(&'static str, &'static str); 3] {
    match language {
        Language::En => [("/take", "Take"), ("/bot", "Back to the bot"), ("/close", "Close")],
        Language::Zh => [("/take", "接管"), ("/bot", "交还机器人"), ("/close", "结束")],
    }
}

pub(super) fn help(language: Language) -> &'static str {
    match language {
        Language::En => {
            "Not sent. What you write here reaches the shopper; // or /note keeps it among colleagues. /take: you have it, \
             /bot: back to the bot, /close: end."
        }
        Language::Zh => {
            "没有发送。这里的消息会发给顾客；以 // 或 /note 开头的只有同事能看到。/take 接管，/bot 交还机器人，/close 结束。"
        }
    }
}

pub(super) fn only_text(language: Language) -> &'static str {
    match language {
        Language::En => "Not sent: only text reaches the shopper from here.",
        Language::Zh => "没有发送：这里只能向顾客发送文字。",
    }
}

pub(super) fn unchanged(language: Language) -> &'static str {
    match language {
        Language::En => "Nothing to do: it is so already.",
        Language::Zh => "无需操作：已经是这个状态。",
    }
}

pub(super) fn missing(language: Language) -> &'static str {
    match language {
        Language::En => "Not sent: this conversation has been deleted.",
        Language::Zh => "没有发送：该对话已被删除。",
    }
}

pub(super) fn team(language: Language) -> &'static str {
    match language {
        Language::En => "Our team",
        Language::Zh => "客服团队",
    }
}

/// Why an answer was not sent.
pub(super) fn locked(holder: &Holder, at: Timestamp, language: Language) -> String {
    let (name, minutes) = (&holder.staff.name, (at - holder.active_at).num_minutes());
    match language {
        Language::En if minutes < 1 => {
            format!("Not sent: {name} is answering right now. /take takes over; then write again.")
        }
        Language::En => {
            format!("Not sent: {name} is answering ({minutes} min ago). /take takes over; then write again.")
        }
        Language::Zh if minutes < 1 => format!("没有发送：{name} 正在接待。发送 /take 接管后请再写一次。"),
        Language::Zh => format!("没有发送：{name} 正在接待（{minutes} 分钟前）。发送 /take 接管后请再写一次。"),
    }
}

/// Shopper and reason.
pub(super) fn topic_name(shopper: &str, reason: &str) -> String {
    let reason = shortened(&reason.split_whitespace().collect::<Vec<_>>().join(" "), REASON_MAX);
    let name = if reason.is_empty() { shopper.to_owned() } else { format!("{shopper} – {reason}") };
    shortened(&name, TOPIC_NAME_MAX)
}

/// A shopper without a name.
pub(super) fn numbered(chat: &str, language: Language) -> String {
    let skipped = chat.chars().count().saturating_sub(NUMBER_END);
    let end: String = chat.chars().skip(skipped).collect();
    match language {
        Language::En => format!("Shopper {end}"),
        Language::Zh => format!("顾客{end}"),
    }
}

/// One message of a transcript. Staff who write in the topic are not shown there again, so that staff here are the
/// console's.
pub(super) fn line(message: &StoredMessage, language: Language) -> String {
    let (text, name) = (message.text.trim(), message.author_name.as_deref().unwrap_or_default());
    let console = match language {
        Language::En => "console",
        Language::Zh => "控制台",
    };
    match message.author {
        Author::Shopper => format!("👤 {text}"),
        Author::Bot => format!("🤖 {text}"),
        Author::Staff => format!("💬 {name} ({console}): {text}"),
        Author::Note => format!("📝 {name} ({console}): {text}"),
        Author::System => format!("— {text}"),
    }
}

/// Adds a line to a post; `false` when it does not fit any more. A first line that is too long is cut.
pub(super) fn append(post: &mut String, line: &str) -> bool {
    let units = |text: &str| text.encode_utf16().count();
    if post.is_empty() {
        *post = if units(line) > POST_UNITS_MAX { shortened(line, POST_UNITS_MAX / 2) } else { line.to_owned() };
        return true;
    }
    let fits = units(post) + units(line) + 2 <= POST_UNITS_MAX;
    if fits {
        post.push_str("\n\n");
        post.push_str(line);
    }
    fits
}

/// The first post of a hand-over.
pub(super) fn beginning(work: &TopicWork, shopper: &str, messages: &[StoredMessage], language: Language) -> String {
    let channel = match (work.channel, language) {
        (Channel::Telegram, _) => "Telegram",
        (Channel::Widget, Language::En) => "website",
        (Channel::Widget, Language::Zh) => "网站",
        (Channel::Terminal | Channel::Batch, _) => "terminal",
    };
    let speaks = match (work.language, language) {
        (Language::En, Language::En) => "writes English",
        (Language::Zh, Language::En) => "writes Chinese",
        (Language::En, Language::Zh) => "使用英语",
        (Language::Zh, Language::Zh) => "使用中文",
    };
    let (wish, help) = match language {
        Language::En => (
            "would like a person",
            "What you write here reaches the shopper. // or /note: for colleagues only. /take · /bot · /close",
        ),
        Language::Zh => {
            ("想找人工", "这里的消息会发给顾客；// 或 /note：仅同事可见。/take 接管 · /bot 交还机器人 · /close 结束")
        }
    };
    let customer = work.customer.as_ref().map(|customer| format!(" · {customer}")).unwrap_or_default();
    let mut post = format!("{shopper} {wish} ({channel}, {speaks}{customer})");
    if language == Language::Zh {
        post = format!("{shopper}{wish}（{channel}，{speaks}{customer}）");
    }
    for message in messages {
        append(&mut post, &shortened(&line(message, language), SHOWN_MAX));
    }
    append(&mut post, help);
    post
}

fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    text.chars().take(characters_max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_notes_and_words_are_told_apart() {
        let deed = |text| match read_command(text) {
            Command::Deed(deed) => Some(deed),
            Command::Unknown => None,
        };
        assert_eq!(deed("/take"), Some(Deed::Take));
        assert_eq!(deed(" /bot@shop_bot "), Some(Deed::GiveBack));
        assert_eq!(deed("/close thanks"), Some(Deed::Close));
        assert_eq!(deed("/note ask\nthe workshop"), Some(Deed::Note("ask\nthe workshop".to_owned())));
        assert_eq!(deed("// he is right"), Some(Deed::Note("he is right".to_owned())));
        assert_eq!(deed("Hello, Ana here"), Some(Deed::Answer("Hello, Ana here".to_owned())));
        for unknown in ["/clsoe", "/", "//", "/note ", "/refund 20"] {
            assert_eq!(deed(unknown), None, "{unknown} must not reach the shopper");
        }
    }

    #[test]
    fn a_topic_is_named_by_shopper_and_reason() {
        assert_eq!(topic_name("Ada", "I want\n a person"), "Ada – I want a person");
        assert_eq!(topic_name("Ada", &"长".repeat(99)).chars().count(), 6 + REASON_MAX);
        assert_eq!(numbered("7000000001:1234567", Language::Zh), "顾客234567");
    }

    #[test]
    fn a_post_takes_as_many_lines_as_fit() {
        let mut post = String::new();
        assert!(append(&mut post, &"长".repeat(5_000)) && post.encode_utf16().count() <= POST_UNITS_MAX);
        assert!(append(&mut post, "short") && post.ends_with("…\n\nshort"));
        assert!(!append(&mut post, &"长".repeat(3_000)));
    }
}
