//! What a shopper asks for by a command (`/orders`), by a button that stands for one, or by a link to a product.

use minijinja::context;

use super::{Asked, CERTAIN, Engine, EngineError, Said, people::hand_over, with_emoji_names};
use crate::{
    catalog::Product,
    conversation::{Conversation, Memory},
    intents::Intent,
    message::{Channel, Effect, Language, ProductCard, Route},
    orders,
    prompts::Phrase,
};

/// A link to a product is `/start` with this before the product's number.
const PRODUCT_LINK: &str = "p_";

/// What a shopper can ask for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    Start,
    /// Opened by a link to a product.
    Product(String),
    Help,
    Orders,
    Human,
    /// With the language, when one was named.
    Language(Option<Language>),
    Privacy,
    Export,
    Forget,
}

impl Command {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(language) = language_named(text) {
            return Some(Self::Language(Some(language)));
        }
        let (name, rest) = text.strip_prefix('/')?.split_once(char::is_whitespace).unwrap_or((&text[1..], ""));
        let rest = rest.trim();
        match name.to_ascii_lowercase().as_str() {
            "start" => match rest.strip_prefix(PRODUCT_LINK) {
                Some(sku) => Some(Self::Product(sku.to_owned())),
                None => Some(Self::Start),
            },
            "help" => Some(Self::Help),
            "orders" => Some(Self::Orders),
            "human" => Some(Self::Human),
            "language" => Some(Self::Language(language_named(rest).or_else(|| Language::from_tag(rest)))),
            "privacy" => Some(Self::Privacy),
            "export" => Some(Self::Export),
            "forget" => Some(Self::Forget),
            // Written like a command and none of ours: the list of them helps on.
            other if rest.is_empty() && !other.is_empty() && other.bytes().all(|b| b.is_ascii_lowercase()) => {
                Some(Self::Help)
            }
            _ => None,
        }
    }
}

/// A language by its own name, as its button says it.
fn language_named(text: &str) -> Option<Language> {
    Language::ALL.into_iter().find(|language| own_name(*language).eq_ignore_ascii_case(text))
}

/// What a language calls itself.
fn own_name(language: Language) -> &'static str {
    match language {
        Language::En => "English",
        Language::Zh => "中文",
    }
}

/// Whether a text is a command, whose letters say nothing of the shopper's language.
pub(super) fn is_command(text: &str) -> bool {
    text.trim_start().starts_with('/') && Command::parse(text).is_some()
}

impl Engine {
    /// Whether the text is for the bot also while a person has the conversation: what shoppers may have of their data,
    /// the language, and the list of commands. `/human` and `/start` would change nothing then.
    pub(super) fn is_for_the_bot(&self, conversation: &Conversation, text: &str) -> bool {
        let text = text.trim();
        let says = |phrase| Language::ALL.iter().any(|l| self.prompts.say(*l, phrase, context! {}) == text);
        if conversation.memory.erasure_asked && (says(Phrase::ForgetYes) || says(Phrase::ForgetNo)) {
            return true;
        }
        let is_for_the_bot = matches!(
            Command::parse(text),
            Some(Command::Help | Command::Language(_) | Command::Privacy | Command::Export | Command::Forget)
        );
        is_for_the_bot && text.starts_with('/')
    }

    /// The turn, if it is a command, the answer to the question whether to erase, or a message without words.
    pub(super) async fn command(
        &self,
        conversation: &mut Conversation,
        asked: &Asked<'_>,
    ) -> Result<Option<Said>, EngineError> {
        let text = asked.raw.trim();
        let erasure_asked = std::mem::take(&mut conversation.memory.erasure_asked);
        let is = |phrase| Language::ALL.iter().any(|l| self.prompts.say(*l, phrase, context! {}) == text);
        if is(Phrase::ForgetNo) {
            return Ok(Some(self.plain(asked, Route::Smalltalk, Phrase::ForgetKept)));
        }
        // Only the button's own words erase, and only right after the question: a later press asks again.
        let command = match is(Phrase::ForgetYes) {
            true if erasure_asked => return Ok(Some(self.erase(conversation, asked))),
            true => Some(Command::Forget),
            false => Command::parse(text),
        };
        let Some(command) = command else {
            let wordless = !text.chars().any(char::is_alphanumeric) && with_emoji_names(text).trim() == text;
            return Ok(wordless.then(|| self.plain(asked, Route::Smalltalk, Phrase::AskWords)));
        };
        let personal = matches!(command, Command::Orders | Command::Export | Command::Forget);
        if let Some(link) = asked.private_at.as_ref().filter(|_| personal) {
            return Ok(Some(self.in_private(asked, link)));
        }
        Ok(Some(match command {
            Command::Start => self.greet(asked),
            Command::Product(sku) => self.open_product(asked, &sku),
            Command::Help => {
                Said { suggestions: self.greet(asked).suggestions, ..self.plain(asked, Route::Smalltalk, Phrase::Help) }
            }
            Command::Orders => self.list_orders(conversation, asked).await?,
            Command::Human => hand_over(Phrase::Handoff),
            Command::Language(Some(language)) => {
                conversation.memory.language = Some(language);
                conversation.language = language;
                Said::new(Route::Smalltalk, self.prompts.say(language, Phrase::LanguageSet, context! {}))
            }
            Command::Language(None) => Said {
                suggestions: Language::ALL.map(|language| own_name(language).to_owned()).to_vec(),
                ..self.plain(asked, Route::Smalltalk, Phrase::LanguageAsk)
            },
            Command::Privacy => self.plain(asked, Route::Smalltalk, Phrase::Privacy),
            Command::Export => self.export(conversation, asked).await?,
            Command::Forget => {
                conversation.memory.erasure_asked = true;
                let suggestions = [Phrase::ForgetYes, Phrase::ForgetNo].map(|phrase| self.say(asked, phrase)).to_vec();
                Said { suggestions, ..self.plain(asked, Route::Smalltalk, Phrase::ForgetAsk) }
            }
        }))
    }

    fn erase(&self, conversation: &mut Conversation, asked: &Asked<'_>) -> Said {
        conversation.memory = Memory::default();
        conversation.customer = None;
        Said { effect: Some(Effect::Erase), ..self.plain(asked, Route::Smalltalk, Phrase::ForgetDone) }
    }

    /// A copy of the chat: a file where the channel has files, else in the reply itself.
    async fn export(&self, conversation: &Conversation, asked: &Asked<'_>) -> Result<Said, EngineError> {
        let mut said = self.plain(asked, Route::Smalltalk, Phrase::Export);
        said.effect = Some(Effect::Export);
        if conversation.channel != Channel::Telegram {
            let copy = self.store.export_chat(conversation.channel, &conversation.chat).await?;
            said.text = format!("{}\n\n{copy:#}", said.text);
        }
        Ok(said)
    }

    /// The latest orders of a verified customer; anybody else is asked for proof.
    async fn list_orders(&self, conversation: &mut Conversation, asked: &Asked<'_>) -> Result<Said, EngineError> {
        if let Some(customer) = conversation.verified_customer() {
            let orders = self.store.orders_of(customer).await?;
            if !orders.is_empty() {
                return Ok(self.tell(asked, &orders.iter().collect::<Vec<_>>()));
            }
        }
        self.order_status(conversation, asked, &[]).await
    }

    /// The product of a link, with what may be asked about it.
    fn open_product(&self, asked: &Asked<'_>, link: &str) -> Said {
        let product = asked.snapshot.recommender.products().find(|product| link_of(&product.sku) == link_of(link));
        let Some(Product { sku, title, price, stock, image, .. }) = product.cloned() else {
            return Said {
                suggestions: self.greet(asked).suggestions,
                ..self.plain(asked, Route::Recommend, Phrase::ProductUnknown)
            };
        };
        let goes_with = self.prompts.say(asked.language, Phrase::ProductGoesWith, context! { title });
        Said {
            suggestions: vec![goes_with, self.say(asked, Phrase::SuggestHuman)],
            question: Some(title.clone()),
            products: vec![ProductCard { sku, title, price, stock, image, reason: String::new() }],
            ..self.plain(asked, Route::Recommend, Phrase::ProductHere)
        }
    }

    /// What is personal is not told where others read along.
    pub(super) fn not_among_others(&self, asked: &Asked<'_>) -> Option<Said> {
        let link = asked.private_at.as_ref()?;
        let about_order = matches!(asked.intent, Intent::OrderStatus | Intent::CancelOrder | Intent::ChangeOrder);
        // "Where do I find my order number?" is a rule of the shop, which everybody may read.
        let personal = about_order && (asked.scores.top().1 >= CERTAIN || !asked.answerable());
        let named = !asked.snapshot.order_numbers.find(asked.raw).is_empty() || !orders::contacts(asked.raw).is_empty();
        (named || personal).then(|| self.in_private(asked, link))
    }

    fn in_private(&self, asked: &Asked<'_>, link: &str) -> Said {
        Said::new(Route::VerifyIdentity, self.prompts.say(asked.language, Phrase::GroupPrivate, context! { link }))
    }
}

/// A product's number as a link can hold it: letters, digits, `_` and `-`, whatever their case.
fn link_of(sku: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_uppercase() } else { '_' };
    sku.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_what_follows_them() {
        for (text, command) in [
            ("/start", Command::Start),
            ("/start ref42", Command::Start),
            ("/start p_AB-1", Command::Product("AB-1".to_owned())),
            ("/HELP", Command::Help),
            ("/nonsense", Command::Help),
            ("/language", Command::Language(None)),
            ("/language zh-cn", Command::Language(Some(Language::Zh))),
            ("中文", Command::Language(Some(Language::Zh))),
            ("english", Command::Language(Some(Language::En))),
        ] {
            assert_eq!(Command::parse(text), Some(command), "{text}");
        }
        for text in ["help", "/", "// a", "/etc/passwd", "/foo bar", "Do you speak English?"] {
            assert_eq!(Command::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_link_finds_a_number_that_it_cannot_hold() {
        assert_eq!(link_of("tea.01/b"), link_of("TEA_01_B"));
    }
}
