//! When to try again, and when to give up.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::RemoteError;

/// Pause before the second try; it doubles with every further one.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// A server that wants a longer pause is not waited for: a shopper is.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// The pause before another try after `tries` of them, or `None` when there is to be none. `jitter`, 0 to 1, keeps
/// many askers from coming back at the same moment.
pub(super) fn pause(error: &RemoteError, tries: u32, retries_max: u32, jitter: f64) -> Option<Duration> {
    if !error.is_passing() || tries > retries_max {
        return None;
    }
    let doubled = PAUSE_FIRST.saturating_mul(1 << (tries.max(1) - 1).min(8)).min(PAUSE_MAX);
    let pause = doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
    match error.retry_after() {
        Some(wanted) if wanted > RETRY_AFTER_MAX => None,
        Some(wanted) => Some(wanted.max(pause)),
        None => Some(pause),
    }
}

/// What a `Retry-After` header asks for: seconds or a date.
pub(super) fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = DateTime::parse_from_rfc2822(header).ok()?;
    // A date in the past asks for no pause.
    Some((date.to_utc() - now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn refused(status: u16, retry_after: Option<u64>) -> RemoteError {
        RemoteError::Refused { status, message: String::new(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_tries_end() {
        let down = RemoteError::Unreachable("refused".to_owned());
        let pauses: Vec<_> = (1..=12).map(|tries| pause(&down, tries, 11, 1.0)).collect();
        assert_eq!(pauses[..3], [250, 500, 1000].map(|ms| Some(Duration::from_millis(ms))));
        assert_eq!(pauses[10..], [Some(PAUSE_MAX), None]);
        assert_eq!(pause(&down, 1, 2, 0.0), Some(PAUSE_FIRST / 2));
        assert_eq!(pause(&down, 1, 0, 0.0), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [429, 500, 502, 503, 504] {
            assert!(pause(&refused(status, None), 1, 2, 0.5).is_some(), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 422] {
            assert_eq!(pause(&refused(status, None), 1, 2, 0.5), None, "{status}");
        }
        assert_eq!(pause(&RemoteError::Reported("no".to_owned()), 1, 2, 0.5), None);
    }

    #[test]
    fn the_server_may_ask_for_a_longer_pause_within_a_bound() {
        assert_eq!(pause(&refused(429, Some(3)), 1, 2, 0.5), Some(Duration::from_secs(3)));
        assert_eq!(pause(&refused(503, Some(0)), 1, 2, 1.0), Some(PAUSE_FIRST));
        assert_eq!(pause(&refused(429, Some(60)), 1, 2, 0.5), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Utc.with_ymd_and_hms(2026, 11, 28, 10, 0, 0).unwrap();
        for (header, seconds) in [
            ("2", Some(2)),
            (" 0 ", Some(0)),
            ("Sat, 28 Nov 2026 10:00:04 GMT", Some(4)),
            ("Sat, 28 Nov 2026 09:00:00 GMT", Some(0)),
            ("-1", None),
            ("NaN", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(header, now), seconds.map(Duration::from_secs), "{header}");
        }
    }
}
