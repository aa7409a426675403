//! Messages that are nothing but a greeting, a thank-you or a farewell.

use std::sync::LazyLock;

use regex::Regex;

use super::pattern;
use crate::intents::Intent;
use crate::message::Language;

static GREETING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)^(?:
        (?:(?:hi+|hey+|heya?|hiya|hello+|helo|hullo|howdy|yo+|greetings|hallo|bonjour|hola|good\ ?(?:day|morning|afternoon|evening)|g'?day|morning|evening|afternoon|gm)
            (?:\ (?:there|again|all|everyone|everybody|team|folks|guys|sir|madam|shop|bot|you|dear|friend|mate|to\ you))*\ ?)+
        |/?start
        |(?:你好|您好|哈喽|哈啰|哈罗|嗨|嘿|喂|早上好|早安|早|上午好|中午好|下午好|晚上好|大家好|在吗|在不在|在么|在嘛|有人吗|有人在吗|亲爱的|亲亲|亲|呀|啊|哦|客服|店家|老板|掌柜的?|hi|hello|各位|请问|\ )+
        )$",
    )
});

static THANKS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)^(?:
        (?:(?:ok|okay|k|great|perfect|awesome|cool|super|wonderful|brilliant|lovely|excellent|nice|alright|got\ it|understood|good|fine|yes|no|oh|ah|amazing|and|very\ helpful|that\ helps?(?:ed)?|that's\ (?:great|perfect|all|it|helpful)|that\ was\ helpful)\ )*
            (?:(?:many\ |very\ |big\ |huge\ )?(?:thanks+|thx+|thnx|thanx|tysm|ty|tq|cheers|thank\ (?:you|u|ya)|thankyou|much\ appreciated|i?\ ?appreciate\ (?:it|that|your\ help)))
            (?:\ (?:a\ lot|a\ million|a\ bunch|so\ much|so|very\ much|much|again|mate|buddy|man|you|guys|team|all|for\ (?:your|the|all\ your)\ (?:help|answer|quick\ (?:reply|answer)|time|support|info|information)|dear|anyway|indeed|that\ (?:helps?|helped|was\ helpful)|very\ helpful|great|perfect|bot|have\ a\ (?:nice|good|great)\ day))*
        |(?:好的?|嗯+|行|明白了?|知道了|了解了?|收到|懂了|太好了|ok|可以|没问题|清楚了|解决了|\ )*(?:(?:非常|十分|太|真的)?(?:谢谢|謝謝|感谢|感謝|多谢|多謝|谢了|谢啦|3q|thx|thanks|thank\ you|辛苦了|辛苦啦)(?:你们?|您|亲|啊|啦|了|哈|老板|客服|店家|帮忙|帮助|你的帮助|您的帮助|解答|回复|你的解答|你的回复|哦|呀|\ )*)+
        )$",
    )
});

static GOODBYE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)^(?:
        (?:(?:ok|okay|great|perfect|alright|well|thanks+|thx|thank\ you|thank\ you\ very\ much|cheers|no|that's\ all|then|and|so)\ )*
            (?:(?:good\ ?)?bye+(?:\ bye+)?|bb|see\ (?:you|ya|u)(?:\ (?:soon|later|around|again|tomorrow))?|cya|ttyl|later|laters|farewell|take\ care|good\ ?night|ciao|cheerio|catch\ you\ later|talk\ to\ you\ (?:later|soon)|have\ a\ (?:nice|good|great|lovely)\ (?:day|one|evening|weekend|night))
            (?:\ (?:then|now|for\ now|all|everyone|guys|team|and|thanks|thank\ you|have\ a\ (?:nice|good|great)\ (?:day|one|evening|weekend)|bot))*
        |(?:好的?|嗯+|那|行|谢谢你?|多谢|没事了|没有了|先这样吧?|就这样吧?|ok|bye|\ )*(?:再见|再見|拜拜|拜|下次见|回头见|回见|明天见|晚安|bye|bye\ ?bye|有空再聊|下次再聊|改天再聊)(?:啦|了|咯|哦|吧|亲|\ )*
        )$",
    )
});

static FAREWELL_FIGURES: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:88|886)+$"));

/// The small talk that the whole message consists of, if it does. `folded` is folded text.
pub(super) fn smalltalk(folded: &str, language: Language) -> Option<Intent> {
    if folded.chars().count() > 80 {
        return None;
    }
    let words = words_only(folded);
    if words.is_empty() {
        return emoji_only(folded);
    }
    if language == Language::Zh && FAREWELL_FIGURES.is_match(&words) {
        return Some(Intent::Goodbye);
    }
    [(&GOODBYE, Intent::Goodbye), (&THANKS, Intent::Thanks), (&GREETING, Intent::Greeting)]
        .into_iter()
        .find(|(whole, _)| whole.is_match(&words))
        .map(|(_, intent)| intent)
}

/// Letters, digits and apostrophes, with one space for everything else.
fn words_only(folded: &str) -> String {
    let spaced: String = folded
        .chars()
        .map(|character| if character.is_alphanumeric() || matches!(character, '\'' | '/') { character } else { ' ' })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a message of signs alone says.
fn emoji_only(folded: &str) -> Option<Intent> {
    let sign = folded.chars().find(|character| !character.is_whitespace())?;
    match sign {
        '👋' | '🙋' => Some(Intent::Greeting),
        '👍' | '🙏' | '❤' | '😍' | '🥰' | '💕' | '💖' | '👏' | '💯' | '🌹' | '😘' | '🤗' | '💐' => {
            Some(Intent::Thanks)
        }
        '😂' | '🤣' | '😀' | '😃' | '😄' | '😁' | '😅' | '🙂' | '😊' | '😉' | '😎' | '🤔' => {
            Some(Intent::Chitchat)
        }
        _ => None,
    }
}
