//! The answers that staff wrote, as a document of their own: a table of questions and answers that is read like any
//! other file, so that the bot finds and cites it as one.

use super::{
    FileKind,
    import::{ImportError, Importer},
};
use crate::{
    message::Timestamp,
    storage::{AnswerState, StaffAnswer},
};

/// Name of the document.
pub const STAFF_ANSWERS: &str = "staff answers.csv";

impl Importer {
    /// Makes the document anew from the answers that are live; without any, there is none.
    pub async fn publish_staff_answers(&self, at: Timestamp) -> Result<(), ImportError> {
        // One after the other: an older list must not take the place of a newer one.
        let _turn = self.staff_answers.lock().await;
        let mut live = self.store().staff_answers().await?;
        live.retain(|answer| answer.state == AnswerState::Live);
        if live.is_empty() {
            if self.store().documents().await?.iter().any(|document| document.name == STAFF_ANSWERS) {
                self.store().delete_document(STAFF_ANSWERS).await?;
            }
            return Ok(());
        }
        live.sort_by_key(|answer| answer.id);
        let bytes = table(&live).into_bytes();
        self.import_bytes(STAFF_ANSWERS, bytes, Some(FileKind::QuestionsAnswers), at).await?;
        Ok(())
    }
}

/// The answers as CSV. Of two answers to the very same question the later one holds.
fn table(answers: &[StaffAnswer]) -> String {
    let mut csv = String::from("question,answer\n");
    for (at, answer) in answers.iter().enumerate() {
        if answers[at + 1..].iter().all(|later| !same_words(&later.question, &answer.question)) {
            csv.push_str(&format!("{},{}\n", quoted(&answer.question), quoted(&answer.answer)));
        }
    }
    csv
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Whether two questions differ in nothing but case, spaces and punctuation.
pub fn same_words(one: &str, other: &str) -> bool {
    let letters =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    letters(one) == letters(other)
}

/// Whether a reply says an answer; white space aside.
pub fn says(reply: &str, answer: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    squeezed(reply).contains(&squeezed(answer))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::{
        knowledge::{BlockKind, read_document},
        message::Language,
    };

    fn answer(id: i64, question: &str, answer: &str) -> StaffAnswer {
        StaffAnswer {
            id,
            question: question.to_owned(),
            answer: answer.to_owned(),
            language: Language::En,
            state: AnswerState::Live,
            message_id: None,
            conversation_id: None,
            said: None,
            author: "Ana".to_owned(),
            created_at: Utc::now(),
            decided_by: None,
            decided_at: None,
            check: None,
        }
    }

    #[test]
    fn the_table_is_read_as_questions_and_answers_whatever_they_contain() {
        let answers = [
            answer(1, "Do you ship to Malta?", "No."),
            answer(2, "Is \"express\" free; or not, then?", "It costs 5.90.\nAlways, \"everywhere\"."),
            answer(3, "do you ship to malta", "Yes, from 2027 on."),
            answer(4, "可以用支付宝吗？", "可以，支付宝和微信都可以。"),
        ];
        let document = read_document(STAFF_ANSWERS, table(&answers).as_bytes()).unwrap();
        let read: Vec<(&str, &str)> = document
            .blocks
            .iter()
            .map(|block| match &block.kind {
                BlockKind::QuestionAnswer { question } => (question.as_str(), block.text.as_str()),
                kind => panic!("{kind:?}"),
            })
            .collect();
        assert_eq!(read[0].0, answers[1].question);
        assert!(says(read[0].1, &answers[1].answer), "{}", read[0].1);
        assert_eq!(
            read[1..],
            [("do you ship to malta", "Yes, from 2027 on."), ("可以用支付宝吗？", "可以，支付宝和微信都可以。")]
        );
    }
}
