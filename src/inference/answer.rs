//! An answer in the making: tokens are chosen from logits, as its grammar lets them, and sent as text.

use super::{
    GenerateRequest, InferenceError, decoder::Wanted, generation::GenerationWriter, gguf_chat::ChatFormat,
    grammar::Constraint, sampler::Sampler, text_stream::TextStream,
};

/// What was written so far and how it goes on.
pub(crate) struct Answer {
    sampler: Sampler,
    constraint: Option<Constraint>,
    stream: TextStream,
    writer: GenerationWriter,
    written: usize,
    tokens_max: usize,
}

impl Answer {
    /// An answer without a token; `constraint` is at the beginning of the request's grammar.
    pub(crate) fn new(request: &GenerateRequest, constraint: Option<Constraint>, writer: GenerationWriter) -> Self {
        Self {
            sampler: Sampler::new(request.sampling, request.seed),
            constraint,
            stream: TextStream::new(&request.stop),
            writer,
            written: 0,
            tokens_max: request.tokens_max,
        }
    }

    /// Tokens that were written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Tokens that may still be written.
    pub(crate) fn left(&self) -> usize {
        self.tokens_max - self.written
    }

    /// What logits have to be good for.
    pub(crate) fn wanted(&self) -> Wanted {
        if self.constraint.is_none() && self.sampler.takes_likeliest() { Wanted::Likeliest } else { Wanted::All }
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.writer.is_cancelled()
    }

    /// Chooses the token that follows `tokens` and adds it to them. True when the answer is complete.
    ///
    /// Errors: `Incomplete`, and whatever goes wrong with the grammar.
    pub(crate) fn choose(
        &mut self,
        logits: &[f32],
        tokens: &mut Vec<u32>,
        format: &ChatFormat,
    ) -> Result<bool, InferenceError> {
        let token = match &mut self.constraint {
            Some(constraint) => self.sampler.sample(constraint.restrict(logits)?, tokens),
            None => self.sampler.sample(logits, tokens),
        };
        tokens.push(token);
        self.write(token, format)
    }

    /// Adds what the grammar lets follow `tokens` where that is only one text. True when the answer is complete.
    ///
    /// Errors: as for `choose`.
    pub(crate) fn take_forced(&mut self, tokens: &mut Vec<u32>, format: &ChatFormat) -> Result<bool, InferenceError> {
        let forced = self.constraint.as_mut().map(Constraint::forced).unwrap_or_default();
        for token in forced {
            tokens.push(token);
            if self.write(token, format)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many of the first tokens of `draft` the grammar lets follow.
    pub(crate) fn fitting(&mut self, draft: &[u32]) -> usize {
        // A parser that fails here fails again when the next token is chosen.
        self.constraint.as_mut().map_or(draft.len(), |constraint| constraint.fitting(draft).unwrap_or_default())
    }

    /// Sends what is certain of the text with `token`. True when the answer is complete.
    fn write(&mut self, token: u32, format: &ChatFormat) -> Result<bool, InferenceError> {
        self.written += 1;
        if format.is_end(token) {
            return Ok(true);
        }
        let piece = self.stream.push(token, |ids| format.decode(ids))?;
        if !self.writer.write(piece) {
            return Ok(true);
        }
        let is_cut = self.stream.is_stopped() || self.written >= self.tokens_max;
        let Some(constraint) = &mut self.constraint else { return Ok(is_cut) };
        constraint.accept(token)?;
        if self.stream.is_stopped() || is_cut && !constraint.is_complete() && !constraint.may_end()? {
            return Err(InferenceError::Incomplete { tokens: self.written });
        }
        Ok(is_cut || constraint.is_complete())
    }

    /// Sends the rest of the text.
    pub(crate) fn finish(self, format: &ChatFormat) {
        match self.stream.finish(|ids| format.decode(ids)) {
            // Nobody may be listening any more; then there is nobody to tell.
            Ok(rest) => drop(self.writer.write(rest)),
            Err(error) => self.writer.fail(error),
        }
    }

    /// Ends with an error.
    pub(crate) fn fail(self, error: InferenceError) {
        self.writer.fail(error);
    }
}
