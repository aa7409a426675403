//! The answers that the chat model writes at the same time. Each step of the model reads something for all of them: a
//! piece of a prompt, or the last token of an answer and a draft of what may follow. What an answer says does not depend
//! on the others.

use std::collections::VecDeque;

#[cfg(test)]
mod tests;

use super::{
    InferenceError,
    answer::Answer,
    decoder::{Decoder, LOGITS_ROWS, Part, STEP_TOKENS, Sequence},
    gguf_chat::ChatFormat,
    language_model_thread::{Drafts, Place},
    prompt_lookup::Lookup,
    recent::Recent,
};

/// Answers that are written at the same time; others wait.
pub(crate) const TOGETHER_MAX: usize = 8;
/// Prompt tokens of a step while answers are written: these come to a tenth of a second apart.
const STEP_TOKENS_BESIDE: usize = 64;

/// All answers that are asked for.
pub(crate) struct ChatBatch<'a> {
    format: &'a ChatFormat,
    drafts: Drafts,
    tasks: Vec<Task>,
    waiting: VecDeque<Task>,
}

/// One answer and its prompt.
struct Task {
    /// The prompt and what was written, and during a step what is drafted.
    tokens: Vec<u32>,
    /// What was read of them; `None` until the first token is.
    sequence: Option<Sequence>,
    answer: Answer,
    lookup: Lookup,
    /// Given back when the task is over.
    _place: Place,
}

/// What a step reads of a task.
#[derive(Clone, Copy, Default)]
struct Piece {
    tokens: usize,
    logits: usize,
}

impl<'a> ChatBatch<'a> {
    pub(crate) fn new(format: &'a ChatFormat, drafts: Drafts) -> Self {
        Self { format, drafts, tasks: Vec::new(), waiting: VecDeque::new() }
    }

    /// Adds an answer to be written when its turn comes.
    pub(crate) fn add(&mut self, prompt: Vec<u32>, answer: Answer, place: Place) {
        let lookup = Lookup::default();
        self.waiting.push_back(Task { tokens: prompt, sequence: None, answer, lookup, _place: place });
    }

    /// Whether no answer is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.waiting.is_empty()
    }

    /// What is being read, for others that begin alike.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = (&[u32], &Sequence)> {
        self.tasks.iter().filter_map(|task| Some((task.tokens.as_slice(), task.sequence.as_ref()?)))
    }

    /// Does one step for all answers. Those that are complete, failed or not wanted any more are over.
    pub(crate) fn step(&mut self, decoder: &mut Decoder, recent: &mut Recent) {
        self.admit(recent);
        let pieces = self.plan(decoder, recent);
        let mut parts: Vec<Part> = Vec::with_capacity(pieces.len());
        for (task, piece) in self.tasks.iter_mut().zip(&pieces).filter(|(_, piece)| piece.tokens > 0) {
            let Some(sequence) = &mut task.sequence else { continue };
            let begin = sequence.len();
            let tokens = &task.tokens[begin..begin + piece.tokens];
            parts.push(Part { sequence, tokens, logits: piece.logits, wanted: task.answer.wanted() });
        }
        if parts.is_empty() {
            return;
        }
        let vocabulary = decoder.vocabulary();
        let logits = match decoder.step(&mut parts) {
            Ok(logits) => logits,
            Err(error) => {
                self.tasks.drain(..).for_each(|task| task.answer.fail(error.clone()));
                return;
            }
        };
        let mut rows = logits.chunks_exact(vocabulary);
        for (mut task, piece) in std::mem::take(&mut self.tasks).into_iter().zip(pieces) {
            let rows: Vec<&[f32]> = rows.by_ref().take(piece.logits).collect();
            match task.advance(&rows, self.format) {
                Ok(false) => self.tasks.push(task),
                Ok(true) => task.finish(self.format, recent),
                Err(error) => task.answer.fail(error),
            }
        }
    }

    /// Ends what nobody waits for and lets others take the places.
    fn admit(&mut self, recent: &mut Recent) {
        self.waiting.retain(|task| !task.answer.is_cancelled());
        for task in self.tasks.extract_if(.., |task| task.answer.is_cancelled()) {
            if let Some(sequence) = task.sequence {
                recent.keep(task.tokens, sequence);
            }
        }
        while self.tasks.len() < TOGETHER_MAX
            && let Some(task) = self.waiting.pop_front()
        {
            if task.answer.left() > 0 {
                self.tasks.push(task);
            }
        }
    }

    /// What the next step reads: of each answer what was written last with a draft, and of prompts, first come, first served,
    /// as much as does not hold the answers up.
    fn plan(&mut self, decoder: &Decoder, recent: &Recent) -> Vec<Piece> {
        let writing = self.tasks.iter().filter(|task| task.answer.written() > 0).count();
        let mut prompt_tokens = if writing == 0 { STEP_TOKENS } else { STEP_TOKENS_BESIDE };
        // Each prompt needs one row at most, when it has been read.
        let rows = (LOGITS_ROWS - (self.tasks.len() - writing)) / writing.max(1);
        let mut pieces = Vec::with_capacity(self.tasks.len());
        for index in 0..self.tasks.len() {
            let task = &mut self.tasks[index];
            let mut piece = Piece::default();
            if task.answer.written() > 0 {
                let drafted = if self.drafts == Drafts::Off { 0 } else { task.draft(rows - 1, writing) };
                piece = Piece { tokens: task.unread(), logits: 1 + drafted };
            } else if prompt_tokens > 0 {
                if task.sequence.is_none() {
                    // Now and not earlier: what begins alike and came first is read by now.
                    let (tokens, room) = (&self.tasks[index].tokens, self.tasks[index].room());
                    let sequence = recent.begin(decoder, self.sequences(), tokens, room);
                    self.tasks[index].sequence = Some(sequence);
                }
                let unread = self.tasks[index].unread();
                let tokens = unread.min(prompt_tokens);
                prompt_tokens -= tokens;
                piece = Piece { tokens, logits: usize::from(tokens == unread) };
            }
            pieces.push(piece);
        }
        pieces
    }
}

impl Task {
    /// Prompt and answer.
    fn room(&self) -> usize {
        self.tokens.len() + self.answer.left()
    }

    fn unread(&self) -> usize {
        self.tokens.len() - self.sequence.as_ref().map_or(0, Sequence::len)
    }

    /// Puts a draft of at most `tokens_max` tokens behind the last token and returns its length.
    fn draft(&mut self, tokens_max: usize, together: usize) -> usize {
        // The step itself gives one more token.
        let left = self.answer.left() - 1;
        let draft = self.lookup.draft(&self.tokens, left.min(tokens_max), together).to_vec();
        let fitting = self.answer.fitting(&draft);
        self.tokens.extend_from_slice(&draft[..fitting]);
        fitting
    }

    /// Chooses the next tokens from the rows of logits that were read for the task. True when the answer is complete.
    fn advance(&mut self, rows: &[&[f32]], format: &ChatFormat) -> Result<bool, InferenceError> {
        let Some(drafted) = rows.len().checked_sub(1) else { return Ok(false) };
        let draft = self.tokens.split_off(self.tokens.len() - drafted);
        let before = self.answer.written();
        let mut is_complete = false;
        for (row, logits) in rows.iter().enumerate() {
            is_complete = self.answer.choose(logits, &mut self.tokens, format)?;
            if is_complete || draft.get(row) != self.tokens.last() {
                break;
            }
        }
        // The newest token is yet to be read, and the wrong ones of a draft never were.
        let read = self.tokens.len() - 1;
        if let Some(sequence) = &mut self.sequence {
            sequence.truncate(read);
        }
        if before > 0 && !is_complete {
            self.lookup.settle(drafted, self.answer.written() - before - 1);
        }
        if is_complete { Ok(true) } else { self.answer.take_forced(&mut self.tokens, format) }
    }

    fn finish(self, format: &ChatFormat, recent: &mut Recent) {
        self.answer.finish(format);
        if let Some(sequence) = self.sequence {
            recent.keep(self.tokens, sequence);
        }
    }
}
