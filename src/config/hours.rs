//! When people answer: hours per weekday in the shop's time zone, and holidays.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::message::{Language, Timestamp};

/// Days that are looked at for the next opening: a shop that is closed for longer says nothing.
const DAYS_AHEAD: u64 = 60;
const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

/// When people answer, as `shop.toml` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupportHours {
    /// IANA name, for example `Europe/Brussels`.
    pub timezone: String,
    /// `mon` to `sun`.
    pub days: Vec<String>,
    /// `09:00`.
    pub from: String,
    /// `18:00`.
    pub to: String,
    /// Other times on single weekdays, for example `sat = ["10:00-14:00"]`; an empty list: closed.
    #[serde(default)]
    pub other: BTreeMap<String, Vec<String>>,
    /// Dates on which nobody answers, for example `2026-12-25`.
    #[serde(default)]
    pub holidays: Vec<String>,
}

/// The moment at which a day ends in a time zone; in UTC where the zone is not known.
pub fn end_of_day(day: NaiveDate, zone: Option<&str>) -> Option<Timestamp> {
    let zone: Tz = zone.and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
    // Where midnight is skipped by the clocks, the day ends an hour later.
    let next = day.succ_opt()?;
    let midnight =
        [0, 1].into_iter().find_map(|hour| zone.from_local_datetime(&next.and_hms_opt(hour, 0, 0)?).earliest());
    midnight.map(|midnight| midnight.to_utc())
}

/// The day that ends at `end`, the reverse of `end_of_day`.
pub fn day_ending_at(end: Timestamp, zone: Option<&str>) -> NaiveDate {
    let zone: Tz = zone.and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
    (end - TimeDelta::minutes(90)).with_timezone(&zone).date_naive()
}

/// The same, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenHours {
    zone: Tz,
    /// Opening and closing times, in order, by weekday from Monday.
    week: [Vec<(NaiveTime, NaiveTime)>; 7],
    holidays: BTreeSet<NaiveDate>,
}

impl OpenHours {
    /// Checks what a shop wrote; the error says what to mend.
    pub fn new(hours: &SupportHours) -> Result<Self, String> {
        let zone = hours.timezone.parse().map_err(|_| {
            format!("support_hours: timezone {:?} is not known; write one like \"Europe/London\"", hours.timezone)
        })?;
        let mut week: [Vec<(NaiveTime, NaiveTime)>; 7] = Default::default();
        let usual = span(&hours.from, &hours.to)?;
        for day in &hours.days {
            week[weekday(day)?].push(usual);
        }
        for (day, spans) in &hours.other {
            let spans = spans.iter().map(|text| {
                let (from, to) = text
                    .split_once('-')
                    .ok_or_else(|| format!("support_hours: {text:?} must be two times such as \"10:00-14:00\""))?;
                span(from, to)
            });
            let mut spans: Vec<_> = spans.collect::<Result<_, _>>()?;
            spans.sort_unstable();
            week[weekday(day)?] = spans;
        }
        let date = |text: &String| {
            text.parse().map_err(|_| format!("support_hours: holiday {text:?} must be a date such as \"2026-12-25\""))
        };
        let holidays = hours.holidays.iter().map(date).collect::<Result<_, String>>()?;
        Ok(Self { zone, week, holidays })
    }

    fn spans(&self, date: NaiveDate) -> &[(NaiveTime, NaiveTime)] {
        if self.holidays.contains(&date) {
            return &[];
        }
        &self.week[date.weekday().num_days_from_monday() as usize]
    }

    /// The moments at which people come and go on `date`.
    fn open_on(&self, date: NaiveDate) -> impl Iterator<Item = (DateTime<Tz>, DateTime<Tz>)> {
        // A time that a change of clocks skips is taken an hour later.
        let moment = move |time: NaiveTime| {
            let local = date.and_time(time);
            self.zone
                .from_local_datetime(&local)
                .earliest()
                .or_else(|| self.zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest())
        };
        self.spans(date).iter().filter_map(move |(from, to)| Some((moment(*from)?, moment(*to)?)))
    }

    fn today(&self, at: Timestamp) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// Whether people answer at `at`.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.open_on(self.today(at)).any(|(from, to)| from <= at && at < to)
    }

    /// When people are there next, from `at` on; `None` when they are not for two months.
    pub fn next_opening(&self, at: Timestamp) -> Option<DateTime<Tz>> {
        let today = self.today(at);
        (0..DAYS_AHEAD)
            .filter_map(|days| today.checked_add_days(Days::new(days)))
            .find_map(|date| self.open_on(date).map(|(from, _)| from).find(|from| *from > at))
    }

    /// How much of the time from `from` to `to` people were there.
    pub fn open_between(&self, from: Timestamp, to: Timestamp) -> TimeDelta {
        let (mut date, last, mut open) = (self.today(from), self.today(to), TimeDelta::zero());
        while date <= last {
            for (opens, closes) in self.open_on(date) {
                let (start, end) = (opens.to_utc().max(from), closes.to_utc().min(to));
                open += (end - start).max(TimeDelta::zero());
            }
            let Some(next) = date.succ_opt() else { break };
            date = next;
        }
        open
    }

    /// When people are back, as the bot says it at `at`: `tomorrow at 08:30 (London time)`.
    pub fn back(&self, at: Timestamp, language: Language) -> Option<String> {
        let opening = self.next_opening(at)?;
        let days = (opening.date_naive() - self.today(at)).num_days();
        let time = opening.format("%H:%M");
        let city = self.zone.name().rsplit('/').next().unwrap_or_default().replace('_', " ");
        let (month, day) = (opening.month(), opening.day());
        Some(match language {
            Language::En => {
                let date = match days {
                    0 => "today".to_owned(),
                    1 => "tomorrow".to_owned(),
                    2..7 => format!("on {}", opening.format("%A")),
                    _ => format!("on {day} {}", opening.format("%B")),
                };
                format!("{date} at {time} ({city} time)")
            }
            Language::Zh => {
                let city = city_in_chinese(&city).map_or_else(|| opening.format("UTC%:z ").to_string(), str::to_owned);
                let weekdays = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];
                let date = match days {
                    0 => "今天".to_owned(),
                    1 => "明天".to_owned(),
                    2..7 => weekdays[opening.weekday().num_days_from_monday() as usize].to_owned(),
                    _ => format!("{month}月{day}日"),
                };
                format!("{date}{time}（{city}时间）")
            }
        })
    }
}

/// A city that gives a time zone its name. Of other zones Chinese readers are told the distance from UTC.
fn city_in_chinese(city: &str) -> Option<&'static str> {
    const CITIES: [(&str, &str); 40] = [
        ("Amsterdam", "阿姆斯特丹"),
        ("Athens", "雅典"),
        ("Auckland", "奥克兰"),
        ("Bangkok", "曼谷"),
        ("Berlin", "柏林"),
        ("Brussels", "布鲁塞尔"),
        ("Chicago", "芝加哥"),
        ("Copenhagen", "哥本哈根"),
        ("Denver", "丹佛"),
        ("Dubai", "迪拜"),
        ("Dublin", "都柏林"),
        ("Helsinki", "赫尔辛基"),
        ("Hong Kong", "香港"),
        ("Istanbul", "伊斯坦布尔"),
        ("Jakarta", "雅加达"),
        ("Kuala Lumpur", "吉隆坡"),
        ("Lisbon", "里斯本"),
        ("London", "伦敦"),
        ("Los Angeles", "洛杉矶"),
        ("Macau", "澳门"),
        ("Madrid", "马德里"),
        ("Manila", "马尼拉"),
        ("Melbourne", "墨尔本"),
        ("Moscow", "莫斯科"),
        ("New York", "纽约"),
        ("Oslo", "奥斯陆"),
        ("Paris", "巴黎"),
        ("Prague", "布拉格"),
        ("Rome", "罗马"),
        ("Sao Paulo", "圣保罗"),
        ("Seoul", "首尔"),
        ("Shanghai", "北京"),
        ("Singapore", "新加坡"),
        ("Stockholm", "斯德哥尔摩"),
        ("Sydney", "悉尼"),
        ("Taipei", "台北"),
        ("Tokyo", "东京"),
        ("Toronto", "多伦多"),
        ("Vienna", "维也纳"),
        ("Zurich", "苏黎世"),
    ];
    CITIES.iter().find(|(english, _)| *english == city).map(|(_, chinese)| *chinese)
}

fn weekday(name: &str) -> Result<usize, String> {
    let known = WEEK.iter().find(|(short, _)| name.eq_ignore_ascii_case(short));
    known
        .map(|(_, day)| day.num_days_from_monday() as usize)
        .ok_or_else(|| format!("support_hours: {name:?} is no day; write mon, tue, wed, thu, fri, sat or sun"))
}

fn span(from: &str, to: &str) -> Result<(NaiveTime, NaiveTime), String> {
    let (opens, closes) = (time(from)?, time(to)?);
    if opens >= closes {
        return Err(format!("support_hours: {from} to {to} must end on the day on which it begins"));
    }
    Ok((opens, closes))
}

/// `24:00` is the last moment of a day.
fn time(text: &str) -> Result<NaiveTime, String> {
    let text = text.trim();
    if text == "24:00" {
        return Ok(NaiveTime::from_hms_opt(23, 59, 59).unwrap_or_default());
    }
    NaiveTime::parse_from_str(text, "%H:%M")
        .map_err(|_| format!("support_hours: {text:?} is no time; write one such as \"08:30\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours() -> OpenHours {
        let text = "timezone = \"Europe/London\"\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\n\
                    from = \"08:30\"\nto = \"17:30\"\nother = { sat = [\"14:00-16:00\", \"10:00-12:00\"], wed = [] }\n\
                    holidays = [\"2026-12-25\"]\n";
        OpenHours::new(&toml::from_str(text).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_ends_where_the_shop_is() {
        let day = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap();
        let end = |zone| end_of_day(day, zone).unwrap().to_rfc3339();
        assert_eq!(end(Some("Asia/Shanghai")), "2026-12-31T16:00:00+00:00");
        assert_eq!(end(None), "2027-01-01T00:00:00+00:00");
        for zone in [Some("Asia/Shanghai"), Some("America/New_York"), Some("nowhere"), None] {
            assert_eq!(day_ending_at(end_of_day(day, zone).unwrap(), zone), day, "{zone:?}");
        }
    }

    #[test]
    fn people_are_there_by_weekday_zone_and_holiday() {
        let hours = hours();
        // British summer time: 07:30 in UTC is 08:30.
        for (open, moment) in [
            (true, "2026-07-06T07:30:00Z"),
            (false, "2026-07-06T07:29:59Z"),
            (false, "2026-07-06T16:30:00Z"),
            (true, "2026-11-27T08:30:00Z"),
            (false, "2026-11-27T07:30:00Z"),
            (true, "2026-11-28T11:00:00Z"),
            (false, "2026-11-28T13:00:00Z"),
            (true, "2026-11-28T15:00:00Z"),
            (false, "2026-11-25T12:00:00Z"),
            (false, "2026-12-25T12:00:00Z"),
        ] {
            assert_eq!(hours.is_open(at(moment)), open, "{moment}");
        }
    }

    #[test]
    fn the_bot_says_when_people_are_back() {
        let hours = hours();
        let says = |moment, language| hours.back(at(moment), language).unwrap();
        assert_eq!(says("2026-11-27T07:00:00Z", Language::En), "today at 08:30 (London time)");
        assert_eq!(says("2026-11-27T20:00:00Z", Language::En), "tomorrow at 10:00 (London time)");
        assert_eq!(says("2026-11-28T20:00:00Z", Language::En), "on Monday at 08:30 (London time)");
        assert_eq!(says("2026-11-28T20:00:00Z", Language::Zh), "周一08:30（伦敦时间）");
        assert_eq!(says("2026-12-24T20:00:00Z", Language::Zh), "周六10:00（伦敦时间）");
        assert_eq!(says("2026-11-28T12:30:00Z", Language::Zh), "今天14:00（伦敦时间）");
    }

    #[test]
    fn a_wait_counts_only_while_people_are_there() {
        let hours = hours();
        let open = |from, to| hours.open_between(at(from), at(to)).num_minutes();
        assert_eq!(open("2026-11-27T17:00:00Z", "2026-11-28T10:15:00Z"), 45);
        assert_eq!(open("2026-11-28T16:30:00Z", "2026-11-30T08:00:00Z"), 0);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_write() {
        let wrong = |line: &str| {
            let text =
                format!("timezone = \"Europe/London\"\ndays = [\"mon\"]\nfrom = \"08:30\"\nto = \"17:30\"\n{line}");
            OpenHours::new(&toml::from_str(&text).unwrap()).unwrap_err()
        };
        assert!(wrong("holidays = [\"25.12.\"]").contains("2026-12-25"));
        assert!(wrong("other = { sat = [\"10\"] }").contains("10:00-14:00"));
        assert!(wrong("other = { sam = [] }").contains("mon, tue"));
        assert!(wrong("other = { sat = [\"22:00-02:00\"] }").contains("must end"));
    }
}
