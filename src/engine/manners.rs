//! What every reply has beside its content: the first one says who speaks, a picture that cannot be looked at is
//! thanked for, a card number is warned of, and a while later there is a button to say whether it helped.

use super::{Asked, Engine, Said, commands::is_command, words_only};
use crate::{
    conversation::{Conversation, Exchange},
    language::detect_language,
    message::{Attachment, AttachmentKind, Channel, Effect, Inbound, Language, Route},
    privacy,
    prompts::Phrase,
};

/// The language of a message: its words', else what the channel knows of a shopper who has not written yet.
pub(super) fn heard_language(conversation: &Conversation, inbound: &Inbound, text: &str) -> Language {
    let command = is_command(text);
    let memory = &conversation.memory;
    let new = if command { !memory.introduced } else { memory.exchanges.is_empty() };
    let words = if command { None } else { detect_language(&words_only(text)) };
    words.or(inbound.language_hint.filter(|_| new)).unwrap_or(conversation.language)
}

/// The shopper's words as the transcript keeps them, with a sign for each thing that came with them.
pub(super) fn transcribed(text: &str, attachments: &[Attachment]) -> String {
    let signs = attachments.iter().map(|attachment| match &attachment.name {
        Some(name) => format!("{} {name}", attachment.kind.sign()),
        None => attachment.kind.sign().to_owned(),
    });
    let lines: Vec<String> = Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().chain(signs).collect();
    lines.join("\n")
}

impl Engine {
    /// The turn, if something came without words.
    pub(super) fn wordless(&self, asked: &Asked<'_>, attachments: &[Attachment]) -> Option<Said> {
        let first = attachments.first().filter(|_| asked.raw.is_empty())?;
        Some(self.plain(asked, Route::Smalltalk, cannot(first.kind)))
    }

    /// The reply with all that belongs to it.
    pub(super) fn with_manners(
        &self,
        conversation: &mut Conversation,
        asked: &Asked<'_>,
        inbound: &Inbound,
        mut said: Said,
    ) -> Said {
        let add = |said: &mut Said, phrase| said.text = format!("{}\n\n{}", said.text, self.say(asked, phrase));
        if let Some(first) = inbound.attachments.first().filter(|_| !asked.raw.is_empty()) {
            add(&mut said, cannot(first.kind));
        }
        if privacy::find(asked.raw).iter().any(|found| found.kind.is_secret()) {
            add(&mut said, Phrase::NoSecrets);
        }
        if said.effect == Some(Effect::Erase) {
            return said;
        }
        let first_contact = !std::mem::replace(&mut conversation.memory.introduced, true);
        if conversation.channel == Channel::Telegram {
            // The built-in greeting says it itself.
            if first_contact && said.text != self.say(asked, Phrase::Greeting) {
                said.text = format!("{}\n\n{}", self.say(asked, Phrase::Introduction), said.text);
            }
            if asked.private_at.is_none() && wants_rating(conversation, &said) {
                conversation.memory.rating_asked = true;
                said.effect = Some(Effect::AskRating);
            }
        }
        said
    }
}

/// Once a conversation, below the second answer: who asks again has read the first.
fn wants_rating(conversation: &Conversation, said: &Said) -> bool {
    let memory = &conversation.memory;
    let answered = |exchange: &Exchange| !exchange.declined && !exchange.chunks.is_empty();
    said.route == Some(Route::Answer)
        && said.effect.is_none()
        && !memory.rating_asked
        && memory.exchanges.iter().any(answered)
}

fn cannot(kind: AttachmentKind) -> Phrase {
    match kind {
        AttachmentKind::Photo => Phrase::CannotSee,
        AttachmentKind::Voice | AttachmentKind::Audio => Phrase::CannotHear,
        AttachmentKind::Video => Phrase::CannotWatch,
        AttachmentKind::Document => Phrase::CannotRead,
        AttachmentKind::Sticker | AttachmentKind::Location | AttachmentKind::Contact | AttachmentKind::Other => {
            Phrase::CannotTell
        }
    }
}
