//! What the staff's group is shown: a topic for each hand-over, its beginning, and the transcript as it grows. The
//! transcript is the queue; how far a topic shows it is noted after Telegram took a post.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde::{Deserialize, de::IgnoredAny};
use teloxide_core::{
    payloads::{CloseForumTopic, CreateForumTopic, GetChat, ReopenForumTopic, SendMessage, SendMessageSetters},
    types::{ChatId, InlineKeyboardButton, InlineKeyboardMarkup, MessageId, ThreadId},
};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{BUTTON, StaffGroup, words};
use crate::{
    channels::telegram::{
        api::{CALL_TIMEOUT, Failure},
        backoff, chat_of,
        pace::GroupPace,
        send::no_preview,
        sleep_unless_stopped, unless_stopped_for_long,
    },
    conversation::State,
    live::{Live, LiveEvent},
    message::{Channel, Language},
    storage::{Author, StaffPost, StorageError, Topic, TopicWork},
};

/// Looks for something to show without being told.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// When Telegram does not let the bot work in the group, for want of rights say.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);
/// How long it is known which updates had their effect; Telegram keeps an update for a day.
const UPDATES_KEPT: TimeDelta = TimeDelta::days(3);
/// Messages that a hand-over begins with.
const MESSAGES_SHOWN: usize = 6;

#[derive(Deserialize)]
struct Name {
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
}

#[derive(Deserialize)]
struct NewTopic {
    message_thread_id: i64,
}

/// What the group has to be shown next.
enum Step {
    /// Words that are in no transcript.
    Post(StaffPost),
    /// A topic for a conversation that has none.
    Make(TopicWork),
    /// The beginning of a hand-over in its topic.
    Begin(TopicWork, Topic),
    /// Messages of the transcript up to this one.
    Show { conversation_id: i64, topic: i64, text: String, up_to: i64 },
    /// Nobody has to see more of it.
    End(TopicWork, Topic),
}

impl StaffGroup {
    /// Shows the group what it has to see, until `stop`.
    pub(in crate::channels::telegram) async fn run(&self, stop: &CancellationToken) {
        if let Err(error) = self.store.forget_staff_updates(Utc::now() - UPDATES_KEPT).await {
            tracing::warn!(%error, "old updates of staff are kept");
        }
        let (mut live, mut pace, mut failures) = (self.live.watch(), GroupPace::default(), 0);
        while !stop.is_cancelled() {
            let step = match self.next_step().await {
                Ok(step) => step,
                Err(error) => {
                    tracing::error!(%error, "it cannot be read what the staff's group has to see");
                    None
                }
            };
            let Some(step) = step else {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = changed(&mut live) => {}
                }
                continue;
            };
            if let Some(wait) = pace.wait(Instant::now())
                && !sleep_unless_stopped(wait, stop).await
            {
                return;
            }
            pace.sent(Instant::now());
            let Some(done) = unless_stopped_for_long(self.carry_out(step), stop).await else { return };
            let pause = match done {
                Ok(Ok(())) => {
                    failures = 0;
                    continue;
                }
                Ok(Err(failure)) => {
                    failures += 1;
                    let wait = match &failure {
                        Failure::Refused { .. } => REFUSED_PAUSE,
                        failure => failure.retry_after().unwrap_or_else(|| backoff(failures - 1)),
                    };
                    tracing::warn!(%failure, retry_in_s = wait.as_secs(), "the staff's group could not be told");
                    wait
                }
                Err(error) => {
                    tracing::error!(%error, "it cannot be noted what the staff's group has seen");
                    LOOK_EVERY
                }
            };
            sleep_unless_stopped(pause, stop).await;
        }
    }

    async fn next_step(&self) -> Result<Option<Step>, StorageError> {
        if let Some(post) = self.store.next_staff_post(self.group).await? {
            return Ok(Some(Step::Post(post)));
        }
        for work in self.store.topic_work(self.group).await? {
            let Some(topic) = work.topic else { return Ok(Some(Step::Make(work))) };
            if !topic.is_open {
                return Ok(Some(Step::Begin(work, topic)));
            }
            if work.newest > topic.mirrored {
                if let Some(step) = self.show(&work, topic).await? {
                    return Ok(Some(step));
                }
            } else if !work.state.is_with_people() && !work.wish_left {
                return Ok(Some(Step::End(work, topic)));
            }
        }
        Ok(None)
    }

    /// The next messages of a transcript that fit into one; `None` when staff need not see any of them.
    async fn show(&self, work: &TopicWork, topic: Topic) -> Result<Option<Step>, StorageError> {
        let attended = work.state.is_with_people() || work.wish_left;
        let (mut text, mut up_to) = (String::new(), topic.mirrored);
        for (message, writer) in self.store.messages_with_writers(work.conversation_id, topic.mirrored).await? {
            // What the bot and the shopper said after it went back is theirs.
            let theirs = matches!(message.author, Author::Bot | Author::Shopper) && !attended;
            // Staff see in the topic what they wrote there.
            let own = writer.is_some_and(|id| id.starts_with("telegram:"));
            if !theirs && !own {
                let line = words::line(&message, self.desk.language());
                if !words::append(&mut text, &line) {
                    break;
                }
            }
            up_to = message.id;
        }
        if text.is_empty() {
            self.store.topic_shows(work.conversation_id, up_to, true).await?;
            return Ok(None);
        }
        Ok(Some(Step::Show { conversation_id: work.conversation_id, topic: topic.id, text, up_to }))
    }

    /// Tells Telegram, then notes that it was told.
    async fn carry_out(&self, step: Step) -> Result<Result<(), Failure>, StorageError> {
        match step {
            Step::Post(post) => match self.send(post.topic, &post.text, None).await {
                Ok(()) | Err(Failure::Refused { code: 400, .. }) => self.store.staff_post_done(post.id).await?,
                Err(failure) => return Ok(Err(failure)),
            },
            Step::Make(work) => {
                let name = words::topic_name(&self.shopper(&work).await, &self.reason(&work).await?);
                match self.api.call::<_, NewTopic>(&CreateForumTopic::new(ChatId(self.group), name), CALL_TIMEOUT).await
                {
                    Ok(made) => {
                        self.store.topic_made(work.conversation_id, self.group, made.message_thread_id).await?;
                    }
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            Step::Begin(work, topic) => return self.begin(&work, topic).await,
            Step::Show { conversation_id, topic, text, up_to } => match self.send(topic, &text, None).await {
                Ok(()) => self.store.topic_shows(conversation_id, up_to, true).await?,
                Err(failure) if is_gone(&failure) => self.store.topic_gone(conversation_id).await?,
                Err(Failure::Refused { code: 400, description }) => {
                    tracing::error!(conversation_id, description, "a message is not shown to the staff's group");
                    self.store.topic_shows(conversation_id, up_to, true).await?;
                }
                Err(failure) => return Ok(Err(failure)),
            },
            Step::End(work, topic) => {
                if work.state == State::Closed {
                    self.try_call(&CloseForumTopic::new(ChatId(self.group), thread(topic.id))).await;
                }
                self.store.topic_shows(work.conversation_id, topic.mirrored, false).await?;
            }
        }
        Ok(Ok(()))
    }

    /// The first post of a hand-over: who, in which language, the last words, and what staff can do.
    async fn begin(&self, work: &TopicWork, topic: Topic) -> Result<Result<(), Failure>, StorageError> {
        if topic.mirrored > 0 {
            self.try_call(&ReopenForumTopic::new(ChatId(self.group), thread(topic.id))).await;
        }
        let language = self.desk.language();
        let messages = self.store.messages(work.conversation_id, 0).await?;
        let newest = messages.last().map_or(topic.mirrored, |message| message.id);
        let shown = &messages[messages.len().saturating_sub(MESSAGES_SHOWN)..];
        let text = words::beginning(work, &self.shopper(work).await, shown, language);
        match self.send(topic.id, &text, Some(buttons(work.conversation_id, language))).await {
            Ok(()) => self.store.topic_shows(work.conversation_id, newest, true).await?,
            Err(failure) if is_gone(&failure) => self.store.topic_gone(work.conversation_id).await?,
            Err(failure) => return Ok(Err(failure)),
        }
        Ok(Ok(()))
    }

    async fn send(&self, topic: i64, text: &str, buttons: Option<InlineKeyboardMarkup>) -> Result<(), Failure> {
        let mut message = SendMessage::new(ChatId(self.group), text)
            .message_thread_id(thread(topic))
            .link_preview_options(no_preview());
        message.reply_markup = buttons.map(Into::into);
        match self.api.call::<_, IgnoredAny>(&message, CALL_TIMEOUT).await {
            // The status said yes: the message is there, whatever became of the rest of the answer.
            Ok(_) | Err(Failure::Garbled) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// A call on which nothing depends.
    async fn try_call<P>(&self, call: &P)
    where
        P: teloxide_core::requests::Payload + serde::Serialize,
    {
        if let Err(failure) = self.api.call::<_, IgnoredAny>(call, CALL_TIMEOUT).await {
            tracing::debug!(method = P::NAME, %failure, "a topic of the staff's group is as it was");
        }
    }

    /// The shopper's name as Telegram knows it, else the verified customer or the end of the chat's number.
    async fn shopper(&self, work: &TopicWork) -> String {
        if let Some(chat) = chat_of(self.bot_id, &work.chat).filter(|_| work.channel == Channel::Telegram)
            && let Ok(name) = self.api.call::<_, Name>(&GetChat::new(ChatId(chat)), CALL_TIMEOUT).await
        {
            let name = format!("{} {}", name.first_name, name.last_name).trim().to_owned();
            if !name.is_empty() {
                return name;
            }
        }
        work.customer.clone().unwrap_or_else(|| words::numbered(&work.chat, self.desk.language()))
    }

    /// The shopper's last words.
    async fn reason(&self, work: &TopicWork) -> Result<String, StorageError> {
        let messages = self.store.messages(work.conversation_id, 0).await?;
        let last = messages.into_iter().rev().find(|message| message.author == Author::Shopper);
        Ok(last.map_or_else(String::new, |message| message.text))
    }
}

/// Until a transcript may have grown.
async fn changed(live: &mut tokio::sync::broadcast::Receiver<Live>) {
    loop {
        match live.recv().await {
            Ok(live) if live.event != LiveEvent::Changed => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn thread(topic: i64) -> ThreadId {
    ThreadId(MessageId(i32::try_from(topic).unwrap_or(0)))
}

/// Whether a topic was deleted by somebody.
fn is_gone(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { code: 400, description }
        if description.contains("thread not found") || description.contains("TOPIC_DELETED"))
}

fn buttons(conversation: i64, language: Language) -> InlineKeyboardMarkup {
    let keys = words::buttons(language)
        .map(|(command, text)| InlineKeyboardButton::callback(text, format!("{BUTTON}{conversation}:{command}")));
    InlineKeyboardMarkup::new([keys])
}
