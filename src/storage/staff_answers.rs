//! Answers that staff wrote because the bot had none or a wrong one, and the questions that stand behind them.

use std::collections::HashMap;

use sqlx::{Row, any::AnyRow};

use super::{Result, Store, WriteTransaction, from_json, millis, parse_language, parse_name, timestamp};
use crate::message::{Language, Reply, Timestamp, UnknownName};

/// What became of a staff answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerState {
    /// A merchant has to decide.
    Proposed,
    /// The bot answers so.
    Live,
    /// A merchant refused it.
    Rejected,
    /// It was live and is not any more.
    Withdrawn,
}

impl AnswerState {
    const ALL: [Self; 4] = [Self::Proposed, Self::Live, Self::Rejected, Self::Withdrawn];

    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl std::str::FromStr for AnswerState {
    type Err = UnknownName;
    fn from_str(value: &str) -> std::result::Result<Self, Self::Err> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == value);
        state.ok_or_else(|| UnknownName { what: "state of an answer", value: value.to_owned() })
    }
}

/// A staff answer as it goes in.
#[derive(Debug, Clone)]
pub struct NewStaffAnswer<'a> {
    /// The question, masked.
    pub question: &'a str,
    /// The right answer.
    pub answer: &'a str,
    /// Language of both.
    pub language: Language,
    /// `Live` for people whose answers need no approval.
    pub state: AnswerState,
    /// The bot's reply that was wrong, or did not answer.
    pub message_id: Option<i64>,
    /// Name of who wrote it.
    pub author: &'a str,
    /// Now.
    pub at: Timestamp,
}

/// A staff answer in the store.
#[derive(Debug, Clone)]
pub struct StaffAnswer {
    /// Row id.
    pub id: i64,
    /// The question, masked.
    pub question: String,
    /// The right answer.
    pub answer: String,
    /// Language of both.
    pub language: Language,
    /// What became of it.
    pub state: AnswerState,
    /// The reply that was wrong, while its conversation is kept.
    pub message_id: Option<i64>,
    /// That conversation.
    pub conversation_id: Option<i64>,
    /// What the bot had said there.
    pub said: Option<String>,
    /// Name of who wrote it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
    /// Name of who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// What came of asking the question again.
    pub check: Option<AnswerCheck>,
}

/// What came of asking a question again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerCheck {
    /// When.
    pub at: Timestamp,
    /// The reply has the answer.
    pub is_right: bool,
    /// The reply.
    pub reply: String,
}

/// A reply of the bot, with what tells whether it answered.
#[derive(Debug, Clone)]
pub struct JudgedReply {
    /// The message.
    pub message_id: i64,
    /// Its conversation.
    pub conversation_id: i64,
    /// What the shopper had written.
    pub question: String,
    /// The reply.
    pub reply: Reply,
    /// What the shopper's tap said of it.
    pub rating: Option<bool>,
    /// Staff called it wrong.
    pub is_wrong: bool,
    /// When.
    pub at: Timestamp,
}

/// A question that staff dismissed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DismissedQuestion {
    /// Row id.
    pub id: i64,
    /// The question, masked.
    pub question: String,
    /// Its language.
    pub language: Language,
    /// Name of who dismissed it.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// Columns of a judged reply.
const JUDGED: &str = "SELECT messages.id, messages.conversation_id, messages.reply_json, messages.rating, messages.at,
         (SELECT text FROM messages AS asked WHERE asked.conversation_id = messages.conversation_id
              AND asked.id < messages.id AND asked.author = 'shopper' ORDER BY asked.id DESC LIMIT 1) AS question,
         (SELECT COUNT(*) FROM wrong_replies WHERE message_id = messages.id) AS wrong
     FROM messages WHERE author = 'bot' AND reply_json IS NOT NULL";

impl Store {
    /// Keeps a staff answer; the reply that it corrects is called wrong with it.
    pub async fn add_staff_answer(&self, new: &NewStaffAnswer<'_>) -> Result<i64> {
        let mut tx = self.write().await?;
        let decided = (new.state == AnswerState::Live).then_some(new.author);
        let row = sqlx::query(
            "INSERT INTO staff_answers
                 (question, answer, language, state, message_id, author, created_at, decided_by, decided_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        )
        .bind(new.question)
        .bind(new.answer)
        .bind(new.language.as_str())
        .bind(new.state.as_str())
        .bind(new.message_id)
        .bind(new.author)
        .bind(millis(new.at))
        .bind(decided)
        .bind(decided.map(|_| millis(new.at)))
        .fetch_one(&mut *tx.connection)
        .await?;
        if let Some(message_id) = new.message_id {
            tx.mark_wrong(message_id, new.author, new.at).await?;
        }
        tx.commit().await?;
        Ok(row.try_get("id")?)
    }

    /// Calls a reply wrong.
    pub async fn mark_wrong(&self, message_id: i64, author: &str, at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        tx.mark_wrong(message_id, author, at).await?;
        tx.commit().await
    }

    /// All staff answers, latest first.
    pub async fn staff_answers(&self) -> Result<Vec<StaffAnswer>> {
        let rows = sqlx::query(
            "SELECT staff_answers.*, messages.conversation_id, messages.text AS said FROM staff_answers
             LEFT JOIN messages ON messages.id = staff_answers.message_id ORDER BY staff_answers.id DESC",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(answer_from_row).collect()
    }

    /// How many staff answers wait for a decision.
    pub async fn proposed_count(&self) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) AS proposed FROM staff_answers WHERE state = 'proposed'")
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get("proposed")?)
    }

    /// Changes a staff answer's words and state; what was found by asking again is then not known any more. `false`
    /// where it is not in one of the states `from`, for example because a colleague was faster.
    pub async fn decide_staff_answer(
        &self,
        id: i64,
        from: &[AnswerState],
        to: AnswerState,
        words: (&str, &str, Language),
        by: (&str, Timestamp),
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        let row = sqlx::query("SELECT state FROM staff_answers WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *tx.connection)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let state: AnswerState = parse_name("state of an answer", row.try_get("state")?)?;
        if !from.contains(&state) {
            return Ok(false);
        }
        let (question, answer, language) = words;
        sqlx::query(
            "UPDATE staff_answers SET state = $2, question = $3, answer = $4, language = $5, decided_by = $6,
                 decided_at = $7, checked_at = NULL, check_right = NULL, check_reply = NULL WHERE id = $1",
        )
        .bind(id)
        .bind(to.as_str())
        .bind(question)
        .bind(answer)
        .bind(language.as_str())
        .bind(by.0)
        .bind(millis(by.1))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes all live staff answers back, as when their document is deleted.
    pub async fn withdraw_staff_answers(&self, by: &str, at: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE staff_answers SET state = 'withdrawn', decided_by = $1, decided_at = $2 WHERE state = 'live'",
        )
        .bind(by)
        .bind(millis(at))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Notes what came of asking a question again, unless its answer has been changed since.
    pub async fn note_answer_check(&self, answer: &StaffAnswer, check: &AnswerCheck) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE staff_answers SET checked_at = $3, check_right = $4, check_reply = $5
             WHERE id = $1 AND answer = $2 AND state = 'live'",
        )
        .bind(answer.id)
        .bind(&answer.answer)
        .bind(millis(check.at))
        .bind(i64::from(check.is_right))
        .bind(&check.reply)
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// The replies of a conversation that staff called wrong, each with what became of the latest answer to it.
    pub async fn wrong_replies(&self, conversation_id: i64) -> Result<HashMap<i64, Option<AnswerState>>> {
        let rows = sqlx::query(
            "SELECT wrong_replies.message_id, (SELECT state FROM staff_answers
                 WHERE message_id = wrong_replies.message_id ORDER BY id DESC LIMIT 1) AS state
             FROM wrong_replies JOIN messages ON messages.id = wrong_replies.message_id
             WHERE messages.conversation_id = $1",
        )
        .bind(conversation_id)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let state: Option<String> = row.try_get("state")?;
                let state = state.map(|state| parse_name("state of an answer", &state)).transpose()?;
                Ok((row.try_get("message_id")?, state))
            })
            .collect()
    }

    /// A reply of the bot with the question before it.
    pub async fn judged_reply(&self, message_id: i64) -> Result<Option<JudgedReply>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{JUDGED} AND messages.id = $1")))
            .bind(message_id)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(judged_from_row).transpose()
    }

    /// The latest replies of the bot, latest first, with the questions before them.
    pub async fn judged_replies(&self, limit: i64) -> Result<Vec<JudgedReply>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{JUDGED} ORDER BY messages.id DESC LIMIT $1")))
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(judged_from_row).collect()
    }

    /// Calls a question none of the shop's; twice is once.
    pub async fn dismiss_question(
        &self,
        question: &str,
        language: Language,
        author: &str,
        at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO dismissed_questions (question, language, author, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (question, language) DO NOTHING",
        )
        .bind(question)
        .bind(language.as_str())
        .bind(author)
        .bind(millis(at))
        .execute(&mut *tx.connection)
        .await?;
        tx.commit().await
    }

    /// Takes a dismissal back; `false` when there is none.
    pub async fn restore_question(&self, id: i64) -> Result<bool> {
        let mut tx = self.write().await?;
        let deleted =
            sqlx::query("DELETE FROM dismissed_questions WHERE id = $1").bind(id).execute(&mut *tx.connection).await?;
        tx.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// The questions that were dismissed, latest first.
    pub async fn dismissed_questions(&self) -> Result<Vec<DismissedQuestion>> {
        let rows = sqlx::query("SELECT * FROM dismissed_questions ORDER BY id DESC").fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(DismissedQuestion {
                    id: row.try_get("id")?,
                    question: row.try_get("question")?,
                    language: parse_language(row.try_get("language")?)?,
                    author: row.try_get("author")?,
                    at: timestamp(row, "at")?,
                })
            })
            .collect()
    }
}

impl WriteTransaction<'_> {
    async fn mark_wrong(&mut self, message_id: i64, author: &str, at: Timestamp) -> Result<()> {
        sqlx::query(
            "INSERT INTO wrong_replies (message_id, author, at) VALUES ($1, $2, $3)
             ON CONFLICT (message_id) DO NOTHING",
        )
        .bind(message_id)
        .bind(author)
        .bind(millis(at))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

fn answer_from_row(row: &AnyRow) -> Result<StaffAnswer> {
    let time = |column| {
        Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.and_then(Timestamp::from_timestamp_millis))
    };
    let check = match time("checked_at")? {
        Some(at) => Some(AnswerCheck {
            at,
            is_right: row.try_get::<Option<i64>, _>("check_right")? == Some(1),
            reply: row.try_get::<Option<String>, _>("check_reply")?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(StaffAnswer {
        id: row.try_get("id")?,
        question: row.try_get("question")?,
        answer: row.try_get("answer")?,
        language: parse_language(row.try_get("language")?)?,
        state: parse_name("state of an answer", row.try_get("state")?)?,
        message_id: row.try_get("message_id")?,
        conversation_id: row.try_get("conversation_id")?,
        said: row.try_get("said")?,
        author: row.try_get("author")?,
        created_at: timestamp(row, "created_at")?,
        decided_by: row.try_get("decided_by")?,
        decided_at: time("decided_at")?,
        check,
    })
}

fn judged_from_row(row: &AnyRow) -> Result<JudgedReply> {
    Ok(JudgedReply {
        message_id: row.try_get("id")?,
        conversation_id: row.try_get("conversation_id")?,
        question: row.try_get::<Option<String>, _>("question")?.unwrap_or_default(),
        reply: from_json("reply", row.try_get("reply_json")?)?,
        rating: row.try_get::<Option<i64>, _>("rating")?.map(|rating| rating > 0),
        is_wrong: row.try_get::<i64, _>("wrong")? > 0,
        at: timestamp(row, "at")?,
    })
}
