//! Questions by what they mean: those that ask the same in other words are one group. Languages stay apart, because each
//! group is answered in its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    inference::{Encoders, InferenceError, QuestionVectors},
    message::Language,
};

/// Questions whose vectors are kept.
const KEPT_MAX: usize = 4_000;
/// From these cosines on, two questions ask the same. Where an English encoder has its say, both are added up.
const ALIKE: f32 = 0.93;
const ALIKE_ENGLISH: f32 = 1.78;

/// The encoders, with what they made of questions lately. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Meanings {
    encoders: Encoders,
    /// std's Mutex: it is never held across an await.
    kept: Arc<Mutex<HashMap<(Language, String), QuestionVectors>>>,
}

impl Meanings {
    /// Meanings by these encoders.
    pub fn new(encoders: Encoders) -> Self {
        Self { encoders, kept: Arc::default() }
    }

    /// For each question the number of its group; groups are numbered in the order in which they appear.
    ///
    /// # Errors
    /// The encoder.
    pub async fn group(&self, questions: &[(Language, String)]) -> Result<Vec<usize>, InferenceError> {
        let vectors = self.vectors(questions).await?;
        let mut groups: Vec<Group> = Vec::new();
        let mut numbers = Vec::with_capacity(questions.len());
        for ((language, _), vectors) in questions.iter().zip(vectors) {
            let alike = groups.iter().enumerate().filter(|(_, group)| group.language == *language);
            let nearest = alike
                .map(|(number, group)| (number, group.surplus(&vectors)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .filter(|(_, surplus)| *surplus >= 0.0);
            match nearest {
                Some((number, _)) => {
                    groups[number].members.push(vectors);
                    numbers.push(number);
                }
                None => {
                    numbers.push(groups.len());
                    groups.push(Group { language: *language, members: vec![vectors] });
                }
            }
        }
        Ok(numbers)
    }

    async fn vectors(&self, questions: &[(Language, String)]) -> Result<Vec<QuestionVectors>, InferenceError> {
        for language in Language::ALL {
            let mut unknown: Vec<String> = {
                let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                let unknown = questions.iter().filter(|key| key.0 == language && !kept.contains_key(*key));
                unknown.map(|(_, text)| text.clone()).collect()
            };
            unknown.sort_unstable();
            unknown.dedup();
            if unknown.is_empty() {
                continue;
            }
            let vectors = self.encoders.embed_questions(unknown.clone(), language == Language::En).await?;
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(unknown.into_iter().map(|text| (language, text)).zip(vectors));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let vectors = questions.iter().map(|key| kept.get(key).cloned().unwrap_or_default()).collect();
        if kept.len() > KEPT_MAX {
            kept.retain(|key, _| questions.contains(key));
        }
        Ok(vectors)
    }
}

/// Questions that ask the same.
struct Group {
    language: Language,
    members: Vec<QuestionVectors>,
}

impl Group {
    /// By how much a question is nearer to the members, on average, than it has to be.
    fn surplus(&self, question: &QuestionVectors) -> f32 {
        let sum: f32 = self.members.iter().map(|member| surplus(member, question)).sum();
        sum / self.members.len() as f32
    }
}

fn surplus(one: &QuestionVectors, other: &QuestionVectors) -> f32 {
    let main = dot(&one.main, &other.main);
    if one.english.is_empty() || other.english.is_empty() {
        main - ALIKE
    } else {
        main + dot(&one.english, &other.english) - ALIKE_ENGLISH
    }
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Embedder;

    #[tokio::test]
    async fn the_same_words_are_one_group_and_languages_stay_apart() {
        let meanings = Meanings::new(Encoders { main: Embedder::hashed(256), english: None });
        let ask = |language, text: &str| (language, text.to_owned());
        let questions = [
            ask(Language::En, "Do you ship to Malta?"),
            ask(Language::En, "Is the shop open on Sunday?"),
            ask(Language::En, "do you ship to Malta"),
            ask(Language::Zh, "Do you ship to Malta?"),
        ];
        assert_eq!(meanings.group(&questions).await.unwrap(), [0, 1, 0, 2]);
        assert_eq!(meanings.group(&questions).await.unwrap(), [0, 1, 0, 2], "from what is kept");
        assert!(meanings.group(&[]).await.unwrap().is_empty());
    }
}
