//! What became of the shoppers' visits in a span of time, as counts by day, channel and language.

use std::ops::Range;

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, millis, parse_language, parse_name, visits::DAY_MS};
use crate::message::{Channel, Language, Timestamp};

/// How many visits ended how. Each visit is counted in exactly one of the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// Answered, and the shopper said that it helped or thanked.
    pub confirmed: i64,
    /// Answered, and nothing speaks against it.
    pub assumed: i64,
    /// Answered, and the shopper came back within 72 hours.
    pub reopened: i64,
    /// Left without an answer, or after saying that it did not help.
    pub abandoned: i64,
    /// The bot could not answer what was asked last.
    pub declined: i64,
    /// Passed to a person.
    pub handed_over: i64,
    /// Visits with a rating that says it helped, and no other.
    pub satisfied: i64,
    /// Visits with any rating.
    pub rated: i64,
}

impl Outcomes {
    /// All visits.
    pub fn total(&self) -> i64 {
        self.answered() + self.abandoned + self.declined + self.handed_over
    }

    /// Those that the bot answered alone.
    pub fn answered(&self) -> i64 {
        self.confirmed + self.assumed + self.reopened
    }
}

impl std::ops::AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.confirmed += other.confirmed;
        self.assumed += other.assumed;
        self.reopened += other.reopened;
        self.abandoned += other.abandoned;
        self.declined += other.declined;
        self.handed_over += other.handed_over;
        self.satisfied += other.satisfied;
        self.rated += other.rated;
    }
}

/// The visits of a day in a channel and a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeRow {
    /// Days since 1970 in UTC.
    pub day: i64,
    /// Where.
    pub channel: Channel,
    /// In which language.
    pub language: Language,
    /// What became of them.
    pub outcomes: Outcomes,
}

/// How often something was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRow {
    /// The intent.
    pub intent: String,
    /// Questions.
    pub asked: i64,
    /// Those of them that were declined.
    pub declined: i64,
}

impl Store {
    /// The visits that began within `span`.
    pub async fn outcomes(&self, span: &Range<Timestamp>) -> Result<Vec<OutcomeRow>> {
        let rows = sqlx::query(
            "SELECT day, channel, language,
                 COUNT(CASE WHEN ending = 'confirmed' THEN 1 END) AS confirmed,
                 COUNT(CASE WHEN ending = 'assumed' THEN 1 END) AS assumed,
                 COUNT(CASE WHEN ending = 'reopened' THEN 1 END) AS reopened,
                 COUNT(CASE WHEN ending = 'abandoned' THEN 1 END) AS abandoned,
                 COUNT(CASE WHEN ending = 'declined' THEN 1 END) AS declined,
                 COUNT(CASE WHEN ending = 'handed_over' THEN 1 END) AS handed_over,
                 COUNT(CASE WHEN good > 0 AND bad = 0 THEN 1 END) AS satisfied,
                 COUNT(CASE WHEN good > 0 OR bad > 0 THEN 1 END) AS rated
             FROM (SELECT began_at / 86400000 AS day, channel, language, good, bad,
                     CASE WHEN handed_over = 1 THEN 'handed_over'
                         WHEN last_reply = 'declined' OR (answered = 0 AND declined > 0) THEN 'declined'
                         WHEN bad > 0 OR last_reply IN ('none', 'asked') THEN 'abandoned'
                         WHEN good > 0 OR thanked = 1 THEN 'confirmed'
                         WHEN next_at - ended_at < 259200000 THEN 'reopened'
                         ELSE 'assumed' END AS ending
                 FROM visits WHERE began_at >= $1 AND began_at < $2) AS judged
             GROUP BY day, channel, language ORDER BY day, channel, language",
        )
        .bind(millis(span.start))
        .bind(millis(span.end))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(outcome_from_row).collect()
    }

    /// The time to the first answer, ms, of the visits that began within `span` and got one: how many there are, and the
    /// value below which each of `quantiles` lies (nearest rank).
    pub async fn first_answer_ms(&self, span: &Range<Timestamp>, quantiles: &[f64]) -> Result<(i64, Vec<i64>)> {
        let row =
            sqlx::query("SELECT COUNT(first_answer_ms) AS visits FROM visits WHERE began_at >= $1 AND began_at < $2")
                .bind(millis(span.start))
                .bind(millis(span.end))
                .fetch_one(&self.pool)
                .await?;
        let visits: i64 = row.try_get("visits")?;
        let mut values = Vec::new();
        for quantile in quantiles {
            let rank = ((visits as f64 * quantile).ceil() as i64).clamp(1, visits.max(1));
            let row = sqlx::query(
                "SELECT first_answer_ms FROM visits
                 WHERE began_at >= $1 AND began_at < $2 AND first_answer_ms IS NOT NULL
                 ORDER BY first_answer_ms LIMIT 1 OFFSET $3",
            )
            .bind(millis(span.start))
            .bind(millis(span.end))
            .bind(rank - 1)
            .fetch_optional(&self.pool)
            .await?;
            values.extend(row.map(|row| row.try_get::<i64, _>("first_answer_ms")).transpose()?);
        }
        Ok((visits, values))
    }

    /// What was asked about most on the days of `span`.
    pub async fn top_topics(&self, span: &Range<Timestamp>, limit: i64) -> Result<Vec<TopicRow>> {
        let rows = sqlx::query(
            "SELECT intent, CAST(SUM(asked) AS BIGINT) AS asked, CAST(SUM(declined) AS BIGINT) AS declined
             FROM asked_topics WHERE day >= $1 AND day < $2
             GROUP BY intent ORDER BY SUM(asked) DESC, intent LIMIT $3",
        )
        .bind(millis(span.start).div_euclid(DAY_MS))
        .bind(millis(span.end).div_euclid(DAY_MS))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let (asked, declined) = (row.try_get("asked")?, row.try_get("declined")?);
                Ok(TopicRow { intent: row.try_get("intent")?, asked, declined })
            })
            .collect()
    }
}

fn outcome_from_row(row: &AnyRow) -> Result<OutcomeRow> {
    let outcomes = Outcomes {
        confirmed: row.try_get("confirmed")?,
        assumed: row.try_get("assumed")?,
        reopened: row.try_get("reopened")?,
        abandoned: row.try_get("abandoned")?,
        declined: row.try_get("declined")?,
        handed_over: row.try_get("handed_over")?,
        satisfied: row.try_get("satisfied")?,
        rated: row.try_get("rated")?,
    };
    Ok(OutcomeRow {
        day: row.try_get("day")?,
        channel: parse_name("channel", row.try_get("channel")?)?,
        language: parse_language(row.try_get("language")?)?,
        outcomes,
    })
}
