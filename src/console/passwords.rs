//! Passwords: Argon2id (RFC 9106) with 64 MiB and three passes, and a growing pause after wrong ones.

use std::collections::HashMap;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use chrono::TimeDelta;

use crate::message::Timestamp;

/// Memory of one hash, KiB.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over the memory.
const PASSES: u32 = 3;
/// Fewest characters of a password.
pub(super) const CHARACTERS_MIN: usize = 10;
/// Most bytes of a password; longer ones are refused before any work is done.
pub(super) const BYTES_MAX: usize = 1024;
/// Checked for a name that nobody has, so that the answer takes as long as for one that somebody has.
const NOBODY: &str = "$argon2id$v=19$m=65536,t=3,p=1$bm9ib2R5IGhhcyB0aGlz$5w4HcTNqv1GkQyqeqvLCl5mPp0l0Cy3qR2q7oEgJ4yA";

/// Hashes a password into a PHC string. Takes a good part of a second and 64 MiB: call it from a blocking thread.
pub fn hash_password(password: &str) -> Result<String, String> {
    let hash = hasher()?.hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// Whether `password` is the one of `hash`; without a hash the same work is done in vain. As slow as `hash_password`.
pub(super) fn verify_password(password: &str, hash: Option<&str>) -> bool {
    let right = PasswordHash::new(hash.unwrap_or(NOBODY))
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
    right && hash.is_some()
}

fn hasher() -> Result<Argon2<'static>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Wrong passwords so far, per account and address, in memory.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failures: HashMap<(String, String), Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Attempts {
    /// Wrong passwords without a pause.
    const FREE: u32 = 3;
    /// The longest pause.
    const PAUSE_MAX: TimeDelta = TimeDelta::minutes(15);
    /// Failures are forgotten after so long.
    const MEMORY: TimeDelta = TimeDelta::hours(1);
    /// Pairs of account and address that are remembered; beyond, the oldest are forgotten.
    const PAIRS_MAX: usize = 10_000;

    /// Seconds until the next try, or `None` when it may be made now.
    pub(super) fn pause_seconds(&self, account: &str, address: &str, now: Timestamp) -> Option<i64> {
        let failures = self.failures.get(&(account.to_owned(), address.to_owned()))?;
        let exponent = failures.count.checked_sub(Self::FREE)?.min(16);
        let pause = TimeDelta::seconds(1 << exponent).min(Self::PAUSE_MAX);
        let left_ms = (failures.last + pause - now).num_milliseconds();
        (left_ms > 0).then(|| (left_ms + 999) / 1000)
    }

    /// Notes a wrong password.
    pub(super) fn failed(&mut self, account: &str, address: &str, now: Timestamp) {
        if self.failures.len() >= Self::PAIRS_MAX {
            self.failures.retain(|_, failures| now - failures.last < Self::MEMORY);
        }
        if self.failures.len() >= Self::PAIRS_MAX
            && let Some(oldest) = self.failures.iter().min_by_key(|(_, failures)| failures.last)
        {
            let oldest = oldest.0.clone();
            self.failures.remove(&oldest);
        }
        let failures =
            self.failures.entry((account.to_owned(), address.to_owned())).or_insert(Failures { count: 0, last: now });
        if now - failures.last > Self::MEMORY {
            failures.count = 0;
        }
        failures.count += 1;
        failures.last = now;
    }

    /// Forgets the wrong ones after a right one.
    pub(super) fn succeeded(&mut self, account: &str, address: &str) {
        self.failures.remove(&(account.to_owned(), address.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("a time")
    }

    #[test]
    fn the_vain_check_does_the_same_work_as_a_real_one() {
        let real = hash_password("a long password").expect("hashed");
        let parameters = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parameters(&real), parameters(NOBODY));
        assert!(PasswordHash::new(NOBODY).is_ok());
        assert!(verify_password("a long password", Some(&real)));
        assert!(!verify_password("another password", Some(&real)));
        assert!(!verify_password("a long password", None));
    }

    #[test]
    fn the_pause_grows_and_holds_for_this_account_and_address_only() {
        let mut attempts = Attempts::default();
        let mut pauses = Vec::new();
        for _ in 0..16 {
            attempts.failed("ana", "1.2.3.4", at(0));
            pauses.push(attempts.pause_seconds("ana", "1.2.3.4", at(0)).unwrap_or(0));
        }
        assert_eq!(pauses[..6], [0, 0, 1, 2, 4, 8]);
        assert_eq!(pauses.last(), Some(&900));
        assert_eq!(attempts.pause_seconds("ana", "1.2.3.4", at(900)), None);
        assert_eq!(attempts.pause_seconds("ana", "5.6.7.8", at(0)), None);
        assert_eq!(attempts.pause_seconds("bo", "1.2.3.4", at(0)), None);
        attempts.succeeded("ana", "1.2.3.4");
        assert_eq!(attempts.pause_seconds("ana", "1.2.3.4", at(0)), None);
    }

    #[test]
    fn failures_are_forgotten_after_an_hour_and_never_fill_the_memory() {
        let mut attempts = Attempts::default();
        for _ in 0..5 {
            attempts.failed("ana", "a", at(0));
        }
        attempts.failed("ana", "a", at(3700));
        assert_eq!(attempts.pause_seconds("ana", "a", at(3700)), None);
        for number in 0..Attempts::PAIRS_MAX + 5 {
            attempts.failed(&number.to_string(), "a", at(3700));
        }
        assert!(attempts.failures.len() <= Attempts::PAIRS_MAX);
    }
}
