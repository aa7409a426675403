//! The place of the chat model: a shop opens and answers while the model is still being loaded, and goes on without
//! one that cannot be loaded.

use std::sync::{Arc, PoisonError, RwLock};

use super::LanguageModel;
use crate::telemetry::ModelState;

#[derive(Debug)]
enum Content {
    Absent,
    Loading,
    Failed(String),
    Ready(LanguageModel),
}

/// Holds the chat model once it is there. Cheap to clone; all clones are the same place.
#[derive(Debug, Clone)]
pub struct LanguageModelSlot {
    // std's lock: held only to clone or replace the handle, never across an await.
    content: Arc<RwLock<Content>>,
}

impl LanguageModelSlot {
    fn new(content: Content) -> Self {
        Self { content: Arc::new(RwLock::new(content)) }
    }

    /// Stays empty: the shop does without.
    pub fn absent() -> Self {
        Self::new(Content::Absent)
    }

    /// Will be filled, by `fill` or `fail`.
    pub fn loading() -> Self {
        Self::new(Content::Loading)
    }

    /// Holds `model` from now on.
    pub fn fill(&self, model: LanguageModel) {
        self.set(Content::Ready(model));
    }

    /// Notes why there is no model.
    pub fn fail(&self, why: String) {
        self.set(Content::Failed(why));
    }

    /// The model, when it is there.
    pub fn get(&self) -> Option<LanguageModel> {
        match &*self.content.read().unwrap_or_else(PoisonError::into_inner) {
            Content::Ready(model) => Some(model.clone()),
            _ => None,
        }
    }

    /// Where the model stands.
    pub fn state(&self) -> ModelState {
        match &*self.content.read().unwrap_or_else(PoisonError::into_inner) {
            Content::Absent => ModelState::Absent,
            Content::Loading => ModelState::Loading,
            Content::Failed(why) => ModelState::Failed(why.clone()),
            Content::Ready(model) => model.trouble().map_or(ModelState::Ready, ModelState::Unreachable),
        }
    }

    fn set(&self, content: Content) {
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = content;
    }
}

impl From<LanguageModel> for LanguageModelSlot {
    fn from(model: LanguageModel) -> Self {
        Self::new(Content::Ready(model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_sees_the_model_arrive() {
        let slot = LanguageModelSlot::loading();
        let engine = slot.clone();
        assert_eq!((engine.state(), engine.get().is_some()), (ModelState::Loading, false));
        slot.fill(LanguageModel::scripted(vec![]));
        assert_eq!((engine.state(), engine.get().is_some()), (ModelState::Ready, true));
        slot.fail("gone".to_owned());
        assert_eq!((engine.state(), engine.get().is_some()), (ModelState::Failed("gone".to_owned()), false));
    }
}
