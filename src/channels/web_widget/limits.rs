//! How often one visitor may write: a token bucket for each, and a bound on how many visitors are remembered.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::wire::ApiError;

/// Messages that may come at once.
const BURST: f64 = 20.0;
/// Messages per second in the long run: 20 a minute.
const REFILL_PER_S: f64 = 20.0 / 60.0;
/// Visitors remembered; one that has not written for a minute is forgotten when room is needed.
const VISITORS_MAX: usize = 10_000;

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn tokens_at(&self, now: Instant) -> f64 {
        (self.tokens + now.saturating_duration_since(self.at).as_secs_f64() * REFILL_PER_S).min(BURST)
    }
}

/// The buckets of all visitors.
#[derive(Default)]
pub(super) struct RateLimit {
    buckets: HashMap<String, Bucket>,
}

impl RateLimit {
    /// Counts a message. Refuses it with the time to wait when the visitor wrote too much, or when so many visitors
    /// write at once that another cannot be remembered.
    pub(super) fn check(&mut self, visitor: &str, now: Instant) -> Result<(), ApiError> {
        if !self.buckets.contains_key(visitor) {
            self.make_room(now)?;
        }
        let bucket = self.buckets.entry(visitor.to_owned()).or_insert(Bucket { tokens: BURST, at: now });
        let tokens = bucket.tokens_at(now);
        if tokens < 1.0 {
            return Err(ApiError::TooFast { wait: Duration::from_secs_f64((1.0 - tokens) / REFILL_PER_S) });
        }
        *bucket = Bucket { tokens: tokens - 1.0, at: now };
        Ok(())
    }

    fn make_room(&mut self, now: Instant) -> Result<(), ApiError> {
        if self.buckets.len() >= VISITORS_MAX {
            self.buckets.retain(|_, bucket| bucket.tokens_at(now) < BURST);
        }
        if self.buckets.len() >= VISITORS_MAX { Err(ApiError::Busy) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_who_writes_too_much_waits_and_others_do_not() {
        let (mut limit, now) = (RateLimit::default(), Instant::now());
        for _ in 0..20 {
            limit.check("a", now).unwrap();
        }
        let Err(ApiError::TooFast { wait }) = limit.check("a", now) else { panic!("the 21st message is refused") };
        limit.check("b", now).unwrap();
        assert!(limit.check("a", now + wait / 2).is_err());
        limit.check("a", now + wait + Duration::from_millis(1)).unwrap();
    }

    #[test]
    fn visitors_are_bounded_and_room_comes_back() {
        let (mut limit, now) = (RateLimit::default(), Instant::now());
        for visitor in 0..VISITORS_MAX {
            limit.check(&visitor.to_string(), now).unwrap();
        }
        assert!(matches!(limit.check("one more", now), Err(ApiError::Busy)));
        limit.check("0", now).unwrap();
        limit.check("one more", now + Duration::from_secs(61)).unwrap();
        assert!(limit.buckets.len() < VISITORS_MAX);
    }
}
