//! Who has a conversation, since when, and whether a colleague may write: the machine that console, Telegram and the
//! bot's turns share, so that none of them can disagree with the others.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{Event, Staff, State};
use crate::message::Timestamp;

/// How long nobody else answers after somebody of the staff has written or taken a conversation.
pub const LOCK: TimeDelta = TimeDelta::minutes(10);
/// Waits that are known before one is promised.
const WAITS_MIN: usize = 3;
/// Waits as they are said, in minutes: nobody believes in 17.
const SAID_MINUTES: [i64; 10] = [1, 2, 3, 5, 10, 15, 20, 30, 45, 60];

/// Who of the staff has a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who.
    #[serde(flatten)]
    pub staff: Staff,
    /// When they wrote or took it last.
    pub active_at: Timestamp,
}

/// A colleague has the conversation and has been active lately; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is answering", .0.staff.name)]
pub struct Locked(pub Holder);

/// Who has a conversation, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who has the word.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Who of the staff, exactly while the state is `WithStaff`.
    pub holder: Option<Holder>,
}

impl Standing {
    /// A conversation that begins with the bot.
    pub fn new(at: Timestamp) -> Self {
        Self { state: State::Bot, since: at, holder: None }
    }

    /// The standing after `event`. Only one thing is ever refused: an answer while a colleague is answering.
    pub fn after(&self, event: &Event, at: Timestamp) -> Result<Self, Locked> {
        if let Event::StaffAnswered(staff) = event
            && let Some(holder) = self.locked_for(staff, at)
        {
            return Err(Locked(holder.clone()));
        }
        let state = self.state.after(event);
        let holder = match event {
            Event::StaffAnswered(staff) | Event::StaffTook(staff) => {
                Some(Holder { staff: staff.clone(), active_at: at })
            }
            _ => self.holder.clone().filter(|_| state == State::WithStaff),
        };
        let since = if state == self.state { self.since } else { at };
        Ok(Self { state, since, holder })
    }

    /// The colleague because of whom `staff` cannot answer at `at`, if there is one.
    pub fn locked_for(&self, staff: &Staff, at: Timestamp) -> Option<&Holder> {
        self.holder.as_ref().filter(|holder| holder.staff.id != staff.id && at - holder.active_at < LOCK)
    }
}

/// The wait that may be promised, in minutes, from recent waits: their median, rounded up to a number as people say it.
/// `None` while too little is known, or when it is longer than an hour.
pub fn expected_wait_minutes(mut waits: Vec<TimeDelta>) -> Option<i64> {
    if waits.len() < WAITS_MIN {
        return None;
    }
    waits.sort_unstable();
    let median = waits[waits.len() / 2];
    SAID_MINUTES.into_iter().find(|minutes| TimeDelta::minutes(*minutes) >= median)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    const SEQUENCES: usize = 20_000;
    const EVENTS: usize = 50;

    fn staff(number: i64) -> Staff {
        Staff::new("console", number, format!("Person {number}"))
    }

    fn any_event(random: &mut StdRng) -> Event {
        match random.random_range(0..8) {
            0 => Event::ShopperWrote,
            1 => Event::HandedOver,
            2 => Event::ShopperReturned,
            3 => Event::StaffAnswered(staff(random.random_range(0..3))),
            4 => Event::StaffTook(staff(random.random_range(0..3))),
            5 => Event::HandedBack,
            6 => Event::TimedOut,
            _ => Event::Closed,
        }
    }

    /// A million events in twenty thousand sequences from every state.
    #[test]
    fn no_sequence_of_events_loops_takes_the_word_from_staff_or_loses_the_lock() {
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..SEQUENCES {
            let mut at = DateTime::UNIX_EPOCH;
            let mut standing = Standing::new(at);
            for _ in 0..EVENTS {
                at += TimeDelta::seconds(random.random_range(0..900));
                let event = any_event(&mut random);
                let before = standing.clone();
                match before.after(&event, at) {
                    Ok(after) => standing = after,
                    Err(Locked(holder)) => {
                        let Event::StaffAnswered(staff) = &event else { panic!("{event:?} was refused") };
                        assert!(holder.staff != *staff && at - holder.active_at < LOCK);
                        assert_eq!(Some(&holder), before.holder.as_ref());
                        let taken = before.after(&Event::StaffTook(staff.clone()), at).unwrap();
                        assert!(taken.locked_for(staff, at).is_none(), "who takes over anyway may write");
                    }
                }
                check(&before, &event, &standing, at);
            }
        }
    }

    fn check(before: &Standing, event: &Event, after: &Standing, at: Timestamp) {
        // Exactly those with staff have a holder, and the bot answers none of those.
        assert_eq!(after.holder.is_some(), after.state == State::WithStaff, "{before:?} {event:?}");
        assert!(!(after.state.bot_answers() && after.holder.is_some()));
        // Only a hand-over makes somebody wait: nothing that follows it, time least of all, makes another.
        if after.state == State::Waiting && before.state != State::Waiting {
            assert_eq!(*event, Event::HandedOver);
        }
        let timed_out = after.after(&Event::TimedOut, at).unwrap();
        assert!(!timed_out.state.is_with_people(), "who waits long enough is with the bot again");
        assert_eq!(timed_out.after(&Event::TimedOut, at).unwrap(), timed_out, "and stays there");
        // A shopper never takes the word from staff, and staff can always give it back or end it.
        if matches!(event, Event::ShopperWrote | Event::ShopperReturned) && before.state == State::WithStaff {
            assert_eq!(after, before);
        }
        if *event == Event::ShopperWrote && before.state == State::Waiting {
            assert_eq!(after, before);
        }
        assert_eq!(after.after(&Event::HandedBack, at).unwrap().state, State::Bot);
        assert_eq!(after.after(&Event::Closed, at).unwrap().state, State::Closed);
        let since = if after.state == before.state { before.since } else { at };
        assert_eq!(after.since, since, "{before:?} {event:?}");
    }

    #[test]
    fn a_colleague_may_answer_when_the_lock_is_over() {
        let at = DateTime::UNIX_EPOCH;
        let (ana, bo) = (staff(1), staff(2));
        let with_ana = Standing::new(at).after(&Event::StaffAnswered(ana.clone()), at).unwrap();
        assert_eq!(
            with_ana.after(&Event::StaffAnswered(bo.clone()), at).unwrap_err().to_string(),
            "Person 1 is answering"
        );
        let later = at + LOCK;
        let with_bo = with_ana.after(&Event::StaffAnswered(bo.clone()), later).unwrap();
        assert_eq!(with_bo.holder.unwrap().staff, bo);
        assert!(with_ana.after(&Event::StaffAnswered(ana), at).is_ok());
    }

    #[test]
    fn a_wait_is_promised_only_when_it_is_known() {
        let minutes = |waits: &[i64]| expected_wait_minutes(waits.iter().map(|n| TimeDelta::minutes(*n)).collect());
        assert_eq!(minutes(&[4, 5]), None);
        assert_eq!(minutes(&[50, 2, 4]), Some(5));
        assert_eq!(minutes(&[0, 0, 0]), Some(1));
        assert_eq!(minutes(&[90, 100, 110]), None, "more than an hour is no promise");
    }
}
