//! How fast the bot may send: one message a second to a chat, thirty a second in all, and not before Telegram's
//! `retry_after` is over.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);
const PER_SECOND_MAX: usize = 30;

/// What was sent and refused lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Sends of the last second, oldest first.
    recent: VecDeque<Instant>,
    /// When each chat may get its next message.
    chat_free_at: HashMap<i64, Instant>,
    /// Chats for which Telegram asked to wait, and until when.
    refused_until: HashMap<i64, Instant>,
    /// When the whole bot may go on.
    paused_until: Option<Instant>,
}

impl Pace {
    /// How long a message to `chat` has to wait; `None`: it may be sent now.
    pub(super) fn wait(&self, chat: i64, now: Instant) -> Option<Duration> {
        let full_until = (self.recent.len() >= PER_SECOND_MAX)
            .then(|| self.recent.get(self.recent.len() - PER_SECOND_MAX))
            .flatten()
            .map(|sent| *sent + SECOND);
        [full_until, self.paused_until, self.chat_free_at.get(&chat).copied(), self.refused_until.get(&chat).copied()]
            .into_iter()
            .flatten()
            .max()
            .and_then(|free_at| free_at.checked_duration_since(now))
            .filter(|wait| !wait.is_zero())
    }

    /// Notes that a message to `chat` goes out.
    pub(super) fn sent(&mut self, chat: i64, now: Instant) {
        while self.recent.front().is_some_and(|sent| *sent + SECOND <= now) {
            self.recent.pop_front();
        }
        self.chat_free_at.retain(|_, free_at| *free_at > now);
        self.recent.push_back(now);
        self.chat_free_at.insert(chat, now + SECOND);
    }

    /// Notes that Telegram asked to wait. It does not say whether it means the chat or the bot: a first refusal holds
    /// the chat; when another chat is refused while that lasts, the bot itself is meant and everything waits.
    pub(super) fn refused(&mut self, chat: i64, now: Instant, retry_after: Duration) {
        self.refused_until.retain(|_, until| *until > now);
        let until = now + retry_after;
        if self.refused_until.keys().any(|other| *other != chat) {
            self.paused_until = self.paused_until.max(Some(until));
        }
        self.refused_until.insert(chat, until);
    }
}

/// Telegram takes twenty messages a minute in one group.
const PER_MINUTE_MAX: usize = 20;
const MINUTE: Duration = Duration::from_mins(1);

/// What was sent to one group lately.
#[derive(Debug, Default)]
pub(super) struct GroupPace {
    /// Sends of the last minute, oldest first.
    recent: VecDeque<Instant>,
}

impl GroupPace {
    /// How long the next message has to wait; `None`: it may be sent now.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let second = self.recent.back().map(|sent| *sent + SECOND);
        let minute = (self.recent.len() >= PER_MINUTE_MAX)
            .then(|| self.recent.get(self.recent.len() - PER_MINUTE_MAX))
            .flatten()
            .map(|sent| *sent + MINUTE);
        let free_at = second.max(minute)?;
        free_at.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Notes that a message goes out.
    pub(super) fn sent(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|sent| *sent + MINUTE <= now) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_gets_one_message_a_second() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.wait(1, start), None);
        pace.sent(1, start);
        assert_eq!(pace.wait(1, start), Some(SECOND));
        assert_eq!(pace.wait(2, start), None);
        assert_eq!(pace.wait(1, start + SECOND), None);
    }

    #[test]
    fn a_group_gets_twenty_messages_a_minute_and_one_a_second() {
        let (mut pace, start) = (GroupPace::default(), Instant::now());
        for second in 0..20 {
            let now = start + second * SECOND;
            assert_eq!(pace.wait(now), None);
            pace.sent(now);
            assert_eq!(pace.wait(now), Some(if second == 19 { 41 * SECOND } else { SECOND }));
        }
        assert_eq!(pace.wait(start + MINUTE), None);
    }

    #[test]
    fn all_chats_together_get_thirty_a_second() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for chat in 0..30 {
            assert_eq!(pace.wait(chat, start), None);
            pace.sent(chat, start);
        }
        assert_eq!(pace.wait(99, start + SECOND / 2), Some(SECOND / 2));
        assert_eq!(pace.wait(99, start + SECOND), None);
        pace.sent(99, start + SECOND);
        assert_eq!(pace.recent.len(), 1);
    }

    #[test]
    fn one_refusal_holds_its_chat_and_a_second_chats_holds_all() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.refused(1, start, 3 * SECOND);
        assert_eq!(pace.wait(1, start), Some(3 * SECOND));
        assert_eq!(pace.wait(2, start), None);
        pace.refused(2, start, 5 * SECOND);
        assert_eq!(pace.wait(3, start), Some(5 * SECOND));
        assert_eq!(pace.wait(3, start + 5 * SECOND), None);
    }

    #[test]
    fn refusals_that_are_over_do_not_count() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.refused(1, start, SECOND);
        pace.refused(2, start + 2 * SECOND, SECOND);
        assert_eq!(pace.wait(3, start + 2 * SECOND), None);
    }
}
