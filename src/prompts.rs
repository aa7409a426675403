//! The bot's own words and the prompts of the language model: TOML files with minijinja templates, checked at start by
//! rendering each of them, so that a shop's own version fails when it is loaded and not in front of a shopper.

use std::{collections::BTreeMap, path::Path};

use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};

use crate::{
    inference::{ChatMessage, GenerateRequest, Role, Sampling},
    message::Language,
};

/// Why a prompt file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file} needs mending: {reason}")]
pub struct PromptError {
    file: String,
    reason: String,
}

fn invalid(file: &str, reason: impl std::fmt::Display) -> PromptError {
    PromptError { file: file.to_owned(), reason: reason.to_string().trim_end().to_owned() }
}

/// Everything the bot says in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name is the key in prompts/replies.toml, where its words stand")]
pub enum Phrase {
    OurShop,
    Greeting,
    Thanks,
    Goodbye,
    Chitchat,
    Affirm,
    Deny,
    AskWords,
    TooLong,
    Handoff,
    HandoffSorry,
    Queue,
    BackFromWaiting,
    BackFromStaff,
    BackFromStaffGiven,
    BackByShopper,
    AskMessage,
    MessageKept,
    Closed,
    AskRating,
    PassedOn,
    Decline,
    DeclineOffTopic,
    DeclineAttack,
    DeclineDiscount,
    DeclineAction,
    DeclineOtherLanguage,
    Translated,
    MoreRows,
    SuggestHuman,
    SuggestBot,
    SuggestMessage,
    Source,
    NoSecrets,
    Verify,
    VerifyContact,
    VerifyOrder,
    VerifyFailed,
    VerifyLocked,
    OrderOfSomebodyElse,
    OrderNone,
    OrderIntroMany,
    Introduction,
    Help,
    LanguageAsk,
    LanguageSet,
    Privacy,
    Export,
    ForgetAsk,
    ForgetYes,
    ForgetNo,
    ForgetDone,
    ForgetKept,
    GroupPrivate,
    ProductHere,
    ProductGoesWith,
    ProductUnknown,
    CannotSee,
    CannotHear,
    CannotWatch,
    CannotRead,
    CannotTell,
}

impl Phrase {
    const ALL: [Self; 62] = [
        Self::OurShop,
        Self::Greeting,
        Self::Thanks,
        Self::Goodbye,
        Self::Chitchat,
        Self::Affirm,
        Self::Deny,
        Self::AskWords,
        Self::TooLong,
        Self::Handoff,
        Self::HandoffSorry,
        Self::Queue,
        Self::BackFromWaiting,
        Self::BackFromStaff,
        Self::BackFromStaffGiven,
        Self::BackByShopper,
        Self::AskMessage,
        Self::MessageKept,
        Self::Closed,
        Self::AskRating,
        Self::PassedOn,
        Self::Decline,
        Self::DeclineOffTopic,
        Self::DeclineAttack,
        Self::DeclineDiscount,
        Self::DeclineAction,
        Self::DeclineOtherLanguage,
        Self::Translated,
        Self::MoreRows,
        Self::SuggestHuman,
        Self::SuggestBot,
        Self::SuggestMessage,
        Self::Source,
        Self::NoSecrets,
        Self::Verify,
        Self::VerifyContact,
        Self::VerifyOrder,
        Self::VerifyFailed,
        Self::VerifyLocked,
        Self::OrderOfSomebodyElse,
        Self::OrderNone,
        Self::OrderIntroMany,
        Self::Introduction,
        Self::Help,
        Self::LanguageAsk,
        Self::LanguageSet,
        Self::Privacy,
        Self::Export,
        Self::ForgetAsk,
        Self::ForgetYes,
        Self::ForgetNo,
        Self::ForgetDone,
        Self::ForgetKept,
        Self::GroupPrivate,
        Self::ProductHere,
        Self::ProductGoesWith,
        Self::ProductUnknown,
        Self::CannotSee,
        Self::CannotHear,
        Self::CannotWatch,
        Self::CannotRead,
        Self::CannotTell,
    ];
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RepliesFile {
    version: u32,
    en: BTreeMap<Phrase, String>,
    zh: BTreeMap<Phrase, String>,
}

/// A prompt of the language model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Its name.
    pub name: String,
    /// Grows with each change of its words.
    pub version: u32,
    /// Most tokens of the answer.
    pub tokens_max: usize,
    system: String,
    user: String,
}

impl Prompt {
    /// Name and version, as transcripts keep them.
    pub fn label(&self) -> String {
        format!("{} v{}", self.name, self.version)
    }
}

const REPLIES: &str = include_str!("../prompts/replies.toml");
const TRANSLATE: &str = include_str!("../prompts/translate.toml");
const QUESTION: &str = include_str!("../prompts/question.toml");
const ASK: &str = include_str!("../prompts/ask.toml");

/// All words and prompts, checked.
#[derive(Debug)]
pub struct Prompts {
    phrases: BTreeMap<(Language, Phrase), String>,
    /// Puts a passage into another language.
    pub translate: Prompt,
    /// Asks what a shopper would ask about a passage.
    pub question: Prompt,
    ask: Prompt,
    environment: Environment<'static>,
}

impl Prompts {
    /// The built-in words, with a shop's own ones from `dir` in their place.
    pub fn load(dir: Option<&Path>) -> Result<Self, PromptError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let translate = toml::from_str(&own_or(dir, "translate.toml", TRANSLATE)?)
            .map_err(|error| invalid("translate.toml", error))?;
        let question = toml::from_str(&own_or(dir, "question.toml", QUESTION)?)
            .map_err(|error| invalid("question.toml", error))?;
        let ask = toml::from_str(&own_or(dir, "ask.toml", ASK)?).map_err(|error| invalid("ask.toml", error))?;
        let mut prompts = Self { phrases: BTreeMap::new(), translate, question, ask, environment };
        prompts.add_replies("replies.toml", REPLIES)?;
        let own = own_or(dir, "replies.toml", "")?;
        prompts.add_replies("replies.toml", &own)?;
        prompts.check()?;
        Ok(prompts)
    }

    fn add_replies(&mut self, file: &str, text: &str) -> Result<(), PromptError> {
        let replies: RepliesFile = toml::from_str(text).map_err(|error| invalid(file, error))?;
        for (language, phrases) in [(Language::En, replies.en), (Language::Zh, replies.zh)] {
            self.phrases.extend(phrases.into_iter().map(|(phrase, text)| ((language, phrase), text)));
        }
        Ok(())
    }

    /// Renders everything once with sample values.
    fn check(&self) -> Result<(), PromptError> {
        let sample = minijinja::context! { shop => "Shop", nearest => "It takes two days.", place => "Delivery", order => "A-1", left => 2, text => "…", original => "…", link => "https://example.com", title => "Kettle", away => false, back => "tomorrow", queue => "You are next.", position => 2, wait => 5 };
        for language in Language::ALL {
            for phrase in Phrase::ALL {
                let text = self
                    .phrases
                    .get(&(language, phrase))
                    .ok_or_else(|| invalid("replies.toml", format!("{phrase:?} is missing in [{language}]")))?;
                self.environment
                    .render_str(text, &sample)
                    .map_err(|error| invalid("replies.toml", format!("{phrase:?} in [{language}]: {error}")))?;
            }
        }
        let sample = minijinja::context! { from => "English", to => "Chinese", language => "English", other_words => true, text => "…" };
        for prompt in [&self.translate, &self.question, &self.ask] {
            for template in [&prompt.system, &prompt.user] {
                let file = format!("{}.toml", prompt.name);
                self.environment.render_str(template, &sample).map_err(|error| invalid(&file, error))?;
            }
        }
        Ok(())
    }

    /// What the bot says. Values that the phrase does not use are ignored.
    pub fn say(&self, language: Language, phrase: Phrase, values: Value) -> String {
        let text = self.phrases.get(&(language, phrase)).map_or("", String::as_str);
        // Every phrase was rendered at start; only a value that code forgot could fail here, and then the plain words
        // are better than none.
        self.environment.render_str(text, values).unwrap_or_else(|error| {
            tracing::error!(?phrase, %error, "a phrase cannot be rendered");
            text.split("{%").next().unwrap_or_default().to_owned()
        })
    }

    /// The request that puts `text` into another language.
    pub fn translation(&self, text: &str, from: Language, to: Language) -> GenerateRequest {
        let values = minijinja::context! { from => name_of(from), to => name_of(to), text };
        self.request(&self.translate, &values, "\n\n")
    }
}

/// What prompts call a language.
fn name_of(language: Language) -> &'static str {
    match language {
        Language::En => "English",
        Language::Zh => "Simplified Chinese",
    }
}

impl Prompts {
    /// The chat after which a question that `passage` answers is likely.
    pub fn question_about(&self, passage: &str) -> Vec<ChatMessage> {
        self.messages(&self.question, &minijinja::context! { text => passage })
    }

    /// The request for a question that `passage` answers, near to its words or in other ones.
    pub fn asking(&self, passage: &str, language: Language, other_words: bool) -> GenerateRequest {
        let values = minijinja::context! { text => passage, language => name_of(language), other_words };
        self.request(&self.ask, &values, "\n")
    }

    /// The likeliest answer up to `stop`.
    fn request(&self, prompt: &Prompt, values: &Value, stop: &str) -> GenerateRequest {
        GenerateRequest {
            messages: self.messages(prompt, values),
            tokens_max: prompt.tokens_max,
            sampling: Sampling::GREEDY,
            stop: vec![stop.to_owned()],
            seed: 0,
            grammar: None,
        }
    }

    fn messages(&self, prompt: &Prompt, values: &Value) -> Vec<ChatMessage> {
        let message = |role, template: &str| ChatMessage {
            role,
            content: self.environment.render_str(template, values).unwrap_or_default(),
        };
        vec![message(Role::System, &prompt.system), message(Role::User, &prompt.user)]
    }
}

fn own_or(dir: Option<&Path>, file: &str, builtin: &str) -> Result<String, PromptError> {
    let Some(path) = dir.map(|dir| dir.join(file)).filter(|path| path.exists()) else { return Ok(builtin.to_owned()) };
    std::fs::read_to_string(&path).map_err(|error| invalid(&path.display().to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_words_are_complete_and_a_shops_own_win() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("replies.toml"), "[en]\nthanks = \"Cheers from {{ shop }}!\"\n").unwrap();
        let prompts = Prompts::load(Some(dir.path())).unwrap();
        let values = minijinja::context! { shop => "Tea & Co" };
        assert_eq!(prompts.say(Language::En, Phrase::Thanks, values.clone()), "Cheers from Tea & Co!");
        assert!(prompts.say(Language::Zh, Phrase::Greeting, values).contains("Tea & Co"));
    }

    #[test]
    fn a_broken_template_is_refused_at_start() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("replies.toml"), "[en]\nthanks = \"{{ shopp }}\"\n").unwrap();
        let error = Prompts::load(Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains("Thanks"), "{error}");
    }
}
