//! What is decided by wording alone, before any model is asked.

use crate::intents::Intent;
use crate::message::Language;

/// The intent that the wording alone decides, with its probability; `None` leaves the decision to the trained head.
pub fn rule_intent(text: &str, language: Language) -> Option<(Intent, f32)> {
    let _ = (text, language);
    None
}
