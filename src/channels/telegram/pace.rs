//! How fast the bot may send: one message a second to a chat, twenty a minute to a group, thirty a second in all (the
//! settings may say otherwise), and not before Telegram's `retry_after` is over.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    num::NonZeroU32,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const GROUP_PER_MINUTE_MAX: usize = 20;
/// So many chats refused one after the other, and nothing taken between: the bot itself is meant.
const REFUSED_CHATS_MAX: usize = 5;

/// What was sent and refused lately.
#[derive(Debug)]
pub(super) struct Pace {
    per_second_max: usize,
    /// Sends of the last second, oldest first.
    recent: VecDeque<Instant>,
    /// When each chat may get its next message.
    chat_free_at: HashMap<i64, Instant>,
    /// Sends of the last minute to each group, oldest first.
    group_recent: HashMap<i64, VecDeque<Instant>>,
    /// Chats for which Telegram asked to wait, and until when.
    refused_until: HashMap<i64, Instant>,
    /// Chats that were refused since a message was taken.
    refused_in_a_row: HashSet<i64>,
    /// When the whole bot may go on.
    paused_until: Option<Instant>,
}

impl Pace {
    /// Nothing was sent yet.
    pub(super) fn new(per_second_max: NonZeroU32) -> Self {
        Self {
            per_second_max: per_second_max.get() as usize,
            recent: VecDeque::new(),
            chat_free_at: HashMap::new(),
            group_recent: HashMap::new(),
            refused_until: HashMap::new(),
            refused_in_a_row: HashSet::new(),
            paused_until: None,
        }
    }

    /// How long a message to `chat` has to wait; `None`: it may be sent now.
    pub(super) fn wait(&self, chat: i64, now: Instant) -> Option<Duration> {
        let full_until = free_at(&self.recent, self.per_second_max, SECOND);
        let group_until = self.group_recent.get(&chat).and_then(|recent| free_at(recent, GROUP_PER_MINUTE_MAX, MINUTE));
        let chat_until = [self.chat_free_at.get(&chat).copied(), self.refused_until.get(&chat).copied()];
        [full_until, group_until, self.paused_until]
            .into_iter()
            .chain(chat_until)
            .flatten()
            .max()
            .and_then(|free_at| free_at.checked_duration_since(now))
            .filter(|wait| !wait.is_zero())
    }

    /// Notes that a message to `chat` goes out.
    pub(super) fn sent(&mut self, chat: i64, now: Instant) {
        forget_older(&mut self.recent, SECOND, now);
        self.chat_free_at.retain(|_, free_at| *free_at > now);
        self.recent.push_back(now);
        self.chat_free_at.insert(chat, now + SECOND);
        // Groups and channels have negative numbers.
        if chat < 0 {
            for recent in self.group_recent.values_mut() {
                forget_older(recent, MINUTE, now);
            }
            self.group_recent.retain(|_, recent| !recent.is_empty());
            self.group_recent.entry(chat).or_default().push_back(now);
        }
    }

    /// Notes that Telegram took a message.
    pub(super) fn taken(&mut self) {
        self.refused_in_a_row.clear();
    }

    /// Notes that Telegram asked to wait. It does not say whether it means the chat or the bot. A refusal holds its
    /// chat; when one chat after the other is refused and none is served, the bot itself is meant and everything waits.
    pub(super) fn refused(&mut self, chat: i64, now: Instant, retry_after: Duration) {
        self.refused_until.retain(|_, until| *until > now);
        let until = now + retry_after;
        self.refused_until.insert(chat, until);
        self.refused_in_a_row.insert(chat);
        if self.refused_in_a_row.len() >= REFUSED_CHATS_MAX {
            self.paused_until = self.paused_until.max(Some(until));
        }
    }
}

/// When one more fits into `max` per `period`.
fn free_at(recent: &VecDeque<Instant>, max: usize, period: Duration) -> Option<Instant> {
    recent.len().checked_sub(max).map(|index| recent[index] + period)
}

fn forget_older(recent: &mut VecDeque<Instant>, period: Duration, now: Instant) {
    while recent.front().is_some_and(|sent| *sent + period <= now) {
        recent.pop_front();
    }
}

/// Telegram takes twenty messages a minute in one group.
const PER_MINUTE_MAX: usize = 20;

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

    fn pace() -> Pace {
        Pace::new(NonZeroU32::new(30).unwrap())
    }

    #[test]
    fn a_chat_gets_one_message_a_second() {
        let (mut pace, start) = (pace(), Instant::now());
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
        let (mut pace, start) = (pace(), Instant::now());
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
    fn a_group_gets_twenty_messages_a_minute_and_a_private_chat_more() {
        let (mut pace, start) = (pace(), Instant::now());
        for second in 0..20 {
            for chat in [-7, 7] {
                assert_eq!(pace.wait(chat, start + second * SECOND), None);
                pace.sent(chat, start + second * SECOND);
            }
        }
        assert_eq!(pace.wait(-7, start + 20 * SECOND), Some(40 * SECOND));
        assert_eq!(pace.wait(-8, start + 20 * SECOND), None);
        assert_eq!(pace.wait(7, start + 20 * SECOND), None);
        assert_eq!(pace.wait(-7, start + MINUTE), None);
    }

    #[test]
    fn refusals_hold_their_chats_while_others_are_served() {
        let (mut pace, start) = (pace(), Instant::now());
        for chat in 1..=20 {
            pace.refused(chat, start, 3 * SECOND);
            assert_eq!(pace.wait(chat, start), Some(3 * SECOND));
            assert_eq!(pace.wait(99, start), None);
            pace.taken();
        }
    }

    #[test]
    fn when_chat_after_chat_is_refused_all_wait() {
        let (mut pace, start) = (pace(), Instant::now());
        for chat in 1..=5 {
            assert_eq!(pace.wait(99, start), None);
            pace.refused(chat, start, 5 * SECOND);
        }
        assert_eq!(pace.wait(99, start), Some(5 * SECOND));
        assert_eq!(pace.wait(99, start + 5 * SECOND), None);
    }
}
