//! How the server did last: for the program's health, and so that nobody waits again for one that was away a moment ago.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::RemoteError;

/// A server that could not be reached is not asked again so soon.
const AWAY: Duration = Duration::from_secs(5);

#[derive(Debug)]
enum Last {
    /// It was not asked yet.
    Unknown,
    Well,
    Trouble(RemoteError, Instant),
}

/// What is known of a server.
#[derive(Debug)]
pub(super) struct Standing {
    server: String,
    // std's lock: held only to read or replace the value, never across an await.
    last: RwLock<Last>,
}

impl Standing {
    pub(super) fn new(server: &str) -> Self {
        Self { server: server.to_owned(), last: RwLock::new(Last::Unknown) }
    }

    /// The server has answered a request.
    pub(super) fn note_answer(&self) {
        if matches!(self.replace(Last::Well), Last::Trouble(..)) {
            tracing::info!(server = self.server, "the model server answers again");
        }
    }

    /// The server has failed; what is wrong with a single request says nothing about it.
    pub(super) fn note_error(&self, error: &RemoteError, now: Instant) {
        if !error.is_trouble() {
            return;
        }
        let before = self.replace(Last::Trouble(error.clone(), now));
        if !matches!(before, Last::Trouble(..)) {
            tracing::warn!(
                "the model server at {} {error}; until it answers, replies are the documents' own words",
                self.server
            );
        }
    }

    /// Whether it has answered last.
    pub(super) fn is_well(&self) -> bool {
        matches!(*self.last.read().unwrap_or_else(PoisonError::into_inner), Last::Well)
    }

    /// What is wrong with it.
    pub(super) fn trouble(&self) -> Option<RemoteError> {
        match &*self.last.read().unwrap_or_else(PoisonError::into_inner) {
            Last::Trouble(error, _) => Some(error.clone()),
            Last::Unknown | Last::Well => None,
        }
    }

    /// Why it is not worth asking at `now`.
    pub(super) fn away(&self, now: Instant) -> Option<RemoteError> {
        match &*self.last.read().unwrap_or_else(PoisonError::into_inner) {
            Last::Trouble(error @ RemoteError::Unreachable(_), at) if now.saturating_duration_since(*at) < AWAY => {
                Some(error.clone())
            }
            _ => None,
        }
    }

    fn replace(&self, last: Last) -> Last {
        std::mem::replace(&mut *self.last.write().unwrap_or_else(PoisonError::into_inner), last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_is_left_alone_for_a_while() {
        let (standing, start) = (Standing::new("http://gpu.example/v1"), Instant::now());
        assert!(!standing.is_well() && standing.trouble().is_none());
        let away = RemoteError::Unreachable("connection refused".to_owned());
        standing.note_error(&away, start);
        assert_eq!(standing.away(start + AWAY / 2), Some(away.clone()));
        assert_eq!((standing.away(start + AWAY), standing.trouble()), (None, Some(away)));
        standing.note_answer();
        assert!(standing.is_well() && standing.away(start).is_none());
    }

    #[test]
    fn one_bad_request_is_no_trouble_and_a_slow_server_is_asked_again() {
        let (standing, start) = (Standing::new("http://gpu.example/v1"), Instant::now());
        standing.note_answer();
        let refused = |status| RemoteError::Refused { status, message: String::new(), retry_after: None };
        for error in [refused(400), refused(429), RemoteError::Reported("too long".to_owned()), RemoteError::NoLogProbs]
        {
            standing.note_error(&error, start);
            assert!(standing.is_well(), "{error}");
        }
        for error in [refused(401), refused(404), refused(503), RemoteError::BrokeOff("reset".to_owned())] {
            standing.note_error(&error, start);
            assert_eq!((standing.trouble(), standing.away(start)), (Some(error), None));
        }
    }
}
