//! People write a thought in several messages, send ten pictures at once, and mend what they wrote. This file decides,
//! from the waiting updates of a chat, which of them belong together and whether they have waited long enough.

use std::time::Duration;

use crate::{
    message::{Channel, Inbound, Timestamp},
    storage::PendingInbound,
};

/// How long the pictures of an album are waited for, whatever the settings say of messages.
const ALBUM: Duration = Duration::from_millis(800);
/// Somebody who never stops writing is answered after so many times the wait.
const WAITS_MAX: u32 = 5;

/// Updates of one chat that are answered by one turn.
#[derive(Debug)]
pub(super) struct Burst {
    /// The oldest update, with everything that was said in the message.
    pub(super) first: PendingInbound,
    /// Inbox rows of the others.
    pub(super) others: Vec<i64>,
}

impl Burst {
    /// Whether an inbox row is part of it.
    pub(super) fn has(&self, id: i64) -> bool {
        self.first.id == id || self.others.contains(&id)
    }
}

/// How long an update has to wait for more, as far as it shows by itself.
pub(super) fn wait(pending: &PendingInbound, wait: Duration, now: Timestamp) -> Duration {
    match gather(vec![pending.clone()], wait, now) {
        Gathering::Open(left) => left,
        Gathering::Complete(_) | Gathering::Nothing => Duration::ZERO,
    }
}

/// What becomes of the updates of one chat.
#[derive(Debug)]
pub(super) enum Gathering {
    /// These are answered now; the others have a turn of their own.
    Complete(Box<Burst>),
    /// More may come for so long.
    Open(Duration),
    Nothing,
}

/// Looks at the waiting updates of one chat, in order of arrival: messages within `wait` of each other belong together.
pub(super) fn gather(rows: Vec<PendingInbound>, wait: Duration, now: Timestamp) -> Gathering {
    let Some(first) = rows.first() else { return Gathering::Nothing };
    let wait = if first.inbound.channel == Channel::Telegram { wait } else { Duration::ZERO };
    let joined = 1 + rows.windows(2).take_while(|pair| belongs(&pair[0], &pair[1], wait)).count();
    match still_open(&rows, joined, wait, now) {
        Some(left) => Gathering::Open(left),
        None => merged(rows, joined).map_or(Gathering::Nothing, |burst| Gathering::Complete(Box::new(burst))),
    }
}

/// A command or a button is acted upon at once and alone; what failed before is tried alone.
fn is_alone(pending: &PendingInbound) -> bool {
    let inbound = &pending.inbound;
    pending.attempts > 0 || inbound.origin.pressed || inbound.text.trim_start().starts_with('/')
}

fn belongs(before: &PendingInbound, next: &PendingInbound, wait: Duration) -> bool {
    let (one, other) = (&before.inbound.origin, &next.inbound.origin);
    let album = one.album.is_some() && one.album == other.album;
    let revised = other.edited && one.message == other.message;
    !is_alone(before) && !is_alone(next) && (!wait.is_zero() || album || revised)
}

/// How long the first `joined` updates of a chat have to wait for more; `None`: no longer.
fn still_open(rows: &[PendingInbound], joined: usize, wait: Duration, now: Timestamp) -> Option<Duration> {
    let (first, last) = (rows.first()?, rows.get(joined - 1)?);
    let wait = if last.inbound.origin.album.is_some() { wait.max(ALBUM) } else { wait };
    if joined < rows.len() || is_alone(first) || wait.is_zero() {
        return None;
    }
    // A clock that was put back gives no age; nobody waits for it.
    let age = |pending: &PendingInbound| (now - pending.inbound.received_at).to_std().ok();
    let (oldest, latest) = (age(first)?, age(last)?);
    let left = wait.saturating_sub(latest).min((wait * WAITS_MAX).saturating_sub(oldest));
    (!left.is_zero()).then_some(left)
}

fn merged(rows: Vec<PendingInbound>, joined: usize) -> Option<Burst> {
    let mut rows = rows.into_iter().take(joined);
    let first = rows.next()?;
    let mut said = vec![first.inbound.clone()];
    let mut others = Vec::new();
    for row in rows {
        others.push(row.id);
        let revises =
            |earlier: &Inbound| row.inbound.origin.edited && earlier.origin.message == row.inbound.origin.message;
        match said.iter().position(revises) {
            Some(at) => said[at].text = row.inbound.text,
            None => said.push(row.inbound),
        }
    }
    let texts: Vec<&str> = said.iter().map(|inbound| inbound.text.trim()).filter(|text| !text.is_empty()).collect();
    // A single message keeps its white space: it is the shopper's.
    let text = if texts.len() == 1 && said.len() == 1 { said[0].text.clone() } else { texts.join("\n") };
    let attachments = said.iter().flat_map(|inbound| inbound.attachments.clone()).collect();
    Some(Burst { first: PendingInbound { inbound: Inbound { text, attachments, ..first.inbound }, ..first }, others })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::message::{Attachment, AttachmentKind, Origin};

    const WAIT: Duration = Duration::from_millis(1_200);

    fn at(ms: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    fn row(id: i64, chat: &str, text: &str, ms: i64) -> PendingInbound {
        let inbound = Inbound {
            channel: Channel::Telegram,
            chat: chat.to_owned(),
            update_id: id.to_string(),
            text: text.to_owned(),
            customer: None,
            language_hint: None,
            received_at: at(ms),
            attachments: Vec::new(),
            origin: Origin { message: Some(id.to_string()), ..Origin::default() },
        };
        PendingInbound { id, inbound, attempts: 0 }
    }

    fn texts(waiting: Vec<PendingInbound>, wait: Duration, now: i64) -> Option<(String, Vec<i64>)> {
        match gather(waiting, wait, at(now)) {
            Gathering::Complete(burst) => Some((burst.first.inbound.text, burst.others)),
            Gathering::Open(_) | Gathering::Nothing => None,
        }
    }

    #[test]
    fn messages_close_together_are_one_when_no_more_come() {
        let waiting = || vec![row(1, "a", "hi", 0), row(3, "a", "a hat?", 1_000)];
        assert_eq!(texts(waiting(), WAIT, 1_100), None);
        assert!(
            matches!(gather(waiting(), WAIT, at(1_100)), Gathering::Open(left) if left == Duration::from_millis(1_100))
        );
        assert_eq!(texts(waiting(), WAIT, 2_200), Some(("hi\na hat?".to_owned(), vec![3])));
        assert_eq!(super::wait(&row(1, "a", "hi", 0), WAIT, at(200)), Duration::from_secs(1));
        assert_eq!(super::wait(&row(1, "a", "/help", 0), WAIT, at(200)), Duration::ZERO);
    }

    #[test]
    fn who_never_stops_writing_is_answered_all_the_same() {
        let waiting: Vec<_> = (0..7).map(|id| row(id, "a", "and", id * 1_000)).collect();
        assert_eq!(texts(waiting, WAIT, 6_050).unwrap().1.len(), 6);
    }

    #[test]
    fn a_command_or_a_button_is_alone_and_ends_the_wait() {
        let mut pressed = row(3, "a", "Yes", 20);
        pressed.inbound.origin.pressed = true;
        let waiting = || vec![row(1, "a", "hi", 0), row(2, "a", "/help", 10), pressed.clone()];
        assert_eq!(texts(waiting(), WAIT, 20), Some(("hi".to_owned(), vec![])));
        assert_eq!(texts(waiting().split_off(1), WAIT, 20), Some(("/help".to_owned(), vec![])));
        assert_eq!(texts(waiting().split_off(2), WAIT, 20), Some(("Yes".to_owned(), vec![])));
    }

    #[test]
    fn an_edit_takes_the_place_of_what_still_waits() {
        let mut edit = row(3, "a", "a red hat?", 200);
        edit.inbound.origin = Origin { message: Some("1".to_owned()), edited: true, ..Origin::default() };
        let waiting = || vec![row(1, "a", "a hat?", 0), row(2, "a", "in wool", 100), edit.clone()];
        assert_eq!(texts(waiting(), WAIT, 5_000), Some(("a red hat?\nin wool".to_owned(), vec![2, 3])));
        let two = vec![row(1, "a", "a hat?", 0), edit.clone()];
        assert_eq!(texts(two, Duration::ZERO, 5_000), Some(("a red hat?".to_owned(), vec![3])));
    }

    #[test]
    fn an_album_is_one_turn_also_where_messages_are_not_merged() {
        let picture = |id, text: &str, ms| {
            let mut row = row(id, "a", text, ms);
            row.inbound.origin.album = Some("9".to_owned());
            let photo = AttachmentKind::Photo;
            row.inbound.attachments =
                vec![Attachment { kind: photo, file_id: id.to_string(), mime: None, name: None, size: None }];
            row
        };
        let waiting = || vec![picture(1, "", 0), picture(2, "in red?", 5), picture(3, "", 9)];
        assert_eq!(texts(waiting(), Duration::ZERO, 500), None);
        let Gathering::Complete(burst) = gather(waiting(), Duration::ZERO, at(900)) else { panic!("open") };
        assert_eq!((burst.first.inbound.text.as_str(), burst.first.inbound.attachments.len()), ("in red?", 3));
    }

    #[test]
    fn other_channels_and_what_failed_do_not_wait() {
        let mut widget = row(1, "w", "hi", 0);
        widget.inbound.channel = Channel::Widget;
        let mut failed = row(2, "a", "hm", 0);
        failed.attempts = 1;
        for alone in [widget, failed] {
            assert!(texts(vec![alone], WAIT, 0).is_some());
        }
        assert!(texts(vec![row(1, "a", "hi", 9_000)], WAIT, 0).is_some(), "the clock was put back");
    }
}
