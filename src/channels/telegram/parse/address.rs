//! Whom a message is for. In a group the bot answers only when it is meant: by its name, by a reply to it, by a command.

use crate::channels::telegram::menu::COMMANDS;

/// The words for the bot, without its name; `None` when they are for somebody else. `surely`: a private chat, or a
/// reply to the bot.
pub(super) fn to_me(text: &str, username: &str, surely: bool) -> Option<String> {
    if let Some(command) = text.strip_prefix('/') {
        let (command, rest) = command.split_at(command.find(char::is_whitespace).unwrap_or(command.len()));
        return match command.split_once('@') {
            Some((command, name)) if name.eq_ignore_ascii_case(username) => Some(format!("/{command}{rest}")),
            // Another bot's.
            Some(_) if !surely => None,
            None if !surely && !COMMANDS.contains(&command) => None,
            _ => Some(text.to_owned()),
        };
    }
    match mention(text, username) {
        Some(range) => {
            let words = format!(
                "{} {}",
                text[..range.start].trim_end(),
                text[range.end..].trim_start_matches([',', '，', ':', '：', ' '])
            );
            Some(words.trim().to_owned())
        }
        None => surely.then(|| text.to_owned()),
    }
}

/// Where the text has `@username`, whatever its case and not as part of a longer name.
fn mention(text: &str, username: &str) -> Option<std::ops::Range<usize>> {
    if username.is_empty() {
        return None;
    }
    text.match_indices('@').find_map(|(at, _)| {
        let range = at..at + 1 + username.len();
        let name = text.get(at + 1..range.end)?;
        let ends = !text[range.end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        (name.eq_ignore_ascii_case(username) && ends).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_the_bot_is_for_it() {
        let group = |text| to_me(text, "shop_bot", false);
        assert_eq!(group("/help@Shop_Bot").as_deref(), Some("/help"));
        assert_eq!(group("/start@shop_bot p_A-1").as_deref(), Some("/start p_A-1"));
        assert_eq!(group("/help").as_deref(), Some("/help"));
        assert_eq!(group("hey @shop_bot, any hats?").as_deref(), Some("hey any hats?"));
        assert_eq!(group("@shop_bot你们有帽子吗").as_deref(), Some("你们有帽子吗"));
        for other in ["/help@other_bot", "/roll", "hi all", "@shop_bot2 hi", "mail me@shop", ""] {
            assert_eq!(group(other), None, "{other}");
        }
        assert_eq!(to_me(" hi  there", "shop_bot", true).as_deref(), Some(" hi  there"));
        assert_eq!(to_me("/help@shop_bot", "shop_bot", true).as_deref(), Some("/help"));
    }
}
