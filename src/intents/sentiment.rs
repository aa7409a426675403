//! How a shopper sounds, by a small lexicon and punctuation.
//!
//! It colours the reply and the console and never decides an answer; an angry question about a rule is still answered
//! with the rule.

use std::sync::LazyLock;

use crate::message::Sentiment;

/// Words or phrases of one mood.
type Lexicon = LazyLock<Vec<&'static str>>;

/// A list written as one text, so that it stays readable.
fn words(list: &'static str) -> Vec<&'static str> {
    list.split('|').collect()
}

/// Words of anger or contempt. One is enough.
static FURIOUS: Lexicon = LazyLock::new(|| {
    words(
        "scam|scammer|scammers|fraud|thieves|thief|liars|liar|disgrace|disgraceful|disgusting|outrageous|\
         unacceptable|furious|pathetic|ridiculous|rip-off|ripoff|incompetent|incompetence|worst|wtf|bullshit|crap|\
         shit|damn|idiots|idiot|stupid|useless|appalling|sue|lawyer|fed up|sick of|sick and tired|never again|\
         had enough|joke of a|how dare|shame on|fuck|fucking|fuming|livid|infuriating|angry|mad at|pissed|hate you|\
         lied to|you suck|you guys suck",
    )
});
/// Words of disappointment or trouble. They count one each.
static NEGATIVE: Lexicon = LazyLock::new(|| {
    words(
        "bad|terrible|awful|horrible|disappointed|disappointing|annoyed|annoying|frustrated|frustrating|upset|\
         unhappy|sad|poor|broken|damaged|faulty|defective|ruined|rude|ugly|ignored|nobody answers|no one answers|\
         still waiting|still not|still haven't|still nothing|waste|wasted|cheated|unfortunately|complaint|complain|\
         hate|dislike|nonsense|misleading|slow|nightmare|not happy|not satisfied|not amused|unbelievable|seriously|\
         ugh|argh|let down|doesn't work|does not work|doesnt work|stopped working|excuses|lost|worse|wrong|cracked|\
         too expensive|not helpful|doesn't help|died",
    )
});
/// Words of praise or joy.
static POSITIVE: Lexicon = LazyLock::new(|| {
    words(
        "great|good|love|loved|lovely|perfect|excellent|amazing|awesome|wonderful|fantastic|brilliant|happy|\
         pleased|satisfied|best|helpful|beautiful|gorgeous|thank|thanks|thx|nice|super|delighted|glad|cheers|\
         appreciate|cool|impressed|well done|superb|delicious",
    )
});
/// The same three sets in Chinese, matched anywhere.
static FURIOUS_ZH: Lexicon = LazyLock::new(|| {
    words(
        "骗子|骗人|欺骗|诈骗|垃圾|黑店|滚|妈的|他妈|混蛋|气死|太过分|过分了|离谱|忍无可忍|恶心|什么玩意|什么破|受够|\
         态度恶劣|不要脸|无耻|坑人|坑爹|投诉|举报|起诉|律师|12315|曝光|最差|烂透|太烂|耍我|敷衍|差劲|傻|有病|愤怒|\
         火大|烦死|辣鸡|推来推去|什么态度|没人管|草泥马|白痴|智障|废物",
    )
});
static NEGATIVE_ZH: Lexicon = LazyLock::new(|| {
    words(
        "失望|不满|生气|难过|伤心|糟糕|糟|太差|很差|差评|坏了|坏的|破损|碎了|裂|不好用|难用|难吃|难看|后悔|无语|烦|\
         等了很久|还没到|还没收到|一直不|没人理|没人回|太慢|好慢|浪费|丑|假货|质量差|不行啊|不合适|郁闷|崩溃|不开心|\
         不高兴|太贵|没用|怎么回事|真烦|唉|倒霉|毁了|骂人",
    )
});
static POSITIVE_ZH: Lexicon = LazyLock::new(|| {
    words(
        "谢谢|感谢|多谢|太好了|很好|真好|喜欢|满意|棒|赞|开心|高兴|完美|好评|漂亮|好看|好用|好吃|给力|不错|优秀|爱了|\
         惊喜|舒服|合身|推荐给",
    )
});
/// A word that turns the next few around.
const NEGATIONS: &[&str] = &["not", "no", "never", "isn't", "wasn't", "don't", "didn't", "doesn't", "aren't", "hardly"];
const NEGATIONS_ZH: &[&str] = &["不", "没", "不太", "不够", "不是很", "没有", "别", "并不"];

const FURIOUS_SIGNS: &[char] = &['😡', '🤬', '😠', '👿', '🖕'];
const NEGATIVE_SIGNS: &[char] = &['😞', '😢', '😭', '😔', '☹', '🙁', '😤', '👎', '😒', '💔', '😩', '🙄'];
const POSITIVE_SIGNS: &[char] = &['😊', '😀', '😃', '😄', '😍', '🥰', '❤', '👍', '🎉', '🙏', '💕', '😘', '🤗'];

/// What was counted in a message.
#[derive(Debug, Default)]
struct Tally {
    furious: usize,
    negative: usize,
    positive: usize,
    shouting: bool,
}

/// How the message sounds.
pub fn sentiment(text: &str) -> Sentiment {
    let tally = tally(text);
    let negative = tally.furious * 2 + tally.negative;
    match (negative, tally.positive) {
        (0, 0) if tally.shouting => Sentiment::Negative,
        (0, 0) => Sentiment::Neutral,
        (negative, positive) if negative > positive || (negative > 0 && negative == positive) => Sentiment::Negative,
        _ if is_plain_request(text) => Sentiment::Neutral,
        _ => Sentiment::Positive,
    }
}

/// Whether the shopper is angry, not merely dissatisfied: a word of fury, or trouble that is shouted.
pub fn is_angry(text: &str) -> bool {
    let tally = tally(text);
    tally.furious > 0 && tally.furious * 2 + tally.negative > tally.positive
        || tally.negative > 0 && tally.shouting
        || tally.negative >= 3 && tally.positive == 0
}

/// "Which is the best?" and "a good gift?" ask for something good; they are not praise.
fn is_plain_request(text: &str) -> bool {
    let lower = text.to_lowercase();
    let asks = lower.trim_end().ends_with(['?', '\u{ff1f}', '吗', '呢']);
    let thanks =
        ["thank", "thx", "谢", "love", "happy", "喜欢", "满意", "开心"].iter().any(|word| lower.contains(word));
    let asks_first = ["which", "what", "recommend", "suggest", "looking for", "i need", "推荐", "哪", "want"]
        .iter()
        .any(|word| lower.contains(word));
    (asks || asks_first) && !thanks
}

fn tally(text: &str) -> Tally {
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    let words: Vec<&str> = lower
        .split(|character: char| !(character.is_alphanumeric() || matches!(character, '\'' | '-')))
        .filter(|word| !word.is_empty())
        .collect();
    let signs = |signs: &[char]| text.chars().filter(|character| signs.contains(character)).count();
    let mut tally = Tally {
        furious: signs(FURIOUS_SIGNS),
        negative: signs(NEGATIVE_SIGNS),
        positive: signs(POSITIVE_SIGNS),
        shouting: is_shouting(text),
    };
    count_english(&words, &mut tally);
    count_chinese(&lower, &mut tally);
    tally
}

fn count_english(words: &[&str], tally: &mut Tally) {
    tally.furious += phrases(words, &FURIOUS).count();
    for start in phrases(words, &NEGATIVE) {
        let negated = words[start.saturating_sub(2)..start].iter().any(|word| NEGATIONS.contains(word));
        tally.negative += usize::from(!negated);
    }
    for start in phrases(words, &POSITIVE) {
        let negated = words[start.saturating_sub(3)..start].iter().any(|word| NEGATIONS.contains(word));
        // "no thanks" declines politely; it is neither praise nor trouble.
        let thanks = words[start].starts_with("than") || words[start] == "thx";
        tally.positive += usize::from(!negated);
        tally.negative += usize::from(negated && !thanks);
    }
}

/// Positions at which one of the phrases starts.
fn phrases<'a>(words: &'a [&str], phrases: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    (0..words.len()).filter(move |&start| {
        phrases.iter().any(|phrase| {
            let mut rest = words[start..].iter();
            phrase.split(' ').all(|part| rest.next() == Some(&part))
        })
    })
}

fn count_chinese(lower: &str, tally: &mut Tally) {
    tally.furious += FURIOUS_ZH.iter().filter(|word| lower.contains(**word)).count();
    tally.negative += NEGATIVE_ZH.iter().filter(|word| lower.contains(**word)).count();
    for word in POSITIVE_ZH.iter() {
        let Some(start) = lower.find(word) else { continue };
        let negated = NEGATIONS_ZH.iter().any(|negation| lower[..start].ends_with(negation));
        tally.negative += usize::from(negated);
        tally.positive += usize::from(!negated);
    }
}

/// Several exclamation marks in a row, or a sentence in capitals.
fn is_shouting(text: &str) -> bool {
    let narrow: String = text
        .chars()
        .map(|character| match character {
            '\u{ff01}' => '!',
            '\u{ff1f}' => '?',
            other => other,
        })
        .collect();
    let marks = ["!!", "??!", "?!?", "???"].iter().any(|marks| narrow.contains(marks));
    let capitals = text.chars().filter(|character| character.is_uppercase()).count();
    let letters = text.chars().filter(|character| character.is_alphabetic() && character.is_ascii()).count();
    let calm = ["thank", "谢", "great", "love"].iter().any(|word| text.to_lowercase().contains(word));
    !calm && (marks || (letters >= 12 && capitals * 10 > letters * 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_questions_are_neutral() {
        for text in [
            "how long does delivery take?",
            "which is the best backpack?",
            "有货吗",
            "哪款好用?",
            "can I return worn shoes",
            "I'm looking for a good coffee machine",
            "no thanks",
            "推荐一款好用的耳机",
            "",
        ] {
            assert_eq!(sentiment(text), Sentiment::Neutral, "{text}");
            assert!(!is_angry(text), "{text}");
        }
    }

    #[test]
    fn praise_is_positive_and_trouble_negative() {
        for text in ["I love the scarf, thank you!", "great service", "很喜欢,谢谢", "太棒了", "❤️"] {
            assert_eq!(sentiment(text), Sentiment::Positive, "{text}");
        }
        for text in [
            "my vase arrived broken",
            "I'm disappointed",
            "not good",
            "不满意",
            "收到就坏了",
            "😡",
            "I am not happy at all",
        ] {
            assert_eq!(sentiment(text), Sentiment::Negative, "{text}");
        }
    }

    #[test]
    fn anger_is_told_from_dissatisfaction() {
        for text in [
            "this is outrageous, you thieves",
            "WHERE IS MY BROKEN REFUND",
            "骗子公司",
            "气死我了",
            "my order is still not here!!!",
            "你们什么态度,太差了",
            "🤬",
        ] {
            assert!(is_angry(text), "{text}");
        }
        for text in [
            "the zip is broken, what can I do?",
            "拉链坏了怎么办",
            "I'm a bit disappointed",
            "is it a bad idea to wash wool?",
        ] {
            assert!(!is_angry(text), "{text}");
        }
    }
}
