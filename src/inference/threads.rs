//! How the two local models share the processor.
//!
//! Both share a pool of as many threads as there are physical cores (`RAYON_NUM_THREADS` lowers that), one operation at
//! a time. A question's encoding takes milliseconds and someone waits for it, while a chat model works for seconds: so
//! the chat model pauses between two steps while a question is being encoded, instead of both halving each other's speed.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A chat step never waits longer than this, so that a flood of questions cannot stop an answer.
const PAUSE_MAX: Duration = Duration::from_millis(200);

static QUESTIONS_BEING_ENCODED: Mutex<usize> = Mutex::new(0);
static ENCODED: Condvar = Condvar::new();

/// Threads that one model's operation uses.
pub fn count() -> usize {
    candle_core::utils::get_num_threads()
}

/// While this value lives, chat models pause between steps.
pub(crate) struct QuestionTurn(());

impl QuestionTurn {
    /// Announces that a question is being encoded.
    pub(crate) fn begin() -> Self {
        *questions() += 1;
        Self(())
    }
}

impl Drop for QuestionTurn {
    fn drop(&mut self) {
        *questions() -= 1;
        ENCODED.notify_all();
    }
}

/// Waits until no question is being encoded, at most `PAUSE_MAX`.
pub(crate) fn let_questions_pass() {
    // Timed out or not, the step goes on.
    let _ = ENCODED.wait_timeout_while(questions(), PAUSE_MAX, |questions| *questions > 0);
}

fn questions() -> MutexGuard<'static, usize> {
    QUESTIONS_BEING_ENCODED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_passes_when_no_question_is_left() {
        let turn = QuestionTurn::begin();
        assert!(*questions() > 0);
        let waiting = std::thread::spawn(let_questions_pass);
        drop(turn);
        waiting.join().unwrap();
        assert!(count() > 0);
    }
}
