//! The figures of the outcome page: the span of days, shares with their confidence, and the chart's geometry.

use std::{collections::BTreeMap, ops::Range};

use chrono::{Days, NaiveDate};
use serde::Deserialize;

use super::layout::query_value;
use crate::{
    message::Timestamp,
    storage::{OutcomeRow, Outcomes},
};

/// The 97.5th percentile of the standard normal distribution, for intervals of 95 %.
const Z: f64 = 1.959_964;
/// Spans that are offered, in days; the second is taken where none is asked for.
pub(super) const SPANS: [u64; 3] = [7, 30, 90];
const SPAN_DEFAULT: u64 = SPANS[1];
/// Longest span, in days.
const SPAN_DAYS_MAX: u64 = 366;
/// Height of the chart in its own units; each day is `BAR` wide, with a gap.
pub(super) const CHART_HEIGHT: f64 = 100.0;
const BAR: f64 = 8.0;
const BAR_STEP: f64 = 10.0;

/// What the address says of the span: so many days up to today, or from one day to another, both included.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct SpanQuery {
    pub(super) days: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// Whole days in UTC, the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: NaiveDate,
    pub(super) last: NaiveDate,
    /// The offered span that it is.
    pub(super) offered: Option<u64>,
}

impl SpanQuery {
    /// The span that is asked for; nonsense means the usual one.
    pub(super) fn span(&self, today: NaiveDate) -> Span {
        let day = |text: &str| text.parse::<NaiveDate>().ok();
        if let Some(first) = day(&self.from) {
            let last = day(&self.to).unwrap_or(today);
            let length = (last - first).num_days();
            if (0..SPAN_DAYS_MAX as i64).contains(&length) {
                return Span { first, last, offered: None };
            }
        }
        let asked = self.days.parse().ok().filter(|days| SPANS.contains(days));
        let days = asked.unwrap_or(SPAN_DEFAULT);
        let first = today.checked_sub_days(Days::new(days - 1)).unwrap_or(today);
        Span { first, last: today, offered: Some(days) }
    }
}

impl Span {
    /// From the beginning of the first day to the end of the last.
    pub(super) fn range(&self) -> Range<Timestamp> {
        let beginning = |day: NaiveDate| day.and_hms_opt(0, 0, 0).unwrap_or_default().and_utc();
        beginning(self.first)..beginning(self.last.checked_add_days(Days::new(1)).unwrap_or(self.last))
    }

    pub(super) fn days(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let last = self.last;
        self.first.iter_days().take_while(move |day| *day <= last)
    }

    /// The span as it stands in an address.
    pub(super) fn address(&self) -> String {
        self.offered.map_or_else(
            || format!("from={}&to={}", query_value(&self.first.to_string()), query_value(&self.last.to_string())),
            |days| format!("days={days}"),
        )
    }
}

/// A part of a whole with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    pub(super) count: i64,
    pub(super) of: i64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Share {
    /// Wilson's score interval (E. B. Wilson, 1927), which holds also for few cases and for shares near 0 and 1.
    pub(super) fn new(count: i64, of: i64) -> Self {
        if of <= 0 {
            return Self { count, of, low: 0.0, high: 1.0 };
        }
        let (n, share) = (of as f64, count as f64 / of as f64);
        let scale = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / scale;
        let margin = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
        Self { count, of, low: (middle - margin).max(0.0), high: (middle + margin).min(1.0) }
    }

    /// `None` where there is nothing to have a share of.
    pub(super) fn value(&self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }

    /// As `43 %`.
    pub(super) fn percent(&self) -> String {
        self.value().map_or_else(|| "–".to_owned(), percent)
    }

    /// As `38–48 %`.
    pub(super) fn interval(&self) -> String {
        if self.of > 0 { format!("{:.0}–{:.0} %", self.low * 100.0, self.high * 100.0) } else { String::new() }
    }

    /// A hundredth part for the chart beside it.
    pub(super) fn width(&self) -> String {
        format!("{:.1}", self.value().unwrap_or_default() * 100.0)
    }

    pub(super) fn low_at(&self) -> String {
        format!("{:.1}", self.low * 100.0)
    }

    pub(super) fn interval_width(&self) -> String {
        format!("{:.1}", (self.high - self.low) * 100.0)
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A span of time as `840 ms`, `1.2 s`, `3 min` or `2 h`.
pub(super) fn duration(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..100_000 => format!("{:.1} s", ms as f64 / 1e3),
        100_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// Outcomes of one day, channel or language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) outcomes: Outcomes,
}

impl Group {
    pub(super) fn answered(&self) -> Share {
        Share::new(self.outcomes.answered(), self.outcomes.total())
    }

    pub(super) fn declined(&self) -> Share {
        Share::new(self.outcomes.declined, self.outcomes.total())
    }

    pub(super) fn handed_over(&self) -> Share {
        Share::new(self.outcomes.handed_over, self.outcomes.total())
    }

    pub(super) fn satisfied(&self) -> Share {
        Share::new(self.outcomes.satisfied, self.outcomes.rated)
    }
}

/// The rows added up by a key, in its order.
pub(super) fn grouped<K: Ord>(
    rows: &[OutcomeRow],
    key: impl Fn(&OutcomeRow) -> K,
    name: impl Fn(&K) -> String,
) -> Vec<Group> {
    let mut groups = BTreeMap::<K, Outcomes>::new();
    for row in rows {
        *groups.entry(key(row)).or_default() += row.outcomes;
    }
    groups.into_iter().map(|(key, outcomes)| Group { name: name(&key), outcomes }).collect()
}

/// Every day of the span, also those on which nobody wrote.
pub(super) fn by_day(rows: &[OutcomeRow], span: &Span) -> Vec<Group> {
    let mut days: BTreeMap<NaiveDate, Outcomes> = span.days().map(|day| (day, Outcomes::default())).collect();
    for row in rows {
        let day = NaiveDate::default().checked_add_days(Days::new(row.day.unsigned_abs()));
        if let Some(outcomes) = day.and_then(|day| days.get_mut(&day)) {
            *outcomes += row.outcomes;
        }
    }
    days.into_iter().map(|(day, outcomes)| Group { name: day.to_string(), outcomes }).collect()
}

/// One piece of a bar, in the chart's units.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) class: &'static str,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The bars of the days, each stacked from the bottom, and the chart's width.
pub(super) fn bars(days: &[Group]) -> (Vec<Piece>, f64) {
    let highest = days.iter().map(|day| day.outcomes.total()).max().unwrap_or_default().max(1) as f64;
    let mut pieces = Vec::new();
    for (index, day) in days.iter().enumerate() {
        let mut y = CHART_HEIGHT;
        let o = day.outcomes;
        for (class, count) in [
            ("answered", o.answered()),
            ("abandoned", o.abandoned),
            ("declined", o.declined),
            ("handed-over", o.handed_over),
        ] {
            let height = count as f64 / highest * CHART_HEIGHT;
            y -= height;
            if count > 0 {
                pieces.push(Piece { class, x: index as f64 * BAR_STEP, y, width: BAR, height });
            }
        }
    }
    (pieces, days.len() as f64 * BAR_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Channel, Language};

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (count, of, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let share = Share::new(count, of);
            assert!((share.low - low).abs() < 1e-4 && (share.high - high).abs() < 1e-4, "{share:?}");
        }
        assert_eq!((Share::new(0, 0).percent(), Share::new(0, 0).interval()), ("–".to_owned(), String::new()));
    }

    #[test]
    fn a_span_has_whole_days_and_nonsense_means_the_usual_one() {
        let today = day("2026-03-10");
        let span = |days: &str, from: &str, to: &str| {
            let query = SpanQuery { days: days.into(), from: from.into(), to: to.into() };
            let span = query.span(today);
            (span.first.to_string(), span.last.to_string(), span.offered)
        };
        let usual = ("2026-02-09".to_owned(), "2026-03-10".to_owned(), Some(30));
        assert_eq!(span("", "", ""), usual);
        assert_eq!(span("-1", "x", ""), usual);
        assert_eq!(span("", "2026-03-09", "2026-03-01"), usual);
        assert_eq!(span("", "1026-03-09", "2026-03-01"), usual);
        assert_eq!(span("7", "", ""), ("2026-03-04".to_owned(), "2026-03-10".to_owned(), Some(7)));
        assert_eq!(span("", "2026-03-01", "2026-03-01"), ("2026-03-01".to_owned(), "2026-03-01".to_owned(), None));
        let one = SpanQuery { from: "2026-03-01".into(), to: "2026-03-01".into(), days: String::new() }.span(today);
        assert_eq!((one.range().end - one.range().start).num_hours(), 24);
        assert_eq!(one.address(), "from=2026-03-01&to=2026-03-01");
    }

    #[test]
    fn days_without_visits_are_there_and_bars_add_up_to_the_highest() {
        let outcomes = Outcomes { confirmed: 1, declined: 1, ..Outcomes::default() };
        let row = |day, outcomes| OutcomeRow { day, channel: Channel::Widget, language: Language::En, outcomes };
        let span = Span { first: day("1970-01-02"), last: day("1970-01-04"), offered: None };
        let rows = [row(1, outcomes), row(3, Outcomes { handed_over: 1, ..Outcomes::default() }), row(9, outcomes)];
        let days = by_day(&rows, &span);
        assert_eq!(days.iter().map(|day| day.outcomes.total()).collect::<Vec<_>>(), [2, 0, 1]);
        let (pieces, width) = bars(&days);
        let geometry: Vec<_> = pieces.iter().map(|piece| (piece.class, piece.x, piece.y, piece.height)).collect();
        assert_eq!(
            geometry,
            [("answered", 0.0, 50.0, 50.0), ("declined", 0.0, 0.0, 50.0), ("handed-over", 20.0, 50.0, 50.0)]
        );
        assert!((width - 30.0).abs() < 1e-9);
    }

    #[test]
    fn durations_read_as_a_person_would_say_them() {
        assert_eq!([840, 1_240, 180_000, 9_000_000].map(duration), ["840 ms", "1.2 s", "3 min", "2 h"]);
    }
}
