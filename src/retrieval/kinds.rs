//! What kind of answer a question wants, and whether a passage has one; and whether a quantity in a question falls into
//! the range that a table row is for ("0.3 kg" into "up to 0.5 kg").

use std::sync::LazyLock;

use regex::Regex;

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// An amount of money.
    Money,
    /// A length of time.
    Duration,
    /// When a shop is open.
    OpeningHours,
}

struct Patterns {
    asks_money: Regex,
    asks_duration: Regex,
    has_money: Regex,
    has_duration: Regex,
    asks_hours: Regex,
    clock_range: Regex,
    weekday: Regex,
    quantity: Regex,
    between: Regex,
    up_to: Regex,
    up_to_after: Regex,
    from: Regex,
    from_after: Regex,
}

const UNIT: &str = r"(kg|kilos?|kilograms?|公斤|千克|g|grams?|克|cm|centimetres?|厘米|km|kilometres?|公里|l|litres?|升|€|euros?|eur|欧元|欧|£|pounds?|英镑|\$|dollars?|美元|¥|yuan|元)";
const CLOCK: &str = r"(?:\d{1,2}[:.]\d\d(?:\s*[ap]\.?m)?|\d{1,2}\s*[ap]\.?m)";
const NUMBER: &str = r"(\d+(?:[.,]\d+)?|[一二两三四五六七八九十]+)";

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let build = |text: &str| Regex::new(&format!("(?i){text}")).expect("a literal pattern");
    Patterns {
        asks_money: build(
            r"how much (?:is|are|does|do|for|would|will)|what .{0,60}\bcosts?\b|\bprice|\bfee\b|\bcharge for|(?:do|would|will) you charge|how expensive|多少钱|运费|费用|价格|邮费|手续费",
        ),
        asks_duration: build(
            r"how (?:long|many (?:days|weeks|months|years|hours|minutes))|how soon|多久|几天|多少天|多长时间|几个月|多少个月|几年|几个小时",
        ),
        has_money: build(
            r"[€$£¥₹]\s*\d|\d\s*(?:€|euros?|eur|usd|gbp|dollars?|pounds?|yuan|欧元|英镑|美元|元|块|%)|free|免费|no charge|不收费",
        ),
        has_duration: build(
            r"(?:\d|one|two|three|four|five|six|seven|eight|nine|ten|twelve|[一二两三四五六七八九十])\s*-?\s*(?:(?:working|business|calendar|full)\s+)?(?:hours?|days?|weeks?|months?|years?|minutes?|nights?|个?小时|个?工作日|天|日|周|个?星期|个?月|年|分钟)|same (?:day|evening)|overnight|lifetime|no warranty|not returnable|不能退",
        ),
        asks_hours: build(
            r"\b(?:opening|business|trading|store|shop|closing) (?:hours?|times?)\b|\b(?:when|what (?:time|hours|days)) (?:do|does|are|is) (?:you|your|the|any|it)\b[^?]{0,40}\b(?:open|close|closed|shut)\b|\b(?:are you|(?:is|are) (?:the|your|any) (?:[\w'-]+ ){0,2}(?:shops?|stores?|branch|branches)) (?:still |also )?(?:open|closed)\b|\bdo you (?:open|close)\b|营业时间|开放时间|开门时间|(?:几点|什么时候|何时|什么时间).{0,4}(?:开门|关门|营业|打烊|上班|下班)|(?:开到|营业到)几点|(?:周|星期|礼拜|今天|明天|晚上|节假日|周末).{0,6}(?:开门|营业|关门|开吗)|(?:开门|营业)吗",
        ),
        clock_range: build(&format!(r"{CLOCK}\.?\s*(?:-|–|—|~|to|until|till|and|至|到)\s*{CLOCK}")),
        weekday: build(
            r"\b(?:mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun)(?:days?|sdays?|nesdays?|rsdays?|urdays?)?\b|\b(?:daily|every day|weekdays?|weekends?)\b|周[一二三四五六日末]|星期[一二三四五六日天]|每[天日]|工作日",
        ),
        quantity: build(&format!(r"{NUMBER}\s*{UNIT}(?:$|[^a-z])")),
        between: build(&format!(r"{NUMBER}\s*(?:{UNIT})?\s*(?:-|–|~|至|到|to|and)\s*{NUMBER}\s*{UNIT}")),
        up_to: build(&format!(r"(?:up to|under|below|less than|at most|max\.?|≤|<|不超过)\s*{NUMBER}\s*{UNIT}")),
        up_to_after: build(&format!(r"{NUMBER}\s*{UNIT}\s*(?:以内|以下|or less|and under|or under)")),
        from: build(&format!(r"(?:over|above|more than|from|≥|>|超过|大于)\s*{NUMBER}\s*{UNIT}")),
        from_after: build(&format!(r"{NUMBER}\s*{UNIT}\s*(?:以上|or more|and more|and over|\+)")),
    }
});

/// What kind of answer a question wants; `None` when it does not say.
pub fn wanted(question: &str) -> Option<AnswerKind> {
    if PATTERNS.asks_hours.is_match(question) {
        return Some(AnswerKind::OpeningHours);
    }
    let money = PATTERNS.asks_money.is_match(question);
    let duration = PATTERNS.asks_duration.is_match(question);
    match (money, duration) {
        (true, false) => Some(AnswerKind::Money),
        (false, true) => Some(AnswerKind::Duration),
        _ => None,
    }
}

/// Whether a passage has an answer of this kind.
pub fn has(kind: AnswerKind, passage: &str) -> bool {
    match kind {
        AnswerKind::Money => PATTERNS.has_money.is_match(passage),
        AnswerKind::Duration => PATTERNS.has_duration.is_match(passage),
        AnswerKind::OpeningHours => has_clock_range(passage) && PATTERNS.weekday.is_match(passage),
    }
}

/// Whether a text has something like "9:00 – 18:00".
pub fn has_clock_range(text: &str) -> bool {
    PATTERNS.clock_range.is_match(text)
}

/// Whether a quantity of the question lies in the range that `cell` states; `None` when one of them has none, or they
/// measure different things.
pub fn in_range(question: &str, cell: &str) -> Option<bool> {
    let (low, high, unit) = range(cell)?;
    let mut judged = None;
    for found in PATTERNS.quantity.captures_iter(question) {
        let (Some(value), Some((unit_asked, scale))) = (number(&found[1]), unit_of(&found[2])) else { continue };
        if unit_asked == unit {
            let value = value * scale;
            judged = Some(judged.unwrap_or(false) || (value > low && value <= high));
        }
    }
    judged
}

fn range(cell: &str) -> Option<(f64, f64, char)> {
    let patterns = &*PATTERNS;
    if let Some(found) = patterns.between.captures(cell) {
        let (unit, scale) = unit_of(&found[4])?;
        let low_scale = found.get(2).and_then(|unit| unit_of(unit.as_str())).map_or(scale, |(_, scale)| scale);
        return Some((number(&found[1])? * low_scale, number(&found[3])? * scale, unit));
    }
    let one = |pattern: &Regex| {
        let found = pattern.captures(cell)?;
        let (unit, scale) = unit_of(&found[2])?;
        Some((number(&found[1])? * scale, unit))
    };
    if let Some((high, unit)) = one(&patterns.up_to).or_else(|| one(&patterns.up_to_after)) {
        return Some((-1.0, high, unit));
    }
    one(&patterns.from).or_else(|| one(&patterns.from_after)).map(|(low, unit)| (low, f64::INFINITY, unit))
}

/// A unit's dimension and its size in that dimension's base.
fn unit_of(unit: &str) -> Option<(char, f64)> {
    let unit = unit.to_lowercase();
    Some(match unit.trim_end_matches('s') {
        "kg" | "kilo" | "kilogram" | "公斤" | "千克" => ('g', 1000.0),
        "g" | "gram" | "克" => ('g', 1.0),
        "cm" | "centimetre" | "厘米" => ('m', 0.01),
        "km" | "kilometre" | "公里" => ('m', 1000.0),
        "l" | "litre" | "升" => ('l', 1.0),
        "€" | "euro" | "eur" | "欧元" | "欧" => ('€', 1.0),
        "£" | "pound" | "英镑" => ('£', 1.0),
        "$" | "dollar" | "美元" => ('$', 1.0),
        "¥" | "yuan" | "元" => ('¥', 1.0),
        _ => return None,
    })
}

fn number(text: &str) -> Option<f64> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.replace(',', ".").parse().ok();
    }
    let digit = |c: char| "一二三四五六七八九".chars().position(|known| known == c).map(|at| at as f64 + 1.0);
    let digit = |c: char| if c == '两' { Some(2.0) } else { digit(c) };
    match text.split_once('十') {
        Some((tens, ones)) => {
            let tens = if tens.is_empty() { 1.0 } else { digit(tens.chars().next()?)? };
            let ones = if ones.is_empty() { 0.0 } else { digit(ones.chars().next()?)? };
            Some(tens * 10.0 + ones)
        }
        None => digit(text.chars().next()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_kind_is_seen_and_found() {
        assert_eq!(wanted("How much is the diagnosis?"), Some(AnswerKind::Money));
        assert_eq!(wanted("保修多久？"), Some(AnswerKind::Duration));
        assert_eq!(wanted("How much does it cost and how long does it take?"), None);
        assert!(has(AnswerKind::Money, "It costs €27."));
        assert!(!has(AnswerKind::Money, "It takes 3 working days."));
        assert!(has(AnswerKind::Duration, "维修需要18天"));
    }

    #[test]
    fn opening_hours_are_asked_for_and_stated() {
        let asked = [
            "What are your opening hours?",
            "when are you open",
            "what time do you close on saturday",
            "Is the Leeds shop open on Monday?",
            "你们几点开门？",
            "周日开门吗？",
            "营业时间",
        ];
        for question in asked {
            assert_eq!(wanted(question), Some(AnswerKind::OpeningHours), "{question}");
        }
        for question in
            ["How do I open the tent bag?", "我已经打开了包装还能退吗", "How many hours does the lamp burn?"]
        {
            assert_ne!(wanted(question), Some(AnswerKind::OpeningHours), "{question}");
        }
        let stated = |text| has(AnswerKind::OpeningHours, text);
        assert!(
            stated("Tuesday to Sunday 10:00 - 17:30") && stated("周一至周五9:30至18:00") && stated("Mon-Fri 9am-5pm")
        );
        assert!(!stated("We are closed on Sunday.") && !stated("Boil for 5 to 10 minutes.") && !stated("1:50 - 1:60"));
    }

    #[test]
    fn a_quantity_falls_into_its_range() {
        assert_eq!(in_range("0.3公斤多少钱", "0.5公斤以内"), Some(true));
        assert_eq!(in_range("直邮三公斤的包裹", "2至4公斤"), Some(true));
        assert_eq!(in_range("a parcel of 800 g", "0.5-2 kg"), Some(true));
        assert_eq!(in_range("a parcel of 3 kg", "up to 2 kg"), Some(false));
        assert_eq!(in_range("a parcel of 3 kg", "Laptops"), None);
        assert_eq!(in_range("order of 30 euro", "2-5 kg"), None);
    }
}
