//! The staff's desk: everything that a person does with a conversation, the same from the console and from Telegram,
//! and the clock that gives conversations back to the bot when nobody comes.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use minijinja::context;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{HandoffConfig, OpenHours},
    conversation::{Conversation, Event, Staff, State},
    live::{LiveEvent, LiveHub},
    message::{Language, LatencyMs, Reply, Route, Sentiment, Timestamp, Trace},
    prompts::{Phrase, Prompts},
    storage::{Acted, Attended, AuditKind, Deed as Noted, StaffAct, StorageError, Store},
};

/// How often it is looked whether somebody waits for too long.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What somebody of the staff does with a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Writes to the shopper.
    Answer(String),
    /// Writes something for colleagues alone.
    Note(String),
    /// Takes it, also from a colleague.
    Take,
    /// Gives it back to the bot.
    GiveBack,
    /// Ends it.
    Close,
}

/// The desk of one shop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    store: Store,
    live: LiveHub,
    prompts: Arc<Prompts>,
    config: HandoffConfig,
}

impl Desk {
    /// A desk over the shop's store.
    pub fn new(store: Store, live: LiveHub, prompts: Arc<Prompts>, config: HandoffConfig) -> Self {
        Self { store, live, prompts, config }
    }

    /// The language of notices where nobody has chosen one.
    pub fn language(&self) -> Language {
        self.config.staff_language
    }

    /// Does what somebody of the staff wants. `language` is that of the notice; `update` names the channel's update that
    /// asked for it, so that the same one does nothing twice.
    pub async fn perform(
        &self,
        conversation_id: i64,
        staff: &Staff,
        deed: &Deed,
        language: Language,
        update: Option<&str>,
        at: Timestamp,
    ) -> Result<Acted, StorageError> {
        let Some(conversation) = self.store.conversation_by_id(conversation_id).await? else {
            return Ok(Acted::Missing);
        };
        if let Deed::Note(text) = deed {
            self.store.add_note(conversation_id, staff, text, update, at).await?;
            self.announce(&conversation);
            return Ok(Acted::Done(None));
        }
        let (event, says) = match deed {
            Deed::Answer(_) | Deed::Note(_) => (Event::StaffAnswered(staff.clone()), None),
            Deed::Take => (Event::StaffTook(staff.clone()), None),
            Deed::GiveBack => (Event::HandedBack, Some(Phrase::BackFromStaffGiven)),
            Deed::Close => (Event::Closed, Some(Phrase::Closed)),
        };
        let says = match says {
            Some(phrase) => Some(self.bot_says(&conversation, phrase, &[]).await?),
            None => None,
        };
        let words = if let Deed::Answer(text) = deed { Some(text.as_str()) } else { None };
        let notice = notice(deed, &staff.name, language);
        let notice = notice.as_deref();
        let act = StaffAct { conversation_id, event, words, notice, says: says.as_ref(), update, unchanged: None, at };
        let acted = match self.audited(conversation_id, staff, deed, at).await? {
            Some(noted) => self.store.noting(noted).act(&act).await?,
            None => self.store.act(&act).await?,
        };
        if matches!((deed, &acted), (Deed::Close, Acted::Done(_))) {
            let words = self.prompts.say(conversation.language, Phrase::AskRating, context! {});
            self.store.ask_rating(&conversation, &words, at).await?;
        }
        self.announce(&conversation);
        Ok(acted)
    }

    /// What the log says of a deed; an answer stands there where it takes the conversation from the bot or a colleague.
    async fn audited(
        &self,
        conversation_id: i64,
        staff: &Staff,
        deed: &Deed,
        at: Timestamp,
    ) -> Result<Option<Noted>, StorageError> {
        let kind = match deed {
            Deed::Note(_) => return Ok(None),
            Deed::Answer(_) => {
                let standing = self.store.standing(conversation_id).await?;
                if standing.and_then(|standing| standing.holder).is_some_and(|holder| holder.staff.id == staff.id) {
                    return Ok(None);
                }
                AuditKind::ConversationTaken
            }
            Deed::Take => AuditKind::ConversationTaken,
            Deed::GiveBack => AuditKind::ConversationHandedBack,
            Deed::Close => AuditKind::ConversationClosed,
        };
        let subject = format!("conversation {conversation_id}");
        Ok(Some(Noted { actor: Some(staff.clone()), kind, subject, at }))
    }

    /// Gives back what has waited too long for a person, or been left by one. Returns how many there were.
    pub async fn give_back_overdue(&self, at: Timestamp) -> Result<usize, StorageError> {
        let minutes = self.config.back_to_bot_after_minutes;
        if minutes == 0 {
            return Ok(0);
        }
        let limit = TimeDelta::minutes(minutes.into());
        let attended = self.store.attended().await?;
        if attended.is_empty() {
            return Ok(0);
        }
        let hours = self.store.shop_profile().await?.open_hours();
        let mut given_back = 0;
        for attended in attended.iter().filter(|attended| is_overdue(attended, hours.as_ref(), limit, at)) {
            given_back += usize::from(self.give_back(attended, at).await?);
        }
        Ok(given_back)
    }

    async fn give_back(&self, attended: &Attended, at: Timestamp) -> Result<bool, StorageError> {
        let Some(conversation) = self.store.conversation_by_id(attended.id).await? else { return Ok(false) };
        let (phrase, suggestions): (_, &[Phrase]) = match attended.standing.state {
            State::Waiting => (Phrase::BackFromWaiting, &[Phrase::SuggestMessage, Phrase::SuggestHuman]),
            _ => (Phrase::BackFromStaff, &[Phrase::SuggestHuman]),
        };
        let says = self.bot_says(&conversation, phrase, suggestions).await?;
        let act = StaffAct {
            conversation_id: attended.id,
            event: Event::TimedOut,
            words: None,
            notice: Some(match self.config.staff_language {
                Language::En => "The time was up; the bot goes on.",
                Language::Zh => "等待超时，机器人继续接待。",
            }),
            says: Some(&says),
            update: None,
            unchanged: Some(attended.updated_at),
            at,
        };
        let done = matches!(self.store.act(&act).await?, Acted::Done(_));
        self.announce(&conversation);
        Ok(done)
    }

    /// What the bot says in its own words when staff have done something.
    async fn bot_says(
        &self,
        conversation: &Conversation,
        phrase: Phrase,
        suggestions: &[Phrase],
    ) -> Result<Reply, StorageError> {
        let language = conversation.language;
        let name = self.store.shop_profile().await?.name;
        let shop = if name.is_empty() { self.prompts.say(language, Phrase::OurShop, context! {}) } else { name };
        let say = |phrase| self.prompts.say(language, phrase, context! { shop });
        Ok(Reply {
            text: say(phrase),
            language,
            intent: "human".to_owned(),
            intent_confidence: 1.0,
            route: Route::Handoff,
            citations: Vec::new(),
            products: Vec::new(),
            handoff: false,
            declined: false,
            sentiment: Sentiment::Neutral,
            generated: false,
            latency_ms: LatencyMs::default(),
            suggestions: suggestions.iter().map(|phrase| say(*phrase)).collect(),
            effect: None,
            trace: Trace::default(),
        })
    }

    fn announce(&self, conversation: &Conversation) {
        self.live.announce(conversation.channel, &conversation.chat, LiveEvent::Changed);
    }

    /// Watches the clock until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            match self.give_back_overdue(Utc::now()).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "conversations went back to the bot because nobody came"),
                Err(error) => tracing::error!(%error, "it cannot be seen who waits for a person"),
            }
        }
    }
}

/// Waiting counts while people are there; a conversation with a person ends after that time without a message.
fn is_overdue(attended: &Attended, hours: Option<&OpenHours>, limit: TimeDelta, at: Timestamp) -> bool {
    let (since, updated_at) = (attended.standing.since, attended.updated_at);
    let passed = match (attended.standing.state, hours) {
        (State::Waiting, Some(hours)) => hours.open_between(since, at),
        (State::Waiting, None) => at - since,
        _ => at - updated_at,
    };
    passed >= limit
}

/// What the transcript says to staff.
fn notice(deed: &Deed, name: &str, language: Language) -> Option<String> {
    let text = match (deed, language) {
        (Deed::Answer(_) | Deed::Note(_), _) => return None,
        (Deed::Take, Language::En) => format!("{name} took the conversation over."),
        (Deed::Take, Language::Zh) => format!("{name} 接管了对话。"),
        (Deed::GiveBack, Language::En) => format!("{name} handed the conversation back to the bot."),
        (Deed::GiveBack, Language::Zh) => format!("{name} 将对话交还给机器人。"),
        (Deed::Close, Language::En) => format!("{name} closed the conversation."),
        (Deed::Close, Language::Zh) => format!("{name} 结束了对话。"),
    };
    Some(text)
}
