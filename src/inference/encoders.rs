//! The encoders of a shop: one for all languages, and beside it one for English alone. Each makes its own mistakes, so
//! that a passage both are sure of is likelier the right one.

use super::{Embedder, InferenceError};

/// The encoders that a shop's texts are looked up by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Encoders {
    /// For every text.
    pub main: Embedder,
    /// For English texts as well.
    pub english: Option<Embedder>,
}

/// What the encoders make of a question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuestionVectors {
    /// Unit vector of the main encoder.
    pub main: Vec<f32>,
    /// Unit vector of the English encoder; empty where there is none or the question is in another language.
    pub english: Vec<f32>,
}

impl Encoders {
    /// The names of the models: vectors of other models must not be compared with these.
    pub fn name(&self) -> String {
        match &self.english {
            Some(english) => format!("{} + {}", self.main.name(), english.name()),
            None => self.main.name().to_owned(),
        }
    }

    /// The vectors of each question, in order. Both models work at the same time.
    pub async fn embed_questions(
        &self,
        texts: Vec<String>,
        in_english: bool,
    ) -> Result<Vec<QuestionVectors>, InferenceError> {
        let Some(english) = self.english.as_ref().filter(|_| in_english) else {
            let main = self.main.embed_queries(texts).await?;
            return Ok(main.into_iter().map(|main| QuestionVectors { main, english: Vec::new() }).collect());
        };
        let (main, english) = futures::try_join!(self.main.embed_queries(texts.clone()), english.embed_queries(texts))?;
        Ok(main.into_iter().zip(english).map(|(main, english)| QuestionVectors { main, english }).collect())
    }
}
